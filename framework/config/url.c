/* SPDX-License-Identifier: MIT */
/* URLs of configurations: scheme://user:password@host:port/path. Source: RFC 3986. */
#include <string.h>

#include "internal.h"

#define PORT_MAX 65535

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The first of `set` between at and end, or end. */
static const char *find_any(const char *at, const char *end, const char *set)
{
    while (at < end && strchr(set, *at) == NULL) {
        at++;
    }
    return at;
}

/* Behind the last '@' of the authority, which begins at `at`; NULL when it has none. */
static const char *behind_user(const char *at, const char *end)
{
    const char *found = NULL;
    for (const char *authority_end = find_any(at, end, "/?# "); at < authority_end; at++) {
        found = *at == '@' ? at + 1 : found;
    }
    return found;
}

size_t sl__url_password(const char *text, size_t text_bytes, size_t *ret_offset)
{
    const char *end = text + text_bytes;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), "://", 3)) != NULL;) {
        at += 3;
        const char *host = behind_user(at, end);
        /* A password with a slash in it, not encoded: better to hide too much. */
        const char *last = host == NULL ? memrchr(at, '@', (size_t)(end - at)) : host - 1;
        const char *colon = last == NULL ? NULL : memchr(at, ':', (size_t)(last - at));
        if (colon != NULL && colon + 1 < last) {
            *ret_offset = (size_t)(colon + 1 - text);
            return (size_t)(last - colon - 1);
        }
    }
    *ret_offset = 0;
    return 0;
}

/* A copy with %XX decoded; "" when empty; *ret_good false for a bad escape or a NUL. */
static const char *decoded(struct sl__arena *arena, const char *at, size_t bytes, bool *ret_good)
{
    char *copy = sl__arena_copy(arena, at, bytes);
    size_t out = 0;
    for (size_t i = 0; copy != NULL && i < bytes; i++) {
        if (at[i] != '%') {
            copy[out++] = at[i];
            continue;
        }
        int high = i + 2 < bytes ? hex(at[i + 1]) : -1;
        int low = high < 0 ? -1 : hex(at[i + 2]);
        if (low < 0 || (high == 0 && low == 0)) {
            *ret_good = false;
            break;
        }
        copy[out++] = (char)(high * 16 + low);
        i += 2;
    }
    if (copy != NULL) {
        copy[out] = '\0';
    }
    return copy;
}

static bool read_port(const char *at, const char *end, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (at == end) {
        return false;
    }
    for (; at < end; at++) {
        if (!is_digit(*at) || (port = port * 10 + (uint32_t)(*at - '0')) > PORT_MAX) {
            return false;
        }
    }
    *ret_port = (uint16_t)port;
    return port > 0;
}

/* host, host:port or [IPv6]:port. */
static bool read_host(struct sl__arena *arena, const char *at, const char *end, struct sl_config_url *url,
                      const char **ret_why)
{
    const char *host = at;
    const char *host_end;
    if (at < end && *at == '[') {
        host = at + 1;
        host_end = find_any(host, end, "]");
        at = host_end < end ? host_end + 1 : end;
        if (host_end == end || (at < end && *at != ':')) {
            *ret_why = "has an address that is not closed by \"]\"";
            return false;
        }
    } else {
        host_end = at = find_any(at, end, ":");
    }
    for (const char *c = host; c < host_end; c++) {
        if (!is_letter(*c) && !is_digit(*c) && strchr("-._~%:", *c) == NULL) {
            *ret_why = "has a host that is none";
            return false;
        }
    }
    if (at < end && !read_port(at + 1, end, &url->port)) {
        *ret_why = "has a port that is not from 1 to 65535";
        return false;
    }
    url->host = sl__arena_copy(arena, host, (size_t)(host_end - host));
    return true;
}

static int read_scheme(const struct sl_config_field *field, const char *text, size_t bytes, const char **ret_why)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!is_letter(text[i]) && (i == 0 || (!is_digit(text[i]) && strchr("+-.", text[i]) == NULL))) {
            return SL_EINVAL;
        }
    }
    for (size_t i = 0; i < field->choice_count; i++) {
        if (strlen(field->choices[i]) == bytes && memcmp(field->choices[i], text, bytes) == 0) {
            return 0;
        }
    }
    *ret_why = field->choice_count > 0 ? "has another scheme" : NULL;
    return field->choice_count > 0 || bytes == 0 ? SL_EINVAL : 0;
}

int sl__url_read(struct sl__arena *arena, const struct sl_config_field *field, const char *text, size_t text_bytes,
                 struct sl_config_url *ret_url, const char **ret_why)
{
    const char *end = text + text_bytes;
    const char *mark = memmem(text, text_bytes, "://", 3);
    if (mark == NULL) {
        *ret_why = "has no scheme";
        return SL_EINVAL;
    }
    for (const char *c = text; c < end; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) {
            *ret_why = "has a space in it";
            return SL_EINVAL;
        }
    }
    struct sl_config_url url = {.text = text};
    bool good = true;
    SL_TRY(read_scheme(field, text, (size_t)(mark - text), ret_why));
    const char *authority = mark + 3;
    const char *path = find_any(authority, end, "/?#");
    const char *host = behind_user(authority, end);
    const char *user_end = host == NULL ? authority : find_any(authority, host - 1, ":");
    host = host == NULL ? authority : host;
    size_t password_bytes = host == authority || user_end == host - 1 ? 0 : (size_t)(host - 1 - (user_end + 1));
    url.scheme = sl__arena_copy(arena, text, (size_t)(mark - text));
    url.user = decoded(arena, authority, (size_t)(user_end - authority), &good);
    url.password = decoded(arena, password_bytes > 0 ? user_end + 1 : user_end, password_bytes, &good);
    url.path = sl__arena_copy(arena, path, (size_t)(end - path));
    if (!good) {
        *ret_why = "has a bad % escape";
        return SL_EINVAL;
    }
    /* Of several hosts ("redis+sentinel://a:1,b:2/name") the first counts, for those whose scheme may have them. */
    const char *first_end =
        strchr(url.scheme == NULL ? "" : url.scheme, '+') != NULL ? find_any(host, path, ",") : path;
    for (const char *next = first_end; next < path; next = find_any(next + 1, path, ",")) {
        struct sl_config_url other;
        if (!read_host(arena, next + 1, find_any(next + 1, path, ","), &other, ret_why)) {
            return SL_EINVAL;
        }
    }
    if (!read_host(arena, host, first_end, &url, ret_why)) {
        return SL_EINVAL;
    }
    if (url.scheme == NULL || url.user == NULL || url.password == NULL || url.path == NULL || url.host == NULL) {
        return SL_ENOMEM;
    }
    if (*url.host == '\0' && (url.port > 0 || path == end)) {
        *ret_why = "has no host"; /* unix:///path has none and needs none */
        return SL_EINVAL;
    }
    *ret_url = url;
    return 0;
}
