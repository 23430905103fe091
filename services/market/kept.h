/* SPDX-License-Identifier: MIT */
/*
 * Changes of one book that cannot be applied yet, with their levels, sorted by their last id; of two with the same
 * last id the first one that came is kept. Bounded in number and bytes: when it is full those with the lowest ids go.
 * Each is a piece of heap memory of its own, given back when it goes: tens of thousands of books wait at once after a
 * reconnect, and none of them should hold what it needed then. For keeper.c.
 */
#ifndef SLUICE_MARKET_KEPT_H
#define SLUICE_MARKET_KEPT_H

#include "event.h"

struct sl__kept {
    size_t count_max, bytes_max;
    sl_market_event **events; /* from `head` on, `count` of them; each with its levels behind it */
    size_t head, count, capacity;
    size_t bytes;
    uint64_t dropped; /* by the limits */
};

/*
 * Keeps a copy of a BOOK_DELTA. 1; 0: there is one with this last id; SL_EMSGSIZE: larger than the limit, SL_ENOMEM:
 * nothing was kept.
 */
SL_MUST_CHECK int sl__kept_add(struct sl__kept *kept, const sl_market_event *event);

/* The one with the lowest last id, NULL when there is none; and the one at a place. */
const sl_market_event *sl__kept_first(const struct sl__kept *kept);
const sl_market_event *sl__kept_at(const struct sl__kept *kept, size_t place);

/* Drops the first one, the first few, all of them (and gives the memory back). */
void sl__kept_drop(struct sl__kept *kept, size_t count);
void sl__kept_clear(struct sl__kept *kept);

#endif
