/* SPDX-License-Identifier: MIT */
/* Tickers and the like by a table of names. See quotes.h. */
#include "quotes.h"

/* Of what was never traded yet OKX writes "" for the last price, and for all that follows from it. */
static int read_ticker(sl__reading *reading, const sl__fields *fields, sl_ticker *ticker)
{
    sl_json_text none;
    const struct {
        unsigned field;
        sl_decimal *value;
    } optional[] = {
        {SL__QUOTE_LAST, &ticker->last},     {SL__QUOTE_OPEN, &ticker->open},
        {SL__QUOTE_HIGH, &ticker->high},     {SL__QUOTE_LOW, &ticker->low},
        {SL__QUOTE_VOLUME, &ticker->volume}, {SL__QUOTE_QUOTE_VOLUME, &ticker->quote_volume},
        {SL__QUOTE_BID, &ticker->bid.price}, {SL__QUOTE_BID_SIZE, &ticker->bid.quantity},
        {SL__QUOTE_ASK, &ticker->ask.price}, {SL__QUOTE_ASK_SIZE, &ticker->ask.quantity},
    };
    for (size_t at = 0; at < sizeof optional / sizeof *optional; at++) {
        SL_TRY(sl__field_decimal_if(reading, fields, optional[at].field, optional[at].value));
    }
    return sl__field_text(reading, fields, SL__QUOTE_LAST, &none);
}

/* A side that is empty has no price, or "". */
static int read_best(sl__reading *reading, const sl__fields *fields, sl_best *best)
{
    if (!sl__field_has(fields, SL__QUOTE_BID) || !sl__field_has(fields, SL__QUOTE_ASK)) {
        return sl__bad(reading, SL_EPROTO, "the best prices are missing");
    }
    SL_TRY(sl__field_decimal_if(reading, fields, SL__QUOTE_BID, &best->bid.price));
    SL_TRY(sl__field_decimal_if(reading, fields, SL__QUOTE_BID_SIZE, &best->bid.quantity));
    SL_TRY(sl__field_decimal_if(reading, fields, SL__QUOTE_ASK, &best->ask.price));
    return sl__field_decimal_if(reading, fields, SL__QUOTE_ASK_SIZE, &best->ask.quantity);
}

static int read_funding(sl__reading *reading, const sl__fields *fields, int64_t unit_ns, sl_funding *funding)
{
    SL_TRY(sl__field_decimal_if(reading, fields, SL__QUOTE_MARK, &funding->mark_price));
    SL_TRY(sl__field_decimal_if(reading, fields, SL__QUOTE_INDEX, &funding->index_price));
    SL_TRY(sl__field_decimal_if(reading, fields, SL__QUOTE_RATE, &funding->rate));
    funding->has_mark = sl__field_told(fields, SL__QUOTE_MARK);
    funding->has_index = sl__field_told(fields, SL__QUOTE_INDEX);
    funding->has_rate = sl__field_told(fields, SL__QUOTE_RATE);
    if (!funding->has_mark && !funding->has_index && !funding->has_rate) {
        return sl__bad(reading, SL_EPROTO, "neither prices nor a rate");
    }
    return sl__field_time_if(reading, fields, SL__QUOTE_NEXT, unit_ns, &funding->next_time_ns);
}

static int read_row(sl__rest *rest, const sl__name names[SL__QUOTES], int64_t unit_ns)
{
    static const struct {
        sl_event_kind kind;
        sl_feed feed;
    } kinds[SL_REQUEST_KIND_COUNT] = {
        [SL_REQUEST_TICKER] = {SL_EVENT_TICKER, SL_FEED_TICKER},
        [SL_REQUEST_BEST] = {SL_EVENT_BEST, SL_FEED_BEST},
        [SL_REQUEST_FUNDING] = {SL_EVENT_FUNDING, SL_FEED_FUNDING},
        [SL_REQUEST_OPEN_INTEREST] = {SL_EVENT_OPEN_INTEREST, SL_FEED_OPEN_INTEREST},
    };
    sl__reading *reading = &rest->reading;
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    SL_TRY(sl__fields_read(reading, &fields, names, SL__QUOTES));
    SL_TRY(sl__field_text(reading, &fields, SL__QUOTE_SYMBOL, &symbol));
    rest->answer->rows++;
    const sl_instrument *instrument = sl__instrument(reading->decoder, symbol);
    if (instrument == NULL) {
        return 0;
    }
    sl_market_event event =
        sl__event_of(reading, kinds[rest->request->kind].kind, kinds[rest->request->kind].feed, instrument);
    SL_TRY(sl__field_time_if(reading, &fields, SL__QUOTE_TIME, unit_ns, &event.venue_time_ns));
    switch (rest->request->kind) {
    case SL_REQUEST_TICKER:
        SL_TRY(read_ticker(reading, &fields, &event.as.ticker));
        break;
    case SL_REQUEST_BEST:
        SL_TRY(read_best(reading, &fields, &event.as.best));
        break;
    case SL_REQUEST_FUNDING:
        SL_TRY(read_funding(reading, &fields, unit_ns, &event.as.funding));
        break;
    default:
        SL_TRY(sl__field_quantity(reading, &fields, SL__QUOTE_INTEREST, &event.as.open_interest.quantity));
        SL_TRY(sl__field_derived_if(reading, &fields, SL__QUOTE_VALUE, &event.as.open_interest.value));
        break;
    }
    return sl__give(reading, &event);
}

int sl__quote_rows(sl__rest *rest, const sl__name names[SL__QUOTES], int64_t unit_ns)
{
    sl__rows rows;
    int code = sl__rows_enter(&rows, &rest->reading);
    rest->reading.decoder->gave_event = true; /* also when none of them is wanted */
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, read_row(rest, names, unit_ns));
    }
    return sl__rows_end(&rows, code);
}
