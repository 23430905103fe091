/* SPDX-License-Identifier: MIT */
/* Keys and signatures, and everything that must not be let in. */
#include <string.h>

#include "ingest/receive/receive_auth.h"
#include "sl_test.h"

#define NOW INT64_C(1700000000)
#define NOW_NS (NOW * SL_SECONDS(1))

struct headers {
    const char *names[6], *values[6];
};

static const char *find(const void *message, const char *name)
{
    const struct headers *headers = message;
    for (size_t at = 0; at < 6 && headers->names[at] != NULL; at++) {
        if (strcmp(headers->names[at], name) == 0) {
            return headers->values[at];
        }
    }
    return NULL;
}

static const char *const ids[] = {"new", "old"};
static const char *const secrets[] = {"a secret of sixteen", "another secret, older"};
static const uint32_t order[] = {0, 1};

static struct sl_conf_hmac hmac_of(size_t keys)
{
    return (struct sl_conf_hmac){
        .keys = {.names = ids, .items = secrets, .count = keys, .item_bytes = sizeof *secrets, .order = order},
        .header = "X-Signature",
        .timestamp_header = "X-Timestamp",
        .key_header = "X-Key-Id",
        .tolerance = SL_MINUTES(5)};
}

static void sign(const char *secret, const char *time, const char *body, char text[65])
{
    uint8_t bytes[SL_SHA256_BYTES];
    assert_int_equal(sl_receive_sign(secret, time, body, strlen(body), bytes), 0);
    for (size_t at = 0; at < sizeof bytes; at++) {
        (void)snprintf(text + 2 * at, 3, "%02x", bytes[at]);
    }
}

/* As openssl's own command reckons it. */
static void it_is_hmac_sha_256(void **state)
{
    (void)state;
    char text[65];
    sign("key", "The quick brown fox", "jumps", text); /* of "The quick brown fox.jumps", by openssl dgst */
    assert_string_equal(text, "8810a4d363b86015f01921b5cf5af95648e9a5599e218f270b8a1b3053e34067");
}

static int admit_since(const struct sl_conf_receive *conf, const struct headers *headers, const char *body,
                       int64_t since)
{
    struct sl_receive_claim claim = {find, headers, body, strlen(body)};
    struct sl_seen_key signature;
    const char *why = NULL;
    int code = sl_receive_admit(conf, &claim, NOW_NS, since, &signature, &why);
    assert_non_null(why);
    assert_int_equal(code == 0, why[0] == '\0' || code == 0);
    assert_true(code == 0 || why[0] != '\0');
    return code;
}

static int admit(const struct sl_conf_receive *conf, const struct headers *headers, const char *body)
{
    return admit_since(conf, headers, body, 0);
}

static void keys_are_compared(void **state)
{
    (void)state;
    const struct sl_conf_receive open = {.api_key = NULL}, conf = {.api_key = "0123456789abcdef"};
    const struct {
        const char *name, *value;
        int code;
    } cases[] = {
        {"X-API-Key", "0123456789abcdef", 0},
        {"Authorization", "Bearer 0123456789abcdef", 0},
        {"Authorization", "bearer 0123456789abcdef", 0},
        {"X-API-Key", "0123456789abcdeF", SL_EINVAL},
        {"X-API-Key", "0123456789abcde", SL_EINVAL},
        {"X-API-Key", "0123456789abcdef ", SL_EINVAL},
        {"X-API-Key", "", SL_EINVAL},
        {"Authorization", "0123456789abcdef", SL_EINVAL},
        {"Authorization", "Basic 0123456789abcdef", SL_EINVAL},
        {"X-Api", "0123456789abcdef", SL_EINVAL},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct headers headers = {{cases[at].name}, {cases[at].value}};
        assert_int_equal(admit(&conf, &headers, ""), cases[at].code);
        assert_int_equal(admit(&open, &headers, ""), 0);
    }
}

