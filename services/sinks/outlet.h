/* SPDX-License-Identifier: MIT */
/*
 * An outlet: a sink with all that is the same for every kind of sink around it. Its own bounded queue and what happens
 * when that is full, batches, retries while the sink is away, the spool on disk, draining, and the figures.
 *
 *     feed -> sl_fanout_write() -> queue -> batch -> the driver's write()
 *                                    `-> spool on disk ->'
 *
 * Events leave in the order in which they came, each stamped; every event ends in exactly one of the figures of
 * sl_outlet_stats. What the driver's write() has taken, and what is in the spool, survives the process; what only lies
 * in the queue does not, because feeds cannot be asked to repeat.
 *
 * A sink that is slow or away never makes the feed or other sinks wait, with two exceptions that are the operator's
 * choice: SL_FULL_BLOCK makes the feed (and so the other sinks' supply) wait for room, by definition; SL_FULL_SPOOL waits for the local disk,
 * but not longer than SL_OUTLET_DISK_PATIENCE, then it drops until the disk is back.
 *
 * All calls are for one runtime's thread.
 */
#ifndef SLUICE_SINKS_OUTLET_H
#define SLUICE_SINKS_OUTLET_H

#include "sinks/sink.h"
#include "sinks/spool.h"
#include "sluice/histogram.h"
#include "sluice/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to an event for which the queue has no room. */
typedef enum sl_when_full {
    SL_FULL_BLOCK = 0,   /* the feed waits */
    SL_FULL_SPOOL,       /* the queue goes to disk; also as soon as the sink is away */
    SL_FULL_DROP_OLDEST, /* an eighth of the queue is dropped, the oldest of it, and counted */
    SL_FULL_CONFLATE,    /* states that a later one overtakes are left out; then as DROP_OLDEST */
    SL_FULL_COUNT,
} sl_when_full;

#define SL_OUTLET_NAME_MAX 64
#define SL_OUTLET_QUEUE_DEFAULT_BYTES ((size_t)16 << 20)
#define SL_OUTLET_QUEUE_MIN_BYTES ((size_t)4096)
#define SL_OUTLET_QUEUE_MAX_BYTES ((size_t)4 << 30)
#define SL_OUTLET_QUEUE_DEFAULT_EVENTS ((size_t)1 << 18)
#define SL_OUTLET_QUEUE_MAX_EVENTS ((size_t)1 << 26)
#define SL_OUTLET_BATCH_DEFAULT_EVENTS ((size_t)5000)
#define SL_OUTLET_BATCH_DEFAULT_BYTES ((size_t)1 << 20)
#define SL_OUTLET_BATCH_DEFAULT_AGE SL_MILLISECONDS(200)
#define SL_OUTLET_WRITE_TIMEOUT SL_SECONDS(30)
#define SL_OUTLET_DRAIN SL_SECONDS(10)
#define SL_OUTLET_CLOSE_BUDGET SL_SECONDS(5)
#define SL_OUTLET_DISK_PATIENCE SL_SECONDS(1)

/* All zero but `name`: the defaults. */
typedef struct sl_outlet_options {
    const char *name;    /* for people and figures; copied, up to SL_OUTLET_NAME_MAX - 1 bytes */
    size_t queue_bytes;  /* rounded up to a power of two; an event larger than half of it is dropped */
    size_t queue_events; /* 1 to SL_OUTLET_QUEUE_MAX_EVENTS */
    sl_when_full when_full;
    size_t batch_events;     /* a batch is written when it has so many events, */
    size_t batch_bytes;      /* or so many bytes, */
    sl_time batch_age;       /* or when its first event has waited for so long */
    sl_time write_timeout;   /* of one batch, for drivers that are not blocking; SL_NEVER: none */
    struct sl_backoff retry; /* between attempts to reach the sink; its zeros are scope.h's defaults */
    sl_time drain;           /* after sl_outlet_end() what is left may take so long; SL_NEVER: for ever */
    sl_spool_options spool;  /* SL_FULL_SPOOL: folder is required */
    unsigned feeds;          /* SL_FEED_BIT() of what it takes: others never reach its queue; 0: all */
    /* Is told of an event that the store will never take, and why. Must not wait. NULL: nobody is. */
    void (*refused)(void *arg, const sl_market_event *event, sl_stamp stamp, const char *reason);
    void *refused_arg;
    uint64_t run; /* of the stamps; 0: the time. Who gives the same events again may give them the same */
} sl_outlet_options;

/*
 * At any time received == written + repeated + skipped + refused + unreadable + the drops + conflated + queued +
 * in_batch + spooled, but for what an earlier life of the program left in the spool: recovered counts that.
 */
typedef struct sl_outlet_stats {
    uint64_t run; /* of this life's stamps */
    uint64_t received;
    uint64_t recovered;                           /* events of an earlier life that were read from the spool */
    uint64_t written, repeated, skipped, refused; /* see sl_sink_result */
    uint64_t unreadable;                          /* events of the spool that this version does not understand */
    uint64_t dropped_full;                        /* by DROP_OLDEST and CONFLATE */
    uint64_t dropped_large;                       /* no room even in an empty queue */
    uint64_t dropped_spool;   /* the spool was full or its disk did not take it, and the queue was full */
    uint64_t dropped_damaged; /* were in the spool, whose disk lost them */
    uint64_t damaged_before;  /* places in what an earlier life left there that cannot be read: each an event or more */
    uint64_t dropped_ended;   /* came after sl_outlet_end() */
    uint64_t conflated;
    uint64_t batches;       /* written */
    uint64_t failures;      /* attempts to open or write that failed */
    uint64_t disk_failures; /* of the spool */
    uint64_t blocked;       /* times the feed had to wait */
    size_t queued, queued_bytes, queued_bytes_max;
    size_t in_batch;        /* being written, or to be written again */
    uint64_t spooled;       /* events in the spool, of this life, that the sink has not got */
    uint64_t spooled_total; /* that ever went there */
    sl_spool_stats spool;
    int64_t
        last_receive_time_ns; /* of the newest event that the sink has; the lag is now minus this when events wait */
    bool away;                /* the last attempt failed */
    bool spooling;            /* events take the way over the disk */
    bool disk_failing;        /* which does not take them just now */
    char problem[SL_SINK_PROBLEM_MAX];      /* what failed or was refused last; "" if nothing was */
    char disk_problem[SL_SINK_PROBLEM_MAX]; /* the same of the spool */
} sl_outlet_stats;

