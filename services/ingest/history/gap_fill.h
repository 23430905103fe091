/* SPDX-License-Identifier: MIT */
/*
 * The gaps of a stream's trades, filled from the venue's history: each gap is a job on a queue; when all of it has been
 * given to the sinks the gap is told once more, as healed. A gap that the venue cannot fill stays told. The queue is in
 * Redis when replicas share the work, else in a file beside that of the positions, if there is one: then what was not yet
 * filled when the process was killed is filled by the next one.
 */
#ifndef SL_INGEST_GAP_FILL_H
#define SL_INGEST_GAP_FILL_H

#include "ingest/history/history_jobs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gaps that wait to be queued; that are queued. */
#define SL_GAP_FILL_READY_MAX 4096
#define SL_GAP_FILL_JOBS_MAX 10000

/*
 * A feed that is carried again and brings nothing has its gap filled to where that began after so long: venues' histories
 * are behind their streams.
 */
#define SL_GAP_FILL_SETTLED SL_SECONDS(30)

/* Jobs at once. */
#define SL_GAP_FILL_CONCURRENCY 2

typedef struct sl_gap_fill sl_gap_fill;

/* For a service and its stream, which are borrowed; its queue ends with `scope`, in which daemons work. Codes of sl_work_open(). */
SL_MUST_CHECK int sl_gap_fill_open(sl_scope *scope, struct sl_program_service *service, const sl_stream_service *stream,
                                   sl_gap_fill **ret_fill);

/* After `scope` has closed. NULL is fine. */
void sl_gap_fill_free(sl_gap_fill *fill);

/* Sees each event of the stream, after it was given out: gaps of trades are queued by a task of its own. Does not wait. */
void sl_gap_fill_see(sl_gap_fill *fill, const sl_market_event *event);

const struct sl_history_stats *sl_gap_fill_stats(const sl_gap_fill *fill);
/* Gaps that are being filled, or wait to be. */
size_t sl_gap_fill_open_count(const sl_gap_fill *fill);

#ifdef __cplusplus
}
#endif

#endif
