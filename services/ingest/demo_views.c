/* SPDX-License-Identifier: MIT */
/* What the dashboard shows of the demo's worker: its views, metrics and actions, filled from the worker's counters. */
#include "ingest/demo_views.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/tap.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define FEED_BYTES 48
#define PERIOD SL_SECONDS(1)
#define STALE_AFTER_NS SL_SECONDS(5)

/* A histogram's last period. */
struct recent {
    struct sl_histogram before;
    sl_time since;
    double p50, p99, max;
};

struct sl_demo_views {
    sl_board *board;
    sl_worker *worker; /* NULL: none yet, or none any more */
    struct recent lag, latency;
    sl_tap tap;
};

/* ---- writing JSON ---- */

static void put_uint(sl_json_writer *out, const char *key, uint64_t value)
{
    sl_json_put_key(out, key);
    sl_json_put_uint64(out, value);
}

static void put_text(sl_json_writer *out, const char *key, const char *value)
{
    sl_json_put_key(out, key);
    if (value != NULL && !sl_utf8_valid(value, strlen(value))) {
        value = "(not UTF-8)";
    }
    sl_json_put_text(out, value);
}

static void put_real(sl_json_writer *out, const char *key, double value)
{
    sl_json_put_key(out, key);
    sl_json_put_double(out, value);
}

/* Nothing of what was never measured. */
static void put_recent(sl_json_writer *out, const char *key, struct recent *recent, const struct sl_histogram *now)
{
    sl_time time = sl_now();
    if (sl_histogram_count(now) == 0) {
        return;
    }
    if (time - recent->since >= PERIOD) {
        struct sl_histogram last;
        sl_histogram_since(now, &recent->before, &last);
        recent->p50 = (double)sl_histogram_quantile(&last, 0.5) / 1e9;
        recent->p99 = (double)sl_histogram_quantile(&last, 0.99) / 1e9;
        recent->max = (double)sl_histogram_quantile(&last, 1) / 1e9;
        recent->before = *now;
        recent->since = time;
    }
    sl_json_put_key(out, key);
    sl_json_begin_object(out);
    put_real(out, "p50", recent->p50);
    put_real(out, "p99", recent->p99);
    put_real(out, "max", recent->max);
    sl_json_end_object(out);
}

static void put_price(sl_json_writer *out, const char *key, const sl_level *level)
{
    char text[SL_DECIMAL_TEXT_MAX];
    if (level != NULL) {
        (void)sl_decimal_format(level->price, SL_DECIMAL_SCALED, text);
        put_text(out, key, text);
    }
}

/* ---- the worker's feed ---- */

static void feed_id(const sl_worker *worker, char id[FEED_BYTES])
{
    (void)snprintf(id, FEED_BYTES, "binance-usdm:%s", worker->options.symbol);
}

/* Its state, and why it is not "ok". */
static const char *feed_state(const sl_worker *worker, const char **ret_reason)
{
    *ret_reason = "";
    if (worker->paused) {
        return "paused";
    }
    if (worker->last_message_ns == 0 || worker->sequence == NULL) {
        *ret_reason = "no message yet";
        return "waiting";
    }
    if (sl_now_wall() - worker->last_message_ns > STALE_AFTER_NS) {
        *ret_reason = "no message for 5 s";
        return "stale";
    }
    if (sl_sequence_get_state(worker->sequence) != SL_SEQUENCE_JOINED) {
        *ret_reason = "the book waits for a snapshot";
        return "degraded";
    }
    return "ok";
}

