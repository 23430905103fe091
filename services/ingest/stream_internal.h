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
    uint32_t replacement; /* the number of the connection that takes its place; 0: none */
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
    uint64_t reconnects, rotations, stale_events;
    uint64_t messages, bytes, bad, unknown; /* of connections that are gone */
    char scratch[4096];
};

/* Leaves and subscribes again on one connection, or (0) on each that carries it. False: it is not subscribed. */
bool sl__stream_renew(sl_stream_service *stream, sl_feed feed, const sl_instrument *instrument, uint32_t connection);

#endif
