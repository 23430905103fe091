/* SPDX-License-Identifier: MIT */
/* The HTTP client, whose server answers anything. The first byte chooses how the bytes are cut. */
#include "fuzz_run.h"
#include "sluice/fetch.h"
#include "sluice/simulation.h"

#define BODY_BYTES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

struct server {
    sl_listener *listener;
    struct fuzz_writer writer;
};

/* Answers each connection with the input, so that a second try meets it too. */
static int serve(void *arg)
{
    struct server *server = arg;
    for (;;) {
        struct fuzz_writer writer = server->writer;
        SL_TRY(sl_listener_accept(server->listener, &writer.stream));
        sl_auto(sl_stream) *stream = writer.stream;
        SL_TRY(fuzz_write(&writer));
        SL_TRY(fuzz_drain(stream));
    }
}

static int session(void *arg)
{
    struct fuzz_input *input = arg;
    struct server server = {.writer.chunk_bytes = fuzz_byte(input)};
    server.writer.input = *input;
    SL_TRY(sl_network_simulate());
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", 80, &listener));
    server.listener = listener;
    SL_SCOPE(scope, .timeout = FUZZ_PATIENCE);
    SL_TRY(sl_spawn(&scope, serve, &server, .daemon = true));
    sl_auto(sl_http_client) *client = NULL;
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.body_bytes_max = BODY_BYTES_MAX}, &client));
    for (int i = 0; i < 2; i++) { /* the second meets what the first left in the pool */
        sl_auto(sl_response) *response = NULL;
        int code = sl_fetch(client, &(sl_request){.url = "http://127.0.0.1/"}, &response);
        if (code == SL_ECANCELED) {
            abort(); /* only the deadline of the whole run cancels: it hung */
        }
        if (code == 0) {
            size_t body_bytes = 0;
            const char *body = sl_response_body(response, &body_bytes);
            if (body[body_bytes] != '\0' || body_bytes > BODY_BYTES_MAX || sl_response_status(response) < 200) {
                abort();
            }
        }
    }
    return sl_scope_wait(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = {data, size_bytes};
    fuzz_run(session, &input);
    return 0;
}
