/* SPDX-License-Identifier: MIT */
/* Decimals, against tables and against a naive method on strings of digits. */
#include "sl_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "market/decimal.h"

/* The naive number: PLACES decimal digits with a point in the middle, and a sign. */
#define PLACES 400
#define POINT 200

struct naive {
    bool negative;
    int digits[PLACES]; /* digits[POINT + k] counts 10^k */
};

static unsigned seed;

/* Prints the seed of the run; SLUICE_SEED sets it. */
static void begin_random(void)
{
    seed = (unsigned)sl_test_number("SLUICE_SEED", 17);
    print_message("seed %u (SLUICE_SEED changes it)\n", seed);
}

static int below(int limit)
{
    return rand_r(&seed) % limit;
}

static void naive_parse(const char *text, struct naive *number)
{
    memset(number, 0, sizeof(*number));
    int place = POINT;
    number->negative = *text == '-';
    text += number->negative;
    const char *exponent = strpbrk(text, "eE");
    int shift = 0;
    if (exponent != NULL) {
        bool negative = exponent[1] == '-';
        for (const char *at = exponent + 1 + (exponent[1] == '-' || exponent[1] == '+'); *at != '\0'; at++) {
            shift = shift * 10 + (*at - '0');
        }
        shift = negative ? -shift : shift;
    }
    size_t whole = strcspn(text, ".eE");
    place = POINT + (int)whole - 1 + shift;
    for (const char *at = text; *at != '\0' && at != exponent; at++) {
        if (*at != '.') {
            assert_true(place >= 0 && place < PLACES);
            number->digits[place--] = *at - '0';
        }
    }
}

/* The highest and the lowest place that is not 0; false for zero. */
static bool naive_range(const struct naive *number, int *ret_high, int *ret_low)
{
    int high = PLACES - 1;
    int low = 0;
    while (high >= 0 && number->digits[high] == 0) {
        high--;
    }
    while (low < PLACES && number->digits[low] == 0) {
        low++;
    }
    *ret_high = high;
    *ret_low = low;
    return high >= 0;
}

static void naive_print(const struct naive *number, char *text)
{
    int high = 0;
    int low = 0;
    bool zero = !naive_range(number, &high, &low);
    high = zero || high < POINT ? POINT : high;
    low = zero || low > POINT ? POINT : low;
    if (number->negative && !zero) {
        *text++ = '-';
    }
    for (int place = high; place >= low; place--) {
        if (place == POINT - 1) {
            *text++ = '.';
        }
        *text++ = (char)('0' + number->digits[place]);
    }
    *text = '\0';
}

/* Whether mantissa * 10^exponent can hold it: its significant digits, as a string, are at most INT64_MAX. */
static bool naive_fits(const struct naive *number)
{
    int high = 0;
    int low = 0;
    char digits[PLACES + 1];
    if (!naive_range(number, &high, &low)) {
        return true;
    }
    low = low - POINT > SL_DECIMAL_EXPONENT_MAX ? POINT + SL_DECIMAL_EXPONENT_MAX : low;
    int count = high - low + 1;
    if (low - POINT < SL_DECIMAL_EXPONENT_MIN || count > 19) {
        return false;
    }
    for (int at = 0; at < count; at++) {
        digits[at] = (char)('0' + number->digits[high - at]);
    }
    digits[count] = '\0';
    return count < 19 || strcmp(digits, "9223372036854775807") <= 0;
}

static int naive_compare_magnitude(const struct naive *a, const struct naive *b)
{
    for (int place = PLACES - 1; place >= 0; place--) {
        if (a->digits[place] != b->digits[place]) {
            return a->digits[place] > b->digits[place] ? 1 : -1;
        }
    }
    return 0;
}

static int naive_compare(const struct naive *a, const struct naive *b)
{
    int high = 0;
    int low = 0;
    bool a_negative = a->negative && naive_range(a, &high, &low);
    bool b_negative = b->negative && naive_range(b, &high, &low);
    if (a_negative != b_negative) {
        return a_negative ? -1 : 1;
    }
    return a_negative ? -naive_compare_magnitude(a, b) : naive_compare_magnitude(a, b);
}

