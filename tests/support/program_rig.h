/* SPDX-License-Identifier: MIT */
/*
 * The whole program in the simulated world, from the text of its configuration, against the simulated exchange or a
 * server of the test's own.
 */
#ifndef SL_TESTS_PROGRAM_RIG_H
#define SL_TESTS_PROGRAM_RIG_H

#include "exchange/simulated.h"
#include "ingest/program/program.h"
#include "sluice/http.h"

#define PROGRAM_RIG_CONFIG_BYTES 4096
#define PROGRAM_RIG_PORT 7100

struct program_rig {
    sl_venue venue;
    size_t instruments;   /* of the exchange */
    sl_time history;      /* the market moves for so long before the program begins, and then no more; 0: it goes on */
    double rate;          /* of its market; 0: 1 */
    const char *config;   /* all but venues and admin */
    const char *of_venue; /* further keys of the venue, ", bulkhead: one"; NULL: none */
    sl_http_handler answer;                  /* serves requests in place of the exchange; NULL: it does */
    void *arg;                               /* whatever the test wants */
    const char *record;                      /* the file of a recording; NULL: none */
    int (*conduct)(struct program_rig *rig); /* beside the program, which ends when it does */
    sl_instruments *theirs;                  /* while it runs: the exchange's table, */
    sl_simulated *exchange;                  /* the exchange, */
    sl_reload *reload;
    sl_program_parts *parts; /* the program */
    sl_recording *recording;
    bool begun; /* the program has */
    char text[PROGRAM_RIG_CONFIG_BYTES];
};

/* A task's body (argument: the rig): simulates a network and plays all of it. May be played again. */
int program_rig_play(void *rig);

/* The same in a runtime of its own, whose clock begins at `start` (0: a second): the code. What is left of memory fails the test. */
int program_rig_run_from(struct program_rig *rig, sl_time start);
int program_rig_run(struct program_rig *rig);

/* The service of that name; NULL: it does not run yet. */
struct sl_program_service *program_rig_service(const struct program_rig *rig, const char *name);

/* Our instrument that is the exchange's at a place; NULL: the list is not there yet. */
const sl_instrument *program_rig_ours(const struct program_rig *rig, size_t at);

#endif
