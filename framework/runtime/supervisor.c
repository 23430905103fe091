/* SPDX-License-Identifier: MIT */
/*
 * Supervision: a state machine driven by the ends of children and by timers. There is no supervisor task,
 * so there is none that could fail or hang; nothing here waits.
 * Source: Erlang/OTP's supervisor.erl for what happens when; backoff and health are ours.
 */
#include "sluice/supervisor.h"

#include <stdio.h>
#include <string.h>

#include "supervisor_internal.h"

static void after_end(struct sl__child *child, int code, bool cancelled);

bool sl__supervised(const struct sl_spawn_options *options)
{
    return options->id != NULL || options->restart != SL_NEVER_RESTART || options->handshake || options->significant ||
           options->stop_budget != 0 || options->healthy_after != 0;
}

static bool in_group(const struct sl__child *child)
{
    const struct sl__child *from = child->supervisor->from;
    return from != NULL && child->number >= from->number;
}

bool sl__child_comes_back(const struct sl__child *child)
{
    return child->state == SL_CHILD_BACKOFF ||
           (child->supervisor->mode == SL_GROUP_STOP && child->task == NULL && in_group(child) && !child->held);
}

size_t sl__supervisor_pending(const sl_scope *scope)
{
    const struct sl__supervisor *supervisor = scope->supervisor;
    if (supervisor == NULL || supervisor->mode == SL_ENDED) {
        return 0;
    }
    size_t pending = supervisor->mode == SL_ENDING;
    for (const struct sl__child *child = supervisor->first; child != NULL && pending == 0; child = child->next) {
        pending += sl__child_comes_back(child) && !child->options.daemon;
    }
    return pending;
}

/* ---- running and stopping one child ---- */

static void on_child_timer(struct sl__timer *timer);

static void arm(struct sl__child *child, enum sl__child_timer kind, sl_time delay)
{
    child->timer_kind = kind;
    child->timer.fire = on_child_timer;
    sl__timer_arm(&sl__runtime->timers, &child->timer, sl_time_add(sl_now(), delay));
}

int sl__child_run(struct sl__child *child)
{
    sl_task *task = NULL;
    SL_TRY(sl__spawn(child->supervisor->scope, child->fn, &child->options, &task));
    task->child = child;
    child->task = task;
    child->held = false;
    child->started = !child->options.handshake;
    child->state = child->started ? SL_CHILD_RUNNING : SL_CHILD_STARTING;
    child->started_at = sl_now();
    if (child->options.healthy_after > 0 && child->started) {
        arm(child, SL_TIMER_HEALTHY, child->options.healthy_after);
    }
    return 0;
}

void sl__child_reschedule(struct sl__child *child, const struct sl_backoff *backoff, sl_time healthy_after)
{
    bool armed = child->timer.armed;
    bool other = healthy_after != child->options.healthy_after;
    child->options.backoff = *backoff;
    child->options.healthy_after = healthy_after;
    if (other && child->state == SL_CHILD_RUNNING && (!armed || child->timer_kind == SL_TIMER_HEALTHY)) {
        sl__timer_disarm(&sl__runtime->timers, &child->timer);
        if (healthy_after > 0 && child->started) {
            arm(child, SL_TIMER_HEALTHY, healthy_after);
        }
    }
    sl_time most = backoff->initial == SL_NO_BACKOFF ? 0 : backoff->max == 0 ? SL_BACKOFF_MAX : backoff->max;
    if (child->state == SL_CHILD_BACKOFF && armed && child->timer_kind == SL_TIMER_RESTART &&
        child->timer.key - sl_now() > most) {
        sl__timer_disarm(&sl__runtime->timers, &child->timer);
        arm(child, SL_TIMER_RESTART, most);
    }
    struct sl__timer *group = &child->supervisor->group_timer;
    if (child->supervisor->failed == child && group->armed && group->key - sl_now() > most) {
        sl__timer_arm(&sl__runtime->timers, group, sl_time_add(sl_now(), most));
    }
}

static sl_time stop_budget_of(const struct sl__child *child)
{
    return child->options.stop_budget == 0 ? SL_STOP_BUDGET : child->options.stop_budget;
}

