/* SPDX-License-Identifier: MIT */
/*
 * A loop that is held up, by a task that computes or because the process stands still: what came meanwhile is heard of before
 * the timers, so that nobody's time is over for what was there in time.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "sl_conformance.h"
#include "sluice/signal.h"
#include "sluice/sync.h"
#include "sluice/thread.h"

static void be_away(sl_time duration)
{
    uint64_t until = uv_hrtime() + (uint64_t)duration;
    while (uv_hrtime() < until) {
    }
}

static sl_event came;

static void arrive(void *arg)
{
    (void)arg;
    sl_event_set(&came);
}

static int wait_for_it(void *arg)
{
    (void)arg;
    SL_SCOPE(scope, .timeout = SL_MILLISECONDS(20));
    return sl_scope_close(&scope, sl_event_wait(&came));
}

/* It is there while the thread is away, as from a socket; the time of who waits is over when the thread is back. */
static int be_away_meanwhile(bool looks_in)
{
    sl_loop_ref *loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    sl_event_init(&came);
    CHECK_EQ(sl_loop_post(loop, arrive, NULL, 0), 0); /* heard of when the loop looks next */
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, wait_for_it, NULL), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    be_away(SL_MILLISECONDS(40));
    CHECK_EQ(looks_in ? sl_checkpoint() : 0, 0);
    int code = sl_scope_close(&scope, 0);
    sl_loop_ref_free(loop);
    return code;
}

C_TEST_REAL_FEW(what_came_in_time_is_not_late_because_a_task_was_long, "", "")
{
    return be_away_meanwhile(false);
}

C_TEST_REAL_FEW(nor_because_a_task_looked_in_late, "", "")
{
    return be_away_meanwhile(true);
}

#define STOOD_STILL SL_MILLISECONDS(1200)

static void stop_parent(int number, int go)
{
    char byte;
    (void)!read(go, &byte, 1);
    (void)usleep(10000); /* it waits for its signal by then */
    (void)kill(getppid(), SIGSTOP);
    (void)kill(getppid(), number);
    (void)usleep(STOOD_STILL / SL_MICROSECONDS(1));
    (void)kill(getppid(), SIGCONT);
    _exit(0);
}

/* Waits a second for a signal, and is stopped meanwhile, for longer; unless who does that comes too late. */
static int receive_while_stopped(sl_signals *signals, bool *ret_stopped)
{
    int go[2];
    CHECK_EQ(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        stop_parent(SIGUSR2, go[0]);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    CHECK_EQ(write(go[1], "", 1), 1);
    sl_time began = sl_now();
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.timeout = SL_SECONDS(1)}), 0);
    int number = sl_signals_next(signals);
    int code = sl_scope_close(&scope, number < 0 ? number : 0);
    *ret_stopped = sl_now() - began >= STOOD_STILL;
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(close(go[0]) + close(go[1]), 0);
    if (code == SL_ETIMEDOUT) {
        CHECK_EQ(sl_signals_next(signals), SIGUSR2);
    }
    return code;
}

C_TEST_REAL_FEW(nor_because_the_process_stood_still, "", "")
{
    const int number = SIGUSR2;
    sl_signals *signals = NULL;
    CHECK_EQ(sl_signals_open(&number, 1, &signals), 0);
    bool stopped = false;
    int code = 0;
    while (!stopped) {
        code = receive_while_stopped(signals, &stopped);
    }
    sl_signals_close(signals);
    return code;
}

/* A task that computes for long, and looks in, is told that its time is over. */
C_TEST_REAL_FEW(a_long_task_that_looks_in_hears_of_its_deadline, "", "")
{
    SL_SCOPE(scope, .timeout = SL_MILLISECONDS(5));
    be_away(SL_MILLISECONDS(40));
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), SL_ETIMEDOUT);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(what_came_in_time_is_not_late_because_a_task_was_long),
             cmocka_unit_test(nor_because_a_task_looked_in_late), cmocka_unit_test(nor_because_the_process_stood_still),
             cmocka_unit_test(a_long_task_that_looks_in_hears_of_its_deadline))
