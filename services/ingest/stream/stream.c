/* SPDX-License-Identifier: MIT */
/* Subscriptions over connections, and connections over time. See stream.h. */
#include "ingest/stream/stream.h"

#include <stdio.h>
#include <string.h>

#include "ingest/stream/stream_internal.h"
#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define LEG_NAME 32

/* What a connection that ends when all end may take to tell what it carried. */
#define LOST_BUDGET SL_SECONDS(2)

/* How long others wait for one connection's replacement to carry all that it does; how soon one is tried again. */
#define ROTATION_PATIENCE SL_MINUTES(5)
#define ROTATION_RETRY SL_SECONDS(30)

/* ---- what the connections give ---- */

/* Until the venue has heard that something is left it goes on sending that: nobody wants it any more. */
static bool followed(const sl_stream_service *stream, const sl_market_event *event)
{
    if (event->kind != SL_EVENT_TRADE) {
        return sl__stream_place(stream, event->instrument, SL_FEED_DEPTH) != 0;
    }
    return sl__stream_place(stream, event->instrument, SL_FEED_TRADES) != 0 ||
           sl__stream_place(stream, event->instrument, SL_FEED_AGG_TRADES) != 0;
}

static int take(sl_stream_service *stream, const sl_market_event *event, sl_time now)
{
    switch (event->kind) {
    case SL_EVENT_TRADE:
        if (!followed(stream, event)) {
            stream->unfollowed++;
            return 0;
        }
        if (event->as.trade.id == 0 && stream->options.driver->consecutive_trades) {
            return stream->options.event(stream->options.arg, event); /* nothing to compare it by (Kraken before v2) */
        }
        break;
    case SL_EVENT_BOOK_DELTA:
    case SL_EVENT_BOOK_SNAPSHOT:
        if (!followed(stream, event)) {
            stream->unfollowed++;
            return 0;
        }
        return stream->books == NULL ? 0 : sl_books_event(stream->books, event, now);
    case SL_EVENT_CANDLE:
        if (sl__stream_place_of(stream, event->instrument,
                                sl__stream_slot(stream, SL_FEED_CANDLES, event->as.candle.interval_ns)) == 0) {
            stream->unfollowed++;
            return 0;
        }
        break;
    case SL_EVENT_STATUS:
        sl_instruments_set_status(stream->options.instruments, event->instrument, event->as.status);
        break;
    default:
        break;
    }
    int code = sl_tracker_event(stream->tracker, event, now);
    if (code == SL_EINVAL) { /* the venue's numbers make no sense: counted, and the others go on */
        stream->bad++;
        return 0;
    }
    return code < 0 ? code : 0;
}

int sl__stream_lock(sl_stream_service *stream)
{
    int code = sl_mutex_try_lock(&stream->mutex);
    return code == SL_EAGAIN ? sl_mutex_lock(&stream->mutex) : code;
}

static int on_event(void *arg, const sl_market_event *event)
{
    const struct leg *leg = arg;
    sl_stream_service *stream = leg->shard->stream;
    SL_TRY(sl__stream_lock(stream));
    int code = take(stream, event, sl_connection_get_stats(leg->connection)->last_message_at);
    (void)sl_mutex_unlock(&stream->mutex);
    return code;
}

static void on_expected(void *arg, const sl_instrument *instrument, sl_feed feed)
{
    const struct leg *leg = arg;
    const sl_stream_service *stream = leg->shard->stream;
    if (instrument->index < stream->place_count) {
        __builtin_prefetch(&stream->places[instrument->index]);
    }
    if (feed != SL_FEED_DEPTH) {
        sl_tracker_prefetch(stream->tracker, instrument, feed);
    } else if (stream->books != NULL) {
        sl_books_prefetch(stream->books, instrument);
    }
}

static int last_trade(sl_stream_service *stream, const sl_venue_notice *notice, int64_t wall_ns)
{
    SL_TRY(sl__stream_lock(stream));
    int code = sl_tracker_last_trade(stream->tracker, notice->instrument, notice->id, sl_now(), wall_ns);
    (void)sl_mutex_unlock(&stream->mutex);
    return code;
}

