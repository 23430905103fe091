/* SPDX-License-Identifier: MIT */
/*
 * The worker against a venue that misbehaves: answers that are none, messages that are none, silence, a
 * restart; and against a database that another process holds. Whatever happens, each trade that was sent
 * is stored once or told of as lost, and the book is the venue's in the end.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange/server.h"
#include "ingest/worker.h"
#include "redis_server.h"
#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/ws.h"

#define STACK_BYTES ((size_t)1024 * 1024) /* SQLite in tasks */
#define TIME_LIMIT SL_SECONDS(40)
#define MESSAGES 3000
#define PART 400 /* messages a connection of those that end badly */

/* What a connection is like, or an answer. */
enum fault {
    WHOLE, /* none */
    SILENCE,
    NO_JSON,
    NO_EVENT,
    NO_NUMBER,
    NO_TEXT, /* not UTF-8 */
    HANG_UP,
    ODD_EVENTS, /* of a kind that the worker does not know: no fault */
    STATUS_500,
    STATUS_429,
    EMPTY,
};

struct venue {
    sl_listener *listener;
    sl_session *session;
    const enum fault *streams; /* of the connections, one after the other; all further ones are whole */
    size_t stream_count;
    const enum fault *answers; /* the same for requests for the whole book */
    size_t answer_count;
    sl_time pause; /* between messages, so that the flow is slow */
    uint64_t messages;
    size_t connections, requests;
    uint64_t sent_trades;
    void (*at_the_end)(struct venue *venue); /* all was sent, but not that this is all */
    const sl_worker *worker;
    uint64_t rows_seen;
};

static char folder[64];
static char database[128];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-faults-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(database, sizeof database, "%s/market.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static int64_t query(const char *sql)
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

/* ---- the venue ---- */

static int send_text(sl_ws *ws, const char *text)
{
    return sl_ws_send(ws, SL_WS_TEXT, text, strlen(text));
}

/* What comes behind PART messages. The worker ends the connection, or the scope around it. */
static int misbehave(sl_ws *ws, enum fault fault)
{
    static const char price[] =
        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\","
        "\"t\":1,\"p\":\"1e9\",\"q\":\"x\",\"X\":\"MARKET\",\"m\":true}}";
    struct sl_ws_message message;
    switch (fault) {
    case NO_JSON:
        SL_TRY(send_text(ws, "{\"e\":"));
        break;
    case NO_EVENT:
        SL_TRY(send_text(ws, "[1,2,3]"));
        break;
    case NO_NUMBER:
        SL_TRY(send_text(ws, price));
        break;
    case NO_TEXT:
        SL_TRY(send_text(ws, "\xff\xfe"));
        break;
    case HANG_UP:
        return 0;
    default:
        break;
    }
    while (sl_ws_receive(ws, &message) == 0) {
    }
    return 0;
}

static int play(struct venue *venue, sl_ws *ws, enum fault fault)
{
    sl_session_message message;
    int code = 0;
    for (int i = 0; fault == WHOLE || fault == ODD_EVENTS || i < PART; i++) {
        code = sl_session_next(venue->session, &message);
        if (code <= 0) {
            break;
        }
        if (message.kind == SL_EVENT_TRADE || message.kind == SL_EVENT_BOOK_DELTA) {
            SL_TRY(sl_ws_send(ws, SL_WS_TEXT, message.text.data, message.text.size_bytes));
            venue->sent_trades += message.kind == SL_EVENT_TRADE;
            SL_TRY(venue->pause > 0 ? sl_sleep(venue->pause) : 0);
        }
        if (fault == ODD_EVENTS && i % 100 == 0) {
            SL_TRY(send_text(ws, "{\"stream\":\"btcusdt@new\",\"data\":{\"e\":\"new\",\"E\":1,\"s\":\"BTCUSDT\"}}"));
        }
    }
    SL_TRY(code);
    if (fault != WHOLE && fault != ODD_EVENTS) {
        while (sl_sequence_wants_snapshot(venue->worker->sequence)) { /* so that there is a book to lose */
            SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        }
        return misbehave(ws, fault);
    }
    if (venue->at_the_end != NULL) {
        venue->at_the_end(venue);
    }
    SL_TRY(sl_ws_send_close(ws, 1000, "that was all"));
    return misbehave(ws, SILENCE);
}

static int answer(struct venue *venue, sl_http_exchange *request)
{
    static const char json[] = "application/json";
    bool whole = strstr(sl_http_target(request->request), "limit=1000") != NULL;
    enum fault fault = whole && venue->requests < venue->answer_count ? venue->answers[venue->requests] : WHOLE;
    venue->requests += whole;
    sl_json_text text = {NULL, 0};
    switch (fault) {
    case STATUS_500:
        return sl_http_respond(request, 500, "text/html", "<html>oh</html>", 15);
    case STATUS_429:
        return sl_http_respond(request, 429, json, "{\"code\":-1003,\"msg\":\"Too many requests.\"}", 40);
    case NO_JSON:
        return sl_http_respond(request, 200, json, "{\"lastUpdateId\":", 16);
    case NO_EVENT:
        return sl_http_respond(request, 200, json, "{\"e\":\"trade\"}", 13);
    case NO_NUMBER:
        return sl_http_respond(request, 200, json, "{\"lastUpdateId\":1,\"bids\":[[\"x\",\"1\"]],\"asks\":[]}", 48);
    case EMPTY:
        return sl_http_respond(request, 200, json, "", 0);
    case HANG_UP:
        return SL_ECONNRESET;
    default:
        break;
    }
    if (sl_session_snapshot(venue->session, 1000, &text) < 0) {
        return sl_http_respond(request, 503, json, "", 0);
    }
    return sl_http_respond(request, 200, json, text.data, text.size_bytes);
}

static int handle(void *arg, sl_http_exchange *request)
{
    struct venue *venue = arg;
    if (strncmp(sl_http_target(request->request), "/fapi/v1/depth?", 15) == 0) {
        return answer(venue, request);
    }
    size_t place = venue->connections++;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_accept(request, &ws));
    return play(venue, ws, place < venue->stream_count ? venue->streams[place] : WHOLE);
}

