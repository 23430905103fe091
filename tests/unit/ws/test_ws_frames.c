/* SPDX-License-Identifier: MIT */
/*
 * Framing, pings, reserved bits, opcodes, fragments and closing, case by case in the manner of the field's suite:
 * as client and as server, whole, byte by byte and cut at random.
 */
#include "ws_kit.h"

#define CLOSE F(0x88, "\x03\xe8")
#define DONE "EOF C1000"

C_TEST_FEW(ws_framing, "text and binary of every form of length", "RFC 6455 5.2, 5.6")
{
    WS_PLAY("T() " DONE, F(0x81, ""), CLOSE);
    WS_PLAY("B() " DONE, F(0x82, ""), CLOSE);
    WS_PLAY("T(hello) B(\xfe\xff) " DONE, F(0x81, "hello"), F(0x82, "\xfe\xff"), CLOSE);
    WS_PLAY("T[125] T[126] T[127] T[128] " DONE, FX(0x81, 125), FX(0x81, 126), FX(0x81, 127), FX(0x81, 128), CLOSE);
    WS_PLAY("B[125] B[126] B[127] B[128] " DONE, FX(0x82, 125), FX(0x82, 126), FX(0x82, 127), FX(0x82, 128), CLOSE);
    WS_PLAY("T[65535] T[65536] T[65537] " DONE, FX(0x81, 65535), FX(0x81, 65536), FX(0x81, 65537), CLOSE);
    WS_PLAY("B[65535] B[65536] B[131072] B(x) " DONE, FX(0x82, 65535), FX(0x82, 65536), FX(0x82, 131072), FX(0x82, 1),
            CLOSE);
    return 0;
}

C_TEST(ws_cut_off, "a connection that ends without a close frame is a reset, wherever it is cut", "RFC 6455 7.1.5")
{
    static const char bytes[] = "\x81\x02hi\x01\x7e\x00\x80";
    struct ws_case it = {.expected = ""};
    for (size_t size = 0; size < sizeof bytes; size++) {
        struct ws_log log;
        CHECK_EQ(ws_play_bytes(bytes, size, false, WS_WHOLE, &it, &log), 0);
        CHECK_STRING(log.text, size < 4 ? "SL_ECONNRESET" : "T(hi) SL_ECONNRESET");
    }
    return 0;
}

C_TEST(ws_pongs, "each ping is answered in its place; pongs that nobody asked for are nothing", "RFC 6455 5.5.2, 5.5.3")
{
    WS_PLAY("EOF P() C1000", F(0x89, ""), CLOSE);
    WS_PLAY("EOF P(hello) C1000", F(0x89, "hello"), CLOSE);
    WS_PLAY("EOF P(\x01\xfe\xff\x80) C1000", F(0x89, "\x01\xfe\xff\x80"), CLOSE);
    WS_PLAY("EOF P[125] C1000", FX(0x89, 125), CLOSE);
    WS_PLAY("SL_EPROTO C1002", FX(0x89, 126), CLOSE);
    WS_PLAY("SL_EPROTO C1002", FX(0x8a, 126), CLOSE);
    WS_PLAY(DONE, F(0x8a, ""), F(0x8a, "unsolicited"), CLOSE);
    WS_PLAY("EOF P(mine) C1000", F(0x8a, "yours"), F(0x89, "mine"), CLOSE);
    WS_PLAY("EOF P(1) P(2) P(3) P(4) P(5) P(6) P(7) P(8) P(9) P(10) C1000", F(0x89, "1"), F(0x89, "2"), F(0x89, "3"),
            F(0x89, "4"), F(0x89, "5"), F(0x89, "6"), F(0x89, "7"), F(0x89, "8"), F(0x89, "9"), F(0x89, "10"), CLOSE);
    return 0;
}

C_TEST(ws_reserved_bits, "a reserved bit that no extension gave a meaning ends the connection", "RFC 6455 5.2")
{
    static const struct sl__ws_agreed deflate = {true, false, false, 15, 15};
    WS_PLAY("SL_EPROTO C1002", F(0xc1, "hello"), CLOSE);
    WS_PLAY("T(good) SL_EPROTO C1002", F(0x81, "good"), F(0xa1, "hello"), CLOSE);
    WS_PLAY("T(good) SL_EPROTO P() C1002", F(0x81, "good"), F(0x89, ""), F(0xb1, "hello"), F(0x89, ""), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x91, "hello"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0xd2, "hello"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0xf9, "ping"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0xc8, "\x03\xe8"));
    WS_PLAY("SL_EPROTO C1002", F(0x01, "a"), F(0xc0, "b"), CLOSE);
    /* With compression RSV1 belongs to the first frame of a message alone: RFC 7692, 6. */
    WS_PLAY_WITH(NULL, &deflate, "SL_EPROTO C1002", F(0xc9, "ping"), CLOSE);
    WS_PLAY_WITH(NULL, &deflate, "SL_EPROTO C1002", F(0x01, "a"), F(0xc0, "b"), CLOSE);
    WS_PLAY_WITH(NULL, &deflate, "SL_EPROTO C1002", F(0xa1, "hello"), CLOSE);
    WS_PLAY_WITH(NULL, &deflate, "SL_EPROTO C1002", F(0xe1, "hello"), CLOSE);
    return 0;
}

