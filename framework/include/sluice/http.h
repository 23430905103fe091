/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1: messages, and a server. A task serves a connection, its requests one after the other; handlers are
 * plain functions that wait as they like. Every size and every time a peer may take has a limit. The client is in
 * fetch.h. Source: RFC 9110, RFC 9112.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include "sluice/net.h"
#include "sluice/tls.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- messages ---- */

/* Headers of one message, at most. */
#define SL_HTTP_HEADERS_MAX 100

/* A request, or the head of a response. Its texts are borrowed from it. */
typedef struct sl_http_message sl_http_message;

/* A header; both texts end with a NUL. */
struct sl_http_field {
    const char *name;
    const char *value;
};

int sl_http_status(const sl_http_message *message);           /* of a response */
const char *sl_http_method(const sl_http_message *message);   /* of a request: "GET" */
const char *sl_http_target(const sl_http_message *message);   /* "/path?query", as it was sent */
struct sl_bytes sl_http_path(const sl_http_message *message); /* "/path", percent signs and all; no NUL behind it */

/* The first header of that name, whatever its case; NULL when there is none. */
const char *sl_http_header(const sl_http_message *message, const char *name);
/* All of them in order; {NULL, NULL} past the last. */
size_t sl_http_header_count(const sl_http_message *message);
struct sl_http_field sl_http_header_at(const sl_http_message *message, size_t index);
bool sl_http_is_1_1(const sl_http_message *message); /* not HTTP/1.0 */

/* The body when it was read whole, else "" and 0. It has no NUL behind it. */
const char *sl_http_body(const sl_http_message *message, size_t *ret_bytes);

/* Whether it has "Authorization: Bearer TOKEN"; compared in a time that tells nothing of the token. NULL: never. */
bool sl_http_bearer_fits(const sl_http_message *message, const char *token);

/*
 * The value of `name` in the query ("?symbol=BTC%2FUSDT&limit=5"), decoded, to `text`, ended by a NUL. 0; SL_ENOENT when
 * it is not there; SL_EINVAL for a bad percent sign; SL_EMSGSIZE when `text` is too short.
 */
SL_MUST_CHECK int sl_http_query(const sl_http_message *message, const char *name, char *text, size_t text_bytes);

void sl_http_message_free(sl_http_message *message);
SL_AUTO_DECLARE(sl_http_message, sl_http_message_free)

/*
 * Writes a request head and reads the head of the answer; for protocols that begin as HTTP. `headers`: "Name:
 * value\r\n"... The body of an answer that is not 101 is read, its first 64 KiB at most; what
 * follows the answer stays in the stream. Waits. 0 whatever the status is; SL_EPROTO for what is
 * not HTTP, SL_EMSGSIZE over a limit, SL_EOF or SL_ECONNRESET when the peer hung up, and what the stream gives.
 */
SL_MUST_CHECK int sl_http_upgrade(sl_stream *stream, const char *host, const char *target, const char *headers,
                                  sl_http_message **ret_response);

/* ---- one request being answered ---- */

typedef struct sl_http_exchange {
    const sl_http_message *request; /* valid until the handler returns */
    sl_stream *stream;              /* for a handler that takes it over: the request must ask for an upgrade */
    bool answered;                  /* set by sl_http_respond() and sl_http_begin() */
    bool taken_over; /* set by a handler that has answered itself and now owns the stream, with all unread bytes */
    struct sl__http_connection *connection; /* private */
} sl_http_exchange;

/*
 * Answers the request of the exchange: sl_http_respond(), or sl_http_begin() and what follows, or takes the
 * connection over. A handler that does neither answers 404. When it fails with a negative code that is logged, and
 * the answer is 500 if none was begun, else the connection is cut. It runs in the connection's task, within a scope of its
 * own: sl_scope_current().
 */
typedef int (*sl_http_handler)(void *arg, sl_http_exchange *exchange);

