/* SPDX-License-Identifier: MIT */
/* Bitstamp v2: requests of its REST interface and their answers. */
#include "bitstamp.h"

#define CANDLES_MAX 1000

static const uint32_t intervals[] = {60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 259200};

static void put_number(struct sl__writer *writer, const char *name, int64_t value)
{
    sl__put(writer, name);
    sl__put_int(writer, value);
}

/*
 * Of a start and an end the venue takes only the end, and counts `limit` candles back from it: so that is as many as lie
 * between, both included.
 */
static int put_candles(struct sl__writer *writer, const sl_venue_request *request)
{
    if (sl__interval_find(request->interval_ns, intervals, sizeof(intervals) / sizeof(intervals[0])) < 0) {
        return SL_EINVAL;
    }
    int64_t rows = request->limit == 0 || request->limit > CANDLES_MAX ? CANDLES_MAX : request->limit;
    int64_t end_ns = request->to_time_ns;
    if (request->from_time_ns > 0 && end_ns > request->from_time_ns) {
        int64_t steps = (end_ns - request->from_time_ns) / request->interval_ns;
        int64_t most = rows < CANDLES_MAX ? rows : CANDLES_MAX - 1;
        end_ns = steps > most ? request->from_time_ns + most * request->interval_ns : end_ns;
        rows = (steps > most ? most : steps) + 1;
    }
    put_number(writer, "?step=", request->interval_ns / SL__S);
    put_number(writer, "&limit=", rows);
    if (request->from_time_ns > 0) {
        put_number(writer, "&start=", request->from_time_ns / SL__S);
    }
    if (end_ns > 0) {
        put_number(writer, "&end=", end_ns / SL__S);
    }
    return 0;
}

/* group=1: orders of one price are one level, as in the stream. Past trades: the last day or hour, nothing else. */
int sl__bitstamp_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    static const char *const paths[SL_REQUEST_KIND_COUNT] = {
        [SL_REQUEST_INSTRUMENTS] = "trading-pairs-info/",
        [SL_REQUEST_SNAPSHOT] = "order_book/",
        [SL_REQUEST_TRADES] = "transactions/",
        [SL_REQUEST_CANDLES] = "ohlc/",
        [SL_REQUEST_TICKER] = "ticker/",
    };
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    if ((unsigned)request->kind >= SL_REQUEST_KIND_COUNT || paths[request->kind] == NULL || request->from_id < 0) {
        return SL_ENOTSUP;
    }
    sl__put(&writer, "/api/v2/");
    sl__put(&writer, paths[request->kind]);
    if (request->kind == SL_REQUEST_INSTRUMENTS ||
        (request->kind == SL_REQUEST_TICKER && request->instrument == NULL)) {
        return sl__written(&writer);
    }
    if (request->instrument == NULL) {
        return SL_EINVAL;
    }
    sl__put_url(&writer, request->instrument->symbol, SL__AS_IS);
    sl__put(&writer, "/");
    if (request->kind == SL_REQUEST_SNAPSHOT) {
        sl__put(&writer, "?group=1");
    } else if (request->kind == SL_REQUEST_TRADES) {
        sl__put(&writer, request->from_id > 0 || request->from_time_ns > 0 ? "?time=day" : "?time=hour");
    } else if (request->kind == SL_REQUEST_CANDLES) {
        SL_TRY(put_candles(&writer, request));
    }
    return sl__written(&writer);
}

/* ---- answers ---- */

/* "BTC/USD", or "BTC/USD-PERP" of a perpetual, which is settled in what it is quoted in. */
static bool define(sl_json_text name, sl_instrument *definition)
{
    static const char perpetual[] = "-PERP";
    size_t size_bytes = sizeof(perpetual) - 1;
    definition->type = SL_INSTRUMENT_SPOT;
    if (name.size_bytes > size_bytes && memcmp(name.data + name.size_bytes - size_bytes, perpetual, size_bytes) == 0) {
        definition->type = SL_INSTRUMENT_PERPETUAL;
        name.size_bytes -= size_bytes;
    }
    if (!sl__define_pair(name, '/', definition)) {
        return false;
    }
    if (definition->type == SL_INSTRUMENT_PERPETUAL) {
        memcpy(definition->settle, definition->quote, sizeof(definition->settle));
    }
    return true;
}

