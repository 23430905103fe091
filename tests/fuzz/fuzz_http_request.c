/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server, whose client sends anything. The first byte chooses how the bytes are cut and how bodies are
 * read; what the server answers must be HTTP/1.1 answers.
 */
#include "fuzz_run.h"
#include "sluice/http.h"
#include "sluice/simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static int answer(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    size_t body_bytes = 0;
    const char *body = sl_http_body(exchange->request, &body_bytes);
    char value[32];
    int code = sl_http_query(exchange->request, "a", value, sizeof value);
    if (code < 0 && code != SL_ENOENT && code != SL_EINVAL && code != SL_EMSGSIZE) {
        abort();
    }
    for (size_t i = 0; i < sl_http_header_count(exchange->request); i++) {
        struct sl_http_field field = sl_http_header_at(exchange->request, i);
        if (strlen(field.name) == 0 || sl_http_header(exchange->request, field.name) == NULL ||
            strpbrk(field.value, "\r\n") != NULL) {
            abort();
        }
    }
    return sl_http_respond(exchange, 200, "text/plain", body, body_bytes);
}

static int stream_answer(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    char buffer[128];
    size_t bytes = 0;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200}));
    int code;
    while ((code = sl_http_read(exchange, buffer, sizeof buffer, &bytes)) == 0) {
        SL_TRY(sl_http_write(exchange, buffer, bytes));
    }
    return code == SL_EOF ? sl_http_end(exchange) : code;
}

static int serve(void *arg)
{
    static const struct sl_http_route routes[] = {
        {.method = "POST", .pattern = "/s/{name...}", .handler = stream_answer, .stream_body = true},
        {.method = "GET", .pattern = "/r/{name}", .handler = answer}};
    return sl_http_serve_with(arg, &(struct sl_http_server_options){
                                       .routes = routes, .route_count = 2, .handler = answer, .body_bytes_max = 4096});
}

/* Whatever came: the server answers by status lines, and ends the connection in the end. */
static int read_answers(void *arg)
{
    struct sl_view view = {NULL, 0};
    int code = sl_stream_peek(arg, 9, &view);
    if (code == 0 && memcmp(view.data, "HTTP/1.1 ", 9) != 0) {
        abort();
    }
    sl_stream_consume(arg, view.size_bytes);
    return fuzz_drain(arg);
}

static int session(void *arg)
{
    struct fuzz_input *input = arg;
    struct fuzz_writer writer = {.chunk_bytes = fuzz_byte(input)};
    writer.input = *input;
    SL_TRY(sl_network_simulate());
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", 80, &listener));
    SL_SCOPE(scope, .timeout = FUZZ_PATIENCE);
    SL_TRY(sl_spawn(&scope, serve, listener, .daemon = true));
    SL_TRY(sl_connect("127.0.0.1", 80, &writer.stream));
    sl_auto(sl_stream) *stream = writer.stream;
    {
        SL_SCOPE(client, .timeout = FUZZ_PATIENCE);
        SL_TRY(sl_spawn(&client, fuzz_write, &writer));
        SL_TRY(sl_spawn(&client, read_answers, stream));
        SL_TRY(sl_scope_wait(&client));
    }
    return sl_scope_wait(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = {data, size_bytes};
    fuzz_run(session, &input);
    return 0;
}
