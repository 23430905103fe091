/* SPDX-License-Identifier: MIT */
/*
 * What a sink is to the rest: a driver, which knows one kind of store, and its own state. Queues, batches, retries, the
 * spool on disk and the figures are the same for all and live in outlet.h; a driver only opens, writes and closes.
 *
 * Delivery is at least once: a batch whose fate is unknown is written again. Every event comes with a stamp, and an
 * identity (market/record.h), which a driver uses to make the repeat harmless; each says in its header how.
 */
#ifndef SLUICE_SINKS_SINK_H
#define SLUICE_SINKS_SINK_H

#include "market/record.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest text of sl_sink.problem, with its NUL. */
#define SL_SINK_PROBLEM_MAX 256

typedef struct sl_sink sl_sink;

/* Events of one run, in the order of their numbers, on their way to a sink: read them with sl_sink_batch_next(), as often as needed after a rewind. */
typedef struct sl_sink_batch sl_sink_batch;

/* What became of a batch that was written. Together they are its events. */
typedef struct sl_sink_result {
    uint64_t written;  /* stored now */
    uint64_t repeated; /* were there already */
    uint64_t skipped;  /* of a kind that this sink does not keep */
    uint64_t refused;  /* the sink will never take them: see sl_sink.problem */
} sl_sink_result;

typedef struct sl_sink_driver {
    const char *kind; /* "sqlite" */

    /* Its calls wait for disks or servers without being tasks: they run on a worker thread, one at a time. */
    bool blocking;

    /*
     * Makes the sink ready: opens the file, connects. It may spawn tasks into `scope`, which is left after close(); one
     * of them that fails ends the session, and the outlet opens the sink again. `scope` is NULL when `blocking`. 0 or
     * a code, with a story (sl_fail()); tried again later.
     */
    int (*open)(sl_sink *sink, sl_scope *scope);

    /*
     * Stores all events of the batch. After 0 they are the store's, whatever happens to this process, and `result`
     * tells what became of them. After an error nothing is said of any: the session is closed, and the same events come
     * again in the same order, perhaps in other batches, perhaps in the next life of the program. SL_EINVAL: the store
     * will never take one of them as it is, and the session goes on: smaller batches follow, until it is known which.
     */
    int (*write)(sl_sink *sink, sl_sink_batch *batch, sl_sink_result *result);

    /* Ends what open() began, also when that failed half-way. May be called twice. */
    void (*close)(sl_sink *sink);

    /* Frees the sink, which is closed. Never waits. */
    void (*free)(sl_sink *sink);
} sl_sink_driver;

/* Every driver's state begins with this. */
struct sl_sink {
    const sl_sink_driver *driver;
    char problem[SL_SINK_PROBLEM_MAX]; /* why events were refused, the last one; written by write() */
};

/* Frees a sink that no outlet has taken; NULL is fine. */
void sl_sink_free(sl_sink *sink);
SL_AUTO_DECLARE(sl_sink, sl_sink_free)

/*
 * The batch's next event: 1; 0 at its end; SL_ENOMEM. The event and its levels are borrowed until the next call. What a
 * damaged spool left unreadable is passed over and counted by the outlet.
 */
SL_MUST_CHECK int sl_sink_batch_next(sl_sink_batch *batch, sl_market_event *ret_event, sl_stamp *ret_stamp);

/* The batch from its beginning again. */
void sl_sink_batch_rewind(sl_sink_batch *batch);

/* How many events it has. */
size_t sl_sink_batch_count(const sl_sink_batch *batch);

#ifdef __cplusplus
}
#endif

#endif
