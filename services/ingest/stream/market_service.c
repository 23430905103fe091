/* SPDX-License-Identifier: MIT */
/*
 * A service of the kind stream or book: which instruments it follows, and what of their events goes to its sinks. It
 * fails when the venue's list cannot be had; its supervisor starts it again.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/history/gap_fill.h"
#include "ingest/program/program.h"
#include "sluice/runtime.h"

/* No event for so long is a bad sign. */
#define QUIET_FOR SL_SECONDS(10)

/* Best bid and offer that were given out last, of one instrument. */
struct best {
    sl_best last;
    bool given;
};

/* service->life */
struct market {
    sl_stream_service *stream;
    sl_gap_fill *fill;  /* of a stream; fill_gaps says whether it is told of gaps */
    struct best *bests; /* what was given out last, by the instrument's index */
    size_t best_count;
    sl_subscription *wishes; /* all that is to be followed, as it is gathered */
    size_t wish_count, wish_capacity;
    uint64_t bad_answers; /* to requests for snapshots */
    char reason[224];     /* why books are stale, or what is refused */
};

/* ---- what the configuration asks for ---- */

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

/* ---- events on their way to the sinks ---- */

static int best_of(struct market *market, const sl_instrument *instrument, struct best **ret_best)
{
    if (instrument->index >= market->best_count) {
        size_t count = market->best_count == 0 ? 64 : market->best_count;
        while (count <= instrument->index) {
            count *= 2;
        }
        struct best *bests = sl_realloc(market->bests, count * sizeof *bests);
        if (bests == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
        }
        memset(bests + market->best_count, 0, (count - market->best_count) * sizeof *bests);
        market->bests = bests;
        market->best_count = count;
    }
    *ret_best = &market->bests[instrument->index];
    return 0;
}

static bool same_level(const sl_level *a, const sl_level *b)
{
    return sl_decimal_equal(a->price, b->price) && sl_decimal_equal(a->quantity, b->quantity);
}

/* The first of a side's levels, which a snapshot may have in any order. */
static sl_level first_of(const sl_level *levels, size_t count, sl_side side)
{
    sl_level first = count == 0 ? (sl_level){{0, 0}, {0, 0}} : levels[0];
    for (size_t at = 1; at < count; at++) {
        int order = sl_decimal_compare(levels[at].price, first.price);
        first = (side == SL_SIDE_BUY ? order > 0 : order < 0) ? levels[at] : first;
    }
    return first;
}

/* The top of the book: 1, or 0 when it is not whole. While a snapshot is given out the book is not yet. */
static int top_of(const struct market *market, const sl_market_event *event, sl_best *ret_top)
{
    if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        const sl_levels *levels = &event->as.snapshot.levels;
        *ret_top = (sl_best){.update_id = event->as.snapshot.last_id,
                             .bid = first_of(levels->bids, levels->bid_count, SL_SIDE_BUY),
                             .ask = first_of(levels->asks, levels->ask_count, SL_SIDE_SELL)};
        return 1;
    }
    bool stale = false;
    const sl_book *book = sl_books_find(sl_stream_books(market->stream), event->instrument, &stale);
    if (book == NULL || stale) {
        return 0;
    }
    const sl_level none = {{0, 0}, {0, 0}};
    const sl_level *bid = sl_book_best(book, SL_SIDE_BUY), *ask = sl_book_best(book, SL_SIDE_SELL);
    *ret_top = (sl_best){
        .update_id = event->as.delta.last_id, .bid = bid == NULL ? none : *bid, .ask = ask == NULL ? none : *ask};
    return 1;
}

