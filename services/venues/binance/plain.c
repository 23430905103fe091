/* SPDX-License-Identifier: MIT */
/*
 * Messages in the plain form that Binance gives nearly all of them: ASCII without white space and escapes, keys of one
 * letter, whole numbers, levels as pairs of strings. They are read in one pass, and whole numbers with it: 16 or 32 bytes
 * are looked at together wherever an end is searched for.
 *
 * Nothing is decided here. Whatever is not exactly of this form, and whatever is wrong, is read again by the JSON
 * cursor (decode.c); and what is read here is what that would have read: tests/fuzz/fuzz_binance.c compares the two.
 */
#include "binance.h"
#include "market/decimal_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PIECE_BYTES 16
#define WINDOW_BYTES 32

/* A level whose price is longer has its quantity looked at on its own, so that this may be long, too. */
#define PRICE_SHORT_BYTES 9
/* Prices that are longer are not plain. */
#define PRICE_BYTES_MAX 20

/* Integers up to so many digits cannot overflow. */
#define DIGITS_SAFE 18

/* What one step reads at most, from a place before the text's end: a level's price and the window of its quantity. */
_Static_assert(2 + PRICE_BYTES_MAX + 3 + WINDOW_BYTES + 2 < SL_JSON_PADDING, "a step stays where may be read");

/*
 * It goes through the text, and each step begins before its end. What is read behind that is of no value: then the last
 * step does not end where the text does, which is looked at last.
 */
struct reader {
    struct sl__binance *binance;
    const char *end;
};

/* ---- texts ---- */

/* Bits of the quotes in 16 bytes, and of characters that no plain text has. */
static inline void look_at(const char *text, unsigned *ret_quotes, unsigned *ret_odd)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    __m128i some = _mm_loadu_si128((const __m128i *)(const void *)text);
    __m128i strange = _mm_or_si128(_mm_cmpeq_epi8(some, slash), _mm_cmplt_epi8(some, space)); /* signed */
    *ret_quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(some, quote));
    *ret_odd = (unsigned)_mm_movemask_epi8(strange);
#else
    *ret_quotes = *ret_odd = 0;
    for (int at = 0; at < PIECE_BYTES; at++) {
        *ret_quotes |= (unsigned)(text[at] == '"') << at;
        *ret_odd |= (unsigned)(text[at] == '\\' || (signed char)text[at] < ' ') << at;
    }
#endif
}

/* The quote that ends a string; NULL when there is none, or something before it that is not plain. */
static inline const char *find_quote(const char *at, const char *end)
{
    for (; at < end; at += PIECE_BYTES) {
        unsigned quotes = 0, odd = 0;
        look_at(at, &quotes, &odd);
        if (quotes != 0) {
            return (odd & (quotes ^ (quotes - 1))) == 0 ? at + __builtin_ctz(quotes) : NULL;
        }
        if (odd != 0) {
            return NULL;
        }
    }
    return NULL;
}

static inline uint16_t load2(const char *text)
{
    uint16_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

static inline uint32_t load4(const char *text)
{
    uint32_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

#define TWO(a, b) ((uint16_t)((a) | (b) << 8))

/* ---- levels ---- */

/* A text and where in its first 32 bytes something else than digits is; all behind them counts as such. */
struct window {
    const char *text;
    uint64_t others;
};

static inline struct window look_for_others(const char *text)
{
    uint64_t digits = 0;
#ifdef __SSE2__
    const __m128i up = _mm_set1_epi8(0x7f - '9'), below = _mm_set1_epi8(0x7f - 10); /* '9' becomes the largest */
    for (int at = 0; at < WINDOW_BYTES; at += PIECE_BYTES) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
        digits |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(_mm_add_epi8(some, up), below)) << at;
    }
#else
    for (int at = 0; at < WINDOW_BYTES; at++) {
        digits |= (uint64_t)(text[at] >= '0' && text[at] <= '9') << at;
    }
#endif
    return (struct window){text, ~digits};
}

static inline unsigned next_other(struct window *window)
{
    unsigned at = (unsigned)__builtin_ctzll(window->others);
    window->others &= window->others - 1;
    return at;
}

/*
 * The number at `from` of the window, and where it ends; all before is taken from the window. Up to eight digits are put
 * together, without the point, as one word.
 */
static inline bool read_number(struct window *window, unsigned from, unsigned *ret_end, sl_decimal *ret_number)
{
    const char *text = window->text + from;
    unsigned whole = next_other(window) - from, end = whole, digits = whole;
    uint64_t word = sl_digits_load(text);
    if (text[whole] == '.') {
        unsigned few = whole % 8; /* where they are more the word is not used */
        end = next_other(window) - from;
        digits = end - 1;
        word = (word & ((UINT64_C(1) << 8 * few) - 1)) | sl_digits_load(text + few + 1) << 8 * few;
        if (digits == whole) {
            return false;
        }
    }
    if (whole == 0 || (*text == '0' && whole > 1)) {
        return false;
    }
    *ret_end = from + end;
    if (digits > 8) {
        return sl_decimal_parse_padded(text, end, ret_number) == 0;
    }
    *ret_number = (sl_decimal){(int64_t)sl_digits_value(word, digits), -(int32_t)(digits - whole)};
    return true;
}

