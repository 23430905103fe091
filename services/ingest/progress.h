/* SPDX-License-Identifier: MIT */
/* How far long work has come, for people at a terminal: a bar, and the line of it below the log of `sluice run`. */
#ifndef SL_INGEST_PROGRESS_H
#define SL_INGEST_PROGRESS_H

#include "ingest/program/program.h"
#include "sluice/log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "[##########          ]  33 %" */
#define SL_PROGRESS_BAR_BYTES 40

/* Whether bars may be drawn there: a terminal that can go back in its line. */
bool sl_progress_wanted(int descriptor);

/* `part` of the whole: 0 to 1, what is outside counts as the nearest. */
void sl_progress_bar(double part, char bar[SL_PROGRESS_BAR_BYTES]);

struct sl_progress {
    const sl_program_parts *parts;
    sl_logger *logger;
};

/* A task's body (argument: a struct sl_progress): shows how much of the services' jobs is done, while there are any. A daemon. */
SL_MUST_CHECK int sl_progress_run(void *progress);

#ifdef __cplusplus
}
#endif

#endif