/* The top of the book, when it is another than the one that was given out last. */
static int give_best(struct sl_program_service *service, const sl_market_event *event)
{
    struct market *market = service->life;
    struct best *best = NULL;
    sl_market_event top = *event;
    top.kind = SL_EVENT_BEST;
    if (top_of(market, event, &top.as.best) == 0) {
        return 0;
    }
    SL_TRY(best_of(market, event->instrument, &best));
    if (best->given && same_level(&top.as.best.bid, &best->last.bid) && same_level(&top.as.best.ask, &best->last.ask)) {
        return 0;
    }
    SL_TRY(sl__service_give(service, &top));
    best->last = top.as.best;
    best->given = true;
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct sl_program_service *service = arg;
    const struct sl_conf_book *book = as_book(service);
    sl__service_saw(service, event);
    bool levels = event->kind == SL_EVENT_BOOK_DELTA || event->kind == SL_EVENT_BOOK_SNAPSHOT;
    if (!levels || book == NULL) {
        const struct market *market = service->life;
        SL_TRY(sl__service_give(service, event));
        bool fill = market->fill != NULL && as_stream(service)->fill_gaps;
        if (fill) {
            sl_gap_fill_see(market->fill, event);
        }
        return 0;
    }
    bool top = book->emit != SL_CONF_EMIT_DELTAS; /* while a sink makes it wait the configuration may go */
    if (book->emit != SL_CONF_EMIT_TOP) {
        SL_TRY(sl__service_give(service, event));
    }
    return top ? give_best(service, event) : 0;
}

static int on_bad(void *arg, const struct sl_bad_message *message)
{
    sl__service_bad(arg, message);
    return 0;
}

static bool is_no_message(int code)
{
    return code == SL_EPROTO || code == SL_ENOTSUP || code == SL_ERANGE || code == SL_EMSGSIZE;
}

/* An answer that could not be read is kept with its reason, as a message is. */
static void on_failed(void *arg, const sl_instrument *instrument, const sl_venue_message *answer, int code,
                      const char *problem)
{
    struct sl_program_service *service = arg;
    sl_log_with(SL_LOG_WARNING, "a snapshot of a book failed; it is asked for again",
                sl_field_text("service", service->name), sl_field_text("instrument", instrument->symbol),
                sl_field_text("problem", problem));
    if (answer->text != NULL && is_no_message(code)) {
        struct sl_bad_message bad = {.text = answer->text,
                                     .size_bytes = answer->size_bytes,
                                     .receive_time_ns = answer->receive_time_ns,
                                     .code = code,
                                     .problem = problem};
        ((struct market *)service->life)->bad_answers++;
        sl__service_bad(service, &bad);
    }
}

/* ---- recording ---- */

static int on_frame(void *arg, const sl_connection *connection, const char *text, size_t size_bytes,
                    int64_t receive_time_ns)
{
    sl_capture_line line = {
        .kind = SL_CAPTURE_RECEIVED, .text = text, .size_bytes = size_bytes, .receive_time_ns = receive_time_ns};
    return sl__service_record(arg, sl_connection_number(connection), &line);
}

static int on_lost(void *arg, const sl_connection *connection, const sl_subscription *what, bool last)
{
    char text[SL_SYMBOL_MAX + 64];
    int size = snprintf(text, sizeof text, "%s %s %s", sl_feed_name(what->feed), what->instrument->symbol,
                        last ? "last" : "carried");
    sl_capture_line line = {
        .kind = SL_CAPTURE_CLOSED, .text = text, .size_bytes = (size_t)size, .receive_time_ns = sl_now_wall()};
    return sl__service_record(arg, sl_connection_number(connection), &line);
}

/* ---- which instruments ---- */

static int wish_for(struct market *market, const sl_subscription *what)
{
    if (market->wish_count == market->wish_capacity) {
        size_t capacity = market->wish_capacity == 0 ? 64 : market->wish_capacity * 2;
        sl_subscription *wishes = sl_realloc(market->wishes, capacity * sizeof *wishes);
        if (wishes == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu subscriptions", capacity);
        }
        market->wishes = wishes;
        market->wish_capacity = capacity;
    }
    market->wishes[market->wish_count++] = *what;
    return 0;
}

