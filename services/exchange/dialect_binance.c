/* SPDX-License-Identifier: MIT */
/* Binance's spot, USD-M and COIN-M markets, from their side. Source: binance-spot-api-docs, developers.binance.com. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/dialect.h"
#include "exchange/quotes.h"

#define MS(ns) ((ns) / 1000000)
#define SECOND INT64_C(1000000000)

static bool futures(sl_venue venue)
{
    return venue != SL_VENUE_BINANCE_SPOT;
}

static void define(const char *base, const char *quote, sl_instrument *instrument)
{
    bool inverse = instrument->venue == SL_VENUE_BINANCE_COINM;
    const char *money = inverse ? "USD" : quote;
    (void)snprintf(instrument->symbol, sizeof instrument->symbol, "%s%s%s", base, money, inverse ? "_PERP" : "");
    (void)snprintf(instrument->quote, sizeof instrument->quote, "%s", money);
    if (futures(instrument->venue)) {
        instrument->type = SL_INSTRUMENT_PERPETUAL;
        (void)snprintf(instrument->settle, sizeof instrument->settle, "%s", inverse ? base : money);
    }
}

/* ---- streams ---- */

/* Months vary in length and are not offered here. */
static const struct sl_candle_length lengths[] = {{"1s", 1},     {"1m", 60},     {"3m", 180},    {"5m", 300},
                                                  {"15m", 900},  {"30m", 1800},  {"1h", 3600},   {"2h", 7200},
                                                  {"4h", 14400}, {"6h", 21600},  {"8h", 28800},  {"12h", 43200},
                                                  {"1d", 86400}, {"3d", 259200}, {"1w", 604800}, {NULL, 0}};

/* "btcusdt@depth@100ms": what it is. */
static bool parse_stream(const struct sl_dialect_host *host, const char *name, size_t size_bytes, struct sl_wish *wish)
{
    static const struct {
        const char *name;
        sl_feed feed;
    } kinds[] = {{"trade", SL_FEED_TRADES},      {"aggTrade", SL_FEED_AGG_TRADES}, {"bookTicker", SL_FEED_BEST},
                 {"depth", SL_FEED_DEPTH},       {"depth@0ms", SL_FEED_DEPTH},     {"depth@100ms", SL_FEED_DEPTH},
                 {"depth@250ms", SL_FEED_DEPTH}, {"depth@500ms", SL_FEED_DEPTH},   {"depth@1000ms", SL_FEED_DEPTH}};
    const char *at = memchr(name, '@', size_bytes);
    if (at == NULL || size_bytes >= sizeof wish->name) {
        return false;
    }
    size_t symbol = (size_t)(at - name), rest = size_bytes - symbol - 1;
    *wish = (struct sl_wish){.instrument = sl__find_symbol(host->instruments, host->dialect->venue, name, symbol)};
    memcpy(wish->name, name, size_bytes);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].name) == rest && memcmp(kinds[i].name, at + 1, rest) == 0) {
            wish->feed = kinds[i].feed;
        }
    }
    if (rest > 6 && memcmp(at + 1, "kline_", 6) == 0) {
        wish->interval_ns = sl__length_of(lengths, at + 7, rest - 6);
        bool has = wish->interval_ns != 0 && (wish->interval_ns != SECOND || !futures(host->dialect->venue));
        wish->feed = has ? SL_FEED_CANDLES : SL_FEED_NONE;
    }
    return wish->feed != SL_FEED_NONE && wish->instrument != NULL;
}

/* USD-M has routes: "/market" carries only aggTrade and klines of what is offered here, "/public" the rest. */
static bool routed(const struct sl_dialect_host *host, const char *path, sl_feed feed)
{
    bool market = strncmp(path, "/market/", 8) == 0;
    return host->dialect->venue != SL_VENUE_BINANCE_USDM ||
           market == (feed == SL_FEED_AGG_TRADES || feed == SL_FEED_CANDLES);
}

