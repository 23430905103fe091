/* SPDX-License-Identifier: MIT */
/* Scalars: the text of each type, its bounds, and how messages speak of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

__extension__ typedef unsigned __int128 wide;

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"ns", 1},          {"us", 1000},         {"ms", 1000000},          {"s", 1000000000},
    {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000ULL}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", (uint64_t)1 << 10},
    {"MiB", (uint64_t)1 << 20},
    {"GiB", (uint64_t)1 << 30},
    {"TiB", (uint64_t)1 << 40},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {NULL, 0},
};

/* ---- numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits of an integer from `at`; SL_ERANGE beyond 64 bits, with *ret_end behind the digits all the same. */
static int read_digits(const char *at, const char *end, uint64_t *ret_value, const char **ret_end)
{
    uint64_t value = 0;
    bool large = false;
    for (; at < end && is_digit(*at); at++) {
        large = large || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    }
    *ret_value = value;
    *ret_end = at;
    return large ? SL_ERANGE : 0;
}

static int read_integer(const char *text, size_t bytes, bool *ret_negative, uint64_t *ret_value, const char **ret_why)
{
    const char *end = text + bytes;
    const char *at = text;
    *ret_negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    const char *first = at;
    int code = read_digits(at, end, ret_value, &at);
    if (at == first || at < end) {
        return SL_EINVAL;
    }
    if (*first == '0' && end - first > 1) {
        *ret_why = "begins with a zero";
        return SL_EINVAL;
    }
    return code;
}

static int read_int(const char *text, size_t bytes, int64_t *ret_value, const char **ret_why)
{
    bool negative;
    uint64_t value;
    SL_TRY(read_integer(text, bytes, &negative, &value, ret_why));
    if (value > (uint64_t)INT64_MAX + negative) {
        return SL_ERANGE;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

static int read_uint(const char *text, size_t bytes, uint64_t *ret_value, const char **ret_why)
{
    bool negative;
    SL_TRY(read_integer(text, bytes, &negative, ret_value, ret_why));
    if (negative && *ret_value > 0) {
        *ret_why = "is negative";
        return SL_EINVAL;
    }
    return 0;
}

/* The grammar of JSON's numbers, and a plus sign: strtod() would take more. */
static bool is_decimal(const char *at, const char *end)
{
    at += at < end && (*at == '-' || *at == '+');
    const char *first = at;
    while (at < end && is_digit(*at)) {
        at++;
    }
    if (at == first) {
        return false;
    }
    if (at < end && *at == '.') {
        first = ++at;
        while (at < end && is_digit(*at)) {
            at++;
        }
        if (at == first) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '-' || *at == '+');
        first = at;
        while (at < end && is_digit(*at)) {
            at++;
        }
        return at > first && at == end;
    }
    return at == end;
}

static int read_double(const char *text, size_t bytes, double *ret_value)
{
    char copy[128];
    if (bytes >= sizeof copy || !is_decimal(text, text + bytes)) {
        return SL_EINVAL;
    }
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    char *end;
    *ret_value = strtod(copy, &end);
    if (end != copy + bytes) {
        return SL_EINVAL; /* a program with another locale */
    }
    return isfinite(*ret_value) ? 0 : SL_ERANGE;
}

/* ---- numbers with units ---- */

static const struct unit *find_unit(const struct unit *units, const char *at, size_t bytes)
{
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == bytes && memcmp(units->name, at, bytes) == 0) {
            return units;
        }
    }
    return NULL;
}

/* whole.fraction of a unit, exactly. *at goes behind the unit. */
static int read_part(const char **at, const char *end, const struct unit *units, uint64_t *ret_value,
                     const char **ret_why)
{
    uint64_t whole;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    const char *first = *at;
    int code = read_digits(*at, end, &whole, at);
    if (*at == first) {
        *ret_why = first < end && *first == '-' ? "is negative" : NULL;
        return SL_EINVAL;
    }
    if (*at < end && **at == '.') {
        const char *digits = ++*at;
        if (read_digits(digits, end, &fraction, at) < 0 || *at - digits > 18 || *at == digits) {
            return SL_EINVAL;
        }
        for (const char *digit = digits; digit < *at; digit++) {
            scale *= 10;
        }
    }
    const char *name = *at;
    while (*at < end && !is_digit(**at)) {
        ++*at;
    }
    const struct unit *unit = find_unit(units, name, (size_t)(*at - name));
    if (unit == NULL) {
        *ret_why = *at == name ? "has no unit" : "has an unknown unit";
        return SL_EINVAL;
    }
    wide parts = (wide)fraction * unit->factor;
    if (parts % scale != 0) {
        *ret_why = "is too fine";
        return SL_EINVAL;
    }
    bool large = __builtin_mul_overflow(whole, unit->factor, &whole) ||
                 __builtin_add_overflow(whole, (uint64_t)(parts / scale), &whole);
    *ret_value = whole;
    return code < 0 || large ? SL_ERANGE : 0;
}

