/* SPDX-License-Identifier: MIT */
/*
 * The start handshake. The task begins under a scope of its starter; sl_started() moves it, with all it
 * has spawned, to the scope it was meant for. Source: Trio's nursery.start().
 */
#include "internal.h"

struct sl__start {
    sl_scope *target;
    bool started;
    bool daemon; /* for the target; under its starter it counts as a plain child */
    void *value;
    int code; /* how it ended before it started */
    sl_error *error;
};

int sl_started(void *value)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (task->start == NULL) {
        if (task->was_started) {
            return sl__misuse(SL_EALREADY, "sl_started(): called before");
        }
        if (task->child == NULL) {
            return sl__misuse(SL_EMISUSE, "sl_started(): the task was not begun by sl_start()");
        }
        task->was_started = true;
        sl__supervisor_started(task);
        return 0;
    }
    struct sl__start *start = task->start;
    sl_scope *from = task->root.parent;
    task->start = NULL;
    task->was_started = true;
    if (from->effective) {
        return 0; /* the starter was cancelled first: the task ends under it */
    }
    start->started = true;
    start->value = value;
    sl_scope *target = start->target;
    sl__scope_unlink(&task->root);
    sl__scope_link(&task->root, target);
    from->children--;
    task->daemon = start->daemon;
    if (task->daemon) {
        sl__scope_add_daemon(target, task);
    } else {
        target->children++;
    }
    task->root.stop_called |= target->ordered_stop && target->stop_effective;
    sl__scope_update(&task->root);
    sl__scope_check_join(from);
    return 0;
}

void sl__start_ended(sl_task *task, int code, sl_error *error)
{
    struct sl__start *start = task->start;
    start->code = code;
    start->error = error;
    task->start = NULL;
}

static int result(sl_task *task, struct sl__start *start, int code, void **ret_value)
{
    if (start->started) {
        if (ret_value != NULL) {
            *ret_value = start->value;
        }
        return code == SL_ECANCELED ? 0 : code;
    }
    if (start->code < 0 && start->code != SL_ECANCELED) {
        sl__error_put(task, start->error);
        return start->code;
    }
    sl_error_unref(start->error);
    if (code < 0) {
        return code;
    }
    return sl_fail(SL_ENOTSTARTED, "the task ended before it called sl_started()");
}

int sl_start_with(sl_scope *scope, sl_task_fn fn, void **ret_value, const struct sl_spawn_options *options)
{
    static const struct sl_spawn_options none = {.arg = NULL};
    options = options == NULL ? &none : options;
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (!sl__scope_is_open(scope) || scope->closed_to_spawn) {
        return sl__misuse(SL_ECLOSED, "sl_start(): the scope has ended");
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_start()"));
    if (fn == NULL || sl__supervised(options)) {
        return sl_fail(SL_EINVAL, "sl_start(): no function, or options of supervision (use .handshake with sl_spawn)");
    }
    struct sl__start start = {.target = scope, .daemon = options->daemon};
    struct sl_spawn_options plain = *options;
    plain.daemon = false;
    sl_scope under;
    under.magic = 0;
    SL_TRY(sl_scope_open(&under, &(struct sl_scope_options){.name = "start", .strategy = SL_PROPAGATE}));
    sl_task *child = NULL;
    int code = sl__spawn(&under, fn, &plain, &child);
    if (code == 0) {
        child->start = &start;
        scope->pending_starts++;
        code = sl__scope_finish(&under, 0);
        scope->pending_starts--;
        sl__scope_check_join(scope);
        return result(task, &start, code, ret_value);
    }
    return sl_scope_close(&under, code);
}
