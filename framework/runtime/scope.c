/* SPDX-License-Identifier: MIT */
/* Scopes: opening, the tree, waiting for children, collecting failures, closing. */
#include "sluice/scope.h"

#include <stdio.h>
#include <string.h>

#include "internal.h"

/* ---- the tree ---- */

void sl__scope_link(sl_scope *scope, sl_scope *parent)
{
    scope->parent = parent;
    scope->next = NULL;
    scope->prev = parent->last;
    if (parent->last != NULL) {
        parent->last->next = scope;
    } else {
        parent->first = scope;
    }
    parent->last = scope;
}

void sl__scope_unlink(sl_scope *scope)
{
    sl_scope *parent = scope->parent;
    if (scope->prev != NULL) {
        scope->prev->next = scope->next;
    } else {
        parent->first = scope->next;
    }
    if (scope->next != NULL) {
        scope->next->prev = scope->prev;
    } else {
        parent->last = scope->prev;
    }
}

/* Field by field, in order: a memset() of this size costs more than all the rest of opening a scope. */
void sl__scope_init(sl_scope *scope, sl_task *task, sl_scope *parent)
{
    memset(&scope->magic, 0, offsetof(sl_scope, task));
    scope->magic = SL_SCOPE_OPEN;
    scope->task = task;
    scope->first = scope->last = NULL;
    scope->children = scope->daemons = scope->pending_starts = 0;
    scope->deadline = SL_NEVER;
    scope->stop_at = SL_NEVER;
    scope->timer.armed = false;
    scope->cleanups = NULL;
    scope->name = NULL;
    scope->info = NULL;
    scope->cause = SL_CAUSE_NONE;
    scope->first_code = 0;
    scope->errors = NULL;
    scope->supervisor = NULL;
    scope->cleanup_budget = 0;
    scope->window = 0;
    scope->max_restarts = scope->max_start_failures = 0;
    if (parent != NULL) {
        scope->effective = parent->effective;
        scope->forced = parent->forced;
        sl__scope_link(scope, parent);
        scope->stop_effective = parent->stop_effective;
    } else {
        scope->parent = scope->prev = scope->next = NULL;
    }
}

void sl__scope_done(sl_scope *scope)
{
    sl__timer_disarm(&sl__runtime->timers, &scope->timer);
    scope->magic = SL_SCOPE_CLOSED;
    if (SL_UNLIKELY(scope->info != NULL)) {
        sl_error_unref((sl_error *)scope->info->error);
        sl_free(scope->info);
        scope->info = NULL;
    }
    if (SL_UNLIKELY(scope->errors != NULL)) {
        sl_error_unref(scope->errors);
        scope->errors = NULL;
    }
    if (SL_UNLIKELY(scope->supervisor != NULL)) {
        sl__supervisor_free(scope);
    }
}

/* ---- opening ---- */

/* NULL, or what is wrong with the options. */
static const char *check_options(const struct sl_scope_options *options)
{
    bool has_deadline = options->deadline != 0 && options->deadline != SL_NEVER;
    if (options->timeout < 0 || options->window < 0 || options->cleanup_budget < 0) {
        return "negative timeout, window or cleanup budget";
    }
    if (options->timeout != 0 && has_deadline) {
        return "both a timeout and a deadline";
    }
    if (options->max_restarts > SL_MAX_RESTARTS_LIMIT && options->max_restarts != SL_UNLIMITED) {
        return "max_restarts above SL_MAX_RESTARTS_LIMIT";
    }
    if (options->shield && options->timeout == 0 && !has_deadline) {
        return "a shield needs a timeout or deadline";
    }
    if ((unsigned)options->strategy > SL_ISOLATE || (unsigned)options->auto_shutdown > SL_SHUTDOWN_ALL_SIGNIFICANT) {
        return "unknown strategy or auto_shutdown";
    }
    return NULL;
}

