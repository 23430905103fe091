/* SPDX-License-Identifier: MIT */
/*
 * A runtime: one thread, its event loop, its tasks. sl_main() for programs, sl_run() for everything else.
 */
#ifndef SLUICE_RUNTIME_H
#define SLUICE_RUNTIME_H

#include <stdio.h>

#include "sluice/histogram.h"
#include "sluice/log_record.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_runtime sl_runtime;

/* Where lines go that no sink takes (see log_record.h); also called on the watchdog's thread. */
typedef void (*sl_log_fn)(void *context, enum sl_log_level level, const char *text);

/* One that drops all lines: for tests and simulations that fail on purpose. Any thread. */
void sl_log_nothing(void *context, enum sl_log_level level, const char *text);

/*
 * Hooks on what the scheduler does. Each may be NULL. A hook that returns a negative code is a faulty
 * one: the whole set is removed and that is logged; the others go on. Hooks must not block.
 */
struct sl_hooks {
    void *context;
    int (*task_spawned)(void *context, sl_task_ref task);
    int (*task_scheduled)(void *context, sl_task_ref task);
    int (*before_step)(void *context, sl_task_ref task);
    int (*after_step)(void *context, sl_task_ref task);
    int (*task_ended)(void *context, sl_task_ref task, int code);
    int (*before_wait)(void *context, sl_time timeout);
    int (*after_wait)(void *context);
};

/* Sets of hooks of one run. */
#define SL_HOOKS_MAX 8

/* A simulated world: virtual time that jumps when all tasks are blocked, and one seed for every choice. */
struct sl_simulation_options {
    uint64_t seed;
    sl_time start;    /* first value of the clock, not negative; 0: one second */
    sl_time autojump; /* jump to the next deadline when all tasks were blocked for so long of real time; */
                      /* 0: at once; SL_NEVER: never */
    double rate;      /* virtual seconds a real second, up to 1e9; 0: the clock stands still between jumps */
};

struct sl_run_options {
    size_t stack_bytes;    /* default stack of a task, as in struct sl_spawn_options; 0: SL_STACK_BYTES */
    size_t stack_pool_hot; /* idle stacks whose memory is kept; 0: SL_STACK_POOL_HOT */
    uint32_t batch;        /* steps between two polls of the event loop; 0: SL_BATCH */
    uint64_t shuffle_seed; /* not 0: run ready tasks in an order drawn from this seed (tests) */
    sl_time watchdog;      /* name the task that holds the loop longer than this; 0: SL_WATCHDOG; SL_NEVER: off */
    sl_time spin;  /* look for input for so long before the thread sleeps: spends a core to wake sooner; 0: not */
    bool signals;  /* SIGINT and SIGTERM stop, then cancel; SIGUSR1 prints the task tree */
    sl_time grace; /* from the first signal to the cancellation; 0: SL_GRACE */
    bool strict;   /* abort with the task tree on misuse, instead of returning SL_EMISUSE */
    const struct sl_simulation_options *simulation; /* NULL: the real world */
    sl_log_fn log;                                  /* NULL: standard error, warnings and errors only */
    void *log_context;
    const struct sl_hooks *const *instruments; /* up to SL_HOOKS_MAX and a NULL, borrowed for the whole run */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SL_STACK_BYTES ((size_t)256 * 1024) /* instrumented frames are several times as large */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SL_STACK_BYTES ((size_t)256 * 1024)
#endif
#endif
#ifndef SL_STACK_BYTES
#define SL_STACK_BYTES ((size_t)64 * 1024)
#endif
#define SL_STACK_POOL_HOT 1024
#define SL_BATCH 256
#define SL_WATCHDOG SL_MILLISECONDS(50)
#define SL_GRACE SL_SECONDS(10)

/*
 * Runs fn(arg) as the main task of a new runtime on this thread, until it and all it started have
 * ended. `options` may be NULL. Returns the main task's result; SL_EINVAL without `fn` and for options out of their
 * range; SL_EMISUSE when this thread runs a runtime already; SL_ENOMEM; SL_EINTERRUPTED when a signal ended it; SL_EINTERNAL when a part of the runtime
 * failed. `reterr_error` (may be NULL) gets the error tree, for sl_error_unref().
 */
SL_MUST_CHECK int sl_run(const struct sl_run_options *options, sl_task_fn fn, void *arg, sl_error **reterr_error);

/*
 * For main(): sl_run() with signals on; prints the error tree of a failure to standard error. Returns the exit
 * status: 0, 1 for a failure, 130 or 143 when SIGINT or SIGTERM ended it.
 */
int sl_main(sl_task_fn fn, void *arg);
/* The same with options (may be NULL), which say themselves whether signals are on. */
int sl_main_with(const struct sl_run_options *options, sl_task_fn fn, void *arg);

/* What the scheduler holds just now. */
struct sl_statistics {
    size_t tasks; /* live, system tasks not counted */
    size_t system_tasks;
    size_t runnable;
    size_t timers;
    size_t offloads; /* worker threads that run something */
    size_t posts_queued;
    uint64_t steps; /* switches into a task since the run began */
    uint64_t spawned;
    uint64_t polls;
    uint64_t restarts;     /* of supervised children */
    uint64_t hogs;         /* times the watchdog named a task */
    sl_time next_deadline; /* absolute; SL_NEVER when none */
    size_t stacks_pooled;
    size_t stacks_mapped;
    const struct sl_histogram *turns;    /* how long tasks ran between two polls of the event loop; borrowed */
    const struct sl_histogram *lateness; /* how long after its time each timer was called; borrowed */
};
int sl_statistics_get(struct sl_statistics *ret_statistics); /* 0 or SL_ENOTASK outside a runtime */

/*
 * Writes the task tree: path, state, what each task waits for and since when, restarts, stack use; of the first
 * SL_TREE_TASKS_MAX tasks in preorder. sl_tree_json() gives a JSON array, one object a task with its parent's id.
 * Both return a string for sl_free(), or NULL when memory is short or no runtime is on this thread.
 */
#define SL_TREE_TASKS_MAX 10000
char *sl_tree_text(void);
char *sl_tree_json(void);

/* Highest use of a task's stack, in bytes, to the page; includes earlier users of the same pooled stack. */
size_t sl_task_stack_used(sl_task_ref ref);

/* ---- the world ---- */

/*
 * Waits until every other task is blocked, and has been for `cushion` of the world's time. Cancellation
 * point. Goes before autojump when both are due. Source: Trio's wait_all_tasks_blocked().
 */
SL_MUST_CHECK int sl_quiescent_wait(sl_time cushion);

/* Simulated clock only (SL_ENOTSUP in the real world): forward by `duration` (>= 0), new autojump threshold, new rate. */
int sl_clock_jump(sl_time duration);
int sl_clock_set_autojump(sl_time threshold);
int sl_clock_set_rate(double rate);

/* Random numbers of the world: from the seed when simulated, from the system's entropy otherwise. */
uint64_t sl_random(void);
double sl_random_unit(void); /* in [0, 1) */

#ifdef __cplusplus
}
#endif

#endif
