/* SPDX-License-Identifier: MIT */
/*
 * Kraken spot: messages of WebSocket v2: {"channel":..,"type":..,"data":..}, answers {"method":..} and errors. What the
 * data are is in data.c.
 */
#include "kraken.h"

enum { CHANNEL, TYPE, DATA, METHOD, RESULT, SUCCESS, ERROR, SYMBOL, REQ_ID, ERROR_ALONE, EVENT, COUNT };
static const sl__name names[COUNT] = {
    [CHANNEL] = SL__NAME("channel", STRING), [TYPE] = SL__NAME("type", STRING),
    [DATA] = SL__NAME("data", NONE),         [METHOD] = SL__NAME("method", STRING),
    [RESULT] = SL__NAME("result", OBJECT),   [SUCCESS] = SL__NAME("success", BOOL),
    [ERROR] = SL__NAME("error", STRING),     [SYMBOL] = SL__NAME("symbol", STRING),
    [REQ_ID] = SL__NAME("req_id", NUMBER),   [ERROR_ALONE] = SL__NAME("Error", STRING),
    [EVENT] = SL__NAME("event", STRING),
};

/* What is said of the subscription in an answer. */
enum { R_CHANNEL, R_SYMBOL, R_DEPTH, R_TRIGGER, R_INTERVAL, R_COUNT };
static const sl__name result_names[R_COUNT] = {
    [R_CHANNEL] = SL__NAME("channel", STRING),   [R_SYMBOL] = SL__NAME("symbol", STRING),
    [R_DEPTH] = SL__NAME("depth", NUMBER),       [R_TRIGGER] = SL__NAME("event_trigger", STRING),
    [R_INTERVAL] = SL__NAME("interval", NUMBER),
};

static sl_feed feed_of(sl_json_text channel, bool best)
{
    static const struct {
        const char *name;
        sl_feed feed;
    } feeds[] = {{"book", SL_FEED_DEPTH},
                 {"trade", SL_FEED_TRADES},
                 {"ticker", SL_FEED_TICKER},
                 {"ohlc", SL_FEED_CANDLES},
                 {"instrument", SL_FEED_STATUS}};
    for (size_t at = 0; at < sizeof(feeds) / sizeof(feeds[0]); at++) {
        if (sl_json_is(channel, feeds[at].name)) {
            return best ? SL_FEED_BEST : feeds[at].feed;
        }
    }
    return SL_FEED_NONE;
}

/* "Exceeded msg rate", "EAPI:Rate limit exceeded"; a pair's name may have the word in it, too. */
static bool is_limit(sl_json_text text)
{
    return sl__contains(text, "msg rate") || sl__contains(text, "rate limit");
}

/* Why something was refused, and whether it is of use to ask again. */
static void judge(sl_venue_notice *notice, bool off)
{
    sl_json_text text = notice->text;
    if (is_limit(text)) {
        notice->kind = SL_NOTICE_RATE_LIMITED;
    } else if (sl__contains(text, "one ohlc interval") && !off) {
        notice->kind = SL_NOTICE_REFUSED; /* "Already subscribed to one ohlc interval on this symbol": to another one */
    } else if (sl__contains(text, "already subscribed") && !off) {
        notice->kind = SL_NOTICE_SUBSCRIBED;
    } else if (off) {
        notice->kind = SL_NOTICE_UNSUBSCRIBED; /* "Subscription Not Found": it is not there, as was wanted */
    } else {
        notice->kind = SL_NOTICE_REFUSED;
        notice->permanent =
            sl__contains(text, "not supported") || sl__contains(text, "invalid") || sl__contains(text, "malformed");
    }
}

