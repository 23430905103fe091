/* SPDX-License-Identifier: MIT */
/* The corpus of requests against the server: whole, a byte at a time, and behind a good request. */
#include <string.h>

#include "corpus.h"
#include "http/message.h"
#include "request_cases.h"
#include "sl_conformance.h"
#include "sluice/http.h"

#define TEXT_BYTES 8192

enum { WHOLE, BYTES, PIPELINED, MODES };

/* ---- texts ---- */

/* "200 GET / []|400" of what the server sent; bodies of the server's own answers are left out. */
static bool summarise(const char *text, char *summary, size_t summary_bytes)
{
    size_t length = 0;
    summary[0] = '\0';
    while (*text != '\0') {
        const char *head_end = strstr(text, "\r\n\r\n");
        if (strncmp(text, "HTTP/1.1 ", 9) != 0 || head_end == NULL) {
            return false;
        }
        const char *at = text + 9;
        int status = (int)corpus_number(&at);
        if (status == 100) {
            text = head_end + 4;
            continue;
        }
        const char *stated = strstr(text, "Content-Length: ");
        at = stated == NULL || stated > head_end ? "" : stated + 16;
        size_t body_bytes = corpus_number(&at);
        const char *body = head_end + 4;
        bool no_body = strncmp(body, "HTTP/1.1 ", 9) == 0 || *body == '\0';
        if (no_body && body_bytes > 0) {
            length += (size_t)snprintf(summary + length, summary_bytes - length, "%s%d (%zu)", length == 0 ? "" : "|",
                                       status, body_bytes);
            text = body;
            continue;
        }
        length += (size_t)snprintf(summary + length, summary_bytes - length, "%s%d", length == 0 ? "" : "|", status);
        if (status == 200) {
            length += (size_t)snprintf(summary + length, summary_bytes - length, " %.*s", (int)body_bytes, body);
        }
        if (strlen(body) < body_bytes) {
            return false;
        }
        text = body + body_bytes;
    }
    return true;
}

/* ---- the server and its client ---- */

static int echo(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    char text[1024];
    size_t body_bytes = 0;
    const char *body = sl_http_body(exchange->request, &body_bytes);
    int length = snprintf(text, sizeof text, "%s %s [%.*s]", sl_http_method(exchange->request),
                          sl_http_target(exchange->request), (int)body_bytes, body);
    return sl_http_respond(exchange, 200, "text/plain", text, (size_t)length);
}

static int serve(void *arg)
{
    return sl_http_serve_with(arg, &(struct sl_http_server_options){.handler = echo,
                                                                    .target_bytes_max = 200,
                                                                    .head_bytes_max = 1000,
                                                                    .headers_max = 20,
                                                                    .body_bytes_max = 100,
                                                                    .extension_bytes_max = 50});
}

static int read_to_end(sl_stream *stream, char *text)
{
    size_t length = 0;
    size_t bytes = 0;
    int code = 0;
    while (code == 0 && length < TEXT_BYTES - 1) {
        code = sl_stream_read(stream, text + length, TEXT_BYTES - 1 - length, &bytes);
        length += code == 0 ? bytes : 0;
    }
    text[length] = '\0';
    return code;
}

/* What the server answers; it may hang up before it has all of it. */
static int ask(int port, const char *text, size_t length, size_t step, char *answer)
{
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_connect("127.0.0.1", port, &stream));
    for (size_t at = 0; at < length; at += step) {
        if (sl_stream_write(stream, text + at, length - at < step ? length - at : step) < 0) {
            break;
        }
        SL_TRY(sl_checkpoint());
    }
    SL_TRY(sl_stream_shutdown(stream));
    return read_to_end(stream, answer);
}

static int run_case(int port, const struct request_case *this_case, int mode)
{
    static char text[TEXT_BYTES];
    static char wanted[TEXT_BYTES];
    static char answer[TEXT_BYTES];
    static char found[TEXT_BYTES];
    static const char good[] = "GET /good HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char good_answer[] = "200 GET /good []";
    size_t before = mode == PIPELINED ? sizeof good - 1 : 0;
    memcpy(text, good, before);
    size_t length = before + corpus_expand(this_case->text, text + before);
    size_t wanted_before = mode == PIPELINED ? sizeof good_answer - 1 : 0;
    memcpy(wanted, good_answer, wanted_before);
    if (mode == PIPELINED && this_case->answers[0] != '\0') {
        wanted[wanted_before++] = '|';
    }
    (void)corpus_expand(this_case->answers, wanted + wanted_before);
    int code = ask(port, text, length, mode == BYTES ? 1 : TEXT_BYTES, answer);
    if (code != SL_EOF || !summarise(answer, found, sizeof found) || strcmp(found, wanted) != 0) {
        print_error("%s (%s): wanted '%s', found '%s' (%s)\n%s\n", this_case->what,
                    mode == WHOLE   ? "whole"
                    : mode == BYTES ? "a byte at a time"
                                    : "pipelined",
                    wanted, found, sl_error_name(code), answer);
        return 1;
    }
    return 0;
}

C_TEST_REAL_FEW(http_request_corpus, "each request of the corpus is answered as RFC 9112 asks, however it is cut", "")
{
    int failures = 0;
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve, listener, .daemon = true), 0);
    size_t count = sizeof request_cases / sizeof request_cases[0];
    CHECK(count >= 150);
    for (size_t i = 0; i < count; i++) {
        for (int mode = WHOLE; mode < MODES; mode++) {
            failures += run_case(sl_listener_port(listener), &request_cases[i], mode);
        }
    }
    CHECK_EQ(failures, 0);
    return sl_scope_wait(&scope);
}

/* The status that a head is refused with, 200 for a whole one, 0 for one whose end has not come; read `step` bytes at a time. */
static int head_of(const char *text, size_t length, size_t step)
{
    static const struct sl__http_limits limits = {
        .line_bytes = 200, .head_bytes = 1000, .headers = 20, .extension_bytes = 50, .trailer_bytes = 100};
    char data[TEXT_BYTES];
    sl_http_message message;
    int code = 0;
    sl__http_message_begin(&message, SL_HTTP_REQUEST, &limits);
    memcpy(data, text, length);
    for (size_t at = 0; code == 0 && at < length;) {
        at = length - at < step ? length : at + step;
        code = sl__http_message_feed(&message, data, at);
    }
    int status = code == 1 ? 200 : code == 0 ? 0 : message.refused;
    sl__http_message_done(&message);
    return status;
}

static void heads_are_judged_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    for (size_t i = 0; i < sizeof request_cases / sizeof request_cases[0]; i++) {
        size_t length = corpus_expand(request_cases[i].text, text);
        int whole = head_of(text, length, length);
        for (size_t step = 1; step <= 7; step++) {
            int found = head_of(text, length, step);
            if (found != whole) {
                print_error("%s, by %zu bytes: %d, whole %d\n", request_cases[i].what, step, found, whole);
                fail();
            }
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(http_request_corpus), cmocka_unit_test(heads_are_judged_the_same_however_they_are_cut))
