/* SPDX-License-Identifier: MIT */
/* Each fault of the simulated network alone. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/simulation.h"
#include "stream_cases.h"

/* A connection over a link of 5 ms. */
static int far_pair(sl_stream **ret_one, sl_stream **ret_other)
{
    int code = sl_network_simulate();
    if (code != SL_EALREADY) {
        SL_TRY(code);
        SL_TRY(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = SL_MILLISECONDS(5)}));
    }
    return stream_pair_connect("127.0.0.1", ret_one, ret_other);
}

static int read_one(sl_stream *stream)
{
    char byte;
    size_t bytes;
    return sl_stream_read(stream, &byte, 1, &bytes);
}

/* What a read gives within a time. */
static int read_within(sl_stream *stream, sl_time timeout)
{
    SL_SCOPE(limit, .timeout = timeout);
    return sl_scope_close(&limit, read_one(stream));
}

static int close_both(sl_stream *one, sl_stream *other)
{
    sl_stream_close(one);
    sl_stream_close(other);
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

/* ---- how TCP ends ---- */

C_TEST_SIMULATED(data_before_the_end, "what was sent before the end arrives before it, also when the sender closed", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, "xy", 2), 0);
    sl_stream_close(one);
    CHECK_EQ(read_one(other), 0);
    CHECK_EQ(read_one(other), 0);
    CHECK_EQ(read_one(other), SL_EOF);
    return close_both(NULL, other);
}

C_TEST_SIMULATED(half_closed, "one side ends, the other goes on", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_shutdown(one), 0);
    CHECK_EQ(read_one(other), SL_EOF);
    CHECK_EQ(sl_stream_write(other, "x", 1), 0);
    CHECK_EQ(read_one(one), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_EPIPE);
    CHECK_EQ(sl_stream_shutdown(other), 0);
    CHECK_EQ(read_one(one), SL_EOF);
    return close_both(one, other);
}

C_TEST_SIMULATED(closed_with_unread_bytes, "closing with unread bytes resets", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(6)), 0);
    sl_stream_close(other);
    CHECK_EQ(read_one(one), SL_ECONNRESET);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_ECONNRESET);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_EPIPE);
    return close_both(one, NULL);
}

C_TEST_SIMULATED(written_to_a_closed_peer, "the first write after the peer closed is lost, and answered by a reset", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    sl_stream_close(other);
    CHECK_EQ(read_one(one), SL_EOF);
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(11)), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_ECONNRESET);
    return close_both(one, NULL);
}

C_TEST_SIMULATED(reset_discards, "a reset discards what was not read", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    sl_stream_reset(one);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    CHECK_EQ(read_one(other), SL_ECONNRESET);
    return close_both(NULL, other);
}

/* ---- connecting ---- */

C_TEST_SIMULATED(refused, "a link that refuses connections", "")
{
    sl_stream *stream = NULL;
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = 1, .refuse = 1}), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 80, &listener), 0);
    CHECK_EQ(sl_connect("127.0.0.1", 80, &stream), -ECONNREFUSED);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.refuse = 0.5}), 0);
    int made = 0;
    for (int i = 0; i < 100; i++) {
        stream = NULL;
        made += sl_connect("127.0.0.1", 80, &stream) == 0;
        sl_stream_close(stream);
    }
    CHECK(made > 20 && made < 80);
    CHECK_EQ(sl_network_counts_get().refused, 101 - made);
    CHECK_EQ(sl_network_counts_get().established, made);
    return 0;
}

C_TEST_SIMULATED(ignored, "nobody answers: the deadline, or the system's patience, ends it", "")
{
    sl_stream *stream = NULL;
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.ignore = 1}), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 80, &listener), 0);
    sl_time before = sl_now();
    {
        SL_SCOPE(limit, .timeout = SL_SECONDS(3));
        CHECK_EQ(sl_scope_close(&limit, sl_connect("127.0.0.1", 80, &stream)), SL_ETIMEDOUT);
    }
    CHECK_EQ(sl_now() - before, SL_SECONDS(3));
    CHECK_EQ(sl_connect("127.0.0.1", 80, &stream), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - before, SL_SECONDS(3) + SL_NETWORK_CONNECT_GIVE_UP);
    CHECK_EQ(sl_network_counts_get().ignored, 2);
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

