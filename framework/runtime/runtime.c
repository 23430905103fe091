/* SPDX-License-Identifier: MIT */
/* A run from its first to its last moment; misuse, the program's entry. */
#define SL_ERROR_NO_MACROS /* they are defined here */
#include "sluice/runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define ERROR_TEXT_BYTES 2048

/* ---- misuse ---- */

void sl__pending_drop(sl_task *task)
{
    if (task->pending_error != NULL) {
        sl__log_error(task->runtime, task, task->pending_code, task->pending_error);
        sl_error_unref(task->pending_error);
        task->pending_error = NULL;
    }
    task->pending_code = SL_PENDING_NONE;
}

int sl__misuse(int code, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sl_runtime *runtime = sl__runtime;
    if (runtime != NULL && runtime->options.strict) {
        (void)fprintf(stderr, "sluice: misuse (%s): %s\n", sl_error_name(code), text);
        sl__tree_print(runtime, stderr);
        abort();
    }
    return sl_fail(code, "%s", text);
}

void sl__panic(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "sluice: %s:%d: %s\n", file, line, what);
    if (sl__runtime != NULL) {
        sl__tree_print(sl__runtime, stderr);
    }
    abort();
}

/* ---- opening and closing ---- */

#define CLOCK_RATE_MAX 1e9

static bool clock_is_wrong(const struct sl_simulation_options *simulation)
{
    return simulation->start < 0 || simulation->autojump < 0 ||
           !(simulation->rate >= 0 && simulation->rate <= CLOCK_RATE_MAX);
}

/* NULL, or what is wrong with the options. */
static const char *check_options(const struct sl_run_options *options)
{
    size_t hooks = 0;
    if (options == NULL) {
        return NULL;
    }
    while (options->instruments != NULL && options->instruments[hooks] != NULL && hooks <= SL_HOOKS_MAX) {
        hooks++;
    }
    if (options->stack_bytes != 0 &&
        (options->stack_bytes < SL_STACK_BYTES_MIN || options->stack_bytes > SL_STACK_BYTES_MAX)) {
        return "stack_bytes is not between 16 KiB and 8 MiB";
    }
    if (options->watchdog < 0 || options->spin < 0 || options->grace < 0) {
        return "negative watchdog, spin or grace";
    }
    if (hooks > SL_HOOKS_MAX) {
        return "more than SL_HOOKS_MAX instruments";
    }
    if (options->simulation != NULL && clock_is_wrong(options->simulation)) {
        return "a simulated clock that goes back, or faster than 1e9";
    }
    return NULL;
}

