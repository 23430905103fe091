/* SPDX-License-Identifier: MIT */
/* Coinbase Exchange: each kind of message, requests and answers, spoiled messages, and the captured session. */
#include "venue_kit.h"

#include <string.h>

#include "market/book.h"

static const venue_kit_instrument instruments[] = {
    {.symbol = "BTC-USD", .base = "BTC", .quote = "USD"},
    {.symbol = "ETH-USD", .base = "ETH", .quote = "USD"},
    {.symbol = NULL},
};

static const venue_case messages[] = {
    /* the maker sold: the order that caused the trade bought */
    {"{\"type\":\"match\",\"trade_id\":10,\"sequence\":50,\"maker_order_id\":\"ac928c66-ca53-498f-9c13-a110027a60e8\","
     "\"taker_order_id\":\"132fb6ae-456b-4654-b4e0-d681ac05cea1\",\"time\":\"2014-11-07T08:19:27.028459Z\","
     "\"product_id\":\"BTC-USD\",\"size\":\"5.23512\",\"price\":\"400.230\",\"side\":\"sell\"}",
     0, "trade BTC-USD 10 400.230x5.23512 buy @1415348367028459000\n"},
    {"{\"side\":\"buy\",\"product_id\":\"ETH-USD\",\"type\":\"last_match\",\"trade_id\":9223372036854775806,"
     "\"time\":\"2014-11-07T08:19:27Z\",\"size\":\"0.1\",\"price\":\"1\"}",
     0, "trade ETH-USD 9223372036854775806 1x0.1 sell @1415348367000000000\n"},
    {"{\"type\":\"match\",\"trade_id\":11,\"sequence\":51,\"time\":\"2014-11-07T08:19:27Z\",\"product_id\":\"FOO-USD\","
     "\"size\":\"5\",\"price\":\"4\",\"side\":\"sell\"}",
     0, ""},
    {"{\"type\":\"ticker\",\"sequence\":37475248783,\"product_id\":\"ETH-USD\",\"price\":\"1285.22\","
     "\"open_24h\":\"1310.79\",\"volume_24h\":\"245532.79269678\",\"low_24h\":\"1280.52\",\"high_24h\":\"1313.8\","
     "\"volume_30d\":\"9788783.60117027\",\"best_bid\":\"1285.04\",\"best_bid_size\":\"0.46688654\","
     "\"best_ask\":\"1285.27\",\"best_ask_size\":\"1.56637040\",\"side\":\"buy\","
     "\"time\":\"2022-10-19T23:28:22.061769Z\",\"trade_id\":370843401,\"last_size\":\"11.4396987\"}",
     0,
     "ticker ETH-USD last=1285.22 open=1310.79 high=1313.8 low=1280.52 volume=245532.79269678 quote=0 "
     "b 1285.04x0.46688654 a 1285.27x1.56637040 @1666222102061769000\n"
     "best ETH-USD 37475248783 b 1285.04x0.46688654 a 1285.27x1.56637040 @1666222102061769000\n"},
    /* before 2022 it had no sizes */
    {"{\"type\":\"ticker\",\"sequence\":1,\"product_id\":\"BTC-USD\",\"price\":\"14.7775\",\"best_bid\":\"14.7550\","
     "\"best_ask\":\"14.8060\"}",
     0, "ticker BTC-USD last=14.7775 open=0 high=0 low=0 volume=0 quote=0 b 14.7550x0 a 14.8060x0\n"},
    {"{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[[\"10101.10\",\"0.45054140\"],[\"10101\",\"1\"]],"
     "\"asks\":[[\"10102.55\",\"0.57753524\"]],\"time\":\"2019-08-14T20:42:27.265Z\"}",
     0, "book_snapshot BTC-USD 0 b 10101.10x0.45054140,10101x1 a 10102.55x0.57753524 @1565815347265000000\n"},
    {"{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[],\"asks\":[]}", 0, "book_snapshot BTC-USD 0\n"},
    {"{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"10101.80000000\",\"0.162567\"],"
     "[\"sell\",\"10102\",\"0\"],[\"buy\",\"10101.80000000\",\"0.2\"]],\"time\":\"2022-08-04T15:25:05.010758Z\"}",
     0, "book_delta BTC-USD 0-0 b 10101.80000000x0.162567,10101.80000000x0.2 a 10102x0 @1659626705010758000\n"},
    {"{\"type\":\"heartbeat\",\"sequence\":90,\"last_trade_id\":20,\"product_id\":\"BTC-USD\","
     "\"time\":\"2014-11-07T08:19:28.464459Z\"}",
     0, "! last trade trades BTC-USD id=20\n"},
    {"{\"type\":\"heartbeat\",\"sequence\":90,\"last_trade_id\":20,\"product_id\":\"FOO-USD\"}", 0,
     "! last trade trades ?FOO-USD id=20\n"},
    /* each answer lists the whole state */
    {"{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_batch\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"]},"
     "{\"name\":\"heartbeat\",\"product_ids\":[\"BTC-USD\"]},{\"name\":\"matches\",\"product_ids\":[\"BTC-USD\"],"
     "\"account_ids\":null},{\"name\":\"status\",\"product_ids\":[]},{\"name\":\"full\",\"product_ids\":[\"BTC-USD\"]}]"
     "}",
     0, "! subscribed depth BTC-USD\n! subscribed depth ETH-USD\n! subscribed trades BTC-USD\n! subscribed status\n"},
    {"{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"ticker\",\"product_ids\":[\"BTC-USD\",\"FOO-USD\"]},"
     "{\"name\":\"level2_batch\",\"product_ids\":[\"ETH-USD\"]}]}",
     0,
     "! subscribed best BTC-USD\n! subscribed ticker BTC-USD\n! subscribed best ?FOO-USD\n! subscribed ticker "
     "?FOO-USD\n"
     "! subscribed depth ETH-USD\n! unsubscribed trades BTC-USD\n! unsubscribed depth BTC-USD\n"},
    {"{\"type\":\"subscriptions\",\"channels\":[]}", 0,
     "! unsubscribed best BTC-USD\n! unsubscribed ticker BTC-USD\n! unsubscribed depth ETH-USD\n"},
    {"{\"type\":\"status\",\"products\":[{\"id\":\"BTC-USD\",\"base_currency\":\"BTC\",\"quote_currency\":\"USD\","
     "\"status\":\"online\",\"cancel_only\":false,\"trading_disabled\":false,\"max_slippage_percentage\":\"0.03\"},"
     "{\"id\":\"ETH-USD\",\"status\":\"delisted\",\"status_message\":null},{\"id\":\"FOO-USD\",\"status\":\"online\"},"
     "{\"status\":\"online\",\"cancel_only\":true,\"id\":\"BTC-USD\"}],\"currencies\":[{\"id\":\"USD\"}]}",
     0, "status BTC-USD trading\nstatus ETH-USD delisted\nstatus BTC-USD halted\n"},
    {"{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"FOO-USD is not a valid product\"}", 0,
     "! refused for good ?FOO-USD \"FOO-USD is not a valid product\"\n"},
    {"{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"user channel requires authentication\"}", 0,
     "! refused for good \"user channel requires authentication\"\n"},
    {"{\"type\":\"error\",\"message\":\"ErrSlowConsume\"}", 0, "! error \"ErrSlowConsume\"\n"},
    {"{\"type\":\"error\",\"message\":\"Too many requests\",\"reason\":\"\"}", 0,
     "! rate limited \"Too many requests\"\n"},
    {"{\"type\":\"received\",\"product_id\":\"BTC-USD\",\"sequence\":10}", SL_ENOTSUP,
     "messages of type \"received\" are not decoded"},
    {"{\"product_id\":\"BTC-USD\"}", SL_EPROTO, "message: \"type\" is missing"},
    {"{\"type\":7}", SL_EPROTO, "\"type\" is a number, not a string, at byte 8"},
    {"[]", SL_EPROTO, "message: not an object at byte 0"},
    {"", SL_EPROTO, "the document is empty"},
    {"{\"type\":\"match\",\"trade_id\":10,\"time\":\"2014-11-07T08:19:27Z\",\"product_id\":\"BTC-USD\","
     "\"size\":\"5\",\"side\":\"sell\"}",
     SL_EPROTO, "match: \"price\" is missing"},
    {"{\"type\":\"match\",\"trade_id\":10,\"time\":\"2014-11-07T08:19:27Z\",\"product_id\":\"BTC-USD\","
     "\"size\":\"-5\",\"price\":\"4\",\"side\":\"sell\"}",
     SL_EPROTO, "match: \"size\" is negative"},
    {"{\"type\":\"match\",\"trade_id\":10,\"time\":\"2014-11-07T08:19:27Z\",\"product_id\":\"BTC-USD\","
     "\"size\":\"5\",\"price\":\"4\",\"side\":\"both\"}",
     SL_EPROTO, "match: \"side\" is no side: \"both\""},
    {"{\"type\":\"match\",\"trade_id\":10,\"time\":\"2014-11-07T08:19:27Z\",\"product_id\":\"BTC-USD\","
     "\"size\":\"1234567890.12345678901\",\"price\":\"4\",\"side\":\"buy\"}",
     SL_ERANGE, "match: \"size\" has more digits than can be represented"},
    {"{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"1\"]]}", SL_EPROTO,
     "a change of less than three texts"},
    {"{\"type\":\"heartbeat\",\"last_trade_id\":20,\"last_trade_id\":null,\"product_id\":\"BTC-USD\"}", SL_EPROTO,
     "heartbeat: \"last_trade_id\" is missing"},
    {"{\"type\":\"l2update\",\"product_id\":\"BTC-USD\"}", SL_EPROTO, "l2update: \"changes\" is missing"},
    {"{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[]}", SL_EPROTO, "snapshot: \"asks\" is missing"},
    {"{\"type\":\"status\"}", SL_EPROTO, "status: \"products\" is missing"},
    {NULL, 0, NULL},
};

