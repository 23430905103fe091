/* SPDX-License-Identifier: MIT */
/*
 * One connection to a venue's stream: connect, subscribe, receive, decode, and end with a reason. It belongs to the
 * scope that runs it; whoever wants it to go on runs it again. What it is subscribed to may change while it runs.
 *
 * It ends when the peer closes, is silent for too long, does not answer a ping, or sends what is no protocol. A
 * message that cannot be decoded does not end it: it is counted and given to `bad`.
 */
#ifndef SL_INGEST_CONNECTION_H
#define SL_INGEST_CONNECTION_H

#include "ingest/stream/subscriptions.h"
#include "sluice/limiter.h"
#include "sluice/scope.h"
#include "sluice/sync.h"
#include "sluice/ws.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Until the connection stands, its handshake included. */
#define SL_CONNECTION_TIMEOUT SL_SECONDS(10)

/*
 * Venues stop sending data and go on with heartbeats. A connection that has brought so many events, and then none for so
 * many times its longest silence of late (and for so long at least), is made anew. A silence that was a quiet market's
 * counts as one from then on; after each hour it counts half.
 */
#define SL_CONNECTION_QUIET_EVENTS 100
#define SL_CONNECTION_QUIET_FACTOR 4
#define SL_CONNECTION_QUIET_MIN SL_SECONDS(60)
#define SL_CONNECTION_QUIET_FADES SL_MINUTES(60)

typedef struct sl_connection sl_connection;

/* Why one message was not used; borrowed for the call. */
struct sl_bad_message {
    const sl_connection *connection;
    const char *text;
    size_t size_bytes;
    int64_t receive_time_ns;
    int code; /* SL_EPROTO, SL_ENOTSUP, SL_ERANGE, SL_EMSGSIZE */
    const char *problem;
    const char *like; /* what others like it have in common, where the problem quotes what came; NULL: the problem */
};

/* Texts and objects are borrowed and must outlive the connection. */
struct sl_connection_options {
    const sl_venue_driver *driver;
    const sl_instruments *instruments;
    const char *origin;        /* "ws://127.0.0.1:9000"; NULL: the venue's own */
    uint32_t number;           /* put into each event */
    sl_tls_config *tls;        /* NULL: the default, where the origin is wss */
    const char *local_address; /* the address to come from; NULL: the system's choice */
    const char *proxy;         /* as in sl_connect_with(); NULL: directly */
    bool deflate;              /* offer compression */
    size_t message_bytes_max;  /* 0: SL_VENUE_MESSAGE_DEFAULT_BYTES */
    sl_time silence;           /* 0: the venue's */
    sl_time timeout;           /* until the connection stands, its handshake included; 0: SL_CONNECTION_TIMEOUT */
    sl_time max_age;           /* then it wants to be replaced; 0: by the venue's limit */
    sl_limiter *connects;      /* shared by all connections to the venue; NULL: none */
    bool compared;             /* others carry the same: what comes is counted by subscription */
    bool not_healthy_at_once;  /* its first message is no sl_healthy() yet */
    sl_venue_output output;    /* events; notices that are not the connection's own business */
    int (*bad)(void *arg, const struct sl_bad_message *message); /* `arg` is the output's; may be NULL */
    /* Each frame as it came, before it is decoded: for recordings. May be NULL. */
    int (*frame)(void *arg, const sl_connection *connection, const char *text, size_t size_bytes,
                 int64_t receive_time_ns);
};

typedef enum sl_connection_state {
    SL_CONNECTION_IDLE = 0, /* not running */
    SL_CONNECTION_WAITING,  /* for its turn to connect */
    SL_CONNECTION_CONNECTING,
    SL_CONNECTION_SUBSCRIBING, /* open; some subscriptions are not answered yet */
    SL_CONNECTION_LIVE,        /* all are active, or refused for good */
} sl_connection_state;

struct sl_connection_stats {
    sl_connection_state state;
    uint64_t runs, opened; /* times it was run, and connected */
    uint64_t messages, bytes;
    uint64_t bad, unknown; /* messages that were not used */
    uint64_t events;
    int64_t opened_wall_ns;
    sl_time opened_at, last_message_at, last_event_at; /* sl_now(); 0: never */
    sl_time longest_quiet;                             /* between two events, of late */
    bool replace;                                      /* the venue asked to reconnect, or its age is near the limit */
    char problem[160];                                 /* why it ended last */
};

/* Does not wait. 0, SL_ENOMEM, SL_EINVAL. */
SL_MUST_CHECK int sl_connection_new(const struct sl_connection_options *options, sl_connection **ret_connection);

/* Not while it runs. NULL is fine. */
void sl_connection_free(sl_connection *connection);
SL_AUTO_DECLARE(sl_connection, sl_connection_free)

/*
 * Connects and receives until the connection ends: a task's body (argument: the connection). SL_EOF: the peer closed
 * it in order. What sl_ws_connect_with() and sl_ws_receive() give; SL_ETIMEDOUT with a message that says what was
 * waited for; what an output returned. Waits; one task at a time (SL_EBUSY).
 */
SL_MUST_CHECK int sl_connection_run(void *connection);

/*
 * Ends it by cancelling `scope`, which is around its run; but not amid a message, whose events would be given out to some
 * and not to others. `why` is borrowed. Does not wait.
 */
void sl_connection_end(sl_connection *connection, sl_scope *scope, const char *why);

/*
 * Change what is subscribed to, running or not. As sl_subscriptions_add(), _remove() and _renew(); the messages go out
 * as the venue's limits allow. Do not wait.
 */
SL_MUST_CHECK int sl_connection_add(sl_connection *connection, const sl_subscription *what);
void sl_connection_remove(sl_connection *connection, const sl_subscription *what);
int sl_connection_renew(sl_connection *connection, sl_feed feed, const sl_instrument *instrument);
void sl_connection_forgive(sl_connection *connection); /* sl_subscriptions_forgive() */

/* As sl_subscriptions_heard(): of one that is `compared`. */
struct sl_subscription_heard *sl_connection_heard(const sl_connection *connection, const sl_subscription *what);

const sl_subscriptions *sl_connection_subscriptions(const sl_connection *connection);
const struct sl_connection_stats *sl_connection_get_stats(const sl_connection *connection);
uint32_t sl_connection_number(const sl_connection *connection);
/* When the message came that is being decoded, or the last one: as its events and the recording have it. */
int64_t sl_connection_message_time(const sl_connection *connection);

#ifdef __cplusplus
}
#endif

#endif