/* One step harder each time: asked to stop, cancelled, cancelled in spite of its shields. */
static void stop_harder(struct sl__child *child)
{
    sl_time budget = stop_budget_of(child);
    sl_task *task = child->task;
    if (budget == SL_STOP_BRUTAL) {
        child->stop_stage = 2;
    }
    unsigned stage = child->stop_stage++;
    if (stage == 0) {
        (void)sl_task_stop(sl_task_ref_of(task));
    } else {
        sl__scope_cancel(&task->root, SL_CAUSE_SUPERVISOR, "stopped by its supervisor", NULL, NULL, stage >= 2);
    }
    if (stage == 2 && budget != SL_STOP_BRUTAL) {
        sl__log(sl__runtime, SL_LOG_WARNING, "child '%s' used up its budget to stop; its shields are off", child->id);
    }
    if (stage < 2 && budget != SL_NEVER) {
        arm(child, SL_TIMER_STOP, budget);
    }
}

void sl__child_stop_begin(struct sl__child *child, bool polite)
{
    bool only_asked = child->state == SL_CHILD_STOPPING && child->stop_stage == 1;
    if (child->state == SL_CHILD_STOPPING && (polite || !only_asked)) {
        return;
    }
    sl__timer_disarm(&sl__runtime->timers, &child->timer);
    if (child->task == NULL) {
        child->state = SL_CHILD_STOPPED;
        return;
    }
    child->state = SL_CHILD_STOPPING;
    child->stop_stage = polite ? 0 : 1;
    stop_harder(child);
}

/* It is cancelled with its scope; it still has only its own budget to end. */
static void bound_end(struct sl__child *child)
{
    sl_time budget = stop_budget_of(child);
    bool counting = child->state == SL_CHILD_STOPPING && child->stop_stage >= 2;
    if (child->task != NULL && !counting && budget != SL_NEVER) {
        child->stop_stage = 2;
        arm(child, SL_TIMER_STOP, budget == SL_STOP_BRUTAL ? 0 : budget);
    }
}

int sl__child_run_first(struct sl__child *child)
{
    const struct sl__supervisor *supervisor = child->supervisor;
    const sl_scope *scope = supervisor->scope;
    SL_TRY(sl__child_run(child));
    if (supervisor->mode == SL_ENDING) {
        sl__child_stop_begin(child, supervisor->polite);
    } else if (scope->effective) {
        bound_end(child);
    } else if (scope->stop_effective && scope->ordered_stop) {
        sl__child_stop_begin(child, true);
    }
    return 0;
}

/* A start that could not even be made counts as one that failed. */
static void run_or_fail(struct sl__child *child)
{
    child->restarts++;
    sl__runtime->restarts++;
    int code = sl__child_run(child);
    if (code < 0) {
        child->started = false;
        child->last_code = code;
        sl_error_unref(child->last_error);
        child->last_error = NULL;
        after_end(child, code, false);
    }
}

static void on_child_timer(struct sl__timer *timer)
{
    struct sl__child *child = SL_CONTAINER(timer, struct sl__child, timer);
    struct sl__supervisor *supervisor = child->supervisor;
    switch (child->timer_kind) {
    case SL_TIMER_RESTART:
        run_or_fail(child);
        break;
    case SL_TIMER_STOP:
        stop_harder(child);
        break;
    case SL_TIMER_HEALTHY:
        sl__child_healthy(child);
        break;
    }
    sl__scope_check_join(supervisor->scope);
}

static sl_time backoff_of(struct sl__child *child)
{
    return sl_backoff_delay(&child->options.backoff, child->attempts++, sl_random_unit());
}

/* ---- the group and the end ---- */

static void no_more_restarts(struct sl__supervisor *supervisor)
{
    sl__timer_disarm(&sl__runtime->timers, &supervisor->group_timer);
    for (struct sl__child *child = supervisor->first; child != NULL; child = child->next) {
        if (child->state == SL_CHILD_BACKOFF) {
            sl__timer_disarm(&sl__runtime->timers, &child->timer);
            child->state = SL_CHILD_STOPPED;
        }
    }
}

static void on_group_timer(struct sl__timer *timer)
{
    struct sl__supervisor *supervisor = SL_CONTAINER(timer, struct sl__supervisor, group_timer);
    supervisor->mode = SL_GROUP_START;
    sl__supervisor_go_on(supervisor);
}

/* The next child of the group, or of all, that still runs gets stopped; false when none is left. */
static bool stop_next(struct sl__supervisor *supervisor, bool polite)
{
    bool all = supervisor->mode == SL_ENDING;
    while (supervisor->cursor != NULL && (all || in_group(supervisor->cursor))) {
        struct sl__child *child = supervisor->cursor;
        if (child->task != NULL) {
            sl__child_stop_begin(child, polite);
            return true;
        }
        supervisor->cursor = child->prev;
    }
    return false; /* some may have come later: they are stopping already */
}

