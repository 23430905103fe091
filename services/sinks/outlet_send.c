/* SPDX-License-Identifier: MIT */
/* The outlet's sink: sessions with it, batches, attempts. See outlet.h. */
#include <errno.h>
#include <string.h>

#include "outlet_internal.h"
#include "sluice/runtime.h"
#include "sluice/thread.h"

/* ---- calls of the driver ---- */

struct call {
    sl_outlet *outlet;
    sl_sink_batch batch;
    sl_sink_result result;
};

static int call_open(void *arg)
{
    sl_sink *sink = ((sl_outlet *)arg)->sink;
    return sink->driver->open(sink, NULL);
}

static int call_close(void *arg)
{
    sl_sink *sink = ((sl_outlet *)arg)->sink;
    sink->driver->close(sink);
    return 0;
}

static int call_write(void *arg)
{
    struct call *call = arg;
    sl_sink *sink = call->outlet->sink;
    return sink->driver->write(sink, &call->batch, &call->result);
}

/* A cleanup. */
static int close_sink(void *arg)
{
    sl_outlet *outlet = arg;
    if (!outlet->sink->driver->blocking || sl_offload(call_close, arg) < 0) { /* if that did not run, here */
        (void)call_close(arg);
    }
    return 0;
}

static int write_in_time(struct call *call)
{
    sl_outlet *outlet = call->outlet;
    if (outlet->sink->driver->blocking) {
        return sl_offload(call_write, call);
    }
    sl_scope limit = SL_SCOPE_INIT;
    sl_time timeout = outlet->options.write_timeout == SL_NEVER ? 0 : outlet->options.write_timeout;
    sl_time begun = sl_now();
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "write", .timeout = timeout}));
    int code = sl_scope_close(&limit, call_write(call));
    if (code == SL_ETIMEDOUT && timeout > 0 && sl_now() - begun >= timeout) {
        return sl_fail(code, "a batch was not written within %lld ms", (long long)(timeout / SL_MILLISECONDS(1)));
    }
    return code;
}

static void count_result(sl_outlet *outlet, const struct call *call)
{
    sl_outlet_stats *stats = &outlet->stats;
    stats->written += call->result.written;
    stats->repeated += call->result.repeated;
    stats->skipped += call->result.skipped;
    stats->refused += call->result.refused;
    stats->unreadable += call->batch.unreadable;
    stats->batches++;
    if (call->result.refused > 0) {
        memcpy(stats->problem, outlet->sink->problem, sizeof(stats->problem));
    }
}

/* An attempt worked. */
static void is_back(sl_outlet *outlet)
{
    if (outlet->stats.away) {
        outlet->stats.away = false;
        sl__outlet_tell_all(outlet);
    }
}

/* The batch is the sink's now. */
static int finish_batch(sl_outlet *outlet)
{
    const struct sl__slots *batch = &outlet->batch;
    int64_t now_ns = sl_now_wall();
    uint64_t own = 0;
    size_t at = 0;
    size_t size = 0;
    for (const uint8_t *record = NULL; (record = sl__slots_next(batch, &at, &size)) != NULL;) {
        sl_stamp stamp = sl__slot_stamp(record, size);
        if (stamp.run == outlet->stamp.run) {
            outlet->delivered = stamp.number;
            outlet->stats.last_receive_time_ns = sl_record_receive_time(record);
            sl_histogram_record(&outlet->latency, now_ns - outlet->stats.last_receive_time_ns);
            own++;
        }
    }
    if (outlet->batch_from_spool || outlet->batch_on_disk) {
        outlet->stats.spooled -= own < outlet->stats.spooled ? own : outlet->stats.spooled;
        outlet->stats.recovered += batch->count - own;
    }
    is_back(outlet);
    int code = outlet->batch_from_spool ? sl__outlet_spool_advance(outlet) : 0;
    outlet->batch.count = 0;
    outlet->batch.size_bytes = 0;
    outlet->batch_from_spool = false;
    outlet->batch_on_disk = false;
    outlet->attempts = 0;
    return code;
}

/* ---- batches with an event that the store will never take ---- */

