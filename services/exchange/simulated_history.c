/* SPDX-License-Identifier: MIT */
/*
 * The simulated venues' past: trades and candles as each venue answers for them, made from the trades that are kept.
 * Written from the venues' documentation: Binance aggTrades and klines, Coinbase trades and candles, Kraken Trades and
 * OHLC, Bybit recent-trade and kline, OKX history-trades and candles, Bitstamp transactions and ohlc.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exchange/simulated_internal.h"

#define SECOND INT64_C(1000000000)
#define MS INT64_C(1000000)
#define DAY (86400 * SECOND)
#define ROWS_MAX 1000

/* A question about the past, on its way to an answer. */
struct past {
    const struct sl_dialect_host *host;
    const char *query;
    const sl_instrument *instrument;
    const sl_market_event *trades; /* all that are kept, oldest first */
    size_t count;
    struct sl_render *text;
    bool begun; /* a row was written */
};

static void comma(struct past *past)
{
    if (past->begun) {
        sl__write_text(past->text, ",");
    }
    past->begun = true;
}

static void put(struct past *past, const char *before, sl_decimal value, const char *after)
{
    sl__write_text(past->text, before);
    sl__write_decimal(past->text, value);
    sl__write_text(past->text, after);
}

static int64_t number(const struct past *past, const char *key, int64_t otherwise)
{
    return sl__query_number(past->query, key, otherwise);
}

static size_t limit(const struct past *past, const char *key, size_t most)
{
    int64_t value = number(past, key, (int64_t)most);
    return value < 1 || value > (int64_t)most ? most : (size_t)value;
}

/* The first trade at or after a time. */
static size_t first_at(const struct past *past, int64_t time_ns)
{
    size_t at = 0;
    while (at < past->count && past->trades[at].venue_time_ns < time_ns) {
        at++;
    }
    return at;
}

/* The first trade whose id is not below. */
static size_t first_id(const struct past *past, int64_t id)
{
    size_t at = 0;
    while (at < past->count && past->trades[at].as.trade.id < id) {
        at++;
    }
    return at;
}

/* ---- candles ---- */

/* The candle that begins with a trade; the place of the first trade behind it. */
static size_t make_candle(const struct past *past, size_t at, int64_t interval_ns,
                          struct sl_simulated_candle *ret_candle)
{
    *ret_candle = sl__candle_begin(&past->trades[at], interval_ns);
    for (at++; at < past->count && sl__candle_has(ret_candle, past->trades[at].venue_time_ns); at++) {
        sl__candle_add(ret_candle, &past->trades[at]);
    }
    return at;
}

/* Those that begin from one time to another (without it), oldest first, as the venue writes one. */
static void put_candles(struct past *past, int64_t interval_ns, int64_t from_ns, int64_t to_ns, size_t most,
                        void (*put_one)(struct past *past, const struct sl_simulated_candle *candle))
{
    for (size_t at = first_at(past, from_ns + (interval_ns - from_ns % interval_ns) % interval_ns), rows = 0;
         interval_ns > 0 && at < past->count && rows < most; rows++) {
        struct sl_simulated_candle candle;
        at = make_candle(past, at, interval_ns, &candle);
        if (candle.open_ns >= to_ns) {
            return;
        }
        comma(past);
        put_one(past, &candle);
    }
}

/* Where the last `most` begin, of a venue that counts them back from the end; not before `from_ns`. */
static int64_t last_from(const struct past *past, int64_t interval_ns, int64_t from_ns, int64_t to_ns, size_t most)
{
    if (past->count == 0 || interval_ns <= 0) {
        return from_ns;
    }
    int64_t newest = past->trades[past->count - 1].venue_time_ns;
    int64_t last = newest < to_ns ? newest : to_ns - 1;
    int64_t first = last - last % interval_ns - ((int64_t)most - 1) * interval_ns;
    return first > from_ns ? first : from_ns;
}

