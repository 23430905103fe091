/* SPDX-License-Identifier: MIT */
/* Kraken spot: each kind of message of WebSocket v2 and v1, requests and answers, checksums, the captured session. */
#include "venue_kit.h"

#include <string.h>

#include "market/book.h"

static const venue_kit_instrument instruments[] = {
    {.symbol = "BTC/USD", .base = "BTC", .quote = "USD", .tick = "0.1", .lot = "0.00000001"},
    {.symbol = "MATIC/USD", .base = "MATIC", .quote = "USD", .tick = "0.0001", .lot = "0.00000001"},
    {.symbol = "ETH/USD", .base = "ETH", .quote = "USD"},
    {.symbol = "DOGE/BTC", .base = "DOGE", .quote = "BTC"},
    {.symbol = NULL},
};

static const venue_case messages[] = {
    {"{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"version\":\"2.0.0\",\"system\":\"online\","
     "\"api_version\":\"v2\",\"connection_id\":13834774380200032777}]}",
     0, "! status \"online\"\n"},
    {"{\"channel\":\"heartbeat\"}", 0, "! heartbeat\n"},
    /* one acknowledgement a symbol; a book's says how deep it is */
    {"{\"method\":\"subscribe\",\"req_id\":5,\"result\":{\"channel\":\"book\",\"depth\":25,\"snapshot\":true,"
     "\"symbol\":\"MATIC/USD\"},\"success\":true,\"time_in\":\"2023-10-06T17:35:55.219022Z\","
     "\"time_out\":\"2023-10-06T17:35:55.219067Z\"}",
     0, "! subscribed #5 depth MATIC-USD\n"},
    {"{\"method\":\"subscribe\",\"result\":{\"channel\":\"ohlc\",\"interval\":5,\"snapshot\":true,\"symbol\":\"BTC/"
     "USD\"},"
     "\"success\":true,\"req_id\":9}",
     0, "! subscribed #9 candles 300s BTC-USD\n"},
    {"{\"method\":\"subscribe\",\"result\":{\"channel\":\"ohlc\",\"interval\":99999999999,\"symbol\":\"BTC/USD\"},"
     "\"success\":true,\"req_id\":9}",
     0, "! subscribed #9 candles BTC-USD\n"},
    {"{\"method\":\"subscribe\",\"result\":{\"channel\":\"ticker\",\"event_trigger\":\"bbo\",\"symbol\":\"BTC/USD\"},"
     "\"success\":true}",
     0, "! subscribed best BTC-USD\n"},
    {"{\"method\":\"subscribe\",\"result\":{\"channel\":\"ticker\",\"event_trigger\":\"trades\",\"symbol\":\"BTC/"
     "USD\"},"
     "\"success\":true}",
     0, "! subscribed ticker BTC-USD\n"},
    {"{\"method\":\"subscribe\",\"result\":{\"channel\":\"instrument\",\"snapshot\":true},\"success\":true,\"req_id\":"
     "1}",
     0, "! subscribed #1 status\n"},
    {"{\"method\":\"unsubscribe\",\"result\":{\"channel\":\"trade\",\"symbol\":\"BTC/USD\"},\"success\":true}", 0,
     "! unsubscribed trades BTC-USD\n"},
    {"{\"error\":\"Currency pair not supported PIRATE/USD\",\"method\":\"subscribe\",\"success\":false,\"symbol\":"
     "\"PIRATE/USD\"}",
     0, "! refused for good ?PIRATE/USD \"Currency pair not supported PIRATE/USD\"\n"},
    {"{\"error\":\"EAPI:Rate limit exceeded\",\"method\":\"subscribe\",\"success\":false}", 0,
     "! rate limited \"EAPI:Rate limit exceeded\"\n"},
    {"{\"error\":\"Currency pair not supported FOO/USD\",\"method\":\"subscribe\",\"req_id\":7,\"success\":false,"
     "\"symbol\":\"FOO/USD\"}",
     0, "! refused for good #7 ?FOO/USD \"Currency pair not supported FOO/USD\"\n"},
    {"{\"error\":\"Already subscribed to one or more of the requested symbols\",\"method\":\"subscribe\","
     "\"success\":false,\"symbol\":\"BTC/USD\",\"req_id\":8}",
     0, "! subscribed #8 BTC-USD \"Already subscribed to one or more of the requested symbols\"\n"},
    {"{\"error\":\"Subscription Not Found\",\"method\":\"unsubscribe\",\"success\":false,\"symbol\":\"BTC/USD\"}", 0,
     "! unsubscribed BTC-USD \"Subscription Not Found\"\n"},
    {"{\"error\":\"Exceeded msg rate\",\"method\":\"subscribe\",\"req_id\":9,\"success\":false}", 0,
     "! rate limited #9 \"Exceeded msg rate\"\n"},
    {"{\"Error\":\"Exceeded msg rate\"}", 0, "! rate limited \"Exceeded msg rate\"\n"},
    {"{\"error\":\"Market data is not available\",\"status\":\"error\"}", 0,
     "! error \"Market data is not available\"\n"},
    {"{\"method\":\"pong\",\"req_id\":101,\"time_in\":\"2023-09-24T14:10:23.799685Z\","
     "\"time_out\":\"2023-09-24T14:10:23.799703Z\"}",
     0, "! pong #101\n"},
    {"{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"MATIC/USD\",\"bids\":[{\"price\":0.5666,"
     "\"qty\":4831.75496356},{\"price\":0.5665,\"qty\":6658.22734739}],\"asks\":[{\"price\":0.5668,\"qty\":4410."
     "79769741}],"
     "\"checksum\":2439117997}]}",
     0,
     "book_snapshot MATIC-USD 0 sum=2439117997 cut=25 b 0.5666x4831.75496356,0.5665x6658.22734739 "
     "a 0.5668x4410.79769741\n"},
    /* fewer digits than the instrument's steps have: brought to their scale, as the checksum needs them */
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"MATIC/USD\",\"bids\":[{\"price\":0.5657,"
     "\"qty\":1098.3947558},{\"qty\":0,\"price\":0.56}],\"asks\":[],\"checksum\":2114181697,"
     "\"timestamp\":\"2023-10-06T17:35:55.440295Z\"}]}",
     0,
     "book_delta MATIC-USD 0-0 sum=2114181697 cut=25 b 0.5657x1098.39475580,0.5600x0.00000000 @1696613755440295000\n"},
    /* without an acknowledgement the depth is the smallest that the snapshot fits into */
    {"{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"ETH/"
     "USD\",\"bids\":[{\"price\":1E-2,\"qty\":1e0}],"
     "\"asks\":[],\"checksum\":0}]}",
     0, "book_snapshot ETH-USD 0 sum=0 cut=10 b 0.01x1\n"},
    {"{\"data\":[{\"checksum\":1,\"asks\":[{\"price\":45285.2,\"qty\":0.00100000}],\"bids\":[],\"symbol\":\"BTC/"
     "USD\"}],"
     "\"type\":\"snapshot\",\"channel\":\"book\"}",
     0, "book_snapshot BTC-USD 0 sum=1 cut=10 a 45285.2x0.00100000\n"},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"FOO/"
     "USD\",\"bids\":[],\"asks\":[],\"checksum\":1}]}",
     0, ""},
    {"{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"MATIC/USD\",\"side\":\"buy\",\"price\":0.5147,"
     "\"qty\":6423.46326,\"ord_type\":\"limit\",\"trade_id\":4665846,\"timestamp\":\"2023-09-25T07:48:36.925533Z\"},"
     "{\"symbol\":\"MATIC/USD\",\"side\":\"sell\",\"price\":0.5147,\"qty\":1136.19677815,\"ord_type\":\"market\","
     "\"trade_id\":4665847,\"timestamp\":\"2023-09-25T07:49:36.925603Z\"}]}",
     0,
     "trade MATIC-USD 4665846 0.5147x6423.46326 buy @1695628116925533000\n"
     "trade MATIC-USD 4665847 0.5147x1136.19677815 sell @1695628176925603000\n"},
    {"{\"channel\":\"ticker\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"ETH/"
     "USD\",\"bid\":0.10025,\"bid_qty\":740.0,"
     "\"ask\":0.10036,\"ask_qty\":1361.44813783,\"last\":0.10035,\"volume\":997038.98383185,\"vwap\":0.10148,"
     "\"low\":0.09979,\"high\":0.10285,\"change\":-0.00017,\"change_pct\":-0.17}]}",
     0,
     "ticker ETH-USD last=0.10035 open=0 high=0.10285 low=0.09979 volume=997038.98383185 quote=0 b 0.10025x740.0 "
     "a 0.10036x1361.44813783\nbest ETH-USD 0 b 0.10025x740.0 a 0.10036x1361.44813783\n"},
    {"{\"channel\":\"ohlc\",\"type\":\"update\",\"timestamp\":\"2023-10-04T16:26:30.524394914Z\",\"data\":[{\"symbol\":"
     "\"MATIC/USD\",\"open\":0.5624,\"high\":0.5628,\"low\":0.5622,\"close\":0.5627,\"trades\":12,"
     "\"volume\":30927.68066226,\"vwap\":0.5626,\"interval_begin\":\"2023-10-04T16:25:00.000000000Z\",\"interval\":5,"
     "\"timestamp\":\"2023-10-04T16:30:00.000000Z\"}]}",
     0, "candle MATIC-USD 300s 0.5624 0.5628 0.5622 0.5627 30927.68066226 n=12 closed @1696436700000000000\n"},
    {"{\"channel\":\"instrument\",\"type\":\"update\",\"data\":{\"assets\":[{\"id\":\"USD\"}],\"pairs\":[{\"symbol\":"
     "\"BTC/USD\",\"base\":\"BTC\",\"quote\":\"USD\",\"status\":\"cancel_only\"},{\"symbol\":\"ETH/USD\","
     "\"status\":\"online\"},{\"symbol\":\"FOO/USD\",\"status\":\"online\"},{\"symbol\":\"BTC/USD\","
     "\"status\":\"delisted\"}]}}",
     0, "status BTC-USD halted\nstatus ETH-USD trading\nstatus BTC-USD delisted\n"},
    {"{\"channel\":\"level3\",\"type\":\"update\",\"data\":[]}", SL_ENOTSUP, "the channel \"level3\" is not decoded"},
    {"{\"method\":\"add_order\",\"success\":true}", SL_ENOTSUP, "the method \"add_order\" is not decoded"},
    {"{\"channel\":\"book\",\"type\":\"update\"}", SL_EPROTO, "\"data\" is missing"},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":7}", SL_EPROTO, "\"data\" is neither an object nor an array"},
    {"{}", SL_EPROTO, "neither \"channel\" nor \"method\" nor \"error\""},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[{\"price\":\"1\"}]}]}",
     SL_EPROTO, "book: not a number at byte"},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/"
     "USD\",\"bids\":[],\"checksum\":4294967296}]}",
     SL_ERANGE, "\"checksum\" does not fit into 32 bits"},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[]}]}", SL_EPROTO,
     "book: \"checksum\" is missing"},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[{\"price\":1}]}]}",
     SL_EPROTO, "a level without \"price\" or \"qty\""},
    {"{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/"
     "USD\",\"bids\":[{\"price\":1,\"qty\":-1}]}]}",
     SL_EPROTO, "a level without \"price\" or \"qty\", or with a negative one"},
    /* the place is told in the whole message, also where a part of it was opened again */
    {"{\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[{\"price\":\"1\"}]}],\"type\":\"update\",\"channel\":\"book\"}",
     SL_EPROTO, "book: not a number at byte 46"},
    {"{\"channel\":\"ohlc\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"open\":1,\"high\":1,\"low\":1,"
     "\"close\":1,\"trades\":1,\"volume\":1,\"interval_begin\":\"2023-10-04T16:25:00Z\",\"interval\":9999999999}]}",
     SL_ERANGE, "\"interval\" is out of range"},
    {NULL, 0, NULL},
};

