/* SPDX-License-Identifier: MIT */
/* HTTP server: accepts connections, a task each; stops in order. */
#include <string.h>

#include "server.h"
#include "sluice/runtime.h"

#define TARGET_BYTES_MAX ((size_t)8 * 1024)
#define HEAD_BYTES_MAX ((size_t)16 * 1024)
#define EXTENSION_BYTES_MAX ((size_t)4 * 1024)
#define HEAD_TIMEOUT SL_SECONDS(10)
#define TLS_TIMEOUT SL_SECONDS(10)
#define IDLE_TIMEOUT SL_SECONDS(75)
#define BODY_GRACE SL_SECONDS(10)
#define BODY_RATE ((size_t)1024)
#define WRITE_TIMEOUT SL_SECONDS(30)
#define STOP_GRACE SL_SECONDS(10)

/* After an accept that failed, such as for want of descriptors: until some may be free. */
#define ACCEPT_PAUSE SL_MILLISECONDS(100)

/* ---- options ---- */

static size_t or_else(size_t given, size_t otherwise)
{
    return given == 0 ? otherwise : given;
}

static sl_time time_or(sl_time given, sl_time otherwise)
{
    return given == 0 ? otherwise : given;
}

static int set_up(struct sl__http_server *server, const struct sl_http_server_options *given)
{
    struct sl_http_server_options *options = &server->options;
    *options = *given;
    options->connections_max = or_else(given->connections_max, SL_HTTP_CONNECTIONS_MAX);
    options->target_bytes_max = or_else(given->target_bytes_max, TARGET_BYTES_MAX);
    options->head_bytes_max = or_else(given->head_bytes_max, HEAD_BYTES_MAX);
    options->headers_max = or_else(given->headers_max, SL_HTTP_HEADERS_MAX);
    options->body_bytes_max = or_else(given->body_bytes_max, SL_HTTP_BODY_BYTES_MAX);
    options->extension_bytes_max = or_else(given->extension_bytes_max, EXTENSION_BYTES_MAX);
    options->head_timeout = time_or(given->head_timeout, HEAD_TIMEOUT);
    options->idle_timeout = time_or(given->idle_timeout, IDLE_TIMEOUT);
    options->tls_timeout = time_or(given->tls_timeout, TLS_TIMEOUT);
    options->body_grace = time_or(given->body_grace, BODY_GRACE);
    options->body_rate = or_else(given->body_rate, BODY_RATE);
    options->write_timeout = time_or(given->write_timeout, WRITE_TIMEOUT);
    options->stop_grace = time_or(given->stop_grace, STOP_GRACE);
    options->serve_while_stopping = given->serve_while_stopping;
    if (options->head_bytes_max > SL_HTTP_HEAD_BYTES_CAP || options->headers_max > SL_HTTP_HEADERS_MAX ||
        options->target_bytes_max > SL_HTTP_HEAD_BYTES_CAP || options->extension_bytes_max > UINT32_MAX ||
        options->head_timeout < 0 || options->idle_timeout < 0 || options->tls_timeout < 0 || options->body_grace < 0 ||
        options->write_timeout < 0 || options->stop_grace < 0) {
        return sl_fail(SL_EINVAL, "a limit of the HTTP server is out of range");
    }
    SL_TRY(sl__http_check_routes(options));
    uint64_t body_bytes = options->body_bytes_max;
    for (size_t i = 0; i < options->route_count; i++) {
        size_t of_route = options->routes[i].body_bytes_max;
        body_bytes = of_route > body_bytes ? of_route : body_bytes;
    }
    size_t bodies = body_bytes > SL_HTTP_BODIES_BYTES_MAX / 4 ? 4 * (size_t)body_bytes : SL_HTTP_BODIES_BYTES_MAX;
    options->bodies_bytes_max = or_else(given->bodies_bytes_max, bodies);
    server->limits = (struct sl__http_limits){.line_bytes = (uint32_t)options->target_bytes_max,
                                              .head_bytes = (uint32_t)options->head_bytes_max,
                                              .headers = (uint32_t)options->headers_max,
                                              .extension_bytes = (uint32_t)options->extension_bytes_max,
                                              .trailer_bytes = (uint32_t)options->head_bytes_max,
                                              .body_bytes = body_bytes};
    server->counts = options->counts == NULL ? &server->own_counts : options->counts;
    server->date_second = -1;
    sl_event_init(&server->some_late);
    return 0;
}

/* ---- connections ---- */

static void link_in(struct sl__http_server *server, struct sl__http_connection *connection)
{
    connection->next = server->first;
    if (server->first != NULL) {
        server->first->prev = connection;
    }
    server->first = connection;
    server->counts->open++;
}

static void free_connection(void *arg)
{
    struct sl__http_connection *connection = arg;
    struct sl__http_server *server = connection->server;
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        server->first = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    }
    server->counts->open--;
    sl__http_drop_out(connection);
    sl__http_message_done(&connection->request);
    /* A body that only the connection's end ends must not look whole when it was cut. */
    const struct sl__http_turn *turn = &connection->turn;
    bool cut = turn->begun && !turn->ended && turn->framing == SL_HTTP_UNTIL_END;
    (cut ? sl_stream_reset : sl_stream_close)(connection->stream);
    sl_free(connection);
}

