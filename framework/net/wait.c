/* SPDX-License-Identifier: MIT */
/* Tasks that wait on a record of the network, and when the record may go. */
#include "../runtime/internal.h"
#include "stream.h"

void sl__waits_init(struct sl__waits *waits, bool outside)
{
    *waits = (struct sl__waits){.holds = 1, .outside = outside};
}

void sl__waits_hold(struct sl__waits *waits)
{
    waits->holds++;
}

bool sl__waits_drop(struct sl__waits *waits)
{
    bool closed = waits->closed;
    if (--waits->holds == 0) {
        sl_free(waits); /* the first member of its record */
    }
    return closed;
}

static bool stop_waiting(sl_task *task, void *object)
{
    (void)task;
    *(sl_task **)object = NULL;
    return true;
}

int sl__waits_park(struct sl__waits *waits, enum sl__side side, const char *what)
{
    sl_runtime *runtime = sl__runtime;
    bool outside = waits->outside;
    waits->tasks[side] = sl_current();
    sl__waits_hold(waits);
    runtime->external += outside;
    int code = sl_park(stop_waiting, &waits->tasks[side], what);
    runtime->external -= outside;
    return sl__waits_drop(waits) ? SL_ECLOSED : code;
}

void sl__waits_wake(struct sl__waits *waits, enum sl__side side, int result)
{
    sl_task *task = waits->tasks[side];
    waits->tasks[side] = NULL;
    if (task != NULL) {
        sl_unpark(task, result);
    }
}

void sl__waits_close(struct sl__waits *waits)
{
    waits->closed = true;
    sl__waits_wake(waits, SL_READABLE, SL_ECLOSED);
    sl__waits_wake(waits, SL_WRITABLE, SL_ECLOSED);
}
