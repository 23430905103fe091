/* SPDX-License-Identifier: MIT */
/* The worker as a whole: what is held, in which order things end, and the report. */
#include "ingest/worker.h"

#include <inttypes.h>
#include <string.h>

#include "sluice/lock.h"
#include "sluice/log_record.h"
#include "sluice/thread.h"
#include "venues/venue.h"

#define CLOSE_BUDGET SL_SECONDS(10)

/* How long one attempt waits for another process that holds the database; the writer makes more of them. */
#define BUSY_TIMEOUT_MS 1000

/* After this long it is told that the lock is waited for. */
#define LOCK_PATIENCE SL_MILLISECONDS(500)

#define KEY_BYTES 128

int sl__worker_cancel_on_stop(void *scope)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(scope, SL_CAUSE_STOP, "stopped");
    return 0;
}

void sl__worker_note(sl_worker *worker, const char *what, int code)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    worker->stats.problems++;
    (void)snprintf(worker->problem, sizeof worker->problem, "%s%s", what,
                   error == NULL || *sl_error_message(error) == '\0' ? sl_strerror(code) : sl_error_message(error));
    sl_log_with(SL_LOG_INFO, "worker: a problem", sl_field_text("symbol", worker->options.symbol),
                sl_field_text("problem", worker->problem), sl_field_code("code", code));
}

/* ---- the lock ---- */

static int tell_waiting(void *arg)
{
    SL_TRY(sl_sleep(LOCK_PATIENCE));
    int code = sl__worker_say("waiting for the lock %s\n", (const char *)arg);
    return code == SL_ECANCELED ? code : 0;
}

/* 0, or 1 when a stop was asked for first: waiting is no work that has to be finished. */
static int hold_lock(sl_worker *worker, sl_scope *scope)
{
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof key, "sluice:worker:%s", worker->options.symbol);
    sl_scope wait = SL_SCOPE_INIT;
    sl_redis *redis = NULL;
    const struct sl_redis_options options = {.url = worker->options.redis, .name = "sluice-worker"};
    SL_TRY(sl_redis_open(scope, &options, &redis));
    SL_TRY(sl_scope_open(&wait, &(struct sl_scope_options){.name = "lock"}));
    int code = sl_spawn(&wait, sl__worker_cancel_on_stop, &wait, .daemon = true);
    if (code == 0 && !worker->options.quiet) {
        code = sl_spawn(&wait, tell_waiting, key, .daemon = true);
    }
    if (code == 0) {
        code = sl_redis_lock(scope, redis, key, .ttl = worker->options.lock_ttl);
    }
    bool stopped = code == SL_ECANCELED;
    code = sl_scope_close(&wait, code);
    return code == 0 && stopped ? 1 : code;
}

/* ---- the database ---- */

struct opening {
    sl_worker *worker;
    char problem[SL_SQLITE_PROBLEM_MAX];
};

static int open_sink(void *arg)
{
    struct opening *opening = arg;
    sl_sqlite_options options = {.path = opening->worker->options.database, .busy_timeout_ms = BUSY_TIMEOUT_MS};
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

/* ---- the whole ---- */

static int make_policy(sl_worker *worker)
{
    const sl_venue_driver *driver = sl_venue_driver_of(SL_VENUE_BINANCE_USDM);
    struct sl_limiter_options limits = {.name = driver->title, .rates = driver->rates};
    limits.dialect = driver->limit_dialect == NULL ? NULL : sl_limit_dialect_find(driver->limit_dialect);
    while (limits.rate_count < SL_VENUE_RATES_MAX && driver->rates[limits.rate_count].count > 0) {
        limits.rate_count++;
    }
    SL_TRY(sl_limiter_create(&limits, &worker->limiter));
    struct sl_policy_options options = {
        .name = driver->title, .retry = {.attempts = 1}, .no_breaker = true, .limiters = {worker->limiter}};
    return sl_policy_create(&options, &worker->policy);
}

static int make_state(sl_worker *worker)
{
    struct sl_channel_options rows = {
        .capacity = SL_WORKER_QUEUE, .item_bytes = sizeof(sl_market_event), .name = "rows"};
    sl_sequence_options rule = {.rule = SL_BOOK_RULE_BINANCE_FUTURES};
    sl_instrument instrument = {.venue = SL_VENUE_BINANCE_USDM, .type = SL_INSTRUMENT_PERPETUAL};
    (void)snprintf(instrument.symbol, sizeof instrument.symbol, "%s", worker->options.symbol);
    SL_TRY(sl_instruments_new(1, &worker->instruments));
    SL_TRY(sl_instruments_add(worker->instruments, &instrument, &worker->instrument));
    SL_TRY(make_policy(worker));
    SL_TRY(sl_book_new(0, &worker->book));
    SL_TRY(sl_sequence_new(&rule, &worker->sequence));
    return sl_channel_open(&rows, &worker->rows, &worker->queue);
}

void sl_worker_done(sl_worker *worker)
{
    sl_policy_free(worker->policy);
    sl_limiter_free(worker->limiter);
    sl_instruments_free(worker->instruments);
    sl_book_free(worker->book);
    sl_sequence_free(worker->sequence);
    (void)sl_sender_free(worker->rows);
    (void)sl_receiver_free(worker->queue);
}

/*
 * On every way out: the stream ends first, then the writer has stored what is queued, then the database
 * is closed, and last the lock is given back.
 */
static int run(sl_worker *worker)
{
    SL_SCOPE(scope, .name = "worker");
    worker->scope = &scope;
    int code = worker->options.redis == NULL ? 0 : hold_lock(worker, &scope);
    if (code != 0) {
        return sl_scope_close(&scope, code < 0 ? code : 0);
    }
    SL_TRY(hold_sink(worker, &scope));
    SL_TRY(sl_spawn(&scope, sl__worker_write, worker, .name = "writer"));
    if (!worker->options.quiet) {
        SL_TRY(sl_spawn(&scope, sl__worker_status, worker, .name = "status", .daemon = true));
    }
    code = sl__worker_feed(worker);
    sl_sender_close(worker->rows);
    return sl_scope_close(&scope, code);
}

int sl_worker_run(sl_worker *worker)
{
    SL_TRY(make_state(worker));
    SL_TRY(run(worker));
    return worker->unheard ? sl_fail(SL_EPIPE, "standard output was closed") : 0;
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
    if (stats->problems > 0) {
        (void)fprintf(out, "failures   %" PRIu64 " of the stream, %" PRIu64 " of snapshots; the last: %s\n",
                      stats->failures, stats->snapshot_failures, worker->problem);
    }
    (void)fprintf(out, "written    %" PRIu64 " rows; %" PRIu64 " repeats ignored\n", stats->sink.written,
                  stats->sink.repeated + stats->repeated);
    uint64_t stored = stats->sink.written + stats->sink.repeated;
    if (stats->rows > stored) {
        (void)fprintf(out, "unwritten  %" PRIu64 " rows that were received\n", stats->rows - stored);
    }
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
