/* SPDX-License-Identifier: MIT */
/* Spinning: before the thread sleeps, input is looked for as long as was said, and no longer; nobody is blamed for it. */
#include "runtime/internal.h"
#include "sl_conformance.h"

#define SPIN SL_MILLISECONDS(20)
#define SLEEPS SL_MILLISECONDS(200)

static uint64_t rounds; /* that the loop made while the task slept */
static int hogs;

static int after_wait(void *context)
{
    (void)context;
    rounds++;
    return 0;
}

static const struct sl_hooks looks = {.after_wait = after_wait};
static const struct sl_hooks *const all_looks[] = {&looks, NULL};

static void count_hogs(void *context, enum sl_log_level level, const char *text)
{
    (void)context, (void)level, (void)text;
    hogs++;
}

static int sleep_once(void *arg)
{
    sl_time *slept = arg;
    sl_time since = sl_now();
    rounds = 0;
    CHECK_EQ(sl_sleep(SLEEPS), 0);
    *slept = sl_now() - since;
    return 0;
}

static uint64_t rounds_of_a_sleep(sl_time spin, sl_time watchdog)
{
    sl_time slept = 0;
    struct sl_run_options options = {.spin = spin, .watchdog = watchdog, .log = count_hogs, .instruments = all_looks};
    assert_int_equal(sl_run(&options, sleep_once, &slept, NULL), 0);
    assert_true(slept >= SLEEPS);
    return rounds;
}

static void the_loop_looks_before_it_sleeps(void **state)
{
    (void)state;
    assert_true(rounds_of_a_sleep(0, SL_NEVER) < 10);
    assert_true(rounds_of_a_sleep(SPIN, SL_NEVER) > 100);
}

static void nobody_is_blamed(void **state)
{
    (void)state;
    for (int attempt = 0; attempt < 10; attempt++) { /* a slow machine may hold up a step; not each time */
        hogs = 0;
        assert_true(rounds_of_a_sleep(SL_NEVER, SL_MILLISECONDS(50)) > 100);
        if (hogs == 0) {
            return;
        }
    }
    fail_msg("somebody is blamed whenever the loop spins");
}

SL_TEST_MAIN(cmocka_unit_test(the_loop_looks_before_it_sleeps), cmocka_unit_test(nobody_is_blamed))