static void every_kind_of_message(void **state)
{
    (void)state;
    venue_kit_prove(SL_VENUE_COINBASE, instruments, messages);
}

static void subscriptions(void **state)
{
    (void)state;
    venue_kit kit;
    char buffer[64];
    size_t size_bytes = 0;
    venue_kit_open(&kit, SL_VENUE_COINBASE, instruments);
    const sl_instrument *btc = sl_instruments_at(kit.instruments, 0);
    const sl_instrument *eth = sl_instruments_at(kit.instruments, 1);
    const sl_subscription wanted[] = {
        {.feed = SL_FEED_DEPTH, .instrument = btc},   {.feed = SL_FEED_TRADES, .instrument = btc},
        {.feed = SL_FEED_BEST, .instrument = eth},    {.feed = SL_FEED_TICKER, .instrument = eth},
        {.feed = SL_FEED_STATUS, .instrument = NULL}, {.feed = SL_FEED_TRADES, .instrument = eth},
    };
    venue_kit_expect_subscribe(
        kit.driver, wanted, 6, false, 6,
        "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"matches\",\"product_ids\":[\"BTC-USD\","
        "\"ETH-USD\"]},{\"name\":\"heartbeat\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"]},"
        "{\"name\":\"level2_batch\",\"product_ids\":[\"BTC-USD\"]},{\"name\":\"ticker\","
        "\"product_ids\":[\"ETH-USD\"]},{\"name\":\"status\",\"product_ids\":[]}]}");
    venue_kit_expect_subscribe(kit.driver, wanted, 1, true, 1,
                               "{\"type\":\"unsubscribe\",\"channels\":[{\"name\":\"level2_batch\","
                               "\"product_ids\":[\"BTC-USD\"]}]}");
    sl_subscription wrong = {.feed = SL_FEED_FUNDING, .instrument = btc};
    venue_kit_expect_subscribe(kit.driver, &wrong, 1, false, SL_EINVAL, NULL);
    venue_kit_expect_subscribe(kit.driver, wanted, 0, false, SL_EINVAL, NULL);
    assert_int_equal(kit.driver->subscribe(wanted, 6, false, 1, buffer, sizeof(buffer), &size_bytes), SL_EMSGSIZE);
    sl_subscription many[300];
    for (size_t at = 0; at < 300; at++) {
        many[at] = wanted[0];
    }
    venue_kit_expect_subscribe(kit.driver, many, 300, false, 100, NULL);
    assert_int_equal(kit.driver->stream_path(wanted, 6, buffer, sizeof(buffer)), 1);
    assert_string_equal(buffer, "/");
    assert_null(kit.driver->ping);
    venue_kit_close(&kit);
}

