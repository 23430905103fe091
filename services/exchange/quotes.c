/* SPDX-License-Identifier: MIT */
/* Tickers and the like of the simulated venues: see quotes.h. Written from the venues' documentation. */
#include "exchange/quotes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MS(ns) ((ns) / 1000000)

/* Trades that a ticker is made of. */
#define TRADES 100

/* ---- figures ---- */

static sl_level best_of(const sl_book *book, sl_side side)
{
    const sl_level *level = book == NULL ? NULL : sl_book_best(book, side);
    return level == NULL ? (sl_level){{0, -2}, {0, -4}} : *level;
}

struct sl_quote sl__quote_of(const struct sl_dialect_host *host, const sl_instrument *instrument)
{
    const sl_market_event *events = NULL;
    size_t count = host->history(host->venue, instrument, 0, TRADES, &events);
    sl_truth_state state = sl_truth_look(host->truth, instrument);
    struct sl_quote quote = {.instrument = instrument,
                             .bid = best_of(state.book, SL_SIDE_BUY),
                             .ask = best_of(state.book, SL_SIDE_SELL),
                             .volume = {0, -4},
                             .rate = {(int64_t)(instrument->index % 41) - 20, -6},
                             .interest = {1000 + (int64_t)instrument->index * 7, -3}};
    quote.last = quote.open = quote.high = quote.low = quote.bid.price;
    for (size_t at = 0; at < count; at++) {
        const sl_trade *trade = &events[at].as.trade;
        quote.last = trade->price;
        quote.open = at == 0 ? trade->price : quote.open;
        quote.high = at == 0 || sl_decimal_compare(trade->price, quote.high) > 0 ? trade->price : quote.high;
        quote.low = at == 0 || sl_decimal_compare(trade->price, quote.low) < 0 ? trade->price : quote.low;
        if (sl_decimal_add(quote.volume, trade->quantity, &quote.volume) < 0) {
            break;
        }
    }
    return quote;
}

/* ---- writing ---- */

/* ,"name":"1.50" */
static void put(struct sl_render *text, const char *name, sl_decimal value)
{
    sl__write_format(text, ",\"%s\":\"", name);
    sl__write_decimal(text, value);
    sl__write_text(text, "\"");
}

/* ---- Binance ---- */

enum binance_kind { B_NONE, B_TICKER, B_BEST, B_FUNDING, B_INTEREST };

static enum binance_kind binance_kind_of(sl_venue venue, const char *what)
{
    bool futures = venue != SL_VENUE_BINANCE_SPOT;
    return strcmp(what, "ticker/24hr") == 0               ? B_TICKER
           : strcmp(what, "ticker/bookTicker") == 0       ? B_BEST
           : futures && strcmp(what, "premiumIndex") == 0 ? B_FUNDING
           : futures && strcmp(what, "openInterest") == 0 ? B_INTEREST
                                                          : B_NONE;
}

static unsigned binance_weight(sl_venue venue, enum binance_kind kind, bool all)
{
    bool spot = venue == SL_VENUE_BINANCE_SPOT;
    switch (kind) {
    case B_TICKER:
        return spot ? (all ? 80 : 2) : (all ? 40 : 1);
    case B_BEST:
        return spot ? (all ? 4 : 2) : (all ? 5 : 2);
    case B_FUNDING:
        return venue == SL_VENUE_BINANCE_COINM || all ? 10 : 1;
    default:
        return 1;
    }
}

