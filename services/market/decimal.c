/* SPDX-License-Identifier: MIT */
/* Exact decimal numbers: parsing, comparing, adding, printing. See decimal.h. */
#include "decimal.h"

#include <string.h>

#include "decimal_scan.h"

__extension__ typedef __int128 wide;

#define POWER_MAX SL__DECIMAL_POWER_MAX

/* Exponents while parsing stop growing here: far out of range, far from overflow. */
#define EXPONENT_STOP 100000

const uint64_t sl__decimal_powers[POWER_MAX + 1] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits read so far. Zeros wait in `zeros` until a digit after them needs them in the mantissa. */
struct digits {
    uint64_t mantissa;
    int64_t zeros;    /* trailing zeros not in the mantissa yet */
    int64_t fraction; /* digits read after the point */
    bool overflow;
};

static void add_digit(struct digits *digits, unsigned digit)
{
    if (digit == 0) {
        digits->zeros++;
        return;
    }
    if (digits->mantissa == 0) {
        digits->zeros = 0; /* leading zeros */
    }
    for (; digits->zeros >= 0 && !digits->overflow; digits->zeros--) {
        uint64_t last = digits->zeros == 0 ? digit : 0;
        digits->overflow = __builtin_mul_overflow(digits->mantissa, (uint64_t)10, &digits->mantissa) ||
                           __builtin_add_overflow(digits->mantissa, last, &digits->mantissa);
    }
    digits->zeros = 0;
}

/* Reads "e-7" at *at; an absent exponent is 0. */
static int parse_exponent(const char **at, const char *end, int64_t *ret_exponent)
{
    int64_t exponent = 0;
    bool negative = false;
    if (*at < end && (**at == 'e' || **at == 'E')) {
        (*at)++;
        if (*at < end && (**at == '+' || **at == '-')) {
            negative = **at == '-';
            (*at)++;
        }
        if (*at == end || !is_digit(**at)) {
            return SL_EPROTO;
        }
        for (; *at < end && is_digit(**at); (*at)++) {
            exponent = exponent < EXPONENT_STOP ? exponent * 10 + (**at - '0') : EXPONENT_STOP;
        }
    }
    *ret_exponent = negative ? -exponent : exponent;
    return 0;
}

/* Picks the pair that keeps as much of the written scale as fits: puts trailing zeros back into the mantissa. */
static int make(struct digits digits, bool negative, int64_t exponent, sl_decimal *ret_decimal)
{
    exponent -= digits.fraction;
    if (digits.mantissa == 0) {
        /* Zero has every scale; one beyond the limits is the nearest that is not. */
        exponent = exponent < SL_DECIMAL_EXPONENT_MIN ? SL_DECIMAL_EXPONENT_MIN : exponent;
        exponent = exponent > SL_DECIMAL_EXPONENT_MAX ? SL_DECIMAL_EXPONENT_MAX : exponent;
        *ret_decimal = (sl_decimal){0, (int32_t)exponent};
        return 0;
    }
    if (digits.overflow || digits.mantissa > (uint64_t)SL_DECIMAL_MANTISSA_MAX) {
        return SL_ERANGE;
    }
    exponent += digits.zeros;
    while (digits.zeros > 0 && digits.mantissa <= (uint64_t)SL_DECIMAL_MANTISSA_MAX / 10 &&
           exponent > SL_DECIMAL_EXPONENT_MIN) {
        digits.mantissa *= 10;
        digits.zeros--;
        exponent--;
    }
    /* A large exponent may still fit with more zeros in the mantissa: 1e70 as 1000000 * 10^64. */
    while (exponent > SL_DECIMAL_EXPONENT_MAX && digits.mantissa <= (uint64_t)SL_DECIMAL_MANTISSA_MAX / 10) {
        digits.mantissa *= 10;
        exponent--;
    }
    if (exponent < SL_DECIMAL_EXPONENT_MIN || exponent > SL_DECIMAL_EXPONENT_MAX) {
        return SL_ERANGE;
    }
    *ret_decimal = (sl_decimal){negative ? -(int64_t)digits.mantissa : (int64_t)digits.mantissa, (int32_t)exponent};
    return 0;
}

