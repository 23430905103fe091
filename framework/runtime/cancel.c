/* SPDX-License-Identifier: MIT */
/*
 * Cancellation, deadlines, shields and stop requests over the tree of scopes. "Am I cancelled" is one
 * bit in the innermost scope; changes travel down the tree iteratively and wake each parked task once.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

sl_scope *sl__scope_next_in_tree(sl_scope *node, const sl_scope *top, bool descend)
{
    if (descend && node->first != NULL) {
        return node->first;
    }
    while (node != top) {
        if (node->next != NULL) {
            return node->next;
        }
        node = node->parent;
    }
    return NULL;
}

/* A task parked in a wait that a stop request ends. */
static void deliver_stop(sl_task *task)
{
    if (task->state == SL_TASK_PARKED && task->wants_stop && !task->abort_called) {
        task->wants_stop = false;
        if (task->abort != NULL && task->abort(task, task->object)) {
            sl_unpark(task, SL_ESHUTDOWN);
        }
    }
}

/* Brings one scope in line with its parent; true when its own children must look again. */
static bool refresh(sl_scope *scope)
{
    const sl_scope *parent = scope->parent;
    bool forced = scope->forced || (parent != NULL && parent->forced);
    bool effective = scope->cancel_called || forced || (!scope->shield && parent != NULL && parent->effective);
    bool inherits_stop = parent != NULL && parent->stop_effective && !(parent->ordered_stop && scope->is_task_root);
    bool stop = scope->stop_called || inherits_stop;
    bool changed = effective != scope->effective || stop != scope->stop_effective || forced != scope->forced;
    bool stop_now = stop && !scope->stop_effective;
    bool cancel_now = effective && !scope->effective;
    scope->forced = forced;
    scope->effective = effective;
    scope->stop_effective = stop;
    if (cancel_now && !scope->is_task_root && scope->supervisor != NULL) {
        sl__supervisor_cancelled(scope);
    }
    if (stop_now && scope->supervisor != NULL) {
        sl__supervisor_stop(scope);
    }
    if (stop_now && scope->ordered_stop) {
        sl__scope_stop_newest(scope);
    }
    sl_task *task = scope->task;
    if (task != NULL && task->scope == scope) {
        if (effective) {
            sl__deliver_cancel(task);
        } else if (stop_now) {
            deliver_stop(task);
        }
    }
    return changed;
}

/* Siblings are mostly roots of tasks, each on a page of its own: fetch the one after the next, and the task's record. */
static inline void prefetch_sibling(const sl_scope *sibling)
{
    if (sibling->is_task_root) {
        const char *record = (const char *)SL_CONTAINER(sibling, sl_task, root);
        __builtin_prefetch(record);
        __builtin_prefetch(record + 64);
    }
    if (sibling->next != NULL) {
        __builtin_prefetch(sibling->next);
        __builtin_prefetch((const char *)sibling->next + 64);
    }
}

void sl__scope_update(sl_scope *scope)
{
    (void)refresh(scope);
    sl_scope *node = sl__scope_next_in_tree(scope, scope, true);
    while (node != NULL) {
        if (node->next != NULL) {
            prefetch_sibling(node->next);
        }
        node = sl__scope_next_in_tree(node, scope, refresh(node));
    }
}

const char *sl__cause_text(enum sl_cause cause)
{
    static const char *const texts[] = {"not cancelled",   "cancelled by a call", "its deadline passed",
                                        "a child failed",  "its body failed",     "it was asked to stop",
                                        "interrupted",     "its supervisor",      "misnesting",
                                        "a hold was lost", "an internal failure"};
    return texts[cause];
}

/* Keeps the first cause. Without memory for the text the cause alone is kept. */
static void keep_cause(sl_scope *scope, enum sl_cause cause, const char *text, sl_task *by, const sl_error *error)
{
    scope->cancel_called = true;
    scope->cause = cause;
    text = text == NULL ? sl__cause_text(cause) : text;
    size_t bytes = strlen(text) + 1;
    struct sl_cancel_info *info = sl_calloc(1, sizeof *info + bytes);
    if (info == NULL) {
        return;
    }
    info->cause = cause;
    info->text = memcpy(info + 1, text, bytes);
    info->error = sl_error_ref(error);
    if (by != NULL) {
        memcpy(info->task, by->name, strnlen(by->name, sizeof info->task - 1)); /* cleared above */
    }
    scope->info = info;
}

bool sl__scope_is_open(const sl_scope *scope)
{
    return scope != NULL && scope->magic == SL_SCOPE_OPEN;
}

void sl__scope_cancel(sl_scope *scope, enum sl_cause cause, const char *text, sl_task *by, const sl_error *error,
                      bool force)
{
    if (!sl__scope_is_open(scope)) {
        return;
    }
    scope->forced |= force;
    if (!scope->cancel_called) {
        keep_cause(scope, cause, text, by, error);
    } else if (!force) {
        return;
    }
    sl__scope_update(scope);
}

void sl_scope_cancel(sl_scope *scope, const char *reason)
{
    sl_scope_cancel_for(scope, SL_CAUSE_CALL, reason);
}

void sl_scope_cancel_for(sl_scope *scope, enum sl_cause cause, const char *reason)
{
    if (sl__scope_is_open(scope) && sl__scope_check_thread(scope, "sl_scope_cancel()") == 0) {
        sl__scope_cancel(scope, cause == SL_CAUSE_NONE ? SL_CAUSE_CALL : cause, reason, sl__self(), NULL, false);
    }
}