/* One subscription for each channel, and each length of candles. */
static int wish_for_all(const struct sl_program_service *service, const sl_instrument *instrument)
{
    struct market *market = service->life;
    const struct sl_conf_stream *stream = as_stream(service);
    const struct sl_conf_book *book = as_book(service);
    if (book != NULL) {
        return wish_for(market, &(sl_subscription){.feed = SL_FEED_DEPTH,
                                                   .instrument = instrument,
                                                   .depth = (uint32_t)book->depth,
                                                   .interval_ns = book->interval});
    }
    for (size_t at = 0; stream != NULL && at < stream->channels.count; at++) {
        sl_subscription what = {.feed = sl_conf_feed_of(((const int *)stream->channels.items)[at]),
                                .instrument = instrument};
        size_t lengths = what.feed == SL_FEED_CANDLES ? stream->candles.count : 1;
        for (size_t length = 0; length < lengths; length++) {
            what.interval_ns = what.feed == SL_FEED_CANDLES ? ((const sl_time *)stream->candles.items)[length] : 0;
            SL_TRY(wish_for(market, &what));
        }
    }
    return 0;
}

/* What was lost and not handed over may be nobody's for a while: that is told. */
static bool elsewhere(void *arg, const sl_instrument *instrument)
{
    const struct sl_program_service *service = arg;
    return sl__service_elsewhere(service, instrument) &&
           !sl_replicas_lost(sl_program_replicas(service->parts), instrument);
}

/* Where somebody else, or an earlier life, has followed some of it, what is missing since then is told. */
static int go_on_with(struct sl_program_service *service, const sl_subscription *what)
{
    const struct market *market = service->life;
    sl_replicas *replicas = sl_program_replicas(service->parts);
    sl_positions *positions = sl_replicas_positions(replicas);
    int64_t id = 0;
    bool seamless = false;
    if (!sl_positions_claim(positions, service->name, what->instrument, what->feed, &id, &seamless) &&
        !sl_replicas_unclean(replicas, what->instrument, service->chosen)) {
        return 0;
    }
    int code = sl_stream_resume(market->stream, what->instrument, what->feed, id, seamless);
    if (code < 0) { /* it was not told: the next life is to */
        char key[SL_POSITION_KEY_MAX];
        (void)sl_position_key(service->name, what->instrument, what->feed, key);
        int kept = sl_positions_expect(positions, key, id, seamless);
        (void)kept; /* there is room: it was there a moment ago */
    }
    return code;
}

static int go_on(struct sl_program_service *service, size_t count)
{
    const struct market *market = service->life;
    for (size_t at = 0; at < count; at++) {
        SL_TRY(go_on_with(service, &market->wishes[at]));
    }
    return 0;
}

/*
 * Without an entry for it: a connection that ends sooner was none, and the next attempt waits longer. Else a venue that accepts all
 * and then cuts would be called as often as it lets anybody connect, for ever.
 */
#define STABLE_AFTER SL_SECONDS(10)

/* How its connections are tried again. */
static void retry_of(const struct sl_program_service *service, struct sl_backoff *ret_backoff, sl_time *ret_stable)
{
    const struct sl_conf *conf = sl_config_root(service->config);
    const char *name = sl_conf_retry_of(conf, service->variant);
    const struct sl_conf_retry *retry = name == NULL ? NULL : sl_config_map_find(&conf->retry, name);
    *ret_backoff = retry == NULL ? (struct sl_backoff){0} : sl_conf_backoff(retry);
    *ret_stable = retry == NULL ? STABLE_AFTER : retry->stable_after == 0 ? SL_NEVER : retry->stable_after;
}

/* While it is not followed somebody else may give out others, or nobody does: then the first one is news. */
static void forget_bests(const struct market *market, const sl_instruments *table)
{
    for (size_t at = 0; at < market->best_count; at++) {
        struct best *best = &market->bests[at];
        best->given = best->given && sl_stream_follows(market->stream, sl_instruments_at(table, at));
    }
}

/* Told of all: what is wanted is followed, what is not is left; the rest goes on untouched. */
static int follow(struct sl_program_service *service, const sl_instrument *instrument, bool wanted)
{
    struct market *market = service->life;
    if (instrument != NULL) {
        return wanted ? wish_for_all(service, instrument) : 0;
    }
    size_t count = market->wish_count;
    struct sl_stream_wanted all = {.all = market->wishes, .count = count, .elsewhere = elsewhere, .arg = service};
    market->wish_count = 0;
    struct sl_backoff backoff;
    sl_time stable_after = 0;
    retry_of(service, &backoff, &stable_after);
    SL_TRY(sl_stream_set_retry(market->stream, &backoff, stable_after));
    SL_TRY(sl_stream_set(market->stream, &all, NULL));
    forget_bests(market, sl_program_instruments(service->parts));
    return go_on(service, count);
}

