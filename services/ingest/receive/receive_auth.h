/* SPDX-License-Identifier: MIT */
/*
 * Who may send us events: an API key, or a signature of time and body, or both, as the configuration asks. Comparisons
 * take the same time whatever is compared.
 */
#ifndef SL_INGEST_RECEIVE_AUTH_H
#define SL_INGEST_RECEIVE_AUTH_H

#include "ingest/config.h"
#include "ingest/receive/seen.h"
#include "sluice/digest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a request says of itself: headers by name (NULL: absent), and its body. */
struct sl_receive_claim {
    const char *(*header)(const void *message, const char *name);
    const void *message;
    const void *body;
    size_t body_bytes;
};

/*
 * Whether it may: 0; SL_EINVAL, and why in a text to show (it tells nothing that helps to guess). `ret_signature` names
 * the signature, to know it if it comes again; both words 0: none was asked for. SL_ENOMEM. `now_ns`: since 1970.
 * `since_ns`: what was signed before is refused: an earlier life, whose signatures nobody remembers, may have taken it.
 */
SL_MUST_CHECK int sl_receive_admit(const struct sl_conf_receive *conf, const struct sl_receive_claim *claim,
                                   int64_t now_ns, int64_t since_ns, struct sl_seen_key *ret_signature,
                                   const char **ret_why);

/* The signature's bytes, HMAC-SHA-256 of "time.body". 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_receive_sign(const char *secret, const char *time, const void *body, size_t body_bytes,
                                  uint8_t ret_signature[SL_SHA256_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
