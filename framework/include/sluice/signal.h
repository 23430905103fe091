/* SPDX-License-Identifier: MIT */
/*
 * Signals as a stream. While a stream is open its signals go to it instead of their old handlers.
 * Repeats of one signal that nobody has read yet count once; several signals take turns. What is unread
 * when the stream closes is raised again for the old handler, which is then called in the thread that
 * closes, or for the run's own reaction (struct sl_run_options.signals). Each runtime of the process that
 * has a stream for a signal gets it; the old handler is back when the last of these streams has closed.
 * Source: Trio's open_signal_receiver().
 */
#ifndef SLUICE_SIGNAL_H
#define SLUICE_SIGNAL_H

#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_signals sl_signals;

#define SL_SIGNALS_MAX 16

/*
 * Opens a stream for `count` signals (1 to SL_SIGNALS_MAX). 0, SL_EINVAL (a number that cannot be caught or
 * is named twice; SIGSEGV, SIGBUS, SIGFPE, SIGILL: faults are no events), SL_EBUSY when another stream of
 * this runtime has one of them, SL_ENOMEM, SL_ENOTASK.
 */
SL_MUST_CHECK int sl_signals_open(const int *numbers, size_t count, sl_signals **ret_signals);

/*
 * Waits for the next signal and returns its number. Cancellation point. SL_EBUSY when a task waits already,
 * SL_ECLOSED when the stream is closed meanwhile, SL_ECANCELED, SL_ENOTASK.
 */
SL_MUST_CHECK int sl_signals_next(sl_signals *signals);

/* Restores the old handlers. NULL is fine. A waiting task gets SL_ECLOSED. */
void sl_signals_close(sl_signals *signals);

#ifdef __cplusplus
}
#endif

#endif
