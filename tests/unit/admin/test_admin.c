/* SPDX-License-Identifier: MIT */
/* The admin endpoint over real sockets: who is let in, what is answered, draining, live views. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/admin.h"
#include "sluice/json.h"
#include "sluice/sync.h"
#include "tls_pair.h"

#define TOKEN "0123456789abcdef"
#define TEXT_BYTES ((size_t)256 << 10)

struct world {
    sl_admin *admin;
    char *text; /* the last answer, head and body */
    bool unwell;
    uint64_t views_written;
    char param[32];
    int action_code;
    sl_event release;
};

/* ---- what is registered ---- */

static void view_number(void *arg, sl_json_writer *out)
{
    struct world *world = arg;
    sl_json_begin_object(out);
    sl_json_put_key(out, "n");
    sl_json_put_uint64(out, ++world->views_written);
    sl_json_end_object(out);
}

static void view_still(void *arg, sl_json_writer *out)
{
    (void)arg;
    sl_json_put_text(out, "same");
}

static void view_broken(void *arg, sl_json_writer *out)
{
    (void)arg;
    sl_json_begin_object(out);
}

static int act(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    struct world *world = arg;
    SL_TRY(sl_admin_param(request, "feed", world->param, sizeof world->param));
    if (world->action_code < 0) {
        return sl_fail(world->action_code, "it says no");
    }
    if (strcmp(world->param, "tell") == 0) {
        sl_json_put_text(out, world->param);
    }
    return 0;
}

static int handle_raw(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, "text/plain", "raw", 3);
}

static bool check_health(void *arg, char *reason, size_t room)
{
    const struct world *world = arg;
    (void)snprintf(reason, room, "feed \"x\" is away");
    return !world->unwell;
}

/* ---- asking ---- */

static int ask_raw(struct world *world, const char *request)
{
    sl_auto(sl_stream) *stream = NULL;
    size_t length = 0;
    SL_TRY(sl_connect("127.0.0.1", sl_admin_port(world->admin), &stream));
    SL_TRY(sl_stream_write(stream, request, strlen(request)));
    int code = 0;
    while (code == 0) {
        size_t bytes = 0;
        code = sl_stream_read(stream, world->text + length, TEXT_BYTES - 1 - length, &bytes);
        length += code == 0 ? bytes : 0;
    }
    world->text[length] = '\0';
    return code == SL_EOF ? 0 : code;
}

/* The status of the answer. `more`: header lines. */
static int ask(struct world *world, const char *method, const char *target, const char *more, const char *body)
{
    char request[2048];
    (void)snprintf(request, sizeof request, "%s %s HTTP/1.1\r\n%sConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
                   method, target, strstr(more, "Host:") == NULL ? "Host: localhost:1\r\n" : "", strlen(body), more,
                   body);
    SL_TRY(ask_raw(world, request));
    return strncmp(world->text, "HTTP/1.1 ", 9) == 0
               ? (world->text[9] - '0') * 100 + (world->text[10] - '0') * 10 + (world->text[11] - '0')
               : SL_EPROTO;
}

static int get(struct world *world, const char *target)
{
    return ask(world, "GET", target, "", "");
}

static const char *body_of(const struct world *world)
{
    const char *end = strstr(world->text, "\r\n\r\n");
    return end == NULL ? "" : end + 4;
}

#define AUTHORIZED "Authorization: Bearer " TOKEN "\r\n"

/* ---- the world ---- */

static int open_world(sl_scope *scope, struct world *world, const struct sl_admin_options *options)
{
    memset(world, 0, sizeof *world);
    sl_event_init(&world->release);
    world->text = sl_malloc(TEXT_BYTES);
    CHECK(world->text != NULL);
    CHECK_EQ(sl_admin_open(options, &world->admin), 0);
    CHECK_EQ(sl_admin_add(world->admin, "/api/number", view_number, world), 0);
    CHECK_EQ(sl_admin_add(world->admin, "/api/still", view_still, NULL), 0);
    CHECK_EQ(sl_admin_add(world->admin, "/api/broken", view_broken, NULL), 0);
    CHECK_EQ(sl_admin_add_action(world->admin, "/api/ctl/act", act, world), 0);
    CHECK_EQ(sl_admin_add_check(world->admin, "feed", check_health, world), 0);
    return sl_spawn(scope, sl_admin_run, world->admin, .name = "admin", .daemon = true);
}

