/* SPDX-License-Identifier: MIT */
/* The server's opening handshake. Source: RFC 6455, section 4.2. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "handshake.h"

#define HEAD_BYTES 1024

/* Answers with a status of failure and ends the connection. */
static int refuse(sl_http_exchange *exchange, int status, const char *why)
{
    static const struct sl_http_field version = {"Sec-WebSocket-Version", "13"};
    char text[HEAD_BYTES];
    int length = snprintf(text, sizeof text, "%s\n", why);
    SL_TRY(sl_http_respond_with(exchange, &(struct sl_http_answer){.status = status,
                                                                   .content_type = "text/plain",
                                                                   .headers = &version,
                                                                   .header_count = 1,
                                                                   .body = text,
                                                                   .body_bytes = (size_t)length,
                                                                   .close = true}));
    return sl_fail(SL_EPROTO, "WebSocket handshake: %s", why);
}

/* Base64 of 16 bytes: 22 characters and two signs of the end. */
static bool key_ok(const char *key)
{
    unsigned char bytes[SL__WS_KEY_TEXT_BYTES];
    size_t length = strlen(key);
    return length == SL__WS_KEY_TEXT_BYTES - 1 && strcspn(key, "=") == length - 2 && key[length - 1] == '=' &&
           EVP_DecodeBlock(bytes, (const unsigned char *)key, (int)length) > 0;
}

/* What is wrong with the request, or NULL. */
static const char *problem_of(const sl_http_message *request)
{
    const char *key = NULL;
    if (strcmp(sl_http_method(request), "GET") != 0 || !sl_http_is_1_1(request)) {
        return "a GET of HTTP/1.1 was expected";
    }
    if (sl__ws_headers(request, "Host", NULL) != 1) {
        return "one Host was expected";
    }
    if (!sl__ws_lists(request, "Connection", "upgrade") || !sl__ws_lists(request, "Upgrade", "websocket")) {
        return "an upgrade to websocket was expected";
    }
    if (sl__ws_headers(request, "Sec-WebSocket-Key", &key) != 1 || !key_ok(key)) {
        return "Sec-WebSocket-Key is to be 16 bytes in base64";
    }
    return NULL;
}

/* The first of ours that the client offers; "" when there is none. */
static void choose_subprotocol(const char *ours, const char *offered, char *text, size_t text_bytes)
{
    const char *token;
    size_t length;
    while (ours != NULL && (length = sl__ws_next_token(&ours, &token)) > 0) {
        if (length < text_bytes && sl__ws_has_exactly(offered, token, length)) {
            memcpy(text, token, length);
            text[length] = '\0';
            return;
        }
    }
    text[0] = '\0';
}

/* What is agreed on, and the lines of the answer that say so. 0; 1: it was refused, with `exchange`'s answer sent. */
struct answer {
    struct sl__ws_agreed agreed;
    char extension[SL__WS_EXTENSION_BYTES];
    char subprotocol[128];
};

static int agree(sl_http_exchange *exchange, const struct sl_ws_options *options, struct answer *answer)
{
    char list[SL__WS_LIST_BYTES];
    if (sl__ws_join(exchange->request, "Sec-WebSocket-Protocol", list) < 0) {
        return refuse(exchange, 400, "too many subprotocols");
    }
    choose_subprotocol(options->subprotocols, list, answer->subprotocol, sizeof answer->subprotocol);
    if (sl__ws_join(exchange->request, "Sec-WebSocket-Extensions", list) < 0 ||
        sl__ws_grant(&options->deflate, list, &answer->agreed, answer->extension) < 0) {
        return refuse(exchange, 400, "malformed or too many extensions");
    }
    return 0;
}

static int write_answer(sl_http_exchange *exchange, const struct sl_ws_options *options, const struct answer *answer)
{
    char accept[SL__WS_ACCEPT_TEXT_BYTES];
    char head[HEAD_BYTES];
    SL_TRY(sl__ws_accept_of(sl_http_header(exchange->request, "Sec-WebSocket-Key"), accept));
    bool chosen = answer->subprotocol[0] != '\0';
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Accept: %s\r\n%s%s%s%s%s%s",
                          accept, chosen ? "Sec-WebSocket-Protocol: " : "", answer->subprotocol, chosen ? "\r\n" : "",
                          answer->agreed.on ? "Sec-WebSocket-Extensions: " : "", answer->extension,
                          answer->agreed.on ? "\r\n" : "");
    SL_TRY(sl_http_flush(exchange)); /* answers to earlier requests */
    const char *more = options->headers == NULL ? "" : options->headers;
    struct sl_bytes pieces[] = {{head, (size_t)length}, {more, strlen(more)}, {"\r\n", 2}};
    return sl_stream_write_pieces(exchange->stream, pieces, 3);
}

int sl_ws_accept_with(sl_http_exchange *exchange, const struct sl_ws_options *options, sl_ws **ret_ws)
{
    const sl_http_message *request = exchange->request;
    struct answer answer = {.agreed = {.on = false}};
    SL_TRY(sl__ws_check_options(options));
    SL_TRY(sl__ws_check_headers(options->headers));
    SL_TRY(sl__ws_check_subprotocols(options->subprotocols));
    const char *problem = problem_of(request);
    if (problem != NULL) {
        return refuse(exchange, 400, problem);
    }
    const char *version = NULL;
    if (sl__ws_headers(request, "Sec-WebSocket-Version", &version) != 1 || strcmp(version, "13") != 0) {
        return refuse(exchange, 426, "version 13 was expected");
    }
    SL_TRY(agree(exchange, options, &answer));
    sl_ws *ws = NULL;
    SL_TRY(sl__ws_new(exchange->stream, true, options, &answer.agreed, answer.subprotocol, &ws));
    int code = write_answer(exchange, options, &answer);
    if (code < 0) {
        sl_free(ws); /* the stream is still the server's */
        return code;
    }
    exchange->taken_over = true;
    *ret_ws = ws;
    return 0;
}

int sl_ws_accept(sl_http_exchange *exchange, sl_ws **ret_ws)
{
    return sl_ws_accept_with(exchange, &(const struct sl_ws_options){.url = NULL}, ret_ws);
}
