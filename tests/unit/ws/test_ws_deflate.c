/* SPDX-License-Identifier: MIT */
/* permessage-deflate: agreeing on it, every combination of parameters, the RFC's examples, bombs and bad data. */
#include <zlib.h>

#include "ws_kit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- agreeing ---- */

static const struct {
    struct sl_ws_deflate able;
    const char *offers;
    const char *answer; /* "" declined, NULL malformed */
} offered[] = {
    {{.on = true}, "permessage-deflate", "permessage-deflate"},
    {{.on = true}, " , Permessage-Deflate ,", "permessage-deflate"},
    {{.on = true}, "", ""},
    {{.on = false}, "permessage-deflate", ""},
    {{.on = true}, "x-webkit-deflate-frame", ""},
    {{.on = true}, "x-some; a=\"b\"; c, permessage-deflate; client_max_window_bits", "permessage-deflate"},
    {{.on = true}, "permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"},
    {{.on = true},
     "permessage-deflate; client_max_window_bits=\"10\"",
     "permessage-deflate; client_max_window_bits=10"},
    {{.on = true}, "permessage-deflate ;server_max_window_bits = 8", "permessage-deflate; server_max_window_bits=8"},
    {{.on = true}, "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"},
    {{.on = true},
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
     "permessage-deflate; client_no_context_takeover; server_no_context_takeover"},
    {{.on = true, .client_no_context_takeover = true},
     "permessage-deflate",
     "permessage-deflate; client_no_context_takeover"},
    {{.on = true, .server_no_context_takeover = true},
     "permessage-deflate",
     "permessage-deflate; server_no_context_takeover"},
    {{.on = true, .client_max_window_bits = 9}, "permessage-deflate", "permessage-deflate"},
    {{.on = true, .client_max_window_bits = 9},
     "permessage-deflate; client_max_window_bits",
     "permessage-deflate; client_max_window_bits=9"},
    {{.on = true, .client_max_window_bits = 12},
     "permessage-deflate; client_max_window_bits=9",
     "permessage-deflate; client_max_window_bits=9"},
    {{.on = true, .server_max_window_bits = 11}, "permessage-deflate", "permessage-deflate; server_max_window_bits=11"},
    {{.on = true, .server_max_window_bits = 11},
     "permessage-deflate; server_max_window_bits=14",
     "permessage-deflate; server_max_window_bits=11"},
    /* declined, and the next one is taken: RFC 7692, 5.1 and 7.1 */
    {{.on = true}, "permessage-deflate; server_max_window_bits=7", ""},
    {{.on = true}, "permessage-deflate; server_max_window_bits=16", ""},
    {{.on = true}, "permessage-deflate; server_max_window_bits=08", ""},
    {{.on = true}, "permessage-deflate; server_max_window_bits=+8", ""},
    {{.on = true}, "permessage-deflate; server_max_window_bits", ""},
    {{.on = true}, "permessage-deflate; client_max_window_bits=100", ""},
    {{.on = true}, "permessage-deflate; client_max_window_bits; client_max_window_bits", ""},
    {{.on = true}, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
    {{.on = true}, "permessage-deflate; server_no_context_takeover=1", ""},
    {{.on = true}, "permessage-deflate; client_no_context_takeover=true", ""},
    {{.on = true}, "permessage-deflate; unknown", ""},
    {{.on = true},
     "permessage-deflate; unknown=1, permessage-deflate; client_max_window_bits=9, permessage-deflate",
     "permessage-deflate; client_max_window_bits=9"},
    {{.on = true}, "permessage-deflate; ", NULL},
    {{.on = true}, "permessage-deflate; a=", NULL},
    {{.on = true}, "permessage-deflate; a=\"", NULL},
    {{.on = true}, "permessage-deflate; a=\"b", NULL},
    {{.on = true}, "permessage-deflate; a=\"b c\"", NULL},
    {{.on = true}, "permessage-deflate client_max_window_bits", NULL},
    {{.on = true}, "permessage-deflate, =", NULL},
};

static void grants(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(offered); i++) {
        struct sl__ws_agreed agreed = {.on = false};
        char text[SL__WS_EXTENSION_BYTES] = "";
        int code = sl__ws_grant(&offered[i].able, offered[i].offers, &agreed, text);
        const char *answer = offered[i].answer;
        print_message("%s\n", offered[i].offers);
        assert_int_equal(code, answer == NULL ? SL_EPROTO : *answer != '\0');
        if (answer != NULL) {
            assert_string_equal(text, answer);
            assert_int_equal(agreed.on, *answer != '\0');
        }
    }
}

