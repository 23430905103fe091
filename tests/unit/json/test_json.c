/* SPDX-License-Identifier: MIT */
/* The JSON cursor: what it reads, what it refuses, and that no order of calls is harmful. */
#include "sl_test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/json.h"

/* Opens a document from a heap block with no byte to spare, so that a read beyond it is seen. */
static int open_text(sl_json *json, const char *text, size_t size_bytes)
{
    char *exact = sl_malloc(size_bytes);
    assert_non_null(exact);
    memcpy(exact, text, size_bytes);
    int code = sl_json_open(json, exact, size_bytes, 0);
    sl_free(exact);
    return code;
}

static sl_json *new_json(void)
{
    sl_json *json = NULL;
    assert_int_equal(sl_json_new(0, &json), 0);
    return json;
}

static void assert_text(sl_json_text text, const char *expected)
{
    assert_int_equal(text.size_bytes, strlen(expected));
    assert_memory_equal(text.data, expected, text.size_bytes);
}

static void reads_every_type(void **state)
{
    (void)state;
    static const char text[] = " { \"s\" : \"x\" , \"n\":-12.50e3,\"i\":-9223372036854775808,"
                               "\"u\":18446744073709551615,\"t\":true,\"f\":false,\"z\":null,"
                               "\"o\":{\"a\":[]},\"l\":[1,[2],{}, \"q\"],\"e\":{}} ";
    sl_auto(sl_json) *json = new_json();
    sl_json_text key = {NULL, 0};
    sl_json_text value = {NULL, 0};
    int64_t i = 0;
    uint64_t u = 0;
    bool b = false;
    assert_int_equal(open_text(json, text, strlen(text)), 0);
    assert_int_equal(sl_json_peek(json), SL_JSON_OBJECT);
    assert_int_equal(sl_json_enter_object(json), 0);
    assert_int_equal(sl_json_next_field(json, &key), 1);
    assert_text(key, "s");
    assert_int_equal(sl_json_peek(json), SL_JSON_STRING);
    assert_int_equal(sl_json_get_string(json, &value), 0);
    assert_text(value, "x");
    assert_int_equal(sl_json_find_field(json, "n"), 0);
    assert_int_equal(sl_json_get_number(json, &value), 0);
    assert_text(value, "-12.50e3");
    assert_int_equal(sl_json_find_field(json, "i"), 0);
    assert_int_equal(sl_json_get_int64(json, &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(sl_json_find_field(json, "u"), 0);
    assert_int_equal(sl_json_get_int64(json, &i), SL_ERANGE);
    assert_int_equal(sl_json_get_uint64(json, &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(sl_json_find_field(json, "t"), 0);
    assert_int_equal(sl_json_get_bool(json, &b), 0);
    assert_true(b);
    assert_int_equal(sl_json_find_field(json, "f"), 0);
    assert_int_equal(sl_json_get_bool(json, &b), 0);
    assert_false(b);
    assert_int_equal(sl_json_find_field(json, "z"), 0);
    assert_int_equal(sl_json_get_null(json), 0);
    assert_int_equal(sl_json_find_field(json, "l"), 0); /* skips "o" */
    assert_int_equal(sl_json_enter_array(json), 0);
    assert_int_equal(sl_json_depth(json), 2);
    assert_int_equal(sl_json_next_element(json), 1);
    assert_int_equal(sl_json_get_int64(json, &i), 0);
    assert_int_equal(sl_json_next_element(json), 1);
    assert_int_equal(sl_json_next_element(json), 1); /* [2] is skipped */
    assert_int_equal(sl_json_peek(json), SL_JSON_OBJECT);
    assert_int_equal(sl_json_next_string(json, &value), 1);
    assert_text(value, "q");
    assert_int_equal(sl_json_next_string(json, &value), 0);
    assert_int_equal(sl_json_find_field(json, "e"), 0);
    assert_int_equal(sl_json_enter_object(json), 0);
    assert_int_equal(sl_json_next_field(json, &key), 0);
    assert_int_equal(sl_json_next_field(json, &key), 0);
    assert_int_equal(sl_json_finish(json), 0);
    assert_int_equal(sl_json_depth(json), 0);
}

static void reads_scalar_roots(void **state)
{
    (void)state;
    sl_auto(sl_json) *json = new_json();
    sl_json_text value = {NULL, 0};
    int64_t i = 0;
    assert_int_equal(open_text(json, "42", 2), 0);
    assert_int_equal(sl_json_get_int64(json, &i), 0);
    assert_int_equal(i, 42);
    assert_int_equal(sl_json_finish(json), 0);
    assert_int_equal(open_text(json, "\"a\" ", 4), 0);
    assert_int_equal(sl_json_get_string(json, &value), 0);
    assert_text(value, "a");
    assert_int_equal(sl_json_finish(json), 0);
    assert_int_equal(open_text(json, "null", 4), 0);
    assert_int_equal(sl_json_get_scalar(json, &value), SL_JSON_NULL);
    assert_int_equal(sl_json_finish(json), 0);
    assert_int_equal(open_text(json, "1 2", 3), 0);
    assert_int_equal(sl_json_finish(json), SL_EPROTO);
    assert_int_equal(sl_json_offset(json), 2);
}

static void parses_padded_text_in_place(void **state)
{
    (void)state;
    sl_auto(sl_json) *json = new_json();
    static const char text[] = "[\"in place\"]";
    /* The slack is hostile: it would go on with the document if it were read. */
    char padded[sizeof(text) - 1 + SL_JSON_PADDING];
    memset(padded, ']', sizeof(padded));
    memcpy(padded, text, sizeof(text) - 1);
    sl_json_text value = {NULL, 0};
    assert_int_equal(sl_json_open(json, padded, sizeof(text) - 1, SL_JSON_PADDED), 0);
    assert_int_equal(sl_json_enter_array(json), 0);
    assert_int_equal(sl_json_next_string(json, &value), 1);
    assert_ptr_equal(value.data, padded + 2);
    assert_int_equal(sl_json_next_element(json), 0);
    assert_int_equal(sl_json_finish(json), 0);
    memset(padded, '7', sizeof(padded));
    int64_t i = 0;
    assert_int_equal(sl_json_open(json, padded, 3, SL_JSON_PADDED), 0);
    assert_int_equal(sl_json_get_int64(json, &i), 0);
    assert_int_equal(i, 777);
}

static void resolves_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *expected; /* NULL: an error */
    } cases[] = {
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "\"\\/\b\f\n\r\t"},
        {"[\"\\u00e9\\u20ac\"]", "\xc3\xa9\xe2\x82\xac"},
        {"[\"\\ud83d\\ude00\"]", "\xf0\x9f\x98\x80"},
        {"[\"ends in a backslash \\\\\"]", "ends in a backslash \\"},
        {"[\"\\x\"]", NULL},
        {"[\"\\u12\"]", NULL},
        {"[\"\\ud83d\"]", NULL},
        {"[\"\\u00g0\"]", NULL},
    };
    sl_auto(sl_json) *json = new_json();
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_json_text value = {NULL, 0};
        assert_int_equal(open_text(json, cases[at].json, strlen(cases[at].json)), 0);
        assert_int_equal(sl_json_enter_array(json), 0);
        int code = sl_json_next_string(json, &value);
        if (cases[at].expected == NULL) {
            assert_int_equal(code, SL_EPROTO);
        } else {
            assert_int_equal(code, 1);
            assert_text(value, cases[at].expected);
            assert_int_equal(sl_json_next_element(json), 0);
        }
    }
    static const char keys[] = "{\"\\u0061\\\"\":1,\"b\":2}";
    assert_int_equal(open_text(json, keys, strlen(keys)), 0);
    assert_int_equal(sl_json_enter_object(json), 0);
    assert_int_equal(sl_json_find_field(json, "a\""), 0);
    assert_int_equal(sl_json_find_field(json, "b"), 0);
}

