/* SPDX-License-Identifier: MIT */
/* Writing JSON: RFC 8259. */
#include "sluice/json_write.h"

#include <string.h>

#include "number.h"

#define FIRST_BYTES ((size_t)256)
#define NUMBER_BYTES_MAX 32

void sl_json_writer_init(sl_json_writer *writer, size_t limit_bytes)
{
    *writer = (sl_json_writer){.limit_bytes = limit_bytes == 0 ? SL_JSON_WRITE_DEFAULT_BYTES : limit_bytes};
}

void sl_json_writer_init_in(sl_json_writer *writer, void *memory, size_t memory_bytes)
{
    *writer =
        (sl_json_writer){.data = memory, .capacity_bytes = memory_bytes, .limit_bytes = memory_bytes, .borrowed = true};
}

void sl_json_writer_reset(sl_json_writer *writer)
{
    writer->size_bytes = 0;
    writer->code = 0;
    writer->depth = 0;
    writer->filled = writer->after_key = false;
}

void sl_json_writer_free(sl_json_writer *writer)
{
    if (!writer->borrowed) {
        sl_free(writer->data);
    }
    *writer = (sl_json_writer){.code = SL_EMISUSE};
}

static void fail(sl_json_writer *writer, int code)
{
    if (writer->code == 0) {
        writer->code = code;
    }
}

/* Room for that many bytes more, and the NUL behind the text; NULL when there is none or something failed before. */
static char *room_for(sl_json_writer *writer, size_t bytes)
{
    if (writer->code != 0) {
        return NULL;
    }
    size_t needed = writer->size_bytes + bytes + 1;
    if (needed > writer->capacity_bytes) {
        if (bytes >= writer->limit_bytes || needed > writer->limit_bytes) {
            fail(writer, SL_EMSGSIZE);
            return NULL;
        }
        size_t capacity = needed * 2 > FIRST_BYTES ? needed * 2 : FIRST_BYTES;
        capacity = capacity < writer->limit_bytes ? capacity : writer->limit_bytes;
        char *data = sl_realloc(writer->data, capacity);
        if (data == NULL) {
            fail(writer, SL_ENOMEM);
            return NULL;
        }
        writer->data = data;
        writer->capacity_bytes = capacity;
    }
    return writer->data + writer->size_bytes;
}

static void append(sl_json_writer *writer, const char *data, size_t size_bytes)
{
    char *at = room_for(writer, size_bytes);
    if (at != NULL) {
        memcpy(at, data, size_bytes);
        writer->size_bytes += size_bytes;
    }
}

static bool in_object(const sl_json_writer *writer)
{
    return writer->depth > 0 && (writer->is_object & 1) != 0;
}

/* What stands before a value: a comma in an array, nothing behind a key. False when no value may come here. */
static bool begin_value(sl_json_writer *writer)
{
    bool fits = in_object(writer) ? writer->after_key : writer->depth > 0 || !writer->filled;
    if (!fits) {
        fail(writer, SL_EMISUSE);
    } else if (writer->filled && !writer->after_key) {
        append(writer, ",", 1);
    }
    writer->filled = true;
    writer->after_key = false;
    return writer->code == 0;
}

static void put_raw(sl_json_writer *writer, const char *data, size_t size_bytes)
{
    if (begin_value(writer)) {
        append(writer, data, size_bytes);
    }
}

void sl_json_put_json(sl_json_writer *writer, const char *json, size_t size_bytes)
{
    put_raw(writer, json, size_bytes);
}

static void begin_level(sl_json_writer *writer, bool object)
{
    if (writer->depth == SL_JSON_DEPTH_MAX) {
        fail(writer, SL_EMSGSIZE);
    }
    put_raw(writer, object ? "{" : "[", 1);
    writer->is_object = writer->is_object << 1 | object;
    writer->depth++;
    writer->filled = false;
}

static void end_level(sl_json_writer *writer, bool object)
{
    if (writer->depth == 0 || in_object(writer) != object || writer->after_key) {
        fail(writer, SL_EMISUSE);
        return;
    }
    append(writer, object ? "}" : "]", 1);
    writer->is_object >>= 1;
    writer->depth--;
    writer->filled = true;
}

void sl_json_begin_object(sl_json_writer *writer)
{
    begin_level(writer, true);
}

void sl_json_end_object(sl_json_writer *writer)
{
    end_level(writer, true);
}

void sl_json_begin_array(sl_json_writer *writer)
{
    begin_level(writer, false);
}