static int read_pair(sl__rest *rest)
{
    enum { SYMBOL, NAME, TRADING, BASE_DECIMALS, QUOTE_DECIMALS, COUNT };
    static const sl__name names[COUNT] = {
        [SYMBOL] = SL__NAME("url_symbol", STRING),
        [NAME] = SL__NAME("name", STRING),
        [TRADING] = SL__NAME("trading", STRING),
        [BASE_DECIMALS] = SL__NAME("base_decimals", NUMBER),
        [QUOTE_DECIMALS] = SL__NAME("counter_decimals", NUMBER),
    };
    sl__reading *reading = &rest->reading;
    sl_instrument definition = {.type = SL_INSTRUMENT_UNKNOWN};
    sl__fields fields;
    sl_json_text none;
    int64_t base_decimals = 0, quote_decimals = 0;
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_text(reading, &fields, SYMBOL, &none));
    SL_TRY(sl__field_text(reading, &fields, NAME, &none));
    SL_TRY(sl__field_text(reading, &fields, TRADING, &none));
    SL_TRY(sl__field_int(reading, &fields, BASE_DECIMALS, &base_decimals));
    SL_TRY(sl__field_int(reading, &fields, QUOTE_DECIMALS, &quote_decimals));
    if (base_decimals < 0 || base_decimals > 18 || quote_decimals < 0 || quote_decimals > 18) {
        return sl__bad(reading, SL_ERANGE, "\"base_decimals\" or \"counter_decimals\" is out of range");
    }
    definition.lot = (sl_decimal){1, (int32_t)-base_decimals};
    definition.tick = (sl_decimal){1, (int32_t)-quote_decimals};
    definition.status = sl__field_is(&fields, TRADING, "Enabled") ? SL_STATUS_TRADING : SL_STATUS_HALTED;
    if (!sl__define_symbol(&fields, SYMBOL, &definition) || !define(fields.values[NAME].text, &definition)) {
        reading->decoder->stats.unknown_symbols++;
        return 0;
    }
    return sl__rest_add(rest, &definition);
}

/* {"date":"1643640186","tid":"209981229","amount":"0.01","type":"0","price":"38500.00"}; older ones had numbers */
static int read_trade(sl__rest *rest)
{
    enum { ID, TIME, AMOUNT, PRICE, TYPE, COUNT };
    static const sl__name names[COUNT] = {
        [ID] = SL__NAME("tid", NONE),        [TIME] = SL__NAME("date", NONE), [AMOUNT] = SL__NAME("amount", STRING),
        [PRICE] = SL__NAME("price", STRING), [TYPE] = SL__NAME("type", NONE),
    };
    sl__reading *reading = &rest->reading;
    sl__fields fields;
    int64_t type = 0;
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, rest->request->instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_int(reading, &fields, ID, &trade->id));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__S, &event.venue_time_ns));
    SL_TRY(sl__field_quantity(reading, &fields, AMOUNT, &trade->quantity));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE, &trade->price));
    SL_TRY(sl__field_int(reading, &fields, TYPE, &type));
    if (type != 0 && type != 1) {
        return sl__bad(reading, SL_EPROTO, "\"type\" is neither 0 nor 1");
    }
    trade->taker = type == 0 ? SL_SIDE_BUY : SL_SIDE_SELL;
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    sl__rest_saw_trade(rest, trade->id);
    return sl__give(reading, &event);
}

static int read_candle(sl__rest *rest)
{
    enum { TIME, OPEN, HIGH, LOW, CLOSE, VOLUME, COUNT };
    static const sl__name names[COUNT] = {
        [TIME] = SL__NAME("timestamp", STRING), [OPEN] = SL__NAME("open", STRING),
        [HIGH] = SL__NAME("high", STRING),      [LOW] = SL__NAME("low", STRING),
        [CLOSE] = SL__NAME("close", STRING),    [VOLUME] = SL__NAME("volume", STRING),
    };
    static const sl__candle_columns columns = {
        .time = TIME, .open = OPEN, .high = HIGH, .low = LOW, .close = CLOSE, .volume = VOLUME, .unit_ns = SL__S};
    sl__fields fields;
    sl_json_text texts[COUNT];
    SL_TRY(sl__fields_read(&rest->reading, &fields, names, COUNT));
    for (unsigned at = 0; at < COUNT; at++) {
        SL_TRY(sl__field_text(&rest->reading, &fields, at, &texts[at]));
    }
    rest->answer->rows++;
    return sl__give_candle(&rest->reading, &columns, texts, rest->request->instrument, rest->request->interval_ns,
                           NULL);
}