/* The one event of `part`: told, and counted as refused. */
static void refuse(struct call *part, struct call *whole)
{
    sl_outlet *outlet = whole->outlet;
    sl_market_event event;
    sl_stamp stamp;
    sl__outlet_note(outlet, SL_EINVAL);
    memcpy(outlet->sink->problem, outlet->stats.problem, sizeof(outlet->sink->problem));
    sl_sink_batch_rewind(&part->batch);
    whole->result.refused++;
    if (outlet->options.refused != NULL && sl_sink_batch_next(&part->batch, &event, &stamp) > 0) {
        outlet->options.refused(outlet->options.refused_arg, &event, stamp, outlet->sink->problem);
    }
}

static void add_result(struct call *whole, const struct call *part)
{
    whole->result.written += part->result.written;
    whole->result.repeated += part->result.repeated;
    whole->result.skipped += part->result.skipped;
    whole->result.refused += part->result.refused;
    whole->batch.unreadable += part->batch.unreadable;
}

/* In ever smaller parts around the bad one, which is left out; behind it they grow again. */
static int write_in_parts(struct call *whole)
{
    const struct sl__slots *all = whole->batch.slots;
    size_t begin = 0;
    size_t left = all->count;
    size_t count = left / 2;
    whole->result = (sl_sink_result){0};
    sl_sink_batch_rewind(&whole->batch);
    while (left > 0) {
        count = count == 0 ? 1 : count < left ? count : left;
        size_t end = begin;
        size_t size = 0;
        for (size_t at = 0; at < count; at++) {
            (void)sl__slots_next(all, &end, &size);
        }
        struct sl__slots slots = {.data = all->data + begin, .size_bytes = end - begin, .count = count};
        struct call part = {.outlet = whole->outlet, .batch = {.slots = &slots, .reader = whole->batch.reader}};
        int code = write_in_time(&part);
        if (code == SL_EINVAL && count > 1) {
            count /= 2;
            continue;
        }
        if (code == SL_EINVAL) {
            refuse(&part, whole);
        } else {
            SL_TRY(code);
            add_result(whole, &part);
        }
        begin = end;
        left -= count;
        count *= 2;
        SL_TRY(sl_checkpoint_cheap());
    }
    return 0;
}

static int write_batch(sl_outlet *outlet)
{
    struct call call = {.outlet = outlet, .batch = {.slots = &outlet->batch, .reader = outlet->reader}};
    int code = write_in_time(&call);
    SL_TRY(code == SL_EINVAL ? write_in_parts(&call) : code);
    count_result(outlet, &call);
    return finish_batch(outlet);
}

/* ---- batches ---- */

/* Waits for the next batch: 1; 0 when there will be none. */
static int next_batch(sl_outlet *outlet)
{
    for (;;) {
        if (outlet->stats.spooling) {
            int code = sl__outlet_spool_read(outlet);
            if (code == 0 && !outlet->disk_busy) {
                code = sl__outlet_spool_leave(outlet);
            } else if (code == 0) {
                code = sl__outlet_wait(&outlet->sender, SL__WAIT_STATE, SL_NEVER);
            }
            if (code != 0) {
                return code;
            }
            continue;
        }
        bool some = outlet->ring.events > 0;
        if (some && (outlet->ended || sl__outlet_batch_full(outlet) || sl_now() >= sl__outlet_due(outlet))) {
            return sl__outlet_fill(outlet, &outlet->batch);
        }
        if (!some && outlet->ended) {
            return 0;
        }
        SL_TRY(sl__outlet_wait(&outlet->sender, some ? SL__WAIT_FULL : SL__WAIT_ANY,
                               some ? sl__outlet_due(outlet) : SL_NEVER));
    }
}

static int deliver(sl_outlet *outlet)
{
    for (;;) {
        if (outlet->batch.count == 0) {
            int code = next_batch(outlet);
            if (code <= 0) {
                return code;
            }
        }
        SL_TRY(write_batch(outlet));
        SL_TRY(sl_checkpoint_cheap());
    }
}

/* ---- sessions ---- */

