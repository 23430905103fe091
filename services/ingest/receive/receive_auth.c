/* SPDX-License-Identifier: MIT */
/* API keys and signatures of requests. See receive_auth.h. HMAC: RFC 2104. */
#include "ingest/receive/receive_auth.h"

#include <string.h>
#include <strings.h>

#include "sluice/digest.h"
#include "sluice/json.h"

/* ---- keys ---- */

/* X-API-Key, or Authorization: Bearer. */
static const char *key_of(const struct sl_receive_claim *claim)
{
    const char *key = claim->header(claim->message, "X-API-Key");
    const char *bearer = claim->header(claim->message, "Authorization");
    if (key == NULL && bearer != NULL && strncasecmp(bearer, "Bearer ", 7) == 0) {
        key = bearer + 7;
    }
    return key;
}

/* ---- signatures ---- */

int sl_receive_sign(const char *secret, const char *time, const void *body, size_t body_bytes,
                    uint8_t ret_signature[SL_SHA256_BYTES])
{
    const struct sl_digest_piece pieces[] = {{time, strlen(time)}, {".", 1}, {body, body_bytes}};
    return sl_hmac_sha256(secret, strlen(secret), pieces, 3, ret_signature);
}

static bool parse_hex(const char *text, uint8_t bytes[SL_SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != (size_t)2 * SL_SHA256_BYTES) {
        return false;
    }
    for (size_t at = 0; at < (size_t)2 * SL_SHA256_BYTES; at++) {
        char c = (char)(text[at] >= 'A' && text[at] <= 'F' ? text[at] - 'A' + 'a' : text[at]);
        const char *digit = memchr(digits, c, sizeof digits - 1);
        if (digit == NULL) {
            return false;
        }
        bytes[at / 2] = (uint8_t)(bytes[at / 2] << 4 | (digit - digits));
    }
    return true;
}

/* The key that is named, or the only one; NULL. */
static const char *secret_of(const struct sl_conf_hmac *hmac, const char *id)
{
    const char *const *secret = id == NULL && hmac->keys.count == 1 ? sl_config_map_at(&hmac->keys, 0)
                                : id != NULL                        ? sl_config_map_find(&hmac->keys, id)
                                                                    : NULL;
    return secret == NULL ? NULL : *secret;
}

/* Why the time is none that we take, which is whole seconds near ours and in this life; NULL: it is. */
static const char *is_untimely(const char *text, int64_t now_ns, int64_t since_ns, sl_time tolerance)
{
    int64_t seconds = 0;
    sl_json_text number = {text, strlen(text)};
    bool whole = sl_json_text_int64(number, &seconds) >= 0 && seconds >= 0 && seconds <= INT64_MAX / SL_SECONDS(1);
    int64_t apart = whole ? now_ns - seconds * SL_SECONDS(1) : 0;
    if (!whole || apart > tolerance || apart < -tolerance) {
        return "the time is not in whole seconds since 1970, or too far from ours";
    }
    return seconds * SL_SECONDS(1) < since_ns ? "signed before this service began: sign it anew" : NULL;
}

static int check_signature(const struct sl_conf_hmac *hmac, const struct sl_receive_claim *claim, int64_t now_ns,
                           int64_t since_ns, struct sl_seen_key *ret_signature, const char **ret_why)
{
    uint8_t given[SL_SHA256_BYTES] = {0}, wanted[SL_SHA256_BYTES];
    const char *signature = claim->header(claim->message, hmac->header);
    const char *time = claim->header(claim->message, hmac->timestamp_header);
    const char *secret = secret_of(hmac, claim->header(claim->message, hmac->key_header));
    *ret_why = "a signature is asked for: see the headers of time and signature";
    if (signature == NULL || time == NULL) {
        return SL_EINVAL;
    }
    *ret_why = is_untimely(time, now_ns, since_ns, hmac->tolerance);
    if (*ret_why != NULL) {
        return SL_EINVAL;
    }
    /* For a key that there is not, too, so that it takes as long. */
    SL_TRY(sl_receive_sign(secret == NULL ? "" : secret, time, claim->body, claim->body_bytes, wanted));
    bool form = parse_hex(signature, given);
    bool same = sl_digest_equal(given, wanted, sizeof given);
    *ret_why = "the signature or its key is not right";
    memcpy(ret_signature, wanted, sizeof *ret_signature);
    return form && same && secret != NULL ? 0 : SL_EINVAL;
}

int sl_receive_admit(const struct sl_conf_receive *conf, const struct sl_receive_claim *claim, int64_t now_ns,
                     int64_t since_ns, struct sl_seen_key *ret_signature, const char **ret_why)
{
    *ret_signature = (struct sl_seen_key){{0, 0}};
    *ret_why = "";
    if (conf->api_key != NULL) {
        const char *key = key_of(claim);
        bool same = sl_secret_equal(key == NULL ? "" : key, conf->api_key);
        if (key == NULL || !same) {
            *ret_why = key == NULL ? "an API key is asked for: X-API-Key, or Authorization: Bearer"
                                   : "the API key is not right";
            return SL_EINVAL;
        }
    }
    return conf->hmac == NULL ? 0 : check_signature(conf->hmac, claim, now_ns, since_ns, ret_signature, ret_why);
}