static void signatures_are_of_time_and_body(void **state)
{
    (void)state;
    char right[65], older[65], upper[65], late[65], keyless[65];
    const struct sl_conf_hmac two = hmac_of(2), one = hmac_of(1);
    const struct sl_conf_receive conf = {.hmac = &two}, single = {.hmac = &one};
    sign(secrets[0], "1700000000", "{}", right);
    sign(secrets[1], "1700000000", "{}", older);
    sign(secrets[0], "1699999699", "{}", late);
    sign("", "1700000000", "{}", keyless);
    for (size_t at = 0; at < 65; at++) {
        upper[at] = (char)(right[at] >= 'a' ? right[at] - 'a' + 'A' : right[at]);
    }
    const struct {
        const char *signature, *time, *id, *body;
        int code, code_single;
    } cases[] = {
        {right, "1700000000", "new", "{}", 0, 0},
        {upper, "1700000000", "new", "{}", 0, 0},
        {older, "1700000000", "old", "{}", 0, SL_EINVAL},
        {right, "1700000000", NULL, "{}", SL_EINVAL, 0}, /* which key? */
        {right, "1700000000", "old", "{}", SL_EINVAL, SL_EINVAL},
        {right, "1700000000", "none", "{}", SL_EINVAL, SL_EINVAL},
        {keyless, "1700000000", "none", "{}", SL_EINVAL, SL_EINVAL},
        {keyless, "1700000000", NULL, "{}", SL_EINVAL, SL_EINVAL},
        {right, "1700000000", "new", "{ }", SL_EINVAL, SL_EINVAL},
        {right, "1700000001", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right, "1700000000 ", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right, "17e8", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right, "-1", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right, "99999999999999999999", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right, "", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right, NULL, "new", "{}", SL_EINVAL, SL_EINVAL},
        {NULL, "1700000000", "new", "{}", SL_EINVAL, SL_EINVAL},
        {"", "1700000000", "new", "{}", SL_EINVAL, SL_EINVAL},
        {"zz", "1700000000", "new", "{}", SL_EINVAL, SL_EINVAL},
        {right + 1, "1700000000", "new", "{}", SL_EINVAL, SL_EINVAL},
        {late, "1699999699", "new", "{}", SL_EINVAL, SL_EINVAL}, /* 301 s ago */
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct headers headers = {.names = {NULL}};
        size_t count = 0;
        const char *const names[] = {"X-Signature", "X-Timestamp", "X-Key-Id"};
        const char *const values[] = {cases[at].signature, cases[at].time, cases[at].id};
        for (size_t name = 0; name < 3; name++) {
            if (values[name] != NULL) {
                headers.names[count] = names[name];
                headers.values[count++] = values[name];
            }
        }
        if (admit(&conf, &headers, cases[at].body) != cases[at].code ||
            admit(&single, &headers, cases[at].body) != cases[at].code_single) {
            fail_msg("case %zu", at);
        }
    }
}

/* Where both are configured, both are asked for. */
static void both_means_both(void **state)
{
    (void)state;
    char right[65];
    const struct sl_conf_hmac hmac = hmac_of(1);
    const struct sl_conf_receive conf = {.hmac = &hmac, .api_key = "0123456789abcdef"};
    sign(secrets[0], "1700000000", "{}", right);
    struct headers both = {{"X-Signature", "X-Timestamp", "X-API-Key"}, {right, "1700000000", "0123456789abcdef"}};
    struct headers signature = {{"X-Signature", "X-Timestamp"}, {right, "1700000000"}};
    struct headers key = {{"X-API-Key"}, {"0123456789abcdef"}};
    assert_int_equal(admit(&conf, &both, "{}"), 0);
    assert_int_equal(admit(&conf, &signature, "{}"), SL_EINVAL);
    assert_int_equal(admit(&conf, &key, "{}"), SL_EINVAL);
}

/* An earlier life may have taken it, and whoever listened may send it again. */
static void what_was_signed_before_is_not_taken(void **state)
{
    (void)state;
    char right[65];
    const struct sl_conf_hmac hmac = hmac_of(1);
    const struct sl_conf_receive conf = {.hmac = &hmac};
    sign(secrets[0], "1700000000", "{}", right);
    struct headers headers = {{"X-Signature", "X-Timestamp"}, {right, "1700000000"}};
    assert_int_equal(admit_since(&conf, &headers, "{}", INT64_C(1700000000) * SL_SECONDS(1)), 0);
    assert_int_equal(admit_since(&conf, &headers, "{}", INT64_C(1700000000) * SL_SECONDS(1) + 1), SL_EINVAL);
}

SL_TEST_MAIN(cmocka_unit_test(what_was_signed_before_is_not_taken), cmocka_unit_test(it_is_hmac_sha_256),
             cmocka_unit_test(keys_are_compared), cmocka_unit_test(signatures_are_of_time_and_body),
             cmocka_unit_test(both_means_both))
