/* SPDX-License-Identifier: MIT */
/*
 * Supervision: restarting children by policy. The policy is part of the scope (strategy, budgets) and
 * of each child (restart, backoff, healthy_after, stop_budget); this header starts tables of children
 * and administers them while they run.
 *
 * A restarted child runs as a new task with the same function and argument. Restarts are delayed by
 * exponential backoff with jitter. Two budgets end the scope with SL_EINTENSITY, which its parent sees
 * as a failure: more than `max_restarts` restarts within `window`, counted since the child was last
 * healthy; and more than `max_start_failures` starts in a row that never reached sl_started() (for
 * children with a handshake).
 *
 * Stopping a child means cancelling it (SL_CAUSE_SUPERVISOR): its shields and cleanups hold for its
 * stop_budget, then they do not. In a scope with ordered_stop, sl_scope_stop() first asks each child in
 * turn and cancels it after its budget. A restart of a group starts also the children that had ended by
 * themselves, but not those that were stopped by hand; temporary ones are gone, and those that were added
 * while the group stopped run on. Members that fail while their group is stopped cost no restart of their
 * own: one cause that fails them all counts once.
 *
 * Once the scope is cancelled (here or further out), asked to stop, or escalating, nothing is restarted and
 * no backoff is waited for. What then fails is in the scope's error tree; the siblings end in their own way
 * (but with SL_PROPAGATE a failure cancels them). What fails while it is stopped alone or with its group is
 * logged. A supervised daemon is restarted as long as its scope has other children or a body.
 *
 * Sources: Erlang/OTP supervisor (strategies, restart types, significant children, admin calls).
 */
#ifndef SLUICE_SUPERVISOR_H
#define SLUICE_SUPERVISOR_H

#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One row of a table of children. */
struct sl_child_spec {
    sl_task_fn fn;
    struct sl_spawn_options options; /* .id or .name is needed and must be unique */
};

enum sl_child_state {
    SL_CHILD_STARTING, /* spawned, sl_started() awaited */
    SL_CHILD_RUNNING,
    SL_CHILD_BACKOFF, /* waits for its restart */
    SL_CHILD_STOPPING,
    SL_CHILD_STOPPED, /* ended and kept: can be started again */
    SL_CHILD_FAILED   /* ended for good with an error */
};

struct sl_child_info {
    char id[32];
    enum sl_child_state state;
    enum sl_restart restart;
    bool significant;
    sl_task_ref task;   /* {NULL, 0} when not running */
    uint64_t restarts;  /* by its supervisor, since the child was added */
    uint32_t recent;    /* restarts that count against the budget now */
    int last_code;      /* how its last run ended */
    sl_time next_start; /* in BACKOFF: when; else SL_NEVER */
};

struct sl_child_counts {
    size_t specs;
    size_t active;     /* starting, running or stopping */
    size_t restarting; /* in backoff */
    size_t stopped;
};

/*
 * Starts the children of a table in order, each after the one before called sl_started() if it has
 * .handshake. When one fails to start, the earlier ones are stopped in reverse order and the call fails
 * with that child's code; sl_error_last() names it. A child that ends with SL_EIGNORE before it started
 * is skipped and its spec dropped. The table is checked whole before anything starts: SL_EINVAL (no
 * function, no id, unknown enum, negative time, permanent and significant, significant in a scope
 * without auto_shutdown), SL_EEXIST (an id twice). Cancellation point. After a failure `release` has been
 * called for the children that were begun, and only for them; other children of the scope are not touched.
 */
SL_MUST_CHECK int sl_supervise(sl_scope *scope, const struct sl_child_spec *specs, size_t count);

/*
 * Administration, by id, from any task of the runtime. Stop is idempotent, waits for the child's end
 * (cancellation point) and keeps its spec, but that of a temporary child; start and remove work on stopped
 * children only; restart keeps the scope open meanwhile. A child that stops itself gets SL_ECANCELED at
 * once and may not restart itself (SL_EMISUSE): it may end. Errors: SL_ENOENT, SL_ERUNNING,
 * SL_ERESTARTING, SL_ECLOSED (start: the scope is ending), SL_EINVAL (no id), SL_EMISUSE (another thread's
 * scope), SL_ENOMEM.
 */
SL_MUST_CHECK int sl_child_stop(sl_scope *scope, const char *id);
SL_MUST_CHECK int sl_child_start(sl_scope *scope, const char *id);
SL_MUST_CHECK int sl_child_restart(sl_scope *scope, const char *id); /* stop, then start */
SL_MUST_CHECK int sl_child_remove(sl_scope *scope, const char *id);

/*
 * Another schedule from now on, as in struct sl_spawn_options. How often it failed still counts; one that waits for its
 * restart waits at most for the new maximum; where `healthy_after` is another one, it counts from now on. Does not wait.
 * 0, SL_ENOENT, SL_EINVAL (as sl_spawn()), SL_EMISUSE.
 */
SL_MUST_CHECK int sl_child_reschedule(sl_scope *scope, const char *id, const struct sl_backoff *backoff,
                                      sl_time healthy_after);

/* Fills `info` (up to `capacity` rows, in start order) and returns how many children there are. */
size_t sl_children_list(const sl_scope *scope, struct sl_child_info *info, size_t capacity);
int sl_child_find(const sl_scope *scope, const char *id, struct sl_child_info *ret_info); /* 0 or SL_ENOENT */
struct sl_child_counts sl_children_count(const sl_scope *scope);

/*
 * The delay before restart number `attempt` (0 is the first), given `random` in [0, 1). Pure.
 * min(max, initial * multiplier^attempt), of which the jitter share is scaled by `random`.
 */
sl_time sl_backoff_delay(const struct sl_backoff *backoff, uint32_t attempt, double random);

#ifdef __cplusplus
}
#endif

#endif
