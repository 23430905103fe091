/* SPDX-License-Identifier: MIT */
/*
 * Messages of Binance's streams. One pass collects the fields of the event's object, in whatever order they
 * come, then the event is made of them. Each message may be raw or inside {"stream":..,"data":..}.
 */
#include "binance.h"
#include "market/decimal_scan.h"

/* "Too many requests", of the codes that all interfaces share. */
#define TOO_MANY_REQUESTS (-1003)

#include <inttypes.h>

/* Times from this on are microseconds (timeUnit=MICROSECOND): as milliseconds they would lie in the year 5138. */
#define MICROSECONDS_FROM INT64_C(100000000000000)

#define HAS(fields, letter) sl__binance_has(fields, SL__BINANCE_LETTER(letter))

/* ---- fields ---- */

static bool is_text(sl_json_text text, sl_json_text other)
{
    return text.size_bytes == other.size_bytes && memcmp(text.data, other.data, text.size_bytes) == 0;
}

int sl__binance_slot(sl_json_text key)
{
#define SLOT_IF(name, slot)                                                                                            \
    if (sl_json_is(key, name)) {                                                                                       \
        return slot;                                                                                                   \
    }
    if (key.size_bytes == 1) {
        char c = key.data[0];
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? SL__BINANCE_LETTER(c) : SL__BINANCE_IGNORED;
    }
    SLOT_IF("pu", SL__BINANCE_PREVIOUS)
    SLOT_IF("id", SL__BINANCE_ID)
    SLOT_IF("cs", SL__BINANCE_STATUS)
    SLOT_IF("code", SL__BINANCE_CODE)
    SLOT_IF("msg", SL__BINANCE_MSG)
    SLOT_IF("result", SL__BINANCE_RESULT)
    SLOT_IF("symbol", SL__BINANCE_SYMBOL)
    SLOT_IF("lastUpdateId", SL__BINANCE_LAST_UPDATE)
#undef SLOT_IF
    return SL__BINANCE_IGNORED;
}

static int read_fields(struct sl__binance *binance, struct sl__binance_fields *fields, int nesting);

void sl__binance_note(struct sl__binance_fields *fields, int slot, int type)
{
    fields->present |= UINT64_C(1) << slot;
    fields->fields[slot].type = type;
}

/* An array or object: levels, an event in its envelope, the inner object of candles and forced orders. */
static int read_container(struct sl__binance *binance, struct sl__binance_fields *fields, sl_json_text key,
                          sl_json_type type, int nesting)
{
    if (type == SL_JSON_ARRAY && (sl_json_is(key, "b") || sl_json_is(key, "bids"))) {
        sl__binance_note(fields, SL__BINANCE_LETTER('b'), (int)type);
        binance->base.bids.count = 0;
        return sl__read_levels(&binance->base, &binance->base.bids);
    }
    if (type == SL_JSON_ARRAY && (sl_json_is(key, "a") || sl_json_is(key, "asks"))) {
        sl__binance_note(fields, SL__BINANCE_LETTER('a'), (int)type);
        binance->base.asks.count = 0;
        return sl__read_levels(&binance->base, &binance->base.asks);
    }
    if (type == SL_JSON_OBJECT && nesting == 0 && (sl_json_is(key, "data") || sl_json_is(key, "error"))) {
        return read_fields(binance, fields, nesting + 1);
    }
    int slot = sl__binance_slot(key);
    if (slot == SL__BINANCE_IGNORED) {
        return 0; /* skipped by the next step of the cursor */
    }
    sl__binance_note(fields, slot, (int)type);
    if (type == SL_JSON_OBJECT && fields == &binance->outer && (sl_json_is(key, "k") || sl_json_is(key, "o"))) {
        return read_fields(binance, &binance->inner, nesting + 1);
    }
    return 0;
}

