/* SPDX-License-Identifier: MIT */
/*
 * Kraken spot: requests of its REST interface and their answers, {"error":[..],"result":{..}} with status 200 in any
 * case. Pairs go by their "altname" here: XBTUSD for BTC/USD; a result is under a third name, the only key but "last".
 */
#include "kraken.h"

#define TRADES_MAX 1000
#define LEVELS_MAX 500

/* The two codes that REST did not rename with v2. */
static void put_asset(struct sl__writer *writer, const char *asset)
{
    const char *name = strcmp(asset, "BTC") == 0 ? "XBT" : (strcmp(asset, "DOGE") == 0 ? "XDG" : asset);
    sl__put_url(writer, name, SL__AS_IS);
}

static int put_pair(struct sl__writer *writer, const sl_instrument *instrument)
{
    sl_instrument pair;
    if (instrument == NULL ||
        !sl__define_pair((sl_json_text){instrument->symbol, strlen(instrument->symbol)}, '/', &pair)) {
        return SL_EINVAL;
    }
    sl__put(writer, "?pair=");
    put_asset(writer, pair.base);
    put_asset(writer, pair.quote);
    return 0;
}

static int put_trades(struct sl__writer *writer, const sl_venue_request *request)
{
    uint32_t limit = request->limit == 0 || request->limit > TRADES_MAX ? TRADES_MAX : request->limit;
    sl__put(writer, "&count=");
    sl__put_int(writer, limit);
    if (request->cursor[0] != '\0') {
        sl__put(writer, "&since=");
        sl__put_url(writer, request->cursor, SL__AS_IS);
    } else if (request->from_time_ns > 0) {
        sl__put(writer, "&since=");
        sl__put_int(writer, request->from_time_ns - 1); /* what is later than it */
    } else if (request->from_id != 0) {
        return SL_ENOTSUP; /* the only way in is by time */
    }
    return 0;
}

int sl__kraken_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, "/0/public/");
    switch (request->kind) {
    case SL_REQUEST_INSTRUMENTS:
        sl__put(&writer, "AssetPairs");
        break;
    case SL_REQUEST_SNAPSHOT:
        sl__put(&writer, "Depth");
        SL_TRY(put_pair(&writer, request->instrument));
        sl__put(&writer, "&count=");
        sl__put_int(&writer, request->limit == 0 || request->limit > LEVELS_MAX ? LEVELS_MAX : request->limit);
        break;
    case SL_REQUEST_TRADES:
        sl__put(&writer, "Trades");
        SL_TRY(put_pair(&writer, request->instrument));
        SL_TRY(put_trades(&writer, request));
        break;
    case SL_REQUEST_CANDLES:
        if (sl__interval_find(request->interval_ns, sl__kraken_intervals, SL__KRAKEN_INTERVALS) < 0) {
            return SL_EINVAL;
        }
        sl__put(&writer, "OHLC");
        SL_TRY(put_pair(&writer, request->instrument));
        sl__put(&writer, "&interval=");
        sl__put_int(&writer, request->interval_ns / (60 * SL__S));
        if (request->from_time_ns > 0) {
            sl__put(&writer, "&since=");
            sl__put_int(&writer, request->from_time_ns / SL__S - 1);
        }
        break;
    default:
        return SL_ENOTSUP;
    }
    return sl__written(&writer);
}

static int fault(sl__rest *rest, sl_json_text text)
{
    if (sl__contains(text, "too many requests") || sl__contains(text, "rate limit") ||
        sl__contains(text, "throttled")) {
        return sl__rest_fault(rest, SL__FAULT_RATE, 0, text);
    }
    if (sl__contains(text, "unknown asset pair") || sl__contains(text, "invalid asset pair")) {
        return sl__rest_fault(rest, SL__FAULT_SYMBOL, 0, text);
    }
    bool again = sl__contains(text, "EService") || sl__contains(text, "internal") || sl__contains(text, "temporary");
    return sl__rest_fault(rest, again ? SL__FAULT_AGAIN : SL__FAULT_OTHER, 0, text);
}

