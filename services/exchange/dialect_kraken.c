/* SPDX-License-Identifier: MIT */
/* Kraken's WebSocket v2 and REST, from its side. Source: docs.kraken.com. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "exchange/dialect.h"

#define HEARTBEAT_NS INT64_C(1000000000)
#define DEPTH 10
#define MINUTE INT64_C(60000000000)
#define CHECKSUM_LEVELS 10

static void define(const char *base, const char *quote, sl_instrument *instrument)
{
    (void)snprintf(instrument->symbol, sizeof instrument->symbol, "%s/%s", base, quote);
}

static bool open_path(const struct sl_dialect_host *host, struct sl_venue_client *client,
                      const struct sl_rest_question *target)
{
    (void)target->query;
    if (strcmp(target->path, "/v2") != 0) {
        return false;
    }
    struct sl_render text = {0};
    sl__write_text(&text, "{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"version\":\"2.0.9\",\"system\":"
                          "\"online\",\"api_version\":\"v2\",\"connection_id\":12393906104898154338}]}");
    host->say(client, &text);
    sl__write_done(&text);
    return true;
}

/* ---- the checksum ---- */

/* A number's digits without the point and without zeros in front. */
static uint32_t add_number(uint32_t crc, sl_decimal number)
{
    char text[SL_DECIMAL_TEXT_MAX], digits[SL_DECIMAL_TEXT_MAX];
    size_t count = 0, size_bytes = sl_decimal_format(number, SL_DECIMAL_SCALED, text);
    for (size_t at = 0; at < size_bytes; at++) {
        if (text[at] != '.' && (count > 0 || text[at] != '0')) {
            digits[count++] = text[at];
        }
    }
    return (uint32_t)crc32(crc, (const unsigned char *)digits, (unsigned)count);
}

static uint32_t add_side(uint32_t crc, const sl_book *book, sl_side side)
{
    sl_book_cursor cursor = sl_book_first(book, side);
    const sl_level *level = NULL;
    for (int at = 0; at < CHECKSUM_LEVELS && (level = sl_book_next(&cursor)) != NULL; at++) {
        crc = add_number(add_number(crc, level->price), level->quantity);
    }
    return crc;
}

static uint32_t checksum(const struct sl_dialect_host *host, const sl_book *book)
{
    uint32_t sum = add_side(add_side((uint32_t)crc32(0, NULL, 0), book, SL_SIDE_SELL), book, SL_SIDE_BUY);
    return host->bad_link ? ~sum : sum;
}

/* ---- subscribing ---- */

struct question {
    bool off;
    int64_t id;
    bool has_id;
    sl_feed feed;
    int64_t depth;
    int64_t minutes; /* of candles */
    char channel[32];
};

static const struct {
    const char *name;
    sl_feed feed;
} channels[] = {
    {"trade", SL_FEED_TRADES}, {"book", SL_FEED_DEPTH}, {"ticker", SL_FEED_BEST}, {"ohlc", SL_FEED_CANDLES}};

static bool is_length(int64_t minutes)
{
    static const int64_t lengths[] = {1, 5, 15, 30, 60, 240, 1440, 10080, 21600};
    size_t at = 0;
    while (at < sizeof lengths / sizeof *lengths && lengths[at] != minutes) {
        at++;
    }
    return at < sizeof lengths / sizeof *lengths;
}

static void read_params(sl_json *json, struct question *question)
{
    sl_json_text key, text;
    while (sl_json_next_field(json, &key) > 0) {
        if (sl_json_is(key, "channel") && sl_json_get_string(json, &text) == 0) {
            (void)snprintf(question->channel, sizeof question->channel, "%.*s", (int)text.size_bytes, text.data);
        } else if (sl_json_is(key, "depth")) {
            (void)!sl_json_get_int64(json, &question->depth);
        } else if (sl_json_is(key, "interval")) {
            (void)!sl_json_get_int64(json, &question->minutes);
        }
    }
}

static bool read_question(sl_json *json, const char *text, size_t size_bytes, struct question *question, bool *ret_ping)
{
    sl_json_text key, method = {"", 0};
    if (sl_json_open(json, text, size_bytes, 0) < 0 || sl_json_enter_object(json) < 0) {
        return false;
    }
    while (sl_json_next_field(json, &key) > 0) {
        if (sl_json_is(key, "method")) {
            (void)!sl_json_get_string(json, &method);
        } else if (sl_json_is(key, "req_id")) {
            question->has_id = sl_json_get_int64(json, &question->id) == 0;
        } else if (sl_json_is(key, "params") && sl_json_enter_object(json) == 0) {
            read_params(json, question);
        }
    }
    *ret_ping = sl_json_is(method, "ping");
    question->off = sl_json_is(method, "unsubscribe");
    for (size_t at = 0; at < sizeof channels / sizeof *channels; at++) {
        if (strcmp(question->channel, channels[at].name) == 0) {
            question->feed = channels[at].feed;
        }
    }
    return *ret_ping || question->off || sl_json_is(method, "subscribe");
}

