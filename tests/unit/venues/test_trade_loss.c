/* SPDX-License-Identifier: MIT */
/*
 * Trades that a venue's stream did not bring, from its messages through its decoder to the tracker: where its numbers
 * say so each one is told, and nothing else is; where they do not (Bybit, Bitstamp) a lost connection is told.
 */
#include "venue_kit.h"

#include "market/tracker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TRADES 3000
#define SEEDS 4

/* How a venue writes the trade number `id`; of aggregates also the number of the first one in it. */
struct style {
    sl_venue venue;
    sl_feed feed;
    const char *symbol;
    bool numbered; /* a lost one is seen */
    bool ranges;   /* one message may be several */
    void (*write)(char *text, size_t size_bytes, int64_t first, int64_t id);
};

#define WRITE(name, ...)                                                                                               \
    static void name(char *text, size_t size_bytes, int64_t first, int64_t id)                                         \
    {                                                                                                                  \
        (void)first;                                                                                                   \
        int length = snprintf(text, size_bytes, __VA_ARGS__);                                                          \
        assert_true(length > 0 && (size_t)length < size_bytes);                                                        \
    }

WRITE(binance,
      "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":5,\"s\":\"BTCUSDT\",\"t\":%" PRId64
      ",\"p\":\"1.5\",\"q\":\"2\",\"T\":5,\"m\":true}}",
      id)
WRITE(binance_aggregate,
      "{\"e\":\"aggTrade\",\"E\":5,\"s\":\"BTCUSDT\",\"a\":%" PRId64 ",\"p\":\"1.5\",\"q\":\"2\",\"f\":%" PRId64
      ",\"l\":%" PRId64 ",\"T\":5,\"m\":false}",
      id, 7 * id, 7 * id + 3)
WRITE(coinbase,
      "{\"type\":\"match\",\"trade_id\":%" PRId64
      ",\"side\":\"sell\",\"size\":\"1\",\"price\":\"2\",\"product_id\":\"BTC-USD\",\"sequence\":50,"
      "\"time\":\"2022-01-31T14:44:00.000000Z\"}",
      id)
WRITE(kraken,
      "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"side\":\"buy\",\"price\":1.5,"
      "\"qty\":2,\"ord_type\":\"limit\",\"trade_id\":%" PRId64 ",\"timestamp\":\"2022-01-31T14:44:00.000000Z\"}]}",
      id)
WRITE(okx,
      "{\"arg\":{\"channel\":\"trades-all\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instId\":\"BTC-USDT\",\"tradeId\":"
      "\"%" PRId64 "\",\"px\":\"1.5\",\"sz\":\"2\",\"side\":\"buy\",\"ts\":\"5\"}]}",
      id)
WRITE(okx_aggregate,
      "{\"arg\":{\"channel\":\"trades\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instId\":\"BTC-USDT\",\"tradeId\":"
      "\"%" PRId64 "\",\"px\":\"1.5\",\"sz\":\"2\",\"side\":\"buy\",\"ts\":\"5\",\"count\":\"%" PRId64
      "\",\"seqId\":9}]}",
      id, id - first + 1)
WRITE(bybit_spot,
      "{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":5,\"data\":[{\"T\":5,\"s\":\"BTCUSDT\",\"S\":"
      "\"Buy\",\"v\":\"1\",\"p\":\"2\",\"i\":\"22900000000%" PRId64 "\",\"BT\":false,\"seq\":%" PRId64 "}]}",
      id, 17 * id)
WRITE(bybit_linear,
      "{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":5,\"data\":[{\"T\":5,\"s\":\"BTCUSDT\",\"S\":"
      "\"Buy\",\"v\":\"1\",\"p\":\"2\",\"i\":\"20f43950-d8dd-5b31-9112-%012" PRId64 "\",\"BT\":false}]}",
      id)
WRITE(bitstamp,
      "{\"event\":\"trade\",\"channel\":\"live_trades_btcusd\",\"data\":{\"id\":%" PRId64
      ",\"amount\":1,\"amount_str\":\"1\",\"price\":2,\"price_str\":\"2\",\"type\":0,\"microtimestamp\":\"5\"}}",
      11 * id)

static const struct style styles[] = {
    {SL_VENUE_BINANCE_SPOT, SL_FEED_TRADES, "BTCUSDT", true, false, binance},
    {SL_VENUE_BINANCE_USDM, SL_FEED_AGG_TRADES, "BTCUSDT", true, false, binance_aggregate},
    {SL_VENUE_BINANCE_COINM, SL_FEED_TRADES, "BTCUSDT", true, false, binance},
    {SL_VENUE_COINBASE, SL_FEED_TRADES, "BTC-USD", true, false, coinbase},
    {SL_VENUE_KRAKEN, SL_FEED_TRADES, "BTC/USD", true, false, kraken},
    {SL_VENUE_OKX, SL_FEED_TRADES, "BTC-USDT", true, false, okx},
    {SL_VENUE_OKX, SL_FEED_AGG_TRADES, "BTC-USDT", true, true, okx_aggregate},
    {SL_VENUE_BYBIT_SPOT, SL_FEED_TRADES, "BTCUSDT", false, false, bybit_spot},
    {SL_VENUE_BYBIT_LINEAR, SL_FEED_TRADES, "BTCUSDT", false, false, bybit_linear},
    {SL_VENUE_BITSTAMP, SL_FEED_TRADES, "btcusd", false, false, bitstamp},
};
#define STYLES (sizeof styles / sizeof *styles)

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct run {
    sl_tracker *tracker;
    sl_time now;
    uint64_t given, gaps;
    bool told[TRADES + 64]; /* missing, by a gap */
};

