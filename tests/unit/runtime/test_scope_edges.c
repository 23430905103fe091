/* SPDX-License-Identifier: MIT */
/* Corners of scopes, cancellation, cleanups and starts that faults planted in the runtime showed to be unwatched. */
#include "../../conformance/runtime/scoped.h"
#include "sluice/supervisor.h"

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

C_TEST_SIMULATED(a_deadline_goes_before_a_grace_time_that_ends_with_it, "", "")
{
    struct probe child = {0};
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SL_SECONDS(10));
    CHECK_EQ(sl_spawn(&scope, probe, &child), 0);
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(10)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ETIMEDOUT);
    CHECK_EQ(child.cause, SL_CAUSE_DEADLINE);
    return 0;
}

C_TEST_SIMULATED(behind_a_shield_only_its_own_cause_counts, "", "")
{
    SL_SCOPE(outer);
    sl_scope_cancel(&outer, "from outside");
    sl_scope shield = SL_SCOPE_INIT;
    OPEN(shield, .shield = true, .timeout = SL_SECONDS(1));
    CHECK(sl_cancel_cause() == NULL);
    CHECK_EQ(sl_sleep(FOREVER), SL_ECANCELED);
    CHECK_EQ(sl_cancel_cause()->cause, SL_CAUSE_DEADLINE);
    CHECK_EQ(sl_scope_close(&shield, SL_ECANCELED), SL_ETIMEDOUT);
    CHECK_EQ(sl_cancel_cause()->cause, SL_CAUSE_CALL);
    return sl_scope_close(&outer, SL_ECANCELED);
}

static int count(void *arg)
{
    ++*(int *)arg;
    return 0;
}

C_TEST(cleanups_are_forgotten_in_any_order, "", "")
{
    for (int gone = 0; gone < 4; gone++) {
        int ran[4] = {0};
        sl_cleanup *cleanups[4];
        sl_scope scope = SL_SCOPE_INIT;
        OPEN(scope, .name = "scope");
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(sl_cleanup_reserve(&scope, &cleanups[i]), 0);
            CHECK_EQ(sl_cleanup_arm(cleanups[i], count, &ran[i], SL_SECONDS(1)), 0);
        }
        sl_cleanup_disarm(cleanups[gone]);
        sl_cleanup_disarm(cleanups[(gone + 1) % 4]);
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(ran[i], i != gone && i != (gone + 1) % 4);
        }
    }
    return 0;
}

C_TEST(a_cleanup_whose_own_code_is_a_timeout_is_not_stuck, "", "")
{
    int code = SL_ETIMEDOUT;
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .name = "scope");
    CHECK_EQ(sl_defer(&scope, fail_with, &code, SL_SECONDS(1)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ETIMEDOUT);
    return 0;
}

static int sleep_long(void *arg)
{
    *(int *)arg = sl_sleep(SL_SECONDS(100));
    return *(int *)arg;
}

C_TEST_SIMULATED(all_cleanups_share_the_budget_of_their_scope, "", "")
{
    int newer = 1;
    int older = 1;
    sl_time before = sl_now();
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .cleanup_budget = SL_SECONDS(1));
    CHECK_EQ(sl_defer(&scope, sleep_long, &older, SL_SECONDS(50)), 0);
    CHECK_EQ(sl_defer(&scope, sleep_long, &newer, SL_SECONDS(50)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ESTUCK);
    CHECK(newer == SL_ECANCELED && older == SL_ECANCELED); /* both were entered */
    CHECK(sl_now() - before >= SL_SECONDS(1) && sl_now() - before <= SL_SECONDS(1) + 10);
    CHECK_EQ(sl_error_count(sl_error_last()), 2);
    return 0;
}

static int move_into(void *arg)
{
    int ran = 0;
    sl_cleanup *cleanup = NULL;
    SL_SCOPE(own);
    CHECK_EQ(sl_cleanup_reserve(&own, &cleanup), 0);
    CHECK_EQ(sl_cleanup_arm(cleanup, count, &ran, SL_SECONDS(1)), 0);
    CHECK_EQ(sl_cleanup_move(cleanup, arg), SL_ECLOSED);
    CHECK_EQ(sl_scope_close(&own, 0), 0);
    CHECK_EQ(ran, 1); /* it stayed where it was */
    return 0;
}

