/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: ready tasks run in order, each switches straight to the next; after a bounded batch the
 * thread's own context fires timers and polls the event loop. Parking is here too.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "watchdog.h"

/* A batch also ends after this much real time, looked at every BATCH_CLOCK_STEPS steps. */
#define BATCH_TIME_NS UINT64_C(500000)
#define BATCH_CLOCK_STEPS 16u

/* Timers that are so late were held up: by a task that computes, by a machine that stood still. */
#define HELD_UP SL_MILLISECONDS(1)

#define TRIM_DELAY SL_SECONDS(1)
#define TRIM_STACKS_AT_ONCE 256

_Thread_local sl_runtime *sl__runtime;

/* xorshift64*, for the order of ready tasks only. */
static bool shuffle_coin(sl_runtime *runtime)
{
    uint64_t x = runtime->shuffle_rng;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    runtime->shuffle_rng = x;
    return ((x * UINT64_C(2685821657736338717)) >> 63) != 0;
}

/* `first` puts it at the front. */
static inline void enqueue(sl_task *task, bool first)
{
    sl_runtime *runtime = task->runtime;
    struct sl__ready_queue *ready = &runtime->ready;
    task->state = SL_TASK_READY;
    task->ready_next = NULL;
    ready->count++;
    if (ready->first == NULL) {
        ready->first = ready->last = task;
    } else if (SL_UNLIKELY(first)) {
        task->ready_next = ready->first;
        ready->first = task;
    } else {
        ready->last->ready_next = task;
        ready->last = task;
    }
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_scheduled(runtime, task);
    }
}

void sl__make_ready(sl_task *task)
{
    sl_runtime *runtime = task->runtime;
    enqueue(task, SL_UNLIKELY(runtime->shuffle_rng != 0) && shuffle_coin(runtime));
}

/*
 * With many tasks each step would wait for cold memory: the record after the next one and the stack of
 * the next one are fetched meanwhile.
 */
static inline void prefetch_ready(const sl_task *task)
{
    const sl_task *next = task->ready_next;
    if (next == NULL) {
        return;
    }
#if !defined(SL_CONTEXT_UCONTEXT)
    const char *frames = next->context.stack_pointer;
    __builtin_prefetch(frames);
    __builtin_prefetch(frames + 64);
    __builtin_prefetch(frames + 128);
    __builtin_prefetch(frames + 192);
#endif
    const char *after = (const char *)next->ready_next;
    if (after != NULL) {
        __builtin_prefetch(after);
        __builtin_prefetch(after + 64);
        __builtin_prefetch(after + 128);
        __builtin_prefetch(after + offsetof(sl_task, root));
        __builtin_prefetch(after + offsetof(sl_task, root) + 64);
    }
}

#define PREFETCH_FROM 256

/* The next task of this batch, or NULL when the loop's turn has come. */
static inline sl_task *take_ready(sl_runtime *runtime)
{
    sl_task *task = runtime->ready.first;
    if (task == NULL || runtime->batch_left == 0) {
        return NULL;
    }
    if (--runtime->batch_left % BATCH_CLOCK_STEPS == 0 && uv_hrtime() > runtime->batch_end) {
        return NULL;
    }
    runtime->ready.first = task->ready_next;
    if (--runtime->ready.count >= PREFETCH_FROM) {
        prefetch_ready(task);
    }
    return task;
}

/* Whoever runs after a task has ended gives its stack back: the task could not, standing on it. */
static inline void after_switch(sl_runtime *runtime)
{
    if (SL_UNLIKELY(runtime->ended != NULL)) {
        sl_task *ended = runtime->ended;
        runtime->ended = NULL;
        sl__task_recycle(runtime, ended);
    }
}

void sl__task_begin(sl_runtime *runtime)
{
    sl__context_entered();
    after_switch(runtime);
}

