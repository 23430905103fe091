/* SPDX-License-Identifier: MIT */
/*
 * One connection of a server, in a task of its own: reads a request, has it answered, and so on. Heads are read in
 * place in the stream's buffer; what is gathered goes out before the task waits for the client.
 */
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "sluice/runtime.h"

/*
 * An answer that ends the connection must reach a client that still sends: it is read for a while, however much it
 * is, then closed.
 */
#define LINGER SL_SECONDS(2)
#define BODY_FIRST_BYTES ((size_t)16 * 1024)
#define STORY_BYTES 512

/* ---- waiting ---- */

int sl__http_await(struct sl__http_connection *connection, size_t min_bytes, sl_time deadline, struct sl_view *ret_view)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "client", .deadline = deadline}));
    return sl__http_bounded(&limit, sl_stream_peek(connection->stream, min_bytes, ret_view));
}

/* Empty lines in front of a request are nothing; how many there were is the caller's to limit. */
static int skip_empty_line(struct sl__http_connection *connection, struct sl_view *view, unsigned *skipped)
{
    if (view->data[0] != '\r' || view->size_bytes < 2 || view->data[1] != '\n') {
        return 0;
    }
    sl_stream_consume(connection->stream, 2);
    *view = sl_stream_buffered(connection->stream);
    return ++*skipped <= SL_HTTP_EMPTY_LINES_MAX ? 1
                                                 : sl__http_refuse(&connection->request, 400, "too many empty lines");
}

static int feed(struct sl__http_connection *connection, struct sl_view *view, unsigned *skipped)
{
    sl_http_message *request = &connection->request;
    while (request->fed == 0 && view->size_bytes > 0) {
        if (view->size_bytes == 1 && view->data[0] == '\r') {
            return 0;
        }
        int skip = skip_empty_line(connection, view, skipped);
        if (skip <= 0) {
            SL_TRY(skip);
            break;
        }
    }
    if (view->size_bytes > 0 && request->fed == 0 && (view->data[0] == '\r' || view->data[0] == '\n')) {
        return sl__http_refuse(request, 400, "a bare CR or LF");
    }
    return view->size_bytes == 0 ? 0 : sl__http_message_feed(request, view->data, view->size_bytes);
}

/* 1: a request's head; 0: the client is done, or we are; SL_EPROTO, SL_EMSGSIZE: refused; else what ended it. */
static int read_head(struct sl__http_connection *connection)
{
    const struct sl_http_server_options *options = &connection->server->options;
    struct sl_view view = sl_stream_buffered(connection->stream);
    unsigned skipped = 0;
    sl_time deadline = 0;
    sl__http_message_begin(&connection->request, SL_HTTP_REQUEST, &connection->server->limits);
    for (;;) {
        int found = feed(connection, &view, &skipped);
        if (found != 0) {
            return found;
        }
        bool begun = view.size_bytes > 0 || skipped > 0;
        SL_TRY(sl__http_flush(connection));
        if (!begun) {
            if (connection->server->draining) {
                return 0;
            }
            sl__http_drop_out(connection);
        }
        bool head = begun || !connection->served_one;
        if (deadline == 0) {
            deadline = sl_time_add(sl_now(), head ? options->head_timeout : options->idle_timeout);
        }
        connection->waiting = !begun;
        int code = sl__http_await(connection, view.size_bytes + 1, deadline, &view);
        connection->waiting = false;
        if (code == SL_EOF || code == SL_ECONNRESET || (code == SL_ETIMEDOUT && !begun)) {
            return 0;
        }
        SL_TRY(code);
        deadline = head ? deadline : 0; /* from the first byte on, the head's time counts */
    }
}

/* ---- bodies ---- */

/* The status for a body that cannot be read to its end. */
static int body_failed(struct sl__http_connection *connection, int code)
{
    connection->turn.body_status = code == SL_EPROTO ? 400 : code == SL_EMSGSIZE ? 413 : code == SL_ETIMEDOUT ? 408 : 0;
    connection->keep_alive = false;
    connection->server->counts->timeouts += code == SL_ETIMEDOUT;
    return code == SL_ETIMEDOUT ? sl_fail(code, "the client sends the body too slowly") : code;
}

