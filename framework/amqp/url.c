/* SPDX-License-Identifier: MIT */
/* AMQP's URLs. Source: RabbitMQ, "AMQP 0-9-1 URI specification". Messages never have the URL: it may hold a password. */
#include <string.h>

#include "internal.h"

static int digit_of(char character)
{
    static const char digits[] = "0123456789abcdef";
    char lower = character >= 'A' && character <= 'F' ? (char)(character - 'A' + 'a') : character;
    const char *digit = lower == '\0' ? NULL : strchr(digits, lower);
    return digit == NULL ? -1 : (int)(digit - digits);
}

/* Copies a part of the URL, with its percent signs resolved. */
static int copy(const char *from, size_t size_bytes, char *to, size_t room, const char *what)
{
    size_t length = 0;
    for (size_t at = 0; at < size_bytes; at++) {
        char character = from[at];
        if (character == '%') {
            int high = at + 2 < size_bytes ? digit_of(from[at + 1]) : -1;
            int low = at + 2 < size_bytes ? digit_of(from[at + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return sl_fail(SL_EINVAL, "the AMQP URL has a bad percent sign in its %s", what);
            }
            character = (char)(high << 4 | low);
            at += 2;
        }
        if (length + 1 >= room) {
            return sl_fail(SL_EINVAL, "the %s of the AMQP URL is too long", what);
        }
        to[length++] = character;
    }
    to[length] = '\0';
    return 0;
}

static int parse_user(const char *text, size_t size_bytes, struct sl__amqp_url *url)
{
    const char *colon = memchr(text, ':', size_bytes);
    size_t user = colon == NULL ? size_bytes : (size_t)(colon - text);
    SL_TRY(copy(text, user, url->user, sizeof url->user, "user"));
    if (colon == NULL) {
        return 0;
    }
    return copy(colon + 1, size_bytes - user - 1, url->password, sizeof url->password, "password");
}

static int parse_port(const char *text, size_t size_bytes, int *ret_port)
{
    int port = 0;
    for (size_t at = 0; at < size_bytes; at++) {
        if (text[at] < '0' || text[at] > '9' || port > 65535) {
            return sl_fail(SL_EINVAL, "the AMQP URL has no proper port");
        }
        port = port * 10 + (text[at] - '0');
    }
    if (port < 1 || port > 65535) {
        return sl_fail(SL_EINVAL, "the AMQP URL has no proper port");
    }
    *ret_port = port;
    return 0;
}

static int parse_host(const char *text, size_t size_bytes, struct sl__amqp_url *url)
{
    const char *end = text + size_bytes;
    const char *bracket = size_bytes > 0 && *text == '[' ? memchr(text, ']', size_bytes) : NULL;
    const char *host_end = bracket != NULL ? bracket + 1 : memchr(text, ':', size_bytes);
    host_end = host_end == NULL ? end : host_end;
    if (host_end < end) {
        if (*host_end != ':') {
            return sl_fail(SL_EINVAL, "the AMQP URL has no proper host");
        }
        SL_TRY(parse_port(host_end + 1, (size_t)(end - host_end - 1), &url->port));
    }
    const char *host = bracket != NULL ? text + 1 : text;
    const char *behind = bracket != NULL ? bracket : host_end;
    if (host == behind) {
        return 0; /* localhost */
    }
    return copy(host, (size_t)(behind - host), url->host, sizeof url->host, "host");
}

int sl__amqp_parse_url(const char *text, struct sl__amqp_url *ret_url)
{
    *ret_url =
        (struct sl__amqp_url){.port = 5672, .host = "localhost", .user = "guest", .password = "guest", .vhost = "/"};
    if (text == NULL || (strncmp(text, "amqp://", 7) != 0 && strncmp(text, "amqps://", 8) != 0)) {
        return sl_fail(SL_EINVAL, "an AMQP URL begins with amqp:// or amqps://");
    }
    ret_url->tls = text[4] == 's';
    ret_url->port = ret_url->tls ? 5671 : 5672;
    text += ret_url->tls ? 8 : 7;
    size_t authority = strcspn(text, "/?#");
    const char *rest = text + authority;
    const char *at = memrchr(text, '@', authority);
    if (at != NULL) {
        SL_TRY(parse_user(text, (size_t)(at - text), ret_url));
        authority -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    SL_TRY(parse_host(text, authority, ret_url));
    if (strpbrk(rest, "?#") != NULL || (*rest == '/' && strchr(rest + 1, '/') != NULL)) {
        return sl_fail(SL_EINVAL, "an AMQP URL ends with its virtual host");
    }
    return *rest == '/' ? copy(rest + 1, strlen(rest + 1), ret_url->vhost, sizeof ret_url->vhost, "virtual host") : 0;
}
