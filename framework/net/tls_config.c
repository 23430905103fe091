/* SPDX-License-Identifier: MIT */
/* TLS configurations: options become an SSL_CTX of OpenSSL. Keys and PEM texts are never printed. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "../runtime/internal.h"
#include "network.h"
#include "sluice/thread.h"
#include "tls_wire.h"

/* ---- PEM ---- */

/* A file, or text in memory, and what to call it in messages. */
struct source {
    const char *file, *pem;
    const char *what;
};

static bool is_given(const struct source *source)
{
    return source->file != NULL || source->pem != NULL;
}

static int source_open(const struct source *source, BIO **ret_bio)
{
    if (source->file != NULL && source->pem != NULL) {
        return sl_fail(SL_EINVAL, "%s: a file or a text, not both", source->what);
    }
    errno = 0;
    *ret_bio = source->file != NULL ? BIO_new_file(source->file, "r") : BIO_new_mem_buf(source->pem, -1);
    if (*ret_bio != NULL) {
        return 0;
    }
    int code = errno == 0 ? SL_ENOMEM : -errno;
    return sl_fail(code, "%s '%s': %s", source->what, source->file == NULL ? "" : source->file, sl_strerror(code));
}

static int unusable(const struct source *source, const char *why)
{
    return sl_fail(SL_ECERTIFICATE, "%s%s%s: %s", source->what, source->file == NULL ? "" : " ",
                   source->file == NULL ? "" : source->file, why);
}

/* OpenSSL would ask for a password on the terminal. */
static int no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)context = true;
    return -1;
}

/* Whether the file ended where another certificate might have begun; anything else is damage. */
static bool at_the_end(void)
{
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* Each certificate of the source to `add`, which keeps it when it gives 1. */
static int each_certificate(const struct source *source, SSL_CTX *context,
                            int (*add)(SSL_CTX *context, X509 *certificate, int index))
{
    BIO *bio = NULL;
    X509 *certificate = NULL;
    int count = 0;
    bool fine = true;
    SL_TRY(source_open(source, &bio));
    while (fine && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        fine = add(context, certificate, count++) == 1;
        X509_free(certificate);
    }
    (void)BIO_free(bio);
    if (!fine) {
        return unusable(source, "a certificate is not fit to use here");
    }
    if (!at_the_end()) {
        return unusable(source, "a certificate is damaged");
    }
    ERR_clear_error();
    return count > 0 ? 0 : unusable(source, "there is no certificate in it");
}

/* ---- whom to trust ---- */

static int add_authority(SSL_CTX *context, X509 *certificate, int index)
{
    (void)index;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1 &&
           SSL_CTX_add_client_CA(context, certificate) == 1;
}

static int set_trust(SSL_CTX *context, const struct sl_tls_options *options)
{
    struct source ca = {options->ca_file, options->ca_pem, "CA certificates"};
    bool clients = options->client_certificates != SL_TLS_CLIENTS_ANONYMOUS;
    int mode = SSL_VERIFY_PEER;
    if (options->server) {
        if (clients && !is_given(&ca)) {
            return sl_fail(SL_EINVAL, "certificates of clients need a CA of their own");
        }
        mode = !clients ? SSL_VERIFY_NONE
               : options->client_certificates == SL_TLS_CLIENTS_MUST_CERTIFY
                   ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                   : SSL_VERIFY_PEER;
    } else if (options->insecure_accept_any_certificate) {
        mode = SSL_VERIFY_NONE;
    }
    SSL_CTX_set_verify(context, mode, mode == SSL_VERIFY_NONE ? NULL : sl__tls_verified);
    if (is_given(&ca)) {
        return each_certificate(&ca, context, add_authority);
    }
    if (mode != SSL_VERIFY_NONE && SSL_CTX_set_default_verify_paths(context) != 1) {
        return sl_fail(SL_ECERTIFICATE, "the system's CA certificates cannot be used");
    }
    return 0;
}

/* ---- our own certificate ---- */

static int add_own(SSL_CTX *context, X509 *certificate, int index)
{
    return index == 0 ? SSL_CTX_use_certificate(context, certificate) : SSL_CTX_add1_chain_cert(context, certificate);
}

static int set_key(SSL_CTX *context, const struct source *source)
{
    BIO *bio = NULL;
    bool locked = false;
    SL_TRY(source_open(source, &bio));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &locked);
    (void)BIO_free(bio);
    if (key == NULL) {
        return unusable(source, locked ? "it is locked by a password" : "there is no private key in it");
    }
    int fits = SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return fits ? 0 : unusable(source, "it does not belong to the certificate");
}