/* The wait for more of a body: its time is counted, so that a slow handler costs the client nothing. */
static int await_body(struct sl__http_connection *connection)
{
    const struct sl_http_server_options *options = &connection->server->options;
    struct sl__http_turn *turn = &connection->turn;
    SL_TRY(sl__http_continue(connection));
    SL_TRY(sl__http_flush(connection));
    sl_time before = sl_now();
    sl_time of_bytes = (sl_time)(turn->body.seen_bytes / options->body_rate) * SL_SECONDS(1);
    sl_time allowed = sl_time_add(options->body_grace, of_bytes); /* SL_NEVER: for ever */
    struct sl_view view;
    int code = sl__http_await(connection, 1, sl_time_add(before, allowed - turn->body_waited), &view);
    turn->body_waited += sl_now() - before;
    return code == SL_EOF ? sl_fail(SL_ECONNRESET, "the client hung up within the body") : code;
}

int sl__http_request_piece(struct sl__http_connection *connection, size_t max_bytes, struct sl_bytes *ret_piece)
{
    struct sl__http_turn *turn = &connection->turn;
    int code;
    while ((code = sl__http_body_buffered(connection->stream, &turn->body, max_bytes, ret_piece)) == SL_EAGAIN) {
        code = await_body(connection);
        if (code < 0) {
            break;
        }
    }
    return code < 0 && code != SL_EOF ? body_failed(connection, code) : code;
}

int sl_http_read(sl_http_exchange *exchange, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct sl_bytes piece;
    if (size_bytes == 0 || exchange->connection->stream == NULL) {
        return sl_fail(SL_EINVAL, "sl_http_read(): no room, or the connection was taken over");
    }
    SL_TRY(sl__http_request_piece(exchange->connection, size_bytes, &piece));
    memcpy(buffer, piece.data, piece.size_bytes);
    *ret_bytes = piece.size_bytes;
    return 0;
}

bool sl__http_skip_body(struct sl__http_connection *connection)
{
    struct sl__http_turn *turn = &connection->turn;
    struct sl_bytes piece;
    int code = turn->body.ended ? SL_EOF : 0;
    while (code == 0) {
        code = sl__http_body_buffered(connection->stream, &turn->body, SIZE_MAX, &piece);
    }
    return code == SL_EOF;
}

/* Room for bodies is the whole server's: many slow clients together take no more. */
static int take_room(struct sl__http_connection *connection, size_t size_bytes)
{
    struct sl__http_server *server = connection->server;
    if (server->counts->bodies_bytes + size_bytes > server->options.bodies_bytes_max) {
        connection->turn.body_status = 503;
        return sl_fail(SL_EBUSY, "no room for a body");
    }
    server->counts->bodies_bytes += size_bytes;
    connection->gathered_bytes += size_bytes;
    return 0;
}

static void leave_room(struct sl__http_connection *connection)
{
    connection->server->counts->bodies_bytes -= connection->gathered_bytes;
    connection->gathered_bytes = 0;
}

static int grow(struct sl__http_connection *connection, size_t *capacity, size_t wanted)
{
    sl_http_message *request = &connection->request;
    size_t larger = *capacity * 2 > wanted ? *capacity * 2 : wanted;
    larger = larger > BODY_FIRST_BYTES ? larger : BODY_FIRST_BYTES;
    if (request->framing == SL_HTTP_BY_LENGTH && larger > request->length) {
        larger = (size_t)request->length; /* no more comes */
    }
    SL_TRY(take_room(connection, larger - *capacity));
    char *body = sl_realloc(request->body_copy, larger + SL_STREAM_PADDING_BYTES);
    if (body == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a body");
    }
    request->body_copy = body;
    *capacity = larger;
    return 0;
}

/* The whole body: in place when all of it has come already. */
static int gather(struct sl__http_connection *connection)
{
    sl_http_message *request = &connection->request;
    struct sl__http_turn *turn = &connection->turn;
    struct sl_view there = sl_stream_buffered(connection->stream);
    struct sl_bytes piece;
    size_t capacity = 0;
    int code = 0;
    if (turn->body.framing == SL_HTTP_BY_LENGTH && there.size_bytes >= turn->body.left) {
        SL_TRY(sl__http_request_piece(connection, SIZE_MAX, &piece));
        request->body = piece.data;
        request->body_bytes = piece.size_bytes;
        turn->body.ended = true;
        return 0;
    }
    SL_TRY(sl__http_message_keep(request));
    while ((code = sl__http_request_piece(connection, SIZE_MAX, &piece)) == 0) {
        if (request->body_bytes + piece.size_bytes > capacity) {
            SL_TRY(grow(connection, &capacity, request->body_bytes + piece.size_bytes));
        }
        memcpy(request->body_copy + request->body_bytes, piece.data, piece.size_bytes);
        request->body_bytes += piece.size_bytes;
    }
    request->body = request->body_copy;
    return code == SL_EOF ? 0 : code;
}

/* ---- answers of the server's own ---- */

