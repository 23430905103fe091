/* SPDX-License-Identifier: MIT */
/* `sluice run` as operators run it: a file, venues (simulated ones), sinks, SIGHUP, SIGTERM. */
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

struct world {
    struct own_server exchange, program;
    char file_more[64], db_more[64]; /* keys of the sinks */
    char okx_more[128];              /* and of a service */
    int okx_port;                    /* where the service looks for it; 0: the exchange's */
    char config[512], text[LINE_BYTES * 4];
};

static void write_config(const struct world *world, const char *instruments, const char *more)
{
    FILE *file = fopen(world->config, "we");
    assert_non_null(file);
    const char *folder = world->program.folder.path;
    int port = world->exchange.port;
    int okx = world->okx_port != 0 ? world->okx_port : port;
    (void)fprintf(file,
                  "services:\n"
                  "  okx: { kind: stream, venue: okx, instruments: [%s], channels: [trades], sinks: [file, db]%s }\n"
                  "  books: { kind: book, venue: coinbase, instruments: [\"*\"], emit: both, sinks: [file, db] }\n"
                  "sinks:\n"
                  "  file: { kind: file, path: \"%s/out\"%s }\n"
                  "  db: { kind: sqlite, path: \"%s/market.db\"%s }\n"
                  "venues:\n"
                  "  okx: { stream: \"ws://127.0.0.1:%d/okx\", rest: \"http://127.0.0.1:%d/okx\" }\n"
                  "  coinbase: { stream: \"ws://127.0.0.1:%d/coinbase\", rest: \"http://127.0.0.1:%d/coinbase\" }\n"
                  "admin: { listen: \"127.0.0.1:%d\" }\n%s",
                  instruments, world->okx_more, folder, world->file_more, folder, world->db_more, okx, okx, port, port,
                  world->program.port, more);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program);
    (void)snprintf(world->config, sizeof world->config, "%s/config.yaml", world->program.folder.path);
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue okx --venue coinbase --instruments 4 --rate 1500 --port %d"
                     " >/dev/null 2>&1",
                     world->exchange.port);
    own_server_shell(&world->program, "exec " SLUICE " run %s >%s/log 2>&1", world->config, world->program.folder.path);
    return own_server_start(&world->exchange);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    own_server_end(&world->program);
    own_server_end(&world->exchange);
    free(world);
    return 0;
}

static const char *log_of(struct world *world)
{
    return own_server_read(&world->program, "log", world->text, sizeof world->text);
}

static long long query(const struct world *world, const char *sql)
{
    return market_db_number(world->program.folder.path, sql);
}

static void wait_for(const struct world *world, const char *sql, long long least)
{
    market_db_wait(world->program.folder.path, sql, least);
}

static void wait_for_log(struct world *world, const char *text)
{
    while (strstr(log_of(world), text) == NULL) {
        (void)usleep(20000);
    }
}

/* Lines of the file sink with a text. */
static long long lines_with(const struct world *world, const char *text)
{
    char path[512], line[LINE_BYTES * 4];
    (void)snprintf(path, sizeof path, "%s/out-00000001.ndjson", world->program.folder.path);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    long long count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    (void)fclose(file);
    return count;
}

static void sinks_have_the_same_and_a_stop_loses_nothing(void **state)
{
    struct world *world = *state;
    write_config(world, "\"*\"", "");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 300);
    wait_for(world, "SELECT count(*) FROM top_of_book", 300);
    own_server_stop(&world->program, SIGTERM);
    assert_int_equal(query(world, "SELECT count(*) FROM trades"), lines_with(world, "\"kind\":\"trade\""));
    assert_int_equal(query(world, "SELECT count(DISTINCT instrument) FROM trades"), 4);
    assert_true(lines_with(world, "\"kind\":\"book_snapshot\"") == 4);
    assert_non_null(strstr(log_of(world), "lost       0 dropped by sinks, 0 not delivered"));
}

