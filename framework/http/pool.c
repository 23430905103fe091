/* SPDX-License-Identifier: MIT */
/*
 * The client's connections. Who wants one waits, first come, first served, for one of the origin's permits; it then
 * takes the connection that was used last, or makes a new one. Idle ones are bounded in number and age.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"

#define HEAD_BYTES_MAX ((size_t)32 * 1024)

/* ---- parts with their own time ---- */

int sl__phase_begin(sl_scope *scope, sl_time timeout, const char *name)
{
    return sl_scope_open(scope, &(struct sl_scope_options){.name = name, .deadline = sl_time_add(sl_now(), timeout)});
}

int sl__phase_end(sl_scope *scope, int code, sl_time timeout, const char *what)
{
    int ended = sl__http_bounded(scope, code);
    return code == SL_ECANCELED && ended == SL_ETIMEDOUT
               ? sl_fail(ended, "%s took longer than %lld ms", what, (long long)(timeout / SL_MILLISECONDS(1)))
               : ended;
}

/* ---- idle connections ---- */

static void unlink_idle(sl_http_client *client, struct sl__link *link)
{
    *(link->newer == NULL ? &client->newest : &link->newer->older) = link->older;
    *(link->older == NULL ? &client->oldest : &link->older->newer) = link->newer;
    link->newer = link->older = NULL;
    link->origin->idle--;
    client->counts.idle--;
}

static void drop_origin(sl_http_client *client, struct sl__origin *origin)
{
    if (origin->users > 0 || origin->idle > 0) {
        return;
    }
    struct sl__origin **at = &client->origins;
    while (*at != origin) {
        at = &(*at)->next;
    }
    *at = origin->next;
    client->origin_count--;
    sl_free(origin);
}

static void close_idle(sl_http_client *client, struct sl__link *link)
{
    struct sl__origin *origin = link->origin;
    unlink_idle(client, link);
    sl_stream_close(link->stream);
    sl_free(link);
    drop_origin(client, origin);
}

static void close_old(sl_http_client *client)
{
    sl_time now = sl_now();
    while (client->oldest != NULL && (client->counts.idle > client->options.idle_max ||
                                      now - client->oldest->idle_since >= client->options.idle_timeout)) {
        close_idle(client, client->oldest);
    }
}

/* The one that was used last and still seems to live. The origin has a user, and so stays. */
static struct sl__link *take_idle(sl_http_client *client, struct sl__origin *origin)
{
    close_old(client);
    for (struct sl__link *link = client->newest; link != NULL && origin->idle > 0;) {
        struct sl__link *older = link->older;
        if (link->origin == origin) {
            if (sl_stream_check(link->stream) == 0 && sl_stream_buffered(link->stream).size_bytes == 0) {
                unlink_idle(client, link);
                link->reused = true;
                return link;
            }
            client->counts.stale++;
            close_idle(client, link);
        }
        link = older;
    }
    return NULL;
}

/* ---- origins ---- */

