/* SPDX-License-Identifier: MIT */
/* Coinbase Exchange: messages of its WebSocket feed. All are flat objects with a "type". */
#include "coinbase.h"

enum {
    TYPE,
    PRODUCT,
    SEQUENCE,
    TRADE_ID,
    LAST_TRADE_ID,
    SIDE,
    SIZE,
    PRICE,
    TIME,
    BEST_BID,
    BEST_BID_SIZE,
    BEST_ASK,
    BEST_ASK_SIZE,
    OPEN,
    HIGH,
    LOW,
    VOLUME,
    ASKS,
    BIDS,
    CHANGES,
    CHANNELS,
    PRODUCTS,
    MESSAGE,
    REASON,
    COUNT,
};

static const sl__name names[COUNT] = {
    [TYPE] = SL__NAME("type", STRING),
    [PRODUCT] = SL__NAME("product_id", STRING),
    [SEQUENCE] = SL__NAME("sequence", NUMBER),
    [TRADE_ID] = SL__NAME("trade_id", NUMBER),
    [LAST_TRADE_ID] = SL__NAME("last_trade_id", NUMBER),
    [SIDE] = SL__NAME("side", STRING),
    [SIZE] = SL__NAME("size", STRING),
    [PRICE] = SL__NAME("price", STRING),
    [TIME] = SL__NAME("time", STRING),
    [BEST_BID] = SL__NAME("best_bid", STRING),
    [BEST_BID_SIZE] = SL__NAME("best_bid_size", STRING),
    [BEST_ASK] = SL__NAME("best_ask", STRING),
    [BEST_ASK_SIZE] = SL__NAME("best_ask_size", STRING),
    [OPEN] = SL__NAME("open_24h", STRING),
    [HIGH] = SL__NAME("high_24h", STRING),
    [LOW] = SL__NAME("low_24h", STRING),
    [VOLUME] = SL__NAME("volume_24h", STRING),
    [ASKS] = SL__NAME("asks", ARRAY),
    [BIDS] = SL__NAME("bids", ARRAY),
    [CHANGES] = SL__NAME("changes", ARRAY),
    [CHANNELS] = SL__NAME("channels", ARRAY),
    [PRODUCTS] = SL__NAME("products", ARRAY),
    [MESSAGE] = SL__NAME("message", STRING),
    [REASON] = SL__NAME("reason", STRING),
};

/* The next text of a change. */
static int next_text(sl__reading *reading, sl_json_text *ret_text)
{
    sl_json *json = reading->decoder->json;
    int code = sl_json_next_string(json, ret_text);
    if (code == 0) {
        return sl__bad(reading, SL_EPROTO, "a change of less than three texts before byte %zu", sl_json_behind(json));
    }
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

/* [["buy","101.80","0.162567"],...] */
static int read_changes(sl__reading *reading)
{
    sl_venue_decoder *decoder = reading->decoder;
    sl_json_text side_text, price, size;
    sl_side side = SL_SIDE_NONE;
    sl_level *level = NULL;
    sl__levels_clear(decoder);
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        SL_TRY(sl__array_enter(reading));
        SL_TRY(next_text(reading, &side_text));
        SL_TRY(next_text(reading, &price));
        SL_TRY(next_text(reading, &size));
        SL_TRY(sl__text_side(reading, "changes", side_text, &side));
        SL_TRY(sl__levels_add(decoder, side == SL_SIDE_BUY ? &decoder->bids : &decoder->asks, &level));
        SL_TRY(sl__text_decimal(decoder, reading->what, "price", price, &level->price));
        SL_TRY(sl__text_decimal(decoder, reading->what, "size", size, &level->quantity));
        if ((level->price.mantissa | level->quantity.mantissa) < 0) {
            return sl__bad(reading, SL_EPROTO, "a negative size or price before byte %zu", sl_json_here(decoder->json));
        }
        code = sl_json_leave(decoder->json);
        code = code < 0 ? sl__bad_json(reading, code) : code;
    }
    return code;
}

static int read_fields(sl__reading *reading, sl__fields *fields)
{
    sl_venue_decoder *decoder = reading->decoder;
    int code = sl__fields_enter(reading, fields, names, COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, fields)) > 0) {
        switch (code - 1) {
        case BIDS:
            code = sl__read_side(decoder, true);
            break;
        case ASKS:
            code = sl__read_side(decoder, false);
            break;
        case CHANGES:
            code = read_changes(reading);
            break;
        default: /* read again once the type is known */
            code = sl__fields_keep(reading, fields, (unsigned)code - 1);
            break;
        }
    }
    SL_TRY(code);
    return sl__reading_finish(reading);
}

