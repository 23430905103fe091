/* SPDX-License-Identifier: MIT */
/*
 * Blocking functions on worker threads. A job is shared by the waiting task and its thread, the pool by
 * the runtime and all threads, so that an abandoned function may end long after the runtime has.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"
#include "post.h"
#include "thread.h"

#define IDLE_SECONDS 10
#define REASON_BYTES 128
#define MESSAGE_BYTES 256

struct job {
    atomic_int references; /* the task's and the thread's */
    sl_task_fn fn;
    void *arg;
    void (*release)(void *arg);
    struct sl__offload_pool *pool;
    struct job *next;
    struct sl__post_node done;
    sl_loop_ref *loop;
    /* loop's thread only */
    sl_task *task;     /* NULL once it does not wait any more */
    struct job *later; /* in the pool's `awaited` */
    bool submitted;
    bool finished; /* and its task will hear of it when nothing else can run */
    sl_capacity_limiter *limiter;
    sl_token token;
    /* under the pool's lock */
    bool cancelled;
    char reason[REASON_BYTES];
    /* written by the thread before it posts `done` */
    int result;
    int message_code;
    char message[MESSAGE_BYTES];
};

struct sl__offload_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a job was queued, or the pool closed */
    pthread_cond_t ended; /* after `closed`: a thread has ended, or has begun a function */
    struct job *first, *last;
    size_t queued;
    size_t idle;
    size_t threads; /* the last of them to end after `detached` frees the pool */
    size_t running; /* threads inside a function */
    bool closed;
    bool detached;               /* the runtime is gone */
    sl_capacity_limiter limiter; /* loop's thread only */
    size_t jobs;                 /* loop's thread only: started and not done */
    struct job *awaited;         /* loop's thread only, of a simulated world: in the order in which they were begun */
};

static _Thread_local struct job *current_job;

/* Lets go of the lock, and of the pool when neither runtime nor threads have it any more. */
static void pool_unlock(struct sl__offload_pool *pool)
{
    bool unused = pool->detached && pool->threads == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    if (unused) {
        (void)pthread_mutex_destroy(&pool->lock);
        (void)pthread_cond_destroy(&pool->work);
        (void)pthread_cond_destroy(&pool->ended);
        sl_free(pool);
    }
}

static void job_unref(struct job *job)
{
    if (atomic_fetch_sub(&job->references, 1) == 1) {
        sl_loop_ref_free(job->loop);
        sl_free(job);
    }
}

/* ---- on the worker threads ---- */

static void on_done(void *argument);

static void run_job(struct job *job)
{
    current_job = job;
    job->result = job->fn(job->arg);
    if (job->release != NULL) {
        job->release(job->arg);
    }
    current_job = NULL;
    job->done = (struct sl__post_node){.fn = on_done, .arg = job};
    if (sl__loop_post_node(job->loop, &job->done) < 0) {
        job_unref(job); /* the runtime has ended: nobody waits */
    }
}

/* With the lock held: the next job, or NULL when the thread should end. */
static struct job *next_job(struct sl__offload_pool *pool)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    while (pool->first == NULL && !pool->closed) {
        pool->idle++;
        int code = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
        pool->idle--;
        if (code != 0 && pool->first == NULL) {
            return NULL;
        }
    }
    struct job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        pool->last = pool->first == NULL ? NULL : pool->last;
        pool->queued--;
    }
    return job;
}

