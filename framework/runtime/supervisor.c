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

/* ---- records ---- */

int sl__supervisor_of(sl_scope *scope, struct sl__supervisor **ret_supervisor)
{
    if (scope->supervisor == NULL) {
        struct sl__supervisor *supervisor = sl_calloc(1, sizeof *supervisor);
        uint32_t restarts = scope->max_restarts == 0 ? SL_MAX_RESTARTS : scope->max_restarts;
        size_t capacity = restarts < SL_RESTARTS_RECORDED_MAX ? restarts + 1 : SL_RESTARTS_RECORDED_MAX;
        struct sl__restart_record *records = sl_calloc(capacity, sizeof *records);
        if (supervisor == NULL || records == NULL) {
            sl_free(supervisor);
            sl_free(records);
            return sl_fail(SL_ENOMEM, "no memory for a supervisor");
        }
        supervisor->scope = scope;
        supervisor->records = records;
        supervisor->record_capacity = capacity;
        scope->supervisor = supervisor;
        if (scope->effective) {
            supervisor->mode = SL_ENDED;
        }
    }
    *ret_supervisor = scope->supervisor;
    return 0;
}

static const char *wrong_with(const sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    const struct sl_backoff *backoff = &options->backoff;
    if (fn == NULL) {
        return "no function";
    }
    if ((unsigned)options->restart > SL_ALWAYS) {
        return "unknown restart";
    }
    if (backoff->initial < SL_NO_BACKOFF || backoff->max < 0 || options->healthy_after < 0 ||
        options->stop_budget < SL_STOP_BRUTAL) {
        return "negative time";
    }
    if ((backoff->multiplier != 0 && !(backoff->multiplier >= 1)) || !(backoff->jitter <= 1)) {
        return "backoff: multiplier below 1 or jitter above 1";
    }
    if (options->significant && options->restart == SL_ALWAYS) {
        return "a permanent child cannot be significant";
    }
    if (options->significant && scope->auto_shutdown == SL_SHUTDOWN_NEVER) {
        return "a significant child in a scope without auto_shutdown";
    }
    return NULL;
}

int sl__child_check(const sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    const char *wrong = wrong_with(scope, fn, options);
    return wrong == NULL ? 0 : sl_fail(SL_EINVAL, "supervised child: %s", wrong);
}

struct sl__child *sl__child_by_id(const struct sl__supervisor *supervisor, const char *id)
{
    struct sl__child *child = supervisor == NULL ? NULL : supervisor->first;
    while (child != NULL && (child->dropped || strcmp(child->id, id) != 0)) {
        child = child->next;
    }
    return child;
}

/* Ids made from names are made unique; beyond this many children without looking. */
#define NAMES_LOOKED_AT 256

static void set_id(struct sl__supervisor *supervisor, struct sl__child *child, const char *id, const char *name)
{
    if (id != NULL) {
        (void)snprintf(child->id, sizeof child->id, "%s", id);
    } else if (supervisor->count < NAMES_LOOKED_AT && sl__child_by_id(supervisor, name) == NULL) {
        (void)snprintf(child->id, sizeof child->id, "%s", name);
    } else {
        (void)snprintf(child->id, sizeof child->id, "%.16s#%llu", name, (unsigned long long)++supervisor->sequence);
    }
}

int sl__child_new(struct sl__supervisor *supervisor, sl_task_fn fn, const struct sl_spawn_options *options,
                  struct sl__child **ret_child)
{
    const char *name = options->name != NULL ? options->name : options->function;
    name = name != NULL ? name : (options->id != NULL ? options->id : "task");
    if (options->id != NULL && sl__child_by_id(supervisor, options->id) != NULL) {
        return sl_fail(SL_EEXIST, "a child '%s' is there already", options->id);
    }
    struct sl__child *child = sl_calloc(1, sizeof *child);
    if (child == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for child '%s'", name);
    }
    child->supervisor = supervisor;
    child->fn = fn;
    child->options = *options;
    child->options.ret_task = NULL;
    child->options.release = NULL; /* the argument lives as long as the record */
    (void)snprintf(child->name, sizeof child->name, "%s", name);
    child->options.name = child->name;
    set_id(supervisor, child, options->id, name);
    child->options.id = child->id;
    child->state = SL_CHILD_STOPPED;
    child->prev = supervisor->last;
    if (supervisor->last != NULL) {
        supervisor->last->next = child;
    } else {
        supervisor->first = child;
    }
    supervisor->last = child;
    supervisor->count++;
    supervisor->significant += options->significant;
    *ret_child = child;
    return 0;
}

