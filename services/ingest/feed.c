/* SPDX-License-Identifier: MIT */
/*
 * The stream: connect, receive, decode, join with a snapshot, keep the book, pass rows on. It fails when
 * its connection does; its supervisor starts it again.
 */
#include <string.h>

#include "ingest/worker.h"
#include "sluice/fetch.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"
#include "sluice/ws.h"
#include "venues/binance/binance.h"

#define DEPTH_LIMIT 1000
#define CHECK_LIMIT 5
#define PATH_BYTES 512
#define URL_BYTES (PATH_BYTES + 256)
#define CONNECT_TIMEOUT SL_SECONDS(10)
#define SNAPSHOT_TIMEOUT SL_SECONDS(10)

/* How long a gap may wait for room among the rows, though the stream is being stopped. */
#define GAP_BUDGET SL_SECONDS(1)

/* Between two requests for a snapshot. */
static const struct sl_backoff snapshot_backoff = {.initial = SL_MILLISECONDS(20), .max = SL_SECONDS(2)};

/* One connection. */
struct feed {
    sl_worker *worker;
    sl_binance *decoder;
    sl_http_client *http;
    sl_scope *scope;
    uint32_t connection;
    bool reading; /* waits for a message, not for the writer */
};

/* ---- rows ---- */

static int give(sl_worker *worker, const sl_market_event *event)
{
    SL_TRY(sl_channel_send(worker->rows, event));
    worker->stats.rows++;
    return 0;
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

/* A gap is told in any case: the writer ends after the stream. */
static int give_gap(const struct feed *feed, sl_feed channel, const sl_gap *gap)
{
    sl_market_event event = row(feed, SL_EVENT_GAP, channel);
    event.as.gap = *gap;
    SL_SCOPE(shield, .name = "gap", .shield = true, .timeout = GAP_BUDGET);
    int code = give(feed->worker, &event);
    return sl_scope_close(&shield, code);
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
    sl_market_event event = row(feed, SL_EVENT_BEST, SL_FEED_DEPTH);
    event.venue_time_ns = venue_time_ns;
    event.as.best = (sl_best){sl_sequence_last_id(worker->sequence), *bid, *ask};
    SL_TRY(give(worker, &event));
    worker->top_bid = event.as.best.bid;
    worker->top_ask = event.as.best.ask;
    worker->stats.tops++;
    return 0;
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

/* "http://address:port/path" */
static void make_url(const sl_worker *worker, const char *scheme, const char *path, char url[URL_BYTES])
{
    bool bare_ipv6 = strchr(worker->options.address, ':') != NULL;
    (void)snprintf(url, URL_BYTES, bare_ipv6 ? "%s://[%s]:%d%s" : "%s://%s:%d%s", scheme, worker->options.address,
                   worker->options.port, path);
}

/* What the venue says instead of a snapshot. That it has no such symbol will not change: the worker is to end. */
static int explain(struct feed *feed, sl_binance *decoder, const sl_response *response)
{
    sl_worker *worker = feed->worker;
    sl_binance_message message = {.receive_time_ns = sl_now_wall()};
    message.text = sl_response_body(response, &message.size_bytes);
    sl_market_event event;
    bool told = sl_binance_decode(decoder, &message, &event) < 0 && sl_binance_error(decoder) != 0;
    worker->refused = sl_binance_error(decoder) == SL_BINANCE_NO_SYMBOL;
    return sl_fail(worker->refused ? SL_EINVAL : SL_EAGAIN, "%s: HTTP status %d%s%s", worker->options.symbol,
                   sl_response_status(response), told ? ", " : "", told ? sl_binance_problem(decoder) : "");
}

static int ask(struct feed *feed, sl_binance *decoder, int limit, sl_response **ret_response)
{
    const sl_worker *worker = feed->worker;
    char path[PATH_BYTES];
    char url[URL_BYTES];
    SL_TRY(sl_binance_depth_path(SL_VENUE_BINANCE_USDM, worker->options.symbol, limit, path, sizeof path));
    make_url(worker, "http", path, url);
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_fetch(feed->http, &(sl_request){.url = url, .total_timeout = SNAPSHOT_TIMEOUT}, &response));
    if (sl_response_status(response) != 200) {
        return explain(feed, decoder, response);
    }
    *ret_response = response;
    response = NULL;
    return 0;
}

/* The answer and its event, which lives in the decoder. */
static int ask_snapshot(struct feed *feed, sl_binance *decoder, sl_market_event *ret_event)
{
    sl_auto(sl_response) *response = NULL;
    SL_TRY(ask(feed, decoder, DEPTH_LIMIT, &response));
    sl_binance_message message = {.receive_time_ns = sl_now_wall(), .instrument = feed->worker->options.symbol};
    message.text = sl_response_body(response, &message.size_bytes);
    SL_TRY(sl_binance_decode(decoder, &message, ret_event));
    return ret_event->kind == SL_EVENT_BOOK_SNAPSHOT ? 0 : sl_fail(SL_EPROTO, "the answer is no snapshot");
}

static int join(struct feed *feed, sl_binance *decoder, const sl_market_event *event)
{
    sl_worker *worker = feed->worker;
    int64_t venue_time_ns = event->venue_time_ns;
    worker->stats.snapshots++;
    int action = sl_sequence_snapshot(worker->sequence, event->as.snapshot.last_id);
    if (action != SL_SEQUENCE_APPLY) {
        return action < 0 ? action : 0;
    }
    SL_TRY(sl_book_set(worker->book, &event->as.snapshot.levels));
    SL_TRY(apply_kept(feed, decoder));
    return give_top(feed, venue_time_ns);
}

/* Whether to ask again: the request failed, and neither we nor the symbol are the reason. Waits before. */
static int ask_again(struct feed *feed, int code, uint32_t *attempt)
{
    sl_worker *worker = feed->worker;
    if (code == SL_ECANCELED || code == SL_ENOMEM || worker->refused) {
        return code;
    }
    if (code < 0) {
        worker->stats.snapshot_failures++;
        sl__worker_note(worker, "snapshot: ", code);
    }
    return sl_sleep(sl_backoff_delay(&snapshot_backoff, (*attempt)++, sl_random_unit()));
}

static int new_decoder(const struct feed *feed, sl_binance **ret_decoder)
{
    const sl_binance_options options = {.venue = SL_VENUE_BINANCE_USDM, .connection = feed->connection};
    return sl_binance_new(&options, ret_decoder);
}

/* Asks for snapshots until one fits; the stream is read on meanwhile. */
static int fetch_snapshot(void *arg)
{
    struct feed *feed = arg;
    sl_worker *worker = feed->worker;
    sl_auto(sl_binance) *decoder = NULL; /* of its own: the stream's is in use */
    SL_TRY(new_decoder(feed, &decoder));
    for (uint32_t attempt = 0; sl_sequence_wants_snapshot(worker->sequence);) {
        sl_market_event event;
        int code = ask_snapshot(feed, decoder, &event);
        if (code == 0) {
            worker->symbol_known = true;
            SL_TRY(join(feed, decoder, &event));
        }
        if (code < 0 || sl_sequence_wants_snapshot(worker->sequence)) {
            SL_TRY(ask_again(feed, code, &attempt));
        }
    }
    worker->fetching = false;
    return 0;
}

/* The venue opens a stream of a symbol that it has not, and never sends anything: only a request tells. */
static int check_symbol(void *arg)
{
    struct feed *feed = arg;
    sl_auto(sl_binance) *decoder = NULL;
    SL_TRY(new_decoder(feed, &decoder));
    for (uint32_t attempt = 0; !feed->worker->symbol_known;) {
        sl_auto(sl_response) *response = NULL;
        int code = ask(feed, decoder, CHECK_LIMIT, &response);
        if (code < 0) {
            SL_TRY(ask_again(feed, code, &attempt));
        } else {
            feed->worker->symbol_known = true;
        }
    }
    return 0;
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

/* A trade that could not be given away was not seen: it comes again, or is missed. */
static int on_trade(struct feed *feed, const sl_market_event *event)
{
    sl_worker *worker = feed->worker;
    sl_trade_track *track = &worker->track;
    int64_t id = event->as.trade.id;
    sl_gap gap;
    int action = sl_trade_track_see(track, id, id, &gap);
    SL_TRY(action);
    worker->stats.repeated = track->repeated;
    if (action == SL_SEQUENCE_IGNORE) {
        return 0;
    }
    int code = action == SL_SEQUENCE_GAP ? give_gap(feed, SL_FEED_TRADES, &gap) : 0;
    worker->stats.lost += action == SL_SEQUENCE_GAP ? (uint64_t)(gap.to_id - gap.from_id - 1) : 0;
    code = code == 0 ? give(worker, event) : code;
    if (code < 0) {
        track->last_id = id - 1;
        return code;
    }
    worker->first_trade = worker->stats.trades++ == 0 ? id : worker->first_trade;
    return 0;
}

static int on_message(struct feed *feed, const struct sl_ws_message *message)
{
    sl_worker *worker = feed->worker;
    worker->stats.messages++;
    worker->stats.bytes += message->size_bytes;
    sl_binance_message raw = {message->data, message->size_bytes, SL_JSON_PADDED, sl_now_wall(), NULL};
    sl_market_event event;
    int code = sl_binance_decode(feed->decoder, &raw, &event);
    if (code == SL_ENOTSUP) { /* something else that the venue tells of */
        worker->stats.ignored++;
        return 0;
    }
    SL_TRY(code);
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
    for (bool healthy = false;; healthy = true) {
        feed->reading = true;
        int code = sl_ws_receive(ws, &message);
        feed->reading = false;
        if (code < 0) {
            return code == SL_EOF && sl_ws_close_code(ws) == 1000 ? 0 : code; /* the end of the session */
        }
        SL_TRY(on_message(feed, &message));
        SL_TRY(healthy ? 0 : sl_healthy());
    }
}

/* A peer that is there and says nothing is as good as none. */
static int watch_silence(void *arg)
{
    const struct feed *feed = arg;
    const sl_worker *worker = feed->worker;
    sl_time limit = worker->options.silence == 0 ? SL_WORKER_SILENCE : worker->options.silence;
    uint64_t before;
    do {
        before = worker->stats.messages;
        SL_TRY(sl_sleep(limit));
    } while (worker->stats.messages != before || !feed->reading);
    return sl_fail(SL_ETIMEDOUT, "no message for %lld ms", (long long)(limit / SL_MILLISECONDS(1)));
}

static int connect_stream(const sl_worker *worker, sl_ws **ret_ws)
{
    const sl_binance_stream streams[] = {{.feed = SL_FEED_DEPTH, .symbol = worker->options.symbol},
                                         {.feed = SL_FEED_TRADES, .symbol = worker->options.symbol}};
    char path[PATH_BYTES];
    char url[URL_BYTES];
    SL_TRY(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, streams, 2, path, sizeof path));
    make_url(worker, "ws", path, url);
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "connect", .timeout = CONNECT_TIMEOUT}));
    return sl_scope_close(&limit, sl_ws_connect(url, ret_ws));
}

