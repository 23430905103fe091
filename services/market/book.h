/* SPDX-License-Identifier: MIT */
/*
 * One instrument's order book: bids and asks sorted by price, with absolute quantities. It knows nothing of
 * sequence numbers: what may be applied when is decided by sequence.h.
 *
 * Each side is a row of blocks of up to 64 levels with a sorted directory of them, so that a change costs a
 * search and the move of at most 2 KiB, wherever in the book it is. No allocation a message once the book
 * has had its largest size. One thread at a time; functions never block.
 */
#ifndef SLUICE_MARKET_BOOK_H
#define SLUICE_MARKET_BOOK_H

#include "event.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels a side: the default limit, and the largest that sl_book_new() takes. */
#define SL_BOOK_LEVELS_DEFAULT 100000
#define SL_BOOK_LEVELS_MAX 1000000

typedef struct sl_book sl_book;

/* An empty book for up to `levels_max` levels a side (0: the default). 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_book_new(size_t levels_max, sl_book **ret_book);
void sl_book_free(sl_book *book);
SL_AUTO_DECLARE(sl_book, sl_book_free)

/* Removes all levels; keeps the memory. */
void sl_book_clear(sl_book *book);

/*
 * Replaces the whole book. Levels may come in any order (sorted is fast); of one price the last wins; a
 * quantity of 0 is no level. All or nothing. 0, SL_EINVAL (a negative quantity), SL_EMSGSIZE (more levels
 * than the limit), SL_ENOMEM.
 */
SL_MUST_CHECK int sl_book_set(sl_book *book, const sl_levels *levels);

/*
 * Applies changes in their order: sets each price's quantity, 0 removes the level (and is fine where there
 * is none). All or nothing. Errors as sl_book_set(); near the limit a price that is new and is there twice
 * counts twice.
 */
SL_MUST_CHECK int sl_book_apply(sl_book *book, const sl_levels *changes);

/*
 * Says that changes are about to come: the memory of the best levels is fetched while the caller does something else.
 * Worth it where there are more books than the processor's cache holds.
 */
void sl_book_prefetch(const sl_book *book);

/* Keeps the best `depth` levels of each side and removes the others. */
void sl_book_cut(sl_book *book, size_t depth);

/* The best level of a side (SL_SIDE_BUY: bids, SL_SIDE_SELL: asks), NULL when it is empty. Borrowed until the next change. */
const sl_level *sl_book_best(const sl_book *book, sl_side side);

/* How many levels a side has. */
size_t sl_book_count(const sl_book *book, sl_side side);

/* The quantity at a price (compared by value), NULL when there is no such level. Borrowed until the next change. */
const sl_decimal *sl_book_find(const sl_book *book, sl_side side, sl_decimal price);

/* Whether both sides have levels and the best bid is not below the best ask: a healthy book never is. */
bool sl_book_crossed(const sl_book *book);

/* Goes through a side from its best level: const sl_level *l; for (c = sl_book_first(...); (l = sl_book_next(&c));) */
typedef struct sl_book_cursor {
    const sl_book *book;
    sl_side side;
    size_t block; /* how many blocks are left, the current one included */
    size_t level; /* how many levels of the current block are left */
} sl_book_cursor;

sl_book_cursor sl_book_first(const sl_book *book, sl_side side);

/* The next level, NULL at the end. The book must not change meanwhile. */
const sl_level *sl_book_next(sl_book_cursor *cursor);

/* A venue's checksum of a book, over its best levels. */
typedef uint32_t (*sl_book_checksum_fn)(const sl_book *book);

/* Checks the inner order and counts: 0, or SL_EINTERNAL. For tests; linear. */
SL_MUST_CHECK int sl_book_verify(const sl_book *book);

#ifdef __cplusplus
}
#endif

#endif
