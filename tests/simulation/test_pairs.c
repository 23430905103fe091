/* SPDX-License-Identifier: MIT */
/*
 * Two connections that carry the same, at each venue: either may end behind any message, or stop bringing one stream of one
 * instrument while it is alive otherwise, and no event is lost or doubled.
 *
 *     SL_PAIRS_CUTS=200 SL_MARKET_VENUE=okx   cuts behind each of the first 200 messages, only of this venue
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/demo/simulate.h"
#include "sl_test.h"

/* By default each so many-th message of so many: a prime, so that each kind of message is met. */
#define MESSAGES 120
#define STEP 7
#define STEPS 500
#define SECONDS_TO_HEAL 90

static const sl_venue venues[] = {
    SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_USDM, SL_VENUE_BINANCE_COINM, SL_VENUE_COINBASE, SL_VENUE_KRAKEN,
    SL_VENUE_BYBIT_SPOT,   SL_VENUE_BYBIT_LINEAR, SL_VENUE_BYBIT_INVERSE, SL_VENUE_OKX,      SL_VENUE_BITSTAMP};
#define VENUES (sizeof venues / sizeof *venues)

static bool is_left_out(sl_venue venue)
{
    const char *only = getenv("SL_MARKET_VENUE");
    return only != NULL && strcmp(only, sl_venue_name(venue)) != 0;
}

static void tell(const char *what, sl_venue venue, uint64_t at, const struct sl_simulate_result *result)
{
    print_error("%s: %s, %llu: %s\n"
                "  trades %llu heard %llu told %llu untold %llu unseen %llu doubled %llu wrong %llu gaps %llu; "
                "books wrong %llu silently %llu crossed %llu gaps %llu; reconnects %llu, made anew %llu, cuts %llu\n",
                what, sl_venue_name(venue), (unsigned long long)at, result->problem, (unsigned long long)result->trades,
                (unsigned long long)result->heard, (unsigned long long)result->told, (unsigned long long)result->untold,
                (unsigned long long)result->unseen, (unsigned long long)result->doubled,
                (unsigned long long)result->wrong, (unsigned long long)result->gaps,
                (unsigned long long)result->books_wrong, (unsigned long long)result->silently_wrong,
                (unsigned long long)result->crossed, (unsigned long long)result->book_gaps,
                (unsigned long long)result->stream.reconnects, (unsigned long long)result->stream.muted,
                (unsigned long long)result->exchange.faults[SL_FAULT_CUT]);
}

/* ---- cut ---- */

/* Where messages have ids the other connection's books go on as well; else they may be ahead, or behind. */
static bool books_have_ids(sl_venue venue)
{
    sl_book_rule rule = sl_venue_driver_of(venue)->book_rule;
    return rule != SL_BOOK_RULE_TRUSTED && rule != SL_BOOK_RULE_TIMED && rule != SL_BOOK_RULE_CHECKSUM;
}

/* Cuts as they are given; `whole`: one connection carried all at any time, so that nothing may be missing. */
static bool cuts_are_good(sl_venue venue, const struct sl_simulated_cut *cuts, size_t count, bool whole,
                          const char *what)
{
    struct sl_simulate_options options = {
        .venue = venue, .seed = cuts[0].told + 1, .redundancy = 2, .steps = STEPS, .cuts = cuts, .cut_count = count};
    struct sl_simulate_result result;
    bool good = sl_simulate(&options, &result) == 0 && sl_simulate_is_true(&result) &&
                result.exchange.faults[SL_FAULT_CUT] >= (whole ? count : 1); /* the other may not have come yet */
    if (whole) {
        good = good && result.told == 0 && result.gaps == 0 && result.unseen == 0;
        good = good && (result.book_gaps == 0 || !books_have_ids(venue));
    }
    if (!good) {
        tell(what, venue, cuts[0].told, &result);
    }
    return good;
}

typedef bool (*sweep_fn)(sl_venue venue, uint64_t message);

static void sweep(sweep_fn is_good)
{
    unsigned bad = 0, runs = 0;
    bool all = getenv("SL_PAIRS_CUTS") != NULL;
    uint64_t messages = sl_test_number("SL_PAIRS_CUTS", MESSAGES);
    for (size_t at = 0; at < VENUES; at++) {
        for (uint64_t message = 1 + (all ? 0 : at % STEP); message <= messages && !is_left_out(venues[at]);
             message += all ? 1 : STEP) {
            bad += !is_good(venues[at], message);
            runs++;
        }
    }
    print_message("%u runs, %u bad\n", runs, bad);
    assert_int_equal(bad, 0);
}

static bool first_is_cut(sl_venue venue, uint64_t message)
{
    const struct sl_simulated_cut cut = {.client = 1, .told = message, .cut = 1};
    return cuts_are_good(venue, &cut, 1, true, "the first");
}

static bool second_is_cut(sl_venue venue, uint64_t message)
{
    const struct sl_simulated_cut cut = {.client = 2, .told = message, .cut = 2};
    return cuts_are_good(venue, &cut, 1, true, "the second");
}

/* The first one, and when what came in its place has been told so much, the second: at some time that one was alone. */
static bool one_after_the_other(sl_venue venue, uint64_t message)
{
    const struct sl_simulated_cut cuts[] = {{.client = 1, .told = 40, .cut = 1},
                                            {.client = 3, .told = message, .cut = 2}};
    return cuts_are_good(venue, cuts, 2, message >= 60, "one after the other");
}

