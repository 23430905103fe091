/* SPDX-License-Identifier: MIT */
/* The sink into PostgreSQL against a real server: rows, repeats, candles, a server that dies and comes back. */
#include "sl_conformance.h"

#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "own_server.h"
#include "sink_rig.h"
#include "sinks/postgresql.h"
#include "sinks/slots.h"

struct setting {
    struct own_server server;
    char port[16];
    char data[SCRATCH_PATH_MAX + 16];
    char binary[256];
    char program[320];
    const char *arguments[16];
    char target[512];
    struct sink_rig rig;
};

/* initdb and postgres refuse to run as root: then they run as the user "postgres". */
static void find_server(struct setting *setting)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0 || found.gl_pathc == 0) {
        sl_test_skip("no PostgreSQL here");
    }
    (void)snprintf(setting->binary, sizeof(setting->binary), "%s", found.gl_pathv[0]);
    *strrchr(setting->binary, '/') = '\0';
    globfree(&found);
}

static int ready(const struct own_server *server)
{
    char target[128];
    (void)snprintf(target, sizeof(target), "host=127.0.0.1 port=%d user=postgres dbname=postgres connect_timeout=2",
                   server->port);
    PGconn *connection = PQconnectdb(target);
    int code = PQstatus(connection) == CONNECTION_OK ? 0 : -1;
    PQfinish(connection);
    return code;
}

static int begin(struct setting *setting)
{
    char command[1024];
    memset(setting, 0, sizeof(*setting));
    find_server(setting);
    own_server_prepare(&setting->server);
    bool root = getuid() == 0;
    (void)snprintf(setting->data, sizeof(setting->data), "%s/data", setting->server.folder.path);
    (void)snprintf(setting->port, sizeof(setting->port), "%d", setting->server.port);
    (void)snprintf(setting->program, sizeof(setting->program), "%s/postgres", setting->binary);
    if (root) {
        const struct passwd *user = getpwnam("postgres");
        CHECK(user != NULL);
        CHECK_EQ(chown(setting->server.folder.path, user->pw_uid, user->pw_gid), 0);
    }
    (void)snprintf(
        command, sizeof(command), "%s %s/initdb -D %s -U postgres -A trust -N --no-locale -E UTF8 >/dev/null 2>&1",
        root ? "setpriv --reuid postgres --regid postgres --clear-groups" : "", setting->binary, setting->data);
    CHECK_EQ(system(command), 0);
    size_t count = 0;
    if (root) {
        const char *const words[] = {"setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"};
        memcpy(setting->arguments, words, sizeof(words));
        count = 6;
    }
    const char *const words[] = {
        setting->program, "-D", setting->data, "-p", setting->port, "-h", "127.0.0.1", "-k", "", NULL};
    memcpy(setting->arguments + count, words, sizeof(words));
    setting->server.arguments = setting->arguments;
    setting->server.ready = ready;
    CHECK_EQ(own_server_start(&setting->server), 0);
    (void)snprintf(setting->target, sizeof(setting->target), "host=127.0.0.1 port=%s user=postgres dbname=postgres",
                   setting->port);
    sl_sink *sink = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&(sl_postgresql_options){.target = setting->target}, &sink), 0);
    return sink_rig_make(&setting->rig, sink, (sl_outlet_options){.drain = SL_SECONDS(20)});
}

static void end(struct setting *setting)
{
    sink_rig_free(&setting->rig);
    own_server_stop(&setting->server, SIGINT);
    own_server_end(&setting->server);
}

/* The first value of the first row. */
static const char *ask(const struct setting *setting, const char *sql)
{
    static char text[512];
    PGconn *connection = PQconnectdb(setting->target);
    PGresult *result = PQexec(connection, sql);
    (void)snprintf(text, sizeof(text), "%s",
                   PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0 ? PQgetvalue(result, 0, 0)
                                                                                      : PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
    return text;
}

static int check_tables(const struct setting *setting, uint64_t fed)
{
    static const char *const tables[] = {
        "trades",  "book_deltas",  "book_snapshots", "top_of_book",       "tickers", "candles",
        "funding", "liquidations", "open_interest",  "instrument_status", "gaps"};
    for (size_t at = 0; at < 11; at++) {
        char sql[128];
        char expected[64];
        (void)snprintf(sql, sizeof(sql), "SELECT count(*) || ' ' || count(DISTINCT number) FROM %s", tables[at]);
        uint64_t count = fed / 11 + (at < fed % 11 ? 1 : 0);
        (void)snprintf(expected, sizeof(expected), "%llu %llu", (unsigned long long)count, (unsigned long long)count);
        CHECK_STRING(ask(setting, sql), expected);
    }
    return 0;
}

C_TEST_REAL_FEW(rows_of_every_kind, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 1100), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->written, 1100);
    CHECK_EQ(check_tables(&setting, 1100), 0);
    /* Exact: the sum of all numbers, and a book's levels. */
    sl_market_event event = sample_event(1);
    char expected[SL_DECIMAL_TEXT_MAX];
    if (event.as.delta.levels.bid_count > 0) {
        (void)sl_decimal_format(event.as.delta.levels.bids[0].price, SL_DECIMAL_SCALED, expected);
        CHECK_STRING(ask(&setting, "SELECT bids->0->>0 FROM book_deltas WHERE number = 2"), expected);
    }
    event = sample_event(0);
    (void)sl_decimal_format(event.as.trade.price, SL_DECIMAL_SCALED, expected);
    CHECK_STRING(ask(&setting, "SELECT price FROM trades WHERE number = 1"), expected);
    CHECK_STRING(ask(&setting, "SELECT extract(epoch FROM max(time))::numeric(20,6) = (max(coalesce(nullif("
                               "venue_time_ns, 0), receive_time_ns)) / 1000)::numeric / 1000000 FROM trades"),
                 "t");
    end(&setting);
    return 0;
}

