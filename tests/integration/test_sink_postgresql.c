/* SPDX-License-Identifier: MIT */
/* The sink into PostgreSQL against a real server: rows, repeats, candles, a server that dies and comes back. */
#include "sl_conformance.h"

#include <signal.h>
#include <string.h>

#include "own_postgresql.h"
#include "sink_rig.h"
#include "sinks/postgresql.h"
#include "sinks/slots.h"

struct setting {
    struct own_postgresql postgresql;
    struct sink_rig rig;
};

static int begin_with(struct setting *setting, sl_time timeout, sl_outlet_options options)
{
    memset(setting, 0, sizeof(*setting));
    CHECK_EQ(own_postgresql_start(&setting->postgresql), 0);
    sl_sink *sink = NULL;
    sl_postgresql_options own = {.target = setting->postgresql.target, .timeout = timeout};
    CHECK_EQ(sl_postgresql_sink_new(&own, &sink), 0);
    return sink_rig_make(&setting->rig, sink, options);
}

static int begin(struct setting *setting)
{
    return begin_with(setting, 0, (sl_outlet_options){.drain = SL_SECONDS(20)});
}

static void end(struct setting *setting)
{
    sink_rig_free(&setting->rig);
    own_postgresql_end(&setting->postgresql);
}

static const char *ask(struct setting *setting, const char *sql)
{
    return own_postgresql_ask(&setting->postgresql, sql);
}

static int check_tables(struct setting *setting, uint64_t fed)
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

/* Samples, or where there are times the first one with each of these. */
static int write_batch(sl_sink *sink, uint64_t from, uint64_t to, const int64_t *times_ns, sl_sink_result *result)
{
    struct sl__slots slots = {0};
    static uint8_t record[16384];
    sl_sink_batch batch = {.slots = &slots};
    CHECK_EQ(sl_record_reader_new(&batch.reader), 0);
    CHECK_EQ(sl__slots_reserve(&slots, (to - from) * 4096 + 64), 0);
    for (; from < to; from++) {
        sl_market_event event = sample_event(times_ns == NULL ? from : 0);
        event.venue_time_ns = times_ns == NULL ? event.venue_time_ns : times_ns[from];
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

static int write_samples(sl_sink *sink, uint64_t from, uint64_t to, sl_sink_result *result)
{
    return write_batch(sink, from, to, NULL, result);
}

C_TEST_REAL_FEW(repeats_add_nothing, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    sl_auto(sl_sink) *sink = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&(sl_postgresql_options){.target = setting.postgresql.target}, &sink), 0);
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

/* The same trade each time, told with other times. */
static int write_trades(sl_sink *sink, const int64_t *times_ns, size_t count, sl_sink_result *result)
{
    return write_batch(sink, 0, count, times_ns, result);
}

/* Bitstamp's REST tells whole seconds of a trade, its stream microseconds: what fills a gap comes once more. */
C_TEST_REAL_FEW(a_trade_told_with_another_time_is_the_same, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    sl_auto(sl_sink) *sink = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&(sl_postgresql_options){.target = setting.postgresql.target}, &sink), 0);
    CHECK_EQ(sink->driver->open(sink, NULL), 0);
    sl_sink_result result;
    const int64_t second = 1795316520000000000;
    CHECK_EQ(write_trades(sink, (int64_t[]){second, second + 900413000}, 2, &result), 0);
    CHECK_EQ(result.written, 1);
    CHECK_EQ(result.repeated, 1);
    CHECK_EQ(write_trades(sink, (int64_t[]){second}, 1, &result), 0);
    CHECK_EQ(result.repeated, 1);
    CHECK_STRING(ask(&setting, "SELECT count(*) || ' ' || max(venue_time_ns) FROM trades"), "1 1795316520900413000");
    sink->driver->close(sink);
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
        own_server_stop(&setting.postgresql.server, SIGQUIT); /* at once, without tidying up: as after a crash */
        CHECK_EQ(sink_rig_feed(&setting.rig, 1000), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
        CHECK_EQ(own_server_start(&setting.postgresql.server), 0);
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
    sl_postgresql_options options = {.target = setting.postgresql.target, .timeout = SL_MILLISECONDS(300)};
    CHECK_EQ(sl_postgresql_sink_new(&options, &sink), 0);
    CHECK_EQ(kill(setting.postgresql.server.pid, SIGSTOP), 0); /* it accepts, and does not answer */
    CHECK_EQ(sink->driver->open(sink, NULL), SL_ETIMEDOUT);
    CHECK_EQ(kill(setting.postgresql.server.pid, SIGCONT), 0);
    options.target = "host=127.0.0.1 port=1 user=nobody";
    sl_auto(sl_sink) *other = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&options, &other), 0);
    CHECK_EQ(other->driver->open(other, NULL), -ECONNREFUSED);
    options.target = NULL;
    CHECK_EQ(sl_postgresql_sink_new(&options, &other), SL_EINVAL);
    end(&setting);
    return 0;
}