static int read_duration(const char *text, size_t bytes, sl_time *ret_value, const char **ret_why)
{
    uint64_t sum = 0;
    const char *at = text;
    const char *end = text + bytes;
    if (bytes == 1 && *text == '0') {
        *ret_value = 0;
        return 0;
    }
    bool large = false;
    do {
        uint64_t part = 0;
        int code = read_part(&at, end, time_units, &part, ret_why);
        if (code == SL_EINVAL) {
            return code;
        }
        large = large || code < 0 || __builtin_add_overflow(sum, part, &sum);
    } while (at < end);
    if (large || sum >= INT64_MAX) { /* INT64_MAX is SL_NEVER */
        return SL_ERANGE;
    }
    *ret_value = (sl_time)sum;
    return 0;
}

static int read_size(const char *text, size_t bytes, uint64_t *ret_value, const char **ret_why)
{
    const char *at = text;
    if (bytes == 1 && *text == '0') {
        *ret_value = 0;
        return 0;
    }
    SL_TRY(read_part(&at, text + bytes, size_units, ret_value, ret_why));
    return at == text + bytes ? 0 : SL_EINVAL;
}

/* 1200/1m, or 5/s. */
static int read_rate(const char *text, size_t bytes, struct sl_config_rate *ret_value, const char **ret_why)
{
    const char *slash = memchr(text, '/', bytes);
    if (slash == NULL) {
        *ret_why = bytes > 0 && is_digit(*text) ? "has no period" : NULL;
        return SL_EINVAL;
    }
    const char *period = slash + 1;
    size_t period_bytes = bytes - (size_t)(period - text);
    SL_TRY(read_uint(text, (size_t)(slash - text), &ret_value->count, ret_why));
    const struct unit *unit = find_unit(time_units, period, period_bytes);
    if (unit != NULL) {
        ret_value->period = (sl_time)unit->factor;
    } else {
        SL_TRY(read_duration(period, period_bytes, &ret_value->period, ret_why));
    }
    if (ret_value->count == 0 || ret_value->period == 0) {
        *ret_why = "has a zero in it";
        return SL_EINVAL;
    }
    return 0;
}

static int read_percent(const char *text, size_t bytes, double *ret_value, const char **ret_why)
{
    double percent;
    if (bytes == 0 || text[bytes - 1] != '%') {
        *ret_why = read_double(text, bytes, &percent) == 0 ? "has no unit" : NULL;
        return SL_EINVAL;
    }
    SL_TRY(read_double(text, bytes - 1, &percent));
    if (signbit(percent)) {
        *ret_why = "is negative";
        return SL_EINVAL;
    }
    *ret_value = percent / 100;
    return 0;
}

static int read_bool(const char *text, size_t bytes, bool *ret_value)
{
    *ret_value = bytes == 4;
    return (bytes == 4 && memcmp(text, "true", 4) == 0) || (bytes == 5 && memcmp(text, "false", 5) == 0) ? 0
                                                                                                         : SL_EINVAL;
}

static int read_choice(const struct sl_config_field *field, const char *text, int *ret_value)
{
    for (size_t i = 0; i < field->choice_count; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            *ret_value = (int)i;
            return 0;
        }
    }
    return SL_EINVAL;
}

