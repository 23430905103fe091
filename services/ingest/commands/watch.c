/* SPDX-License-Identifier: MIT */
/* sluice top | tasks | feeds | ctl: what a running process shows at its admin endpoint, and what it can be told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/commands.h"
#include "ingest/commands/table.h"
#include "ingest/exit.h"
#include "sluice/fetch.h"
#include "sluice/json_write.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#define URL_BYTES 512
#define HEADER_BYTES 320
#define TOKEN_VARIABLE "SLUICE_TOKEN"

struct watch {
    const char *admin, *token;
    const char *kind, *venue, *channel, *instrument, *find, *state;
    sl_time every;
    bool json, once, ready;
};

struct session {
    const struct watch *options;
    const struct sl_cli_arguments *arguments;
    int (*run)(struct session *session);
    sl_http_client *client;
    char authorization[HEADER_BYTES];
    struct sl_table_memory feeds, instruments;
    bool inside; /* of an object that is being printed */
    bool failed; /* which was told */
};

static const struct sl_table_column feed_columns[] = {{"FEED", "id", SL_TABLE_TEXT, 0},
                                                      {"STATE", "state", SL_TABLE_TEXT, 0},
                                                      {"MSG/S", "messages", SL_TABLE_RATE, 0},
                                                      {"BYTES", "bytes", SL_TABLE_BYTES, 8},
                                                      {"LAG P99", "lag_seconds.p99", SL_TABLE_SECONDS, 0},
                                                      {"AGE", "age_seconds", SL_TABLE_SECONDS, 5},
                                                      {"GAPS", "gaps", SL_TABLE_COUNT, 0},
                                                      {"LOST", "lost", SL_TABLE_COUNT, 4},
                                                      {"RESYNCS", "resyncs", SL_TABLE_COUNT, 9},
                                                      {"RECONNECTS", "reconnects", SL_TABLE_COUNT, 7},
                                                      {"DONE", "progress", SL_TABLE_SHARE, 0},
                                                      {"WHY", "reason", SL_TABLE_TEXT, 6}};
static const struct sl_table_column instrument_columns[] = {{"SERVICE", "service", SL_TABLE_TEXT, 0},
                                                            {"SYMBOL", "symbol", SL_TABLE_TEXT, 0},
                                                            {"STATE", "state", SL_TABLE_TEXT, 0},
                                                            {"EVENTS/S", "events", SL_TABLE_RATE, 1},
                                                            {"LAG", "lag_seconds", SL_TABLE_SECONDS, 3},
                                                            {"AGE", "age_seconds", SL_TABLE_SECONDS, 0},
                                                            {"GAPS", "gaps", SL_TABLE_COUNT, 2},
                                                            {"BID", "bid", SL_TABLE_TEXT, 0},
                                                            {"ASK", "ask", SL_TABLE_TEXT, 0}};
static const struct sl_table_column sink_columns[] = {{"SINK", "id", SL_TABLE_TEXT, 0},
                                                      {"KIND", "kind", SL_TABLE_TEXT, 2},
                                                      {"STATE", "state", SL_TABLE_TEXT, 0},
                                                      {"WRITTEN", "written", SL_TABLE_COUNT, 0},
                                                      {"QUEUED", "queued", SL_TABLE_COUNT, 0},
                                                      {"DROPPED", "dropped", SL_TABLE_COUNT, 0},
                                                      {"TO SINK P99", "latency_seconds.p99", SL_TABLE_SECONDS, 0},
                                                      {"SPOOL", "spool_bytes", SL_TABLE_BYTES, 3},
                                                      {"WHY", "reason", SL_TABLE_TEXT, 4}};
