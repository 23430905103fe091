/* SPDX-License-Identifier: MIT */
/* Corners of scopes, cancellation, cleanups and starts that faults planted in the runtime showed to be unwatched. */
#include "../../conformance/runtime/scoped.h"

C_TEST_SIMULATED(a_deadline_that_only_a_child_saw_is_reported, "", "")
{
    struct probe child = {0};
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_spawn(&scope, probe, &child), 0);
    {
        SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(100));
        CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
        CHECK_EQ(sl_scope_close(&shield, 0), 0);
    }
    CHECK_EQ(child.result, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ETIMEDOUT);
    CHECK(sl_scope_cancel_caught(&scope));
    return 0;
}

struct late_spawner {
    sl_scope *scope;
    struct probe child;
    bool done;
};

static int slow_end(void *arg)
{
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(100));
    SL_TRY(sl_sleep(SL_SECONDS(3)));
    *(bool *)arg = true;
    return sl_scope_close(&shield, 0);
}

static int spawning_daemon(void *arg)
{
    struct late_spawner *self = arg;
    int code = sl_sleep(FOREVER);
    CHECK_EQ(sl_spawn(self->scope, slow_end, &self->done), 0);
    return code;
}

C_TEST_SIMULATED(what_a_daemon_spawns_on_its_way_out_is_waited_for, "", "")
{
    SL_SCOPE(scope);
    struct late_spawner late = {.scope = &scope};
    CHECK_EQ(sl_spawn(&scope, spawning_daemon, &late, .daemon = true), 0);
    SETTLE();
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(late.done);
    return 0;
}

static int sleep_five(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(5));
}

C_TEST_SIMULATED(a_join_that_timed_out_is_forgotten, "", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sleep_five, NULL), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_SECONDS(1)), SL_ETIMEDOUT);
    sl_time before = sl_now();
    CHECK_EQ(sl_sleep(SL_SECONDS(10)), 0); /* the child's end does not cut it short */
    CHECK_EQ(sl_now() - before, SL_SECONDS(10));
    return sl_scope_wait(&scope);
}

static int fail_with(void *arg)
{
    return sl_fail(*(int *)arg, "on purpose");
}

C_TEST(a_fatal_failure_stands_alone, "", "")
{
    int codes[] = {SL_EPROTO, SL_EINTERNAL, SL_EINTERRUPTED};
    for (int i = 1; i < 3; i++) {
        sl_scope scope = SL_SCOPE_INIT;
        OPEN(scope, .name = "scope");
        CHECK_EQ(sl_spawn(&scope, fail_with, &codes[0]), 0);
        CHECK_EQ(sl_spawn(&scope, fail_with, &codes[i]), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), codes[i]);
        CHECK_EQ(sl_error_code(sl_error_last()), codes[i]);
        CHECK(!sl_error_has(sl_error_last(), SL_EPROTO));
    }
    return 0;
}

C_TEST(a_shield_raised_later_ends_the_cancellation_inside, "", "")
{
    struct probe child = {0};
    SL_SCOPE(outer);
    SL_SCOPE(middle, .timeout = FOREVER);
    sl_scope inner = SL_SCOPE_INIT;
    OPEN(inner, .name = "inner");
    CHECK_EQ(sl_spawn(&inner, probe, &child), 0);
    sl_scope_cancel(&outer, NULL);
    CHECK_EQ(sl_checkpoint_shielded(), 0);
    while (sl_scope_children(&inner) > 0) {
        CHECK_EQ(sl_checkpoint_shielded(), 0);
    }
    CHECK_EQ(sl_scope_set_shield(&middle, true), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_scope_close(&inner, 0), 0);
    CHECK_EQ(sl_scope_set_shield(&middle, false), 0);
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&middle, SL_ECANCELED), SL_ECANCELED);
    return sl_scope_close(&outer, SL_ECANCELED);
}

C_TEST(a_body_cancelled_from_outside_its_shield_passes_that_on, "", "")
{
    struct probe child = {0};
    SL_SCOPE(outer);
    sl_scope shielded = SL_SCOPE_INIT;
    sl_scope_cancel(&outer, NULL);
    int cancelled = sl_checkpoint();
    CHECK_EQ(cancelled, SL_ECANCELED);
    OPEN(shielded, .shield = true, .timeout = FOREVER);
    CHECK_EQ(sl_spawn(&shielded, probe, &child), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_scope_close(&shielded, cancelled), SL_ECANCELED);
    CHECK_EQ(child.cause, SL_CAUSE_BODY);
    CHECK_EQ(child.error_code, 0); /* no failure lies behind it */
    return sl_scope_close(&outer, cancelled);
}

C_TEST(waiting_for_any_of_none_is_no_cancellation, "", "")
{
    struct probe daemon = {0};
    sl_scope scope = SL_SCOPE_INIT;
    int any = 1;
    OPEN(scope, .name = "scope");
    CHECK_EQ(sl_spawn(&scope, probe, &daemon, .daemon = true), 0);
    SETTLE();
    CHECK_EQ(sl_scope_wait_any(&scope, &any), 0);
    CHECK_EQ(any, 0);
    CHECK(!sl_scope_cancel_called(&scope));
    CHECK_EQ(daemon.cause, SL_CAUSE_BODY);
    return 0;
}

static int listener(void *arg)
{
    SL_TRY(sl_stop_wait());
    *(bool *)arg = sl_stop_requested();
    return 0;
}

static int nested_listener(void *arg)
{
    SL_SCOPE(one);
    SL_SCOPE(two);
    CHECK_EQ(sl_spawn(&one, listener, arg), 0);
    CHECK_EQ(sl_scope_wait(&two), 0);
    return sl_scope_wait(&one);
}

C_TEST(a_stop_reaches_the_tasks_of_tasks, "", "")
{
    bool asked = false;
    SL_SCOPE(outer);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, nested_listener, &asked), 0);
    SETTLE();
    CHECK_EQ(sl_scope_stop(&outer, SL_NEVER), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(asked);
    return sl_scope_wait(&outer);
}

SL_TEST_MAIN(cmocka_unit_test(waiting_for_any_of_none_is_no_cancellation),
             cmocka_unit_test(a_stop_reaches_the_tasks_of_tasks),
             cmocka_unit_test(a_deadline_that_only_a_child_saw_is_reported),
             cmocka_unit_test(what_a_daemon_spawns_on_its_way_out_is_waited_for),
             cmocka_unit_test(a_join_that_timed_out_is_forgotten), cmocka_unit_test(a_fatal_failure_stands_alone),
             cmocka_unit_test(a_shield_raised_later_ends_the_cancellation_inside),
             cmocka_unit_test(a_body_cancelled_from_outside_its_shield_passes_that_on))
