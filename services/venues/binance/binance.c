/* SPDX-License-Identifier: MIT */
/*
 * Binance's messages: see binance.h. One pass collects the fields of the event's object, in whatever order
 * they come, then the event is made of them.
 */
#include "binance.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Levels that a decoder has room for at first. */
#define LEVELS_FIRST 256

/* Times from this on are microseconds (timeUnit=MICROSECOND): as milliseconds they would lie in the year 5138. */
#define MICROSECONDS_FROM INT64_C(100000000000000)

/* Fields by slot: one-letter keys by their letter, from 'A', then those with longer names. */
enum {
    SLOT_PREVIOUS = 'z' - 'A' + 1, /* "pu" */
    SLOT_LAST_UPDATE,              /* "lastUpdateId" */
    SLOT_SYMBOL,                   /* "symbol" */
    SLOT_CODE,                     /* "code" */
    SLOT_MSG,                      /* "msg" */
    SLOT_RESULT,                   /* "result" */
    SLOT_COUNT,
    SLOT_IGNORED = SLOT_COUNT,
};
_Static_assert(SLOT_COUNT <= 64, "presence is a bit of one word");

#define LETTER(c) ((c) - 'A')

struct field {
    sl_json_text text;
    int type; /* sl_json_type */
};

/* Levels of one side; grows, never shrinks. */
struct side {
    sl_level *levels;
    size_t count;
    size_t capacity;
};

struct sl_binance {
    sl_binance_options options;
    sl_json *json;
    struct side bids;
    struct side asks;
    uint64_t present;
    struct field fields[SLOT_COUNT];
    sl_json_text stream;
    size_t data_offset;
    size_t data_size_bytes;
    int64_t venue_error;
    char problem[SL_BINANCE_PROBLEM_MAX];
};

/* Notes what is wrong and returns the code. */
static int fail(sl_binance *decoder, int code, const char *format, ...) SL_PRINTF(3, 4);
static int fail(sl_binance *decoder, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(decoder->problem, sizeof(decoder->problem), format, arguments);
    va_end(arguments);
    return code;
}

/* As fail(), for what the JSON cursor refused. */
static int fail_json(sl_binance *decoder, int code, const char *where)
{
    return fail(decoder, code, "%s: %s at byte %zu", where, sl_json_problem(decoder->json),
                sl_json_offset(decoder->json));
}

/* A piece of foreign text for an error message: short, and without control characters. */
struct excerpt {
    char text[41];
};

static struct excerpt excerpt(sl_json_text text)
{
    struct excerpt result;
    size_t size_bytes = text.size_bytes < sizeof(result.text) - 1 ? text.size_bytes : sizeof(result.text) - 1;
    for (size_t at = 0; at < size_bytes; at++) {
        unsigned char c = (unsigned char)text.data[at];
        result.text[at] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
    }
    result.text[size_bytes] = '\0';
    return result;
}

static int slot_of(sl_json_text key)
{
    static const struct {
        const char *name;
        int slot;
    } names[] = {
        {"pu", SLOT_PREVIOUS},   {"lastUpdateId", SLOT_LAST_UPDATE},
        {"symbol", SLOT_SYMBOL}, {"code", SLOT_CODE},
        {"msg", SLOT_MSG},       {"result", SLOT_RESULT},
    };
    if (key.size_bytes == 1) {
        char c = key.data[0];
        return c >= 'A' && c <= 'z' ? LETTER(c) : SLOT_IGNORED;
    }
    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        if (sl_json_is(key, names[at].name)) {
            return names[at].slot;
        }
    }
    return SLOT_IGNORED;
}

static bool has(const sl_binance *decoder, int slot)
{
    return (decoder->present >> slot & 1) != 0;
}

/* Makes room for one more level. */
static int grow(sl_binance *decoder, struct side *side)
{
    if (side->count < side->capacity) {
        return 0;
    }
    if (side->count >= decoder->options.levels_max) {
        return fail(decoder, SL_EMSGSIZE, "more than %zu levels a side", decoder->options.levels_max);
    }
    size_t capacity = side->capacity == 0 ? LEVELS_FIRST : side->capacity * 2;
    capacity = capacity < decoder->options.levels_max ? capacity : decoder->options.levels_max;
    sl_level *levels = sl_realloc(side->levels, capacity * sizeof(*levels));
    if (levels == NULL) {
        return fail(decoder, SL_ENOMEM, "out of memory for %zu levels", capacity);
    }
    side->levels = levels;
    side->capacity = capacity;
    return 0;
}

