/* SPDX-License-Identifier: MIT */
/* What people tell a running stream: to rest, to go on, to connect anew; and how one instrument stands. See stream.h. */
#include "ingest/stream/stream_internal.h"

/* Each connection that lives ends, and what it carried is told as for any other end. */
static void cut_all(sl_stream_service *stream, const char *why)
{
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (struct leg *leg = stream->shards[at]->legs; leg != NULL; leg = leg->next) {
            if (leg->scope != NULL && !leg->retired) {
                leg->cut = true;
                sl_connection_end(leg->connection, leg->scope, why);
            }
        }
    }
}

void sl_stream_pause(sl_stream_service *stream, bool paused)
{
    if (paused == stream->paused) {
        return;
    }
    stream->paused = paused;
    if (paused) {
        sl_event_reset(&stream->resumed);
        cut_all(stream, "paused");
    } else {
        sl_event_set(&stream->resumed);
    }
}

void sl_stream_restart(sl_stream_service *stream)
{
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (struct leg *leg = stream->shards[at]->legs; leg != NULL; leg = leg->next) {
            sl_connection_forgive(leg->connection);
        }
    }
    cut_all(stream, "restarted");
}

int sl__stream_wait_resumed(struct leg *leg)
{
    while (leg->shard->stream->paused) {
        SL_TRY(sl_event_wait(&leg->shard->stream->resumed));
    }
    return 0;
}

/* ---- from outside ---- */

static void part(sl_stream_service *stream, const struct sl__stream_visit *visit)
{
    struct sl__stream_visit **link = &stream->visits;
    while (*link != visit) {
        link = &(*link)->next;
    }
    *link = visit->next;
    sl_event_set(&stream->alone);
}

int sl__stream_visit(sl_stream_service *stream, int (*act)(sl_stream_service *stream, void *arg), void *arg)
{
    struct sl__stream_visit visit = {.next = stream->visits};
    if (stream->closing) {
        return sl_fail(SL_ECLOSED, "%s ends", stream->options.name);
    }
    SL_TRY(sl_scope_open(&visit.scope, &(struct sl_scope_options){.name = "visit"}));
    stream->visits = &visit;
    int code = sl__stream_lock(stream);
    if (code == 0) {
        code = act(stream, arg);
        (void)sl_mutex_unlock(&stream->mutex);
    }
    part(stream, &visit); /* from here on it may be gone */
    int closed = sl_scope_close(&visit.scope, code < 0 ? code : 0);
    if (sl_scope_cancel_called(&visit.scope) && code == SL_ECANCELED) {
        return sl_fail(SL_ECLOSED, "the service ends");
    }
    return closed < 0 ? closed : code;
}

void sl__stream_dismiss(sl_stream_service *stream)
{
    for (struct sl__stream_visit *visit = stream->visits; visit != NULL; visit = visit->next) {
        sl_scope_cancel(&visit->scope, "the service ends");
    }
    SL_SCOPE(shield, .name = "visitors", .shield = true, .timeout = SL_CLEANUP_BUDGET);
    int code = 0;
    while (stream->visits != NULL && code == 0) {
        sl_event_reset(&stream->alone);
        code = sl_event_wait(&stream->alone);
    }
    (void)sl_scope_close(&shield, code);
}

void sl_stream_service_close(sl_stream_service *stream)
{
    stream->closing = true;
    sl__stream_dismiss(stream);
}

struct sl_stream_place sl_stream_look(const sl_stream_service *stream, const sl_instrument *instrument)
{
    struct sl_stream_place look = {0};
    if (instrument->index >= stream->place_count) {
        return look;
    }
    uint32_t stale = stream->places[instrument->index].stale;
    for (unsigned slot = 1; slot < sl__stream_slots(stream); slot++) {
        unsigned bit = SL_FEED_BIT(slot < SL_FEED_COUNT ? slot : SL_FEED_CANDLES);
        bool followed = sl__stream_place_of(stream, instrument, slot) != 0;
        look.feeds |= followed ? bit : 0;
        look.stale |= followed && (stale >> slot & 1) != 0 ? bit : 0;
    }
    if (stream->books != NULL && (look.feeds & SL_FEED_BIT(SL_FEED_DEPTH)) != 0) {
        look.book = sl_books_find(stream->books, instrument, &look.book_stale);
        look.book_stale = look.book_stale || look.book == NULL;
    }
    return look;
}
