/* SPDX-License-Identifier: MIT */
/* sluice demo | worker: the simulated exchange and the worker that feeds SQLite, together, and the worker alone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exchange/server.h"
#include "ingest/commands.h"
#include "ingest/demo.h"
#include "ingest/demo_views.h"
#include "ingest/worker.h"
#include "sluice/runtime.h"

#define CAPTURE "../shared/data/hftbacktest/usdm-btcusdt_20240808.gz"
#define DATABASE "sluice-demo.db"

struct program {
    double speed;
    sl_time cut_every;
    const char *capture;
    const char *database;
    const char *redis;
    char symbol[SL_CLI_SYMBOL_BYTES];
    const char *address;
    sl_time lock_ttl;
    uint64_t seed, messages;
    int port, admin_port;
    bool generate, quiet;
    uint64_t instruments, rate;
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

static int run_worker(struct program *program, const char *address, int port, const sl_exchange *exchange,
                      sl_demo_views *views)
{
    sl_worker worker = {.options = {.address = address,
                                    .port = port,
                                    .symbol = program->symbol,
                                    .database = program->database,
                                    .redis = program->redis,
                                    .lock_ttl = program->lock_ttl,
                                    .tap = views == NULL ? NULL : sl_demo_views_tap(views),
                                    .quiet = program->quiet}};
    if (views != NULL) {
        sl_demo_views_show(views, &worker);
    }
    int code = sl_worker_run(&worker);
    if (views != NULL) {
        sl_demo_views_show(views, NULL);
    }
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

/* The demo's own file: each run begins with an empty one. */
static void remove_database(void)
{
    (void)unlink(DATABASE);
    (void)unlink(DATABASE "-wal");
    (void)unlink(DATABASE "-shm");
}

static int demo(void *arg)
{
    struct program *program = arg;
    sl_auto(sl_exchange) *exchange = NULL;
    SL_TRY(open_exchange(program, &exchange));
    if (strcmp(program->database, DATABASE) == 0) {
        remove_database();
    }
    printf("playing %s on 127.0.0.1:%d into %s; Ctrl-C stops\n",
           program->capture == NULL ? "a generated session" : program->capture, sl_exchange_port(exchange),
           program->database);
    sl_auto(sl_demo_views) *views = NULL; /* they go after the board, which shows them */
    sl_auto(sl_board) *board = NULL;
    const struct sl_board_options options = {
        .log = {.level = SL_LOG_WARNING}, .admin = {.port = program->admin_port, .any_port = true}, .make_token = true};
    SL_TRY(sl_board_open(&options, &board));
    SL_TRY(sl_demo_views_open(board, &views));
    if (program->admin_port != 0 && sl_admin_port(sl_board_admin(board)) != program->admin_port) {
        printf("port %d is taken; ", program->admin_port);
    }
    printf("dashboard at %s\n", sl_board_url(board));
    (void)fflush(stdout);
    SL_SCOPE(scope, .name = "demo");
    SL_TRY(sl_spawn(&scope, sl_board_run, board, .name = "admin", .daemon = true));
    SL_TRY(sl_spawn(&scope, sl_exchange_run, exchange, .name = "exchange", .daemon = true));
    return sl_scope_close(&scope, run_worker(program, "127.0.0.1", sl_exchange_port(exchange), exchange, views));
}

static int worker_alone(void *arg)
{
    struct program *program = arg;
    return run_worker(program, program->address, program->port, NULL, NULL);
}

/* ---- the commands ---- */

/* Runs one of them in a runtime of its own. */
static int play(const struct sl_cli_arguments *arguments, sl_task_fn fn)
{
    struct program program = *(const struct program *)arguments->options;
    if (program.capture != NULL && program.generate) {
        (void)fprintf(stderr, "sluice: --capture and --generate exclude each other\n");
        return SL_EXIT_USAGE;
    }
    if (program.capture == NULL && !program.generate && access(CAPTURE, R_OK) == 0) {
        program.capture = CAPTURE;
    }
    int status = sl_main(fn, &program);
    return status == SL_EXIT_FAILED && program.refused ? SL_EXIT_CONFIG : status;
}

/* Three venues, unless a session of one market is asked for. */
static int run_demo(const struct sl_cli_arguments *arguments)
{
    const struct program *program = arguments->options;
    if (program->generate || program->capture != NULL) {
        return play(arguments, demo);
    }
    if (strcmp(program->database, DATABASE) == 0) {
        remove_database();
    }
    struct sl_demo_options options = {.database = program->database,
                                      .instruments = program->instruments,
                                      .rate = program->rate,
                                      .events = program->messages,
                                      .seed = program->seed,
                                      .fault_every = program->cut_every,
                                      .admin_port = program->admin_port,
                                      .quiet = program->quiet};
    return sl_main(sl_demo, &options);
}

