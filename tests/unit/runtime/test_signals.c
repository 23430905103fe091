/* SPDX-License-Identifier: MIT */
/* Signals beyond behaviour X6: the run's own reactions, several runtimes, what is on its way at the close. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/internal.h"
#include "sl_conformance.h"
#include "sluice/signal.h"

static volatile sig_atomic_t old_calls;

static void old_handler(int number)
{
    (void)number;
    old_calls++;
}

static void handle_usr2(void)
{
    struct sigaction action = {.sa_handler = old_handler};
    EXPECT(sigaction(SIGUSR2, &action, NULL) == 0);
    old_calls = 0;
}

C_TEST_REAL(what_is_on_its_way_at_the_close_is_raised_again, "", "")
{
    handle_usr2();
    sl_signals *signals = NULL;
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2}, 1, &signals), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(raise(SIGUSR2), 0); /* the loop has had no turn to take them up */
    sl_signals_close(signals);
    CHECK_EQ(old_calls, 1);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(old_calls, 1);
    return 0;
}

C_TEST_REAL(what_cannot_be_a_stream_is_refused, "", "")
{
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 65, 1000, 32};
    sl_signals *signals = NULL;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        CHECK_EQ(sl_signals_open(&never[i], 1, &signals), SL_EINVAL);
    }
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2, SIGUSR2}, 2, &signals), SL_EINVAL);
    /* What was started before the bad one is as it was. */
    handle_usr2();
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2, 32}, 2, &signals), SL_EINVAL);
    CHECK(signals == NULL);
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(old_calls, 1);
    sl_signals_close(NULL);
    return 0;
}

struct reading {
    sl_signals *signals;
    int result;
};

static int reading(void *arg)
{
    struct reading *call = arg;
    call->result = sl_signals_next(call->signals);
    return 0;
}

static int wait_parked(sl_task_ref task)
{
    while (task.task->what == NULL || strcmp(task.task->what, "signal") != 0) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

C_TEST_REAL(a_reader_keeps_what_it_got_when_the_stream_closes, "", "")
{
    handle_usr2();
    struct reading call = {NULL, 0};
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2}, 1, &call.signals), 0);
    SL_SCOPE(scope);
    sl_task_ref task;
    CHECK_EQ(sl_spawn(&scope, reading, &call, .ret_task = &task), 0);
    SL_TRY(wait_parked(task));
    CHECK_EQ(raise(SIGUSR2), 0);
    while (sl_task_alive(task) && task.task->state == SL_TASK_PARKED) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    sl_signals_close(call.signals);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(call.result, SIGUSR2);
    CHECK_EQ(old_calls, 0);
    return 0;
}

C_TEST_REAL(a_waiting_reader_learns_of_the_close, "", "")
{
    struct reading call = {NULL, 0};
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2}, 1, &call.signals), 0);
    SL_SCOPE(scope);
    sl_task_ref task;
    CHECK_EQ(sl_spawn(&scope, reading, &call, .ret_task = &task), 0);
    SL_TRY(wait_parked(task));
    sl_signals_close(call.signals);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(call.result, SL_ECLOSED);
    return 0;
}

/* Until the loop has taken up what was raised. */
static int some_turns_of_the_loop(void)
{
    for (uint64_t polls = sl__runtime->polls + 4; sl__runtime->polls < polls;) {
        CHECK_EQ(sl_checkpoint_shielded(), 0);
    }
    return 0;
}

C_TEST_REAL(the_signals_of_a_stream_take_turns, "", "")
{
    struct reading call = {NULL, 0};
    CHECK_EQ(sl_signals_open((int[]){SIGUSR1, SIGUSR2}, 2, &call.signals), 0);
    CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR2) == 0);
    SL_TRY(some_turns_of_the_loop());
    CHECK_EQ(sl_signals_next(call.signals), SIGUSR1);
    CHECK_EQ(raise(SIGUSR1), 0);
    SL_TRY(some_turns_of_the_loop());
    CHECK_EQ(sl_signals_next(call.signals), SIGUSR2);
    CHECK_EQ(sl_signals_next(call.signals), SIGUSR1);

    /* One that was handed over to a reader had its turn, too. */
    SL_SCOPE(scope);
    sl_task_ref task;
    for (int i = 0; i < 2; i++) {
        int number = i == 0 ? SIGUSR2 : SIGUSR1;
        int other = i == 0 ? SIGUSR1 : SIGUSR2;
        CHECK_EQ(sl_spawn(&scope, reading, &call, .ret_task = &task), 0);
        SL_TRY(wait_parked(task));
        CHECK_EQ(raise(number), 0);
        CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
        CHECK_EQ(call.result, number);
        CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR2) == 0);
        SL_TRY(some_turns_of_the_loop());
        CHECK_EQ(sl_signals_next(call.signals), other);
        CHECK_EQ(sl_signals_next(call.signals), number);
    }
    sl_signals_close(call.signals);
    return sl_scope_wait(&scope);
}