static void forget_records(struct sl__supervisor *supervisor, const struct sl__child *child)
{
    size_t kept = 0;
    for (size_t i = 0; i < supervisor->record_count; i++) {
        if (supervisor->records[i].child != child) {
            supervisor->records[kept++] = supervisor->records[i];
        }
    }
    supervisor->record_count = kept;
}

void sl__child_free(struct sl__child *child, bool release)
{
    struct sl__supervisor *supervisor = child->supervisor;
    while (sl__wait_queue_wake(&child->waiters, SL_ENOENT)) {
    }
    sl__timer_disarm(&sl__runtime->timers, &child->timer);
    forget_records(supervisor, child);
    if (supervisor->from == child) {
        supervisor->from = child->next;
    }
    if (supervisor->failed == child) {
        supervisor->failed = NULL;
    }
    *(child->prev != NULL ? &child->prev->next : &supervisor->first) = child->next;
    *(child->next != NULL ? &child->next->prev : &supervisor->last) = child->prev;
    supervisor->count--;
    supervisor->significant -= child->options.significant;
    if (release && child->released != NULL) {
        child->released(child->options.arg);
    }
    sl_error_unref(child->last_error);
    sl_free(child);
}

void sl__supervisor_free(sl_scope *scope)
{
    struct sl__supervisor *supervisor = scope->supervisor;
    scope->supervisor = NULL;
    while (supervisor->first != NULL) {
        sl__child_free(supervisor->first, true);
    }
    sl__timer_disarm(&sl__runtime->timers, &supervisor->group_timer);
    sl_error_unref(supervisor->end_error);
    sl_free(supervisor->records);
    sl_free(supervisor);
}

bool sl__child_active(const struct sl__child *child)
{
    return child->task != NULL;
}

size_t sl__supervisor_pending(const sl_scope *scope)
{
    const struct sl__supervisor *supervisor = scope->supervisor;
    if (supervisor == NULL || supervisor->mode == SL_ENDED) {
        return 0;
    }
    size_t pending = supervisor->mode != SL_SUPERVISING;
    for (const struct sl__child *child = supervisor->first; child != NULL && pending == 0; child = child->next) {
        pending += child->state == SL_CHILD_BACKOFF;
    }
    return pending;
}

/* ---- health and budgets ---- */

static void healthy(struct sl__child *child)
{
    child->attempts = 0;
    child->start_failures = 0;
    forget_records(child->supervisor, child);
}

int sl_healthy(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (task->child == NULL) {
        return sl__misuse(SL_EMISUSE, "sl_healthy(): the task is not a supervised child");
    }
    healthy(task->child);
    return 0;
}

static sl_time window_of(const sl_scope *scope)
{
    return scope->window == 0 ? SL_RESTART_WINDOW : scope->window;
}

/* Counts one more restart; false when the budget is used up. */
static bool may_restart(struct sl__child *child)
{
    struct sl__supervisor *supervisor = child->supervisor;
    sl_scope *scope = supervisor->scope;
    uint32_t most = scope->max_restarts == 0 ? SL_MAX_RESTARTS : scope->max_restarts;
    if (most == SL_UNLIMITED) {
        return true;
    }
    sl_time now = sl_now();
    size_t kept = 0;
    for (size_t i = 0; i < supervisor->record_count; i++) {
        if (now - supervisor->records[i].when < window_of(scope)) {
            supervisor->records[kept++] = supervisor->records[i];
        }
    }
    supervisor->record_count = kept;
    if (kept >= most || kept >= supervisor->record_capacity) {
        return false;
    }
    supervisor->records[supervisor->record_count++] = (struct sl__restart_record){now, child};
    return true;
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
    child->started = !child->options.handshake;
    child->held = false;
    SL_TRY(sl__spawn(child->supervisor->scope, child->fn, &child->options, &task));
    task->child = child;
    child->task = task;
    child->state = child->started ? SL_CHILD_RUNNING : SL_CHILD_STARTING;
    child->started_at = sl_now();
    if (child->options.healthy_after > 0 && child->started) {
        arm(child, SL_TIMER_HEALTHY, child->options.healthy_after);
    }
    return 0;
}

