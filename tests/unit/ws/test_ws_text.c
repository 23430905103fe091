/* SPDX-License-Identifier: MIT */
/* UTF-8 in messages: valid and not, whole and cut anywhere, and refused as soon as it cannot become valid. */
#include "ws_kit.h"

static const char *const valid[] = {
    "",
    "hello",
    "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbd",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "\xf0\x9f\x98\x80 ok",
};

/* And after how many bytes it is known to be bad. */
static const struct {
    const char *text;
    size_t known;
} invalid[] = {
    {"\x80", 1},
    {"\xbf", 1},
    {"ok\x80", 3},
    {"\xc0\xaf", 1},
    {"\xc1\xbf", 1},
    {"\xc3\x28", 2},
    {"\xe0\x9f\xbf", 2},
    {"\xe0\x80\xaf", 2},
    {"\xe1\x80\x28", 3},
    {"\xed\xa0\x80", 2},
    {"\xed\xbf\xbf", 2},
    {"\xf0\x8f\xbf\xbf", 2},
    {"\xf0\x80\x80\xaf", 2},
    {"\xf4\x90\x80\x80", 2},
    {"\xf5\x80\x80\x80", 1},
    {"\xf8\x88\x80\x80\x80", 1},
    {"\xfc\x84\x80\x80\x80\x80", 1},
    {"\xfe", 1},
    {"\xff", 1},
    {"\xf0\x9f\x98\x28", 4},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80zz", 13},
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void pieces_agree_with_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid) + COUNT(invalid); i++) {
        const char *text = i < COUNT(valid) ? valid[i] : invalid[i - COUNT(valid)].text;
        size_t size_bytes = strlen(text);
        assert_int_equal(sl__utf8_whole(text, size_bytes), i < COUNT(valid));
        for (size_t cut = 0; cut <= size_bytes; cut++) {
            for (size_t second = cut; second <= size_bytes; second++) {
                struct sl__utf8 utf8 = {{0}, 0};
                bool good = sl__utf8_feed(&utf8, text, cut) && sl__utf8_feed(&utf8, text + cut, second - cut) &&
                            sl__utf8_feed(&utf8, text + second, size_bytes - second);
                assert_int_equal(good && utf8.count == 0, i < COUNT(valid));
            }
        }
        for (size_t end = 0; i >= COUNT(valid) && end <= size_bytes; end++) {
            struct sl__utf8 utf8 = {{0}, 0};
            assert_int_equal(sl__utf8_feed(&utf8, text, end), end < invalid[i - COUNT(valid)].known);
        }
    }
}

/* All sequences of up to four bytes from those that matter, against the table of RFC 3629, section 4. */
static bool is_valid(const unsigned char *at, size_t left)
{
    while (left > 0) {
        size_t more = at[0] < 0x80 ? 0 : at[0] < 0xc2 ? 9 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : at[0] < 0xf5 ? 3 : 9;
        if (more >= left) {
            return false;
        }
        unsigned low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
        unsigned high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
        for (size_t i = 1; i <= more; i++) {
            if (at[i] < (i == 1 ? low : 0x80) || at[i] > (i == 1 ? high : 0xbf)) {
                return false;
            }
        }
        at += more + 1;
        left -= more + 1;
    }
    return true;
}

static void every_sequence(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
                                          0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff};
    enum { N = COUNT(bytes) };
    for (size_t number = 0; number < (size_t)N * N * N * N; number++) {
        unsigned char text[4] = {bytes[number % N], bytes[number / N % N], bytes[number / N / N % N],
                                 bytes[number / N / N / N]};
        bool good = is_valid(text, sizeof text);
        struct sl__utf8 utf8 = {{0}, 0};
        bool fed = true;
        for (size_t i = 0; fed && i < sizeof text; i++) {
            fed = sl__utf8_feed(&utf8, text + i, 1);
        }
        assert_int_equal(fed && utf8.count == 0, good);
        struct sl__utf8 halves = {{0}, 0};
        size_t cut = number % 5;
        fed = sl__utf8_feed(&halves, text, cut) && sl__utf8_feed(&halves, text + cut, sizeof text - cut);
        assert_int_equal(fed && halves.count == 0, good);
    }
}

