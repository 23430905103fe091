/* SPDX-License-Identifier: MIT */
/* Histograms of durations against a slow and plain way to count. */
#include <string.h>

#include "sl_test.h"
#include "sluice/histogram.h"
#include "sluice/runtime.h"

/* By comparing with each bound. */
static unsigned plain_index(sl_time duration)
{
    unsigned index = 0;
    while (duration > sl_histogram_bound(index)) {
        index++;
    }
    return index;
}

static void bounds_grow_by_a_quarter_octave(void **state)
{
    (void)state;
    assert_int_equal(sl_histogram_bound(0), 1024);
    assert_int_equal(sl_histogram_bound(4), 2048);
    assert_int_equal(sl_histogram_bound(SL_HISTOGRAM_BUCKETS - 2), SL_NANOSECONDS(1) << SL_HISTOGRAM_HIGH_BITS);
    assert_true(sl_histogram_bound(SL_HISTOGRAM_BUCKETS - 1) == SL_NEVER);
    for (unsigned i = 1; i < SL_HISTOGRAM_BUCKETS - 1; i++) {
        double ratio = (double)sl_histogram_bound(i) / (double)sl_histogram_bound(i - 1);
        assert_true(ratio > 1.14 && ratio <= 1.25);
    }
}

static void every_duration_finds_its_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS - 1; i++) {
        for (sl_time off = -2; off <= 2; off++) {
            sl_time duration = sl_histogram_bound(i) + off;
            assert_int_equal(sl_histogram_index((uint64_t)duration), plain_index(duration));
        }
    }
    assert_int_equal(sl_histogram_index(0), 0);
    assert_int_equal(sl_histogram_index(UINT64_MAX), SL_HISTOGRAM_BUCKETS - 1);
    uint64_t random = 1;
    for (int i = 0; i < 100000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        sl_time duration = (sl_time)(random >> (random % 40 + 20));
        assert_int_equal(sl_histogram_index((uint64_t)duration), plain_index(duration));
    }
}

static void recording_counts_and_sums(void **state)
{
    (void)state;
    struct sl_histogram histogram = {0};
    sl_histogram_record(&histogram, 0);
    sl_histogram_record(&histogram, -5);
    sl_histogram_record(&histogram, SL_SECONDS(1));
    sl_histogram_record(&histogram, SL_NEVER);
    assert_int_equal(sl_histogram_count(&histogram), 4);
    assert_int_equal(histogram.negative, 1);
    assert_true(histogram.sum_ns == (uint64_t)SL_NEVER + 1000000000);
    assert_int_equal(histogram.buckets[0], 2);
    assert_int_equal(histogram.buckets[SL_HISTOGRAM_BUCKETS - 1], 1);
}

static void histograms_add_up_and_are_subtracted(void **state)
{
    (void)state;
    struct sl_histogram one = {0};
    struct sl_histogram two = {0};
    struct sl_histogram both = {0};
    for (sl_time i = 1; i <= 1000; i++) {
        sl_histogram_record(&one, SL_MICROSECONDS(i));
        sl_histogram_record(&two, i % 10 == 0 ? -1 : SL_MILLISECONDS(i));
        sl_histogram_record(&both, SL_MICROSECONDS(i));
        sl_histogram_record(&both, i % 10 == 0 ? -1 : SL_MILLISECONDS(i));
    }
    struct sl_histogram sum = one;
    sl_histogram_add(&sum, &two);
    assert_memory_equal(&sum, &both, sizeof sum);
    struct sl_histogram difference;
    sl_histogram_since(&both, &one, &difference);
    assert_memory_equal(&difference, &two, sizeof two);
}

static void quantiles_are_near(void **state)
{
    (void)state;
    struct sl_histogram histogram = {0};
    assert_int_equal(sl_histogram_quantile(&histogram, 0.5), 0);
    for (sl_time i = 1; i <= 10000; i++) {
        sl_histogram_record(&histogram, SL_MICROSECONDS(i * 10));
    }
    static const double quantiles[] = {0.01, 0.1, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double found = (double)sl_histogram_quantile(&histogram, quantiles[i]);
        double wanted = quantiles[i] * 1e8;
        assert_true(found > wanted * 0.8 && found < wanted * 1.25);
    }
    assert_true(sl_histogram_quantile(&histogram, 1.0) >= SL_MILLISECONDS(100));
    sl_histogram_record(&histogram, SL_MINUTES(60));
    assert_true(sl_histogram_quantile(&histogram, 2.0) == sl_histogram_bound(SL_HISTOGRAM_BUCKETS - 2));
}

SL_TEST_MAIN(cmocka_unit_test(bounds_grow_by_a_quarter_octave), cmocka_unit_test(every_duration_finds_its_bucket),
             cmocka_unit_test(recording_counts_and_sums), cmocka_unit_test(histograms_add_up_and_are_subtracted),
             cmocka_unit_test(quantiles_are_near))
