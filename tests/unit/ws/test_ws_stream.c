/* SPDX-License-Identifier: MIT */
/* WebSocket over streams in memory: frames cut anywhere, short memory, cancelled calls. The same in every run. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/json.h"
#include "ws/ws.h"

#define CAPACITY ((size_t)256 * 1024)
#define MESSAGES 60

/* A client's WebSocket and, by hand, the server's end of its stream. */
static int client_of(size_t capacity, sl_ws **ret_ws, sl_stream **ret_peer)
{
    sl_stream *stream = NULL;
    SL_TRY(sl_stream_memory_pair(capacity, &stream, ret_peer));
    int code = sl__ws_new(stream, false, NULL, NULL, "", ret_ws);
    if (code < 0) {
        sl_stream_close(stream);
    }
    return code;
}

static int two_ends(size_t capacity, sl_ws **ret_client, sl_ws **ret_server)
{
    sl_stream *stream = NULL;
    SL_TRY(client_of(capacity, ret_client, &stream));
    int code = sl__ws_new(stream, true, NULL, NULL, "", ret_server);
    if (code < 0) {
        sl_stream_close(stream);
    }
    return code;
}

/* Lengths on both sides of every boundary: of the length's forms and of buffers. */
static size_t size_of(int index)
{
    static const size_t sizes[] = {0,    1,    125,  126,   127,   500,   4081,  4082,  4083,  4084,  4085,
                                   4086, 4096, 8192, 16370, 16379, 16380, 16381, 16384, 16385, 65535, 65536};
    return sizes[(size_t)index % (sizeof sizes / sizeof sizes[0])];
}

static char letter(int index, size_t at)
{
    return (char)('a' + ((size_t)index + at * 7 + at / 97) % 26);
}

static int send_all(void *arg)
{
    char *data = test_malloc(65536);
    int code = 0;
    for (int i = 0; i < MESSAGES && code == 0; i++) {
        for (size_t at = 0; at < size_of(i); at++) {
            data[at] = letter(i, at);
        }
        code = sl_ws_send(arg, i % 3 == 0 ? SL_WS_BINARY : SL_WS_TEXT, data, size_of(i));
    }
    test_free(data);
    return code;
}

static int receive_all(sl_ws *ws)
{
    unsigned long behind = 0;
    for (int i = 0; i < MESSAGES; i++) {
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), 0);
        CHECK_EQ(message.kind, i % 3 == 0 ? SL_WS_BINARY : SL_WS_TEXT);
        CHECK_EQ(message.size_bytes, size_of(i));
        for (size_t at = 0; at < message.size_bytes; at++) {
            CHECK(message.data[at] == letter(i, at));
        }
        for (size_t at = 0; at < SL_JSON_PADDING; at++) {
            behind += (unsigned char)message.data[message.size_bytes + at]; /* the address sanitizer looks on */
        }
    }
    CHECK(behind < (unsigned long)MESSAGES * SL_JSON_PADDING * 256);
    return 0;
}

static int all_cuts(bool from_server)
{
    static const size_t capacities[] = {61, 4096, 16383, CAPACITY};
    size_t capacity = capacities[sl_conformance_seed() % 4];
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(two_ends(capacity, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, send_all, from_server ? server : client), 0);
    CHECK_EQ(receive_all(from_server ? client : server), 0);
    return sl_scope_wait(&scope);
}

C_TEST(ws_frames_cut_anywhere_from_the_server, "unmasked messages of every length, in reads of every length", "")
{
    return all_cuts(true);
}

C_TEST(ws_frames_cut_anywhere_from_a_client, "masked messages of every length, in reads of every length", "")
{
    return all_cuts(false);
}

#define TRADES 200

