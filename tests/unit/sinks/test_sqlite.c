/* SPDX-License-Identifier: MIT */
/* The SQLite sink: what is in the file afterwards, repeats, batches, failures. */
#include "sl_test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "disk_sync.h"
#include "exchange/captured.h"
#include "market/event_json.h"
#include "market_kit.h"
#include "sample_events.h"
#include "sinks/outlet.h"
#include "sinks/slots.h"
#include "sinks/sqlite.h"
#include "sluice/runtime.h"

/* A database file in a folder of its own, because SQLite puts others beside it. */
struct place {
    char folder[64];
    char path[96];
};

static struct place new_place(void)
{
    struct place place = {.folder = "/tmp/sluice-sqlite-XXXXXX"};
    assert_non_null(mkdtemp(place.folder));
    (void)snprintf(place.path, sizeof(place.path), "%s/market.db", place.folder);
    return place;
}

static void remove_place(const struct place *place)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t at = 0; at < 3; at++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", place->path, suffixes[at]);
        (void)unlink(path);
    }
    (void)rmdir(place->folder);
}

static sl_sqlite *open_sink(const struct place *place, size_t batch_events)
{
    sl_sqlite *sink = NULL;
    char problem[SL_SQLITE_PROBLEM_MAX] = "";
    sl_sqlite_options options = {.path = place->path, .batch_events = batch_events, .busy_timeout_ms = 50};
    int code = sl_sqlite_open(&options, &sink, problem);
    if (code < 0) {
        fail_msg("cannot open: %d, %s", code, problem);
    }
    return sink;
}

/* What another program sees in the file: the first value of the first row as text, "" for none. */
struct answer {
    char text[256];
};

static struct answer ask(const struct place *place, const char *sql)
{
    struct answer answer = {""};
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(place->path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(database));
    }
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
        (void)snprintf(answer.text, sizeof(answer.text), "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return answer;
}

static void assert_answer(const struct place *place, const char *sql, const char *expected)
{
    assert_string_equal(ask(place, sql).text, expected);
}

static const sl_instrument usdm_btc = {.venue = SL_VENUE_BINANCE_USDM, .symbol = "BTCUSDT", .name = "BTCUSDT"};
static const sl_instrument spot_btc = {.venue = SL_VENUE_BINANCE_SPOT, .symbol = "BTCUSDT", .name = "BTCUSDT"};
static const sl_instrument usdm_eth = {.venue = SL_VENUE_BINANCE_USDM, .symbol = "ETHUSDT", .name = "ETHUSDT"};

static sl_market_event trade_event(int64_t id)
{
    sl_market_event event = {.kind = SL_EVENT_TRADE,
                             .feed = SL_FEED_TRADES,
                             .instrument = &usdm_btc,
                             .venue_time_ns = 1723161256322000000 + id,
                             .receive_time_ns = 5};
    event.as.trade = (sl_trade){
        .id = id, .first_id = id, .last_id = id, .price = {6180020, -2}, .quantity = {14, -3}, .taker = SL_SIDE_SELL};
    return event;
}

static sl_market_event best_event(int64_t id)
{
    sl_market_event event = trade_event(id);
    event.kind = SL_EVENT_BEST;
    event.feed = SL_FEED_BEST;
    event.as.best = (sl_best){id, {{1, 0}, {25070, -4}}, {{2, 0}, {1, -8}}};
    return event;
}

static sl_market_event gap_event(int64_t from, int64_t to, bool healed)
{
    sl_market_event event = trade_event(1);
    event.kind = SL_EVENT_GAP;
    event.feed = SL_FEED_DEPTH;
    event.receive_time_ns = healed ? 2000 : 1000;
    event.as.gap = (sl_gap){.reason = SL_GAP_DISCONNECTED,
                            .from_id = from,
                            .to_id = to,
                            .healed = healed,
                            .healed_id = healed ? to + 5 : 0};
    return event;
}

