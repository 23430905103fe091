/* SPDX-License-Identifier: MIT */
/* nginx between and against: https of this client, and WebSockets of this client through nginx to this server. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer_process.h"
#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/ws.h"
#include "tls_certificates.h"
#include "tls_pair.h"

#define LARGE ((size_t)3 * 1000 * 1000)
#define MESSAGE_BYTES_MAX ((size_t)1024 * 1024)

static char folder[] = "/tmp/sluice-nginx-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    /* nginx gives up its rights and still has to read here */
    return mkdtemp(folder) == NULL || chmod(folder, 0755) != 0 || chdir(folder) != 0;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") != 0 || system(command) != 0;
}

/* ---- the servers ---- */

struct world {
    sl_listener *clear, *secure;
    sl_tls_config *of_server, *of_client;
    int plain_port, tls_port; /* nginx's */
};

static int echo(void *arg, sl_http_exchange *exchange)
{
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_message message;
    int code;
    (void)arg;
    SL_TRY(sl_ws_accept_with(exchange, &(struct sl_ws_options){.deflate = {.on = true}}, &ws));
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code == SL_EOF ? 0 : code;
}

static int serve_clear(void *arg)
{
    const struct world *world = arg;
    return sl_http_serve_with(world->clear, &(struct sl_http_server_options){.handler = echo});
}

static int serve_secure(void *arg)
{
    const struct world *world = arg;
    return sl_http_serve_with(world->secure,
                              &(struct sl_http_server_options){.handler = echo, .tls = world->of_server});
}

#define UPGRADE "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"

static int write_configuration(const struct world *world)
{
    char certificate[256];
    char key[256];
    char ca[256];
    (void)snprintf(certificate, sizeof certificate, "%s", tls_identity_file(TLS_SERVER, false));
    (void)snprintf(key, sizeof key, "%s", tls_identity_file(TLS_SERVER, true));
    (void)snprintf(ca, sizeof ca, "%s", tls_identity_file(TLS_CA, false));
    FILE *file = fopen("nginx.conf", "w");
    CHECK(file != NULL);
    (void)fprintf(file,
                  "daemon off; worker_processes 1; pid %s/pid; error_log stderr;\n"
                  "events { worker_connections 64; }\n"
                  "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
                  "uwsgi_temp_path u; scgi_temp_path s;\n"
                  "server { listen 127.0.0.1:%d; listen 127.0.0.1:%d ssl; root %s; default_type text/plain;\n"
                  "  ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3;\n"
                  "  location = /hello { return 200 hello; }\n"
                  "  location = /away { return 302 http://127.0.0.1:%d/hello; }\n"
                  "  location /ws { proxy_pass http://127.0.0.1:%d; " UPGRADE " }\n"
                  "  location /wss { proxy_pass https://127.0.0.1:%d; " UPGRADE "\n"
                  "    proxy_ssl_verify on; proxy_ssl_trusted_certificate %s; proxy_ssl_name server.test;\n"
                  "    proxy_ssl_server_name on; } } }\n",
                  folder, world->plain_port, world->tls_port, folder, certificate, key, world->plain_port,
                  sl_listener_port(world->clear), sl_listener_port(world->secure), ca);
    CHECK_EQ(fclose(file), 0);
    return 0;
}

/* Until somebody listens. */
static int await_port(int port)
{
    for (int i = 0; i < 2000; i++) {
        sl_auto(sl_stream) *stream = NULL;
        if (sl_connect("127.0.0.1", port, &stream) == 0) {
            return 0;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return sl_fail(SL_ETIMEDOUT, "nobody listens at port %d", port);
}

static int with_nginx(int (*use)(const struct world *world))
{
    struct world world = {.plain_port = peer_free_port(), .tls_port = peer_free_port()};
    struct sl_tls_options of_server = tls_server_options(TLS_SERVER);
    struct sl_tls_options of_client = tls_client_options();
    sl_auto(sl_listener) *clear = NULL;
    sl_auto(sl_listener) *secure = NULL;
    sl_auto(sl_tls_config) *server = NULL;
    sl_auto(sl_tls_config) *client = NULL;
    CHECK_EQ(sl_tls_config_open(&of_server, &server), 0);
    CHECK_EQ(sl_tls_config_open(&of_client, &client), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &clear), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &secure), 0);
    world.clear = clear;
    world.secure = secure;
    world.of_server = server;
    world.of_client = client;
    CHECK_EQ(write_configuration(&world), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve_clear, &world, .daemon = true), 0);
    CHECK_EQ(sl_spawn(&scope, serve_secure, &world, .daemon = true), 0);
    const char *const arguments[] = {"/usr/sbin/nginx", "-p", folder, "-c", "nginx.conf", "-e", "stderr", NULL};
    struct peer_process nginx;
    CHECK_EQ(peer_process_start(arguments, &nginx), 0);
    int code = await_port(world.tls_port);
    code = code == 0 ? use(&world) : code;
    peer_process_stop(&nginx);
    return sl_scope_close(&scope, code);
}

/* ---- WebSocket through nginx ---- */

