/* SPDX-License-Identifier: MIT */
/* What all venues' drivers need once. See decode.h. */
#include "decode.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Levels that a side has room for at first. */
#define LEVELS_FIRST 256

#define NS_PER_SECOND INT64_C(1000000000)

int sl__decoder_new(const sl_venue_driver *driver, const sl_venue_decoder_options *options, size_t size_bytes,
                    sl_venue_decoder **ret_decoder)
{
    if (options->instruments == NULL || options->message_max_bytes > SL_JSON_SIZE_MAX_BYTES) {
        return SL_EINVAL;
    }
    sl_venue_decoder *decoder = sl_calloc(1, size_bytes);
    if (decoder == NULL) {
        return SL_ENOMEM;
    }
    decoder->driver = driver;
    decoder->options = *options;
    if (options->levels_max == 0) {
        decoder->options.levels_max = SL_VENUE_LEVELS_DEFAULT;
    }
    if (options->message_max_bytes == 0) {
        decoder->options.message_max_bytes = SL_VENUE_MESSAGE_DEFAULT_BYTES;
    }
    int code = sl_json_new(decoder->options.message_max_bytes, &decoder->json);
    if (code < 0) {
        sl__decoder_free(decoder);
        return code;
    }
    *ret_decoder = decoder;
    return 0;
}

void sl__decoder_free(sl_venue_decoder *decoder)
{
    if (decoder != NULL) {
        sl_json_free(decoder->json);
        sl_free(decoder->bids.levels);
        sl_free(decoder->asks.levels);
        sl_free(decoder);
    }
}

int sl__decode_open(sl_venue_decoder *decoder, const sl_venue_message *message)
{
    int code = sl_json_open(decoder->json, message->text, message->size_bytes, message->json_flags);
    return code < 0 ? sl__refuse_json(decoder, code, "message") : 0;
}

int sl__refuse(sl_venue_decoder *decoder, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(decoder->problem, sizeof(decoder->problem), format, arguments);
    va_end(arguments);
    return code;
}

int sl__refuse_json(sl_venue_decoder *decoder, int code, const char *where)
{
    return sl__refuse(decoder, code, "%s: %s at byte %zu", where, sl_json_problem(decoder->json),
                      sl_json_offset(decoder->json));
}

struct sl__excerpt sl__excerpt(sl_json_text text)
{
    struct sl__excerpt result;
    size_t size_bytes = text.size_bytes < sizeof(result.text) - 1 ? text.size_bytes : sizeof(result.text) - 1;
    for (size_t at = 0; at < size_bytes; at++) {
        unsigned char c = (unsigned char)text.data[at];
        result.text[at] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
    }
    result.text[size_bytes] = '\0';
    return result;
}

int sl__text_decimal(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                     sl_decimal *ret_value)
{
    int code = sl_decimal_parse(text.data, text.size_bytes, ret_value);
    if (code < 0) {
        return sl__refuse(decoder, code, "%s: \"%s\" %s: \"%s\"", what, name,
                          code == SL_ERANGE ? "has more digits than can be represented" : "is not a decimal number",
                          sl__excerpt(text).text);
    }
    return 0;
}

int sl__text_int(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text, int64_t *ret_value)
{
    int code = sl_json_text_int64(text, ret_value);
    return code < 0 ? sl__refuse(decoder, code, "%s: \"%s\" is no integer of 64 bits: %s", what, name,
                                 sl__excerpt(text).text)
                    : 0;
}

int sl__text_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text, int64_t unit_ns,
                  int64_t *ret_ns)
{
    int64_t value = 0;
    SL_TRY(sl__text_int(decoder, what, name, text, &value));
    if (value < 0 || __builtin_mul_overflow(value, unit_ns, ret_ns)) {
        return sl__refuse(decoder, SL_ERANGE, "%s: \"%s\" is out of range for a time: %" PRId64, what, name, value);
    }
    return 0;
}

/* `count` digits at text.data + at; -1 when they are not. */
static int digits(sl_json_text text, size_t at, size_t count)
{
    int value = 0;
    for (size_t place = at; place < at + count; place++) {
        if (place >= text.size_bytes || text.data[place] < '0' || text.data[place] > '9') {
            return -1;
        }
        value = value * 10 + (text.data[place] - '0');
    }
    return value;
}