static int serve(void *arg)
{
    struct venue *venue = arg;
    return sl_http_serve(venue->listener, handle, venue);
}

/* ---- the worker ---- */

struct play {
    struct venue venue;
    sl_worker worker;
};

static sl_session_options generated(uint64_t messages)
{
    return (sl_session_options){.venue = SL_VENUE_BINANCE_USDM, .generate = {.seed = 11, .messages = messages}};
}

static void check_side(const sl_book *book, const sl_book *truth, sl_side side)
{
    sl_book_cursor cursor = sl_book_first(book, side);
    const sl_level *level;
    size_t levels = 0;
    for (; (level = sl_book_next(&cursor)) != NULL; levels++) {
        const sl_decimal *quantity = sl_book_find(truth, side, level->price);
        assert_true(quantity != NULL && sl_decimal_equal(*quantity, level->quantity));
    }
    assert_true(levels >= 200);
    assert_true(sl_decimal_equal(sl_book_best(book, side)->price, sl_book_best(truth, side)->price));
}

/* Everything that was sent since the first trade is stored or lost, and the book is the venue's. */
static void check(const struct play *play)
{
    const struct sl_worker_stats *stats = &play->worker.stats;
    int64_t last = sl_session_get_stats(play->venue.session)->last_trade_id;
    assert_int_equal(stats->trades + stats->lost, last - play->worker.first_trade + 1);
    assert_int_equal(query("SELECT count(*) FROM trades"), stats->trades);
    assert_int_equal(query("SELECT coalesce(sum(to_id - from_id - 1), 0) FROM gaps WHERE channel = 'trades'"),
                     stats->lost);
    assert_int_equal(stats->rows, stats->sink.written + stats->sink.repeated);
    assert_int_equal(query("SELECT count(*) FROM gaps WHERE channel = 'depth'"), stats->gaps);
    assert_int_equal(stats->gaps, stats->healed);
    check_side(play->worker.book, sl_session_book(play->venue.session), SL_SIDE_BUY);
    check_side(play->worker.book, sl_session_book(play->venue.session), SL_SIDE_SELL);
}