static const struct sl_table_column task_columns[] = {
    {"TASK", "name", SL_TABLE_TREE, 0},          {"STATE", "state", SL_TABLE_TEXT, 0},
    {"WAITS ON", "wait", SL_TABLE_TEXT, 0},      {"FOR", "wait_seconds", SL_TABLE_SECONDS, 6},
    {"RESTARTS", "restarts", SL_TABLE_COUNT, 7}, {"STACK", "stack_bytes", SL_TABLE_BYTES, 8},
    {"SCOPE", "scope", SL_TABLE_TEXT, 9}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- asking ---- */

/* What an answer that is no 200 says of itself, as text. */
static int refused(const sl_response *response, const char *url)
{
    size_t bytes = 0;
    const char *body = sl_response_body(response, &bytes);
    sl_auto(sl_json) *json = NULL;
    sl_json_text message = {"", 0};
    SL_TRY(sl_json_new(0, &json));
    bool told = sl_json_open(json, body, bytes, 0) == 0 && sl_json_enter_object(json) == 0 &&
                sl_json_find_field(json, "error") == 0 && sl_json_enter_object(json) == 0 &&
                sl_json_find_field(json, "message") == 0 && sl_json_get_string(json, &message) == 0;
    return sl_fail(SL_EPROTO, "%s: status %d%s%.*s", url, sl_response_status(response), told ? ": " : "",
                   (int)(message.size_bytes < 300 ? message.size_bytes : 300), message.data);
}

/* Makes the request, which says all but where to and who asks; any answer is one. */
static int ask_any(struct session *session, const char *path, const sl_request *wanted, char url[URL_BYTES],
                   sl_response **ret_response)
{
    const char *admin = session->options->admin;
    size_t length = strlen(admin);
    (void)snprintf(url, URL_BYTES, "%.*s%s", (int)(length > 0 && admin[length - 1] == '/' ? length - 1 : length), admin,
                   path);
    const struct sl_http_field headers[] = {{"Content-Type", "application/json"},
                                            {"Authorization", session->authorization}};
    sl_request request = *wanted;
    request.url = url;
    request.headers = headers;
    request.header_count = session->authorization[0] == '\0' ? 1 : 2;
    return sl_fetch(session->client, &request, ret_response);
}

/* The same; what is no 200 is a failure. */
static int ask_with(struct session *session, const char *path, const sl_request *wanted, sl_response **ret_response)
{
    char url[URL_BYTES];
    sl_auto(sl_response) *response = NULL;
    SL_TRY(ask_any(session, path, wanted, url, &response));
    if (sl_response_status(response) != 200) {
        return refused(response, url);
    }
    *ret_response = response;
    response = NULL;
    return 0;
}

static int ask(struct session *session, const char *path, const char *body, sl_response **ret_response)
{
    return ask_with(session, path,
                    &(sl_request){.method = body == NULL ? "GET" : "POST",
                                  .body = body,
                                  .body_bytes = body == NULL ? 0 : strlen(body)},
                    ret_response);
}

/* An answer as one line; line feeds are nothing but space in JSON. Inside of a larger object the caller ends the line. */
static int put_json(const struct session *session, const char *body, size_t bytes)
{
    for (size_t at = 0; at < bytes; at++) {
        if (body[at] != '\n' && putchar(body[at]) == EOF) {
            return SL_EPIPE;
        }
    }
    return !session->inside && putchar('\n') == EOF ? SL_EPIPE : 0;
}

/* A view as a table, or as it came. */
static int show(struct session *session, const char *path, const char *name, const struct sl_table_column *columns,
                size_t column_count, struct sl_table_memory *memory)
{
    sl_auto(sl_response) *response = NULL;
    size_t bytes = 0;
    SL_TRY(ask(session, path, NULL, &response));
    const char *body = sl_response_body(response, &bytes);
    if (session->options->json) {
        return put_json(session, body, bytes);
    }
    return sl_table_print(body, bytes, name, columns, column_count, memory, stdout);
}

/* ---- the commands ---- */

static void put_query(char *url, size_t room, const char *name, const char *text);

/* The instruments of a service. */
static int show_instruments(struct session *session)
{
    char path[URL_BYTES] = "/api/instruments";
    put_query(path, sizeof path, "service", session->arguments->operands[0]);
    put_query(path, sizeof path, "find", session->options->find);
    put_query(path, sizeof path, "state", session->options->state);
    put_query(path, sizeof path, "limit", "500");
    return show(session, path, "instruments", instrument_columns, COUNT(instrument_columns), &session->instruments);
}

static int show_feeds(struct session *session)
{
    if (session->arguments->operand_count > 0) {
        return show_instruments(session);
    }
    return show(session, "/api/feeds", "feeds", feed_columns, COUNT(feed_columns), &session->feeds);
}

static int show_tasks(struct session *session)
{
    return show(session, "/api/tasks", "tasks", task_columns, COUNT(task_columns), NULL);
}

/* One line about the process: "running, up 12.3 s, 24 tasks, ...". */
static int show_runtime(struct session *session)
{
    static const struct sl_table_column columns[] = {{"uptime_seconds", "up", SL_TABLE_SECONDS, 0},
                                                     {"tasks", "tasks", SL_TABLE_COUNT, 0},
                                                     {"restarts", "restarts", SL_TABLE_COUNT, 0},
                                                     {"resident_bytes", "memory", SL_TABLE_BYTES, 0}};
    sl_auto(sl_response) *response = NULL;
    sl_auto(sl_json) *json = NULL;
    sl_json_text key;
    size_t bytes = 0;
    int more;
    SL_TRY(ask(session, "/api/runtime", NULL, &response));
    const char *body = sl_response_body(response, &bytes);
    if (session->options->json) {
        return put_json(session, body, bytes);
    }
    SL_TRY(sl_json_new(0, &json));
    SL_TRY(sl_json_open(json, body, bytes, 0));
    SL_TRY(sl_json_enter_object(json));
    printf("sluice");
    while ((more = sl_json_next_field(json, &key)) > 0) {
        for (size_t i = 0; i < COUNT(columns); i++) {
            sl_json_text value;
            if (sl_json_is(key, columns[i].title) && sl_json_get_number(json, &value) == 0) {
                char cell[SL_TABLE_CELL_BYTES];
                sl_table_number(columns[i].kind, strtod(value.data, NULL), cell);
                printf("  %s %s", columns[i].key, cell);
            }
        }
    }
    printf("\n\n");
    return more;
}

static int show_sinks(struct session *session)
{
    return show(session, "/api/sinks", "sinks", sink_columns, COUNT(sink_columns), NULL);
}

/* One object a look: {"runtime": ..., "feeds": ..., "sinks": ...}. */
static int show_top_as_json(struct session *session)
{
    session->inside = true;
    (void)fputs("{\"runtime\":", stdout);
    SL_TRY(show_runtime(session));
    (void)fputs(",\"feeds\":", stdout);
    SL_TRY(show_feeds(session));
    (void)fputs(",\"sinks\":", stdout);
    SL_TRY(show_sinks(session));
    return puts("}") == EOF ? SL_EPIPE : 0;
}

static int show_top(struct session *session)
{
    if (session->options->json) {
        return show_top_as_json(session);
    }
    if (isatty(STDOUT_FILENO) != 0) {
        printf("\033[H\033[2J");
    }
    SL_TRY(show_runtime(session));
    SL_TRY(show_feeds(session));
    printf("\n");
    return show_sinks(session);
}

static int cancel_on_stop(void *scope)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(scope, SL_CAUSE_STOP, "stopped");
    return 0;
}