static const venue_case v1_messages[] = {
    {"{\"connectionID\":18239578009413566319,\"event\":\"systemStatus\",\"status\":\"online\",\"version\":\"1.8.3\"}",
     0, "! status \"online\"\n"},
    {"{\"event\":\"heartbeat\"}", 0, "! heartbeat\n"},
    {"{\"event\":\"pong\",\"reqid\":42}", 0, "! pong #42\n"},
    {"{\"channelID\":1664,\"channelName\":\"book-1000\",\"event\":\"subscriptionStatus\",\"pair\":\"XBT/USD\","
     "\"status\":\"subscribed\",\"subscription\":{\"depth\":1000,\"name\":\"book\"}}",
     0, "! subscribed depth BTC-USD\n"},
    {"{\"channelName\":\"trade\",\"event\":\"subscriptionStatus\",\"pair\":\"XDG/XBT\",\"status\":\"unsubscribed\"}", 0,
     "! unsubscribed trades DOGE-BTC\n"},
    {"{\"errorMessage\":\"Currency pair not supported FOO/USD\",\"event\":\"subscriptionStatus\",\"pair\":\"FOO/USD\","
     "\"status\":\"error\",\"subscription\":{\"name\":\"ticker\"}}",
     0, "! refused for good ?FOO/USD \"Currency pair not supported FOO/USD\"\n"},
    {"{\"event\":\"error\",\"errorMessage\":\"Malformed request\"}", 0, "! error \"Malformed request\"\n"},
    {"[0,{\"as\":[[\"5541.30000\",\"2.50700000\",\"1534614248.123678\"]],\"bs\":[[\"5541.20000\",\"1.52900000\","
     "\"1534614248.765567\"],[\"5539.90000\",\"0.30000000\",\"1534614241.769870\"]]},\"book-100\",\"XBT/USD\"]",
     0, "book_snapshot BTC-USD 0 cut=100 b 5541.20000x1.52900000,5539.90000x0.30000000 a 5541.30000x2.50700000\n"},
    {"[0,{\"bs\":[[\"1\",\"2\",\"3\"]]},\"book-10\",\"ETH/USD\"]", 0, "book_snapshot ETH-USD 0 cut=10 b 1x2\n"},
    {"[1234,{\"a\":[[\"5541.30000\",\"0.00000000\",\"1534614335.345903\",\"r\"]]},{\"b\":[[\"5541.3\",\"0.1\",\"1\"]],"
     "\"c\":\"974942666\"},\"book-10\",\"XBT/USD\"]",
     0, "book_delta BTC-USD 0-0 sum=974942666 cut=10 b 5541.3x0.1 a 5541.30000x0.00000000\n"},
    {"[0,[[\"5541.20000\",\"0.15850568\",\"1534614057.321597\",\"s\",\"l\",\"\"],[\"6060.00000\",\"0.02455000\","
     "\"1534614057.324998\",\"b\",\"l\",\"\"]],\"trade\",\"XDG/XBT\"]",
     0,
     "trade DOGE-BTC 0 5541.20000x0.15850568 sell @1534614057321597000\n"
     "trade DOGE-BTC 0 6060.00000x0.02455000 buy @1534614057324998000\n"},
    {"[1668,{\"a\":[\"13.253900\",35,\"35.72892241\"],\"b\":[\"13.232900\",185,\"185.18432037\"],\"c\":[\"13.253900\","
     "\"3.71672000\"],\"v\":[\"26560.85364463\",\"72035.05488104\"],\"p\":[\"13.529003\",\"13.734728\"],\"t\":[640,"
     "1353],"
     "\"l\":[\"13.021800\",\"13.021801\"],\"h\":[\"13.942000\",\"14.211200\"],\"o\":[\"13.804000\",\"13.428300\"]},"
     "\"ticker\",\"ETH/USD\"]",
     0,
     "ticker ETH-USD last=13.253900 open=13.428300 high=14.211200 low=13.021801 volume=72035.05488104 quote=0 "
     "b 13.232900x185.18432037 a 13.253900x35.72892241\n"},
    {"[1,{},\"book-10\",\"XBT/USD\"]", SL_EPROTO, "neither a snapshot nor an update"},
    {"[1,{\"a\":[]},\"book-x\",\"XBT/USD\"]", SL_EPROTO, "v1 book: \"depth\" is no integer"},
    {"[1,{\"a\":[]},\"book-10\",\"XBTUSD\"]", SL_EPROTO, "\"XBTUSD\" is no pair"},
    {"[1,\"book-10\",\"XBT/USD\"]", SL_EPROTO, "parts are missing"},
    {"[1,2,3,4,5]", SL_EPROTO, "more parts than are known"},
    {"[1,[],\"spread\",\"XBT/USD\"]", SL_ENOTSUP, "the channel \"spread\" is not decoded"},
    {"{\"event\":\"addOrderStatus\"}", SL_ENOTSUP, "events \"addOrderStatus\" are not decoded"},
    {NULL, 0, NULL},
};

