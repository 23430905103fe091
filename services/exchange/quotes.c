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
