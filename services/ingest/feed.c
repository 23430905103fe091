/* SPDX-License-Identifier: MIT */
/*
 * The stream: connect, receive, decode, join with a snapshot, keep the book, pass rows on. It fails when
 * its connection does; its supervisor starts it again.
 */
#include <string.h>

#include "ingest/worker.h"
#include "sluice/supervisor.h"
#include "sluice/ws.h"
#include "venues/binance/binance.h"

#define DEPTH_LIMIT 1000
#define PATH_BYTES 512
#define CONNECT_TIMEOUT SL_SECONDS(10)
#define SNAPSHOT_TIMEOUT SL_SECONDS(10)
#define SNAPSHOT_PAUSE SL_MILLISECONDS(20)

/* One connection. */
struct feed {
    sl_worker *worker;
    sl_binance *decoder;
    sl_scope *scope;
    uint32_t connection;
};

/* ---- rows ---- */

static int give(sl_worker *worker, const sl_market_event *event)
{
    return sl_channel_send(worker->rows, event);
}

static sl_market_event row(const struct feed *feed, sl_event_kind kind, sl_feed channel)
{
    sl_market_event event = {.kind = kind,
                             .venue = SL_VENUE_BINANCE_USDM,
                             .feed = channel,
                             .connection = feed->connection,
                             .receive_time_ns = sl_now_wall()};
    (void)snprintf(event.instrument, sizeof event.instrument, "%s", feed->worker->options.symbol);
    return event;
}

static int give_gap(const struct feed *feed, sl_feed channel, const sl_gap *gap)
{
    sl_market_event event = row(feed, SL_EVENT_GAP, channel);
    event.as.gap = *gap;
    return give(feed->worker, &event);
}

/* News of the book's gap, if there is any: each is told when it begins and when it is healed. */
static int give_book_gap(const struct feed *feed)
{
    sl_worker *worker = feed->worker;
    sl_gap gap;
    if (sl_sequence_take_gap(worker->sequence, &gap) == 0) {
        return 0;
    }
    const sl_sequence_stats *stats = sl_sequence_get_stats(worker->sequence);
    worker->stats.gaps = stats->gaps;
    worker->stats.healed = stats->healed;
    return give_gap(feed, SL_FEED_DEPTH, &gap);
}

static bool same_level(const sl_level *a, const sl_level *b)
{
    return sl_decimal_compare(a->price, b->price) == 0 && sl_decimal_compare(a->quantity, b->quantity) == 0;
}

/* The top of the book, when it is another than the one written last. */
static int give_top(const struct feed *feed, int64_t venue_time_ns)
{
    sl_worker *worker = feed->worker;
    const sl_level *bid = sl_book_best(worker->book, SL_SIDE_BUY);
    const sl_level *ask = sl_book_best(worker->book, SL_SIDE_SELL);
    if (bid == NULL || ask == NULL || (same_level(bid, &worker->top_bid) && same_level(ask, &worker->top_ask))) {
        return 0;
    }
    worker->top_bid = *bid;
    worker->top_ask = *ask;
    worker->stats.tops++;
    sl_market_event event = row(feed, SL_EVENT_BEST, SL_FEED_DEPTH);
    event.venue_time_ns = venue_time_ns;
    event.as.best = (sl_best){sl_sequence_last_id(worker->sequence), *bid, *ask};
    return give(worker, &event);
}

/* ---- the book ---- */

static int apply(struct feed *feed, const sl_market_event *event)
{
    SL_TRY(sl_book_apply(feed->worker->book, &event->as.delta.levels));
    SL_TRY(give_book_gap(feed));
    return give_top(feed, event->venue_time_ns);
}

