/* SPDX-License-Identifier: MIT */
/* Names and texts of events. */
#include "sl_test.h"

#include <string.h>

#include "market/event.h"

static void names(void **state)
{
    (void)state;
    assert_string_equal(sl_venue_name(SL_VENUE_BINANCE_USDM), "binance-usdm");
    assert_string_equal(sl_venue_name(SL_VENUE_COUNT), "?");
    assert_string_equal(sl_feed_name(SL_FEED_DEPTH), "depth");
    assert_string_equal(sl_event_kind_name(SL_EVENT_GAP), "gap");
    assert_string_equal(sl_side_name(SL_SIDE_SELL), "sell");
    assert_string_equal(sl_side_name((sl_side)7), "?");
    assert_string_equal(sl_gap_reason_name(SL_GAP_DISCONNECTED), "disconnected");
    for (int venue = SL_VENUE_BINANCE_SPOT; venue < SL_VENUE_COUNT; venue++) {
        assert_int_equal(sl_venue_find(sl_venue_name((sl_venue)venue)), venue);
    }
    assert_int_equal(sl_venue_find("none"), SL_VENUE_NONE);
    assert_int_equal(sl_venue_find("Binance"), SL_VENUE_NONE);
    for (int feed = SL_FEED_TRADES; feed < SL_FEED_COUNT; feed++) {
        assert_int_equal(sl_feed_find(sl_feed_name((sl_feed)feed)), feed);
    }
    assert_int_equal(sl_feed_find("none"), SL_FEED_NONE);
    assert_string_equal(sl_instrument_status_name(SL_STATUS_COUNT), "?");
}

static void trade_ids(void **state)
{
    (void)state;
    char text[SL_TRADE_ID_MAX];
    sl_trade trade = {.id = INT64_MIN};
    assert_int_equal(sl_trade_id_format(&trade, text), 20);
    assert_string_equal(text, "-9223372036854775808");
    trade = (sl_trade){.uuid = {UINT64_C(0x20f43950d8dd5b31), UINT64_C(0x0112a178eb6023af)}};
    assert_int_equal(sl_trade_id_format(&trade, text), 36);
    assert_string_equal(text, "20f43950-d8dd-5b31-0112-a178eb6023af");
}

static const sl_instrument btc = {.venue = SL_VENUE_BINANCE_USDM, .symbol = "BTCUSDT", .name = "BTC-USDT-USDT"};

static void descriptions(void **state)
{
    (void)state;
    char text[SL_EVENT_TEXT_MAX];
    sl_market_event event = {.kind = SL_EVENT_TRADE, .instrument = &btc, .feed = SL_FEED_TRADES};
    event.as.trade = (sl_trade){.id = 7, .price = {6180030, -2}, .quantity = {6, -3}, .taker = SL_SIDE_BUY};
    size_t length = sl_event_describe(&event, text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "binance-usdm BTC-USDT-USDT trades trade #7 buy 61800.30 x 0.006");
    event.kind = SL_EVENT_BEST;
    event.feed = SL_FEED_BEST;
    event.as.best = (sl_best){9, {{1, 0}, {2, 0}}, {{3, 0}, {4, -1}}};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTC-USDT-USDT best best at 9: bid 1 x 2, ask 3 x 0.4");
    event.kind = SL_EVENT_GAP;
    event.feed = SL_FEED_DEPTH;
    event.as.gap = (sl_gap){.reason = SL_GAP_SEQUENCE, .from_id = 5, .to_id = 8, .healed = true};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTC-USDT-USDT depth gap after 5 to 8 (sequence) healed");
    event.kind = SL_EVENT_BOOK_DELTA;
    event.as.delta = (sl_book_delta){.first_id = 3, .last_id = 4, .previous_id = 1, .has_previous = true};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTC-USDT-USDT depth book_delta 3..4 after 1: 0 bids, 0 asks");
    event.kind = SL_EVENT_BOOK_SNAPSHOT;
    event.as.snapshot = (sl_book_snapshot){.last_id = 4};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTC-USDT-USDT depth book_snapshot at 4: 0 bids, 0 asks");
}

static void figures(void **state)
{
    (void)state;
    char text[SL_EVENT_TEXT_MAX];
    sl_market_event event = {.kind = SL_EVENT_CANDLE, .instrument = &btc, .feed = SL_FEED_CANDLES};
    event.as.candle = (sl_candle){.open_time_ns = 60, .interval_ns = 60000000000, .close = {15, -1}, .closed = true};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTC-USDT-USDT candles candle 60 s at 60: close 1.5, closed");
    event.kind = SL_EVENT_FUNDING;
    event.as.funding = (sl_funding){.mark_price = {1, 0}, .has_mark = true};
    (void)sl_event_describe(&event, text);
    assert_non_null(strstr(text, "mark 1, rate -"));
    event.kind = SL_EVENT_LIQUIDATION;
    event.as.liquidation = (sl_liquidation){SL_SIDE_SELL, {1, 0}, {2, 0}};
    (void)sl_event_describe(&event, text);
    assert_non_null(strstr(text, "sell 1 x 2"));
    event.kind = SL_EVENT_STATUS;
    event.as.status = SL_STATUS_HALTED;
    (void)sl_event_describe(&event, text);
    assert_non_null(strstr(text, "halted"));
    event.kind = SL_EVENT_OPEN_INTEREST;
    event.as.open_interest = (sl_open_interest){.quantity = {125, -1}};
    (void)sl_event_describe(&event, text);
    assert_non_null(strstr(text, "12.5"));
    event.kind = SL_EVENT_TICKER;
    event.as.ticker = (sl_ticker){.last = {7, 0}};
    (void)sl_event_describe(&event, text);
    assert_non_null(strstr(text, "last 7"));
    event.instrument = NULL;
    event.kind = SL_EVENT_NONE;
    (void)sl_event_describe(&event, text);
    assert_non_null(strstr(text, "none - candles none -"));
}

static void longest_description_fits(void **state)
{
    (void)state;
    char text[SL_EVENT_TEXT_MAX];
    sl_instrument instrument = {.venue = SL_VENUE_BYBIT_INVERSE};
    sl_market_event event = {.kind = SL_EVENT_BEST, .instrument = &instrument, .feed = SL_FEED_OPEN_INTEREST};
    memset(instrument.name, 'A', SL_INSTRUMENT_NAME_MAX - 1);
    sl_decimal longest = {-INT64_MAX, SL_DECIMAL_EXPONENT_MAX};
    event.as.best = (sl_best){INT64_MIN, {longest, longest}, {longest, longest}};
    size_t length = sl_event_describe(&event, text);
    assert_true(length < SL_EVENT_TEXT_MAX);
    assert_int_equal(length, strlen(text));
    assert_int_equal(text[length - 1], '0'); /* nothing was cut off */
}

SL_TEST_MAIN(cmocka_unit_test(names), cmocka_unit_test(trade_ids), cmocka_unit_test(figures),
             cmocka_unit_test(descriptions), cmocka_unit_test(longest_description_fits))
