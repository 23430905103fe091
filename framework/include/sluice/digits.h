/* SPDX-License-Identifier: MIT */
/*
 * Decimal digits, eight at a time: what readers of numbers on hot paths are made of. Pure functions, any thread.
 */
#ifndef SLUICE_DIGITS_H
#define SLUICE_DIGITS_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the first character has to be the lowest byte of a word"
#endif

/* Eight characters as a word, the first one in its lowest byte. `text` needs eight readable bytes, of any value. */
static inline uint64_t sl_digits_load(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof(word));
    return word;
}

/* How many digits the word begins with, 0 to 8. */
static inline unsigned sl_digits_count(uint64_t word)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t values = word ^ each * '0'; /* 0 to 9 for digits */
    uint64_t others = (values | ((values & each * 0x7f) + each * (0x7f - 9))) & each * 0x80;
    return others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
}

/* The number of the word's eight digits; a character that is 0 counts as the digit 0. */
static inline uint64_t sl_digits_value8(uint64_t word)
{
    /* Pairs, then fours, then all eight are added up. */
    word &= UINT64_C(0x0f0f0f0f0f0f0f0f);
    word = word * 10 + (word >> 8);
    word = ((word & UINT64_C(0x000000ff000000ff)) * (100 + (UINT64_C(1000000) << 32)) +
            ((word >> 16) & UINT64_C(0x000000ff000000ff)) * (1 + (UINT64_C(10000) << 32))) >>
           32;
    return word & UINT32_MAX;
}

/* The number of the word's first `count` characters, 1 to 8 digits. */
static inline uint64_t sl_digits_value(uint64_t word, unsigned count)
{
    return sl_digits_value8(word << (64 - 8 * count));
}

#ifdef __cplusplus
}
#endif

#endif
