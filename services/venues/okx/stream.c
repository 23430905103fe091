/* SPDX-License-Identifier: MIT */
/*
 * OKX v5: messages of its public and business streams: {"arg":{"channel":..},"action":..,"data":[..]}, answers and
 * notices {"event":..}, and the text "pong". What the data are is in data.c.
 */
#include "okx.h"

enum { ARG, ACTION, DATA, EVENT, CODE, MSG, ID, CHANNEL, COUNT };
static const sl__name names[COUNT] = {
    [ARG] = SL__NAME("arg", OBJECT),     [ACTION] = SL__NAME("action", STRING),   [DATA] = SL__NAME("data", ARRAY),
    [EVENT] = SL__NAME("event", STRING), [CODE] = SL__NAME("code", STRING),       [MSG] = SL__NAME("msg", STRING),
    [ID] = SL__NAME("id", STRING),       [CHANNEL] = SL__NAME("channel", STRING),
};

static int read_arg(sl__reading *reading, struct sl__okx_around *around)
{
    enum { A_CHANNEL, INSTRUMENT, A_COUNT };
    static const sl__name arg_names[A_COUNT] = {SL__NAME("channel", STRING), SL__NAME("instId", STRING)};
    sl__fields fields;
    sl_json_text channel = {"", 0};
    SL_TRY(sl__fields_read(reading, &fields, arg_names, A_COUNT));
    SL_TRY(sl__field_text(reading, &fields, A_CHANNEL, &channel));
    around->known = true;
    around->channel = sl__excerpt(channel);
    around->symbol = sl__field_or_empty(&fields, INSTRUMENT);
    around->feed = sl__okx_feed_of(channel, &around->interval_ns);
    around->mark_price = sl_json_is(channel, "mark-price");
    around->snapshots = sl_json_is(channel, "books5");
    around->instrument = sl__find(reading, around->symbol);
    return 0;
}

/* ---- answers and notices ---- */

static void take_feed(sl__reading *reading, sl_venue_notice *notice, sl_json_text channel, sl_json_text symbol)
{
    notice->feed = sl__okx_feed_of(channel, &notice->interval_ns);
    notice->symbol = symbol;
    notice->instrument = sl__find(reading, symbol);
}

/*
 * Codes of docs-v5 "Error code": 60012 and 60018 name what does not exist ("Wrong URL or channel:trades,instId:BTC-FOO
 * doesn't exist"); 60011 ("Please log in"), 60029, 60030 and 64003 are channels that are for some accounts only.
 */
static bool is_for_good(int64_t code)
{
    static const int64_t codes[] = {60011, 60012, 60018, 60029, 60030, 64003};
    for (size_t at = 0; at < sizeof(codes) / sizeof(codes[0]); at++) {
        if (code == codes[at]) {
            return true;
        }
    }
    return false;
}

/* 60014, 50011 and 50061 are limits; 64004 is a subscription that took too long. */
static void judge(sl__reading *reading, sl_venue_notice *notice)
{
    sl_json_text channel = sl__between(notice->text, "channel:", " ,\"}");
    sl_json_text symbol = sl__between(notice->text, "instId:", " ,\"}");
    notice->kind = SL_NOTICE_ERROR;
    if (notice->code == 60014 || notice->code == 50011 || notice->code == 50061) {
        notice->kind = SL_NOTICE_RATE_LIMITED;
    } else if (is_for_good(notice->code) || notice->code == 64004) {
        notice->kind = SL_NOTICE_REFUSED;
        notice->permanent = notice->code != 64004;
        if (symbol.size_bytes > 0) {
            take_feed(reading, notice, channel, symbol);
        }
    }
}