/* The instrument of the message: 1, or 0 when it is not in the table. */
static int instrument_of(sl__reading *reading, const sl__fields *fields, const sl_instrument **ret_instrument)
{
    sl_json_text symbol = {"", 0};
    SL_TRY(sl__field_text(reading, fields, PRODUCT, &symbol));
    *ret_instrument = sl__instrument(reading->decoder, symbol);
    return *ret_instrument != NULL;
}

/* "side" is the maker's: the order that caused the trade is of the other one. */
static int make_trade(sl__reading *reading, const sl__fields *fields)
{
    const sl_instrument *instrument = NULL;
    sl_side maker = SL_SIDE_NONE;
    int known = instrument_of(reading, fields, &instrument);
    SL_TRY(known);
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__field_int(reading, fields, TRADE_ID, &trade->id));
    SL_TRY(sl__field_decimal(reading, fields, PRICE, &trade->price));
    SL_TRY(sl__field_quantity(reading, fields, SIZE, &trade->quantity));
    SL_TRY(sl__field_side(reading, fields, SIDE, &maker));
    SL_TRY(sl__field_time(reading, fields, TIME, SL__ISO, &event.venue_time_ns));
    trade->taker = maker == SL_SIDE_BUY ? SL_SIDE_SELL : SL_SIDE_BUY;
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    return known == 0 ? 0 : sl__give(reading, &event);
}

static int make_book(sl__reading *reading, const sl__fields *fields, bool snapshot)
{
    const sl_instrument *instrument = NULL;
    sl_json_text none;
    int known = instrument_of(reading, fields, &instrument);
    SL_TRY(known);
    sl_market_event event =
        sl__event_of(reading, snapshot ? SL_EVENT_BOOK_SNAPSHOT : SL_EVENT_BOOK_DELTA, SL_FEED_DEPTH, instrument);
    if (snapshot) {
        SL_TRY(sl__field_text(reading, fields, BIDS, &none));
        SL_TRY(sl__field_text(reading, fields, ASKS, &none));
        event.as.snapshot.levels = sl__levels(reading->decoder);
    } else {
        SL_TRY(sl__field_text(reading, fields, CHANGES, &none));
        event.as.delta.levels = sl__levels(reading->decoder);
    }
    SL_TRY(sl__field_time_if(reading, fields, TIME, SL__ISO, &event.venue_time_ns));
    return known == 0 ? 0 : sl__give(reading, &event);
}

/* One message makes two events: statistics, and the best bid and offer as they were at the last trade. */
static int make_ticker(sl__reading *reading, const sl__fields *fields)
{
    const sl_instrument *instrument = NULL;
    int known = instrument_of(reading, fields, &instrument);
    SL_TRY(known);
    sl_market_event event = sl__event_of(reading, SL_EVENT_TICKER, SL_FEED_TICKER, instrument);
    sl_ticker *ticker = &event.as.ticker;
    SL_TRY(sl__field_decimal(reading, fields, PRICE, &ticker->last));
    SL_TRY(sl__field_decimal_if(reading, fields, OPEN, &ticker->open));
    SL_TRY(sl__field_decimal_if(reading, fields, HIGH, &ticker->high));
    SL_TRY(sl__field_decimal_if(reading, fields, LOW, &ticker->low));
    SL_TRY(sl__field_decimal_if(reading, fields, VOLUME, &ticker->volume));
    SL_TRY(sl__field_decimal_if(reading, fields, BEST_BID, &ticker->bid.price));
    SL_TRY(sl__field_decimal_if(reading, fields, BEST_BID_SIZE, &ticker->bid.quantity));
    SL_TRY(sl__field_decimal_if(reading, fields, BEST_ASK, &ticker->ask.price));
    SL_TRY(sl__field_decimal_if(reading, fields, BEST_ASK_SIZE, &ticker->ask.quantity));
    SL_TRY(sl__field_time_if(reading, fields, TIME, SL__ISO, &event.venue_time_ns));
    if (known == 0) {
        return 0;
    }
    sl_level bid = ticker->bid;
    sl_level ask = ticker->ask;
    SL_TRY(sl__give(reading, &event));
    if (!sl__field_told(fields, BEST_BID_SIZE) || !sl__field_told(fields, BEST_ASK_SIZE)) {
        return 0; /* the form before 2022 */
    }
    event.kind = SL_EVENT_BEST;
    event.feed = SL_FEED_BEST;
    event.as.best = (sl_best){.bid = bid, .ask = ask};
    SL_TRY(sl__field_int_if(reading, fields, SEQUENCE, &event.as.best.update_id));
    return sl__give(reading, &event);
}

