/* SPDX-License-Identifier: MIT */
/*
 * Pieces of history as jobs on a work queue: what is fetched goes to the service's sinks like anything that streams.
 * Used by the backfill service and by streams that fill their gaps.
 */
#ifndef SL_INGEST_HISTORY_JOBS_H
#define SL_INGEST_HISTORY_JOBS_H

#include "ingest/history.h"
#include "ingest/service.h"
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

/* Who works on jobs for a service. Borrowed while sl_work_run() has it as its argument. */
struct sl_history_worker {
    struct sl_program_service *service;
    int priority;
    struct sl_history_stats stats;
    char problem[160]; /* of the last job that was given up */
};

/* Adds a job; the same one again has no effect. 0 or the codes of sl_work_add(). */
SL_MUST_CHECK int sl_history_add(sl_work *work, const struct sl_history_job *job);

/* The function for sl_work_run(); `worker` is a struct sl_history_worker. */
SL_MUST_CHECK int sl_history_do(void *worker, sl_job *job);

#ifdef __cplusplus
}
#endif

#endif
