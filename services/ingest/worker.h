/* SPDX-License-Identifier: MIT */
/*
 * The worker: one instrument's trades and book from a venue's streams into SQLite. A supervised stream is
 * joined with REST snapshots, a writer stores on a worker thread, all under a lock if there is one.
 */
#ifndef SL_INGEST_WORKER_H
#define SL_INGEST_WORKER_H

#include <stdio.h>

#include "market/book.h"
#include "market/sequence.h"
#include "sinks/sqlite.h"
#include "sluice/channel.h"
#include "sluice/histogram.h"
#include "sluice/policy.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl_worker_options {
    const char *address; /* of the venue: plain TCP */
    int port;
    const char *symbol;   /* "BTCUSDT" */
    const char *database; /* path of the SQLite file */
    const char *redis;    /* URL; NULL: no lock */
    struct sl_tap *tap;   /* for those who watch the rows pass; NULL: none */
    sl_time lock_ttl;     /* 0: SL_LOCK_TTL */
    sl_time silence;      /* a stream without a message for this long is made anew; 0: SL_WORKER_SILENCE */
    bool quiet;           /* no live line */
};

#define SL_WORKER_SILENCE SL_SECONDS(60)

/* What was done so far; read at any time. What is given to the writer and not stored is rows - sink.written - sink.repeated. */
struct sl_worker_stats {
    uint64_t messages, bytes, ignored, trades, repeated, lost, tops, gaps, healed, connections, failures;
    uint64_t snapshots, snapshot_failures;
    uint64_t problems; /* of any kind; see sl_worker.problem */
    uint64_t rows;
    sl_sqlite_stats sink;
};

/* Rows on their way to the writer; then the stream waits. */
#define SL_WORKER_QUEUE 8192

/* A row is committed at the latest so long after it came to the writer, if the database lets us. */
#define SL_WORKER_COMMIT_AFTER SL_MILLISECONDS(200)

/* The longest text of a failure that is kept. */
#define SL_WORKER_PROBLEM_MAX 160

/* The last gaps, for those who watch. */
#define SL_WORKER_GAPS 32
struct sl_worker_gap {
    sl_gap gap;
    sl_feed channel;
    int64_t seen_ns, healed_ns; /* wall clock; 0 while it is not healed */
};

typedef struct sl_worker {
    struct sl_worker_options options;
    struct sl_worker_stats stats;
    char problem[SL_WORKER_PROBLEM_MAX]; /* the last failure of stream, snapshot or database; "" if there was none */
    bool refused;                /* the venue has no such symbol, or the address is none: trying again is no use */
    bool unheard;                /* standard output was closed */
    bool paused;                 /* set and unset by who watches: the stream is not opened */
    struct sl_histogram lag;     /* from the venue's sending to our receiving */
    struct sl_histogram latency; /* from receiving to the commit */
    int64_t last_message_ns;     /* wall clock; 0 before the first */
    struct sl_worker_gap recent_gaps[SL_WORKER_GAPS];
    uint64_t gaps_told;          /* the last one is at (gaps_told - 1) % SL_WORKER_GAPS */
    sl_scope *scope;             /* around all of it, while it runs */
    sl_scope *feed_scope;        /* the supervisor of the child "stream" */
    sl_instruments *instruments; /* the one of the options */
    const sl_instrument *instrument;
    sl_book *book;
    sl_sequence *sequence;
    sl_trade_track track;
    int64_t first_trade;       /* id of the first trade that came; 0 before */
    sl_level top_bid, top_ask; /* last written */
    bool symbol_known;         /* by the venue */
    bool fetching;             /* a snapshot is being asked for */
    sl_limiter *limiter;       /* the venue's limits of requests */
    sl_policy *policy;         /* of snapshots: their loop has a schedule of its own, the limits are kept here */
    sl_sender *rows;
    sl_receiver *queue;
    sl_sqlite *sink;
} sl_worker;

/*
 * Runs it as the calling task until the session ends, it is stopped (also while it waits for the lock), or it
 * fails. The book stays readable until sl_worker_done().
 */
SL_MUST_CHECK int sl_worker_run(sl_worker *worker);
void sl_worker_done(sl_worker *worker);

/* Writes what came of it, as text. */
void sl_worker_report(const sl_worker *worker, FILE *out);

/* worker.c: a task's body (argument: a scope), cancels the scope when a stop is asked for. */
int sl__worker_cancel_on_stop(void *scope);
/* worker.c: keeps the text of a failure for the live line and the report. */
void sl__worker_note(sl_worker *worker, const char *what, int code);
/* feed.c: a task's body (argument: the worker), runs the stream under supervision until it is over. */
int sl__worker_feed(void *worker);
/* writer.c: a task's body, stores rows until their channel is closed and empty. */
int sl__worker_write(void *worker);
/* status.c: a task's body, the live line. */
int sl__worker_status(void *worker);
/* status.c: says a line off the loop, which a reader that does not read would hold up. SL_EPIPE when nobody reads any more. */
int sl__worker_say(const char *format, ...) SL_PRINTF(1, 2);

#ifdef __cplusplus
}
#endif

#endif