void sl_json_end_array(sl_json_writer *writer)
{
    end_level(writer, false);
}

/* ---- strings ---- */

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

/* "\n" and the like, or "\u001f"; how long it is. */
static size_t escape(unsigned char byte, char text[6])
{
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    text[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2) {
        if ((unsigned char)shorts[i] == byte) {
            text[1] = shorts[i + 1];
            return 2;
        }
    }
    memcpy(text + 1, "u00", 3);
    text[4] = digits[byte >> 4];
    text[5] = digits[byte & 15];
    return 6;
}

static void append_string(sl_json_writer *writer, const char *data, size_t size_bytes)
{
    if (!sl_utf8_valid(data, size_bytes)) {
        fail(writer, SL_EINVAL);
        return;
    }
    append(writer, "\"", 1);
    for (size_t at = 0; at < size_bytes && writer->code == 0;) {
        size_t start = at;
        while (at < size_bytes && is_plain((unsigned char)data[at])) {
            at++;
        }
        append(writer, data + start, at - start);
        if (at < size_bytes) {
            char text[6];
            append(writer, text, escape((unsigned char)data[at++], text));
        }
    }
    append(writer, "\"", 1);
}

void sl_json_put_key(sl_json_writer *writer, const char *key)
{
    if (!in_object(writer) || writer->after_key) {
        fail(writer, SL_EMISUSE);
        return;
    }
    if (writer->filled) {
        append(writer, ",", 1);
    }
    append_string(writer, key, strlen(key));
    append(writer, ":", 1);
    writer->filled = writer->after_key = true;
}

void sl_json_put_string(sl_json_writer *writer, const void *data, size_t size_bytes)
{
    if (begin_value(writer)) {
        append_string(writer, data, size_bytes);
    }
}

void sl_json_put_text(sl_json_writer *writer, const char *text)
{
    if (text == NULL) {
        sl_json_put_null(writer);
    } else {
        sl_json_put_string(writer, text, strlen(text));
    }
}

/* ---- the rest ---- */

static void put_integer(sl_json_writer *writer, bool negative, uint64_t magnitude)
{
    char text[NUMBER_BYTES_MAX];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (negative) {
        text[--at] = '-';
    }
    put_raw(writer, text + at, sizeof text - at);
}

void sl_json_put_int64(sl_json_writer *writer, int64_t value)
{
    put_integer(writer, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void sl_json_put_uint64(sl_json_writer *writer, uint64_t value)
{
    put_integer(writer, false, value);
}

void sl_json_put_double(sl_json_writer *writer, double value)
{
    char text[NUMBER_BYTES_MAX];
    size_t bytes = sl__json_double_text(value, text, sizeof text);
    if (bytes == 0) {
        fail(writer, SL_ERANGE);
    }
    put_raw(writer, text, bytes);
}

void sl_json_put_number(sl_json_writer *writer, const char *text, size_t size_bytes)
{
    bool whole;
    if (!sl__json_is_number((sl_json_text){text, size_bytes}, &whole)) {
        fail(writer, SL_EINVAL);
    }
    put_raw(writer, text, size_bytes);
}

void sl_json_put_bool(sl_json_writer *writer, bool value)
{
    put_raw(writer, value ? "true" : "false", value ? 4 : 5);
}

void sl_json_put_null(sl_json_writer *writer)
{
    put_raw(writer, "null", 4);
}

void sl_json_put_key_text(sl_json_writer *writer, const char *key, const char *text)
{
    sl_json_put_key(writer, key);
    sl_json_put_text(writer, text);
}

void sl_json_put_key_uint64(sl_json_writer *writer, const char *key, uint64_t value)
{
    sl_json_put_key(writer, key);
    sl_json_put_uint64(writer, value);
}

void sl_json_put_key_double(sl_json_writer *writer, const char *key, double value)
{
    sl_json_put_key(writer, key);
    sl_json_put_double(writer, value);
}

void sl_json_put_key_bool(sl_json_writer *writer, const char *key, bool value)
{
    sl_json_put_key(writer, key);
    sl_json_put_bool(writer, value);
}

int sl_json_writer_finish(sl_json_writer *writer, sl_json_text *ret_text)
{
    if (writer->code == 0 && (writer->depth > 0 || !writer->filled)) {
        writer->code = SL_EMISUSE;
    }
    if (writer->code < 0) {
        return writer->code;
    }
    writer->data[writer->size_bytes] = '\0';
    *ret_text = (sl_json_text){writer->data, writer->size_bytes};
    return 0;
}
