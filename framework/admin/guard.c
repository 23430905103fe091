/* SPDX-License-Identifier: MIT */
/* Who may ask what: Host and token; and the headers of every answer. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "admin.h"

#define HEADERS_MAX 12

bool sl__admin_is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (strcasecmp(address, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, address, &four) == 1) {
        return (ntohl(four.s_addr) >> 24) == 127;
    }
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* The host of "host:port", without the brackets of an IPv6 address; false when it is none. */
static bool host_name(const char *host, char *name, size_t room)
{
    const char *end = *host == '[' ? strchr(host, ']') : strchr(host, ':');
    if (*host == '[') {
        host++;
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
    }
    size_t bytes = end == NULL ? strlen(host) : (size_t)(end - host);
    if (bytes == 0 || bytes >= room) {
        return false;
    }
    memcpy(name, host, bytes);
    name[bytes] = '\0';
    return true;
}

/*
 * A page of a foreign origin whose name was made to mean this machine sends that name. Only where reading is open
 * does it matter; where the token is asked for, no foreign page has it.
 */
bool sl__admin_host_allowed(const sl_admin *admin, const char *host)
{
    char name[256];
    unsigned char address[sizeof(struct in6_addr)];
    if (!admin->loopback && admin->host_count == 0) {
        return true;
    }
    if (host == NULL || !host_name(host, name, sizeof name)) {
        return false;
    }
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1 ||
        strcasecmp(name, "localhost") == 0) {
        return true;
    }
    for (size_t i = 0; i < admin->host_count; i++) {
        if (strcasecmp(name, admin->hosts[i]) == 0) {
            return true;
        }
    }
    return false;
}

int sl__admin_respond(sl_http_exchange *exchange, int status, const char *content_type, const void *body,
                      size_t body_bytes, const struct sl_http_field *more, size_t more_count)
{
    bool cached = more_count > 0 && strcmp(more[0].name, "ETag") == 0; /* kept, but asked for each time */
    struct sl_http_field headers[HEADERS_MAX] = {
        {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                                    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
    };
    size_t count = 6;
    for (size_t i = 0; i < more_count && count < HEADERS_MAX - 1; i++) {
        headers[count++] = more[i];
    }
    headers[count++] = (struct sl_http_field){"Cache-Control", cached ? "no-cache" : "no-store"};
    return sl_http_respond_with(exchange, &(struct sl_http_answer){.status = status,
                                                                   .content_type = content_type,
                                                                   .headers = headers,
                                                                   .header_count = count,
                                                                   .body = body,
                                                                   .body_bytes = body_bytes});
}

int sl__admin_refuse(sl_http_exchange *exchange, int status, const char *code, const char *message)
{
    char body[1024];
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init_in(&out, body, sizeof body);
    sl_json_begin_object(&out);
    sl_json_put_key(&out, "error");
    sl_json_begin_object(&out);
    sl_json_put_key_text(&out, "code", code);
    sl_json_put_key_text(&out, "message", message);
    sl_json_end_object(&out);
    sl_json_end_object(&out);
    if (sl_json_writer_finish(&out, &text) < 0) {
        text = (sl_json_text){"{\"error\":{}}", 12};
    }
    static const struct sl_http_field challenge[] = {{"WWW-Authenticate", "Bearer realm=\"sluice\""}};
    static const struct sl_http_field allow_get[] = {{"Allow", "GET, HEAD"}};
    static const struct sl_http_field allow_post[] = {{"Allow", "POST"}};
    bool post = status == 405 && strcmp(sl_http_method(exchange->request), "POST") != 0;
    const struct sl_http_field *more = status == 401 ? challenge : post ? allow_post : allow_get;
    return sl__admin_respond(exchange, status, "application/json", text.data, text.size_bytes, more,
                             status == 401 || status == 405 ? 1 : 0);
}
