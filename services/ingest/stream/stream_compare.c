/* SPDX-License-Identifier: MIT */
/*
 * Connections that carry the same, compared: a venue may stop sending one stream of one instrument on one connection that
 * is alive otherwise. Nothing is lost while another one brings it, but nobody would notice until that one ends, too.
 * See SL_STREAM_COMPARE.
 */
#include "ingest/stream/stream_internal.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"

/* What is made anew at a time; the rest is found by the next comparison. */
#define MUTE_MAX 32
#define RENEWALS_MAX 6

_Static_assert(SL_STREAM_MUTE_EVENTS <= SL_SUBSCRIPTION_LAST,
               "as many are remembered as tell that another one is mute");

/* What is silent on one leg. By numbers: whatever waits for a sink may find that it is gone. */
struct mute {
    unsigned shard; /* from 1 */
    uint32_t connection;
    sl_subscription what;
    sl_time since; /* it has brought nothing */
    bool alone;    /* nor has any other connection all the time */
};

struct mutes {
    struct mute list[MUTE_MAX];
    size_t count;
};

/* Since when a leg has brought nothing of it although it carries it; SL_NEVER: it does not carry it. */
static sl_time silent_since(const struct leg *leg, const sl_subscription *what,
                            const struct sl_subscription_heard *heard)
{
    sl_time active = sl__stream_carries_since(leg, what);
    return active == SL_NEVER || active > heard->last[0] ? active : heard->last[0];
}

/* The most that any leg brought of it since the last comparison. */
static uint32_t most_heard(const struct shard *shard, const sl_subscription *what)
{
    uint32_t most = 0;
    for (const struct leg *leg = shard->legs; leg != NULL; leg = leg->next) {
        const struct sl_subscription_heard *heard = sl_connection_heard(leg->connection, what);
        most = heard != NULL && heard->events > most ? heard->events : most;
    }
    return most;
}

static bool is_mute_now(const struct leg *leg, const sl_subscription *what, struct sl_subscription_heard *heard,
                        uint32_t most)
{
    const sl_stream_service *stream = leg->shard->stream;
    sl_time since = silent_since(leg, what, heard);
    if (heard->events > 0 || since == SL_NEVER) {
        heard->renewals = heard->events > 0 ? 0 : heard->renewals;
        heard->missed = 0;
        heard->told = heard->told && heard->events == 0;
        return false;
    }
    if (since <= stream->compared_at) { /* it could have brought all that the others did since */
        heard->missed += most;
    }
    return heard->missed >= SL_STREAM_MUTE_EVENTS && sl_now() - since >= SL_STREAM_MUTE_MIN << heard->renewals;
}

/* Whether another leg has carried it all the time since then. */
static bool others_carried(const struct leg *mute, const sl_subscription *what, sl_time since)
{
    for (const struct leg *leg = mute->shard->legs; leg != NULL; leg = leg->next) {
        const struct sl_subscription_heard *heard = sl_connection_heard(leg->connection, what);
        if (leg != mute && heard != NULL && sl__stream_carries_since(leg, what) <= since) {
            return true;
        }
    }
    return false;
}

/* One subscription, on all legs of its shard. */
static void compare_one(const struct shard *shard, unsigned number, const sl_subscription *what, struct mutes *mutes)
{
    uint32_t most = most_heard(shard, what);
    for (const struct leg *leg = shard->legs; leg != NULL; leg = leg->next) {
        struct sl_subscription_heard *heard = sl_connection_heard(leg->connection, what);
        if (heard == NULL) {
            continue;
        }
        if (is_mute_now(leg, what, heard, most) && !leg->retired && mutes->count < MUTE_MAX) {
            sl_time since = silent_since(leg, what, heard);
            bool alone = !heard->told && !others_carried(leg, what, since);
            mutes->list[mutes->count++] =
                (struct mute){number, sl_connection_number(leg->connection), *what, since, alone};
            heard->told = false; /* it begins anew: what others do not bring either from then on is another loss */
            heard->renewals += heard->renewals < RENEWALS_MAX;
            heard->missed = 0;
        }
        heard->events = 0;
    }
}

