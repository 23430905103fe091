/* SPDX-License-Identifier: MIT */
/*
 * A record as a line. Nothing that came from outside may look like a line of its own, steer a terminal or break the
 * JSON: control characters are escaped, bytes that are no UTF-8 become '?', what is too long is cut.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "sluice/json.h"

#define MESSAGE_BYTES_MAX 1500
#define VALUE_BYTES_MAX 500
/* Kept free for the end of the line; an escaped byte takes six. */
#define TAIL_BYTES 64
#define ESCAPED_BYTES 6

const char *sl__log_time(struct sl__log_time *cache, sl_time wall)
{
    sl_time second = wall / SL_SECONDS(1);
    unsigned micros = (unsigned)(wall % SL_SECONDS(1) / 1000);
    if (second != cache->second || cache->text[0] == '\0') {
        time_t seconds = (time_t)second;
        struct tm parts;
        if (gmtime_r(&seconds, &parts) == NULL ||
            strftime(cache->text, sizeof cache->text, "%Y-%m-%dT%H:%M:%S.000000Z", &parts) == 0) {
            cache->text[0] = '\0';
            return "";
        }
        cache->second = second;
    }
    for (char *digit = cache->text + 25; digit > cache->text + 19; digit--) {
        *digit = (char)('0' + micros % 10);
        micros /= 10;
    }
    return cache->text;
}

/* How many of the bytes are one whole character; 0 when it is none. */
static size_t character_bytes(const char *text, size_t left)
{
    for (size_t bytes = 1; bytes <= 4 && bytes <= left; bytes++) {
        if (sl_utf8_valid(text, bytes)) {
            return bytes;
        }
    }
    return 0;
}

/* Copies up to `bytes` of the text as UTF-8; the length. */
static size_t clean(char *to, const char *text, size_t bytes)
{
    if (sl_utf8_valid(text, bytes)) {
        memcpy(to, text, bytes);
        return bytes;
    }
    for (size_t at = 0; at < bytes;) {
        size_t whole = character_bytes(text + at, bytes - at);
        if (whole == 0) {
            to[at++] = '?';
        } else {
            memcpy(to + at, text + at, whole);
            at += whole;
        }
    }
    return bytes;
}

