/* SPDX-License-Identifier: MIT */
/* The server of the tests of policies. */
#include "scripted_server.h"

#include <string.h>

#include "sluice/http.h"
#include "sluice/simulation.h"

static int answer_next(struct scripted_server *server, sl_http_exchange *exchange)
{
    struct scripted_answer answer = {.status = 200};
    if (server->script_count > 0) {
        answer = server->script[server->at];
        server->at += server->at + 1 < server->script_count;
    }
    size_t headers = 0;
    while (headers < SCRIPTED_HEADERS_MAX && answer.headers[headers].name != NULL) {
        headers++;
    }
    if (answer.delay > 0) {
        SL_TRY(sl_sleep(answer.delay));
    }
    const char *body = answer.body == NULL ? "" : answer.body;
    struct sl_http_answer head = {.status = answer.status == 0 ? 200 : answer.status,
                                  .headers = answer.headers,
                                  .header_count = headers,
                                  .body = body,
                                  .body_bytes = strlen(body)};
    if (answer.cut) {
        head.body_bytes = 100;
        SL_TRY(sl_http_begin(exchange, &head));
        SL_TRY(sl_http_write(exchange, "half", 4));
        SL_TRY(sl_http_flush(exchange));
        return SL_ECONNRESET;
    }
    return sl_http_respond_with(exchange, &head);
}

static int handle(void *arg, sl_http_exchange *exchange)
{
    struct scripted_server *server = arg;
    server->times[server->seen++ % SCRIPTED_TIMES_MAX] = sl_now();
    (void)snprintf(server->last_method, sizeof server->last_method, "%s", sl_http_method(exchange->request));
    server->under_way++;
    server->most_under_way = server->under_way > server->most_under_way ? server->under_way : server->most_under_way;
    SL_TRY(sl_http_watch(exchange));
    int code = answer_next(server, exchange);
    server->under_way--;
    server->cancelled += code == SL_ECANCELED;
    return code;
}

static int serve(void *arg)
{
    struct scripted_server *server = arg;
    return sl_http_serve(server->listener, handle, server);
}

int scripted_server_start(struct scripted_server *server)
{
    *server = (struct scripted_server){.listener = NULL};
    if (sl_conformance_simulated()) {
        int code = sl_network_simulate();
        SL_TRY(code == SL_EALREADY ? 0 : code);
    }
    SL_TRY(sl_listener_open("127.0.0.1", 0, &server->listener));
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d/", sl_listener_port(server->listener));
    SL_TRY(sl_scope_open(&server->scope, NULL));
    server->open = true;
    return sl_spawn(&server->scope, serve, server, .daemon = true);
}

int scripted_server_stop(struct scripted_server *server)
{
    int code = server->open ? sl_scope_close(&server->scope, 0) : 0;
    sl_listener_close(server->listener);
    return code;
}

void scripted_server_script(struct scripted_server *server, const struct scripted_answer *script, size_t count)
{
    assert_true(count <= sizeof server->script / sizeof server->script[0]);
    memcpy(server->script, script, count * sizeof *script);
    server->script_count = count;
    server->at = server->seen = server->most_under_way = server->cancelled = 0;
}

size_t scripted_server_most_within(const struct scripted_server *server, sl_time period)
{
    size_t most = 0;
    for (size_t first = 0, last = 0; last < server->seen && last < SCRIPTED_TIMES_MAX; last++) {
        while (server->times[last] - server->times[first] >= period) {
            first++;
        }
        most = last - first + 1 > most ? last - first + 1 : most;
    }
    return most;
}
