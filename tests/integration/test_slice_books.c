/* SPDX-License-Identifier: MIT */
/*
 * The thin slice in one process: exchange and worker as tasks of one runtime. Looks into the worker at
 * every step: its book must be the true one whenever a gap has healed and at the end, and the database must
 * account for every trade.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange/server.h"
#include "ingest/worker.h"
#include "naive_book.h"
#include "redis_server.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define CAPTURE "hftbacktest/usdm-btcusdt_20240808.gz"
#define DEPTH 100 /* best levels that must all be there; below the snapshot's 1 000 the venue tells only changes */
#define DIFFS_BETWEEN_CHECKS 1000
#define STACK_BYTES ((size_t)1024 * 1024) /* SQLite in tasks, assertions on any stack */

/* Compares a worker's book with a session of the test's own whenever it has healed, and now and then. */
struct watch {
    const sl_worker *worker;
    sl_session *truth;
    uint64_t healed, marks, checks;
};

struct play {
    struct sl_exchange_options exchange;
    uint64_t stop_after_trades; /* ask the worker to stop after so many; 0: never */
    struct watch watch;
    sl_worker worker;
    char database[128];
    /* what came of it */
    sl_session_stats session;
    struct sl_exchange_stats exchanged;
    int64_t last_id;
};

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-books-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

/* ---- the book ---- */

static void check_side(const sl_book *book, const sl_book *truth, sl_side side)
{
    sl_book_cursor cursor = sl_book_first(book, side);
    const sl_level *level;
    while ((level = sl_book_next(&cursor)) != NULL) {
        const sl_decimal *quantity = sl_book_find(truth, side, level->price);
        assert_true(quantity != NULL && sl_decimal_equal(*quantity, level->quantity));
    }
    cursor = sl_book_first(truth, side);
    for (int i = 0; i < DEPTH && (level = sl_book_next(&cursor)) != NULL; i++) {
        assert_non_null(sl_book_find(book, side, level->price));
    }
}

static int look(void *context, sl_task_ref task)
{
    (void)task;
    struct watch *watch = context;
    if (watch->worker == NULL || watch->worker->sequence == NULL) {
        return 0;
    }
    const sl_sequence_stats *stats = sl_sequence_get_stats(watch->worker->sequence);
    uint64_t mark = stats->applied / DIFFS_BETWEEN_CHECKS;
    if (stats->healed == watch->healed && mark == watch->marks) {
        return 0;
    }
    watch->healed = stats->healed;
    watch->marks = mark;
    watch->checks++;
    sl_session_message message;
    while (sl_session_last_id(watch->truth) < sl_sequence_last_id(watch->worker->sequence)) {
        assert_int_equal(sl_session_next(watch->truth, &message), 1);
    }
    assert_true(sl_session_last_id(watch->truth) == sl_sequence_last_id(watch->worker->sequence));
    check_side(watch->worker->book, sl_session_book(watch->truth), SL_SIDE_BUY);
    check_side(watch->worker->book, sl_session_book(watch->truth), SL_SIDE_SELL);
    return 0;
}

/* ---- the database ---- */

static int64_t query(const char *database, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return value;
}

/* Every trade that came is stored once, every one that did not lies in exactly one gap that was told. */
static void check_trades(const struct play *play)
{
    const char *database = play->database;
    const struct sl_worker_stats *stats = &play->worker.stats;
    assert_int_equal(query(database, "SELECT count(*) FROM trades"), stats->trades);
    assert_int_equal(query(database, "SELECT count(DISTINCT trade_id) FROM trades"), stats->trades);
    assert_int_equal(query(database, "SELECT coalesce(sum(to_id - from_id - 1), 0) FROM gaps WHERE channel = 'trades'"),
                     stats->lost);
    assert_int_equal(query(database,
                           "SELECT count(*) FROM (SELECT trade_id, lag(trade_id) OVER (ORDER BY trade_id) AS before"
                           " FROM trades) WHERE trade_id <> before + 1 AND NOT EXISTS (SELECT 1 FROM gaps"
                           " WHERE channel = 'trades' AND from_id = before AND to_id = trade_id)"),
                     0);
}

/* What must be true of a session that was followed to its end. */
static void check_whole(const struct play *play)
{
    const struct sl_worker_stats *stats = &play->worker.stats;
    check_trades(play);
    assert_true(play->exchanged.over);
    int64_t first = query(play->database, "SELECT min(trade_id) FROM trades");
    assert_int_equal(stats->trades + stats->lost, play->session.last_trade_id - first + 1);
    assert_int_equal(query(play->database, "SELECT count(*) FROM gaps WHERE channel = 'depth'"), stats->gaps);
    assert_int_equal(query(play->database, "SELECT count(*) FROM gaps WHERE channel = 'depth' AND healed_id IS NULL"),
                     0);
    assert_int_equal(stats->healed, stats->gaps);
    assert_true(query(play->database, "SELECT count(*) FROM top_of_book") > 0);
    assert_true(query(play->database, "SELECT max(update_id) FROM top_of_book") <= play->last_id);
    assert_true(play->watch.checks >= stats->healed);
}

