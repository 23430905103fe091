/* SPDX-License-Identifier: MIT */
/* permessage-deflate: what was agreed on, and the two directions. No I/O. Source: RFC 7692. */
#ifndef SL_WS_DEFLATE_H
#define SL_WS_DEFLATE_H

#include "frame.h"
#include "sluice/ws.h"

/* What the handshake agreed on. */
struct sl__ws_agreed {
    bool on;
    bool client_no_context_takeover, server_no_context_takeover;
    int client_max_window_bits, server_max_window_bits; /* 8 to 15 */
};

#define SL__WS_EXTENSION_BYTES 192

/* The client's offer as a header's value. */
void sl__ws_offer(const struct sl_ws_deflate *wanted, char text[SL__WS_EXTENSION_BYTES]);

/*
 * The server's choice among the offers in one header: 1 with what to agree on and the answer's value in `text`; 0 when
 * none can be granted; SL_EPROTO for what is no list of extensions.
 */
int sl__ws_grant(const struct sl_ws_deflate *able, const char *offers, struct sl__ws_agreed *ret_agreed,
                 char text[SL__WS_EXTENSION_BYTES]);

/* What the client makes of the answer. SL_EPROTO for anything that was not offered. */
int sl__ws_check_grant(const struct sl_ws_deflate *wanted, const char *answer, struct sl__ws_agreed *ret_agreed);

/* A message being put together: SL_JSON_PADDING bytes behind its capacity are ours, too. */
struct sl__ws_buffer {
    char *data;
    size_t size_bytes, capacity;
};

/* Makes room for at least one byte more, for `wanted` if that is not too much at once. 0, SL_ENOMEM: nothing has changed. */
int sl__ws_buffer_grow(struct sl__ws_buffer *buffer, size_t wanted);
void sl__ws_buffer_free(struct sl__ws_buffer *buffer);

typedef struct sl_inflater sl_inflater;
typedef struct sl_deflater sl_deflater;

int sl__inflater_new(int window_bits, bool keep_context, sl_inflater **ret_inflater);
void sl__inflater_free(sl_inflater *inflater);
/* Appends what the bytes inflate to. SL_EPROTO for bad data, SL_EMSGSIZE beyond `bytes_max`, SL_ENOMEM. */
int sl__inflate(sl_inflater *inflater, const void *data, size_t size_bytes, struct sl__ws_buffer *to, size_t bytes_max);
/* The end of the message. The same errors. */
int sl__inflate_end(sl_inflater *inflater, struct sl__ws_buffer *to, size_t bytes_max);

#define SL__DEFLATER_OUT_BYTES ((size_t)16 * 1024)

int sl__deflater_new(int window_bits, bool keep_context, int level, sl_deflater **ret_deflater);
void sl__deflater_free(sl_deflater *deflater);
bool sl__deflater_keeps_context(const sl_deflater *deflater);
/* Compresses some of the message: the bytes to send as a fragment now, perhaps none. Call again until `size_bytes` is 0. */
int sl__deflate(sl_deflater *deflater, const char **data, size_t *size_bytes, bool last, struct sl_view *ret_out,
                bool *ret_done);

#endif
