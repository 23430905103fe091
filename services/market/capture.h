/* SPDX-License-Identifier: MIT */
/*
 * Reads captured sessions in the form of hftbacktest: lines of `<receipt time, ns> <raw JSON>`, gzip or plain.
 * Streams with bounded memory: one window of at most a line and a chunk. Reading a file blocks on the disk;
 * one thread at a time.
 */
#ifndef SLUICE_MARKET_CAPTURE_H
#define SLUICE_MARKET_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "sluice/error.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest line: default, and the most that sl_capture_open() takes. */
#define SL_CAPTURE_LINE_DEFAULT_BYTES ((size_t)4 << 20)
#define SL_CAPTURE_LINE_MAX_BYTES ((size_t)256 << 20)

typedef struct sl_capture sl_capture;

/* One line. `text` is borrowed until the next call; SL_JSON_PADDING bytes after it are readable. */
typedef struct sl_capture_line {
    int64_t receive_time_ns;
    const char *text;
    size_t size_bytes;
    uint64_t number; /* from 1 */
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

/* What was wrong, with the number of the line; "" if nothing was. */
const char *sl_capture_problem(const sl_capture *capture);

#ifdef __cplusplus
}
#endif

#endif
