/* SPDX-License-Identifier: MIT */
/*
 * Bybit v5: requests of its REST interface and their answers, {"retCode":0,"retMsg":"OK","result":{..},"time":..} with
 * status 200 also for errors; a limit of the address answers 403 with a text ("access too frequent").
 */
#include "bybit.h"
#include "venues/quotes.h"

#define ROWS_MAX 1000
#define TRADES_MAX_SPOT 60
#define INTEREST_MAX 200

static uint32_t at_most(uint32_t limit, uint32_t most)
{
    return limit == 0 || limit > most ? most : limit;
}

static void put_number(struct sl__writer *writer, const char *name, int64_t value)
{
    sl__put(writer, name);
    sl__put_int(writer, value);
}

static int put_symbol(struct sl__writer *writer, const char *path, sl_venue venue, const sl_instrument *instrument)
{
    if (instrument == NULL) {
        return SL_EINVAL;
    }
    sl__put(writer, path);
    sl__put(writer, "?category=");
    sl__put(writer, sl__bybit_category(venue));
    sl__put(writer, "&symbol=");
    sl__put_url(writer, instrument->symbol, SL__AS_IS);
    return 0;
}

/* One endpoint for all of it, of one symbol or of all. */
static bool by_tickers(const sl_venue_request *request)
{
    return sl__is_quote(request->kind) || (request->kind == SL_REQUEST_OPEN_INTEREST && request->instrument == NULL);
}

static int put_tickers(struct sl__writer *writer, sl_venue venue, const sl_venue_request *request)
{
    if (request->instrument != NULL) {
        return put_symbol(writer, "tickers", venue, request->instrument);
    }
    sl__put(writer, "tickers?category=");
    sl__put(writer, sl__bybit_category(venue));
    return 0;
}

static int put_candles(struct sl__writer *writer, sl_venue venue, const sl_venue_request *request)
{
    const char *interval = sl__bybit_interval_name(request->interval_ns);
    if (interval == NULL) {
        return SL_EINVAL;
    }
    uint32_t rows = at_most(request->limit, ROWS_MAX);
    SL_TRY(put_symbol(writer, "kline", venue, request->instrument));
    sl__put(writer, "&interval=");
    sl__put(writer, interval);
    /* Without an end the latest come, however early the start. A week begins on Monday, not as one since 1970. */
    if (request->from_time_ns > 0) {
        int64_t end_ns = request->from_time_ns + rows * request->interval_ns - SL__MS;
        bool sooner = request->to_time_ns > 0 && request->to_time_ns < end_ns;
        put_number(writer, "&start=", request->from_time_ns / SL__MS);
        put_number(writer, "&end=", (sooner ? request->to_time_ns : end_ns) / SL__MS);
    }
    put_number(writer, "&limit=", rows);
    return 0;
}

int sl__bybit_rest_path_of(sl_venue venue, const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    bool spot = venue == SL_VENUE_BYBIT_SPOT;
    sl__put(&writer, "/v5/market/");
    switch (request->kind) {
    case SL_REQUEST_INSTRUMENTS:
        sl__put(&writer, "instruments-info?category=");
        sl__put(&writer, sl__bybit_category(venue));
        put_number(&writer, "&limit=", ROWS_MAX);
        sl__put(&writer, request->cursor[0] == '\0' ? "" : "&cursor=");
        sl__put_url(&writer, request->cursor, SL__AS_IS);
        break;
    case SL_REQUEST_SNAPSHOT:
        SL_TRY(put_symbol(&writer, "orderbook", venue, request->instrument));
        put_number(&writer, "&limit=", at_most(request->limit, ROWS_MAX));
        break;
    case SL_REQUEST_TRADES:
        if (request->from_id != 0 || request->from_time_ns != 0) {
            return SL_ENOTSUP; /* only the latest are to be had */
        }
        SL_TRY(put_symbol(&writer, "recent-trade", venue, request->instrument));
        put_number(&writer, "&limit=", at_most(request->limit, spot ? TRADES_MAX_SPOT : ROWS_MAX));
        break;
    case SL_REQUEST_CANDLES:
        SL_TRY(put_candles(&writer, venue, request));
        break;
    case SL_REQUEST_FUNDING:
        if (spot) {
            return SL_ENOTSUP;
        }
        SL_TRY(put_tickers(&writer, venue, request));
        break;
    case SL_REQUEST_TICKER:
    case SL_REQUEST_BEST:
        SL_TRY(put_tickers(&writer, venue, request));
        break;
    case SL_REQUEST_OPEN_INTEREST:
        if (spot) {
            return SL_ENOTSUP;
        }
        if (by_tickers(request)) {
            SL_TRY(put_tickers(&writer, venue, request));
            break;
        }
        SL_TRY(put_symbol(&writer, "open-interest", venue, request->instrument));
        put_number(&writer,
                   "&intervalTime=5min&limit=", request->limit == 0 ? 1 : at_most(request->limit, INTEREST_MAX));
        break;
    default:
        return SL_ENOTSUP;
    }
    return sl__written(&writer);
}

