/* SPDX-License-Identifier: MIT */
/* Writing JSON: exact texts, misuse, limits, and random values that simdjson reads back as they were. */
#include "sl_test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/json_write.h"

static void assert_written(sl_json_writer *writer, const char *expected)
{
    sl_json_text text;
    assert_int_equal(sl_json_writer_finish(writer, &text), 0);
    assert_string_equal(text.data, expected);
    assert_int_equal(text.size_bytes, strlen(expected));
}

static void put_sample(sl_json_writer *out)
{
    sl_json_begin_object(out);
    sl_json_put_key(out, "a\n");
    sl_json_begin_array(out);
    sl_json_put_int64(out, INT64_MIN);
    sl_json_put_uint64(out, UINT64_MAX);
    sl_json_put_double(out, 0.1);
    sl_json_put_double(out, -0.0);
    sl_json_put_number(out, "1.2300", 6);
    sl_json_begin_object(out);
    sl_json_end_object(out);
    sl_json_begin_array(out);
    sl_json_end_array(out);
    sl_json_put_bool(out, true);
    sl_json_end_array(out);
    sl_json_put_key_text(out, "", NULL);
    sl_json_put_key_uint64(out, "u", UINT64_MAX);
    sl_json_put_key_double(out, "d", 0.5);
    sl_json_put_key_bool(out, "b", false);
    sl_json_put_key(out, "text");
    sl_json_put_string(out, "\"\\/\b\f\t\x01\x7f\xc3\xa4\0z", 12);
    sl_json_end_object(out);
}

#define SAMPLE                                                                                                         \
    "{\"a\\n\":[-9223372036854775808,18446744073709551615,0.1,-0,1.2300,{},[],true],\"\":null,"                        \
    "\"u\":18446744073709551615,\"d\":0.5,\"b\":false,"                                                                \
    "\"text\":\"\\\"\\\\/\\b\\f\\t\\u0001\x7f\xc3\xa4\\u0000z\"}"

static void writes_every_type(void **state)
{
    (void)state;
    sl_json_writer out;
    sl_json_writer_init(&out, 0);
    for (int i = 0; i < 2; i++) {
        put_sample(&out);
        assert_written(&out, SAMPLE);
        sl_json_writer_reset(&out);
    }
    sl_json_put_bool(&out, false); /* a scalar is a document too */
    assert_written(&out, "false");
    sl_json_writer_free(&out);
}

static int code_of(void (*put)(sl_json_writer *))
{
    sl_json_text text;
    sl_json_writer out;
    sl_json_writer_init(&out, 0);
    put(&out);
    int code = sl_json_writer_finish(&out, &text);
    assert_int_equal(sl_json_writer_finish(&out, &text), code); /* it stays */
    sl_json_writer_free(&out);
    return code;
}

static void nothing(sl_json_writer *out)
{
    (void)out;
}

static void two_roots(sl_json_writer *out)
{
    sl_json_put_null(out);
    sl_json_put_null(out);
}

static void no_key(sl_json_writer *out)
{
    sl_json_begin_object(out);
    sl_json_put_null(out);
    sl_json_end_object(out);
}

static void no_value(sl_json_writer *out)
{
    sl_json_begin_object(out);
    sl_json_put_key(out, "k");
    sl_json_end_object(out);
}

static void two_keys(sl_json_writer *out)
{
    sl_json_begin_object(out);
    sl_json_put_key(out, "k");
    sl_json_put_key(out, "k");
}

static void key_in_array(sl_json_writer *out)
{
    sl_json_begin_array(out);
    sl_json_put_key(out, "k");
    sl_json_end_array(out);
}

static void wrong_end(sl_json_writer *out)
{
    sl_json_begin_array(out);
    sl_json_end_object(out);
}

static void end_too_many(sl_json_writer *out)
{
    sl_json_begin_array(out);
    sl_json_end_array(out);
    sl_json_end_array(out);
}

static void left_open(sl_json_writer *out)
{
    sl_json_begin_array(out);
}

static void too_deep(sl_json_writer *out)
{
    for (int i = 0; i <= SL_JSON_DEPTH_MAX; i++) {
        sl_json_begin_array(out);
    }
    for (int i = 0; i <= SL_JSON_DEPTH_MAX; i++) {
        sl_json_end_array(out);
    }
}

static void bad_text(sl_json_writer *out)
{
    sl_json_put_string(out, "\xff", 1);
}

static void infinity_value(sl_json_writer *out)
{
    sl_json_put_double(out, (double)INFINITY);
}