static uint64_t refused_number;

static void note_refused(void *arg, const sl_market_event *event, sl_stamp stamp, const char *reason)
{
    (void)arg;
    refused_number = event->kind == SL_EVENT_TRADE && strstr(reason, "only_good_ones") != NULL ? stamp.number : 0;
}

/* A row that the table will never have, here by a constraint of its owner's, is left out; all others are there. */
C_TEST_REAL_FEW(a_row_that_is_refused_holds_up_nothing, "", "")
{
    struct setting setting;
    sl_outlet_options options = {.drain = SL_SECONDS(20), .refused = note_refused};
    CHECK_EQ(begin_with(&setting, 0, options), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 11), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    (void)ask(&setting, "ALTER TABLE trades ADD CONSTRAINT only_good_ones CHECK (number <> 34)");
    CHECK_EQ(sink_rig_feed(&setting.rig, 500), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(setting.rig.outlet);
    CHECK_EQ(stats->refused, 1);
    CHECK_EQ(refused_number, 34);
    CHECK_EQ(stats->written, 510);
    CHECK_EQ(stats->failures, 0);
    CHECK(strstr(stats->problem, "only_good_ones") != NULL);
    CHECK_STRING(ask(&setting, "SELECT count(*) FROM trades WHERE number = 34"), "0");
    CHECK_STRING(ask(&setting, "SELECT count(*) FROM trades"), "46"); /* every eleventh of 511, but one */
    end(&setting);
    return 0;
}

/* Somebody else's table of the same name: told, and nothing is lost until it is out of the way. */
C_TEST_REAL_FEW(a_table_that_does_not_fit_is_told, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting), 0);
    (void)ask(&setting, "CREATE TABLE trades (colour text)");
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 300), 0);
    while (sl_outlet_get_stats(setting.rig.outlet)->failures < 2) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    }
    CHECK(strstr(sl_outlet_get_stats(setting.rig.outlet)->problem, "PostgreSQL: ") != NULL);
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->refused, 0);
    (void)ask(&setting, "ALTER TABLE trades RENAME TO colours");
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(check_tables(&setting, 300), 0);
    end(&setting);
    return 0;
}

/* A stop does not wait for a server that stands still: what it has not got is in the spool, for the next life. */
C_TEST_REAL_FEW(a_stop_waits_for_no_server, "", "")
{
    struct setting setting;
    CHECK_EQ(begin_with(&setting, SL_SECONDS(60), (sl_outlet_options){.drain = SL_MILLISECONDS(300)}), 0);
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
        CHECK_EQ(sink_rig_feed(&setting.rig, 100), 0);
        CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
        own_postgresql_signal(&setting.postgresql, SIGSTOP);
        CHECK_EQ(sink_rig_feed(&setting.rig, 1000), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
        sl_time began = sl_now();
        sl_outlet_end(setting.rig.outlet);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK(sl_now() - began < SL_SECONDS(10));
    }
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->spooled, 1000);
    own_postgresql_signal(&setting.postgresql, SIGCONT);
    sl_sink *sink = NULL;
    sl_postgresql_options options = {.target = setting.postgresql.target};
    CHECK_EQ(sl_postgresql_sink_new(&options, &sink), 0);
    sl_outlet *next = NULL;
    sl_outlet_options again = {.name = "test", .when_full = SL_FULL_SPOOL, .spool = {.folder = setting.rig.spool}};
    CHECK_EQ(sl_outlet_new(&again, sink, &next), 0);
    sl_outlet_end(next);
    CHECK_EQ(sl_outlet_run(next), 0);
    CHECK_EQ(sl_outlet_get_stats(next)->recovered, 1000);
    CHECK_EQ(check_tables(&setting, 1100), 0);
    sl_outlet_free(next);
    end(&setting);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(rows_of_every_kind), cmocka_unit_test(repeats_add_nothing),
             cmocka_unit_test(a_trade_told_with_another_time_is_the_same),
             cmocka_unit_test(a_server_that_is_killed_and_comes_back),
             cmocka_unit_test(a_server_that_stands_still_is_given_up),
             cmocka_unit_test(a_row_that_is_refused_holds_up_nothing),
             cmocka_unit_test(a_table_that_does_not_fit_is_told), cmocka_unit_test(a_stop_waits_for_no_server))
