/* SPDX-License-Identifier: MIT */
/*
 * Select. Looks at the clauses in order; when none can go on, puts a waiter on the queue of each. The
 * first one that is served takes the others off in the same step, so that exactly one has an effect.
 */
#include "channel_internal.h"

/* Up to this many clauses the waiters fit into a small frame; most selects have two or three. */
#define FEW_CLAUSES 6

/* The n-th waiter stands for the n-th clause; those of stop requests are on no queue. */
struct sl__select {
    struct sl__channel_waiter *waiters;
    struct sl_select_clause *clauses;
    size_t count;
    sl_task *task;
    struct sl__timer timer;
};

/* Takes all off that still are on a queue. */
static void all_off(struct sl__select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        struct sl__channel_waiter *waiter = &select->waiters[i];
        if (waiter->end != NULL) {
            sl__channel_waiter_remove(waiter);
        } else {
            sl__wait_queue_remove(&waiter->waiter);
        }
    }
    sl__timer_disarm(&select->task->runtime->timers, &select->timer);
}

int sl__select_fired(struct sl__waiter *waiter, int result)
{
    struct sl__select *select = waiter->select;
    ptrdiff_t index = SL_CONTAINER(waiter, struct sl__channel_waiter, waiter) - select->waiters;
    all_off(select);
    select->clauses[index].code = result;
    return (int)index;
}

static bool select_abort(sl_task *task, void *object)
{
    (void)task;
    all_off(object);
    return true;
}

static void select_timeout(struct sl__timer *timer)
{
    struct sl__select *select = SL_CONTAINER(timer, struct sl__select, timer);
    all_off(select);
    sl_unpark(select->task, SL_ETIMEDOUT);
}

static int check(const struct sl_select_clause *clauses, size_t count, sl_time timeout)
{
    if (count > SL_SELECT_CLAUSES_MAX) {
        return sl_fail(SL_EINVAL, "sl_select(): %zu clauses are more than %d", count, SL_SELECT_CLAUSES_MAX);
    }
    if (timeout < 0) {
        return sl_fail(SL_EINVAL, "sl_select(): negative timeout");
    }
    for (size_t i = 0; i < count; i++) {
        const struct sl_select_clause *clause = &clauses[i];
        bool valid = (clause->kind == SL_SELECT_SEND && clause->sender != NULL) ||
                     (clause->kind == SL_SELECT_RECEIVE && clause->receiver != NULL) ||
                     (clause->kind == SL_SELECT_EVENT && clause->event != NULL) || clause->kind == SL_SELECT_STOP;
        if (!valid) {
            return sl_fail(SL_EINVAL, "sl_select(): clause %zu is of an unknown kind or lacks its object", i);
        }
    }
    return 0;
}

/* What the clause comes to without waiting: its code, or SL_EAGAIN. */
static int try_clause(const sl_task *task, const struct sl_select_clause *clause)
{
    switch (clause->kind) {
    case SL_SELECT_SEND:
        return sl_channel_try_send(clause->sender, clause->item);
    case SL_SELECT_RECEIVE:
        return sl_channel_try_receive(clause->receiver, clause->item);
    case SL_SELECT_EVENT:
        return clause->event->set ? 0 : SL_EAGAIN;
    case SL_SELECT_STOP:
        return task->scope->stop_effective ? 0 : SL_EAGAIN;
    }
    return SL_EAGAIN;
}

/* The index of the first clause that goes on now, or SL_EAGAIN. */
static int try_all(const sl_task *task, struct sl_select_clause *clauses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int code = try_clause(task, &clauses[i]);
        if (code != SL_EAGAIN) {
            clauses[i].code = code;
            return (int)i;
        }
    }
    return SL_EAGAIN;
}

static void push_clause(struct sl__select *select, size_t index)
{
    struct sl_select_clause *clause = &select->clauses[index];
    struct sl__channel_waiter *waiter = &select->waiters[index];
    waiter->waiter.task = select->task;
    waiter->waiter.select = select;
    waiter->item = clause->item;
    switch (clause->kind) {
    case SL_SELECT_SEND:
        waiter->end = &clause->sender->end;
        sl__channel_waiter_push(&waiter->end->channel->senders, waiter);
        break;
    case SL_SELECT_RECEIVE:
        waiter->end = &clause->receiver->end;
        sl__channel_waiter_push(&waiter->end->channel->receivers, waiter);
        break;
    case SL_SELECT_EVENT:
        waiter->end = NULL;
        sl__wait_queue_push(&clause->event->waiters, &waiter->waiter);
        break;
    case SL_SELECT_STOP:
        waiter->end = NULL;
        waiter->waiter.queue = NULL;
        break;
    }
}

static int wait_for_one(sl_task *task, struct sl_select_clause *clauses, size_t count, sl_time timeout,
                        struct sl__channel_waiter *waiters)
{
    struct sl__select select = {.waiters = waiters, .clauses = clauses, .count = count, .task = task};
    int stop_index = -1; /* of the first such clause */
    for (size_t i = 0; i < count; i++) {
        push_clause(&select, i);
        if (clauses[i].kind == SL_SELECT_STOP && stop_index < 0) {
            stop_index = (int)i;
        }
    }
    if (timeout != SL_NEVER) {
        select.timer.fire = select_timeout;
        sl__timer_arm(&task->runtime->timers, &select.timer, sl_time_add(sl_now(), timeout));
    }
    task->wants_stop = stop_index >= 0;
    int code = sl_park(select_abort, &select, "select");
    if (code == SL_ESHUTDOWN && stop_index >= 0) {
        clauses[stop_index].code = 0;
        return stop_index;
    }
    return code;
}

/* Two frames, so that the usual one stays small. */
static __attribute__((noinline)) int wait_few(sl_task *task, struct sl_select_clause *clauses, size_t count,
                                              sl_time timeout)
{
    struct sl__channel_waiter waiters[FEW_CLAUSES];
    return wait_for_one(task, clauses, count, timeout, waiters);
}

static __attribute__((noinline)) int wait_many(sl_task *task, struct sl_select_clause *clauses, size_t count,
                                               sl_time timeout)
{
    struct sl__channel_waiter waiters[SL_SELECT_CLAUSES_MAX];
    return wait_for_one(task, clauses, count, timeout, waiters);
}

int sl_select(struct sl_select_clause *clauses, size_t count, sl_time timeout)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    int code = check(clauses, count, timeout);
    if (code < 0) {
        return code;
    }
    sl__coop(task);
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    code = try_all(task, clauses, count);
    if (code != SL_EAGAIN || timeout == 0) {
        return code;
    }
    return count <= FEW_CLAUSES ? wait_few(task, clauses, count, timeout) : wait_many(task, clauses, count, timeout);
}
