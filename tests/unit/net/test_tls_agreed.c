/* SPDX-License-Identifier: MIT */
/* What both ends agree on, sessions that are resumed, and configurations that cannot be. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sl_conformance.h"
#include "tls_pair.h"

/* A connection in memory whose client has read something, so that it has seen the server's tickets. */
static int connect_with(sl_tls_config *client, sl_tls_config *server, const char *name, struct tls_pair *ret_pair)
{
    struct tls_shake shake = {.client = client, .server = server, .name = name};
    char byte;
    size_t bytes = 0;
    SL_TRY(tls_plain_pair(TLS_OVER_MEMORY, 100000, &shake.one, &shake.other));
    SL_TRY(tls_shake(&shake, ret_pair));
    SL_TRY(sl_stream_write(ret_pair->server, "x", 1));
    return sl_stream_read(ret_pair->client, &byte, 1, &bytes);
}

C_TEST_REAL_FEW(tls_agreed, "version, cipher, ALPN and the peer's certificate can be asked for", "")
{
    static const char *const offered[] = {"h2", "http/1.1", NULL};
    static const char *const known[] = {"redis", "http/1.1", "h2", NULL};
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_CHAIN);
    struct tls_pair pair;
    struct sl_tls_info info;
    sl_auto(sl_tls_config) *client_config = NULL;
    sl_auto(sl_tls_config) *server_config = NULL;
    client.alpn = offered;
    server.alpn = known;
    CHECK_EQ(sl_tls_config_open(&client, &client_config), 0);
    CHECK_EQ(sl_tls_config_open(&server, &server_config), 0);
    CHECK_EQ(connect_with(client_config, server_config, "server.test", &pair), 0);
    CHECK_EQ(sl_tls_info(pair.client, &info), 0);
    CHECK_STRING(info.version, "TLSv1.3");
    CHECK(strncmp(info.cipher, "TLS_", 4) == 0);
    CHECK_STRING(info.alpn, "http/1.1"); /* the server's preference */
    CHECK_STRING(info.peer_subject, "CN=server");
    CHECK_EQ(sl_tls_info(pair.server, &info), 0);
    CHECK_STRING(info.alpn, "http/1.1");
    CHECK_STRING(info.peer_subject, "");
    char address[SL_ADDRESS_TEXT_BYTES];
    sl_stream_peer(pair.client, address, sizeof address);
    CHECK_STRING(address, "memory");
    sl_stream_local(pair.client, address, sizeof address);
    CHECK_STRING(address, "memory");
    tls_pair_close(&pair);
    sl_stream *one = NULL;
    sl_stream *other = NULL;
    CHECK_EQ(sl_stream_memory_pair(1, &one, &other), 0);
    CHECK_EQ(sl_tls_info(one, &info), SL_EINVAL);
    sl_stream_close(one);
    sl_stream_close(other);
    return 0;
}

/* Whether the client's next connection to `name` resumed an earlier one. */
static int resumes(sl_tls_config *client, sl_tls_config *server, const char *name, bool expected)
{
    struct tls_pair pair;
    struct sl_tls_info info;
    CHECK_EQ(connect_with(client, server, name, &pair), 0);
    CHECK_EQ(sl_tls_info(pair.client, &info), 0);
    CHECK_EQ(info.resumed, expected);
    CHECK_STRING(info.peer_subject, "CN=server");
    CHECK_EQ(sl_tls_info(pair.server, &info), 0);
    CHECK_EQ(info.resumed, expected);
    CHECK_STRING(info.peer_subject, "CN=client");
    tls_pair_close(&pair);
    return 0;
}

