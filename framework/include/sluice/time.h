/* SPDX-License-Identifier: MIT */
/*
 * Time: 64-bit nanoseconds of the runtime's monotonic clock, real or simulated. Deadlines are absolute,
 * timeouts are relative; a scope holds the deadline, so that most calls take none.
 */
#ifndef SLUICE_TIME_H
#define SLUICE_TIME_H

#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t sl_time;

#define SL_NEVER INT64_MAX
#define SL_NANOSECONDS(count) ((sl_time)(count))
#define SL_MICROSECONDS(count) ((sl_time)(count)*1000)
#define SL_MILLISECONDS(count) ((sl_time)(count)*1000000)
#define SL_SECONDS(count) ((sl_time)(count)*1000000000)
#define SL_MINUTES(count) ((sl_time)(count)*60000000000)

/* Now on the clock of this thread's runtime; never goes back, always > 0. Outside a runtime: CLOCK_MONOTONIC. */
sl_time sl_now(void);

/* Wall clock, ns since 1970; in a simulated world it is derived from the virtual clock and the seed. */
sl_time sl_now_wall(void);

/* `when + duration`, saturating at SL_NEVER. */
sl_time sl_time_add(sl_time when, sl_time duration);

/*
 * Waits. Never returns early with 0. A duration of 0 is a full checkpoint. Cancellation point.
 * Returns 0, SL_ECANCELED, SL_EINVAL for a negative duration (an absolute time may be past),
 * SL_ENOTASK outside a task.
 */
SL_MUST_CHECK int sl_sleep(sl_time duration);
SL_MUST_CHECK int sl_sleep_until(sl_time when);

#ifdef __cplusplus
}
#endif

#endif