static void every_kind_of_message(void **state)
{
    (void)state;
    venue_kit_prove(SL_VENUE_KRAKEN, instruments, messages);
}

static void every_kind_of_recorded_message(void **state)
{
    (void)state;
    venue_kit_prove(SL_VENUE_KRAKEN, instruments, v1_messages);
}

/* In recordings without acknowledgements: the smallest depth on offer that holds the snapshot. */
static void the_depth_is_guessed(void **state)
{
    (void)state;
    static const int levels[][2] = {{9, 10}, {10, 10}, {11, 25}, {25, 25}, {26, 100}, {1000, 1000}, {1001, 1000}};
    static char text[65536];
    for (size_t at = 0; at < sizeof(levels) / sizeof(levels[0]); at++) {
        venue_kit kit;
        char expected[32];
        size_t length =
            (size_t)snprintf(text, sizeof(text),
                             "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"ETH/USD\","
                             "\"checksum\":1,\"asks\":[],\"bids\":[");
        for (int level = 0; level < levels[at][0]; level++) {
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s{\"price\":%d,\"qty\":1}",
                                       level == 0 ? "" : ",", level + 1);
        }
        length += (size_t)snprintf(text + length, sizeof(text) - length, "]}]}");
        venue_kit_open(&kit, SL_VENUE_KRAKEN, instruments);
        assert_int_equal(venue_kit_decode(&kit, text, length), 0);
        (void)snprintf(expected, sizeof(expected), " cut=%d ", levels[at][1]);
        assert_non_null(strstr(kit.text, expected));
        venue_kit_close(&kit);
    }
}

