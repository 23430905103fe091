/* SPDX-License-Identifier: MIT */
/* Simulated venues into SQLite, in one process. See demo.h. */
#include "ingest/demo/demo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/console/console.h"
#include "ingest/demo/demo_verdict.h"
#include "ingest/program/program.h"
#include "sluice/lock.h"
#include "sluice/runtime.h"
#include "sluice/thread.h"

/* What one venue's part of the configuration takes, and all of it. */
#define VENUE_BYTES 1024
#define CONFIG_BYTES (4 * VENUE_BYTES)
#define LINE_BYTES 512

#define LOCK_KEY "sluice:demo"

/* After this long it is told that the lock is waited for. */
#define LOCK_PATIENCE SL_MILLISECONDS(500)

/* Between two live lines; how long what was sent last may take to arrive, and all to be well before that. */
#define TICK SL_SECONDS(1)
#define SETTLE_STEP SL_MILLISECONDS(20)
#define SETTLE_STEPS 25
#define HEAL_STEPS 1000
#define END_ROUNDS 10

/* No connection of a captured session is cut so shortly before its end. */
#define LAST_CUT SL_MILLISECONDS(2500)

/* A sink that takes nothing for so long ends the demo: its feeds wait for it. */
#define SINK_PATIENCE SL_SECONDS(3)

static const sl_venue all_venues[] = {SL_VENUE_BINANCE_USDM, SL_VENUE_COINBASE, SL_VENUE_KRAKEN};
#define VENUES (sizeof all_venues / sizeof *all_venues)

struct demo {
    const struct sl_demo_options *options;
    size_t venues;               /* the first ones of all_venues */
    sl_instruments *instruments; /* the exchange's */
    sl_captured *captured;       /* what it plays; NULL */
    sl_simulated *exchange;
    sl_config *config;
    sl_board *board;
    sl_program_parts *parts;
    uint64_t messages;            /* of the captured session */
    uint64_t trades;              /* that truly happened, since all were subscribed to */
    struct sl_demo_trades *truth; /* by the instrument's index */
    bool calm;                    /* nothing is cut any more */
    bool judged, unheard, stuck;
    struct sl_demo_verdict verdict;
    char problem[SL_SINK_PROBLEM_MAX]; /* of the sink, "" */
    char text[CONFIG_BYTES];
};

/* ---- the configuration ---- */

static size_t write_venue(const struct demo *demo, sl_venue venue, char *text, size_t room)
{
    const char *name = sl_venue_name(venue);
    return (size_t)snprintf(text, room,
                            "  %s-trades: { kind: stream, venue: %s, instruments: [\"*\"], channels: [trades],"
                            " sinks: [archive], connections: { redundancy: %d } }\n"
                            "  %s-books: { kind: book, venue: %s, instruments: [\"*\"], emit: top,"
                            " sinks: [archive] }\n",
                            name, name, demo->options->one_market ? 1 : 2, name, name);
}

static int write_config(struct demo *demo)
{
    int port = sl_simulated_port(demo->exchange);
    size_t used = (size_t)snprintf(demo->text, sizeof demo->text,
                                   "admin: { listen: \"127.0.0.1:%d\" }\n"
                                   "log: { level: error }\n"
                                   "sinks: { archive: { kind: sqlite, path: \"%s\", stop_within: 5s } }\n"
                                   "venues:\n",
                                   demo->options->admin_port, demo->options->database);
    for (size_t at = 0; at < VENUES && at < demo->venues && used < sizeof demo->text; at++) {
        const char *name = sl_venue_name(all_venues[at]);
        used += (size_t)snprintf(demo->text + used, sizeof demo->text - used,
                                 "  %s: { stream: \"ws://127.0.0.1:%d/%s\", rest: \"http://127.0.0.1:%d/%s\" }\n", name,
                                 port, name, port, name);
    }
    used += used < sizeof demo->text ? (size_t)snprintf(demo->text + used, sizeof demo->text - used, "services:\n") : 0;
    for (size_t at = 0; at < VENUES && at < demo->venues && used < sizeof demo->text; at++) {
        used += write_venue(demo, all_venues[at], demo->text + used, sizeof demo->text - used);
    }
    return used < sizeof demo->text ? 0 : sl_fail(SL_EMSGSIZE, "the name of the database is too long");
}

