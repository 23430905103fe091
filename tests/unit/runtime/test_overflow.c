/* SPDX-License-Identifier: MIT */
/* Stacks: an overflow is named, sizes are kept, use is measured, idle memory goes back. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../framework/runtime/internal.h"
#include "sl_test.h"

static int dig(volatile char *above, int depth)
{
    volatile char frame[1024];
    memset((void *)frame, depth, sizeof frame);
    return depth == 0 ? above[0] : dig(frame, depth - 1) + frame[5];
}

static int overflow(void *arg)
{
    (void)arg;
    char top = 1;
    return dig(&top, 1000000);
}

static int spawn_overflow(void *arg)
{
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, overflow, arg, .name = "too-deep", .stack_bytes = (size_t)32 * 1024));
    return sl_scope_wait(&scope);
}

static void an_overflow_is_named(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        _exit(sl_run(NULL, spawn_overflow, NULL, NULL) == 0 ? 0 : 1);
    }
    (void)close(ends[1]);
    char text[4096];
    size_t length = 0;
    ssize_t got;
    while (length < sizeof text - 1 && (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0) {
        length += (size_t)got;
    }
    text[length] = '\0';
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "task 'too-deep'"));
    assert_non_null(strstr(text, "overflowed its stack"));
}

static int use_some(void *arg)
{
    size_t *used = arg;
    char top = 1;
    int sum = dig(&top, 40); /* 40 KiB and frames */
    *used = sl_task_stack_used(sl_task_self());
    return sum == 12345 ? 1 : 0;
}

static int measure(void *arg)
{
    size_t *used = arg;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, use_some, used, .stack_bytes = (size_t)512 * 1024));
    return sl_scope_wait(&scope);
}

static void use_is_measured(void **state)
{
    (void)state;
    size_t used = 0;
    assert_int_equal(sl_run(NULL, measure, &used, NULL), 0);
    assert_true(used >= (size_t)40 * 1024 && used <= (size_t)256 * 1024);
}

#define MANY 3000

static int sleeper(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(100));
}

static int idle_stacks(void *arg)
{
    size_t *idle = arg;
    {
        SL_SCOPE(scope);
        for (int i = 0; i < MANY; i++) {
            SL_TRY(sl_spawn(&scope, sleeper, NULL));
        }
        SL_TRY(sl_checkpoint());
        sl_scope_cancel(&scope, NULL);
        SL_TRY(sl_scope_wait(&scope));
    }
    idle[0] = sl__stacks_idle(sl__runtime);
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    sl__runtime->trim_at = 1; /* the delay of a second is over */
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    for (int i = 0; i < 20 && sl__stacks_idle(sl__runtime) > 100; i++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    idle[1] = sl__stacks_idle(sl__runtime);
    SL_SCOPE(again);
    SL_TRY(sl_spawn(&again, sleeper, NULL));
    SL_TRY(sl_checkpoint());
    sl_scope_cancel(&again, NULL);
    SL_TRY(sl_scope_close(&again, 0));
    SL_TRY(sl_checkpoint());
    struct sl_statistics statistics;
    SL_TRY(sl_statistics_get(&statistics));
    return statistics.stacks_pooled == statistics.stacks_mapped - 1 ? 0 : SL_EINTERNAL; /* all but this task's */
}

static void idle_memory_goes_back(void **state)
{
    (void)state;
    size_t idle[2] = {0, 0};
    assert_int_equal(sl_run(&(struct sl_run_options){.stack_pool_hot = 100}, idle_stacks, idle, NULL), 0);
    assert_true(idle[0] >= MANY);
    assert_true(idle[1] <= 100);
}

SL_TEST_MAIN(cmocka_unit_test(an_overflow_is_named), cmocka_unit_test(use_is_measured),
             cmocka_unit_test(idle_memory_goes_back))