/* ---- answers ---- */

/* Nested objects of an instrument: the field of the name, a decimal. */
static int read_step(sl__reading *reading, const sl__name *step_names, unsigned count, sl_decimal *ret_step)
{
    sl__fields fields;
    SL_TRY(sl__fields_read(reading, &fields, step_names, count));
    for (unsigned at = 0; at < count; at++) {
        SL_TRY(sl__field_decimal_if(reading, &fields, at, ret_step));
    }
    return 0;
}

enum { I_SYMBOL, I_TYPE, I_STATUS, I_BASE, I_QUOTE, I_SETTLE, I_DELIVERY, I_PRICE, I_LOT, I_COUNT };

/* Fills in what the texts say; false when there is no room for one of them. */
static bool define(const sl__fields *fields, sl_venue venue, sl_instrument *definition)
{
    sl_json_text type = sl__field_or_empty(fields, I_TYPE);
    if (!sl__define_symbol(fields, I_SYMBOL, definition) ||
        !sl__define_asset(sl__field_or_empty(fields, I_BASE), definition->base) ||
        !sl__define_asset(sl__field_or_empty(fields, I_QUOTE), definition->quote)) {
        return false;
    }
    definition->type = SL_INSTRUMENT_SPOT;
    if (venue != SL_VENUE_BYBIT_SPOT) {
        definition->type = sl__contains(type, "Perpetual") ? SL_INSTRUMENT_PERPETUAL : SL_INSTRUMENT_FUTURE;
        if (!sl__define_asset(sl__field_or_empty(fields, I_SETTLE), definition->settle)) {
            return false;
        }
    }
    if (definition->type != SL_INSTRUMENT_FUTURE) {
        definition->expiry_ns = 0; /* of a perpetual it is when it will be delisted */
    }
    if (venue == SL_VENUE_BYBIT_INVERSE) {
        definition->contract_size = (sl_decimal){1, 0}; /* one contract is one of the quote currency */
    }
    if (sl__field_is(fields, I_STATUS, "Trading")) {
        definition->status = SL_STATUS_TRADING;
    } else {
        definition->status = sl__field_is(fields, I_STATUS, "Closed") ? SL_STATUS_DELISTED : SL_STATUS_HALTED;
    }
    return true;
}

static int read_instrument(sl__rest *rest)
{
    static const sl__name names[I_COUNT] = {
        [I_SYMBOL] = SL__NAME("symbol", STRING),         [I_TYPE] = SL__NAME("contractType", STRING),
        [I_STATUS] = SL__NAME("status", STRING),         [I_BASE] = SL__NAME("baseCoin", STRING),
        [I_QUOTE] = SL__NAME("quoteCoin", STRING),       [I_SETTLE] = SL__NAME("settleCoin", STRING),
        [I_DELIVERY] = SL__NAME("deliveryTime", STRING), [I_PRICE] = SL__NAME("priceFilter", OBJECT),
        [I_LOT] = SL__NAME("lotSizeFilter", OBJECT),
    };
    static const sl__name price_names[] = {SL__NAME("tickSize", STRING)};
    static const sl__name lot_names[] = {SL__NAME("basePrecision", STRING), SL__NAME("qtyStep", STRING)};
    sl__reading *reading = &rest->reading;
    sl_instrument definition = {.type = SL_INSTRUMENT_UNKNOWN};
    sl__fields fields;
    sl_json_text none;
    int code = sl__fields_enter(reading, &fields, names, I_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = code - 1 == I_PRICE ? read_step(reading, price_names, 1, &definition.tick)
                                   : read_step(reading, lot_names, 2, &definition.lot);
    }
    SL_TRY(code);
    SL_TRY(sl__field_text(reading, &fields, I_SYMBOL, &none));
    SL_TRY(sl__field_text(reading, &fields, I_STATUS, &none));
    SL_TRY(sl__field_time_if(reading, &fields, I_DELIVERY, SL__MS, &definition.expiry_ns));
    if (!define(&fields, reading->decoder->options.venue, &definition)) {
        reading->decoder->stats.unknown_symbols++;
        return 0;
    }
    return sl__rest_add(rest, &definition);
}

