/* SPDX-License-Identifier: MIT */
/*
 * `sluice run` with sinks over TLS, against real servers that ask for a client's certificate: with the right authority and
 * certificate events arrive; a wrong authority, a wrong host name and a certificate that is missing are told with the sink's
 * name, and a password is nowhere to be seen. And clients of the WebSocket sink, which serves wss.
 */
#include "sl_conformance.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own_postgresql.h"
#include "own_rabbitmq.h"
#include "peer_process.h"
#include "shell_run.h"
#include "sl_test.h"
#include "sluice/tls.h"
#include "sluice/ws.h"
#include "tls_certificates.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define PASSWORD "of nobody:s@b/siness%?"
#define FILE_MAX 128
#define LINE_MAX_BYTES 2048

/* Files that keep their names, unlike those of tls_identity_file(). */
struct files {
    char ca[FILE_MAX], other_ca[FILE_MAX], server[FILE_MAX], server_key[FILE_MAX], client[FILE_MAX],
        client_key[FILE_MAX];
};

static void keep(char path[FILE_MAX], enum tls_certificate which, bool key)
{
    (void)snprintf(path, FILE_MAX, "%s", tls_identity_file(which, key));
    assert_int_equal(chmod(path, 0600), 0);
}

static struct files make_files(void)
{
    struct files files;
    keep(files.ca, TLS_CA, false);
    keep(files.other_ca, TLS_OTHER_CA, false);
    keep(files.server, TLS_SERVER, false);
    keep(files.server_key, TLS_SERVER, true);
    keep(files.client, TLS_CLIENT, false);
    keep(files.client_key, TLS_CLIENT, true);
    return files;
}

/* ---- the program, fed by an exchange of its own ---- */

struct program {
    struct own_server exchange, run;
    char config[LINE_MAX_BYTES];
    char log[64 * 1024];
    struct files files;
};

/* Four sinks on one server: as it should be, another authority, another name (an address the certificate does not
 * have), no certificate of our own. `%s` of the entry: host, tls. */
static const char *const cases[] = {"good", "authority", "name", "nobody"};

static const char *tls_of(const struct program *program, const char *which, char text[1024])
{
    const struct files *files = &program->files;
    const char *ca = strcmp(which, "authority") == 0 ? files->other_ca : files->ca;
    if (strcmp(which, "nobody") == 0) {
        (void)snprintf(text, 1024, "{ca: '%s'}", ca);
    } else {
        (void)snprintf(text, 1024, "{ca: '%s', certificate: '%s', key: '%s'}", ca, files->client, files->client_key);
    }
    return text;
}

static const char *host_of(const char *which)
{
    return strcmp(which, "name") == 0 ? "127.0.0.2" : "127.0.0.1";
}

static void begin(struct program *program)
{
    memset(program, 0, sizeof *program);
    program->files = make_files();
    own_server_prepare(&program->exchange);
    own_server_prepare(&program->run);
    (void)snprintf(program->config, sizeof program->config, "%s/config.yaml", program->run.folder.path);
    own_server_shell(&program->exchange,
                     "exec " SLUICE " exchange --venue okx --instruments 3 --rate 200 --port %d >/dev/null 2>&1",
                     program->exchange.port);
    own_server_shell(&program->run, "cd %s && exec " SLUICE " run config.yaml >log 2>&1", program->run.folder.path);
    assert_int_equal(own_server_start(&program->exchange), 0);
}

/* The sinks' entries, one a line. */
static void start(struct program *program, const char *sinks, const char *names)
{
    FILE *file = fopen(program->config, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "services: {s: {kind: stream, venue: okx, instruments: ['*'], channels: [trades], sinks: [%s]}}\n"
                  "venues: {okx: {stream: 'ws://127.0.0.1:%d/okx', rest: 'http://127.0.0.1:%d/okx'}}\n"
                  "admin: {listen: '127.0.0.1:%d'}\n"
                  "retry: {default: {initial: 100ms, max: 500ms}}\n"
                  "sinks:\n%s",
                  names, program->exchange.port, program->exchange.port, program->run.port, sinks);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(own_server_start(&program->run), 0);
}

static const char *read_log(struct program *program)
{
    return own_server_read(&program->run, "log", program->log, sizeof program->log);
}

/*
 * The log tells that the sink is away; the reason that it has by and by has the text: a server that talks to one client at a
 * time lets the others wait at first.
 */
