/* SPDX-License-Identifier: MIT */
/*
 * The WebSocket when things go wrong: cancelled at every wait, short of memory at every allocation, cut anywhere; and
 * random messages, fragments and control frames between our own two sides.
 */
#include "ws_kit.h"

/* ---- a session: connect, messages both ways, close; cancelled after so many steps of its task ---- */

struct session {
    struct sl_ws_options options;
    sl_listener *listener;
    int code;
    bool completed;
    sl_task_ref task;
};

static int echo(void *arg, sl_http_exchange *exchange)
{
    const struct session *session = arg;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_accept_with(exchange, &session->options, &ws));
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_ping(ws, "are you there", 13));
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code == SL_EOF ? 0 : code;
}

static int serve(void *arg)
{
    struct session *session = arg;
    return sl_http_serve(session->listener, echo, session);
}

#define LARGE ((size_t)300000)

static int talk(struct session *session, char *data)
{
    char url[64];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%d/", sl_listener_port(session->listener));
    session->options.url = url;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_connect_with(&session->options, &ws));
    static const size_t sizes[] = {5, 5000, LARGE};
    for (size_t i = 0; i < 3; i++) {
        struct sl_ws_message message;
        if (i == 1) {
            SL_TRY(sl_ws_send_part(ws, SL_WS_TEXT, data, 1000, false));
            SL_TRY(sl_ws_send_part(ws, SL_WS_TEXT, data, sizes[i] - 1000, true));
        } else {
            SL_TRY(sl_ws_send(ws, SL_WS_BINARY, data, sizes[i]));
        }
        SL_TRY(sl_ws_receive(ws, &message));
        CHECK_EQ(message.size_bytes, sizes[i]);
    }
    SL_TRY(sl_ws_close(ws, 1000, "done"));
    session->completed = true;
    return 0;
}

static int run_session(void *arg)
{
    struct session *session = arg;
    char *data = test_malloc(LARGE);
    memset(data, 'x', LARGE);
    session->task = sl_task_self();
    session->code = talk(session, data);
    test_free(data);
    return session->code == SL_CHECK_FAILED ? session->code : 0;
}

static bool session_code_ok(int code)
{
    return code == 0 || code == SL_ECANCELED || code == SL_ENOMEM || code == SL_ECONNRESET || code == SL_EPIPE ||
           code == SL_EPROTO || code == SL_ETIMEDOUT || code == SL_EOF;
}

/* Cancels the client's scope once its task has been resumed so often; until it gets through. */
static int cancel_everywhere(bool deflate)
{
    for (int64_t turns = 0;; turns += 1 + turns / 25) { /* test_ws_waits.c does each wait */
        struct session session = {
            .options = {.deflate = {.on = deflate, .client_no_context_takeover = turns % 2 == 0}}};
        CHECK_EQ(sl_listener_open("127.0.0.1", 0, &session.listener), 0);
        {
            SL_SCOPE(outer, .strategy = SL_ISOLATE);
            CHECK_EQ(sl_spawn(&outer, serve, &session, .daemon = true), 0);
            SL_SCOPE(inner, .move_on = true);
            CHECK_EQ(sl_spawn(&inner, run_session, &session), 0);
            int64_t left = turns;
            while (left-- > 0 && sl_scope_children(&inner) > 0) {
                CHECK_EQ(sl_checkpoint(), 0);
            }
            sl_scope_cancel(&inner, "at this wait");
            CHECK_EQ(sl_scope_wait(&inner), 0);
        }
        sl_listener_close(session.listener);
        CHECK(session_code_ok(session.code));
        CHECK(session.completed || session.code != 0 || session.task.task == NULL);
        if (session.completed) {
            return 0;
        }
        CHECK(turns < 100000);
    }
}

C_TEST_REAL_FEW(ws_cancelled_everywhere, "a session cancelled at any moment leaves nothing behind", "")
{
    CHECK_EQ(cancel_everywhere(false), 0);
    return cancel_everywhere(true);
}

