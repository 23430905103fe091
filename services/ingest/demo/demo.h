/* SPDX-License-Identifier: MIT */
/*
 * The demo: the simulated exchange, and the program on a configuration of its own that brings the exchange's trades and
 * books into SQLite, with the dashboard; all in one process, nothing leaves the machine. When the session ends, what
 * came is compared with what truly happened.
 */
#ifndef SL_INGEST_DEMO_H
#define SL_INGEST_DEMO_H

#include "sluice/time.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_demo_options {
    const char *database;
    bool one_market;      /* one instrument of one venue, on one connection: what is cut is lost; else three venues */
    const char *capture;  /* a captured session of Binance USD-M as that market, to its end; NULL: it is made up */
    double speed;         /* of it, times real time; 0: as fast as it is read */
    uint64_t instruments; /* of each of the three venues */
    double rate;          /* events a second, all venues together; 0: as fast as they are read */
    uint64_t events;      /* then it ends; 0: when it is stopped */
    uint64_t seed;
    sl_time fault_every; /* a connection is cut so often; 0: never */
    const char *redis;   /* URL: it works under a lock there; NULL: none */
    sl_time lock_ttl;    /* 0: SL_LOCK_TTL */
    int port;            /* of the exchange; 0: the system chooses */
    int admin_port;
    bool quiet; /* no live line */
};

/*
 * A task's body (argument: the options). Tells what was received, written and lost. Fails (SL_EPROTO) when a session that
 * was followed to its end is not in the sink whole, or is not told of as lost; when nothing of what came was written, or
 * the sink lost some of it; SL_EPIPE when nobody reads what it says any more.
 */
int sl_demo(void *options);

#ifdef __cplusplus
}
#endif

#endif