static int on_notice(void *arg, const sl_venue_notice *notice)
{
    const struct leg *leg = arg;
    sl_stream_service *stream = leg->shard->stream;
    switch (notice->kind) {
    case SL_NOTICE_RECONNECT:
        sl_event_set(&stream->changed);
        return 0;
    case SL_NOTICE_LAST_TRADE:
        return notice->instrument == NULL ? 0 : last_trade(stream, notice, sl_connection_message_time(leg->connection));
    default:
        return 0;
    }
}

static int on_bad(void *arg, const struct sl_bad_message *message)
{
    const struct leg *leg = arg;
    const struct sl_stream_options *options = &leg->shard->stream->options;
    return options->bad == NULL ? 0 : options->bad(options->arg, message);
}

static int on_frame(void *arg, const sl_connection *connection, const char *text, size_t size_bytes,
                    int64_t receive_time_ns)
{
    const struct leg *leg = arg;
    const struct sl_stream_options *options = &leg->shard->stream->options;
    return options->frame(options->arg, connection, text, size_bytes, receive_time_ns);
}

/* ---- legs ---- */

bool sl__stream_open_now(const struct leg *leg)
{
    sl_connection_state state = sl_connection_get_stats(leg->connection)->state;
    return state == SL_CONNECTION_LIVE || state == SL_CONNECTION_SUBSCRIBING;
}

sl_time sl__stream_carries_since(const struct leg *leg, const sl_subscription *what)
{
    return sl__stream_open_now(leg) ? sl_subscriptions_active_since(sl_connection_subscriptions(leg->connection), what)
                                    : SL_NEVER;
}

/* Whether another leg of the shard carries the subscription now: being open is not enough, it may be refused there. */
static bool carried(const struct leg *lost, const sl_subscription *what)
{
    for (const struct leg *leg = lost->shard->legs; leg != NULL; leg = leg->next) {
        if (leg != lost && sl__stream_carries_since(leg, what) != SL_NEVER) {
            return true;
        }
    }
    return false;
}

/* What was on a leg that has ended, and how much of it was told. */
struct loss {
    const struct leg *leg;
    bool silent;   /* it fell silent, and was ended for that */
    sl_time since; /* then it brought something last */
    size_t left;   /* subscriptions before this one are still to be told; from the last on, for one may go meanwhile */
};

/*
 * Whether one that carries it now did so already then: it brought what the lost one has not since. Where that one fell
 * silent, another one that says nothing either is no proof.
 */
static bool covered(const struct loss *loss, const sl_subscription *what)
{
    for (const struct leg *leg = loss->leg->shard->legs; leg != NULL; leg = leg->next) {
        const struct sl_connection_stats *stats = sl_connection_get_stats(leg->connection);
        bool speaks = !loss->silent || stats->last_event_at > loss->since;
        if (leg != loss->leg && speaks && sl__stream_carries_since(leg, what) <= loss->since &&
            !sl__stream_is_mute(leg, loss->leg, what)) {
            return true;
        }
    }
    return false;
}

static int tell_lost_one(const struct loss *loss, const sl_subscription *what)
{
    const struct leg *leg = loss->leg;
    sl_stream_service *stream = leg->shard->stream;
    uint32_t number = sl_connection_number(leg->connection);
    bool last = !carried(leg, what);
    if (what->feed == SL_FEED_DEPTH && stream->books != NULL) {
        SL_TRY(sl_books_lost(stream->books, what->instrument, number, last, sl_now()));
    } else if (!covered(loss, what)) {
        SL_TRY(sl_tracker_lost(stream->tracker, what->instrument, what->feed, loss->since, sl_now_wall()));
    }
    return stream->options.lost == NULL ? 0 : stream->options.lost(stream->options.arg, leg->connection, what, last);
}

