/* SPDX-License-Identifier: MIT */
/* Windows of counts: the slow half, which turns to the slot of a new time. */
#include "window.h"

#include <string.h>

static void drop(struct sl__window *window, uint32_t slot)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        window->sum[kind] -= window->slots[slot][kind];
        window->slots[slot][kind] = 0;
    }
}

void sl__window_turn(struct sl__window *window, sl_time now)
{
    if (window->end == 0 || now - window->end >= window->slot_ns * SL__WINDOW_SLOTS) {
        memset(window->slots, 0, sizeof window->slots);
        memset(window->sum, 0, sizeof window->sum);
        window->end = sl_time_add(now, window->slot_ns);
        return;
    }
    while (now >= window->end) { /* at most SL__WINDOW_SLOTS times */
        window->at = (window->at + 1) % SL__WINDOW_SLOTS;
        drop(window, window->at);
        window->end += window->slot_ns;
    }
}
