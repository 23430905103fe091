/* SPDX-License-Identifier: MIT */
/* OKX v5: the data of its streams, by channel. */
#include "okx.h"

enum { B_ASKS, B_BIDS, B_TIME, B_CHECKSUM, B_PREVIOUS, B_SEQUENCE, B_COUNT };

/* seqId links each message with the one before; recordings from before 2023 have none, only checksums. */
static int give_book(sl__reading *reading, const sl__fields *fields, const struct sl__okx_around *around)
{
    bool snapshot = around->snapshots || !around->update;
    sl_market_event event = sl__event_of(reading, snapshot ? SL_EVENT_BOOK_SNAPSHOT : SL_EVENT_BOOK_DELTA,
                                         SL_FEED_DEPTH, around->instrument);
    sl_book_delta delta = {.levels = sl__levels(reading->decoder)};
    int64_t checksum = 0;
    SL_TRY(sl__field_time(reading, fields, B_TIME, SL__MS, &event.venue_time_ns));
    SL_TRY(sl__field_int_if(reading, fields, B_CHECKSUM, &checksum));
    SL_TRY(sl__field_int_if(reading, fields, B_SEQUENCE, &delta.last_id));
    SL_TRY(sl__field_int_if(reading, fields, B_PREVIOUS, &delta.previous_id));
    if (checksum < INT32_MIN || checksum > INT32_MAX) {
        return sl__bad(reading, SL_ERANGE, "\"checksum\" does not fit into 32 bits");
    }
    delta.first_id = delta.last_id;
    delta.has_previous = sl__field_has(fields, B_PREVIOUS);
    delta.checksum = (sl_book_checksum){checksum != 0, (uint32_t)(int32_t)checksum}; /* 0: none since 2026-06-23 */
    if (snapshot) {
        event.as.snapshot =
            (sl_book_snapshot){.last_id = delta.last_id, .checksum = delta.checksum, .levels = delta.levels};
    } else {
        event.as.delta = delta;
    }
    return sl__give(reading, &event);
}

static int give_best(sl__reading *reading, const sl__fields *fields, const struct sl__okx_around *around)
{
    sl_levels levels = sl__levels(reading->decoder);
    sl_market_event event = sl__event_of(reading, SL_EVENT_BEST, SL_FEED_BEST, around->instrument);
    SL_TRY(sl__field_time(reading, fields, B_TIME, SL__MS, &event.venue_time_ns));
    SL_TRY(sl__field_int_if(reading, fields, B_SEQUENCE, &event.as.best.update_id));
    if (levels.bid_count > 0) {
        event.as.best.bid = levels.bids[0];
    }
    if (levels.ask_count > 0) {
        event.as.best.ask = levels.asks[0];
    }
    return sl__give(reading, &event);
}

static int read_book(sl__reading *reading, const struct sl__okx_around *around)
{
    static const sl__name book_names[B_COUNT] = {
        [B_ASKS] = SL__NAME("asks", ARRAY),
        [B_BIDS] = SL__NAME("bids", ARRAY),
        [B_TIME] = SL__NAME("ts", STRING),
        [B_CHECKSUM] = SL__NAME("checksum", NUMBER),
        [B_PREVIOUS] = SL__NAME("prevSeqId", NUMBER),
        [B_SEQUENCE] = SL__NAME("seqId", NUMBER),
    };
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text none;
    sl__levels_clear(decoder);
    int code = sl__fields_enter(reading, &fields, book_names, B_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = sl__read_side(decoder, code - 1 == B_BIDS);
    }
    SL_TRY(code);
    SL_TRY(sl__field_text(reading, &fields, B_BIDS, &none));
    SL_TRY(sl__field_text(reading, &fields, B_ASKS, &none));
    if (around->instrument == NULL) {
        return 0;
    }
    return around->feed == SL_FEED_BEST ? give_best(reading, &fields, around) : give_book(reading, &fields, around);
}

