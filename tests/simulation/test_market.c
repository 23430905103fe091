/* SPDX-License-Identifier: MIT */
/*
 * Each venue with each fault, and mixtures of faults from seeds: what is given out is the truth, or is told missing.
 *
 *     SL_SIMULATE_SEEDS=500 SL_SIMULATE_SEED=1   so many mixtures, from this seed on
 *     SL_MARKET_VENUE=okx SL_MARKET_FAULT=drop   only these
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/demo/simulate.h"
#include "sl_test.h"

#define SEEDS 20

static const sl_venue venues[] = {
    SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_USDM, SL_VENUE_BINANCE_COINM, SL_VENUE_COINBASE, SL_VENUE_KRAKEN,
    SL_VENUE_BYBIT_SPOT,   SL_VENUE_BYBIT_LINEAR, SL_VENUE_BYBIT_INVERSE, SL_VENUE_OKX,      SL_VENUE_BITSTAMP};
#define VENUES (sizeof venues / sizeof *venues)

/* Whether only another one is asked for. */
static bool is_left_out(const char *variable, const char *name)
{
    const char *only = getenv(variable);
    return only != NULL && strcmp(only, name) != 0;
}

static void tell(const char *what, sl_venue venue, const char *fault, unsigned redundancy, uint64_t seed,
                 const struct sl_simulate_result *result)
{
    print_error("%s: %s %s, %u connection(s), SL_SIMULATE_SEED=%llu: %s\n"
                "  trades %llu heard %llu told %llu untold %llu unseen %llu doubled %llu wrong %llu; books wrong %llu "
                "silently %llu crossed %llu gaps %llu healed %llu snapshots %llu; reconnects %llu\n",
                what, sl_venue_name(venue), fault, redundancy, (unsigned long long)seed, result->problem,
                (unsigned long long)result->trades, (unsigned long long)result->heard, (unsigned long long)result->told,
                (unsigned long long)result->untold, (unsigned long long)result->unseen,
                (unsigned long long)result->doubled, (unsigned long long)result->wrong,
                (unsigned long long)result->books_wrong, (unsigned long long)result->silently_wrong,
                (unsigned long long)result->crossed, (unsigned long long)result->book_gaps,
                (unsigned long long)result->healed, (unsigned long long)result->books.snapshots,
                (unsigned long long)result->stream.reconnects);
}

/* ---- scenarios ---- */

/* One fault every few seconds. */
static const char *scenario_of(sl_fault fault, unsigned count)
{
    static char text[512];
    (void)snprintf(text, sizeof text, "faults: [{ what: [%s], every: 3s, random: true, count: %u, for: 2s }]",
                   sl_fault_name(fault), count);
    return fault == SL_FAULT_NONE ? NULL : text;
}

/* ---- one fault at a time ---- */

/* Whether there is an occasion for it: books that are asked for, streams that begin with one. */
static bool can_happen(sl_venue venue, sl_fault fault)
{
    sl_book_rule rule = sl_venue_driver_of(venue)->book_rule;
    bool asked =
        rule == SL_BOOK_RULE_BINANCE_SPOT || rule == SL_BOOK_RULE_BINANCE_FUTURES || rule == SL_BOOK_RULE_TIMED;
    switch (fault) {
    case SL_FAULT_SNAPSHOT_OLD:
    case SL_FAULT_SNAPSHOT_NEVER:
    case SL_FAULT_SNAPSHOT_SLOW:
        return false; /* only while a book is made: the next test has them meet */
    case SL_FAULT_ACKS:
    case SL_FAULT_REFUSE_SUBSCRIPTION:
    case SL_FAULT_MESSAGE_LIMIT:
        return false; /* likewise */
    case SL_FAULT_SNAPSHOT_AGAIN:
        return !asked;
    default:
        return true;
    }
}

static bool fault_is_good(sl_venue venue, sl_fault fault, unsigned redundancy)
{
    struct sl_simulate_options options = {.venue = venue,
                                          .seed = sl_test_number("SL_SIMULATE_SEED", 1),
                                          .redundancy = redundancy,
                                          .scenario = scenario_of(fault, 2)};
    struct sl_simulate_result result;
    int code = sl_simulate(&options, &result);
    bool good = code == 0 && sl_simulate_is_true(&result);
    if (!good) {
        tell("not true", venue, sl_fault_name(fault), redundancy, options.seed, &result);
    }
    if (good && fault != SL_FAULT_NONE && result.exchange.faults[fault] == 0 && can_happen(venue, fault)) {
        tell("never happened", venue, sl_fault_name(fault), redundancy, options.seed, &result);
        good = false;
    }
    return good;
}

