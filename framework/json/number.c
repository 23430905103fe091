/* SPDX-License-Identifier: MIT */
/* The texts of JSON's numbers. See number.h. */
#include "number.h"

#include "sluice/digits.h"

/* Integers up to so many digits cannot overflow. */
#define DIGITS_SAFE 18

static bool skip_digits(const char **at, const char *end)
{
    const char *start = *at;
    while (*at < end && **at >= '0' && **at <= '9') {
        (*at)++;
    }
    return *at > start;
}

bool sl__json_is_number(sl_json_text text, bool *ret_whole)
{
    const char *at = text.data;
    const char *end = text.data + text.size_bytes;
    bool whole = true;
    at += at < end && *at == '-';
    const char *integer = at;
    if (!skip_digits(&at, end) || (*integer == '0' && at - integer > 1)) {
        return false;
    }
    if (at < end && *at == '.') {
        whole = false;
        at++;
        if (!skip_digits(&at, end)) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        whole = false;
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (!skip_digits(&at, end)) {
            return false;
        }
    }
    *ret_whole = whole;
    return at == end;
}

static const uint32_t powers[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

/* An integer of a safe length without sign and leading zero: the form of nearly all. */
static bool plain_integer(sl_json_text text, uint64_t *ret_magnitude)
{
    uint64_t magnitude = 0;
    if (text.size_bytes == 0 || text.size_bytes > DIGITS_SAFE || (text.data[0] == '0' && text.size_bytes > 1)) {
        return false;
    }
    size_t at = 0;
    for (; at + 8 <= text.size_bytes; at += 8) {
        uint64_t word = sl_digits_load(text.data + at);
        if (sl_digits_count(word) < 8) {
            return false;
        }
        magnitude = magnitude * 100000000 + sl_digits_value8(word);
    }
    if (at > 0 && at < text.size_bytes) { /* the last eight, without those that are read already */
        unsigned rest = (unsigned)(text.size_bytes - at);
        uint64_t word = sl_digits_load(text.data + text.size_bytes - 8);
        if (sl_digits_count(word) < 8) {
            return false;
        }
        *ret_magnitude = magnitude * powers[rest] + sl_digits_value8(word >> (64 - 8 * rest) << (64 - 8 * rest));
        return true;
    }
    for (; at < text.size_bytes; at++) {
        unsigned digit = (unsigned)(unsigned char)text.data[at] - '0';
        if (digit > 9) {
            return false;
        }
        magnitude = magnitude * 10 + digit;
    }
    *ret_magnitude = magnitude;
    return true;
}

int sl__json_integer(sl_json_text text, bool *ret_negative, uint64_t *ret_magnitude)
{
    bool whole = false;
    uint64_t magnitude = 0;
    *ret_negative = false;
    if (plain_integer(text, ret_magnitude)) {
        return 0;
    }
    if (!sl__json_is_number(text, &whole)) {
        return SL_EPROTO;
    }
    if (!whole) {
        return SL_ERANGE;
    }
    size_t at = text.data[0] == '-' ? 1 : 0;
    *ret_negative = at == 1;
    for (; at < text.size_bytes; at++) {
        if (__builtin_mul_overflow(magnitude, (uint64_t)10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(text.data[at] - '0'), &magnitude)) {
            return SL_ERANGE;
        }
    }
    *ret_magnitude = magnitude;
    return 0;
}

bool sl__json_to_int64(bool negative, uint64_t magnitude, int64_t *ret_value)
{
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret_value = negative ? (int64_t)(~magnitude + 1) : (int64_t)magnitude;
    return true;
}

int sl_json_text_int64(sl_json_text text, int64_t *ret_value)
{
    bool negative = false;
    uint64_t magnitude = 0;
    SL_TRY(sl__json_integer(text, &negative, &magnitude));
    return sl__json_to_int64(negative, magnitude, ret_value) ? 0 : SL_ERANGE;
}

int sl_json_text_uint64(sl_json_text text, uint64_t *ret_value)
{
    bool negative = false;
    uint64_t magnitude = 0;
    SL_TRY(sl__json_integer(text, &negative, &magnitude));
    if (negative && magnitude != 0) {
        return SL_ERANGE;
    }
    *ret_value = magnitude;
    return 0;
}