static void rows_are_exact(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sl_market_event events[] = {trade_event(INT64_C(5266583935)), best_event(7)};
    assert_int_equal(sl_sqlite_write(sink, events, 2), 0);
    assert_int_equal(sl_sqlite_pending(sink), 2);
    assert_answer(&place, "SELECT count(*) FROM trades", "0"); /* not committed */
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->commits, 1);
    sl_sqlite_close(sink);
    assert_answer(&place,
                  "SELECT venue||' '||instrument||' '||channel||' '||trade_id||' '||first_id||' '||last_id||' '||price"
                  "||' '||quantity||' '||taker||' '||off_book||' '||venue_time_ns||' '||receive_time_ns FROM trades",
                  "binance-usdm BTCUSDT trades 5266583935 5266583935 5266583935 61800.20 0.014 sell 0 "
                  "1723161261588583935 5");
    assert_answer(&place, "SELECT typeof(price)||typeof(trade_id) FROM trades", "textinteger");
    assert_answer(&place,
                  "SELECT channel||' '||update_id||' '||bid_price||' '||bid_quantity||' '||ask_price||' '||ask_quantity"
                  " FROM top_of_book",
                  "best 7 1 2.5070 2 0.00000001");
    assert_answer(&place, "PRAGMA journal_mode", "wal");
    remove_place(&place);
}

static void repeats_are_harmless(void **state)
{
    (void)state;
    struct place place = new_place();
    for (int round = 0; round < 3; round++) { /* also over a restart */
        sl_sqlite *sink = open_sink(&place, 10);
        for (int64_t id = 1; id <= 25; id++) {
            sl_market_event events[] = {trade_event(id), trade_event(id), best_event(id)};
            assert_int_equal(sl_sqlite_write(sink, events, 3), 0);
        }
        assert_int_equal(sl_sqlite_flush(sink), 0);
        const sl_sqlite_stats *stats = sl_sqlite_get_stats(sink);
        assert_int_equal(stats->written, round == 0 ? 50 : 0);
        assert_int_equal(stats->repeated, round == 0 ? 25 : 75);
        assert_int_equal(stats->commits, 8);
        sl_sqlite_close(sink);
    }
    assert_answer(&place, "SELECT count(*)||' '||min(trade_id)||' '||max(trade_id) FROM trades", "25 1 25");
    assert_answer(&place, "SELECT count(*) FROM top_of_book", "25");
    /* the same id elsewhere is another trade */
    sl_sqlite *sink = open_sink(&place, 0);
    sl_market_event others[] = {trade_event(1), trade_event(1), trade_event(1)};
    others[0].instrument = &spot_btc;
    others[1].feed = SL_FEED_AGG_TRADES;
    others[2].instrument = &usdm_eth;
    assert_int_equal(sl_sqlite_write(sink, others, 3), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->written, 3);
    sl_sqlite_close(sink);
    remove_place(&place);
}

