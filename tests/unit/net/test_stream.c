/* SPDX-License-Identifier: MIT */
/* Streams, in memory and over TCP: the same promises for both. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/net.h"

#define BULK ((size_t)1024 * 1024)

static int pair_of(bool tcp, sl_stream **ret_one, sl_stream **ret_other)
{
    if (!tcp) {
        return sl_stream_memory_pair(1000, ret_one, ret_other);
    }
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", 0, &listener));
    SL_TRY(sl_connect("localhost", sl_listener_port(listener), ret_one));
    return sl_listener_accept(listener, ret_other);
}

static unsigned char byte_at(size_t index)
{
    return (unsigned char)(index * 7 + index / 251);
}

static int write_bulk(void *arg)
{
    sl_stream *stream = arg;
    unsigned char chunk[777];
    for (size_t at = 0; at < BULK;) {
        size_t bytes = BULK - at < sizeof chunk ? BULK - at : sizeof chunk;
        for (size_t i = 0; i < bytes; i++) {
            chunk[i] = byte_at(at + i);
        }
        struct sl_bytes pieces[] = {{chunk, bytes / 2}, {NULL, 0}, {chunk + bytes / 2, bytes - bytes / 2}};
        SL_TRY(sl_stream_write_pieces(stream, pieces, 3));
        at += bytes;
    }
    return sl_stream_shutdown(stream);
}

static int bulk(bool tcp)
{
    sl_auto(sl_stream) *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair_of(tcp, &one, &other), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, write_bulk, one), 0);
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
    CHECK_EQ(total, BULK);
    CHECK_EQ(sl_stream_read(other, buffer, sizeof buffer, &bytes), SL_EOF);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_EPIPE);
    CHECK_EQ(sl_stream_write(other, "back", 4), 0); /* the other direction is still open */
    CHECK_EQ(sl_stream_read(one, buffer, sizeof buffer, &bytes), 0);
    CHECK_EQ(bytes, 4);
    return sl_scope_wait(&scope);
}

C_TEST(memory_carries_bytes_in_order, "a memory pair carries all bytes, in order, with back-pressure", "")
{
    return bulk(false);
}

C_TEST_REAL(tcp_carries_bytes_in_order, "a TCP pair carries all bytes, in order, with back-pressure", "")
{
    return bulk(true);
}

static int read_one(void *arg)
{
    char byte;
    size_t bytes;
    return sl_stream_read(arg, &byte, 1, &bytes);
}

static int fill_up(void *arg)
{
    static const char zeros[4096];
    for (;;) {
        SL_TRY(sl_stream_write(arg, zeros, sizeof zeros));
    }
}

static int cancelled(bool tcp)
{
    sl_auto(sl_stream) *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair_of(tcp, &one, &other), 0);
    {
        SL_SCOPE(scope, .timeout = SL_MILLISECONDS(20), .move_on = true);
        CHECK_EQ(sl_spawn(&scope, read_one, one), 0);
        CHECK_EQ(sl_spawn(&scope, fill_up, one), 0);
        SETTLE();
        CHECK_EQ(read_one(one), SL_EBUSY);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    char buffer[16];
    size_t bytes = 0;
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_EPIPE); /* the write was left in the middle */
    CHECK_EQ(sl_stream_write(other, "still", 5), 0);
    CHECK_EQ(sl_stream_read(one, buffer, sizeof buffer, &bytes), 0); /* reading was not harmed */
    CHECK_EQ(bytes, 5);
    CHECK_EQ(sl_stream_read(one, buffer, 0, &bytes), SL_EINVAL);
    return 0;
}

C_TEST(memory_waits_can_be_cancelled, "a cancelled read loses nothing; after a cancelled write the stream is broken",
       "")
{
    return cancelled(false);
}

C_TEST_REAL(tcp_waits_can_be_cancelled, "a cancelled read loses nothing; after a cancelled write the stream is broken",
            "")
{
    return cancelled(true);
}

static int expect_closed(void *arg)
{
    CHECK_EQ(read_one(arg), SL_ECLOSED);
    return 0;
}

static int closed(bool tcp)
{
    sl_stream *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair_of(tcp, &one, &other), 0);
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

C_TEST(memory_close_and_reset, "closing wakes the reader; a reset shows at the peer", "")
{
    return closed(false);
}

C_TEST_REAL(tcp_close_and_reset, "closing wakes the reader; a reset shows at the peer", "")
{
    return closed(true);
}

C_TEST_REAL(tcp_refusals, "bad addresses, refused connections and taken ports give their errors", "")
{
    sl_stream *stream = NULL;
    sl_listener *listener = NULL;
    CHECK_EQ(sl_connect("example.invalid", 80, &stream), SL_EINVAL);
    CHECK_EQ(sl_connect("127.0.0.1", 70000, &stream), SL_EINVAL);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    sl_listener *second = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", sl_listener_port(listener), &second), -EADDRINUSE);
    int port = sl_listener_port(listener);
    {
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(5));
        CHECK_EQ(sl_scope_close(&limit, sl_listener_accept(listener, &stream)), SL_ETIMEDOUT);
    }
    sl_listener_close(listener);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    CHECK_EQ(sl_connect("127.0.0.1", port, &stream), -ECONNREFUSED);
    {
        SL_SCOPE(limit);
        sl_scope_cancel(&limit, NULL);
        CHECK_EQ(sl_connect("127.0.0.1", port, &stream), SL_ECANCELED);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(memory_carries_bytes_in_order), cmocka_unit_test(tcp_carries_bytes_in_order),
             cmocka_unit_test(memory_waits_can_be_cancelled), cmocka_unit_test(tcp_waits_can_be_cancelled),
             cmocka_unit_test(memory_close_and_reset), cmocka_unit_test(tcp_close_and_reset),
             cmocka_unit_test(tcp_refusals))