C_TEST(ws_opcodes, "an opcode that is not defined ends the connection", "RFC 6455 5.2")
{
    for (unsigned opcode = 3; opcode < 16; opcode++) {
        if (opcode >= 8 && opcode <= 10) {
            continue;
        }
        struct ws_frame alone[] = {{(uint8_t)(0x80 | opcode), "", 0}, CLOSE};
        struct ws_frame behind[] = {F(0x81, "good"), {(uint8_t)(0x80 | opcode), "data", 4}, F(0x89, ""), CLOSE};
        CHECK_EQ(ws_play(&(struct ws_case){"SL_EPROTO C1002", alone, 2, NULL, NULL}), 0);
        CHECK_EQ(ws_play(&(struct ws_case){"T(good) SL_EPROTO C1002", behind, 4, NULL, NULL}), 0);
    }
    return 0;
}

C_TEST(ws_fragments, "messages in fragments, with control frames between them", "RFC 6455 5.4")
{
    WS_PLAY("T(fragments) " DONE, F(0x01, "frag"), F(0x80, "ments"), CLOSE);
    WS_PLAY("B(fragments) " DONE, F(0x02, "frag"), F(0x80, "ments"), CLOSE);
    WS_PLAY("T(fragments) EOF P(ping) C1000", F(0x01, "frag"), F(0x89, "ping"), F(0x80, "ments"), CLOSE);
    WS_PLAY("T(abcde) EOF P(1) P(2) C1000", F(0x01, "a"), F(0x00, "b"), F(0x89, "1"), F(0x00, "c"), F(0x00, "d"),
            F(0x89, "2"), F(0x8a, "x"), F(0x80, "e"), CLOSE);
    WS_PLAY("T() B() " DONE, F(0x01, ""), F(0x00, ""), F(0x80, ""), F(0x02, ""), F(0x80, ""), CLOSE);
    WS_PLAY("T(middle) " DONE, F(0x01, ""), F(0x00, "middle"), F(0x80, ""), CLOSE);
    WS_PLAY("T(one) T(two) T(three) " DONE, F(0x01, "o"), F(0x80, "ne"), F(0x81, "two"), F(0x01, "th"), F(0x80, "ree"),
            CLOSE);
    WS_PLAY("T[131] B[200000] T(x) " DONE, FX(0x01, 1), FX(0x80, 130), FX(0x02, 70000), FX(0x00, 60000),
            FX(0x80, 70000), FX(0x81, 1), CLOSE);
    WS_PLAY("EOF C1000", F(0x01, "unfinished"), CLOSE);
    return 0;
}

C_TEST(ws_fragments_out_of_order, "continuations of nothing, messages within messages, fragmented control frames",
       "RFC 6455 5.4, 5.5")
{
    WS_PLAY("SL_EPROTO C1002", F(0x09, "a"), F(0x80, "b"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x0a, "a"), F(0x80, "b"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x08, "\x03\xe8"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x80, "nothing"), F(0x81, "hello"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x00, "nothing"), F(0x81, "hello"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x00, ""), CLOSE);
    WS_PLAY("T(ab) SL_EPROTO C1002", F(0x01, "a"), F(0x80, "b"), F(0x80, "c"), CLOSE);
    WS_PLAY("T(a) SL_EPROTO C1002", F(0x81, "a"), F(0x00, "b"), F(0x80, "c"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x01, "a"), F(0x81, "b"), CLOSE);
    WS_PLAY("SL_EPROTO C1002", F(0x01, "a"), F(0x02, "b"), F(0x80, "c"), CLOSE);
    return 0;
}

C_TEST(ws_masks, "a client's frames are masked, a server's are not", "RFC 6455 5.1")
{
    struct ws_case it = {.expected = "SL_EPROTO C1002"};
    static const struct ws_frame hello[] = {F(0x81, "hello")};
    for (int role = 0; role < 2; role++) {
        size_t size_bytes = 0;
        char *bytes = ws_bytes_of(hello, 1, role == 0, &size_bytes);
        struct ws_log log;
        int code = ws_play_bytes(bytes, size_bytes, role == 1, WS_BYTEWISE, &it, &log);
        test_free(bytes);
        CHECK_EQ(code, 0);
        CHECK_STRING(log.text, it.expected);
    }
    return 0;
}

