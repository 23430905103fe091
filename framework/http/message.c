/* SPDX-License-Identifier: MIT */
/*
 * One HTTP message through llhttp. llhttp gives texts in pieces cut where the reads were cut, so they are
 * gathered: target, header names and values one after the other, each with a NUL, in one bounded buffer.
 */
#include "message.h"

#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define READ_BYTES 4096

struct sl_http_message {
    llhttp_t parser;
    char head[SL_HTTP_HEAD_BYTES_MAX];
    size_t head_bytes;
    struct {
        uint32_t name, value;
    } headers[SL_HTTP_HEADERS_MAX];
    size_t header_count;
    bool in_value;
    bool keep_alive;
    bool complete;
    char *body;
    size_t body_bytes, body_capacity;
    size_t left_bytes;
    int problem; /* a limit was hit in a callback */
    char left[READ_BYTES];
};

/* ---- llhttp's callbacks ---- */

static sl_http_message *self_of(llhttp_t *parser)
{
    return parser->data;
}

static int gather(sl_http_message *message, const char *at, size_t length)
{
    if (length >= sizeof message->head - message->head_bytes) {
        message->problem = SL_EMSGSIZE;
        return -1;
    }
    memcpy(message->head + message->head_bytes, at, length);
    message->head_bytes += length;
    return 0;
}

static int end_text(sl_http_message *message)
{
    return gather(message, "", 1);
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    return gather(self_of(parser), at, length);
}

static int on_url_complete(llhttp_t *parser)
{
    return end_text(self_of(parser));
}

static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
    sl_http_message *message = self_of(parser);
    if (message->header_count == 0 || message->in_value) {
        if (message->header_count == SL_HTTP_HEADERS_MAX) {
            message->problem = SL_EMSGSIZE;
            return -1;
        }
        message->headers[message->header_count++].name = (uint32_t)message->head_bytes;
        message->in_value = false;
    }
    return gather(message, at, length);
}

static int on_header_field_complete(llhttp_t *parser)
{
    sl_http_message *message = self_of(parser);
    int code = end_text(message);
    message->headers[message->header_count - 1].value = (uint32_t)message->head_bytes;
    message->in_value = true;
    return code;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
    return gather(self_of(parser), at, length);
}

/* White space behind a value is not part of it, and llhttp leaves it there. */
static int on_header_value_complete(llhttp_t *parser)
{
    sl_http_message *message = self_of(parser);
    uint32_t start = message->headers[message->header_count - 1].value;
    while (message->head_bytes > start &&
           (message->head[message->head_bytes - 1] == ' ' || message->head[message->head_bytes - 1] == '\t')) {
        message->head_bytes--;
    }
    return end_text(message);
}

/* A body that says it is too long is refused before any of it is read. */
static int on_headers_complete(llhttp_t *parser)
{
    if ((parser->flags & F_CONTENT_LENGTH) != 0 && parser->content_length > SL_HTTP_BODY_BYTES_MAX) {
        self_of(parser)->problem = SL_EMSGSIZE;
        return -1;
    }
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    sl_http_message *message = self_of(parser);
    if (length > SL_HTTP_BODY_BYTES_MAX - message->body_bytes) {
        message->problem = SL_EMSGSIZE;
        return -1;
    }
    if (message->body_bytes + length >= message->body_capacity) {
        size_t capacity = (message->body_bytes + length + 1) * 2;
        char *body = sl_realloc(message->body, capacity);
        if (body == NULL) {
            message->problem = SL_ENOMEM;
            return -1;
        }
        message->body = body;
        message->body_capacity = capacity;
    }
    memcpy(message->body + message->body_bytes, at, length);
    message->body_bytes += length;
    message->body[message->body_bytes] = '\0';
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    sl_http_message *message = self_of(parser);
    message->complete = true;
    message->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED; /* what follows belongs to the next message */
}

static const llhttp_settings_t settings = {.on_url = on_url,
                                           .on_url_complete = on_url_complete,
                                           .on_header_field = on_header_field,
                                           .on_header_field_complete = on_header_field_complete,
                                           .on_header_value = on_header_value,
                                           .on_header_value_complete = on_header_value_complete,
                                           .on_headers_complete = on_headers_complete,
                                           .on_body = on_body,
                                           .on_message_complete = on_complete};

/* ---- reading ---- */

