/* SPDX-License-Identifier: MIT */
/* The simulated network keeps the promises of streams, over any link; and each of its faults alone. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/simulation.h"
#include "stream_cases.h"

#define BULK ((size_t)64 * 1024)
#define FLOOD_BYTES ((size_t)1024 * 1024)

/* A link with some of everything that TCP hides, drawn from the seed. */
static int simulate_any_link(void)
{
    SL_TRY(sl_network_simulate());
    uint64_t drawn = sl_conformance_random();
    return sl_network_link(NULL, NULL,
                           &(struct sl_link_options){
                               .latency = drawn % 3 == 0 ? 0 : SL_MICROSECONDS(drawn % 20000),
                               .jitter = drawn / 3 % 2 == 0 ? 0 : SL_MICROSECONDS(drawn % 5000),
                               .bytes_per_second = drawn / 6 % 2 == 0 ? 0 : 100000 + drawn % 10000000,
                               .buffer_bytes = drawn / 12 % 2 == 0 ? 0 : 100 + drawn % 20000,
                               .chunk_bytes = drawn / 24 % 2 == 0 ? 0 : 50 + drawn % 5000,
                           });
}

static int pair(sl_stream **ret_one, sl_stream **ret_other)
{
    return stream_pair_connect("localhost", ret_one, ret_other);
}

static int perfect_pair(sl_stream **ret_one, sl_stream **ret_other)
{
    int code = sl_network_simulate();
    if (code != SL_EALREADY) {
        SL_TRY(code);
    }
    return pair(ret_one, ret_other);
}

C_TEST_SIMULATED(carries_bytes_in_order, "simulated streams carry all bytes, in order, with back-pressure", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    return stream_carries_bytes_in_order(pair, BULK);
}

C_TEST_SIMULATED(waits_can_be_cancelled, "a cancelled read loses nothing; after a cancelled write all is broken", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    return stream_waits_can_be_cancelled(pair);
}

C_TEST_SIMULATED(close_and_reset, "closing wakes the reader; a reset shows at the peer", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    return stream_close_and_reset(pair);
}

C_TEST_SIMULATED(closed_under_waiters, "reader and writer get SL_ECLOSED", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    return stream_closed_under_waiters(pair);
}

C_TEST_SIMULATED(closed_after_the_wakeup, "a reader that was woken for data finds its stream closed", "")
{
    return stream_closed_after_the_wakeup(perfect_pair);
}

C_TEST_SIMULATED(peer_is_gone, "writing to a peer that hung up is an error", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    return stream_peer_is_gone(pair);
}

C_TEST_SIMULATED(back_pressure, "a writer whose peer does not read waits; nothing is lost", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    return stream_back_pressure(pair, FLOOD_BYTES);
}

C_TEST_SIMULATED(drains, "a drained listener gives the connections that wait, refuses others, then gives the end", "")
{
    CHECK_EQ(simulate_any_link(), 0);
    CHECK_EQ(listener_drains("127.0.0.1"), 0);
    sl_auto(sl_listener) *listener = NULL;
    sl_stream *stream = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 80, &listener), 0);
    sl_listener_drain(listener);
    CHECK_EQ(sl_connect("127.0.0.1", 80, &stream), -ECONNREFUSED);
    return 0;
}

/* ---- without a simulated network ---- */

