/* SPDX-License-Identifier: MIT */
/* Binance's control messages and requests: streams' names, paths, costs, answers. */
#include "sl_test.h"

#include <string.h>

#include "market_kit.h"

static struct market_kit *kits[SL_VENUE_COUNT];

static int open_kits(void **state)
{
    (void)state;
    kits[SL_VENUE_BINANCE_SPOT] = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT ETHUSDT A-B \xe5\xb8\x81USDT");
    kits[SL_VENUE_BINANCE_USDM] = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT ETHUSDT");
    kits[SL_VENUE_BINANCE_COINM] = market_kit_open(SL_VENUE_BINANCE_COINM, "BTCUSD_PERP");
    return 0;
}

static int close_kits(void **state)
{
    (void)state;
    for (int venue = SL_VENUE_BINANCE_SPOT; venue <= SL_VENUE_BINANCE_COINM; venue++) {
        market_kit_close(kits[venue]);
    }
    return 0;
}

static sl_subscription subscription(sl_venue venue, const char *symbol, sl_feed feed)
{
    return (sl_subscription){.feed = feed, .instrument = market_kit_instrument(kits[venue], symbol)};
}

static void streams_have_names(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        const char *symbol;
        sl_feed feed;
        uint32_t depth;
        int64_t interval_ms;
        const char *expected; /* NULL: SL_EINVAL */
    } names[] = {
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_TRADES, 0, 0, "btcusdt@trade"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_AGG_TRADES, 0, 0, "btcusdt@aggTrade"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_BEST, 0, 0, "btcusdt@bookTicker"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_TICKER, 0, 0, "btcusdt@ticker"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH, 0, 0, "btcusdt@depth@100ms"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH, 0, 1000, "btcusdt@depth"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH, 20, 0, "btcusdt@depth20@100ms"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH, 5, 1000, "btcusdt@depth5"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH, 7, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH, 0, 500, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_CANDLES, 0, 1000, "btcusdt@kline_1s"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_CANDLES, 0, 86400000, "btcusdt@kline_1d"},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_CANDLES, 0, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_FUNDING, 0, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_LIQUIDATIONS, 0, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_STATUS, 0, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_SNAPSHOT, 0, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_TRADES, 5, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_TRADES, 0, 100, NULL},
        {SL_VENUE_BINANCE_SPOT, "A-B", SL_FEED_TRADES, 0, 0, NULL},
        {SL_VENUE_BINANCE_SPOT, "\xe5\xb8\x81USDT", SL_FEED_TRADES, 0, 0, "\xe5\xb8\x81usdt@trade"},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_DEPTH, 0, 0, "btcusdt@depth@0ms"},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_DEPTH, 0, 250, "btcusdt@depth"},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_DEPTH, 10, 0, "btcusdt@depth10@100ms"},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_CANDLES, 0, 1000, NULL},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_FUNDING, 0, 0, "btcusdt@markPrice@1s"},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_LIQUIDATIONS, 0, 0, "btcusdt@forceOrder"},
        {SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_STATUS, 0, 0, "!contractInfo"},
        {SL_VENUE_BINANCE_COINM, "BTCUSD_PERP", SL_FEED_DEPTH, 0, 500, "btcusd_perp@depth@500ms"},
    };
    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        const sl_venue_driver *driver = sl_venue_driver_of(names[at].venue);
        sl_subscription one = subscription(names[at].venue, names[at].symbol, names[at].feed);
        one.depth = names[at].depth;
        one.interval_ns = names[at].interval_ms * 1000000;
        char buffer[512];
        char expected[512];
        size_t size_bytes = 0;
        int count = driver->subscribe(&one, 1, false, 12, buffer, sizeof(buffer), &size_bytes);
        if (names[at].expected == NULL) {
            assert_int_equal(count, SL_EINVAL);
            continue;
        }
        assert_int_equal(count, 1);
        (void)snprintf(expected, sizeof(expected), "{\"method\":\"SUBSCRIBE\",\"params\":[\"%s\"],\"id\":12}",
                       names[at].expected);
        assert_string_equal(buffer, expected);
        assert_int_equal(size_bytes, strlen(expected));
        /* every feed that has a stream is promised, and no other */
        assert_true((driver->feeds & SL_FEED_BIT(names[at].feed)) != 0);
    }
}