static void *work(void *argument)
{
    struct sl__offload_pool *pool = argument;
    (void)pthread_mutex_lock(&pool->lock);
    for (struct job *job = next_job(pool); job != NULL; job = next_job(pool)) {
        pool->running++;
        if (pool->closed) {
            (void)pthread_cond_signal(&pool->ended);
        }
        (void)pthread_mutex_unlock(&pool->lock);
        run_job(job);
        (void)pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    pool->threads--;
    (void)pthread_cond_signal(&pool->ended);
    pool_unlock(pool);
    return NULL;
}

void sl__offload_record(int code, bool because, const char *format, va_list arguments)
{
    struct job *job = current_job;
    if (job == NULL || format == NULL) {
        return;
    }
    char message[MESSAGE_BYTES];
    char whole[(size_t)2 * MESSAGE_BYTES + sizeof ": "];
    (void)vsnprintf(message, sizeof message, format, arguments);
    bool cause = because && job->message[0] != '\0';
    (void)snprintf(whole, sizeof whole, "%s%s%s", message, cause ? ": " : "", cause ? job->message : "");
    job->message_code = code;
    size_t bytes = strnlen(whole, sizeof job->message - 1);
    memcpy(job->message, whole, bytes);
    job->message[bytes] = '\0';
}

int sl_offload_cancelled(char *reason, size_t reason_bytes)
{
    struct job *job = current_job;
    if (job == NULL) {
        return sl__misuse(SL_EMISUSE, "sl_offload_cancelled(): not on a worker thread");
    }
    (void)pthread_mutex_lock(&job->pool->lock);
    bool cancelled = job->cancelled;
    if (cancelled && reason != NULL && reason_bytes > 0) {
        (void)snprintf(reason, reason_bytes, "%s", job->reason);
    }
    (void)pthread_mutex_unlock(&job->pool->lock);
    return cancelled ? SL_ECANCELED : 0;
}

/* ---- on the loop's thread ---- */

static void settle(struct job *job)
{
    job->pool->jobs--;
    if (sl__runtime->live_tasks > 0) { /* else the limiter may have gone with its task */
        (void)sl_capacity_limiter_release(job->limiter, job);
    }
    if (job->task != NULL) {
        sl__runtime->external--;
        sl_unpark(job->task, 0);
    }
    job_unref(job);
}

/* How fast a thread was decides nothing in a simulated world. */
static void on_done(void *argument)
{
    struct job *job = argument;
    if (job->task != NULL && sl__runtime->options.simulation != NULL) {
        job->finished = true;
    } else {
        settle(job);
    }
}

bool sl__offloads_deliver(sl_runtime *runtime)
{
    struct job *job = runtime->offloads == NULL ? NULL : runtime->offloads->awaited;
    if (job == NULL || !job->finished) {
        return false;
    }
    runtime->offloads->awaited = job->later;
    settle(job);
    return true;
}

/* Where a job is linked, or its end. */
static struct job **place_of(struct job **awaited, const struct job *job)
{
    while (*awaited != NULL && *awaited != job) {
        awaited = &(*awaited)->later;
    }
    return awaited;
}

static int pool_open(sl_runtime *runtime)
{
    if (runtime->offloads != NULL) {
        return 0;
    }
    SL_TRY(sl__posts_open(runtime));
    struct sl__offload_pool *pool = sl_calloc(1, sizeof *pool);
    if (pool == NULL) {
        return SL_ENOMEM;
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->work, &attributes);
    (void)pthread_cond_init(&pool->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&pool->lock, NULL);
    sl_capacity_limiter_init(&pool->limiter, SL_OFFLOAD_THREADS);
    runtime->offloads = pool;
    return 0;
}

/* Queues the job; starts a thread for it unless one is free. */
static int submit(sl_runtime *runtime, struct sl__offload_pool *pool, struct job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    int code = 0;
    if (pool->idle <= pool->queued) {
        code = runtime->fail_threads ? SL_EAGAIN : sl__thread_start(work, pool, SL_OFFLOAD_STACK_BYTES, NULL);
        pool->threads += code == 0;
    }
    if (code == 0) {
        job->next = NULL;
        if (pool->last != NULL) {
            pool->last->next = job;
        } else {
            pool->first = job;
        }
        pool->last = job;
        pool->queued++;
        (void)pthread_cond_signal(&pool->work);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return code;
}

static void tell_cancelled(sl_task *task, struct job *job)
{
    const struct sl_cancel_info *info = sl__cancel_cause_of(task);
    (void)pthread_mutex_lock(&job->pool->lock);
    job->cancelled = true;
    (void)snprintf(job->reason, sizeof job->reason, "%s", info == NULL ? "" : info->text);
    (void)pthread_mutex_unlock(&job->pool->lock);
}

static bool wait_for_thread(sl_task *task, void *object)
{
    tell_cancelled(task, object);
    return false;
}

static bool leave_thread(sl_task *task, void *object)
{
    struct job *job = object;
    tell_cancelled(task, job);
    job->task = NULL;
    task->runtime->external--; /* nobody waits for it: a simulated clock may go on */
    struct job **at = place_of(&job->pool->awaited, job);
    if (*at != NULL) { /* a simulated world */
        *at = job->later;
    }
    if (job->finished) {
        settle(job);
    }
    return true;
}

static int run_and_wait(sl_task *task, struct job *job, const struct sl_offload_options *options)
{
    sl_runtime *runtime = task->runtime;
    int code = sl_capacity_limiter_acquire(job->limiter, job, &job->token);
    if (code < 0) {
        return code;
    }
    job->task = task;
    job->loop = sl_loop_ref_new();
    atomic_fetch_add(&job->references, 1);
    code = submit(runtime, job->pool, job);
    if (code < 0) {
        atomic_fetch_sub(&job->references, 1);
        (void)sl_capacity_limiter_release(job->limiter, job);
        return sl_fail(code, "no worker thread could be started");
    }
    job->submitted = true;
    runtime->external++;
    job->pool->jobs++;
    if (runtime->options.simulation != NULL) {
        *place_of(&job->pool->awaited, NULL) = job;
    }
    code = sl_park(options->abandon ? leave_thread : wait_for_thread, job,
                   options->name != NULL ? options->name : "worker thread");
    if (code == SL_ECANCELED) {
        return code; /* abandoned: the result is dropped */
    }
    if (job->result < 0 && job->message_code == job->result) {
        return sl_fail(job->result, "%s", job->message);
    }
    return job->result;
}

int sl_offload_with(sl_task_fn fn, const struct sl_offload_options *options)
{
    static const struct sl_offload_options none = {.arg = NULL};
    options = options == NULL ? &none : options;
    sl_task *task = sl__self();
    int code = task == NULL ? SL_ENOTASK : 0;
    if (code == 0 && fn == NULL) {
        code = sl_fail(SL_EINVAL, "sl_offload(): no function");
    }
    code = code == 0 && sl__cancelled(task) ? SL_ECANCELED : code;
    code = code == 0 ? pool_open(task->runtime) : code;
    struct job *job = code == 0 ? sl_calloc(1, sizeof *job) : NULL;
    if (code == 0 && job == NULL) {
        code = sl_fail(SL_ENOMEM, "no memory to offload");
    }
    if (code < 0) {
        if (options->release != NULL) {
            options->release(options->arg);
        }
        return code;
    }
    atomic_init(&job->references, 1);
    job->fn = fn;
    job->arg = options->arg;
    job->release = options->release;
    job->pool = task->runtime->offloads;
    job->limiter = options->limiter != NULL ? options->limiter : &job->pool->limiter;
    code = run_and_wait(task, job, options);
    if (!job->submitted && options->release != NULL) {
        options->release(options->arg);
    }
    job_unref(job);
    return code;
}

size_t sl__offloads_running(const sl_runtime *runtime)
{
    return runtime->offloads == NULL ? 0 : runtime->offloads->jobs;
}

/* Idle threads end now and are waited for; a function that was abandoned goes on and finds its own way out. */
void sl__offloads_close(sl_runtime *runtime)
{
    struct sl__offload_pool *pool = runtime->offloads;
    if (pool == NULL) {
        return;
    }
    runtime->offloads = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    (void)pthread_cond_broadcast(&pool->work);
    while (pool->threads > pool->running) {
        (void)pthread_cond_wait(&pool->ended, &pool->lock);
    }
    pool->detached = true;
    pool_unlock(pool);
}
