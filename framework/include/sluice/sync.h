/* SPDX-License-Identifier: MIT */
/*
 * Synchronisation between tasks of one runtime. All objects live in the caller's storage, start from
 * their _init value or function, hold no heap memory and need no destruction; they must outlive the
 * calls of the tasks that wait on them. Waiters are served strictly first come, first served.
 *
 * Common rules: a waiter that was served before a cancellation in the same step has what it waited for
 * (its call returns 0); one that was cancelled first has not, and what it would have got goes to the
 * next. Blocking calls are cancellation points: in a cancelled scope they return SL_ECANCELED with no
 * effect on the object; outside a task SL_ENOTASK. A try_ call never goes before a task that waits.
 *
 * All calls are for the runtime's thread. Those that do not block and need no owner may also be made
 * from the event loop's callbacks.
 */
#ifndef SLUICE_SYNC_H
#define SLUICE_SYNC_H

#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Private to the runtime. */
struct sl__waiter;
struct sl__wait_queue {
    struct sl__waiter *first, *last;
    size_t count;
};

/* ---- event: set once, wakes all ---- */

typedef struct sl_event {
    bool set;
    struct sl__wait_queue waiters;
} sl_event;

#define SL_EVENT_INIT                                                                                                  \
    {                                                                                                                  \
        false,                                                                                                         \
        {                                                                                                              \
            NULL, NULL, 0                                                                                              \
        }                                                                                                              \
    }

/* A new event, not set. Only while nobody waits on it. */
void sl_event_init(sl_event *event);

/* Sets it and wakes all who wait; again: no effect. Does not block. */
void sl_event_set(sl_event *event);

bool sl_event_is_set(const sl_event *event);

/* Later waits block again; those already served are not affected. */
void sl_event_reset(sl_event *event);

/* Waits until it is set; a full checkpoint when it is. 0, SL_ECANCELED, SL_ENOTASK. Cancellation point. */
SL_MUST_CHECK int sl_event_wait(sl_event *event);

/* ---- mutex: owned by a task, strict first-in-first-out hand-off ---- */

struct sl_condition;

typedef struct sl_mutex {
    sl_task_ref owner;
    char broken_by[32]; /* name of the task that ended while it held the mutex, or "" */
    struct sl__wait_queue waiters;
    struct sl_mutex *next_held, *prev_held;
    struct sl_condition *conditions; /* those on which a task waits */
} sl_mutex;

/* A new mutex; all bytes zero is one, too. Only while nobody holds it or waits for it. */
void sl_mutex_init(sl_mutex *mutex);

/*
 * Waits for the mutex and holds it. 0; SL_EALREADY when the caller holds it; SL_EBROKEN, for ever, when
 * an owner ended holding it (the error names it; what the mutex guarded may be half changed);
 * SL_ECANCELED, SL_ENOTASK. Cancellation point. The try form never waits and adds SL_EAGAIN.
 */
SL_MUST_CHECK int sl_mutex_lock(sl_mutex *mutex);
SL_MUST_CHECK int sl_mutex_try_lock(sl_mutex *mutex);

/* Hands the mutex to the first who waits. 0, SL_ENOTOWNER when the caller does not hold it. Does not block. */
int sl_mutex_unlock(sl_mutex *mutex);

/* ---- condition: wait, with a mutex, until somebody says that what it guards has changed ---- */

typedef struct sl_condition {
    sl_mutex *mutex;
    struct sl__wait_queue waiters; /* not notified yet */
    size_t waiting;                /* calls of sl_condition_wait() that have not returned */
    struct sl_condition *next, *prev;
} sl_condition;

/* A new condition that belongs to `mutex`, which must outlive it. */
void sl_condition_init(sl_condition *condition, sl_mutex *mutex);

/*
 * Unlocks, waits for a notification, locks again, which nothing interrupts: the mutex is held when it
 * returns 0 or SL_ECANCELED. In a cancelled scope it returns SL_ECANCELED without letting go of the
 * mutex. SL_EBROKEN: the mutex broke meanwhile and is not held. SL_ENOTOWNER without the mutex;
 * SL_ENOTASK. Cancellation point.
 */
SL_MUST_CHECK int sl_condition_wait(sl_condition *condition);

/*
 * Wakes the `count` tasks that wait longest, or all; they go on when the caller has unlocked. 0, or
 * SL_ENOTOWNER without the mutex. Does not block.
 */
int sl_condition_notify(sl_condition *condition, size_t count);
int sl_condition_notify_all(sl_condition *condition);

/* ---- semaphore ---- */

typedef struct sl_semaphore {
    uint64_t value;
    uint64_t max;
    struct sl__wait_queue waiters;
} sl_semaphore;

/* A new semaphore with `initial` permits; `max` 0: no maximum. 0, or SL_EINVAL when initial > max. */
int sl_semaphore_init(sl_semaphore *semaphore, uint64_t initial, uint64_t max);

/* Waits for a permit. 0, SL_ECANCELED, SL_ENOTASK. Cancellation point. */
SL_MUST_CHECK int sl_semaphore_acquire(sl_semaphore *semaphore);

/* The same without waiting: 0, or SL_EAGAIN, also when others wait. */
SL_MUST_CHECK int sl_semaphore_try_acquire(sl_semaphore *semaphore);

/* Gives a permit to the first who waits, or adds one. 0, SL_EMISUSE beyond the maximum. Does not block. */
int sl_semaphore_release(sl_semaphore *semaphore);

/* ---- capacity limiter: who holds how many of a number of tokens ---- */

/* One borrowed token. The caller keeps it where the token is used; private members. */
typedef struct sl_token {
    const void *borrower;
    struct sl_token *child[2];
} sl_token;

typedef struct sl_capacity_limiter {
    uint64_t total;
    uint64_t borrowed;
    sl_token *tokens;
    struct sl__wait_queue waiters;
} sl_capacity_limiter;

/* A new limiter of `total` tokens; 0 is legal and blocks all. */
void sl_capacity_limiter_init(sl_capacity_limiter *limiter, uint64_t total);

/*
 * Borrows a token for `borrower` (any address; NULL: the running task). 0; SL_EALREADY when that
 * borrower has one; SL_ECANCELED; SL_ENOTASK (try: only when borrower is NULL). Cancellation point.
 * `token` is storage of the caller, not in use for another token, which must stay until the token is
 * returned. The try form never waits and adds SL_EAGAIN. Looking up a borrower takes O(log n).
 */
SL_MUST_CHECK int sl_capacity_limiter_acquire(sl_capacity_limiter *limiter, const void *borrower, sl_token *token);
SL_MUST_CHECK int sl_capacity_limiter_try_acquire(sl_capacity_limiter *limiter, const void *borrower, sl_token *token);

/* Returns the borrower's token. 0, SL_ENOTOWNER when it has none, SL_ENOTASK. Does not block. */
int sl_capacity_limiter_release(sl_capacity_limiter *limiter, const void *borrower);

/* Raising wakes who waits; lowering below what is borrowed takes nothing back: it waits for returns. */
void sl_capacity_limiter_resize(sl_capacity_limiter *limiter, uint64_t total);

#ifdef __cplusplus
}
#endif

#endif
