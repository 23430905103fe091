/* SPDX-License-Identifier: MIT */
/*
 * Connecting through a proxy: HTTP CONNECT (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928, 1929). The proxy looks the name
 * up. Bytes that come right behind its answer stay in the stream. Messages name the proxy, never its password.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "../runtime/internal.h"
#include "connect.h"

#define HEAD_BYTES_MAX ((size_t)8 * 1024) /* of a proxy's HTTP answer */
#define INTERIM_MAX 8
#define REASON_BYTES 64
#define TEXT_BYTES_MAX 255 /* of a name, user name or password: SOCKS5 has a byte for its length */
#define STATUS_AT 9        /* "HTTP/1.1 200" */
#define HTTP_FORBIDDEN 403
#define HTTP_WANTS_AUTHORIZATION 407
#define HTTP_PORT 80
#define SOCKS_PORT 1080

enum proxy_kind { PROXY_HTTP, PROXY_SOCKS5 };

struct proxy {
    enum proxy_kind kind;
    char host[TEXT_BYTES_MAX + 1];
    int port;
    bool authorizes;
    char user[TEXT_BYTES_MAX + 1], password[TEXT_BYTES_MAX + 1];
};

/* ---- its address ---- */

static int bad_url(void)
{
    return sl_fail(SL_EINVAL, "a proxy is given as http://host:port or socks5://host:port, with user:password@ in "
                              "front of the host if need be"); /* not the text itself: it may hold a password */
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

/* Undoes %XX. */
static int decode(const char *text, size_t bytes, char *ret_text)
{
    size_t length = 0;
    for (size_t i = 0; i < bytes; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < bytes ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < bytes ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return bad_url();
            }
            c = high << 4 | low;
            i += 2;
        }
        if (c == '\0' || length == TEXT_BYTES_MAX) {
            return bad_url();
        }
        ret_text[length++] = (char)c;
    }
    ret_text[length] = '\0';
    return 0;
}

static int parse_port(const char *text, int *ret_port)
{
    int port = 0;
    for (; *text >= '0' && *text <= '9' && port <= 65535; text++) {
        port = port * 10 + (*text - '0');
    }
    if (strcmp(text, "/") != 0 && *text != '\0') {
        return bad_url();
    }
    *ret_port = port;
    return port < 1 || port > 65535 ? bad_url() : 0;
}

static int parse_place(const char *text, struct proxy *proxy)
{
    const char *end = text + strcspn(text, ":/");
    if (text[0] == '[') {
        end = strchr(++text, ']');
    }
    if (end == NULL || end == text) {
        return bad_url();
    }
    SL_TRY(decode(text, (size_t)(end - text), proxy->host));
    end += *end == ']';
    if (*end == ':') {
        return parse_port(end + 1, &proxy->port);
    }
    proxy->port = proxy->kind == PROXY_HTTP ? HTTP_PORT : SOCKS_PORT;
    return *end == '\0' || strcmp(end, "/") == 0 ? 0 : bad_url();
}

static int parse_proxy(const char *url, struct proxy *proxy)
{
    static const struct {
        const char *prefix;
        enum proxy_kind kind;
    } kinds[] = {{"http://", PROXY_HTTP}, {"socks5://", PROXY_SOCKS5}, {"socks5h://", PROXY_SOCKS5}};
    const char *rest = NULL;
    memset(proxy, 0, sizeof *proxy);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(url, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            rest = url + strlen(kinds[i].prefix);
            proxy->kind = kinds[i].kind;
        }
    }
    if (rest == NULL) {
        return bad_url();
    }
    const char *at = strrchr(rest, '@');
    if (at != NULL) {
        const char *colon = memchr(rest, ':', (size_t)(at - rest));
        const char *end = colon == NULL ? at : colon;
        SL_TRY(decode(rest, (size_t)(end - rest), proxy->user));
        if (colon != NULL) {
            SL_TRY(decode(colon + 1, (size_t)(at - colon - 1), proxy->password));
        }
        /* RFC 7617, 2: no colon in the user's name. RFC 1929, 2: neither is empty. */
        if (proxy->user[0] == '\0' || strchr(proxy->user, ':') != NULL ||
            (proxy->kind == PROXY_SOCKS5 && proxy->password[0] == '\0')) {
            return bad_url();
        }
        proxy->authorizes = true;
        rest = at + 1;
    }
    return parse_place(rest, proxy);
}

/* ---- talking to it ---- */

static int say(const struct proxy *proxy, int code, const char *what)
{
    return sl_fail(code, "proxy %s:%d %s", proxy->host, proxy->port, what);
}

