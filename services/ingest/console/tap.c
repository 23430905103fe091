/* SPDX-License-Identifier: MIT */
/* Listeners of passing events: each has two buffers, one that fills while the other is sent. */
#include "ingest/console/tap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "market/event_json.h"
#include "sluice/scope.h"
#include "sluice/sync.h"

/* What passes within this goes out together. */
#define GATHER SL_MILLISECONDS(20)
#define FILTER_BYTES 64

struct sl__tap_listener {
    sl_tap *tap;
    struct sl__tap_listener *next;
    char kind[FILTER_BYTES], venue[FILTER_BYTES], instrument[FILTER_BYTES]; /* "": any */
    sl_feed feed;                                                           /* SL_FEED_NONE: any */
    char *filling, *sending;
    size_t bytes;
    uint64_t dropped; /* since it was told last */
    sl_event wake;
};

static bool wants(const struct sl__tap_listener *listener, const sl_market_event *event)
{
    const sl_instrument *instrument = event->instrument;
    return (listener->kind[0] == '\0' || strcmp(listener->kind, sl_event_kind_name(event->kind)) == 0) &&
           (listener->feed == SL_FEED_NONE || listener->feed == event->feed) &&
           (listener->venue[0] == '\0' || strcmp(listener->venue, sl_venue_name(instrument->venue)) == 0) &&
           (listener->instrument[0] == '\0' || strcmp(listener->instrument, instrument->symbol) == 0 ||
            sl_instrument_matches(instrument, listener->instrument));
}

void sl__tap_pass(sl_tap *tap, const sl_market_event *event)
{
    for (struct sl__tap_listener *at = tap->first; at != NULL; at = at->next) {
        if (!wants(at, event)) {
            continue;
        }
        if (SL_TAP_QUEUE_BYTES - at->bytes < sl_event_json_bound(event) + 1) {
            at->dropped++;
        } else {
            at->bytes += sl_event_json_write(event, NULL, at->filling + at->bytes);
            at->filling[at->bytes++] = '\n';
        }
        sl_event_set(&at->wake);
    }
}

static int send(struct sl__tap_listener *listener, sl_http_exchange *exchange)
{
    char *full = listener->filling;
    size_t bytes = listener->bytes;
    uint64_t dropped = listener->dropped;
    listener->filling = listener->sending;
    listener->sending = full;
    listener->bytes = 0;
    listener->dropped = 0;
    sl_event_reset(&listener->wake);
    SL_TRY(sl_http_write(exchange, full, bytes));
    if (dropped > 0) {
        char line[48];
        int length = snprintf(line, sizeof line, "{\"dropped\":%" PRIu64 "}\n", dropped);
        SL_TRY(sl_http_write(exchange, line, (size_t)length));
    }
    return sl_http_flush(exchange);
}

static int listen(struct sl__tap_listener *listener, sl_http_exchange *exchange)
{
    SL_TRY(sl_http_watch(exchange));
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200, .content_type = "application/x-ndjson"}));
    SL_TRY(sl_http_flush(exchange));
    for (;;) {
        SL_TRY(sl_event_wait(&listener->wake));
        SL_TRY(sl_sleep(GATHER));
        SL_TRY(send(listener, exchange));
    }
}

static int filter_of(sl_http_exchange *exchange, const char *name, char text[FILTER_BYTES])
{
    int code = sl_http_query(exchange->request, name, text, FILTER_BYTES);
    if (code == SL_ENOENT) {
        text[0] = '\0';
        code = 0;
    }
    return code;
}

static bool is_kind(const char *name)
{
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        if (strcmp(name, sl_event_kind_name((sl_event_kind)kind)) == 0) {
            return true;
        }
    }
    return false;
}

/* A name that nothing has is refused: it would be waited for, for ever. */
static int filters_of(sl_http_exchange *exchange, struct sl__tap_listener *listener)
{
    char channel[FILTER_BYTES];
    SL_TRY(filter_of(exchange, "kind", listener->kind));
    SL_TRY(filter_of(exchange, "venue", listener->venue));
    SL_TRY(filter_of(exchange, "instrument", listener->instrument));
    SL_TRY(filter_of(exchange, "channel", channel));
    listener->feed = strcmp(channel, "book") == 0 ? SL_FEED_DEPTH : sl_feed_find(channel);
    bool known = (channel[0] == '\0' || listener->feed != SL_FEED_NONE) &&
                 (listener->kind[0] == '\0' || is_kind(listener->kind)) &&
                 (listener->venue[0] == '\0' || sl_venue_find(listener->venue) != SL_VENUE_NONE);
    return known ? 0 : SL_EINVAL;
}

static int refuse(sl_http_exchange *exchange, int status, const char *body)
{
    return sl_http_respond(exchange, status, "application/json", body, strlen(body));
}

static void unlink_listener(struct sl__tap_listener *listener)
{
    struct sl__tap_listener **link = &listener->tap->first;
    while (*link != listener) {
        link = &(*link)->next;
    }
    *link = listener->next;
    listener->tap->listeners--;
}

int sl_tap_serve(void *arg, sl_http_exchange *exchange)
{
    sl_tap *tap = arg;
    if (tap->listeners >= SL_TAP_LISTENERS_MAX) {
        return refuse(exchange, 503, "{\"error\":{\"code\":\"SL_EBUSY\",\"message\":\"too many listen already\"}}");
    }
    struct sl__tap_listener *listener = sl_calloc(1, sizeof *listener + 2 * SL_TAP_QUEUE_BYTES);
    if (listener == NULL) {
        return refuse(exchange, 503, "{\"error\":{\"code\":\"SL_ENOMEM\",\"message\":\"no memory\"}}");
    }
    listener->tap = tap;
    listener->filling = (char *)(listener + 1);
    listener->sending = listener->filling + SL_TAP_QUEUE_BYTES;
    sl_event_init(&listener->wake);
    int code = filters_of(exchange, listener);
    if (code < 0) {
        code = refuse(exchange, 400,
                      "{\"error\":{\"code\":\"SL_EINVAL\",\"message\":\"no such kind, channel or venue\"}}");
    } else {
        listener->next = tap->first;
        tap->first = listener;
        tap->listeners++;
        code = listen(listener, exchange);
        unlink_listener(listener);
    }
    sl_free(listener);
    return code;
}