static int make_event(sl__reading *reading, const sl__fields *fields, const struct sl__okx_around *around)
{
    sl_venue_notice notice = {.text = sl__field_or_empty(fields, MSG)};
    sl_json_text channel = sl__field_or_empty(fields, CHANNEL);
    reading->what = "event";
    if (sl_json_text_int64(sl__field_or_empty(fields, ID), &notice.request_id) < 0) {
        notice.request_id = 0; /* none, or not ours */
    }
    SL_TRY(sl__field_int_if(reading, fields, CODE, &notice.code));
    bool off = sl__field_is(fields, EVENT, "unsubscribe");
    if (off || sl__field_is(fields, EVENT, "subscribe")) {
        if (!around->known) {
            return sl__bad(reading, SL_EPROTO, "\"arg\" is missing");
        }
        notice.kind = off ? SL_NOTICE_UNSUBSCRIBED : SL_NOTICE_SUBSCRIBED;
        take_feed(reading, &notice, (sl_json_text){around->channel.text, strlen(around->channel.text)}, around->symbol);
    } else if (sl__field_is(fields, EVENT, "error")) {
        judge(reading, &notice);
    } else if (sl__field_is(fields, EVENT, "notice")) {
        notice.kind = notice.code == 64008 ? SL_NOTICE_RECONNECT : SL_NOTICE_STATUS; /* 64008: an upgrade comes */
    } else if (sl__field_is(fields, EVENT, "channel-conn-count")) {
        notice.kind = SL_NOTICE_STATUS;
        notice.text = channel;
    } else if (sl__field_is(fields, EVENT, "channel-conn-count-error")) {
        notice.kind = SL_NOTICE_REFUSED; /* too many connections have this channel */
        take_feed(reading, &notice, channel, (sl_json_text){"", 0});
        notice.text = channel;
    } else {
        return sl__bad(reading, SL_ENOTSUP, "events \"%s\" are not decoded",
                       sl__excerpt(sl__field_or_empty(fields, EVENT)).text);
    }
    return sl__notify(reading, &notice);
}

/* ---- messages ---- */

/* Whether the data may be read now: of a book it has to be known which action it is. */
static bool is_ready(const sl__fields *fields, const struct sl__okx_around *around)
{
    return around->known && (around->feed != SL_FEED_DEPTH || around->snapshots || sl__field_has(fields, ACTION));
}

static int take_action(sl__reading *reading, const sl__fields *fields, struct sl__okx_around *around)
{
    around->update = sl__field_is(fields, ACTION, "update");
    if (around->feed == SL_FEED_DEPTH && !around->snapshots && !around->update &&
        !sl__field_is(fields, ACTION, "snapshot")) {
        return sl__bad(reading, SL_EPROTO, "\"action\" is neither \"snapshot\" nor \"update\"");
    }
    return 0;
}

static int read_message(sl__reading *reading)
{
    sl__fields fields;
    struct sl__okx_around around = {0};
    bool done = false;
    int code = sl__fields_enter(reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        if (code - 1 == ARG) {
            code = read_arg(reading, &around);
        } else if (!done && is_ready(&fields, &around)) {
            done = true;
            SL_TRY(take_action(reading, &fields, &around));
            code = sl__okx_read_data(reading, &around);
        } else {
            code = sl__fields_keep(reading, &fields, DATA);
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(reading));
    if (sl__field_has(&fields, EVENT)) {
        return make_event(reading, &fields, &around);
    }
    if (done) {
        return 0;
    }
    if (!around.known) {
        return sl__bad(reading, SL_EPROTO, "neither \"arg\" nor \"event\"");
    }
    SL_TRY(take_action(reading, &fields, &around));
    SL_TRY(sl__field_again(reading, &fields, DATA));
    return sl__okx_read_data(reading, &around);
}

int sl__okx_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    sl__reading reading;
    if (message->size_bytes == 4 && (memcmp(message->text, "pong", 4) == 0 || memcmp(message->text, "ping", 4) == 0)) {
        reading = (sl__reading){.decoder = decoder, .message = message, .output = output, .what = "pong"};
        return sl__notify_text(&reading, SL_NOTICE_PONG, (sl_json_text){"", 0});
    }
    SL_TRY(sl__reading_begin(&reading, decoder, message, output));
    return read_message(&reading);
}
