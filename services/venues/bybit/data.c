/* SPDX-License-Identifier: MIT */
/* Bybit v5: the data of its streams, by topic. */
#include "bybit.h"

/* What is remembered of an instrument's ticker; NULL: out of memory. */
static struct sl__bybit_ticker *ticker_of(sl__reading *reading, const sl_instrument *instrument)
{
    struct sl__bybit *bybit = (struct sl__bybit *)reading->decoder;
    struct sl__bybit_ticker **slot = sl__beside(&bybit->tickers, instrument, sizeof(struct sl__bybit_ticker *));
    if (slot != NULL && *slot == NULL) {
        *slot = sl_calloc(1, sizeof(**slot));
    }
    if (slot == NULL || *slot == NULL) {
        (void)sl__bad(reading, SL_ENOMEM, "out of memory");
        return NULL;
    }
    return *slot;
}

/* The best level of the stream of depth 1; a delta may take a level away and give another one. */
static void update_best(sl_level *best, const sl_level *levels, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        if (levels[at].quantity.mantissa != 0 || sl_decimal_equal(best->price, levels[at].price)) {
            *best = levels[at];
        }
    }
}

static int give_best(sl__reading *reading, const struct sl__bybit_around *around)
{
    struct sl__bybit_ticker *known = ticker_of(reading, around->instrument);
    const sl_levels levels = sl__levels(reading->decoder);
    if (known == NULL) {
        return SL_ENOMEM;
    }
    if (around->snapshot) {
        known->best = (sl_best){0};
    }
    update_best(&known->best.bid, levels.bids, levels.bid_count);
    update_best(&known->best.ask, levels.asks, levels.ask_count);
    known->best.update_id = around->update_id;
    sl_market_event event = sl__event_of(reading, SL_EVENT_BEST, SL_FEED_BEST, around->instrument);
    event.venue_time_ns = around->book_time;
    event.as.best = known->best;
    return sl__give(reading, &event);
}

/* u == 1 tells of a restart of the service: what comes is the whole book. "cts" is when the engine made it. */
int sl__bybit_give_book(sl__reading *reading, const struct sl__bybit_around *around)
{
    if (around->instrument == NULL) {
        return 0;
    }
    if (around->feed == SL_FEED_BEST) {
        return give_best(reading, around);
    }
    bool snapshot = around->snapshot || around->update_id == 1;
    sl_market_event event = sl__event_of(reading, snapshot ? SL_EVENT_BOOK_SNAPSHOT : SL_EVENT_BOOK_DELTA,
                                         SL_FEED_DEPTH, around->instrument);
    event.venue_time_ns = around->book_time;
    if (snapshot) {
        event.as.snapshot = (sl_book_snapshot){.last_id = around->update_id, .levels = sl__levels(reading->decoder)};
    } else {
        event.as.delta = (sl_book_delta){
            .first_id = around->update_id, .last_id = around->update_id, .levels = sl__levels(reading->decoder)};
    }
    return sl__give(reading, &event);
}

static int read_book(sl__reading *reading, struct sl__bybit_around *around)
{
    enum { SYMBOL, BIDS, ASKS, UPDATE, BOOK_COUNT };
    static const sl__name book_names[BOOK_COUNT] = {
        [SYMBOL] = SL__NAME("s", STRING),
        [BIDS] = SL__NAME("b", ARRAY),
        [ASKS] = SL__NAME("a", ARRAY),
        [UPDATE] = SL__NAME("u", NUMBER),
    };
    sl_venue_decoder *decoder = reading->decoder;
    sl__fields fields;
    sl_json_text none;
    sl__levels_clear(decoder);
    int code = sl__fields_enter(reading, &fields, book_names, BOOK_COUNT);
    while (code >= 0 && (code = sl__fields_next(reading, &fields)) > 0) {
        code = sl__read_side(decoder, code - 1 == BIDS);
    }
    SL_TRY(code);
    SL_TRY(sl__field_text(reading, &fields, BIDS, &none));
    SL_TRY(sl__field_text(reading, &fields, ASKS, &none));
    SL_TRY(sl__field_int(reading, &fields, UPDATE, &around->update_id));
    around->has_book = true;
    return 0;
}

