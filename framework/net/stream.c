/* SPDX-License-Identifier: MIT */
/* Byte streams: buffering, waiting and fairness, whatever kind of stream it is. */
#include "stream.h"

#include <stdio.h>
#include <string.h>

#include "../runtime/internal.h"
#include "network.h"

void sl__stream_init(sl_stream *stream, const struct sl_stream_ops *ops, bool outside)
{
    *stream = (struct sl_stream){.ops = ops};
    sl__waits_init(&stream->waits, outside);
}

int sl__stream_wait(sl_stream *stream, enum sl__side side)
{
    if (stream->ops->wait != NULL) {
        return stream->ops->wait(stream, side);
    }
    if (stream->ops->arm != NULL) {
        stream->ops->arm(stream, side);
    }
    return sl__waits_park(&stream->waits, side, side == SL_READABLE ? "read" : "write");
}

/* ---- reading ---- */

static int begin_read(sl_stream *stream)
{
    SL_TRY(sl_checkpoint_if_cancelled());
    if (stream->in_read) {
        return sl_fail(SL_EBUSY, "another task reads from this stream");
    }
    stream->in_read = true;
    return 0;
}

static void drop_buffer(sl_stream *stream)
{
    sl__net_buffer_put(stream->buffer);
    stream->buffer = NULL;
    stream->start = stream->end = 0;
}

/* Receives into memory of the stream or the caller. After SL_ECLOSED the stream must not be touched. */
static int receive(sl_stream *stream, char *buffer, size_t size_bytes, size_t *ret_bytes)
{
    int code = stream->ops->receive(stream, buffer, size_bytes, ret_bytes);
    if (code == 0) {
        stream->counts.received_bytes += *ret_bytes;
    }
    return code;
}

/* Makes room behind what is unread: all of it if there is nothing, and at least half the buffer. */
static void compact(sl_stream *stream)
{
    if (stream->start > 0 && SL_STREAM_READ_AHEAD_BYTES - stream->end < SL_STREAM_READ_AHEAD_BYTES / 2) {
        memmove(stream->buffer, stream->buffer + stream->start, stream->end - stream->start);
        stream->end -= stream->start;
        stream->start = 0;
    }
}

int sl__stream_fill_now(sl_stream *stream)
{
    if (stream->start == stream->end) {
        stream->start = stream->end = 0;
    }
    if (stream->buffer == NULL && (stream->buffer = sl__net_buffer_get()) == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a read buffer");
    }
    compact(stream);
    if (stream->end == SL_STREAM_READ_AHEAD_BYTES) {
        return sl_fail(SL_EMSGSIZE, "the read buffer is full");
    }
    size_t bytes = 0;
    int code = receive(stream, stream->buffer + stream->end, SL_STREAM_READ_AHEAD_BYTES - stream->end, &bytes);
    stream->end += (uint32_t)bytes;
    if (code < 0 && stream->start == stream->end) {
        drop_buffer(stream);
    }
    return code;
}

int sl_stream_read(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    if (size_bytes == 0) {
        return sl_fail(SL_EINVAL, "sl_stream_read(): no room");
    }
    SL_TRY(begin_read(stream));
    int code = 0;
    while (code == 0 && stream->start == stream->end) {
        /* A large reader gets it without a copy. */
        bool direct = size_bytes >= SL_STREAM_READ_AHEAD_BYTES / 4;
        code = direct ? receive(stream, buffer, size_bytes, ret_bytes) : sl__stream_fill_now(stream);
        if (code == 0 && direct) {
            stream->in_read = false;
            sl__coop(sl__self());
            return 0;
        }
        if (code == SL_EAGAIN) {
            code = sl__stream_wait(stream, SL_READABLE);
        }
    }
    if (code == SL_ECLOSED) {
        return code;
    }
    stream->in_read = false;
    if (code < 0) {
        return code;
    }
    size_t bytes = stream->end - stream->start;
    bytes = bytes < size_bytes ? bytes : size_bytes;
    memcpy(buffer, stream->buffer + stream->start, bytes);
    stream->start += (uint32_t)bytes;
    *ret_bytes = bytes;
    sl__coop(sl__self());
    return 0;
}

struct sl_view sl_stream_buffered(const sl_stream *stream)
{
    static char nothing[SL_STREAM_PADDING_BYTES]; /* so that views are never NULL; nobody writes into 0 bytes */
    if (stream->buffer == NULL) {
        return (struct sl_view){nothing, 0};
    }
    return (struct sl_view){stream->buffer + stream->start, stream->end - stream->start};
}

int sl_stream_peek(sl_stream *stream, size_t min_bytes, struct sl_view *ret_view)
{
    if (min_bytes == 0 || min_bytes > SL_STREAM_READ_AHEAD_BYTES) {
        return sl_fail(SL_EINVAL, "sl_stream_peek(): not 1 to %zu bytes", SL_STREAM_READ_AHEAD_BYTES);
    }
    SL_TRY(begin_read(stream));
    int code = 0;
    while (code == 0 && stream->end - stream->start < min_bytes) {
        code = sl__stream_fill_now(stream);
        if (code == SL_EAGAIN) {
            code = sl__stream_wait(stream, SL_READABLE);
        }
    }
    if (code == SL_ECLOSED) {
        return code;
    }
    stream->in_read = false;
    *ret_view = sl_stream_buffered(stream);
    sl__coop(sl__self());
    return code;
}

