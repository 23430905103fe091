/* SPDX-License-Identifier: MIT */
/* Histograms of durations: what is done with them besides recording. */
#include "sluice/histogram.h"

sl_time sl_histogram_bound(unsigned index)
{
    if (index >= SL_HISTOGRAM_BUCKETS - 1) {
        return SL_NEVER;
    }
    unsigned octave = SL_HISTOGRAM_LOW_BITS + index / 4;
    return ((sl_time)1 << octave) + (sl_time)(index % 4) * ((sl_time)1 << (octave - 2));
}

uint64_t sl_histogram_count(const struct sl_histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        count += histogram->buckets[i];
    }
    return count;
}

void sl_histogram_add(struct sl_histogram *sum, const struct sl_histogram *more)
{
    sum->sum_ns += more->sum_ns;
    sum->negative += more->negative;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        sum->buckets[i] += more->buckets[i];
    }
}

void sl_histogram_since(const struct sl_histogram *now, const struct sl_histogram *before,
                        struct sl_histogram *ret_difference)
{
    ret_difference->sum_ns = now->sum_ns - before->sum_ns;
    ret_difference->negative = now->negative - before->negative;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        ret_difference->buckets[i] = now->buckets[i] - before->buckets[i];
    }
}

sl_time sl_histogram_quantile(const struct sl_histogram *histogram, double quantile)
{
    uint64_t count = sl_histogram_count(histogram);
    if (count == 0) {
        return 0;
    }
    double rank = (quantile < 0 ? 0 : quantile > 1 ? 1 : quantile) * (double)count;
    uint64_t below = 0;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t here = histogram->buckets[i];
        if (here > 0 && (double)(below + here) >= rank) {
            sl_time from = i == 0 ? 0 : sl_histogram_bound(i - 1);
            double share = (rank - (double)below) / (double)here;
            return from + (sl_time)(share * (double)(sl_histogram_bound(i) - from));
        }
        below += here;
    }
    return sl_histogram_bound(SL_HISTOGRAM_BUCKETS - 2);
}