static int close_world(sl_scope *scope, struct world *world)
{
    CHECK_EQ(sl_scope_wait(scope), 0);
    sl_admin_free(world->admin);
    sl_free(world->text);
    return 0;
}

C_TEST_REAL_FEW(admin_health, "health follows start, checks and draining, at once", "")
{
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN}), 0);
    CHECK_EQ(get(&world, "/livez"), 200);
    CHECK_STRING(body_of(&world), "{\"live\":true}");
    CHECK_EQ(get(&world, "/startupz"), 503);
    CHECK_EQ(get(&world, "/readyz"), 503);
    CHECK(strstr(body_of(&world), "\"check\":\"start\"") != NULL);
    sl_admin_started(world.admin);
    CHECK_EQ(get(&world, "/startupz"), 200);
    CHECK_EQ(get(&world, "/readyz"), 200);
    CHECK_STRING(body_of(&world), "{\"reasons\":[],\"ready\":true}");
    world.unwell = true;
    CHECK_EQ(get(&world, "/readyz"), 503);
    CHECK_STRING(body_of(&world),
                 "{\"reasons\":[{\"check\":\"feed\",\"reason\":\"feed \\\"x\\\" is away\"}],\"ready\":false}");
    sl_admin_remove(world.admin, "feed");
    CHECK_EQ(get(&world, "/readyz"), 200);
    CHECK_EQ(ask(&world, "HEAD", "/readyz", "", ""), 200);
    CHECK_STRING(body_of(&world), "");
    sl_admin_drain(world.admin);
    CHECK_EQ(get(&world, "/readyz"), 503);
    CHECK(strstr(body_of(&world), "\"check\":\"drain\"") != NULL);
    CHECK_EQ(get(&world, "/livez"), 200);
    return close_world(&scope, &world);
}

/* A program that was asked to stop takes its time, and one can watch it. */
static int linger(void *arg)
{
    struct world *world = arg;
    SL_TRY(sl_stop_wait());
    sl_time asked = sl_now();
    while (get(world, "/readyz") != 503) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    CHECK(sl_now() - asked < SL_MILLISECONDS(100));
    CHECK_EQ(get(world, "/api/runtime"), 200);
    CHECK(strstr(body_of(world), "\"state\":\"draining\"") != NULL);
    return 0;
}

