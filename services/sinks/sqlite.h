/* SPDX-License-Identifier: MIT */
/*
 * A sink into a SQLite file: a table for each kind of event, and one of the instruments. Every call of sl_sqlite_*() may
 * block on the disk: run it on a worker thread. Calls may come from different threads, but only one at a time.
 *
 * Writing is idempotent: every row has an identity and a repeat of it is counted and dropped, so that a batch whose
 * fate is unknown can simply be written again. It is the venue's own where there is one: of trades their id (a UUID as
 * text), of top_of_book the update's id, of candles interval and opening time (a later state replaces an earlier one),
 * of gaps where they begin; otherwise the event's stamp (columns run and number).
 * Events are durable when sl_sqlite_flush() has returned 0, or the commit that each `batch_events` makes; of the sink,
 * when write() has.
 *
 * Prices and quantities are TEXT as the venue wrote them ("61800.20"): exact and readable. REAL would round;
 * a mantissa with an exponent is exact too, but nobody can read or compare it in a query without knowing
 * how. To compute with them use CAST(price AS REAL), or the decimal extension of SQLite's shell. Levels of books are
 * JSON arrays of [price, quantity]. The column `instrument` has the venue's own symbol, the table `instruments` the name
 * that is the same for all venues.
 */
#ifndef SLUICE_SINKS_SQLITE_H
#define SLUICE_SINKS_SQLITE_H

#include "market/record.h"
#include "sinks/sink.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest text that sl_sqlite_problem() gives, with its NUL. */
#define SL_SQLITE_PROBLEM_MAX 256

/* Events that are committed together: default and most. */
#define SL_SQLITE_BATCH_DEFAULT 1000
#define SL_SQLITE_BATCH_MAX 1000000

/* How long to wait for another process that holds the file, by default. */
#define SL_SQLITE_BUSY_DEFAULT_MS 5000
#define SL_SQLITE_BUSY_MAX_MS 600000

/* The version of the tables; kept in the file as PRAGMA user_version. */
#define SL_SQLITE_SCHEMA 2

typedef struct sl_sqlite_options {
    const char *path;    /* created if it is not there; ":memory:" for tests */
    size_t batch_events; /* 0: the default */
    int busy_timeout_ms; /* 0: the default */
    bool sync_full;      /* survive a power cut, not only a crash of the process (PRAGMA synchronous=FULL) */
} sl_sqlite_options;

typedef struct sl_sqlite_stats {
    uint64_t written;  /* rows added (or, of gaps, completed), committed */
    uint64_t repeated; /* events whose row was there already, committed */
    uint64_t skipped;  /* events of no kind */
    uint64_t undone;   /* events of transactions that failed: to be written again */
    uint64_t commits;
} sl_sqlite_stats;

typedef struct sl_sqlite sl_sqlite;

/*
 * Opens or creates the file, in WAL mode. On failure, where `reterr_problem` is not NULL, it gets the text.
 * 0, SL_EINVAL, SL_ENOMEM, SL_EBUSY, SL_EEXIST (a database of something else, or of another version),
 * SL_ENOENT and SL_EINTERNAL for what SQLite could not do.
 */
SL_MUST_CHECK int sl_sqlite_open(const sl_sqlite_options *options, sl_sqlite **ret_sink,
                                 char reterr_problem[SL_SQLITE_PROBLEM_MAX]);

/*
 * Closes the file. What was not flushed is rolled back: call sl_sqlite_flush() first and look at its result.
 */
void sl_sqlite_close(sl_sqlite *sink);
SL_AUTO_DECLARE(sl_sqlite, sl_sqlite_close)

/*
 * Adds events to the open transaction and commits it whenever it has `batch_events`. On an error the open
 * transaction is rolled back: everything since the last commit is to be written again. 0, SL_EBUSY,
 * SL_ENOMEM, SL_EINTERNAL (disk full, I/O error…; see sl_sqlite_problem()), SL_EINVAL (a broken event).
 */
SL_MUST_CHECK int sl_sqlite_write(sl_sqlite *sink, const sl_market_event *events, size_t count);

/*
 * The same for one event with its stamp. Without one, as above, each call makes its own: what has no identity of the
 * venue's is then stored again.
 */
SL_MUST_CHECK int sl_sqlite_write_stamped(sl_sqlite *sink, const sl_market_event *event, sl_stamp stamp);

/* Commits what was written. Errors as sl_sqlite_write(); nothing to do is 0. */
SL_MUST_CHECK int sl_sqlite_flush(sl_sqlite *sink);

/* How many events wait for the commit. */
size_t sl_sqlite_pending(const sl_sqlite *sink);

const sl_sqlite_stats *sl_sqlite_get_stats(const sl_sqlite *sink);

/* What was wrong last, in SQLite's words; "" if nothing was. */
const char *sl_sqlite_problem(const sl_sqlite *sink);

/* ---- the sink ---- */

/* Makes a sink for an outlet, whose batches are the transactions: `batch_events` does not count. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_sqlite_sink_new(const sl_sqlite_options *options, sl_sink **ret_sink);

#ifdef __cplusplus
}
#endif

#endif
