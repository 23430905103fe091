/* SPDX-License-Identifier: MIT */
/*
 * A simulation: the simulated exchange with a venue and a stream service with its trades and books, as the program runs
 * them, in virtual time over the simulated network, with faults from a seed. First things go wrong, then nothing more
 * does, at last each instrument has one more trade and change; then what was given out is compared with the truth.
 */
#ifndef SL_INGEST_SIMULATE_H
#define SL_INGEST_SIMULATE_H

#include "exchange/scenario.h"
#include "ingest/stream/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* That are followed. */
#define SL_SIMULATE_INSTRUMENTS 3

/* Of the text of a mixture. */
#define SL_SIMULATE_MIXTURE_BYTES 4096

struct sl_simulate_options {
    sl_venue venue;
    uint64_t seed;
    unsigned redundancy;
    uint64_t steps;                   /* in which things go wrong; 0: 900 */
    double rate;                      /* steps a second of virtual time; 0: 40 */
    const char *scenario;             /* what goes wrong, as in a scenario's file: "faults: [...]"; NULL: nothing */
    const struct sl_scenario *loaded; /* in its place, a scenario that is loaded already; its other venues stay away */
    sl_time verify;                   /* of books; 0: they are not */
    sl_time calm;                     /* least time in which nothing goes wrong; 0: 5 s */
    bool deflate;                     /* the connections are compressed */
    size_t chunk_bytes;               /* > 0: the network gives bytes in pieces of at most so many */
    uint32_t per_connection;          /* subscriptions; 0: as many as the venue allows */
    double stalls; /* the share of events before which the sink makes the service wait, up to some seconds */
    const struct sl_simulated_cut *cuts; /* of connections, in the order in which they came; borrowed */
    size_t cut_count;
    bool steered; /* somebody pauses the stream, restarts it, and has its books made anew, now and then */
};

/* What came of it. */
struct sl_simulate_result {
    uint64_t trades, heard; /* that truly were; that were given out at least once */
    uint64_t told;          /* missing, and said to be */
    uint64_t untold;        /* missing, and nobody said so */
    uint64_t unseen;  /* missing before the first one that was given out, or after the last one of what was delisted */
    uint64_t doubled; /* given out more than once */
    uint64_t wrong;   /* given out with other figures, or never made */
    uint64_t gaps, book_gaps, healed;
    uint64_t books_wrong;          /* in the end, of the service or of whoever applied what was given out */
    uint64_t silently_wrong;       /* changes after which a book that was not said to be stale was not the true one */
    uint64_t crossed;              /* changes after which one was crossed, and nobody said so */
    uint64_t lists, list_failures; /* of instruments */
    uint64_t never_healed;         /* books that were missing or stale when all had been quiet for long */
    uint64_t bad;
    int64_t leaked;       /* allocations */
    sl_time healed_after; /* from the last fault until all was well */
    struct sl_simulated_stats exchange;
    struct sl_stream_stats stream;
    struct sl_books_stats books;
    char problem[256]; /* what was wrong first, "" */
};

/* Starts a runtime of its own: not in a task. 0 or what the run ended with. What was wrong is in the result. */
SL_MUST_CHECK int sl_simulate(const struct sl_simulate_options *options, struct sl_simulate_result *ret_result);

/* Whether all was as it has to be where nothing may be lost silently; `problem` says what was not. */
bool sl_simulate_is_true(const struct sl_simulate_result *result);

/* Whether a loss of this kind cannot be seen by anybody who speaks with the venue: trades, books. */
bool sl_simulate_hides_trades(sl_venue venue, sl_fault fault);
bool sl_simulate_hides_changes(sl_venue venue, sl_fault fault);

/*
 * Options for one seed: all faults that can be seen at the venue, side by side, at times that the seed draws. `text`
 * holds the scenario and is borrowed by the options.
 */
struct sl_simulate_options sl_simulate_mixture(sl_venue venue, uint64_t seed, unsigned redundancy,
                                               char text[SL_SIMULATE_MIXTURE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
