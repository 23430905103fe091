/* SPDX-License-Identifier: MIT */
/* The server's behaviour in time: slow clients, stopping, streams of events, back-pressure, faults at every wait. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/sync.h"
#include "tls_pair.h"

#define HELLO "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

struct world {
    sl_listener *listener;
    struct sl_http_counts counts;
    sl_event begun, release;
    int events_code; /* how the stream of events ended */
    size_t written;
    struct sl_http_server_options options;
};

/* ---- handlers ---- */

static int hello(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, "text/plain", "hello", 5);
}

static int hang(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    sl_event_set(&world->begun);
    SL_TRY(sl_event_wait(&world->release));
    return sl_http_respond(exchange, 200, "text/plain", "late", 4);
}

static int events(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    struct sl_http_event event = {
        .event = "tick", .id = "7", .data = "one\ntwo", .data_bytes = 7, .retry = SL_SECONDS(3)};
    SL_TRY(sl_http_events_begin(exchange));
    SL_TRY(sl_http_events_send(exchange, &event));
    SL_TRY(sl_http_events_comment(exchange, "still here"));
    event.id = "8\nid: 9";
    CHECK_EQ(sl_http_events_send(exchange, &event), SL_EINVAL);
    sl_event_set(&world->begun);
    world->events_code = sl_event_wait(&world->release);
    return world->events_code;
}

/* Fails in the middle of its answer, which has no stated length. */
static int break_off(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200}));
    SL_TRY(sl_http_write(exchange, "half", 4));
    SL_TRY(sl_http_flush(exchange));
    return sl_fail(SL_EINVAL, "this handler breaks off");
}

#define WATCHED "POST /watched HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"

/* Sends the body back once the client has sent as much again, which is read ahead of its time. */
static int watched(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    size_t bytes = 0;
    SL_TRY(sl_http_watch(exchange));
    sl_event_set(&world->begun);
    while (sl_stream_counts_get(exchange->stream).received_bytes < 2 * (sizeof WATCHED - 1)) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    const char *body = sl_http_body(exchange->request, &bytes);
    return sl_http_respond(exchange, 200, "text/plain", body, bytes);
}

/* Sends for ever: only a client that reads keeps it going. */
static int flood(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    static const char data[32 * 1024];
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200}));
    for (;;) {
        SL_TRY(sl_http_write(exchange, data, sizeof data));
        world->written += sizeof data;
    }
}

/* ---- the world ---- */

static int serve(void *arg)
{
    struct world *world = arg;
    const struct sl_http_route routes[] = {{.method = "GET", .pattern = "/", .handler = hello},
                                           {.method = "POST", .pattern = "/", .handler = hello},
                                           {.method = "GET", .pattern = "/hang", .handler = hang, .arg = world},
                                           {.method = "POST", .pattern = "/watched", .handler = watched, .arg = world},
                                           {.method = "GET", .pattern = "/events", .handler = events, .arg = world},
                                           {.method = "GET", .pattern = "/broken", .handler = break_off},
                                           {.method = "GET", .pattern = "/flood", .handler = flood, .arg = world}};
    struct sl_http_server_options options = world->options;
    options.routes = routes;
    options.route_count = sizeof routes / sizeof routes[0];
    options.counts = &world->counts;
    return sl_http_serve_with(world->listener, &options);
}

static int start(sl_scope *scope, struct world *world, sl_task_ref *ret_task)
{
    sl_event_init(&world->begun);
    sl_event_init(&world->release);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &world->listener), 0);
    return sl_spawn(scope, serve, world, .name = "server", .ret_task = ret_task);
}

static int stop(sl_scope *scope, struct world *world, sl_task_ref task)
{
    CHECK_EQ(sl_task_stop(task), 0);
    CHECK_EQ(sl_scope_wait(scope), 0);
    CHECK_EQ(world->counts.open, 0);
    sl_listener_close(world->listener);
    return 0;
}

static int dial(const struct world *world, const char *text, sl_stream **ret_stream)
{
    SL_TRY(sl_connect("127.0.0.1", sl_listener_port(world->listener), ret_stream));
    return sl_stream_write(*ret_stream, text, strlen(text));
}

