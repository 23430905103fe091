/* SPDX-License-Identifier: MIT */
/*
 * OKX v5: facts, channels, subscriptions, the old checksum. Trade ids of an instrument follow each other (of the session
 * captured in 2022 each one is the one before + 1), and those of one order at one price come as one message that names
 * the last id and how many they are: so a lost message leaves a hole.
 */
#include "okx.h"

#include <zlib.h>

#define CHECKSUM_LEVELS 25

/* Lengths of candles. From 6 hours on those that begin at 00:00 UTC, as at all other venues. */
static const struct {
    uint32_t seconds;
    const char *bar;
} bars[] = {{60, "1m"},   {180, "3m"},   {300, "5m"},      {900, "15m"},      {1800, "30m"},    {3600, "1H"},
            {7200, "2H"}, {14400, "4H"}, {21600, "6Hutc"}, {43200, "12Hutc"}, {86400, "1Dutc"}, {604800, "1Wutc"}};

static const struct {
    const char *name;
    sl_feed feed;
} channels[] = {
    {"books", SL_FEED_DEPTH},
    {"trades", SL_FEED_AGG_TRADES},
    {"bbo-tbt", SL_FEED_BEST},
    {"trades-all", SL_FEED_TRADES},
    {"tickers", SL_FEED_TICKER},
    {"books5", SL_FEED_DEPTH},
    {"mark-price", SL_FEED_FUNDING},
    {"funding-rate", SL_FEED_FUNDING},
    {"books-l2-tbt", SL_FEED_DEPTH},
    {"books50-l2-tbt", SL_FEED_DEPTH},
    {"instruments", SL_FEED_STATUS},
    {"open-interest", SL_FEED_OPEN_INTEREST},
    {"liquidation-orders", SL_FEED_LIQUIDATIONS},
};

static void decoder_free(sl_venue_decoder *decoder)
{
    if (decoder != NULL) {
        sl_json_free(((struct sl__okx *)decoder)->inner);
        sl__decoder_free(decoder);
    }
}

static int decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    sl_venue_decoder *decoder = NULL;
    SL_TRY(sl__decoder_new(&sl__okx, options, sizeof(struct sl__okx), &decoder));
    int code = sl_json_new(decoder->options.message_max_bytes, &((struct sl__okx *)decoder)->inner);
    if (code < 0) {
        decoder_free(decoder);
        return code;
    }
    *ret_decoder = decoder;
    return 0;
}

/* ---- books ---- */

/* Adds ":price:quantity" to the sum; without the first ':' at the very beginning. */
static unsigned long add_level(unsigned long sum, const sl_level *level, bool first)
{
    char text[2 * SL_DECIMAL_TEXT_MAX + 2];
    size_t length = 0;
    text[length++] = ':';
    length += sl_decimal_format(level->price, SL_DECIMAL_SCALED, text + length);
    text[length++] = ':';
    length += sl_decimal_format(level->quantity, SL_DECIMAL_SCALED, text + length);
    size_t skip = first ? 1 : 0;
    return crc32(sum, (const unsigned char *)text + skip, (unsigned)(length - skip));
}

uint32_t sl__okx_checksum(const sl_book *book)
{
    sl_book_cursor bids = sl_book_first(book, SL_SIDE_BUY);
    sl_book_cursor asks = sl_book_first(book, SL_SIDE_SELL);
    unsigned long sum = crc32(0, NULL, 0);
    bool first = true;
    for (int at = 0; at < CHECKSUM_LEVELS; at++) {
        const sl_level *levels[] = {sl_book_next(&bids), sl_book_next(&asks)};
        for (size_t side = 0; side < 2; side++) {
            if (levels[side] != NULL) {
                sum = add_level(sum, levels[side], first);
                first = false;
            }
        }
    }
    return (uint32_t)sum;
}

/* ---- channels ---- */

sl_feed sl__okx_feed_of(sl_json_text channel, int64_t *ret_interval_ns)
{
    *ret_interval_ns = 0;
    for (size_t at = 0; at < sizeof(channels) / sizeof(channels[0]); at++) {
        if (sl_json_is(channel, channels[at].name)) {
            return channels[at].feed;
        }
    }
    if (channel.size_bytes > 6 && memcmp(channel.data, "candle", 6) == 0) {
        sl_json_text bar = {channel.data + 6, channel.size_bytes - 6};
        for (size_t at = 0; at < sizeof(bars) / sizeof(bars[0]); at++) {
            if (sl_json_is(bar, bars[at].bar)) {
                *ret_interval_ns = bars[at].seconds * SL__S;
                return SL_FEED_CANDLES;
            }
        }
    }
    return SL_FEED_NONE;
}