static void subscriptions(void **state)
{
    (void)state;
    venue_kit kit;
    char buffer[64];
    venue_kit_open(&kit, SL_VENUE_KRAKEN, instruments);
    const sl_instrument *btc = sl_instruments_at(kit.instruments, 0);
    const sl_instrument *eth = sl_instruments_at(kit.instruments, 2);
    const sl_subscription wanted[] = {
        {.feed = SL_FEED_DEPTH, .instrument = btc, .depth = 10},
        {.feed = SL_FEED_DEPTH, .instrument = eth, .depth = 10},
        {.feed = SL_FEED_DEPTH, .instrument = eth, .depth = 0},
        {.feed = SL_FEED_BEST, .instrument = btc},
        {.feed = SL_FEED_TICKER, .instrument = btc},
        {.feed = SL_FEED_CANDLES, .instrument = btc, .interval_ns = SL_MINUTES(5)},
        {.feed = SL_FEED_STATUS},
        {.feed = SL_FEED_TRADES, .instrument = eth},
    };
    static const char *const texts[] = {
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"BTC/USD\",\"ETH/USD\"],\"depth\":10},"
        "\"req_id\":42}",
        NULL,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"ETH/"
        "USD\"],\"depth\":1000},\"req_id\":42}",
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC/"
        "USD\"],\"event_trigger\":\"bbo\"},"
        "\"req_id\":42}",
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC/USD\"]},\"req_id\":42}",
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ohlc\",\"symbol\":[\"BTC/"
        "USD\"],\"interval\":5},\"req_id\":42}",
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"instrument\"},\"req_id\":42}",
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"ETH/USD\"]},\"req_id\":42}",
    };
    for (size_t at = 0; at < 8; at++) {
        venue_kit_expect_subscribe(kit.driver, wanted + at, 8 - at, false, at == 0 ? 2 : 1, texts[at]);
    }
    venue_kit_expect_subscribe(
        kit.driver, wanted + 7, 1, true, 1,
        "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"ETH/USD\"]},"
        "\"req_id\":42}");
    const sl_subscription wrong[] = {{.feed = SL_FEED_DEPTH, .instrument = btc, .depth = 11},
                                     {.feed = SL_FEED_FUNDING, .instrument = btc},
                                     {.feed = SL_FEED_CANDLES, .instrument = btc, .interval_ns = 1},
                                     {.feed = SL_FEED_TRADES}};
    for (size_t at = 0; at < 4; at++) {
        venue_kit_expect_subscribe(kit.driver, &wrong[at], 1, false, SL_EINVAL, NULL);
    }
    assert_int_equal(kit.driver->stream_path(wanted, 8, buffer, sizeof(buffer)), 3);
    assert_string_equal(buffer, "/v2");
    assert_true(kit.driver->together(&wanted[0], &wanted[1]));
    assert_false(kit.driver->together(&wanted[1], &wanted[2])); /* two depths of one symbol */
    assert_false(kit.driver->together(&wanted[3], &wanted[4])); /* two kinds of ticker */
    assert_true(kit.driver->together(&wanted[0], &wanted[3]));
    assert_true(kit.driver->together(&wanted[6], &wanted[6]));
    assert_true(kit.driver->ping(9, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "{\"method\":\"ping\",\"req_id\":9}");
    venue_kit_close(&kit);
}

static void requests(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_KRAKEN, instruments);
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS, .instrument = sl_instruments_at(kit.instruments, 0)};
    venue_kit_expect_path(kit.driver, &request, 0, "/0/public/AssetPairs");
    request.kind = SL_REQUEST_SNAPSHOT;
    venue_kit_expect_path(kit.driver, &request, 0, "/0/public/Depth?pair=XBTUSD&count=500");
    request.kind = SL_REQUEST_TRADES;
    request.instrument = sl_instruments_at(kit.instruments, 3);
    venue_kit_expect_path(kit.driver, &request, 0, "/0/public/Trades?pair=XDGXBT&count=1000");
    request.from_id = 5;
    venue_kit_expect_path(kit.driver, &request, SL_ENOTSUP, NULL);
    request.from_time_ns = INT64_C(1700000000000000000);
    venue_kit_expect_path(kit.driver, &request, 0, "/0/public/Trades?pair=XDGXBT&count=1000&since=1699999999999999999");
    (void)snprintf(request.cursor, sizeof(request.cursor), "1688671969993150842");
    venue_kit_expect_path(kit.driver, &request, 0, "/0/public/Trades?pair=XDGXBT&count=1000&since=1688671969993150842");
    request.kind = SL_REQUEST_CANDLES;
    venue_kit_expect_path(kit.driver, &request, SL_EINVAL, NULL);
    request.interval_ns = SL_MINUTES(60);
    venue_kit_expect_path(kit.driver, &request, 0, "/0/public/OHLC?pair=XDGXBT&interval=60&since=1699999999");
    request.kind = SL_REQUEST_OPEN_INTEREST;
    venue_kit_expect_path(kit.driver, &request, SL_ENOTSUP, NULL);
    venue_kit_close(&kit);
}