/* Reads until the text is there, or the end. */
static int read_until(sl_stream *stream, const char *wanted, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    while (wanted == NULL || strstr(text, wanted) == NULL) {
        size_t bytes = 0;
        SL_TRY(sl_stream_read(stream, text + length, room - 1 - length, &bytes));
        length += bytes;
        text[length] = '\0';
    }
    return 0;
}

#define CHECK_READS(stream, wanted)                                                                                    \
    do {                                                                                                               \
        char sl__text[2048];                                                                                           \
        CHECK_EQ(read_until(stream, wanted, sl__text, sizeof sl__text), 0);                                            \
    } while (0)

/* ---- slow clients ---- */

C_TEST_REAL_FEW(server_slow_clients, "silence, a slow head and a slow body end by their time; others are not delayed",
                "")
{
    struct world world = {.options = {.head_timeout = SL_MILLISECONDS(60),
                                      .idle_timeout = SL_MILLISECONDS(60),
                                      .body_grace = SL_MILLISECONDS(60),
                                      .body_rate = 1000000}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    static const char *const slow[] = {"GET / HTTP/1.1\r\nHost: x\r\nA: ",
                                       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"};
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_stream) *stream = NULL;
        char text[1024];
        CHECK_EQ(dial(&world, slow[i], &stream), 0);
        CHECK_EQ(read_until(stream, NULL, text, sizeof text), SL_EOF);
        CHECK(strncmp(text, "HTTP/1.1 408 ", 13) == 0 && strstr(text, "Connection: close") != NULL);
    }
    static const char *const idle[] = {"", HELLO, "\r\n"};
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_stream) *stream = NULL;
        char text[1024];
        CHECK_EQ(dial(&world, idle[i], &stream), 0);
        CHECK_EQ(read_until(stream, NULL, text, sizeof text), SL_EOF);
        CHECK(strstr(text, "408") == NULL);
    }
    CHECK_EQ(world.counts.timeouts, 2);
    return stop(&scope, &world, task);
}

C_TEST_REAL_FEW(server_waits_for_ever, "times that are SL_NEVER do not run over", "")
{
    struct world world = {.options = {.head_timeout = SL_NEVER,
                                      .idle_timeout = SL_NEVER,
                                      .body_grace = SL_NEVER,
                                      .write_timeout = SL_NEVER,
                                      .stop_grace = SL_NEVER}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *stream = NULL;
    CHECK_EQ(dial(&world, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &stream),
             0);
    CHECK_READS(stream, "100 Continue\r\n\r\n"); /* asks for the body, and waits for it */
    CHECK_EQ(sl_stream_write(stream, "he", 2), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    CHECK_EQ(sl_stream_write(stream, "llo", 3), 0);
    CHECK_READS(stream, "hello");
    return stop(&scope, &world, task);
}

#define SLOW_CLIENTS 300

static int trickle(void *arg)
{
    const struct world *world = arg;
    sl_auto(sl_stream) *stream = NULL;
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    SL_TRY(sl_connect("127.0.0.1", sl_listener_port(world->listener), &stream));
    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (sl_stream_write(stream, text + i, 1) < 0) {
            return 0;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(20)));
    }
    return 0;
}

C_TEST_REAL_FEW(server_many_slow_clients, "300 clients of a byte each 20 ms are closed in time, and delay nobody", "")
{
    struct world world = {.options = {.head_timeout = SL_MILLISECONDS(500)}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    {
        SL_SCOPE(clients);
        for (int i = 0; i < SLOW_CLIENTS; i++) {
            CHECK_EQ(sl_spawn(&clients, trickle, &world, .name = "slow"), 0);
        }
        while (world.counts.open + world.counts.timeouts < SLOW_CLIENTS) { /* on a slow machine the first go early */
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        }
        sl_auto(sl_stream) *stream = NULL;
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(400)); /* alone; sanitized and shared machines are slow */
        CHECK_EQ(dial(&world, HELLO, &stream), 0);
        CHECK_READS(stream, "hello");
        CHECK_EQ(sl_scope_close(&limit, 0), 0);
        CHECK_EQ(sl_scope_wait(&clients), 0);
    }
    CHECK_EQ(world.counts.timeouts, SLOW_CLIENTS);
    return stop(&scope, &world, task);
}

