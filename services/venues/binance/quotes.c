/* SPDX-License-Identifier: MIT */
/*
 * Binance's 24 h tickers, best prices and funding, of one symbol or of all in one answer. Sources:
 * binance-spot-api-docs, rest-api.md ("24hr ticker price change statistics", "Symbol order book ticker");
 * developers.binance.com, the same and "Mark Price" of USD-M, "Index Price and Mark Price" of COIN-M futures.
 */
#include "binance.h"
#include "venues/rest.h"

/* An answer being read. */
struct quotes {
    struct sl__binance *binance;
    const sl_venue_request *request;
    const sl_venue_message *message;
    const sl_venue_output *output;
    sl_venue_answer *answer;
};

const char *sl__binance_quotes_endpoint(sl_venue venue, sl_venue_request_kind kind)
{
    switch (kind) {
    case SL_REQUEST_TICKER:
        return "ticker/24hr";
    case SL_REQUEST_BEST:
        return "ticker/bookTicker";
    case SL_REQUEST_FUNDING:
        return venue == SL_VENUE_BINANCE_SPOT ? NULL : "premiumIndex";
    default:
        return NULL;
    }
}

uint32_t sl__binance_quotes_cost(sl_venue venue, const sl_venue_request *request)
{
    bool spot = venue == SL_VENUE_BINANCE_SPOT, all = request->instrument == NULL;
    switch (request->kind) {
    case SL_REQUEST_TICKER:
        return spot ? (all ? 80 : 2) : (all ? 40 : 1);
    case SL_REQUEST_BEST:
        return spot ? (all ? 4 : 2) : (all ? 5 : 2);
    default:
        return venue == SL_VENUE_BINANCE_COINM || all ? 10 : 1;
    }
}

/* ---- rows ---- */

enum { Q_SYMBOL, Q_CODE, Q_MSG, Q_TIME, Q_FIRST };

static int optional(struct quotes *quotes, const char *what, const char *name, sl_json_text text, sl_decimal *ret_value)
{
    return text.data == NULL || text.size_bytes == 0
               ? 0
               : sl__need_decimal(&quotes->binance->base, what, name, text, ret_value);
}

/* Of one row: names[] and where their values go; those from `needed` on may be missing. */
struct places {
    const char *const *names;
    sl_decimal *const *values;
    size_t count, needed;
};

/*
 * The object under the cursor: its symbol and time, which are the first of the names, and its numbers. 1, or 0 for an
 * instrument that is not in the table.
 */
static int read_row(struct quotes *quotes, const char *what, const struct places *places, sl_market_event *event)
{
    sl_venue_decoder *decoder = &quotes->binance->base;
    sl_json_text values[20] = {{NULL, 0}};
    int64_t error = 0;
    SL_TRY(sl__read_object(decoder, what, places->names, Q_FIRST + places->count, values));
    if (values[Q_CODE].data != NULL && values[Q_SYMBOL].data == NULL) {
        SL_TRY(sl__text_int(decoder, "error", "code", values[Q_CODE], &error));
        return sl__binance_refuse(quotes->binance, error, values[Q_MSG], quotes->answer);
    }
    if (values[Q_SYMBOL].data == NULL) {
        return sl__refuse(decoder, SL_EPROTO, "%s: \"symbol\" is missing", what);
    }
    event->instrument = sl__instrument(decoder, values[Q_SYMBOL]);
    quotes->answer->rows++;
    if (event->instrument == NULL) {
        return 0;
    }
    for (size_t at = 0; at < places->count; at++) {
        const char *name = places->names[Q_FIRST + at];
        SL_TRY(at < places->needed ? sl__need_decimal(decoder, what, name, values[Q_FIRST + at], places->values[at])
                                   : optional(quotes, what, name, values[Q_FIRST + at], places->values[at]));
    }
    if (values[Q_TIME].data != NULL) {
        SL_TRY(sl__binance_text_time(decoder, what, places->names[Q_TIME], values[Q_TIME], &event->venue_time_ns));
    }
    return 1;
}

static int give(struct quotes *quotes, int code, const sl_market_event *event)
{
    return code <= 0 ? code : sl__give_event(&quotes->binance->base, quotes->output, event);
}