static int make_heartbeat(sl__reading *reading, const sl__fields *fields)
{
    sl_venue_notice notice = {.kind = SL_NOTICE_LAST_TRADE, .feed = SL_FEED_TRADES};
    SL_TRY(sl__field_text(reading, fields, PRODUCT, &notice.symbol));
    SL_TRY(sl__field_int(reading, fields, LAST_TRADE_ID, &notice.id));
    notice.instrument = sl__find(reading, notice.symbol);
    return sl__notify(reading, &notice);
}

/* "Failed to subscribe" with "BTC-FOO is not a valid product", and the ends of connections ("ErrSlowConsume"). */
static int make_error(sl__reading *reading, const sl__fields *fields)
{
    sl_json_text message = sl__field_or_empty(fields, MESSAGE);
    sl_json_text reason = sl__field_or_empty(fields, REASON);
    sl_venue_notice notice = {.kind = SL_NOTICE_ERROR, .text = reason.size_bytes > 0 ? reason : message};
    if (sl__contains(message, "rate limit") || sl__contains(message, "too many") ||
        sl__contains(reason, "rate limit")) {
        notice.kind = SL_NOTICE_RATE_LIMITED;
    } else if (sl__contains(message, "subscribe")) {
        notice.kind = SL_NOTICE_REFUSED;
        notice.permanent = sl__contains(reason, "not a valid") || sl__contains(reason, "authentication");
        if (sl__contains(reason, "not a valid product")) {
            notice.symbol = sl__between(reason, "", " ");
            notice.instrument = sl__find(reading, notice.symbol);
        }
    }
    return sl__notify(reading, &notice);
}

static unsigned feeds_of(sl_json_text channel)
{
    if (sl_json_is(channel, "matches")) {
        return SL_FEED_BIT(SL_FEED_TRADES);
    }
    if (sl_json_is(channel, "level2") || sl_json_is(channel, "level2_batch") || sl_json_is(channel, "level2_50")) {
        return SL_FEED_BIT(SL_FEED_DEPTH);
    }
    if (sl_json_is(channel, "ticker") || sl_json_is(channel, "ticker_batch")) {
        return SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_BEST);
    }
    return sl_json_is(channel, "status") ? SL_FEED_BIT(SL_FEED_STATUS) : 0;
}

/* A notice for each of the feeds. */
static int notify_feeds(sl__reading *reading, sl_notice_kind kind, unsigned feeds, const sl_instrument *instrument,
                        sl_json_text symbol)
{
    for (int feed = SL_FEED_NONE + 1; feed < SL_FEED_COUNT; feed++) {
        if ((feeds & SL_FEED_BIT(feed)) != 0) {
            sl_venue_notice notice = {.kind = kind, .feed = (sl_feed)feed, .instrument = instrument, .symbol = symbol};
            SL_TRY(sl__notify(reading, &notice));
        }
    }
    return 0;
}

static int read_acknowledged(sl__reading *reading, sl_json_text channel)
{
    struct sl__coinbase *coinbase = (struct sl__coinbase *)reading->decoder;
    unsigned feeds = feeds_of(channel);
    sl_json_text symbol = {"", 0};
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl_json_next_string(reading->decoder->json, &symbol)) > 0) {
        const sl_instrument *instrument = sl__find(reading, symbol);
        if (instrument != NULL) {
            struct sl__coinbase_state *state = sl__beside(&coinbase->states, instrument, sizeof(*state));
            if (state == NULL) {
                return sl__bad(reading, SL_ENOMEM, "out of memory");
            }
            state->now |= (uint16_t)feeds;
        }
        SL_TRY(notify_feeds(reading, SL_NOTICE_SUBSCRIBED, feeds, instrument, symbol));
    }
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