/* ["price","quantity"]: what is behind it; NULL for other forms. */
static inline const char *read_level(const char *at, sl_level *ret_level)
{
    struct window window = look_for_others(at + 2);
    const char *text = window.text;
    unsigned end = 0;
    if (load2(at) != TWO('[', '"') || !read_number(&window, 0, &end, &ret_level->price) || end > PRICE_BYTES_MAX ||
        load2(text + end) != TWO('"', ',') || text[end + 2] != '"') {
        return NULL;
    }
    unsigned from = end + 3;
    if (end > PRICE_SHORT_BYTES) {
        text += from;
        from = 0;
        window = look_for_others(text);
    } else { /* the comma and the quote */
        (void)next_other(&window);
        (void)next_other(&window);
    }
    if (!read_number(&window, from, &end, &ret_level->quantity) || load2(text + end) != TWO('"', ']')) {
        return NULL;
    }
    return text + end + 2;
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
        if (sl__levels_add(&reader->binance->base, side, &level) < 0) {
            return NULL;
        }
        at = read_level(at, level);
        if (at == NULL || *at != ',') {
            return at != NULL && *at == ']' ? at + 1 : NULL;
        }
        at++;
    }
    return NULL;
}

/* ---- fields ---- */

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
    *ret_field = (struct sl__binance_field){{text, size_bytes}, type, false, 0};
    return memcmp(at, text, size_bytes) == 0 ? at + size_bytes : NULL;
}

/* A whole number without sign. */
static inline const char *read_whole(const char *at, const char *end, struct sl__binance_field *ret_field)
{
    const char *stop = at;
    uint64_t value = 0;
    for (unsigned digits = 8; digits == 8 && stop < end; stop += digits) {
        uint64_t word = sl_digits_load(stop);
        digits = sl_digits_count(word);
        if (digits > 0) {
            value = value * sl__decimal_powers[digits] + sl_digits_value(word, digits);
        }
    }
    size_t size_bytes = (size_t)(stop - at);
    *ret_field =
        (struct sl__binance_field){{at, size_bytes}, SL_JSON_NUMBER, size_bytes <= DIGITS_SAFE, (int64_t)value};
    return size_bytes == 0 || (*at == '0' && size_bytes > 1) ? NULL : stop;
}

/* A string, a whole number without sign, true, false or null: what is behind it, NULL for other forms. */
static inline const char *read_scalar(const char *at, const char *end, struct sl__binance_field *ret_field)
{
    switch (*at) {
    case '"': {
        const char *stop = find_quote(++at, end);
        if (stop == NULL) {
            return NULL;
        }
        *ret_field = (struct sl__binance_field){{at, (size_t)(stop - at)}, SL_JSON_STRING, false, 0};
        return stop + 1;
    }
    case 't':
        return read_literal(at, "true", 4, SL_JSON_BOOL, ret_field);
    case 'f':
        return read_literal(at, "false", 5, SL_JSON_BOOL, ret_field);
    case 'n':
        return read_literal(at, "null", 4, SL_JSON_NULL, ret_field);
    default:
        return read_whole(at, end, ret_field);
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

/* A key, with the colon behind it; NULL for other forms. Nearly all are one letter. */
static inline const char *read_key(const struct reader *reader, const char *at, sl_json_text *ret_key, int *ret_slot)
{
    uint32_t word = load4(at);
    char letter = at[1];
    if ((word & 0xffff00ff) == ('"' | '"' << 16 | (uint32_t)':' << 24) && (unsigned)((letter | 0x20) - 'a') < 26) {
        *ret_key = (sl_json_text){at + 1, 1};
        *ret_slot = SL__BINANCE_LETTER(letter);
        return at + 4;
    }
    const char *stop = *at == '"' ? find_quote(at + 1, reader->end) : NULL;
    if (stop == NULL || stop[1] != ':') {
        return NULL;
    }
    *ret_key = (sl_json_text){at + 1, (size_t)(stop - at - 1)};
    *ret_slot = sl__binance_slot(*ret_key);
    return stop + 2;
}

/* From an object's first bracket to behind its last one; NULL for other forms. */
static const char *read_object(struct reader *reader, const char *at, bool outermost)
{
    struct sl__binance_fields *fields = &reader->binance->outer;
    for (char before = '{'; at < reader->end && *at == before; before = ',') {
        sl_json_text key;
        int slot = SL__BINANCE_IGNORED;
        at = read_key(reader, at + 1, &key, &slot);
        if (at == NULL || at >= reader->end) {
            return NULL;
        }
        if ((*at | 0x20) == '{') { /* or a bracket */
            at = read_container(reader, key, slot, at, outermost);
        } else {
            struct sl__binance_field *field = &fields->fields[slot];
            at = read_scalar(at, reader->end, field);
            if (slot != SL__BINANCE_IGNORED) {
                fields->present |= UINT64_C(1) << slot;
                if (slot == SL__BINANCE_LETTER('s') && at != NULL) {
                    look_ahead(reader->binance, field->text);
                }
            } else if (at != NULL && outermost && field->type == SL_JSON_STRING && sl_json_is(key, "stream")) {
                reader->binance->stream = field->text;
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
    struct reader reader = {.binance = binance, .end = message->text + message->size_bytes};
    binance->outer.present = 0;
    binance->inner.present = 0;
    binance->stream = (sl_json_text){"", 0};
    return read_object(&reader, message->text, true) == reader.end;
}