static int read_fields(struct sl__binance *binance, struct sl__binance_fields *fields, int nesting)
{
    sl_json *json = binance->base.json;
    sl_json_text key;
    sl_json_text text;
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_scalar(json, &key, &text)) > 0) {
        int type = code;
        if (type == SL_JSON_OBJECT || type == SL_JSON_ARRAY) {
            SL_TRY(read_container(binance, fields, key, (sl_json_type)type, nesting));
            continue;
        }
        int slot = sl__binance_slot(key);
        if (slot != SL__BINANCE_IGNORED) {
            fields->present |= UINT64_C(1) << slot;
            fields->fields[slot] = (struct sl__binance_field){.text = text, .type = type};
        } else if (nesting == 0 && type == SL_JSON_STRING && sl_json_is(key, "stream")) {
            binance->stream = text;
        }
    }
    return code < 0 ? sl__refuse_json(&binance->base, code, "message") : 0;
}

int sl__binance_read(struct sl__binance *binance)
{
    binance->outer.present = 0;
    binance->inner.present = 0;
    binance->stream = (sl_json_text){"", 0};
    return read_fields(binance, &binance->outer, 0);
}

/* The field in `slot` as a text of the JSON type `type`; `what` and `name` are for the error. */
static int get(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot, int type,
               const char *what, const char *name, sl_json_text *ret_text)
{
    if (!sl__binance_has(fields, slot)) {
        return sl__refuse(&binance->base, SL_EPROTO, "%s: \"%s\" is missing", what, name);
    }
    if (fields->fields[slot].type != type) {
        return sl__refuse(&binance->base, SL_EPROTO, "%s: \"%s\" is of the wrong type", what, name);
    }
    *ret_text = fields->fields[slot].text;
    return 0;
}

/* The field in `slot` as an integer. */
static int get_int_carefully(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot,
                             const char *what, const char *name, int64_t *ret_value)
{
    sl_json_text text = {"", 0};
    SL_TRY(get(binance, fields, slot, SL_JSON_NUMBER, what, name, &text));
    return sl__text_int(&binance->base, what, name, text, ret_value);
}

static inline int get_int(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot,
                          const char *what, const char *name, int64_t *ret_value)
{
    const struct sl__binance_field *field = &fields->fields[slot];
    if (sl__binance_has(fields, slot) && field->whole) {
        *ret_value = field->value;
        return 0;
    }
    return get_int_carefully(binance, fields, slot, what, name, ret_value);
}

int sl__binance_int(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot, const char *what,
                    const char *name, int64_t *ret_value)
{
    return get_int(binance, fields, slot, what, name, ret_value);
}

static inline int to_time(sl_venue_decoder *decoder, const char *what, const char *name, int64_t value, int64_t *ret_ns)
{
    int64_t unit_ns = value < MICROSECONDS_FROM ? 1000000 : 1000;
    if (value < 0 || __builtin_mul_overflow(value, unit_ns, ret_ns)) {
        return sl__refuse(decoder, SL_ERANGE, "%s: \"%s\" is out of range for a time: %" PRId64, what, name, value);
    }
    return 0;
}

int sl__binance_text_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                          int64_t *ret_ns)
{
    int64_t value = 0;
    SL_TRY(sl__text_int(decoder, what, name, text, &value));
    return to_time(decoder, what, name, value, ret_ns);
}

static inline int get_time(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot,
                           const char *what, const char *name, bool needed, int64_t *ret_ns)
{
    int64_t value = 0;
    *ret_ns = 0;
    if (!needed && !sl__binance_has(fields, slot)) {
        return 0;
    }
    SL_TRY(get_int(binance, fields, slot, what, name, &value));
    return to_time(&binance->base, what, name, value, ret_ns);
}

int sl__binance_time(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot, const char *what,
                     const char *name, bool needed, int64_t *ret_ns)
{
    return get_time(binance, fields, slot, what, name, needed, ret_ns);
}

/* A decimal of the document, a string; what is wrong is told as by sl__text_decimal(). */
static int get_decimal_carefully(struct sl__binance *binance, const struct sl__binance_fields *fields, char letter,
                                 const char *what, sl_decimal *ret_value)
{
    const char name[] = {letter, '\0'};
    sl_json_text text = {"", 0};
    SL_TRY(get(binance, fields, SL__BINANCE_LETTER(letter), SL_JSON_STRING, what, name, &text));
    return sl_decimal_parse_padded(text.data, text.size_bytes, ret_value) == 0
               ? 0
               : sl__text_decimal(&binance->base, what, name, text, ret_value);
}

