/* SPDX-License-Identifier: MIT */
/* https and wss of clients that were given no configuration; certificates that are refused; stages that take too long. */
#include <stdlib.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/simulation.h"
#include "sluice/ws.h"
#include "tls_certificates.h"
#include "tls_pair.h"

struct world {
    sl_listener *listener;
    sl_tls_config *tls;
    int port;
};

static int echo(void *arg, sl_http_exchange *exchange)
{
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_message message;
    int code;
    (void)arg;
    SL_TRY(sl_ws_accept(exchange, &ws));
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code == SL_EOF ? 0 : code;
}

static int say_ok(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, NULL, "ok", 2);
}

static int serve(void *arg)
{
    const struct world *world = arg;
    const struct sl_http_route routes[] = {{.method = "GET", .pattern = "/ws", .handler = echo}};
    return sl_http_serve_with(
        world->listener,
        &(struct sl_http_server_options){.routes = routes, .route_count = 1, .handler = say_ok, .tls = world->tls});
}

static int start(sl_scope *scope, struct world *world, enum tls_certificate certificate)
{
    struct sl_tls_options options = tls_server_options(certificate);
    SL_TRY(sl_tls_config_open(&options, &world->tls));
    SL_TRY(sl_listener_open("127.0.0.1", 0, &world->listener));
    world->port = sl_listener_port(world->listener);
    return sl_spawn(scope, serve, world, .daemon = true);
}

static int stop(sl_scope *scope, struct world *world)
{
    int code = sl_scope_close(scope, 0);
    sl_listener_close(world->listener);
    sl_tls_config_free(world->tls);
    return code;
}

static int fetch_once(const struct world *world)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *response = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "https://localhost:%d/", world->port);
    SL_TRY(sl_http_client_open(NULL, &client));
    SL_TRY(sl_fetch(client, &(sl_request){.url = url}, &response));
    return strcmp(sl_response_body(response, NULL), "ok") == 0 ? 0 : SL_EPROTO;
}

static int fetch_task(void *arg)
{
    return fetch_once(arg);
}

static int echo_once(const struct world *world, bool *ret_resumed)
{
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_message message;
    struct sl_tls_info info;
    char url[64];
    (void)snprintf(url, sizeof url, "wss://localhost:%d/ws", world->port);
    SL_TRY(sl_ws_connect(url, &ws));
    SL_TRY(sl_tls_info(sl_ws_stream(ws), &info));
    *ret_resumed = info.resumed;
    SL_TRY(sl_ws_send(ws, SL_WS_TEXT, "hello", 5));
    SL_TRY(sl_ws_receive(ws, &message));
    return sl_ws_close(ws, 1000, NULL);
}

static const char *last_error(void)
{
    const sl_error *error = sl_error_last();
    return error == NULL ? "" : sl_error_message(error);
}

/* OpenSSL looks for the system's authorities where these say. */
static void trust(enum tls_certificate authority)
{
    (void)setenv("SSL_CERT_FILE", tls_identity_file(authority, false), 1);
    (void)setenv("SSL_CERT_DIR", "/nowhere", 1);
}

C_TEST_REAL_FEW(https_simply_works, "https:// and wss:// without any configuration trust the system's authorities", "")
{
    struct world world = {.port = 0};
    bool resumed = true;
    trust(TLS_CA);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, TLS_SERVER), 0);
    {
        SL_SCOPE(crowd); /* the first users come together: one configuration is made */
        for (int i = 0; i < 8; i++) {
            CHECK_EQ(sl_spawn(&crowd, fetch_task, &world), 0);
        }
        CHECK_EQ(sl_scope_wait(&crowd), 0);
    }
    sl_tls_config *one = NULL;
    sl_tls_config *other = NULL;
    CHECK_EQ(sl_tls_default(&one), 0);
    CHECK_EQ(sl_tls_default(&other), 0);
    CHECK(one == other);
    CHECK_EQ(echo_once(&world, &resumed), 0);
    CHECK_EQ(echo_once(&world, &resumed), 0);
    CHECK(resumed); /* of what the first one learned */
    return stop(&scope, &world);
}

