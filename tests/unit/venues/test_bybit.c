/* SPDX-License-Identifier: MIT */
/* Bybit v5: each kind of message, requests and answers, and the captured session in the form before v5. */
#include "venue_kit.h"

#include <string.h>

static const venue_kit_instrument linear[] = {
    {.symbol = "BTCUSDT", .base = "BTC", .quote = "USDT", .settle = "USDT", .type = SL_INSTRUMENT_PERPETUAL},
    {.symbol = "1000PEPEUSDT", .base = "1000PEPE", .quote = "USDT", .settle = "USDT", .type = SL_INSTRUMENT_PERPETUAL},
    {.symbol = NULL},
};

static const venue_kit_instrument spot[] = {
    {.symbol = "BTCUSDT", .base = "BTC", .quote = "USDT"},
    {.symbol = NULL},
};

static const venue_case messages[] = {
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1672304484978,\"data\":{\"s\":\"BTCUSDT\",\"b\":"
     "["
     "[\"16493.50\",\"0.006\"],[\"16493.00\",\"0.100\"]],\"a\":[[\"16611.00\",\"0.029\"]],\"u\":18521288,"
     "\"seq\":7961638724},\"cts\":1672304484976}",
     0,
     "book_snapshot BTC-USDT-USDT 18521288 b 16493.50x0.006,16493.00x0.100 a 16611.00x0.029 @1672304484976000000 "
     "^1672304484978\n"},
    /* keys in another order, as they differ by product */
    {"{\"data\":{\"u\":18521289,\"seq\":7961638725,\"a\":[],\"b\":[[\"16493.50\",\"0\"]],\"s\":\"BTCUSDT\"},"
     "\"cts\":1672304485000,\"ts\":1672304485001,\"type\":\"delta\",\"topic\":\"orderbook.200.BTCUSDT\"}",
     0, "book_delta BTC-USDT-USDT 18521289-18521289 b 16493.50x0 @1672304485000000000 ^1672304485001\n"},
    /* the service was restarted: the whole book, whatever the type says */
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"ts\":5,\"type\":\"delta\",\"data\":{\"s\":\"BTCUSDT\",\"b\":[[\"1\",\"2\"]]"
     ","
     "\"a\":[],\"u\":1,\"seq\":1}}",
     0, "book_snapshot BTC-USDT-USDT 1 b 1x2 ^5\n"},
    /* depth 1 is the best bid and offer; again after 3 quiet seconds with the same u */
    {"{\"topic\":\"orderbook.1.BTCUSDT\",\"type\":\"snapshot\",\"ts\":6,\"data\":{\"s\":\"BTCUSDT\",\"b\":[[\"16493."
     "50\","
     "\"0.006\"]],\"a\":[[\"16611.00\",\"0.029\"]],\"u\":77,\"seq\":1},\"cts\":4}",
     0, "best BTC-USDT-USDT 77 b 16493.50x0.006 a 16611.00x0.029 @4000000 ^6\n"},
    {"{\"topic\":\"orderbook.1.BTCUSDT\",\"type\":\"delta\",\"ts\":7,\"data\":{\"s\":\"BTCUSDT\",\"b\":[[\"16493.50\","
     "\"0\"],[\"16493.00\",\"1\"]],\"a\":[],\"u\":78,\"seq\":2}}",
     0, "best BTC-USDT-USDT 78 b 16493.00x1 a 16611.00x0.029 ^7\n"},
    {"{\"topic\":\"orderbook.1.BTCUSDT\",\"type\":\"snapshot\",\"ts\":8,\"data\":{\"s\":\"BTCUSDT\",\"b\":[],\"a\":[],"
     "\"u\":79,\"seq\":2}}",
     0, "best BTC-USDT-USDT 79 b 0x0 a 0x0 ^8\n"},
    {"{\"topic\":\"orderbook.50.FOOUSDT\",\"type\":\"delta\",\"ts\":1,\"data\":{\"s\":\"FOOUSDT\",\"b\":[],\"a\":[],"
     "\"u\":9}}",
     0, ""},
    {"{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1672304486868,\"data\":[{\"T\":1672304486865,"
     "\"s\":\"BTCUSDT\",\"S\":\"Buy\",\"v\":\"0.001\",\"p\":\"16578.50\",\"L\":\"PlusTick\","
     "\"i\":\"20f43950-d8dd-5b31-9112-a178eb6023af\",\"BT\":false,\"seq\":1783284617},{\"T\":1672304486866,\"s\":"
     "\"BTCUSDT\",\"S\":\"Sell\",\"v\":\"2\",\"p\":\"16578\",\"i\":\"2290000000068683805\",\"BT\":true}]}",
     0,
     "trade BTC-USDT-USDT 20f43950-d8dd-5b31-9112-a178eb6023af 16578.50x0.001 buy @1672304486865000000 ^1672304486868\n"
     "trade BTC-USDT-USDT 2290000000068683805 16578x2 sell off @1672304486866000000 ^1672304486868\n"},
    {"{\"data\":[{\"i\":\"20f43950d8dd5b319112a178eb6023af\",\"p\":\"1\",\"v\":\"2\",\"S\":\"Buy\",\"s\":"
     "\"1000PEPEUSDT\","
     "\"T\":3}],\"ts\":4,\"type\":\"snapshot\",\"topic\":\"publicTrade.1000PEPEUSDT\"}",
     0, "trade 1000PEPE-USDT-USDT 20f43950-d8dd-5b31-9112-a178eb6023af 1x2 buy @3000000 ^4\n"},
    {"{\"topic\":\"tickers.BTCUSDT\",\"type\":\"snapshot\",\"data\":{\"symbol\":\"BTCUSDT\",\"tickDirection\":"
     "\"PlusTick\","
     "\"price24hPcnt\":\"0.017103\",\"lastPrice\":\"17216.00\",\"prevPrice24h\":\"16926.50\",\"highPrice24h\":\"17281."
     "50\","
     "\"lowPrice24h\":\"16915.00\",\"prevPrice1h\":\"17238.00\",\"markPrice\":\"17217.33\",\"indexPrice\":\"17227.36\","
     "\"openInterest\":\"68744.761\",\"openInterestValue\":\"1183601235.91\",\"turnover24h\":\"1570383121.943499\","
     "\"volume24h\":\"91705.276\",\"nextFundingTime\":\"1673280000000\",\"fundingRate\":\"-0.000212\",\"bid1Price\":"
     "\"17215.50\",\"bid1Size\":\"84.489\",\"ask1Price\":\"17216.00\",\"ask1Size\":\"83.020\"},\"cs\":24987956059,"
     "\"ts\":1673272861686}",
     0,
     "ticker BTC-USDT-USDT last=17216.00 open=16926.50 high=17281.50 low=16915.00 volume=91705.276 "
     "quote=1570383121.943499 b 17215.50x84.489 a 17216.00x83.020 @1673272861686000000 ^1673272861686\n"
     "funding BTC-USDT-USDT mark=17217.33 index=17227.36 rate=-0.000212 next=1673280000000 @1673272861686000000 "
     "^1673272861686\n"
     "open_interest BTC-USDT-USDT 68744.761 value=1183601235.91 @1673272861686000000 ^1673272861686\n"},
    /* what a delta does not tell has not changed; of what nothing was told nothing is given out */
    {"{\"topic\":\"tickers.BTCUSDT\",\"type\":\"delta\",\"ts\":9,\"data\":{\"symbol\":\"BTCUSDT\",\"markPrice\":"
     "\"17218\"}}",
     0, "funding BTC-USDT-USDT mark=17218 index=17227.36 rate=-0.000212 next=1673280000000 @9000000 ^9\n"},
    {"{\"topic\":\"tickers.BTCUSDT\",\"type\":\"delta\",\"ts\":9,\"data\":{\"symbol\":\"BTCUSDT\",\"bid1Size\":\"1\"}}",
     0,
     "ticker BTC-USDT-USDT last=17216.00 open=16926.50 high=17281.50 low=16915.00 volume=91705.276 "
     "quote=1570383121.943499 b 17215.50x1 a 17216.00x83.020 @9000000 ^9\n"},
    {"{\"topic\":\"tickers.BTCUSDT\",\"type\":\"snapshot\",\"ts\":9,\"data\":{\"symbol\":\"BTCUSDT\",\"lastPrice\":"
     "\"5\"}}",
     0, "ticker BTC-USDT-USDT last=5 open=0 high=0 low=0 volume=0 quote=0 b 0x0 a 0x0 @9000000 ^9\n"},
    {"{\"topic\":\"kline.5.BTCUSDT\",\"data\":[{\"start\":1672324800000,\"end\":1672325099999,\"interval\":\"5\","
     "\"open\":\"16649.5\",\"close\":\"16677\",\"high\":\"16677.0\",\"low\":\"16608\",\"volume\":\"2.081\","
     "\"turnover\":\"34666.4005\",\"confirm\":false,\"timestamp\":1672324988882}],\"ts\":1672324988882,"
     "\"type\":\"snapshot\"}",
     0, "candle BTC-USDT-USDT 300s 16649.5 16677.0 16608 16677 2.081 n=0 @1672324800000000000 ^1672324988882\n"},
    {"{\"topic\":\"kline.D.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1,\"data\":[{\"start\":86400000,\"open\":\"1\","
     "\"close\":\"2\",\"high\":\"3\",\"low\":\"0.5\",\"volume\":\"9\",\"confirm\":true}]}",
     0, "candle BTC-USDT-USDT 86400s 1 3 0.5 2 9 n=0 closed @86400000000000 ^1\n"},
    /* the side is the position's: a long one was closed by selling */
    {"{\"topic\":\"allLiquidation.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1739502303204,\"data\":[{\"T\":1739502302929,"
     "\"s\":\"BTCUSDT\",\"S\":\"Buy\",\"v\":\"20000\",\"p\":\"0.04499\"}]}",
     0, "liquidation BTC-USDT-USDT sell 0.04499x20000 @1739502302929000000 ^1739502303204\n"},
    {"{\"topic\":\"liquidation.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1703485237953,\"data\":{\"updatedTime\":"
     "1703485237953,"
     "\"symbol\":\"BTCUSDT\",\"side\":\"Sell\",\"size\":\"0.003\",\"price\":\"43511.70\"}}",
     0, "liquidation BTC-USDT-USDT buy 43511.70x0.003 @1703485237953000000 ^1703485237953\n"},
    {"{\"success\":true,\"ret_msg\":\"subscribe\",\"conn_id\":\"2324d924-aa4d\",\"req_id\":\"12\",\"op\":"
     "\"subscribe\"}",
     0, "! subscribed #12 \"subscribe\"\n"},
    {"{\"success\":true,\"ret_msg\":\"\",\"conn_id\":\"2324d924-aa4d\",\"req_id\":\"13\",\"op\":\"unsubscribe\"}", 0,
     "! unsubscribed #13\n"},
    {"{\"success\":false,\"ret_msg\":\"error:handler not found,topic:orderbook.50.FOOUSDT\",\"conn_id\":\"x\","
     "\"req_id\":\"14\",\"op\":\"subscribe\"}",
     0, "! refused for good #14 depth ?FOOUSDT \"error:handler not found,topic:orderbook.50.FOOUSDT\"\n"},
    {"{\"success\":false,\"ret_msg\":\"Invalid symbol "
     ":[publicTrade.BTCUSDT]\",\"req_id\":\"abc\",\"op\":\"subscribe\"}",
     0, "! refused for good trades BTC-USDT-USDT \"Invalid symbol :[publicTrade.BTCUSDT]\"\n"},
    {"{\"success\":false,\"ret_msg\":\"error:handler not found,topic:kline.60.FOOUSDT\",\"req_id\":\"17\","
     "\"op\":\"subscribe\"}",
     0, "! refused for good #17 candles 3600s ?FOOUSDT \"error:handler not found,topic:kline.60.FOOUSDT\"\n"},
    {"{\"success\":false,\"ret_msg\":\"error:already subscribed,topic:tickers.BTCUSDT\",\"req_id\":\"15\","
     "\"op\":\"subscribe\"}",
     0, "! subscribed #15 ticker BTC-USDT-USDT \"error:already subscribed,topic:tickers.BTCUSDT\"\n"},
    {"{\"success\":false,\"ret_msg\":\"Too many visits!\",\"req_id\":\"16\",\"op\":\"subscribe\"}", 0,
     "! rate limited #16 \"Too many visits!\"\n"},
    {"{\"success\":true,\"ret_msg\":\"pong\",\"conn_id\":\"0970e817\",\"req_id\":\"100001\",\"op\":\"ping\"}", 0,
     "! pong #100001 \"pong\"\n"},
    {"{\"op\":\"pong\",\"args\":[\"1675418560633\"],\"conn_id\":\"cfcb\"}", 0, "! pong\n"},
    {"{\"success\":true,\"ret_msg\":\"\",\"op\":\"auth\"}", SL_ENOTSUP, "an answer to \"auth\""},
    {"{\"ret_msg\":\"\"}", SL_EPROTO, "\"success\" is missing"},
    {"{\"topic\":\"greeks.BTC\",\"type\":\"snapshot\",\"ts\":1,\"data\":[]}", SL_ENOTSUP,
     "the topic \"greeks.BTC\" is not decoded"},
    {"{\"topic\":\"kline.7.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1,\"data\":[]}", SL_ENOTSUP,
     "the topic \"kline.7.BTCUSDT\" is not decoded"},
    {"{\"topic\":\"orderBookL2_25.EOSUSD\",\"type\":\"snapshot\",\"data\":[{\"price\":\"7.943\"}]}", SL_ENOTSUP,
     "the topic \"orderBookL2_25.EOSUSD\" is not decoded"},
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1,\"data\":[]}", SL_EPROTO, "depth: not an object"},
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1}", SL_EPROTO, "\"data\" is missing"},
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1,\"data\":\"x\"}", SL_EPROTO,
     "\"data\" is neither an object nor an array"},
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1,\"data\":{\"b\":[],\"a\":[]}}", SL_EPROTO,
     "depth: \"u\" is missing"},
    {"{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1,\"data\":{\"b\":[[\"1\",\"-1\"]],\"a\":[],\"u\":"
     "5}}",
     SL_EPROTO, "negative quantity"},
    {"{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1,\"data\":[{\"T\":1,\"S\":\"Buy\",\"v\":\"1\","
     "\"p\":\"1\",\"i\":\"20f43950-d8dd-5b31-9112-a178eb6023ag\"}]}",
     SL_EPROTO, "\"i\" is neither a number nor a UUID"},
    {NULL, 0, NULL},
};