static inline void count_step(sl_runtime *runtime, sl_task *task)
{
    runtime->steps++;
    runtime->current = task;
    task->state = SL_TASK_RUNNING;
    sl__watchdog_step(runtime, task);
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_step(runtime, task, true);
    }
}

void sl__switch_away(sl_task *from)
{
    sl_runtime *runtime = from->runtime;
    sl__watchdog_step_ended(runtime, from);
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_step(runtime, from, false);
    }
    sl_task *to = take_ready(runtime);
    if (to != NULL) {
        count_step(runtime, to);
        if (to != from) {
            sl__context_switch(&from->context, &to->context, from->state == SL_TASK_ENDED);
        }
    } else {
        runtime->current = NULL;
        sl__context_switch(&from->context, &runtime->loop_context, from->state == SL_TASK_ENDED);
    }
    from->coop = SL_COOP_BUDGET;
    after_switch(runtime);
}

static void run_batch(sl_runtime *runtime)
{
    runtime->batch_left = runtime->options.batch;
    /* Real time must not decide anything in a simulated world. */
    runtime->batch_end = runtime->options.simulation != NULL ? UINT64_MAX : uv_hrtime() + BATCH_TIME_NS;
    sl_task *task = take_ready(runtime);
    if (task != NULL) {
        count_step(runtime, task);
        sl__context_switch(&runtime->loop_context, &task->context, false);
        after_switch(runtime);
    }
}

/* Memory of idle stacks goes back a second after they came to lie idle. */
static sl_time trim_stacks(sl_runtime *runtime)
{
    if (sl__stacks_idle(runtime) <= runtime->options.stack_pool_hot) {
        runtime->trim_at = SL_NEVER;
    } else if (runtime->trim_at == SL_NEVER) {
        runtime->trim_at = sl_time_add(runtime->turn_now, TRIM_DELAY);
    } else if (runtime->turn_now >= runtime->trim_at && !sl__stacks_trim(runtime, TRIM_STACKS_AT_ONCE)) {
        runtime->trim_at = SL_NEVER;
    }
    return runtime->trim_at;
}

static void wait_for_world(sl_runtime *runtime, sl_time deadline)
{
    runtime->polls++;
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_wait(runtime, true, deadline);
    }
    bool block = deadline > 0;
    if (block) {
        sl__watchdog_idle(runtime, true);
    }
    runtime->world->wait(runtime, deadline);
    if (block) {
        sl__watchdog_idle(runtime, false);
    }
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_wait(runtime, false, deadline);
    }
}

/*
 * Whether what the world has to say comes before the timers: what was there in time is not late because we are. libuv does
 * not look again when a signal interrupted its wait and the time is over.
 */
static inline bool world_first(const sl_runtime *runtime, sl_time now)
{
    return SL_UNLIKELY(runtime->timers.earliest <= now - HELD_UP) && runtime->options.simulation == NULL;
}

void sl__loop_run(sl_runtime *runtime)
{
    for (;;) {
        runtime->turn_now = runtime->world->now(runtime);
        if (runtime->ready.first != NULL) {
            sl_time begun = runtime->turn_now;
            run_batch(runtime);
            runtime->turn_now = runtime->quiet_since = runtime->world->now(runtime);
            sl_histogram_record(&runtime->turns, runtime->turn_now - begun);
        }
        if (runtime->live_tasks + runtime->live_system == 0) {
            return;
        }
        if (world_first(runtime, runtime->turn_now)) {
            wait_for_world(runtime, 0);
        }
        (void)sl__timers_fire(&runtime->timers, runtime->turn_now);
        if (runtime->ready.first != NULL) {
            wait_for_world(runtime, 0);
            continue;
        }
        if (runtime->options.simulation != NULL) {
            wait_for_world(runtime, sl__timers_next_exact(&runtime->timers));
            continue;
        }
        if (runtime->turn_now - runtime->quiet_since < runtime->options.spin) {
            wait_for_world(runtime, 0);
            continue;
        }
        sl_time trim = trim_stacks(runtime);
        sl_time timer = runtime->timers.earliest;
        wait_for_world(runtime, trim < timer ? trim : timer);
    }
}

