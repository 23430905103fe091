/* SPDX-License-Identifier: MIT */
/* Walking through a venue's history. See history.h. */
#include "ingest/history/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/runtime.h"

#define URL_BYTES 2560
#define HALVINGS_MAX 64

/* A limit that is told in the body of an answer, a venue in trouble: asked again after a while, so often. */
#define AGAIN_MAX 6
#define AGAIN_AFTER SL_MILLISECONDS(500)

/* Where only times lead in but an id is wanted, from so long before the time; then four times as long, and so on. */
#define BACK_FIRST SL_SECONDS(10)
#define BACK_MAX SL_MINUTES(1440)

struct walk {
    const struct sl_history_options *options;
    const struct sl_history_wish *wish;
    sl_venue_decoder *decoder;
    sl_venue_answer answer;
    /* of the last page */
    size_t rows;
    int64_t first_id, last_id, first_time, last_time;
    uint32_t pages;
    bool silent; /* rows are looked at, not given out */
    char path[URL_BYTES];
};

static bool by_id(const struct sl_history_wish *wish)
{
    return wish->to_id > 0;
}

/* ---- one page ---- */

bool sl_history_wishes(const struct sl_history_wish *wish, const sl_market_event *event)
{
    if (event->kind == SL_EVENT_CANDLE) {
        int64_t open = event->as.candle.open_time_ns;
        return open >= wish->from_time_ns && open < wish->to_time_ns && event->as.candle.closed;
    }
    int64_t id = event->as.trade.id;
    return by_id(wish) ? id > wish->from_id && id < wish->to_id
                       : event->venue_time_ns >= wish->from_time_ns && event->venue_time_ns < wish->to_time_ns;
}

static int on_row(void *arg, const sl_market_event *event)
{
    struct walk *walk = arg;
    bool candle = event->kind == SL_EVENT_CANDLE;
    int64_t id = candle ? 0 : event->as.trade.id;
    int64_t time = candle ? event->as.candle.open_time_ns : event->venue_time_ns;
    bool first = walk->rows++ == 0;
    walk->first_id = first || id < walk->first_id ? id : walk->first_id;
    walk->last_id = first || id > walk->last_id ? id : walk->last_id;
    walk->first_time = first || time < walk->first_time ? time : walk->first_time;
    walk->last_time = first || time > walk->last_time ? time : walk->last_time;
    return !walk->silent && sl_history_wishes(walk->wish, event) ? walk->options->event(walk->options->arg, event) : 0;
}

/* No error in the venue's own form, but what is none of its forms. */
static bool is_nonsense(const sl_venue_answer *answer, int code)
{
    return code != SL_ENOMEM && answer->error_code == 0 && !answer->rate_limited && !answer->no_symbol;
}

static int fetch_once(struct walk *walk, const sl_venue_request *request)
{
    const struct sl_history_options *options = walk->options;
    uint32_t cost = sl_venue_cost(options->driver, request);
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_fetch(options->http, &(sl_request){.url = walk->path, .cost = cost, .priority = options->priority},
                    &response));
    sl_venue_message message = {.receive_time_ns = sl_now_wall()};
    message.text = sl_response_body(response, &message.size_bytes);
    int status = sl_response_status(response);
    bool good = status >= 200 && status <= 299;
    SL_TRY(good && !walk->silent && options->answer != NULL
               ? options->answer(options->arg, request, walk->path, &message)
               : 0);
    sl_venue_output output = {.arg = walk, .event = on_row};
    walk->rows = 0;
    walk->answer = (sl_venue_answer){0};
    int code = sl_venue_decode_rest(walk->decoder, request, &message, &output, NULL, &walk->answer);
    if (options->asked != NULL) {
        options->asked(options->arg, walk->rows, message.size_bytes);
    }
    if (code < 0 && code != SL_ECANCELED && walk->decoder->output_code >= 0) {
        if (good && options->bad != NULL && is_nonsense(&walk->answer, code)) {
            options->bad(options->arg, &message, code, sl_venue_problem(walk->decoder));
        }
        code = walk->answer.no_symbol ? SL_ENOENT : status >= 500 || status == 429 ? SL_EAGAIN : code;
        return sl_fail(code, "history of %s: HTTP status %d: %s", request->instrument->symbol, status,
                       sl_venue_problem(walk->decoder));
    }
    return code;
}

