/* SPDX-License-Identifier: MIT */
/* The outlet's queue: see outlet.h. */
#include "outlet_internal.h"

#include <stdio.h>
#include <string.h>

#include "sluice/channel.h"

/* ---- making ---- */

static int bad_option(const char *name, const char *what)
{
    return sl_fail(SL_EINVAL, "sink '%s': %s", name == NULL ? "" : name, what);
}

static size_t or_default(size_t value, size_t standard)
{
    return value == 0 ? standard : value;
}

static sl_time or_time(sl_time value, sl_time standard)
{
    return value == 0 ? standard : value;
}

void sl_outlet_set_retry(sl_outlet *outlet, const struct sl_backoff *retry)
{
    outlet->options.retry = (struct sl_backoff){.initial = or_time(retry->initial, SL_BACKOFF_INITIAL),
                                                .max = or_time(retry->max, SL_BACKOFF_MAX),
                                                .multiplier = retry->multiplier == 0 ? 2 : retry->multiplier,
                                                .jitter = retry->jitter == 0 ? SL_BACKOFF_JITTER : retry->jitter};
}

/* Copies the options with their defaults, checked. */
static int take_options(sl_outlet *outlet, const sl_outlet_options *options)
{
    sl_outlet_options *own = &outlet->options;
    *own = *options;
    own->queue_bytes = or_default(options->queue_bytes, SL_OUTLET_QUEUE_DEFAULT_BYTES);
    own->queue_events = or_default(options->queue_events, SL_OUTLET_QUEUE_DEFAULT_EVENTS);
    own->batch_events = or_default(options->batch_events, SL_OUTLET_BATCH_DEFAULT_EVENTS);
    own->batch_bytes = or_default(options->batch_bytes, SL_OUTLET_BATCH_DEFAULT_BYTES);
    own->batch_age = or_time(options->batch_age, SL_OUTLET_BATCH_DEFAULT_AGE);
    own->write_timeout = or_time(options->write_timeout, SL_OUTLET_WRITE_TIMEOUT);
    own->drain = or_time(options->drain, SL_OUTLET_DRAIN);
    sl_outlet_set_retry(outlet, &options->retry);
    if (options->name == NULL || strlen(options->name) >= SL_OUTLET_NAME_MAX) {
        return bad_option(NULL, "it needs a name, of less than 64 bytes");
    }
    if (own->queue_bytes < SL_OUTLET_QUEUE_MIN_BYTES || own->queue_bytes > SL_OUTLET_QUEUE_MAX_BYTES ||
        own->queue_events > SL_OUTLET_QUEUE_MAX_EVENTS) {
        return bad_option(options->name, "the queue's size is out of range");
    }
    if (own->batch_age < 0 || own->write_timeout < 0 || own->drain < 0 || own->retry.multiplier < 1 ||
        own->retry.jitter > 1 || own->when_full < 0 || own->when_full >= SL_FULL_COUNT ||
        own->batch_bytes > SL_OUTLET_QUEUE_MAX_BYTES) {
        return bad_option(options->name, "an option of batches, retries or the policy is out of range");
    }
    if (own->when_full == SL_FULL_SPOOL &&
        (options->spool.folder == NULL || strlen(options->spool.folder) >= SL_SPOOL_PATH_MAX)) {
        return bad_option(options->name, "the policy 'spool' needs a folder");
    }
    memcpy(outlet->name, options->name, strlen(options->name) + 1);
    if (options->spool.folder != NULL && own->when_full == SL_FULL_SPOOL) {
        memcpy(outlet->folder, options->spool.folder, strlen(options->spool.folder) + 1);
    }
    own->name = outlet->name;
    own->spool.folder = outlet->folder;
    return 0;
}

