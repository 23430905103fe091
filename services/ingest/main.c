/* SPDX-License-Identifier: MIT */
/* The program: sluice demo | exchange | worker | version | help. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exchange/server.h"
#include "ingest/options.h"
#include "ingest/worker.h"
#include "sluice/runtime.h"

#define CAPTURE "../shared/data/hftbacktest/usdm-btcusdt_20240808.gz"
#define DATABASE "sluice-demo.db"

/* Whose option it is. */
enum {
    DEMO = 1,
    EXCHANGE = 2,
    WORKER = 4,
    PLAYS = DEMO | EXCHANGE,
    WRITES = DEMO | WORKER,
    ALL = DEMO | EXCHANGE | WORKER
};

static const struct sl_command commands[] = {
    {"demo", DEMO, "a simulated exchange and a worker that feeds SQLite, in one process"},
    {"exchange", EXCHANGE, "the simulated exchange alone"},
    {"worker", WORKER, "the worker alone"},
    {"version", 0, "what it is"},
    {"help", 0, "this text"},
    {NULL, 0, NULL}};

struct program {
    double speed;
    sl_time cut_every;
    const char *capture;
    const char *database;
    const char *redis;
    char symbol[SL_OPTION_SYMBOL_BYTES];
    const char *address;
    sl_time lock_ttl;
    uint64_t seed, messages;
    int port;
    bool generate, quiet;
    bool refused; /* the venue has not what was asked for */
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

/* Compares with what was sent. The worker cannot know of trades before its first one; 0, or SL_EPROTO. */
static int print_verdict(const sl_exchange *exchange, const sl_worker *worker)
{
    struct sl_exchange_stats stats = sl_exchange_get_stats(exchange);
    const sl_session_stats *session = sl_session_get_stats(sl_exchange_session(exchange));
    printf("exchange   %" PRIu64 " messages, %" PRIu64 " trades, %" PRIu64 " cuts%s\n", session->messages,
           session->trades, stats.cuts, stats.over ? "" : ", stopped before the end");
    if (!stats.over || worker->book == NULL) {
        return 0;
    }
    const sl_book *truth = sl_session_book(sl_exchange_session(exchange));
    bool same = true_side(worker->book, truth, SL_SIDE_BUY) && true_side(worker->book, truth, SL_SIDE_SELL);
    uint64_t sent = worker->first_trade == 0 ? 0 : (uint64_t)(session->last_trade_id - worker->first_trade + 1);
    bool whole = worker->stats.trades + worker->stats.lost == sent;
    printf("verdict    the book %s the exchange's; trades received and lost are %s of those sent (%" PRIu64
           " before the first)\n",
           same ? "equals" : "DIFFERS from", whole ? "all" : "NOT all", session->trades - sent);
    return same && whole ? 0 : sl_fail(SL_EPROTO, "what was received is not what was sent");
}

static int run_worker(struct program *program, const char *address, int port, const sl_exchange *exchange)
{
    sl_worker worker = {.options = {.address = address,
                                    .port = port,
                                    .symbol = program->symbol,
                                    .database = program->database,
                                    .redis = program->redis,
                                    .lock_ttl = program->lock_ttl,
                                    .quiet = program->quiet}};
    int code = sl_worker_run(&worker);
    program->refused = worker.refused;
    bool begun = code == 0 || worker.stats.connections > 0;
    if (begun) {
        printf("\n");
        sl_worker_report(&worker, stdout);
    }
    if (begun && exchange != NULL) {
        int verdict = print_verdict(exchange, &worker);
        code = code == 0 ? verdict : code;
    }
    sl_worker_done(&worker);
    return code;
}

static int demo(void *arg)
{
    struct program *program = arg;
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

static int exchange_alone(void *arg)
{
    const struct program *program = arg;
    sl_auto(sl_exchange) *exchange = NULL;
    SL_TRY(open_exchange(program, &exchange));
    printf("listening on 127.0.0.1:%d\n", sl_exchange_port(exchange));
    (void)fflush(stdout);
    SL_SCOPE(scope, .name = "exchange");
    SL_TRY(sl_spawn(&scope, sl__worker_cancel_on_stop, &scope, .daemon = true));
    SL_TRY(sl_spawn(&scope, sl_exchange_run, exchange));
    return sl_scope_wait(&scope);
}

static int worker_alone(void *arg)
{
    struct program *program = arg;
    return run_worker(program, program->address, program->port, NULL);
}

static int version(void)
{
    printf("sluice 0.1.0\n");
    return 0;
}

/* Of one command, or of all. */
static int help(const struct sl_option *options, const struct sl_command *of)
{
    if (of != NULL) {
        printf("Usage: sluice %s%s\n\n%s%s\n", of->name, of->bit == 0 ? "" : " [OPTIONS]", of->help,
               of->bit == 0 ? "" : "\n\nOptions:");
        sl_options_help(options, of->bit);
        return 0;
    }
    printf("Usage: sluice COMMAND [OPTIONS]\n\n");
    for (const struct sl_command *command = commands; command->name != NULL; command++) {
        printf("  %-10s %s\n", command->name, command->help);
    }
    printf("\nOptions (sluice COMMAND --help names those of one command):\n");
    sl_options_help(options, ALL);
    printf("\nExit status: 0 done, 1 failed, %d wrong command line, %d the venue has no such symbol or there is no\n"
           "such address, 130 and 143 stopped by SIGINT and SIGTERM (in order; a second signal hurries).\n",
           SL_EXIT_USAGE, SL_EXIT_CONFIG);
    return 0;
}

/*
 * What a closed output must not do: kill us while a lock is held (SIGPIPE; SIGXFSZ is the same for a file at
 * its limit), or have the database opened in its place.
 */
static int secure_output(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (int descriptor = 0; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != descriptor) {
            return -1;
        }
    }
    return 0;
}

/* The status, or 1 if not all that was said could be written. */
static int finish(int status)
{
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == 0) {
        (void)fprintf(stderr, "sluice: standard output could not be written\n");
        return 1;
    }
    return status;
}