/* Reads the whole document, whatever it is; the code of the first failure. */
static int walk(sl_json *json)
{
    sl_json_text text;
    int code = 0;
    switch (sl_json_peek(json)) {
    case SL_JSON_OBJECT:
        SL_TRY(sl_json_enter_object(json));
        while ((code = sl_json_next_field(json, &text)) > 0) {
            SL_TRY(walk(json));
        }
        return code;
    case SL_JSON_ARRAY:
        SL_TRY(sl_json_enter_array(json));
        while ((code = sl_json_next_element(json)) > 0) {
            SL_TRY(walk(json));
        }
        return code;
    default:
        code = sl_json_get_scalar(json, &text);
        return code < 0 ? code : 0;
    }
}

static void refuses_malformed_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
        size_t offset;
    } cases[] = {
        {"", "the document is empty", 0},
        {"  ", "the document is empty", 0},
        {"{", "the text ends", 1},
        {"[", "the text ends", 1},
        {"}", "not a", 0},
        {"[1", "the text ends", 2},
        {"[1,", "the text ends", 3},
        {"[1 2]", "expected ',' or ']'", 3},
        {"[,1]", "not a", 1},
        {"[1,]", "not a", 3},
        {"{\"a\"}", "expected ':'", 4},
        {"{\"a\":}", "not a", 5},
        {"{\"a\" 1}", "expected ':'", 5},
        {"{a:1}", "expected a key", 1},
        {"{1:1}", "expected a key", 1},
        {"{\"a\":1,}", "expected a key", 7},
        {"{\"a\":1 \"b\":2}", "expected ',' or '}'", 7},
        {"{\"a\":1]", "expected ',' or '}'", 6},
        {"[1}", "expected ',' or ']'", 2},
        {"[1]]", "something follows", 3},
        {"{} {}", "something follows", 3},
        {"[\"a]", "a string is not closed", 1},
        {"[\"a\x01\"]", "a control character", 3},
        {"[\"a\n\"]", "a control character", 3},
        {"[\"\\\"\x02\"]", "a control character", 4},
        {"[\"\xff\"]", "not valid UTF-8", 2},
        {"[\"\xc3\xa9\xe2\x82\xac\xed\xa0\x80\"]", "not valid UTF-8", 7},
        {"[\"ok\xc3\"]", "not valid UTF-8", 4},
        {"[truely]", "not a value", 1},
        {"[tru]", "not a value", 1},
        {"[nul]", "not a value", 1},
        {"[True]", "not a", 1},
        {"[01]", "a malformed number", 1},
        {"[1.]", "a malformed number", 1},
        {"[.5]", "not a", 1},
        {"[+1]", "not a", 1},
        {"[-]", "a malformed number", 1},
        {"[1e]", "a malformed number", 1},
        {"[1e+]", "a malformed number", 1},
        {"[0x10]", "a malformed number", 1},
        {"[1\"a\"]", "a malformed number", 1},
        {"[NaN]", "not a", 1},
        {"[\"a\"\"b\"]", "expected ',' or ']'", 4},
        {"['a']", "not a", 1},
        {"\xef\xbb\xbf[]", "not a", 0},
    };
    sl_auto(sl_json) *json = new_json();
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        int code = open_text(json, cases[at].text, strlen(cases[at].text));
        code = code < 0 ? code : walk(json);
        code = code < 0 ? code : sl_json_finish(json);
        if (code != SL_EPROTO || strstr(sl_json_problem(json), cases[at].problem) == NULL ||
            sl_json_offset(json) != cases[at].offset) {
            fail_msg("%s: code %d, \"%s\" at %zu", cases[at].text, code, sl_json_problem(json), sl_json_offset(json));
        }
    }
}

