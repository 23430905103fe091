/* SPDX-License-Identifier: MIT */
/* A bounded queue of records in one piece of memory, for one thread. Internal to the sinks. */
#ifndef SLUICE_SINKS_RING_H
#define SLUICE_SINKS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/error.h"

struct sl__ring_state; /* a place of the table that finds overtaken records */

struct sl__ring {
    uint8_t *data;
    size_t capacity_bytes; /* a power of two */
    size_t events_max;
    size_t head, tail; /* bytes that ever were written and taken, with the gaps before the end of the memory */
    size_t events;
    struct sl__ring_state *states; /* NULL unless records are conflated */
    size_t states_mask;
};

/* `capacity_bytes` is rounded up to a power of two. With `conflate`, memory for finding overtaken records. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl__ring_init(struct sl__ring *ring, size_t capacity_bytes, size_t events_max, bool conflate);
void sl__ring_free(struct sl__ring *ring);

/* The largest record that it takes in any case once it is empty. */
size_t sl__ring_record_max(const struct sl__ring *ring);

/* Adds a record at the end and shows where it is, or NULL when there is no room. */
void *sl__ring_add(struct sl__ring *ring, const void *record, size_t size_bytes);

/* Whether sl__ring_add() would find room. */
bool sl__ring_fits(const struct sl__ring *ring, size_t size_bytes);

/* The oldest record, NULL when there is none; and lets go of it. */
const void *sl__ring_peek(struct sl__ring *ring, size_t *ret_size_bytes);
void sl__ring_drop(struct sl__ring *ring);

/* Bytes in use. */
static inline size_t sl__ring_used(const struct sl__ring *ring)
{
    return ring->head - ring->tail;
}

/* Takes out what a later record has overtaken (sl_record_state_key()), order kept: how many. */
size_t sl__ring_conflate(struct sl__ring *ring);

#endif
