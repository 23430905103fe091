/* SPDX-License-Identifier: MIT */
/*
 * A service of the kind stream or book: which instruments it follows, and what of their events goes to its sinks. It
 * fails when the venue's list cannot be had; its supervisor starts it again.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/program.h"
#include "ingest/replay.h"
#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

/* Best bid and offer that were given out last, of one instrument. */
struct best {
    sl_best last;
    bool given;
};

/* ---- what the configuration asks for ---- */

static sl_feed feed_of(int channel)
{
    static const sl_feed feeds[SL_CONF_CHANNEL_COUNT] = {
        [SL_CONF_CHANNEL_TRADES] = SL_FEED_TRADES,
        [SL_CONF_CHANNEL_AGG_TRADES] = SL_FEED_AGG_TRADES,
        [SL_CONF_CHANNEL_BEST] = SL_FEED_BEST,
        [SL_CONF_CHANNEL_BOOK] = SL_FEED_DEPTH,
        [SL_CONF_CHANNEL_TICKER] = SL_FEED_TICKER,
        [SL_CONF_CHANNEL_CANDLES] = SL_FEED_CANDLES,
        [SL_CONF_CHANNEL_FUNDING] = SL_FEED_FUNDING,
        [SL_CONF_CHANNEL_LIQUIDATIONS] = SL_FEED_LIQUIDATIONS,
        [SL_CONF_CHANNEL_OPEN_INTEREST] = SL_FEED_OPEN_INTEREST,
        [SL_CONF_CHANNEL_STATUS] = SL_FEED_STATUS,
    };
    return channel >= 0 && channel < SL_CONF_CHANNEL_COUNT ? feeds[channel] : SL_FEED_NONE;
}

static const struct sl_conf_book *as_book(const struct sl_program_service *service)
{
    return sl_conf_service_kind(service->variant) == SL_CONF_BOOK ? service->variant->value : NULL;
}

static const struct sl_conf_stream *as_stream(const struct sl_program_service *service)
{
    return sl_conf_service_kind(service->variant) == SL_CONF_STREAM ? service->variant->value : NULL;
}

static const struct sl_conf_connections *connections_of(const struct sl_program_service *service)
{
    const struct sl_conf_book *book = as_book(service);
    return book != NULL ? &book->connections : &as_stream(service)->connections;
}