static void each_fault(sl_venue venue, unsigned redundancy)
{
    unsigned bad = 0;
    for (int fault = SL_FAULT_NONE; fault < SL_FAULT_COUNT; fault++) {
        if (!is_left_out("SL_MARKET_FAULT", sl_fault_name((sl_fault)fault)) &&
            !is_left_out("SL_MARKET_VENUE", sl_venue_name(venue)) &&
            !sl_simulate_hides_changes(venue, (sl_fault)fault) && !sl_simulate_hides_trades(venue, (sl_fault)fault)) {
            bad += !fault_is_good(venue, (sl_fault)fault, redundancy);
        }
    }
    assert_int_equal(bad, 0);
}

static void each_of(const sl_venue *some, size_t count, unsigned redundancy)
{
    for (size_t at = 0; at < count; at++) {
        each_fault(some[at], redundancy);
    }
}

static void each_fault_of_binance(void **state)
{
    (void)state;
    each_of(venues, 3, 1);
}

static void each_fault_of_bybit(void **state)
{
    (void)state;
    each_of(venues + 5, 3, 1);
}

static void each_fault_of_the_others(void **state)
{
    (void)state;
    each_of(venues + 3, 2, 1);
    each_of(venues + 8, 2, 1);
}

/* By two connections: a venue of each rule for books. Mixtures have them all. */
static void each_fault_by_two_connections_with_ids(void **state)
{
    (void)state;
    static const sl_venue some[] = {SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_USDM, SL_VENUE_BYBIT_LINEAR, SL_VENUE_OKX};
    each_of(some, 4, 2);
}

static void each_fault_by_two_connections_without_ids(void **state)
{
    (void)state;
    static const sl_venue some[] = {SL_VENUE_COINBASE, SL_VENUE_KRAKEN, SL_VENUE_BITSTAMP};
    each_of(some, 3, 2);
}

/* What can only go wrong while something begins meets connections that are cut again and again. */
static void each_fault_of_beginnings_meets_one(void **state)
{
    (void)state;
    static const sl_fault faults[] = {
        SL_FAULT_SNAPSHOT_OLD, SL_FAULT_SNAPSHOT_NEVER,      SL_FAULT_SNAPSHOT_SLOW, SL_FAULT_ACKS,  SL_FAULT_ACKS_LATE,
        SL_FAULT_DEAF,         SL_FAULT_REFUSE_SUBSCRIPTION, SL_FAULT_MESSAGE_LIMIT, SL_FAULT_REFUSE};
    unsigned bad = 0;
    for (size_t at = 0; at < VENUES; at++) {
        sl_book_rule rule = sl_venue_driver_of(venues[at])->book_rule;
        bool asked =
            rule == SL_BOOK_RULE_BINANCE_SPOT || rule == SL_BOOK_RULE_BINANCE_FUTURES || rule == SL_BOOK_RULE_TIMED;
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            char scenario[256];
            const char *name = sl_fault_name(faults[i]);
            if ((i < 3 && !asked) || is_left_out("SL_MARKET_FAULT", name) ||
                is_left_out("SL_MARKET_VENUE", sl_venue_name(venues[at]))) {
                continue;
            }
            (void)snprintf(scenario, sizeof scenario,
                           "faults:\n  - { what: [%s], every: 2s, count: 2, for: 1500ms }\n"
                           "  - { what: [cut], at: 2100ms, every: 4s }\n",
                           name);
            struct sl_simulate_options options = {
                .venue = venues[at], .seed = 9, .redundancy = 1, .steps = 1800, .scenario = scenario};
            struct sl_simulate_result result;
            bool good = sl_simulate(&options, &result) == 0 && sl_simulate_is_true(&result) &&
                        result.exchange.faults[faults[i]] > 0;
            if (!good) {
                tell("beginnings", venues[at], name, 1, 9, &result);
                bad++;
            }
        }
    }
    assert_int_equal(bad, 0);
}

