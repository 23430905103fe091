/* SPDX-License-Identifier: MIT */
/* What sl_run() takes, and what it refuses before anything runs. */
#include <math.h>
#include <string.h>

#include "../../../framework/runtime/internal.h"
#include "sl_conformance.h"

static int counts(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static const struct sl_hooks hooks = {.context = NULL};

static void bad_options_are_refused(void **state)
{
    (void)state;
    const struct sl_hooks *many[SL_HOOKS_MAX + 2];
    for (size_t i = 0; i <= SL_HOOKS_MAX; i++) {
        many[i] = &hooks;
    }
    many[SL_HOOKS_MAX + 1] = NULL;
    const struct sl_simulation_options clocks[] = {
        {.start = -1}, {.autojump = -1}, {.rate = -1}, {.rate = 2e9}, {.rate = (double)NAN}};
    const struct {
        struct sl_run_options options;
        const char *says;
    } bad[] = {
        {{.stack_bytes = SL_STACK_BYTES_MIN - 1}, "stack_bytes"},
        {{.stack_bytes = SL_STACK_BYTES_MAX + 1}, "stack_bytes"},
        {{.stack_bytes = SIZE_MAX}, "stack_bytes"},
        {{.watchdog = -1}, "watchdog"},
        {{.spin = -1}, "spin"},
        {{.grace = -1}, "grace"},
        {{.instruments = many}, "SL_HOOKS_MAX"},
        {{.simulation = &clocks[0]}, "clock"},
        {{.simulation = &clocks[1]}, "clock"},
        {{.simulation = &clocks[2]}, "clock"},
        {{.simulation = &clocks[3]}, "clock"},
        {{.simulation = &clocks[4]}, "clock"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int ran = 0;
        sl_error *error = NULL;
        assert_int_equal(sl_run(&bad[i].options, counts, &ran, &error), SL_EINVAL);
        assert_int_equal(ran, 0);
        assert_int_equal(sl_error_code(error), SL_EINVAL);
        assert_non_null(strstr(sl_error_message(error), bad[i].says));
        sl_error_unref(error);
        assert_int_equal(sl_run(&bad[i].options, counts, &ran, NULL), SL_EINVAL);
    }
    assert_int_equal(sl_run(NULL, NULL, NULL, NULL), SL_EINVAL);
    assert_int_equal(sl_memory_held(), 0);
}

static void the_ends_of_the_ranges_are_taken(void **state)
{
    (void)state;
    const struct sl_hooks *most[SL_HOOKS_MAX + 1];
    for (size_t i = 0; i < SL_HOOKS_MAX; i++) {
        most[i] = &hooks;
    }
    most[SL_HOOKS_MAX] = NULL;
    const struct sl_simulation_options clock = {.start = 1, .autojump = SL_NEVER, .rate = 1e9};
    /* The least stack is too little for instrumented code. */
    const struct sl_run_options good[] = {
        {.stack_bytes = SL_STACK_BYTES_MAX, .watchdog = SL_NEVER, .instruments = most},
        {.simulation = &clock, .watchdog = SL_NEVER}};
    int ran = 0;
    assert_int_equal(sl_run(&good[0], counts, &ran, NULL), 0);
    assert_int_equal(sl_run(&good[1], counts, &ran, NULL), 0);
    assert_int_equal(ran, 2);
    assert_int_equal(sl_memory_held(), 0);
}

static int at_the_end_of_time(void *arg)
{
    (void)arg;
    CHECK_EQ(sl_clock_jump(SL_NEVER - sl_now() - SL_SECONDS(1)), 0);
    CHECK_EQ(sl_clock_set_rate(1e9), 0);
    sl_time before = sl_now();
    for (int i = 0; i < 1000 && sl_now() < SL_NEVER; i++) {
        CHECK(sl_now() >= before);
        before = sl_now();
    }
    CHECK_EQ(sl_now(), SL_NEVER);
    CHECK_EQ(sl_now(), SL_NEVER);
    CHECK_EQ(sl_now_wall(), SL_NEVER);
    return 0;
}

static void a_clock_ends_where_time_does(void **state)
{
    (void)state;
    const struct sl_simulation_options simulation = {.seed = 1};
    const struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER};
    assert_int_equal(sl_run(&options, at_the_end_of_time, NULL, NULL), 0);
}

static int fails_on_its_way_out(void *arg)
{
    *(int *)arg = sl_sleep(SL_SECONDS(1000));
    return sl_fail(SL_EPIPE, "there was more to do");
}

static int leaves_a_system_task(void *arg)
{
    SL_TRY(sl__spawn_system(sl__runtime, fails_on_its_way_out, arg, "system"));
    return sl_quiescent_wait(0);
}

static void a_system_task_may_fail_once_the_main_task_has_ended(void **state)
{
    (void)state;
    int seen = 0;
    assert_int_equal(sl_run(&(struct sl_run_options){.log = sl_log_nothing}, leaves_a_system_task, &seen, NULL), 0);
    assert_int_equal(seen, SL_ECANCELED);
}

SL_TEST_MAIN(cmocka_unit_test(a_system_task_may_fail_once_the_main_task_has_ended),
             cmocka_unit_test(bad_options_are_refused), cmocka_unit_test(the_ends_of_the_ranges_are_taken),
             cmocka_unit_test(a_clock_ends_where_time_does))
