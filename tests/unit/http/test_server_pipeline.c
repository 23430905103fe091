/* SPDX-License-Identifier: MIT */
/* Pipelined requests: an answer does not wait for the handler of the next request. Bodies that are encoded. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/http.h"
#include "sluice/simulation.h"
#include "sluice/sync.h"
#include "tls_pair.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define PORT 80

struct world {
    sl_listener *listener;
    sl_tls_config *tls;
    sl_event begun, release;
};

static int hello(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, NULL, "hello", 5);
}

static int hang(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    sl_event_set(&world->begun);
    SL_TRY(sl_event_wait(&world->release));
    return sl_http_respond(exchange, 200, NULL, "late", 4);
}

/* Begins its answer before it waits: what it has gathered may go out, or not, but in order. */
static int half(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200, .body_bytes = 8}));
    SL_TRY(sl_http_write(exchange, "half", 4));
    sl_event_set(&world->begun);
    SL_TRY(sl_event_wait(&world->release));
    return sl_http_write(exchange, "done", 4);
}

/* In chunks; more than was said cannot be written. */
static int pieces(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200}));
    SL_TRY(sl_http_write(exchange, "piece", 5));
    return sl_http_end(exchange);
}

static int too_much(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200, .body_bytes = 5}));
    SL_TRY(sl_http_write(exchange, "four", 4));
    EXPECT(sl_http_write(exchange, "24", 2) == SL_EMISUSE);
    return sl_http_write(exchange, "5", 1);
}

static int count_body(void *arg, sl_http_exchange *exchange)
{
    size_t bytes = 0;
    char text[32];
    (void)arg;
    (void)sl_http_body(exchange->request, &bytes);
    int length = snprintf(text, sizeof text, "%zu bytes", bytes);
    return sl_http_respond(exchange, 200, NULL, text, (size_t)length);
}

static int serve(void *arg)
{
    struct world *world = arg;
    const struct sl_http_route routes[] = {
        {.method = "GET", .pattern = "/", .handler = hello},
        {.method = "GET", .pattern = "/hang", .handler = hang, .arg = world},
        {.method = "GET", .pattern = "/half", .handler = half, .arg = world},
        {.method = "GET", .pattern = "/pieces", .handler = pieces},
        {.method = "GET", .pattern = "/too-much", .handler = too_much},
        {.method = "POST", .pattern = "/unread", .handler = pieces, .stream_body = true},
        {.method = "POST", .pattern = "/plain", .handler = count_body},
        {.method = "POST", .pattern = "/encoded", .handler = count_body, .encoded_body = true}};
    return sl_http_serve_with(world->listener,
                              &(struct sl_http_server_options){.routes = routes,
                                                               .route_count = sizeof routes / sizeof routes[0],
                                                               .handler = count_body,
                                                               .idle_timeout = SL_SECONDS(10000),
                                                               .tls = world->tls});
}

static int build_world(sl_scope *scope, struct world *world, size_t buffer_bytes, size_t chunk_bytes)
{
    const struct sl_link_options link = {
        .latency = SL_MILLISECONDS(1), .buffer_bytes = buffer_bytes, .chunk_bytes = chunk_bytes};
    sl_event_init(&world->begun);
    sl_event_init(&world->release);
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_host("server.test", NULL));
    SL_TRY(sl_network_link(NULL, NULL, &link));
    SL_TRY(sl_network_enter("server.test"));
    SL_TRY(sl_listener_open("0.0.0.0", PORT, &world->listener));
    SL_TRY(sl_spawn(scope, serve, world, .daemon = true));
    return sl_network_enter(SL_NETWORK_HOME);
}

static int dial(const struct world *world, sl_tls_config *tls, sl_stream **ret_stream)
{
    return sl_connect_with(
        &(struct sl_connect_options){.address = "server.test", .port = PORT, .tls = world->tls == NULL ? NULL : tls},
        ret_stream);
}