static void finds_bad_utf8_far_inside(void **state)
{
    (void)state;
    sl_auto(sl_json) *json = new_json();
    enum { SIZE = 100000 };
    char *text = sl_malloc(SIZE);
    assert_non_null(text);
    for (size_t bad = 10; bad + 10 < SIZE; bad += 4999) {
        memset(text, ' ', SIZE);
        text[0] = '"';
        for (size_t at = 1; at + 3 < bad; at += 3) {
            memcpy(text + at, "\xe2\x82\xac", 3);
        }
        text[bad] = (char)0xc0;
        text[SIZE - 1] = '"';
        assert_int_equal(open_text(json, text, SIZE), SL_EPROTO);
        assert_int_equal(sl_json_offset(json), bad);
    }
    sl_free(text);
}

static void skipping_checks_brackets(void **state)
{
    (void)state;
    static const char *const bad[] = {"[[1}]", "{\"a\":[}]}", "[{]}]", "[[[]]", "[{\"a\":1]", "[}]"};
    sl_auto(sl_json) *json = new_json();
    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        assert_int_equal(open_text(json, bad[at], strlen(bad[at])), 0);
        if (sl_json_finish(json) != SL_EPROTO) {
            fail_msg("%s was accepted", bad[at]);
        }
        assert_int_equal(sl_json_skip(json), SL_EPROTO); /* the document has ended */
        assert_int_equal(sl_json_peek(json), SL_JSON_NONE);
    }
}

