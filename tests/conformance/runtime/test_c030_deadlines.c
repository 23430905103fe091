/* SPDX-License-Identifier: MIT */
/* Behaviours 30 to 47: deadlines and shields. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

#define LONG SL_SECONDS(1000)
#define SHORT SL_MICROSECONDS(300)
#define OPEN(scope, ...) CHECK_EQ(sl_scope_open(&(scope), &(struct sl_scope_options){__VA_ARGS__}), 0)

C_TEST(c030_no_deadline_and_past_deadlines,
       "given no deadline, then it is infinite; given a past deadline at entry, then the first checkpoint fails even "
       "for a "
       "zero sleep",
       "trio test_basic_timeout, test_timeouts.py test_sleep; anyio test_deadline_reached_on_start; cpython "
       "test_timeout_zero_sleep_zero, test_timeout_in_the_past_sleep_zero")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .name = "none");
    CHECK_EQ(sl_scope_deadline(&scope), SL_NEVER);
    CHECK_EQ(sl_effective_deadline(), SL_NEVER);
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(0)), 0);
    OPEN(scope, .deadline = 1);
    int code = sl_sleep(0);
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, code), SL_ETIMEDOUT);
    return 0;
}

C_TEST(c031_after_the_exit_nothing_happens,
       "given a scope that exited in time, when its deadline later passes, then nothing "
       "happens",
       "trio test_basic_timeout")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SHORT);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(sl_sleep(3 * SHORT), 0);
    CHECK(!sl_scope_cancel_called(&scope));
    return 0;
}

C_TEST(c032_moving_a_deadline,
       "given a live deadline, when moved later, earlier, into the past or to infinity, then the new value rules; "
       "moving after "
       "exit is misuse",
       "trio test_basic_timeout; anyio test_deadline_moved; cpython test_reschedule, test_timeout_finished, "
       "test_timeout_not_entered")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SHORT);
    CHECK_EQ(sl_scope_set_deadline(&scope, sl_now() + LONG), 0);
    CHECK_EQ(sl_sleep(3 * SHORT), 0);
    CHECK_EQ(sl_scope_set_deadline(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_effective_deadline(), SL_NEVER);
    CHECK_EQ(sl_scope_set_deadline(&scope, sl_now() + SHORT), 0);
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(LONG)), SL_ETIMEDOUT);
    CHECK_EQ(sl_scope_set_deadline(&scope, sl_now()), SL_EMISUSE);
    OPEN(scope, .timeout = LONG);
    CHECK_EQ(sl_scope_set_deadline(&scope, sl_now() - 1), 0);
    CHECK(sl_cancel_pending());
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(0)), SL_ETIMEDOUT);
    return 0;
}

/* Time passes without the loop's knowing: by hand, or by being busy. */
static void pass(sl_time duration)
{
    if (sl_clock_jump(duration) == SL_ENOTSUP) {
        sl_time until = sl_now() + duration;
        while (sl_now() < until) {
        }
    }
}

C_TEST(c033_a_ready_task_sees_the_deadline_at_once,
       "given a task on the run queue when the deadline passes, then its next checkpoint fails (no extra round)",
       "trio test_yield_briefly_checks_for_timeout; kotlinx WithTimeoutTest.testYieldBlockingWithTimeout")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SHORT);
    CHECK_EQ(sl_checkpoint(), 0);
    pass(2 * SHORT);
    int code = sl_checkpoint();
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, code), SL_ETIMEDOUT);
    return 0;
}

C_TEST(c034_fail_after_and_move_on,
       "given fail-after expiry then a TIMEOUT error distinct from CANCELED carrying the reason; given move-on expiry "
       "then "
       "success with caught=true",
       "anyio test_fail_after, test_fail_after_reason, test_move_on_after")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SHORT, .name = "quote");
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(LONG)), SL_ETIMEDOUT);
    CHECK_EQ(sl_error_last_code(), SL_ETIMEDOUT);
    CHECK(strstr(sl_error_message(sl_error_last()), "quote") != NULL);
    CHECK_EQ(sl_scope_cause(&scope), SL_CAUSE_DEADLINE);
    OPEN(scope, .timeout = SHORT, .move_on = true);
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(LONG)), 0);
    CHECK(sl_scope_cancel_caught(&scope));
    return 0;
}

static int failing_cleanup(void *arg)
{
    (void)arg;
    return sl_fail(SL_EPIPE, "cleanup");
}