static void naive_add(const struct naive *a, const struct naive *b, struct naive *sum)
{
    if (naive_compare_magnitude(a, b) < 0) {
        const struct naive *other = a;
        a = b;
        b = other;
    }
    int sign = a->negative == b->negative ? 1 : -1;
    int carry = 0;
    for (int place = 0; place < PLACES; place++) {
        int digit = a->digits[place] + sign * b->digits[place] + carry;
        carry = digit < 0 ? -1 : digit / 10;
        sum->digits[place] = digit < 0 ? digit + 10 : digit % 10;
    }
    sum->negative = a->negative;
}

/* A random number of the JSON grammar, mostly of ordinary length. */
static void random_text(char *text)
{
    int length = 0;
    int whole = below(4) == 0 ? below(22) : below(8);
    int fraction = below(4) == 0 ? below(24) : below(9);
    if (below(4) == 0) {
        text[length++] = '-';
    }
    if (whole == 0) {
        text[length++] = '0';
    }
    for (int at = 0; at < whole; at++) {
        text[length++] = (char)('0' + (at == 0 ? 1 + below(9) : below(3) == 0 ? 0 : below(10)));
    }
    if (fraction > 0) {
        text[length++] = '.';
    }
    for (int at = 0; at < fraction; at++) {
        text[length++] = (char)('0' + (below(2) == 0 ? 0 : below(10)));
    }
    if (below(8) == 0) {
        length += snprintf(text + length, 8, "%c%s%d", below(2) == 0 ? 'e' : 'E', below(2) == 0 ? "-" : "", below(75));
    }
    text[length] = '\0';
}

static const struct {
    const char *text;
    int code;
    int64_t mantissa;
    int exponent;
    const char *scaled;
    const char *canonical;
} texts_and_pairs[] = {
    {"61800.20", 0, 6180020, -2, "61800.20", "61800.2"},
    {"0.014", 0, 14, -3, "0.014", "0.014"},
    {"0.000", 0, 0, -3, "0.000", "0"},
    {"0.00000001", 0, 1, -8, "0.00000001", "0.00000001"},
    {"-1.50", 0, -150, -2, "-1.50", "-1.5"},
    {"-0.0", 0, 0, -1, "0.0", "0"},
    {"0", 0, 0, 0, "0", "0"},
    {"1000", 0, 1000, 0, "1000", "1000"},
    {"1e3", 0, 1, 3, "1000", "1000"},
    {"1.5E+3", 0, 15, 2, "1500", "1500"},
    {"1e-7", 0, 1, -7, "0.0000001", "0.0000001"},
    {"0E-10", 0, 0, -10, "0.0000000000", "0"},
    {"0e999999999999999999999", 0, 0, 64, "0", "0"},
    {"9223372036854775807", 0, INT64_MAX, 0, "9223372036854775807", "9223372036854775807"},
    {"-9223372036854775807", 0, -INT64_MAX, 0, "-9223372036854775807", "-9223372036854775807"},
    {"92233720368547.75807", 0, INT64_MAX, -5, "92233720368547.75807", "92233720368547.75807"},
    {"9223372036854775808", SL_ERANGE, 0, 0, NULL, NULL},
    {"-9223372036854775808", SL_ERANGE, 0, 0, NULL, NULL},
    {"1.00000000000000000001", SL_ERANGE, 0, 0, NULL, NULL},
    /* more zeros than the mantissa has room for: the value is kept, the scale is not */
    {"1.00000000000000000000", 0, 1000000000000000000, -18, "1.000000000000000000", "1"},
    {"123456789012.00000000", 0, 1234567890120000000, -7, "123456789012.0000000", "123456789012"},
    {"100000000000000000000000", 0, 1000000000000000000, 5, "100000000000000000000000", "100000000000000000000000"},
    {"1e64", 0, 1, 64, NULL, NULL},
    {"1e65", 0, 10, 64, NULL, NULL},
    {"1e82", 0, 1000000000000000000, 64, NULL, NULL},
    {"1e83", SL_ERANGE, 0, 0, NULL, NULL},
    {"1e-64", 0, 1, -64, NULL, NULL},
    {"1e-65", SL_ERANGE, 0, 0, NULL, NULL},
    {"10e-65", 0, 1, -64, NULL, NULL},
    {"1e-99999999999999999999999", SL_ERANGE, 0, 0, NULL, NULL},
    {"", SL_EPROTO, 0, 0, NULL, NULL},
    {"-", SL_EPROTO, 0, 0, NULL, NULL},
    {".", SL_EPROTO, 0, 0, NULL, NULL},
    {"1.", SL_EPROTO, 0, 0, NULL, NULL},
    {".5", SL_EPROTO, 0, 0, NULL, NULL},
    {"-.5", SL_EPROTO, 0, 0, NULL, NULL},
    {"+1", SL_EPROTO, 0, 0, NULL, NULL},
    {"01", SL_EPROTO, 0, 0, NULL, NULL},
    {"00", SL_EPROTO, 0, 0, NULL, NULL},
    {"-01", SL_EPROTO, 0, 0, NULL, NULL},
    {"1.2.3", SL_EPROTO, 0, 0, NULL, NULL},
    {"1 ", SL_EPROTO, 0, 0, NULL, NULL},
    {" 1", SL_EPROTO, 0, 0, NULL, NULL},
    {"1,5", SL_EPROTO, 0, 0, NULL, NULL},
    {"0x1", SL_EPROTO, 0, 0, NULL, NULL},
    {"1e", SL_EPROTO, 0, 0, NULL, NULL},
    {"1e+", SL_EPROTO, 0, 0, NULL, NULL},
    {"1e1.5", SL_EPROTO, 0, 0, NULL, NULL},
    {"e1", SL_EPROTO, 0, 0, NULL, NULL},
    {"NaN", SL_EPROTO, 0, 0, NULL, NULL},
    {"1234567890123456789012x", SL_EPROTO, 0, 0, NULL, NULL},
};

