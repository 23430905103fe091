/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1, first and small: GET requests, and a server with keep-alive whose handlers answer or take the
 * connection over. Parsing is llhttp's, strict; every size has a limit. Source: RFC 9110, RFC 9112.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include "sluice/net.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_HTTP_HEAD_BYTES_MAX ((size_t)16 * 1024)
#define SL_HTTP_HEADERS_MAX 64
#define SL_HTTP_BODY_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Connections that one server has open; further ones are closed at once. */
#define SL_HTTP_CONNECTIONS_MAX 256

/* A request or response, read whole. */
typedef struct sl_http_message sl_http_message;

int sl_http_status(const sl_http_message *message);         /* of a response */
const char *sl_http_method(const sl_http_message *message); /* of a request: "GET" */
const char *sl_http_target(const sl_http_message *message); /* "/path?query" */
/* The first header of that name, whatever its case; NULL when there is none. Borrowed from the message. */
const char *sl_http_header(const sl_http_message *message, const char *name);
/* All of them in order; {NULL, NULL} past the last. */
struct sl_http_field {
    const char *name;
    const char *value;
};
size_t sl_http_header_count(const sl_http_message *message);
struct sl_http_field sl_http_header_at(const sl_http_message *message, size_t index);
bool sl_http_is_1_1(const sl_http_message *message); /* or a later version of HTTP/1 */
const char *sl_http_body(const sl_http_message *message, size_t *ret_bytes);
void sl_http_message_free(sl_http_message *message);
SL_AUTO_DECLARE(sl_http_message, sl_http_message_free)

/* Bytes that came behind a message on its connection; borrowed until the message is freed. */
struct sl_bytes sl_http_leftover(const sl_http_message *message);

/*
 * GET over a new connection. Waits; bounded by the scopes around it. 0 whatever the status is; SL_EPROTO for
 * what is not HTTP, SL_EMSGSIZE over a limit, SL_EOF when the peer hung up too early, and what the
 * stream gives.
 */
SL_MUST_CHECK int sl_http_get(const char *address, int port, const char *target, sl_http_message **ret_response);

/* Writes a request head and reads the head of the answer; for protocols that begin as HTTP. `headers`: "Name: value\r\n"... */
SL_MUST_CHECK int sl_http_upgrade(sl_stream *stream, const char *host, const char *target, const char *headers,
                                  sl_http_message **ret_response);

/* ---- server ---- */

/* One request being answered. */
typedef struct sl_http_exchange {
    const sl_http_message *request;
    sl_stream *stream; /* for a handler that takes it over */
    bool answered;     /* set by sl_http_respond() */
    bool taken_over;   /* set by a handler that has answered itself and now owns the stream */
} sl_http_exchange;

/* Answers by sl_http_respond() (404 if it does not), or takes over. A negative code ends the connection. */
typedef int (*sl_http_handler)(void *arg, sl_http_exchange *exchange);

/*
 * Accepts connections until it is cancelled or the listener is closed, each in a task of its own; one that fails
 * harms no other. Returns as a scope does.
 */
SL_MUST_CHECK int sl_http_serve(sl_listener *listener, sl_http_handler handler, void *arg);

/* Status, type and body of the answer; `body` is written before the call returns. */
SL_MUST_CHECK int sl_http_respond(sl_http_exchange *exchange, int status, const char *content_type, const void *body,
                                  size_t body_bytes);

#ifdef __cplusplus
}
#endif

#endif
