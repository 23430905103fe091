/* SPDX-License-Identifier: MIT */
/* Three venues into SQLite, in one process. See demo.h. */
#include "ingest/demo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/simulated.h"
#include "ingest/console.h"
#include "ingest/program.h"
#include "sluice/runtime.h"

/* What one venue's part of the configuration takes, and all of it. */
#define VENUE_BYTES 1024
#define CONFIG_BYTES (4 * VENUE_BYTES)

/* Between two live lines; how long what was sent last may take to arrive. */
#define TICK SL_SECONDS(1)
#define SETTLE_STEP SL_MILLISECONDS(20)
#define SETTLE_STEPS 250

static const sl_venue venues[] = {SL_VENUE_BINANCE_USDM, SL_VENUE_COINBASE, SL_VENUE_KRAKEN};
#define VENUES (sizeof venues / sizeof *venues)

struct demo {
    const struct sl_demo_options *options;
    sl_instruments *instruments; /* the exchange's */
    sl_simulated *exchange;
    sl_config *config;
    sl_board *board;
    sl_program_parts *parts;
    uint64_t trades; /* that truly happened, since all were subscribed to */
    char text[CONFIG_BYTES];
};

/* ---- the configuration ---- */

static int write_config(struct demo *demo)
{
    int port = sl_simulated_port(demo->exchange);
    size_t used = (size_t)snprintf(demo->text, sizeof demo->text,
                                   "admin: { listen: \"127.0.0.1:%d\" }\n"
                                   "log: { level: error }\n"
                                   "sinks: { archive: { kind: sqlite, path: \"%s\" } }\n"
                                   "venues:\n",
                                   demo->options->admin_port, demo->options->database);
    for (size_t at = 0; at < VENUES && used < sizeof demo->text; at++) {
        const char *name = sl_venue_name(venues[at]);
        used += (size_t)snprintf(demo->text + used, sizeof demo->text - used,
                                 "  %s: { stream: \"ws://127.0.0.1:%d/%s\", rest: \"http://127.0.0.1:%d/%s\" }\n", name,
                                 port, name, port, name);
    }
    used += used < sizeof demo->text ? (size_t)snprintf(demo->text + used, sizeof demo->text - used, "services:\n") : 0;
    for (size_t at = 0; at < VENUES && used < sizeof demo->text; at++) {
        const char *name = sl_venue_name(venues[at]);
        used += (size_t)snprintf(demo->text + used, sizeof demo->text - used,
                                 "  %s-trades: { kind: stream, venue: %s, instruments: [\"*\"], channels: [trades],"
                                 " sinks: [archive], connections: { redundancy: 2 } }\n"
                                 "  %s-books: { kind: book, venue: %s, instruments: [\"*\"], emit: top,"
                                 " sinks: [archive] }\n",
                                 name, name, name, name);
    }
    return used < sizeof demo->text ? 0 : sl_fail(SL_EMSGSIZE, "the name of the database is too long");
}

/* ---- the exchange's side ---- */

static int record(void *arg, const sl_market_event *event)
{
    struct demo *demo = arg;
    demo->trades += event->kind == SL_EVENT_TRADE;
    return 0;
}

static int open_exchange(struct demo *demo)
{
    const struct sl_demo_options *options = demo->options;
    SL_TRY(sl_instruments_new(0, &demo->instruments));
    for (size_t at = 0; at < VENUES; at++) {
        SL_TRY(sl_simulated_define(demo->instruments, venues[at], options->instruments));
    }
    struct sl_simulated_options simulated = {.instruments = demo->instruments,
                                             .seed = options->seed,
                                             .rate = (double)options->rate,
                                             .steps = options->events,
                                             .wait = VENUES * options->instruments * 3, /* two trades', one book's */
                                             .arg = demo,
                                             .record = record};
    return sl_simulated_open(&simulated, &demo->exchange);
}

