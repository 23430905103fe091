/* SPDX-License-Identifier: MIT */
/*
 * Wait queues: who waits on an event, a mutex, one side of a channel. A waiter lies on the stack of the
 * waiting task; whoever serves it takes it off the queue and unparks its task in the same step. So a
 * waiter that is on a queue has got nothing yet, and one that is off it keeps what it got: a cancelled
 * task is taken off by its abort hook, and nothing can be lost between the two.
 */
#ifndef SL_RUNTIME_WAIT_QUEUE_H
#define SL_RUNTIME_WAIT_QUEUE_H

#include "sluice/sync.h"

struct sl__select; /* select.c */

struct sl__waiter {
    struct sl__waiter *next, *prev;
    struct sl__wait_queue *queue; /* NULL once it is off */
    sl_task *task;
    struct sl__select *select; /* not NULL: it stands for one clause of a select */
};

/* Takes the other clauses off their queues; `waiter` is off already. Returns the result to unpark with. */
int sl__select_fired(struct sl__waiter *waiter, int result);

static inline void sl__wait_queue_push(struct sl__wait_queue *queue, struct sl__waiter *waiter)
{
    waiter->queue = queue;
    waiter->next = NULL;
    waiter->prev = queue->last;
    if (queue->last != NULL) {
        queue->last->next = waiter;
    } else {
        queue->first = waiter;
    }
    queue->last = waiter;
    queue->count++;
}

/* Harmless for a waiter that is off already. */
static inline void sl__wait_queue_remove(struct sl__waiter *waiter)
{
    struct sl__wait_queue *queue = waiter->queue;
    if (queue == NULL) {
        return;
    }
    if (waiter->prev != NULL) {
        waiter->prev->next = waiter->next;
    } else {
        queue->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->prev = waiter->prev;
    } else {
        queue->last = waiter->prev;
    }
    queue->count--;
    waiter->queue = NULL;
}

/* Takes the first waiter off, which there is. */
static inline void sl__wait_queue_take_first(struct sl__wait_queue *queue)
{
    struct sl__waiter *waiter = queue->first;
    queue->first = waiter->next;
    if (waiter->next != NULL) {
        waiter->next->prev = NULL;
    } else {
        queue->last = NULL;
    }
    queue->count--;
    waiter->queue = NULL;
}

/* Takes the waiter off and unparks its task; `result` is the code its call returns or its clause gets. */
static inline void sl__waiter_wake(struct sl__waiter *waiter, int result)
{
    sl__wait_queue_remove(waiter);
    sl_task *task = waiter->task;
    sl_unpark(task, waiter->select == NULL ? result : sl__select_fired(waiter, result));
}

/* Takes the first waiter off and unparks its task with `result`; false when the queue is empty. */
static inline bool sl__wait_queue_wake(struct sl__wait_queue *queue, int result)
{
    if (queue->first == NULL) {
        return false;
    }
    sl__waiter_wake(queue->first, result);
    return true;
}

/* An sl_abort_fn: takes the waiter off. */
bool sl__wait_queue_abort(sl_task *task, void *waiter);

/* Pushes the running task and parks it; the usual body of a blocking call. */
int sl__wait_queue_park(struct sl__wait_queue *queue, const char *what);

#endif
