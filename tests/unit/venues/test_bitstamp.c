/* SPDX-License-Identifier: MIT */
/* Bitstamp v2: each kind of message, requests and answers, and the captured session joined to its snapshots. */
#include "venue_kit.h"

#include <string.h>

#include "market/book.h"

static const venue_kit_instrument instruments[] = {
    {.symbol = "btcusd", .base = "BTC", .quote = "USD"},
    {.symbol = "ethusd", .base = "ETH", .quote = "USD"},
    {.symbol = NULL},
};

static const venue_case messages[] = {
    {"{\"data\":{\"timestamp\":\"1641343691\",\"microtimestamp\":\"1641343691244908\",\"bids\":[[\"1.15979\","
     "\"993.02588113\"],[\"1.14866\",\"7758.51900928\"]],\"asks\":[[\"1.16601\",\"0.00000000\"]]},\"channel\":"
     "\"diff_order_book_btcusd\",\"event\":\"data\"}",
     0,
     "book_delta BTC-USD 1641343691244908-1641343691244908 b 1.15979x993.02588113,1.14866x7758.51900928 "
     "a 1.16601x0.00000000 @1641343691244908000\n"},
    {"{\"event\":\"data\",\"channel\":\"order_book_ethusd\",\"data\":{\"timestamp\":\"1\",\"microtimestamp\":\"6\","
     "\"bids\":[[\"2\",\"1\"],[\"1\",\"9\"]],\"asks\":[[\"3\",\"4\"],[\"5\",\"8\"]]}}",
     0, "best ETH-USD 6 b 2x1 a 3x4 @6000\n"},
    {"{\"event\":\"data\",\"channel\":\"order_book_ethusd\",\"data\":{\"timestamp\":\"1\",\"microtimestamp\":\"7\","
     "\"bids\":"
     "[[\"2\",\"1\"],[\"1\",\"1\"]],\"asks\":[]}}",
     0, "best ETH-USD 7 b 2x1 a 0x0 @7000\n"},
    {"{\"data\":{\"id\":216000477,\"timestamp\":\"1641343699\",\"amount\":0.0792,\"amount_str\":\"0.07920000\","
     "\"price\":3805.44,"
     "\"price_str\":\"3805.44\",\"type\":0,\"microtimestamp\":\"1641343699596000\",\"buy_order_id\":1443875737346049,"
     "\"sell_order_id\":1443875731320832},\"channel\":\"live_trades_ethusd\",\"event\":\"trade\"}",
     0, "trade ETH-USD 216000477 3805.44x0.07920000 buy @1641343699596000000\n"},
    /* without the texts the numbers' own */
    {"{\"event\":\"trade\",\"channel\":\"live_trades_btcusd\",\"data\":{\"id\":5,\"amount\":0.10,\"price\":1e2,"
     "\"type\":1,"
     "\"microtimestamp\":\"9\"}}",
     0, "trade BTC-USD 5 100x0.10 sell @9000\n"},
    {"{\"event\":\"trade\",\"channel\":\"live_trades_foousd\",\"data\":{\"id\":5,\"amount\":1,\"price\":2,\"type\":1,"
     "\"microtimestamp\":\"9\"}}",
     0, ""},
    {"{\"event\":\"bts:subscription_succeeded\",\"channel\":\"live_trades_btcusd\",\"data\":{}}", 0,
     "! subscribed trades BTC-USD\n"},
    {"{\"event\":\"bts:unsubscription_succeeded\",\"channel\":\"diff_order_book_foousd\",\"data\":{}}", 0,
     "! unsubscribed depth ?foousd\n"},
    {"{\"event\":\"bts:heartbeat\",\"channel\":\"\",\"data\":{\"status\":\"success\"}}", 0, "! pong\n"},
    {"{\"event\":\"bts:request_reconnect\",\"channel\":\"\",\"data\":\"\"}", 0, "! reconnect\n"},
    {"{\"event\":\"bts:error\",\"channel\":\"\",\"data\":{\"code\":null,\"message\":\"Bad subscription string.\"}}", 0,
     "! refused for good \"Bad subscription string.\"\n"},
    {"{\"event\":\"bts:error\",\"channel\":\"order_book_btcusd\",\"data\":{\"code\":4009,\"message\":\"Connection is "
     "unauthorized.\"}}",
     0, "! refused for good best BTC-USD code=4009 \"Connection is unauthorized.\"\n"},
    {"{\"event\":\"bts:error\",\"channel\":\"\",\"data\":{\"code\":\"x\",\"message\":\"Incorrect JSON format.\"}}", 0,
     "! error \"Incorrect JSON format.\"\n"},
    {"{\"event\":\"bts:error\",\"channel\":\"\",\"data\":{\"code\":1,\"message\":\"Too many messages\"}}", 0,
     "! rate limited code=1 \"Too many messages\"\n"},
    {"{\"event\":\"order_created\",\"channel\":\"live_orders_btcusd\",\"data\":{\"id\":5}}", SL_ENOTSUP,
     "events \"order_created\" of the channel \"live_orders_btcusd\" are not decoded"},
    {"{\"event\":\"bts:new\",\"channel\":\"\",\"data\":{}}", SL_ENOTSUP, "events \"bts:new\" are not decoded"},
    {"{\"channel\":\"live_trades_btcusd\"}", SL_EPROTO, "\"event\" is missing"},
    {"{\"event\":\"data\",\"channel\":\"diff_order_book_btcusd\"}", SL_EPROTO, "book: \"bids\" is missing"},
    {"{\"event\":\"data\",\"channel\":\"diff_order_book_btcusd\",\"data\":[]}", SL_EPROTO, "not an object"},
    {"{\"event\":\"data\",\"channel\":\"diff_order_book_btcusd\",\"data\":{\"bids\":[],\"asks\":[]}}", SL_EPROTO,
     "book: \"microtimestamp\" is missing"},
    {"{\"event\":\"trade\",\"channel\":\"live_trades_btcusd\",\"data\":{\"id\":5,\"amount\":1,\"price\":2,\"type\":2,"
     "\"microtimestamp\":\"9\"}}",
     SL_EPROTO, "\"type\" is neither 0 nor 1"},
    {NULL, 0, NULL},
};

