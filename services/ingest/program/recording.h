/* SPDX-License-Identifier: MIT */
/*
 * A recording of what a running program receives: frames of all connections, answers to requests, ends of connections.
 * Calls wait while a full block is written by a worker thread, one after the other.
 *
 * What was asked stands behind the URL of an answer to a poll, as a fragment that was never sent:
 * https://host/path?query#poll:KIND:INTERVAL_NS:SYMBOL, the symbol empty where all were asked for at once.
 */
#ifndef SL_INGEST_RECORDING_H
#define SL_INGEST_RECORDING_H

#include "market/recorder.h"
#include "sluice/sync.h"
#include "venues/venue.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_recording sl_recording;

/* Opens the file, or goes on with it; blocks on the disk. Codes of sl_recorder_open(). */
SL_MUST_CHECK int sl_recording_open(const char *path, sl_recording **ret_recording);
/* What was not flushed is lost. NULL is fine. */
void sl_recording_close(sl_recording *recording);
SL_AUTO_DECLARE(sl_recording, sl_recording_close)

/* Adds a copy. Waits. Codes of sl_recorder_add() and sl_recorder_flush(), SL_ECANCELED. */
SL_MUST_CHECK int sl_recording_add(sl_recording *recording, const sl_capture_line *line);
/* Writes what there is. Waits. */
SL_MUST_CHECK int sl_recording_flush(sl_recording *recording);

/* The URL of an answer to a poll, as it is recorded. SL_EMSGSIZE. */
SL_MUST_CHECK int sl_recording_poll_url(const char *url, const sl_venue_request *request, char *buffer,
                                        size_t capacity);
/*
 * What was asked for a recorded answer: 1; 0 when it is none to a poll; SL_EPROTO when it names what there is not. The
 * instrument is one of `instruments`.
 */
SL_MUST_CHECK int sl_recording_poll_of(const sl_capture_line *line, const sl_instruments *instruments, sl_venue venue,
                                       sl_venue_request *ret_request);

const sl_recorder_stats *sl_recording_get_stats(const sl_recording *recording);

#ifdef __cplusplus
}
#endif

#endif
