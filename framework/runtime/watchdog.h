/* SPDX-License-Identifier: MIT */
/* What the scheduler's hot path does for the watchdog: one relaxed store and one relaxed load a step. */
#ifndef SL_RUNTIME_WATCHDOG_H
#define SL_RUNTIME_WATCHDOG_H

#include "internal.h"

/* The step shows in the low bits, the task's id above them: any step changes the value. */
#define SL_WATCH_STEP_BITS 20

static inline void sl__watchdog_step(sl_runtime *runtime, const sl_task *task)
{
    uint64_t step = runtime->steps & ((UINT64_C(1) << SL_WATCH_STEP_BITS) - 1);
    atomic_store_explicit(&runtime->watch_step, task->id << SL_WATCH_STEP_BITS | step, memory_order_relaxed);
}

/* The step of `task` is over: says so if it was too long. */
void sl__watchdog_report(sl_runtime *runtime, sl_task *task);

static inline void sl__watchdog_step_ended(sl_runtime *runtime, sl_task *task)
{
    if (SL_UNLIKELY(atomic_load_explicit(&runtime->watch_hit, memory_order_relaxed) != 0)) {
        sl__watchdog_report(runtime, task);
    }
}

#endif
