/* SPDX-License-Identifier: MIT */
/* A ring by age, and an open table of places in it by key. See seen.h. */
#include "ingest/receive/seen.h"

#include <string.h>

#include "sluice/digest.h"

struct entry {
    struct sl_seen_key key;
    sl_time at;
};

struct sl_seen {
    struct entry *ring;
    size_t capacity, count, oldest;
    uint32_t *table; /* place in the ring + 1; 0: free */
    size_t mask;
};

int sl_seen_key_of(const void *text, size_t size_bytes, struct sl_seen_key *ret_key)
{
    uint8_t digest[SL_SHA256_BYTES];
    SL_TRY(sl_sha256(text, size_bytes, digest));
    memcpy(ret_key, digest, sizeof *ret_key);
    return 0;
}

int sl_seen_new(size_t count, sl_seen **ret_seen)
{
    if (count > SL_SEEN_MAX) {
        return sl_fail(SL_EINVAL, "at most %zu can be remembered", SL_SEEN_MAX);
    }
    size_t places = 16;
    while (places < 2 * count) {
        places *= 2;
    }
    sl_seen *seen = sl_calloc(1, sizeof *seen);
    if (seen != NULL) {
        seen->ring = sl_calloc(count == 0 ? 1 : count, sizeof *seen->ring);
        seen->table = sl_calloc(places, sizeof *seen->table);
        seen->capacity = count;
        seen->mask = places - 1;
    }
    if (seen == NULL || seen->ring == NULL || seen->table == NULL) {
        sl_seen_free(seen);
        return sl_fail(SL_ENOMEM, "out of memory to remember %zu", count);
    }
    *ret_seen = seen;
    return 0;
}

void sl_seen_free(sl_seen *seen)
{
    if (seen != NULL) {
        sl_free(seen->ring);
        sl_free(seen->table);
        sl_free(seen);
    }
}

/* The place of the table that has the key, or the free one where it would be. */
static size_t place_of(const sl_seen *seen, struct sl_seen_key key)
{
    size_t place = (size_t)key.words[0] & seen->mask;
    for (; seen->table[place] != 0; place = (place + 1) & seen->mask) {
        const struct sl_seen_key *there = &seen->ring[seen->table[place] - 1].key;
        if (there->words[0] == key.words[0] && there->words[1] == key.words[1]) {
            break;
        }
    }
    return place;
}

bool sl_seen_has(const sl_seen *seen, struct sl_seen_key key)
{
    return seen->table[place_of(seen, key)] != 0;
}

/* Takes a key out; those behind it that could not stand nearer to their place move up. */
static void forget(sl_seen *seen, struct sl_seen_key key)
{
    size_t hole = place_of(seen, key);
    seen->table[hole] = 0;
    for (size_t at = (hole + 1) & seen->mask; seen->table[at] != 0; at = (at + 1) & seen->mask) {
        size_t wanted = (size_t)seen->ring[seen->table[at] - 1].key.words[0] & seen->mask;
        if (((at - wanted) & seen->mask) >= ((at - hole) & seen->mask)) {
            seen->table[hole] = seen->table[at];
            seen->table[at] = 0;
            hole = at;
        }
    }
}

bool sl_seen_is_full(const sl_seen *seen, sl_time now, sl_time keep)
{
    return seen->capacity > 0 && seen->count == seen->capacity && now - seen->ring[seen->oldest].at < keep;
}

int sl_seen_add(sl_seen *seen, struct sl_seen_key key, sl_time now, sl_time keep)
{
    if (seen->capacity == 0 || sl_seen_has(seen, key)) {
        return 0;
    }
    if (sl_seen_is_full(seen, now, keep)) {
        return sl_fail(SL_EBUSY, "%zu came within too short a time", seen->capacity);
    }
    if (seen->count == seen->capacity) {
        forget(seen, seen->ring[seen->oldest].key);
        seen->oldest = (seen->oldest + 1) % seen->capacity;
        seen->count--;
    }
    size_t at = (seen->oldest + seen->count++) % seen->capacity;
    seen->ring[at] = (struct entry){key, now};
    seen->table[place_of(seen, key)] = (uint32_t)at + 1;
    return 0;
}