static void nan_value(sl_json_writer *out)
{
    sl_json_put_double(out, (double)NAN);
}

static void no_number(sl_json_writer *out)
{
    sl_json_put_number(out, "01", 2);
}

static void first_error_wins(sl_json_writer *out)
{
    sl_json_begin_array(out);
    bad_text(out);
    sl_json_end_object(out);
}

static void misuse_and_bad_values_are_told(void **state)
{
    (void)state;
    assert_int_equal(code_of(nothing), SL_EMISUSE);
    assert_int_equal(code_of(two_roots), SL_EMISUSE);
    assert_int_equal(code_of(no_key), SL_EMISUSE);
    assert_int_equal(code_of(no_value), SL_EMISUSE);
    assert_int_equal(code_of(two_keys), SL_EMISUSE);
    assert_int_equal(code_of(key_in_array), SL_EMISUSE);
    assert_int_equal(code_of(wrong_end), SL_EMISUSE);
    assert_int_equal(code_of(end_too_many), SL_EMISUSE);
    assert_int_equal(code_of(left_open), SL_EMISUSE);
    assert_int_equal(code_of(too_deep), SL_EMSGSIZE);
    assert_int_equal(code_of(bad_text), SL_EINVAL);
    assert_int_equal(code_of(infinity_value), SL_ERANGE);
    assert_int_equal(code_of(nan_value), SL_ERANGE);
    assert_int_equal(code_of(no_number), SL_EINVAL);
    assert_int_equal(code_of(first_error_wins), SL_EINVAL);
}

/* Every limit up to the sample's size fails, without a byte written behind it; the size itself fits. */
static void limits_hold(void **state)
{
    (void)state;
    sl_json_text text;
    sl_json_writer out;
    for (size_t limit = 1; limit <= sizeof SAMPLE; limit++) {
        char *memory = sl_malloc(limit); /* exact: AddressSanitizer watches its end */
        assert_non_null(memory);
        sl_json_writer_init_in(&out, memory, limit);
        put_sample(&out);
        assert_int_equal(sl_json_writer_finish(&out, &text), limit < sizeof SAMPLE ? SL_EMSGSIZE : 0);
        sl_json_writer_free(&out);
        sl_free(memory);
        sl_json_writer_init(&out, limit);
        put_sample(&out);
        assert_int_equal(sl_json_writer_finish(&out, &text), limit < sizeof SAMPLE ? SL_EMSGSIZE : 0);
        sl_json_writer_free(&out);
    }
}

static void without_memory(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        sl_json_text text;
        sl_json_writer out;
        sl_json_writer_init(&out, 0);
        sl_memory_fail_after(n);
        put_sample(&out);
        put_sample(&out); /* a misuse that must not hide what came first */
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        assert_int_equal(sl_json_writer_finish(&out, &text), failed ? SL_ENOMEM : SL_EMISUSE);
        sl_json_writer_free(&out);
        assert_int_equal(sl_memory_held(), held);
        if (!failed) {
            return;
        }
    }
}

/* ---- random values ---- */

struct random {
    uint64_t state;
};

static uint64_t next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Any characters of one to four bytes; how many bytes. */
static size_t random_text(struct random *random, char *text, size_t text_bytes)
{
    size_t at = 0;
    for (uint64_t left = next(random) % 12; left > 0 && at + 4 <= text_bytes; left--) {
        uint64_t kind = next(random) % 8;
        if (kind < 5) {
            text[at++] = (char)(next(random) % (kind < 2 ? 0x23 : 0x80));
        } else if (kind == 5) {
            text[at++] = (char)(0xc2 + next(random) % 30);
            text[at++] = (char)(0x80 + next(random) % 64);
        } else {
            static const char euro[] = "\xe2\x82\xac";
            static const char cart[] = "\xf0\x9f\x9b\x92";
            size_t bytes = kind == 6 ? 3 : 4;
            memcpy(text + at, kind == 6 ? euro : cart, bytes);
            at += bytes;
        }
    }
    return at;
}

static double random_double(struct random *random)
{
    double value;
    uint64_t bits = next(random);
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : (double)(int64_t)bits / 1000.0;
}

#define TEXT_BYTES 64
#define DEPTH 6