bool sl_scope_cancel_called(const sl_scope *scope)
{
    if (scope->cancel_called) {
        return true;
    }
    return sl__scope_is_open(scope) && scope->deadline <= sl_now();
}

bool sl_scope_cancel_caught(const sl_scope *scope)
{
    return scope->caught;
}

enum sl_cause sl_scope_cause(const sl_scope *scope)
{
    return scope->cause;
}

const struct sl_cancel_info *sl_scope_cancel_info(const sl_scope *scope)
{
    return scope->info;
}

const struct sl_cancel_info *sl__cancel_cause_of(const sl_task *task)
{
    const struct sl_cancel_info *info = NULL;
    const sl_scope *scope = task == NULL ? NULL : task->scope;
    for (; scope != NULL && scope->effective; scope = scope->parent) {
        if (scope->cancel_called) {
            info = scope->info;
        }
        if (scope->shield && !scope->forced) {
            break;
        }
    }
    return info;
}

const struct sl_cancel_info *sl_cancel_cause(void)
{
    return sl__cancel_cause_of(sl__self());
}

/* ---- deadlines ---- */

static void deadline_fire(struct sl__timer *timer)
{
    sl_scope *scope = SL_CONTAINER(timer, sl_scope, timer);
    if (scope->deadline <= scope->stop_at) {
        sl__scope_cancel(scope, SL_CAUSE_DEADLINE, NULL, NULL, NULL, false);
    } else {
        bool interrupted = sl__runtime->interrupted != 0 && scope == &sl__runtime->root;
        sl__scope_cancel(scope, interrupted ? SL_CAUSE_INTERRUPT : SL_CAUSE_STOP, "its grace time ran out", NULL, NULL,
                         false);
    }
}

/* One timer a scope: the earlier of its deadline and the end of its grace time. */
void sl__scope_arm_deadline(sl_scope *scope)
{
    struct sl__timers *timers = &sl__runtime->timers;
    sl_time when = scope->deadline < scope->stop_at ? scope->deadline : scope->stop_at;
    scope->timer.fire = deadline_fire;
    if (when == SL_NEVER) {
        sl__timer_disarm(timers, &scope->timer);
    } else if (when <= sl__runtime->world->now(sl__runtime)) {
        sl__timer_disarm(timers, &scope->timer);
        deadline_fire(&scope->timer);
    } else {
        sl__timer_arm(timers, &scope->timer, when);
    }
}

int sl_scope_set_deadline(sl_scope *scope, sl_time deadline)
{
    if (!sl__scope_is_open(scope)) {
        return sl__misuse(SL_EMISUSE, "sl_scope_set_deadline(): the scope is not open");
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_scope_set_deadline()"));
    if (scope->shield && deadline == SL_NEVER) {
        return sl_fail(SL_EINVAL, "a shield needs a deadline");
    }
    scope->deadline = deadline;
    sl__scope_arm_deadline(scope);
    return 0;
}

sl_time sl_scope_deadline(const sl_scope *scope)
{
    return scope->deadline;
}

sl_time sl_effective_deadline(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_NEVER;
    }
    if (sl__cancelled(task)) {
        return INT64_MIN;
    }
    sl_time earliest = SL_NEVER;
    for (const sl_scope *scope = task->scope; scope != NULL; scope = scope->shield ? NULL : scope->parent) {
        earliest = scope->deadline < earliest ? scope->deadline : earliest;
    }
    return earliest;
}

int sl_scope_set_shield(sl_scope *scope, bool shield)
{
    if (!sl__scope_is_open(scope)) {
        return sl__misuse(SL_EMISUSE, "sl_scope_set_shield(): the scope is not open");
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_scope_set_shield()"));
    if (shield && scope->deadline == SL_NEVER) {
        return sl_fail(SL_EINVAL, "a shield needs a deadline");
    }
    scope->shield = shield;
    sl__scope_update(scope);
    return 0;
}

/* ---- stopping in two phases ---- */

/*
 * In an ordered stop only the newest child that still lives is asked; its end brings the next. A daemon is asked in its
 * turn, but as it ends after all others nobody waits for it.
 */
void sl__scope_stop_newest(sl_scope *scope)
{
    for (sl_scope *child = scope->last; child != NULL; child = child->prev) {
        if (child->is_task_root && child->task->child == NULL) {
            if (!child->stop_called) {
                child->stop_called = true;
                sl__scope_update(child);
            }
            if (!child->task->daemon) {
                return;
            }
        }
    }
}

int sl_scope_stop(sl_scope *scope, sl_time grace)
{
    if (grace < 0) {
        return sl_fail(SL_EINVAL, "sl_scope_stop(): negative grace time");
    }
    if (!sl__scope_is_open(scope)) {
        return 0;
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_scope_stop()"));
    sl_time limit = sl_time_add(sl_now(), grace);
    if (limit < scope->stop_at) {
        scope->stop_at = limit;
    }
    if (!scope->stop_called) {
        scope->stop_called = true;
        sl__scope_update(scope);
    }
    sl__scope_arm_deadline(scope);
    return 0;
}

bool sl_stop_requested(void)
{
    sl_task *task = sl__self();
    return task != NULL && task->scope->stop_effective;
}

static bool stop_abort(sl_task *task, void *object)
{
    (void)task;
    (void)object;
    return true;
}

int sl_stop_wait(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (task->scope->stop_effective) {
        return sl_checkpoint();
    }
    task->wants_stop = true;
    int code = sl_park(stop_abort, NULL, "stop request");
    return code == SL_ESHUTDOWN ? 0 : code;
}