/* Takes the stream over. */
static int start_connection(sl_scope *scope, struct sl__http_server *server, sl_stream *stream)
{
    struct sl__http_connection *connection = sl_calloc(1, sizeof *connection);
    if (connection == NULL) {
        sl_stream_close(stream);
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    connection->server = server;
    connection->stream = stream;
    connection->waiting = true;
    link_in(server, connection);
    int code = sl_spawn(scope, sl__http_serve_connection, connection, .name = "connection", .release = free_connection,
                        .ret_task = &connection->task);
    if (code < 0) {
        free_connection(connection);
    }
    return code;
}

/* ---- answers that wait behind a handler ---- */

/*
 * Answers to pipelined requests are gathered. When the handler of the next request waits, this task comes to run and sends
 * what is there, as far as the clients take it at once; when no handler waits it finds nothing.
 */
static int send_late(void *arg)
{
    struct sl__http_server *server = arg;
    for (;;) {
        SL_TRY(sl_event_wait(&server->some_late));
        sl_event_reset(&server->some_late);
        while (server->late != NULL) {
            struct sl__http_connection *connection = server->late;
            sl__http_late_end(connection);
            sl__http_flush_now(connection);
        }
    }
}

void sl__http_late_begin(struct sl__http_connection *connection)
{
    struct sl__http_server *server = connection->server;
    connection->late_next = server->late;
    connection->late_at = &server->late;
    if (server->late != NULL) {
        server->late->late_at = &connection->late_next;
    }
    server->late = connection;
    sl_event_set(&server->some_late);
}

void sl__http_late_end(struct sl__http_connection *connection)
{
    if (connection->late_at != NULL) {
        *connection->late_at = connection->late_next;
        if (connection->late_next != NULL) {
            connection->late_next->late_at = connection->late_at;
        }
        connection->late_at = NULL;
        connection->late_next = NULL;
    }
}

/* ---- accepting ---- */

/* Neither a full table of descriptors nor a lack of memory ends a server: both pass. */
static int pause_accepting(struct sl__http_server *server, int code)
{
    server->counts->accept_errors++;
    if (!server->accept_failed) {
        server->accept_failed = true;
        sl_log(SL_LOG_WARNING, "http: cannot accept connections for now: %s", sl_strerror(code));
    }
    return sl_sleep(ACCEPT_PAUSE);
}

static int accept_one(sl_scope *scope, sl_listener *listener, struct sl__http_server *server)
{
    sl_stream *stream = NULL;
    int code = sl_listener_accept(listener, &stream);
    if (code == SL_ECLOSED || code == SL_ECANCELED) {
        return code;
    }
    if (code == 0 && server->counts->open >= server->options.connections_max) {
        server->counts->refused++;
        sl_stream_close(stream);
        return 0;
    }
    code = code == 0 ? start_connection(scope, server, stream) : code;
    if (code < 0) {
        return pause_accepting(server, code);
    }
    server->accept_failed = false;
    server->counts->accepted++;
    return 0;
}

static int accept_until_stopped(void *arg)
{
    sl_scope *accepting = arg;
    SL_TRY(sl_stop_wait());
    sl_scope_cancel(accepting, "the server is to stop");
    return 0;
}

/* Idle connections are closed at once; the others end with the request that they serve. */
static void drain(sl_scope *scope, struct sl__http_server *server)
{
    server->draining = true;
    for (struct sl__http_connection *at = server->first; at != NULL; at = at->next) {
        if (at->waiting) {
            (void)sl_task_cancel(at->task, "the server stops");
        }
    }
    (void)sl_scope_stop(scope, server->options.stop_grace);
}

static int serve(struct sl__http_server *server, sl_listener *listener)
{
    sl_scope accepting = SL_SCOPE_INIT; /* outlives the task that cancels it */
    SL_SCOPE(scope, .name = "http server", .strategy = SL_ISOLATE);
    SL_TRY(sl_spawn(&scope, send_late, server, .name = "late answers", .daemon = true));
    if (!server->options.serve_while_stopping) {
        SL_TRY(sl_spawn(&scope, accept_until_stopped, &accepting, .name = "stop", .daemon = true));
    }
    SL_TRY(sl_scope_open(&accepting, &(struct sl_scope_options){.name = "accept"}));
    int code = 0;
    while (code == 0) {
        code = accept_one(&scope, listener, server);
    }
    (void)sl_scope_close(&accepting, 0);
    drain(&scope, server);
    return sl_scope_close(&scope, code == SL_ECLOSED || code == SL_ECANCELED ? 0 : code);
}

int sl_http_serve_with(sl_listener *listener, const struct sl_http_server_options *options)
{
    struct sl__http_server *server = sl_calloc(1, sizeof *server);
    if (server == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a server");
    }
    int code = set_up(server, options);
    code = code == 0 ? serve(server, listener) : code;
    while (server->outs_idle > 0) {
        sl_free(server->outs[--server->outs_idle]);
    }
    sl_free(server);
    return code;
}

int sl_http_serve(sl_listener *listener, sl_http_handler handler, void *arg)
{
    return sl_http_serve_with(listener, &(struct sl_http_server_options){.handler = handler, .arg = arg});
}
