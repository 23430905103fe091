/* SPDX-License-Identifier: MIT */
/* Cleanups: slots that a scope runs, last in first out, each shielded and within its budget. */
#include "internal.h"

struct sl_cleanup {
    sl_scope *scope;
    struct sl_cleanup *older, *newer;
    sl_task_fn fn; /* NULL while it is only reserved */
    void *arg;
    sl_time budget;
};

static void attach(sl_cleanup *cleanup, sl_scope *scope)
{
    cleanup->scope = scope;
    cleanup->newer = NULL;
    cleanup->older = scope->cleanups;
    if (scope->cleanups != NULL) {
        scope->cleanups->newer = cleanup;
    }
    scope->cleanups = cleanup;
}

static void detach(sl_cleanup *cleanup)
{
    if (cleanup->newer != NULL) {
        cleanup->newer->older = cleanup->older;
    } else {
        cleanup->scope->cleanups = cleanup->older;
    }
    if (cleanup->older != NULL) {
        cleanup->older->newer = cleanup->newer;
    }
}

int sl_cleanup_reserve(sl_scope *scope, sl_cleanup **ret_cleanup)
{
    if (sl__self() == NULL) {
        return SL_ENOTASK;
    }
    if (!sl__scope_is_open(scope) || scope->closed_to_spawn) {
        return sl__misuse(SL_ECLOSED, "sl_cleanup_reserve(): the scope has ended");
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_cleanup_reserve()"));
    sl_cleanup *cleanup = sl_calloc(1, sizeof *cleanup);
    if (cleanup == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a cleanup");
    }
    attach(cleanup, scope);
    *ret_cleanup = cleanup;
    return 0;
}

int sl_cleanup_arm(sl_cleanup *cleanup, sl_task_fn fn, void *arg, sl_time budget)
{
    if (fn == NULL || budget <= 0 || budget == SL_NEVER) {
        return sl_fail(SL_EINVAL, "a cleanup needs a function and a finite budget above 0");
    }
    cleanup->fn = fn;
    cleanup->arg = arg;
    cleanup->budget = budget;
    return 0;
}

int sl_defer(sl_scope *scope, sl_task_fn fn, void *arg, sl_time budget)
{
    sl_cleanup *cleanup = NULL;
    SL_TRY(sl_cleanup_reserve(scope, &cleanup));
    int code = sl_cleanup_arm(cleanup, fn, arg, budget);
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
    }
    return code;
}

void sl_cleanup_disarm(sl_cleanup *cleanup)
{
    if (cleanup != NULL) {
        detach(cleanup);
        sl_free(cleanup);
    }
}

int sl_cleanup_move(sl_cleanup *cleanup, sl_scope *to)
{
    if (!sl__scope_is_open(to) || to->closed_to_spawn) {
        return sl__misuse(SL_ECLOSED, "sl_cleanup_move(): the scope has ended");
    }
    SL_TRY(sl__scope_check_thread(to, "sl_cleanup_move()"));
    detach(cleanup);
    attach(cleanup, to);
    return 0;
}

/* The budget's end is its own error: SL_ETIMEDOUT would look like a timeout of the scope. */
int sl__run_shielded(sl_task_fn fn, void *arg, sl_time budget, const char *name)
{
    sl_scope shield;
    shield.magic = 0;
    SL_TRY(sl_scope_open(&shield, &(struct sl_scope_options){.name = name, .shield = true, .timeout = budget}));
    int code = sl_scope_close(&shield, fn(arg));
    if (code == SL_ETIMEDOUT && shield.caught) {
        return sl_fail(SL_ESTUCK, "a cleanup used up its budget of %lld ms", (long long)(budget / 1000000));
    }
    return code;
}

int sl_cleanup_run(sl_cleanup *cleanup)
{
    if (cleanup == NULL) {
        return 0;
    }
    if (sl__self() == NULL) {
        return SL_ENOTASK;
    }
    struct sl_cleanup kept = *cleanup;
    sl_cleanup_disarm(cleanup);
    return kept.fn == NULL ? 0 : sl__run_shielded(kept.fn, kept.arg, kept.budget, "cleanup");
}

void sl__cleanups_run(sl_scope *scope)
{
    sl_task *task = scope->task;
    sl_time total = scope->cleanup_budget == 0 ? SL_CLEANUP_BUDGET : scope->cleanup_budget;
    sl_time end = sl_time_add(sl_now(), total);
    while (scope->cleanups != NULL) {
        struct sl_cleanup kept = *scope->cleanups;
        sl_cleanup_disarm(scope->cleanups);
        if (kept.fn == NULL) {
            continue;
        }
        sl_time left = end - sl_now();
        sl_time budget = kept.budget < left ? kept.budget : left;
        /* With nothing left it still is entered, cancelled at its first wait: it may free what needs no wait. */
        int code = sl__run_shielded(kept.fn, kept.arg, budget > 0 ? budget : 1, "cleanup");
        if (code < 0) {
            sl__scope_add_error(scope, sl__task_take_error(task, code), code);
        }
    }
}
