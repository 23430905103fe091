/* SPDX-License-Identifier: MIT */
/* Our TLS against other programs: openssl s_server and s_client, nginx, Python's ssl. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_process.h"
#include "sl_conformance.h"
#include "tls_pair.h"

#define LINE_BYTES 512
#define PATIENCE SL_SECONDS(60)

static char ca_file[128], certificate_file[128], key_file[128];

static void make_files(void)
{
    (void)snprintf(ca_file, sizeof ca_file, "%s", tls_identity_file(TLS_CA, false));
    (void)snprintf(certificate_file, sizeof certificate_file, "%s", tls_identity_file(TLS_CHAIN, false));
    (void)snprintf(key_file, sizeof key_file, "%s", tls_identity_file(TLS_CHAIN, true));
}

static int port_of(const char *digits)
{
    int port = 0;
    for (; *digits >= '0' && *digits <= '9' && port < 65536; digits++) {
        port = port * 10 + (*digits - '0');
    }
    return port;
}

/* Reads a line; it ends the stream's scope with an error when something else comes. */
static int expect_line(sl_stream *stream, const char *text)
{
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(stream, strlen(text), &view), 0);
    CHECK(strncmp(view.data, text, strlen(text)) == 0);
    sl_stream_consume(stream, strlen(text));
    return 0;
}

/* ---- openssl s_server ---- */

static int start_s_server(const char *version, const char *option, struct peer_process *process, int *ret_port)
{
    char line[LINE_BYTES];
    make_files();
    const char *const arguments[] = {"openssl",     "s_server",       "-accept", "127.0.0.1:0",
                                     "-cert",       certificate_file, "-key",    key_file,
                                     "-cert_chain", certificate_file, "-CAfile", ca_file,
                                     "-msg",        version,          option,    option == NULL ? NULL : "1",
                                     NULL};
    CHECK_EQ(peer_process_start(arguments, process), 0);
    CHECK_EQ(peer_process_expect(process, "ACCEPT", line, sizeof line), 0);
    const char *colon = strrchr(line, ':');
    CHECK(colon != NULL);
    *ret_port = port_of(colon + 1);
    return 0;
}

static int connect_to(int port, bool with_certificate, sl_tls_config **ret_config, sl_stream **ret_stream)
{
    struct sl_tls_options options = tls_client_options();
    if (with_certificate) {
        options.certificate_pem = tls_identity(TLS_CLIENT)->certificate;
        options.key_pem = tls_identity(TLS_CLIENT)->key;
    }
    if (*ret_config == NULL) {
        SL_TRY(sl_tls_config_open(&options, ret_config));
    }
    struct sl_connect_options connect = {
        .address = "127.0.0.1", .port = port, .tls = *ret_config, .server_name = "server.test"};
    return sl_connect_with(&connect, ret_stream);
}

static int with_s_server(const char *version, const char *command)
{
    struct peer_process process;
    sl_auto(sl_tls_config) *config = NULL;
    sl_auto(sl_stream) *stream = NULL;
    char line[LINE_BYTES];
    int port = 0;
    SL_SCOPE(scope, .timeout = PATIENCE);
    CHECK_EQ(start_s_server(version, NULL, &process, &port), 0);
    CHECK_EQ(connect_to(port, false, &config, &stream), 0);
    CHECK_EQ(sl_stream_write(stream, "hello from us\n", 14), 0);
    CHECK_EQ(peer_process_expect(&process, "hello from us", line, sizeof line), 0);
    CHECK_EQ(sl_stream_write(process.stream, "hello from it\n", 14), 0);
    CHECK_EQ(expect_line(stream, "hello from it\n"), 0);
    CHECK_EQ(sl_stream_write(process.stream, command, 2), 0);
    struct sl_view view;
    if (command[0] == 'r') {
        CHECK_EQ(sl_stream_peek(stream, 1, &view), SL_ETLS);
        CHECK_STRING(sl_error_message(sl_error_last()),
                     "'server.test' asked for a TLS renegotiation, which is refused");
    } else { /* new keys, and we answer with ours */
        CHECK_EQ(peer_process_expect(&process, "KeyUpdate", line, sizeof line), 0);
        CHECK_EQ(sl_stream_write(process.stream, "more from it\n", 13), 0);
        CHECK_EQ(expect_line(stream, "more from it\n"), 0);
        CHECK_EQ(sl_stream_write(stream, "more from us\n", 13), 0);
        CHECK_EQ(peer_process_expect(&process, "more from us", line, sizeof line), 0);
        CHECK_EQ(sl_stream_write(process.stream, "Q\n", 2), 0);
        int code = sl_stream_peek(stream, 1, &view);
        CHECK(code == SL_EOF || code == SL_ECONNRESET);
    }
    peer_process_stop(&process);
    return 0;
}

