/* SPDX-License-Identifier: MIT */
/* From a request to its handler. */
#include <stdio.h>
#include <string.h>

#include "server.h"

/* The text up to the next slash, moving past it; false at the end. */
static bool next_segment(const char **at, const char *end, struct sl_bytes *ret_segment)
{
    if (*at >= end || **at != '/') {
        return false;
    }
    const char *start = *at + 1;
    const char *slash = memchr(start, '/', (size_t)(end - start));
    *at = slash == NULL ? end : slash;
    *ret_segment = (struct sl_bytes){start, (size_t)(*at - start)};
    return true;
}

static bool is_parameter(struct sl_bytes segment)
{
    const char *text = segment.data;
    return segment.size_bytes > 2 && text[0] == '{' && text[segment.size_bytes - 1] == '}';
}

static bool takes_the_rest(struct sl_bytes segment)
{
    return segment.size_bytes > 5 && memcmp((const char *)segment.data + segment.size_bytes - 4, "...}", 4) == 0;
}

static void keep(struct sl__http_connection *connection, struct sl_bytes segment, size_t behind_bytes, const char *from,
                 const char *to)
{
    struct sl__http_turn *turn = &connection->turn;
    turn->parameters[turn->parameter_count++] =
        (struct sl__http_parameter){{(const char *)segment.data + 1, segment.size_bytes - 1 - behind_bytes},
                                    {(uint16_t)(from - connection->request.base), (uint16_t)(to - from)}};
}

static bool fits(struct sl__http_connection *connection, const char *pattern)
{
    struct sl_bytes path = sl_http_path(&connection->request);
    const char *pattern_end = pattern + strlen(pattern);
    const char *at = path.data;
    const char *end = at + path.size_bytes;
    struct sl_bytes wanted;
    struct sl_bytes given;
    connection->turn.parameter_count = 0;
    while (next_segment(&pattern, pattern_end, &wanted)) {
        const char *rest = at + 1;
        if (!next_segment(&at, end, &given)) {
            return false;
        }
        if (!is_parameter(wanted)) {
            if (wanted.size_bytes != given.size_bytes || memcmp(wanted.data, given.data, given.size_bytes) != 0) {
                return false;
            }
        } else if (takes_the_rest(wanted)) {
            keep(connection, wanted, 4, rest, end);
            return true;
        } else {
            if (given.size_bytes == 0) {
                return false;
            }
            keep(connection, wanted, 1, given.data, at);
        }
    }
    return at == end;
}

static bool serves(const struct sl_http_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void add_allowed(char allow[SL_HTTP_ALLOW_BYTES], const char *method)
{
    size_t length = strlen(allow);
    if (!sl__http_has_token((struct sl_bytes){allow, length}, method)) {
        (void)snprintf(allow + length, SL_HTTP_ALLOW_BYTES - length, "%s%s%s", length == 0 ? "" : ", ", method,
                       strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }
}

int sl__http_route(struct sl__http_connection *connection, char allow[SL_HTTP_ALLOW_BYTES])
{
    const struct sl_http_server_options *options = &connection->server->options;
    struct sl__http_turn *turn = &connection->turn;
    const char *method = sl_http_method(&connection->request);
    allow[0] = '\0';
    for (size_t i = 0; i < options->route_count; i++) {
        const struct sl_http_route *route = &options->routes[i];
        if (!fits(connection, route->pattern)) {
            continue;
        }
        if (serves(route, method)) {
            turn->route = route;
            turn->handler = route->handler;
            turn->arg = route->arg;
            return 0;
        }
        add_allowed(allow, route->method);
    }
    turn->parameter_count = 0;
    turn->handler = options->handler;
    turn->arg = options->arg;
    return allow[0] != '\0' ? 405 : options->handler == NULL ? 404 : 0;
}

static int check_pattern(const char *pattern)
{
    const char *at = pattern;
    const char *end = pattern + strlen(pattern);
    struct sl_bytes segment;
    size_t parameters = 0;
    bool rest = false;
    while (next_segment(&at, end, &segment)) {
        if (rest) {
            return sl_fail(SL_EINVAL, "route '%s': something follows '{...}'", pattern);
        }
        parameters += is_parameter(segment);
        rest = is_parameter(segment) && takes_the_rest(segment);
    }
    if (at != end || pattern[0] != '/' || parameters > SL_HTTP_PARAMETERS_MAX) {
        return sl_fail(SL_EINVAL, "route '%s': no path, or more than %d parameters", pattern, SL_HTTP_PARAMETERS_MAX);
    }
    return 0;
}

int sl__http_check_routes(const struct sl_http_server_options *options)
{
    for (size_t i = 0; i < options->route_count; i++) {
        const struct sl_http_route *route = &options->routes[i];
        if (route->method == NULL || route->pattern == NULL || route->handler == NULL) {
            return sl_fail(SL_EINVAL, "route %zu lacks a method, a pattern or a handler", i);
        }
        SL_TRY(check_pattern(route->pattern));
    }
    return 0;
}

int sl_http_parameter(const sl_http_exchange *exchange, const char *name, char *text, size_t text_bytes)
{
    const struct sl__http_turn *turn = &exchange->connection->turn;
    for (size_t i = 0; i < turn->parameter_count; i++) {
        struct sl_bytes known = turn->parameters[i].name;
        if (known.size_bytes == strlen(name) && memcmp(known.data, name, known.size_bytes) == 0) {
            return sl__http_decode(sl__http_text(&exchange->connection->request, turn->parameters[i].value), false,
                                   text, text_bytes);
        }
    }
    return sl_fail(SL_ENOENT, "the route has no parameter '%s'", name);
}