static inline int get_decimal(struct sl__binance *binance, const struct sl__binance_fields *fields, char letter,
                              const char *what, sl_decimal *ret_value)
{
    const struct sl__binance_field *field = &fields->fields[SL__BINANCE_LETTER(letter)];
    if (sl__binance_has(fields, SL__BINANCE_LETTER(letter)) && field->decimal) {
        *ret_value = (sl_decimal){field->value, field->exponent};
        return 0;
    }
    return sl__binance_has(fields, SL__BINANCE_LETTER(letter)) && field->type == SL_JSON_STRING &&
                   sl__decimal_read_short(field->text.data, field->text.size_bytes, ret_value)
               ? 0
               : get_decimal_carefully(binance, fields, letter, what, ret_value);
}

/* One field to read: its letter is its name in errors. */
struct wanted {
    char letter;
    sl_decimal *value;
};

/* Decimals, each a string; those that are absent or empty stay 0 if they are not `needed`. */
static int get_decimals(struct sl__binance *binance, const struct sl__binance_fields *fields, const char *what,
                        bool needed, const struct wanted *wanted, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        int slot = SL__BINANCE_LETTER(wanted[at].letter);
        bool empty = !sl__binance_has(fields, slot) ||
                     (fields->fields[slot].type == SL_JSON_STRING && fields->fields[slot].text.size_bytes == 0);
        if (needed || !empty) {
            SL_TRY(get_decimal(binance, fields, wanted[at].letter, what, wanted[at].value));
        }
    }
    return 0;
}

#define DECIMALS(binance, fields, what, needed, ...)                                                                   \
    get_decimals(binance, fields, what, needed, (const struct wanted[]){__VA_ARGS__},                                  \
                 sizeof((const struct wanted[]){__VA_ARGS__}) / sizeof(struct wanted))

/*
 * Begins an event of the fields: its head with the symbol "s" and the times "T" (when it happened) and "E" (when
 * it was sent). 1; 0 when its instrument is not wanted.
 */
static int begin(struct sl__binance *binance, const struct sl__binance_fields *fields, const char *what,
                 const sl_venue_message *message, sl_event_kind kind, sl_feed feed, sl_market_event *ret_event)
{
    sl_json_text symbol = {"", 0};
    SL_TRY(get(binance, fields, SL__BINANCE_LETTER('s'), SL_JSON_STRING, what, "s", &symbol));
    const sl_instrument *instrument =
        binance->expected_symbol == symbol.data ? binance->expected : sl__instrument(&binance->base, symbol);
    if (instrument == NULL) {
        return 0;
    }
    sl__event_begin(&binance->base, message, kind, feed, instrument, ret_event);
    SL_TRY(get_time(binance, &binance->outer, SL__BINANCE_LETTER('E'), what, "E", false, &ret_event->sent_time_ns));
    return 1;
}

/* ---- events ---- */

static int give_trade(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output,
                      bool aggregate)
{
    const struct sl__binance_fields *fields = &binance->outer;
    const char *what = aggregate ? "aggTrade" : "trade";
    sl_market_event event SL_UNINITIALIZED;
    sl_trade *trade = &event.as.trade;
    sl_json_text maker = {"", 0};
    int code =
        begin(binance, fields, what, message, SL_EVENT_TRADE, aggregate ? SL_FEED_AGG_TRADES : SL_FEED_TRADES, &event);
    if (code <= 0) {
        return code;
    }
    SL_TRY(get_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", true, &event.venue_time_ns));
    SL_TRY(get_decimal(binance, fields, 'p', what, &trade->price));
    SL_TRY(get_decimal(binance, fields, 'q', what, &trade->quantity));
    SL_TRY(get(binance, fields, SL__BINANCE_LETTER('m'), SL_JSON_BOOL, what, "m", &maker));
    trade->taker = sl_json_is(maker, "true") ? SL_SIDE_SELL : SL_SIDE_BUY; /* m: the buyer is the maker */
    if (aggregate) {
        SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('a'), what, "a", &trade->id));
        SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('f'), what, "f", &trade->first_id));
        SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('l'), what, "l", &trade->last_id));
    } else {
        SL_TRY(get_int(binance, fields, SL__BINANCE_LETTER('t'), what, "t", &trade->id));
        trade->first_id = trade->id;
        trade->last_id = trade->id;
        trade->off_book = HAS(fields, 'X') && !sl_json_is(fields->fields[SL__BINANCE_LETTER('X')].text, "MARKET");
    }
    return sl__give_event(&binance->base, output, &event);
}

