/* SPDX-License-Identifier: MIT */
/*
 * The join of a book's snapshot and its stream of diffs by the venue's rule, as a state machine without I/O:
 * it is told what came and says what to do. Sources: the "how to manage a local order book" sections of
 * Binance's documentation; for `pu == L` the clients that met it on live streams.
 *
 *     BUFFERING --snapshot that fits--> JOINED --a diff that does not follow, sl_sequence_lost()--> GAP
 *         GAP --snapshot that fits--> JOINED          (GAP is BUFFERING with an old book to keep, marked stale)
 *
 * L is the snapshot's last id, U and u are a diff's first and last id, pu is the last id of the diff before:
 *
 *   spot:     u <= L is old; the first one kept has U <= L+1 <= u; then U <= previous u + 1 <= u each time
 *             (normally U == previous u + 1; an overlap is harmless because quantities are absolute).
 *             L == -1 (a new instrument, empty book) lets any diff follow.
 *   futures:  u < L is old; the first one kept has U <= L <= u, or pu == L; then pu == previous u each time.
 *
 * While a snapshot is awaited the diffs are kept as copies of their raw messages, bounded in number and
 * bytes; when full the oldest go, and a snapshot asked for later still fits. One thread at a time; never blocks.
 */
#ifndef SLUICE_MARKET_SEQUENCE_H
#define SLUICE_MARKET_SEQUENCE_H

#include "event.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits of the diffs kept while waiting: defaults, and the most that options may say. */
#define SL_SEQUENCE_DIFFS_DEFAULT 10000
#define SL_SEQUENCE_BYTES_DEFAULT ((size_t)16 << 20)
#define SL_SEQUENCE_DIFFS_MAX 1000000
#define SL_SEQUENCE_BYTES_MAX ((size_t)1 << 30)

/* Readable bytes behind each raw message that sl_sequence_next() gives; at least SL_JSON_PADDING. */
#define SL_SEQUENCE_PADDING 64

/* How the messages of a venue's books follow each other. */
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

typedef enum sl_sequence_state {
    SL_SEQUENCE_BUFFERING = 0, /* no book yet: a snapshot is needed */
    SL_SEQUENCE_JOINED,        /* diffs are applied */
    SL_SEQUENCE_BROKEN,        /* diffs are missing: a snapshot is needed, the old book is stale */
} sl_sequence_state;

/* What the caller is to do. */
typedef enum sl_sequence_action {
    SL_SEQUENCE_NOTHING = 0, /* sl_sequence_next(): no diff is left */
    SL_SEQUENCE_APPLY,       /* apply the diff; or set the book from the snapshot, then call sl_sequence_next() */
    SL_SEQUENCE_IGNORE,      /* old or repeated: throw it away */
    SL_SEQUENCE_KEPT,        /* kept until the snapshot comes */
    SL_SEQUENCE_STALE,       /* the snapshot is older than the diffs: ask for another; a book set from it is stale */
    SL_SEQUENCE_GAP,         /* diffs are missing: the book is stale, ask for a snapshot; see sl_sequence_take_gap() */
} sl_sequence_action;

/* A diff as the tracker sees it. `raw` is the whole message; NULL when nothing is to be kept of it. */
typedef struct sl_diff {
    int64_t first_id;
    int64_t last_id;
    int64_t previous_id; /* futures only */
    int64_t receive_time_ns;
    const char *raw;
    size_t size_bytes;
} sl_diff;

typedef struct sl_sequence_options {
    sl_book_rule rule;
    size_t diffs_max; /* 0: the default */
    size_t bytes_max; /* 0: the default */
} sl_sequence_options;

/* Counters since the beginning. */
typedef struct sl_sequence_stats {
    uint64_t applied;
    uint64_t ignored;
    uint64_t kept;
    uint64_t dropped;        /* kept ones that went because the buffer was full, or memory short */
    uint64_t breaks_waiting; /* breaks among the kept ones: what was before them went */
    uint64_t gaps;
    uint64_t healed;
    uint64_t snapshots;
    uint64_t stale_snapshots;
} sl_sequence_stats;

typedef struct sl_sequence sl_sequence;

/* Begins in SL_SEQUENCE_BUFFERING. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_sequence_new(const sl_sequence_options *options, sl_sequence **ret_sequence);
void sl_sequence_free(sl_sequence *sequence);
SL_AUTO_DECLARE(sl_sequence, sl_sequence_free)

/*
 * A diff came from the stream. Returns APPLY, IGNORE, KEPT, STALE or GAP (> 0); the last two keep the diff
 * as well. SL_EINVAL for ids that are negative or out of order (U > u), SL_EMSGSIZE for a message over bytes_max, SL_ENOMEM: the
 * diff was not kept, and what was kept before it is gone as it would no longer connect.
 */
SL_MUST_CHECK int sl_sequence_diff(sl_sequence *sequence, const sl_diff *diff);

/*
 * A snapshot came. APPLY: set the book from it and then apply what sl_sequence_next() gives until it
 * returns NOTHING. STALE: ask for another one (after a while). IGNORE: none was needed. SL_EINVAL below -1.
 */
SL_MUST_CHECK int sl_sequence_snapshot(sl_sequence *sequence, int64_t last_id);

/*
 * The next kept diff to apply after a snapshot: APPLY, NOTHING, or STALE or GAP as in sl_sequence_diff().
 * The raw message is borrowed until the next call of any function here but the getters.
 */
SL_MUST_CHECK int sl_sequence_next(sl_sequence *sequence, sl_diff *ret_diff);

/* The stream was interrupted (reconnect, resubscription): what is kept goes; a joined book becomes stale. */
void sl_sequence_lost(sl_sequence *sequence);

/*
 * News of the gap: 1 and the gap, once when it begins and once when the first diff after the new snapshot
 * has proved it healed (once for both if nobody asked between); otherwise 0.
 */
int sl_sequence_take_gap(sl_sequence *sequence, sl_gap *ret_gap);

sl_sequence_state sl_sequence_get_state(const sl_sequence *sequence);

/* Whether a snapshot is needed. Asking after the first diff was kept makes a stale one unlikely. */
bool sl_sequence_wants_snapshot(const sl_sequence *sequence);

/* The last id that the book has, 0 before the first snapshot. */
int64_t sl_sequence_last_id(const sl_sequence *sequence);

/* How many diffs, and bytes of them, are kept now. */
size_t sl_sequence_kept(const sl_sequence *sequence, size_t *ret_bytes);

const sl_sequence_stats *sl_sequence_get_stats(const sl_sequence *sequence);

/*
 * Trades with consecutive ids: finds the missing and the repeated ones. Set it to zero to begin.
 */
typedef struct sl_trade_track {
    bool begun;
    int64_t last_id;
    uint64_t received; /* first copies */
    uint64_t repeated;
    uint64_t missing; /* ids in the holes */
    uint64_t gaps;
} sl_trade_track;

/*
 * A trade, or an aggregate of several, came: APPLY (it follows, or is the first one), IGNORE (a repeat), or
 * GAP: it is to be used too, but those in *ret_gap (set only then) are missing before it. SL_EINVAL for
 * ids that are negative or out of order.
 */
SL_MUST_CHECK int sl_trade_track_see(sl_trade_track *track, int64_t first_id, int64_t last_id, sl_gap *ret_gap);

#ifdef __cplusplus
}
#endif

#endif
