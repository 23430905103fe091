/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies (RFC 9112, 7.1), to the letter: a bare CR or LF, a sign or space in a size, a size beyond 16 digits
 * are refused, since others may read them differently. Extensions and trailers are checked, bounded and dropped.
 */
#include <string.h>

#include "message.h"

enum { SIZE, BLANK, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, LINE, NAME, VALUE, VALUE_LF, END_LF, ENDED };

#define DIGITS_MAX 16

static int bad(const char *what)
{
    return sl_fail(SL_EPROTO, "HTTP: chunked body: %s", what);
}

static int digit_of(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of "SIZE", "SIZE;extension". */
static int on_size(struct sl__http_chunks *chunks, const struct sl__http_limits *limits, unsigned char c)
{
    int digit = digit_of(c);
    if (chunks->state == SIZE && digit >= 0) {
        if (chunks->digits++ == DIGITS_MAX) {
            return bad("the size of a chunk is too long");
        }
        chunks->left = chunks->left << 4 | (unsigned)digit;
        return 0;
    }
    if (chunks->digits == 0) {
        return bad("a chunk without a size");
    }
    if (c == '\r' && chunks->state != BLANK) {
        chunks->state = SIZE_LF;
        return 0;
    }
    if (chunks->state != EXTENSION && c != ';' && c != ' ' && c != '\t') {
        return bad("a size that is no number");
    }
    if (!sl__http_is_value(c)) {
        return bad("a control character in an extension");
    }
    if (++chunks->extension_bytes > limits->extension_bytes) {
        return sl_fail(SL_EMSGSIZE, "HTTP: chunk extensions of more than %u bytes", limits->extension_bytes);
    }
    if (chunks->state != EXTENSION) {
        chunks->state = c == ';' ? EXTENSION : BLANK;
    }
    return 0;
}

/* A byte of the trailer section. */
static int on_trailer(struct sl__http_chunks *chunks, const struct sl__http_limits *limits, unsigned char c)
{
    if (++chunks->trailer_bytes > limits->trailer_bytes) {
        return sl_fail(SL_EMSGSIZE, "HTTP: trailers of more than %u bytes", limits->trailer_bytes);
    }
    if (chunks->state == VALUE) {
        if (c == '\r') {
            chunks->state = VALUE_LF;
            return 0;
        }
        return sl__http_is_value(c) ? 0 : bad("a control character in a trailer");
    }
    if (chunks->state == LINE && c == '\r') {
        chunks->state = END_LF;
        return 0;
    }
    if (chunks->state == NAME && c == ':') {
        chunks->state = VALUE;
        return 0;
    }
    chunks->state = NAME;
    return sl__http_is_token(c) ? 0 : bad("a trailer that is no header");
}

static int on_byte(struct sl__http_chunks *chunks, const struct sl__http_limits *limits, unsigned char c)
{
    switch (chunks->state) {
    case SIZE:
    case BLANK:
    case EXTENSION:
        return on_size(chunks, limits, c);
    case SIZE_LF:
        chunks->state = chunks->left == 0 ? LINE : DATA;
        return c == '\n' ? 0 : bad("a bare CR");
    case DATA_CR:
        chunks->state = DATA_LF;
        return c == '\r' ? 0 : bad("data beyond the size of a chunk");
    case DATA_LF:
        chunks->state = SIZE;
        chunks->digits = 0;
        return c == '\n' ? 0 : bad("a bare CR");
    case VALUE_LF:
        chunks->state = LINE;
        return c == '\n' ? 0 : bad("a bare CR");
    case END_LF:
        chunks->state = ENDED;
        return c == '\n' ? 0 : bad("a bare CR");
    default:
        return on_trailer(chunks, limits, c);
    }
}

int sl__http_chunks_next(struct sl__http_chunks *chunks, const struct sl__http_limits *limits, struct sl_view data,
                         size_t max_bytes, size_t *ret_used, struct sl_bytes *ret_body)
{
    size_t at = 0;
    while (chunks->state != ENDED && at < data.size_bytes) {
        if (chunks->state == DATA) {
            size_t bytes = data.size_bytes - at < max_bytes ? data.size_bytes - at : max_bytes;
            bytes = bytes < chunks->left ? bytes : (size_t)chunks->left;
            *ret_body = (struct sl_bytes){data.data + at, bytes};
            *ret_used = at + bytes;
            chunks->left -= bytes;
            chunks->state = chunks->left == 0 ? DATA_CR : DATA;
            return 1;
        }
        SL_TRY(on_byte(chunks, limits, (unsigned char)data.data[at]));
        at++;
    }
    *ret_used = at;
    return chunks->state == ENDED ? 2 : 0;
}