static void render_id(const struct question *question, struct sl_render *text)
{
    if (question->has_id) {
        sl__write_format(text, ",\"req_id\":%" PRId64, question->id);
    }
    sl__write_text(text, ",\"time_in\":\"2024-01-01T00:00:00.000000Z\",\"time_out\":\"2024-01-01T00:00:00.000001Z\"}");
}

/* One connection has one length of a symbol's candles. */
static bool has_other_length(const struct sl_dialect_host *host, const struct sl_venue_client *client,
                             const struct question *question, const sl_instrument *instrument)
{
    const struct sl_wish *wish = NULL;
    while (question->feed == SL_FEED_CANDLES && (wish = host->wished(client, wish)) != NULL) {
        if (wish->feed == SL_FEED_CANDLES && wish->instrument == instrument &&
            wish->interval_ns != question->minutes * MINUTE) {
            return true;
        }
    }
    return false;
}

/* One answer a symbol. */
static void answer_one(const struct sl_dialect_host *host, struct sl_venue_client *client,
                       const struct question *question, sl_json_text symbol)
{
    const char *method = question->off ? "unsubscribe" : "subscribe";
    const sl_instrument *found =
        sl_instruments_find(host->instruments, SL_VENUE_KRAKEN, symbol.data, symbol.size_bytes);
    struct sl_render text = {0};
    bool known = found != NULL && found->status != SL_STATUS_DELISTED && question->feed != SL_FEED_NONE;
    known = known && (question->feed != SL_FEED_CANDLES || is_length(question->minutes));
    bool other = known && !question->off && has_other_length(host, client, question, found);
    bool refused = known && host->refuse;
    known = known && !refused && !other;
    if (other) {
        sl__write_format(&text,
                         "{\"error\":\"Already subscribed to one ohlc interval on this symbol\",\"method\":\"%s\","
                         "\"success\":false,\"symbol\":\"%s\"",
                         method, found->symbol);
    } else if (refused) {
        sl__write_format(&text,
                         "{\"error\":\"Subscription temporarily unavailable\",\"method\":\"%s\",\"success\":false,"
                         "\"symbol\":\"%s\"",
                         method, found->symbol);
    } else if (!known) {
        sl__write_format(&text, "{\"error\":\"%s\",\"method\":\"%s\",\"success\":false,\"symbol\":\"%.*s\"",
                         found == NULL ? "Currency pair not supported" : "Channel not supported", method,
                         (int)(symbol.size_bytes < 40 ? symbol.size_bytes : 40), symbol.data);
    } else {
        sl__write_format(&text, "{\"method\":\"%s\",\"result\":{\"channel\":\"%s\",", method, question->channel);
        if (question->feed == SL_FEED_DEPTH) {
            sl__write_format(&text, "\"depth\":%" PRId64 ",", question->depth);
        } else if (question->feed == SL_FEED_CANDLES) {
            sl__write_format(&text, "\"interval\":%" PRId64 ",", question->minutes);
        }
        sl__write_format(&text, "\"snapshot\":true,\"symbol\":\"%s\"},\"success\":true", found->symbol);
    }
    render_id(question, &text);
    host->say(client, &text);
    sl__write_done(&text);
    if (known) {
        struct sl_wish wish = {.feed = question->feed, .instrument = found, .depth = (uint32_t)question->depth};
        wish.interval_ns = question->feed == SL_FEED_CANDLES ? question->minutes * MINUTE : 0;
        (void)host->wish(client, &wish, question->off);
    }
}

static size_t count_symbols(sl_json *json, const char *text, size_t size_bytes)
{
    sl_json_text symbol;
    size_t count = 0;
    if (sl_json_open(json, text, size_bytes, 0) == 0 && sl_json_enter_object(json) == 0 &&
        sl_json_find_field(json, "params") == 0 && sl_json_enter_object(json) == 0 &&
        sl_json_find_field(json, "symbol") == 0 && sl_json_enter_array(json) == 0) {
        while (sl_json_next_string(json, &symbol) > 0) {
            count++;
        }
    }
    return count;
}

static void too_many(struct sl_render *text)
{
    sl__write_text(text, "{\"Error\":\"Exceeded msg rate\"}");
}

static void say_too_many(const struct sl_dialect_host *host, struct sl_venue_client *client)
{
    struct sl_render text = {0};
    too_many(&text);
    host->say(client, &text);
    sl__write_done(&text);
}

