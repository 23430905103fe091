/* SPDX-License-Identifier: MIT */
/*
 * Kraken spot: messages of WebSocket v1, for recordings. Data are arrays, [channel number, payload..., name, pair]:
 * what the payload is stands behind it. Both sides of a book may come as two payloads, the checksum is in the last.
 */
#include "kraken.h"

#include <stdio.h>
#include <stdlib.h>

#define PAYLOADS_MAX 2

/* One array of data, its parts by their places in the message. */
struct v1 {
    struct {
        size_t from, to;
    } payloads[PAYLOADS_MAX];
    unsigned count;
    char channel[24];
    char symbol[SL_SYMBOL_MAX];
};

/* "book-1000" and "XBT/USD" */
static int take_names(sl__reading *reading, struct v1 *v1, sl_json_text channel, sl_json_text pair)
{
    SL_TRY(sl__text_copy(reading->decoder, reading->what, "channel", channel, v1->channel, sizeof(v1->channel)));
    return sl__kraken_symbol(pair, v1->symbol)
               ? 0
               : sl__bad(reading, SL_EPROTO, "\"%s\" is no pair", sl__excerpt(pair).text);
}

static int read_parts(sl__reading *reading, struct v1 *v1)
{
    sl_json *json = reading->decoder->json;
    sl_json_text texts[3]; /* the channel's number and name, the pair */
    unsigned scalars = 0;
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        sl_json_type type = sl_json_peek(json);
        bool payload = type == SL_JSON_OBJECT || type == SL_JSON_ARRAY;
        if (payload ? v1->count == PAYLOADS_MAX : scalars == 3) {
            return sl__bad(reading, SL_EPROTO, "more parts than are known");
        }
        if (payload) {
            v1->payloads[v1->count].from = sl_json_here(json);
            code = sl_json_skip(json);
            v1->payloads[v1->count++].to = sl_json_behind(json);
        } else {
            code = sl_json_get_scalar(json, &texts[scalars++]);
        }
        code = code < 0 ? sl__bad_json(reading, code) : code;
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(reading));
    if (scalars != 3 || v1->count == 0) {
        return sl__bad(reading, SL_EPROTO, "parts are missing");
    }
    return take_names(reading, v1, texts[1], texts[2]);
}

enum { B_AS, B_BS, B_A, B_B, B_C, B_COUNT };

/* One payload of a book; the levels are added. */
static int read_book_part(sl__reading *reading, unsigned *seen, sl_book_checksum *checksum)
{
    static const sl__name book_names[B_COUNT] = {
        [B_AS] = SL__NAME("as", ARRAY), [B_BS] = SL__NAME("bs", ARRAY), [B_A] = SL__NAME("a", ARRAY),
        [B_B] = SL__NAME("b", ARRAY),   [B_C] = SL__NAME("c", STRING),
    };
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    int64_t value = -1;
    int code = sl__fields_enter(reading, &fields, book_names, B_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        bool asks = code - 1 == B_AS || code - 1 == B_A;
        code = sl__read_levels(decoder, asks ? &decoder->asks : &decoder->bids);
    }
    SL_TRY(code);
    *seen |= fields.present;
    if (sl__field_has(&fields, B_C)) {
        SL_TRY(sl__field_int(reading, &fields, B_C, &value));
        if (value < 0 || value > UINT32_MAX) {
            return sl__bad(reading, SL_ERANGE, "\"c\" does not fit into 32 bits");
        }
        *checksum = (sl_book_checksum){true, (uint32_t)value};
    }
    return sl__reading_finish(reading);
}

static int read_book(sl__reading *reading, const struct v1 *v1, const sl_instrument *instrument)
{
    sl_venue_decoder *decoder = reading->decoder;
    sl_book_checksum checksum = {false, 0};
    sl_json_text depth_text = {v1->channel + 5, strlen(v1->channel) - 5}; /* behind "book-" */
    int64_t depth = 0;
    unsigned seen = 0;
    for (unsigned at = 0; at < v1->count; at++) {
        SL_TRY(sl__reading_again(reading, v1->payloads[at].from, v1->payloads[at].to));
        SL_TRY(read_book_part(reading, &seen, &checksum));
    }
    SL_TRY(sl__text_int(decoder, reading->what, "depth", depth_text, &depth));
    if (depth < 0 || depth > SL_VENUE_LEVELS_DEFAULT) {
        return sl__bad(reading, SL_ERANGE, "the depth in \"%s\" is out of range", v1->channel);
    }
    bool snapshot = (seen & (1u << B_AS | 1u << B_BS)) != 0;
    if (snapshot == ((seen & (1u << B_A | 1u << B_B)) != 0)) {
        return sl__bad(reading, SL_EPROTO, "neither a snapshot nor an update");
    }
    if (instrument == NULL) {
        return 0;
    }
    sl_market_event event =
        sl__event_of(reading, snapshot ? SL_EVENT_BOOK_SNAPSHOT : SL_EVENT_BOOK_DELTA, SL_FEED_DEPTH, instrument);
    if (snapshot) {
        event.as.snapshot =
            (sl_book_snapshot){.checksum = checksum, .depth = (uint32_t)depth, .levels = sl__levels(decoder)};
    } else {
        event.as.delta = (sl_book_delta){.checksum = checksum, .depth = (uint32_t)depth, .levels = sl__levels(decoder)};
    }
    return sl__give(reading, &event);
}