/* Again and again, until somebody ends it or nobody reads. */
static int repeat(struct session *session, int (*once)(struct session *))
{
    sl_time every = session->options->every == 0 ? SL_SECONDS(1) : session->options->every;
    for (;;) {
        SL_TRY(once(session));
        if (fflush(stdout) != 0) {
            return SL_EPIPE;
        }
        if (session->options->once) {
            return 0;
        }
        SL_TRY(sl_sleep(every));
    }
}

static int top(struct session *session)
{
    return repeat(session, show_top);
}

static int feeds(struct session *session)
{
    return session->options->every == 0 ? show_feeds(session) : repeat(session, show_feeds);
}

static int tasks(struct session *session)
{
    return session->options->every == 0 ? show_tasks(session) : repeat(session, show_tasks);
}

/* The text as it stands in a query. */
static void put_query(char *url, size_t room, const char *name, const char *text)
{
    size_t length = strlen(url);
    int added =
        text == NULL ? 0 : snprintf(url + length, room - length, "%s%s=", strchr(url, '?') == NULL ? "?" : "&", name);
    length += added > 0 ? (size_t)added : 0;
    for (; text != NULL && *text != '\0' && length + 4 < room; text++) {
        length += (size_t)snprintf(url + length, room - length, "%%%02X", (unsigned char)*text);
    }
}