/* A number (spot), or a UUID with or without dashes. */
int sl__bybit_trade_id(sl__reading *reading, sl_json_text text, sl_trade *trade)
{
    uint64_t halves[2] = {0, 0};
    unsigned digits = 0;
    if (text.size_bytes < 32) {
        SL_TRY(sl__text_int(reading->decoder, reading->what, "i", text, &trade->id));
        trade->first_id = trade->id;
        trade->last_id = trade->id;
        return 0;
    }
    for (size_t at = 0; at < text.size_bytes && digits <= 32; at++) {
        char c = text.data[at];
        char low = (char)(c | 0x20);
        if (c == '-') {
            continue;
        }
        bool letter = low >= 'a' && low <= 'f';
        if (digits == 32 || !(letter || (c >= '0' && c <= '9'))) {
            digits = 33; /* no UUID */
            break;
        }
        halves[digits / 16] = halves[digits / 16] << 4 | (uint64_t)(letter ? low - 'a' + 10 : c - '0');
        digits++;
    }
    trade->uuid = (sl_uuid){halves[0], halves[1]};
    return digits == 32
               ? 0
               : sl__bad(reading, SL_EPROTO, "\"i\" is neither a number nor a UUID: \"%s\"", sl__excerpt(text).text);
}

static int read_trade(sl__reading *reading, struct sl__bybit_around *around)
{
    enum { TIME, SYMBOL, SIDE, QUANTITY, PRICE, ID, BLOCK, TRADE_COUNT };
    static const sl__name trade_names[TRADE_COUNT] = {
        [TIME] = SL__NAME("T", NUMBER),     [SYMBOL] = SL__NAME("s", STRING), [SIDE] = SL__NAME("S", STRING),
        [QUANTITY] = SL__NAME("v", STRING), [PRICE] = SL__NAME("p", STRING),  [ID] = SL__NAME("i", STRING),
        [BLOCK] = SL__NAME("BT", BOOL),
    };
    sl__fields fields;
    sl_json_text id = {"", 0};
    sl_market_event event = sl__event_of(reading, SL_EVENT_TRADE, SL_FEED_TRADES, around->instrument);
    sl_trade *trade = &event.as.trade;
    SL_TRY(sl__fields_read(reading, &fields, trade_names, TRADE_COUNT));
    SL_TRY(sl__field_time(reading, &fields, TIME, SL__MS, &event.venue_time_ns));
    SL_TRY(sl__field_side(reading, &fields, SIDE, &trade->taker));
    SL_TRY(sl__field_quantity(reading, &fields, QUANTITY, &trade->quantity));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE, &trade->price));
    SL_TRY(sl__field_text(reading, &fields, ID, &id));
    SL_TRY(sl__bybit_trade_id(reading, id, trade));
    trade->off_book = sl__field_is(&fields, BLOCK, "true");
    return around->instrument == NULL ? 0 : sl__give(reading, &event);
}

/* "S" is the side of the position: a long one ("Buy") is closed by a sell order. */
static int read_liquidation(sl__reading *reading, struct sl__bybit_around *around)
{
    enum { TIME, SIDE, QUANTITY, PRICE, OLD_TIME, OLD_SIDE, OLD_QUANTITY, OLD_PRICE, LIQUIDATION_COUNT };
    static const sl__name liquidation_names[LIQUIDATION_COUNT] = {
        [TIME] = SL__NAME("T", NUMBER),
        [SIDE] = SL__NAME("S", STRING),
        [QUANTITY] = SL__NAME("v", STRING),
        [PRICE] = SL__NAME("p", STRING),
        [OLD_TIME] = SL__NAME("updatedTime", NUMBER),
        [OLD_SIDE] = SL__NAME("side", STRING),
        [OLD_QUANTITY] = SL__NAME("size", STRING),
        [OLD_PRICE] = SL__NAME("price", STRING),
    };
    sl__fields fields;
    sl_side position = SL_SIDE_NONE;
    sl_market_event event = sl__event_of(reading, SL_EVENT_LIQUIDATION, SL_FEED_LIQUIDATIONS, around->instrument);
    SL_TRY(sl__fields_read(reading, &fields, liquidation_names, LIQUIDATION_COUNT));
    unsigned shift = sl__field_has(&fields, OLD_SIDE) ? OLD_TIME - TIME : 0; /* the topic "liquidation" */
    SL_TRY(sl__field_time(reading, &fields, TIME + shift, SL__MS, &event.venue_time_ns));
    SL_TRY(sl__field_side(reading, &fields, SIDE + shift, &position));
    SL_TRY(sl__field_quantity(reading, &fields, QUANTITY + shift, &event.as.liquidation.quantity));
    SL_TRY(sl__field_decimal(reading, &fields, PRICE + shift, &event.as.liquidation.price));
    event.as.liquidation.side = position == SL_SIDE_BUY ? SL_SIDE_SELL : SL_SIDE_BUY;
    return around->instrument == NULL ? 0 : sl__give(reading, &event);
}

