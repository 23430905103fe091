/* SPDX-License-Identifier: MIT */
/* The network of a runtime: its buffers, addresses as text, and listening. */
#include "network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "../runtime/internal.h"
#include "resolve.h"

/* ---- what a runtime keeps ---- */

static void net_free(void *object)
{
    struct sl__net *net = object;
    sl__resolver_free(net->resolver);
    sl_tls_config_free(net->tls);
    if (net->network->close != NULL) {
        net->network->close(net->state);
    }
    while (net->idle > 0) {
        sl_free(net->buffers[--net->idle]);
    }
    sl_free(net);
}

struct sl__net *sl__net(void)
{
    sl_runtime *runtime = sl__runtime;
    if (runtime->net == NULL) {
        struct sl__net *net = sl_calloc(1, sizeof *net);
        if (net == NULL) {
            return NULL;
        }
        net->network = &sl__network_sockets;
        sl_mutex_init(&net->tls_making);
        runtime->net = net;
        runtime->net_free = net_free;
    }
    return runtime->net;
}

void *sl__net_buffer_get(void)
{
    struct sl__net *net = sl__net();
    if (net != NULL && net->idle > 0) {
        return net->buffers[--net->idle];
    }
    return net == NULL ? NULL : sl_malloc(SL_STREAM_READ_AHEAD_BYTES + SL_STREAM_PADDING_BYTES);
}

void sl__net_buffer_put(void *buffer)
{
    struct sl__net *net = sl__runtime->net;
    if (buffer != NULL && net->idle < SL_NET_BUFFERS_IDLE_MAX) {
        net->buffers[net->idle++] = buffer;
    } else {
        sl_free(buffer);
    }
}

/* ---- addresses ---- */

static int parse_unix(const char *path, struct sl__address *ret_address)
{
    size_t length = strlen(path);
    struct sockaddr_un *local = &ret_address->is.local;
    if (length == 0 || length >= sizeof local->sun_path) {
        return sl_fail(SL_EINVAL, "a Unix socket's path has 1 to %zu bytes: '%s'", sizeof local->sun_path - 1, path);
    }
    memset(local, 0, sizeof *local);
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, length + 1);
    ret_address->size_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (path[0] == '@') { /* the abstract name space: a NUL in front and none behind */
        local->sun_path[0] = '\0';
        ret_address->size_bytes--;
    }
    return 0;
}

int sl__address_parse(const char *text, int port, struct sl__address *ret_address)
{
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, ret_address);
    }
    if (port < 0 || port > 65535) {
        return sl_fail(SL_EINVAL, "port %d is not between 0 and 65535", port);
    }
    const char *literal = strcmp(text, "localhost") == 0 ? "127.0.0.1" : text;
    if (uv_ip4_addr(literal, port, &ret_address->is.v4) == 0) {
        ret_address->size_bytes = sizeof ret_address->is.v4;
        return 0;
    }
    if (uv_ip6_addr(literal, port, &ret_address->is.v6) == 0) {
        ret_address->size_bytes = sizeof ret_address->is.v6;
        return 0;
    }
    return sl_fail(SL_EINVAL, "'%s' is not an address", text);
}

int sl__address_port(const struct sl__address *address)
{
    switch (address->is.any.sa_family) {
    case AF_INET:
        return ntohs(address->is.v4.sin_port);
    case AF_INET6:
        return ntohs(address->is.v6.sin6_port);
    default:
        return 0;
    }
}

void sl__address_text(const struct sl__address *address, char *text, size_t text_bytes)
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_un *local = &address->is.local;
    switch (address->is.any.sa_family) {
    case AF_INET:
        (void)inet_ntop(AF_INET, &address->is.v4.sin_addr, host, sizeof host);
        (void)snprintf(text, text_bytes, "%s:%d", host, sl__address_port(address));
        return;
    case AF_INET6:
        (void)inet_ntop(AF_INET6, &address->is.v6.sin6_addr, host, sizeof host);
        (void)snprintf(text, text_bytes, "[%s]:%d", host, sl__address_port(address));
        return;
    default:
        if (address->size_bytes <= offsetof(struct sockaddr_un, sun_path)) {
            (void)snprintf(text, text_bytes, "unix:"); /* the end that connected has no name */
        } else if (local->sun_path[0] == '\0') {
            int length = (int)(address->size_bytes - offsetof(struct sockaddr_un, sun_path)) - 1;
            (void)snprintf(text, text_bytes, "unix:@%.*s", length, local->sun_path + 1);
        } else {
            (void)snprintf(text, text_bytes, "unix:%s", local->sun_path);
        }
    }
}

/* ---- listening ---- */

int sl_listener_open_with(const struct sl_listen_options *options, sl_listener **ret_listener)
{
    struct sl__address where;
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl__address_parse(options->address, options->port, &where));
    struct sl__net *net = sl__net();
    if (net == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a listener");
    }
    return net->network->listen(&where, options, ret_listener);
}

int sl_listener_open(const char *address, int port, sl_listener **ret_listener)
{
    return sl_listener_open_with(&(struct sl_listen_options){.address = address, .port = port}, ret_listener);
}

int sl_listener_port(const sl_listener *listener)
{
    return listener->port;
}

int sl_listener_accept(sl_listener *listener, sl_stream **ret_stream)
{
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl_checkpoint_if_cancelled());
    if (listener->waits.tasks[SL_READABLE] != NULL) {
        return sl_fail(SL_EBUSY, "another task accepts from this listener");
    }
    int code;
    while ((code = listener->ops->accept(listener, ret_stream)) == SL_EAGAIN) {
        if (listener->draining) {
            return SL_EOF;
        }
        if (listener->ops->arm != NULL) {
            listener->ops->arm(listener);
        }
        SL_TRY(sl__waits_park(&listener->waits, SL_READABLE, "accept"));
    }
    sl__coop(sl__self());
    return code;
}

void sl_listener_drain(sl_listener *listener)
{
    if (!listener->draining) {
        listener->draining = true;
        listener->ops->drain(listener);
        sl__waits_wake(&listener->waits, SL_READABLE, 0);
    }
}

void sl_listener_close(sl_listener *listener)
{
    if (listener != NULL) {
        sl__waits_close(&listener->waits);
        listener->ops->close(listener);
    }
}
