/* SPDX-License-Identifier: MIT */
/* The worker as a whole: what is held, in which order things end, and the report. */
#include "ingest/worker.h"

#include <inttypes.h>
#include <string.h>

#include "sluice/lock.h"
#include "sluice/thread.h"

#define CLOSE_BUDGET SL_SECONDS(10)

struct opening {
    sl_worker *worker;
    char problem[SL_SQLITE_PROBLEM_MAX];
};

static int open_sink(void *arg)
{
    struct opening *opening = arg;
    sl_sqlite_options options = {.path = opening->worker->options.database};
    return sl_sqlite_open(&options, &opening->worker->sink, opening->problem);
}

static int close_sink(void *arg)
{
    sl_worker *worker = arg;
    int code = sl_sqlite_flush(worker->sink);
    worker->stats.sink = *sl_sqlite_get_stats(worker->sink);
    sl_sqlite_close(worker->sink);
    worker->sink = NULL;
    return code;
}

/* The scope's cleanup: the disk may take its time, on a thread of its own. */
static int close_sink_off_loop(void *arg)
{
    return sl_offload(close_sink, arg);
}

static int hold_sink(sl_worker *worker, sl_scope *scope)
{
    sl_cleanup *cleanup = NULL;
    SL_TRY(sl_cleanup_reserve(scope, &cleanup));
    struct opening opening = {.worker = worker};
    int code = sl_offload(open_sink, &opening);
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
        return code == SL_ECANCELED ? code
                                    : sl_fail(code, "database '%s': %s", worker->options.database, opening.problem);
    }
    return sl_cleanup_arm(cleanup, close_sink_off_loop, worker, CLOSE_BUDGET);
}

static int make_state(sl_worker *worker)
{
    struct sl_channel_options rows = {
        .capacity = SL_WORKER_QUEUE, .item_bytes = sizeof(sl_market_event), .name = "rows"};
    sl_sequence_options rule = {.rule = SL_SEQUENCE_BINANCE_FUTURES};
    SL_TRY(sl_book_new(0, &worker->book));
    SL_TRY(sl_sequence_new(&rule, &worker->sequence));
    return sl_channel_open(&rows, &worker->rows, &worker->queue);
}

void sl_worker_done(sl_worker *worker)
{
    sl_book_free(worker->book);
    sl_sequence_free(worker->sequence);
    (void)sl_sender_free(worker->rows);
    (void)sl_receiver_free(worker->queue);
}

/*
 * On every way out: the stream ends first, then the writer has stored what is queued, then the database
 * is closed, and last the lock is given back.
 */
int sl_worker_run(sl_worker *worker)
{
    SL_TRY(make_state(worker));
    SL_SCOPE(scope, .name = "worker");
    if (worker->options.redis != NULL) {
        char key[128];
        (void)snprintf(key, sizeof key, "sluice:worker:%s", worker->options.symbol);
        SL_TRY(sl_redis_lock(&scope, worker->options.redis, key, .ttl = worker->options.lock_ttl));
    }
    SL_TRY(hold_sink(worker, &scope));
    SL_TRY(sl_spawn(&scope, sl__worker_write, worker, .name = "writer"));
    if (!worker->options.quiet) {
        SL_TRY(sl_spawn(&scope, sl__worker_status, worker, .name = "status", .daemon = true));
    }
    int code = sl__worker_feed(worker);
    sl_sender_close(worker->rows);
    return sl_scope_close(&scope, code);
}

static void print_level(FILE *out, const char *side, const sl_level *level)
{
    char price[SL_DECIMAL_TEXT_MAX] = "none";
    char quantity[SL_DECIMAL_TEXT_MAX] = "";
    if (level != NULL) {
        (void)sl_decimal_format(level->price, SL_DECIMAL_SCALED, price);
        (void)sl_decimal_format(level->quantity, SL_DECIMAL_SCALED, quantity);
    }
    (void)fprintf(out, " %s %s x %s", side, price, quantity);
}

void sl_worker_report(const sl_worker *worker, FILE *out)
{
    const struct sl_worker_stats *stats = &worker->stats;
    (void)fprintf(
        out, "received   %" PRIu64 " messages, %" PRIu64 " trades, %" PRIu64 " connections, %" PRIu64 " snapshots\n",
        stats->messages, stats->trades, stats->connections, stats->snapshots);
    if (stats->failures > 0) {
        (void)fprintf(out, "failures   %" PRIu64 " of the stream, the last: %s\n", stats->failures, worker->problem);
    }
    (void)fprintf(out, "written    %" PRIu64 " rows; %" PRIu64 " repeats ignored\n", stats->sink.written,
                  stats->sink.repeated + stats->repeated);
    (void)fprintf(out, "lost       %" PRIu64 " trades\n", stats->lost);
    (void)fprintf(out, "gaps       %" PRIu64 " in the book, %" PRIu64 " healed\n", stats->gaps, stats->healed);
    if (worker->book != NULL) {
        (void)fprintf(out, "book       %zu bids, %zu asks,", sl_book_count(worker->book, SL_SIDE_BUY),
                      sl_book_count(worker->book, SL_SIDE_SELL));
        print_level(out, "bid", sl_book_best(worker->book, SL_SIDE_BUY));
        print_level(out, "ask", sl_book_best(worker->book, SL_SIDE_SELL));
        (void)fprintf(out, "\n");
    }
}
