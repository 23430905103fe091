/* SPDX-License-Identifier: MIT */
/* Peers that are refused, and what the error says. */
#include <string.h>

#include "sl_conformance.h"
#include "tls_pair.h"

/* Both ends' configurations made from options, and a handshake between them. */
static int shake_with(const struct sl_tls_options *client, const struct sl_tls_options *server, const char *name,
                      struct tls_shake *ret_shake)
{
    struct tls_pair pair;
    sl_auto(sl_tls_config) *client_config = NULL;
    sl_auto(sl_tls_config) *server_config = NULL;
    *ret_shake = (struct tls_shake){.name = name};
    SL_TRY(sl_tls_config_open(client, &client_config));
    SL_TRY(sl_tls_config_open(server, &server_config));
    SL_TRY(tls_plain_pair(TLS_OVER_MEMORY, 100000, &ret_shake->one, &ret_shake->other));
    ret_shake->client = client_config;
    ret_shake->server = server_config;
    int code = tls_shake(ret_shake, &pair);
    tls_pair_close(&pair);
    return code;
}

static int certificate_says(enum tls_certificate which, const char *name, const char *text)
{
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(which);
    struct tls_shake shake;
    for (int version = SL_TLS_1_2; version <= SL_TLS_1_3; version++) {
        client.min_version = (enum sl_tls_version)version;
        CHECK_EQ(shake_with(&client, &server, name, &shake), SL_ECERTIFICATE);
        CHECK_STRING(shake.client_error, text);
        CHECK_EQ(shake.server_code, SL_ECERTIFICATE);
        CHECK(strstr(shake.server_error, "the peer refuses our certificate") != NULL);
    }
    client.insecure_accept_any_certificate = true;
    CHECK_EQ(shake_with(&client, &server, name, &shake), 0);
    return 0;
}

C_TEST_REAL_FEW(tls_expired, "an expired certificate", "")
{
    return certificate_says(TLS_EXPIRED, "server.test",
                            "certificate of 'server.test' has expired (not after 2021-03-04T05:06:07Z)");
}

C_TEST_REAL_FEW(tls_not_yet_valid, "a certificate of the future", "")
{
    return certificate_says(TLS_NOT_YET, "server.test",
                            "certificate of 'server.test' is not valid yet (not before 2120-01-01T00:00:00Z)");
}

C_TEST_REAL_FEW(tls_self_signed, "a certificate that signed itself", "")
{
    return certificate_says(TLS_SELF_SIGNED, "server.test", "certificate of 'server.test' is self-signed");
}

C_TEST_REAL_FEW(tls_unknown_ca, "a certificate of an authority that we do not know", "")
{
    return certificate_says(TLS_UNKNOWN_CA, "server.test",
                            "certificate of 'server.test' is from an unknown CA: 'CN=Other CA'");
}

C_TEST_REAL_FEW(tls_wrong_host, "a certificate for someone else: names, addresses, common names, wildcards", "")
{
    CHECK_EQ(certificate_says(TLS_WRONG_HOST, "server.test",
                              "certificate is for 'other.example', 'b.example', '192.0.2.1' and 2 more, not "
                              "'server.test'"),
             0);
    CHECK_EQ(certificate_says(TLS_WRONG_HOST, "127.0.0.1",
                              "certificate is for 'other.example', 'b.example', '192.0.2.1' and 2 more, not "
                              "'127.0.0.1'"),
             0);
    CHECK_EQ(certificate_says(TLS_NAMELESS, "server.test", "certificate is for no name at all, not 'server.test'"), 0);
    return certificate_says(TLS_SERVER, "a.b.wild.test",
                            "certificate is for 'localhost', 'server.test', '*.wild.test' and 2 more, not "
                            "'a.b.wild.test'");
}

C_TEST_REAL_FEW(tls_right_host, "every name of the certificate is right, with a dot behind it too", "")
{
    static const char *const names[] = {"localhost", "server.test", "SERVER.test.", "a.wild.test", "127.0.0.1", "::1"};
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_CHAIN);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tls_shake shake;
        CHECK_EQ(shake_with(&client, &server, names[i], &shake), 0);
    }
    return 0;
}

C_TEST(tls_client_certificates, "a server may ask for certificates, or insist", "")
{
    const struct tls_identity *good = tls_identity(TLS_CLIENT);
    const struct tls_identity *bad = tls_identity(TLS_UNKNOWN_CA);
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_SERVER);
    struct tls_shake shake;
    server.ca_pem = tls_identity(TLS_CA)->certificate;
    server.client_certificates = SL_TLS_CLIENTS_MAY_CERTIFY;
    CHECK_EQ(shake_with(&client, &server, NULL, &shake), 0);
    server.client_certificates = SL_TLS_CLIENTS_MUST_CERTIFY;
    CHECK_EQ(shake_with(&client, &server, NULL, &shake), SL_ECERTIFICATE); /* in TLS 1.3 only the server knows yet */
    CHECK_STRING(shake.server_error, "TLS handshake with 'the client': the client showed no certificate");
    client.certificate_pem = good->certificate;
    client.key_pem = good->key;
    CHECK_EQ(shake_with(&client, &server, NULL, &shake), 0);
    client.certificate_pem = bad->certificate;
    client.key_pem = bad->key;
    CHECK_EQ(shake_with(&client, &server, NULL, &shake), SL_ECERTIFICATE);
    CHECK_STRING(shake.server_error, "certificate of 'the client' is from an unknown CA: 'CN=Other CA'");
    server.client_certificates = SL_TLS_CLIENTS_MAY_CERTIFY;
    CHECK_EQ(shake_with(&client, &server, NULL, &shake), SL_ECERTIFICATE);
    return 0;
}