/* A bad byte at each place of texts of each length, short ones and those that simdjson checks. */
static void bad_byte_anywhere(void **state)
{
    (void)state;
    static char text[700];
    for (size_t size_bytes = 1; size_bytes < sizeof text; size_bytes += size_bytes < 70 ? 1 : 53) {
        memset(text, 'a', sizeof text);
        assert_true(sl__utf8_whole(text, size_bytes));
        for (size_t at = 0; at < size_bytes; at++) {
            text[at] = '\xff';
            assert_false(sl__utf8_whole(text, size_bytes));
            text[at] = 'a';
        }
        text[size_bytes] = '\xff'; /* behind it */
        assert_true(sl__utf8_whole(text, size_bytes));
    }
}

C_TEST_FEW(ws_valid_text, "valid text passes, in one frame and in frames cut at every byte", "RFC 6455 8.1")
{
    for (size_t i = 0; i < COUNT(valid); i++) {
        size_t size_bytes = strlen(valid[i]);
        char expected[128];
        (void)snprintf(expected, sizeof expected, "T(%s) EOF C1000", valid[i]);
        for (size_t cut = 0; cut <= size_bytes; cut++) {
            struct ws_frame frames[] = {
                {0x01, valid[i], cut}, {0x80, valid[i] + cut, size_bytes - cut}, F(0x88, "\x03\xe8")};
            CHECK_EQ(ws_play(&(struct ws_case){expected, frames, 3, NULL, NULL}), 0);
        }
        struct ws_frame whole[] = {{0x81, valid[i], size_bytes}, F(0x88, "\x03\xe8")};
        CHECK_EQ(ws_play(&(struct ws_case){expected, whole, 2, NULL, NULL}), 0);
    }
    return 0;
}

C_TEST_FEW(ws_invalid_text, "invalid text is refused with 1007, in one frame and in frames cut at every byte",
           "RFC 6455 8.1")
{
    for (size_t i = 0; i < COUNT(invalid); i++) {
        const char *text = invalid[i].text;
        size_t size_bytes = strlen(text);
        for (size_t cut = 0; cut <= size_bytes; cut++) {
            struct ws_frame frames[] = {{0x01, text, cut}, {0x80, text + cut, size_bytes - cut}, F(0x88, "\x03\xe8")};
            CHECK_EQ(ws_play(&(struct ws_case){"SL_EPROTO C1007", frames, 3, NULL, NULL}), 0);
        }
        struct ws_frame whole[] = {{0x81, text, size_bytes}, F(0x88, "\x03\xe8")};
        CHECK_EQ(ws_play(&(struct ws_case){"SL_EPROTO C1007", whole, 2, NULL, NULL}), 0);
    }
    WS_PLAY("SL_EPROTO C1007", F(0x81, "\xf0\x9f\x98"), F(0x88, "\x03\xe8")); /* ends within a character */
    WS_PLAY("SL_EPROTO C1007", F(0x01, "\xf0\x9f"), F(0x80, ""), F(0x88, "\x03\xe8"));
    WS_PLAY("B(\xff\xfe) EOF C1000", F(0x82, "\xff\xfe"), F(0x88, "\x03\xe8")); /* binary may hold anything */
    return 0;
}