static bool open_path(const struct sl_dialect_host *host, struct sl_venue_client *client,
                      const struct sl_rest_question *target)
{
    const char *path = target->path;
    bool usdm = host->dialect->venue == SL_VENUE_BINANCE_USDM;
    const char *last = strrchr(path, '/');
    if (last == NULL || (usdm && strncmp(path, "/public/", 8) != 0 && strncmp(path, "/market/", 8) != 0)) {
        return false;
    }
    char streams[8192];
    bool raw = strcmp(last, "/ws") == 0;
    if (!raw && strcmp(last, "/stream") != 0) {
        return false;
    }
    if (sl__query_text(target->query, "streams", streams, sizeof streams) == 0) {
        return true;
    }
    for (const char *at = streams; *at != '\0';) {
        size_t length = strcspn(at, "/");
        struct sl_wish wish;
        if (parse_stream(host, at, length, &wish) && routed(host, path, wish.feed)) {
            if (raw) {
                wish.name[0] = '\0';
            }
            (void)host->wish(client, &wish, false);
        } /* a stream that there is not never says anything, as in life */
        at += length;
        at += *at == '/';
    }
    return true;
}

/* The question's method and id, and whether it has parameters. */
static bool read_head(sl_json *json, const char *text, size_t size_bytes, sl_json_text *ret_method, int64_t *ret_id)
{
    sl_json_text key;
    bool params = false;
    if (sl_json_open(json, text, size_bytes, 0) < 0 || sl_json_enter_object(json) < 0) {
        return false;
    }
    while (sl_json_next_field(json, &key) > 0) {
        if (sl_json_is(key, "method")) {
            (void)!sl_json_get_string(json, ret_method);
        } else if (sl_json_is(key, "id")) {
            (void)!sl_json_get_int64(json, ret_id);
        }
        params = params || sl_json_is(key, "params");
    }
    return params;
}

/* {"method":"SUBSCRIBE","params":["a","b"],"id":1} */
static void hear(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes)
{
    sl_json_text method = {"", 0}, stream;
    int64_t id = 0;
    bool params = read_head(host->json, text, size_bytes, &method, &id);
    bool off = sl_json_is(method, "UNSUBSCRIBE");
    struct sl_render answer = {0};
    if (!params || (!off && !sl_json_is(method, "SUBSCRIBE"))) {
        sl__write_format(&answer, "{\"code\":2,\"msg\":\"Invalid request\",\"id\":%" PRId64 "}", id);
    } else if (host->refuse) {
        sl__write_format(&answer, "{\"code\":-1000,\"msg\":\"An unknown error occurred\",\"id\":%" PRId64 "}", id);
    } else {
        sl__write_format(&answer, "{\"result\":null,\"id\":%" PRId64 "}", id);
        if (sl_json_open(host->json, text, size_bytes, 0) == 0 && sl_json_enter_object(host->json) == 0 &&
            sl_json_find_field(host->json, "params") == 0 && sl_json_enter_array(host->json) == 0) {
            while (sl_json_next_string(host->json, &stream) > 0) {
                struct sl_wish wish;
                if (parse_stream(host, stream.data, stream.size_bytes, &wish) &&
                    routed(host, host->path(client), wish.feed)) {
                    (void)host->wish(client, &wish, off); /* on the wrong route nothing comes, and no error either */
                }
            }
        }
    }
    host->say(client, &answer);
    sl__write_done(&answer);
}

/* ---- messages ---- */

static void render_trade(sl_venue venue, const sl_market_event *event, bool aggregate, struct sl_render *text)
{
    const sl_trade *trade = &event->as.trade;
    bool maker_buys = trade->taker == SL_SIDE_SELL;
    sl__write_format(text, "{\"e\":\"%s\",\"E\":%" PRId64 ",", aggregate ? "aggTrade" : "trade",
                     MS(event->sent_time_ns));
    if (futures(venue) && !aggregate) {
        sl__write_format(text, "\"T\":%" PRId64 ",", MS(event->venue_time_ns));
    }
    sl__write_format(text, "\"s\":\"%s\",\"%s\":%" PRId64 ",\"p\":\"", event->instrument->symbol, aggregate ? "a" : "t",
                     trade->id);
    sl__write_decimal(text, trade->price);
    sl__write_text(text, "\",\"q\":\"");
    sl__write_decimal(text, trade->quantity);
    sl__write_text(text, "\"");
    if (aggregate) {
        sl__write_format(text, ",\"f\":%" PRId64 ",\"l\":%" PRId64, trade->id, trade->id);
    }
    if (!futures(venue) || aggregate) {
        sl__write_format(text, ",\"T\":%" PRId64, MS(event->venue_time_ns));
    } else {
        sl__write_text(text, ",\"X\":\"MARKET\"");
    }
    sl__write_format(text, ",\"m\":%s%s}", maker_buys ? "true" : "false", futures(venue) ? "" : ",\"M\":true");
}