typedef struct sl_outlet sl_outlet;

/*
 * Makes an outlet around a sink, which it takes over, also when the call fails. 0; SL_EINVAL with a message that names
 * the option; SL_ENOMEM. Does not wait: the sink and the spool are opened by sl_outlet_run().
 */
SL_MUST_CHECK int sl_outlet_new(const sl_outlet_options *options, sl_sink *sink, sl_outlet **ret_outlet);

/* Frees it and its sink; no task may be in sl_outlet_run(). NULL is fine. */
void sl_outlet_free(sl_outlet *outlet);
SL_AUTO_DECLARE(sl_outlet, sl_outlet_free)

/*
 * A task's body (argument: the outlet): brings events to the sink until sl_outlet_end() was called and all is
 * delivered, or the drain time is over, or it is cancelled. In every case what is left with SL_FULL_SPOOL is put on
 * disk; what is left otherwise stays in the queue and in the figures. 0; SL_ECANCELED; why the spool cannot be opened,
 * or did not take what was left; SL_ENOMEM; SL_EBUSY when it runs already. An unreachable sink is no failure: it is
 * tried again (after the end once, when its events can go to disk). May be run again.
 */
SL_MUST_CHECK int sl_outlet_run(void *outlet);

/* Other waits between attempts from now on; zeros as in the options. */
void sl_outlet_set_retry(sl_outlet *outlet, const struct sl_backoff *retry);

/* No more events will come: deliver what there is and end. Does not wait. */
void sl_outlet_end(sl_outlet *outlet);

/*
 * Hands a record over (sl_record_encode()); it is copied and stamped. 0, also when the policy dropped it; only with
 * SL_FULL_BLOCK and SL_FULL_SPOOL it may wait, and then returns SL_ECANCELED (nothing was taken) or SL_ENOTASK.
 */
SL_MUST_CHECK int sl_outlet_put(sl_outlet *outlet, const void *record, size_t size_bytes);

/*
 * Whether a record of that size would be taken now without waiting, and without being dropped for want of room: 1; 0 it
 * would not, later perhaps (outlets that drop or conflate always have room: that is their policy); SL_EMSGSIZE it is too
 * large for the queue; SL_ECLOSED nothing more is taken.
 */
int sl_outlet_has_room(const sl_outlet *outlet, size_t size_bytes);

/* Whether sl_outlet_put() may wait for long. */
bool sl_outlet_blocks(const sl_outlet *outlet);

/* The figures now; the name; the sink's kind. Borrowed from the outlet; the figures until the next call. */
const sl_outlet_stats *sl_outlet_get_stats(sl_outlet *outlet);
const char *sl_outlet_name(const sl_outlet *outlet);
size_t sl_outlet_queue_events(const sl_outlet *outlet); /* room of its queue */
/* From the receiving of each event to the moment when the sink has it; of this life's events. */
const struct sl_histogram *sl_outlet_latency(const sl_outlet *outlet);

/* Whether the options' `feeds` let the event pass: best prices made of a book are those of SL_FEED_BEST. */
bool sl_outlet_takes(const sl_outlet *outlet, const sl_market_event *event);
const char *sl_outlet_kind(const sl_outlet *outlet);

/* ---- fan-out ---- */

#define SL_FANOUT_MAX 32

/* Gives each event to several outlets. */
typedef struct sl_fanout sl_fanout;

SL_MUST_CHECK int sl_fanout_new(sl_fanout **ret_fanout);
void sl_fanout_free(sl_fanout *fanout); /* not the outlets; NULL is fine */
SL_AUTO_DECLARE(sl_fanout, sl_fanout_free)

/* Adds an outlet, which is borrowed; one may be in several fan-outs. 0, SL_EEXIST, SL_EMSGSIZE over SL_FANOUT_MAX. */
SL_MUST_CHECK int sl_fanout_attach(sl_fanout *fanout, sl_outlet *outlet);
void sl_fanout_detach(sl_fanout *fanout, sl_outlet *outlet);

/* As sl_outlet_has_room(), for the event's record, of all outlets that take it: the first that is not 1. 0
 * also when there is no outlet. */
int sl_fanout_has_room(const sl_fanout *fanout, const sl_market_event *event);

/*
 * Gives the event, with its levels, to every outlet that takes it; nothing of it is kept. Waits only as sl_outlet_put() does, for
 * outlets that block after all others were served. 0; SL_EMSGSIZE for an event that has no record (counted by nobody: a caller's bug or a book of too
 * many levels), SL_ENOMEM, SL_ECANCELED, SL_ENOTASK (outlets that were to wait have not got it).
 */
SL_MUST_CHECK int sl_fanout_write(sl_fanout *fanout, const sl_market_event *event);

/*
 * Waits until every outlet has delivered (or dropped, by its policy) what it was given so far: then a crash of the
 * process loses nothing of it. 0 or SL_ECANCELED. Cancellation point.
 */
SL_MUST_CHECK int sl_fanout_settle(const sl_fanout *fanout);

#ifdef __cplusplus
}
#endif

#endif