C_TEST_REAL_FEW(tls_s_server, "openssl s_server: TLS 1.2 that renegotiates, TLS 1.3 that changes its keys", "")
{
    CHECK_EQ(with_s_server("-tls1_2", "r\n"), 0);
    return with_s_server("-tls1_3", "K\n");
}

C_TEST_REAL_FEW(tls_s_server_wants_a_certificate, "openssl s_server -Verify: with ours, and without", "")
{
    struct peer_process process;
    sl_auto(sl_tls_config) *without = NULL;
    sl_auto(sl_tls_config) *with = NULL;
    sl_stream *stream = NULL;
    struct sl_tls_info info;
    int port = 0;
    SL_SCOPE(scope, .timeout = PATIENCE);
    CHECK_EQ(start_s_server("-tls1_2", "-Verify", &process, &port), 0);
    CHECK_EQ(connect_to(port, false, &without, &stream), SL_ECERTIFICATE);
    CHECK_STRING(sl_error_message(sl_error_last()),
                 "TLS handshake with 'server.test': the peer wants a client certificate");
    CHECK_EQ(connect_to(port, true, &with, &stream), 0);
    CHECK_EQ(sl_tls_info(stream, &info), 0);
    CHECK_STRING(info.version, "TLSv1.2");
    CHECK(!info.resumed);
    CHECK_EQ(sl_stream_shutdown(stream), 0);
    sl_stream_close(stream);
    CHECK_EQ(connect_to(port, true, &with, &stream), 0);
    CHECK_EQ(sl_tls_info(stream, &info), 0);
    CHECK(info.resumed); /* a session of TLS 1.2 */
    sl_stream_close(stream);
    peer_process_stop(&process);
    return 0;
}

/* ---- openssl s_client ---- */

static int with_s_client(const char *version, const char *command)
{
    struct peer_process process;
    struct sl_tls_options options = tls_server_options(TLS_CHAIN);
    sl_auto(sl_tls_config) *config = NULL;
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_stream) *stream = NULL;
    char address[64];
    char line[LINE_BYTES];
    SL_SCOPE(scope, .timeout = PATIENCE);
    make_files();
    CHECK_EQ(sl_tls_config_open(&options, &config), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", sl_listener_port(listener));
    const char *const arguments[] = {
        "openssl", "s_client",         "-connect",    address, "-servername",          "server.test", "-CAfile",
        ca_file,   "-verify_hostname", "server.test", version, "-verify_return_error", NULL};
    CHECK_EQ(peer_process_start(arguments, &process), 0);
    sl_stream *inner = NULL;
    CHECK_EQ(sl_listener_accept(listener, &inner), 0);
    CHECK_EQ(sl_tls_server(inner, config, &stream), 0);
    CHECK_EQ(peer_process_expect(&process, "Verification: OK", line, sizeof line), 0);
    CHECK_EQ(sl_stream_write(process.stream, "hello\n", 6), 0);
    CHECK_EQ(expect_line(stream, "hello\n"), 0);
    CHECK_EQ(sl_stream_write(process.stream, command, 2), 0);
    struct sl_view view;
    if (command[0] == 'R') {
        CHECK_EQ(sl_stream_peek(stream, 1, &view), SL_ETLS);
        CHECK_STRING(sl_error_message(sl_error_last()), "'the client' asked for a TLS renegotiation, which is refused");
    } else {
        CHECK_EQ(peer_process_expect(&process, "KEYUPDATE", line, sizeof line), 0);
        CHECK_EQ(sl_stream_write(process.stream, "again\n", 6), 0);
        CHECK_EQ(expect_line(stream, "again\n"), 0);
        CHECK_EQ(sl_stream_write(stream, "answer\n", 7), 0);
        CHECK_EQ(peer_process_expect(&process, "answer", line, sizeof line), 0);
    }
    peer_process_stop(&process);
    return 0;
}

