/* SPDX-License-Identifier: MIT */
/*
 * The order books of a venue's instruments: each kept by the venue's rule, joined with REST snapshots that queue
 * through the limiter, healed one by one while the old book is served as stale.
 */
#ifndef SL_INGEST_BOOKS_H
#define SL_INGEST_BOOKS_H

#include "market/book.h"
#include "sluice/fetch.h"
#include "sluice/sync.h"
#include "venues/venue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Requests for snapshots that may be on their way at once. */
#define SL_BOOKS_FETCHERS 8

/* How long one may take, retries not counted. */
#define SL_BOOKS_SNAPSHOT_TIMEOUT SL_SECONDS(30)

/* Books that are compared with a snapshot at once, and how long one may take. */
#define SL_BOOKS_SHADOWS 4
#define SL_BOOKS_SHADOW_TIME SL_SECONDS(60)

typedef struct sl_books sl_books;

/* Texts and objects are borrowed and must outlive the books. */
struct sl_books_options {
    const sl_venue_driver *driver;
    sl_instruments *instruments;
    const char *origin;   /* of REST; NULL: the venue's own */
    sl_http_client *http; /* asks for snapshots: NULL only where the venue sends them in the stream */
    uint32_t depth;       /* levels of a snapshot that is asked for; 0: the venue's best bargain */
    int priority;         /* enum sl_priority: of the requests, at the limit */
    sl_time verify;       /* each book is compared with a new snapshot so often; 0: never */
    sl_time patience;     /* with redundancy: how long a missing message may still come by another connection */
    void *arg;
    /* Held while anything is done to a book: what `event` is given to may wait, and connections share books. */
    sl_mutex *mutex;
    /* Changes as they were applied, snapshots, gaps: in order for each instrument. May wait. */
    int (*event)(void *arg, const sl_market_event *event);
    /* Each answer before it is used, for recordings; may be NULL. May wait. With the mutex held. */
    int (*answer)(void *arg, const char *url, const char *text, size_t size_bytes, int64_t receive_time_ns);
    void *answer_arg; /* of this and the next */
    /*
     * A request for a snapshot failed, and is made again later: why (in the words of sl_books_stats.problem), and the answer, whose
     * text is NULL when none came. May be NULL. Must not wait.
     */
    void (*failed)(void *arg, const sl_instrument *instrument, const sl_venue_message *answer, int code,
                   const char *problem);
    /* Have the stream's subscription made anew on this connection (0: on each). Must not wait. */
    void (*renew)(void *arg, const sl_instrument *instrument, uint32_t connection);
};

struct sl_books_stats {
    size_t books, stale, waiting; /* now; waiting: for a snapshot */
    uint64_t applied, repeated, gaps, healed, snapshots, snapshot_failures, crossed, checksum_failures;
    uint64_t verified, different; /* compared with a snapshot; of them found to be another book */
    char problem[160];            /* the last failure of a snapshot */
};

/* Does not wait. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_books_new(const struct sl_books_options *options, sl_books **ret_books);
void sl_books_free(sl_books *books);
SL_AUTO_DECLARE(sl_books, sl_books_free)

/* A change of a book is about to come: see sl_book_prefetch(). Changes nothing. */
void sl_books_prefetch(const sl_books *books, const sl_instrument *instrument);

/* A delta or a snapshot came by a connection. 0, or SL_ENOMEM, or what `event` returned. With the mutex held. */
SL_MUST_CHECK int sl_books_event(sl_books *books, const sl_market_event *event, sl_time now);

/* A connection that carried the instrument's book is lost; `last`: no other one carries it. With the mutex held. */
SL_MUST_CHECK int sl_books_lost(sl_books *books, const sl_instrument *instrument, uint32_t connection, bool last,
                                sl_time now);

/* Asks for a new snapshot or subscription, whatever the state: the book is stale until then. False: there is none. With
 * the mutex held. */
bool sl_books_resync(sl_books *books, const sl_instrument *instrument);

/* Forgets the book of an instrument that is not followed any more. With the mutex held, or before anything runs. */
void sl_books_remove(sl_books *books, const sl_instrument *instrument);

/*
 * How far the book was when somebody kept it last (0: there are no ids), as sl_tracker_resume(). The new snapshot covers
 * what is missing: the gap is told as healed. 0, what `event` returned, SL_ENOMEM. With the mutex held.
 */
SL_MUST_CHECK int sl_books_resume(sl_books *books, const sl_instrument *instrument, int64_t id, bool seamless,
                                  int64_t wall_ns);

/*
 * Somebody else goes on with the book: a restart whose first snapshot has not come is told, up to where nobody knows, unless
 * ids will tell it there. 0, or what `event` returned. With the mutex held.
 */
SL_MUST_CHECK int sl_books_left(sl_books *books, const sl_instrument *instrument, int64_t wall_ns);

/* The last id that was applied, here or (while there is no book) before; 0 where there are none. False: nothing is known. */
bool sl_books_position(const sl_books *books, const sl_instrument *instrument, int64_t *ret_id);

/*
 * Fetches the snapshots that are wanted, and tells holes whose patience is over, until it is cancelled: a task's body
 * (argument: the books). Takes the mutex itself.
 */
SL_MUST_CHECK int sl_books_run(void *books);

/* The book of an instrument, NULL while there is none; whether it is stale. Borrowed until the next event. */
const sl_book *sl_books_find(const sl_books *books, const sl_instrument *instrument, bool *ret_stale);

/* When the stream said something of the instrument's book last, sl_now(); 0: never. */
sl_time sl_books_last(const sl_books *books, const sl_instrument *instrument);

const struct sl_books_stats *sl_books_get_stats(const sl_books *books);

#ifdef __cplusplus
}
#endif

#endif
