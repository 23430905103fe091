/* SPDX-License-Identifier: MIT */
/*
 * Binance's requests: paths, what they cost, answers. Sources: binance-spot-api-docs, rest-api.md;
 * developers.binance.com, "Market Data Endpoints" of USD-M and COIN-M futures, "Error Codes".
 */
#include "venues/rest.h"
#include "binance.h"
#include "venues/fields.h"

#define NS_PER_MS INT64_C(1000000)
#define ROWS_MAX 1000
#define COINM_SPAN (200 * SL_MINUTES(24 * 60))

static const char *base_of(sl_venue venue)
{
    return venue == SL_VENUE_BINANCE_SPOT ? "/api/v3/" : venue == SL_VENUE_BINANCE_USDM ? "/fapi/v1/" : "/dapi/v1/";
}

/* ---- paths ---- */

/* Futures take only some limits, spot any up to 5000; 0 for one that is none. */
static uint32_t depth_limit(sl_venue venue, uint32_t limit)
{
    static const uint32_t futures[] = {5, 10, 20, 50, 100, 500, 1000};
    if (limit == 0) {
        return ROWS_MAX;
    }
    if (venue == SL_VENUE_BINANCE_SPOT) {
        return limit <= 5000 ? limit : 0;
    }
    for (size_t at = 0; at < sizeof(futures) / sizeof(futures[0]); at++) {
        if (futures[at] == limit) {
            return limit;
        }
    }
    return 0;
}

static uint32_t row_limit(const sl_venue_request *request)
{
    return request->limit == 0 || request->limit > ROWS_MAX ? ROWS_MAX : request->limit;
}

static bool by_id(const sl_venue_request *request)
{
    return request->feed != SL_FEED_AGG_TRADES && request->from_id > 0;
}

/* Trades by time are told as aggregates only. */
static bool aggregated(const sl_venue_request *request)
{
    return request->feed == SL_FEED_AGG_TRADES || (request->from_id == 0 && request->from_time_ns > 0);
}

static void put_parameter(struct sl__writer *writer, const char *name, int64_t value)
{
    sl__put(writer, name);
    sl__put_int(writer, value);
}

static void put_times(struct sl__writer *writer, const sl_venue_request *request)
{
    if (request->from_time_ns > 0) {
        put_parameter(writer, "&startTime=", request->from_time_ns / NS_PER_MS);
    }
    if (request->to_time_ns > 0) {
        put_parameter(writer, "&endTime=", request->to_time_ns / NS_PER_MS);
    }
}

static void put_trades(struct sl__writer *writer, const sl_venue_request *request)
{
    put_parameter(writer, "&limit=", row_limit(request));
    if (request->from_id > 0) {
        put_parameter(writer, "&fromId=", request->from_id);
    } else if (aggregated(request)) {
        put_times(writer, request);
    }
}

/*
 * Where candles from a start on end. COIN-M counts the limit back from the end, which is 200 days behind the start when
 * none is told, and at most ("Maximum time interval is 200 days"): spot and USD-M count from the start.
 */
static int64_t candles_end(sl_venue venue, const sl_venue_request *request)
{
    if (venue != SL_VENUE_BINANCE_COINM || request->from_time_ns == 0) {
        return request->to_time_ns;
    }
    int64_t span_ns = row_limit(request) * request->interval_ns; /* weeks begin on Mondays */
    int64_t end_ns = request->from_time_ns + (span_ns < COINM_SPAN ? span_ns : COINM_SPAN) - NS_PER_MS;
    return request->to_time_ns > 0 && request->to_time_ns < end_ns ? request->to_time_ns : end_ns;
}

static int put_candles(struct sl__writer *writer, sl_venue venue, const sl_venue_request *request)
{
    const char *interval = sl__binance_interval(venue, request->interval_ns);
    if (interval == NULL) {
        return SL_EINVAL;
    }
    sl_venue_request window = *request;
    window.to_time_ns = candles_end(venue, request);
    sl__put(writer, "&interval=");
    sl__put(writer, interval);
    put_parameter(writer, "&limit=", row_limit(request));
    put_times(writer, &window);
    return 0;
}

static const char *endpoint_of(sl_venue venue, const sl_venue_request *request)
{
    switch (request->kind) {
    case SL_REQUEST_SNAPSHOT:
        return "depth";
    case SL_REQUEST_TRADES:
        return aggregated(request) ? "aggTrades" : by_id(request) ? "historicalTrades" : "trades";
    case SL_REQUEST_CANDLES:
        return "klines";
    case SL_REQUEST_OPEN_INTEREST:
        return venue == SL_VENUE_BINANCE_SPOT ? NULL : "openInterest";
    default:
        return NULL;
    }
}

