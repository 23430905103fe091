/* SPDX-License-Identifier: MIT */
/* Scripts: EVALSHA first. */
#include <openssl/evp.h>
#include <string.h>

#include "client.h"

#define SHA1_BYTES ((size_t)20)

static int hash(const char *text, size_t size_bytes, char *ret_hash)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_Digest(text, size_bytes, digest, &length, EVP_sha1(), NULL) != 1 || length != SHA1_BYTES) {
        return sl_fail(SL_EINTERNAL, "no SHA-1 for a Redis script");
    }
    for (size_t i = 0; i < SHA1_BYTES; i++) {
        ret_hash[2 * i] = digits[digest[i] >> 4];
        ret_hash[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hash[2 * SHA1_BYTES] = '\0';
    return 0;
}

/* A place by its address; another script there is forgotten. */
static int find_script(sl_redis *redis, const char *text, const struct sl__redis_script **ret_script)
{
    uint64_t mixed = (uint64_t)(uintptr_t)text * UINT64_C(0x9e3779b97f4a7c15);
    struct sl__redis_script *script = &redis->scripts[(mixed >> 32) % SL__REDIS_SCRIPTS_KEPT];
    if (script->text != text) {
        script->text = NULL;
        script->size_bytes = strlen(text);
        SL_TRY(hash(text, script->size_bytes, script->hash));
        script->text = text;
    }
    *ret_script = script;
    return 0;
}

int sl_redis_eval(sl_redis *redis, const struct sl_redis_eval *eval, sl_redis_reply **ret_reply)
{
    SL__UNCLEARED struct sl_bytes pieces[SL_REDIS_SCRIPT_PIECES_MAX + 3];
    char keys_count[4], *digit = keys_count + sizeof keys_count; /* up to SL_REDIS_SCRIPT_PIECES_MAX */
    char name[41];                                               /* its place may be taken while we wait */
    const struct sl__redis_script *script = NULL;
    size_t given = eval->keys_count + eval->arguments_count;
    if (eval->script == NULL || given > SL_REDIS_SCRIPT_PIECES_MAX) {
        return sl_fail(SL_EINVAL, "no Redis script, or more than %d keys and arguments", SL_REDIS_SCRIPT_PIECES_MAX);
    }
    SL_TRY(find_script(redis, eval->script, &script));
    memcpy(name, script->hash, sizeof name);
    for (size_t rest = eval->keys_count; digit == keys_count + sizeof keys_count || rest > 0; rest /= 10) {
        *--digit = (char)('0' + rest % 10);
    }
    pieces[0] = sl_redis_text("EVALSHA");
    pieces[1] = (struct sl_bytes){name, sizeof name - 1};
    pieces[2] = (struct sl_bytes){digit, (size_t)(keys_count + sizeof keys_count - digit)};
    for (size_t i = 0; i < given; i++) {
        pieces[3 + i] = i < eval->keys_count ? eval->keys[i] : eval->arguments[i - eval->keys_count];
    }
    struct sl_redis_request request = {.arguments = pieces,
                                       .count = 3 + given,
                                       .timeout = eval->timeout,
                                       .idempotent = eval->idempotent,
                                       .keep_errors = true,
                                       .urgent = eval->urgent,
                                       .ret_sent = eval->ret_sent};
    sl_redis_reply *reply = NULL;
    SL_TRY(sl_redis_send(redis, &request, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    if (value.type == SL_REDIS_ERROR && sl_redis_problem_of(&value) == SL_REDIS_NOSCRIPT) {
        if (eval->ret_sent != NULL) {
            --*eval->ret_sent; /* it was not carried out */
        }
        sl_redis_reply_free(reply);
        reply = NULL;
        pieces[0] = sl_redis_text("EVAL");
        pieces[1] = sl_redis_text(eval->script);
        SL_TRY(sl_redis_send(redis, &request, &reply));
        value = sl_redis_reply_value(reply);
    }
    int code = 0;
    if (value.type == SL_REDIS_ERROR && !eval->keep_errors) {
        code = sl_fail(sl__redis_problem_code(sl_redis_problem_of(&value)), "Redis: %s", value.text);
    }
    if (code < 0 || ret_reply == NULL) {
        sl_redis_reply_free(reply);
    } else {
        *ret_reply = reply;
    }
    return code;
}
