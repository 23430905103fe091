/* SPDX-License-Identifier: MIT */
/* Characters, tokens and lists of RFC 9110, section 5. */
#include <string.h>
#include <strings.h>

#include "message.h"

bool sl__http_is_token(unsigned char c)
{
    /* !#$%&'*+-.^_`|~ digits letters */
    static const uint64_t set[2] = {UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)};
    return c < 128 && (set[c / 64] >> (c % 64) & 1) != 0;
}

bool sl__http_is_value(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

bool sl__http_all(struct sl_bytes text, bool (*is)(unsigned char))
{
    const unsigned char *at = text.data;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (!is(at[i])) {
            return false;
        }
    }
    return true;
}

bool sl__http_same(struct sl_bytes text, const char *word)
{
    size_t length = strlen(word);
    return text.size_bytes == length && strncasecmp(text.data, word, length) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool sl__http_has_token(struct sl_bytes text, const char *token)
{
    const char *at = text.data;
    const char *end = at + text.size_bytes;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma == NULL ? end : comma;
        const char *last = stop;
        while (at < last && is_blank(*at)) {
            at++;
        }
        while (last > at && is_blank(last[-1])) {
            last--;
        }
        if (sl__http_same((struct sl_bytes){at, (size_t)(last - at)}, token)) {
            return true;
        }
        at = stop + 1;
    }
    return false;
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* reg-name: unreserved, percent-encoded, sub-delims (RFC 3986, 3.2.2) */
static bool is_name(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? true : c != '\0' && strchr("0123456789-._~%!$&'()*+,;=", c) != NULL;
}

static bool is_literal(unsigned char c)
{
    return is_hex(c) || c == ':' || c == '.';
}

bool sl__http_is_authority(struct sl_bytes text)
{
    const char *at = text.data;
    const char *end = at + text.size_bytes;
    const char *host_end;
    if (text.size_bytes > 0 && *at == '[') {
        host_end = memchr(at, ']', text.size_bytes);
        if (host_end == NULL || host_end == at + 1 ||
            !sl__http_all((struct sl_bytes){at + 1, (size_t)(host_end - at - 1)}, is_literal)) {
            return false;
        }
        host_end++;
    } else {
        host_end = memchr(at, ':', text.size_bytes);
        host_end = host_end == NULL ? end : host_end;
        if (!sl__http_all((struct sl_bytes){at, (size_t)(host_end - at)}, is_name)) {
            return false;
        }
    }
    if (host_end == end) {
        return true;
    }
    unsigned port = 0;
    for (at = host_end + 1; at < end && port <= 65535; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        port = port * 10 + (unsigned)(*at - '0');
    }
    return *host_end == ':' && port <= 65535;
}
