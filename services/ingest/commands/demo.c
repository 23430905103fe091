/* SPDX-License-Identifier: MIT */
/* sluice demo: simulated venues, the program and its dashboard in one process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ingest/commands.h"
#include "ingest/demo/demo.h"
#include "sluice/runtime.h"

#define DATABASE "sluice-demo.db"

/* Events a second of made-up markets at speed 1, and how many of them there are by default when there is one market. */
#define USUAL_RATE 200
#define MESSAGES_MAX UINT64_C(1000000000)

struct demo {
    double speed;
    sl_time cut_every, lock_ttl;
    const char *capture, *database, *redis;
    uint64_t seed, messages, instruments, rate;
    int port, admin_port;
    bool generate, quiet;
};

/*
 * The demo's own file: each run begins with an empty one. It is kept locked until the process ends (also because SQLite's
 * locks go when any descriptor of its file is closed): another demo in this folder would take it away.
 */
static int empty_database(void)
{
    int file = open(DATABASE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) {
        return 0; /* the sink says why */
    }
    if (flock(file, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        (void)fprintf(stderr, "sluice: another demo writes to " DATABASE " in this folder; --database names another\n");
        return SL_EXIT_FAILED;
    }
    (void)unlink(DATABASE "-wal");
    (void)unlink(DATABASE "-shm");
    return ftruncate(file, 0) == 0 ? 0 : SL_EXIT_FAILED;
}

static int run_demo(const struct sl_cli_arguments *arguments)
{
    const struct demo *demo = arguments->options;
    if (demo->capture != NULL && demo->generate) {
        (void)fprintf(stderr, "sluice: --capture and --generate exclude each other\n");
        return SL_EXIT_USAGE;
    }
    if (demo->capture != NULL && (demo->messages > 0 || demo->rate > 0)) {
        (void)fprintf(stderr, "sluice: a --capture has its own --messages and --rate\n");
        return SL_EXIT_USAGE;
    }
    int empty = strcmp(demo->database, DATABASE) == 0 ? empty_database() : 0;
    if (empty != 0) {
        return empty;
    }
    struct sl_demo_options options = {.database = demo->database,
                                      .one_market = demo->generate || demo->capture != NULL,
                                      .capture = demo->capture,
                                      .speed = demo->speed,
                                      .instruments = demo->instruments,
                                      .rate = demo->rate > 0 ? (double)demo->rate : USUAL_RATE * demo->speed,
                                      .events = demo->messages,
                                      .seed = demo->seed,
                                      .fault_every = demo->cut_every,
                                      .redis = demo->redis,
                                      .lock_ttl = demo->lock_ttl,
                                      .port = demo->port,
                                      .admin_port = demo->admin_port,
                                      .quiet = demo->quiet};
    return sl_main(sl_demo, &options);
}

static const struct sl_cli_option demo_options[] = {
    {SL_CLI_OPTION("speed", struct demo, speed), .type = SL_CLI_SPEED, .default_text = "10",
     .help = "of a captured session, times real time; of made-up markets, times 200 events a second"},
    {SL_CLI_OPTION("rate", struct demo, rate), .type = SL_CLI_COUNT, .min = 1, .max = 1000000, .range = "1 to 1000000",
     .help = "of made-up markets, events a second of all together, in place of --speed"},
    {SL_CLI_OPTION("messages", struct demo, messages), .type = SL_CLI_COUNT, .min = 1, .max = MESSAGES_MAX,
     .range = "1 to 1000000000",
     .help = "so many events of made-up markets, then it ends; without it, when it is stopped"},
    {SL_CLI_OPTION("instruments", struct demo, instruments), .type = SL_CLI_COUNT, .default_text = "20", .min = 1,
     .max = 10000, .range = "1 to 10000", .help = "of each of the three venues"},
    {SL_CLI_OPTION("generate", struct demo, generate), .type = SL_CLI_FLAG,
     .help = "one made-up market in place of three venues, on one connection: what is cut is lost, and told"},
    {SL_CLI_OPTION("capture", struct demo, capture), .type = SL_CLI_FILE,
     .help = "the same with this file of captured Binance USD-M messages, to its end"},
    {SL_CLI_OPTION("seed", struct demo, seed), .type = SL_CLI_COUNT, .default_text = "1", .help = "of made-up markets"},
    {SL_CLI_OPTION("cut-every", struct demo, cut_every), .type = SL_CLI_DURATION, .default_text = "10s", .min = 1000000,
     .max = INT64_MAX, .range = "1ms or more", .help = "cut connections this often, 0 never"},
    {SL_CLI_OPTION("database", struct demo, database), .type = SL_CLI_FILE, .default_text = DATABASE,
     .help = "SQLite file"},
    {SL_CLI_OPTION("redis", struct demo, redis), .type = SL_CLI_TEXT, .value = "URL",
     .help = "work under a lock there, e.g. redis://127.0.0.1:6379"},
    {SL_CLI_OPTION("lock-ttl", struct demo, lock_ttl), .type = SL_CLI_DURATION, .min = 100000000,
     .max = UINT64_C(3600000000000), .range = "100ms to 1h", .help = "of the lock; without it 10s"},
    {SL_CLI_OPTION("quiet", struct demo, quiet), .type = SL_CLI_FLAG, .help = "no live line"},
    {SL_CLI_OPTION("port", struct demo, port), .type = SL_CLI_PORT,
     .help = "of the exchange; 0 lets the system choose"},
    {SL_CLI_OPTION("admin-port", struct demo, admin_port), .type = SL_CLI_PORT, .default_text = "8080",
     .help = "of the dashboard; another one when it is taken"}};

const struct sl_cli_command sl__command_demo = {
    .name = "demo",
    .summary = "three simulated venues into SQLite, with the dashboard, in one process",
    .description =
        "Ctrl-C stops it in order and tells what was received, written and lost. A session that has an end is judged:\n"
        "books and trades must be those of the exchange, what was lost must have been told. The exit status is 0\n"
        "only if they are, and if the database has all that was received.",
    SL_CLI_OPTIONS(demo_options, struct demo),
    .run = run_demo};