static void write_value(struct random *random, sl_json_writer *out, int depth)
{
    char text[TEXT_BYTES];
    switch (next(random) % (depth < DEPTH ? 8 : 5)) {
    case 0:
        sl_json_put_int64(out, (int64_t)(next(random) >> next(random) % 64));
        break;
    case 1:
        sl_json_put_double(out, random_double(random));
        break;
    case 2:
        sl_json_put_string(out, text, random_text(random, text, sizeof text));
        break;
    case 3:
        sl_json_put_bool(out, next(random) % 2 == 0);
        break;
    case 4:
        sl_json_put_null(out);
        break;
    case 5:
        sl_json_begin_array(out);
        for (uint64_t left = next(random) % 5; left > 0; left--) {
            write_value(random, out, depth + 1);
        }
        sl_json_end_array(out);
        break;
    default:
        sl_json_begin_object(out);
        for (uint64_t left = next(random) % 5; left > 0; left--) {
            char key[8];
            (void)snprintf(key, sizeof key, "k%u", (unsigned)(next(random) % 1000));
            sl_json_put_key(out, key);
            write_value(random, out, depth + 1);
        }
        sl_json_end_object(out);
    }
}

static void read_value(struct random *random, sl_json *json, int depth)
{
    char text[TEXT_BYTES];
    sl_json_text found;
    int64_t integer = 0;
    bool truth = false;
    switch (next(random) % (depth < DEPTH ? 8 : 5)) {
    case 0:
        assert_int_equal(sl_json_get_int64(json, &integer), 0);
        assert_true(integer == (int64_t)(next(random) >> next(random) % 64));
        break;
    case 1: {
        double expected = random_double(random);
        assert_int_equal(sl_json_get_number(json, &found), 0);
        assert_true(strtod(found.data, NULL) == expected);
        break;
    }
    case 2: {
        size_t bytes = random_text(random, text, sizeof text);
        assert_int_equal(sl_json_get_string(json, &found), 0);
        assert_int_equal(found.size_bytes, bytes);
        assert_memory_equal(found.data, text, bytes);
        break;
    }
    case 3:
        assert_int_equal(sl_json_get_bool(json, &truth), 0);
        assert_int_equal(truth, next(random) % 2 == 0);
        break;
    case 4:
        assert_int_equal(sl_json_get_null(json), 0);
        break;
    case 5:
        assert_int_equal(sl_json_enter_array(json), 0);
        for (uint64_t left = next(random) % 5; left > 0; left--) {
            assert_int_equal(sl_json_next_element(json), 1);
            read_value(random, json, depth + 1);
        }
        assert_int_equal(sl_json_next_element(json), 0);
        break;
    default:
        assert_int_equal(sl_json_enter_object(json), 0);
        for (uint64_t left = next(random) % 5; left > 0; left--) {
            char key[8];
            (void)snprintf(key, sizeof key, "k%u", (unsigned)(next(random) % 1000));
            assert_int_equal(sl_json_next_field(json, &found), 1);
            assert_true(sl_json_is(found, key));
            read_value(random, json, depth + 1);
        }
        assert_int_equal(sl_json_next_field(json, &found), 0);
    }
}

static void random_values_read_back(void **state)
{
    (void)state;
    sl_auto(sl_json) *json = NULL;
    sl_json_writer out;
    sl_json_writer_init(&out, 0);
    assert_int_equal(sl_json_new(0, &json), 0);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct random writing = {seed};
        struct random reading = {seed};
        sl_json_text text;
        sl_json_writer_reset(&out);
        write_value(&writing, &out, 0);
        assert_int_equal(sl_json_writer_finish(&out, &text), 0);
        (void)printf("seed %llu\n", (unsigned long long)seed);
        assert_int_equal(sl_json_open(json, text.data, text.size_bytes, 0), 0);
        read_value(&reading, json, 0);
        assert_int_equal(sl_json_finish(json), 0);
    }
    sl_json_writer_free(&out);
}

static void doubles_are_shortest(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},        {1, "1"},           {0.1, "0.1"},
                 {1e21, "1e+21"}, {5e-324, "5e-324"}, {DBL_MAX, "1.7976931348623157e+308"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sl_json_writer out;
        sl_json_writer_init(&out, 0);
        sl_json_put_double(&out, cases[i].value);
        assert_written(&out, cases[i].text);
        sl_json_writer_free(&out);
    }
}

SL_TEST_MAIN(cmocka_unit_test(writes_every_type), cmocka_unit_test(misuse_and_bad_values_are_told),
             cmocka_unit_test(limits_hold), cmocka_unit_test(without_memory), cmocka_unit_test(random_values_read_back),
             cmocka_unit_test(doubles_are_shortest))
