/* SPDX-License-Identifier: MIT */
/* Options and URLs of the Redis client. No message shows a URL: it may hold a password. */
#include <string.h>

#include "client.h"
#include "sluice/tls.h"

#define PORT 6379
#define SENTINEL_PORT 26379

/* ---- texts ---- */

static int copy(char *out, size_t out_bytes, const char *text, size_t length, const char *what)
{
    if (length >= out_bytes) {
        return sl_fail(SL_EINVAL, "the Redis %s is longer than %zu bytes", what, out_bytes - 1);
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return 0;
}

static int hex_digit(char digit)
{
    return digit >= '0' && digit <= '9'                 ? digit - '0'
           : (digit | 32) >= 'a' && (digit | 32) <= 'f' ? (digit | 32) - 'a' + 10
                                                        : -1;
}

/* Copies with %XX undone. */
static int decode(char *out, size_t out_bytes, const char *text, size_t length, const char *what)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            int high = length - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0 || (byte = high * 16 + low) == 0) {
                return sl_fail(SL_EINVAL, "the Redis URL has a bad %% sequence in its %s", what);
            }
            i += 2;
        }
        if (used + 1 >= out_bytes) {
            return sl_fail(SL_EINVAL, "the Redis %s is longer than %zu bytes", what, out_bytes - 1);
        }
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return 0;
}

static int parse_number(const char *text, size_t length, int max, int *ret_number)
{
    int64_t number = 0;
    if (length == 0 || *text < '0' || *text > '9' || !sl__resp_integer(text, text + length, &number) || number > max) {
        return SL_EINVAL;
    }
    *ret_number = (int)number;
    return 0;
}

/* ---- URLs ---- */

/* "host", "host:port", "[::1]:port". */
static int parse_host(const char *text, size_t length, int port, struct sl__redis_address *ret_address)
{
    const char *host = text;
    const char *end = text + length;
    const char *colon = memchr(text, ':', length);
    size_t host_bytes = colon == NULL ? length : (size_t)(colon - text);
    if (length > 0 && *text == '[') {
        const char *bracket = memchr(text, ']', length);
        if (bracket == NULL || (bracket + 1 < end && bracket[1] != ':')) {
            return sl_fail(SL_EINVAL, "the Redis URL has an address without its ']'");
        }
        host = text + 1;
        host_bytes = (size_t)(bracket - host);
        colon = bracket + 1 < end ? bracket + 1 : NULL;
    }
    if (host_bytes == 0) {
        return sl_fail(SL_EINVAL, "the Redis URL has no host");
    }
    SL_TRY(copy(ret_address->host, sizeof ret_address->host, host, host_bytes, "host"));
    ret_address->port = port;
    if (colon != NULL &&
        (parse_number(colon + 1, (size_t)(end - colon - 1), 65535, &ret_address->port) < 0 || ret_address->port == 0)) {
        return sl_fail(SL_EINVAL, "the Redis URL has a bad port (1 to 65535)");
    }
    return 0;
}

static int parse_hosts(const char *text, size_t length, struct sl__redis_settings *settings)
{
    int port = settings->kind == SL__REDIS_SENTINEL ? SENTINEL_PORT : PORT;
    settings->hosts_count = 0;
    for (;;) {
        const char *comma = memchr(text, ',', length);
        size_t part = comma == NULL ? length : (size_t)(comma - text);
        if (settings->hosts_count == SL__REDIS_HOSTS_MAX) {
            return sl_fail(SL_EINVAL, "the Redis URL has more than %d hosts", SL__REDIS_HOSTS_MAX);
        }
        SL_TRY(parse_host(text, part, port, &settings->hosts[settings->hosts_count++]));
        if (comma == NULL) {
            break;
        }
        text = comma + 1;
        length -= part + 1;
    }
    if (settings->kind == SL__REDIS_SINGLE && settings->hosts_count > 1) {
        return sl_fail(SL_EINVAL, "the Redis URL has several hosts; redis+sentinel:// and redis+cluster:// may");
    }
    return 0;
}