static int cancel_a_reader(void *arg)
{
    (void)arg;
    struct reading call = {NULL, 0};
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2}, 1, &call.signals), 0);
    {
        SL_SCOPE(scope);
        sl_task_ref task;
        CHECK_EQ(sl_spawn(&scope, reading, &call, .ret_task = &task), 0);
        SL_TRY(wait_parked(task));
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(raise(SIGUSR2), 0); /* the loop takes it up before the cancelled task runs again */
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(call.result, SL_ECANCELED);
    }
    CHECK_EQ(sl_signals_next(call.signals), SIGUSR2);
    sl_signals_close(call.signals);
    return 0;
}

C_TEST_RUNS(a_cancelled_reader_leaves_the_signal_for_the_next, "", "")
{
    struct sl_run_options own = *options;
    own.batch = 1; /* a poll after every step */
    return sl_run(&own, cancel_a_reader, NULL, NULL);
}

/* ---- the run's own reactions ---- */

static int spin_until_stopped(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGINT), 0);
    while (!sl_stop_requested()) { /* always ready: the loop never blocks */
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

C_TEST_RUNS(a_busy_run_is_interrupted, "", "")
{
    struct sl_run_options own = *options;
    own.signals = true;
    CHECK_EQ(sl_run(&own, spin_until_stopped, NULL, NULL), SL_EINTERRUPTED);
    return 0;
}

static int wait_for_the_end(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGINT), 0);
    return sl_sleep(SL_SECONDS(1000));
}

static int shield_itself(void *arg)
{
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1000));
    CHECK_EQ(raise(SIGINT), 0);
    SL_TRY(some_turns_of_the_loop());
    CHECK(sl_stop_requested() && !sl_cancel_pending());
    CHECK_EQ(raise(SIGTERM), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(500)), SL_ECANCELED);
    const struct sl_cancel_info *info = sl_cancel_cause();
    CHECK(info != NULL && info->cause == SL_CAUSE_INTERRUPT);
    *(bool *)arg = true;
    return sl_scope_close(&shield, SL_ECANCELED);
}

C_TEST_RUNS(a_cancelled_main_task_was_interrupted, "", "")
{
    struct sl_run_options own = *options;
    own.signals = true;
    own.grace = 1;
    CHECK_EQ(sl_run(&own, wait_for_the_end, NULL, NULL), SL_EINTERRUPTED);
    return 0;
}

C_TEST_RUNS(the_second_signal_goes_through_shields, "", "")
{
    struct sl_run_options own = *options;
    own.signals = true;
    bool done = false;
    own.grace = SL_SECONDS(400);
    CHECK_EQ(sl_run(&own, shield_itself, &done, NULL), SL_EINTERRUPTED);
    CHECK(done);
    return 0;
}

static int stream_first(void *arg)
{
    bool read_it = *(const bool *)arg;
    sl_signals *signals = NULL;
    CHECK_EQ(sl_signals_open((int[]){SIGTERM}, 1, &signals), 0);
    CHECK_EQ(raise(SIGTERM), 0);
    CHECK_EQ(sl_signals_next(signals), SIGTERM);
    CHECK(!sl_stop_requested());
    CHECK_EQ(raise(SIGTERM), 0);
    if (read_it) {
        CHECK_EQ(sl_signals_next(signals), SIGTERM);
    }
    sl_signals_close(signals); /* what was not read is the run's now, and counts once */
    uint64_t turns = sl__runtime->polls + 10;
    while (sl__runtime->polls < turns) {
        CHECK_EQ(sl_checkpoint_shielded(), 0);
    }
    CHECK_EQ(sl_stop_requested(), !read_it);
    CHECK(!sl_cancel_pending());
    CHECK_EQ(raise(SIGTERM), 0);
    while (!sl_stop_requested()) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

C_TEST_RUNS(a_stream_goes_before_the_runs_reaction, "", "")
{
    struct sl_run_options own = *options;
    own.signals = true;
    for (int i = 0; i < 2; i++) {
        bool read_it = i == 0;
        CHECK_EQ(sl_run(&own, stream_first, &read_it, NULL), SL_EINTERRUPTED);
    }
    return 0;
}

static int leave_open(void *arg)
{
    sl_signals *signals = NULL;
    (void)arg;
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2, SIGHUP}, 2, &signals), 0);
    return raise(SIGUSR2);
}