static void misuse_is_an_error_and_harmless(void **state)
{
    (void)state;
    sl_auto(sl_json) *json = new_json();
    sl_json_text text = {NULL, 0};
    int64_t i = 0;
    assert_int_equal(sl_json_get_int64(json, &i), SL_EMISUSE); /* nothing is open */
    assert_int_equal(sl_json_finish(json), SL_EMISUSE);
    assert_int_equal(open_text(json, "{\"a\":[1,2],\"b\":3}", 17), 0);
    assert_int_equal(sl_json_next_field(json, &text), SL_EMISUSE); /* not entered */
    assert_int_equal(sl_json_leave(json), SL_EMISUSE);
    assert_int_equal(sl_json_enter_array(json), SL_EPROTO);
    assert_int_equal(sl_json_enter_object(json), 0);
    assert_int_equal(sl_json_get_int64(json, &i), SL_EMISUSE); /* on no value yet */
    assert_int_equal(sl_json_skip(json), SL_EMISUSE);
    assert_int_equal(sl_json_next_element(json), SL_EMISUSE);
    assert_int_equal(sl_json_find_field(json, "a"), 0);
    assert_int_equal(sl_json_get_int64(json, &i), SL_EPROTO);
    assert_int_equal(sl_json_get_scalar(json, &text), SL_EPROTO);
    assert_int_equal(sl_json_enter_array(json), 0);
    assert_int_equal(sl_json_next_element(json), 1);
    assert_int_equal(sl_json_get_string(json, &text), SL_EPROTO); /* still there */
    assert_int_equal(sl_json_get_int64(json, &i), 0);
    assert_int_equal(sl_json_get_int64(json, &i), SL_EMISUSE); /* read already */
    assert_int_equal(sl_json_next_field(json, &text), SL_EMISUSE);
    assert_int_equal(sl_json_leave(json), 0);
    assert_int_equal(sl_json_find_field(json, "b"), 0);
    assert_int_equal(sl_json_get_int64(json, &i), 0);
    assert_int_equal(i, 3);
    assert_int_equal(sl_json_find_field(json, "a"), SL_ENOENT);    /* never backwards */
    assert_int_equal(sl_json_next_field(json, &text), SL_EMISUSE); /* the object was left */
    assert_int_equal(sl_json_finish(json), 0);
}

/* One call, chosen by `choice`; the text it gives, if any. */
static sl_json_text call_any(sl_json *json, int choice)
{
    sl_json_text text = {NULL, 0};
    int64_t i = 0;
    uint64_t u = 0;
    bool b = false;
    int codes[] = {choice == 0 ? sl_json_enter_object(json) : 0,
                   choice == 1 ? sl_json_enter_array(json) : 0,
                   choice == 2 ? sl_json_next_field(json, &text) : 0,
                   choice == 3 ? sl_json_next_element(json) : 0,
                   choice == 4 ? sl_json_get_string(json, &text) : 0,
                   choice == 5 ? sl_json_get_number(json, &text) : 0,
                   choice == 6 ? sl_json_get_int64(json, &i) : 0,
                   choice == 7 ? sl_json_get_uint64(json, &u) : 0,
                   choice == 8 ? sl_json_get_bool(json, &b) : 0,
                   choice == 9 ? sl_json_get_null(json) : 0,
                   choice == 10 ? sl_json_skip(json) : 0,
                   choice == 11 ? sl_json_leave(json) : 0,
                   choice == 12 ? sl_json_get_scalar(json, &text) : 0,
                   choice == 13 ? sl_json_next_string(json, &text) : 0,
                   choice == 14 ? sl_json_find_field(json, "a") : 0};
    for (size_t at = 0; at < sizeof(codes) / sizeof(codes[0]); at++) {
        assert_true(codes[at] >= 0 || codes[at] == SL_EPROTO || codes[at] == SL_EMISUSE || codes[at] == SL_ERANGE ||
                    codes[at] == SL_ENOENT);
    }
    return text;
}

