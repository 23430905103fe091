/* SPDX-License-Identifier: MIT */
/* What the client does with its connections: which it keeps, and what it sends again when one has died. */
#include <stdio.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/sync.h"

#define LINKS_MAX 3
#define ANSWERS_MAX 3

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define HANG_UP ""

/* Reads requests, and answers the n-th of the m-th connection with answers[m][n]; behind the last one it hangs up. */
struct script {
    const char *answers[LINKS_MAX][ANSWERS_MAX];
    const char *request_end; /* NULL: the empty line */
    const char *unasked;     /* sent behind the first answer, once `more` is set */
    sl_listener *listener;
    int links, requests;
    sl_event more, said;
    char url[64];
};

static int read_request(struct script *script, sl_stream *stream)
{
    char text[4096];
    size_t length = 0;
    do {
        size_t bytes = 0;
        SL_TRY(sl_stream_read(stream, text + length, sizeof text - 1 - length, &bytes));
        length += bytes;
        text[length] = '\0';
    } while (strstr(text, script->request_end == NULL ? "\r\n\r\n" : script->request_end) == NULL);
    script->requests++;
    return 0;
}

static int converse(struct script *script, const char *const *answers, sl_stream *stream)
{
    for (int i = 0; i < ANSWERS_MAX && answers[i] != NULL; i++) {
        SL_TRY(read_request(script, stream));
        SL_TRY(sl_stream_write(stream, answers[i], strlen(answers[i])));
        if (i == 0 && script->unasked != NULL) {
            SL_TRY(sl_event_wait(&script->more));
            SL_TRY(sl_stream_write(stream, script->unasked, strlen(script->unasked)));
            sl_event_set(&script->said);
        }
    }
    return 0;
}

static int serve(void *arg)
{
    struct script *script = arg;
    for (;;) {
        sl_auto(sl_stream) *stream = NULL;
        SL_TRY(sl_listener_accept(script->listener, &stream));
        CHECK(script->links < LINKS_MAX);
        int code = converse(script, script->answers[script->links++], stream);
        if (code == SL_ECANCELED) {
            return code;
        }
    }
}

static int start(sl_scope *scope, struct script *script)
{
    sl_event_init(&script->more);
    sl_event_init(&script->said);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &script->listener), 0);
    (void)snprintf(script->url, sizeof script->url, "http://127.0.0.1:%d/", sl_listener_port(script->listener));
    return sl_spawn(scope, serve, script, .name = "server", .daemon = true);
}

static int stop(sl_scope *scope, struct script *script)
{
    int code = sl_scope_close(scope, 0);
    sl_listener_close(script->listener);
    return code;
}

static int next_piece(void *context, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    int *left = context;
    *ret_bytes = 1;
    memset(buffer, 'p', size_bytes);
    return (*left)-- > 0 ? 0 : SL_EOF;
}

/* ---- which are kept ---- */

static const struct {
    const char *answer;
    size_t idle;
} endings[] = {{OK, 1},
               {OK "HTTP/1.1 200 OK\r\n", 0}, /* nobody knows what that belongs to */
               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1},
               {"HTTP/1.1 204 None\r\n\r\n", 1},
               {"HTTP/1.1 204 None\r\nConnection: x, Close\r\n\r\n", 0},
               {"HTTP/1.1 304 Same\r\nContent-Length: 900\r\n\r\n", 1}, /* over the limit, but does not come */
               {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
               {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", 1}};

C_TEST_REAL_FEW(links_that_are_kept, "a connection is kept when the answer has ended on it, and says nothing else", "")
{
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        struct script script = {.answers = {{endings[i].answer, OK}}};
        sl_auto(sl_http_client) *client = NULL;
        sl_auto(sl_response) *response = NULL;
        CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.body_bytes_max = 100}, &client), 0);
        SL_SCOPE(scope);
        CHECK_EQ(start(&scope, &script), 0);
        CHECK_EQ(sl_fetch(client, &(sl_request){.url = script.url}, &response), 0);
        CHECK_EQ(sl_http_client_counts_get(client).idle, endings[i].idle);
        CHECK_EQ(stop(&scope, &script), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(links_that_say_more, "what comes on an idle connection is not taken for the next request's answer", "")
{
    struct script script = {.answers = {{OK, OK}, {"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n"}},
                            .unasked = "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"};
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *first = NULL;
    sl_auto(sl_response) *second = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &script), 0);
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = script.url}, &first), 0);
    sl_event_set(&script.more);
    CHECK_EQ(sl_event_wait(&script.said), 0);
    script.unasked = NULL;
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = script.url}, &second), 0);
    CHECK_EQ(sl_response_status(second), 201);
    CHECK_EQ(sl_http_client_counts_get(client).stale, 1);
    return stop(&scope, &script);
}

