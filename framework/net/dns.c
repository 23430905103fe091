/* SPDX-License-Identifier: MIT */
/*
 * Questions to name servers, by c-ares. libuv watches its sockets and its clock, which are the real ones in the
 * simulated world too.
 */
#include <ares.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#include "../runtime/internal.h"
#include "resolve.h"

#define MS_IN_SECOND 1000

struct watch {
    uv_poll_t handle;
    struct sl__dns *dns;
    int descriptor;
    struct watch *next;
};

struct sl__dns {
    ares_channel channel;
    uv_timer_t timer;
    struct watch *watches;
};

struct question {
    struct sl__dns *dns;
    sl__dns_done_fn done;
    void *context;
    int family;
};

/* ---- the clock and the sockets ---- */

static void set_timer(struct sl__dns *dns);

static void on_timer(uv_timer_t *timer)
{
    struct sl__dns *dns = timer->data;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(dns);
}

static void set_timer(struct sl__dns *dns)
{
    struct timeval next;
    if (ares_timeout(dns->channel, NULL, &next) == NULL) {
        (void)uv_timer_stop(&dns->timer);
        return;
    }
    uint64_t milliseconds = (uint64_t)next.tv_sec * MS_IN_SECOND + (uint64_t)next.tv_usec / MS_IN_SECOND + 1;
    uv_update_time(dns->timer.loop);
    (void)uv_timer_start(&dns->timer, on_timer, milliseconds, 0);
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct watch *watch = handle->data;
    struct sl__dns *dns = watch->dns;
    bool read = status < 0 || (events & UV_READABLE) != 0;
    bool write = status < 0 || (events & UV_WRITABLE) != 0;
    int descriptor = watch->descriptor; /* the watch may go meanwhile */
    ares_process_fd(dns->channel, read ? descriptor : ARES_SOCKET_BAD, write ? descriptor : ARES_SOCKET_BAD);
    set_timer(dns);
}

static void on_unwatched(uv_handle_t *handle)
{
    sl_free(handle->data);
}

static void unwatch(struct watch **link)
{
    struct watch *watch = *link;
    *link = watch->next;
    if (uv_is_closing((uv_handle_t *)&watch->handle)) {
        sl_free(watch); /* closed with its loop */
    } else {
        uv_close((uv_handle_t *)&watch->handle, on_unwatched);
    }
}

/* c-ares wants to know about a socket, or is about to close it. */
static void on_socket(void *context, ares_socket_t descriptor, int readable, int writable)
{
    struct sl__dns *dns = context;
    struct watch **link = &dns->watches;
    while (*link != NULL && (*link)->descriptor != descriptor) {
        link = &(*link)->next;
    }
    if (readable == 0 && writable == 0) {
        if (*link != NULL) {
            unwatch(link);
        }
        return;
    }
    struct watch *watch = *link;
    if (watch == NULL) {
        watch = sl_calloc(1, sizeof *watch);
        if (watch == NULL || uv_poll_init(&sl__runtime->loop, &watch->handle, descriptor) < 0) {
            sl_free(watch); /* its answers do not come: the question runs into its timeout */
            return;
        }
        watch->handle.data = watch;
        watch->dns = dns;
        watch->descriptor = descriptor;
        *link = watch;
    }
    int events = (readable != 0 ? UV_READABLE : 0) | (writable != 0 ? UV_WRITABLE : 0);
    (void)uv_poll_start(&watch->handle, events, on_ready);
}

/* ---- beginning and end ---- */

static int library_code;

static void init_library(void)
{
    library_code = ares_library_init_mem(ARES_LIB_INIT_ALL, sl_malloc, sl_free, sl_realloc);
}

