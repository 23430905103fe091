/* SPDX-License-Identifier: MIT */
/* How a WebSocket ends: the close handshake from both sides, deadlines, the watchdog; senders beside each other. */
#include "ws_kit.h"

static int receive_to_the_end(void *arg)
{
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(arg, &message)) == 0) {
    }
    return code == SL_EOF ? 0 : code;
}

C_TEST(ws_close_waits, "closing sends the code and waits for the answer; both see the other's", "RFC 6455 7.1")
{
    for (int role = 0; role < 2; role++) {
        sl_auto(sl_ws) *client = NULL;
        sl_auto(sl_ws) *server = NULL;
        CHECK_EQ(ws_pair(4096, NULL, NULL, &client, &server), 0);
        sl_ws *closer = role == 0 ? client : server;
        sl_ws *other = role == 0 ? server : client;
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, receive_to_the_end, other), 0);
        CHECK_EQ(sl_ws_send(other, SL_WS_TEXT, "thrown away", 11), 0);
        CHECK_EQ(sl_ws_close(closer, 4001, "good bye"), 0);
        CHECK_EQ(sl_ws_close_code(closer), 4001);
        CHECK_EQ(sl_ws_close_code(other), 4001);
        CHECK_STRING(sl_ws_close_reason(other), "good bye");
        CHECK_STRING(sl_ws_close_reason(closer), "");
        CHECK_EQ(sl_ws_close(closer, 1000, NULL), 0); /* again */
        CHECK_EQ(sl_ws_close(other, 1000, NULL), 0);
        CHECK_EQ(sl_ws_send(other, SL_WS_TEXT, "x", 1), SL_EPIPE);
        CHECK_EQ(sl_ws_ping(other, "x", 1), SL_EPIPE);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

static int close_4000(void *arg)
{
    return sl_ws_close(arg, 4000, NULL);
}

static int close_4002(void *arg)
{
    return sl_ws_close(arg, 4002, NULL);
}

C_TEST(ws_close_from_both_sides, "two close frames that cross end both sides", "RFC 6455 7.1.5")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(4096, NULL, NULL, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, close_4000, client), 0);
    CHECK_EQ(sl_spawn(&scope, close_4002, server), 0);
    SETTLE();
    CHECK(sl_ws_close_code(client) == 4002 || sl_ws_close_code(client) == 4000);
    CHECK(sl_ws_close_code(server) == 4000 || sl_ws_close_code(server) == 4002);
    return sl_scope_wait(&scope);
}

C_TEST(ws_close_beside_a_receiver, "a close in another task than the receiver's ends both", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(4096, NULL, NULL, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, client), 0);
    SETTLE();
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(client, &message), SL_EBUSY);
    CHECK_EQ(sl_spawn(&scope, close_4000, client), 0);
    SETTLE();
    CHECK_EQ(sl_ws_receive(server, &message), SL_EOF);
    sl_ws_free(server);
    server = NULL;
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_ws_close_code(client), 4000);
    return 0;
}

C_TEST_SIMULATED(ws_close_unanswered, "a peer that does not answer, or does not read, is not waited for for ever",
                 "RFC 6455 7.1.1")
{
    static const struct sl_ws_options options = {.close_timeout = SL_SECONDS(3)};
    for (int role = 0; role < 2; role++) {
        for (size_t capacity = 1; capacity < 200; capacity += 100) {
            sl_auto(sl_ws) *ws = NULL;
            sl_auto(sl_stream) *peer = NULL;
            CHECK_EQ(ws_make(capacity, role == 1, &options, NULL, &ws, &peer), 0);
            sl_time since = sl_now();
            CHECK_EQ(sl_ws_close(ws, 1000, "bye"), SL_ETIMEDOUT);
            CHECK_EQ(sl_now() - since, SL_SECONDS(3));
        }
    }
    return 0;
}

