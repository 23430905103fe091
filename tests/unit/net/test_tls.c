/* SPDX-License-Identifier: MIT */
/* TLS between two of our ends: bytes both ways, the end of a direction, what was negotiated. */
#include <string.h>

#include "sl_conformance.h"
#include "tls_pair.h"

#define BULK ((size_t)300 * 1024)

static unsigned char byte_at(size_t index)
{
    return (unsigned char)(index * 7 + index / 251);
}

struct flow {
    sl_stream *stream;
    size_t bytes;
};

/* In chunks of all sizes, some of several pieces. */
static int write_flow(void *arg)
{
    const struct flow *flow = arg;
    unsigned char *chunk = test_malloc(40000);
    int code = 0;
    for (size_t at = 0, bytes = 1; at < flow->bytes && code == 0; at += bytes, bytes = bytes * 3 % 39989 + 1) {
        bytes = flow->bytes - at < bytes ? flow->bytes - at : bytes;
        for (size_t i = 0; i < bytes; i++) {
            chunk[i] = byte_at(at + i);
        }
        size_t head = bytes < 10 ? 0 : 10;
        struct sl_bytes pieces[] = {{chunk, head}, {NULL, 0}, {chunk + head, bytes - head}};
        code = sl_stream_write_pieces(flow->stream, pieces, 3);
    }
    test_free(chunk);
    return code < 0 ? code : sl_stream_shutdown(flow->stream);
}

static int read_flow(void *arg)
{
    const struct flow *flow = arg;
    size_t total = 0;
    struct sl_view view;
    int code;
    while ((code = sl_stream_peek(flow->stream, 1, &view)) == 0) {
        for (size_t i = 0; i < view.size_bytes; i++) {
            CHECK(view.data[i] == (char)byte_at(total + i));
        }
        total += view.size_bytes;
        sl_stream_consume(flow->stream, view.size_bytes);
    }
    CHECK_EQ(code, SL_EOF);
    CHECK_EQ(total, flow->bytes);
    CHECK_EQ(sl_stream_peek(flow->stream, 1, &view), SL_EOF);
    return 0;
}

static int both_ways(enum tls_under under, size_t capacity, size_t bytes)
{
    struct tls_pair pair;
    CHECK_EQ(tls_pair_open(under, capacity, &pair), 0);
    struct flow client = {pair.client, bytes};
    struct flow server = {pair.server, bytes};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, write_flow, &client), 0);
    CHECK_EQ(sl_spawn(&scope, read_flow, &client), 0);
    CHECK_EQ(sl_spawn(&scope, write_flow, &server), 0);
    CHECK_EQ(sl_spawn(&scope, read_flow, &server), 0);
    int code = sl_scope_wait(&scope);
    CHECK_EQ(sl_stream_counts_get(pair.client).sent_bytes, bytes);
    CHECK_EQ(sl_stream_counts_get(pair.server).received_bytes, bytes);
    CHECK_EQ(sl_stream_write(pair.client, "x", 1), SL_EPIPE); /* it was shut down */
    tls_pair_close(&pair);
    return code;
}

C_TEST(tls_memory_carries_bytes, "both directions at once, in order, through pipes of any width", "")
{
    CHECK_EQ(both_ways(TLS_OVER_MEMORY, 1, 2000), 0);
    CHECK_EQ(both_ways(TLS_OVER_MEMORY, 1000, 50000), 0);
    return both_ways(TLS_OVER_MEMORY, (size_t)64 * 1024, 100000);
}

C_TEST_REAL(tls_tcp_carries_bytes, "both directions at once, in order", "")
{
    return both_ways(TLS_OVER_TCP, 0, BULK);
}

C_TEST(tls_half_closed, "a direction that has ended leaves the other open", "")
{
    struct tls_pair pair;
    char buffer[8];
    size_t bytes = 0;
    CHECK_EQ(tls_pair_open(TLS_OVER_MEMORY, 4096, &pair), 0);
    CHECK_EQ(sl_stream_shutdown(pair.client), 0);
    CHECK_EQ(sl_stream_shutdown(pair.client), 0);
    CHECK_EQ(sl_stream_read(pair.server, buffer, sizeof buffer, &bytes), SL_EOF);
    CHECK_EQ(sl_stream_write(pair.server, "back", 4), 0);
    CHECK_EQ(sl_stream_read(pair.client, buffer, sizeof buffer, &bytes), 0);
    CHECK_EQ(bytes, 4);
    sl_stream_close(pair.server); /* says close_notify itself, as there is room */
    CHECK_EQ(sl_stream_read(pair.client, buffer, sizeof buffer, &bytes), SL_EOF);
    sl_stream_close(pair.client);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(tls_memory_carries_bytes), cmocka_unit_test(tls_tcp_carries_bytes),
             cmocka_unit_test(tls_half_closed))
