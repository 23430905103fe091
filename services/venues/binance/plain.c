/* SPDX-License-Identifier: MIT */
/*
 * Messages in the plain form that Binance gives nearly all of them: ASCII without white space and escapes, whole
 * numbers, levels as pairs of strings. They are read in one pass. The quotes are found 64 bytes at a time, ahead of
 * everything else, so that where a piece begins is known before the piece in front of it has been read.
 *
 * Nothing is decided here. Whatever is not exactly of this form, and whatever is wrong, is read again by the JSON
 * cursor (decode.c); and what is read here is what that would have read: tests/fuzz/fuzz_binance.c compares the two.
 */
#include "binance.h"
#include "market/decimal_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define CHUNK_BYTES 64
_Static_assert(CHUNK_BYTES <= SL_JSON_PADDING, "the last chunk reaches behind the text");

/*
 * It goes from quote to quote; at the text's end they are all at `end`. What is read before a character that is not
 * plain is of no value: that is looked at last. As there are SL_JSON_PADDING readable bytes behind the text, it is
 * enough to look for its end once for each field or level.
 */
struct reader {
    struct sl__binance *binance;
    const char *end;
    const char *chunk;
    uint64_t quotes; /* in the chunk, those that were not taken yet */
    uint64_t odd;    /* not 0: there are backslashes, control characters, or bytes that are not ASCII */
};

/* Bits of the quotes in 64 bytes, and of characters that no plain text has. */
static inline void look_at(const char *text, uint64_t *ret_quotes, uint64_t *ret_odd)
{
    uint64_t quotes = 0, odd = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (int at = 0; at < CHUNK_BYTES; at += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
        __m128i strange = _mm_or_si128(_mm_cmpeq_epi8(some, slash), _mm_cmplt_epi8(some, space)); /* signed */
        quotes |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(some, quote)) << at;
        odd |= (uint64_t)(unsigned)_mm_movemask_epi8(strange) << at;
    }
#else
    for (int at = 0; at < CHUNK_BYTES; at++) {
        quotes |= (uint64_t)(text[at] == '"') << at;
        odd |= (uint64_t)(text[at] == '\\' || (signed char)text[at] < ' ') << at;
    }
#endif
    *ret_quotes = quotes;
    *ret_odd = odd;
}

static inline void load_chunk(struct reader *reader)
{
    uint64_t odd = 0;
    size_t left = (size_t)(reader->end - reader->chunk);
    uint64_t within = left >= CHUNK_BYTES ? UINT64_MAX : (UINT64_C(1) << left) - 1;
    look_at(reader->chunk, &reader->quotes, &odd);
    reader->quotes &= within;
    reader->odd |= odd & within;
}

static inline const char *next_quote(struct reader *reader)
{
    while (reader->quotes == 0) {
        if (reader->end - reader->chunk <= CHUNK_BYTES) {
            return reader->end;
        }
        reader->chunk += CHUNK_BYTES;
        load_chunk(reader);
    }
    const char *quote = reader->chunk + __builtin_ctzll(reader->quotes);
    reader->quotes &= reader->quotes - 1;
    return quote;
}

/*
 * A number of a level, between its quotes. With up to eight digits around a point it is one word without that, in which
 * what is no digit is seen at once.
 */
static inline bool read_number(const char *from, const char *to, sl_decimal *ret_number)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    size_t digits = (size_t)(to - from) - 1;
    uint64_t word = sl_digits_load(from);
    uint64_t points = word ^ each * '.';
    points = (points - each) & ~points & each * 0x80;
    unsigned before =
        points == 0 ? 0 : (unsigned)__builtin_ctzll(points) & ~7u; /* bits before the point, if it is near */
    if (digits - 1 < 8 && before > 0 && before < 8 * digits && (*from != '0' || before == 8)) {
        word = (word & ((UINT64_C(1) << before) - 1)) | sl_digits_load(from + before / 8 + 1) << before;
        word = (word ^ each * '0') << (64 - 8 * digits); /* 0 to 9 for digits, which are the last ones now */
        if (((word | ((word & each * 0x7f) + each * (0x7f - 9))) & each * 0x80) == 0) {
            *ret_number = (sl_decimal){(int64_t)sl_digits_value8(word), -(int32_t)(digits - before / 8)};
            return true;
        }
    }
    return sl_decimal_parse_padded(from, (size_t)(to - from), ret_number) == 0;
}

/* [["price","quantity"],…] from behind its first bracket to behind the last one; NULL for other forms. */
static const char *read_side(struct reader *reader, struct sl__venue_side *side, const char *at)
{
    side->count = 0;
    if (*at == ']') {
        return at + 1;
    }
    while (at < reader->end) {
        sl_level *level = NULL;
        const char *price = next_quote(reader), *price_end = next_quote(reader);
        const char *quantity = next_quote(reader), *quantity_end = next_quote(reader);
        if (*at != '[' || price != at + 1 || price_end[1] != ',' || quantity != price_end + 2 ||
            quantity_end >= reader->end || quantity_end[1] != ']' ||
            sl__levels_add(&reader->binance->base, side, &level) < 0 ||
            !read_number(price + 1, price_end, &level->price) ||
            !read_number(quantity + 1, quantity_end, &level->quantity) || level->quantity.mantissa < 0) {
            return NULL;
        }
        at = quantity_end + 3;
        if (quantity_end[2] != ',') {
            return quantity_end[2] == ']' ? at : NULL;
        }
    }
    return NULL;
}

static const char *read_object(struct reader *reader, const char *at, bool outermost);