/* The next number of a level, which is a string. */
static int read_number(sl_binance *decoder, sl_decimal *ret_number)
{
    sl_json_text text;
    int code = sl_json_next_string(decoder->json, &text);
    if (code < 0) {
        return fail_json(decoder, code, "a level");
    }
    if (code == 0) {
        return fail(decoder, SL_EPROTO, "a level with less than a price and a quantity before byte %zu",
                    sl_json_here(decoder->json));
    }
    code = sl_decimal_parse(text.data, text.size_bytes, ret_number);
    if (code < 0) {
        return fail(decoder, code, "a level: \"%s\" %s", excerpt(text).text,
                    code == SL_ERANGE ? "has more digits than can be represented" : "is not a decimal number");
    }
    return 0;
}

/* [["price","quantity"],...]; what an element has beyond these two is skipped. */
static int read_levels(sl_binance *decoder, struct side *side)
{
    sl_json *json = decoder->json;
    int code = sl_json_enter_array(json);
    side->count = 0;
    while (code == 0 && (code = sl_json_next_element(json)) > 0) {
        SL_TRY(grow(decoder, side));
        code = sl_json_enter_array(json);
        if (code < 0) {
            break;
        }
        sl_level *level = &side->levels[side->count];
        SL_TRY(read_number(decoder, &level->price));
        SL_TRY(read_number(decoder, &level->quantity));
        if (level->quantity.mantissa < 0) {
            return fail(decoder, SL_EPROTO, "a negative quantity before byte %zu", sl_json_here(json));
        }
        side->count++;
        code = sl_json_leave(json);
    }
    return code < 0 ? fail_json(decoder, code, "levels") : 0;
}

static int read_fields(sl_binance *decoder, int nesting);

/* The value of one field. Containers that mean nothing here are skipped by the next step of the cursor. */
static int read_field(sl_binance *decoder, sl_json_text key, int nesting)
{
    sl_json *json = decoder->json;
    sl_json_type type = sl_json_peek(json);
    if (type == SL_JSON_ARRAY) {
        if (sl_json_is(key, "b") || sl_json_is(key, "bids")) {
            decoder->present |= UINT64_C(1) << LETTER('b');
            decoder->fields[LETTER('b')].type = type;
            return read_levels(decoder, &decoder->bids);
        }
        if (sl_json_is(key, "a") || sl_json_is(key, "asks")) {
            decoder->present |= UINT64_C(1) << LETTER('a');
            decoder->fields[LETTER('a')].type = type;
            return read_levels(decoder, &decoder->asks);
        }
    }
    if (nesting == 0 && type == SL_JSON_OBJECT && (sl_json_is(key, "data") || sl_json_is(key, "error"))) {
        decoder->data_offset = sl_json_here(json);
        SL_TRY(read_fields(decoder, nesting + 1));
        decoder->data_size_bytes = sl_json_behind(json) - decoder->data_offset;
        return 0;
    }
    if (nesting == 0 && type == SL_JSON_STRING && sl_json_is(key, "stream")) {
        int code = sl_json_get_string(json, &decoder->stream);
        return code < 0 ? fail_json(decoder, code, "\"stream\"") : 0;
    }
    int slot = slot_of(key);
    if (slot == SLOT_IGNORED) {
        return 0;
    }
    decoder->present |= UINT64_C(1) << slot;
    decoder->fields[slot].type = (int)type;
    if (type == SL_JSON_OBJECT || type == SL_JSON_ARRAY) {
        return 0;
    }
    int code = sl_json_get_scalar(json, &decoder->fields[slot].text);
    return code < 0 ? fail_json(decoder, code, excerpt(key).text) : 0;
}

static int read_fields(sl_binance *decoder, int nesting)
{
    sl_json_text key;
    int code = sl_json_enter_object(decoder->json);
    while (code >= 0 && (code = sl_json_next_field(decoder->json, &key)) > 0) {
        SL_TRY(read_field(decoder, key, nesting));
    }
    return code < 0 ? fail_json(decoder, code, "message") : 0;
}

/* The field in `slot` as a text of the JSON type `type`; `what` and `name` are for the error. */
static int get(sl_binance *decoder, int slot, int type, const char *what, const char *name, sl_json_text *ret_text)
{
    if (!has(decoder, slot)) {
        return fail(decoder, SL_EPROTO, "%s: \"%s\" is missing", what, name);
    }
    if (decoder->fields[slot].type != type) {
        return fail(decoder, SL_EPROTO, "%s: \"%s\" is of the wrong type", what, name);
    }
    *ret_text = decoder->fields[slot].text;
    return 0;
}

