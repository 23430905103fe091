/* SPDX-License-Identifier: MIT */
/* Other people's HTTP: curl against this server, this client against nginx and aiohttp, each as a program of its own. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sl_conformance.h"
#include "sluice/fetch.h"
#include "sluice/thread.h"

#define PATH_BYTES 512
#define OUTPUT_BYTES (1 << 16)
#define LARGE ((size_t)3 * 1000 * 1000)

/* ---- programs ---- */

static char folder[] = "/tmp/sluice-http-XXXXXX";

static pid_t run_program(char *const *arguments)
{
    pid_t pid = fork();
    if (pid == 0) {
        int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)dup2(log, STDERR_FILENO);
        (void)dup2(log, STDOUT_FILENO);
        (void)execvp(arguments[0], arguments);
        _exit(127);
    }
    return pid;
}

static void end_program(pid_t pid)
{
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
}

static bool write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

static int enter_folder(void **state)
{
    (void)state;
    /* nginx gives up its rights and still has to read here */
    return mkdtemp(folder) == NULL || chmod(folder, 0755) != 0 || chdir(folder) != 0;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[PATH_BYTES];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") != 0 || system(command) != 0;
}

/* A port that was free a moment ago. */
static int free_port(int *ret_port)
{
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", 0, &listener));
    *ret_port = sl_listener_port(listener);
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

/* ---- curl against this server ---- */

static int echo(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    char part[4096];
    size_t bytes = 0;
    size_t total = 0;
    int code;
    while ((code = sl_http_read(exchange, part, sizeof part, &bytes)) == 0) {
        total += bytes;
    }
    if (code != SL_EOF) {
        return code;
    }
    int length = snprintf(part, sizeof part, "%s %zu\n", sl_http_method(exchange->request), total);
    return sl_http_respond(exchange, 200, "text/plain", part, (size_t)length);
}

static int serve(void *arg)
{
    return sl_http_serve_with(arg, &(struct sl_http_server_options){.handler = echo, .stream_bodies = true});
}

struct command {
    char text[PATH_BYTES * 2];
    char output[OUTPUT_BYTES];
};

/* On a worker thread: it blocks. */
static int run_command(void *arg)
{
    struct command *command = arg;
    FILE *file = popen(command->text, "r");
    if (file == NULL) {
        return SL_EINTERNAL;
    }
    size_t length = fread(command->output, 1, sizeof command->output - 1, file);
    command->output[length] = '\0';
    int status = pclose(file);
    return status == 0 ? 0 : SL_EINTERNAL;
}

static int curl(int port, const char *arguments, const char *wanted)
{
    static struct command command;
    (void)snprintf(command.text, sizeof command.text, "curl -sS --max-time 20 %s", arguments);
    for (char *at; (at = strstr(command.text, "@@")) != NULL;) {
        char rest[PATH_BYTES * 2];
        (void)snprintf(rest, sizeof rest, "%s", at + 2);
        (void)snprintf(at, sizeof command.text - (size_t)(at - command.text), "http://127.0.0.1:%d%s", port, rest);
    }
    int code = sl_offload(run_command, &command);
    if (code != 0 || strstr(command.output, wanted) == NULL) {
        print_error("%s: %s\n%s\n", command.text, sl_error_name(code), command.output);
        return SL_CHECK_FAILED;
    }
    return 0;
}

C_TEST_REAL_FEW(curl_against_the_server, "GET, HEAD, uploads by length, chunked and asked first, kept connections", "")
{
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    int port = sl_listener_port(listener);
    char *large = test_calloc(1, LARGE + 1);
    memset(large, 'u', LARGE);
    CHECK(write_file("large", large));
    test_free(large);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, serve, listener, .daemon = true), 0);
    CHECK_EQ(curl(port, "@@/", "GET 0\n"), 0);
    CHECK_EQ(curl(port, "--http1.0 @@/", "GET 0\n"), 0);
    CHECK_EQ(curl(port, "-I @@/", "Content-Length: 7\r\n"), 0);
    CHECK_EQ(curl(port, "-d hello @@/", "POST 5\n"), 0);
    CHECK_EQ(curl(port, "-T large @@/", "PUT 3000000\n"), 0);
    CHECK_EQ(curl(port, "-T large -H 'Transfer-Encoding: chunked' @@/", "PUT 3000000\n"), 0);
    CHECK_EQ(curl(port, "-T large -H 'Expect: 100-continue' @@/", "PUT 3000000\n"), 0);
    CHECK_EQ(curl(port, "-v @@/a @@/b 2>&1", "Re-using existing connection"), 0);
    CHECK_EQ(curl(port, "-o /dev/null -w '%{http_code}' -T large -H 'Expect: tea' @@/", "417"), 0);
    return sl_scope_wait(&scope);
}

