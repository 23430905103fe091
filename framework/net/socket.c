/* SPDX-License-Identifier: MIT */
/*
 * Streams over sockets, TCP and Unix. Reading and writing go to the system directly, from the task; libuv
 * only tells when to try again. Readiness stays asked for from one wait to the next, so that a wait costs no
 * system call of its own.
 */
#include "socket.h"

#include <netinet/tcp.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../runtime/internal.h"
#include "network.h"
#include "resolve.h"

struct socket_stream {
    sl_stream base;
    struct sl__poll poll;
    bool readable; /* may have something: a short read empties it until the system says otherwise */
};

/* ---- readiness ---- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct sl__poll *poll = handle->data;
    if (status < 0) { /* an error on the socket, which the next call gives; libuv has stopped */
        poll->armed = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    int wanted = poll->armed;
    if ((events & (UV_READABLE | UV_DISCONNECT)) != 0) {
        poll->on_ready(poll, SL_READABLE);
        if (poll->waits->tasks[SL_READABLE] == NULL) {
            wanted &= ~UV_READABLE; /* nobody takes it now */
        }
        sl__waits_wake(poll->waits, SL_READABLE, 0);
    }
    if ((events & UV_WRITABLE) != 0) {
        wanted &= ~UV_WRITABLE;
        sl__waits_wake(poll->waits, SL_WRITABLE, 0);
    }
    sl__poll_want(poll, wanted);
}

int sl__poll_open(struct sl__poll *poll, int descriptor, struct sl__waits *waits,
                  void (*on_ready)(struct sl__poll *, enum sl__side))
{
    int code = uv_poll_init(&sl__runtime->loop, &poll->handle, descriptor);
    if (code < 0) {
        (void)close(descriptor);
        return code;
    }
    poll->handle.data = poll;
    poll->descriptor = descriptor;
    poll->waits = waits;
    poll->on_ready = on_ready;
    poll->armed = 0;
    return 0;
}

void sl__poll_want(struct sl__poll *poll, int events)
{
    if (events != poll->armed) {
        poll->armed = events;
        /* Neither can fail for a descriptor that uv_poll_init() took. */
        (void)(events == 0 ? uv_poll_stop(&poll->handle) : uv_poll_start(&poll->handle, events, on_poll));
    }
}

static void on_closed(uv_handle_t *handle)
{
    (void)sl__waits_drop(((struct sl__poll *)handle->data)->waits);
}

void sl__poll_close(struct sl__poll *poll)
{
    uv_close((uv_handle_t *)&poll->handle, on_closed);
    (void)close(poll->descriptor);
}

/* ---- the stream ---- */

static struct socket_stream *self_of(sl_stream *stream)
{
    return (struct socket_stream *)stream;
}

static void on_stream_ready(struct sl__poll *poll, enum sl__side side)
{
    (void)side;
    SL_CONTAINER(poll, struct socket_stream, poll)->readable = true;
}

static int socket_receive(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct socket_stream *self = self_of(stream);
    if (!self->readable) {
        return SL_EAGAIN;
    }
    ssize_t bytes;
    do {
        bytes = recv(self->poll.descriptor, buffer, size_bytes, 0);
    } while (bytes < 0 && errno == EINTR);
    if (bytes > 0) {
        self->readable = (size_t)bytes == size_bytes;
        *ret_bytes = (size_t)bytes;
        return 0;
    }
    if (bytes == 0) {
        return SL_EOF;
    }
    int code = -errno;
    if (code == SL_EAGAIN) {
        self->readable = false;
        return code;
    }
    return sl_fail(code, "read: %s", sl_strerror(code));
}

static int socket_send(sl_stream *stream, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes)
{
    struct iovec vectors[SL_STREAM_PIECES_MAX];
    for (size_t i = 0; i < count; i++) {
        vectors[i] = (struct iovec){(void *)pieces[i].data, pieces[i].size_bytes};
    }
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t bytes;
    do {
        bytes = sendmsg(self_of(stream)->poll.descriptor, &message, MSG_NOSIGNAL);
    } while (bytes < 0 && errno == EINTR);
    if (bytes > 0) {
        *ret_bytes = (size_t)bytes;
        return 0;
    }
    int code = bytes == 0 ? SL_EAGAIN : -errno;
    return code == SL_EAGAIN ? code : sl_fail(code, "write: %s", sl_strerror(code));
}