/* Snapshots of megabytes, in one frame or one answer, in fragments and slowly, while connections are cut. */
static void books_of_megabytes(void **state)
{
    (void)state;
    static const sl_venue whole[] = {SL_VENUE_COINBASE, SL_VENUE_BITSTAMP};
    for (size_t at = 0; at < 2; at++) {
        char scenario[256];
        (void)snprintf(scenario, sizeof scenario,
                       "venues: { %s: { deep: 30000 } }\n"
                       "faults:\n  - { what: [cut, fragment, ping-inside], every: 300ms, until: 1s }\n",
                       sl_venue_name(whole[at]));
        struct sl_simulate_options options = {.venue = whole[at],
                                              .seed = 4,
                                              .redundancy = 1,
                                              .steps = 60,
                                              .scenario = scenario,
                                              .deflate = at == 0,
                                              .chunk_bytes = 0};
        struct sl_simulate_result result;
        bool good = sl_simulate(&options, &result) == 0 && sl_simulate_is_true(&result);
        if (!good) {
            tell("not true", whole[at], "deep", 1, 4, &result);
        }
        assert_true(good);
        assert_true(result.stream.bytes > 1000000 || whole[at] == SL_VENUE_BITSTAMP);
    }
}

/* ---- losses that nobody can see ---- */

/*
 * Bitstamp's changes have no sequence, Coinbase's neither: a lost one is found only by asking anew. The books are wrong
 * in silence meanwhile, and true in the end.
 */
static void lost_changes_that_nothing_tells_are_found_by_verifying(void **state)
{
    (void)state;
    static const sl_venue blind[] = {SL_VENUE_BITSTAMP, SL_VENUE_COINBASE};
    static const sl_fault faults[] = {SL_FAULT_DROP, SL_FAULT_SILENT, SL_FAULT_HEARTBEATS_ONLY, SL_FAULT_REORDER};
    for (size_t at = 0; at < 2; at++) {
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            assert_true(sl_simulate_hides_changes(blind[at], faults[i]));
            struct sl_simulate_options options = {.venue = blind[at],
                                                  .seed = 5,
                                                  .redundancy = 1,
                                                  .scenario = scenario_of(faults[i], 3),
                                                  .verify = SL_SECONDS(20),
                                                  .calm = SL_SECONDS(60)};
            struct sl_simulate_result with, without;
            assert_int_equal(sl_simulate(&options, &with), 0);
            options.verify = 0;
            assert_int_equal(sl_simulate(&options, &without), 0);
            assert_int_equal(with.books_wrong, 0);
            assert_int_equal(with.never_healed, 0);
            assert_true(with.books.verified > 3);
            if (faults[i] == SL_FAULT_DROP && blind[at] == SL_VENUE_BITSTAMP) {
                assert_true(with.books.different > 0);
                assert_true(without.silently_wrong > 0); /* there was something to find */
            }
        }
    }
}

/*
 * A venue that sends signs of life and no data, for minutes: the connection is made anew, and what was lost is told, also
 * where trades and changes have no numbers, but for what was lost there since it was made anew last.
 */
static void connections_without_data_are_made_anew(void **state)
{
    (void)state;
    static const char *const silences[] = {"silent", "heartbeats-only"};
    for (size_t at = 0; at < VENUES * 4; at++) {
        char scenario[128];
        (void)snprintf(scenario, sizeof scenario, "faults: [{ what: [%s], at: 60s, for: 3m }]", silences[at % 2]);
        struct sl_simulate_options options = {.venue = venues[at / 4],
                                              .seed = 11,
                                              .redundancy = 1 + at / 2 % 2,
                                              .rate = 10,
                                              .steps = 3000,
                                              .scenario = scenario};
        struct sl_simulate_result result;
        bool good = sl_simulate(&options, &result) == 0 && result.told > 0 && result.told >= result.untold * 2 &&
                    result.stream.reconnects >= options.redundancy;
        if (!sl_simulate_hides_trades(options.venue, SL_FAULT_SILENT) &&
            !sl_simulate_hides_changes(options.venue, SL_FAULT_SILENT)) {
            good = good && sl_simulate_is_true(&result);
        }
        if (!good) {
            tell("not made anew", options.venue, silences[at % 2], options.redundancy, 11, &result);
        }
        assert_true(good);
    }
}

