/* SPDX-License-Identifier: MIT */
/*
 * The stream: connect, receive, decode, join with a snapshot, keep the book, pass rows on. It fails when
 * its connection does; its supervisor starts it again.
 */
#include <string.h>

#include "ingest/tap.h"
#include "ingest/worker.h"
#include "sluice/fetch.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"
#include "sluice/ws.h"
#include "venues/venue.h"

#define DEPTH_LIMIT 1000
#define CHECK_LIMIT 5
#define CONTROL_BYTES 1024
#define PATH_BYTES 512
#define URL_BYTES (PATH_BYTES + 256)
#define CONNECT_TIMEOUT SL_SECONDS(10)
#define SNAPSHOT_TIMEOUT SL_SECONDS(10)
#define PAUSED_LOOK SL_MILLISECONDS(50)

/* How long a gap may wait for room among the rows, though the stream is being stopped. */
#define GAP_BUDGET SL_SECONDS(1)

/* Between two requests for a snapshot. */
static const struct sl_backoff snapshot_backoff = {.initial = SL_MILLISECONDS(20), .max = SL_SECONDS(2)};

/* One connection. */
struct feed {
    sl_worker *worker;
    const sl_venue_driver *driver;
    sl_venue_decoder *decoder;
    const struct sl_ws_message *message; /* that is being decoded */
    sl_http_client *http;
    sl_scope *scope;
    uint32_t connection;
    bool reading; /* waits for a message, not for the writer */
};

/* ---- rows ---- */

static int give(sl_worker *worker, const sl_market_event *event)
{
    sl_tap_pass(worker->options.tap, event);
    SL_TRY(sl_channel_send(worker->rows, event));
    worker->stats.rows++;
    return 0;
}

static sl_market_event row(const struct feed *feed, sl_event_kind kind, sl_feed channel)
{
    return (sl_market_event){.kind = kind,
                             .feed = channel,
                             .connection = feed->connection,
                             .instrument = feed->worker->instrument,
                             .receive_time_ns = sl_now_wall()};
}

/* Each gap is told of twice, the second time when it is healed; others may lie between. */
static void keep_gap(sl_worker *worker, sl_feed channel, const sl_gap *gap)
{
    struct sl_worker_gap *kept = NULL;
    for (size_t i = 0; gap->healed && kept == NULL && i < SL_WORKER_GAPS; i++) {
        struct sl_worker_gap *old = &worker->recent_gaps[i];
        kept = old->seen_ns != 0 && old->healed_ns == 0 && old->channel == channel ? old : NULL;
    }
    if (kept == NULL) {
        kept = &worker->recent_gaps[worker->gaps_told++ % SL_WORKER_GAPS];
        *kept = (struct sl_worker_gap){.channel = channel, .seen_ns = sl_now_wall()};
    }
    kept->gap = *gap;
    kept->healed_ns = gap->healed ? sl_now_wall() : 0;
}

