/* SPDX-License-Identifier: MIT */
/* Command-line options by table. */
#include "ingest/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 32
#define NEAR 2 /* so many slips of the finger are forgiven in a hint */

/* ---- hints ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters to add, leave out, change or swap to make one of the other (optimal string alignment). */
static unsigned distance(const char *one, size_t length, const char *other)
{
    unsigned rows[3][NAME_BYTES_MAX + 1];
    size_t other_length = strlen(other);
    if (length > NAME_BYTES_MAX || other_length > NAME_BYTES_MAX) {
        return NEAR + 1;
    }
    for (size_t j = 0; j <= other_length; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *before = rows[(i + 2) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= other_length; j++) {
            row[j] = least(least(before[j], row[j - 1]) + 1, before[j - 1] + (one[i - 1] != other[j - 1]));
            if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1]) {
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
            }
        }
    }
    return rows[length % 3][other_length];
}

/* Keeps the nearer of two names. */
static void consider(const char *text, size_t length, const char *name, const char **nearest,
                     unsigned *nearest_distance)
{
    unsigned away = distance(text, length, name);
    if (away < *nearest_distance) {
        *nearest = name;
        *nearest_distance = away;
    }
}

const struct sl_command *sl_command_find(const struct sl_command *commands, const char *name)
{
    const char *nearest = NULL;
    unsigned nearest_distance = NEAR + 1;
    for (const struct sl_command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
        consider(name, strlen(name), command->name, &nearest, &nearest_distance);
    }
    if (nearest != NULL) {
        (void)fprintf(stderr, "sluice: no command '%s'; did you mean '%s'?\n", name, nearest);
    } else {
        (void)fprintf(stderr, "sluice: no command '%s'; see: sluice help\n", name);
    }
    return NULL;
}

/* ---- values ---- */

/* Digits with or without a point; no sign, exponent, hexadecimal or white space. */
static bool parse_number(const char *text, double *ret_number, const char **ret_rest)
{
    size_t length = strspn(text, "0123456789.");
    char *end = NULL;
    *ret_number = length == 0 ? 0 : strtod(text, &end);
    *ret_rest = end;
    return length > 0 && end == text + length && *ret_number < 1e15;
}

static bool parse_duration(const char *text, sl_time *ret_duration)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    double number;
    const char *rest;
    if (!parse_number(text, &number, &rest)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].unit) == 0 && number * units[i].ns < 9e18) {
            *ret_duration = (sl_time)(number * units[i].ns);
            return true;
        }
    }
    return number == 0 && *rest == '\0' && (*ret_duration = 0, true);
}

static bool in_range(const struct sl_option *option, uint64_t value)
{
    return option->max == 0 || (value >= option->min && value <= option->max);
}

static bool set_symbol(char symbol[SL_OPTION_SYMBOL_BYTES], const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length >= SL_OPTION_SYMBOL_BYTES) {
        return false;
    }
    for (size_t i = 0; i <= length; i++) {
        bool lower = text[i] >= 'a' && text[i] <= 'z';
        bool other = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= '0' && text[i] <= '9') || text[i] == '_';
        if (!lower && !other && i < length) {
            return false;
        }
        symbol[i] = lower ? (char)(text[i] - 'a' + 'A') : text[i];
    }
    return true;
}

static const char *set_duration(const struct sl_option *option, const char *text)
{
    sl_time duration = 0;
    if (!parse_duration(text, &duration)) {
        return "a duration like 250ms, 10s or 5m";
    }
    *(sl_time *)option->value = duration;
    return duration == 0 || in_range(option, (uint64_t)duration) ? NULL : option->range;
}

