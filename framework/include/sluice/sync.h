/* SPDX-License-Identifier: MIT */
/*
 * Synchronisation between tasks of one runtime. All objects live in the caller's storage, start from
 * their _init value or function, hold no heap memory and need no destruction; they must outlive the
 * tasks that wait on them. Waiters are served strictly first come, first served.
 *
 * Common rules: a waiter that was served before a cancellation in the same step has what it waited for
 * (its call returns 0); one that was cancelled first has not, and what it would have got goes to the
 * next. Blocking calls are cancellation points and return SL_ECANCELED, or SL_ENOTASK outside a task.
 */
#ifndef SLUICE_SYNC_H
#define SLUICE_SYNC_H

#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

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
        false, { NULL, NULL, 0 }                                                                                       \
    }

void sl_event_init(sl_event *event);
void sl_event_set(sl_event *event);
bool sl_event_is_set(const sl_event *event);
void sl_event_reset(sl_event *event); /* later waits block again; those already served are not affected */
SL_MUST_CHECK int sl_event_wait(sl_event *event); /* a full checkpoint when already set */

/* ---- mutex: owned by a task, strict first-in-first-out hand-off ---- */

typedef struct sl_mutex {
    sl_task_ref owner;
    char broken_by[32];           /* name of a task that ended while it held the mutex, or "" */
    struct sl__wait_queue waiters;
    struct sl_mutex *next_held, *prev_held;
} sl_mutex;

void sl_mutex_init(sl_mutex *mutex);
/* 0; SL_EALREADY when the caller holds it; SL_EBROKEN, for ever, when an owner ended holding it (the error names it). */
SL_MUST_CHECK int sl_mutex_lock(sl_mutex *mutex);
SL_MUST_CHECK int sl_mutex_try_lock(sl_mutex *mutex); /* also SL_EAGAIN */
int sl_mutex_unlock(sl_mutex *mutex); /* 0, SL_ENOTOWNER; hands it to the first waiter */

/* ---- condition ---- */

typedef struct sl_condition {
    sl_mutex *mutex;
    struct sl__wait_queue waiters;
} sl_condition;

void sl_condition_init(sl_condition *condition, sl_mutex *mutex);
/*
 * Unlocks, waits for a notification, locks again (shielded): the mutex is held when it returns, also
 * after SL_ECANCELED. SL_ENOTOWNER without the mutex.
 */
SL_MUST_CHECK int sl_condition_wait(sl_condition *condition);
int sl_condition_notify(sl_condition *condition, size_t count); /* SL_ENOTOWNER without the mutex */
int sl_condition_notify_all(sl_condition *condition);

/* ---- semaphore ---- */

typedef struct sl_semaphore {
    uint64_t value;
    uint64_t max;
    struct sl__wait_queue waiters;
} sl_semaphore;

/* `max` 0: no maximum. SL_EINVAL when initial > max. */
int sl_semaphore_init(sl_semaphore *semaphore, uint64_t initial, uint64_t max);
SL_MUST_CHECK int sl_semaphore_acquire(sl_semaphore *semaphore);
SL_MUST_CHECK int sl_semaphore_try_acquire(sl_semaphore *semaphore); /* SL_EAGAIN also when others wait */
int sl_semaphore_release(sl_semaphore *semaphore); /* SL_EMISUSE beyond the maximum */

/* ---- capacity limiter: who holds how many of a number of tokens ---- */

/* One borrowed token. The caller keeps it where the token is used; private members. */
typedef struct sl_token {
    const void *borrower;
    struct sl_token *prev, *next;
} sl_token;

typedef struct sl_capacity_limiter {
    uint64_t total;
    uint64_t borrowed;
    sl_token *tokens;
    struct sl__wait_queue waiters;
} sl_capacity_limiter;

void sl_capacity_limiter_init(sl_capacity_limiter *limiter, uint64_t total); /* 0 is legal and blocks all */
/*
 * Borrows a token for `borrower` (any address; NULL: the running task). 0; SL_EALREADY when that
 * borrower has one; try: SL_EAGAIN. `token` is caller storage until it is returned.
 */
SL_MUST_CHECK int sl_capacity_limiter_acquire(sl_capacity_limiter *limiter, const void *borrower, sl_token *token);
SL_MUST_CHECK int sl_capacity_limiter_try_acquire(sl_capacity_limiter *limiter, const void *borrower, sl_token *token);
int sl_capacity_limiter_release(sl_capacity_limiter *limiter, const void *borrower); /* SL_ENOTOWNER */
/* Raising wakes waiters; lowering below what is borrowed waits for returns. */
void sl_capacity_limiter_resize(sl_capacity_limiter *limiter, uint64_t total);

#ifdef __cplusplus
}
#endif

#endif
