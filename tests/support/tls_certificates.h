/* SPDX-License-Identifier: MIT */
/* Certificates for the tests, made when they run: keys on P-256, as PEM text and, for other programs, as files. */
#ifndef TLS_CERTIFICATES_H
#define TLS_CERTIFICATES_H

#include <stdbool.h>

struct tls_identity {
    char *certificate; /* PEM, with the chain behind it */
    char *key;
};

enum tls_certificate {
    TLS_CA,          /* signs the others */
    TLS_OTHER_CA,    /* signs TLS_UNKNOWN_CA */
    TLS_SERVER,      /* for localhost, server.test, *.wild.test, 127.0.0.1 and ::1 */
    TLS_CLIENT,      /* CN=client */
    TLS_EXPIRED,     /* like TLS_SERVER, ended in 2021 */
    TLS_NOT_YET,     /* like it, begins in 2120 */
    TLS_SELF_SIGNED, /* like it, signed by itself */
    TLS_WRONG_HOST,  /* for other.example and four more */
    TLS_NAMELESS,    /* "server.test" only as its common name */
    TLS_UNKNOWN_CA,  /* like TLS_SERVER, signed by TLS_OTHER_CA */
    TLS_CHAIN,       /* like it, signed by an authority below TLS_CA that comes with it */
    TLS_CERTIFICATES
};

/* Made at the first call. Never NULL: the program ends when OpenSSL fails. */
const struct tls_identity *tls_identity(enum tls_certificate which);

/* The key of TLS_SERVER behind a password. */
const char *tls_locked_key(void);

/*
 * The path of a file in a folder that goes away with the process: certificate or key of one of these. Valid
 * until the next but one call.
 */
const char *tls_identity_file(enum tls_certificate which, bool key);

#endif
