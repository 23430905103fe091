/* SPDX-License-Identifier: MIT */
/* Coinbase Exchange: requests of its REST interface and their answers. */
#include "coinbase.h"

#include <time.h>

#define TRADES_MAX 1000
#define CANDLES_MAX 300

/* Lengths of candles in seconds; they are the query's own numbers. */
static const uint32_t intervals[] = {60, 300, 900, 3600, 21600, 86400};

static void put_time(struct sl__writer *writer, const char *name, int64_t ns)
{
    char text[32] = "";
    time_t seconds = (time_t)(ns / SL__S);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    sl__put(writer, name);
    sl__put(writer, text);
}

/*
 * Pages go back in time: "after" N is what is older than the trade N. So the trades from an id on are those older
 * than the id a page further; ids have no holes.
 */
static int put_trades(struct sl__writer *writer, const sl_venue_request *request)
{
    uint32_t limit = request->limit == 0 || request->limit > TRADES_MAX ? TRADES_MAX : request->limit;
    if (request->from_id < 0 || request->from_id > INT64_MAX - TRADES_MAX) {
        return SL_EINVAL;
    }
    sl__put(writer, "/trades?limit=");
    sl__put_int(writer, limit);
    if (request->cursor[0] != '\0') {
        sl__put(writer, "&after=");
        sl__put_url(writer, request->cursor, SL__AS_IS);
    } else if (request->from_id > 0) {
        sl__put(writer, "&after=");
        sl__put_int(writer, request->from_id + limit);
    } else if (request->from_time_ns != 0) {
        return SL_ENOTSUP; /* there is no way in by time: page back from the latest */
    }
    return 0;
}

static int put_candles(struct sl__writer *writer, const sl_venue_request *request)
{
    if (sl__interval_find(request->interval_ns, intervals, sizeof(intervals) / sizeof(intervals[0])) < 0) {
        return SL_EINVAL;
    }
    sl__put(writer, "/candles?granularity=");
    sl__put_int(writer, request->interval_ns / SL__S);
    if (request->from_time_ns > 0) {
        uint32_t rows = request->limit == 0 || request->limit > CANDLES_MAX ? CANDLES_MAX : request->limit;
        int64_t end_ns = request->from_time_ns + (rows - 1) * request->interval_ns;
        bool sooner = request->to_time_ns > 0 && request->to_time_ns < end_ns;
        put_time(writer, "&start=", request->from_time_ns);
        put_time(writer, "&end=", sooner ? request->to_time_ns : end_ns);
    }
    return 0;
}

int sl__coinbase_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, "/products");
    if (request->kind == SL_REQUEST_INSTRUMENTS) {
        return sl__written(&writer);
    }
    if (request->instrument == NULL) {
        return SL_EINVAL;
    }
    sl__put(&writer, "/");
    sl__put_url(&writer, request->instrument->symbol, SL__AS_IS);
    switch (request->kind) {
    case SL_REQUEST_SNAPSHOT:
        sl__put(&writer, "/book?level=2"); /* the whole book, whatever `limit` */
        break;
    case SL_REQUEST_TRADES:
        SL_TRY(put_trades(&writer, request));
        break;
    case SL_REQUEST_CANDLES:
        SL_TRY(put_candles(&writer, request));
        break;
    default:
        return SL_ENOTSUP;
    }
    return sl__written(&writer);
}

/* {"message":"NotFound"}, {"message":"Not allowed for delisted products"} */
static int fault(sl__rest *rest, sl_json_text message)
{
    if (sl__contains(message, "rate limit") || sl__contains(message, "too many") ||
        sl__contains(message, "slow down")) {
        return sl__rest_fault(rest, SL__FAULT_RATE, 0, message);
    }
    if (sl__contains(message, "notfound") || sl__contains(message, "not found") || sl__contains(message, "delisted")) {
        return sl__rest_fault(rest, SL__FAULT_SYMBOL, 0, message);
    }
    bool again = sl__contains(message, "internal") || sl__contains(message, "unavailable");
    return sl__rest_fault(rest, again ? SL__FAULT_AGAIN : SL__FAULT_OTHER, 0, message);
}

static int read_product(sl__rest *rest)
{
    enum { ID, BASE, QUOTE, TICK, LOT, STATUS, CANCEL_ONLY, DISABLED, COUNT };
    static const sl__name names[COUNT] = {
        [ID] = SL__NAME("id", STRING),
        [BASE] = SL__NAME("base_currency", STRING),
        [QUOTE] = SL__NAME("quote_currency", STRING),
        [TICK] = SL__NAME("quote_increment", STRING),
        [LOT] = SL__NAME("base_increment", STRING),
        [STATUS] = SL__NAME("status", STRING),
        [CANCEL_ONLY] = SL__NAME("cancel_only", BOOL),
        [DISABLED] = SL__NAME("trading_disabled", BOOL),
    };
    sl__reading *reading = &rest->reading;
    sl_instrument definition = {.type = SL_INSTRUMENT_SPOT};
    sl__fields fields;
    sl_json_text text = {"", 0};
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_text(reading, &fields, ID, &text));
    SL_TRY(sl__field_text(reading, &fields, STATUS, &text));
    SL_TRY(sl__field_decimal(reading, &fields, TICK, &definition.tick));
    SL_TRY(sl__field_decimal(reading, &fields, LOT, &definition.lot));
    bool restricted = sl__field_is(&fields, CANCEL_ONLY, "true") || sl__field_is(&fields, DISABLED, "true");
    definition.status = sl__coinbase_status(text, restricted);
    if (!sl__define_symbol(&fields, ID, &definition) ||
        !sl__define_asset(sl__field_or_empty(&fields, BASE), definition.base) ||
        !sl__define_asset(sl__field_or_empty(&fields, QUOTE), definition.quote)) {
        reading->decoder->stats.unknown_symbols++;
        return 0;
    }
    return sl__rest_add(rest, &definition);
}

