/* SPDX-License-Identifier: MIT */
/* Command-line options by table. */
#include "ingest/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, double *ret_number, const char **ret_rest)
{
    char *end = NULL;
    *ret_number = strtod(text, &end);
    *ret_rest = end;
    return end != text && *ret_number >= 0 && *ret_number < 1e15;
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

/* NULL, or what was expected. */
static const char *set(const struct sl_option *option, const char *text)
{
    double number = 0;
    const char *rest = "";
    bool is_number = parse_number(text, &number, &rest) && *rest == '\0';
    bool whole = is_number && number == (double)(uint64_t)number;
    switch (option->type) {
    case SL_OPTION_TEXT:
        *(const char **)option->value = text;
        return *text == '\0' ? "a text" : NULL;
    case SL_OPTION_COUNT:
        *(uint64_t *)option->value = whole ? (uint64_t)number : 0;
        return whole ? NULL : "a whole number";
    case SL_OPTION_PORT:
        *(int *)option->value = whole && number <= 65535 ? (int)number : 0;
        return whole && number <= 65535 ? NULL : "a port, 0 to 65535";
    case SL_OPTION_DURATION:
        return parse_duration(text, option->value) ? NULL : "a duration like 250ms, 10s or 5m";
    case SL_OPTION_SPEED:
        *(double *)option->value = is_number ? number : 0;
        return strcmp(text, "max") == 0 || (is_number && number > 0) ? NULL : "a factor above 0, or max";
    case SL_OPTION_FLAG:
        break;
    }
    return "no value";
}

static const struct sl_option *find(const struct sl_option *options, size_t count, const char *argument, size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == length && memcmp(options[i].name, argument, length) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

int sl_options_parse(const struct sl_option *options, size_t count, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        bool dashes = strncmp(argument, "--", 2) == 0;
        size_t length = dashes ? strcspn(argument + 2, "=") : 0;
        const struct sl_option *option = dashes ? find(options, count, argument + 2, length) : NULL;
        if (option == NULL) {
            (void)fprintf(stderr, "sluice: unknown argument '%s'; see: sluice help\n", argument);
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

void sl_options_help(const struct sl_option *options, size_t count)
{
    static const char *const values[] = {"TEXT", "", "N", "PORT", "DURATION", "FACTOR|max"};
    for (size_t i = 0; i < count; i++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s %s", options[i].name, values[options[i].type]);
        printf("  %-24s %s\n", left, options[i].help);
    }
}