/* Events as they pass, a line each, until somebody ends it or nobody reads. */
static int tap(struct session *session)
{
    char path[URL_BYTES] = "/api/tap";
    char buffer[8192];
    size_t bytes = 0;
    int code = 0;
    put_query(path, sizeof path, "kind", session->options->kind);
    put_query(path, sizeof path, "venue", session->options->venue);
    put_query(path, sizeof path, "channel", session->options->channel);
    put_query(path, sizeof path, "instrument", session->options->instrument);
    sl_auto(sl_response) *response = NULL;
    SL_TRY(ask_with(session, path,
                    &(sl_request){.stream = true, .stream_bytes_max = SL_HTTP_UNLIMITED, .total_timeout = SL_NEVER},
                    &response));
    while (code == 0) {
        code = sl_response_read(response, buffer, sizeof buffer, &bytes);
        if (code == 0 && (fwrite(buffer, 1, bytes, stdout) != bytes || fflush(stdout) != 0)) {
            return SL_EPIPE;
        }
    }
    return code == SL_EOF ? 0 : code;
}

static int ctl(struct session *session)
{
    char body[1024];
    char path[128];
    sl_json_writer out;
    sl_json_text text;
    const struct sl_cli_arguments *arguments = session->arguments;
    sl_json_writer_init_in(&out, body, sizeof body);
    sl_json_begin_object(&out);
    static const char *const names[] = {NULL, "feed", "instrument"};
    for (size_t at = 1; at < COUNT(names) && at < arguments->operand_count; at++) {
        sl_json_put_key(&out, names[at]);
        sl_json_put_text(&out, arguments->operands[at]);
    }
    sl_json_end_object(&out);
    SL_TRY(sl_json_writer_finish(&out, &text));
    (void)snprintf(path, sizeof path, "/api/ctl/%s", arguments->operands[0]);
    sl_auto(sl_response) *response = NULL;
    SL_TRY(ask(session, path, text.data, &response));
    if (session->options->json) {
        printf("%s\n", sl_response_body(response, NULL));
    } else {
        printf("%s: done\n", arguments->operands[0]);
    }
    return 0;
}

/* The reasons of an answer of /readyz, a line each. */
static int tell_reasons(const char *body, size_t bytes)
{
    sl_auto(sl_json) *json = NULL;
    sl_json_text key, text;
    int more, type;
    SL_TRY(sl_json_new(0, &json));
    SL_TRY(sl_json_open(json, body, bytes, 0));
    SL_TRY(sl_json_enter_object(json));
    SL_TRY(sl_json_find_field(json, "reasons"));
    SL_TRY(sl_json_enter_array(json));
    while ((more = sl_json_next_element(json)) > 0) {
        SL_TRY(sl_json_enter_object(json));
        while ((type = sl_json_next_scalar(json, &key, &text)) > 0) {
            if (sl_json_is(key, "reason")) {
                (void)fprintf(stderr, "sluice: not ready: %.*s\n", (int)text.size_bytes, text.data);
            }
        }
        SL_TRY(type);
    }
    return more;
}