static int fetch(struct walk *walk, const sl_venue_request *request)
{
    size_t origin_bytes = strlen(walk->options->rest_origin);
    if (walk->pages++ == SL_HISTORY_PAGES_MAX || origin_bytes >= sizeof walk->path / 2) {
        return sl_fail(SL_EMSGSIZE, "history of %s: more than %d pages, or a long address", request->instrument->symbol,
                       SL_HISTORY_PAGES_MAX);
    }
    memcpy(walk->path, walk->options->rest_origin, origin_bytes);
    int code = walk->options->driver->rest_path(request, walk->path + origin_bytes, sizeof walk->path - origin_bytes);
    if (code < 0) {
        return sl_fail(code, "history of %s: the venue has none of this kind", request->instrument->symbol);
    }
    for (int again = 0;; again++) {
        code = fetch_once(walk, request);
        if (code != SL_EAGAIN || again == AGAIN_MAX) {
            return code;
        }
        SL_TRY(sl_sleep(AGAIN_AFTER << again));
    }
}

static sl_venue_request request_for(const struct walk *walk)
{
    return (sl_venue_request){.kind = walk->wish->feed == SL_FEED_CANDLES ? SL_REQUEST_CANDLES : SL_REQUEST_TRADES,
                              .instrument = walk->wish->instrument,
                              .feed = walk->wish->feed,
                              .interval_ns = walk->wish->interval_ns};
}

/* Whether the venue understands it. */
static bool understands(const struct walk *walk, const sl_venue_request *request)
{
    char path[URL_BYTES];
    return walk->options->driver->rest_path(request, path, sizeof path) >= 0;
}

/* 1 when it is time to stop: what comes next is kept as the place to go on. */
static int keep(struct walk *walk, char kind, const char *text)
{
    char progress[SL_HISTORY_PROGRESS_MAX];
    (void)snprintf(progress, sizeof progress, "%c%s", kind, text);
    SL_TRY(walk->options->checkpoint(walk->options->arg, progress));
    return sl_stop_requested() ? 1 : 0;
}

static int keep_number(struct walk *walk, char kind, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return keep(walk, kind, text);
}

/* ---- trades ---- */

/* Whether the last page goes to the end of what is wished for. */
static bool is_through(const struct walk *walk)
{
    return by_id(walk->wish) ? walk->last_id >= walk->wish->to_id - 1 : walk->last_time >= walk->wish->to_time_ns;
}

static int too_old(const struct walk *walk)
{
    return sl_fail(SL_ERANGE, "history of %s: the venue's does not reach back so far", walk->wish->instrument->symbol);
}

/* The last page there is now: between two ids the venue has to have what came behind the gap, or not all was given out. */
static int end_here(const struct walk *walk)
{
    return !by_id(walk->wish) || walk->wish->to_id == SL_HISTORY_NEWEST || (walk->rows > 0 && is_through(walk))
               ? 0
               : sl_fail(SL_EAGAIN, "history of %s: the venue's does not reach to %" PRId64 " yet",
                         walk->wish->instrument->symbol, walk->wish->to_id);
}

/* Forward by ids. */
static int walk_ids(struct walk *walk, int64_t next)
{
    for (;;) {
        sl_venue_request request = request_for(walk);
        request.from_id = next;
        SL_TRY(fetch(walk, &request));
        if (walk->rows > 0 && by_id(walk->wish) && walk->first_id > next) {
            return too_old(walk);
        }
        if (walk->rows == 0 || walk->last_id < next) {
            return end_here(walk); /* nothing newer */
        }
        if (is_through(walk)) {
            return 0;
        }
        next = walk->last_id + 1;
        int code = keep_number(walk, 'i', next);
        if (code != 0) {
            return code;
        }
    }
}

/* Forward by what each answer says; each page has to go further than the one before, or that would never end. */
static int walk_cursor(struct walk *walk, const char *cursor)
{
    for (;;) {
        int64_t before = walk->rows > 0 ? walk->last_id : -1;
        sl_venue_request request = request_for(walk);
        (void)snprintf(request.cursor, sizeof request.cursor, "%s", cursor);
        SL_TRY(fetch(walk, &request));
        if (walk->rows == 0 || is_through(walk) || !walk->answer.more) {
            return end_here(walk);
        }
        if (walk->last_id <= before) {
            return sl_fail(SL_EPROTO, "history of %s: the venue's next page is no later one",
                           request.instrument->symbol);
        }
        cursor = walk->answer.cursor;
        int code = keep(walk, 'c', cursor);
        if (code != 0) {
            return code;
        }
    }
}

