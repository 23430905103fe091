/* SPDX-License-Identifier: MIT */
/*
 * What the files of the simulated network share. A connection is two lanes, one for each direction. What crosses
 * a lane (bytes, acknowledgements, the beginning, the end, a reset) is a segment with a time of arrival; segments
 * arrive in order, by a timer a lane. Acknowledgements give the writer its room back, so a reader that is away
 * holds its writer up.
 */
#ifndef SL_SIMULATION_INTERNAL_H
#define SL_SIMULATION_INTERNAL_H

#include "../net/network.h"
#include "../runtime/internal.h"
#include "sluice/simulation.h"

#define ADDRESSES_MAX 8
#define SEGMENTS_MAX 64
#define MSS_BYTES 1460 /* segments of a link with a bandwidth */
#define EPHEMERAL_PORT 49152
#define PORT_MAX 65535

struct host {
    char *name;
    struct sl__address addresses[ADDRESSES_MAX];
    size_t count;
    char text[SL_ADDRESS_TEXT_BYTES]; /* of the first address */
    uint32_t index;
    int next_port;
    struct simulated_listener *listeners;
    struct host *next;
};

/* One more name of a host. */
struct alias {
    char *name;
    struct host *host;
    struct alias *next;
};

enum trouble { NO_TROUBLE, TROUBLE_PARTITION, TROUBLE_SLOW, TROUBLE_REFUSE };

struct link {
    struct host *one, *other;
    struct sl_link_options options;
    sl_time busy_until[2]; /* from `one`, from `other`: the last byte has left */
    bool partitioned;
    enum trouble trouble; /* by chaos, until the timer fires */
    sl_time extra_latency;
    struct sl__timer timer;
    struct link *next;
};

enum { SEGMENT_SYN = 1, SEGMENT_ACCEPT = 2, SEGMENT_END = 4, SEGMENT_RESET = 8, SEGMENT_LOST = 16 };

struct segment {
    sl_time when;
    uint32_t bytes; /* in the ring */
    uint32_t acks;  /* bytes of the other lane that were read */
    uint32_t flags;
};

struct connection;

/* One end. Not released to anybody until it was connected or accepted. */
struct simulated_stream {
    sl_stream base;
    struct connection *connection; /* NULL once closed */
    unsigned side;                 /* lanes[side] leads away from here */
    int error;                     /* how the connection ended for this end */
    bool connected;
};

/* From lanes[i].ends[i] to the other end. The ring holds what was read by nobody: arrived, then under way. */
struct lane {
    struct connection *connection;
    char *ring;
    size_t head, arrived, flying;
    size_t unacked; /* taken from the writer and not acknowledged */
    struct segment segments[SEGMENTS_MAX];
    uint32_t first, count;
    bool end_sent, ended;
    bool cut;         /* what is sent from now on meets nobody */
    sl_time patience; /* while nothing passes: when the writer gives up */
    struct sl__timer timer;
};

struct connection {
    uint64_t id;
    struct link *link;
    struct host *from, *asked;
    struct simulated_stream *ends[2]; /* connected, accepted; NULL once closed */
    struct lane lanes[2];
    size_t capacity;
    uint64_t carried;
    bool refuse, silent;
    bool released; /* the accepting end is a listener's or a task's */
    uint32_t syns;
    struct sl__timer connect_timer;
    struct sl__address addresses[2];
    struct connection *next, *prev;  /* all of the network */
    struct connection *waiting_next; /* in a listener's backlog */
};

struct simulated_listener {
    sl_listener base;
    struct host *host;
    struct sl__address address;
    bool reuse_port;
    size_t backlog, waiting;
    struct connection *first, *last;
    struct simulated_listener *next;
};

struct network {
    uint64_t random;
    uint64_t trace;
    uint64_t connection_ids;
    struct host *hosts;
    struct alias *aliases;
    uint32_t host_count, alias_count;
    uint32_t next_address;
    struct link *links;
    struct sl_link_options standard; /* of links to hosts that come later */
    struct connection *first, *last;
    struct sl_network_counts counts;
    struct sl_chaos_options chaos;
    struct host *chaos_one, *chaos_other;
    sl_time chaos_end;
    struct sl__timer chaos_timer;
};

/* network.c */
struct network *sl__network_of_run(void); /* NULL when none is simulated */
struct host *sl__network_host_here(struct network *network);
uint64_t sl__network_random(struct network *network, uint64_t below); /* [0, below), 0 for 0 */
bool sl__network_chance(struct network *network, double probability);
void sl__network_note(struct network *network, uint64_t what, uint64_t value);
int sl__network_find(struct network *network, const char *name, struct host **ret_host); /* NULL for NULL */
bool sl__link_matches(const struct link *link, const struct host *one, const struct host *other);
struct link *sl__link_between(struct network *network, const struct host *one, const struct host *other);
bool sl__link_cut_off(const struct link *link);
void sl__link_blocked(struct network *network, struct link *link);
void sl__link_healed(struct network *network, struct link *link);

/* connection.c */
int sl__connection_new(struct network *network, struct link *link, struct connection **ret_connection);
void sl__connection_cut(struct network *network, struct connection *connection, enum sl_cut how);
void sl__connection_send(struct connection *connection, unsigned side, uint32_t flags, sl_time delay);
void sl__connection_fail(struct simulated_stream *end, int code);
void sl__connection_blocked(struct connection *connection);
void sl__connection_healed(struct connection *connection);

/* listen.c */
struct host *sl__network_at(struct network *network, const struct sl__address *address);
int sl__simulated_connect(const struct sl__address *where, const struct sl__address *local, sl_stream **ret_stream);
int sl__simulated_listen(const struct sl__address *where, const struct sl_listen_options *options,
                         sl_listener **ret_listener);
void sl__connection_asked(struct network *network, struct connection *connection); /* a SYN has arrived */

#endif
