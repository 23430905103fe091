/* SPDX-License-Identifier: MIT */
/*
 * AMQP 0-9-1, as RabbitMQ speaks it: one connection with one channel, for publishing with confirms or for consuming.
 * It lives in a scope and as long as the connection: when that breaks, or the server closes it, the scope fails with the
 * server's reason, and whoever supervises the scope opens another one. Publish and consume over connections of their own:
 * a server short of memory stops reading from publishers, and would not see acknowledgements.
 *
 *     sl_amqp *amqp;
 *     SL_TRY(sl_amqp_open(&scope, &(struct sl_amqp_options){.url = "amqp://localhost"}, &amqp));
 *     enum sl_amqp_outcome outcome;
 *     SL_TRY(sl_amqp_publish(amqp, &message, 1, &outcome));
 *
 * All calls are for tasks of the thread that opened it, and wait (cancellation points). Codes of all: SL_EREPLY (the
 * server closed the channel or connection; its text is the message), SL_ECONNRESET, SL_EOF, SL_ETIMEDOUT (heartbeats
 * stayed away), SL_EPROTO, SL_ECLOSED, SL_ECANCELED. Source: AMQP 0-9-1 specification; RabbitMQ's extensions.
 */
#ifndef SLUICE_AMQP_H
#define SLUICE_AMQP_H

#include "sluice/scope.h"
#include "sluice/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_amqp sl_amqp;
struct sl_tls_config;

#define SL_AMQP_HEARTBEAT SL_SECONDS(10)
#define SL_AMQP_CONNECT_TIMEOUT SL_SECONDS(10)
#define SL_AMQP_WINDOW 1024
#define SL_AMQP_WINDOW_MAX 65535
#define SL_AMQP_NAME_MAX 255 /* of exchanges, queues, keys and ids, in bytes */
#define SL_AMQP_BODY_BYTES_MAX ((size_t)64 << 20)

struct sl_amqp_options {
    /* amqp[s]://[user[:password]@]host[:port][/vhost], other characters as %XX; "guest" and "/" where it says nothing */
    const char *url;
    struct sl_tls_config *tls; /* for amqps; borrowed; NULL: the system's authorities */
    const char *name;          /* shown by the server's management; NULL: "sluice" */
    sl_time
        heartbeat; /* silence after which each side proves that it lives; twice of it is death; 0: SL_AMQP_HEARTBEAT */
    sl_time connect_timeout; /* of connecting and greeting; 0: SL_AMQP_CONNECT_TIMEOUT */
    uint32_t window;         /* messages that wait for their confirm, at most; 0: SL_AMQP_WINDOW */
};

/*
 * Connects, greets, opens the channel and turns confirms on. Its tasks are daemons of `scope`, in which it is freed. 0;
 * SL_EINVAL for a bad URL; -EACCES when the server refuses the user or the host; what connecting gives.
 */
SL_MUST_CHECK int sl_amqp_open(sl_scope *scope, const struct sl_amqp_options *options, sl_amqp **ret_amqp);

/* Says goodbye, so that the server does not log a lost client. Afterwards every call gives SL_ECLOSED. */
SL_MUST_CHECK int sl_amqp_close(sl_amqp *amqp);

/* Whether the server has asked publishers to wait (connection.blocked): it is short of memory or disk. */
bool sl_amqp_blocked(const sl_amqp *amqp);

struct sl_amqp_stats {
    uint64_t published, confirmed, nacked, returned, delivered;
    uint64_t blocked; /* times the server asked to wait */
    uint32_t unconfirmed;
};
void sl_amqp_stats_get(const sl_amqp *amqp, struct sl_amqp_stats *ret_stats);

/* ---- names ---- */

struct sl_amqp_queue {
    const char *name;
    bool durable, exclusive, auto_delete;
    bool quorum;             /* x-queue-type: quorum; must be durable */
    const char *dead_letter; /* x-dead-letter-exchange; NULL: none */
    uint32_t delivery_limit; /* x-delivery-limit (quorum); 0: none */
    bool single_active;      /* x-single-active-consumer */
    uint32_t max_length;     /* x-max-length; 0: none */
    bool reject_when_full;   /* x-overflow: reject-publish: publishers get NACKED */
};

/* Makes it, or checks that it is there as described. `ret_messages` (may be NULL): how many wait in it. */
SL_MUST_CHECK int sl_amqp_declare_queue(sl_amqp *amqp, const struct sl_amqp_queue *queue, uint32_t *ret_messages);

/* `type`: "direct", "fanout", "topic", "headers". */
SL_MUST_CHECK int sl_amqp_declare_exchange(sl_amqp *amqp, const char *name, const char *type, bool durable);
SL_MUST_CHECK int sl_amqp_bind_queue(sl_amqp *amqp, const char *queue, const char *exchange, const char *key);
SL_MUST_CHECK int sl_amqp_delete_queue(sl_amqp *amqp, const char *queue);

/* ---- publishing ---- */

struct sl_amqp_message {
    const char *exchange; /* NULL: the default one, whose keys are the queues' names */
    const char *key;
    const char *content_type; /* NULL: none */
    const char *message_id;   /* NULL: none */
    bool persistent;          /* kept over a restart of the server, in durable queues */
    bool mandatory;           /* comes back (RETURNED) when no queue wants it, instead of being dropped in silence */
    const void *body;
    size_t body_bytes; /* up to SL_AMQP_BODY_BYTES_MAX */
};

enum sl_amqp_outcome {
    SL_AMQP_UNKNOWN,   /* the connection was lost first: it may have arrived, publish it again */
    SL_AMQP_CONFIRMED, /* every queue that wants it has it; on disk if durable and persistent */
    SL_AMQP_NACKED,    /* a queue could not take it */
    SL_AMQP_RETURNED,  /* mandatory, and no queue wants it */
};

/*
 * Publishes `count` messages in order and waits until the server has answered for each; waits, too, while the window is
 * full or the server has asked to. `ret_outcomes` (may be NULL) has `count` places, all set in any case. 0 when all are
 * confirmed or answered otherwise; else see above, and those that were not answered are UNKNOWN. One task at a time; others wait.
 * The property correlation-id is ours.
 */
SL_MUST_CHECK int sl_amqp_publish(sl_amqp *amqp, const struct sl_amqp_message *messages, size_t count,
                                  enum sl_amqp_outcome *ret_outcomes);

/* ---- consuming ---- */

/* A message; everything is borrowed until the next sl_amqp_receive(). */
struct sl_amqp_delivery {
    uint64_t tag;
    bool redelivered;
    const char *exchange, *key, *message_id, *content_type; /* "" where there is none */
    const char *body;
    size_t body_bytes;
};

/*
 * Begins to consume; the server sends up to `prefetch` (1 to 65535) messages that are not acknowledged. Once for a
 * connection.
 */
SL_MUST_CHECK int sl_amqp_consume(sl_amqp *amqp, const char *queue, uint16_t prefetch);

/* The next message. SL_EOF when the server ended the consuming (the queue was deleted). One task at a time. */
SL_MUST_CHECK int sl_amqp_receive(sl_amqp *amqp, struct sl_amqp_delivery *ret_delivery);

/* Acknowledges a message, or with `multiple` all up to it; or gives it back, to come again with `requeue`. */
SL_MUST_CHECK int sl_amqp_ack(sl_amqp *amqp, uint64_t tag, bool multiple);
SL_MUST_CHECK int sl_amqp_nack(sl_amqp *amqp, uint64_t tag, bool multiple, bool requeue);

#ifdef __cplusplus
}
#endif

#endif
