/* SPDX-License-Identifier: MIT */
/* Connecting and listening on the simulated network. */
#include <string.h>

#include "internal.h"

#define SYN_AGAIN SL_SECONDS(1) /* doubled each time, as systems do when nobody answers */
#define SYN_AGAIN_MAX 6

/* ---- addresses ---- */

static bool is_loopback(const struct sl__address *address)
{
    switch (address->is.any.sa_family) {
    case AF_INET:
        return ntohl(address->is.v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&address->is.v6.sin6_addr);
    default:
        return true; /* Unix sockets are the host's own */
    }
}

static bool is_any(const struct sl__address *address)
{
    switch (address->is.any.sa_family) {
    case AF_INET:
        return address->is.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    case AF_INET6:
        return IN6_IS_ADDR_UNSPECIFIED(&address->is.v6.sin6_addr);
    default:
        return false;
    }
}

/* The same but for the port. */
static bool same_place(const struct sl__address *one, const struct sl__address *other)
{
    if (one->is.any.sa_family != other->is.any.sa_family) {
        return false;
    }
    switch (one->is.any.sa_family) {
    case AF_INET:
        return one->is.v4.sin_addr.s_addr == other->is.v4.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&one->is.v6.sin6_addr, &other->is.v6.sin6_addr, sizeof one->is.v6.sin6_addr) == 0;
    default:
        return one->size_bytes == other->size_bytes && memcmp(&one->is, &other->is, one->size_bytes) == 0;
    }
}

static void set_port(struct sl__address *address, int port)
{
    if (address->is.any.sa_family == AF_INET) {
        address->is.v4.sin_port = htons((uint16_t)port);
    } else if (address->is.any.sa_family == AF_INET6) {
        address->is.v6.sin6_port = htons((uint16_t)port);
    }
}

static bool has_address(const struct host *host, const struct sl__address *address)
{
    for (size_t i = 0; i < host->count; i++) {
        if (same_place(&host->addresses[i], address)) {
            return true;
        }
    }
    return false;
}

struct host *sl__network_at(struct network *network, const struct sl__address *address)
{
    struct host *host = network->hosts;
    while (host != NULL && !has_address(host, address)) {
        host = host->next;
    }
    return host;
}

static int next_port(struct host *host)
{
    int port = host->next_port;
    host->next_port = port == PORT_MAX ? EPHEMERAL_PORT : port + 1;
    return port;
}

/* Where a connection to `where` comes from, when the caller does not say. */
static int choose_source(struct host *from, const struct sl__address *where, struct sl__address *ret_source)
{
    *ret_source = *where;
    if (where->is.any.sa_family == AF_UNIX) {
        ret_source->size_bytes = offsetof(struct sockaddr_un, sun_path);
        return 0;
    }
    if (!is_loopback(where)) {
        size_t i = 0;
        while (i < from->count && from->addresses[i].is.any.sa_family != where->is.any.sa_family) {
            i++;
        }
        if (i == from->count) {
            return -ENETUNREACH;
        }
        *ret_source = from->addresses[i];
    }
    set_port(ret_source, next_port(from));
    return 0;
}

/* ---- listeners ---- */

static struct simulated_listener *self_of(sl_listener *listener)
{
    return (struct simulated_listener *)listener;
}

/* Whether a listener on `bound` takes connections to `where`. */
static bool takes(const struct sl__address *bound, const struct sl__address *where)
{
    if (sl__address_port(bound) != sl__address_port(where)) {
        return false;
    }
    bool all = bound->is.any.sa_family == AF_INET6 && is_any(bound) && where->is.any.sa_family == AF_INET;
    return all || same_place(bound, where) || (is_any(bound) && bound->is.any.sa_family == where->is.any.sa_family);
}