static int apply_options(sl_scope *scope, const struct sl_scope_options *options)
{
    scope->name = options->name != NULL ? options->name : options->variable;
    const char *wrong = check_options(options);
    if (wrong != NULL) {
        int code = sl_fail(SL_EINVAL, "scope '%s': %s", scope->name == NULL ? "" : scope->name, wrong);
        scope->first_code = code;
        sl__scope_cancel(scope, SL_CAUSE_BODY, wrong, sl__self(), NULL, false);
        return code;
    }
    scope->move_on = options->move_on;
    scope->fail_first = options->fail_first;
    scope->ordered_stop = options->ordered_stop;
    scope->strategy = (uint8_t)options->strategy;
    scope->auto_shutdown = (uint8_t)options->auto_shutdown;
    scope->cleanup_budget = options->cleanup_budget;
    scope->window = options->window;
    scope->max_restarts = options->max_restarts;
    scope->max_start_failures = options->max_start_failures;
    if (options->shield) {
        scope->shield = true;
        scope->effective = scope->forced;
    }
    if (options->timeout != 0) {
        scope->deadline = sl_time_add(sl_now(), options->timeout);
        sl__scope_arm_deadline(scope);
    } else if (options->deadline != 0 && options->deadline != SL_NEVER) {
        scope->deadline = options->deadline;
        sl__scope_arm_deadline(scope);
    }
    return 0;
}

int sl_scope_open(sl_scope *scope, const struct sl_scope_options *options)
{
    sl_task *task = sl__self();
    if (SL_UNLIKELY(task == NULL)) {
        return SL_ENOTASK;
    }
    if (SL_UNLIKELY(scope->magic == SL_SCOPE_OPEN)) {
        return sl__misuse(SL_EALREADY, "sl_scope_open(): the scope is open already");
    }
    sl__scope_init(scope, task, task->scope);
    task->scope = scope;
    return options == NULL ? 0 : apply_options(scope, options);
}

sl_scope *sl_scope_current(void)
{
    sl_task *task = sl__self();
    return task == NULL ? NULL : task->scope;
}

size_t sl_scope_children(const sl_scope *scope)
{
    return sl__scope_is_open(scope) ? scope->children : 0;
}

/* ---- failures ---- */

static sl_error *error_tree(sl_scope *scope, int code)
{
    if (scope->errors == NULL) {
        scope->errors =
            sl__error_plain(scope->task, code, "failures in scope '%s'", scope->name == NULL ? "" : scope->name);
    }
    return scope->errors;
}

void sl__scope_add_error(sl_scope *scope, sl_error *error, int code)
{
    bool first = scope->first_code == 0;
    if (first) {
        scope->first_code = code;
    }
    if (!first && scope->fail_first) {
        sl_error_unref(error);
        return;
    }
    sl_error *tree = error_tree(scope, code);
    if (tree == NULL || error == NULL) {
        sl_error_unref(error);
        return;
    }
    (void)sl__error_append(tree, error);
}

/* The fate of one that nobody restarts and nothing is set of: where children fail alone it is a temporary child. */
static enum sl__child_fate plain_fate(const sl_scope *scope, const sl_task *task, int code, const sl_error *error)
{
    if (scope->strategy == SL_PROPAGATE) {
        return SL_CHILD_PROPAGATES;
    }
    sl__log(task->runtime, SL_LOG_ERROR, "task '%s' failed and is not restarted: %s: %s", task->name,
            sl_error_name(code), sl_error_message(error));
    return SL_CHILD_OVER;
}

