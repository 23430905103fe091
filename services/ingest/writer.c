/* SPDX-License-Identifier: MIT */
/* The writer: takes rows in batches and stores them on a worker thread; the loop never waits for the disk. */
#include <string.h>

#include "ingest/worker.h"
#include "sluice/thread.h"

#define BATCH 256
#define FLUSH_AFTER SL_MILLISECONDS(200)

struct batch {
    sl_worker *worker;
    size_t count;
    bool flush;
    sl_market_event rows[BATCH];
};

static int store(void *arg)
{
    struct batch *batch = arg;
    sl_sqlite *sink = batch->worker->sink;
    int code = sl_sqlite_write(sink, batch->rows, batch->count);
    code = code == 0 && batch->flush ? sl_sqlite_flush(sink) : code;
    return code < 0 ? sl_fail(code, "database: %s", sl_sqlite_problem(sink)) : 0;
}

/* Waits for the first row, then takes what is there. 0, SL_EOF, or SL_ETIMEDOUT when it is quiet. */
static int collect(struct batch *batch)
{
    sl_worker *worker = batch->worker;
    struct sl_select_clause clause = {.kind = SL_SELECT_RECEIVE, .receiver = worker->queue, .item = &batch->rows[0]};
    batch->count = 0;
    int code = sl_select(&clause, 1, FLUSH_AFTER);
    if (code < 0) {
        return code;
    }
    SL_TRY(clause.code);
    for (batch->count = 1; batch->count < BATCH; batch->count++) {
        if (sl_channel_try_receive(worker->queue, &batch->rows[batch->count]) < 0) {
            break;
        }
    }
    return 0;
}

static void free_batch(struct batch *batch)
{
    sl_free(batch);
}

typedef struct batch sl_batch;
SL_AUTO_DECLARE(sl_batch, free_batch)

int sl__worker_write(void *arg)
{
    sl_auto(sl_batch) *batch = sl_calloc(1, sizeof *batch);
    if (batch == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a batch of rows");
    }
    batch->worker = arg;
    int code = 0;
    while (code == 0) {
        code = collect(batch);
        if (code == 0 || code == SL_ETIMEDOUT) {
            batch->flush = code == SL_ETIMEDOUT;
            code = sl_offload(store, batch);
            batch->worker->stats.sink = *sl_sqlite_get_stats(batch->worker->sink);
        }
    }
    return code == SL_EOF ? 0 : code;
}
