/* SPDX-License-Identifier: MIT */
/*
 * Problems with their places. The line that is shown hides every value that was not bound to a type which is no
 * secret: passwords, values of unknown keys, what stands behind a place where the YAML broke.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define QUOTED_BYTES_MAX 60
#define MESSAGE_BYTES_MAX 1000
#define EXCERPT_BEFORE 60
#define EXCERPT_COLUMNS 100
#define SUSPICIOUS_BYTES_MAX 4096 /* longer unread lines are not searched, and not shown */

struct item {
    struct sl_config_problem shown;
    struct sl__place place;
};

struct sl_config_report {
    struct sl__arena arena;
    struct sl__text text;
    struct item items[SL_CONFIG_PROBLEMS_MAX];
    size_t count, more;
};

/* ---- texts of messages ---- */

void sl__quote(struct sl__text *out, const char *text, size_t text_bytes)
{
    size_t password_at;
    size_t password_bytes = sl__url_password(text, text_bytes, &password_at);
    size_t end = text_bytes < QUOTED_BYTES_MAX ? text_bytes : QUOTED_BYTES_MAX;
    while (end < text_bytes && ((unsigned char)text[end] & 0xc0) == 0x80) {
        end--; /* not within a character */
    }
    sl__text_puts(out, "\"");
    for (size_t i = 0; i < end; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < end && (unsigned char)text[i + 1] < 0xa0;
        if (password_bytes > 0 && i >= password_at && i < password_at + password_bytes) {
            sl__text_puts(out, i == password_at ? "***" : "");
        } else if (c < 0x20 || c == 0x7f || c1) {
            sl__text_puts(out, "?");
            i += c1 ? 1 : 0;
        } else {
            sl__text_put(out, &text[i], 1);
        }
    }
    sl__text_puts(out, end < text_bytes ? "...\"" : "\"");
}

void sl__subject(struct sl__text *out, const struct sl__node *node)
{
    if (node->hidden || node->secret_tag) {
        sl__text_puts(out, "the secret");
        return;
    }
    if (node->from_env) {
        sl__text_puts(out, "the value of ");
        sl__quote(out, node->raw, strlen(node->raw));
        return;
    }
    sl__quote(out, node->text, node->text_bytes);
}

/* ---- collecting ---- */

bool sl__report_full(const struct sl__load *load)
{
    return load->report->count == SL_CONFIG_PROBLEMS_MAX;
}

void sl__problem_list(struct sl__load *load, struct sl__place place, const char *path, bool warning, const char *format,
                      va_list arguments)
{
    struct sl_config_report *report = load->report;
    if (place.source == load->source_count) { /* a default text of the table */
        load->code = load->code == 0 ? SL_EMISUSE : load->code;
        place = (struct sl__place){0, 0, SL__NO_SOURCE};
    }
    if (sl__report_full(load)) {
        report->more++;
        return;
    }
    char message[MESSAGE_BYTES_MAX];
    (void)vsnprintf(message, sizeof message, format, arguments);
    const char *message_copy = sl__arena_copy(&report->arena, message, strlen(message));
    const char *path_copy = sl__arena_copy(&report->arena, path, strlen(path));
    if (message_copy == NULL || path_copy == NULL) {
        load->code = SL_ENOMEM;
        return;
    }
    struct item *item = &report->items[report->count++];
    *item = (struct item){{warning, "", place.line, place.column, path_copy, message_copy, ""}, place};
}

void sl__problem(struct sl__load *load, struct sl__place place, const struct sl__text *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl__problem_list(load, place, sl__text_get(path), false, format, arguments);
    va_end(arguments);
}

void sl__warning(struct sl__load *load, struct sl__place place, const struct sl__text *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl__problem_list(load, place, sl__text_get(path), true, format, arguments);
    va_end(arguments);
}

/* ---- excerpts ---- */

