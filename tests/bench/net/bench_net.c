/* SPDX-License-Identifier: MIT */
/*
 * Sluice's side of the network benchmark:
 *   bench_net receive PORT SECONDS [tls]     WebSocket messages a second
 *   bench_net latency PORT SECONDS [tls]     from the sender's write to the task that asked
 *   bench_net serve PORT [CERT KEY]          WebSocket echo, and "hello" for other requests, until SIGTERM
 *   bench_net fetch URL SECONDS CONNECTIONS  GET requests a second over so many connections
 * TLS trusts the certificate in the file that SL_BENCH_CA names.
 */
#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "sluice/sluice.h"

struct job {
    const char *mode;
    int port;
    bool tls;
    const char *url, *certificate, *key;
    int connections;
    sl_time lasts;
    struct latency latency;
};

#define LOOKS_AT_CLOCK 1024

static int receive(void *arg)
{
    struct job *job = arg;
    bool timed = strcmp(job->mode, "latency") == 0;
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_tls_config) *tls = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d/", job->tls ? "wss" : "ws", job->port);
    if (job->tls) {
        SL_TRY(sl_tls_config_open(&(struct sl_tls_options){.ca_file = getenv("SL_BENCH_CA")}, &tls));
    }
    SL_TRY(sl_ws_connect_with(&(struct sl_ws_options){.url = url, .tls = tls}, &ws));
    sl_time since = sl_now();
    uint64_t messages = 0;
    while (messages % LOOKS_AT_CLOCK != 0 || sl_now() - since < job->lasts) {
        struct sl_ws_message message;
        SL_TRY(sl_ws_receive(ws, &message));
        if (timed) {
            latency_add(&job->latency, message.data);
        }
        messages++;
    }
    if (timed) {
        latency_print(&job->latency);
    } else {
        (void)printf("rate %.0f\n", (double)messages / ((double)(sl_now() - since) / 1e9));
    }
    return 0;
}

static int answer(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    if (sl_http_header(exchange->request, "Upgrade") == NULL) {
        return sl_http_respond(exchange, 200, "text/plain", "hello", 5);
    }
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_accept(exchange, &ws));
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code == SL_EOF || code == SL_ECONNRESET ? 0 : code;
}

static int serve(void *arg)
{
    const struct job *job = arg;
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_tls_config) *tls = NULL;
    if (job->tls) {
        SL_TRY(sl_tls_config_open(
            &(struct sl_tls_options){.server = true, .certificate_file = job->certificate, .key_file = job->key},
            &tls));
    }
    SL_TRY(sl_listener_open("127.0.0.1", job->port, &listener));
    return sl_http_serve_with(listener, &(struct sl_http_server_options){.handler = answer, .tls = tls});
}

struct fetching {
    const char *url;
    sl_time until;
    sl_http_client *client;
    uint64_t answers;
};

static int fetch_on(void *arg)
{
    struct fetching *fetching = arg;
    while (sl_now() < fetching->until) {
        sl_auto(sl_response) *response = NULL;
        SL_TRY(sl_fetch(fetching->client, &(sl_request){.url = fetching->url}, &response));
        fetching->answers += sl_response_status(response) == 200;
    }
    return 0;
}

static int fetch_many(void *arg)
{
    const struct job *job = arg;
    size_t connections = (size_t)job->connections;
    sl_auto(sl_http_client) *client = NULL;
    SL_TRY(sl_http_client_open(
        &(struct sl_http_client_options){.connections_per_origin = connections, .idle_max = connections}, &client));
    sl_time since = sl_now();
    struct fetching fetching = {.url = job->url, .until = since + job->lasts, .client = client};
    SL_SCOPE(scope);
    for (int i = 0; i < job->connections; i++) {
        SL_TRY(sl_spawn(&scope, fetch_on, &fetching));
    }
    SL_TRY(sl_scope_wait(&scope));
    (void)printf("rate %.0f\n", (double)fetching.answers / ((double)(sl_now() - since) / 1e9));
    return 0;
}

int main(int argc, char **argv)
{
    static struct job job;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: see the top of bench_net.c\n");
        return 2;
    }
    job.mode = argv[1];
    job.port = (int)strtod(argv[2], NULL);
    job.lasts = argc > 3 ? (sl_time)(strtod(argv[3], NULL) * 1e9) : 0; /* of a file name: 0, and of no use */
    job.tls = argc > 4;
    job.certificate = argc > 4 ? argv[3] : NULL;
    job.key = argc > 4 ? argv[4] : NULL;
    if (strcmp(job.mode, "fetch") == 0 && argc > 4) {
        job.url = argv[2];
        job.connections = (int)strtod(argv[4], NULL);
        return sl_main(fetch_many, &job);
    }
    return sl_main(strcmp(job.mode, "serve") == 0 ? serve : receive, &job);
}
