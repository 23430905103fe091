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
    SL_OPTION_COUNT,    /* uint64_t */
    SL_OPTION_PORT,     /* int, 0 to 65535 */
    SL_OPTION_DURATION, /* sl_time: 250ms, 10s, 5m */
    SL_OPTION_SPEED     /* double > 0, or "max" for 0 */
};

struct sl_option {
    const char *name; /* without the dashes */
    enum sl_option_type type;
    void *value; /* where it goes */
    const char *help;
};

/* Status of the program for a wrong command line (sysexits.h: EX_USAGE). */
#define SL_EXIT_USAGE 64

/* Reads the arguments; on an error says what is wrong on standard error and returns SL_EINVAL. */
SL_MUST_CHECK int sl_options_parse(const struct sl_option *options, size_t count, int argc, char **argv);
void sl_options_help(const struct sl_option *options, size_t count);

#ifdef __cplusplus
}
#endif

#endif