/* ["5541.20000","0.15850568","1534614057.321597","s","l",""]; v1 gives trades no ids */
static int read_trades(sl__reading *reading, const sl_instrument *instrument)
{
    enum { PRICE, QUANTITY, TIME, SIDE, COLUMNS };
    sl_venue_decoder *decoder = reading->decoder;
    sl_json_text row[COLUMNS];
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, instrument);
        sl_trade *trade = &event.as.trade;
        SL_TRY(sl__row_read(reading, row, COLUMNS, COLUMNS));
        SL_TRY(sl__text_decimal(decoder, reading->what, "price", row[PRICE], &trade->price));
        SL_TRY(sl__text_decimal(decoder, reading->what, "volume", row[QUANTITY], &trade->quantity));
        SL_TRY(sl__text_when(reading, "time", row[TIME], SL__SECONDS, &event.venue_time_ns));
        SL_TRY(sl__text_side(reading, "side", row[SIDE], &trade->taker));
        if (trade->quantity.mantissa < 0) {
            return sl__bad(reading, SL_EPROTO, "\"volume\" is negative");
        }
        if (instrument != NULL) {
            SL_TRY(sl__give(reading, &event));
        }
    }
    SL_TRY(code);
    return sl__reading_finish(reading);
}

/* Letters with arrays: {"a":[price,whole lots,lots],"b":..,"c":[last,..],"v":[today,24 h],"l":..,"h":..,"o":..} */
static int read_ticker(sl__reading *reading, const sl_instrument *instrument)
{
    enum { ASK, BID, LAST, VOLUME, LOW, HIGH, OPEN, COUNT };
    static const sl__name ticker_names[COUNT] = {
        [ASK] = SL__NAME("a", ARRAY),    [BID] = SL__NAME("b", ARRAY), [LAST] = SL__NAME("c", ARRAY),
        [VOLUME] = SL__NAME("v", ARRAY), [LOW] = SL__NAME("l", ARRAY), [HIGH] = SL__NAME("h", ARRAY),
        [OPEN] = SL__NAME("o", ARRAY),
    };
    sl_market_event event = sl__event_of(reading, SL_EVENT_TICKER, SL_FEED_TICKER, instrument);
    sl_ticker *ticker = &event.as.ticker;
    const struct {
        unsigned column;
        sl_decimal *value;
    } values[COUNT][2] = {
        [ASK] = {{0, &ticker->ask.price}, {2, &ticker->ask.quantity}},
        [BID] = {{0, &ticker->bid.price}, {2, &ticker->bid.quantity}},
        [LAST] = {{0, &ticker->last}},
        [VOLUME] = {{1, &ticker->volume}},
        [LOW] = {{1, &ticker->low}},
        [HIGH] = {{1, &ticker->high}},
        [OPEN] = {{1, &ticker->open}},
    };
    sl__fields fields;
    sl_json_text row[3];
    int code = sl__fields_enter(reading, &fields, ticker_names, COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        unsigned field = (unsigned)code - 1;
        unsigned columns = field == ASK || field == BID ? 3 : 2;
        SL_TRY(sl__row_read(reading, row, columns, columns));
        for (unsigned at = 0; at < 2 && values[field][at].value != NULL; at++) {
            SL_TRY(sl__text_decimal(reading->decoder, reading->what, ticker_names[field].text,
                                    row[values[field][at].column], values[field][at].value));
        }
    }
    SL_TRY(code);
    SL_TRY(sl__reading_finish(reading));
    if (!sl__field_has(&fields, ASK) || !sl__field_has(&fields, BID) || !sl__field_has(&fields, LAST)) {
        return sl__bad(reading, SL_EPROTO, "\"a\", \"b\" or \"c\" is missing");
    }
    return instrument == NULL ? 0 : sl__give(reading, &event);
}