C_TEST_REAL_FEW(tls_s_client, "openssl s_client: TLS 1.2 that renegotiates, TLS 1.3 that changes its keys", "")
{
    CHECK_EQ(with_s_client("-tls1_2", "R\n"), 0);
    return with_s_client("-tls1_3", "K\n");
}

/* ---- nginx ---- */

static const char nginx_text[] = "daemon off;\n"
                                 "master_process off;\n"
                                 "error_log stderr;\n"
                                 "pid nginx.pid;\n"
                                 "events {}\n"
                                 "http {\n"
                                 "  access_log off;\n"
                                 "  client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c;\n"
                                 "  uwsgi_temp_path d; scgi_temp_path e;\n"
                                 "  server {\n"
                                 "    listen 127.0.0.1:%d ssl;\n"
                                 "    ssl_certificate %s;\n"
                                 "    ssl_certificate_key %s;\n"
                                 "    ssl_client_certificate %s;\n"
                                 "    ssl_verify_client optional;\n"
                                 "    location / { return 200 \"$ssl_session_reused $ssl_client_s_dn.\\n\"; }\n"
                                 "  }\n"
                                 "}\n";

static const char *const nginx_folders[] = {"a", "b", "c", "d", "e", "nginx.pid", "nginx.conf", NULL};

static void remove_nginx(const char *folder)
{
    char path[128];
    for (size_t i = 0; nginx_folders[i] != NULL; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, nginx_folders[i]);
        if (unlink(path) != 0) {
            (void)rmdir(path);
        }
    }
    (void)rmdir(folder);
}

static int start_nginx(const char *folder, int port, struct peer_process *process)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/nginx.conf", folder);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    (void)fprintf(file, nginx_text, port, certificate_file, key_file, ca_file);
    CHECK_EQ(fclose(file), 0);
    const char *const arguments[] = {"nginx", "-p", folder, "-e", "stderr", "-c", path, NULL};
    CHECK_EQ(peer_process_start(arguments, process), 0);
    return 0;
}

/* A request, whose answer must have `body` in it and end in good order. */
static int ask_nginx(int port, bool with_certificate, sl_tls_config **config, const char *body)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\n\r\n";
    sl_stream *stream = NULL;
    int code;
    /* It may not listen yet: the scope around bounds this. */
    while ((code = connect_to(port, with_certificate, config, &stream)) == -ECONNREFUSED) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    CHECK_EQ(code, 0);
    CHECK_EQ(sl_stream_write(stream, request, sizeof request - 1), 0);
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(stream, 60000, &view), SL_EOF);
    CHECK(memmem(view.data, view.size_bytes, body, strlen(body)) != NULL);
    sl_stream_close(stream);
    return 0;
}

C_TEST_REAL_FEW(tls_nginx, "nginx: a request, a client certificate, a session resumed, an end in good order", "")
{
    struct peer_process process;
    sl_auto(sl_tls_config) *anonymous = NULL;
    sl_auto(sl_tls_config) *certified = NULL;
    char folder[] = "/tmp/sluice-nginx-XXXXXX";
    SL_SCOPE(scope, .timeout = PATIENCE);
    make_files();
    CHECK(mkdtemp(folder) != NULL);
    int port = peer_free_port();
    CHECK_EQ(start_nginx(folder, port, &process), 0);
    CHECK_EQ(ask_nginx(port, false, &anonymous, "\r\n\r\n. .\n"), 0);
    CHECK_EQ(ask_nginx(port, false, &anonymous, "\r\n\r\nr .\n"), 0);
    CHECK_EQ(ask_nginx(port, true, &certified, "\r\n\r\n. CN=client.\n"), 0);
    CHECK_EQ(ask_nginx(port, true, &certified, "\r\n\r\nr CN=client.\n"), 0);
    peer_process_stop(&process);
    remove_nginx(folder);
    return 0;
}

/* ---- Python ---- */