C_TEST(ws_small_messages_allocate_nothing, "after the first message neither sending nor receiving allocates", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(two_ends(CAPACITY, &client, &server), 0);
    char trade[300];
    memset(trade, 'x', sizeof trade);
    int64_t asked = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < TRADES; i++) {
            CHECK_EQ(sl_ws_send(server, SL_WS_TEXT, trade, sizeof trade - (size_t)i), 0);
        }
        const char *last = NULL;
        for (int i = 0; i < TRADES; i++) {
            struct sl_ws_message message;
            CHECK_EQ(sl_ws_receive(client, &message), 0);
            CHECK_EQ(message.size_bytes, sizeof trade - (size_t)i);
            CHECK(memcmp(message.data, trade, message.size_bytes) == 0);
            CHECK(message.data != last); /* where it lay, not copied to one place */
            last = message.data;
        }
        CHECK(round == 0 || sl_memory_asked() == asked);
        asked = sl_memory_asked();
    }
    return 0;
}

C_TEST(ws_send_without_memory, "a send that finds no memory sends nothing; the next one is in order", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(two_ends(CAPACITY, &client, &server), 0);
    char *data = test_calloc(1, 100000);
    sl_memory_fail_after(0);
    int short_of_it = sl_ws_send(client, SL_WS_BINARY, data, 100000);
    sl_memory_fail_after(-1);
    int sent = sl_ws_send(client, SL_WS_BINARY, data, 50000);
    test_free(data);
    CHECK_EQ(short_of_it, SL_ENOMEM);
    CHECK_EQ(sent, 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(server, &message), 0);
    CHECK_EQ(message.size_bytes, 50000);
    return 0;
}

C_TEST(ws_receive_without_memory, "what was not received for want of memory is received whole later", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(two_ends(CAPACITY, &client, &server), 0);
    char *data = test_calloc(1, 20000);
    int sent = sl_ws_send(client, SL_WS_BINARY, data, 20000);
    test_free(data);
    CHECK_EQ(sent, 0);
    CHECK_EQ(sl_ws_send(client, SL_WS_BINARY, "next", 4), 0);
    struct sl_ws_message message;
    sl_memory_fail_after(0);
    int code = sl_ws_receive(server, &message);
    sl_memory_fail_after(-1);
    CHECK_EQ(code, SL_ENOMEM);
    CHECK_EQ(sl_ws_receive(server, &message), 0); /* not "the rest of it" as if it were whole */
    CHECK_EQ(message.size_bytes, 20000);
    CHECK_EQ(sl_ws_receive(server, &message), 0);
    CHECK_EQ(message.size_bytes, 4);
    return 0;
}

C_TEST(ws_refused_peer_stays_refused, "after an error of the peer no further message is taken from it", "")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(client_of(CAPACITY, &ws, &peer), 0);
    static const char frames[] = "\x81\x02\xc3\x28\x81\x02ok"; /* not UTF-8, then good text */
    CHECK_EQ(sl_stream_write(peer, frames, sizeof frames - 1), 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(ws, &message), SL_EPROTO);
    CHECK_EQ(sl_ws_receive(ws, &message), SL_EPROTO);
    char answer[64];
    size_t bytes = 0;
    CHECK_EQ(sl_stream_read(peer, answer, sizeof answer, &bytes), 0);
    CHECK(bytes > 6 && (unsigned char)answer[0] == 0x88);
    return 0;
}

static int refused(const char *frames, size_t size_bytes, int wanted)
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(client_of(CAPACITY, &ws, &peer), 0);
    CHECK_EQ(sl_stream_write(peer, frames, size_bytes), 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(ws, &message), wanted);
    return 0;
}

#define REFUSED(frames, wanted) CHECK_EQ(refused(frames, sizeof(frames) - 1, wanted), 0)

