/* SPDX-License-Identifier: MIT */
/* SHA-256 and HMAC-SHA-256, and comparing secrets so that the time taken tells nothing. Any thread; nothing waits. Source: RFC 6234, RFC 2104. */
#ifndef SLUICE_DIGEST_H
#define SLUICE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_SHA256_BYTES 32

/* A piece of what is digested; several are taken as one after another. */
struct sl_digest_piece {
    const void *data;
    size_t size_bytes;
};

/* 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_sha256(const void *data, size_t size_bytes, uint8_t ret_digest[SL_SHA256_BYTES]);

/* `key` of any length. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_hmac_sha256(const void *key, size_t key_bytes, const struct sl_digest_piece *pieces, size_t count,
                                 uint8_t ret_digest[SL_SHA256_BYTES]);

/* Whether two digests, or two pieces of memory of one size, are equal, in a time that does not depend on where they differ. */
bool sl_digest_equal(const void *a, const void *b, size_t size_bytes);

/* The same for texts, whose lengths are not told either. False also when memory is short. */
bool sl_secret_equal(const char *given, const char *secret);

#ifdef __cplusplus
}
#endif

#endif
