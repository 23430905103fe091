/* SPDX-License-Identifier: MIT */
/* Positions of feeds. See positions.h. */
#include "ingest/replicas/positions.h"

#include <stdio.h>
#include <string.h>

#include "sluice/memory.h"
#include "sluice/partition.h"

#define SERVICES_MAX 256
#define SERVICE_NAME_BYTES 64

/* One that an earlier life reached. An empty key: the place is free, or (gone) was. */
struct expected {
    char key[SL_POSITION_KEY_MAX];
    int64_t id;
    bool seamless, gone;
};

/* One of this life. */
struct reached {
    const sl_instrument *instrument; /* NULL: nothing was noted */
    int64_t id, stored;
    bool is_stored;
};

/* Feeds that can lose something; the rest has no position. */
enum { TRADES, AGG_TRADES, DEPTH, LIQUIDATIONS, FEEDS };

struct of_service {
    char name[SERVICE_NAME_BYTES];
    struct reached *reached; /* by the instrument's index, FEEDS each */
    size_t instruments;
};

struct sl_positions {
    struct expected *expected; /* open addressing */
    size_t expected_capacity, expected_used, expected_count;
    struct of_service services[SERVICES_MAX];
    size_t service_count;
};

int sl_positions_new(sl_positions **ret_positions)
{
    *ret_positions = sl_calloc(1, sizeof **ret_positions);
    return *ret_positions == NULL ? sl_fail(SL_ENOMEM, "out of memory for positions") : 0;
}

void sl_positions_free(sl_positions *positions)
{
    if (positions != NULL) {
        for (size_t at = 0; at < positions->service_count; at++) {
            sl_free(positions->services[at].reached);
        }
        sl_free(positions->expected);
        sl_free(positions);
    }
}

size_t sl_position_key(const char *service, const sl_instrument *instrument, sl_feed feed,
                       char key[SL_POSITION_KEY_MAX])
{
    int size = snprintf(key, SL_POSITION_KEY_MAX, "%.63s %s %s", service, instrument->symbol, sl_feed_name(feed));
    return size < 0 ? 0 : (size_t)size;
}

/* ---- expected ---- */

/* Where the key is, or belongs. */
static struct expected *place_of(const sl_positions *positions, const char *key)
{
    size_t mask = positions->expected_capacity - 1;
    size_t at = (size_t)sl_partition_hash(key, strlen(key)) & mask;
    while (positions->expected[at].key[0] != '\0' && strcmp(positions->expected[at].key, key) != 0) {
        at = (at + 1) & mask;
    }
    return &positions->expected[at];
}

static int grow_expected(sl_positions *positions)
{
    struct expected *old = positions->expected;
    size_t old_capacity = positions->expected_capacity;
    size_t capacity = 64;
    while (capacity < positions->expected_count * 4) {
        capacity *= 2;
    }
    if (positions->expected_count >= SL_POSITIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %zu positions", SL_POSITIONS_MAX);
    }
    struct expected *new = sl_calloc(capacity, sizeof *new);
    if (new == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu positions", capacity);
    }
    positions->expected = new;
    positions->expected_capacity = capacity;
    positions->expected_used = positions->expected_count;
    for (size_t at = 0; at < old_capacity; at++) {
        if (old[at].key[0] != '\0' && !old[at].gone) {
            *place_of(positions, old[at].key) = old[at];
        }
    }
    sl_free(old);
    return 0;
}

int sl_positions_expect(sl_positions *positions, const char *key, int64_t id, bool seamless)
{
    size_t length = strlen(key);
    if (length == 0 || length >= SL_POSITION_KEY_MAX) {
        return sl_fail(SL_EINVAL, "no key of a position: '%.40s'", key);
    }
    if (positions->expected_used * 2 >= positions->expected_capacity) {
        SL_TRY(grow_expected(positions));
    }
    struct expected *place = place_of(positions, key);
    positions->expected_used += place->key[0] == '\0';
    positions->expected_count += place->key[0] == '\0' || place->gone;
    memcpy(place->key, key, length + 1);
    place->id = id;
    place->seamless = seamless;
    place->gone = false;
    return 0;
}

/* The place of one that nobody has claimed; NULL: there is none. */
static struct expected *unclaimed(const sl_positions *positions, const char *key)
{
    struct expected *place = positions->expected_count == 0 ? NULL : place_of(positions, key);
    return place == NULL || place->key[0] == '\0' || place->gone ? NULL : place;
}

int sl_positions_keep(sl_positions *positions, const char *key, int64_t id)
{
    return unclaimed(positions, key) != NULL ? 0 : sl_positions_expect(positions, key, id, false);
}