static int exchange(sl_ws *ws, const char *data, size_t size_bytes)
{
    struct sl_ws_message message;
    SL_TRY(sl_ws_send(ws, SL_WS_BINARY, data, size_bytes));
    SL_TRY(sl_ws_receive(ws, &message));
    CHECK_EQ(message.size_bytes, size_bytes);
    CHECK(memcmp(message.data, data, size_bytes) == 0);
    return 0;
}

static int echo_through(const struct world *world, const char *scheme, const char *path, bool deflate)
{
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 70000, MESSAGE_BYTES_MAX};
    sl_auto(sl_ws) *ws = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d%s", scheme,
                   strcmp(scheme, "wss") == 0 ? world->tls_port : world->plain_port, path);
    CHECK_EQ(sl_ws_connect_with(
                 &(struct sl_ws_options){.url = url, .tls = world->of_client, .deflate = {.on = deflate}}, &ws),
             0);
    CHECK(sl_ws_compresses(ws) == deflate);
    char *data = test_malloc(MESSAGE_BYTES_MAX);
    for (size_t i = 0; i < MESSAGE_BYTES_MAX; i++) {
        data[i] = (char)(i * i >> 7);
    }
    int code = sl_ws_ping(ws, "there?", 6);
    for (size_t i = 0; code == 0 && i < sizeof sizes / sizeof sizes[0]; i++) {
        code = exchange(ws, data, sizes[i]);
    }
    test_free(data);
    CHECK_EQ(code, 0);
    CHECK_EQ(sl_ws_pongs(ws, NULL), 1);
    CHECK_EQ(sl_ws_close(ws, 4002, "enough"), 0);
    CHECK_EQ(sl_ws_close_code(ws), 4002);
    return 0;
}

static int echo_all(const struct world *world)
{
    for (int deflate = 0; deflate < 2; deflate++) {
        CHECK_EQ(echo_through(world, "ws", "/ws", deflate == 1), 0);
        CHECK_EQ(echo_through(world, "wss", "/ws", deflate == 1), 0); /* nginx ends TLS */
        CHECK_EQ(echo_through(world, "ws", "/wss", deflate == 1), 0); /* nginx begins it */
        CHECK_EQ(echo_through(world, "wss", "/wss", deflate == 1), 0);
    }
    sl_ws *ws = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%d/hello", world->plain_port);
    CHECK_EQ(sl_ws_connect(url, &ws), SL_EPROTO);
    CHECK(strstr(sl_error_message(sl_error_last()), "200: hello") != NULL);
    return 0;
}

C_TEST_REAL_FEW(nginx_proxies_websockets, "client, nginx, server and back: clear and TLS on either side, compressed",
                "")
{
    return with_nginx(echo_all);
}

/* ---- https ---- */

static int get(sl_http_client *client, int port, const char *host, const char *path, size_t body_bytes)
{
    sl_auto(sl_response) *response = NULL;
    char url[64];
    size_t bytes = 0;
    (void)snprintf(url, sizeof url, "https://%s:%d%s", host, port, path);
    SL_TRY(sl_fetch(client, &(sl_request){.url = url}, &response));
    (void)sl_response_body(response, &bytes);
    CHECK_EQ(sl_response_status(response), 200);
    CHECK_EQ(bytes, body_bytes);
    return 0;
}

static int fetch_all(const struct world *world)
{
    struct sl_tls_options options = tls_client_options();
    for (int version = SL_TLS_1_2; version <= SL_TLS_1_3; version++) {
        sl_auto(sl_tls_config) *tls = NULL;
        sl_auto(sl_http_client) *client = NULL;
        options.min_version = (enum sl_tls_version)version;
        CHECK_EQ(sl_tls_config_open(&options, &tls), 0);
        CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.tls = tls}, &client), 0);
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(get(client, world->tls_port, "localhost", "/hello", 5), 0);
        }
        CHECK_EQ(get(client, world->tls_port, "localhost", "/large", LARGE), 0);
        CHECK_EQ(sl_http_client_counts_get(client).connects, 1);
        CHECK_EQ(get(client, world->tls_port, "localhost", "/away", 5), SL_EPROTO); /* from https to http */
    }
    sl_auto(sl_http_client) *stranger = NULL;
    CHECK_EQ(sl_http_client_open(NULL, &stranger), 0);
    CHECK_EQ(get(stranger, world->tls_port, "localhost", "/hello", 5), SL_ECERTIFICATE);
    CHECK(strstr(sl_error_message(sl_error_last()), "unknown CA") != NULL);
    return 0;
}

C_TEST_REAL_FEW(client_against_nginx_tls, "kept connections, large answers, TLS 1.2 and 1.3, an unknown authority", "")
{
    FILE *file = fopen("large", "w");
    CHECK(file != NULL);
    for (size_t i = 0; i < LARGE; i++) {
        (void)fputc('n', file);
    }
    CHECK_EQ(fclose(file), 0);
    return with_nginx(fetch_all);
}

SL_TEST_MAIN(cmocka_unit_test_setup_teardown(nginx_proxies_websockets, enter_folder, leave_folder),
             cmocka_unit_test_setup_teardown(client_against_nginx_tls, enter_folder, leave_folder))