/* ---- its life ---- */

static const char *next_address(void *arg)
{
    return sl_access_local_address(((const struct sl_program_service *)arg)->access);
}

static int make_stream(struct sl_program_service *service, sl_stream_service **ret_stream)
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
        .local_address = next_address,
        .proxy = sl_access_proxy(access),
        .deflate = connections->compression,
        .silence = connections->silence,
        .connect_timeout = connections->connect_timeout,
        .rotate = connections->rotate,
        .message_bytes_max = connections->max_message_bytes,
        .stale_after = book == NULL ? as_stream(service)->stale_after : book->stale_after,
        .priority = sl_conf_service(service->variant)->priority - SL_CONF_PRIORITY_NORMAL,
        .connects = sl_access_connects(access),
        .http = sl_access_http(access),
        .rest_origin = sl_access_rest_origin(access),
        .snapshot_depth = book == NULL ? 0 : (uint32_t)(book->snapshot_depth != 0 ? book->snapshot_depth : book->depth),
        .verify = book == NULL ? 0 : book->verify,
        .arg = service,
        .event = on_event,
        .bad = on_bad,
        .failed = on_failed,
    };
    retry_of(service, &options.backoff, &options.stable_after);
    if (sl_program_recording(service->parts) != NULL) {
        options.frame = on_frame;
        options.answer = sl__service_record_answer;
        options.lost = on_lost;
    }
    return sl_stream_new(&options, ret_stream);
}

static int run_stream(struct sl_program_service *service, struct market *market)
{
    SL_TRY(sl__service_reach(service));
    SL_TRY(make_stream(service, &market->stream));
    sl_stream_pause(market->stream, service->paused);
    service->chosen = 0; /* what an earlier life has chosen says nothing of this one */
    service->life = market;
    SL_SCOPE(scope, .name = service->name);
    int code = as_stream(service) != NULL ? sl_gap_fill_open(&scope, service, market->stream, &market->fill) : 0;
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, market->stream, .name = "stream") : code;
    code = code == 0 ? sl__service_keep_choosing(service, follow) : code;
    return sl_scope_close(&scope, code);
}

static void look(const struct sl_program_service *service, struct sl_service_look *ret_look)
{
    struct market *market = service->life;
    struct sl_stream_stats stream = sl_stream_get_stats(market->stream);
    const sl_books *books = sl_stream_books(market->stream);
    /* Others may have all instruments. */
    bool idle = service->wanted == 0 && sl_replicas_shared(sl_program_replicas(service->parts));
    *ret_look = (struct sl_service_look){
        .works = stream.live > 0 || stream.active > 0 || idle,
        .reason = stream.live > 0 || idle ? NULL
                  : stream.active > 0     ? "subscriptions wait for their turn, or for the venue's word"
                                          : "no connection is live",
        .degraded = stream.live == 0 && stream.active > 0 && !idle,
        .quiet_for = idle ? 0 : QUIET_FOR,
        .messages = stream.messages,
        .bytes = stream.bytes,
        .bad = stream.bad + market->bad_answers,
        .unknown = stream.unknown,
        .reconnects = stream.reconnects,
        .rotations = stream.rotations,
        .connections = stream.connections,
        .live = stream.live,
        .subscriptions = stream.subscriptions,
        .refused = stream.refused,
        .stale = stream.stale,
        .books = books == NULL ? 0 : sl_books_get_stats(books)->books,
        .stale_books = books == NULL ? 0 : sl_books_get_stats(books)->stale,
        .resyncs = books == NULL ? 0 : sl_books_get_stats(books)->gaps,
    };
    if (ret_look->works && ret_look->stale_books > 0) {
        ret_look->degraded = true;
        const struct sl_books_stats *stats = sl_books_get_stats(books);
        (void)snprintf(market->reason, sizeof market->reason, "books wait for their snapshots%s%s",
                       stats->problem[0] == '\0' ? "" : "; ", stats->problem);
        ret_look->reason = market->reason;
    }
    if (stream.live > 0 && stream.refused > 0) {
        ret_look->works = stream.active > 0 || stream.refused < stream.subscriptions;
        ret_look->degraded = true;
        (void)snprintf(market->reason, sizeof market->reason, "the venue refused %zu subscriptions; the log has why",
                       stream.refused);
        ret_look->reason = market->reason;
    }
}

