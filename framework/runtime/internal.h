/* SPDX-License-Identifier: MIT */
/*
 * What the files of the runtime share. Nothing outside framework/runtime includes this, but for
 * framework/net's event-loop backend, which needs the loop.
 */
#ifndef SL_RUNTIME_INTERNAL_H
#define SL_RUNTIME_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "context.h"
#include "sluice/histogram.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/supervisor.h"
#include "sluice/sync.h"
#include "sluice/thread.h"
#include "wait_queue.h"

#define SL_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define SL_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define SL_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Stays on in every build: prints where, the task tree, and aborts. */
#define SL_ASSERT(condition)                                                                                           \
    do {                                                                                                               \
        if (SL_UNLIKELY(!(condition))) {                                                                               \
            sl__panic(__FILE__, __LINE__, #condition);                                                                 \
        }                                                                                                              \
    } while (0)
SL_NORETURN void sl__panic(const char *file, int line, const char *what);

#define SL_SCOPE_OPEN UINT32_C(0x51c09e01)
#define SL_SCOPE_CLOSED UINT32_C(0x51c09e02)
#define SL_TASK_MAGIC UINT32_C(0x51c07a5c)
#define SL_TASK_NAME_BYTES 32
#define SL_PENDING_NONE 1

enum sl__task_state { SL_TASK_READY, SL_TASK_RUNNING, SL_TASK_PARKED, SL_TASK_ENDED };

struct sl__start; /* a pending sl_start() */
struct sl__child; /* the spec of a supervised child */
struct sl__local; /* task-local values, a shared list */

/* A task's record lies at the top of its own stack, in the page the task touches anyway. */
struct sl_task {
    uint32_t magic;
    uint8_t state;
    bool abort_called; /* the current park was told of the cancellation */
    bool daemon;
    bool system;      /* of the runtime: its failure ends the run */
    bool was_started; /* it called sl_started() */
    bool wants_stop;  /* a stop request ends this park: abort hook, then SL_ESHUTDOWN */
    uint64_t id;
    sl_context context;
    sl_scope *scope; /* innermost open scope */
    sl_task *ready_next;
    /* the current park */
    sl_abort_fn abort;
    void *object;
    const char *what; /* NULL while it is not parked */
    int result;
    uint32_t coop; /* calls that may still complete without letting others run */
    sl_time since; /* when it parked, to the turn of the loop */
    sl_task_fn fn;
    void *arg;
    void (*release)(void *arg);
    struct sl__stack *stack;
    struct sl__start *start;
    struct sl__child *child;
    struct sl__local *locals;
    sl_error *pending_error; /* its story, until someone takes the code */
    sl_mutex *held;          /* mutexes it owns */
    sl_error *error;         /* what sl_fail() recorded last */
    int pending_code;        /* what lies behind an SL_ECANCELED seen by a scope that was left early; SL_PENDING_NONE */
    sl_runtime *runtime;
    const char *name; /* a literal, or `name_copy` */
    char name_copy[SL_TASK_NAME_BYTES];
    sl_scope root; /* implicit scope: parent is the scope it was spawned in */
};

struct sl__ready_queue {
    sl_task *first, *last;
    size_t count;
};

struct sl__timer_slot {
    struct sl__timer *first, *last;
};

/* A hierarchical wheel: one level a byte of the 64-bit time, 256 slots a level. */
struct sl__timers {
    sl_time base;     /* no armed timer is due before it */
    sl_time earliest; /* nor before this; may be too early after a disarm */
    size_t count;
    uint8_t levels;               /* which levels hold timers */
    struct sl_histogram lateness; /* how long after its time each was called */
    uint64_t bits[8][4];
    struct sl__timer_slot slots[8][256];
};

/* The real or the simulated world. wait() lets the world make progress and returns at `deadline` at the latest. */
struct sl__world_ops {
    sl_time (*now)(sl_runtime *runtime);
    void (*wait)(sl_runtime *runtime, sl_time deadline); /* 0: poll only */
    sl_time (*wall)(sl_runtime *runtime);
};

struct sl__simulated {
    struct sl_simulation_options options;
    sl_time now;        /* virtual */
    uint64_t real_base; /* real time at which `now` was true, for a rate */
    double rest;        /* of a nanosecond, beyond `now`: a slow clock that is looked at often must not stand still */
};

struct sl__quiescent; /* a task in sl_quiescent_wait() */
struct sl__offload_pool;
struct sl__post_queue;
struct sl__signal_hub;
struct sl__watchdog;
struct sl__stack_pool;

struct sl_runtime {
    sl_task *current;
    struct sl__ready_queue ready;
    uint32_t batch_left; /* steps until the next poll */
    uint64_t batch_end;  /* and the real time at which the batch is over anyway */
    sl_time turn_now;    /* the clock at the last turn of the loop */
    sl_time quiet_since; /* when a task ran last */
    const struct sl__world_ops *world;
    struct sl__timers timers;
    struct sl_run_options options;
    sl_context loop_context; /* the scheduler's own, on the thread's stack */
    sl_task *ended;          /* its stack is to be recycled by whoever runs next */
    uint64_t steps;
    uint64_t next_task_id;
    size_t live_tasks, live_system;
    uint64_t spawned, polls, restarts;
    struct sl_histogram turns; /* how long tasks ran between two polls */
    uint64_t rng[4];
    uint64_t shuffle_rng;
    struct sl__stack_pool *stacks;
    void *alternate_stack; /* for the overflow handler, if we made it */
    sl_time trim_at;       /* idle stacks give their memory back then */
    sl_scope root;         /* the parent of the main task and of system tasks; owned by no task */
    sl_task_ref main_task;
    int main_code;
    bool main_ended;
    sl_error *main_error;
    int internal_code; /* a system task failed */
    int interrupted;   /* number of the signal that ended the run */
    struct sl__simulated simulated;
    struct sl__quiescent *quiescent; /* sorted by cushion */
    struct sl__offload_pool *offloads;
    struct sl__post_queue *posts;
    struct sl__signal_hub *signals;
    struct sl__watchdog *watchdog;
    _Atomic uint64_t watch_step;  /* see watchdog.h */
    _Atomic uint64_t watch_hit;   /* the step that the watchdog noticed, 0 if none */
    _Atomic uint64_t watch_since; /* when it first saw that step */
    const struct sl_hooks *instruments[SL_HOOKS_MAX];
    size_t instrument_count;
    uv_loop_t loop;
    bool loop_open;
    uv_timer_t wake_timer; /* stands for the head of our own heap */
    bool wake_timer_open;
    pthread_mutex_t log_lock; /* for the watchdog's thread, which uses the sink, and the loop's, which may change it */
    sl_log_sink_fn log_sink;
    void *log_sink_context;
    atomic_int log_level; /* enum sl_log_level; what is less important goes nowhere; the watchdog reads it, too */
    bool fail_threads;    /* tests: no worker thread can be started */
    size_t external;      /* operations that the outside world will finish (threads, sockets): no autojump meanwhile */
    void *net;            /* for framework/net */
    void (*net_free)(void *net);
};

extern _Thread_local sl_runtime *sl__runtime;

static inline sl_task *sl__self(void)
{
    return sl__runtime == NULL ? NULL : sl__runtime->current;
}

/* True when the running task's next cancellation point fails. */
static inline bool sl__cancelled(const sl_task *task)
{
    return task->scope->effective;
}

/* scheduler.c */
#define SL_COOP_BUDGET 128
void sl__make_ready(sl_task *task);
void sl__task_begin(sl_runtime *runtime);
void sl__loop_run(sl_runtime *runtime);
void sl__switch_away(sl_task *from); /* `from` is parked, queued or ended: run something else */
/*
 * To be called by a blocking call that completed without waiting: lets others run every SL_COOP_BUDGET
 * times, so that no task that always finds its data ready starves the rest.
 */
void sl__coop_slow(sl_task *task);
static inline void sl__coop(sl_task *task)
{
    if (SL_UNLIKELY(--task->coop == 0)) {
        sl__coop_slow(task);
    }
}
/* Asks a parked task's abort hook; unparks it with SL_ECANCELED if that agrees. */
void sl__deliver_cancel(sl_task *task);
/* Reports the misuse of the API: records the message, aborts in strict mode, returns `code`. */
int sl__misuse(int code, const char *format, ...) SL_PRINTF(2, 3);
#if defined(__clang_analyzer__) && !defined(SL_ERROR_NO_MACROS)
#define sl__misuse(code, ...) ((void)(sl__misuse)((code), __VA_ARGS__), (code))
#endif
/* Nobody asked for what a scope left behind: a failure in it is logged. */
void sl__pending_drop(sl_task *task);
/* An error that nobody will collect. */
void sl__log_error(sl_runtime *runtime, sl_task *task, int code, const sl_error *error);
/* log.c */
void sl__log(sl_runtime *runtime, enum sl_log_level level, const char *format, ...) SL_PRINTF(3, 4);
void sl__log_open(sl_runtime *runtime);
void sl__log_close(sl_runtime *runtime);

/* timer.c: O(1), never allocates */
void sl__timer_arm(struct sl__timers *timers, struct sl__timer *timer, sl_time when);
void sl__timer_remove(struct sl__timers *timers, struct sl__timer *timer); /* an armed one */
static inline void sl__timer_disarm(struct sl__timers *timers, struct sl__timer *timer)
{
    if (SL_UNLIKELY(timer->armed)) {
        sl__timer_remove(timers, timer);
    }
}
size_t sl__timers_fire(struct sl__timers *timers, sl_time now); /* how many fired */
sl_time sl__timers_next_exact(const struct sl__timers *timers); /* looks through one slot; SL_NEVER when empty */

/* task.c */
int sl__spawn(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options, sl_task **ret_task);
int sl__spawn_system(sl_runtime *runtime, sl_task_fn fn, void *arg, const char *name);
void sl__task_recycle(sl_runtime *runtime, sl_task *task);
SL_NORETURN void sl__task_entry(void *argument);
struct sl__local *sl__locals_ref(struct sl__local *locals);
void sl__locals_unref(struct sl__local *locals);
sl_error *sl__task_take_error(sl_task *task,
                              int code); /* what it recorded, or a plain one with that code; may be NULL */

/* scope.c: the tree, closing; cancel.c: propagation, deadlines, shields, stop */
void sl__scope_link(sl_scope *scope, sl_scope *parent);
void sl__scope_unlink(sl_scope *scope);
void sl__scope_init(sl_scope *scope, sl_task *task, sl_scope *parent);
void sl__scope_update(sl_scope *scope); /* recompute `effective` and `stop_effective` below; deliver */
void sl__scope_cancel(sl_scope *scope, enum sl_cause cause, const char *text, sl_task *by, const sl_error *error,
                      bool force);
void sl__scope_add_error(sl_scope *scope, sl_error *error, int code); /* takes the reference */
void sl__scope_arm_deadline(sl_scope *scope);
void sl__scope_done(sl_scope *scope);        /* off the tree already: frees what it holds */
void sl__scope_stop_newest(sl_scope *scope); /* the next step of an ordered stop */
/* Tells a scope that a task in it has ended: supervision, propagation, wake-up of the owner. */
void sl__scope_child_ended(sl_scope *scope, sl_task *task, int code, sl_error *error);
void sl__scope_add_daemon(sl_scope *scope, sl_task *task); /* it is linked there already */
/* Wakes the owner if it waits for children and need not any longer. */
void sl__scope_check_join(sl_scope *scope);
int sl__scope_check_owner(sl_scope *scope, const char *call); /* 0 or the misuse code */
/* For calls that any task of the runtime may make: SL_EMISUSE if the scope, an open one, is another thread's. */
int sl__scope_check_thread(const sl_scope *scope, const char *call);
sl_scope *sl__scope_next_in_tree(sl_scope *node, const sl_scope *top, bool descend); /* preorder */
const char *sl__cause_text(enum sl_cause cause);
const struct sl_cancel_info *sl__cancel_cause_of(const sl_task *task); /* what interrupts it, or NULL */
int sl__scope_finish(sl_scope *scope, int code); /* the work of close, for an innermost scope of the running task */
bool sl__scope_is_open(const sl_scope *scope);

/* cleanup.c */
void sl__cleanups_run(sl_scope *scope);
int sl__run_shielded(sl_task_fn fn, void *arg, sl_time budget, const char *name);

/* start.c */
void sl__start_ended(sl_task *task, int code, sl_error *error); /* the task ended before sl_started() */

/* supervisor.c: all of these run on the loop or in any task and never block */
bool sl__supervised(const struct sl_spawn_options *options);
enum sl__child_fate {
    SL_CHILD_OVER,       /* ended for good, or kept */
    SL_CHILD_COMES_BACK, /* it will be restarted */
    SL_CHILD_PROPAGATES  /* its failure is the scope's */
};
enum sl__child_fate sl__supervisor_child_ended(sl_scope *scope, sl_task *task, int code, sl_error *error);
int sl__supervisor_add(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options);
void sl__supervisor_started(sl_task *task);           /* the child called sl_started() */
void sl__supervisor_cancelled(sl_scope *scope);       /* here or further out: no more restarts, budgets to stop run */
void sl__supervisor_over(sl_scope *scope);            /* no more restarts: the scope ends */
size_t sl__supervisor_pending(const sl_scope *scope); /* children in backoff or about to start: the scope is not done */
void sl__supervisor_free(sl_scope *scope);
int sl__supervisor_info(const sl_task *task, struct sl_child_info *ret_info); /* of the child that the task runs */
/* Phase one of the scope's stop for its supervised children. */
void sl__supervisor_stop(sl_scope *scope);

/* error.c */
sl_error *sl__error_new(int code, const char *task_path, const char *format, va_list arguments) SL_PRINTF(3, 0);
sl_error *sl__error_plain(sl_task *task, int code, const char *format, ...) SL_PRINTF(3, 4);
void sl__error_set_cause(sl_error *error, sl_error *cause); /* takes the reference */
int sl__error_append(sl_error *tree, sl_error *child);      /* takes the reference; SL_ENOMEM frees it */
sl_error *sl__error_take(sl_task *task);                    /* what it recorded last, with the reference; may be NULL */
void sl__error_put(sl_task *task, sl_error *error);         /* records it, taking the reference */

/* stack.c */
#define SL_STACK_BYTES_MIN ((size_t)16 * 1024)
#define SL_STACK_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define SL_STACK_COLORS 16
#define SL_STACK_COLOR_BYTES 64
struct sl__stack {
    char *base;   /* lowest address: the guard page */
    size_t bytes; /* with the guard */
    struct sl__stack *next;
    uint8_t class_index;
    uint8_t color; /* shifts the record, so that records do not all fall into the same cache lines */
    unsigned valgrind_id;
};
int sl__stacks_open(sl_runtime *runtime);
void sl__stacks_close(sl_runtime *runtime);
struct sl__stack *sl__stack_get(sl_runtime *runtime, size_t bytes);
void sl__stack_put(sl_runtime *runtime, struct sl__stack *stack);
bool sl__stacks_trim(sl_runtime *runtime, size_t limit); /* gives back idle memory; true if more is left */
size_t sl__stacks_idle(const sl_runtime *runtime);       /* pooled stacks that hold memory */
void *sl__stack_bottom(const struct sl__stack *stack);   /* lowest usable address */
bool sl__stack_guards(const struct sl__stack *stack, const void *address);
size_t sl__stack_used(const struct sl__stack *stack);
void sl__stacks_count(const sl_runtime *runtime, size_t *ret_pooled, size_t *ret_mapped);
int sl__overflow_guard_open(sl_runtime *runtime);
void sl__overflow_guard_close(sl_runtime *runtime);

/* world.c */
void sl__world_open(sl_runtime *runtime);
uint64_t sl__random_next(sl_runtime *runtime);
extern const struct sl__world_ops sl__world_real, sl__world_simulated;
bool sl__quiescent_wake(sl_runtime *runtime); /* wakes the first waiter that is due; false if none */

/* hooks.c */
void sl__hook_spawned(sl_runtime *runtime, sl_task *task);
void sl__hook_scheduled(sl_runtime *runtime, sl_task *task);
void sl__hook_step(sl_runtime *runtime, sl_task *task, bool before);
void sl__hook_ended(sl_runtime *runtime, sl_task *task, int code);
void sl__hook_wait(sl_runtime *runtime, bool before, sl_time timeout);

/* watchdog.c */
int sl__watchdog_open(sl_runtime *runtime);
void sl__watchdog_close(sl_runtime *runtime);
void sl__watchdog_idle(sl_runtime *runtime, bool idle);
uint64_t sl__watchdog_hogs(const sl_runtime *runtime);

/* post.c, offload.c, signals.c: each opens lazily; close is called at the end of the run and is fine when never opened */
/* sl_fail() on a worker thread, or sl_fail_because(): behind the message comes the one before it. */
void sl__offload_record(int code, bool because, const char *format, va_list arguments) SL_PRINTF(3, 0);
int sl__posts_open(sl_runtime *runtime);
void sl__posts_close(sl_runtime *runtime); /* later posts get SL_ECLOSED */
size_t sl__posts_queued(const sl_runtime *runtime);
void sl__offloads_close(sl_runtime *runtime); /* detaches abandoned threads */
size_t sl__offloads_running(const sl_runtime *runtime);
/* Simulated world, nothing else can run: the oldest function's task hears of its end; false if it has not ended. */
bool sl__offloads_deliver(sl_runtime *runtime);
void sl__signals_close(sl_runtime *runtime);
/* For sl_run() with .signals: a number goes to sl__runtime_interrupt(), SIGUSR1 prints the tree. */
int sl__signals_watch(sl_runtime *runtime);
void sl__runtime_child_ended(sl_runtime *runtime, sl_task *task, int code, sl_error *error); /* takes the error */
void sl__runtime_interrupt(sl_runtime *runtime, int number);

/* mutex.c; wait queues: wait_queue.h */
void sl__mutexes_break(sl_task *task); /* the task ends holding mutexes */

/* tree.c */
void sl__tree_print(sl_runtime *runtime, FILE *stream);

#endif