/* ---- playing ---- */

static int stop_in_the_middle(void *arg)
{
    struct play *play = arg;
    while (play->worker.stats.trades < play->stop_after_trades) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    return sl_scope_stop(sl_scope_current()->parent, SL_SECONDS(20));
}

static void begin(struct play *play, const struct sl_exchange_options *exchange, const char *name)
{
    memset(play, 0, sizeof *play);
    play->exchange = *exchange;
    (void)snprintf(play->database, sizeof play->database, "%s/%s.db", folder, name);
    play->worker.options = (struct sl_worker_options){
        .address = "127.0.0.1", .symbol = "BTCUSDT", .database = play->database, .quiet = true};
    assert_int_equal(sl_session_open(&exchange->session, &play->watch.truth), 0);
    play->watch.worker = &play->worker;
}

static void end(struct play *play)
{
    sl_session_close(play->watch.truth);
}

static int work(void *arg)
{
    struct play *play = arg;
    int code = sl_worker_run(&play->worker);
    play->last_id = play->worker.sequence == NULL ? 0 : sl_sequence_last_id(play->worker.sequence);
    return code;
}

struct cast {
    struct play *plays;
    size_t count;
    struct naive_book *naive; /* to compare the final books with; may be NULL */
};

static void check_naive(const struct cast *cast, const struct play *play)
{
    int64_t joined = query(play->database, "SELECT max((SELECT min(update_id) FROM top_of_book),"
                                           " (SELECT coalesce(max(healed_id), 0) FROM gaps WHERE channel = 'depth'))");
    assert_true(naive_book_last_id(cast->naive) == play->last_id);
    naive_book_check(cast->naive, play->worker.book, joined, DEPTH);
}

/* One exchange, as many workers as there are plays. */
static int perform(void *arg)
{
    struct cast *cast = arg;
    sl_auto(sl_exchange) *exchange = NULL;
    SL_TRY(sl_exchange_open(&cast->plays[0].exchange, &exchange));
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, sl_exchange_run, exchange, .daemon = true));
    for (size_t i = 0; i < cast->count; i++) {
        struct play *play = &cast->plays[i];
        play->worker.options.port = sl_exchange_port(exchange);
        SL_TRY(sl_spawn(&scope, work, play));
        if (play->stop_after_trades > 0) {
            SL_TRY(sl_spawn(&scope, stop_in_the_middle, play, .daemon = true));
        }
    }
    SL_TRY(sl_scope_join(&scope, SL_NEVER));
    for (size_t i = 0; i < cast->count; i++) {
        struct play *play = &cast->plays[i];
        play->session = *sl_session_get_stats(sl_exchange_session(exchange));
        play->exchanged = sl_exchange_get_stats(exchange);
        if (cast->naive != NULL) {
            check_naive(cast, play);
        }
        sl_worker_done(&play->worker);
        play->worker.sequence = NULL;
    }
    return sl_scope_wait(&scope);
}

static void run(struct cast *cast)
{
    struct sl_hooks looks[2];
    const struct sl_hooks *instruments[3] = {NULL};
    for (size_t i = 0; i < cast->count; i++) {
        looks[i] = (struct sl_hooks){.context = &cast->plays[i].watch, .after_step = look};
        instruments[i] = &looks[i];
    }
    struct sl_run_options options = {.stack_bytes = STACK_BYTES, .watchdog = SL_NEVER, .instruments = instruments};
    sl_error *error = NULL;
    int code = sl_run(&options, perform, cast, &error);
    char text[1024] = "";
    (void)sl_error_print(error, text, sizeof text);
    sl_error_unref(error);
    if (code != 0) {
        fail_msg("%s: %s", sl_error_name(code), text);
    }
}

/* One worker to the session's end, its final book against the naive one. */
static void play_whole(struct play *play, const struct sl_exchange_options *options)
{
    struct naive_book *naive = naive_book_open();
    if (options->session.capture_path != NULL) {
        naive_book_feed_file(naive, options->session.capture_path);
    } else {
        sl_generate *generate = NULL;
        sl_generated line;
        assert_int_equal(sl_generate_new(&options->session.generate, &generate), 0);
        while (sl_generate_next(generate, &line) > 0) {
            char *text = strndup(line.text.data, line.text.size_bytes);
            naive_book_feed(naive, text);
            free(text);
        }
        sl_generate_free(generate);
    }
    begin(play, options, "whole");
    run(&(struct cast){play, 1, naive});
    check_whole(play);
    naive_book_close(naive);
    end(play);
}