/* What was on a leg that has ended is told of, where nothing else has carried it since it said something. */
static int tell_lost_all(struct loss *loss)
{
    sl_stream_service *stream = loss->leg->shard->stream;
    const sl_subscriptions *all = sl_connection_subscriptions(loss->leg->connection);
    int code = sl__stream_lock(stream);
    if (code < 0) {
        return code;
    }
    for (; loss->left > 0 && code == 0; loss->left -= code == 0) {
        size_t at = loss->left - 1;
        if (at < sl_subscriptions_count(all)) {
            sl_subscription what = *sl_subscriptions_at(all, at, NULL);
            code = tell_lost_one(loss, &what);
        }
    }
    (void)sl_mutex_unlock(&stream->mutex);
    return code;
}

/* As long as it takes: sinks may make us wait. Whoever is cancelled tells the rest within the time that it may take. */
static int tell_lost(const struct leg *leg, bool silent, sl_time since)
{
    struct loss loss = {leg, silent, since, sl_subscriptions_count(sl_connection_subscriptions(leg->connection))};
    int code = tell_lost_all(&loss);
    if (code == SL_ECANCELED) {
        SL_SCOPE(shield, .name = "lost", .shield = true, .timeout = LOST_BUDGET);
        code = sl_scope_close(&shield, tell_lost_all(&loss));
    }
    if (code < 0 && loss.left > 0) {
        sl_log_with(SL_LOG_ERROR, "what a connection carried could not be told as lost",
                    sl_field_text("stream", leg->shard->stream->options.name),
                    sl_field_uint("subscriptions", loss.left), sl_field_code("code", code));
    }
    return code;
}

/* One life of the connection. */
static int live(struct leg *leg)
{
    sl_stream_service *stream = leg->shard->stream;
    SL_SCOPE(scope, .name = "leg");
    leg->scope = &scope;
    if (leg->retired) {
        sl_scope_cancel(&scope, "retired");
    }
    leg->cut = false;
    uint64_t opened = sl_connection_get_stats(leg->connection)->opened;
    int code = sl__stream_wait_resumed(leg);
    code = code == 0 ? sl_connection_run(leg->connection) : code;
    leg->scope = NULL;
    bool was_open = sl_connection_get_stats(leg->connection)->opened > opened;
    /* Who stops the service knows that nothing comes any more. */
    bool lost = was_open && !leg->retired && (code != SL_ECANCELED || leg->cut);
    /* One that was replaced may be the one whose messages a book was made of. */
    bool replaced = was_open && leg->retired && leg->replacement != 0;
    stream->reconnects += lost;
    bool silent = code == SL_ETIMEDOUT;
    code = sl_scope_close(&scope, code); /* who cut it, or retired it, does not hurry what follows */
    if (lost || replaced) {
        /* It has brought nothing since its last event, however it ended: it may have been half open, too. */
        const struct sl_connection_stats *stats = sl_connection_get_stats(leg->connection);
        sl_time last = stats->last_event_at > stats->opened_at ? stats->last_event_at : stats->opened_at;
        int told = tell_lost(leg, silent, last);
        code = told < 0 ? told : code;
    }
    return code;
}

/* The supervised child: it ends well only when it is to be no more. */
static int run_leg(void *arg)
{
    struct leg *leg = arg;
    int code = 0;
    do {
        code = live(leg);
    } while (leg->cut && !leg->retired && code != SL_ENOMEM && sl_checkpoint() == 0);
    if (leg->retired) { /* its end is what was wanted, also where it failed at the same moment: nobody starts it again */
        leg->ended = true;
        code = code == SL_ECANCELED ? code : 0;
    }
    return code;
}

/* Nobody restarts it any more: its place goes. */
void sl__stream_release_leg(void *arg)
{
    struct leg *leg = arg;
    struct shard *shard = leg->shard;
    for (struct leg **at = &shard->legs; *at != NULL; at = &(*at)->next) {
        if (*at == leg) {
            *at = leg->next;
            break;
        }
    }
    sl_stream_service *stream = shard->stream;
    const struct sl_connection_stats *stats = sl_connection_get_stats(leg->connection);
    stream->messages += stats->messages;
    stream->bytes += stats->bytes;
    stream->bad += stats->bad;
    stream->unknown += stats->unknown;
    stream->leg_count--;
    sl_connection_free(leg->connection);
    sl_free(leg);
}