/* Codes 400.002, 400.067 and 400.068 are limits. */
static int fault(sl__rest *rest, sl_json_text code, sl_json_text reason)
{
    if (sl_json_is(code, "400.002") || sl_json_is(code, "400.067") || sl_json_is(code, "400.068") ||
        sl__contains(reason, "rate limit")) {
        return sl__rest_fault(rest, SL__FAULT_RATE, 400, reason);
    }
    if (sl__contains(code, "404") || sl__contains(reason, "not found") ||
        sl__contains(reason, "invalid currency pair")) {
        return sl__rest_fault(rest, SL__FAULT_SYMBOL, 404, reason);
    }
    bool again = sl__contains(code, "500") || sl__contains(code, "503") || sl__contains(reason, "unavailable");
    return sl__rest_fault(rest, again ? SL__FAULT_AGAIN : SL__FAULT_OTHER, 0, reason);
}

/* How an answer says that it is an error, by age and interface; the first fields of objects that may be one. */
enum { E_STATUS, E_CODE, E_REASON, E_RESPONSE_CODE, E_EXPLANATION, E_ERROR, E_MESSAGE, E_COUNT };
#define ERROR_NAMES                                                                                                    \
    [E_STATUS] = SL__NAME("status", STRING), [E_CODE] = SL__NAME("code", NONE), [E_REASON] = SL__NAME("reason", NONE), \
    [E_RESPONSE_CODE] = SL__NAME("response_code", NONE), [E_EXPLANATION] = SL__NAME("response_explanation", NONE),     \
    [E_ERROR] = SL__NAME("error", NONE), [E_MESSAGE] = SL__NAME("message", NONE)

/* What the error comes to, 0 when the object is none. */
static int check_error(sl__rest *rest, const sl__fields *fields)
{
    static const unsigned reasons[] = {E_EXPLANATION, E_ERROR, E_REASON, E_MESSAGE};
    unsigned code = sl__field_told(fields, E_RESPONSE_CODE) ? E_RESPONSE_CODE : E_CODE;
    size_t at = 0;
    if (!sl__field_is(fields, E_STATUS, "error") && !sl__field_has(fields, code) && !sl__field_has(fields, E_ERROR) &&
        !sl__field_has(fields, E_MESSAGE)) {
        return 0;
    }
    while (reasons[at] != E_MESSAGE && !sl__field_told(fields, reasons[at])) {
        at++;
    }
    return fault(rest, sl__field_or_empty(fields, code), sl__field_or_empty(fields, reasons[at]));
}

/* The instrument of "BTC/USD", as rows of all tickers name it. */
static const sl_instrument *instrument_of(sl__rest *rest, sl_json_text pair)
{
    char symbol[SL_SYMBOL_MAX];
    size_t length = 0;
    for (size_t at = 0; at < pair.size_bytes && length < sizeof symbol - 1; at++) {
        char c = pair.data[at];
        if (c != '/') {
            symbol[length++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
    }
    return sl__instrument(rest->reading.decoder, (sl_json_text){symbol, length});
}

/* Without quantities of the best prices. */
static int read_ticker(sl__rest *rest)
{
    enum { TIME = E_COUNT, OPEN, HIGH, LOW, LAST, VOLUME, BID, ASK, PAIR, MARKET, COUNT };
    static const sl__name names[COUNT] = {
        ERROR_NAMES,
        [TIME] = SL__NAME("timestamp", STRING),
        [OPEN] = SL__NAME("open", STRING),
        [HIGH] = SL__NAME("high", STRING),
        [LOW] = SL__NAME("low", STRING),
        [LAST] = SL__NAME("last", STRING),
        [VOLUME] = SL__NAME("volume", STRING),
        [BID] = SL__NAME("bid", STRING),
        [ASK] = SL__NAME("ask", STRING),
        [PAIR] = SL__NAME("pair", STRING),
        [MARKET] = SL__NAME("market", STRING),
    };
    sl__reading *reading = &rest->reading;
    sl__fields fields;
    sl_json_text pair = {"", 0};
    const sl_instrument *instrument = rest->request->instrument;
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(check_error(rest, &fields));
    if (instrument == NULL) { /* a perpetual has no "pair", older answers no "market" */
        SL_TRY(sl__field_text(reading, &fields, sl__field_told(&fields, MARKET) ? MARKET : PAIR, &pair));
        instrument = instrument_of(rest, pair);
    }
    rest->answer->rows++;
    if (instrument == NULL) {
        return 0;
    }
    sl_market_event event = sl__event_of(reading, SL_EVENT_TICKER, SL_FEED_TICKER, instrument);
    sl_ticker *ticker = &event.as.ticker;
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__S, &event.venue_time_ns));
    SL_TRY(sl__field_decimal(reading, &fields, LAST, &ticker->last));
    SL_TRY(sl__field_decimal_if(reading, &fields, OPEN, &ticker->open));
    SL_TRY(sl__field_decimal_if(reading, &fields, HIGH, &ticker->high));
    SL_TRY(sl__field_decimal_if(reading, &fields, LOW, &ticker->low));
    SL_TRY(sl__field_decimal_if(reading, &fields, VOLUME, &ticker->volume));
    SL_TRY(sl__field_decimal_if(reading, &fields, BID, &ticker->bid.price));
    SL_TRY(sl__field_decimal_if(reading, &fields, ASK, &ticker->ask.price));
    return sl__give(reading, &event);
}

