/* SPDX-License-Identifier: MIT */
/*
 * What happened in the last window, counted in slots of a tenth of it. The sums cover the running slot and
 * the nine before it, or with one slot more room (`slack`) at least the whole window.
 */
#ifndef SL_RESILIENCE_WINDOW_H
#define SL_RESILIENCE_WINDOW_H

#include "sluice/rate_limit.h"

#define SL__WINDOW_LIKELY(condition) __builtin_expect(!!(condition), 1)

static inline void sl__window_init(struct sl__window *window, sl_time length, bool slack)
{
    sl_time parts = slack ? SL__WINDOW_SLOTS - 1 : SL__WINDOW_SLOTS;
    *window = (struct sl__window){.slot_ns = (length + parts - 1) / parts};
}

void sl__window_turn(struct sl__window *window, sl_time now);

/* Forgets what is too old. An earlier `now` than before counts as the time before. */
static inline void sl__window_advance(struct sl__window *window, sl_time now)
{
    if (!SL__WINDOW_LIKELY(now < window->end)) {
        sl__window_turn(window, now);
    }
}

static inline void sl__window_add(struct sl__window *window, unsigned kind, uint32_t amount, sl_time now)
{
    sl__window_advance(window, now);
    uint32_t *slot = &window->slots[window->at][kind];
    uint32_t room = UINT32_MAX - *slot;
    amount = amount < room ? amount : room;
    *slot += amount;
    window->sum[kind] += amount;
}

#endif