static int read_candle(sl__reading *reading, struct sl__bybit_around *around)
{
    enum { START, OPEN, HIGH, LOW, CLOSE, VOLUME, CONFIRM, CANDLE_COUNT };
    static const sl__name candle_names[CANDLE_COUNT] = {
        [START] = SL__NAME("start", NUMBER),   [OPEN] = SL__NAME("open", STRING),
        [HIGH] = SL__NAME("high", STRING),     [LOW] = SL__NAME("low", STRING),
        [CLOSE] = SL__NAME("close", STRING),   [VOLUME] = SL__NAME("volume", STRING),
        [CONFIRM] = SL__NAME("confirm", BOOL),
    };
    static const sl__candle_columns columns = {
        .time = START, .open = OPEN, .high = HIGH, .low = LOW, .close = CLOSE, .volume = VOLUME, .unit_ns = SL__MS};
    sl__fields fields;
    sl_json_text texts[CANDLE_COUNT];
    SL_TRY(sl__fields_read(reading, &fields, candle_names, CANDLE_COUNT));
    for (unsigned at = 0; at < CANDLE_COUNT; at++) {
        SL_TRY(sl__field_text(reading, &fields, at, &texts[at]));
    }
    bool closed = sl_json_is(texts[CONFIRM], "true");
    return around->instrument == NULL
               ? 0
               : sl__give_candle(reading, &columns, texts, around->instrument, around->interval_ns, &closed);
}

/* ---- tickers ---- */

enum {
    T_SYMBOL,
    T_LAST,
    T_OPEN,
    T_HIGH,
    T_LOW,
    T_MARK,
    T_INDEX,
    T_INTEREST,
    T_INTEREST_VALUE,
    T_TURNOVER,
    T_VOLUME,
    T_NEXT,
    T_RATE,
    T_BID,
    T_BID_SIZE,
    T_ASK,
    T_ASK_SIZE,
    T_COUNT,
};
static const sl__name ticker_names[T_COUNT] = {
    [T_SYMBOL] = SL__NAME("symbol", STRING),
    [T_LAST] = SL__NAME("lastPrice", STRING),
    [T_OPEN] = SL__NAME("prevPrice24h", STRING),
    [T_HIGH] = SL__NAME("highPrice24h", STRING),
    [T_LOW] = SL__NAME("lowPrice24h", STRING),
    [T_MARK] = SL__NAME("markPrice", STRING),
    [T_INDEX] = SL__NAME("indexPrice", STRING),
    [T_INTEREST] = SL__NAME("openInterest", STRING),
    [T_INTEREST_VALUE] = SL__NAME("openInterestValue", STRING),
    [T_TURNOVER] = SL__NAME("turnover24h", STRING),
    [T_VOLUME] = SL__NAME("volume24h", STRING),
    [T_NEXT] = SL__NAME("nextFundingTime", STRING),
    [T_RATE] = SL__NAME("fundingRate", STRING),
    [T_BID] = SL__NAME("bid1Price", STRING),
    [T_BID_SIZE] = SL__NAME("bid1Size", STRING),
    [T_ASK] = SL__NAME("ask1Price", STRING),
    [T_ASK_SIZE] = SL__NAME("ask1Size", STRING),
};

#define T_BIT(field) (1u << (field))