/* "1m", "4h", "1D", "60": without a letter in minutes. */
static int64_t interval_of(const char *text)
{
    char *end = NULL;
    int64_t count = strtoll(text, &end, 10);
    int64_t unit = *end == 'h' || *end == 'H' ? 3600 : *end == 'd' || *end == 'D' ? 86400 : 60;
    if (end == text) {
        count = 1; /* "D" */
    }
    return count > 0 && count < 100000 ? count * unit * SECOND : 0;
}

/* ---- Binance ---- */

/* The four prices, as most venues write them. */
static void put_prices(struct past *past, const struct sl_simulated_candle *candle)
{
    put(past, ",\"", candle->open, "\"");
    put(past, ",\"", candle->high, "\"");
    put(past, ",\"", candle->low, "\"");
    put(past, ",\"", candle->close, "\"");
}

static void put_kline(struct past *past, const struct sl_simulated_candle *candle)
{
    sl__write_format(past->text, "[%" PRId64, candle->open_ns / MS);
    put_prices(past, candle);
    put(past, ",\"", candle->volume, "\"");
    sl__write_format(past->text, ",%" PRId64 ",\"0\",%" PRIu64 ",\"0\",\"0\",\"0\"]",
                     (candle->open_ns + candle->interval_ns) / MS - 1, candle->trades);
}

static void put_aggregate(struct past *past, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(past->text, "{\"a\":%" PRId64, trade->id);
    put(past, ",\"p\":\"", trade->price, "\"");
    put(past, ",\"q\":\"", trade->quantity, "\"");
    sl__write_format(past->text, ",\"f\":%" PRId64 ",\"l\":%" PRId64 ",\"T\":%" PRId64 ",\"m\":%s}", trade->id,
                     trade->id, event->venue_time_ns / MS, trade->taker == SL_SIDE_SELL ? "true" : "false");
}

/* COIN-M counts the limit back from the end, and takes no more than 200 days at once. */
static struct sl_rest_reply binance_candles(struct past *past, int64_t from_ns, int64_t to_ns)
{
    char interval[16];
    (void)sl__query_text(past->query, "interval", interval, sizeof interval);
    int64_t interval_ns = interval_of(interval);
    size_t most = limit(past, "limit", ROWS_MAX);
    if (past->instrument->venue == SL_VENUE_BINANCE_COINM) {
        if (number(past, "endTime", 0) > 0 && to_ns - from_ns > 200 * DAY) {
            sl__write_text(past->text, "{\"code\":-4088,\"msg\":\"Maximum time interval is 200 days.\"}");
            return (struct sl_rest_reply){.status = 400, .weight = 2};
        }
        from_ns = last_from(past, interval_ns, from_ns, to_ns, most);
    }
    sl__write_text(past->text, "[");
    put_candles(past, interval_ns, from_ns, to_ns, most, put_kline);
    sl__write_text(past->text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 2};
}

static struct sl_rest_reply binance(struct past *past, const char *what)
{
    bool candles = strcmp(what, "klines") == 0;
    if (!candles && (strcmp(what, "aggTrades") != 0 || number(past, "startTime", 0) == 0)) {
        return (struct sl_rest_reply){0}; /* by id: the dialect's own */
    }
    int64_t from_ns = number(past, "startTime", 0) * MS, to_ns = (number(past, "endTime", INT64_MAX / MS - 1) + 1) * MS;
    if (candles) {
        return binance_candles(past, from_ns, to_ns);
    }
    size_t at = first_at(past, from_ns), most = limit(past, "limit", ROWS_MAX);
    sl__write_text(past->text, "[");
    for (; at < past->count && most > 0 && past->trades[at].venue_time_ns < to_ns; at++, most--) {
        comma(past);
        put_aggregate(past, &past->trades[at]);
    }
    sl__write_text(past->text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 4};
}

/* ---- Coinbase ---- */