C_TEST_SIMULATED(ws_close_server_lingers, "a client whose server answers but stays does not wait for ever either", "")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(4096, false, NULL, NULL, &ws, &peer), 0);
    CHECK_EQ(sl_stream_write(peer, "\x88\x02\x03\xe8", 4), 0);
    sl_time since = sl_now();
    CHECK_EQ(sl_ws_close(ws, 1000, "bye"), 0);
    CHECK_EQ(sl_now() - since, SL_WS_CLOSE_TIMEOUT);
    return 0;
}

C_TEST(ws_close_arguments, "codes and reasons that must not be sent are not", "RFC 6455 7.4")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(4096, false, NULL, NULL, &ws, &peer), 0);
    char reason[SL_WS_REASON_BYTES_MAX + 2];
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    CHECK_EQ(sl_ws_send_close(ws, 999, NULL), SL_EINVAL);
    CHECK_EQ(sl_ws_send_close(ws, 1005, NULL), SL_EINVAL);
    CHECK_EQ(sl_ws_send_close(ws, 1006, NULL), SL_EINVAL);
    CHECK_EQ(sl_ws_send_close(ws, 5000, NULL), SL_EINVAL);
    CHECK_EQ(sl_ws_send_close(ws, 0, "reason without a code"), SL_EINVAL);
    CHECK_EQ(sl_ws_send_close(ws, 1000, reason), SL_EINVAL);
    CHECK_EQ(sl_ws_send_close(ws, 1000, "\xff"), SL_EINVAL);
    CHECK_EQ(sl_ws_ping(ws, reason, 126), SL_EINVAL);
    CHECK_EQ(sl_ws_send(ws, (enum sl_ws_kind)3, "x", 1), SL_EINVAL);
    reason[SL_WS_REASON_BYTES_MAX] = '\0';
    CHECK_EQ(sl_ws_send_close(ws, 1000, reason), 0);
    CHECK_EQ(sl_ws_send_close(ws, 1000, reason), 0);
    return 0;
}

/* ---- the watchdog ---- */

C_TEST_SIMULATED(ws_silent_peer, "a peer that is silent and does not answer a ping is given up", "")
{
    static const struct sl_ws_options options = {.ping_interval = SL_SECONDS(7), .pong_timeout = SL_SECONDS(4)};
    for (size_t capacity = 1; capacity < 200; capacity += 100) { /* one that does not read, too */
        sl_auto(sl_ws) *ws = NULL;
        sl_auto(sl_stream) *peer = NULL;
        CHECK_EQ(ws_make(capacity, false, &options, NULL, &ws, &peer), 0);
        sl_time since = sl_now();
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), SL_ETIMEDOUT);
        CHECK(sl_now() - since >= SL_SECONDS(11) && sl_now() - since <= SL_SECONDS(15));
        CHECK_EQ(sl_ws_receive(ws, &message), SL_ETIMEDOUT);
    }
    return 0;
}

C_TEST_SIMULATED(ws_silent_peer_of_a_poller, "also when each receive has a short deadline of its own", "")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(4096, false, NULL, NULL, &ws, &peer), 0);
    sl_time since = sl_now();
    int code = SL_ECANCELED;
    for (int i = 0; i < 100 && code == SL_ECANCELED; i++) {
        SL_SCOPE(limit, .timeout = SL_SECONDS(1), .move_on = true);
        struct sl_ws_message message;
        code = sl_ws_receive(ws, &message);
    }
    CHECK_EQ(code, SL_ETIMEDOUT);
    CHECK(sl_now() - since >= SL_SECONDS(40) && sl_now() - since <= SL_SECONDS(42));
    return 0;
}