static int run(struct program *program, const struct sl_command *command)
{
    if (program->capture != NULL && program->generate) {
        (void)fprintf(stderr, "sluice: --capture and --generate exclude each other\n");
        return SL_EXIT_USAGE;
    }
    if (command->bit == WORKER && program->port == 0) {
        (void)fprintf(stderr, "sluice: worker needs --port, that of the exchange\n");
        return SL_EXIT_USAGE;
    }
    if (program->capture == NULL && !program->generate && access(CAPTURE, R_OK) == 0) {
        program->capture = CAPTURE;
    }
    int status = sl_main(command->bit == DEMO       ? demo
                         : command->bit == EXCHANGE ? exchange_alone
                                                    : worker_alone,
                         program);
    return status == 1 && program->refused ? SL_EXIT_CONFIG : status;
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
        {"speed", SL_OPTION_SPEED, &program.speed, "of the session; default 10", PLAYS, 0, 0, NULL},
        {"cut-every", SL_OPTION_DURATION, &program.cut_every, "cut the connections this often, 0 never; default 10s",
         PLAYS, 1000000, INT64_MAX, "1ms or more"},
        {"capture", SL_OPTION_TEXT, &program.capture, "play this file of captured messages", PLAYS, 0, 0, NULL},
        {"generate", SL_OPTION_FLAG, &program.generate, "play made-up messages, though a capture is there", PLAYS, 0, 0,
         NULL},
        {"messages", SL_OPTION_COUNT, &program.messages, "length of the made-up session", PLAYS, 1,
         SL_GENERATE_MESSAGES_MAX, "1 to 1000000000"},
        {"seed", SL_OPTION_COUNT, &program.seed, "of the made-up session; default 1", PLAYS, 0, 0, NULL},
        {"symbol", SL_OPTION_SYMBOL, program.symbol, "instrument; default BTCUSDT", ALL, 0, 0, NULL},
        {"database", SL_OPTION_TEXT, &program.database, "SQLite file; default " DATABASE, WRITES, 0, 0, NULL},
        {"redis", SL_OPTION_TEXT, &program.redis, "work under a lock there, e.g. redis://127.0.0.1:6379", WRITES, 0, 0,
         NULL},
        {"lock-ttl", SL_OPTION_DURATION, &program.lock_ttl, "of the lock; default 10s", WRITES, 100000000,
         UINT64_C(3600000000000), "100ms to 1h"},
        {"address", SL_OPTION_TEXT, &program.address, "of the exchange; default 127.0.0.1", WORKER, 0, 0, NULL},
        {"port", SL_OPTION_PORT, &program.port, "of the exchange; 0 lets the system choose", ALL, 0, 0, NULL},
        {"quiet", SL_OPTION_FLAG, &program.quiet, "no live line", WRITES, 0, 0, NULL},
        {NULL, SL_OPTION_FLAG, NULL, NULL, 0, 0, 0, NULL}};
    const char *name = argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? "help" : argv[1];
    const struct sl_command *command = sl_command_find(commands, strcmp(name, "--version") == 0 ? "version" : name);
    if (command == NULL || secure_output() < 0) {
        return SL_EXIT_USAGE;
    }
    int parsed = sl_options_parse(options, command, argc - 2 > 0 ? argc - 2 : 0, argv + 2);
    if (parsed != 0) {
        return parsed < 0 ? SL_EXIT_USAGE : finish(help(options, command));
    }
    if (command->bit != 0) {
        return finish(run(&program, command));
    }
    return finish(strcmp(command->name, "version") == 0 ? version() : help(options, NULL));
}