/* One of those that share the port, drawn anew for each connection. */
static struct simulated_listener *find_listener(struct network *network, struct host *host,
                                                const struct sl__address *where)
{
    struct simulated_listener *found = NULL;
    uint64_t count = 0;
    for (struct simulated_listener *listener = host->listeners; listener != NULL; listener = listener->next) {
        bool taken = !listener->base.draining && takes(&listener->address, where);
        if (taken && (++count == 1 || sl__network_random(network, count) == 0)) {
            found = listener;
        }
    }
    return found;
}

static struct connection *take_first(struct simulated_listener *self)
{
    struct connection *connection = self->first;
    if (connection != NULL) {
        self->first = connection->waiting_next;
        self->last = self->first == NULL ? NULL : self->last;
        self->waiting--;
    }
    return connection;
}

static int simulated_accept(sl_listener *listener, sl_stream **ret_stream)
{
    struct connection *connection = take_first(self_of(listener));
    if (connection == NULL) {
        return SL_EAGAIN;
    }
    *ret_stream = &connection->ends[1]->base;
    return 0;
}

static void simulated_listener_close(sl_listener *listener)
{
    struct simulated_listener *self = self_of(listener);
    struct simulated_listener **link = &self->host->listeners;
    while (*link != self) {
        link = &(*link)->next;
    }
    *link = self->next;
    struct connection *connection;
    while ((connection = take_first(self)) != NULL) {
        sl_stream_reset(&connection->ends[1]->base);
    }
    (void)sl__waits_drop(&listener->waits);
}

static void simulated_drain(sl_listener *listener)
{
    (void)listener; /* find_listener() looks */
}

static const struct sl_listener_ops simulated_listener_ops = {
    .accept = simulated_accept, .drain = simulated_drain, .close = simulated_listener_close};

static int check_bind(const struct host *host, const struct sl__address *where, bool reuse_port)
{
    bool any = is_any(where) || is_loopback(where);
    if (!any && !has_address(host, where)) {
        return -EADDRNOTAVAIL;
    }
    for (const struct simulated_listener *listener = host->listeners; listener != NULL; listener = listener->next) {
        bool meets = takes(&listener->address, where) || takes(where, &listener->address);
        if (meets && !(reuse_port && listener->reuse_port)) {
            return -EADDRINUSE;
        }
    }
    return 0;
}

int sl__simulated_listen(const struct sl__address *where, const struct sl_listen_options *options,
                         sl_listener **ret_listener)
{
    struct network *network = sl__network_of_run();
    struct host *host = sl__network_host_here(network);
    struct sl__address address = *where;
    bool chooses = address.is.any.sa_family != AF_UNIX && sl__address_port(&address) == 0;
    int code = 0;
    int tries = PORT_MAX - EPHEMERAL_PORT;
    do { /* a port that is free */
        if (chooses) {
            set_port(&address, next_port(host));
        }
        code = check_bind(host, &address, options->reuse_port && !chooses);
    } while (code == -EADDRINUSE && chooses && --tries > 0);
    if (code < 0) {
        char text[SL_ADDRESS_TEXT_BYTES];
        sl__address_text(&address, text, sizeof text);
        return sl_fail(code, "listen on %s: %s", text, sl_strerror(code));
    }
    struct simulated_listener *self = sl_calloc(1, sizeof *self);
    if (self == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a listener");
    }
    self->base.ops = &simulated_listener_ops;
    self->base.port = sl__address_port(&address);
    sl__waits_init(&self->base.waits, false);
    self->host = host;
    self->address = address;
    self->reuse_port = options->reuse_port;
    self->backlog = options->backlog > 0 ? (size_t)options->backlog : SL_LISTEN_BACKLOG;
    self->next = host->listeners;
    host->listeners = self;
    *ret_listener = &self->base;
    return 0;
}

/* ---- connecting ---- */