static int sessions(void)
{
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_SERVER);
    sl_auto(sl_tls_config) *client_config = NULL;
    sl_auto(sl_tls_config) *server_config = NULL;
    sl_auto(sl_tls_config) *other_server = NULL;
    client.certificate_pem = tls_identity(TLS_CLIENT)->certificate;
    client.key_pem = tls_identity(TLS_CLIENT)->key;
    client.sessions_max = 2;
    server.ca_pem = tls_identity(TLS_CA)->certificate;
    server.client_certificates = SL_TLS_CLIENTS_MUST_CERTIFY;
    CHECK_EQ(sl_tls_config_open(&client, &client_config), 0);
    CHECK_EQ(sl_tls_config_open(&server, &server_config), 0);
    CHECK_EQ(sl_tls_config_open(&server, &other_server), 0);
    CHECK_EQ(resumes(client_config, server_config, "server.test", false), 0);
    CHECK_EQ(resumes(client_config, server_config, "server.test", true), 0);
    CHECK_EQ(resumes(client_config, server_config, "server.test", true), 0);
    CHECK_EQ(resumes(client_config, server_config, "localhost", false), 0); /* of another name */
    CHECK_EQ(resumes(client_config, server_config, "server.test", true), 0);
    CHECK_EQ(resumes(client_config, server_config, "a.wild.test", false), 0); /* the third: localhost's has to go */
    CHECK_EQ(resumes(client_config, server_config, "server.test", true), 0);
    CHECK_EQ(resumes(client_config, server_config, "localhost", false), 0);
    CHECK_EQ(resumes(client_config, other_server, "localhost", false), 0); /* it cannot read the ticket */
    CHECK_EQ(resumes(client_config, other_server, "localhost", true), 0);
    return 0;
}

C_TEST_REAL_FEW(tls_sessions, "a client resumes its last session with each server, and keeps a bounded number", "")
{
    return sessions();
}

/* ---- threads ---- */

#define THREADS 3
#define ROUNDS 20

static int many_sessions(void *arg)
{
    sl_tls_config *const *configs = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct tls_pair pair;
        SL_TRY(connect_with(configs[0], configs[1], i % 2 == 0 ? "server.test" : "localhost", &pair));
        tls_pair_close(&pair);
    }
    return 0;
}

static void *run_thread(void *arg)
{
    return (void *)(intptr_t)sl_run(NULL, many_sessions, arg, NULL);
}

static void tls_config_of_many_threads(void **state)
{
    struct sl_tls_options options[] = {tls_client_options(), tls_server_options(TLS_SERVER)};
    sl_tls_config *configs[2] = {NULL, NULL};
    pthread_t threads[THREADS];
    (void)state;
    assert_int_equal(sl_tls_config_open(&options[0], &configs[0]), 0);
    assert_int_equal(sl_tls_config_open(&options[1], &configs[1]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, configs), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((intptr_t)result, 0);
    }
    sl_tls_config_free(configs[0]);
    sl_tls_config_free(configs[1]);
}

/* ---- configurations ---- */

static int refused(struct sl_tls_options options, int code, const char *message)
{
    sl_tls_config *config = NULL;
    CHECK_EQ(sl_tls_config_open(&options, &config), code);
    CHECK(config == NULL);
    CHECK(strstr(sl_error_message(sl_error_last()), message) != NULL);
    CHECK(strstr(sl_error_message(sl_error_last()), "BEGIN") == NULL); /* never what is in it */
    return 0;
}

C_TEST_REAL_FEW(tls_configurations, "options that do not fit, and certificates that cannot be used", "")
{
    const struct tls_identity *server = tls_identity(TLS_SERVER);
    const struct tls_identity *ca = tls_identity(TLS_CA);
    static const char *const empty_alpn[] = {"h2", "", NULL};
    static const char *const many_alpn[] = {"a", "a", "a", "a", "a", "a", "a", "a", "a",
                                            "a", "a", "a", "a", "a", "a", "a", "a", NULL};
    static const char *const long_alpn[] = {"0123456789012345678901234567890123456789012345678901234567890123", NULL};
    char damaged[4096];
    (void)snprintf(damaged, sizeof damaged, "%s-----BEGIN CERTIFICATE-----\nAAAA\n", ca->certificate);
#define REFUSED(code, message, ...) CHECK_EQ(refused((struct sl_tls_options){__VA_ARGS__}, code, message), 0)
    REFUSED(SL_EINVAL, "a server needs", .server = true);
    REFUSED(SL_EINVAL, "come together", .certificate_pem = server->certificate);
    REFUSED(SL_EINVAL, "come together", .key_pem = server->key);
    REFUSED(SL_EINVAL, "only servers", .client_certificates = SL_TLS_CLIENTS_MAY_CERTIFY);
    REFUSED(SL_EINVAL, "is for clients", .server = true, .insecure_accept_any_certificate = true);
    REFUSED(SL_EINVAL, "a CA of their own", .server = true, .client_certificates = SL_TLS_CLIENTS_MUST_CERTIFY);
    REFUSED(SL_EINVAL, "not both", .ca_pem = ca->certificate, .ca_file = "/x");
    REFUSED(SL_EINVAL, "ALPN", .alpn = empty_alpn);
    REFUSED(SL_EINVAL, "ALPN", .alpn = many_alpn);
    REFUSED(SL_EINVAL, "ALPN", .alpn = long_alpn);
    REFUSED(SL_ENOENT, "CA certificates '/nowhere/ca.pem': ", .ca_file = "/nowhere/ca.pem");
    REFUSED(SL_ECERTIFICATE, "CA certificates: there is no certificate in it", .ca_pem = "");
    REFUSED(SL_ECERTIFICATE, "CA certificates: there is no certificate in it", .ca_pem = ca->key);
    REFUSED(SL_ECERTIFICATE, "a certificate is damaged", .ca_pem = damaged);
    REFUSED(SL_ECERTIFICATE, "does not belong to the certificate", .certificate_pem = server->certificate,
            .key_pem = ca->key);
    REFUSED(SL_ECERTIFICATE, "there is no private key in it", .certificate_pem = server->certificate,
            .key_pem = ca->certificate);
    REFUSED(SL_ECERTIFICATE, "locked by a password", .certificate_pem = server->certificate,
            .key_pem = tls_locked_key());
    return 0;
}

