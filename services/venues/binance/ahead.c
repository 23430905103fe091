/* SPDX-License-Identifier: MIT */
/*
 * A guess at the next message's symbol, while the one before it is decoded. Among many instruments what a symbol leads to
 * lies in no cache, and to wait for that takes a third of all that is done for a trade.
 */
#include "binance.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PIECE_BYTES 16

/* The symbol stands within so many bytes, and is not longer. */
#define AHEAD_BYTES 256
#define SYMBOL_BYTES 24

#define KEY "\"s\":\""

/* Bits of the places in 16 bytes (of 18) where "s", in quotes, begins. */
static inline unsigned look_for_symbol(const char *text)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), letter = _mm_set1_epi8('s');
    __m128i first = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)text), quote);
    __m128i second = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(text + 1)), letter);
    __m128i third = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(text + 2)), quote);
    return (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_and_si128(first, third), second));
#else
    unsigned found = 0;
    for (int at = 0; at < PIECE_BYTES; at++) {
        found |= (unsigned)(text[at] == '"' && text[at + 1] == 's' && text[at + 2] == '"') << at;
    }
    return found;
#endif
}

void sl__binance_look_ahead(const sl_venue_decoder *decoder, const char *bytes, size_t size_bytes)
{
    const sl_venue_decoder_options *options = &decoder->options;
    size_t end = size_bytes < AHEAD_BYTES ? size_bytes : AHEAD_BYTES;
    for (size_t at = 0; at + PIECE_BYTES + sizeof(KEY) + SYMBOL_BYTES <= end; at += PIECE_BYTES) {
        unsigned found = look_for_symbol(bytes + at);
        if (found != 0) {
            const char *symbol = bytes + at + __builtin_ctz(found) + sizeof(KEY) - 1;
            const char *quote = memchr(symbol, '"', SYMBOL_BYTES);
            if (quote != NULL) {
                sl_instruments_prefetch(options->instruments, options->venue, symbol, (size_t)(quote - symbol));
            }
            return;
        }
    }
}
