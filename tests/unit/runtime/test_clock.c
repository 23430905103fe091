/* SPDX-License-Identifier: MIT */
/* The simulated clock: with callbacks of the event loop, which are no tasks; quiescence; rates. */
#include <pthread.h>
#include <time.h>

#include "../../conformance/runtime/scoped.h"
#include "sluice/thread.h"

static void jump(void *arg)
{
    EXPECT(sl_clock_jump(*(sl_time *)arg) == 0);
}

C_TEST_SIMULATED(a_clock_that_a_callback_moves_wakes_who_sleeps, "", "")
{
    sl_time hour = SL_SECONDS(3600);
    sl_time before = sl_now();
    sl_loop_ref *loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    CHECK_EQ(sl_clock_set_autojump(SL_NEVER), 0);
    CHECK_EQ(sl_loop_post(loop, jump, &hour, 0), 0);
    sl_loop_ref_free(loop);
    CHECK_EQ(sl_sleep(SL_SECONDS(60)), 0);
    CHECK_EQ(sl_now(), before + hour);
    return 0;
}

static void stop_soon(void *arg)
{
    EXPECT(sl_scope_stop(arg, SL_SECONDS(1)) == 0);
}

C_TEST_SIMULATED(the_clock_jumps_no_further_than_to_what_a_callback_has_set, "", "")
{
    static const sl_time thresholds[] = {0, SL_MICROSECONDS(200)};
    sl_loop_ref *loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    for (int i = 0; i < 2; i++) {
        sl_scope scope = SL_SCOPE_INIT;
        OPEN(scope, .name = "scope");
        CHECK_EQ(sl_clock_set_autojump(thresholds[i]), 0);
        sl_time before = sl_now();
        CHECK_EQ(sl_loop_post(loop, stop_soon, &scope, 0), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_EQ(sl_now(), before + SL_SECONDS(1));
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
    }
    sl_loop_ref_free(loop);
    return 0;
}

/* ---- what happens while the clock waits for its threshold of real time ---- */

struct visit {
    sl_loop_ref *loop;
    sl_post_fn fn;
    void *arg;
};

static void *visit(void *arg)
{
    struct visit *self = arg;
    EXPECT(sl_loop_post(self->loop, self->fn, self->arg, 0) == 0);
    return NULL;
}

static void set_event(void *arg)
{
    sl_event_set(arg);
}

static void stop_soon_and_go_on(void *arg)
{
    stop_soon(arg);
    EXPECT(sl_clock_set_autojump(0) == 0);
}

static int be_visited(void *arg)
{
    (void)arg;
    sl_event event = SL_EVENT_INIT;
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .name = "scope", .timeout = SL_SECONDS(60));
    sl_loop_ref *loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    struct visit visits[] = {{loop, set_event, &event}, {loop, stop_soon_and_go_on, &scope}};
    sl_time before = sl_now();
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, visit, &visits[0]), 0);
    CHECK_EQ(sl_event_wait(&event), 0);
    CHECK_EQ(sl_now(), before);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, visit, &visits[1]), 0);
    CHECK_EQ(sl_sleep(FOREVER), SL_ECANCELED);
    CHECK_EQ(sl_now(), before + SL_SECONDS(1));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    sl_loop_ref_free(loop);
    return sl_scope_close(&scope, 0);
}

static void a_visitor_comes_before_the_clock_jumps(void **state)
{
    (void)state;
    const struct sl_simulation_options clock = {.autojump = SL_SECONDS(1000)}; /* the visitor is quicker */
    const struct sl_run_options options = {.simulation = &clock, .watchdog = SL_NEVER};
    assert_int_equal(sl_run(&options, be_visited, NULL, NULL), 0);
}

/* ---- quiescence ---- */

struct quiet {
    char *arrived, *woken;
    char letter;
};

static int be_quiet(void *arg)
{
    struct quiet *quiet = arg;
    quiet->arrived[strlen(quiet->arrived)] = quiet->letter;
    CHECK_EQ(sl_quiescent_wait(SL_MILLISECONDS(1)), 0);
    quiet->woken[strlen(quiet->woken)] = quiet->letter;
    return 0;
}