/* With `spoil` it does not follow the one before it; what it holds is true. */
static void render_delta(sl_venue venue, const sl_market_event *event, bool spoil, struct sl_render *text)
{
    sl_book_delta delta = event->as.delta;
    delta.first_id = spoil ? delta.last_id : delta.first_id;
    delta.previous_id += spoil ? 3 : 0;
    sl__write_format(text, "{\"e\":\"depthUpdate\",\"E\":%" PRId64 ",", MS(event->sent_time_ns));
    if (futures(venue)) {
        sl__write_format(text, "\"T\":%" PRId64 ",", MS(event->venue_time_ns));
    }
    sl__write_format(text, "\"s\":\"%s\",", event->instrument->symbol);
    if (venue == SL_VENUE_BINANCE_COINM) {
        sl__write_format(text, "\"ps\":\"%s%s\",", event->instrument->base, event->instrument->quote);
    }
    sl__write_format(text, "\"U\":%" PRId64 ",\"u\":%" PRId64 ",", delta.first_id, delta.last_id);
    if (futures(venue)) {
        sl__write_format(text, "\"pu\":%" PRId64 ",", delta.previous_id);
    }
    sl__write_text(text, "\"b\":");
    sl__write_changes(text, delta.levels.bids, delta.levels.bid_count);
    sl__write_text(text, ",\"a\":");
    sl__write_changes(text, delta.levels.asks, delta.levels.ask_count);
    sl__write_text(text, "}");
}

static void render_best(sl_venue venue, const struct sl_dialect_host *host, const sl_market_event *event,
                        struct sl_render *text)
{
    sl_best best = sl_truth_best(host->truth, event->instrument);
    sl__write_text(text, futures(venue) ? "{\"e\":\"bookTicker\"," : "{");
    sl__write_format(text, "\"u\":%" PRId64 ",\"s\":\"%s\",", best.update_id, event->instrument->symbol);
    const char *const keys[] = {"b", "B", "a", "A"};
    const sl_decimal values[] = {best.bid.price, best.bid.quantity, best.ask.price, best.ask.quantity};
    for (size_t at = 0; at < 4; at++) {
        sl__write_format(text, "%s\"%s\":\"", at == 0 ? "" : ",", keys[at]);
        sl__write_decimal(text, values[at]);
        sl__write_text(text, "\"");
    }
    if (futures(venue)) {
        sl__write_format(text, ",\"T\":%" PRId64 ",\"E\":%" PRId64, MS(event->venue_time_ns), MS(event->sent_time_ns));
    }
    sl__write_text(text, "}");
}

static bool render_change(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                          struct sl_render *text)
{
    sl_venue venue = host->dialect->venue;
    bool trade = change->event.kind == SL_EVENT_TRADE;
    bool wanted = wish->feed == SL_FEED_DEPTH ? !trade : wish->feed == SL_FEED_BEST ? !trade && change->top : trade;
    if (!wanted) {
        return false;
    }
    if (wish->name[0] != '\0') {
        sl__write_format(text, "{\"stream\":\"%s\",\"data\":", wish->name);
    }
    if (wish->feed == SL_FEED_DEPTH) {
        render_delta(venue, &change->event, host->bad_link, text);
    } else if (wish->feed == SL_FEED_BEST) {
        render_best(venue, host, &change->event, text);
    } else {
        render_trade(venue, &change->event, wish->feed == SL_FEED_AGG_TRADES, text);
    }
    if (wish->name[0] != '\0') {
        sl__write_text(text, "}");
    }
    return true;
}