static void put_feed(struct sl_demo_views *views, const sl_worker *worker, sl_json_writer *out)
{
    const struct sl_worker_stats *stats = &worker->stats;
    const char *reason;
    const char *state = feed_state(worker, &reason);
    char id[FEED_BYTES];
    feed_id(worker, id);
    sl_json_begin_object(out);
    put_text(out, "id", id);
    put_text(out, "service", "demo");
    put_text(out, "venue", "binance-usdm");
    put_text(out, "instrument", worker->options.symbol);
    sl_json_put_key(out, "channels");
    sl_json_begin_array(out);
    sl_json_put_text(out, "trades");
    sl_json_put_text(out, "book");
    sl_json_end_array(out);
    put_text(out, "state", state);
    put_text(out, "reason", reason);
    put_uint(out, "messages", stats->messages);
    put_uint(out, "bytes", stats->bytes);
    put_uint(out, "trades", stats->trades);
    put_uint(out, "gaps", stats->gaps);
    put_uint(out, "healed", stats->healed);
    put_uint(out, "lost", stats->lost);
    put_uint(out, "resyncs", stats->snapshots);
    put_uint(out, "reconnects", stats->connections > 0 ? stats->connections - 1 : 0);
    sl_json_put_key(out, "age_seconds");
    if (worker->last_message_ns == 0) {
        sl_json_put_null(out);
    } else {
        sl_json_put_double(out, (double)(sl_now_wall() - worker->last_message_ns) / 1e9);
    }
    put_recent(out, "lag_seconds", &views->lag, &worker->lag);
    put_recent(out, "latency_seconds", &views->latency, &worker->latency);
    if (worker->book != NULL) {
        put_price(out, "bid", sl_book_best(worker->book, SL_SIDE_BUY));
        put_price(out, "ask", sl_book_best(worker->book, SL_SIDE_SELL));
    }
    sl_json_end_object(out);
}