/* "user:password", ":password", "user". */
static int parse_user(const char *text, size_t length, struct sl__redis_settings *settings)
{
    const char *colon = memchr(text, ':', length);
    size_t user = colon == NULL ? length : (size_t)(colon - text);
    SL_TRY(decode(settings->user, sizeof settings->user, text, user, "user"));
    return colon == NULL
               ? 0
               : decode(settings->password, sizeof settings->password, colon + 1, length - user - 1, "password");
}

static int parse_database(const char *text, struct sl__redis_settings *settings)
{
    if (*text != '\0' && parse_number(text, strlen(text), INT32_MAX, &settings->database) < 0) {
        return sl_fail(SL_EINVAL, "the Redis URL has a database that is no number");
    }
    if (settings->kind == SL__REDIS_CLUSTER && settings->database != 0) {
        return sl_fail(SL_EINVAL, "a Redis cluster has no databases but 0");
    }
    return 0;
}

/* Behind the hosts: "/db", or "/master/db" of sentinels. */
static int parse_path(const char *path, struct sl__redis_settings *settings)
{
    path += *path == '/';
    if (settings->kind == SL__REDIS_SENTINEL) {
        size_t length = strcspn(path, "/");
        if (length == 0) {
            return sl_fail(SL_EINVAL, "the Redis URL names no master; redis+sentinel://HOST/MASTER");
        }
        SL_TRY(decode(settings->master, sizeof settings->master, path, length, "master"));
        path += length;
        path += *path == '/';
    }
    return parse_database(path, settings);
}

/* "/path/of/socket?db=2". */
static int parse_socket(const char *path, struct sl__redis_settings *settings)
{
    static const char prefix[] = "unix:";
    size_t length = strcspn(path, "?");
    struct sl__redis_address *address = &settings->hosts[0];
    if (*path != '/' || length + sizeof prefix > sizeof address->host) {
        return sl_fail(SL_EINVAL, "a Redis URL unix:// needs an absolute path below %zu bytes",
                       sizeof address->host - 5);
    }
    memcpy(address->host, prefix, sizeof prefix - 1);
    memcpy(address->host + sizeof prefix - 1, path, length);
    address->host[sizeof prefix - 1 + length] = '\0';
    settings->hosts_count = 1;
    path += length;
    if (*path != '\0' && strncmp(path, "?db=", 4) != 0) {
        return sl_fail(SL_EINVAL, "a Redis URL unix:// may end in ?db=NUMBER only");
    }
    return parse_database(*path == '\0' ? path : path + 4, settings);
}

int sl__redis_parse_url(const char *url, struct sl__redis_settings *settings)
{
    static const struct {
        const char *text;
        enum sl__redis_kind kind;
        bool encrypted;
    } schemes[] = {{"redis://", SL__REDIS_SINGLE, false},
                   {"rediss://", SL__REDIS_SINGLE, true},
                   {"redis+sentinel://", SL__REDIS_SENTINEL, false},
                   {"rediss+sentinel://", SL__REDIS_SENTINEL, true},
                   {"redis+cluster://", SL__REDIS_CLUSTER, false},
                   {"rediss+cluster://", SL__REDIS_CLUSTER, true}};
    if (strncmp(url, "unix://", 7) == 0) {
        return parse_socket(url + 7, settings);
    }
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i].text);
        if (strncmp(url, schemes[i].text, length) != 0) {
            continue;
        }
        settings->kind = schemes[i].kind;
        settings->encrypted = schemes[i].encrypted;
        url += length;
        const char *at = strrchr(url, '@');
        if (at != NULL) {
            SL_TRY(parse_user(url, (size_t)(at - url), settings));
            url = at + 1;
        }
        length = strcspn(url, "/");
        SL_TRY(parse_hosts(url, length, settings));
        return parse_path(url + length, settings);
    }
    return sl_fail(SL_EINVAL,
                   "a Redis URL begins with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://");
}