static void every_kind_of_message(void **state)
{
    (void)state;
    venue_kit_prove(SL_VENUE_BYBIT_LINEAR, linear, messages);
}

/* As many trades as one message may have. */
static void many_trades_in_one_message(void **state)
{
    (void)state;
    static char text[256 * 1024];
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_BYBIT_SPOT, spot);
    size_t length = (size_t)snprintf(text, sizeof(text),
                                     "{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":5,\"data\":[");
    for (int at = 0; at < 1024; at++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length,
                                   "%s{\"T\":5,\"s\":\"BTCUSDT\",\"S\":\"Buy\",\"v\":\"1\",\"p\":\"2\",\"i\":\"%d\"}",
                                   at == 0 ? "" : ",", at + 1);
    }
    length += (size_t)snprintf(text + length, sizeof(text) - length, "]}");
    kit.silent = true;
    assert_int_equal(venue_kit_decode(&kit, text, length), 0);
    assert_int_equal(kit.events, 1024);
    venue_kit_close(&kit);
}

/* What is known of the first instrument stays when room for more is made. */
static void many_instruments(void **state)
{
    (void)state;
    static const char first[] =
        "{\"topic\":\"tickers.BTCUSDT\",\"type\":\"%s\",\"ts\":9,\"data\":{\"symbol\":\"x\",\"%s\":\"5\"}}";
    char text[256];
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_BYBIT_LINEAR, linear);
    for (int at = 0; at < 1000; at++) {
        sl_instrument definition = {.venue = SL_VENUE_BYBIT_LINEAR};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "X%dUSDT", at);
        assert_int_equal(sl_instruments_add(kit.instruments, &definition, NULL), 1);
    }
    (void)snprintf(text, sizeof(text), first, "snapshot", "markPrice");
    assert_int_equal(venue_kit_decode(&kit, text, strlen(text)), 0);
    for (int at = 0; at < 1000; at++) {
        (void)snprintf(text, sizeof(text),
                       "{\"topic\":\"tickers.X%dUSDT\",\"type\":\"snapshot\",\"ts\":9,\"data\":{\"symbol\":\"x\","
                       "\"markPrice\":\"%d\"}}",
                       at, at);
        assert_int_equal(venue_kit_decode(&kit, text, strlen(text)), 0);
    }
    (void)snprintf(text, sizeof(text), first, "delta", "indexPrice");
    assert_int_equal(venue_kit_decode(&kit, text, strlen(text)), 0);
    assert_string_equal(kit.text, "funding BTC-USDT-USDT mark=5 index=5 -0 next=0 @9000000 ^9\n");
    venue_kit_close(&kit);
}