static int set_up(sl_outlet *outlet, const sl_outlet_options *options)
{
    SL_TRY(take_options(outlet, options));
    SL_TRY(sl_record_reader_new(&outlet->reader));
    sl_event_init(&outlet->sender.event);
    sl_event_init(&outlet->spooler.event);
    sl_event_init(&outlet->room);
    sl_mutex_init(&outlet->spool_lock);
    outlet->stamp.run = options->run != 0 ? options->run : (uint64_t)sl_now_wall();
    outlet->stats.run = outlet->stamp.run;
    return sl__ring_init(&outlet->ring, outlet->options.queue_bytes, outlet->options.queue_events,
                         outlet->options.when_full == SL_FULL_CONFLATE);
}

int sl_outlet_new(const sl_outlet_options *options, sl_sink *sink, sl_outlet **ret_outlet)
{
    sl_outlet *outlet = sl_calloc(1, sizeof(*outlet));
    if (outlet == NULL) {
        sl_sink_free(sink);
        return SL_ENOMEM;
    }
    outlet->sink = sink;
    int code = set_up(outlet, options);
    if (code < 0) {
        sl_outlet_free(outlet);
        return code;
    }
    *ret_outlet = outlet;
    return 0;
}

void sl_outlet_free(sl_outlet *outlet)
{
    if (outlet != NULL) {
        sl__ring_free(&outlet->ring);
        sl__slots_free(&outlet->batch);
        sl__slots_free(&outlet->spooling);
        sl_record_reader_free(outlet->reader);
        sl_sink_free(outlet->sink);
        sl_free(outlet);
    }
}

/* ---- telling ---- */

bool sl__outlet_batch_full(const sl_outlet *outlet)
{
    return outlet->ring.events >= outlet->options.batch_events ||
           sl__ring_used(&outlet->ring) >= outlet->options.batch_bytes;
}

static void tell(const sl_outlet *outlet, struct sl__outlet_waiter *waiter)
{
    bool due = false;
    switch (waiter->what) {
    case SL__WAIT_ANY:
        due = true;
        break;
    case SL__WAIT_FULL:
        due = sl__outlet_batch_full(outlet);
        break;
    case SL__WAIT_PRESSURE:
        due = sl__ring_used(&outlet->ring) > outlet->ring.capacity_bytes / 2;
        break;
    default:
        break;
    }
    if (due) {
        waiter->what = SL__WAIT_NOTHING;
        sl_event_set(&waiter->event);
    }
}

int sl__outlet_wait(struct sl__outlet_waiter *waiter, enum sl__outlet_wait what, sl_time until)
{
    sl_time timeout = until == SL_NEVER ? SL_NEVER : until - sl_now();
    if (timeout <= 0) {
        return sl_checkpoint_if_cancelled();
    }
    waiter->what = what;
    sl_event_reset(&waiter->event);
    struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &waiter->event};
    int code = sl_select(&clause, 1, timeout);
    waiter->what = SL__WAIT_NOTHING;
    return code == SL_ETIMEDOUT || code > 0 ? 0 : code;
}

sl_time sl__outlet_due(const sl_outlet *outlet)
{
    return sl_time_add(outlet->waiting_since, outlet->options.batch_age);
}

void sl__outlet_tell_all(sl_outlet *outlet)
{
    outlet->sender.what = SL__WAIT_NOTHING;
    outlet->spooler.what = SL__WAIT_NOTHING;
    sl_event_set(&outlet->sender.event);
    sl_event_set(&outlet->spooler.event);
}

void sl__outlet_tell_room(sl_outlet *outlet)
{
    if (outlet->room_wanted) {
        outlet->room_wanted = false;
        sl_event_set(&outlet->room);
    }
}

void sl__outlet_start_spooling(sl_outlet *outlet)
{
    if (outlet->options.when_full == SL_FULL_SPOOL && outlet->spool != NULL && !outlet->stats.spooling) {
        outlet->stats.spooling = true;
        sl__outlet_tell_all(outlet);
    }
}

void sl_outlet_end(sl_outlet *outlet)
{
    if (!outlet->ended) {
        outlet->ended = true;
        sl__outlet_tell_all(outlet);
        sl__outlet_tell_room(outlet);
        if (outlet->scope != NULL && outlet->options.drain != SL_NEVER) {
            (void)sl_scope_set_deadline(outlet->scope, sl_time_add(sl_now(), outlet->options.drain));
        }
    }
}