/* Any number at all; the rare forms that the fast path leaves. */
static int parse_slowly(const char *text, size_t size_bytes, sl_decimal *ret_decimal)
{
    const char *at = text;
    const char *end = text + size_bytes;
    struct digits digits = {0, 0, 0, false};
    int64_t exponent = 0;
    bool negative = at < end && *at == '-';
    at += negative;
    const char *integer = at;
    for (; at < end && is_digit(*at); at++) {
        add_digit(&digits, (unsigned)(*at - '0'));
    }
    if (at == integer || (*integer == '0' && at - integer > 1)) {
        return SL_EPROTO;
    }
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        for (; at < end && is_digit(*at); at++) {
            add_digit(&digits, (unsigned)(*at - '0'));
        }
        if (at == fraction) {
            return SL_EPROTO;
        }
        digits.fraction = at - fraction;
    }
    SL_TRY(parse_exponent(&at, end, &exponent));
    return at == end ? make(digits, negative, exponent, ret_decimal) : SL_EPROTO;
}

int sl_decimal_parse(const char *text, size_t size_bytes, sl_decimal *ret_decimal)
{
    /* The common form, up to 18 digits with at most one point, neither sign nor exponent, cannot overflow. */
    size_t point = size_bytes;
    uint64_t mantissa = 0;
    if (size_bytes == 0 || size_bytes > POWER_MAX || (text[0] == '0' && size_bytes > 1 && text[1] != '.')) {
        return parse_slowly(text, size_bytes, ret_decimal);
    }
    for (size_t at = 0; at < size_bytes; at++) {
        unsigned digit = (unsigned)(unsigned char)text[at] - '0';
        if (digit > 9) {
            if (text[at] != '.' || point != size_bytes || at == 0 || at + 1 == size_bytes) {
                return parse_slowly(text, size_bytes, ret_decimal);
            }
            point = at;
            continue;
        }
        mantissa = mantissa * 10 + digit;
    }
    if (size_bytes == POWER_MAX && point == size_bytes) {
        return parse_slowly(text, size_bytes, ret_decimal); /* 19 digits may be too many */
    }
    int32_t fraction = point == size_bytes ? 0 : (int32_t)(size_bytes - point - 1);
    *ret_decimal = (sl_decimal){(int64_t)mantissa, -fraction};
    return 0;
}

int sl_decimal_parse_padded(const char *text, size_t size_bytes, sl_decimal *ret_decimal)
{
    sl_decimal decimal = {0, 0};
    if (sl__decimal_read_short(text, size_bytes, &decimal)) {
        *ret_decimal = decimal;
        return 0;
    }
    if (sl__decimal_scan(text, &decimal) != text + size_bytes) {
        return sl_decimal_parse(text, size_bytes, ret_decimal);
    }
    *ret_decimal = decimal;
    return 0;
}

int sl__decimal_compare_scaled(sl_decimal a, sl_decimal b)
{
    if (a.exponent < b.exponent) {
        return -sl__decimal_compare_scaled(b, a);
    }
    int64_t shift = (int64_t)a.exponent - b.exponent;
    if (a.mantissa == 0 || shift > POWER_MAX) {
        /* |a| is 0, or at least 10^20 units of b's scale and so larger than b. */
        int64_t right = a.mantissa == 0 ? b.mantissa : 0;
        return (a.mantissa > right) - (a.mantissa < right);
    }
    wide left = (wide)a.mantissa * (wide)sl__decimal_powers[shift];
    return (left > b.mantissa) - (left < b.mantissa);
}

