/* SPDX-License-Identifier: MIT */
/*
 * A captured session as a market: its messages one after the other, each with what it is about, and the books as they
 * were. Files of the forms of market/capture.h: our own recordings, and others of one venue that has to be named.
 * Reading blocks on the disk. One thread at a time.
 */
#ifndef SLUICE_EXCHANGE_CAPTURED_H
#define SLUICE_EXCHANGE_CAPTURED_H

#include "market/book.h"
#include "market/capture.h"
#include "market/event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Files that are one session together, and things one message may be about. */
#define SL_CAPTURED_FILES_MAX 16
#define SL_CAPTURED_ABOUT_MAX 512

/* Lines that are looked through for instruments before the session begins; later ones are listed when they are named. */
#define SL_CAPTURED_SCAN_LINES 100000

typedef struct sl_captured sl_captured;

struct sl_captured_options {
    const char *const *paths;
    size_t path_count;
    sl_venue venue;              /* of lines that do not say it; SL_VENUE_NONE: all must */
    sl_instruments *instruments; /* empty; filled with those of the session; borrowed */
};

/* What a message is about; the kind is NONE for one that has no event but is of that stream. */
struct sl_captured_about {
    const sl_instrument *instrument;
    sl_feed feed;
    sl_event_kind kind;
};

/* A message of the venue's streams. Borrowed until the next call. */
struct sl_captured_message {
    int64_t time_ns; /* when it was received */
    sl_venue venue;
    const char *text;
    size_t size_bytes;
    struct sl_captured_about about[SL_CAPTURED_ABOUT_MAX];
    size_t about_count;
};

struct sl_captured_stats {
    uint64_t messages, answers, notices, unused; /* unused: bad, unknown, of a connection that another one doubles */
};

/* Where an instrument stands in the session. */
struct sl_captured_state {
    const sl_book *book; /* NULL: not known yet */
    int64_t book_id, trade_id;
};

/* Opens the files and lists their instruments. 0, SL_EINVAL, SL_ENOMEM, codes of sl_capture_open() and _next(). */
SL_MUST_CHECK int sl_captured_open(const struct sl_captured_options *options, sl_captured **ret_captured);
void sl_captured_close(sl_captured *captured);
SL_AUTO_DECLARE(sl_captured, sl_captured_close)

/*
 * The next message: 1, or 0 at the end. Trades, and changes as they went into the books, go to `record`, which may be
 * NULL. Codes of sl_capture_next(), SL_ENOMEM, what `record` returned. What cannot be decoded is counted.
 */
SL_MUST_CHECK int sl_captured_next(sl_captured *captured, int (*record)(void *arg, const sl_market_event *event),
                                   void *arg, const struct sl_captured_message **ret_message);

struct sl_captured_state sl_captured_look(const sl_captured *captured, const sl_instrument *instrument);
const struct sl_captured_stats *sl_captured_get_stats(const sl_captured *captured);

#ifdef __cplusplus
}
#endif

#endif
