/* SPDX-License-Identifier: MIT */
/*
 * The scope: bounds time, owns tasks, holds cleanups, carries a supervision policy.
 *
 *     static int worker(void *arg)
 *     {
 *         SL_SCOPE(scope, .timeout = SL_SECONDS(30));
 *         SL_TRY(sl_spawn(&scope, stream_trades, arg));
 *         SL_TRY(sl_spawn(&scope, poll_ticker, arg));
 *         return sl_scope_wait(&scope);
 *     }
 *
 * What a scope guarantees, on every way out of it:
 *   - all its tasks have ended: waited for, or cancelled and waited for when it is left early or fails;
 *   - then its cleanups have run, last in first out, each shielded and within its own budget;
 *   - every failure is in its error tree; the code of the first one is its result.
 *
 * Cancellation is state: a cancelled scope stays cancelled until it closes, and each blocking call in
 * it returns SL_ECANCELED, at once, each time. The outermost cancelled scope absorbs the cancellation
 * when it closes: its result is SL_ETIMEDOUT if its own deadline was the first cause, else 0.
 *
 * A deadline that passes while the thread is held up, by a task that computes or because the process stood still, counts
 * only after what had come by then: whoever waited for that gets it.
 *
 * A scope belongs to the task that opened it; scopes nest, and close in reverse order. All calls are
 * for the runtime's thread; any task there may spawn into a scope, cancel it or ask it to stop.
 */
#ifndef SLUICE_SCOPE_H
#define SLUICE_SCOPE_H

#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a scope was cancelled; the first cause wins and is kept. */
enum sl_cause {
    SL_CAUSE_NONE,
    SL_CAUSE_CALL,       /* sl_scope_cancel() or sl_task_cancel() */
    SL_CAUSE_DEADLINE,   /* its deadline passed */
    SL_CAUSE_CHILD,      /* a child failed */
    SL_CAUSE_BODY,       /* its body failed or left early */
    SL_CAUSE_STOP,       /* it was asked to stop and the grace time ran out */
    SL_CAUSE_INTERRUPT,  /* SIGINT or SIGTERM */
    SL_CAUSE_SUPERVISOR, /* its supervisor stops or restarts it */
    SL_CAUSE_MISNESTING, /* it was left open by a scope around it or by its task */
    SL_CAUSE_LOST,       /* something it must hold (a lock, a lease) was lost */
    SL_CAUSE_INTERNAL    /* a part of the runtime failed */
};

struct sl_cancel_info {
    enum sl_cause cause;
    char task[32];         /* name of the task that cancelled or failed; "" for timers */
    const char *text;      /* the reason given; never NULL; borrowed from the scope */
    const sl_error *error; /* for CHILD and BODY: the failure, else NULL; borrowed */
};

/* What happens when a child ends with an error or, if it is to be restarted, ends at all. */
enum sl_strategy {
    SL_PROPAGATE,    /* a failure cancels the siblings and leaves the scope; restarted children are replaced alone */
    SL_ONE_FOR_ONE,  /* only the child concerned is replaced */
    SL_ONE_FOR_ALL,  /* all others are stopped, then all are started anew */
    SL_REST_FOR_ONE, /* the same for those that were started after it */
    SL_ISOLATE       /* children fail alone (their errors are logged); the body's failure takes all */
};

enum sl_restart {
    SL_NEVER_RESTART, /* temporary: never restarted */
    SL_ON_FAILURE,    /* transient: restarted when it ends with an error other than SL_ESHUTDOWN */
    SL_ALWAYS         /* permanent: restarted whenever it ends */
};

enum sl_auto_shutdown {
    SL_SHUTDOWN_NEVER,
    SL_SHUTDOWN_ANY_SIGNIFICANT, /* the scope ends when one significant child has ended for good */
    SL_SHUTDOWN_ALL_SIGNIFICANT  /* ... when all of them have */
};

/* A deadline's place among the timers. Private to the runtime. */
struct sl__timer {
    sl_time key;
    struct sl__timer *next, *prev;
    void (*fire)(struct sl__timer *timer);
    uint8_t level, slot;
    bool armed;
};

typedef struct sl_scope sl_scope;
typedef struct sl_cleanup sl_cleanup;
struct sl__supervisor;

