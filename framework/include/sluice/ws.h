/* SPDX-License-Identifier: MIT */
/*
 * WebSocket, client and server: messages whole or sent in parts, pings answered, a watchdog for dead peers, the
 * close handshake, compression. One task receives; any may send. Sources: RFC 6455, RFC 7692.
 *
 *     sl_auto(sl_ws) *ws = NULL;
 *     SL_TRY(sl_ws_connect("ws://127.0.0.1:8080/stream", &ws));
 *     struct sl_ws_message message;
 *     int code;
 *     while ((code = sl_ws_receive(ws, &message)) == 0) {
 *         SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
 *     }
 *
 * A connection without a task in sl_ws_receive() answers no pings and does not notice that its peer is gone.
 */
#ifndef SLUICE_WS_H
#define SLUICE_WS_H

#include "sluice/http.h"
#include "sluice/stream.h"
#include "sluice/time.h"
#include "sluice/tls.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_ws sl_ws;

#define SL_WS_MESSAGE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define SL_WS_FRAGMENTS_MAX (256u * 1024)
#define SL_WS_REASON_BYTES_MAX 123
#define SL_WS_HANDSHAKE_TIMEOUT SL_SECONDS(30)
#define SL_WS_CLOSE_TIMEOUT SL_SECONDS(5)
#define SL_WS_PING_INTERVAL SL_SECONDS(20)
#define SL_WS_PONG_TIMEOUT SL_SECONDS(20)

enum sl_ws_kind { SL_WS_TEXT = 1, SL_WS_BINARY = 2 };

/*
 * A message; borrowed until the next receive. Text is valid UTF-8. SL_JSON_PADDING bytes behind it are readable.
 * One that came in one piece lies where it was read, and was not copied.
 */
struct sl_ws_message {
    enum sl_ws_kind kind;
    const char *data;
    size_t size_bytes;
};

/* permessage-deflate: what a client offers and a server grants. */
struct sl_ws_deflate {
    bool on;
    bool client_no_context_takeover; /* each message by itself: worse compression, but no memory between messages */
    bool server_no_context_takeover;
    int client_max_window_bits; /* 8 to 15; 0: 15 */
    int server_max_window_bits;
    int level;              /* 1 to 9; 0: zlib's default */
    size_t threshold_bytes; /* shorter messages go as they are; 0: all are compressed */
};

/* For all of them zero means the default. Texts are borrowed for the call. */
struct sl_ws_options {
    /* "ws://host:port/path?query" or "wss:..."; for clients. Hosts as sl_connect() takes them; "[::1]" for IPv6. */
    const char *url;
    sl_tls_config *tls;        /* for wss; NULL: sl_tls_default() */
    const char *local_address; /* clients: the address to come from; NULL: the system's choice */
    const char *proxy;         /* clients: through this one, as in sl_connect_with(); NULL: directly */
    sl_stream *stream;   /* clients: use this connection (through a proxy, a pair) as it is instead of making one */
    const char *headers; /* more lines of the handshake, "Name: value\r\n"... */
    const char *subprotocols; /* "a, b": what a client offers, or what a server speaks, the best first */
    struct sl_ws_deflate deflate;
    bool trust_text;           /* what is sent as text is known to be UTF-8 and is not checked */
    size_t message_bytes_max;  /* SL_WS_MESSAGE_BYTES_MAX; of a compressed message the inflated size counts */
    size_t frame_bytes_max;    /* of one frame; the same as message_bytes_max */
    uint32_t fragments_max;    /* of one message; SL_WS_FRAGMENTS_MAX */
    sl_time handshake_timeout; /* for the client's connecting and handshake; SL_NEVER: none */
    sl_time close_timeout;     /* for the peer's answer to a close frame */
    sl_time ping_interval;     /* silence after which the peer is pinged; SL_NEVER: no watchdog */
    sl_time pong_timeout;      /* further silence after which it counts as dead */
};

/*
 * Connects and shakes hands. Waits. `options.stream` is taken over, also when the call fails. 0; SL_EINVAL for a
 * bad URL or option; SL_EPROTO when the answer is not a proper upgrade (the message has the status, a redirect's goal
 * and the beginning of the body); SL_ETIMEDOUT after handshake_timeout; what sl_connect(), sl_tls_client() and the
 * stream give.
 */
SL_MUST_CHECK int sl_ws_connect_with(const struct sl_ws_options *options, sl_ws **ret_ws);
/* The same with the URL alone. */
SL_MUST_CHECK int sl_ws_connect(const char *url, sl_ws **ret_ws);

