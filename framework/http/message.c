/* SPDX-License-Identifier: MIT */
/*
 * Heads, parsed in place: llhttp finds the parts, this notes where they lie, and rules.c makes sure that nothing else
 * lies between them. llhttp 8 lets through a bare LF behind a request line, a bare CR behind a header and more.
 */
#include "message.h"

#include <string.h>
#include <strings.h>

static sl_http_message *self_of(llhttp_t *parser)
{
    return parser->data;
}

static uint16_t place_of(const sl_http_message *message, const char *at)
{
    return (uint16_t)(at - message->base);
}

/* A part comes in pieces where the reads were cut; they follow on each other. */
static void extend(const sl_http_message *message, struct sl__http_piece *piece, const char *at, size_t length)
{
    if (piece->bytes == 0) {
        piece->at = place_of(message, at);
    }
    piece->bytes = (uint16_t)(place_of(message, at) + length - piece->at);
}

int sl__http_refuse(sl_http_message *message, int status, const char *reason)
{
    message->refused = (uint16_t)status;
    message->reason = reason;
    return status == 413 || status == 414 || status == 431 ? SL_EMSGSIZE : SL_EPROTO;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    sl_http_message *message = self_of(parser);
    extend(message, &message->target, at, length);
    if (message->target.bytes > message->limits->line_bytes) {
        (void)sl__http_refuse(message, 414, "the target is too long");
        return HPE_USER;
    }
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t length)
{
    sl_http_message *message = self_of(parser);
    if (message->field_count == 0 || message->in_value) {
        if (message->field_count == message->limits->headers) {
            (void)sl__http_refuse(message, 431, "too many headers");
            return HPE_USER;
        }
        message->fields[message->field_count++] = (struct sl__http_field){{0, 0}, {0, 0}};
        message->in_value = false;
    }
    extend(message, &message->fields[message->field_count - 1].name, at, length);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    sl_http_message *message = self_of(parser);
    message->in_value = true;
    extend(message, &message->fields[message->field_count - 1].value, at, length);
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    self_of(parser)->in_value = true;
    return 0;
}

/* Stops behind the head: bodies are body.c's. */
static int on_headers_complete(llhttp_t *parser)
{
    (void)parser;
    return 2;
}

static const llhttp_settings_t settings = {.on_url = on_url,
                                           .on_header_field = on_field,
                                           .on_header_value = on_value,
                                           .on_header_value_complete = on_value_complete,
                                           .on_headers_complete = on_headers_complete};

