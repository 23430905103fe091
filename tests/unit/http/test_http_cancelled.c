/* SPDX-License-Identifier: MIT */
/*
 * Fetches and the requests that serve them over the simulated network, cancelled after the n-th step of any task for
 * every n: all of it, the client alone, the server alone; in the clear and over TLS.
 */
#include <string.h>

#include "cancel_steps.h"
#include "sluice/fetch.h"
#include "sluice/simulation.h"
#include "tls_pair.h"

#define PORT 80
#define UPLOAD ((size_t)2500) /* fits into the buffers: the client does not read while it writes */

enum who { ALL, CLIENT, SERVER };

struct plan {
    bool tls;
    enum who who;
};

struct world {
    const struct plan *plan;
    sl_listener *listener;
    sl_tls_config *of_server, *of_client;
};

/* ---- the server ---- */

static int slow(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    SL_TRY(sl_sleep(SL_MILLISECONDS(5)));
    return sl_http_respond(exchange, 200, "text/plain", "slow", 4);
}

static int move(void *arg, sl_http_exchange *exchange)
{
    static const struct sl_http_field to = {"Location", "/slow"};
    (void)arg;
    return sl_http_respond_with(exchange, &(struct sl_http_answer){.status = 302, .headers = &to, .header_count = 1});
}

static int mirror(void *arg, sl_http_exchange *exchange)
{
    char piece[2000];
    size_t bytes = 0;
    int code;
    (void)arg;
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200}));
    while ((code = sl_http_read(exchange, piece, sizeof piece, &bytes)) == 0) {
        SL_TRY(sl_http_write(exchange, piece, bytes));
        SL_TRY(sl_http_flush(exchange));
    }
    return code == SL_EOF ? sl_http_end(exchange) : code;
}

static int events(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    SL_TRY(sl_http_events_begin(exchange));
    SL_TRY(sl_http_events_send(exchange, &(struct sl_http_event){.data = "one", .data_bytes = 3}));
    SL_TRY(sl_sleep(SL_MILLISECONDS(5)));
    return sl_http_events_comment(exchange, "bye");
}

static int serve(void *arg)
{
    struct world *world = arg;
    const struct sl_http_route routes[] = {
        {.method = "GET", .pattern = "/slow", .handler = slow},
        {.method = "GET", .pattern = "/move", .handler = move},
        {.method = "GET", .pattern = "/events", .handler = events},
        {.method = "POST", .pattern = "/mirror", .handler = mirror, .stream_body = true}};
    const struct sl_http_server_options options = {.routes = routes,
                                                   .route_count = sizeof routes / sizeof routes[0],
                                                   .tls = world->plan->tls ? world->of_server : NULL};
    SL_SCOPE(scope, .name = "serving");
    if (world->plan->who == SERVER) {
        cancel_steps_aim(&scope);
    }
    int code = sl_http_serve_with(world->listener, &options);
    if (world->plan->who == SERVER) {
        cancel_steps_aim(NULL);
    }
    return sl_scope_close(&scope, code);
}

/* ---- the clients ---- */

struct source {
    size_t left;
};

static int next_piece(void *context, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct source *source = context;
    if (source->left == 0) {
        return SL_EOF;
    }
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    *ret_bytes = source->left < size_bytes ? source->left : size_bytes;
    *ret_bytes = *ret_bytes < 1000 ? *ret_bytes : 1000;
    memset(buffer, 'u', *ret_bytes);
    source->left -= *ret_bytes;
    return 0;
}

static int upload(sl_http_client *client, const char *url)
{
    struct source source = {UPLOAD};
    sl_auto(sl_response) *response = NULL;
    char piece[4000];
    size_t bytes = 0;
    size_t total = 0;
    int code;
    const sl_request request = {.url = url,
                                .method = "POST",
                                .body_next = next_piece,
                                .body_context = &source,
                                .expect_continue = true,
                                .stream = true};
    SL_TRY(sl_fetch(client, &request, &response));
    while ((code = sl_response_read(response, piece, sizeof piece, &bytes)) == 0) {
        total += bytes;
    }
    CHECK(code != SL_EOF || total == UPLOAD);
    return code == SL_EOF ? 0 : code;
}

static int download(sl_http_client *client, const char *url)
{
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_fetch(client, &(sl_request){.url = url}, &response));
    CHECK_EQ(sl_response_status(response), 200);
    return 0;
}

