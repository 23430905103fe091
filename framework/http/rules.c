/* SPDX-License-Identifier: MIT */
/*
 * What a whole head must keep to beyond llhttp: each byte of it belongs to a part, and the parts say one thing only
 * about where the message ends and whom it is for. What others could read differently is refused: that is what
 * request smuggling lives on. Source: RFC 9112, sections 3, 5, 6 and 11.2.
 */
#include <string.h>

#include "message.h"

static int bad(sl_http_message *message, const char *reason)
{
    return sl__http_refuse(message, 400, reason);
}

/* ---- the bytes between the parts ---- */

/* The line that ends at or behind `at`, after blanks: where the next one begins, or 0. */
static uint32_t end_of_line(const sl_http_message *message, uint32_t at)
{
    const char *base = message->base;
    while (at < message->head_bytes && (base[at] == ' ' || base[at] == '\t')) {
        at++;
    }
    return at + 2 <= message->head_bytes && base[at] == '\r' && base[at + 1] == '\n' ? at + 2 : 0;
}

/* "METHOD target HTTP/x.y" with single spaces; gives the place behind the line, or 0. */
static uint32_t request_line(const sl_http_message *message)
{
    const struct sl__http_piece *target = &message->target;
    uint32_t at = (uint32_t)target->at + target->bytes;
    if (target->at < 2 || at + 11 > message->head_bytes || message->base[target->at - 1] != ' ' ||
        !sl__http_all((struct sl_bytes){message->base, target->at - 1u}, sl__http_is_token) ||
        memcmp(message->base + at, " HTTP/", 6) != 0 || message->base[at + 7] != '.' ||
        memcmp(message->base + at + 9, "\r\n", 2) != 0) {
        return 0;
    }
    return at + 11;
}

/* "HTTP/1.x 200 text", the text perhaps missing. */
static uint32_t status_line(const sl_http_message *message)
{
    const char *base = message->base;
    const char *end = memchr(base, '\n', message->head_bytes);
    if (end == NULL || end - base < 13 || end[-1] != '\r' || memcmp(base, "HTTP/1.", 7) != 0 || base[8] != ' ') {
        return 0;
    }
    struct sl_bytes text = {base + 12, (size_t)(end - 1 - (base + 12))};
    if (text.size_bytes > 0 && (base[12] != ' ' || !sl__http_all(text, sl__http_is_value))) {
        return 0;
    }
    return (uint32_t)(end + 1 - base);
}

/* Trims the value and ends name and value by NULs, in the place of what follows them. */
static void finish_field(sl_http_message *message, struct sl__http_field *field)
{
    char *base = message->base;
    if (field->value.bytes == 0) {
        field->value.at = (uint16_t)(field->name.at + field->name.bytes + 1);
    }
    while (field->value.bytes > 0 && (base[field->value.at + field->value.bytes - 1] == ' ' ||
                                      base[field->value.at + field->value.bytes - 1] == '\t')) {
        field->value.bytes--;
    }
    base[field->name.at + field->name.bytes] = '\0';
    base[field->value.at + field->value.bytes] = '\0';
}

/* Each header stands where the line before ended: "name:value", nothing folded, nothing between. */
static int check_fields(sl_http_message *message, uint32_t at)
{
    const char *base = message->base;
    for (size_t i = 0; i < message->field_count; i++) {
        struct sl__http_field *field = &message->fields[i];
        uint32_t colon = at + field->name.bytes;
        if (field->name.at != at || field->name.bytes == 0 || base[colon] != ':' ||
            !sl__http_all(sl__http_text(message, field->name), sl__http_is_token)) {
            return bad(message, "a header's name is not one");
        }
        uint32_t value = colon + 1;
        while (base[value] == ' ' || base[value] == '\t') {
            value++;
        }
        if (field->value.bytes > 0 && field->value.at != value) {
            return bad(message, "a header's value is not one");
        }
        uint32_t value_end = field->value.bytes > 0 ? value + field->value.bytes : colon + 1;
        if (!sl__http_all(sl__http_text(message, field->value), sl__http_is_value)) {
            return bad(message, "a control character in a header");
        }
        at = end_of_line(message, value_end);
        if (at == 0) {
            return bad(message, "a header's line does not end in CR LF");
        }
        if (base[at] == ' ' || base[at] == '\t') {
            return bad(message, "a folded header");
        }
        finish_field(message, field);
    }
    return at + 2 == message->head_bytes && base[at] == '\r' && base[at + 1] == '\n'
               ? 0
               : bad(message, "the head does not end in an empty line");
}

