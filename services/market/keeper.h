/* SPDX-License-Identifier: MIT */
/*
 * Keeps one instrument's order book by its venue's rule: joins snapshots with changes, finds what is missing, heals,
 * and gives out what was applied, in order, so that whoever applies the same has the same book. No I/O and no clock.
 *
 *     EMPTY --snapshot joined--> LIVE --loss seen, connection lost--> STALE --joined anew--> LIVE
 *
 * A stale book is served on as it was, until the new one is whole: then it is replaced at once, a snapshot event is
 * given out and the gap is told as healed.
 *
 * Messages may come by several connections. Where they have ids the first copy of each is applied; one that does not
 * follow is kept for `patience` in case another connection brings what is missing. Where they have none (CHECKSUM,
 * TRUSTED) one connection is served; a second one's messages keep a book beside it, which takes over when the first is
 * lost or wrong. By TIMED, too, one is served, because times do not tell what is missing: another one takes over if it
 * was not ahead, else the book is joined anew.
 *
 * One thread at a time; never blocks. No allocation a message once the book has had its largest size.
 */
#ifndef SLUICE_MARKET_KEEPER_H
#define SLUICE_MARKET_KEEPER_H

#include "book.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Changes kept while a snapshot, or a missing one, is awaited: defaults. When full the oldest go. */
#define SL_KEEPER_DELTAS_DEFAULT 10000
#define SL_KEEPER_BYTES_DEFAULT ((size_t)16 << 20)

/*
 * How the messages of a venue's books follow each other. L is the last id that the book has, U and u are a change's
 * first and last id, pu is the last id of the change before. (Binance: "how to manage a local order book correctly".)
 *
 *   spot:     u <= L is old; what follows has U <= L + 1 <= u. L == -1 (a new instrument, empty book) lets any follow.
 *   futures:  u <= L is old; what follows has pu == L, the first one after a snapshot U <= L <= u.
 */
typedef enum sl_book_rule {
    SL_BOOK_RULE_NONE = 0,
    SL_BOOK_RULE_BINANCE_SPOT,    /* U, u; joined with a REST snapshot */
    SL_BOOK_RULE_BINANCE_FUTURES, /* U, u, pu; joined with a REST snapshot */
    SL_BOOK_RULE_CONSECUTIVE,     /* u + 1 each; snapshot in the stream; a new snapshot or u == 1 begins anew (Bybit) */
    SL_BOOK_RULE_LINKED,          /* previous id == last id; snapshot in the stream (OKX) */
    SL_BOOK_RULE_CHECKSUM,        /* no ids: the checksum is the only proof; snapshot in the stream (Kraken) */
    SL_BOOK_RULE_TRUSTED,         /* no ids, no checksum; snapshot in the stream (Coinbase level2) */
    SL_BOOK_RULE_TIMED,           /* a time stamp that grows; joined with a REST snapshot (Bitstamp) */
} sl_book_rule;

typedef struct sl_keeper sl_keeper;

typedef struct sl_keeper_options {
    sl_book_rule rule;
    const sl_instrument *instrument;
    size_t levels_max;                         /* a side; 0: SL_BOOK_LEVELS_DEFAULT */
    uint32_t (*checksum)(const sl_book *book); /* NULL: what messages say of it is not looked at */
    sl_time patience;                          /* with several connections; 0: a hole is a gap at once */
    size_t deltas_max, bytes_max;              /* 0: the defaults */
    void *arg;
    /* BOOK_DELTA and BOOK_SNAPSHOT as they were applied, and GAP twice (seen, healed). Must not wait or call back. */
    int (*event)(void *arg, const sl_market_event *event);
} sl_keeper_options;

typedef enum sl_keeper_state { SL_KEEPER_EMPTY = 0, SL_KEEPER_LIVE, SL_KEEPER_STALE } sl_keeper_state;

/* What has to be done for the book to become whole. */
typedef enum sl_keeper_want {
    SL_KEEPER_NOTHING = 0,
    SL_KEEPER_SNAPSHOT, /* ask for one by REST, then sl_keeper_snapshot() */
    SL_KEEPER_RENEWAL,  /* subscribe anew: the stream begins with a snapshot */
} sl_keeper_want;

typedef struct sl_keeper_stats {
    uint64_t applied, repeated, kept, dropped; /* dropped: kept ones that went because the buffer was full */
    uint64_t gaps, healed, snapshots, stale_snapshots;
    uint64_t checksums, checksum_failures, crossed;
} sl_keeper_stats;

/* 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_keeper_new(const sl_keeper_options *options, sl_keeper **ret_keeper);
void sl_keeper_free(sl_keeper *keeper);
SL_AUTO_DECLARE(sl_keeper, sl_keeper_free)

/*
 * A change or a snapshot came by the stream (event->connection says which). 0; SL_EINVAL for ids that are negative or
 * out of order and for negative quantities, SL_EMSGSIZE for a book over levels_max: nothing was applied and the book
 * is stale; SL_ENOMEM likewise; or what `event` returned.
 */
SL_MUST_CHECK int sl_keeper_event(sl_keeper *keeper, const sl_market_event *event, sl_time now);

/* The snapshot that was asked for. 1: joined, the book is live; 0: it is too old, or none was needed. Errors as above. */
SL_MUST_CHECK int sl_keeper_snapshot(sl_keeper *keeper, const sl_market_event *event, sl_time now);

/*
 * A connection is lost. `last`: no other one carries the book; then it is stale, and what is kept goes. Otherwise the
 * others' messages go on. 0, or what `event` returned.
 */
SL_MUST_CHECK int sl_keeper_lost(sl_keeper *keeper, uint32_t connection, bool last, sl_time now);

/* Holds the book for wrong, for `reason`: it is stale until it has been joined anew. */
SL_MUST_CHECK int sl_keeper_distrust(sl_keeper *keeper, sl_gap_reason reason, sl_time now);

/* What is to be done, and for RENEWAL on which connection. A SNAPSHOT is wanted only once a first change was kept. */
sl_keeper_want sl_keeper_wants(const sl_keeper *keeper, uint32_t *ret_connection);

/* Gives up holes whose patience is over; `ret_when`: when to call again, SL_NEVER: not for now. 0 or as above. */
SL_MUST_CHECK int sl_keeper_expire(sl_keeper *keeper, sl_time now, sl_time *ret_when);

/* A message of its book will come soon: what it will need of the keeper itself is fetched into the processor's cache. */
void sl_keeper_prefetch(const sl_keeper *keeper);

/*
 * The book, NULL while EMPTY: what is in it is borrowed until the next call, it itself until the keeper is freed. The last
 * id in it, 0 where there are none.
 */
const sl_book *sl_keeper_book(const sl_keeper *keeper);
int64_t sl_keeper_last_id(const sl_keeper *keeper);
sl_keeper_state sl_keeper_get_state(const sl_keeper *keeper);
const sl_keeper_stats *sl_keeper_get_stats(const sl_keeper *keeper);

#ifdef __cplusplus
}
#endif

#endif