/* Both arrays of levels must be there, even if empty. */
static int get_levels(struct sl__binance *binance, const char *what, sl_levels *ret_levels)
{
    sl_json_text none = {"", 0};
    SL_TRY(get(binance, &binance->outer, SL__BINANCE_LETTER('b'), SL_JSON_ARRAY, what, "b", &none));
    SL_TRY(get(binance, &binance->outer, SL__BINANCE_LETTER('a'), SL_JSON_ARRAY, what, "a", &none));
    *ret_levels = sl__levels(&binance->base);
    return 0;
}

/* "btcusdt@depth20@100ms" names a partial book: its levels a side; 0 for any other stream. */
static uint32_t partial_depth(sl_json_text stream)
{
    static const char word[] = "@depth";
    const char *at = memchr(stream.data, '@', stream.size_bytes);
    uint32_t depth = 0;
    if (at == NULL || (size_t)(stream.data + stream.size_bytes - at) < sizeof(word) - 1 ||
        memcmp(at, word, sizeof(word) - 1) != 0) {
        return 0;
    }
    for (at += sizeof(word) - 1; at < stream.data + stream.size_bytes && *at >= '0' && *at <= '9' && depth < 10000;
         at++) {
        depth = depth * 10 + (uint32_t)(*at - '0');
    }
    return depth;
}

int sl__binance_give_snapshot(struct sl__binance *binance, const sl_venue_message *message,
                              const sl_venue_output *output, sl_feed feed, const sl_instrument *instrument,
                              uint32_t depth)
{
    static const char what[] = "depth snapshot";
    const struct sl__binance_fields *fields = &binance->outer;
    sl_market_event event = sl__event(&binance->base, message, SL_EVENT_BOOK_SNAPSHOT, feed, instrument);
    bool update = HAS(fields, 'e'); /* futures send partial books as depthUpdate */
    event.as.snapshot.depth = depth;
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('E'), what, "E", false, &event.sent_time_ns));
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", false, &event.venue_time_ns));
    SL_TRY(sl__binance_int(binance, fields, update ? SL__BINANCE_LETTER('u') : SL__BINANCE_LAST_UPDATE, what,
                           update ? "u" : "lastUpdateId", &event.as.snapshot.last_id));
    SL_TRY(get_levels(binance, what, &event.as.snapshot.levels));
    return sl__give_event(&binance->base, output, &event);
}

/* A partial book of spot: it names its symbol only in the stream, in lower case. */
static int give_partial(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    sl_json_text stream = binance->stream;
    uint32_t depth = partial_depth(stream);
    char symbol[SL_SYMBOL_MAX];
    size_t size_bytes =
        depth == 0 ? 0 : (size_t)((const char *)memchr(stream.data, '@', stream.size_bytes) - stream.data);
    if (size_bytes == 0 || size_bytes >= sizeof(symbol)) {
        return sl__refuse(&binance->base, SL_EPROTO, "a book that names no instrument (stream \"%s\")",
                          sl__excerpt(stream).text);
    }
    for (size_t at = 0; at < size_bytes; at++) {
        char c = stream.data[at];
        symbol[at] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    const sl_instrument *instrument = sl__instrument(&binance->base, (sl_json_text){symbol, size_bytes});
    return instrument == NULL ? 0
                              : sl__binance_give_snapshot(binance, message, output, SL_FEED_DEPTH, instrument, depth);
}

static int give_delta(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "depthUpdate";
    const struct sl__binance_fields *fields = &binance->outer;
    bool spot = sl__binance_is_spot(&binance->base);
    uint32_t depth = partial_depth(binance->stream);
    sl_market_event event SL_UNINITIALIZED;
    sl_book_delta *delta = &event.as.delta;
    int code = begin(binance, fields, what, message, SL_EVENT_BOOK_DELTA, SL_FEED_DEPTH, &event);
    if (code <= 0) {
        return code;
    }
    if (depth > 0) {
        return sl__binance_give_snapshot(binance, message, output, SL_FEED_DEPTH, event.instrument, depth);
    }
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", !spot, &event.venue_time_ns));
    SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('U'), what, "U", &delta->first_id));
    SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('u'), what, "u", &delta->last_id));
    delta->has_previous = !spot;
    if (!spot) {
        SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_PREVIOUS, what, "pu", &delta->previous_id));
    }
    event.venue_time_ns = event.venue_time_ns == 0 ? event.sent_time_ns : event.venue_time_ns;
    SL_TRY(get_levels(binance, what, &delta->levels));
    return sl__give_event(&binance->base, output, &event);
}

