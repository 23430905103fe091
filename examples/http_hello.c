/* SPDX-License-Identifier: MIT */
/*
 * http_hello PORT: a web server on 127.0.0.1 that answers "hello" to GET /. Port 0 lets the system choose; the port is
 * printed. Ctrl-C finishes the requests that run, then ends.
 */
#include <stdio.h>

#include "sluice/sluice.h"

static int hello(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, "text/plain", "hello", 5);
}

static int serve(void *arg)
{
    static const struct sl_http_route routes[] = {{.method = "GET", .pattern = "/", .handler = hello}};
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", *(const int *)arg, &listener));
    (void)printf("http://127.0.0.1:%d/\n", sl_listener_port(listener));
    (void)fflush(stdout);
    return sl_http_serve_with(listener, &(struct sl_http_server_options){.routes = routes, .route_count = 1});
}

static int number_of(const char *text)
{
    int number = 0;
    for (; *text >= '0' && *text <= '9' && number <= 65535; text++) {
        number = number * 10 + (*text - '0');
    }
    return *text == '\0' ? number : -1;
}

int main(int argc, char **argv)
{
    int port = argc == 2 ? number_of(argv[1]) : -1;
    if (port < 0) {
        (void)fprintf(stderr, "usage: http_hello PORT\n");
        return 2;
    }
    return sl_main(serve, &port);
}