static int perform(void *arg)
{
    struct play *play = arg;
    sl_session_options session = generated(play->venue.messages == 0 ? MESSAGES : play->venue.messages);
    sl_auto(sl_session) *open = NULL;
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_session_open(&session, &open));
    SL_TRY(sl_listener_open("127.0.0.1", 0, &listener));
    play->venue.session = open;
    play->venue.listener = listener;
    play->venue.worker = &play->worker;
    play->worker.options.address = "127.0.0.1";
    play->worker.options.port = sl_listener_port(listener);
    play->worker.options.symbol = "BTCUSDT";
    play->worker.options.database = database;
    play->worker.options.quiet = true;
    SL_SCOPE(scope, .timeout = TIME_LIMIT);
    SL_TRY(sl_spawn(&scope, serve, &play->venue, .daemon = true));
    int code = sl_worker_run(&play->worker);
    if (code == 0) {
        check(play);
    }
    sl_worker_done(&play->worker);
    return sl_scope_close(&scope, code);
}

static int run_task(sl_task_fn fn, void *arg, char text[1024])
{
    struct sl_run_options options = {.stack_bytes = STACK_BYTES, .watchdog = SL_NEVER};
    sl_error *error = NULL;
    int code = sl_run(&options, fn, arg, &error);
    (void)sl_error_print(error, text, 1024);
    sl_error_unref(error);
    return code;
}

static void run(struct play *play)
{
    char text[1024] = "";
    int code = run_task(perform, play, text);
    if (code != 0) {
        fail_msg("%s: %s", sl_error_name(code), text);
    }
}

/* ---- cases ---- */

static void snapshots_that_are_none_leave_the_stream_alone(void **state)
{
    (void)state;
    static const enum fault answers[] = {STATUS_500, NO_JSON, HANG_UP, NO_EVENT, STATUS_429, EMPTY, NO_NUMBER};
    struct play play = {.venue = {.answers = answers, .answer_count = 7}};
    run(&play);
    assert_int_equal(play.worker.stats.connections, 1);
    assert_int_equal(play.worker.stats.failures, 0);
    assert_true(play.worker.stats.snapshot_failures >= 7); /* and some 503 */
    assert_int_equal(play.worker.stats.lost, 0);
}

static void messages_that_are_none_cost_the_connection(void **state)
{
    (void)state;
    static const enum fault streams[] = {NO_JSON, NO_EVENT, NO_NUMBER, NO_TEXT, HANG_UP};
    struct play play = {.venue = {.streams = streams, .stream_count = 5}};
    run(&play);
    assert_int_equal(play.worker.stats.connections, 6);
    assert_int_equal(play.worker.stats.failures, 5);
    assert_int_equal(play.worker.stats.lost, 0); /* the session waited */
    assert_true(play.worker.stats.gaps > 0);     /* but the book was not to be trusted meanwhile */
    assert_int_equal(play.worker.stats.trades, play.venue.sent_trades);
}

static void unknown_events_are_counted_and_left(void **state)
{
    (void)state;
    static const enum fault streams[] = {ODD_EVENTS};
    struct play play = {.venue = {.streams = streams, .stream_count = 1}};
    run(&play);
    assert_int_equal(play.worker.stats.connections, 1);
    assert_int_equal(play.worker.stats.ignored, (MESSAGES + 98) / 100);
}

static void a_silent_stream_is_made_anew(void **state)
{
    (void)state;
    static const enum fault streams[] = {SILENCE, SILENCE};
    struct play play = {.venue = {.streams = streams, .stream_count = 2},
                        .worker = {.options = {.silence = SL_MILLISECONDS(150)}}};
    run(&play);
    assert_true(play.worker.stats.connections >= 3);
    assert_non_null(strstr(play.worker.problem, "no message for 150 ms"));
}

static void count_rows(struct venue *venue)
{
    venue->rows_seen = (uint64_t)query("SELECT count(*) FROM trades");
}

/* Never quiet for long, never enough for a whole batch: rows are committed all the same. */
static void a_slow_steady_flow_is_committed_in_time(void **state)
{
    (void)state;
    struct play play = {.venue = {.messages = 200, .pause = SL_MILLISECONDS(15), .at_the_end = count_rows}};
    run(&play);
    assert_true(play.venue.rows_seen > 0);
    assert_true(play.worker.stats.sink.commits > 2);
}

