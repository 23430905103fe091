/* SPDX-License-Identifier: MIT */
/*
 * Kraken spot: the data of WebSocket v2, by channel. Numbers are JSON numbers, read from their text; the levels of a
 * book are brought to the scale of the instrument's steps, as the checksum is made of digits at that scale.
 */
#include "kraken.h"

/* The number at a step's scale when it was written with fewer digits: trailing zeros may be left out on the wire. */
static void fill_scale(sl_decimal *number, sl_decimal step)
{
    sl_decimal filled = {0, 0};
    if (step.mantissa != 0 && step.exponent < number->exponent &&
        sl_decimal_rescale(*number, step.exponent, &filled) == 0) {
        *number = filled;
    }
}

/* {"price":45283.5,"qty":0.10000000}: what books are made of, so without a table of names */
static int read_level(sl__reading *reading, sl_level *level)
{
    sl_json *json = reading->decoder->json;
    sl_json_text key, text;
    unsigned seen = 0;
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        bool price = sl_json_is(key, "price");
        if ((price || sl_json_is(key, "qty")) && (code = sl_json_get_number(json, &text)) == 0) {
            SL_TRY(sl__text_decimal(reading->decoder, reading->what, price ? "price" : "qty", text,
                                    price ? &level->price : &level->quantity));
            seen |= price ? 1 : 2;
        }
    }
    if (code < 0) {
        return sl__bad_json(reading, code);
    }
    if (seen != 3 || (level->price.mantissa | level->quantity.mantissa) < 0) {
        return sl__bad(reading, SL_EPROTO,
                       "a level without \"price\" or \"qty\", or with a negative one, before byte %zu",
                       reading->origin + sl_json_behind(json));
    }
    return 0;
}

static int read_levels(sl__reading *reading, struct sl__venue_side *side)
{
    sl_level *level = NULL;
    side->count = 0;
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        SL_TRY(sl__levels_add(reading->decoder, side, &level));
        code = read_level(reading, level);
    }
    return code;
}

static void fill_scales(struct sl__venue_side *side, const sl_instrument *instrument)
{
    for (size_t at = 0; at < side->count; at++) {
        fill_scale(&side->levels[at].price, instrument->tick);
        fill_scale(&side->levels[at].quantity, instrument->lot);
    }
}

static int give_book(sl__reading *reading, const sl_instrument *instrument, bool snapshot, uint32_t checksum,
                     int64_t time_ns)
{
    sl_venue_decoder *decoder = reading->decoder;
    sl_market_event event =
        sl__event_of(reading, snapshot ? SL_EVENT_BOOK_SNAPSHOT : SL_EVENT_BOOK_DELTA, SL_FEED_DEPTH, instrument);
    uint32_t depth = 0;
    fill_scales(&decoder->bids, instrument);
    fill_scales(&decoder->asks, instrument);
    SL_TRY(sl__kraken_get_depth(reading, instrument, snapshot, &depth));
    event.venue_time_ns = time_ns;
    if (snapshot) {
        event.as.snapshot =
            (sl_book_snapshot){.checksum = {true, checksum}, .depth = depth, .levels = sl__levels(decoder)};
    } else {
        event.as.delta = (sl_book_delta){.checksum = {true, checksum}, .depth = depth, .levels = sl__levels(decoder)};
    }
    return sl__give(reading, &event);
}

static int read_book(sl__reading *reading, bool snapshot)
{
    enum { B_SYMBOL, BIDS, ASKS, CHECKSUM, TIMESTAMP, B_COUNT };
    static const sl__name book_names[B_COUNT] = {
        [B_SYMBOL] = SL__NAME("symbol", STRING),
        [BIDS] = SL__NAME("bids", ARRAY),
        [ASKS] = SL__NAME("asks", ARRAY),
        [CHECKSUM] = SL__NAME("checksum", NUMBER),
        [TIMESTAMP] = SL__NAME("timestamp", STRING),
    };
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    int64_t checksum = 0;
    int64_t time_ns = 0;
    sl__levels_clear(decoder);
    int code = sl__fields_enter(reading, &fields, book_names, B_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = read_levels(reading, code - 1 == BIDS ? &decoder->bids : &decoder->asks);
    }
    SL_TRY(code);
    SL_TRY(sl__field_text(reading, &fields, B_SYMBOL, &symbol));
    SL_TRY(sl__field_int(reading, &fields, CHECKSUM, &checksum));
    SL_TRY(sl__field_time_if(reading, &fields, TIMESTAMP, SL__ISO, &time_ns));
    if (checksum < 0 || checksum > UINT32_MAX) {
        return sl__bad(reading, SL_ERANGE, "\"checksum\" does not fit into 32 bits");
    }
    if (!sl__field_has(&fields, BIDS) && !sl__field_has(&fields, ASKS)) {
        return sl__bad(reading, SL_EPROTO, "neither \"bids\" nor \"asks\"");
    }
    const sl_instrument *instrument = sl__instrument(decoder, symbol);
    return instrument == NULL ? 0 : give_book(reading, instrument, snapshot, (uint32_t)checksum, time_ns);
}