/* Forward from the page that is here, by whatever the venue has. */
static int walk_on(struct walk *walk)
{
    if (walk->rows == 0 || is_through(walk) || !walk->answer.more) {
        return end_here(walk);
    }
    if (walk->answer.cursor[0] != '\0') {
        int code = keep(walk, 'c', walk->answer.cursor);
        return code != 0 ? code : walk_cursor(walk, walk->answer.cursor);
    }
    int64_t next = walk->last_id + 1;
    int code = keep_number(walk, 'i', next);
    return code != 0 ? code : walk_ids(walk, next);
}

/* Where the venue has only a last part of its history, that has to begin before the time. */
static int walk_times(struct walk *walk)
{
    sl_venue_request request = request_for(walk);
    request.from_time_ns = walk->wish->from_time_ns;
    SL_TRY(fetch(walk, &request));
    bool reaches = walk->rows == 0 || walk->answer.more || walk->first_time <= request.from_time_ns ||
                   walk->options->driver->consecutive_trades;
    return reaches ? walk_on(walk) : too_old(walk);
}

/* Between two ids where only times lead in: from earlier and earlier, until the first id is behind the beginning. */
static int walk_back(struct walk *walk)
{
    const struct sl_history_wish *wish = walk->wish;
    int64_t around = wish->from_time_ns > 0 ? wish->from_time_ns : sl_now_wall();
    for (sl_time back = BACK_FIRST; back <= BACK_MAX; back *= 4) {
        sl_venue_request request = request_for(walk);
        request.from_time_ns = around - back;
        SL_TRY(fetch(walk, &request));
        if (walk->rows > 0 && walk->first_id <= wish->from_id + 1) {
            return walk_on(walk);
        }
    }
    return too_old(walk);
}

/* The latest ones are all there is. */
static int walk_latest(struct walk *walk)
{
    const struct sl_history_wish *wish = walk->wish;
    sl_venue_request request = request_for(walk);
    SL_TRY(fetch(walk, &request));
    bool reaches = by_id(wish) ? walk->first_id <= wish->from_id + 1 : walk->first_time <= wish->from_time_ns;
    return walk->rows > 0 && reaches ? end_here(walk) : too_old(walk);
}

/* Where a time lies among the ids: one that is before it, and one that is not. */
struct bracket {
    int64_t low, high;
    int64_t low_time, high_time; /* low_time 0: not known, only that it is before */
};

/* Looks at one trade: 1 when it is before the time, which is also so when it is too old to be kept. */
static int look_at(struct walk *walk, int64_t id, int64_t time_ns, struct bracket *bracket)
{
    sl_venue_request request = request_for(walk);
    request.from_id = id;
    request.limit = 1;
    SL_TRY(fetch(walk, &request));
    bool before = walk->rows == 0 || walk->first_time < time_ns;
    if (before) {
        bracket->low = id;
        bracket->low_time = walk->rows == 0 ? 0 : walk->first_time;
    } else {
        bracket->high = walk->first_id < id ? walk->first_id : id;
        bracket->high_time = walk->first_time;
    }
    return before;
}

/* As if trades came evenly between the two, or the middle. */
static int64_t guess_between(const struct bracket *bracket, int64_t time_ns, bool even)
{
    int64_t width = bracket->high - bracket->low;
    double share = 0.5;
    if (even && bracket->low_time > 0 && bracket->high_time > bracket->low_time) {
        share = (double)(time_ns - bracket->low_time) / (double)(bracket->high_time - bracket->low_time);
    }
    int64_t step = (int64_t)((double)width * share);
    return bracket->low + (step < 1 ? 1 : step >= width ? width - 1 : step);
}

/*
 * An id from which the first trade at or after a time is not far: ids and times grow together. From the latest ones back,
 * as far as their pace says and then twice as far each time; then between.
 */
static int find_id(struct walk *walk, int64_t time_ns, int64_t *ret_id)
{
    sl_venue_request request = request_for(walk);
    walk->silent = true;
    SL_TRY(fetch(walk, &request));
    struct bracket bracket = {.low = 0, .high = walk->first_id, .high_time = walk->first_time};
    *ret_id = walk->rows == 0 ? 1 : walk->first_id;
    int64_t near = walk->last_id - walk->first_id + 1; /* about a page: it is on the one that begins there */
    if (walk->rows > 0 && walk->first_time >= time_ns) {
        double pace = (double)near / (double)(walk->last_time - walk->first_time + 1);
        double step = pace * 1.1 * (double)(walk->first_time - time_ns) + (double)near;
        int before = 0;
        for (int tries = 0; before == 0 && tries < HALVINGS_MAX && bracket.high > 1; tries++, step *= 2) {
            before =
                look_at(walk, step < (double)bracket.high - 1 ? bracket.high - (int64_t)step : 1, time_ns, &bracket);
        }
        for (int tries = 0; before >= 0 && bracket.high - bracket.low > near && tries < HALVINGS_MAX; tries++) {
            before = look_at(walk, guess_between(&bracket, time_ns, tries % 2 == 0), time_ns, &bracket);
        }
        SL_TRY(before);
        *ret_id = bracket.low_time > 0 ? bracket.low : bracket.low + 1;
    }
    walk->silent = false;
    return 0;
}