static const char python_client[] = "import socket, ssl, sys\n"
                                    "context = ssl.create_default_context(cafile=sys.argv[2])\n"
                                    "context.set_alpn_protocols(['x', 'http/1.1'])\n"
                                    "s = context.wrap_socket(socket.create_connection(('127.0.0.1', "
                                    "int(sys.argv[1]))), server_hostname='server.test')\n"
                                    "s.sendall(b'hello')\n"
                                    "assert s.recv(5) == b'world'\n"
                                    "agreed = (s.version(), s.selected_alpn_protocol())\n"
                                    "s.unwrap()\n" /* wants close_notify from us too */
                                    "print('agreed', *agreed, flush=True)\n";

C_TEST_REAL_FEW(tls_python_client, "Python's ssl as the client: data, ALPN, and an end that both agree on", "")
{
    static const char *const alpn[] = {"http/1.1", NULL};
    struct peer_process process;
    struct sl_tls_options options = tls_server_options(TLS_CHAIN);
    sl_auto(sl_tls_config) *config = NULL;
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_stream) *stream = NULL;
    char port[16];
    char line[LINE_BYTES];
    SL_SCOPE(scope, .timeout = PATIENCE);
    make_files();
    options.alpn = alpn;
    CHECK_EQ(sl_tls_config_open(&options, &config), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    (void)snprintf(port, sizeof port, "%d", sl_listener_port(listener));
    const char *const arguments[] = {"python3", "-c", python_client, port, ca_file, NULL};
    CHECK_EQ(peer_process_start(arguments, &process), 0);
    sl_stream *inner = NULL;
    CHECK_EQ(sl_listener_accept(listener, &inner), 0);
    CHECK_EQ(sl_tls_server(inner, config, &stream), 0);
    CHECK_EQ(expect_line(stream, "hello"), 0);
    CHECK_EQ(sl_stream_write(stream, "world", 5), 0);
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(stream, 1, &view), SL_EOF);
    CHECK_EQ(sl_stream_shutdown(stream), 0);
    CHECK_EQ(peer_process_expect(&process, "agreed", line, sizeof line), 0);
    CHECK_STRING(line, "agreed TLSv1.3 http/1.1");
    peer_process_stop(&process);
    return 0;
}

static const char python_server[] = "import socket, ssl, sys\n"
                                    "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
                                    "context.load_cert_chain(sys.argv[1], sys.argv[2])\n"
                                    "listener = socket.create_server(('127.0.0.1', 0))\n"
                                    "print('port', listener.getsockname()[1], flush=True)\n"
                                    "for polite in (True, False):\n"
                                    "    s = context.wrap_socket(listener.accept()[0], server_side=True)\n"
                                    "    assert s.recv(5) == b'hello'\n"
                                    "    s.sendall(b'world')\n"
                                    "    if polite: s.unwrap()\n"
                                    "    s.close()\n";

C_TEST_REAL_FEW(tls_python_server, "Python's ssl as the server: one end in good order, one that is cut off", "")
{
    struct peer_process process;
    sl_auto(sl_tls_config) *config = NULL;
    char line[LINE_BYTES];
    SL_SCOPE(scope, .timeout = PATIENCE);
    make_files();
    const char *const arguments[] = {"python3", "-c", python_server, certificate_file, key_file, NULL};
    CHECK_EQ(peer_process_start(arguments, &process), 0);
    CHECK_EQ(peer_process_expect(&process, "port ", line, sizeof line), 0);
    int port = port_of(line + 5);
    for (int polite = 1; polite >= 0; polite--) {
        sl_stream *stream = NULL;
        struct sl_view view;
        CHECK_EQ(connect_to(port, false, &config, &stream), 0);
        CHECK_EQ(sl_stream_write(stream, "hello", 5), 0);
        CHECK_EQ(expect_line(stream, "world"), 0);
        CHECK_EQ(sl_stream_peek(stream, 1, &view), polite == 1 ? SL_EOF : SL_ECONNRESET);
        if (polite == 0) {
            CHECK_STRING(sl_error_message(sl_error_last()),
                         "'server.test' ended the TLS connection without close_notify: truncated?");
        }
        sl_stream_close(stream);
    }
    peer_process_stop(&process);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(tls_s_server), cmocka_unit_test(tls_s_server_wants_a_certificate),
             cmocka_unit_test(tls_s_client), cmocka_unit_test(tls_nginx), cmocka_unit_test(tls_python_client),
             cmocka_unit_test(tls_python_server))