/* A user and password in it become three stars. */
static size_t mask_url(const char *url, char *to, size_t room)
{
    const char *authority = strstr(url, "://");
    authority = authority == NULL ? url : authority + 3;
    size_t authority_bytes = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', authority_bytes);
    int length =
        at == NULL ? snprintf(to, room, "%s", url) : snprintf(to, room, "%.*s***%s", (int)(authority - url), url, at);
    return length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

/* The text of a field that has one, else NULL. `scratch`: VALUE_BYTES_MAX + 1. */
static const char *text_of(const struct sl_log_field *field, char *scratch, size_t *ret_bytes, bool *ret_cut)
{
    const char *text = field->as.text == NULL ? "" : field->as.text;
    *ret_cut = false;
    switch (field->kind) {
    case SL_FIELD_TEXT:
        *ret_bytes = strnlen(text, VALUE_BYTES_MAX + 1);
        *ret_cut = *ret_bytes > VALUE_BYTES_MAX;
        *ret_bytes = clean(scratch, text, *ret_cut ? VALUE_BYTES_MAX : *ret_bytes);
        return scratch;
    case SL_FIELD_URL: {
        char masked[VALUE_BYTES_MAX + 1];
        *ret_bytes = clean(scratch, masked, mask_url(text, masked, sizeof masked));
        return scratch;
    }
    case SL_FIELD_CODE:
        text = sl_error_name((int)field->as.integer);
        *ret_bytes = strlen(text);
        return text;
    case SL_FIELD_SECRET:
        *ret_bytes = 3;
        return "***";
    default:
        return NULL;
    }
}

/* ---- JSON ---- */

static size_t room_in(const sl_json_writer *out)
{
    size_t left = SL_LOG_LINE_BYTES - out->size_bytes;
    return left > TAIL_BYTES ? left - TAIL_BYTES : 0;
}

static bool reserved(const char *name)
{
    static const char *const names[] = {"sequence", "time", "level", "task", "message", "truncated"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* False when there is no more room for it. */
static bool json_field(sl_json_writer *out, const struct sl_log_field *field, bool *cut)
{
    char scratch[VALUE_BYTES_MAX + 1];
    char name[64];
    size_t bytes = 0;
    bool shortened = false;
    const char *text = text_of(field, scratch, &bytes, &shortened);
    if (room_in(out) < sizeof name + (text == NULL ? 32 : bytes * ESCAPED_BYTES)) {
        return false;
    }
    *cut = *cut || shortened;
    (void)snprintf(name, sizeof name, "%.48s%s", field->name, reserved(field->name) ? "_" : "");
    sl_json_put_key(out, name);
    if (text != NULL) {
        sl_json_put_string(out, text, bytes);
    } else if (field->kind == SL_FIELD_INT) {
        sl_json_put_int64(out, field->as.integer);
    } else if (field->kind == SL_FIELD_UINT) {
        sl_json_put_uint64(out, field->as.number);
    } else if (field->kind == SL_FIELD_BOOL) {
        sl_json_put_bool(out, field->as.integer != 0);
    } else if (field->kind == SL_FIELD_DURATION) {
        sl_json_put_double(out, (double)field->as.integer / 1e9);
    } else if (isfinite(field->as.real)) {
        sl_json_put_double(out, field->as.real);
    } else {
        sl_json_put_null(out);
    }
    return true;
}

/* The message or the path, as much as there is room for; the path is short. */
static void json_text(sl_json_writer *out, const char *text, size_t bytes_max, bool *cut)
{
    char scratch[MESSAGE_BYTES_MAX + 1];
    size_t bytes = strnlen(text, bytes_max + 1);
    *cut = *cut || bytes > bytes_max;
    bytes = bytes > bytes_max ? bytes_max : bytes;
    size_t room = room_in(out);
    if (bytes * ESCAPED_BYTES > room) { /* plain text takes what it has, only what must be escaped takes more */
        size_t escaped = 0;
        size_t fits = 0;
        while (fits < bytes && escaped + ESCAPED_BYTES <= room) {
            unsigned char byte = (unsigned char)text[fits++];
            escaped += byte < 0x20 || byte == 0x7f ? ESCAPED_BYTES : byte == '"' || byte == '\\' ? 2 : 1;
        }
        *cut = *cut || fits < bytes;
        bytes = fits;
    }
    sl_json_put_string(out, scratch, clean(scratch, text, bytes));
}

void sl__log_render_json(struct sl__line *line, const char *time, uint64_t sequence, const struct sl_log_record *record)
{
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init_in(&out, line->data, SL_LOG_LINE_BYTES);
    line->cut = false;
    sl_json_begin_object(&out);
    sl_json_put_key_uint64(&out, "sequence", sequence);
    sl_json_put_key_text(&out, "time", time);
    sl_json_put_key_text(&out, "level", sl_log_level_name(record->level));
    sl_json_put_key(&out, "task");
    json_text(&out, record->path, 256, &line->cut);
    sl_json_put_key(&out, "message");
    json_text(&out, record->message, MESSAGE_BYTES_MAX, &line->cut);
    for (size_t i = 0; i < record->field_count; i++) {
        line->cut = !json_field(&out, &record->fields[i], &line->cut) || line->cut;
    }
    if (line->cut) {
        sl_json_put_key_bool(&out, "truncated", true);
    }
    sl_json_end_object(&out);
    line->bytes = sl_json_writer_finish(&out, &text) == 0 ? text.size_bytes : 0;
}

/* ---- text ---- */

static void put(struct sl__line *line, const char *text, size_t bytes)
{
    if (line->bytes + bytes > SL_LOG_LINE_BYTES - TAIL_BYTES) {
        line->cut = true;
        return;
    }
    memcpy(line->data + line->bytes, text, bytes);
    line->bytes += bytes;
}

static void puts_line(struct sl__line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Bytes that steer a terminal are shown as \xNN; also those of C1 in UTF-8, 0xC2 0x80 to 0xC2 0x9F. */
static void put_shown(struct sl__line *line, const char *text, size_t bytes, bool quoted)
{
    for (size_t i = 0; i < bytes && !line->cut; i++) {
        unsigned char byte = (unsigned char)text[i];
        char shown[8];
        bool c1 = byte == 0xC2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xA0;
        if (byte == '\n' && !quoted) {
            puts_line(line, "\n    ");
        } else if (byte == '\n') {
            puts_line(line, "\\n");
        } else if (byte < 0x20 || byte == 0x7f || c1) {
            (void)snprintf(shown, sizeof shown, "\\x%02x", c1 ? (unsigned char)text[++i] : byte);
            puts_line(line, shown);
        } else {
            if (quoted && (byte == '"' || byte == '\\')) {
                puts_line(line, "\\");
            }
            put(line, text + i, 1);
        }
    }
}

static bool plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte <= ' ' || byte == '"' || byte == '\\' || byte == '=' || byte == 0x7f) {
            return false;
        }
    }
    return bytes > 0;
}

static void text_field(struct sl__line *line, const struct sl_log_field *field)
{
    char scratch[VALUE_BYTES_MAX + 1];
    size_t bytes = 0;
    bool shortened = false;
    const char *text = text_of(field, scratch, &bytes, &shortened);
    puts_line(line, " ");
    puts_line(line, field->name);
    puts_line(line, "=");
    if (text == NULL) {
        if (field->kind == SL_FIELD_INT) {
            (void)snprintf(scratch, sizeof scratch, "%lld", (long long)field->as.integer);
        } else if (field->kind == SL_FIELD_UINT) {
            (void)snprintf(scratch, sizeof scratch, "%llu", (unsigned long long)field->as.number);
        } else if (field->kind == SL_FIELD_BOOL) {
            (void)snprintf(scratch, sizeof scratch, "%s", field->as.integer != 0 ? "true" : "false");
        } else if (field->kind == SL_FIELD_DURATION) {
            (void)snprintf(scratch, sizeof scratch, "%.9gs", (double)field->as.integer / 1e9);
        } else {
            (void)snprintf(scratch, sizeof scratch, "%.9g", field->as.real);
        }
        puts_line(line, scratch);
        return;
    }
    bool quote = !plain(text, bytes);
    puts_line(line, quote ? "\"" : "");
    put_shown(line, text, bytes, true);
    puts_line(line, shortened ? "..." : "");
    puts_line(line, quote ? "\"" : "");
}

void sl__log_render_text(struct sl__line *line, const char *time, bool colours, const struct sl_log_record *record)
{
    static const char *const names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
    static const char *const colour[] = {"\033[31m", "\033[33m", "\033[32m", "\033[2m"};
    size_t level = (size_t)record->level < 4 ? (size_t)record->level : 3;
    char scratch[MESSAGE_BYTES_MAX + 1];
    size_t bytes = strnlen(record->message, MESSAGE_BYTES_MAX + 1);
    line->bytes = 0;
    line->cut = false;
    puts_line(line, time);
    puts_line(line, " ");
    puts_line(line, colours ? colour[level] : "");
    puts_line(line, names[level]);
    puts_line(line, colours ? "\033[0m " : " ");
    if (record->path[0] != '\0') {
        puts_line(line, colours ? "\033[2m" : "");
        put_shown(line, scratch, clean(scratch, record->path, strnlen(record->path, 256)), true);
        puts_line(line, colours ? "\033[0m: " : ": ");
    }
    bool shortened = bytes > MESSAGE_BYTES_MAX;
    put_shown(line, scratch, clean(scratch, record->message, shortened ? MESSAGE_BYTES_MAX : bytes), false);
    puts_line(line, shortened ? "..." : "");
    for (size_t i = 0; i < record->field_count && !line->cut; i++) {
        text_field(line, &record->fields[i]);
    }
    if (line->cut) { /* within the tail that put() leaves free */
        memcpy(line->data + line->bytes, " (cut)", 6);
        line->bytes += 6;
    }
}