static int read_trade(sl__rest *rest)
{
    enum { ID, PRICE, SIZE, SIDE, TIME, BLOCK, COUNT };
    static const sl__name names[COUNT] = {
        [ID] = SL__NAME("execId", STRING), [PRICE] = SL__NAME("price", STRING),
        [SIZE] = SL__NAME("size", STRING), [SIDE] = SL__NAME("side", STRING),
        [TIME] = SL__NAME("time", STRING), [BLOCK] = SL__NAME("isBlockTrade", BOOL),
    };
    sl__reading *reading = &rest->reading;
    sl__fields fields;
    sl_json_text id = {"", 0};
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, rest->request->instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_text(reading, &fields, ID, &id));
    SL_TRY(sl__bybit_trade_id(reading, id, trade));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE, &trade->price));
    SL_TRY(sl__field_quantity(reading, &fields, SIZE, &trade->quantity));
    SL_TRY(sl__field_side(reading, &fields, SIDE, &trade->taker));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &event.venue_time_ns));
    trade->off_book = sl__field_is(&fields, BLOCK, "true");
    sl__rest_saw_trade(rest, trade->id);
    return sl__give(reading, &event);
}

/* ["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"] */
static int read_candle(sl__rest *rest)
{
    static const sl__candle_columns columns = {
        .time = 0, .open = 1, .high = 2, .low = 3, .close = 4, .volume = 5, .unit_ns = SL__MS};
    sl_json_text row[6];
    SL_TRY(sl__row_read(&rest->reading, row, 6, 6));
    rest->answer->rows++;
    return sl__give_candle(&rest->reading, &columns, row, rest->request->instrument, rest->request->interval_ns, NULL);
}

static int read_interest(sl__rest *rest)
{
    enum { QUANTITY, TIME, COUNT };
    static const sl__name names[COUNT] = {SL__NAME("openInterest", STRING), SL__NAME("timestamp", STRING)};
    sl__reading *reading = &rest->reading;
    sl__fields fields;
    sl_market_event event =
        sl__event_of(reading, SL_EVENT_OPEN_INTEREST, SL_FEED_OPEN_INTEREST, rest->request->instrument);
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_quantity(reading, &fields, QUANTITY, &event.as.open_interest.quantity));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &event.venue_time_ns));
    rest->answer->rows++;
    return sl__give(reading, &event);
}

/* docs/v5/market/tickers: what spot does not have is absent, what a future does not have is "". */
static int read_tickers(sl__rest *rest)
{
    static const sl__name names[SL__QUOTES] = {
        [SL__QUOTE_SYMBOL] = SL__NAME("symbol", STRING),
        [SL__QUOTE_TIME] = SL__NO_NAME,
        [SL__QUOTE_LAST] = SL__NAME("lastPrice", STRING),
        [SL__QUOTE_OPEN] = SL__NAME("prevPrice24h", STRING),
        [SL__QUOTE_HIGH] = SL__NAME("highPrice24h", STRING),
        [SL__QUOTE_LOW] = SL__NAME("lowPrice24h", STRING),
        [SL__QUOTE_VOLUME] = SL__NAME("volume24h", STRING),
        [SL__QUOTE_QUOTE_VOLUME] = SL__NAME("turnover24h", STRING),
        [SL__QUOTE_BID] = SL__NAME("bid1Price", STRING),
        [SL__QUOTE_BID_SIZE] = SL__NAME("bid1Size", STRING),
        [SL__QUOTE_ASK] = SL__NAME("ask1Price", STRING),
        [SL__QUOTE_ASK_SIZE] = SL__NAME("ask1Size", STRING),
        [SL__QUOTE_MARK] = SL__NAME("markPrice", STRING),
        [SL__QUOTE_INDEX] = SL__NAME("indexPrice", STRING),
        [SL__QUOTE_RATE] = SL__NAME("fundingRate", STRING),
        [SL__QUOTE_NEXT] = SL__NAME("nextFundingTime", STRING),
        [SL__QUOTE_INTEREST] = SL__NAME("openInterest", STRING),
        [SL__QUOTE_VALUE] = SL__NAME("openInterestValue", STRING),
    };
    return sl__quote_rows(rest, names, SL__MS);
}

static int read_list(sl__rest *rest)
{
    if (by_tickers(rest->request)) {
        return read_tickers(rest);
    }
    static int (*const readers[SL_REQUEST_KIND_COUNT])(sl__rest * rest) = {
        [SL_REQUEST_INSTRUMENTS] = read_instrument,
        [SL_REQUEST_TRADES] = read_trade,
        [SL_REQUEST_CANDLES] = read_candle,
        [SL_REQUEST_OPEN_INTEREST] = read_interest,
    };
    return sl__rest_rows(rest, readers[rest->request->kind]);
}

