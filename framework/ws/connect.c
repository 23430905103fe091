/* SPDX-License-Identifier: MIT */
/* The client's opening handshake. Source: RFC 6455, sections 3 and 4.1. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "handshake.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#define KEY_BYTES 16
#define HOST_BYTES 256
#define HEAD_BYTES 2048
#define EXCERPT_BYTES 80

/* ---- the URL ---- */

struct url {
    char host[HOST_BYTES];
    char authority[HOST_BYTES + 8]; /* the Host header */
    int port;
    const char *target; /* "/..." or "?..." */
    bool secure;
};

static int bad_url(const char *why)
{
    return sl_fail(SL_EINVAL, "a WebSocket URL is ws://host:port/path?query: %s", why);
}

/* [":" port]. 0 and where it ends. */
static int read_port(const char *at, struct url *url, const char **ret_end)
{
    url->port = url->secure ? 443 : 80;
    if (*at == ':') {
        int port = 0;
        for (at++; *at >= '0' && *at <= '9' && port <= 65535; at++) {
            port = port * 10 + (*at - '0');
        }
        if (port < 1 || port > 65535) {
            return bad_url("the port is 1 to 65535");
        }
        url->port = port;
    }
    if (*at != '\0' && *at != '/' && *at != '?') {
        return bad_url("something unexpected behind the host");
    }
    *ret_end = at;
    return 0;
}

static int parse_url(const char *text, struct url *url)
{
    if (text == NULL) {
        return bad_url("there is none");
    }
    url->secure = strncasecmp(text, "wss://", 6) == 0;
    if (!url->secure && strncasecmp(text, "ws://", 5) != 0) {
        return bad_url("another scheme");
    }
    text += url->secure ? 6 : 5;
    bool bracket = *text == '[';
    text += bracket;
    size_t length = strcspn(text, bracket ? "]/?#@" : ":/?#@[]");
    if (length == 0 || length >= sizeof url->host || (bracket && text[length] != ']') || text[length] == '@') {
        return bad_url("no host, or a user's name in front of it");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || *at == '#') {
            return bad_url("a blank, a fragment, or a character that is to be percent-encoded");
        }
    }
    memcpy(url->host, text, length);
    url->host[length] = '\0';
    SL_TRY(read_port(text + length + bracket, url, &url->target));
    int bytes = snprintf(url->authority, sizeof url->authority, bracket ? "[%s]" : "%s", url->host);
    if (url->port != (url->secure ? 443 : 80)) {
        (void)snprintf(url->authority + bytes, sizeof url->authority - (size_t)bytes, ":%d", url->port);
    }
    return 0;
}

/* ---- the request ---- */

static int make_headers(const struct sl_ws_options *options, const char *key, char *text)
{
    char offer[SL__WS_EXTENSION_BYTES] = "";
    if (options->deflate.on) {
        sl__ws_offer(&options->deflate, offer);
    }
    bool offers = options->subprotocols != NULL && *options->subprotocols != '\0';
    int length = snprintf(text, HEAD_BYTES,
                          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: %s\r\n%s%s%s%s%s%s%s",
                          key, offers ? "Sec-WebSocket-Protocol: " : "", offers ? options->subprotocols : "",
                          offers ? "\r\n" : "", offer[0] != '\0' ? "Sec-WebSocket-Extensions: " : "", offer,
                          offer[0] != '\0' ? "\r\n" : "", options->headers == NULL ? "" : options->headers);
    if (length < 0 || length >= HEAD_BYTES) {
        return sl_fail(SL_EMSGSIZE, "the handshake's headers are longer than %d bytes", HEAD_BYTES);
    }
    return 0;
}

/* ---- the answer ---- */

static int refused(const sl_http_message *response)
{
    size_t body_bytes = 0;
    const char *body = sl_http_body(response, &body_bytes);
    char excerpt[EXCERPT_BYTES];
    size_t length = 0;
    for (; length < body_bytes && length < sizeof excerpt - 1; length++) {
        char byte = body[length];
        excerpt[length] = byte >= ' ' && byte <= '~' ? byte : ' ';
    }
    excerpt[length] = '\0';
    int status = sl_http_status(response);
    const char *location = sl_http_header(response, "Location");
    bool moved = status >= 300 && status < 400 && location != NULL;
    return sl_fail(SL_EPROTO, "the server answered the WebSocket handshake with %d%s%.200s%s%s", status,
                   moved ? ", go to " : "", moved ? location : "", length > 0 ? ": " : "", excerpt);
}

static int improper(const char *what)
{
    return sl_fail(SL_EPROTO, "the server's answer is no proper WebSocket handshake: %s", what);
}