static int answer_text(struct sl__http_connection *connection, int status, const char *text,
                       const struct sl_http_field *more)
{
    char body[256];
    int length = snprintf(body, sizeof body, "%s\n", text);
    return sl__http_answer(connection, &(struct sl_http_answer){.status = status,
                                                                .content_type = "text/plain",
                                                                .headers = more,
                                                                .header_count = more == NULL ? 0 : 1,
                                                                .body = body,
                                                                .body_bytes = (size_t)length});
}

/* The last answer: then the connection ends. */
static int refuse(struct sl__http_connection *connection, int status, const char *text)
{
    static const struct sl_http_field as_it_is = {"Accept-Encoding", "identity"}; /* RFC 9110, 15.5.16 */
    static const struct sl_http_field soon = {"Retry-After", "1"};
    connection->keep_alive = false;
    connection->server->counts->bad_requests++;
    return answer_text(connection, status, text, status == 415 ? &as_it_is : status == 503 ? &soon : NULL);
}

/* ---- one request ---- */

static void log_failure(struct sl__http_connection *connection, int code)
{
    char story[STORY_BYTES] = "";
    struct sl_bytes path = sl_http_path(&connection->request);
    (void)sl_error_print(sl_error_last(), story, sizeof story);
    connection->server->counts->handler_errors++;
    /* After a whole answer it is news, no more: a WebSocket that was refused is not our failure. */
    sl_log(connection->turn.ended ? SL_LOG_INFO : SL_LOG_ERROR, "http: %s %.*s: %s: %s",
           sl_http_method(&connection->request), (int)(path.size_bytes > 200 ? 200 : path.size_bytes),
           (const char *)path.data, sl_error_name(code), story);
}

/* The handler failed, or left its answer open. */
static int after_failure(struct sl__http_connection *connection, int code)
{
    struct sl__http_turn *turn = &connection->turn;
    bool lost = connection->broken || turn->gone; /* then it is the client's doing */
    if (turn->begun) {
        connection->keep_alive = false;
        connection->broken |= !turn->ended; /* a cut answer must not look like a whole one */
    }
    if (lost) {
        return 0;
    }
    if (turn->body_status != 0) {
        return turn->begun ? 0 : refuse(connection, turn->body_status, "the body was not received");
    }
    log_failure(connection, code);
    return turn->begun ? 0 : answer_text(connection, 500, "internal error", NULL);
}

static int call_handler(struct sl__http_connection *connection, sl_http_exchange *exchange)
{
    struct sl__http_turn *turn = &connection->turn;
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "request"}));
    turn->scope = &scope;
    if (connection->out_bytes > 0) {
        sl__http_late_begin(connection);
    }
    int code = sl_scope_close(&scope, turn->handler(turn->arg, exchange));
    sl__http_late_end(connection);
    turn->scope = NULL;
    if (exchange->taken_over) {
        connection->stream = NULL;
        connection->keep_alive = false;
        return 0;
    }
    if (code == SL_ECANCELED && sl_cancel_pending()) {
        return code;
    }
    if (code < 0 || turn->gone) {
        return after_failure(connection, code);
    }
    if (!turn->begun) {
        return answer_text(connection, 404, "not found", NULL);
    }
    if (!turn->ended && sl__http_finish_answer(connection) < 0) {
        return after_failure(connection, sl_error_last_code());
    }
    return 0;
}

/* Whether the body is compressed, or otherwise not itself. */
static bool is_encoded(const sl_http_message *request)
{
    for (size_t i = 0; i < request->field_count; i++) {
        struct sl_bytes value = sl__http_text(request, request->fields[i].value);
        if (sl__http_same(sl__http_text(request, request->fields[i].name), "content-encoding") &&
            value.size_bytes > 0 && !sl__http_same(value, "identity")) {
            return true;
        }
    }
    return false;
}

