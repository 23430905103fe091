/* SPDX-License-Identifier: MIT */
/* OKX v5, from its side. Source: www.okx.com/docs-v5. Checksums are 0, as since 2026-06-23, if not asked for. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "exchange/dialect.h"
#include "exchange/quotes.h"

#define MS(ns) ((ns) / 1000000)
#define LEVELS 400
#define CHECKSUM_LEVELS 25

static void define(const char *base, const char *quote, sl_instrument *instrument)
{
    (void)snprintf(instrument->symbol, sizeof instrument->symbol, "%s-%s", base, quote);
}

static bool open_path(const struct sl_dialect_host *host, struct sl_venue_client *client,
                      const struct sl_rest_question *target)
{
    (void)host;
    (void)client;
    return strcmp(target->path, "/ws/v5/public") == 0 || strcmp(target->path, "/ws/v5/business") == 0;
}

/* ---- subscribing ---- */

static const struct {
    const char *name;
    sl_feed feed;
} channels[] = {{"trades-all", SL_FEED_TRADES}, /* single ones; "trades" adds up those of one order */
                {"trades", SL_FEED_AGG_TRADES},
                {"books", SL_FEED_DEPTH},
                {"bbo-tbt", SL_FEED_BEST},
                {"candle", SL_FEED_CANDLES}}; /* with its length behind it */

/* From six hours on there are those of Hong Kong's day, and those of UTC's. */
static const struct sl_candle_length lengths[] = {
    {"1m", 60},    {"3m", 180},      {"5m", 300},       {"15m", 900},     {"30m", 1800},     {"1H", 3600}, {"2H", 7200},
    {"4H", 14400}, {"6Hutc", 21600}, {"12Hutc", 43200}, {"1Dutc", 86400}, {"1Wutc", 604800}, {NULL, 0}};

/* Candles and single trades have a path of their own. */
static bool routed(const char *path, sl_feed feed)
{
    return (strcmp(path, "/ws/v5/business") == 0) == (feed == SL_FEED_CANDLES || feed == SL_FEED_TRADES);
}

static const char *channel_of(sl_feed feed)
{
    for (size_t at = 0; at < sizeof channels / sizeof *channels; at++) {
        if (channels[at].feed == feed) {
            return channels[at].name;
        }
    }
    return "?";
}

/* One {"channel":..,"instId":..} of the question. */
static void answer_one(const struct sl_dialect_host *host, struct sl_venue_client *client, bool off)
{
    sl_json_text key, channel = {"", 0}, symbol = {"", 0};
    while (sl_json_next_field(host->json, &key) > 0) {
        if (sl_json_is(key, "channel")) {
            (void)!sl_json_get_string(host->json, &channel);
        } else if (sl_json_is(key, "instId")) {
            (void)!sl_json_get_string(host->json, &symbol);
        }
    }
    struct sl_wish wish = {.instrument =
                               sl_instruments_find(host->instruments, SL_VENUE_OKX, symbol.data, symbol.size_bytes)};
    for (size_t at = 0; at < sizeof channels / sizeof *channels; at++) {
        wish.feed = sl_json_is(channel, channels[at].name) ? channels[at].feed : wish.feed;
    }
    if (channel.size_bytes > 6 && memcmp(channel.data, "candle", 6) == 0) {
        wish.interval_ns = sl__length_of(lengths, channel.data + 6, channel.size_bytes - 6);
        wish.feed = wish.interval_ns == 0 ? SL_FEED_NONE : SL_FEED_CANDLES;
    }
    (void)snprintf(wish.name, sizeof wish.name, "%s%s", channel_of(wish.feed),
                   wish.feed == SL_FEED_CANDLES ? sl__length_name(lengths, wish.interval_ns) : "");
    struct sl_render text = {0};
    bool known = wish.feed != SL_FEED_NONE && wish.instrument != NULL &&
                 wish.instrument->status != SL_STATUS_DELISTED && routed(host->path(client), wish.feed);
    bool refused = known && host->refuse;
    known = known && !refused;
    if (refused) {
        sl__write_format(&text,
                         "{\"event\":\"error\",\"code\":\"64004\",\"msg\":\"Subscribe timeout: channel:%s,instId:%s\","
                         "\"connId\":\"a4d3ae55\"}",
                         wish.name, wish.instrument->symbol);
    } else if (known) {
        sl__write_format(&text,
                         "{\"event\":\"%s\",\"arg\":{\"channel\":\"%s\",\"instId\":\"%s\"},\"connId\":\"a4d3ae55\"}",
                         off ? "unsubscribe" : "subscribe", wish.name, wish.instrument->symbol);
    } else {
        sl__write_format(
            &text,
            "{\"event\":\"error\",\"code\":\"60018\",\"msg\":\"Wrong URL or channel:%.*s,instId:%.*s doesn't "
            "exist. Please use the correct URL, channel and parameters referring to API document.\","
            "\"connId\":\"a4d3ae55\"}",
            (int)(channel.size_bytes < 32 ? channel.size_bytes : 32), channel.data,
            (int)(symbol.size_bytes < 32 ? symbol.size_bytes : 32), symbol.data);
    }
    host->say(client, &text);
    sl__write_done(&text);
    if (known) {
        (void)host->wish(client, &wish, off);
    }
}

