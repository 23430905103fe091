/* SPDX-License-Identifier: MIT */
/* What several tables check in the same way, and what only the whole configuration can tell. */
#include <stdio.h>
#include <string.h>

#include "ingest/config/internal.h"
#include "venues/venue.h"

#define NAME_BYTES_MAX 64
#define CHANNELS_BYTES 128
#define CONTROL_BYTES 1024
#define PATH(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* ---- texts ---- */

void sl__conf_check_template(sl_config_check *check, const char *key, const char *text, const char *known)
{
    for (const char *at = text == NULL ? NULL : strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
        if (at[strcspn(at, ">")] == '\0' || memmem(known, strlen(known), at, strcspn(at, ">") + 1) == NULL) {
            sl_config_reject(check, key, "a < that begins nothing known; expected %s", known);
            return;
        }
    }
}

void sl__conf_check_listen(sl_config_check *check, const char *key, const char *text)
{
    char host[SL_CONF_HOST_MAX];
    uint16_t port;
    if (!sl_conf_listen_parse(text, host, &port)) {
        sl_config_reject(check, key, "no address; expected host:port, such as 127.0.0.1:8080 or [::1]:8080");
    }
}

void sl__conf_check_guard(sl_config_check *check, const char *listen, bool guarded, const char *guards)
{
    char host[SL_CONF_HOST_MAX];
    uint16_t port;
    if (!guarded && sl_conf_listen_parse(listen, host, &port) && !sl_conf_host_is_loopback(host)) {
        sl_config_reject(check, "listen", "others can reach this; expected %s, or an address such as 127.0.0.1:%u",
                         guards, (unsigned)port);
    }
}

void sl__conf_check_tls(sl_config_check *check, const struct sl_conf_client_tls *tls, bool used, const char *how)
{
    if (!used && (tls->ca != NULL || tls->certificate != NULL || !tls->verify)) {
        sl_config_reject(check, "tls", "of no use, as the connection is in the clear; expected %s", how);
    }
}

bool sl__conf_scheme_is(const struct sl_config_url *url, const char *scheme)
{
    size_t bytes = strlen(scheme);
    return url->text != NULL && strncmp(url->text, scheme, bytes) == 0 &&
           (url->text[bytes] == ':' || url->text[bytes] == '+');
}

void sl__conf_check_password(sl_config_check *check, const struct sl_config_url *url, const char *password)
{
    if (password != NULL && url->password != NULL && *url->password != '\0') {
        sl_config_reject(check, "password", "there is one in url too; expected one of them");
    }
}

/* ---- the whole ---- */

static void check_names(sl_config_check *check, const char *section, const struct sl_config_map *map)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < map->count; i++) {
        const char *name = map->names[i];
        if (name[strspn(name, allowed)] != '\0' || *name == '\0' || strlen(name) > NAME_BYTES_MAX) {
            sl_config_reject_below(check, PATH(section, name),
                                   "no plain name; expected 1 to %d letters, digits, - and _", NAME_BYTES_MAX);
        }
    }
}

/* What replicas can share needs where to share it. */
static void check_sharing(sl_config_check *check, const struct sl_conf *conf)
{
    static const char why[] = "redis, but coordination has none; expected coordination.backend: redis";
    if (conf->coordination.backend == SL_CONF_BACKEND_REDIS) {
        return;
    }
    for (size_t i = 0; i < conf->limits.count; i++) {
        const struct sl_conf_limit *limit = sl_config_map_at(&conf->limits, i);
        if (limit->shared == SL_CONF_SHARED_REDIS) {
            sl_config_reject_below(check, PATH("limits", conf->limits.names[i], "shared"), why);
        }
    }
    for (size_t i = 0; i < conf->services.count; i++) {
        const struct sl_config_variant *service = sl_config_map_at(&conf->services, i);
        const struct sl_conf_backfill *backfill = service->value;
        if (sl_conf_service_kind(service) == SL_CONF_BACKFILL && backfill->queue == SL_CONF_QUEUE_REDIS) {
            sl_config_reject_below(check, PATH("services", conf->services.names[i], "queue"), why);
        }
    }
}

/* ---- two that want one thing ---- */

/* A file or port that a part wants for itself. */
struct claim {
    const char *section, *name, *key; /* name NULL: the section's own key */
    const char *what;                 /* NULL: nothing */
};

/* Port 0 is another one each time. */
static const char *fixed_port(const char *listen)
{
    size_t length = strlen(listen);
    return length >= 2 && strcmp(listen + length - 2, ":0") == 0 ? NULL : listen;
}