static int read_trade(sl__rest *rest)
{
    enum { ID, SIDE, SIZE, PRICE, TIME, COUNT };
    static const sl__name names[COUNT] = {
        [ID] = SL__NAME("trade_id", NUMBER), [SIDE] = SL__NAME("side", STRING), [SIZE] = SL__NAME("size", STRING),
        [PRICE] = SL__NAME("price", STRING), [TIME] = SL__NAME("time", STRING),
    };
    sl__reading *reading = &rest->reading;
    sl__fields fields;
    sl_side maker = SL_SIDE_NONE;
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, rest->request->instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__fields_read(reading, &fields, names, COUNT));
    SL_TRY(sl__field_int(reading, &fields, ID, &trade->id));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE, &trade->price));
    SL_TRY(sl__field_quantity(reading, &fields, SIZE, &trade->quantity));
    SL_TRY(sl__field_side(reading, &fields, SIDE, &maker));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__ISO, &event.venue_time_ns));
    trade->taker = maker == SL_SIDE_BUY ? SL_SIDE_SELL : SL_SIDE_BUY;
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    sl__rest_saw_trade(rest, trade->id);
    return sl__give(reading, &event);
}

/* [1415398768,0.32,4.2,0.35,4.2,12.3]: time, low, high, open, close, volume */
static int read_candle(sl__rest *rest)
{
    static const sl__candle_columns columns = {
        .time = 0, .low = 1, .high = 2, .open = 3, .close = 4, .volume = 5, .unit_ns = SL__S};
    sl_json_text row[6];
    SL_TRY(sl__row_read(&rest->reading, row, 6, 6));
    rest->answer->rows++;
    return sl__give_candle(&rest->reading, &columns, row, rest->request->instrument, rest->request->interval_ns, NULL);
}

static int read_rows(sl__rest *rest, int (*read)(sl__rest *rest))
{
    SL_TRY(sl__rest_rows(rest, read));
    if (rest->request->kind == SL_REQUEST_TRADES && rest->oldest_id > 1) {
        sl__rest_more(rest, rest->oldest_id);
    }
    return sl__reading_finish(&rest->reading);
}

/* An object: a book, or an error. */
static int read_object(sl__rest *rest)
{
    enum { BIDS, ASKS, SEQUENCE, MESSAGE, TIME, COUNT };
    static const sl__name names[COUNT] = {
        [BIDS] = SL__NAME("bids", ARRAY),          [ASKS] = SL__NAME("asks", ARRAY),
        [SEQUENCE] = SL__NAME("sequence", NUMBER), [MESSAGE] = SL__NAME("message", STRING),
        [TIME] = SL__NAME("time", STRING),
    };
    sl__reading *reading = &rest->reading;
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text none;
    int code = sl__fields_enter(reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = sl__read_side(decoder, code - 1 == BIDS);
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(reading));
    if (sl__field_has(&fields, MESSAGE)) {
        return fault(rest, fields.values[MESSAGE].text);
    }
    if (rest->request->kind != SL_REQUEST_SNAPSHOT) {
        return sl__bad(reading, SL_EPROTO, "an object instead of an array");
    }
    sl_market_event event = sl__event_of(reading, SL_EVENT_BOOK_SNAPSHOT, SL_FEED_SNAPSHOT, rest->request->instrument);
    SL_TRY(sl__field_text(reading, &fields, BIDS, &none));
    SL_TRY(sl__field_text(reading, &fields, ASKS, &none));
    SL_TRY(sl__field_int(reading, &fields, SEQUENCE, &event.as.snapshot.last_id));
    SL_TRY(sl__field_time_if(reading, &fields, TIME, SL__ISO, &event.venue_time_ns));
    event.as.snapshot.levels = sl__levels(decoder);
    rest->answer->rows = 1;
    return sl__give(reading, &event);
}

int sl__coinbase_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request,
                             const sl_venue_message *message, const sl_venue_output *output,
                             sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    sl__rest rest;
    SL_TRY(sl__rest_begin(&rest, decoder, request, message, output, instruments, ret_answer));
    if (sl_json_peek(decoder->json) == SL_JSON_OBJECT) {
        return read_object(&rest);
    }
    switch (request->kind) {
    case SL_REQUEST_INSTRUMENTS:
        return read_rows(&rest, read_product);
    case SL_REQUEST_TRADES:
        return read_rows(&rest, read_trade);
    case SL_REQUEST_CANDLES:
        return read_rows(&rest, read_candle);
    default:
        return sl__bad(&rest.reading, SL_EPROTO, "an array instead of an object");
    }
}
