/* SPDX-License-Identifier: MIT */
/* WebSockets and fetches go through the proxy and come from the address that they are told. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/net.h"
#include "sluice/ws.h"

/* A proxy that lets nobody through, and remembers what it was asked for and from where. */
struct proxy {
    sl_listener *listener;
    char asked[512];
    char peer[64];
    char url[64];
};

static int refuse(void *arg)
{
    struct proxy *proxy = arg;
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_listener_accept(proxy->listener, &stream));
    sl_stream_peer(stream, proxy->peer, sizeof proxy->peer);
    size_t used = 0;
    while (strstr(proxy->asked, "\r\n\r\n") == NULL) {
        size_t got = 0;
        SL_TRY(sl_stream_read(stream, proxy->asked + used, sizeof proxy->asked - 1 - used, &got));
        used += got;
    }
    static const char no[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    return sl_stream_write(stream, no, sizeof no - 1);
}

static int open_proxy(struct proxy *proxy, sl_scope *scope)
{
    memset(proxy, 0, sizeof *proxy);
    SL_TRY(sl_listener_open("127.0.0.1", 0, &proxy->listener));
    (void)snprintf(proxy->url, sizeof proxy->url, "http://127.0.0.1:%d", sl_listener_port(proxy->listener));
    return sl_spawn(scope, refuse, proxy);
}

C_TEST_REAL_FEW(a_websocket_goes_through_its_proxy, "", "")
{
    struct proxy proxy;
    SL_SCOPE(scope, .name = "proxy");
    CHECK_EQ(open_proxy(&proxy, &scope), 0);
    sl_ws *ws = NULL;
    struct sl_ws_options options = {
        .url = "ws://venue.example/stream", .proxy = proxy.url, .local_address = "127.0.0.9"};
    CHECK_EQ(sl_ws_connect_with(&options, &ws), -EACCES);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(strncmp(proxy.asked, "CONNECT venue.example:80 HTTP/1.1\r\n", 35) == 0);
    CHECK(strstr(proxy.peer, "127.0.0.9") != NULL);
    sl_listener_close(proxy.listener);
    return 0;
}

C_TEST_REAL_FEW(a_fetch_goes_through_its_proxy, "", "")
{
    struct proxy proxy;
    SL_SCOPE(scope, .name = "proxy");
    CHECK_EQ(open_proxy(&proxy, &scope), 0);
    sl_http_client *client = NULL;
    struct sl_http_client_options options = {.proxy = proxy.url, .local_address = "127.0.0.9"};
    CHECK_EQ(sl_http_client_open(&options, &client), 0);
    sl_response *response = NULL;
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = "https://venue.example/time"}, &response), -EACCES);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(strncmp(proxy.asked, "CONNECT venue.example:443 HTTP/1.1\r\n", 36) == 0);
    CHECK(strstr(proxy.peer, "127.0.0.9") != NULL);
    sl_http_client_free(client);
    sl_listener_close(proxy.listener);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_websocket_goes_through_its_proxy), cmocka_unit_test(a_fetch_goes_through_its_proxy))