static void every_kind_of_message(void **state)
{
    (void)state;
    venue_kit_prove(SL_VENUE_BITSTAMP, instruments, messages);
}

static void subscriptions(void **state)
{
    (void)state;
    venue_kit kit;
    char buffer[64];
    venue_kit_open(&kit, SL_VENUE_BITSTAMP, instruments);
    const sl_instrument *btc = sl_instruments_at(kit.instruments, 0);
    const sl_subscription wanted[] = {{.feed = SL_FEED_DEPTH, .instrument = btc},
                                      {.feed = SL_FEED_TRADES, .instrument = btc},
                                      {.feed = SL_FEED_BEST, .instrument = btc}};
    static const char *const texts[] = {
        "{\"event\":\"bts:subscribe\",\"data\":{\"channel\":\"diff_order_book_btcusd\"}}",
        "{\"event\":\"bts:subscribe\",\"data\":{\"channel\":\"live_trades_btcusd\"}}",
        "{\"event\":\"bts:subscribe\",\"data\":{\"channel\":\"order_book_btcusd\"}}"};
    for (size_t at = 0; at < 3; at++) { /* one channel a message */
        venue_kit_expect_subscribe(kit.driver, wanted + at, 3 - at, false, 1, texts[at]);
    }
    venue_kit_expect_subscribe(kit.driver, wanted, 1, true, 1,
                               "{\"event\":\"bts:unsubscribe\",\"data\":{\"channel\":\"diff_order_book_btcusd\"}}");
    const sl_subscription wrong[] = {{.feed = SL_FEED_TICKER, .instrument = btc},
                                     {.feed = SL_FEED_DEPTH, .instrument = btc, .depth = 5},
                                     {.feed = SL_FEED_TRADES}};
    for (size_t at = 0; at < 3; at++) {
        venue_kit_expect_subscribe(kit.driver, &wrong[at], 1, false, SL_EINVAL, NULL);
    }
    assert_int_equal(kit.driver->stream_path(wanted, 3, buffer, sizeof(buffer)), 1);
    assert_true(kit.driver->ping(9, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "{\"event\":\"bts:heartbeat\"}");
    venue_kit_close(&kit);
}

static void requests(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_BITSTAMP, instruments);
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS, .instrument = sl_instruments_at(kit.instruments, 0)};
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v2/trading-pairs-info/");
    request.kind = SL_REQUEST_SNAPSHOT;
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v2/order_book/btcusd/?group=1");
    request.kind = SL_REQUEST_TRADES;
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v2/transactions/btcusd/?time=hour");
    request.from_id = 5;
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v2/transactions/btcusd/?time=day");
    request.kind = SL_REQUEST_CANDLES;
    venue_kit_expect_path(kit.driver, &request, SL_EINVAL, NULL);
    request.interval_ns = SL_MINUTES(1);
    request.from_time_ns = INT64_C(1700000000000000000);
    request.to_time_ns = INT64_C(1700000060000000000);
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/api/v2/ohlc/btcusd/?step=60&limit=2&start=1700000000&end=1700000060");
    request.limit = 100; /* those from the start on, not those up to the end */
    request.to_time_ns = request.from_time_ns + SL_MINUTES(100);
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/api/v2/ohlc/btcusd/?step=60&limit=101&start=1700000000&end=1700006000");
    request.to_time_ns = request.from_time_ns + SL_MINUTES(5000);
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/api/v2/ohlc/btcusd/?step=60&limit=101&start=1700000000&end=1700006000");
    request.limit = 0;
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/api/v2/ohlc/btcusd/?step=60&limit=1000&start=1700000000&end=1700059940");
    request.to_time_ns = 0;
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v2/ohlc/btcusd/?step=60&limit=1000&start=1700000000");
    request.kind = SL_REQUEST_OPEN_INTEREST;
    venue_kit_expect_path(kit.driver, &request, SL_ENOTSUP, NULL);
    venue_kit_close(&kit);
}

