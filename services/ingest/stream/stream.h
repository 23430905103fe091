/* SPDX-License-Identifier: MIT */
/*
 * A venue's streams for any number of instruments: subscriptions split over connections within the venue's limits,
 * each connection supervised and, if asked for, doubled (the first copy of each event wins), renewed before the
 * venue cuts it, books joined and healed. What comes out is one clean sequence of events for each instrument, with
 * every loss told as a gap.
 */
#ifndef SL_INGEST_STREAM_H
#define SL_INGEST_STREAM_H

#include "ingest/stream/books.h"
#include "ingest/stream/connection.h"
#include "market/tracker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Lengths of candles in one stream. */
#define SL_STREAM_LENGTHS 16

/* Connections of one stream, and how many may carry the same subscriptions. */
#define SL_STREAM_CONNECTIONS_MAX 4096
#define SL_STREAM_REDUNDANCY_MAX 3

/* How long a hole waits for what fills it: a message that was overtaken; with redundancy another connection's copy. */
#define SL_STREAM_PATIENCE_ALONE SL_MILLISECONDS(100)
#define SL_STREAM_PATIENCE SL_SECONDS(2)

/* A feed that is silent for so many times its usual interval, and at least for so long, is stale. */
#define SL_STREAM_STALE_FACTOR 20
#define SL_STREAM_STALE_MIN SL_SECONDS(30)

/*
 * Connections that carry the same are compared so often. A subscription that brought nothing for so long at least, while
 * another connection brought so many events of it, is made anew where it is silent; each time that did not help twice as long
 * is waited before the next. In a quiet market no connection brings anything.
 */
#define SL_STREAM_COMPARE SL_SECONDS(5)
#define SL_STREAM_MUTE_MIN SL_SECONDS(15)
#define SL_STREAM_MUTE_EVENTS 3

/* How often connections are looked at. */
#define SL_STREAM_SWEEP SL_SECONDS(1)

typedef struct sl_stream_service sl_stream_service;

/* Texts and objects are borrowed and must outlive the service. */
struct sl_stream_options {
    const char *name;
    const sl_venue_driver *driver;
    sl_instruments *instruments;
    const char *origin;      /* of the streams; NULL: the venue's own */
    unsigned redundancy;     /* connections for each subscription: 1 to SL_STREAM_REDUNDANCY_MAX; 0: 1 */
    uint32_t per_connection; /* subscriptions; 0: as many as the venue allows */
    sl_tls_config *tls;      /* NULL: the default */
    const char *proxy;
    bool deflate;
    sl_time silence;           /* 0: the venue's */
    sl_time connect_timeout;   /* 0: SL_CONNECTION_TIMEOUT */
    sl_time rotate;            /* the age at which a connection is replaced; 0: by the venue's limit */
    size_t message_bytes_max;  /* 0: SL_VENUE_MESSAGE_DEFAULT_BYTES */
    sl_time stale_after;       /* a feed that says nothing for so long is stale; 0: see SL_STREAM_STALE_FACTOR */
    int priority;              /* enum sl_priority: of requests for snapshots, at the limit */
    struct sl_backoff backoff; /* between two attempts to connect */
    sl_time stable_after;      /* one that lasted so long begins them afresh; 0: its first message does */
    sl_limiter *connects;      /* shared by all connections to the venue; may be NULL */
    sl_http_client *http;      /* for snapshots of books */
    const char *rest_origin;   /* NULL: the venue's own */
    uint32_t snapshot_depth;   /* levels that are asked for; 0: the venue's best bargain */
    sl_time verify;            /* books are compared with a new snapshot so often; 0: never */
    void *arg;
    int (*event)(void *arg, const sl_market_event *event); /* may wait: one call at a time */
    int (*bad)(void *arg, const struct sl_bad_message *message);
    /* A request for a snapshot of a book failed; see sl_books_options. May be NULL. Must not wait. */
    void (*failed)(void *arg, const sl_instrument *instrument, const sl_venue_message *answer, int code,
                   const char *problem);
    int (*frame)(void *arg, const sl_connection *connection, const char *text, size_t size_bytes,
                 int64_t receive_time_ns);
    /* For recordings, too: the answer to a request for a snapshot, before it is used; what an ended connection carried. */
    int (*answer)(void *arg, const char *url, const char *text, size_t size_bytes, int64_t receive_time_ns);
    /* The address that the next connection comes from; NULL, or what gives NULL: the system's choice. */
    const char *(*local_address)(void *arg);
    int (*lost)(void *arg, const sl_connection *connection, const sl_subscription *what, bool last);
};

struct sl_stream_stats {
    size_t connections, live; /* now */
    size_t subscriptions;
    size_t active;       /* of them, counted on each connection: the venue sends them, as far as is known */
    size_t refused;      /* likewise: the venue will not have them */
    size_t stale;        /* feeds of instruments, now */
    uint64_t reconnects; /* connections that ended and were made anew */
    uint64_t rotations;  /* connections replaced before they ended */
    uint64_t messages, bytes, bad, unknown;
    uint64_t stale_events; /* times a feed turned stale */
    uint64_t muted;        /* times one was silent on one connection alone, and was made anew there */
    uint64_t unfollowed;   /* events of what had been left, but the venue had not heard of it yet */
};