/* A gap is told in any case: the writer ends after the stream. */
static int give_gap(const struct feed *feed, sl_feed channel, const sl_gap *gap)
{
    sl_market_event event = row(feed, SL_EVENT_GAP, channel);
    event.as.gap = *gap;
    keep_gap(feed->worker, channel, gap);
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

static int apply_event(void *feed, const sl_market_event *event)
{
    return apply(feed, event);
}

/* The diffs that were kept while the snapshot was on its way. */
static int apply_kept(struct feed *feed, sl_venue_decoder *decoder)
{
    const sl_venue_output output = {.arg = feed, .event = apply_event};
    sl_diff diff;
    int action;
    while ((action = sl_sequence_next(feed->worker->sequence, &diff)) == SL_SEQUENCE_APPLY) {
        sl_venue_message message = {diff.raw, diff.size_bytes, SL_JSON_PADDED, diff.receive_time_ns};
        SL_TRY(sl_venue_decode(decoder, &message, &output));
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

static int keep_snapshot(void *arg, const sl_market_event *event)
{
    *(sl_market_event *)arg = *event;
    return 0;
}

/* The answer and its event, which lives in the decoder. That the venue has no such symbol will not change: the worker is to end. */
static int ask(struct feed *feed, sl_venue_decoder *decoder, uint32_t limit, sl_market_event *ret_event)
{
    sl_worker *worker = feed->worker;
    const sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = worker->instrument, .limit = limit};
    const sl_venue_output output = {.arg = ret_event, .event = keep_snapshot};
    char path[PATH_BYTES];
    SL_TRY(feed->driver->rest_path(&request, path, sizeof path));
    char url[URL_BYTES];
    make_url(worker, "http", path, url);
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_fetch(feed->http,
                    &(sl_request){.url = url, .total_timeout = SNAPSHOT_TIMEOUT, .cost = feed->driver->cost(&request)},
                    &response));
    sl_venue_answer answer;
    sl_venue_message message = {.receive_time_ns = sl_now_wall()};
    message.text = sl_response_body(response, &message.size_bytes);
    int code = sl_venue_decode_rest(decoder, &request, &message, &output, NULL, &answer);
    if (code < 0 || sl_response_status(response) != 200) {
        worker->refused = answer.no_symbol;
        return sl_fail(worker->refused ? SL_EINVAL : SL_EAGAIN, "%s: HTTP status %d%s%s", worker->options.symbol,
                       sl_response_status(response), code < 0 ? ", " : "", code < 0 ? sl_venue_problem(decoder) : "");
    }
    return 0;
}

static int join(struct feed *feed, sl_venue_decoder *decoder, const sl_market_event *event)
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

static int new_decoder(const struct feed *feed, sl_venue_decoder **ret_decoder)
{
    const sl_venue_decoder_options options = {.venue = feed->worker->instrument->venue,
                                              .instruments = feed->worker->instruments,
                                              .connection = feed->connection};
    return sl_venue_decoder_new(&options, ret_decoder);
}

/* Asks for snapshots until one fits; the stream is read on meanwhile. */
static int fetch_snapshot(void *arg)
{
    struct feed *feed = arg;
    sl_worker *worker = feed->worker;
    sl_auto(sl_venue_decoder) *decoder = NULL; /* of its own: the stream's is in use */
    SL_TRY(new_decoder(feed, &decoder));
    for (uint32_t attempt = 0; sl_sequence_wants_snapshot(worker->sequence);) {
        sl_market_event event;
        int code = ask(feed, decoder, DEPTH_LIMIT, &event);
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
    sl_auto(sl_venue_decoder) *decoder = NULL;
    SL_TRY(new_decoder(feed, &decoder));
    for (uint32_t attempt = 0; !feed->worker->symbol_known;) {
        sl_market_event event;
        int code = ask(feed, decoder, CHECK_LIMIT, &event);
        if (code < 0) {
            SL_TRY(ask_again(feed, code, &attempt));
        } else {
            feed->worker->symbol_known = true;
        }
    }
    return 0;
}

static int on_diff(struct feed *feed, const sl_market_event *event)
{
    sl_worker *worker = feed->worker;
    const struct sl_ws_message *message = feed->message;
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

/* A session that is played again has times of long ago: they tell nothing of the way here. */
#define LAG_MAX_NS SL_MINUTES(60)

static void note_lag(sl_worker *worker, const sl_market_event *event)
{
    int64_t sent_ns = event->sent_time_ns != 0 ? event->sent_time_ns : event->venue_time_ns;
    int64_t lag = event->receive_time_ns - sent_ns;
    if (sent_ns != 0 && lag > -LAG_MAX_NS && lag < LAG_MAX_NS) {
        sl_histogram_record(&worker->lag, lag);
    }
}

static int on_event(void *arg, const sl_market_event *event)
{
    note_lag(((struct feed *)arg)->worker, event);
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return on_trade(arg, event);
    case SL_EVENT_BOOK_DELTA:
        return on_diff(arg, event);
    default:
        return 0;
    }
}

static int on_notice(void *arg, const sl_venue_notice *notice)
{
    (void)arg;
    if (notice->kind == SL_NOTICE_REFUSED || notice->kind == SL_NOTICE_ERROR) {
        return sl_fail(SL_EPROTO, "the venue says: %.*s", (int)notice->text.size_bytes, notice->text.data);
    }
    return 0;
}

static int on_message(struct feed *feed, const struct sl_ws_message *message)
{
    sl_worker *worker = feed->worker;
    const sl_venue_output output = {.arg = feed, .event = on_event, .notice = on_notice};
    const sl_venue_message raw = {message->data, message->size_bytes, SL_JSON_PADDED, sl_now_wall()};
    worker->stats.messages++;
    worker->stats.bytes += message->size_bytes;
    worker->last_message_ns = raw.receive_time_ns;
    feed->message = message;
    int code = sl_venue_decode(feed->decoder, &raw, &output);
    if (code == SL_ENOTSUP) { /* something else that the venue tells of */
        worker->stats.ignored++;
        return 0;
    }
    return code < 0 && feed->decoder->output_code == 0 ? sl_fail(code, "%s", sl_venue_problem(feed->decoder)) : code;
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

static int subscribe(const struct feed *feed, const sl_subscription *subscriptions, size_t count, sl_ws *ws)
{
    char text[CONTROL_BYTES];
    size_t size_bytes = 0;
    for (int64_t id = 1; count > 0; id++) {
        int done = feed->driver->subscribe(subscriptions, count, false, id, text, sizeof text, &size_bytes);
        SL_TRY(done);
        SL_TRY(sl_ws_send(ws, SL_WS_TEXT, text, size_bytes));
        subscriptions += done;
        count -= (size_t)done;
    }
    return 0;
}

static int connect_stream(const struct feed *feed, sl_ws **ret_ws)
{
    const sl_worker *worker = feed->worker;
    const sl_subscription subscriptions[] = {{.feed = SL_FEED_DEPTH, .instrument = worker->instrument},
                                             {.feed = SL_FEED_TRADES, .instrument = worker->instrument}};
    char path[PATH_BYTES];
    char url[URL_BYTES];
    SL_TRY(feed->driver->stream_path(subscriptions, 2, path, sizeof path));
    make_url(worker, "ws", path, url);
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "connect", .timeout = CONNECT_TIMEOUT}));
    int code = sl_ws_connect(url, ret_ws);
    code = code == 0 ? subscribe(feed, subscriptions, 2, *ret_ws) : code;
    return sl_scope_close(&limit, code);
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
    struct feed feed = {.worker = worker,
                        .driver = sl_venue_driver_of(worker->instrument->venue),
                        .connection = (uint32_t)++worker->stats.connections};
    sl_auto(sl_venue_decoder) *decoder = NULL;
    sl_auto(sl_http_client) *http = NULL;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(new_decoder(&feed, &decoder));
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.policy = worker->policy}, &http));
    feed.decoder = decoder;
    feed.http = http;
    int code = connect_stream(&feed, &ws);
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
    while (worker->paused) {
        SL_TRY(sl_sleep(PAUSED_LOOK));
    }
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
    worker->feed_scope = &scope;
    int code = sl_scope_wait(&scope);
    worker->feed_scope = NULL;
    SL_TRY(code);
    return worker->refused ? sl_fail(SL_EINVAL, "%s", worker->problem) : 0;
}