static void answers(void **state)
{
    (void)state;
    static const struct sl_ws_deflate none = {.on = false};
    static const struct sl_ws_deflate any = {.on = true};
    static const struct sl_ws_deflate strict = {.on = true,
                                                .client_no_context_takeover = true,
                                                .server_no_context_takeover = true,
                                                .client_max_window_bits = 10,
                                                .server_max_window_bits = 11};
    static const struct {
        const struct sl_ws_deflate *wanted;
        const char *answer;
        int code;
        struct sl__ws_agreed agreed;
    } cases[] = {
        {&any, "", 0, {.on = false}},
        {&any, "permessage-deflate", 0, {true, false, false, 15, 15}},
        {&any, "permessage-deflate; client_max_window_bits=9; server_max_window_bits=8", 0, {true, false, false, 9, 8}},
        {&any,
         "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
         0,
         {true, true, true, 15, 15}},
        {&strict,
         "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
         0,
         {true, true, true, 10, 11}},
        {&strict,
         "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits=8",
         0,
         {true, true, true, 8, 8}},
        {&strict, "permessage-deflate; server_max_window_bits=11", SL_EPROTO, {.on = false}},
        {&strict, "permessage-deflate; server_no_context_takeover", SL_EPROTO, {.on = false}},
        {&strict,
         "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
         SL_EPROTO,
         {.on = false}},
        {&strict,
         "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=11",
         SL_EPROTO,
         {.on = false}},
        {&any, "permessage-deflate; client_max_window_bits", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate; server_max_window_bits", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate; client_max_window_bits=16", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate; client_max_window_bits=7", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate; unknown", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate; server_no_context_takeover=1", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate, permessage-deflate", SL_EPROTO, {.on = false}},
        {&any, "permessage-other", SL_EPROTO, {.on = false}},
        {&any, "permessage-deflate;", SL_EPROTO, {.on = false}},
        {&none, "permessage-deflate", SL_EPROTO, {.on = false}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sl__ws_agreed agreed = {.on = false};
        print_message("%s\n", cases[i].answer);
        assert_int_equal(sl__ws_check_grant(cases[i].wanted, cases[i].answer, &agreed), cases[i].code);
        assert_memory_equal(&agreed, &cases[i].agreed, sizeof agreed);
    }
}

/* Whatever one side offers, the other grants something that the first takes. */
static void both_sides_agree(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 9u * 9 * 4 * 9 * 9 * 4; number += 7) {
        unsigned left = number;
        struct sl_ws_deflate sides[2];
        for (int i = 0; i < 2; i++) {
            int bits[2];
            for (int j = 0; j < 2; j++, left /= 9) {
                bits[j] = left % 9 == 0 ? 0 : 7 + (int)(left % 9);
            }
            sides[i] = (struct sl_ws_deflate){.on = true,
                                              .client_no_context_takeover = (left & 1) != 0,
                                              .server_no_context_takeover = (left & 2) != 0,
                                              .client_max_window_bits = bits[0],
                                              .server_max_window_bits = bits[1]};
            left /= 4;
        }
        char offer[SL__WS_EXTENSION_BYTES];
        char answer[SL__WS_EXTENSION_BYTES];
        struct sl__ws_agreed server = {.on = false};
        struct sl__ws_agreed client = {.on = false};
        sl__ws_offer(&sides[0], offer);
        assert_int_equal(sl__ws_grant(&sides[1], offer, &server, answer), 1);
        assert_int_equal(sl__ws_check_grant(&sides[0], answer, &client), 0);
        assert_true(client.server_max_window_bits >= server.server_max_window_bits); /* who inflates has room */
        assert_true(server.client_max_window_bits >= client.client_max_window_bits);
        assert_true(!client.server_no_context_takeover || server.server_no_context_takeover);
        assert_true(!server.client_no_context_takeover || client.client_no_context_takeover);
    }
}