/*
 * Status, type (NULL: none) and body of the answer; `body` need not outlive the call. Answers to requests that came
 * together are sent together, at the latest when the handler of one of them waits. Waits while the client does not read. 0; SL_EALREADY when there
 * is an answer; SL_EINVAL for a status not between 200 and 599 or a header with control characters; SL_EMSGSIZE;
 * SL_ETIMEDOUT when the client took too long; what the stream gives.
 */
SL_MUST_CHECK int sl_http_respond(sl_http_exchange *exchange, int status, const char *content_type, const void *body,
                                  size_t body_bytes);

struct sl_http_answer {
    int status;
    const char *content_type;            /* NULL: none */
    const struct sl_http_field *headers; /* more of them; not those that tell the body's end */
    size_t header_count;
    const void *body;
    size_t body_bytes;
    bool close; /* the connection ends with this answer */
};
SL_MUST_CHECK int sl_http_respond_with(sl_http_exchange *exchange, const struct sl_http_answer *answer);

/*
 * An answer piece by piece: begin (its body is not looked at; with `body_bytes` the length is stated, without the body is
 * chunked), write, end. Small pieces are gathered until the buffer is full, the answer ends, or sl_http_flush().
 * Each waits while the client does not read; codes as above. SL_EMISUSE out of order, or for more or fewer
 * bytes than stated.
 */
SL_MUST_CHECK int sl_http_begin(sl_http_exchange *exchange, const struct sl_http_answer *answer);
SL_MUST_CHECK int sl_http_write(sl_http_exchange *exchange, const void *data, size_t size_bytes);
SL_MUST_CHECK int sl_http_end(sl_http_exchange *exchange);

/* Sends what was gathered of an answer, and earlier ones. Waits. */
SL_MUST_CHECK int sl_http_flush(sl_http_exchange *exchange);

/*
 * The request's body piece by piece, where it was not read whole (`stream_body`). At least one byte; SL_EOF at its
 * end; SL_ECONNRESET when the client hung up within it; SL_EPROTO, SL_EMSGSIZE; SL_ETIMEDOUT when the client is too
 * slow. A handler that returns such a code without an answer answers 400, 413 or 408. Waits.
 */
SL_MUST_CHECK int sl_http_read(sl_http_exchange *exchange, void *buffer, size_t size_bytes, size_t *ret_bytes);

/* The part of the path that stood for "{name}" in the route's pattern, decoded. Codes as sl_http_query(). */
SL_MUST_CHECK int sl_http_parameter(const sl_http_exchange *exchange, const char *name, char *text, size_t text_bytes);

/*
 * Cancels the handler's scope when the client hangs up before the answer is complete; for answers that take long.
 * Nothing more is read from the connection, which ends with this answer. 0, SL_ENOMEM, SL_EALREADY.
 */
SL_MUST_CHECK int sl_http_watch(sl_http_exchange *exchange);

/* ---- server-sent events (WHATWG HTML, 9.2) ---- */

struct sl_http_event {
    const char *event; /* its type; NULL: "message" */
    const char *id;    /* NULL: none */
    const char *data;  /* may have several lines */
    size_t data_bytes;
    sl_time retry; /* how long the client waits before it connects anew; 0: not said */
};

/* Begins the answer and watches the client: see sl_http_watch(). */
SL_MUST_CHECK int sl_http_events_begin(sl_http_exchange *exchange);
/* Sends it at once. SL_EINVAL for a line break in `event` or `id`; else as sl_http_write(). */
SL_MUST_CHECK int sl_http_events_send(sl_http_exchange *exchange, const struct sl_http_event *event);
/* A comment, which clients ignore: a sign of life. */
SL_MUST_CHECK int sl_http_events_comment(sl_http_exchange *exchange, const char *text);

/* ---- serving ---- */

/*
 * A pattern is a path whose segments may be "{name}", which stands for one segment that is not empty; as the last one
 * "{name...}" stands for all the rest. The first route that fits is taken; GET serves HEAD too. A path that fits with
 * another method only is answered 405 with Allow, one that fits none goes to the server's handler, or is answered 404.
 */