static bool follows(const struct sl_program_service *service, const sl_instrument *instrument)
{
    return sl_stream_follows(((const struct market *)service->life)->stream, instrument);
}

static void pending(const struct sl_program_service *service, void (*each)(void *arg, const sl_subscription *what),
                    void *arg)
{
    sl_stream_each_pending(((const struct market *)service->life)->stream, each, arg);
}

static int positions(struct sl_program_service *service,
                     void (*each)(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id), void *arg)
{
    return sl_stream_positions(((const struct market *)service->life)->stream, each, arg);
}

/* The next life, or the next process, goes on from here. */
static void remember(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    const struct sl_program_service *service = arg;
    char key[SL_POSITION_KEY_MAX];
    (void)sl_position_key(service->name, instrument, feed, key);
    int code = sl_positions_keep(sl_replicas_positions(sl_program_replicas(service->parts)), key, id);
    (void)code; /* then a gap is not told as exactly as it could be */
}

static int run(void *arg)
{
    struct sl_program_service *service = arg;
    struct market market = {.stream = NULL};
    int code = run_stream(service, &market);
    if (market.stream != NULL && sl_program_replicas(service->parts) != NULL) {
        int noted = sl_stream_positions(market.stream, remember, service);
        code = code == 0 ? noted : code;
    }
    sl__program_life_gone(service);
    service->life = NULL;
    if (market.stream != NULL) {
        sl_stream_service_close(market.stream);
    }
    sl_stream_service_free(market.stream);
    sl_gap_fill_free(market.fill);
    sl_free(market.bests);
    sl_free(market.wishes);
    return code;
}

static int resync(struct sl_program_service *service, const sl_instrument *instrument)
{
    struct market *market = service->life;
    int renewed = 0;
    for (int feed = 1; feed < SL_FEED_COUNT; feed++) {
        int code = sl_stream_resync(market->stream, (sl_feed)feed, instrument);
        SL_TRY(code);
        renewed += code;
    }
    return renewed;
}

static void pause_stream(struct sl_program_service *service, bool paused)
{
    sl_stream_pause(((struct market *)service->life)->stream, paused);
}

static void restart(struct sl_program_service *service)
{
    sl_stream_restart(((struct market *)service->life)->stream);
}

static void look_at(const struct sl_program_service *service, const sl_instrument *instrument,
                    struct sl_stream_place *ret_place)
{
    *ret_place = sl_stream_look(((const struct market *)service->life)->stream, instrument);
}

static void collect(const struct sl_program_service *service, const struct sl_label *labels, sl_scrape *scrape)
{
    const struct market *market = service->life;
    if (market->fill != NULL) {
        const struct sl_history_stats *stats = sl_gap_fill_stats(market->fill);
        sl_scrape_counter(scrape, "sluice_feed_gaps_filled_total", "Gaps of trades filled from the venue's history.",
                          labels, stats->healed);
        sl_scrape_counter(scrape, "sluice_feed_gaps_given_up_total",
                          "Gaps of trades that are not filled: its history does not, or too many wait.", labels,
                          stats->given_up);
        sl_scrape_gauge(scrape, "sluice_feed_gaps_open", "Gaps of trades that are being filled, or wait to be.", labels,
                        (double)sl_gap_fill_open_count(market->fill));
    }
}

const struct sl_service_kind sl__market_kind = {.run = run,
                                                .look = look,
                                                .collect = collect,
                                                .pause = pause_stream,
                                                .restart = restart,
                                                .look_at = look_at,
                                                .resync = resync,
                                                .follows = follows,
                                                .pending = pending,
                                                .positions = positions};
