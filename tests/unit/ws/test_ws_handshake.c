/* SPDX-License-Identifier: MIT */
/* The opening handshake: our client against answers by hand, our server against requests by hand, and both together. */
#include "ws_kit.h"

#include "ws/handshake.h"

#define TEXT_BYTES 4096

/* ---- the client ---- */

/* Reads a request and answers; "@" in the answer stands for the right Sec-WebSocket-Accept. */
struct answerer {
    sl_stream *stream;
    const char *answer;
    char request[TEXT_BYTES];
};

static int answer(void *arg)
{
    struct answerer *it = arg;
    struct sl_view view;
    for (size_t have = 1;; have = view.size_bytes + 1) {
        SL_TRY(sl_stream_peek(it->stream, have, &view));
        if (view.size_bytes >= 4 && memcmp(view.data + view.size_bytes - 4, "\r\n\r\n", 4) == 0) {
            break;
        }
    }
    CHECK(view.size_bytes < TEXT_BYTES);
    memcpy(it->request, view.data, view.size_bytes);
    it->request[view.size_bytes] = '\0';
    sl_stream_consume(it->stream, view.size_bytes);
    char *key = strstr(it->request, "Sec-WebSocket-Key: ");
    CHECK(key != NULL);
    char key_text[25];
    memcpy(key_text, key + strlen("Sec-WebSocket-Key: "), 24);
    key_text[24] = '\0';
    char accept[29];
    CHECK_EQ(sl__ws_accept_of(key_text, accept), 0);
    const char *mark = strchr(it->answer, '@');
    struct sl_bytes pieces[] = {
        {it->answer, mark == NULL ? strlen(it->answer) : (size_t)(mark - it->answer)},
        {accept, mark == NULL ? 0 : strlen(accept)},
        {mark == NULL ? "" : mark + 1, mark == NULL ? 0 : strlen(mark + 1)},
    };
    SL_TRY(sl_stream_write_pieces(it->stream, pieces, 3));
    return sl_stream_shutdown(it->stream);
}

/* What the client makes of the answer; `request` gets what it sent. */
static int connect_to(const struct sl_ws_options *given, const char *text, char *request, sl_ws **ret_ws)
{
    struct sl_ws_options options = *given;
    struct answerer it = {.answer = text};
    CHECK_EQ(sl_stream_memory_pair(TEXT_BYTES, &options.stream, &it.stream), 0);
    sl_auto(sl_stream) *peer = it.stream;
    (void)peer; /* closed at the end */
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, answer, &it), 0);
    int code = sl_ws_connect_with(&options, ret_ws);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    if (request != NULL) {
        memcpy(request, it.request, TEXT_BYTES);
    }
    return code;
}

#define URL "ws://127.0.0.1:80/chat?x=1"
#define GOOD                                                                                                           \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: @\r\n"

C_TEST(ws_client_request, "what the client asks", "RFC 6455 4.1")
{
    static const struct sl_ws_options options = {.url = "ws://[::1]:9000?x=1",
                                                 .headers = "Origin: http://here\r\nX-Key: v\r\n",
                                                 .subprotocols = "chat, superchat",
                                                 .deflate = {.on = true, .server_max_window_bits = 10}};
    char request[TEXT_BYTES];
    sl_auto(sl_ws) *ws = NULL;
    CHECK_EQ(connect_to(&options,
                        GOOD "Sec-WebSocket-Protocol: superchat\r\nSec-WebSocket-Extensions: permessage-deflate; "
                             "server_max_window_bits=10\r\n\r\n",
                        request, &ws),
             0);
    CHECK(strncmp(request, "GET /?x=1 HTTP/1.1\r\n", 20) == 0);
    CHECK(strstr(request, "\r\nHost: [::1]:9000\r\n") != NULL);
    CHECK(strstr(request, "\r\nUpgrade: websocket\r\n") != NULL);
    CHECK(strstr(request, "\r\nConnection: Upgrade\r\n") != NULL);
    CHECK(strstr(request, "\r\nSec-WebSocket-Version: 13\r\n") != NULL);
    CHECK(strstr(request, "\r\nSec-WebSocket-Protocol: chat, superchat\r\n") != NULL);
    CHECK(strstr(request, "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; "
                          "server_max_window_bits=10\r\n") != NULL);
    CHECK(strstr(request, "\r\nOrigin: http://here\r\nX-Key: v\r\n") != NULL);
    CHECK_STRING(sl_ws_subprotocol(ws), "superchat");
    CHECK(sl_ws_compresses(ws));
    return 0;
}