static const venue_case books[] = {
    {"{\"error\":[],\"result\":{\"XXBTZUSD\":{\"asks\":[[\"52523.00000\",\"1.199\",1616663113]],\"bids\":[[\"52522."
     "90000\","
     "\"0.753\",1616663112],[\"52522.80000\",\"0.006\",1616663109]]}}}",
     0, "book_snapshot BTC-USD 0 b 52522.90000x0.753,52522.80000x0.006 a 52523.00000x1.199 [snapshot]\n"},
    {"{\"error\":[\"EGeneral:Too many requests\"]}", SL_EAGAIN, "EGeneral:Too many requests"},
    {"{\"error\":[\"EService:Busy\"],\"result\":{}}", SL_EAGAIN, "EService:Busy"},
    {"{\"error\":[\"EQuery:Unknown asset pair\"]}", SL_EPROTO, "EQuery:Unknown asset pair"},
    {"{\"error\":[]}", SL_EPROTO, "\"result\" is missing"},
    {"{\"error\":[],\"result\":{\"XXBTZUSD\":{\"asks\":[]}}}", SL_EPROTO, "\"bids\" is missing"},
    {"[]", SL_EPROTO, "not an object"},
    {NULL, 0, NULL},
};

static const venue_case trades[] = {
    {"{\"error\":[],\"result\":{\"XXBTZUSD\":[[\"30243.40000\",\"0.34507674\",1688669597.8277369,\"b\",\"m\",\"\","
     "61044952],"
     "[\"30243.30000\",\"0.00376960\",1688669598.2804112,\"s\",\"l\",\"\",61044953]],\"last\":\"1688671969993150842\"}"
     "}",
     0,
     "trade BTC-USD 61044952 30243.40000x0.34507674 buy @1688669597827736900\n"
     "trade BTC-USD 61044953 30243.30000x0.00376960 sell @1688669598280411200\n"},
    {"{\"error\":[],\"result\":{\"XXBTZUSD\":[[\"1\",\"2\",3]]}}", SL_EPROTO, "a row of 3 values instead of 7"},
    {NULL, 0, NULL},
};