/* ---- the examples ---- */

static int run_example(const char *arguments, int port, const char *wanted)
{
    static struct command command;
    (void)snprintf(command.text, sizeof command.text, "%s/examples/%s", SL_TEST_BUILD_DIR, arguments);
    char *at = strstr(command.text, "@@");
    if (at != NULL) {
        char rest[PATH_BYTES * 2];
        (void)snprintf(rest, sizeof rest, "%s", at + 2);
        (void)snprintf(at, sizeof command.text - (size_t)(at - command.text), "http://127.0.0.1:%d%s", port, rest);
    }
    int code = sl_offload(run_command, &command);
    if (code != 0 || strstr(command.output, wanted) == NULL) {
        print_error("%s: %s\n%s\n", command.text, sl_error_name(code), command.output);
        return SL_CHECK_FAILED;
    }
    return 0;
}

static int use_examples(int port)
{
    CHECK_EQ(run_example("fetch @@/", port, "hello"), 0);
    CHECK_EQ(run_example("fetch @@/nowhere 2>&1", port, "404 http"), 0);
    CHECK_EQ(run_example("fetch_many @@/ 500 8", port, "500 good, 0 bad"), 0);
    CHECK_EQ(run_example("fetch http:// 2>&1; true", port, "the host has no name"), 0);
    return curl(port, "@@/ @@/", "hellohello");
}

C_TEST_REAL_FEW(examples_of_http, "http_hello serves, fetch and fetch_many fetch", "")
{
    int port = 0;
    char number[16];
    char program[PATH_BYTES];
    CHECK_EQ(free_port(&port), 0);
    (void)snprintf(number, sizeof number, "%d", port);
    (void)snprintf(program, sizeof program, "%s/examples/http_hello", SL_TEST_BUILD_DIR);
    char *const arguments[] = {program, number, NULL};
    pid_t pid = run_program(arguments);
    int code = await_port(port);
    code = code == 0 ? use_examples(port) : code;
    end_program(pid);
    return code;
}

/* ---- this client against others ---- */

static int check_get(sl_http_client *client, const char *base, const char *path, int status, size_t body_bytes)
{
    sl_auto(sl_response) *response = NULL;
    char url[PATH_BYTES];
    size_t bytes = 0;
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    SL_TRY(sl_fetch(client, &(sl_request){.url = url}, &response));
    (void)sl_response_body(response, &bytes);
    if (sl_response_status(response) != status || bytes != body_bytes) {
        print_error("%s: %d with %zu bytes\n", url, sl_response_status(response), bytes);
        return SL_CHECK_FAILED;
    }
    return 0;
}

static int upload(sl_http_client *client, const char *base, const char *path, bool expect, char *answer)
{
    sl_auto(sl_response) *response = NULL;
    char url[PATH_BYTES];
    static char body[200000];
    memset(body, 'b', sizeof body);
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    sl_request request = {
        .url = url, .method = "POST", .body = body, .body_bytes = sizeof body, .expect_continue = expect};
    SL_TRY(sl_fetch(client, &request, &response));
    (void)snprintf(answer, 64, "%s", sl_response_body(response, NULL));
    return sl_response_status(response);
}

static bool write_nginx_configuration(int port)
{
    char text[4096];
    (void)snprintf(text, sizeof text,
                   "daemon off; worker_processes 1; pid %s/pid; error_log %s/errors;\n"
                   "events { worker_connections 64; }\n"
                   "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
                   "uwsgi_temp_path u; scgi_temp_path s; client_max_body_size 1m; gzip on; gzip_types *;\n"
                   "gzip_min_length 1; gzip_http_version 1.0; keepalive_timeout 60;\n"
                   "server { listen 127.0.0.1:%d; root %s; default_type text/plain;\n"
                   "  location = /hello { gzip off; return 200 hello; }\n"
                   "  location = /moved { return 302 /hello; }\n"
                   "  location = /loop { return 301 /loop; }\n"
                   "  location = /empty { return 204; }\n"
                   "  location = /close { keepalive_timeout 0; return 200 bye; }\n"
                   "  location /proxy/ { proxy_pass http://127.0.0.1:%d/; proxy_http_version 1.1; }\n"
                   "  location /old/ { proxy_pass http://127.0.0.1:%d/; proxy_http_version 1.0; }\n"
                   "  location /small { client_max_body_size 1k; return 200 ok; } } }\n",
                   folder, folder, port, folder, port, port);
    return write_file("nginx.conf", text);
}

