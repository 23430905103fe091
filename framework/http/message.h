/* SPDX-License-Identifier: MIT */
/*
 * The HTTP/1.1 codec: heads, bodies, and what a head must keep to. It does no I/O, except that
 * sl__http_body_next() takes its bytes from a stream. Source: RFC 9112.
 */
#ifndef SL_HTTP_MESSAGE_H
#define SL_HTTP_MESSAGE_H

#include <llhttp.h>

#include "sluice/http.h"
#include "sluice/scope.h"

enum sl__http_kind { SL_HTTP_REQUEST, SL_HTTP_RESPONSE };

/* How the end of a body is told (RFC 9112, 6.3). */
enum sl__http_framing { SL_HTTP_NO_BODY, SL_HTTP_BY_LENGTH, SL_HTTP_CHUNKED, SL_HTTP_UNTIL_END };

struct sl__http_limits {
    uint32_t line_bytes; /* of the target, or of a response's first line */
    uint32_t head_bytes; /* at most SL_HTTP_HEAD_BYTES_CAP */
    uint32_t headers;    /* at most SL_HTTP_HEADERS_MAX */
    uint32_t extension_bytes;
    uint32_t trailer_bytes;
    uint64_t body_bytes;
};

/* A head must fit into a stream's buffer, with room behind it; places in it are 16-bit numbers. */
#define SL_HTTP_HEAD_BYTES_CAP 49152U

/* Empty lines in front of a request are skipped (RFC 9112, 2.2), this many. */
#define SL_HTTP_EMPTY_LINES_MAX 4

/* A piece of the head: offset from its first byte. */
struct sl__http_piece {
    uint16_t at, bytes;
};

struct sl__http_field {
    struct sl__http_piece name, value;
};

/* ---- chunks ---- */

struct sl__http_chunks {
    uint64_t left;            /* of the chunk's data */
    uint32_t extension_bytes; /* of the whole body */
    uint32_t trailer_bytes;
    uint8_t state;
    uint8_t digits;
};

/*
 * Looks at `data` and goes as far as the next piece of the body (at most `max_bytes`), the end, or the end of the data. 0: it wants
 * more; 1: `ret_body` lies in `data`, and was used; 2: the body has ended. `ret_used` counts what need not be shown
 * again. SL_EPROTO or SL_EMSGSIZE with a message.
 */
int sl__http_chunks_next(struct sl__http_chunks *chunks, const struct sl__http_limits *limits, struct sl_view data,
                         size_t max_bytes, size_t *ret_used, struct sl_bytes *ret_body);

/* ---- bodies ---- */

struct sl__http_body {
    enum sl__http_framing framing;
    bool ended;
    uint64_t left; /* by length */
    uint64_t seen_bytes;
    struct sl__http_chunks chunks;
    const struct sl__http_limits *limits;
};

/*
 * The next piece of the body, at most `max_bytes`; it lies in the stream's buffer until the stream is next asked for something. Waits.
 * SL_EOF at the end; SL_ECONNRESET when the connection ended before; SL_EPROTO, SL_EMSGSIZE, and the stream's codes.
 */
int sl__http_body_next(sl_stream *stream, struct sl__http_body *body, size_t max_bytes, struct sl_bytes *ret_piece);
/* The same from what lies in the buffer: never waits; SL_EAGAIN when that is not enough. */
int sl__http_body_buffered(sl_stream *stream, struct sl__http_body *body, size_t max_bytes, struct sl_bytes *ret_piece);
/* Reads into `buffer`, past the stream's own where that is possible; waits; codes as above. */
int sl__http_body_read(sl_stream *stream, struct sl__http_body *body, void *buffer, size_t size_bytes,
                       size_t *ret_bytes);

/* ---- messages ---- */

struct sl_http_message {
    llhttp_t parser;
    const struct sl__http_limits *limits;
    char *base;       /* the head's first byte: in the stream's buffer, or `copy` */
    char *copy;       /* the head, once it had to leave the buffer */
    char *body_copy;  /* likewise the body */
    const char *body; /* whole, if it was read whole */
    size_t body_bytes;
    uint64_t length;    /* by Content-Length */
    const char *reason; /* why the head was refused */
    uint32_t head_bytes;
    uint32_t fed;
    uint16_t refused; /* the status that a server refuses it with */
    uint16_t field_count;
    struct sl__http_piece target, path, query;
    uint8_t framing; /* enum sl__http_framing */
    uint8_t kind;
    bool in_value;
    bool keep_alive;
    bool upgrade; /* asks for, or grants, another protocol */
    bool expects_continue;
    bool body_expected; /* of a response: false after HEAD */
    struct sl__http_field fields[SL_HTTP_HEADERS_MAX];
};

/* Makes ready for a message; `limits` are borrowed. Nothing of an earlier message may be held any more. */
void sl__http_message_begin(sl_http_message *message, enum sl__http_kind kind, const struct sl__http_limits *limits);

/*
 * `data` begins with the head and has grown since the last call (it may have moved). 1: the head is whole,
 * `head_bytes` long, and its texts were ended by NULs in place; 0: more is wanted; SL_EPROTO or SL_EMSGSIZE:
 * refused, with `refused` and `reason` set.
 */
int sl__http_message_feed(sl_http_message *message, char *data, size_t size_bytes);

/* Moves the head, and the body if it was read in place, out of the stream's buffer. 0 or SL_ENOMEM. */
int sl__http_message_keep(sl_http_message *message);

/* Frees what the message holds, not the message. */
void sl__http_message_done(sl_http_message *message);

struct sl__http_body sl__http_message_body(const sl_http_message *message);

/* Waits for a whole head and takes it from the stream; `message` was begun. Codes of feed and peek. */
int sl__http_message_read(sl_stream *stream, sl_http_message *message);

/* rules.c: what a whole head must keep to; finds the framing. 0, or SL_EPROTO with `refused` and `reason` set. */
int sl__http_check_head(sl_http_message *message);
int sl__http_refuse(sl_http_message *message, int status, const char *reason);

/* ---- small things ---- */

/* Characters of tokens, and of field values (RFC 9110, 5.5 and 5.6.2). */
bool sl__http_is_token(unsigned char c);
bool sl__http_is_value(unsigned char c);
bool sl__http_all(struct sl_bytes text, bool (*is)(unsigned char));
/* Whether `text`, a comma-separated list, has the token, whatever its case. */
bool sl__http_has_token(struct sl_bytes text, const char *token);
bool sl__http_same(struct sl_bytes text, const char *word); /* whatever the case */
/* "Host" and the authority of a target: name or literal, and perhaps a port. */
bool sl__http_is_authority(struct sl_bytes text);

/* Ends a scope that only bounded the time of one call: SL_ETIMEDOUT when that is what interrupted it, else its code. */
static inline int sl__http_bounded(sl_scope *scope, int code)
{
    int closed = sl_scope_close(scope, code == SL_ECANCELED ? code : 0);
    return code == SL_ECANCELED && closed < 0 ? closed : code;
}

static inline struct sl_bytes sl__http_text(const sl_http_message *message, struct sl__http_piece piece)
{
    return (struct sl_bytes){message->base + piece.at, piece.bytes};
}

#endif
