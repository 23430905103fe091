/* SPDX-License-Identifier: MIT */
/* A whole session, from the handshake to the close, cancelled at its n-th wait for each n; and the same over TLS. */
#include "tls_pair.h"
#include "trap_stream.h"
#include "ws/handshake.h"
#include "ws_kit.h"

#define ATTEMPTS_MAX 3000
#define LARGE ((size_t)70000)

/* ---- the server's end by hand, so that it can stand on any stream ---- */

static int read_head(sl_stream *stream, char key[SL__WS_KEY_TEXT_BYTES])
{
    struct sl_view view = {NULL, 0};
    const char *end = NULL;
    while (end == NULL) {
        SL_TRY(sl_stream_peek(stream, view.size_bytes + 1, &view));
        end = memmem(view.data, view.size_bytes, "\r\n\r\n", 4);
    }
    static const char name[] = "Sec-WebSocket-Key: ";
    const char *found = memmem(view.data, view.size_bytes, name, sizeof name - 1);
    CHECK(found != NULL);
    memcpy(key, found + sizeof name - 1, SL__WS_KEY_TEXT_BYTES - 1);
    key[SL__WS_KEY_TEXT_BYTES - 1] = '\0';
    sl_stream_consume(stream, (size_t)(end + 4 - view.data));
    return 0;
}

static int shake_hands(sl_stream *stream)
{
    char key[SL__WS_KEY_TEXT_BYTES];
    char accept[SL__WS_ACCEPT_TEXT_BYTES];
    char answer[256];
    SL_TRY(read_head(stream, key));
    SL_TRY(sl__ws_accept_of(key, accept));
    int length =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                 "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                 accept);
    return sl_stream_write(stream, answer, (size_t)length);
}

/* One end; the stream is its own. */
struct end {
    sl_stream *stream;
    bool server;
    int code;
};

static int echo(struct end *end)
{
    static const struct sl__ws_agreed agreed = {true, false, false, 15, 15};
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(shake_hands(end->stream));
    SL_TRY(sl__ws_new(end->stream, true, NULL, &agreed, "", &ws));
    end->stream = NULL;
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_ping(ws, "there?", 6));
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code == SL_EOF ? 0 : code;
}

static int exchange(sl_ws *ws, const char *data, size_t size_bytes)
{
    struct sl_ws_message message;
    SL_TRY(sl_ws_send_part(ws, SL_WS_BINARY, data, size_bytes / 3, false));
    SL_TRY(sl_ws_send_part(ws, SL_WS_BINARY, data + size_bytes / 3, size_bytes - size_bytes / 3, true));
    SL_TRY(sl_ws_receive(ws, &message));
    CHECK_EQ(message.size_bytes, size_bytes);
    CHECK(memcmp(message.data, data, size_bytes) == 0);
    return 0;
}

static int ask(struct end *end, const char *data)
{
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_options options = {.url = "wss://server.test/", .stream = end->stream, .deflate = {.on = true}};
    end->stream = NULL;
    SL_TRY(sl_ws_connect_with(&options, &ws));
    SL_TRY(exchange(ws, data, 10));
    SL_TRY(exchange(ws, data, LARGE));
    SL_TRY(sl_ws_send(ws, SL_WS_TEXT, "", 0));
    return sl_ws_close(ws, 1000, "done");
}

static int run_end(void *arg)
{
    struct end *end = arg;
    if (end->server) {
        end->code = echo(end);
    } else {
        char *data = test_malloc(LARGE);
        for (size_t i = 0; i < LARGE; i++) {
            data[i] = (char)(i * i >> 5);
        }
        end->code = ask(end, data);
        test_free(data);
    }
    sl_stream_close(end->stream);
    end->stream = NULL;
    return end->code == SL_CHECK_FAILED ? end->code : 0;
}

/* ---- cancelled ---- */

