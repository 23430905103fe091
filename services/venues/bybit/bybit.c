/* SPDX-License-Identifier: MIT */
/* Bybit v5: facts, topics, subscriptions. */
#include "bybit.h"

/* Lengths of candles and their names. Months vary in length and are left out. */
static const struct {
    uint32_t seconds;
    const char *name;
} intervals[] = {{60, "1"},     {180, "3"},     {300, "5"},     {900, "15"},    {1800, "30"}, {3600, "60"},
                 {7200, "120"}, {14400, "240"}, {21600, "360"}, {43200, "720"}, {86400, "D"}, {604800, "W"}};

static const struct {
    const char *name;
    sl_feed feed;
} kinds[] = {
    {"orderbook", SL_FEED_DEPTH}, {"publicTrade", SL_FEED_TRADES},       {"tickers", SL_FEED_TICKER},
    {"kline", SL_FEED_CANDLES},   {"liquidation", SL_FEED_LIQUIDATIONS}, {"allLiquidation", SL_FEED_LIQUIDATIONS},
};

static int decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    return sl__decoder_new(sl_venue_driver_of(options->venue), options, sizeof(struct sl__bybit), ret_decoder);
}

static void decoder_free(sl_venue_decoder *decoder)
{
    struct sl__bybit *bybit = (struct sl__bybit *)decoder;
    if (bybit != NULL) {
        for (size_t at = 0; at < bybit->tickers.count; at++) {
            sl_free(((void **)(void *)bybit->tickers.items)[at]);
        }
        sl_free(bybit->tickers.items);
        sl__decoder_free(decoder);
    }
}

const char *sl__bybit_category(sl_venue venue)
{
    return venue == SL_VENUE_BYBIT_SPOT ? "spot" : (venue == SL_VENUE_BYBIT_LINEAR ? "linear" : "inverse");
}

const char *sl__bybit_interval_name(int64_t interval_ns)
{
    for (size_t at = 0; at < sizeof(intervals) / sizeof(intervals[0]); at++) {
        if (interval_ns == intervals[at].seconds * SL__S) {
            return intervals[at].name;
        }
    }
    return NULL;
}

int64_t sl__bybit_interval_of(sl_json_text name)
{
    for (size_t at = 0; at < sizeof(intervals) / sizeof(intervals[0]); at++) {
        if (sl_json_is(name, intervals[at].name)) {
            return intervals[at].seconds * SL__S;
        }
    }
    return 0;
}

/* The text up to the next '.', which is taken off. */
static sl_json_text take_part(sl_json_text *text)
{
    const char *dot = text->size_bytes == 0 ? NULL : memchr(text->data, '.', text->size_bytes);
    sl_json_text part = {text->data, dot == NULL ? text->size_bytes : (size_t)(dot - text->data)};
    size_t taken = part.size_bytes + (dot == NULL ? 0 : 1);
    *text = (sl_json_text){text->data + taken, text->size_bytes - taken};
    return part;
}

sl__bybit_topic sl__bybit_topic_of(sl_json_text text)
{
    sl__bybit_topic topic = {SL_FEED_NONE, {"", 0}, {"", 0}};
    sl_json_text kind = take_part(&text);
    for (size_t at = 0; at < sizeof(kinds) / sizeof(kinds[0]); at++) {
        if (sl_json_is(kind, kinds[at].name)) {
            topic.feed = kinds[at].feed;
        }
    }
    if (topic.feed == SL_FEED_DEPTH || topic.feed == SL_FEED_CANDLES) {
        topic.parameter = take_part(&text);
    }
    if (topic.feed == SL_FEED_DEPTH && sl_json_is(topic.parameter, "1")) {
        topic.feed = SL_FEED_BEST;
    }
    topic.symbol = text;
    return topic;
}

/* ---- subscriptions ---- */

static const char *path_of(sl_venue venue)
{
    return venue == SL_VENUE_BYBIT_SPOT ? "/v5/public/spot"
                                        : (venue == SL_VENUE_BYBIT_LINEAR ? "/v5/public/linear" : "/v5/public/inverse");
}

static int stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes)
{
    if (count == 0 || subscriptions[0].instrument == NULL) {
        return SL_EINVAL;
    }
    for (size_t at = 1; at < count; at++) {
        if (subscriptions[at].instrument == NULL ||
            subscriptions[at].instrument->venue != subscriptions[0].instrument->venue) {
            return SL_EINVAL;
        }
    }
    return sl__compose_text(path_of(subscriptions[0].instrument->venue), buffer, size_bytes);
}