/* ---- taking in ---- */

/* Down to seven eighths of both limits. */
static void drop_oldest(sl_outlet *outlet)
{
    struct sl__ring *ring = &outlet->ring;
    size_t events = ring->events_max - (ring->events_max + 7) / 8;
    size_t bytes = ring->capacity_bytes - ring->capacity_bytes / 8;
    while (ring->events > 0 && (ring->events > events || sl__ring_used(ring) > bytes)) {
        sl__ring_drop(ring);
        outlet->stats.dropped_full++;
    }
    if (ring->events > 0) { /* whatever the limits are, it must have become less */
        sl__ring_drop(ring);
        outlet->stats.dropped_full++;
    }
}

/* Waits until there may be room. 1 there may be, 0 it took too long. */
static int wait_for_room(sl_outlet *outlet, sl_time timeout)
{
    outlet->stats.blocked++;
    outlet->room_wanted = true;
    sl_event_reset(&outlet->room);
    struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &outlet->room};
    int code = sl_select(&clause, 1, timeout);
    return code == SL_ETIMEDOUT ? 0 : code < 0 ? code : 1;
}

/* For the disk, as long as it takes what it is given. */
static int wait_for_disk(sl_outlet *outlet)
{
    sl__outlet_start_spooling(outlet);
    if (outlet->disk_failed || outlet->disk_slow) {
        return 0;
    }
    int code = wait_for_room(outlet, SL_OUTLET_DISK_PATIENCE);
    outlet->disk_slow = outlet->disk_slow || code == 0;
    return code;
}

/* Makes room for an event, or not: 1 try again, 0 it is dropped, or why it could not wait. */
static int make_room(sl_outlet *outlet)
{
    struct sl__ring *ring = &outlet->ring;
    size_t before = ring->events;
    switch (outlet->options.when_full) {
    case SL_FULL_BLOCK:
        return outlet->ended ? 0 : wait_for_room(outlet, SL_NEVER);
    case SL_FULL_SPOOL:
        return wait_for_disk(outlet);
    case SL_FULL_CONFLATE:
        outlet->stats.conflated += sl__ring_conflate(ring);
        if (before - ring->events >= before / 8 + 1) {
            return 1;
        }
        drop_oldest(outlet);
        return 1;
    default:
        drop_oldest(outlet);
        return 1;
    }
}

/* An event that got no room. */
static int turn_away(sl_outlet *outlet, int code)
{
    if (code < 0) {
        return code;
    }
    outlet->stats.received++;
    if (outlet->options.when_full == SL_FULL_SPOOL) {
        outlet->stats.dropped_spool++;
    } else {
        outlet->stats.dropped_ended++;
    }
    return code;
}

int sl_outlet_has_room(const sl_outlet *outlet, size_t size_bytes)
{
    bool keeps = outlet->options.when_full == SL_FULL_BLOCK || outlet->options.when_full == SL_FULL_SPOOL;
    if (outlet->ended) {
        return SL_ECLOSED;
    }
    if (size_bytes > sl__ring_record_max(&outlet->ring)) {
        return SL_EMSGSIZE;
    }
    return !keeps || sl__ring_fits(&outlet->ring, size_bytes);
}