/* ---- cuts ---- */

C_TEST_SIMULATED(cut_by_reset, "both ends see a reset", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    CHECK_EQ(sl_network_cut(NULL, NULL, SL_CUT_RESET), 1);
    CHECK_EQ(read_one(other), SL_ECONNRESET);
    CHECK_EQ(read_one(one), SL_ECONNRESET);
    CHECK_EQ(sl_stream_write(other, "x", 1), SL_ECONNRESET);
    CHECK_EQ(sl_network_counts_get().cut_reset, 1);
    return close_both(one, other);
}

C_TEST_SIMULATED(cut_by_end, "both ends see the end; who writes then is reset", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_network_cut(NULL, NULL, SL_CUT_END), 1);
    CHECK_EQ(read_one(one), SL_EOF);
    CHECK_EQ(read_one(other), SL_EOF);
    CHECK_EQ(sl_stream_write(other, "x", 1), 0);
    CHECK_EQ(read_within(one, SL_SECONDS(1)), SL_EOF); /* nothing arrives */
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(11)), 0);
    CHECK_EQ(sl_stream_write(other, "x", 1), SL_ECONNRESET);
    return close_both(one, other);
}

static int fill_up(void *arg)
{
    static const char zeros[4096];
    int code = 0;
    while (code == 0) {
        code = sl_stream_write(arg, zeros, sizeof zeros);
    }
    CHECK_EQ(code, SL_ECONNRESET);
    return 0;
}

C_TEST_SIMULATED(cut_by_end_frees_a_writer, "a writer that waits for room does not wait for ever", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    SL_SCOPE(limit, .timeout = SL_SECONDS(10));
    CHECK_EQ(sl_spawn(&limit, fill_up, one), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(sl_network_cut(SL_NETWORK_HOME, SL_NETWORK_HOME, SL_CUT_END), 1);
    CHECK_EQ(sl_scope_wait(&limit), 0);
    return close_both(one, other);
}

struct late {
    sl_stream *stream;
    sl_time ended;
    int code;
};

static int write_on(void *arg)
{
    struct late *late = arg;
    late->code = 0;
    while (late->code == 0) {
        late->code = sl_stream_write(late->stream, "0123456789", 10);
    }
    late->ended = sl_now();
    return 0;
}

C_TEST_SIMULATED(half_open, "a reader learns nothing; a writer gives up in the end", "")
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    sl_time start = sl_now();
    CHECK_EQ(sl_network_cut(NULL, NULL, SL_CUT_SILENT), 1);
    struct late late = {.stream = one};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, write_on, &late), 0);
    CHECK_EQ(read_within(other, SL_MINUTES(60)), SL_ETIMEDOUT);
    CHECK_EQ(late.code, SL_ETIMEDOUT);
    CHECK_EQ(late.ended - start, SL_NETWORK_GIVE_UP);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return close_both(one, other);
}

/* Also when the bytes had arrived, and only the reader's acknowledgement cannot come. */
static int full_buffer(bool partition)
{
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    struct late late = {.stream = one};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, write_on, &late), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    sl_time start = sl_now();
    if (partition) {
        CHECK_EQ(sl_network_partition(SL_NETWORK_HOME, SL_NETWORK_HOME), 0);
    } else {
        CHECK_EQ(sl_network_cut(NULL, NULL, SL_CUT_SILENT), 1);
    }
    CHECK_EQ(read_one(other), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(late.code, SL_ETIMEDOUT);
    CHECK_EQ(late.ended - start, SL_NETWORK_GIVE_UP);
    return close_both(one, other);
}

C_TEST_SIMULATED(half_open_behind_a_full_buffer, "a writer that waits for room gives up too", "")
{
    CHECK_EQ(full_buffer(false), 0);
    return full_buffer(true);
}