static bool is_away_for(const struct program *program, const char *sink, const char *text)
{
    char line[128], words[64];
    const char *output = NULL;
    (void)snprintf(words, sizeof words, "{\"id\":\"%s\",", sink);
    (void)snprintf(line, sizeof line, "curl -s http://127.0.0.1:%d/api/sinks", program->run.port);
    (void)shell_run(line, &output);
    const char *at = strstr(output, words);
    const char *end = at == NULL ? NULL : strstr(at, "\"written\"");
    return end != NULL && memmem(at, (size_t)(end - at), text, strlen(text)) != NULL;
}

static void expect_away(struct program *program, const char *sink, const char *text)
{
    char words[128];
    (void)snprintf(words, sizeof words, "\"a sink is away\",\"sink\":\"%s\"", sink);
    while (strstr(read_log(program), words) == NULL || !is_away_for(program, sink, text)) {
        (void)usleep(50000);
    }
}

/* Until the sink has stored something. */
static void expect_written(const struct program *program, const char *sink)
{
    char line[512];
    (void)snprintf(line, sizeof line,
                   "curl -s http://127.0.0.1:%d/metrics | grep -q '^sluice_sink_written_events_total{.*sink=\"%s\".*} "
                   "[1-9]'",
                   program->run.port, sink);
    while (system(line) != 0) {
        (void)usleep(50000);
    }
}

static void end(struct program *program)
{
    own_server_stop(&program->run, SIGTERM);
    assert_null(strstr(read_log(program), "siness")); /* as it is, or in some coding */
    own_server_end(&program->run);
    own_server_end(&program->exchange);
}

/* One entry for each case; `format` takes the case's name, host, port, and tls. */
static void start_cases(struct program *program, const char *kind, const char *scheme, const char *user, int port,
                        const char *more)
{
    char sinks[8192] = "";
    size_t used = 0;
    for (size_t at = 0; at < sizeof cases / sizeof cases[0]; at++) {
        char tls[1024];
        used += (size_t)snprintf(sinks + used, sizeof sinks - used,
                                 "  %s: {kind: %s, url: '%s://%s%s:%d%s, when_full: drop_oldest, tls: %s}\n", cases[at],
                                 kind, scheme, user, host_of(cases[at]), port, more, tls_of(program, cases[at], tls));
    }
    start(program, sinks, "good, authority, name, nobody");
}

/* ---- each server ---- */

static void redis_over_tls(void **state)
{
    static struct program program;
    struct own_server redis;
    char plain[16], port[16];
    (void)state;
    own_server_need("redis-server");
    begin(&program);
    own_server_prepare(&redis);
    int tls_port = peer_free_port();
    (void)snprintf(plain, sizeof plain, "%d", redis.port);
    (void)snprintf(port, sizeof port, "%d", tls_port);
    const char *const arguments[] = {"redis-server",
                                     "--bind",
                                     "127.0.0.1",
                                     "127.0.0.2",
                                     "--port",
                                     plain,
                                     "--tls-port",
                                     port,
                                     "--tls-cert-file",
                                     program.files.server,
                                     "--tls-key-file",
                                     program.files.server_key,
                                     "--tls-ca-cert-file",
                                     program.files.ca,
                                     "--tls-auth-clients",
                                     "yes",
                                     "--requirepass",
                                     PASSWORD,
                                     "--save",
                                     "",
                                     NULL};
    redis.arguments = arguments;
    assert_int_equal(own_server_start(&redis), 0);
    start_cases(&program, "redis", "rediss", "", tls_port, "', password: '" PASSWORD "'");
    expect_written(&program, "good");
    expect_away(&program, "authority", "certificate");
    expect_away(&program, "name", "certificate");
    expect_away(&program, "nobody", "");
    end(&program);
    own_server_end(&redis);
}

