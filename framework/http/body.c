/* SPDX-License-Identifier: MIT */
/* Bodies from a stream, piece by piece and in place, whatever tells their end. */
#include <string.h>

#include "message.h"

/* How many bytes a length-bound body may have on offer now. */
static uint64_t room(const struct sl__http_body *body)
{
    return body->framing == SL_HTTP_BY_LENGTH ? body->left : UINT64_MAX;
}

static int too_large(const struct sl__http_body *body)
{
    return sl_fail(SL_EMSGSIZE, "HTTP: a body of more than %llu bytes", (unsigned long long)body->limits->body_bytes);
}

static int count(struct sl__http_body *body, size_t bytes)
{
    body->seen_bytes += bytes;
    if (body->framing == SL_HTTP_BY_LENGTH) {
        body->left -= bytes;
    }
    if (body->seen_bytes > body->limits->body_bytes) {
        return too_large(body);
    }
    return 0;
}

static int take_chunked(sl_stream *stream, struct sl__http_body *body, size_t max_bytes, struct sl_bytes *ret_piece)
{
    struct sl_view view = sl_stream_buffered(stream);
    size_t used = 0;
    int found = sl__http_chunks_next(&body->chunks, body->limits, view, max_bytes, &used, ret_piece);
    SL_TRY(found);
    sl_stream_consume(stream, used);
    if (found == 2) {
        body->ended = true;
        return SL_EOF;
    }
    SL_TRY(count(body, found == 1 ? ret_piece->size_bytes : 0));
    if (body->chunks.left > body->limits->body_bytes - body->seen_bytes) {
        return too_large(body); /* said is as good as done */
    }
    return found == 1 ? 0 : SL_EAGAIN;
}

int sl__http_body_buffered(sl_stream *stream, struct sl__http_body *body, size_t max_bytes, struct sl_bytes *ret_piece)
{
    if (body->ended || body->framing == SL_HTTP_NO_BODY || room(body) == 0) {
        body->ended = true;
        return SL_EOF;
    }
    struct sl_view view = sl_stream_buffered(stream);
    if (view.size_bytes == 0) {
        return SL_EAGAIN;
    }
    if (body->framing == SL_HTTP_CHUNKED) {
        return take_chunked(stream, body, max_bytes, ret_piece);
    }
    size_t bytes = view.size_bytes < max_bytes ? view.size_bytes : max_bytes;
    bytes = bytes < room(body) ? bytes : (size_t)room(body);
    *ret_piece = (struct sl_bytes){view.data, bytes};
    sl_stream_consume(stream, bytes);
    return count(body, bytes);
}

static int ended_early(struct sl__http_body *body)
{
    if (body->framing == SL_HTTP_UNTIL_END) {
        body->ended = true;
        return SL_EOF;
    }
    return sl_fail(SL_ECONNRESET, "the connection ended within a body, after %llu bytes of it",
                   (unsigned long long)body->seen_bytes);
}

int sl__http_body_next(sl_stream *stream, struct sl__http_body *body, size_t max_bytes, struct sl_bytes *ret_piece)
{
    int code;
    while ((code = sl__http_body_buffered(stream, body, max_bytes, ret_piece)) == SL_EAGAIN) {
        struct sl_view view;
        code = sl_stream_peek(stream, 1, &view);
        if (code == SL_EOF) {
            return ended_early(body);
        }
        SL_TRY(code);
    }
    return code;
}

int sl__http_body_read(sl_stream *stream, struct sl__http_body *body, void *buffer, size_t size_bytes,
                       size_t *ret_bytes)
{
    bool plain = body->framing == SL_HTTP_BY_LENGTH || body->framing == SL_HTTP_UNTIL_END;
    if (plain && !body->ended && room(body) > 0) {
        size_t want = size_bytes < room(body) ? size_bytes : (size_t)room(body);
        int code = sl_stream_read(stream, buffer, want, ret_bytes);
        if (code == SL_EOF) {
            return ended_early(body);
        }
        SL_TRY(code);
        return count(body, *ret_bytes);
    }
    struct sl_bytes piece;
    SL_TRY(sl__http_body_next(stream, body, size_bytes, &piece));
    memcpy(buffer, piece.data, piece.size_bytes);
    *ret_bytes = piece.size_bytes;
    return 0;
}
