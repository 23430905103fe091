/* SPDX-License-Identifier: MIT */
/*
 * Streams of every kind: the same promises. Where streams are closed while tasks wait on them, those come to run
 * only after a crowd of others, so that the event loop has turned, and closed its handles, in between.
 */
#include "stream_cases.h"

#include <string.h>

#define CROWD 1000 /* several batches of the scheduler */

int stream_pair_connect(const char *address, sl_stream **ret_one, sl_stream **ret_other)
{
    sl_auto(sl_listener) *listener = NULL;
    int port = strncmp(address, "unix:", 5) == 0 ? 1 : 0;
    SL_TRY(sl_listener_open(address, port, &listener));
    SL_TRY(sl_connect(address, port == 0 ? sl_listener_port(listener) : port, ret_one));
    return sl_listener_accept(listener, ret_other);
}

struct bulk {
    sl_stream *stream;
    size_t total;
};

static unsigned char byte_at(size_t index)
{
    return (unsigned char)(index * 7 + index / 251);
}

static int write_bulk(void *arg)
{
    struct bulk *bulk = arg;
    sl_stream *stream = bulk->stream;
    unsigned char chunk[777];
    for (size_t at = 0; at < bulk->total;) {
        size_t bytes = bulk->total - at < sizeof chunk ? bulk->total - at : sizeof chunk;
        for (size_t i = 0; i < bytes; i++) {
            chunk[i] = byte_at(at + i);
        }
        struct sl_bytes pieces[] = {{chunk, bytes / 2}, {NULL, 0}, {chunk + bytes / 2, bytes - bytes / 2}};
        SL_TRY(sl_stream_write_pieces(stream, pieces, 3));
        at += bytes;
    }
    return sl_stream_shutdown(stream);
}

int stream_carries_bytes_in_order(stream_pair_fn pair, size_t total_bytes)
{
    sl_auto(sl_stream) *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair(&one, &other), 0);
    struct bulk job = {one, total_bytes};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, write_bulk, &job), 0);
    unsigned char buffer[1500];
    size_t total = 0;
    size_t bytes = 0;
    int code;
    while ((code = sl_stream_read(other, buffer, sizeof buffer, &bytes)) == 0) {
        for (size_t i = 0; i < bytes; i++) {
            CHECK(buffer[i] == byte_at(total + i));
        }
        total += bytes;
    }
    CHECK_EQ(code, SL_EOF);
    CHECK_EQ(total, total_bytes);
    CHECK_EQ(sl_stream_read(other, buffer, sizeof buffer, &bytes), SL_EOF);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_EPIPE);
    CHECK_EQ(sl_stream_write(other, "back", 4), 0); /* the other direction is still open */
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(one, 4, &view), 0);
    CHECK(view.size_bytes == 4 && memcmp(view.data, "back", 4) == 0);
    return sl_scope_wait(&scope);
}

static int read_one(void *arg)
{
    char byte;
    size_t bytes;
    return sl_stream_read(arg, &byte, 1, &bytes);
}

#define ENDLESS_PIECE ((size_t)2 * 1024 * 1024)

/* One write that no buffer holds: whenever it is cancelled, it is in its middle. */
static int write_endlessly(void *arg)
{
    struct sl_bytes pieces[SL_STREAM_PIECES_MAX];
    char *zeros = test_calloc(1, ENDLESS_PIECE);
    for (size_t i = 0; i < SL_STREAM_PIECES_MAX; i++) {
        pieces[i] = (struct sl_bytes){zeros, ENDLESS_PIECE};
    }
    int code = sl_stream_write_pieces(arg, pieces, SL_STREAM_PIECES_MAX);
    test_free(zeros);
    return code;
}