static void parses_and_prints(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof(texts_and_pairs) / sizeof(texts_and_pairs[0]); at++) {
        char text[SL_DECIMAL_TEXT_MAX];
        sl_decimal decimal = {0, 0};
        int code = sl_decimal_parse(texts_and_pairs[at].text, strlen(texts_and_pairs[at].text), &decimal);
        if (code != texts_and_pairs[at].code || decimal.mantissa != texts_and_pairs[at].mantissa ||
            decimal.exponent != texts_and_pairs[at].exponent) {
            fail_msg("%s: code %d, %lld e %d", texts_and_pairs[at].text, code, (long long)decimal.mantissa,
                     decimal.exponent);
        }
        if (texts_and_pairs[at].scaled != NULL) {
            assert_int_equal(sl_decimal_format(decimal, SL_DECIMAL_SCALED, text), strlen(texts_and_pairs[at].scaled));
            assert_string_equal(text, texts_and_pairs[at].scaled);
            assert_int_equal(sl_decimal_format(decimal, SL_DECIMAL_CANONICAL, text),
                             strlen(texts_and_pairs[at].canonical));
            assert_string_equal(text, texts_and_pairs[at].canonical);
        }
    }
}

static void text_need_not_end_in_nul(void **state)
{
    (void)state;
    char exact[4] = {'1', '2', '.', '5'};
    sl_decimal decimal = {0, 0};
    assert_int_equal(sl_decimal_parse(exact, sizeof(exact), &decimal), 0);
    assert_int_equal(decimal.mantissa, 125);
    assert_int_equal(sl_decimal_parse(exact, 2, &decimal), 0);
    assert_int_equal(decimal.mantissa, 12);
    assert_int_equal(sl_decimal_parse(exact, 3, &decimal), SL_EPROTO);
}