size_t sl_positions_expected(const sl_positions *positions)
{
    return positions->expected_count;
}

bool sl_positions_claim(sl_positions *positions, const char *service, const sl_instrument *instrument, sl_feed feed,
                        int64_t *ret_id, bool *ret_seamless)
{
    char key[SL_POSITION_KEY_MAX];
    (void)sl_position_key(service, instrument, feed, key);
    struct expected *place = unclaimed(positions, key);
    if (place == NULL) {
        return false;
    }
    *ret_id = place->id;
    *ret_seamless = place->seamless;
    place->gone = true;
    positions->expected_count--;
    return true;
}

void sl_positions_each_expected(const sl_positions *positions, void (*look)(void *arg, const char *key, int64_t id),
                                void *arg)
{
    for (size_t at = 0; at < positions->expected_capacity; at++) {
        const struct expected *place = &positions->expected[at];
        if (place->key[0] != '\0' && !place->gone) {
            look(arg, place->key, place->id);
        }
    }
}

/* ---- reached ---- */

static const sl_feed feeds[FEEDS] = {[TRADES] = SL_FEED_TRADES,
                                     [AGG_TRADES] = SL_FEED_AGG_TRADES,
                                     [DEPTH] = SL_FEED_DEPTH,
                                     [LIQUIDATIONS] = SL_FEED_LIQUIDATIONS};

static int service_of(sl_positions *positions, const char *name, struct of_service **ret_service)
{
    for (size_t at = 0; at < positions->service_count; at++) {
        if (strcmp(positions->services[at].name, name) == 0) {
            *ret_service = &positions->services[at];
            return 0;
        }
    }
    if (positions->service_count == SERVICES_MAX) {
        return sl_fail(SL_EMSGSIZE, "positions of more than %d services", SERVICES_MAX);
    }
    *ret_service = &positions->services[positions->service_count++];
    (void)snprintf((*ret_service)->name, SERVICE_NAME_BYTES, "%s", name);
    return 0;
}

static int reserve(struct of_service *service, uint32_t index)
{
    size_t instruments = service->instruments == 0 ? 64 : service->instruments;
    while (instruments <= index) {
        instruments *= 2;
    }
    if (instruments == service->instruments) {
        return 0;
    }
    struct reached *reached = sl_realloc(service->reached, instruments * FEEDS * sizeof *reached);
    if (reached == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for the positions of %zu instruments", instruments);
    }
    memset(reached + service->instruments * FEEDS, 0, (instruments - service->instruments) * FEEDS * sizeof *reached);
    service->reached = reached;
    service->instruments = instruments;
    return 0;
}

int sl_positions_note(sl_positions *positions, const char *service_name, const sl_instrument *instrument, sl_feed feed,
                      int64_t id)
{
    struct of_service *service = NULL;
    size_t at = 0;
    while (at < FEEDS && feeds[at] != feed) {
        at++;
    }
    if (at == FEEDS) {
        return 0;
    }
    SL_TRY(service_of(positions, service_name, &service));
    SL_TRY(reserve(service, instrument->index));
    struct reached *reached = &service->reached[(size_t)instrument->index * FEEDS + at];
    reached->instrument = instrument;
    reached->id = id;
    return 0;
}

int sl_positions_each(const sl_positions *positions, bool due,
                      int (*look)(void *arg, const char *service, const sl_instrument *instrument, sl_feed feed,
                                  int64_t id),
                      void *arg)
{
    for (size_t number = 0; number < positions->service_count; number++) {
        const struct of_service *service = &positions->services[number];
        for (size_t at = 0; at < service->instruments * FEEDS; at++) {
            const struct reached *reached = &service->reached[at];
            bool is_due = !reached->is_stored || reached->stored != reached->id;
            if (reached->instrument != NULL && (is_due || !due)) {
                SL_TRY(look(arg, service->name, reached->instrument, feeds[at % FEEDS], reached->id));
            }
        }
    }
    return 0;
}

void sl_positions_stored(sl_positions *positions, bool (*fits)(void *arg, const sl_instrument *instrument), void *arg)
{
    for (size_t number = 0; number < positions->service_count; number++) {
        struct of_service *service = &positions->services[number];
        for (size_t at = 0; at < service->instruments * FEEDS; at++) {
            struct reached *reached = &service->reached[at];
            if (reached->instrument != NULL && (fits == NULL || fits(arg, reached->instrument))) {
                reached->stored = reached->id;
                reached->is_stored = true;
            }
        }
    }
}
