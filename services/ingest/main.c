/* SPDX-License-Identifier: MIT */
/* The program: sluice demo | exchange | worker | version | help. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exchange/server.h"
#include "ingest/options.h"
#include "ingest/worker.h"
#include "sluice/runtime.h"

#define CAPTURE "../shared/data/hftbacktest/usdm-btcusdt_20240808.gz"
#define DATABASE "sluice-demo.db"

struct program {
    const char *command;
    double speed;
    sl_time cut_every;
    const char *capture;
    const char *database;
    const char *redis;
    const char *symbol;
    const char *address;
    sl_time lock_ttl;
    uint64_t seed, messages;
    int port;
    bool generate, quiet;
    int exit_code;
};

static int open_exchange(const struct program *program, sl_exchange **ret_exchange)
{
    struct sl_exchange_options options = {
        .session = {.capture_path = program->capture,
                    .venue = SL_VENUE_BINANCE_USDM,
                    .generate = {.seed = program->seed, .instrument = program->symbol, .messages = program->messages}},
        .speed = program->speed,
        .cut_every = program->cut_every,
        .port = program->port};
    return sl_exchange_open(&options, ret_exchange);
}

/* Levels next to the top that must be the same without exception. */
#define DEPTH_COMPARED 100

/*
 * Whether a side of the worker's book is true: every level it has is in the exchange's book with the same
 * quantity, and near the top none is missing. (Far from it, below the 1 000 levels of a snapshot, the venue
 * tells only what changes.)
 */
static bool true_side(const sl_book *mine, const sl_book *truth, sl_side side)
{
    sl_book_cursor cursor = sl_book_first(mine, side);
    const sl_level *level;
    while ((level = sl_book_next(&cursor)) != NULL) {
        const sl_decimal *quantity = sl_book_find(truth, side, level->price);
        if (quantity == NULL || sl_decimal_compare(*quantity, level->quantity) != 0) {
            return false;
        }
    }
    cursor = sl_book_first(truth, side);
    for (int i = 0; i < DEPTH_COMPARED && (level = sl_book_next(&cursor)) != NULL; i++) {
        if (sl_book_find(mine, side, level->price) == NULL) {
            return false;
        }
    }
    return true;
}

static void print_verdict(const sl_exchange *exchange, const sl_worker *worker)
{
    struct sl_exchange_stats stats = sl_exchange_get_stats(exchange);
    const sl_session_stats *session = sl_session_get_stats(sl_exchange_session(exchange));
    printf("exchange   %" PRIu64 " messages, %" PRIu64 " trades, %" PRIu64 " cuts%s\n", session->messages,
           session->trades, stats.cuts, stats.over ? "" : ", stopped before the end");
    if (stats.over && worker->book != NULL) {
        const sl_book *truth = sl_session_book(sl_exchange_session(exchange));
        bool same = true_side(worker->book, truth, SL_SIDE_BUY) && true_side(worker->book, truth, SL_SIDE_SELL);
        printf("verdict    the book %s the exchange's; trades received and lost are %s of those sent\n",
               same ? "equals" : "DIFFERS from",
               worker->stats.trades + worker->stats.lost == session->trades ? "all" : "NOT all");
    }
}

static int run_worker(const struct program *program, const char *address, int port, const sl_exchange *exchange)
{
    sl_worker worker = {.options = {.address = address,
                                    .port = port,
                                    .symbol = program->symbol,
                                    .database = program->database,
                                    .redis = program->redis,
                                    .lock_ttl = program->lock_ttl,
                                    .quiet = program->quiet}};
    int code = sl_worker_run(&worker);
    printf("\n");
    sl_worker_report(&worker, stdout);
    if (exchange != NULL) {
        print_verdict(exchange, &worker);
    }
    sl_worker_done(&worker);
    return code;
}

static int demo(void *arg)
{
    const struct program *program = arg;
    sl_auto(sl_exchange) *exchange = NULL;
    SL_TRY(open_exchange(program, &exchange));
    if (strcmp(program->database, DATABASE) == 0) {
        (void)unlink(DATABASE); /* the demo's own file: each run begins with an empty one */
    }
    printf("playing %s on 127.0.0.1:%d into %s; Ctrl-C stops\n",
           program->capture == NULL ? "a generated session" : program->capture, sl_exchange_port(exchange),
           program->database);
    SL_SCOPE(scope, .name = "demo");
    SL_TRY(sl_spawn(&scope, sl_exchange_run, exchange, .name = "exchange", .daemon = true));
    return sl_scope_close(&scope, run_worker(program, "127.0.0.1", sl_exchange_port(exchange), exchange));
}

