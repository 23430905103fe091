/* SPDX-License-Identifier: MIT */
/* sl_fetch against the server of this library: pool, redirects, packed bodies, streaming, timeouts, policies, URLs. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "http/url.h"
#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/sync.h"

#define BULK ((size_t)300 * 1024)

struct world {
    sl_listener *listener;
    char base[64];
    int seen; /* requests */
    sl_event release;
};

/* ---- the server ---- */

/* "METHOD target Authorization [body]" */
static int echo(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    char text[1024];
    size_t bytes = 0;
    const char *body = sl_http_body(exchange->request, &bytes);
    const char *secret = sl_http_header(exchange->request, "Authorization");
    world->seen++;
    int length = snprintf(text, sizeof text, "%s %s %s [%.*s]", sl_http_method(exchange->request),
                          sl_http_target(exchange->request), secret == NULL ? "-" : secret, (int)bytes, body);
    return sl_http_respond(exchange, 200, "text/plain", text, (size_t)length);
}

/* /redirect/STATUS?to=URL */
static int redirect(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    char status[8];
    char to[256];
    SL_TRY(sl_http_parameter(exchange, "status", status, sizeof status));
    SL_TRY(sl_http_query(exchange->request, "to", to, sizeof to));
    struct sl_http_field location = {"Location", to};
    int number = (status[0] - '0') * 100 + (status[1] - '0') * 10 + status[2] - '0';
    return sl_http_respond_with(
        exchange, &(struct sl_http_answer){
                      .status = number, .headers = &location, .header_count = 1, .body = "moved", .body_bytes = 5});
}

static size_t packed(int window, unsigned char *to, size_t room)
{
    z_stream stream = {.next_out = to, .avail_out = (unsigned)room};
    static unsigned char text[BULK];
    memset(text, 'z', sizeof text);
    stream.next_in = text;
    stream.avail_in = sizeof text;
    (void)deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
    (void)deflate(&stream, Z_FINISH);
    (void)deflateEnd(&stream);
    return room - stream.avail_out;
}

/* /packed/KIND: 300 KiB of "z", or brotli's text */
static int answer_packed(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    static const unsigned char brotli[] = {0x1b, 0x16, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55,
                                           0x86, 0x96, 0x6c, 0x20, 0x6f, 0x21, 0x4f, 0x1c, 0xe0, 0x38};
    unsigned char data[2048];
    char kind[16];
    SL_TRY(sl_http_parameter(exchange, "kind", kind, sizeof kind));
    size_t bytes = sizeof brotli;
    struct sl_http_field encoding = {"Content-Encoding", "br"};
    memcpy(data, brotli, sizeof brotli);
    if (strcmp(kind, "br") != 0) {
        encoding.value = strcmp(kind, "raw") == 0 || strcmp(kind, "deflate") == 0 ? "deflate" : "gzip";
        bytes = packed(strcmp(kind, "raw") == 0 ? -15 : strcmp(kind, "deflate") == 0 ? 15 : 31, data, sizeof data);
    }
    if (strcmp(kind, "cut") == 0) {
        bytes -= 9;
    }
    if (strcmp(kind, "more") == 0) {
        data[bytes++] = 'x';
    }
    return sl_http_respond_with(
        exchange, &(struct sl_http_answer){
                      .status = 200, .headers = &encoding, .header_count = 1, .body = data, .body_bytes = bytes});
}

/* Counts the bytes of a streamed body, and sends as many back in pieces. */
static int mirror(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    char piece[3000];
    size_t bytes = 0;
    int code;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200, .content_type = "text/plain"}));
    while ((code = sl_http_read(exchange, piece, sizeof piece, &bytes)) == 0) {
        SL_TRY(sl_http_write(exchange, piece, bytes));
    }
    return code == SL_EOF ? sl_http_end(exchange) : code;
}

static int hang(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    SL_TRY(sl_event_wait(&world->release));
    return sl_http_respond(exchange, 200, NULL, "late", 4);
}

static int close_after(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond_with(exchange,
                                &(struct sl_http_answer){.status = 200, .body = "x", .body_bytes = 1, .close = true});
}

static int always_fail(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    (void)exchange;
    return sl_fail(SL_EINVAL, "this handler fails");
}

