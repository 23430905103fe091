/* SPDX-License-Identifier: MIT */
/* Bybit v5, from its side. Source: bybit-exchange.github.io/docs/v5. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/dialect.h"
#include "exchange/quotes.h"

#define MS(ns) ((ns) / 1000000)
#define DEPTH 50
#define SPOT_ARGS_MAX 10

static const char *category(const struct sl_dialect_host *host)
{
    switch (host->dialect->venue) {
    case SL_VENUE_BYBIT_LINEAR:
        return "linear";
    case SL_VENUE_BYBIT_INVERSE:
        return "inverse";
    default:
        return "spot";
    }
}

static void define(const char *base, const char *quote, sl_instrument *instrument)
{
    bool inverse = instrument->venue == SL_VENUE_BYBIT_INVERSE;
    const char *money = inverse ? "USD" : quote;
    (void)snprintf(instrument->symbol, sizeof instrument->symbol, "%s%s", base, money);
    (void)snprintf(instrument->quote, sizeof instrument->quote, "%s", money);
    if (instrument->venue != SL_VENUE_BYBIT_SPOT) {
        instrument->type = SL_INSTRUMENT_PERPETUAL;
        (void)snprintf(instrument->settle, sizeof instrument->settle, "%s", inverse ? base : money);
    }
}

static const struct sl_candle_length lengths[] = {
    {"1", 60},      {"3", 180},     {"5", 300},     {"15", 900},  {"30", 1800},  {"60", 3600}, {"120", 7200},
    {"240", 14400}, {"360", 21600}, {"720", 43200}, {"D", 86400}, {"W", 604800}, {NULL, 0}};

static bool open_path(const struct sl_dialect_host *host, struct sl_venue_client *client,
                      const struct sl_rest_question *target)
{
    (void)client;
    char path[40];
    (void)snprintf(path, sizeof path, "/v5/public/%s", category(host));
    return strcmp(target->path, path) == 0;
}

/* ---- subscribing ---- */

/* "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT" */
static bool parse_topic(const struct sl_dialect_host *host, sl_json_text topic, struct sl_wish *wish)
{
    const char *dot = memchr(topic.data, '.', topic.size_bytes);
    if (dot == NULL || topic.size_bytes >= sizeof wish->name) {
        return false;
    }
    size_t kind = (size_t)(dot - topic.data);
    const char *symbol = dot + 1;
    size_t rest = topic.size_bytes - kind - 1;
    *wish = (struct sl_wish){.depth = 0};
    memcpy(wish->name, topic.data, topic.size_bytes);
    if (kind == 9 && memcmp(topic.data, "orderbook", 9) == 0) {
        const char *next = memchr(symbol, '.', rest);
        int64_t depth = 0;
        if (next == NULL || sl_json_text_int64((sl_json_text){symbol, (size_t)(next - symbol)}, &depth) < 0 ||
            (depth != 1 && depth != 50 && depth != 200 && depth != 1000)) {
            return false;
        }
        rest -= (size_t)(next + 1 - symbol);
        symbol = next + 1;
        wish->feed = depth == 1 ? SL_FEED_BEST : SL_FEED_DEPTH;
        wish->depth = (uint32_t)depth;
    } else if (kind == 11 && memcmp(topic.data, "publicTrade", 11) == 0) {
        wish->feed = SL_FEED_TRADES;
    } else if (kind == 5 && memcmp(topic.data, "kline", 5) == 0) {
        const char *next = memchr(symbol, '.', rest);
        size_t name = next == NULL ? 0 : (size_t)(next - symbol);
        wish->interval_ns = sl__length_of(lengths, symbol, name);
        wish->feed = wish->interval_ns == 0 ? SL_FEED_NONE : SL_FEED_CANDLES;
        rest -= next == NULL ? 0 : name + 1;
        symbol = next == NULL ? symbol : next + 1;
    } else if (kind == 7 && memcmp(topic.data, "tickers", 7) == 0) {
        wish->feed = SL_FEED_TICKER;
    }
    wish->instrument = sl_instruments_find(host->instruments, host->dialect->venue, symbol, rest);
    return wish->feed != SL_FEED_NONE && wish->instrument != NULL && wish->instrument->status != SL_STATUS_DELISTED;
}

struct question {
    char op[16];
    char id[64];
    size_t topics;
    bool bad; /* one of the topics is none */
};