static void random_texts_keep_their_value(void **state)
{
    (void)state;
    begin_random();
    int fitted = 0;
    for (int round = 0; round < 200000; round++) {
        char text[128];
        char expected[PLACES + 4];
        char printed[SL_DECIMAL_TEXT_MAX];
        struct naive naive;
        sl_decimal decimal = {0, 0};
        random_text(text);
        naive_parse(text, &naive);
        int code = sl_decimal_parse(text, strlen(text), &decimal);
        if (code != (naive_fits(&naive) ? 0 : SL_ERANGE)) {
            fail_msg("%s: code %d", text, code);
        }
        if (code < 0) {
            continue;
        }
        fitted++;
        naive_print(&naive, expected);
        (void)sl_decimal_format(decimal, SL_DECIMAL_CANONICAL, printed);
        assert_string_equal(printed, expected);
        /* the scale that was written is kept where 18 digits are enough for it */
        size_t length = sl_decimal_format(decimal, SL_DECIMAL_SCALED, printed);
        if (strpbrk(text, "eE-") == NULL && strlen(text) <= 18) {
            assert_string_equal(printed, text);
        }
        sl_decimal again = {0, 0};
        assert_int_equal(sl_decimal_parse(printed, length, &again), 0);
        assert_true(sl_decimal_equal(again, decimal));
    }
    assert_true(fitted > 100000);
}

static void random_pairs_compare_and_add(void **state)
{
    (void)state;
    begin_random();
    int sums = 0;
    for (int round = 0; round < 100000; round++) {
        char texts[2][128];
        struct naive naive[2];
        struct naive sum;
        sl_decimal decimals[2];
        do {
            random_text(texts[0]);
        } while (sl_decimal_parse(texts[0], strlen(texts[0]), &decimals[0]) < 0);
        do {
            random_text(texts[1]);
        } while (sl_decimal_parse(texts[1], strlen(texts[1]), &decimals[1]) < 0);
        naive_parse(texts[0], &naive[0]);
        naive_parse(texts[1], &naive[1]);
        int order = sl_decimal_compare(decimals[0], decimals[1]);
        if ((order > 0) - (order < 0) != naive_compare(&naive[0], &naive[1])) {
            fail_msg("compare %s %s: %d", texts[0], texts[1], order);
        }
        assert_int_equal(sl_decimal_compare(decimals[1], decimals[0]), -order);
        /* the same value in another pair */
        sl_decimal normal = sl_decimal_normalize(decimals[0]);
        assert_true(sl_decimal_equal(normal, decimals[0]));
        assert_true(normal.mantissa == 0 ? normal.exponent == 0 : normal.mantissa % 10 != 0 || normal.exponent == 64);

        char expected[PLACES + 4];
        char printed[SL_DECIMAL_TEXT_MAX];
        sl_decimal result = {0, 0};
        naive_add(&naive[0], &naive[1], &sum);
        naive_print(&sum, expected);
        int code = sl_decimal_add(decimals[0], decimals[1], &result);
        if (code != (naive_fits(&sum) ? 0 : SL_ERANGE)) {
            fail_msg("add %s %s: %d, expected %s", texts[0], texts[1], code, expected);
        }
        if (code == 0) {
            (void)sl_decimal_format(result, SL_DECIMAL_CANONICAL, printed);
            assert_string_equal(printed, expected);
            sums++;
        }
    }
    assert_true(sums > 50000);
}

static void rescales_exactly_or_not_at_all(void **state)
{
    (void)state;
    sl_decimal out = {0, 0};
    assert_int_equal(sl_decimal_rescale((sl_decimal){150, -2}, -1, &out), 0);
    assert_int_equal(out.mantissa, 15);
    assert_int_equal(out.exponent, -1);
    assert_int_equal(sl_decimal_rescale((sl_decimal){155, -2}, -1, &out), SL_ERANGE);
    assert_int_equal(sl_decimal_rescale((sl_decimal){15, -1}, -8, &out), 0);
    assert_int_equal(out.mantissa, 150000000);
    assert_int_equal(sl_decimal_rescale((sl_decimal){INT64_MAX, 0}, -1, &out), SL_ERANGE);
    assert_int_equal(sl_decimal_rescale((sl_decimal){-INT64_MAX / 10, 0}, -1, &out), 0);
    assert_int_equal(sl_decimal_rescale((sl_decimal){0, -2}, 5, &out), 0);
    assert_int_equal(out.exponent, 5);
    assert_int_equal(sl_decimal_rescale((sl_decimal){1, 0}, SL_DECIMAL_EXPONENT_MIN - 1, &out), SL_ERANGE);
}

