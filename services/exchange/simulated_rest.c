/* SPDX-License-Identifier: MIT */
/* Requests to the simulated exchange: the dialect's answers, the venue's limits, and what is wrong with them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/simulated_internal.h"
#include "sluice/runtime.h"

#define MINUTE SL_SECONDS(60)

/* Between two bytes of an answer that is slow. */
#define DRIP SL_SECONDS(1)

/* Who goes on in spite of so many refusals is banned, as at Binance. */
#define BAN_AFTER 20
#define BAN SL_SECONDS(120)

static bool is_binance(const struct venue *venue)
{
    return venue->dialect->venue >= SL_VENUE_BINANCE_SPOT && venue->dialect->venue <= SL_VENUE_BINANCE_COINM;
}

/* Binance counts weight in each minute of the clock; the others requests in a second. */
static uint64_t weight_limit(const struct venue *venue)
{
    switch (venue->dialect->venue) {
    case SL_VENUE_BINANCE_SPOT:
        return 6000;
    case SL_VENUE_BINANCE_USDM:
    case SL_VENUE_BINANCE_COINM:
        return 2400;
    default:
        return 0;
    }
}

static int respond(sl_http_exchange *request, int status, const char *name, int64_t value, const char *text,
                   size_t size_bytes)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%" PRId64, value);
    struct sl_http_field header = {name, number};
    struct sl_http_answer answer = {.status = status,
                                    .content_type = "application/json",
                                    .headers = &header,
                                    .header_count = name == NULL ? 0 : 1,
                                    .body = text,
                                    .body_bytes = size_bytes};
    return sl_http_respond_with(request, &answer);
}

static int refuse(struct venue *venue, sl_http_exchange *request, int status, sl_time retry_after)
{
    static const char text[] = "{\"code\":-1003,\"msg\":\"Too many requests.\"}";
    venue->exchange->stats.limited++;
    int64_t seconds = (retry_after + SL_SECONDS(1) - 1) / SL_SECONDS(1);
    return respond(request, status, retry_after > 0 ? "Retry-After" : NULL, seconds, text, sizeof text - 1);
}

static sl_time banned_until(const struct venue *venue)
{
    sl_time fault = sl__fault_until(venue, SL_FAULT_HTTP_418);
    return fault > venue->banned_until ? fault : venue->banned_until;
}

/* An answer that a fault gives, to a request that is about `one` (NULL: none): true and its code in `ret_code`. */
static bool faulty(struct venue *venue, sl_http_exchange *request, const sl_instrument *one, int *ret_code)
{
    sl_time now = sl_now();
    if (banned_until(venue) > now) {
        *ret_code = refuse(venue, request, 418, banned_until(venue) - now);
    } else if (sl__fault_take(venue, SL_FAULT_HTTP_429, one)) {
        *ret_code = refuse(venue, request, 429, 0);
    } else if (sl__fault_take(venue, SL_FAULT_HTTP_429_AFTER, one)) {
        *ret_code = refuse(venue, request, 429, venue->orders.retry_after);
    } else if (sl__fault_take(venue, SL_FAULT_HTTP_403, one)) {
        *ret_code = respond(request, 403, NULL, 0, "access too frequent", 19);
    } else if (sl__fault_take(venue, SL_FAULT_HTTP_500, one)) {
        *ret_code = respond(request, 500, NULL, 0, "{}", 2);
    } else if (sl__fault_take(venue, SL_FAULT_BODY_LIMIT, one)) {
        if (venue->dialect->limited == NULL) {
            *ret_code = refuse(venue, request, 429, 0);
        } else {
            struct sl_render text = {0};
            venue->dialect->limited(&text);
            venue->exchange->stats.limited++;
            *ret_code = respond(request, 200, NULL, 0, text.data, text.size_bytes);
            sl__write_done(&text);
        }
    } else {
        return false;
    }
    return true;
}

