/* SPDX-License-Identifier: MIT */
/* HTTP and WebSocket over loopback: a server of ours, a client of ours, and bytes by hand. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"
#include "sluice/ws.h"

struct server {
    sl_listener *listener;
    int port;
    int requests;
    int ws_end; /* how the last WebSocket's receive ended */
    int close_code;
    bool cut; /* after the first message */
};

static int echo(struct server *server, sl_http_exchange *exchange)
{
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_accept(exchange, &ws));
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        if (server->cut) {
            sl_ws_cut(ws);
            ws = NULL;
            return 0;
        }
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    server->ws_end = code;
    server->close_code = sl_ws_close_code(ws);
    return 0;
}

static int handle(void *arg, sl_http_exchange *exchange)
{
    struct server *server = arg;
    server->requests++;
    const char *target = sl_http_target(exchange->request);
    if (strcmp(target, "/hello?x=1") == 0) {
        return sl_http_respond(exchange, 200, "text/plain", "hello", 5);
    }
    if (strcmp(target, "/agent") == 0) {
        const char *agent = sl_http_header(exchange->request, "user-AGENT");
        return sl_http_respond(exchange, 200, "text/plain", agent == NULL ? "" : agent,
                               agent == NULL ? 0 : strlen(agent));
    }
    return strcmp(target, "/echo") == 0 ? echo(server, exchange) : 0;
}

static int serve(void *arg)
{
    struct server *server = arg;
    return sl_http_serve(server->listener, handle, server);
}

static int start(sl_scope *scope, struct server *server)
{
    SL_TRY(sl_listener_open("127.0.0.1", 0, &server->listener));
    server->port = sl_listener_port(server->listener);
    return sl_spawn(scope, serve, server, .daemon = true);
}

static void stop(struct server *server)
{
    sl_listener_close(server->listener);
}

static int connect_to(const struct server *server, const char *target, sl_ws **ret_ws)
{
    char url[256];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%d%s", server->port, target);
    return sl_ws_connect(url, ret_ws);
}

C_TEST_REAL(ws_echo, "messages of all sizes come back; the close handshake ends both sides", "")
{
    struct server server = {0};
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &server), 0);
    sl_auto(sl_ws) *ws = NULL;
    CHECK_EQ(connect_to(&server, "/echo", &ws), 0);
    static const size_t sizes[] = {0, 1, 125, 126, 127, 4096, 65535, 65536, 300000};
    char *data = test_malloc(300000);
    for (size_t i = 0; i < 300000; i++) {
        data[i] = (char)('a' + i % 23);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_send(ws, i % 2 == 0 ? SL_WS_TEXT : SL_WS_BINARY, data, sizes[i]), 0);
        CHECK_EQ(sl_ws_receive(ws, &message), 0);
        CHECK_EQ(message.size_bytes, sizes[i]);
        CHECK_EQ(message.kind, i % 2 == 0 ? SL_WS_TEXT : SL_WS_BINARY);
        CHECK(memcmp(message.data, data, sizes[i]) == 0);
    }
    test_free(data);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_send_close(ws, 1000, "done"), 0);
    CHECK_EQ(sl_ws_send(ws, SL_WS_TEXT, "x", 1), SL_EPIPE);
    CHECK_EQ(sl_ws_receive(ws, &message), SL_EOF);
    CHECK_EQ(sl_ws_receive(ws, &message), SL_EOF);
    CHECK_EQ(sl_ws_close_code(ws), 1000);
    CHECK_EQ(server.ws_end, SL_EOF);
    CHECK_EQ(server.close_code, 1000);
    stop(&server);
    return sl_scope_wait(&scope);
}

C_TEST_REAL(ws_cut, "a cut connection is an error, not an end", "")
{
    struct server server = {.cut = true};
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &server), 0);
    sl_auto(sl_ws) *ws = NULL;
    CHECK_EQ(connect_to(&server, "/echo", &ws), 0);
    CHECK_EQ(sl_ws_send(ws, SL_WS_TEXT, "cut me", 6), 0);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(ws, &message), SL_ECONNRESET);
    sl_ws *none = NULL;
    CHECK_EQ(connect_to(&server, "/hello?x=1", &none), SL_EPROTO);
    stop(&server);
    return sl_scope_wait(&scope);
}

static const char handshake[] =
    "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* The handshake of RFC 6455, 1.3, frames by hand (mask 0), and the first bytes of what comes back. */
static int frames(struct server *server, const char *send, size_t send_bytes, const char *expected,
                  size_t expected_bytes)
{
    sl_auto(sl_stream) *stream = NULL;
    CHECK_EQ(sl_connect("127.0.0.1", server->port, &stream), 0);
    struct sl_bytes pieces[] = {{handshake, sizeof handshake - 1}, {send, send_bytes}};
    CHECK_EQ(sl_stream_write_pieces(stream, pieces, 2), 0);
    char answer[1024];
    size_t got = 0;
    char *body = NULL;
    while (body == NULL || (size_t)(answer + got - body) < expected_bytes) {
        size_t bytes = 0;
        CHECK_EQ(sl_stream_read(stream, answer + got, sizeof answer - 1 - got, &bytes), 0);
        got += bytes;
        answer[got] = '\0';
        body = strstr(answer, "\r\n\r\n");
        body = body == NULL ? NULL : body + 4;
    }
    CHECK(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != NULL);
    CHECK(memcmp(body, expected, expected_bytes) == 0);
    return 0;
}

#define FRAMES(send, expected) CHECK_EQ(frames(&server, send, sizeof(send) - 1, expected, sizeof(expected) - 1), 0)
#define MASK "\0\0\0\0"

C_TEST_REAL(ws_frames, "fragments, pings between them, and what breaks the protocol", "")
{
    struct server server = {0};
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &server), 0);
    FRAMES("\x81\x82" MASK "hi", "\x81\x02hi");
    FRAMES("\x01\x82" MASK "he\x89\x81" MASK "p\x80\x83" MASK "llo", "\x8a\x01p\x81\x05hello");
    FRAMES("\x88\x82" MASK "\x03\xe8", "\x88\x02\x03\xe8");
    FRAMES("\x88\x80" MASK, "\x88\x00");
    FRAMES("\x88\x81" MASK "\x03", "\x88");                 /* half a code */
    FRAMES("\x88\x82" MASK "\x03\xed", "\x88");             /* 1005 must not be sent */
    FRAMES("\x81\x02hi", "\x88");                           /* not masked */
    FRAMES("\xc1\x82" MASK "hi", "\x88");                   /* reserved bit */
    FRAMES("\x83\x80" MASK, "\x88");                        /* unknown opcode */
    FRAMES("\x80\x82" MASK "hi", "\x88");                   /* continues nothing */
    FRAMES("\x01\x82" MASK "hi\x81\x82" MASK "hi", "\x88"); /* begins within a message */
    FRAMES("\x09\x80" MASK, "\x88");                        /* fragmented ping */
    FRAMES("\x81\x82" MASK "\xc3\x28", "\x88");             /* not UTF-8 */
    stop(&server);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(ws_echo), cmocka_unit_test(ws_cut), cmocka_unit_test(ws_frames))