static void requests(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_COINBASE, instruments);
    const sl_venue_driver *driver = kit.driver;
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS, .instrument = sl_instruments_at(kit.instruments, 0)};
    venue_kit_expect_path(driver, &request, 0, "/products");
    request.kind = SL_REQUEST_SNAPSHOT;
    venue_kit_expect_path(driver, &request, 0, "/products/BTC-USD/book?level=2");
    request.kind = SL_REQUEST_TRADES;
    venue_kit_expect_path(driver, &request, 0, "/products/BTC-USD/trades?limit=1000");
    request.from_id = 500;
    request.limit = 100;
    venue_kit_expect_path(driver, &request, 0, "/products/BTC-USD/trades?limit=100&after=600");
    (void)snprintf(request.cursor, sizeof(request.cursor), "77");
    venue_kit_expect_path(driver, &request, 0, "/products/BTC-USD/trades?limit=100&after=77");
    sl_venue_request by_time = {
        .kind = SL_REQUEST_TRADES, .instrument = request.instrument, .from_time_ns = INT64_C(1700000000000000000)};
    venue_kit_expect_path(driver, &by_time, SL_ENOTSUP, NULL);
    by_time.kind = SL_REQUEST_CANDLES;
    venue_kit_expect_path(driver, &by_time, SL_EINVAL, NULL);
    by_time.interval_ns = SL_SECONDS(60);
    venue_kit_expect_path(driver, &by_time, 0,
                          "/products/BTC-USD/candles?granularity=60&start=2023-11-14T22:13:20Z"
                          "&end=2023-11-15T03:12:20Z");
    by_time.to_time_ns = INT64_C(1700000060000000000);
    venue_kit_expect_path(driver, &by_time, 0,
                          "/products/BTC-USD/candles?granularity=60&start=2023-11-14T22:13:20Z"
                          "&end=2023-11-14T22:14:20Z");
    by_time.kind = SL_REQUEST_OPEN_INTEREST;
    venue_kit_expect_path(driver, &by_time, SL_ENOTSUP, NULL);
    by_time.instrument = NULL;
    venue_kit_expect_path(driver, &by_time, SL_EINVAL, NULL);
    venue_kit_close(&kit);
}