C_TEST(tls_wanted_certificate, "a client that has no certificate to show learns that it needs one: at its first read",
       "")
{
    struct sl_tls_options server = tls_server_options(TLS_SERVER);
    struct sl_tls_options client = tls_client_options();
    struct tls_shake shake = {.name = NULL};
    struct tls_pair pair;
    sl_auto(sl_tls_config) *client_config = NULL;
    sl_auto(sl_tls_config) *server_config = NULL;
    server.ca_pem = tls_identity(TLS_CA)->certificate;
    server.client_certificates = SL_TLS_CLIENTS_MUST_CERTIFY;
    CHECK_EQ(sl_tls_config_open(&client, &client_config), 0);
    CHECK_EQ(sl_tls_config_open(&server, &server_config), 0);
    CHECK_EQ(tls_plain_pair(TLS_OVER_MEMORY, 100000, &shake.one, &shake.other), 0);
    shake.client = client_config;
    shake.server = server_config;
    CHECK_EQ(tls_shake(&shake, &pair), SL_ECERTIFICATE);
    CHECK_EQ(shake.client_code, 0);
    for (int i = 0; i < 2; i++) { /* and is told so each time */
        struct sl_view view;
        CHECK_EQ(sl_stream_peek(pair.client, 1, &view), SL_ECERTIFICATE);
        CHECK_STRING(sl_error_message(sl_error_last()), "TLS with 'server.test': the peer wants a client certificate");
        CHECK_EQ(sl_stream_write(pair.client, "x", 1), i == 0 ? SL_ECERTIFICATE : SL_EPIPE);
    }
    tls_pair_close(&pair);
    return 0;
}

C_TEST_REAL_FEW(tls_alpn_without_overlap, "no application protocol in common", "RFC 7301 section 3.2")
{
    static const char *const one[] = {"h2", NULL};
    static const char *const other[] = {"http/1.1", NULL};
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_SERVER);
    struct tls_shake shake;
    client.alpn = one;
    server.alpn = other;
    CHECK_EQ(shake_with(&client, &server, NULL, &shake), SL_ETLS);
    CHECK_STRING(shake.client_error,
                 "TLS handshake with 'server.test': no application protocol (ALPN) in common, the peer says");
    CHECK_STRING(shake.server_error, "TLS handshake with 'the client': no application protocol (ALPN) in common");
    return 0;
}

/* ---- peers that do not speak TLS ---- */

static int says(bool as_server, const char *bytes, size_t size_bytes, bool closes, int code, const char *message)
{
    struct sl_tls_options options = as_server ? tls_server_options(TLS_SERVER) : tls_client_options();
    sl_auto(sl_tls_config) *config = NULL;
    sl_stream *inner = NULL;
    sl_stream *stranger = NULL;
    sl_stream *stream = NULL;
    CHECK_EQ(sl_tls_config_open(&options, &config), 0);
    CHECK_EQ(sl_stream_memory_pair(100000, &inner, &stranger), 0);
    CHECK_EQ(sl_stream_write(stranger, bytes, size_bytes), 0);
    if (closes) {
        CHECK_EQ(sl_stream_shutdown(stranger), 0);
    }
    int result =
        as_server ? sl_tls_server(inner, config, &stream) : sl_tls_client(inner, config, "server.test", &stream);
    CHECK_EQ(result, code);
    CHECK(stream == NULL);
    CHECK_STRING(sl_error_message(sl_error_last()), message);
    sl_stream_close(stranger);
    return 0;
}

#define SAYS(as_server, text, closes, code, message)                                                                   \
    CHECK_EQ(says(as_server, text, sizeof(text) - 1, closes, code, message), 0)

C_TEST_REAL_FEW(tls_strangers, "peers that speak something else, or nothing", "")
{
    SAYS(false, "HTTP/1.1 400 Bad Request\r\n\r\n", false, SL_ETLS,
         "TLS handshake with 'server.test': not TLS: looks like HTTP");
    SAYS(true, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, SL_ETLS,
         "TLS handshake with 'the client': not TLS: looks like HTTP");
    SAYS(true, "PATCH / HTTP/1.1\r\nHost: x\r\n\r\n", false, SL_ETLS,
         "TLS handshake with 'the client': not TLS: looks like HTTP");
    SAYS(false, "SSH-2.0-OpenSSH_9.2\r\n", false, SL_ETLS,
         "TLS handshake with 'server.test': not TLS: its first byte is 0x53");
    SAYS(false, "\x16\x03\x03", true, SL_ECONNRESET, "'server.test' closed the connection in the TLS handshake");
    SAYS(true, "", true, SL_ECONNRESET, "'the client' closed the connection in the TLS handshake");
    SAYS(false, "\x15\x03\x03\x00\x02\x02\x46", false, SL_ETLS,
         "TLS handshake with 'server.test': no protocol version in common, the peer says");
    SAYS(false, "\x15\x03\x03\x00\x02\x02\x70", false, SL_ETLS,
         "TLS handshake with 'server.test': the peer does not serve this name");
    SAYS(false, "\x15\x03\x03\x00\x02\x01\x00", false, SL_ECONNRESET,
         "'server.test' closed the connection in the TLS handshake");
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(tls_expired), cmocka_unit_test(tls_not_yet_valid), cmocka_unit_test(tls_self_signed),
             cmocka_unit_test(tls_unknown_ca), cmocka_unit_test(tls_wrong_host), cmocka_unit_test(tls_right_host),
             cmocka_unit_test(tls_client_certificates), cmocka_unit_test(tls_wanted_certificate),
             cmocka_unit_test(tls_alpn_without_overlap), cmocka_unit_test(tls_strangers))
