/* SPDX-License-Identifier: MIT */
/*
 * The whole `sluice run` is killed at random moments, again and again, while it follows an exchange that keeps the truth. The
 * last life goes on to the end of the market. Then every trade that happened since the first that was seen is in each sink,
 * or told as missing; none is doubled where identity is kept, and the database is whole.
 *
 * SL_FIRE_KILLS sets how often (4); SL_FIRE_SEED the seed.
 */
#include "sl_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "own_server.h"
#include "shell_run.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define LINE_BYTES 2048

struct world {
    struct own_server exchange, program;
};

static void write_config(const struct world *world)
{
    char path[512];
    const char *folder = world->program.folder.path;
    int port = world->exchange.port;
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(
        file,
        "services: {s: {kind: stream, venue: okx, instruments: ['*'], channels: [trades], sinks: [file, db]}}\n"
        "venues: {okx: {stream: 'ws://127.0.0.1:%d/okx', rest: 'http://127.0.0.1:%d/okx'}}\n"
        "sinks:\n"
        "  file: {kind: file, path: '%s/out', when_full: spool, flush: 20ms}\n"
        "  db: {kind: sqlite, path: '%s/market.db', when_full: spool, flush: 20ms}\n"
        "spool: {path: '%s/spool'}\n"
        "coordination: {positions: '%s/positions'}\n"
        "admin: {listen: '127.0.0.1:%d'}\n",
        port, port, folder, folder, folder, folder, world->program.port);
    assert_int_equal(fclose(file), 0);
}

static void set_up(struct world *world)
{
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program);
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue okx --instruments 4 --rate 400 --port %d --truth %s/truth.ndjson"
                     " >/dev/null 2>&1",
                     world->exchange.port, world->program.folder.path);
    own_server_shell(&world->program, "cd %s && exec " SLUICE " run config.yaml >>log 2>&1",
                     world->program.folder.path);
    write_config(world);
    assert_int_equal(own_server_start(&world->exchange), 0);
}

/* The first value of the first row; what went wrong otherwise. */
static void expect_answer(const struct world *world, const char *sql, const char *expected)
{
    char path[512];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(path, sizeof path, "%s/market.db", world->program.folder.path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
}

static void pause_ms(uint64_t ms)
{
    struct timespec pause = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void killed_at_random_moments(void **state)
{
    static struct world world;
    char line[LINE_BYTES];
    const char *output = NULL;
    (void)state;
    uint64_t kills = sl_test_number("SL_FIRE_KILLS", 4);
    uint64_t seed = sl_test_number("SL_FIRE_SEED", (uint64_t)time(NULL));
    print_message("seed %llu\n", (unsigned long long)seed);
    set_up(&world);
    for (uint64_t kill = 0, random = seed; kill < kills; kill++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        assert_int_equal(own_server_start(&world.program), 0);
        pause_ms(300 + (random >> 33) % 1200);
        own_server_stop(&world.program, SIGKILL);
    }
    assert_int_equal(own_server_start(&world.program), 0);
    pause_ms(4000); /* what is told as missing is asked for meanwhile */
    own_server_stop(&world.exchange, SIGTERM);
    pause_ms(500);
    own_server_stop(&world.program, SIGTERM);
    const char *folder = world.program.folder.path;
    (void)snprintf(line, sizeof line,
                   "python3 $SOURCE/tests/integration/truth.py --stopped %s/truth.ndjson %s/out-*.ndjson", folder,
                   folder);
    int status = shell_run(line, &output);
    print_message("%s", output);
    assert_int_equal(status, 0);
    expect_answer(&world, "PRAGMA integrity_check", "ok");
    (void)snprintf(line, sizeof line,
                   "cd $SOURCE/tests/integration && python3 sqlite_events.py %s/market.db >%s/db.ndjson && "
                   "python3 truth.py --stopped %s/truth.ndjson %s/db.ndjson",
                   folder, folder, folder, folder);
    status = shell_run(line, &output);
    print_message("%s", output);
    assert_int_equal(status, 0);
    own_server_end(&world.program);
    own_server_end(&world.exchange);
}

SL_TEST_MAIN(cmocka_unit_test(killed_at_random_moments))
