/* SPDX-License-Identifier: MIT */
/*
 * Coinbase Exchange: facts, subscriptions. Its book stream (level2_batch, every 50 ms) has neither sequence nor
 * checksum, delivery is guaranteed by the venue; trade ids are consecutive by product, and the heartbeat channel
 * names the last one each second. It goes with the trades: what is lost at the end of a burst is seen by it.
 */
#include "coinbase.h"

static int decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    return sl__decoder_new(&sl__coinbase, options, sizeof(struct sl__coinbase), ret_decoder);
}

static void decoder_free(sl_venue_decoder *decoder)
{
    if (decoder != NULL) {
        sl_free(((struct sl__coinbase *)decoder)->states.items);
        sl__decoder_free(decoder);
    }
}

static int stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes)
{
    (void)subscriptions;
    (void)count;
    return sl__compose_text("/", buffer, size_bytes);
}

/* A channel and the feeds that it serves. */
static const struct channel {
    const char *name;
    unsigned feeds;
} channels[] = {
    {"matches", SL_FEED_BIT(SL_FEED_TRADES)},     {"heartbeat", SL_FEED_BIT(SL_FEED_TRADES)},
    {"level2_batch", SL_FEED_BIT(SL_FEED_DEPTH)}, {"ticker", SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_BEST)},
    {"status", SL_FEED_BIT(SL_FEED_STATUS)},
};

static bool is_in(const struct channel *channel, const sl_subscription *subscription)
{
    return (channel->feeds & SL_FEED_BIT(subscription->feed)) != 0;
}

/* Whether an earlier one of the subscriptions already brings this instrument into the channel. */
static bool is_repeat(const struct channel *channel, const sl_subscription *subscriptions, size_t at)
{
    for (size_t before = 0; before < at; before++) {
        if (is_in(channel, &subscriptions[before]) &&
            subscriptions[before].instrument == subscriptions[at].instrument) {
            return true;
        }
    }
    return false;
}

/* ,{"name":"matches","product_ids":["BTC-USD"]} when the channel has any */
static void put_channel(struct sl__writer *writer, const struct channel *channel, const sl_subscription *subscriptions,
                        size_t count, bool *first)
{
    size_t products = 0;
    bool named = false;
    for (size_t at = 0; at < count; at++) {
        if (!is_in(channel, &subscriptions[at]) || is_repeat(channel, subscriptions, at)) {
            continue;
        }
        if (!named) {
            sl__put(writer, *first ? "{\"name\":\"" : ",{\"name\":\"");
            sl__put(writer, channel->name);
            sl__put(writer, "\",\"product_ids\":[");
            named = true;
            *first = false;
        }
        if (subscriptions[at].instrument != NULL && subscriptions[at].feed != SL_FEED_STATUS) {
            sl__put(writer, products++ == 0 ? "\"" : ",\"");
            sl__put_json(writer, subscriptions[at].instrument->symbol, SL__AS_IS);
            sl__put(writer, "\"");
        }
    }
    sl__put(writer, named ? "]}" : "");
}

static int put_message(struct sl__writer *writer, const sl_subscription *subscriptions, size_t count, bool off,
                       int64_t request_id)
{
    (void)request_id; /* the venue knows none: its answer lists the whole state */
    bool first = true;
    for (size_t at = 0; at < count; at++) {
        const sl_subscription *subscription = &subscriptions[at];
        if ((sl__coinbase.feeds & SL_FEED_BIT(subscription->feed)) == 0 || subscription->depth != 0 ||
            (subscription->instrument == NULL && subscription->feed != SL_FEED_STATUS)) {
            return SL_EINVAL;
        }
    }
    sl__put(writer, off ? "{\"type\":\"unsubscribe\",\"channels\":[" : "{\"type\":\"subscribe\",\"channels\":[");
    for (size_t at = 0; at < sizeof(channels) / sizeof(channels[0]); at++) {
        put_channel(writer, &channels[at], subscriptions, count, &first);
    }
    sl__put(writer, "]}");
    return 0;
}

static int subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                     size_t size_bytes, size_t *ret_size_bytes)
{
    const sl_venue_stream_limits *limits = &sl__coinbase.limits;
    sl__batch batch = {subscriptions, count, off, request_id, limits->per_message, limits->message_bytes};
    return sl__compose(put_message, &batch, buffer, size_bytes, ret_size_bytes);
}

/*
 * Sources: docs.cdp.coinbase.com/exchange "WebSocket rate limits" (8 requests a second and address, bursts of 20; 100
 * messages a second), "REST rate limits" (public: 10 a second and address, bursts of 15). The rest is ours, for the venue
 * states none: a message may name 100 products; heartbeats come each second, so 45 s are a silence; and a connection has 1000
 * subscriptions, because each answer lists all that the connection has: on one it would grow with their square.
 */
const sl_venue_driver sl__coinbase = {
    .venue = SL_VENUE_COINBASE,
    .title = "Coinbase Exchange",
    .stream_origin = "wss://ws-feed.exchange.coinbase.com",
    .rest_origin = "https://api.exchange.coinbase.com",
    .feeds = SL_FEED_BIT(SL_FEED_TRADES) | SL_FEED_BIT(SL_FEED_DEPTH) | SL_FEED_BIT(SL_FEED_BEST) |
             SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_STATUS),
    .requests =
        1u << SL_REQUEST_INSTRUMENTS | 1u << SL_REQUEST_SNAPSHOT | 1u << SL_REQUEST_TRADES | 1u << SL_REQUEST_CANDLES,
    .consecutive_trades = true,
    .book_rule = SL_BOOK_RULE_TRUSTED,
    .limits =
        {
            .per_connection = 1000,
            .per_message = 100,
            .message_bytes = 16384,
            .messages = 100,
            .messages_per = SL_SECONDS(1),
            .messages_burst = 20,
            .connects = 8,
            .connects_per = SL_SECONDS(1),
            .ping_every = SL_SECONDS(15),
            .silence = SL_SECONDS(45),
            .acknowledges = true,
            .ack_within = SL_SECONDS(10),
        },
    .rates = {{.count = 10, .period = SL_SECONDS(1), .burst = 15, .bucket = true}},
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .decode = sl__coinbase_decode,
    .stream_path = stream_path,
    .subscribe = subscribe,
    .rest_path = sl__coinbase_rest_path,
    .decode_rest = sl__coinbase_decode_rest,
};