/* Another process has begun to write and takes its time, longer than one attempt of ours lasts. */
static int hold_database(void *arg)
{
    const sl_worker *worker = arg;
    sqlite3 *db = NULL;
    while (worker->stats.trades == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    assert_int_equal(sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    while (strstr(worker->problem, "locked") == NULL) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return 0;
}

static int perform_with_a_busy_database(void *arg)
{
    struct play *play = arg;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, hold_database, &play->worker));
    return sl_scope_close(&scope, perform(play));
}

static void a_busy_database_is_waited_for(void **state)
{
    (void)state;
    struct play play = {.venue = {.messages = 2000, .pause = SL_MICROSECONDS(100)}};
    char text[1024] = "";
    if (run_task(perform_with_a_busy_database, &play, text) != 0) {
        fail_msg("%s", text);
    }
    assert_int_equal(play.worker.stats.lost, 0);
}

/* ---- with the simulated exchange ---- */

struct meeting {
    sl_worker worker;
    sl_time stop_after; /* 0: not at all */
    bool no_venue;      /* nobody listens; or: */
    bool mute_venue;    /* connections are accepted, and that is all */
    int code;
};

static int stop_worker(void *arg)
{
    const struct meeting *meeting = arg;
    do {
        SL_TRY(sl_sleep(meeting->stop_after));
    } while (meeting->no_venue && meeting->worker.stats.failures == 0);
    return sl_scope_stop(sl_scope_current()->parent, SL_SECONDS(30));
}

/* A port on which nobody listens: tcpmux, which nobody has. */
#define NOBODY 1

static int open_venue(struct meeting *meeting, sl_scope *scope, sl_exchange **ret_exchange, sl_listener **ret_listener)
{
    struct sl_exchange_options options = {.session = generated(50000), .speed = 1};
    if (meeting->no_venue) {
        meeting->worker.options.port = NOBODY;
        return 0;
    }
    if (meeting->mute_venue) {
        SL_TRY(sl_listener_open("127.0.0.1", 0, ret_listener));
        meeting->worker.options.port = sl_listener_port(*ret_listener);
        return 0;
    }
    SL_TRY(sl_exchange_open(&options, ret_exchange));
    meeting->worker.options.port = sl_exchange_port(*ret_exchange);
    return sl_spawn(scope, sl_exchange_run, *ret_exchange, .daemon = true);
}

static int meet(void *arg)
{
    struct meeting *meeting = arg;
    struct sl_worker_options *options = &meeting->worker.options;
    sl_auto(sl_exchange) *exchange = NULL;
    sl_auto(sl_listener) *listener = NULL;
    options->address = options->address == NULL ? "127.0.0.1" : options->address;
    options->symbol = options->symbol == NULL ? "BTCUSDT" : options->symbol;
    options->database = database;
    options->quiet = true;
    SL_SCOPE(scope, .timeout = TIME_LIMIT);
    SL_TRY(open_venue(meeting, &scope, &exchange, &listener));
    if (meeting->stop_after > 0) {
        SL_TRY(sl_spawn(&scope, stop_worker, meeting, .daemon = true));
    }
    meeting->code = sl_worker_run(&meeting->worker);
    sl_worker_done(&meeting->worker);
    return sl_scope_close(&scope, 0);
}

static int run_meeting(struct meeting *meeting)
{
    char text[1024] = "";
    if (run_task(meet, meeting, text) != 0) {
        fail_msg("%s", text);
    }
    return meeting->code;
}

static void what_the_venue_has_not_ends_the_worker(void **state)
{
    (void)state;
    struct meeting wrong = {.worker = {.options = {.symbol = "ETHUSDT"}}};
    assert_int_equal(run_meeting(&wrong), SL_EINVAL);
    assert_true(wrong.worker.refused);
    assert_non_null(strstr(wrong.worker.problem, "-1121: Invalid symbol."));
    struct meeting nowhere = {.worker = {.options = {.address = "not an address"}}};
    assert_int_equal(run_meeting(&nowhere), SL_EINVAL);
    assert_true(nowhere.worker.refused);
}