/* Sends a frame of `announced` bytes, of which only `size_bytes` come. */
static int refused_early(bool server, uint8_t first, size_t announced, size_t good, const char *bad, int wanted)
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(WS_KIT_CAPACITY, server, NULL, NULL, &ws, &peer), 0);
    unsigned char head[SL__WS_HEAD_BYTES_MAX];
    static const uint8_t key[SL__WS_KEY_BYTES] = {1, 2, 3, 4};
    size_t head_bytes = sl__ws_head_make(head, first, server ? key : NULL, announced);
    size_t size_bytes = good + strlen(bad);
    char *text = test_malloc(size_bytes);
    memset(text, 'x', good);
    memcpy(text + good, bad, strlen(bad));
    if (server) {
        sl__ws_mask(text, text, size_bytes, key, 0);
    }
    int code = sl_stream_write(peer, head, head_bytes);
    code = code == 0 ? sl_stream_write(peer, text, size_bytes) : code;
    test_free(text);
    CHECK_EQ(code, 0);
    SL_SCOPE(limit, .timeout = SL_MILLISECONDS(20), .move_on = true);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(ws, &message), wanted);
    return 0;
}

C_TEST(ws_text_fails_while_waiting, "also when the bad bytes come one by one to a receiver that waits", "RFC 6455 8.1")
{
    for (size_t i = 0; i < COUNT(invalid); i++) {
        sl_auto(sl_ws) *ws = NULL;
        sl_auto(sl_stream) *peer = NULL;
        CHECK_EQ(ws_make(WS_KIT_CAPACITY, false, NULL, NULL, &ws, &peer), 0);
        char bytes[64];
        int length = snprintf(bytes, sizeof bytes, "\x81\x7d%.*s", (int)invalid[i].known, invalid[i].text);
        struct ws_writer writer = {peer, bytes, (size_t)length, WS_BYTEWISE, true};
        SL_SCOPE(scope, .timeout = SL_SECONDS(10), .move_on = true);
        CHECK_EQ(sl_spawn(&scope, ws_write, &writer), 0);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), SL_EPROTO);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_FEW(ws_text_fails_fast, "bad text is refused before the frame it stands in is whole", "RFC 6455 8.1")
{
    for (int role = 0; role < 2; role++) {
        for (size_t i = 0; i < COUNT(invalid); i++) {
            char bad[32];
            (void)snprintf(bad, sizeof bad, "%.*s", (int)invalid[i].known, invalid[i].text);
            char good[32];
            (void)snprintf(good, sizeof good, "%.*s", (int)invalid[i].known - 1, invalid[i].text);
            static const size_t places[][2] = {{100, 0}, {60000, 1000}, {200000, 40000}, {200000, 100000}};
            for (size_t j = 0; j < COUNT(places); j++) {
                CHECK_EQ(refused_early(role == 1, 0x81, places[j][0], places[j][1], bad, SL_EPROTO), 0);
                CHECK_EQ(refused_early(role == 1, 0x01, places[j][0], places[j][1], bad, SL_EPROTO), 0);
            }
            CHECK_EQ(refused_early(role == 1, 0x81, 100, 3, good, SL_ECANCELED), 0);
            CHECK_EQ(refused_early(role == 1, 0x82, 100, 3, bad, SL_ECANCELED), 0);
        }
    }
    return 0;
}

/* ---- sending ---- */

/* The other end, whose messages are the test's. */
static int receives(sl_ws *ws, const char *text, size_t size_bytes)
{
    struct sl_ws_message message;
    SL_SCOPE(limit, .timeout = SL_SECONDS(10));
    CHECK_EQ(sl_scope_close(&limit, sl_ws_receive(ws, &message)), 0);
    CHECK_EQ(message.size_bytes, size_bytes);
    CHECK(memcmp(message.data, text, size_bytes) == 0);
    return 0;
}