int stream_waits_can_be_cancelled(stream_pair_fn pair)
{
    sl_auto(sl_stream) *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair(&one, &other), 0);
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, read_one, one), 0);
        CHECK_EQ(sl_spawn(&scope, write_endlessly, one), 0);
        SETTLE();
        CHECK_EQ(read_one(one), SL_EBUSY);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    char buffer[16];
    size_t bytes = 0;
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_EPIPE); /* the write was left in the middle */
    CHECK_EQ(sl_stream_write(other, "still", 5), 0);
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(one, 5, &view), 0); /* reading was not harmed */
    CHECK_EQ(view.size_bytes, 5);
    CHECK_EQ(sl_stream_read(one, buffer, 0, &bytes), SL_EINVAL);
    return 0;
}

static int expect_closed(void *arg)
{
    CHECK_EQ(read_one(arg), SL_ECLOSED);
    return 0;
}

int stream_close_and_reset(stream_pair_fn pair)
{
    sl_stream *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair(&one, &other), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, expect_closed, one), 0);
    SETTLE();
    CHECK_EQ(sl_stream_write(other, "lost", 0), 0);
    sl_stream_reset(one);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    int code = read_one(other);
    CHECK(code == SL_ECONNRESET);
    return sl_scope_wait(&scope);
}

static int one_of_the_crowd(void *arg)
{
    (void)arg;
    return sl_checkpoint();
}

static int gather_crowd(sl_scope *scope)
{
    for (int i = 0; i < CROWD; i++) {
        SL_TRY(sl_spawn(scope, one_of_the_crowd, NULL));
    }
    return 0;
}

static int reads_until_closed(void *arg)
{
    char byte;
    size_t bytes = 0;
    CHECK_EQ(sl_stream_read(arg, &byte, 1, &bytes), SL_ECLOSED);
    return 0;
}

static int writes_until_closed(void *arg)
{
    static const char zeros[65536];
    int code = 0;
    while (code == 0) {
        code = sl_stream_write(arg, zeros, sizeof zeros);
    }
    CHECK_EQ(code, SL_ECLOSED);
    return 0;
}

static int closed_under_waiters(stream_pair_fn pair, bool reset)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    SL_SCOPE(scope);
    CHECK_EQ(pair(&one, &other), 0);
    CHECK_EQ(sl_spawn(&scope, reads_until_closed, one), 0);
    CHECK_EQ(sl_spawn(&scope, writes_until_closed, one), 0);
    SETTLE();
    CHECK_EQ(gather_crowd(&scope), 0);
    if (reset) {
        sl_stream_reset(one);
    } else {
        sl_stream_close(one);
    }
    sl_stream_close(other);
    return sl_scope_wait(&scope);
}

int stream_closed_under_waiters(stream_pair_fn pair)
{
    CHECK_EQ(closed_under_waiters(pair, false), 0);
    return closed_under_waiters(pair, true);
}

/* The data is there, the task is woken for it, and then the stream is closed before it runs. */
int stream_closed_after_the_wakeup(stream_pair_fn pair)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    SL_SCOPE(scope);
    CHECK_EQ(pair(&one, &other), 0);
    CHECK_EQ(sl_spawn(&scope, reads_until_closed, one), 0);
    SETTLE();
    CHECK_EQ(sl_stream_write(other, "x", 1), 0);
    sl_stream_close(one);
    sl_stream_close(other);
    CHECK_EQ(gather_crowd(&scope), 0);
    return sl_scope_wait(&scope);
}

int stream_check_tells_the_end(stream_pair_fn pair)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    char bytes[8];
    size_t count = 0;
    CHECK_EQ(pair(&one, &other), 0);
    CHECK_EQ(sl_stream_check(one), 0);
    CHECK_EQ(sl_stream_write(other, "a", 1), 0);
    CHECK_EQ(sl_stream_read(one, bytes, sizeof bytes, &count), 0); /* waits */
    CHECK_EQ(sl_stream_write(other, "b", 1), 0);
    SETTLE(); /* the loop hears of it, and nobody waits */
    CHECK_EQ(sl_stream_read(one, bytes, sizeof bytes, &count), 0);
    CHECK_EQ(sl_stream_check(one), 0);
    CHECK_EQ(sl_stream_write(other, "c", 1), 0);
    SETTLE();
    CHECK_EQ(sl_stream_check(one), 0);
    CHECK_EQ(sl_stream_buffered(one).size_bytes, 1);
    CHECK_EQ(sl_stream_check(one), 0); /* before the end comes what is unread */
    sl_stream_consume(one, 1);
    sl_stream_close(other);
    SETTLE();
    CHECK_EQ(sl_stream_check(one), SL_EOF);
    CHECK_EQ(sl_stream_check(one), SL_EOF);
    sl_stream_close(one);
    return 0;
}

