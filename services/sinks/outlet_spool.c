/* SPDX-License-Identifier: MIT */
/*
 * The outlet's way over the disk. While it is taken, the queue goes to the spool and the sender reads from there, so
 * that the order stays; it is left when the sender has caught up. What the sender holds in memory when it begins is
 * put on disk first, and passed over when read from there if it was delivered meanwhile.
 */
#include <string.h>

#include "outlet_internal.h"
#include "sluice/thread.h"

/* Between attempts to write to a disk that fails. */
#define DISK_PAUSE SL_MILLISECONDS(500)

/* ---- the disk's calls, on a worker thread, one at a time ---- */

struct opening {
    const sl_spool_options *options;
    sl_spool *spool;
};

static int call_open(void *arg)
{
    struct opening *opening = arg;
    return sl_spool_open(opening->options, &opening->spool);
}

static int call_append(void *arg)
{
    sl_outlet *outlet = arg;
    return sl_spool_append(outlet->spool, &outlet->spooling);
}

static int call_read(void *arg)
{
    sl_outlet *outlet = arg;
    SL_TRY(sl__slots_reserve(&outlet->batch, outlet->options.batch_bytes));
    return sl_spool_read(outlet->spool, &outlet->batch);
}

static int call_advance(void *arg)
{
    sl_outlet *outlet = arg;
    return sl_spool_advance(outlet->spool);
}

static int call_close(void *arg)
{
    sl_spool_close(arg);
    return 0;
}

static int on_disk(sl_outlet *outlet, sl_task_fn call)
{
    SL_TRY(sl_mutex_lock(&outlet->spool_lock));
    int code = sl_offload_with(call, &(const struct sl_offload_options){.arg = outlet, .name = "spool"});
    outlet->stats.spool = *sl_spool_get_stats(outlet->spool);
    (void)sl_mutex_unlock(&outlet->spool_lock);
    return code;
}

int sl__outlet_spool_open(sl_outlet *outlet)
{
    struct opening opening = {&outlet->options.spool, NULL};
    int code = sl_offload(call_open, &opening);
    outlet->spool = opening.spool; /* it may be open although we were cancelled: the cleanup closes it */
    outlet->disk_failed = code < 0;
    if (code < 0) {
        outlet->stats.disk_failures += code == SL_ECANCELED ? 0 : 1;
        sl__outlet_note_disk(outlet, code);
        return code;
    }
    outlet->disk_slow = false;
    outlet->stats.spool = *sl_spool_get_stats(outlet->spool);
    outlet->spool_damaged = 0;
    outlet->spool_of_before = !sl_spool_empty(outlet->spool) && outlet->stats.spooled == 0;
    if (!sl_spool_empty(outlet->spool) || outlet->stats.away) {
        sl__outlet_start_spooling(outlet);
    }
    return 0;
}

/* ---- to the disk ---- */

static uint64_t last_number(const struct sl__slots *slots)
{
    uint64_t number = 0;
    size_t at = 0;
    size_t size = 0;
    for (const uint8_t *record = NULL; (record = sl__slots_next(slots, &at, &size)) != NULL;) {
        number = sl__slot_stamp(record, size).number;
    }
    return number;
}

/* Writes what is in `spooling`; keeps it there when that fails. */
static int append(sl_outlet *outlet)
{
    outlet->disk_busy = true;
    int code = on_disk(outlet, call_append);
    outlet->disk_busy = false;
    outlet->disk_failed = code < 0;
    if (code < 0) {
        outlet->stats.disk_failures += code == SL_ECANCELED ? 0 : 1;
        sl__outlet_note_disk(outlet, code);
    } else {
        outlet->stats.spooled_total += outlet->spooling.count;
        outlet->stats.spooled += outlet->spooling.count;
        outlet->spooling.count = 0;
        outlet->spooling.size_bytes = 0;
        outlet->disk_slow = false;
    }
    sl__outlet_tell_all(outlet);
    return code;
}

/* Puts a copy of the sender's batch on disk. It may be delivered meanwhile. */
static int append_batch(sl_outlet *outlet)
{
    uint64_t last = last_number(&outlet->batch);
    SL_TRY(sl__slots_reserve(&outlet->spooling, outlet->batch.size_bytes));
    memcpy(outlet->spooling.data, outlet->batch.data, outlet->batch.size_bytes);
    outlet->spooling.size_bytes = outlet->batch.size_bytes;
    outlet->spooling.count = 0; /* the figures know these events as the batch's */
    int code = append(outlet);
    outlet->spooling.size_bytes = 0;
    SL_TRY(code);
    if (last > outlet->delivered) {
        outlet->batch_on_disk = true;
        outlet->stats.spooled += outlet->batch.count;
        outlet->stats.spooled_total += outlet->batch.count;
    }
    return 0;
}

static bool batch_is_only_here(const sl_outlet *outlet)
{
    return !outlet->batch_from_spool && !outlet->batch_on_disk && outlet->batch.count > 0;
}

/* One step of the spooler while the way over the disk is taken. */
static int spool_some(sl_outlet *outlet)
{
    const struct sl__ring *ring = &outlet->ring;
    if (outlet->spooling.count > 0) {
        return append(outlet);
    }
    if (batch_is_only_here(outlet)) {
        return append_batch(outlet);
    }
    if (!outlet->stats.away && sl__ring_used(ring) <= ring->capacity_bytes / 2) {
        return sl__outlet_wait(&outlet->spooler, SL__WAIT_PRESSURE, SL_NEVER); /* the sender catches up */
    }
    if (ring->events == 0) {
        return sl__outlet_wait(&outlet->spooler, SL__WAIT_ANY, SL_NEVER);
    }
    if (!sl__outlet_batch_full(outlet) && !outlet->ended && sl_now() < sl__outlet_due(outlet)) {
        return sl__outlet_wait(&outlet->spooler, SL__WAIT_FULL, sl__outlet_due(outlet));
    }
    SL_TRY(sl__outlet_fill(outlet, &outlet->spooling));
    return append(outlet);
}