C_TEST_REAL_FEW(links_grow_old, "idle connections are bounded in age and number, those of all origins together", "")
{
    struct script old = {.answers = {{OK, OK}, {OK}}};
    struct script one = {.answers = {{OK, OK}}};
    struct script other = {.answers = {{OK, OK}}};
    sl_auto(sl_http_client) *brief = NULL;
    sl_auto(sl_http_client) *few = NULL;
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.idle_timeout = SL_MILLISECONDS(1)}, &brief), 0);
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.idle_max = 1}, &few), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &old), 0);
    CHECK_EQ(start(&scope, &one), 0);
    CHECK_EQ(start(&scope, &other), 0);
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_response) *aged = NULL;
        sl_auto(sl_response) *pushed_out = NULL;
        CHECK_EQ(sl_fetch(brief, &(sl_request){.url = old.url}, &aged), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
        CHECK_EQ(sl_fetch(few, &(sl_request){.url = i == 0 ? one.url : other.url}, &pushed_out), 0);
        CHECK_EQ(sl_http_client_counts_get(few).idle, 1);
    }
    CHECK_EQ(sl_http_client_counts_get(brief).connects, 2);
    CHECK_EQ(sl_http_client_counts_get(brief).reuses, 0);
    CHECK_EQ(stop(&scope, &other), 0);
    sl_listener_close(old.listener);
    sl_listener_close(one.listener);
    return 0;
}

/* ---- what is sent again ---- */

/* How the second request on a connection ends that dies of it, and how many requests the server saw. */
static int second_request(struct script *script, const sl_request *request, const char *method)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *first = NULL;
    sl_auto(sl_response) *second = NULL;
    sl_request given = *request;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, script), 0);
    if (method != NULL) {
        CHECK_EQ(sl_fetch(client, &(sl_request){.url = script->url}, &first), 0);
        given.method = method;
    }
    if (given.body_next != NULL) {
        script->request_end = "\r\n0\r\n\r\n";
    }
    given.url = script->url;
    int code = sl_fetch(client, &given, &second);
    CHECK_EQ(sl_http_client_counts_get(client).busy, 0);
    CHECK_EQ(stop(&scope, script), 0);
    return code;
}

C_TEST_REAL_FEW(links_that_die, "only what may be done twice is sent again, once, and only if no answer had begun", "")
{
    static const struct {
        const char *method, *answer;
        int code, requests;
    } deaths[] = {{"GET", HANG_UP, 0, 3},
                  {"DELETE", HANG_UP, 0, 3},
                  {"POST", HANG_UP, SL_ECONNRESET, 2},
                  {"PATCH", HANG_UP, SL_ECONNRESET, 2},
                  {"GET", "HTTP/1.1 20", SL_ECONNRESET, 2},
                  {NULL, NULL, SL_ECONNRESET, 1}}; /* on a new connection it is no accident */
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) {
        bool fresh = deaths[i].method == NULL;
        struct script script = {.answers = {{fresh ? HANG_UP : OK, deaths[i].answer}, {OK}}};
        CHECK_EQ(second_request(&script, &(sl_request){.priority = 0}, deaths[i].method), deaths[i].code);
        CHECK_EQ(script.requests, deaths[i].requests);
    }
    int pieces = 3;
    struct script script = {.answers = {{OK, HANG_UP}, {OK}}};
    CHECK_EQ(second_request(&script, &(sl_request){.body_next = next_piece, .body_context = &pieces}, "PUT"),
             SL_ECONNRESET);
    CHECK_EQ(script.links, 1); /* the pieces are gone */
    return 0;
}

/* ---- bodies that come once, or are not read ---- */

#define MOVED(status) "HTTP/1.1 " status " Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"

