/* SPDX-License-Identifier: MIT */
/* Pairs of streams in memory: two bounded byte rings, one for each direction. */
#include <string.h>

#include "stream.h"

/* One direction. Its writer fills it, its reader empties it; either may have gone. */
struct ring {
    size_t capacity, head, count;
    bool ended;     /* the writer's side was shut down or closed */
    bool abandoned; /* the reader has closed */
    bool reset;
    sl_task *reader, *writer;
    unsigned char bytes[];
};

struct memory_stream {
    sl_stream base;
    struct ring *in, *out;
    struct pair *pair;
    bool write_failed;
    bool closed;
};

/* Stays until both ends are closed and every task that waited on one has left it. */
struct pair {
    unsigned holds;
    struct memory_stream ends[2];
};

static void let_go(struct pair *pair)
{
    if (--pair->holds == 0) {
        sl_free(pair->ends[0].in);
        sl_free(pair->ends[0].out);
        sl_free(pair);
    }
}

static void wake(sl_task **slot, int result)
{
    sl_task *task = *slot;
    *slot = NULL;
    if (task != NULL) {
        sl_unpark(task, result);
    }
}

static bool stop_waiting(sl_task *task, void *object)
{
    (void)task;
    *(sl_task **)object = NULL;
    return true;
}

/* After SL_ECLOSED the stream must not be touched any more. */
static int wait_in(struct memory_stream *self, sl_task **slot, const char *what)
{
    if (*slot != NULL) {
        return sl_fail(SL_EBUSY, "another task uses this side of the stream");
    }
    *slot = sl_current();
    self->pair->holds++;
    int code = sl_park(stop_waiting, slot, what);
    code = self->closed ? SL_ECLOSED : code;
    let_go(self->pair);
    return code;
}

static int memory_read(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct memory_stream *self = (struct memory_stream *)stream;
    struct ring *in = self->in;
    SL_TRY(sl_checkpoint_if_cancelled());
    while (in->count == 0) {
        if (in->reset) {
            return sl_fail(SL_ECONNRESET, "the peer reset the stream");
        }
        if (in->ended) {
            return SL_EOF;
        }
        SL_TRY(wait_in(self, &in->reader, "stream read"));
    }
    size_t bytes = size_bytes < in->count ? size_bytes : in->count;
    size_t first = bytes < in->capacity - in->head ? bytes : in->capacity - in->head;
    memcpy(buffer, in->bytes + in->head, first);
    memcpy((unsigned char *)buffer + first, in->bytes, bytes - first);
    in->head = (in->head + bytes) % in->capacity;
    in->count -= bytes;
    wake(&in->writer, 0);
    *ret_bytes = bytes;
    return 0;
}

static int write_some(struct memory_stream *self, const unsigned char *data, size_t size_bytes)
{
    struct ring *out = self->out;
    while (size_bytes > 0) {
        if (out->abandoned || out->ended) {
            return sl_fail(out->reset ? SL_ECONNRESET : SL_EPIPE, "the stream is closed");
        }
        size_t room = out->capacity - out->count;
        if (room == 0) {
            SL_TRY(wait_in(self, &out->writer, "stream write"));
            continue;
        }
        size_t tail = (out->head + out->count) % out->capacity;
        size_t bytes = size_bytes < room ? size_bytes : room;
        bytes = bytes < out->capacity - tail ? bytes : out->capacity - tail;
        memcpy(out->bytes + tail, data, bytes);
        out->count += bytes;
        data += bytes;
        size_bytes -= bytes;
        wake(&out->reader, 0);
    }
    return 0;
}

static int memory_write(sl_stream *stream, const struct sl_bytes *pieces, size_t count)
{
    struct memory_stream *self = (struct memory_stream *)stream;
    SL_TRY(sl_checkpoint_if_cancelled());
    if (self->write_failed) {
        return sl_fail(SL_EPIPE, "an earlier write was not completed");
    }
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = write_some(self, pieces[i].data, pieces[i].size_bytes);
    }
    if (code < 0 && code != SL_ECLOSED) {
        self->write_failed = true;
    }
    return code;
}

static int memory_shutdown(sl_stream *stream)
{
    struct ring *out = ((struct memory_stream *)stream)->out;
    out->ended = true;
    wake(&out->reader, 0);
    return 0;
}

static void memory_close(sl_stream *stream, bool reset)
{
    struct memory_stream *self = (struct memory_stream *)stream;
    self->closed = true;
    self->out->ended = true;
    self->in->abandoned = true;
    if (reset) {
        self->out->reset = self->in->reset = true;
        self->out->count = 0;
    }
    wake(&self->in->reader, SL_ECLOSED);
    wake(&self->out->writer, SL_ECLOSED);
    wake(&self->out->reader, 0);
    wake(&self->in->writer, 0);
    let_go(self->pair);
}

static const struct sl_stream_ops memory_ops = {memory_read, memory_write, memory_shutdown, memory_close};

int sl_stream_memory_pair(size_t capacity, sl_stream **ret_one, sl_stream **ret_other)
{
    if (capacity == 0) {
        return sl_fail(SL_EINVAL, "sl_stream_memory_pair(): no capacity");
    }
    struct pair *pair = sl_calloc(1, sizeof *pair);
    struct ring *there = sl_calloc(1, sizeof *there + capacity);
    struct ring *back = sl_calloc(1, sizeof *back + capacity);
    if (pair == NULL || there == NULL || back == NULL) {
        sl_free(pair);
        sl_free(there);
        sl_free(back);
        return sl_fail(SL_ENOMEM, "no memory for a pair of streams");
    }
    there->capacity = back->capacity = capacity;
    pair->holds = 2;
    pair->ends[0] = (struct memory_stream){.base = {&memory_ops}, .in = back, .out = there, .pair = pair};
    pair->ends[1] = (struct memory_stream){.base = {&memory_ops}, .in = there, .out = back, .pair = pair};
    *ret_one = &pair->ends[0].base;
    *ret_other = &pair->ends[1].base;
    return 0;
}