static struct claim claim_of_service(const char *name, const struct sl_config_variant *service)
{
    const struct sl_conf_receive *receive = service->value;
    const struct sl_conf_backfill *backfill = service->value;
    if (sl_conf_service_kind(service) == SL_CONF_RECEIVE) {
        return (struct claim){"services", name, "listen", fixed_port(receive->listen)};
    }
    bool local = sl_conf_service_kind(service) == SL_CONF_BACKFILL && backfill->queue == SL_CONF_QUEUE_LOCAL;
    return (struct claim){"services", name, "state", local ? backfill->state : NULL};
}

static struct claim claim_of_sink(const char *name, const struct sl_config_variant *sink)
{
    enum sl_conf_sink_kind kind = sl_conf_sink_kind(sink);
    if (kind == SL_CONF_WEBSOCKET) {
        const struct sl_conf_websocket *websocket = sink->value;
        return (struct claim){"sinks", name, "listen", fixed_port(websocket->listen)};
    }
    const char *path = kind == SL_CONF_FILE     ? ((const struct sl_conf_file *)sink->value)->path
                       : kind == SL_CONF_SQLITE ? ((const struct sl_conf_sqlite *)sink->value)->path
                                                : NULL;
    return (struct claim){"sinks", name, "path", path == NULL || strstr(path, "<sink>") != NULL ? NULL : path};
}

static struct claim claim_of_spool(const char *name, const struct sl_config_variant *sink)
{
    const struct sl_conf_sink *common = sl_conf_sink(sink);
    return (struct claim){"sinks", name, "spool", common->when_full == SL_CONF_FULL_SPOOL ? common->spool.path : NULL};
}

/* All of them in one row: the process's own, services, sinks, their spools. */
static struct claim claim_at(const struct sl_conf *conf, size_t index)
{
    if (index == 0) {
        return (struct claim){"admin", NULL, "listen", conf->admin.enabled ? fixed_port(conf->admin.listen) : NULL};
    }
    if (index == 1) {
        return (struct claim){"dead_letter", NULL, "path", conf->dead_letter.path};
    }
    if (index == 2) {
        return (struct claim){"coordination", NULL, "positions", conf->coordination.positions};
    }
    index -= 3;
    if (index < conf->services.count) {
        return claim_of_service(conf->services.names[index], sl_config_map_at(&conf->services, index));
    }
    index -= conf->services.count;
    size_t sink = index % conf->sinks.count;
    const struct sl_config_variant *variant = sl_config_map_at(&conf->sinks, sink);
    return index < conf->sinks.count ? claim_of_sink(conf->sinks.names[sink], variant)
                                     : claim_of_spool(conf->sinks.names[sink], variant);
}

/* Behind what makes no other path of it: "./", and slashes behind a slash. */
static const char *past_idle(const char *at, bool first, bool in_folder)
{
    while ((in_folder && at[0] == '/') || ((first || in_folder) && at[0] == '.' && at[1] == '/')) {
        in_folder = true;
        at += at[0] == '/' ? 1 : 2;
    }
    return at;
}

/* Whether two paths, or two addresses, are written for the same; links are not looked into. */
static bool same_place(const char *left, const char *right)
{
    bool in_folder = false;
    for (bool first = true;; first = false) {
        left = past_idle(left, first, in_folder);
        right = past_idle(right, first, in_folder);
        if (*left != *right || *left == '\0') {
            return *left == *right;
        }
        in_folder = *left == '/';
        left++;
        right++;
    }
}

/* Complains of a claim that one before has made. They are few enough to compare all with all. */
static void check_claims(sl_config_check *check, const struct sl_conf *conf)
{
    size_t count = 3 + conf->services.count + 2 * conf->sinks.count;
    for (size_t i = 1; i < count; i++) {
        struct claim item = claim_at(conf, i);
        for (size_t j = 0; item.what != NULL && j < i; j++) {
            struct claim other = claim_at(conf, j);
            if (other.what != NULL && same_place(other.what, item.what)) {
                const char *keys[] = {item.section, item.name == NULL ? item.key : item.name, item.key};
                sl_config_reject_below(check, keys, item.name == NULL ? 2 : 3,
                                       "the same as %s%s%s.%s; expected another", other.section,
                                       other.name == NULL ? "" : ".", other.name == NULL ? "" : other.name, other.key);
                break;
            }
        }
    }
}

/* ---- what can never pass ---- */