int sl_outlet_put(sl_outlet *outlet, const void *record, size_t size_bytes)
{
    if (outlet->ended || size_bytes > sl__ring_record_max(&outlet->ring)) {
        outlet->stats.received++;
        outlet->stats.dropped_ended += outlet->ended ? 1 : 0;
        outlet->stats.dropped_large += outlet->ended ? 0 : 1;
        return 0;
    }
    if (outlet->ring.events == 0) {
        outlet->waiting_since = sl_now();
    }
    void *copy = NULL;
    while ((copy = sl__ring_add(&outlet->ring, record, size_bytes)) == NULL) {
        int code = make_room(outlet);
        if (code <= 0) {
            return turn_away(outlet, code);
        }
    }
    outlet->stats.received++; /* not while it waits: who compares figures must not take it for one that is stored */
    outlet->stamp.number++;
    sl_record_set_stamp(copy, outlet->stamp);
    size_t used = sl__ring_used(&outlet->ring);
    if (used > outlet->stats.queued_bytes_max) {
        outlet->stats.queued_bytes_max = used;
    }
    if (outlet->options.when_full == SL_FULL_SPOOL && used > outlet->ring.capacity_bytes / 4 * 3) {
        sl__outlet_start_spooling(outlet);
    }
    if (outlet->sender.what != SL__WAIT_NOTHING) {
        tell(outlet, &outlet->sender);
    }
    if (outlet->spooler.what != SL__WAIT_NOTHING) {
        tell(outlet, &outlet->spooler);
    }
    return 0;
}

int sl__outlet_fill(sl_outlet *outlet, struct sl__slots *slots)
{
    size_t size = 0;
    const void *record = sl__ring_peek(&outlet->ring, &size);
    size_t first = record == NULL ? 0 : size + SL__SLOT_HEAD_BYTES;
    size_t limit = outlet->options.batch_bytes > first ? outlet->options.batch_bytes : first;
    SL_TRY(sl__slots_reserve(slots, limit));
    slots->size_bytes = 0;
    slots->count = 0;
    while (record != NULL && slots->count < outlet->options.batch_events &&
           slots->size_bytes + SL__SLOT_HEAD_BYTES + size <= limit) {
        sl__slots_add(slots, record, size);
        sl__ring_drop(&outlet->ring);
        record = sl__ring_peek(&outlet->ring, &size);
    }
    outlet->waiting_since = sl_now();
    sl__outlet_tell_room(outlet);
    return (int)slots->count;
}

/* ---- figures ---- */

static void note(char problem[SL_SINK_PROBLEM_MAX], int code)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    const char *text = sl_error_message(error);
    (void)snprintf(problem, SL_SINK_PROBLEM_MAX, "%s", *text == '\0' ? sl_strerror(code) : text);
}

void sl__outlet_note(sl_outlet *outlet, int code)
{
    note(outlet->stats.problem, code);
}

void sl__outlet_note_disk(sl_outlet *outlet, int code)
{
    note(outlet->stats.disk_problem, code);
}

bool sl_outlet_blocks(const sl_outlet *outlet)
{
    return outlet->options.when_full == SL_FULL_BLOCK;
}

const sl_outlet_stats *sl_outlet_get_stats(sl_outlet *outlet)
{
    outlet->stats.queued = outlet->ring.events;
    outlet->stats.queued_bytes = sl__ring_used(&outlet->ring);
    outlet->stats.disk_failing = outlet->disk_failed;
    outlet->stats.in_batch = outlet->spooling.count;
    if (!outlet->batch_from_spool && !outlet->batch_on_disk) {
        outlet->stats.in_batch += outlet->batch.count;
    }
    return &outlet->stats;
}

const char *sl_outlet_name(const sl_outlet *outlet)
{
    return outlet->name;
}

size_t sl_outlet_queue_events(const sl_outlet *outlet)
{
    return outlet->options.queue_events;
}

const struct sl_histogram *sl_outlet_latency(const sl_outlet *outlet)
{
    return &outlet->latency;
}

bool sl_outlet_takes(const sl_outlet *outlet, const sl_market_event *event)
{
    unsigned feeds = outlet->options.feeds;
    unsigned event_feeds = SL_FEED_BIT(event->feed);
    if (event->kind == SL_EVENT_BEST) {
        event_feeds = SL_FEED_BIT(SL_FEED_BEST);
    } else if (event->kind == SL_EVENT_GAP && event->feed == SL_FEED_DEPTH) { /* of both that come from a book */
        event_feeds |= SL_FEED_BIT(SL_FEED_BEST);
    }
    return feeds == 0 || (feeds & event_feeds) != 0;
}

const char *sl_outlet_kind(const sl_outlet *outlet)
{
    return outlet->sink->driver->kind;
}