int sl__value_read(struct sl__arena *arena, const struct sl_config_field *field, const char *text, size_t text_bytes,
                   void *at, const char **ret_why)
{
    *ret_why = NULL;
    switch (field->type) {
    case SL_CONFIG_BOOL:
        return read_bool(text, text_bytes, at);
    case SL_CONFIG_INT:
        return read_int(text, text_bytes, at, ret_why);
    case SL_CONFIG_UINT:
        return read_uint(text, text_bytes, at, ret_why);
    case SL_CONFIG_DOUBLE:
        return read_double(text, text_bytes, at);
    case SL_CONFIG_STRING:
    case SL_CONFIG_SECRET:
        *(const char **)at = text;
        return 0;
    case SL_CONFIG_DURATION:
        return read_duration(text, text_bytes, at, ret_why);
    case SL_CONFIG_SIZE:
        return read_size(text, text_bytes, at, ret_why);
    case SL_CONFIG_RATE:
        return read_rate(text, text_bytes, at, ret_why);
    case SL_CONFIG_PERCENT:
        return read_percent(text, text_bytes, at, ret_why);
    case SL_CONFIG_ENUM:
        return read_choice(field, text, at);
    case SL_CONFIG_URL:
        return sl__url_read(arena, field, text, text_bytes, at, ret_why);
    default:
        return SL_EMISUSE;
    }
}

/* ---- bounds ---- */

static int order_of(bool less, bool more)
{
    return less ? -1 : more;
}

/* Below 0, 0 or above, as a number of the field's type compares with the text of a bound. */
static int compare_bound(const struct sl_config_field *field, const void *at, uint64_t count, const char *bound,
                         int *ret_order)
{
    struct sl_config_field plain = {.type = field->type};
    union {
        int64_t i;
        uint64_t u;
        double d;
    } limit = {0};
    const char *why;
    bool counted = field->type == SL_CONFIG_STRING || field->type == SL_CONFIG_SECRET ||
                   field->type == SL_CONFIG_LIST || field->type == SL_CONFIG_MAP;
    plain.type = counted ? SL_CONFIG_UINT : field->type;
    if (sl__value_bytes(&plain) != sizeof limit ||
        sl__value_read(NULL, &plain, bound, strlen(bound), &limit, &why) < 0) {
        return SL_EMISUSE;
    }
    switch (plain.type) {
    case SL_CONFIG_INT:
    case SL_CONFIG_DURATION:
        *ret_order = order_of(*(const int64_t *)at<limit.i, *(const int64_t *)at> limit.i);
        return 0;
    case SL_CONFIG_UINT:
    case SL_CONFIG_SIZE:
        count = counted ? count : *(const uint64_t *)at;
        *ret_order = order_of(count<limit.u, count> limit.u);
        return 0;
    case SL_CONFIG_DOUBLE:
    case SL_CONFIG_PERCENT:
        *ret_order = order_of(*(const double *)at<limit.d, *(const double *)at> limit.d);
        return 0;
    default:
        return SL_EMISUSE;
    }
}

int sl__value_range(const struct sl_config_field *field, const void *at, uint64_t count)
{
    int order;
    if (field->min != NULL) {
        SL_TRY(compare_bound(field, at, count, field->min, &order) < 0 ? SL_EMISUSE : 0);
        if (order < 0) {
            return -1;
        }
    }
    if (field->max != NULL) {
        SL_TRY(compare_bound(field, at, count, field->max, &order) < 0 ? SL_EMISUSE : 0);
        return order > 0;
    }
    return 0;
}

/* ---- what a type is ---- */

static const struct {
    const char *noun, *example;
    uint8_t bytes;
} types[] = {
    [SL_CONFIG_BOOL] = {"a boolean", "", sizeof(bool)},
    [SL_CONFIG_INT] = {"an integer", "", sizeof(int64_t)},
    [SL_CONFIG_UINT] = {"an integer", " of at least 0", sizeof(uint64_t)},
    [SL_CONFIG_DOUBLE] = {"a number", "", sizeof(double)},
    [SL_CONFIG_STRING] = {"a text", "", sizeof(const char *)},
    [SL_CONFIG_DURATION] = {"a duration", " such as 250ms or 1m30s", sizeof(sl_time)},
    [SL_CONFIG_SIZE] = {"a size", " such as 64KiB or 10MB", sizeof(uint64_t)},
    [SL_CONFIG_RATE] = {"a rate", " such as 1200/1m or 5/s", sizeof(struct sl_config_rate)},
    [SL_CONFIG_PERCENT] = {"a percentage", " such as 20%", sizeof(double)},
    [SL_CONFIG_ENUM] = {"one of", "", sizeof(int)},
    [SL_CONFIG_URL] = {"a URL", " such as https://example.org/path", sizeof(struct sl_config_url)},
    [SL_CONFIG_SECRET] = {"a secret", ", best as !secret file:PATH or !secret env:NAME", sizeof(const char *)},
    [SL_CONFIG_LIST] = {"a list", "", sizeof(struct sl_config_list)},
    [SL_CONFIG_MAP] = {"a map", "", sizeof(struct sl_config_map)},
    [SL_CONFIG_SECTION] = {"a map", "", 0},
    [SL_CONFIG_VARIANT] = {"a map", " with the key \"kind\"", sizeof(struct sl_config_variant)},
};