static const venue_case books[] = {
    {"{\"bids\":[[\"295.96\",\"4.39088265\",2]],\"asks\":[[\"295.97\",\"25.23542881\",12]],\"sequence\":13051505638,"
     "\"auction_mode\":false,\"auction\":null,\"time\":\"2022-08-04T15:25:05.010758Z\"}",
     0, "book_snapshot BTC-USD 13051505638 b 295.96x4.39088265 a 295.97x25.23542881 [snapshot] @1659626705010758000\n"},
    {"{\"message\":\"NotFound\"}", SL_EPROTO, "the venue answered with error 0: NotFound"},
    {"{\"message\":\"Public rate limit exceeded\"}", SL_EAGAIN, "Public rate limit exceeded"},
    {"{\"message\":\"Internal server error\"}", SL_EAGAIN, "Internal"},
    {"{\"message\":\"Slow down\"}", SL_EAGAIN, "Slow down"},
    {"{\"bids\":[],\"asks\":[]}", SL_EPROTO, "\"sequence\" is missing"},
    {"[]", SL_EPROTO, "an array instead of an object"},
    {"<html>Too many requests</html>", SL_EAGAIN, "Too many requests"},
    {"<html>", SL_EPROTO, "neither an object nor an array"},
    {NULL, 0, NULL},
};

