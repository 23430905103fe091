/* SPDX-License-Identifier: MIT */
/* Wait queues, event, semaphore. (Mutex and condition: mutex.c; capacity limiter: limiter.c.) */
#include "sluice/sync.h"

#include "internal.h"

/* ---- wait queues ---- */

bool sl__wait_queue_abort(sl_task *task, void *waiter)
{
    (void)task;
    sl__wait_queue_remove(waiter);
    return true;
}

int sl__wait_queue_park(struct sl__wait_queue *queue, const char *what)
{
    struct sl__waiter waiter = {.task = sl__self()};
    sl__wait_queue_push(queue, &waiter);
    return sl_park(sl__wait_queue_abort, &waiter, what);
}

/* ---- event ---- */

void sl_event_init(sl_event *event)
{
    *event = (sl_event)SL_EVENT_INIT;
}

void sl_event_set(sl_event *event)
{
    event->set = true;
    while (sl__wait_queue_wake(&event->waiters, 0)) {
    }
}

bool sl_event_is_set(const sl_event *event)
{
    return event->set;
}

void sl_event_reset(sl_event *event)
{
    event->set = false;
}

int sl_event_wait(sl_event *event)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (event->set) {
        return sl_checkpoint();
    }
    return sl__cancelled(task) ? SL_ECANCELED : sl__wait_queue_park(&event->waiters, "event");
}

/* ---- semaphore ---- */

int sl_semaphore_init(sl_semaphore *semaphore, uint64_t initial, uint64_t max)
{
    if (max != 0 && initial > max) {
        return sl_fail(SL_EINVAL, "sl_semaphore_init(): more permits than the maximum");
    }
    *semaphore = (sl_semaphore){.value = initial, .max = max};
    return 0;
}

/* A permit that is returned goes to the first who waits: while somebody waits the value is 0. */
int sl_semaphore_try_acquire(sl_semaphore *semaphore)
{
    if (semaphore->value == 0) {
        return SL_EAGAIN;
    }
    semaphore->value--;
    return 0;
}

int sl_semaphore_acquire(sl_semaphore *semaphore)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl__coop(task); /* before: others run while this task holds nothing yet */
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    if (sl_semaphore_try_acquire(semaphore) == 0) {
        return 0;
    }
    return sl__wait_queue_park(&semaphore->waiters, "semaphore");
}

int sl_semaphore_release(sl_semaphore *semaphore)
{
    if (sl__wait_queue_wake(&semaphore->waiters, 0)) {
        return 0;
    }
    uint64_t max = semaphore->max == 0 ? UINT64_MAX : semaphore->max;
    if (semaphore->value == max) {
        return sl__misuse(SL_EMISUSE, "sl_semaphore_release(): more permits returned than there are");
    }
    semaphore->value++;
    return 0;
}
