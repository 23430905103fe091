/* SPDX-License-Identifier: MIT */
/* HTTP client: one request a connection. */
#include <stdio.h>
#include <string.h>

#include "message.h"

#define HEAD_BYTES 4096

/* Interim answers (100 Continue, 103 Early Hints) that are skipped before the final one. */
#define INTERIM_MAX 8

static int write_head(sl_stream *stream, const char *host, const char *target, const char *headers)
{
    if (strpbrk(target, " \r\n") != NULL || strpbrk(host, " \r\n") != NULL) {
        return sl_fail(SL_EINVAL, "a target or host with white space");
    }
    char head[HEAD_BYTES];
    int length = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, host, headers);
    if (length < 0 || (size_t)length >= sizeof head) {
        return sl_fail(SL_EMSGSIZE, "the request's head is longer than %d bytes", HEAD_BYTES);
    }
    return sl_stream_write(stream, head, (size_t)length);
}

static int read_final(sl_stream *stream, sl_http_message **ret_response)
{
    sl_auto(sl_http_message) *interim = NULL;
    for (int i = 0; i <= INTERIM_MAX; i++) {
        struct sl_bytes leftover = interim == NULL ? (struct sl_bytes){NULL, 0} : sl_http_leftover(interim);
        sl_http_message *response = NULL;
        SL_TRY(sl__http_read(stream, SL_HTTP_RESPONSE, leftover, &response));
        if (sl_http_status(response) >= 200 || sl_http_status(response) == 101) {
            *ret_response = response;
            return 0;
        }
        sl_http_message_free(interim);
        interim = response;
    }
    return sl_fail(SL_EPROTO, "more than %d interim answers", INTERIM_MAX);
}

int sl_http_upgrade(sl_stream *stream, const char *host, const char *target, const char *headers,
                    sl_http_message **ret_response)
{
    SL_TRY(write_head(stream, host, target, headers));
    return read_final(stream, ret_response);
}

int sl_http_get(const char *address, int port, const char *target, sl_http_message **ret_response)
{
    char host[256];
    (void)snprintf(host, sizeof host, "%s:%d", address, port);
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_connect(address, port, &stream));
    return sl_http_upgrade(stream, host, target, "Connection: close\r\n", ret_response);
}