/* What a request of a poll service costs, the dearest it may make. */
static uint64_t cost_of(const struct sl_conf_poll *poll)
{
    sl_venue venue = sl_conf_venue_of(poll->market.venue);
    const sl_venue_driver *driver = sl_venue_driver_of(venue);
    if (poll->cost > 0 || driver == NULL) {
        return poll->cost > 0 ? poll->cost : 1;
    }
    sl_instrument some = {.venue = venue, .type = SL_INSTRUMENT_PERPETUAL};
    sl_venue_request request = {.kind = (sl_venue_request_kind)sl_conf_poll_request(poll), .interval_ns = poll->candle};
    request.limit = request.kind == SL_REQUEST_CANDLES ? 2 : (uint32_t)poll->depth;
    bool all = poll->bulk != SL_CONF_BULK_NEVER && (driver->bulk >> request.kind & 1) != 0;
    request.instrument = all ? NULL : &some;
    return sl_venue_cost(driver, &request);
}

/* A request whose cost is larger than the burst of its limit would wait for ever. */
static void check_costs(sl_config_check *check, const struct sl_conf *conf)
{
    for (size_t i = 0; i < conf->services.count; i++) {
        const struct sl_config_variant *service = sl_config_map_at(&conf->services, i);
        bool poll = sl_conf_service_kind(service) == SL_CONF_POLL && sl_conf_poll_request(service->value) != 0;
        const char *name = poll ? sl_conf_limit_of(conf, service) : NULL;
        const struct sl_conf_limit *limit = name == NULL ? NULL : sl_config_map_find(&conf->limits, name);
        uint64_t cost = limit == NULL ? 0 : cost_of(service->value);
        for (size_t j = 0; limit != NULL && j < limit->rates.count; j++) {
            const struct sl_conf_rate *rate = sl_config_list_at(&limit->rates, j);
            uint64_t tenth = rate->rate.count / 10 == 0 ? 1 : rate->rate.count / 10;
            uint64_t burst = rate->burst == 0 ? tenth : rate->burst;
            if (rate->cost == SL_CONF_COST_WEIGHT && cost > burst) {
                sl_config_reject_below(check, PATH("services", conf->services.names[i], "cost"),
                                       "%llu is more than limits.%s.rates[%zu] lets pass at once; expected at most "
                                       "%llu, or a larger burst there",
                                       (unsigned long long)cost, name, j, (unsigned long long)burst);
                break;
            }
        }
    }
}

/* ---- what the venue does not have ---- */

/* "trades, best, candles": what a venue's streams offer, without books, which are a kind of their own. */
static void list_channels(unsigned feeds, char *buffer, size_t size_bytes)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (int i = 0; i < SL_CONF_CHANNEL_COUNT; i++) {
        if (i != SL_CONF_CHANNEL_BOOK && (feeds & SL_FEED_BIT(sl_conf_feed_of(i))) != 0 && used < size_bytes) {
            used += (size_t)snprintf(buffer + used, size_bytes - used, "%s%s", used == 0 ? "" : ", ",
                                     sl_conf_channel_name(i));
        }
    }
}

/* Of some instrument: whether the venue's streams, or its history, have such a thing. */
static bool is_streamed(const sl_venue_driver *driver, sl_subscription what)
{
    char text[CONTROL_BYTES];
    const sl_instrument any = {.symbol = "A", .venue = driver->venue, .type = SL_INSTRUMENT_PERPETUAL};
    size_t size_bytes = 0;
    what.instrument = &any;
    return driver->subscribe(&what, 1, false, 1, text, sizeof text, &size_bytes) > 0;
}

static bool is_answered(const sl_venue_driver *driver, int64_t interval_ns)
{
    char text[256];
    /* Kraken's REST takes no symbol of another form. */
    const sl_instrument any = {.symbol = "A/B", .venue = driver->venue, .type = SL_INSTRUMENT_PERPETUAL};
    sl_venue_request request = {.kind = SL_REQUEST_CANDLES, .instrument = &any, .interval_ns = interval_ns};
    return driver->rest_path(&request, text, sizeof text) >= 0;
}

static bool has_length(const sl_venue_driver *driver, int64_t interval_ns, bool streamed)
{
    return streamed ? is_streamed(driver, (sl_subscription){.feed = SL_FEED_CANDLES, .interval_ns = interval_ns})
                    : is_answered(driver, interval_ns);
}

