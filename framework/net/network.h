/* SPDX-License-Identifier: MIT */
/*
 * The network of a runtime: the real one (sockets), or another, such as the simulated one, that took its place.
 */
#ifndef SL_NET_NETWORK_H
#define SL_NET_NETWORK_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sluice/sync.h"
#include "sluice/tls.h"
#include "stream.h"

struct sl__address {
    socklen_t size_bytes;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } is;
};

/* A literal, "localhost" or "unix:..."; SL_EINVAL with a message for anything else. */
int sl__address_parse(const char *text, int port, struct sl__address *ret_address);
void sl__address_text(const struct sl__address *address, char *text, size_t text_bytes);
int sl__address_port(const struct sl__address *address);

struct sl__ips;
struct sl__resolver;

struct sl__network {
    /* Waits. `local` is NULL or where to come from. */
    int (*connect)(const struct sl__address *where, const struct sl__address *local, sl_stream **ret_stream);
    int (*listen)(const struct sl__address *where, const struct sl_listen_options *options, sl_listener **ret_listener);
    /* Addresses of one family. Waits. See resolve.h. */
    int (*resolve)(const char *host, int family, struct sl__ips *ret_ips);
    void (*close)(void *state); /* at the end of the run; NULL: there is no state */
};

extern const struct sl__network sl__network_sockets;

/* Idle read buffers that a runtime keeps. */
#define SL_NET_BUFFERS_IDLE_MAX 64

/* What the net layer keeps for each runtime. */
struct sl__net {
    const struct sl__network *network;
    void *state;                   /* of that network */
    struct sl__resolver *resolver; /* NULL until a name is looked up */
    sl_tls_config *tls;            /* sl_tls_default(); NULL until it is asked for */
    sl_mutex tls_making;
    void *buffers[SL_NET_BUFFERS_IDLE_MAX];
    size_t idle;
};

/* Of this thread's runtime; made at the first call, freed with the run. NULL when memory is short. */
struct sl__net *sl__net(void);
/* Its network; only after sl__net(). */
const struct sl__network *sl__runtime_network(void);

/* SL_STREAM_READ_AHEAD_BYTES with the padding; NULL when memory is short. */
void *sl__net_buffer_get(void);
void sl__net_buffer_put(void *buffer);

#endif