static void name_leg(const struct leg *leg, char name[LEG_NAME])
{
    (void)snprintf(name, LEG_NAME, "connection %u", sl_connection_number(leg->connection));
}

static int spawn_leg(struct leg *leg)
{
    sl_stream_service *stream = leg->shard->stream;
    char name[LEG_NAME];
    name_leg(leg, name);
    leg->running = true;
    int code = sl_spawn(stream->scope, run_leg, leg, .name = name, .id = name, .restart = SL_ON_FAILURE,
                        .backoff = stream->options.backoff, .healthy_after = stream->options.stable_after,
                        .release = sl__stream_release_leg);
    leg->running = code == 0;
    return code;
}

int sl_stream_set_retry(sl_stream_service *stream, const struct sl_backoff *backoff, sl_time stable_after)
{
    stream->options.backoff = *backoff;
    stream->options.stable_after = stable_after;
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (const struct leg *leg = stream->shards[at]->legs; leg != NULL; leg = leg->next) {
            char name[LEG_NAME];
            name_leg(leg, name);
            int code = leg->running && stream->scope != NULL
                           ? sl_child_reschedule(stream->scope, name, backoff, stable_after)
                           : 0;
            SL_TRY(code == SL_ENOENT ? 0 : code);
        }
    }
    return 0;
}

int sl__stream_new_leg(struct shard *shard, struct leg **ret_leg)
{
    sl_stream_service *stream = shard->stream;
    const struct sl_stream_options *options = &stream->options;
    if (stream->leg_count >= SL_STREAM_CONNECTIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "%s: more than %d connections", options->name, SL_STREAM_CONNECTIONS_MAX);
    }
    struct leg *leg = sl_calloc(1, sizeof *leg);
    if (leg == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a connection");
    }
    leg->shard = shard;
    struct sl_connection_options connection = {
        .driver = options->driver,
        .instruments = options->instruments,
        .origin = options->origin,
        .number = ++stream->last_number,
        .tls = options->tls,
        .local_address = options->local_address == NULL ? NULL : options->local_address(options->arg),
        .proxy = options->proxy,
        .deflate = options->deflate,
        .silence = options->silence,
        .timeout = options->connect_timeout,
        .max_age = options->rotate,
        .message_bytes_max = options->message_bytes_max,
        .connects = options->connects,
        .compared = options->redundancy > 1,
        .not_healthy_at_once = options->stable_after != 0,
        .output = {.arg = leg, .event = on_event, .notice = on_notice, .expect = on_expected},
        .bad = on_bad,
        .frame = options->frame == NULL ? NULL : on_frame,
    };
    int code = sl_connection_new(&connection, &leg->connection);
    if (code < 0) {
        sl_free(leg);
        return code;
    }
    leg->next = shard->legs;
    shard->legs = leg;
    stream->leg_count++;
    *ret_leg = leg;
    return 0;
}

/* Its task may be between two lives, or not there yet: then it ends when it begins. */
void sl__stream_retire(struct leg *leg)
{
    leg->retired = true;
    if (leg->scope != NULL) {
        sl_connection_end(leg->connection, leg->scope, "retired");
    } else if (!leg->running) {
        sl__stream_release_leg(leg);
    }
}

/* ---- looking after them ---- */

/* A new leg beside one that is to end: it carries the same. */
static int begin_rotation(struct leg *old)
{
    struct leg *leg = NULL;
    SL_TRY(sl__stream_new_leg(old->shard, &leg));
    const sl_subscriptions *all = sl_connection_subscriptions(old->connection);
    for (size_t at = 0; at < sl_subscriptions_count(all); at++) {
        bool leaves = sl_subscriptions_leaves(all, at);
        int code = leaves ? 0 : sl_connection_add(leg->connection, sl_subscriptions_at(all, at, NULL));
        if (code < 0) {
            sl__stream_release_leg(leg);
            return code;
        }
    }
    old->replacement = sl_connection_number(leg->connection);
    old->replaced_at = sl_now();
    return spawn_leg(leg);
}