static int give_best(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "bookTicker";
    const struct sl__binance_fields *fields = &binance->outer;
    sl_market_event event;
    sl_best *best = &event.as.best;
    int code = begin(binance, fields, what, message, SL_EVENT_BEST, SL_FEED_BEST, &event);
    if (code <= 0) {
        return code;
    }
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", false, &event.venue_time_ns));
    SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('u'), what, "u", &best->update_id));
    SL_TRY(DECIMALS(binance, fields, what, true, {'b', &best->bid.price}, {'B', &best->bid.quantity},
                    {'a', &best->ask.price}, {'A', &best->ask.quantity}));
    return sl__give_event(&binance->base, output, &event);
}

/* 24hrTicker; futures have no best bid and offer in it. COIN-M's "v" counts contracts, its "q" the base asset. */
static int give_ticker(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "24hrTicker";
    const struct sl__binance_fields *fields = &binance->outer;
    sl_market_event event;
    sl_ticker *ticker = &event.as.ticker;
    int code = begin(binance, fields, what, message, SL_EVENT_TICKER, SL_FEED_TICKER, &event);
    if (code <= 0) {
        return code;
    }
    event.venue_time_ns = event.sent_time_ns;
    SL_TRY(DECIMALS(binance, fields, what, true, {'c', &ticker->last}, {'o', &ticker->open}, {'h', &ticker->high},
                    {'l', &ticker->low}, {'v', &ticker->volume}, {'q', &ticker->quote_volume}));
    SL_TRY(DECIMALS(binance, fields, what, false, {'b', &ticker->bid.price}, {'B', &ticker->bid.quantity},
                    {'a', &ticker->ask.price}, {'A', &ticker->ask.quantity}));
    return sl__give_event(&binance->base, output, &event);
}

static int give_candle(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "kline";
    const struct sl__binance_fields *fields = &binance->inner;
    sl_market_event event;
    sl_candle *candle = &event.as.candle;
    sl_json_text closed = {"", 0};
    sl_json_text none = {"", 0};
    int64_t end_ns = 0;
    int64_t trades = 0;
    SL_TRY(get(binance, &binance->outer, SL__BINANCE_LETTER('k'), SL_JSON_OBJECT, what, "k", &none));
    int code = begin(binance, fields, what, message, SL_EVENT_CANDLE, SL_FEED_CANDLES, &event);
    if (code <= 0) {
        return code;
    }
    event.venue_time_ns = event.sent_time_ns;
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('t'), what, "t", true, &candle->open_time_ns));
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", true, &end_ns));
    SL_TRY(DECIMALS(binance, fields, what, true, {'o', &candle->open}, {'h', &candle->high}, {'l', &candle->low},
                    {'c', &candle->close}, {'v', &candle->volume}));
    SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_LETTER('n'), what, "n", &trades));
    SL_TRY(get(binance, fields, SL__BINANCE_LETTER('x'), SL_JSON_BOOL, what, "x", &closed));
    if (end_ns < candle->open_time_ns || trades < 0) {
        return sl__refuse(&binance->base, SL_EPROTO, "kline: it ends before it begins, or has less than no trades");
    }
    /* It ends one unit of time before the next begins. */
    candle->interval_ns = end_ns - candle->open_time_ns + (end_ns % 1000000 == 0 ? 1000000 : 1000);
    candle->trades = (uint64_t)trades;
    candle->closed = sl_json_is(closed, "true");
    return sl__give_event(&binance->base, output, &event);
}

