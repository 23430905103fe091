/* SPDX-License-Identifier: MIT */
/* A WebSocket server that sends every message back:   ws_echo_server PORT [--deflate]   (port 0: the system's choice) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/sluice.h"

struct echo_server {
    int port;
    struct sl_ws_options options;
};

static int echo(void *arg, sl_http_exchange *exchange)
{
    const struct echo_server *server = arg;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_accept_with(exchange, &server->options, &ws));
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code == SL_EOF ? 0 : code;
}

static int serve(void *arg)
{
    struct echo_server *server = arg;
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", server->port, &listener));
    (void)printf("listening on ws://127.0.0.1:%d\n", sl_listener_port(listener));
    (void)fflush(stdout);
    return sl_http_serve(listener, echo, server);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: ws_echo_server PORT [--deflate]\n");
        return 2;
    }
    struct echo_server server = {.port = (int)strtod(argv[1], NULL)};
    server.options.deflate.on = argc > 2 && strcmp(argv[2], "--deflate") == 0;
    return sl_main(serve, &server);
}