enum { R_LIST, R_CURSOR, R_BIDS, R_ASKS, R_UPDATE, R_TIME, R_COUNT };

static int give_snapshot(sl__rest *rest, const sl__fields *fields)
{
    sl__reading *reading = &rest->reading;
    sl_json_text none;
    sl_market_event event = sl__event_of(reading, SL_EVENT_BOOK_SNAPSHOT, SL_FEED_SNAPSHOT, rest->request->instrument);
    SL_TRY(sl__field_text(reading, fields, R_BIDS, &none));
    SL_TRY(sl__field_text(reading, fields, R_ASKS, &none));
    SL_TRY(sl__field_int(reading, fields, R_UPDATE, &event.as.snapshot.last_id));
    SL_TRY(sl__field_time(reading, fields, R_TIME, SL__MS, &event.venue_time_ns));
    event.as.snapshot.levels = sl__levels(reading->decoder);
    rest->answer->rows = 1;
    return sl__give(reading, &event);
}

/* The object "result" of the request's kind. */
static int read_result(sl__rest *rest)
{
    static const sl__name names[R_COUNT] = {
        [R_LIST] = SL__NAME("list", ARRAY), [R_CURSOR] = SL__NAME("nextPageCursor", STRING),
        [R_BIDS] = SL__NAME("b", ARRAY),    [R_ASKS] = SL__NAME("a", ARRAY),
        [R_UPDATE] = SL__NAME("u", NUMBER), [R_TIME] = SL__NAME("ts", NUMBER),
    };
    sl__reading *reading = &rest->reading;
    sl_venue_decoder *decoder = reading->decoder;
    bool book = rest->request->kind == SL_REQUEST_SNAPSHOT;
    sl__fields fields;
    sl_json_text none;
    int code = sl__fields_enter(reading, &fields, names, R_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        int field = code - 1;
        if (field == R_LIST) {
            code = book ? sl__fields_keep(reading, &fields, R_LIST) : read_list(rest);
        } else {
            code = sl__read_side(decoder, field == R_BIDS);
        }
    }
    SL_TRY(code);
    if (book) {
        return give_snapshot(rest, &fields);
    }
    SL_TRY(sl__field_text(reading, &fields, R_LIST, &none));
    if (rest->request->kind == SL_REQUEST_INSTRUMENTS && sl__field_told(&fields, R_CURSOR)) {
        rest->answer->more = true;
        return sl__field_copy(reading, &fields, R_CURSOR, rest->answer->cursor, sizeof(rest->answer->cursor));
    }
    return 0;
}

/*
 * Codes of docs/v5/error: 10006 and 10018 are limits, 10000, 10016 and 10019 pass, 10029 is a symbol that is unknown, as
 * 10001 may be, which is any wrong parameter.
 */
static int fault(sl__rest *rest, int64_t code, sl_json_text text)
{
    if (code == 10006 || code == 10018 || code == 429) {
        return sl__rest_fault(rest, SL__FAULT_RATE, code, text);
    }
    if (code == 10000 || code == 10016 || code == 10019) {
        return sl__rest_fault(rest, SL__FAULT_AGAIN, code, text);
    }
    bool unknown = code == 10029 || (code == 10001 && sl__contains(text, "symbol"));
    return sl__rest_fault(rest, unknown ? SL__FAULT_SYMBOL : SL__FAULT_OTHER, code, text);
}

int sl__bybit_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                          const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    enum { CODE, MESSAGE, RESULT, COUNT };
    static const sl__name names[COUNT] = {[CODE] = SL__NAME("retCode", NUMBER),
                                          [MESSAGE] = SL__NAME("retMsg", STRING),
                                          [RESULT] = SL__NAME("result", OBJECT)};
    sl__rest rest;
    sl__fields fields;
    int64_t venue_code = 0;
    bool done = false;
    SL_TRY(sl__rest_begin(&rest, decoder, request, message, output, instruments, ret_answer));
    int code = sl__fields_enter(&rest.reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(&rest.reading, &fields)) > 0) {
        if (sl__field_is(&fields, CODE, "0")) {
            done = true;
            code = read_result(&rest);
        } else {
            code = sl__fields_keep(&rest.reading, &fields, RESULT);
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(&rest.reading));
    SL_TRY(sl__field_int(&rest.reading, &fields, CODE, &venue_code));
    if (venue_code != 0) {
        return fault(&rest, venue_code, sl__field_or_empty(&fields, MESSAGE));
    }
    if (!done) {
        SL_TRY(sl__field_again(&rest.reading, &fields, RESULT));
        return read_result(&rest);
    }
    return 0;
}