static int serve(void *arg)
{
    struct world *world = arg;
    const struct sl_http_route routes[] = {
        {.method = "GET", .pattern = "/redirect/{status}", .handler = redirect, .arg = world},
        {.method = "POST", .pattern = "/redirect/{status}", .handler = redirect, .arg = world},
        {.method = "GET", .pattern = "/packed/{kind}", .handler = answer_packed, .arg = world},
        {.method = "POST", .pattern = "/mirror", .handler = mirror, .arg = world, .stream_body = true},
        {.method = "GET", .pattern = "/hang", .handler = hang, .arg = world},
        {.method = "GET", .pattern = "/close", .handler = close_after, .arg = world},
        {.method = "GET", .pattern = "/fail", .handler = always_fail, .arg = world},
        {.method = "POST", .pattern = "/fail", .handler = always_fail, .arg = world},
        {.method = "GET", .pattern = "/only/{a}/{rest...}", .handler = echo, .arg = world},
    };
    return sl_http_serve_with(world->listener,
                              &(struct sl_http_server_options){.routes = routes,
                                                               .route_count = sizeof routes / sizeof routes[0],
                                                               .handler = echo,
                                                               .arg = world,
                                                               .idle_timeout = SL_MILLISECONDS(300)});
}

static int start(sl_scope *scope, struct world *world)
{
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &world->listener), 0);
    (void)snprintf(world->base, sizeof world->base, "http://127.0.0.1:%d", sl_listener_port(world->listener));
    sl_event_init(&world->release);
    return sl_spawn(scope, serve, world, .daemon = true);
}

static int stop(sl_scope *scope, struct world *world)
{
    int code = sl_scope_close(scope, 0);
    sl_listener_close(world->listener);
    return code;
}

#define URL_OF(world, path) ((void)snprintf(url, sizeof url, "%s%s", (world)->base, path), url)

/* Fetches and compares status and body. */
static int get(sl_http_client *client, const sl_request *request, int status, const char *body)
{
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_fetch(client, request, &response));
    CHECK_EQ(sl_response_status(response), status);
    CHECK_STRING(sl_response_body(response, NULL), body);
    return 0;
}

C_TEST_REAL_FEW(fetch_and_the_pool, "requests share kept connections; one that the server closed is replaced unseen",
                "")
{
    struct world world = {.seen = 0};
    char url[256];
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    struct sl_http_field secret = {"Authorization", "Bearer t"};
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/a?b#c")}, 200, "GET /a?b - []"), 0);
    }
    CHECK_EQ(get(client,
                 &(sl_request){.url = URL_OF(&world, "/p"),
                               .method = "POST",
                               .body = "hi",
                               .body_bytes = 2,
                               .headers = &secret,
                               .header_count = 1},
                 200, "POST /p Bearer t [hi]"),
             0);
    struct sl_http_client_counts counts = sl_http_client_counts_get(client);
    CHECK_EQ(counts.connects, 1);
    CHECK_EQ(counts.reuses, 5);
    CHECK_EQ(counts.idle, 1);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/close")}, 200, "x"), 0);
    CHECK_EQ(sl_http_client_counts_get(client).idle, 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/")}, 200, "GET / - []"), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(600)), 0); /* the server closes idle connections after 300 */
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/"), .method = "POST"}, 200, "POST / - []"), 0);
    CHECK_EQ(sl_http_client_counts_get(client).stale, 1);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/fail")}, 500, "internal error\n"), 0);
    CHECK(strstr(sl_conformance_log(), "this handler fails") != NULL);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/mirror")}, 405, "method not allowed\n"), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/only/x/y/z")}, 200, "GET /only/x/y/z - []"), 0);
    return stop(&scope, &world);
}