/* Storage of a scope. The caller provides it (usually through SL_SCOPE); the members are private. */
struct sl_scope {
    uint32_t magic;
    bool is_task_root;  /* the implicit scope of a task */
    bool effective;     /* cancelled, seen through parents and shields: the O(1) answer */
    bool cancel_called; /* cancelled itself */
    bool caught;        /* it absorbed its cancellation */
    bool shield;
    bool stop_effective; /* a stop was requested here or above */
    bool stop_called;
    bool move_on;
    bool closing;         /* its body has ended */
    bool closed_to_spawn; /* nothing can be spawned any more */
    bool saw_cancel;
    bool pass_on; /* its body was cancelled by a scope outside its shield */
    bool forced;  /* cancelled in spite of shields */
    bool joining; /* its owner waits for children */
    bool joining_daemons;
    bool wait_any;
    bool ordered_stop;
    bool fail_first; /* keep only the first error */
    uint8_t strategy;
    uint8_t auto_shutdown;
    sl_task *task; /* owner */
    sl_scope *parent;
    sl_scope *first, *last; /* tree: roots of child tasks, and the owner's next inner scope */
    sl_scope *prev, *next;
    size_t children;       /* live child tasks that count */
    size_t daemons;        /* live daemon tasks */
    size_t pending_starts; /* sl_start() calls that may still bring a task */
    sl_time deadline;
    sl_time stop_at;
    sl_time cleanup_budget;
    struct sl__timer timer;
    sl_cleanup *cleanups;
    const char *name;
    struct sl_cancel_info *info;
    enum sl_cause cause;
    int first_code;   /* code of the first failure, 0 if none */
    sl_error *errors; /* the tree so far */
    int any_code;
    struct sl__supervisor *supervisor;
    sl_time window;
    uint32_t max_restarts;
    uint32_t max_start_failures;
};

#define SL_SCOPE_INIT                                                                                                  \
    {                                                                                                                  \
        0                                                                                                              \
    }

struct sl_scope_options {
    const char *name;       /* shown in dumps; borrowed while the scope is open; NULL: `variable` */
    const char *variable;   /* set by SL_SCOPE */
    sl_time timeout;        /* > 0: deadline relative to the opening; 0: none; negative: SL_EINVAL */
    sl_time deadline;       /* absolute, may be past; 0 or SL_NEVER: none; not both: SL_EINVAL */
    bool shield;            /* hides cancellation from outside; needs a timeout or deadline (its budget) */
    bool move_on;           /* when its own deadline passed, the result is 0, not SL_ETIMEDOUT */
    bool fail_first;        /* keep only the first failure instead of the tree */
    bool ordered_stop;      /* sl_scope_stop() stops children one at a time, in reverse start order */
    sl_time cleanup_budget; /* cap on all cleanups together; 0: SL_CLEANUP_BUDGET */
    enum sl_strategy strategy;
    uint32_t max_restarts;       /* restarts within `window` that are still allowed, up to SL_MAX_RESTARTS_LIMIT or
                                    SL_UNLIMITED; 0: SL_MAX_RESTARTS */
    sl_time window;              /* 0: SL_RESTART_WINDOW; negative: SL_EINVAL */
    uint32_t max_start_failures; /* failed starts in a row; 0: SL_MAX_START_FAILURES */
    enum sl_auto_shutdown auto_shutdown;
};

#define SL_CLEANUP_BUDGET SL_SECONDS(30)
#define SL_MAX_RESTARTS 1
#define SL_MAX_RESTARTS_LIMIT 4096
#define SL_RESTART_WINDOW SL_SECONDS(5)
#define SL_MAX_START_FAILURES 5
#define SL_UNLIMITED UINT32_MAX

/*
 * Opens a scope for the running task inside its innermost one. `scope` must be zeroed or closed storage
 * that outlives the scope; `options` may be NULL. Never allocates. Does not block.
 * Returns 0, or SL_ENOTASK, SL_EINVAL (options), SL_EALREADY (open already). After SL_EINVAL the scope
 * is open but cancelled, and its close returns that code, so that a caller who ignored it learns of it.
 */
int sl_scope_open(sl_scope *scope, const struct sl_scope_options *options);

/*
 * Closes a scope whose body ended with `code`: a failure cancels the children first; then waits for
 * them all (not interruptible), cancels daemons, runs the cleanups, and gives the scope's result:
 *   - a failure of body, child or cleanup: the first one's code; sl_error_last() has the whole tree;
 *   - SL_ECANCELED: a scope further out is cancelled and the body, or the wait, was interrupted by it;
 *   - SL_ETIMEDOUT: its own deadline passed and interrupted something (0 with `move_on`);
 *   - else `code`, or 0 if it absorbed its own cancellation.
 * Misuse: SL_EMISUSE for a scope that is not open or not the innermost (the inner ones are cancelled
 * for "misnesting"; nothing is closed), SL_ENOTOWNER from another task, SL_EALREADY when closed twice.
 */
int sl_scope_close(sl_scope *scope, int code);

/*
 * The end of a body that succeeded: sl_scope_close(scope, 0), and lets other tasks run at least once.
 */
SL_MUST_CHECK int sl_scope_wait(sl_scope *scope);