static void subscriptions(void **state)
{
    (void)state;
    venue_kit kit, spot_kit;
    char buffer[64];
    venue_kit_open(&kit, SL_VENUE_BYBIT_LINEAR, linear);
    venue_kit_open(&spot_kit, SL_VENUE_BYBIT_SPOT, spot);
    const sl_instrument *btc = sl_instruments_at(kit.instruments, 0);
    const sl_instrument *pepe = sl_instruments_at(kit.instruments, 1);
    sl_subscription wanted[] = {
        {.feed = SL_FEED_DEPTH, .instrument = btc, .depth = 50},
        {.feed = SL_FEED_BEST, .instrument = btc},
        {.feed = SL_FEED_TRADES, .instrument = pepe},
        {.feed = SL_FEED_FUNDING, .instrument = btc},
        {.feed = SL_FEED_TICKER, .instrument = btc},
        {.feed = SL_FEED_OPEN_INTEREST, .instrument = btc},
        {.feed = SL_FEED_CANDLES, .instrument = btc, .interval_ns = SL_MINUTES(24 * 60)},
        {.feed = SL_FEED_LIQUIDATIONS, .instrument = btc},
        {.feed = SL_FEED_DEPTH, .instrument = btc},
    };
    venue_kit_expect_subscribe(
        kit.driver, wanted, 9, false, 9,
        "{\"op\":\"subscribe\",\"req_id\":\"42\",\"args\":[\"orderbook.50.BTCUSDT\","
        "\"orderbook.1.BTCUSDT\",\"publicTrade.1000PEPEUSDT\",\"tickers.BTCUSDT\",\"kline.D.BTCUSDT\","
        "\"allLiquidation.BTCUSDT\",\"orderbook.200.BTCUSDT\"]}");
    venue_kit_expect_subscribe(kit.driver, wanted, 1, true, 1,
                               "{\"op\":\"unsubscribe\",\"req_id\":\"42\",\"args\":[\"orderbook.50.BTCUSDT\"]}");
    sl_subscription many[200];
    for (size_t at = 0; at < 200; at++) {
        many[at] = wanted[0];
    }
    venue_kit_expect_subscribe(kit.driver, many, 200, false, 100, NULL);
    for (size_t at = 0; at < 200; at++) {
        many[at].instrument = sl_instruments_at(spot_kit.instruments, 0);
    }
    venue_kit_expect_subscribe(spot_kit.driver, many, 200, false, 10, NULL); /* the venue's limit for spot */
    wanted[0].depth = 7;
    venue_kit_expect_subscribe(kit.driver, wanted, 1, false, SL_EINVAL, NULL);
    many[0] = (sl_subscription){.feed = SL_FEED_FUNDING, .instrument = many[1].instrument};
    venue_kit_expect_subscribe(kit.driver, many, 1, false, SL_EINVAL, NULL);
    assert_true(kit.driver->stream_path(wanted, 9, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/v5/public/linear");
    wanted[1].instrument = many[1].instrument;
    assert_false(kit.driver->together(&wanted[0], &wanted[1]));
    assert_int_equal(kit.driver->stream_path(wanted, 2, buffer, sizeof(buffer)), SL_EINVAL);
    assert_true(kit.driver->ping(9, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "{\"req_id\":\"9\",\"op\":\"ping\"}");
    venue_kit_close(&kit);
    venue_kit_close(&spot_kit);
}

static void requests(void **state)
{
    (void)state;
    venue_kit kit, spot_kit;
    venue_kit_open(&kit, SL_VENUE_BYBIT_LINEAR, linear);
    venue_kit_open(&spot_kit, SL_VENUE_BYBIT_SPOT, spot);
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS, .instrument = sl_instruments_at(kit.instruments, 0)};
    venue_kit_expect_path(kit.driver, &request, 0, "/v5/market/instruments-info?category=linear&limit=1000");
    (void)snprintf(request.cursor, sizeof(request.cursor), "first%%3DA&b");
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/v5/market/instruments-info?category=linear&limit=1000&cursor=first%253DA%26b");
    request.kind = SL_REQUEST_SNAPSHOT;
    request.limit = 50;
    venue_kit_expect_path(kit.driver, &request, 0, "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=50");
    request.kind = SL_REQUEST_TRADES;
    request.limit = 0;
    venue_kit_expect_path(kit.driver, &request, 0, "/v5/market/recent-trade?category=linear&symbol=BTCUSDT&limit=1000");
    venue_kit_expect_path(spot_kit.driver, &request, 0,
                          "/v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=60");
    request.from_id = 5;
    venue_kit_expect_path(kit.driver, &request, SL_ENOTSUP, NULL);
    request.kind = SL_REQUEST_CANDLES;
    request.interval_ns = SL_MINUTES(60);
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=60&limit=1000");
    request.from_time_ns = INT64_C(1700000000000000000);
    request.limit = 2;
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=60&start=1700000000000"
                          "&end=1700007199999&limit=2");
    request.kind = SL_REQUEST_OPEN_INTEREST;
    request.limit = 0;
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/v5/market/open-interest?category=linear&symbol=BTCUSDT&intervalTime=5min&limit=1");
    venue_kit_expect_path(spot_kit.driver, &request, SL_ENOTSUP, NULL);
    venue_kit_close(&kit);
    venue_kit_close(&spot_kit);
}

static const venue_case books[] = {
    {"{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{\"s\":\"BTCUSDT\",\"a\":[[\"65557.7\",\"16.606555\"]],\"b\":[["
     "\"65485.47\","
     "\"47.081829\"]],\"ts\":1716863719031,\"u\":230704,\"seq\":1432604333,\"cts\":1716863718905},\"retExtInfo\":{},"
     "\"time\":1716863719382}",
     0,
     "book_snapshot BTC-USDT-USDT 230704 b 65485.47x47.081829 a 65557.7x16.606555 [snapshot] @1716863719031000000\n"},
    {"{\"result\":{\"a\":[],\"b\":[],\"ts\":1,\"u\":2},\"retCode\":0}", 0,
     "book_snapshot BTC-USDT-USDT 2 [snapshot] @1000000\n"},
    {"{\"retCode\":10006,\"retMsg\":\"Too many visits!\",\"result\":{},\"time\":1}", SL_EAGAIN,
     "the venue answered with error 10006: Too many visits!"},
    {"{\"retCode\":10001,\"retMsg\":\"params error: symbol invalid FOO\",\"result\":{}}", SL_EPROTO, "symbol invalid"},
    {"{\"retCode\":10016,\"retMsg\":\"Server error.\",\"result\":{}}", SL_EAGAIN, "Server error."},
    {"{\"retCode\":10003,\"retMsg\":\"API key is invalid.\",\"result\":{}}", SL_EPROTO, "API key"},
    {"{\"retCode\":0,\"retMsg\":\"OK\"}", SL_EPROTO, "\"result\" is missing"},
    {"{\"retMsg\":\"OK\"}", SL_EPROTO, "\"retCode\" is missing"},
    {"{\"retCode\":0,\"result\":{\"a\":[],\"b\":[],\"u\":2}}", SL_EPROTO, "\"ts\" is missing"},
    {"access too frequent", SL_EAGAIN, "access too frequent"},
    {"<html>403</html>", SL_EPROTO, "neither an object nor an array"},
    {NULL, 0, NULL},
};

static const venue_case trades[] = {
    {"{\"retCode\":0,\"result\":{\"category\":\"spot\",\"list\":[{\"execId\":\"2100000000007764263\",\"symbol\":"
     "\"BTCUSDT\","
     "\"price\":\"16618.49\",\"size\":\"0.00012\",\"side\":\"Buy\",\"time\":\"1672052955758\",\"isBlockTrade\":false},"
     "{\"execId\":\"20f43950-d8dd-5b31-9112-a178eb6023af\",\"price\":\"1\",\"size\":\"2\",\"side\":\"Sell\",\"time\":"
     "\"5\","
     "\"isBlockTrade\":true}]}}",
     0,
     "trade BTC-USDT-USDT 2100000000007764263 16618.49x0.00012 buy @1672052955758000000\n"
     "trade BTC-USDT-USDT 20f43950-d8dd-5b31-9112-a178eb6023af 1x2 sell off @5000000\n"},
    {"{\"retCode\":0,\"result\":{}}", SL_EPROTO, "\"list\" is missing"},
    {NULL, 0, NULL},
};

static const venue_case candles[] = {
    {"{\"retCode\":0,\"result\":{\"symbol\":\"BTCUSDT\",\"list\":[[\"1670608800000\",\"17071\",\"17073\",\"17027\","
     "\"17055.5\",\"268611\",\"15.74462667\"]]}}",
     0, "candle BTC-USDT-USDT 60s 17071 17073 17027 17055.5 268611 n=0 closed @1670608800000000000\n"},
    {NULL, 0, NULL},
};

static const venue_case interests[] = {
    {"{\"retCode\":0,\"result\":{\"symbol\":\"BTCUSD\",\"list\":[{\"openInterest\":\"461134384.00000000\","
     "\"timestamp\":\"1669571400000\"}],\"nextPageCursor\":\"x\"}}",
     0, "open_interest BTC-USDT-USDT 461134384.00000000 value=0 @1669571400000000000\n"},
    {NULL, 0, NULL},
};

static const venue_case lists[] = {
    {"{\"retCode\":0,\"result\":{\"category\":\"linear\",\"list\":[{\"symbol\":\"ETHUSDT\",\"contractType\":"
     "\"LinearPerpetual\",\"status\":\"Trading\",\"baseCoin\":\"ETH\",\"quoteCoin\":\"USDT\",\"deliveryTime\":"
     "\"1703836800000\","
     "\"priceFilter\":{\"minPrice\":\"0.10\",\"tickSize\":\"0.10\"},\"lotSizeFilter\":{\"qtyStep\":\"0.001\"},"
     "\"settleCoin\":\"USDT\"},{\"symbol\":\"BTC-29DEC23\",\"contractType\":\"LinearFutures\",\"status\":\"PreLaunch\","
     "\"baseCoin\":\"BTC\",\"quoteCoin\":\"USDC\",\"deliveryTime\":\"1703836800000\",\"priceFilter\":{\"tickSize\":\"0."
     "5\"},"
     "\"lotSizeFilter\":{\"qtyStep\":\"0.001\"},\"settleCoin\":\"USDC\"},{\"symbol\":\"NOCOIN\",\"contractType\":\"\","
     "\"status\":\"Trading\",\"baseCoin\":\"\",\"quoteCoin\":\"\"}],\"nextPageCursor\":\"first%3DABC\"}}",
     0, ""},
    {"{\"retCode\":0,\"result\":{\"list\":[{\"symbol\":\"X\"}]}}", SL_EPROTO, "\"status\" is missing"},
    {NULL, 0, NULL},
};

static void answers(void **state)
{
    (void)state;
    static const venue_kind_cases kinds[] = {{SL_REQUEST_SNAPSHOT, books},    {SL_REQUEST_TRADES, trades},
                                             {SL_REQUEST_CANDLES, candles},   {SL_REQUEST_OPEN_INTEREST, interests},
                                             {SL_REQUEST_INSTRUMENTS, lists}, {.cases = NULL}};
    venue_kit_prove_answers(SL_VENUE_BYBIT_LINEAR, linear, kinds);
}

static void what_answers_tell(void **state)
{
    (void)state;
    venue_kit kit, inverse;
    venue_kit_open(&kit, SL_VENUE_BYBIT_LINEAR, linear);
    sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = sl_instruments_at(kit.instruments, 0)};
    assert_int_equal(venue_kit_answer(&kit, &request, books[2].json, strlen(books[2].json)), SL_EAGAIN);
    assert_true(kit.answer.rate_limited && kit.answer.error_code == 10006);
    assert_int_equal(venue_kit_answer(&kit, &request, books[3].json, strlen(books[3].json)), SL_EPROTO);
    assert_true(kit.answer.no_symbol && kit.answer.error_code == 10001);
    static const char invalid[] = "{\"retCode\":10029,\"retMsg\":\"The requested symbol is invalid\",\"result\":{}}";
    assert_int_equal(venue_kit_answer(&kit, &request, invalid, strlen(invalid)), SL_EPROTO);
    assert_true(kit.answer.no_symbol && kit.answer.error_code == 10029);
    assert_int_equal(venue_kit_answer(&kit, &request, "access too frequent", 19), SL_EAGAIN);
    assert_true(kit.answer.rate_limited);
    request.kind = SL_REQUEST_INSTRUMENTS;
    assert_int_equal(venue_kit_answer(&kit, &request, lists[0].json, strlen(lists[0].json)), 0);
    assert_true(kit.answer.more && kit.answer.rows == 2);
    assert_string_equal(kit.answer.cursor, "first%3DABC");
    assert_int_equal(kit.decoder->stats.unknown_symbols, 1);
    const sl_instrument *future =
        sl_instruments_find_name(kit.instruments, SL_VENUE_BYBIT_LINEAR, "BTC-USDC-USDC-20231229");
    assert_non_null(future);
    assert_int_equal(future->type, SL_INSTRUMENT_FUTURE);
    assert_int_equal(future->status, SL_STATUS_HALTED);
    assert_non_null(sl_instruments_find_name(kit.instruments, SL_VENUE_BYBIT_LINEAR, "ETH-USDT-USDT"));
    venue_kit_close(&kit);

    static const char text[] =
        "{\"retCode\":0,\"result\":{\"list\":[{\"symbol\":\"BTCUSD\",\"contractType\":\"InversePerpetual\",\"status\":"
        "\"Trading\",\"baseCoin\":\"BTC\",\"quoteCoin\":\"USD\",\"settleCoin\":\"BTC\",\"deliveryTime\":\"0\"}],"
        "\"nextPageCursor\":\"\"}}";
    venue_kit_instrument none = {.symbol = NULL};
    venue_kit_open(&inverse, SL_VENUE_BYBIT_INVERSE, &none);
    assert_int_equal(venue_kit_answer(&inverse, &request, text, strlen(text)), 0);
    assert_false(inverse.answer.more);
    const sl_instrument *btc = sl_instruments_at(inverse.instruments, 0);
    assert_string_equal(btc->name, "BTC-USD-BTC");
    assert_true(btc->contract_size.mantissa == 1);
    venue_kit_close(&inverse);
}

