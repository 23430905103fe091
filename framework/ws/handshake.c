/* SPDX-License-Identifier: MIT */
/* The opening handshake of RFC 6455, section 4. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sluice/runtime.h"
#include "ws.h"

#define KEY_BYTES 16
#define KEY_TEXT_BYTES 25    /* base64 of 16 bytes, with its NUL */
#define ACCEPT_TEXT_BYTES 29 /* base64 of a SHA-1 */

static int accept_of(const char *key, char text[ACCEPT_TEXT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[KEY_TEXT_BYTES + sizeof guid];
    int length = snprintf(joined, sizeof joined, "%s%s", key, guid);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (EVP_Digest(joined, (size_t)length, digest, &digest_bytes, EVP_sha1(), NULL) != 1) {
        return sl_fail(SL_EINTERNAL, "SHA-1 is not available");
    }
    (void)EVP_EncodeBlock((unsigned char *)text, digest, (int)digest_bytes);
    return 0;
}

/* Whether a comma-separated header holds the token. */
static bool has_token(const char *header, const char *token)
{
    size_t length = strlen(token);
    while (header != NULL && *header != '\0') {
        header += strspn(header, " \t,");
        size_t item = strcspn(header, ",");
        size_t trimmed = item;
        while (trimmed > 0 && (header[trimmed - 1] == ' ' || header[trimmed - 1] == '\t')) {
            trimmed--;
        }
        if (trimmed == length && strncasecmp(header, token, length) == 0) {
            return true;
        }
        header += item;
    }
    return false;
}

static bool is_upgrade(const sl_http_message *message)
{
    return has_token(sl_http_header(message, "Connection"), "upgrade") &&
           has_token(sl_http_header(message, "Upgrade"), "websocket");
}

static int check_answer(const sl_http_message *response, const char *key)
{
    char expected[ACCEPT_TEXT_BYTES];
    SL_TRY(accept_of(key, expected));
    const char *given = sl_http_header(response, "Sec-WebSocket-Accept");
    if (sl_http_status(response) != 101) {
        return sl_fail(SL_EPROTO, "the server answered %d to the WebSocket upgrade", sl_http_status(response));
    }
    if (!is_upgrade(response) || given == NULL || strcmp(given, expected) != 0 ||
        sl_http_header(response, "Sec-WebSocket-Extensions") != NULL) {
        return sl_fail(SL_EPROTO, "the server's answer is no proper WebSocket handshake");
    }
    return 0;
}

int sl_ws_connect(const char *address, int port, const char *target, sl_ws **ret_ws)
{
    uint64_t random[2] = {sl_random(), sl_random()};
    char key[KEY_TEXT_BYTES];
    (void)EVP_EncodeBlock((unsigned char *)key, (const unsigned char *)random, KEY_BYTES);
    char headers[256];
    (void)snprintf(
        headers, sizeof headers,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", key);
    char host[256];
    (void)snprintf(host, sizeof host, "%s:%d", address, port);
    sl_auto(sl_stream) *stream = NULL;
    sl_auto(sl_http_message) *response = NULL;
    SL_TRY(sl_connect(address, port, &stream));
    SL_TRY(sl_http_upgrade(stream, host, target, headers, &response));
    SL_TRY(check_answer(response, key));
    SL_TRY(sl__ws_new(stream, false, sl_http_leftover(response), ret_ws));
    stream = NULL; /* it is the WebSocket's now */
    return 0;
}

int sl_ws_accept(sl_http_exchange *exchange, sl_ws **ret_ws)
{
    const sl_http_message *request = exchange->request;
    const char *key = sl_http_header(request, "Sec-WebSocket-Key");
    const char *version = sl_http_header(request, "Sec-WebSocket-Version");
    if (!is_upgrade(request) || key == NULL || strlen(key) != KEY_TEXT_BYTES - 1 || version == NULL ||
        strcmp(version, "13") != 0) {
        static const char text[] = "a WebSocket handshake was expected\n";
        SL_TRY(sl_http_respond(exchange, 400, "text/plain", text, sizeof text - 1));
        return sl_fail(SL_EPROTO, "no proper WebSocket handshake");
    }
    char accept[ACCEPT_TEXT_BYTES];
    SL_TRY(accept_of(key, accept));
    char head[256];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n",
                          accept);
    SL_TRY(sl_stream_write(exchange->stream, head, (size_t)length));
    SL_TRY(sl__ws_new(exchange->stream, true, sl_http_leftover(request), ret_ws));
    exchange->taken_over = true;
    return 0;
}