bool sl__value_is_scalar(enum sl_config_type type)
{
    return type < SL_CONFIG_LIST;
}

size_t sl__value_bytes(const struct sl_config_field *field)
{
    if ((unsigned)field->type > SL_CONFIG_VARIANT) {
        return 0;
    }
    if (field->type != SL_CONFIG_SECTION) {
        return types[field->type].bytes;
    }
    return field->optional ? sizeof(void *) : field->section != NULL ? field->section->size_bytes : 0;
}

const char *sl__value_noun(enum sl_config_type type)
{
    return types[type].noun;
}

static void describe_words(const struct sl_config_field *field, const char *after, struct sl__text *out)
{
    for (size_t i = 0; i < field->choice_count; i++) {
        const char *before = i == 0 ? "" : i + 1 == field->choice_count ? " or " : ", ";
        sl__text_printf(out, "%s%s%s", before, field->choices[i], after);
    }
}

void sl__value_describe(const struct sl_config_field *field, struct sl__text *out)
{
    bool length = field->type == SL_CONFIG_STRING || field->type == SL_CONFIG_SECRET;
    bool counted = field->type == SL_CONFIG_LIST || field->type == SL_CONFIG_MAP;
    const char *min = field->min == NULL && field->type == SL_CONFIG_UINT ? "0" : field->min;
    const char *last = field->max != NULL ? field->max : min;
    bool one = last != NULL && strcmp(last, "1") == 0;
    const char *things = length                          ? one ? " byte" : " bytes"
                         : field->type == SL_CONFIG_LIST ? one ? " item" : " items"
                         : counted                       ? one ? " entry" : " entries"
                                                         : "";
    if (field->refers_to != NULL) {
        sl__text_printf(out, "the name of an entry of %s", field->refers_to);
    } else if (field->type == SL_CONFIG_BOOL) {
        sl__text_puts(out, "true or false");
    } else if (field->type == SL_CONFIG_ENUM) {
        describe_words(field, "", out);
    } else if (field->type == SL_CONFIG_URL && field->choice_count > 0) {
        sl__text_puts(out, "a URL that begins with ");
        describe_words(field, "://", out);
    } else if (min != NULL && field->max != NULL) {
        bool same = strcmp(min, field->max) == 0;
        sl__text_printf(out, "%s%s%s%s%s%s", types[field->type].noun,
                        length || counted ? " of "
                        : same            ? " that is "
                                          : " from ",
                        min, same ? "" : " to ", same ? "" : field->max, things);
    } else if (min != NULL || field->max != NULL) {
        sl__text_printf(out, "%s of at %s %s%s", types[field->type].noun, min != NULL ? "least" : "most",
                        min != NULL ? min : field->max, things);
    } else {
        sl__text_printf(out, "%s%s", types[field->type].noun, types[field->type].example);
    }
}

static bool same_text(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

bool sl__value_equal(const struct sl_config_field *field, const void *left, const void *right)
{
    const struct sl_config_rate *left_rate = left;
    const struct sl_config_rate *right_rate = right;
    switch (field->type) {
    case SL_CONFIG_STRING:
    case SL_CONFIG_SECRET:
        return same_text(*(const char *const *)left, *(const char *const *)right);
    case SL_CONFIG_URL:
        return same_text(((const struct sl_config_url *)left)->text, ((const struct sl_config_url *)right)->text);
    case SL_CONFIG_RATE:
        return left_rate->count == right_rate->count && left_rate->period == right_rate->period;
    case SL_CONFIG_DOUBLE:
    case SL_CONFIG_PERCENT:
        return *(const double *)left == *(const double *)right;
    default:
        return memcmp(left, right, sl__value_bytes(field)) == 0;
    }
}