/* Days from 1970-01-01, proleptic Gregorian. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400; /* years are not negative here */
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The fraction of a second at *at as ns, 0 without one; -1 when malformed. */
static int64_t read_fraction(sl_json_text text, size_t *at)
{
    int64_t fraction_ns = 0;
    int64_t unit_ns = NS_PER_SECOND / 10;
    if (*at >= text.size_bytes || text.data[*at] != '.') {
        return 0;
    }
    size_t start = ++*at;
    for (int digit = 0; (digit = digits(text, *at, 1)) >= 0; (*at)++) {
        fraction_ns += digit * unit_ns;
        unit_ns /= 10;
    }
    return *at == start || *at - start > 9 ? -1 : fraction_ns;
}

int sl__text_iso_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text, int64_t *ret_ns)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    bool good = text.size_bytes > sizeof(form) - 1;
    for (size_t at = 0; good && at < sizeof(form) - 1; at++) {
        char c = text.data[at];
        good = form[at] == 'd' ? c >= '0' && c <= '9' : form[at] == c || (form[at] == 'T' && c == ' ');
    }
    if (good) {
        int year = digits(text, 0, 4);
        int month = digits(text, 5, 2);
        int day = digits(text, 8, 2);
        int64_t seconds = digits(text, 11, 2) * 3600 + digits(text, 14, 2) * 60 + digits(text, 17, 2);
        size_t at = sizeof(form) - 1;
        int64_t fraction_ns = read_fraction(text, &at);
        bool utc = (at + 1 == text.size_bytes && (text.data[at] == 'Z' || text.data[at] == 'z')) ||
                   (at + 6 == text.size_bytes && memcmp(text.data + at, "+00:00", 6) == 0);
        good = utc && fraction_ns >= 0 && year >= 1970 && year < 2262 && month >= 1 && month <= 12 && day >= 1 &&
               day <= 31 && seconds <= 86400 + 60;
        *ret_ns = good ? (days_from_civil(year, month, day) * 86400 + seconds) * NS_PER_SECOND + fraction_ns : 0;
    }
    return good ? 0
                : sl__refuse(decoder, SL_EPROTO, "%s: \"%s\" is no time of the form 2022-03-01T12:34:56.789Z: %s", what,
                             name, sl__excerpt(text).text);
}

int sl__text_copy(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text, char *buffer,
                  size_t size_bytes)
{
    if (text.size_bytes >= size_bytes || memchr(text.data, '\0', text.size_bytes) != NULL) {
        return sl__refuse(decoder, SL_EMSGSIZE, "%s: \"%s\" is too long, or has a NUL: %s", what, name,
                          sl__excerpt(text).text);
    }
    memcpy(buffer, text.data, text.size_bytes);
    memset(buffer + text.size_bytes, 0, size_bytes - text.size_bytes);
    return 0;
}

int sl__read_object(sl_venue_decoder *decoder, const char *what, const char *const *names, size_t count,
                    sl_json_text *ret_values)
{
    sl_json *json = decoder->json;
    sl_json_text key;
    memset(ret_values, 0, count * sizeof(*ret_values));
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        size_t at = 0;
        while (at < count && !sl_json_is(key, names[at])) {
            at++;
        }
        sl_json_type type = sl_json_peek(json);
        if (at < count && type != SL_JSON_OBJECT && type != SL_JSON_ARRAY && type != SL_JSON_NULL) {
            code = sl_json_get_scalar(json, &ret_values[at]);
        }
    }
    return code < 0 ? sl__refuse_json(decoder, code, what) : 0;
}

int sl__read_row(sl_venue_decoder *decoder, const char *what, size_t count, sl_json_text *ret_values, size_t *ret_count)
{
    sl_json *json = decoder->json;
    size_t at = 0;
    memset(ret_values, 0, count * sizeof(*ret_values));
    int code = sl_json_enter_array(json);
    for (; code >= 0 && (code = sl_json_next_element(json)) > 0; at++) {
        sl_json_type type = sl_json_peek(json);
        if (at < count && type != SL_JSON_OBJECT && type != SL_JSON_ARRAY && type != SL_JSON_NULL) {
            code = sl_json_get_scalar(json, &ret_values[at]);
        }
    }
    *ret_count = at;
    return code < 0 ? sl__refuse_json(decoder, code, what) : 0;
}