static int make_answer(sl__reading *reading, const sl__fields *fields, const sl__fields *result, sl_json_text method)
{
    bool off = sl_json_is(method, "unsubscribe");
    sl_venue_notice notice = {.kind = off ? SL_NOTICE_UNSUBSCRIBED : SL_NOTICE_SUBSCRIBED};
    int64_t depth = 0, minutes = 0;
    SL_TRY(sl__field_int_if(reading, fields, REQ_ID, &notice.request_id));
    if (sl_json_is(method, "pong")) {
        notice.kind = SL_NOTICE_PONG;
        return sl__notify(reading, &notice);
    }
    if (!off && !sl_json_is(method, "subscribe")) {
        return sl__bad(reading, SL_ENOTSUP, "the method \"%s\" is not decoded", sl__excerpt(method).text);
    }
    bool has_result = sl__field_has(fields, RESULT);
    notice.symbol = has_result ? sl__field_or_empty(result, R_SYMBOL) : sl__field_or_empty(fields, SYMBOL);
    notice.instrument = sl__find(reading, notice.symbol);
    if (has_result) {
        notice.feed = feed_of(sl__field_or_empty(result, R_CHANNEL), sl__field_is(result, R_TRIGGER, "bbo"));
        SL_TRY(sl__field_int_if(reading, result, R_DEPTH, &depth));
        SL_TRY(sl__field_int_if(reading, result, R_INTERVAL, &minutes));
        notice.interval_ns = minutes > 0 && minutes <= SL__KRAKEN_MINUTES_MAX ? minutes * 60 * SL__S : 0;
    }
    if (!sl__field_is(fields, SUCCESS, "true")) {
        SL_TRY(sl__field_text(reading, fields, ERROR, &notice.text));
        judge(&notice, off);
    } else if (notice.feed == SL_FEED_DEPTH && notice.instrument != NULL) {
        if (depth < 0 || depth > SL_VENUE_LEVELS_DEFAULT) {
            return sl__bad(reading, SL_ERANGE, "\"depth\" is out of range");
        }
        SL_TRY(sl__kraken_set_depth(reading, notice.instrument, off ? 0 : (uint32_t)depth));
    }
    return sl__notify(reading, &notice);
}

/* What is not data. */
static int make_notice(sl__reading *reading, const sl__fields *fields, const sl__fields *result)
{
    reading->what = "answer";
    if (sl__field_is(fields, CHANNEL, "heartbeat")) {
        return sl__notify_text(reading, SL_NOTICE_HEARTBEAT, (sl_json_text){"", 0});
    }
    if (sl__field_has(fields, METHOD)) {
        return make_answer(reading, fields, result, fields->values[METHOD].text);
    }
    unsigned error = sl__field_has(fields, ERROR) ? ERROR : ERROR_ALONE;
    if (sl__field_has(fields, error)) {
        sl_json_text text = fields->values[error].text;
        return sl__notify_text(reading, is_limit(text) ? SL_NOTICE_RATE_LIMITED : SL_NOTICE_ERROR, text);
    }
    if (sl__field_has(fields, EVENT)) {
        SL_TRY(sl__reading_again(reading, 0, reading->message->size_bytes));
        return sl__kraken_read_v1_event(reading);
    }
    return sl__field_has(fields, CHANNEL)
               ? sl__bad(reading, SL_EPROTO, "\"data\" is missing")
               : sl__bad(reading, SL_EPROTO, "neither \"channel\" nor \"method\" nor \"error\"");
}

int sl__kraken_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    sl__reading reading;
    sl__fields fields, result;
    bool done = false;
    result.present = 0;
    SL_TRY(sl__reading_begin(&reading, decoder, message, output));
    if (sl_json_peek(decoder->json) == SL_JSON_ARRAY) {
        return sl__kraken_read_v1_data(&reading);
    }
    int code = sl__fields_enter(&reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(&reading, &fields)) > 0) {
        if (code - 1 == RESULT) {
            code = sl__fields_read(&reading, &result, result_names, R_COUNT);
        } else if (code - 1 == DATA && sl__field_has(&fields, CHANNEL) && sl__field_has(&fields, TYPE) && !done) {
            done = true;
            code = sl__kraken_read_data(&reading, fields.values[CHANNEL].text, sl__field_is(&fields, TYPE, "snapshot"));
        } else {
            code = sl__fields_keep(&reading, &fields, (unsigned)code - 1);
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(&reading));
    if (done) {
        return 0;
    }
    if (!sl__field_has(&fields, DATA) || !sl__field_has(&fields, CHANNEL)) {
        return make_notice(&reading, &fields, &result);
    }
    /* What the data are was said behind them. */
    struct sl__excerpt channel = sl__excerpt(fields.values[CHANNEL].text);
    bool snapshot = sl__field_is(&fields, TYPE, "snapshot");
    SL_TRY(sl__field_again(&reading, &fields, DATA));
    return sl__kraken_read_data(&reading, (sl_json_text){channel.text, strlen(channel.text)}, snapshot);
}