static int stop_on_request(void *arg)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(arg, SL_CAUSE_STOP, "stopped");
    return 0;
}

static int exchange_alone(void *arg)
{
    const struct program *program = arg;
    sl_auto(sl_exchange) *exchange = NULL;
    SL_TRY(open_exchange(program, &exchange));
    printf("listening on 127.0.0.1:%d\n", sl_exchange_port(exchange));
    (void)fflush(stdout);
    SL_SCOPE(scope, .name = "exchange");
    SL_TRY(sl_spawn(&scope, stop_on_request, &scope, .daemon = true));
    SL_TRY(sl_spawn(&scope, sl_exchange_run, exchange));
    return sl_scope_wait(&scope);
}

static int worker_alone(void *arg)
{
    const struct program *program = arg;
    return run_worker(program, program->address, program->port, NULL);
}

static int version(void)
{
    printf("sluice 0.1.0\n");
    return 0;
}

static int help(const struct sl_option *options, size_t count)
{
    printf("Usage: sluice COMMAND [OPTIONS]\n\n"
           "  demo       a simulated exchange and a worker that feeds SQLite, in one process\n"
           "  exchange   the simulated exchange alone\n"
           "  worker     the worker alone\n"
           "  version, help\n\nOptions:\n");
    sl_options_help(options, count);
    return 0;
}

int main(int argc, char **argv)
{
    struct program program = {.speed = 10,
                              .cut_every = SL_SECONDS(10),
                              .database = DATABASE,
                              .symbol = "BTCUSDT",
                              .address = "127.0.0.1",
                              .seed = 1};
    const struct sl_option options[] = {
        {"speed", SL_OPTION_SPEED, &program.speed, "of the session; default 10"},
        {"cut-every", SL_OPTION_DURATION, &program.cut_every, "cut the connections this often, 0 never; default 10s"},
        {"capture", SL_OPTION_TEXT, &program.capture, "play this file of captured messages"},
        {"generate", SL_OPTION_FLAG, &program.generate, "play made-up messages, though a capture is there"},
        {"messages", SL_OPTION_COUNT, &program.messages, "length of the made-up session"},
        {"seed", SL_OPTION_COUNT, &program.seed, "of the made-up session; default 1"},
        {"symbol", SL_OPTION_TEXT, &program.symbol, "instrument; default BTCUSDT"},
        {"database", SL_OPTION_TEXT, &program.database, "SQLite file; default " DATABASE},
        {"redis", SL_OPTION_TEXT, &program.redis, "work under a lock there, e.g. redis://127.0.0.1:6379"},
        {"lock-ttl", SL_OPTION_DURATION, &program.lock_ttl, "of the lock; default 10s"},
        {"address", SL_OPTION_TEXT, &program.address, "of the exchange, for worker; default 127.0.0.1"},
        {"port", SL_OPTION_PORT, &program.port, "of the exchange; 0 lets the system choose"},
        {"quiet", SL_OPTION_FLAG, &program.quiet, "no live line"}};
    const size_t count = sizeof options / sizeof options[0];
    const char *command = argc < 2 ? "help" : argv[1];
    if (sl_options_parse(options, count, argc - 2 > 0 ? argc - 2 : 0, argv + 2) < 0) {
        return SL_EXIT_USAGE;
    }
    if (program.capture == NULL && !program.generate && access(CAPTURE, R_OK) == 0) {
        program.capture = CAPTURE;
    }
    if (strcmp(command, "demo") == 0) {
        return sl_main(demo, &program);
    }
    if (strcmp(command, "exchange") == 0) {
        return sl_main(exchange_alone, &program);
    }
    if (strcmp(command, "worker") == 0 && program.port == 0) {
        (void)fprintf(stderr, "sluice: worker needs --port, that of the exchange\n");
        return SL_EXIT_USAGE;
    }
    if (strcmp(command, "worker") == 0) {
        return sl_main(worker_alone, &program);
    }
    if (strcmp(command, "version") == 0) {
        return version();
    }
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0) {
        return help(options, count);
    }
    (void)fprintf(stderr, "sluice: no command '%s'; see: sluice help\n", command);
    return SL_EXIT_USAGE;
}