static void binance_row(const struct sl_dialect_host *host, enum binance_kind kind, const sl_instrument *instrument,
                        struct sl_render *text)
{
    struct sl_quote quote = sl__quote_of(host, instrument);
    bool spot = host->dialect->venue == SL_VENUE_BINANCE_SPOT;
    sl__write_format(text, "{\"symbol\":\"%s\"", instrument->symbol);
    if (kind == B_TICKER) {
        put(text, "lastPrice", quote.last);
        put(text, "openPrice", quote.open);
        put(text, "highPrice", quote.high);
        put(text, "lowPrice", quote.low);
        put(text, "volume", quote.volume);
        put(text, host->dialect->venue == SL_VENUE_BINANCE_COINM ? "baseVolume" : "quoteVolume", quote.volume);
        sl__write_format(text, ",\"openTime\":%" PRId64 ",\"closeTime\":%" PRId64, MS(host->now_ns) - 86400000,
                         MS(host->now_ns));
    }
    if (kind == B_BEST || (kind == B_TICKER && spot)) {
        put(text, "bidPrice", quote.bid.price);
        put(text, "bidQty", quote.bid.quantity);
        put(text, "askPrice", quote.ask.price);
        put(text, "askQty", quote.ask.quantity);
    } else if (kind == B_FUNDING) {
        put(text, "markPrice", quote.last);
        put(text, "indexPrice", quote.bid.price);
        put(text, "lastFundingRate", quote.rate);
        sl__write_format(text, ",\"nextFundingTime\":%" PRId64, MS(host->now_ns) / 28800000 * 28800000 + 28800000);
    } else if (kind == B_INTEREST) {
        put(text, "openInterest", quote.interest);
    }
    if (!spot && kind != B_TICKER) {
        sl__write_format(text, ",\"time\":%" PRId64, MS(host->now_ns));
    }
    sl__write_text(text, "}");
}

static void binance_all(const struct sl_dialect_host *host, enum binance_kind kind, const sl_instrument *only,
                        struct sl_render *text)
{
    bool first = true;
    sl__write_text(text, "[");
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue == host->dialect->venue && one->status != SL_STATUS_DELISTED && (only == NULL || only == one)) {
            sl__write_text(text, first ? "" : ",");
            binance_row(host, kind, one, text);
            first = false;
        }
    }
    sl__write_text(text, "]");
}

/* COIN-M answers with an array in any case. */
struct sl_rest_reply sl__binance_quotes(const struct sl_dialect_host *host, const char *what, const char *query,
                                        struct sl_render *text)
{
    sl_venue venue = host->dialect->venue;
    enum binance_kind kind = binance_kind_of(venue, what);
    if (kind == B_NONE) {
        return (struct sl_rest_reply){0};
    }
    char symbol[SL_SYMBOL_MAX];
    size_t size = sl__query_text(query, "symbol", symbol, sizeof symbol);
    const sl_instrument *one = sl_instruments_find(host->instruments, venue, symbol, size);
    bool known = one != NULL && one->status != SL_STATUS_DELISTED;
    if ((size > 0 && !known) || (size == 0 && kind == B_INTEREST)) {
        sl__write_text(text, size > 0 ? "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}"
                                      : "{\"code\":-1102,\"msg\":\"Mandatory parameter 'symbol' was not sent.\"}");
        return (struct sl_rest_reply){.status = 400, .weight = 1};
    }
    if (size == 0 || (venue == SL_VENUE_BINANCE_COINM && kind != B_INTEREST)) {
        binance_all(host, kind, one, text);
    } else {
        binance_row(host, kind, one, text);
    }
    return (struct sl_rest_reply){.status = 200, .weight = binance_weight(venue, kind, size == 0)};
}

/* ---- Bybit and OKX ---- */

/* Calls `row` for the one that is named in the query, or for all: how many they were. */
static size_t each_row(const struct sl_dialect_host *host, const char *query, const char *key, struct sl_render *text,
                       void (*row)(const struct sl_dialect_host *host, const struct sl_quote *quote,
                                   struct sl_render *text))
{
    char symbol[SL_SYMBOL_MAX];
    size_t size = sl__query_text(query, key, symbol, sizeof symbol), rows = 0;
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue == host->dialect->venue && one->status != SL_STATUS_DELISTED &&
            (size == 0 || strcmp(one->symbol, symbol) == 0)) {
            struct sl_quote quote = sl__quote_of(host, one);
            sl__write_text(text, rows++ == 0 ? "" : ",");
            row(host, &quote, text);
        }
    }
    return rows;
}