static int write_samples(sl_sink *sink, uint64_t from, uint64_t to, sl_sink_result *result)
{
    struct sl__slots slots = {0};
    static uint8_t record[16384];
    sl_sink_batch batch = {.slots = &slots};
    CHECK_EQ(sl_record_reader_new(&batch.reader), 0);
    CHECK_EQ(sl__slots_reserve(&slots, (to - from) * 4096 + 64), 0);
    for (; from < to; from++) {
        sl_market_event event = sample_event(from);
        size_t size = sl_record_encode(&event, record);
        sl_record_set_stamp(record, (sl_stamp){7, from + 1});
        sl__slots_add(&slots, record, size);
    }
    *result = (sl_sink_result){0};
    int code = sink->driver->write(sink, &batch, result);
    sl_record_reader_free(batch.reader);
    sl__slots_free(&slots);
    return code;
}

C_TEST_REAL_FEW(repeats_add_nothing, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    sl_auto(sl_sink) *sink = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&(sl_postgresql_options){.target = setting.target}, &sink), 0);
    sl_sink_result result;
    for (int session = 0; session < 3; session++) {
        CHECK_EQ(sink->driver->open(sink, NULL), 0);
        CHECK_EQ(sink->driver->open(sink, NULL), 0);
        CHECK_EQ(write_samples(sink, 0, 550, &result), 0);
        CHECK_EQ(result.written, session == 0 ? 550 : 0);
        CHECK_EQ(result.repeated, session == 0 ? 0 : 550);
        sink->driver->close(sink);
    }
    CHECK_EQ(check_tables(&setting, 550), 0);
    (void)ask(&setting, "UPDATE sluice_schema SET version = 9");
    CHECK_EQ(sink->driver->open(sink, NULL), SL_EEXIST);
    CHECK(strstr(sl_error_message(sl_error_last()), "another version") != NULL);
    end(&setting);
    return 0;
}

C_TEST_REAL_FEW(a_server_that_is_killed_and_comes_back, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    for (int round = 0; round < 3; round++) {
        for (int part = 0; part < 30 + round * 7; part++) {
            CHECK_EQ(sink_rig_feed(&setting.rig, 50), 0);
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
        }
        own_server_stop(&setting.server, SIGQUIT); /* at once, without tidying up: as after a crash */
        CHECK_EQ(sink_rig_feed(&setting.rig, 1000), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
        CHECK_EQ(own_server_start(&setting.server), 0);
    }
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(40)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(sl_outlet_get_stats(setting.rig.outlet)->failures >= 1);
    CHECK_EQ(check_tables(&setting, setting.rig.fed), 0);
    end(&setting);
    return 0;
}

C_TEST_REAL_FEW(a_server_that_stands_still_is_given_up, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    sl_auto(sl_sink) *sink = NULL;
    sl_postgresql_options options = {.target = setting.target, .timeout = SL_MILLISECONDS(300)};
    CHECK_EQ(sl_postgresql_sink_new(&options, &sink), 0);
    CHECK_EQ(kill(setting.server.pid, SIGSTOP), 0); /* it accepts, and does not answer */
    CHECK_EQ(sink->driver->open(sink, NULL), SL_ETIMEDOUT);
    CHECK_EQ(kill(setting.server.pid, SIGCONT), 0);
    options.target = "host=127.0.0.1 port=1 user=nobody";
    sl_auto(sl_sink) *other = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&options, &other), 0);
    CHECK_EQ(other->driver->open(other, NULL), -ECONNREFUSED);
    options.target = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&options, &other), SL_EINVAL);
    end(&setting);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(rows_of_every_kind), cmocka_unit_test(repeats_add_nothing),
             cmocka_unit_test(a_server_that_is_killed_and_comes_back),
             cmocka_unit_test(a_server_that_stands_still_is_given_up))