sl_decimal sl_decimal_normalize(sl_decimal decimal)
{
    if (decimal.mantissa == 0) {
        return (sl_decimal){0, 0};
    }
    while (decimal.mantissa % 10 == 0 && decimal.exponent < SL_DECIMAL_EXPONENT_MAX) {
        decimal.mantissa /= 10;
        decimal.exponent++;
    }
    return decimal;
}

int sl_decimal_rescale(sl_decimal decimal, int32_t exponent, sl_decimal *ret_decimal)
{
    if (exponent < SL_DECIMAL_EXPONENT_MIN || exponent > SL_DECIMAL_EXPONENT_MAX) {
        return SL_ERANGE;
    }
    int64_t mantissa = decimal.mantissa;
    for (int32_t at = decimal.exponent; mantissa != 0 && at < exponent; at++) {
        if (mantissa % 10 != 0) {
            return SL_ERANGE;
        }
        mantissa /= 10;
    }
    for (int32_t at = decimal.exponent; mantissa != 0 && at > exponent; at--) {
        if (__builtin_mul_overflow(mantissa, (int64_t)10, &mantissa) || mantissa == INT64_MIN) {
            return SL_ERANGE;
        }
    }
    *ret_decimal = (sl_decimal){mantissa, exponent};
    return 0;
}

int sl_decimal_add(sl_decimal a, sl_decimal b, sl_decimal *ret_sum)
{
    if (a.exponent < b.exponent) {
        sl_decimal other = a;
        a = b;
        b = other;
    }
    if (a.exponent - b.exponent > POWER_MAX) {
        if (a.mantissa == 0 || b.mantissa == 0) {
            *ret_sum = a.mantissa == 0 ? b : a;
            return 0;
        }
        b = sl_decimal_normalize(b); /* if they are further apart than this the sum has too many digits */
        if (a.exponent - b.exponent > POWER_MAX) {
            return SL_ERANGE;
        }
    }
    wide sum = (wide)a.mantissa * (wide)sl__decimal_powers[a.exponent - b.exponent] + b.mantissa;
    int32_t exponent = b.exponent;
    while (sum > SL_DECIMAL_MANTISSA_MAX || sum < -(wide)SL_DECIMAL_MANTISSA_MAX) {
        if (sum % 10 != 0 || exponent == SL_DECIMAL_EXPONENT_MAX) {
            return SL_ERANGE;
        }
        sum /= 10;
        exponent++;
    }
    *ret_sum = (sl_decimal){(int64_t)sum, exponent};
    return 0;
}

size_t sl_decimal_format(sl_decimal decimal, sl_decimal_style style, char buffer[SL_DECIMAL_TEXT_MAX])
{
    char digits[POWER_MAX + 1];
    size_t count = 0;
    size_t length = 0;
    if (style == SL_DECIMAL_CANONICAL) {
        decimal = sl_decimal_normalize(decimal);
    }
    if (decimal.exponent < SL_DECIMAL_EXPONENT_MIN || decimal.exponent > SL_DECIMAL_EXPONENT_MAX) {
        memcpy(buffer, "?", 2);
        return 1;
    }
    uint64_t mantissa = decimal.mantissa < 0 ? ~(uint64_t)decimal.mantissa + 1 : (uint64_t)decimal.mantissa;
    for (uint64_t rest = mantissa; rest > 0 || count == 0; rest /= 10) {
        digits[count++] = (char)('0' + rest % 10); /* lowest first */
    }
    if (decimal.mantissa < 0) {
        buffer[length++] = '-';
    }
    size_t fraction = decimal.exponent < 0 ? (size_t)-decimal.exponent : 0;
    size_t zeros = decimal.exponent > 0 && mantissa != 0 ? (size_t)decimal.exponent : 0;
    for (size_t place = count > fraction ? count : fraction + 1; place > 0; place--) {
        if (place == fraction) {
            buffer[length++] = '.';
        }
        buffer[length++] = place <= count ? digits[place - 1] : '0';
    }
    memset(buffer + length, '0', zeros);
    length += zeros;
    buffer[length] = '\0';
    return length;
}
