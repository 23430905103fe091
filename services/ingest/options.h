/* SPDX-License-Identifier: MIT */
/* Command-line options by table: --name VALUE or --name=VALUE, and flags. */
#ifndef SL_INGEST_OPTIONS_H
#define SL_INGEST_OPTIONS_H

#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_option_type {
    SL_OPTION_TEXT,     /* const char * */
    SL_OPTION_FLAG,     /* bool */
    SL_OPTION_COUNT,    /* uint64_t, below 10^15 */
    SL_OPTION_PORT,     /* int, 0 to 65535 */
    SL_OPTION_DURATION, /* sl_time: 250ms, 10s, 5m */
    SL_OPTION_SPEED,    /* double > 0, or "max" for 0 */
    SL_OPTION_SYMBOL    /* char[SL_OPTION_SYMBOL_BYTES]: letters, digits and '_', stored in upper case */
};

#define SL_OPTION_SYMBOL_BYTES 32

struct sl_option {
    const char *name; /* without the dashes */
    enum sl_option_type type;
    void *value; /* where it goes */
    const char *help;
    unsigned commands; /* whose option it is: a bit each */
    /* COUNT, DURATION (in ns): the limits and how to tell of them; `max` 0: none. A duration of 0 is always allowed. */
    uint64_t min, max;
    const char *range;
};

struct sl_command {
    const char *name;
    unsigned bit; /* see struct sl_option.commands */
    const char *help;
};

/* Statuses of the program: for a wrong command line, and for what the venue says it has not (sysexits.h). */
#define SL_EXIT_USAGE 64
#define SL_EXIT_CONFIG 78

/*
 * The command of that name, or NULL after an error on standard error that names the nearest one. The table ends
 * with a row without a name.
 */
const struct sl_command *sl_command_find(const struct sl_command *commands, const char *name);

/*
 * Reads the arguments of a command. 0; 1 when --help is among them; SL_EINVAL after saying on standard error
 * what is wrong. The table ends with a row without a name.
 */
SL_MUST_CHECK int sl_options_parse(const struct sl_option *options, const struct sl_command *command, int argc,
                                   char **argv);

/* Prints the options of those commands whose bits are given. */
void sl_options_help(const struct sl_option *options, unsigned commands);

#ifdef __cplusplus
}
#endif

#endif