/* ---- the captured session ---- */

struct session {
    venue_kit kit;
    size_t messages, refused;
};

static void take(void *arg, int64_t time_ns, const char *text, size_t size_bytes)
{
    struct session *session = arg;
    (void)time_ns;
    session->messages++;
    int code = venue_kit_decode(&session->kit, text, size_bytes);
    if (code == SL_ENOTSUP) {
        session->refused++;
        assert_true(strstr(sl_venue_problem(session->kit.decoder), "is not decoded") != NULL ||
                    strstr(sl_venue_problem(session->kit.decoder), "an answer to") != NULL);
    }
    assert_int_equal(code, SL_ENOTSUP);
}

static void captured_session_of_the_old_form(void **state)
{
    (void)state;
    struct session session = {0};
    venue_kit_instrument none = {.symbol = NULL};
    venue_kit_open(&session.kit, SL_VENUE_BYBIT_INVERSE, &none);
    venue_kit_capture("BYBIT.ws.26.0", take, &session);
    print_message("%zu messages, %zu refused with a clear text\n", session.messages, session.refused);
    assert_true(session.messages > 100);
    assert_int_equal(session.refused, session.messages);
    assert_int_equal(session.kit.events, 0);
    venue_kit_close(&session.kit);
}

SL_TEST_MAIN(cmocka_unit_test(every_kind_of_message), cmocka_unit_test(many_trades_in_one_message),
             cmocka_unit_test(many_instruments), cmocka_unit_test(subscriptions), cmocka_unit_test(requests),
             cmocka_unit_test(answers), cmocka_unit_test(what_answers_tell),
             cmocka_unit_test(captured_session_of_the_old_form))