/* "1m, 5m, 15m": of the usual lengths those that the venue has. */
static void list_lengths(const sl_venue_driver *driver, bool streamed, char *buffer, size_t size_bytes)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } usual[] = {{1, "1s"},      {60, "1m"},    {180, "3m"},    {300, "5m"},    {600, "10m"},    {900, "15m"},
                 {1800, "30m"},  {3600, "1h"},  {7200, "2h"},   {14400, "4h"},  {21600, "6h"},   {28800, "8h"},
                 {43200, "12h"}, {86400, "1d"}, {259200, "3d"}, {604800, "7d"}, {1296000, "15d"}};
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < sizeof usual / sizeof *usual && used < size_bytes; i++) {
        if (has_length(driver, SL_SECONDS(usual[i].seconds), streamed)) {
            used += (size_t)snprintf(buffer + used, size_bytes - used, "%s%s", used == 0 ? "" : ", ", usual[i].name);
        }
    }
}

static void check_length(sl_config_check *check, const char *name, const char *key, int venue, sl_time length,
                         bool streamed)
{
    const sl_venue_driver *driver = sl_venue_driver_of(sl_conf_venue_of(venue));
    if (driver != NULL && !has_length(driver, length, streamed)) {
        char known[CHANNELS_BYTES];
        list_lengths(driver, streamed, known, sizeof known);
        sl_config_reject_below(check, PATH("services", name, key), "%s has no candles of %lld s; expected %s",
                               sl_conf_venue_name(venue), (long long)(length / SL_SECONDS(1)), known);
    }
}

static void check_lengths(sl_config_check *check, const char *name, int venue, const struct sl_config_list *channels,
                          const struct sl_config_list *lengths, bool streamed)
{
    bool wanted = false;
    for (size_t i = 0; i < channels->count; i++) {
        wanted = wanted || *(const int *)sl_config_list_at(channels, i) == SL_CONF_CHANNEL_CANDLES;
    }
    for (size_t i = 0; wanted && i < lengths->count; i++) {
        check_length(check, name, "candles", venue, *(const sl_time *)sl_config_list_at(lengths, i), streamed);
    }
}

/* A depth that the venue's stream does not have would be refused once it runs. */
static void check_depth(sl_config_check *check, const char *name, const struct sl_conf_book *book)
{
    static const uint32_t usual[] = {1, 5, 10, 15, 20, 25, 50, 100, 200, 400, 500, 1000, 5000};
    const sl_venue_driver *driver = sl_venue_driver_of(sl_conf_venue_of(book->market.venue));
    char known[CHANNELS_BYTES] = "0";
    sl_subscription what = {.feed = SL_FEED_DEPTH, .depth = (uint32_t)book->depth, .interval_ns = book->interval};
    if (driver == NULL || is_streamed(driver, what)) {
        return;
    }
    what.depth = 0;
    if (!is_streamed(driver, what)) {
        sl_config_reject_below(check, PATH("services", name, "interval"),
                               "%s has no books at such an interval; "
                               "expected 0, the fastest",
                               sl_conf_venue_name(book->market.venue));
        return;
    }
    for (size_t i = 0, used = 1; i < sizeof usual / sizeof *usual && used < sizeof known; i++) {
        what.depth = usual[i];
        if (is_streamed(driver, what)) {
            used += (size_t)snprintf(known + used, sizeof known - used, ", %u", usual[i]);
        }
    }
    sl_config_reject_below(check, PATH("services", name, "depth"), "%s has no books of %llu levels; expected %s",
                           sl_conf_venue_name(book->market.venue), (unsigned long long)book->depth, known);
}

static void check_stream_channels(sl_config_check *check, const char *name, const struct sl_conf_stream *stream)
{
    const sl_venue_driver *driver = sl_venue_driver_of(sl_conf_venue_of(stream->market.venue));
    for (size_t i = 0; driver != NULL && i < stream->channels.count; i++) {
        int channel = *(const int *)sl_config_list_at(&stream->channels, i);
        if ((driver->feeds & SL_FEED_BIT(sl_conf_feed_of(channel))) == 0) {
            char known[CHANNELS_BYTES];
            list_channels(driver->feeds, known, sizeof known);
            sl_config_reject_below(check, PATH("services", name, "channels"), "%s has no %s; expected %s",
                                   sl_conf_venue_name(stream->market.venue), sl_conf_channel_name(channel), known);
            return;
        }
    }
    check_lengths(check, name, stream->market.venue, &stream->channels, &stream->candles, true);
}

static void check_history(sl_config_check *check, const char *name, const struct sl_conf_backfill *backfill)
{
    const sl_venue_driver *driver = sl_venue_driver_of(sl_conf_venue_of(backfill->market.venue));
    for (size_t i = 0; driver != NULL && i < backfill->channels.count; i++) {
        int channel = *(const int *)sl_config_list_at(&backfill->channels, i);
        unsigned request = channel == SL_CONF_CHANNEL_TRADES ? SL_REQUEST_TRADES : SL_REQUEST_CANDLES;
        if ((driver->requests & 1u << request) == 0) {
            sl_config_reject_below(check, PATH("services", name, "channels"),
                                   "%s gives no past %s; expected another venue",
                                   sl_conf_venue_name(backfill->market.venue), sl_conf_channel_name(channel));
            return;
        }
    }
    check_lengths(check, name, backfill->market.venue, &backfill->channels, &backfill->candles, false);
}

