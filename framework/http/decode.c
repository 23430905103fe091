/* SPDX-License-Identifier: MIT */
/* Percent signs (RFC 3986, 2.1) and queries. */
#include <string.h>
#include <strings.h>

#include "server.h"

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int sl__http_decode(struct sl_bytes from, bool plus, char *text, size_t text_bytes)
{
    const char *at = from.data;
    const char *end = at + from.size_bytes;
    size_t length = 0;
    for (; at < end; at++) {
        char c = *at;
        if (c == '%') {
            int high = end - at >= 3 ? digit_of(at[1]) : -1;
            int low = end - at >= 3 ? digit_of(at[2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return sl_fail(SL_EINVAL, "a bad percent sign");
            }
            c = (char)(high * 16 + low);
            at += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (length + 1 >= text_bytes) {
            return sl_fail(SL_EMSGSIZE, "a text of more than %zu bytes", text_bytes - 1);
        }
        text[length++] = c;
    }
    text[length] = '\0';
    return 0;
}

bool sl_http_bearer_fits(const sl_http_message *message, const char *token)
{
    static const char scheme[] = "Bearer ";
    const char *given = sl_http_header(message, "Authorization");
    size_t bytes = token == NULL ? 0 : strlen(token);
    if (bytes == 0 || given == NULL || strncasecmp(given, scheme, sizeof scheme - 1) != 0) {
        return false;
    }
    given += sizeof scheme - 1;
    size_t given_bytes = strlen(given);
    volatile unsigned char difference = given_bytes == bytes ? 0 : 1;
    for (size_t i = 0; i < given_bytes; i++) { /* as long as what was given, whatever is right */
        difference |= (unsigned char)(given[i] ^ token[i % bytes]);
    }
    return difference == 0;
}

int sl_http_query(const sl_http_message *message, const char *name, char *text, size_t text_bytes)
{
    struct sl_bytes query = sl__http_text(message, message->query);
    const char *at = query.data;
    const char *end = at + query.size_bytes;
    size_t length = strlen(name);
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        if ((size_t)(stop - at) >= length && memcmp(at, name, length) == 0 &&
            (at + length == stop || at[length] == '=')) {
            at += length + (at + length < stop);
            return sl__http_decode((struct sl_bytes){at, (size_t)(stop - at)}, true, text, text_bytes);
        }
        at = stop + 1;
    }
    return sl_fail(SL_ENOENT, "no '%s' in the query", name);
}