/* Random calls on random documents: nothing but codes may come out. AddressSanitizer watches. */
static void random_calls_are_harmless(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]:,\"\"\\atrue1-.e0 null false{\"a\":[1,{\"b\":\"c\"}]}";
    unsigned seed = (unsigned)sl_test_number("SLUICE_SEED", 20240808);
    print_message("seed %u (SLUICE_SEED changes it)\n", seed);
    sl_auto(sl_json) *json = new_json();
    for (int round = 0; round < 100000; round++) {
        char text[64];
        size_t size = (size_t)rand_r(&seed) % sizeof(text);
        for (size_t at = 0; at < size; at++) {
            text[at] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
        }
        int code = open_text(json, text, size);
        assert_true(code == 0 || code == SL_EPROTO);
        for (int call = 0; call < 30; call++) {
            sl_json_text out = call_any(json, rand_r(&seed) % 15);
            assert_true(sl_json_here(json) <= size && sl_json_behind(json) <= size && sl_json_offset(json) <= size);
            assert_true(out.size_bytes <= size);
        }
    }
}

static void depth_and_size_are_limited(void **state)
{
    (void)state;
    char text[2 * (SL_JSON_DEPTH_MAX + 1)];
    sl_auto(sl_json) *json = new_json();
    for (size_t depth = SL_JSON_DEPTH_MAX; depth <= SL_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        int expected = depth <= SL_JSON_DEPTH_MAX ? 0 : SL_EMSGSIZE;
        assert_int_equal(open_text(json, text, 2 * depth), 0);
        assert_int_equal(walk(json), expected);
        assert_int_equal(open_text(json, text, 2 * depth), 0);
        assert_int_equal(sl_json_skip(json), expected);
    }
    sl_json *small = NULL;
    assert_int_equal(sl_json_new(10, &small), 0);
    assert_int_equal(open_text(small, "[1,2,3,4]", 9), 0);
    assert_int_equal(open_text(small, "[1,2,3,4,5]", 11), SL_EMSGSIZE);
    sl_json_free(small);
    assert_int_equal(sl_json_new(SL_JSON_SIZE_MAX_BYTES + 1, &small), SL_EINVAL);
}

static void integer_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        int unsigned_code;
        int64_t value;
    } cases[] = {
        {"0", 0, 0, 0},
        {"-0", 0, 0, 0},
        {"9223372036854775807", 0, 0, INT64_MAX},
        {"9223372036854775808", SL_ERANGE, 0, 0},
        {"-9223372036854775808", 0, SL_ERANGE, INT64_MIN},
        {"-9223372036854775809", SL_ERANGE, SL_ERANGE, 0},
        {"18446744073709551616", SL_ERANGE, SL_ERANGE, 0},
        {"1.0", SL_ERANGE, SL_ERANGE, 0},
        {"1e3", SL_ERANGE, SL_ERANGE, 0},
        {"", SL_EPROTO, SL_EPROTO, 0},
        {"-", SL_EPROTO, SL_EPROTO, 0},
        {"12a", SL_EPROTO, SL_EPROTO, 0},
        {" 1", SL_EPROTO, SL_EPROTO, 0},
        {"01", SL_EPROTO, SL_EPROTO, 0},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_json_text text = {cases[at].text, strlen(cases[at].text)};
        int64_t value = 0;
        uint64_t magnitude = 0;
        assert_int_equal(sl_json_text_int64(text, &value), cases[at].code);
        assert_true(value == cases[at].value);
        assert_int_equal(sl_json_text_uint64(text, &magnitude), cases[at].unsigned_code);
    }
}

static void raw_text_of_a_value(void **state)
{
    (void)state;
    static const char text[] = "{\"stream\":\"a\", \"data\": {\"x\":[1, 2] } , \"n\":  12 }";
    sl_auto(sl_json) *json = new_json();
    assert_int_equal(open_text(json, text, strlen(text)), 0);
    assert_int_equal(sl_json_enter_object(json), 0);
    assert_int_equal(sl_json_find_field(json, "data"), 0);
    size_t here = sl_json_here(json);
    assert_int_equal(sl_json_skip(json), 0);
    assert_text((sl_json_text){text + here, sl_json_behind(json) - here}, "{\"x\":[1, 2] }");
    assert_int_equal(sl_json_find_field(json, "n"), 0);
    here = sl_json_here(json);
    assert_int_equal(sl_json_skip(json), 0);
    assert_text((sl_json_text){text + here, sl_json_behind(json) - here}, "12");
}

