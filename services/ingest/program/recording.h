/* SPDX-License-Identifier: MIT */
/*
 * A recording of what a running program receives: frames of all connections, answers to requests, ends of connections.
 * Calls wait while a full block is written by a worker thread, one after the other.
 *
 * What was asked stands behind the URL of an answer to a poll, as a fragment that was never sent:
 * https://host/path?query#poll:KIND:INTERVAL_NS:SYMBOL, the symbol empty where all were asked for at once.
 * Of history it says what of the answer was wished for, too; and a gap that it filled is a line of its own, without a body:
 * ...#history:FEED:INTERVAL_NS:FROM_ID:FROM_TIME_NS:LIMIT (as asked):FROM_ID:TO_ID:FROM_TIME_NS:TO_TIME_NS:SYMBOL,
 * #healed:FEED:REASON:FROM_ID:TO_ID:SEEN_TIME_NS:SYMBOL.
 */
#ifndef SL_INGEST_RECORDING_H
#define SL_INGEST_RECORDING_H

#include "ingest/history/history.h"
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

/* The URL of an answer with history, as it is recorded; that of a gap that was filled. SL_EMSGSIZE. */
SL_MUST_CHECK int sl_recording_history_url(const char *url, const sl_venue_request *request,
                                           const struct sl_history_wish *wish, char *buffer, size_t capacity);
SL_MUST_CHECK int sl_recording_healed_url(const sl_market_event *gap, char *buffer, size_t capacity);

/* The other way, as sl_recording_poll_of(). `ret_gap` has no times. */
SL_MUST_CHECK int sl_recording_history_of(const sl_capture_line *line, const sl_instruments *instruments,
                                          sl_venue venue, sl_venue_request *ret_request,
                                          struct sl_history_wish *ret_wish);
SL_MUST_CHECK int sl_recording_healed_of(const sl_capture_line *line, const sl_instruments *instruments, sl_venue venue,
                                         sl_market_event *ret_gap);

const sl_recorder_stats *sl_recording_get_stats(const sl_recording *recording);

#ifdef __cplusplus
}
#endif

#endif