static int need(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text)
{
    return text.data != NULL ? 0 : sl__refuse(decoder, SL_EPROTO, "%s: \"%s\" is missing", what, name);
}

int sl__need_decimal(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                     sl_decimal *ret_value)
{
    SL_TRY(need(decoder, what, name, text));
    return sl__text_decimal(decoder, what, name, text, ret_value);
}

int sl__need_int(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text, int64_t *ret_value)
{
    SL_TRY(need(decoder, what, name, text));
    return sl__text_int(decoder, what, name, text, ret_value);
}

int sl__need_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text, int64_t unit_ns,
                  int64_t *ret_ns)
{
    SL_TRY(need(decoder, what, name, text));
    return sl__text_time(decoder, what, name, text, unit_ns, ret_ns);
}

/* ---- levels ---- */

int sl__levels_grow(sl_venue_decoder *decoder, struct sl__venue_side *side)
{
    size_t max = decoder->options.levels_max;
    if (side->count >= max) {
        return sl__refuse(decoder, SL_EMSGSIZE, "more than %zu levels a side", max);
    }
    size_t capacity = side->capacity == 0 ? LEVELS_FIRST : side->capacity * 2;
    capacity = capacity < max ? capacity : max;
    sl_level *levels = sl_realloc(side->levels, capacity * sizeof(*levels));
    if (levels == NULL) {
        return sl__refuse(decoder, SL_ENOMEM, "out of memory for %zu levels", capacity);
    }
    side->levels = levels;
    side->capacity = capacity;
    return 0;
}

static int parse_level_number(sl_venue_decoder *decoder, sl_json_text text, sl_decimal *ret_number)
{
    int code = sl_decimal_parse_padded(text.data, text.size_bytes, ret_number);
    if (code < 0) {
        return sl__refuse(decoder, code, "a level: \"%s\" %s", sl__excerpt(text).text,
                          code == SL_ERANGE ? "has more digits than can be represented" : "is not a decimal number");
    }
    return 0;
}

int sl__read_levels(sl_venue_decoder *decoder, struct sl__venue_side *side)
{
    sl_json *json = decoder->json;
    sl_level *level = NULL;
    sl_json_text price;
    sl_json_text quantity;
    int code = sl_json_enter_array(json);
    while (code == 0 && (code = sl_json_next_pair(json, &price, &quantity)) > 0) {
        SL_TRY(sl__levels_add(decoder, side, &level));
        SL_TRY(parse_level_number(decoder, price, &level->price));
        SL_TRY(parse_level_number(decoder, quantity, &level->quantity));
        if ((level->price.mantissa | level->quantity.mantissa) < 0) {
            return sl__refuse(decoder, SL_EPROTO, "a negative quantity or price before byte %zu", sl_json_here(json));
        }
        code = 0;
    }
    return code < 0 ? sl__refuse_json(decoder, code, "levels") : 0;
}

int sl__read_side(sl_venue_decoder *decoder, bool bids)
{
    struct sl__venue_side *side = bids ? &decoder->bids : &decoder->asks;
    side->count = 0;
    return sl__read_levels(decoder, side);
}

/* ---- giving out ---- */

const sl_instrument *sl__instrument(sl_venue_decoder *decoder, sl_json_text symbol)
{
    const sl_instrument *instrument =
        sl_instruments_find(decoder->options.instruments, decoder->options.venue, symbol.data, symbol.size_bytes);
    decoder->gave_event = true;
    decoder->stats.unknown_symbols += instrument == NULL;
    return instrument;
}

/* Whether ids cannot be counted on from: see sl_tracker_event(). */
static bool is_uncountable(const sl_venue_decoder *decoder, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    return event->kind == SL_EVENT_TRADE && decoder->driver->consecutive_trades &&
           (trade->id == INT64_MAX || trade->last_id == INT64_MAX || trade->last_id < trade->first_id ||
            (trade->first_id <= 0 && trade->last_id > 0));
}

