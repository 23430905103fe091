/* SPDX-License-Identifier: MIT */
/*
 * Byte streams: TCP connections, and pairs in memory that behave like them for tests. Every wait is the
 * runtime's: a cancellation point, bounded by the scopes around it. One task reads and one writes at a
 * time (SL_EBUSY for a second one).
 */
#ifndef SLUICE_STREAM_H
#define SLUICE_STREAM_H

#include "sluice/memory.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_stream sl_stream;
typedef struct sl_listener sl_listener;

/* Bytes a stream reads ahead of its reader; then it stops taking from the peer. */
#define SL_STREAM_READ_AHEAD_BYTES ((size_t)64 * 1024)

struct sl_bytes {
    const void *data;
    size_t size_bytes;
};

/*
 * Reads at least one byte, at most `size_bytes` (> 0). 0 and the number; SL_EOF when the peer has ended its
 * side; SL_ECONNRESET and other codes of the system; SL_ECLOSED when the stream was closed meanwhile.
 */
SL_MUST_CHECK int sl_stream_read(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes);

/*
 * Writes all of it, or all the pieces one after the other. A write that fails or is cancelled leaves an
 * unknown part sent: later writes give SL_EPIPE.
 */
SL_MUST_CHECK int sl_stream_write(sl_stream *stream, const void *data, size_t size_bytes);
SL_MUST_CHECK int sl_stream_write_pieces(sl_stream *stream, const struct sl_bytes *pieces, size_t count);

/* Ends our side: the peer reads SL_EOF. */
SL_MUST_CHECK int sl_stream_shutdown(sl_stream *stream);

/* Closes and frees; never waits; NULL is fine. A task that still reads gets SL_ECLOSED. */
void sl_stream_close(sl_stream *stream);
SL_AUTO_DECLARE(sl_stream, sl_stream_close)

/* As sl_stream_close(), and what the peer has not read is lost: it sees SL_ECONNRESET. */
void sl_stream_reset(sl_stream *stream);

/* ---- TCP: the process ignores SIGPIPE from its first connection on, unless it has a handler of its own ---- */

/* Connects to an address ("127.0.0.1", "::1", "localhost") and port. Waits. SL_EINVAL for a name. */
SL_MUST_CHECK int sl_tcp_connect(const char *address, int port, sl_stream **ret_stream);

/* Listens; port 0 lets the system choose. Does not wait. */
SL_MUST_CHECK int sl_listener_open(const char *address, int port, sl_listener **ret_listener);
int sl_listener_port(const sl_listener *listener);

/* The next connection. Waits; one task at a time. */
SL_MUST_CHECK int sl_listener_accept(sl_listener *listener, sl_stream **ret_stream);
void sl_listener_close(sl_listener *listener);
SL_AUTO_DECLARE(sl_listener, sl_listener_close)

/* ---- memory ---- */

/* Two connected streams; each direction holds at most `capacity` bytes (> 0). 0, SL_ENOMEM, SL_EINVAL. */
SL_MUST_CHECK int sl_stream_memory_pair(size_t capacity, sl_stream **ret_one, sl_stream **ret_other);

#ifdef __cplusplus
}
#endif

#endif
