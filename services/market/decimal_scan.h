/* SPDX-License-Identifier: MIT */
/* Decimals as venues write nearly all of them, read where they stand in a text, their end found on the way. */
#ifndef SLUICE_MARKET_DECIMAL_SCAN_H
#define SLUICE_MARKET_DECIMAL_SCAN_H

#include "market/decimal.h"
#include "sluice/digits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 10^19 is the largest power of ten that fits in 64 bits, unsigned. */
#define SL__DECIMAL_POWER_MAX 19
extern const uint64_t sl__decimal_powers[SL__DECIMAL_POWER_MAX + 1];

/*
 * Reads "61800.20": 1 to 8 digits, then perhaps a point and 1 to 8 more; returns where it ends, which the caller looks
 * at, or NULL for every other form. What it reads is what sl_decimal_parse() reads. `text` needs SL_DECIMAL_PADDING
 * readable bytes, of any value.
 */
static inline const char *sl__decimal_scan(const char *text, sl_decimal *ret_decimal)
{
    uint64_t word = sl_digits_load(text);
    unsigned whole = sl_digits_count(word);
    if (whole == 0 || (text[0] == '0' && whole > 1)) {
        return NULL;
    }
    if (text[whole] != '.') {
        *ret_decimal = (sl_decimal){(int64_t)sl_digits_value(word, whole), 0};
        return text + whole;
    }
    uint64_t behind = sl_digits_load(text + whole + 1);
    unsigned fraction = sl_digits_count(behind);
    if (fraction == 0) {
        return NULL;
    }
    uint64_t mantissa = 0;
    if (whole < 8 && whole + fraction <= 8) { /* without the point they are one word */
        word = (word & ((UINT64_C(1) << (8 * whole)) - 1)) | behind << (8 * whole);
        mantissa = sl_digits_value(word, whole + fraction);
    } else {
        mantissa = sl_digits_value(word, whole) * sl__decimal_powers[fraction] + sl_digits_value(behind, fraction);
    }
    *ret_decimal = (sl_decimal){(int64_t)mantissa, -(int32_t)fraction};
    return text + whole + 1 + fraction;
}

/* Whether the word, a text's last `digits` characters in its upper bytes, 1 to 8 of them, is nothing but digits. */
static inline bool sl__decimal_is_digits(uint64_t word, size_t digits)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t values = (word ^ (each * '0' << (64 - 8 * digits))); /* 0 to 9 for digits, and where nothing is */
    return ((values | ((values & each * 0x7f) + each * (0x7f - 9))) & each * 0x80) == 0;
}

/*
 * Reads "61800.20", all of the text: up to eight digits on each side of a point; false for every other form. What it reads
 * is what sl_decimal_parse() reads: where they are eight at most, as one word without the point. `text` needs
 * SL_DECIMAL_PADDING readable bytes, of any value.
 */
static inline bool sl__decimal_read_short(const char *text, size_t size_bytes, sl_decimal *ret_decimal)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t word = sl_digits_load(text);
    uint64_t points = word ^ each * '.';
    points = (points - each) & ~points & each * 0x80;
    if (points == 0) {
        return false;
    }
    size_t whole = (size_t)__builtin_ctzll(points) / 8, fraction = size_bytes - whole - 1, digits = whole + fraction;
    if (whole == 0 || fraction - 1 >= 8 || (*text == '0' && whole != 1)) {
        return false;
    }
    uint64_t behind = sl_digits_load(text + whole + 1);
    if (digits <= 8) {
        word = ((word & ((UINT64_C(1) << 8 * whole) - 1)) | behind << 8 * whole) << (64 - 8 * digits);
        *ret_decimal = (sl_decimal){(int64_t)sl_digits_value8(word), -(int32_t)fraction};
        return sl__decimal_is_digits(word, digits);
    }
    word <<= 64 - 8 * whole;
    behind <<= 64 - 8 * fraction;
    *ret_decimal =
        (sl_decimal){(int64_t)(sl_digits_value8(word) * sl__decimal_powers[fraction] + sl_digits_value8(behind)),
                     -(int32_t)fraction};
    return sl__decimal_is_digits(word, whole) && sl__decimal_is_digits(behind, fraction);
}

#ifdef __cplusplus
}
#endif

#endif