static int health(struct session *session)
{
    const char *path = session->options->ready ? "/readyz" : "/livez";
    char url[URL_BYTES];
    size_t bytes = 0;
    sl_auto(sl_response) *response = NULL;
    SL_TRY(ask_any(session, path, &(sl_request){.method = "GET"}, url, &response));
    const char *body = sl_response_body(response, &bytes);
    bool good = sl_response_status(response) == 200;
    if (!good && (sl_response_status(response) != 503 || !session->options->ready)) {
        return refused(response, url);
    }
    session->failed = !good;
    if (session->options->json) {
        return put_json(session, body, bytes);
    }
    if (good) {
        printf("%s\n", session->options->ready ? "ready" : "alive");
    }
    return good ? 0 : tell_reasons(body, bytes);
}

/* ---- running them ---- */

/* A failure in one line, for people. */
static int tell(struct session *session, int code)
{
    const sl_error *error = sl_error_last();
    if (code >= 0 || code == SL_ECANCELED) {
        return code;
    }
    session->failed = true;
    (void)fprintf(stderr, "sluice: %s\n", sl_error_code(error) == code ? sl_error_message(error) : sl_strerror(code));
    return 0;
}

static int work(void *arg)
{
    struct session *session = arg;
    SL_SCOPE(scope, .name = "watch", .move_on = true);
    SL_TRY(sl_spawn(&scope, cancel_on_stop, &scope, .name = "stop", .daemon = true));
    int code = session->run(session);
    /* Nobody reads any more: an end as good as any. */
    return sl_scope_close(&scope, code == SL_EPIPE ? 0 : tell(session, code));
}

static int open_and_work(void *arg)
{
    struct session *session = arg;
    const char *token = session->options->token == NULL ? getenv(TOKEN_VARIABLE) : session->options->token;
    if (token != NULL) {
        (void)snprintf(session->authorization, sizeof session->authorization, "Bearer %s", token);
    }
    SL_TRY(sl_http_client_open(
        &(struct sl_http_client_options){.user_agent = "sluice", .total_timeout = SL_SECONDS(10)}, &session->client));
    int code = work(session);
    sl_http_client_free(session->client);
    sl_table_memory_free(&session->feeds);
    sl_table_memory_free(&session->instruments);
    return code;
}

static int run(const struct sl_cli_arguments *arguments, int (*command)(struct session *))
{
    struct session session = {.options = arguments->options, .arguments = arguments, .run = command};
    int status = sl_main(open_and_work, &session);
    return status == 0 && session.failed ? SL_EXIT_FAILED : status;
}

static int run_top(const struct sl_cli_arguments *arguments)
{
    return run(arguments, top);
}

static int run_feeds(const struct sl_cli_arguments *arguments)
{
    return run(arguments, feeds);
}

static int run_tasks(const struct sl_cli_arguments *arguments)
{
    return run(arguments, tasks);
}

static int run_tap(const struct sl_cli_arguments *arguments)
{
    return run(arguments, tap);
}

static int run_ctl(const struct sl_cli_arguments *arguments)
{
    return run(arguments, ctl);
}

static int run_health(const struct sl_cli_arguments *arguments)
{
    return run(arguments, health);
}

#define ASKS                                                                                                           \
    {SL_CLI_OPTION("admin", struct watch, admin), .type = SL_CLI_TEXT, .value = "URL",                                 \
     .default_text = "http://127.0.0.1:8080", .help = "the admin endpoint of the process"},                            \
        {SL_CLI_OPTION("token", struct watch, token), .type = SL_CLI_TEXT,                                             \
         .help = "of the endpoint; better in the variable " TOKEN_VARIABLE},                                           \
    {                                                                                                                  \
        SL_CLI_OPTION("json", struct watch, json), .type = SL_CLI_FLAG, .help = "as JSON, a line for each look"        \
    }

#define EVERY                                                                                                          \
    {                                                                                                                  \
        SL_CLI_OPTION("every", struct watch, every), .type = SL_CLI_DURATION, .min = 100000000,                        \
                                                     .max = UINT64_C(3600000000000), .range = "100ms to 1h",           \
                                                     .help = "again after this long"                                   \
    }

