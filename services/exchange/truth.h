/* SPDX-License-Identifier: MIT */
/*
 * The true market of one simulated venue: instruments, their books and trades, moved on a step at a time from a seed.
 * What it says is what a worker must have in its sinks in the end. No I/O, no clock, one thread at a time.
 *
 * Busy instruments are rarer than quiet ones, as in life: the first ones get most of the steps.
 */
#ifndef SLUICE_EXCHANGE_TRUTH_H
#define SLUICE_EXCHANGE_TRUTH_H

#include "market/book.h"
#include "market/event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels a side that change in one step, at most, with those that an order or the limit of the book removes. */
#define SL_TRUTH_CHANGES_MAX 64

/* Levels a side of a book: the default, and the most. */
#define SL_TRUTH_LEVELS_DEFAULT 50
#define SL_TRUTH_LEVELS_MAX 1000
#define SL_TRUTH_DEEP_MAX 100000

typedef struct sl_truth sl_truth;

/* What one instrument has come to. */
typedef struct sl_truth_state {
    const sl_book *book;
    int64_t book_id; /* of the last change; in microseconds since 1970 where `timed` */
    int64_t trade_id;
    uint64_t trades, changes;
    bool first_of_numbering; /* the last change began the numbering anew: its id is 1 */
} sl_truth_state;

typedef struct sl_truth_options {
    sl_instruments *instruments; /* its own: those of `venue` are traded; borrowed */
    sl_venue venue;
    uint64_t seed;
    size_t levels;         /* 0: the default */
    unsigned trade_weight; /* trades among 100 steps; 0: 40 */
    size_t deep;           /* levels a side below the others that never change */
    bool timed;            /* ids of changes are the time in microseconds (Bitstamp) */
    bool consecutive;      /* ids of changes follow each other (Bybit) */
    bool uuids;            /* trades have UUIDs (Bybit's derivatives) */
    /* The market is somebody else's (a captured session): who tells where an instrument stands. It makes no steps then. */
    void *arg;
    sl_truth_state (*look)(void *arg, const sl_instrument *instrument);
} sl_truth_options;

/* One step. */
typedef struct sl_truth_change {
    sl_market_event event; /* TRADE or BOOK_DELTA; levels are borrowed until the next step */
    size_t fallen_bids;    /* the last ones of the levels: removed only because the book is full */
    size_t fallen_asks;
    bool top; /* the best bid or offer is another than before */
} sl_truth_change;

/* 0, SL_EINVAL (no instrument of the venue), SL_ENOMEM. */
SL_MUST_CHECK int sl_truth_new(const sl_truth_options *options, sl_truth **ret_truth);
void sl_truth_free(sl_truth *truth);
SL_AUTO_DECLARE(sl_truth, sl_truth_free)

/* Something happens at a time (ns since 1970, not before the last one) to one of the instruments that are traded just
 * now. 0, SL_EAGAIN (none of them is), SL_ENOMEM. */
SL_MUST_CHECK int sl_truth_step(sl_truth *truth, int64_t wall_ns, sl_truth_change *ret_change);

/* The same for one instrument. */
SL_MUST_CHECK int sl_truth_step_of(sl_truth *truth, const sl_instrument *instrument, int64_t wall_ns,
                                   sl_truth_change *ret_change);

/* One more instrument is listed: it is in the table and of the venue. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_truth_list(sl_truth *truth, const sl_instrument *instrument);

/* The instrument's next change has the id 1 (and still names the id before it, if it is linked). */
void sl_truth_renumber(sl_truth *truth, const sl_instrument *instrument);

/* All 0 when the instrument is not traded here (and no book; an empty one where the market is somebody else's). Borrowed
 * until the next step. */
sl_truth_state sl_truth_look(const sl_truth *truth, const sl_instrument *instrument);

/* Best bid and offer as an event's; a side may be empty. */
sl_best sl_truth_best(const sl_truth *truth, const sl_instrument *instrument);

#ifdef __cplusplus
}
#endif

#endif