static void view_feeds(void *arg, sl_json_writer *out)
{
    struct sl_demo_views *views = arg;
    sl_json_begin_object(out);
    put_uint(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    sl_json_put_key(out, "feeds");
    sl_json_begin_array(out);
    if (views->worker != NULL) {
        put_feed(views, views->worker, out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

static void view_sinks(void *arg, sl_json_writer *out)
{
    const struct sl_demo_views *views = arg;
    const sl_worker *worker = views->worker;
    sl_json_begin_object(out);
    sl_json_put_key(out, "sinks");
    sl_json_begin_array(out);
    if (worker != NULL) {
        const struct sl_worker_stats *stats = &worker->stats;
        sl_json_begin_object(out);
        put_text(out, "id", worker->options.database);
        put_text(out, "kind", "sqlite");
        put_text(out, "state", worker->sink == NULL ? "waiting" : "ok");
        put_uint(out, "written", stats->sink.written);
        put_uint(out, "repeated", stats->sink.repeated);
        put_uint(out, "dropped", 0);
        put_uint(out, "queued", stats->rows - stats->sink.written - stats->sink.repeated);
        put_uint(out, "queue_capacity", SL_WORKER_QUEUE);
        put_uint(out, "commits", stats->sink.commits);
        put_uint(out, "retries", stats->sink.undone);
        put_uint(out, "spool_bytes", 0);
        sl_json_end_object(out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

static void put_gap(const sl_worker *worker, const struct sl_worker_gap *gap, sl_json_writer *out)
{
    char id[FEED_BYTES];
    feed_id(worker, id);
    sl_json_begin_object(out);
    put_text(out, "feed", id);
    put_uint(out, "time_ms", (uint64_t)(gap->seen_ns / SL_MILLISECONDS(1)));
    put_text(out, "channel", gap->channel == SL_FEED_TRADES ? "trades" : "book");
    sl_json_put_key(out, "from_id");
    sl_json_put_int64(out, gap->gap.from_id);
    if (gap->gap.to_id != 0) {
        sl_json_put_key(out, "to_id");
        sl_json_put_int64(out, gap->gap.to_id);
    }
    sl_json_put_key(out, "healed");
    sl_json_put_text(out, gap->healed_ns == 0 ? NULL : "snapshot");
    sl_json_put_key(out, "duration_seconds");
    if (gap->healed_ns == 0) {
        sl_json_put_null(out);
    } else {
        sl_json_put_double(out, (double)(gap->healed_ns - gap->seen_ns) / 1e9);
    }
    sl_json_end_object(out);
}

static void view_gaps(void *arg, sl_json_writer *out)
{
    const struct sl_demo_views *views = arg;
    const sl_worker *worker = views->worker;
    uint64_t told = worker == NULL ? 0 : worker->gaps_told;
    sl_json_begin_object(out);
    put_uint(out, "total", told);
    sl_json_put_key(out, "gaps");
    sl_json_begin_array(out);
    for (uint64_t i = 0; i < told && i < SL_WORKER_GAPS; i++) {
        put_gap(worker, &worker->recent_gaps[(told - 1 - i) % SL_WORKER_GAPS], out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

/* The demo has no limiter and no breaker. */
static void view_limits(void *arg, sl_json_writer *out)
{
    (void)arg;
    sl_json_begin_object(out);
    sl_json_put_key(out, "limits");
    sl_json_begin_array(out);
    sl_json_end_array(out);
    sl_json_put_key(out, "breakers");
    sl_json_begin_array(out);
    sl_json_end_array(out);
    sl_json_end_object(out);
}

/* One replica, one partition. */
static void view_partitions(void *arg, sl_json_writer *out)
{
    const struct sl_demo_views *views = arg;
    char replica[80];
    if (gethostname(replica, sizeof replica) != 0) {
        (void)snprintf(replica, sizeof replica, "this");
    }
    replica[sizeof replica - 1] = '\0';
    sl_json_begin_object(out);
    put_text(out, "backend", "local");
    put_text(out, "replica", replica);
    sl_json_put_key(out, "replicas");
    sl_json_begin_array(out);
    sl_json_begin_object(out);
    put_text(out, "id", replica);
    put_uint(out, "partitions", 1);
    sl_json_end_object(out);
    sl_json_end_array(out);
    sl_json_put_key(out, "partitions");
    sl_json_begin_array(out);
    sl_json_begin_object(out);
    put_uint(out, "id", 0);
    put_text(out, "owner", replica);
    put_uint(out, "instruments", views->worker == NULL ? 0 : 1);
    sl_json_end_object(out);
    sl_json_end_array(out);
    sl_json_end_object(out);
}

/* ---- metrics ---- */

static void collect(void *arg, sl_scrape *scrape)
{
    const struct sl_demo_views *views = arg;
    const sl_worker *worker = views->worker;
    if (worker == NULL) {
        return;
    }
    const struct sl_worker_stats *stats = &worker->stats;
    const struct sl_label *labels =
        SL_LABELS({"venue", "binance-usdm"}, {"instrument", worker->options.symbol}, {"service", "demo"});
    const struct sl_label *sink = SL_LABELS({"sink", "sqlite"});
    const struct {
        const char *name, *help;
        const struct sl_label *labels;
        uint64_t value;
    } counters[] = {
        {"sluice_feed_messages_total", "Messages received.", labels, stats->messages},
        {"sluice_feed_received_bytes_total", "Bytes of the messages received.", labels, stats->bytes},
        {"sluice_feed_trades_total", "Trades received.", labels, stats->trades},
        {"sluice_feed_gaps_total", "Gaps seen in the book.", labels, stats->gaps},
        {"sluice_feed_gaps_healed_total", "Gaps that a snapshot healed.", labels, stats->healed},
        {"sluice_feed_lost_trades_total", "Trades that never came.", labels, stats->lost},
        {"sluice_feed_connections_total", "Connections opened.", labels, stats->connections},
        {"sluice_feed_failures_total", "Connections that failed.", labels, stats->failures},
        {"sluice_feed_snapshots_total", "Snapshots received.", labels, stats->snapshots},
        {"sluice_sink_rows_total", "Rows written and committed.", sink, stats->sink.written},
        {"sluice_sink_repeats_total", "Rows that were there already.", sink, stats->sink.repeated},
        {"sluice_sink_commits_total", "Transactions committed.", sink, stats->sink.commits},
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        sl_scrape_counter(scrape, counters[i].name, counters[i].help, counters[i].labels, counters[i].value);
    }
    if (worker->last_message_ns != 0) {
        sl_scrape_gauge(scrape, "sluice_feed_age_seconds", "Since the last message.", labels,
                        (double)(sl_now_wall() - worker->last_message_ns) / 1e9);
    }
    sl_scrape_histogram(scrape, "sluice_feed_lag_seconds", "From the venue's sending to our receiving.", labels,
                        &worker->lag);
    sl_scrape_histogram(scrape, "sluice_feed_latency_seconds", "From receiving to the commit in the sink.", labels,
                        &worker->latency);
    sl_scrape_gauge(scrape, "sluice_sink_queued_rows", "Rows that wait to be written.", sink,
                    (double)(stats->rows - stats->sink.written - stats->sink.repeated));
}

/* ---- actions ---- */

/* The worker of the feed that the request names. */
static int worker_of(const struct sl_demo_views *views, const sl_admin_request *request, sl_worker **ret_worker)
{
    char wanted[FEED_BYTES];
    char id[FEED_BYTES];
    int code = sl_admin_param(request, "feed", wanted, sizeof wanted);
    if (code < 0) {
        return code == SL_ENOENT ? sl_fail(SL_EINVAL, "which feed? {\"feed\": ID}") : code;
    }
    if (views->worker == NULL || views->worker->feed_scope == NULL) {
        return sl_fail(SL_ENOENT, "no feed runs");
    }
    feed_id(views->worker, id);
    if (strcmp(wanted, id) != 0) {
        return sl_fail(SL_ENOENT, "there is no feed '%s'", wanted);
    }
    *ret_worker = views->worker;
    return 0;
}

static int restart(sl_worker *worker)
{
    sl_sequence_lost(worker->sequence); /* what passes meanwhile is missed */
    return sl_child_restart(worker->feed_scope, "stream");
}

static int act_pause(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    sl_worker *worker = NULL;
    SL_TRY(worker_of(arg, request, &worker));
    if (worker->paused) {
        return sl_fail(SL_EALREADY, "it is paused already");
    }
    worker->paused = true;
    return restart(worker);
}

static int act_resume(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    sl_worker *worker = NULL;
    SL_TRY(worker_of(arg, request, &worker));
    if (!worker->paused) {
        return sl_fail(SL_EALREADY, "it is not paused");
    }
    worker->paused = false;
    return 0;
}

static int act_resync(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    sl_worker *worker = NULL;
    SL_TRY(worker_of(arg, request, &worker));
    sl_sequence_lost(worker->sequence); /* the next diff asks for a snapshot */
    return 0;
}

static int act_restart(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    sl_worker *worker = NULL;
    SL_TRY(worker_of(arg, request, &worker));
    return restart(worker);
}

static int act_drain(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    const struct sl_demo_views *views = arg;
    (void)request;
    (void)out;
    if (views->worker == NULL || views->worker->scope == NULL) {
        return sl_fail(SL_ENOENT, "nothing runs");
    }
    sl_admin_drain(sl_board_admin(views->board));
    return sl_scope_stop(views->worker->scope, SL_GRACE);
}

static bool check_feed(void *arg, char *reason, size_t room)
{
    const struct sl_demo_views *views = arg;
    const char *why = "no feed runs";
    const char *state = views->worker == NULL ? "down" : feed_state(views->worker, &why);
    (void)snprintf(reason, room, "%s: %s", state, why);
    return strcmp(state, "down") != 0 && strcmp(state, "waiting") != 0;
}

/* ---- life ---- */

int sl_demo_views_open(sl_board *board, sl_demo_views **ret_views)
{
    sl_demo_views *views = sl_calloc(1, sizeof *views);
    if (views == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the views of the demo");
    }
    sl_admin *admin = sl_board_admin(board);
    const struct {
        const char *path;
        sl_admin_view_fn view;
    } shown[] = {{"/api/feeds", view_feeds},
                 {"/api/sinks", view_sinks},
                 {"/api/gaps", view_gaps},
                 {"/api/limits", view_limits},
                 {"/api/partitions", view_partitions}};
    const struct {
        const char *path;
        sl_admin_action_fn action;
    } taken[] = {{"/api/ctl/pause", act_pause},
                 {"/api/ctl/resume", act_resume},
                 {"/api/ctl/resync", act_resync},
                 {"/api/ctl/restart", act_restart},
                 {"/api/ctl/drain", act_drain}};
    int code = sl_metrics_add(sl_board_metrics(board), collect, views);
    for (size_t i = 0; code == 0 && i < sizeof shown / sizeof shown[0]; i++) {
        code = sl_admin_add(admin, shown[i].path, shown[i].view, views);
    }
    for (size_t i = 0; code == 0 && i < sizeof taken / sizeof taken[0]; i++) {
        code = sl_admin_add_action(admin, taken[i].path, taken[i].action, views);
    }
    code = code == 0 ? sl_admin_add_handler(admin, "/api/tap", sl_tap_serve, &views->tap) : code;
    code = code == 0 ? sl_admin_add_check(admin, "feeds", check_feed, views) : code;
    views->board = board;
    *ret_views = views;
    return code;
}

struct sl_tap *sl_demo_views_tap(sl_demo_views *views)
{
    return &views->tap;
}

void sl_demo_views_free(sl_demo_views *views)
{
    sl_free(views);
}

void sl_demo_views_show(sl_demo_views *views, sl_worker *worker)
{
    views->worker = worker;
    memset(&views->lag, 0, sizeof views->lag);
    memset(&views->latency, 0, sizeof views->latency);
    if (worker != NULL) {
        sl_admin_started(sl_board_admin(views->board));
    }
}
