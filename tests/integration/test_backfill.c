/* SPDX-License-Identifier: MIT */
/*
 * Missing history as operators meet it, `sluice run` against the simulated exchange, whose truth is compared with the
 * database: gaps of a stream are filled and told to be; a backfill that is killed goes on where it was; two replicas share
 * one queue in Redis, and one takes over from the other.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "market_db.h"
#include "own_server.h"
#include "redis_server.h"
#include "scratch_folder.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define LINE_BYTES 4096
#define WORKERS 2

struct worker {
    struct own_server server;
};

struct world {
    struct own_server exchange;
    struct worker workers[WORKERS];
};

static FILE *create(const struct own_server *server, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", server->folder.path, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    return file;
}

static void start_exchange(struct world *world, const char *scenario)
{
    FILE *file = create(&world->exchange, "scenario.yaml");
    (void)fprintf(file, "truth: \"%s/truth.ndjson\"\n%s", world->exchange.folder.path, scenario);
    assert_int_equal(fclose(file), 0);
    own_server_shell(&world->exchange, "exec " SLUICE " exchange %s/scenario.yaml --port %d >%s/log 2>&1",
                     world->exchange.folder.path, world->exchange.port, world->exchange.folder.path);
    assert_int_equal(own_server_start(&world->exchange), 0);
}

/* `services` with the sink "db", and whatever else. */
static void start_worker(const struct world *world, struct worker *worker, const char *services, const char *more)
{
    static const char *const venues[] = {"coinbase", "kraken", "okx", "bitstamp"};
    FILE *file = create(&worker->server, "config.yaml");
    (void)fprintf(file, "services:\n%svenues:\n", services);
    for (size_t at = 0; at < sizeof venues / sizeof *venues; at++) {
        (void)fprintf(file, "  %s: { stream: \"ws://127.0.0.1:%d/%s\", rest: \"http://127.0.0.1:%d/%s\" }\n",
                      venues[at], world->exchange.port, venues[at], world->exchange.port, venues[at]);
    }
    (void)fprintf(file, "sinks: { db: { kind: sqlite, path: \"%s/market.db\", flush: 20ms } }\n%s",
                  worker->server.folder.path, more);
    (void)fprintf(file, "admin: { listen: \"127.0.0.1:%d\" }\n", worker->server.port);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(own_server_start(&worker->server), 0);
}

static void prepare_worker(struct worker *worker)
{
    own_server_prepare(&worker->server);
    own_server_shell(&worker->server, "cd %s && exec " SLUICE " run config.yaml >>log 2>&1",
                     worker->server.folder.path);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->exchange);
    for (size_t at = 0; at < WORKERS; at++) {
        prepare_worker(&world->workers[at]);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    for (size_t at = 0; at < WORKERS; at++) {
        own_server_end(&world->workers[at].server);
    }
    own_server_end(&world->exchange);
    free(world);
    return 0;
}

/* ---- comparing ---- */

static void run_sql(sqlite3 *db, const char *sql)
{
    char *problem = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &problem) != SQLITE_OK) {
        fail_msg("%s: %s", sql, problem);
    }
}

/* The truth's trades as the table `truth` of a database in memory; the workers' as `one` and `two`. */
static sqlite3 *open_all(const struct world *world)
{
    static char line[LINE_BYTES * 8];
    char path[1024];
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    run_sql(db,
            "CREATE TABLE truth (venue, instrument, id, price, quantity, taker, PRIMARY KEY (venue, instrument, id))");
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "INSERT INTO truth SELECT ?1->>'venue', ?1->>'symbol', ?1->>'id', "
                                        "?1->>'price', ?1->>'quantity', ?1->>'taker'",
                                        -1, &insert, NULL),
                     SQLITE_OK);
    (void)snprintf(path, sizeof path, "%s/truth.ndjson", world->exchange.folder.path);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, "{\"kind\":\"trade\"") == line && strchr(line, '\n') != NULL) {
            assert_int_equal(sqlite3_bind_text(insert, 1, line, -1, SQLITE_TRANSIENT), SQLITE_OK);
            assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
            (void)sqlite3_reset(insert);
        }
    }
    (void)fclose(file);
    (void)sqlite3_finalize(insert);
    for (size_t at = 0; at < WORKERS; at++) {
        (void)snprintf(path, sizeof path, "ATTACH '%s/market.db' AS %s", world->workers[at].server.folder.path,
                       at == 0 ? "one" : "two");
        run_sql(db, path);
    }
    return db;
}

