/* SPDX-License-Identifier: MIT */
/*
 * The session that the simulated exchange plays: the messages of a capture file or of the generator, one
 * after the other, and with them the true book, from which a REST snapshot can be written at any place. The
 * capture's own snapshot is not played; it seeds the book: diffs before it are kept and joined by the
 * venue's rule. No clock and no waiting but for the disk; one thread at a time.
 */
#ifndef SLUICE_EXCHANGE_SESSION_H
#define SLUICE_EXCHANGE_SESSION_H

#include "exchange/generate.h"
#include "market/book.h"
#include "sluice/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels a side that sl_session_snapshot() writes by default and at most. */
#define SL_SESSION_LIMIT_DEFAULT 1000
#define SL_SESSION_LIMIT_MAX 5000

typedef struct sl_session_options {
    const char *capture_path;     /* NULL: generate (USD-M) */
    sl_venue venue;               /* of the capture: SL_VENUE_BINANCE_… */
    sl_generate_options generate; /* used without a capture */
} sl_session_options;

/* One message of the stream. Texts are borrowed until the next call and padded as for SL_JSON_PADDED. */
typedef struct sl_session_message {
    int64_t receive_time_ns; /* when the recorder got it: the session's own time line */
    sl_event_kind kind;
    sl_json_text text;   /* as it was captured: {"stream":..,"data":..} */
    sl_json_text stream; /* the name in it */
    sl_json_text data;   /* the object in it: what a raw stream would send */
} sl_session_message;

typedef struct sl_session_stats {
    uint64_t messages; /* given out */
    uint64_t trades;
    uint64_t deltas;
    uint64_t bests;
    uint64_t snapshots; /* found in the capture, not given out */
    int64_t last_trade_id;
} sl_session_stats;

typedef struct sl_session sl_session;

/* 0, SL_EINVAL, SL_ENOMEM, or what opening the file gave. */
SL_MUST_CHECK int sl_session_open(const sl_session_options *options, sl_session **ret_session);
void sl_session_close(sl_session *session);
SL_AUTO_DECLARE(sl_session, sl_session_close)

/*
 * The next message: 1, or 0 at the end. Errors of the file and of decoding, SL_EPROTO for a hole in the
 * capture (the true book would be unknown) or a second instrument; texts by sl_fail() and
 * sl_session_problem(). After an error the same error again.
 */
SL_MUST_CHECK int sl_session_next(sl_session *session, sl_session_message *ret_message);

/*
 * Writes the answer to a depth request as of the last message given out: `limit` levels a side (0: the
 * default). The text is borrowed until the next call of this function. SL_EAGAIN while the book is not known
 * yet, SL_EINVAL over the largest limit, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_session_snapshot(sl_session *session, size_t limit, sl_json_text *ret_text);

/* The true book and the last id in it; only of use once sl_session_ready(). Borrowed. */
bool sl_session_ready(const sl_session *session);
const sl_book *sl_session_book(const sl_session *session);
int64_t sl_session_last_id(const sl_session *session);

/* The market and the instrument ("" before the first message). */
sl_venue sl_session_venue(const sl_session *session);
const char *sl_session_instrument(const sl_session *session);

const sl_session_stats *sl_session_get_stats(const sl_session *session);

/* What was wrong; "" if nothing was. */
const char *sl_session_problem(const sl_session *session);

#ifdef __cplusplus
}
#endif

#endif