static int run_worker_alone(const struct sl_cli_arguments *arguments)
{
    if (((const struct program *)arguments->options)->port == 0) {
        (void)fprintf(stderr, "sluice: worker needs --port, that of the exchange\n");
        return SL_EXIT_USAGE;
    }
    return play(arguments, worker_alone);
}

#define PLAYS                                                                                                          \
    {SL_CLI_OPTION("speed", struct program, speed), .type = SL_CLI_SPEED, .default_text = "10",                        \
     .help = "of the session"},                                                                                        \
        {SL_CLI_OPTION("cut-every", struct program, cut_every),                                                        \
         .type = SL_CLI_DURATION,                                                                                      \
         .default_text = "10s",                                                                                        \
         .min = 1000000,                                                                                               \
         .max = INT64_MAX,                                                                                             \
         .range = "1ms or more",                                                                                       \
         .help = "cut the connections this often, 0 never"},                                                           \
        {SL_CLI_OPTION("capture", struct program, capture), .type = SL_CLI_FILE,                                       \
         .help = "play this file of captured messages"},                                                               \
        {SL_CLI_OPTION("generate", struct program, generate), .type = SL_CLI_FLAG,                                     \
         .help = "play made-up messages, though a capture is there"},                                                  \
        {SL_CLI_OPTION("messages", struct program, messages),                                                          \
         .type = SL_CLI_COUNT,                                                                                         \
         .min = 1,                                                                                                     \
         .max = SL_GENERATE_MESSAGES_MAX,                                                                              \
         .range = "1 to 1000000000",                                                                                   \
         .help = "length of the made-up session"},                                                                     \
        {SL_CLI_OPTION("seed", struct program, seed), .type = SL_CLI_COUNT, .default_text = "1",                       \
         .help = "of the made-up session"},                                                                            \
    {                                                                                                                  \
        SL_CLI_OPTION("symbol", struct program, symbol), .type = SL_CLI_SYMBOL, .default_text = "BTCUSDT",             \
                                                         .help = "instrument"                                          \
    }

#define WRITES                                                                                                         \
    {SL_CLI_OPTION("database", struct program, database), .type = SL_CLI_FILE, .default_text = DATABASE,               \
     .help = "SQLite file"},                                                                                           \
        {SL_CLI_OPTION("redis", struct program, redis), .type = SL_CLI_TEXT, .value = "URL",                           \
         .help = "work under a lock there, e.g. redis://127.0.0.1:6379"},                                              \
        {SL_CLI_OPTION("lock-ttl", struct program, lock_ttl),                                                          \
         .type = SL_CLI_DURATION,                                                                                      \
         .min = 100000000,                                                                                             \
         .max = UINT64_C(3600000000000),                                                                               \
         .range = "100ms to 1h",                                                                                       \
         .help = "of the lock; without it 10s"},                                                                       \
    {                                                                                                                  \
        SL_CLI_OPTION("quiet", struct program, quiet), .type = SL_CLI_FLAG, .help = "no live line"                     \
    }

static const struct sl_cli_option demo_options[] = {
    PLAYS,
    {SL_CLI_OPTION("instruments", struct program, instruments), .type = SL_CLI_COUNT, .default_text = "20", .min = 1,
     .max = 10000, .range = "1 to 10000", .help = "of each of the three venues"},
    {SL_CLI_OPTION("rate", struct program, rate), .type = SL_CLI_COUNT, .default_text = "2000", .min = 1,
     .max = 1000000, .range = "1 to 1000000", .help = "events a second of the three venues"},
    WRITES,
    {SL_CLI_OPTION("port", struct program, port), .type = SL_CLI_PORT,
     .help = "of the exchange; 0 lets the system choose"},
    {SL_CLI_OPTION("admin-port", struct program, admin_port), .type = SL_CLI_PORT, .default_text = "8080",
     .help = "of the dashboard; another one when it is taken"}};
static const struct sl_cli_option worker_options[] = {
    WRITES,
    {SL_CLI_OPTION("symbol", struct program, symbol), .type = SL_CLI_SYMBOL, .default_text = "BTCUSDT",
     .help = "instrument"},
    {SL_CLI_OPTION("address", struct program, address), .type = SL_CLI_TEXT, .value = "ADDRESS",
     .default_text = "127.0.0.1", .help = "of the exchange"},
    {SL_CLI_OPTION("port", struct program, port), .type = SL_CLI_PORT, .help = "of the exchange"}};

const struct sl_cli_command sl__command_demo = {
    .name = "demo",
    .summary = "three simulated venues into SQLite, with the dashboard, in one process",
    .description =
        "Ctrl-C stops it in order and tells what was received, written and lost. With --generate or --capture\n"
        "it plays a session of one market instead, and compares the worker's book with the exchange's.",
    SL_CLI_OPTIONS(demo_options, struct program),
    .run = run_demo};
const struct sl_cli_command sl__command_worker = {.name = "worker",
                                                  .summary = "the worker of the demo alone",
                                                  SL_CLI_OPTIONS(worker_options, struct program),
                                                  .run = run_worker_alone};
