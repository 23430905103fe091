/* SPDX-License-Identifier: MIT */
/*
 * OKX v5: requests of its REST interface and their answers, {"code":"0","msg":"","data":[..]}. The list of instruments
 * comes in three parts by type: the cursor is the next one's name.
 */
#include "okx.h"
#include "venues/quotes.h"

#define LEVELS_MAX 400
#define TRADES_MAX 100
#define CANDLES_MAX 300
#define CANDLES_PAST_MAX 100

static uint32_t at_most(uint32_t limit, uint32_t most)
{
    return limit == 0 || limit > most ? most : limit;
}

static void put_number(struct sl__writer *writer, const char *name, int64_t value)
{
    sl__put(writer, name);
    sl__put_int(writer, value);
}

static int put_trades(struct sl__writer *writer, const sl_venue_request *request)
{
    uint32_t rows = at_most(request->limit, TRADES_MAX);
    if (request->from_id < 0 || request->from_id > INT64_MAX - TRADES_MAX) {
        return SL_EINVAL;
    }
    put_number(writer, "&limit=", rows);
    if (request->cursor[0] != '\0') {
        sl__put(writer, "&after="); /* older than it */
        sl__put_url(writer, request->cursor, SL__AS_IS);
    } else if (request->from_id > 0) {
        put_number(writer, "&after=", request->from_id + rows); /* ids are consecutive */
    } else if (request->from_time_ns > 0) {
        return SL_ENOTSUP; /* page back from the latest */
    }
    return 0;
}

static int put_candles(struct sl__writer *writer, const sl_venue_request *request)
{
    const char *bar = sl__okx_bar(request->interval_ns);
    if (bar == NULL) {
        return SL_EINVAL;
    }
    sl__put(writer, "&bar=");
    sl__put(writer, bar);
    if (request->from_time_ns > 0) {
        uint32_t rows = at_most(request->limit, CANDLES_PAST_MAX);
        int64_t end_ns = request->from_time_ns + rows * request->interval_ns;
        bool sooner = request->to_time_ns > 0 && request->to_time_ns < end_ns;
        put_number(writer, "&after=", (sooner ? request->to_time_ns : end_ns) / SL__MS); /* earlier than it */
        put_number(writer, "&before=", request->from_time_ns / SL__MS - 1);              /* later than it */
        put_number(writer, "&limit=", rows);
    } else {
        put_number(writer, "&limit=", at_most(request->limit, CANDLES_MAX));
    }
    return 0;
}

/* Lists come in parts by type: the first one's. */
static const char *part_of(const sl_venue_request *request)
{
    return request->cursor[0] != '\0' ? request->cursor : request->kind == SL_REQUEST_OPEN_INTEREST ? "SWAP" : "SPOT";
}

/* Tickers and open interest, of one instrument or of all of a type; funding of one. */
static int put_quotes(struct sl__writer *writer, const sl_venue_request *request)
{
    bool all = request->instrument == NULL;
    if (request->kind == SL_REQUEST_FUNDING) {
        if (all || request->instrument->type != SL_INSTRUMENT_PERPETUAL) {
            return all ? SL_EINVAL : SL_ENOTSUP;
        }
        sl__put(writer, "public/funding-rate?instId=");
    } else if (request->kind == SL_REQUEST_OPEN_INTEREST) {
        sl__put(writer, "public/open-interest?instType=");
    } else {
        sl__put(writer, all ? "market/tickers?instType=" : "market/ticker?instId=");
    }
    sl__put_url(writer, all ? part_of(request) : request->instrument->symbol, SL__AS_IS);
    return 0;
}

/* Whether it is answered by rows of quotes. */
static bool by_quotes(const sl_venue_request *request)
{
    return sl__is_quote(request->kind) || (request->kind == SL_REQUEST_OPEN_INTEREST && request->instrument == NULL);
}