C_TEST_REAL_FEW(admin_serves_while_stopping, "a stop turns /readyz to 503 within 100 ms, and it serves until the end",
                "")
{
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN}), 0);
    sl_admin_started(world.admin);
    CHECK_EQ(sl_spawn(&scope, linger, &world), 0);
    CHECK_EQ(get(&world, "/readyz"), 200);
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(20)), 0);
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_token, "what changes something needs the token; reading needs it where others can reach it", "")
{
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN}), 0);
    static const char feed[] = "{\"feed\":\"btc\"}";
    static const char *const wrong[] = {"",
                                        "Authorization: Bearer\r\n",
                                        "Authorization: Bearer \r\n",
                                        "Authorization: Bearer 0123456789abcdeF\r\n",
                                        "Authorization: Bearer 0123456789abcde\r\n",
                                        "Authorization: Bearer " TOKEN TOKEN "\r\n",
                                        "Authorization: Basic " TOKEN "\r\n",
                                        "Authorization: " TOKEN "\r\n",
                                        "Cookie: token=" TOKEN "\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_EQ(ask(&world, "POST", "/api/ctl/act", wrong[i], feed), 401);
        CHECK(strstr(world.text, "WWW-Authenticate: Bearer") != NULL);
    }
    CHECK_STRING(world.param, "");
    CHECK_EQ(sl_admin_get_counts(world.admin)->unauthorized, sizeof wrong / sizeof wrong[0]);
    CHECK_EQ(ask(&world, "POST", "/api/ctl/act", AUTHORIZED, feed), 200);
    CHECK_STRING(body_of(&world), "{\"ok\":true}");
    CHECK_STRING(world.param, "btc");
    CHECK_EQ(get(&world, "/api/number"), 200);
    CHECK_EQ(sl_admin_set_token(world.admin, "another-token-of-20"), 0);
    CHECK_EQ(ask(&world, "POST", "/api/ctl/act", AUTHORIZED, feed), 401);
    CHECK_EQ(sl_admin_set_token(world.admin, "short"), SL_EINVAL);
    CHECK_EQ(sl_admin_set_token(world.admin, NULL), 0);
    CHECK_EQ(ask(&world, "POST", "/api/ctl/act", "Authorization: Bearer another-token-of-20\r\n", feed), 401);
    CHECK(strstr(world.text, "no token is set") != NULL);
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_guards_reads, "with guard_reads, and anywhere but on loopback, only health and page are open", "")
{
    static const struct sl_admin_asset page = {"/", "text/html", "<p>", 3};
    static const char *const paths[] = {
        "/metrics",    "/api/",       "/api/tasks", "/api/number", "/api/logs", "/nothing", "/api/events?views=number",
        "/api/schema", "/api/runtime"};
    for (int i = 0; i < 2; i++) {
        struct world world;
        SL_SCOPE(scope);
        struct sl_admin_options options = {.address = i == 0 ? "127.0.0.1" : "0.0.0.0",
                                           .token = TOKEN,
                                           .guard_reads = i == 0,
                                           .assets = &page,
                                           .asset_count = 1};
        CHECK_EQ(open_world(&scope, &world, &options), 0);
        sl_admin_started(world.admin);
        for (size_t path = 0; path < sizeof paths / sizeof paths[0]; path++) {
            CHECK_EQ(get(&world, paths[path]), 401);
        }
        CHECK_EQ(get(&world, "/livez"), 200);
        CHECK_EQ(get(&world, "/readyz"), 200);
        CHECK_EQ(get(&world, "/"), 200);
        CHECK_STRING(body_of(&world), "<p>");
        CHECK_EQ(ask(&world, "GET", "/api/number", AUTHORIZED, ""), 200);
        CHECK_EQ(close_world(&scope, &world), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(admin_refuses_to_open, "others could reach it without a token: it does not start", "")
{
    sl_admin *admin = NULL;
    static const char *const reachable[] = {"0.0.0.0", "::", "192.0.2.1", "127.0.0.1.example", "1270.0.1"};
    for (size_t i = 0; i < sizeof reachable / sizeof reachable[0]; i++) {
        CHECK_EQ(sl_admin_open(&(struct sl_admin_options){.address = reachable[i]}, &admin), SL_EINVAL);
        CHECK(strstr(sl_error_message(sl_error_last()), "needs a token") != NULL);
    }
    CHECK_EQ(sl_admin_open(&(struct sl_admin_options){.guard_reads = true}, &admin), SL_EINVAL);
    CHECK_EQ(sl_admin_open(&(struct sl_admin_options){.token = "short"}, &admin), SL_EINVAL);
    CHECK_EQ(sl_admin_open(&(struct sl_admin_options){.token = "with a space in it"}, &admin), SL_EINVAL);
    CHECK_EQ(sl_admin_open(&(struct sl_admin_options){.address = "127.8.9.1"}, &admin), 0);
    sl_admin *second = NULL;
    struct sl_admin_options options = {.address = "127.8.9.1", .port = sl_admin_port(admin)};
    CHECK_EQ(sl_admin_open(&options, &second), -EADDRINUSE);
    options.any_port = true;
    CHECK_EQ(sl_admin_open(&options, &second), 0);
    CHECK(sl_admin_port(second) != sl_admin_port(admin));
    sl_admin_free(second);
    sl_admin_free(admin);
    sl_admin_free(NULL);
    char one[SL_ADMIN_TOKEN_BYTES];
    char two[SL_ADMIN_TOKEN_BYTES];
    CHECK_EQ(sl_admin_make_token(one), 0);
    CHECK_EQ(sl_admin_make_token(two), 0);
    CHECK(strlen(one) == 32 && strcmp(one, two) != 0);
    return 0;
}

C_TEST_REAL_FEW(admin_host, "a Host that is neither an address nor ours is refused, whatever is asked", "")
{
    struct world world;
    static const char *const hosts[] = {"sluice.example", NULL};
    static const char *const fine[] = {"localhost", "LOCALHOST:8080", "127.0.0.1",           "127.0.0.1:99", "[::1]",
                                       "[::1]:80",  "sluice.example", "Sluice.Example:8080", "10.1.2.3:4"};
    static const char *const bad[] = {
        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "[::1", "[::1]x",
        "localhostx",   "sluice.example.",        "xsluice.example:1"};
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.hosts = hosts, .token = TOKEN}), 0);
    char header[128];
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        (void)snprintf(header, sizeof header, "Host: %s\r\n", fine[i]);
        CHECK_EQ(ask(&world, "GET", "/api/still", header, ""), 200);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(header, sizeof header, "Host: %s\r\n" AUTHORIZED, bad[i]);
        int status = ask(&world, "GET", i % 2 == 0 ? "/api/still" : "/livez", header, "");
        CHECK(status == 421 || status == 400); /* the HTTP server refuses what is no host at all */
        CHECK(strstr(body_of(&world), "same") == NULL);
    }
    CHECK(sl_admin_get_counts(world.admin)->misdirected >= 6);
    CHECK_EQ(ask_raw(&world, "GET /api/still HTTP/1.0\r\n\r\n"), 0);
    CHECK(strncmp(world.text, "HTTP/1.1 421 ", 13) == 0);
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_views, "views, unknown paths, methods, and the headers of every answer", "")
{
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN, .name = "t", .version = "1"}), 0);
    CHECK_EQ(get(&world, "/api/number"), 200);
    CHECK_STRING(body_of(&world), "{\"n\":1}");
    CHECK(strstr(world.text, "Content-Type: application/json\r\n") != NULL);
    CHECK(strstr(world.text, "\r\nContent-Security-Policy: default-src 'none'; ") != NULL);
    CHECK(strstr(world.text, "\r\nX-Content-Type-Options: nosniff\r\n") != NULL);
    CHECK(strstr(world.text, "\r\nCache-Control: no-store\r\n") != NULL);
    CHECK(strstr(world.text, "Access-Control") == NULL);
    CHECK_EQ(get(&world, "/api/number?x=y"), 200);
    CHECK_STRING(body_of(&world), "{\"n\":2}");
    CHECK_EQ(get(&world, "/api/broken"), 500);
    CHECK_EQ(sl_admin_add_handler(world.admin, "/api/raw", handle_raw, NULL), 0);
    CHECK_EQ(sl_admin_add_handler(world.admin, "/api/raw", handle_raw, NULL), SL_EEXIST);
    CHECK_EQ(sl_admin_add(world.admin, "/api/raw", view_still, NULL), SL_EEXIST);
    CHECK_EQ(get(&world, "/api/raw"), 200);
    CHECK_STRING(body_of(&world), "raw");
    CHECK_EQ(ask(&world, "POST", "/api/raw", "", ""), 401);
    sl_admin_remove(world.admin, "/api/raw");
    CHECK_EQ(get(&world, "/api/raw"), 404);
    CHECK_EQ(get(&world, "/api/"), 200);
    CHECK(strstr(body_of(&world), "\"/api/number\"") != NULL && strstr(body_of(&world), "\"/api/ctl/act\"") != NULL);
    CHECK_EQ(get(&world, "/api/version"), 200);
    CHECK(strstr(body_of(&world), "{\"name\":\"t\",\"version\":\"1\",\"pid\":") != NULL);
    CHECK_EQ(get(&world, "/api/tasks"), 200);
    CHECK(strstr(body_of(&world), "\"name\":\"admin\"") != NULL && strstr(body_of(&world), "\"wait\":\"") != NULL);
    CHECK_EQ(get(&world, "/api/runtime"), 200);
    CHECK(strstr(body_of(&world), "\"turn_seconds\":{\"p50\":") != NULL);
    CHECK_EQ(get(&world, "/api/schema"), 200);
    CHECK(strstr(body_of(&world), "\"/api/feeds\"") != NULL);
    CHECK_EQ(get(&world, "/"), 404);
    CHECK_EQ(get(&world, "/api/none"), 404);
    CHECK_EQ(get(&world, "/metrics"), 404);
    CHECK_EQ(get(&world, "/api/logs"), 404);
    CHECK_EQ(get(&world, "/api/ctl/act"), 405);
    CHECK(strstr(world.text, "\r\nAllow: POST\r\n") != NULL);
    CHECK_EQ(ask(&world, "POST", "/api/number", AUTHORIZED, ""), 405);
    CHECK(strstr(world.text, "\r\nAllow: GET, HEAD\r\n") != NULL);
    CHECK_EQ(ask(&world, "DELETE", "/api/ctl/act", AUTHORIZED, ""), 405);
    CHECK_EQ(ask(&world, "POST", "/api/ctl/none", AUTHORIZED, ""), 404);
    sl_admin_remove(world.admin, "/api/number");
    sl_admin_remove(world.admin, "/api/ctl/act");
    CHECK_EQ(get(&world, "/api/number"), 404);
    CHECK_EQ(ask(&world, "POST", "/api/ctl/act", AUTHORIZED, ""), 404);
    CHECK_EQ(sl_admin_add(world.admin, "/api/still", view_still, NULL), SL_EEXIST);
    CHECK_EQ(sl_admin_add(world.admin, "/api/logs", view_still, NULL), SL_EEXIST);
    CHECK_EQ(sl_admin_add(world.admin, "/other", view_still, NULL), SL_EINVAL);
    CHECK_EQ(sl_admin_add_action(world.admin, "/api/a b", act, NULL), SL_EINVAL);
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_actions, "parameters, results and errors of actions", "")
{
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN}), 0);
    static const struct {
        const char *body;
        int code, status;
        const char *wanted;
    } cases[] = {
        {"{\"a\":[1],\"feed\":\"tell\"}", 0, 200, "\"tell\""},
        {"{\"feed\":12.50}", 0, 200, "{\"ok\":true}"},
        {"", 0, 404, "\"code\":\"SL_ENOENT\""},
        {"{}", 0, 404, "\"code\":\"SL_ENOENT\""},
        {"[]", 0, 400, "no JSON object"},
        {"{\"feed\":", 0, 400, "\"code\":\"SL_EINVAL\""},
        {"{\"feed\":{}}", 0, 400, "is no text"},
        {"{\"feed\":\"a\\u0000b\"}", 0, 400, "is no text"},
        {"{\"feed\":\"0123456789012345678901234567890\"}", 0, 200, "ok"},
        {"{\"feed\":\"01234567890123456789012345678901\"}", 0, 400, "longer than 31 bytes"},
        {"{\"feed\":\"x\"}", SL_EINVAL, 400, "it says no"},
        {"{\"feed\":\"x\"}", SL_ENOENT, 404, "it says no"},
        {"{\"feed\":\"x\"}", SL_EBUSY, 409, "\"code\":\"SL_EBUSY\",\"message\":\"it says no\""},
        {"{\"feed\":\"x\"}", SL_ENOTSUP, 501, "it says no"},
        {"{\"feed\":\"x\"}", SL_EPIPE, 500, "it says no"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world.action_code = cases[i].code;
        CHECK_EQ(ask(&world, "POST", "/api/ctl/act", AUTHORIZED, cases[i].body), cases[i].status);
        CHECK(strstr(body_of(&world), cases[i].wanted) != NULL);
    }
    CHECK_EQ(sl_admin_get_counts(world.admin)->failed_actions, 12);
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_metrics_and_logs, "metrics and log lines, with their filters", "")
{
    struct world world;
    sl_auto(sl_metrics) *metrics = NULL;
    sl_logger *logger = NULL;
    FILE *sink = fopen("/dev/null", "we");
    CHECK(sink != NULL);
    CHECK_EQ(sl_metrics_open(NULL, &metrics), 0);
    CHECK_EQ(sl_metrics_add_runtime(metrics), 0);
    CHECK_EQ(sl_logger_open(&(struct sl_logger_options){.level = SL_LOG_DEBUG, .descriptor = fileno(sink)}, &logger),
             0);
    CHECK_EQ(sl_logger_attach(logger), 0);
    SL_SCOPE(scope);
    CHECK_EQ(
        open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN, .metrics = metrics, .logger = logger}),
        0);
    CHECK_EQ(get(&world, "/metrics"), 200);
    CHECK(strstr(world.text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") != NULL);
    CHECK(strstr(body_of(&world), "\nsluice_runtime_tasks{state=\"parked\"} ") != NULL);
    sl_log(SL_LOG_ERROR, "one");
    sl_log(SL_LOG_INFO, "two");
    sl_log(SL_LOG_DEBUG, "three");
    CHECK_EQ(get(&world, "/api/logs"), 200);
    CHECK(strstr(body_of(&world), "{\"lines\":[{\"sequence\":1,\"time\":\"") != NULL);
    CHECK(strstr(body_of(&world), "\"message\":\"three\"}]}") != NULL);
    CHECK_EQ(get(&world, "/api/logs?after=1&level=info"), 200);
    CHECK(strstr(body_of(&world), "one") == NULL && strstr(body_of(&world), "two") != NULL &&
          strstr(body_of(&world), "three") == NULL);
    CHECK_EQ(get(&world, "/api/logs?lines=1"), 200);
    CHECK(strstr(body_of(&world), "two") == NULL && strstr(body_of(&world), "three") != NULL);
    for (int i = 0; i < 2; i++) { /* the same again is a line of its own, and says whom it was about */
        CHECK_EQ(ask(&world, "POST", "/api/ctl/act", AUTHORIZED, "{\"feed\":\"books\"}"), 200);
    }
    CHECK_EQ(get(&world, "/api/logs?lines=2"), 200);
    CHECK(strstr(body_of(&world), "books") != NULL && strstr(strstr(body_of(&world), "books") + 5, "books") != NULL);
    CHECK_EQ(get(&world, "/api/logs?after=x"), 400);
    CHECK_EQ(get(&world, "/api/logs?level=loud"), 400);
    CHECK_EQ(get(&world, "/api/logs?lines=-1"), 400);
    CHECK_EQ(close_world(&scope, &world), 0);
    sl_logger_close(logger);
    (void)fclose(sink);
    return 0;
}

/* ---- live views ---- */

static int read_until(sl_stream *stream, char *text, size_t *length, const char *wanted)
{
    while (strstr(text, wanted) == NULL) {
        size_t bytes = 0;
        SL_TRY(sl_stream_read(stream, text + *length, TEXT_BYTES - 1 - *length, &bytes));
        *length += bytes;
        text[*length] = '\0';
    }
    return 0;
}

static int listen_to(const struct world *world, const char *target, sl_stream **ret_stream)
{
    char request[512];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target);
    SL_TRY(sl_connect("127.0.0.1", sl_admin_port(world->admin), ret_stream));
    return sl_stream_write(*ret_stream, request, (size_t)length);
}