/* The diffs that were kept while the snapshot was on its way. */
static int apply_kept(struct feed *feed, sl_binance *decoder)
{
    sl_diff diff;
    int action;
    while ((action = sl_sequence_next(feed->worker->sequence, &diff)) == SL_SEQUENCE_APPLY) {
        sl_binance_message message = {diff.raw, diff.size_bytes, SL_JSON_PADDED, diff.receive_time_ns, NULL};
        sl_market_event event;
        SL_TRY(sl_binance_decode(decoder, &message, &event));
        SL_TRY(apply(feed, &event));
    }
    return action < 0 ? action : 0;
}

static int ask_once(struct feed *feed, sl_binance *decoder)
{
    sl_worker *worker = feed->worker;
    char path[PATH_BYTES];
    SL_TRY(sl_binance_depth_path(SL_VENUE_BINANCE_USDM, worker->options.symbol, DEPTH_LIMIT, path, sizeof path));
    sl_auto(sl_http_message) *response = NULL;
    SL_SCOPE(limit, .name = "snapshot", .timeout = SNAPSHOT_TIMEOUT);
    int code = sl_http_get(worker->options.address, worker->options.port, path, &response);
    SL_TRY(sl_scope_close(&limit, code));
    if (sl_http_status(response) != 200) {
        return SL_EAGAIN;
    }
    worker->stats.snapshots++;
    sl_binance_message message = {.receive_time_ns = sl_now_wall(), .instrument = worker->options.symbol};
    message.text = sl_http_body(response, &message.size_bytes);
    sl_market_event event;
    SL_TRY(sl_binance_decode(decoder, &message, &event));
    int action = sl_sequence_snapshot(worker->sequence, event.as.snapshot.last_id);
    if (action != SL_SEQUENCE_APPLY) {
        return action < 0 ? action : 0;
    }
    SL_TRY(sl_book_set(worker->book, &event.as.snapshot.levels));
    SL_TRY(apply_kept(feed, decoder));
    return give_top(feed, event.venue_time_ns);
}

/* Asks for snapshots until one fits; the stream is read on meanwhile. */
static int fetch_snapshot(void *arg)
{
    struct feed *feed = arg;
    sl_worker *worker = feed->worker;
    sl_auto(sl_binance) *decoder = NULL; /* of its own: the stream's is in use */
    SL_TRY(sl_binance_new(&(sl_binance_options){.venue = SL_VENUE_BINANCE_USDM, .connection = feed->connection},
                          &decoder));
    int code = 0;
    while (code == 0 && sl_sequence_wants_snapshot(worker->sequence)) {
        code = ask_once(feed, decoder);
        if (code == SL_EAGAIN || (code == 0 && sl_sequence_wants_snapshot(worker->sequence))) {
            code = sl_sleep(SNAPSHOT_PAUSE);
        }
    }
    worker->fetching = false;
    return code;
}

static int on_diff(struct feed *feed, const sl_market_event *event, const struct sl_ws_message *message)
{
    sl_worker *worker = feed->worker;
    const sl_book_delta *delta = &event->as.delta;
    sl_diff diff = {delta->first_id,        delta->last_id, delta->previous_id,
                    event->receive_time_ns, message->data,  message->size_bytes};
    int action = sl_sequence_diff(worker->sequence, &diff);
    if (action == SL_SEQUENCE_APPLY) {
        return apply(feed, event);
    }
    SL_TRY(action);
    SL_TRY(give_book_gap(feed));
    if (sl_sequence_wants_snapshot(worker->sequence) && !worker->fetching) {
        worker->fetching = true;
        int code = sl_spawn(feed->scope, fetch_snapshot, feed, .name = "snapshot");
        worker->fetching = code == 0;
        return code;
    }
    return 0;
}

/* ---- messages ---- */

static int on_trade(struct feed *feed, const sl_market_event *event)
{
    sl_worker *worker = feed->worker;
    sl_gap gap;
    int action = sl_trade_track_see(&worker->track, event->as.trade.id, event->as.trade.id, &gap);
    SL_TRY(action);
    worker->stats.lost = worker->track.missing;
    worker->stats.repeated = worker->track.repeated;
    worker->stats.trades = worker->track.received;
    if (action == SL_SEQUENCE_IGNORE) {
        return 0;
    }
    if (action == SL_SEQUENCE_GAP) {
        SL_TRY(give_gap(feed, SL_FEED_TRADES, &gap));
    }
    return give(worker, event);
}