/* Waits for `bytes` of its answer. */
static int expect(const struct proxy *proxy, sl_stream *stream, size_t bytes, struct sl_view *ret_view)
{
    int code = sl_stream_peek(stream, bytes, ret_view);
    if (code == SL_EOF || code == SL_ECONNRESET) {
        return say(proxy, SL_ECONNRESET, "closed the connection before it had answered");
    }
    return code;
}

static int send_all(const struct proxy *proxy, sl_stream *stream, const void *data, size_t bytes)
{
    int code = sl_stream_write(stream, data, bytes);
    if (code == SL_EPIPE || code == SL_ECONNRESET) {
        return say(proxy, SL_ECONNRESET, "closed the connection before it had answered");
    }
    return code;
}

/* ---- HTTP ---- */

static int send_connect(const struct proxy *proxy, sl_stream *stream, const char *host, int port)
{
    char credentials[sizeof proxy->user + sizeof proxy->password];
    unsigned char encoded[4 * (sizeof credentials / 3 + 1) + 1] = "";
    char request[sizeof proxy->host * 2 + 32 + sizeof encoded + 128];
    const char *open = strchr(host, ':') == NULL ? "" : "[";
    const char *close = strchr(host, ':') == NULL ? "" : "]";
    if (proxy->authorizes) {
        int length = snprintf(credentials, sizeof credentials, "%s:%s", proxy->user, proxy->password);
        (void)EVP_EncodeBlock(encoded, (const unsigned char *)credentials, length);
        explicit_bzero(credentials, sizeof credentials);
    }
    int length =
        snprintf(request, sizeof request, "CONNECT %s%s%s:%d HTTP/1.1\r\nHost: %s%s%s:%d\r\n%s%s%s\r\n", open, host,
                 close, port, open, host, close, port, proxy->authorizes ? "Proxy-Authorization: Basic " : "", encoded,
                 proxy->authorizes ? "\r\n" : "");
    int code = send_all(proxy, stream, request, (size_t)length);
    explicit_bzero(encoded, sizeof encoded);
    explicit_bzero(request, sizeof request);
    return code;
}

static bool looks_like_http(const struct sl_view *view)
{
    static const char begins[] = "HTTP/1.";
    size_t bytes = view->size_bytes < sizeof begins - 1 ? view->size_bytes : sizeof begins - 1;
    return memcmp(view->data, begins, bytes) == 0;
}

/* The whole head of its next answer, with the empty line. */
static int read_head(const struct proxy *proxy, sl_stream *stream, struct sl_view *ret_head)
{
    size_t looked = 0;
    for (;;) {
        SL_TRY(expect(proxy, stream, looked + 1, ret_head));
        if (!looks_like_http(ret_head)) {
            return say(proxy, SL_EPROTO, "does not speak HTTP");
        }
        size_t from = looked < 3 ? 0 : looked - 3;
        const char *end = memmem(ret_head->data + from, ret_head->size_bytes - from, "\r\n\r\n", 4);
        if (end != NULL && (size_t)(end + 4 - ret_head->data) <= HEAD_BYTES_MAX) {
            ret_head->size_bytes = (size_t)(end + 4 - ret_head->data);
            return 0;
        }
        looked = ret_head->size_bytes;
        if (end != NULL || looked >= HEAD_BYTES_MAX) {
            return say(proxy, SL_EMSGSIZE, "sends an answer without end");
        }
    }
}

