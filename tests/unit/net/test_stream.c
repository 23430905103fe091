/* SPDX-License-Identifier: MIT */
/* Streams, in memory and over TCP: the same promises for both. */
#include "sl_conformance.h"
#include "sluice/net.h"
#include "stream_cases.h"

#define BULK ((size_t)1024 * 1024)

static int memory(sl_stream **ret_one, sl_stream **ret_other)
{
    return sl_stream_memory_pair(1000, ret_one, ret_other);
}

static int tcp(sl_stream **ret_one, sl_stream **ret_other)
{
    return stream_pair_connect("localhost", ret_one, ret_other);
}

C_TEST(memory_carries_bytes_in_order, "a memory pair: all bytes, in order, with back-pressure", "")
{
    return stream_carries_bytes_in_order(memory, BULK);
}

C_TEST_REAL(tcp_carries_bytes_in_order, "a TCP pair: all bytes, in order, with back-pressure", "")
{
    return stream_carries_bytes_in_order(tcp, BULK);
}

C_TEST(memory_waits_can_be_cancelled,
       "a memory pair: a cancelled read loses nothing; after a cancelled write the stream is broken", "")
{
    return stream_waits_can_be_cancelled(memory);
}

C_TEST_REAL(tcp_waits_can_be_cancelled,
            "a TCP pair: a cancelled read loses nothing; after a cancelled write the stream is broken", "")
{
    return stream_waits_can_be_cancelled(tcp);
}

C_TEST(memory_close_and_reset, "a memory pair: closing wakes the reader; a reset shows at the peer", "")
{
    return stream_close_and_reset(memory);
}

C_TEST_REAL(tcp_close_and_reset, "a TCP pair: closing wakes the reader; a reset shows at the peer", "")
{
    return stream_close_and_reset(tcp);
}

C_TEST_REAL(tcp_refusals, "bad addresses, refused connections and taken ports give their errors", "")
{
    sl_stream *stream = NULL;
    sl_listener *listener = NULL;
    CHECK_EQ(sl_connect("no name", 80, &stream), SL_EINVAL);
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
