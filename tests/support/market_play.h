/* SPDX-License-Identifier: MIT */
/*
 * One play: the simulated exchange with a venue and a stream service with its trades and books, in the simulated world,
 * with faults from a seed. First things go wrong, then nothing more does, at last each instrument has one more trade
 * and change; then what was given out is compared with the truth.
 */
#ifndef MARKET_PLAY_H
#define MARKET_PLAY_H

#include "exchange/scenario.h"
#include "ingest/stream.h"

#define MARKET_PLAY_INSTRUMENTS 3

struct market_play_options {
    sl_venue venue;
    uint64_t seed;
    unsigned redundancy;
    uint64_t steps;       /* in which things go wrong; 0: 900 */
    double rate;          /* steps a second of virtual time; 0: 40 */
    const char *scenario; /* what goes wrong, as in a scenario's file: "faults: [...]"; NULL: nothing */
    sl_time verify;       /* of books; 0: they are not */
    sl_time calm;         /* least time in which nothing goes wrong; 0: 5 s */
    bool deflate;         /* the connections are compressed */
    size_t chunk_bytes;   /* > 0: the network gives bytes in pieces of at most so many */
};

/* What came of it. */
struct market_play_result {
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

/* 0 or what the run ended with. What was wrong is in the result. */
int market_play(const struct market_play_options *options, struct market_play_result *ret_result);

/* Whether all was as it has to be where nothing may be lost silently; `problem` says what was not. */
bool market_play_is_true(const struct market_play_result *result);

/* Whether a loss of this kind cannot be seen by anybody who speaks with the venue: trades, books. */
bool market_play_hides_trades(sl_venue venue, sl_fault fault);
bool market_play_hides_changes(sl_venue venue, sl_fault fault);

#endif