C_TEST_SIMULATED(ws_quiet_peers_live, "two that have nothing to say keep each other alive by pings", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(4096, NULL, NULL, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, client), 0);
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, server), 0);
    CHECK_EQ(sl_sleep(SL_MINUTES(10)), 0);
    CHECK(sl_ws_pongs(client, NULL) + sl_ws_pongs(server, NULL) >= 10);
    CHECK_EQ(sl_ws_close(client, 1000, NULL), 0);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(ws_busy_application, "an application that does not receive for long does not take its peer for dead",
                 "")
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(4096, false, NULL, NULL, &ws, &peer), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(sl_stream_write(peer, "\x81\x02hi", 4), 0);
        CHECK_EQ(sl_sleep(SL_MINUTES(2)), 0);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), 0);
        CHECK_EQ(message.size_bytes, 2);
    }
    static const struct sl_ws_options off = {.ping_interval = SL_NEVER};
    sl_auto(sl_ws) *without = NULL;
    sl_auto(sl_stream) *silent = NULL;
    CHECK_EQ(ws_make(4096, false, &off, NULL, &without, &silent), 0);
    SL_SCOPE(limit, .timeout = SL_MINUTES(60), .move_on = true);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(without, &message), SL_ECANCELED);
    return 0;
}

C_TEST_SIMULATED(ws_slow_frame, "a frame that comes a byte at a time is no silence", "")
{
    static const struct sl_ws_options options = {.ping_interval = SL_SECONDS(2), .pong_timeout = SL_SECONDS(1)};
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    CHECK_EQ(ws_make(4096, false, &options, NULL, &ws, &peer), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, ws), 0);
    static const char frame[] = "\x82\x14"
                                "01234567890123456789\x88";
    for (size_t i = 0; i < sizeof frame - 1; i++) {
        CHECK_EQ(sl_stream_write(peer, frame + i, 1), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1500)), 0);
    }
    CHECK_EQ(sl_stream_write(peer, "\0", 1), 0);
    return sl_scope_wait(&scope);
}

/* ---- senders ---- */

struct sender {
    sl_ws *ws;
    char letter;
    bool in_parts;
};

static int send_many(void *arg)
{
    const struct sender *sender = arg;
    char text[300];
    memset(text, sender->letter, sizeof text);
    for (int i = 0; i < 20; i++) {
        if (sender->in_parts) {
            for (int part = 0; part < 3; part++) {
                SL_TRY(sl_ws_send_part(sender->ws, SL_WS_TEXT, text, 100, part == 2));
                SL_TRY(sl_checkpoint());
            }
        } else {
            SL_TRY(sl_ws_send(sender->ws, SL_WS_TEXT, text, sizeof text));
        }
        SL_TRY(sl_ws_ping(sender->ws, text, 5));
    }
    return 0;
}

static int senders(const struct sl__ws_agreed *agreed)
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(97, NULL, agreed, &client, &server), 0);
    struct sender each[] = {{client, 'a', false}, {client, 'b', true}, {client, 'c', true}, {client, 'd', false}};
    SL_SCOPE(scope);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(sl_spawn(&scope, send_many, &each[i]), 0);
    }
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, client, .daemon = true), 0); /* takes the pongs */
    int seen[4] = {0};
    for (int i = 0; i < 80; i++) {
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(server, &message), 0);
        CHECK_EQ(message.size_bytes, 300);
        for (size_t at = 1; at < 300; at++) {
            CHECK(message.data[at] == message.data[0]);
        }
        seen[message.data[0] - 'a']++;
    }
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(seen[i], 20);
    }
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, server, .daemon = true), 0); /* the last pings */
    return sl_scope_wait(&scope);
}

C_TEST(ws_senders, "messages of many tasks, whole and in parts, with pings between, never mix", "")
{
    static const struct sl__ws_agreed deflate = {true, false, true, 15, 9};
    CHECK_EQ(senders(NULL), 0);
    return senders(&deflate);
}

static int send_much(void *arg)
{
    char *data = test_calloc(1, 100000);
    int code = 0;
    for (int i = 0; i < 10 && code == 0; i++) {
        code = sl_ws_send(arg, SL_WS_BINARY, data, 100000);
    }
    test_free(data);
    return code;
}