struct sl_http_route {
    const char *method;
    const char *pattern;
    sl_http_handler handler;
    void *arg;
    bool stream_body;      /* the handler reads the body itself */
    bool encoded_body;     /* it takes bodies with a Content-Encoding, as they come; else they are answered 415 */
    size_t body_bytes_max; /* 0: the server's */
};

#define SL_HTTP_PARAMETERS_MAX 8

/* What a server has done; kept up to date while it runs. */
struct sl_http_counts {
    uint64_t accepted;      /* connections */
    uint64_t refused;       /* connections over the limit */
    uint64_t accept_errors; /* such as no more descriptors */
    uint64_t open;          /* connections now */
    uint64_t requests;
    uint64_t bad_requests; /* answered by the server itself with 400 to 505 */
    uint64_t timeouts;     /* clients that were too slow */
    uint64_t handler_errors;
    uint64_t bodies_bytes; /* of bodies that are being gathered, or answered, now */
};

struct sl_http_server_options {
    const struct sl_http_route *routes; /* borrowed while it serves */
    size_t route_count;
    sl_http_handler handler; /* for what no route fits; may be NULL */
    void *arg;
    bool stream_bodies;            /* of that handler */
    bool encoded_bodies;           /* likewise */
    sl_tls_config *tls;            /* handshakes in the connection's task; NULL: in the clear. Must outlive the call */
    struct sl_http_counts *counts; /* filled; may be NULL */
    size_t connections_max;        /* further ones are cut at once; 0: SL_HTTP_CONNECTIONS_MAX */
    size_t target_bytes_max;       /* 0: 8 KiB; longer ones are answered 414 */
    size_t head_bytes_max;         /* 0: 16 KiB; at most 48 KiB; 431 */
    size_t headers_max;            /* 0: SL_HTTP_HEADERS_MAX, which is also the most; 431 */
    size_t body_bytes_max;         /* 0: SL_HTTP_BODY_BYTES_MAX; 413 */
    /*
     * Of all bodies that are gathered at once, by all connections (those that came with their head take nothing); further
     * ones are answered 503 with Retry-After. 0: SL_HTTP_BODIES_BYTES_MAX, or four times the largest body.
     */
    size_t bodies_bytes_max;
    size_t extension_bytes_max; /* of all the chunks of a body; 0: 4 KiB; 413 */
    sl_time head_timeout;       /* from a request's first byte (or the connection's) to its head's last; 0: 10 s; 408 */
    sl_time idle_timeout;       /* between two requests; 0: 75 s */
    sl_time tls_timeout;        /* for the handshake; 0: 10 s */
    sl_time body_grace;         /* a body may take this long, and */
    size_t body_rate;           /* as long as these bytes a second take; 0: 10 s and 1 KiB/s; 408 */
    sl_time write_timeout;      /* an answer may take this long, and what `body_rate` allows for its bytes; 0: 30 s */
    bool serve_while_stopping;  /* a stop does not end it: only its cancellation and the closing of the listener do */
    sl_time stop_grace;         /* from the request to stop to the cancellation of what still runs; 0: 10 s */
};

#define SL_HTTP_CONNECTIONS_MAX 10000
#define SL_HTTP_BODY_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define SL_HTTP_BODIES_BYTES_MAX ((size_t)256 * 1024 * 1024)

/*
 * Accepts connections, each served in a task of its own; one that fails harms no other. Returns when the
 * listener is closed or the task is asked to stop: requests that run are finished, their connections and idle ones
 * closed; what is left after `stop_grace` is cancelled. The listener stays the caller's. Returns as a scope does; SL_EINVAL
 * for limits or routes that are none.
 */
SL_MUST_CHECK int sl_http_serve_with(sl_listener *listener, const struct sl_http_server_options *options);
/* The same with a handler for all requests. */
SL_MUST_CHECK int sl_http_serve(sl_listener *listener, sl_http_handler handler, void *arg);

#ifdef __cplusplus
}
#endif

#endif