static void hear(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes)
{
    sl_json *json = host->json;
    sl_json_text op = {"", 0};
    struct sl_render answer = {0};
    if (size_bytes == 4 && memcmp(text, "ping", 4) == 0) {
        sl__write_text(&answer, "pong");
    } else if (sl_json_open(json, text, size_bytes, 0) < 0 || sl_json_enter_object(json) < 0 ||
               sl_json_find_field(json, "op") < 0 || sl_json_get_string(json, &op) < 0 ||
               (!sl_json_is(op, "subscribe") && !sl_json_is(op, "unsubscribe"))) {
        sl__write_text(&answer,
                       "{\"event\":\"error\",\"code\":\"60012\",\"msg\":\"Invalid request\",\"connId\":\"a4d3ae55\"}");
    }
    if (answer.size_bytes > 0) {
        host->say(client, &answer);
        sl__write_done(&answer);
        return;
    }
    bool off = sl_json_is(op, "unsubscribe"); /* the arguments may also stand before it */
    if (sl_json_open(json, text, size_bytes, 0) == 0 && sl_json_enter_object(json) == 0 &&
        sl_json_find_field(json, "args") == 0 && sl_json_enter_array(json) == 0) {
        while (sl_json_next_element(json) > 0 && sl_json_enter_object(json) == 0) {
            answer_one(host, client, off);
        }
    }
}

/* ---- messages ---- */

static void render_arg(sl_feed feed, const sl_instrument *instrument, struct sl_render *text)
{
    sl__write_format(text, "{\"arg\":{\"channel\":\"%s\",\"instId\":\"%s\"},", channel_of(feed), instrument->symbol);
}

static void render_level(struct sl_render *text, const sl_level *level, bool first)
{
    sl__write_text(text, first ? "[\"" : ",[\"");
    sl__write_decimal(text, level->price);
    sl__write_text(text, "\",\"");
    sl__write_decimal(text, level->quantity);
    sl__write_text(text, level->quantity.mantissa == 0 ? "\",\"0\",\"0\"]" : "\",\"0\",\"1\"]");
}

static void render_side(struct sl_render *text, const sl_book *book, sl_side side, size_t depth)
{
    sl_book_cursor cursor = sl_book_first(book, side);
    const sl_level *level = NULL;
    for (size_t at = 0; at < depth && (level = sl_book_next(&cursor)) != NULL; at++) {
        render_level(text, level, at == 0);
    }
}

static void render_changes(struct sl_render *text, const sl_level *levels, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        render_level(text, &levels[at], at == 0);
    }
}