static int socket_shutdown(sl_stream *stream)
{
    if (shutdown(self_of(stream)->poll.descriptor, SHUT_WR) == 0 || errno == ENOTCONN) {
        return 0;
    }
    int code = -errno;
    return sl_fail(code, "shutdown: %s", sl_strerror(code));
}

static void socket_arm(sl_stream *stream, enum sl__side side)
{
    struct sl__poll *poll = &self_of(stream)->poll;
    sl__poll_want(poll, poll->armed | (side == SL_READABLE ? UV_READABLE : UV_WRITABLE));
}

static void socket_look_anew(sl_stream *stream)
{
    self_of(stream)->readable = true;
}

static void socket_close(sl_stream *stream, bool reset)
{
    struct socket_stream *self = self_of(stream);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(self->poll.descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    sl__poll_close(&self->poll);
}

static void socket_describe(const sl_stream *stream, bool peer, char *text, size_t text_bytes)
{
    int descriptor = ((const struct socket_stream *)stream)->poll.descriptor;
    struct sl__address address = {.size_bytes = sizeof address.is};
    int failed = peer ? getpeername(descriptor, &address.is.any, &address.size_bytes)
                      : getsockname(descriptor, &address.is.any, &address.size_bytes);
    if (failed != 0) {
        address = (struct sl__address){.size_bytes = 0};
    }
    sl__address_text(&address, text, text_bytes);
}

static const struct sl_stream_ops socket_ops = {.receive = socket_receive,
                                                .send = socket_send,
                                                .shutdown = socket_shutdown,
                                                .arm = socket_arm,
                                                .look_anew = socket_look_anew,
                                                .close = socket_close,
                                                .describe = socket_describe};

int sl__socket_stream(int descriptor, sl_stream **ret_stream)
{
    struct socket_stream *self = sl_calloc(1, sizeof *self);
    if (self == NULL) {
        (void)close(descriptor);
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    sl__stream_init(&self->base, &socket_ops, true);
    int code = sl__poll_open(&self->poll, descriptor, &self->base.waits, on_stream_ready);
    if (code < 0) {
        sl_free(self);
        return sl_fail(code, "socket: %s", sl_strerror(code));
    }
    int on = 1; /* small messages go at once; not for Unix sockets, which do not mind */
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    self->readable = true;
    *ret_stream = &self->base;
    return 0;
}

/* ---- connecting ---- */

static int start_connect(int descriptor, const struct sl__address *where, const struct sl__address *local)
{
    if (local != NULL && bind(descriptor, &local->is.any, local->size_bytes) != 0) {
        return -errno;
    }
    return connect(descriptor, &where->is.any, where->size_bytes) == 0 || errno == EINPROGRESS ? 0 : -errno;
}

/* Until the system says how the connection attempt ended. After SL_ECLOSED there is no stream. */
static int finish_connect(sl_stream *stream)
{
    SL_TRY(sl__stream_wait(stream, SL_WRITABLE));
    int code = 0;
    socklen_t bytes = sizeof code;
    (void)getsockopt(self_of(stream)->poll.descriptor, SOL_SOCKET, SO_ERROR, &code, &bytes);
    return -code;
}

static int sockets_connect(const struct sl__address *where, const struct sl__address *local, sl_stream **ret_stream)
{
    char text[SL_ADDRESS_TEXT_BYTES];
    sl__address_text(where, text, sizeof text);
    int descriptor = socket(where->is.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        int code = -errno;
        return sl_fail(code, "connect to %s: %s", text, sl_strerror(code));
    }
    int code = start_connect(descriptor, where, local);
    if (code < 0) {
        (void)close(descriptor);
        return sl_fail(code, "connect to %s: %s", text, sl_strerror(code));
    }
    sl_stream *stream = NULL;
    SL_TRY(sl__socket_stream(descriptor, &stream));
    code = finish_connect(stream);
    if (code < 0) {
        sl_stream_close(stream);
        return code == SL_ECANCELED ? code : sl_fail(code, "connect to %s: %s", text, sl_strerror(code));
    }
    *ret_stream = stream;
    return 0;
}

const struct sl__network sl__network_sockets = {
    .connect = sockets_connect, .listen = sl__sockets_listen, .resolve = sl__dns_resolve};
