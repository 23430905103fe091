/* SPDX-License-Identifier: MIT */
/*
 * Exact decimal numbers for prices and quantities: a 64-bit mantissa times a power of ten. Nothing is ever
 * rounded; what cannot be represented is SL_ERANGE. The scale a venue wrote is kept: 61800.20 is
 * 6180020 * 10^-2 and prints as "61800.20"; it is equal in value to 61800.2.
 *
 * 64 bits hold any 18 significant digits (19 up to 9223372036854775807), zeros at the end not counted: 92 thousand
 * million tokens with eight places. No captured message has more; the two wider words that would be needed for one
 * that has would double every level of every book. Such a message is refused as SL_ERANGE and counted, never rounded.
 * Pure functions, any thread, no allocation.
 */
#ifndef SLUICE_MARKET_DECIMAL_H
#define SLUICE_MARKET_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits: mantissas are symmetric (-INT64_MAX .. INT64_MAX), so that negating one cannot fail. */
#define SL_DECIMAL_MANTISSA_MAX INT64_MAX
#define SL_DECIMAL_EXPONENT_MIN (-64)
#define SL_DECIMAL_EXPONENT_MAX 64

/* A buffer for sl_decimal_format(): sign, 19 digits, 64 zeros, point, NUL, and some. */
#define SL_DECIMAL_TEXT_MAX 96

/*
 * mantissa * 10^exponent. Several pairs have the same value; use the functions to compare. Packed: a level of a book
 * takes 24 bytes instead of 32, and books of many instruments are as quick as memory is.
 */
typedef struct __attribute__((packed, aligned(4))) sl_decimal {
    int64_t mantissa;
    int32_t exponent;
} sl_decimal;

/*
 * The number written in `text`, which must be a number of the JSON grammar as a whole ("-12.50", "1e-7").
 * Keeps the scale; only when the mantissa would not fit are trailing zeros moved into the exponent.
 * A negative zero is zero. Returns 0, SL_EPROTO (not a number), SL_ERANGE. `text` need not end in NUL.
 */
SL_MUST_CHECK int sl_decimal_parse(const char *text, size_t size_bytes, sl_decimal *ret_decimal);

/*
 * The same, faster, for texts with SL_DECIMAL_PADDING readable bytes (of any value) behind them: those inside a JSON
 * document.
 */
#define SL_DECIMAL_PADDING 16
SL_MUST_CHECK int sl_decimal_parse_padded(const char *text, size_t size_bytes, sl_decimal *ret_decimal);

/* Less than 0, 0 or greater than 0 as `a` is less than, equal in value to or greater than `b`. Exact. */
int sl__decimal_compare_scaled(sl_decimal a, sl_decimal b);
static inline int sl_decimal_compare(sl_decimal a, sl_decimal b)
{
    if (a.exponent == b.exponent) {
        return (a.mantissa > b.mantissa) - (a.mantissa < b.mantissa);
    }
    return sl__decimal_compare_scaled(a, b);
}

static inline bool sl_decimal_equal(sl_decimal a, sl_decimal b)
{
    return sl_decimal_compare(a, b) == 0;
}

/* The same value with no trailing zeros in the mantissa; zero has exponent 0. Equal values become the same pair. */
sl_decimal sl_decimal_normalize(sl_decimal decimal);

/* The same value with the exponent given, or SL_ERANGE when it would need rounding or more than 64 bits. */
SL_MUST_CHECK int sl_decimal_rescale(sl_decimal decimal, int32_t exponent, sl_decimal *ret_decimal);

/* a + b, exact: at the finer of both scales if that fits, else at a coarser one; SL_ERANGE. */
SL_MUST_CHECK int sl_decimal_add(sl_decimal a, sl_decimal b, sl_decimal *ret_sum);

/* How sl_decimal_format() writes. Never an exponent: "1e3" becomes "1000". */
typedef enum sl_decimal_style {
    SL_DECIMAL_SCALED = 0, /* as many fraction digits as the scale has: "61800.20" */
    SL_DECIMAL_CANONICAL,  /* the shortest; equal values have equal texts: "61800.2" */
} sl_decimal_style;

/*
 * Writes the number as text with NUL into `buffer` of at least SL_DECIMAL_TEXT_MAX bytes; returns the length
 * without the NUL. Reading the text back gives an equal value. An exponent out of the limits is a bug of the
 * caller and writes "?".
 */
size_t sl_decimal_format(sl_decimal decimal, sl_decimal_style style, char buffer[SL_DECIMAL_TEXT_MAX]);

#ifdef __cplusplus
}
#endif

#endif