/* ---- messages ---- */

/* Text that refers back as far as it can: words out of a small random dictionary, and noise. */
static void fill(char *data, size_t size_bytes)
{
    static const char words[] = "trade price quantity 0.00100000 67234.51 BTCUSDT bid ask ";
    for (size_t at = 0; at < size_bytes;) {
        uint64_t random = sl_conformance_random();
        size_t from = (size_t)(random % (sizeof words - 1));
        size_t length = 1 + (size_t)(random >> 8) % (sizeof words - 1 - from);
        length = length < size_bytes - at ? length : size_bytes - at;
        if (random >> 60 == 0) {
            data[at++] = (char)(random >> 32 & 0x7f);
        } else {
            memcpy(data + at, words + from, length);
            at += length;
        }
    }
}

static const size_t sizes[] = {0, 1, 3, 100, 126, 255, 256, 257, 700, 5000, 40000, 200000};

static int send_all(void *arg)
{
    char *data = test_malloc(200000);
    int code = 0;
    for (size_t i = 0; i < COUNT(sizes) && code == 0; i++) {
        memset(data, 0, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++) {
            data[at] = (char)('a' + (at * at / 7 + i) % 23);
        }
        if (i % 2 == 0) {
            code = sl_ws_send(arg, SL_WS_TEXT, data, sizes[i]);
        } else {
            size_t half = sizes[i] / 2;
            code = sl_ws_send_part(arg, SL_WS_BINARY, data, half, false);
            code = code == 0 ? sl_ws_send_part(arg, SL_WS_BINARY, data + half, sizes[i] - half, true) : code;
        }
    }
    test_free(data);
    return code;
}

static int receive_all(sl_ws *ws)
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), 0);
        CHECK_EQ(message.kind, i % 2 == 0 ? SL_WS_TEXT : SL_WS_BINARY);
        CHECK_EQ(message.size_bytes, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++) {
            CHECK(message.data[at] == (char)('a' + (at * at / 7 + i) % 23));
        }
    }
    return 0;
}