/* Children that were added meanwhile go on running. */
static void group_stopped(struct sl__supervisor *supervisor)
{
    for (struct sl__child *child = supervisor->from; child != NULL; child = child->next) {
        if (sl__child_comes_back(child)) {
            child->state = SL_CHILD_BACKOFF;
        }
    }
    supervisor->mode = SL_GROUP_WAIT;
    supervisor->group_timer.fire = on_group_timer;
    sl_time delay = supervisor->failed == NULL ? 0 : backoff_of(supervisor->failed);
    sl__timer_arm(&sl__runtime->timers, &supervisor->group_timer, sl_time_add(sl_now(), delay));
}

/* Starts what waits, in order, until one has to acknowledge first. */
static void group_start(struct sl__supervisor *supervisor)
{
    while (supervisor->mode == SL_GROUP_START && supervisor->from != NULL) {
        struct sl__child *child = supervisor->from;
        if (child->state == SL_CHILD_STARTING) {
            return;
        }
        if (child->state == SL_CHILD_BACKOFF) {
            run_or_fail(child);
            if (supervisor->mode != SL_GROUP_START || child->state == SL_CHILD_STARTING) {
                return;
            }
        }
        supervisor->from = child->next;
    }
    if (supervisor->mode == SL_GROUP_START) {
        supervisor->mode = SL_SUPERVISING;
    }
}

static void end_now(struct sl__supervisor *supervisor)
{
    sl_error *error = supervisor->end_error;
    supervisor->end_error = NULL;
    supervisor->mode = SL_ENDED;
    if (supervisor->end_code < 0) {
        sl__scope_cancel(supervisor->scope, SL_CAUSE_SUPERVISOR, sl_error_message(error), NULL, error, false);
    }
    sl_error_unref(error);
}

void sl__supervisor_go_on(struct sl__supervisor *supervisor)
{
    if (supervisor->mode == SL_GROUP_STOP && !stop_next(supervisor, false)) {
        group_stopped(supervisor);
    }
    if (supervisor->mode == SL_GROUP_START) {
        group_start(supervisor);
    }
    if (supervisor->mode == SL_ENDING && !stop_next(supervisor, supervisor->polite)) {
        end_now(supervisor);
    }
    sl__scope_check_join(supervisor->scope);
}

/* All are stopped in reverse order, then the scope is cancelled if `code` is a failure, which is told now. */
static void begin_end(struct sl__supervisor *supervisor, int code, sl_error *error, bool polite)
{
    no_more_restarts(supervisor);
    supervisor->mode = SL_ENDING;
    supervisor->cursor = supervisor->last;
    supervisor->end_code = code;
    supervisor->end_error = error;
    supervisor->polite = polite;
    if (code < 0) {
        sl__scope_add_error(supervisor->scope, sl_error_ref(error), code);
    }
    sl__supervisor_go_on(supervisor);
}

static void escalate(struct sl__child *child, const char *why)
{
    struct sl__supervisor *supervisor = child->supervisor;
    sl_error *error = sl__error_plain(supervisor->scope->task, SL_EINTENSITY, "child '%s' %s (last: %s)", child->id,
                                      why, sl_error_name(child->last_code));
    if (error != NULL) {
        sl__error_set_cause(error, sl_error_ref(child->last_error));
    }
    child->state = SL_CHILD_FAILED;
    begin_end(supervisor, SL_EINTENSITY, error, false);
}

/* ---- the end of a child ---- */