/* Books that are right are not held for wrong, whatever moves while they are compared. */
static void right_books_stay_right_when_they_are_verified(void **state)
{
    (void)state;
    static const sl_fault faults[] = {SL_FAULT_NONE, SL_FAULT_SNAPSHOT_OLD, SL_FAULT_HTTP_500};
    for (size_t at = 0; at < VENUES; at++) {
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            struct sl_simulate_options options = {.venue = venues[at],
                                                  .seed = 3,
                                                  .redundancy = 1 + i % 2,
                                                  .steps = 2400,
                                                  .scenario = scenario_of(faults[i], 1),
                                                  .verify = SL_SECONDS(10)};
            struct sl_simulate_result result;
            assert_int_equal(sl_simulate(&options, &result), 0);
            if (!sl_simulate_is_true(&result) || result.books.different > 0) {
                tell("not true", venues[at], sl_fault_name(faults[i]), options.redundancy, 3, &result);
            }
            assert_true(sl_simulate_is_true(&result));
            assert_int_equal(result.books.different, 0);
            if (i == 0 && sl_venue_driver_of(venues[at])->book_rule == SL_BOOK_RULE_BINANCE_SPOT) {
                assert_true(result.books.verified > 5);
            }
        }
    }
}

/* ---- mixtures ---- */

/* A venue, connections and faults from one seed. */
static bool mixture_is_good(uint64_t seed, struct sl_simulate_result *result)
{
    char scenario[SL_SIMULATE_MIXTURE_BYTES];
    sl_venue venue = venues[seed % VENUES];
    struct sl_simulate_options options = sl_simulate_mixture(venue, seed, 1 + seed / VENUES % 2, scenario);
    int code = sl_simulate(&options, result);
    bool good = code == 0 && sl_simulate_is_true(result);
    if (!good) {
        tell("not true", venue, "mixture", options.redundancy, seed, result);
    }
    return good;
}

static void mixtures_of_faults(void **state)
{
    (void)state;
    uint64_t first = sl_test_number("SL_SIMULATE_SEED", 1);
    uint64_t seeds = sl_test_number("SL_SIMULATE_SEEDS", getenv("SL_SIMULATE_SEED") == NULL ? SEEDS : 1);
    uint64_t bad = 0, trades = 0, told = 0, gaps = 0, healed = 0, faults = 0;
    sl_time longest = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct sl_simulate_result result;
        bad += !mixture_is_good(seed, &result);
        trades += result.trades;
        told += result.told;
        gaps += result.book_gaps;
        healed += result.healed;
        longest = result.healed_after > longest ? result.healed_after : longest;
        for (int fault = 0; fault < SL_FAULT_COUNT; fault++) {
            faults += result.exchange.faults[fault];
        }
    }
    print_message("%llu seeds, %llu bad: %llu faults, %llu trades of which %llu were told missing, books wrong %llu "
                  "times and healed %llu times, at most %lld s after the last fault\n",
                  (unsigned long long)seeds, (unsigned long long)bad, (unsigned long long)faults,
                  (unsigned long long)trades, (unsigned long long)told, (unsigned long long)gaps,
                  (unsigned long long)healed, (long long)(longest / SL_SECONDS(1)));
    assert_int_equal(bad, 0);
    if (seeds >= SEEDS) { /* there was something to see */
        assert_true(faults > seeds * 5 && healed > seeds && told > 0);
    }
}

/* ---- A/B ---- */

/*
 * Of two connections one is cut or closed, again and again, at times that each seed draws: no trade is missing or
 * twice, and books with ids know no gap. (Without ids a book may be ahead on the other connection, or behind.)
 */