static const venue_case candles[] = {
    {"{\"error\":[],\"result\":{\"XXBTZUSD\":[[1688671200,\"30306.1\",\"30306.2\",\"30305.7\",\"30305.8\",\"30306.1\","
     "\"3.39243896\",23]],\"last\":1688672160}}",
     0, "candle BTC-USD 60s 30306.1 30306.2 30305.7 30305.8 3.39243896 n=23 closed @1688671200000000000\n"},
    {NULL, 0, NULL},
};

static const venue_case pairs[] = {
    {"{\"error\":[],\"result\":{\"XXBTZUSD\":{\"altname\":\"XBTUSD\",\"wsname\":\"XBT\\/USD\",\"base\":\"XXBT\","
     "\"quote\":\"ZUSD\",\"pair_decimals\":1,\"lot_decimals\":8,\"tick_size\":\"0.1\",\"status\":\"online\",\"fees\":[["
     "0,0.26]]},"
     "\"XXDGXXBT\":{\"wsname\":\"XDG/XBT\",\"pair_decimals\":8,\"lot_decimals\":8,\"status\":\"maintenance\"},"
     "\"last\":{\"wsname\":\"SOL/EUR\",\"pair_decimals\":2,\"lot_decimals\":8,\"tick_size\":\"0.5\"},"
     "\"ETHUSDT.d\":{\"altname\":\"ETHUSDT.d\",\"pair_decimals\":2,\"lot_decimals\":8}}}",
     0, ""},
    {"{\"error\":[],\"result\":{\"X\":{\"wsname\":\"A/B\",\"pair_decimals\":99,\"lot_decimals\":8}}}", SL_ERANGE,
     "\"pair_decimals\" or \"lot_decimals\" is out of range"},
    {NULL, 0, NULL},
};