static int out_of_memory_everywhere(bool deflate)
{
    int64_t count = 0;
    for (bool failed = true; failed; count++) {
        struct session session = {.options = {.deflate = {.on = deflate}}};
        CHECK_EQ(sl_listener_open("127.0.0.1", 0, &session.listener), 0);
        {
            SL_SCOPE(outer, .strategy = SL_ISOLATE);
            CHECK_EQ(sl_spawn(&outer, serve, &session, .daemon = true), 0);
            SETTLE();
            SL_SCOPE(inner, .timeout = SL_SECONDS(20), .move_on = true);
            CHECK_EQ(sl_spawn(&inner, run_session, &session), 0);
            sl_memory_fail_after(count);
            CHECK_EQ(sl_scope_wait(&inner), 0);
            failed = sl_memory_failed() != 0;
            sl_memory_fail_after(-1);
            CHECK(!sl_scope_cancel_called(&inner)); /* nobody waits for what will not come */
        }
        sl_listener_close(session.listener);
        CHECK(session_code_ok(session.code));
        CHECK(failed || session.completed);
        CHECK(count < 2000);
    }
    return 0;
}

C_TEST_REAL_FEW(ws_out_of_memory_everywhere, "the n-th allocation fails, for every n: a clean end, or none needed", "")
{
    CHECK_EQ(out_of_memory_everywhere(false), 0);
    return out_of_memory_everywhere(true);
}

/* ---- single calls, cancelled ---- */

static int send_large(void *arg)
{
    char *data = test_calloc(1, LARGE);
    int code = sl_ws_send(arg, SL_WS_BINARY, data, LARGE);
    test_free(data);
    return code;
}

C_TEST(ws_cancelled_send, "a send cancelled in its middle ends the sending; receiving goes on", "")
{
    for (int role = 0; role < 2; role++) {
        sl_auto(sl_ws) *client = NULL;
        sl_auto(sl_ws) *server = NULL;
        CHECK_EQ(ws_pair(1000, NULL, NULL, &client, &server), 0);
        sl_ws *sender = role == 0 ? client : server;
        sl_ws *other = role == 0 ? server : client;
        {
            SL_SCOPE(scope, .timeout = SL_MILLISECONDS(5), .move_on = true);
            CHECK_EQ(send_large(sender), SL_ECANCELED);
            CHECK_EQ(sl_ws_send(sender, SL_WS_TEXT, "", 0), SL_ECANCELED);
        }
        CHECK_EQ(sl_ws_send(sender, SL_WS_TEXT, "", 0), SL_EPIPE);
        CHECK_EQ(sl_ws_send_close(sender, 1000, NULL), SL_EPIPE);
        CHECK_EQ(sl_ws_send(other, SL_WS_TEXT, "still", 5), 0);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(sender, &message), 0);
        CHECK_EQ(message.size_bytes, 5);
    }
    return 0;
}

C_TEST(ws_in_a_cancelled_scope, "in a cancelled scope every call fails at once, each time, and harms nothing", "")
{
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(1000, NULL, NULL, &client, &server), 0);
    CHECK_EQ(sl_ws_send(server, SL_WS_TEXT, "there", 5), 0);
    struct sl_ws_message message;
    {
        SL_SCOPE(scope, .move_on = true);
        sl_scope_cancel(&scope, NULL);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(sl_ws_receive(client, &message), SL_ECANCELED);
            CHECK_EQ(sl_ws_send(client, SL_WS_TEXT, "x", 1), SL_ECANCELED);
            CHECK_EQ(sl_ws_send_part(client, SL_WS_TEXT, "x", 1, false), SL_ECANCELED);
            CHECK_EQ(sl_ws_ping(client, "x", 1), SL_ECANCELED);
            CHECK_EQ(sl_ws_close(client, 1000, NULL), SL_ECANCELED);
        }
    }
    CHECK_EQ(sl_ws_receive(client, &message), 0);
    CHECK_EQ(sl_ws_send(client, SL_WS_TEXT, "fine", 4), 0);
    CHECK_EQ(sl_ws_receive(server, &message), 0);
    CHECK_EQ(message.size_bytes, 4);
    return 0;
}

