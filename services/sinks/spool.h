/* SPDX-License-Identifier: MIT */
/*
 * A queue of records on disk, for the time in which a sink is away: a folder of segments, each a file of slots
 * (slots.h) with a check of their own, and a file that says up to where they were taken.
 *
 * What sl_spool_append() has taken survives the end of the process by whatever means (with `sync` also that of the
 * machine). A slot that was torn at the end is cut off when the spool is opened; one that was damaged is passed over
 * and counted, and costs only itself. What was taken but not noted in time comes again: at least once.
 *
 * Calls block on the disk: for worker threads; one at a time.
 */
#ifndef SLUICE_SINKS_SPOOL_H
#define SLUICE_SINKS_SPOOL_H

#include "sinks/slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_SPOOL_MAX_DEFAULT_BYTES ((uint64_t)4 << 30)
#define SL_SPOOL_SEGMENT_DEFAULT_BYTES ((uint64_t)64 << 20)
#define SL_SPOOL_SEGMENTS_MAX 65536
#define SL_SPOOL_PATH_MAX 1024

typedef struct sl_spool_options {
    const char *folder;     /* made if it is not there; for this spool alone */
    uint64_t max_bytes;     /* of all segments; 0: SL_SPOOL_MAX_DEFAULT_BYTES */
    uint64_t segment_bytes; /* a segment takes no more when it is as large; 0: SL_SPOOL_SEGMENT_DEFAULT_BYTES */
    bool sync;              /* tell the disk to keep it, each time */
} sl_spool_options;

typedef struct sl_spool_stats {
    uint64_t bytes; /* that wait to be taken */
    uint64_t segments;
    uint64_t appended; /* records, since it was opened */
    uint64_t taken;    /* records that were read and then advanced over */
    uint64_t damaged;  /* places that could not be read and were passed over */
    uint64_t damaged_bytes;
    uint64_t torn_bytes; /* cut off the end when it was opened */
} sl_spool_stats;

typedef struct sl_spool sl_spool;

/*
 * Opens or makes a spool. 0; SL_EBUSY when another process has it; SL_EINVAL, SL_ENOMEM, codes of the system. On
 * failure sl_error_last() or, on a worker thread, the offload's error says what was tried.
 */
SL_MUST_CHECK int sl_spool_open(const sl_spool_options *options, sl_spool **ret_spool);

/* Closes; what waits stays on disk. NULL is fine. */
void sl_spool_close(sl_spool *spool);
SL_AUTO_DECLARE(sl_spool, sl_spool_close)

/*
 * Adds all records of `slots` (and seals them), or none. 0; SL_EMSGSIZE when they would go over max_bytes; codes of the
 * disk (-ENOSPC).
 */
SL_MUST_CHECK int sl_spool_append(sl_spool *spool, struct sl__slots *slots);

/*
 * Fills `slots`, which keeps its capacity but for a record that is larger, with the oldest records that wait, all of one
 * run (so that the last number of a run tells a sink what of a batch it has): 1; 0 when none wait. The same ones again until sl_spool_advance(). Codes of the disk, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_spool_read(sl_spool *spool, struct sl__slots *slots);

/* What sl_spool_read() gave last is done with. The note of it may fail (it will come again after a restart). */
SL_MUST_CHECK int sl_spool_advance(sl_spool *spool);

/* Whether nothing waits. */
bool sl_spool_empty(const sl_spool *spool);

const sl_spool_stats *sl_spool_get_stats(const sl_spool *spool);

#ifdef __cplusplus
}
#endif

#endif
