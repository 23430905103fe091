/* SPDX-License-Identifier: MIT */
/*
 * Names the task that holds the loop. A thread looks at the step counter at half the limit. When the same
 * step still runs after the limit it says so, at once, as the step may never end; a step that ends before
 * the thread has looked again is named by the loop's own thread. Either way once. The clock is the real
 * one in every world. The thread sleeps while the loop does.
 *
 * The records of tasks are the loop's, and may change while the thread reads them. So it has the kernel
 * copy them, which neither faults nor needs the hot path to publish more than the step, and believes the
 * copy only if the same step is still running afterwards: until it ends, a running task's record, and those
 * of the tasks around it, stay as they are.
 */
#include "watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "thread.h"

/* Looks at an idle loop before the thread goes to sleep for good: waking it costs the loop a system call. */
#define IDLE_LOOKS 40
#define PATH_BYTES 256
#define PATH_DEPTH 16
#define WATCH_STACK_BYTES ((size_t)256 * 1024)

struct sl__watchdog {
    sl_runtime *runtime;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    atomic_bool idle;
    atomic_bool asleep;
    sl_time limit;
    _Atomic uint64_t hogs;
};

static struct timespec in_future(sl_time duration)
{
    struct timespec when;
    (void)clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += (time_t)(duration / 1000000000);
    when.tv_nsec += (long)(duration % 1000000000);
    if (when.tv_nsec >= 1000000000) {
        when.tv_sec++;
        when.tv_nsec -= 1000000000;
    }
    return when;
}

/* Waits for half the limit, or until the loop is busy again. False when the run has ended. */
static bool rest(struct sl__watchdog *watchdog, unsigned idle_looks)
{
    (void)pthread_mutex_lock(&watchdog->lock);
    if (!watchdog->stop && idle_looks >= IDLE_LOOKS) {
        atomic_store(&watchdog->asleep, true);
        while (!watchdog->stop && atomic_load(&watchdog->idle)) {
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

/* ---- on the watchdog's thread: the path of the task that runs ---- */

static bool peek(const void *from, void *to, size_t bytes)
{
    struct iovec local = {.iov_base = to, .iov_len = bytes};
    struct iovec remote = {.iov_base = (void *)from, .iov_len = bytes};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

#define PEEK(record, member, to)                                                                                       \
    peek((const char *)(record) + offsetof(__typeof__(*(record)), member), (to), sizeof *(to))

/* A name is a literal, which may end just before unmapped memory, or up to 31 bytes in the record. */
static void peek_name(const sl_task *task, char name[SL_TASK_NAME_BYTES])
{
    const char *from = NULL;
    name[0] = '\0';
    (void)PEEK(task, name, &from);
    for (size_t i = 0; from != NULL && i < SL_TASK_NAME_BYTES - 1; i++) {
        if (!peek(from + i, &name[i], 1) || name[i] == '\0') {
            name[i] = '\0';
            return;
        }
    }
    name[SL_TASK_NAME_BYTES - 1] = '\0';
}

static const sl_task *peek_parent(const sl_task *task)
{
    const sl_scope *scope = NULL;
    const sl_task *parent = NULL;
    return PEEK(task, root.parent, &scope) && scope != NULL && PEEK(scope, task, &parent) ? parent : NULL;
}

/* The path of the task in `step`, or "" when that cannot be read; nonsense if the step has ended. */
static void peek_path(const sl_runtime *runtime, uint64_t step, char path[PATH_BYTES])
{
    const sl_task *task = NULL;
    uint64_t id = 0;
    size_t at = PATH_BYTES - 1;
    path[at] = '\0';
    if (!PEEK(runtime, current, &task) || task == NULL || !PEEK(task, id, &id) || id != step >> SL_WATCH_STEP_BITS) {
        task = NULL; /* a callback of the loop runs */
    }
    for (int depth = 0; task != NULL && depth < PATH_DEPTH; depth++) {
        char name[SL_TASK_NAME_BYTES];
        peek_name(task, name);
        size_t length = strlen(name);
        if (length + 1 > at) {
            break;
        }
        if (depth > 0) {
            path[--at] = '/';
        }
        at -= length;
        memcpy(path + at, name, length);
        task = peek_parent(task);
    }
    memmove(path, path + at, PATH_BYTES - at);
}

static bool still_in(const sl_runtime *runtime, uint64_t step)
{
    return atomic_load_explicit(&runtime->watch_step, memory_order_relaxed) == step;
}

/* `step` runs for longer than the limit: says so, unless the loop's thread has just done it. */
static void name_hog(struct sl__watchdog *watchdog, uint64_t step, sl_time held)
{
    sl_runtime *runtime = watchdog->runtime;
    char path[PATH_BYTES];
    peek_path(runtime, step, path);
    uint64_t expected = step;
    if (path[0] != '\0' && still_in(runtime, step) &&
        atomic_compare_exchange_strong(&runtime->watch_hit, &expected, 0)) {
        atomic_fetch_add(&watchdog->hogs, 1);
        sl__log(runtime, SL_LOG_WARNING, "task '%s' held the loop for %lld ms and still does", path,
                (long long)(held / 1000000));
    }
}

static void *watch(void *argument)
{
    struct sl__watchdog *watchdog = argument;
    sl_runtime *runtime = watchdog->runtime;
    uint64_t last = 0;
    uint64_t since = 0;
    bool noted = false;
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
        if (step == 0 || step != last) {
            last = step;
            since = now;
            noted = told = false;
            continue;
        }
        if (!noted) { /* for the loop's thread, if the step ends now */
            noted = true;
            atomic_store(&runtime->watch_since, since);
            atomic_store(&runtime->watch_hit, step);
        }
        sl_time held = (sl_time)(now - since);
        if (!told && held >= watchdog->limit) {
            told = true;
            name_hog(watchdog, step, held);
        }
    }
    return NULL;
}

/* ---- on the loop's thread ---- */

void sl__watchdog_report(sl_runtime *runtime, sl_task *task)
{
    uint64_t hit = atomic_exchange(&runtime->watch_hit, 0);
    sl_time held = (sl_time)(uv_hrtime() - atomic_load(&runtime->watch_since));
    if (!still_in(runtime, hit) || hit >> SL_WATCH_STEP_BITS != task->id || held < runtime->watchdog->limit) {
        return; /* that step was over before the thread noticed, or it was no longer than the limit */
    }
    atomic_fetch_add(&runtime->watchdog->hogs, 1);
    char path[PATH_BYTES] = "";
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
    atomic_init(&watchdog->hogs, 0);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watchdog->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&watchdog->lock, NULL);
    int code = sl__thread_start(watch, watchdog, WATCH_STACK_BYTES, &watchdog->thread);
    if (code < 0) {
        (void)pthread_cond_destroy(&watchdog->wake);
        (void)pthread_mutex_destroy(&watchdog->lock);
        sl_free(watchdog);
        return code;
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
    return runtime->watchdog == NULL ? 0 : atomic_load(&runtime->watchdog->hogs);
}
