/* SPDX-License-Identifier: MIT */
/*
 * A histogram of durations: fixed exponential buckets, four an octave, from a microsecond to two minutes.
 * Recording is a few instructions and never fails; histograms add up and are subtracted, so that a view can show the
 * last second of one that only grows. A plain struct: zeroed is empty. One thread, or the caller's lock.
 */
#ifndef SLUICE_HISTOGRAM_H
#define SLUICE_HISTOGRAM_H

#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Octaves 2^10 ns (1.024 us) to 2^37 ns (137 s), each in 4 parts; one bucket below, one above. */
#define SL_HISTOGRAM_LOW_BITS 10
#define SL_HISTOGRAM_HIGH_BITS 37
#define SL_HISTOGRAM_BUCKETS ((SL_HISTOGRAM_HIGH_BITS - SL_HISTOGRAM_LOW_BITS) * 4 + 2)

struct sl_histogram {
    uint64_t sum_ns;
    uint64_t negative; /* durations below 0, as clocks that disagree give; they are in the lowest bucket as 0 */
    uint64_t buckets[SL_HISTOGRAM_BUCKETS];
};

/* The bucket of a duration: (bound[i-1], bound[i]]. */
static inline unsigned sl_histogram_index(uint64_t duration_ns)
{
    if (duration_ns <= (UINT64_C(1) << SL_HISTOGRAM_LOW_BITS)) {
        return 0;
    }
    if (duration_ns > (UINT64_C(1) << SL_HISTOGRAM_HIGH_BITS)) {
        return SL_HISTOGRAM_BUCKETS - 1;
    }
    uint64_t below = duration_ns - 1; /* a bound itself belongs to the bucket that it ends */
    unsigned bit = 63u - (unsigned)__builtin_clzll(below);
    return (bit - SL_HISTOGRAM_LOW_BITS) * 4 + (unsigned)(below >> (bit - 2) & 3) + 1;
}

static inline void sl_histogram_record(struct sl_histogram *histogram, sl_time duration)
{
    uint64_t duration_ns = duration > 0 ? (uint64_t)duration : 0;
    histogram->negative += duration < 0 ? 1 : 0;
    histogram->sum_ns += duration_ns;
    histogram->buckets[sl_histogram_index(duration_ns)]++;
}

/* The upper bound of a bucket, inclusive; SL_NEVER for the last one. */
sl_time sl_histogram_bound(unsigned index);

uint64_t sl_histogram_count(const struct sl_histogram *histogram);

/* Adds all of `more` to `sum`. */
void sl_histogram_add(struct sl_histogram *sum, const struct sl_histogram *more);

/* What came to `now` since it was copied to `before`. */
void sl_histogram_since(const struct sl_histogram *now, const struct sl_histogram *before,
                        struct sl_histogram *ret_difference);

/*
 * The duration that the share `quantile` (0 to 1) does not exceed, interpolated within its bucket (off by at most a
 * quarter); 0 when it is empty, the highest bound for what lies above that.
 */
sl_time sl_histogram_quantile(const struct sl_histogram *histogram, double quantile);

#ifdef __cplusplus
}
#endif

#endif