int sl__okx_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, "/api/v5/");
    if (request->kind == SL_REQUEST_INSTRUMENTS) {
        sl__put(&writer, "public/instruments?instType=");
        sl__put_url(&writer, part_of(request), SL__AS_IS);
        return sl__written(&writer);
    }
    if (by_quotes(request)) {
        SL_TRY(put_quotes(&writer, request));
        return sl__written(&writer);
    }
    const sl_instrument *instrument = request->instrument;
    if (instrument == NULL) {
        return SL_EINVAL;
    }
    bool past = request->kind == SL_REQUEST_CANDLES && request->from_time_ns > 0;
    static const char *const paths[SL_REQUEST_KIND_COUNT] = {
        [SL_REQUEST_SNAPSHOT] = "market/books?instId=",
        [SL_REQUEST_TRADES] = "market/history-trades?instId=",
        [SL_REQUEST_CANDLES] = "market/candles?instId=",
        [SL_REQUEST_OPEN_INTEREST] = "public/open-interest?instId=",
    };
    if ((unsigned)request->kind >= SL_REQUEST_KIND_COUNT || paths[request->kind] == NULL ||
        (request->kind == SL_REQUEST_OPEN_INTEREST && instrument->type == SL_INSTRUMENT_SPOT)) {
        return SL_ENOTSUP;
    }
    sl__put(&writer, past ? "market/history-candles?instId=" : paths[request->kind]);
    sl__put_url(&writer, instrument->symbol, SL__AS_IS);
    switch (request->kind) {
    case SL_REQUEST_SNAPSHOT:
        put_number(&writer, "&sz=", at_most(request->limit, LEVELS_MAX));
        break;
    case SL_REQUEST_TRADES:
        SL_TRY(put_trades(&writer, request));
        break;
    case SL_REQUEST_CANDLES:
        SL_TRY(put_candles(&writer, request));
        break;
    default:
        sl__put(&writer, "&instType=");
        sl__put(&writer, sl__okx_type(instrument));
        break;
    }
    return sl__written(&writer);
}

/* ---- answers ---- */

enum {
    I_ID,
    I_TYPE,
    I_UNDERLYING,
    I_FAMILY,
    I_BASE,
    I_QUOTE,
    I_SETTLE,
    I_VALUE,
    I_MULTIPLIER,
    I_EXPIRY,
    I_TICK,
    I_LOT,
    I_STATE,
    I_COUNT
};

/*
 * Base and quote of derivatives stand in the name of their underlying; false when something does not fit, and of
 * "LISTING-SPOT-SLX-USDT", which announces an instrument: it has no market, and the instrument will have another name.
 */
static bool define(const sl__fields *fields, sl_instrument *definition)
{
    static const char announced[] = "LISTING-";
    if (!sl__define_symbol(fields, I_ID, definition) ||
        strncmp(definition->symbol, announced, sizeof(announced) - 1) == 0) {
        return false;
    }
    if (sl__field_is(fields, I_TYPE, "SPOT")) {
        definition->type = SL_INSTRUMENT_SPOT;
        return sl__define_asset(sl__field_or_empty(fields, I_BASE), definition->base) &&
               sl__define_asset(sl__field_or_empty(fields, I_QUOTE), definition->quote);
    }
    bool swap = sl__field_is(fields, I_TYPE, "SWAP");
    unsigned pair = sl__field_told(fields, I_UNDERLYING) ? I_UNDERLYING : I_FAMILY; /* one or the other, by age */
    definition->type = swap ? SL_INSTRUMENT_PERPETUAL : SL_INSTRUMENT_FUTURE;
    return (swap || sl__field_is(fields, I_TYPE, "FUTURES")) && /* options are left out */
           sl__define_pair(sl__field_or_empty(fields, pair), '-', definition) &&
           sl__define_asset(sl__field_or_empty(fields, I_SETTLE), definition->settle);
}

/* What one contract is: its value times its multiplier, which is 1 almost always. */
static int take_contract(sl__reading *reading, const sl__fields *fields, sl_decimal *ret_size)
{
    sl_decimal value = {0, 0};
    sl_decimal multiplier = {1, 0};
    SL_TRY(sl__field_decimal_if(reading, fields, I_VALUE, &value));
    SL_TRY(sl__field_decimal_if(reading, fields, I_MULTIPLIER, &multiplier));
    int64_t mantissa = 0;
    int32_t exponent = value.exponent + multiplier.exponent;
    if (__builtin_mul_overflow(value.mantissa, multiplier.mantissa, &mantissa) || mantissa == INT64_MIN ||
        exponent < SL_DECIMAL_EXPONENT_MIN) {
        return sl__bad(reading, SL_ERANGE, "the contract's size is out of range");
    }
    *ret_size = (sl_decimal){mantissa, exponent};
    return 0;
}

