/* SPDX-License-Identifier: MIT */
/* What people tell a running stream: to rest, to go on, to connect anew; and how one instrument stands. See stream.h. */
#include "ingest/stream_internal.h"

/* Each connection that lives ends, and what it carried is told as for any other end. */
static void cut_all(sl_stream_service *stream, const char *why)
{
    for (size_t at = 0; at < stream->shard_count; at++) {
        for (struct leg *leg = stream->shards[at]->legs; leg != NULL; leg = leg->next) {
            if (leg->scope != NULL && !leg->retired) {
                leg->cut = true;
                sl_scope_cancel(leg->scope, why);
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
    cut_all(stream, "restarted");
}

int sl__stream_wait_resumed(struct leg *leg)
{
    while (leg->shard->stream->paused) {
        SL_TRY(sl_event_wait(&leg->shard->stream->resumed));
    }
    return 0;
}

struct sl_stream_place sl_stream_look(const sl_stream_service *stream, const sl_instrument *instrument)
{
    struct sl_stream_place look = {0};
    if (instrument->index >= stream->place_count) {
        return look;
    }
    const struct places *places = &stream->places[instrument->index];
    for (int feed = 1; feed < SL_FEED_COUNT; feed++) {
        look.feeds |= places->shard[feed] != 0 ? SL_FEED_BIT(feed) : 0;
    }
    look.stale = places->stale & look.feeds;
    if (stream->books != NULL && (look.feeds & SL_FEED_BIT(SL_FEED_DEPTH)) != 0) {
        look.book = sl_books_find(stream->books, instrument, &look.book_stale);
        look.book_stale = look.book_stale || look.book == NULL;
    }
    return look;
}