/* 1 when the message is complete, 0 to go on, or an error. Keeps what lies behind the message. */
static int feed(sl_http_message *message, const char *data, size_t size_bytes)
{
    llhttp_errno_t result = llhttp_execute(&message->parser, data, size_bytes);
    if (result == HPE_OK && !message->complete) {
        return 0;
    }
    if (message->complete || result == HPE_PAUSED || result == HPE_PAUSED_UPGRADE) {
        const char *behind = llhttp_get_error_pos(&message->parser);
        size_t used = behind == NULL ? size_bytes : (size_t)(behind - data);
        used = used > size_bytes ? size_bytes : used;
        message->left_bytes = size_bytes - used;
        memcpy(message->left, data + used, message->left_bytes);
        return 1;
    }
    if (message->problem != 0) {
        return sl_fail(message->problem, "HTTP message: %s", sl_strerror(message->problem));
    }
    const char *reason = llhttp_get_error_reason(&message->parser);
    return sl_fail(SL_EPROTO, "HTTP: %s (%s)", reason == NULL ? "" : reason, llhttp_errno_name(result));
}

static int read_all(sl_stream *stream, sl_http_message *message, struct sl_bytes leftover)
{
    char *buffer = sl_malloc(READ_BYTES);
    if (buffer == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an HTTP message");
    }
    int code = leftover.size_bytes > 0 ? feed(message, leftover.data, leftover.size_bytes) : 0;
    bool begun = leftover.size_bytes > 0;
    while (code == 0) {
        size_t bytes = 0;
        code = sl_stream_read(stream, buffer, READ_BYTES, &bytes);
        if (code == SL_EOF && begun) {
            (void)llhttp_finish(&message->parser); /* completes a body that lasts until the end */
            code = message->complete ? 1 : sl_fail(SL_EOF, "the connection ended within an HTTP message");
        } else if (code == 0) {
            begun = true;
            code = feed(message, buffer, bytes);
        }
    }
    sl_free(buffer);
    return code < 0 ? code : 0;
}

int sl__http_read(sl_stream *stream, enum sl__http_kind kind, struct sl_bytes leftover, sl_http_message **ret_message)
{
    sl_http_message *message = sl_malloc(sizeof *message);
    if (message == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an HTTP message");
    }
    memset(message, 0, sizeof *message);
    llhttp_init(&message->parser, kind == SL_HTTP_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    message->parser.data = message;
    int code = read_all(stream, message, leftover);
    if (code < 0) {
        sl_http_message_free(message);
        return code;
    }
    *ret_message = message;
    return 0;
}

bool sl__http_keep_alive(const sl_http_message *message)
{
    return message->keep_alive;
}

/* ---- looking ---- */

int sl_http_status(const sl_http_message *message)
{
    return message->parser.status_code;
}

const char *sl_http_method(const sl_http_message *message)
{
    return llhttp_method_name((llhttp_method_t)message->parser.method);
}

const char *sl_http_target(const sl_http_message *message)
{
    return message->parser.type == HTTP_REQUEST ? message->head : "";
}

const char *sl_http_header(const sl_http_message *message, const char *name)
{
    for (size_t i = 0; i < message->header_count; i++) {
        if (strcasecmp(message->head + message->headers[i].name, name) == 0) {
            return message->head + message->headers[i].value;
        }
    }
    return NULL;
}

size_t sl_http_header_count(const sl_http_message *message)
{
    return message->header_count;
}

struct sl_http_field sl_http_header_at(const sl_http_message *message, size_t index)
{
    if (index >= message->header_count) {
        return (struct sl_http_field){NULL, NULL};
    }
    return (struct sl_http_field){message->head + message->headers[index].name,
                                  message->head + message->headers[index].value};
}

bool sl_http_is_1_1(const sl_http_message *message)
{
    return message->parser.http_major == 1 && message->parser.http_minor >= 1;
}

const char *sl_http_body(const sl_http_message *message, size_t *ret_bytes)
{
    if (ret_bytes != NULL) {
        *ret_bytes = message->body_bytes;
    }
    return message->body == NULL ? "" : message->body;
}

struct sl_bytes sl_http_leftover(const sl_http_message *message)
{
    return (struct sl_bytes){message->left, message->left_bytes};
}

void sl_http_message_free(sl_http_message *message)
{
    if (message != NULL) {
        sl_free(message->body);
        sl_free(message);
    }
}