C_TEST_REAL_FEW(https_verifies, "and accept no certificate that those have not signed, or of another time or host", "")
{
    static const struct {
        enum tls_certificate certificate;
        const char *text;
    } cases[] = {{TLS_UNKNOWN_CA, "is from an unknown CA: 'CN=Other CA'"},
                 {TLS_SELF_SIGNED, "is self-signed"},
                 {TLS_EXPIRED, "has expired (not after 2021-03-04T05:06:07Z)"},
                 {TLS_NOT_YET, "is not valid yet"},
                 {TLS_WRONG_HOST, "certificate is for 'other.example', 'b.example', '192.0.2.1' and 2 more, not "
                                  "'localhost'"}};
    bool resumed;
    trust(TLS_CA);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world = {.port = 0};
        SL_SCOPE(scope);
        CHECK_EQ(start(&scope, &world, cases[i].certificate), 0);
        CHECK_EQ(fetch_once(&world), SL_ECERTIFICATE);
        CHECK(strstr(last_error(), cases[i].text) != NULL);
        CHECK_EQ(echo_once(&world, &resumed), SL_ECERTIFICATE);
        CHECK(strstr(last_error(), cases[i].text) != NULL);
        CHECK_EQ(stop(&scope, &world), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(no_authorities, "without any authority on the system each certificate is refused", "")
{
    struct world world = {.port = 0};
    (void)setenv("SSL_CERT_FILE", "/nowhere", 1);
    (void)setenv("SSL_CERT_DIR", "/nowhere", 1);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &world, TLS_SERVER), 0);
    CHECK_EQ(fetch_once(&world), SL_ECERTIFICATE);
    CHECK(strstr(last_error(), "is from an unknown CA") != NULL);
    return stop(&scope, &world);
}

/* ---- stages ---- */

/* Takes connections and says nothing on them. */
static int take_and_keep(void *arg)
{
    sl_stream *kept[8] = {NULL};
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof kept / sizeof kept[0]; i++) {
        code = sl_listener_accept(arg, &kept[i]);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        sl_stream_close(kept[i]);
    }
    return code;
}

static int times_out(const struct sl_http_client_options *options, const char *url, const char *text)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_response *response = NULL;
    SL_TRY(sl_http_client_open(options, &client));
    CHECK_EQ(sl_fetch(client, &(sl_request){.url = url}, &response), SL_ETIMEDOUT);
    CHECK_STRING(last_error(), text);
    return 0;
}

static int ws_times_out(const char *url, const char *text)
{
    sl_ws *ws = NULL;
    struct sl_ws_options options = {.url = url, .handshake_timeout = SL_MILLISECONDS(1500)};
    CHECK_EQ(sl_ws_connect_with(&options, &ws), SL_ETIMEDOUT);
    CHECK_STRING(last_error(), text);
    return 0;
}

C_TEST_SIMULATED(timeouts_name_the_stage, "a connection, a TLS handshake, a WebSocket handshake that takes too long",
                 "")
{
    sl_auto(sl_listener) *listener = NULL;
    const struct sl_http_client_options options = {.connect_timeout = SL_MILLISECONDS(700),
                                                   .tls_timeout = SL_MILLISECONDS(800),
                                                   .first_byte_timeout = SL_MILLISECONDS(900)};
    const struct sl_link_options deaf = {.ignore = 1};
    trust(TLS_CA);
    CHECK_EQ(sl_network_simulate(), 0);
    CHECK_EQ(sl_network_host("deaf", NULL), 0);
    CHECK_EQ(sl_network_host("mute", NULL), 0);
    CHECK_EQ(sl_network_link(SL_NETWORK_HOME, "deaf", &deaf), 0);
    CHECK_EQ(sl_network_enter("mute"), 0);
    CHECK_EQ(sl_listener_open("0.0.0.0", 443, &listener), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, take_and_keep, listener, .daemon = true), 0);
    CHECK_EQ(sl_network_enter(SL_NETWORK_HOME), 0);
    CHECK_EQ(times_out(&options, "http://deaf/", "connecting to deaf took longer than 700 ms"), 0);
    CHECK_EQ(times_out(&options, "https://deaf/", "connecting to deaf took longer than 700 ms"), 0);
    CHECK_EQ(times_out(&options, "https://mute/", "the TLS handshake with mute took longer than 800 ms"), 0);
    CHECK_EQ(times_out(&options, "http://mute:443/", "waiting for the answer of mute:443 took longer than 900 ms"), 0);
    CHECK_EQ(ws_times_out("ws://deaf/", "connecting to deaf: not done within the 1500 ms for it all"), 0);
    CHECK_EQ(ws_times_out("wss://mute/", "the TLS handshake with mute: not done within the 1500 ms for it all"), 0);
    CHECK_EQ(
        ws_times_out("ws://mute:443/", "the WebSocket handshake with mute:443: not done within the 1500 ms for it all"),
        0);
    return sl_scope_close(&scope, 0);
}

SL_TEST_MAIN(cmocka_unit_test(https_simply_works), cmocka_unit_test(https_verifies), cmocka_unit_test(no_authorities),
             cmocka_unit_test(timeouts_name_the_stage))
