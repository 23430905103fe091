/* SPDX-License-Identifier: MIT */
/*
 * TCP over libuv. The record with its handle and read buffer lives on the heap until libuv's close
 * callback; libuv never sees memory of a task. Reading stops while the buffer is full.
 */
#include <signal.h>
#include <string.h>

#include "../runtime/internal.h"
#include "stream.h"

#define BACKLOG 511

/* A record stays until libuv has closed its handle and every task that waited on it has left it. */
struct life {
    bool closed;        /* by its owner */
    bool handle_closed; /* by libuv */
    unsigned waiting;   /* tasks */
};

struct tcp {
    sl_stream base;
    struct life life;
    uv_tcp_t handle;
    uv_connect_t connect;
    uv_shutdown_t shutdown_request;
    sl_task *connecting, *reader, *writer;
    bool reading;
    bool write_failed;
    bool shut;
    int read_code; /* why reading ended: SL_EOF or an error */
    size_t start, end;
    char buffer[SL_STREAM_READ_AHEAD_BYTES];
};

/* What is left of a write that the socket did not take at once; owns its bytes. */
struct pending_write {
    uv_write_t request;
    struct tcp *tcp;
    char bytes[];
};

struct sl_listener {
    struct life life;
    uv_tcp_t handle;
    sl_task *acceptor;
    size_t pending;
    int code;
    int port;
};

/* ---- common ---- */

static bool stop_waiting(sl_task *task, void *object)
{
    (void)task;
    *(sl_task **)object = NULL;
    return true;
}

static bool is_over(const struct life *life)
{
    return life->handle_closed && life->waiting == 0;
}

/*
 * Waits for libuv to wake the task in `slot`; the outside world is at work meanwhile. `record` is the
 * heap block with `life` and `slot` in it: after SL_ECLOSED it must not be touched any more.
 */
static int wait_in(void *record, struct life *life, sl_task **slot, const char *what)
{
    if (*slot != NULL) {
        return sl_fail(SL_EBUSY, "another task uses this side of the connection");
    }
    sl_runtime *runtime = sl__runtime;
    *slot = sl_current();
    runtime->external++;
    life->waiting++;
    int code = sl_park(stop_waiting, slot, what);
    life->waiting--;
    runtime->external--;
    if (!life->closed) {
        return code;
    }
    if (is_over(life)) {
        sl_free(record);
    }
    return SL_ECLOSED;
}

static void wake(sl_task **slot, int result)
{
    sl_task *task = *slot;
    *slot = NULL;
    if (task != NULL) {
        sl_unpark(task, result);
    }
}

static int address_of(const char *text, int port, struct sockaddr_storage *ret_address)
{
    const char *literal = strcmp(text, "localhost") == 0 ? "127.0.0.1" : text;
    if (port < 0 || port > 65535) {
        return sl_fail(SL_EINVAL, "port %d is out of range", port);
    }
    if (uv_ip4_addr(literal, port, (struct sockaddr_in *)ret_address) == 0 ||
        uv_ip6_addr(literal, port, (struct sockaddr_in6 *)ret_address) == 0) {
        return 0;
    }
    return sl_fail(SL_EINVAL, "'%s' is not an address", text);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct tcp *tcp = handle->data;
    if (tcp->start == tcp->end) {
        tcp->start = tcp->end = 0;
    }
    *buffer = uv_buf_init(tcp->buffer + tcp->end, (unsigned)(sizeof tcp->buffer - tcp->end));
}

static void stop_reading(struct tcp *tcp)
{
    (void)uv_read_stop((uv_stream_t *)&tcp->handle);
    tcp->reading = false;
}

static void on_read(uv_stream_t *handle, ssize_t bytes, const uv_buf_t *buffer)
{
    (void)buffer;
    struct tcp *tcp = handle->data;
    if (bytes > 0) {
        tcp->end += (size_t)bytes;
        if (tcp->end == sizeof tcp->buffer) {
            stop_reading(tcp);
        }
    } else if (bytes < 0) {
        tcp->read_code = (int)bytes;
        stop_reading(tcp);
    }
    if (bytes != 0) {
        wake(&tcp->reader, 0);
    }
}