static int get_int(sl_binance *decoder, int slot, const char *what, const char *name, int64_t *ret_value)
{
    sl_json_text text = {"", 0};
    SL_TRY(get(decoder, slot, SL_JSON_NUMBER, what, name, &text));
    int code = sl_json_text_int64(text, ret_value);
    return code < 0 ? fail(decoder, code, "%s: \"%s\" is no integer of 64 bits: %s", what, name, excerpt(text).text)
                    : 0;
}

static int get_decimal(sl_binance *decoder, int slot, const char *what, const char *name, sl_decimal *ret_value)
{
    sl_json_text text = {"", 0};
    SL_TRY(get(decoder, slot, SL_JSON_STRING, what, name, &text));
    int code = sl_decimal_parse(text.data, text.size_bytes, ret_value);
    if (code < 0) {
        return fail(decoder, code, "%s: \"%s\" %s: \"%s\"", what, name,
                    code == SL_ERANGE ? "has more digits than can be represented" : "is not a decimal number",
                    excerpt(text).text);
    }
    return 0;
}

/* A time in ns; 0 when the field is absent and may be. */
static int get_time(sl_binance *decoder, int slot, const char *what, const char *name, bool needed, int64_t *ret_ns)
{
    int64_t value = 0;
    *ret_ns = 0;
    if (!needed && !has(decoder, slot)) {
        return 0;
    }
    SL_TRY(get_int(decoder, slot, what, name, &value));
    int64_t unit_ns = value < MICROSECONDS_FROM ? 1000000 : 1000;
    if (value < 0 || __builtin_mul_overflow(value, unit_ns, ret_ns)) {
        return fail(decoder, SL_ERANGE, "%s: \"%s\" is out of range for a time: %" PRId64, what, name, value);
    }
    return 0;
}

static int get_instrument(sl_binance *decoder, int slot, const char *what, const char *name, sl_market_event *event)
{
    sl_json_text text = {"", 0};
    SL_TRY(get(decoder, slot, SL_JSON_STRING, what, name, &text));
    int code = sl_event_set_instrument(event, text.data, text.size_bytes);
    return code < 0 ? fail(decoder, code, "%s: \"%s\" is empty or too long: \"%s\"", what, name, excerpt(text).text)
                    : 0;
}

static int make_trade(sl_binance *decoder, sl_market_event *event, const char *what, bool aggregate)
{
    sl_trade *trade = &event->as.trade;
    sl_json_text maker = {"", 0};
    event->kind = SL_EVENT_TRADE;
    event->feed = aggregate ? SL_FEED_AGG_TRADES : SL_FEED_TRADES;
    *trade = (sl_trade){0};
    SL_TRY(get_instrument(decoder, LETTER('s'), what, "s", event));
    SL_TRY(get_time(decoder, LETTER('T'), what, "T", true, &event->venue_time_ns));
    SL_TRY(get_time(decoder, LETTER('E'), what, "E", true, &event->sent_time_ns));
    SL_TRY(get_decimal(decoder, LETTER('p'), what, "p", &trade->price));
    SL_TRY(get_decimal(decoder, LETTER('q'), what, "q", &trade->quantity));
    SL_TRY(get(decoder, LETTER('m'), SL_JSON_BOOL, what, "m", &maker));
    trade->taker = sl_json_is(maker, "true") ? SL_SIDE_SELL : SL_SIDE_BUY; /* m: the buyer is the maker */
    if (aggregate) {
        SL_TRY(get_int(decoder, LETTER('a'), what, "a", &trade->id));
        SL_TRY(get_int(decoder, LETTER('f'), what, "f", &trade->first_id));
        return get_int(decoder, LETTER('l'), what, "l", &trade->last_id);
    }
    SL_TRY(get_int(decoder, LETTER('t'), what, "t", &trade->id));
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    trade->off_book = has(decoder, LETTER('X')) && !sl_json_is(decoder->fields[LETTER('X')].text, "MARKET");
    return 0;
}

/* Both arrays of levels must be there, even if empty. */
static int get_levels(sl_binance *decoder, const char *what, sl_levels *ret_levels)
{
    sl_json_text none = {"", 0};
    SL_TRY(get(decoder, LETTER('b'), SL_JSON_ARRAY, what, "b", &none));
    SL_TRY(get(decoder, LETTER('a'), SL_JSON_ARRAY, what, "a", &none));
    *ret_levels = (sl_levels){decoder->bids.levels, decoder->asks.levels, decoder->bids.count, decoder->asks.count};
    return 0;
}