/* Each of these waits would last for ever, or for seconds. */
static void a_stop_ends_every_wait(void **state)
{
    (void)state;
    char url[64];
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    char command[128];
    (void)snprintf(command, sizeof command, "redis-cli -p %d SET sluice:worker:BTCUSDT other PX 60000 >/dev/null",
                   port);
    assert_int_equal(system(command), 0);
    struct meeting meetings[] = {
        {.worker = {.options = {.redis = url}}}, {.no_venue = true}, {.mute_venue = true}, {.stop_after = 0}};
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++) {
        meetings[i].stop_after = SL_MILLISECONDS(100);
        sl_time begin = sl_now();
        assert_int_equal(run_meeting(&meetings[i]), 0);
        assert_true(sl_now() - begin < SL_SECONDS(8)); /* the grace and the time-outs are longer */
    }
    assert_true(meetings[1].worker.stats.failures > 0);
}

struct restart {
    sl_worker worker;
    uint64_t before;
};

static int wait_for_trades(const sl_worker *worker, uint64_t connections, uint64_t messages)
{
    while (worker->stats.connections < connections || worker->stats.messages < messages) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(5)));
    }
    return 0;
}

static int run_and_stop(void *arg)
{
    sl_worker *worker = arg;
    return sl_worker_run(worker);
}

/* One life of the exchange, until the worker has heard some of it; then it is gone in the middle. */
static int live(const struct sl_exchange_options *options, const sl_worker *worker, uint64_t messages, int *port)
{
    sl_auto(sl_exchange) *exchange = NULL;
    struct sl_exchange_options now = *options;
    now.port = *port;
    SL_TRY(sl_exchange_open(&now, &exchange));
    *port = sl_exchange_port(exchange);
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, sl_exchange_run, exchange, .daemon = true));
    int code = worker == NULL ? 0 : wait_for_trades(worker, worker->stats.connections, messages);
    sl_scope_cancel(&scope, "gone");
    return sl_scope_close(&scope, code == SL_ECANCELED ? 0 : code);
}

static int restart_exchange(void *arg)
{
    struct restart *restart = arg;
    sl_worker *worker = &restart->worker;
    struct sl_exchange_options options = {.session = generated(80000), .speed = 20};
    int port = 0;
    SL_TRY(live(&options, NULL, 0, &port)); /* a port to stay with */
    worker->options = (struct sl_worker_options){
        .address = "127.0.0.1", .port = port, .symbol = "BTCUSDT", .database = database, .quiet = true};
    SL_SCOPE(scope, .timeout = TIME_LIMIT);
    SL_TRY(sl_spawn(&scope, run_and_stop, worker));
    SL_TRY(live(&options, worker, 300, &port));
    restart->before = worker->stats.trades;
    options.session.generate.start_time_ns = INT64_C(1723161300000000000);
    SL_TRY(live(&options, worker, worker->stats.messages + 3000, &port));
    SL_TRY(sl_scope_stop(&scope, SL_SECONDS(20)));
    return sl_scope_wait(&scope);
}

/* It begins its session again: what is known already is not stored twice, what is new is. */
static void an_exchange_that_comes_back_is_followed_again(void **state)
{
    (void)state;
    struct restart restart = {.before = 0};
    char text[1024] = "";
    if (run_task(restart_exchange, &restart, text) != 0) {
        fail_msg("%s", text);
    }
    const struct sl_worker_stats *stats = &restart.worker.stats;
    assert_true(stats->connections >= 2 && stats->failures >= 1);
    assert_true(stats->trades > restart.before);
    assert_true(stats->repeated > 0);
    assert_int_equal(query("SELECT count(*) FROM trades"), stats->trades);
    assert_int_equal(query("SELECT count(DISTINCT trade_id) FROM trades"), stats->trades);
    sl_worker_done(&restart.worker);
}

#define FAULT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(FAULT(snapshots_that_are_none_leave_the_stream_alone), FAULT(messages_that_are_none_cost_the_connection),
             FAULT(unknown_events_are_counted_and_left), FAULT(a_silent_stream_is_made_anew),
             FAULT(a_slow_steady_flow_is_committed_in_time), FAULT(a_busy_database_is_waited_for),
             FAULT(what_the_venue_has_not_ends_the_worker), FAULT(a_stop_ends_every_wait),
             FAULT(an_exchange_that_comes_back_is_followed_again))
