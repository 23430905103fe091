/* SPDX-License-Identifier: MIT */
/* Instruments: a faulty one is removed and logged, the others go on. Source: Trio's instruments. */
#include <string.h>

#include "internal.h"

/* Calls `member` of each instrument; a negative result takes the instrument out. */
#define CALL_ALL(runtime, member, ...)                                                                                 \
    for (size_t i = 0; i < (runtime)->instrument_count;) {                                                             \
        const struct sl_hooks *instrument = (runtime)->instruments[i];                                                 \
        if (instrument->member != NULL && instrument->member(__VA_ARGS__) < 0) {                                       \
            remove_faulty((runtime), i, #member);                                                                      \
        } else {                                                                                                       \
            i++;                                                                                                       \
        }                                                                                                              \
    }

static void remove_faulty(sl_runtime *runtime, size_t index, const char *hook)
{
    runtime->instrument_count--;
    memmove(&runtime->instruments[index], &runtime->instruments[index + 1],
            (runtime->instrument_count - index) * sizeof runtime->instruments[0]);
    sl__log(runtime, SL_LOG_ERROR, "an instrument failed in its hook %s and was removed", hook);
}

void sl__hook_spawned(sl_runtime *runtime, sl_task *task)
{
    CALL_ALL(runtime, task_spawned, instrument->context, sl_task_ref_of(task))
}

void sl__hook_scheduled(sl_runtime *runtime, sl_task *task)
{
    CALL_ALL(runtime, task_scheduled, instrument->context, sl_task_ref_of(task))
}

void sl__hook_step(sl_runtime *runtime, sl_task *task, bool before)
{
    if (before) {
        CALL_ALL(runtime, before_step, instrument->context, sl_task_ref_of(task))
    } else {
        CALL_ALL(runtime, after_step, instrument->context, sl_task_ref_of(task))
    }
}

void sl__hook_ended(sl_runtime *runtime, sl_task *task, int code)
{
    CALL_ALL(runtime, task_ended, instrument->context, sl_task_ref_of(task), code)
}

void sl__hook_wait(sl_runtime *runtime, bool before, sl_time timeout)
{
    if (before) {
        CALL_ALL(runtime, before_wait, instrument->context, timeout)
    } else {
        CALL_ALL(runtime, after_wait, instrument->context)
    }
}