int sl__binance_rest_path(sl_venue venue, const sl_venue_request *request, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, base_of(venue));
    if (request->kind == SL_REQUEST_INSTRUMENTS) {
        /* Without this parameter spot repeats the sets of permissions with each symbol: most of its megabytes. */
        sl__put(&writer, venue == SL_VENUE_BINANCE_SPOT ? "exchangeInfo?showPermissionSets=false" : "exchangeInfo");
        return sl__written(&writer);
    }
    const char *quotes = sl__binance_quotes_endpoint(venue, request->kind);
    const char *endpoint = quotes != NULL ? quotes : endpoint_of(venue, request);
    if (endpoint == NULL) {
        return SL_ENOTSUP;
    }
    if (quotes != NULL && request->instrument == NULL) {
        sl__put(&writer, quotes);
        return sl__written(&writer);
    }
    if (request->instrument == NULL || request->instrument->venue != venue || request->from_id < 0 ||
        request->from_time_ns < 0 || request->to_time_ns < 0) {
        return SL_EINVAL;
    }
    sl__put(&writer, endpoint);
    sl__put(&writer, "?symbol=");
    sl__put_url(&writer, request->instrument->symbol, SL__UPPER);
    if (request->kind == SL_REQUEST_SNAPSHOT) {
        uint32_t limit = depth_limit(venue, request->limit);
        if (limit == 0) {
            return SL_EINVAL;
        }
        put_parameter(&writer, "&limit=", limit);
    } else if (request->kind == SL_REQUEST_TRADES) {
        put_trades(&writer, request);
    } else if (request->kind == SL_REQUEST_CANDLES) {
        SL_TRY(put_candles(&writer, venue, request));
    }
    return sl__written(&writer);
}

/* ---- what they cost ---- */

static uint32_t spot_cost(const sl_venue_request *request)
{
    uint32_t limit = depth_limit(SL_VENUE_BINANCE_SPOT, request->limit);
    switch (request->kind) {
    case SL_REQUEST_INSTRUMENTS:
        return 20;
    case SL_REQUEST_SNAPSHOT:
        return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
    case SL_REQUEST_TRADES:
        return aggregated(request) ? 4 : 25;
    default:
        return 2;
    }
}

static uint32_t futures_cost(sl_venue venue, const sl_venue_request *request)
{
    uint32_t limit = request->kind == SL_REQUEST_SNAPSHOT ? depth_limit(venue, request->limit) : row_limit(request);
    switch (request->kind) {
    case SL_REQUEST_SNAPSHOT:
        return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
    case SL_REQUEST_TRADES:
        return aggregated(request) || by_id(request) ? 20 : 5;
    case SL_REQUEST_CANDLES:
        return limit < 100 ? 1 : limit < 500 ? 2 : 5;
    default:
        return 1;
    }
}

uint32_t sl__binance_cost(sl_venue venue, const sl_venue_request *request)
{
    if (sl__binance_quotes_endpoint(venue, request->kind) != NULL) {
        return sl__binance_quotes_cost(venue, request);
    }
    return venue == SL_VENUE_BINANCE_SPOT ? spot_cost(request) : futures_cost(venue, request);
}

/* ---- answers ---- */

/* One answer being read. */
struct answer {
    struct sl__binance *binance;
    const sl_venue_request *request;
    const sl_venue_message *message;
    const sl_venue_output *output;
    sl_venue_answer *answer;
};

/* {"code":-1121,"msg":"Invalid symbol."}. Codes: spot's errors.md, and the futures' "Error Codes". */
int sl__binance_refuse(struct sl__binance *binance, int64_t code, sl_json_text text, sl_venue_answer *answer)
{
    answer->error_code = code;
    answer->no_symbol = code == -1121 || code == -4141 /* "Symbol is closed." */ || code == -1122;
    answer->rate_limited = code == -1003 || code == -1015 || code == -1034;
    /* Unknown, disconnected, unexpected response, timeout, overloaded, shutting down: nothing is wrong with the request. */
    bool again = answer->rate_limited || code == -1000 || code == -1001 || code == -1006 || code == -1007 ||
                 code == -1008 || code == -1016;
    return sl__refuse(&binance->base, again ? SL_EAGAIN : SL_EPROTO, "the venue answered with error %lld: %s",
                      (long long)code, sl__excerpt(text).text);
}

