/* SPDX-License-Identifier: MIT */
/* Streams that are closed while tasks wait on them, and peers that are gone or do not read. */
#include "sl_conformance.h"
#include "sluice/net.h"
#include "stream_cases.h"

#define CROWD 1000 /* several batches of the scheduler */
#define FLOOD_BYTES ((size_t)64 * 1024 * 1024)

static int memory(sl_stream **ret_one, sl_stream **ret_other)
{
    return sl_stream_memory_pair(1000, ret_one, ret_other);
}

static int tcp(sl_stream **ret_one, sl_stream **ret_other)
{
    return stream_pair_connect("127.0.0.1", ret_one, ret_other);
}

C_TEST(memory_closed_under_waiters,
       "a memory pair: reader and writer get SL_ECLOSED, also when both ends are gone by then", "")
{
    return stream_closed_under_waiters(memory);
}

C_TEST_REAL_FEW(tcp_closed_under_waiters,
                "a TCP pair: reader and writer get SL_ECLOSED, also when both ends are gone by then", "")
{
    return stream_closed_under_waiters(tcp);
}

C_TEST(memory_closed_after_the_wakeup, "a memory pair: a reader that was woken for data finds its stream closed", "")
{
    return stream_closed_after_the_wakeup(memory);
}

C_TEST_REAL_FEW(tcp_closed_after_the_wakeup, "a TCP pair: a reader that was woken for data finds its stream closed", "")
{
    return stream_closed_after_the_wakeup(tcp);
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

C_TEST_REAL_FEW(tcp_listener_drains, "a drained listener gives the connections that wait, then the end", "")
{
    return listener_drains("127.0.0.1");
}

C_TEST(memory_check, "a memory pair: a look tells what came, and the end", "")
{
    return stream_check_tells_the_end(memory);
}

C_TEST_REAL_FEW(tcp_check, "a TCP pair: a look tells what came, and the end, also if the loop heard of it unasked", "")
{
    return stream_check_tells_the_end(tcp);
}

C_TEST_REAL_FEW(tcp_peer_is_gone, "writing to a peer that hung up is an error, not the end of the process", "")
{
    return stream_peer_is_gone(tcp);
}

C_TEST_REAL_FEW(tcp_back_pressure, "a writer whose peer does not read waits; nothing is lost when the peer goes on", "")
{
    return stream_back_pressure(tcp, FLOOD_BYTES);
}

SL_TEST_MAIN(cmocka_unit_test(memory_closed_under_waiters), cmocka_unit_test(tcp_closed_under_waiters),
             cmocka_unit_test(memory_closed_after_the_wakeup), cmocka_unit_test(tcp_closed_after_the_wakeup),
             cmocka_unit_test(listener_closed_under_its_acceptor), cmocka_unit_test(tcp_listener_drains),
             cmocka_unit_test(memory_check), cmocka_unit_test(tcp_check), cmocka_unit_test(tcp_peer_is_gone),
             cmocka_unit_test(tcp_back_pressure))
