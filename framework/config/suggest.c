/* SPDX-License-Identifier: MIT */
/* The nearest known word: Damerau-Levenshtein distance with adjacent swaps; case and -/_ do not count. */
#include <string.h>

#include "internal.h"

#define WORD_BYTES_MAX 48

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '-' ? '_' : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *left, size_t left_bytes, const char *right, size_t right_bytes)
{
    unsigned rows[3][WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= right_bytes; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= left_bytes; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= right_bytes; j++) {
            bool same = folded(left[i - 1]) == folded(right[j - 1]);
            row[j] = least(above[j - 1] + (same ? 0 : 1), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && folded(left[i - 1]) == folded(right[j - 2]) &&
                folded(left[i - 2]) == folded(right[j - 1])) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[left_bytes % 3][right_bytes];
}

void sl__suggest(struct sl__suggestion *suggestion, const char *candidate)
{
    size_t word_bytes = strlen(suggestion->word);
    size_t candidate_bytes = strlen(candidate);
    if (word_bytes > WORD_BYTES_MAX || candidate_bytes > WORD_BYTES_MAX || word_bytes == 0) {
        return;
    }
    unsigned found = distance(suggestion->word, word_bytes, candidate, candidate_bytes);
    size_t longer = word_bytes > candidate_bytes ? word_bytes : candidate_bytes;
    unsigned most = longer < 3 ? 0 : longer < 6 ? 1 : longer < 9 ? 2 : 3;
    if (found <= most && (suggestion->best == NULL || found < suggestion->distance)) {
        suggestion->best = candidate;
        suggestion->distance = found;
    }
}
