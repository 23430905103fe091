/* SPDX-License-Identifier: MIT */
/*
 * What the venues state about their streams and requests, once more and apart from the drivers: a driver may keep below a
 * limit and not above it. Sources: those that the drivers name.
 */
#include "sl_test.h"
#include "venues/venue.h"

/* 0: the venue states none. */
struct fact {
    sl_venue venue;
    uint32_t per_connection; /* streams */
    double messages;         /* of ours a second, of one connection */
    sl_time speak_within;    /* it cuts who says nothing for so long */
    sl_time max_age;         /* of a connection */
    double connects;         /* a second, of one address */
    double requests;         /* units of cost a second, of one address, as they may go on */
    sl_time hears_every;     /* it says something at least so often */
    uint32_t snapshot_cost;  /* of 1000 levels (Coinbase, Bitstamp: all) */
    bool consecutive_trades;
};

static const struct fact facts[] = {
    {SL_VENUE_BINANCE_SPOT, 1024, 5, 0, SL_MINUTES(24 * 60), 1, 100, SL_SECONDS(20), 50, true},
    {SL_VENUE_BINANCE_USDM, 200, 10, 0, SL_MINUTES(24 * 60), 1, 40, SL_SECONDS(180), 20, true},
    {SL_VENUE_BINANCE_COINM, 200, 10, 0, SL_MINUTES(24 * 60), 1, 40, SL_SECONDS(180), 20, true},
    {SL_VENUE_COINBASE, 0, 100, 0, 0, 8, 10, SL_SECONDS(1), 1, true},
    {SL_VENUE_KRAKEN, 0, 0, SL_SECONDS(60), 0, 0.25, 1, SL_SECONDS(1), 1, true},
    {SL_VENUE_BYBIT_SPOT, 0, 0, SL_MINUTES(10), 0, 500.0 / 300, 120, SL_SECONDS(20), 1, false},
    {SL_VENUE_BYBIT_LINEAR, 0, 0, SL_MINUTES(10), 0, 500.0 / 300, 120, SL_SECONDS(20), 1, false},
    {SL_VENUE_BYBIT_INVERSE, 0, 0, SL_MINUTES(10), 0, 500.0 / 300, 120, SL_SECONDS(20), 1, false},
    {SL_VENUE_OKX, 0, 480.0 / 3600, SL_SECONDS(30), 0, 3, 0, SL_SECONDS(20), 1, true},
    {SL_VENUE_BITSTAMP, 0, 0, 0, SL_MINUTES(90 * 24 * 60), 0, 10000.0 / 600, SL_SECONDS(15), 1, false},
};

static double a_second(double count, sl_time period)
{
    return period == 0 ? 0 : count * (double)SL_SECONDS(1) / (double)period;
}

static void streams_keep_to_what_venues_state(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof facts / sizeof *facts; at++) {
        const struct fact *fact = &facts[at];
        const sl_venue_stream_limits *limits = &sl_venue_driver_of(fact->venue)->limits;
        print_message("%s\n", sl_venue_name(fact->venue));
        assert_true(fact->per_connection == 0 ||
                    (limits->per_connection > 0 && limits->per_connection <= fact->per_connection));
        double messages = a_second(limits->messages, limits->messages_per);
        assert_true(messages > 0 && (fact->messages == 0 || messages <= fact->messages * 1.0001));
        assert_true(limits->messages_burst <= limits->messages);
        assert_true(fact->speak_within == 0 || (limits->ping_every > 0 && limits->ping_every < fact->speak_within));
        assert_true(fact->max_age == 0 ? limits->max_age == 0
                                       : limits->max_age > 0 && limits->max_age <= fact->max_age);
        double connects = a_second(limits->connects, limits->connects_per);
        assert_true(fact->connects == 0 || (connects > 0 && connects <= fact->connects * 1.0001));
        /* Long enough that a sign of life that is a little late does not end it, and within two minutes of a missing pair. */
        assert_true(limits->silence >= fact->hears_every && limits->silence <= fact->hears_every + SL_SECONDS(60));
        assert_true(limits->ping_every == 0 || limits->silence > limits->ping_every);
        assert_true(limits->acknowledges && limits->ack_within >= SL_SECONDS(5) &&
                    limits->ack_within <= SL_SECONDS(30));
    }
}

static void requests_keep_to_what_venues_state(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof facts / sizeof *facts; at++) {
        const struct fact *fact = &facts[at];
        const sl_venue_driver *driver = sl_venue_driver_of(fact->venue);
        double slowest = 0;
        for (size_t i = 0; i < SL_VENUE_RATES_MAX && driver->rates[i].count > 0; i++) {
            double rate = a_second((double)driver->rates[i].count, driver->rates[i].period);
            slowest = slowest == 0 || rate < slowest ? rate : slowest;
        }
        print_message("%s: %.3f\n", sl_venue_name(fact->venue), slowest);
        assert_true(slowest > 0 && (fact->requests == 0 || slowest <= fact->requests * 1.0001));
        assert_int_equal(driver->consecutive_trades, fact->consecutive_trades);
        sl_instrument one = {.venue = fact->venue, .symbol = "BTCUSDT"};
        sl_venue_request snapshot = {.kind = SL_REQUEST_SNAPSHOT, .instrument = &one, .limit = 1000};
        assert_true(sl_venue_cost(driver, &snapshot) >= fact->snapshot_cost);
    }
}

static void none_is_left_out(void **state)
{
    (void)state;
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        size_t at = 0;
        while (at < sizeof facts / sizeof *facts && (int)facts[at].venue != venue) {
            at++;
        }
        if (at == sizeof facts / sizeof *facts) {
            fail_msg("what %s states is not in this file", sl_venue_name((sl_venue)venue));
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(none_is_left_out), cmocka_unit_test(streams_keep_to_what_venues_state),
             cmocka_unit_test(requests_keep_to_what_venues_state))