/* Up to 25 levels a side, a bid and an ask in turn as far as there are: "price:quantity", joined by ':'. */
static int32_t checksum(const sl_book *book)
{
    sl_book_cursor bids = sl_book_first(book, SL_SIDE_BUY), asks = sl_book_first(book, SL_SIDE_SELL);
    uint32_t crc = (uint32_t)crc32(0, NULL, 0);
    bool first = true;
    for (int at = 0; at < CHECKSUM_LEVELS; at++) {
        const sl_level *pair[] = {sl_book_next(&bids), sl_book_next(&asks)};
        for (size_t side = 0; side < 2; side++) {
            char text[2 * SL_DECIMAL_TEXT_MAX + 2];
            if (pair[side] == NULL) {
                continue;
            }
            size_t size = 0;
            if (!first) {
                text[size++] = ':';
            }
            size += sl_decimal_format(pair[side]->price, SL_DECIMAL_SCALED, text + size);
            text[size++] = ':';
            size += sl_decimal_format(pair[side]->quantity, SL_DECIMAL_SCALED, text + size);
            crc = (uint32_t)crc32(crc, (const unsigned char *)text, (unsigned)size);
            first = false;
        }
    }
    return (int32_t)crc;
}

static void render_ids(const struct sl_dialect_host *host, const sl_book *book, int64_t time_ns, int64_t previous,
                       int64_t id, struct sl_render *text)
{
    /* What does not fit is the checksum where there is one, else the id of the one before. */
    int32_t sum = host->checksums ? checksum(book) : 0;
    if (host->bad_link) {
        sum ^= host->checksums ? 1 : 0;
        previous += host->checksums ? 0 : 1000003; /* no other one's */
    }
    sl__write_format(
        text, "],\"ts\":\"%" PRId64 "\",\"checksum\":%" PRId32 ",\"prevSeqId\":%" PRId64 ",\"seqId\":%" PRId64 "}]}",
        MS(time_ns), sum, previous, id);
}

static void render_trade(sl_feed feed, const sl_market_event *event, struct sl_render *text)
{
    const sl_trade *trade = &event->as.trade;
    render_arg(feed, event->instrument, text);
    sl__write_format(text, "\"data\":[{\"instId\":\"%s\",\"tradeId\":\"%" PRId64 "\",\"px\":\"",
                     event->instrument->symbol, trade->id);
    sl__write_decimal(text, trade->price);
    sl__write_text(text, "\",\"sz\":\"");
    sl__write_decimal(text, trade->quantity);
    sl__write_format(text, "\",\"side\":\"%s\",\"ts\":\"%" PRId64 "\",\"count\":\"1\"}]}", sl_side_name(trade->taker),
                     MS(event->venue_time_ns));
}

static void render_candle(const struct sl_dialect_host *host, const struct sl_wish *wish,
                          const struct sl_simulated_candle *candle, enum sl_candle_word word, struct sl_render *text)
{
    (void)host;
    sl__write_format(text, "{\"arg\":{\"channel\":\"%s\",\"instId\":\"%s\"},\"data\":[[\"%" PRId64 "\"", wish->name,
                     wish->instrument->symbol, MS(candle->open_ns));
    const sl_decimal values[] = {candle->open, candle->high, candle->low, candle->close, candle->volume};
    for (size_t at = 0; at < sizeof values / sizeof *values; at++) {
        sl__write_between(text, ",\"", values[at], "\"");
    }
    sl__write_format(text, ",\"0\",\"0\",\"%d\"]]}", word == SL_CANDLE_CLOSED);
}

static void render_best(const struct sl_dialect_host *host, const sl_market_event *event, struct sl_render *text)
{
    sl_truth_state state = sl_truth_look(host->truth, event->instrument);
    render_arg(SL_FEED_BEST, event->instrument, text);
    sl__write_text(text, "\"data\":[{\"asks\":[");
    render_side(text, state.book, SL_SIDE_SELL, 1);
    sl__write_text(text, "],\"bids\":[");
    render_side(text, state.book, SL_SIDE_BUY, 1);
    sl__write_format(text, "],\"ts\":\"%" PRId64 "\",\"seqId\":%" PRId64 "}]}", MS(event->venue_time_ns),
                     state.book_id);
}