/* ---- the exchange's side ---- */

static int record(void *arg, const sl_market_event *event)
{
    struct demo *demo = arg;
    if (event->kind == SL_EVENT_TRADE) {
        struct sl_demo_trades *trades = &demo->truth[event->instrument->index];
        trades->first_id = trades->first_id == 0 ? event->as.trade.id : trades->first_id;
        trades->last_id = event->as.trade.id;
        demo->trades++;
    }
    return 0;
}

/* Opens the session, and counts its messages: it is read, which takes a while, on a thread. */
static int open_captured(void *arg)
{
    struct demo *demo = arg;
    struct sl_captured_options options = {
        .paths = &demo->options->capture, .path_count = 1, .venue = all_venues[0], .instruments = demo->instruments};
    SL_TRY(sl_captured_open(&options, &demo->captured));
    sl_auto(sl_instruments) *instruments = NULL;
    sl_auto(sl_captured) *captured = NULL;
    const struct sl_captured_message *message = NULL;
    SL_TRY(sl_instruments_new(0, &instruments));
    options.instruments = instruments;
    SL_TRY(sl_captured_open(&options, &captured));
    int code = 0;
    while ((code = sl_captured_next(captured, NULL, NULL, &message)) > 0) {
        demo->messages++;
    }
    return code;
}

static int open_exchange(struct demo *demo)
{
    const struct sl_demo_options *options = demo->options;
    size_t instruments = options->one_market ? 1 : (size_t)options->instruments;
    SL_TRY(sl_instruments_new(0, &demo->instruments));
    for (size_t at = 0; at < VENUES && at < demo->venues && options->capture == NULL; at++) {
        SL_TRY(sl_simulated_define(demo->instruments, all_venues[at], instruments));
    }
    if (options->capture != NULL) {
        SL_TRY(sl_offload(open_captured, demo));
        instruments = sl_instruments_count(demo->instruments);
    }
    demo->truth = sl_calloc(sl_instruments_count(demo->instruments) + 1, sizeof *demo->truth);
    if (demo->truth == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the demo's instruments");
    }
    size_t connections = options->one_market ? 2 : 3; /* those of trades, and the book's */
    struct sl_simulated_options simulated = {.instruments = demo->instruments,
                                             .seed = options->seed,
                                             .rate = options->rate,
                                             .steps = options->events,
                                             .captured = demo->captured,
                                             .speed = options->speed,
                                             .wait = demo->venues * instruments * connections,
                                             .port = options->port,
                                             .arg = demo,
                                             .record = record};
    return sl_simulated_open(&simulated, &demo->exchange);
}

/* A captured session cannot have one more trade in the end: who is cut off then never hears of what was lost last. */
static bool nearly_over(const struct demo *demo, sl_time since)
{
    uint64_t steps = sl_simulated_get_stats(demo->exchange)->steps;
    double passed = (double)(sl_now() - since), left = (double)(demo->messages - steps);
    return demo->captured != NULL && steps > 0 && passed * left / (double)steps < (double)LAST_CUT;
}

/* Connections fail. Of three venues one of two for trades, or a book's: what comes over the other one is whole. */
static int trouble(void *arg)
{
    struct demo *demo = arg;
    while (sl_simulated_get_stats(demo->exchange)->steps == 0) {
        SL_TRY(sl_sleep(SETTLE_STEP));
    }
    for (sl_time since = sl_now();;) {
        SL_TRY(sl_sleep(demo->options->fault_every));
        struct sl_fault_order order = {.fault = demo->options->one_market ? SL_FAULT_CUT_ALL : SL_FAULT_CUT,
                                       .venue = all_venues[sl_random() % demo->venues]};
        demo->calm = demo->calm || nearly_over(demo, since);
        SL_TRY(demo->calm ? 0 : sl_simulated_order(demo->exchange, &order));
    }
}

/* ---- what people see ---- */

/* Runs on a thread: whoever reads the output may have stopped reading. */
static int print(void *line)
{
    errno = 0;
    if (fputs(line, stdout) != EOF && fflush(stdout) == 0) {
        return 0;
    }
    clearerr(stdout);
    return errno > 0 ? -errno : SL_EPIPE;
}