/* Whether a replacement brings all that the old one does: the venue may refuse it what brings nothing anyway. */
static bool is_as_good(const struct leg *old, const struct leg *other)
{
    if (sl_connection_get_stats(other->connection)->state == SL_CONNECTION_LIVE) {
        return true;
    }
    const sl_subscriptions *all = sl_connection_subscriptions(old->connection);
    for (size_t at = 0; at < sl_subscriptions_count(all); at++) {
        const sl_subscription *what = sl_subscriptions_at(all, at, NULL);
        if (sl__stream_carries_since(old, what) != SL_NEVER && sl__stream_carries_since(other, what) == SL_NEVER) {
            return false;
        }
    }
    return sl__stream_open_now(old) && sl__stream_open_now(other);
}

static const struct leg *leg_of(const struct shard *shard, uint32_t number)
{
    for (const struct leg *leg = shard->legs; leg != NULL; leg = leg->next) {
        if (sl_connection_number(leg->connection) == number) {
            return leg;
        }
    }
    return NULL;
}

/*
 * Make before break, one connection of the stream at a time: a venue that cuts all its connections at one age, or
 * asks all to leave, does not make all books be joined anew at once.
 */
static int rotate(sl_stream_service *stream)
{
    struct leg *next = NULL;
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (struct leg *leg = stream->shards[at]->legs; leg != NULL; leg = leg->next) {
            if (leg->retired) {
                continue;
            }
            if (leg->replacement != 0) {
                const struct leg *other = leg_of(leg->shard, leg->replacement);
                if (other == NULL) { /* gone meanwhile */
                    leg->replacement = 0;
                } else if (is_as_good(leg, other)) {
                    stream->rotations++;
                    sl__stream_retire(leg);
                    return 0;
                } else if (sl_now() - leg->replaced_at < ROTATION_PATIENCE) {
                    return 0;
                }
            } else if (next == NULL && sl_connection_get_stats(leg->connection)->replace && sl__stream_open_now(leg)) {
                next = leg;
            }
        }
    }
    if (next == NULL || sl_now() < stream->rotate_again) {
        return 0;
    }
    int code = begin_rotation(next);
    if (code < 0 && code != SL_ECANCELED) { /* what runs goes on: the venue may cut it, and that is told */
        stream->rotate_again = sl_time_add(sl_now(), ROTATION_RETRY);
        sl_log_with(SL_LOG_WARNING, "a connection could not be replaced in time",
                    sl_field_text("stream", stream->options.name), sl_field_code("code", code));
        code = 0;
    }
    return code;
}

/* Legs that were made while nobody could spawn them, and those that have ended for good. */
static int spawn_and_bury(sl_stream_service *stream)
{
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (struct leg *leg = stream->shards[at]->legs, *next = NULL; leg != NULL; leg = next) {
            next = leg->next;
            if (!leg->running && !leg->retired) {
                SL_TRY(spawn_leg(leg));
            } else if (leg->ended) {
                char name[LEG_NAME];
                name_leg(leg, name);
                int code = sl_child_remove(stream->scope, name); /* releases it */
                SL_TRY(code == SL_ERUNNING ? 0 : code);
            }
        }
    }
    return 0;
}

/*
 * Whether a feed says nothing although it usually does, or (where the configuration says how long it may) for too long.
 * A book says something with each change; how often that usually is nobody measures.
 */
