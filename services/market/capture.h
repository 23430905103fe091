/* SPDX-License-Identifier: MIT */
/*
 * Reads captured sessions, whichever of three forms a file has:
 *
 *     our own recordings (recorder.h): checksummed blocks, packed with zstd
 *     hftbacktest: lines of `<receipt time, ns> <raw JSON>`, gzip or plain
 *     cryptofeed: lines of `<receipt time, s>: <raw JSON>`, `<URL> <-> <time>` (connected), `<URL> <- <time>: <text>`
 *         (sent) and `<URL> -> <time>: <body>` (the answer to a request); empty and `configuration:` lines are skipped
 *
 * Streams with bounded memory: one window of at most a line and a chunk, or one block. Reading a file blocks on the
 * disk; one thread at a time.
 */
#ifndef SLUICE_MARKET_CAPTURE_H
#define SLUICE_MARKET_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "instrument.h"
#include "sluice/error.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest line: default, and the most that sl_capture_open() takes. */
#define SL_CAPTURE_LINE_DEFAULT_BYTES ((size_t)4 << 20)
#define SL_CAPTURE_LINE_MAX_BYTES ((size_t)256 << 20)

typedef struct sl_capture sl_capture;

typedef enum sl_capture_kind {
    SL_CAPTURE_RECEIVED = 0, /* a message of a stream */
    SL_CAPTURE_SENT,         /* what the client sent on it */
    SL_CAPTURE_CONNECTED,    /* a stream to `url` was opened */
    SL_CAPTURE_CLOSED,       /* it ended; the text says why, if anything */
    SL_CAPTURE_RESPONSE,     /* the text is the body of the answer to a request for `url` */
    SL_CAPTURE_KIND_COUNT,
} sl_capture_kind;

/* One line, or record. Borrowed until the next call; SL_JSON_PADDING bytes after the text are readable. */
typedef struct sl_capture_line {
    int64_t receive_time_ns;
    const char *text;
    size_t size_bytes;
    uint64_t number; /* from 1 */
    sl_capture_kind kind;
    sl_venue venue;      /* SL_VENUE_NONE where the file does not say */
    uint32_t connection; /* 0 where the file does not say */
    int status;          /* of a response; 0 where the file does not say */
    const char *url;     /* not NUL-terminated */
    size_t url_bytes;
} sl_capture_line;

/*
 * Opens a file; `line_max_bytes` 0 is the default. Returns 0, -errno of opening it (SL_ENOENT…), SL_EINVAL,
 * SL_ENOMEM.
 */
SL_MUST_CHECK int sl_capture_open(const char *path, size_t line_max_bytes, sl_capture **ret_capture);
void sl_capture_close(sl_capture *capture);
SL_AUTO_DECLARE(sl_capture, sl_capture_close)

/*
 * The next line: 1, or 0 at the end. SL_EPROTO (not such a line, damaged or cut off compression),
 * SL_EMSGSIZE (a line over the limit), SL_ENOMEM, -errno of reading. After an error the same error again.
 */
SL_MUST_CHECK int sl_capture_next(sl_capture *capture, sl_capture_line *ret_line);

/*
 * Bytes of a recording that were skipped so far because they were damaged, or are the beginning of a block that was
 * not written to its end. Reading goes on behind them: they are no error.
 */
uint64_t sl_capture_damaged(const sl_capture *capture);

/* How much of the file has been read, 0 to 1: for people. 1 where the file's size is not known. */
double sl_capture_progress(const sl_capture *capture);

/* What was wrong, with the number of the line; "" if nothing was. */
const char *sl_capture_problem(const sl_capture *capture);

#ifdef __cplusplus
}
#endif

#endif