static int use_sink(sl_outlet *outlet, sl_scope *scope)
{
    SL_TRY(sl_defer(scope, close_sink, outlet, SL_OUTLET_CLOSE_BUDGET));
    SL_TRY(outlet->sink->driver->blocking ? sl_offload(call_open, outlet)
                                          : outlet->sink->driver->open(outlet->sink, scope));
    bool waits = outlet->batch.count > 0 || outlet->spooling.count > 0 || outlet->ring.events > 0 ||
                 outlet->stats.spool.bytes > 0;
    if (!waits) { /* else a batch tells: a full disk lets itself be opened again and again */
        is_back(outlet);
    }
    return deliver(outlet);
}

/* From opening the sink to closing it: 0 when all is delivered. */
static int session(sl_outlet *outlet)
{
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "session"}));
    int code = use_sink(outlet, &scope);
    if (code == 0) {
        sl_scope_cancel(&scope, "all is delivered"); /* the driver's own tasks */
    }
    return sl_scope_close(&scope, code);
}

/* After the end one more attempt is made at once, and then none, as long as the disk takes what is left. */
static bool is_last_try(sl_outlet *outlet)
{
    bool was = outlet->last_try;
    outlet->last_try = true;
    return !was;
}

/* Waits before the next attempt: 1, or 0 when there is to be none. */
static int pause_attempts(sl_outlet *outlet)
{
    const struct sl_backoff *retry = &outlet->options.retry;
    double delay = (double)(retry->initial == SL_NO_BACKOFF ? 0 : retry->initial);
    for (uint32_t step = 0; step < outlet->attempts && delay < (double)retry->max; step++) {
        delay *= retry->multiplier;
    }
    delay = delay > (double)retry->max ? (double)retry->max : delay;
    delay -= retry->jitter > 0 ? delay * retry->jitter * sl_random_unit() : 0;
    outlet->attempts++;
    sl_time until = sl_time_add(sl_now(), (sl_time)delay);
    do {
        if (outlet->ended && outlet->spool != NULL && !outlet->disk_failed) {
            return is_last_try(outlet) ? 1 : 0;
        }
        SL_TRY(sl__outlet_wait(&outlet->sender, SL__WAIT_STATE, until));
    } while (sl_now() < until);
    return 1;
}

int sl__outlet_send(void *arg)
{
    sl_outlet *outlet = arg;
    for (;;) {
        int code = session(outlet);
        if (code >= 0 || code == SL_ECANCELED) {
            return code;
        }
        outlet->stats.failures++;
        outlet->stats.away = true;
        sl__outlet_note(outlet, code);
        sl__outlet_start_spooling(outlet);
        sl__outlet_tell_all(outlet);
        code = pause_attempts(outlet);
        if (code <= 0) {
            return code;
        }
    }
}

/* ---- the whole ---- */

static int start(sl_outlet *outlet, sl_scope *scope)
{
    if (outlet->ended && outlet->options.drain != SL_NEVER) {
        (void)sl_scope_set_deadline(scope, sl_time_add(sl_now(), outlet->options.drain));
    }
    if (outlet->options.when_full == SL_FULL_SPOOL) {
        SL_TRY(sl_defer(scope, sl__outlet_spool_rest, outlet, SL_OUTLET_CLOSE_BUDGET));
        int code = sl__outlet_spool_open(outlet);
        if (code < 0 && code != SL_ECANCELED) { /* it does not even try */
            outlet->stats.away = true;
            sl__outlet_note(outlet, code);
        }
        SL_TRY(code == -ENOSPC || code == -EDQUOT ? 0 : code); /* it is opened when there is room */
        SL_TRY(sl_spawn(scope, sl__outlet_spool, outlet, .name = "spool", .daemon = true));
    }
    return sl_spawn(scope, sl__outlet_send, outlet, .name = "send");
}

int sl_outlet_run(void *arg)
{
    sl_outlet *outlet = arg;
    if (outlet->scope != NULL) {
        return sl_fail(SL_EBUSY, "the outlet '%s' runs already", outlet->name);
    }
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = outlet->name, .move_on = true}));
    outlet->scope = &scope;
    int code = sl_scope_close(&scope, start(outlet, &scope));
    outlet->scope = NULL;
    sl__outlet_tell_room(outlet);
    return code;
}
