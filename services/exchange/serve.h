/* SPDX-License-Identifier: MIT */
/* The simulated exchange as a program of its own: a scenario, the truth to a file, until it is stopped. */
#ifndef SLUICE_EXCHANGE_SERVE_H
#define SLUICE_EXCHANGE_SERVE_H

#include "exchange/scenario.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A task's body (argument: a const struct sl_scenario): tells where it listens, plays the scenario and serves until it
 * is cancelled or asked to stop. What opening the exchange and writing the truth give.
 */
SL_MUST_CHECK int sl_exchange_serve(void *scenario);

#ifdef __cplusplus
}
#endif

#endif