static int check_answer(const sl_http_message *response, const char *key, const struct sl_ws_options *options,
                        struct sl__ws_agreed *ret_agreed, const char **ret_subprotocol)
{
    char expected[SL__WS_ACCEPT_TEXT_BYTES];
    char extensions[SL__WS_LIST_BYTES];
    const char *value = NULL;
    if (sl_http_status(response) != 101) {
        return refused(response);
    }
    if (sl__ws_headers(response, "Upgrade", &value) != 1 || strcasecmp(value, "websocket") != 0) {
        return improper("Upgrade is not websocket");
    }
    if (!sl__ws_lists(response, "Connection", "upgrade")) {
        return improper("Connection does not list Upgrade");
    }
    SL_TRY(sl__ws_accept_of(key, expected));
    if (sl__ws_headers(response, "Sec-WebSocket-Accept", &value) != 1 || strcmp(value, expected) != 0) {
        return improper("Sec-WebSocket-Accept does not fit the key");
    }
    SL_TRY(sl__ws_join(response, "Sec-WebSocket-Extensions", extensions));
    SL_TRY(sl__ws_check_grant(&options->deflate, extensions, ret_agreed));
    size_t chosen = sl__ws_headers(response, "Sec-WebSocket-Protocol", &value);
    if (chosen > 1 || (chosen == 1 && (options->subprotocols == NULL ||
                                       !sl__ws_has_exactly(options->subprotocols, value, strlen(value))))) {
        return improper("a subprotocol that was not offered");
    }
    *ret_subprotocol = chosen == 1 ? value : "";
    return 0;
}

/* ---- connecting ---- */

static int shake_hands(sl_stream *stream, const struct url *url, const struct sl_ws_options *options, sl_ws **ret_ws)
{
    uint64_t random[KEY_BYTES / sizeof(uint64_t)] = {sl_random(), sl_random()};
    char key[SL__WS_KEY_TEXT_BYTES];
    (void)EVP_EncodeBlock((unsigned char *)key, (const unsigned char *)random, KEY_BYTES);
    sl_auto(sl_http_message) *response = NULL;
    char target[HEAD_BYTES];
    int length = snprintf(target, sizeof target, "%s%s", *url->target == '/' ? "" : "/", url->target);
    if (length < 0 || (size_t)length >= sizeof target) {
        return sl_fail(SL_EMSGSIZE, "a URL longer than %zu bytes", sizeof target);
    }
    char *headers = sl_malloc(HEAD_BYTES);
    if (headers == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a WebSocket handshake");
    }
    int code = make_headers(options, key, headers);
    code = code == 0 ? sl_http_upgrade(stream, url->authority, target, headers, &response) : code;
    sl_free(headers);
    if (code == SL_EOF) {
        return sl_fail(SL_ECONNRESET, "the server ended the connection within the WebSocket handshake");
    }
    SL_TRY(code);
    struct sl__ws_agreed agreed = {.on = false};
    const char *subprotocol = "";
    SL_TRY(check_answer(response, key, options, &agreed, &subprotocol));
    return sl__ws_new(stream, false, options, &agreed, subprotocol, ret_ws);
}

/* What takes so long, if it does. */
static const char connecting[] = "connecting to";
static const char tls_shaking[] = "the TLS handshake with";
static const char shaking[] = "the WebSocket handshake with";

static int connect_and_shake_hands(const struct url *url, const struct sl_ws_options *options, sl_stream **stream,
                                   const char **stage, sl_ws **ret_ws)
{
    const struct sl_connect_options where = {
        .address = url->host, .port = url->port, .local_address = options->local_address, .proxy = options->proxy};
    if (*stream == NULL && !url->secure) {
        SL_TRY(sl_connect_with(&where, stream));
    } else if (*stream == NULL) {
        sl_tls_config *tls = options->tls;
        sl_stream *inner = NULL;
        SL_TRY(tls == NULL ? sl_tls_default(&tls) : 0);
        SL_TRY(sl_connect_with(&where, &inner));
        *stage = tls_shaking;
        SL_TRY(sl_tls_client(inner, tls, url->host, stream));
    }
    *stage = shaking;
    SL_TRY(shake_hands(*stream, url, options, ret_ws));
    *stream = NULL; /* it is the WebSocket's now */
    return 0;
}

int sl_ws_connect_with(const struct sl_ws_options *options, sl_ws **ret_ws)
{
    sl_auto(sl_stream) *stream = options->stream;
    struct url url = {.port = 0};
    SL_TRY(parse_url(options->url, &url));
    SL_TRY(sl__ws_check_options(options));
    SL_TRY(sl__ws_check_headers(options->headers));
    SL_TRY(sl__ws_check_subprotocols(options->subprotocols));
    sl_time timeout = options->handshake_timeout == 0 ? SL_WS_HANDSHAKE_TIMEOUT : options->handshake_timeout;
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(
        &limit, &(struct sl_scope_options){.name = "handshake", .timeout = timeout == SL_NEVER ? 0 : timeout}));
    sl_ws *ws = NULL;
    const char *stage = connecting;
    int code = connect_and_shake_hands(&url, options, &stream, &stage, &ws);
    int closed = sl_scope_close(&limit, code == SL_ECANCELED ? code : 0);
    if (code == SL_ECANCELED && closed == SL_ETIMEDOUT) {
        return sl_fail(SL_ETIMEDOUT, "%s %s: not done within the %lld ms for it all", stage, url.authority,
                       (long long)(timeout / SL_MILLISECONDS(1)));
    }
    if (code < 0) {
        return code;
    }
    *ret_ws = ws;
    return 0;
}

int sl_ws_connect(const char *url, sl_ws **ret_ws)
{
    return sl_ws_connect_with(&(struct sl_ws_options){.url = url}, ret_ws);
}
