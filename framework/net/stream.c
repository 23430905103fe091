/* SPDX-License-Identifier: MIT */
/* Byte streams: the calls, whatever kind of stream it is. */
#include "stream.h"

int sl_stream_read(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    if (size_bytes == 0) {
        return sl_fail(SL_EINVAL, "sl_stream_read(): no room");
    }
    return stream->ops->read(stream, buffer, size_bytes, ret_bytes);
}

int sl_stream_write_pieces(sl_stream *stream, const struct sl_bytes *pieces, size_t count)
{
    return stream->ops->write(stream, pieces, count);
}

int sl_stream_write(sl_stream *stream, const void *data, size_t size_bytes)
{
    struct sl_bytes piece = {data, size_bytes};
    return stream->ops->write(stream, &piece, 1);
}

int sl_stream_shutdown(sl_stream *stream)
{
    return stream->ops->shutdown(stream);
}

void sl_stream_close(sl_stream *stream)
{
    if (stream != NULL) {
        stream->ops->close(stream, false);
    }
}

void sl_stream_reset(sl_stream *stream)
{
    if (stream != NULL) {
        stream->ops->close(stream, true);
    }
}