C_TEST_REAL_FEW(fetch_redirects, "methods, bodies and credentials after each kind of redirect; loops and limits", "")
{
    struct world world = {.seen = 0};
    char url[256];
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    struct sl_http_field secret = {"Authorization", "t"};
    sl_request post = {
        .url = url, .method = "POST", .body = "b", .body_bytes = 1, .headers = &secret, .header_count = 1};
    static const struct {
        const char *from, *body;
    } moves[] = {{"/redirect/301?to=/x/../y%3Fq", "GET /y?q t []"},
                 {"/redirect/302?to=/x", "GET /x t []"},
                 {"/redirect/303?to=/x", "GET /x t []"},
                 {"/redirect/307?to=/x", "POST /x t [b]"},
                 {"/redirect/308?to=../a/./b", "POST /a/b t [b]"},
                 {"/redirect/307?to=/a%20b", "POST /a%20b t [b]"},
                 {"/redirect/307?to=%23frag", NULL},
                 {"/redirect/307?to=ftp://x/", NULL},
                 {"/redirect/307?to=http://[x/", NULL},
                 {"/redirect/307?to=http://u:p@127.0.0.1/", NULL}};
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        (void)URL_OF(&world, moves[i].from);
        if (moves[i].body != NULL) {
            CHECK_EQ(get(client, &post, 200, moves[i].body), 0);
            continue;
        }
        int code = get(client, &post, 200, "");
        CHECK(code == SL_EINVAL || code == SL_EPROTO);
    }
    /* Another origin: the same server under another name. */
    (void)snprintf(url, sizeof url, "%s/redirect/307?to=http://localhost:%d/o", world.base,
                   sl_listener_port(world.listener));
    CHECK_EQ(get(client, &post, 200, "POST /o - [b]"), 0);
    CHECK_EQ(sl_http_client_counts_get(client).busy, 0);
    sl_auto(sl_http_client) *once = NULL;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.redirects_max = 1}, &once), 0);
    CHECK_EQ(get(once, &(sl_request){.url = URL_OF(&world, "/redirect/302?to=/x")}, 200, "GET /x - []"), 0);
    (void)URL_OF(&world, "/redirect/302?to=/redirect/302%3Fto%3D/x");
    CHECK_EQ(get(once, &(sl_request){.url = url}, 200, ""), SL_EPROTO);
    return stop(&scope, &world);
}

C_TEST_REAL_FEW(fetch_unpacks, "gzip, deflate of both kinds, brotli; cut, damaged and too large bodies are errors", "")
{
    struct world world = {.seen = 0};
    char url[256];
    static char wanted[BULK + 1];
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_http_client) *small = NULL;
    memset(wanted, 'z', BULK);
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.body_bytes_max = BULK - 1}, &small), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/packed/gzip")}, 200, wanted), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/packed/deflate")}, 200, wanted), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/packed/raw")}, 200, wanted), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/packed/br")}, 200, "hello hello hello hello"), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/packed/cut")}, 200, ""), SL_EPROTO);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/packed/more")}, 200, ""), SL_EPROTO);
    CHECK_EQ(get(small, &(sl_request){.url = URL_OF(&world, "/packed/gzip")}, 200, ""), SL_EMSGSIZE);
    CHECK_EQ(sl_http_client_counts_get(client).busy, 0);
    return stop(&scope, &world);
}

/* ---- bodies piece by piece ---- */

struct source {
    size_t left;
    int code; /* at the end */
};

static int next_piece(void *context, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct source *source = context;
    if (source->left == 0) {
        return source->code;
    }
    *ret_bytes = source->left < size_bytes ? source->left : size_bytes;
    memset(buffer, 'm', *ret_bytes);
    source->left -= *ret_bytes;
    return 0;
}

static int mirrored(sl_http_client *client, const char *url, bool stated, bool expect)
{
    struct source source = {.left = BULK, .code = SL_EOF};
    sl_auto(sl_response) *response = NULL;
    sl_request request = {.url = url,
                          .method = "POST",
                          .body_next = next_piece,
                          .body_context = &source,
                          .body_bytes = stated ? BULK : 0,
                          .expect_continue = expect,
                          .stream = true};
    CHECK_EQ(sl_fetch(client, &request, &response), 0);
    char piece[1000];
    size_t total = 0;
    size_t bytes = 0;
    int code;
    while ((code = sl_response_read(response, piece, sizeof piece, &bytes)) == 0) {
        for (size_t i = 0; i < bytes; i++) {
            CHECK_EQ(piece[i], 'm');
        }
        total += bytes;
    }
    if (code != SL_EOF) {
        print_error("%s\n", sl_error_message(sl_error_last()));
    }
    CHECK_EQ(code, SL_EOF);
    CHECK_EQ(total, BULK);
    CHECK_EQ(sl_response_read(response, piece, sizeof piece, &bytes), SL_EOF);
    return 0;
}

