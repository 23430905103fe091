/* SPDX-License-Identifier: MIT */
/* The corpus of answers against the client: whole, and a byte at a time. */
#include <stdio.h>
#include <string.h>

#include "corpus.h"
#include "response_cases.h"
#include "sl_conformance.h"
#include "sluice/fetch.h"

#define TEXT_BYTES 8192

struct script {
    sl_listener *listener;
    const char *text;
    size_t text_bytes, step;
};

static int read_request(sl_stream *stream)
{
    struct sl_view view = {NULL, 0};
    while (view.size_bytes < 4 || memcmp(view.data + view.size_bytes - 4, "\r\n\r\n", 4) != 0) {
        SL_TRY(sl_stream_peek(stream, view.size_bytes + 1, &view));
    }
    sl_stream_consume(stream, view.size_bytes);
    return 0;
}

/* Sends what it is told to the first request, then ends the connection. */
static int answer(void *arg)
{
    const struct script *script = arg;
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_listener_accept(script->listener, &stream));
    SL_TRY(read_request(stream));
    for (size_t at = 0; at < script->text_bytes; at += script->step) {
        size_t left = script->text_bytes - at;
        if (sl_stream_write(stream, script->text + at, left < script->step ? left : script->step) < 0) {
            return 0; /* the client has seen enough */
        }
        SL_TRY(sl_checkpoint());
    }
    if (sl_stream_shutdown(stream) < 0) {
        return 0;
    }
    char rest[64];
    size_t bytes;
    while (sl_stream_read(stream, rest, sizeof rest, &bytes) == 0) {
    }
    return 0;
}

static int fetch_once(struct script *script, const struct response_case *this_case, char *found)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *response = NULL;
    const struct sl_http_client_options options = {.head_bytes_max = 1000, .body_bytes_max = 100};
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", sl_listener_port(script->listener));
    CHECK_EQ(sl_http_client_open(&options, &client), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, answer, script, .daemon = true), 0);
    int code = sl_fetch(client, &(sl_request){.url = url, .method = this_case->method}, &response);
    if (code == 0) {
        (void)snprintf(found, TEXT_BYTES, "%d [%s]", sl_response_status(response), sl_response_body(response, NULL));
    }
    CHECK(code == 0 || response == NULL);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    return code;
}

static int run_case(sl_listener *listener, const struct response_case *this_case, size_t step)
{
    static char text[TEXT_BYTES];
    static char wanted[TEXT_BYTES];
    static char found[TEXT_BYTES];
    struct script script = {.listener = listener, .text = text, .step = step};
    script.text_bytes = corpus_expand(this_case->text, text);
    (void)corpus_expand(this_case->answer == NULL ? "" : this_case->answer, wanted);
    found[0] = '\0';
    int code = fetch_once(&script, this_case, found);
    if (code != this_case->code || strcmp(found, wanted) != 0) {
        print_error("%s (%s): wanted %s '%s', found %s '%s' (%s)\n", this_case->what,
                    step == 1 ? "a byte at a time" : "whole", sl_error_name(this_case->code), wanted,
                    sl_error_name(code), found, sl_error_message(sl_error_last()));
        return 1;
    }
    return 0;
}

C_TEST_REAL_FEW(http_response_corpus, "each answer of the corpus is taken as RFC 9112 asks, however it is cut", "")
{
    int failures = 0;
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    size_t count = sizeof response_cases / sizeof response_cases[0];
    CHECK(count >= 80);
    for (size_t i = 0; i < count; i++) {
        failures += run_case(listener, &response_cases[i], TEXT_BYTES);
        failures += run_case(listener, &response_cases[i], 1);
    }
    CHECK_EQ(failures, 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(http_response_corpus))
