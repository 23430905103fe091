/* SPDX-License-Identifier: MIT */
/* HTTP client: one request a connection. */
#include <stdio.h>
#include <string.h>

#include "message.h"

#define HEAD_BYTES 4096

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

int sl_http_upgrade(sl_stream *stream, const char *host, const char *target, const char *headers,
                    sl_http_message **ret_response)
{
    SL_TRY(write_head(stream, host, target, headers));
    return sl__http_read(stream, SL_HTTP_RESPONSE, (struct sl_bytes){NULL, 0}, ret_response);
}

int sl_http_get(const char *address, int port, const char *target, sl_http_message **ret_response)
{
    char host[256];
    (void)snprintf(host, sizeof host, "%s:%d", address, port);
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_tcp_connect(address, port, &stream));
    return sl_http_upgrade(stream, host, target, "Connection: close\r\n", ret_response);
}
