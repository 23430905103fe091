/* SPDX-License-Identifier: MIT */
/* Parts of connecting. */
#ifndef SL_NET_CONNECT_H
#define SL_NET_CONNECT_H

#include "resolve.h"

/* Connects to a literal, a Unix socket or a host name. Waits. */
int sl__connect_to(const char *host, int port, const char *local_address, sl_stream **ret_stream);

/* Connects to a host name: Happy Eyeballs. Waits. */
int sl__connect_by_name(const char *host, int port, const struct sl__address *local, sl_stream **ret_stream);

/* Connects through `options->proxy`. Waits. */
int sl__connect_by_proxy(const struct sl_connect_options *options, sl_stream **ret_stream);

#endif
