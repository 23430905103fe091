/* SPDX-License-Identifier: MIT */
/* For the tracker: consecutive ids, which of them have come and which are waited for. */
#ifndef SL_MARKET_TRACKER_WINDOW_H
#define SL_MARKET_TRACKER_WINDOW_H

#include "tracker.h"

#define WORD_BITS 64
#define WINDOW_WORDS (SL_TRACKER_WINDOW / WORD_BITS)

/* Missing ids from one to another, both included, until when they may still come. */
struct hole {
    int64_t from, to;
    sl_time until;
    int64_t wall_ns; /* when it was seen */
    uint32_t connection;
    sl_gap_reason reason;
};

/* Consecutive ids: which of the SL_TRACKER_WINDOW up to the newest have come. */
struct window {
    int64_t settled;             /* ids behind this one, up to the newest, have all come: their bits are not set yet */
    uint64_t seen[WINDOW_WORDS]; /* bit of id: id % SL_TRACKER_WINDOW */
    struct hole holes[SL_TRACKER_HOLES_MAX];
    size_t hole_count;
    int64_t first;        /* of those that came here; 0: none yet */
    uint32_t strays;      /* far older ids one after the other, ... */
    int64_t strayed_from; /* ... while this was the newest */
    bool resumed;         /* `high` is what an earlier life, or another replica, had; nothing came here yet */
    bool unknown;         /* somebody had it, but nobody knows how far: told with the first event */
};

static inline bool seen(const struct window *window, int64_t id)
{
    size_t bit = (size_t)((uint64_t)id % SL_TRACKER_WINDOW);
    return (window->seen[bit / WORD_BITS] >> (bit % WORD_BITS) & 1) != 0;
}

static inline void mark(struct window *window, int64_t id, bool value)
{
    size_t bit = (size_t)((uint64_t)id % SL_TRACKER_WINDOW);
    uint64_t mask = UINT64_C(1) << (bit % WORD_BITS);
    window->seen[bit / WORD_BITS] =
        value ? window->seen[bit / WORD_BITS] | mask : window->seen[bit / WORD_BITS] & ~mask;
}

#endif