static bool read_question(const struct sl_dialect_host *host, const char *text, size_t size_bytes,
                          struct question *question)
{
    sl_json *json = host->json;
    sl_json_text key, value;
    if (sl_json_open(json, text, size_bytes, 0) < 0 || sl_json_enter_object(json) < 0) {
        return false;
    }
    while (sl_json_next_field(json, &key) > 0) {
        if (sl_json_is(key, "op") && sl_json_get_string(json, &value) == 0) {
            (void)snprintf(question->op, sizeof question->op, "%.*s", (int)value.size_bytes, value.data);
        } else if (sl_json_is(key, "req_id") && sl_json_get_string(json, &value) == 0) {
            (void)snprintf(question->id, sizeof question->id, "%.*s", (int)value.size_bytes, value.data);
        } else if (sl_json_is(key, "args") && sl_json_enter_array(json) == 0) {
            struct sl_wish wish;
            while (sl_json_next_string(json, &value) > 0) {
                question->topics++;
                question->bad = question->bad || !parse_topic(host, value, &wish);
            }
        }
    }
    return true;
}

/* All topics of a question or, if one of them is wrong, none. */
static void hear(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes)
{
    struct question question = {0};
    bool read = read_question(host, text, size_bytes, &question);
    bool ping = strcmp(question.op, "ping") == 0, off = strcmp(question.op, "unsubscribe") == 0;
    bool too_many = host->dialect->venue == SL_VENUE_BYBIT_SPOT && question.topics > SPOT_ARGS_MAX;
    bool good =
        read &&
        (ping || ((off || strcmp(question.op, "subscribe") == 0) && question.topics > 0 && !question.bad && !too_many));
    bool refused = good && !ping && host->refuse;
    const char *said = ping       ? "pong"
                       : refused  ? "Internal error"
                       : good     ? ""
                       : too_many ? "args size >10"
                                  : "error:handler not found";
    good = good && !refused;
    struct sl_render answer = {0};
    sl__write_format(&answer,
                     "{\"success\":%s,\"ret_msg\":\"%s\",\"conn_id\":\"2324d924\",\"req_id\":\"%s\",\"op\":\"%s\"}",
                     good ? "true" : "false", said, question.id, question.op);
    host->say(client, &answer);
    sl__write_done(&answer);
    sl_json_text topic;
    if (!good || ping || sl_json_open(host->json, text, size_bytes, 0) < 0 || sl_json_enter_object(host->json) < 0 ||
        sl_json_find_field(host->json, "args") < 0 || sl_json_enter_array(host->json) < 0) {
        return;
    }
    while (sl_json_next_string(host->json, &topic) > 0) {
        struct sl_wish wish;
        if (parse_topic(host, topic, &wish)) {
            (void)host->wish(client, &wish, off);
        }
    }
}

/* ---- messages ---- */

static void render_trade(const struct sl_wish *wish, const sl_market_event *event, struct sl_render *text)
{
    const sl_trade *trade = &event->as.trade;
    char id[SL_TRADE_ID_MAX];
    (void)sl_trade_id_format(trade, id);
    sl__write_format(text,
                     "{\"topic\":\"%s\",\"type\":\"snapshot\",\"ts\":%" PRId64 ",\"data\":[{\"T\":%" PRId64
                     ",\"s\":\"%s\",\"S\":\"%s\",\"v\":\"",
                     wish->name, MS(event->sent_time_ns), MS(event->venue_time_ns), wish->instrument->symbol,
                     trade->taker == SL_SIDE_BUY ? "Buy" : "Sell");
    sl__write_decimal(text, trade->quantity);
    sl__write_text(text, "\",\"p\":\"");
    sl__write_decimal(text, trade->price);
    sl__write_format(text, "\",\"L\":\"PlusTick\",\"i\":\"%s\",\"BT\":false}]}", id);
}