/* Reads all there is; its end's code and how much. */
static int drain(sl_stream *stream, size_t *ret_total)
{
    char buffer[100];
    size_t bytes;
    int code;
    *ret_total = 0;
    while ((code = sl_stream_read(stream, buffer, sizeof buffer, &bytes)) == 0) {
        *ret_total += bytes;
    }
    return code;
}

C_TEST_SIMULATED(cut_after_bytes, "a connection that ends after n bytes, wherever that is", "")
{
    static const char zeros[5000];
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    size_t total;
    CHECK_EQ(sl_network_simulate(), 0);
    struct sl_link_options options = {.latency = 1, .chunk_bytes = 700, .cut_after_bytes = 1234, .cut_how = SL_CUT_END};
    CHECK_EQ(sl_network_link(NULL, NULL, &options), 0);
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, zeros, sizeof zeros), 0);
    CHECK_EQ(drain(other, &total), SL_EOF);
    CHECK_EQ(total, 1234);
    CHECK_EQ(sl_sleep(10), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), SL_ECONNRESET); /* the rest met nobody */
    CHECK_EQ(close_both(one, other), 0);
    options.cut_how = SL_CUT_RESET;
    CHECK_EQ(sl_network_link(NULL, NULL, &options), 0);
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, zeros, sizeof zeros), 0);
    CHECK_EQ(drain(other, &total), SL_ECONNRESET);
    CHECK(total <= 1234);
    CHECK_EQ(close_both(one, other), 0);
    options.cut_how = SL_CUT_SILENT;
    CHECK_EQ(sl_network_link(NULL, NULL, &options), 0);
    CHECK_EQ(far_pair(&one, &other), 0);
    CHECK_EQ(sl_stream_write(one, zeros, sizeof zeros), 0);
    sl_stream_close(one);
    SL_SCOPE(limit, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_scope_close(&limit, drain(other, &total)), SL_ETIMEDOUT);
    CHECK_EQ(total, 1234);
    CHECK_EQ(close_both(NULL, other), 0);
    CHECK_EQ(sl_network_counts_get().cut_ended, 1);
    CHECK_EQ(sl_network_counts_get().cut_reset, 1);
    CHECK_EQ(sl_network_counts_get().cut_silent, 1);
    return 0;
}

C_TEST_SIMULATED(cut_at_random, "each segment may be the last", "")
{
    int lost = 0;
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = 1, .cut = 0.2}), 0);
    for (int i = 0; i < 50; i++) {
        sl_stream *one = NULL;
        sl_stream *other = NULL;
        CHECK_EQ(far_pair(&one, &other), 0);
        for (int k = 0; k < 3; k++) {
            (void)!sl_stream_write(one, "x", 1);
            CHECK_EQ(sl_sleep(10), 0);
        }
        (void)!sl_stream_shutdown(one);
        size_t total;
        int code = 0;
        {
            SL_SCOPE(limit, .timeout = SL_SECONDS(1));
            code = sl_scope_close(&limit, drain(other, &total));
        }
        CHECK(code == SL_EOF || code == SL_ECONNRESET || code == SL_ETIMEDOUT);
        lost += code != SL_EOF || total < 3;
        CHECK_EQ(close_both(one, other), 0);
    }
    CHECK(lost > 5 && lost < 45);
    struct sl_network_counts counts = sl_network_counts_get();
    CHECK(counts.cut_reset > 0 && counts.cut_ended > 0 && counts.cut_silent > 0);
    return 0;
}

/* ---- partitions ---- */