static const venue_case books[] = {
    {"{\"timestamp\": \"1641343695\", \"microtimestamp\": \"1641343695572693\", \"bids\": [[\"0.14695\", "
     "\"4567.41344936\"]], "
     "\"asks\": [[\"0.147\", \"1\"]]}",
     0, "book_snapshot BTC-USD 1641343695572693 b 0.14695x4567.41344936 a 0.147x1 [snapshot] @1641343695572693000\n"},
    {"{\"status\":\"error\",\"reason\":\"Request rate limit exceeded.\",\"code\":\"400.002\"}", SL_EAGAIN,
     "Request rate limit exceeded."},
    {"{\"code\":\"404.002\",\"reason\":\"Currency pair not found.\",\"status\":\"error\"}", SL_EPROTO, "not found"},
    {"{\"status\":\"error\",\"reason\":\"Wait.\",\"code\":\"400.067\"}", SL_EAGAIN, "Wait."},
    {"{\"status\":\"error\",\"reason\":\"Wait.\",\"code\":\"400.068\"}", SL_EAGAIN, "Wait."},
    {"{\"error\":\"Service unavailable\"}", SL_EAGAIN, "Service unavailable"},
    {"{\"status\":\"error\",\"reason\":\"Request rejected\",\"response_code\":\"400.002\",\"response_explanation\":"
     "\"Too fast.\"}",
     SL_EAGAIN, "Too fast."},
    {"{\"response_code\":\"400.068\"}", SL_EAGAIN, "error 400"},
    {"{\"code\":\"API5506\",\"message\":\"No derivatives.\",\"field\":\"market\"}", SL_EPROTO, "No derivatives."},
    {"{\"message\":\"Unauthorized\"}", SL_EPROTO, "Unauthorized"},
    {"{\"error\":{\"pair\":[\"Required\"]}}", SL_EPROTO, "answered with error 0"},
    {"{\"status\":\"error\",\"reason\":{\"step\":[\"x\"]},\"code\":\"API0001\"}", SL_EPROTO, "error 0"},
    {"{\"bids\":[],\"asks\":[]}", SL_EPROTO, "\"microtimestamp\" is missing"},
    {"[]", SL_EPROTO, "an array instead of an object"},
    {NULL, 0, NULL},
};