/* Whether a price, quantity or id is negative: that is nothing the venue can mean. (Rates of funding may be.) */
static bool is_negative(const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    const sl_best *best = &event->as.best;
    const sl_ticker *ticker = &event->as.ticker;
    const sl_candle *candle = &event->as.candle;
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return (trade->id | trade->price.mantissa | trade->quantity.mantissa) < 0;
    case SL_EVENT_BEST:
        return (best->bid.price.mantissa | best->bid.quantity.mantissa | best->ask.price.mantissa |
                best->ask.quantity.mantissa) < 0;
    case SL_EVENT_TICKER:
        return (ticker->last.mantissa | ticker->open.mantissa | ticker->high.mantissa | ticker->low.mantissa |
                ticker->volume.mantissa | ticker->quote_volume.mantissa | ticker->bid.price.mantissa |
                ticker->bid.quantity.mantissa | ticker->ask.price.mantissa | ticker->ask.quantity.mantissa) < 0;
    case SL_EVENT_CANDLE:
        return (candle->open.mantissa | candle->high.mantissa | candle->low.mantissa | candle->close.mantissa |
                candle->volume.mantissa | candle->open_time_ns | candle->interval_ns) < 0;
    case SL_EVENT_FUNDING:
        return (event->as.funding.mark_price.mantissa | event->as.funding.index_price.mantissa) < 0;
    case SL_EVENT_LIQUIDATION:
        return (event->as.liquidation.price.mantissa | event->as.liquidation.quantity.mantissa) < 0;
    case SL_EVENT_OPEN_INTEREST:
        return (event->as.open_interest.quantity.mantissa | event->as.open_interest.value.mantissa) < 0;
    default:
        return false; /* levels are looked at as they are read */
    }
}

int sl__give_event(sl_venue_decoder *decoder, const sl_venue_output *output, const sl_market_event *event)
{
    if (is_negative(event)) {
        return sl__refuse(decoder, SL_EPROTO, "a %s of %s has a negative id, price or quantity",
                          sl_event_kind_name(event->kind), event->instrument->symbol);
    }
    if (is_uncountable(decoder, event)) {
        return sl__refuse(decoder, SL_EPROTO, "a trade of %s has the id %lld, of trades %lld to %lld",
                          event->instrument->symbol, (long long)event->as.trade.id, (long long)event->as.trade.first_id,
                          (long long)event->as.trade.last_id);
    }
    decoder->gave_event = true;
    decoder->stats.events++;
    int code = output->event(output->arg, event);
    if (code < 0) {
        decoder->output_code = code;
        return code;
    }
    return 0;
}

int sl__give_notice(sl_venue_decoder *decoder, const sl_venue_output *output, const sl_venue_notice *notice)
{
    decoder->gave_notice = true;
    int code = output->notice == NULL ? 0 : output->notice(output->arg, notice);
    if (code < 0) {
        decoder->output_code = code;
        return code;
    }
    return 0;
}

/* ---- writing ---- */

void sl__put_bytes(struct sl__writer *writer, const char *text, size_t size_bytes)
{
    if (writer->full || size_bytes >= writer->size_bytes - writer->length) {
        writer->full = true;
        return;
    }
    memcpy(writer->buffer + writer->length, text, size_bytes);
    writer->length += size_bytes;
    writer->buffer[writer->length] = '\0';
}

void sl__put(struct sl__writer *writer, const char *text)
{
    sl__put_bytes(writer, text, strlen(text));
}

void sl__put_int(struct sl__writer *writer, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    sl__put(writer, text);
}

static char in_case(char c, enum sl__case letters)
{
    if (letters == SL__LOWER && c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return letters == SL__UPPER && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

void sl__put_url(struct sl__writer *writer, const char *text, enum sl__case letters)
{
    for (; *text != '\0'; text++) {
        char c = in_case(*text, letters);
        char encoded[4];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '_' || c == '.';
        (void)snprintf(encoded, sizeof(encoded), plain ? "%c" : "%%%02X", plain ? c : (unsigned char)c);
        sl__put(writer, encoded);
    }
}

void sl__put_json(struct sl__writer *writer, const char *text, enum sl__case letters)
{
    for (; *text != '\0'; text++) {
        char c = in_case(*text, letters);
        if (c == '"' || c == '\\') {
            sl__put(writer, "\\");
        }
        sl__put_bytes(writer, &c, 1);
    }
}