static int open_channel(struct sl__dns *dns, const struct sl_resolver_options *options)
{
    sl_time timeout = options->timeout == 0 ? SL_RESOLVER_TIMEOUT : options->timeout;
    struct ares_options own = {
        .timeout = (int)((timeout + SL_MILLISECONDS(1) - 1) / SL_MILLISECONDS(1)),
        .tries = options->tries == 0 ? SL_RESOLVER_TRIES : options->tries,
        .lookups = "fb",
        .sock_state_cb = on_socket,
        .sock_state_cb_data = dns,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    if (options->servers != NULL) {
        mask |= ARES_OPT_DOMAINS; /* none: the system's go with the system's servers */
    }
    int status = ares_init_options(&dns->channel, &own, mask);
    if (status != ARES_SUCCESS) {
        return status == ARES_ENOMEM ? sl_fail(SL_ENOMEM, "no memory for the resolver")
                                     : sl_fail(SL_ERESOLVE, "resolver: %s", ares_strerror(status));
    }
    if (options->servers != NULL) {
        status = ares_set_servers_ports_csv(dns->channel, options->servers);
        if (status != ARES_SUCCESS) {
            ares_destroy(dns->channel);
            return status == ARES_ENOMEM ? sl_fail(SL_ENOMEM, "no memory for the resolver")
                                         : sl_fail(SL_EINVAL, "'%s' are no name servers", options->servers);
        }
    }
    return 0;
}

int sl__dns_open(const struct sl_resolver_options *options, struct sl__dns **ret_dns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_library);
    if (library_code != ARES_SUCCESS) {
        return sl_fail(SL_ERESOLVE, "resolver: %s", ares_strerror(library_code));
    }
    struct sl__dns *dns = sl_calloc(1, sizeof *dns);
    if (dns == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the resolver");
    }
    int code = open_channel(dns, options);
    if (code < 0) {
        sl_free(dns);
        return code;
    }
    (void)uv_timer_init(&sl__runtime->loop, &dns->timer);
    dns->timer.data = dns;
    *ret_dns = dns;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    sl_free(handle->data);
}

void sl__dns_close(struct sl__dns *dns)
{
    ares_destroy(dns->channel);
    while (dns->watches != NULL) {
        unwatch(&dns->watches);
    }
    if (uv_is_closing((uv_handle_t *)&dns->timer)) {
        sl_free(dns); /* closed with its loop */
    } else {
        uv_close((uv_handle_t *)&dns->timer, on_timer_closed);
    }
}

/* ---- questions ---- */

static int code_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return SL_ENOHOST;
    case ARES_EBADNAME:
        return SL_EINVAL;
    case ARES_ENOMEM:
        return SL_ENOMEM;
    case ARES_EDESTRUCTION:
        return SL_ECLOSED;
    default:
        return SL_ERESOLVE;
    }
}

static void lower_ttl(struct sl__dns_answer *answer, int seconds)
{
    sl_time ttl = SL_SECONDS(seconds < 0 ? 0 : seconds);
    answer->ttl = ttl < answer->ttl ? ttl : answer->ttl;
}

static void add_node(struct sl__dns_answer *answer, const struct ares_addrinfo_node *node)
{
    struct sl__ips *ips = &answer->ips;
    if (node->ai_family != ips->family || ips->count == SL_RESOLVE_MAX) {
        return;
    }
    if (ips->family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)node->ai_addr;
        memcpy(ips->bytes[ips->count++], &v4->sin_addr, sizeof v4->sin_addr);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)node->ai_addr;
        memcpy(ips->bytes[ips->count++], &v6->sin6_addr, sizeof v6->sin6_addr);
    }
    lower_ttl(answer, node->ai_ttl);
}

static void on_answer(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *question = context;
    (void)timeouts;
    struct sl__dns_answer answer = {
        .code = code_of(status), .text = ares_strerror(status), .ttl = SL_NEVER, .ips.family = question->family};
    if (info != NULL && status == ARES_SUCCESS) {
        for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
            add_node(&answer, node);
        }
        for (const struct ares_addrinfo_cname *alias = info->cnames; alias != NULL; alias = alias->next) {
            lower_ttl(&answer, alias->ttl);
        }
        if (answer.ips.count == 0) {
            answer.code = SL_ENOHOST;
        }
    }
    ares_freeaddrinfo(info);
    question->done(question->context, &answer);
    sl_free(question);
}

void sl__dns_ask(struct sl__dns *dns, const char *host, int family, sl__dns_done_fn done, void *context)
{
    struct question *question = sl_calloc(1, sizeof *question);
    if (question == NULL) {
        done(context, &(struct sl__dns_answer){.code = SL_ENOMEM, .text = "no memory"});
        return;
    }
    *question = (struct question){dns, done, context, family};
    /* Our own order of attempts: c-ares would open sockets to sort them. */
    struct ares_addrinfo_hints hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT | ARES_AI_ENVHOSTS};
    ares_getaddrinfo(dns->channel, host, NULL, &hints, on_answer, question);
    set_timer(dns);
}