static int tcp_read(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct tcp *tcp = (struct tcp *)stream;
    SL_TRY(sl_checkpoint_if_cancelled());
    while (tcp->start == tcp->end) {
        if (tcp->read_code != 0) {
            return tcp->read_code == SL_EOF ? SL_EOF : sl_fail(tcp->read_code, "read: %s", sl_strerror(tcp->read_code));
        }
        if (!tcp->reading) {
            int code = uv_read_start((uv_stream_t *)&tcp->handle, on_alloc, on_read);
            if (code < 0) {
                return sl_fail(code, "read: %s", sl_strerror(code));
            }
            tcp->reading = true;
        }
        SL_TRY(wait_in(tcp, &tcp->life, &tcp->reader, "socket read"));
    }
    size_t bytes = tcp->end - tcp->start;
    bytes = bytes < size_bytes ? bytes : size_bytes;
    memcpy(buffer, tcp->buffer + tcp->start, bytes);
    tcp->start += bytes;
    *ret_bytes = bytes;
    sl__coop(sl__self());
    return 0;
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
    struct pending_write *pending = request->data;
    wake(&pending->tcp->writer, status);
    sl_free(pending);
}

/* Copies what is left behind the first `sent` bytes and hands it to libuv. */
static int write_rest(struct tcp *tcp, const struct sl_bytes *pieces, size_t count, size_t total, size_t sent)
{
    struct pending_write *pending = sl_malloc(sizeof *pending + total - sent);
    if (pending == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to write %zu bytes", total - sent);
    }
    pending->tcp = tcp;
    pending->request.data = pending;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t skip = sent < pieces[i].size_bytes ? sent : pieces[i].size_bytes;
        memcpy(pending->bytes + at, (const char *)pieces[i].data + skip, pieces[i].size_bytes - skip);
        at += pieces[i].size_bytes - skip;
        sent -= skip;
    }
    uv_buf_t buffer = uv_buf_init(pending->bytes, (unsigned)at);
    int code = uv_write(&pending->request, (uv_stream_t *)&tcp->handle, &buffer, 1, on_written);
    if (code < 0) {
        sl_free(pending);
        return code;
    }
    return wait_in(tcp, &tcp->life, &tcp->writer, "socket write");
}

#define PIECES_MAX 16

static int tcp_write(sl_stream *stream, const struct sl_bytes *pieces, size_t count)
{
    struct tcp *tcp = (struct tcp *)stream;
    SL_TRY(sl_checkpoint_if_cancelled());
    if (tcp->write_failed || tcp->shut) {
        return sl_fail(SL_EPIPE, "an earlier write was not completed, or the stream was shut down");
    }
    if (tcp->writer != NULL || count > PIECES_MAX) {
        return sl_fail(tcp->writer != NULL ? SL_EBUSY : SL_EINVAL, "sl_stream_write(): busy, or too many pieces");
    }
    uv_buf_t buffers[PIECES_MAX];
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        buffers[i] = uv_buf_init((char *)pieces[i].data, (unsigned)pieces[i].size_bytes);
        total += pieces[i].size_bytes;
    }
    if (total == 0) {
        return 0;
    }
    int code = uv_try_write((uv_stream_t *)&tcp->handle, buffers, (unsigned)count);
    size_t sent = code > 0 ? (size_t)code : 0;
    if (code >= 0 || code == UV_EAGAIN) {
        code = sent < total ? write_rest(tcp, pieces, count, total, sent) : 0;
    }
    if (code == SL_ECLOSED) {
        return code;
    }
    if (code < 0) {
        tcp->write_failed = true;
        return code == SL_ECANCELED ? code : sl_fail(code, "write: %s", sl_strerror(code));
    }
    sl__coop(sl__self());
    return 0;
}

static int tcp_shutdown(sl_stream *stream)
{
    struct tcp *tcp = (struct tcp *)stream;
    if (tcp->shut) {
        return 0;
    }
    tcp->shut = true;
    int code = uv_shutdown(&tcp->shutdown_request, (uv_stream_t *)&tcp->handle, NULL);
    return code < 0 ? sl_fail(code, "shutdown: %s", sl_strerror(code)) : 0;
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct tcp *tcp = handle->data;
    tcp->life.handle_closed = true;
    if (is_over(&tcp->life)) {
        sl_free(tcp);
    }
}

static void tcp_close(sl_stream *stream, bool reset)
{
    struct tcp *tcp = (struct tcp *)stream;
    tcp->life.closed = true;
    wake(&tcp->reader, SL_ECLOSED);
    wake(&tcp->writer, SL_ECLOSED);
    if (!reset || uv_tcp_close_reset(&tcp->handle, on_tcp_closed) < 0) {
        uv_close((uv_handle_t *)&tcp->handle, on_tcp_closed);
    }
}

static const struct sl_stream_ops tcp_ops = {tcp_read, tcp_write, tcp_shutdown, tcp_close};

/* ---- connecting, listening ---- */

/* A write to a peer that has gone is an error like others, not the end of the process. A handler of the program's stays. */
static void ignore_broken_pipes(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL) {
        (void)signal(SIGPIPE, SIG_IGN);
    }
}

