/* SPDX-License-Identifier: MIT */
/* What the simulated venues share. See dialect.h. */
#include "exchange/dialect.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_SECOND INT64_C(1000000000)

const sl_dialect *sl_dialect_of(sl_venue venue)
{
    static const sl_dialect *const dialects[] = {
        &sl__dialect_binance_spot, &sl__dialect_binance_usdm, &sl__dialect_binance_coinm, &sl__dialect_coinbase,
        &sl__dialect_kraken,       &sl__dialect_bybit_spot,   &sl__dialect_bybit_linear,  &sl__dialect_bybit_inverse,
        &sl__dialect_okx,          &sl__dialect_bitstamp,
    };
    for (size_t at = 0; at < sizeof dialects / sizeof *dialects; at++) {
        if (dialects[at]->venue == venue) {
            return dialects[at];
        }
    }
    return NULL;
}

void sl__write_format(struct sl_render *render, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text) {
        render->failed = SL_EMSGSIZE;
        return;
    }
    sl__write_text(render, text);
}

int64_t sl__length_of(const struct sl_candle_length *lengths, const char *name, size_t size_bytes)
{
    for (; lengths->name != NULL; lengths++) {
        if (strlen(lengths->name) == size_bytes && memcmp(lengths->name, name, size_bytes) == 0) {
            return lengths->seconds * NS_PER_SECOND;
        }
    }
    return 0;
}

const char *sl__length_name(const struct sl_candle_length *lengths, int64_t interval_ns)
{
    while (lengths->name != NULL && lengths->seconds * NS_PER_SECOND != interval_ns) {
        lengths++;
    }
    return lengths->name == NULL ? "?" : lengths->name;
}

void sl__write_between(struct sl_render *render, const char *before, sl_decimal number, const char *after)
{
    sl__write_text(render, before);
    sl__write_decimal(render, number);
    sl__write_text(render, after);
}

void sl__write_changes(struct sl_render *render, const sl_level *levels, size_t count)
{
    sl__write_text(render, "[");
    for (size_t at = 0; at < count; at++) {
        sl__write_level(render, &levels[at], at == 0);
    }
    sl__write_text(render, "]");
}

void sl__write_side(struct sl_render *render, const sl_book *book, sl_side side, size_t depth)
{
    sl__write_text(render, "[");
    sl_book_cursor cursor = sl_book_first(book, side);
    const sl_level *level = NULL;
    for (size_t at = 0; at < depth && (level = sl_book_next(&cursor)) != NULL; at++) {
        sl__write_level(render, level, at == 0);
    }
    sl__write_text(render, "]");
}

size_t sl__query_text(const char *query, const char *key, char *buffer, size_t size_bytes)
{
    size_t length = strlen(key);
    buffer[0] = '\0';
    for (const char *at = query; at != NULL && *at != '\0';) {
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            at += length + 1;
            size_t value = strcspn(at, "&");
            value = value < size_bytes ? value : size_bytes - 1;
            memcpy(buffer, at, value);
            buffer[value] = '\0';
            return value;
        }
        at = strchr(at, '&');
        at = at == NULL ? NULL : at + 1;
    }
    return 0;
}

int64_t sl__query_number(const char *query, const char *key, int64_t otherwise)
{
    char text[32];
    size_t size_bytes = sl__query_text(query, key, text, sizeof text);
    int64_t value = 0;
    return size_bytes > 0 && sl_json_text_int64((sl_json_text){text, size_bytes}, &value) == 0 ? value : otherwise;
}

const sl_instrument *sl__find_symbol(const sl_instruments *instruments, sl_venue venue, const char *symbol,
                                     size_t size_bytes)
{
    const sl_instrument *found = sl_instruments_find(instruments, venue, symbol, size_bytes);
    char other[SL_SYMBOL_MAX];
    for (int upper = 0; upper < 2 && found == NULL && size_bytes < sizeof other; upper++) {
        for (size_t at = 0; at < size_bytes; at++) {
            unsigned char c = (unsigned char)symbol[at];
            other[at] = (char)(upper ? toupper(c) : tolower(c));
        }
        found = sl_instruments_find(instruments, venue, other, size_bytes);
    }
    return found;
}

void sl__write_time(struct sl_render *render, int64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL) {
        render->failed = SL_ERANGE;
        return;
    }
    sl__write_format(render, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(time_ns % NS_PER_SECOND / 1000));
}
