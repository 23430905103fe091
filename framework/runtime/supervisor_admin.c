/* SPDX-License-Identifier: MIT */
/* The calls on a supervised scope that wait or look: starting a table, stopping, starting, listing children. */
#include <stdio.h>
#include <string.h>

#include "supervisor_internal.h"

/* ---- starting a table of children ---- */

static const char *id_of(const struct sl_spawn_options *options)
{
    return options->id != NULL ? options->id : options->name;
}

static int check_table(const sl_scope *scope, const struct sl_child_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *id = id_of(&specs[i].options);
        if (id == NULL) {
            return sl_fail(SL_EINVAL, "child %zu has no id", i);
        }
        SL_TRY(sl__child_check(scope, specs[i].fn, &specs[i].options));
        bool twice = sl__child_by_id(scope->supervisor, id) != NULL;
        for (size_t j = 0; j < i && !twice; j++) {
            twice = strcmp(id, id_of(&specs[j].options)) == 0;
        }
        if (twice) {
            return sl_fail(SL_EEXIST, "a child '%s' is there already", id);
        }
    }
    return 0;
}

/* Waits for the child's end, however long: used where there is no way back. */
static void stop_shielded(struct sl__child *child)
{
    child->held = true;
    sl__child_stop_begin(child, false);
    if (child->task != NULL) {
        struct sl__waiter waiter = {.task = sl__self()};
        sl__wait_queue_push(&child->stoppers, &waiter);
        (void)sl_park(NULL, child, "end of a child");
    }
}

/* Stops and removes, in reverse order, what one call of sl_supervise() has added; others come and go meanwhile. */
static void undo(struct sl__supervisor *supervisor, uint64_t batch)
{
    struct sl__child *child = supervisor->last;
    while (child != NULL) {
        if (child->batch != batch) {
            child = child->prev;
            continue;
        }
        if (child->task != NULL) {
            stop_shielded(child);
        } else {
            sl__child_free(child, true);
        }
        child = supervisor->last;
    }
}

/* One child, and its handshake. SL_EIGNORE is no failure: its record has gone already. */
static int start_one(struct sl__supervisor *supervisor, const struct sl_child_spec *spec, uint64_t batch)
{
    struct sl_spawn_options options = spec->options;
    options.id = id_of(&spec->options);
    struct sl__child *child = NULL;
    SL_TRY(sl__child_new(supervisor, spec->fn, &options, &child));
    child->first_start = options.handshake;
    int code = sl__child_run_first(child);
    if (code < 0) {
        sl__child_free(child, false);
        return code;
    }
    child->batch = batch;
    child->released = options.release;
    if (options.ret_task != NULL) {
        *options.ret_task = sl_task_ref_of(child->task);
    }
    if (options.handshake) {
        code = sl__wait_queue_park(&child->starters, "start of a child");
        code = code == SL_EIGNORE ? 0 : code;
    }
    if (code < 0 && !(code == SL_ECANCELED && sl__cancelled(sl__self()))) {
        child = sl__child_by_id(supervisor, options.id); /* it may have been stopped and removed meanwhile */
        sl__error_put(sl__self(), child == NULL ? NULL : sl_error_ref(child->last_error));
        return sl_fail_because(code, "child '%s' failed to start", options.id);
    }
    return code;
}

int sl_supervise(sl_scope *scope, const struct sl_child_spec *specs, size_t count)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (!sl__scope_is_open(scope) || scope->closed_to_spawn) {
        return sl__misuse(SL_ECLOSED, "sl_supervise(): the scope has ended");
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_supervise()"));
    SL_TRY(check_table(scope, specs, count));
    struct sl__supervisor *supervisor = NULL;
    SL_TRY(sl__supervisor_of(scope, &supervisor));
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    uint64_t batch = ++supervisor->batches;
    scope->pending_starts++; /* the scope stays open meanwhile */
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = start_one(supervisor, &specs[i], batch);
    }
    if (code < 0) {
        sl_error *error = sl__error_take(task);
        undo(supervisor, batch);
        sl__error_put(task, error);
    }
    scope->pending_starts--;
    sl__scope_check_join(scope);
    return code;
}

/* ---- administration ---- */

static int find(sl_scope *scope, const char *id, struct sl__child **ret_child)
{
    if (sl__self() == NULL) {
        return SL_ENOTASK;
    }
    if (id == NULL) {
        return sl_fail(SL_EINVAL, "no id of a child");
    }
    struct sl__child *child = NULL;
    if (sl__scope_is_open(scope)) {
        SL_TRY(sl__scope_check_thread(scope, "a call on a supervised child"));
        child = sl__child_by_id(scope->supervisor, id);
    }
    if (child == NULL) {
        return sl_fail(SL_ENOENT, "no child '%s'", id);
    }
    *ret_child = child;
    return 0;
}