/* The whole state: what it lists is subscribed, what the one before listed and this one does not is no more. */
static int make_subscriptions(sl__reading *reading)
{
    enum { NAME, PRODUCT_IDS, CHANNEL_COUNT };
    static const sl__name channel_names[] = {SL__NAME("name", STRING), SL__NAME("product_ids", ARRAY)};
    struct sl__coinbase *coinbase = (struct sl__coinbase *)reading->decoder;
    struct sl__coinbase_state *states = NULL;
    sl__fields fields;
    reading->decoder->gave_notice = true; /* also when the list is empty */
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        code = sl__fields_enter(reading, &fields, channel_names, CHANNEL_COUNT);
        while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
            sl_json_text name = {"", 0};
            SL_TRY(sl__field_text(reading, &fields, NAME, &name)); /* before the list, or it could not be told */
            code = read_acknowledged(reading, name);
        }
        if (code == 0 && sl__field_is(&fields, NAME, "status")) {
            code =
                notify_feeds(reading, SL_NOTICE_SUBSCRIBED, SL_FEED_BIT(SL_FEED_STATUS), NULL, (sl_json_text){"", 0});
        }
    }
    SL_TRY(code);
    for (size_t at = 0; at < coinbase->states.count; at++) {
        states = (struct sl__coinbase_state *)(void *)coinbase->states.items;
        unsigned gone = states[at].before & ~(unsigned)states[at].now;
        const sl_instrument *instrument = sl_instruments_at(reading->decoder->options.instruments, at);
        states[at] = (struct sl__coinbase_state){states[at].now, 0};
        SL_TRY(notify_feeds(reading, SL_NOTICE_UNSUBSCRIBED, gone, instrument, (sl_json_text){"", 0}));
    }
    return 0;
}

sl_instrument_status sl__coinbase_status(sl_json_text status, bool restricted)
{
    if (sl_json_is(status, "delisted")) {
        return SL_STATUS_DELISTED;
    }
    return sl_json_is(status, "online") && !restricted ? SL_STATUS_TRADING : SL_STATUS_HALTED;
}

/* The status channel: all products, each 5 seconds or when something changes. */
static int make_status(sl__reading *reading)
{
    enum { ID, STATUS, CANCEL_ONLY, DISABLED, STATUS_COUNT };
    static const sl__name product_names[] = {SL__NAME("id", STRING), SL__NAME("status", STRING),
                                             SL__NAME("cancel_only", BOOL), SL__NAME("trading_disabled", BOOL)};
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    sl_json_text status = {"", 0};
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        SL_TRY(sl__fields_read(reading, &fields, product_names, STATUS_COUNT));
        SL_TRY(sl__field_text(reading, &fields, ID, &symbol));
        SL_TRY(sl__field_text(reading, &fields, STATUS, &status));
        const sl_instrument *instrument = sl__instrument(reading->decoder, symbol);
        if (instrument != NULL) {
            sl_market_event event = sl__event_of(reading, SL_EVENT_STATUS, SL_FEED_STATUS, instrument);
            bool restricted = sl__field_is(&fields, CANCEL_ONLY, "true") || sl__field_is(&fields, DISABLED, "true");
            event.as.status = sl__coinbase_status(status, restricted);
            SL_TRY(sl__give(reading, &event));
        }
    }
    return code;
}

/* Goes back to an array that was kept. */
static int again(sl__reading *reading, const sl__fields *fields, unsigned field, int (*make)(sl__reading *reading))
{
    SL_TRY(sl__field_again(reading, fields, field));
    return make(reading);
}

int sl__coinbase_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    sl__reading reading;
    sl__fields fields;
    sl_json_text type = {"", 0};
    SL_TRY(sl__reading_begin(&reading, decoder, message, output));
    SL_TRY(read_fields(&reading, &fields));
    SL_TRY(sl__field_text(&reading, &fields, TYPE, &type));
    if (sl_json_is(type, "l2update")) {
        reading.what = "l2update";
        return make_book(&reading, &fields, false);
    }
    if (sl_json_is(type, "match") || sl_json_is(type, "last_match")) {
        reading.what = "match";
        return make_trade(&reading, &fields);
    }
    if (sl_json_is(type, "ticker")) {
        reading.what = "ticker";
        return make_ticker(&reading, &fields);
    }
    if (sl_json_is(type, "heartbeat")) {
        reading.what = "heartbeat";
        return make_heartbeat(&reading, &fields);
    }
    if (sl_json_is(type, "snapshot")) {
        reading.what = "snapshot";
        return make_book(&reading, &fields, true);
    }
    if (sl_json_is(type, "subscriptions")) {
        reading.what = "subscriptions";
        return again(&reading, &fields, CHANNELS, make_subscriptions);
    }
    if (sl_json_is(type, "error")) {
        return make_error(&reading, &fields);
    }
    if (sl_json_is(type, "status")) {
        reading.what = "status";
        return again(&reading, &fields, PRODUCTS, make_status);
    }
    return sl__bad(&reading, SL_ENOTSUP, "messages of type \"%s\" are not decoded", sl__excerpt(type).text);
}
