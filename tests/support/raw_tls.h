/* SPDX-License-Identifier: MIT */
/*
 * A TLS peer that a test drives by hand: OpenSSL between two buffers, whose bytes the test moves to and from a
 * stream as it likes. Never waits by itself.
 */
#ifndef RAW_TLS_H
#define RAW_TLS_H

#include <openssl/ssl.h>

#include "sluice/stream.h"

struct raw_tls {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    sl_stream *stream;
};

/* A server with TLS_SERVER's certificate, or a client that trusts TLS_CA and shows TLS_CLIENT's. Takes the stream over. */
void raw_tls_open(struct raw_tls *raw, bool server, int version, sl_stream *stream);
void raw_tls_close(struct raw_tls *raw);

/* Takes what lies in the stream; without any bytes it waits for some. SL_EOF... as sl_stream_peek(). */
int raw_tls_take(struct raw_tls *raw);
/* Writes at most `max_bytes` of what OpenSSL has to say; waits for room. */
int raw_tls_give(struct raw_tls *raw, size_t max_bytes);
/* Both, until the handshake is done. For a task. 0 or a code. */
int raw_tls_shake(struct raw_tls *raw);
/* All of `size_bytes` of plain bytes, taking from the stream as needed; and writing them. */
int raw_tls_read(struct raw_tls *raw, void *buffer, size_t size_bytes);
int raw_tls_write(struct raw_tls *raw, const void *data, size_t size_bytes);

#endif
