/* SPDX-License-Identifier: MIT */
/*
 * One arrival time a limit for each of many keys. A key lives in one of two buckets of eight slots, picked
 * by two halves of its hash; a new one takes a slot of the emptier bucket. Slots whose arrival times have
 * all passed are as good as empty: nothing is ever deleted, nothing moves. With five keys a bucket on average, a
 * new key that finds all sixteen slots taken is next to impossible below `max_keys`.
 * Source: Azar, Broder, Karlin, Upfal, "Balanced allocations", 1994.
 */
#include <string.h>

#include "rates.h"
#include "sluice/memory.h"

#define BUCKET_SLOTS 8
#define BUCKET_KEYS 5
#define TABLE_KEYS_MAX ((size_t)1 << 30)

struct sl_rate_table {
    size_t rates;
    size_t buckets;
    size_t bytes;
    uint64_t seed;
    struct sl__limit limits[SL_TABLE_RATES_MAX];
    int64_t slots[]; /* each: the key's hash (0: never used), then one arrival time a limit */
};

int sl_rate_table_create(const struct sl_rate *limits, size_t count, size_t max_keys, uint64_t seed,
                         sl_rate_table **ret_table)
{
    if (count == 0 || count > SL_TABLE_RATES_MAX || max_keys == 0 || max_keys > TABLE_KEYS_MAX) {
        return sl_fail(SL_EINVAL, "a table takes 1 to %d limits and 1 to %zu keys, not %zu and %zu", SL_TABLE_RATES_MAX,
                       TABLE_KEYS_MAX, count, max_keys);
    }
    struct sl__limit checked[SL_TABLE_RATES_MAX];
    for (size_t i = 0; i < count; i++) {
        SL_TRY(sl__limit_init(&checked[i], &limits[i], i));
    }
    size_t buckets = (max_keys + BUCKET_KEYS - 1) / BUCKET_KEYS;
    size_t bytes = sizeof(sl_rate_table) + buckets * BUCKET_SLOTS * (1 + count) * sizeof(int64_t);
    sl_rate_table *table = sl_calloc(1, bytes);
    if (table == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the limits of %zu keys", max_keys);
    }
    table->rates = count;
    table->buckets = buckets;
    table->bytes = bytes;
    table->seed = seed;
    memcpy(table->limits, checked, count * sizeof checked[0]);
    *ret_table = table;
    return 0;
}

void sl_rate_table_free(sl_rate_table *table)
{
    sl_free(table);
}

size_t sl_rate_table_bytes(const sl_rate_table *table)
{
    return table->bytes;
}

/* The finaliser of splitmix64. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t hash_of(const void *key, size_t key_bytes, uint64_t seed)
{
    const unsigned char *at = key;
    uint64_t hash = mix(seed ^ (uint64_t)key_bytes);
    for (; key_bytes >= 8; key_bytes -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        hash = mix(hash ^ word) + seed;
    }
    uint64_t rest = 0;
    memcpy(&rest, at, key_bytes);
    hash = mix(hash ^ rest);
    return hash == 0 ? 1 : hash;
}

struct place {
    int64_t *slot; /* the key's own or a free one; NULL: no room */
    bool found;
    sl_time free_at; /* without room: when there will be some */
};

/* Looks through one bucket: the key's slot, else how many are live and the first that is not. */
static int64_t *look(const sl_rate_table *table, int64_t *bucket, uint64_t hash, sl_time now, struct place *place,
                     unsigned *ret_live)
{
    int64_t *room = NULL;
    *ret_live = 0;
    for (size_t i = 0; i < BUCKET_SLOTS; i++) {
        int64_t *slot = bucket + i * (1 + table->rates);
        if (slot[0] == (int64_t)hash) {
            place->found = true;
            return slot;
        }
        sl_time rest = 0;
        for (size_t k = 1; slot[0] != 0 && k <= table->rates; k++) {
            rest = slot[k] > rest ? slot[k] : rest;
        }
        if (rest > now) {
            ++*ret_live;
            place->free_at = rest < place->free_at ? rest : place->free_at;
        } else if (room == NULL) {
            room = slot;
        }
    }
    return room;
}

static struct place find(sl_rate_table *table, uint64_t hash, sl_time now)
{
    struct place place = {.free_at = SL_NEVER};
    size_t stride = BUCKET_SLOTS * (1 + table->rates);
    uint64_t other = mix(hash);
    int64_t *first = table->slots + (size_t)(((hash >> 32) * table->buckets) >> 32) * stride;
    int64_t *second = table->slots + (size_t)(((other >> 32) * table->buckets) >> 32) * stride;
    unsigned live_first, live_second;
    int64_t *in_first = look(table, first, hash, now, &place, &live_first);
    if (place.found) {
        place.slot = in_first;
        return place;
    }
    int64_t *in_second = look(table, second, hash, now, &place, &live_second);
    place.slot =
        in_first == NULL || (!place.found && in_second != NULL && live_second < live_first) ? in_second : in_first;
    if (place.found) {
        place.slot = in_second;
    }
    return place;
}

static int wait_until(sl_time when, sl_time *ret_when)
{
    if (ret_when != NULL) {
        *ret_when = when;
    }
    return SL_EAGAIN;
}

int sl_rate_table_try(sl_rate_table *table, const void *key, size_t key_bytes, uint64_t cost, sl_time now,
                      sl_time *ret_when)
{
    for (size_t i = 0; i < table->rates; i++) {
        const struct sl_rate *rate = &table->limits[i].rate;
        if (!rate->per_call && cost > rate->burst) {
            return sl_fail(SL_EINVAL, "a cost of %llu can never pass limit %zu, whose burst is %llu",
                           (unsigned long long)cost, i, (unsigned long long)rate->burst);
        }
    }
    uint64_t hash = hash_of(key, key_bytes, table->seed);
    struct place place = find(table, hash, now);
    if (place.slot == NULL) {
        return wait_until(place.free_at, ret_when);
    }
    sl_time when = now;
    int64_t next[SL_TABLE_RATES_MAX] = {0};
    for (size_t i = 0; i < table->rates; i++) {
        const struct sl__limit *limit = &table->limits[i];
        uint64_t charge = limit->rate.per_call && cost > 0 ? 1 : cost;
        sl_time arrival = place.found ? place.slot[1 + i] : 0;
        next[i] = (arrival > now ? arrival : now) + (sl_time)charge * limit->interval;
        sl_time ready = next[i] - limit->tolerance;
        when = ready > when ? ready : when;
    }
    if (when > now) {
        return wait_until(when, ret_when);
    }
    if (cost > 0) {
        place.slot[0] = (int64_t)hash;
        memcpy(place.slot + 1, next, table->rates * sizeof next[0]);
    }
    return 0;
}