static const struct sl_cli_option top_options[] = {
    ASKS,
    EVERY,
    {SL_CLI_OPTION("once", struct watch, once), .type = SL_CLI_FLAG, .help = "one look, not again and again"}};
static const struct sl_cli_option view_options[] = {ASKS, EVERY};
static const struct sl_cli_option tap_options[] = {
    ASKS,
    {SL_CLI_OPTION("kind", struct watch, kind), .type = SL_CLI_TEXT, .help = "only these, such as trade, best or gap"},
    {SL_CLI_OPTION("channel", struct watch, channel), .type = SL_CLI_TEXT,
     .help = "only these, such as trades or book"},
    {SL_CLI_OPTION("venue", struct watch, venue), .type = SL_CLI_TEXT, .help = "only of this one, such as okx"},
    {SL_CLI_OPTION("instrument", struct watch, instrument), .type = SL_CLI_TEXT,
     .help = "only of this one: a symbol, a name, or a pattern such as BTC-*"}};
static const struct sl_cli_option feed_options[] = {ASKS,
                                                    EVERY,
                                                    {SL_CLI_OPTION("find", struct watch, find), .type = SL_CLI_TEXT,
                                                     .help = "only instruments that have this in their name"},
                                                    {SL_CLI_OPTION("state", struct watch, state), .type = SL_CLI_TEXT,
                                                     .help = "only instruments in this state, such as stale"}};
static const struct sl_cli_option ctl_options[] = {ASKS};
static const struct sl_cli_option health_options[] = {
    ASKS,
    {SL_CLI_OPTION("ready", struct watch, ready), .type = SL_CLI_FLAG, .help = "whether it is ready, not only alive"}};
static const char *const ctl_actions[] = {"reload",  "drain", "pause",  "resume", "resync",
                                          "restart", "add",   "remove", NULL};

const struct sl_cli_command sl__command_top = {.name = "top",
                                               .summary = "a running process at a glance, again and again",
                                               SL_CLI_OPTIONS(top_options, struct watch),
                                               .run = run_top};
const struct sl_cli_command sl__command_feeds = {.name = "feeds",
                                                 .summary = "the feeds of a running process",
                                                 .description =
                                                     "With the name of a service: its instruments, 500 at most.",
                                                 .operands = "[SERVICE]",
                                                 .operand_max = 1,
                                                 SL_CLI_OPTIONS(feed_options, struct watch),
                                                 .run = run_feeds};
const struct sl_cli_command sl__command_tasks = {.name = "tasks",
                                                 .summary = "the task tree of a running process",
                                                 SL_CLI_OPTIONS(view_options, struct watch),
                                                 .run = run_tasks};
const struct sl_cli_command sl__command_tap = {
    .name = "tap",
    .summary = "the events of a running process as they pass",
    .description =
        "Prints each event as a JSON object, a line each. What comes faster than it is read is left out, which is "
        "told: {\"dropped\": 17}.",
    SL_CLI_OPTIONS(tap_options, struct watch),
    .run = run_tap};
const struct sl_cli_command sl__command_ctl = {
    .name = "ctl",
    .summary = "tell a running process what to do",
    .description =
        "ACTION is one that the process has: reload, drain, pause, resume, resync, restart, add, remove. The last\n"
        "six want the name of a service, as `sluice feeds` shows it; resync may have an instrument behind it, add\n"
        "and remove must. It needs the token of the endpoint.",
    .operands = "ACTION [SERVICE [INSTRUMENT]]",
    .operand_min = 1,
    .operand_max = 3,
    .operand_choices = ctl_actions,
    SL_CLI_OPTIONS(ctl_options, struct watch),
    .run = run_ctl};
const struct sl_cli_command sl__command_health = {
    .name = "health",
    .summary = "whether a running process is alive: for health checks of containers",
    .description = "The exit status is 0 when it is, and 1 when it is not or does not answer.",
    SL_CLI_OPTIONS(health_options, struct watch),
    .run = run_health};
