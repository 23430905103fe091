/* SPDX-License-Identifier: MIT */
/*
 * Messages in the plain form that Binance gives nearly all of them: ASCII without white space and escapes, keys of one
 * letter, whole numbers, levels as pairs of strings. They are read in one pass, and whole numbers with it: 16 or 32 bytes
 * are looked at together wherever an end is searched for.
 *
 * Nothing is decided here. Whatever is not exactly of this form, and whatever is wrong, is read again by the JSON
 * cursor (decode.c); and what is read here is what that would have read: tests/fuzz/fuzz_binance.c compares the two.
 *
 * It is compiled twice: for any processor, and by plain_vector.c for those that have AVX2 (decimal_vector.h).
 */
#include "binance.h"
#include "market/decimal_scan.h"
#include "market/decimal_vector.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef __AVX2__
#define READ_PLAIN sl__binance_read_plain_avx2
#else
#define READ_PLAIN sl__binance_read_plain
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

#ifdef __AVX2__
/*
 * ["price","quantity"], both with a point and of 16 characters at most, together in one window: what is behind it; NULL for
 * all others. That is known by the bracket, so the next level is begun before the numbers of this one are found.
 */
static inline const char *read_short_level(const char *at, sl_level *ret_level)
{
    const char *price = at + 2;
    __m256i window = _mm256_loadu_si256((const __m256i *)(const void *)price);
    uint32_t brackets = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(window, _mm256_set1_epi8(']')));
    uint64_t others = sl__vector_others32(window) | ~(uint64_t)UINT32_MAX;
    int price_point = __builtin_ctzll(others);
    others &= others - 1;
    int price_end = __builtin_ctzll(others);
    others >>= price_end + 3;
    const char *quantity = price + price_end + 3;
    int point = __builtin_ctzll(others);
    others &= others - 1;
    int end = __builtin_ctzll(others);
    const char *bracket = price + __builtin_ctz(brackets | 1u << 31);
    if (load2(at) != TWO('[', '"') || price[price_point] != '.' || load2(price + price_end) != TWO('"', ',') ||
        price[price_end + 2] != '"' || quantity[point] != '.' || load2(quantity + end) != TWO('"', ']') ||
        quantity + end + 1 != bracket ||
        (sl__vector_misfit(price, price_point, price_end) | sl__vector_misfit(quantity, point, end)) < 0) {
        return NULL;
    }
    sl__vector_decimals(price, price_point, price_end, quantity, point, end, ret_level);
    return bracket + 1;
}

/* As many of them as follow each other and have room in the side: what is behind the last one; `at` when there is none. */
static __attribute__((noinline)) const char *read_short_levels(const char *at, const char *end,
                                                               struct sl__venue_side *side)
{
    sl_level *levels = side->levels;
    const char *behind = at;
    size_t count = side->count;
    for (size_t capacity = side->capacity; count < capacity && at < end; at = behind + 1) {
        const char *next = read_short_level(at, &levels[count]);
        if (next == NULL) {
            break;
        }
        behind = next;
        count++;
        if (*behind != ',') {
            break;
        }
    }
    side->count = count;
    return behind;
}
#endif

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
#ifdef __AVX2__
        const char *behind = read_short_levels(at, reader->end, side);
        if (behind != at) {
            if (*behind != ',') {
                return *behind == ']' ? behind + 1 : NULL;
            }
            at = behind + 1;
            if (at >= reader->end) {
                break;
            }
        }
#endif
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

static const char *read_event(struct reader *reader, const char *at, bool outermost);

