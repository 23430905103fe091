/* SPDX-License-Identifier: MIT */
/* Descriptors of the system in the event loop. */
#ifndef SL_NET_SOCKET_H
#define SL_NET_SOCKET_H

#include <uv.h>

#include "network.h"

/* Tells the tasks of `waits` when a descriptor is ready. Part of the record that begins with `waits`. */
struct sl__poll {
    uv_poll_t handle;
    struct sl__waits *waits;
    void (*on_ready)(struct sl__poll *poll, enum sl__side side);
    int descriptor;
    int armed; /* events that libuv watches for */
};

/* Takes the descriptor over, also when it fails. */
int sl__poll_open(struct sl__poll *poll, int descriptor, struct sl__waits *waits,
                  void (*on_ready)(struct sl__poll *, enum sl__side));
void sl__poll_want(struct sl__poll *poll, int events); /* UV_READABLE, UV_WRITABLE */
/* Closes the descriptor at once, and drops the record's hold when libuv has let go of it. */
void sl__poll_close(struct sl__poll *poll);

/* A stream over a connected (or connecting) descriptor that does not block; takes it over, also when it fails. */
int sl__socket_stream(int descriptor, sl_stream **ret_stream);

int sl__sockets_listen(const struct sl__address *where, const struct sl_listen_options *options,
                       sl_listener **ret_listener);

#endif
