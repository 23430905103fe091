/* SPDX-License-Identifier: MIT */
/* What the files of the rate limits share. */
#ifndef SL_RESILIENCE_RATES_H
#define SL_RESILIENCE_RATES_H

#include "sluice/rate_limit.h"
#include "window.h"

/* A limit at rest; `index` is for the message. 0 or SL_EINVAL. */
int sl__limit_init(struct sl__limit *limit, const struct sl_rate *rate, size_t index);

/*
 * Fills `to`, a limit at rest, with what `from` has used; from `now` on no window holds more than the new count,
 * counted with what went before.
 */
void sl__limit_carry(struct sl__limit *to, const struct sl__limit *from, enum sl_rates_carry carry, sl_time now);

#endif