static void render_candle(const struct sl_dialect_host *host, const struct sl_wish *wish,
                          const struct sl_simulated_candle *candle, enum sl_candle_word word, struct sl_render *text)
{
    sl__write_format(text, "{\"topic\":\"%s\",\"data\":[{\"start\":%" PRId64 ",\"end\":%" PRId64 ",\"interval\":\"%s\"",
                     wish->name, MS(candle->open_ns), MS(candle->open_ns + candle->interval_ns) - 1,
                     sl__length_name(lengths, candle->interval_ns));
    sl__write_between(text, ",\"open\":\"", candle->open, "\"");
    sl__write_between(text, ",\"close\":\"", candle->close, "\"");
    sl__write_between(text, ",\"high\":\"", candle->high, "\"");
    sl__write_between(text, ",\"low\":\"", candle->low, "\"");
    sl__write_between(text, ",\"volume\":\"", candle->volume, "\"");
    sl__write_format(text,
                     ",\"turnover\":\"0\",\"confirm\":%s,\"timestamp\":%" PRId64 "}],\"ts\":%" PRId64
                     ",\"type\":\"snapshot\"}",
                     word == SL_CANDLE_CLOSED ? "true" : "false", MS(host->now_ns), MS(host->now_ns));
}

static void render_ids(int64_t time_ns, int64_t id, struct sl_render *text)
{
    sl__write_format(text, ",\"u\":%" PRId64 ",\"seq\":%" PRId64 "},\"cts\":%" PRId64 "}", id, id * 7, MS(time_ns));
}

static void render_head(const struct sl_wish *wish, const char *type, int64_t time_ns, struct sl_render *text)
{
    sl__write_format(text,
                     "{\"topic\":\"%s\",\"type\":\"%s\",\"ts\":%" PRId64 ",\"data\":{\"s\":\"%s\",\"b\":", wish->name,
                     type, MS(time_ns), wish->instrument->symbol);
}

static void render_ticker(const struct sl_dialect_host *host, const struct sl_wish *wish, int64_t time_ns,
                          struct sl_render *text)
{
    sl_best best = sl_truth_best(host->truth, wish->instrument);
    const char *const keys[] = {"bid1Price", "bid1Size", "ask1Price", "ask1Size"};
    const sl_decimal values[] = {best.bid.price, best.bid.quantity, best.ask.price, best.ask.quantity};
    sl__write_format(text,
                     "{\"topic\":\"%s\",\"type\":\"snapshot\",\"ts\":%" PRId64 ",\"cs\":%" PRId64
                     ",\"data\":{\"symbol\":\"%s\"",
                     wish->name, MS(time_ns), best.update_id, wish->instrument->symbol);
    for (size_t at = 0; at < 4; at++) {
        sl__write_format(text, ",\"%s\":\"", keys[at]);
        sl__write_decimal(text, values[at]);
        sl__write_text(text, "\"");
    }
    sl__write_text(
        text, ",\"lastPrice\":\"1.00\",\"highPrice24h\":\"1.00\",\"lowPrice24h\":\"1.00\",\"prevPrice24h\":\"1.00\","
              "\"volume24h\":\"1\",\"turnover24h\":\"1\"}}");
}

/* The book as it is, to a depth: what a stream begins with, and all that the stream of depth 1 sends. */
static void render_whole(const struct sl_dialect_host *host, const struct sl_wish *wish, size_t depth,
                         struct sl_render *text)
{
    sl_truth_state state = sl_truth_look(host->truth, wish->instrument);
    render_head(wish, "snapshot", host->now_ns, text);
    sl__write_side(text, state.book, SL_SIDE_BUY, depth);
    sl__write_text(text, ",\"a\":");
    sl__write_side(text, state.book, SL_SIDE_SELL, depth);
    render_ids(host->now_ns, state.book_id, text);
}

static void render_snapshot(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text)
{
    render_whole(host, wish, DEPTH, text);
}

static bool render_change(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                          struct sl_render *text)
{
    bool trade = change->event.kind == SL_EVENT_TRADE;
    int64_t time_ns = change->event.venue_time_ns;
    const sl_levels *levels = &change->event.as.delta.levels;
    if (wish->feed == SL_FEED_TRADES && trade) {
        render_trade(wish, &change->event, text);
    } else if (wish->feed == SL_FEED_DEPTH && !trade &&
               sl_truth_look(host->truth, wish->instrument).first_of_numbering) {
        render_whole(host, wish, DEPTH, text); /* the service has restarted: u is 1, and all is told */
    } else if (wish->feed == SL_FEED_DEPTH && !trade) {
        render_head(wish, "delta", time_ns, text);
        sl__write_changes(text, levels->bids, levels->bid_count);
        sl__write_text(text, ",\"a\":");
        sl__write_changes(text, levels->asks, levels->ask_count);
        render_ids(time_ns, change->event.as.delta.last_id + (host->bad_link ? 1000 : 0), text);
    } else if (wish->feed == SL_FEED_BEST && !trade && change->top) {
        render_whole(host, wish, 1, text);
    } else if (wish->feed == SL_FEED_TICKER && !trade && change->top) {
        render_ticker(host, wish, time_ns, text);
    } else {
        return false;
    }
    return true;
}