C_TEST(c035_own_failures_win_over_the_timeout,
       "given a body that fails on its own, or whose cleanup fails after expiry, then that error is returned, not the "
       "timeout",
       "cpython test_foreign_exception_passed, test_foreign_exception_on_timeout; kotlinx "
       "testSuppressExceptionWithAnotherException")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SHORT);
    CHECK_EQ(sl_sleep(LONG), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "own")), SL_EPROTO);
    OPEN(scope, .timeout = SHORT);
    CHECK_EQ(sl_defer(&scope, failing_cleanup, NULL, SL_SECONDS(1)), 0);
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(LONG)), SL_EPIPE);
    return 0;
}

C_TEST(c036_cancelled_by_hand_is_no_timeout,
       "given a cancel by hand or from outside before expiry, then no TIMEOUT is reported",
       "anyio test_fail_after_cancelled_before_deadline; cpython test_foreign_cancel_doesnt_timeout_if_not_expired")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SHORT);
    sl_scope_cancel(&scope, "by hand");
    pass(2 * SHORT);
    CHECK_EQ(sl_scope_close(&scope, sl_sleep(LONG)), 0);
    sl_scope outer = SL_SCOPE_INIT;
    OPEN(outer, .name = "outer");
    OPEN(scope, .timeout = LONG);
    sl_scope_cancel(&outer, NULL);
    int code = sl_scope_close(&scope, sl_sleep(LONG));
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&outer, code), 0);
    return 0;
}

C_TEST(c037_the_same_deadline_nested,
       "given nested scopes with the same deadline, then only the outer reports TIMEOUT, the "
       "inner sees a cancel",
       "cpython test_nested_timeouts; curio test_nested_timeout")
{
    sl_scope outer = SL_SCOPE_INIT, inner = SL_SCOPE_INIT;
    sl_time when = sl_now() + SHORT;
    OPEN(outer, .deadline = when);
    OPEN(inner, .deadline = when);
    int code = sl_scope_close(&inner, sl_sleep(LONG));
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&outer, code), SL_ETIMEDOUT);
    return 0;
}

C_TEST(c038_busy_past_both_deadlines,
       "given the loop was busy past both inner and outer deadlines, then the inner fires first and the outer still "
       "interrupts "
       "the next wait",
       "cpython test_nested_timeouts_loop_busy, test_nested_timeouts_concurrent; anyio test_nested_move_on_after")
{
    sl_scope outer = SL_SCOPE_INIT, inner = SL_SCOPE_INIT;
    OPEN(outer, .timeout = 2 * SHORT);
    OPEN(inner, .timeout = SHORT);
    pass(3 * SHORT);
    int code = sl_sleep(LONG);
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_DEADLINE);
    CHECK_EQ(sl_scope_close(&inner, code), SL_ECANCELED);
    code = sl_sleep(LONG);
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&outer, code), SL_ETIMEDOUT);
    return 0;
}

C_TEST(c039_the_effective_deadline,
       "given nesting, then the effective deadline is the minimum up to the nearest shield, and minus infinity when "
       "cancelled",
       "trio test_current_effective_deadline; anyio test_shielded_deadline")
{
    sl_time now = sl_now();
    sl_scope a = SL_SCOPE_INIT, b = SL_SCOPE_INIT, c = SL_SCOPE_INIT;
    OPEN(a, .deadline = now + 2 * LONG);
    CHECK_EQ(sl_effective_deadline(), now + 2 * LONG);
    OPEN(b, .deadline = now + 3 * LONG);
    CHECK_EQ(sl_effective_deadline(), now + 2 * LONG);
    OPEN(c, .deadline = now + 4 * LONG, .shield = true);
    CHECK_EQ(sl_effective_deadline(), now + 4 * LONG);
    sl_scope_cancel(&a, NULL);
    CHECK_EQ(sl_effective_deadline(), now + 4 * LONG);
    CHECK_EQ(sl_scope_close(&c, 0), 0);
    CHECK_EQ(sl_effective_deadline(), INT64_MIN);
    CHECK_EQ(sl_scope_close(&b, 0), 0);
    return sl_scope_close(&a, 0);
}

C_TEST(c040_deadline_of_a_shield_and_relative_deadlines,
       "given a shielded scope with a deadline, then the deadline still fires; given a relative deadline, then it "
       "counts from "
       "entry, not from construction",
       "trio test_timeouts.py test_move_on_after_moves_on_even_if_shielded, test_timeout_deadline_on_entry")
{
    sl_scope outer = SL_SCOPE_INIT, shield = SL_SCOPE_INIT;
    OPEN(outer, .name = "outer");
    sl_scope_cancel(&outer, NULL);
    struct sl_scope_options options = {.timeout = SL_MILLISECONDS(1), .shield = true};
    pass(SL_MILLISECONDS(2));
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_open(&shield, &options), 0);
    CHECK(sl_scope_deadline(&shield) >= before + SL_MILLISECONDS(1));
    CHECK_EQ(sl_scope_close(&shield, sl_sleep(LONG)), SL_ETIMEDOUT);
    CHECK(sl_now() >= before + SL_MILLISECONDS(1));
    return sl_scope_close(&outer, 0);
}