static int read_trade(sl__reading *reading, bool snapshot)
{
    enum { T_SYMBOL, SIDE, PRICE, QUANTITY, ID, TIMESTAMP, T_COUNT };
    static const sl__name trade_names[T_COUNT] = {
        [T_SYMBOL] = SL__NAME("symbol", STRING), [SIDE] = SL__NAME("side", STRING),
        [PRICE] = SL__NAME("price", NUMBER),     [QUANTITY] = SL__NAME("qty", NUMBER),
        [ID] = SL__NAME("trade_id", NUMBER),     [TIMESTAMP] = SL__NAME("timestamp", STRING),
    };
    (void)snapshot; /* the last 50 trades: those seen already are repeats with the same ids */
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    SL_TRY(sl__fields_read(reading, &fields, trade_names, T_COUNT));
    SL_TRY(sl__field_text(reading, &fields, T_SYMBOL, &symbol));
    sl_market_event event =
        sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, sl__instrument(reading->decoder, symbol));
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__field_int(reading, &fields, ID, &trade->id));
    SL_TRY(sl__field_side(reading, &fields, SIDE, &trade->taker));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE, &trade->price));
    SL_TRY(sl__field_quantity(reading, &fields, QUANTITY, &trade->quantity));
    SL_TRY(sl__field_time(reading, &fields, TIMESTAMP, SL__ISO, &event.venue_time_ns));
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    return event.instrument == NULL ? 0 : sl__give(reading, &event);
}

/* One message makes two events: the best bid and offer, and statistics. */
static int read_ticker(sl__reading *reading, bool snapshot)
{
    enum { T_SYMBOL, BID, BID_QTY, ASK, ASK_QTY, LAST, VOLUME, LOW, HIGH, TIMESTAMP, T_COUNT };
    static const sl__name ticker_names[T_COUNT] = {
        [T_SYMBOL] = SL__NAME("symbol", STRING), [BID] = SL__NAME("bid", NUMBER),
        [BID_QTY] = SL__NAME("bid_qty", NUMBER), [ASK] = SL__NAME("ask", NUMBER),
        [ASK_QTY] = SL__NAME("ask_qty", NUMBER), [LAST] = SL__NAME("last", NUMBER),
        [VOLUME] = SL__NAME("volume", NUMBER),   [LOW] = SL__NAME("low", NUMBER),
        [HIGH] = SL__NAME("high", NUMBER),       [TIMESTAMP] = SL__NAME("timestamp", STRING),
    };
    (void)snapshot;
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    sl_best best = {0};
    SL_TRY(sl__fields_read(reading, &fields, ticker_names, T_COUNT));
    SL_TRY(sl__field_text(reading, &fields, T_SYMBOL, &symbol));
    sl_market_event event =
        sl__event_of(reading, SL_EVENT_TICKER, SL_FEED_TICKER, sl__instrument(reading->decoder, symbol));
    sl_ticker *ticker = &event.as.ticker;
    SL_TRY(sl__field_decimal(reading, &fields, BID, &best.bid.price));
    SL_TRY(sl__field_quantity(reading, &fields, BID_QTY, &best.bid.quantity));
    SL_TRY(sl__field_decimal(reading, &fields, ASK, &best.ask.price));
    SL_TRY(sl__field_quantity(reading, &fields, ASK_QTY, &best.ask.quantity));
    SL_TRY(sl__field_decimal(reading, &fields, LAST, &ticker->last));
    SL_TRY(sl__field_decimal_if(reading, &fields, VOLUME, &ticker->volume));
    SL_TRY(sl__field_decimal_if(reading, &fields, LOW, &ticker->low));
    SL_TRY(sl__field_decimal_if(reading, &fields, HIGH, &ticker->high));
    SL_TRY(sl__field_time_if(reading, &fields, TIMESTAMP, SL__ISO, &event.venue_time_ns));
    ticker->bid = best.bid;
    ticker->ask = best.ask;
    if (event.instrument == NULL) {
        return 0;
    }
    SL_TRY(sl__give(reading, &event));
    event.kind = SL_EVENT_BEST;
    event.feed = SL_FEED_BEST;
    event.as.best = best;
    return sl__give(reading, &event);
}