static int set_own_certificate(SSL_CTX *context, const struct sl_tls_options *options)
{
    struct source certificate = {options->certificate_file, options->certificate_pem, "certificate"};
    struct source key = {options->key_file, options->key_pem, "private key"};
    if (is_given(&certificate) != is_given(&key)) {
        return sl_fail(SL_EINVAL, "a certificate and its private key come together");
    }
    if (!is_given(&key)) {
        return options->server ? sl_fail(SL_EINVAL, "a server needs a certificate and its private key") : 0;
    }
    SL_TRY(each_certificate(&certificate, context, add_own));
    return set_key(context, &key);
}

/* ---- application protocols (RFC 7301) ---- */

static int copy_alpn(sl_tls_config *config, const char *const *names)
{
    size_t count = 0;
    size_t bytes = 0;
    for (; names[count] != NULL; count++) {
        size_t length = strlen(names[count]);
        if (length == 0 || length >= SL_TLS_ALPN_BYTES_MAX || count == SL_TLS_ALPN_MAX) {
            return sl_fail(SL_EINVAL, "ALPN takes up to %d names of 1 to %d bytes", SL_TLS_ALPN_MAX,
                           SL_TLS_ALPN_BYTES_MAX - 1);
        }
        bytes += 1 + length;
    }
    config->alpn = sl_malloc(bytes);
    if (config->alpn == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a TLS configuration");
    }
    config->alpn_bytes = bytes;
    unsigned char *to = config->alpn;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        *to++ = (unsigned char)length;
        memcpy(to, names[i], length);
        to += length;
    }
    return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                       const unsigned char *offered, unsigned int offered_bytes, void *context)
{
    const sl_tls_config *config = context;
    unsigned char *name = NULL;
    (void)ssl;
    if (SSL_select_next_proto(&name, ret_length, config->alpn, (unsigned int)config->alpn_bytes, offered,
                              offered_bytes) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static int set_alpn(sl_tls_config *config, SSL_CTX *context)
{
    if (config->alpn == NULL) {
        return 0;
    }
    if (config->server) {
        SSL_CTX_set_alpn_select_cb(context, choose_alpn, config);
    } else if (SSL_CTX_set_alpn_protos(context, config->alpn, (unsigned int)config->alpn_bytes) != 0) {
        return sl_fail(SL_ENOMEM, "no memory for a TLS configuration");
    }
    return 0;
}

/* ---- callbacks of connections ---- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct sl__tls_peer *peer = SSL_get_app_data(ssl);
    if (peer->session == NULL) {
        return 0; /* this connection's first one was kept already */
    }
    sl__tls_session_keep(peer->config, &peer->session, session);
    return 1;
}

static void on_info(const SSL *ssl, int where, int value)
{
    /* OpenSSL answers a renegotiation with this warning and goes on. */
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && (value & 0xff) == SSL_AD_NO_RENEGOTIATION) {
        ((struct sl__tls_peer *)SSL_get_app_data(ssl))->renegotiation = true;
    }
}

/* Only asked when we have no certificate to show. */
static int on_client_certificate(SSL *ssl, X509 **ret_certificate, EVP_PKEY **ret_key)
{
    (void)ret_certificate;
    (void)ret_key;
    ((struct sl__tls_peer *)SSL_get_app_data(ssl))->was_asked = true;
    return 0;
}

/* ---- the configuration ---- */

