/* SPDX-License-Identifier: MIT */
/* The text format of Prometheus 0.0.4: numbers, names, labels and their escapes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "sluice/json.h"

#define CAPACITY_FIRST 256
#define NUMBER_BYTES 40

static bool reserve(struct sl__metrics_text *text, size_t more_bytes)
{
    if (text->capacity - text->bytes >= more_bytes) {
        return true;
    }
    size_t capacity = text->capacity == 0 ? CAPACITY_FIRST : text->capacity;
    while (capacity - text->bytes < more_bytes) {
        capacity *= 2;
    }
    char *data = sl_realloc(text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void sl__metrics_text_put(struct sl__metrics_text *text, const char *data, size_t bytes)
{
    if (bytes > 0 && !text->failed && reserve(text, bytes)) {
        memcpy(text->data + text->bytes, data, bytes);
        text->bytes += bytes;
    }
}

void sl__metrics_text_puts(struct sl__metrics_text *text, const char *string)
{
    sl__metrics_text_put(text, string, strlen(string));
}

void sl__metrics_text_put_uint64(struct sl__metrics_text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    sl__metrics_text_put(text, digits + at, sizeof digits - at);
}

void sl__metrics_text_put_double(struct sl__metrics_text *text, double value)
{
    char number[NUMBER_BYTES];
    if (isnan(value)) {
        sl__metrics_text_puts(text, "NaN");
    } else if (isinf(value)) {
        sl__metrics_text_puts(text, value > 0 ? "+Inf" : "-Inf");
    } else if (value >= 0 && value < 1e15 && value == (double)(uint64_t)value) {
        sl__metrics_text_put_uint64(text, (uint64_t)value);
    } else {
        int digits = 15;
        do {
            (void)snprintf(number, sizeof number, "%.*g", digits++, value);
        } while (digits <= 17 && strtod(number, NULL) != value);
        sl__metrics_text_puts(text, number);
    }
}

void sl__metrics_text_put_seconds(struct sl__metrics_text *text, uint64_t value_ns)
{
    char digits[10] = ".000000000";
    uint64_t rest = value_ns % 1000000000;
    size_t length = sizeof digits;
    sl__metrics_text_put_uint64(text, value_ns / 1000000000);
    for (size_t at = sizeof digits - 1; at > 0; at--) {
        digits[at] = (char)('0' + rest % 10);
        rest /= 10;
    }
    while (digits[length - 1] == '0') {
        length--;
    }
    sl__metrics_text_put(text, digits, length == 1 ? 0 : length);
}

static bool name_valid(const char *name, bool colons)
{
    for (const char *at = name; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' || (colons && *at == ':');
        if (!letter && (at == name || *at < '0' || *at > '9')) {
            return false;
        }
    }
    return *name != '\0';
}

bool sl__metric_name_valid(const char *name)
{
    return name != NULL && name_valid(name, true);
}

bool sl__metrics_label_name_valid(const char *name)
{
    return name_valid(name, false) && strncmp(name, "__", 2) != 0 && strcmp(name, "le") != 0;
}

static void put_escaped(struct sl__metrics_text *text, const char *value, bool quotes)
{
    for (;;) {
        size_t plain = strcspn(value, quotes ? "\\\n\"" : "\\\n");
        sl__metrics_text_put(text, value, plain);
        value += plain;
        if (*value == '\0') {
            return;
        }
        const char escape[2] = {'\\', *value == '\n' ? 'n' : *value};
        sl__metrics_text_put(text, escape, 2);
        value++;
    }
}

void sl__metrics_help_put(struct sl__metrics_text *text, const char *help)
{
    put_escaped(text, help, false);
}

/* Whether a name stands among the labels before it. */
static bool named_before(const struct sl_label *labels, const struct sl_label *label)
{
    for (; labels < label; labels++) {
        if (strcmp(labels->name, label->name) == 0) {
            return true;
        }
    }
    return false;
}

bool sl__metrics_labels_put(struct sl__metrics_text *text, const struct sl_label *labels)
{
    for (const struct sl_label *label = labels; label != NULL && label->name != NULL; label++) {
        const char *value = label->value == NULL ? "" : label->value;
        size_t bytes = strnlen(value, SL_METRICS_LABEL_BYTES + 1);
        if (label - labels >= SL_METRICS_LABELS_MAX || bytes > SL_METRICS_LABEL_BYTES || named_before(labels, label) ||
            !sl__metrics_label_name_valid(label->name) || !sl_utf8_valid(value, bytes)) {
            return false;
        }
        sl__metrics_text_puts(text, label == labels ? "{" : ",");
        sl__metrics_text_puts(text, label->name);
        sl__metrics_text_put(text, "=\"", 2);
        put_escaped(text, value, true);
        sl__metrics_text_put(text, "\"", 1);
    }
    return true;
}
