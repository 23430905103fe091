/* SPDX-License-Identifier: MIT */
/* Streams, in memory and over TCP: the same promises for both. */
#include <sys/stat.h>

#include "scratch_folder.h"
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

static void a_pair_in_memory_has_a_size(void **state)
{
    (void)state;
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    assert_int_equal(sl_stream_memory_pair(0, &one, &other), SL_EINVAL);
    assert_int_equal(sl_stream_memory_pair(SIZE_MAX, &one, &other), SL_ENOMEM);
    assert_int_equal(sl_stream_memory_pair(SIZE_MAX - 16, &one, &other), SL_ENOMEM);
    assert_null(one);
    assert_int_equal(sl_memory_held(), 0);
}

C_TEST_REAL_FEW(a_unix_socket_has_the_mode_asked_for, "whatever the umask is; 0600 when none was asked for", "")
{
    static const unsigned modes[] = {0, 0660, 0666, 0777, 0600};
    struct scratch_folder folder = scratch_folder_make();
    char address[SCRATCH_PATH_MAX + 16];
    (void)snprintf(address, sizeof address, "unix:%s/s", folder.path);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        sl_listener *listener = NULL;
        struct stat status;
        mode_t before = umask(i % 2 == 0 ? 027 : 0);
        int code = sl_listener_open_with(&(struct sl_listen_options){.address = address, .mode = modes[i]}, &listener);
        (void)umask(before);
        CHECK_EQ(code, 0);
        CHECK_EQ(stat(address + 5, &status), 0);
        CHECK_EQ(status.st_mode & 07777, modes[i] == 0 ? 0600 : modes[i]);
        sl_listener_close(listener);
    }
    scratch_folder_remove(&folder);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(memory_carries_bytes_in_order), cmocka_unit_test(tcp_carries_bytes_in_order),
             cmocka_unit_test(memory_waits_can_be_cancelled), cmocka_unit_test(tcp_waits_can_be_cancelled),
             cmocka_unit_test(memory_close_and_reset), cmocka_unit_test(tcp_close_and_reset),
             cmocka_unit_test(tcp_refusals), cmocka_unit_test(a_pair_in_memory_has_a_size),
             cmocka_unit_test(a_unix_socket_has_the_mode_asked_for))
