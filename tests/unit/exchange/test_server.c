/* SPDX-License-Identifier: MIT */
/* The simulated exchange as its clients see it: requests, streams, the slow and the late, limits. */
#include <string.h>

#include "exchange/server.h"
#include "market_kit.h"
#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/ws.h"

#define TRADES "/public/stream?streams=btcusdt@trade"
#define BOTH "/public/stream?streams=btcusdt@depth@0ms/btcusdt@trade"
#define CLIENTS_MAX 64 /* of the server */

static int begin(sl_scope *scope, uint64_t messages, double speed, sl_exchange **ret_exchange)
{
    struct sl_exchange_options options = {
        .session = {.venue = SL_VENUE_BINANCE_USDM, .generate = {.seed = 9, .messages = messages}}, .speed = speed};
    SL_TRY(sl_exchange_open(&options, ret_exchange));
    return sl_spawn(scope, sl_exchange_run, *ret_exchange, .daemon = true);
}

static int status_of(const sl_exchange *exchange, const char *target)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *response = NULL;
    char url[256];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", sl_exchange_port(exchange), target);
    SL_TRY(sl_http_client_open(NULL, &client));
    SL_TRY(sl_fetch(client, &(sl_request){.url = url}, &response));
    return sl_response_status(response);
}

/* A client that checks that nothing is missing between the first message it gets and the last. */
struct reader {
    sl_ws *ws;
    struct market_kit *kit;
    uint64_t received, trades, holes;
    int64_t trade_id, diff_id;
    int end;
};

static int open_reader(struct reader *reader, const sl_exchange *exchange, const char *target)
{
    memset(reader, 0, sizeof *reader);
    reader->kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    char url[256];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%d%s", sl_exchange_port(exchange), target);
    return sl_ws_connect(url, &reader->ws);
}

static void close_reader(struct reader *reader)
{
    sl_ws_free(reader->ws);
    market_kit_close(reader->kit);
}

static int read_all(void *arg)
{
    struct reader *reader = arg;
    struct sl_ws_message message;
    while ((reader->end = sl_ws_receive(reader->ws, &message)) == 0) {
        sl_venue_message raw = {message.data, message.size_bytes, SL_JSON_PADDED, 1};
        CHECK_EQ(market_kit_decode_message(reader->kit, &raw), 0);
        const sl_market_event *event = &reader->kit->events[0];
        reader->received++;
        if (event->kind == SL_EVENT_TRADE) {
            reader->holes += reader->trade_id != 0 && event->as.trade.id != reader->trade_id + 1;
            reader->trade_id = event->as.trade.id;
            reader->trades++;
        } else {
            CHECK_EQ(event->kind, SL_EVENT_BOOK_DELTA);
            reader->holes += reader->diff_id != 0 && event->as.delta.previous_id != reader->diff_id;
            reader->diff_id = event->as.delta.last_id;
        }
    }
    return reader->end == SL_ECANCELED ? SL_ECANCELED : 0;
}