static const venue_case trades[] = {
    {"[{\"time\":\"2014-11-07T22:19:28.578544Z\",\"trade_id\":74,\"price\":\"10.00000000\",\"size\":\"0.01000000\","
     "\"side\":\"buy\"},{\"trade_id\":73,\"side\":\"sell\",\"size\":\"0.5\",\"price\":\"100\","
     "\"time\":\"2014-11-07T01:08:43.642366Z\"}]",
     0,
     "trade BTC-USD 74 10.00000000x0.01000000 sell @1415398768578544000\n"
     "trade BTC-USD 73 100x0.5 buy @1415322523642366000\n"},
    {"[]", 0, ""},
    {"[[]]", SL_EPROTO, "trades: not an object at byte 1"},
    {"{}", SL_EPROTO, "an object instead of an array"},
    {NULL, 0, NULL},
};

static const venue_case candles[] = {
    {"[[1699999980,0.32,4.2,0.35,4.2,12.3],[1699999920,1e-7,4.2,0.35,4.2,12.30]]", 0,
     "candle BTC-USD 60s 0.35 4.2 0.32 4.2 12.3 n=0 @1699999980000000000\n"
     "candle BTC-USD 60s 0.35 4.2 0.0000001 4.2 12.30 n=0 closed @1699999920000000000\n"},
    {"[[1,2,3]]", SL_EPROTO, "a row of 3 values instead of 6"},
    {NULL, 0, NULL},
};

static const venue_case products[] = {
    {"[{\"id\":\"SKL-EUR\",\"base_currency\":\"SKL\",\"quote_currency\":\"EUR\",\"quote_increment\":\"0.0001\","
     "\"base_increment\":\"0.1\",\"status\":\"online\",\"cancel_only\":false,\"trading_disabled\":false},"
     "{\"id\":\"BTC-USD\",\"base_currency\":\"BTC\",\"quote_currency\":\"USD\",\"quote_increment\":\"0.01\","
     "\"base_increment\":\"0.00000001\",\"status\":\"online\",\"trading_disabled\":true},"
     "{\"id\":\"A B\",\"base_currency\":\"A\",\"quote_currency\":\"B\",\"quote_increment\":\"1\","
     "\"base_increment\":\"1\",\"status\":\"online\"}]",
     0, ""},
    {"[{\"id\":\"SKL-EUR\"}]", SL_EPROTO, "instruments: \"status\" is missing"},
    {NULL, 0, NULL},
};

static void answers(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_COINBASE, instruments);
    sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = sl_instruments_at(kit.instruments, 0)};
    venue_kit_expect_answer(&kit, &request, books);
    assert_int_equal(venue_kit_answer(&kit, &request, books[1].json, strlen(books[1].json)), SL_EPROTO);
    assert_true(kit.answer.no_symbol && !kit.answer.rate_limited);
    static const char delisted[] = "{\"message\":\"Not allowed for delisted products\"}";
    assert_int_equal(venue_kit_answer(&kit, &request, delisted, strlen(delisted)), SL_EPROTO);
    assert_true(kit.answer.no_symbol);
    assert_int_equal(venue_kit_answer(&kit, &request, books[2].json, strlen(books[2].json)), SL_EAGAIN);
    assert_true(kit.answer.rate_limited && !kit.answer.no_symbol);
    request.kind = SL_REQUEST_TRADES;
    venue_kit_expect_answer(&kit, &request, trades);
    assert_int_equal(venue_kit_answer(&kit, &request, trades[0].json, strlen(trades[0].json)), 0);
    assert_true(kit.answer.rows == 2 && kit.answer.more && kit.answer.last_id == 74);
    assert_string_equal(kit.answer.cursor, "73");
    request.kind = SL_REQUEST_CANDLES;
    request.interval_ns = SL_SECONDS(60);
    venue_kit_expect_answer(&kit, &request, candles);
    request.kind = SL_REQUEST_INSTRUMENTS;
    venue_kit_expect_answer(&kit, &request, products);
    assert_int_equal(sl_instruments_count(kit.instruments), 3);
    const sl_instrument *skl = sl_instruments_find_name(kit.instruments, SL_VENUE_COINBASE, "SKL-EUR");
    assert_non_null(skl);
    assert_int_equal(skl->status, SL_STATUS_TRADING);
    assert_true(skl->tick.mantissa == 1 && skl->tick.exponent == -4 && skl->lot.exponent == -1);
    assert_int_equal(sl_instruments_at(kit.instruments, 0)->status, SL_STATUS_HALTED);
    venue_kit_close(&kit);
}