static int read_instrument(sl__rest *rest)
{
    static const sl__name names[I_COUNT] = {
        [I_ID] = SL__NAME("instId", STRING),         [I_TYPE] = SL__NAME("instType", STRING),
        [I_UNDERLYING] = SL__NAME("uly", STRING),    [I_FAMILY] = SL__NAME("instFamily", STRING),
        [I_BASE] = SL__NAME("baseCcy", STRING),      [I_QUOTE] = SL__NAME("quoteCcy", STRING),
        [I_SETTLE] = SL__NAME("settleCcy", STRING),  [I_VALUE] = SL__NAME("ctVal", STRING),
        [I_MULTIPLIER] = SL__NAME("ctMult", STRING), [I_EXPIRY] = SL__NAME("expTime", STRING),
        [I_TICK] = SL__NAME("tickSz", STRING),       [I_LOT] = SL__NAME("lotSz", STRING),
        [I_STATE] = SL__NAME("state", STRING),
    };
    sl__reading *reading = &rest->reading;
    sl_instrument definition = {.type = SL_INSTRUMENT_UNKNOWN};
    sl__fields fields;
    sl_json_text text = {"", 0};
    SL_TRY(sl__fields_read(reading, &fields, names, I_COUNT));
    SL_TRY(sl__field_text(reading, &fields, I_ID, &text));
    SL_TRY(sl__field_text(reading, &fields, I_TYPE, &text));
    SL_TRY(sl__field_text(reading, &fields, I_STATE, &text));
    definition.status = sl__okx_status(text);
    SL_TRY(sl__field_decimal_if(reading, &fields, I_TICK, &definition.tick));
    SL_TRY(sl__field_decimal_if(reading, &fields, I_LOT, &definition.lot));
    SL_TRY(sl__field_time_if(reading, &fields, I_EXPIRY, SL__MS, &definition.expiry_ns));
    if (!define(&fields, &definition)) {
        reading->decoder->stats.unknown_symbols++;
        return 0;
    }
    if (definition.type != SL_INSTRUMENT_SPOT) {
        SL_TRY(take_contract(reading, &fields, &definition.contract_size));
    }
    if (definition.type != SL_INSTRUMENT_FUTURE) {
        definition.expiry_ns = 0; /* of others it is when they will be delisted */
    }
    return sl__rest_add(rest, &definition);
}

static int read_book(sl__rest *rest)
{
    enum { ASKS, BIDS, TIME, SEQUENCE, COUNT };
    static const sl__name names[COUNT] = {SL__NAME("asks", ARRAY), SL__NAME("bids", ARRAY), SL__NAME("ts", STRING),
                                          SL__NAME("seqId", NUMBER)};
    sl__reading *reading = &rest->reading;
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text none;
    int code = sl__fields_enter(reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = sl__read_side(decoder, code - 1 == BIDS);
    }
    SL_TRY(code);
    sl_market_event event = sl__event_of(reading, SL_EVENT_BOOK_SNAPSHOT, SL_FEED_SNAPSHOT, rest->request->instrument);
    SL_TRY(sl__field_text(reading, &fields, ASKS, &none));
    SL_TRY(sl__field_text(reading, &fields, BIDS, &none));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &event.venue_time_ns));
    SL_TRY(sl__field_int_if(reading, &fields, SEQUENCE, &event.as.snapshot.last_id));
    event.as.snapshot.levels = sl__levels(decoder);
    rest->answer->rows++;
    return sl__give(reading, &event);
}

static int read_trade(sl__rest *rest)
{
    sl_market_event event;
    SL_TRY(sl__okx_read_trade(&rest->reading, SL_FEED_TRADES, &event));
    event.instrument = rest->request->instrument;
    sl__rest_saw_trade(rest, event.as.trade.id);
    return sl__give(&rest->reading, &event);
}

static int read_candle(sl__rest *rest)
{
    static const sl__candle_columns columns = {
        .time = 0, .open = 1, .high = 2, .low = 3, .close = 4, .volume = 5, .unit_ns = SL__MS};
    sl_json_text row[9];
    SL_TRY(sl__row_read(&rest->reading, row, 9, 9));
    bool closed = sl_json_is(row[8], "1");
    rest->answer->rows++;
    return sl__give_candle(&rest->reading, &columns, row, rest->request->instrument, rest->request->interval_ns,
                           &closed);
}

static int read_interest(sl__rest *rest)
{
    sl_market_event event;
    SL_TRY(sl__okx_read_interest(&rest->reading, &event));
    event.instrument = rest->request->instrument;
    rest->answer->rows++;
    return sl__give(&rest->reading, &event);
}

/* Codes of docs-v5 "Error code": limits, those that pass by themselves, and instruments that do not exist. */
static int fault(sl__rest *rest, int64_t code, sl_json_text text)
{
    static const int64_t passing[] = {50001, 50004, 50005, 50013, 50026, 50113, 60001, 60005};
    if (code == 50011 || code == 50061) {
        return sl__rest_fault(rest, SL__FAULT_RATE, code, text);
    }
    if (code == 51001) {
        return sl__rest_fault(rest, SL__FAULT_SYMBOL, code, text);
    }
    for (size_t at = 0; at < sizeof(passing) / sizeof(passing[0]); at++) {
        if (code == passing[at]) {
            return sl__rest_fault(rest, SL__FAULT_AGAIN, code, text);
        }
    }
    return sl__rest_fault(rest, SL__FAULT_OTHER, code, text);
}