C_TEST_REAL(real_world_has_sockets, "the network is simulated only in the simulated world", "")
{
    CHECK_EQ(sl_network_simulate(), SL_ENOTSUP);
    CHECK_EQ(sl_network_host("a", NULL), SL_ENOTSUP);
    CHECK_EQ(sl_network_enter("a"), SL_ENOTSUP);
    CHECK_EQ(sl_network_partition(NULL, NULL), SL_ENOTSUP);
    CHECK_EQ(sl_network_chaos(NULL), SL_ENOTSUP);
    CHECK(sl_network_address(NULL) == NULL);
    CHECK_EQ(sl_network_trace(), 0);
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

/* ---- hosts and addresses ---- */

static void nothing_open(void)
{
    EXPECT(sl_network_counts_get().open == 0);
}

C_TEST_SIMULATED(hosts_and_addresses, "hosts have names and addresses of their own; mistakes are told", "")
{
    char text[SL_ADDRESS_TEXT_BYTES];
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_simulate(), SL_EALREADY);
    CHECK_STRING(sl_network_address(NULL), "10.0.0.1");
    CHECK_EQ(sl_network_host("a", NULL), 0);
    CHECK_STRING(sl_network_address("a"), "10.0.0.2");
    CHECK_EQ(sl_network_host("b", "fd00::1"), 0);
    CHECK_STRING(sl_network_address("b"), "fd00::1");
    CHECK_EQ(sl_network_host("b", "192.0.2.1"), 0);
    CHECK_EQ(sl_network_host("c", "192.0.2.1"), SL_EEXIST);
    CHECK_EQ(sl_network_host("c", "nonsense"), SL_EINVAL);
    CHECK_EQ(sl_network_host("c", "unix:/c"), SL_EINVAL);
    CHECK_EQ(sl_network_host("", NULL), SL_EINVAL);
    CHECK_EQ(sl_network_enter("nobody"), SL_ENOENT);
    CHECK_EQ(sl_network_partition("a", "nobody"), SL_ENOENT);
    CHECK_EQ(sl_network_link("a", "b", &(struct sl_link_options){.refuse = 1.5}), SL_EINVAL);
    CHECK_EQ(sl_network_link("a", "b", &(struct sl_link_options){.latency = -1}), SL_EINVAL);
    CHECK_EQ(sl_network_chaos(&(struct sl_chaos_options){.every = 0, .duration = 1}), SL_EINVAL);

    CHECK_EQ(sl_network_enter("b"), 0);
    sl_auto(sl_listener) *listener = NULL;
    sl_listener *second = NULL;
    CHECK_EQ(sl_listener_open("192.0.2.1", 80, &listener), 0);
    CHECK_EQ(sl_listener_open("0.0.0.0", 80, &second), -EADDRINUSE);
    CHECK_EQ(sl_listener_open("10.0.0.2", 80, &second), -EADDRNOTAVAIL);
    CHECK_EQ(sl_network_enter("a"), 0);
    sl_auto(sl_stream) *stream = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(sl_connect("192.0.2.1", 80, &stream), 0);
    CHECK_EQ(sl_listener_accept(listener, &other), 0);
    sl_stream_peer(stream, text, sizeof text);
    CHECK_STRING(text, "192.0.2.1:80");
    sl_stream_peer(other, text, sizeof text);
    CHECK_STRING(text, "10.0.0.2:49152");
    sl_stream_local(other, text, sizeof text);
    CHECK_STRING(text, "192.0.2.1:80");
    sl_stream *third = NULL;
    CHECK_EQ(sl_connect("192.0.2.1", 81, &third), -ECONNREFUSED);
    CHECK_EQ(sl_connect("127.0.0.1", 80, &third), -ECONNREFUSED); /* its own loopback */
    CHECK_EQ(sl_connect("192.0.2.9", 80, &third), -EHOSTUNREACH);
    CHECK_EQ(sl_connect("fd00::1", 80, &third), -ENETUNREACH); /* it has no address of that family */
    struct sl_connect_options from = {.address = "192.0.2.1", .port = 80, .local_address = "192.0.2.7"};
    CHECK_EQ(sl_connect_with(&from, &third), -EADDRNOTAVAIL);
    CHECK_EQ(sl_network_counts_get().open, 1);
    return 0;
}

C_TEST_SIMULATED(listeners, "ports shared and chosen, Unix sockets, connections that nobody took", "")
{
    CHECK_EQ(sl_network_simulate(), 0);
    sl_listener *one = NULL;
    sl_listener *other = NULL;
    struct sl_listen_options shared = {.address = "::", .port = 80, .reuse_port = true};
    CHECK_EQ(sl_listener_open_with(&shared, &one), 0);
    CHECK_EQ(sl_listener_open_with(&shared, &other), 0);
    sl_stream *streams[64];
    for (int i = 0; i < 64; i++) {
        CHECK_EQ(sl_connect(i % 2 == 0 ? "127.0.0.1" : "::1", 80, &streams[i]), 0);
    }
    sl_listener_close(one); /* about half of them */
    int lost = 0;
    for (int i = 0; i < 64; i++) {
        char byte = 'x';
        size_t bytes = 0;
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(1));
        int code = sl_scope_close(&limit, sl_stream_read(streams[i], &byte, 1, &bytes));
        CHECK(code == SL_ETIMEDOUT || code == SL_ECONNRESET);
        lost += code == SL_ECONNRESET;
        sl_stream_close(streams[i]);
    }
    CHECK(lost > 8 && lost < 56);
    sl_listener_close(other);
    nothing_open();
    CHECK_EQ(stream_pair_connect("unix:@here", &streams[0], &streams[1]), 0);
    char text[SL_ADDRESS_TEXT_BYTES];
    sl_stream_peer(streams[0], text, sizeof text);
    CHECK_STRING(text, "unix:@here");
    sl_stream_close(streams[0]);
    sl_stream_close(streams[1]);
    CHECK_EQ(sl_connect("unix:@there", 0, &streams[0]), -ECONNREFUSED);
    nothing_open();
    return 0;
}