static void a_hangup_takes_what_changed_and_a_bad_file_changes_nothing(void **state)
{
    struct world *world = *state;
    write_config(world, "\"BTC-*\"", "");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 50);
    assert_int_equal(query(world, "SELECT count(DISTINCT instrument) FROM trades"), 1);
    write_config(world, "\"BTC-*\", \"ETH-*\"", "");
    assert_int_equal(kill(world->program.pid, SIGHUP), 0);
    wait_for(world, "SELECT count(DISTINCT instrument) FROM trades", 2);
    long long books = query(world, "SELECT count(*) FROM gaps WHERE venue = 'coinbase'");
    assert_int_equal(books, 0); /* the other service went on */
    write_config(world, "\"*\"", "nonsense: 1\n");
    assert_int_equal(kill(world->program.pid, SIGHUP), 0);
    wait_for_log(world, "nonsense: unknown key");
    long long trades = query(world, "SELECT count(*) FROM trades");
    wait_for(world, "SELECT count(*) FROM trades", trades + 100);
    assert_int_equal(query(world, "SELECT count(DISTINCT instrument) FROM trades"), 2);
    own_server_stop(&world->program, SIGTERM);
    assert_int_equal(query(world, "SELECT count(*) FROM trades"), lines_with(world, "\"kind\":\"trade\""));
}

/* The channels of a sink; and another batch is another sink, which misses nothing that the old one has not. */
static void a_sink_takes_its_channels_and_is_replaced_without_loss(void **state)
{
    struct world *world = *state;
    (void)snprintf(world->file_more, sizeof world->file_more, ", only: [trades]");
    (void)snprintf(world->db_more, sizeof world->db_more, ", only: [best]");
    write_config(world, "\"*\"", "");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM top_of_book", 200);
    for (int batch = 100; batch < 104; batch++) {
        long long tops = query(world, "SELECT count(*) FROM top_of_book");
        (void)snprintf(world->db_more, sizeof world->db_more, ", only: [best], batch: %d", batch);
        write_config(world, "\"*\"", "");
        assert_int_equal(kill(world->program.pid, SIGHUP), 0);
        wait_for(world, "SELECT count(*) FROM top_of_book", tops + 100);
    }
    while (lines_with(world, "\"kind\":\"trade\"") < 100) {
        (void)usleep(20000);
    }
    own_server_stop(&world->program, SIGTERM);
    assert_int_equal(lines_with(world, "\"kind\":\"book_"), 0);
    assert_int_equal(lines_with(world, "\"kind\":\"best\""), 0);
    assert_int_equal(query(world, "SELECT count(*) FROM trades"), 0);
    assert_non_null(strstr(log_of(world), "lost       0 dropped by sinks, 0 not delivered"));
    assert_true(query(world, "SELECT count(*) FROM top_of_book") >= 600);
}

/* What the endpoint answers. */
static const char *ask(struct world *world, const char *path)
{
    char command[256];
    (void)snprintf(command, sizeof command, "curl -s --max-time 10 http://127.0.0.1:%d%s", world->program.port, path);
    FILE *answer = popen(command, "r");
    assert_non_null(answer);
    world->text[fread(world->text, 1, sizeof world->text - 1, answer)] = '\0';
    (void)pclose(answer);
    return world->text;
}

/* The value of a figure of the first service that has one. */
static double figure(struct world *world, const char *name)
{
    const char *line = strstr(ask(world, "/metrics"), name);
    line = line == NULL ? NULL : strchr(line, '}');
    return line == NULL ? -1 : strtod(line + 1, NULL);
}

static void keys_of_connections_and_the_process_count(void **state)
{
    struct world *world = *state;
    (void)snprintf(world->okx_more, sizeof world->okx_more, ", stale_after: 1ms, connections: { rotate: 1s }");
    write_config(world, "\"*\"", "runtime: { memory: 1MiB }\nlog: { level: error }\n");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 50);
    while (figure(world, "\nsluice_feed_rotations_total{service=\"okx\"") < 1) {
        (void)usleep(50000);
    }
    while (figure(world, "\nsluice_feed_stale{service=\"okx\"") < 1) {
        (void)usleep(20000);
    }
    assert_non_null(strstr(ask(world, "/readyz"), "more than the 1 MiB of runtime.memory"));
    assert_null(strstr(log_of(world), "instruments chosen"));
    write_config(world, "\"BTC-*\"", "runtime: { memory: 1MiB }\nlog: { level: info }\n");
    assert_int_equal(kill(world->program.pid, SIGHUP), 0);
    wait_for_log(world, "instruments chosen");
    own_server_stop(&world->program, SIGTERM);
}

