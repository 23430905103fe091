/* SPDX-License-Identifier: MIT */
/* http and https URLs (RFC 3986, RFC 9110 section 4.2). */
#ifndef SL_HTTP_URL_H
#define SL_HTTP_URL_H

#include "sluice/fetch.h"

#define SL_HTTP_HOST_BYTES 256

struct sl__url {
    bool secure;
    int port;
    char host[SL_HTTP_HOST_BYTES];          /* small letters, no brackets */
    char authority[SL_HTTP_HOST_BYTES + 8]; /* for Host: brackets, and the port unless it is the scheme's */
    char text[];                            /* the whole, without a fragment: "https://host:1/path?query" */
};

/* The path and query of it, "/..." */
const char *sl__url_target(const struct sl__url *url);

/* A new URL, to be freed with sl_free(). SL_EINVAL with the reason, SL_EMSGSIZE, SL_ENOMEM. */
int sl__url_parse(const char *text, struct sl__url **ret_url);

/* What `reference`, perhaps relative, means at `base` (RFC 3986, 5.2); its bad characters are encoded. */
int sl__url_resolve(const struct sl__url *base, const char *reference, struct sl__url **ret_url);

bool sl__url_same_origin(const struct sl__url *one, const struct sl__url *other);

#endif