C_TEST_REAL_FEW(tls_files, "certificates and keys from files", "")
{
    struct sl_tls_options client = {.ca_file = tls_identity_file(TLS_CA, false)};
    sl_auto(sl_tls_config) *client_config = NULL;
    sl_auto(sl_tls_config) *server_config = NULL;
    struct tls_pair pair;
    CHECK_EQ(sl_tls_config_open(&client, &client_config), 0);
    struct sl_tls_options server = {.server = true,
                                    .certificate_file = tls_identity_file(TLS_SERVER, false),
                                    .key_file = tls_identity_file(TLS_SERVER, true)};
    CHECK_EQ(sl_tls_config_open(&server, &server_config), 0);
    CHECK_EQ(connect_with(client_config, server_config, "server.test", &pair), 0);
    tls_pair_close(&pair);
    return 0;
}

/* The inner stream is taken over whatever is wrong: nothing is left of it. */
C_TEST_REAL_FEW(tls_misused, "the wrong configuration, no name, a stream in use", "")
{
    struct sl_tls_options options[] = {tls_client_options(), tls_server_options(TLS_SERVER)};
    sl_auto(sl_tls_config) *client = NULL;
    sl_auto(sl_tls_config) *server = NULL;
    sl_stream *stream = NULL;
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const char *const names[] = {NULL, "", ".", "a b", "caf\xc3\xa9.test", long_name};
    CHECK_EQ(sl_tls_config_open(&options[0], &client), 0);
    CHECK_EQ(sl_tls_config_open(&options[1], &server), 0);
    for (size_t i = 0; i < 9; i++) {
        sl_stream *one = NULL;
        sl_stream *other = NULL;
        CHECK_EQ(sl_stream_memory_pair(1000, &one, &other), 0);
        int code;
        if (i < 6) {
            code = sl_tls_client(one, client, names[i], &stream);
        } else if (i < 8) {
            code = i == 6 ? sl_tls_client(one, server, "x", &stream) : sl_tls_server(one, client, &stream);
        } else {
            CHECK_EQ(sl_stream_shutdown(one), 0);
            code = sl_tls_client(one, client, "x", &stream);
        }
        CHECK_EQ(code, SL_EINVAL);
        CHECK(stream == NULL);
        CHECK_EQ(sl_stream_write(other, "x", 1), SL_EPIPE);
        sl_stream_close(other);
    }
    return 0;
}

C_TEST_REAL_FEW(tls_connect_options, "sl_connect_with() shakes hands too; the address is the name unless told", "")
{
    struct sl_tls_options options = tls_client_options();
    sl_auto(sl_tls_config) *client = NULL;
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_tls_config_open(&options, &client), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    struct sl_connect_options connect = {.address = "127.0.0.1", .port = sl_listener_port(listener), .tls = client};
    sl_stream *stream = NULL;
    SL_SCOPE(scope, .timeout = SL_MILLISECONDS(1), .move_on = true);
    CHECK_EQ(sl_connect_with(&connect, &stream), SL_ECANCELED); /* nobody answers: the scope bounds it */
    CHECK(stream == NULL);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(tls_agreed), cmocka_unit_test(tls_sessions), cmocka_unit_test(tls_config_of_many_threads),
             cmocka_unit_test(tls_configurations), cmocka_unit_test(tls_files), cmocka_unit_test(tls_misused),
             cmocka_unit_test(tls_connect_options))
