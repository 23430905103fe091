/* SPDX-License-Identifier: MIT */
/* Whether what the demo's program has, and its database, is what truly happened at its exchange. */
#ifndef SL_INGEST_DEMO_VERDICT_H
#define SL_INGEST_DEMO_VERDICT_H

#include "exchange/simulated.h"
#include "ingest/program/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels next to the top of a book that must be the same without exception. */
#define SL_DEMO_DEPTH 100

/* The trades of an instrument that truly happened; their ids follow each other at the demo's venues. */
struct sl_demo_trades {
    int64_t first_id, last_id; /* 0: there was none */
};

struct sl_demo_verdict {
    size_t books, wrong;    /* that were compared; that are other ones */
    char first_wrong[64];   /* the symbol of the first book that is another one, "" */
    uint64_t sent, written; /* trades: that there were; of them in the database */
    uint64_t early;         /* before the first one that came: nobody can know of them */
    uint64_t untold;        /* holes that no gap in the database tells of */
};

/* Books that are not whole just now; the figures of views are up to a second old. */
size_t sl_demo_stale_books(sl_program_parts *parts);

/*
 * Compares the books of all services with the exchange's, whose table of instruments is `theirs`. Nothing may move
 * meanwhile. (Far from the top, below the levels of a snapshot, a venue tells only what changes: there a level may be
 * missing, but none may be wrong.)
 */
void sl_demo_judge_books(const sl_simulated *exchange, const sl_instruments *theirs, sl_program_parts *parts,
                         struct sl_demo_verdict *verdict);

/*
 * Compares the database with the trades of each instrument, by its index in `theirs`. Blocks on the disk. SL_EINTERNAL
 * when it cannot be read.
 */
SL_MUST_CHECK int sl_demo_judge_trades(const char *database, const sl_instruments *theirs,
                                       const struct sl_demo_trades *trades, struct sl_demo_verdict *verdict);

/* Whether it is as it has to be. */
bool sl_demo_verdict_good(const struct sl_demo_verdict *verdict);

#ifdef __cplusplus
}
#endif

#endif