static void render_candle(const struct sl_dialect_host *host, const struct sl_wish *wish,
                          const struct sl_simulated_candle *candle, enum sl_candle_word word, struct sl_render *text)
{
    if (wish->name[0] != '\0') {
        sl__write_format(text, "{\"stream\":\"%s\",\"data\":", wish->name);
    }
    sl__write_format(text,
                     "{\"e\":\"kline\",\"E\":%" PRId64 ",\"s\":\"%s\",\"k\":{\"t\":%" PRId64 ",\"T\":%" PRId64
                     ",\"s\":\"%s\",\"i\":\"%s\",\"f\":100,\"L\":200",
                     MS(host->now_ns), wish->instrument->symbol, MS(candle->open_ns),
                     MS(candle->open_ns + candle->interval_ns) - 1, wish->instrument->symbol,
                     sl__length_name(lengths, candle->interval_ns));
    sl__write_between(text, ",\"o\":\"", candle->open, "\"");
    sl__write_between(text, ",\"c\":\"", candle->close, "\"");
    sl__write_between(text, ",\"h\":\"", candle->high, "\"");
    sl__write_between(text, ",\"l\":\"", candle->low, "\"");
    sl__write_between(text, ",\"v\":\"", candle->volume, "\"");
    sl__write_format(text, ",\"n\":%" PRIu64 ",\"x\":%s,\"q\":\"0\",\"V\":\"0\",\"Q\":\"0\",\"B\":\"0\"}}%s",
                     candle->trades, word == SL_CANDLE_CLOSED ? "true" : "false", wish->name[0] != '\0' ? "}" : "");
}

static bool leave(const struct sl_dialect_host *host, struct sl_render *text)
{
    sl__write_format(text, "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":%" PRId64 "}}",
                     MS(host->now_ns));
    return true;
}

/* ---- REST ---- */

static struct sl_rest_reply refuse(struct sl_render *text, int code, const char *message)
{
    sl__write_format(text, "{\"code\":%d,\"msg\":\"%s\"}", code, message);
    return (struct sl_rest_reply){.status = 400, .weight = 1};
}

static struct sl_rest_reply answer_depth(sl_venue venue, const struct sl_dialect_host *host, const char *query,
                                         const sl_instrument *instrument, struct sl_render *text)
{
    int64_t limit = sl__query_number(query, "limit", futures(venue) ? 500 : 100);
    if (limit < 1 || limit > 5000) {
        return refuse(text, -4021, "Illegal parameter 'limit'.");
    }
    sl_truth_state state = sl_truth_look(host->truth, instrument);
    sl__write_snapshot(text, venue, instrument->symbol, state.book, state.book_id, host->now_ns, host->now_ns,
                       (size_t)limit);
    unsigned weight = limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
    if (futures(venue)) {
        weight = limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
    }
    return (struct sl_rest_reply){.status = 200, .weight = weight, .snapshot = true, .instrument = instrument};
}

static struct sl_rest_reply answer_trades(const struct sl_dialect_host *host, const char *query, bool aggregate,
                                          const sl_instrument *instrument, struct sl_render *text)
{
    int64_t limit = sl__query_number(query, "limit", 500);
    const sl_market_event *events = NULL;
    size_t count = host->history(host->venue, instrument, sl__query_number(query, "fromId", 0),
                                 limit < 1 || limit > 1000 ? 500 : (size_t)limit, &events);
    sl__write_text(text, "[");
    for (size_t at = 0; at < count; at++) {
        const sl_trade *trade = &events[at].as.trade;
        sl__write_format(text, aggregate ? "%s{\"a\":%" PRId64 ",\"p\":\"" : "%s{\"id\":%" PRId64 ",\"price\":\"",
                         at == 0 ? "" : ",", trade->id);
        sl__write_decimal(text, trade->price);
        sl__write_text(text, aggregate ? "\",\"q\":\"" : "\",\"qty\":\"");
        sl__write_decimal(text, trade->quantity);
        if (aggregate) {
            sl__write_format(text, "\",\"f\":%" PRId64 ",\"l\":%" PRId64 ",\"T\":%" PRId64 ",\"m\":%s}", trade->id,
                             trade->id, MS(events[at].venue_time_ns), trade->taker == SL_SIDE_SELL ? "true" : "false");
        } else {
            sl__write_format(text,
                             "\",\"quoteQty\":\"0\",\"time\":%" PRId64 ",\"isBuyerMaker\":%s,\"isBestMatch\":true}",
                             MS(events[at].venue_time_ns), trade->taker == SL_SIDE_SELL ? "true" : "false");
        }
    }
    sl__write_text(text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 20};
}