static const venue_case trades[] = {
    {"[{\"date\":\"1643640186\",\"tid\":\"209981229\",\"amount\":\"0.01000000\",\"type\":\"0\",\"price\":\"38500.00\"},"
     "{\"date\":1643640185,\"tid\":209981228,\"amount\":\"1\",\"type\":1,\"price\":\"38499\"}]",
     0,
     "trade BTC-USD 209981229 38500.00x0.01000000 buy @1643640186000000000\n"
     "trade BTC-USD 209981228 38499x1 sell @1643640185000000000\n"},
    {"{}", SL_EPROTO, "an object instead of an array"},
    {NULL, 0, NULL},
};

static const venue_case candles[] = {
    {"{\"data\":{\"pair\":\"BTC/"
     "USD\",\"ohlc\":[{\"high\":\"3\",\"timestamp\":\"1505558814\",\"volume\":\"9.5\",\"low\":\"1\","
     "\"close\":\"2.5\",\"open\":\"2\"}]}}",
     0, "candle BTC-USD 60s 2 3 1 2.5 9.5 n=0 closed @1505558814000000000\n"},
    {"{}", SL_EPROTO, "\"data\" is missing"},
    {NULL, 0, NULL},
};

static const venue_case lists[] = {
    {"[{\"trading\": \"Enabled\", \"base_decimals\": 8, \"url_symbol\": \"btcusd\", \"name\": \"BTC/USD\", "
     "\"counter_decimals\": 2},"
     "{\"trading\":\"Disabled\",\"base_decimals\":5,\"url_symbol\":\"usdteur\",\"name\":\"USDT/"
     "EUR\",\"counter_decimals\":5},"
     "{\"trading\":\"Enabled\",\"base_decimals\":8,\"url_symbol\":\"btcusd-perp\",\"name\":\"BTC/USD-PERP\","
     "\"counter_decimals\":0},"
     "{\"trading\":\"Enabled\",\"base_decimals\":5,\"url_symbol\":\"odd\",\"name\":\"odd\",\"counter_decimals\":5}]",
     0, ""},
    {"[{\"trading\":\"Enabled\",\"base_decimals\":99,\"url_symbol\":\"a\",\"name\":\"A/B\",\"counter_decimals\":2}]",
     SL_ERANGE, "out of range"},
    {NULL, 0, NULL},
};

static void answers(void **state)
{
    (void)state;
    static const venue_kind_cases kinds[] = {{SL_REQUEST_SNAPSHOT, books},
                                             {SL_REQUEST_TRADES, trades},
                                             {SL_REQUEST_CANDLES, candles},
                                             {SL_REQUEST_INSTRUMENTS, lists},
                                             {.cases = NULL}};
    venue_kit_prove_answers(SL_VENUE_BITSTAMP, instruments, kinds);
}

static void what_answers_tell(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_BITSTAMP, instruments);
    sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = sl_instruments_at(kit.instruments, 0)};
    assert_int_equal(venue_kit_answer(&kit, &request, books[1].json, strlen(books[1].json)), SL_EAGAIN);
    assert_true(kit.answer.rate_limited);
    assert_int_equal(venue_kit_answer(&kit, &request, books[2].json, strlen(books[2].json)), SL_EPROTO);
    assert_true(kit.answer.no_symbol);
    request.kind = SL_REQUEST_INSTRUMENTS;
    assert_int_equal(venue_kit_answer(&kit, &request, lists[0].json, strlen(lists[0].json)), 0);
    assert_int_equal(kit.answer.rows, 3);
    const sl_instrument *usdt = sl_instruments_find_name(kit.instruments, SL_VENUE_BITSTAMP, "USDT-EUR");
    assert_non_null(usdt);
    assert_true(usdt->status == SL_STATUS_HALTED && usdt->tick.exponent == -5 && usdt->lot.exponent == -5);
    assert_true(usdt->type == SL_INSTRUMENT_SPOT);
    const sl_instrument *perpetual = sl_instruments_find_name(kit.instruments, SL_VENUE_BITSTAMP, "BTC-USD-USD");
    assert_non_null(perpetual);
    assert_true(perpetual->type == SL_INSTRUMENT_PERPETUAL && strcmp(perpetual->symbol, "btcusd-perp") == 0);
    venue_kit_close(&kit);
}