static void hear(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes)
{
    struct question question = {.depth = DEPTH, .minutes = 1};
    bool ping = false;
    if (!read_question(host->json, text, size_bytes, &question, &ping) || ping) {
        struct sl_render answer = {0};
        sl__write_text(&answer, ping ? "{\"method\":\"pong\"" : "{\"error\":\"Malformed request\",\"success\":false");
        render_id(&question, &answer);
        host->say(client, &answer);
        sl__write_done(&answer);
        return;
    }
    sl_json_text symbol;
    size_t symbols = host->limit ? count_symbols(host->json, text, size_bytes) : 0, done = 0;
    if (sl_json_open(host->json, text, size_bytes, 0) == 0 && sl_json_enter_object(host->json) == 0 &&
        sl_json_find_field(host->json, "params") == 0 && sl_json_enter_object(host->json) == 0 &&
        sl_json_find_field(host->json, "symbol") == 0 && sl_json_enter_array(host->json) == 0) {
        while (sl_json_next_string(host->json, &symbol) > 0) {
            if (host->limit && done++ >= symbols * 3 / 5) {
                say_too_many(host, client); /* 15 of 25 are answered; for the others this, which names none of them */
            } else {
                answer_one(host, client, &question, symbol);
            }
        }
    }
}

/* ---- messages ---- */

static void render_level(struct sl_render *text, const sl_level *level, bool first)
{
    sl__write_text(text, first ? "{\"price\":" : ",{\"price\":");
    sl__write_decimal(text, level->price);
    sl__write_text(text, ",\"qty\":");
    sl__write_decimal(text, level->quantity);
    sl__write_text(text, "}");
}

static void render_book(const struct sl_dialect_host *host, const sl_instrument *instrument, const sl_levels *levels,
                        int64_t time_ns, struct sl_render *text)
{
    sl_truth_state state = sl_truth_look(host->truth, instrument);
    sl__write_format(text, "{\"channel\":\"book\",\"type\":\"%s\",\"data\":[{\"symbol\":\"%s\",\"bids\":[",
                     levels == NULL ? "snapshot" : "update", instrument->symbol);
    for (int side = SL_SIDE_BUY; side <= SL_SIDE_SELL; side++) {
        const sl_level *level = NULL;
        size_t count = 0;
        if (levels == NULL) {
            sl_book_cursor cursor = sl_book_first(state.book, (sl_side)side);
            while ((level = sl_book_next(&cursor)) != NULL) {
                render_level(text, level, count++ == 0);
            }
        } else {
            const sl_level *all = side == SL_SIDE_BUY ? levels->bids : levels->asks;
            for (; count < (side == SL_SIDE_BUY ? levels->bid_count : levels->ask_count); count++) {
                render_level(text, &all[count], count == 0);
            }
        }
        sl__write_text(text, side == SL_SIDE_BUY ? "],\"asks\":[" : "]");
    }
    sl__write_format(text, ",\"checksum\":%" PRIu32 ",\"timestamp\":\"", checksum(host, state.book));
    sl__write_time(text, time_ns);
    sl__write_text(text, "\"}]}");
}

static void render_trade(const sl_market_event *event, struct sl_render *text)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(
        text, "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"%s\",\"side\":\"%s\",\"price\":",
        event->instrument->symbol, sl_side_name(trade->taker));
    sl__write_decimal(text, trade->price);
    sl__write_text(text, ",\"qty\":");
    sl__write_decimal(text, trade->quantity);
    sl__write_format(text, ",\"ord_type\":\"market\",\"trade_id\":%" PRId64 ",\"timestamp\":\"", trade->id);
    sl__write_time(text, event->venue_time_ns);
    sl__write_text(text, "\"}]}");
}

static void render_candle(const struct sl_dialect_host *host, const struct sl_wish *wish,
                          const struct sl_simulated_candle *candle, enum sl_candle_word word, struct sl_render *text)
{
    sl__write_format(text, "{\"channel\":\"ohlc\",\"type\":\"%s\",\"timestamp\":\"",
                     word == SL_CANDLE_FIRST ? "snapshot" : "update");
    sl__write_time(text, host->now_ns);
    sl__write_format(text, "\",\"data\":[{\"symbol\":\"%s\"", wish->instrument->symbol);
    sl__write_between(text, ",\"open\":", candle->open, "");
    sl__write_between(text, ",\"high\":", candle->high, "");
    sl__write_between(text, ",\"low\":", candle->low, "");
    sl__write_between(text, ",\"close\":", candle->close, "");
    sl__write_between(text, ",\"vwap\":", candle->close, "");
    sl__write_between(text, ",\"volume\":", candle->volume, "");
    sl__write_format(text, ",\"trades\":%" PRIu64 ",\"interval_begin\":\"", candle->trades);
    sl__write_time(text, candle->open_ns);
    sl__write_format(text, "\",\"interval\":%" PRId64 ",\"timestamp\":\"", candle->interval_ns / MINUTE);
    sl__write_time(text, candle->open_ns + candle->interval_ns);
    sl__write_text(text, "\"}]}");
}

