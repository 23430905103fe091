/* SPDX-License-Identifier: MIT */
/*
 * Byte streams: TCP and Unix sockets, TLS, the simulated network, and pairs in memory. All keep the same
 * promises. Every wait is the runtime's: a cancellation point, bounded by the scopes around it. One task
 * reads and one writes at a time (SL_EBUSY for a second one). A stream belongs to the thread that made it.
 */
#ifndef SLUICE_STREAM_H
#define SLUICE_STREAM_H

#include "sluice/memory.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_stream sl_stream;

/* Bytes a stream reads ahead of its reader; then it stops taking from the peer. */
#define SL_STREAM_READ_AHEAD_BYTES ((size_t)64 * 1024)

/* Bytes behind a view that may be read, whatever is there. */
#define SL_STREAM_PADDING_BYTES ((size_t)64)

/* Pieces of one write. */
#define SL_STREAM_PIECES_MAX 16

struct sl_bytes {
    const void *data;
    size_t size_bytes;
};

/* Bytes in a stream's own buffer; `data` is never NULL. */
struct sl_view {
    char *data;
    size_t size_bytes;
};

/*
 * Reads at least one byte, at most `size_bytes` (> 0). 0 and the number; SL_EOF when the peer has ended its
 * side; SL_ECONNRESET and other codes of the system; SL_ECLOSED when the stream was closed meanwhile.
 * Cancelled, it has taken nothing. Waits.
 */
SL_MUST_CHECK int sl_stream_read(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes);

/*
 * Waits until at least `min_bytes` (1 to SL_STREAM_READ_AHEAD_BYTES) that were not consumed yet lie in the
 * stream's buffer, and shows all that do. They may be changed in place; SL_STREAM_PADDING_BYTES behind them
 * are readable. The view lasts until the next sl_stream_read(), sl_stream_peek() or close. SL_EOF when the
 * peer ended its side before: the view then shows what is left. Other codes as sl_stream_read(). A stream
 * without unread bytes holds no buffer while it waits.
 */
SL_MUST_CHECK int sl_stream_peek(sl_stream *stream, size_t min_bytes, struct sl_view *ret_view);

/* What lies in the buffer now; never waits, takes nothing from the system. */
struct sl_view sl_stream_buffered(const sl_stream *stream);

/*
 * Whether something has come to a stream that nobody reads: receives what is there now. 0 when the peer is silent or has
 * sent something, SL_EOF when it has ended, else why the stream is broken. Never waits.
 */
SL_MUST_CHECK int sl_stream_check(sl_stream *stream);

/* Takes the first `size_bytes` of what sl_stream_peek() showed. Views stay valid. Never waits. */
void sl_stream_consume(sl_stream *stream, size_t size_bytes);

/*
 * Writes all of it, or all the pieces (at most SL_STREAM_PIECES_MAX) one after the other; waits while the
 * peer does not read. Nothing is copied or queued: the bytes are the system's when the call returns. A
 * write that fails or is cancelled leaves an unknown part sent: later writes give SL_EPIPE.
 */
SL_MUST_CHECK int sl_stream_write(sl_stream *stream, const void *data, size_t size_bytes);
SL_MUST_CHECK int sl_stream_write_pieces(sl_stream *stream, const struct sl_bytes *pieces, size_t count);

/*
 * Writes what can be written at once: 0 and the number of bytes, perhaps none. Never waits. What was not taken must be the
 * beginning of the next write: over TLS some of it may be encrypted already. SL_EBUSY while a task writes; SL_EPIPE and the
 * system's codes as above.
 */
SL_MUST_CHECK int sl_stream_write_now(sl_stream *stream, const void *data, size_t size_bytes, size_t *ret_bytes);

/* Ends our side: the peer reads SL_EOF. Over TLS it waits for room; one that was interrupted there goes on when repeated. Repeats are fine. */
SL_MUST_CHECK int sl_stream_shutdown(sl_stream *stream);

/* Closes and frees; never waits; NULL is fine. Tasks that still use it get SL_ECLOSED. */
void sl_stream_close(sl_stream *stream);
SL_AUTO_DECLARE(sl_stream, sl_stream_close)

/* As sl_stream_close(), and what the peer has not read is lost: it sees SL_ECONNRESET. */
void sl_stream_reset(sl_stream *stream);

/*
 * Both ends' addresses as text, "127.0.0.1:443", "[::1]:443", "unix:/path" or "memory", for logs; written to
 * `text`, cut if need be, always ended. Never waits.
 */
#define SL_ADDRESS_TEXT_BYTES 128
void sl_stream_peer(const sl_stream *stream, char *text, size_t text_bytes);
void sl_stream_local(const sl_stream *stream, char *text, size_t text_bytes);

/* Bytes that passed since it was made. */
struct sl_stream_counts {
    uint64_t received_bytes, sent_bytes;
};
struct sl_stream_counts sl_stream_counts_get(const sl_stream *stream);

/* ---- memory ---- */

/* Two connected streams; each direction holds at most `capacity` bytes (> 0). 0, SL_ENOMEM, SL_EINVAL. */
SL_MUST_CHECK int sl_stream_memory_pair(size_t capacity, sl_stream **ret_one, sl_stream **ret_other);

#ifdef __cplusplus
}
#endif

#endif
