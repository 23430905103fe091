/* SPDX-License-Identifier: MIT */
/*
 * Bitstamp v2: messages of its streams, {"event":..,"channel":..,"data":{..}}; the data often come first. One table of
 * names serves the data of all events, so that they are read before it is known whose they are.
 */
#include "bitstamp.h"

enum { EVENT, CHANNEL, DATA, COUNT };
static const sl__name names[COUNT] = {
    [EVENT] = SL__NAME("event", STRING), [CHANNEL] = SL__NAME("channel", STRING), [DATA] = SL__NAME("data", NONE)};

enum {
    D_TIME,
    D_BIDS,
    D_ASKS,
    D_ID,
    D_AMOUNT,
    D_AMOUNT_TEXT,
    D_PRICE,
    D_PRICE_TEXT,
    D_TYPE,
    D_CODE,
    D_MESSAGE,
    D_COUNT,
};
static const sl__name data_names[D_COUNT] = {
    [D_TIME] = SL__NAME("microtimestamp", STRING),
    [D_BIDS] = SL__NAME("bids", ARRAY),
    [D_ASKS] = SL__NAME("asks", ARRAY),
    [D_ID] = SL__NAME("id", NUMBER),
    [D_AMOUNT] = SL__NAME("amount", NUMBER),
    [D_AMOUNT_TEXT] = SL__NAME("amount_str", STRING),
    [D_PRICE] = SL__NAME("price", NUMBER),
    [D_PRICE_TEXT] = SL__NAME("price_str", STRING),
    [D_TYPE] = SL__NAME("type", NUMBER),
    [D_CODE] = SL__NAME("code", NONE),
    [D_MESSAGE] = SL__NAME("message", STRING),
};

static int read_data(sl__reading *reading, sl__fields *data)
{
    sl_venue_decoder *decoder = reading->decoder;
    int code = sl__fields_enter(reading, data, data_names, D_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, data)) > 0) {
        int field = code - 1;
        if (field == D_BIDS || field == D_ASKS) {
            code = sl__read_side(decoder, field == D_BIDS);
        } else {
            code = sl__fields_keep(reading, data, (unsigned)field);
        }
    }
    return code;
}

/* "live_trades_btcusd": the feed, and the symbol behind it. */
static sl_feed split_channel(sl_json_text channel, sl_json_text *ret_symbol)
{
    static const struct {
        const char *prefix;
        sl_feed feed;
    } channels[] = {
        {"live_trades_", SL_FEED_TRADES}, {"diff_order_book_", SL_FEED_DEPTH}, {"order_book_", SL_FEED_BEST}};
    for (size_t at = 0; at < sizeof(channels) / sizeof(channels[0]); at++) {
        size_t size_bytes = strlen(channels[at].prefix);
        if (channel.size_bytes > size_bytes && memcmp(channel.data, channels[at].prefix, size_bytes) == 0) {
            *ret_symbol = (sl_json_text){channel.data + size_bytes, channel.size_bytes - size_bytes};
            return channels[at].feed;
        }
    }
    *ret_symbol = (sl_json_text){"", 0};
    return SL_FEED_NONE;
}

static int make_trade(sl__reading *reading, const sl__fields *data, const sl_instrument *instrument)
{
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, instrument);
    sl_trade *trade = &event.as.trade;
    bool texts = sl__field_has(data, D_AMOUNT_TEXT) && sl__field_has(data, D_PRICE_TEXT);
    int64_t type = 0;
    SL_TRY(sl__field_int(reading, data, D_ID, &trade->id));
    SL_TRY(sl__field_quantity(reading, data, texts ? D_AMOUNT_TEXT : D_AMOUNT, &trade->quantity));
    SL_TRY(sl__field_decimal(reading, data, texts ? D_PRICE_TEXT : D_PRICE, &trade->price));
    SL_TRY(sl__field_int(reading, data, D_TYPE, &type));
    SL_TRY(sl__field_time(reading, data, D_TIME, SL__US, &event.venue_time_ns));
    if (type != 0 && type != 1) {
        return sl__bad(reading, SL_EPROTO, "\"type\" is neither 0 nor 1");
    }
    trade->taker = type == 0 ? SL_SIDE_BUY : SL_SIDE_SELL;
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    return instrument == NULL ? 0 : sl__give(reading, &event);
}

