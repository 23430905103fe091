/* SPDX-License-Identifier: MIT */
/* Reading the program's configuration: kinds, names, which policy a service has. */
#include <stdio.h>
#include <string.h>

#include "ingest/config/internal.h"
#include "venues/venue.h"

/* ---- kinds ---- */

enum sl_conf_service_kind sl_conf_service_kind(const struct sl_config_variant *variant)
{
    int kind = 0;
    while (kind < SL_CONF_SERVICE_KINDS && sl__conf_services[kind] != variant->kind) {
        kind++;
    }
    return (enum sl_conf_service_kind)kind;
}

const struct sl_conf_service *sl_conf_service(const struct sl_config_variant *variant)
{
    return variant->value;
}

enum sl_conf_sink_kind sl_conf_sink_kind(const struct sl_config_variant *variant)
{
    int kind = 0;
    while (kind < SL_CONF_SINK_KINDS && sl__conf_sinks[kind] != variant->kind) {
        kind++;
    }
    return (enum sl_conf_sink_kind)kind;
}

const struct sl_conf_sink *sl_conf_sink(const struct sl_config_variant *variant)
{
    return variant->value;
}

const struct sl_conf_market *sl_conf_market(const struct sl_config_variant *service)
{
    switch (sl_conf_service_kind(service)) {
    case SL_CONF_STREAM:
        return &((const struct sl_conf_stream *)service->value)->market;
    case SL_CONF_BOOK:
        return &((const struct sl_conf_book *)service->value)->market;
    case SL_CONF_POLL:
        return &((const struct sl_conf_poll *)service->value)->market;
    case SL_CONF_BACKFILL:
        return &((const struct sl_conf_backfill *)service->value)->market;
    default:
        return NULL;
    }
}

int sl_conf_poll_request(const struct sl_conf_poll *poll)
{
    static const sl_venue_request_kind kinds[SL_CONF_CHANNEL_COUNT] = {
        [SL_CONF_CHANNEL_TICKER] = SL_REQUEST_TICKER,   [SL_CONF_CHANNEL_BEST] = SL_REQUEST_BEST,
        [SL_CONF_CHANNEL_FUNDING] = SL_REQUEST_FUNDING, [SL_CONF_CHANNEL_OPEN_INTEREST] = SL_REQUEST_OPEN_INTEREST,
        [SL_CONF_CHANNEL_CANDLES] = SL_REQUEST_CANDLES, [SL_CONF_CHANNEL_BOOK] = SL_REQUEST_SNAPSHOT,
    };
    return poll->channel >= 0 && poll->channel < SL_CONF_CHANNEL_COUNT ? (int)kinds[poll->channel] : 0;
}

sl_venue sl_conf_receive_venue(const struct sl_conf_receive *receive)
{
    return receive->venue == SL_CONF_VENUE_COUNT ? SL_VENUE_EXTERNAL : sl_conf_venue_of(receive->venue);
}

/* ---- names ---- */

const char *sl_conf_venue_name(int venue)
{
    return venue < 0 || venue >= SL_CONF_VENUE_COUNT ? NULL : sl__conf_venues[venue];
}

const char *sl_conf_channel_name(int channel)
{
    return channel < 0 || channel >= SL_CONF_CHANNEL_COUNT ? NULL : sl__conf_channels[channel];
}

sl_venue sl_conf_venue_of(int venue)
{
    const char *name = sl_conf_venue_name(venue);
    return name == NULL ? SL_VENUE_NONE : sl_venue_find(name);
}

sl_feed sl_conf_feed_of(int channel)
{
    const char *name = sl_conf_channel_name(channel);
    return name == NULL ? SL_FEED_NONE : channel == SL_CONF_CHANNEL_BOOK ? SL_FEED_DEPTH : sl_feed_find(name);
}

const struct sl_config_variant *sl_conf_service_find(const struct sl_conf *conf, const char *name)
{
    return sl_config_map_find(&conf->services, name);
}

const struct sl_config_variant *sl_conf_sink_find(const struct sl_conf *conf, const char *name)
{
    return sl_config_map_find(&conf->sinks, name);
}

/* ---- policies of a service ---- */

static const struct sl_conf_venue *venue_of(const struct sl_conf *conf, const struct sl_config_variant *service)
{
    const struct sl_conf_market *market = sl_conf_market(service);
    return market == NULL ? NULL : conf->venues.at[market->venue];
}

/* The map's own copy of a name that it has, or NULL. */
static const char *entry_name(const struct sl_config_map *map, const char *name)
{
    const char *item = sl_config_map_find(map, name);
    return item == NULL ? NULL : map->names[(size_t)(item - (const char *)map->items) / map->item_bytes];
}

const char *sl_conf_limit_of(const struct sl_conf *conf, const struct sl_config_variant *service)
{
    const struct sl_conf_market *market = sl_conf_market(service);
    const struct sl_conf_venue *venue = venue_of(conf, service);
    char name[64];
    if (sl_conf_service(service)->limit != NULL) {
        return sl_conf_service(service)->limit;
    }
    if (venue != NULL && venue->limit != NULL) {
        return venue->limit;
    }
    if (market == NULL) {
        return NULL;
    }
    (void)snprintf(name, sizeof name, "%s-rest", sl_conf_venue_name(market->venue));
    return entry_name(&conf->limits, name);
}

const char *sl_conf_retry_of(const struct sl_conf *conf, const struct sl_config_variant *service)
{
    const struct sl_conf_venue *venue = venue_of(conf, service);
    if (sl_conf_service(service)->retry != NULL) {
        return sl_conf_service(service)->retry;
    }
    return venue != NULL && venue->retry != NULL ? venue->retry : entry_name(&conf->retry, "default");
}

const char *sl_conf_breaker_of(const struct sl_conf *conf, const struct sl_config_variant *service)
{
    const struct sl_conf_venue *venue = venue_of(conf, service);
    const char *own = sl_conf_service(service)->breaker;
    return own != NULL || venue == NULL ? own : venue->breaker;
}

const char *sl_conf_bulkhead_of(const struct sl_conf *conf, const struct sl_config_variant *service)
{
    const struct sl_conf_venue *venue = venue_of(conf, service);
    const char *own = sl_conf_service(service)->bulkhead;
    return own != NULL || venue == NULL ? own : venue->bulkhead;
}

uint64_t sl_conf_partitions(const struct sl_conf *conf)
{
    if (conf->coordination.partitions > 0) {
        return conf->coordination.partitions;
    }
    return conf->coordination.backend == SL_CONF_BACKEND_REDIS ? 64 : 1;
}

void sl_conf_run_options(const struct sl_conf *conf, struct sl_run_options *ret_options)
{
    *ret_options =
        (struct sl_run_options){.stack_bytes = conf->runtime.stack_bytes,
                                .watchdog = conf->runtime.watchdog == 0 ? SL_NEVER : conf->runtime.watchdog,
                                .spin = conf->runtime.spin,
                                .signals = true,
                                .grace = conf->runtime.drain == 0 ? SL_MILLISECONDS(1) : conf->runtime.drain};
}