/*
 * Waits, cancellably, until no child (daemons aside) is left; the scope stays open. `timeout` >= 0, or
 * SL_NEVER. Returns 0, SL_ETIMEDOUT (the children live on), SL_ECANCELED, SL_EINVAL or misuse as above.
 */
SL_MUST_CHECK int sl_scope_join(sl_scope *scope, sl_time timeout);

/*
 * Waits until one child (daemons aside) has ended, cancels and joins the rest, closes the scope. `ret_code`,
 * if not NULL, gets the code of the first one to end, 0 when there was none. Returns as sl_scope_close() does.
 */
SL_MUST_CHECK int sl_scope_wait_any(sl_scope *scope, int *ret_code);

/*
 * Cancels the scope and everything in it. `reason` (NULL: none) is copied. Idempotent: the first cause
 * stays. Does not wait. No effect on a closed scope. Works on any open scope of this thread, also the
 * caller's own: the failure then comes at the next cancellation point.
 */
void sl_scope_cancel(sl_scope *scope, const char *reason);
void sl_scope_cancel_for(sl_scope *scope, enum sl_cause cause, const char *reason);

/*
 * Phase one of stopping: sl_stop_requested() turns true in the scope and below; after `grace` (>= 0,
 * SL_NEVER for no limit) what is left is cancelled for SL_CAUSE_STOP. Returns 0 or SL_EINVAL. Again: an
 * earlier limit wins.
 */
int sl_scope_stop(sl_scope *scope, sl_time grace);

/* Whether the running task was asked to stop. O(1), no cancellation point. */
bool sl_stop_requested(void);

/* Waits until it is. 0, SL_ECANCELED or SL_ENOTASK. Cancellation point. (select: see channel.h) */
SL_MUST_CHECK int sl_stop_wait(void);

/* Moves the deadline (absolute; SL_NEVER removes it; past fires now). O(log n). 0, or SL_EMISUSE when not open. */
int sl_scope_set_deadline(sl_scope *scope, sl_time deadline);
sl_time sl_scope_deadline(const sl_scope *scope);

/* Raises or lowers the shield; raising needs a deadline (SL_EINVAL). Lowering delivers a waiting cancellation. */
int sl_scope_set_shield(sl_scope *scope, bool shield);

/*
 * The deadline that binds the running task: the earliest of its scopes up to the nearest shield,
 * INT64_MIN when it is cancelled, SL_NEVER when there is none.
 */
sl_time sl_effective_deadline(void);

/*
 * Called: cancelled itself, or not opened/closed with its deadline past. Caught: it absorbed it. Valid
 * also after the close. The info is NULL while not cancelled, borrowed until the scope is opened again
 * or, for its text and error, until it closes; sl_cancel_cause() looks from the running task outwards
 * and gives what interrupts it.
 */
bool sl_scope_cancel_called(const sl_scope *scope);
bool sl_scope_cancel_caught(const sl_scope *scope);
enum sl_cause sl_scope_cause(const sl_scope *scope);
const struct sl_cancel_info *sl_scope_cancel_info(const sl_scope *scope);
const struct sl_cancel_info *sl_cancel_cause(void);

/* The innermost scope of the running task, and the number of live children (daemons not counted). */
sl_scope *sl_scope_current(void);
size_t sl_scope_children(const sl_scope *scope);

/* ---- spawning ---- */

/* Exponential backoff between restarts: initial * multiplier^n, at most max, then jittered. */
struct sl_backoff {
    sl_time initial;   /* 0: SL_BACKOFF_INITIAL; SL_NO_BACKOFF: restart at once */
    sl_time max;       /* 0: SL_BACKOFF_MAX */
    double multiplier; /* 0: 2; >= 1 */
    double jitter;     /* share of the delay that is random, 0 to 1; 0: SL_BACKOFF_JITTER; negative: none */
};

#define SL_NO_BACKOFF ((sl_time)-1)
#define SL_BACKOFF_INITIAL SL_MILLISECONDS(250)
#define SL_BACKOFF_MAX SL_SECONDS(30)
#define SL_BACKOFF_JITTER 0.5
#define SL_STOP_BUDGET SL_SECONDS(5)
#define SL_STOP_BRUTAL ((sl_time)-1)

struct sl_spawn_options {
    void *arg;                  /* handed to the task */
    const char *name;           /* copied (31 bytes); NULL: `function` */
    const char *function;       /* set by sl_spawn() to the function's name; NULL: "task" */
    void (*release)(void *arg); /* called once when the task has ended for good, also if it never started */
    size_t stack_bytes;         /* 0: the runtime's default; 16 KiB to 8 MiB, rounded up to a power of two */
    bool daemon;                /* cancelled when the body and all other children are done */
    sl_task_ref *ret_task;      /* filled before the task runs, or NULL */
    /* supervision; setting any of these makes the task a supervised child with an id */
    const char *id; /* unique in the scope; up to 31 bytes; copied; NULL: made from the name */
    enum sl_restart restart;
    struct sl_backoff backoff;
    sl_time healthy_after; /* run this long (or sl_healthy()) and the restart count starts afresh; 0: the window */
    sl_time stop_budget;   /* between stop and force; 0: SL_STOP_BUDGET; SL_STOP_BRUTAL: none; SL_NEVER: wait */
    bool handshake;        /* the next child in order starts only after this one called sl_started() */
    bool significant;      /* see auto_shutdown */
};

