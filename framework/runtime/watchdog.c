/* SPDX-License-Identifier: MIT */
/*
 * Names the task that holds the loop. A thread looks at the step counter at half the limit; when the
 * same step is still running after the limit it says so at once with the task's id, and the loop's
 * thread adds the path when the step is over. The thread sleeps while the loop does.
 */
#include "watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* Looks at an idle loop before the thread goes to sleep for good: waking it costs the loop a system call. */
#define IDLE_LOOKS 40

struct sl__watchdog {
    sl_runtime *runtime;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    atomic_bool idle;
    atomic_bool asleep;
    sl_time limit;
    uint64_t hogs; /* loop's thread only */
};

static struct timespec in_future(sl_time duration)
{
    struct timespec when;
    (void)clock_gettime(CLOCK_MONOTONIC, &when);
    sl_time sum = (sl_time)when.tv_nsec + duration;
    when.tv_sec += (time_t)(sum / 1000000000);
    when.tv_nsec = (long)(sum % 1000000000);
    return when;
}

/* Waits for half the limit, or until the loop is busy again. False when the run has ended. */
static bool rest(struct sl__watchdog *watchdog, unsigned idle_looks)
{
    (void)pthread_mutex_lock(&watchdog->lock);
    if (!watchdog->stop && idle_looks >= IDLE_LOOKS) {
        atomic_store(&watchdog->asleep, true);
        while (!watchdog->stop && atomic_load(&watchdog->asleep) && atomic_load(&watchdog->idle)) {
            (void)pthread_cond_wait(&watchdog->wake, &watchdog->lock);
        }
        atomic_store(&watchdog->asleep, false);
    } else if (!watchdog->stop) {
        struct timespec when = in_future(watchdog->limit / 2 > 0 ? watchdog->limit / 2 : 1);
        (void)pthread_cond_timedwait(&watchdog->wake, &watchdog->lock, &when);
    }
    bool go_on = !watchdog->stop;
    (void)pthread_mutex_unlock(&watchdog->lock);
    return go_on;
}

static void *watch(void *argument)
{
    struct sl__watchdog *watchdog = argument;
    sl_runtime *runtime = watchdog->runtime;
    uint64_t last = 0;
    uint64_t since = 0;
    bool told = false;
    unsigned idle_looks = 0;
    while (rest(watchdog, idle_looks)) {
        uint64_t now = uv_hrtime();
        if (atomic_load(&watchdog->idle)) {
            idle_looks++;
            last = 0;
            continue;
        }
        idle_looks = 0;
        uint64_t step = atomic_load_explicit(&runtime->watch_step, memory_order_relaxed);
        if (step != last) {
            last = step;
            since = now;
            told = false;
        } else if (!told && (sl_time)(now - since) >= watchdog->limit / 2) {
            told = true;
            atomic_store_explicit(&runtime->watch_hit, step, memory_order_relaxed);
            atomic_store_explicit(&runtime->watch_since, since, memory_order_relaxed);
        }
    }
    return NULL;
}

void sl__watchdog_report(sl_runtime *runtime, sl_task *task)
{
    uint64_t hit = atomic_exchange_explicit(&runtime->watch_hit, 0, memory_order_relaxed);
    uint64_t since = atomic_load_explicit(&runtime->watch_since, memory_order_relaxed);
    sl_time held = (sl_time)(uv_hrtime() - since);
    if (hit >> SL_WATCH_STEP_BITS != task->id || held < runtime->watchdog->limit) {
        return; /* the step was over just before it was noticed */
    }
    runtime->watchdog->hogs++;
    char path[256] = "";
    (void)sl_task_path(sl_task_ref_of(task), path, sizeof path);
    sl__log(runtime, SL_LOG_WARNING, "task '%s' held the loop for %lld ms", path, (long long)(held / 1000000));
}

int sl__watchdog_open(sl_runtime *runtime)
{
    struct sl__watchdog *watchdog = sl_calloc(1, sizeof *watchdog);
    if (watchdog == NULL) {
        return SL_ENOMEM;
    }
    watchdog->runtime = runtime;
    watchdog->limit = runtime->options.watchdog;
    atomic_init(&watchdog->idle, false);
    atomic_init(&watchdog->asleep, false);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watchdog->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&watchdog->lock, NULL);
    if (pthread_create(&watchdog->thread, NULL, watch, watchdog) != 0) {
        (void)pthread_cond_destroy(&watchdog->wake);
        (void)pthread_mutex_destroy(&watchdog->lock);
        sl_free(watchdog);
        return SL_EAGAIN;
    }
    runtime->watchdog = watchdog;
    return 0;
}

void sl__watchdog_close(sl_runtime *runtime)
{
    struct sl__watchdog *watchdog = runtime->watchdog;
    if (watchdog == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&watchdog->lock);
    watchdog->stop = true;
    (void)pthread_cond_signal(&watchdog->wake);
    (void)pthread_mutex_unlock(&watchdog->lock);
    (void)pthread_join(watchdog->thread, NULL);
    (void)pthread_cond_destroy(&watchdog->wake);
    (void)pthread_mutex_destroy(&watchdog->lock);
    runtime->watchdog = NULL;
    sl_free(watchdog);
}

void sl__watchdog_idle(sl_runtime *runtime, bool idle)
{
    struct sl__watchdog *watchdog = runtime->watchdog;
    if (watchdog == NULL) {
        return;
    }
    atomic_store(&watchdog->idle, idle);
    if (!idle && atomic_load(&watchdog->asleep)) {
        (void)pthread_mutex_lock(&watchdog->lock);
        (void)pthread_cond_signal(&watchdog->wake);
        (void)pthread_mutex_unlock(&watchdog->lock);
    }
}

uint64_t sl__watchdog_hogs(const sl_runtime *runtime)
{
    return runtime->watchdog == NULL ? 0 : runtime->watchdog->hogs;
}