C_TEST(c041_thousands_of_changes,
       "given thousands of deadline changes, then the timer structure stays bounded; negative delay and both kinds at "
       "once are "
       "rejected; sleeps never end early",
       "trio test_cancel_scope_deadline_duplicates, test_cancel_scope_validation, test_timekeeping")
{
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = LONG);
    for (int i = 0; i < 5000; i++) {
        CHECK_EQ(sl_scope_set_deadline(&scope, sl_now() + LONG + i % 977 * SL_SECONDS(1)), 0);
    }
    struct sl_statistics statistics;
    CHECK_EQ(sl_statistics_get(&statistics), 0);
    CHECK_EQ(statistics.timers, 1);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(sl_statistics_get(&statistics), 0);
    CHECK_EQ(statistics.timers, 0);
    CHECK_EQ(sl_sleep(-1), SL_EINVAL);
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.timeout = 5, .deadline = 5}), SL_EINVAL);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINVAL);
    for (int i = 1; i <= 20; i++) {
        sl_time until = sl_now() + SL_MICROSECONDS(37 * i);
        CHECK_EQ(sl_sleep(SL_MICROSECONDS(37 * i)), 0);
        CHECK(sl_now() >= until);
    }
    return 0;
}

C_TEST(c042_a_shield_hides_outer_cancellation,
       "given a shield, when an outer scope is cancelled, then code inside runs on; the shielded scope itself and "
       "scopes inside "
       "it can still be cancelled",
       "trio test_cancel_shielding; anyio test_cancel_shielded_scope, test_shielding_immediate_scope_cancelled")
{
    sl_scope outer = SL_SCOPE_INIT, shield = SL_SCOPE_INIT, inner = SL_SCOPE_INIT;
    OPEN(outer, .name = "outer");
    OPEN(shield, .shield = true, .timeout = LONG);
    sl_scope_cancel(&outer, NULL);
    CHECK_EQ(sl_sleep(SHORT), 0);
    OPEN(inner, .name = "inner");
    sl_scope_cancel(&inner, NULL);
    CHECK_EQ(sl_scope_close(&inner, sl_sleep(LONG)), 0);
    CHECK_EQ(sl_sleep(SHORT), 0);
    sl_scope_cancel(&shield, NULL);
    CHECK_EQ(sl_scope_close(&shield, sl_sleep(LONG)), 0);
    CHECK_EQ(sl_scope_close(&outer, sl_sleep(LONG)), 0);
    return 0;
}

struct sheltered {
    sl_scope *shield;
    sl_event open;
    int slept;
};

static int sheltered(void *arg)
{
    struct sheltered *self = arg;
    SL_SCOPE(shield, .shield = true, .timeout = LONG);
    self->shield = &shield;
    sl_event_set(&self->open);
    self->slept = sl_sleep(SL_SECONDS(500));
    return sl_scope_close(&shield, self->slept);
}

C_TEST(c043_lifting_a_shield_wakes,
       "given a task asleep in a shield under a cancelled outer scope, when the shield is lifted, "
       "then it is woken with the cancel",
       "trio test_cancel_shield_abort; anyio test_shielding_mutate")
{
    struct sheltered task = {.slept = 1};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sheltered, &task), 0);
    CHECK_EQ(sl_event_wait(&task.open), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_checkpoint_shielded(), 0);
    CHECK_EQ(task.slept, 1);
    CHECK_EQ(sl_scope_set_shield(task.shield, false), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(task.slept, SL_ECANCELED);
    return 0;
}

C_TEST(
    c044_leaving_shields_level_by_level,
    "given a pending outer cancel, when the shield is left, then the next checkpoint fails, at each level of nesting",
    "anyio test_cancel_from_shielded_scope, test_triple_nested_shield_*; kotlinx NonCancellableTest.testNonCancellable")
{
    sl_scope scopes[3] = {SL_SCOPE_INIT, SL_SCOPE_INIT, SL_SCOPE_INIT};
    sl_scope shields[3] = {SL_SCOPE_INIT, SL_SCOPE_INIT, SL_SCOPE_INIT};
    for (int i = 0; i < 3; i++) {
        OPEN(scopes[i], .name = "scope");
        OPEN(shields[i], .shield = true, .timeout = LONG);
        sl_scope_cancel(&scopes[i], NULL);
    }
    for (int i = 2; i >= 0; i--) {
        CHECK_EQ(sl_sleep(SHORT), 0);
        CHECK_EQ(sl_scope_close(&shields[i], 0), 0);
        int code = sl_checkpoint();
        CHECK_EQ(code, SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&scopes[i], code), 0);
    }
    return 0;
}