static int make_book(sl__reading *reading, const sl__fields *data, sl_feed feed, const sl_instrument *instrument)
{
    sl_levels levels = sl__levels(reading->decoder);
    sl_market_event event = sl__event_of(reading, SL_EVENT_BOOK_DELTA, feed, instrument);
    sl_json_text none;
    int64_t id = 0;
    SL_TRY(sl__field_text(reading, data, D_BIDS, &none));
    SL_TRY(sl__field_text(reading, data, D_ASKS, &none));
    SL_TRY(sl__field_time(reading, data, D_TIME, SL__US, &event.venue_time_ns));
    SL_TRY(sl__field_int(reading, data, D_TIME, &id));
    if (feed == SL_FEED_BEST) {
        event.kind = SL_EVENT_BEST;
        event.as.best.update_id = id;
        event.as.best.bid = levels.bid_count > 0 ? levels.bids[0] : event.as.best.bid;
        event.as.best.ask = levels.ask_count > 0 ? levels.asks[0] : event.as.best.ask;
    } else {
        event.as.delta = (sl_book_delta){.first_id = id, .last_id = id, .levels = levels};
    }
    return instrument == NULL ? 0 : sl__give(reading, &event);
}

/* Answers and notices: their event begins with "bts:". */
static int make_notice(sl__reading *reading, sl_json_text event, const sl__fields *data, sl_venue_notice *notice)
{
    notice->text = sl__field_or_empty(data, D_MESSAGE);
    if (sl_json_is(event, "bts:subscription_succeeded")) {
        notice->kind = SL_NOTICE_SUBSCRIBED;
    } else if (sl_json_is(event, "bts:unsubscription_succeeded")) {
        notice->kind = SL_NOTICE_UNSUBSCRIBED;
    } else if (sl_json_is(event, "bts:heartbeat")) {
        notice->kind = SL_NOTICE_PONG;
    } else if (sl_json_is(event, "bts:request_reconnect")) {
        notice->kind = SL_NOTICE_RECONNECT;
    } else if (sl_json_is(event, "bts:error")) {
        bool refused = notice->feed != SL_FEED_NONE || sl__contains(notice->text, "subscription");
        notice->kind = refused ? SL_NOTICE_REFUSED : SL_NOTICE_ERROR;
        notice->permanent =
            refused && (sl__contains(notice->text, "Bad subscription") || sl__contains(notice->text, "unauthorized"));
        if (sl_json_text_int64(sl__field_or_empty(data, D_CODE), &notice->code) < 0) {
            notice->code = 0; /* null, or no number */
        }
        if (sl__contains(notice->text, "rate") || sl__contains(notice->text, "too many")) {
            notice->kind = SL_NOTICE_RATE_LIMITED;
        }
    } else {
        return sl__bad(reading, SL_ENOTSUP, "events \"%s\" are not decoded", sl__excerpt(event).text);
    }
    return sl__notify(reading, notice);
}

static int make_event(sl__reading *reading, const sl__fields *fields, const sl__fields *data)
{
    sl_json_text event = {"", 0};
    sl_json_text channel = {"", 0};
    sl_venue_notice notice = {.kind = SL_NOTICE_NONE};
    SL_TRY(sl__field_text(reading, fields, EVENT, &event));
    notice.feed = split_channel(sl__field_or_empty(fields, CHANNEL), &notice.symbol);
    if (event.size_bytes > 4 && memcmp(event.data, "bts:", 4) == 0) {
        reading->what = "notice";
        notice.instrument = sl__find(reading, notice.symbol);
        return make_notice(reading, event, data, &notice);
    }
    SL_TRY(sl__field_text(reading, fields, CHANNEL, &channel));
    bool trade = sl_json_is(event, "trade") && notice.feed == SL_FEED_TRADES;
    bool book = sl_json_is(event, "data") && (notice.feed == SL_FEED_DEPTH || notice.feed == SL_FEED_BEST);
    if (!trade && !book) {
        return sl__bad(reading, SL_ENOTSUP, "events \"%s\" of the channel \"%s\" are not decoded",
                       sl__excerpt(event).text, sl__excerpt(channel).text);
    }
    reading->what = trade ? "trade" : "book";
    const sl_instrument *instrument = sl__instrument(reading->decoder, notice.symbol);
    return trade ? make_trade(reading, data, instrument) : make_book(reading, data, notice.feed, instrument);
}

int sl__bitstamp_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    sl__reading reading;
    sl__fields fields;
    sl__fields data = {.names = data_names, .count = D_COUNT};
    SL_TRY(sl__reading_begin(&reading, decoder, message, output));
    int code = sl__fields_enter(&reading, &fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(&reading, &fields)) > 0) {
        code = read_data(&reading, &data); /* an array is refused there */
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(&reading));
    return make_event(&reading, &fields, &data);
}