int sl__kraken_read_v1_data(sl__reading *reading)
{
    struct v1 v1 = {.count = 0};
    reading->what = "v1 data";
    SL_TRY(read_parts(reading, &v1));
    const sl_instrument *instrument = sl__instrument(reading->decoder, (sl_json_text){v1.symbol, strlen(v1.symbol)});
    if (strncmp(v1.channel, "book-", 5) == 0) {
        reading->what = "v1 book";
        return read_book(reading, &v1, instrument);
    }
    SL_TRY(sl__reading_again(reading, v1.payloads[0].from, v1.payloads[0].to));
    if (strcmp(v1.channel, "trade") == 0) {
        reading->what = "v1 trade";
        return read_trades(reading, instrument);
    }
    if (strcmp(v1.channel, "ticker") == 0) {
        reading->what = "v1 ticker";
        return read_ticker(reading, instrument);
    }
    return sl__bad(reading, SL_ENOTSUP, "the channel \"%s\" is not decoded", v1.channel);
}

/* "book-1000" or "trade" */
static sl_feed feed_of(sl_json_text channel)
{
    if (channel.size_bytes >= 4 && memcmp(channel.data, "book", 4) == 0) {
        return SL_FEED_DEPTH;
    }
    if (channel.size_bytes >= 4 && memcmp(channel.data, "ohlc", 4) == 0) {
        return SL_FEED_CANDLES;
    }
    return sl_json_is(channel, "trade") ? SL_FEED_TRADES
                                        : (sl_json_is(channel, "ticker") ? SL_FEED_TICKER : SL_FEED_NONE);
}

int sl__kraken_read_v1_event(sl__reading *reading)
{
    enum { EVENT, STATUS, PAIR, CHANNEL, ERROR, REQ_ID, COUNT };
    static const sl__name event_names[COUNT] = {
        [EVENT] = SL__NAME("event", STRING),        [STATUS] = SL__NAME("status", STRING),
        [PAIR] = SL__NAME("pair", STRING),          [CHANNEL] = SL__NAME("channelName", STRING),
        [ERROR] = SL__NAME("errorMessage", STRING), [REQ_ID] = SL__NAME("reqid", NUMBER),
    };
    sl__fields fields;
    char symbol[SL_SYMBOL_MAX];
    sl_venue_notice notice = {.kind = SL_NOTICE_ERROR};
    reading->what = "v1 event";
    SL_TRY(sl__fields_read(reading, &fields, event_names, COUNT));
    notice.text = sl__field_or_empty(&fields, STATUS);
    if (sl__field_is(&fields, EVENT, "heartbeat")) {
        notice.kind = SL_NOTICE_HEARTBEAT;
    } else if (sl__field_is(&fields, EVENT, "pong")) {
        notice.kind = SL_NOTICE_PONG;
    } else if (sl__field_is(&fields, EVENT, "systemStatus")) {
        notice.kind = SL_NOTICE_STATUS;
    } else if (sl__field_is(&fields, EVENT, "error")) {
        notice.text = sl__field_or_empty(&fields, ERROR);
    } else if (sl__field_is(&fields, EVENT, "subscriptionStatus")) {
        bool on = sl__field_is(&fields, STATUS, "subscribed");
        bool off = sl__field_is(&fields, STATUS, "unsubscribed");
        notice.kind = on ? SL_NOTICE_SUBSCRIBED : (off ? SL_NOTICE_UNSUBSCRIBED : SL_NOTICE_REFUSED);
        notice.feed = feed_of(sl__field_or_empty(&fields, CHANNEL));
        notice.symbol = sl__field_or_empty(&fields, PAIR);
        notice.text = sl__field_or_empty(&fields, ERROR);
        notice.permanent = sl__contains(notice.text, "not supported");
        if (sl__kraken_symbol(notice.symbol, symbol)) {
            notice.instrument = sl__find(reading, (sl_json_text){symbol, strlen(symbol)});
        }
    } else {
        return sl__bad(reading, SL_ENOTSUP, "events \"%s\" are not decoded",
                       sl__excerpt(sl__field_or_empty(&fields, EVENT)).text);
    }
    SL_TRY(sl__field_int_if(reading, &fields, REQ_ID, &notice.request_id));
    return sl__notify(reading, &notice);
}