static bool fits_one_of(const struct sl_config_list *patterns, const sl_instrument *instrument)
{
    for (size_t at = 0; at < patterns->count; at++) {
        const char *pattern = ((const char *const *)patterns->items)[at];
        if (sl_instrument_matches(instrument, pattern)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct sl_conf_market *market, const sl_instrument *instrument)
{
    return instrument->venue == sl_access_venue(market->venue) && instrument->status != SL_STATUS_DELISTED &&
           fits_one_of(&market->instruments, instrument) && !fits_one_of(&market->exclude, instrument);
}

/* ---- events on their way to the sinks ---- */

static int give(struct sl_program_service *service, const sl_market_event *event)
{
    service->events++;
    if (event->kind == SL_EVENT_GAP) {
        sl__program_note_gap(service->parts, service->name, event);
    }
    if (event->kind == SL_EVENT_GAP && !event->as.gap.healed) {
        service->gaps++;
        if (event->feed != SL_FEED_DEPTH && event->as.gap.to_id > event->as.gap.from_id) {
            service->missing += (uint64_t)(event->as.gap.to_id - event->as.gap.from_id - 1);
        }
    }
    int code = sl_fanout_write(service->fanout, event);
    if (code == SL_EMSGSIZE) {
        sl_log_with(SL_LOG_ERROR, "an event is too large for the sinks", sl_field_text("service", service->name),
                    sl_field_text("instrument", event->instrument->symbol));
        return 0;
    }
    return code;
}

static int best_of(struct sl_program_service *service, const sl_instrument *instrument, struct best **ret_best)
{
    if (instrument->index >= service->best_count) {
        size_t count = service->best_count == 0 ? 64 : service->best_count;
        while (count <= instrument->index) {
            count *= 2;
        }
        struct best *bests = sl_realloc(service->bests, count * sizeof *bests);
        if (bests == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
        }
        memset(bests + service->best_count, 0, (count - service->best_count) * sizeof *bests);
        service->bests = bests;
        service->best_count = count;
    }
    *ret_best = &service->bests[instrument->index];
    return 0;
}

static bool same_level(const sl_level *a, const sl_level *b)
{
    return sl_decimal_equal(a->price, b->price) && sl_decimal_equal(a->quantity, b->quantity);
}

/* The top of the book, when it is another than the one that was given out last. */
static int give_best(struct sl_program_service *service, const sl_market_event *event)
{
    bool stale = false;
    const sl_book *book = sl_books_find(sl_stream_books(service->stream), event->instrument, &stale);
    if (book == NULL || stale) {
        return 0;
    }
    const sl_level none = {{0, 0}, {0, 0}};
    const sl_level *bid = sl_book_best(book, SL_SIDE_BUY), *ask = sl_book_best(book, SL_SIDE_SELL);
    struct best *best = NULL;
    SL_TRY(best_of(service, event->instrument, &best));
    sl_best now = {.update_id =
                       event->kind == SL_EVENT_BOOK_DELTA ? event->as.delta.last_id : event->as.snapshot.last_id,
                   .bid = bid == NULL ? none : *bid,
                   .ask = ask == NULL ? none : *ask};
    if (best->given && same_level(&now.bid, &best->last.bid) && same_level(&now.ask, &best->last.ask)) {
        return 0;
    }
    sl_market_event top = *event;
    top.kind = SL_EVENT_BEST;
    top.as.best = now;
    SL_TRY(give(service, &top));
    best->last = now;
    best->given = true;
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct sl_program_service *service = arg;
    const struct sl_conf_book *book = as_book(service);
    service->last_event_at = sl_now();
    if (event->sent_time_ns != 0 && event->receive_time_ns > event->sent_time_ns) {
        sl_histogram_record(&service->lag, event->receive_time_ns - event->sent_time_ns);
    }
    bool levels = event->kind == SL_EVENT_BOOK_DELTA || event->kind == SL_EVENT_BOOK_SNAPSHOT;
    if (!levels || book == NULL) {
        return give(service, event);
    }
    if (book->emit != SL_CONF_EMIT_TOP) {
        SL_TRY(give(service, event));
    }
    return book->emit != SL_CONF_EMIT_DELTAS ? give_best(service, event) : 0;
}

static int on_bad(void *arg, const struct sl_bad_message *message)
{
    struct sl_program_service *service = arg;
    (void)snprintf(service->problem, sizeof service->problem, "%s", message->problem);
    sl_venue venue = sl_access_driver(service->access)->venue;
    if (sl_dead_letters_put(sl_program_dead_letters(service->parts), service->name, venue, message)) {
        sl_log_with(SL_LOG_WARNING,
                    message->code == SL_ENOTSUP ? "a message of an unknown kind; others like it are only counted"
                                                : "a message that is none; others like it are only counted",
                    sl_field_text("service", service->name), sl_field_text("problem", message->problem));
    }
    return 0;
}

/* ---- recording ---- */

static int record(const struct sl_program_service *service, sl_capture_line *line, uint32_t connection)
{
    line->venue = sl_access_driver(service->access)->venue;
    line->connection = service->number << SL_REPLAY_SERVICE_SHIFT | (connection & SL_REPLAY_CONNECTION_MASK);
    return sl_recording_add(sl_program_recording(service->parts), line);
}

static int on_frame(void *arg, const sl_connection *connection, const char *text, size_t size_bytes,
                    int64_t receive_time_ns)
{
    sl_capture_line line = {
        .kind = SL_CAPTURE_RECEIVED, .text = text, .size_bytes = size_bytes, .receive_time_ns = receive_time_ns};
    return record(arg, &line, sl_connection_number(connection));
}

static int on_answer(void *arg, const char *url, const char *text, size_t size_bytes, int64_t receive_time_ns)
{
    sl_capture_line line = {.kind = SL_CAPTURE_RESPONSE,
                            .text = text,
                            .size_bytes = size_bytes,
                            .receive_time_ns = receive_time_ns,
                            .status = 200,
                            .url = url,
                            .url_bytes = strlen(url)};
    return record(arg, &line, 0);
}

static int on_lost(void *arg, const sl_connection *connection, const sl_subscription *what, bool last)
{
    char text[SL_SYMBOL_MAX + 64];
    int size = snprintf(text, sizeof text, "%s %s %s", sl_feed_name(what->feed), what->instrument->symbol,
                        last ? "last" : "carried");
    sl_capture_line line = {
        .kind = SL_CAPTURE_CLOSED, .text = text, .size_bytes = (size_t)size, .receive_time_ns = sl_now_wall()};
    return record(arg, &line, sl_connection_number(connection));
}

/* ---- which instruments ---- */

static int add_feed(struct sl_program_service *service, const sl_instrument *instrument, sl_feed feed)
{
    const struct sl_conf_book *book = as_book(service);
    const struct sl_conf_stream *stream = as_stream(service);
    sl_subscription what = {.feed = feed, .instrument = instrument};
    if (book != NULL) {
        what.depth = (uint32_t)book->depth;
        what.interval_ns = book->interval;
    } else if (stream != NULL && feed == SL_FEED_CANDLES) {
        what.interval_ns = stream->candles.count > 0 ? *(const sl_time *)stream->candles.items : SL_MINUTES(1);
    }
    int code = sl_stream_add(service->stream, &what);
    return code < 0 ? code : 0;
}

static int follow(struct sl_program_service *service, const sl_instrument *instrument, bool wanted)
{
    const struct sl_conf_stream *stream = as_stream(service);
    size_t count = stream == NULL ? 1 : stream->channels.count;
    for (size_t at = 0; at < count; at++) {
        sl_feed feed = stream == NULL ? SL_FEED_DEPTH : feed_of(((const int *)stream->channels.items)[at]);
        if (wanted) {
            SL_TRY(add_feed(service, instrument, feed));
        } else {
            sl_stream_remove(service->stream, feed, instrument);
        }
    }
    return 0;
}

/* What is wanted is followed, what is not is left. */
static int choose(struct sl_program_service *service)
{
    const struct sl_conf_market *market = sl_conf_market(service->variant);
    const sl_instruments *table = sl_program_instruments(service->parts);
    size_t wanted = 0;
    for (size_t at = 0; at < sl_instruments_count(table); at++) {
        const sl_instrument *instrument = sl_instruments_at(table, at);
        if (instrument->venue == sl_access_venue(market->venue)) {
            bool is = is_wanted(market, instrument);
            wanted += is;
            SL_TRY(follow(service, instrument, is));
        }
    }
    if (wanted != service->wanted) {
        sl_log_with(SL_LOG_INFO, "instruments chosen", sl_field_text("service", service->name),
                    sl_field_uint("instruments", wanted));
    }
    service->wanted = wanted;
    return 0;
}

/* ---- its life ---- */

static int make_stream(struct sl_program_service *service)
{
    const struct sl_conf_connections *connections = connections_of(service);
    const struct sl_conf_book *book = as_book(service);
    sl_access *access = service->access;
    struct sl_stream_options options = {
        .name = service->name,
        .driver = sl_access_driver(access),
        .instruments = sl_program_instruments(service->parts),
        .origin = sl_access_stream_origin(access),
        .redundancy = (unsigned)connections->redundancy,
        .per_connection = (uint32_t)connections->max_streams,
        .tls = sl_access_tls(access),
        .local_address = sl_access_local_address(access),
        .proxy = sl_access_proxy(access),
        .deflate = connections->compression,
        .silence = connections->silence,
        .connects = sl_access_connects(access),
        .http = sl_access_http(access),
        .rest_origin = sl_access_rest_origin(access),
        .snapshot_depth = book == NULL ? 0 : (uint32_t)(book->snapshot_depth != 0 ? book->snapshot_depth : book->depth),
        .verify = book == NULL ? 0 : book->verify,
        .arg = service,
        .event = on_event,
        .bad = on_bad,
    };
    if (sl_program_recording(service->parts) != NULL) {
        options.frame = on_frame;
        options.answer = on_answer;
        options.lost = on_lost;
    }
    return sl_stream_new(&options, &service->stream);
}

/* Until the next look at the venue's list, or news of the configuration. */
static int wait_for_news(struct sl_program_service *service, bool *ret_list)
{
    struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &service->changed};
    int code = sl_select(&clause, 1, SL_ACCESS_REFRESH);
    *ret_list = code == SL_ETIMEDOUT;
    sl_event_reset(&service->changed);
    return code < 0 && code != SL_ETIMEDOUT ? code : 0;
}

/* A list that cannot be had is no reason to stop what runs by the old one. */
static int keep_choosing(struct sl_program_service *service)
{
    for (;;) {
        SL_TRY(choose(service));
        bool list = false;
        SL_TRY(wait_for_news(service, &list));
        int code = list ? sl_access_list(service->access) : 0;
        if (code == SL_ECANCELED || code == SL_ENOMEM) {
            return code;
        }
        if (code < 0) {
            sl_log_with(SL_LOG_WARNING, "the venue's list of instruments could not be had",
                        sl_field_text("service", service->name), sl_field_code("code", code));
        }
    }
}

static int run(struct sl_program_service *service)
{
    SL_TRY(sl__program_access(service->parts, service));
    SL_TRY(sl__program_attach(service->parts, service));
    if (sl_program_recording(service->parts) != NULL) {
        sl_access_watch(service->access, on_answer, service);
    }
    if (sl_access_get_stats(service->access)->lists == 0) {
        int code = sl_access_list(service->access);
        SL_TRY(code < 0 ? code : 0);
    }
    SL_TRY(make_stream(service));
    SL_SCOPE(scope, .name = service->name);
    int code = sl_spawn(&scope, sl_stream_run, service->stream, .name = "stream");
    code = code == 0 ? keep_choosing(service) : code;
    return sl_scope_close(&scope, code);
}

/* Why it ended, for people: the supervisor starts it again. */
static void tell_failure(struct sl_program_service *service, int code)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    const char *text = error == NULL ? "" : sl_error_message(error);
    (void)snprintf(service->problem, sizeof service->problem, "%s", *text == '\0' ? sl_strerror(code) : text);
    sl_log_with(SL_LOG_WARNING, "a service failed; it is started again", sl_field_text("service", service->name),
                sl_field_code("code", code), sl_field_text("problem", service->problem));
}

int sl__market_service(void *arg)
{
    struct sl_program_service *service = arg;
    SL_TRY(sl_fanout_new(&service->fanout));
    int code = run(service);
    if (code < 0 && code != SL_ECANCELED) {
        tell_failure(service, code);
    }
    if (service->stream != NULL) {
        struct sl_stream_stats stats = sl_stream_get_stats(service->stream);
        sl__program_stream_gone(service->parts, &stats);
    }
    if (service->access != NULL) {
        sl_access_unwatch(service->access, service);
    }
    sl_stream_service_free(service->stream);
    service->stream = NULL;
    sl_fanout_free(service->fanout);
    service->fanout = NULL;
    sl_free(service->bests);
    service->bests = NULL;
    service->best_count = 0;
    return code;
}