static int read_instrument_filters(struct sl__binance *binance, sl_instrument *definition)
{
    static const char *const names[] = {"filterType", "tickSize", "stepSize"};
    sl_venue_decoder *decoder = &binance->base;
    sl_json_text values[3];
    int code = sl_json_enter_array(decoder->json);
    while (code >= 0 && (code = sl_json_next_element(decoder->json)) > 0) {
        SL_TRY(sl__read_object(decoder, "a filter", names, 3, values));
        if (values[0].data == NULL) {
            continue;
        }
        sl_decimal step = {0, 0};
        if (sl_json_is(values[0], "PRICE_FILTER")) {
            SL_TRY(sl__need_decimal(decoder, "PRICE_FILTER", "tickSize", values[1], &step));
            definition->tick = sl_decimal_normalize(step);
        } else if (sl_json_is(values[0], "LOT_SIZE")) {
            SL_TRY(sl__need_decimal(decoder, "LOT_SIZE", "stepSize", values[2], &step));
            definition->lot = sl_decimal_normalize(step);
        }
    }
    return code < 0 ? sl__refuse_json(decoder, code, "filters") : 0;
}

/* One field of a symbol of exchangeInfo. */
static int read_instrument_field(struct sl__binance *binance, sl_json_text key, sl_instrument *definition)
{
    static const char what[] = "a symbol";
    sl_venue_decoder *decoder = &binance->base;
    sl_json_text value = {"", 0};
    if (sl_json_is(key, "filters") && sl_json_peek(decoder->json) == SL_JSON_ARRAY) {
        return read_instrument_filters(binance, definition);
    }
    sl_json_type type = sl_json_peek(decoder->json);
    if (type != SL_JSON_STRING && type != SL_JSON_NUMBER) {
        return 0;
    }
    int code = sl_json_get_scalar(decoder->json, &value);
    if (code < 0) {
        return sl__refuse_json(decoder, code, what);
    }
    if (sl_json_is(key, "symbol")) {
        return sl__text_copy(decoder, what, "symbol", value, definition->symbol, sizeof(definition->symbol));
    }
    if (sl_json_is(key, "baseAsset")) {
        return sl__text_copy(decoder, what, "baseAsset", value, definition->base, sizeof(definition->base));
    }
    if (sl_json_is(key, "quoteAsset")) {
        return sl__text_copy(decoder, what, "quoteAsset", value, definition->quote, sizeof(definition->quote));
    }
    if (sl_json_is(key, "marginAsset")) {
        return sl__text_copy(decoder, what, "marginAsset", value, definition->settle, sizeof(definition->settle));
    }
    if (sl_json_is(key, "status") || sl_json_is(key, "contractStatus")) {
        definition->status = sl__binance_status(value);
    } else if (sl_json_is(key, "contractType")) {
        /* "PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL DELIVERING"; others are CURRENT_QUARTER…; "" tells nothing. */
        definition->type = value.size_bytes == 0              ? SL_INSTRUMENT_UNKNOWN
                           : sl__contains(value, "PERPETUAL") ? SL_INSTRUMENT_PERPETUAL
                                                              : SL_INSTRUMENT_FUTURE;
    } else if (sl_json_is(key, "deliveryDate")) {
        return sl__binance_text_time(decoder, what, "deliveryDate", value, &definition->expiry_ns);
    } else if (sl_json_is(key, "contractSize")) {
        return sl__text_decimal(decoder, what, "contractSize", value, &definition->contract_size);
    }
    return 0;
}

/* One symbol into the table. One that the table cannot hold is counted, and the others are read on. */
static int read_instrument(struct answer *answer, sl_instruments *instruments)
{
    struct sl__binance *binance = answer->binance;
    sl_json *json = binance->base.json;
    sl_instrument definition = {.venue = binance->base.options.venue};
    sl_json_text key;
    bool fits = true;
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        int read = read_instrument_field(binance, key, &definition);
        if (read == SL_EMSGSIZE) {
            fits = false; /* a name longer than ours */
        } else {
            SL_TRY(read);
        }
    }
    if (code < 0) {
        return sl__refuse_json(&binance->base, code, "a symbol");
    }
    if (sl__binance_is_spot(&binance->base)) {
        definition.type = SL_INSTRUMENT_SPOT;
    }
    definition.expiry_ns = definition.type == SL_INSTRUMENT_FUTURE ? definition.expiry_ns : 0;
    binance->base.stats.unknown_symbols += !fits;
    return fits ? sl__define(&binance->base, instruments, &definition, answer->answer) : 0;
}