static void set_options(sl_runtime *runtime, const struct sl_run_options *options)
{
    struct sl_run_options *own = &runtime->options;
    if (options != NULL) {
        *own = *options;
    }
    own->stack_bytes = own->stack_bytes == 0 ? SL_STACK_BYTES : own->stack_bytes;
    own->stack_pool_hot = own->stack_pool_hot == 0 ? SL_STACK_POOL_HOT : own->stack_pool_hot;
    own->batch = own->batch == 0 ? SL_BATCH : own->batch;
    own->watchdog = own->watchdog == 0 ? SL_WATCHDOG : own->watchdog;
    own->grace = own->grace == 0 ? SL_GRACE : own->grace;
    /* Spread over all bits: small seeds would begin alike. */
    runtime->shuffle_rng = own->shuffle_seed == 0 ? 0 : own->shuffle_seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    const struct sl_hooks *const *instrument = own->instruments;
    while (instrument != NULL && *instrument != NULL) {
        runtime->instruments[runtime->instrument_count++] = *instrument++;
    }
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* All parts, also half-opened ones. Handles that a part left on the loop are closed with it. */
static void runtime_close(sl_runtime *runtime)
{
    sl__watchdog_close(runtime);
    sl__signals_close(runtime);
    sl__posts_close(runtime); /* first: what threads have finished is taken in while their pool is there */
    sl__offloads_close(runtime);
    if (runtime->loop_open) {
        if (runtime->wake_timer_open) {
            uv_close((uv_handle_t *)&runtime->wake_timer, NULL);
        }
        (void)uv_run(&runtime->loop, UV_RUN_NOWAIT);
        uv_walk(&runtime->loop, close_handle, NULL);
        (void)uv_run(&runtime->loop, UV_RUN_DEFAULT);
        SL_ASSERT(uv_loop_close(&runtime->loop) == 0);
    }
    if (runtime->root.magic == SL_SCOPE_OPEN) {
        sl__scope_done(&runtime->root);
    }
    sl__stacks_close(runtime);
    sl__overflow_guard_close(runtime);
    if (runtime->net_free != NULL) {
        runtime->net_free(runtime->net);
    }
    sl__runtime = NULL;
    sl__log_close(runtime);
    sl_free(runtime);
}

static int runtime_open(sl_runtime *runtime)
{
    SL_TRY(sl__stacks_open(runtime));
    SL_TRY(sl__overflow_guard_open(runtime));
    int code = uv_loop_init(&runtime->loop);
    if (code < 0) {
        return code;
    }
    runtime->loop_open = true;
    code = uv_timer_init(&runtime->loop, &runtime->wake_timer);
    if (code < 0) {
        return code;
    }
    runtime->wake_timer_open = true;
    runtime->trim_at = SL_NEVER;
    sl__world_open(runtime);
    runtime->timers.base = runtime->world->now(runtime);
    runtime->timers.earliest = SL_NEVER;
    sl__context_adopt(&runtime->loop_context);
    sl__scope_init(&runtime->root, NULL, NULL);
    runtime->root.name = "run";
    if (runtime->options.signals) {
        SL_TRY(sl__signals_watch(runtime));
    }
    return runtime->options.watchdog == SL_NEVER ? 0 : sl__watchdog_open(runtime);
}

/* ---- the main task and system tasks ---- */

void sl__runtime_child_ended(sl_runtime *runtime, sl_task *task, int code, sl_error *error)
{
    if (!task->system) {
        bool cancelled = code == SL_ECANCELED && task->root.effective;
        runtime->main_code = cancelled && runtime->interrupted == 0 && runtime->internal_code == 0 ? 0 : code;
        runtime->main_error = error;
        runtime->main_ended = true;
        sl__scope_cancel(&runtime->root, SL_CAUSE_BODY, "the main task ended", task, NULL, false);
        return;
    }
    bool expected = runtime->main_ended || (code == SL_ECANCELED && task->root.effective);
    if (code < 0 && !expected) {
        runtime->internal_code = code;
        sl__log(runtime, SL_LOG_ERROR, "system task '%s' failed: %s", task->name, sl_strerror(code));
        sl__scope_cancel(&runtime->root, SL_CAUSE_INTERNAL, "a system task failed", task, error, false);
    }
    sl_error_unref(error);
}

void sl__runtime_interrupt(sl_runtime *runtime, int number)
{
    if (runtime->interrupted == 0) {
        runtime->interrupted = number;
        (void)sl_scope_stop(&runtime->root, runtime->options.grace);
        return;
    }
    /* The second one is for those who wait no longer: shields do not hold. */
    sl__scope_cancel(&runtime->root, SL_CAUSE_INTERRUPT, "interrupted twice", NULL, NULL, true);
}

/* What the run returns, once everything has ended. */
static int final_code(sl_runtime *runtime)
{
    if (runtime->internal_code != 0) {
        return SL_EINTERNAL;
    }
    if (runtime->interrupted != 0 && (runtime->main_code >= 0 || runtime->main_code == SL_ECANCELED)) {
        return SL_EINTERRUPTED;
    }
    return runtime->main_code;
}

static int run(const struct sl_run_options *options, sl_task_fn fn, void *arg, sl_error **reterr_error,
               int *ret_interrupted)
{
    if (sl__runtime != NULL) {
        return sl__misuse(SL_EMISUSE, "sl_run(): this thread runs a runtime already");
    }
    const char *wrong = fn == NULL ? "no function" : check_options(options);
    if (wrong != NULL) {
        if (reterr_error != NULL) {
            *reterr_error = sl__error_plain(NULL, SL_EINVAL, "sl_run(): %s", wrong);
        }
        return SL_EINVAL;
    }
    sl_runtime *runtime = sl_calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        return SL_ENOMEM;
    }
    sl__runtime = runtime;
    set_options(runtime, options);
    sl__log_open(runtime);
    int code = runtime_open(runtime);
    sl_task *main_task = NULL;
    if (code == 0) {
        code = sl__spawn(&runtime->root, fn, &(struct sl_spawn_options){.arg = arg, .function = "main"}, &main_task);
    }
    if (code == 0) {
        runtime->main_task = sl_task_ref_of(main_task);
        sl__loop_run(runtime);
        code = final_code(runtime);
    }
    if (reterr_error != NULL && code < 0) {
        *reterr_error = runtime->main_error;
    } else {
        sl_error_unref(runtime->main_error);
    }
    if (ret_interrupted != NULL) {
        *ret_interrupted = runtime->interrupted;
    }
    runtime_close(runtime);
    return code;
}

int sl_run(const struct sl_run_options *options, sl_task_fn fn, void *arg, sl_error **reterr_error)
{
    if (reterr_error != NULL) {
        *reterr_error = NULL;
    }
    return run(options, fn, arg, reterr_error, NULL);
}

int sl_main(sl_task_fn fn, void *arg)
{
    return sl_main_with(&(struct sl_run_options){.signals = true}, fn, arg);
}

int sl_main_with(const struct sl_run_options *options, sl_task_fn fn, void *arg)
{
    sl_error *error = NULL;
    int interrupted = 0;
    int code = run(options, fn, arg, &error, &interrupted);
    if (code < 0 && code != SL_EINTERRUPTED) {
        char text[ERROR_TEXT_BYTES];
        if (sl_error_print(error, text, sizeof text) == 0) {
            (void)snprintf(text, sizeof text, "%s: %s\n", sl_error_name(code), sl_strerror(code));
        }
        (void)fprintf(stderr, "%s", text);
    }
    sl_error_unref(error);
    if (interrupted != 0) {
        return 128 + interrupted;
    }
    return code < 0 ? 1 : 0;
}

int sl_statistics_get(struct sl_statistics *ret_statistics)
{
    sl_runtime *runtime = sl__runtime;
    if (runtime == NULL) {
        return SL_ENOTASK;
    }
    *ret_statistics = (struct sl_statistics){
        .tasks = runtime->live_tasks,
        .system_tasks = runtime->live_system,
        .runnable = runtime->ready.count,
        .timers = runtime->timers.count,
        .offloads = sl__offloads_running(runtime),
        .posts_queued = sl__posts_queued(runtime),
        .steps = runtime->steps,
        .spawned = runtime->spawned,
        .polls = runtime->polls,
        .restarts = runtime->restarts,
        .hogs = sl__watchdog_hogs(runtime),
        .next_deadline = sl__timers_next_exact(&runtime->timers),
        .turns = &runtime->turns,
        .lateness = &runtime->timers.lateness,
    };
    sl__stacks_count(runtime, &ret_statistics->stacks_pooled, &ret_statistics->stacks_mapped);
    return 0;
}