/* Charges a request: 0, or how long the client has to wait. */
static sl_time charge(struct venue *venue, unsigned weight)
{
    uint64_t limit = weight_limit(venue);
    sl_time now = sl_now(), passed = sl_now_wall() % MINUTE; /* its minutes are those of the clock */
    if (now - passed != venue->window_from) {
        venue->window_from = now - passed;
        venue->window_weight = 0;
        venue->over_limit = 0;
    }
    venue->window_weight += weight;
    if (limit == 0 || venue->window_weight <= limit) {
        return 0;
    }
    if (++venue->over_limit == BAN_AFTER) {
        venue->banned_until = sl_time_add(now, BAN);
    }
    return MINUTE - passed;
}

/* Gives the snapshot that was given before, when that is ordered; otherwise keeps this one for then. */
static void perhaps_old(struct venue *venue, const sl_instrument *one, struct sl_render *text,
                        const struct sl_rest_question *question)
{
    struct board *board = one == NULL ? NULL : sl__board_of(venue, one);
    if (board == NULL) {
        return;
    }
    char query[sizeof board->old_query];
    (void)snprintf(query, sizeof query, "%s?%s", question->path, question->query);
    bool same = strcmp(board->old_query, query) == 0 && board->old_snapshot.size_bytes > 0;
    if (same && sl__fault_take(venue, SL_FAULT_SNAPSHOT_OLD, one)) {
        struct sl_render old = board->old_snapshot;
        board->old_snapshot = *text;
        *text = old;
        return;
    }
    (void)memcpy(board->old_query, query, sizeof query);
    sl__write_begin(&board->old_snapshot);
    sl__write_bytes(&board->old_snapshot, text->data, text->size_bytes);
}

/* The answer as slowly as it can be without an end of its own. */
static int drip(sl_http_exchange *request, const struct sl_render *text)
{
    struct sl_http_answer answer = {
        .status = 200, .content_type = "application/json", .body_bytes = text->size_bytes, .close = true};
    SL_TRY(sl_http_watch(request));
    SL_TRY(sl_http_begin(request, &answer));
    for (size_t at = 0; at < text->size_bytes; at++) {
        SL_TRY(sl_http_write(request, text->data + at, 1));
        SL_TRY(sl_http_flush(request));
        SL_TRY(sl_sleep(DRIP));
    }
    return sl_http_end(request);
}

static int answer(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *question,
                  const struct sl_rest_reply *reply, struct sl_render *text)
{
    if (reply->snapshot && sl__fault_take(venue, SL_FAULT_SNAPSHOT_NEVER, reply->instrument)) {
        return sl_sleep(SL_SECONDS(3600));
    }
    sl_time wait = charge(venue, reply->weight);
    if (wait > 0) {
        return refuse(venue, request, 429, wait);
    }
    if (reply->snapshot) {
        perhaps_old(venue, reply->instrument, text, question);
    }
    if (reply->snapshot && sl__fault_take(venue, SL_FAULT_SNAPSHOT_SLOW, reply->instrument)) {
        return drip(request, text);
    }
    bool half = sl__fault_take(venue, SL_FAULT_HTTP_GARBAGE, reply->instrument);
    return respond(request, reply->status, is_binance(venue) ? "X-MBX-USED-WEIGHT-1M" : NULL,
                   (int64_t)venue->window_weight, text->data, text->size_bytes / (half ? 2 : 1));
}

int sl__venue_rest(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *question)
{
    int code = 0;
    venue->exchange->stats.requests++;
    struct sl_render text = {0};
    venue->host.now_ns = sl__venue_wall(venue);
    struct sl_rest_reply reply = sl__history_rest(&venue->host, question, &text);
    reply = reply.status != 0 ? reply : venue->dialect->rest(&venue->host, question, &text);
    if (!faulty(venue, request, reply.instrument, &code) && reply.status != 0) {
        code = text.failed != 0 ? text.failed : answer(venue, request, question, &reply, &text);
    }
    sl__write_done(&text);
    return code;
}
