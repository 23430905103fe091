/* SPDX-License-Identifier: MIT */
/* See raw_tls.h. */
#include "raw_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "tls_certificates.h"

static void use(SSL_CTX *context, const struct tls_identity *identity)
{
    BIO *bio = BIO_new_mem_buf(identity->certificate, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    (void)SSL_CTX_use_certificate(context, certificate);
    X509_free(certificate);
    (void)BIO_free(bio);
    bio = BIO_new_mem_buf(identity->key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    (void)SSL_CTX_use_PrivateKey(context, key);
    EVP_PKEY_free(key);
    (void)BIO_free(bio);
}

void raw_tls_open(struct raw_tls *raw, bool server, int version, sl_stream *stream)
{
    *raw = (struct raw_tls){.context = SSL_CTX_new(TLS_method()), .stream = stream};
    SSL_CTX_set_security_level(raw->context, 0); /* also versions that nobody should speak */
    (void)SSL_CTX_set_min_proto_version(raw->context, version);
    (void)SSL_CTX_set_max_proto_version(raw->context, version);
    use(raw->context, tls_identity(server ? TLS_SERVER : TLS_CLIENT));
    (void)SSL_CTX_set_num_tickets(raw->context, 0);
    raw->ssl = SSL_new(raw->context);
    raw->in = BIO_new(BIO_s_mem());
    raw->out = BIO_new(BIO_s_mem());
    SSL_set_bio(raw->ssl, raw->in, raw->out);
    if (server) {
        SSL_set_accept_state(raw->ssl);
    } else {
        SSL_set_connect_state(raw->ssl);
    }
}

void raw_tls_close(struct raw_tls *raw)
{
    sl_stream_close(raw->stream);
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->context);
    *raw = (struct raw_tls){.ssl = NULL};
}

int raw_tls_take(struct raw_tls *raw)
{
    struct sl_view view;
    int code = sl_stream_peek(raw->stream, 1, &view);
    if (code == 0) {
        (void)BIO_write(raw->in, view.data, (int)view.size_bytes);
        sl_stream_consume(raw->stream, view.size_bytes);
    }
    return code;
}

int raw_tls_give(struct raw_tls *raw, size_t max_bytes)
{
    char buffer[4096];
    while (max_bytes > 0) {
        size_t room = max_bytes < sizeof buffer ? max_bytes : sizeof buffer;
        int bytes = BIO_read(raw->out, buffer, (int)room);
        if (bytes <= 0) {
            break;
        }
        SL_TRY(sl_stream_write(raw->stream, buffer, (size_t)bytes));
        max_bytes -= (size_t)bytes;
    }
    return 0;
}

int raw_tls_shake(struct raw_tls *raw)
{
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(raw->ssl);
        int kind = SSL_get_error(raw->ssl, result);
        SL_TRY(raw_tls_give(raw, SIZE_MAX));
        if (result == 1) {
            return 0;
        }
        if (kind != SSL_ERROR_WANT_READ) {
            ERR_clear_error();
            return SL_ETLS;
        }
        SL_TRY(raw_tls_take(raw));
    }
}

int raw_tls_read(struct raw_tls *raw, void *buffer, size_t size_bytes)
{
    for (size_t total = 0; total < size_bytes;) {
        size_t bytes = 0;
        ERR_clear_error();
        int result = SSL_read_ex(raw->ssl, (char *)buffer + total, size_bytes - total, &bytes);
        total += bytes;
        if (result != 1) {
            if (SSL_get_error(raw->ssl, result) != SSL_ERROR_WANT_READ) {
                ERR_clear_error();
                return SL_ETLS;
            }
            SL_TRY(raw_tls_take(raw));
        }
    }
    return 0;
}

int raw_tls_write(struct raw_tls *raw, const void *data, size_t size_bytes)
{
    if (SSL_write(raw->ssl, data, (int)size_bytes) != (int)size_bytes) {
        return SL_ETLS;
    }
    return raw_tls_give(raw, SIZE_MAX);
}