/* The question has arrived: the connection goes into a backlog, is refused, or asks again when that is full. */
void sl__connection_asked(struct network *network, struct connection *connection)
{
    struct host *host = connection->asked;
    bool refuse = connection->refuse || connection->link->trouble == TROUBLE_REFUSE;
    struct simulated_listener *listener = refuse ? NULL : find_listener(network, host, &connection->addresses[1]);
    if (listener == NULL) {
        network->counts.refused++;
        sl__connection_send(connection, 1, SEGMENT_RESET, 0);
        return;
    }
    if (listener->waiting >= listener->backlog) {
        uint32_t times = connection->syns < SYN_AGAIN_MAX ? connection->syns++ : SYN_AGAIN_MAX;
        sl__connection_send(connection, 0, SEGMENT_SYN, SYN_AGAIN << times);
        return;
    }
    *(listener->first == NULL ? &listener->first : &listener->last->waiting_next) = connection;
    listener->last = connection;
    listener->waiting++;
    connection->released = true;
    connection->ends[1]->connected = true;
    network->counts.established++;
    sl__connection_send(connection, 1, SEGMENT_ACCEPT, 0);
    sl__waits_wake(&listener->base.waits, SL_READABLE, 0);
}

/* Waits until the other host has answered. */
static int ask(struct network *network, struct connection *connection)
{
    struct simulated_stream *end = connection->ends[0];
    const struct sl_link_options *options = &connection->link->options;
    connection->refuse = sl__network_chance(network, options->refuse);
    if (sl__network_chance(network, options->ignore)) {
        network->counts.ignored++;
        connection->silent = true;
    }
    sl__timer_arm(&sl__runtime->timers, &connection->connect_timer, sl_time_add(sl_now(), SL_NETWORK_CONNECT_GIVE_UP));
    sl__connection_send(connection, 0, SEGMENT_SYN, 0);
    while (!end->connected && end->error == 0) {
        SL_TRY(sl__waits_park(&end->base.waits, SL_WRITABLE, "connect"));
    }
    sl__timer_disarm(&sl__runtime->timers, &connection->connect_timer);
    return end->error;
}

static int find_way(struct network *network, const struct sl__address *where, const struct sl__address *local,
                    struct host **ret_from, struct host **ret_to, struct sl__address *ret_source)
{
    struct host *from = sl__network_host_here(network);
    struct host *to = is_loopback(where) ? from : sl__network_at(network, where);
    SL_TRY(choose_source(from, where, ret_source));
    if (local != NULL && !is_any(local)) {
        if (local->is.any.sa_family != where->is.any.sa_family) {
            return SL_EINVAL;
        }
        if (!is_loopback(local) && !has_address(from, local)) {
            return -EADDRNOTAVAIL;
        }
        *ret_source = *local;
        set_port(ret_source, next_port(from));
    }
    *ret_from = from;
    *ret_to = to;
    return to == NULL ? -EHOSTUNREACH : 0;
}

int sl__simulated_connect(const struct sl__address *where, const struct sl__address *local, sl_stream **ret_stream)
{
    struct network *network = sl__network_of_run();
    char text[SL_ADDRESS_TEXT_BYTES];
    struct host *from = NULL;
    struct host *to = NULL;
    struct sl__address source;
    sl__address_text(where, text, sizeof text);
    int code = find_way(network, where, local, &from, &to, &source);
    network->counts.attempts++;
    if (code < 0) {
        return sl_fail(code, "connect to %s: %s", text, sl_strerror(code));
    }
    struct connection *connection = NULL;
    SL_TRY(sl__connection_new(network, sl__link_between(network, from, to), &connection));
    connection->addresses[0] = source;
    connection->addresses[1] = *where;
    connection->from = from;
    connection->asked = to;
    struct simulated_stream *end = connection->ends[0];
    code = ask(network, connection);
    if (code < 0) {
        sl_stream_close(&end->base);
        return code == SL_ECANCELED ? code : sl_fail(code, "connect to %s: %s", text, sl_strerror(code));
    }
    *ret_stream = &end->base;
    return 0;
}
