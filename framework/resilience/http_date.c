/* SPDX-License-Identifier: MIT */
/* Retry-After: seconds or an HTTP date. Source: RFC 9110 sections 5.6.7 and 10.2.3. */
#include <string.h>

#include "sluice/rate_limit.h"

/* What is left of a date's text; `bad` once it did not fit. */
struct reader {
    const char *at;
    bool bad;
};

static int take_digits(struct reader *reader, int least, int most)
{
    int number = 0, count = 0;
    while (count < most && *reader->at >= '0' && *reader->at <= '9') {
        number = number * 10 + (*reader->at++ - '0');
        count++;
    }
    reader->bad = reader->bad || count < least;
    return number;
}

static void take_text(struct reader *reader, const char *text)
{
    size_t length = strlen(text);
    if (reader->bad || strncmp(reader->at, text, length) != 0) {
        reader->bad = true;
        return;
    }
    reader->at += length;
}

/* 1 to 12. */
static int take_month(struct reader *reader)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 0; month < 12 && !reader->bad; month++) {
        if (strncmp(reader->at, names + (ptrdiff_t)month * 3, 3) == 0) {
            reader->at += 3;
            return month + 1;
        }
    }
    reader->bad = true;
    return 1;
}

struct date {
    int year, month, day, hour, minute, second;
};

static void take_clock(struct reader *reader, struct date *date)
{
    date->hour = take_digits(reader, 2, 2);
    take_text(reader, ":");
    date->minute = take_digits(reader, 2, 2);
    take_text(reader, ":");
    date->second = take_digits(reader, 2, 2);
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. Source: Howard Hinnant, "chrono-compatible date algorithms". */
static int64_t days_of(int year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int year_of_wall(sl_time wall)
{
    return 1970 + (int)(wall / SL_SECONDS(31556952)); /* a day off near new year does not matter here */
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" or "Sun Nov  6 08:49:37 1994". */
static bool read_date(const char *text, sl_time wall, struct date *date)
{
    struct reader reader = {.at = text};
    while ((*reader.at >= 'A' && *reader.at <= 'Z') || (*reader.at >= 'a' && *reader.at <= 'z')) {
        reader.at++; /* the day's name: it says nothing that the date does not */
    }
    size_t name_length = (size_t)(reader.at - text);
    if (*reader.at != ',') {
        take_text(&reader, " ");
        date->month = take_month(&reader);
        take_text(&reader, " ");
        reader.at += *reader.at == ' ';
        date->day = take_digits(&reader, 1, 2);
        take_text(&reader, " ");
        take_clock(&reader, date);
        take_text(&reader, " ");
        date->year = take_digits(&reader, 4, 4);
    } else {
        take_text(&reader, ", ");
        date->day = take_digits(&reader, 2, 2);
        bool old = *reader.at == '-';
        take_text(&reader, old ? "-" : " ");
        date->month = take_month(&reader);
        take_text(&reader, old ? "-" : " ");
        date->year = take_digits(&reader, old ? 2 : 4, old ? 2 : 4);
        if (old) { /* two digits more than 50 years ahead are in the past */
            int this_year = year_of_wall(wall);
            date->year += this_year - this_year % 100;
            date->year -= date->year > this_year + 50 ? 100 : 0;
        }
        take_text(&reader, " ");
        take_clock(&reader, date);
        take_text(&reader, " GMT");
    }
    return !reader.bad && *reader.at == '\0' && name_length >= 3 && date->day >= 1 && date->day <= 31 &&
           date->hour < 24 && date->minute < 60 && date->second <= 60 && date->year >= 1583;
}

sl_time sl_retry_after_parse(const char *text, sl_time wall)
{
    while (*text == ' ') {
        text++;
    }
    if (*text >= '0' && *text <= '9') {
        int64_t number = 0;
        for (; *text >= '0' && *text <= '9'; text++) {
            number = number < 1000000000 ? number * 10 + (*text - '0') : number;
        }
        while (*text == ' ') {
            text++;
        }
        if (*text != '\0') {
            return SL_UNKNOWN;
        }
        return number < SL_RETRY_AFTER_MAX / SL_SECONDS(1) ? SL_SECONDS(number) : SL_RETRY_AFTER_MAX;
    }
    struct date date = {0};
    if (!read_date(text, wall, &date)) {
        return SL_UNKNOWN;
    }
    int64_t then = days_of(date.year, date.month, date.day) * 86400 + (int64_t)date.hour * 3600 +
                   (int64_t)date.minute * 60 + date.second;
    int64_t wait = then - wall / SL_SECONDS(1); /* rounded up: a date has no fractions */
    if (wait <= 0) {
        return 0;
    }
    sl_time exact = SL_SECONDS(wait < SL_RETRY_AFTER_MAX / SL_SECONDS(1) ? wait : SL_RETRY_AFTER_MAX / SL_SECONDS(1));
    return exact - wall % SL_SECONDS(1);
}
