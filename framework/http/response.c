/* SPDX-License-Identifier: MIT */
/* Reading answers: heads, bodies of all framings, unpacked. */
#include <string.h>

#include "client.h"

#define INTERIM_MAX 8
#define FIRST_BYTES ((size_t)4 * 1024)
#define DISCARD_BYTES_MAX ((size_t)64 * 1024)

int sl__response_new(struct sl__fetch *fetch, sl_response **ret_response)
{
    const struct sl_http_client_options *options = &fetch->client->options;
    sl_response *response = sl_calloc(1, sizeof *response);
    if (response == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an answer");
    }
    response->client = fetch->client;
    response->deadline = fetch->deadline;
    response->url = fetch->url;
    uint64_t streamed = fetch->request->stream_bytes_max;
    streamed = streamed == 0 ? SL_HTTP_STREAM_BYTES_MAX : streamed;
    response->bytes_left = fetch->request->stream ? streamed : UINT64_MAX; /* else make_room() sees to it */
    response->limits =
        (struct sl__http_limits){.line_bytes = (uint32_t)options->head_bytes_max,
                                 .head_bytes = (uint32_t)options->head_bytes_max,
                                 .headers = SL_HTTP_HEADERS_MAX,
                                 .extension_bytes = (uint32_t)options->head_bytes_max,
                                 .trailer_bytes = (uint32_t)options->head_bytes_max,
                                 .body_bytes = fetch->request->stream ? streamed : options->body_bytes_max};
    *ret_response = response;
    return 0;
}

void sl_response_free(sl_response *response)
{
    if (response != NULL) {
        if (response->link != NULL) {
            sl__link_release(response->client, response->link, false);
        }
        sl__unpack_free(response->unpack);
        sl__http_message_done(&response->head);
        sl_free(response->owns_url ? response->url : NULL);
        sl_free(response->body);
        sl_free(response);
    }
}

/* ---- heads ---- */

int sl__response_read_one_head(struct sl__fetch *fetch, sl_response *response, sl_stream *stream)
{
    sl__http_message_begin(&response->head, SL_HTTP_RESPONSE, &response->limits);
    response->head.body_expected = strcmp(fetch->method, "HEAD") != 0;
    SL_TRY(sl__http_message_read(stream, &response->head));
    int status = sl_http_status(&response->head);
    if (status == 101) {
        return sl_fail(SL_EPROTO, "HTTP: the server switched to another protocol, unasked");
    }
    return status >= 200 ? sl__http_message_keep(&response->head) : 0;
}

int sl__response_read_head(struct sl__fetch *fetch, sl_response *response, sl_stream *stream)
{
    for (int i = 0; i < INTERIM_MAX; i++) {
        SL_TRY(sl__response_read_one_head(fetch, response, stream));
        if (sl_http_status(&response->head) >= 200) {
            return 0;
        }
    }
    return sl_fail(SL_EPROTO, "HTTP: more than %d interim answers", INTERIM_MAX);
}

/* ---- bodies ---- */

int sl__response_begin_body(sl_response *response, struct sl__link *link)
{
    response->link = link;
    response->raw = sl__http_message_body(&response->head);
    response->raw.limits = &response->limits;
    const char *encoding = sl_http_header(&response->head, "Content-Encoding");
    if (encoding == NULL || response->client->options.no_decoding || response->raw.framing == SL_HTTP_NO_BODY) {
        return 0;
    }
    int code = sl__unpack_open((struct sl_bytes){encoding, strlen(encoding)}, &response->unpack);
    return code < 0 ? code : 0;
}

static int read_packed(sl_response *response, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    for (;;) {
        if (response->packed.size_bytes > 0 || response->unpacked_full) {
            SL_TRY(sl__unpack(response->unpack, &response->packed, buffer, size_bytes, ret_bytes));
            response->unpacked_full = *ret_bytes == size_bytes;
            if (*ret_bytes > 0) {
                return 0;
            }
        } else if (response->packed_ended) {
            return sl__unpack_ended(response->unpack) ? SL_EOF : sl_fail(SL_EPROTO, "the packed body was cut off");
        } else {
            int code = sl__http_body_next(response->link->stream, &response->raw, SIZE_MAX, &response->packed);
            if (code == SL_EOF) {
                response->packed_ended = true;
            } else {
                SL_TRY(code);
            }
        }
    }
}

