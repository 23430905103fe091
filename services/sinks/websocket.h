/* SPDX-License-Identifier: MIT */
/*
 * A sink that is a WebSocket server: clients say what they want and get it live, as JSON (docs/reference/events.md), one
 * or more events in a text message, one a line.
 *
 *     -> {"subscribe":["binance-usdm:BTC-*:trade","*:*:best"]}        <- {"subscribed":["binance-usdm:BTC-*:trade","*:*:best"]}
 *     -> {"unsubscribe":["*:*:best"]}                                 <- {"subscribed":["binance-usdm:BTC-*:trade"]}
 *     -> anything else                                                <- {"error":"..."}
 *
 * A pattern is venue:instrument:kind; * stands for any characters and ? for one; an instrument is meant by its name or the
 * venue's symbol. Each client has a bounded queue of its own. One that does not keep up gets only the latest states, and is
 * cut when that does not help, or (`cut_slow`) at once: nobody gets a stream with silent holes. The sink itself never waits
 * for clients.
 *
 * Delivery is to those who listen, while they do: nothing is kept for the others, and identity is the "stamp" alone.
 */
#ifndef SLUICE_SINKS_WEBSOCKET_H
#define SLUICE_SINKS_WEBSOCKET_H

#include "sinks/sink.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl_tls_config;

#define SL_WEBSOCKET_CLIENTS 256
#define SL_WEBSOCKET_QUEUE_BYTES ((size_t)1 << 20)
#define SL_WEBSOCKET_PATTERNS_MAX 256
#define SL_WEBSOCKET_PATTERN_MAX 128
#define SL_WEBSOCKET_PATH_MAX 128

typedef struct sl_websocket_options {
    const char *address;       /* a literal or localhost; NULL: 127.0.0.1 */
    int port;                  /* 0: the system chooses one, see sl_websocket_sink_port() */
    const char *path;          /* NULL: "/stream" */
    struct sl_tls_config *tls; /* NULL: in the clear; borrowed as long as the sink lives */
    size_t clients_max;        /* further ones are turned away with 503; 0: SL_WEBSOCKET_CLIENTS */
    size_t queue_bytes;        /* of each client; 0: SL_WEBSOCKET_QUEUE_BYTES */
    bool cut_slow;
    const char *
        token; /* clients must send it: "Authorization: Bearer TOKEN"; NULL: none. Borrowed as long as the sink lives */
    bool deflate; /* permessage-deflate for clients that offer it */
} sl_websocket_options;

typedef struct sl_websocket_stats {
    uint64_t accepted, refused, cut; /* clients: in all, over the limit, too slow */
    uint64_t unauthorized;           /* clients without the token, or with a wrong one */
    uint64_t sent, conflated;        /* events, of all clients together */
    size_t clients;                  /* just now */
} sl_websocket_stats;

/* Makes the sink. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_websocket_sink_new(const sl_websocket_options *options, sl_sink **ret_sink);

/* The port it listens on, 0 while it does not; and its figures. Both of a sink made by sl_websocket_sink_new(). */
int sl_websocket_sink_port(const sl_sink *sink);
const sl_websocket_stats *sl_websocket_sink_stats(const sl_sink *sink);

#ifdef __cplusplus
}
#endif

#endif