C_TEST(ws_bad_lengths, "lengths longer than they need be, negative, or over the limit", "RFC 6455 5.2")
{
    REFUSED("\x81\x7e\x00\x02hi", SL_EPROTO);
    REFUSED("\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x02hi", SL_EPROTO);
    REFUSED("\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xffhi", SL_EPROTO);
    REFUSED("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xffhi", SL_EPROTO);
    REFUSED("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00hi", SL_EPROTO);
    REFUSED("\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00hi", SL_EMSGSIZE);
    REFUSED("\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xffhi", SL_EMSGSIZE);
    REFUSED("\x81\x82\x01\x02\x03\x04hi", SL_EPROTO); /* masked by a server */
    REFUSED("\xc1\x02hi", SL_EPROTO);
    REFUSED("\x01\x02hi\x81\x02hi", SL_EPROTO);
    return 0;
}

C_TEST(ws_cancelled_receive_loses_nothing, "a receive cancelled within a frame goes on with it later", "")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(client_of(CAPACITY, &ws, &peer), 0);
    /* A small frame, a frame, two fragments with a ping between: one byte at a time, a cancelled receive after each. */
    static const char frames[] = "\x81\x02hi\x82\x7e\x00\x80"
                                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                                 "\x01\x02he\x89\x01p\x80\x03llo"
                                 "\x89\x08\x81\x02no\x81\x02no"         /* payloads that look like frames */
                                 "\x02\x04\x81\x02no\x80\x04\x81\x02no" /* after each byte the receiver begins anew */
                                 "\x81\x03yes";
    static const size_t sizes[] = {2, 128, 5, 8, 3};
    int messages = 0;
    for (size_t at = 0; at < sizeof frames - 1; at++) {
        CHECK_EQ(sl_stream_write(peer, frames + at, 1), 0);
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(1), .move_on = true);
        struct sl_ws_message message;
        int code = sl_ws_receive(ws, &message);
        if (code == 0) {
            CHECK(messages < 5);
            CHECK_EQ(message.size_bytes, sizes[messages++]);
        } else {
            CHECK_EQ(code, SL_ECANCELED);
        }
    }
    CHECK_EQ(messages, 5);
    return 0;
}

static int close_it(void *arg)
{
    return sl_ws_send_close(arg, 1000, "");
}

C_TEST(ws_cancelled_close_can_be_sent_again, "a close that a cancelled scope refused is sent by the cleanup", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(two_ends(CAPACITY, &client, &server), 0);
    {
        SL_SCOPE(scope, .move_on = true);
        CHECK_EQ(sl_defer(&scope, close_it, client, SL_SECONDS(1)), 0);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(close_it(client), SL_ECANCELED);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(server, &message), SL_EOF);
    CHECK_EQ(sl_ws_close_code(server), 1000);
    return 0;
}

static int send_late(void *arg)
{
    CHECK_EQ(sl_ws_send(arg, SL_WS_TEXT, "late", 4), SL_EPIPE);
    return 0;
}

static int send_much(void *arg)
{
    char *data = test_calloc(1, 5000);
    int code = sl_ws_send(arg, SL_WS_BINARY, data, 5000);
    test_free(data);
    return code;
}

C_TEST(ws_nothing_follows_a_close, "a send that waited behind the close frame is not sent", "RFC 6455 5.5.1")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(two_ends(100, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, send_much, client), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, close_it, client), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, send_late, client), 0);
    SETTLE();
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(server, &message), 0);
    CHECK_EQ(message.size_bytes, 5000);
    CHECK_EQ(sl_ws_receive(server, &message), SL_EOF);
    CHECK_EQ(sl_ws_send(server, SL_WS_BINARY, "late", 4), SL_EPIPE);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(ws_frames_cut_anywhere_from_the_server),
             cmocka_unit_test(ws_frames_cut_anywhere_from_a_client),
             cmocka_unit_test(ws_small_messages_allocate_nothing), cmocka_unit_test(ws_send_without_memory),
             cmocka_unit_test(ws_receive_without_memory), cmocka_unit_test(ws_refused_peer_stays_refused),
             cmocka_unit_test(ws_bad_lengths), cmocka_unit_test(ws_cancelled_receive_loses_nothing),
             cmocka_unit_test(ws_cancelled_close_can_be_sent_again), cmocka_unit_test(ws_nothing_follows_a_close))