static int check_sending(const struct sl__ws_agreed *agreed)
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(WS_KIT_CAPACITY, NULL, agreed, &client, &server), 0);
    for (size_t i = 0; i < COUNT(invalid); i++) {
        size_t length = strlen(invalid[i].text);
        CHECK_EQ(sl_ws_send(client, SL_WS_TEXT, invalid[i].text, length), SL_EINVAL);
        CHECK_EQ(sl_ws_send_part(client, SL_WS_TEXT, invalid[i].text, length, true), SL_EINVAL);
        CHECK_EQ(sl_ws_send(server, SL_WS_BINARY, invalid[i].text, length), 0);
        CHECK_EQ(receives(client, invalid[i].text, length), 0);
    }
    for (size_t i = 0; i < COUNT(valid); i++) { /* nothing of the others was sent; cut anywhere it is still text */
        size_t length = strlen(valid[i]);
        for (size_t cut = 0; cut <= length; cut++) {
            CHECK_EQ(sl_ws_send_part(client, SL_WS_TEXT, valid[i], cut, false), 0);
            CHECK_EQ(sl_ws_send_part(client, SL_WS_TEXT, valid[i] + cut, length - cut, true), 0);
            CHECK_EQ(receives(server, valid[i], length), 0);
        }
    }
    return 0;
}

/* A message whose later part is no text is never ended, and nothing can follow it. */
static int check_broken_part(const char *text, size_t cut)
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(WS_KIT_CAPACITY, NULL, NULL, &client, &server), 0);
    int code = sl_ws_send_part(client, SL_WS_TEXT, text, cut, false);
    bool begun = code == 0;
    code = begun ? sl_ws_send_part(client, SL_WS_TEXT, text + cut, strlen(text) - cut, true) : code;
    CHECK_EQ(code, SL_EINVAL);
    CHECK_EQ(sl_ws_send(client, SL_WS_TEXT, "next", 4), begun ? SL_EPIPE : 0);
    return begun ? 0 : receives(server, "next", 4);
}

C_TEST(ws_text_is_looked_at_unmasked, "text is refused for what it is, though its masked bytes would do",
       "RFC 6455 8.1")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    struct sl_ws_message message;
    CHECK_EQ(ws_make(4096, true, NULL, NULL, &ws, &peer), 0);
    CHECK_EQ(sl_stream_write(peer, "\x81\x80key0\x81\x82\x9e\x9d\0\0ab", 14), 0); /* nothing, and two bytes 0xff */
    CHECK_EQ(sl_ws_receive(ws, &message), 0);
    CHECK_EQ(sl_ws_receive(ws, &message), SL_EPROTO);
    return 0;
}

C_TEST(ws_sends_only_text, "text that is not UTF-8 is not sent, in one piece or in parts", "RFC 6455 8.1")
{
    static const struct sl__ws_agreed deflate = {true, false, false, 15, 15};
    CHECK_EQ(check_sending(NULL), 0);
    CHECK_EQ(check_sending(&deflate), 0);
    for (size_t i = 0; i < COUNT(invalid); i++) {
        for (size_t cut = 0; cut <= strlen(invalid[i].text); cut++) {
            CHECK_EQ(check_broken_part(invalid[i].text, cut), 0);
        }
    }
    return 0;
}

C_TEST(ws_trusts_text, "unless it is told to trust what it is given", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    struct sl_ws_message message;
    CHECK_EQ(ws_pair(WS_KIT_CAPACITY, &(struct sl_ws_options){.trust_text = true}, NULL, &client, &server), 0);
    CHECK_EQ(sl_ws_send_part(client, SL_WS_TEXT, "\xff", 1, false), 0);
    CHECK_EQ(sl_ws_send_part(client, SL_WS_TEXT, "", 0, true), 0);
    CHECK_EQ(sl_ws_receive(server, &message), SL_EPROTO); /* the peer does not */
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(pieces_agree_with_whole), cmocka_unit_test(every_sequence),
             cmocka_unit_test(bad_byte_anywhere), cmocka_unit_test(ws_valid_text), cmocka_unit_test(ws_invalid_text),
             cmocka_unit_test(ws_text_fails_while_waiting), cmocka_unit_test(ws_text_fails_fast),
             cmocka_unit_test(ws_text_is_looked_at_unmasked), cmocka_unit_test(ws_sends_only_text),
             cmocka_unit_test(ws_trusts_text))