/* The step of a number with so many decimals; its scale is the one that checksums are made with. */
static sl_decimal step_of(int64_t decimals, sl_decimal step)
{
    sl_decimal scaled = {1, (int32_t)-decimals};
    if (step.mantissa != 0 && sl_decimal_rescale(step, scaled.exponent, &scaled) < 0) {
        return step;
    }
    return scaled;
}

static int read_pair(sl__rest *rest)
{
    enum { WSNAME, TICK, PRICE_DECIMALS, LOT_DECIMALS, STATUS, COUNT };
    static const sl__name names[COUNT] = {
        [WSNAME] = SL__NAME("wsname", STRING),
        [TICK] = SL__NAME("tick_size", STRING),
        [PRICE_DECIMALS] = SL__NAME("pair_decimals", NUMBER),
        [LOT_DECIMALS] = SL__NAME("lot_decimals", NUMBER),
        [STATUS] = SL__NAME("status", STRING),
    };
    sl__reading *reading = &rest->reading;
    sl_instrument definition = {.type = SL_INSTRUMENT_SPOT, .status = SL_STATUS_TRADING};
    sl__fields fields;
    int64_t price_decimals = 0, lot_decimals = 0;
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_int(reading, &fields, PRICE_DECIMALS, &price_decimals));
    SL_TRY(sl__field_int(reading, &fields, LOT_DECIMALS, &lot_decimals));
    SL_TRY(sl__field_decimal_if(reading, &fields, TICK, &definition.tick));
    if (price_decimals < 0 || price_decimals > 18 || lot_decimals < 0 || lot_decimals > 18) {
        return sl__bad(reading, SL_ERANGE, "\"pair_decimals\" or \"lot_decimals\" is out of range");
    }
    definition.tick = step_of(price_decimals, definition.tick);
    definition.lot = step_of(lot_decimals, definition.lot);
    if (sl__field_has(&fields, STATUS)) {
        definition.status = sl__kraken_status(fields.values[STATUS].text);
    }
    sl_json_text name = sl__field_or_empty(&fields, WSNAME);
    if (!sl__define_pair(name, '/', &definition) || !sl__kraken_symbol(name, definition.symbol)) {
        reading->decoder->stats.unknown_symbols++; /* dark pools have no name in streams */
        return 0;
    }
    return sl__rest_add(rest, &definition);
}

static int read_book(sl__rest *rest)
{
    enum { ASKS, BIDS, COUNT };
    static const sl__name names[COUNT] = {SL__NAME("asks", ARRAY), SL__NAME("bids", ARRAY)};
    sl__reading *reading = &rest->reading;
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text none;
    int code = sl__fields_enter(reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = sl__read_side(decoder, code - 1 == BIDS);
    }
    SL_TRY(code);
    SL_TRY(sl__field_text(reading, &fields, ASKS, &none));
    SL_TRY(sl__field_text(reading, &fields, BIDS, &none));
    sl_market_event event = sl__event_of(reading, SL_EVENT_BOOK_SNAPSHOT, SL_FEED_SNAPSHOT, rest->request->instrument);
    event.as.snapshot.levels = sl__levels(decoder);
    rest->answer->rows = 1;
    return sl__give(reading, &event);
}