C_TEST(ws_limits, "the limits of a message, a frame and the number of fragments", "RFC 6455 10.4")
{
    static const struct sl_ws_options message = {.message_bytes_max = 10};
    static const struct sl_ws_options frame = {.message_bytes_max = 100, .frame_bytes_max = 5};
    static const struct sl_ws_options fragments = {.fragments_max = 3};
    static const struct sl_ws_options large = {.message_bytes_max = 70000};
    WS_PLAY_WITH(&message, NULL, "T(0123456789) SL_EMSGSIZE C1009", F(0x81, "0123456789"), F(0x81, "0123456789a"));
    WS_PLAY_WITH(&message, NULL, "T(0123456789) SL_EMSGSIZE C1009", F(0x01, "01234"), F(0x80, "56789"),
                 F(0x01, "01234"), F(0x00, "56789"), F(0x80, "a"));
    WS_PLAY_WITH(&frame, NULL, "B(01234) SL_EMSGSIZE C1009", F(0x82, "01234"), F(0x82, "012345"));
    WS_PLAY_WITH(&frame, NULL, "B(0123456789) SL_EMSGSIZE C1009", F(0x02, "01234"), F(0x80, "56789"),
                 F(0x02, "012345"));
    WS_PLAY_WITH(&fragments, NULL, "T(abc) SL_EMSGSIZE P(p) C1009", F(0x01, "a"), F(0x00, "b"), F(0x89, "p"),
                 F(0x80, "c"), F(0x01, ""), F(0x00, ""), F(0x00, ""), F(0x80, ""));
    WS_PLAY_WITH(&fragments, NULL, "T(ab) T(cd) " DONE, F(0x01, "a"), F(0x80, "b"), F(0x01, "c"), F(0x80, "d"), CLOSE);
    WS_PLAY_WITH(&large, NULL, "T[70000] SL_EMSGSIZE C1009", FX(0x81, 70000), FX(0x81, 70001));
    return 0;
}

C_TEST(ws_closing, "codes and reasons, good and bad; what follows a close frame is nothing", "RFC 6455 5.5.1, 7.4")
{
    WS_PLAY("EOF C", F(0x88, ""));
    WS_PLAY("EOF C1000", F(0x88, "\x03\xe8"));
    WS_PLAY("EOF C1000", F(0x88, "\x03\xe8hello"), F(0x81, "late"), F(0x89, "late"));
    WS_PLAY("EOF C1000", F(0x88, "\x03\xe8"), F(0x88, "\x03\xe8"));
    WS_PLAY("SL_EPROTO C1002", F(0x88, "\x03"));
    WS_PLAY("SL_EPROTO C1002", FX(0x88, 126));
    WS_PLAY("SL_EPROTO C1007", F(0x88, "\x03\xe8\xce\xba\xed\xa0\x80"));
    WS_PLAY("SL_EPROTO C1007", F(0x88, "\x03\xe8gr\xc3"));
    WS_PLAY("SL_EPROTO C1007", F(0x81, "\xff"), F(0x88, "\x03\xe8"));
    return 0;
}

C_TEST_FEW(ws_close_codes, "every code of the wire, and what the caller sees of it", "RFC 6455 7.4.2")
{
    for (int code = 0; code < 65536; code += code < 5010 ? 1 : 4999) {
        bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
        char payload[128];
        memset(payload, 'r', sizeof payload);
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        struct ws_frame frame = {0x88, payload, code % 2 == 0 ? 125 : 2};
        size_t size_bytes = 0;
        char *bytes = ws_bytes_of(&frame, 1, false, &size_bytes);
        sl_auto(sl_ws) *ws = NULL;
        sl_auto(sl_stream) *peer = NULL;
        CHECK_EQ(ws_make(4096, false, NULL, NULL, &ws, &peer), 0);
        CHECK_EQ(sl_ws_close_code(ws), 0);
        int written = sl_stream_write(peer, bytes, size_bytes);
        test_free(bytes);
        CHECK_EQ(written, 0);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), good ? SL_EOF : SL_EPROTO);
        CHECK_EQ(sl_ws_close_code(ws), good ? code : 0);
        CHECK_EQ(strlen(sl_ws_close_reason(ws)), good && code % 2 == 0 ? 123 : 0);
    }
    return 0;
}

C_TEST(ws_ahead, "what has come behind a message is seen as it lies there, and is nothing before and behind all",
       "guesses")
{
    static const char bytes[] = "\x81\x02hi\x81\x03you\x81\x05";
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(4096, false, NULL, NULL, &ws, &peer), 0);
    CHECK_EQ(sl_ws_ahead(ws).size_bytes, 0);
    CHECK_EQ(sl_stream_write(peer, bytes, sizeof(bytes) - 1), 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(ws, &message), 0);
    struct sl_view ahead = sl_ws_ahead(ws);
    CHECK_EQ(ahead.size_bytes, sizeof(bytes) - 1 - 4);
    CHECK_EQ(memcmp(ahead.data, bytes + 4, ahead.size_bytes), 0);
    CHECK_EQ(sl_ws_receive(ws, &message), 0);
    CHECK_EQ(sl_ws_ahead(ws).size_bytes, 2);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(ws_framing), cmocka_unit_test(ws_cut_off), cmocka_unit_test(ws_pongs),
             cmocka_unit_test(ws_reserved_bits), cmocka_unit_test(ws_opcodes), cmocka_unit_test(ws_fragments),
             cmocka_unit_test(ws_fragments_out_of_order), cmocka_unit_test(ws_masks), cmocka_unit_test(ws_limits),
             cmocka_unit_test(ws_closing), cmocka_unit_test(ws_close_codes), cmocka_unit_test(ws_ahead))