/* A body of three pieces of a byte; `stated`: how long it is said to be. */
static int put_pieces(struct script *script, size_t stated, size_t *ret_idle)
{
    int pieces = 3;
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *response = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, script), 0);
    const sl_request request = {
        .url = script->url, .method = "PUT", .body_next = next_piece, .body_context = &pieces, .body_bytes = stated};
    int code = sl_fetch(client, &request, &response);
    *ret_idle = sl_http_client_counts_get(client).idle;
    CHECK_EQ(stop(&scope, script), 0);
    return code;
}

C_TEST_REAL_FEW(bodies_that_come_once, "pieces are not asked for twice, and must be as many as was said", "")
{
    size_t idle = 9;
    struct script away = {.answers = {{MOVED("307"), OK}, {OK}}, .request_end = "\r\n0\r\n\r\n"};
    CHECK_EQ(put_pieces(&away, 0, &idle), SL_ENOTSUP);
    CHECK_EQ(away.requests, 1);
    struct script right = {.answers = {{OK}}, .request_end = "\r\n\r\nppp"};
    CHECK_EQ(put_pieces(&right, 3, &idle), 0);
    CHECK_EQ(idle, 1);
    for (size_t stated = 2; stated <= 4; stated += 2) {
        struct script wrong = {.answers = {{OK}}};
        CHECK_EQ(put_pieces(&wrong, stated, &idle), SL_EMISUSE);
        CHECK_EQ(idle, 0);
    }
    return 0;
}

C_TEST_REAL_FEW(bodies_of_redirects, "a redirect whose body has not all come leaves its connection behind", "")
{
    static const char *const half = "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 5\r\n\r\nmo";
    for (int i = 0; i < 2; i++) {
        struct script script = {.answers = {{i == 0 ? half : MOVED("302"), OK}, {OK}}};
        sl_auto(sl_http_client) *client = NULL;
        sl_auto(sl_response) *response = NULL;
        CHECK_EQ(sl_http_client_open(NULL, &client), 0);
        SL_SCOPE(scope);
        CHECK_EQ(start(&scope, &script), 0);
        CHECK_EQ(sl_fetch(client, &(sl_request){.url = script.url}, &response), 0);
        CHECK_EQ(sl_http_client_counts_get(client).connects, i == 0 ? 2 : 1);
        CHECK_EQ(stop(&scope, &script), 0);
    }
    return 0;
}

/* ---- asking first ---- */

static int ask_first(const char *answer, sl_time first_byte_timeout, sl_response **ret_response, size_t *ret_idle)
{
    struct script script = {.answers = {{answer, OK}}};
    sl_auto(sl_http_client) *client = NULL;
    const struct sl_http_client_options options = {.first_byte_timeout = first_byte_timeout};
    CHECK_EQ(sl_http_client_open(&options, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &script), 0);
    int code = sl_fetch(
        client,
        &(sl_request){.url = script.url, .method = "POST", .body = "b", .body_bytes = 1, .expect_continue = true},
        ret_response);
    *ret_idle = sl_http_client_counts_get(client).idle;
    CHECK_EQ(stop(&scope, &script), 0);
    return code;
}

C_TEST_REAL_FEW(links_after_asking_first, "an answer in place of 100 ends its connection; no other protocol, no half",
                "")
{
    sl_response *response = NULL;
    size_t idle = 9;
    CHECK_EQ(ask_first("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 0, &response, &idle), 0);
    int status = sl_response_status(response);
    sl_response_free(response);
    CHECK_EQ(status, 403);
    CHECK_EQ(idle, 0); /* the server still waits for the body there */
    CHECK_EQ(ask_first("HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0, &response, &idle),
             SL_EPROTO);
    CHECK_EQ(ask_first("HTTP/1.1 100 Con", SL_MILLISECONDS(20), &response, &idle), SL_ETIMEDOUT);
    CHECK(strstr(sl_error_message(sl_error_last()), "waiting for the answer") != NULL);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(links_that_are_kept), cmocka_unit_test(links_that_say_more),
             cmocka_unit_test(links_grow_old), cmocka_unit_test(links_that_die),
             cmocka_unit_test(bodies_that_come_once), cmocka_unit_test(bodies_of_redirects),
             cmocka_unit_test(links_after_asking_first))