static bool render_change(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                          struct sl_render *text)
{
    bool trade = change->event.kind == SL_EVENT_TRADE;
    const sl_book_delta *delta = &change->event.as.delta;
    if ((wish->feed == SL_FEED_TRADES || wish->feed == SL_FEED_AGG_TRADES) && trade) {
        render_trade(wish->feed, &change->event, text);
    } else if (wish->feed == SL_FEED_DEPTH && !trade) {
        render_arg(SL_FEED_DEPTH, wish->instrument, text);
        sl__write_text(text, "\"action\":\"update\",\"data\":[{\"asks\":[");
        render_changes(text, delta->levels.asks, delta->levels.ask_count);
        sl__write_text(text, "],\"bids\":[");
        render_changes(text, delta->levels.bids, delta->levels.bid_count);
        render_ids(host, sl_truth_look(host->truth, wish->instrument).book, change->event.venue_time_ns,
                   delta->previous_id, delta->last_id, text);
    } else if (wish->feed == SL_FEED_BEST && !trade && change->top) {
        render_best(host, &change->event, text);
    } else {
        return false;
    }
    return true;
}

static void render_snapshot(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text)
{
    sl_truth_state state = sl_truth_look(host->truth, wish->instrument);
    render_arg(SL_FEED_DEPTH, wish->instrument, text);
    sl__write_text(text, "\"action\":\"snapshot\",\"data\":[{\"asks\":[");
    render_side(text, state.book, SL_SIDE_SELL, LEVELS);
    sl__write_text(text, "],\"bids\":[");
    render_side(text, state.book, SL_SIDE_BUY, LEVELS);
    render_ids(host, state.book, host->now_ns, -1, state.book_id, text);
}

static bool leave(const struct sl_dialect_host *host, struct sl_render *text)
{
    (void)host;
    sl__write_text(
        text, "{\"event\":\"notice\",\"code\":\"64008\",\"msg\":\"The connection will soon be closed for a service "
              "upgrade. Please reconnect.\",\"connId\":\"a4d3ae55\"}");
    return true;
}

static bool notice(const struct sl_dialect_host *host, struct sl_render *text)
{
    (void)host;
    sl__write_text(text, "{\"event\":\"channel-conn-count\",\"channel\":\"books\",\"connCount\":\"2\","
                         "\"connId\":\"a4d3ae55\"}");
    return true;
}

static void too_many(struct sl_render *text)
{
    sl__write_text(text, "{\"event\":\"error\",\"code\":\"60014\",\"msg\":\"Requests too frequent\","
                         "\"connId\":\"a4d3ae55\"}");
}

/* ---- REST ---- */

static struct sl_rest_reply answer_instruments(const struct sl_dialect_host *host, struct sl_render *text)
{
    bool first = true;
    sl__write_text(text, "{\"code\":\"0\",\"msg\":\"\",\"data\":[");
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue == SL_VENUE_OKX && one->status != SL_STATUS_DELISTED) {
            sl__write_format(
                text,
                "%s{\"instType\":\"SPOT\",\"instId\":\"%s\",\"baseCcy\":\"%s\",\"quoteCcy\":\"%s\","
                "\"settleCcy\":\"\",\"ctVal\":\"\",\"expTime\":\"\",\"tickSz\":\"0.01\",\"lotSz\":\"0.0001\","
                "\"state\":\"%s\"}",
                first ? "" : ",", one->symbol, one->base, one->quote,
                one->status == SL_STATUS_HALTED ? "suspend" : "live");
            first = false;
        }
    }
    sl__write_text(text, "]}");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

static struct sl_rest_reply rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text)
{
    if (strcmp(question->path, "/api/v5/public/instruments") == 0) {
        return answer_instruments(host, text);
    }
    return sl__okx_quotes(host, question, text);
}

static void limited(struct sl_render *text)
{
    sl__write_text(text, "{\"code\":\"50011\",\"msg\":\"Too Many Requests\",\"data\":[]}");
}

const sl_dialect sl__dialect_okx = {.venue = SL_VENUE_OKX,
                                    .levels = 100,
                                    .renumbers = true,
                                    .messages = 480,
                                    .message_bytes = 65536,
                                    .connects = 3,
                                    .connects_ns = INT64_C(1000000000),
                                    .messages_ns = INT64_C(3600000000000),
                                    .snapshot_first = true,
                                    .define = define,
                                    .open = open_path,
                                    .hear = hear,
                                    .change = render_change,
                                    .candle = render_candle,
                                    .snapshot = render_snapshot,
                                    .leave = leave,
                                    .notice = notice,
                                    .too_many = too_many,
                                    .rest = rest,
                                    .limited = limited};