static void one_of_two_connections_may_be_cut_at_any_time(void **state)
{
    (void)state;
    uint64_t cuts = 0, bad = 0;
    uint64_t first = sl_test_number("SL_SIMULATE_SEED", 1);
    uint64_t seeds = sl_test_number("SL_SIMULATE_SEEDS", (uint64_t)2 * VENUES);
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        sl_venue venue = venues[seed % VENUES];
        char scenario[256];
        (void)snprintf(scenario, sizeof scenario, "faults: [{ what: [cut, close], at: %llums, every: %llums }]",
                       (unsigned long long)(500 + seed * 7919 % 4000),
                       (unsigned long long)(4000 + seed * 104729 % 3000));
        struct sl_simulate_options options = {
            .venue = venue, .seed = seed, .redundancy = 2, .steps = 1600, .scenario = scenario};
        struct sl_simulate_result result;
        sl_book_rule rule = sl_venue_driver_of(venue)->book_rule;
        bool ids = rule != SL_BOOK_RULE_TRUSTED && rule != SL_BOOK_RULE_TIMED && rule != SL_BOOK_RULE_CHECKSUM;
        bool good = sl_simulate(&options, &result) == 0 && sl_simulate_is_true(&result) && result.told == 0 &&
                    result.gaps == 0 && (!ids || result.book_gaps == 0);
        if (!good) {
            tell("A/B", venue, "cut", 2, seed, &result);
            bad++;
        }
        cuts += result.exchange.faults[SL_FAULT_CUT] + result.exchange.faults[SL_FAULT_CLOSE];
    }
    print_message("%llu runs, %llu bad, %llu cuts\n", (unsigned long long)seeds, (unsigned long long)bad,
                  (unsigned long long)cuts);
    assert_int_equal(bad, 0);
    assert_true(cuts > seeds * 2);
}

/* ---- sinks that make us wait, and people who steer ---- */

/*
 * What is in hand while a sink makes the service wait is neither lost nor taken for given when its connection is
 * replaced, cut, paused or closed by the venue; and a loss is told however long that takes.
 */
static void slow_sinks_and_steering_lose_nothing_untold(void **state)
{
    (void)state;
    static const char scenario[] =
        "faults: [{ what: [cut, close, leave, half-open, cut-all], every: 2500ms, random: true }]";
    uint64_t first = sl_test_number("SL_SIMULATE_SEED", 1);
    uint64_t seeds = sl_test_number("SL_SIMULATE_SEEDS", (uint64_t)6 * VENUES);
    uint64_t bad = 0, reconnects = 0, rotations = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct sl_simulate_options options = {.venue = venues[seed % VENUES],
                                              .seed = seed,
                                              .redundancy = 1 + seed / VENUES % 2,
                                              .per_connection = seed % 2 == 0 ? 2 : 0,
                                              .stalls = seed % 3 == 0 ? 0.01 : 0.002,
                                              .steered = seed % 4 != 0};
        options.scenario = scenario;
        struct sl_simulate_result result;
        int code = sl_simulate(&options, &result);
        bool good = code == 0 && sl_simulate_is_true(&result);
        if (!good) {
            tell("slow", options.venue, "cut", options.redundancy, seed, &result);
            bad++;
        }
        reconnects += result.stream.reconnects;
        rotations += result.stream.rotations;
    }
    assert_int_equal(bad, 0);
    assert_true(reconnects > seeds && rotations > seeds / 10);
}

static void same_seed_same_play(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct sl_simulate_result one, other;
        (void)mixture_is_good(seed, &one);
        (void)mixture_is_good(seed, &other);
        assert_int_equal(one.exchange.messages, other.exchange.messages);
        assert_int_equal(one.stream.bytes, other.stream.bytes);
        assert_int_equal(one.book_gaps, other.book_gaps);
        assert_int_equal(one.healed_after, other.healed_after);
    }
}

SL_TEST_MAIN(cmocka_unit_test(lost_changes_that_nothing_tells_are_found_by_verifying),
             cmocka_unit_test(connections_without_data_are_made_anew),
             cmocka_unit_test(right_books_stay_right_when_they_are_verified), cmocka_unit_test(mixtures_of_faults),
             cmocka_unit_test(same_seed_same_play), cmocka_unit_test(slow_sinks_and_steering_lose_nothing_untold),
             cmocka_unit_test(one_of_two_connections_may_be_cut_at_any_time),
             cmocka_unit_test(each_fault_of_beginnings_meets_one), cmocka_unit_test(books_of_megabytes),
             cmocka_unit_test(each_fault_of_binance), cmocka_unit_test(each_fault_of_bybit),
             cmocka_unit_test(each_fault_of_the_others), cmocka_unit_test(each_fault_by_two_connections_with_ids),
             cmocka_unit_test(each_fault_by_two_connections_without_ids))
