/* SPDX-License-Identifier: MIT */
/* What the files of the stream service share. */
#ifndef SL_INGEST_STREAM_INTERNAL_H
#define SL_INGEST_STREAM_INTERNAL_H

#include "ingest/stream.h"

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

/* Where an instrument's feeds are. */
struct places {
    uint16_t shard[SL_FEED_COUNT]; /* number from 1; 0: not subscribed */
    unsigned stale;                /* SL_FEED_BIT() of those that are */
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
    size_t place_count;
    size_t subscriptions;
    size_t stale;
    uint32_t last_number;
    sl_time rotate_again; /* no connection is replaced before */
    struct sl__stream_visit *visits;
    sl_event alone; /* the last of them has left */
    bool closing;   /* nobody is let in any more */
    uint64_t reconnects, rotations, stale_events, unfollowed;
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

/* stream_set.c. The number of the shard that a feed of an instrument is on, from 1; 0: it is not followed. */
static inline unsigned sl__stream_place(const sl_stream_service *stream, const sl_instrument *instrument, sl_feed feed)
{
    return instrument->index < stream->place_count ? stream->places[instrument->index].shard[feed] : 0;
}

/* Leaves and subscribes again on one connection, or (0) on each that carries it. False: it is not subscribed. */
bool sl__stream_renew(sl_stream_service *stream, sl_feed feed, const sl_instrument *instrument, uint32_t connection);

#endif
