/* SPDX-License-Identifier: MIT */
/*
 * A second, naive implementation of an order book, to compare with: raw messages of Binance USD-M go into a
 * table of SQLite, which reads the JSON itself. It shares no code with the book, decoder and tracker of the
 * services. Outside tasks only (it asserts).
 */
#ifndef NAIVE_BOOK_H
#define NAIVE_BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "market/book.h"

struct naive_book;

struct naive_book *naive_book_open(void);
void naive_book_close(struct naive_book *naive);

/* One message as it was captured: a diff, a REST snapshot, or anything else (ignored). NUL-terminated. */
void naive_book_feed(struct naive_book *naive, const char *message);

/* All messages of a capture file, by gzip. */
void naive_book_feed_file(struct naive_book *naive, const char *path);

int64_t naive_book_last_id(const struct naive_book *naive);

/*
 * Asserts that `book`, which was joined at `joined_id`, is true: all its levels are here with the same
 * quantity; every level that changed after `joined_id`, and the best `depth` ones of each side, are in it.
 */
void naive_book_check(struct naive_book *naive, const sl_book *book, int64_t joined_id, int depth);

#endif