static void rabbitmq_over_tls(void **state)
{
    static struct program program;
    struct own_rabbitmq rabbitmq;
    char settings[2048];
    (void)state;
    begin(&program);
    int port = peer_free_port();
    (void)snprintf(settings, sizeof settings,
                   "listeners.ssl.1 = 127.0.0.1:%d\nlisteners.ssl.2 = 127.0.0.2:%d\n"
                   "ssl_options.cacertfile = %s\nssl_options.certfile = %s\nssl_options.keyfile = %s\n"
                   "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
                   port, port, program.files.ca, program.files.server, program.files.server_key);
    assert_int_equal(own_rabbitmq_start_with(&rabbitmq, settings), 0);
    assert_int_equal(own_rabbitmq_control(&rabbitmq, "add_user sluice '" PASSWORD "'"), 0);
    assert_int_equal(own_rabbitmq_control(&rabbitmq, "set_permissions sluice '.*' '.*' '.*'"), 0);
    start_cases(&program, "rabbitmq", "amqps", "sluice@", port, "', exchange: market, password: '" PASSWORD "'");
    expect_written(&program, "good");
    expect_away(&program, "authority", "certificate");
    expect_away(&program, "name", "certificate");
    expect_away(&program, "nobody", "");
    end(&program);
    own_rabbitmq_end(&rabbitmq);
}

static void postgresql_over_tls(void **state)
{
    static struct program program;
    static struct own_postgresql postgresql;
    (void)state;
    begin(&program);
    assert_int_equal(own_postgresql_start(&postgresql), 0);
    (void)own_postgresql_ask(&postgresql, "CREATE ROLE client LOGIN SUPERUSER");
    assert_int_equal(own_postgresql_put(&postgresql, "server.crt", tls_identity(TLS_SERVER)->certificate), 0);
    assert_int_equal(own_postgresql_put(&postgresql, "server.key", tls_identity(TLS_SERVER)->key), 0);
    assert_int_equal(own_postgresql_put(&postgresql, "root.crt", tls_identity(TLS_CA)->certificate), 0);
    assert_int_equal(own_postgresql_put(&postgresql, "postgresql.auto.conf",
                                        "ssl = on\nssl_ca_file = 'root.crt'\n"
                                        "listen_addresses = '127.0.0.1,127.0.0.2'\n"),
                     0);
    assert_int_equal(own_postgresql_put(&postgresql, "pg_hba.conf",
                                        "host all postgres 127.0.0.1/32 trust\n"
                                        "hostssl all client 127.0.0.0/8 cert clientcert=verify-full\n"),
                     0);
    own_server_stop(&postgresql.server, SIGINT);
    const char **address = postgresql.arguments;
    while (strcmp(*address, "127.0.0.1") != 0) {
        address++;
    }
    *address = "127.0.0.1,127.0.0.2";
    assert_int_equal(own_server_start(&postgresql.server), 0);
    start_cases(&program, "postgresql", "postgresql", "client@", postgresql.server.port,
                "/postgres', password: '" PASSWORD "'");
    expect_written(&program, "good");
    expect_away(&program, "authority", "certificate verify failed");
    expect_away(&program, "name", "does not match host name");
    expect_away(&program, "nobody", "certificate");
    end(&program);
    own_postgresql_end(&postgresql);
}

/* There is no Kafka here to talk to: a server of OpenSSL's says who has come, and librdkafka whom it does not trust. */
static void kafka_over_tls(void **state)
{
    static struct program program;
    struct own_server server;
    char port[16], sinks[4096], tls[1024], log[512], line[1024];
    (void)state;
    own_server_need("openssl");
    begin(&program);
    own_server_prepare(&server);
    (void)snprintf(port, sizeof port, "%d", server.port);
    const char *const arguments[] = {"openssl", "s_server",
                                     "-accept", port,
                                     "-cert",   program.files.server,
                                     "-key",    program.files.server_key,
                                     "-CAfile", program.files.ca,
                                     "-www",    "-Verify",
                                     "2",       NULL};
    server.arguments = arguments;
    assert_int_equal(own_server_start(&server), 0);
    size_t used = 0;
    for (size_t at = 0; at < 3; at++) {
        used +=
            (size_t)snprintf(sinks + used, sizeof sinks - used,
                             "  %s: {kind: kafka, brokers: ['%s:%d'], encrypted: true, sasl: plain, user: u, "
                             "password: '%s', message_timeout: 2s, when_full: drop_oldest, tls: %s}\n",
                             cases[at], host_of(cases[at]), server.port, PASSWORD, tls_of(&program, cases[at], tls));
    }
    start(&program, sinks, "good, authority, name");
    expect_away(&program, "authority", "certificate verify failed");
    expect_away(&program, "name", "certificate verify failed");
    (void)snprintf(log, sizeof log, "%s/log", server.folder.path);
    (void)snprintf(line, sizeof line, "grep -q 'CN = client' %s", log);
    while (system(line) != 0) {
        (void)usleep(50000);
    }
    end(&program);
    own_server_end(&server);
}