/* COIN-M counts its volume in contracts, and tells none in the quote currency. */
static int read_ticker(struct quotes *quotes)
{
    static const char *const names[] = {"symbol",    "code",      "msg",      "closeTime", "lastPrice",
                                        "openPrice", "highPrice", "lowPrice", "volume",    "quoteVolume",
                                        "bidPrice",  "bidQty",    "askPrice", "askQty"};
    sl_market_event event = sl__event(&quotes->binance->base, quotes->message, SL_EVENT_TICKER, SL_FEED_TICKER,
                                      quotes->request->instrument);
    sl_ticker *ticker = &event.as.ticker;
    sl_decimal *const values[] = {&ticker->last,      &ticker->open,         &ticker->high,      &ticker->low,
                                  &ticker->volume,    &ticker->quote_volume, &ticker->bid.price, &ticker->bid.quantity,
                                  &ticker->ask.price, &ticker->ask.quantity};
    const struct places places = {names, values, 10, 5};
    return give(quotes, read_row(quotes, "ticker/24hr", &places, &event), &event);
}

static int read_best(struct quotes *quotes)
{
    static const char *const names[] = {"symbol", "code", "msg", "time", "bidPrice", "bidQty", "askPrice", "askQty"};
    sl_market_event event =
        sl__event(&quotes->binance->base, quotes->message, SL_EVENT_BEST, SL_FEED_BEST, quotes->request->instrument);
    sl_best *best = &event.as.best;
    sl_decimal *const values[] = {&best->bid.price, &best->bid.quantity, &best->ask.price, &best->ask.quantity};
    const struct places places = {names, values, 4, 4};
    return give(quotes, read_row(quotes, "bookTicker", &places, &event), &event);
}

/* What is no perpetual has no rate: "" there, and 0 for the time of the next one. */
static int read_funding(struct quotes *quotes)
{
    static const char *const names[] = {"symbol",          "code",           "msg", "time", "markPrice", "indexPrice",
                                        "lastFundingRate", "nextFundingTime"};
    static const sl_decimal none = {0, INT32_MIN};
    sl_market_event event = sl__event(&quotes->binance->base, quotes->message, SL_EVENT_FUNDING, SL_FEED_FUNDING,
                                      quotes->request->instrument);
    sl_funding *funding = &event.as.funding;
    sl_decimal next = {0, 0};
    sl_decimal *const values[] = {&funding->mark_price, &funding->index_price, &funding->rate, &next};
    const struct places places = {names, values, 4, 1};
    funding->index_price = funding->rate = none;
    int code = read_row(quotes, "premiumIndex", &places, &event);
    funding->has_mark = true;
    funding->has_index = funding->index_price.exponent != none.exponent;
    funding->has_rate = funding->rate.exponent != none.exponent;
    funding->index_price = funding->has_index ? funding->index_price : (sl_decimal){0, 0};
    funding->rate = funding->has_rate ? funding->rate : (sl_decimal){0, 0};
    if (code > 0 && next.mantissa > 0 &&
        (next.exponent != 0 || __builtin_mul_overflow(next.mantissa, INT64_C(1000000), &funding->next_time_ns))) {
        return sl__refuse(&quotes->binance->base, SL_ERANGE, "premiumIndex: \"nextFundingTime\" is out of range");
    }
    return give(quotes, code, &event);
}

int sl__binance_decode_quotes(struct sl__binance *binance, const sl_venue_request *request,
                              const sl_venue_message *message, const sl_venue_output *output, sl_venue_answer *answer)
{
    static int (*const readers[SL_REQUEST_KIND_COUNT])(struct quotes * quotes) = {
        [SL_REQUEST_TICKER] = read_ticker, [SL_REQUEST_BEST] = read_best, [SL_REQUEST_FUNDING] = read_funding};
    struct quotes quotes = {binance, request, message, output, answer};
    sl_venue_decoder *decoder = &binance->base;
    int (*read)(struct quotes *) = readers[request->kind];
    decoder->gave_event = true; /* also when none of them is wanted */
    if (sl_json_peek(decoder->json) != SL_JSON_ARRAY) {
        return read(&quotes);
    }
    sl__reading reading = {.decoder = decoder, .message = message, .output = output, .what = "rows"};
    sl__rows rows;
    int code = sl__rows_enter(&rows, &reading);
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, read(&quotes));
    }
    return sl__rows_end(&rows, code);
}