/* "HTTP/1.1 502 Bad Gateway": the number, 0 for none; the reason without what does not belong into a message. */
static int read_status(const struct sl_view *head, char *ret_reason)
{
    const char *text = head->data;
    int status = 0;
    bool shaped = head->size_bytes > STATUS_AT + 4 && text[STATUS_AT - 1] == ' ' &&
                  (text[STATUS_AT + 3] == ' ' || text[STATUS_AT + 3] == '\r');
    for (int i = 0; shaped && i < 3; i++) {
        char c = text[STATUS_AT + i];
        shaped = c >= '0' && c <= '9';
        status = status * 10 + (c - '0');
    }
    size_t length = 0;
    for (size_t i = STATUS_AT + 4; shaped && i < head->size_bytes && text[i] != '\r' && length < REASON_BYTES - 1;
         i++) {
        ret_reason[length++] = (char)(text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
    }
    ret_reason[length] = '\0';
    return shaped ? status : 0;
}

static int refused_by_http(const struct proxy *proxy, int status, const char *reason)
{
    char what[REASON_BYTES + 64];
    if (status == HTTP_WANTS_AUTHORIZATION) {
        return say(proxy, -EACCES,
                   proxy->authorizes ? "does not accept the user name and password (407)"
                                     : "wants a user name and a password (407)");
    }
    (void)snprintf(what, sizeof what, "refused to connect: %d %s", status, reason);
    return say(proxy, status == HTTP_FORBIDDEN ? -EACCES : -ECONNREFUSED, what);
}

static int shake_http(const struct proxy *proxy, sl_stream *stream, const char *host, int port)
{
    SL_TRY(send_connect(proxy, stream, host, port));
    for (int i = 0; i <= INTERIM_MAX; i++) {
        struct sl_view head;
        char reason[REASON_BYTES];
        SL_TRY(read_head(proxy, stream, &head));
        int status = read_status(&head, reason);
        if (status < 100) {
            return say(proxy, SL_EPROTO, "does not speak HTTP");
        }
        sl_stream_consume(stream, head.size_bytes);
        if (status >= 200) {
            return status < 300 ? 0 : refused_by_http(proxy, status, reason);
        }
    }
    return say(proxy, SL_EPROTO, "sends one interim answer after the other");
}

/* ---- SOCKS5 ---- */

enum { SOCKS_VERSION = 5, SOCKS_AUTH_VERSION = 1, SOCKS_CONNECT = 1 };
enum { SOCKS_NO_AUTH = 0, SOCKS_PASSWORD = 2, SOCKS_NO_METHOD = 0xff };
enum { SOCKS_IPV4 = 1, SOCKS_NAME = 3, SOCKS_IPV6 = 4 };

static int socks_password(const struct proxy *proxy, sl_stream *stream)
{
    unsigned char message[3 + 2 * TEXT_BYTES_MAX];
    size_t user = strlen(proxy->user);
    size_t password = strlen(proxy->password);
    message[0] = SOCKS_AUTH_VERSION;
    message[1] = (unsigned char)user;
    memcpy(message + 2, proxy->user, user);
    message[2 + user] = (unsigned char)password;
    memcpy(message + 3 + user, proxy->password, password);
    int code = send_all(proxy, stream, message, 3 + user + password);
    explicit_bzero(message, sizeof message);
    SL_TRY(code);
    struct sl_view answer;
    SL_TRY(expect(proxy, stream, 2, &answer));
    bool known = answer.data[0] == SOCKS_AUTH_VERSION;
    bool accepted = answer.data[1] == 0;
    sl_stream_consume(stream, 2);
    if (!known) {
        return say(proxy, SL_EPROTO, "does not speak SOCKS5");
    }
    return accepted ? 0 : say(proxy, -EACCES, "does not accept the user name and password");
}

static int socks_greet(const struct proxy *proxy, sl_stream *stream)
{
    static const unsigned char without[] = {SOCKS_VERSION, 1, SOCKS_NO_AUTH};
    static const unsigned char with[] = {SOCKS_VERSION, 2, SOCKS_NO_AUTH, SOCKS_PASSWORD};
    SL_TRY(proxy->authorizes ? send_all(proxy, stream, with, sizeof with)
                             : send_all(proxy, stream, without, sizeof without));
    struct sl_view answer;
    SL_TRY(expect(proxy, stream, 1, &answer));
    if (answer.data[0] != SOCKS_VERSION) {
        return say(proxy, SL_EPROTO, "does not speak SOCKS5");
    }
    SL_TRY(expect(proxy, stream, 2, &answer));
    unsigned char method = (unsigned char)answer.data[1];
    sl_stream_consume(stream, 2);
    if (method == SOCKS_NO_AUTH) {
        return 0;
    }
    if (method == SOCKS_PASSWORD && proxy->authorizes) {
        return socks_password(proxy, stream);
    }
    if (method == SOCKS_NO_METHOD) {
        return say(proxy, -EACCES, proxy->authorizes ? "accepts no password" : "wants a user name and a password");
    }
    return say(proxy, SL_EPROTO, "chose a method that was not offered");
}

static int socks_ask(const struct proxy *proxy, sl_stream *stream, const char *host, int port)
{
    unsigned char message[7 + TEXT_BYTES_MAX] = {SOCKS_VERSION, SOCKS_CONNECT, 0};
    size_t bytes = 4;
    if (inet_pton(AF_INET, host, message + bytes) == 1) {
        message[3] = SOCKS_IPV4;
        bytes += sizeof(struct in_addr);
    } else if (inet_pton(AF_INET6, host, message + bytes) == 1) {
        message[3] = SOCKS_IPV6;
        bytes += sizeof(struct in6_addr);
    } else {
        size_t length = strlen(host);
        message[3] = SOCKS_NAME;
        message[bytes++] = (unsigned char)length;
        memcpy(message + bytes, host, length);
        bytes += length;
    }
    message[bytes++] = (unsigned char)(port >> 8);
    message[bytes++] = (unsigned char)port;
    return send_all(proxy, stream, message, bytes);
}

/* RFC 1928, 6 */
static int refused_by_socks(const struct proxy *proxy, unsigned char reply)
{
    static const struct {
        int code;
        const char *what;
    } replies[] = {
        {0, ""},
        {-ECONNREFUSED, "failed to connect (1)"},
        {-EACCES, "does not allow the connection (2)"},
        {-ENETUNREACH, "cannot reach the network (3)"},
        {-EHOSTUNREACH, "cannot reach the host (4)"},
        {-ECONNREFUSED, "was refused by the host (5)"},
        {-EHOSTUNREACH, "did not get through to the host in time (6)"},
        {SL_ENOTSUP, "cannot connect (7)"},
        {SL_ENOTSUP, "does not know this kind of address (8)"},
    };
    if (reply >= sizeof replies / sizeof replies[0]) {
        return say(proxy, SL_EPROTO, "gave an answer that SOCKS5 does not know");
    }
    return say(proxy, replies[reply].code, replies[reply].what);
}

static int socks_answer(const struct proxy *proxy, sl_stream *stream)
{
    struct sl_view answer;
    SL_TRY(expect(proxy, stream, 2, &answer));
    if (answer.data[0] != SOCKS_VERSION) {
        return say(proxy, SL_EPROTO, "does not speak SOCKS5");
    }
    if (answer.data[1] != 0) {
        return refused_by_socks(proxy, (unsigned char)answer.data[1]);
    }
    /* The address it connects from, which nobody needs. */
    SL_TRY(expect(proxy, stream, 5, &answer));
    unsigned char kind = (unsigned char)answer.data[3];
    size_t address = sizeof(struct in_addr);
    if (kind == SOCKS_IPV6) {
        address = sizeof(struct in6_addr);
    } else if (kind == SOCKS_NAME) {
        address = 1 + (size_t)(unsigned char)answer.data[4];
    } else if (kind != SOCKS_IPV4) {
        return say(proxy, SL_EPROTO, "does not speak SOCKS5");
    }
    SL_TRY(expect(proxy, stream, 4 + address + 2, &answer));
    sl_stream_consume(stream, 4 + address + 2);
    return 0;
}

static int shake_socks5(const struct proxy *proxy, sl_stream *stream, const char *host, int port)
{
    SL_TRY(socks_greet(proxy, stream));
    SL_TRY(socks_ask(proxy, stream, host, port));
    return socks_answer(proxy, stream);
}

/* ---- all of it ---- */

/* What goes into a request must not end it. */
static int check_target(const char *host, int port)
{
    size_t length = strlen(host);
    bool clean = length > 0 && length <= TEXT_BYTES_MAX && strncmp(host, "unix:", 5) != 0;
    for (const char *at = host; clean && *at != '\0'; at++) {
        clean = *at > ' ' && *at < 0x7f && strchr("/@[]\\\"<>?#", *at) == NULL;
    }
    if (!clean || port < 1 || port > 65535) {
        return sl_fail(SL_EINVAL, "not a host and port to reach through a proxy");
    }
    return 0;
}

static int connect_by(const struct proxy *proxy, const struct sl_connect_options *options, sl_stream **ret_stream)
{
    sl_stream *stream = NULL;
    int code = sl__connect_to(proxy->host, proxy->port, options->local_address, &stream);
    if (code < 0) {
        return code == SL_ECANCELED ? code
                                    : sl_fail_because(code, "proxy %s:%d is not reached", proxy->host, proxy->port);
    }
    code = proxy->kind == PROXY_HTTP ? shake_http(proxy, stream, options->address, options->port)
                                     : shake_socks5(proxy, stream, options->address, options->port);
    if (code < 0) {
        sl_stream_close(stream);
        return code;
    }
    *ret_stream = stream;
    return 0;
}

int sl__connect_by_proxy(const struct sl_connect_options *options, sl_stream **ret_stream)
{
    struct proxy proxy;
    SL_TRY(check_target(options->address, options->port));
    int code = parse_proxy(options->proxy, &proxy);
    if (code == 0) {
        code = connect_by(&proxy, options, ret_stream);
    }
    explicit_bzero(&proxy, sizeof proxy);
    return code;
}
