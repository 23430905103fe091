/* SPDX-License-Identifier: MIT */
/* Many names and patterns of instruments: see patterns.h. */
#include "ingest/program/patterns.h"

#include <stdlib.h>
#include <string.h>

#include "sluice/memory.h"

static bool is_plain(const char *text)
{
    return text[strcspn(text, "*?")] == '\0';
}

/* Letters of either case are the same, as for sl_pattern_matches(). */
static int compare(const void *one, const void *other)
{
    return strcasecmp(((const struct sl_pattern *)one)->text, ((const struct sl_pattern *)other)->text);
}

static void drop_repeats(sl_patterns *patterns)
{
    size_t kept = 0;
    for (size_t at = 0; at < patterns->plain_count; at++) {
        if (kept == 0 || compare(&patterns->all[kept - 1], &patterns->all[at]) != 0) {
            patterns->all[kept++] = patterns->all[at];
        }
    }
    memmove(&patterns->all[kept], &patterns->all[patterns->plain_count],
            (patterns->count - patterns->plain_count) * sizeof patterns->all[0]);
    patterns->count -= patterns->plain_count - kept;
    patterns->plain_count = kept;
}

int sl_patterns_set(sl_patterns *patterns, const struct sl_config_list *list)
{
    const char *const *texts = list->items;
    sl_patterns made = {0};
    if (list->count > 0) {
        made.all = sl_calloc(list->count, sizeof made.all[0]);
        if (made.all == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu names of instruments", list->count);
        }
    }
    for (int plain = 1; plain >= 0; plain--) {
        for (size_t at = 0; at < list->count; at++) {
            if (is_plain(texts[at]) == (plain == 1)) {
                made.all[made.count++].text = texts[at];
                made.plain_count += plain == 1;
            }
        }
    }
    if (made.plain_count > 0) {
        qsort(made.all, made.plain_count, sizeof made.all[0], compare);
        drop_repeats(&made);
    }
    sl_patterns_clear(patterns);
    *patterns = made;
    return 0;
}

void sl_patterns_clear(sl_patterns *patterns)
{
    sl_free(patterns->all);
    *patterns = (sl_patterns){0};
}

static bool match_plain(const sl_patterns *patterns, const char *text)
{
    const struct sl_pattern key = {.text = text};
    struct sl_pattern *found =
        patterns->plain_count == 0 ? NULL : bsearch(&key, patterns->all, patterns->plain_count, sizeof key, compare);
    if (found != NULL) {
        found->matched = true;
    }
    return found != NULL;
}

bool sl_patterns_match(sl_patterns *patterns, const sl_instrument *instrument)
{
    bool matched = match_plain(patterns, instrument->name);
    matched = match_plain(patterns, instrument->symbol) || matched;
    for (size_t at = patterns->plain_count; at < patterns->count; at++) {
        if (sl_instrument_matches(instrument, patterns->all[at].text)) {
            patterns->all[at].matched = true;
            matched = true;
        }
    }
    return matched;
}

void sl_patterns_unmark(sl_patterns *patterns)
{
    for (size_t at = 0; at < patterns->count; at++) {
        patterns->all[at].matched = false;
    }
}

size_t sl_patterns_unmatched(const sl_patterns *patterns, const char **ret_one)
{
    size_t count = 0;
    *ret_one = "";
    for (size_t at = 0; at < patterns->count; at++) {
        if (!patterns->all[at].matched && count++ == 0) {
            *ret_one = patterns->all[at].text;
        }
    }
    return count;
}