/* "tradeId" is the last of the "count" trades of one order at one price; ids are consecutive, from 1 on. */
int sl__okx_read_trade(sl__reading *reading, sl_feed feed, sl_market_event *ret_event)
{
    enum { INSTRUMENT, T_ID, PRICE, SIZE, SIDE, TIME, T_TRADES, T_COUNT };
    static const sl__name trade_names[T_COUNT] = {
        [INSTRUMENT] = SL__NAME("instId", STRING), [T_ID] = SL__NAME("tradeId", STRING),
        [PRICE] = SL__NAME("px", STRING),          [SIZE] = SL__NAME("sz", STRING),
        [SIDE] = SL__NAME("side", STRING),         [TIME] = SL__NAME("ts", STRING),
        [T_TRADES] = SL__NAME("count", STRING),
    };
    sl__fields fields;
    sl_trade *trade = &ret_event->as.trade;
    int64_t count = 1;
    *ret_event = sl__event_of(reading, SL_EVENT_TRADE, feed, NULL);
    SL_TRY(sl__fields_read(reading, &fields, trade_names, T_COUNT));
    SL_TRY(sl__field_int(reading, &fields, T_ID, &trade->id));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE, &trade->price));
    SL_TRY(sl__field_quantity(reading, &fields, SIZE, &trade->quantity));
    SL_TRY(sl__field_side(reading, &fields, SIDE, &trade->taker));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &ret_event->venue_time_ns));
    SL_TRY(sl__field_int_if(reading, &fields, T_TRADES, &count));
    if (count < 1 || trade->id < 0 || (count > 1 && count > trade->id)) {
        return sl__bad(reading, SL_ERANGE, "\"tradeId\" and \"count\" do not fit together");
    }
    trade->last_id = trade->id;
    trade->first_id = trade->id - (count - 1);
    return 0;
}

static int read_trade(sl__reading *reading, const struct sl__okx_around *around)
{
    sl_market_event event;
    SL_TRY(sl__okx_read_trade(reading, around->feed, &event));
    event.instrument = around->instrument;
    return around->instrument == NULL ? 0 : sl__give(reading, &event);
}

static int read_ticker(sl__reading *reading, const struct sl__okx_around *around)
{
    enum { LAST, ASK, ASK_SIZE, BID, BID_SIZE, OPEN, HIGH, LOW, QUOTE_VOLUME, VOLUME, TIME, T_COUNT };
    static const sl__name ticker_names[T_COUNT] = {
        [LAST] = SL__NAME("last", STRING),
        [ASK] = SL__NAME("askPx", STRING),
        [ASK_SIZE] = SL__NAME("askSz", STRING),
        [BID] = SL__NAME("bidPx", STRING),
        [BID_SIZE] = SL__NAME("bidSz", STRING),
        [OPEN] = SL__NAME("open24h", STRING),
        [HIGH] = SL__NAME("high24h", STRING),
        [LOW] = SL__NAME("low24h", STRING),
        [QUOTE_VOLUME] = SL__NAME("volCcy24h", STRING),
        [VOLUME] = SL__NAME("vol24h", STRING),
        [TIME] = SL__NAME("ts", STRING),
    };
    sl__fields fields;
    sl_market_event event = sl__event_of(reading, SL_EVENT_TICKER, SL_FEED_TICKER, around->instrument);
    sl_ticker *ticker = &event.as.ticker;
    SL_TRY(sl__fields_read(reading, &fields, ticker_names, T_COUNT));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &event.venue_time_ns));
    SL_TRY(sl__field_decimal_if(reading, &fields, LAST, &ticker->last));
    SL_TRY(sl__field_decimal_if(reading, &fields, ASK, &ticker->ask.price));
    SL_TRY(sl__field_decimal_if(reading, &fields, ASK_SIZE, &ticker->ask.quantity));
    SL_TRY(sl__field_decimal_if(reading, &fields, BID, &ticker->bid.price));
    SL_TRY(sl__field_decimal_if(reading, &fields, BID_SIZE, &ticker->bid.quantity));
    SL_TRY(sl__field_decimal_if(reading, &fields, OPEN, &ticker->open));
    SL_TRY(sl__field_decimal_if(reading, &fields, HIGH, &ticker->high));
    SL_TRY(sl__field_decimal_if(reading, &fields, LOW, &ticker->low));
    SL_TRY(sl__field_decimal_if(reading, &fields, VOLUME, &ticker->volume));
    if (around->instrument != NULL && around->instrument->type == SL_INSTRUMENT_SPOT) { /* of others it is in base */
        SL_TRY(sl__field_decimal_if(reading, &fields, QUOTE_VOLUME, &ticker->quote_volume));
    }
    return around->instrument == NULL ? 0 : sl__give(reading, &event);
}