C_TEST_REAL_FEW(server_slow_reader, "a client that does not read stops its handler, and costs the write's time", "")
{
    struct world world = {.options = {.write_timeout = SL_MILLISECONDS(100), .body_rate = (size_t)1 << 30}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *stream = NULL;
    CHECK_EQ(dial(&world, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n", &stream), 0);
    while (world.counts.timeouts == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    CHECK(world.written < (size_t)32 * 1024 * 1024); /* the system's buffers, no more */
    return stop(&scope, &world, task);
}

/* ---- stopping ---- */

C_TEST_REAL_FEW(server_stops_in_order, "idle connections close at once, a running request is finished, then the end",
                "")
{
    struct world world = {.options = {.stop_grace = SL_SECONDS(20)}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *idle = NULL;
    sl_auto(sl_stream) *busy = NULL;
    char text[1024];
    CHECK_EQ(dial(&world, HELLO, &idle), 0);
    CHECK_READS(idle, "hello");
    CHECK_EQ(dial(&world, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n", &busy), 0);
    CHECK_EQ(sl_event_wait(&world.begun), 0);
    CHECK_EQ(sl_task_stop(task), 0);
    CHECK_EQ(read_until(idle, NULL, text, sizeof text), SL_EOF);
    sl_event_set(&world.release);
    CHECK_EQ(read_until(busy, NULL, text, sizeof text), SL_EOF);
    CHECK(strstr(text, "Connection: close") != NULL && strstr(text, "late") != NULL);
    sl_stream_close(busy);
    busy = NULL;
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(world.counts.open, 0);
    sl_listener_close(world.listener);
    return 0;
}

C_TEST_REAL_FEW(server_grace_ends, "a handler that does not end is cancelled when the grace is over", "")
{
    struct world world = {.options = {.stop_grace = SL_MILLISECONDS(20)}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *busy = NULL;
    CHECK_EQ(dial(&world, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n", &busy), 0);
    CHECK_EQ(sl_event_wait(&world.begun), 0);
    return stop(&scope, &world, task);
}

/* ---- events ---- */

C_TEST_REAL_FEW(server_events, "events as the standard writes them; a client that leaves ends their handler", "")
{
    struct world world = {.events_code = 1};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *stream = NULL;
    CHECK_EQ(dial(&world, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n", &stream), 0);
    char text[2048];
    CHECK_EQ(read_until(stream, "still here", text, sizeof text), 0);
    CHECK(strstr(text, "Content-Type: text/event-stream\r\n") != NULL);
    CHECK_EQ(sl_event_wait(&world.begun), 0);
    CHECK_EQ(world.events_code, 1);
    sl_stream_close(stream);
    stream = NULL;
    while (world.counts.open > 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(world.events_code, SL_ECANCELED);
    CHECK_EQ(world.counts.handler_errors, 0);
    return stop(&scope, &world, task);
}

C_TEST_REAL_FEW(server_watches_behind_a_body, "what a watched client sends on does not overwrite its request's body",
                "")
{
    struct world world = {.events_code = 0};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *stream = NULL;
    CHECK_EQ(dial(&world, WATCHED, &stream), 0);
    CHECK_EQ(sl_event_wait(&world.begun), 0);
    char more[sizeof WATCHED - 1];
    memset(more, 'x', sizeof more);
    CHECK_EQ(sl_stream_write(stream, more, sizeof more), 0);
    CHECK_READS(stream, "\r\n\r\nhello");
    sl_stream_close(stream); /* the server waits for that for a while */
    stream = NULL;
    return stop(&scope, &world, task);
}

C_TEST_REAL_FEW(server_breaks_off, "an answer that was cut short does not end like a whole one", "RFC 9112 8")
{
    static const char *const requests[] = {"GET /broken HTTP/1.0\r\nHost: x\r\n\r\n",
                                           "GET /broken HTTP/1.1\r\nHost: x\r\n\r\n"};
    struct world world = {.events_code = 0};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_stream) *stream = NULL;
        char text[1024];
        CHECK_EQ(dial(&world, requests[i], &stream), 0);
        int code = read_until(stream, NULL, text, sizeof text);
        CHECK(code == SL_ECONNRESET || (i == 1 && code == SL_EOF && strstr(text, "0\r\n\r\n") == NULL));
    }
    CHECK_EQ(world.counts.handler_errors, 2);
    return stop(&scope, &world, task);
}

/* ---- limits of the system, TLS ---- */

#define EARLY_CLIENTS 5

C_TEST_REAL_FEW(server_without_descriptors, "no free descriptor: accepting pauses instead of spinning, then goes on",
                "")
{
    struct world world = {.events_code = 0};
    sl_stream *streams[EARLY_CLIENTS] = {NULL};
    struct rlimit limit;
    sl_event_init(&world.begun);
    sl_event_init(&world.release);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &world.listener), 0);
    for (int i = 0; i < EARLY_CLIENTS; i++) { /* the system completes them without us */
        CHECK_EQ(dial(&world, HELLO, &streams[i]), 0);
    }
    int free_descriptor = dup(0);
    CHECK(free_descriptor >= 0 && close(free_descriptor) == 0);
    struct rlimit none = {(rlim_t)free_descriptor, limit.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve, &world, .name = "server", .ret_task = &task), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(250)), 0);
    uint64_t errors = world.counts.accept_errors;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(errors >= 1 && errors <= 5);
    CHECK_EQ(world.counts.accepted, 0);
    for (int i = 0; i < EARLY_CLIENTS; i++) {
        CHECK_READS(streams[i], "hello");
        sl_stream_close(streams[i]);
    }
    return stop(&scope, &world, task);
}

C_TEST_REAL_FEW(server_and_client_over_tls, "the same over TLS; who does not shake hands is closed in time", "")
{
    struct world world = {
        .options = {.tls_timeout = SL_SECONDS(1)}}; /* far longer than a handshake takes on a busy machine */
    struct sl_tls_options of_server = tls_server_options(TLS_SERVER);
    struct sl_tls_options of_client = tls_client_options();
    sl_auto(sl_tls_config) *server = NULL;
    sl_auto(sl_tls_config) *trusting = NULL;
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_http_client) *clear = NULL;
    sl_auto(sl_stream) *silent = NULL;
    sl_task_ref task;
    char url[64];
    char text[64];
    CHECK_EQ(sl_tls_config_open(&of_server, &server), 0);
    CHECK_EQ(sl_tls_config_open(&of_client, &trusting), 0);
    world.options.tls = server;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.tls = trusting}, &client), 0);
    CHECK_EQ(sl_http_client_open(NULL, &clear), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", sl_listener_port(world.listener));
    for (int i = 0; i < 3; i++) {
        sl_auto(sl_response) *response = NULL;
        CHECK_EQ(sl_fetch(client, &(sl_request){.url = url}, &response), 0);
        CHECK_STRING(sl_response_body(response, NULL), "hello");
    }
    CHECK_EQ(sl_http_client_counts_get(client).connects, 1);
    sl_response *response = NULL;
    CHECK_EQ(sl_fetch(clear, &(sl_request){.url = url}, &response), SL_ECERTIFICATE); /* not of the system */
    CHECK_EQ(dial(&world, "", &silent), 0);
    CHECK_EQ(read_until(silent, NULL, text, sizeof text), SL_EOF);
    CHECK_EQ(world.counts.timeouts, 1);
    return stop(&scope, &world, task);
}

/* ---- faults: the n-th wait cancelled, the n-th allocation refused ---- */

/* A fetch and the request that serves it, the whole within one scope. */
static int converse(const struct world *world)
{
    sl_auto(sl_http_client) *client = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", sl_listener_port(world->listener));
    SL_TRY(sl_http_client_open(NULL, &client));
    static const char body[50000];
    for (int i = 0; i < 3; i++) {
        sl_auto(sl_response) *response = NULL;
        SL_TRY(sl_fetch(
            client,
            &(sl_request){
                .url = url, .method = i == 1 ? "POST" : "GET", .body = body, .body_bytes = i == 1 ? sizeof body : 0},
            &response));
        CHECK_EQ(sl_response_status(response), 200);
    }
    return 0;
}

static int hooks_left = -1;
static sl_scope *hooks_scope;

/* Counts the steps of the task that fetches, and cancels its scope at the n-th. */
static int converse_in(void *arg)
{
    SL_SCOPE(scope, .name = "fetch");
    hooks_scope = &scope;
    int code = converse(arg);
    hooks_scope = NULL;
    return sl_scope_close(&scope, code);
}

static int step_by_step(void *arg)
{
    for (;;) { /* each step lets the others run until all wait, or a moment has passed */
        SL_TRY(sl_checkpoint());
        if (hooks_scope != NULL && hooks_left-- == 0) {
            sl_scope_cancel(hooks_scope, "test");
        }
        (void)arg;
    }
}

C_TEST_REAL_FEW(fetch_cancelled_anywhere, "cancelled at any step, a fetch ends and leaves nothing; at last it succeeds",
                "")
{
    struct world world = {.options = {.head_timeout = 0}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    int cancelled = 0;
    for (int n = 0;; n++) {
        hooks_left = n;
        SL_SCOPE(run, .strategy = SL_PROPAGATE);
        CHECK_EQ(sl_spawn(&run, step_by_step, NULL, .daemon = true), 0);
        CHECK_EQ(sl_spawn(&run, converse_in, &world), 0);
        int code = sl_scope_wait(&run);
        CHECK_EQ(code, 0); /* the scope that was cancelled absorbs it */
        if (hooks_left >= 0) {
            break;
        }
        cancelled++;
    }
    CHECK(cancelled > 5);
    return stop(&scope, &world, task);
}

C_TEST_REAL_FEW(fetch_without_memory, "each allocation refused once: a defined error, nothing left, at last success",
                "")
{
    struct world world = {.options = {.head_timeout = 0}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    CHECK_EQ(converse(&world), 0);
    int refused = 0;
    for (int n = 0;; n++) {
        sl_memory_fail_after(n);
        int code = converse(&world);
        bool failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        if (!failed) {
            CHECK_EQ(code, 0);
            break;
        }
        /* On the server's side it shows as 500, or a connection that ends. */
        CHECK(code == 0 || code == SL_ENOMEM || code == SL_ECONNRESET || code == SL_EPIPE || code == SL_CHECK_FAILED);
        refused++;
    }
    CHECK(refused > 10);
    return stop(&scope, &world, task);
}

/* ---- room for bodies ---- */

static int send_zeros(sl_stream *stream, size_t count)
{
    static const char zeros[1000];
    for (size_t sent = 0; sent < count; sent += sizeof zeros) {
        SL_TRY(sl_stream_write(stream, zeros, sizeof zeros));
    }
    return 0;
}

C_TEST_REAL_FEW(server_room_for_bodies,
                "bodies that are gathered share a room; who finds none is told 503, and later taken", "")
{
    static const char head[] = "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n";
    struct world world = {.options = {.handler = hello, .bodies_bytes_max = 150000}};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, &task), 0);
    sl_auto(sl_stream) *first = NULL;
    sl_auto(sl_stream) *second = NULL;
    sl_auto(sl_stream) *third = NULL;
    CHECK_EQ(dial(&world, head, &first), 0);
    CHECK_EQ(send_zeros(first, 80000), 0);
    while (world.counts.bodies_bytes < 80000) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(dial(&world, head, &second), 0);
    CHECK_EQ(send_zeros(second, 80000), 0);
    CHECK_READS(second, "\r\nRetry-After: 1\r\n");
    CHECK(world.counts.bodies_bytes <= 150000);
    CHECK_EQ(dial(&world, HELLO, &third), 0); /* one without a body wants no room */
    CHECK_READS(third, "hello");
    CHECK_EQ(send_zeros(first, 10000), 0);
    CHECK_READS(first, "hello");
    while (world.counts.bodies_bytes > 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    sl_stream_close(third);
    third = NULL;
    CHECK_EQ(dial(&world, head, &third), 0);
    CHECK_EQ(send_zeros(third, 90000), 0);
    CHECK_READS(third, "hello");
    return stop(&scope, &world, task);
}

SL_TEST_MAIN(cmocka_unit_test(server_room_for_bodies), cmocka_unit_test(server_slow_clients),
             cmocka_unit_test(server_waits_for_ever), cmocka_unit_test(server_breaks_off),
             cmocka_unit_test(server_watches_behind_a_body), cmocka_unit_test(server_many_slow_clients),
             cmocka_unit_test(server_slow_reader), cmocka_unit_test(server_stops_in_order),
             cmocka_unit_test(server_grace_ends), cmocka_unit_test(server_events),
             cmocka_unit_test(server_without_descriptors), cmocka_unit_test(server_and_client_over_tls),
             cmocka_unit_test(fetch_cancelled_anywhere), cmocka_unit_test(fetch_without_memory))