C_TEST_RUNS(a_stream_left_open_is_closed_with_the_run, "", "")
{
    handle_usr2();
    SL_TRY(sl_run(options, leave_open, NULL, NULL));
    CHECK_EQ(old_calls, 1);
    return 0;
}

static int ask_for_the_tree(void *arg)
{
    int file = *(const int *)arg;
    CHECK_EQ(sl_task_rename("the asker"), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    while (lseek(file, 0, SEEK_END) == 0) {
        CHECK_EQ(sl_checkpoint(), 0);
        (void)fflush(stderr);
    }
    return 0;
}

C_TEST_RUNS(usr1_prints_the_tree, "", "")
{
    struct sl_run_options own = *options;
    own.signals = true;
    int file = memfd_create("stderr", MFD_CLOEXEC);
    int before = dup(STDERR_FILENO);
    CHECK(file >= 0 && before >= 0);
    CHECK_EQ(dup2(file, STDERR_FILENO), STDERR_FILENO);
    int code = sl_run(&own, ask_for_the_tree, &file, NULL);
    CHECK_EQ(dup2(before, STDERR_FILENO), STDERR_FILENO);
    char text[1024] = "";
    CHECK(pread(file, text, sizeof text - 1, 0) > 0);
    (void)close(before);
    (void)close(file);
    CHECK(strstr(text, "the asker") != NULL);
    return code;
}

/* ---- several runtimes in one process ---- */

struct other {
    sem_t opened, go;
    int result;
};

static int other_main(void *arg)
{
    struct other *other = arg;
    sl_signals *signals = NULL;
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2}, 1, &signals), 0);
    (void)sem_post(&other->opened);
    while (sem_wait(&other->go) != 0) {
    }
    other->result = sl_signals_next(signals);
    sl_signals_close(signals);
    return 0;
}

static void *other_thread(void *arg)
{
    EXPECT(sl_run(NULL, other_main, arg, NULL) == 0);
    return NULL;
}

C_TEST_REAL(the_old_handler_is_back_after_the_last_runtime, "", "")
{
    handle_usr2();
    struct other other = {.result = 0};
    (void)sem_init(&other.opened, 0, 0);
    (void)sem_init(&other.go, 0, 0);
    sl_signals *signals = NULL;
    CHECK_EQ(sl_signals_open((int[]){SIGUSR2}, 1, &signals), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, &other), 0);
    while (sem_wait(&other.opened) != 0) {
    }
    sl_signals_close(signals); /* the first to open is the first to close: the other one's stream lives on */
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(old_calls, 0);
    (void)sem_post(&other.go);
    (void)pthread_join(thread, NULL);
    CHECK_EQ(other.result, SIGUSR2);
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(old_calls, 1);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_cancelled_main_task_was_interrupted),
             cmocka_unit_test(the_second_signal_goes_through_shields),
             cmocka_unit_test(the_signals_of_a_stream_take_turns),
             cmocka_unit_test(what_is_on_its_way_at_the_close_is_raised_again),
             cmocka_unit_test(what_cannot_be_a_stream_is_refused),
             cmocka_unit_test(a_reader_keeps_what_it_got_when_the_stream_closes),
             cmocka_unit_test(a_waiting_reader_learns_of_the_close),
             cmocka_unit_test(a_cancelled_reader_leaves_the_signal_for_the_next),
             cmocka_unit_test(a_busy_run_is_interrupted), cmocka_unit_test(a_stream_goes_before_the_runs_reaction),
             cmocka_unit_test(a_stream_left_open_is_closed_with_the_run), cmocka_unit_test(usr1_prints_the_tree),
             cmocka_unit_test(the_old_handler_is_back_after_the_last_runtime))