static long long number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    long long value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    (void)sqlite3_finalize(statement);
    return value;
}

/* Of a worker that runs; -1 while there is nothing. */
static long long query(const struct worker *worker, const char *sql)
{
    return market_db_number(worker->server.folder.path, sql);
}

static void wait_for(const struct worker *worker, const char *sql, long long least)
{
    market_db_wait(worker->server.folder.path, sql, least);
}

static long long count_lines(const struct own_server *server, const char *name, const char *text)
{
    static char line[LINE_BYTES * 8];
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", server->folder.path, name);
    FILE *file = fopen(path, "re");
    long long count = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

/* Nothing more has happened at the exchange for a second. */
static void wait_for_the_end(const struct world *world)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/truth.ndjson", world->exchange.folder.path);
    off_t before = -1;
    for (int calm = 0; calm < 50; calm++) {
        struct stat status = {.st_size = 0};
        (void)stat(path, &status);
        calm = status.st_size == 0 || status.st_size != before ? 0 : calm;
        before = status.st_size;
        (void)usleep(20000);
    }
}

static void wait_for_log(const struct worker *worker, const char *text, long long least)
{
    while (count_lines(&worker->server, "log", text) < least) {
        (void)usleep(20000);
    }
}

/* Since it has both instruments of the service the worker has said that nothing is left; never before it had any. */
static bool has_all_of(const struct worker *worker, const char *service)
{
    static char line[LINE_BYTES * 8];
    char path[512], any[128], chosen[128], said[128];
    (void)snprintf(path, sizeof path, "%s/log", worker->server.folder.path);
    (void)snprintf(any, sizeof any, "\"instruments chosen\",\"service\":\"%s\"", service);
    (void)snprintf(chosen, sizeof chosen, "\"instruments chosen\",\"service\":\"%s\",\"instruments\":2}", service);
    (void)snprintf(said, sizeof said, "\"all history is there\",\"service\":\"%s\"", service);
    FILE *file = fopen(path, "re");
    bool some = false, both = false, all = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        some = some || strstr(line, any) != NULL;
        assert_true(some || strstr(line, said) == NULL);
        both = both || strstr(line, chosen) != NULL;
        all = all || (both && strstr(line, said) != NULL);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return all;
}

/* ---- gaps of a stream ---- */

#define LIMITS                                                                                                         \
    "limits:\n"                                                                                                        \
    "  quick: { rates: [{ rate: 100/1s, cost: call }] }\n"

#define STREAMS                                                                                                        \
    "  okx: { kind: stream, venue: okx, instruments: [\"*\"], channels: [trades], sinks: [db] }\n"                     \
    "  kraken: { kind: stream, venue: kraken, instruments: [\"*\"], channels: [trades], sinks: [db], limit: quick }\n" \
    "  coinbase: { kind: stream, venue: coinbase, instruments: [\"*\"], channels: [trades], sinks: [db] }\n"           \
    "  bitstamp: { kind: stream, venue: bitstamp, instruments: [\"*\"], channels: [trades], sinks: [db] }\n"