/* funding-rate and mark-price */
static int read_funding(sl__reading *reading, const struct sl__okx_around *around)
{
    enum { RATE, NEXT, MARK, TIME, F_COUNT };
    static const sl__name funding_names[F_COUNT] = {SL__NAME("fundingRate", STRING), SL__NAME("fundingTime", STRING),
                                                    SL__NAME("markPx", STRING), SL__NAME("ts", STRING)};
    sl__fields fields;
    sl_market_event event = sl__event_of(reading, SL_EVENT_FUNDING, SL_FEED_FUNDING, around->instrument);
    sl_funding *funding = &event.as.funding;
    SL_TRY(sl__fields_read(reading, &fields, funding_names, F_COUNT));
    SL_TRY(sl__field_time_if(reading, &fields, TIME, SL__MS, &event.venue_time_ns));
    if (around->mark_price) {
        SL_TRY(sl__field_decimal(reading, &fields, MARK, &funding->mark_price));
        funding->has_mark = true;
    } else {
        SL_TRY(sl__field_decimal(reading, &fields, RATE, &funding->rate));
        SL_TRY(sl__field_time(reading, &fields, NEXT, SL__MS, &funding->next_time_ns));
        funding->has_rate = true;
    }
    return around->instrument == NULL ? 0 : sl__give(reading, &event);
}

int sl__okx_read_interest(sl__reading *reading, sl_market_event *ret_event)
{
    enum { QUANTITY, VALUE, TIME, O_COUNT };
    static const sl__name interest_names[O_COUNT] = {SL__NAME("oi", STRING), SL__NAME("oiUsd", STRING),
                                                     SL__NAME("ts", STRING)};
    sl__fields fields;
    *ret_event = sl__event_of(reading, SL_EVENT_OPEN_INTEREST, SL_FEED_OPEN_INTEREST, NULL);
    SL_TRY(sl__fields_read(reading, &fields, interest_names, O_COUNT));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &ret_event->venue_time_ns));
    SL_TRY(sl__field_derived_if(reading, &fields, VALUE, &ret_event->as.open_interest.value));
    return sl__field_quantity(reading, &fields, QUANTITY, &ret_event->as.open_interest.quantity);
}

static int read_interest(sl__reading *reading, const struct sl__okx_around *around)
{
    sl_market_event event;
    SL_TRY(sl__okx_read_interest(reading, &event));
    event.instrument = around->instrument;
    return around->instrument == NULL ? 0 : sl__give(reading, &event);
}

/* ["1597026383085","3.721","3.743","3.677","3.708","8422410","22698348.04","12698348.04","0"] */
static int read_candle(sl__reading *reading, const struct sl__okx_around *around)
{
    static const sl__candle_columns columns = {
        .time = 0, .open = 1, .high = 2, .low = 3, .close = 4, .volume = 5, .unit_ns = SL__MS};
    sl_json_text row[9];
    SL_TRY(sl__row_read(reading, row, 9, 9));
    bool closed = sl_json_is(row[8], "1");
    return around->instrument == NULL
               ? 0
               : sl__give_candle(reading, &columns, row, around->instrument, around->interval_ns, &closed);
}

static int read_details(sl__reading *reading, sl_market_event *event)
{
    enum { SIDE, PRICE, SIZE, TIME, D_COUNT };
    static const sl__name detail_names[D_COUNT] = {SL__NAME("side", STRING), SL__NAME("bkPx", STRING),
                                                   SL__NAME("sz", STRING), SL__NAME("ts", STRING)};
    sl__fields fields;
    int code = sl__array_enter(reading);
    while (code >= 0 && (code = sl__array_next(reading)) > 0) {
        SL_TRY(sl__fields_read(reading, &fields, detail_names, D_COUNT));
        SL_TRY(sl__field_side(reading, &fields, SIDE, &event->as.liquidation.side));
        SL_TRY(sl__field_decimal(reading, &fields, PRICE, &event->as.liquidation.price));
        SL_TRY(sl__field_quantity(reading, &fields, SIZE, &event->as.liquidation.quantity));
        SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &event->venue_time_ns));
        if (event->instrument != NULL) {
            SL_TRY(sl__give(reading, event));
        }
    }
    return code;
}