/* An array of levels, or the event in its envelope; `at` is its bracket. */
static const char *read_container(struct reader *reader, sl_json_text key, int slot, const char *at, bool outermost)
{
    if (*at == '{') {
        return outermost && sl_json_is(key, "data") ? read_object(reader, at, false) : NULL;
    }
    struct sl__binance *binance = reader->binance;
    if (slot == SL__BINANCE_LETTER('b') || sl_json_is(key, "bids")) {
        sl__binance_note(&binance->outer, SL__BINANCE_LETTER('b'), SL_JSON_ARRAY);
        return read_side(reader, &binance->base.bids, at + 1);
    }
    if (slot == SL__BINANCE_LETTER('a') || sl_json_is(key, "asks")) {
        sl__binance_note(&binance->outer, SL__BINANCE_LETTER('a'), SL_JSON_ARRAY);
        return read_side(reader, &binance->base.asks, at + 1);
    }
    return NULL;
}

static inline const char *read_literal(const char *at, const char *text, size_t size_bytes, int type,
                                       struct sl__binance_field *ret_field)
{
    *ret_field = (struct sl__binance_field){{text, size_bytes}, type};
    return memcmp(at, text, size_bytes) == 0 ? at + size_bytes : NULL;
}

/* A string, a whole number without sign, true, false or null: what is behind it, NULL for other forms. */
static inline const char *read_scalar(struct reader *reader, const char *at, struct sl__binance_field *ret_field)
{
    const char *stop = at;
    switch (*at) {
    case '"':
        at = next_quote(reader) + 1;
        stop = next_quote(reader);
        *ret_field = (struct sl__binance_field){{at, (size_t)(stop - at)}, SL_JSON_STRING};
        return stop < reader->end ? stop + 1 : NULL;
    case 't':
        return read_literal(at, "true", 4, SL_JSON_BOOL, ret_field);
    case 'f':
        return read_literal(at, "false", 5, SL_JSON_BOOL, ret_field);
    case 'n':
        return read_literal(at, "null", 4, SL_JSON_NULL, ret_field);
    default:
        for (unsigned digits = 8; digits == 8 && stop < reader->end; stop += digits) {
            digits = sl_digits_count(sl_digits_load(stop));
        }
        *ret_field = (struct sl__binance_field){{at, (size_t)(stop - at)}, SL_JSON_NUMBER};
        return stop == at || (*at == '0' && stop - at > 1) ? NULL : stop;
    }
}

/* The symbol is known, and what kind of event it is: its instrument, while the levels or numbers are read. */
static void look_ahead(struct sl__binance *binance, sl_json_text symbol)
{
    const struct sl__binance_fields *fields = &binance->outer;
    if (!sl__binance_has(fields, SL__BINANCE_LETTER('e'))) {
        return;
    }
    sl_json_text type = fields->fields[SL__BINANCE_LETTER('e')].text;
    sl_feed feed = sl_json_is(type, "depthUpdate") ? SL_FEED_DEPTH
                   : sl_json_is(type, "trade")     ? SL_FEED_TRADES
                                                   : SL_FEED_NONE;
    const sl_venue_decoder_options *options = &binance->base.options;
    const sl_instrument *instrument = feed == SL_FEED_NONE ? NULL
                                                           : sl_instruments_find(options->instruments, options->venue,
                                                                                 symbol.data, symbol.size_bytes);
    if (instrument != NULL) {
        binance->expected_symbol = symbol.data;
        binance->expected = instrument;
        if (binance->output->expect != NULL) {
            binance->output->expect(binance->output->arg, instrument, feed);
        }
    }
}

static inline int slot_of(sl_json_text key)
{
    bool letter = key.size_bytes == 1 && (unsigned)((key.data[0] | 0x20) - 'a') < 26;
    return letter ? SL__BINANCE_LETTER(key.data[0]) : sl__binance_slot(key);
}

/* From an object's first bracket to behind its last one; NULL for other forms. */
static const char *read_object(struct reader *reader, const char *at, bool outermost)
{
    struct sl__binance_fields *fields = &reader->binance->outer;
    for (char before = '{'; at < reader->end && *at == before; before = ',') {
        const char *open = next_quote(reader), *close = next_quote(reader);
        if (open != at + 1 || close >= reader->end || close[1] != ':') {
            return NULL;
        }
        sl_json_text key = {open + 1, (size_t)(close - open - 1)};
        int slot = slot_of(key);
        at = close + 2;
        if (*at == '{' || *at == '[') {
            at = read_container(reader, key, slot, at, outermost);
        } else {
            struct sl__binance_field field;
            at = read_scalar(reader, at, &field);
            if (slot != SL__BINANCE_IGNORED) {
                fields->present |= UINT64_C(1) << slot;
                fields->fields[slot] = field;
                if (slot == SL__BINANCE_LETTER('s') && at != NULL) {
                    look_ahead(reader->binance, field.text);
                }
            } else if (outermost && field.type == SL_JSON_STRING && sl_json_is(key, "stream")) {
                reader->binance->stream = field.text;
            }
        }
        if (at == NULL || *at == '}') {
            return at == NULL ? NULL : at + 1;
        }
    }
    return NULL;
}

bool sl__binance_read_plain(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
{
    binance->output = output;
    binance->expected_symbol = NULL;
    if ((message->json_flags & SL_JSON_PADDED) == 0 || message->size_bytes == 0 ||
        message->size_bytes > binance->base.options.message_max_bytes) {
        return false;
    }
    struct reader reader = {.binance = binance, .chunk = message->text, .end = message->text + message->size_bytes};
    load_chunk(&reader);
    binance->outer.present = 0;
    binance->inner.present = 0;
    binance->stream = (sl_json_text){"", 0};
    return read_object(&reader, message->text, true) == reader.end && reader.odd == 0;
}