void sl__http_message_begin(sl_http_message *message, enum sl__http_kind kind, const struct sl__http_limits *limits)
{
    memset(message, 0, offsetof(sl_http_message, fields));
    message->kind = kind;
    message->limits = limits;
    message->body_expected = true;
    llhttp_init(&message->parser, kind == SL_HTTP_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    message->parser.data = message;
}

/*
 * An unknown method is no mistake of the protocol; rubbish in its place is. Which it is shows only where the token
 * ends: until then 0, more is wanted, so that the answer is the same however the bytes are cut. The parser stays where
 * it is and says the same again.
 */
static int refuse_method(sl_http_message *message, const char *data, size_t size_bytes)
{
    size_t length = 0;
    while (length < size_bytes && sl__http_is_token((unsigned char)data[length])) {
        length++;
    }
    if (length == size_bytes) {
        return length <= message->limits->head_bytes ? 0 : sl__http_refuse(message, 431, "the head is too long");
    }
    return length > 0 && data[length] == ' ' ? sl__http_refuse(message, 501, "a method that is not known")
                                             : sl__http_refuse(message, 400, "no HTTP request");
}

/* "HTTP/x.y" with digits is a version, though none of ours. */
static int refuse_version(sl_http_message *message, const char *at, const char *end)
{
    while (at > message->base && at[-1] != '/') {
        at--;
    }
    bool whole = end - at >= 3 && at[0] >= '0' && at[0] <= '9' && at[1] == '.' && at[2] >= '0' && at[2] <= '9';
    bool ours = whole && at[0] == '1' && at[2] <= '1'; /* then it is what follows that llhttp minds */
    return whole && !ours ? sl__http_refuse(message, 505, "a version of HTTP that is not spoken here")
                          : sl__http_refuse(message, 400, "no version of HTTP");
}

static int refuse(sl_http_message *message, llhttp_errno_t error, char *data, size_t size_bytes)
{
    const char *reason = llhttp_get_error_reason(&message->parser);
    switch (error) {
    case HPE_USER:
        return message->refused == 431 || message->refused == 414 ? SL_EMSGSIZE
                                                                  : sl__http_refuse(message, 400, "bad syntax");
    case HPE_INVALID_METHOD:
        return refuse_method(message, data, size_bytes);
    case HPE_INVALID_VERSION:
        return refuse_version(message, llhttp_get_error_pos(&message->parser), data + size_bytes);
    case HPE_PAUSED_H2_UPGRADE:
        return sl__http_refuse(message, 505, "HTTP/2 is not spoken here");
    default:
        return sl__http_refuse(message, 400, reason == NULL || reason[0] == '\0' ? "bad syntax" : reason);
    }
}

int sl__http_message_feed(sl_http_message *message, char *data, size_t size_bytes)
{
    const struct sl__http_limits *limits = message->limits;
    size_t shown = size_bytes < (size_t)limits->head_bytes + 1 ? size_bytes : (size_t)limits->head_bytes + 1;
    message->base = data;
    llhttp_errno_t result = llhttp_execute(&message->parser, data + message->fed, shown - message->fed);
    if (result == HPE_OK) {
        message->fed = (uint32_t)shown;
        return shown > limits->head_bytes ? sl__http_refuse(message, 431, "the head is too long") : 0;
    }
    if (result != HPE_PAUSED_UPGRADE) {
        return refuse(message, result, data, size_bytes);
    }
    message->head_bytes = (uint32_t)(llhttp_get_error_pos(&message->parser) - data);
    if (message->head_bytes > limits->head_bytes) {
        return sl__http_refuse(message, 431, "the head is too long");
    }
    SL_TRY(sl__http_check_head(message));
    return 1;
}

int sl__http_message_keep(sl_http_message *message)
{
    if (message->copy == NULL) {
        message->copy = sl_malloc(message->head_bytes);
        if (message->copy == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a head");
        }
        memcpy(message->copy, message->base, message->head_bytes);
        message->base = message->copy;
    }
    if (message->body_bytes > 0 && message->body_copy == NULL) {
        message->body_copy = sl_malloc(message->body_bytes + SL_STREAM_PADDING_BYTES);
        if (message->body_copy == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a body");
        }
        memcpy(message->body_copy, message->body, message->body_bytes);
        message->body = message->body_copy;
    }
    return 0;
}

void sl__http_message_done(sl_http_message *message)
{
    sl_free(message->copy);
    sl_free(message->body_copy);
    message->copy = message->body_copy = NULL;
    message->body = NULL;
    message->body_bytes = 0;
}

struct sl__http_body sl__http_message_body(const sl_http_message *message)
{
    return (struct sl__http_body){
        .framing = (enum sl__http_framing)message->framing, .left = message->length, .limits = message->limits};
}

/* Its own text for the task, which feed() leaves to callers that answer with a status. */
static int fail_head(const sl_http_message *message, int code)
{
    return sl_fail(code, "HTTP: %s", message->reason);
}

int sl__http_message_read(sl_stream *stream, sl_http_message *message)
{
    struct sl_view view = sl_stream_buffered(stream);
    int found = 0;
    while (found == 0) {
        size_t had = view.size_bytes;
        if (had > 0) {
            found = sl__http_message_feed(message, view.data, had);
        }
        if (found == 0) {
            int code = sl_stream_peek(stream, had + 1, &view);
            if (code == SL_EOF && had > 0) {
                return sl_fail(SL_ECONNRESET, "the connection ended within the head of a message");
            }
            SL_TRY(code);
        }
    }
    if (found < 0) {
        return fail_head(message, found);
    }
    sl_stream_consume(stream, message->head_bytes);
    return 0;
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
    return message->kind == SL_HTTP_REQUEST ? message->base + message->target.at : "";
}

struct sl_bytes sl_http_path(const sl_http_message *message)
{
    return sl__http_text(message, message->path);
}

const char *sl_http_header(const sl_http_message *message, const char *name)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct sl__http_field *field = &message->fields[i];
        if (sl__http_same(sl__http_text(message, field->name), name)) {
            return message->base + field->value.at;
        }
    }
    return NULL;
}

size_t sl_http_header_count(const sl_http_message *message)
{
    return message->field_count;
}

struct sl_http_field sl_http_header_at(const sl_http_message *message, size_t index)
{
    if (index >= message->field_count) {
        return (struct sl_http_field){NULL, NULL};
    }
    const struct sl__http_field *field = &message->fields[index];
    return (struct sl_http_field){message->base + field->name.at, message->base + field->value.at};
}

bool sl_http_is_1_1(const sl_http_message *message)
{
    return message->parser.http_minor >= 1;
}

const char *sl_http_body(const sl_http_message *message, size_t *ret_bytes)
{
    if (ret_bytes != NULL) {
        *ret_bytes = message->body_bytes;
    }
    return message->body == NULL ? "" : message->body;
}
