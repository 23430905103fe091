/* SPDX-License-Identifier: MIT */
/* Connecting: to a literal, a name, or through a proxy. */
#include "connect.h"

#include <arpa/inet.h>
#include <string.h>

#include "../runtime/internal.h"
#include "sluice/tls.h"

const struct sl__network *sl__runtime_network(void)
{
    return ((struct sl__net *)sl__runtime->net)->network;
}

/* Whether there is nothing to look up. */
static bool is_literal(const char *address)
{
    struct in6_addr ignored;
    return strncmp(address, "unix:", 5) == 0 || strcmp(address, "localhost") == 0 ||
           inet_pton(AF_INET, address, &ignored) == 1 || inet_pton(AF_INET6, address, &ignored) == 1;
}

int sl__connect_to(const char *host, int port, const char *local_address, sl_stream **ret_stream)
{
    struct sl__address where;
    struct sl__address local;
    if (strncmp(host, "unix:", 5) != 0 && (port < 1 || port > 65535)) {
        return sl_fail(SL_EINVAL, "port %d is not between 1 and 65535", port);
    }
    if (local_address != NULL) {
        SL_TRY(sl__address_parse(local_address, 0, &local));
    }
    const struct sl__address *from = local_address == NULL ? NULL : &local;
    if (!is_literal(host)) {
        return sl__connect_by_name(host, port, from, ret_stream);
    }
    SL_TRY(sl__address_parse(host, port, &where));
    return sl__runtime_network()->connect(&where, from, ret_stream);
}

int sl_connect_with(const struct sl_connect_options *options, sl_stream **ret_stream)
{
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl_checkpoint_if_cancelled());
    if (sl__net() == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    sl_stream *stream = NULL;
    SL_TRY(options->proxy == NULL ? sl__connect_to(options->address, options->port, options->local_address, &stream)
                                  : sl__connect_by_proxy(options, &stream));
    if (options->tls != NULL) {
        const char *name = options->server_name == NULL ? options->address : options->server_name;
        return sl_tls_client(stream, options->tls, name, ret_stream);
    }
    *ret_stream = stream;
    return 0;
}

int sl_connect(const char *address, int port, sl_stream **ret_stream)
{
    return sl_connect_with(&(struct sl_connect_options){.address = address, .port = port}, ret_stream);
}