static int answer_request(struct sl__http_connection *connection)
{
    const struct sl_http_server_options *options = &connection->server->options;
    struct sl__http_turn *turn = &connection->turn;
    sl_http_message *request = &connection->request;
    char allow[SL_HTTP_ALLOW_BYTES];
    int status = sl__http_route(connection, allow);
    if (status != 0) {
        struct sl_http_field allowed = {"Allow", allow};
        return answer_text(connection, status, status == 405 ? "method not allowed" : "not found",
                           status == 405 ? &allowed : NULL);
    }
    bool stream = turn->route == NULL ? options->stream_bodies : turn->route->stream_body;
    if (turn->route != NULL && turn->route->body_bytes_max > 0) {
        connection->limits.body_bytes = turn->route->body_bytes_max;
    }
    if (request->framing == SL_HTTP_BY_LENGTH && request->length > connection->limits.body_bytes) {
        return refuse(connection, 413, "the body is too large");
    }
    if (!turn->body.ended && !(turn->route == NULL ? options->encoded_bodies : turn->route->encoded_body) &&
        is_encoded(request)) {
        return refuse(connection, 415, "the body must come without a Content-Encoding");
    }
    if (!turn->body.ended) {
        int code = stream ? sl__http_message_keep(request) : gather(connection);
        if (turn->body_status != 0) {
            return refuse(connection, turn->body_status, "the body was not received");
        }
        SL_TRY(code);
    }
    if (request->upgrade) { /* a handler that takes over reads and writes the stream itself */
        SL_TRY(sl__http_message_keep(request));
        SL_TRY(sl__http_flush(connection));
    }
    sl_http_exchange exchange = {.request = request, .stream = connection->stream, .connection = connection};
    return call_handler(connection, &exchange);
}

static void begin_turn(struct sl__http_connection *connection)
{
    sl_http_message *request = &connection->request;
    struct sl__http_turn *turn = &connection->turn;
    memset(turn, 0, sizeof *turn);
    connection->limits = connection->server->limits;
    connection->limits.body_bytes = connection->server->options.body_bytes_max;
    connection->keep_alive = request->keep_alive;
    connection->served_one = true;
    turn->body = sl__http_message_body(request);
    turn->body.limits = &connection->limits;
    turn->body.ended = request->framing == SL_HTTP_NO_BODY;
    turn->continue_due = request->expects_continue && !turn->body.ended;
    turn->head_only = request->parser.method == HTTP_HEAD;
    connection->server->counts->requests++;
}

/* A head that was refused or did not come in time is answered without a request. */
static int refuse_head(struct sl__http_connection *connection, int code)
{
    memset(&connection->turn, 0, sizeof connection->turn);
    connection->turn.body.ended = true;
    if (code == SL_ETIMEDOUT) {
        connection->server->counts->timeouts++;
        return refuse(connection, 408, "the request took too long");
    }
    if (connection->request.refused == 0) {
        return code;
    }
    connection->turn.head_only = connection->request.parser.method == HTTP_HEAD && connection->request.head_bytes > 0;
    return refuse(connection, connection->request.refused, connection->request.reason);
}

/* 1 to go on with the next request, 0 when the connection is done. */
static int serve_one(struct sl__http_connection *connection)
{
    int found = read_head(connection);
    if (found == 0) {
        return 0;
    }
    if (found < 0) {
        return refuse_head(connection, found);
    }
    sl_stream_consume(connection->stream, connection->request.head_bytes);
    begin_turn(connection);
    int code = answer_request(connection);
    if (connection->stream != NULL && !sl__http_skip_body(connection)) {
        connection->keep_alive = false;
    }
    sl__http_message_done(&connection->request);
    leave_room(connection);
    return code < 0 ? code : connection->keep_alive && !connection->broken;
}

/* ---- the end ---- */

/* Closing with unread bytes would reset the connection, and the answer with it. */
static void linger(struct sl__http_connection *connection)
{
    sl_time deadline = sl_time_add(sl_now(), LINGER);
    struct sl_view view = sl_stream_buffered(connection->stream);
    int code = sl_stream_shutdown(connection->stream);
    while (code == 0) {
        sl_stream_consume(connection->stream, view.size_bytes);
        code = sl__http_await(connection, 1, deadline, &view);
    }
}

static int shake_hands(struct sl__http_connection *connection)
{
    const struct sl_http_server_options *options = &connection->server->options;
    sl_scope limit = SL_SCOPE_INIT;
    if (options->tls == NULL) {
        return 0;
    }
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "TLS", .timeout = options->tls_timeout}));
    sl_stream *inner = connection->stream;
    connection->stream = NULL; /* taken over, come what may */
    int code = sl__http_bounded(&limit, sl_tls_server(inner, options->tls, &connection->stream));
    connection->server->counts->timeouts += code == SL_ETIMEDOUT;
    return code;
}

/* A connection's failure is its own: peers hang up, and send nonsense. */
int sl__http_serve_connection(void *arg)
{
    struct sl__http_connection *connection = arg;
    int code = shake_hands(connection);
    code = code == 0 ? 1 : code;
    while (code > 0) {
        code = serve_one(connection);
    }
    bool last_answer = !connection->keep_alive && (connection->served_one || connection->request.refused != 0);
    if (code == 0 && connection->stream != NULL && sl__http_flush(connection) == 0 && !connection->broken &&
        last_answer) {
        linger(connection);
    }
    return code == SL_ECANCELED ? code : 0;
}
