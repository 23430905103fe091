/* SPDX-License-Identifier: MIT */
/* Makes TLS connections between two tasks; see tls_pair.h. */
#include "tls_pair.h"

#include <openssl/err.h>
#include <stdio.h>

#include "sluice/scope.h"

struct end {
    struct tls_shake *shake;
    bool server;
    sl_stream *stream;
};

struct sl_tls_options tls_client_options(void)
{
    return (struct sl_tls_options){.ca_pem = tls_identity(TLS_CA)->certificate};
}

struct sl_tls_options tls_server_options(enum tls_certificate which)
{
    const struct tls_identity *identity = tls_identity(which);
    return (struct sl_tls_options){.server = true, .certificate_pem = identity->certificate, .key_pem = identity->key};
}

int tls_plain_pair(enum tls_under under, size_t capacity, sl_stream **ret_one, sl_stream **ret_other)
{
    if (under == TLS_OVER_MEMORY) {
        return sl_stream_memory_pair(capacity, ret_one, ret_other);
    }
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", 0, &listener));
    SL_TRY(sl_connect("127.0.0.1", sl_listener_port(listener), ret_one));
    return sl_listener_accept(listener, ret_other);
}

static int shake_one(void *arg)
{
    struct end *end = arg;
    struct tls_shake *shake = end->shake;
    int *code = end->server ? &shake->server_code : &shake->client_code;
    char *text = end->server ? shake->server_error : shake->client_error;
    if (end->server) {
        *code = sl_tls_server(shake->other, shake->server, &end->stream);
    } else {
        *code =
            sl_tls_client(shake->one, shake->client, shake->name == NULL ? "server.test" : shake->name, &end->stream);
    }
    shake->left_over = shake->left_over || ERR_peek_error() != 0;
    (void)snprintf(text, sizeof shake->client_error, "%s", *code < 0 ? sl_error_message(sl_error_last()) : "");
    return 0;
}

int tls_shake(struct tls_shake *shake, struct tls_pair *ret_pair)
{
    struct end client = {.shake = shake};
    struct end server = {.shake = shake, .server = true};
    SL_SCOPE(scope);
    /* A stream that no task takes over would stay: the ends are spawned before anything can fail. */
    int code = sl_spawn(&scope, shake_one, &server);
    if (code < 0) {
        sl_stream_close(shake->one);
        sl_stream_close(shake->other);
        return code;
    }
    (void)shake_one(&client);
    code = sl_scope_wait(&scope);
    *ret_pair = (struct tls_pair){client.stream, server.stream};
    if (code < 0) {
        return code;
    }
    if (shake->left_over) {
        return sl_fail(SL_EMISUSE, "OpenSSL's errors were left in its queue");
    }
    return shake->client_code < 0 ? shake->client_code : shake->server_code;
}

int tls_pair_open(enum tls_under under, size_t capacity, struct tls_pair *ret_pair)
{
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_SERVER);
    struct tls_shake shake = {.name = "server.test"};
    sl_auto(sl_tls_config) *client_config = NULL;
    sl_auto(sl_tls_config) *server_config = NULL;
    *ret_pair = (struct tls_pair){NULL, NULL};
    SL_TRY(sl_tls_config_open(&client, &client_config));
    SL_TRY(sl_tls_config_open(&server, &server_config));
    SL_TRY(tls_plain_pair(under, capacity, &shake.one, &shake.other));
    shake.client = client_config;
    shake.server = server_config;
    int code = tls_shake(&shake, ret_pair);
    if (code < 0) {
        tls_pair_close(ret_pair);
    }
    return code;
}

void tls_pair_close(struct tls_pair *pair)
{
    sl_stream_close(pair->client);
    sl_stream_close(pair->server);
    *pair = (struct tls_pair){NULL, NULL};
}
