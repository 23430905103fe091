/* SPDX-License-Identifier: MIT */
/* Listening sockets. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../runtime/internal.h"
#include "socket.h"

#define UNIX_MODE 0600

struct socket_listener {
    sl_listener base;
    struct sl__poll poll;
    struct sl__address address;
};

static void on_ready(struct sl__poll *poll, enum sl__side side)
{
    (void)poll;
    (void)side;
}

static int socket_accept(sl_listener *listener, sl_stream **ret_stream)
{
    struct socket_listener *self = (struct socket_listener *)listener;
    int descriptor;
    do { /* a connection that went away before we took it is none */
        descriptor = accept4(self->poll.descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (descriptor >= 0) {
        return sl__socket_stream(descriptor, ret_stream);
    }
    int code = -errno;
    return code == SL_EAGAIN ? code : sl_fail(code, "accept: %s", sl_strerror(code));
}

static void socket_listener_arm(sl_listener *listener)
{
    sl__poll_want(&((struct socket_listener *)listener)->poll, UV_READABLE);
}

/* The system has no way to refuse new connections and keep those that wait; it can be told to keep no more. */
static void socket_listener_drain(sl_listener *listener)
{
    (void)listen(((struct socket_listener *)listener)->poll.descriptor, 0);
}

static bool has_path(const struct sl__address *address)
{
    return address->is.any.sa_family == AF_UNIX && address->is.local.sun_path[0] != '\0';
}

static void socket_listener_close(sl_listener *listener)
{
    struct socket_listener *self = (struct socket_listener *)listener;
    if (has_path(&self->address)) {
        (void)unlink(self->address.is.local.sun_path);
    }
    sl__poll_close(&self->poll);
}

static const struct sl_listener_ops socket_listener_ops = {.accept = socket_accept,
                                                           .arm = socket_listener_arm,
                                                           .drain = socket_listener_drain,
                                                           .close = socket_listener_close};

/* Removes a socket file that its listener left behind: connecting to it is refused. */
static void remove_stale(const struct sl__address *where)
{
    struct stat status;
    if (stat(where->is.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe >= 0 && connect(probe, &where->is.any, where->size_bytes) != 0 && errno == ECONNREFUSED) {
        (void)unlink(where->is.local.sun_path);
    }
    if (probe >= 0) {
        (void)close(probe);
    }
}

static int bind_to(int descriptor, const struct sl__address *where, const struct sl_listen_options *options)
{
    int on = 1;
    mode_t mode = options->mode == 0 ? UNIX_MODE : (mode_t)options->mode;
    if (where->is.any.sa_family == AF_UNIX) {
        if (has_path(where)) {
            remove_stale(where);
            /* On the descriptor, before it has a name: nobody finds it with more rights. */
            (void)fchmod(descriptor, mode);
        }
    } else {
        (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (options->reuse_port && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
            return -errno;
        }
    }
    if (bind(descriptor, &where->is.any, where->size_bytes) != 0) {
        return -errno;
    }
    /* The process' umask took from the rights. */
    return !has_path(where) || chmod(where->is.local.sun_path, mode) == 0 ? 0 : -errno;
}

static int listen_on(const struct sl__address *where, const struct sl_listen_options *options, int *ret_descriptor)
{
    int descriptor = socket(where->is.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return -errno;
    }
    int code = bind_to(descriptor, where, options);
    if (code == 0 && listen(descriptor, options->backlog == 0 ? SL_LISTEN_BACKLOG : options->backlog) != 0) {
        code = -errno;
    }
    if (code < 0) {
        (void)close(descriptor);
        return code;
    }
    *ret_descriptor = descriptor;
    return 0;
}

int sl__sockets_listen(const struct sl__address *where, const struct sl_listen_options *options,
                       sl_listener **ret_listener)
{
    int descriptor = -1;
    int code = listen_on(where, options, &descriptor);
    if (code < 0) {
        char text[SL_ADDRESS_TEXT_BYTES];
        sl__address_text(where, text, sizeof text);
        return sl_fail(code, "listen on %s: %s", text, sl_strerror(code));
    }
    struct socket_listener *self = sl_calloc(1, sizeof *self);
    if (self == NULL) {
        (void)close(descriptor);
        return sl_fail(SL_ENOMEM, "no memory for a listener");
    }
    self->base.ops = &socket_listener_ops;
    sl__waits_init(&self->base.waits, true);
    code = sl__poll_open(&self->poll, descriptor, &self->base.waits, on_ready);
    if (code < 0) {
        sl_free(self);
        return sl_fail(code, "listen: %s", sl_strerror(code));
    }
    self->address = *where;
    struct sl__address bound = {.size_bytes = sizeof bound.is};
    (void)getsockname(descriptor, &bound.is.any, &bound.size_bytes);
    self->base.port = sl__address_port(&bound);
    *ret_listener = &self->base;
    return 0;
}
