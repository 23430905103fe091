/* SPDX-License-Identifier: MIT */
/* The HTTP client against a server that sends what it is told, byte by byte; limits of the server. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"

/* Answers the first request with the given bytes, `step` at a time, and hangs up unless it is to stay. */
struct script {
    sl_listener *listener;
    const char *answer;
    size_t answer_bytes, step;
    bool stay;
};

static int answer(void *arg)
{
    const struct script *script = arg;
    sl_auto(sl_stream) *stream = NULL;
    char request[1024];
    size_t bytes = 0;
    SL_TRY(sl_listener_accept(script->listener, &stream));
    SL_TRY(sl_stream_read(stream, request, sizeof request, &bytes));
    for (size_t at = 0; at < script->answer_bytes; at += script->step) {
        size_t left = script->answer_bytes - at;
        SL_TRY(sl_stream_write(stream, script->answer + at, left < script->step ? left : script->step));
        SL_TRY(sl_checkpoint());
    }
    return script->stay ? sl_sleep(SL_SECONDS(60)) : sl_stream_shutdown(stream);
}

static int fetch(sl_http_client *client, int port, sl_response **ret_response)
{
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    return sl_fetch(client, &(sl_request){.url = url}, ret_response);
}

static int get_bytes(sl_http_client *client, struct script *script, sl_response **ret_response)
{
    SL_TRY(sl_listener_open("127.0.0.1", 0, &script->listener));
    int code;
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, answer, script, .daemon = true), 0);
        code = fetch(client, sl_listener_port(script->listener), ret_response);
    }
    sl_listener_close(script->listener);
    return code;
}

static int get(sl_http_client *client, const char *text, size_t step, sl_response **ret_response)
{
    return get_bytes(client, &(struct script){.answer = text, .answer_bytes = strlen(text), .step = step},
                     ret_response);
}

#define CHECK_GET(text, step, wanted_status, wanted_body)                                                              \
    do {                                                                                                               \
        sl_auto(sl_response) *response = NULL;                                                                         \
        CHECK_EQ(get(client, text, step, &response), 0);                                                               \
        CHECK_EQ(sl_response_status(response), wanted_status);                                                         \
        CHECK_STRING(sl_response_body(response, NULL), wanted_body);                                                   \
    } while (0)

#define CHECK_FAILS(text, wanted_code)                                                                                 \
    do {                                                                                                               \
        sl_response *response = NULL;                                                                                  \
        CHECK_EQ(get(client, text, 1000, &response), wanted_code);                                                     \
        CHECK(response == NULL);                                                                                       \
    } while (0)

C_TEST_REAL_FEW(http_bodies_of_all_kinds, "by length, chunked, until the end; cut anywhere by the network", "")
{
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    static const char by_length[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "3;note=x\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: y\r\n\r\n";
    static const char until_end[] = "HTTP/1.1 429 Slow down\r\nRetry-After: 3\r\n\r\nhello";
    for (size_t step = 1; step < 60; step = step * 2 + 1) {
        CHECK_GET(by_length, step, 200, "hello");
        CHECK_GET(chunked, step, 200, "hello");
        CHECK_GET(until_end, step, 429, "hello");
    }
    CHECK_GET("HTTP/1.1 204 No Content\r\n\r\n", 5, 204, "");
    CHECK_GET("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 7, 200, "ok");
    sl_auto(sl_response) *response = NULL;
    CHECK_EQ(get(client, "HTTP/1.1 200 OK\r\nX-One:\r\nx-two:  spaced  \r\nX-Two: again\r\nContent-Length: 0\r\n\r\n",
                 1, &response),
             0);
    CHECK_STRING(sl_response_header(response, "x-one"), "");
    size_t named = 0;
    for (size_t at = 0; at < sl_response_header_count(response); at++) {
        struct sl_http_field field = sl_response_header_at(response, at);
        named += strcasecmp(field.name, "x-one") == 0 || strcasecmp(field.name, "x-two") == 0;
    }
    CHECK_EQ(named, 3);
    CHECK_STRING(sl_response_header(response, "X-TWO"), "spaced");
    return 0;
}

C_TEST_REAL_FEW(http_broken_answers, "cut off, no HTTP, contradictory, over a limit: each its error, none hangs", "")
{
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    CHECK_FAILS("", SL_ECONNRESET);
    CHECK_FAILS("HTTP/1.1 200", SL_ECONNRESET);
    CHECK_FAILS("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", SL_ECONNRESET);
    CHECK_FAILS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", SL_ECONNRESET);
    CHECK_FAILS("SSH-2.0-OpenSSH\r\n\r\n", SL_EPROTO);
    CHECK_FAILS("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", SL_EPROTO);
    CHECK_FAILS("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", SL_EPROTO);
    CHECK_FAILS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", SL_EPROTO);
    char head[SL_HTTP_HEADERS_MAX * 6 + 64];
    size_t length = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i <= SL_HTTP_HEADERS_MAX; i++) {
        length += (size_t)snprintf(head + length, sizeof head - length, "A: b\r\n");
    }
    CHECK_FAILS(head, SL_EMSGSIZE);
    return 0;
}

C_TEST_REAL_FEW(fetch_is_bounded_by_the_scope, "a server that says nothing, or never ends, costs the scope's time", "")
{
    static const char *const answers[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"};
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_http_client) *client = NULL;
        sl_response *response = NULL;
        CHECK_EQ(sl_http_client_open(NULL, &client), 0);
        struct script script = {.answer = answers[i], .answer_bytes = strlen(answers[i]), .step = 1000, .stay = true};
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(20));
        int code = get_bytes(client, &script, &response);
        CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
        CHECK(response == NULL);
    }
    return 0;
}