static void control_messages_are_split(void **state)
{
    (void)state;
    const sl_venue_driver *driver = sl_venue_driver_of(SL_VENUE_BINANCE_SPOT);
    enum { COUNT = 1000 };
    sl_subscription *many = test_calloc(COUNT, sizeof(*many));
    char *buffer = test_malloc(SL_VENUE_CONTROL_MAX);
    for (int at = 0; at < COUNT; at++) {
        many[at] = subscription(SL_VENUE_BINANCE_SPOT, at % 2 == 0 ? "BTCUSDT" : "ETHUSDT", SL_FEED_DEPTH);
    }
    int messages = 0;
    for (int done = 0; done < COUNT; messages++) {
        size_t size_bytes = 0;
        int count = driver->subscribe(many + done, (size_t)(COUNT - done), true, INT64_MIN, buffer,
                                      SL_VENUE_CONTROL_MAX, &size_bytes);
        assert_true(count > 0);
        assert_true(size_bytes <= driver->limits.message_bytes && size_bytes == strlen(buffer));
        assert_string_equal(buffer + size_bytes - 2, "8}");
        assert_int_equal(strncmp(buffer, "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"", 34), 0);
        sl_auto(sl_json) *json = NULL;
        sl_json_text text;
        assert_int_equal(sl_json_new(0, &json), 0);
        assert_int_equal(sl_json_open(json, buffer, size_bytes, 0), 0);
        assert_int_equal(sl_json_enter_object(json), 0);
        assert_int_equal(sl_json_find_field(json, "params"), 0);
        assert_int_equal(sl_json_enter_array(json), 0);
        int params = 0;
        while (sl_json_next_string(json, &text) > 0) {
            assert_true(sl_json_is(text, params % 2 == done % 2 ? "btcusdt@depth@100ms" : "ethusdt@depth@100ms"));
            params++;
        }
        assert_int_equal(params, count);
        done += count;
    }
    assert_true(messages > 3 && messages < 10);
    size_t size_bytes = 0;
    assert_int_equal(driver->subscribe(many, 1, false, 1, buffer, 50, &size_bytes), SL_EMSGSIZE);
    assert_int_equal(driver->subscribe(many, 1, false, 1, buffer, 10, &size_bytes), SL_EMSGSIZE);
    assert_int_equal(driver->subscribe(many, 0, false, 1, buffer, 500, &size_bytes), SL_EINVAL);
    test_free(many);
    test_free(buffer);
}

static void usdm_has_routes(void **state)
{
    (void)state;
    const sl_venue_driver *driver = sl_venue_driver_of(SL_VENUE_BINANCE_USDM);
    sl_subscription two[] = {subscription(SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_FEED_DEPTH),
                             subscription(SL_VENUE_BINANCE_USDM, "ETHUSDT", SL_FEED_TRADES)};
    char buffer[64];
    assert_true(driver->together(&two[0], &two[1]));
    assert_int_equal(driver->stream_path(two, 2, buffer, sizeof(buffer)), 14);
    assert_string_equal(buffer, "/public/stream");
    for (int feed = SL_FEED_TRADES; feed < SL_FEED_SNAPSHOT; feed++) {
        two[1].feed = (sl_feed)feed;
        bool public = feed == SL_FEED_TRADES || feed == SL_FEED_DEPTH || feed == SL_FEED_BEST;
        assert_int_equal(driver->together(&two[0], &two[1]), public);
        assert_int_equal(driver->stream_path(two, 2, buffer, sizeof(buffer)), public ? 14 : SL_EINVAL);
        assert_true(driver->stream_path(&two[1], 1, buffer, sizeof(buffer)) > 0);
        assert_string_equal(buffer, public ? "/public/stream" : "/market/stream");
    }
    assert_int_equal(driver->stream_path(two, 0, buffer, sizeof(buffer)), SL_EINVAL);
    assert_int_equal(driver->stream_path(two, 1, buffer, 14), SL_EMSGSIZE);
    sl_subscription spot[] = {subscription(SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_DEPTH),
                              subscription(SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_FEED_AGG_TRADES)};
    assert_true(sl_venue_driver_of(SL_VENUE_BINANCE_SPOT)->stream_path(spot, 2, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/stream");
}

static const struct path_case {
    sl_venue venue;
    const char *symbol;
    sl_venue_request request;
    uint32_t cost;
    const char *expected;
    int code;
} paths[] = {
    {SL_VENUE_BINANCE_SPOT,
     NULL,
     {.kind = SL_REQUEST_INSTRUMENTS},
     20,
     "/api/v3/exchangeInfo?showPermissionSets=false",
     0},
    {SL_VENUE_BINANCE_USDM, NULL, {.kind = SL_REQUEST_INSTRUMENTS}, 1, "/fapi/v1/exchangeInfo", 0},
    {SL_VENUE_BINANCE_SPOT, "BTCUSDT", {.kind = SL_REQUEST_SNAPSHOT}, 50, "/api/v3/depth?symbol=BTCUSDT&limit=1000", 0},
    {SL_VENUE_BINANCE_SPOT,
     "BTCUSDT",
     {.kind = SL_REQUEST_SNAPSHOT, .limit = 100},
     5,
     "/api/v3/depth?symbol=BTCUSDT&limit=100",
     0},
    {SL_VENUE_BINANCE_SPOT,
     "BTCUSDT",
     {.kind = SL_REQUEST_SNAPSHOT, .limit = 101},
     25,
     "/api/v3/depth?symbol=BTCUSDT&limit=101",
     0},
    {SL_VENUE_BINANCE_SPOT,
     "BTCUSDT",
     {.kind = SL_REQUEST_SNAPSHOT, .limit = 5000},
     250,
     "/api/v3/depth?symbol=BTCUSDT&limit=5000",
     0},
    {SL_VENUE_BINANCE_SPOT, "BTCUSDT", {.kind = SL_REQUEST_SNAPSHOT, .limit = 5001}, 250, NULL, SL_EINVAL},
    {SL_VENUE_BINANCE_SPOT,
     "\xe5\xb8\x81USDT",
     {.kind = SL_REQUEST_SNAPSHOT, .limit = 5},
     5,
     "/api/v3/depth?symbol=%E5%B8%81USDT&limit=5",
     0},
    {SL_VENUE_BINANCE_USDM,
     "BTCUSDT",
     {.kind = SL_REQUEST_SNAPSHOT},
     20,
     "/fapi/v1/depth?symbol=BTCUSDT&limit=1000",
     0},
    {SL_VENUE_BINANCE_USDM, "BTCUSDT", {.kind = SL_REQUEST_SNAPSHOT, .limit = 101}, 20, NULL, SL_EINVAL},
    {SL_VENUE_BINANCE_COINM,
     "BTCUSD_PERP",
     {.kind = SL_REQUEST_SNAPSHOT, .limit = 5},
     2,
     "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=5",
     0},
    {SL_VENUE_BINANCE_SPOT, "BTCUSDT", {.kind = SL_REQUEST_TRADES}, 25, "/api/v3/trades?symbol=BTCUSDT&limit=1000", 0},
    {SL_VENUE_BINANCE_SPOT,
     "BTCUSDT",
     {.kind = SL_REQUEST_TRADES, .from_id = 7, .limit = 500},
     25,
     "/api/v3/historicalTrades?symbol=BTCUSDT&limit=500&fromId=7",
     0},
    {SL_VENUE_BINANCE_SPOT,
     "BTCUSDT",
     {.kind = SL_REQUEST_TRADES, .from_id = 7, .feed = SL_FEED_AGG_TRADES},
     4,
     "/api/v3/aggTrades?symbol=BTCUSDT&limit=1000&fromId=7",
     0},
    {SL_VENUE_BINANCE_USDM,
     "BTCUSDT",
     {.kind = SL_REQUEST_TRADES, .from_time_ns = 1723161256322000000},
     20,
     "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1000&startTime=1723161256322",
     0},
    {SL_VENUE_BINANCE_USDM, "BTCUSDT", {.kind = SL_REQUEST_TRADES}, 5, "/fapi/v1/trades?symbol=BTCUSDT&limit=1000", 0},
    {SL_VENUE_BINANCE_USDM, "BTCUSDT", {.kind = SL_REQUEST_TRADES, .from_id = -1}, 5, NULL, SL_EINVAL},
    {SL_VENUE_BINANCE_SPOT,
     "BTCUSDT",
     {.kind = SL_REQUEST_CANDLES, .interval_ns = 60000000000, .from_time_ns = 5000000, .to_time_ns = 9000000},
     2,
     "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000&startTime=5&endTime=9",
     0},
    {SL_VENUE_BINANCE_USDM,
     "BTCUSDT",
     {.kind = SL_REQUEST_CANDLES, .interval_ns = 3600000000000, .limit = 99},
     1,
     "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=99",
     0},
    {SL_VENUE_BINANCE_COINM,
     "BTCUSD_PERP",
     {.kind = SL_REQUEST_CANDLES,
      .interval_ns = SL_MINUTES(1),
      .limit = 100,
      .from_time_ns = SL_SECONDS(1700000040),
      .to_time_ns = SL_SECONDS(1700006040)},
     2,
     "/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1m&limit=100&startTime=1700000040000&endTime=1700006039999",
     0},
    {SL_VENUE_BINANCE_COINM,
     "BTCUSD_PERP",
     {.kind = SL_REQUEST_CANDLES,
      .interval_ns = SL_MINUTES(1),
      .from_time_ns = SL_SECONDS(1700000040),
      .to_time_ns = SL_SECONDS(1700000100)},
     5,
     "/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1m&limit=1000&startTime=1700000040000&endTime=1700000100000",
     0},
    {SL_VENUE_BINANCE_COINM,
     "BTCUSD_PERP",
     {.kind = SL_REQUEST_CANDLES, .interval_ns = SL_MINUTES(60 * 24 * 7), .from_time_ns = SL_SECONDS(1600000000)},
     5,
     "/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1w&limit=1000&startTime=1600000000000&endTime=1617279999999",
     0},
    {SL_VENUE_BINANCE_USDM, "BTCUSDT", {.kind = SL_REQUEST_CANDLES, .interval_ns = 7}, 5, NULL, SL_EINVAL},
    {SL_VENUE_BINANCE_USDM,
     "BTCUSDT",
     {.kind = SL_REQUEST_OPEN_INTEREST},
     1,
     "/fapi/v1/openInterest?symbol=BTCUSDT",
     0},
    {SL_VENUE_BINANCE_SPOT, "BTCUSDT", {.kind = SL_REQUEST_OPEN_INTEREST}, 2, NULL, SL_ENOTSUP},
    {SL_VENUE_BINANCE_SPOT, "BTCUSDT", {.kind = SL_REQUEST_NONE}, 2, NULL, SL_ENOTSUP},
    {SL_VENUE_BINANCE_SPOT, NULL, {.kind = SL_REQUEST_SNAPSHOT}, 50, NULL, SL_EINVAL},
};

static void requests_have_paths_and_costs(void **state)
{
    (void)state;
    const struct path_case *cases = paths;
    for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at++) {
        const sl_venue_driver *driver = sl_venue_driver_of(cases[at].venue);
        sl_venue_request request = cases[at].request;
        char buffer[256];
        if (cases[at].symbol != NULL) {
            request.instrument = market_kit_instrument(kits[cases[at].venue], cases[at].symbol);
        }
        int length = driver->rest_path(&request, buffer, sizeof(buffer));
        if (cases[at].expected == NULL) {
            assert_int_equal(length, cases[at].code);
            continue;
        }
        assert_int_equal(length, strlen(cases[at].expected));
        assert_string_equal(buffer, cases[at].expected);
        assert_int_equal(sl_venue_cost(driver, &request), cases[at].cost);
        assert_int_equal(driver->rest_path(&request, buffer, (size_t)length), SL_EMSGSIZE);
    }
}

static void instruments_are_listed(void **state)
{
    (void)state;
    struct market_kit *kit = kits[SL_VENUE_BINANCE_SPOT];
    const sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
    assert_int_equal(
        market_kit_rest(kit, &request,
                        "{\"timezone\":\"UTC\",\"rateLimits\":[{}],\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":"
                        "\"TRADING\",\"baseAsset\":\"BTC\",\"quoteAsset\":\"USDT\",\"filters\":[{\"filterType\":"
                        "\"PRICE_FILTER\",\"tickSize\":\"0.01000000\"},{\"filterType\":\"LOT_SIZE\",\"stepSize\":"
                        "\"0.00001000\"},{\"filterType\":\"X\"}],\"permissions\":[]},{\"symbol\":\"NEWBTC\",\"status\":"
                        "\"BREAK\",\"baseAsset\":\"NEW\",\"quoteAsset\":\"BTC\"},{\"symbol\":\"A NAME\"},{\"symbol\":"
                        "\"AVERYLONGSYMBOLTHATNOVENUEWOULDEVERHAVEINITSLIST\"}]}"),
        0);
    assert_int_equal(kit->answer.rows, 2);
    assert_int_equal(kit->decoder->stats.unknown_symbols, 2); /* a space, too long: counted, and the rest is there */
    const sl_instrument *btc = market_kit_instrument(kit, "BTCUSDT");
    assert_string_equal(btc->base, "BTC");
    assert_int_equal(btc->status, SL_STATUS_TRADING);
    market_kit_assert_decimal(btc->tick, "0.01");
    market_kit_assert_decimal(btc->lot, "0.00001");
    const sl_instrument *new = market_kit_instrument(kit, "NEWBTC");
    assert_string_equal(new->name, "NEW-BTC");
    assert_int_equal(new->status, SL_STATUS_HALTED);
    assert_int_equal(new->type, SL_INSTRUMENT_SPOT);

    kit = kits[SL_VENUE_BINANCE_USDM];
    assert_int_equal(
        market_kit_rest(kit, &request,
                        "{\"symbols\":[{\"symbol\":\"XUSDT_240927\",\"pair\":\"XUSDT\",\"contractType\":"
                        "\"CURRENT_QUARTER\",\"deliveryDate\":1727424000000,\"status\":\"PENDING_TRADING\","
                        "\"baseAsset\":\"X\",\"quoteAsset\":\"USDT\",\"marginAsset\":\"USDT\"},{\"symbol\":"
                        "\"YUSDT\",\"contractType\":\"TRADIFI_PERPETUAL\",\"deliveryDate\":4133404800000,"
                        "\"status\":\"DELIVERED\",\"baseAsset\":\"Y\",\"quoteAsset\":\"USDT\","
                        "\"marginAsset\":\"USDT\"}]}"),
        0);
    const sl_instrument *future = market_kit_instrument(kit, "XUSDT_240927");
    assert_string_equal(future->name, "X-USDT-USDT-20240927");
    assert_int_equal(future->type, SL_INSTRUMENT_FUTURE);
    const sl_instrument *perpetual = market_kit_instrument(kit, "YUSDT");
    assert_string_equal(perpetual->name, "Y-USDT-USDT");
    assert_int_equal(perpetual->expiry_ns, 0);
    assert_int_equal(perpetual->status, SL_STATUS_DELISTED);

    kit = kits[SL_VENUE_BINANCE_COINM];
    assert_int_equal(
        market_kit_rest(kit, &request,
                        "{\"symbols\":[{\"symbol\":\"ETHUSD_PERP\",\"contractType\":\"PERPETUAL\","
                        "\"deliveryDate\":4133404800000,\"contractStatus\":\"TRADING\",\"contractSize\":10,"
                        "\"baseAsset\":\"ETH\",\"quoteAsset\":\"USD\",\"marginAsset\":\"ETH\"},"
                        "{\"symbol\":\"LUNAUSD_PERP\",\"contractType\":\"PERPETUAL DELIVERING\","
                        "\"deliveryDate\":1652320800000,\"contractStatus\":\"DELIVERING\",\"contractSize\":10,"
                        "\"baseAsset\":\"LUNA\",\"quoteAsset\":\"USD\",\"marginAsset\":\"LUNA\"},"
                        "{\"symbol\":\"NEWUSD_PERP\",\"contractType\":\"\","
                        "\"deliveryDate\":4133404800000,\"contractStatus\":\"PENDING_TRADING\","
                        "\"baseAsset\":\"NEW\",\"quoteAsset\":\"USD\",\"marginAsset\":\"NEW\"}]}"),
        0);
    assert_string_equal(market_kit_instrument(kit, "ETHUSD_PERP")->name, "ETH-USD-ETH");
    assert_string_equal(market_kit_instrument(kit, "LUNAUSD_PERP")->name, "LUNA-USD-LUNA");
    assert_int_equal(market_kit_instrument(kit, "LUNAUSD_PERP")->type, SL_INSTRUMENT_PERPETUAL);
    assert_string_equal(market_kit_instrument(kit, "NEWUSD_PERP")->name, "NEW-USD-NEW");
    assert_int_equal(market_kit_instrument(kit, "NEWUSD_PERP")->type, SL_INSTRUMENT_UNKNOWN);
    market_kit_assert_decimal(market_kit_instrument(kit, "ETHUSD_PERP")->contract_size, "10");
    assert_int_equal(market_kit_rest(kit, &request, "{\"symbols\":{}}"), SL_EPROTO);
    assert_int_equal(market_kit_rest(kit, &request, "{\"symbols\":[1]}"), SL_EPROTO);
    assert_int_equal(market_kit_rest(kit, &request, "{\"code\":-1003,\"msg\":\"Too much\"}"), SL_EAGAIN);
}

static void rows_are_read(void **state)
{
    (void)state;
    struct market_kit *kit = kits[SL_VENUE_BINANCE_SPOT];
    sl_venue_request request = {.kind = SL_REQUEST_TRADES, .instrument = market_kit_instrument(kit, "BTCUSDT")};
    request.limit = 2;
    assert_int_equal(
        market_kit_rest(kit, &request,
                        "[{\"id\":28457,\"price\":\"4.00000100\",\"qty\":\"12.00000000\",\"quoteQty\":\"48\","
                        "\"time\":1499865549590,\"isBuyerMaker\":true,\"isBestMatch\":true},{\"id\":28458,"
                        "\"price\":\"4\",\"qty\":\"1\",\"time\":1499865549591,\"isBuyerMaker\":false}]"),
        0);
    assert_int_equal(kit->event_count, 2);
    assert_int_equal(kit->events[0].feed, SL_FEED_TRADES);
    assert_int_equal(kit->events[0].as.trade.id, 28457);
    assert_int_equal(kit->events[0].as.trade.taker, SL_SIDE_SELL);
    market_kit_assert_decimal(kit->events[0].as.trade.price, "4.00000100");
    assert_true(kit->events[1].venue_time_ns == INT64_C(1499865549591000000));
    assert_true(kit->answer.more);
    assert_int_equal(kit->answer.last_id, 28458);

    request = (sl_venue_request){
        .kind = SL_REQUEST_TRADES, .instrument = request.instrument, .feed = SL_FEED_AGG_TRADES, .from_id = 1};
    assert_int_equal(market_kit_rest(kit, &request,
                                     "[{\"a\":26129,\"p\":\"0.01633102\",\"q\":\"4.70443515\",\"f\":27781,\"l\":27783,"
                                     "\"T\":1498793709153,\"m\":true,\"M\":true}]"),
                     0);
    assert_int_equal(kit->events[0].feed, SL_FEED_AGG_TRADES);
    assert_int_equal(kit->events[0].as.trade.last_id, 27783);
    assert_false(kit->answer.more);

    request =
        (sl_venue_request){.kind = SL_REQUEST_CANDLES, .instrument = request.instrument, .interval_ns = SL_SECONDS(60)};
    assert_int_equal(
        market_kit_rest(kit, &request,
                        "[[0,\"0.1\",\"0.8\",\"0.2\",\"0.5\",\"148976.1\",59999,\"2434.1\",308,\"1\",\"2\","
                        "\"0\"]]"),
        0);
    assert_int_equal(kit->events[0].kind, SL_EVENT_CANDLE);
    assert_int_equal(kit->events[0].as.candle.trades, 308);
    market_kit_assert_decimal(kit->events[0].as.candle.low, "0.2");
    assert_false(kit->events[0].as.candle.closed); /* received at 42 ns */

    kit = kits[SL_VENUE_BINANCE_USDM];
    request = (sl_venue_request){.kind = SL_REQUEST_OPEN_INTEREST, .instrument = market_kit_instrument(kit, "BTCUSDT")};
    assert_int_equal(market_kit_rest(kit, &request,
                                     "{\"openInterest\":\"10659.509\",\"symbol\":\"BTCUSDT\",\"time\":1589437530011}"),
                     0);
    market_kit_assert_decimal(kit->events[0].as.open_interest.quantity, "10659.509");
    assert_true(kit->events[0].venue_time_ns == INT64_C(1589437530011000000));

    request.kind = SL_REQUEST_SNAPSHOT;
    assert_int_equal(market_kit_rest(kit, &request,
                                     "{\"lastUpdateId\":1007198635033,\"E\":1723161257835,\"T\":1723161257823,"
                                     "\"bids\":[[\"1\",\"2\"]],\"asks\":[]}"),
                     0);
    assert_int_equal(kit->events[0].kind, SL_EVENT_BOOK_SNAPSHOT);
    assert_int_equal(kit->events[0].feed, SL_FEED_SNAPSHOT);
    assert_true(kit->events[0].venue_time_ns == INT64_C(1723161257823000000));
    assert_int_equal(kit->events[0].as.snapshot.levels.bid_count, 1);
    assert_int_equal(market_kit_rest(kit, &request, "{\"lastUpdateId\":-1,\"bids\":[],\"asks\":[]}"), 0);
    assert_int_equal(kit->events[0].as.snapshot.last_id, -1);
}

static void bad_answers_are_told(void **state)
{
    (void)state;
    static const struct {
        sl_venue_request_kind kind;
        const char *text;
        int code;
        int64_t error;
        bool no_symbol, limited;
    } cases[] = {
        {SL_REQUEST_SNAPSHOT, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", SL_EPROTO, -1121, true, false},
        {SL_REQUEST_TRADES, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", SL_EPROTO, -1121, true, false},
        {SL_REQUEST_TRADES, "{\"code\":-1003,\"msg\":\"Too much request weight used\"}", SL_EAGAIN, -1003, false, true},
        {SL_REQUEST_OPEN_INTEREST, "{\"code\":-1001,\"msg\":\"Internal error\"}", SL_EAGAIN, -1001, false, false},
        {SL_REQUEST_SNAPSHOT, "{\"code\":-2015,\"msg\":\"Invalid API-key\"}", SL_EPROTO, -2015, false, false},
        {SL_REQUEST_SNAPSHOT, "[]", SL_EPROTO, 0, false, false},
        {SL_REQUEST_SNAPSHOT, "{\"lastUpdateId\":1,\"bids\":[]}", SL_EPROTO, 0, false, false},
        {SL_REQUEST_SNAPSHOT, "<html>", SL_EPROTO, 0, false, false},
        {SL_REQUEST_TRADES, "{}", SL_EPROTO, 0, false, false},
        {SL_REQUEST_TRADES, "[{\"id\":1}]", SL_EPROTO, 0, false, false},
        {SL_REQUEST_TRADES, "[1]", SL_EPROTO, 0, false, false},
        {SL_REQUEST_CANDLES, "[[1,\"2\"]]", SL_EPROTO, 0, false, false},
        {SL_REQUEST_OPEN_INTEREST, "{\"symbol\":\"BTCUSDT\"}", SL_EPROTO, 0, false, false},
    };
    struct market_kit *kit = kits[SL_VENUE_BINANCE_USDM];
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_venue_request request = {.kind = cases[at].kind, .instrument = market_kit_instrument(kit, "BTCUSDT")};
        int code = market_kit_rest(kit, &request, cases[at].text);
        if (code != cases[at].code || kit->answer.error_code != cases[at].error ||
            kit->answer.no_symbol != cases[at].no_symbol || kit->answer.rate_limited != cases[at].limited) {
            fail_msg("%s: code %d, %s", cases[at].text, code, sl_venue_problem(kit->decoder));
        }
        assert_true(strlen(sl_venue_problem(kit->decoder)) > 5);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_kits, close_kits)

SL_TEST_MAIN(TEST(streams_have_names), TEST(control_messages_are_split), TEST(usdm_has_routes),
             TEST(requests_have_paths_and_costs), TEST(instruments_are_listed), TEST(rows_are_read),
             TEST(bad_answers_are_told))
