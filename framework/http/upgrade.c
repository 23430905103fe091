/* SPDX-License-Identifier: MIT */
/* The client's side of protocols that begin as HTTP. */
#include <stdio.h>
#include <string.h>

#include "message.h"

#define REQUEST_BYTES 4096
#define INTERIM_MAX 8
#define EXCERPT_BYTES_MAX ((uint64_t)64 * 1024)

static const struct sl__http_limits limits = {.line_bytes = 8 * 1024,
                                              .head_bytes = 32 * 1024,
                                              .headers = SL_HTTP_HEADERS_MAX,
                                              .extension_bytes = 4096,
                                              .trailer_bytes = 4096,
                                              .body_bytes = UINT64_MAX};

static int write_request(sl_stream *stream, const char *host, const char *target, const char *headers)
{
    char head[REQUEST_BYTES];
    if (target[0] != '/' || target[strcspn(target, " \r\n")] != '\0' || host[strcspn(host, " \r\n")] != '\0') {
        return sl_fail(SL_EINVAL, "a host or target that cannot stand in a request");
    }
    int length = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, host, headers);
    if (length < 0 || (size_t)length >= sizeof head) {
        return sl_fail(SL_EMSGSIZE, "a request of more than %zu bytes", sizeof head - 1);
    }
    return sl_stream_write(stream, head, (size_t)length);
}

/* Interim answers (RFC 9110, 15.2) are skipped; 101 is none of them. */
static int read_answer(sl_stream *stream, sl_http_message *response)
{
    for (int i = 0; i < INTERIM_MAX; i++) {
        sl__http_message_begin(response, SL_HTTP_RESPONSE, &limits);
        SL_TRY(sl__http_message_read(stream, response));
        int status = sl_http_status(response);
        if (status >= 200 || status == 101) {
            return sl__http_message_keep(response);
        }
    }
    return sl_fail(SL_EPROTO, "HTTP: more than %d interim answers", INTERIM_MAX);
}

/* The whole body. SL_EMSGSIZE beyond the limit: what came before is kept. */
static int read_body(sl_stream *stream, sl_http_message *response, uint64_t max_bytes)
{
    struct sl__http_body body = sl__http_message_body(response);
    struct sl__http_limits within = limits;
    struct sl_bytes piece;
    int code;
    within.body_bytes = max_bytes;
    body.limits = &within;
    size_t capacity = 0;
    while ((code = sl__http_body_next(stream, &body, SIZE_MAX, &piece)) == 0) {
        size_t wanted = response->body_bytes + piece.size_bytes;
        if (wanted > capacity) {
            capacity = wanted > capacity * 2 ? wanted : capacity * 2;
            char *larger = sl_realloc(response->body_copy, capacity + SL_STREAM_PADDING_BYTES);
            if (larger == NULL) {
                return sl_fail(SL_ENOMEM, "no memory for a body");
            }
            response->body = response->body_copy = larger;
        }
        memcpy(response->body_copy + response->body_bytes, piece.data, piece.size_bytes);
        response->body_bytes = wanted;
        response->body_copy[wanted] = '\0';
    }
    return code == SL_EOF ? 0 : code;
}

int sl_http_upgrade(sl_stream *stream, const char *host, const char *target, const char *headers,
                    sl_http_message **ret_response)
{
    SL_TRY(write_request(stream, host, target, headers));
    sl_http_message *response = sl_calloc(1, sizeof *response);
    if (response == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an answer");
    }
    int code = read_answer(stream, response);
    if (code == 0 && sl_http_status(response) != 101) {
        code = read_body(stream, response, EXCERPT_BYTES_MAX);
        code = code == SL_EMSGSIZE ? 0 : code;
    }
    if (code < 0) {
        sl_http_message_free(response);
        return code;
    }
    *ret_response = response;
    return 0;
}

void sl_http_message_free(sl_http_message *message)
{
    if (message != NULL) {
        sl__http_message_done(message);
        sl_free(message);
    }
}