static int follow_stream(struct feed *feed, sl_ws *ws)
{
    SL_SCOPE(scope, .name = "stream", .move_on = true);
    feed->scope = &scope;
    feed->worker->fetching = false;
    int code = sl_spawn(&scope, watch_silence, feed, .daemon = true);
    if (code == 0 && !feed->worker->symbol_known) {
        code = sl_spawn(&scope, check_symbol, feed, .daemon = true);
    }
    code = code == 0 ? receive_all(feed, ws) : code;
    if (code == 0) { /* a snapshot on its way may still heal the book, but not for ever */
        (void)sl_scope_set_deadline(&scope, sl_time_add(sl_now(), SNAPSHOT_TIMEOUT));
    }
    return sl_scope_close(&scope, code);
}

/* One connection, from its start to its end. */
static int follow(sl_worker *worker)
{
    struct feed feed = {.worker = worker, .connection = (uint32_t)++worker->stats.connections};
    sl_auto(sl_binance) *decoder = NULL;
    sl_auto(sl_http_client) *http = NULL;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(new_decoder(&feed, &decoder));
    SL_TRY(sl_http_client_open(NULL, &http));
    feed.decoder = decoder;
    feed.http = http;
    int code = connect_stream(worker, &ws);
    if (code < 0) {
        worker->refused = code == SL_EINVAL; /* no address: it will be none the next time */
        return code;
    }
    return follow_stream(&feed, ws);
}

/* The supervised child. Its failures are not the end, but they are told, and what was missed is a gap. */
static int stream(void *arg)
{
    sl_worker *worker = arg;
    int code = follow(worker);
    if (code == 0 || code == SL_ECANCELED) {
        return code;
    }
    worker->stats.failures++;
    sl__worker_note(worker, "stream: ", code);
    sl_sequence_lost(worker->sequence);
    const struct feed feed = {.worker = worker, .connection = (uint32_t)worker->stats.connections};
    SL_TRY(give_book_gap(&feed));
    return worker->refused ? 0 : code;
}

int sl__worker_feed(void *arg)
{
    sl_worker *worker = arg;
    SL_SCOPE(scope, .name = "feed", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
    SL_TRY(sl_spawn(&scope, sl__worker_cancel_on_stop, &scope, .daemon = true));
    SL_TRY(sl_spawn(&scope, stream, arg, .id = "stream", .restart = SL_ON_FAILURE,
                    .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(2)}));
    SL_TRY(sl_scope_wait(&scope));
    return worker->refused ? sl_fail(SL_EINVAL, "%s", worker->problem) : 0;
}