/* The worker itself is killed in between: what it missed meanwhile is a gap like the others, from where it was. */
static void gaps_are_filled(void **state)
{
    struct world *world = *state;
    struct worker *worker = &world->workers[0];
    start_exchange(world,
                   "seed: 5\nrate: 800\nsteps: 5600\nwait: 8\n"
                   "venues: { coinbase: { instruments: 2 }, kraken: { instruments: 2 }, okx: { instruments: 2 },\n"
                   "          bitstamp: { instruments: 2 } }\n"
                   "faults:\n"
                   "  - { what: [drop-trade], venues: [coinbase, kraken, okx], every: 300ms, until: 4s, count: 3 }\n"
                   "  - { what: [cut-all], at: 2s, every: 1500ms, until: 5s }\n");
    start_worker(world, worker, STREAMS, LIMITS "coordination: { positions: positions }\n");
    wait_for(worker, "SELECT count(*) FROM gaps", 10);
    while (count_lines(&worker->server, "positions", " trades") < 8) {
        (void)usleep(20000);
    }
    own_server_stop(&worker->server, SIGKILL);
    start_worker(world, worker, STREAMS, LIMITS "coordination: { positions: positions }\n");
    wait_for_the_end(world);
    /* The last ones are known with the market's last trades; then all are healed. */
    for (int calm = 0; calm < 50; calm++) {
        long long before = query(worker, "SELECT count(*) FROM trades");
        (void)usleep(40000);
        bool open = query(worker, "SELECT count(*) FROM gaps WHERE healed_time_ns IS NULL") > 0;
        calm = open || query(worker, "SELECT count(*) FROM trades") != before ? 0 : calm;
    }
    own_server_stop(&worker->server, SIGTERM);
    own_server_stop(&world->exchange, SIGTERM);
    sqlite3 *db = open_all(world);
    /* From the first trade that each instrument had: before it nobody listened. */
    const char *const missing =
        "SELECT count(*) FROM truth t WHERE NOT EXISTS (SELECT 1 FROM one.trades o WHERE o.venue = t.venue AND "
        "o.instrument = t.instrument AND o.trade_id = t.id AND o.price = t.price AND o.quantity = t.quantity AND "
        "o.taker = t.taker) AND t.id > (SELECT min(trade_id) FROM one.trades o WHERE o.venue = t.venue AND "
        "o.instrument = t.instrument)";
    assert_true(number(db, "SELECT count(*) FROM truth") > 1500);
    assert_true(number(db, "SELECT count(DISTINCT venue || instrument) FROM one.trades") == 8);
    assert_int_equal(number(db, missing), 0);
    assert_int_equal(number(db, "SELECT count(*) FROM one.trades o WHERE NOT EXISTS (SELECT 1 FROM truth t WHERE "
                                "o.venue = t.venue AND o.instrument = t.instrument AND o.trade_id = t.id)"),
                     0);
    assert_int_equal(number(db, "SELECT count(*) - count(DISTINCT venue || instrument || trade_id) FROM one.trades"),
                     0);
    assert_true(number(db, "SELECT count(*) FROM one.gaps WHERE reason = 'sequence'") >= 10);
    assert_true(number(db, "SELECT count(*) FROM one.gaps WHERE reason = 'disconnected'") >= 2);
    assert_int_equal(number(db, "SELECT count(DISTINCT venue || instrument) FROM one.gaps WHERE reason = 'restarted'"),
                     8);
    assert_int_equal(number(db, "SELECT count(*) FROM one.gaps WHERE venue = 'bitstamp' AND reason = 'sequence'"), 0);
    assert_int_equal(number(db, "SELECT count(*) FROM one.gaps WHERE healed_time_ns IS NULL"), 0);
    print_message("%lld trades, %lld gaps filled\n", number(db, "SELECT count(*) FROM one.trades"),
                  number(db, "SELECT count(*) FROM one.gaps"));
    (void)sqlite3_close(db);
}

/* ---- backfill ---- */

static void make_history(struct world *world)
{
    start_exchange(world,
                   "seed: 6\nrate: 3000\nsteps: 6000\n"
                   "venues: { coinbase: { instruments: 2 }, kraken: { instruments: 2 }, okx: { instruments: 2 } }\n");
    wait_for_the_end(world);
}

#define BACKFILL(name, queue)                                                                                          \
    "  " name ": { kind: backfill, venue: " name ", instruments: [\"*\"], from: 3m, chunk: 1m, sinks: [db], "          \
    "limit: slow, " queue " }\n"

#define SLOW "limits:\n  slow: { rates: [{ rate: 20/1s, burst: 1, cost: call }] }\n"

#define FAST "limits:\n  slow: { rates: [{ rate: 200/1s, cost: call }] }\n"

#define ALL_TRADES "SELECT count(*) FROM trades"