/* ["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952] */
static int read_trade(sl__rest *rest)
{
    enum { PRICE, QUANTITY, TIME, SIDE, TYPE, MISC, ID, COLUMNS };
    sl__reading *reading = &rest->reading;
    sl_venue_decoder *decoder = reading->decoder;
    sl_json_text row[COLUMNS];
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, rest->request->instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__row_read(reading, row, COLUMNS, COLUMNS));
    SL_TRY(sl__text_decimal(decoder, reading->what, "price", row[PRICE], &trade->price));
    SL_TRY(sl__text_decimal(decoder, reading->what, "volume", row[QUANTITY], &trade->quantity));
    SL_TRY(sl__text_when(reading, "time", row[TIME], SL__SECONDS, &event.venue_time_ns));
    SL_TRY(sl__text_side(reading, "side", row[SIDE], &trade->taker));
    SL_TRY(sl__text_int(decoder, reading->what, "trade_id", row[ID], &trade->id));
    if (trade->quantity.mantissa < 0) {
        return sl__bad(reading, SL_EPROTO, "\"volume\" is negative");
    }
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    sl__rest_saw_trade(rest, trade->id);
    return sl__give(reading, &event);
}

/* [1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.39243896",23]: with vwap before the volume */
static int read_candle(sl__rest *rest)
{
    static const sl__candle_columns columns = {
        .time = 0, .open = 1, .high = 2, .low = 3, .close = 4, .volume = 6, .count = 7, .unit_ns = SL__S};
    sl_json_text row[8];
    SL_TRY(sl__row_read(&rest->reading, row, 8, 8));
    rest->answer->rows++;
    return sl__give_candle(&rest->reading, &columns, row, rest->request->instrument, rest->request->interval_ns, NULL);
}

static int read_value(sl__rest *rest)
{
    int (*read)(sl__rest * rest) = rest->request->kind == SL_REQUEST_TRADES ? read_trade : read_candle;
    if (rest->request->kind == SL_REQUEST_INSTRUMENTS) {
        return read_pair(rest);
    }
    if (rest->request->kind == SL_REQUEST_SNAPSHOT) {
        return read_book(rest);
    }
    return sl__rest_rows(rest, read);
}

/* The object under the cursor: what was asked for, by its name, and "last", where the next page begins. */
static int read_result(sl__rest *rest)
{
    sl__reading *reading = &rest->reading;
    sl_json *json = reading->decoder->json;
    sl_json_text key, last;
    int code = sl_json_enter_object(json);
    sl__rows rows = {.reading = reading, .depth = sl_json_depth(json)};
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        bool is_last = sl_json_is(key, "last") && rest->request->kind != SL_REQUEST_INSTRUMENTS;
        rows.from = sl_json_here(json);
        if (!is_last) {
            SL_TRY(sl__rows_take(&rows, read_value(rest)));
        } else if ((code = sl_json_get_scalar(json, &last)) > 0 && rest->request->kind == SL_REQUEST_TRADES) {
            SL_TRY(sl__text_copy(reading->decoder, reading->what, "last", last, rest->answer->cursor,
                                 sizeof(rest->answer->cursor)));
        }
    }
    return code < 0 ? sl__bad_json(reading, code) : rows.worst;
}

/* ["EGeneral:Too many requests"], or nothing in it. */
static int read_errors(sl__rest *rest)
{
    sl_json_text errors[1];
    int count = sl__row_read(&rest->reading, errors, 0, 1);
    SL_TRY(count);
    return count == 0 ? 0 : fault(rest, errors[0]);
}

int sl__kraken_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                           const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    enum { ERROR, RESULT, COUNT };
    static const sl__name names[COUNT] = {SL__NAME("error", ARRAY), SL__NAME("result", OBJECT)};
    sl__rest rest;
    sl__fields fields;
    sl_json_text none;
    SL_TRY(sl__rest_begin(&rest, decoder, request, message, output, instruments, ret_answer));
    int code = sl__fields_enter(&rest.reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(&rest.reading, &fields)) > 0) {
        code = code - 1 == ERROR ? read_errors(&rest) : read_result(&rest);
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(&rest.reading));
    SL_TRY(sl__field_text(&rest.reading, &fields, RESULT, &none));
    uint32_t limit = request->limit == 0 || request->limit > TRADES_MAX ? TRADES_MAX : request->limit;
    ret_answer->more = request->kind == SL_REQUEST_TRADES && ret_answer->rows >= limit;
    return 0;
}