bool sl__names_secret(const struct sl_config_section *section, const char *word, unsigned depth)
{
    for (size_t i = 0; section != NULL && depth < SL_CONFIG_DEPTH_MAX && i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        const char *key = field->key;
        while (field->element != NULL) {
            field = field->element;
        }
        struct sl__suggestion suggestion = {word, NULL, 0};
        if (field->type == SL_CONFIG_SECRET && key != NULL) {
            sl__suggest(&suggestion, key);
        }
        if (suggestion.best != NULL || sl__names_secret(field->section, word, depth + 1)) {
            return true;
        }
        for (size_t j = 0; j < field->variant_count; j++) {
            if (sl__names_secret(field->variants[j], word, depth + 1)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether an unread line may hold a secret: by the key before it, by a word in it, by an address with a password. */
static bool suspicious(const struct sl__load *load, const struct sl__source *source, const char *line, size_t bytes)
{
    const struct sl_config_section *root = load->options->root;
    if (bytes > SUSPICIOUS_BYTES_MAX) {
        return true;
    }
    if (source->last_key != NULL && sl__names_secret(root, source->last_key, 0)) {
        return true;
    }
    char word[64];
    size_t length = 0;
    for (size_t i = 0; i <= bytes; i++) {
        char c = i < bytes ? line[i] : ' ';
        bool part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (part && length + 1 < sizeof word) {
            word[length++] = c;
            continue;
        }
        word[length] = '\0';
        if (length > 0 && sl__names_secret(root, word, 0)) {
            return true;
        }
        length = 0;
    }
    size_t password_at;
    return sl__url_password(line, bytes, &password_at) > 0;
}

enum { UNKNOWN, UNBOUND, SHOWN, HIDDEN };

/* What of the columns from `first` on may be seen. */
static void mark_columns(const struct sl__load *load, struct sl__place place, uint32_t first,
                         unsigned char states[EXCERPT_COLUMNS])
{
    for (const struct sl__node *node = load->scalars; node != NULL; node = node->next_scalar) {
        if (node->begin.source != place.source || node->begin.line > place.line || node->end_line < place.line ||
            node->type == SL__NULL) {
            continue;
        }
        uint32_t from = node->begin.line == place.line ? node->begin.column : 1;
        uint32_t to = node->end_line == place.line ? node->end_column : UINT32_MAX;
        bool reference =
            node->secret_tag && (strncmp(node->raw, "file:", 5) == 0 || strncmp(node->raw, "env:", 4) == 0);
        unsigned char state = (node->hidden || node->password) && !reference ? HIDDEN
                              : node->shown || reference                     ? SHOWN
                                                                             : UNBOUND;
        for (uint32_t column = from < first ? first : from; column < to && column < first + EXCERPT_COLUMNS; column++) {
            unsigned char *old = &states[column - first];
            *old = *old < state ? state : *old;
        }
    }
}

static size_t character_bytes(const char *at, const char *end)
{
    size_t bytes = 1;
    while (at + bytes < end && ((unsigned char)at[bytes] & 0xc0) == 0x80) {
        bytes++;
    }
    return bytes;
}

/* Writes the line from `at`, which is column `first`; returns how many columns stand before the caret's. */
static size_t write_columns(struct sl__text *out, const char *at, const char *end, uint32_t first, uint32_t caret,
                            const unsigned char states[EXCERPT_COLUMNS])
{
    size_t written = 0;
    size_t caret_at = SIZE_MAX;
    bool masked = false;
    for (uint32_t column = first; at < end && column < first + EXCERPT_COLUMNS; column++) {
        size_t bytes = character_bytes(at, end);
        bool mask = states[column - first] == UNBOUND || states[column - first] == HIDDEN;
        if (column == caret) {
            caret_at = written - (mask && masked ? 3 : 0);
        }
        if (!mask) {
            sl__text_put(out, *at == '\t' ? " " : at, bytes);
            written++;
        } else if (!masked) {
            sl__text_puts(out, "***");
            written += 3;
        }
        masked = mask;
        at += bytes;
    }
    sl__text_puts(out, at < end ? "..." : "");
    return caret_at == SIZE_MAX ? written : caret_at;
}

/* The source line and a caret below it; nothing where there is no line to show. */
static void excerpt(const struct sl__load *load, struct sl__place place, struct sl__text *out)
{
    if (place.line == 0 || place.source >= load->source_count) {
        return;
    }
    const struct sl__source *source = &load->sources[place.source];
    if (source->unreadable || place.line > source->line_count) {
        return;
    }
    const char *at = source->text + source->lines[place.line - 1];
    const char *end = source->text + (place.line < source->line_count ? source->lines[place.line] : source->text_bytes);
    while (end > at && (end[-1] == '\n' || end[-1] == '\r')) {
        end--;
    }
    if (end == at || (source->broken_line > 0 && place.line >= source->broken_line &&
                      suspicious(load, source, at, (size_t)(end - at)))) {
        return;
    }
    uint32_t first = place.column > EXCERPT_BEFORE + 20 ? place.column - EXCERPT_BEFORE : 1;
    for (uint32_t column = 1; column < first && at < end; column++) {
        at += character_bytes(at, end);
    }
    unsigned char states[EXCERPT_COLUMNS] = {0};
    mark_columns(load, place, first, states);
    sl__text_puts(out, first > 1 ? "    ..." : "    ");
    size_t caret = write_columns(out, at, end, first, place.column, states) + (first > 1 ? 3 : 0);
    sl__text_printf(out, "\n    %*s^\n", (int)caret, "");
}

/* ---- the end ---- */

static bool in_order(const struct item *left, const struct item *right)
{
    if (left->place.source != right->place.source) {
        return left->place.source < right->place.source;
    }
    if (left->place.line != right->place.line) {
        return left->place.line < right->place.line;
    }
    return left->place.column <= right->place.column;
}

static void write_item(struct sl__text *text, const struct sl_config_problem *problem)
{
    if (problem->line > 0) {
        sl__text_printf(text, "%s:%u:%u: ", problem->file, problem->line, problem->column);
    } else if (*problem->file != '\0') {
        sl__text_printf(text, "%s: ", problem->file);
    }
    sl__text_printf(text, "%s%s%s%s\n%s", problem->warning ? "warning: " : "", problem->path,
                    *problem->path == '\0' ? "" : ": ", problem->message, problem->excerpt);
}

static void sort_items(struct sl_config_report *report)
{
    for (size_t i = 1; i < report->count; i++) {
        struct item item = report->items[i];
        size_t j = i;
        for (; j > 0 && !in_order(&report->items[j - 1], &item); j--) {
            report->items[j] = report->items[j - 1];
        }
        report->items[j] = item;
    }
}

int sl__report_finish(struct sl__load *load)
{
    struct sl_config_report *report = load->report;
    sort_items(report);
    for (size_t i = 0; i < report->count; i++) {
        struct item *item = &report->items[i];
        struct sl__text text = {NULL, 0, 0, 0};
        excerpt(load, item->place, &text);
        item->shown.excerpt = sl__arena_copy(&report->arena, sl__text_get(&text), text.size_bytes);
        int code = text.code;
        sl__text_free(&text);
        if (item->shown.excerpt == NULL || code != 0) {
            return SL_ENOMEM;
        }
        if (item->place.source < load->source_count) {
            const struct sl__source *source = &load->sources[item->place.source];
            item->shown.file = sl__arena_copy(&report->arena, source->name, strlen(source->name));
            item->shown.line = source->set_number > 0 ? source->set_number : item->shown.line;
            if (item->shown.file == NULL) {
                return SL_ENOMEM;
            }
        }
        write_item(&report->text, &item->shown);
    }
    if (report->more > 0) {
        sl__text_printf(&report->text, "and %zu more\n", report->more);
    }
    return report->text.code;
}

int sl__report_new(struct sl_config_report **ret_report)
{
    *ret_report = sl_calloc(1, sizeof **ret_report);
    return *ret_report == NULL ? SL_ENOMEM : 0;
}

size_t sl__report_errors(const struct sl_config_report *report)
{
    size_t errors = report->more;
    for (size_t i = 0; i < report->count; i++) {
        errors += report->items[i].shown.warning ? 0 : 1;
    }
    return errors;
}

size_t sl_config_report_count(const sl_config_report *report)
{
    return report == NULL ? 0 : report->count;
}

size_t sl_config_report_more(const sl_config_report *report)
{
    return report == NULL ? 0 : report->more;
}

const struct sl_config_problem *sl_config_report_at(const sl_config_report *report, size_t index)
{
    return report == NULL || index >= report->count ? NULL : &report->items[index].shown;
}

const char *sl_config_report_text(const sl_config_report *report)
{
    return report == NULL ? "" : sl__text_get(&report->text);
}

void sl_config_report_free(sl_config_report *report)
{
    if (report != NULL) {
        sl__arena_free(&report->arena);
        sl__text_free(&report->text);
        sl_free(report);
    }
}