static void put_coinbase_candle(struct past *past, const struct sl_simulated_candle *candle)
{
    sl__write_format(past->text, "[%" PRId64, candle->open_ns / SECOND);
    put(past, ",", candle->low, "");
    put(past, ",", candle->high, "");
    put(past, ",", candle->open, "");
    put(past, ",", candle->close, "");
    put(past, ",", candle->volume, "]");
}

static void put_coinbase_trade(struct past *past, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(past->text, "{\"trade_id\":%" PRId64 ",\"side\":\"%s\"", trade->id,
                     trade->taker == SL_SIDE_BUY ? "sell" : "buy");
    put(past, ",\"size\":\"", trade->quantity, "\"");
    put(past, ",\"price\":\"", trade->price, "\",\"time\":\"");
    sl__write_time(past->text, event->venue_time_ns);
    sl__write_text(past->text, "\"}");
}

/* "2026-01-31T08:00:00Z" */
static int64_t iso_time(const struct past *past, const char *key, int64_t otherwise)
{
    char text[40];
    struct tm parts = {0};
    bool is =
        sl__query_text(past->query, key, text, sizeof text) > 0 && strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) != NULL;
    return is ? (int64_t)timegm(&parts) * SECOND : otherwise;
}

/* Newest first: those before a place. */
static void put_newest(struct past *past, size_t before, size_t most,
                       void (*put_one)(struct past *past, const sl_market_event *event))
{
    for (size_t at = before; at > 0 && most > 0; at--, most--) {
        comma(past);
        put_one(past, &past->trades[at - 1]);
    }
}

