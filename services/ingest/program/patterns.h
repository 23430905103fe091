/* SPDX-License-Identifier: MIT */
/*
 * The names and patterns of instruments that a configuration lists, made ready for many questions: plain names, of which
 * there may be tens of thousands, are found by halving; only those with a '*' or '?' are tried one by one.
 */
#ifndef SL_INGEST_PATTERNS_H
#define SL_INGEST_PATTERNS_H

#include "market/instrument.h"
#include "sluice/config.h"

/* Zeroed: empty. */
typedef struct sl_patterns {
    struct sl_pattern {
        const char *text; /* the list's */
        bool matched;
    } * all; /* plain names by the alphabet, each once; behind them the others as they are listed */
    size_t plain_count, count;
} sl_patterns;

/*
 * In place of what was there: those of a list of const char *, as sl_instrument_matches() takes them. The texts are borrowed.
 * Does not wait. 0 or SL_ENOMEM, and then all is as it was.
 */
SL_MUST_CHECK int sl_patterns_set(sl_patterns *patterns, const struct sl_config_list *list);
void sl_patterns_clear(sl_patterns *patterns);

/* Whether one of them means the instrument; each that does is marked as matched. Does not wait. */
bool sl_patterns_match(sl_patterns *patterns, const sl_instrument *instrument);

/* Takes all marks away. */
void sl_patterns_unmark(sl_patterns *patterns);

/* How many have no mark, and one of those ("": there is none). */
size_t sl_patterns_unmatched(const sl_patterns *patterns, const char **ret_one);

#endif
