/* SPDX-License-Identifier: MIT */
/* What both sides of the opening handshake need. Source: RFC 6455, sections 1.3, 4 and 11.3. */
#include "handshake.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int sl__ws_accept_of(const char *key, char text[SL__WS_ACCEPT_TEXT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[SL__WS_KEY_TEXT_BYTES + sizeof guid];
    int length = snprintf(joined, sizeof joined, "%s%s", key, guid);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (EVP_Digest(joined, (size_t)length, digest, &digest_bytes, EVP_sha1(), NULL) != 1) {
        return sl_fail(SL_EINTERNAL, "SHA-1 is not available");
    }
    (void)EVP_EncodeBlock((unsigned char *)text, digest, (int)digest_bytes);
    return 0;
}

/* The next header of that name from `*index` on, or NULL. */
static const char *next_header(const sl_http_message *message, const char *name, size_t *index)
{
    while (*index < sl_http_header_count(message)) {
        struct sl_http_field field = sl_http_header_at(message, (*index)++);
        if (strcasecmp(field.name, name) == 0) {
            return field.value;
        }
    }
    return NULL;
}

size_t sl__ws_headers(const sl_http_message *message, const char *name, const char **ret_first)
{
    size_t count = 0;
    size_t index = 0;
    const char *first = NULL;
    const char *value;
    while ((value = next_header(message, name, &index)) != NULL) {
        first = count++ == 0 ? value : first;
    }
    if (ret_first != NULL) {
        *ret_first = first;
    }
    return count;
}

size_t sl__ws_next_token(const char **at, const char **ret_token)
{
    *at += strspn(*at, " \t,");
    *ret_token = *at;
    size_t length = strcspn(*at, ",");
    *at += length;
    while (length > 0 && ((*ret_token)[length - 1] == ' ' || (*ret_token)[length - 1] == '\t')) {
        length--;
    }
    return length;
}

bool sl__ws_has_exactly(const char *list, const char *token, size_t token_bytes)
{
    const char *element;
    size_t length;
    while ((length = sl__ws_next_token(&list, &element)) > 0) {
        if (length == token_bytes && memcmp(element, token, length) == 0) {
            return true;
        }
    }
    return false;
}

bool sl__ws_lists(const sl_http_message *message, const char *name, const char *token)
{
    size_t index = 0;
    const char *value;
    while ((value = next_header(message, name, &index)) != NULL) {
        const char *element;
        size_t length;
        while ((length = sl__ws_next_token(&value, &element)) > 0) {
            if (length == strlen(token) && strncasecmp(element, token, length) == 0) {
                return true;
            }
        }
    }
    return false;
}

int sl__ws_join(const sl_http_message *message, const char *name, char text[SL__WS_LIST_BYTES])
{
    size_t index = 0;
    size_t length = 0;
    const char *value;
    text[0] = '\0';
    while ((value = next_header(message, name, &index)) != NULL) {
        int more = snprintf(text + length, SL__WS_LIST_BYTES - length, "%s%s", length == 0 ? "" : ", ", value);
        length += (size_t)more;
        if (more < 0 || length >= SL__WS_LIST_BYTES) {
            return sl_fail(SL_EMSGSIZE, "%s: more than %d bytes", name, SL__WS_LIST_BYTES);
        }
    }
    return 0;
}

static size_t token_bytes(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

int sl__ws_check_headers(const char *headers)
{
    while (headers != NULL && *headers != '\0') {
        size_t name_bytes = token_bytes(headers);
        const char *value = headers + name_bytes;
        if (name_bytes == 0 || *value != ':') {
            return sl_fail(SL_EINVAL, "headers are lines of \"Name: value\\r\\n\"");
        }
        while ((unsigned char)*value >= ' ' || *value == '\t') {
            value++;
        }
        if (value[0] != '\r' || value[1] != '\n') {
            return sl_fail(SL_EINVAL, "a header with a control character, or without \"\\r\\n\"");
        }
        headers = value + 2;
    }
    return 0;
}

int sl__ws_check_subprotocols(const char *subprotocols)
{
    const char *token;
    size_t length;
    while (subprotocols != NULL && (length = sl__ws_next_token(&subprotocols, &token)) > 0) {
        if (token_bytes(token) < length) {
            return sl_fail(SL_EINVAL, "a subprotocol that is not a token");
        }
    }
    return 0;
}
