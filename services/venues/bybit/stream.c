/* SPDX-License-Identifier: MIT */
/*
 * Bybit v5: messages of its public streams, {"topic":..,"type":..,"ts":..,"data":..} in any order, and answers
 * {"success":..,"ret_msg":..,"req_id":..,"op":..}. What the data are is in data.c.
 */
#include "bybit.h"

enum { TOPIC, TYPE, TS, DATA, CTS, SUCCESS, RET_MSG, REQ_ID, OP, COUNT };
static const sl__name names[COUNT] = {
    [TOPIC] = SL__NAME("topic", STRING),     [TYPE] = SL__NAME("type", STRING),
    [TS] = SL__NAME("ts", NUMBER),           [DATA] = SL__NAME("data", NONE),
    [CTS] = SL__NAME("cts", NUMBER),         [SUCCESS] = SL__NAME("success", BOOL),
    [RET_MSG] = SL__NAME("ret_msg", STRING), [REQ_ID] = SL__NAME("req_id", STRING),
    [OP] = SL__NAME("op", STRING),
};

/* What the topic says; SL_ENOTSUP where it is of no known kind. Nothing of its text is kept. */
static int take_topic(sl__reading *reading, const sl__fields *fields, struct sl__bybit_around *around)
{
    sl_json_text text = {"", 0};
    SL_TRY(sl__field_text(reading, fields, TOPIC, &text));
    sl__bybit_topic topic = sl__bybit_topic_of(text);
    around->feed = topic.feed;
    around->interval_ns = topic.feed == SL_FEED_CANDLES ? sl__bybit_interval_of(topic.parameter) : 1;
    if (topic.feed == SL_FEED_NONE || around->interval_ns == 0) {
        return sl__bad(reading, SL_ENOTSUP, "the topic \"%s\" is not decoded", sl__excerpt(text).text);
    }
    reading->what = sl_feed_name(topic.feed);
    around->snapshot = sl__field_is(fields, TYPE, "snapshot");
    around->instrument = sl__instrument(reading->decoder, topic.symbol);
    return sl__field_time(reading, fields, TS, SL__MS, &reading->sent_time);
}

/* "error:handler not found,topic:orderbook.50.FOO" and "Invalid symbol :[orderbook.50.FOO]": which one it was. */
static void take_refused(sl__reading *reading, sl_venue_notice *notice)
{
    sl_json_text topic = sl__between(notice->text, "topic:", " ,]");
    if (topic.size_bytes == 0) {
        topic = sl__between(notice->text, "[", ",]");
    }
    sl__bybit_topic parts = sl__bybit_topic_of(topic);
    if (parts.feed != SL_FEED_NONE) {
        notice->feed = parts.feed;
        notice->interval_ns = parts.feed == SL_FEED_CANDLES ? sl__bybit_interval_of(parts.parameter) : 0;
        notice->symbol = parts.symbol;
        notice->instrument = sl__find(reading, parts.symbol);
    }
}

static int make_answer(sl__reading *reading, const sl__fields *fields)
{
    sl_venue_notice notice = {.kind = SL_NOTICE_SUBSCRIBED, .text = sl__field_or_empty(fields, RET_MSG)};
    bool off = sl__field_is(fields, OP, "unsubscribe");
    sl_json_text none;
    reading->what = "answer";
    if (sl_json_text_int64(sl__field_or_empty(fields, REQ_ID), &notice.request_id) < 0) {
        notice.request_id = 0; /* none, or not ours */
    }
    if (sl__field_is(fields, OP, "pong") || sl__field_is(fields, OP, "ping")) {
        notice.kind = SL_NOTICE_PONG;
        return sl__notify(reading, &notice);
    }
    SL_TRY(sl__field_text(reading, fields, SUCCESS, &none));
    notice.kind = off ? SL_NOTICE_UNSUBSCRIBED : SL_NOTICE_SUBSCRIBED;
    if (!sl__field_is(fields, SUCCESS, "true")) {
        bool already = sl__contains(notice.text, "already sub") && !off;
        notice.kind = already ? SL_NOTICE_SUBSCRIBED : SL_NOTICE_REFUSED;
        notice.permanent = sl__contains(notice.text, "handler not found") || sl__contains(notice.text, "invalid") ||
                           sl__contains(notice.text, "not exist");
        notice.kind = sl__contains(notice.text, "too many") ? SL_NOTICE_RATE_LIMITED : notice.kind;
        take_refused(reading, &notice);
    } else if (!off && !sl__field_is(fields, OP, "subscribe")) {
        return sl__bad(reading, SL_ENOTSUP, "an answer to \"%s\"", sl__excerpt(sl__field_or_empty(fields, OP)).text);
    }
    return sl__notify(reading, &notice);
}

int sl__bybit_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    sl__reading reading;
    sl__fields fields;
    struct sl__bybit_around around = {0};
    bool done = false;
    SL_TRY(sl__reading_begin(&reading, decoder, message, output));
    int code = sl__fields_enter(&reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(&reading, &fields)) > 0) {
        if (!done && sl__field_has(&fields, TOPIC) && sl__field_has(&fields, TYPE) && sl__field_has(&fields, TS)) {
            done = true;
            SL_TRY(take_topic(&reading, &fields, &around));
            code = sl__bybit_read_data(&reading, &around);
        } else {
            code = sl__fields_keep(&reading, &fields, (unsigned)code - 1);
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(&reading));
    if (!sl__field_has(&fields, TOPIC)) {
        return make_answer(&reading, &fields);
    }
    if (done) {
        SL_TRY(sl__field_time_if(&reading, &fields, CTS, SL__MS, &around.book_time));
    } else { /* something was said behind the data, which are opened once more */
        SL_TRY(take_topic(&reading, &fields, &around));
        SL_TRY(sl__field_time_if(&reading, &fields, CTS, SL__MS, &around.book_time));
        SL_TRY(sl__field_again(&reading, &fields, DATA));
        SL_TRY(sl__bybit_read_data(&reading, &around));
    }
    return around.has_book ? sl__bybit_give_book(&reading, &around) : 0;
}