static int fetch_all(const struct world *world)
{
    const struct sl_http_client_options options = {.tls = world->of_client};
    bool tls = world->plan->tls;
    sl_auto(sl_http_client) *client = NULL;
    SL_TRY(sl_http_client_open(&options, &client));
    SL_TRY(download(client, tls ? "https://server.test:80/move" : "http://server.test/move"));
    SL_TRY(upload(client, tls ? "https://server.test:80/mirror" : "http://server.test/mirror"));
    return download(client, tls ? "https://server.test:80/events" : "http://server.test/events");
}

/* Requests that come together, the first of which waits. */
static int pipeline(const struct world *world)
{
    static const char requests[] = "GET /move HTTP/1.1\r\nHost: x\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
                                   "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const struct sl_connect_options where = {
        .address = "server.test", .port = PORT, .tls = world->plan->tls ? world->of_client : NULL};
    sl_auto(sl_stream) *stream = NULL;
    char text[500];
    size_t bytes = 0;
    int code;
    SL_TRY(sl_connect_with(&where, &stream));
    SL_TRY(sl_stream_write(stream, requests, sizeof requests - 1));
    while ((code = sl_stream_read(stream, text, sizeof text, &bytes)) == 0) {
    }
    return code == SL_EOF ? 0 : code;
}

static int use_server(const struct world *world)
{
    SL_SCOPE(scope, .name = "using", .timeout = SL_SECONDS(3600));
    if (world->plan->who == CLIENT) {
        cancel_steps_aim(&scope);
    }
    int code = fetch_all(world);
    code = code == 0 ? pipeline(world) : code;
    if (world->plan->who == CLIENT) {
        cancel_steps_aim(NULL);
    }
    return sl_scope_close(&scope, code);
}

/* ---- the whole ---- */

static int play(struct world *world)
{
    const struct sl_link_options link = {.latency = SL_MILLISECONDS(1), .buffer_bytes = 3000};
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_host("server.test", NULL));
    SL_TRY(sl_network_link(NULL, NULL, &link));
    SL_TRY(sl_network_enter("server.test"));
    SL_TRY(sl_listener_open("0.0.0.0", PORT, &world->listener));
    if (world->plan->who != ALL) {
        cancel_steps_aim(NULL);
    }
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, serve, world, .daemon = true));
    SL_TRY(sl_network_enter(SL_NETWORK_HOME));
    int code = use_server(world);
    /* A server that is cancelled resets its connections and answers no new ones. */
    bool known = code == 0 || code == SL_ECONNRESET || code == SL_EPIPE || code == SL_ETIMEDOUT;
    CHECK(world->plan->who == SERVER ? known : code == 0 || (world->plan->who == ALL && code == SL_ECANCELED));
    return sl_scope_close(&scope, code == SL_ECANCELED ? code : 0);
}

static int play_afresh(void *arg)
{
    struct world world = {.plan = arg};
    struct sl_tls_options of_server = tls_server_options(TLS_SERVER);
    struct sl_tls_options of_client = tls_client_options();
    CHECK_EQ(sl_tls_config_open(&of_server, &world.of_server), 0);
    CHECK_EQ(sl_tls_config_open(&of_client, &world.of_client), 0);
    int code = play(&world);
    sl_listener_close(world.listener);
    sl_tls_config_free(world.of_server);
    sl_tls_config_free(world.of_client);
    return code;
}

static int each_step(const struct sl_run_options *options, bool tls, enum who who)
{
    struct plan plan = {tls, who};
    if (options->simulation == NULL) {
        return 0; /* there is no simulated network in the real world */
    }
    int64_t steps = cancel_at_each_step(options, play_afresh, &plan);
    print_message("%lld steps\n", (long long)steps);
    CHECK(steps > 50);
    return 0;
}

#define CASE(name, text, tls, who)                                                                                     \
    C_TEST_RUNS_FEW(name, text, "")                                                                                    \
    {                                                                                                                  \
        return each_step(options, tls, who);                                                                           \
    }

CASE(all_cancelled, "client and server cancelled at each step", false, ALL)
CASE(client_cancelled, "the client alone: the server goes on", false, CLIENT)
CASE(server_cancelled, "the server alone: the client learns of it", false, SERVER)
CASE(all_cancelled_over_tls, "the same over TLS", true, ALL)
CASE(client_cancelled_over_tls, "the same over TLS", true, CLIENT)
CASE(server_cancelled_over_tls, "the same over TLS", true, SERVER)

SL_TEST_MAIN(cmocka_unit_test(all_cancelled), cmocka_unit_test(client_cancelled), cmocka_unit_test(server_cancelled),
             cmocka_unit_test(all_cancelled_over_tls), cmocka_unit_test(client_cancelled_over_tls),
             cmocka_unit_test(server_cancelled_over_tls))