/* SL_EPIPE when nobody reads any more. */
static int say(const char *format, ...) SL_PRINTF(1, 2);
static int say(const char *format, ...)
{
    char *line = sl_malloc(LINE_BYTES);
    if (line == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a line of output");
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, LINE_BYTES, format, arguments);
    va_end(arguments);
    const struct sl_offload_options options = {.arg = line, .name = "output", .abandon = true, .release = sl_free};
    return sl_offload_with(print, &options);
}

static int end(struct demo *demo)
{
    int code = sl_program_stop(demo->parts);
    return code == SL_ECLOSED ? 0 : code; /* it has not begun, or ends already */
}

/* Output that fails for other reasons (a full disk) is no reason to stop the work. */
static int show(void *arg)
{
    struct demo *demo = arg;
    bool terminal = isatty(STDOUT_FILENO) != 0;
    struct sl_program_totals before = sl_program_get_totals(demo->parts);
    for (;;) {
        SL_TRY(sl_sleep(TICK));
        struct sl_program_totals now = sl_program_get_totals(demo->parts);
        int code = say("%s%7" PRIu64 " messages/s  %7" PRIu64 " rows/s  %zu connections live  %" PRIu64
                       " reconnects  %" PRIu64 " gaps  %" PRIu64 " written%s",
                       terminal ? "\r\033[K" : "", now.messages - before.messages, now.written - before.written,
                       now.live, now.reconnects, now.gaps, now.written, terminal ? "" : "\n");
        if (code == SL_EPIPE) {
            demo->unheard = true;
            return end(demo);
        }
        before = now;
    }
}

/* The feeds wait for a sink that takes nothing: a demo without one is at its end. */
static int watch_sink(void *arg)
{
    struct demo *demo = arg;
    sl_time away = 0;
    for (;;) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
        const struct sl_program_sink *sink = sl_program_sinks(demo->parts);
        if (sink != NULL) { /* it is gone when the end is told */
            memcpy(demo->problem, sl_outlet_get_stats(sink->outlet)->problem, sizeof demo->problem);
        }
        away = sink == NULL || !sl_outlet_get_stats(sink->outlet)->away ? 0 : away == 0 ? sl_now() : away;
        if (away != 0 && sl_now() - away > SINK_PATIENCE) {
            demo->stuck = true;
            return end(demo);
        }
    }
}

/* Until all connections stand; a while at most. */
static int reconnect(const struct demo *demo)
{
    struct sl_program_totals now = sl_program_get_totals(demo->parts);
    for (int step = 0; step < HEAL_STEPS && now.live < now.connections; step++) {
        SL_TRY(sl_sleep(SETTLE_STEP));
        now = sl_program_get_totals(demo->parts);
    }
    return 0;
}

/* Until nothing comes any more, and all books are whole; a while at most. */
static int settle(const struct demo *demo, bool *ret_whole)
{
    struct sl_program_totals before = {0}, now = sl_program_get_totals(demo->parts);
    int quiet = 0;
    for (int step = 0; step < HEAL_STEPS / 10 && quiet < SETTLE_STEPS; step++) {
        SL_TRY(sl_sleep(SETTLE_STEP));
        before = now;
        now = sl_program_get_totals(demo->parts);
        quiet = now.events == before.events && sl_demo_stale_books(demo->parts) == 0 ? quiet + 1 : 0;
    }
    *ret_whole = quiet > 0;
    return 0;
}

/* The session's end, where it has one: when all is well again, what came is compared with what was. */
static int end_with_exchange(void *arg)
{
    struct demo *demo = arg;
    while (!sl_simulated_get_stats(demo->exchange)->over) {
        SL_TRY(sl_sleep(SETTLE_STEP));
    }
    demo->calm = true;
    bool whole = false;
    for (int round = 0; round < END_ROUNDS && !whole; round++) {
        SL_TRY(reconnect(demo));
        SL_TRY(demo->captured != NULL
                   ? 0
                   : sl_simulated_end(
                         demo->exchange)); /* so that what was lost last is noticed, and books can be joined */
        SL_TRY(settle(demo, &whole));
    }
    sl_demo_judge_books(demo->exchange, demo->instruments, demo->parts, &demo->verdict);
    demo->judged = true;
    return end(demo);
}