enum { O_DATA = E_COUNT, O_TIME, O_BIDS, O_ASKS, O_COUNT };

static int give_snapshot(sl__rest *rest, const sl__fields *fields)
{
    sl__reading *reading = &rest->reading;
    sl_json_text none;
    sl_market_event event = sl__event_of(reading, SL_EVENT_BOOK_SNAPSHOT, SL_FEED_SNAPSHOT, rest->request->instrument);
    SL_TRY(sl__field_text(reading, fields, O_BIDS, &none));
    SL_TRY(sl__field_text(reading, fields, O_ASKS, &none));
    SL_TRY(sl__field_time(reading, fields, O_TIME, SL__US, &event.venue_time_ns));
    SL_TRY(sl__field_int(reading, fields, O_TIME, &event.as.snapshot.last_id));
    event.as.snapshot.levels = sl__levels(reading->decoder);
    rest->answer->rows = 1;
    return sl__give(reading, &event);
}

/* {"pair":"BTC/USD","ohlc":[..]} */
static int read_ohlc(sl__rest *rest)
{
    static const sl__name names[] = {SL__NAME("ohlc", ARRAY)};
    sl__fields fields;
    int code = sl__fields_enter(&rest->reading, &fields, names, 1);
    while (code >= 0 && (code = sl__fields_next(&rest->reading, &fields)) > 0) {
        code = sl__rest_rows(rest, read_candle);
    }
    return code;
}

/* An object: a book, candles, or an error. */
static int read_object(sl__rest *rest)
{
    static const sl__name names[O_COUNT] = {
        ERROR_NAMES,
        [O_DATA] = SL__NAME("data", OBJECT),
        [O_TIME] = SL__NAME("microtimestamp", STRING),
        [O_BIDS] = SL__NAME("bids", ARRAY),
        [O_ASKS] = SL__NAME("asks", ARRAY),
    };
    sl__reading *reading = &rest->reading;
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text none;
    int code = sl__fields_enter(reading, &fields, names, O_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        int field = code - 1;
        if (field == O_BIDS || field == O_ASKS) {
            code = sl__read_side(decoder, field == O_BIDS);
        } else if (field == O_DATA && rest->request->kind == SL_REQUEST_CANDLES) {
            code = read_ohlc(rest);
        } else {
            code = sl__fields_keep(reading, &fields, (unsigned)field);
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(reading));
    SL_TRY(check_error(rest, &fields));
    if (rest->request->kind == SL_REQUEST_SNAPSHOT) {
        return give_snapshot(rest, &fields);
    }
    return rest->request->kind == SL_REQUEST_CANDLES ? sl__field_text(reading, &fields, O_DATA, &none)
                                                     : sl__bad(reading, SL_EPROTO, "an object instead of an array");
}

int sl__bitstamp_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request,
                             const sl_venue_message *message, const sl_venue_output *output,
                             sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    sl__rest rest;
    SL_TRY(sl__rest_begin(&rest, decoder, request, message, output, instruments, ret_answer));
    if (request->kind == SL_REQUEST_TICKER) {
        decoder->gave_event = true; /* also when none of them is wanted */
        SL_TRY(sl_json_peek(decoder->json) == SL_JSON_ARRAY ? sl__rest_rows(&rest, read_ticker) : read_ticker(&rest));
        return sl__reading_finish(&rest.reading);
    }
    if (sl_json_peek(decoder->json) == SL_JSON_OBJECT) {
        return read_object(&rest);
    }
    if (request->kind != SL_REQUEST_INSTRUMENTS && request->kind != SL_REQUEST_TRADES) {
        return sl__bad(&rest.reading, SL_EPROTO, "an array instead of an object");
    }
    SL_TRY(sl__rest_rows(&rest, request->kind == SL_REQUEST_TRADES ? read_trade : read_pair));
    return sl__reading_finish(&rest.reading);
}