static int make_delta(sl_binance *decoder, sl_market_event *event)
{
    static const char what[] = "depthUpdate";
    sl_book_delta *delta = &event->as.delta;
    bool spot = decoder->options.venue == SL_VENUE_BINANCE_SPOT;
    event->kind = SL_EVENT_BOOK_DELTA;
    event->feed = SL_FEED_DEPTH;
    *delta = (sl_book_delta){.has_previous = !spot};
    SL_TRY(get_instrument(decoder, LETTER('s'), what, "s", event));
    SL_TRY(get_time(decoder, LETTER('E'), what, "E", true, &event->sent_time_ns));
    SL_TRY(get_time(decoder, LETTER('T'), what, "T", !spot, &event->venue_time_ns));
    SL_TRY(get_int(decoder, LETTER('U'), what, "U", &delta->first_id));
    SL_TRY(get_int(decoder, LETTER('u'), what, "u", &delta->last_id));
    if (!spot) {
        SL_TRY(get_int(decoder, SLOT_PREVIOUS, what, "pu", &delta->previous_id));
    }
    event->venue_time_ns = event->venue_time_ns == 0 ? event->sent_time_ns : event->venue_time_ns;
    return get_levels(decoder, what, &delta->levels);
}

static int make_snapshot(sl_binance *decoder, const sl_binance_message *message, sl_market_event *event)
{
    static const char what[] = "depth snapshot";
    event->kind = SL_EVENT_BOOK_SNAPSHOT;
    event->feed = SL_FEED_SNAPSHOT;
    event->as.snapshot = (sl_book_snapshot){0};
    if (has(decoder, SLOT_SYMBOL)) {
        SL_TRY(get_instrument(decoder, SLOT_SYMBOL, what, "symbol", event));
    } else if (message->instrument == NULL ||
               sl_event_set_instrument(event, message->instrument, strlen(message->instrument)) < 0) {
        return fail(decoder, SL_EPROTO, "%s: it names no instrument and the caller gave none", what);
    }
    SL_TRY(get_time(decoder, LETTER('E'), what, "E", false, &event->sent_time_ns));
    SL_TRY(get_time(decoder, LETTER('T'), what, "T", false, &event->venue_time_ns));
    SL_TRY(get_int(decoder, SLOT_LAST_UPDATE, what, "lastUpdateId", &event->as.snapshot.last_id));
    return get_levels(decoder, what, &event->as.snapshot.levels);
}

static int make_best(sl_binance *decoder, sl_market_event *event)
{
    static const char what[] = "bookTicker";
    sl_best *best = &event->as.best;
    event->kind = SL_EVENT_BEST;
    event->feed = SL_FEED_BEST;
    *best = (sl_best){0};
    SL_TRY(get_instrument(decoder, LETTER('s'), what, "s", event));
    SL_TRY(get_time(decoder, LETTER('E'), what, "E", false, &event->sent_time_ns));
    SL_TRY(get_time(decoder, LETTER('T'), what, "T", false, &event->venue_time_ns));
    SL_TRY(get_int(decoder, LETTER('u'), what, "u", &best->update_id));
    SL_TRY(get_decimal(decoder, LETTER('b'), what, "b", &best->bid.price));
    SL_TRY(get_decimal(decoder, LETTER('B'), what, "B", &best->bid.quantity));
    SL_TRY(get_decimal(decoder, LETTER('a'), what, "a", &best->ask.price));
    return get_decimal(decoder, LETTER('A'), what, "A", &best->ask.quantity);
}

/* A message without "e". */
static int make_untyped(sl_binance *decoder, const sl_binance_message *message, sl_market_event *event)
{
    const uint64_t ticker = UINT64_C(1) << LETTER('u') | UINT64_C(1) << LETTER('s') | UINT64_C(1) << LETTER('b') |
                            UINT64_C(1) << LETTER('B') | UINT64_C(1) << LETTER('a') | UINT64_C(1) << LETTER('A');
    if (has(decoder, SLOT_LAST_UPDATE)) {
        return make_snapshot(decoder, message, event);
    }
    if ((decoder->present & ticker) == ticker) {
        return make_best(decoder, event); /* spot's has no "e" */
    }
    if (has(decoder, SLOT_CODE) && has(decoder, SLOT_MSG) && decoder->fields[SLOT_CODE].type == SL_JSON_NUMBER &&
        decoder->fields[SLOT_MSG].type == SL_JSON_STRING) {
        if (sl_json_text_int64(decoder->fields[SLOT_CODE].text, &decoder->venue_error) < 0) {
            decoder->venue_error = 0; /* not one of its numbers */
        }
        return fail(decoder, SL_EPROTO, "the venue answered with error %s: %s",
                    excerpt(decoder->fields[SLOT_CODE].text).text, excerpt(decoder->fields[SLOT_MSG].text).text);
    }
    if (has(decoder, SLOT_RESULT)) {
        return fail(decoder, SL_ENOTSUP, "an answer to a request, not an event");
    }
    return fail(decoder, SL_EPROTO, "unknown form: neither \"e\" nor \"lastUpdateId\" nor a book ticker");
}