/* One of two connections fails, or a book's; what comes over the other one is whole. */
static int trouble(void *arg)
{
    struct demo *demo = arg;
    for (;;) {
        SL_TRY(sl_sleep(demo->options->fault_every));
        SL_TRY(sl_simulated_order(
            demo->exchange, &(struct sl_fault_order){.fault = SL_FAULT_CUT, .venue = venues[sl_random() % VENUES]}));
    }
}

/* ---- what people see ---- */

static int show(void *arg)
{
    struct demo *demo = arg;
    struct sl_program_totals before = sl_program_get_totals(demo->parts);
    for (;;) {
        SL_TRY(sl_sleep(TICK));
        struct sl_program_totals now = sl_program_get_totals(demo->parts);
        printf("\r%7" PRIu64 " messages/s  %7" PRIu64 " rows/s  %zu connections live  %" PRIu64 " reconnects  %" PRIu64
               " gaps  %" PRIu64 " written   ",
               now.messages - before.messages, now.written - before.written, now.live, now.reconnects, now.gaps,
               now.written);
        (void)fflush(stdout);
        before = now;
    }
}

/* The session's end, where it has one: when all that was sent has been written. */
static int end_with_exchange(void *arg)
{
    struct demo *demo = arg;
    while (!sl_simulated_get_stats(demo->exchange)->over) {
        SL_TRY(sl_sleep(SETTLE_STEP));
    }
    uint64_t events = 0;
    for (int quiet = 0; quiet < SETTLE_STEPS / 10; quiet++) {
        SL_TRY(sl_sleep(SETTLE_STEP));
        struct sl_program_totals now = sl_program_get_totals(demo->parts);
        quiet = now.events == events ? quiet : 0;
        events = now.events;
    }
    return sl_program_stop(demo->parts);
}

static void report(const struct demo *demo)
{
    const struct sl_simulated_stats *stats = sl_simulated_get_stats(demo->exchange);
    printf("\n");
    sl_program_report(demo->parts, stdout);
    printf("exchange   %" PRIu64 " events, %" PRIu64 " of them trades; %" PRIu64 " connections cut%s\n", stats->steps,
           demo->trades, stats->faults[SL_FAULT_CUT], stats->over ? "" : ", stopped before the end");
}

/* ---- the whole ---- */

static int run_program(struct demo *demo)
{
    struct sl_config_source source = {.path = "demo", .text = demo->text, .text_bytes = strlen(demo->text)};
    struct sl_config_options load = {.root = &sl_conf_root, .sources = &source, .source_count = 1};
    sl_auto(sl_reload) *reload = NULL;
    sl_auto(sl_console) *console = NULL;
    SL_TRY(sl_reload_open(&load, demo->config, &reload));
    SL_TRY(sl_program_open(reload, &demo->parts));
    SL_TRY(sl_console_open(&(struct sl_console_options){demo->parts, reload, demo->board}, &console));
    printf("3 venues of %" PRIu64 " instruments each on 127.0.0.1:%d into %s; dashboard at %s\nCtrl-C stops\n",
           demo->options->instruments, sl_simulated_port(demo->exchange), demo->options->database,
           sl_board_url(demo->board));
    (void)fflush(stdout);
    SL_SCOPE(scope, .name = "demo");
    int code = sl_spawn(&scope, sl_board_run, demo->board, .name = "admin", .daemon = true);
    code = code == 0 ? sl_spawn(&scope, sl_simulated_run, demo->exchange, .name = "exchange", .daemon = true) : code;
    if (code == 0 && demo->options->fault_every > 0) {
        code = sl_spawn(&scope, trouble, demo, .daemon = true);
    }
    if (code == 0 && demo->options->events > 0) {
        code = sl_spawn(&scope, end_with_exchange, demo, .daemon = true);
    }
    if (code == 0 && !demo->options->quiet) {
        code = sl_spawn(&scope, show, demo, .name = "live", .daemon = true);
    }
    code = code == 0 ? sl_program_run(demo->parts) : code;
    code = sl_scope_close(&scope, code);
    report(demo);
    return code;
}

static int run_all(struct demo *demo)
{
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
    sl_instruments_free(demo->instruments);
    sl_board_close(demo->board);
    sl_free(demo);
    return code;
}
