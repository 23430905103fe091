/* SPDX-License-Identifier: MIT */
/* Events as bytes and as JSON: round trips, damage, keys and identities. */
#include "sl_test.h"

#include <string.h>

#include "event_reader.h"
#include "market/event_json.h"
#include "market/record.h"
#include "sample_events.h"

#define BUFFER_BYTES 8192

static size_t encode(const sl_market_event *event, uint8_t *buffer)
{
    size_t bound = sl_record_bound(event);
    assert_in_range(bound, SL_RECORD_MIN_BYTES, BUFFER_BYTES);
    size_t size = sl_record_encode(event, buffer);
    assert_true(size <= bound);
    return size;
}

static void every_event_comes_back(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_BYTES];
    sl_auto(sl_record_reader) *reader = NULL;
    assert_int_equal(sl_record_reader_new(&reader), 0);
    for (uint64_t number = 0; number < 20000; number++) {
        sl_market_event event = sample_event(number);
        size_t size = encode(&event, buffer);
        sl_record_set_stamp(buffer, (sl_stamp){7, number});
        sl_market_event back;
        sl_stamp stamp;
        assert_int_equal(sl_record_decode(reader, buffer, size, &back, &stamp), 0);
        assert_true(sample_events_equal(&event, &back));
        assert_int_equal(stamp.run, 7);
        assert_int_equal(stamp.number, number);
        assert_int_equal(sl_record_receive_time(buffer), event.receive_time_ns);
    }
}

static void what_is_cut_off_or_has_more_is_refused(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_BYTES];
    sl_auto(sl_record_reader) *reader = NULL;
    assert_int_equal(sl_record_reader_new(&reader), 0);
    sl_market_event back;
    sl_stamp stamp;
    for (uint64_t number = 0; number < 33; number++) {
        sl_market_event event = sample_event(number);
        size_t size = encode(&event, buffer);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(sl_record_decode(reader, buffer, cut, &back, &stamp), SL_EPROTO);
        }
        buffer[size] = 0;
        assert_int_equal(sl_record_decode(reader, buffer, size + 1, &back, &stamp), SL_EPROTO);
        buffer[0]++;
        assert_int_equal(sl_record_decode(reader, buffer, size, &back, &stamp), SL_ENOTSUP);
    }
}

/* Damage is found by the spool's checks; here it must only do no harm, and never give what encode() would not. */
static void any_byte_may_be_anything(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_BYTES];
    uint8_t again[BUFFER_BYTES];
    sl_market_event back;
    sl_stamp stamp;
    for (uint64_t number = 0; number < 33; number++) {
        sl_auto(sl_record_reader) *reader = NULL; /* of its own: the name that came first stays an instrument's */
        assert_int_equal(sl_record_reader_new(&reader), 0);
        sl_market_event event = sample_event(number);
        size_t size = encode(&event, buffer);
        for (size_t at = 0; at < size; at++) {
            for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
                buffer[at] = (uint8_t)(buffer[at] ^ flip);
                int code = sl_record_decode(reader, buffer, size, &back, &stamp);
                if (code == 0) {
                    assert_true(sl_record_bound(&back) > 0);
                    (void)sl_record_encode(&back, again);
                } else {
                    assert_true(code == SL_EPROTO || code == SL_ENOTSUP);
                }
                buffer[at] = (uint8_t)(buffer[at] ^ flip);
            }
        }
    }
}

static void what_has_no_record(void **state)
{
    (void)state;
    sl_market_event event = sample_event(0);
    event.kind = SL_EVENT_NONE;
    assert_int_equal(sl_record_bound(&event), 0);
    event.kind = SL_EVENT_KIND_COUNT;
    assert_int_equal(sl_record_bound(&event), 0);
    event = sample_event(0);
    event.instrument = NULL;
    assert_int_equal(sl_record_bound(&event), 0);
    event = sample_event_of(SL_EVENT_BOOK_SNAPSHOT, 1);
    event.as.snapshot.levels.bid_count = SL_RECORD_MAX_BYTES / 18;
    assert_int_equal(sl_record_bound(&event), 0);
    event.as.snapshot.levels.bid_count = SIZE_MAX;
    event.as.snapshot.levels.ask_count = 2;
    assert_int_equal(sl_record_bound(&event), 0);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_BYTES];
    sl_market_event event = sample_event_of(SL_EVENT_BOOK_DELTA, 3);
    sl_market_event back;
    sl_stamp stamp;
    size_t size = encode(&event, buffer);
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        sl_memory_fail_after(n);
        sl_record_reader *reader = NULL;
        int code = sl_record_reader_new(&reader);
        code = code < 0 ? code : sl_record_decode(reader, buffer, size, &back, &stamp);
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        assert_int_equal(code, failed ? SL_ENOMEM : 0);
        if (failed && reader != NULL) { /* the next try works */
            assert_int_equal(sl_record_decode(reader, buffer, size, &back, &stamp), 0);
        }
        sl_record_reader_free(reader);
        assert_int_equal(sl_memory_held(), held);
        if (!failed) {
            assert_true(n >= 3);
            return;
        }
    }
}