C_TEST_REAL_FEW(admin_events, "each named view once a second for all, only changes, only while somebody listens", "")
{
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN}), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1100)), 0);
    CHECK_EQ(world.views_written, 0); /* nobody listens */
    sl_time started = sl_now();
    sl_stream *streams[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(listen_to(&world, "/api/events?views=number,still,none", &streams[i]), 0);
    }
    size_t length = 0;
    world.text[0] = '\0';
    CHECK_EQ(read_until(streams[0], world.text, &length, "{\"n\":3}"), 0);
    CHECK(strstr(world.text, "Content-Type: text/event-stream\r\n") != NULL);
    CHECK(strstr(world.text, "{\"n\":1}") != NULL && strstr(world.text, "{\"n\":2}") != NULL);
    const char *still = strstr(world.text, "\"same\"");
    CHECK(still != NULL && strstr(still + 1, "\"same\"") == NULL); /* it does not change */
    sl_time took = sl_now() - started;
    CHECK(took > SL_MILLISECONDS(900) && took < SL_SECONDS(5));
    CHECK_EQ(sl_admin_get_counts(world.admin)->listeners, 3);
    CHECK(world.views_written <= 3 + (uint64_t)(took / SL_SECONDS(1))); /* three listen, one writing serves them all */
    for (int i = 0; i < 3; i++) {
        sl_stream_close(streams[i]);
    }
    while (sl_admin_get_counts(world.admin)->listeners > 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    uint64_t written = world.views_written;
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1100)), 0);
    CHECK_EQ(world.views_written, written);
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_events_bounded, "no more than so many listen; what is no list of views is refused", "")
{
    struct world world;
    sl_stream *streams[SL_ADMIN_LISTENERS_MAX] = {NULL};
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.token = TOKEN}), 0);
    CHECK_EQ(get(&world, "/api/events"), 400);
    CHECK_EQ(get(&world, "/api/events?views=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), 400);
    CHECK_EQ(ask(&world, "HEAD", "/api/events?views=a", "", ""), 405);
    for (size_t i = 0; i < SL_ADMIN_LISTENERS_MAX; i++) {
        CHECK_EQ(listen_to(&world, "/api/events?views=still", &streams[i]), 0);
    }
    while (sl_admin_get_counts(world.admin)->listeners < SL_ADMIN_LISTENERS_MAX) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(get(&world, "/api/events?views=still"), 503);
    CHECK_EQ(get(&world, "/api/still"), 200);
    for (size_t i = 0; i < SL_ADMIN_LISTENERS_MAX; i++) {
        sl_stream_close(streams[i]);
    }
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_page, "files of the page, and what a browser has already", "")
{
    static const struct sl_admin_asset files[] = {{"/", "text/html; charset=utf-8", "<!doctype html>", 15},
                                                  {"/app.js", "text/javascript", "1;", 2}};
    struct world world;
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.assets = files, .asset_count = 2}), 0);
    CHECK_EQ(get(&world, "/"), 200);
    CHECK_STRING(body_of(&world), "<!doctype html>");
    const char *tag = strstr(world.text, "ETag: ");
    CHECK(tag != NULL);
    char header[64];
    (void)snprintf(header, sizeof header, "If-None-Match: %.18s\r\n", tag + 6);
    CHECK_EQ(ask(&world, "GET", "/", header, ""), 304);
    CHECK_EQ(ask(&world, "GET", "/app.js", header, ""), 200);
    CHECK_STRING(body_of(&world), "1;");
    return close_world(&scope, &world);
}

