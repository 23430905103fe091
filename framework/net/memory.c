/* SPDX-License-Identifier: MIT */
/* Pairs of streams in memory: two bounded byte rings, one for each direction. */
#include <stdio.h>
#include <string.h>

#include "stream.h"

struct memory_stream;

/* One direction. Its writer fills it, its reader empties it; NULL once they are closed. */
struct ring {
    size_t capacity, head, count;
    unsigned ends; /* that are open */
    bool ended;    /* the writer's side was shut down or closed */
    bool reset;
    struct memory_stream *reader, *writer;
    unsigned char bytes[];
};

struct memory_stream {
    sl_stream base;
    struct ring *in, *out;
};

/* The rings live as long as one of the ends does. */
static void leave(struct ring *ring)
{
    if (--ring->ends == 0) {
        sl_free(ring);
    }
}

static void wake(struct memory_stream *stream, enum sl__side side)
{
    if (stream != NULL) {
        sl__waits_wake(&stream->base.waits, side, 0);
    }
}

static int memory_receive(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct ring *in = ((struct memory_stream *)stream)->in;
    if (in->count == 0) {
        if (in->reset) {
            return sl_fail(SL_ECONNRESET, "the peer reset the stream");
        }
        return in->ended ? SL_EOF : SL_EAGAIN;
    }
    size_t bytes = size_bytes < in->count ? size_bytes : in->count;
    size_t first = bytes < in->capacity - in->head ? bytes : in->capacity - in->head;
    memcpy(buffer, in->bytes + in->head, first);
    memcpy((unsigned char *)buffer + first, in->bytes, bytes - first);
    in->head = (in->head + bytes) % in->capacity;
    in->count -= bytes;
    wake(in->writer, SL_WRITABLE);
    *ret_bytes = bytes;
    return 0;
}

static int memory_send(sl_stream *stream, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes)
{
    (void)count; /* one piece at a time */
    struct ring *out = ((struct memory_stream *)stream)->out;
    if (out->reader == NULL) {
        return sl_fail(out->reset ? SL_ECONNRESET : SL_EPIPE, "the stream is closed");
    }
    size_t tail = (out->head + out->count) % out->capacity;
    size_t room = tail < out->head ? out->head - tail : out->capacity - tail;
    if (out->count == out->capacity) {
        return SL_EAGAIN;
    }
    size_t bytes = pieces->size_bytes < room ? pieces->size_bytes : room;
    memcpy(out->bytes + tail, pieces->data, bytes);
    out->count += bytes;
    wake(out->reader, SL_READABLE);
    *ret_bytes = bytes;
    return 0;
}

static int memory_shutdown(sl_stream *stream)
{
    struct ring *out = ((struct memory_stream *)stream)->out;
    out->ended = true;
    wake(out->reader, SL_READABLE);
    return 0;
}

static void memory_close(sl_stream *stream, bool reset)
{
    struct memory_stream *self = (struct memory_stream *)stream;
    self->out->ended = true;
    if (reset) {
        self->out->reset = self->in->reset = true;
        self->out->count = 0;
    }
    self->out->writer = self->in->reader = NULL;
    wake(self->out->reader, SL_READABLE);
    wake(self->in->writer, SL_WRITABLE);
    leave(self->in);
    leave(self->out);
    (void)sl__waits_drop(&stream->waits);
}

static void memory_describe(const sl_stream *stream, bool peer, char *text, size_t text_bytes)
{
    (void)stream;
    (void)peer;
    (void)snprintf(text, text_bytes, "memory");
}

static const struct sl_stream_ops memory_ops = {.receive = memory_receive,
                                                .send = memory_send,
                                                .shutdown = memory_shutdown,
                                                .close = memory_close,
                                                .describe = memory_describe};

int sl_stream_memory_pair(size_t capacity, sl_stream **ret_one, sl_stream **ret_other)
{
    if (capacity == 0) {
        return sl_fail(SL_EINVAL, "sl_stream_memory_pair(): no capacity");
    }
    size_t ring_bytes;
    if (__builtin_add_overflow(sizeof(struct ring), capacity, &ring_bytes)) {
        return sl_fail(SL_ENOMEM, "no memory for a pair of streams");
    }
    struct memory_stream *one = sl_calloc(1, sizeof *one);
    struct memory_stream *other = sl_calloc(1, sizeof *other);
    struct ring *there = sl_calloc(1, ring_bytes);
    struct ring *back = sl_calloc(1, ring_bytes);
    if (one == NULL || other == NULL || there == NULL || back == NULL) {
        sl_free(one);
        sl_free(other);
        sl_free(there);
        sl_free(back);
        return sl_fail(SL_ENOMEM, "no memory for a pair of streams");
    }
    *there = (struct ring){.capacity = capacity, .ends = 2, .writer = one, .reader = other};
    *back = (struct ring){.capacity = capacity, .ends = 2, .writer = other, .reader = one};
    sl__stream_init(&one->base, &memory_ops, false);
    sl__stream_init(&other->base, &memory_ops, false);
    one->out = other->in = there;
    one->in = other->out = back;
    *ret_one = &one->base;
    *ret_other = &other->base;
    return 0;
}
