/* SPDX-License-Identifier: MIT */
/* The simulated exchange as a program of its own: venues by name, the truth to a file, until it is stopped. */
#ifndef SLUICE_EXCHANGE_SERVE_H
#define SLUICE_EXCHANGE_SERVE_H

#include "exchange/simulated.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl_exchange_serve_options {
    const char *const *venues; /* "binance-usdm"... */
    size_t venue_count;
    size_t instruments; /* of each */
    double rate;        /* steps a second; 0: as fast as clients read */
    uint64_t steps;     /* 0: no end */
    uint64_t seed;
    int port;
    const char *truth;   /* a file for what truly happened, an event a line; NULL: none */
    sl_time fault_every; /* a random fault so often; 0: none */
};

/* A task's body (argument: the options): tells where it listens, and serves until it is cancelled or asked to stop. */
SL_MUST_CHECK int sl_exchange_serve(void *options);

#ifdef __cplusplus
}
#endif

#endif
