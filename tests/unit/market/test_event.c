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
}

static void instrument_has_a_limit(void **state)
{
    (void)state;
    sl_market_event event = {0};
    char name[SL_INSTRUMENT_MAX + 1];
    memset(name, 'A', sizeof(name));
    assert_int_equal(sl_event_set_instrument(&event, name, SL_INSTRUMENT_MAX - 1), 0);
    assert_int_equal(strlen(event.instrument), SL_INSTRUMENT_MAX - 1);
    assert_int_equal(sl_event_set_instrument(&event, name, SL_INSTRUMENT_MAX), SL_EMSGSIZE);
    assert_int_equal(sl_event_set_instrument(&event, name, 0), SL_EMSGSIZE);
    assert_int_equal(sl_event_set_instrument(&event, "X", 1), 0);
    assert_string_equal(event.instrument, "X");
}

static void descriptions(void **state)
{
    (void)state;
    char text[SL_EVENT_TEXT_MAX];
    sl_market_event event = {.kind = SL_EVENT_TRADE, .venue = SL_VENUE_BINANCE_USDM, .feed = SL_FEED_TRADES};
    assert_int_equal(sl_event_set_instrument(&event, "BTCUSDT", 7), 0);
    event.as.trade = (sl_trade){.id = 7, .price = {6180030, -2}, .quantity = {6, -3}, .taker = SL_SIDE_BUY};
    size_t length = sl_event_describe(&event, text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "binance-usdm BTCUSDT trades trade #7 buy 61800.30 x 0.006");
    event.kind = SL_EVENT_BEST;
    event.feed = SL_FEED_BEST;
    event.as.best = (sl_best){9, {{1, 0}, {2, 0}}, {{3, 0}, {4, -1}}};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTCUSDT best best at 9: bid 1 x 2, ask 3 x 0.4");
    event.kind = SL_EVENT_GAP;
    event.feed = SL_FEED_DEPTH;
    event.as.gap = (sl_gap){.reason = SL_GAP_SEQUENCE, .from_id = 5, .to_id = 8, .healed = true};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTCUSDT depth gap after 5 to 8 (sequence) healed");
    event.kind = SL_EVENT_BOOK_DELTA;
    event.as.delta = (sl_book_delta){.first_id = 3, .last_id = 4, .previous_id = 1, .has_previous = true};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTCUSDT depth book_delta 3..4 after 1: 0 bids, 0 asks");
    event.kind = SL_EVENT_BOOK_SNAPSHOT;
    event.as.snapshot = (sl_book_snapshot){.last_id = 4};
    (void)sl_event_describe(&event, text);
    assert_string_equal(text, "binance-usdm BTCUSDT depth book_snapshot at 4: 0 bids, 0 asks");
}

static void longest_description_fits(void **state)
{
    (void)state;
    char text[SL_EVENT_TEXT_MAX];
    sl_market_event event = {.kind = SL_EVENT_BEST, .venue = SL_VENUE_BINANCE_COINM, .feed = SL_FEED_AGG_TRADES};
    memset(event.instrument, 'A', SL_INSTRUMENT_MAX - 1);
    sl_decimal longest = {-INT64_MAX, SL_DECIMAL_EXPONENT_MAX};
    event.as.best = (sl_best){INT64_MIN, {longest, longest}, {longest, longest}};
    size_t length = sl_event_describe(&event, text);
    assert_true(length < SL_EVENT_TEXT_MAX);
    assert_int_equal(length, strlen(text));
    assert_int_equal(text[length - 1], '0'); /* nothing was cut off */
}

SL_TEST_MAIN(cmocka_unit_test(names), cmocka_unit_test(instrument_has_a_limit), cmocka_unit_test(descriptions),
             cmocka_unit_test(longest_description_fits))