int sl__outlet_spool(void *arg)
{
    sl_outlet *outlet = arg;
    for (;;) {
        int code = outlet->spool == NULL    ? sl__outlet_spool_open(outlet)
                   : outlet->stats.spooling ? spool_some(outlet)
                                            : sl__outlet_wait(&outlet->spooler, SL__WAIT_STATE, SL_NEVER);
        sl_time until = code < 0 ? sl_time_add(sl_now(), DISK_PAUSE) : 0;
        SL_TRY(sl_checkpoint_if_cancelled());
        while (code < 0 && sl_now() < until && (outlet->stats.spooling || outlet->spool == NULL)) {
            SL_TRY(sl__outlet_wait(&outlet->spooler, SL__WAIT_STATE, until));
        }
    }
}

/* ---- from the disk ---- */

/* Takes out of the batch what was delivered from memory while it was on its way here. */
static void pass_over_delivered(sl_outlet *outlet)
{
    struct sl__slots *batch = &outlet->batch;
    const struct sl__slots all = *batch;
    size_t at = 0;
    size_t size = 0;
    batch->size_bytes = 0;
    batch->count = 0;
    for (const uint8_t *record = NULL; (record = sl__slots_next(&all, &at, &size)) != NULL;) {
        sl_stamp stamp = sl__slot_stamp(record, size);
        if (stamp.run != outlet->stamp.run || stamp.number > outlet->delivered) {
            size_t whole = SL__SLOT_HEAD_BYTES + size;
            memmove(batch->data + batch->size_bytes, record - SL__SLOT_HEAD_BYTES, whole);
            batch->size_bytes += whole;
            batch->count++;
        }
    }
}

/* Of this life's events it is known how many there were; of those before them only what cannot be read. */
static void note_damage(sl_outlet *outlet, bool read)
{
    uint64_t places = outlet->stats.spool.damaged - outlet->spool_damaged;
    size_t at = 0;
    size_t size = 0;
    const uint8_t *record = read ? sl__slots_next(&outlet->batch, &at, &size) : NULL;
    outlet->spool_damaged = outlet->stats.spool.damaged;
    if (outlet->spool_of_before && (read || outlet->stats.spooled == 0)) {
        outlet->stats.damaged_before += places;
    }
    outlet->spool_of_before =
        outlet->spool_of_before && record != NULL && sl__slot_stamp(record, size).run != outlet->stamp.run;
}

int sl__outlet_spool_read(sl_outlet *outlet)
{
    for (;;) {
        outlet->batch_from_spool = true; /* while it is being filled nobody else looks at it */
        outlet->batch_on_disk = false;
        int code = on_disk(outlet, call_read);
        if (code >= 0) {
            note_damage(outlet, code > 0);
        }
        if (code > 0) {
            pass_over_delivered(outlet);
        }
        if (code > 0 && outlet->batch.count > 0) {
            return 1;
        }
        outlet->batch.count = 0;
        outlet->batch.size_bytes = 0;
        outlet->batch_from_spool = false;
        if (code <= 0) {
            return code;
        }
        SL_TRY(on_disk(outlet, call_advance));
    }
}

int sl__outlet_spool_advance(sl_outlet *outlet)
{
    int code = on_disk(outlet, call_advance);
    if (code < 0 && code != SL_ECANCELED) { /* these may come again in the next life, no more */
        outlet->stats.disk_failures++;
        sl__outlet_note_disk(outlet, code);
        code = 0;
    }
    return code;
}

int sl__outlet_spool_leave(sl_outlet *outlet)
{
    outlet->stats.spooling = false;
    outlet->stats.dropped_damaged += outlet->stats.spooled;
    outlet->stats.spooled = 0;
    outlet->disk_slow = false;
    outlet->disk_failed = false; /* when it is needed again it is tried again */
    if (outlet->spooling.count == 0) {
        return 0;
    }
    /* What the disk did not take is the oldest that there is now. */
    struct sl__slots held = outlet->spooling;
    outlet->spooling = outlet->batch;
    outlet->spooling.count = 0;
    outlet->spooling.size_bytes = 0;
    outlet->batch = held;
    outlet->batch_from_spool = false;
    outlet->batch_on_disk = false;
    return 1;
}

/* ---- the end ---- */

static int save_rest(sl_outlet *outlet)
{
    if (batch_is_only_here(outlet)) {
        SL_TRY(append_batch(outlet));
    }
    while (outlet->spooling.count > 0 || outlet->ring.events > 0) {
        if (outlet->spooling.count == 0) {
            SL_TRY(sl__outlet_fill(outlet, &outlet->spooling));
        }
        SL_TRY(append(outlet));
    }
    return 0;
}

int sl__outlet_spool_rest(void *arg)
{
    sl_outlet *outlet = arg;
    if (outlet->spool == NULL) {
        return 0;
    }
    int code = save_rest(outlet);
    if (outlet->batch_from_spool || outlet->batch_on_disk) { /* it is read from there again */
        outlet->batch.count = 0;
        outlet->batch.size_bytes = 0;
        outlet->batch_from_spool = false;
        outlet->batch_on_disk = false;
    }
    sl_spool *spool = outlet->spool;
    outlet->spool = NULL;
    outlet->stats.spooling = false;
    if (sl_offload(call_close, spool) < 0) { /* it did not run: there is no memory or time for it */
        sl_spool_close(spool);
    }
    return code;
}
