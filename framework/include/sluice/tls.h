/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.2 and 1.3 on top of any stream. The peer's certificate and name are verified unless a loudly named
 * option says otherwise. A stream made here keeps the promises of stream.h: a peer that ends without TLS's
 * close_notify may have been cut off, so its reader gets SL_ECONNRESET, never SL_EOF. Renegotiation is refused.
 */
#ifndef SLUICE_TLS_H
#define SLUICE_TLS_H

#include "sluice/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What many connections share: certificates, whom to trust, sessions. Counted; any thread. */
typedef struct sl_tls_config sl_tls_config;

enum sl_tls_version { SL_TLS_1_2, SL_TLS_1_3 };

/* What a server does about certificates of its clients. */
enum sl_tls_client_certificates {
    SL_TLS_CLIENTS_ANONYMOUS,
    SL_TLS_CLIENTS_MAY_CERTIFY, /* one that is shown must be valid */
    SL_TLS_CLIENTS_MUST_CERTIFY
};

/* A server looks at its files so often, when clients come, whether they were renewed. */
#define SL_TLS_RENEW_CHECK SL_SECONDS(5)

#define SL_TLS_ALPN_MAX 16
#define SL_TLS_ALPN_BYTES_MAX 64 /* of one protocol's name, with the NUL */
#define SL_TLS_SESSIONS_MAX 128
#define SL_TLS_NAME_BYTES_MAX 256 /* of a host name, with the NUL */

/* Everything is PEM, from a file or (the _pem members) from text; not both. Nothing is borrowed after the call. */
struct sl_tls_options {
    bool server; /* otherwise for clients */
    /* Who may have signed the peer's certificate; neither: the system's authorities (clients only). */
    const char *ca_file, *ca_pem;
    /* Our certificate, with what leads to the authority behind it, and its key without a password. Servers need them. */
    const char *certificate_file, *certificate_pem;
    const char *key_file, *key_pem;
    enum sl_tls_client_certificates client_certificates; /* servers only; needs ca_file or ca_pem */
    const char *const *alpn;                             /* NULL-terminated, the preferred first; NULL: none */
    enum sl_tls_version min_version;
    uint32_t sessions_max; /* sessions a client keeps, one for each server; 0: SL_TLS_SESSIONS_MAX */
    /* Clients: talk to anyone, whatever the certificate and whoever listens in. Only for tests. */
    bool insecure_accept_any_certificate;
};

/*
 * Makes a configuration. Reads the files (blocking: call it at the start). A server whose certificate, key and authority
 * come from files takes them anew when they have changed, see SL_TLS_RENEW_CHECK; what cannot be used is logged. 0; SL_EINVAL for options that do
 * not fit together, with a message; SL_ECERTIFICATE for a certificate or key that cannot be used; the system's
 * codes for files; SL_ENOMEM. Any thread.
 */
SL_MUST_CHECK int sl_tls_config_open(const struct sl_tls_options *options, sl_tls_config **ret_config);

/* Gives up the caller's reference; connections keep theirs. NULL is fine. Any thread. */
void sl_tls_config_free(sl_tls_config *config);
SL_AUTO_DECLARE(sl_tls_config, sl_tls_config_free)

/*
 * What clients use that were given nothing else: the system's authorities, everything verified. Made at the
 * first call in a runtime, on a worker thread, and lent until the run ends, so that sessions are resumed. Waits. Codes
 * of sl_tls_config_open().
 */
SL_MUST_CHECK int sl_tls_default(sl_tls_config **ret_config);

/*
 * Shakes hands as the client of `server_name` (a host name or an IP address: what the certificate must be
 * for). Takes `inner` over, on success AND on failure; nobody else may use it any more. Waits, bounded by
 * the scopes around it. 0; SL_ECERTIFICATE: we do not accept the peer's certificate, or it not ours;
 * SL_ETLS: no handshake came about; SL_ECONNRESET: cut off in the middle; SL_EINVAL for a configuration of
 * servers and for what is no name; SL_ENOMEM; codes of `inner`. The message says what was wrong.
 */
SL_MUST_CHECK int sl_tls_client(sl_stream *inner, sl_tls_config *config, const char *server_name,
                                sl_stream **ret_stream);

/* The same as the server, in the task that serves the connection: a slow client then delays nobody else. */
SL_MUST_CHECK int sl_tls_server(sl_stream *inner, sl_tls_config *config, sl_stream **ret_stream);

struct sl_tls_info {
    const char *version; /* "TLSv1.3"; static */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384"; static */
    bool resumed;
    char alpn[SL_TLS_ALPN_BYTES_MAX]; /* what was agreed on; "": nothing */
    char peer_subject[256];           /* of the peer's certificate, "CN=api.example"; "": it has none */
};

/* What was negotiated. 0, or SL_EINVAL when the stream is not TLS. Never waits. */
SL_MUST_CHECK int sl_tls_info(const sl_stream *stream, struct sl_tls_info *ret_info);

#ifdef __cplusplus
}
#endif

#endif