/* Does not wait. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_stream_new(const struct sl_stream_options *options, sl_stream_service **ret_stream);

/*
 * When it runs no more and is to be freed: whoever still waits in a call from outside (positions, a resync) leaves it with
 * SL_ECLOSED, and so does whoever comes later. Waits for them, also when cancelled: they cannot wait for a sink any more.
 */
void sl_stream_service_close(sl_stream_service *stream);

/* Not while it runs, nor while anybody waits in it: see sl_stream_service_close(). NULL is fine. */
void sl_stream_service_free(sl_stream_service *stream);
SL_AUTO_DECLARE(sl_stream_service, sl_stream_service_free)

/*
 * Subscribes to one more, running or not: 1, or 0 when it is there (one subscription for each feed of an instrument, and
 * each length of its candles). SL_EINVAL for a feed that the venue does not stream, SL_EMSGSIZE beyond the limits, SL_ENOMEM.
 * Does not wait.
 */
SL_MUST_CHECK int sl_stream_add(sl_stream_service *stream, const sl_subscription *what);

/* All that a stream is to follow from now on. */
struct sl_stream_wanted {
    const sl_subscription *all; /* one for each feed of an instrument, and length of candles; borrowed for the call */
    size_t count;
    /* Whether another replica follows the instrument now: what is left is no loss then. NULL: nobody does. */
    bool (*elsewhere)(void *arg, const sl_instrument *instrument);
    void *arg;
};

struct sl_stream_change {
    size_t added, left;
};

/*
 * Makes what is followed this set, running or not: what is not in it is left (its book is closed, and that nothing more
 * comes is told as a gap, an end of its listing as its status), what is new is subscribed, nothing else is touched. The
 * venue hears of it as fast as its limits allow; see sl_stream_each_pending(). Call it again with the same set when it fails.
 * 0; what `event` returned; as sl_stream_add(): what could be done is done. May wait for a sink. `ret_change` may be NULL.
 */
SL_MUST_CHECK int sl_stream_set(sl_stream_service *stream, const struct sl_stream_wanted *wanted,
                                struct sl_stream_change *ret_change);

/* Whether any feed of it is followed. */
bool sl_stream_follows(const sl_stream_service *stream, const sl_instrument *instrument);

/*
 * Calls `look` for each subscription that does not bring all yet: not every connection that is to carry it has the venue's
 * word, or its book is not whole. One that the venue refused for good is not among them.
 */
void sl_stream_each_pending(const sl_stream_service *stream, void (*look)(void *arg, const sl_subscription *what),
                            void *arg);

/*
 * Since when a connection that began to bring it no earlier than `after` has done so without a break, by the venue's word;
 * SL_NEVER while none does. Does not wait.
 */
sl_time sl_stream_carried_since(const sl_stream_service *stream, const sl_subscription *what, sl_time after);

/*
 * How far the feeds are that can lose something (trades, books, liquidations): for each that has begun, or goes on from
 * somewhere, the last id before which nothing is waited for, 0 where there are no ids. 0, SL_ECANCELED, SL_ECLOSED. May wait
 * for a sink.
 */
SL_MUST_CHECK int
sl_stream_positions(sl_stream_service *stream,
                    void (*look)(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id), void *arg);

/*
 * How far a feed was when somebody followed it last. What happened between that and what came first here is told as a gap
 * (SL_GAP_RESTARTED), at once or with the first event. `seamless`: that one ended only after this one had begun; only ids
 * that prove otherwise are told then. 0, or what `event` returned, SL_ENOMEM. May wait for a sink.
 */
SL_MUST_CHECK int sl_stream_resume(sl_stream_service *stream, const sl_instrument *instrument, sl_feed feed, int64_t id,
                                   bool seamless);

/* Runs until it is cancelled: a task's body (argument: the service). Failures of connections are its own business. */
SL_MUST_CHECK int sl_stream_run(void *stream);

/*
 * Makes a book anew, or a feed's subscription, as if it had been found wrong: 1, or 0 when there is none. SL_ECANCELED,
 * SL_ECLOSED. May wait for a sink.
 */
SL_MUST_CHECK int sl_stream_resync(sl_stream_service *stream, sl_feed feed, const sl_instrument *instrument);

/*
 * All connections end and are not made anew until it goes on: what passes meanwhile is told as for any other loss. Running
 * or not; does not wait.
 */
void sl_stream_pause(sl_stream_service *stream, bool paused);

/* All connections end and are made anew at once; what the venue refused is asked for again. Does not wait. */
void sl_stream_restart(sl_stream_service *stream);

/* Other waits between attempts to connect, as in the options, for the connections that are there as well. Does not wait. */
SL_MUST_CHECK int sl_stream_set_retry(sl_stream_service *stream, const struct sl_backoff *backoff,
                                      sl_time stable_after);

/* How an instrument stands: SL_FEED_BIT() of the feeds that are followed, and of those that are stale; its book. */
struct sl_stream_place {
    unsigned feeds, stale;
    const sl_book *book; /* NULL: none; borrowed until the next event */
    bool book_stale;     /* it has one, or is to have one, and it is not whole */
};
struct sl_stream_place sl_stream_look(const sl_stream_service *stream, const sl_instrument *instrument);

struct sl_stream_stats sl_stream_get_stats(const sl_stream_service *stream);
const sl_tracker *sl_stream_tracker(const sl_stream_service *stream);
const sl_books *sl_stream_books(const sl_stream_service *stream); /* NULL: the venue has none */

#ifdef __cplusplus
}
#endif

#endif