static void adds_keep_the_finer_scale(void **state)
{
    (void)state;
    sl_decimal sum = {0, 0};
    assert_int_equal(sl_decimal_add((sl_decimal){15, -1}, (sl_decimal){100, -3}, &sum), 0);
    assert_int_equal(sum.mantissa, 1600);
    assert_int_equal(sum.exponent, -3);
    assert_int_equal(sl_decimal_add((sl_decimal){15, -1}, (sl_decimal){-1500, -3}, &sum), 0);
    assert_int_equal(sum.mantissa, 0);
    assert_int_equal(sum.exponent, -3);
    assert_int_equal(sl_decimal_add((sl_decimal){INT64_MAX, 0}, (sl_decimal){3, 0}, &sum), 0); /* ...810 */
    assert_int_equal(sum.exponent, 1);
    assert_int_equal(sl_decimal_add((sl_decimal){INT64_MAX, 0}, (sl_decimal){1, 0}, &sum), SL_ERANGE);
    assert_int_equal(sl_decimal_add((sl_decimal){1, 64}, (sl_decimal){1, -64}, &sum), SL_ERANGE);
    assert_int_equal(sl_decimal_add((sl_decimal){0, 64}, (sl_decimal){1, -64}, &sum), 0);
    assert_int_equal(sum.exponent, -64);
}

/* The fast way for padded texts says the same as the other, whatever the text and whatever lies behind it. */
static void padded_texts_are_read_alike(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789.0123456789.-+eE x\"";
    unsigned random = 7;
    uint64_t good = 0;
    for (int round = 0; round < 400000; round++) {
        char buffer[64];
        size_t size_bytes = (size_t)(rand_r(&random) % 24);
        unsigned letters = rand_r(&random) % 4 == 0 ? sizeof(alphabet) - 1 : rand_r(&random) % 2 == 0 ? 11 : 10;
        for (size_t at = 0; at < sizeof(buffer); at++) {
            buffer[at] = alphabet[(unsigned)rand_r(&random) % (at < size_bytes ? letters : sizeof(alphabet) - 1)];
        }
        if (letters == 10 && size_bytes > 2) {
            buffer[1 + (unsigned)rand_r(&random) % (size_bytes - 1)] = '.';
        }
        sl_decimal one = {-1, -1};
        sl_decimal other = {-1, -1};
        int code = sl_decimal_parse(buffer, size_bytes, &one);
        if (sl_decimal_parse_padded(buffer, size_bytes, &other) != code ||
            (code == 0 && (one.mantissa != other.mantissa || one.exponent != other.exponent))) {
            fail_msg("%.*s: code %d, %lld", (int)size_bytes, buffer, code, (long long)other.mantissa);
        }
        good += code == 0;
    }
    assert_true(good > 100000);
}

/*
 * What venues send has room: the widest quantities are counts of tokens worth next to nothing with all their places
 * (PEPE, SHIB), prices with twelve places, volumes of a day. What has none is refused, never rounded.
 */
static void what_venues_send_fits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"420689899999994.79338791", SL_ERANGE}, /* 23 digits: all PEPE there is, with 8 places */
        {"420689899999994.00000000", 0},         /* zeros at the end cost nothing */
        {"58928429.00000000", 0},
        {"9223372036.854775807", 0},
        {"9223372036.854775808", SL_ERANGE},
        {"0.000000011634", 0},
        {"0.00000000000000000001", 0},
        {"999999999999999999", 0},
        {"12345678901.23456789", 0}, /* 19 digits fit up to 9223372036854775807 */
        {"98765432109.87654321", SL_ERANGE},
        {"1234567890.12345678", 0},
        {"104237182346.120000000000", 0},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_decimal decimal;
        assert_int_equal(sl_decimal_parse(cases[at].text, strlen(cases[at].text), &decimal), cases[at].code);
    }
}

SL_TEST_MAIN(cmocka_unit_test(padded_texts_are_read_alike), cmocka_unit_test(what_venues_send_fits),
             cmocka_unit_test(parses_and_prints), cmocka_unit_test(text_need_not_end_in_nul),
             cmocka_unit_test(random_texts_keep_their_value), cmocka_unit_test(random_pairs_compare_and_add),
             cmocka_unit_test(rescales_exactly_or_not_at_all), cmocka_unit_test(adds_keep_the_finer_scale))