/* ---- the end ---- */

static void report(const struct demo *demo)
{
    const struct sl_simulated_stats *stats = sl_simulated_get_stats(demo->exchange);
    const struct sl_demo_verdict *verdict = &demo->verdict;
    uint64_t cuts = stats->faults[SL_FAULT_CUT] + stats->faults[SL_FAULT_CUT_ALL];
    printf("\n");
    sl_program_report(demo->parts, stdout);
    if (demo->problem[0] != '\0') {
        printf("database   %s\n", demo->problem);
    }
    printf("exchange   %" PRIu64 " events, %" PRIu64 " of them trades; %" PRIu64 " times connections were cut%s\n",
           stats->steps, demo->trades, cuts, stats->over ? "" : ", stopped before the end");
    if (demo->judged) {
        printf("verdict    %zu of %zu books equal the exchange's; of %" PRIu64 " trades %" PRIu64
               " are written, %" PRIu64 " were before the first, %" PRIu64 " were lost%s\n",
               verdict->books - verdict->wrong, verdict->books, verdict->sent, verdict->written, verdict->early,
               verdict->sent - verdict->written - verdict->early,
               verdict->untold == 0 ? ", as was told" : ": NOT ALL OF THAT WAS TOLD");
    }
}

/* What the demo has come to: 0, or why it is no success. */
static int judge_end(const struct demo *demo)
{
    struct sl_program_totals totals = sl_program_get_totals(demo->parts);
    uint64_t lost = totals.dropped + totals.queued;
    if (lost > 0 || demo->stuck || (totals.events > 0 && totals.written + totals.repeated == 0)) {
        return sl_fail(SL_EPROTO, "of %" PRIu64 " events the database has not got %" PRIu64 "%s%s", totals.events, lost,
                       demo->problem[0] == '\0' ? "" : ": ", demo->problem);
    }
    if (demo->judged && !sl_demo_verdict_good(&demo->verdict)) {
        return sl_fail(SL_EPROTO, "what was received is not what was sent%s%s",
                       demo->verdict.first_wrong[0] == '\0' ? "" : "; the first wrong book is that of ",
                       demo->verdict.first_wrong);
    }
    return demo->unheard ? sl_fail(SL_EPIPE, "standard output was closed") : 0;
}

/* ---- the lock ---- */

static int tell_waiting(void *arg)
{
    (void)arg;
    SL_TRY(sl_sleep(LOCK_PATIENCE));
    int code = say("waiting for the lock %s\n", LOCK_KEY);
    return code == SL_ECANCELED ? code : 0;
}

static int cancel_on_stop(void *scope)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(scope, SL_CAUSE_STOP, "stopped");
    return 0;
}

/* 0, or 1 when a stop was asked for first: waiting is no work that has to be finished. */
static int hold_lock(const struct demo *demo, sl_scope *scope)
{
    sl_redis *redis = NULL;
    const struct sl_redis_options options = {.url = demo->options->redis, .name = "sluice-demo"};
    SL_TRY(sl_redis_open(scope, &options, &redis));
    SL_SCOPE(wait, .name = "lock");
    int code = sl_spawn(&wait, cancel_on_stop, &wait, .daemon = true);
    code = code == 0 ? sl_spawn(&wait, tell_waiting, NULL, .daemon = true) : code;
    code = code == 0 ? sl_redis_lock(scope, redis, LOCK_KEY, .ttl = demo->options->lock_ttl) : code;
    bool stopped = code == SL_ECANCELED;
    code = sl_scope_close(&wait, code);
    return code == 0 && stopped ? 1 : code;
}

/* ---- the whole ---- */