void sl__scope_child_ended(sl_scope *scope, sl_task *task, int code, sl_error *error)
{
    sl_runtime *runtime = task->runtime;
    if (scope == &runtime->root) {
        sl__runtime_child_ended(runtime, task, code, error);
        return;
    }
    if (task->daemon) {
        scope->daemons--;
    } else {
        scope->children--;
    }
    bool cancelled = code == SL_ECANCELED && task->root.effective;
    scope->saw_cancel |= cancelled && scope->effective;
    enum sl__child_fate fate = SL_CHILD_OVER;
    if (task->child != NULL) {
        fate = sl__supervisor_child_ended(scope, task, code, error);
    } else if (code < 0 && !cancelled) {
        fate = plain_fate(scope, task, code, error);
    }
    if (fate == SL_CHILD_PROPAGATES) {
        sl__scope_cancel(scope, SL_CAUSE_CHILD, sl_error_message(error), task, error, false);
        sl__scope_add_error(scope, error, code);
    } else {
        sl_error_unref(error);
    }
    if (scope->wait_any && !task->daemon && fate != SL_CHILD_COMES_BACK) {
        scope->wait_any = false;
        scope->any_code = code;
        sl__scope_cancel(scope, SL_CAUSE_CALL, "another child ended first", task, NULL, false);
    }
    if (scope->ordered_stop && scope->stop_effective) {
        sl__scope_stop_newest(scope);
    }
    sl__scope_check_join(scope);
}

/* ---- waiting for children ---- */

static inline bool busy(const sl_scope *scope)
{
    return scope->children > 0 || scope->pending_starts > 0 ||
           (SL_UNLIKELY(scope->supervisor != NULL) && sl__supervisor_pending(scope) > 0);
}

void sl__scope_check_join(sl_scope *scope)
{
    if (scope->joining && (scope->joining_daemons ? scope->daemons == 0 : !busy(scope))) {
        scope->joining = false;
        sl_unpark(scope->task, 0);
    }
}

/* The end of a scope cannot be interrupted: parked tasks are never destroyed, only joined. */
static void join(sl_scope *scope)
{
    while (busy(scope)) {
        scope->joining = true;
        (void)sl_park(NULL, scope, "children");
        scope->saw_cancel |= scope->effective;
    }
}

static void cancel_daemon(sl_scope *scope, sl_task *daemon)
{
    sl__scope_cancel(&daemon->root, SL_CAUSE_BODY, "the scope of this daemon is done", scope->task, NULL, false);
}

/* One that comes while the scope waits for its daemons to end has to end as well. */
void sl__scope_add_daemon(sl_scope *scope, sl_task *task)
{
    scope->daemons++;
    if (SL_UNLIKELY(scope->joining_daemons)) {
        cancel_daemon(scope, task);
    }
}

static void join_daemons(sl_scope *scope)
{
    while (scope->daemons > 0) {
        for (sl_scope *child = scope->first; child != NULL; child = child->next) {
            if (child->is_task_root && child->task->daemon) {
                cancel_daemon(scope, child->task);
            }
        }
        scope->joining = true;
        scope->joining_daemons = true;
        (void)sl_park(NULL, scope, "daemons");
        scope->joining_daemons = false;
        join(scope); /* what daemons spawned on their way out */
    }
}

static bool join_abort(sl_task *task, void *object)
{
    (void)task;
    ((sl_scope *)object)->joining = false;
    return true;
}

int sl__scope_check_thread(const sl_scope *scope, const char *call)
{
    if (SL_UNLIKELY(scope->task != NULL && scope->task->runtime != sl__runtime)) {
        return sl__misuse(SL_EMISUSE, "%s: the scope belongs to another thread", call);
    }
    return 0;
}

int sl__scope_check_owner(sl_scope *scope, const char *call)
{
    sl_task *task = sl__self();
    if (SL_UNLIKELY(task == NULL)) {
        return SL_ENOTASK;
    }
    if (SL_UNLIKELY(scope->magic != SL_SCOPE_OPEN)) {
        bool closed = scope->magic == SL_SCOPE_CLOSED;
        return sl__misuse(closed ? SL_EALREADY : SL_EMISUSE, "%s: the scope is not open", call);
    }
    if (SL_UNLIKELY(scope->task != task)) {
        return sl__misuse(SL_ENOTOWNER, "%s: scope '%s' belongs to task '%s'", call,
                          scope->name == NULL ? "" : scope->name, scope->task == NULL ? "" : scope->task->name);
    }
    if (SL_UNLIKELY(task->scope != scope)) {
        for (sl_scope *inner = task->scope; inner != scope; inner = inner->parent) {
            sl__scope_cancel(inner, SL_CAUSE_MISNESTING, "a scope around it was closed first", task, NULL, false);
        }
        return sl__misuse(SL_EMISUSE, "%s: scope '%s' is not the innermost", call,
                          scope->name == NULL ? "" : scope->name);
    }
    return 0;
}

