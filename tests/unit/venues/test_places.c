/* SPDX-License-Identifier: MIT */
/* Whatever has to know a venue knows it: what is forgotten for a new one is told by name. */
#include "message_samples.h"
#include "venue_kit.h"

#include "ingest/config.h"
#include "ingest/program/access.h"
#include "venues/fields.h"

static void each_venue_has_a_driver(void **state)
{
    (void)state;
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        const char *name = sl_venue_name((sl_venue)venue);
        const sl_venue_driver *driver = sl_venue_driver_of((sl_venue)venue);
        if (driver == NULL || (int)driver->venue != venue) {
            fail_msg("%s has no driver, or another one's: see services/venues/venue.c", name);
            return;
        }
        if ((int)sl_venue_find(name) != venue) {
            fail_msg("venue %d has the name of another one, \"%s\": see services/market/instrument.c", venue, name);
        }
        if (driver->feeds == 0 || (driver->requests >> SL_REQUEST_INSTRUMENTS & 1) == 0 ||
            driver->rates[0].count == 0) {
            fail_msg("%s: its driver lacks feeds, the list of instruments or the rates of requests", name);
        }
    }
}

static void each_venue_can_be_configured(void **state)
{
    (void)state;
    bool named[SL_VENUE_EXTERNAL] = {false};
    for (int word = 0; word < SL_CONF_VENUE_COUNT; word++) {
        sl_venue venue = sl_access_venue(word);
        if (sl_venue_driver_of(venue) == NULL) {
            fail_msg("\"%s\" of SL_CONF_VENUES is no name of services/market/instrument.c", sl_conf_venue_name(word));
        }
        named[venue] = true;
    }
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        if (!named[venue]) {
            fail_msg("%s is not in SL_CONF_VENUES of services/ingest/config.h", sl_venue_name((sl_venue)venue));
        }
    }
    assert_int_equal(sl_access_venue(-1), SL_VENUE_NONE);
    assert_int_equal(sl_access_venue(SL_CONF_VENUE_COUNT), SL_VENUE_NONE);
}

static void each_venue_has_samples(void **state)
{
    (void)state;
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        for (size_t at = 0; at < 3; at++) {
            if (sample_symbols[venue][at] == NULL) {
                fail_msg("%s has no three symbols in message_samples.h", sl_venue_name((sl_venue)venue));
            }
        }
    }
}

static void samples_name_symbols_and_numbers(void **state)
{
    (void)state;
    char one[64], other[64];
    struct sample sample = {.text = "[1$N,\"$A\",\"$a\"]"};
    assert_int_equal(sample_write(&sample, "tBTC", one, sizeof one), 21);
    assert_int_equal(sample_write(&sample, "tETH", other, sizeof other), 21);
    assert_string_equal(one + 6, ",\"tBTC\",\"tbtc\"]");
    assert_true(memcmp(one, "[1", 2) == 0 && memcmp(one, other, 6) != 0); /* no two of a venue have one number */
}

/* What stands before that which says what it is: opened again, and in it what was kept there. */
static void kept_fields_are_opened_in_each_other(void **state)
{
    (void)state;
    enum { PARAMS, DATA, VALUE, COUNT };
    static const sl__name names[COUNT] = {SL__NAME("params", OBJECT), SL__NAME("data", OBJECT),
                                          SL__NAME("value", NUMBER)};
    static const char text[] = "{\"other\":[1,2],\"params\":{\"more\":{},\"data\":{\"none\":[],\"value\":7}}}";
    venue_kit kit;
    sl__reading reading;
    sl__fields fields;
    int64_t value = 0;
    venue_kit_open(&kit, SL_VENUE_BITSTAMP, &(venue_kit_instrument){.symbol = NULL});
    sl_venue_message message = {.text = text, .size_bytes = sizeof text - 1};
    assert_int_equal(sl__reading_begin(&reading, kit.decoder, &message, NULL), 0);
    assert_int_equal(sl__fields_read(&reading, &fields, names, COUNT), 0);
    assert_int_equal(sl__field_again(&reading, &fields, PARAMS), 0);
    assert_int_equal(sl__fields_read(&reading, &fields, names, COUNT), 0);
    assert_int_equal(sl__field_again(&reading, &fields, DATA), 0);
    assert_int_equal(sl__fields_read(&reading, &fields, names, COUNT), 0);
    assert_int_equal(sl__field_int(&reading, &fields, VALUE, &value), 0);
    assert_int_equal(value, 7);
    venue_kit_close(&kit);
}

SL_TEST_MAIN(cmocka_unit_test(each_venue_has_a_driver), cmocka_unit_test(each_venue_can_be_configured),
             cmocka_unit_test(each_venue_has_samples), cmocka_unit_test(samples_name_symbols_and_numbers),
             cmocka_unit_test(kept_fields_are_opened_in_each_other))
