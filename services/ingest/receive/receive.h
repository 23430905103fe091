/* SPDX-License-Identifier: MIT */
/*
 * A service of the kind receive: events that others send us, by HTTP POST or WebSocket. Each is checked (event_read.h)
 * and answered for: a text's answer counts what was accepted, what was known already and what was refused, with the
 * place and reason of each.
 *
 * What is accepted is in the queues of all sinks of the service. Where one of them that does not drop has no room,
 * nothing more is taken: the answer is 503 with Retry-After and the number of the first item that was not taken. Sent
 * again, what had been accepted is known by its identity.
 */
#ifndef SL_INGEST_RECEIVE_H
#define SL_INGEST_RECEIVE_H

#include "ingest/program/service.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Problems that one answer lists; the others are counted. */
#define SL_RECEIVE_PROBLEMS 100

/* The longest Idempotency-Key. */
#define SL_RECEIVE_KEY_BYTES 255

/* Client addresses whose rates are told apart; and signatures that are remembered so that none is taken twice. */
#define SL_RECEIVE_ADDRESSES 4096
#define SL_RECEIVE_SIGNATURES ((size_t)1 << 17)

/*
 * Of all bodies that are received at once, or four times the largest one where that is more: further ones are answered 503.
 * One that comes more slowly is given up after ten seconds and what this many bytes a second take.
 */
#define SL_RECEIVE_BODIES_BYTES ((size_t)64 << 20)
#define SL_RECEIVE_BODY_RATE ((size_t)16 << 10)

/* A sink that has no room is asked for again after this. */
#define SL_RECEIVE_RETRY SL_SECONDS(1)

struct sl_receive_stats {
    int port;                             /* it listens on; 0: it does not */
    uint64_t requests;                    /* POSTs and WebSocket messages */
    uint64_t bytes;                       /* of them */
    uint64_t accepted, repeated, refused; /* events */
    uint64_t strangers;                   /* requests without the right key or signature */
    uint64_t replays;                     /* with a signature that had been used */
    uint64_t too_fast;                    /* over the rate of their address */
    uint64_t full;                        /* not, or not wholly, taken for want of room in a sink */
    size_t instruments;  /* that were named so far; at most SL_EVENT_READ_INSTRUMENTS, events of others are refused */
    size_t bodies_bytes; /* of bodies that are being received, now */
    size_t connections;  /* now */
    size_t sessions;     /* WebSockets, now */
};

/* What it has come to; false between two lives. */
bool sl_receive_get_stats(const struct sl_program_service *service, struct sl_receive_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