/* Both at the same message: what is missing is told. */
static bool both_are_cut(sl_venue venue, uint64_t message)
{
    const struct sl_simulated_cut cuts[] = {{.client = 1, .told = message, .cut = 1},
                                            {.client = 1, .told = message, .cut = 2}};
    return cuts_are_good(venue, cuts, 2, false, "both");
}

static void the_first_is_cut_behind_each_message(void **state)
{
    (void)state;
    sweep(first_is_cut);
}

static void the_second_is_cut_behind_each_message(void **state)
{
    (void)state;
    sweep(second_is_cut);
}

static void one_is_cut_after_the_other(void **state)
{
    (void)state;
    sweep(one_after_the_other);
}

static void both_are_cut_behind_each_message(void **state)
{
    (void)state;
    sweep(both_are_cut);
}

/* ---- mute ---- */

/* Streams that end on one of two connections are noticed and made anew there; nothing else is. */
static void a_stream_that_ends_on_one_connection_is_made_anew(void **state)
{
    (void)state;
    static const char scenario[] = "faults: [{ what: [mute], at: 5s, every: 70s }]";
    for (size_t at = 0; at < VENUES; at++) {
        struct sl_simulate_options options = {.venue = venues[at],
                                              .seed = 21,
                                              .redundancy = 2,
                                              .rate = 10,
                                              .steps = 4200,
                                              .scenario = scenario,
                                              .calm = SL_SECONDS(SECONDS_TO_HEAL)};
        struct sl_simulate_result result;
        if (is_left_out(venues[at])) {
            continue;
        }
        int code = sl_simulate(&options, &result);
        uint64_t mutes = result.exchange.faults[SL_FAULT_MUTE];
        bool good = code == 0 && sl_simulate_is_true(&result) && result.told == 0 && result.gaps == 0 && mutes >= 4 &&
                    result.stream.muted >= mutes - 1 && result.stream.muted <= mutes && result.stream.reconnects == 0;
        if (!good) {
            tell("mute", venues[at], mutes, &result);
        }
        assert_true(good);
    }
}

/*
 * The one that goes on is cut before that is noticed: what the mute one would have brought is told as missing, also where
 * ids tell nothing.
 */
static void what_a_mute_connection_did_not_bring_is_told(void **state)
{
    (void)state;
    static const char scenario[] = "faults: [{ what: [mute], at: 4s, count: 3 }]";
    uint64_t told = 0;
    for (size_t at = 0; at < VENUES; at++) {
        for (uint64_t message = 60; message <= 140 && !is_left_out(venues[at]); message += 8) {
            const struct sl_simulated_cut cut = {.client = 2, .told = message, .cut = 2};
            struct sl_simulate_options options = {.venue = venues[at],
                                                  .seed = message,
                                                  .redundancy = 2,
                                                  .rate = 10,
                                                  .steps = 400,
                                                  .scenario = scenario,
                                                  .cuts = &cut,
                                                  .cut_count = 1};
            struct sl_simulate_result result;
            bool good = sl_simulate(&options, &result) == 0 && sl_simulate_is_true(&result);
            told += result.told;
            if (!good) {
                tell("mute, and the other is cut", venues[at], message, &result);
            }
            assert_true(good);
        }
    }
    assert_true(told > 20);
}

/* Likewise, and the mute one ends as well before anybody has compared them: the first end has to tell. */
static void what_a_mute_connection_did_not_bring_is_told_at_once(void **state)
{
    (void)state;
    static const char scenario[] = "faults: [{ what: [mute], at: 4s }]";
    for (size_t at = 0; at < VENUES; at++) {
        for (uint64_t message = 110; message <= 150 && !is_left_out(venues[at]); message += 5) {
            const struct sl_simulated_cut cuts[] = {{.client = 2, .told = message, .cut = 2},
                                                    {.client = 3, .told = 16, .cut = 1}};
            struct sl_simulate_options options = {.venue = venues[at],
                                                  .seed = message,
                                                  .redundancy = 2,
                                                  .rate = 10,
                                                  .steps = 400,
                                                  .scenario = scenario,
                                                  .cuts = cuts,
                                                  .cut_count = 2};
            struct sl_simulate_result result;
            bool good = sl_simulate(&options, &result) == 0 && sl_simulate_is_true(&result);
            if (!good) {
                tell("mute, and both are cut", venues[at], message, &result);
            }
            assert_true(good);
        }
    }
}

/* In a quiet market nothing comes by either connection, and nothing is made anew. */
static void a_quiet_market_makes_nothing_anew(void **state)
{
    (void)state;
    for (size_t at = 0; at < VENUES; at++) {
        struct sl_simulate_options options = {
            .venue = venues[at], .seed = 22, .redundancy = 2, .rate = 0.05, .steps = 120};
        struct sl_simulate_result result;
        int code = sl_simulate(&options, &result);
        if (code < 0 || !sl_simulate_is_true(&result) || result.stream.muted > 0) {
            tell("quiet", venues[at], 0, &result);
        }
        assert_int_equal(code, 0);
        assert_true(sl_simulate_is_true(&result));
        assert_int_equal(result.stream.muted, 0);
    }
}

SL_TEST_MAIN(cmocka_unit_test(the_first_is_cut_behind_each_message),
             cmocka_unit_test(the_second_is_cut_behind_each_message), cmocka_unit_test(one_is_cut_after_the_other),
             cmocka_unit_test(both_are_cut_behind_each_message),
             cmocka_unit_test(a_stream_that_ends_on_one_connection_is_made_anew),
             cmocka_unit_test(what_a_mute_connection_did_not_bring_is_told),
             cmocka_unit_test(what_a_mute_connection_did_not_bring_is_told_at_once),
             cmocka_unit_test(a_quiet_market_makes_nothing_anew))
