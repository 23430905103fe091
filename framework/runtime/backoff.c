/* SPDX-License-Identifier: MIT */
/* Delays between restarts: a pure function. */
#include "sluice/supervisor.h"

sl_time sl_backoff_delay(const struct sl_backoff *backoff, uint32_t attempt, double random)
{
    if (backoff->initial == SL_NO_BACKOFF) {
        return 0;
    }
    double delay = (double)(backoff->initial == 0 ? SL_BACKOFF_INITIAL : backoff->initial);
    sl_time most = backoff->max == 0 ? SL_BACKOFF_MAX : backoff->max;
    double max = (double)most;
    double multiplier = backoff->multiplier == 0 ? 2 : backoff->multiplier;
    double jitter = backoff->jitter == 0 ? SL_BACKOFF_JITTER : (backoff->jitter < 0 ? 0 : backoff->jitter);
    for (; attempt > 0 && delay < max; attempt /= 2) { /* by squaring: never more than 32 steps */
        delay *= attempt % 2 == 1 ? multiplier : 1;
        multiplier *= multiplier;
    }
    delay = (delay < max ? delay : max) * (1 - jitter * random);
    return delay < (double)most ? (sl_time)delay : most; /* a double need not hold `most` */
}