static int tcp_new(struct tcp **ret_tcp)
{
    ignore_broken_pipes();
    struct tcp *tcp = sl_malloc(sizeof *tcp);
    if (tcp == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    memset(tcp, 0, offsetof(struct tcp, buffer));
    tcp->base.ops = &tcp_ops;
    int code = uv_tcp_init(&sl__runtime->loop, &tcp->handle);
    if (code < 0) {
        sl_free(tcp);
        return sl_fail(code, "socket: %s", sl_strerror(code));
    }
    tcp->handle.data = tcp;
    *ret_tcp = tcp;
    return 0;
}

static void on_connected(uv_connect_t *request, int status)
{
    struct tcp *tcp = request->data;
    wake(&tcp->connecting, status);
}

int sl_tcp_connect(const char *address, int port, sl_stream **ret_stream)
{
    struct sockaddr_storage where;
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl_checkpoint_if_cancelled());
    SL_TRY(address_of(address, port, &where));
    struct tcp *tcp = NULL;
    SL_TRY(tcp_new(&tcp));
    tcp->connect.data = tcp;
    int code = uv_tcp_connect(&tcp->connect, &tcp->handle, (const struct sockaddr *)&where, on_connected);
    if (code == 0) {
        code = wait_in(tcp, &tcp->life, &tcp->connecting, "connect");
    }
    if (code < 0) {
        tcp_close(&tcp->base, false);
        return code == SL_ECANCELED ? code : sl_fail(code, "connect to %s:%d: %s", address, port, sl_strerror(code));
    }
    (void)uv_tcp_nodelay(&tcp->handle, 1);
    *ret_stream = &tcp->base;
    return 0;
}

static void on_connection(uv_stream_t *handle, int status)
{
    sl_listener *listener = handle->data;
    if (status < 0) {
        listener->code = status;
    } else {
        listener->pending++;
    }
    wake(&listener->acceptor, 0);
}

static int bind_and_listen(sl_listener *listener, const struct sockaddr *where)
{
    int code = uv_tcp_bind(&listener->handle, where, 0);
    code = code == 0 ? uv_listen((uv_stream_t *)&listener->handle, BACKLOG, on_connection) : code;
    struct sockaddr_storage bound;
    int bytes = sizeof bound;
    code = code == 0 ? uv_tcp_getsockname(&listener->handle, (struct sockaddr *)&bound, &bytes) : code;
    if (code == 0) {
        /* The port lies at the same place in both families. */
        listener->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    }
    return code;
}

int sl_listener_open(const char *address, int port, sl_listener **ret_listener)
{
    struct sockaddr_storage where;
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(address_of(address, port, &where));
    sl_listener *listener = sl_calloc(1, sizeof *listener);
    if (listener == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a listener");
    }
    int code = uv_tcp_init(&sl__runtime->loop, &listener->handle);
    if (code < 0) {
        sl_free(listener);
        return sl_fail(code, "socket: %s", sl_strerror(code));
    }
    listener->handle.data = listener;
    code = bind_and_listen(listener, (const struct sockaddr *)&where);
    if (code < 0) {
        sl_listener_close(listener);
        return sl_fail(code, "listen on %s:%d: %s", address, port, sl_strerror(code));
    }
    *ret_listener = listener;
    return 0;
}

int sl_listener_port(const sl_listener *listener)
{
    return listener->port;
}

int sl_listener_accept(sl_listener *listener, sl_stream **ret_stream)
{
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl_checkpoint_if_cancelled());
    while (listener->pending == 0) {
        if (listener->code < 0) {
            int code = listener->code;
            listener->code = 0;
            return sl_fail(code, "accept: %s", sl_strerror(code));
        }
        SL_TRY(wait_in(listener, &listener->life, &listener->acceptor, "accept"));
    }
    struct tcp *tcp = NULL;
    SL_TRY(tcp_new(&tcp));
    listener->pending--;
    int code = uv_accept((uv_stream_t *)&listener->handle, (uv_stream_t *)&tcp->handle);
    if (code < 0) {
        tcp_close(&tcp->base, false);
        return sl_fail(code, "accept: %s", sl_strerror(code));
    }
    (void)uv_tcp_nodelay(&tcp->handle, 1);
    *ret_stream = &tcp->base;
    sl__coop(sl__self());
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    sl_listener *listener = handle->data;
    listener->life.handle_closed = true;
    if (is_over(&listener->life)) {
        sl_free(listener);
    }
}

void sl_listener_close(sl_listener *listener)
{
    if (listener != NULL) {
        listener->life.closed = true;
        wake(&listener->acceptor, SL_ECLOSED);
        uv_close((uv_handle_t *)&listener->handle, on_listener_closed);
    }
}
