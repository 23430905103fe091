/* SPDX-License-Identifier: MIT */
/* Texts of the configuration that are more than a type of it: addresses and times. */
#include <string.h>

#include "ingest/config/internal.h"

/* ---- addresses ---- */

/* Digits only, 0 to 65535. */
static bool parse_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        port = port * 10 + (uint32_t)(*text - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

bool sl_conf_listen_parse(const char *text, char host[SL_CONF_HOST_MAX], uint16_t *ret_port)
{
    bool bracket = *text == '[';
    const char *begin = text + bracket;
    size_t bytes = strcspn(begin, bracket ? "]" : ":");
    const char *colon = begin + bytes + (bracket && begin[bytes] == ']');
    const char *allowed =
        bracket ? "0123456789abcdefABCDEF:." : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (bytes == 0 || bytes >= SL_CONF_HOST_MAX || *colon != ':' || strspn(begin, allowed) < bytes) {
        return false;
    }
    memcpy(host, begin, bytes);
    host[bytes] = '\0';
    return parse_port(colon + 1, ret_port);
}

/* 127.a.b.c, each at most three digits. */
static bool is_127(const char *host)
{
    size_t parts = 0;
    for (const char *at = host; parts < 4; at++) {
        size_t digits = strspn(at, "0123456789");
        if (digits == 0 || digits > 3 || (parts == 0 && (digits != 3 || strncmp(at, "127", 3) != 0))) {
            return false;
        }
        at += digits;
        parts++;
        if (*at != '.') {
            return *at == '\0' && parts == 4;
        }
    }
    return false;
}

bool sl_conf_host_is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || is_127(host);
}

/* ---- times ---- */

/* Exactly `digits` digits; moves on. */
static bool take_number(const char **at, size_t digits, int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9') {
            return false;
        }
        number = number * 10 + ((*at)[i] - '0');
    }
    *at += digits;
    *ret_number = number;
    return true;
}

static bool take_character(const char **at, char character)
{
    bool there = **at == character;
    *at += there;
    return there;
}

/* Days from 1970-01-01 in the Gregorian calendar; the year begins in March, so that a leap day ends it. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t days_in(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "Z", "+02:00" */
static bool take_offset(const char **at, int64_t *ret_seconds)
{
    int64_t hours;
    int64_t minutes;
    *ret_seconds = 0;
    if (take_character(at, 'Z') || take_character(at, 'z')) {
        return true;
    }
    bool west = take_character(at, '-');
    if ((!west && !take_character(at, '+')) || !take_number(at, 2, &hours) || !take_character(at, ':') ||
        !take_number(at, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_seconds = (hours * 60 + minutes) * (west ? -60 : 60);
    return true;
}

/* RFC 3339, 5.6; a date alone is its midnight in UTC. */
static bool parse_date(const char *at, int64_t *ret_ns)
{
    int64_t year;
    int64_t month;
    int64_t day;
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t offset = 0;
    int64_t fraction = 0;
    if (!take_number(&at, 4, &year) || !take_character(&at, '-') || !take_number(&at, 2, &month) ||
        !take_character(&at, '-') || !take_number(&at, 2, &day) || year < 1970 || year > 2200 || month < 1 ||
        month > 12 || day < 1 || day > days_in(year, month)) {
        return false;
    }
    if (take_character(&at, 'T') || take_character(&at, 't') || take_character(&at, ' ')) {
        if (!take_number(&at, 2, &hour) || !take_character(&at, ':') || !take_number(&at, 2, &minute) ||
            !take_character(&at, ':') || !take_number(&at, 2, &second) || hour > 23 || minute > 59 || second > 59) {
            return false;
        }
        if (take_character(&at, '.')) {
            size_t digits = strspn(at, "0123456789");
            if (digits == 0 || digits > 9 || !take_number(&at, digits, &fraction)) {
                return false;
            }
            for (; digits < 9; digits++) {
                fraction *= 10;
            }
        }
        if (!take_offset(&at, &offset)) {
            return false;
        }
    }
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    *ret_ns = seconds * SL_SECONDS(1) + fraction;
    return *at == '\0' && seconds >= 0;
}

/* "90m", "30d" */
static bool parse_age(const char *text, int64_t *ret_ns)
{
    static const char units[] = "smhdw";
    static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
    size_t digits = strspn(text, "0123456789");
    int64_t number;
    if (digits == 0 || digits > 9 || !take_number(&text, digits, &number)) {
        return false;
    }
    const char *unit = *text == '\0' ? NULL : strchr(units, *text);
    if (unit == NULL || text[1] != '\0' || number > SL_SECONDS(9000000000) / SL_SECONDS(1) / seconds[unit - units]) {
        return false;
    }
    *ret_ns = number * seconds[unit - units] * SL_SECONDS(1);
    return true;
}

bool sl_conf_time_parse(const char *text, int64_t now_ns, int64_t *ret_ns)
{
    int64_t age;
    if (parse_age(text, &age)) {
        *ret_ns = age > now_ns ? 0 : now_ns - age;
        return true;
    }
    return parse_date(text, ret_ns);
}