#define CHUNK_BYTES 65536

/* A chunked body that never ends. */
static int flood(void *arg)
{
    sl_auto(sl_stream) *stream = NULL;
    char *chunk = test_calloc(1, CHUNK_BYTES + 16);
    int length = snprintf(chunk, 16, "%x\r\n", CHUNK_BYTES);
    memset(chunk + length, 'x', CHUNK_BYTES);
    memcpy(chunk + length + CHUNK_BYTES, "\r\n", 2);
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    int code = sl_listener_accept(arg, &stream);
    code = code == 0 ? sl_stream_write(stream, head, sizeof head - 1) : code;
    while (code == 0) {
        code = sl_stream_write(stream, chunk, (size_t)length + CHUNK_BYTES + 2);
    }
    test_free(chunk);
    return code == SL_ECANCELED ? code : 0;
}

C_TEST_REAL_FEW(http_endless_body, "a body without a stated length stops at the limit", "")
{
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_http_client) *client = NULL;
    sl_response *response = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, flood, listener, .daemon = true), 0);
    CHECK_EQ(fetch(client, sl_listener_port(listener), &response), SL_EMSGSIZE);
    return sl_scope_wait(&scope);
}

/* ---- the server's limit of connections ---- */

static int say_ok(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, "text/plain", "ok", 2);
}

#define CONNECTIONS_MAX 16

static int serve(void *arg)
{
    return sl_http_serve_with(arg,
                              &(struct sl_http_server_options){.handler = say_ok, .connections_max = CONNECTIONS_MAX});
}

/* 1 when a request on the connection is answered, 0 when the server has hung up. */
static int is_served(sl_stream *stream)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    char text[256];
    size_t bytes = 0;
    int code = sl_stream_write(stream, request, sizeof request - 1);
    code = code == 0 ? sl_stream_read(stream, text, sizeof text, &bytes) : code;
    return code == 0 ? 1 : code == SL_EOF || code == SL_ECONNRESET || code == SL_EPIPE ? 0 : code;
}

C_TEST_REAL_FEW(http_server_limits_connections,
                "connections over the limit are closed; when one ends, one more is served", "")
{
    sl_auto(sl_listener) *listener = NULL;
    sl_stream **streams = test_calloc(CONNECTIONS_MAX, sizeof *streams);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    int port = sl_listener_port(listener);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve, listener, .daemon = true), 0);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        CHECK_EQ(sl_connect("127.0.0.1", port, &streams[i]), 0);
        CHECK_EQ(is_served(streams[i]), 1);
    }
    sl_stream *extra = NULL;
    CHECK_EQ(sl_connect("127.0.0.1", port, &extra), 0);
    CHECK_EQ(is_served(extra), 0);
    sl_stream_close(extra);
    CHECK_EQ(is_served(streams[0]), 1); /* the others are not harmed */
    sl_stream_close(streams[0]);
    for (int served = 0; served == 0;) { /* the server needs a moment to see it */
        CHECK_EQ(sl_connect("127.0.0.1", port, &streams[0]), 0);
        served = is_served(streams[0]);
        CHECK(served >= 0);
        if (served == 0) {
            sl_stream_close(streams[0]);
        }
    }
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        sl_stream_close(streams[i]);
    }
    test_free(streams);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(http_bodies_of_all_kinds), cmocka_unit_test(http_broken_answers),
             cmocka_unit_test(fetch_is_bounded_by_the_scope), cmocka_unit_test(http_endless_body),
             cmocka_unit_test(http_server_limits_connections))