static void answers(void **state)
{
    (void)state;
    static const venue_kind_cases kinds[] = {{SL_REQUEST_SNAPSHOT, books},
                                             {SL_REQUEST_TRADES, trades},
                                             {SL_REQUEST_CANDLES, candles},
                                             {SL_REQUEST_INSTRUMENTS, pairs},
                                             {.cases = NULL}};
    venue_kit_prove_answers(SL_VENUE_KRAKEN, instruments, kinds);
}

static void what_answers_tell(void **state)
{
    (void)state;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_KRAKEN, instruments);
    sl_venue_request request = {
        .kind = SL_REQUEST_TRADES, .instrument = sl_instruments_at(kit.instruments, 0), .limit = 2};
    assert_int_equal(venue_kit_answer(&kit, &request, trades[0].json, strlen(trades[0].json)), 0);
    assert_true(kit.answer.more && kit.answer.rows == 2 && kit.answer.last_id == 61044953);
    assert_string_equal(kit.answer.cursor, "1688671969993150842");
    request.limit = 0;
    assert_int_equal(venue_kit_answer(&kit, &request, trades[0].json, strlen(trades[0].json)), 0);
    assert_false(kit.answer.more);
    assert_int_equal(venue_kit_answer(&kit, &request, books[1].json, strlen(books[1].json)), SL_EAGAIN);
    assert_true(kit.answer.rate_limited);
    assert_int_equal(venue_kit_answer(&kit, &request, books[3].json, strlen(books[3].json)), SL_EPROTO);
    assert_true(kit.answer.no_symbol);
    request.kind = SL_REQUEST_INSTRUMENTS;
    assert_int_equal(venue_kit_answer(&kit, &request, pairs[0].json, strlen(pairs[0].json)), 0);
    assert_int_equal(kit.answer.rows, 3);
    assert_int_equal(kit.decoder->stats.unknown_symbols, 1);
    assert_int_equal(sl_instruments_at(kit.instruments, 3)->status, SL_STATUS_HALTED);
    const sl_instrument *sol = sl_instruments_find_name(kit.instruments, SL_VENUE_KRAKEN, "SOL-EUR");
    assert_non_null(sol);
    assert_string_equal(sol->symbol, "SOL/EUR");
    assert_true(sol->tick.mantissa == 50 && sol->tick.exponent == -2 && sol->lot.exponent == -8);
    venue_kit_close(&kit);
}

/* The example of the venue's guide to the checksum of v2. */
static void the_documented_checksum(void **state)
{
    (void)state;
    static const char *const bids[][2] = {
        {"45283.5", "0.10000000"}, {"45283.4", "1.54582015"}, {"45282.1", "0.10000000"}, {"45281.0", "0.10000000"},
        {"45280.3", "1.54592586"}, {"45279.0", "0.07990000"}, {"45277.6", "0.03310103"}, {"45277.5", "0.30000000"},
        {"45277.3", "1.54602737"}, {"45276.6", "0.15445238"}};
    static const char *const asks[][2] = {
        {"45285.2", "0.00100000"}, {"45286.4", "1.54571953"}, {"45286.6", "1.54571109"}, {"45289.6", "1.54560911"},
        {"45290.2", "0.15890660"}, {"45291.8", "1.54553491"}, {"45294.7", "0.04454749"}, {"45296.1", "0.35380000"},
        {"45297.5", "0.09945542"}, {"45299.5", "0.18772827"}};
    sl_level levels[2][10];
    sl_book *book = NULL;
    for (size_t at = 0; at < 10; at++) {
        assert_int_equal(sl_decimal_parse(bids[at][0], strlen(bids[at][0]), &levels[0][at].price), 0);
        assert_int_equal(sl_decimal_parse(bids[at][1], strlen(bids[at][1]), &levels[0][at].quantity), 0);
        assert_int_equal(sl_decimal_parse(asks[at][0], strlen(asks[at][0]), &levels[1][at].price), 0);
        assert_int_equal(sl_decimal_parse(asks[at][1], strlen(asks[at][1]), &levels[1][at].quantity), 0);
    }
    sl_levels both = {levels[0], levels[1], 10, 10};
    assert_int_equal(sl_book_new(0, &book), 0);
    assert_int_equal(sl_book_set(book, &both), 0);
    assert_int_equal(sl_venue_driver_of(SL_VENUE_KRAKEN)->book_checksum(book), UINT32_C(3310070434));
    sl_book_free(book);
}

