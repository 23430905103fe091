/* SPDX-License-Identifier: MIT */
/* Kraken spot: facts, subscriptions, checksum. */
#include "kraken.h"

#include <stdio.h>
#include <zlib.h>

const uint32_t sl__kraken_intervals[SL__KRAKEN_INTERVALS] = {60, 300, 900, 1800, 3600, 14400, 86400, 604800, 1296000};

/* Depths that the book channel offers. */
static const uint32_t depths[] = {10, 25, 100, 500, 1000};
#define DEPTHS (sizeof(depths) / sizeof(depths[0]))
#define DEPTH_DEFAULT 1000

/* How many levels a side go into the checksum. */
#define CHECKSUM_LEVELS 10

static int decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    return sl__decoder_new(&sl__kraken, options, sizeof(struct sl__kraken), ret_decoder);
}

static void decoder_free(sl_venue_decoder *decoder)
{
    if (decoder != NULL) {
        sl_free(((struct sl__kraken *)decoder)->depths.items);
        sl__decoder_free(decoder);
    }
}

/* ---- books ---- */

/* The digits of a number, behind what is there. A mantissa has no leading zeros, and no point. */
static char *put_digits(char *at, sl_decimal number)
{
    char digits[20];
    int count = 0;
    uint64_t rest = number.mantissa < 0 ? 0 : (uint64_t)number.mantissa;
    for (; rest > 0; rest /= 10) {
        digits[count++] = (char)('0' + rest % 10);
    }
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

uint32_t sl__kraken_checksum(const sl_book *book)
{
    char text[2 * CHECKSUM_LEVELS * 2 * 20];
    char *at = text;
    static const sl_side sides[] = {SL_SIDE_SELL, SL_SIDE_BUY};
    for (size_t side = 0; side < 2; side++) {
        sl_book_cursor cursor = sl_book_first(book, sides[side]);
        const sl_level *level = NULL;
        for (int count = 0; count < CHECKSUM_LEVELS && (level = sl_book_next(&cursor)) != NULL; count++) {
            at = put_digits(at, level->price);
            at = put_digits(at, level->quantity);
        }
    }
    return (uint32_t)crc32(0, (const unsigned char *)text, (unsigned)(at - text));
}

int sl__kraken_set_depth(sl__reading *reading, const sl_instrument *instrument, uint32_t depth)
{
    struct sl__kraken *kraken = (struct sl__kraken *)reading->decoder;
    uint32_t *known = sl__beside(&kraken->depths, instrument, sizeof(*known));
    if (known == NULL) {
        return sl__bad(reading, SL_ENOMEM, "out of memory");
    }
    *known = depth;
    return 0;
}

/* The acknowledgement says it. In a recording without one: the smallest offered depth that the snapshot fits into. */
int sl__kraken_get_depth(sl__reading *reading, const sl_instrument *instrument, bool snapshot, uint32_t *ret_depth)
{
    struct sl__kraken *kraken = (struct sl__kraken *)reading->decoder;
    uint32_t *known = sl__beside(&kraken->depths, instrument, sizeof(*known));
    if (known == NULL) {
        return sl__bad(reading, SL_ENOMEM, "out of memory");
    }
    if (*known == 0 && snapshot) {
        const sl_venue_decoder *decoder = reading->decoder;
        size_t levels = decoder->bids.count > decoder->asks.count ? decoder->bids.count : decoder->asks.count;
        size_t at = 0;
        while (at < DEPTHS - 1 && depths[at] < levels) {
            at++;
        }
        *known = depths[at];
    }
    *ret_depth = *known;
    return 0;
}

/* ---- names ---- */

bool sl__kraken_symbol(sl_json_text name, char symbol[SL_SYMBOL_MAX])
{
    sl_instrument pair;
    if (!sl__define_pair(name, '/', &pair)) {
        return false;
    }
    return (size_t)snprintf(symbol, SL_SYMBOL_MAX, "%s/%s", pair.base, pair.quote) < SL_SYMBOL_MAX;
}

sl_instrument_status sl__kraken_status(sl_json_text status)
{
    if (sl_json_is(status, "delisted")) {
        return SL_STATUS_DELISTED;
    }
    bool trading = sl_json_is(status, "online") || sl_json_is(status, "limit_only") ||
                   sl_json_is(status, "post_only") || sl_json_is(status, "reduce_only");
    return trading ? SL_STATUS_TRADING : SL_STATUS_HALTED;
}

/* ---- subscriptions ---- */

static int stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes)
{
    (void)subscriptions;
    (void)count;
    return sl__compose_text("/v2", buffer, size_bytes);
}

static const char *channel_of(sl_feed feed)
{
    switch (feed) {
    case SL_FEED_TRADES:
        return "trade";
    case SL_FEED_DEPTH:
        return "book";
    case SL_FEED_BEST:
    case SL_FEED_TICKER:
        return "ticker";
    case SL_FEED_CANDLES:
        return "ohlc";
    case SL_FEED_STATUS:
        return "instrument";
    default:
        return NULL;
    }
}

/* One message is of one channel with one set of parameters. */
static bool same_message(const sl_subscription *a, const sl_subscription *b)
{
    return a->feed == b->feed && a->depth == b->depth && a->interval_ns == b->interval_ns && a->feed != SL_FEED_STATUS;
}