C_TEST_SIMULATED(partitioned, "what was under way waits until the hosts are healed", "")
{
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_host("a", NULL), 0);
    CHECK_EQ(sl_network_host("b", NULL), 0);
    sl_auto(sl_listener) *listener = NULL;
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    sl_stream *third = NULL;
    CHECK_EQ(sl_network_enter("a"), 0);
    CHECK_EQ(sl_listener_open("0.0.0.0", 80, &listener), 0);
    CHECK_EQ(sl_network_enter("b"), 0);
    CHECK_EQ(sl_connect(sl_network_address("a"), 80, &one), 0);
    CHECK_EQ(sl_listener_accept(listener, &other), 0);
    CHECK_EQ(sl_network_partition("a", NULL), 0);
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    CHECK_EQ(read_within(other, SL_SECONDS(10)), SL_ETIMEDOUT);
    {
        SL_SCOPE(limit, .timeout = SL_SECONDS(3));
        CHECK_EQ(sl_scope_close(&limit, sl_connect(sl_network_address("a"), 80, &third)), SL_ETIMEDOUT);
    }
    CHECK_EQ(sl_network_heal("b", "a"), 0);
    CHECK_EQ(read_one(other), 0);
    CHECK_EQ(sl_connect(sl_network_address("a"), 80, &third), 0);
    sl_stream_close(third);
    CHECK_EQ(sl_listener_accept(listener, &third), 0);
    CHECK_EQ(read_one(third), SL_EOF);
    sl_stream_close(third);
    /* For too long: the sender gives up, and the other end finds out when it writes. */
    CHECK_EQ(sl_network_partition("a", "b"), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_stream_write(one, "x", 1), 0);
    CHECK_EQ(read_one(one), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - before, SL_NETWORK_GIVE_UP);
    CHECK_EQ(sl_network_heal(NULL, NULL), 0);
    CHECK_EQ(read_within(other, SL_SECONDS(10)), SL_ETIMEDOUT);
    CHECK_EQ(sl_stream_write(other, "x", 1), 0);
    CHECK_EQ(read_one(other), SL_ECONNRESET);
    return close_both(one, other);
}

/* ---- chaos of one kind ---- */

C_TEST_SIMULATED(chaos_of_one_kind, "faults of the kind that is asked for, at random times, until the end", "")
{
    CHECK_EQ(sl_network_simulate(), 0);
    sl_time start = sl_now();
    struct sl_chaos_options options = {.every = SL_SECONDS(1), .duration = SL_SECONDS(100), .partition = 1};
    CHECK_EQ(sl_network_chaos(&options), 0);
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(far_pair(&one, &other), 0);
    sl_time longest = 0;
    while (sl_now() - start < SL_SECONDS(110)) {
        sl_time before = sl_now();
        CHECK_EQ(sl_stream_write(one, "x", 1), 0);
        CHECK_EQ(read_one(other), 0);
        longest = sl_now() - before > longest ? sl_now() - before : longest;
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    }
    CHECK(longest > SL_MILLISECONDS(100) && longest < SL_SECONDS(10));
    struct sl_network_counts counts = sl_network_counts_get();
    CHECK(counts.partitions > 50 && counts.partitions < 150);
    CHECK_EQ(counts.cut_reset + counts.cut_ended + counts.cut_silent + counts.slowed + counts.refusals, 0);
    options = (struct sl_chaos_options){.every = SL_SECONDS(1), .duration = SL_SECONDS(100), .slow = 1, .refuse = 1};
    CHECK_EQ(sl_network_chaos(&options), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(200)), 0);
    counts = sl_network_counts_get();
    CHECK(counts.slowed > 20 && counts.refusals > 20);
    options = (struct sl_chaos_options){.every = SL_SECONDS(1), .duration = SL_SECONDS(100), .end = 1};
    CHECK_EQ(sl_network_chaos(&options), 0);
    CHECK_EQ(read_one(other), SL_EOF);
    CHECK_EQ(sl_network_chaos(NULL), 0);
    return close_both(one, other);
}

SL_TEST_MAIN(cmocka_unit_test(data_before_the_end), cmocka_unit_test(half_closed),
             cmocka_unit_test(closed_with_unread_bytes), cmocka_unit_test(written_to_a_closed_peer),
             cmocka_unit_test(reset_discards), cmocka_unit_test(refused), cmocka_unit_test(ignored),
             cmocka_unit_test(cut_by_reset), cmocka_unit_test(cut_by_end), cmocka_unit_test(cut_by_end_frees_a_writer),
             cmocka_unit_test(half_open), cmocka_unit_test(half_open_behind_a_full_buffer),
             cmocka_unit_test(cut_after_bytes), cmocka_unit_test(cut_at_random), cmocka_unit_test(partitioned),
             cmocka_unit_test(chaos_of_one_kind))