/* ---- the target ---- */

/* What may stand in a target (RFC 3986, 3.3 and 3.4), leaving out quotes that browsers do not encode in queries. */
static bool is_target(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\' && c != '^' && c != '`' &&
           c != '{' && c != '|' && c != '}';
}

static bool percents_are_whole(struct sl_bytes text)
{
    const char *at = text.data;
    const char *end = at + text.size_bytes;
    static const char hex[] = "0123456789abcdefABCDEF";
    while ((at = memchr(at, '%', (size_t)(end - at))) != NULL) {
        if (end - at < 3 || strchr(hex, at[1]) == NULL || strchr(hex, at[2]) == NULL) {
            return false;
        }
        at += 3;
    }
    return true;
}

/* Splits into path and query. */
static void split(sl_http_message *message, size_t from)
{
    const char *start = message->base + message->target.at;
    size_t length = message->target.bytes;
    const char *mark = memchr(start + from, '?', length - from);
    size_t path_end = mark == NULL ? length : (size_t)(mark - start);
    message->path = (struct sl__http_piece){(uint16_t)(message->target.at + from), (uint16_t)(path_end - from)};
    size_t query = mark == NULL ? length : path_end + 1;
    message->query = (struct sl__http_piece){(uint16_t)(message->target.at + query), (uint16_t)(length - query)};
}

/* "http://authority/path": then the authority counts, not Host (RFC 9112, 3.2.2). */
static int absolute_form(sl_http_message *message, struct sl_bytes target)
{
    const char *text = target.data;
    size_t skip = target.size_bytes > 7 && strncasecmp(text, "http://", 7) == 0    ? 7
                  : target.size_bytes > 8 && strncasecmp(text, "https://", 8) == 0 ? 8
                                                                                   : 0;
    size_t length = skip;
    while (length < target.size_bytes && text[length] != '/' && text[length] != '?') {
        length++;
    }
    struct sl_bytes authority = {text + skip, length - skip};
    if (skip == 0 || authority.size_bytes == 0 || !sl__http_is_authority(authority)) {
        return bad(message, "the target is no path and no URL");
    }
    split(message, length);
    return 0;
}

static int check_target(sl_http_message *message)
{
    struct sl_bytes target = sl__http_text(message, message->target);
    const char *text = target.data;
    if (message->parser.method == HTTP_CONNECT) {
        return sl__http_refuse(message, 501, "CONNECT is not offered");
    }
    if (!sl__http_all(target, is_target) || !percents_are_whole(target)) {
        return bad(message, "a character in the target that must be encoded");
    }
    message->base[message->target.at + message->target.bytes] = '\0';
    if (text[0] == '/') {
        split(message, 0);
        return 0;
    }
    if (target.size_bytes == 1 && text[0] == '*') {
        split(message, 0);
        return message->parser.method == HTTP_OPTIONS ? 0 : bad(message, "the target * is for OPTIONS");
    }
    return absolute_form(message, target);
}

/* ---- the headers that decide about the message ---- */

struct known {
    struct sl_bytes host, length, encoding, expect;
    unsigned hosts, lengths, encodings, expects;
    bool close, keep, upgrade_option, upgrade;
};

static void note(const sl_http_message *message, const struct sl__http_field *field, struct known *known)
{
    struct sl_bytes name = sl__http_text(message, field->name);
    struct sl_bytes value = sl__http_text(message, field->value);
    switch (name.size_bytes) {
    case 4:
        if (sl__http_same(name, "host")) {
            known->host = value;
            known->hosts++;
        }
        break;
    case 6:
        if (sl__http_same(name, "expect")) {
            known->expect = value;
            known->expects++;
        }
        break;
    case 7:
        known->upgrade |= sl__http_same(name, "upgrade") && value.size_bytes > 0;
        break;
    case 10:
        if (sl__http_same(name, "connection")) {
            known->close |= sl__http_has_token(value, "close");
            known->keep |= sl__http_has_token(value, "keep-alive");
            known->upgrade_option |= sl__http_has_token(value, "upgrade");
        }
        break;
    case 14:
        if (sl__http_same(name, "content-length")) {
            known->length = value;
            known->lengths++;
        }
        break;
    case 17:
        if (sl__http_same(name, "transfer-encoding")) {
            known->encoding = value;
            known->encodings++;
        }
        break;
    default:
        break;
    }
}

static bool number_of(struct sl_bytes text, uint64_t *ret_number)
{
    const char *at = text.data;
    uint64_t number = 0;
    if (text.size_bytes == 0 || text.size_bytes > 18) { /* beyond 18 digits nobody means it */
        return false;
    }
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(at[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* RFC 9112, 6.1 and 6.3 */
static int check_framing(sl_http_message *message, const struct known *known)
{
    bool request = message->kind == SL_HTTP_REQUEST;
    message->framing = request ? SL_HTTP_NO_BODY : SL_HTTP_UNTIL_END;
    if (known->encodings > 0 && known->lengths > 0) {
        return bad(message, "both Content-Length and Transfer-Encoding");
    }
    if (known->encodings > 0) {
        if (known->encodings > 1 || !sl__http_has_token(known->encoding, "chunked")) {
            return bad(message, "Transfer-Encoding does not end in one 'chunked'");
        }
        if (!sl__http_same(known->encoding, "chunked")) {
            return sl__http_refuse(message, 501, "a transfer coding besides 'chunked'");
        }
        if (message->parser.http_minor == 0) {
            return bad(message, "Transfer-Encoding in HTTP/1.0");
        }
        message->framing = SL_HTTP_CHUNKED;
    } else if (known->lengths > 0) {
        if (known->lengths > 1 || !number_of(known->length, &message->length)) {
            return bad(message, "Content-Length is not one number");
        }
        message->framing = message->length == 0 ? SL_HTTP_NO_BODY : SL_HTTP_BY_LENGTH;
    }
    return 0;
}

static int check_request(sl_http_message *message, const struct known *known)
{
    bool old = message->parser.http_minor == 0;
    if (known->hosts > 1 || (known->hosts == 0 && !old)) {
        return bad(message, "there must be exactly one Host");
    }
    if (known->hosts == 1 && !sl__http_is_authority(known->host)) {
        return bad(message, "Host is not a name or address with perhaps a port");
    }
    if (known->expects > 0 && !old) {
        if (known->expects > 1 || !sl__http_same(known->expect, "100-continue")) {
            return sl__http_refuse(message, 417, "only '100-continue' can be expected");
        }
        message->expects_continue = true;
    }
    message->keep_alive = old ? known->keep && !known->close : !known->close;
    message->upgrade = known->upgrade && known->upgrade_option && !old;
    return 0;
}

/* Whether a response has a body, and whether the connection goes on (RFC 9112, 6.3 and 9.3). */
static int check_response(sl_http_message *message, const struct known *known)
{
    int status = message->parser.status_code;
    bool old = message->parser.http_minor == 0;
    if (status < 100 || status > 599) {
        return bad(message, "a status that is none");
    }
    if (status < 200 || status == 204 || status == 304 || !message->body_expected) {
        message->framing = SL_HTTP_NO_BODY;
    }
    message->keep_alive = message->framing != SL_HTTP_UNTIL_END && !known->close && (!old || known->keep);
    message->upgrade = status == 101;
    return 0;
}

int sl__http_check_head(sl_http_message *message)
{
    struct known known = {.hosts = 0};
    bool request = message->kind == SL_HTTP_REQUEST;
    uint32_t at = request ? request_line(message) : status_line(message);
    if (at == 0) {
        return bad(message, request ? "the request line is not one" : "the status line is not one");
    }
    if (message->parser.http_major != 1 || message->parser.http_minor > 1) {
        return sl__http_refuse(message, 505, "a version of HTTP that is not spoken here");
    }
    if (!request && at > message->limits->line_bytes) {
        return sl__http_refuse(message, 431, "the status line is too long");
    }
    SL_TRY(check_fields(message, at));
    if (request) {
        SL_TRY(check_target(message));
    }
    for (size_t i = 0; i < message->field_count; i++) {
        note(message, &message->fields[i], &known);
    }
    SL_TRY(check_framing(message, &known));
    SL_TRY(request ? check_request(message, &known) : check_response(message, &known));
    return message->framing == SL_HTTP_BY_LENGTH && message->length > message->limits->body_bytes
               ? sl__http_refuse(message, 413, "the body is too large")
               : 0;
}