C_TEST_REAL_FEW(admin_over_tls, "https with a certificate of its own", "")
{
    struct world world;
    sl_auto(sl_tls_config) *server = NULL;
    sl_auto(sl_tls_config) *client = NULL;
    struct sl_tls_options server_options = tls_server_options(TLS_SERVER);
    struct sl_tls_options client_options = tls_client_options();
    CHECK_EQ(sl_tls_config_open(&server_options, &server), 0);
    CHECK_EQ(sl_tls_config_open(&client_options, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(open_world(&scope, &world, &(struct sl_admin_options){.tls = server, .token = TOKEN}), 0);
    sl_auto(sl_stream) *stream = NULL;
    struct sl_connect_options options = {
        .address = "127.0.0.1", .port = sl_admin_port(world.admin), .tls = client, .server_name = "server.test"};
    CHECK_EQ(sl_connect_with(&options, &stream), 0);
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    CHECK_EQ(sl_stream_write(stream, request, sizeof request - 1), 0);
    size_t length = 0;
    world.text[0] = '\0';
    CHECK_EQ(read_until(stream, world.text, &length, "{\"live\":true}"), 0);
    return close_world(&scope, &world);
}

static int open_whole(void)
{
    sl_admin *admin = NULL;
    static const char *const hosts[] = {"a", "b", NULL};
    int code = sl_admin_open(&(struct sl_admin_options){.token = TOKEN, .hosts = hosts}, &admin);
    sl_admin_free(admin);
    return code;
}

C_TEST_REAL_FEW(admin_without_memory, "opening fails whole at each allocation", "")
{
    int failures = 0;
    for (int64_t n = 0;; n++) {
        int64_t held = sl_memory_held();
        sl_memory_fail_after(n);
        int code = open_whole();
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        if (!failed) {
            CHECK_EQ(code, 0);
            break;
        }
        CHECK_EQ(code, SL_ENOMEM);
        CHECK(sl_memory_held() <= held + 1); /* the error that is told of */
        failures++;
    }
    CHECK(failures >= 5);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(admin_health), cmocka_unit_test(admin_serves_while_stopping),
             cmocka_unit_test(admin_token), cmocka_unit_test(admin_guards_reads),
             cmocka_unit_test(admin_refuses_to_open), cmocka_unit_test(admin_host), cmocka_unit_test(admin_views),
             cmocka_unit_test(admin_actions), cmocka_unit_test(admin_metrics_and_logs), cmocka_unit_test(admin_events),
             cmocka_unit_test(admin_events_bounded), cmocka_unit_test(admin_page), cmocka_unit_test(admin_over_tls),
             cmocka_unit_test(admin_without_memory))