/* ---- the captured session ---- */

struct diff {
    int64_t id;
    uint32_t instrument;
};

struct session {
    venue_kit kit;
    int64_t last[16], snapshot[16];
    struct diff diffs[1024];
    size_t diff_count, trades, messages, snapshots, stale;
};

static int on_event(void *arg, const sl_market_event *event)
{
    struct session *session = arg;
    uint32_t index = event->instrument->index;
    assert_true(index < 16);
    session->trades += event->kind == SL_EVENT_TRADE ? 1 : 0;
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        assert_true(event->as.delta.last_id > session->last[index]); /* strictly growing */
        session->last[index] = event->as.delta.last_id;
        session->diffs[session->diff_count++] = (struct diff){event->as.delta.last_id, index};
    } else if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        session->snapshot[index] = event->as.snapshot.last_id;
        session->snapshots++;
    }
    return 0;
}

static void take(void *arg, int64_t time_ns, const char *text, size_t size_bytes)
{
    struct session *session = arg;
    (void)time_ns;
    session->messages++;
    int code = venue_kit_decode(&session->kit, text, size_bytes);
    if (code < 0) {
        fail_msg("%.200s: %s", text, sl_venue_problem(session->kit.decoder));
    }
}

static void take_answer(void *arg, const char *url, const char *text, size_t size_bytes)
{
    struct session *session = arg;
    const char *symbol = strstr(url, "order_book/");
    if (symbol != NULL) {
        symbol += strlen("order_book/");
        sl_venue_request request = {
            .kind = SL_REQUEST_SNAPSHOT,
            .instrument = sl_instruments_find(session->kit.instruments, SL_VENUE_BITSTAMP, symbol, strlen(symbol))};
        assert_int_equal(venue_kit_answer(&session->kit, &request, text, size_bytes), 0);
    } else if (strstr(url, "trading-pairs-info") != NULL) {
        sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
        assert_int_equal(venue_kit_answer(&session->kit, &request, text, size_bytes), 0);
        assert_true(session->kit.answer.rows > 50);
    }
}

static void captured_session(void **state)
{
    (void)state;
    static const char *const symbols[] = {"sgbeur",  "ethusd", "xrpeur", "bateur", "usdteur",
                                          "usdtusd", "xlmgbp", "adaeur", "batbtc", "galaeur"};
    venue_kit_instrument wanted[11] = {{.symbol = NULL}};
    struct session session = {0};
    for (size_t at = 0; at < 10; at++) {
        wanted[at] = (venue_kit_instrument){.symbol = symbols[at], .base = "", .quote = ""};
    }
    venue_kit_open(&session.kit, SL_VENUE_BITSTAMP, wanted);
    session.kit.silent = true;
    session.kit.arg = &session;
    session.kit.event = on_event;
    venue_kit_capture_rest("BITSTAMP.0", take_answer, &session);
    venue_kit_capture("BITSTAMP.ws.1.0", take, &session);
    venue_kit_capture_rest("BITSTAMP.http.0.0", take_answer, &session);
    for (size_t at = 0; at < session.diff_count; at++) {
        session.stale += session.diffs[at].id <= session.snapshot[session.diffs[at].instrument] ? 1 : 0;
    }
    print_message("%zu messages: %zu diffs, %zu of them older than the %zu snapshots, %zu trades\n", session.messages,
                  session.diff_count, session.stale, session.snapshots, session.trades);
    assert_int_equal(session.diff_count, 717);
    assert_int_equal(session.stale, 102);
    assert_int_equal(session.kit.decoder->stats.bad + session.kit.decoder->stats.unknown, 0);
    venue_kit_close(&session.kit);
}

SL_TEST_MAIN(cmocka_unit_test(every_kind_of_message), cmocka_unit_test(subscriptions), cmocka_unit_test(requests),
             cmocka_unit_test(answers), cmocka_unit_test(what_answers_tell), cmocka_unit_test(captured_session))