C_TEST_REAL_FEW(fetch_streams, "bodies of both directions in pieces, chunked and by length, asked first or not", "")
{
    struct world world = {.seen = 0};
    char url[256];
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    (void)URL_OF(&world, "/mirror");
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(mirrored(client, url, i % 2 == 0, i >= 2), 0);
    }
    CHECK_EQ(sl_http_client_counts_get(client).connects, 1);
    struct source broken = {.left = 10, .code = SL_EINVAL};
    sl_response *response = NULL;
    CHECK_EQ(sl_fetch(client,
                      &(sl_request){.url = url, .method = "POST", .body_next = next_piece, .body_context = &broken},
                      &response),
             SL_EINVAL);
    CHECK_EQ(sl_http_client_counts_get(client).busy, 0);
    return stop(&scope, &world);
}

/* How reading a stream of at most `limit` bytes ends; `ret_bytes` came before. */
static int stream_within(sl_http_client *client, const char *url, uint64_t limit, size_t *ret_bytes)
{
    sl_auto(sl_response) *response = NULL;
    char piece[1000];
    size_t bytes = 0;
    *ret_bytes = 0;
    SL_TRY(sl_fetch(client, &(sl_request){.url = url, .stream = true, .stream_bytes_max = limit}, &response));
    int code;
    while ((code = sl_response_read(response, piece, sizeof piece, &bytes)) == 0) {
        *ret_bytes += bytes;
    }
    CHECK_EQ(sl_response_read(response, piece, sizeof piece, &bytes), code);
    return code;
}

C_TEST_REAL_FEW(fetch_streams_have_limits, "a streamed body over its limit ends with an error, packed or not", "")
{
    struct world world = {.seen = 0};
    char url[256];
    size_t bytes = 0;
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.body_bytes_max = 10}, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    (void)URL_OF(&world, "/packed/gzip");
    CHECK_EQ(stream_within(client, url, 0, &bytes), SL_EOF); /* the limit of whole bodies is another */
    CHECK_EQ(bytes, BULK);
    CHECK_EQ(stream_within(client, url, SL_HTTP_UNLIMITED, &bytes), SL_EOF);
    CHECK_EQ(stream_within(client, url, BULK, &bytes), SL_EOF);
    CHECK_EQ(bytes, BULK);
    CHECK_EQ(stream_within(client, url, BULK - 1, &bytes), SL_EMSGSIZE);
    CHECK(bytes < BULK);
    (void)URL_OF(&world, "/abcdefgh"); /* GET /abcdefgh - [] */
    CHECK_EQ(stream_within(client, url, 18, &bytes), SL_EOF);
    CHECK_EQ(bytes, 18);
    CHECK_EQ(stream_within(client, url, 17, &bytes), SL_EMSGSIZE);
    CHECK_EQ(sl_http_client_counts_get(client).busy, 0);
    return stop(&scope, &world);
}

/* ---- waiting ---- */

struct waiting {
    sl_http_client *client;
    const char *url;
    int done;
};

static int fetch_one(void *arg)
{
    struct waiting *waiting = arg;
    SL_TRY(get(waiting->client, &(sl_request){.url = waiting->url}, 200, "late"));
    waiting->done++;
    return 0;
}

C_TEST_REAL_FEW(fetch_waits_its_turn, "beyond the connections of an origin fetches wait, and may be cancelled there",
                "")
{
    struct world world = {.seen = 0};
    char url[256];
    struct waiting waiting = {.url = url};
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.connections_per_origin = 2}, &client), 0);
    waiting.client = client;
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    (void)URL_OF(&world, "/hang");
    {
        SL_SCOPE(fetches);
        for (int i = 0; i < 6; i++) {
            CHECK_EQ(sl_spawn(&fetches, fetch_one, &waiting), 0);
        }
        while (sl_http_client_counts_get(client).waiting < 4) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        }
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(5));
        int code = get(client, &(sl_request){.url = url}, 200, "late");
        CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
        CHECK_EQ(sl_http_client_counts_get(client).waiting, 4);
        sl_event_set(&world.release);
        CHECK_EQ(sl_scope_wait(&fetches), 0);
    }
    CHECK_EQ(waiting.done, 6);
    CHECK_EQ(sl_http_client_counts_get(client).connects, 2);
    return stop(&scope, &world);
}