static bool together(const sl_subscription *a, const sl_subscription *b)
{
    return a->instrument->venue == b->instrument->venue;
}

/* Depths: 1 is the best bid and offer. The 1000 levels are sent each 200 ms, 200 each 100 ms, 50 each 20 ms. */
static int put_depth(struct sl__writer *writer, uint32_t depth)
{
    depth = depth == 0 ? 200 : depth;
    if (depth != 50 && depth != 200 && depth != 1000) {
        return SL_EINVAL;
    }
    sl__put(writer, "orderbook.");
    sl__put_int(writer, depth);
    return 0;
}

/* The topic of a subscription without its symbol. */
static int put_kind(struct sl__writer *writer, const sl_subscription *subscription)
{
    const char *interval = NULL;
    bool spot = subscription->instrument->venue == SL_VENUE_BYBIT_SPOT;
    switch (subscription->feed) {
    case SL_FEED_TRADES:
        sl__put(writer, "publicTrade");
        return 0;
    case SL_FEED_DEPTH:
        return put_depth(writer, subscription->depth);
    case SL_FEED_BEST:
        sl__put(writer, "orderbook.1");
        return 0;
    case SL_FEED_FUNDING:
    case SL_FEED_OPEN_INTEREST:
        sl__put(writer, "tickers");
        return spot ? SL_EINVAL : 0;
    case SL_FEED_TICKER:
        sl__put(writer, "tickers");
        return 0;
    case SL_FEED_CANDLES:
        interval = sl__bybit_interval_name(subscription->interval_ns);
        sl__put(writer, "kline.");
        sl__put(writer, interval == NULL ? "" : interval);
        return interval == NULL ? SL_EINVAL : 0;
    case SL_FEED_LIQUIDATIONS:
        sl__put(writer, "allLiquidation");
        return spot ? SL_EINVAL : 0;
    default:
        return SL_EINVAL;
    }
}

static bool is_ticker(sl_feed feed)
{
    return feed == SL_FEED_TICKER || feed == SL_FEED_FUNDING || feed == SL_FEED_OPEN_INTEREST;
}

/* Three feeds are one topic, which the venue refuses to hear twice. */
static bool is_repeat(const sl_subscription *subscriptions, size_t at)
{
    for (size_t before = 0; before < at && is_ticker(subscriptions[at].feed); before++) {
        if (is_ticker(subscriptions[before].feed) && subscriptions[before].instrument == subscriptions[at].instrument) {
            return true;
        }
    }
    return false;
}

static int put_message(struct sl__writer *writer, const sl_subscription *subscriptions, size_t count, bool off,
                       int64_t request_id)
{
    sl__put(writer, off ? "{\"op\":\"unsubscribe\",\"req_id\":\"" : "{\"op\":\"subscribe\",\"req_id\":\"");
    sl__put_int(writer, request_id);
    sl__put(writer, "\",\"args\":[\"");
    for (size_t at = 0; at < count; at++) {
        if (subscriptions[at].instrument == NULL) {
            return SL_EINVAL;
        }
        if (!is_repeat(subscriptions, at)) {
            sl__put(writer, at == 0 ? "" : "\",\"");
            SL_TRY(put_kind(writer, &subscriptions[at]));
            sl__put(writer, ".");
            sl__put_json(writer, subscriptions[at].instrument->symbol, SL__AS_IS);
        }
    }
    sl__put(writer, "\"]}");
    return 0;
}

static int subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                     size_t size_bytes, size_t *ret_size_bytes)
{
    if (count == 0 || subscriptions[0].instrument == NULL) {
        return SL_EINVAL;
    }
    const sl_venue_stream_limits *limits = &sl_venue_driver_of(subscriptions[0].instrument->venue)->limits;
    sl__batch batch = {subscriptions, count, off, request_id, limits->per_message, limits->message_bytes};
    return sl__compose(put_message, &batch, buffer, size_bytes, ret_size_bytes);
}

static int ping(int64_t request_id, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, "{\"req_id\":\"");
    sl__put_int(&writer, request_id);
    sl__put(&writer, "\",\"op\":\"ping\"}");
    return sl__written(&writer);
}

