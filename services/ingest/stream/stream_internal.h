/* SPDX-License-Identifier: MIT */
/* What the files of the stream service share. */
#ifndef SL_INGEST_STREAM_INTERNAL_H
#define SL_INGEST_STREAM_INTERNAL_H

#include "ingest/stream/stream.h"

struct shard;

/* One connection of a shard, with the task that runs it. */
struct leg {
    struct shard *shard;
    struct leg *next;
    sl_connection *connection;
    sl_scope *scope;      /* around its life; NULL between two */
    bool running;         /* its task was spawned: it frees the leg in the end */
    bool retired;         /* it is to end and not to come again */
    bool ended;           /* it has: its child is to be removed */
    bool cut;             /* this life was ended by hand: the next one follows at once */
    uint32_t replacement; /* the number of the connection that takes its place; 0: none */
    sl_time replaced_at;  /* since when it is to */
};

/* Subscriptions that go together, on `redundancy` connections. */
struct shard {
    sl_stream_service *stream;
    struct leg *legs;
    sl_subscription like; /* the first: others must be able to share a connection with it */
    size_t count;
    size_t bytes; /* of their names, where the venue counts them */
};

/* A feed of an instrument, and each further length of candles, has a slot: the feed's number, then from the last feed on. */
#define SL_STREAM_SLOTS (SL_FEED_COUNT + SL_STREAM_LENGTHS - 1)
_Static_assert(SL_STREAM_SLOTS <= 32, "which slots are stale are bits of one word");

/* Where an instrument's feeds are; of candles those of the first length. */
struct places {
    uint16_t shard[SL_FEED_COUNT]; /* number from 1; 0: not subscribed */
    uint32_t stale;                /* bits of the slots that are */
};

/* And candles of the further lengths. */
struct more_places {
    uint16_t shard[SL_STREAM_LENGTHS - 1];
};

struct sl_stream_service {
    struct sl_stream_options options;
    sl_scope *scope; /* while it runs */
    sl_event changed;
    bool paused; /* connections are not made */
    sl_event resumed;
    sl_mutex mutex; /* around the tracker and what it gives out; the books' too */
    sl_tracker *tracker;
    sl_books *books; /* NULL: the venue has none */
    struct shard *shards[SL_STREAM_CONNECTIONS_MAX];
    size_t shard_count;
    size_t leg_count;
    struct places *places;
    struct more_places *more; /* NULL: candles have one length, or none */
    size_t place_count;
    int64_t lengths[SL_STREAM_LENGTHS]; /* of candles */
    unsigned length_count;
    size_t subscriptions;
    size_t stale;
    uint32_t last_number;
    sl_time rotate_again; /* no connection is replaced before */
    struct sl__stream_visit *visits;
    sl_event alone;      /* the last of them has left */
    bool closing;        /* nobody is let in any more */
    sl_time compared_at; /* connections with each other */
    uint64_t reconnects, rotations, stale_events, unfollowed, muted;
    uint64_t messages, bytes, bad, unknown; /* of connections that are gone */
    char scratch[4096];
};

/* stream.c. What is given out may wait for a sink, and all connections share the sequence: one after the other. */
int sl__stream_lock(sl_stream_service *stream);
/* One more connection of a shard, not running yet; one that is to end; one that is no more. */
int sl__stream_new_leg(struct shard *shard, struct leg **ret_leg);
void sl__stream_retire(struct leg *leg);
void sl__stream_release_leg(void *leg);
bool sl__stream_open_now(const struct leg *leg);

/* Since when a leg has carried a subscription; SL_NEVER: it does not. */
sl_time sl__stream_carries_since(const struct leg *leg, const sl_subscription *what);

/*
 * stream_compare.c. Subscriptions that are silent on one connection while others bring events are made anew there, and books
 * made of its messages taken from another. 0, or what `event` returned. May wait for a sink.
 */
SL_MUST_CHECK int sl__stream_compare(sl_stream_service *stream);

/* Whether a leg brings nothing of a subscription although another one, which has now ended, did. */
bool sl__stream_is_mute(const struct leg *leg, const struct leg *ended, const sl_subscription *what);

/* stream_steer.c. Waits while the stream is paused. 0, SL_ECANCELED. */
SL_MUST_CHECK int sl__stream_wait_resumed(struct leg *leg);

/* Somebody from outside of what runs here: a view, an action, another service. */
struct sl__stream_visit {
    sl_scope scope;
    struct sl__stream_visit *next;
};

/*
 * Does what may wait for a sink, with the lock held, for somebody from outside. What `act` returned; SL_ECLOSED: the stream
 * ends. Cancellation point.
 */
SL_MUST_CHECK int sl__stream_visit(sl_stream_service *stream, int (*act)(sl_stream_service *stream, void *arg),
                                   void *arg);

/* Who visits now leaves with SL_ECLOSED. Waits for them, also when cancelled. */
void sl__stream_dismiss(sl_stream_service *stream);

/* The number of the shard that a feed of an instrument is on (of candles: the first length), from 1; 0: not followed. */
static inline unsigned sl__stream_place(const sl_stream_service *stream, const sl_instrument *instrument, sl_feed feed)
{
    return instrument->index < stream->place_count ? stream->places[instrument->index].shard[feed] : 0;
}

/* All slots in use are below it. */
static inline unsigned sl__stream_slots(const sl_stream_service *stream)
{
    return SL_FEED_COUNT + (stream->length_count > 1 ? stream->length_count - 1 : 0);
}

/* stream_set.c. The slot of a feed, and of candles of a length; SL_STREAM_SLOTS: of a length that nobody wants. */
unsigned sl__stream_slot(const sl_stream_service *stream, sl_feed feed, int64_t interval_ns);

/* stream_set.c. What a slot is of an instrument, without its depth. */
sl_subscription sl__stream_slot_what(const sl_stream_service *stream, const sl_instrument *instrument, unsigned slot);

/* stream_set.c. As sl__stream_place(), of a slot. */
unsigned sl__stream_place_of(const sl_stream_service *stream, const sl_instrument *instrument, unsigned slot);

/* Leaves and subscribes again on one connection, or (0) on each that carries it. False: it is not subscribed. */
bool sl__stream_renew(sl_stream_service *stream, sl_feed feed, const sl_instrument *instrument, uint32_t connection);

#endif
