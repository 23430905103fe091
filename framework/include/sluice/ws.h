/* SPDX-License-Identifier: MIT */
/*
 * WebSocket, client and server: whole messages, fragments put together, pings answered, the close
 * handshake. Frames are wslay's. No compression yet. One task receives; any may send. Source: RFC 6455.
 */
#ifndef SLUICE_WS_H
#define SLUICE_WS_H

#include "sluice/http.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_ws sl_ws;

#define SL_WS_MESSAGE_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum sl_ws_kind { SL_WS_TEXT = 1, SL_WS_BINARY = 2 };

/* A message; borrowed until the next receive. Text is valid UTF-8. SL_JSON_PADDING bytes behind it are readable. */
struct sl_ws_message {
    enum sl_ws_kind kind;
    const char *data;
    size_t size_bytes;
};

/* Connects and shakes hands. Waits. SL_EPROTO when the answer is not a proper upgrade. */
SL_MUST_CHECK int sl_ws_connect(const char *address, int port, const char *target, sl_ws **ret_ws);

/* Server: answers the request with an upgrade (or with 400 and SL_EPROTO) and takes the connection over. */
SL_MUST_CHECK int sl_ws_accept(sl_http_exchange *exchange, sl_ws **ret_ws);

/*
 * The next message. 0; SL_EOF after a close handshake (see sl_ws_close_code()); SL_ECONNRESET when the
 * connection ended without one; SL_EPROTO, SL_EMSGSIZE for what the peer did wrong (it has been told).
 */
SL_MUST_CHECK int sl_ws_receive(sl_ws *ws, struct sl_ws_message *ret_message);

/* Sends one message in one frame. Waits while the peer does not read. */
SL_MUST_CHECK int sl_ws_send(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes);

/* Sends a close frame; the peer's answer ends sl_ws_receive() with SL_EOF. `reason` at most 123 bytes. */
SL_MUST_CHECK int sl_ws_send_close(sl_ws *ws, int code, const char *reason);

/* The code of the peer's close frame: 1005 when it gave none, 0 before it came. */
int sl_ws_close_code(const sl_ws *ws);

/* Closes the connection, without a handshake, and frees. NULL is fine. A cut: the peer sees a reset. */
void sl_ws_free(sl_ws *ws);
void sl_ws_cut(sl_ws *ws);
SL_AUTO_DECLARE(sl_ws, sl_ws_free)

#ifdef __cplusplus
}
#endif

#endif