static bool key_of(const sl_market_event *event, uint64_t *ret_key)
{
    uint8_t buffer[BUFFER_BYTES];
    return sl_record_state_key(buffer, encode(event, buffer), ret_key);
}

static void states_have_keys_and_changes_have_none(void **state)
{
    (void)state;
    uint64_t keys[2];
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        sl_market_event event = sample_event_of((sl_event_kind)kind, 0);
        bool counts = kind == SL_EVENT_TRADE || kind == SL_EVENT_BOOK_DELTA || kind == SL_EVENT_LIQUIDATION ||
                      kind == SL_EVENT_GAP;
        assert_int_equal(key_of(&event, &keys[0]), !counts);
        if (counts) {
            continue;
        }
        sl_market_event later = sample_event_of((sl_event_kind)kind, 1);
        later.instrument = event.instrument;
        assert_true(key_of(&later, &keys[1]));
        if (kind == SL_EVENT_CANDLE) {
            assert_true(keys[0] != keys[1]); /* another candle */
            later.as.candle.open_time_ns = event.as.candle.open_time_ns;
            assert_true(key_of(&later, &keys[1]));
            later.as.candle.interval_ns *= 5;
            uint64_t longer = 0;
            assert_true(key_of(&later, &longer));
            assert_true(longer != keys[0]);
        }
        assert_true(keys[0] == keys[1]);
        later.instrument = sample_instrument(event.instrument->index + 1);
        assert_true(key_of(&later, &keys[1]));
        assert_true(keys[0] != keys[1]);
    }
}

static void identities_name_the_venues_numbers(void **state)
{
    (void)state;
    char text[SL_EVENT_IDENTITY_MAX];
    sl_stamp stamp = {0x18a5c7d2, 17};
    sl_market_event event = sample_event_of(SL_EVENT_TRADE, 1);
    event.instrument = sample_instrument(0);
    event.as.trade = (sl_trade){.id = 4401};
    size_t length = sl_event_identity(&event, stamp, text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "binance-usdm:BTCUSDT:trades:4401");
    event.as.trade = (sl_trade){.uuid = {1, 2}};
    (void)sl_event_identity(&event, stamp, text);
    assert_string_equal(text, "binance-usdm:BTCUSDT:trades:00000000-0000-0001-0000-000000000002");
    event.as.trade = (sl_trade){.id = 0};
    (void)sl_event_identity(&event, stamp, text);
    assert_string_equal(text, "binance-usdm:BTCUSDT:trades:18a5c7d2:17");
    event = sample_event_of(SL_EVENT_BOOK_DELTA, 2);
    event.instrument = sample_instrument(0);
    event.venue_time_ns = 99;
    (void)sl_event_identity(&event, stamp, text);
    assert_string_equal(text, "binance-usdm:BTCUSDT:depth:21-30@99");
    event.as.delta.last_id = 0;
    (void)sl_event_identity(&event, stamp, text);
    assert_string_equal(text, "binance-usdm:BTCUSDT:depth:18a5c7d2:17");
    event = sample_event_of(SL_EVENT_CANDLE, 2);
    event.instrument = sample_instrument(0);
    event.as.candle.open_time_ns = 60;
    (void)sl_event_identity(&event, stamp, text);
    assert_string_equal(text, "binance-usdm:BTCUSDT:candles:60+60000000000");
    event.as.candle.closed = false;
    (void)sl_event_identity(&event, stamp, text);
    assert_string_equal(text, "binance-usdm:BTCUSDT:candles:18a5c7d2:17");
}

