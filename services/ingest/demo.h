/* SPDX-License-Identifier: MIT */
/*
 * The demo: the simulated exchange as three venues, and the program on a configuration of its own that brings their
 * trades and books into SQLite, with the dashboard; all in one process, nothing leaves the machine.
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
    uint64_t instruments; /* of each venue */
    uint64_t rate;        /* events a second, all venues together */
    uint64_t events;      /* then it ends; 0: when it is stopped */
    uint64_t seed;
    sl_time fault_every; /* 0: never */
    int admin_port;
    bool quiet; /* no live line */
};

/* A task's body (argument: the options). Its report tells what was received, written and lost, and whether that is all. */
int sl_demo(void *options);

#ifdef __cplusplus
}
#endif

#endif
