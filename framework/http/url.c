/* SPDX-License-Identifier: MIT */
/* Taking URLs apart, and putting those of redirects together. */
#include "url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "message.h"

static int bad(const char *text, const char *why)
{
    return sl_fail(SL_EINVAL, "URL '%.200s': %s", text, why);
}

/* ---- host and port ---- */

static int copy_host(const char *text, const char *from, const char *to, struct sl__url *url)
{
    size_t length = (size_t)(to - from);
    if (length == 0 || length > 253) {
        return bad(text, "the host has no name, or one of more than 253 bytes");
    }
    for (size_t i = 0; i < length; i++) {
        char c = from[i];
        if ((unsigned char)c >= 0x80) {
            return bad(text, "a host name beyond ASCII: give its 'xn--' form");
        }
        bool upper = c >= 'A' && c <= 'Z';
        url->host[i] = upper ? (char)(c + ('a' - 'A')) : c;
        bool plain = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!plain) {
            return bad(text, "a character in the host that no name has");
        }
    }
    url->host[length] = '\0';
    return 0;
}

static int copy_literal(const char *text, const char *from, const char *to, struct sl__url *url)
{
    struct in6_addr address;
    size_t length = (size_t)(to - from);
    if (length >= INET6_ADDRSTRLEN) {
        return bad(text, "no IPv6 address between the brackets");
    }
    memcpy(url->host, from, length);
    url->host[length] = '\0';
    return inet_pton(AF_INET6, url->host, &address) == 1 ? 0 : bad(text, "no IPv6 address between the brackets");
}

static int parse_port(const char *text, const char *from, const char *to, struct sl__url *url)
{
    int port = 0;
    for (const char *at = from; at < to; at++) {
        if (*at < '0' || *at > '9' || (port = port * 10 + (*at - '0')) > 65535) {
            return bad(text, "the port is not between 1 and 65535");
        }
    }
    if (from < to) {
        if (port == 0) {
            return bad(text, "the port is not between 1 and 65535");
        }
        url->port = port;
    }
    return 0;
}

static int parse_authority(const char *text, const char *from, const char *to, struct sl__url *url)
{
    bool literal = from < to && *from == '[';
    const char *host_end = memchr(from, literal ? ']' : ':', (size_t)(to - from));
    if (memchr(from, '@', (size_t)(to - from)) != NULL) {
        return sl_fail(SL_EINVAL, "a URL with a user or password in it: give an Authorization header instead");
    }
    int standard = url->secure ? 443 : 80;
    url->port = standard;
    if (literal) {
        if (host_end == NULL || (host_end + 1 < to && host_end[1] != ':')) {
            return bad(text, "no IPv6 address between the brackets");
        }
        SL_TRY(copy_literal(text, from + 1, host_end, url));
        host_end++;
    } else {
        host_end = host_end == NULL ? to : host_end;
        SL_TRY(copy_host(text, from, host_end, url));
    }
    SL_TRY(parse_port(text, host_end < to ? host_end + 1 : to, to, url));
    int length = snprintf(url->authority, sizeof url->authority, literal ? "[%s]" : "%s", url->host);
    if (url->port != standard) {
        (void)snprintf(url->authority + length, sizeof url->authority - (size_t)length, ":%d", url->port);
    }
    return 0;
}

/* ---- path and query ---- */