/* One step harder each time: asked to stop, cancelled, cancelled in spite of its shields. */
static void stop_harder(struct sl__child *child)
{
    sl_time budget = child->options.stop_budget == 0 ? SL_STOP_BUDGET : child->options.stop_budget;
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
    if (child->state == SL_CHILD_STOPPING) {
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

/* A start that could not even be made counts as one that failed. */
static void run_or_fail(struct sl__child *child)
{
    child->restarts++;
    int code = sl__child_run(child);
    if (code < 0) {
        child->started = false;
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
        healthy(child);
        break;
    }
    sl__scope_check_join(supervisor->scope);
}

static sl_time backoff_of(struct sl__child *child)
{
    return sl_backoff_delay(&child->options.backoff, child->attempts++, sl_random_unit());
}

/* ---- the group and the end ---- */

static void on_group_timer(struct sl__timer *timer)
{
    struct sl__supervisor *supervisor = SL_CONTAINER(timer, struct sl__supervisor, group_timer);
    supervisor->mode = SL_GROUP_START;
    sl__supervisor_go_on(supervisor);
}

/* The last child at or after `from` that still runs gets stopped; false when none is left. */
static bool stop_last(struct sl__supervisor *supervisor, const struct sl__child *from, bool polite)
{
    for (struct sl__child *child = supervisor->last; child != NULL; child = child->prev) {
        if (child->task != NULL) {
            sl__child_stop_begin(child, polite);
            return true;
        }
        if (child->state == SL_CHILD_BACKOFF) {
            sl__timer_disarm(&sl__runtime->timers, &child->timer);
            child->state = SL_CHILD_STOPPED;
        }
        if (child == from) {
            break;
        }
    }
    return false;
}

static void group_stopped(struct sl__supervisor *supervisor)
{
    /* Temporary children are not started again. */
    struct sl__child *child = supervisor->from;
    while (child != NULL) {
        struct sl__child *next = child->next;
        if (child->options.restart == SL_NEVER_RESTART) {
            sl__child_free(child, true);
        } else if (!child->held) {
            child->state = SL_CHILD_BACKOFF;
        }
        child = next;
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
    int code = supervisor->end_code;
    sl_error *error = supervisor->end_error;
    supervisor->end_error = NULL;
    supervisor->mode = SL_ENDED;
    if (code < 0) {
        sl__scope_cancel(supervisor->scope, SL_CAUSE_SUPERVISOR, sl_error_message(error), NULL, error, false);
        sl__scope_add_error(supervisor->scope, error, code);
    } else {
        sl_error_unref(error);
    }
}

void sl__supervisor_go_on(struct sl__supervisor *supervisor)
{
    if (supervisor->mode == SL_GROUP_STOP && !stop_last(supervisor, supervisor->from, false)) {
        group_stopped(supervisor);
    }
    if (supervisor->mode == SL_GROUP_START) {
        group_start(supervisor);
    }
    if (supervisor->mode == SL_ENDING && !stop_last(supervisor, supervisor->first, supervisor->polite)) {
        end_now(supervisor);
    }
    sl__scope_check_join(supervisor->scope);
}

static void begin_end(struct sl__supervisor *supervisor, int code, sl_error *error, bool polite)
{
    if (supervisor->mode >= SL_ENDING) {
        sl_error_unref(error);
        return;
    }
    sl__timer_disarm(&sl__runtime->timers, &supervisor->group_timer);
    supervisor->mode = SL_ENDING;
    supervisor->end_code = code;
    supervisor->end_error = error;
    supervisor->polite = polite;
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

static void restart(struct sl__child *child)
{
    struct sl__supervisor *supervisor = child->supervisor;
    uint8_t strategy = supervisor->scope->strategy;
    if (strategy != SL_ONE_FOR_ALL && strategy != SL_REST_FOR_ONE) {
        child->state = SL_CHILD_BACKOFF;
        arm(child, SL_TIMER_RESTART, backoff_of(child));
        return;
    }
    child->state = SL_CHILD_BACKOFF;
    struct sl__child *from = strategy == SL_ONE_FOR_ALL ? supervisor->first : child;
    if (supervisor->mode == SL_GROUP_STOP || supervisor->mode == SL_GROUP_WAIT) {
        /* One more while the group goes down: it takes part from the earlier of the two. */
        for (struct sl__child *other = supervisor->first; other != NULL; other = other->next) {
            if (other == from || other == supervisor->from) {
                from = other;
                break;
            }
        }
    }
    sl__timer_disarm(&sl__runtime->timers, &supervisor->group_timer);
    supervisor->mode = SL_GROUP_STOP;
    supervisor->from = from;
    supervisor->failed = child;
    sl__supervisor_go_on(supervisor);
}

static void ended_for_good(struct sl__child *child, int code, bool cancelled)
{
    struct sl__supervisor *supervisor = child->supervisor;
    bool failed = code < 0 && !cancelled;
    bool significant = child->options.significant;
    if (failed) {
        sl__log(sl__runtime, SL_LOG_ERROR, "child '%s' failed and is not restarted: %s: %s", child->id,
                sl_error_name(code), sl_error_message(child->last_error));
    }
    child->state = failed ? SL_CHILD_FAILED : SL_CHILD_STOPPED;
    if (child->options.restart == SL_NEVER_RESTART) {
        sl__child_free(child, true);
    } else if (significant) {
        child->options.significant = false; /* counted out */
        supervisor->significant--;
    }
    if (significant &&
        (supervisor->scope->auto_shutdown == SL_SHUTDOWN_ANY_SIGNIFICANT || supervisor->significant == 0)) {
        begin_end(supervisor, SL_ESHUTDOWN,
                  sl__error_plain(supervisor->scope->task, SL_ESHUTDOWN, "a significant child ended"), false);
    }
}

static void after_end(struct sl__child *child, int code, bool cancelled)
{
    struct sl__supervisor *supervisor = child->supervisor;
    sl_scope *scope = supervisor->scope;
    if (!child->started) {
        uint32_t most = scope->max_start_failures == 0 ? SL_MAX_START_FAILURES : scope->max_start_failures;
        if (most != SL_UNLIMITED && ++child->start_failures > most) {
            escalate(child, "failed to start too often");
        } else {
            restart(child);
        }
        return;
    }
    if (child->started_at != 0 && sl_now() - child->started_at >= window_of(scope)) {
        child->attempts = 0; /* it ran for longer than the window: a new story */
    }
    bool again =
        child->options.restart == SL_ALWAYS || (child->options.restart == SL_ON_FAILURE && code < 0 && !cancelled);
    if (!again) {
        ended_for_good(child, code, cancelled);
    } else if (may_restart(child)) {
        restart(child);
    } else {
        escalate(child, "was restarted too often");
    }
}

/* Ends that the supervisor brought about or that come while it restarts nothing any more. */
static bool expected_end(struct sl__child *child, sl_scope *scope, int code, bool cancelled)
{
    struct sl__supervisor *supervisor = child->supervisor;
    if (child->state == SL_CHILD_STOPPING) {
        child->state = SL_CHILD_STOPPED;
        if (code < 0 && !cancelled) {
            sl__log(sl__runtime, SL_LOG_ERROR, "child '%s' failed while it was stopped: %s: %s", child->id,
                    sl_error_name(code), sl_error_message(child->last_error));
        }
        return true;
    }
    if (scope->effective || scope->stop_effective || supervisor->mode >= SL_ENDING) {
        child->state = code < 0 && !cancelled ? SL_CHILD_FAILED : SL_CHILD_STOPPED;
        return true;
    }
    return false;
}

bool sl__supervisor_child_ended(sl_scope *scope, sl_task *task, int code, sl_error *error)
{
    struct sl__child *child = task->child;
    struct sl__supervisor *supervisor = child->supervisor;
    bool cancelled = code == SL_ECANCELED && task->root.effective;
    bool stopping = child->state == SL_CHILD_STOPPING;
    sl__timer_disarm(&sl__runtime->timers, &child->timer);
    child->task = NULL;
    child->last_code = code;
    sl_error_unref(child->last_error);
    child->last_error = sl_error_ref(error);
    bool propagates = code < 0 && !cancelled && child->options.restart == SL_NEVER_RESTART &&
                      scope->strategy == SL_PROPAGATE && child->started && !stopping;
    if (expected_end(child, scope, code, cancelled)) {
        propagates = propagates || (code < 0 && !cancelled && !stopping);
    } else if (!child->started && code == SL_EIGNORE) {
        child->dropped = true;
    } else if (child->waiters.first != NULL && !child->started) {
        child->state = SL_CHILD_FAILED; /* sl_supervise() waits for its first start and decides */
    } else if (propagates) {
        child->state = SL_CHILD_FAILED;
    } else {
        after_end(child, code, cancelled);
        sl__supervisor_go_on(supervisor);
        return true;
    }
    int start = child->started ? 0 : (code == 0 ? SL_ENOTSTARTED : code);
    while (sl__wait_queue_wake(&child->waiters, start)) {
    }
    if (child->dropped) {
        sl__child_free(child, true);
    }
    sl__supervisor_go_on(supervisor);
    return !propagates;
}

void sl__supervisor_started(sl_task *task)
{
    struct sl__child *child = task->child;
    if (child->started) {
        return;
    }
    child->started = true;
    child->start_failures = 0;
    if (child->state == SL_CHILD_STARTING) {
        child->state = SL_CHILD_RUNNING;
    }
    if (child->options.healthy_after > 0) {
        arm(child, SL_TIMER_HEALTHY, child->options.healthy_after);
    }
    while (sl__wait_queue_wake(&child->waiters, 0)) {
    }
    sl__supervisor_go_on(child->supervisor);
}

/* ---- the scope's own stop and cancellation ---- */

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

/* Everything in the scope is cancelled at once; each child still has only its own budget to end. */
void sl__supervisor_cancelled(sl_scope *scope)
{
    struct sl__supervisor *supervisor = scope->supervisor;
    no_more_restarts(supervisor);
    sl_error *error = supervisor->end_error;
    int code = supervisor->mode == SL_ENDING ? supervisor->end_code : 0;
    supervisor->end_error = NULL;
    supervisor->mode = SL_ENDED;
    if (code < 0) {
        sl__scope_add_error(scope, error, code); /* it was about to end for this when it was cancelled */
    }
    for (struct sl__child *child = supervisor->first; child != NULL; child = child->next) {
        sl_time budget = child->options.stop_budget == 0 ? SL_STOP_BUDGET : child->options.stop_budget;
        if (child->task != NULL && child->state != SL_CHILD_STOPPING && budget != SL_NEVER) {
            child->stop_stage = 2;
            arm(child, SL_TIMER_STOP, budget == SL_STOP_BRUTAL ? 0 : budget);
        }
    }
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
        no_more_restarts(supervisor);
        supervisor->mode = SL_ENDED;
    }
}

int sl__supervisor_add(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    SL_TRY(sl__child_check(scope, fn, options));
    struct sl__supervisor *supervisor = NULL;
    SL_TRY(sl__supervisor_of(scope, &supervisor));
    struct sl__child *child = NULL;
    SL_TRY(sl__child_new(supervisor, fn, options, &child));
    int code = sl__child_run(child);
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