static void validates_utf8(void **state)
{
    (void)state;
    assert_true(sl_utf8_valid(NULL, 0));
    assert_true(sl_utf8_valid("a\xc3\xa9\0b", 5));
    assert_true(sl_utf8_valid("\xf4\x8f\xbf\xbf", 4));
    assert_false(sl_utf8_valid("\xf4\x90\x80\x80", 4));
    assert_false(sl_utf8_valid("\xc0\xaf", 2));
    assert_false(sl_utf8_valid("\xed\xa0\x80", 3));
    assert_false(sl_utf8_valid("\xe2\x82", 2));
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    int64_t n = 0;
    for (;; n++) {
        sl_json *json = NULL;
        sl_memory_fail_after(n);
        int code = sl_json_new(0, &json);
        if (code == 0) {
            code = sl_json_open(json, "[1]", 3, 0);
            if (code == SL_ENOMEM) {
                assert_int_equal(sl_json_open(json, "[1]", 3, 0), 0); /* the parser is still good */
            }
        }
        sl_memory_fail_after(-1);
        sl_json_free(json);
        assert_int_equal(sl_memory_held(), held);
        if (code == 0) {
            break;
        }
        assert_int_equal(code, SL_ENOMEM);
    }
    assert_true(n >= 2);
}

static void allocates_nothing_after_the_first_message(void **state)
{
    (void)state;
    sl_auto(sl_json) *json = new_json();
    assert_int_equal(sl_json_open(json, "[\"\\n\"]", 6, 0), 0);
    int64_t asked = sl_memory_asked();
    for (int round = 0; round < 1000; round++) {
        assert_int_equal(sl_json_open(json, "[\"\\n\"]", 6, 0), 0);
        assert_int_equal(walk(json), 0);
    }
    assert_int_equal(sl_memory_asked(), asked);
}

static void pairs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;          /* after the pairs */
        const char *pairs; /* "a,b;c,d;" */
    } cases[] = {
        {"[]", 0, ""},
        {"[[\"a\",\"b\"]]", 0, "a,b;"},
        {"[[\"a\",\"b\"],[\"c\",\"d\"]]", 0, "a,b;c,d;"},
        {"[ [ \"a\" , \"b\" ] , [ \"c\" ,\"d\"] ]", 0, "a,b;c,d;"},
        {"[[\"\",\"\"]]", 0, ",;"},
        {"[[\"\\u0061\",\"b\"],[\"c\",\"\\\\\"]]", 0, "a,b;c,\\;"},
        {"[[\"a\",\"b\",3,[]],[\"c\",\"d\",{\"x\":[1]}]]", 0, "a,b;c,d;"},
        {"[[\"a\",\"b\"],[\"c\"]]", SL_EPROTO, "a,b;"},
        {"[[]]", SL_EPROTO, ""},
        {"[[1,\"b\"]]", SL_EPROTO, ""},
        {"[[\"a\",2]]", SL_EPROTO, ""},
        {"[\"a\",\"b\"]", SL_EPROTO, ""},
        {"[[\"a\",\"b\"]", SL_EPROTO, "a,b;"},
        {"[[\"a\",\"b\"", SL_EPROTO, ""},
        {"[[\"a\":\"b\"]]", SL_EPROTO, ""},
        {"[[\"a\",\"b\"}]", SL_EPROTO, ""},
        {"[[\"a\",\"b\"] [\"c\",\"d\"]]", SL_EPROTO, "a,b;"},
        {"[[\"a\" \"b\"]]", SL_EPROTO, ""},
    };
    sl_json *json = NULL;
    assert_int_equal(sl_json_new(0, &json), 0);
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        char seen[64] = "";
        sl_json_text first;
        sl_json_text second;
        int code = sl_json_open(json, cases[at].text, strlen(cases[at].text), 0);
        code = code < 0 ? code : sl_json_enter_array(json);
        while (code >= 0 && (code = sl_json_next_pair(json, &first, &second)) > 0) {
            size_t length = strlen(seen);
            (void)snprintf(seen + length, sizeof(seen) - length, "%.*s,%.*s;", (int)first.size_bytes, first.data,
                           (int)second.size_bytes, second.data);
        }
        code = code == 0 ? sl_json_finish(json) : code;
        if (code != cases[at].code || strcmp(seen, cases[at].pairs) != 0) {
            fail_msg("%s: code %d, %s", cases[at].text, code, seen);
        }
    }
    sl_json_text text;
    assert_int_equal(sl_json_open(json, "{\"a\":1}", 7, 0), 0);
    assert_int_equal(sl_json_enter_object(json), 0);
    assert_int_equal(sl_json_next_pair(json, &text, &text), SL_EMISUSE);
    /* not deeper than the limit, in either form */
    char deep[4 * SL_JSON_DEPTH_MAX] = "";
    memset(deep, '[', SL_JSON_DEPTH_MAX);
    (void)snprintf(deep + SL_JSON_DEPTH_MAX, sizeof(deep) - SL_JSON_DEPTH_MAX, "[\"a\",\"b\"]");
    memset(deep + strlen(deep), ']', SL_JSON_DEPTH_MAX);
    assert_int_equal(sl_json_open(json, deep, strlen(deep), 0), 0);
    for (int depth = 0; depth < SL_JSON_DEPTH_MAX - 1; depth++) {
        assert_int_equal(sl_json_enter_array(json), 0);
        assert_int_equal(sl_json_next_element(json), 1);
    }
    assert_int_equal(sl_json_enter_array(json), 0);
    assert_int_equal(sl_json_next_pair(json, &text, &text), SL_EMSGSIZE);
    sl_json_free(json);
}