/* markPriceUpdate; delivery futures have no rate ("") and no next time (0). */
static int give_funding(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "markPriceUpdate";
    const struct sl__binance_fields *fields = &binance->outer;
    sl_market_event event;
    sl_funding *funding = &event.as.funding;
    int code = begin(binance, fields, what, message, SL_EVENT_FUNDING, SL_FEED_FUNDING, &event);
    if (code <= 0) {
        return code;
    }
    event.venue_time_ns = event.sent_time_ns;
    SL_TRY(DECIMALS(binance, fields, what, true, {'p', &funding->mark_price}));
    SL_TRY(DECIMALS(binance, fields, what, false, {'i', &funding->index_price}, {'r', &funding->rate}));
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", false, &funding->next_time_ns));
    funding->has_mark = true;
    funding->has_index = HAS(fields, 'i') && fields->fields[SL__BINANCE_LETTER('i')].text.size_bytes > 0;
    funding->has_rate = HAS(fields, 'r') && fields->fields[SL__BINANCE_LETTER('r')].text.size_bytes > 0;
    return sl__give_event(&binance->base, output, &event);
}

/* forceOrder: only the largest one of each second is sent. */
static int give_liquidation(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "forceOrder";
    const struct sl__binance_fields *fields = &binance->inner;
    sl_market_event event;
    sl_liquidation *liquidation = &event.as.liquidation;
    sl_json_text side = {"", 0};
    sl_json_text none = {"", 0};
    SL_TRY(get(binance, &binance->outer, SL__BINANCE_LETTER('o'), SL_JSON_OBJECT, what, "o", &none));
    int code = begin(binance, fields, what, message, SL_EVENT_LIQUIDATION, SL_FEED_LIQUIDATIONS, &event);
    if (code <= 0) {
        return code;
    }
    SL_TRY(sl__binance_time(binance, fields, SL__BINANCE_LETTER('T'), what, "T", true, &event.venue_time_ns));
    SL_TRY(DECIMALS(binance, fields, what, true, {'p', &liquidation->price}, {'q', &liquidation->quantity}));
    SL_TRY(get(binance, fields, SL__BINANCE_LETTER('S'), SL_JSON_STRING, what, "S", &side));
    if (!sl_json_is(side, "BUY") && !sl_json_is(side, "SELL")) {
        return sl__refuse(&binance->base, SL_EPROTO, "forceOrder: \"S\" is neither BUY nor SELL");
    }
    liquidation->side = sl_json_is(side, "BUY") ? SL_SIDE_BUY : SL_SIDE_SELL;
    return sl__give_event(&binance->base, output, &event);
}

sl_instrument_status sl__binance_status(sl_json_text status)
{
    if (sl_json_is(status, "TRADING")) {
        return SL_STATUS_TRADING;
    }
    /* Futures after their delivery; spot keeps what it has delisted as BREAK, which may come back. */
    bool gone = sl_json_is(status, "DELIVERED") || sl_json_is(status, "CLOSE") || sl_json_is(status, "SETTLED");
    return gone ? SL_STATUS_DELISTED : SL_STATUS_HALTED;
}

static int give_status(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    static const char what[] = "contractInfo";
    sl_market_event event;
    sl_json_text status = {"", 0};
    int code = begin(binance, &binance->outer, what, message, SL_EVENT_STATUS, SL_FEED_STATUS, &event);
    if (code <= 0) {
        return code;
    }
    event.venue_time_ns = event.sent_time_ns;
    SL_TRY(get(binance, &binance->outer, SL__BINANCE_STATUS, SL_JSON_STRING, what, "cs", &status));
    event.as.status = sl__binance_status(status);
    return sl__give_event(&binance->base, output, &event);
}

/* ---- messages ---- */