/* The bodies of `count` answers, in order, as one text. */
static int read_bodies(sl_stream *stream, int count, char *text, size_t room)
{
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        struct sl_view view = {NULL, 0};
        const char *end = NULL;
        while (end == NULL) {
            SL_TRY(sl_stream_peek(stream, view.size_bytes + 1, &view));
            end = memmem(view.data, view.size_bytes, "\r\n\r\n", 4);
        }
        CHECK(view.size_bytes > 12 && memcmp(view.data, "HTTP/1.1 200", 12) == 0);
        const char *stated = memmem(view.data, view.size_bytes, "Content-Length: ", 16);
        CHECK(stated != NULL && stated < end);
        size_t bytes = (size_t)(stated[16] - '0');
        sl_stream_consume(stream, (size_t)(end + 4 - view.data));
        SL_TRY(sl_stream_peek(stream, bytes, &view));
        CHECK(length + bytes + 2 < room);
        memcpy(text + length, view.data, bytes);
        text[length + bytes] = ' ';
        length += bytes + 1;
        sl_stream_consume(stream, bytes);
    }
    text[length] = '\0';
    return 0;
}

#define FIRST 6 /* requests before the slow one */

static int answers_come(bool tls, size_t buffer_bytes, size_t chunk_bytes, const char *slow)
{
    struct world world = {.tls = NULL};
    struct sl_tls_options of_server = tls_server_options(TLS_SERVER);
    struct sl_tls_options of_client = tls_client_options();
    sl_auto(sl_tls_config) *server = NULL;
    sl_auto(sl_tls_config) *client = NULL;
    sl_auto(sl_stream) *stream = NULL;
    char requests[512];
    char bodies[128];
    CHECK_EQ(sl_tls_config_open(&of_server, &server), 0);
    CHECK_EQ(sl_tls_config_open(&of_client, &client), 0);
    world.tls = tls ? server : NULL;
    SL_SCOPE(scope);
    CHECK_EQ(build_world(&scope, &world, buffer_bytes, chunk_bytes), 0);
    CHECK_EQ(dial(&world, client, &stream), 0);
    (void)snprintf(requests, sizeof requests, "%s%s%s%s%s%s%s%s", GET("/"), GET("/"), GET("/"), GET("/"), GET("/"),
                   GET("/"), slow, GET("/"));
    CHECK_EQ(sl_stream_write(stream, requests, strlen(requests)), 0);
    if (buffer_bytes == 0) {
        SL_SCOPE(limit, .timeout = SL_SECONDS(5));
        CHECK_EQ(read_bodies(stream, FIRST, bodies, sizeof bodies), 0);
        CHECK_EQ(sl_scope_close(&limit, 0), 0);
        CHECK_STRING(bodies, "hello hello hello hello hello hello ");
    }
    CHECK_EQ(sl_event_wait(&world.begun), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    sl_event_set(&world.release);
    CHECK_EQ(read_bodies(stream, buffer_bytes == 0 ? 2 : FIRST + 2, bodies, sizeof bodies), 0);
    const char *wanted = strstr(slow, "hang") != NULL ? "hello hello hello hello hello hello late hello "
                                                      : "hello hello hello hello hello hello halfdone hello ";
    CHECK_STRING(bodies, buffer_bytes == 0 ? wanted + strlen("hello hello hello hello hello hello ") : wanted);
    sl_stream_close(stream);
    stream = NULL;
    int code = sl_scope_close(&scope, 0);
    sl_listener_close(world.listener);
    return code;
}

C_TEST_SIMULATED(answers_do_not_wait, "answers that were gathered are sent when the next handler waits", "")
{
    return answers_come(false, 0, 0, GET("/hang"));
}

C_TEST_SIMULATED(answers_do_not_wait_over_tls, "also over TLS", "")
{
    return answers_come(true, 0, 0, GET("/hang"));
}

C_TEST_SIMULATED(answers_in_parts, "as far as the client takes them at once; the rest follows in order", "")
{
    return answers_come(false, 300, 0, GET("/hang"));
}

C_TEST_SIMULATED(answers_in_parts_over_tls, "a record that was half sent is gone on with", "")
{
    return answers_come(true, 300, 7, GET("/hang"));
}

C_TEST_SIMULATED(half_an_answer, "the beginning of the answer that waits may go along, in order", "")
{
    CHECK_EQ(answers_come(false, 0, 0, GET("/half")), 0);
    return 0;
}

C_TEST_SIMULATED(half_an_answer_over_tls, "also over TLS", "")
{
    return answers_come(true, 300, 0, GET("/half"));
}

/* ---- slow clients on a kept connection ---- */

/* A second request of which a byte comes each second: how it is answered, and after how long. */
static int trickle(const struct world *world, const char *begin, char *text, size_t room, sl_time *ret_took)
{
    sl_auto(sl_stream) *stream = NULL;
    size_t length = 0;
    size_t bytes = 0;
    int code = 0;
    CHECK_EQ(dial(world, NULL, &stream), 0);
    CHECK_EQ(sl_stream_write(stream, GET("/"), strlen(GET("/"))), 0);
    CHECK_EQ(read_bodies(stream, 1, text, room), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(100)), 0);
    CHECK_EQ(sl_stream_write(stream, begin, strlen(begin)), 0);
    sl_time since = sl_now();
    while (sl_stream_check(stream) == 0 && sl_stream_buffered(stream).size_bytes == 0) {
        CHECK_EQ(sl_stream_write(stream, "a", 1), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    }
    *ret_took = sl_now() - since;
    while ((code = sl_stream_read(stream, text + length, room - 1 - length, &bytes)) == 0) {
        length += bytes;
    }
    text[length] = '\0';
    return code == SL_EOF ? 0 : code;
}

C_TEST_SIMULATED(slow_requests, "a head or body that never stands still has its time, too, whatever was before", "")
{
    static const char *const begins[] = {"GET / HTTP/1.1\r\nHost: x\r\nA: ",
                                         "POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"};
    struct world world = {.tls = NULL};
    SL_SCOPE(scope);
    CHECK_EQ(build_world(&scope, &world, 0, 0), 0);
    for (int i = 0; i < 2; i++) {
        char text[1024];
        sl_time took = 0;
        CHECK_EQ(trickle(&world, begins[i], text, sizeof text, &took), 0);
        CHECK(strncmp(text, "HTTP/1.1 408", 12) == 0);
        CHECK(took >= SL_SECONDS(10) && took <= SL_SECONDS(12));
    }
    int code = sl_scope_close(&scope, 0);
    sl_listener_close(world.listener);
    return code;
}

/* ---- encoded bodies ---- */

static int answer_to(const struct world *world, const char *request, char *text, size_t room)
{
    sl_auto(sl_stream) *stream = NULL;
    size_t length = 0;
    size_t bytes = 0;
    int code;
    SL_TRY(dial(world, NULL, &stream));
    SL_TRY(sl_stream_write(stream, request, strlen(request)));
    SL_TRY(sl_stream_shutdown(stream));
    while ((code = sl_stream_read(stream, text + length, room - 1 - length, &bytes)) == 0) {
        length += bytes;
    }
    text[length] = '\0';
    return code == SL_EOF ? 0 : code;
}

C_TEST_SIMULATED(answers_in_a_row, "an answer has no byte more than its head says, so that the next one is seen", "")
{
    static const char requests[] = "HEAD /pieces HTTP/1.1\r\nHost: x\r\n\r\nHEAD /too-much HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /too-much HTTP/1.1\r\nHost: x\r\n\r\nGET /pieces HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char *const behind[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n", "four5HTTP/1.1 200 OK\r\n",
                                         "5\r\npiece\r\n0\r\n\r\n"};
    struct world world = {.tls = NULL};
    char text[2048];
    SL_SCOPE(scope);
    CHECK_EQ(build_world(&scope, &world, 0, 0), 0);
    CHECK_EQ(answer_to(&world, requests, text, sizeof text), 0);
    const char *at = text;
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        at = strstr(at, "\r\n\r\n");
        CHECK(at != NULL && strncmp(at + 4, behind[i], strlen(behind[i])) == 0);
        at += 4;
    }
    CHECK_STRING(at, behind[3]);
    int code = sl_scope_close(&scope, 0);
    sl_listener_close(world.listener);
    return code;
}

