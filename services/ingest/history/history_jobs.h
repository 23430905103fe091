/* SPDX-License-Identifier: MIT */
/*
 * Pieces of history as jobs on a work queue: what is fetched goes to the service's sinks like anything that streams.
 * Used by the backfill service and by streams that fill their gaps.
 */
#ifndef SL_INGEST_HISTORY_JOBS_H
#define SL_INGEST_HISTORY_JOBS_H

#include "ingest/history/history.h"
#include "ingest/program/service.h"
#include "ingest/stream/stream.h"
#include "sluice/work_queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Figures of one service's jobs. */
struct sl_history_stats {
    uint64_t requests, rows, bytes; /* answers, what was in them */
    uint64_t events;                /* given to the sinks */
    uint64_t done, failed, given_up;
    uint64_t healed; /* gaps */
};

/* A job: what is wished for, and the gap that it heals (reason NONE: none). */
struct sl_history_job {
    struct sl_history_wish wish;
    sl_gap gap;
};

/* How often it is asked whether the end of a gap is known. */
#define SL_HISTORY_RESOLVE_EVERY SL_SECONDS(1)

/* Who works on jobs for a service. Borrowed while sl_work_run() has it as its argument. */
struct sl_history_worker {
    struct sl_program_service *service;
    int priority;
    /*
     * For gaps whose end is not known when they are queued (to_id 0, to_time_ns 0): fills it in and returns 1, or
     * 0: it is too early. A code: it never will be known. NULL: there are none.
     */
    int (*resolve)(const struct sl_history_worker *worker, struct sl_history_job *job);
    const sl_stream_service *stream; /* for resolve() */
    struct sl_history_stats stats;
    char problem[160]; /* of the last job that was given up */
};

/*
 * The queue `what` of a service: in Redis, shared with the replicas of the group, when `redis`; else of this process,
 * kept in the file `path` if there is one. The lease is the coordination's. Codes of sl_work_open(); SL_EINVAL without
 * the program's client.
 */
SL_MUST_CHECK int sl_history_open(sl_scope *scope, const struct sl_program_service *service, const char *what,
                                  bool redis, const char *path, struct sl_work_options *options, sl_work **ret_work);

/* Adds a job; the same one again has no effect. 0 or the codes of sl_work_add(). */
SL_MUST_CHECK int sl_history_add(sl_work *work, const struct sl_history_job *job);

/* The function for sl_work_run(); `worker` is a struct sl_history_worker. */
SL_MUST_CHECK int sl_history_do(void *worker, sl_job *job);

#ifdef __cplusplus
}
#endif

#endif