sl_task *sl_current(void)
{
    return sl__self();
}

int sl_park(sl_abort_fn abort_wait, void *object, const char *what)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    task->abort_called = false;
    if (SL_UNLIKELY(task->scope->effective)) {
        if (abort_wait != NULL && abort_wait(task, object)) {
            task->wants_stop = false;
            return SL_ECANCELED;
        }
        task->abort_called = true;
    }
    task->state = SL_TASK_PARKED;
    task->abort = abort_wait;
    task->object = object;
    task->what = what;
    task->since = task->runtime->turn_now;
    if (SL_UNLIKELY(task->pending_code != SL_PENDING_NONE)) {
        sl__pending_drop(task); /* it goes on */
    }
    sl__switch_away(task);
    task->what = NULL;
    task->wants_stop = false;
    return task->result;
}

void sl_unpark(sl_task *task, int result)
{
    SL_ASSERT(task->state == SL_TASK_PARKED);
    task->result = result;
    sl__make_ready(task);
}

void sl__deliver_cancel(sl_task *task)
{
    if (task->state != SL_TASK_PARKED || task->abort_called) {
        return;
    }
    task->abort_called = true;
    if (task->abort != NULL && task->abort(task, task->object)) {
        sl_unpark(task, SL_ECANCELED);
    }
}

/* Behind all that are ready, in any order of tasks: a yield lets each of them run. */
static void yield(sl_task *task)
{
    enqueue(task, false);
    sl__switch_away(task);
}

void sl__coop_slow(sl_task *task)
{
    yield(task);
}

int sl_checkpoint(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl_runtime *runtime = task->runtime;
    sl_time now = runtime->timers.count > 0 ? runtime->world->now(runtime) : 0;
    if (world_first(runtime, now)) {
        runtime->batch_left = 0; /* the loop's turn has come */
    } else if (now > 0) {
        (void)sl__timers_fire(&runtime->timers, now);
    }
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    yield(task);
    return sl__cancelled(task) ? SL_ECANCELED : 0;
}

int sl_checkpoint_if_cancelled(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    return sl__cancelled(task) ? sl_checkpoint() : 0;
}

int sl_checkpoint_cheap(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl__coop(task);
    return sl__cancelled(task) ? sl_checkpoint() : 0;
}

int sl_checkpoint_shielded(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    yield(task);
    return 0;
}

bool sl_cancel_pending(void)
{
    sl_task *task = sl__self();
    return task != NULL && sl__cancelled(task);
}

/* ---- sleeping ---- */

struct sleeper {
    struct sl__timer timer;
    sl_task *task;
};

static void sleeper_fire(struct sl__timer *timer)
{
    sl_unpark(SL_CONTAINER(timer, struct sleeper, timer)->task, 0);
}

static bool sleeper_abort(sl_task *task, void *object)
{
    struct sleeper *sleeper = object;
    sl__timer_disarm(&task->runtime->timers, &sleeper->timer);
    return true;
}

int sl_sleep_until(sl_time when)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl_runtime *runtime = task->runtime;
    if (when <= runtime->world->now(runtime)) {
        return sl_checkpoint();
    }
    struct sleeper sleeper;
    sleeper.task = task;
    sleeper.timer.armed = false;
    sleeper.timer.fire = sleeper_fire;
    if (when != SL_NEVER) {
        sl__timer_arm(&runtime->timers, &sleeper.timer, when);
    }
    return sl_park(sleeper_abort, &sleeper, "sleep");
}

int sl_sleep(sl_time duration)
{
    if (duration < 0) {
        return sl_fail(SL_EINVAL, "sl_sleep(): negative duration");
    }
    return duration == 0 ? sl_checkpoint() : sl_sleep_until(sl_time_add(sl_now(), duration));
}