/* At the end the connection can serve others, if nothing is left over on it. */
static void finish(sl_response *response, int code)
{
    struct sl__link *link = response->link;
    response->result = code;
    response->link = NULL;
    sl__link_release(response->client, link,
                     code == SL_EOF && response->head.keep_alive && sl_stream_buffered(link->stream).size_bytes == 0);
}

int sl_response_read(sl_response *response, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    if (response->result != 0) {
        return response->result;
    }
    if (size_bytes == 0) {
        return sl_fail(SL_EINVAL, "sl_response_read(): no room");
    }
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "body", .deadline = response->deadline}));
    int code = response->unpack == NULL
                   ? sl__http_body_read(response->link->stream, &response->raw, buffer, size_bytes, ret_bytes)
                   : read_packed(response, buffer, size_bytes, ret_bytes);
    int ended = sl__http_bounded(&scope, code);
    if (code == SL_ECANCELED && ended == SL_ETIMEDOUT) {
        (void)sl_fail(ended, "the body of %s took too long", response->url->text);
    }
    code = ended;
    if (code == 0 && *ret_bytes > response->bytes_left) {
        code = sl_fail(SL_EMSGSIZE, "the body of %s is longer than it may be", response->url->text);
    }
    response->bytes_left -= code == 0 ? *ret_bytes : 0;
    if (code < 0) {
        finish(response, code);
    }
    return code;
}

static int make_room(sl_response *response, size_t *capacity)
{
    size_t max = response->client->options.body_bytes_max;
    if (response->body_bytes > max) {
        return sl_fail(SL_EMSGSIZE, "the body of %s has more than %zu bytes", response->url->text, max);
    }
    if (response->body_bytes < *capacity) {
        return 0;
    }
    size_t stated = response->raw.framing == SL_HTTP_BY_LENGTH && response->unpack == NULL && response->body == NULL &&
                            response->raw.left < DISCARD_BYTES_MAX * 16
                        ? (size_t)response->raw.left + 1
                        : 0;
    size_t larger = stated > 0 ? stated : *capacity * 2 > FIRST_BYTES ? *capacity * 2 : FIRST_BYTES;
    larger = larger > max + 1 ? max + 1 : larger; /* one more, to see that it is too large */
    char *body = sl_realloc(response->body, larger + SL_STREAM_PADDING_BYTES);
    if (body == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a body");
    }
    response->body = body;
    *capacity = larger;
    return 0;
}

int sl__response_read_whole(sl_response *response)
{
    size_t capacity = 0;
    int code = 0;
    while (code == 0) {
        size_t bytes = 0;
        SL_TRY(make_room(response, &capacity));
        code =
            sl_response_read(response, response->body + response->body_bytes, capacity - response->body_bytes, &bytes);
        response->body_bytes += code == 0 ? bytes : 0;
    }
    if (code != SL_EOF) {
        return code;
    }
    response->body[response->body_bytes] = '\0';
    return 0;
}

void sl__response_discard(sl_response *response)
{
    struct sl_bytes piece;
    size_t bytes = 0;
    int code = 0;
    while (code == 0 && bytes < DISCARD_BYTES_MAX) {
        code = sl__http_body_buffered(response->link->stream, &response->raw, SIZE_MAX, &piece);
        bytes += code == 0 ? piece.size_bytes : 0;
    }
    finish(response, code == SL_EOF ? SL_EOF : SL_ECONNRESET);
}

/* ---- looking ---- */

int sl_response_status(const sl_response *response)
{
    return sl_http_status(&response->head);
}

const char *sl_response_header(const sl_response *response, const char *name)
{
    return sl_http_header(&response->head, name);
}

size_t sl_response_header_count(const sl_response *response)
{
    return sl_http_header_count(&response->head);
}

struct sl_http_field sl_response_header_at(const sl_response *response, size_t index)
{
    return sl_http_header_at(&response->head, index);
}

const char *sl_response_url(const sl_response *response)
{
    return response->url->text;
}

const char *sl_response_body(const sl_response *response, size_t *ret_bytes)
{
    if (ret_bytes != NULL) {
        *ret_bytes = response->body_bytes;
    }
    return response->body == NULL ? "" : response->body;
}
