/* SPDX-License-Identifier: MIT */
/* OKX v5: each kind of message, requests and answers, and the captured session with its checksums. */
#include "venue_kit.h"

#include <string.h>

#include "market/book.h"

static const venue_kit_instrument instruments[] = {
    {.symbol = "BTC-USDT", .base = "BTC", .quote = "USDT"},
    {.symbol = "BTC-USDT-SWAP", .base = "BTC", .quote = "USDT", .settle = "USDT", .type = SL_INSTRUMENT_PERPETUAL},
    {.symbol = "BTC-USD-220527", .base = "BTC", .quote = "USD", .settle = "BTC", .type = SL_INSTRUMENT_FUTURE},
    {.symbol = NULL},
};

static const venue_case messages[] = {
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"snapshot\",\"data\":[{\"asks\":[[\"8476."
     "98\","
     "\"415\",\"0\",\"13\"],[\"8477\",\"7\",\"0\",\"2\"]],\"bids\":[[\"8476.97\",\"256\",\"0\",\"12\"]],"
     "\"ts\":\"1597026383085\",\"checksum\":-855196043,\"prevSeqId\":-1,\"seqId\":123456}]}",
     0, "book_snapshot BTC-USDT 123456 sum=3439771253 b 8476.97x256 a 8476.98x415,8477x7 @1597026383085000000\n"},
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"asks\":[[\"8476.98\","
     "\"0\","
     "\"0\",\"0\"]],\"bids\":[],\"ts\":\"1597026383185\",\"checksum\":0,\"prevSeqId\":123456,\"seqId\":123460}]}",
     0, "book_delta BTC-USDT 123460-123460 prev=123456 a 8476.98x0 @1597026383185000000\n"},
    /* nothing has changed for a minute; and what is said behind the data */
    {"{\"data\":[{\"seqId\":123460,\"prevSeqId\":123460,\"ts\":\"1597026383999\",\"bids\":[],\"asks\":[]}],"
     "\"action\":\"update\",\"arg\":{\"instId\":\"BTC-USDT\",\"channel\":\"books\"}}",
     0, "book_delta BTC-USDT 123460-123460 prev=123460 @1597026383999000000\n"},
    /* a recording from before seqId */
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"asks\":[],\"bids\":[]"
     ","
     "\"ts\":\"1\",\"checksum\":2020897465}]}",
     0, "book_delta BTC-USDT 0-0 sum=2020897465 @1000000\n"},
    {"{\"arg\":{\"channel\":\"books5\",\"instId\":\"BTC-USDT-SWAP\"},\"data\":[{\"asks\":[[\"2\",\"1\",\"0\",\"1\"]],"
     "\"bids\":[],"
     "\"instId\":\"BTC-USDT-SWAP\",\"ts\":\"5\",\"seqId\":9}]}",
     0, "book_snapshot BTC-USDT-USDT 9 a 2x1 @5000000\n"},
    {"{\"arg\":{\"channel\":\"bbo-tbt\",\"instId\":\"BTC-USDT\"},\"data\":[{\"asks\":[[\"8476.98\",\"415\",\"0\","
     "\"13\"]],"
     "\"bids\":[[\"8476.97\",\"256\",\"0\",\"12\"]],\"ts\":\"1597026383085\",\"checksum\":0,\"seqId\":123457}]}",
     0, "best BTC-USDT 123457 b 8476.97x256 a 8476.98x415 @1597026383085000000\n"},
    {"{\"arg\":{\"channel\":\"bbo-tbt\",\"instId\":\"BTC-USDT\"},\"data\":[{\"asks\":[],\"bids\":[],\"ts\":\"6\","
     "\"seqId\":1}]}",
     0, "best BTC-USDT 1 b 0x0 a 0x0 @6000000\n"},
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"FOO-USDT\"},\"action\":\"update\",\"data\":[{\"asks\":[],\"bids\":[]"
     ","
     "\"ts\":\"1\",\"prevSeqId\":1,\"seqId\":2}]}",
     0, ""},
    {"{\"arg\":{\"channel\":\"trades\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instId\":\"BTC-USDT\",\"tradeId\":"
     "\"130639474\","
     "\"px\":\"42219.9\",\"sz\":\"0.12060306\",\"side\":\"buy\",\"ts\":\"1630048897897\",\"count\":\"3\",\"seqId\":"
     "1234}]}",
     0, "trade BTC-USDT 130639474(130639472-130639474) 42219.9x0.12060306 buy [agg_trades] @1630048897897000000\n"},
    {"{\"arg\":{\"channel\":\"trades-all\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instId\":\"BTC-USDT\",\"tradeId\":"
     "\"130639475\","
     "\"px\":\"42219.9\",\"sz\":\"0.1\",\"side\":\"sell\",\"ts\":\"1630048897897\",\"source\":\"0\"}]}",
     0, "trade BTC-USDT 130639475 42219.9x0.1 sell @1630048897897000000\n"},
    {"{\"arg\":{\"channel\":\"tickers\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instType\":\"SPOT\",\"instId\":\"BTC-"
     "USDT\","
     "\"last\":\"30236\",\"lastSz\":\"0.0002\",\"askPx\":\"30228.7\",\"askSz\":\"1.55896972\",\"bidPx\":\"30228.6\","
     "\"bidSz\":\"0.23393\",\"open24h\":\"29700.4\",\"high24h\":\"31073\",\"low24h\":\"28020.3\",\"sodUtc0\":\"29028."
     "8\","
     "\"volCcy24h\":\"525802090.62716611\",\"vol24h\":\"17602.13085371\",\"ts\":\"1652459224956\"}]}",
     0,
     "ticker BTC-USDT last=30236 open=29700.4 high=31073 low=28020.3 volume=17602.13085371 quote=525802090.62716611 "
     "b 30228.6x0.23393 a 30228.7x1.55896972 @1652459224956000000\n"},
    {"{\"arg\":{\"channel\":\"tickers\",\"instId\":\"BTC-USDT-SWAP\"},\"data\":[{\"last\":\"\",\"askPx\":\"\","
     "\"volCcy24h\":\"5\","
     "\"ts\":\"1\"}]}",
     0, "ticker BTC-USDT-USDT last=0 open=0 high=0 low=0 volume=0 quote=0 b 0x0 a 0x0 @1000000\n"},
    {"{\"arg\":{\"channel\":\"candle1m\",\"instId\":\"BTC-USDT\"},\"data\":[[\"1597026360000\",\"3.721\",\"3.743\",\"3."
     "677\","
     "\"3.708\",\"8422410\",\"22698348.04828491\",\"12698348.04828491\",\"0\"],[\"1597026300000\",\"1\",\"2\",\"0.5\","
     "\"1.5\","
     "\"9\",\"8\",\"7\",\"1\"]]}",
     0,
     "candle BTC-USDT 60s 3.721 3.743 3.677 3.708 8422410 n=0 @1597026360000000000\n"
     "candle BTC-USDT 60s 1 2 0.5 1.5 9 n=0 closed @1597026300000000000\n"},
    {"{\"arg\":{\"channel\":\"funding-rate\",\"instId\":\"BTC-USDT-SWAP\"},\"data\":[{\"fundingRate\":\"0."
     "0001875391284828\","
     "\"fundingTime\":\"1700726400000\",\"instId\":\"BTC-USDT-SWAP\",\"instType\":\"SWAP\",\"nextFundingRate\":\"\","
     "\"nextFundingTime\":\"1700755200000\",\"ts\":\"1700724675402\"}]}",
     0, "funding BTC-USDT-USDT -0 -0 rate=0.0001875391284828 next=1700726400000 @1700724675402000000\n"},
    {"{\"arg\":{\"channel\":\"mark-price\",\"instId\":\"BTC-USDT-SWAP\"},\"data\":[{\"instType\":\"SWAP\",\"instId\":"
     "\"BTC-USDT-SWAP\",\"markPx\":\"42310.6\",\"ts\":\"1630049139746\"}]}",
     0, "funding BTC-USDT-USDT mark=42310.6 -0 -0 next=0 @1630049139746000000\n"},
    {"{\"arg\":{\"channel\":\"open-interest\",\"instId\":\"BTC-USDT-SWAP\"},\"data\":[{\"instId\":\"BTC-USDT-SWAP\","
     "\"instType\":\"SWAP\",\"oi\":\"2216113.01\",\"oiCcy\":\"22161.1301\",\"oiUsd\":\"1939251795.54\","
     "\"ts\":\"1743041250440\"}]}",
     0, "open_interest BTC-USDT-USDT 2216113.01 value=1939251795.54 @1743041250440000000\n"},
    {"{\"arg\":{\"channel\":\"liquidation-orders\",\"instType\":\"SWAP\"},\"data\":[{\"details\":[{\"bkLoss\":\"0\","
     "\"bkPx\":"
     "\"0.007831\",\"ccy\":\"\",\"posSide\":\"short\",\"side\":\"buy\",\"sz\":\"13\",\"ts\":\"1692266434010\"},{"
     "\"side\":\"sell\","
     "\"bkPx\":\"2\",\"sz\":\"1\",\"ts\":\"7\"}],\"instFamily\":\"BTC-USDT\",\"instId\":\"BTC-USDT-SWAP\",\"instType\":"
     "\"SWAP\","
     "\"uly\":\"BTC-USDT\"},{\"details\":[{\"side\":\"sell\",\"bkPx\":\"2\",\"sz\":\"1\",\"ts\":\"7\"}],\"instId\":"
     "\"FOO-SWAP\"}]}",
     0,
     "liquidation BTC-USDT-USDT buy 0.007831x13 @1692266434010000000\nliquidation BTC-USDT-USDT sell 2x1 @7000000\n"},
    {"{\"arg\":{\"channel\":\"instruments\",\"instType\":\"SPOT\"},\"data\":[{\"instId\":\"BTC-USDT\",\"state\":"
     "\"suspend\"},"
     "{\"instId\":\"BTC-USD-220527\",\"state\":\"expired\"},{\"instId\":\"FOO\",\"state\":\"live\"},{\"instId\":"
     "\"BTC-USDT-SWAP\",\"state\":\"live\"}]}",
     0, "status BTC-USDT halted\nstatus BTC-USD-BTC delisted\nstatus BTC-USDT-USDT trading\n"},
    {"{\"event\":\"subscribe\",\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"connId\":\"a4d3ae55\"}", 0,
     "! subscribed depth BTC-USDT\n"},
    {"{\"id\":\"77\",\"event\":\"unsubscribe\",\"arg\":{\"channel\":\"candle1H\",\"instId\":\"FOO-USDT\"},\"connId\":"
     "\"a\"}",
     0, "! unsubscribed #77 candles 3600s ?FOO-USDT\n"},
    {"{\"event\":\"subscribe\",\"arg\":{\"channel\":\"liquidation-orders\",\"instType\":\"SWAP\"},\"id\":\"x1\"}", 0,
     "! subscribed liquidations\n"},
    {"{\"event\":\"error\",\"code\":\"60018\",\"msg\":\"Wrong URL or channel:trades,instId:FOO-USDT doesn't exist. "
     "Please use "
     "the correct URL\",\"connId\":\"a4d3ae55\"}",
     0,
     "! refused for good agg_trades ?FOO-USDT code=60018 \"Wrong URL or channel:trades,instId:FOO-USDT doesn't exist. "
     "Please use the correct URL\"\n"},
    {"{\"event\":\"error\",\"id\":\"5\",\"code\":\"60012\",\"msg\":\"Invalid request\"}", 0,
     "! refused for good #5 code=60012 \"Invalid request\"\n"},
    {"{\"id\":\"6\",\"event\":\"error\",\"code\":\"60011\",\"msg\":\"Please log in\"}", 0,
     "! refused for good #6 code=60011 \"Please log in\"\n"},
    {"{\"event\":\"error\",\"msg\":\"VIP4 and above\",\"code\":\"60030\"}", 0,
     "! refused for good code=60030 \"VIP4 and above\"\n"},
    {"{\"event\":\"error\",\"code\":\"64004\",\"msg\":\"Subscribe timeout\"}", 0,
     "! refused code=64004 \"Subscribe timeout\"\n"},
    {"{\"event\":\"error\",\"code\":\"60014\",\"msg\":\"Requests too frequent\"}", 0,
     "! rate limited code=60014 \"Requests too frequent\"\n"},
    {"{\"event\":\"error\",\"code\":\"63999\",\"msg\":\"Internal system error\"}", 0,
     "! error code=63999 \"Internal system error\"\n"},
    {"{\"event\":\"notice\",\"code\":\"64008\",\"msg\":\"The connection will soon be closed for a service upgrade. "
     "Please "
     "reconnect.\",\"connId\":\"a4d3ae55\"}",
     0, "! reconnect code=64008 \"The connection will soon be closed for a service upgrade. Please reconnect.\"\n"},
    {"{\"event\":\"channel-conn-count\",\"channel\":\"books\",\"connCount\":\"2\",\"connId\":\"abcd1234\"}", 0,
     "! status \"books\"\n"},
    {"{\"event\":\"channel-conn-count-error\",\"channel\":\"books\",\"connCount\":\"30\",\"connId\":\"a4d3ae55\"}", 0,
     "! refused depth \"books\"\n"},
    {"pong", 0, "! pong\n"},
    {"{\"event\":\"login\",\"code\":\"0\"}", SL_ENOTSUP, "events \"login\" are not decoded"},
    {"{\"event\":\"subscribe\"}", SL_EPROTO, "event: \"arg\" is missing"},
    {"{\"arg\":{\"channel\":\"status\"},\"data\":[{}]}", SL_ENOTSUP, "the channel \"status\" is not decoded"},
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"data\":[]}", SL_EPROTO, "\"action\" is neither"},
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"partial\",\"data\":[]}", SL_EPROTO,
     "\"action\" is neither \"snapshot\" nor \"update\""},
    {"{\"arg\":{\"instId\":\"BTC-USDT\"}}", SL_EPROTO, "\"channel\" is missing"},
    {"{}", SL_EPROTO, "neither \"arg\" nor \"event\""},
    {"pung", SL_EPROTO, "not an object"},
    {"{\"arg\":{\"channel\":\"trades\",\"instId\":\"BTC-USDT\"},\"data\":[{\"tradeId\":\"5\",\"px\":\"1\",\"sz\":\"1\","
     "\"side\":\"buy\",\"ts\":\"1\",\"count\":\"9\"}]}",
     SL_ERANGE, "\"tradeId\" and \"count\" do not fit together"},
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"asks\":[],\"bids\":[]"
     ","
     "\"ts\":\"1\",\"checksum\":2147483648}]}",
     SL_ERANGE, "\"checksum\" does not fit into 32 bits"},
    {"{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"bids\":[],\"ts\":"
     "\"1\"}]}",
     SL_EPROTO, "depth: \"asks\" is missing"},
    {NULL, 0, NULL},
};