C_TEST_REAL_FEW(requests_and_refusals, "depth in the venue's form, bad limits, unknown paths, no handshake", "")
{
    sl_auto(sl_exchange) *exchange = NULL;
    struct reader reader;
    SL_SCOPE(scope);
    CHECK_EQ(begin(&scope, 3000, 0, &exchange), 0);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSDT&limit=5"), 503); /* the session has not begun */
    CHECK_EQ(open_reader(&reader, exchange, BOTH), 0);
    CHECK_EQ(read_all(&reader), 0);
    CHECK_EQ(reader.end, SL_EOF);
    CHECK_EQ(sl_ws_close_code(reader.ws), 1000);
    CHECK_EQ(reader.holes, 0);
    CHECK_EQ(reader.trades, sl_session_get_stats(sl_exchange_session(exchange))->trades);
    close_reader(&reader);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSDT&limit=5"), 200);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSDT"), 200);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSDT&limit=9999999"), 400);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSDT&limit=-1"), 400);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSDT&limit=ten"), 400);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?limit=5&symbol=BTCUSDT"), 200);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?limit=5"), 400);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?xsymbol=BTCUSDT&limit=5"), 400);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=BTCUSD&limit=5"), 400);
    CHECK_EQ(status_of(exchange, "/fapi/v1/depth?symbol=ETHUSDT&limit=5"), 400);
    CHECK_EQ(status_of(exchange, "/nowhere"), 404);
    CHECK_EQ(status_of(exchange, TRADES), 400); /* a request without a handshake */
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(late_clients_get_the_last_messages, "after the session's end: the last of each stream, then the close",
                "")
{
    sl_auto(sl_exchange) *exchange = NULL;
    struct reader first;
    struct reader late;
    SL_SCOPE(scope);
    CHECK_EQ(begin(&scope, 2000, 0, &exchange), 0);
    CHECK_EQ(open_reader(&first, exchange, BOTH), 0);
    CHECK_EQ(read_all(&first), 0);
    CHECK(sl_exchange_get_stats(exchange).over);
    CHECK_EQ(open_reader(&late, exchange, BOTH), 0);
    CHECK_EQ(read_all(&late), 0);
    CHECK_EQ(sl_ws_close_code(late.ws), 1000);
    CHECK_EQ(late.received, 2);
    CHECK(late.trade_id == first.trade_id && late.diff_id == first.diff_id);
    close_reader(&late);
    CHECK_EQ(open_reader(&late, exchange, TRADES), 0);
    CHECK_EQ(read_all(&late), 0);
    CHECK_EQ(late.received, 1);
    close_reader(&late);
    close_reader(&first);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(a_slow_client_that_leaves_harms_no_other,
                "the player waits for who does not read; when that one goes, the other misses nothing", "")
{
    sl_auto(sl_exchange) *exchange = NULL;
    struct reader slow;
    struct reader good;
    SL_SCOPE(scope);
    CHECK_EQ(begin(&scope, 60000, 0, &exchange), 0);
    CHECK_EQ(open_reader(&slow, exchange, BOTH), 0);
    CHECK_EQ(open_reader(&good, exchange, BOTH), 0);
    CHECK_EQ(sl_spawn(&scope, read_all, &good), 0);
    uint64_t before = UINT64_MAX;
    while (good.received == 0 || good.received != before) { /* until the player is stuck */
        before = good.received;
        CHECK_EQ(sl_quiescent_wait(SL_MILLISECONDS(20)), 0);
    }
    CHECK(!sl_exchange_get_stats(exchange).over);
    close_reader(&slow);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK_EQ(good.end, SL_EOF);
    CHECK_EQ(good.holes, 0);
    CHECK(good.trade_id == sl_session_get_stats(sl_exchange_session(exchange))->last_trade_id);
    close_reader(&good);
    return sl_scope_wait(&scope);
}

/* Counts how often it gets its turn. */
static int count_turns(void *arg)
{
    uint64_t *turns = arg;
    for (;; ++*turns) {
        SL_TRY(sl_checkpoint());
    }
}

C_TEST_REAL_FEW(a_session_that_nobody_hears_lets_others_run,
                "with clients that want none of its streams, at full speed, the player gives way", "")
{
    sl_auto(sl_exchange) *exchange = NULL;
    struct reader deaf;
    uint64_t turns = 0;
    SL_SCOPE(scope);
    CHECK_EQ(begin(&scope, 20000, 0, &exchange), 0);
    CHECK_EQ(sl_spawn(&scope, count_turns, &turns, .daemon = true), 0);
    CHECK_EQ(open_reader(&deaf, exchange, "/public/stream?streams=ethusdt@trade"), 0);
    turns = 0;
    CHECK_EQ(read_all(&deaf), 0);
    CHECK_EQ(deaf.received, 0);
    CHECK(turns > 20000 / 25 / 2);
    close_reader(&deaf);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(too_many_clients, "one more than there is room for is told so, and has harmed nobody", "")
{
    sl_auto(sl_exchange) *exchange = NULL;
    struct reader *readers = test_calloc(CLIENTS_MAX + 1, sizeof *readers);
    SL_SCOPE(scope);
    CHECK_EQ(begin(&scope, 20000, 1, &exchange), 0); /* slow: the session goes on all the while */
    for (int i = 0; i < CLIENTS_MAX; i++) {
        CHECK_EQ(open_reader(&readers[i], exchange, TRADES), 0);
    }
    CHECK_EQ(open_reader(&readers[CLIENTS_MAX], exchange, TRADES), SL_EPROTO);
    CHECK_EQ(sl_exchange_get_stats(exchange).connections, CLIENTS_MAX);
    for (int i = 0; i <= CLIENTS_MAX; i++) {
        close_reader(&readers[i]);
    }
    test_free(readers);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(requests_and_refusals), cmocka_unit_test(late_clients_get_the_last_messages),
             cmocka_unit_test(a_slow_client_that_leaves_harms_no_other),
             cmocka_unit_test(a_session_that_nobody_hears_lets_others_run), cmocka_unit_test(too_many_clients))
