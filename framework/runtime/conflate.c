/* SPDX-License-Identifier: MIT */
/*
 * For SL_CONFLATE: a hash table from an item's key to the slot of the ring it lies in. Open addressing
 * with linear probing, at most half full, so that look-ups take constant time; removing shifts entries
 * back instead of leaving marks. Source: Knuth, The Art of Computer Programming, volume 3, 6.4, algorithm R.
 */
#include "channel_internal.h"

struct sl__conflation {
    size_t mask;     /* entries - 1 */
    uint64_t *keys;  /* by slot of the ring */
    uint32_t *table; /* slot + 1, or 0; SL_CHANNEL_CAPACITY_MAX fits */
};

static size_t hash(const struct sl__conflation *conflation, uint64_t key)
{
    key = (key ^ (key >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    key = (key ^ (key >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)(key ^ (key >> 31)) & conflation->mask;
}

int sl__conflation_open(size_t slots, struct sl__conflation **ret_conflation)
{
    size_t entries = slots * 2;
    struct sl__conflation *conflation =
        sl_calloc(1, sizeof *conflation + slots * sizeof *conflation->keys + entries * sizeof *conflation->table);
    if (conflation == NULL) {
        return SL_ENOMEM;
    }
    conflation->mask = entries - 1;
    conflation->keys = (uint64_t *)(conflation + 1);
    conflation->table = (uint32_t *)(conflation->keys + slots);
    *ret_conflation = conflation;
    return 0;
}

void sl__conflation_free(struct sl__conflation *conflation)
{
    sl_free(conflation);
}

/* The entry that holds the key, or the empty one where it would be. */
static size_t probe(const struct sl__conflation *conflation, uint64_t key)
{
    size_t at = hash(conflation, key);
    while (conflation->table[at] != 0 && conflation->keys[conflation->table[at] - 1] != key) {
        at = (at + 1) & conflation->mask;
    }
    return at;
}

size_t sl__conflation_find(const struct sl__conflation *conflation, uint64_t key)
{
    uint32_t entry = conflation->table[probe(conflation, key)];
    return entry == 0 ? SIZE_MAX : entry - 1;
}

void sl__conflation_put(struct sl__conflation *conflation, uint64_t key, size_t slot)
{
    conflation->keys[slot] = key;
    conflation->table[probe(conflation, key)] = (uint32_t)slot + 1;
}

void sl__conflation_remove(struct sl__conflation *conflation, size_t slot)
{
    size_t hole = probe(conflation, conflation->keys[slot]);
    for (size_t at = (hole + 1) & conflation->mask; conflation->table[at] != 0; at = (at + 1) & conflation->mask) {
        size_t home = hash(conflation, conflation->keys[conflation->table[at] - 1]);
        /* It may move into the hole unless its home lies between the hole and itself. */
        if (((at - home) & conflation->mask) >= ((at - hole) & conflation->mask)) {
            conflation->table[hole] = conflation->table[at];
            hole = at;
        }
    }
    conflation->table[hole] = 0;
}