static int origin_of(sl_http_client *client, const struct sl__url *url, struct sl__origin **ret_origin)
{
    for (struct sl__origin *at = client->origins; at != NULL; at = at->next) {
        if (at->port == url->port && at->secure == url->secure && strcmp(at->host, url->host) == 0) {
            *ret_origin = at;
            return 0;
        }
    }
    if (client->origin_count == SL_HTTP_CLIENT_ORIGINS_MAX) {
        return sl_fail(SL_EMSGSIZE, "connections to more than %d origins at once", SL_HTTP_CLIENT_ORIGINS_MAX);
    }
    struct sl__origin *origin = sl_calloc(1, sizeof *origin);
    if (origin == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    origin->port = url->port;
    origin->secure = url->secure;
    memcpy(origin->host, url->host, sizeof origin->host);
    (void)sl_semaphore_init(&origin->permits, client->options.connections_per_origin, 0);
    origin->next = client->origins;
    client->origins = origin;
    client->origin_count++;
    *ret_origin = origin;
    return 0;
}

/* ---- connecting ---- */

static int connect_plain(sl_http_client *client, const struct sl__url *url, sl_stream **ret_stream)
{
    char what[SL_HTTP_HOST_BYTES + 32];
    sl_scope scope = SL_SCOPE_INIT;
    sl_time timeout = client->options.connect_timeout;
    struct sl_connect_options options = {.address = url->host,
                                         .port = url->port,
                                         .local_address = client->options.local_address,
                                         .proxy = client->options.proxy};
    (void)snprintf(what, sizeof what, "connecting to %s", url->authority);
    SL_TRY(sl__phase_begin(&scope, timeout, "connect"));
    return sl__phase_end(&scope, sl_connect_with(&options, ret_stream), timeout, what);
}

static int connect_to(sl_http_client *client, const struct sl__url *url, sl_stream **ret_stream)
{
    char what[SL_HTTP_HOST_BYTES + 48];
    sl_scope scope = SL_SCOPE_INIT;
    sl_time timeout = client->options.tls_timeout;
    sl_stream *plain = NULL;
    if (url->secure && client->options.tls == NULL) {
        SL_TRY(sl_tls_default(&client->options.tls));
    }
    client->counts.connects++;
    SL_TRY(connect_plain(client, url, url->secure ? &plain : ret_stream));
    if (!url->secure) {
        return 0;
    }
    (void)snprintf(what, sizeof what, "the TLS handshake with %s", url->authority);
    int code = sl__phase_begin(&scope, timeout, "TLS");
    if (code < 0) {
        sl_stream_close(plain);
        return code;
    }
    return sl__phase_end(&scope, sl_tls_client(plain, client->options.tls, url->host, ret_stream), timeout, what);
}

static int make_link(sl_http_client *client, struct sl__origin *origin, const struct sl__url *url,
                     struct sl__link **ret_link)
{
    struct sl__link *link = sl_calloc(1, sizeof *link);
    if (link == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    link->origin = origin;
    int code = connect_to(client, url, &link->stream);
    if (code < 0) {
        sl_free(link);
        return code;
    }
    *ret_link = link;
    return 0;
}

/* ---- the whole ---- */

static void leave(sl_http_client *client, struct sl__origin *origin)
{
    (void)sl_semaphore_release(&origin->permits);
    origin->users--;
    client->counts.busy--;
    drop_origin(client, origin);
}

int sl__link_acquire(sl_http_client *client, const struct sl__url *url, bool fresh, struct sl__link **ret_link)
{
    struct sl__origin *origin = NULL;
    SL_TRY(origin_of(client, url, &origin));
    origin->users++;
    client->counts.waiting++;
    int code = sl_semaphore_acquire(&origin->permits);
    client->counts.waiting--;
    if (code < 0) {
        origin->users--;
        drop_origin(client, origin);
        return code;
    }
    client->counts.busy++;
    *ret_link = fresh ? NULL : take_idle(client, origin);
    if (*ret_link != NULL) {
        client->counts.reuses++;
        return 0;
    }
    code = make_link(client, origin, url, ret_link);
    if (code < 0) {
        leave(client, origin);
    }
    return code;
}

void sl__link_release(sl_http_client *client, struct sl__link *link, bool reusable)
{
    struct sl__origin *origin = link->origin;
    if (reusable) {
        link->idle_since = sl_now();
        link->older = client->newest;
        *(client->newest == NULL ? &client->oldest : &client->newest->newer) = link;
        client->newest = link;
        origin->idle++;
        client->counts.idle++;
    } else {
        sl_stream_close(link->stream);
        sl_free(link);
    }
    leave(client, origin);
    close_old(client);
}

/* ---- the client ---- */

static sl_time time_or(sl_time given, sl_time otherwise)
{
    return given == 0 ? otherwise : given;
}

static int fill_in(struct sl_http_client_options *options)
{
    struct sl_http_client_options *o = options;
    o->user_agent = o->user_agent == NULL ? "sluice" : o->user_agent;
    o->connections_per_origin = o->connections_per_origin == 0 ? SL_HTTP_CLIENT_CONNECTIONS : o->connections_per_origin;
    o->idle_max = o->idle_max == 0 ? SL_HTTP_CLIENT_IDLE_MAX : o->idle_max;
    o->idle_timeout = time_or(o->idle_timeout, SL_SECONDS(30));
    o->connect_timeout = time_or(o->connect_timeout, SL_SECONDS(10));
    o->tls_timeout = time_or(o->tls_timeout, SL_SECONDS(10));
    o->first_byte_timeout = time_or(o->first_byte_timeout, SL_SECONDS(30));
    o->total_timeout = time_or(o->total_timeout, SL_SECONDS(60));
    o->head_bytes_max = o->head_bytes_max == 0 ? HEAD_BYTES_MAX : o->head_bytes_max;
    o->body_bytes_max = o->body_bytes_max == 0 ? SL_HTTP_BODY_BYTES_MAX : o->body_bytes_max;
    o->redirects_max = o->redirects_max == 0 ? SL_HTTP_REDIRECTS_MAX : o->redirects_max;
    if (o->head_bytes_max > SL_HTTP_HEAD_BYTES_CAP || o->idle_timeout < 0 || o->connect_timeout < 0 ||
        o->tls_timeout < 0 || o->first_byte_timeout < 0 || o->total_timeout < 0 ||
        !sl__http_all((struct sl_bytes){o->user_agent, strlen(o->user_agent)}, sl__http_is_value)) {
        return sl_fail(SL_EINVAL, "an option of the HTTP client is out of range");
    }
    return 0;
}

int sl_http_client_open(const struct sl_http_client_options *options, sl_http_client **ret_client)
{
    struct sl_http_client_options filled = {.tls = NULL};
    if (options != NULL) {
        filled = *options;
    }
    SL_TRY(fill_in(&filled));
    sl_http_client *client = sl_calloc(1, sizeof *client);
    if (client == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an HTTP client");
    }
    client->options = filled;
    client->total_is_default = options == NULL || options->total_timeout == 0;
    *ret_client = client;
    return 0;
}

void sl_http_client_free(sl_http_client *client)
{
    if (client != NULL) {
        while (client->newest != NULL) {
            close_idle(client, client->newest);
        }
        sl_free(client);
    }
}

struct sl_http_client_counts sl_http_client_counts_get(const sl_http_client *client)
{
    return client->counts;
}