/* NULL, or what was expected. */
static const char *set(const struct sl_option *option, const char *text)
{
    double number = 0;
    const char *rest = "";
    bool is_number = parse_number(text, &number, &rest) && *rest == '\0';
    bool whole = is_number && number == (double)(uint64_t)number && strchr(text, '.') == NULL;
    switch (option->type) {
    case SL_OPTION_TEXT:
        *(const char **)option->value = text;
        return *text == '\0' ? "a text" : NULL;
    case SL_OPTION_COUNT:
        *(uint64_t *)option->value = whole ? (uint64_t)number : 0;
        return !whole ? "a whole number" : in_range(option, (uint64_t)number) ? NULL : option->range;
    case SL_OPTION_PORT:
        *(int *)option->value = whole && number <= 65535 ? (int)number : 0;
        return whole && number <= 65535 ? NULL : "a port, 0 to 65535";
    case SL_OPTION_DURATION:
        return set_duration(option, text);
    case SL_OPTION_SPEED:
        *(double *)option->value = is_number ? number : 0;
        return strcmp(text, "max") == 0 || (is_number && number > 0) ? NULL : "a factor above 0, or max";
    case SL_OPTION_SYMBOL:
        return set_symbol(option->value, text) ? NULL : "a symbol like BTCUSDT: letters, digits and _";
    case SL_OPTION_FLAG:
        break;
    }
    return "no value";
}

/* ---- arguments ---- */

/* The option of that command and name, or NULL after saying what is wrong with the argument. */
static const struct sl_option *find(const struct sl_option *options, const struct sl_command *command,
                                    const char *argument, size_t length)
{
    const char *nearest = NULL;
    unsigned nearest_distance = NEAR + 1;
    for (const struct sl_option *option = options; option->name != NULL; option++) {
        bool same = strlen(option->name) == length && memcmp(option->name, argument + 2, length) == 0;
        if (same && (option->commands & command->bit) != 0) {
            return option;
        }
        if (same) {
            (void)fprintf(stderr, "sluice: --%s is no option of '%s'; see: sluice %s --help\n", option->name,
                          command->name, command->name);
            return NULL;
        }
        if ((option->commands & command->bit) != 0) {
            consider(argument + 2, length, option->name, &nearest, &nearest_distance);
        }
    }
    if (nearest != NULL) {
        (void)fprintf(stderr, "sluice: no option '%.*s'; did you mean --%s?\n", (int)length + 2, argument, nearest);
    } else {
        (void)fprintf(stderr, "sluice: no option '%.*s'; see: sluice %s --help\n", (int)length + 2, argument,
                      command->name);
    }
    return NULL;
}

int sl_options_parse(const struct sl_option *options, const struct sl_command *command, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            return 1;
        }
        if (strncmp(argument, "--", 2) != 0) {
            (void)fprintf(stderr, "sluice: unexpected argument '%s'; see: sluice %s --help\n", argument, command->name);
            return SL_EINVAL;
        }
        size_t length = strcspn(argument + 2, "=");
        const struct sl_option *option = find(options, command, argument, length);
        if (option == NULL) {
            return SL_EINVAL;
        }
        const char *value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
        if (option->type == SL_OPTION_FLAG && value == NULL) {
            *(bool *)option->value = true;
            continue;
        }
        if (value == NULL && i + 1 < argc) {
            value = argv[++i];
        }
        const char *expected = value == NULL ? "a value" : set(option, value);
        if (expected != NULL) {
            (void)fprintf(stderr, "sluice: --%s: '%s' where %s was expected\n", option->name,
                          value == NULL ? "" : value, expected);
            return SL_EINVAL;
        }
    }
    return 0;
}

void sl_options_help(const struct sl_option *options, unsigned commands)
{
    static const char *const values[] = {"TEXT", "", "N", "PORT", "DURATION", "FACTOR|max", "SYMBOL"};
    for (const struct sl_option *option = options; option->name != NULL; option++) {
        if ((option->commands & commands) != 0) {
            char left[64];
            (void)snprintf(left, sizeof left, "--%s %s", option->name, values[option->type]);
            printf("  %-24s %s\n", left, option->help);
        }
    }
}