/* A symbol is in a channel once on a connection: with one depth, and by trades or by best bid and offer. */
static bool together(const sl_subscription *a, const sl_subscription *b)
{
    const char *channel = channel_of(a->feed);
    const char *other = channel_of(b->feed);
    bool same = a->instrument == b->instrument && channel != NULL && other != NULL && strcmp(channel, other) == 0;
    return !same || a->feed == SL_FEED_STATUS || same_message(a, b);
}

static int put_parameters(struct sl__writer *writer, const sl_subscription *subscription)
{
    uint32_t depth = subscription->depth == 0 ? DEPTH_DEFAULT : subscription->depth;
    int interval = 0;
    switch (subscription->feed) {
    case SL_FEED_DEPTH:
        for (size_t at = 0; at < DEPTHS && depths[at] != depth; at++) {
            if (at == DEPTHS - 1) {
                return SL_EINVAL;
            }
        }
        sl__put(writer, ",\"depth\":");
        sl__put_int(writer, depth);
        return 0;
    case SL_FEED_BEST:
        sl__put(writer, ",\"event_trigger\":\"bbo\"");
        return 0;
    case SL_FEED_CANDLES:
        interval = sl__interval_find(subscription->interval_ns, sl__kraken_intervals, SL__KRAKEN_INTERVALS);
        if (interval < 0) {
            return SL_EINVAL;
        }
        sl__put(writer, ",\"interval\":");
        sl__put_int(writer, sl__kraken_intervals[interval] / 60);
        return 0;
    default:
        return 0;
    }
}

static int put_message(struct sl__writer *writer, const sl_subscription *subscriptions, size_t count, bool off,
                       int64_t request_id)
{
    const char *channel = channel_of(subscriptions[0].feed);
    if (channel == NULL) {
        return SL_EINVAL;
    }
    sl__put(writer, off ? "{\"method\":\"unsubscribe\"" : "{\"method\":\"subscribe\"");
    sl__put(writer, ",\"params\":{\"channel\":\"");
    sl__put(writer, channel);
    sl__put(writer, "\"");
    if (subscriptions[0].feed != SL_FEED_STATUS) {
        for (size_t at = 0; at < count; at++) {
            if (subscriptions[at].instrument == NULL) {
                return SL_EINVAL;
            }
            sl__put(writer, at == 0 ? ",\"symbol\":[\"" : "\",\"");
            sl__put_json(writer, subscriptions[at].instrument->symbol, SL__AS_IS);
        }
        sl__put(writer, "\"]");
    }
    SL_TRY(put_parameters(writer, &subscriptions[0]));
    sl__put(writer, "},\"req_id\":");
    sl__put_int(writer, request_id);
    sl__put(writer, "}");
    return 0;
}

static int subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                     size_t size_bytes, size_t *ret_size_bytes)
{
    const sl_venue_stream_limits *limits = &sl__kraken.limits;
    size_t same = count > 0 ? 1 : 0;
    while (same < count && same_message(&subscriptions[0], &subscriptions[same])) {
        same++;
    }
    sl__batch batch = {subscriptions, same, off, request_id, limits->per_message, limits->message_bytes};
    return sl__compose(put_message, &batch, buffer, size_bytes, ret_size_bytes);
}

static int ping(int64_t request_id, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, "{\"method\":\"ping\",\"req_id\":");
    sl__put_int(&writer, request_id);
    sl__put(&writer, "}");
    return sl__written(&writer);
}

/*
 * Sources: docs.kraken.com: book depths, heartbeat (about each second once something is subscribed), ping; support
 * pages: 150 connections in 10 minutes and address, idle connections are cut after a minute, about one public REST
 * request a second. The limit of messages is dynamic and not published: many symbols go into one message, and the rate
 * here is ours.
 */
const sl_venue_driver sl__kraken = {
    .venue = SL_VENUE_KRAKEN,
    .title = "Kraken spot",
    .stream_origin = "wss://ws.kraken.com",
    .rest_origin = "https://api.kraken.com",
    .feeds = SL_FEED_BIT(SL_FEED_TRADES) | SL_FEED_BIT(SL_FEED_DEPTH) | SL_FEED_BIT(SL_FEED_BEST) |
             SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_CANDLES) | SL_FEED_BIT(SL_FEED_STATUS),
    .requests =
        1u << SL_REQUEST_INSTRUMENTS | 1u << SL_REQUEST_SNAPSHOT | 1u << SL_REQUEST_TRADES | 1u << SL_REQUEST_CANDLES,
    .consecutive_trades = true,
    .book_rule = SL_BOOK_RULE_CHECKSUM,
    .book_checksum = sl__kraken_checksum,
    .limits =
        {
            .per_message = 100,
            .message_bytes = 16384,
            .messages = 5,
            .messages_per = SL_SECONDS(1),
            .messages_burst = 2,
            .connects = 150,
            .connects_per = SL_MINUTES(10),
            .ping_every = SL_SECONDS(30),
            .silence = SL_SECONDS(45),
            .acknowledges = true,
            .ack_within = SL_SECONDS(10),
        },
    .limit_dialect = "error-list",
    .rates = {{.count = 1, .period = SL_SECONDS(1), .burst = 1}},
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .decode = sl__kraken_decode,
    .stream_path = stream_path,
    .together = together,
    .subscribe = subscribe,
    .ping = ping,
    .rest_path = sl__kraken_rest_path,
    .decode_rest = sl__kraken_decode_rest,
};