static void every_kind_of_message(void **state)
{
    (void)state;
    venue_kit_prove(SL_VENUE_OKX, instruments, messages);
}

static void subscriptions(void **state)
{
    (void)state;
    venue_kit kit;
    char buffer[64];
    venue_kit_open(&kit, SL_VENUE_OKX, instruments);
    const sl_instrument *btc = sl_instruments_at(kit.instruments, 0);
    const sl_instrument *swap = sl_instruments_at(kit.instruments, 1);
    sl_subscription wanted[] = {
        {.feed = SL_FEED_DEPTH, .instrument = btc},         {.feed = SL_FEED_DEPTH, .instrument = btc, .depth = 5},
        {.feed = SL_FEED_BEST, .instrument = btc},          {.feed = SL_FEED_AGG_TRADES, .instrument = btc},
        {.feed = SL_FEED_FUNDING, .instrument = swap},      {.feed = SL_FEED_LIQUIDATIONS, .instrument = swap},
        {.feed = SL_FEED_LIQUIDATIONS, .instrument = swap}, {.feed = SL_FEED_OPEN_INTEREST, .instrument = swap},
        {.feed = SL_FEED_STATUS, .instrument = btc},        {.feed = SL_FEED_TICKER, .instrument = btc},
    };
    venue_kit_expect_subscribe(
        kit.driver, wanted, 10, false, 10,
        "{\"id\":\"42\",\"op\":\"subscribe\",\"args\":[{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},"
        "{\"channel\":\"books5\",\"instId\":\"BTC-USDT\"},{\"channel\":\"bbo-tbt\",\"instId\":\"BTC-USDT\"},"
        "{\"channel\":\"trades\",\"instId\":\"BTC-USDT\"},{\"channel\":\"funding-rate\",\"instId\":\"BTC-USDT-SWAP\"},"
        "{\"channel\":\"mark-price\",\"instId\":\"BTC-USDT-SWAP\"},{\"channel\":\"liquidation-orders\",\"instType\":"
        "\"SWAP\"},{\"channel\":\"open-interest\",\"instId\":\"BTC-USDT-SWAP\"},{\"channel\":\"instruments\","
        "\"instType\":\"SPOT\"},{\"channel\":\"tickers\",\"instId\":\"BTC-USDT\"}]}");
    assert_true(kit.driver->stream_path(wanted, 10, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/ws/v5/public");
    wanted[0] = (sl_subscription){.feed = SL_FEED_CANDLES, .instrument = btc, .interval_ns = SL_MINUTES(60)};
    wanted[1] = (sl_subscription){.feed = SL_FEED_TRADES, .instrument = btc};
    venue_kit_expect_subscribe(kit.driver, wanted, 2, true, 2,
                               "{\"id\":\"42\",\"op\":\"unsubscribe\",\"args\":[{\"channel\":\"candle1H\",\"instId\":"
                               "\"BTC-USDT\"},{\"channel\":\"trades-all\",\"instId\":\"BTC-USDT\"}]}");
    assert_true(kit.driver->stream_path(wanted, 2, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/ws/v5/business");
    assert_true(kit.driver->together(&wanted[0], &wanted[1]));
    assert_false(kit.driver->together(&wanted[0], &wanted[2]));
    assert_int_equal(kit.driver->stream_path(wanted, 3, buffer, sizeof(buffer)), SL_EINVAL);
    wanted[0].interval_ns = 5;
    venue_kit_expect_subscribe(kit.driver, wanted, 1, false, SL_EINVAL, NULL);
    wanted[0] = (sl_subscription){.feed = SL_FEED_DEPTH, .instrument = btc, .depth = 6};
    venue_kit_expect_subscribe(kit.driver, wanted, 1, false, SL_EINVAL, NULL);
    sl_subscription many[1000];
    for (size_t at = 0; at < 1000; at++) {
        many[at] = wanted[2];
    }
    venue_kit_expect_subscribe(kit.driver, many, 1000, false, 400, NULL);
    assert_int_equal(kit.driver->ping(9, buffer, sizeof(buffer)), 4);
    assert_string_equal(buffer, "ping");
    venue_kit_close(&kit);
}

static void requests(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_OKX, instruments);
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS, .instrument = sl_instruments_at(kit.instruments, 0)};
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v5/public/instruments?instType=SPOT");
    (void)snprintf(request.cursor, sizeof(request.cursor), "SWAP");
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v5/public/instruments?instType=SWAP");
    request.cursor[0] = '\0';
    request.kind = SL_REQUEST_SNAPSHOT;
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v5/market/books?instId=BTC-USDT&sz=400");
    request.kind = SL_REQUEST_TRADES;
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v5/market/history-trades?instId=BTC-USDT&limit=100");
    request.from_id = 1000;
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/api/v5/market/history-trades?instId=BTC-USDT&limit=100&after=1100");
    request.kind = SL_REQUEST_CANDLES;
    venue_kit_expect_path(kit.driver, &request, SL_EINVAL, NULL);
    request.interval_ns = SL_MINUTES(1);
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=300");
    request.from_time_ns = INT64_C(1700000000000000000);
    venue_kit_expect_path(kit.driver, &request, 0,
                          "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&after=1700006000000"
                          "&before=1699999999999&limit=100");
    request.kind = SL_REQUEST_OPEN_INTEREST;
    venue_kit_expect_path(kit.driver, &request, SL_ENOTSUP, NULL);
    request.instrument = sl_instruments_at(kit.instruments, 1);
    venue_kit_expect_path(kit.driver, &request, 0, "/api/v5/public/open-interest?instId=BTC-USDT-SWAP&instType=SWAP");
    sl_venue_request by_time = {.kind = SL_REQUEST_TRADES, .instrument = request.instrument, .from_time_ns = 5};
    venue_kit_expect_path(kit.driver, &by_time, SL_ENOTSUP, NULL);
    venue_kit_close(&kit);
}

static const venue_case books[] = {
    {"{\"code\":\"0\",\"msg\":\"\",\"data\":[{\"asks\":[[\"41006.8\",\"0.60038921\",\"0\",\"1\"]],\"bids\":[[\"41006."
     "3\","
     "\"0.30178218\",\"0\",\"2\"]],\"ts\":\"1629966436396\",\"seqId\":3235851742}]}",
     0,
     "book_snapshot BTC-USDT 3235851742 b 41006.3x0.30178218 a 41006.8x0.60038921 [snapshot] @1629966436396000000\n"},
    {"{\"data\":[{\"asks\":[],\"bids\":[],\"ts\":\"1\"}],\"code\":\"0\"}", 0,
     "book_snapshot BTC-USDT 0 [snapshot] @1000000\n"},
    {"{\"msg\":\"Too Many Requests\",\"code\":\"50011\",\"data\":[]}", SL_EAGAIN,
     "the venue answered with error 50011: Too Many Requests"},
    {"{\"code\":\"51001\",\"msg\":\"Instrument ID doesn't exist.\",\"data\":[]}", SL_EPROTO, "error 51001"},
    {"{\"code\":\"50013\",\"msg\":\"Systems are busy.\",\"data\":[]}", SL_EAGAIN, "error 50013"},
    {"{\"code\":\"50014\",\"msg\":\"Parameter instId can not be empty.\",\"data\":[]}", SL_EPROTO, "error 50014"},
    {"{\"code\":\"0\"}", SL_EPROTO, "\"data\" is missing"},
    {"{\"code\":0,\"data\":[]}", SL_EPROTO, "\"code\" is a number, not a string"},
    {NULL, 0, NULL},
};

static const venue_case trades[] = {
    {"{\"code\":\"0\",\"msg\":\"\",\"data\":[{\"instId\":\"BTC-USDT\",\"side\":\"sell\",\"sz\":\"0.00001\",\"source\":"
     "\"0\","
     "\"px\":\"29963.2\",\"tradeId\":\"242720720\",\"ts\":\"1654161646974\"},{\"side\":\"sell\",\"sz\":\"0.1\",\"px\":"
     "\"29964.1\","
     "\"tradeId\":\"242720719\",\"ts\":\"1654161641568\"}]}",
     0,
     "trade BTC-USDT 242720720 29963.2x0.00001 sell @1654161646974000000\n"
     "trade BTC-USDT 242720719 29964.1x0.1 sell @1654161641568000000\n"},
    {NULL, 0, NULL},
};

static const venue_case candles[] = {
    {"{\"code\":\"0\",\"data\":[[\"1597026383085\",\"3.721\",\"3.743\",\"3.677\",\"3.708\",\"8422410\",\"22698348.04\","
     "\"1\","
     "\"1\"]]}",
     0, "candle BTC-USDT 60s 3.721 3.743 3.677 3.708 8422410 n=0 closed @1597026383085000000\n"},
    {NULL, 0, NULL},
};

static const venue_case interests[] = {
    {"{\"code\":\"0\",\"data\":[{\"instType\":\"SWAP\",\"instId\":\"BTC-USDT-SWAP\",\"oi\":\"5000\",\"oiCcy\":\"555."
     "55\","
     "\"oiUsd\":\"50000\",\"ts\":\"1597026383085\"}]}",
     0, "open_interest BTC-USDT 5000 value=50000 @1597026383085000000\n"},
    {NULL, 0, NULL},
};

static const venue_case lists[] = {
    {"{\"code\":\"0\",\"data\":[{\"baseCcy\":\"ETH\",\"ctMult\":\"\",\"ctVal\":\"\",\"expTime\":\"\",\"instId\":\"ETH-"
     "USDT\","
     "\"instType\":\"SPOT\",\"lotSz\":\"0.000001\",\"quoteCcy\":\"USDT\",\"settleCcy\":\"\",\"state\":\"live\","
     "\"tickSz\":\"0.01\","
     "\"uly\":\"\"},{\"baseCcy\":\"SLX\",\"quoteCcy\":\"USDT\",\"instId\":\"LISTING-SPOT-SLX-USDT\",\"instType\":"
     "\"SPOT\","
     "\"lotSz\":\"\",\"tickSz\":\"\",\"state\":\"preopen\"},"
     "{\"baseCcy\":\"\",\"ctMult\":\"1\",\"ctVal\":\"100\",\"ctValCcy\":\"USD\",\"expTime\":"
     "\"1800000000000\","
     "\"instId\":"
     "\"BTC-USD-SWAP\",\"instType\":\"SWAP\",\"lotSz\":\"1\",\"settleCcy\":\"BTC\",\"state\":\"live\",\"tickSz\":\"0."
     "1\","
     "\"uly\":\"BTC-USD\"},{\"ctMult\":\"1\",\"ctVal\":\"100\",\"expTime\":\"1653638400000\",\"instId\":\"ETH-USD-"
     "220527\","
     "\"instType\":\"FUTURES\",\"settleCcy\":\"ETH\",\"state\":\"preopen\",\"tickSz\":\"0.1\",\"lotSz\":\"1\","
     "\"instFamily\":"
     "\"ETH-USD\"},{\"instId\":\"X\",\"instType\":\"SWAP\",\"state\":\"live\",\"uly\":\"\"}]}",
     0, ""},
    {"{\"code\":\"0\",\"data\":[{\"instId\":\"X\"}]}", SL_EPROTO, "\"instType\" is missing"},
    {NULL, 0, NULL},
};

static void answers(void **state)
{
    (void)state;
    static const venue_kind_cases kinds[] = {{SL_REQUEST_SNAPSHOT, books},    {SL_REQUEST_TRADES, trades},
                                             {SL_REQUEST_CANDLES, candles},   {SL_REQUEST_OPEN_INTEREST, interests},
                                             {SL_REQUEST_INSTRUMENTS, lists}, {.cases = NULL}};
    venue_kit_prove_answers(SL_VENUE_OKX, instruments, kinds);
}

static void what_answers_tell(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_OKX, instruments);
    sl_venue_request request = {.kind = SL_REQUEST_TRADES, .instrument = sl_instruments_at(kit.instruments, 0)};
    assert_int_equal(venue_kit_answer(&kit, &request, trades[0].json, strlen(trades[0].json)), 0);
    assert_true(kit.answer.more && kit.answer.last_id == 242720720);
    assert_string_equal(kit.answer.cursor, "242720719");
    assert_int_equal(venue_kit_answer(&kit, &request, books[2].json, strlen(books[2].json)), SL_EAGAIN);
    assert_true(kit.answer.rate_limited && kit.answer.error_code == 50011);
    assert_int_equal(venue_kit_answer(&kit, &request, books[3].json, strlen(books[3].json)), SL_EPROTO);
    assert_true(kit.answer.no_symbol);
    request.kind = SL_REQUEST_INSTRUMENTS;
    (void)sl_instruments_begin_list(kit.instruments); /* those of the table are not on it */
    static const char *const cursors[] = {"SWAP", "FUTURES", ""};
    for (size_t at = 0; at < 3; at++) { /* the list's three parts */
        assert_int_equal(venue_kit_answer(&kit, &request, lists[0].json, strlen(lists[0].json)), 0);
        assert_int_equal(kit.answer.more, at < 2);
        assert_string_equal(kit.answer.cursor, cursors[at]);
        memcpy(request.cursor, kit.answer.cursor, sizeof(request.cursor));
    }
    assert_non_null(sl_instruments_find_name(kit.instruments, SL_VENUE_OKX, "ETH-USD-ETH-20220527"));
    assert_non_null(sl_instruments_find_name(kit.instruments, SL_VENUE_OKX, "ETH-USDT"));
    assert_null(sl_instruments_find_name(kit.instruments, SL_VENUE_OKX, "SLX-USDT")); /* only announced */
    const sl_instrument *swap = sl_instruments_find(kit.instruments, SL_VENUE_OKX, "BTC-USD-SWAP", 12);
    assert_non_null(swap);
    assert_string_equal(swap->name, "BTC-USD-BTC"); /* though it will be delisted at a known time */
    assert_true(swap->expiry_ns == 0 && swap->type == SL_INSTRUMENT_PERPETUAL && swap->contract_size.mantissa == 100);
    venue_kit_close(&kit);
}

/* ---- the captured session ---- */

struct session {
    venue_kit kit;
    sl_book *books[4];
    size_t messages, checked, matches, trades, tickers, trade_holes;
    int64_t last_trade[4];
};

static int on_event(void *arg, const sl_market_event *event)
{
    struct session *session = arg;
    const sl_book_checksum *checksum = NULL;
    session->trades += event->kind == SL_EVENT_TRADE ? 1 : 0;
    session->tickers += event->kind == SL_EVENT_TICKER ? 1 : 0;
    if (event->kind == SL_EVENT_TRADE && event->instrument->index < 4) { /* each id is the one before + 1 */
        int64_t *last = &session->last_trade[event->instrument->index];
        session->trade_holes += *last != 0 && event->as.trade.first_id != *last + 1;
        *last = event->as.trade.last_id;
    }
    if (event->instrument->index >= 4 ||
        (event->kind != SL_EVENT_BOOK_SNAPSHOT && event->kind != SL_EVENT_BOOK_DELTA)) {
        return 0;
    }
    sl_book **book = &session->books[event->instrument->index];
    if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        if (*book == NULL) {
            assert_int_equal(sl_book_new(0, book), 0);
        }
        assert_int_equal(sl_book_set(*book, &event->as.snapshot.levels), 0);
        checksum = &event->as.snapshot.checksum;
    } else {
        assert_int_equal(sl_book_apply(*book, &event->as.delta.levels), 0);
        checksum = &event->as.delta.checksum;
    }
    assert_true(checksum->given);
    session->checked++;
    session->matches += session->kit.driver->book_checksum(*book) == checksum->value ? 1 : 0;
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

static void take_list(void *arg, const char *url, const char *text, size_t size_bytes)
{
    struct session *session = arg;
    if (strstr(url, "public/instruments") != NULL) {
        sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
        assert_int_equal(venue_kit_answer(&session->kit, &request, text, size_bytes), 0);
        assert_int_equal(session->kit.answer.rows > 0, strstr(url, "OPTION") == NULL); /* options are left out */
    }
}

static void captured_session(void **state)
{
    (void)state;
    static const venue_kit_instrument wanted[] = {
        {.symbol = "BTC-USDT", .base = "", .quote = ""},
        {.symbol = "BTC-USD-220527", .base = "", .quote = ""},
        {.symbol = "UNI-USD-SWAP", .base = "", .quote = ""},
        {.symbol = NULL},
    };
    struct session session = {0};
    venue_kit_open(&session.kit, SL_VENUE_OKX, wanted);
    session.kit.silent = true;
    venue_kit_capture_rest("OKX.0", take_list, &session);
    print_message("%zu instruments in the lists\n", sl_instruments_count(session.kit.instruments));
    session.kit.arg = &session;
    session.kit.event = on_event;
    venue_kit_capture("OKX.ws.1.0", take, &session);
    print_message("%zu messages: %zu of %zu checksums match; %zu trades, %zu tickers\n", session.messages,
                  session.matches, session.checked, session.trades, session.tickers);
    assert_int_equal(session.checked, 290);
    assert_int_equal(session.matches, 290);
    assert_int_equal(session.kit.decoder->stats.bad + session.kit.decoder->stats.unknown, 0);
    assert_true(session.trades > 70);
    assert_int_equal(session.trade_holes, 0);
    for (size_t at = 0; at < 4; at++) {
        sl_book_free(session.books[at]);
    }
    venue_kit_close(&session.kit);
}

SL_TEST_MAIN(cmocka_unit_test(every_kind_of_message), cmocka_unit_test(subscriptions), cmocka_unit_test(requests),
             cmocka_unit_test(answers), cmocka_unit_test(what_answers_tell), cmocka_unit_test(captured_session))