static int make_event(sl_binance *decoder, const sl_binance_message *message, sl_market_event *event)
{
    sl_json_text type = {"", 0};
    if (!has(decoder, LETTER('e'))) {
        return make_untyped(decoder, message, event);
    }
    SL_TRY(get(decoder, LETTER('e'), SL_JSON_STRING, "message", "e", &type));
    if (sl_json_is(type, "depthUpdate")) {
        return make_delta(decoder, event);
    }
    if (sl_json_is(type, "trade")) {
        return make_trade(decoder, event, "trade", false);
    }
    if (sl_json_is(type, "bookTicker")) {
        return make_best(decoder, event);
    }
    if (sl_json_is(type, "aggTrade")) {
        return make_trade(decoder, event, "aggTrade", true);
    }
    return fail(decoder, SL_ENOTSUP, "events of type \"%s\" are not decoded (stream \"%s\")", excerpt(type).text,
                excerpt(decoder->stream).text);
}

static int decode(sl_binance *decoder, const sl_binance_message *message, sl_market_event *event)
{
    decoder->present = 0;
    decoder->venue_error = 0;
    decoder->stream = (sl_json_text){"", 0};
    decoder->data_offset = 0;
    decoder->data_size_bytes = message->size_bytes;
    int code = sl_json_open(decoder->json, message->text, message->size_bytes, message->json_flags);
    if (code < 0) {
        return fail_json(decoder, code, "message");
    }
    SL_TRY(read_fields(decoder, 0));
    code = sl_json_finish(decoder->json);
    if (code < 0) {
        return fail_json(decoder, code, "message");
    }
    event->venue = decoder->options.venue;
    event->connection = decoder->options.connection;
    event->receive_time_ns = message->receive_time_ns;
    event->venue_time_ns = 0;
    event->sent_time_ns = 0;
    return make_event(decoder, message, event);
}

int sl_binance_decode(sl_binance *decoder, const sl_binance_message *message, sl_market_event *ret_event)
{
    int code = decode(decoder, message, ret_event);
    if (code < 0) {
        ret_event->kind = SL_EVENT_NONE;
        return sl_fail(code, "%s: %s", sl_venue_name(decoder->options.venue), decoder->problem);
    }
    return 0;
}

int sl_binance_new(const sl_binance_options *options, sl_binance **ret_decoder)
{
    if (options->venue < SL_VENUE_BINANCE_SPOT || options->venue > SL_VENUE_BINANCE_COINM ||
        options->levels_max > SL_BINANCE_LEVELS_MAX || options->message_max_bytes > SL_JSON_SIZE_MAX_BYTES) {
        return SL_EINVAL;
    }
    sl_binance *decoder = sl_calloc(1, sizeof(*decoder));
    if (decoder == NULL) {
        return SL_ENOMEM;
    }
    decoder->options = *options;
    if (options->levels_max == 0) {
        decoder->options.levels_max = SL_BINANCE_LEVELS_DEFAULT;
    }
    if (options->message_max_bytes == 0) {
        decoder->options.message_max_bytes = SL_BINANCE_MESSAGE_DEFAULT_BYTES;
    }
    int code = sl_json_new(decoder->options.message_max_bytes, &decoder->json);
    if (code < 0) {
        sl_binance_free(decoder);
        return code;
    }
    *ret_decoder = decoder;
    return 0;
}

void sl_binance_free(sl_binance *decoder)
{
    if (decoder != NULL) {
        sl_json_free(decoder->json);
        sl_free(decoder->bids.levels);
        sl_free(decoder->asks.levels);
        sl_free(decoder);
    }
}

const char *sl_binance_problem(const sl_binance *decoder)
{
    return decoder->problem;
}

int64_t sl_binance_error(const sl_binance *decoder)
{
    return decoder->venue_error;
}

sl_json_text sl_binance_stream_of(const sl_binance *decoder)
{
    return decoder->stream;
}

void sl_binance_data_of(const sl_binance *decoder, size_t *ret_offset, size_t *ret_size_bytes)
{
    *ret_offset = decoder->data_offset;
    *ret_size_bytes = decoder->data_size_bytes;
}