static bool is_silent(const sl_stream_service *stream, const sl_instrument *instrument, unsigned slot, sl_time now)
{
    sl_subscription what = sl__stream_slot_what(stream, instrument, slot);
    sl_tracker_pulse pulse = sl_tracker_get_pulse(stream->tracker, instrument, what.feed, what.interval_ns);
    sl_time limit = stream->options.stale_after;
    if (what.feed == SL_FEED_DEPTH && stream->books != NULL) {
        pulse = (sl_tracker_pulse){.last = sl_books_last(stream->books, instrument), .events = 2};
        limit = limit == 0 ? SL_NEVER : limit;
    }
    if (limit == 0) {
        limit = pulse.usual * SL_STREAM_STALE_FACTOR;
        limit = limit < SL_STREAM_STALE_MIN ? SL_STREAM_STALE_MIN : limit;
        return pulse.events > 1 && now - pulse.last > limit;
    }
    return pulse.last != 0 && now - pulse.last > limit;
}

/* How many feeds say nothing although they usually do; the connection itself has its own watchdog. */
static void count_stale(sl_stream_service *stream, sl_time now)
{
    size_t stale = 0;
    for (size_t at = 0; at < stream->place_count; at++) {
        struct places *places = &stream->places[at];
        const sl_instrument *instrument = sl_instruments_at(stream->options.instruments, at);
        for (unsigned slot = 1; instrument != NULL && slot < sl__stream_slots(stream); slot++) {
            uint32_t bit = UINT32_C(1) << slot;
            bool silent =
                sl__stream_place_of(stream, instrument, slot) != 0 && is_silent(stream, instrument, slot, now);
            stream->stale_events += silent && (places->stale & bit) == 0;
            places->stale = silent ? places->stale | bit : places->stale & ~bit;
            stale += silent;
        }
    }
    stream->stale = stale;
}

static int sweep(sl_stream_service *stream)
{
    sl_time when = SL_NEVER;
    SL_TRY(spawn_and_bury(stream));
    SL_TRY(rotate(stream));
    SL_TRY(sl__stream_lock(stream));
    int code = sl_tracker_expire(stream->tracker, sl_now(), &when);
    (void)sl_mutex_unlock(&stream->mutex);
    SL_TRY(code);
    count_stale(stream, sl_now());
    SL_TRY(sl__stream_compare(stream));
    sl_event_reset(&stream->changed);
    sl_time wait = when == SL_NEVER || when - sl_now() > SL_STREAM_SWEEP ? SL_STREAM_SWEEP : when - sl_now();
    struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &stream->changed};
    code = sl_select(&clause, 1, wait < 1 ? 1 : wait);
    return code == SL_ETIMEDOUT ? 0 : code < 0 ? code : 0;
}

/* What was still waited for when all connections have ended is missing. */
static int tell_open_holes(sl_stream_service *stream)
{
    sl__stream_dismiss(stream); /* one may wait for a sink amid an event of the tracker */
    SL_SCOPE(shield, .name = "holes", .shield = true, .timeout = LOST_BUDGET);
    sl_time when = SL_NEVER;
    int code = sl__stream_lock(stream);
    if (code == 0) {
        code = sl_tracker_expire(stream->tracker, SL_NEVER - 1, &when);
        (void)sl_mutex_unlock(&stream->mutex);
    }
    return sl_scope_close(&shield, code);
}

int sl_stream_run(void *arg)
{
    sl_stream_service *stream = arg;
    SL_SCOPE(scope, .name = stream->options.name, .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED,
             .max_start_failures = SL_UNLIMITED);
    stream->scope = &scope;
    int code = 0;
    if (stream->books != NULL) {
        code = sl_spawn(&scope, sl_books_run, stream->books, .name = "books");
    }
    while (code == 0) {
        code = sweep(stream);
    }
    code = sl_scope_close(&scope, code);
    stream->scope = NULL;
    int told = tell_open_holes(stream);
    return code == 0 ? told : code;
}

/* ---- made, freed, seen ---- */

static int give(void *arg, const sl_market_event *event)
{
    const sl_stream_service *stream = arg;
    return stream->options.event(stream->options.arg, event);
}

static void renew(void *arg, const sl_instrument *instrument, uint32_t connection)
{
    if (!sl__stream_renew(arg, SL_FEED_DEPTH, instrument, connection)) {
        (void)sl__stream_renew(arg, SL_FEED_DEPTH, instrument, 0); /* that one is gone: on those that are there */
    }
}

