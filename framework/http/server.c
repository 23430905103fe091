/* SPDX-License-Identifier: MIT */
/* HTTP server: a task a connection, requests one after the other. */
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "sluice/scope.h"

#define HEAD_BYTES 512

/* Time a client has to send a whole request, and to begin the next one. */
#define REQUEST_TIMEOUT SL_SECONDS(30)

struct server {
    sl_http_handler handler;
    void *arg;
};

struct connection {
    struct server *server;
    sl_stream *stream; /* NULL once a handler has taken it over */
};

static const char *reason_of(int status)
{
    switch (status) {
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 413:
        return "Content Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return status < 400 ? "OK" : "Error";
    }
}

static int respond(sl_stream *stream, int status, bool keep_alive, const char *content_type, struct sl_bytes body)
{
    char head[HEAD_BYTES];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n", status,
                          reason_of(status), content_type, body.size_bytes, keep_alive ? "keep-alive" : "close");
    if (length < 0 || (size_t)length >= sizeof head) {
        return sl_fail(SL_EMSGSIZE, "the content type is too long");
    }
    struct sl_bytes pieces[] = {{head, (size_t)length}, body};
    return sl_stream_write_pieces(stream, pieces, 2);
}

int sl_http_respond(sl_http_exchange *exchange, int status, const char *content_type, const void *body,
                    size_t body_bytes)
{
    exchange->answered = true;
    return respond(exchange->stream, status, sl__http_keep_alive(exchange->request), content_type,
                   (struct sl_bytes){body, body_bytes});
}

/* One request. 1 to go on with the next, 0 when the connection is done. `request` is the one before, for what it left. */
static int serve_one(struct connection *connection, sl_http_message **request)
{
    struct sl_bytes leftover = *request == NULL ? (struct sl_bytes){NULL, 0} : sl_http_leftover(*request);
    sl_http_message *next = NULL;
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "request", .timeout = REQUEST_TIMEOUT}));
    int code = sl_scope_close(&limit, sl__http_read(connection->stream, SL_HTTP_REQUEST, leftover, &next));
    sl_http_message_free(*request);
    *request = next;
    if (code == SL_EPROTO || code == SL_EMSGSIZE) {
        static const char text[] = "bad request\n";
        SL_TRY(respond(connection->stream, code == SL_EPROTO ? 400 : 413, false, "text/plain",
                       (struct sl_bytes){text, sizeof text - 1}));
        return 0;
    }
    SL_TRY(code);
    sl_http_exchange exchange = {.request = next, .stream = connection->stream};
    code = connection->server->handler(connection->server->arg, &exchange);
    if (exchange.taken_over) {
        connection->stream = NULL;
        return code < 0 ? code : 0;
    }
    SL_TRY(code);
    if (!exchange.answered) {
        SL_TRY(sl_http_respond(&exchange, 404, "text/plain", "not found\n", 10));
    }
    return sl__http_keep_alive(next);
}

/* A connection's failure is its own: peers hang up, and send nonsense. */
static int serve_connection(void *arg)
{
    sl_auto(sl_http_message) *request = NULL;
    int code = 1;
    while (code > 0 && !sl_stop_requested()) {
        code = serve_one(arg, &request);
    }
    return code == SL_ECANCELED ? code : 0;
}

static void free_connection(void *arg)
{
    struct connection *connection = arg;
    sl_stream_close(connection->stream);
    sl_free(connection);
}

static int accept_one(sl_scope *scope, sl_listener *listener, struct server *server)
{
    sl_stream *stream = NULL;
    SL_TRY(sl_listener_accept(listener, &stream));
    if (sl_scope_children(scope) >= SL_HTTP_CONNECTIONS_MAX) {
        sl_stream_close(stream);
        return 0;
    }
    struct connection *connection = sl_malloc(sizeof *connection);
    if (connection == NULL) {
        sl_stream_close(stream);
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    *connection = (struct connection){server, stream};
    int code = sl_spawn(scope, serve_connection, connection, .name = "connection", .release = free_connection);
    if (code < 0) {
        free_connection(connection);
    }
    return code;
}

int sl_http_serve(sl_listener *listener, sl_http_handler handler, void *arg)
{
    struct server server = {handler, arg};
    SL_SCOPE(scope, .name = "http server");
    for (;;) {
        int code = accept_one(&scope, listener, &server);
        if (code == SL_ECLOSED) {
            return sl_scope_wait(&scope);
        }
        if (code < 0) {
            return sl_scope_close(&scope, code);
        }
    }
}
