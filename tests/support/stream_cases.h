/* SPDX-License-Identifier: MIT */
/*
 * What every kind of stream promises. Each case is a sl_task_fn-like body that makes its pairs with `pair`, for
 * C_TEST and its kin.
 */
#ifndef STREAM_CASES_H
#define STREAM_CASES_H

#include "sl_conformance.h"
#include "sluice/net.h"

/* Two connected streams. */
typedef int (*stream_pair_fn)(sl_stream **ret_one, sl_stream **ret_other);

/* From a listener on `address` and a connection to it: TCP, Unix, simulated. */
int stream_pair_connect(const char *address, sl_stream **ret_one, sl_stream **ret_other);

int stream_carries_bytes_in_order(stream_pair_fn pair, size_t total_bytes);
int stream_waits_can_be_cancelled(stream_pair_fn pair);
int stream_close_and_reset(stream_pair_fn pair);
int stream_closed_under_waiters(stream_pair_fn pair);
int stream_closed_after_the_wakeup(stream_pair_fn pair);
/* A look at a stream that nobody reads tells what came and that it ended, whatever was read before. */
int stream_check_tells_the_end(stream_pair_fn pair);
int stream_peer_is_gone(stream_pair_fn pair);
/* A writer whose peer does not read stops before `flood_bytes` are written; then nothing is lost. */
int stream_back_pressure(stream_pair_fn pair, size_t flood_bytes);

/* A drained listener on `address` gives the connections that wait, then SL_EOF. */
int listener_drains(const char *address);

#endif