/* Answers to SUBSCRIBE and UNSUBSCRIBE, and errors: {"result":null,"id":1}, {"code":2,"msg":"…","id":1}. */
static int give_answer(struct sl__binance *binance, const sl_venue_output *output)
{
    const struct sl__binance_fields *fields = &binance->outer;
    sl_venue_notice notice = {.kind = SL_NOTICE_SUBSCRIBED};
    if (sl__binance_has(fields, SL__BINANCE_ID) &&
        sl_json_text_int64(fields->fields[SL__BINANCE_ID].text, &notice.request_id) < 0) {
        notice.request_id = 0; /* not one of ours, which are integers */
    }
    if (sl__binance_has(fields, SL__BINANCE_CODE) && sl__binance_has(fields, SL__BINANCE_MSG)) {
        notice.kind = notice.request_id == 0 ? SL_NOTICE_ERROR : SL_NOTICE_REFUSED;
        SL_TRY(sl__binance_int(binance, fields, SL__BINANCE_CODE, "error", "code", &notice.code));
        /* 0 to 3: what is refused is the request's form (unknown property, bad JSON); below: the venue's own trouble. */
        notice.permanent = notice.code >= 0;
        notice.kind = notice.code == TOO_MANY_REQUESTS ? SL_NOTICE_RATE_LIMITED : notice.kind;
        SL_TRY(get(binance, fields, SL__BINANCE_MSG, SL_JSON_STRING, "error", "msg", &notice.text));
    }
    return sl__give_notice(&binance->base, output, &notice);
}

/* A message without "e". */
static int give_untyped(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    const struct sl__binance_fields *fields = &binance->outer;
    if (sl__binance_has(fields, SL__BINANCE_LAST_UPDATE)) {
        return give_partial(binance, message, output);
    }
    if (HAS(fields, 'u') && HAS(fields, 's') && HAS(fields, 'B') && HAS(fields, 'A')) {
        return give_best(binance, message, output); /* spot's has no "e" */
    }
    if (sl__binance_has(fields, SL__BINANCE_RESULT) ||
        (sl__binance_has(fields, SL__BINANCE_CODE) && sl__binance_has(fields, SL__BINANCE_MSG))) {
        return give_answer(binance, output);
    }
    return sl__refuse(&binance->base, SL_EPROTO,
                      "unknown form: neither \"e\" nor \"lastUpdateId\", no book ticker, no answer");
}

typedef int give_fn(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output);

static int give_aggregate(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    return give_trade(binance, message, output, true);
}

static int give_shutdown(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    (void)message;
    return sl__give_notice(&binance->base, output, &(sl_venue_notice){.kind = SL_NOTICE_RECONNECT});
}

/* What the outer fields say. The most frequent types come first. */
static int give(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
#define TYPE(text, function)                                                                                           \
    {                                                                                                                  \
        {text, sizeof(text) - 1}, function                                                                             \
    }
    static const struct {
        sl_json_text type;
        give_fn *give;
    } types[] = {
        TYPE("bookTicker", give_best),     TYPE("aggTrade", give_aggregate),
        TYPE("kline", give_candle),        TYPE("markPriceUpdate", give_funding),
        TYPE("24hrTicker", give_ticker),   TYPE("forceOrder", give_liquidation),
        TYPE("contractInfo", give_status), TYPE("serverShutdown", give_shutdown),
    };
    sl_json_text type = {"", 0};
    if (!HAS(&binance->outer, 'e')) {
        return give_untyped(binance, message, output);
    }
    SL_TRY(get(binance, &binance->outer, SL__BINANCE_LETTER('e'), SL_JSON_STRING, "message", "e", &type));
    if (sl_json_is(type, "trade")) {
        return give_trade(binance, message, output, false);
    }
    if (sl_json_is(type, "depthUpdate")) {
        return give_delta(binance, message, output);
    }
    for (size_t at = 0; at < sizeof(types) / sizeof(types[0]); at++) {
        if (is_text(type, types[at].type)) {
            return types[at].give(binance, message, output);
        }
    }
    return sl__refuse(&binance->base, SL_ENOTSUP, "events of type \"%s\" are not decoded (stream \"%s\")",
                      sl__excerpt(type).text, sl__excerpt(binance->stream).text);
}

int sl__binance_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    struct sl__binance *binance = (struct sl__binance *)decoder;
    if (binance->read_plain(binance, message, output)) {
        return give(binance, message, output);
    }
    binance->expected_symbol = NULL;
    SL_TRY(sl__decode_open(decoder, message));
    SL_TRY(sl__binance_read(binance));
    int code = sl_json_finish(decoder->json);
    if (code < 0) {
        return sl__refuse_json(decoder, code, "message");
    }
    return give(binance, message, output);
}
