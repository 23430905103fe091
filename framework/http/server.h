/* SPDX-License-Identifier: MIT */
/* The server's parts: server.c accepts, connection.c reads requests, answer.c writes, route.c finds handlers. */
#ifndef SL_HTTP_SERVER_H
#define SL_HTTP_SERVER_H

#include "message.h"
#include "sluice/scope.h"
#include "sluice/sync.h"

/* Answers are gathered in a buffer of this size; an idle connection has none. */
#define SL_HTTP_OUT_BYTES ((size_t)16 * 1024)
#define SL_HTTP_OUT_IDLE_MAX 64
#define SL_HTTP_DATE_BYTES 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

struct sl__http_server {
    struct sl_http_server_options options; /* defaults filled in */
    struct sl__http_limits limits;
    struct sl_http_counts *counts;
    struct sl_http_counts own_counts;
    struct sl__http_connection *first;
    struct sl__http_connection *late; /* with answers that wait behind a handler */
    sl_event some_late;
    bool draining;
    bool accept_failed;
    char *outs[SL_HTTP_OUT_IDLE_MAX];
    size_t outs_idle;
    int64_t date_second;
    char date[SL_HTTP_DATE_BYTES];
};

struct sl__http_parameter {
    struct sl_bytes name;        /* in the route's pattern */
    struct sl__http_piece value; /* in the head */
};

/* What becomes of one request. Cleared for the next. */
struct sl__http_turn {
    sl_http_handler handler;
    void *arg;
    const struct sl_http_route *route;
    struct sl__http_parameter parameters[SL_HTTP_PARAMETERS_MAX];
    size_t parameter_count;
    struct sl__http_body body;
    sl_time body_waited;
    int body_status; /* what to answer when the body was bad or slow */
    bool continue_due;
    bool begun, ended; /* the answer */
    bool head_only;    /* ... has no body, though its head speaks of one */
    enum sl__http_framing framing;
    uint64_t left;
    bool watched, gone;
    sl_scope *scope;
};

struct sl__http_connection {
    struct sl__http_server *server;
    sl_stream *stream; /* NULL once a handler has taken it over */
    struct sl__http_connection *next, *prev;
    sl_task_ref task;
    bool waiting; /* for a request of which nothing has come */
    bool broken;  /* nothing more can be written */
    bool keep_alive;
    bool served_one;
    char *out;
    size_t out_bytes;
    struct sl__http_connection *late_next, **late_at; /* where it is among the late ones; NULL: nowhere */
    sl_http_message request;
    struct sl__http_limits limits; /* the route's */
    size_t gathered_bytes;         /* of the server's room for bodies */
    struct sl__http_turn turn;
};

/* connection.c: the task of one. */
int sl__http_serve_connection(void *arg);

/* server.c: while its handler waits, what was gathered before is sent. */
void sl__http_late_begin(struct sl__http_connection *connection);
void sl__http_late_end(struct sl__http_connection *connection);

/* Waits, until `deadline`, for so many unread bytes. SL_ETIMEDOUT; codes of sl_stream_peek(). */
int sl__http_await(struct sl__http_connection *connection, size_t min_bytes, sl_time deadline,
                   struct sl_view *ret_view);
/* A piece of the request's body, within the client's time. Codes as sl_http_read(). */
int sl__http_request_piece(struct sl__http_connection *connection, size_t max_bytes, struct sl_bytes *ret_piece);
/* Skips what is there of an unread body: whether another request can follow it. */
bool sl__http_skip_body(struct sl__http_connection *connection);

/* answer.c */
int sl__http_flush(struct sl__http_connection *connection);
/* What the client takes at once; never waits. */
void sl__http_flush_now(struct sl__http_connection *connection);
int sl__http_put(struct sl__http_connection *connection, const void *data, size_t size_bytes); /* gathers, or writes */
int sl__http_continue(struct sl__http_connection *connection); /* asks for the body, if the client waits for that */
int sl__http_answer(struct sl__http_connection *connection, const struct sl_http_answer *answer);
int sl__http_finish_answer(struct sl__http_connection *connection);
void sl__http_drop_out(struct sl__http_connection *connection);

/* route.c: the handler, or the status to answer instead: 404, 405 (with what is allowed in `allow`). 0 when found. */
#define SL_HTTP_ALLOW_BYTES 128
int sl__http_route(struct sl__http_connection *connection, char allow[SL_HTTP_ALLOW_BYTES]);
int sl__http_check_routes(const struct sl_http_server_options *options);

/* decode.c: percent signs undone; with `plus` also "+" for a space. Codes as sl_http_query(). */
int sl__http_decode(struct sl_bytes from, bool plus, char *text, size_t text_bytes);

#endif