/* An array of levels, or the event in its envelope; `at` is its bracket. */
static const char *read_container(struct reader *reader, sl_json_text key, int slot, const char *at, bool outermost)
{
    if (*at == '{') {
        return outermost && sl_json_is(key, "data") ? read_event(reader, at, false) : NULL;
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

static inline __attribute__((always_inline)) const char *
read_literal(const char *at, const char *text, size_t size_bytes, int type, struct sl__binance_field *ret_field)
{
    *ret_field = (struct sl__binance_field){.text = {text, size_bytes}, .type = type};
    return memcmp(at, text, size_bytes) == 0 ? at + size_bytes : NULL;
}

/*
 * What is behind a value of `size_bytes`. Most often it is as long as the last one in its place was, and then the processor
 * goes on from there before it has found the end.
 */
static inline const char *behind_value(const char *at, size_t size_bytes, const struct sl__binance_field *last)
{
    const char *behind = at + last->text.size_bytes;
    __asm__("" : "+r"(behind)); /* what makes it a guess is not seen by the compiler */
    if (last->text.size_bytes != size_bytes) {
        __asm__ volatile("");
        behind = at + size_bytes;
    }
    return behind;
}

/* A whole number without sign. */
static __attribute__((noinline)) const char *read_long(const char *at, const char *end,
                                                       struct sl__binance_field *ret_field)
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
    *ret_field = (struct sl__binance_field){
        .text = {at, size_bytes}, .type = SL_JSON_NUMBER, .whole = size_bytes <= DIGITS_SAFE, .value = (int64_t)value};
    return size_bytes == 0 || (*at == '0' && size_bytes > 1) ? NULL : stop;
}

static inline const char *read_whole(const char *at, const char *end, struct sl__binance_field *ret_field)
{
#ifdef __AVX2__
    unsigned count = (unsigned)__builtin_ctz(sl__vector_others16(at)); /* 16: there may be more digits */
    if (count - 1 < SL__VECTOR_BYTES - 1 && *at != '0') {
        const char *behind = behind_value(at, count, ret_field);
        *ret_field = (struct sl__binance_field){
            .text = {at, count}, .type = SL_JSON_NUMBER, .whole = true, .value = (int64_t)sl__vector_whole(at, count)};
        return behind;
    }
#endif
    return read_long(at, end, ret_field);
}

/* A string from behind its first quote to behind its last one. NULL for other forms. */
static inline const char *read_text(const char *at, const char *end, struct sl__binance_field *ret_field)
{
    const char *stop = find_quote(at, end);
    if (stop == NULL) {
        return NULL;
    }
    const char *behind = behind_value(at, (size_t)(stop - at), ret_field);
    *ret_field = (struct sl__binance_field){.text = {at, (size_t)(stop - at)}, .type = SL_JSON_STRING};
    return behind + 1;
}

/* The same for one that is likely to be a decimal, which is read at once. */
static inline const char *read_decimal(const char *at, const char *end, struct sl__binance_field *ret_field)
{
#ifdef __AVX2__
    uint32_t others = sl__vector_others16(at);
    int point = __builtin_ctz(others), stop = __builtin_ctz(others & (others - 1));
    if (at[point] == '.' && at[stop] == '"' && sl__vector_misfit(at, point, stop) >= 0) {
        sl_decimal number = sl__vector_decimal(at, point, stop);
        const char *behind = behind_value(at, (size_t)stop, ret_field);
        *ret_field = (struct sl__binance_field){.text = {at, (size_t)stop},
                                                .type = SL_JSON_STRING,
                                                .decimal = true,
                                                .exponent = (int8_t)number.exponent,
                                                .value = number.mantissa};
        return behind + 1;
    }
#endif
    return read_text(at, end, ret_field);
}

/* A string, a whole number without sign, true, false or null: what is behind it, NULL for other forms. */
static inline const char *read_scalar(const char *at, const char *end, struct sl__binance_field *ret_field)
{
    switch (*at) {
    case '"':
        return at[1] <= '9' ? read_decimal(at + 1, end, ret_field) : read_text(at + 1, end, ret_field);
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

/* ---- trades ---- */

enum what { WHOLE, DECIMAL, TEXT, BOOL };

/* A key as it stands behind the value before it, with the quote that its own value begins with, and that value. */
static inline __attribute__((always_inline)) bool take(struct reader *reader, const char **at, const char key[8],
                                                       unsigned size_bytes, int slot, enum what what)
{
    struct sl__binance *binance = reader->binance;
    struct sl__binance_field *field = &binance->outer.fields[slot];
    const char *value = *at + size_bytes;
    if (*at >= reader->end || (sl_digits_load(*at) ^ sl_digits_load(key)) << (64 - 8 * size_bytes) != 0) {
        return false;
    }
    if (what == BOOL) {
        value = *value == 't' ? read_literal(value, "true", 4, SL_JSON_BOOL, field)
                              : read_literal(value, "false", 5, SL_JSON_BOOL, field);
    } else {
        value = what == WHOLE     ? read_whole(value, reader->end, field)
                : what == DECIMAL ? read_decimal(value, reader->end, field)
                                  : read_text(value, reader->end, field);
    }
    binance->outer.present |= UINT64_C(1) << slot;
    *at = value;
    return value != NULL;
}

#define TAKE(key, letter, what) take(reader, &at, key "\0\0\0\0\0", sizeof(key) - 1, SL__BINANCE_LETTER(letter), what)

/*
 * A trade whose keys come in the order in which Binance sends them: what they are need not be found out, which is half of
 * what it takes to read them. What is behind it; NULL for all others, which are begun anew.
 */
static const char *read_trade(struct reader *reader, const char *at)
{
    struct sl__binance *binance = reader->binance;
    bool spot = sl__binance_is_spot(&binance->base);
    bool taken = TAKE("{\"e\":\"", 'e', TEXT) && TAKE(",\"E\":", 'E', WHOLE) && (spot || TAKE(",\"T\":", 'T', WHOLE)) &&
                 TAKE(",\"s\":\"", 's', TEXT);
    if (taken) {
        look_ahead(binance, binance->outer.fields[SL__BINANCE_LETTER('s')].text);
        taken = TAKE(",\"t\":", 't', WHOLE) && TAKE(",\"p\":\"", 'p', DECIMAL) && TAKE(",\"q\":\"", 'q', DECIMAL) &&
                (spot ? TAKE(",\"T\":", 'T', WHOLE) : TAKE(",\"X\":\"", 'X', TEXT)) && TAKE(",\"m\":", 'm', BOOL) &&
                (!spot || TAKE(",\"M\":", 'M', BOOL)) && at < reader->end && *at == '}';
    }
    binance->outer.present = taken ? binance->outer.present : 0;
    binance->expected_symbol = taken ? binance->expected_symbol : NULL;
    return taken ? at + 1 : NULL;
}

/* From an object's first bracket to behind its last one. NULL for other forms. */
static const char *read_event(struct reader *reader, const char *at, bool outermost)
{
    static const char trade[] = "{\"e\":\"t";
    const char *behind = at[sizeof(trade) - 2] == 't' ? read_trade(reader, at) : NULL;
    return behind != NULL ? behind : read_object(reader, at, outermost);
}

bool READ_PLAIN(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output)
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
    return read_event(&reader, message->text, true) == reader.end;
}
