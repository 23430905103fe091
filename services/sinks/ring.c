/* SPDX-License-Identifier: MIT */
/*
 * The ring: see ring.h. A record lies in one piece behind a head of 8 bytes, all at multiples of 8; where it would cross
 * the end of the memory, a gap fills what is left there.
 */
#include "ring.h"

#include <string.h>

#include "market/record.h"
#include "sluice/memory.h"

#define HEAD_BYTES ((size_t)8)
#define GAP UINT32_MAX

/* The latest record of a key. */
struct sl__ring_state {
    uint64_t key;
    size_t position; /* plus one; 0: free */
};

static size_t space_of(size_t size_bytes)
{
    return HEAD_BYTES + ((size_bytes + 7) & ~(size_t)7);
}

int sl__ring_init(struct sl__ring *ring, size_t capacity_bytes, size_t events_max, bool conflate)
{
    *ring = (struct sl__ring){.events_max = events_max, .capacity_bytes = 64};
    while (ring->capacity_bytes < capacity_bytes) {
        ring->capacity_bytes *= 2;
    }
    ring->data = sl_calloc(1, ring->capacity_bytes); /* pages that are never used are never there */
    if (conflate) {
        size_t places = 64;
        while (places < events_max * 2) {
            places *= 2;
        }
        ring->states = sl_calloc(places, sizeof(*ring->states));
        ring->states_mask = places - 1;
    }
    if (ring->data == NULL || (conflate && ring->states == NULL)) {
        sl__ring_free(ring);
        return SL_ENOMEM;
    }
    return 0;
}

void sl__ring_free(struct sl__ring *ring)
{
    sl_free(ring->data);
    sl_free(ring->states);
    *ring = (struct sl__ring){0};
}

size_t sl__ring_record_max(const struct sl__ring *ring)
{
    return ring->capacity_bytes / 2 - HEAD_BYTES; /* wherever the ring stands, one of its halves is in one piece */
}

static void put_head(struct sl__ring *ring, size_t position, uint32_t length)
{
    memcpy(ring->data + (position & (ring->capacity_bytes - 1)), &length, sizeof(length));
}

static uint32_t get_head(const struct sl__ring *ring, size_t position)
{
    uint32_t length;
    memcpy(&length, ring->data + (position & (ring->capacity_bytes - 1)), sizeof(length));
    return length;
}

/* Where a record of `space` bytes goes that would begin at `position`: there, or behind a gap. */
static size_t place_for(const struct sl__ring *ring, size_t position, size_t space)
{
    size_t left = ring->capacity_bytes - (position & (ring->capacity_bytes - 1));
    return space <= left ? position : position + left;
}

bool sl__ring_fits(const struct sl__ring *ring, size_t size_bytes)
{
    size_t space = space_of(size_bytes);
    size_t head = ring->events == 0 ? 0 : ring->head, tail = ring->events == 0 ? 0 : ring->tail;
    return ring->events < ring->events_max && place_for(ring, head, space) + space - tail <= ring->capacity_bytes;
}

void *sl__ring_add(struct sl__ring *ring, const void *record, size_t size_bytes)
{
    size_t space = space_of(size_bytes);
    if (ring->events == 0) {
        ring->head = 0;
        ring->tail = 0;
    }
    size_t at = place_for(ring, ring->head, space);
    if (ring->events >= ring->events_max || at + space - ring->tail > ring->capacity_bytes) {
        return NULL;
    }
    if (at != ring->head) {
        put_head(ring, ring->head, GAP);
    }
    put_head(ring, at, (uint32_t)size_bytes);
    uint8_t *copy = ring->data + (at & (ring->capacity_bytes - 1)) + HEAD_BYTES;
    memcpy(copy, record, size_bytes);
    ring->head = at + space;
    ring->events++;
    return copy;
}

/* Steps over a gap. */
static size_t skip_gap(const struct sl__ring *ring, size_t position)
{
    return get_head(ring, position) == GAP ? place_for(ring, position, ring->capacity_bytes) : position;
}

const void *sl__ring_peek(struct sl__ring *ring, size_t *ret_size_bytes)
{
    if (ring->events == 0) {
        return NULL;
    }
    ring->tail = skip_gap(ring, ring->tail);
    *ret_size_bytes = get_head(ring, ring->tail);
    return ring->data + (ring->tail & (ring->capacity_bytes - 1)) + HEAD_BYTES;
}

void sl__ring_drop(struct sl__ring *ring)
{
    ring->tail = skip_gap(ring, ring->tail);
    ring->tail += space_of(get_head(ring, ring->tail));
    ring->events--;
}

static struct sl__ring_state *state_of(struct sl__ring *ring, uint64_t key)
{
    size_t at = (size_t)(key ^ key >> 29) & ring->states_mask;
    while (ring->states[at].position != 0 && ring->states[at].key != key) {
        at = (at + 1) & ring->states_mask;
    }
    return &ring->states[at];
}

size_t sl__ring_conflate(struct sl__ring *ring)
{
    uint64_t key = 0;
    size_t end = ring->head;
    memset(ring->states, 0, (ring->states_mask + 1) * sizeof(*ring->states));
    for (size_t at = ring->tail, left = ring->events; left > 0; left--) {
        at = skip_gap(ring, at);
        uint32_t length = get_head(ring, at);
        if (sl_record_state_key(ring->data + (at & (ring->capacity_bytes - 1)) + HEAD_BYTES, length, &key)) {
            *state_of(ring, key) = (struct sl__ring_state){key, at + 1};
        }
        at += space_of(length);
    }
    /* What stays moves down; it never overtakes what is still to be looked at. */
    size_t removed = 0;
    ring->head = ring->tail;
    for (size_t at = ring->tail; at != end;) {
        at = skip_gap(ring, at);
        uint32_t length = get_head(ring, at);
        const uint8_t *record = ring->data + (at & (ring->capacity_bytes - 1)) + HEAD_BYTES;
        size_t space = space_of(length);
        if (sl_record_state_key(record, length, &key) && state_of(ring, key)->position != at + 1) {
            removed++;
        } else {
            size_t to = place_for(ring, ring->head, space);
            if (to != ring->head) {
                put_head(ring, ring->head, GAP);
            }
            memmove(ring->data + (to & (ring->capacity_bytes - 1)), record - HEAD_BYTES, space);
            ring->head = to + space;
        }
        at += space;
    }
    ring->events -= removed;
    return removed;
}
