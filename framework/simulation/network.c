/* SPDX-License-Identifier: MIT */
/* The simulated network of a run: its hosts, links and counts, and the choices it draws. */
#include <string.h>
#include <strings.h>

#include "../net/resolve.h"
#include "internal.h"

static const char here_key; /* task-local: the host that the task runs on */

static const struct sl__network simulated_network;

struct network *sl__network_of_run(void)
{
    struct sl__net *net = sl__runtime == NULL ? NULL : sl__runtime->net;
    return net == NULL || net->network != &simulated_network ? NULL : net->state;
}

struct host *sl__network_host_here(struct network *network)
{
    struct host *host = sl_local_get(&here_key);
    return host == NULL ? network->hosts : host;
}

static int running(struct network **ret_network)
{
    *ret_network = sl__network_of_run();
    return *ret_network == NULL ? sl_fail(SL_ENOTSUP, "there is no simulated network in this run") : 0;
}

/* ---- chance ---- */

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t draw(struct network *network)
{
    return mixed(network->random += UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t sl__network_random(struct network *network, uint64_t below)
{
    return below == 0 ? 0 : draw(network) % below;
}

bool sl__network_chance(struct network *network, double probability)
{
    return probability > 0 && (double)(draw(network) >> 11) * 0x1p-53 < probability;
}

void sl__network_note(struct network *network, uint64_t what, uint64_t value)
{
    uint64_t trace = mixed(network->trace ^ (uint64_t)sl_now());
    trace = mixed(trace ^ what);
    network->trace = mixed(trace ^ value);
}

/* ---- hosts ---- */

int sl__network_find(struct network *network, const char *name, struct host **ret_host)
{
    *ret_host = NULL;
    if (name == NULL) {
        return 0;
    }
    for (struct host *host = network->hosts; host != NULL; host = host->next) {
        if (strcmp(host->name, name) == 0) {
            *ret_host = host;
            return 0;
        }
    }
    return sl_fail(SL_ENOENT, "there is no host '%s' in the simulated network", name);
}

static void host_free(struct host *host)
{
    if (host != NULL) {
        sl_free(host->name);
        sl_free(host);
    }
}

static void link_recovers(struct sl__timer *timer)
{
    sl__link_healed(sl__network_of_run(), SL_CONTAINER(timer, struct link, timer));
}

/* Links of `host` to each host there is, and to itself; nothing stays when memory is short. */
static int make_links(struct network *network, struct host *host)
{
    struct link *made = NULL;
    struct host *other = network->hosts;
    for (uint32_t i = 0; i <= network->host_count; i++) {
        struct link *link = sl_calloc(1, sizeof *link);
        if (link == NULL) {
            while (made != NULL) {
                link = made;
                made = made->next;
                sl_free(link);
            }
            return sl_fail(SL_ENOMEM, "no memory for a host");
        }
        *link = (struct link){.one = other == NULL ? host : other,
                              .other = host,
                              .options = network->standard,
                              .timer.fire = link_recovers,
                              .next = made};
        made = link;
        other = other == NULL ? NULL : other->next;
    }
    struct link **end = &made;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = network->links;
    network->links = made;
    return 0;
}

static int host_new(struct network *network, const char *name, struct host **ret_host)
{
    if (network->host_count == SL_NETWORK_HOSTS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d hosts", SL_NETWORK_HOSTS_MAX);
    }
    struct host *host = sl_calloc(1, sizeof *host);
    if (host == NULL || (host->name = sl_strdup(name)) == NULL) {
        host_free(host);
        return sl_fail(SL_ENOMEM, "no memory for a host");
    }
    int code = make_links(network, host);
    if (code < 0) {
        host_free(host);
        return code;
    }
    host->next_port = EPHEMERAL_PORT;
    host->index = network->host_count++;
    struct host **end = &network->hosts;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = host;
    *ret_host = host;
    return 0;
}

/* The next address that nobody has. */
static void next_address(struct network *network, struct sl__address *ret_address)
{
    do {
        *ret_address = (struct sl__address){.size_bytes = sizeof ret_address->is.v4};
        ret_address->is.v4.sin_family = AF_INET;
        ret_address->is.v4.sin_addr.s_addr = htonl(UINT32_C(0x0a000000) + ++network->next_address);
    } while (sl__network_at(network, ret_address) != NULL);
}

static int add_address(struct network *network, const char *name, const struct sl__address *address)
{
    struct host *host = network->hosts;
    while (host != NULL && strcmp(host->name, name) != 0) {
        host = host->next;
    }
    if (host == NULL) {
        SL_TRY(host_new(network, name, &host));
    }
    if (host->count == ADDRESSES_MAX) {
        return sl_fail(SL_EMSGSIZE, "host '%s' has %d addresses already", name, ADDRESSES_MAX);
    }
    host->addresses[host->count++] = *address;
    if (host->count == 1) {
        char text[SL_ADDRESS_TEXT_BYTES];
        sl__address_text(address, text, sizeof text);
        size_t start = text[0] == '[';
        size_t end = strlen(text) - 2 - start; /* without ":0" */
        memcpy(host->text, text + start, end - start);
    }
    return 0;
}

int sl_network_host(const char *name, const char *address)
{
    struct network *network;
    struct sl__address parsed;
    SL_TRY(running(&network));
    if (name == NULL || name[0] == '\0') {
        return sl_fail(SL_EINVAL, "a host needs a name");
    }
    if (address == NULL) {
        next_address(network, &parsed);
    } else {
        SL_TRY(sl__address_parse(address, 0, &parsed));
        if (parsed.is.any.sa_family == AF_UNIX) {
            return sl_fail(SL_EINVAL, "'%s' is no address of a host", address);
        }
        if (sl__network_at(network, &parsed) != NULL) {
            return sl_fail(SL_EEXIST, "address %s is taken", address);
        }
    }
    return add_address(network, name, &parsed);
}

int sl_network_alias(const char *name, const char *host)
{
    struct network *network;
    struct host *found;
    SL_TRY(running(&network));
    SL_TRY(sl__network_find(network, host, &found));
    if (name == NULL || name[0] == '\0' || found == NULL) {
        return sl_fail(SL_EINVAL, "an alias needs a name and a host");
    }
    if (network->alias_count == SL_NETWORK_ALIASES_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d aliases", SL_NETWORK_ALIASES_MAX);
    }
    struct alias *alias = sl_malloc(sizeof *alias);
    char *copy = sl_strdup(name);
    if (alias == NULL || copy == NULL) {
        sl_free(alias);
        sl_free(copy);
        return sl_fail(SL_ENOMEM, "no memory for an alias");
    }
    *alias = (struct alias){copy, found, NULL};
    struct alias **end = &network->aliases;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = alias;
    network->alias_count++;
    return 0;
}

int sl_network_enter(const char *name)
{
    struct network *network;
    struct host *host;
    SL_TRY(running(&network));
    SL_TRY(sl__network_find(network, name, &host));
    return sl_local_set(&here_key, host == NULL ? network->hosts : host);
}

const char *sl_network_address(const char *name)
{
    struct network *network = sl__network_of_run();
    struct host *host = NULL;
    if (network == NULL || sl__network_find(network, name, &host) < 0) {
        return NULL;
    }
    return (host == NULL ? sl__network_host_here(network) : host)->text;
}

/* ---- links ---- */

bool sl__link_matches(const struct link *link, const struct host *one, const struct host *other)
{
    if (one == NULL || other == NULL) {
        const struct host *host = one == NULL ? other : one;
        return host == NULL || link->one == host || link->other == host;
    }
    return (link->one == one && link->other == other) || (link->one == other && link->other == one);
}

struct link *sl__link_between(struct network *network, const struct host *one, const struct host *other)
{
    struct link *link = network->links;
    while (!sl__link_matches(link, one, other)) {
        link = link->next;
    }
    return link;
}

bool sl__link_cut_off(const struct link *link)
{
    return link->partitioned || link->trouble == TROUBLE_PARTITION;
}

/* Calls `what` for the connections of a link. */
static void each_connection(struct network *network, const struct link *link, void (*what)(struct connection *))
{
    for (struct connection *connection = network->first; connection != NULL; connection = connection->next) {
        if (connection->link == link) {
            what(connection);
        }
    }
}

void sl__link_blocked(struct network *network, struct link *link)
{
    sl__network_note(network, link->one->index, link->other->index);
    network->counts.partitions++;
    each_connection(network, link, sl__connection_blocked);
}

/* The trouble that chaos made is over. */
void sl__link_healed(struct network *network, struct link *link)
{
    bool was_cut_off = sl__link_cut_off(link);
    sl__timer_disarm(&sl__runtime->timers, &link->timer);
    link->trouble = NO_TROUBLE;
    link->extra_latency = 0;
    if (was_cut_off && !sl__link_cut_off(link)) {
        each_connection(network, link, sl__connection_healed);
    }
}

static bool is_share(double probability)
{
    return probability >= 0 && probability <= 1;
}

static int check_options(const struct sl_link_options *options)
{
    if (options->latency < 0 || options->jitter < 0 || options->buffer_bytes > SL_NETWORK_BUFFER_BYTES_MAX ||
        !is_share(options->refuse) || !is_share(options->ignore) || !is_share(options->cut) ||
        options->cut_how > SL_CUT_SILENT) {
        return sl_fail(SL_EINVAL, "sl_network_link(): an option is out of its range");
    }
    return 0;
}

/* The network and the two hosts of a call. */
static int hosts_of(const char *one, const char *other, struct network **ret_network, struct host **ret_one,
                    struct host **ret_other)
{
    SL_TRY(running(ret_network));
    SL_TRY(sl__network_find(*ret_network, one, ret_one));
    return sl__network_find(*ret_network, other, ret_other);
}

int sl_network_link(const char *one, const char *other, const struct sl_link_options *options)
{
    struct network *network;
    struct host *from;
    struct host *to;
    SL_TRY(hosts_of(one, other, &network, &from, &to));
    SL_TRY(check_options(options));
    if (from == NULL && to == NULL) {
        network->standard = *options;
    }
    for (struct link *link = network->links; link != NULL; link = link->next) {
        if (sl__link_matches(link, from, to)) {
            link->options = *options;
        }
    }
    return 0;
}

static int set_partition(const char *one, const char *other, bool partitioned)
{
    struct network *network;
    struct host *from;
    struct host *to;
    SL_TRY(hosts_of(one, other, &network, &from, &to));
    for (struct link *link = network->links; link != NULL; link = link->next) {
        bool wanted = sl__link_matches(link, from, to) && (link->one != link->other || (one != NULL && from == to));
        if (!wanted) {
            continue;
        }
        if (partitioned && !link->partitioned) {
            link->partitioned = true;
            sl__link_blocked(network, link);
        } else if (!partitioned && sl__link_cut_off(link)) {
            link->partitioned = false;
            link->trouble = TROUBLE_PARTITION; /* so that healing has something to do */
            sl__link_healed(network, link);
        }
    }
    return 0;
}

int sl_network_partition(const char *one, const char *other)
{
    return set_partition(one, other, true);
}

int sl_network_heal(const char *one, const char *other)
{
    return set_partition(one, other, false);
}

int sl_network_cut(const char *one, const char *other, enum sl_cut how)
{
    struct network *network;
    struct host *from;
    struct host *to;
    int count = 0;
    SL_TRY(hosts_of(one, other, &network, &from, &to));
    for (struct connection *connection = network->first; connection != NULL; connection = connection->next) {
        if (sl__link_matches(connection->link, from, to)) {
            sl__connection_cut(network, connection, how);
            count++;
        }
    }
    return count;
}

/* ---- beginning and end ---- */

static void network_free(void *state)
{
    struct network *network = state;
    while (network->links != NULL) {
        struct link *link = network->links;
        network->links = link->next;
        sl_free(link);
    }
    while (network->aliases != NULL) {
        struct alias *alias = network->aliases;
        network->aliases = alias->next;
        sl_free(alias->name);
        sl_free(alias);
    }
    while (network->hosts != NULL) {
        struct host *host = network->hosts;
        network->hosts = host->next;
        host_free(host);
    }
    sl_free(network);
}

static void add_ips(struct sl__ips *ips, const struct host *host)
{
    for (size_t i = 0; i < host->count && ips->count < SL_RESOLVE_MAX; i++) {
        const struct sl__address *address = &host->addresses[i];
        if (address->is.any.sa_family != ips->family) {
            continue;
        }
        if (ips->family == AF_INET) {
            memcpy(ips->bytes[ips->count++], &address->is.v4.sin_addr, sizeof address->is.v4.sin_addr);
        } else {
            memcpy(ips->bytes[ips->count++], &address->is.v6.sin6_addr, sizeof address->is.v6.sin6_addr);
        }
    }
}

static int simulated_resolve(const char *name, int family, struct sl__ips *ret_ips)
{
    struct network *network = sl__network_of_run();
    struct sl__ips ips = {.family = family};
    for (const struct host *host = network->hosts; host != NULL; host = host->next) {
        if (strcasecmp(host->name, name) == 0) {
            add_ips(&ips, host);
        }
    }
    for (const struct alias *alias = network->aliases; alias != NULL; alias = alias->next) {
        if (strcasecmp(alias->name, name) == 0) {
            add_ips(&ips, alias->host);
        }
    }
    if (ips.count == 0) {
        const char *kind = family == AF_INET ? "IPv4" : "IPv6";
        return sl_fail(SL_ENOHOST, "%s has no %s address in the simulated network", name, kind);
    }
    *ret_ips = ips;
    return 0;
}

static const struct sl__network simulated_network = {.resolve = simulated_resolve,
                                                     .connect = sl__simulated_connect,
                                                     .listen = sl__simulated_listen,
                                                     .close = network_free};

int sl_network_simulate(void)
{
    if (sl_current() == NULL || sl__runtime->options.simulation == NULL) {
        return sl_fail(SL_ENOTSUP, "a network is simulated only in the simulated world");
    }
    struct sl__net *net = sl__net();
    if (net != NULL && net->network == &simulated_network) {
        return sl_fail(SL_EALREADY, "the network of this run is simulated already");
    }
    struct network *network = sl_calloc(1, sizeof *network);
    if (network == NULL || net == NULL) {
        sl_free(network);
        return sl_fail(SL_ENOMEM, "no memory for a network");
    }
    network->random = sl_random();
    struct sl__address address;
    next_address(network, &address);
    int code = add_address(network, SL_NETWORK_HOME, &address);
    if (code < 0) {
        network_free(network);
        return code;
    }
    net->state = network;
    net->network = &simulated_network;
    return 0;
}

struct sl_network_counts sl_network_counts_get(void)
{
    struct network *network = sl__network_of_run();
    return network == NULL ? (struct sl_network_counts){0} : network->counts;
}

uint64_t sl_network_trace(void)
{
    struct network *network = sl__network_of_run();
    return network == NULL ? 0 : network->trace;
}