C_TEST_SIMULATED(backlog, "a full backlog keeps connections waiting until somebody accepts, or they give up", "")
{
    CHECK_EQ(sl_network_simulate(), 0);
    sl_listener *listener = NULL;
    sl_stream *streams[4] = {NULL};
    CHECK_EQ(
        sl_listener_open_with(&(struct sl_listen_options){.address = "127.0.0.1", .port = 80, .backlog = 1}, &listener),
        0);
    CHECK_EQ(sl_connect("127.0.0.1", 80, &streams[0]), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_connect("127.0.0.1", 80, &streams[1]), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - before, SL_NETWORK_CONNECT_GIVE_UP);
    CHECK_EQ(sl_listener_accept(listener, &streams[2]), 0);
    CHECK_EQ(sl_connect("127.0.0.1", 80, &streams[1]), 0);
    sl_listener_close(listener);
    for (int i = 0; i < 3; i++) {
        sl_stream_close(streams[i]);
    }
    nothing_open();
    return 0;
}

/* ---- time ---- */

C_TEST_SIMULATED(latency, "a byte needs the link's latency, a connection two of them", "")
{
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = SL_MILLISECONDS(10)}), 0);
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    char byte;
    size_t bytes;
    sl_time start = sl_now();
    CHECK_EQ(pair(&one, &other), 0);
    CHECK_EQ(sl_now() - start, SL_MILLISECONDS(20));
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    CHECK_EQ(sl_stream_read(other, &byte, 1, &bytes), 0);
    CHECK_EQ(sl_now() - start, SL_MILLISECONDS(30));
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = SL_SECONDS(1)}), 0);
    CHECK_EQ(sl_stream_write(other, "x", 1), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = 0}), 0);
    CHECK_EQ(sl_stream_write(other, "y", 1), 0); /* overtakes nothing */
    CHECK_EQ(sl_stream_read(one, &byte, 1, &bytes), 0);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(sl_now() - start, SL_MILLISECONDS(1030));
    sl_stream_close(one);
    sl_stream_close(other);
    return 0;
}

C_TEST_SIMULATED(bandwidth, "a link carries its bytes a second, for all connections together", "")
{
    static const char zeros[20000];
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.bytes_per_second = 10000}), 0);
    sl_stream *one[2];
    sl_stream *other[2];
    sl_time start = sl_now();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pair(&one[i], &other[i]), 0);
        CHECK_EQ(sl_stream_write(one[i], zeros, sizeof zeros), 0);
        CHECK_EQ(sl_stream_shutdown(one[i]), 0);
    }
    CHECK_EQ(sl_now(), start); /* it fits into the buffers */
    for (int i = 0; i < 2; i++) {
        char buffer[1000];
        size_t bytes;
        int code;
        while ((code = sl_stream_read(other[i], buffer, sizeof buffer, &bytes)) == 0) {
        }
        CHECK_EQ(code, SL_EOF);
        sl_stream_close(one[i]);
        sl_stream_close(other[i]);
    }
    sl_time needed = sl_now() - start;
    CHECK(needed >= SL_SECONDS(4) && needed < SL_MILLISECONDS(4001));
    return 0;
}

C_TEST_SIMULATED(partial_reads_and_writes, "chunks of 1 to n bytes, at random", "")
{
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.chunk_bytes = 5}), 0);
    sl_auto(sl_stream) *one = NULL;
    sl_auto(sl_stream) *other = NULL;
    CHECK_EQ(pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, "0123456789abcdefghij", 20), 0);
    CHECK_EQ(sl_sleep(1), 0);
    struct sl_view view = {NULL, 0};
    for (size_t before = 0; view.size_bytes < 20; before = view.size_bytes) {
        CHECK_EQ(sl_stream_peek(other, before + 1, &view), 0);
        CHECK(view.size_bytes - before <= 5);
    }
    CHECK(memcmp(view.data, "0123456789abcdefghij", 20) == 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(carries_bytes_in_order), cmocka_unit_test(waits_can_be_cancelled),
             cmocka_unit_test(close_and_reset), cmocka_unit_test(closed_under_waiters),
             cmocka_unit_test(closed_after_the_wakeup), cmocka_unit_test(peer_is_gone), cmocka_unit_test(back_pressure),
             cmocka_unit_test(drains), cmocka_unit_test(real_world_has_sockets), cmocka_unit_test(hosts_and_addresses),
             cmocka_unit_test(listeners), cmocka_unit_test(backlog), cmocka_unit_test(latency),
             cmocka_unit_test(bandwidth), cmocka_unit_test(partial_reads_and_writes))
