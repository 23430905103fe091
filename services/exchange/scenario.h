/* SPDX-License-Identifier: MIT */
/*
 * A scenario of the simulated exchange: which venues with how many instruments, how fast, and what goes wrong when. A
 * YAML file of the same kind as the program's configuration, with the same errors; docs/reference/scenario.md is made of
 * the table here. Tests use the same files, in virtual time.
 */
#ifndef SLUICE_EXCHANGE_SCENARIO_H
#define SLUICE_EXCHANGE_SCENARIO_H

#include "exchange/simulated.h"
#include "sluice/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One of `venues`. */
struct sl_scenario_venue {
    uint64_t instruments;
    uint64_t levels; /* a side of each book; 0: as usual at the venue */
    uint64_t deep;   /* further levels that never change */
    bool checksums;
};

/* One of `faults`: something that goes wrong at times. */
struct sl_scenario_fault {
    struct sl_config_list what;   /* int: enum sl_fault; one of them is drawn each time */
    struct sl_config_list venues; /* int: enum sl_venue; all together each time; none: all of the scenario */
    const char *instrument;       /* a pattern; NULL: any */
    sl_time at;                   /* the first time, from the beginning */
    sl_time every;                /* then so often; 0: once */
    bool random;                  /* `at` and `every` are means of times that are drawn */
    sl_time until;                /* none after; 0: always */
    uint64_t count;
    sl_time duration;
};

struct sl_scenario {
    uint64_t seed;
    uint64_t port; /* 0: chosen by the system */
    double rate;   /* steps a second; 0: as fast as clients read */
    uint64_t steps;
    uint64_t wait;
    double trades; /* of the steps */
    const char *truth;
    struct sl_config_list capture; /* const char *: files that are played instead of a market that is made up */
    double speed;
    const struct sl_scenario_venue *venues[SL_VENUE_COUNT]; /* NULL: not there */
    struct sl_config_list faults;                           /* struct sl_scenario_fault */
};

/* The root of the table, for sl_config_load(). */
extern const struct sl_config_section sl_scenario_root;

/*
 * Defines the instruments of all venues in an empty table, opens the captured session, if it has one (else NULL; the
 * caller closes it behind the exchange), and fills in the options but for their `arg` and `record`. Reads the files.
 */
SL_MUST_CHECK int sl_scenario_prepare(const struct sl_scenario *scenario, sl_instruments *instruments,
                                      struct sl_simulated_options *ret_options);

/* Orders of a scenario over time. */
typedef struct sl_scenario_run sl_scenario_run;

/* Both borrowed; the time begins now. In a task; does not wait. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_scenario_begin(const struct sl_scenario *scenario, sl_simulated *exchange,
                                    sl_scenario_run **ret_run);
void sl_scenario_end(sl_scenario_run *run);
SL_AUTO_DECLARE(sl_scenario_run, sl_scenario_end)

/* Orders what is due, until nothing will be any more: a task's body (argument: the run). Codes of sl_simulated_order(). */
SL_MUST_CHECK int sl_scenario_play(void *run);

#ifdef __cplusplus
}
#endif

#endif
