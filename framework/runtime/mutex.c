/* SPDX-License-Identifier: MIT */
/*
 * Mutex and condition. Unlocking makes the first waiter the owner in the same step, so that nobody can
 * barge in. A notification moves the waiter from the condition's queue to the mutex's, where it cannot
 * be cancelled any more: it wakes once, holding the mutex.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

void sl_mutex_init(sl_mutex *mutex)
{
    memset(mutex, 0, sizeof *mutex);
}

static inline bool is_broken(const sl_mutex *mutex)
{
    return mutex->broken_by[0] != '\0';
}

static inline bool is_held_by(const sl_mutex *mutex, const sl_task *task)
{
    return task != NULL && mutex->owner.task == task && mutex->owner.id == task->id;
}

static int fail_broken(const sl_mutex *mutex)
{
    return sl_fail(SL_EBROKEN, "task '%s' ended while it held the mutex", mutex->broken_by);
}

static inline void take(sl_mutex *mutex, sl_task *task)
{
    mutex->owner = (sl_task_ref){task, task->id};
    mutex->prev_held = NULL;
    mutex->next_held = task->held;
    if (task->held != NULL) {
        task->held->prev_held = mutex;
    }
    task->held = mutex;
}

static inline void let_go(sl_mutex *mutex)
{
    if (mutex->prev_held != NULL) {
        mutex->prev_held->next_held = mutex->next_held;
    } else {
        mutex->owner.task->held = mutex->next_held;
    }
    if (mutex->next_held != NULL) {
        mutex->next_held->prev_held = mutex->prev_held;
    }
    mutex->next_held = mutex->prev_held = NULL;
    mutex->owner = (sl_task_ref){NULL, 0};
}

static inline void hand_over(sl_mutex *mutex)
{
    let_go(mutex);
    struct sl__waiter *next = mutex->waiters.first;
    if (next != NULL) {
        take(mutex, next->task);
        sl__waiter_wake(next, 0);
    }
}

static int try_lock(sl_mutex *mutex, sl_task *task)
{
    if (SL_UNLIKELY(is_broken(mutex))) {
        return fail_broken(mutex);
    }
    if (mutex->owner.task == NULL) {
        take(mutex, task);
        return 0;
    }
    if (SL_UNLIKELY(is_held_by(mutex, task))) {
        return sl__misuse(SL_EALREADY, "sl_mutex_lock(): the task holds this mutex already");
    }
    return SL_EAGAIN;
}

int sl_mutex_try_lock(sl_mutex *mutex)
{
    sl_task *task = sl__self();
    return task == NULL ? SL_ENOTASK : try_lock(mutex, task);
}

int sl_mutex_lock(sl_mutex *mutex)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl__coop(task); /* before: others run while this task holds nothing yet */
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    int code = try_lock(mutex, task);
    if (code == SL_EAGAIN) {
        code = sl__wait_queue_park(&mutex->waiters, "mutex");
        if (code == SL_EBROKEN) {
            return fail_broken(mutex);
        }
    }
    return code;
}

int sl_mutex_unlock(sl_mutex *mutex)
{
    if (SL_UNLIKELY(!is_held_by(mutex, sl__self()))) {
        return sl__misuse(SL_ENOTOWNER, "sl_mutex_unlock(): the task does not hold this mutex");
    }
    hand_over(mutex);
    return 0;
}

/* Nobody can notify without the mutex, so those who wait on a condition of a broken one are woken, too. */
void sl__mutexes_break(sl_task *task)
{
    while (SL_UNLIKELY(task->held != NULL)) {
        sl_mutex *mutex = task->held;
        let_go(mutex);
        const char *name = task->name == NULL || task->name[0] == '\0' ? "?" : task->name;
        (void)snprintf(mutex->broken_by, sizeof mutex->broken_by, "%s", name);
        while (sl__wait_queue_wake(&mutex->waiters, SL_EBROKEN)) {
        }
        for (sl_condition *condition = mutex->conditions; condition != NULL; condition = condition->next) {
            while (sl__wait_queue_wake(&condition->waiters, SL_EBROKEN)) {
            }
        }
    }
}

/* ---- condition ---- */

void sl_condition_init(sl_condition *condition, sl_mutex *mutex)
{
    *condition = (sl_condition){.mutex = mutex};
}

/* The mutex knows its conditions only while somebody waits there, as they may go away at any other time. */
static void enter(sl_condition *condition)
{
    if (condition->waiting++ > 0) {
        return;
    }
    sl_mutex *mutex = condition->mutex;
    condition->prev = NULL;
    condition->next = mutex->conditions;
    if (mutex->conditions != NULL) {
        mutex->conditions->prev = condition;
    }
    mutex->conditions = condition;
}

static void leave(sl_condition *condition)
{
    if (--condition->waiting > 0) {
        return;
    }
    if (condition->prev != NULL) {
        condition->prev->next = condition->next;
    } else {
        condition->mutex->conditions = condition->next;
    }
    if (condition->next != NULL) {
        condition->next->prev = condition->prev;
    }
}

struct condition_waiter {
    struct sl__waiter waiter;
    sl_condition *condition;
};

/* A waiter that was notified stays: it waits for the mutex now, and keeps its notification. */
static bool condition_abort(sl_task *task, void *object)
{
    struct condition_waiter *waiter = object;
    (void)task;
    if (waiter->waiter.queue != &waiter->condition->waiters) {
        return false;
    }
    sl__wait_queue_remove(&waiter->waiter);
    return true;
}

/* Waits for the mutex whatever is cancelled. 0 or SL_EBROKEN. */
static int relock(sl_mutex *mutex, sl_task *task)
{
    int code = try_lock(mutex, task);
    if (code == SL_EAGAIN) {
        struct sl__waiter waiter = {.task = task};
        sl__wait_queue_push(&mutex->waiters, &waiter);
        code = sl_park(NULL, &waiter, "mutex");
    }
    return code;
}

int sl_condition_wait(sl_condition *condition)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl_mutex *mutex = condition->mutex;
    if (!is_held_by(mutex, task)) {
        return sl__misuse(SL_ENOTOWNER, "sl_condition_wait(): the task does not hold the mutex");
    }
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    struct condition_waiter waiter = {.waiter = {.task = task}, .condition = condition};
    enter(condition);
    sl__wait_queue_push(&condition->waiters, &waiter.waiter);
    hand_over(mutex);
    int code = sl_park(condition_abort, &waiter, "condition");
    leave(condition);
    if (code == SL_ECANCELED) {
        int locked = relock(mutex, task);
        code = locked < 0 ? locked : code;
    }
    return code == SL_EBROKEN ? fail_broken(mutex) : code;
}

int sl_condition_notify(sl_condition *condition, size_t count)
{
    sl_mutex *mutex = condition->mutex;
    if (!is_held_by(mutex, sl__self())) {
        return sl__misuse(SL_ENOTOWNER, "sl_condition_notify(): the task does not hold the mutex");
    }
    struct sl__waiter *waiter;
    while (count-- > 0 && (waiter = condition->waiters.first) != NULL) {
        sl__wait_queue_remove(waiter);
        sl__wait_queue_push(&mutex->waiters, waiter);
        waiter->task->what = "mutex";
    }
    return 0;
}

int sl_condition_notify_all(sl_condition *condition)
{
    return sl_condition_notify(condition, SIZE_MAX);
}