C_TEST_REAL_FEW(fetch_timeouts_say_which, "each part of a fetch has its time, and the error names it", "")
{
    struct world world = {.seen = 0};
    char url[256];
    sl_auto(sl_http_client) *client = NULL;
    sl_response *response = NULL;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.first_byte_timeout = SL_MILLISECONDS(10)}, &client),
             0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = URL_OF(&world, "/hang")}, &response), SL_ETIMEDOUT);
    CHECK(strstr(sl_error_message(sl_error_last()), "waiting for the answer") != NULL);
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = url, .total_timeout = SL_MILLISECONDS(5)}, &response), SL_ETIMEDOUT);
    CHECK(strstr(sl_error_message(sl_error_last()), "in all") != NULL);
    sl_event_set(&world.release);
    return stop(&scope, &world);
}

/* ---- policies ---- */

/* A policy by hand: makes it again while it fails; refuses all when it is told to. */
struct again {
    sl_policy policy;
    int attempts, refuse, unsent;
};

static int call_again(sl_policy *policy, const struct sl_http_call *call, sl_response **ret_response)
{
    struct again *again = (struct again *)policy;
    if (again->refuse < 0) {
        return again->refuse;
    }
    (void)snprintf(call->story, call->story_bytes, "policy was here");
    for (int i = 0; i < 3; i++) {
        struct sl_http_attempt attempt;
        again->attempts++;
        int code = sl_http_attempt_make(call, &attempt);
        again->unsent += attempt.unsent;
        bool failed = code < 0 || sl_response_status(attempt.response) >= 500;
        if (!failed || code == SL_ECANCELED || !call->repeatable || i == 2) {
            *ret_response = attempt.response;
            return code;
        }
        sl_response_free(attempt.response);
    }
    return SL_EINTERNAL;
}

C_TEST_REAL_FEW(fetch_policy, "a policy makes the attempts: again, not at all, within the time of the whole", "")
{
    struct world world = {.seen = 0};
    struct again again = {.policy = {.call = call_again, .total_timeout = SL_SECONDS(60)}};
    struct again brief = {.policy = {.call = call_again, .total_timeout = SL_MILLISECONDS(5)}};
    char url[256];
    sl_response *response = NULL;
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.policy = &again.policy}, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world), 0);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/fail")}, 500, "internal error\n"), 0);
    CHECK_EQ(again.attempts, 3);
    CHECK_EQ(again.unsent, 0);
    CHECK_EQ(get(client, &(sl_request){.url = url, .method = "POST"}, 500, "internal error\n"), 0);
    CHECK_EQ(again.attempts, 4);
    CHECK_EQ(get(client, &(sl_request){.url = url, .method = "POST", .idempotent = true}, 500, "internal error\n"), 0);
    CHECK_EQ(again.attempts, 7);
    again.refuse = SL_EBUSY;
    CHECK_EQ(get(client, &(sl_request){.url = url}, 500, ""), SL_EBUSY);
    again = (struct again){.policy = again.policy};
    CHECK_EQ(get(client, &(sl_request){.url = "http://127.0.0.1:1/"}, 200, ""), -ECONNREFUSED);
    CHECK_EQ(again.attempts, 3);
    CHECK_EQ(again.unsent, 3);
    CHECK_EQ(get(client, &(sl_request){.url = URL_OF(&world, "/redirect/302?to=/only/a/b")}, 200, "GET /only/a/b - []"),
             0);
    CHECK_EQ(again.attempts, 5);
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = URL_OF(&world, "/hang"), .policy = &brief.policy}, &response),
             SL_ETIMEDOUT);
    CHECK(strstr(sl_error_message(sl_error_last()), "in all; policy was here") != NULL);
    sl_event_set(&world.release);
    return stop(&scope, &world);
}

/* ---- URLs ---- */

static int check_url(const char *text, const char *wanted, const char *host, int port)
{
    struct sl__url *url = NULL;
    int code = sl__url_parse(text, &url);
    if (wanted == NULL) {
        CHECK_EQ(code, SL_EINVAL);
        return 0;
    }
    CHECK_EQ(code, 0);
    bool same = strcmp(url->text, wanted) == 0 && strcmp(url->host, host) == 0 && url->port == port;
    sl_free(url);
    CHECK(same);
    return 0;
}

