/* SPDX-License-Identifier: MIT */
/* Reading JSON objects by a table of names. See fields.h. */
#include "fields.h"

#include <stdarg.h>
#include <stdio.h>

int sl__reading_begin(sl__reading *reading, sl_venue_decoder *decoder, const sl_venue_message *message,
                      const sl_venue_output *output)
{
    *reading = (sl__reading){.decoder = decoder, .message = message, .output = output, .what = "message"};
    sl__levels_clear(decoder);
    return sl__decode_open(decoder, message);
}

int sl__reading_finish(sl__reading *reading)
{
    int code = sl_json_finish(reading->decoder->json);
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

int sl__reading_again(sl__reading *reading, size_t from, size_t to)
{
    const sl_venue_message *message = reading->message;
    int code = sl_json_open(reading->decoder->json, message->text + from, to - from, message->json_flags);
    reading->origin = from;
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

int sl__bad(sl__reading *reading, int code, const char *format, ...)
{
    char *problem = reading->decoder->problem;
    int length = snprintf(problem, SL_VENUE_PROBLEM_MAX, "%s: ", reading->what);
    if (length > 0 && length < SL_VENUE_PROBLEM_MAX) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(problem + length, (size_t)(SL_VENUE_PROBLEM_MAX - length), format, arguments);
        va_end(arguments);
    }
    return code;
}

int sl__bad_json(sl__reading *reading, int code)
{
    const sl_json *json = reading->decoder->json;
    return sl__bad(reading, code, "%s at byte %zu", sl_json_problem(json), reading->origin + sl_json_offset(json));
}

/* ---- objects ---- */

int sl__fields_enter(sl__reading *reading, sl__fields *fields, const sl__name *names, unsigned count)
{
    fields->names = names;
    fields->count = count;
    fields->next = 0;
    fields->present = 0;
    int code = sl_json_enter_object(reading->decoder->json);
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

/* The number of a name; `count` when it is not known. */
static unsigned find_name(const sl__fields *fields, sl_json_text key)
{
    unsigned at = fields->next;
    for (unsigned tried = 0; tried < fields->count; tried++, at++) {
        at = at < fields->count ? at : 0;
        const sl__name *name = &fields->names[at];
        if (name->size_bytes == key.size_bytes && memcmp(name->text, key.data, key.size_bytes) == 0) {
            return at;
        }
    }
    return fields->count;
}

static const char *type_name(unsigned type)
{
    static const char *const names[] = {"nothing", "an object", "an array", "a string", "a number", "a bool", "null"};
    return names[type];
}

/* The value of a known field: its number + 1 for a container, 0 for what was read. */
static int take_value(sl__reading *reading, sl__fields *fields, unsigned at)
{
    sl_json *json = reading->decoder->json;
    sl_json_type type = sl_json_peek(json);
    unsigned wanted = fields->names[at].type;
    fields->present &= ~(UINT32_C(1) << at);
    if (type == SL_JSON_NULL) {
        int code = sl_json_get_null(json);
        return code < 0 ? sl__bad_json(reading, code) : 0;
    }
    if (wanted != SL_JSON_NONE && type != wanted) {
        return sl__bad(reading, SL_EPROTO, "\"%s\" is %s, not %s, at byte %zu", fields->names[at].text, type_name(type),
                       type_name(wanted), reading->origin + sl_json_here(json));
    }
    fields->present |= UINT32_C(1) << at;
    fields->values[at].text = (sl_json_text){"", 0};
    fields->values[at].from = fields->values[at].to = 0;
    if (type == SL_JSON_OBJECT || type == SL_JSON_ARRAY) {
        return (int)at + 1;
    }
    int code = sl_json_get_scalar(json, &fields->values[at].text);
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

int sl__fields_next(sl__reading *reading, sl__fields *fields)
{
    sl_json_text key;
    int code = 0;
    while ((code = sl_json_next_field(reading->decoder->json, &key)) > 0) {
        unsigned at = find_name(fields, key);
        if (at < fields->count) { /* others are skipped by the next step */
            fields->next = at + 1;
            code = take_value(reading, fields, at);
            if (code != 0) {
                return code;
            }
        }
    }
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

int sl__fields_keep(sl__reading *reading, sl__fields *fields, unsigned field)
{
    sl_json *json = reading->decoder->json;
    fields->values[field].from = reading->origin + sl_json_here(json);
    int code = sl_json_skip(json);
    fields->values[field].to = reading->origin + sl_json_behind(json);
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

int sl__field_again(sl__reading *reading, const sl__fields *fields, unsigned field)
{
    sl_json_text none = {"", 0};
    SL_TRY(sl__field_text(reading, fields, field, &none));
    if (fields->values[field].to == 0) {
        return sl__bad(reading, SL_EPROTO, "\"%s\" is neither an object nor an array", fields->names[field].text);
    }
    return sl__reading_again(reading, fields->values[field].from, fields->values[field].to);
}

int sl__fields_read(sl__reading *reading, sl__fields *fields, const sl__name *names, unsigned count)
{
    int code = sl__fields_enter(reading, fields, names, count);
    while (code >= 0 && (code = sl__fields_next(reading, fields)) > 0) {
        code = sl__fields_keep(reading, fields, (unsigned)code - 1);
    }
    return code;
}

/* ---- values ---- */

int sl__field_text(sl__reading *reading, const sl__fields *fields, unsigned field, sl_json_text *ret_text)
{
    if (!sl__field_has(fields, field)) {
        return sl__bad(reading, SL_EPROTO, "\"%s\" is missing", fields->names[field].text);
    }
    *ret_text = fields->values[field].text;
    return 0;
}

int sl__field_int(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t *ret_value)
{
    sl_json_text text = {"", 0};
    SL_TRY(sl__field_text(reading, fields, field, &text));
    return sl__text_int(reading->decoder, reading->what, fields->names[field].text, text, ret_value);
}

int sl__field_decimal(sl__reading *reading, const sl__fields *fields, unsigned field, sl_decimal *ret_value)
{
    sl_json_text text = {"", 0};
    SL_TRY(sl__field_text(reading, fields, field, &text));
    return sl__text_decimal(reading->decoder, reading->what, fields->names[field].text, text, ret_value);
}

int sl__field_quantity(sl__reading *reading, const sl__fields *fields, unsigned field, sl_decimal *ret_value)
{
    SL_TRY(sl__field_decimal(reading, fields, field, ret_value));
    return ret_value->mantissa < 0 ? sl__bad(reading, SL_EPROTO, "\"%s\" is negative", fields->names[field].text) : 0;
}

int sl__text_side(sl__reading *reading, const char *name, sl_json_text text, sl_side *ret_side)
{
    if (sl_json_is(text, "buy") || sl_json_is(text, "Buy") || sl_json_is(text, "b")) {
        *ret_side = SL_SIDE_BUY;
        return 0;
    }
    if (sl_json_is(text, "sell") || sl_json_is(text, "Sell") || sl_json_is(text, "s")) {
        *ret_side = SL_SIDE_SELL;
        return 0;
    }
    return sl__bad(reading, SL_EPROTO, "\"%s\" is no side: \"%s\"", name, sl__excerpt(text).text);
}

int sl__field_side(sl__reading *reading, const sl__fields *fields, unsigned field, sl_side *ret_side)
{
    sl_json_text text = {"", 0};
    SL_TRY(sl__field_text(reading, fields, field, &text));
    return sl__text_side(reading, fields->names[field].text, text, ret_side);
}

/* "1618678133.365913" */
static int seconds_of(sl__reading *reading, const char *name, sl_json_text text, int64_t *ret_ns)
{
    sl_decimal seconds = {0, 0};
    SL_TRY(sl__text_decimal(reading->decoder, reading->what, name, text, &seconds));
    if (seconds.mantissa < 0 || sl_decimal_rescale(seconds, -9, &seconds) < 0) {
        return sl__bad(reading, SL_ERANGE, "\"%s\" is out of range for a time: %s", name, sl__excerpt(text).text);
    }
    *ret_ns = seconds.mantissa;
    return 0;
}

int sl__text_when(sl__reading *reading, const char *name, sl_json_text text, int64_t unit_ns, int64_t *ret_ns)
{
    if (unit_ns == SL__ISO) {
        return sl__text_iso_time(reading->decoder, reading->what, name, text, ret_ns);
    }
    if (unit_ns == SL__SECONDS) {
        return seconds_of(reading, name, text, ret_ns);
    }
    return sl__text_time(reading->decoder, reading->what, name, text, unit_ns, ret_ns);
}

int sl__field_time(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t unit_ns, int64_t *ret_ns)
{
    sl_json_text text = {"", 0};
    SL_TRY(sl__field_text(reading, fields, field, &text));
    return sl__text_when(reading, fields->names[field].text, text, unit_ns, ret_ns);
}

int sl__field_int_if(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t *ret_value)
{
    return sl__field_told(fields, field) ? sl__field_int(reading, fields, field, ret_value) : 0;
}

int sl__field_decimal_if(sl__reading *reading, const sl__fields *fields, unsigned field, sl_decimal *ret_value)
{
    return sl__field_told(fields, field) ? sl__field_decimal(reading, fields, field, ret_value) : 0;
}

int sl__field_derived_if(sl__reading *reading, const sl__fields *fields, unsigned field, sl_decimal *ret_value)
{
    sl_json_text text = sl__field_or_empty(fields, field);
    bool too_long = text.size_bytes > 0 && sl_decimal_parse(text.data, text.size_bytes, ret_value) == SL_ERANGE;
    return too_long ? 0 : sl__field_decimal_if(reading, fields, field, ret_value);
}

int sl__field_time_if(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t unit_ns, int64_t *ret_ns)
{
    return sl__field_told(fields, field) ? sl__field_time(reading, fields, field, unit_ns, ret_ns) : 0;
}

int sl__field_copy(sl__reading *reading, const sl__fields *fields, unsigned field, char *buffer, size_t size_bytes)
{
    sl_json_text text = {"", 0};
    SL_TRY(sl__field_text(reading, fields, field, &text));
    return sl__text_copy(reading->decoder, reading->what, fields->names[field].text, text, buffer, size_bytes);
}

/* ---- arrays ---- */

int sl__array_enter(sl__reading *reading)
{
    int code = sl_json_enter_array(reading->decoder->json);
    return code < 0 ? sl__bad_json(reading, code) : 0;
}

int sl__array_next(sl__reading *reading)
{
    int code = sl_json_next_element(reading->decoder->json);
    return code < 0 ? sl__bad_json(reading, code) : code;
}

int sl__rows_enter(sl__rows *rows, sl__reading *reading)
{
    SL_TRY(sl__array_enter(reading));
    *rows = (sl__rows){.reading = reading, .depth = sl_json_depth(reading->decoder->json)};
    return 0;
}

int sl__rows_next(sl__rows *rows)
{
    int code = sl__array_next(rows->reading);
    rows->from = sl_json_here(rows->reading->decoder->json);
    return code;
}

/* Leaves a row that could not be read; `code` where the text itself is broken, or it was not the row's fault. */
static int leave_row(const sl__rows *rows, int code)
{
    sl_venue_decoder *decoder = rows->reading->decoder;
    if (decoder->output_code < 0 || code == SL_ENOMEM) {
        return code;
    }
    while (sl_json_depth(decoder->json) > rows->depth) {
        if (sl_json_leave(decoder->json) < 0) {
            return code;
        }
    }
    bool unread = sl_json_behind(decoder->json) <= rows->from; /* it is a value of another type */
    return unread && sl_json_skip(decoder->json) < 0 ? code : 0;
}

int sl__rows_take(sl__rows *rows, int code)
{
    const sl__reading *reading = rows->reading;
    if (code >= 0) {
        return 0;
    }
    SL_TRY(leave_row(rows, code));
    reading->decoder->left_row = true;
    if (reading->output->bad_row == NULL) {
        rows->worst = code;
    } else {
        reading->output->bad_row(reading->output->arg, reading->message->text + reading->origin + rows->from,
                                 sl_json_behind(reading->decoder->json) - rows->from, code);
    }
    return 0;
}

int sl__row_read(sl__reading *reading, sl_json_text *ret_texts, unsigned min, unsigned max)
{
    sl_json *json = reading->decoder->json;
    unsigned found = 0;
    int code = sl_json_enter_array(json);
    while (code >= 0 && (code = sl_json_next_element(json)) > 0) {
        if (found == max) {
            continue; /* the next step skips it */
        }
        sl_json_type type = sl_json_peek(json);
        ret_texts[found] = (sl_json_text){"", 0};
        if (type != SL_JSON_OBJECT && type != SL_JSON_ARRAY) {
            code = sl_json_get_scalar(json, &ret_texts[found]);
        }
        found++;
    }
    if (code < 0) {
        return sl__bad_json(reading, code);
    }
    return found < min ? sl__bad(reading, SL_EPROTO, "a row of %u values instead of %u before byte %zu", found, min,
                                 reading->origin + sl_json_behind(json))
                       : (int)found;
}

bool sl__contains(sl_json_text text, const char *word)
{
    size_t length = strlen(word);
    for (size_t from = 0; from + length <= text.size_bytes; from++) {
        size_t same = 0;
        while (same < length && (text.data[from + same] | 0x20) == (word[same] | 0x20)) {
            same++;
        }
        if (same == length) {
            return true;
        }
    }
    return false;
}
