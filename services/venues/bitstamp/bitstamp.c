/* SPDX-License-Identifier: MIT */
/*
 * Bitstamp v2: facts, subscriptions. Messages of a book have neither sequence nor checksum: their microtimestamp grows
 * with each and joins them to the REST snapshot, so it serves as the id. The best bid and offer have no stream of their
 * own: order_book (the best 100 levels, each time as a whole) gives them.
 */
#include "bitstamp.h"

static int decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    return sl__decoder_new(&sl__bitstamp, options, sizeof(sl_venue_decoder), ret_decoder);
}

static int stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes)
{
    (void)subscriptions;
    (void)count;
    return sl__compose_text("/", buffer, size_bytes);
}

static int put_message(struct sl__writer *writer, const sl_subscription *subscriptions, size_t count, bool off,
                       int64_t request_id)
{
    static const char *const channels[SL_FEED_COUNT] = {
        [SL_FEED_TRADES] = "live_trades_", [SL_FEED_DEPTH] = "diff_order_book_", [SL_FEED_BEST] = "order_book_"};
    const sl_subscription *subscription = &subscriptions[count - 1]; /* one channel a message */
    (void)request_id;                                                /* the venue knows none: it answers by channel */
    if ((unsigned)subscription->feed >= SL_FEED_COUNT || channels[subscription->feed] == NULL ||
        subscription->instrument == NULL || subscription->depth != 0) {
        return SL_EINVAL;
    }
    sl__put(writer, off ? "{\"event\":\"bts:unsubscribe\"" : "{\"event\":\"bts:subscribe\"");
    sl__put(writer, ",\"data\":{\"channel\":\"");
    sl__put(writer, channels[subscription->feed]);
    sl__put_json(writer, subscription->instrument->symbol, SL__AS_IS);
    sl__put(writer, "\"}}");
    return 0;
}

static int subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                     size_t size_bytes, size_t *ret_size_bytes)
{
    sl__batch batch = {subscriptions, count, off, request_id, 1, 0};
    return sl__compose(put_message, &batch, buffer, size_bytes, ret_size_bytes);
}

static int ping(int64_t request_id, char *buffer, size_t size_bytes)
{
    (void)request_id;
    return sl__compose_text("{\"event\":\"bts:heartbeat\"}", buffer, size_bytes);
}

/*
 * Sources: websocket/v2 (a connection lives 90 days, heartbeat, one channel a message), api "Request limits" (400
 * requests a second, 10 000 in 10 minutes). The rate of messages, the silence and the subscriptions of a connection are
 * ours, for the venue states none: with a message for each, 2000 take 100 s, and 20 000 instruments' trades and books 20
 * connections, which together send no more messages a second than requests are allowed.
 */
const sl_venue_driver sl__bitstamp = {
    .venue = SL_VENUE_BITSTAMP,
    .title = "Bitstamp",
    .stream_origin = "wss://ws.bitstamp.net",
    .rest_origin = "https://www.bitstamp.net",
    .feeds = SL_FEED_BIT(SL_FEED_TRADES) | SL_FEED_BIT(SL_FEED_DEPTH) | SL_FEED_BIT(SL_FEED_BEST),
    .requests = 1u << SL_REQUEST_INSTRUMENTS | 1u << SL_REQUEST_SNAPSHOT | 1u << SL_REQUEST_TRADES |
                1u << SL_REQUEST_CANDLES | 1u << SL_REQUEST_TICKER,
    .bulk = 1u << SL_REQUEST_TICKER,
    .book_rule = SL_BOOK_RULE_TIMED,
    .limits =
        {
            .per_connection = 2000,
            .per_message = 1,
            .messages = 20,
            .messages_per = SL_SECONDS(1),
            .messages_burst = 4,
            .max_age = SL_MINUTES(90 * 24 * 60),
            .ping_every = SL_SECONDS(15),
            .silence = SL_SECONDS(45),
            .acknowledges = true,
            .ack_within = SL_SECONDS(10),
        },
    .rates = {{.count = 400, .period = SL_SECONDS(1), .burst = 40},
              {.count = 10000, .period = SL_MINUTES(10), .burst = 1000}},
    .decoder_new = decoder_new,
    .decoder_free = sl__decoder_free,
    .decode = sl__bitstamp_decode,
    .stream_path = stream_path,
    .subscribe = subscribe,
    .ping = ping,
    .rest_path = sl__bitstamp_rest_path,
    .decode_rest = sl__bitstamp_decode_rest,
};
