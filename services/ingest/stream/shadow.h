/* SPDX-License-Identifier: MIT */
/*
 * A second copy of a book, made anew from a snapshot beside the one that is served, to see whether that is right: both
 * get the same messages, and are compared once they have come equally far. For venues whose snapshots are asked for by
 * REST. No I/O and no clock.
 */
#ifndef SL_INGEST_SHADOW_H
#define SL_INGEST_SHADOW_H

#include "market/keeper.h"

typedef struct sl_shadow sl_shadow;

typedef enum sl_shadow_verdict {
    SL_SHADOW_OPEN = 0, /* not known yet */
    SL_SHADOW_SAME,
    SL_SHADOW_DIFFERENT,
} sl_shadow_verdict;

/* `until`: when to give up. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_shadow_new(sl_book_rule rule, const sl_instrument *instrument, sl_time until,
                                sl_shadow **ret_shadow);
void sl_shadow_free(sl_shadow *shadow);

/* A message of the book's stream, behind the one that was served. As sl_keeper_event(). */
SL_MUST_CHECK int sl_shadow_event(sl_shadow *shadow, const sl_market_event *event, sl_time now);

/* The snapshot that was asked for. As sl_keeper_snapshot(). */
SL_MUST_CHECK int sl_shadow_snapshot(sl_shadow *shadow, const sl_market_event *event, sl_time now);

/* Whether a snapshot is to be asked for. */
bool sl_shadow_wants(const sl_shadow *shadow);

sl_time sl_shadow_until(const sl_shadow *shadow);

/* Compares with the served book, as far as the snapshot reached on each side. */
sl_shadow_verdict sl_shadow_compare(const sl_shadow *shadow, const sl_keeper *served);

#endif