static int read_symbols(struct answer *answer, sl_instruments *instruments)
{
    sl__reading reading = {.decoder = &answer->binance->base,
                           .message = answer->message,
                           .output = answer->output,
                           .what = "exchangeInfo"};
    sl__rows rows;
    int code = sl__rows_enter(&rows, &reading);
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, read_instrument(answer, instruments));
    }
    return sl__rows_end(&rows, code);
}

static int read_instruments(struct answer *answer, sl_instruments *instruments)
{
    struct sl__binance *binance = answer->binance;
    sl_json *json = binance->base.json;
    sl_json_text key;
    bool found = false;
    int64_t error = 0;
    sl_json_text text = {"", 0};
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        if (sl_json_is(key, "symbols") && sl_json_peek(json) == SL_JSON_ARRAY) {
            found = true;
            SL_TRY(read_symbols(answer, instruments));
        } else if (sl_json_is(key, "code") && sl_json_peek(json) == SL_JSON_NUMBER) {
            code = sl_json_get_int64(json, &error);
        } else if (sl_json_is(key, "msg") && sl_json_peek(json) == SL_JSON_STRING) {
            code = sl_json_get_string(json, &text);
        }
    }
    if (code < 0) {
        return sl__refuse_json(&binance->base, code, "exchangeInfo");
    }
    if (error != 0) {
        return sl__binance_refuse(binance, error, text, answer->answer);
    }
    binance->base.gave_event = true;
    return found ? 0 : sl__refuse(&binance->base, SL_EPROTO, "exchangeInfo: \"symbols\" is missing");
}

static int read_trade(struct answer *answer)
{
    static const char *const single[] = {"id", "price", "qty", "time", "isBuyerMaker", "isRPITrade"};
    static const char *const aggregate[] = {"a", "p", "q", "T", "m", "f", "l"};
    sl_venue_decoder *decoder = &answer->binance->base;
    bool several = aggregated(answer->request);
    const char *const *names = several ? aggregate : single;
    const char *what = several ? "aggTrades" : "trades";
    sl_json_text values[7] = {{NULL, 0}};
    sl_market_event event = sl__event(decoder, answer->message, SL_EVENT_TRADE,
                                      several ? SL_FEED_AGG_TRADES : SL_FEED_TRADES, answer->request->instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__read_object(decoder, what, names, several ? 7 : 5, values));
    SL_TRY(sl__need_int(decoder, what, names[0], values[0], &trade->id));
    SL_TRY(sl__need_decimal(decoder, what, names[1], values[1], &trade->price));
    SL_TRY(sl__need_decimal(decoder, what, names[2], values[2], &trade->quantity));
    SL_TRY(sl__need_time(decoder, what, names[3], values[3], 1, &event.venue_time_ns)); /* checks that it is there */
    SL_TRY(sl__binance_text_time(decoder, what, names[3], values[3], &event.venue_time_ns));
    trade->taker = values[4].data != NULL && sl_json_is(values[4], "true") ? SL_SIDE_SELL : SL_SIDE_BUY;
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    if (several) {
        SL_TRY(sl__need_int(decoder, what, "f", values[5], &trade->first_id));
        SL_TRY(sl__need_int(decoder, what, "l", values[6], &trade->last_id));
    }
    answer->answer->last_id = trade->id > answer->answer->last_id ? trade->id : answer->answer->last_id;
    return sl__give_event(decoder, answer->output, &event);
}

/* [open time, "open", "high", "low", "close", "volume", close time, "quote volume", trades, …] */
static int read_candle(struct answer *answer)
{
    static const char what[] = "klines";
    sl_venue_decoder *decoder = &answer->binance->base;
    sl_json_text values[9];
    size_t count = 0;
    int64_t end_ns = 0;
    int64_t trades = 0;
    sl_market_event event =
        sl__event(decoder, answer->message, SL_EVENT_CANDLE, SL_FEED_CANDLES, answer->request->instrument);
    sl_candle *candle = &event.as.candle;
    sl_decimal *const numbers[] = {&candle->open, &candle->high, &candle->low, &candle->close, &candle->volume};
    static const char *const names[] = {"open", "high", "low", "close", "volume"};
    SL_TRY(sl__read_row(decoder, what, 9, values, &count));
    SL_TRY(sl__need_int(decoder, what, "open time", values[0], &trades));
    SL_TRY(sl__need_int(decoder, what, "close time", values[6], &trades));
    SL_TRY(sl__binance_text_time(decoder, what, "open time", values[0], &candle->open_time_ns));
    SL_TRY(sl__binance_text_time(decoder, what, "close time", values[6], &end_ns));
    for (size_t at = 0; at < 5; at++) {
        SL_TRY(sl__need_decimal(decoder, what, names[at], values[at + 1], numbers[at]));
    }
    SL_TRY(sl__need_int(decoder, what, "trades", values[8], &trades));
    candle->interval_ns = answer->request->interval_ns;
    candle->trades = trades > 0 ? (uint64_t)trades : 0;
    candle->closed = answer->message->receive_time_ns > end_ns; /* the last one is that of now */
    event.venue_time_ns = candle->open_time_ns;
    return sl__give_event(decoder, answer->output, &event);
}