static void spoiled_answers(void **state)
{
    (void)state;
    static const venue_kind_cases kinds[] = {{SL_REQUEST_SNAPSHOT, books},
                                             {SL_REQUEST_TRADES, trades},
                                             {SL_REQUEST_CANDLES, candles},
                                             {SL_REQUEST_INSTRUMENTS, products},
                                             {.cases = NULL}};
    venue_kit_prove_answers(SL_VENUE_COINBASE, instruments, kinds);
}

/* ---- the captured session ---- */

struct session {
    venue_kit kit;
    sl_book *books[16];
    size_t messages, counts[SL_EVENT_KIND_COUNT];
};

static int on_event(void *arg, const sl_market_event *event)
{
    struct session *session = arg;
    session->counts[event->kind]++;
    if (event->kind == SL_EVENT_BOOK_SNAPSHOT || event->kind == SL_EVENT_BOOK_DELTA) {
        sl_book **book = &session->books[event->instrument->index];
        if (*book == NULL) {
            assert_int_equal(sl_book_new(0, book), 0);
            assert_int_equal(event->kind, SL_EVENT_BOOK_SNAPSHOT);
        }
        assert_int_equal(event->kind == SL_EVENT_BOOK_SNAPSHOT ? sl_book_set(*book, &event->as.snapshot.levels)
                                                               : sl_book_apply(*book, &event->as.delta.levels),
                         0);
        assert_false(sl_book_crossed(*book));
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

static void captured_session(void **state)
{
    (void)state;
    static const char *const symbols[] = {"SKL-USD", "SKL-BTC",  "BAND-GBP", "NMR-EUR", "BAND-BTC",
                                          "YFI-BTC", "DASH-BTC", "NU-GBP",   "CRV-EUR", "SKL-GBP"};
    struct session session = {0};
    venue_kit_instrument none = {.symbol = NULL};
    venue_kit_open(&session.kit, SL_VENUE_COINBASE, &none);
    for (size_t at = 0; at < 10; at++) {
        sl_instrument definition = {.venue = SL_VENUE_COINBASE};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "%s", symbols[at]);
        assert_true(sl_instruments_add(session.kit.instruments, &definition, NULL) >= 0);
    }
    session.kit.silent = true;
    session.kit.arg = &session;
    session.kit.event = on_event;
    venue_kit_capture("COINBASE.ws.28.0", take, &session);
    const sl_venue_stats *stats = &session.kit.decoder->stats;
    print_message("%zu messages: %zu snapshots, %zu updates, %zu trades, %zu tickers\n", session.messages,
                  session.counts[SL_EVENT_BOOK_SNAPSHOT], session.counts[SL_EVENT_BOOK_DELTA],
                  session.counts[SL_EVENT_TRADE], session.counts[SL_EVENT_TICKER]);
    assert_int_equal(session.counts[SL_EVENT_BOOK_SNAPSHOT], 10);
    assert_int_equal(session.counts[SL_EVENT_BOOK_DELTA], 9719);
    assert_int_equal(session.counts[SL_EVENT_TICKER], 107);
    assert_int_equal(stats->bad + stats->unknown + stats->unknown_symbols, 0);
    for (size_t at = 0; at < 16; at++) {
        sl_book_free(session.books[at]);
    }
    venue_kit_close(&session.kit);
}

SL_TEST_MAIN(cmocka_unit_test(every_kind_of_message), cmocka_unit_test(subscriptions), cmocka_unit_test(requests),
             cmocka_unit_test(answers), cmocka_unit_test(spoiled_answers), cmocka_unit_test(captured_session))
