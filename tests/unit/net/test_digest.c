/* SPDX-License-Identifier: MIT */
/* Digests: the vectors of RFC 4231 and FIPS 180-4. */
#include <string.h>

#include "sl_test.h"
#include "sluice/digest.h"

static void expect(const uint8_t digest[SL_SHA256_BYTES], const char *wanted)
{
    char text[2 * SL_SHA256_BYTES + 1];
    for (size_t at = 0; at < SL_SHA256_BYTES; at++) {
        (void)snprintf(text + 2 * at, 3, "%02x", digest[at]);
    }
    assert_string_equal(text, wanted);
}

static void sha_256(void **state)
{
    (void)state;
    uint8_t digest[SL_SHA256_BYTES];
    assert_int_equal(sl_sha256("", 0, digest), 0);
    expect(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(sl_sha256("abc", 3, digest), 0);
    expect(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void hmac_sha_256(void **state)
{
    (void)state;
    uint8_t key[131], data[50], digest[SL_SHA256_BYTES];
    memset(key, 0x0b, 20);
    assert_int_equal(sl_hmac_sha256(key, 20, &(struct sl_digest_piece){"Hi There", 8}, 1, digest), 0);
    expect(digest, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    /* In pieces, some of them empty. */
    const struct sl_digest_piece pieces[] = {{"what do ya ", 11}, {NULL, 0}, {"want for nothing?", 17}};
    assert_int_equal(sl_hmac_sha256("Jefe", 4, pieces, 3, digest), 0);
    expect(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    assert_int_equal(sl_hmac_sha256(key, 20, &(struct sl_digest_piece){data, 50}, 1, digest), 0);
    expect(digest, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_int_equal(sl_hmac_sha256(key, 131, &(struct sl_digest_piece){text, sizeof text - 1}, 1, digest), 0);
    expect(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_int_equal(sl_hmac_sha256("", 0, NULL, 0, digest), 0); /* no key and no data */
    expect(digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void secrets_are_compared(void **state)
{
    (void)state;
    assert_true(sl_secret_equal("a secret", "a secret"));
    assert_true(sl_secret_equal("", ""));
    assert_false(sl_secret_equal("a secret", "a secreT"));
    assert_false(sl_secret_equal("a secret", "a secre"));
    assert_false(sl_secret_equal("", "a secret"));
    assert_true(sl_digest_equal("abc", "abd", 2));
    assert_false(sl_digest_equal("abc", "abd", 3));
}

SL_TEST_MAIN(cmocka_unit_test(sha_256), cmocka_unit_test(hmac_sha_256), cmocka_unit_test(secrets_are_compared))