/* All orders of one instrument. Its name stands behind them: they are read by a second parser once it is known. */
static int read_liquidations(sl__reading *reading, const struct sl__okx_around *around)
{
    enum { DETAILS, INSTRUMENT, L_COUNT };
    static const sl__name liquidation_names[L_COUNT] = {SL__NAME("details", ARRAY), SL__NAME("instId", STRING)};
    sl_venue_decoder *decoder = reading->decoder;
    sl_json *outer = decoder->json;
    size_t origin = reading->origin;
    sl__fields fields;
    sl_json_text text = {"", 0};
    (void)around; /* it names the type of instruments only */
    SL_TRY(sl__fields_read(reading, &fields, liquidation_names, L_COUNT));
    SL_TRY(sl__field_text(reading, &fields, DETAILS, &text));
    SL_TRY(sl__field_text(reading, &fields, INSTRUMENT, &text));
    sl_market_event event =
        sl__event_of(reading, SL_EVENT_LIQUIDATION, SL_FEED_LIQUIDATIONS, sl__instrument(decoder, text));
    decoder->json = ((struct sl__okx *)decoder)->inner;
    int code = sl__reading_again(reading, origin + fields.values[DETAILS].from, origin + fields.values[DETAILS].to);
    code = code < 0 ? code : read_details(reading, &event);
    decoder->json = outer;
    reading->origin = origin;
    return code;
}

static int read_instrument(sl__reading *reading, const struct sl__okx_around *around)
{
    enum { INSTRUMENT, STATE, I_COUNT };
    static const sl__name instrument_names[I_COUNT] = {SL__NAME("instId", STRING), SL__NAME("state", STRING)};
    sl__fields fields;
    sl_json_text symbol = {"", 0};
    sl_json_text state = {"", 0};
    (void)around; /* it names the type of instruments only */
    SL_TRY(sl__fields_read(reading, &fields, instrument_names, I_COUNT));
    SL_TRY(sl__field_text(reading, &fields, INSTRUMENT, &symbol));
    SL_TRY(sl__field_text(reading, &fields, STATE, &state));
    sl_market_event event =
        sl__event_of(reading, SL_EVENT_STATUS, SL_FEED_STATUS, sl__instrument(reading->decoder, symbol));
    event.as.status = sl__okx_status(state);
    return event.instrument == NULL ? 0 : sl__give(reading, &event);
}

int sl__okx_read_data(sl__reading *reading, const struct sl__okx_around *around)
{
    static int (*const readers[SL_FEED_COUNT])(sl__reading * reading, const struct sl__okx_around *around) = {
        [SL_FEED_TRADES] = read_trade,
        [SL_FEED_AGG_TRADES] = read_trade,
        [SL_FEED_DEPTH] = read_book,
        [SL_FEED_BEST] = read_book,
        [SL_FEED_TICKER] = read_ticker,
        [SL_FEED_CANDLES] = read_candle,
        [SL_FEED_FUNDING] = read_funding,
        [SL_FEED_LIQUIDATIONS] = read_liquidations,
        [SL_FEED_OPEN_INTEREST] = read_interest,
        [SL_FEED_STATUS] = read_instrument,
    };
    if (around->feed == SL_FEED_NONE) {
        return sl__bad(reading, SL_ENOTSUP, "the channel \"%s\" is not decoded", around->channel.text);
    }
    bool of_type = around->feed == SL_FEED_LIQUIDATIONS || around->feed == SL_FEED_STATUS;
    reading->what = sl_feed_name(around->feed);
    reading->decoder->stats.unknown_symbols += around->instrument == NULL && !of_type;
    sl__rows rows;
    int code = sl__rows_enter(&rows, reading);
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, readers[around->feed](reading, around));
    }
    return sl__rows_end(&rows, code);
}