static int walk_trades(struct walk *walk, const char *progress)
{
    const struct sl_history_wish *wish = walk->wish;
    const sl_venue_driver *driver = walk->options->driver;
    sl_venue_request by = request_for(walk);
    by.from_id = 1;
    bool ids = understands(walk, &by) && !(driver->trades_need_key && wish->feed == SL_FEED_TRADES);
    by.from_id = 0;
    by.from_time_ns = SL_SECONDS(1);
    bool times = understands(walk, &by);
    if (progress[0] == 'c') {
        return walk_cursor(walk, progress + 1);
    }
    if (progress[0] == 'i') {
        return walk_ids(walk, strtoll(progress + 1, NULL, 10));
    }
    if (by_id(wish)) {
        bool single = driver->trades_need_key && wish->feed == SL_FEED_TRADES; /* by time there are aggregates only */
        return ids ? walk_ids(walk, wish->from_id + 1) : times && !single ? walk_back(walk) : walk_latest(walk);
    }
    if (times) {
        return walk_times(walk);
    }
    if (!ids) {
        return walk_latest(walk);
    }
    int64_t first = 0;
    SL_TRY(find_id(walk, wish->from_time_ns, &first));
    return walk_ids(walk, first);
}

/* ---- candles ---- */

static int walk_candles(struct walk *walk, const char *progress)
{
    const struct sl_history_wish *wish = walk->wish;
    int64_t most = SL_HISTORY_SPAN / wish->interval_ns;
    int64_t rows = most < 1 ? 1 : most < SL_HISTORY_CANDLES ? most : SL_HISTORY_CANDLES;
    sl_time span = rows * wish->interval_ns;
    int64_t from = progress[0] == 't' ? strtoll(progress + 1, NULL, 10) : wish->from_time_ns;
    from -= from % wish->interval_ns;
    while (from < wish->to_time_ns) {
        sl_venue_request request = request_for(walk);
        request.limit = (uint32_t)rows;
        request.from_time_ns = from;
        request.to_time_ns = from + span < wish->to_time_ns ? from + span : wish->to_time_ns;
        SL_TRY(fetch(walk, &request));
        if (walk->rows > 0 && walk->first_time >= from + span) {
            return too_old(walk); /* it begins later */
        }
        from += span;
        if (walk->rows > 0 && walk->last_time >= from) {
            from = walk->last_time + wish->interval_ns; /* some give more than was asked for */
        }
        int code = from < wish->to_time_ns ? keep_number(walk, 't', from) : 0;
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int sl_history_walk(const struct sl_history_options *options, const struct sl_history_wish *wish, const char *progress)
{
    bool candles = wish->feed == SL_FEED_CANDLES;
    unsigned kind = candles ? SL_REQUEST_CANDLES : SL_REQUEST_TRADES;
    if ((!candles && wish->feed != SL_FEED_TRADES && wish->feed != SL_FEED_AGG_TRADES) ||
        (options->driver->requests & 1u << kind) == 0) {
        return sl_fail(SL_ENOTSUP, "%s has no history of %s", options->driver->title, sl_feed_name(wish->feed));
    }
    if ((candles && wish->interval_ns <= 0) ||
        (by_id(wish) ? wish->to_id <= wish->from_id || wish->from_id < 0 : wish->to_time_ns < wish->from_time_ns)) {
        return sl_fail(SL_EINVAL, "history from later to earlier");
    }
    sl_venue_decoder_options decoder = {.venue = options->driver->venue, .instruments = options->instruments};
    struct walk *walk = sl_calloc(1, sizeof *walk);
    if (walk == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for history");
    }
    walk->options = options;
    walk->wish = wish;
    int code = sl_venue_decoder_new(&decoder, &walk->decoder);
    code = code < 0 ? code : candles ? walk_candles(walk, progress) : walk_trades(walk, progress);
    sl_venue_decoder_free(walk->decoder);
    sl_free(walk);
    return code;
}
