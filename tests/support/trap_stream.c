/* SPDX-License-Identifier: MIT */
/* See trap_stream.h. */
#include "trap_stream.h"

#include "net/stream.h"

struct trap_stream {
    sl_stream base;
    sl_stream *inner;
    struct trap *trap;
};

static size_t at_most(const struct trap *trap, size_t size_bytes)
{
    return trap->step == 0 || size_bytes < trap->step ? size_bytes : trap->step;
}

static int trap_receive(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct trap_stream *self = (struct trap_stream *)stream;
    return self->inner->ops->receive(self->inner, buffer, at_most(self->trap, size_bytes), ret_bytes);
}

static int trap_send(sl_stream *stream, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes)
{
    struct trap_stream *self = (struct trap_stream *)stream;
    struct sl_bytes piece = {pieces->data, at_most(self->trap, pieces->size_bytes)};
    (void)count;
    return self->inner->ops->send(self->inner, &piece, 1, ret_bytes);
}

static int trap_shutdown(sl_stream *stream)
{
    sl_stream *inner = ((struct trap_stream *)stream)->inner;
    return inner->ops->shutdown(inner);
}

static int trap_wait(sl_stream *stream, enum sl__side side)
{
    struct trap_stream *self = (struct trap_stream *)stream;
    struct trap *trap = self->trap;
    if (trap->waits > 0 && --trap->waits == 0) {
        trap->sprung = true;
        sl_scope_cancel(trap->scope, "the trap");
    }
    return sl__stream_wait(self->inner, side);
}

static void trap_close(sl_stream *stream, bool reset)
{
    (reset ? sl_stream_reset : sl_stream_close)(((struct trap_stream *)stream)->inner);
    (void)sl__waits_drop(&stream->waits);
}

static void trap_describe(const sl_stream *stream, bool peer, char *text, size_t text_bytes)
{
    const sl_stream *inner = ((const struct trap_stream *)stream)->inner;
    inner->ops->describe(inner, peer, text, text_bytes);
}

static const struct sl_stream_ops trap_ops = {.receive = trap_receive,
                                              .send = trap_send,
                                              .shutdown = trap_shutdown,
                                              .wait = trap_wait,
                                              .close = trap_close,
                                              .describe = trap_describe};

int trap_stream_open(sl_stream *inner, struct trap *trap, sl_stream **ret_stream)
{
    struct trap_stream *self = sl_calloc(1, sizeof *self);
    if (self == NULL) {
        sl_stream_close(inner);
        return SL_ENOMEM;
    }
    sl__stream_init(&self->base, &trap_ops, false);
    self->inner = inner;
    self->trap = trap;
    *ret_stream = &self->base;
    return 0;
}