static int configure(SSL_CTX *context, const struct sl_tls_options *options)
{
    int oldest = options->min_version == SL_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(context, oldest) != 1) {
        return sl_fail(SL_ETLS, "OpenSSL does not take TLS 1.2 as its oldest version");
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Without AUTO_RETRY a reading call ends after each record without data: no peer keeps us in it. */
    (void)SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_info_callback(context, on_info);
    if (options->server) { /* what is resumed comes from tickets alone */
        (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_session_id_context(context, (const unsigned char *)"sluice", 6);
    } else {
        (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, on_session);
        SSL_CTX_set_client_cert_cb(context, on_client_certificate);
    }
    SL_TRY(set_trust(context, options));
    return set_own_certificate(context, options);
}

int sl__tls_context_new(sl_tls_config *config, const struct sl_tls_options *options, SSL_CTX **ret_context)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    int code = context == NULL ? sl_fail(SL_ENOMEM, "no memory for TLS") : configure(context, options);
    code = code == 0 ? set_alpn(config, context) : code;
    ERR_clear_error();
    if (code < 0) {
        SSL_CTX_free(context);
        return code;
    }
    *ret_context = context;
    return 0;
}

static void destroy(sl_tls_config *config)
{
    while (config->sessions != NULL) {
        struct sl__tls_session *next = config->sessions->next;
        sl__tls_session_free(config->sessions);
        config->sessions = next;
    }
    SSL_CTX_free(config->context);
    BIO_meth_free(config->wire);
    (void)pthread_mutex_destroy(&config->lock);
    sl__tls_files_free(&config->files);
    sl_free(config->alpn);
    sl_free(config);
}

static int check(const struct sl_tls_options *options)
{
    if (!options->server && options->client_certificates != SL_TLS_CLIENTS_ANONYMOUS) {
        return sl_fail(SL_EINVAL, "only servers ask for client certificates");
    }
    if (options->server && options->insecure_accept_any_certificate) {
        return sl_fail(SL_EINVAL, "insecure_accept_any_certificate is for clients");
    }
    return 0;
}

int sl_tls_config_open(const struct sl_tls_options *options, sl_tls_config **ret_config)
{
    SL_TRY(check(options));
    sl_tls_config *config = sl_calloc(1, sizeof *config);
    if (config == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a TLS configuration");
    }
    atomic_init(&config->references, 1);
    (void)pthread_mutex_init(&config->lock, NULL);
    config->server = options->server;
    config->sessions_max = options->sessions_max == 0 ? SL_TLS_SESSIONS_MAX : options->sessions_max;
    config->wire = sl__tls_wire_new();
    int code = config->wire == NULL ? sl_fail(SL_ENOMEM, "no memory for TLS") : 0;
    code = code == 0 ? sl__tls_files_keep(&config->files, options) : code; /* before they are read */
    code = code == 0 && options->alpn != NULL && options->alpn[0] != NULL ? copy_alpn(config, options->alpn) : code;
    code = code == 0 ? sl__tls_context_new(config, options, &config->context) : code;
    if (code < 0) {
        destroy(config);
        return code;
    }
    *ret_config = config;
    return 0;
}

/* ---- the runtime's own ---- */

static int make_default(void *arg)
{
    int code = sl_tls_config_open(&(struct sl_tls_options){.server = false}, arg);
    OPENSSL_thread_stop(); /* what OpenSSL keeps for a thread must be gone before the process ends, the thread need not */
    return code;
}

int sl_tls_default(sl_tls_config **ret_config)
{
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    struct sl__net *net = sl__net();
    if (net == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a TLS configuration");
    }
    if (net->tls == NULL) {
        SL_TRY(sl_mutex_lock(&net->tls_making));
        sl_tls_config *made = net->tls;
        int code = made == NULL ? sl_offload(make_default, &made) : 0;
        net->tls = made;
        (void)sl_mutex_unlock(&net->tls_making);
        SL_TRY(code);
    }
    *ret_config = net->tls;
    return 0;
}

void sl__tls_config_ref(sl_tls_config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
}

void sl_tls_config_free(sl_tls_config *config)
{
    if (config != NULL && atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) == 1) {
        destroy(config);
    }
}