/* ---- the captured session ---- */

struct session {
    venue_kit kit;
    sl_book *books[16];
    size_t messages, snapshots, updates, matches, trades, tickers;
};

/* Cuts a side to the depth that the venue keeps: what falls out is never deleted by it. */
static void cut_side(sl_book *book, sl_side side, size_t depth)
{
    while (sl_book_count(book, side) > depth) {
        sl_book_cursor cursor = sl_book_first(book, side);
        const sl_level *level = NULL;
        for (size_t at = 0; at <= depth; at++) {
            level = sl_book_next(&cursor);
        }
        sl_level gone = {level->price, {0, 0}};
        bool bid = side == SL_SIDE_BUY;
        sl_levels change = {bid ? &gone : NULL, bid ? NULL : &gone, bid ? 1 : 0, bid ? 0 : 1};
        assert_int_equal(sl_book_apply(book, &change), 0);
    }
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct session *session = arg;
    sl_book **book = &session->books[event->instrument->index];
    session->trades += event->kind == SL_EVENT_TRADE ? 1 : 0;
    session->tickers += event->kind == SL_EVENT_TICKER ? 1 : 0;
    if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        assert_null(*book);
        assert_int_equal(sl_book_new(0, book), 0);
        assert_int_equal(sl_book_set(*book, &event->as.snapshot.levels), 0);
        assert_int_equal(event->as.snapshot.depth, 1000);
        session->snapshots++;
    } else if (event->kind == SL_EVENT_BOOK_DELTA) {
        assert_int_equal(sl_book_apply(*book, &event->as.delta.levels), 0);
        cut_side(*book, SL_SIDE_BUY, event->as.delta.depth);
        cut_side(*book, SL_SIDE_SELL, event->as.delta.depth);
        assert_true(event->as.delta.checksum.given);
        session->updates++;
        session->matches += session->kit.driver->book_checksum(*book) == event->as.delta.checksum.value ? 1 : 0;
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

static void take_list(void *arg, const char *url, const char *text, size_t size_bytes)
{
    struct session *session = arg;
    if (strstr(url, "AssetPairs") != NULL) {
        sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
        assert_int_equal(venue_kit_answer(&session->kit, &request, text, size_bytes), 0);
    }
}

static void captured_session(void **state)
{
    (void)state;
    static const char *const pairs_of_it[] = {"WAVES/EUR", "XMR/USD", "KSM/BTC",   "GRT/ETH", "SC/EUR",
                                              "ETH/CHF",   "BTC/CHF", "OCEAN/BTC", "OMG/USD", "ADA/BTC"};
    struct session session = {0};
    venue_kit_instrument wanted[11] = {{.symbol = NULL}};
    for (size_t at = 0; at < 10; at++) {
        wanted[at] = (venue_kit_instrument){.symbol = pairs_of_it[at], .base = "", .quote = ""};
    }
    wanted[10].symbol = NULL;
    venue_kit_open(&session.kit, SL_VENUE_KRAKEN, wanted);
    session.kit.silent = true;
    venue_kit_capture_rest("KRAKEN.0", take_list, &session);
    print_message("%zu pairs in the list\n", sl_instruments_count(session.kit.instruments));
    assert_true(sl_instruments_count(session.kit.instruments) > 200);
    session.kit.arg = &session;
    session.kit.event = on_event;
    venue_kit_capture("KRAKEN.ws.50.0", take, &session);
    venue_kit_capture("KRAKEN.ws.48.0", take, &session);
    venue_kit_capture("KRAKEN.ws.49.0", take, &session);
    print_message("%zu messages: %zu snapshots, %zu updates, %zu checksums match; %zu trades, %zu tickers\n",
                  session.messages, session.snapshots, session.updates, session.matches, session.trades,
                  session.tickers);
    assert_int_equal(session.snapshots, 10);
    assert_int_equal(session.updates, 4269);
    assert_int_equal(session.matches, 4269);
    assert_true(session.trades > 0 && session.tickers > 0);
    for (size_t at = 0; at < 16; at++) {
        sl_book_free(session.books[at]);
    }
    venue_kit_close(&session.kit);
}

SL_TEST_MAIN(cmocka_unit_test(every_kind_of_message), cmocka_unit_test(every_kind_of_recorded_message),
             cmocka_unit_test(the_depth_is_guessed), cmocka_unit_test(subscriptions), cmocka_unit_test(requests),
             cmocka_unit_test(answers), cmocka_unit_test(what_answers_tell), cmocka_unit_test(the_documented_checksum),
             cmocka_unit_test(captured_session))
