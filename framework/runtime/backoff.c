/* SPDX-License-Identifier: MIT */
/* Delays between restarts: a pure function. */
#include "sluice/supervisor.h"

sl_time sl_backoff_delay(const struct sl_backoff *backoff, uint32_t attempt, double random)
{
    if (backoff->initial == SL_NO_BACKOFF) {
        return 0;
    }
    double delay = (double)(backoff->initial == 0 ? SL_BACKOFF_INITIAL : backoff->initial);
    double max = (double)(backoff->max == 0 ? SL_BACKOFF_MAX : backoff->max);
    double multiplier = backoff->multiplier == 0 ? 2 : backoff->multiplier;
    double jitter = backoff->jitter == 0 ? SL_BACKOFF_JITTER : (backoff->jitter < 0 ? 0 : backoff->jitter);
    for (uint32_t i = 0; i < attempt && delay < max && multiplier > 1; i++) {
        delay *= multiplier;
    }
    delay = delay < max ? delay : max;
    return (sl_time)(delay * (1 - jitter * random));
}