static void render_ticker(const struct sl_dialect_host *host, const sl_market_event *event, struct sl_render *text)
{
    sl_best best = sl_truth_best(host->truth, event->instrument);
    const char *const keys[] = {"bid", "bid_qty", "ask", "ask_qty"};
    const sl_decimal values[] = {best.bid.price, best.bid.quantity, best.ask.price, best.ask.quantity};
    sl__write_format(text, "{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\"%s\"",
                     event->instrument->symbol);
    for (size_t at = 0; at < 4; at++) {
        sl__write_format(text, ",\"%s\":", keys[at]);
        sl__write_decimal(text, values[at]);
    }
    sl__write_text(text, ",\"last\":1.00,\"volume\":1.0,\"vwap\":1.0,\"low\":1.0,\"high\":1.0,\"change\":0.0,"
                         "\"change_pct\":0.0}]}");
}

static bool render_change(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                          struct sl_render *text)
{
    bool trade = change->event.kind == SL_EVENT_TRADE;
    if (wish->feed == SL_FEED_TRADES && trade) {
        render_trade(&change->event, text);
    } else if (wish->feed == SL_FEED_DEPTH && !trade) {
        sl_levels levels = change->event.as.delta.levels;
        if (wish->depth <= DEPTH) { /* what only falls out of the depth is not told */
            levels.bid_count -= change->fallen_bids;
            levels.ask_count -= change->fallen_asks;
        }
        render_book(host, change->event.instrument, &levels, change->event.venue_time_ns, text);
    } else if (wish->feed == SL_FEED_BEST && !trade && change->top) {
        render_ticker(host, &change->event, text);
    } else {
        return false;
    }
    return true;
}

static void render_snapshot(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text)
{
    render_book(host, wish->instrument, NULL, host->now_ns, text);
}

static bool render_heartbeat(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text)
{
    (void)host;
    if (wish == NULL) {
        sl__write_text(text, "{\"channel\":\"heartbeat\"}");
    }
    return wish == NULL;
}

static bool notice(const struct sl_dialect_host *host, struct sl_render *text)
{
    (void)host;
    sl__write_text(text, "{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"version\":\"2.0.9\",\"system\":"
                         "\"post_only\",\"api_version\":\"v2\",\"connection_id\":12393906104898154338}]}");
    return true;
}

/* ---- REST ---- */

static struct sl_rest_reply answer_pairs(const struct sl_dialect_host *host, struct sl_render *text)
{
    bool first = true;
    sl__write_text(text, "{\"error\":[],\"result\":{");
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue == SL_VENUE_KRAKEN && one->status != SL_STATUS_DELISTED) {
            sl__write_format(text,
                             "%s\"%s%s\":{\"altname\":\"%s%s\",\"wsname\":\"%s\",\"base\":\"%s\",\"quote\":\"%s\","
                             "\"pair_decimals\":2,\"lot_decimals\":4,\"tick_size\":\"0.01\",\"status\":\"%s\"}",
                             first ? "" : ",", one->base, one->quote, one->base, one->quote, one->symbol, one->base,
                             one->quote, one->status == SL_STATUS_HALTED ? "maintenance" : "online");
            first = false;
        }
    }
    sl__write_text(text, "}}");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

static struct sl_rest_reply rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text)
{
    if (strcmp(question->path, "/0/public/AssetPairs") == 0) {
        return answer_pairs(host, text);
    }
    if (strncmp(question->path, "/0/public/", 10) == 0) {
        sl__write_text(text, "{\"error\":[\"EGeneral:Unknown method\"]}");
        return (struct sl_rest_reply){.status = 200, .weight = 1};
    }
    return (struct sl_rest_reply){0};
}

static void limited(struct sl_render *text)
{
    sl__write_text(text, "{\"error\":[\"EGeneral:Too many requests\"]}");
}

const sl_dialect sl__dialect_kraken = {.venue = SL_VENUE_KRAKEN,
                                       .levels = DEPTH,
                                       .snapshot_first = true,
                                       .heartbeat_ns = HEARTBEAT_NS,
                                       .define = define,
                                       .open = open_path,
                                       .hear = hear,
                                       .change = render_change,
                                       .candle = render_candle,
                                       .snapshot = render_snapshot,
                                       .heartbeat = render_heartbeat,
                                       .notice = notice,
                                       .parts_limited = true,
                                       .connects = 150,
                                       .connects_ns = 10 * MINUTE,
                                       .too_many = too_many,
                                       .rest = rest,
                                       .limited = limited};