int sl_stream_new(const struct sl_stream_options *options, sl_stream_service **ret_stream)
{
    if (options->redundancy > SL_STREAM_REDUNDANCY_MAX || options->event == NULL) {
        return sl_fail(SL_EINVAL, "%s: redundancy is 1 to %d", options->name, SL_STREAM_REDUNDANCY_MAX);
    }
    sl_auto(sl_stream_service) *stream = sl_calloc(1, sizeof *stream);
    if (stream == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a stream");
    }
    stream->options = *options;
    sl_mutex_init(&stream->mutex);
    stream->options.redundancy = options->redundancy == 0 ? 1 : options->redundancy;
    sl_event_init(&stream->changed);
    sl_event_init(&stream->resumed);
    sl_event_init(&stream->alone);
    sl_tracker_options tracker = {.consecutive_trades = options->driver->consecutive_trades,
                                  .trade_ranges = options->driver->trade_ranges,
                                  .patience =
                                      stream->options.redundancy > 1 ? SL_STREAM_PATIENCE : SL_STREAM_PATIENCE_ALONE,
                                  .arg = stream,
                                  .event = give};
    SL_TRY(sl_tracker_new(&tracker, &stream->tracker));
    if (options->driver->book_rule != SL_BOOK_RULE_NONE) {
        struct sl_books_options books = {.driver = options->driver,
                                         .instruments = options->instruments,
                                         .origin = options->rest_origin,
                                         .http = options->http,
                                         .depth = options->snapshot_depth,
                                         .priority = options->priority,
                                         .verify = options->verify,
                                         .patience = tracker.patience,
                                         .mutex = &stream->mutex,
                                         .arg = stream,
                                         .answer = options->answer,
                                         .answer_arg = options->arg,
                                         .failed = options->failed,
                                         .event = give,
                                         .renew = renew};
        SL_TRY(sl_books_new(&books, &stream->books));
    }
    *ret_stream = stream;
    stream = NULL;
    return 0;
}

void sl_stream_service_free(sl_stream_service *stream)
{
    if (stream == NULL) {
        return;
    }
    for (size_t at = 0; at < stream->shard_count; at++) {
        while (stream->shards[at]->legs != NULL) {
            sl__stream_release_leg(stream->shards[at]->legs);
        }
        sl_free(stream->shards[at]);
    }
    sl_free(stream->places);
    sl_free(stream->more);
    sl_books_free(stream->books);
    sl_tracker_free(stream->tracker);
    sl_free(stream);
}

struct sl_stream_stats sl_stream_get_stats(const sl_stream_service *stream)
{
    struct sl_stream_stats stats = {.subscriptions = stream->subscriptions,
                                    .stale = stream->stale,
                                    .stale_events = stream->stale_events,
                                    .unfollowed = stream->unfollowed,
                                    .muted = stream->muted,
                                    .reconnects = stream->reconnects,
                                    .rotations = stream->rotations,
                                    .connections = stream->leg_count,
                                    .messages = stream->messages,
                                    .bytes = stream->bytes,
                                    .bad = stream->bad,
                                    .unknown = stream->unknown};
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (const struct leg *leg = stream->shards[at]->legs; leg != NULL; leg = leg->next) {
            const struct sl_connection_stats *one = sl_connection_get_stats(leg->connection);
            stats.live += one->state == SL_CONNECTION_LIVE;
            const sl_subscriptions_stats *asked =
                sl_subscriptions_get_stats(sl_connection_subscriptions(leg->connection));
            stats.active += asked->count[SL_SUBSCRIPTION_ACTIVE];
            stats.refused += asked->count[SL_SUBSCRIPTION_REFUSED];
            stats.messages += one->messages;
            stats.bytes += one->bytes;
            stats.bad += one->bad;
            stats.unknown += one->unknown;
        }
    }
    return stats;
}

const sl_tracker *sl_stream_tracker(const sl_stream_service *stream)
{
    return stream->tracker;
}

const sl_books *sl_stream_books(const sl_stream_service *stream)
{
    return stream->books;
}