static int plain_sleeper(void *arg)
{
    *(int *)arg = sl_sleep(LONG);
    return *(int *)arg;
}

struct group_host {
    int child, host;
};

static int host_in_shield(void *arg)
{
    struct group_host *self = arg;
    SL_SCOPE(group);
    CHECK_EQ(sl_spawn(&group, plain_sleeper, &self->child), 0);
    {
        SL_SCOPE(shield, .shield = true, .timeout = LONG);
        self->host = sl_sleep(SL_MILLISECONDS(1));
        CHECK_EQ(self->child, SL_ECANCELED); /* ended while its host slept on */
        CHECK_EQ(sl_scope_close(&shield, self->host), 0);
    }
    return sl_scope_wait(&group);
}

C_TEST(c045_children_outside_the_hosts_shield,
       "given a host task in a shield, when the enclosing scope is cancelled, then the group's children outside the "
       "shield are "
       "cancelled",
       "anyio test_cancel_child_task_when_host_is_shielded")
{
    struct group_host host = {.child = 1, .host = 1};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, host_in_shield, &host), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    SETTLE();
    if (host.host == 1) { /* still asleep in its shield */
        sl_scope_cancel(&scope, NULL);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(host.host, 0);
    return 0;
}

C_TEST(c046_pending_seen_through_a_shield,
       "given a shield, then 'pending cancel' reads false inside and true again after it",
       "anyio test_shielded_cleanup_after_cancel")
{
    sl_scope outer = SL_SCOPE_INIT, shield = SL_SCOPE_INIT;
    OPEN(outer, .name = "outer");
    sl_scope_cancel(&outer, NULL);
    CHECK(sl_cancel_pending());
    OPEN(shield, .shield = true, .timeout = LONG);
    CHECK(!sl_cancel_pending());
    CHECK_EQ(sl_scope_close(&shield, 0), 0);
    CHECK(sl_cancel_pending());
    return sl_scope_close(&outer, SL_ECANCELED);
}

C_TEST(
    c047_inner_shield_and_outer_cancelled,
    "given an inner shielded scope cancelled and an outer cancelled during its unwinding, then the inner absorbs, code "
    "between runs until its next checkpoint, and the outer is not marked caught",
    "anyio test_cancelled_raises_beyond_origin_shielded")
{
    sl_scope outer = SL_SCOPE_INIT, inner = SL_SCOPE_INIT;
    OPEN(outer, .name = "outer");
    OPEN(inner, .shield = true, .timeout = LONG);
    sl_scope_cancel(&inner, NULL);
    int code = sl_sleep(LONG);
    CHECK_EQ(code, SL_ECANCELED);
    sl_scope_cancel(&outer, NULL);
    CHECK_EQ(sl_scope_close(&inner, code), 0);
    CHECK(sl_scope_cancel_caught(&inner));
    bool between = true; /* code here runs */
    CHECK(between && sl_cancel_pending());
    CHECK_EQ(sl_scope_close(&outer, 0), 0);
    CHECK(!sl_scope_cancel_caught(&outer));
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c030_no_deadline_and_past_deadlines),
             cmocka_unit_test(c031_after_the_exit_nothing_happens), cmocka_unit_test(c032_moving_a_deadline),
             cmocka_unit_test(c033_a_ready_task_sees_the_deadline_at_once),
             cmocka_unit_test(c034_fail_after_and_move_on), cmocka_unit_test(c035_own_failures_win_over_the_timeout),
             cmocka_unit_test(c036_cancelled_by_hand_is_no_timeout), cmocka_unit_test(c037_the_same_deadline_nested),
             cmocka_unit_test(c038_busy_past_both_deadlines), cmocka_unit_test(c039_the_effective_deadline),
             cmocka_unit_test(c040_deadline_of_a_shield_and_relative_deadlines),
             cmocka_unit_test(c041_thousands_of_changes), cmocka_unit_test(c042_a_shield_hides_outer_cancellation),
             cmocka_unit_test(c043_lifting_a_shield_wakes), cmocka_unit_test(c044_leaving_shields_level_by_level),
             cmocka_unit_test(c045_children_outside_the_hosts_shield),
             cmocka_unit_test(c046_pending_seen_through_a_shield),
             cmocka_unit_test(c047_inner_shield_and_outer_cancelled))