static void check_poll(sl_config_check *check, const char *name, const struct sl_conf_poll *poll)
{
    const sl_venue_driver *driver = sl_venue_driver_of(sl_conf_venue_of(poll->market.venue));
    unsigned bit = 1u << sl_conf_poll_request(poll);
    if (driver == NULL || bit == 1u << SL_REQUEST_NONE) {
        return;
    }
    if ((driver->requests & bit) == 0) {
        sl_config_reject_below(check, PATH("services", name, "channel"),
                               "%s gives no %s when asked; expected another channel or venue",
                               sl_conf_venue_name(poll->market.venue), sl_conf_channel_name(poll->channel));
    } else if (poll->bulk == SL_CONF_BULK_ALWAYS && (driver->bulk & bit) == 0) {
        sl_config_reject_below(check, PATH("services", name, "bulk"),
                               "%s has no request for %s of all instruments; expected auto or never",
                               sl_conf_venue_name(poll->market.venue), sl_conf_channel_name(poll->channel));
    } else if (poll->channel == SL_CONF_CHANNEL_CANDLES) {
        check_length(check, name, "candle", poll->market.venue, poll->candle, false);
    }
}

static void check_channels(sl_config_check *check, const struct sl_conf *conf)
{
    for (size_t i = 0; i < conf->services.count; i++) {
        const struct sl_config_variant *service = sl_config_map_at(&conf->services, i);
        if (sl_conf_service_kind(service) == SL_CONF_STREAM) {
            check_stream_channels(check, conf->services.names[i], service->value);
        } else if (sl_conf_service_kind(service) == SL_CONF_BOOK) {
            check_depth(check, conf->services.names[i], service->value);
        } else if (sl_conf_service_kind(service) == SL_CONF_POLL) {
            check_poll(check, conf->services.names[i], service->value);
        } else if (sl_conf_service_kind(service) == SL_CONF_BACKFILL) {
            check_history(check, conf->services.names[i], service->value);
        }
    }
}

/* ---- what services share ---- */

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* All services of a venue go one way there, with one limit and one policy: it cannot be two. */
static void check_policies(sl_config_check *check, const struct sl_conf *conf)
{
    static const struct {
        const char *key;
        const char *(*of)(const struct sl_conf *conf, const struct sl_config_variant *service);
    } policies[] = {{"limit", sl_conf_limit_of},
                    {"retry", sl_conf_retry_of},
                    {"breaker", sl_conf_breaker_of},
                    {"bulkhead", sl_conf_bulkhead_of}};
    for (size_t i = 0; i < conf->services.count; i++) {
        const struct sl_config_variant *service = sl_config_map_at(&conf->services, i);
        const struct sl_conf_market *market = sl_conf_market(service);
        size_t first = 0; /* the venue's first service */
        const struct sl_conf_market *other = NULL;
        for (; market != NULL && first < i; first++) {
            other = sl_conf_market(sl_config_map_at(&conf->services, first));
            if (other != NULL && other->venue == market->venue) {
                break;
            }
        }
        for (size_t at = 0; market != NULL && first < i && at < sizeof policies / sizeof *policies; at++) {
            if (!same_name(policies[at].of(conf, service),
                           policies[at].of(conf, sl_config_map_at(&conf->services, first)))) {
                sl_config_reject_below(check, PATH("services", conf->services.names[i], policies[at].key),
                                       "another than that of services.%s, but all services of %s share it; expected "
                                       "the same, best as venues.%s.%s",
                                       conf->services.names[first], sl_conf_venue_name(market->venue),
                                       sl_conf_venue_name(market->venue), policies[at].key);
            }
        }
    }
}

void sl__conf_check(const void *value, sl_config_check *check)
{
    const struct sl_conf *conf = value;
    check_names(check, "services", &conf->services);
    check_names(check, "limits", &conf->limits);
    check_names(check, "retry", &conf->retry);
    check_names(check, "breakers", &conf->breakers);
    check_names(check, "bulkheads", &conf->bulkheads);
    check_names(check, "sinks", &conf->sinks);
    check_sharing(check, conf);
    check_claims(check, conf);
    check_costs(check, conf);
    check_channels(check, conf);
    check_policies(check, conf);
}