static bool is_allowed(unsigned char c)
{
    return c > 0x20 && c < 0x7f && strchr("\"<>\\^`{|}", c) == NULL;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Copies up to a fragment. `mend` encodes what has to be, else it is refused. */
static int copy_target(const char *text, const char *from, bool mend, char *to, size_t room)
{
    size_t length = 0;
    if (*from != '/') {
        to[length++] = '/';
    }
    for (; *from != '\0' && *from != '#'; from++) {
        if (length + 4 > room) {
            return sl_fail(SL_EMSGSIZE, "a URL of more than %zu bytes", SL_HTTP_URL_BYTES_MAX);
        }
        bool fine = is_allowed((unsigned char)*from) && (*from != '%' || (is_hex(from[1]) && is_hex(from[2])));
        if (fine) {
            to[length++] = *from;
        } else if (mend) {
            length += (size_t)snprintf(to + length, 4, "%%%02X", (unsigned char)*from);
        } else {
            return *from == '%' ? bad(text, "a percent sign without two hexadecimal digits")
                                : bad(text, "a character that must be percent-encoded");
        }
    }
    to[length] = '\0';
    return 0;
}

/* RFC 3986, 5.2.4, in place. */
static void remove_dots(char *path)
{
    char *out = path;
    const char *at = path;
    const char *end = path + strcspn(path, "?");
    while (at < end) {
        const char *next = memchr(at + 1, '/', (size_t)(end - at - 1));
        size_t length = next == NULL ? (size_t)(end - at) : (size_t)(next - at);
        bool last = next == NULL;
        if (length == 2 && at[1] == '.') {
            if (last) {
                *out++ = '/';
            }
        } else if (length == 3 && at[1] == '.' && at[2] == '.') {
            while (out > path && *--out != '/') {
            }
            if (last) {
                *out++ = '/';
            }
        } else {
            memmove(out, at, length);
            out += length;
        }
        at += length;
    }
    memmove(out, end, strlen(end) + 1);
}

static int parse(const char *text, bool mend, struct sl__url **ret_url)
{
    size_t given = strnlen(text, SL_HTTP_URL_BYTES_MAX + 1);
    if (given > SL_HTTP_URL_BYTES_MAX) {
        return sl_fail(SL_EMSGSIZE, "a URL of more than %zu bytes", SL_HTTP_URL_BYTES_MAX);
    }
    bool secure = strncasecmp(text, "https://", 8) == 0;
    if (!secure && strncasecmp(text, "http://", 7) != 0) {
        return bad(text, "it begins neither with http:// nor with https://");
    }
    const char *from = text + (secure ? 8 : 7);
    const char *to = from + strcspn(from, "/?#");
    size_t room = sizeof "https://" + SL_HTTP_HOST_BYTES + 8 + given * (mend ? 3 : 1) + 8;
    struct sl__url *url = sl_calloc(1, sizeof *url + room);
    if (url == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a URL");
    }
    url->secure = secure;
    int code = parse_authority(text, from, to, url);
    if (code == 0) {
        int length = snprintf(url->text, room, "%s://%s", secure ? "https" : "http", url->authority);
        code = copy_target(text, to, mend, url->text + length, room - (size_t)length);
        remove_dots(url->text + length);
    }
    if (code < 0) {
        sl_free(url);
        return code;
    }
    *ret_url = url;
    return 0;
}

int sl__url_parse(const char *text, struct sl__url **ret_url)
{
    return text == NULL ? sl_fail(SL_EINVAL, "a request without a URL") : parse(text, false, ret_url);
}

const char *sl__url_target(const struct sl__url *url)
{
    return strchr(url->text + (url->secure ? 8 : 7), '/');
}

/* Whether it begins with a scheme. */
static bool is_absolute(const char *reference)
{
    size_t length = strcspn(reference, ":/?#");
    return length > 0 && reference[length] == ':';
}

int sl__url_resolve(const struct sl__url *base, const char *reference, struct sl__url **ret_url)
{
    if (is_absolute(reference)) {
        return parse(reference, true, ret_url);
    }
    const char *target = sl__url_target(base);
    size_t keep = (size_t)(target - base->text); /* scheme and authority */
    if (strncmp(reference, "//", 2) == 0) {
        keep = base->secure ? 6 : 5;
    } else if (reference[0] == '?') {
        keep += strcspn(target, "?");
    } else if (reference[0] == '#' || reference[0] == '\0') {
        keep += strlen(target);
    } else if (reference[0] != '/') {
        size_t path = strcspn(target, "?");
        while (path > 0 && target[path - 1] != '/') {
            path--;
        }
        keep += path;
    }
    size_t length = strnlen(reference, SL_HTTP_URL_BYTES_MAX);
    char *joined = sl_malloc(keep + length + 1);
    if (joined == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a URL");
    }
    memcpy(joined, base->text, keep);
    memcpy(joined + keep, reference, length);
    joined[keep + length] = '\0';
    int code = parse(joined, true, ret_url);
    sl_free(joined);
    return code;
}

bool sl__url_same_origin(const struct sl__url *one, const struct sl__url *other)
{
    return one->secure == other->secure && one->port == other->port && strcmp(one->host, other->host) == 0;
}