C_TEST(nothing_moves_into_a_scope_that_cleans_up, "", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_defer(&scope, move_into, &scope, SL_SECONDS(1)), 0);
    return sl_scope_close(&scope, 0);
}

static int start_and_listen(void *arg)
{
    SL_TRY(sl_started(arg));
    CHECK_EQ(sl_started(arg), SL_EALREADY);
    return sl_stop_wait();
}

C_TEST(a_task_started_into_an_ordered_stop_is_asked, "", "")
{
    SL_SCOPE(scope, .ordered_stop = true);
    CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_start(&scope, start_and_listen, NULL, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, start_and_listen, NULL, .handshake = true), 0);
    return sl_scope_wait(&scope);
}

struct in_order {
    char *order;
    char letter;
};

static int note_letter(void *arg)
{
    const struct in_order *self = arg;
    self->order[strlen(self->order)] = self->letter;
    return 0;
}

C_TEST(a_cleanup_that_moved_is_the_newest_of_its_new_scope, "", "")
{
    char order[8] = "";
    struct in_order letters[4];
    sl_cleanup *cleanups[4];
    sl_scope outer = SL_SCOPE_INIT;
    sl_scope inner = SL_SCOPE_INIT;
    OPEN(outer, .name = "outer");
    OPEN(inner, .name = "inner");
    for (int i = 0; i < 4; i++) {
        letters[i] = (struct in_order){order, (char)('a' + i)};
        CHECK_EQ(sl_cleanup_reserve(i == 0 ? &outer : &inner, &cleanups[i]), 0);
        CHECK_EQ(sl_cleanup_arm(cleanups[i], note_letter, &letters[i], SL_SECONDS(1)), 0);
    }
    CHECK_EQ(sl_cleanup_move(cleanups[2], &outer), 0);
    CHECK_EQ(sl_scope_close(&inner, 0), 0);
    CHECK_STRING(order, "db");
    CHECK_EQ(sl_scope_close(&outer, 0), 0);
    CHECK_STRING(order, "dbca");
    return 0;
}

/* ---- daemons ---- */

static int start_and_sleep(void *arg)
{
    (void)arg;
    SL_TRY(sl_started(NULL));
    return sl_sleep(FOREVER);
}

static int start_another_daemon(void *arg)
{
    return sl_start(arg, start_and_sleep, NULL, NULL, .daemon = true);
}

static int daemon_with_successors(void *arg)
{
    struct late_spawner *self = arg;
    int code = sl_sleep(FOREVER);
    CHECK_EQ(sl_spawn(self->scope, probe, &self->child, .daemon = true), 0);
    SL_SCOPE(shield, .shield = true, .timeout = FOREVER);
    CHECK_EQ(sl_spawn(&shield, start_another_daemon, self->scope), 0);
    CHECK_EQ(sl_scope_close(&shield, 0), 0);
    return code;
}

C_TEST_SIMULATED(daemons_that_come_while_daemons_end_end_too, "", "")
{
    SL_SCOPE(scope);
    struct late_spawner late = {.scope = &scope};
    CHECK_EQ(sl_spawn(&scope, daemon_with_successors, &late, .daemon = true), 0);
    SETTLE();
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now(), before);
    CHECK_EQ(late.child.result, SL_ECANCELED);
    CHECK_EQ(late.child.cause, SL_CAUSE_BODY);
    return 0;
}

C_TEST_SIMULATED(a_started_daemon_ends_with_the_others, "", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_start(&scope, start_and_sleep, NULL, NULL, .daemon = true), 0);
    CHECK_EQ(sl_scope_children(&scope), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now(), before);
    return 0;
}

/* ---- waiting for any ---- */