/* Puts what the message tells over what is known. */
static int update_ticker(sl__reading *reading, const sl__fields *fields, struct sl__bybit_ticker *known)
{
    const struct {
        unsigned field;
        sl_decimal *value;
    } values[] = {
        {T_LAST, &known->ticker.last},
        {T_OPEN, &known->ticker.open},
        {T_HIGH, &known->ticker.high},
        {T_LOW, &known->ticker.low},
        {T_TURNOVER, &known->ticker.quote_volume},
        {T_VOLUME, &known->ticker.volume},
        {T_BID, &known->ticker.bid.price},
        {T_BID_SIZE, &known->ticker.bid.quantity},
        {T_ASK, &known->ticker.ask.price},
        {T_ASK_SIZE, &known->ticker.ask.quantity},
        {T_MARK, &known->funding.mark_price},
        {T_INDEX, &known->funding.index_price},
        {T_RATE, &known->funding.rate},
        {T_INTEREST, &known->interest.quantity},
        {T_INTEREST_VALUE, &known->interest.value},
    };
    for (size_t at = 0; at < sizeof(values) / sizeof(values[0]); at++) {
        SL_TRY(sl__field_decimal_if(reading, fields, values[at].field, values[at].value));
    }
    known->funding.has_mark |= sl__field_told(fields, T_MARK);
    known->funding.has_index |= sl__field_told(fields, T_INDEX);
    known->funding.has_rate |= sl__field_told(fields, T_RATE);
    return sl__field_time_if(reading, fields, T_NEXT, SL__MS, &known->funding.next_time_ns);
}

/* Up to three events, of those groups that something was told of. */
static int read_ticker(sl__reading *reading, struct sl__bybit_around *around)
{
    const unsigned funding = T_BIT(T_MARK) | T_BIT(T_INDEX) | T_BIT(T_RATE) | T_BIT(T_NEXT);
    const unsigned interest = T_BIT(T_INTEREST) | T_BIT(T_INTEREST_VALUE);
    struct sl__bybit_ticker unwanted = {0};
    struct sl__bybit_ticker *known = around->instrument == NULL ? &unwanted : ticker_of(reading, around->instrument);
    sl__fields fields;
    sl_json_text none;
    if (known == NULL) {
        return SL_ENOMEM;
    }
    SL_TRY(sl__fields_read(reading, &fields, ticker_names, T_COUNT));
    SL_TRY(sl__field_text(reading, &fields, T_SYMBOL, &none));
    if (around->snapshot) {
        sl_best best = known->best;
        *known = (struct sl__bybit_ticker){.best = best};
    }
    SL_TRY(update_ticker(reading, &fields, known));
    if (around->instrument == NULL) {
        return 0;
    }
    sl_market_event event = sl__event_of(reading, SL_EVENT_TICKER, SL_FEED_TICKER, around->instrument);
    event.venue_time_ns = event.sent_time_ns;
    if ((fields.present & ~(funding | interest | T_BIT(T_SYMBOL))) != 0) {
        event.as.ticker = known->ticker;
        SL_TRY(sl__give(reading, &event));
    }
    if ((fields.present & funding) != 0) {
        event.kind = SL_EVENT_FUNDING;
        event.feed = SL_FEED_FUNDING;
        event.as.funding = known->funding;
        SL_TRY(sl__give(reading, &event));
    }
    if ((fields.present & interest) != 0) {
        event.kind = SL_EVENT_OPEN_INTEREST;
        event.feed = SL_FEED_OPEN_INTEREST;
        event.as.open_interest = known->interest;
        SL_TRY(sl__give(reading, &event));
    }
    return 0;
}

int sl__bybit_read_data(sl__reading *reading, struct sl__bybit_around *around)
{
    static int (*const readers[SL_FEED_COUNT])(sl__reading * reading, struct sl__bybit_around * around) = {
        [SL_FEED_TRADES] = read_trade,  [SL_FEED_DEPTH] = read_book,     [SL_FEED_BEST] = read_book,
        [SL_FEED_TICKER] = read_ticker, [SL_FEED_CANDLES] = read_candle, [SL_FEED_LIQUIDATIONS] = read_liquidation,
    };
    int (*read)(sl__reading * reading, struct sl__bybit_around * around) = readers[around->feed];
    bool one = around->feed == SL_FEED_DEPTH || around->feed == SL_FEED_BEST || around->feed == SL_FEED_TICKER;
    if (read == NULL) {
        return sl__bad(reading, SL_ENOTSUP, "data of this feed are not decoded");
    }
    if (one || sl_json_peek(reading->decoder->json) == SL_JSON_OBJECT) {
        return read(reading, around);
    }
    sl__rows rows;
    int code = sl__rows_enter(&rows, reading);
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, read(reading, around));
    }
    return sl__rows_end(&rows, code);
}
