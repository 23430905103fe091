/* SPDX-License-Identifier: MIT */
/*
 * Tasks: plain functions on their own small guarded stacks, all on one thread, switched only where
 * they wait. A task is always a child of a scope (scope.h) and ends before that scope does.
 *
 * All calls are for the runtime's own thread unless they say otherwise.
 */
#ifndef SLUICE_TASK_H
#define SLUICE_TASK_H

#include <stdbool.h>

#include "sluice/error.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A task's body: 0 (or positive) for success, else a negative code. */
typedef int (*sl_task_fn)(void *arg);

typedef struct sl_task sl_task;

/* Names one task for ever: harmless to use after the task has ended, as its id is never given again. */
typedef struct sl_task_ref {
    sl_task *task;
    uint64_t id;
} sl_task_ref;

/* The running task, or NULL outside one. */
sl_task *sl_current(void);

/* A reference to the running task ({NULL, 0} outside one) or to `task`. */
sl_task_ref sl_task_self(void);
sl_task_ref sl_task_ref_of(sl_task *task);

/* True until the task has ended and was joined by its scope. */
bool sl_task_alive(sl_task_ref ref);

/* Numbers start at 1 with each run; the parent is the task that owns the scope it lives in (0: none). */
uint64_t sl_task_id(sl_task_ref ref);
uint64_t sl_task_parent_id(sl_task_ref ref);

/*
 * Name (at most 31 bytes are kept) and path ("main/worker/poll-btc"). The name is borrowed until the
 * task ends; sl_task_path() works like snprintf(). Ended tasks give "".
 */
const char *sl_task_name(sl_task_ref ref);
size_t sl_task_path(sl_task_ref ref, char *buffer, size_t size_bytes);

/* Renames the running task; the name is copied (31 bytes), NULL: "task". Returns 0 or SL_ENOTASK. */
int sl_task_rename(const char *name);

/*
 * Cancels one task (its whole subtree of scopes), which its scope does not count as a failure. The
 * text is kept as the reason. Idempotent; an ended task gives SL_ENOENT. Does not wait.
 */
int sl_task_cancel(sl_task_ref ref, const char *reason);

/* Asks one task to stop: sl_stop_requested() turns true in it and below. Returns 0 or SL_ENOENT. */
int sl_task_stop(sl_task_ref ref);

/* Whether a cancellation waits for the running task's next cancellation point. O(1). */
bool sl_cancel_pending(void);

/*
 * The three checkpoints. sl_checkpoint(): fails with SL_ECANCELED if cancelled, else lets others run,
 * then fails if cancelled meanwhile (a deadline that has passed counts at once).
 * sl_checkpoint_if_cancelled(): lets others run only in order to fail. sl_checkpoint_shielded(): lets
 * others run and never fails. Outside a task: SL_ENOTASK.
 *
 * sl_checkpoint_cheap() is for calls that found all they need without waiting: it fails if cancelled, and lets others
 * run only now and then, so that no task that always finds its data ready starves the rest.
 */
SL_MUST_CHECK int sl_checkpoint(void);
SL_MUST_CHECK int sl_checkpoint_if_cancelled(void);
SL_MUST_CHECK int sl_checkpoint_cheap(void);
int sl_checkpoint_shielded(void);

/*
 * Task-local values. A key is the address of any object. Children get a copy of their spawner's values
 * when they are spawned; later changes do not cross tasks. The values are borrowed: they must outlive
 * every task that can see them. sl_local_set(): 0, SL_ENOMEM or SL_ENOTASK. sl_local_get(): the value,
 * or NULL.
 */
SL_MUST_CHECK int sl_local_set(const void *key, void *value);
void *sl_local_get(const void *key);

/*
 * Parking, on which every blocking call is built; the only extension point for new kinds of waiting.
 *
 * sl_park() suspends the running task until sl_unpark() is called for it, exactly once, and returns the
 * `result` given there. `what` names the wait in task dumps (static string); `object` is shown beside it.
 * When the task is cancelled while parked (or before it parks), `abort` is called once, on the
 * runtime's thread and possibly not on the task's stack: it detaches the wait and returns true (then
 * sl_park() returns SL_ECANCELED) or returns false when the wait cannot be undone (then the task
 * stays until its sl_unpark(), and the cancellation shows at its next cancellation point). `abort`
 * must not block, must not call sl_unpark() for this task, and may be NULL for "cannot be undone".
 * Source: Trio's wait_task_rescheduled().
 */
typedef bool (*sl_abort_fn)(sl_task *task, void *object);
int sl_park(sl_abort_fn abort, void *object, const char *what);
void sl_unpark(sl_task *task, int result);

#ifdef __cplusplus
}
#endif

#endif