/* "market/tickers", "public/funding-rate", "public/open-interest": volumes of spot are in base, else in contracts. */
static int read_quotes(sl__rest *rest)
{
    static const sl__name names[SL__QUOTES] = {
        [SL__QUOTE_SYMBOL] = SL__NAME("instId", STRING),
        [SL__QUOTE_TIME] = SL__NAME("ts", STRING),
        [SL__QUOTE_LAST] = SL__NAME("last", STRING),
        [SL__QUOTE_OPEN] = SL__NAME("open24h", STRING),
        [SL__QUOTE_HIGH] = SL__NAME("high24h", STRING),
        [SL__QUOTE_LOW] = SL__NAME("low24h", STRING),
        [SL__QUOTE_VOLUME] = SL__NAME("vol24h", STRING),
        [SL__QUOTE_QUOTE_VOLUME] = SL__NO_NAME,
        [SL__QUOTE_BID] = SL__NAME("bidPx", STRING),
        [SL__QUOTE_BID_SIZE] = SL__NAME("bidSz", STRING),
        [SL__QUOTE_ASK] = SL__NAME("askPx", STRING),
        [SL__QUOTE_ASK_SIZE] = SL__NAME("askSz", STRING),
        [SL__QUOTE_MARK] = SL__NO_NAME,
        [SL__QUOTE_INDEX] = SL__NO_NAME,
        [SL__QUOTE_RATE] = SL__NAME("fundingRate", STRING),
        [SL__QUOTE_NEXT] = SL__NAME("fundingTime", STRING),
        [SL__QUOTE_INTEREST] = SL__NAME("oi", STRING),
        [SL__QUOTE_VALUE] = SL__NAME("oiUsd", STRING),
    };
    return sl__quote_rows(rest, names, SL__MS);
}

static int read_data(sl__rest *rest)
{
    if (by_quotes(rest->request)) {
        return read_quotes(rest);
    }
    static int (*const readers[SL_REQUEST_KIND_COUNT])(sl__rest * rest) = {
        [SL_REQUEST_INSTRUMENTS] = read_instrument, [SL_REQUEST_SNAPSHOT] = read_book,
        [SL_REQUEST_TRADES] = read_trade,           [SL_REQUEST_CANDLES] = read_candle,
        [SL_REQUEST_OPEN_INTEREST] = read_interest,
    };
    return sl__rest_rows(rest, readers[rest->request->kind]);
}

/* Where the next page is. */
static int finish(sl__rest *rest)
{
    sl_venue_answer *answer = rest->answer;
    if (rest->request->kind == SL_REQUEST_TRADES && rest->oldest_id > 1) {
        sl__rest_more(rest, rest->oldest_id);
    }
    bool parts = rest->request->kind == SL_REQUEST_INSTRUMENTS ||
                 (by_quotes(rest->request) && rest->request->instrument == NULL);
    const char *part = part_of(rest->request);
    if (parts && strcmp(part, "FUTURES") != 0) {
        bool swap = strcmp(part, "SPOT") == 0;
        answer->more = true;
        memcpy(answer->cursor, swap ? "SWAP" : "FUTURES", swap ? sizeof("SWAP") : sizeof("FUTURES"));
    }
    return 0;
}

int sl__okx_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                        const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    enum { CODE, MSG, DATA, COUNT };
    static const sl__name names[COUNT] = {SL__NAME("code", STRING), SL__NAME("msg", STRING), SL__NAME("data", ARRAY)};
    sl__rest rest;
    sl__fields fields;
    int64_t venue_code = 0;
    bool done = false;
    SL_TRY(sl__rest_begin(&rest, decoder, request, message, output, instruments, ret_answer));
    int code = sl__fields_enter(&rest.reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(&rest.reading, &fields)) > 0) {
        if (!done && sl__field_is(&fields, CODE, "0")) {
            done = true;
            code = read_data(&rest);
        } else {
            code = sl__fields_keep(&rest.reading, &fields, DATA);
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(&rest.reading));
    SL_TRY(sl__field_int(&rest.reading, &fields, CODE, &venue_code));
    if (venue_code != 0) {
        return fault(&rest, venue_code, sl__field_or_empty(&fields, MSG));
    }
    if (!done) { /* the code stood behind the data */
        SL_TRY(sl__field_again(&rest.reading, &fields, DATA));
        SL_TRY(read_data(&rest));
    }
    return finish(&rest);
}
