/* SPDX-License-Identifier: MIT */
/*
 * What a project outside of Sluice does with it: a server and a client of WebSocket, JSON, a configuration, TLS, in a
 * supervised scope. So each library that libsluice needs has to be found and linked.
 */
#include <stdio.h>
#include <string.h>

#include <sluice/sluice.h>

struct settings {
    uint64_t messages;
};

static const struct sl_config_field fields[] = {
    {SL_CONFIG_AT(struct settings, messages), .type = SL_CONFIG_UINT, .default_text = "3"}};
static const struct sl_config_section section = {SL_CONFIG_TABLE("outside", struct settings, fields)};

struct outside {
    const struct settings *settings;
    sl_listener *listener;
    uint64_t sum;
};

static int echo(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_message message;
    int code = sl_ws_accept(exchange, &ws);
    while (code == 0 && (code = sl_ws_receive(ws, &message)) == 0) {
        code = sl_ws_send(ws, message.kind, message.data, message.size_bytes);
    }
    return code == SL_EOF ? 0 : code;
}

static int serve(void *arg)
{
    const struct outside *outside = arg;
    return sl_http_serve(outside->listener, echo, NULL);
}

static int ask(void *arg)
{
    struct outside *outside = arg;
    char url[64], text[64];
    sl_auto(sl_json) *json = NULL;
    sl_auto(sl_ws) *ws = NULL;
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%d/", sl_listener_port(outside->listener));
    SL_TRY(sl_json_new(0, &json));
    SL_TRY(sl_ws_connect_with(&(struct sl_ws_options){.url = url, .deflate = {.on = true}}, &ws));
    for (uint64_t i = 1; i <= outside->settings->messages; i++) {
        struct sl_ws_message message;
        uint64_t number = 0;
        int length = snprintf(text, sizeof text, "{\"number\":%u}", (unsigned)i);
        SL_TRY(sl_ws_send(ws, SL_WS_TEXT, text, (size_t)length));
        SL_TRY(sl_ws_receive(ws, &message));
        SL_TRY(sl_json_open(json, message.data, message.size_bytes, SL_JSON_PADDED));
        SL_TRY(sl_json_enter_object(json));
        SL_TRY(sl_json_find_field(json, "number"));
        SL_TRY(sl_json_get_uint64(json, &number));
        outside->sum += number;
    }
    return sl_ws_close(ws, 1000, "enough");
}

static int run(void *arg)
{
    struct outside *outside = arg;
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_http_client) *client = NULL;
    SL_TRY(sl_http_client_open(NULL, &client)); /* brings TLS, name look-ups and unpacking along */
    SL_TRY(sl_listener_open("127.0.0.1", 0, &listener));
    outside->listener = listener;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    SL_TRY(sl_spawn(&scope, serve, outside, .daemon = true));
    SL_TRY(sl_spawn(&scope, ask, outside, .restart = SL_ON_FAILURE));
    return sl_scope_wait(&scope);
}

int main(void)
{
    sl_auto(sl_config) *config = NULL;
    const char text[] = "messages: 4";
    const struct sl_config_source source = {"outside.yaml", text, strlen(text)};
    int code = sl_config_load(&(struct sl_config_options){.root = &section, .sources = &source, .source_count = 1},
                              &config, NULL);
    struct outside outside = {.settings = code == 0 ? sl_config_root(config) : NULL};
    int status = code == 0 ? sl_main(run, &outside) : 1;
    printf("outside: %u\n", (unsigned)outside.sum);
    return status;
}
