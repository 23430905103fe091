/* SPDX-License-Identifier: MIT */
/*
 * The simulated exchange: plays a session to WebSocket clients at a chosen speed, answers depth requests
 * with its true book, and cuts connections now and then. Messages go on while nobody is connected, as in
 * life; before the first client the session waits.
 */
#ifndef SL_EXCHANGE_SERVER_H
#define SL_EXCHANGE_SERVER_H

#include "exchange/session.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl_exchange_options {
    sl_session_options session;
    double speed;      /* times real time; 0: as fast as the slowest client reads */
    sl_time cut_every; /* cuts all connections this often; 0: never */
    int port;          /* on 127.0.0.1; 0: chosen by the system */
};

struct sl_exchange_stats {
    uint64_t connections, cuts;
    bool over; /* the whole session was played */
};

typedef struct sl_exchange sl_exchange;

/* Opens the session and the port. Errors of both. In a task; does not wait. */
SL_MUST_CHECK int sl_exchange_open(const struct sl_exchange_options *options, sl_exchange **ret_exchange);
void sl_exchange_close(sl_exchange *exchange);
SL_AUTO_DECLARE(sl_exchange, sl_exchange_close)

int sl_exchange_port(const sl_exchange *exchange);
const sl_session *sl_exchange_session(const sl_exchange *exchange);
struct sl_exchange_stats sl_exchange_get_stats(const sl_exchange *exchange);

/* A task's body (argument: the exchange): serves until it is cancelled. Clients get a close frame at the session's end. */
int sl_exchange_run(void *exchange);

#ifdef __cplusplus
}
#endif

#endif
