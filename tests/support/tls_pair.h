/* SPDX-License-Identifier: MIT */
/* Two ends of a TLS connection for the tests, over a pair in memory or over TCP. */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include "sluice/net.h"
#include "sluice/tls.h"
#include "tls_certificates.h"

enum tls_under { TLS_OVER_MEMORY, TLS_OVER_TCP };

struct tls_pair {
    sl_stream *client, *server;
};

/* Options of a client that trusts TLS_CA, and of a server that shows `which`. */
struct sl_tls_options tls_client_options(void);
struct sl_tls_options tls_server_options(enum tls_certificate which);

/* Two plain streams; in memory each direction holds `capacity` bytes. */
int tls_plain_pair(enum tls_under under, size_t capacity, sl_stream **ret_one, sl_stream **ret_other);

/*
 * Shakes hands between two plain streams, which it takes over, and keeps each end's code and message. The result
 * is the client's code, or the server's when the client had none. The stream of an end that failed is NULL.
 */
struct tls_shake {
    sl_stream *one, *other;
    sl_tls_config *client, *server;
    const char *name; /* NULL: "server.test" */
    int client_code, server_code;
    bool left_over; /* errors in OpenSSL's queue: SL_EMISUSE */
    char client_error[256], server_error[256];
};
int tls_shake(struct tls_shake *shake, struct tls_pair *ret_pair);

/* All of it with the usual options. */
int tls_pair_open(enum tls_under under, size_t capacity, struct tls_pair *ret_pair);
void tls_pair_close(struct tls_pair *pair);

#endif
