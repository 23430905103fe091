/* SPDX-License-Identifier: MIT */
/* Digests by OpenSSL. See digest.h. */
#include "sluice/digest.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

int sl_sha256(const void *data, size_t size_bytes, uint8_t ret_digest[SL_SHA256_BYTES])
{
    unsigned size = 0;
    bool good = EVP_Digest(data, size_bytes, ret_digest, &size, EVP_sha256(), NULL) == 1 && size == SL_SHA256_BYTES;
    return good ? 0 : sl_fail(SL_ENOMEM, "no memory for a digest");
}

int sl_hmac_sha256(const void *key, size_t key_bytes, const struct sl_digest_piece *pieces, size_t count,
                   uint8_t ret_digest[SL_SHA256_BYTES])
{
    char name[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    size_t size = 0;
    bool good = context != NULL && EVP_MAC_init(context, key, key_bytes, params) == 1;
    for (size_t at = 0; at < count && good; at++) {
        good = pieces[at].size_bytes == 0 || EVP_MAC_update(context, pieces[at].data, pieces[at].size_bytes) == 1;
    }
    good = good && EVP_MAC_final(context, ret_digest, &size, SL_SHA256_BYTES) == 1 && size == SL_SHA256_BYTES;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    return good ? 0 : sl_fail(SL_ENOMEM, "no memory for a signature");
}

bool sl_digest_equal(const void *a, const void *b, size_t size_bytes)
{
    return CRYPTO_memcmp(a, b, size_bytes) == 0;
}

bool sl_secret_equal(const char *given, const char *secret)
{
    uint8_t digests[2][SL_SHA256_BYTES];
    return sl_sha256(given, strlen(given), digests[0]) == 0 && sl_sha256(secret, strlen(secret), digests[1]) == 0 &&
           sl_digest_equal(digests[0], digests[1], SL_SHA256_BYTES);
}
