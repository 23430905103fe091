/* SPDX-License-Identifier: MIT */
/*
 * Between OpenSSL and the stream below. OpenSSL reads straight from that stream, and what it writes always
 * succeeds: what the stream does not take at once is queued here. So OpenSSL never holds an unfinished record,
 * and a reader that has to answer (an alert, a key update) cannot come between the halves of a writer's record.
 */
#ifndef SL_NET_TLS_WIRE_H
#define SL_NET_TLS_WIRE_H

#include "stream.h"
#include "tls.h"

struct sl__tls_wire {
    sl_stream *inner;
    struct sl__tls_peer *peer;
    char *queue; /* NULL while empty */
    uint32_t queue_start, queue_end;
    int read_code;  /* why reading ended: SL_EOF or an error */
    int write_code; /* why writing ended */
    bool starved;   /* the last call read all there was */
};

/* What is queued at most: a record, and answers of the reader to a peer that does not read them. */
#define SL_TLS_QUEUE_BYTES_MAX SL_STREAM_READ_AHEAD_BYTES

/* OpenSSL's methods for it; a BIO's data is the wire. NULL when memory is short. */
BIO_METHOD *sl__tls_wire_new(void);
/* Sends what is queued: 0, SL_EAGAIN, or the code for which writing ended. */
int sl__tls_wire_flush(struct sl__tls_wire *wire);
void sl__tls_wire_drop(struct sl__tls_wire *wire);

#endif
