/* SPDX-License-Identifier: MIT */
/* One event to several outlets: encoded once, copied into each queue. See outlet.h. */
#include "sinks/outlet_internal.h"

#include <string.h>

/* How often sl_fanout_settle() looks: a batch takes about as long. */
#define SETTLE_EVERY SL_MILLISECONDS(5)

struct sl_fanout {
    sl_outlet *outlets[SL_FANOUT_MAX]; /* those that block come last */
    size_t count;
    size_t next; /* of them, while an event is given: whoever waits in one may find that others have come or gone */
    uint8_t *record;
    size_t record_capacity;
    bool busy; /* a writer waits in an outlet: `record` is its event */
    sl_event idle;
};

int sl_fanout_new(sl_fanout **ret_fanout)
{
    sl_fanout *fanout = sl_calloc(1, sizeof(*fanout));
    if (fanout == NULL) {
        return SL_ENOMEM;
    }
    sl_event_init(&fanout->idle);
    *ret_fanout = fanout;
    return 0;
}

void sl_fanout_free(sl_fanout *fanout)
{
    if (fanout != NULL) {
        sl_free(fanout->record);
        sl_free(fanout);
    }
}

int sl_fanout_attach(sl_fanout *fanout, sl_outlet *outlet)
{
    size_t at = fanout->count;
    for (size_t index = 0; index < fanout->count; index++) {
        if (fanout->outlets[index] == outlet) {
            return sl_fail(SL_EEXIST, "the outlet '%s' is attached already", sl_outlet_name(outlet));
        }
        if (!sl_outlet_blocks(outlet) && sl_outlet_blocks(fanout->outlets[index]) && at == fanout->count) {
            at = index;
        }
    }
    if (fanout->count == SL_FANOUT_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d outlets", SL_FANOUT_MAX);
    }
    memmove(&fanout->outlets[at + 1], &fanout->outlets[at], (fanout->count - at) * sizeof(sl_outlet *));
    fanout->outlets[at] = outlet;
    fanout->count++;
    fanout->next += at < fanout->next;
    return 0;
}

void sl_fanout_detach(sl_fanout *fanout, sl_outlet *outlet)
{
    for (size_t index = 0; index < fanout->count; index++) {
        if (fanout->outlets[index] == outlet) {
            fanout->count--;
            fanout->next -= index < fanout->next;
            memmove(&fanout->outlets[index], &fanout->outlets[index + 1],
                    (fanout->count - index) * sizeof(sl_outlet *));
            return;
        }
    }
}

int sl_fanout_has_room(const sl_fanout *fanout, const sl_market_event *event)
{
    size_t bound = sl_record_bound(event);
    int room = fanout->count > 0;
    for (size_t index = 0; index < fanout->count && room == 1; index++) {
        room = sl_outlet_takes(fanout->outlets[index], event) ? sl_outlet_has_room(fanout->outlets[index], bound) : 1;
    }
    return bound == 0 ? SL_EMSGSIZE : room;
}

static int reserve(sl_fanout *fanout, size_t size_bytes)
{
    if (size_bytes > fanout->record_capacity) {
        uint8_t *record = sl_realloc(fanout->record, size_bytes);
        if (record == NULL) {
            return SL_ENOMEM;
        }
        fanout->record = record;
        fanout->record_capacity = size_bytes;
    }
    return 0;
}

static int write_record(sl_fanout *fanout, const sl_market_event *event)
{
    size_t bound = sl_record_bound(event);
    if (bound == 0) {
        return sl_fail(SL_EMSGSIZE, "an event without kind or instrument, or with too many levels");
    }
    SL_TRY(reserve(fanout, bound));
    size_t size = sl_record_encode(event, fanout->record);
    fanout->next = 0;
    while (fanout->next < fanout->count) {
        sl_outlet *outlet = fanout->outlets[fanout->next++];
        SL_TRY(sl_outlet_takes(outlet, event) ? sl_outlet_put(outlet, fanout->record, size) : 0);
    }
    return 0;
}

int sl_fanout_write(sl_fanout *fanout, const sl_market_event *event)
{
    while (fanout->busy) {
        sl_event_reset(&fanout->idle);
        SL_TRY(sl_event_wait(&fanout->idle));
    }
    fanout->busy = true;
    int code = write_record(fanout, event);
    fanout->busy = false;
    sl_event_set(&fanout->idle);
    return code;
}

/* Whether an outlet still has to deliver events up to this number. One that was detached has not. */
static bool is_pending(const sl_fanout *fanout, sl_outlet *outlet, uint64_t number)
{
    for (size_t at = 0; at < fanout->count; at++) {
        if (fanout->outlets[at] == outlet && outlet->delivered < number) {
            const sl_outlet_stats *stats = sl_outlet_get_stats(outlet);
            return stats->queued + stats->in_batch + stats->spooled > 0;
        }
    }
    return false;
}

int sl_fanout_settle(const sl_fanout *fanout)
{
    struct {
        sl_outlet *outlet;
        uint64_t number;
    } all[SL_FANOUT_MAX];
    size_t count = fanout->count;
    for (size_t at = 0; at < count; at++) {
        all[at].outlet = fanout->outlets[at];
        all[at].number = fanout->outlets[at]->stamp.number;
    }
    for (size_t at = 0; at < count; at++) {
        while (is_pending(fanout, all[at].outlet, all[at].number)) {
            SL_TRY(sl_sleep(SETTLE_EVERY));
        }
    }
    return 0;
}