/* ---- options ---- */

static int copy_option(char *out, size_t out_bytes, const char *text, const char *what)
{
    return text == NULL ? 0 : copy(out, out_bytes, text, strlen(text), what);
}

static sl_time or_default(sl_time value, sl_time otherwise)
{
    return value == 0 ? otherwise : value;
}

static int take_numbers(struct sl__redis_settings *settings, const struct sl_redis_options *options)
{
    settings->protocol = options->protocol;
    settings->timeout = or_default(options->timeout, SL_REDIS_TIMEOUT);
    settings->connect_timeout = or_default(options->connect_timeout, SL_REDIS_CONNECT_TIMEOUT);
    settings->drain_timeout = or_default(options->drain_timeout, SL_REDIS_DRAIN_TIMEOUT);
    settings->ping_every = or_default(options->ping_every, SL_REDIS_PING_EVERY);
    settings->backoff = options->backoff;
    settings->backoff.initial = or_default(options->backoff.initial, SL_REDIS_BACKOFF_INITIAL);
    settings->backoff.max = or_default(options->backoff.max, SL_REDIS_BACKOFF_MAX);
    settings->commands_max = options->commands_max == 0 ? SL_REDIS_COMMANDS_MAX : options->commands_max;
    settings->in_flight_bytes_max =
        options->in_flight_bytes_max == 0 ? SL_REDIS_IN_FLIGHT_BYTES_MAX : options->in_flight_bytes_max;
    settings->reply_bytes_max = options->reply_bytes_max == 0 ? SL_REDIS_REPLY_BYTES_MAX : options->reply_bytes_max;
    if (settings->protocol != 0 && settings->protocol != 2 && settings->protocol != 3) {
        return sl_fail(SL_EINVAL, "Redis protocol %d: it is 2, 3 or 0 for either", settings->protocol);
    }
    if (settings->timeout < 0 || settings->connect_timeout < 0 || settings->drain_timeout < 0 ||
        settings->ping_every < 0 || settings->connect_timeout == SL_NEVER || settings->drain_timeout == SL_NEVER) {
        return sl_fail(SL_EINVAL, "a negative or endless timeout of the Redis client");
    }
    if (settings->commands_max > SL_REDIS_COMMANDS_MAX || settings->reply_bytes_max > SIZE_MAX / 4) {
        return sl_fail(SL_EINVAL, "a limit of the Redis client is beyond its maximum");
    }
    return 0;
}

int sl__redis_settings_init(struct sl__redis_settings *settings, const struct sl_redis_options *options)
{
    if (options->url == NULL) {
        return sl_fail(SL_EINVAL, "the Redis client has no URL");
    }
    SL_TRY(sl__redis_parse_url(options->url, settings));
    SL_TRY(copy_option(settings->user, sizeof settings->user, options->user, "user"));
    SL_TRY(copy_option(settings->password, sizeof settings->password, options->password, "password"));
    SL_TRY(copy_option(settings->sentinel_user, sizeof settings->sentinel_user, options->sentinel_user, "user"));
    SL_TRY(copy_option(settings->sentinel_password, sizeof settings->sentinel_password, options->sentinel_password,
                       "password"));
    SL_TRY(copy_option(settings->name, sizeof settings->name, options->name, "client name"));
    if (settings->user[0] != '\0' && settings->password[0] == '\0') {
        return sl_fail(SL_EINVAL, "the Redis client has a user without a password");
    }
    for (const char *c = settings->name; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return sl_fail(SL_EINVAL, "the name of a Redis client has no spaces or control characters");
        }
    }
    SL_TRY(take_numbers(settings, options));
    settings->tls = settings->encrypted ? options->tls : NULL;
    if (settings->encrypted && settings->tls == NULL) {
        SL_TRY(sl_tls_default(&settings->tls)); /* lent until the run ends */
    }
    return 0;
}

void sl__redis_settings_done(struct sl__redis_settings *settings)
{
    explicit_bzero(settings, sizeof *settings);
}