/* ---- REST ---- */

static struct sl_rest_reply answer_instruments(const struct sl_dialect_host *host, const char *query,
                                               struct sl_render *text)
{
    char wanted[16];
    (void)sl__query_text(query, "category", wanted, sizeof wanted);
    if (strcmp(wanted, category(host)) != 0) {
        return (struct sl_rest_reply){0};
    }
    size_t limit = (size_t)sl__query_number(query, "limit", 500);
    size_t at = (size_t)sl__query_number(query, "cursor", 0), count = 0;
    bool pages = host->dialect->venue != SL_VENUE_BYBIT_SPOT;
    sl__write_format(text, "{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{\"category\":\"%s\",\"list\":[", wanted);
    for (; at < sl_instruments_count(host->instruments) && (!pages || count < limit); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue != host->dialect->venue || one->status == SL_STATUS_DELISTED) {
            continue;
        }
        sl__write_format(text, "%s{\"symbol\":\"%s\",\"baseCoin\":\"%s\",\"quoteCoin\":\"%s\",\"status\":\"%s\",",
                         count == 0 ? "" : ",", one->symbol, one->base, one->quote,
                         one->status == SL_STATUS_HALTED ? "PreLaunch" : "Trading");
        if (pages) {
            sl__write_format(text, "\"contractType\":\"%sPerpetual\",\"settleCoin\":\"%s\",\"deliveryTime\":\"0\",",
                             host->dialect->venue == SL_VENUE_BYBIT_LINEAR ? "Linear" : "Inverse", one->settle);
        }
        sl__write_format(text, "\"priceFilter\":{\"tickSize\":\"0.01\"},\"lotSizeFilter\":{\"%s\":\"0.0001\"}}",
                         pages ? "qtyStep" : "basePrecision");
        count++;
    }
    bool more = pages && at < sl_instruments_count(host->instruments);
    char cursor[24] = "";
    if (more) {
        (void)snprintf(cursor, sizeof cursor, "%zu", at);
    }
    sl__write_format(text, "],\"nextPageCursor\":\"%s\"},\"time\":%" PRId64 "}", cursor, MS(host->now_ns));
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

static struct sl_rest_reply rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text)
{
    if (strcmp(question->path, "/v5/market/instruments-info") == 0) {
        return answer_instruments(host, question->query, text);
    }
    return sl__bybit_quotes(host, category(host), question, text);
}

static void limited(struct sl_render *text)
{
    sl__write_text(text, "{\"retCode\":10006,\"retMsg\":\"Too many visits!\",\"result\":{},\"time\":1672738134824}");
}

static void too_many(struct sl_render *text)
{
    sl__write_text(text, "{\"success\":false,\"ret_msg\":\"too many requests\",\"conn_id\":\"2324d924\","
                         "\"req_id\":\"\",\"op\":\"subscribe\"}");
}

#define BYBIT(which, with_uuids)                                                                                       \
    {                                                                                                                  \
        .venue = (which), .levels = DEPTH, .consecutive = true, .renumbers = true, .uuids = (with_uuids),              \
        .names_bytes = 21000, .connects = 500, .connects_ns = INT64_C(300000000000), .snapshot_first = true,           \
        .define = define, .too_many = too_many, .open = open_path, .hear = hear, .change = render_change,              \
        .candle = render_candle, .snapshot = render_snapshot, .rest = rest, .limited = limited                         \
    }

const sl_dialect sl__dialect_bybit_spot = BYBIT(SL_VENUE_BYBIT_SPOT, false);
const sl_dialect sl__dialect_bybit_linear = BYBIT(SL_VENUE_BYBIT_LINEAR, true);
const sl_dialect sl__dialect_bybit_inverse = BYBIT(SL_VENUE_BYBIT_INVERSE, true);
