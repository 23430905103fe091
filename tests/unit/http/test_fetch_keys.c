/* SPDX-License-Identifier: MIT */
/* Redirects to another origin: which headers of a request go along. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"

/* Answers with the names of the request's headers and its body: "host,accept|body". */
static int tell(void *arg, sl_http_exchange *exchange)
{
    const sl_http_message *request = exchange->request;
    char text[2048];
    size_t length = 0;
    size_t body_bytes = 0;
    (void)arg;
    for (size_t i = 0; i < sl_http_header_count(request); i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i == 0 ? "" : ",",
                                   sl_http_header_at(request, i).name);
    }
    const char *body = sl_http_body(request, &body_bytes);
    length += (size_t)snprintf(text + length, sizeof text - length, "|%.*s", (int)body_bytes, body);
    return sl_http_respond(exchange, 200, NULL, text, length);
}

static int redirect(void *arg, sl_http_exchange *exchange)
{
    char status[8];
    char to[256];
    (void)arg;
    SL_TRY(sl_http_parameter(exchange, "status", status, sizeof status));
    SL_TRY(sl_http_query(exchange->request, "to", to, sizeof to));
    const struct sl_http_field location = {"Location", to};
    return sl_http_respond_with(exchange,
                                &(struct sl_http_answer){.status = 300 + (status[1] - '0') * 10 + (status[2] - '0'),
                                                         .headers = &location,
                                                         .header_count = 1});
}

static int serve(void *arg)
{
    const struct sl_http_route routes[] = {{.method = "GET", .pattern = "/go/{status}", .handler = redirect},
                                           {.method = "POST", .pattern = "/go/{status}", .handler = redirect}};
    return sl_http_serve_with(arg,
                              &(struct sl_http_server_options){.routes = routes, .route_count = 2, .handler = tell});
}

static const struct sl_http_field fields[] = {{"Authorization", "Bearer t"},
                                              {"Cookie", "session=1"},
                                              {"Proxy-Authorization", "Basic x"},
                                              {"X-MBX-APIKEY", "k"},
                                              {"X-BAPI-SIGN", "s"},
                                              {"OK-ACCESS-PASSPHRASE", "p"},
                                              {"API-Key", "k"},
                                              {"X-Anything-At-All", "k"},
                                              {"Referer", "https://inside.example/?token=t"},
                                              {"Content-Type", "text/plain"},
                                              {"content-encoding", "identity"},
                                              {"Accept-Language", "en"},
                                              {"ACCEPT", "text/plain"},
                                              {"User-Agent", "test"}};
#define FIELDS (sizeof fields / sizeof fields[0])

#define ALL_OWN                                                                                                        \
    "Authorization,Cookie,Proxy-Authorization,X-MBX-APIKEY,X-BAPI-SIGN,OK-ACCESS-PASSPHRASE,API-Key,"                  \
    "X-Anything-At-All,Referer,"

static int posted(sl_http_client *client, const char *url, const char *wanted)
{
    sl_auto(sl_response) *response = NULL;
    const sl_request request = {
        .url = url, .method = "POST", .headers = fields, .header_count = FIELDS, .body = "b", .body_bytes = 1};
    SL_TRY(sl_fetch(client, &request, &response));
    CHECK_EQ(sl_response_status(response), 200);
    CHECK_STRING(sl_response_body(response, NULL), wanted);
    return 0;
}

C_TEST_REAL_FEW(keys_stay_at_home, "a redirect to another origin takes along only headers that hold no keys", "")
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_listener) *other = NULL;
    char url[512];
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &other), 0);
    int port = sl_listener_port(listener);
    int port_of_other = sl_listener_port(other);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve, listener, .daemon = true), 0);
    CHECK_EQ(sl_spawn(&scope, serve, other, .daemon = true), 0);

    /* The same origin: everything goes along. */
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/go/307?to=/x", port);
    CHECK_EQ(posted(client, url,
                    "Host," ALL_OWN "Content-Type,content-encoding,Accept-Language,ACCEPT,User-Agent,"
                    "Accept-Encoding,Content-Length|b"),
             0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/go/303?to=/x", port);
    CHECK_EQ(posted(client, url, "Host," ALL_OWN "Accept-Language,ACCEPT,User-Agent,Accept-Encoding|"), 0);

    /* Another host, and another port of the same. */
    static const char abroad[] = "Host,Content-Type,content-encoding,Accept-Language,ACCEPT,User-Agent,"
                                 "Accept-Encoding,Content-Length|b";
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/go/307?to=http://localhost:%d/x", port, port);
    CHECK_EQ(posted(client, url, abroad), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/go/308?to=//127.0.0.1:%d/x", port, port_of_other);
    CHECK_EQ(posted(client, url, abroad), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/go/302?to=http://localhost:%d/x", port, port);
    CHECK_EQ(posted(client, url, "Host,Accept-Language,ACCEPT,User-Agent,Accept-Encoding|"), 0);

    /* There and back: what was dropped stays dropped. */
    (void)snprintf(url, sizeof url,
                   "http://127.0.0.1:%d/go/307?to=http://127.0.0.1:%d/go/307%%3Fto%%3Dhttp://127.0.0.1:%d/x", port,
                   port_of_other, port);
    CHECK_EQ(posted(client, url, abroad), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/go/307?to=http://127.0.0.1:%d/go/307%%3Fto%%3D/x", port,
                   port_of_other); /* and on, within the other origin */
    CHECK_EQ(posted(client, url, abroad), 0);
    CHECK_EQ(sl_http_client_counts_get(client).redirects, 9);
    return sl_scope_close(&scope, 0);
}

SL_TEST_MAIN(cmocka_unit_test(keys_stay_at_home))