static int both_ways(const struct sl__ws_agreed *agreed, const struct sl_ws_options *options)
{
    for (int role = 0; role < 2; role++) {
        sl_auto(sl_ws) *client = NULL;
        sl_auto(sl_ws) *server = NULL;
        CHECK_EQ(ws_pair(5000, options, agreed, &client, &server), 0);
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, send_all, role == 0 ? client : server), 0);
        CHECK_EQ(receive_all(role == 0 ? server : client), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(ws_deflate_combinations, "messages of every size pass with every combination of parameters",
                "RFC 7692 7.1")
{
    for (int flags = 0; flags < 4; flags++) {
        for (int client_bits = 8; client_bits <= 15; client_bits++) {
            int server_bits = 8 + (client_bits * 3 + flags) % 8;
            struct sl__ws_agreed agreed = {true, (flags & 1) != 0, (flags & 2) != 0, client_bits, server_bits};
            struct sl_ws_options options = {
                .deflate = {.on = true, .level = client_bits % 10, .threshold_bytes = (size_t)(flags * 50)}};
            CHECK_EQ(both_ways(&agreed, &options), 0);
        }
    }
    return 0;
}

C_TEST_REAL_FEW(ws_deflate_small_windows,
                "what our compressor sends fits the window that was agreed on, even 256 bytes",
                "RFC 7692 7.1.2; zlib raises 8 to 9")
{
    char *data = test_malloc(300000);
    int failed = 0;
    for (int bits = 8; bits <= 10 && failed == 0; bits++) {
        for (int level = 1; level <= 9 && failed == 0; level++) {
            sl_deflater *deflater = NULL;
            sl_inflater *inflater = NULL;
            struct sl__ws_buffer out = {NULL, 0, 0};
            failed |= sl__deflater_new(bits, true, level, &deflater) | sl__inflater_new(bits, true, &inflater);
            for (int round = 0; round < 20 && failed == 0; round++) {
                size_t size_bytes = round == 0 ? 300000 : (size_t)(sl_conformance_random() % 2000);
                fill(data, size_bytes);
                const char *left = data;
                size_t left_bytes = size_bytes;
                out.size_bytes = 0;
                for (bool done = false; !done && failed == 0;) {
                    struct sl_view some;
                    failed |= sl__deflate(deflater, &left, &left_bytes, true, &some, &done);
                    for (size_t at = 0; at < some.size_bytes && failed == 0;
                         at++) { /* byte by byte: no help from the output */
                        failed |= sl__inflate(inflater, some.data + at, 1, &out, 1 << 20);
                    }
                }
                failed |= sl__inflate_end(inflater, &out, 1 << 20);
                failed |= out.size_bytes != size_bytes || memcmp(out.data, data, size_bytes) != 0;
            }
            sl__ws_buffer_free(&out);
            sl__deflater_free(deflater);
            sl__inflater_free(inflater);
        }
    }
    test_free(data);
    CHECK_EQ(failed, 0);
    return 0;
}

static const struct sl__ws_agreed keeps = {true, false, false, 15, 15};
static const struct sl__ws_agreed resets = {true, true, true, 15, 15};
#define CLOSE F(0x88, "\x03\xe8")
#define DONE "EOF C1000"

C_TEST(ws_deflate_examples, "the examples of the RFC", "RFC 7692 7.2.3")
{
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) T(Hello) " DONE, F(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"),
                 F(0xc1, "\xf2\x00\x11\x00\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &resets, "T(Hello) T(Hello) " DONE, F(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"),
                 F(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &resets, "T(Hello) SL_EPROTO C1007", F(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"),
                 F(0xc1, "\xf2\x00\x11\x00\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) EOF P(p) C1000", F(0x41, "\xf2\x48\xcd"), F(0x89, "p"),
                 F(0x80, "\xc9\xc9\x07\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) " DONE, F(0xc1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), CLOSE);
    /* a final block, and then the window goes on */
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) T(Hello) " DONE, F(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
                 F(0xc1, "\xf2\x00\x11\x00\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) T(Hello) " DONE, F(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00"),
                 F(0xc1, "\xf2\x00\x11\x00\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &resets, "T(Hello) T(Hello) " DONE, F(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00"),
                 F(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) " DONE, F(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
                 CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "T() B() T(plain) " DONE, F(0xc1, "\x00"), F(0xc2, "\x02\x00"), F(0x81, "plain"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "T(Hello) " DONE, F(0x41, ""), F(0x00, "\xf2\x48\xcd\xc9\xc9\x07\x00"), F(0x80, ""),
                 CLOSE);
    return 0;
}

C_TEST(ws_deflate_bad_data, "what does not inflate, or ends within a block, is refused with 1007", "RFC 7692 6.2")
{
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0xc1, "\xff\xff\xff\xff"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0xc1, "\xf2\x48\xcd\xc9"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0xc1, ""), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0xc2, "\x00\x05\x00\xfa\xffHe"), CLOSE);
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0xc1, "\x00\x02\x00\xfd\xff\xc3\x28\x00"), CLOSE);   /* not UTF-8 */
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0xc1, "\x00\x02\x00\xfd\xffo\xc3\x00"), CLOSE);      /* cut */
    WS_PLAY_WITH(NULL, &keeps, "SL_EPROTO C1007", F(0x41, "\x00\x02\x00\xfd\xff\xc3\x28"), F(0x00, "")); /* at once */
    WS_PLAY_WITH(NULL, &keeps, "B(\xc3\x28) " DONE, F(0xc2, "\x00\x02\x00\xfd\xff\xc3\x28\x00"), CLOSE);
    return 0;
}