static void every_event_comes_back_from_its_json(void **state)
{
    (void)state;
    static char text[65536];
    struct event_reader *reader = event_reader_new();
    assert_non_null(reader);
    for (uint64_t number = 0; number < 20000; number++) {
        sl_market_event event = sample_event(number);
        sl_stamp stamp = {UINT64_C(0x18a5c7d2) + number, number};
        assert_in_range(sl_event_json_bound(&event), 1, sizeof(text));
        size_t length = sl_event_json_write(&event, number % 2 == 0 ? &stamp : NULL, text);
        assert_true(length <= sl_event_json_bound(&event));
        sl_market_event back;
        sl_stamp stamp_back;
        if (event_reader_read(reader, text, length, &back, &stamp_back) < 0) {
            fail_msg("%s: %.*s", event_reader_problem(reader), (int)length, text);
        }
        assert_true(sample_events_equal(&event, &back));
        assert_int_equal(stamp_back.run, number % 2 == 0 ? stamp.run : 0);
        assert_int_equal(stamp_back.number, number % 2 == 0 ? stamp.number : 0);
    }
    event_reader_free(reader);
}

/* The largest that each member may be fits into the room. */
static void the_room_for_json_is_enough(void **state)
{
    (void)state;
    static char text[65536];
    sl_instrument instrument = {.venue = SL_VENUE_BYBIT_INVERSE};
    memset(instrument.symbol, '"', SL_SYMBOL_MAX - 1);
    memset(instrument.name, '\\', SL_INSTRUMENT_NAME_MAX - 1);
    sl_decimal long_one = {-INT64_MAX, -64};
    sl_level levels[4] = {{long_one, long_one}, {long_one, long_one}, {long_one, long_one}, {long_one, long_one}};
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        sl_market_event event = sample_event_of((sl_event_kind)kind, 5);
        event.instrument = &instrument;
        event.connection = UINT32_MAX;
        event.venue_time_ns = event.sent_time_ns = event.receive_time_ns = INT64_MIN;
        if (kind == SL_EVENT_TICKER) {
            event.as.ticker =
                (sl_ticker){long_one, long_one, long_one, long_one, long_one, long_one, levels[0], levels[1]};
        } else if (kind == SL_EVENT_BOOK_SNAPSHOT) {
            event.as.snapshot.levels = (sl_levels){levels, levels + 2, 2, 2};
        } else if (kind == SL_EVENT_CANDLE) {
            event.as.candle =
                (sl_candle){INT64_MIN, INT64_MIN, long_one, long_one, long_one, long_one, long_one, UINT64_MAX, false};
        }
        sl_stamp stamp = {UINT64_MAX, UINT64_MAX};
        assert_true(sl_event_json_write(&event, &stamp, text) <= sl_event_json_bound(&event));
    }
}

static void stamps_as_text(void **state)
{
    (void)state;
    static const sl_stamp stamps[] = {{0, 0}, {1, 1}, {0x18a5c7d2, 17}, {UINT64_MAX, UINT64_MAX}, {16, 10}};
    char text[SL_STAMP_TEXT_MAX];
    sl_stamp back;
    for (size_t at = 0; at < sizeof(stamps) / sizeof(stamps[0]); at++) {
        size_t length = sl_stamp_format(stamps[at], text);
        assert_int_equal(sl_stamp_parse(text, length, &back), 0);
        assert_true(back.run == stamps[at].run && back.number == stamps[at].number);
    }
    (void)sl_stamp_format(stamps[2], text);
    assert_string_equal(text, "18a5c7d2-17");
    static const char *const bad[] = {
        "", "-", "1-", "-1", "1", "g-1", "1-a", "1-18446744073709551616", "11111111111111111-1"};
    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        assert_int_equal(sl_stamp_parse(bad[at], strlen(bad[at]), &back), SL_EPROTO);
    }
}

SL_TEST_MAIN(cmocka_unit_test(every_event_comes_back), cmocka_unit_test(what_is_cut_off_or_has_more_is_refused),
             cmocka_unit_test(any_byte_may_be_anything), cmocka_unit_test(what_has_no_record),
             cmocka_unit_test(memory_may_be_short), cmocka_unit_test(states_have_keys_and_changes_have_none),
             cmocka_unit_test(identities_name_the_venues_numbers),
             cmocka_unit_test(every_event_comes_back_from_its_json), cmocka_unit_test(the_room_for_json_is_enough),
             cmocka_unit_test(stamps_as_text))