static struct sl_rest_reply coinbase(struct past *past, const char *what)
{
    if (strcmp(what, "trades") != 0 && strcmp(what, "candles") != 0) {
        return (struct sl_rest_reply){0};
    }
    sl__write_text(past->text, "[");
    if (strcmp(what, "trades") == 0) {
        put_newest(past, first_id(past, number(past, "after", INT64_MAX)), limit(past, "limit", ROWS_MAX),
                   put_coinbase_trade);
    } else {
        put_candles(past, number(past, "granularity", 60) * SECOND, iso_time(past, "start", 0),
                    iso_time(past, "end", INT64_MAX - SECOND) + SECOND, 300, put_coinbase_candle);
    }
    sl__write_text(past->text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

/* ---- Kraken ---- */

static void put_kraken_candle(struct past *past, const struct sl_simulated_candle *candle)
{
    sl__write_format(past->text, "[%" PRId64, candle->open_ns / SECOND);
    put_prices(past, candle);
    sl__write_text(past->text, ",\"0\"");
    put(past, ",\"", candle->volume, "\"");
    sl__write_format(past->text, ",%" PRIu64 "]", candle->trades);
}

/* What is later than `since`; trades of one instant are never parted, as "last" could not say so. */
static void put_kraken_trades(struct past *past)
{
    int64_t last = number(past, "since", 0);
    size_t most = limit(past, "count", ROWS_MAX);
    sl__write_format(past->text, "\"%s\":[", past->instrument->symbol);
    for (size_t at = first_at(past, last + 1); at < past->count; at++) {
        const sl_market_event *event = &past->trades[at];
        const sl_trade *trade = &event->as.trade;
        if (most == 0 && event->venue_time_ns != last) {
            break;
        }
        most -= most > 0;
        last = event->venue_time_ns;
        comma(past);
        put(past, "[\"", trade->price, "\"");
        put(past, ",\"", trade->quantity, "\"");
        sl__write_format(past->text, ",%" PRId64 ".%06" PRId64 ",\"%s\",\"l\",\"\",%" PRId64 "]", last / SECOND,
                         last % SECOND / 1000, trade->taker == SL_SIDE_BUY ? "b" : "s", trade->id);
    }
    sl__write_format(past->text, "],\"last\":\"%" PRId64 "\"", last);
}

static struct sl_rest_reply kraken(struct past *past, const char *what)
{
    sl__write_text(past->text, "{\"error\":[],\"result\":{");
    if (strcmp(what, "Trades") == 0) {
        put_kraken_trades(past);
    } else {
        sl__write_format(past->text, "\"%s\":[", past->instrument->symbol);
        put_candles(past, number(past, "interval", 1) * 60 * SECOND, (number(past, "since", 0) + 1) * SECOND, INT64_MAX,
                    720, put_kraken_candle);
        sl__write_text(past->text, "],\"last\":0");
    }
    sl__write_text(past->text, "}}");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

/* ---- Bybit ---- */

static void put_bybit_candle(struct past *past, const struct sl_simulated_candle *candle)
{
    sl__write_format(past->text, "[\"%" PRId64 "\"", candle->open_ns / MS);
    put_prices(past, candle);
    put(past, ",\"", candle->volume, "\",\"0\"]");
}

static void put_bybit_trade(struct past *past, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    char id[SL_TRADE_ID_MAX];
    (void)sl_trade_id_format(trade, id);
    sl__write_format(past->text, "{\"execId\":\"%s\",\"symbol\":\"%s\"", id, past->instrument->symbol);
    put(past, ",\"price\":\"", trade->price, "\"");
    put(past, ",\"size\":\"", trade->quantity, "\"");
    sl__write_format(past->text, ",\"side\":\"%s\",\"time\":\"%" PRId64 "\",\"isBlockTrade\":false}",
                     trade->taker == SL_SIDE_BUY ? "Buy" : "Sell", event->venue_time_ns / MS);
}

static struct sl_rest_reply bybit(struct past *past, const char *what)
{
    bool spot = past->instrument->venue == SL_VENUE_BYBIT_SPOT;
    char interval[16];
    (void)sl__query_text(past->query, "interval", interval, sizeof interval);
    sl__write_format(past->text, "{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{\"symbol\":\"%s\",\"list\":[",
                     past->instrument->symbol);
    if (strcmp(what, "kline") == 0) {
        put_candles(past, interval_of(interval), number(past, "start", 0) * MS,
                    (number(past, "end", INT64_MAX / MS - 1) + 1) * MS, limit(past, "limit", ROWS_MAX),
                    put_bybit_candle);
    } else {
        put_newest(past, past->count, limit(past, "limit", spot ? 60 : ROWS_MAX), put_bybit_trade);
    }
    sl__write_text(past->text, "]},\"time\":0}");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

/* ---- OKX ---- */

static void put_okx_candle(struct past *past, const struct sl_simulated_candle *candle)
{
    sl__write_format(past->text, "[\"%" PRId64 "\"", candle->open_ns / MS);
    put_prices(past, candle);
    put(past, ",\"", candle->volume, "\",\"0\",\"0\"");
    sl__write_format(past->text, ",\"%d\"]", candle->open_ns + candle->interval_ns <= past->host->now_ns);
}

static void put_okx_trade(struct past *past, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(past->text, "{\"instId\":\"%s\",\"side\":\"%s\"", past->instrument->symbol,
                     sl_side_name(trade->taker));
    put(past, ",\"sz\":\"", trade->quantity, "\"");
    put(past, ",\"px\":\"", trade->price, "\"");
    sl__write_format(past->text, ",\"tradeId\":\"%" PRId64 "\",\"ts\":\"%" PRId64 "\"}", trade->id,
                     event->venue_time_ns / MS);
}

static struct sl_rest_reply okx(struct past *past, const char *what)
{
    char bar[16];
    (void)sl__query_text(past->query, "bar", bar, sizeof bar);
    sl__write_text(past->text, "{\"code\":\"0\",\"msg\":\"\",\"data\":[");
    if (strcmp(what, "history-trades") == 0) {
        put_newest(past, first_id(past, number(past, "after", INT64_MAX)), limit(past, "limit", 100), put_okx_trade);
    } else {
        put_candles(past, interval_of(bar), (number(past, "before", 0) + 1) * MS,
                    number(past, "after", INT64_MAX / MS) * MS, limit(past, "limit", 300), put_okx_candle);
    }
    sl__write_text(past->text, "]}");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

/* ---- Bitstamp ---- */

static void put_bitstamp_candle(struct past *past, const struct sl_simulated_candle *candle)
{
    sl__write_format(past->text, "{\"timestamp\":\"%" PRId64 "\"", candle->open_ns / SECOND);
    put(past, ",\"open\":\"", candle->open, "\"");
    put(past, ",\"high\":\"", candle->high, "\"");
    put(past, ",\"low\":\"", candle->low, "\"");
    put(past, ",\"close\":\"", candle->close, "\"");
    put(past, ",\"volume\":\"", candle->volume, "\"}");
}

static void put_bitstamp_trade(struct past *past, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(past->text, "{\"date\":\"%" PRId64 "\",\"tid\":\"%" PRId64 "\"", event->venue_time_ns / SECOND,
                     trade->id);
    put(past, ",\"amount\":\"", trade->quantity, "\"");
    put(past, ",\"price\":\"", trade->price, "\"");
    sl__write_format(past->text, ",\"type\":\"%d\"}", trade->taker == SL_SIDE_BUY ? 0 : 1);
}

static struct sl_rest_reply bitstamp(struct past *past, const char *what)
{
    if (strcmp(what, "transactions") == 0) {
        sl__write_text(past->text, "[");
        put_newest(past, past->count, SIZE_MAX, put_bitstamp_trade);
        sl__write_text(past->text, "]");
    } else {
        sl__write_format(past->text, "{\"data\":{\"pair\":\"%s/%s\",\"ohlc\":[", past->instrument->base,
                         past->instrument->quote);
        int64_t step_ns = number(past, "step", 60) * SECOND, from_ns = number(past, "start", 0) * SECOND;
        int64_t to_ns = (number(past, "end", INT64_MAX / SECOND - 1) + 1) * SECOND;
        size_t most = limit(past, "limit", ROWS_MAX);
        if (number(past, "end", 0) > 0) { /* then the limit is counted back from it */
            from_ns = last_from(past, step_ns, from_ns, to_ns, most);
        }
        put_candles(past, step_ns, from_ns, to_ns, most, put_bitstamp_candle);
        sl__write_text(past->text, "]}}");
    }
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

/* ---- which question it is ---- */

/* Kraken's names of pairs in requests: XBT for BTC, nothing between. */
static const sl_instrument *find_pair(const struct sl_dialect_host *host, const char *pair)
{
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        const char *base = strcmp(one->base, "BTC") == 0 ? "XBT" : strcmp(one->base, "DOGE") == 0 ? "XDG" : one->base;
        size_t length = strlen(base);
        if (one->venue == SL_VENUE_KRAKEN && strncmp(pair, base, length) == 0 &&
            strcmp(pair + length, one->quote) == 0) {
            return one;
        }
    }
    return NULL;
}

/* One path of a venue: what is asked, and where the instrument stands. */
struct path {
    sl_venue first_venue, last_venue;
    const char *before; /* of the path... */
    const char *what;   /* ... then this; "" : the instrument's symbol, '/', and then whatever follows */
    const char *key;    /* of the query; NULL: the symbol is in the path, behind `what` and '/' */
    struct sl_rest_reply (*answer)(struct past *past, const char *what);
};

static const struct path paths[] = {
    {SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_SPOT, "/api/v3/", "aggTrades", "symbol", binance},
    {SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_SPOT, "/api/v3/", "klines", "symbol", binance},
    {SL_VENUE_BINANCE_USDM, SL_VENUE_BINANCE_USDM, "/fapi/v1/", "aggTrades", "symbol", binance},
    {SL_VENUE_BINANCE_USDM, SL_VENUE_BINANCE_USDM, "/fapi/v1/", "klines", "symbol", binance},
    {SL_VENUE_BINANCE_COINM, SL_VENUE_BINANCE_COINM, "/dapi/v1/", "aggTrades", "symbol", binance},
    {SL_VENUE_BINANCE_COINM, SL_VENUE_BINANCE_COINM, "/dapi/v1/", "klines", "symbol", binance},
    {SL_VENUE_COINBASE, SL_VENUE_COINBASE, "/products/", "", NULL, coinbase},
    {SL_VENUE_KRAKEN, SL_VENUE_KRAKEN, "/0/public/", "Trades", "pair", kraken},
    {SL_VENUE_KRAKEN, SL_VENUE_KRAKEN, "/0/public/", "OHLC", "pair", kraken},
    {SL_VENUE_BYBIT_SPOT, SL_VENUE_BYBIT_INVERSE, "/v5/market/", "recent-trade", "symbol", bybit},
    {SL_VENUE_BYBIT_SPOT, SL_VENUE_BYBIT_INVERSE, "/v5/market/", "kline", "symbol", bybit},
    {SL_VENUE_OKX, SL_VENUE_OKX, "/api/v5/market/", "history-trades", "instId", okx},
    {SL_VENUE_OKX, SL_VENUE_OKX, "/api/v5/market/", "history-candles", "instId", okx},
    {SL_VENUE_OKX, SL_VENUE_OKX, "/api/v5/market/", "candles", "instId", okx},
    {SL_VENUE_BITSTAMP, SL_VENUE_BITSTAMP, "/api/v2/", "transactions", NULL, bitstamp},
    {SL_VENUE_BITSTAMP, SL_VENUE_BITSTAMP, "/api/v2/", "ohlc", NULL, bitstamp},
};

/* The instrument and what is asked of it, if the path is this one. */
static const char *fits(const struct path *path, const struct sl_dialect_host *host,
                        const struct sl_rest_question *question, const sl_instrument **ret_instrument)
{
    size_t before = strlen(path->before), length = strlen(path->what);
    sl_venue venue = host->dialect->venue;
    const char *at = question->path + before;
    char symbol[SL_SYMBOL_MAX];
    if (venue < path->first_venue || venue > path->last_venue || strncmp(question->path, path->before, before) != 0 ||
        strncmp(at, path->what, length) != 0) {
        return NULL;
    }
    at += length;
    if (path->key != NULL) {
        size_t size_bytes = sl__query_text(question->query, path->key, symbol, sizeof symbol);
        *ret_instrument = venue == SL_VENUE_KRAKEN ? find_pair(host, symbol)
                                                   : sl_instruments_find(host->instruments, venue, symbol, size_bytes);
        return *at == '\0' ? path->what : NULL;
    }
    at += length > 0 && *at == '/';
    size_t size_bytes = strcspn(at, "/");
    *ret_instrument = sl_instruments_find(host->instruments, venue, at, size_bytes);
    return length > 0 ? path->what : at[size_bytes] == '/' ? at + size_bytes + 1 : NULL;
}

struct sl_rest_reply sl__history_rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                      struct sl_render *text)
{
    for (size_t at = 0; at < sizeof paths / sizeof *paths; at++) {
        struct past past = {.host = host, .query = question->query, .text = text};
        const char *what = fits(&paths[at], host, question, &past.instrument);
        if (what == NULL || past.instrument == NULL) {
            continue; /* a symbol that is not listed is the dialect's to refuse */
        }
        past.count = host->history(host->venue, past.instrument, 0, SIZE_MAX, &past.trades);
        struct sl_rest_reply reply = paths[at].answer(&past, what);
        reply.instrument = past.instrument;
        return reply;
    }
    return (struct sl_rest_reply){0};
}