/* What happened at the bottom of it: scopes only say that something in them failed. */
static const char *first_reason(const sl_error *error)
{
    while (error != NULL && sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    return sl_error_message(error);
}

static void restart(struct sl__child *child)
{
    struct sl__supervisor *supervisor = child->supervisor;
    uint8_t strategy = supervisor->scope->strategy;
    if (child->last_code < 0 && child->last_code != SL_ECANCELED) { /* nobody else collects it */
        sl__log(sl__runtime, SL_LOG_WARNING, "child '%s' failed and is started again: %s: %s", child->id,
                sl_error_name(child->last_code), first_reason(child->last_error));
    }
    child->state = SL_CHILD_BACKOFF;
    if (strategy != SL_ONE_FOR_ALL && strategy != SL_REST_FOR_ONE) {
        arm(child, SL_TIMER_RESTART, backoff_of(child));
        return;
    }
    if (strategy == SL_ONE_FOR_ALL) {
        supervisor->from = supervisor->first;
    } else if (supervisor->mode == SL_SUPERVISING || !in_group(child)) {
        supervisor->from = child; /* else one more of a group that is about to start: from the earlier on */
    }
    if (supervisor->mode != SL_GROUP_STOP) {
        supervisor->cursor = supervisor->last;
    }
    sl__timer_disarm(&sl__runtime->timers, &supervisor->group_timer);
    supervisor->mode = SL_GROUP_STOP;
    supervisor->failed = child;
    sl__supervisor_go_on(supervisor);
}

static bool significant_left(const struct sl__supervisor *supervisor)
{
    const struct sl__child *child = supervisor->first;
    while (child != NULL && !(child->options.significant && (child->task != NULL || sl__child_comes_back(child)))) {
        child = child->next;
    }
    return child != NULL;
}

static void ended_for_good(struct sl__child *child, int code, bool cancelled)
{
    struct sl__supervisor *supervisor = child->supervisor;
    bool failed = code < 0 && !cancelled && code != SL_ESHUTDOWN;
    bool significant = child->options.significant;
    if (failed) {
        sl__log(sl__runtime, SL_LOG_ERROR, "child '%s' failed and is not restarted: %s: %s", child->id,
                sl_error_name(code), sl_error_message(child->last_error));
    }
    child->state = failed ? SL_CHILD_FAILED : SL_CHILD_STOPPED;
    if (child->options.restart == SL_NEVER_RESTART) {
        sl__child_free(child, true);
    }
    if (significant && supervisor->mode < SL_ENDING &&
        (supervisor->scope->auto_shutdown == SL_SHUTDOWN_ANY_SIGNIFICANT || !significant_left(supervisor))) {
        begin_end(supervisor, SL_ESHUTDOWN,
                  sl__error_plain(supervisor->scope->task, SL_ESHUTDOWN, "a significant child ended"), false);
    }
}

/* Whether its restart type wants one more run. */
static bool wants_again(const struct sl__child *child, int code, bool cancelled)
{
    if (child->options.restart != SL_ON_FAILURE) {
        return child->options.restart == SL_ALWAYS;
    }
    bool ended_well = code >= 0 ? child->started : code == SL_ESHUTDOWN;
    return !ended_well && !cancelled;
}

static void after_end(struct sl__child *child, int code, bool cancelled)
{
    const sl_scope *scope = child->supervisor->scope;
    if (!wants_again(child, code, cancelled)) {
        ended_for_good(child, code, cancelled);
        return;
    }
    if (!child->started) {
        uint32_t most = scope->max_start_failures == 0 ? SL_MAX_START_FAILURES : scope->max_start_failures;
        if (++child->start_failures > most) { /* SL_UNLIMITED is never reached */
            escalate(child, "failed to start too often");
        } else {
            restart(child);
        }
        return;
    }
    if (child->options.healthy_after == 0 && sl_now() - child->started_at >= sl__supervisor_window(scope)) {
        child->attempts = 0; /* it ran for longer than the window: a new story */
    }
    if (sl__child_may_restart(child)) {
        restart(child);
    } else {
        escalate(child, "was restarted too often");
    }
}

/* The scope is ending, so nothing is restarted. True when the failure is to cancel the scope. */
static bool ended_with_scope(struct sl__child *child, int code, bool failed)
{
    struct sl__supervisor *supervisor = child->supervisor;
    sl_scope *scope = supervisor->scope;
    child->state = failed ? SL_CHILD_FAILED : SL_CHILD_STOPPED;
    if (failed && scope->strategy == SL_PROPAGATE && supervisor->mode != SL_ENDING) {
        return true;
    }
    if (failed) { /* kept, but the siblings may end in their own way */
        sl__scope_add_error(scope, sl_error_ref(child->last_error), code);
    }
    return false;
}

static void wake(struct sl__child *child, int code, bool cancelled)
{
    if (!sl__child_comes_back(child)) {
        int start = child->started ? 0 : (code >= 0 || cancelled ? SL_ENOTSTARTED : code);
        while (sl__wait_queue_wake(&child->starters, start)) {
        }
    }
    while (sl__wait_queue_wake(&child->stoppers, 0)) {
    }
}

enum sl__child_fate sl__supervisor_child_ended(sl_scope *scope, sl_task *task, int code, sl_error *error)
{
    struct sl__child *child = task->child;
    struct sl__supervisor *supervisor = child->supervisor;
    bool cancelled = code == SL_ECANCELED && task->root.effective;
    bool failed = code < 0 && !cancelled;
    bool stopping = child->state == SL_CHILD_STOPPING;
    bool temporary = child->options.restart == SL_NEVER_RESTART;
    bool gone = false;
    enum sl__child_fate fate = SL_CHILD_OVER;
    sl__timer_disarm(&sl__runtime->timers, &child->timer);
    child->task = NULL;
    child->last_code = code;
    sl_error_unref(child->last_error);
    child->last_error = sl_error_ref(error);
    if (!child->started && code == SL_EIGNORE) {
        gone = true;
        child->held = true;
    } else if (supervisor->mode >= SL_ENDING) {
        fate = ended_with_scope(child, code, failed) ? SL_CHILD_PROPAGATES : SL_CHILD_OVER;
        gone = temporary;
    } else if (stopping || (supervisor->mode == SL_GROUP_STOP && in_group(child))) {
        child->state = SL_CHILD_STOPPED;
        gone = temporary;
        if (failed) {
            sl__log(sl__runtime, SL_LOG_ERROR, "child '%s' failed while it was stopped: %s: %s", child->id,
                    sl_error_name(code), sl_error_message(error));
        }
    } else if (child->first_start) {
        child->state = SL_CHILD_FAILED; /* sl_supervise() waits for its first start and decides */
        child->held = true;
    } else if (failed && temporary && scope->strategy == SL_PROPAGATE) {
        child->state = SL_CHILD_FAILED;
        fate = SL_CHILD_PROPAGATES;
    } else {
        after_end(child, code, cancelled); /* the record may have gone */
        sl__supervisor_go_on(supervisor);
        return !temporary && sl__child_comes_back(child) ? SL_CHILD_COMES_BACK : SL_CHILD_OVER;
    }
    fate = fate == SL_CHILD_OVER && sl__child_comes_back(child) && !gone ? SL_CHILD_COMES_BACK : fate;
    wake(child, code, cancelled);
    if (gone) {
        sl__child_free(child, true);
    }
    sl__supervisor_go_on(supervisor);
    return fate;
}

void sl__supervisor_started(sl_task *task)
{
    struct sl__child *child = task->child;
    if (child->started) {
        return;
    }
    child->started = true;
    child->first_start = false;
    child->start_failures = 0;
    if (child->state == SL_CHILD_STARTING) {
        child->state = SL_CHILD_RUNNING;
    }
    if (child->options.healthy_after > 0 && child->state == SL_CHILD_RUNNING && !child->timer.armed) {
        arm(child, SL_TIMER_HEALTHY, child->options.healthy_after);
    }
    while (sl__wait_queue_wake(&child->starters, 0)) {
    }
    sl__supervisor_go_on(child->supervisor);
}

/* ---- the scope's own stop and cancellation ---- */

void sl__supervisor_over(sl_scope *scope)
{
    struct sl__supervisor *supervisor = scope->supervisor;
    no_more_restarts(supervisor);
    sl_error_unref(supervisor->end_error);
    supervisor->end_error = NULL;
    supervisor->mode = SL_ENDED;
}

void sl__supervisor_cancelled(sl_scope *scope)
{
    sl__supervisor_over(scope);
    for (struct sl__child *child = scope->supervisor->first; child != NULL; child = child->next) {
        bound_end(child);
    }
    sl__scope_check_join(scope);
}

void sl__supervisor_stop(sl_scope *scope)
{
    struct sl__supervisor *supervisor = scope->supervisor;
    if (supervisor->mode >= SL_ENDING) {
        return;
    }
    if (scope->ordered_stop) {
        begin_end(supervisor, 0, NULL, true);
    } else {
        sl__supervisor_over(scope);
        sl__scope_check_join(scope);
    }
}

int sl__supervisor_add(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    SL_TRY(sl__child_check(scope, fn, options));
    struct sl__supervisor *supervisor = NULL;
    SL_TRY(sl__supervisor_of(scope, &supervisor));
    struct sl__child *child = NULL;
    SL_TRY(sl__child_new(supervisor, fn, options, &child));
    int code = sl__child_run_first(child);
    if (code < 0) {
        sl__child_free(child, false);
        return code;
    }
    child->released = options->release;
    if (options->ret_task != NULL) {
        *options->ret_task = sl_task_ref_of(child->task);
    }
    return 0;
}