void sl__stream_look_anew(sl_stream *stream)
{
    if (stream->ops->look_anew != NULL) {
        stream->ops->look_anew(stream);
    }
}

int sl_stream_check(sl_stream *stream)
{
    if (stream->start != stream->end || stream->in_read) {
        return 0;
    }
    sl__stream_look_anew(stream);
    int code = sl__stream_fill_now(stream);
    return code == SL_EAGAIN ? 0 : code;
}

void sl_stream_consume(sl_stream *stream, size_t size_bytes)
{
    SL_ASSERT(size_bytes <= stream->end - stream->start);
    stream->start += (uint32_t)size_bytes;
}

/* ---- writing ---- */

/* Moves on by what was sent; true while something is left. */
static bool advance(struct sl_bytes **pieces, size_t *count, size_t sent)
{
    while (*count > 0 && sent >= (*pieces)->size_bytes) {
        sent -= (*pieces)->size_bytes;
        (*pieces)++;
        (*count)--;
    }
    if (*count > 0) {
        (*pieces)->data = (const char *)(*pieces)->data + sent;
        (*pieces)->size_bytes -= sent;
    }
    return *count > 0;
}

static int begin_write(sl_stream *stream)
{
    SL_TRY(sl_checkpoint_if_cancelled());
    if (stream->in_write) {
        return sl_fail(SL_EBUSY, "another task writes to this stream");
    }
    stream->in_write = true;
    return 0;
}

static int unfinished(void)
{
    return sl_fail(SL_EPIPE, "an earlier write was not completed, or the stream was shut down");
}

int sl_stream_write_now(sl_stream *stream, const void *data, size_t size_bytes, size_t *ret_bytes)
{
    *ret_bytes = 0;
    if (stream->write_broken || stream->shut) {
        return unfinished();
    }
    if (stream->in_write) {
        return SL_EBUSY;
    }
    int code = 0;
    while (code == 0 && *ret_bytes < size_bytes) {
        struct sl_bytes piece = {(const char *)data + *ret_bytes, size_bytes - *ret_bytes};
        size_t sent = 0;
        code = stream->ops->send(stream, &piece, 1, &sent);
        *ret_bytes += sent;
        stream->counts.sent_bytes += sent;
    }
    stream->write_broken = code < 0 && code != SL_EAGAIN;
    return code == SL_EAGAIN ? 0 : code;
}

int sl_stream_write_pieces(sl_stream *stream, const struct sl_bytes *pieces, size_t count)
{
    struct sl_bytes left[SL_STREAM_PIECES_MAX];
    struct sl_bytes *next = left;
    if (count > SL_STREAM_PIECES_MAX) {
        return sl_fail(SL_EINVAL, "more than %d pieces", SL_STREAM_PIECES_MAX);
    }
    if (stream->write_broken || stream->shut) {
        return unfinished();
    }
    SL_TRY(begin_write(stream));
    memcpy(left, pieces, count * sizeof *pieces);
    int code = 0;
    for (bool more = advance(&next, &count, 0); more && code == 0;) {
        size_t sent = 0;
        code = stream->ops->send(stream, next, count, &sent);
        if (code == 0) {
            stream->counts.sent_bytes += sent;
            more = advance(&next, &count, sent);
        } else if (code == SL_EAGAIN) {
            code = sl__stream_wait(stream, SL_WRITABLE);
        }
    }
    if (code == SL_ECLOSED) {
        return code;
    }
    stream->in_write = false;
    if (code < 0) {
        stream->write_broken = true;
        return code;
    }
    sl__coop(sl__self());
    return 0;
}

int sl_stream_write(sl_stream *stream, const void *data, size_t size_bytes)
{
    struct sl_bytes piece = {data, size_bytes};
    return sl_stream_write_pieces(stream, &piece, 1);
}

int sl_stream_shutdown(sl_stream *stream)
{
    if (stream->shut_all) {
        return 0;
    }
    SL_TRY(begin_write(stream));
    stream->shut = true;
    int code = stream->ops->shutdown(stream);
    while (code == SL_EAGAIN) {
        code = sl__stream_wait(stream, SL_WRITABLE);
        code = code == 0 ? stream->ops->shutdown(stream) : code;
    }
    if (code != SL_ECLOSED) {
        stream->in_write = false;
        stream->shut_all = code == 0;
    }
    return code;
}

/* ---- the end ---- */

static void finish(sl_stream *stream, bool reset)
{
    if (stream != NULL) {
        drop_buffer(stream);
        sl__waits_close(&stream->waits);
        stream->ops->close(stream, reset);
    }
}

void sl_stream_close(sl_stream *stream)
{
    finish(stream, false);
}

void sl_stream_reset(sl_stream *stream)
{
    finish(stream, true);
}

/* ---- looking ---- */

void sl_stream_peer(const sl_stream *stream, char *text, size_t text_bytes)
{
    stream->ops->describe(stream, true, text, text_bytes);
}

void sl_stream_local(const sl_stream *stream, char *text, size_t text_bytes)
{
    stream->ops->describe(stream, false, text, text_bytes);
}

struct sl_stream_counts sl_stream_counts_get(const sl_stream *stream)
{
    return stream->counts;
}
