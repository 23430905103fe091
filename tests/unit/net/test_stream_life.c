/* SPDX-License-Identifier: MIT */
/*
 * Streams that are closed while tasks wait on them. The tasks come to run only after a crowd of others, so
 * that the event loop has turned, and closed its handles, in between.
 */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/net.h"

#define CROWD 1000 /* several batches of the scheduler */
#define FLOOD_BYTES ((size_t)64 * 1024 * 1024)

static int pair_of(bool tcp, sl_stream **ret_one, sl_stream **ret_other)
{
    if (!tcp) {
        return sl_stream_memory_pair(1000, ret_one, ret_other);
    }
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", 0, &listener));
    SL_TRY(sl_connect("127.0.0.1", sl_listener_port(listener), ret_one));
    return sl_listener_accept(listener, ret_other);
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

static int closed_under_waiters(bool tcp, bool reset)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    SL_SCOPE(scope);
    CHECK_EQ(pair_of(tcp, &one, &other), 0);
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

C_TEST(memory_closed_under_waiters, "reader and writer get SL_ECLOSED, also when both ends are gone by then", "")
{
    CHECK_EQ(closed_under_waiters(false, false), 0);
    return closed_under_waiters(false, true);
}

C_TEST_REAL_FEW(tcp_closed_under_waiters, "reader and writer get SL_ECLOSED, also when the handle is gone by then", "")
{
    CHECK_EQ(closed_under_waiters(true, false), 0);
    return closed_under_waiters(true, true);
}

/* The data is there, the task is woken for it, and then the stream is closed before it runs. */
static int closed_after_the_wakeup(bool tcp)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    SL_SCOPE(scope);
    CHECK_EQ(pair_of(tcp, &one, &other), 0);
    CHECK_EQ(sl_spawn(&scope, reads_until_closed, one), 0);
    SETTLE();
    CHECK_EQ(sl_stream_write(other, "x", 1), 0);
    sl_stream_close(one);
    sl_stream_close(other);
    CHECK_EQ(gather_crowd(&scope), 0);
    return sl_scope_wait(&scope);
}

C_TEST(memory_closed_after_the_wakeup, "a reader that was woken for data finds its stream closed", "")
{
    return closed_after_the_wakeup(false);
}

C_TEST_REAL_FEW(tcp_closed_after_the_wakeup, "a reader that was woken for data finds its stream closed", "")
{
    return closed_after_the_wakeup(true);
}

static int accepts_until_closed(void *arg)
{
    sl_stream *stream = NULL;
    CHECK_EQ(sl_listener_accept(arg, &stream), SL_ECLOSED);
    return 0;
}

C_TEST_REAL_FEW(listener_closed_under_its_acceptor, "the acceptor gets SL_ECLOSED", "")
{
    sl_listener *listener = NULL;
    SL_SCOPE(scope);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    CHECK_EQ(sl_spawn(&scope, accepts_until_closed, listener), 0);
    SETTLE();
    CHECK_EQ(gather_crowd(&scope), 0);
    sl_listener_close(listener);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(tcp_peer_is_gone, "writing to a peer that hung up is an error, not the end of the process", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(pair_of(true, &one, &other), 0);
    sl_stream_close(other);
    int code = 0;
    for (int i = 0; i < 1000 && code == 0; i++) {
        code = sl_stream_write(one, "hello", 5);
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK(code == SL_EPIPE || code == SL_ECONNRESET);
    CHECK_EQ(sl_stream_write(one, "hello", 5), SL_EPIPE);
    sl_stream_close(one);
    return 0;
}

struct flood {
    sl_stream *stream;
    size_t written;
};

static int pour(void *arg)
{
    static const char zeros[65536];
    struct flood *flood = arg;
    while (flood->written < FLOOD_BYTES) {
        SL_TRY(sl_stream_write(flood->stream, zeros, sizeof zeros));
        flood->written += sizeof zeros;
    }
    return sl_stream_shutdown(flood->stream);
}

C_TEST_REAL_FEW(tcp_back_pressure, "a writer whose peer does not read waits; nothing is lost when the peer goes on", "")
{
    struct flood flood = {NULL, 0};
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair_of(true, &flood.stream, &other), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, pour, &flood), 0);
    char first;
    size_t bytes = 0;
    CHECK_EQ(sl_stream_read(other, &first, 1, &bytes), 0); /* from here on the stream reads ahead */
    for (size_t before = SIZE_MAX; before != flood.written;) {
        before = flood.written;
        CHECK_EQ(sl_quiescent_wait(SL_MILLISECONDS(20)), 0);
    }
    CHECK(flood.written < FLOOD_BYTES); /* stuck: what is on its way fits into the buffers of the system */
    size_t total = 1;
    char *buffer = test_malloc(FLOOD_BYTES / 64);
    int code;
    while ((code = sl_stream_read(other, buffer, FLOOD_BYTES / 64, &bytes)) == 0) {
        total += bytes;
    }
    test_free(buffer);
    CHECK_EQ(code, SL_EOF);
    CHECK_EQ(total, FLOOD_BYTES);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    sl_stream_close(flood.stream);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(memory_closed_under_waiters), cmocka_unit_test(tcp_closed_under_waiters),
             cmocka_unit_test(memory_closed_after_the_wakeup), cmocka_unit_test(tcp_closed_after_the_wakeup),
             cmocka_unit_test(listener_closed_under_its_acceptor), cmocka_unit_test(tcp_peer_is_gone),
             cmocka_unit_test(tcp_back_pressure))