static int is_there(const struct own_server *server)
{
    (void)server;
    return 0;
}

static void an_endpoint_that_is_not_wanted_is_not_there(void **state)
{
    struct world *world = *state;
    write_config(world, "\"*\"", "");
    char command[640];
    (void)snprintf(command, sizeof command, "sed -i 's/admin: {/admin: { enabled: false,/' %s", world->config);
    assert_int_equal(system(command), 0);
    world->program.ready = is_there;
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 50);
    assert_string_equal(ask(world, "/livez"), "");
    own_server_stop(&world->program, SIGTERM);
    assert_non_null(strstr(log_of(world), "lost       0 dropped by sinks, 0 not delivered"));
}

static void an_exchange_that_goes_and_comes_back_is_followed_again(void **state)
{
    struct world *world = *state;
    write_config(world, "\"*\"", "");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 100);
    own_server_stop(&world->exchange, SIGKILL);
    assert_int_equal(own_server_start(&world->exchange), 0); /* from its beginning: trades that are there are repeats */
    wait_for(world, "SELECT count(*) FROM gaps WHERE reason = 'disconnected'", 1);
    long long tops = query(world, "SELECT count(*) FROM top_of_book");
    wait_for(world, "SELECT count(*) FROM top_of_book", tops + 50);
    own_server_stop(&world->program, SIGTERM);
    assert_non_null(strstr(log_of(world), "0 not delivered"));
}

/* ---- another way to a venue ---- */

static void a_venue_that_moves_is_followed_at_its_new_address(void **state)
{
    struct world *world = *state;
    write_config(world, "\"*\"", "");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 50);
    struct own_server moved = {0};
    own_server_prepare(&moved);
    static const char program[] = SLUICE;
    char port[16];
    (void)snprintf(port, sizeof port, "%d", moved.port);
    moved.arguments =
        (const char *const[]){program, "exchange", "--venue", "okx", "--instruments", "4", "--rate", "1500", "--seed",
                              "99",    "--port",   port,      NULL};
    assert_int_equal(own_server_start(&moved), 0);
    world->okx_port = moved.port;
    write_config(world, "\"*\"", "");
    assert_int_equal(kill(world->program.pid, SIGHUP), 0);
    wait_for_log(world, "another way to a venue");
    wait_for_log(world, "2 values and 1 parts changed");
    long long trades = query(world, "SELECT count(*) FROM trades");
    wait_for(world, "SELECT count(*) FROM trades", trades + 200);
    assert_int_equal(query(world, "SELECT count(*) FROM gaps WHERE venue = 'coinbase'"), 0); /* it went on */
    own_server_stop(&world->program, SIGTERM);
    own_server_end(&moved);
}

/* Whoever waits for an hour hears of it, too. */
static void waits_that_change_hold_for_what_is_waiting(void **state)
{
    struct world *world = *state;
    write_config(world, "\"*\"", "retry: { default: { initial: 1h, max: 1h, jitter: none } }\n");
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for(world, "SELECT count(*) FROM trades", 50);
    own_server_stop(&world->exchange, SIGKILL);
    wait_for_log(world, "is started again");
    assert_int_equal(own_server_start(&world->exchange), 0);
    write_config(world, "\"*\"", "retry: { default: { initial: 100ms, max: 100ms, jitter: none } }\n");
    assert_int_equal(kill(world->program.pid, SIGHUP), 0);
    long long tops = query(world, "SELECT count(*) FROM top_of_book");
    wait_for(world, "SELECT count(*) FROM top_of_book", tops + 50);
    own_server_stop(&world->program, SIGTERM);
}

static void wait_for_answer(struct world *world, const char *path, const char *text)
{
    while (strstr(ask(world, path), text) == NULL) {
        (void)usleep(50000);
    }
}