const char *sl__okx_bar(int64_t interval_ns)
{
    for (size_t at = 0; at < sizeof(bars) / sizeof(bars[0]); at++) {
        if (interval_ns == bars[at].seconds * SL__S) {
            return bars[at].bar;
        }
    }
    return NULL;
}

const char *sl__okx_type(const sl_instrument *instrument)
{
    switch (instrument->type) {
    case SL_INSTRUMENT_SPOT:
        return "SPOT";
    case SL_INSTRUMENT_FUTURE:
        return "FUTURES";
    default:
        return "SWAP";
    }
}

sl_instrument_status sl__okx_status(sl_json_text state)
{
    if (sl_json_is(state, "live")) {
        return SL_STATUS_TRADING;
    }
    return sl_json_is(state, "expired") || sl_json_is(state, "delisted") ? SL_STATUS_DELISTED : SL_STATUS_HALTED;
}

/* ---- subscriptions ---- */

/* Candles and single trades are on a host path of their own. */
static bool is_business(const sl_subscription *subscription)
{
    return subscription->feed == SL_FEED_CANDLES || subscription->feed == SL_FEED_TRADES;
}

static bool together(const sl_subscription *a, const sl_subscription *b)
{
    return is_business(a) == is_business(b);
}

static int stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes)
{
    if (count == 0) {
        return SL_EINVAL;
    }
    for (size_t at = 1; at < count; at++) {
        if (!together(&subscriptions[0], &subscriptions[at])) {
            return SL_EINVAL;
        }
    }
    return sl__compose_text(is_business(&subscriptions[0]) ? "/ws/v5/business" : "/ws/v5/public", buffer, size_bytes);
}

/* The channel's name; NULL where there is none. Candles' names have their length behind "candle". */
static const char *channel_of(const sl_subscription *subscription)
{
    switch (subscription->feed) {
    case SL_FEED_TRADES:
        return "trades-all";
    case SL_FEED_AGG_TRADES:
        return "trades";
    case SL_FEED_DEPTH:
        if (subscription->depth == 5) {
            return "books5";
        }
        return subscription->depth == 0 || subscription->depth == 400 ? "books" : NULL; /* tbt wants a login */
    case SL_FEED_BEST:
        return "bbo-tbt";
    case SL_FEED_TICKER:
        return "tickers";
    case SL_FEED_CANDLES:
        return sl__okx_bar(subscription->interval_ns) == NULL ? NULL : "candle";
    case SL_FEED_FUNDING:
        return "funding-rate";
    case SL_FEED_OPEN_INTEREST:
        return "open-interest";
    case SL_FEED_LIQUIDATIONS:
        return "liquidation-orders";
    case SL_FEED_STATUS:
        return "instruments";
    default:
        return NULL;
    }
}

/* Channels of a whole type of instruments: one arg serves all of them. */
static bool is_of_type(const sl_subscription *subscription)
{
    return subscription->feed == SL_FEED_LIQUIDATIONS || subscription->feed == SL_FEED_STATUS;
}

static bool is_repeat(const sl_subscription *subscriptions, size_t at)
{
    for (size_t before = 0; before < at && is_of_type(&subscriptions[at]); before++) {
        if (subscriptions[before].feed == subscriptions[at].feed &&
            subscriptions[before].instrument->type == subscriptions[at].instrument->type) {
            return true;
        }
    }
    return false;
}

static void put_arg(struct sl__writer *writer, const char *channel, const char *bar, const char *key, const char *value)
{
    sl__put(writer, "{\"channel\":\"");
    sl__put(writer, channel);
    sl__put(writer, bar);
    sl__put(writer, "\",\"");
    sl__put(writer, key);
    sl__put(writer, "\":\"");
    sl__put_json(writer, value, SL__AS_IS);
    sl__put(writer, "\"}");
}

