/* SPDX-License-Identifier: MIT */
/* Cancelling a simulated run after its n-th step, for every n. */
#ifndef SL_TESTS_CANCEL_STEPS_H
#define SL_TESTS_CANCEL_STEPS_H

#include "sl_conformance.h"

/*
 * Runs body(arg), which simulates a network, in a scope that is cancelled after the n-th step of a task, for
 * n = 0, 1, ... until it ends before that: how many runs were cancelled. Each must end with 0 and leave neither
 * memory nor connections; a check that fails gives SL_CHECK_FAILED.
 */
int64_t cancel_at_each_step(const struct sl_run_options *options, sl_task_fn body, void *arg);

/* One of these runs: 1; 0 when it ended before its n-th step; SL_CHECK_FAILED. */
int cancel_at_step(const struct sl_run_options *options, sl_task_fn body, void *arg, int64_t n);

/* Within the body: from now on this scope is the one that is cancelled; NULL: none. */
void cancel_steps_aim(sl_scope *scope);

#endif