static int against_nginx(int port)
{
    char base[64];
    char answer[64];
    sl_auto(sl_http_client) *client = NULL;
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(check_get(client, base, "/hello", 200, 5), 0);
    }
    CHECK_EQ(sl_http_client_counts_get(client).connects, 1);
    CHECK_EQ(check_get(client, base, "/large", 200, LARGE), 0); /* gzip and chunked */
    CHECK_EQ(check_get(client, base, "/moved", 200, 5), 0);
    CHECK_EQ(check_get(client, base, "/loop", 200, 0), SL_EPROTO);
    CHECK_EQ(check_get(client, base, "/empty", 204, 0), 0);
    CHECK_EQ(check_get(client, base, "/close", 200, 3), 0);
    CHECK_EQ(check_get(client, base, "/proxy/large", 200, LARGE), 0);
    CHECK_EQ(check_get(client, base, "/old/large", 200, LARGE), 0);
    CHECK_EQ(upload(client, base, "/small", true, answer), 413);
    CHECK_EQ(upload(client, base, "/hello", true, answer), 200);
    CHECK_STRING(answer, "hello");
    CHECK_EQ(sl_http_client_counts_get(client).busy, 0);
    return 0;
}

C_TEST_REAL_FEW(client_against_nginx, "kept connections, gzip, large, redirects, proxied, asked first and refused", "")
{
    int port = 0;
    char *large = test_calloc(1, LARGE + 1);
    memset(large, 'n', LARGE);
    CHECK(write_file("large", large));
    test_free(large);
    CHECK_EQ(free_port(&port), 0);
    CHECK(write_nginx_configuration(port));
    char *const arguments[] = {"/usr/sbin/nginx", "-p", folder, "-c", "nginx.conf", "-e", "errors", NULL};
    pid_t pid = run_program(arguments);
    int code = await_port(port);
    code = code == 0 ? against_nginx(port) : code;
    end_program(pid);
    return code;
}

static const char aiohttp_server[] = "import sys\n"
                                     "from aiohttp import web\n"
                                     "async def chunks(request):\n"
                                     "    answer = web.StreamResponse()\n"
                                     "    answer.enable_chunked_encoding()\n"
                                     "    answer.enable_compression(web.ContentCoding.deflate)\n"
                                     "    await answer.prepare(request)\n"
                                     "    for _ in range(100):\n"
                                     "        await answer.write(b'c' * 1000)\n"
                                     "    await answer.write_eof()\n"
                                     "    return answer\n"
                                     "async def echo(request):\n"
                                     "    return web.Response(text=f'{request.method} {len(await request.read())}')\n"
                                     "app = web.Application()\n"
                                     "app.router.add_get('/chunks', chunks)\n"
                                     "app.router.add_route('*', '/echo', echo)\n"
                                     "web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]), print=None)\n";

C_TEST_REAL_FEW(client_against_aiohttp, "packed chunks, uploads asked first or not, kept connections", "")
{
    int port = 0;
    char number[16];
    char base[64];
    char answer[64] = "";
    sl_auto(sl_http_client) *client = NULL;
    CHECK_EQ(free_port(&port), 0);
    CHECK(write_file("server.py", aiohttp_server));
    (void)snprintf(number, sizeof number, "%d", port);
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%d", port);
    char *const arguments[] = {"/usr/bin/python3", "server.py", number, NULL};
    CHECK_EQ(sl_http_client_open(NULL, &client), 0);
    pid_t pid = run_program(arguments);
    int code = await_port(port);
    for (int i = 0; i < 5 && code == 0; i++) {
        code = check_get(client, base, "/chunks", 200, 100000);
    }
    int statuses[] = {code == 0 ? upload(client, base, "/echo", false, answer) : 0,
                      code == 0 ? upload(client, base, "/echo", true, answer) : 0};
    end_program(pid);
    CHECK_EQ(code, 0);
    CHECK_EQ(statuses[0], 200);
    CHECK_EQ(statuses[1], 200);
    CHECK_STRING(answer, "POST 200000");
    CHECK_EQ(sl_http_client_counts_get(client).connects, 1);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test_setup_teardown(examples_of_http, enter_folder, leave_folder),
             cmocka_unit_test_setup_teardown(curl_against_the_server, enter_folder, leave_folder),
             cmocka_unit_test_setup_teardown(client_against_nginx, enter_folder, leave_folder),
             cmocka_unit_test_setup_teardown(client_against_aiohttp, enter_folder, leave_folder))