static int put_message(struct sl__writer *writer, const sl_subscription *subscriptions, size_t count, bool off,
                       int64_t request_id)
{
    sl__put(writer, "{\"id\":\"");
    sl__put_int(writer, request_id);
    sl__put(writer, off ? "\",\"op\":\"unsubscribe\",\"args\":[" : "\",\"op\":\"subscribe\",\"args\":[");
    for (size_t at = 0; at < count; at++) {
        const sl_subscription *subscription = &subscriptions[at];
        const char *channel = channel_of(subscription);
        if (channel == NULL || subscription->instrument == NULL) {
            return SL_EINVAL;
        }
        const char *symbol = subscription->instrument->symbol;
        const char *bar = subscription->feed == SL_FEED_CANDLES ? sl__okx_bar(subscription->interval_ns) : "";
        if (is_repeat(subscriptions, at)) {
            continue;
        }
        sl__put(writer, at == 0 ? "" : ",");
        if (is_of_type(subscription)) {
            put_arg(writer, channel, bar, "instType", sl__okx_type(subscription->instrument));
        } else {
            put_arg(writer, channel, bar, "instId", symbol);
        }
        if (subscription->feed == SL_FEED_FUNDING) { /* rate and mark price come by two channels */
            sl__put(writer, ",");
            put_arg(writer, "mark-price", "", "instId", symbol);
        }
    }
    sl__put(writer, "]}");
    return 0;
}

static int subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                     size_t size_bytes, size_t *ret_size_bytes)
{
    const sl_venue_stream_limits *limits = &sl__okx.limits;
    sl__batch batch = {subscriptions, count, off, request_id, limits->per_message, limits->message_bytes};
    return sl__compose(put_message, &batch, buffer, size_bytes, ret_size_bytes);
}

static int ping(int64_t request_id, char *buffer, size_t size_bytes)
{
    (void)request_id;
    return sl__compose_text("ping", buffer, size_bytes);
}

/* In units of 10 ms of one interface: 40 requests in 2 s cost 5 each, 20 cost 10, so that one limit does for all. */
static uint32_t cost(const sl_venue_request *request)
{
    bool past = request->kind == SL_REQUEST_CANDLES && request->from_time_ns > 0;
    return request->kind == SL_REQUEST_SNAPSHOT || (request->kind == SL_REQUEST_CANDLES && !past) ? 5 : 10;
}

/*
 * Sources: docs-v5 "WebSocket: connect" (3 connections a second and address, 480 subscribe and unsubscribe messages
 * an hour and connection, cut after 30 s of silence, requests up to 64 KB), and each interface's own limit. The venue
 * counts each interface by itself; here they share one budget, which is stricter.
 */
const sl_venue_driver sl__okx = {
    .venue = SL_VENUE_OKX,
    .title = "OKX",
    .stream_origin = "wss://ws.okx.com:8443",
    .rest_origin = "https://www.okx.com",
    .feeds = SL_FEED_BIT(SL_FEED_TRADES) | SL_FEED_BIT(SL_FEED_AGG_TRADES) | SL_FEED_BIT(SL_FEED_DEPTH) |
             SL_FEED_BIT(SL_FEED_BEST) | SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_CANDLES) |
             SL_FEED_BIT(SL_FEED_FUNDING) | SL_FEED_BIT(SL_FEED_LIQUIDATIONS) | SL_FEED_BIT(SL_FEED_OPEN_INTEREST) |
             SL_FEED_BIT(SL_FEED_STATUS),
    .requests = 1u << SL_REQUEST_INSTRUMENTS | 1u << SL_REQUEST_SNAPSHOT | 1u << SL_REQUEST_TRADES |
                1u << SL_REQUEST_CANDLES | 1u << SL_REQUEST_OPEN_INTEREST | 1u << SL_REQUEST_TICKER |
                1u << SL_REQUEST_BEST | 1u << SL_REQUEST_FUNDING,
    .bulk = 1u << SL_REQUEST_TICKER | 1u << SL_REQUEST_BEST | 1u << SL_REQUEST_OPEN_INTEREST,
    .consecutive_trades = true,
    .trade_ranges = SL_FEED_BIT(SL_FEED_AGG_TRADES),
    .book_rule = SL_BOOK_RULE_LINKED,
    .book_checksum = sl__okx_checksum,
    .limits =
        {
            .per_message = 400,
            .message_bytes = (size_t)60 << 10,
            .messages = 480,
            .messages_per = SL_MINUTES(60),
            .messages_burst = 60,
            .connects = 3,
            .connects_per = SL_SECONDS(1),
            .ping_every = SL_SECONDS(20),
            .silence = SL_SECONDS(45),
            .acknowledges = true,
            .ack_within = SL_SECONDS(10),
        },
    .limit_dialect = "error-code",
    .rates = {{.count = 200, .period = SL_SECONDS(2), .burst = 50}},
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .decode = sl__okx_decode,
    .stream_path = stream_path,
    .together = together,
    .subscribe = subscribe,
    .ping = ping,
    .rest_path = sl__okx_rest_path,
    .decode_rest = sl__okx_decode_rest,
    .cost = cost,
};
