/* SPDX-License-Identifier: MIT */
/* Faults at random times, all drawn from the seed. */
#include "internal.h"

enum { CHAOS_RESET, CHAOS_END, CHAOS_SILENT, CHAOS_PARTITION, CHAOS_SLOW, CHAOS_REFUSE, CHAOS_KINDS };

static bool is_hit(const struct network *network, const struct link *link)
{
    return sl__link_matches(link, network->chaos_one, network->chaos_other);
}

/* One of the connections that may be hit, or NULL. */
static struct connection *draw_connection(struct network *network)
{
    struct connection *found = NULL;
    uint64_t count = 0;
    for (struct connection *connection = network->first; connection != NULL; connection = connection->next) {
        if (is_hit(network, connection->link) && sl__network_random(network, ++count) == 0) {
            found = connection;
        }
    }
    return found;
}

static struct link *draw_link(struct network *network)
{
    struct link *found = NULL;
    uint64_t count = 0;
    for (struct link *link = network->links; link != NULL; link = link->next) {
        if (is_hit(network, link) && sl__network_random(network, ++count) == 0) {
            found = link;
        }
    }
    return found;
}

static void trouble_link(struct network *network, enum trouble trouble)
{
    struct connection *connection = draw_connection(network);
    struct link *link = connection == NULL ? draw_link(network) : connection->link;
    if (link == NULL) {
        return;
    }
    sl__link_healed(network, link); /* one trouble at a time */
    sl_time outage = network->chaos.outage;
    link->trouble = trouble;
    if (trouble == TROUBLE_PARTITION) {
        sl__link_blocked(network, link);
    } else if (trouble == TROUBLE_SLOW) {
        network->counts.slowed++;
        link->extra_latency = 1 + (sl_time)sl__network_random(network, (uint64_t)outage);
    } else {
        network->counts.refusals++;
    }
    sl_time lasts = 1 + (sl_time)sl__network_random(network, (uint64_t)outage);
    sl__timer_arm(&sl__runtime->timers, &link->timer, sl_time_add(sl_now(), lasts));
}

static unsigned draw_kind(struct network *network)
{
    const struct sl_chaos_options *chaos = &network->chaos;
    const unsigned weights[CHAOS_KINDS] = {chaos->reset,     chaos->end,  chaos->silent,
                                           chaos->partition, chaos->slow, chaos->refuse};
    uint64_t sum = 0;
    for (unsigned i = 0; i < CHAOS_KINDS; i++) {
        sum += weights[i];
    }
    if (sum == 0) {
        return (unsigned)sl__network_random(network, CHAOS_KINDS);
    }
    uint64_t drawn = sl__network_random(network, sum);
    unsigned kind = 0;
    while (drawn >= weights[kind]) {
        drawn -= weights[kind++];
    }
    return kind;
}

static void next_fault(struct network *network)
{
    sl_time wait = 1 + (sl_time)sl__network_random(network, (uint64_t)network->chaos.every * 2);
    sl_time when = sl_time_add(sl_now(), wait);
    if (when < network->chaos_end) {
        sl__timer_arm(&sl__runtime->timers, &network->chaos_timer, when);
    }
}

static void fault(struct sl__timer *timer)
{
    struct network *network = SL_CONTAINER(timer, struct network, chaos_timer);
    unsigned kind = draw_kind(network);
    if (kind <= CHAOS_SILENT) {
        struct connection *connection = draw_connection(network);
        if (connection != NULL) {
            sl__connection_cut(network, connection, SL_CUT_RESET + (enum sl_cut)kind);
        }
    } else {
        trouble_link(network, TROUBLE_PARTITION + (enum trouble)(kind - CHAOS_PARTITION));
    }
    next_fault(network);
}

int sl_network_chaos(const struct sl_chaos_options *options)
{
    struct network *network = sl__network_of_run();
    struct host *one = NULL;
    struct host *other = NULL;
    if (network == NULL) {
        return sl_fail(SL_ENOTSUP, "there is no simulated network in this run");
    }
    if (options != NULL) {
        SL_TRY(sl__network_find(network, options->one, &one));
        SL_TRY(sl__network_find(network, options->other, &other));
        if (options->every <= 0 || options->every > SL_NEVER / 4 || options->duration <= 0 || options->outage < 0) {
            return sl_fail(SL_EINVAL, "sl_network_chaos(): an option is out of its range");
        }
    }
    sl__timer_disarm(&sl__runtime->timers, &network->chaos_timer);
    for (struct link *link = network->links; link != NULL; link = link->next) {
        if (link->trouble != NO_TROUBLE) {
            sl__link_healed(network, link);
        }
    }
    if (options != NULL) {
        network->chaos = *options;
        network->chaos.outage = options->outage == 0 ? options->every : options->outage;
        network->chaos_one = one;
        network->chaos_other = other;
        network->chaos_end = sl_time_add(sl_now(), options->duration);
        network->chaos_timer.fire = fault;
        next_fault(network);
    }
    return 0;
}