static int read_rows(struct answer *answer)
{
    sl_venue_decoder *decoder = &answer->binance->base;
    size_t rows = 0;
    int code = sl_json_enter_array(decoder->json);
    while (code >= 0 && (code = sl_json_next_element(decoder->json)) > 0) {
        SL_TRY(answer->request->kind == SL_REQUEST_TRADES ? read_trade(answer) : read_candle(answer));
        rows++;
    }
    if (code < 0) {
        return sl__refuse_json(decoder, code, "rows");
    }
    decoder->gave_event = true;
    answer->answer->rows = rows;
    answer->answer->more = rows == row_limit(answer->request);
    return 0;
}

/* A snapshot, open interest, or an error: one object with fields. */
static int read_one(struct answer *answer)
{
    static const char *const names[] = {"openInterest", "time", "code", "msg"};
    struct sl__binance *binance = answer->binance;
    sl_venue_decoder *decoder = &binance->base;
    const sl_venue_request *request = answer->request;
    sl_json_text values[4] = {{NULL, 0}};
    int64_t error = 0;
    if (request->kind == SL_REQUEST_SNAPSHOT) {
        SL_TRY(sl__binance_read(binance));
        const struct sl__binance_fields *fields = &binance->outer;
        if (!sl__binance_has(fields, SL__BINANCE_CODE)) {
            answer->answer->rows = 1;
            return sl__binance_give_snapshot(binance, answer->message, answer->output, SL_FEED_SNAPSHOT,
                                             request->instrument, 0);
        }
        values[2] = fields->fields[SL__BINANCE_CODE].text;
        values[3] = sl__binance_has(fields, SL__BINANCE_MSG) ? fields->fields[SL__BINANCE_MSG].text : values[3];
    } else {
        SL_TRY(sl__read_object(decoder, "answer", names, 4, values));
    }
    if (values[2].data != NULL) {
        SL_TRY(sl__text_int(decoder, "error", "code", values[2], &error));
        return sl__binance_refuse(binance, error, values[3], answer->answer);
    }
    if (request->kind != SL_REQUEST_OPEN_INTEREST) {
        return sl__refuse(decoder, SL_EPROTO, "an object where rows were asked for");
    }
    sl_market_event event =
        sl__event(decoder, answer->message, SL_EVENT_OPEN_INTEREST, SL_FEED_OPEN_INTEREST, request->instrument);
    SL_TRY(sl__need_decimal(decoder, names[0], names[0], values[0], &event.as.open_interest.quantity));
    SL_TRY(sl__need_time(decoder, names[0], names[1], values[1], NS_PER_MS, &event.venue_time_ns));
    answer->answer->rows = 1;
    return sl__give_event(decoder, answer->output, &event);
}

int sl__binance_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                            const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    struct answer answer = {(struct sl__binance *)decoder, request, message, output, ret_answer};
    SL_TRY(sl__decode_open(decoder, message));
    int code = 0;
    if (sl__binance_quotes_endpoint(decoder->options.venue, request->kind) != NULL) {
        code = sl__binance_decode_quotes(answer.binance, request, message, output, ret_answer);
    } else if (request->kind == SL_REQUEST_INSTRUMENTS) {
        code = instruments == NULL ? SL_EINVAL : read_instruments(&answer, instruments);
    } else if (sl_json_peek(decoder->json) == SL_JSON_ARRAY) {
        bool rows = request->kind == SL_REQUEST_TRADES || request->kind == SL_REQUEST_CANDLES;
        code = rows ? read_rows(&answer) : sl__refuse(decoder, SL_EPROTO, "an array where one object was asked for");
    } else {
        code = read_one(&answer);
    }
    SL_TRY(code);
    code = sl_json_finish(decoder->json);
    return code < 0 ? sl__refuse_json(decoder, code, "answer") : 0;
}