C_TEST_SIMULATED(unread_bodies, "a body that comes after the answer is not taken for the next request", "")
{
    struct world world = {.tls = NULL};
    char text[1024];
    size_t length = 0, bytes = 0;
    SL_SCOPE(scope);
    CHECK_EQ(build_world(&scope, &world, 0, 0), 0);
    sl_auto(sl_stream) *stream = NULL;
    CHECK_EQ(dial(&world, NULL, &stream), 0);
    (void)snprintf(text, sizeof text, "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                   strlen(GET("/")));
    CHECK_EQ(sl_stream_write(stream, text, strlen(text)), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(sl_stream_write(stream, GET("/"), strlen(GET("/"))), 0);
    CHECK_EQ(sl_stream_shutdown(stream), 0);
    while (sl_stream_read(stream, text + length, sizeof text - 1 - length, &bytes) == 0) {
        length += bytes;
    }
    text[length] = '\0';
    CHECK(strstr(text, "piece") != NULL && strstr(text, "hello") == NULL);
    int code = sl_scope_close(&scope, 0);
    sl_listener_close(world.listener);
    return code;
}

C_TEST_SIMULATED(encoded_bodies, "a body with a Content-Encoding is 415, unless the route takes such bodies",
                 "RFC 9110 15.5.16")
{
    static const struct {
        const char *request;
        const char *status, *body;
    } cases[] = {
        {"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "415", NULL},
        {"POST /other HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "415", NULL},
        {"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity\r\nCONTENT-ENCODING:  br \r\n"
         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         "415", NULL},
        {"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity, gzip\r\nContent-Length: 3\r\n\r\nabc", "415",
         NULL},
        {"POST /plain HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\n",
         "415", NULL},
        {"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Encoding: Identity\r\nContent-Length: 3\r\n\r\nabc", "200",
         "3 bytes"},
        {"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Encoding:\r\nContent-Length: 3\r\n\r\nabc", "200", "3 bytes"},
        {"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", "200", "0 bytes"},
        {"POST /encoded HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "200",
         "3 bytes"},
    };
    struct world world = {.tls = NULL};
    SL_SCOPE(scope);
    CHECK_EQ(build_world(&scope, &world, 0, 0), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        CHECK_EQ(answer_to(&world, cases[i].request, text, sizeof text), 0);
        CHECK(strncmp(text + 9, cases[i].status, 3) == 0);
        CHECK(cases[i].body == NULL
                  ? strstr(text, "\r\nAccept-Encoding: identity\r\n") != NULL &&
                        strstr(text, "\r\nConnection: close\r\n") != NULL && strstr(text, "100 Continue") == NULL
                  : strstr(text, cases[i].body) != NULL);
    }
    int code = sl_scope_close(&scope, 0);
    sl_listener_close(world.listener);
    return code;
}

SL_TEST_MAIN(cmocka_unit_test(answers_do_not_wait), cmocka_unit_test(answers_do_not_wait_over_tls),
             cmocka_unit_test(answers_in_parts), cmocka_unit_test(answers_in_parts_over_tls),
             cmocka_unit_test(half_an_answer), cmocka_unit_test(half_an_answer_over_tls),
             cmocka_unit_test(slow_requests), cmocka_unit_test(answers_in_a_row), cmocka_unit_test(unread_bodies),
             cmocka_unit_test(encoded_bodies))