/* A limit that begins to be shared is another way, too; and its rates change in place. */
static void a_limit_that_is_shared_from_now_on_is_asked_in_redis(void **state)
{
    struct world *world = *state;
    int redis = redis_server_port();
    assert_true(redis > 0);
    char more[512];
    static const char *const limits[] = {"rates: [{ rate: 400/1m }]", "rates: [{ rate: 400/1m }], shared: redis",
                                         "rates: [{ rate: 500/1m }], shared: redis"};
    static const char *const shown[] = {"\"shared\":\"local\"", "\"shared\":\"redis\"", "\"shared\":\"redis\""};
    for (size_t at = 0; at < 3; at++) {
        (void)snprintf(more, sizeof more,
                       "limits: { coinbase-rest: { %s } }\n"
                       "coordination: { backend: redis, url: \"redis://127.0.0.1:%d\", group: \"run%d\" }\n",
                       limits[at], redis, (int)getpid());
        write_config(world, "\"*\"", more);
        if (at == 0) {
            assert_int_equal(own_server_start(&world->program), 0);
        } else {
            assert_int_equal(kill(world->program.pid, SIGHUP), 0);
        }
        wait_for_answer(world, "/api/limits", shown[at]);
        long long tops = query(world, "SELECT count(*) FROM top_of_book");
        wait_for(world, "SELECT count(*) FROM top_of_book", tops + 50);
    }
    own_server_stop(&world->program, SIGTERM);
    const char *other = strstr(log_of(world), "another way to a venue");
    assert_non_null(other);
    assert_null(strstr(other + 1, "another way to a venue")); /* the third file changed it in place */
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A sink that is away is told, and that it is back; what it will never take is told, kept and harms nothing else. */
static void sinks_in_trouble_are_told(void **state)
{
    struct world *world = *state;
    char path[512], more[1024];
    static const char trigger[] = "CREATE TRIGGER owner BEFORE INSERT ON trades WHEN NEW.trade_id % 100 = 7"
                                  " BEGIN SELECT RAISE(ABORT, 'none that end so'); END";
    const char *folder = world->program.folder.path;
    (void)snprintf(path, sizeof path, "%s/market.db", folder);
    assert_int_equal(mkdir(path, 0700), 0); /* no database can be there */
    (void)snprintf(world->db_more, sizeof world->db_more, ", when_full: spool");
    (void)snprintf(more, sizeof more, "spool: { path: \"%s/spool\" }\ndead_letter: { path: \"%s/letters\" }\n", folder,
                   folder);
    write_config(world, "\"*\"", more);
    assert_int_equal(own_server_start(&world->program), 0);
    wait_for_log(world, "\"a sink is away\",\"sink\":\"db\",\"reason\":\"database '");
    assert_int_equal(rmdir(path), 0);
    wait_for_log(world, "\"a sink is back\",\"sink\":\"db\"");
    wait_for(world, "SELECT count(*) FROM trades", 300);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, trigger, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    wait_for_log(world, "\"a sink refuses an event\",\"sink\":\"db\"");
    wait_for_log(world, "\"a sink has lost events\",\"sink\":\"db\",\"reason\":\"refused\"");
    long long trades = query(world, "SELECT count(*) FROM trades");
    wait_for(world, "SELECT count(*) FROM trades", trades + 200);
    own_server_stop(&world->program, SIGTERM);
    long long missing = lines_with(world, "\"kind\":\"trade\"") - query(world, "SELECT count(*) FROM trades");
    char expected[128];
    (void)snprintf(expected, sizeof expected, "lost       %lld dropped by sinks, 0 not delivered", missing);
    assert_true(missing > 0);
    assert_non_null(strstr(log_of(world), expected));
    (void)snprintf(path, sizeof path, "grep -c 'none that end so.*07' %s/letters >/dev/null", folder);
    assert_int_equal(system(path), 0);
}

SL_TEST_MAIN(RUN(sinks_have_the_same_and_a_stop_loses_nothing),
             RUN(a_hangup_takes_what_changed_and_a_bad_file_changes_nothing),
             RUN(keys_of_connections_and_the_process_count), RUN(an_endpoint_that_is_not_wanted_is_not_there),
             RUN(a_sink_takes_its_channels_and_is_replaced_without_loss),
             RUN(a_venue_that_moves_is_followed_at_its_new_address), RUN(waits_that_change_hold_for_what_is_waiting),
             RUN(a_limit_that_is_shared_from_now_on_is_asked_in_redis),
             RUN(an_exchange_that_goes_and_comes_back_is_followed_again), RUN(sinks_in_trouble_are_told))