C_TEST(ws_client_answers, "answers that are good, and a frame right behind one", "RFC 6455 4.1")
{
    static const struct sl_ws_options options = {.url = URL};
    static const char *const good[] = {
        GOOD "\r\n",
        "HTTP/1.1 101 X\r\nconnection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\nsec-websocket-accept:  @ \r\n\r\n",
        GOOD "Sec-WebSocket-Extensions:\r\n\r\n",
        GOOD "X: y\r\n\r\n\x81\x02hi",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        sl_auto(sl_ws) *ws = NULL;
        CHECK_EQ(connect_to(&options, good[i], NULL, &ws), 0);
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), strchr(good[i], '\x81') == NULL ? SL_ECONNRESET : 0);
    }
    return 0;
}

C_TEST(ws_client_refuses, "answers that are not a proper handshake", "RFC 6455 4.1")
{
    static const struct sl_ws_options plain = {.url = URL};
    static const struct sl_ws_options offers = {.url = URL, .subprotocols = "chat", .deflate = {.on = true}};
    static const struct {
        const struct sl_ws_options *options;
        const char *answer;
        const char *story;
    } bad[] = {
        {&plain, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200"},
        {&plain, "HTTP/1.1 301 Moved\r\nLocation: ws://there/\r\nContent-Length: 0\r\n\r\n", "ws://there/"},
        {&plain, "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno\x01 entry", "403: no"},
        {&plain, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: @\r\n\r\n", "Upgrade"},
        {&plain, "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: @\r\n\r\n", "Upgrade"},
        {&plain, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: @\r\n\r\n", ""},
        {&plain, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Accept: @\r\n\r\n", ""},
        {&plain, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Sec-WebSocket-Accept"},
        {&plain,
         "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         "Sec-WebSocket-Accept"},
        {&plain, GOOD "Sec-WebSocket-Accept: @\r\n\r\n", "Sec-WebSocket-Accept"},
        {&plain, GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n", "subprotocol"},
        {&offers, GOOD "Sec-WebSocket-Protocol: Chat\r\n\r\n", "subprotocol"},
        {&offers, GOOD "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n\r\n", "subprotocol"},
        {&plain, GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "extension"},
        {&offers, GOOD "Sec-WebSocket-Extensions: other\r\n\r\n", "extension"},
        {&offers,
         GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         "extension"},
        {&plain, "nonsense\r\n\r\n", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_auto(sl_ws) *ws = NULL;
        int code = connect_to(bad[i].options, bad[i].answer, NULL, &ws);
        CHECK_EQ(code, SL_EPROTO);
        CHECK(ws == NULL);
        char story[1024];
        (void)sl_error_print(sl_error_last(), story, sizeof story);
        CHECK(strstr(story, bad[i].story) != NULL);
    }
    sl_auto(sl_ws) *ws = NULL;
    CHECK_EQ(connect_to(&plain, "HTTP/1.1 101 X\r\nUpg", NULL, &ws), SL_ECONNRESET);
    CHECK_EQ(connect_to(&plain, "", NULL, &ws), SL_ECONNRESET);
    return 0;
}

C_TEST(ws_client_arguments, "URLs and options that are none", "RFC 6455 3")
{
    static const struct sl_ws_options bad[] = {
        {.url = NULL},
        {.url = ""},
        {.url = "http://127.0.0.1/"},
        {.url = "ws:/127.0.0.1/"},
        {.url = "ws:///"},
        {.url = "ws://127.0.0.1:0/"},
        {.url = "ws://127.0.0.1:65536/"},
        {.url = "ws://127.0.0.1:80x/"},
        {.url = "ws://127.0.0.1:/"},
        {.url = "ws://user@127.0.0.1/"},
        {.url = "ws://127.0.0.1/#part"},
        {.url = "ws://127.0.0.1/a b"},
        {.url = "ws://127.0.0.1/\r\nX: y"},
        {.url = "ws://[::1/"},
        {.url = "ws://[::1]x/"},
        {.url = URL, .headers = "no colon\r\n"},
        {.url = URL, .headers = "Name: no end"},
        {.url = URL, .headers = "Name: value\r\n\r\nGET / HTTP/1.1\r\n"},
        {.url = URL, .headers = "Name: \x01\r\n"},
        {.url = URL, .subprotocols = "a b"},
        {.url = URL, .subprotocols = "a\r\nX: y"},
        {.url = URL, .deflate = {.client_max_window_bits = 7}},
        {.url = URL, .deflate = {.server_max_window_bits = 16}},
        {.url = URL, .deflate = {.level = 10}},
        {.url = URL, .ping_interval = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_ws *ws = NULL;
        CHECK_EQ(sl_ws_connect_with(&bad[i], &ws), SL_EINVAL);
    }
    return 0;
}

static int say_nothing(void *arg)
{
    char some[TEXT_BYTES];
    size_t bytes = 0;
    while (sl_stream_read(arg, some, sizeof some, &bytes) == 0) {
    }
    return 0;
}

C_TEST_SIMULATED(ws_client_handshake_timeout, "a server that does not answer is not waited for for ever", "")
{
    struct sl_ws_options options = {.url = URL, .handshake_timeout = SL_SECONDS(3)};
    sl_stream *peer = NULL;
    CHECK_EQ(sl_stream_memory_pair(TEXT_BYTES, &options.stream, &peer), 0);
    sl_auto(sl_stream) *closes = peer;
    (void)closes;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, say_nothing, peer), 0);
    sl_time since = sl_now();
    sl_ws *ws = NULL;
    CHECK_EQ(sl_ws_connect_with(&options, &ws), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - since, SL_SECONDS(3));
    return sl_scope_wait(&scope);
}

/* ---- the server ---- */

struct server {
    sl_listener *listener;
    const struct sl_ws_options *options;
    int code; /* of the last handshake */
};

static int accept_and_greet(void *arg, sl_http_exchange *exchange)
{
    struct server *server = arg;
    sl_auto(sl_ws) *ws = NULL;
    server->code = sl_ws_accept_with(exchange, server->options, &ws);
    if (server->code == 0) {
        struct sl_ws_message message;
        while (sl_ws_receive(ws, &message) == 0) {
            SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
        }
    }
    return 0;
}

static int serve(void *arg)
{
    struct server *server = arg;
    return sl_http_serve(server->listener, accept_and_greet, server);
}

/* Sends the request and gives the head of the answer, or what came of it. */
static int ask(const struct server *server, const char *request, char answer[TEXT_BYTES])
{
    sl_auto(sl_stream) *stream = NULL;
    size_t got = 0;
    answer[0] = '\0';
    SL_TRY(sl_connect("127.0.0.1", sl_listener_port(server->listener), &stream));
    SL_TRY(sl_stream_write(stream, request, strlen(request)));
    while (strstr(answer, "\r\n\r\n") == NULL) {
        size_t bytes = 0;
        SL_TRY(sl_stream_read(stream, answer + got, TEXT_BYTES - 1 - got, &bytes));
        got += bytes;
        answer[got] = '\0';
    }
    return 0;
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define REST "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"

C_TEST_REAL(ws_server_answers, "requests that are good: the RFC's example, lists, subprotocols, extensions",
            "RFC 6455 1.3, 4.2")
{
    static const struct sl_ws_options options = {
        .subprotocols = "v2, v1", .headers = "X-Extra: yes\r\n", .deflate = {.on = true}};
    static const struct {
        const char *request, *line, *none;
    } good[] = {
        {"GET / HTTP/1.1\r\n" REST KEY "\r\n", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
         "Sec-WebSocket-Protocol"},
        {"GET / HTTP/1.1\r\n" REST KEY "\r\n", "\r\nX-Extra: yes\r\n", "Sec-WebSocket-Extensions"},
        {"GET / HTTP/1.1\r\nHost: x\r\nupgrade: foo, WebSocket\r\nconnection: keep-alive\r\nCONNECTION: upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n" KEY "\r\n",
         "HTTP/1.1 101", "X-None"},
        {"GET / HTTP/1.1\r\n" REST KEY "Sec-WebSocket-Protocol: v0, v1\r\nSec-WebSocket-Protocol: v3,v2\r\n\r\n",
         "Sec-WebSocket-Protocol: v2\r\n", "v1"},
        {"GET / HTTP/1.1\r\n" REST KEY "Sec-WebSocket-Protocol: V1, v11\r\n\r\n", "HTTP/1.1 101",
         "Sec-WebSocket-Protocol"},
        {"GET / HTTP/1.1\r\n" REST KEY "Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Extensions: permessage-deflate; "
         "client_max_window_bits\r\n\r\n",
         "Sec-WebSocket-Extensions: permessage-deflate\r\n", "foo"},
    };
    struct server server = {.options = &options};
    SL_SCOPE(scope);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &server.listener), 0);
    CHECK_EQ(sl_spawn(&scope, serve, &server, .daemon = true), 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[TEXT_BYTES];
        CHECK_EQ(ask(&server, good[i].request, text), 0);
        CHECK(strncmp(text, "HTTP/1.1 101 ", 13) == 0);
        CHECK(strstr(text, good[i].line) != NULL);
        CHECK(strstr(text, good[i].none) == NULL);
        CHECK_EQ(server.code, 0);
    }
    sl_listener_close(server.listener);
    return sl_scope_wait(&scope);
}

C_TEST_REAL(ws_server_refuses, "requests that are not a proper handshake: 400, or 426 for another version",
            "RFC 6455 4.2.1, 4.4")
{
    static const struct sl_ws_options options = {.deflate = {.on = true}};
    static const struct {
        const char *request, *line;
    } bad[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\nContent-Length: 0\r\n" REST KEY "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.0\r\n" REST KEY "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" KEY "\r\n",
         "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" KEY "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" REST "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" REST "Sec-WebSocket-Key: short\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" REST "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=a\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" REST "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25!ZQ==\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" REST "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQaa\r\n\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\n" REST KEY KEY "\r\n", "HTTP/1.1 400"},
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY "\r\n", "HTTP/1.1 426"},
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" KEY
         "\r\n",
         "\r\nSec-WebSocket-Version: 13\r\n"},
        {"GET / HTTP/1.1\r\n" REST KEY "Sec-WebSocket-Extensions: permessage-deflate;\r\n\r\n", "HTTP/1.1 400"},
    };
    struct server server = {.options = &options};
    SL_SCOPE(scope);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &server.listener), 0);
    CHECK_EQ(sl_spawn(&scope, serve, &server, .daemon = true), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[TEXT_BYTES];
        server.code = 1;
        CHECK_EQ(ask(&server, bad[i].request, text), 0);
        CHECK(strstr(text, bad[i].line) != NULL);
        CHECK(strncmp(text, "HTTP/1.1 4", 10) == 0);
        CHECK_EQ(server.code, SL_EPROTO);
    }
    sl_listener_close(server.listener);
    return sl_scope_wait(&scope);
}

C_TEST_REAL(ws_both_shake_hands, "our client and our server agree on subprotocol and compression", "")
{
    static const struct sl_ws_options options = {.subprotocols = "v2, v1", .deflate = {.on = true}};
    struct server server = {.options = &options};
    SL_SCOPE(scope);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &server.listener), 0);
    CHECK_EQ(sl_spawn(&scope, serve, &server, .daemon = true), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "WS://localhost:%d", sl_listener_port(server.listener));
    sl_auto(sl_ws) *ws = NULL;
    CHECK_EQ(
        sl_ws_connect_with(&(struct sl_ws_options){.url = url, .subprotocols = "v1", .deflate = {.on = true}}, &ws), 0);
    CHECK_STRING(sl_ws_subprotocol(ws), "v1");
    CHECK(sl_ws_compresses(ws));
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_send(ws, SL_WS_TEXT, "back to me", 10), 0);
    CHECK_EQ(sl_ws_receive(ws, &message), 0);
    CHECK(message.size_bytes == 10 && memcmp(message.data, "back to me", 10) == 0);
    CHECK_EQ(sl_ws_close(ws, 1000, NULL), 0);
    CHECK(sl_stream_counts_get(sl_ws_stream(ws)).received_bytes > 0);
    sl_listener_close(server.listener);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(ws_client_request), cmocka_unit_test(ws_client_answers),
             cmocka_unit_test(ws_client_refuses), cmocka_unit_test(ws_client_arguments),
             cmocka_unit_test(ws_client_handshake_timeout), cmocka_unit_test(ws_server_answers),
             cmocka_unit_test(ws_server_refuses), cmocka_unit_test(ws_both_shake_hands))