static int five_after_five(void *arg)
{
    (void)arg;
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    return 5;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int start_in_vain(void *arg)
{
    CHECK_EQ(sl_start(arg, sleep_five, NULL, NULL), SL_ENOTSTARTED);
    return 0;
}

C_TEST_SIMULATED(waiting_for_any_is_for_children_that_count, "", "")
{
    SL_SCOPE(outer);
    sl_scope scope = SL_SCOPE_INIT;
    int any = 0;
    OPEN(scope, .name = "with a daemon");
    CHECK_EQ(sl_spawn(&scope, nothing, NULL, .daemon = true), 0);
    CHECK_EQ(sl_spawn(&scope, five_after_five, NULL), 0);
    CHECK_EQ(sl_scope_wait_any(&scope, &any), 0);
    CHECK_EQ(any, 5);

    /* A start that comes to nothing is no end of a child; what was there before is not told again. */
    OPEN(scope, .name = "with a start");
    CHECK_EQ(sl_spawn(&outer, start_in_vain, &scope), 0);
    SETTLE();
    CHECK_EQ(sl_scope_wait_any(&scope, &any), 0);
    CHECK_EQ(any, 0);
    return sl_scope_wait(&outer);
}

C_TEST(a_join_without_patience_lets_others_run_and_is_cancellable, "", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, nothing, NULL), 0);
    CHECK_EQ(sl_scope_join(&scope, 0), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_five, NULL), 0);
    CHECK_EQ(sl_scope_join(&scope, 0), SL_ETIMEDOUT);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_join(&scope, 0), SL_ECANCELED);
    return sl_scope_wait(&scope);
}

/* ---- what a cancellation leaves to see ---- */

C_TEST_SIMULATED(a_deadline_that_cut_only_the_wait_is_told, "", "")
{
    bool done = false;
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_spawn(&scope, slow_end, &done), 0);
    CHECK_EQ(sl_scope_wait(&scope), SL_ETIMEDOUT);
    CHECK(done && sl_scope_cancel_caught(&scope));
    return 0;
}

static int start_and_cancel(void *arg)
{
    SL_TRY(sl_started(arg));
    sl_scope_cancel(arg, NULL);
    return 0;
}

C_TEST(a_start_that_was_acknowledged_before_the_cancellation_counts, "", "")
{
    void *value = NULL;
    SL_SCOPE(target);
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .name = "scope");
    CHECK_EQ(sl_start(&target, start_and_cancel, &value, &scope), 0);
    CHECK(value == &scope);
    CHECK_EQ(sl_scope_close(&scope, sl_checkpoint()), 0);
    CHECK(sl_scope_cancel_caught(&scope));
    return sl_scope_wait(&target);
}

static int outlast(sl_time timeout)
{
    SL_SCOPE(scope, .timeout = timeout);
    (void)sl_fail(SL_EPROTO, "of no consequence");
    return sl_sleep(FOREVER);
}

C_TEST(a_scope_left_early_tells_of_its_deadline, "", "")
{
    int code = outlast(SHORT);
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_error_last_code(), SL_ETIMEDOUT);
    CHECK_EQ(sl_error_resolve(code), SL_ETIMEDOUT);
    return 0;
}

C_TEST_SIMULATED(a_deadline_that_cut_nothing_is_not_told, "", "")
{
    struct probe child = {0};
    sl_task_ref task;
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_spawn(&scope, probe, &child, .ret_task = &task), 0);
    SETTLE();
    CHECK_EQ(sl_task_cancel(task, "not the scope's doing"), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    {
        SL_SCOPE(shield, .shield = true, .timeout = FOREVER);
        CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
        CHECK_EQ(sl_scope_close(&shield, 0), 0);
    }
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK(sl_scope_cancel_called(&scope) && !sl_scope_cancel_caught(&scope));
    return 0;
}

static int look_behind_the_shield(void *arg)
{
    SL_SCOPE(shield, .shield = true, .timeout = FOREVER);
    int code = sl_sleep(FOREVER);
    const struct sl_cancel_info *info = sl_cancel_cause();
    *(enum sl_cause *)arg = info == NULL ? SL_CAUSE_NONE : info->cause;
    return sl_scope_close(&shield, code);
}