/*
 * Starts fn(arg) as a child of `scope`; it runs first when the caller next waits, never inside the call.
 * Returns 0; SL_ENOMEM; SL_ECLOSED when the scope has ended (a task's own root, where sl_scope_current() is
 * when no scope is open, takes nothing either); SL_EINVAL for bad options; SL_EEXIST for an id that is
 * there already; SL_EMISUSE for another thread's scope. After an error nothing runs and `release` was NOT
 * called: the caller still owns `arg`. In a cancelled scope the task is started and fails at its first
 * cancellation point, so that it can free what it was given.
 */
SL_MUST_CHECK int sl_spawn_with(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options);

/*
 * As sl_spawn_with(), and waits until the task calls sl_started(value); `ret_value` (may be NULL) gets
 * the value. Cancellation point: when the caller is cancelled first, the task is cancelled and joined.
 * Fails with the task's own error when it ends before it started (the scope is unharmed), or
 * SL_ENOTSTARTED when it then ended well; after it, it fails as any child of the scope that is not restarted.
 * Source: Trio's nursery.start().
 */
SL_MUST_CHECK int sl_start_with(sl_scope *scope, sl_task_fn fn, void **ret_value,
                                const struct sl_spawn_options *options);

/* In the started task: 0; SL_EMISUSE when the task was not begun by sl_start(); SL_EALREADY the second time. */
int sl_started(void *value);

/* In a supervised child: it works, count restarts afresh. 0 or SL_EMISUSE. */
int sl_healthy(void);

/* ---- cleanups ---- */

/*
 * Registers fn(arg) to run when the scope closes, after its children have ended: shielded, with
 * `budget` (> 0) as its deadline, in reverse order. A failure is added to the scope's errors; SL_ESTUCK
 * stands for one that its budget ended. 0, SL_ENOMEM, SL_EINVAL, SL_ECLOSED, SL_ENOTASK, SL_EMISUSE for another
 * thread's scope.
 */
SL_MUST_CHECK int sl_defer(sl_scope *scope, sl_task_fn fn, void *arg, sl_time budget);

/*
 * The same in two steps, so that nothing can fail between acquiring and registering: reserve a slot,
 * acquire, arm. An unarmed slot does nothing. The slot is freed by disarm, run, or the scope.
 */
SL_MUST_CHECK int sl_cleanup_reserve(sl_scope *scope, sl_cleanup **ret_cleanup);
int sl_cleanup_arm(sl_cleanup *cleanup, sl_task_fn fn, void *arg, sl_time budget);

/* Forgets the cleanup (NULL is fine), or runs it now, shielded, and forgets it: its code. */
void sl_cleanup_disarm(sl_cleanup *cleanup);
int sl_cleanup_run(sl_cleanup *cleanup);

/* Hands the cleanup to another open scope, as its newest. 0; SL_ECLOSED, SL_EMISUSE (it stays where it was). */
int sl_cleanup_move(sl_cleanup *cleanup, sl_scope *to);

/* ---- sugar; the functions above are the API ---- */

void sl__scope_leave(sl_scope *scope);

/* Declares `scope`, opens it and makes sure it is closed on every way out of the block. Options follow as .name = value. */
#define SL_SCOPE(...) SL__SCOPE(__VA_ARGS__, )
#define SL__SCOPE(sl__name, ...)                                                                                       \
    __attribute__((cleanup(sl__scope_leave))) sl_scope sl__name;                                                       \
    sl__name.magic = 0;                                                                                                \
    (void)sl_scope_open(&sl__name, &(const struct sl_scope_options){.variable = #sl__name, __VA_ARGS__})

/* sl_spawn(&scope, fn, arg, .name = "poller", .restart = SL_ALWAYS) */
#define sl_spawn(scope, fn, ...)                                                                                       \
    sl_spawn_with((scope), (fn), &(const struct sl_spawn_options){.function = #fn, .arg = __VA_ARGS__})

/* sl_start(&scope, fn, &value, arg, options...) */
#define sl_start(scope, fn, ret_value, ...)                                                                            \
    sl_start_with((scope), (fn), (ret_value), &(const struct sl_spawn_options){.function = #fn, .arg = __VA_ARGS__})

#ifdef __cplusplus
}
#endif

#endif