static sl_session_options generated(uint64_t seed, uint64_t messages)
{
    return (sl_session_options){.venue = SL_VENUE_BINANCE_USDM, .generate = {.seed = seed, .messages = messages}};
}

static void generated_session_without_cuts(void **state)
{
    (void)state;
    struct play play;
    play_whole(&play, &(struct sl_exchange_options){.session = generated(3, 20000)});
    assert_int_equal(play.worker.stats.lost, 0);
    assert_int_equal(play.worker.stats.gaps, 0);
    assert_int_equal(play.worker.stats.trades, play.session.trades);
}

static void captured_session_without_cuts(void **state)
{
    (void)state;
    struct play play;
    sl_session_options session = {.capture_path = sl_test_data_path(CAPTURE), .venue = SL_VENUE_BINANCE_USDM};
    play_whole(&play, &(struct sl_exchange_options){.session = session});
    assert_int_equal(play.worker.stats.trades, 21313);
    assert_int_equal(play.worker.stats.lost, 0);
    assert_int_equal(play.worker.stats.gaps, 0);
}

static void captured_session_cut_every_second(void **state)
{
    (void)state;
    struct play play;
    sl_session_options session = {.capture_path = sl_test_data_path(CAPTURE), .venue = SL_VENUE_BINANCE_USDM};
    play_whole(&play, &(struct sl_exchange_options){.session = session, .speed = 100, .cut_every = SL_SECONDS(1)});
    assert_true(play.exchanged.cuts > 1);
    assert_true(play.worker.stats.lost > 0);
    assert_true(play.worker.stats.gaps > 1);
    assert_int_equal(play.worker.stats.trades + play.worker.stats.lost, 21313);
}

/* At full speed, so often that many cuts come before the book is whole again after the one before, or at all. */
static void generated_session_cut_all_the_time(void **state)
{
    (void)state;
    struct play play;
    play_whole(&play, &(struct sl_exchange_options){.session = generated(4, 60000), .cut_every = SL_MILLISECONDS(15)});
    assert_true(play.exchanged.cuts > 3);
    assert_true(play.worker.stats.lost > 0);
}

/* Two workers on one exchange: each has its own cuts and gaps, and accounts for all that came after its first trade. */
static void two_workers_on_one_exchange(void **state)
{
    (void)state;
    struct sl_exchange_options options = {
        .session = generated(5, 20000), .speed = 50, .cut_every = SL_MILLISECONDS(200)};
    struct play *plays = test_calloc(2, sizeof *plays);
    begin(&plays[0], &options, "one");
    begin(&plays[1], &options, "other");
    run(&(struct cast){plays, 2, NULL});
    for (int i = 0; i < 2; i++) {
        check_whole(&plays[i]);
        assert_true(plays[i].worker.stats.gaps > 0);
        end(&plays[i]);
    }
    test_free(plays);
}

/* Under one lock the second works only when the first is done; it comes too late for all but the last messages. */
static void workers_under_one_lock_take_turns(void **state)
{
    (void)state;
    char url[64];
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    struct sl_exchange_options options = {.session = generated(6, 5000)};
    struct play *plays = test_calloc(2, sizeof *plays);
    begin(&plays[0], &options, "one");
    begin(&plays[1], &options, "other");
    plays[0].worker.options.redis = plays[1].worker.options.redis = url;
    run(&(struct cast){plays, 2, NULL});
    check_whole(&plays[0]);
    check_whole(&plays[1]);
    assert_true(plays[0].last_id == plays[1].last_id); /* both end with the same book */
    uint64_t trades[] = {plays[0].worker.stats.trades, plays[1].worker.stats.trades};
    assert_int_equal(trades[0] < trades[1] ? trades[0] : trades[1], 1);
    assert_int_equal(trades[0] < trades[1] ? trades[1] : trades[0], plays[0].session.trades);
    end(&plays[0]);
    end(&plays[1]);
    test_free(plays);
}

/* Asked to stop in the middle: success, and what was received is in the database. */
static void stopped_in_the_middle(void **state)
{
    (void)state;
    struct play play;
    begin(&play, &(struct sl_exchange_options){.session = generated(7, 90000), .speed = 20}, "stopped");
    play.stop_after_trades = 500;
    run(&(struct cast){&play, 1, NULL});
    check_trades(&play);
    assert_false(play.exchanged.over);
    assert_true(play.worker.stats.trades >= 500);
    assert_int_equal(play.worker.stats.lost, 0);
    end(&play);
}

#define SLICE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(SLICE(generated_session_without_cuts), SLICE(captured_session_without_cuts),
             SLICE(captured_session_cut_every_second), SLICE(generated_session_cut_all_the_time),
             SLICE(two_workers_on_one_exchange), SLICE(workers_under_one_lock_take_turns), SLICE(stopped_in_the_middle))