static int trapped_session(bool server, size_t step, int n, bool *ret_done)
{
    struct trap trap = {.step = step, .waits = n};
    sl_stream *ends[2] = {NULL, NULL};
    SL_SCOPE(all);
    CHECK_EQ(sl_stream_memory_pair(1500, &ends[0], &ends[1]), 0);
    sl_stream *plain = ends[server];
    CHECK_EQ(trap_stream_open(plain, &trap, &ends[server]), 0);
    struct end mine = {ends[server], server, 0};
    struct end peer = {ends[!server], !server, 0};
    CHECK_EQ(sl_spawn(&all, run_end, &peer), 0);
    {
        SL_SCOPE(scope);
        trap.scope = &scope;
        CHECK_EQ(run_end(&mine), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
        trap.scope = NULL;
    }
    CHECK_EQ(sl_scope_wait(&all), 0);
    CHECK(trap.sprung || (mine.code == 0 && peer.code == 0));
    CHECK(mine.code == 0 || mine.code == SL_ECANCELED);
    *ret_done = !trap.sprung;
    return 0;
}

static int cancelled_at_each_wait(bool server, size_t step)
{
    bool done = false;
    int attempts = 0;
    while (!done) {
        CHECK(attempts < ATTEMPTS_MAX);
        CHECK_EQ(trapped_session(server, step, ++attempts, &done), 0);
    }
    CHECK(attempts > 10);
    return 0;
}

C_TEST_REAL_FEW(ws_client_cancelled_at_each_wait,
                "connect, send, receive and close of a client, cancelled at each wait", "")
{
    CHECK_EQ(cancelled_at_each_wait(false, 0), 0);
    return cancelled_at_each_wait(false, 700);
}

C_TEST_REAL_FEW(ws_server_cancelled_at_each_wait, "a server's receive and send, cancelled at each wait", "")
{
    CHECK_EQ(cancelled_at_each_wait(true, 0), 0);
    return cancelled_at_each_wait(true, 700);
}

C_TEST_REAL_FEW(ws_one_byte_at_a_time, "a stream below that takes and gives single bytes", "")
{
    for (int server = 0; server < 2; server++) {
        bool done = false;
        CHECK_EQ(trapped_session(server == 1, 1, 0, &done), 0);
        CHECK(done);
    }
    return 0;
}

/* ---- over TLS ---- */

C_TEST_REAL_FEW(ws_over_tls, "the same session over a TLS connection", "")
{
    struct tls_pair pair = {NULL, NULL};
    CHECK_EQ(tls_pair_open(TLS_OVER_TCP, 0, &pair), 0);
    struct end client = {pair.client, false, 0};
    struct end server = {pair.server, true, 0};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, run_end, &server), 0);
    CHECK_EQ(run_end(&client), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(client.code, 0);
    CHECK_EQ(server.code, 0);
    return 0;
}

struct tls_server {
    sl_listener *listener;
    sl_tls_config *config;
};

static int serve_tls(void *arg)
{
    const struct tls_server *server = arg;
    sl_stream *plain = NULL;
    struct end end = {NULL, true, 0};
    SL_TRY(sl_listener_accept(server->listener, &plain));
    if (sl_tls_server(plain, server->config, &end.stream) < 0) {
        return 0; /* the client did not like the certificate */
    }
    return run_end(&end);
}

static int connect_wss(enum sl_tls_version version, const char *listen, const char *host)
{
    struct sl_tls_options options[] = {tls_client_options(), tls_server_options(TLS_SERVER)};
    options[0].min_version = version;
    sl_auto(sl_tls_config) *client = NULL;
    sl_auto(sl_listener) *listener = NULL;
    struct tls_server server = {.config = NULL};
    CHECK_EQ(sl_tls_config_open(&options[0], &client), 0);
    CHECK_EQ(sl_tls_config_open(&options[1], &server.config), 0);
    sl_auto(sl_tls_config) *frees = server.config;
    (void)frees;
    CHECK_EQ(sl_listener_open(listen, 0, &listener), 0);
    server.listener = listener;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve_tls, &server), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "wss://%s:%d/", host, sl_listener_port(listener));
    sl_auto(sl_ws) *ws = NULL;
    int code = sl_ws_connect_with(&(struct sl_ws_options){.url = url, .tls = client, .deflate = {.on = true}}, &ws);
    if (code == 0) {
        CHECK_EQ(exchange(ws, url, 20), 0);
        CHECK_EQ(sl_ws_close(ws, 1000, NULL), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return code;
}

C_TEST_REAL_FEW(ws_wss, "a wss URL with a configuration; a certificate for another host is refused", "")
{
    CHECK_EQ(connect_wss(SL_TLS_1_2, "127.0.0.1", "localhost"), 0);
    CHECK_EQ(connect_wss(SL_TLS_1_3, "127.0.0.1", "127.0.0.1"), 0);
    CHECK_EQ(connect_wss(SL_TLS_1_3, "127.0.0.2", "127.0.0.2"), SL_ECERTIFICATE);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(ws_client_cancelled_at_each_wait), cmocka_unit_test(ws_server_cancelled_at_each_wait),
             cmocka_unit_test(ws_one_byte_at_a_time), cmocka_unit_test(ws_over_tls), cmocka_unit_test(ws_wss))