static void gaps_are_completed_when_healed(void **state)
{
    (void)state;
    static const char all[] = "SELECT group_concat(from_id||' '||to_id||' '||reason||' '||seen_time_ns||' '||"
                              "ifnull(healed_time_ns,'-')||' '||ifnull(healed_id,'-'),';') FROM gaps";
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sl_market_event seen = gap_event(100, 0, false);
    assert_int_equal(sl_sqlite_write(sink, &seen, 1), 0);
    assert_int_equal(sl_sqlite_write(sink, &seen, 1), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_answer(&place, all, "100 0 disconnected 1000 - -");
    sl_market_event healed = gap_event(100, 150, true);
    assert_int_equal(sl_sqlite_write(sink, &healed, 1), 0);
    assert_int_equal(sl_sqlite_write(sink, &healed, 1), 0);
    assert_int_equal(sl_sqlite_write(sink, &seen, 1), 0); /* late repeat: undoes nothing */
    sl_market_event at_once = gap_event(200, 210, true);  /* both news in one */
    assert_int_equal(sl_sqlite_write(sink, &at_once, 1), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_answer(&place, all, "100 150 disconnected 1000 2000 155;200 210 disconnected 2000 2000 215");
    assert_int_equal(sl_sqlite_get_stats(sink)->written, 3);
    assert_int_equal(sl_sqlite_get_stats(sink)->repeated, 3);
    sl_sqlite_close(sink);
    remove_place(&place);
}

static void what_has_no_table_is_counted(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sl_market_event event = trade_event(1);
    event.kind = SL_EVENT_NONE;
    assert_int_equal(sl_sqlite_write(sink, &event, 1), 0);
    assert_int_equal(sl_sqlite_pending(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->skipped, 1);
    event = trade_event(1);
    event.instrument = NULL;
    assert_int_equal(sl_sqlite_write(sink, &event, 1), SL_EINVAL);
    assert_non_null(strstr(sl_sqlite_problem(sink), "without an instrument"));
    sl_sqlite_close(sink);
    remove_place(&place);
}

static void an_error_undoes_the_batch(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sl_market_event good = trade_event(1);
    assert_int_equal(sl_sqlite_write(sink, &good, 1), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    sl_market_event events[] = {trade_event(2), trade_event(3), trade_event(4)};
    events[2].instrument = NULL;
    assert_int_equal(sl_sqlite_write(sink, events, 3), SL_EINVAL);
    assert_int_equal(sl_sqlite_pending(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->undone, 2);
    assert_int_equal(sl_sqlite_get_stats(sink)->written, 1);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_answer(&place, "SELECT count(*) FROM trades", "1");
    assert_int_equal(sl_sqlite_write(sink, events, 2), 0); /* written again, it goes on */
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_answer(&place, "SELECT count(*) FROM trades", "3");
    /* closing without a flush drops what was not committed, and says so before */
    sl_market_event late = trade_event(9);
    assert_int_equal(sl_sqlite_write(sink, &late, 1), 0);
    assert_int_equal(sl_sqlite_pending(sink), 1);
    sl_sqlite_close(sink);
    assert_answer(&place, "SELECT count(*) FROM trades", "3");
    remove_place(&place);
}

static int write_samples(sl_sink *sink, uint64_t from, uint64_t to, sl_sink_result *ret_result);

static void a_commit_is_on_the_disk_if_that_is_asked_for(void **state)
{
    (void)state;
    for (int sync = 0; sync < 2; sync++) {
        struct place place = new_place();
        sl_sqlite *sink = NULL;
        sl_sqlite_options options = {.path = place.path, .sync_full = sync == 1};
        assert_int_equal(sl_sqlite_open(&options, &sink, NULL), 0);
        int before = disk_syncs;
        for (int64_t id = 1; id <= 5; id++) {
            sl_market_event event = trade_event(id);
            assert_int_equal(sl_sqlite_write(sink, &event, 1), 0);
            assert_int_equal(sl_sqlite_flush(sink), 0);
        }
        assert_true(sync == 1 ? disk_syncs - before >= 5 : disk_syncs == before);
        sl_sqlite_close(sink);
        remove_place(&place);
    }
}

/* Also of rows in which something may be missing: a person who checks the file gets a plain ok. */
static void the_databases_own_check_finds_nothing(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sink *sink = NULL;
    sl_sink_result result;
    assert_int_equal(sl_sqlite_sink_new(&(sl_sqlite_options){.path = place.path}, &sink), 0);
    assert_int_equal(sink->driver->open(sink, NULL), 0);
    assert_int_equal(write_samples(sink, 0, 550, &result), 0);
    sl_sink_free(sink);
    assert_answer(&place, "SELECT count(*) > 0 FROM gaps WHERE healed_id IS NULL", "1");
    assert_answer(&place, "PRAGMA integrity_check", "ok");
    remove_place(&place);
}

/* What the database will never take is told apart from what it does not take now. */
static void a_row_that_is_refused_is_no_failure_of_the_file(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(place.path, &database), SQLITE_OK);
    static const char trigger[] = "CREATE TRIGGER owner BEFORE INSERT ON trades WHEN NEW.trade_id = 2"
                                  " BEGIN SELECT RAISE(ABORT, 'not the second'); END";
    assert_int_equal(sqlite3_exec(database, trigger, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    sl_market_event events[] = {trade_event(1), trade_event(2), trade_event(3)};
    assert_int_equal(sl_sqlite_write(sink, events, 3), SL_EINVAL);
    assert_non_null(strstr(sl_sqlite_problem(sink), "not the second"));
    assert_int_equal(sl_sqlite_pending(sink), 0);
    assert_int_equal(sl_sqlite_write(sink, &events[0], 1), 0); /* the connection is as good as before */
    assert_int_equal(sl_sqlite_write(sink, &events[2], 1), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_answer(&place, "SELECT count(*) FROM trades", "2");
    sl_sqlite_close(sink);
    remove_place(&place);
}

static void a_locked_file_is_busy(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sqlite3 *other = NULL;
    sl_market_event event = trade_event(1);
    assert_int_equal(sqlite3_open_v2(place.path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sl_sqlite_write(sink, &event, 1), SL_EBUSY);
    assert_non_null(strstr(sl_sqlite_problem(sink), "database is locked"));
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sl_sqlite_write(sink, &event, 1), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    sl_sqlite_close(sink);
    remove_place(&place);
}

static int stop_while_locked(void *arg)
{
    sl_outlet *outlet = arg;
    sl_market_event event = trade_event(1);
    uint8_t record[4096];
    SL_SCOPE(scope);
    SL_TRY(sl_outlet_put(outlet, record, sl_record_encode(&event, record)));
    SL_TRY(sl_spawn(&scope, sl_outlet_run, outlet));
    SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    sl_outlet_end(outlet);
    return sl_scope_wait(&scope);
}

/* Somebody else has the file for long, and we are to wait for long: but not after a stop. */
static void a_stop_waits_for_no_lock(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sink *sink = NULL;
    sl_outlet *outlet = NULL;
    sqlite3 *other = NULL;
    sl_sqlite_close(open_sink(&place, 0)); /* the tables are there */
    assert_int_equal(sqlite3_open(place.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sl_sqlite_sink_new(&(sl_sqlite_options){.path = place.path, .busy_timeout_ms = 600000}, &sink), 0);
    sl_outlet_options options = {.name = "db", .drain = SL_MILLISECONDS(200)};
    assert_int_equal(sl_outlet_new(&options, sink, &outlet), 0);
    sl_time began = sl_now();
    assert_int_equal(sl_run(NULL, stop_while_locked, outlet, NULL), 0);
    assert_true(sl_now() - began < SL_SECONDS(20));
    assert_int_equal(sl_outlet_get_stats(outlet)->queued + sl_outlet_get_stats(outlet)->in_batch, 1);
    sl_outlet_free(outlet);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    remove_place(&place);
}

static void sqlites_words_are_passed_on(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    (void)ask(&place, "DROP TABLE top_of_book"); /* another program breaks the tables while the sink has them open */
    sl_market_event events[] = {trade_event(1), best_event(1)};
    assert_int_equal(sl_sqlite_write(sink, events, 2), SL_EINTERNAL);
    if (strstr(sl_sqlite_problem(sink), "no such table: top_of_book") == NULL) {
        fail_msg("%s", sl_sqlite_problem(sink));
    }
    assert_int_equal(sl_sqlite_get_stats(sink)->undone, 1);
    assert_int_equal(sl_sqlite_write(sink, events, 1), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_answer(&place, "SELECT count(*) FROM trades", "1");
    sl_sqlite_close(sink);
    remove_place(&place);
}

/* A limit on the size of files stands for a full disk. */
static void a_full_disk_is_told_and_survived(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 100);
    struct rlimit found;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &found), 0);
    struct rlimit small = {(rlim_t)256 * 1024, found.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = 0;
    int64_t id = 0;
    while (code == 0) {
        sl_market_event event = trade_event(++id);
        code = sl_sqlite_write(sink, &event, 1);
        assert_true(id < 100000);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &found), 0);
    assert_int_equal(code, SL_EINTERNAL);
    assert_true(strlen(sl_sqlite_problem(sink)) > 10);
    print_message("%s\n", sl_sqlite_problem(sink));
    uint64_t durable = sl_sqlite_get_stats(sink)->written;
    assert_int_equal(durable % 100, 0);
    assert_int_equal(durable + sl_sqlite_get_stats(sink)->undone, id);
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)durable);
    assert_answer(&place, "SELECT count(*) FROM trades", expected);
    for (int64_t again = (int64_t)durable + 1; again <= id; again++) { /* there is room again */
        sl_market_event event = trade_event(again);
        assert_int_equal(sl_sqlite_write(sink, &event, 1), 0);
    }
    assert_int_equal(sl_sqlite_flush(sink), 0);
    (void)snprintf(expected, sizeof(expected), "%lld", (long long)id);
    assert_answer(&place, "SELECT count(*) FROM trades", expected);
    assert_answer(&place, "PRAGMA integrity_check", "ok");
    sl_sqlite_close(sink);
    remove_place(&place);
}

static void files_of_others_are_refused(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = NULL;
    char problem[SL_SQLITE_PROBLEM_MAX] = "";
    sl_sqlite_options options = {.path = place.path};
    FILE *file = fopen(place.path, "wb");
    assert_non_null(file);
    for (int at = 0; at < 200; at++) {
        assert_true(fputs("this is not a database ", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sl_sqlite_open(&options, &sink, problem), SL_EEXIST);
    assert_non_null(strstr(problem, "file is not a database"));
    assert_int_equal(unlink(place.path), 0);

    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(place.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE trades (x)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(sl_sqlite_open(&options, &sink, problem), SL_EEXIST);
    assert_non_null(strstr(problem, "another program"));
    assert_answer(&place, "PRAGMA journal_mode", "delete"); /* and nothing in it was changed */
    assert_int_equal(unlink(place.path), 0);

    sl_sqlite_close(open_sink(&place, 0));
    (void)ask(&place, "PRAGMA user_version = 99");
    assert_int_equal(sl_sqlite_open(&options, &sink, problem), SL_EEXIST);
    assert_non_null(strstr(problem, "version 99, not 2"));

    options.path = "/nonexistent/folder/x.db";
    assert_int_equal(sl_sqlite_open(&options, &sink, problem), SL_ENOENT);
    assert_non_null(strstr(problem, "unable to open database file"));
    assert_int_equal(sl_sqlite_open(&options, &sink, NULL), SL_ENOENT);
    options.path = NULL;
    assert_int_equal(sl_sqlite_open(&options, &sink, problem), SL_EINVAL);
    options = (sl_sqlite_options){.path = ":memory:", .batch_events = SL_SQLITE_BATCH_MAX + 1};
    assert_int_equal(sl_sqlite_open(&options, &sink, problem), SL_EINVAL);
    sl_sqlite_close(NULL);
    remove_place(&place);
}

/* A process that dies without a word loses only what it had not flushed. */
static void what_was_flushed_survives_a_kill(void **state)
{
    (void)state;
    struct place place = new_place();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sl_sqlite *sink = open_sink(&place, 10);
        for (int64_t id = 1; id <= 15; id++) {
            sl_market_event event = trade_event(id);
            if (sl_sqlite_write(sink, &event, 1) < 0) {
                _exit(1);
            }
        }
        _exit(sl_sqlite_pending(sink) == 5 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sl_sqlite *sink = open_sink(&place, 10);
    assert_answer(&place, "SELECT count(*) FROM trades", "10");
    for (int64_t id = 1; id <= 15; id++) { /* it is all sent again */
        sl_market_event event = trade_event(id);
        assert_int_equal(sl_sqlite_write(sink, &event, 1), 0);
    }
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->repeated, 10);
    assert_answer(&place, "SELECT count(*) FROM trades", "15");
    sl_sqlite_close(sink);
    remove_place(&place);
}

/* A batch for the sink: sample events `from` to `to` - 1. */
static int write_samples(sl_sink *sink, uint64_t from, uint64_t to, sl_sink_result *ret_result)
{
    struct sl__slots slots = {0};
    static uint8_t record[16384];
    sl_sink_batch batch = {.slots = &slots};
    assert_int_equal(sl_record_reader_new(&batch.reader), 0);
    assert_int_equal(sl__slots_reserve(&slots, (to - from) * 4096 + 64), 0);
    for (; from < to; from++) {
        sl_market_event event = sample_event(from);
        size_t size = sl_record_encode(&event, record);
        sl_record_set_stamp(record, (sl_stamp){7, from + 1});
        sl__slots_add(&slots, record, size);
    }
    *ret_result = (sl_sink_result){0};
    int code = sink->driver->write(sink, &batch, ret_result);
    sl_record_reader_free(batch.reader);
    sl__slots_free(&slots);
    return code;
}

/* Every kind has its table, a repeat adds nothing, also in the next life. */
static void every_kind_is_stored_once(void **state)
{
    (void)state;
    static const char *const tables[] = {
        "trades",  "book_deltas",  "book_snapshots", "top_of_book",       "tickers", "candles",
        "funding", "liquidations", "open_interest",  "instrument_status", "gaps"};
    struct place place = new_place();
    for (int life = 0; life < 2; life++) {
        sl_sink *sink = NULL;
        sl_sink_result result;
        assert_int_equal(sl_sqlite_sink_new(&(sl_sqlite_options){.path = place.path}, &sink), 0);
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        assert_int_equal(write_samples(sink, 0, 1100, &result), 0);
        assert_int_equal(result.written, life == 0 ? 1100 : 0);
        assert_int_equal(result.repeated, life == 0 ? 0 : 1100);
        assert_int_equal(write_samples(sink, 550, 1100, &result), 0);
        assert_int_equal(result.repeated, 550);
        sl_sink_free(sink);
    }
    for (size_t at = 0; at < sizeof(tables) / sizeof(tables[0]); at++) {
        char sql[96];
        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", tables[at]);
        assert_answer(&place, sql, "100");
    }
    assert_answer(&place, "SELECT count(*) FROM instruments", "7");
    assert_answer(&place, "SELECT name FROM instruments WHERE venue = 'kraken'", "BTC-USD");
    sl_market_event delta = sample_event(1); /* levels as they are, in JSON */
    char expected[8192];
    assert_in_range(sl_levels_json_bound(delta.as.delta.levels.bid_count), 1, sizeof(expected));
    expected[sl_levels_json_write(delta.as.delta.levels.bids, delta.as.delta.levels.bid_count, expected)] = '\0';
    struct answer answer = ask(&place, "SELECT bids FROM book_deltas WHERE number = 2");
    assert_memory_equal(answer.text, expected, strlen(answer.text));
    assert_answer(&place, "SELECT count(*) FROM book_deltas WHERE json_valid(bids) AND json_valid(asks)", "100");
    remove_place(&place);
}

static void a_candle_grows_until_it_is_closed(void **state)
{
    (void)state;
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    sl_market_event event = sample_event_of(SL_EVENT_CANDLE, 1);
    event.as.candle.close = (sl_decimal){1, 0};
    event.as.candle.closed = false;
    assert_int_equal(sl_sqlite_write_stamped(sink, &event, (sl_stamp){1, 1}), 0);
    event.as.candle.close = (sl_decimal){2, 0};
    assert_int_equal(sl_sqlite_write_stamped(sink, &event, (sl_stamp){1, 2}), 0);
    event.as.candle.close = (sl_decimal){3, 0};
    event.as.candle.closed = true;
    assert_int_equal(sl_sqlite_write_stamped(sink, &event, (sl_stamp){1, 3}), 0);
    event.as.candle.close = (sl_decimal){2, 0};
    event.as.candle.closed = false;
    assert_int_equal(sl_sqlite_write_stamped(sink, &event, (sl_stamp){1, 2}), 0);
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->repeated, 1);
    sl_sqlite_close(sink);
    assert_answer(&place, "SELECT count(*)||' '||close||' '||closed FROM candles", "1 3 1");
    remove_place(&place);
}

/* The whole captured session: every trade once, the sums exact. */
static void captured_session_is_stored_whole(void **state)
{
    (void)state;
    char capture[1024];
    (void)snprintf(capture, sizeof(capture), "%s", sl_test_data_path("hftbacktest/usdm-btcusdt_20240808.gz"));
    struct place place = new_place();
    sl_sqlite *sink = open_sink(&place, 0);
    const char *path = capture;
    sl_instruments *instruments = NULL;
    sl_captured *captured = NULL;
    const struct sl_captured_message *message = NULL;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    sl_decimal quantity = {0, 0};
    assert_int_equal(sl_instruments_new(0, &instruments), 0);
    struct sl_captured_options options = {
        .paths = &path, .path_count = 1, .venue = SL_VENUE_BINANCE_USDM, .instruments = instruments};
    assert_int_equal(sl_captured_open(&options, &captured), 0);
    while (sl_captured_next(captured, NULL, NULL, &message) > 0) {
        sl_market_event event = *market_kit_line(kit, message->text, message->size_bytes);
        assert_int_equal(sl_sqlite_write(sink, &event, 1), 0);
        if (event.kind == SL_EVENT_TRADE) {
            assert_int_equal(sl_decimal_add(quantity, event.as.trade.quantity, &quantity), 0);
        }
    }
    assert_int_equal(sl_sqlite_flush(sink), 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->written, 21313 + 66089 + 6551);
    assert_int_equal(sl_sqlite_get_stats(sink)->repeated, 0);
    assert_int_equal(sl_sqlite_get_stats(sink)->skipped, 0);
    assert_answer(&place, "SELECT count(*)||' '||(max(trade_id)-min(trade_id)+1) FROM trades", "21313 21313");
    assert_answer(&place, "SELECT count(*) FROM top_of_book", "66089");
    assert_answer(&place, "SELECT count(*) FROM book_deltas", "6551");
    char expected[SL_DECIMAL_TEXT_MAX];
    sl_decimal thousandths = {0, 0};
    assert_int_equal(sl_decimal_rescale(quantity, -3, &thousandths), 0);
    (void)snprintf(expected, sizeof(expected), "%lld", (long long)thousandths.mantissa);
    assert_answer(&place, "SELECT sum(CAST(replace(quantity, '.', '') AS INTEGER)) FROM trades", expected);
    sl_sqlite_close(sink);
    sl_captured_close(captured);
    sl_instruments_free(instruments);
    market_kit_close(kit);
    remove_place(&place);
}

SL_TEST_MAIN(cmocka_unit_test(rows_are_exact), cmocka_unit_test(repeats_are_harmless),
             cmocka_unit_test(gaps_are_completed_when_healed), cmocka_unit_test(what_has_no_table_is_counted),
             cmocka_unit_test(an_error_undoes_the_batch),
             cmocka_unit_test(a_row_that_is_refused_is_no_failure_of_the_file),
             cmocka_unit_test(a_commit_is_on_the_disk_if_that_is_asked_for),
             cmocka_unit_test(the_databases_own_check_finds_nothing), cmocka_unit_test(a_locked_file_is_busy),
             cmocka_unit_test(a_stop_waits_for_no_lock), cmocka_unit_test(sqlites_words_are_passed_on),
             cmocka_unit_test(a_full_disk_is_told_and_survived), cmocka_unit_test(files_of_others_are_refused),
             cmocka_unit_test(what_was_flushed_survives_a_kill), cmocka_unit_test(every_kind_is_stored_once),
             cmocka_unit_test(a_candle_grows_until_it_is_closed), cmocka_unit_test(captured_session_is_stored_whole))
