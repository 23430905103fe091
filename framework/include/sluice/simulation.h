/* SPDX-License-Identifier: MIT */
/*
 * The simulated network: hosts, the links between them, and everything that goes wrong on them. It takes the
 * place of the sockets for a run in the simulated world; what is above (sl_connect(), sl_listener_open(), HTTP,
 * WebSocket, Redis) runs unchanged. Time is the virtual clock, each choice comes from the world's seed: the
 * same program with the same seed sees the same bytes at the same times.
 *
 *     SL_TRY(sl_network_simulate());
 *     SL_TRY(sl_network_host("exchange", NULL));
 *     SL_TRY(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = SL_MILLISECONDS(20)}));
 *     SL_TRY(sl_network_chaos(&(struct sl_chaos_options){.every = SL_SECONDS(5), .duration = SL_MINUTES(10)}));
 *
 * Connections keep TCP's promises: bytes arrive in order or not at all; what was sent before the end of a side
 * is delivered before it; a reset discards what was not read; closing with unread bytes, and writing to a peer
 * that is gone, end in a reset; a side may end while the other goes on.
 *
 * Hosts are named; NULL for a host stands for every one. All calls are for tasks of the simulated run; they do
 * not wait. Those that fail give SL_ENOTSUP outside a simulated network and SL_ENOENT for an unknown host.
 */
#ifndef SLUICE_SIMULATION_H
#define SLUICE_SIMULATION_H

#include "sluice/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now until the end of the run connections are simulated. There is one host, SL_NETWORK_HOME, on which
 * all tasks run. 0; SL_ENOTSUP in the real world; SL_EALREADY; SL_ENOMEM.
 */
SL_MUST_CHECK int sl_network_simulate(void);
#define SL_NETWORK_HOME "home"
#define SL_NETWORK_HOSTS_MAX 64

/*
 * Adds a host, or one more address to a host. `address` is a literal, or NULL: the host gets the next one of
 * 10.0.0.0/8. Each host also has loopback addresses and Unix sockets of its own. 0; SL_EINVAL for what is no
 * address; SL_EEXIST for one that is taken; SL_EMSGSIZE beyond SL_NETWORK_HOSTS_MAX hosts or 8 addresses each;
 * SL_ENOMEM.
 */
SL_MUST_CHECK int sl_network_host(const char *name, const char *address);

/*
 * One more name for a host. Names of several hosts are looked up as all their addresses, in this order. 0;
 * SL_EINVAL; SL_EMSGSIZE beyond SL_NETWORK_ALIASES_MAX; SL_ENOMEM.
 */
SL_MUST_CHECK int sl_network_alias(const char *name, const char *host);
#define SL_NETWORK_ALIASES_MAX 256

/* The running task moves to a host; tasks that it spawns afterwards begin there. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_network_enter(const char *name);

/* The first address of a host, as text; NULL for an unknown host. Valid until the end of the run. */
const char *sl_network_address(const char *name);

/* ---- links ---- */

/* How a connection is lost. */
enum sl_cut {
    SL_CUT_ANY,    /* one of the others, at random */
    SL_CUT_RESET,  /* both ends see SL_ECONNRESET; what they have not read is lost */
    SL_CUT_END,    /* both ends see the end of the stream, wherever they are; later writes are reset */
    SL_CUT_SILENT, /* half-open: nothing arrives any more, neither end is told. A write that nobody
                      acknowledges for SL_NETWORK_GIVE_UP fails with SL_ETIMEDOUT; a reader waits for ever */
};

/* All zero: a perfect link. May be changed while connections use it. */
struct sl_link_options {
    sl_time latency;           /* one way */
    sl_time jitter;            /* up to this much more, drawn for each segment; order is kept */
    uint64_t bytes_per_second; /* in each direction, for all connections together; 0: unlimited */
    size_t buffer_bytes;       /* what may be under way or unread in each direction of a connection, of those
                                  that are made from now on; 0: SL_NETWORK_BUFFER_BYTES */
    size_t chunk_bytes;        /* > 0: each read and each write moves 1 to this many bytes, drawn anew */
    double refuse;             /* share of connections that are refused, 0 to 1 */
    double ignore;             /* share of connections that are never answered */
    double cut;                /* probability for each segment with data that it is the connection's last */
    uint64_t cut_after_bytes; /* > 0: connections are cut when this many bytes have arrived, both directions together */
    enum sl_cut cut_how;
};
#define SL_NETWORK_BUFFER_BYTES ((size_t)32 * 1024)
#define SL_NETWORK_BUFFER_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define SL_NETWORK_GIVE_UP SL_MINUTES(15)
#define SL_NETWORK_CONNECT_GIVE_UP SL_SECONDS(127)

/* Sets the links between two hosts (or a host and itself). 0; SL_EINVAL for what is out of range. */
SL_MUST_CHECK int sl_network_link(const char *one, const char *other, const struct sl_link_options *options);

/*
 * Nothing passes between two hosts until they are healed; then what was under way arrives (systems send again),
 * unless its sender gave up meanwhile: see SL_CUT_SILENT. The link of a host to itself is not partitioned by NULL.
 */
SL_MUST_CHECK int sl_network_partition(const char *one, const char *other);
SL_MUST_CHECK int sl_network_heal(const char *one, const char *other);

/* Cuts all connections between two hosts now; the number of them. */
SL_MUST_CHECK int sl_network_cut(const char *one, const char *other, enum sl_cut how);

/* ---- faults at random ---- */

struct sl_chaos_options {
    const char *one, *other; /* whose links are hit; NULL: every host */
    sl_time every;           /* mean time from one fault to the next, > 0 */
    sl_time duration;        /* no more faults after this; > 0 */
    sl_time outage;          /* longest partition, slowness or refusal; 0: `every` */
    /* How often each kind comes, compared with the others; all 0: all alike. */
    unsigned reset, end, silent; /* cut one connection */
    unsigned partition;          /* of one link; healed again */
    unsigned slow;               /* up to `outage` more latency on one link, for a while */
    unsigned refuse;             /* connections over one link are refused for a while */
};

/* Faults at random times from now on; a second call replaces the first, NULL ends it and heals. 0, SL_EINVAL. */
SL_MUST_CHECK int sl_network_chaos(const struct sl_chaos_options *options);

/* ---- looking ---- */

struct sl_network_counts {
    uint64_t attempts;    /* connections asked for */
    uint64_t established; /* and made */
    uint64_t refused, ignored;
    uint64_t cut_reset, cut_ended, cut_silent; /* by the network, for whatever reason */
    uint64_t partitions, slowed, refusals;     /* times, by chaos or by call */
    uint64_t segments, bytes;                  /* that arrived */
    size_t open;                               /* connections that at least one end holds */
};
struct sl_network_counts sl_network_counts_get(void);

/* A hash over all that happened so far, when, and each byte that arrived. Same seed, same program: same hash. */
uint64_t sl_network_trace(void);

#ifdef __cplusplus
}
#endif

#endif