int sl_scope_join(sl_scope *scope, sl_time timeout)
{
    SL_TRY(sl__scope_check_owner(scope, "sl_scope_join()"));
    if (timeout < 0) {
        return sl_fail(SL_EINVAL, "sl_scope_join(): negative timeout");
    }
    if (!busy(scope)) {
        return sl_checkpoint();
    }
    if (timeout == 0) {
        SL_TRY(sl_checkpoint());
        return busy(scope) ? SL_ETIMEDOUT : 0;
    }
    sl_scope limit;
    limit.magic = 0;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.timeout = timeout == SL_NEVER ? 0 : timeout}));
    int code = 0;
    while (code == 0 && busy(scope)) {
        scope->joining = true;
        code = sl_park(join_abort, scope, "children");
    }
    return sl_scope_close(&limit, code);
}

/* ---- closing ---- */

static bool fatal(int code)
{
    return code == SL_EINTERNAL || code == SL_EINTERRUPTED;
}

/* What the task learns of the scope's failures; a fatal one leaves alone. */
static void hand_over_errors(sl_scope *scope)
{
    sl_error *errors = scope->errors;
    scope->errors = NULL;
    for (size_t i = 0; i < sl_error_count(errors); i++) {
        const sl_error *one = sl_error_at(errors, i);
        if (fatal(sl_error_code(one))) {
            sl_error *alone = sl_error_ref(one);
            sl_error_unref(errors);
            errors = alone;
            scope->first_code = sl_error_code(alone);
            break;
        }
    }
    if (errors != NULL) {
        sl__error_put(scope->task, errors);
    }
}

/* The result of a scope whose children have ended and whose cleanups have run. */
static int outcome(sl_scope *scope, int code)
{
    if (SL_UNLIKELY(scope->first_code != 0)) {
        hand_over_errors(scope);
        return scope->first_code;
    }
    bool parent_effective = scope->parent->effective;
    if (SL_LIKELY(!scope->saw_cancel || !(scope->effective || parent_effective))) {
        return code < 0 ? 0 : code;
    }
    if (!scope->cancel_called || scope->pass_on || (parent_effective && !scope->shield)) {
        return SL_ECANCELED;
    }
    scope->caught = true;
    if (scope->cause != SL_CAUSE_DEADLINE || scope->move_on) {
        return 0;
    }
    return sl_fail(SL_ETIMEDOUT, "the deadline of scope '%s' passed", scope->name == NULL ? "" : scope->name);
}

/* The body's own failure, told apart from a cancellation that it saw. */
static void settle_body(sl_scope *scope, int code)
{
    code = sl_error_resolve(code);
    bool cancelled = code == SL_ECANCELED && (scope->effective || scope->parent->effective);
    if (cancelled) {
        scope->saw_cancel = true;
        if (!scope->effective) {
            scope->pass_on = true;
            sl__scope_cancel(scope, SL_CAUSE_BODY, "its body was cancelled from outside a shield", scope->task, NULL,
                             false);
        }
        return;
    }
    if (code >= 0) {
        return;
    }
    sl_error *error = sl__task_take_error(scope->task, code);
    sl__scope_cancel(scope, SL_CAUSE_BODY, sl_error_message(error), scope->task, error, false);
    sl__scope_add_error(scope, error, code);
}