static struct sl_rest_reply answer_instruments(sl_venue venue, const struct sl_dialect_host *host,
                                               struct sl_render *text)
{
    static const char *const statuses[] = {"TRADING", "TRADING", "HALT", "BREAK"};
    sl__write_format(text, "{\"timezone\":\"UTC\",\"serverTime\":%" PRId64 ",\"rateLimits\":[],\"symbols\":[",
                     MS(host->now_ns));
    bool first = true;
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue != venue || one->status == SL_STATUS_DELISTED) {
            continue;
        }
        sl__write_format(text, "%s{\"symbol\":\"%s\",\"%s\":\"%s\",\"baseAsset\":\"%s\",\"quoteAsset\":\"%s\",",
                         first ? "" : ",", one->symbol, venue == SL_VENUE_BINANCE_COINM ? "contractStatus" : "status",
                         statuses[one->status], one->base, one->quote);
        if (futures(venue)) {
            sl__write_format(text, "\"pair\":\"%s%s\",\"contractType\":\"PERPETUAL\",\"marginAsset\":\"%s\",",
                             one->base, one->quote, one->settle);
        }
        if (venue == SL_VENUE_BINANCE_COINM) {
            sl__write_text(text, "\"contractSize\":100,");
        }
        sl__write_text(text, "\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"0.01\",\"maxPrice\":"
                             "\"1000000.00\",\"tickSize\":\"0.01\"},{\"filterType\":\"LOT_SIZE\",\"minQty\":\"0.0001\","
                             "\"maxQty\":\"9000.0000\",\"stepSize\":\"0.0001\"}]}");
        first = false;
    }
    sl__write_text(text, "]}");
    return (struct sl_rest_reply){.status = 200, .weight = 20};
}

static struct sl_rest_reply rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text)
{
    sl_venue venue = host->dialect->venue;
    const char *base = venue == SL_VENUE_BINANCE_SPOT   ? "/api/v3/"
                       : venue == SL_VENUE_BINANCE_USDM ? "/fapi/v1/"
                                                        : "/dapi/v1/";
    size_t length = strlen(base);
    if (strncmp(question->path, base, length) != 0) {
        return (struct sl_rest_reply){0};
    }
    const char *what = question->path + length;
    if (strcmp(what, "exchangeInfo") == 0) {
        return answer_instruments(venue, host, text);
    }
    struct sl_rest_reply quotes = sl__binance_quotes(host, what, question->query, text);
    if (quotes.status != 0) {
        return quotes;
    }
    char symbol[SL_SYMBOL_MAX];
    size_t size_bytes = sl__query_text(question->query, "symbol", symbol, sizeof symbol);
    const sl_instrument *instrument = sl_instruments_find(host->instruments, venue, symbol, size_bytes);
    bool aggregate = strcmp(what, "aggTrades") == 0;
    bool trades = aggregate || strcmp(what, "trades") == 0 || strcmp(what, "historicalTrades") == 0;
    if (!trades && strcmp(what, "depth") != 0) {
        return (struct sl_rest_reply){0};
    }
    if (instrument == NULL || instrument->status == SL_STATUS_DELISTED) {
        return refuse(text, -1121, "Invalid symbol.");
    }
    return trades ? answer_trades(host, question->query, aggregate, instrument, text)
                  : answer_depth(venue, host, question->query, instrument, text);
}

/*
 * "5 incoming messages per second" for spot, 10 for futures: who sends more is disconnected. "A ping frame every 20
 * seconds", or every 3 minutes. 1024 streams of a connection for spot, 200 for futures (the older page's figure), messages
 * of 4096 bytes, 300 connections in 5 minutes.
 */
#define BINANCE(which, limit, most, ping_s)                                                                            \
    {                                                                                                                  \
        .venue = (which), .frames = true, .messages = (limit), .messages_ns = SECOND, .streams = (most),               \
        .message_bytes = 4096, .connects = 300, .connects_ns = 300 * SECOND, .ping_every_ns = (ping_s)*SECOND,         \
        .define = define, .open = open_path, .hear = hear, .change = render_change, .candle = render_candle,           \
        .leave = leave, .rest = rest                                                                                   \
    }

const sl_dialect sl__dialect_binance_spot = BINANCE(SL_VENUE_BINANCE_SPOT, 5, 1024, 20);
const sl_dialect sl__dialect_binance_usdm = BINANCE(SL_VENUE_BINANCE_USDM, 10, 200, 180);
const sl_dialect sl__dialect_binance_coinm = BINANCE(SL_VENUE_BINANCE_COINM, 10, 200, 180);
