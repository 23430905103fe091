/* SPDX-License-Identifier: MIT */
/* What goes wrong in a simulation: which faults can be seen at a venue at all, and mixtures of them from a seed. */
#include "ingest/demo/simulate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool says_nothing(sl_fault fault)
{
    return fault == SL_FAULT_SILENT || fault == SL_FAULT_HEARTBEATS_ONLY || fault == SL_FAULT_MUTE;
}

bool sl_simulate_hides_trades(sl_venue venue, sl_fault fault)
{
    return !sl_venue_driver_of(venue)->consecutive_trades && (fault == SL_FAULT_DROP_TRADE || says_nothing(fault));
}

bool sl_simulate_hides_changes(sl_venue venue, sl_fault fault)
{
    sl_book_rule rule = sl_venue_driver_of(venue)->book_rule;
    bool blind = rule == SL_BOOK_RULE_TRUSTED || rule == SL_BOOK_RULE_TIMED;
    bool late = rule == SL_BOOK_RULE_TRUSTED && fault == SL_FAULT_LATE_COPY;
    return late || (blind && (fault == SL_FAULT_DROP || fault == SL_FAULT_REORDER || says_nothing(fault)));
}

/* Whether the venue's protocol lets a worker see it, and the worker heals it by itself. */
static bool is_visible(sl_venue venue, sl_fault fault)
{
    return !sl_simulate_hides_changes(venue, fault) && !sl_simulate_hides_trades(venue, fault);
}

/* A text that is cut at its end rather than written beyond it. */
struct text {
    char *data;
    size_t used;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text->data + text->used, SL_SIMULATE_MIXTURE_BYTES - text->used, format, arguments);
    va_end(arguments);
    text->used += strlen(text->data + text->used);
}

static void put_visible(struct text *text, sl_venue venue)
{
    const char *comma = "";
    for (int fault = SL_FAULT_NONE + 1; fault < SL_FAULT_COUNT; fault++) {
        if (is_visible(venue, (sl_fault)fault)) {
            put(text, "%s%s", comma, sl_fault_name((sl_fault)fault));
            comma = ", ";
        }
    }
}

/* Several entries, each with all that is visible, that go on side by side. */
static void write_mixture(struct text *text, sl_venue venue, uint64_t seed)
{
    if (venue == SL_VENUE_OKX) {
        put(text, "venues: { okx: { checksums: %s } }\n", seed % 7 < 3 ? "true" : "false");
    }
    put(text, "faults:\n");
    if (venue <= SL_VENUE_BINANCE_COINM) {
        put(text, "  - { what: [weight], every: 8s, random: true, count: %llu }\n",
            (unsigned long long)(500 + seed * 37 % 4000));
    }
    for (unsigned entry = 1; entry <= 3; entry++) {
        put(text, "  - { what: [");
        put_visible(text, venue);
        put(text, "], every: %llums, random: true, count: %u, for: %llus }\n",
            (unsigned long long)(1000 + seed * entry % 61 * 80), entry, (unsigned long long)(1 + (seed + entry) % 7));
    }
}

struct sl_simulate_options sl_simulate_mixture(sl_venue venue, uint64_t seed, unsigned redundancy,
                                               char text[SL_SIMULATE_MIXTURE_BYTES])
{
    struct text mixture = {.data = text};
    write_mixture(&mixture, venue, seed);
    return (struct sl_simulate_options){.venue = venue,
                                        .seed = seed,
                                        .redundancy = redundancy,
                                        .scenario = text,
                                        .deflate = seed % 3 == 0,
                                        .chunk_bytes = seed % 4 == 0 ? 700 : 0};
}