/* RFC 3986, 5.4, and a few more: against http://a/b/c/d?q */
static int check_references(void)
{
    static const char *const pairs[][2] = {{"g", "http://a/b/c/g"},
                                           {"./g", "http://a/b/c/g"},
                                           {"g/", "http://a/b/c/g/"},
                                           {"/g", "http://a/g"},
                                           {"//g", "http://g/"},
                                           {"?y", "http://a/b/c/d?y"},
                                           {"g?y", "http://a/b/c/g?y"},
                                           {"#s", "http://a/b/c/d?q"},
                                           {"g#s", "http://a/b/c/g"},
                                           {";x", "http://a/b/c/;x"},
                                           {"", "http://a/b/c/d?q"},
                                           {".", "http://a/b/c/"},
                                           {"./", "http://a/b/c/"},
                                           {"..", "http://a/b/"},
                                           {"../", "http://a/b/"},
                                           {"../g", "http://a/b/g"},
                                           {"../..", "http://a/"},
                                           {"../../g", "http://a/g"},
                                           {"../../../g", "http://a/g"},
                                           {"/./g", "http://a/g"},
                                           {"/../g", "http://a/g"},
                                           {"g.", "http://a/b/c/g."},
                                           {"..g", "http://a/b/c/..g"},
                                           {"./../g", "http://a/b/g"},
                                           {"./g/.", "http://a/b/c/g/"},
                                           {"g/../h", "http://a/b/c/h"},
                                           {"g?y/../x", "http://a/b/c/g?y/../x"},
                                           {"a b", "http://a/b/c/a%20b"},
                                           {"\xc3\xa4", "http://a/b/c/%C3%A4"},
                                           {"https://x:443/y", "https://x/y"},
                                           {"100%", "http://a/b/c/100%25"}};
    struct sl__url *base = NULL;
    CHECK_EQ(sl__url_parse("http://a/b/c/d?q", &base), 0);
    int code = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && code == 0; i++) {
        struct sl__url *url = NULL;
        code = sl__url_resolve(base, pairs[i][0], &url);
        if (code == 0 && strcmp(url->text, pairs[i][1]) != 0) {
            print_error("'%s' gave %s, not %s\n", pairs[i][0], url->text, pairs[i][1]);
            code = SL_CHECK_FAILED;
        }
        sl_free(url);
    }
    sl_free(base);
    return code;
}

TASK_TEST(fetch_urls)
{
    CHECK_EQ(check_url("http://Example.COM", "http://example.com/", "example.com", 80), 0);
    CHECK_EQ(check_url("HTTPS://x:8443/a/../b?c=d#e", "https://x:8443/b?c=d", "x", 8443), 0);
    CHECK_EQ(check_url("http://[::1]:8080/", "http://[::1]:8080/", "::1", 8080), 0);
    CHECK_EQ(check_url("http://x:/", "http://x/", "x", 80), 0);
    CHECK_EQ(check_url("http://x?q", "http://x/?q", "x", 80), 0);
    CHECK_EQ(check_url("http://a_b.c/%7e", "http://a_b.c/%7e", "a_b.c", 80), 0);
    static const char *const bad[] = {"",
                                      "x",
                                      "ftp://x/",
                                      "http:/x",
                                      "http://",
                                      "http:///a",
                                      "http://:80/",
                                      "http://x:0/",
                                      "http://x:65536/",
                                      "http://x:8a/",
                                      "http://x:-1/",
                                      "http://[::1/",
                                      "http://[::1]x/",
                                      "http://[fe80::1%25eth0]/",
                                      "http://[]/",
                                      "http://user@x/",
                                      "http://user:secret@x/",
                                      "http://x y/",
                                      "http://x/a b",
                                      "http://x/\r\nHost: y",
                                      "http://x/\xc3\xa4",
                                      "http://\xc3\xa4/",
                                      "http://x%41/",
                                      "http://x/%4",
                                      "http://x/%zz",
                                      "http://x/<",
                                      "http://x/\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQ(check_url(bad[i], NULL, NULL, 0), 0);
        CHECK(strstr(sl_error_message(sl_error_last()), "secret") == NULL);
    }
    return check_references();
}

SL_TEST_MAIN(cmocka_unit_test(fetch_and_the_pool), cmocka_unit_test(fetch_redirects), cmocka_unit_test(fetch_unpacks),
             cmocka_unit_test(fetch_streams), cmocka_unit_test(fetch_streams_have_limits),
             cmocka_unit_test(fetch_waits_its_turn), cmocka_unit_test(fetch_timeouts_say_which),
             cmocka_unit_test(fetch_policy), cmocka_unit_test(fetch_urls))