static int give(void *arg, const sl_market_event *event)
{
    struct run *run = arg;
    const sl_gap *gap = &event->as.gap;
    run->given += event->kind == SL_EVENT_TRADE;
    if (event->kind == SL_EVENT_GAP) {
        run->gaps++;
        for (int64_t id = gap->from_id + 1; id < gap->to_id; id++) {
            assert_true(id > 0 && id < TRADES + 64 && !run->told[id]);
            run->told[id] = true;
        }
    }
    return 0;
}

static int see(void *arg, const sl_market_event *event)
{
    struct run *run = arg;
    return sl_tracker_event(run->tracker, event, ++run->now) < 0 ? SL_EINVAL : 0;
}

static void lose(const struct style *style, uint64_t seed)
{
    struct run *run = calloc(1, sizeof *run);
    bool lost[TRADES + 64] = {false};
    uint64_t random = seed, sent = 0;
    venue_kit_instrument instruments[] = {{.symbol = style->symbol, .base = "BTC", .quote = "USD"}, {.symbol = NULL}};
    venue_kit kit;
    assert_non_null(run);
    venue_kit_open(&kit, style->venue, instruments);
    kit.silent = true;
    kit.arg = run;
    kit.event = see;
    sl_tracker_options options = {.consecutive_trades = kit.driver->consecutive_trades,
                                  .trade_ranges = kit.driver->trade_ranges,
                                  .arg = run,
                                  .event = give};
    assert_int_equal(sl_tracker_new(&options, &run->tracker), 0);
    for (int64_t id = 1; id <= TRADES;) {
        int64_t last = id + (style->ranges ? (int64_t)(next(&random) % 5) : 0);
        bool drop = id > 5 && last < TRADES - 5 && next(&random) % 10 == 0;
        char text[512];
        style->write(text, sizeof text, id, last);
        for (int copy = 0; copy < 2 && !drop; copy++) { /* the second one is a repeat */
            assert_int_equal(venue_kit_decode(&kit, text, strlen(text)), 0);
        }
        sent += !drop;
        for (; id <= last; id++) {
            lost[id] = drop;
        }
    }
    assert_int_equal(run->given, sent);
    for (int64_t id = 1; id <= TRADES; id++) {
        if (run->told[id] != (lost[id] && style->numbered)) {
            fail_msg("%s %s, seed %" PRIu64 ": trade %" PRId64 " was %s and told %s", sl_venue_name(style->venue),
                     sl_feed_name(style->feed), seed, id, lost[id] ? "lost" : "sent",
                     run->told[id] ? "missing" : "nothing");
        }
    }
    assert_int_equal(run->gaps > 0, style->numbered);
    uint64_t gaps = run->gaps; /* a lost connection: numbers tell by themselves, without them it is a gap */
    const sl_instrument *one = sl_instruments_at(kit.instruments, 0);
    assert_int_equal(sl_tracker_lost(run->tracker, one, style->feed, ++run->now, VENUE_KIT_NOW_NS), 0);
    assert_int_equal(run->gaps - gaps, style->numbered ? 0 : 1);
    sl_tracker_free(run->tracker);
    venue_kit_close(&kit);
    free(run);
}

static void lost_trades_are_told_where_they_are_numbered(void **state)
{
    (void)state;
    for (size_t at = 0; at < STYLES; at++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            lose(&styles[at], seed);
        }
    }
}

/* Each venue is here, and the driver says of it what its messages show. */
static void each_venue_is_tried(void **state)
{
    (void)state;
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        const sl_venue_driver *driver = sl_venue_driver_of((sl_venue)venue);
        bool found = venue == SL_VENUE_BYBIT_INVERSE; /* as linear */
        for (size_t at = 0; at < STYLES; at++) {
            found = found || (int)styles[at].venue == venue;
            if ((int)styles[at].venue == venue) {
                assert_int_equal(driver->consecutive_trades, styles[at].numbered);
                assert_int_equal((driver->trade_ranges & SL_FEED_BIT(styles[at].feed)) != 0, styles[at].ranges);
            }
        }
        if (!found) {
            fail_msg("%s has no trade among the styles of this file", driver->title);
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(lost_trades_are_told_where_they_are_numbered), cmocka_unit_test(each_venue_is_tried))
