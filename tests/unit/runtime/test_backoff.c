/* SPDX-License-Identifier: MIT */
/* Delays between restarts: bounds, growth, jitter, and numbers too large for any of them. */
#include <math.h>
#include <stdlib.h>

#include "sl_test.h"
#include "sluice/supervisor.h"

#define SEEDS 200
#define DRAWS 20000

static uint64_t random_state;

static double unit(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) * 0x1p-53;
}

/* The definition, in long double: within a rounding error of it, for random policies. */
static void follows_its_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        for (int i = 0; i < 100; i++) {
            struct sl_backoff backoff = {.initial = 1 + (sl_time)(unit() * 1e10),
                                         .max = 1 + (sl_time)(unit() * 1e13),
                                         .multiplier = 1 + unit() * unit() * 9,
                                         .jitter = unit() < 0.2 ? -1 : unit()};
            uint32_t attempt = (uint32_t)(unit() * unit() * 80);
            double random = unit();
            double jitter = backoff.jitter < 0 ? 0 : (backoff.jitter == 0 ? SL_BACKOFF_JITTER : backoff.jitter);
            long double expected = (long double)backoff.initial * powl(backoff.multiplier, attempt);
            expected = expected < backoff.max ? expected : backoff.max;
            expected *= 1 - (long double)jitter * random;
            long double got = (long double)sl_backoff_delay(&backoff, attempt, random);
            if (fabsl(got - expected) > 2 + expected * 1e-9L) {
                fail_msg("seed %llu: attempt %u: %.0Lf is not %.0Lf", (unsigned long long)seed, attempt, got, expected);
            }
        }
    }
}

static void defaults(void **state)
{
    (void)state;
    struct sl_backoff backoff = {0};
    assert_int_equal(sl_backoff_delay(&backoff, 0, 0), SL_BACKOFF_INITIAL);
    assert_int_equal(sl_backoff_delay(&backoff, 1, 0), 2 * SL_BACKOFF_INITIAL);
    assert_int_equal(sl_backoff_delay(&backoff, 6, 0), 64 * SL_BACKOFF_INITIAL);
    assert_int_equal(sl_backoff_delay(&backoff, 7, 0), SL_BACKOFF_MAX);
    assert_int_equal(sl_backoff_delay(&backoff, 0, 0.5), SL_BACKOFF_INITIAL * 3 / 4);
    backoff.jitter = -1;
    assert_int_equal(sl_backoff_delay(&backoff, 3, 0.999), 8 * SL_BACKOFF_INITIAL);
    backoff.initial = SL_NO_BACKOFF;
    assert_int_equal(sl_backoff_delay(&backoff, 1000, 0.5), 0);
    backoff = (struct sl_backoff){.initial = SL_SECONDS(5), .max = SL_SECONDS(2), .jitter = -1};
    assert_int_equal(sl_backoff_delay(&backoff, 0, 0), SL_SECONDS(2)); /* max holds for the first delay too */
}

/* Never negative, never above max, never endless to compute, never undefined. */
static void the_largest_numbers(void **state)
{
    (void)state;
    static const uint32_t attempts[] = {0, 1, 31, 32, 62, 63, 64, 1023, 1024, 1u << 31, UINT32_MAX};
    static const double multipliers[] = {1, 1 + 1e-12, 1.5, 2, 1e300, INFINITY};
    static const sl_time times[] = {1, SL_SECONDS(1), SL_NEVER - 1, SL_NEVER};
    for (size_t i = 0; i < (size_t)11 * 6 * 4 * 4; i++) {
        struct sl_backoff backoff = {.initial = times[i % 4],
                                     .max = times[i / 4 % 4],
                                     .multiplier = multipliers[i / 16 % 6],
                                     .jitter = i % 2 == 0 ? -1 : 1};
        sl_time delay = sl_backoff_delay(&backoff, attempts[i / 96], i % 3 == 0 ? 0 : 0.999999);
        assert_true(delay >= 0 && delay <= backoff.max);
        if (backoff.jitter < 0 && attempts[i / 96] >= 64 && backoff.multiplier >= 2) {
            assert_true((double)delay >= (double)backoff.max * 0.999999);
        }
    }
}

/* With jitter 1 the delays lie evenly in (0, full]; with half of it, in (full / 2, full]. */
static void jitter_spreads_evenly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_state = seed;
        for (int half = 0; half < 2; half++) {
            struct sl_backoff backoff = {.initial = SL_SECONDS(1), .max = SL_SECONDS(16), .jitter = half ? 0.5 : 1};
            double lowest = half ? 0.5 : 0;
            int tenths[10] = {0};
            for (int i = 0; i < DRAWS; i++) {
                double share = (double)sl_backoff_delay(&backoff, 4, unit()) / (double)SL_SECONDS(16);
                assert_true(share > lowest - 1e-9 && share <= 1);
                int tenth = (int)((share - lowest) / (1 - lowest) * 10);
                tenths[tenth < 0 ? 0 : (tenth > 9 ? 9 : tenth)]++;
            }
            for (int i = 0; i < 10; i++) { /* six standard deviations, about */
                if (abs(tenths[i] - DRAWS / 10) > 6 * 42) {
                    fail_msg("seed %llu: %d of %d in tenth %d", (unsigned long long)seed, tenths[i], DRAWS, i);
                }
            }
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(follows_its_definition), cmocka_unit_test(defaults),
             cmocka_unit_test(the_largest_numbers), cmocka_unit_test(jitter_spreads_evenly))
