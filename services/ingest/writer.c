/* SPDX-License-Identifier: MIT */
/*
 * The writer: takes rows in batches and stores each in a transaction of its own, on a worker thread; the loop
 * never waits for the disk. A batch is kept until it is committed: while another process holds the database,
 * it is tried again.
 */
#include <string.h>

#include "ingest/worker.h"
#include "sluice/thread.h"

#define BATCH SL_SQLITE_BATCH_DEFAULT
#define BUSY_PAUSE SL_MILLISECONDS(100)

struct batch {
    sl_worker *worker;
    size_t count;
    sl_market_event rows[BATCH];
};

static int store(void *arg)
{
    struct batch *batch = arg;
    sl_sqlite *sink = batch->worker->sink;
    int code = sl_sqlite_write(sink, batch->rows, batch->count);
    code = code == 0 ? sl_sqlite_flush(sink) : code;
    return code < 0 ? sl_fail(code, "database: %s", sl_sqlite_problem(sink)) : 0;
}

static int store_in_the_end(struct batch *batch)
{
    sl_worker *worker = batch->worker;
    for (;;) {
        int code = sl_offload(store, batch);
        worker->stats.sink = *sl_sqlite_get_stats(worker->sink);
        for (size_t i = 0; code == 0 && i < batch->count; i++) {
            sl_histogram_record(&worker->latency, sl_now_wall() - batch->rows[i].receive_time_ns);
        }
        if (code != SL_EBUSY) {
            return code;
        }
        sl__worker_note(worker, "", code);
        SL_TRY(sl_sleep(BUSY_PAUSE));
    }
}

/* Waits for a row, then for more until there are enough or it is time to commit. SL_EOF when none are left. */
static int collect(struct batch *batch)
{
    sl_receiver *queue = batch->worker->queue;
    batch->count = 0;
    SL_TRY(sl_channel_receive(queue, &batch->rows[0]));
    sl_time deadline = sl_time_add(sl_now(), SL_WORKER_COMMIT_AFTER);
    for (batch->count = 1; batch->count < BATCH; batch->count++) {
        sl_market_event *row = &batch->rows[batch->count];
        if (sl_channel_try_receive(queue, row) == 0) {
            continue;
        }
        sl_time left = deadline - sl_now();
        struct sl_select_clause clause = {.kind = SL_SELECT_RECEIVE, .receiver = queue, .item = row};
        int code = left <= 0 ? SL_ETIMEDOUT : sl_select(&clause, 1, left);
        if (code == SL_ETIMEDOUT || (code >= 0 && clause.code < 0)) {
            return 0; /* the end is told when these are stored */
        }
        SL_TRY(code);
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
    int code;
    while ((code = collect(batch)) == 0) {
        SL_TRY(store_in_the_end(batch));
    }
    return code == SL_EOF ? 0 : code;
}
