/* SPDX-License-Identifier: MIT */
/* Between the files of TLS: configuration, sessions of clients, and what an error of OpenSSL means. */
#ifndef SL_NET_TLS_H
#define SL_NET_TLS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sluice/tls.h"

/* A session to resume, and of which server: name and port. */
struct sl__tls_session {
    struct sl__tls_session *next;
    SSL_SESSION *session;
    char key[];
};

/* Of a server whose certificate may be renewed; `certificate` NULL: it stays as it is. */
struct sl__tls_files {
    char *certificate, *key, *ca; /* `ca` NULL: clients need none */
    enum sl_tls_client_certificates clients;
    enum sl_tls_version oldest;
    uint64_t state; /* of the files when they were read last */
    bool looking;   /* under the lock, as what follows */
    sl_time looked_at;
};

struct sl_tls_config {
    atomic_uint references;
    SSL_CTX *context; /* of a server: under the lock */
    struct sl__tls_files files;
    BIO_METHOD *wire; /* OpenSSL's way to the inner stream */
    bool server;
    unsigned char *alpn; /* as TLS has it: a length before each name */
    size_t alpn_bytes;
    uint32_t sessions_max;
    pthread_mutex_t lock;             /* of the rest */
    struct sl__tls_session *sessions; /* the one used last comes first */
    uint32_t session_count;
};

void sl__tls_config_ref(sl_tls_config *config);

/* tls_config.c: what OpenSSL makes of the options, for this configuration. */
int sl__tls_context_new(sl_tls_config *config, const struct sl_tls_options *options, SSL_CTX **ret_context);

/* tls_renew.c. SL_ENOMEM. */
int sl__tls_files_keep(struct sl__tls_files *files, const struct sl_tls_options *options);
void sl__tls_files_free(struct sl__tls_files *files);
/* Looks at a server's files if that is due. 0, SL_ECANCELED. Waits. */
int sl__tls_renew(sl_tls_config *config);

/* What OpenSSL's callbacks and the words for its errors need to know of a connection; SSL_get_app_data(). */
struct sl__tls_peer {
    const char *name; /* for messages: the server's name, or "the client" */
    sl_tls_config *config;
    struct sl__tls_session *session; /* to be kept; NULL once it is the cache's */
    bool shaking;
    bool was_asked;     /* for a certificate that we do not have */
    bool renegotiation; /* the peer wanted it */
    uint8_t first_count;
    unsigned char first[8]; /* bytes of the peer */
};

/* A record for `key`; NULL when memory is short. */
struct sl__tls_session *sl__tls_session_new(const char *name, const sl_stream *inner);
void sl__tls_session_free(struct sl__tls_session *session);
/* The session to try for it, referenced, or NULL. */
SSL_SESSION *sl__tls_session_find(sl_tls_config *config, const char *key);
/* Replaces the one of that key; takes the reference, and the record unless there is one already. */
void sl__tls_session_keep(sl_tls_config *config, struct sl__tls_session **record, SSL_SESSION *session);
void sl__tls_session_forget(sl_tls_config *config, const char *key);

/* Verification's callback: records the error when a certificate is refused. */
int sl__tls_verified(int ok, X509_STORE_CTX *store);
/* Turns what OpenSSL has queued into a code with a message, and empties its queue. */
int sl__tls_explain(const SSL *ssl, const struct sl__tls_peer *peer);
/* A name of a certificate as text for messages and sl_tls_info: "CN=api.example". */
void sl__tls_subject(const X509_NAME *subject, char *text, size_t text_bytes);

#endif