static void compare_whole(sqlite3 *db, const char *trades)
{
    char sql[1024];
    long long truth = number(db, "SELECT count(*) FROM truth");
    assert_true(truth > 1500);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s)", trades);
    assert_int_equal(number(db, sql), truth);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM truth t JOIN (%s) o ON o.venue = t.venue AND o.instrument = t.instrument AND "
                   "o.trade_id = t.id AND o.price = t.price AND o.quantity = t.quantity AND o.taker = t.taker",
                   trades);
    assert_int_equal(number(db, sql), truth);
}

#define COLUMNS "SELECT venue, instrument, trade_id, price, quantity, taker FROM "

static void a_killed_backfill_goes_on(void **state)
{
    struct world *world = *state;
    struct worker *worker = &world->workers[0];
    const char *const services = BACKFILL("okx", "state: okx.work") BACKFILL("kraken", "state: kraken.work")
        BACKFILL("coinbase", "state: coinbase.work");
    make_history(world);
    for (long long least = 300; least <= 900; least += 300) {
        start_worker(world, worker, services, SLOW);
        wait_for(worker, ALL_TRADES, least);
        own_server_stop(&worker->server, SIGKILL);
    }
    long long before = query(worker, ALL_TRADES);
    /* A small one may have been through before it was killed. */
    long long through = count_lines(&worker->server, "log", "all history is there");
    start_worker(world, worker, services, FAST);
    wait_for_log(worker, "all history is there", through + 3);
    own_server_stop(&worker->server, SIGTERM);
    own_server_stop(&world->exchange, SIGTERM);
    sqlite3 *db = open_all(world);
    compare_whole(db, COLUMNS "one.trades");
    assert_true(before < number(db, "SELECT count(*) FROM truth"));
    assert_int_equal(count_lines(&worker->server, "log", "\"put_aside\":0"), through + 3);
    print_message("killed with %lld of %lld trades\n", before, number(db, "SELECT count(*) FROM truth"));
    (void)sqlite3_close(db);
}

/* What one has done the other does not do again; what it had in hand when it was killed the other takes over. */
static void replicas_share_a_backfill(void **state)
{
    struct world *world = *state;
    char more[512];
    const char *const services = BACKFILL("okx", "queue: redis") BACKFILL("coinbase", "queue: redis");
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(more, sizeof more, SLOW "coordination: { backend: redis, url: \"redis://127.0.0.1:%d\", ttl: 3s }\n",
                   port);
    make_history(world);
    for (size_t at = 0; at < WORKERS; at++) {
        start_worker(world, &world->workers[at], services, more);
    }
    long long had[WORKERS] = {0}; /* most jobs are of times without trades: how they fall to the workers is chance */
    while (had[0] + had[1] < 400) {
        (void)usleep(20000);
        for (size_t at = 0; at < WORKERS; at++) {
            long long trades = query(&world->workers[at], ALL_TRADES);
            had[at] = trades < 0 ? 0 : trades;
        }
    }
    struct worker *killed = &world->workers[had[0] < had[1]], *left = &world->workers[had[0] >= had[1]];
    own_server_stop(&killed->server, SIGKILL);
    while (!has_all_of(left, "okx") || !has_all_of(left, "coinbase")) {
        (void)usleep(20000);
    }
    (void)has_all_of(killed, "okx");
    (void)has_all_of(killed, "coinbase");
    own_server_stop(&left->server, SIGTERM);
    own_server_stop(&world->exchange, SIGTERM);
    sqlite3 *db = open_all(world);
    run_sql(db, "DELETE FROM truth WHERE venue = 'kraken'");
    compare_whole(db, COLUMNS "one.trades UNION " COLUMNS "two.trades");
    long long one = number(db, "SELECT count(*) FROM one.trades"), two = number(db, "SELECT count(*) FROM two.trades");
    long long truth = number(db, "SELECT count(*) FROM truth");
    print_message("%lld and %lld of %lld trades\n", one, two, truth);
    long long of_killed = had[0] < had[1] ? two : one;
    assert_true(of_killed > 0 && of_killed < truth && one + two > of_killed);
    (void)sqlite3_close(db);
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(RUN(gaps_are_filled), RUN(a_killed_backfill_goes_on), RUN(replicas_share_a_backfill))