int stream_peer_is_gone(stream_pair_fn pair)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(pair(&one, &other), 0);
    sl_stream_close(other);
    int code = 0;
    for (int i = 0; i < 1000 && code == 0; i++) {
        code = sl_stream_write(one, "hello", 5);
        CHECK_EQ(sl_sleep(SL_MICROSECONDS(100)), 0);
    }
    CHECK(code == SL_EPIPE || code == SL_ECONNRESET);
    CHECK_EQ(sl_stream_write(one, "hello", 5), SL_EPIPE);
    sl_stream_close(one);
    return 0;
}

struct flood {
    sl_stream *stream;
    size_t written, total;
};

static int pour(void *arg)
{
    static const char zeros[65536];
    struct flood *flood = arg;
    while (flood->written < flood->total) {
        SL_TRY(sl_stream_write(flood->stream, zeros, sizeof zeros));
        flood->written += sizeof zeros;
    }
    return sl_stream_shutdown(flood->stream);
}

int stream_back_pressure(stream_pair_fn pair, size_t flood_bytes)
{
    struct flood flood = {NULL, 0, flood_bytes};
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair(&flood.stream, &other), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, pour, &flood), 0);
    char first;
    size_t bytes = 0;
    CHECK_EQ(sl_stream_read(other, &first, 1, &bytes), 0); /* from here on the stream reads ahead */
    for (size_t before = SIZE_MAX; before != flood.written;) {
        before = flood.written;
        CHECK_EQ(sl_quiescent_wait(SL_MILLISECONDS(20)), 0);
    }
    CHECK(flood.written < flood_bytes); /* stuck: what is on its way fits into the buffers of the system */
    size_t total = 1;
    char *buffer = test_malloc(flood_bytes / 64);
    int code;
    while ((code = sl_stream_read(other, buffer, flood_bytes / 64, &bytes)) == 0) {
        total += bytes;
    }
    test_free(buffer);
    CHECK_EQ(code, SL_EOF);
    CHECK_EQ(total, flood_bytes);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    sl_stream_close(flood.stream);
    return sl_scope_wait(&scope);
}

#define WAITING 5

static int accepts_until_the_end(void *arg)
{
    sl_stream *stream = NULL;
    CHECK_EQ(sl_listener_accept(arg, &stream), SL_EOF);
    return 0;
}

int listener_drains(const char *address)
{
    sl_stream *clients[WAITING];
    SL_SCOPE(scope);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open(address, 0, &listener), 0);
    for (int i = 0; i < WAITING; i++) {
        CHECK_EQ(sl_connect(address, sl_listener_port(listener), &clients[i]), 0);
        CHECK_EQ(sl_stream_write(clients[i], "x", 1), 0);
    }
    sl_listener_drain(listener);
    for (int i = 0; i < WAITING; i++) {
        sl_auto(sl_stream) *served = NULL;
        CHECK_EQ(sl_listener_accept(listener, &served), 0);
        CHECK_EQ(read_one(served), 0);
        sl_stream_close(clients[i]);
    }
    sl_stream *none = NULL;
    CHECK_EQ(sl_listener_accept(listener, &none), SL_EOF);
    sl_listener_close(listener);
    listener = NULL;
    CHECK_EQ(sl_listener_open(address, 0, &listener), 0);
    CHECK_EQ(sl_spawn(&scope, accepts_until_the_end, listener), 0);
    SETTLE();
    sl_listener_drain(listener);
    return sl_scope_wait(&scope);
}