/* A file that is not there: whose it is, and which. */
static void files_that_are_missing_are_told(void **state)
{
    const char *output = NULL;
    (void)state;
    static const char *const sinks[] = {
        "{kind: redis, url: rediss://127.0.0.1:1, tls: {ca: /nowhere/ca}}",
        "{kind: rabbitmq, exchange: e, url: amqps://127.0.0.1:1, tls: {ca: /nowhere/ca}}",
        "{kind: websocket, listen: 127.0.0.1:1, tls: {certificate: /nowhere/ca, key: /nowhere/key}}",
    };
    for (size_t at = 0; at < sizeof sinks / sizeof sinks[0]; at++) {
        char line[1024];
        (void)snprintf(line, sizeof line,
                       "f=$(mktemp) && printf '%%s\\n' 'admin: {enabled: false}' 'services: {s: {kind: stream, venue: "
                       "okx, instruments: [A], sinks: "
                       "[bus]}}' 'sinks: {bus: %s}' >$f; timeout 20 $SLUICE run $f 2>&1; rm $f",
                       sinks[at]);
        (void)shell_run(line, &output);
        if (strstr(output, "\"a sink cannot be made\",\"sink\":\"bus\",\"reason\":\"") == NULL ||
            strstr(output, "'/nowhere/ca': not found") == NULL) {
            fail_msg("expected a sink's name and the file in: %s", output);
        }
    }
}

/* ---- wss ---- */

struct visit {
    int port;
    sl_tls_config *tls;
};

static int visit(void *arg)
{
    const struct visit *visit = arg;
    static const char all[] = "{\"subscribe\":[\"*:*:*\"]}";
    char url[64];
    struct sl_ws_message message = {0};
    sl_auto(sl_ws) *ws = NULL;
    (void)snprintf(url, sizeof url, "wss://localhost:%d/events", visit->port);
    SL_TRY(sl_ws_connect_with(&(struct sl_ws_options){.url = url, .tls = visit->tls}, &ws));
    SL_TRY(sl_ws_send(ws, SL_WS_TEXT, all, sizeof all - 1));
    for (int events = 0; events < 3; events++) {
        SL_TRY(sl_ws_receive(ws, &message));
    }
    return memmem(message.data, message.size_bytes, "\"kind\":\"trade\"", 14) != NULL ? 0 : SL_EPROTO;
}

static int visit_with(int port, const char *ca, const char *certificate, const char *key)
{
    struct visit who = {.port = port};
    struct sl_tls_options options = {.ca_file = ca, .certificate_file = certificate, .key_file = key};
    assert_int_equal(sl_tls_config_open(&options, &who.tls), 0);
    int code = sl_run(NULL, visit, &who, NULL);
    sl_tls_config_free(who.tls);
    return code;
}

static void websocket_over_tls(void **state)
{
    static struct program program;
    char sinks[2048];
    (void)state;
    begin(&program);
    const struct files *files = &program.files;
    int open = peer_free_port(), closed = peer_free_port();
    (void)snprintf(sinks, sizeof sinks,
                   "  open: {kind: websocket, listen: 'localhost:%d', tls: {certificate: '%s', key: '%s'}}\n"
                   "  closed: {kind: websocket, listen: '127.0.0.1:%d', tls: {certificate: '%s', key: '%s', "
                   "client_ca: '%s'}}\n",
                   open, files->server, files->server_key, closed, files->server, files->server_key, files->ca);
    start(&program, sinks, "open, closed");
    expect_written(&program, "open");
    expect_written(&program, "closed");
    assert_int_equal(visit_with(open, files->ca, NULL, NULL), 0);
    assert_int_equal(visit_with(open, files->other_ca, NULL, NULL), SL_ECERTIFICATE);
    assert_int_equal(visit_with(closed, files->ca, files->client, files->client_key), 0);
    assert_true(visit_with(closed, files->ca, NULL, NULL) < 0);
    end(&program);
}

SL_TEST_MAIN(cmocka_unit_test(redis_over_tls), cmocka_unit_test(rabbitmq_over_tls),
             cmocka_unit_test(postgresql_over_tls), cmocka_unit_test(kafka_over_tls),
             cmocka_unit_test(websocket_over_tls), cmocka_unit_test(files_that_are_missing_are_told))