C_TEST_SIMULATED(a_cause_that_went_through_a_shield_is_told, "", "")
{
    enum sl_cause cause = SL_CAUSE_NONE;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, look_behind_the_shield, &cause, .id = "x", .stop_budget = SL_SECONDS(1)), 0);
    SETTLE();
    CHECK_EQ(sl_child_stop(&scope, "x"), 0);
    CHECK_EQ(cause, SL_CAUSE_SUPERVISOR);
    return sl_scope_wait(&scope);
}

static int start_and_fail(void *arg)
{
    (void)arg;
    (void)sl_started(NULL);
    SL_TRY(sl_checkpoint());
    return SL_EPROTO;
}

static int last_for_a_while(void *arg)
{
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    *(bool *)arg = true;
    return 0;
}

/* Where children fail alone, one that was begun with a handshake does too. */
C_TEST_SIMULATED(a_started_task_fails_as_the_others_do, "", "")
{
    for (int strategy = SL_PROPAGATE; strategy <= SL_ISOLATE; strategy++) {
        bool lasted = false;
        SL_SCOPE(scope, .strategy = strategy);
        CHECK_EQ(sl_spawn(&scope, last_for_a_while, &lasted), 0);
        CHECK_EQ(sl_start(&scope, start_and_fail, NULL, NULL), 0);
        CHECK_EQ(sl_scope_wait(&scope), strategy == SL_PROPAGATE ? SL_EPROTO : 0);
        CHECK(lasted == (strategy != SL_PROPAGATE));
    }
    CHECK(strstr(sl_conformance_log(), "task 'start_and_fail' failed and is not restarted: SL_EPROTO") != NULL);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_started_task_fails_as_the_others_do),
             cmocka_unit_test(a_cleanup_that_moved_is_the_newest_of_its_new_scope),
             cmocka_unit_test(daemons_that_come_while_daemons_end_end_too),
             cmocka_unit_test(a_started_daemon_ends_with_the_others),
             cmocka_unit_test(waiting_for_any_is_for_children_that_count),
             cmocka_unit_test(a_start_that_was_acknowledged_before_the_cancellation_counts),
             cmocka_unit_test(a_scope_left_early_tells_of_its_deadline),
             cmocka_unit_test(a_join_without_patience_lets_others_run_and_is_cancellable),
             cmocka_unit_test(a_deadline_that_cut_only_the_wait_is_told),
             cmocka_unit_test(a_deadline_that_cut_nothing_is_not_told),
             cmocka_unit_test(a_cause_that_went_through_a_shield_is_told),
             cmocka_unit_test(a_task_started_into_an_ordered_stop_is_asked),
             cmocka_unit_test(nothing_moves_into_a_scope_that_cleans_up),
             cmocka_unit_test(a_deadline_goes_before_a_grace_time_that_ends_with_it),
             cmocka_unit_test(behind_a_shield_only_its_own_cause_counts),
             cmocka_unit_test(cleanups_are_forgotten_in_any_order),
             cmocka_unit_test(a_cleanup_whose_own_code_is_a_timeout_is_not_stuck),
             cmocka_unit_test(all_cleanups_share_the_budget_of_their_scope),
             cmocka_unit_test(waiting_for_any_of_none_is_no_cancellation),
             cmocka_unit_test(a_stop_reaches_the_tasks_of_tasks),
             cmocka_unit_test(a_deadline_that_only_a_child_saw_is_reported),
             cmocka_unit_test(what_a_daemon_spawns_on_its_way_out_is_waited_for),
             cmocka_unit_test(a_join_that_timed_out_is_forgotten), cmocka_unit_test(a_fatal_failure_stands_alone),
             cmocka_unit_test(a_shield_raised_later_ends_the_cancellation_inside),
             cmocka_unit_test(a_body_cancelled_from_outside_its_shield_passes_that_on))