static void scalars_of_an_object(void **state)
{
    (void)state;
    static const char document[] =
        "{\"a\":\"x\\n\",\"b\":-1.50,\"c\":true,\"d\":null,\"e\":[1,{}],\"f\":{\"g\":2},\"h\":0}";
    static const struct {
        int type;
        const char *key, *text;
    } expected[] = {{SL_JSON_STRING, "a", "x\n"}, {SL_JSON_NUMBER, "b", "-1.50"}, {SL_JSON_BOOL, "c", "true"},
                    {SL_JSON_NULL, "d", "null"},  {SL_JSON_ARRAY, "e", ""},       {SL_JSON_OBJECT, "f", ""},
                    {SL_JSON_NUMBER, "h", "0"}};
    sl_json *json = NULL;
    sl_json_text key;
    sl_json_text text;
    assert_int_equal(sl_json_new(0, &json), 0);
    assert_int_equal(sl_json_open(json, document, sizeof(document) - 1, 0), 0);
    assert_int_equal(sl_json_enter_object(json), 0);
    for (size_t at = 0; at < sizeof(expected) / sizeof(expected[0]); at++) {
        assert_int_equal(sl_json_next_scalar(json, &key, &text), expected[at].type);
        assert_true(sl_json_is(key, expected[at].key));
        assert_true(sl_json_is(text, expected[at].text));
        if (expected[at].type == SL_JSON_OBJECT) { /* it can be gone into */
            assert_int_equal(sl_json_enter_object(json), 0);
            assert_int_equal(sl_json_next_scalar(json, &key, &text), SL_JSON_NUMBER);
            assert_int_equal(sl_json_next_scalar(json, &key, &text), 0);
        }
    }
    assert_int_equal(sl_json_next_scalar(json, &key, &text), 0);
    assert_int_equal(sl_json_finish(json), 0);
    static const char *const bad[] = {"{\"a\":01}", "{\"a\":tru}",       "{\"a\"}",
                                      "{\"a\":}",   "{\"a\":1 \"b\":2}", "{\"a\":\"\\x\"}"};
    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        assert_int_equal(sl_json_open(json, bad[at], strlen(bad[at]), 0), 0);
        assert_int_equal(sl_json_enter_object(json), 0);
        int code = 1;
        while (code > 0) {
            code = sl_json_next_scalar(json, &key, &text);
        }
        assert_int_equal(code, SL_EPROTO);
    }
    sl_json_free(json);
}

SL_TEST_MAIN(cmocka_unit_test(pairs), cmocka_unit_test(scalars_of_an_object), cmocka_unit_test(reads_every_type),
             cmocka_unit_test(reads_scalar_roots), cmocka_unit_test(parses_padded_text_in_place),
             cmocka_unit_test(resolves_escapes), cmocka_unit_test(refuses_malformed_text),
             cmocka_unit_test(finds_bad_utf8_far_inside), cmocka_unit_test(skipping_checks_brackets),
             cmocka_unit_test(misuse_is_an_error_and_harmless), cmocka_unit_test(random_calls_are_harmless),
             cmocka_unit_test(depth_and_size_are_limited), cmocka_unit_test(integer_texts),
             cmocka_unit_test(raw_text_of_a_value), cmocka_unit_test(validates_utf8),
             cmocka_unit_test(survives_every_failed_allocation),
             cmocka_unit_test(allocates_nothing_after_the_first_message))