static int run_tasks(struct demo *demo, sl_scope *scope)
{
    SL_TRY(sl_spawn(scope, sl_board_run, demo->board, .name = "admin", .daemon = true));
    SL_TRY(sl_spawn(scope, sl_simulated_run, demo->exchange, .name = "exchange", .daemon = true));
    SL_TRY(sl_spawn(scope, watch_sink, demo, .name = "watch sink", .daemon = true));
    if (demo->options->fault_every > 0) {
        SL_TRY(sl_spawn(scope, trouble, demo, .name = "trouble", .daemon = true));
    }
    if (demo->options->events > 0 || demo->captured != NULL) {
        SL_TRY(sl_spawn(scope, end_with_exchange, demo, .name = "end", .daemon = true));
    }
    if (!demo->options->quiet) {
        SL_TRY(sl_spawn(scope, show, demo, .name = "live", .daemon = true));
    }
    return sl_program_run(demo->parts);
}

/* On every way out the lock goes last: what was received is written by then. */
static int run_locked(struct demo *demo, bool *ret_ran)
{
    SL_SCOPE(scope, .name = "demo");
    int code = demo->options->redis == NULL ? 0 : hold_lock(demo, &scope);
    *ret_ran = code == 0;
    code = code == 0 ? run_tasks(demo, &scope) : code < 0 ? code : 0;
    return sl_scope_close(&scope, code);
}

static int judge_trades(void *arg)
{
    struct demo *demo = arg;
    return sl_demo_judge_trades(demo->options->database, demo->instruments, demo->truth, &demo->verdict);
}

static int run_program(struct demo *demo)
{
    struct sl_config_source source = {.path = "demo", .text = demo->text, .text_bytes = strlen(demo->text)};
    struct sl_config_options load = {.root = &sl_conf_root, .sources = &source, .source_count = 1};
    sl_auto(sl_reload) *reload = NULL;
    sl_auto(sl_console) *console = NULL;
    SL_TRY(sl_reload_open(&load, demo->config, &reload));
    SL_TRY(sl_program_open(reload, &demo->parts));
    SL_TRY(sl_console_open(&(struct sl_console_options){demo->parts, reload, demo->board}, &console));
    printf("%s on 127.0.0.1:%d into %s; dashboard at %s\nCtrl-C stops\n",
           demo->captured != NULL      ? demo->options->capture
           : demo->options->one_market ? "a market"
                                       : "three venues",
           sl_simulated_port(demo->exchange), demo->options->database, sl_board_url(demo->board));
    (void)fflush(stdout);
    bool ran = false;
    int code = run_locked(demo, &ran);
    if (!ran) {
        return code;
    }
    int verdict = demo->judged ? sl_offload(judge_trades, demo) : 0; /* after all was written */
    demo->judged = demo->judged && verdict == 0;
    report(demo);
    int verdict_of_all = judge_end(demo);
    verdict = verdict_of_all < 0 ? verdict_of_all : verdict;
    return verdict < 0 && (code == 0 || code == SL_ECANCELED) ? verdict : code;
}

static int run_all(struct demo *demo)
{
    demo->venues = demo->options->one_market ? 1 : VENUES;
    SL_TRY(open_exchange(demo));
    SL_TRY(write_config(demo));
    struct sl_config_source source = {.path = "demo", .text = demo->text, .text_bytes = strlen(demo->text)};
    sl_auto(sl_config_report) *problems = NULL;
    int code = sl_config_load(&(struct sl_config_options){.root = &sl_conf_root, .sources = &source, .source_count = 1},
                              &demo->config, &problems);
    if (code < 0) {
        return sl_fail(code, "%s", sl_config_report_text(problems));
    }
    char host[SL_CONF_HOST_MAX];
    sl_tls_config *tls = NULL; /* the demo's configuration has none */
    struct sl_board_options board;
    SL_TRY(sl_console_board_options(sl_config_root(demo->config), host, &tls, &board));
    board.make_token = true;
    board.admin.any_port = true;
    SL_TRY(sl_board_open(&board, &demo->board));
    return run_program(demo);
}

int sl_demo(void *arg)
{
    struct demo *demo = sl_calloc(1, sizeof *demo);
    if (demo == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the demo");
    }
    demo->options = arg;
    int code = run_all(demo);
    sl_program_close(demo->parts);
    sl_config_unref(demo->config);
    sl_simulated_close(demo->exchange);
    sl_captured_close(demo->captured);
    sl_free(demo->truth);
    sl_instruments_free(demo->instruments);
    sl_board_close(demo->board);
    sl_free(demo);
    return code;
}