C_TEST(ws_both_send_before_they_read,
       "pings that arrive while a sender is stuck are answered, and nobody waits for ever", "RFC 6455 5.5.3")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(1000, NULL, NULL, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_ws_ping(client, "from the client", 15), 0);
    CHECK_EQ(sl_ws_ping(server, "from the server", 15), 0);
    CHECK_EQ(sl_spawn(&scope, send_much, client), 0);
    CHECK_EQ(sl_spawn(&scope, send_much, server), 0);
    SETTLE(); /* both pipes are full */
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, client), 0);
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, server), 0);
    SETTLE();
    struct sl_bytes last;
    CHECK_EQ(sl_ws_pongs(client, &last), 1);
    CHECK(last.size_bytes == 15 && memcmp(last.data, "from the client", 15) == 0);
    CHECK_EQ(sl_ws_pongs(server, &last), 1);
    CHECK_EQ(sl_ws_close(client, 1000, NULL), 0);
    return sl_scope_wait(&scope);
}

C_TEST(ws_last_ping_counts, "of the pings that come while a sender is stuck the last is answered, once",
       "RFC 6455 5.5.3")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(1000, NULL, NULL, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, send_much, server), 0);
    SETTLE();
    CHECK_EQ(sl_ws_ping(client, "first", 5), 0);
    CHECK_EQ(sl_ws_ping(client, "last", 4), 0);
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, server), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, receive_to_the_end, client), 0);
    SETTLE();
    struct sl_bytes last;
    CHECK_EQ(sl_ws_pongs(client, &last), 1);
    CHECK(last.size_bytes == 4 && memcmp(last.data, "last", 4) == 0);
    CHECK_EQ(sl_ws_close(client, 1000, NULL), 0);
    return sl_scope_wait(&scope);
}

static int begin_only(void *arg)
{
    return sl_ws_send_part(arg, SL_WS_TEXT, "begun", 5, false);
}

C_TEST(ws_abandoned_message, "a message whose sender ended in the middle of it is not continued by others", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(1000, NULL, NULL, &client, &server), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, begin_only, client), 0);
    SETTLE();
    CHECK_EQ(sl_ws_send(client, SL_WS_TEXT, "other", 5), SL_EBROKEN);
    CHECK_EQ(sl_ws_send_close(client, 1001, NULL), 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(server, &message), SL_EOF);
    return sl_scope_wait(&scope);
}

C_TEST(ws_parts_by_one_task, "within a message in parts nothing else can be sent by the same task", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(1000, NULL, NULL, &client, &server), 0);
    CHECK_EQ(begin_only(client), 0);
    CHECK_EQ(sl_ws_send(client, SL_WS_TEXT, "other", 5), SL_EBUSY);
    CHECK_EQ(sl_ws_ping(client, "", 0), 0);
    CHECK_EQ(sl_ws_send_part(client, SL_WS_BINARY, "", 0, false), 0);
    CHECK_EQ(sl_ws_send_part(client, SL_WS_BINARY, " and done", 9, true), 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(server, &message), 0);
    CHECK_EQ(message.kind, SL_WS_TEXT);
    CHECK(message.size_bytes == 14 && memcmp(message.data, "begun and done", 14) == 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(ws_close_waits), cmocka_unit_test(ws_close_from_both_sides),
             cmocka_unit_test(ws_close_beside_a_receiver), cmocka_unit_test(ws_close_unanswered),
             cmocka_unit_test(ws_close_server_lingers), cmocka_unit_test(ws_close_arguments),
             cmocka_unit_test(ws_silent_peer), cmocka_unit_test(ws_silent_peer_of_a_poller),
             cmocka_unit_test(ws_quiet_peers_live), cmocka_unit_test(ws_busy_application),
             cmocka_unit_test(ws_slow_frame), cmocka_unit_test(ws_senders),
             cmocka_unit_test(ws_both_send_before_they_read), cmocka_unit_test(ws_last_ping_counts),
             cmocka_unit_test(ws_abandoned_message), cmocka_unit_test(ws_parts_by_one_task))
