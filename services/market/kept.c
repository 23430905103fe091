/* SPDX-License-Identifier: MIT */
/* Changes that wait. See kept.h. */
#include "kept.h"

#include <assert.h>
#include <string.h>

#include "sluice/memory.h"

#define CAPACITY_FIRST 16

static size_t bytes_of(const sl_market_event *event)
{
    const sl_levels *levels = &event->as.delta.levels;
    return sizeof(*event) + (levels->bid_count + levels->ask_count) * sizeof(sl_level);
}

static sl_market_event *copy_of(const sl_market_event *event)
{
    const sl_levels *levels = &event->as.delta.levels;
    sl_market_event *copy = sl_malloc(bytes_of(event));
    if (copy == NULL) {
        return NULL;
    }
    sl_level *bids = (sl_level *)(void *)(copy + 1);
    sl_level *asks = bids + levels->bid_count;
    *copy = *event;
    if (levels->bid_count > 0) {
        memcpy(bids, levels->bids, levels->bid_count * sizeof(*bids));
    }
    if (levels->ask_count > 0) {
        memcpy(asks, levels->asks, levels->ask_count * sizeof(*asks));
    }
    copy->as.delta.levels.bids = bids;
    copy->as.delta.levels.asks = asks;
    return copy;
}

const sl_market_event *sl__kept_at(const struct sl__kept *kept, size_t place)
{
    return kept->events[kept->head + place];
}

const sl_market_event *sl__kept_first(const struct sl__kept *kept)
{
    return kept->count == 0 ? NULL : sl__kept_at(kept, 0);
}

void sl__kept_drop(struct sl__kept *kept, size_t count)
{
    assert(count <= kept->count);
    for (size_t place = 0; place < count; place++) {
        sl_market_event *event = kept->events[kept->head + place];
        kept->bytes -= bytes_of(event);
        sl_free(event);
    }
    kept->head += count;
    kept->count -= count;
    if (kept->count == 0) {
        sl_free(kept->events);
        kept->events = NULL;
        kept->head = 0;
        kept->capacity = 0;
    }
}

void sl__kept_clear(struct sl__kept *kept)
{
    if (kept->count > 0) {
        sl__kept_drop(kept, kept->count);
    }
}

/* Room for one more pointer behind the last. */
static int reserve(struct sl__kept *kept)
{
    if (kept->head + kept->count < kept->capacity) {
        return 0;
    }
    if (kept->head > kept->capacity / 2) {
        memmove(kept->events, kept->events + kept->head, kept->count * sizeof(kept->events[0]));
        kept->head = 0;
        return 0;
    }
    size_t capacity = kept->capacity == 0 ? CAPACITY_FIRST : kept->capacity * 2;
    sl_market_event **events = sl_realloc(kept->events, capacity * sizeof(sl_market_event *));
    if (events == NULL) {
        return SL_ENOMEM;
    }
    kept->events = events;
    kept->capacity = capacity;
    return 0;
}

int sl__kept_add(struct sl__kept *kept, const sl_market_event *event)
{
    size_t bytes = bytes_of(event);
    size_t place = kept->count; /* nearly always it belongs to the end */
    while (place > 0 && sl__kept_at(kept, place - 1)->as.delta.last_id > event->as.delta.last_id) {
        place--;
    }
    if (place > 0 && sl__kept_at(kept, place - 1)->as.delta.last_id == event->as.delta.last_id) {
        return 0;
    }
    if (bytes > kept->bytes_max) {
        return SL_EMSGSIZE;
    }
    while (kept->count >= kept->count_max || kept->bytes + bytes > kept->bytes_max) {
        kept->dropped++;
        if (place == 0) {
            return 1; /* it would be the first to go */
        }
        sl__kept_drop(kept, 1);
        place--;
    }
    sl_market_event *copy = copy_of(event);
    int code = copy == NULL ? SL_ENOMEM : reserve(kept);
    if (code < 0) {
        sl_free(copy);
        return code;
    }
    sl_market_event **at = kept->events + kept->head + place;
    memmove(at + 1, at, (kept->count - place) * sizeof(*at));
    *at = copy;
    kept->count++;
    kept->bytes += bytes;
    return 1;
}