static void compare_all(const sl_stream_service *stream, struct mutes *mutes)
{
    for (unsigned number = 1; number <= stream->shard_count; number++) {
        const struct shard *shard = stream->shards[number - 1];
        const struct leg *first = shard->legs;
        if (first == NULL || first->next == NULL) {
            continue;
        }
        const sl_subscriptions *all = sl_connection_subscriptions(first->connection); /* each has the same */
        for (size_t at = 0; at < sl_subscriptions_count(all); at++) {
            compare_one(shard, number, sl_subscriptions_at(all, at, NULL), mutes);
        }
    }
}

/* As for any other loss, with the lock held: to the book or the tracker, and to recordings. */
static int tell(sl_stream_service *stream, const struct mute *mute, bool book)
{
    const sl_subscription *what = &mute->what;
    SL_TRY(book ? sl_books_lost(stream->books, what->instrument, mute->connection, false, sl_now())
                : sl_tracker_lost(stream->tracker, what->instrument, what->feed, mute->since, sl_now_wall()));
    const struct leg *leg = stream->shards[mute->shard - 1]->legs;
    while (leg != NULL && sl_connection_number(leg->connection) != mute->connection) {
        leg = leg->next;
    }
    return leg == NULL || stream->options.lost == NULL
               ? 0
               : stream->options.lost(stream->options.arg, leg->connection, what, !book);
}

/* A book that is made of the silent one's messages goes on with another's; then the silent one begins anew. */
static int renew(sl_stream_service *stream, const struct mute *mute)
{
    const sl_instrument *instrument = mute->what.instrument;
    stream->muted++;
    sl_log_with(SL_LOG_WARNING,
                "a connection brings nothing of a stream that another one brings: it is subscribed anew",
                sl_field_text("stream", stream->options.name), sl_field_text("instrument", instrument->name),
                sl_field_text("feed", sl_feed_name(mute->what.feed)), sl_field_uint("connection", mute->connection));
    bool book = mute->what.feed == SL_FEED_DEPTH && stream->books != NULL;
    if (book || mute->alone) {
        SL_TRY(sl__stream_lock(stream));
        int code = tell(stream, mute, book);
        (void)sl_mutex_unlock(&stream->mutex);
        SL_TRY(code);
    }
    (void)sl__stream_renew(stream, mute->what.feed, instrument, mute->connection);
    return 0;
}

int sl__stream_compare(sl_stream_service *stream)
{
    struct mutes mutes = {.count = 0};
    if (stream->options.redundancy < 2 || sl_now() - stream->compared_at < SL_STREAM_COMPARE) {
        return 0;
    }
    compare_all(stream, &mutes);
    stream->compared_at = sl_now();
    for (size_t at = 0; at < mutes.count; at++) {
        SL_TRY(renew(stream, &mutes.list[at]));
    }
    return 0;
}

bool sl__stream_is_mute(const struct leg *leg, const struct leg *ended, const sl_subscription *what)
{
    struct sl_subscription_heard *heard = sl_connection_heard(leg->connection, what);
    const struct sl_subscription_heard *other = sl_connection_heard(ended->connection, what);
    if (heard == NULL || other == NULL) {
        return false;
    }
    sl_time since = silent_since(leg, what, heard);
    bool mute = since != SL_NEVER && other->last[SL_STREAM_MUTE_EVENTS - 1] >= sl_time_add(since, SL_STREAM_PATIENCE);
    if (mute) { /* nobody is left to be compared with: it will be made anew all the same */
        heard->told = true;
        heard->missed = SL_STREAM_MUTE_EVENTS;
        heard->events = 0; /* they came before */
    }
    return mute;
}
