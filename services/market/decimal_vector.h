/* SPDX-License-Identifier: MIT */
/*
 * Numbers of up to 16 characters read by vectors (AVX2), where they stand in a text: all digits at once, and two numbers
 * side by side. For files that are compiled for processors that have it, and not called on others.
 */
#ifndef SLUICE_MARKET_DECIMAL_VECTOR_H
#define SLUICE_MARKET_DECIMAL_VECTOR_H

#ifdef __AVX2__

#include <immintrin.h>

#include "market/event.h"

/* How many characters are looked at for one number. Of each more than that has to be readable. */
#define SL__VECTOR_BYTES 16

/* A text in a vector: row `point` closes the gap that the point leaves. */
#define SL__VECTOR_FROM(point, at) ((at) + ((at) >= (point)))
#define SL__VECTOR_ROW(p)                                                                                              \
    {                                                                                                                  \
        SL__VECTOR_FROM(p, 0), SL__VECTOR_FROM(p, 1), SL__VECTOR_FROM(p, 2), SL__VECTOR_FROM(p, 3),                    \
            SL__VECTOR_FROM(p, 4), SL__VECTOR_FROM(p, 5), SL__VECTOR_FROM(p, 6), SL__VECTOR_FROM(p, 7),                \
            SL__VECTOR_FROM(p, 8), SL__VECTOR_FROM(p, 9), SL__VECTOR_FROM(p, 10), SL__VECTOR_FROM(p, 11),              \
            SL__VECTOR_FROM(p, 12), SL__VECTOR_FROM(p, 13), SL__VECTOR_FROM(p, 14), -1                                 \
    }
static const int8_t sl__vector_points[SL__VECTOR_BYTES][SL__VECTOR_BYTES]
    __attribute__((aligned(16))) = {SL__VECTOR_ROW(0),  SL__VECTOR_ROW(1),  SL__VECTOR_ROW(2),  SL__VECTOR_ROW(3),
                                    SL__VECTOR_ROW(4),  SL__VECTOR_ROW(5),  SL__VECTOR_ROW(6),  SL__VECTOR_ROW(7),
                                    SL__VECTOR_ROW(8),  SL__VECTOR_ROW(9),  SL__VECTOR_ROW(10), SL__VECTOR_ROW(11),
                                    SL__VECTOR_ROW(12), SL__VECTOR_ROW(13), SL__VECTOR_ROW(14), SL__VECTOR_ROW(15)};

/* From place n on: what moves n characters to the vector's end, zeros before them. */
static const int8_t sl__vector_ends[2 * SL__VECTOR_BYTES] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                             -1, -1, -1, -1, -1, 0,  1,  2,  3,  4,  5,
                                                             6,  7,  8,  9,  10, 11, 12, 13, 14, 15};

static inline __m128i sl__vector_load(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* Bits of the characters that are no digits. */
static inline uint32_t sl__vector_others16(const char *text)
{
    __m128i values = _mm_add_epi8(sl__vector_load(text), _mm_set1_epi8(0x7f - '9')); /* '9' becomes the largest */
    return ~(uint32_t)_mm_movemask_epi8(_mm_cmpgt_epi8(values, _mm_set1_epi8(0x7f - 10)));
}

static inline uint32_t sl__vector_others32(__m256i text)
{
    __m256i values = _mm256_add_epi8(text, _mm256_set1_epi8(0x7f - '9'));
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(values, _mm256_set1_epi8(0x7f - 10)));
}

/* The first eight digits in the lower half, the last eight in the upper one. */
static inline uint64_t sl__vector_join(uint64_t halves)
{
    return (halves & UINT32_MAX) * 100000000 + (halves >> 32);
}

/* The number of the digits at the vector's end; what is before them counts as 0. */
static inline uint64_t sl__vector_value(__m128i digits)
{
    digits = _mm_and_si128(digits, _mm_set1_epi8(0x0f));
    digits = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));  /* 10, 1: pairs */
    digits = _mm_madd_epi16(digits, _mm_set1_epi32(0x00010064)); /* 100, 1: fours */
    digits = _mm_packus_epi32(digits, digits);
    digits = _mm_madd_epi16(digits, _mm_set1_epi32(0x00012710)); /* 10000, 1: eights */
    return sl__vector_join((uint64_t)_mm_cvtsi128_si64(digits));
}

/* Of a whole number of `count` digits, 1 to 16. */
static inline uint64_t sl__vector_whole(const char *text, unsigned count)
{
    return sl__vector_value(_mm_shuffle_epi8(sl__vector_load(text), sl__vector_load(sl__vector_ends + count)));
}

/*
 * Less than 0 unless the places of the first two characters that are no digits, a point and an end, are those of a number
 * that is read here: without zeros before it, and with digits on both sides. What of several is or'ed together is looked at
 * once: whether a number is below 1 is nothing that a processor can guess.
 */
static inline int sl__vector_misfit(const char *text, int point, int end)
{
    return (point - 1) | (end - point - 2) | (SL__VECTOR_BYTES - end) | ((text[0] - '1') & (1 - point));
}

/* Of digits with a point among them. */
static inline sl_decimal sl__vector_decimal(const char *text, int point, int end)
{
    __m128i digits = _mm_shuffle_epi8(sl__vector_load(text), sl__vector_load(sl__vector_points[point]));
    digits = _mm_shuffle_epi8(digits, sl__vector_load(sl__vector_ends + end - 1));
    return (sl_decimal){(int64_t)sl__vector_value(digits), point + 1 - end};
}

/* Two such numbers at once, as a level. */
static inline void sl__vector_decimals(const char *price, int price_point, int price_end, const char *quantity,
                                       int point, int end, sl_level *ret_level)
{
    __m256i digits = _mm256_set_m128i(sl__vector_load(quantity), sl__vector_load(price));
    __m256i points =
        _mm256_set_m128i(sl__vector_load(sl__vector_points[point]), sl__vector_load(sl__vector_points[price_point]));
    __m256i ends =
        _mm256_set_m128i(sl__vector_load(sl__vector_ends + end - 1), sl__vector_load(sl__vector_ends + price_end - 1));
    digits = _mm256_shuffle_epi8(_mm256_shuffle_epi8(digits, points), ends);
    digits = _mm256_and_si256(digits, _mm256_set1_epi8(0x0f));
    digits = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a));
    digits = _mm256_madd_epi16(digits, _mm256_set1_epi32(0x00010064));
    digits = _mm256_packus_epi32(digits, digits);
    digits = _mm256_madd_epi16(digits, _mm256_set1_epi32(0x00012710));
    uint64_t first = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(digits));
    uint64_t second = (uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(digits, 1));
    ret_level->price = (sl_decimal){(int64_t)sl__vector_join(first), price_point + 1 - price_end};
    ret_level->quantity = (sl_decimal){(int64_t)sl__vector_join(second), point + 1 - end};
}

#endif

#endif