static void bybit_row(const struct sl_dialect_host *host, const struct sl_quote *quote, struct sl_render *text)
{
    sl__write_format(text, "{\"symbol\":\"%s\"", quote->instrument->symbol);
    put(text, "bid1Price", quote->bid.price);
    put(text, "bid1Size", quote->bid.quantity);
    put(text, "ask1Price", quote->ask.price);
    put(text, "ask1Size", quote->ask.quantity);
    put(text, "lastPrice", quote->last);
    put(text, "prevPrice24h", quote->open);
    put(text, "highPrice24h", quote->high);
    put(text, "lowPrice24h", quote->low);
    put(text, "turnover24h", quote->volume);
    put(text, "volume24h", quote->volume);
    if (host->dialect->venue != SL_VENUE_BYBIT_SPOT) {
        put(text, "markPrice", quote->last);
        put(text, "indexPrice", quote->bid.price);
        put(text, "fundingRate", quote->rate);
        put(text, "openInterest", quote->interest);
        put(text, "openInterestValue", quote->interest);
        sl__write_format(text, ",\"nextFundingTime\":\"%" PRId64 "\",\"deliveryTime\":\"0\"",
                         MS(host->now_ns) / 28800000 * 28800000 + 28800000);
    }
    sl__write_text(text, "}");
}

struct sl_rest_reply sl__bybit_quotes(const struct sl_dialect_host *host, const char *category,
                                      const struct sl_rest_question *question, struct sl_render *text)
{
    char asked[16];
    if (strcmp(question->path, "/v5/market/tickers") != 0) {
        return (struct sl_rest_reply){0};
    }
    (void)sl__query_text(question->query, "category", asked, sizeof asked);
    sl__write_format(text, "{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{\"category\":\"%s\",\"list\":[", category);
    size_t rows = strcmp(asked, category) == 0 ? each_row(host, question->query, "symbol", text, bybit_row) : 0;
    if (rows == 0) {
        sl__write_begin(text);
        sl__write_text(text,
                       "{\"retCode\":10001,\"retMsg\":\"params error: symbol invalid\",\"result\":{},\"time\":1}");
    } else {
        sl__write_format(text, "]},\"retExtInfo\":{},\"time\":%" PRId64 "}", MS(host->now_ns));
    }
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

static void okx_row(const struct sl_dialect_host *host, const struct sl_quote *quote, struct sl_render *text)
{
    sl__write_format(text, "{\"instType\":\"SPOT\",\"instId\":\"%s\"", quote->instrument->symbol);
    put(text, "last", quote->last);
    put(text, "askPx", quote->ask.price);
    put(text, "askSz", quote->ask.quantity);
    put(text, "bidPx", quote->bid.price);
    put(text, "bidSz", quote->bid.quantity);
    put(text, "open24h", quote->open);
    put(text, "high24h", quote->high);
    put(text, "low24h", quote->low);
    put(text, "volCcy24h", quote->volume);
    put(text, "vol24h", quote->volume);
    sl__write_format(text, ",\"ts\":\"%" PRId64 "\"}", MS(host->now_ns));
}

/* All of its instruments are spot. */
struct sl_rest_reply sl__okx_quotes(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                    struct sl_render *text)
{
    bool all = strcmp(question->path, "/api/v5/market/tickers") == 0;
    char type[16];
    if (!all && strcmp(question->path, "/api/v5/market/ticker") != 0) {
        return (struct sl_rest_reply){0};
    }
    (void)sl__query_text(question->query, "instType", type, sizeof type);
    sl__write_text(text, "{\"code\":\"0\",\"msg\":\"\",\"data\":[");
    size_t rows = all && strcmp(type, "SPOT") != 0 ? 0 : each_row(host, question->query, "instId", text, okx_row);
    sl__write_text(text, "]}");
    if (!all && rows == 0) {
        sl__write_begin(text);
        sl__write_text(text, "{\"code\":\"51001\",\"msg\":\"Instrument ID does not exist\",\"data\":[]}");
    }
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}