int sl__scope_finish(sl_scope *scope, int code)
{
    sl_task *task = scope->task;
    scope->closing = true;
    if (SL_UNLIKELY(code < 0)) {
        settle_body(scope, code);
    }
    if (SL_UNLIKELY(busy(scope))) {
        join(scope);
    }
    if (SL_UNLIKELY(scope->supervisor != NULL)) {
        sl__supervisor_over(scope); /* daemons are not restarted any more */
    }
    if (SL_UNLIKELY(scope->daemons > 0)) {
        join_daemons(scope);
    }
    scope->closed_to_spawn = true;
    if (SL_UNLIKELY(scope->cleanups != NULL)) {
        sl__cleanups_run(scope);
    }
    code = outcome(scope, code);
    task->scope = scope->parent;
    sl__scope_unlink(scope);
    sl__scope_done(scope);
    return code;
}

int sl_scope_close(sl_scope *scope, int code)
{
    SL_TRY(sl__scope_check_owner(scope, "sl_scope_close()"));
    return sl__scope_finish(scope, code);
}

int sl_scope_wait(sl_scope *scope)
{
    SL_TRY(sl__scope_check_owner(scope, "sl_scope_wait()"));
    if (!busy(scope)) {
        (void)sl_checkpoint_shielded();
    }
    return sl__scope_finish(scope, 0);
}

int sl_scope_wait_any(sl_scope *scope, int *ret_code)
{
    SL_TRY(sl__scope_check_owner(scope, "sl_scope_wait_any()"));
    scope->wait_any = busy(scope);
    scope->any_code = 0; /* the last of them may go without an end of its own */
    int any = 0;
    if (scope->wait_any) {
        join(scope);
        any = scope->any_code;
    }
    int code = sl__scope_finish(scope, 0);
    if (ret_code != NULL) {
        *ret_code = any;
    }
    return code;
}

/* A scope that is left takes with it those that were opened in it and not closed: its storage ends here. */
static void close_inner(sl_scope *scope, sl_task *task)
{
    while (task->scope != scope) {
        sl_scope *inner = task->scope;
        SL_ASSERT(inner != &task->root && inner->magic == SL_SCOPE_OPEN && inner->task == task);
        (void)sl__misuse(SL_EMISUSE, "scope '%s' was left with scope '%s' still open in it",
                         scope->name == NULL ? "" : scope->name, inner->name == NULL ? "" : inner->name);
        sl__log_error(task->runtime, task, SL_EMISUSE, task->error);
        sl__scope_cancel(inner, SL_CAUSE_MISNESTING, "a scope around it was left first", task, NULL, false);
        (void)sl__scope_finish(inner, 0);
    }
}

/*
 * Left without a close: by return, goto or break. The function's own result is not known here, so what
 * the scope's end would have said is kept with the task, for a body that saw only SL_ECANCELED.
 */
void sl__scope_leave(sl_scope *scope)
{
    if (scope->magic != SL_SCOPE_OPEN) {
        return;
    }
    sl_task *task = sl__self();
    SL_ASSERT(task != NULL && scope->task == task);
    if (SL_UNLIKELY(task->scope != scope)) {
        close_inner(scope, task);
    }
    bool was_effective = scope->effective;
    scope->saw_cancel |= was_effective;
    if (busy(scope)) {
        sl__scope_cancel(scope, SL_CAUSE_BODY, "left early", task, NULL, false);
    }
    int pending = task->pending_code;
    sl_error *pending_error = task->pending_error;
    task->pending_code = SL_PENDING_NONE;
    task->pending_error = NULL;
    sl_error *body_error = sl__error_take(task);
    int code = sl__scope_finish(scope, 0);
    bool failed = code < 0 && code != SL_ECANCELED && !scope->caught;
    sl__pending_drop(task);
    task->pending_code = pending;
    task->pending_error = pending_error;
    if (was_effective && code != SL_ECANCELED) {
        sl__pending_drop(task);
        task->pending_code = code;
        task->pending_error = failed ? sl_error_ref(task->error) : NULL;
    }
    if (code < 0 && code != SL_ECANCELED && !was_effective) {
        sl__log_error(task->runtime, task, code, task->error);
    }
    if (body_error != NULL && !(was_effective && code < 0 && task->error != NULL)) {
        sl__error_put(task, body_error);
    } else {
        sl_error_unref(body_error);
    }
}