static int read_candle(sl__reading *reading, bool snapshot)
{
    enum { C_SYMBOL, OPEN, HIGH, LOW, CLOSE, TRADES, VOLUME, BEGIN, INTERVAL, C_COUNT };
    static const sl__name candle_names[C_COUNT] = {
        [C_SYMBOL] = SL__NAME("symbol", STRING),   [OPEN] = SL__NAME("open", NUMBER),
        [HIGH] = SL__NAME("high", NUMBER),         [LOW] = SL__NAME("low", NUMBER),
        [CLOSE] = SL__NAME("close", NUMBER),       [TRADES] = SL__NAME("trades", NUMBER),
        [VOLUME] = SL__NAME("volume", NUMBER),     [BEGIN] = SL__NAME("interval_begin", STRING),
        [INTERVAL] = SL__NAME("interval", NUMBER),
    };
    static const sl__candle_columns columns = {.time = BEGIN,
                                               .open = OPEN,
                                               .high = HIGH,
                                               .low = LOW,
                                               .close = CLOSE,
                                               .volume = VOLUME,
                                               .count = TRADES,
                                               .unit_ns = SL__ISO};
    (void)snapshot;
    sl__fields fields;
    sl_json_text texts[C_COUNT];
    int64_t minutes = 0;
    SL_TRY(sl__fields_read(reading, &fields, candle_names, C_COUNT));
    for (unsigned at = 0; at < C_COUNT; at++) {
        SL_TRY(sl__field_text(reading, &fields, at, &texts[at]));
    }
    SL_TRY(sl__field_int(reading, &fields, INTERVAL, &minutes));
    if (minutes <= 0 || minutes > SL__KRAKEN_MINUTES_MAX) {
        return sl__bad(reading, SL_ERANGE, "\"interval\" is out of range");
    }
    const sl_instrument *instrument = sl__instrument(reading->decoder, texts[C_SYMBOL]);
    return instrument == NULL ? 0 : sl__give_candle(reading, &columns, texts, instrument, minutes * 60 * SL__S, NULL);
}

static int read_system(sl__reading *reading, bool snapshot)
{
    enum { SYSTEM, S_COUNT };
    static const sl__name system_names[S_COUNT] = {SL__NAME("system", STRING)};
    sl__fields fields;
    sl_json_text system = {"", 0};
    (void)snapshot;
    SL_TRY(sl__fields_read(reading, &fields, system_names, S_COUNT));
    SL_TRY(sl__field_text(reading, &fields, SYSTEM, &system));
    return sl__notify_text(reading, SL_NOTICE_STATUS, system);
}

static int read_pair(sl__reading *reading, bool snapshot)
{
    enum { P_SYMBOL, STATUS, P_COUNT };
    static const sl__name pair_names[P_COUNT] = {SL__NAME("symbol", STRING), SL__NAME("status", STRING)};
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    sl_json_text status = {"", 0};
    (void)snapshot;
    SL_TRY(sl__fields_read(reading, &fields, pair_names, P_COUNT));
    SL_TRY(sl__field_text(reading, &fields, P_SYMBOL, &symbol));
    SL_TRY(sl__field_text(reading, &fields, STATUS, &status));
    sl_market_event event =
        sl__event_of(reading, SL_EVENT_STATUS, SL_FEED_STATUS, sl__instrument(reading->decoder, symbol));
    event.as.status = sl__kraken_status(status);
    return event.instrument == NULL ? 0 : sl__give(reading, &event);
}

/* Each object of the array under the cursor. */
static int read_each(sl__reading *reading, bool snapshot, int (*read)(sl__reading *reading, bool snapshot))
{
    sl__rows rows;
    int code = sl__rows_enter(&rows, reading);
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, read(reading, snapshot));
    }
    return sl__rows_end(&rows, code);
}

/* {"assets":[...],"pairs":[...]} */
static int read_instruments(sl__reading *reading, bool snapshot)
{
    static const sl__name list_names[] = {SL__NAME("pairs", ARRAY)};
    sl__fields fields;
    int code = sl__fields_enter(reading, &fields, list_names, 1);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = read_each(reading, snapshot, read_pair);
    }
    return code;
}

int sl__kraken_read_data(sl__reading *reading, sl_json_text channel, bool snapshot)
{
    static const struct {
        const char *name;
        int (*read)(sl__reading *reading, bool snapshot);
    } channels[] = {{"book", read_book},
                    {"trade", read_trade},
                    {"ticker", read_ticker},
                    {"ohlc", read_candle},
                    {"status", read_system}};
    for (size_t at = 0; at < sizeof(channels) / sizeof(channels[0]); at++) {
        if (sl_json_is(channel, channels[at].name)) {
            reading->what = channels[at].name;
            return read_each(reading, snapshot, channels[at].read);
        }
    }
    if (sl_json_is(channel, "instrument")) {
        reading->what = "instrument";
        return read_instruments(reading, snapshot);
    }
    return sl__bad(reading, SL_ENOTSUP, "the channel \"%s\" is not decoded", sl__excerpt(channel).text);
}