static int on_message(struct feed *feed, const struct sl_ws_message *message)
{
    sl_worker *worker = feed->worker;
    worker->stats.messages++;
    worker->stats.bytes += message->size_bytes;
    sl_binance_message raw = {message->data, message->size_bytes, SL_JSON_PADDED, sl_now_wall(), NULL};
    sl_market_event event;
    SL_TRY(sl_binance_decode(feed->decoder, &raw, &event));
    switch (event.kind) {
    case SL_EVENT_TRADE:
        return on_trade(feed, &event);
    case SL_EVENT_BOOK_DELTA:
        return on_diff(feed, &event, message);
    default:
        return 0;
    }
}

static int receive_all(struct feed *feed, sl_ws *ws)
{
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(on_message(feed, &message));
    }
    return code == SL_EOF && sl_ws_close_code(ws) == 1000 ? 0 : code; /* the end of the session */
}

static int connect_stream(const sl_worker *worker, sl_ws **ret_ws)
{
    const sl_binance_stream streams[] = {{.feed = SL_FEED_DEPTH, .symbol = worker->options.symbol},
                                         {.feed = SL_FEED_TRADES, .symbol = worker->options.symbol}};
    char path[PATH_BYTES];
    SL_TRY(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, streams, 2, path, sizeof path));
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "connect", .timeout = CONNECT_TIMEOUT}));
    return sl_scope_close(&limit, sl_ws_connect(worker->options.address, worker->options.port, path, ret_ws));
}

/* One connection, from its start to its end. */
static int follow(sl_worker *worker)
{
    struct feed feed = {.worker = worker, .connection = (uint32_t)++worker->stats.connections};
    sl_auto(sl_binance) *decoder = NULL;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(
        sl_binance_new(&(sl_binance_options){.venue = SL_VENUE_BINANCE_USDM, .connection = feed.connection}, &decoder));
    SL_TRY(connect_stream(worker, &ws));
    SL_TRY(sl_healthy());
    feed.decoder = decoder;
    worker->fetching = false;
    SL_SCOPE(scope, .name = "stream", .move_on = true);
    feed.scope = &scope;
    int code = receive_all(&feed, ws);
    if (code < 0) {
        sl_sequence_lost(worker->sequence);
    } else { /* a snapshot on its way may still heal the book, but not for ever */
        (void)sl_scope_set_deadline(&scope, sl_time_add(sl_now(), SNAPSHOT_TIMEOUT));
    }
    return sl_scope_close(&scope, code);
}

/* The supervised child. Its failures are not the end, but they are told. */
static int stream(void *arg)
{
    sl_worker *worker = arg;
    int code = follow(worker);
    if (code < 0 && code != SL_ECANCELED) {
        const sl_error *error = sl_error_last();
        while (sl_error_count(error) > 0) {
            error = sl_error_at(error, 0);
        }
        worker->stats.failures++;
        (void)snprintf(worker->problem, sizeof worker->problem, "%s",
                       error == NULL || *sl_error_message(error) == '\0' ? sl_strerror(code) : sl_error_message(error));
    }
    return code;
}

/* A stop request ends the stream at once: what is not read yet will come again, or is a gap. */
static int stop_on_request(void *arg)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(arg, SL_CAUSE_STOP, "stopped");
    return 0;
}

int sl__worker_feed(void *arg)
{
    SL_SCOPE(scope, .name = "feed", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
    SL_TRY(sl_spawn(&scope, stop_on_request, &scope, .daemon = true));
    SL_TRY(sl_spawn(&scope, stream, arg, .id = "stream", .restart = SL_ON_FAILURE,
                    .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(2)}));
    return sl_scope_wait(&scope);
}