int sl_child_stop(sl_scope *scope, const char *id)
{
    struct sl__child *child = NULL;
    SL_TRY(find(scope, id, &child));
    child->held = true;
    sl__child_stop_begin(child, false);
    if (child->task == NULL) {
        sl__scope_check_join(scope);
        return 0;
    }
    if (child->task == sl__self()) {
        return SL_ECANCELED; /* it cannot wait for its own end */
    }
    return sl__wait_queue_park(&child->stoppers, "end of a child");
}

static int stopped(struct sl__child *child)
{
    if (child->task != NULL) {
        return sl_fail(SL_ERUNNING, "child '%s' is running", child->id);
    }
    if (sl__child_comes_back(child)) {
        return sl_fail(SL_ERESTARTING, "child '%s' is being restarted", child->id);
    }
    return 0;
}

int sl_child_start(sl_scope *scope, const char *id)
{
    struct sl__child *child = NULL;
    SL_TRY(find(scope, id, &child));
    SL_TRY(stopped(child));
    if (child->supervisor->mode >= SL_ENDING || scope->closed_to_spawn) {
        return sl_fail(SL_ECLOSED, "the scope of child '%s' is ending", id);
    }
    child->attempts = 0;
    child->start_failures = 0;
    return sl__child_run(child);
}

int sl_child_restart(sl_scope *scope, const char *id)
{
    struct sl__child *child = NULL;
    SL_TRY(find(scope, id, &child));
    if (child->task == sl__self()) {
        return sl__misuse(SL_EMISUSE, "sl_child_restart(): child '%s' cannot restart itself; it may end", id);
    }
    scope->pending_starts++; /* the scope stays open meanwhile */
    int code = sl_child_stop(scope, id);
    if (code == 0) {
        code = sl_child_start(scope, id);
    }
    scope->pending_starts--;
    sl__scope_check_join(scope);
    return code;
}

int sl_child_remove(sl_scope *scope, const char *id)
{
    struct sl__child *child = NULL;
    SL_TRY(find(scope, id, &child));
    SL_TRY(stopped(child));
    sl__child_free(child, true);
    return 0;
}

int sl_child_reschedule(sl_scope *scope, const char *id, const struct sl_backoff *backoff, sl_time healthy_after)
{
    struct sl__child *child = NULL;
    SL_TRY(find(scope, id, &child));
    struct sl_spawn_options options = child->options;
    options.backoff = *backoff;
    options.healthy_after = healthy_after;
    SL_TRY(sl__child_check(scope, child->fn, &options));
    sl__child_reschedule(child, backoff, healthy_after);
    return 0;
}

/* ---- looking ---- */

static void fill(const struct sl__child *child, struct sl_child_info *info)
{
    const struct sl__supervisor *supervisor = child->supervisor;
    *info = (struct sl_child_info){.state = sl__child_comes_back(child) ? SL_CHILD_BACKOFF : child->state,
                                   .restart = child->options.restart,
                                   .significant = child->options.significant,
                                   .task = sl_task_ref_of(child->task),
                                   .restarts = child->restarts,
                                   .last_code = child->last_code,
                                   .next_start = SL_NEVER};
    (void)snprintf(info->id, sizeof info->id, "%s", child->id);
    for (size_t i = 0; i < supervisor->record_count; i++) {
        info->recent += supervisor->records[i].child == child;
    }
    const struct sl__timer *timer = child->timer.armed ? &child->timer : &supervisor->group_timer;
    if (child->state == SL_CHILD_BACKOFF && timer->armed) {
        info->next_start = timer->key;
    }
}

size_t sl_children_list(const sl_scope *scope, struct sl_child_info *info, size_t capacity)
{
    size_t count = 0;
    const struct sl__child *child =
        sl__scope_is_open(scope) && scope->supervisor != NULL ? scope->supervisor->first : NULL;
    for (; child != NULL; child = child->next, count++) {
        if (count < capacity) {
            fill(child, &info[count]);
        }
    }
    return count;
}

int sl_child_find(const sl_scope *scope, const char *id, struct sl_child_info *ret_info)
{
    const struct sl__child *child =
        sl__scope_is_open(scope) && id != NULL ? sl__child_by_id(scope->supervisor, id) : NULL;
    if (child == NULL) {
        return SL_ENOENT;
    }
    fill(child, ret_info);
    return 0;
}

struct sl_child_counts sl_children_count(const sl_scope *scope)
{
    struct sl_child_counts counts = {0};
    const struct sl__child *child =
        sl__scope_is_open(scope) && scope->supervisor != NULL ? scope->supervisor->first : NULL;
    for (; child != NULL; child = child->next) {
        counts.specs++;
        counts.active += child->task != NULL;
        counts.restarting += sl__child_comes_back(child);
        counts.stopped += child->task == NULL && !sl__child_comes_back(child);
    }
    return counts;
}

int sl__supervisor_info(const sl_task *task, struct sl_child_info *ret_info)
{
    if (task->child == NULL) {
        return SL_ENOENT;
    }
    fill(task->child, ret_info);
    return 0;
}
