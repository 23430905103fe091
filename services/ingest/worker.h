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
    sl_time lock_ttl;     /* 0: SL_LOCK_TTL */
    bool quiet;           /* no live line */
};

/* What was done so far; read at any time. */
struct sl_worker_stats {
    uint64_t messages, bytes, trades, repeated, lost, tops, gaps, healed, connections, failures, snapshots;
    sl_sqlite_stats sink;
};

/* Rows on their way to the writer; then the stream waits. */
#define SL_WORKER_QUEUE 8192

/* The longest text of a failure that is kept. */
#define SL_WORKER_PROBLEM_MAX 160

typedef struct sl_worker {
    struct sl_worker_options options;
    struct sl_worker_stats stats;
    char problem[SL_WORKER_PROBLEM_MAX]; /* why the stream failed last; "" if it never did */
    sl_book *book;
    sl_sequence *sequence;
    sl_trade_track track;
    sl_level top_bid, top_ask; /* last written */
    bool fetching;             /* a snapshot is being asked for */
    sl_sender *rows;
    sl_receiver *queue;
    sl_sqlite *sink;
} sl_worker;

/* Runs it as the calling task until the session ends, it is stopped, or it fails. The book stays readable until sl_worker_done(). */
SL_MUST_CHECK int sl_worker_run(sl_worker *worker);
void sl_worker_done(sl_worker *worker);

/* Writes what came of it, as text. */
void sl_worker_report(const sl_worker *worker, FILE *out);

/* feed.c: a task's body (argument: the worker), runs the stream under supervision until it is over. */
int sl__worker_feed(void *worker);
/* writer.c: a task's body, stores rows until their channel is closed and empty. */
int sl__worker_write(void *worker);
/* status.c: a task's body, the live line. */
int sl__worker_status(void *worker);

#ifdef __cplusplus
}
#endif

#endif