C_TEST(who_waits_longest_for_quiescence_has_it_first, "", "")
{
    char arrived[8] = "";
    char woken[8] = "";
    struct quiet quiet[3];
    SL_SCOPE(scope);
    for (int i = 0; i < 3; i++) {
        quiet[i] = (struct quiet){arrived, woken, (char)('a' + i)};
        CHECK_EQ(sl_spawn(&scope, be_quiet, &quiet[i]), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_STRING(woken, arrived);
    return 0;
}

static int wait_too_long(void *arg)
{
    *(int *)arg = sl_quiescent_wait(SL_SECONDS(1000));
    return 0;
}

C_TEST_SIMULATED(a_cancelled_wait_for_quiescence_is_forgotten, "", "")
{
    int codes[3] = {1, 1, 1};
    sl_task_ref tasks[3];
    SL_SCOPE(scope);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_spawn(&scope, wait_too_long, &codes[i], .ret_task = &tasks[i]), 0);
    }
    SETTLE();
    CHECK_EQ(sl_task_cancel(tasks[1], NULL), 0);
    CHECK_EQ(sl_quiescent_wait(SL_SECONDS(2000)), 0);
    CHECK(codes[0] == 0 && codes[1] == SL_ECANCELED && codes[2] == 0);
    return sl_scope_wait(&scope);
}

static int nothing_on_a_thread(void *arg)
{
    (void)arg;
    return 0;
}

static int visit_a_thread(void *arg)
{
    CHECK_EQ(sl_offload(nothing_on_a_thread, NULL), 0);
    *(bool *)arg = true;
    return 0;
}

C_TEST_SIMULATED(there_is_no_quiescence_while_a_thread_is_waited_for, "", "")
{
    bool done = false;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, visit_a_thread, &done), 0);
    CHECK_EQ(sl_quiescent_wait(0), 0);
    CHECK(done);
    return sl_scope_wait(&scope);
}

/* ---- a rate ---- */

static int64_t real_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

C_TEST_SIMULATED(what_passed_at_one_rate_is_kept_at_the_next, "", "")
{
    sl_time before = sl_now();
    CHECK_EQ(sl_clock_set_rate(1e6), 0);
    int64_t end = real_time() + SL_MICROSECONDS(100);
    while (real_time() < end) {
    }
    CHECK_EQ(sl_clock_set_rate(0), 0);
    CHECK(sl_now() - before >= SL_SECONDS(100));
    return 0;
}

static int look_often(void *arg)
{
    (void)arg;
    int64_t end = real_time() + SL_MILLISECONDS(50);
    sl_time before = sl_now();
    while (real_time() <= end) {
        (void)sl_now();
    }
    CHECK(sl_now() - before >= 45); /* of 50: not a nanosecond passes from look to look */
    return 0;
}

static void a_slow_clock_that_is_looked_at_often_goes_on(void **state)
{
    (void)state;
    const struct sl_simulation_options clock = {.rate = 1e-6};
    const struct sl_run_options options = {.simulation = &clock, .watchdog = SL_NEVER};
    assert_int_equal(sl_run(&options, look_often, NULL, NULL), 0);
}

SL_TEST_MAIN(cmocka_unit_test(a_visitor_comes_before_the_clock_jumps),
             cmocka_unit_test(who_waits_longest_for_quiescence_has_it_first),
             cmocka_unit_test(a_cancelled_wait_for_quiescence_is_forgotten),
             cmocka_unit_test(there_is_no_quiescence_while_a_thread_is_waited_for),
             cmocka_unit_test(what_passed_at_one_rate_is_kept_at_the_next),
             cmocka_unit_test(a_clock_that_a_callback_moves_wakes_who_sleeps),
             cmocka_unit_test(the_clock_jumps_no_further_than_to_what_a_callback_has_set),
             cmocka_unit_test(a_slow_clock_that_is_looked_at_often_goes_on))