static int path_spot(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    return sl__bybit_rest_path_of(SL_VENUE_BYBIT_SPOT, request, buffer, size_bytes);
}

static int path_linear(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    return sl__bybit_rest_path_of(SL_VENUE_BYBIT_LINEAR, request, buffer, size_bytes);
}

static int path_inverse(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    return sl__bybit_rest_path_of(SL_VENUE_BYBIT_INVERSE, request, buffer, size_bytes);
}

#define FEEDS_SPOT                                                                                                     \
    (SL_FEED_BIT(SL_FEED_TRADES) | SL_FEED_BIT(SL_FEED_DEPTH) | SL_FEED_BIT(SL_FEED_BEST) |                            \
     SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_CANDLES))
#define FEEDS_DERIVATIVES                                                                                              \
    (FEEDS_SPOT | SL_FEED_BIT(SL_FEED_FUNDING) | SL_FEED_BIT(SL_FEED_LIQUIDATIONS) | SL_FEED_BIT(SL_FEED_OPEN_INTEREST))
#define BULK_SPOT (1u << SL_REQUEST_TICKER | 1u << SL_REQUEST_BEST)
#define BULK_DERIVATIVES (BULK_SPOT | 1u << SL_REQUEST_FUNDING | 1u << SL_REQUEST_OPEN_INTEREST)
#define REQUESTS_SPOT                                                                                                  \
    (BULK_SPOT | 1u << SL_REQUEST_INSTRUMENTS | 1u << SL_REQUEST_SNAPSHOT | 1u << SL_REQUEST_TRADES |                  \
     1u << SL_REQUEST_CANDLES)
#define REQUESTS_DERIVATIVES (REQUESTS_SPOT | BULK_DERIVATIVES)

/*
 * Sources: docs/v5/ws/connect (ping each 20 s, cut after 10 minutes of silence, 500 connections in 5 minutes, 10 args a
 * message for spot, 21 000 characters of args a connection), docs/v5/rate-limit (600 requests in 5 s and address). That
 * other messages may have 100 args, and the silence, are ours.
 */
#define DRIVER(venue_, title_, feeds_, requests_, bulk_, per_message_, path_)                                          \
    {                                                                                                                  \
        .venue = venue_, .title = title_, .stream_origin = "wss://stream.bybit.com",                                   \
        .rest_origin = "https://api.bybit.com", .feeds = feeds_, .requests = requests_, .bulk = bulk_,                 \
        .book_rule = SL_BOOK_RULE_CONSECUTIVE,                                                                         \
        .limits = {.per_message = per_message_,                                                                        \
                   .message_bytes = 16384,                                                                             \
                   .connection_bytes = 21000,                                                                          \
                   .messages = 10,                                                                                     \
                   .messages_per = SL_SECONDS(1),                                                                      \
                   .messages_burst = 2,                                                                                \
                   .connects = 500,                                                                                    \
                   .connects_per = SL_MINUTES(5),                                                                      \
                   .ping_every = SL_SECONDS(20),                                                                       \
                   .silence = SL_SECONDS(50),                                                                          \
                   .acknowledges = true,                                                                               \
                   .ack_within = SL_SECONDS(10)},                                                                      \
        .limit_dialect = "bapi", .rates = {{.count = 600, .period = SL_SECONDS(5), .burst = 60}},                      \
        .decoder_new = decoder_new, .decoder_free = decoder_free, .decode = sl__bybit_decode,                          \
        .stream_path = stream_path, .together = together, .subscribe = subscribe, .ping = ping, .rest_path = path_,    \
        .decode_rest = sl__bybit_decode_rest,                                                                          \
    }

const sl_venue_driver sl__bybit_spot =
    DRIVER(SL_VENUE_BYBIT_SPOT, "Bybit spot", FEEDS_SPOT, REQUESTS_SPOT, BULK_SPOT, 10, path_spot);
const sl_venue_driver sl__bybit_linear = DRIVER(SL_VENUE_BYBIT_LINEAR, "Bybit linear", FEEDS_DERIVATIVES,
                                                REQUESTS_DERIVATIVES, BULK_DERIVATIVES, 100, path_linear);
const sl_venue_driver sl__bybit_inverse = DRIVER(SL_VENUE_BYBIT_INVERSE, "Bybit inverse", FEEDS_DERIVATIVES,
                                                 REQUESTS_DERIVATIVES, BULK_DERIVATIVES, 100, path_inverse);