/* ---- random traffic ---- */

#define ROUNDS 20
#define RANDOM_BYTES_MAX ((size_t)90000)

struct side {
    sl_ws *ws;
    uint64_t seed;
    int received, pings;
};

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t mixed = *state ^ *state >> 29;
    return mixed * 0xbf58476d1ce4e5b9u >> 16;
}

/* Both sides know the n-th message from the seed alone: ASCII and longer characters, of any length. */
static size_t message_of(uint64_t seed, int number, char *data, enum sl_ws_kind *ret_kind)
{
    static const char *const letters[] = {"a", "z", "0", "\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "{", "\""};
    uint64_t state = seed + (uint64_t)number * 977;
    (void)next(&state);
    size_t limit = next(&state) % 4 == 0 ? RANDOM_BYTES_MAX : next(&state) % 3 == 0 ? 5000 : 200;
    size_t wanted = (size_t)(next(&state) % limit);
    uint64_t narrow = next(&state) % 2 == 0 ? 3 : 8;
    size_t size_bytes = 0;
    while (size_bytes + 4 <= wanted) {
        const char *letter = letters[next(&state) % narrow];
        size_t length = strlen(letter);
        memcpy(data + size_bytes, letter, length);
        size_bytes += length;
    }
    *ret_kind = next(&state) % 2 == 0 ? SL_WS_TEXT : SL_WS_BINARY;
    return size_bytes;
}

static int send_random(void *arg)
{
    struct side *side = arg;
    char *data = test_malloc(RANDOM_BYTES_MAX);
    uint64_t state = side->seed ^ 0x5555;
    int code = 0;
    for (int i = 0; i < ROUNDS && code == 0; i++) {
        enum sl_ws_kind kind;
        size_t size_bytes = message_of(side->seed, i, data, &kind);
        size_t at = 0;
        bool in_parts = next(&state) % 3 == 0;
        bool last = false;
        while (code == 0 && !last) {
            size_t left = size_bytes - at;
            size_t part = in_parts ? (size_t)(next(&state) % (left / 3 + 10)) : left;
            last = part >= left;
            part = last ? left : part;
            code = sl_ws_send_part(side->ws, kind, data + at, part, last);
            at += part;
            if (code == 0 && next(&state) % 4 == 0) {
                code = sl_ws_ping(side->ws, data, next(&state) % 126 < size_bytes ? next(&state) % 2 : 0);
                side->pings++;
            }
        }
    }
    test_free(data);
    return code;
}

static int receive_random(void *arg)
{
    struct side *side = arg;
    char *data = test_malloc(RANDOM_BYTES_MAX);
    int wrong = 0;
    int code = 0;
    struct sl_ws_message message;
    while (wrong == 0 && (code = sl_ws_receive(side->ws, &message)) == 0) {
        enum sl_ws_kind kind;
        size_t size_bytes = message_of(side->seed, side->received++, data, &kind);
        wrong = kind != message.kind || size_bytes != message.size_bytes || memcmp(data, message.data, size_bytes) != 0;
    }
    test_free(data);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(code, SL_EOF);
    return 0;
}

static int traffic(sl_ws *client, sl_ws *server, uint64_t seed)
{
    struct side sides[] = {{client, seed, 0, 0}, {server, seed + 1, 0, 0}};
    struct side receivers[] = {{server, seed, 0, 0}, {client, seed + 1, 0, 0}};
    SL_SCOPE(scope);
    {
        SL_SCOPE(sending);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(sl_spawn(&scope, receive_random, &receivers[i]), 0);
            CHECK_EQ(sl_spawn(&sending, send_random, &sides[i]), 0);
        }
        CHECK_EQ(sl_scope_wait(&sending), 0);
    }
    CHECK_EQ(sl_ws_close(seed % 2 == 0 ? client : server, 1000, "all of it"), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(receivers[0].received, ROUNDS);
    CHECK_EQ(receivers[1].received, ROUNDS);
    CHECK(sl_ws_pongs(client, NULL) <= (uint64_t)sides[0].pings &&
          sl_ws_pongs(server, NULL) <= (uint64_t)sides[1].pings);
    return 0;
}

C_TEST(ws_random_traffic, "random messages, fragments and pings both ways arrive as they were sent", "")
{
    static const size_t capacities[] = {1, 37, 1000, 65536, 300000};
    uint64_t seed = sl_conformance_seed();
    struct sl__ws_agreed agreed = {seed % 3 != 0, seed % 2 == 0, seed % 5 < 2, 8 + (int)(seed % 8),
                                   8 + (int)(seed / 8 % 8)};
    struct sl_ws_options options = {
        .deflate = {.on = true, .level = 1 + (int)(seed % 9), .threshold_bytes = seed % 4 * 40}};
    sl_auto(sl_ws) *client = NULL;
    sl_auto(sl_ws) *server = NULL;
    CHECK_EQ(ws_pair(capacities[1 + seed % 4], &options, &agreed, &client, &server), 0);
    return traffic(client, server, seed * 1000 + 7);
}

/* ---- large messages ---- */

#define HUGE ((size_t)16 * 1024 * 1024)

struct bulk {
    sl_ws *ws;
    const char *data;
    size_t fragment, size_bytes;
};

static int send_bulk(void *arg)
{
    const struct bulk *bulk = arg;
    for (size_t at = 0; at < bulk->size_bytes; at += bulk->fragment) {
        SL_TRY(sl_ws_send_part(bulk->ws, SL_WS_TEXT, bulk->data + at, bulk->fragment,
                               at + bulk->fragment == bulk->size_bytes));
    }
    return 0;
}

C_TEST_REAL_FEW(ws_large_messages,
                "16 MiB whole and in fragments of 64 B to 8 MiB, compressed too; the buffer goes when idle", "")
{
    static const struct sl__ws_agreed deflate = {true, false, false, 15, 15};
    static const struct sl_ws_options options = {.deflate = {.on = true, .level = 1}};
    char *data = test_malloc(HUGE);
    for (size_t i = 0; i < HUGE; i++) {
        data[i] = (char)(' ' + (i ^ i >> 9) % 90);
    }
    int failed = 0;
    static const size_t fragments[] = {HUGE, HUGE / 2, HUGE / 16, 65536, 1024, 64};
    for (size_t i = 0; i < 2 * sizeof fragments / sizeof fragments[0] && failed == 0; i++) {
        sl_auto(sl_ws) *client = NULL;
        sl_auto(sl_ws) *server = NULL;
        failed |= ws_pair(65536, &options, i % 4 == 3 ? &deflate : NULL, &client, &server);
        size_t size_bytes = fragments[i / 2] < 65536 ? fragments[i / 2] * 8192 : HUGE;
        struct bulk bulk = {i % 2 == 0 ? client : server, data, fragments[i / 2], size_bytes};
        SL_SCOPE(scope);
        failed |= sl_spawn(&scope, send_bulk, &bulk);
        sl_ws *receiver = i % 2 == 0 ? server : client;
        struct sl_ws_message message = {.size_bytes = 0};
        failed |= sl_ws_receive(receiver, &message);
        failed |= message.size_bytes != size_bytes || memcmp(message.data, data, size_bytes) != 0;
        failed |= sl_scope_wait(&scope);
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(1), .move_on = true);
        failed |= sl_ws_receive(receiver, &message) != SL_ECANCELED || receiver->message.data != NULL;
    }
    test_free(data);
    CHECK_EQ(failed, 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(ws_cancelled_everywhere), cmocka_unit_test(ws_out_of_memory_everywhere),
             cmocka_unit_test(ws_cancelled_send), cmocka_unit_test(ws_in_a_cancelled_scope),
             cmocka_unit_test(ws_random_traffic), cmocka_unit_test(ws_large_messages))