/* Compresses as peers do, and drops the tail. */
static char *compressed(const char *data, size_t size_bytes, size_t *ret_bytes)
{
    z_stream z = {0};
    (void)deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    size_t room = size_bytes / 2 + 1000;
    char *out = test_malloc(room);
    z.next_in = (z_const Bytef *)data;
    z.avail_in = (uInt)size_bytes;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    (void)deflate(&z, Z_SYNC_FLUSH);
    *ret_bytes = room - z.avail_out - 4;
    (void)deflateEnd(&z);
    return out;
}

C_TEST_REAL_FEW(ws_deflate_bombs, "the inflated size counts against the limit, and not more than that is ever held",
                "RFC 7692 8")
{
    static const struct sl_ws_options options = {.message_bytes_max = 100000};
    static const size_t bombs[] = {99999, 100000, 100001, 30000000};
    for (size_t i = 0; i < COUNT(bombs); i++) {
        size_t size_bytes = bombs[i];
        char *zeros = test_calloc(1, size_bytes);
        size_t bytes = 0;
        char *bomb = compressed(zeros, size_bytes, &bytes);
        test_free(zeros);
        size_t half = bytes / 2;
        struct ws_frame frames[] = {{0x42, bomb, half}, {0x80, bomb + half, bytes - half}};
        size_t framed_bytes = 0;
        char *framed = ws_bytes_of(frames, 2, false, &framed_bytes);
        test_free(bomb);
        sl_auto(sl_ws) *ws = NULL;
        sl_auto(sl_stream) *peer = NULL;
        CHECK_EQ(ws_make(framed_bytes, false, &options, &keeps, &ws, &peer), 0);
        CHECK_EQ(sl_stream_write(peer, framed, framed_bytes), 0);
        test_free(framed);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), size_bytes <= 100000 ? 0 : SL_EMSGSIZE);
        CHECK(size_bytes > 100000 || message.size_bytes == size_bytes);
        CHECK(ws->message.capacity < 300000);
    }
    return 0;
}

C_TEST_SIMULATED(ws_deflate_idle_memory, "without context takeover an idle connection keeps no memory for compression",
                 "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(300000, NULL, &resets, &client, &server), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(send_all(client), 0);
        CHECK_EQ(receive_all(server), 0);
        SL_SCOPE(limit, .timeout = SL_SECONDS(1), .move_on = true);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(server, &message), SL_ECANCELED);
        CHECK(client->deflater == NULL && server->inflater == NULL && server->message.data == NULL);
    }
    return 0;
}

C_TEST(ws_deflate_without_memory, "short memory while compressing or inflating ends cleanly, wherever it strikes", "")
{
    for (int64_t count = 0, failed = 1; failed != 0; count++) {
        sl_auto(sl_ws) *client = NULL;
        sl_auto(sl_ws) *server = NULL;
        CHECK_EQ(ws_pair(300000, NULL, &resets, &client, &server), 0);
        char text[2000];
        memset(text, 'x', sizeof text);
        sl_memory_fail_after(count);
        int sent = sl_ws_send(client, SL_WS_TEXT, text, sizeof text);
        struct sl_ws_message message = {.size_bytes = 0};
        int received = sent == 0 ? sl_ws_receive(server, &message) : 0;
        failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK(sent == 0 || sent == SL_ENOMEM);
        CHECK(received == 0 || received == SL_ENOMEM);
        CHECK(sent != 0 || received != 0 || message.size_bytes == sizeof text);
        CHECK(count < 100);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(grants), cmocka_unit_test(answers), cmocka_unit_test(both_sides_agree),
             cmocka_unit_test(ws_deflate_combinations), cmocka_unit_test(ws_deflate_small_windows),
             cmocka_unit_test(ws_deflate_examples), cmocka_unit_test(ws_deflate_bad_data),
             cmocka_unit_test(ws_deflate_bombs), cmocka_unit_test(ws_deflate_idle_memory),
             cmocka_unit_test(ws_deflate_without_memory))