/*
 * Server: answers the request with an upgrade and takes the connection over. Or answers with 400, or 426 for
 * another version, and gives SL_EPROTO. Waits. SL_EINVAL for a bad option (the request is not answered).
 */
SL_MUST_CHECK int sl_ws_accept_with(sl_http_exchange *exchange, const struct sl_ws_options *options, sl_ws **ret_ws);
SL_MUST_CHECK int sl_ws_accept(sl_http_exchange *exchange, sl_ws **ret_ws);

/* The subprotocol agreed on, "" when none; whether messages are compressed. Borrowed from the WebSocket. */
const char *sl_ws_subprotocol(const sl_ws *ws);
bool sl_ws_compresses(const sl_ws *ws);

/*
 * The next message. Waits; cancelled, it has lost nothing. One task at a time (SL_EBUSY). 0; SL_EOF after the
 * peer's close frame (see sl_ws_close_code()); SL_ECONNRESET when the connection ended without one;
 * SL_ETIMEDOUT when the peer was silent for ping_interval and pong_timeout; SL_EPROTO, SL_EMSGSIZE for what
 * the peer did wrong (it has been told). These, and codes of the stream, are for ever. SL_ENOMEM: the call may
 * be repeated.
 */
SL_MUST_CHECK int sl_ws_receive(sl_ws *ws, struct sl_ws_message *ret_message);

/*
 * Sends one message. Waits while the peer does not read, and for other senders. Nothing is kept of it. 0; SL_EINVAL for
 * text that is not UTF-8, SL_ENOMEM: nothing was sent; SL_EPIPE once a close frame was sent or the connection broke;
 * what the stream gives. A send that is cancelled while the peer does not read breaks the connection for sending.
 */
SL_MUST_CHECK int sl_ws_send(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes);

/*
 * The same for a message in parts, by one task: each goes out as a fragment (or, compressed, when enough is
 * there). The first call begins the message and makes other senders wait, `last` ends it; `kind` counts in the
 * first. A failure ends the message, and the connection's sending.
 */
SL_MUST_CHECK int sl_ws_send_part(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes, bool last);

/*
 * Sends a ping with at most 125 bytes; while another task writes it is sent behind that. Waits. The peer's answer comes
 * during sl_ws_receive(): how many pongs came, and what was in the last one (borrowed until the next receive).
 */
SL_MUST_CHECK int sl_ws_ping(sl_ws *ws, const void *data, size_t size_bytes);
uint64_t sl_ws_pongs(const sl_ws *ws, struct sl_bytes *ret_last);

/*
 * Sends a close frame; the peer's answer ends sl_ws_receive() with SL_EOF. `code` 0 (none), 1000 to 1003, 1007 to
 * 1014, 3000 to 4999; `reason` UTF-8 of at most SL_WS_REASON_BYTES_MAX bytes, or NULL. SL_EINVAL for others.
 * Waits for room. Repeats are fine.
 */
SL_MUST_CHECK int sl_ws_send_close(sl_ws *ws, int code, const char *reason);

/*
 * The same, and waits for the peer's close frame, throwing messages away unless another task receives them.
 * A client then waits for the server to end the connection. All within close_timeout. 0; SL_ETIMEDOUT when the peer
 * did not answer; else as sl_ws_send_close() and sl_ws_receive().
 */
SL_MUST_CHECK int sl_ws_close(sl_ws *ws, int code, const char *reason);

/* The code and reason of the peer's close frame: 1005 when it gave none, 0 and "" before it came. */
int sl_ws_close_code(const sl_ws *ws);
const char *sl_ws_close_reason(const sl_ws *ws);

/*
 * What has come behind the message that was received last, heads of frames and all, unchecked: for guesses at what comes
 * next. Borrowed until the next call of sl_ws_receive(); `data` may be NULL when there is nothing.
 */
struct sl_view sl_ws_ahead(const sl_ws *ws);

/* The stream below, for addresses and counts; borrowed. */
const sl_stream *sl_ws_stream(const sl_ws *ws);

/* Closes the connection, without a handshake, and frees; no task may be in a call. NULL is fine. A cut: the peer sees a reset. */
void sl_ws_free(sl_ws *ws);
void sl_ws_cut(sl_ws *ws);
SL_AUTO_DECLARE(sl_ws, sl_ws_free)

#ifdef __cplusplus
}
#endif

#endif
