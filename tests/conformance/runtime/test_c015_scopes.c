/* SPDX-License-Identifier: MIT */
/* Behaviours 15 to 29: cancellation. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

#define LONG SL_SECONDS(1000)
#define SHORT SL_MICROSECONDS(300)

static int sleep_long(void *arg)
{
    int code = sl_sleep(LONG);
    if (arg != NULL) {
        *(int *)arg = code;
    }
    return code;
}

C_TEST(c015_cancelling_twice_changes_nothing, "given a cancelled scope, when cancelled again, then nothing changes",
       "trio test_cancel_edge_cases")
{
    SL_SCOPE(scope);
    sl_scope_cancel(&scope, "first");
    sl_scope_cancel(&scope, "second");
    CHECK_STRING(sl_scope_cancel_info(&scope)->text, "first");
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    return sl_scope_close(&scope, SL_ECANCELED);
}

C_TEST(c016_cancellation_is_a_level, "given a cancelled scope, when the task blocks twice, then both calls fail",
       "trio test_cancel_edge_cases; libdill go3.c, chan.c cancel")
{
    SL_SCOPE(scope);
    sl_scope_cancel(&scope, NULL);
    sl_event event = SL_EVENT_INIT;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_sleep(LONG), SL_ECANCELED);
        CHECK_EQ(sl_event_wait(&event), SL_ECANCELED);
        CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    }
    return sl_scope_close(&scope, SL_ECANCELED);
}

C_TEST(c017_cancelling_oneself,
       "given a task cancelling its own scope, then the call returns and the failure comes at its "
       "next checkpoint",
       "trio test_cancel_points; curio test_self_cancellation; trio#658")
{
    SL_SCOPE(scope);
    bool went_on = false;
    sl_scope_cancel(&scope, NULL);
    went_on = true;
    CHECK(went_on && sl_cancel_pending());
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    return 0;
}

C_TEST(
    c018_past_at_entry,
    "given a scope cancelled before its first wait, or whose deadline has passed at entry, then its first checkpoint "
    "fails; one whose deadline passed unobserved reads cancelled and never un-cancels",
    "anyio test_cancel_before_entering_scope; trio test_cancel_unbound")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.deadline = sl_now() - 1}), 0);
    CHECK(sl_scope_cancel_called(&scope));
    CHECK_EQ(sl_sleep(0), SL_ECANCELED);
    CHECK_EQ(sl_scope_set_deadline(&scope, SL_NEVER), 0);
    CHECK(sl_scope_cancel_called(&scope));
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), SL_ETIMEDOUT);
    CHECK(sl_scope_cancel_called(&scope));
    return 0;
}

C_TEST(
    c019_left_without_a_checkpoint,
    "given a cancelled scope left without any checkpoint, then no cancellation is reported: called=true, caught=false",
    "anyio test_cancelled_not_caught; trio test_cancel_scope_nesting")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK(sl_scope_cancel_called(&scope) && !sl_scope_cancel_caught(&scope));
    return 0;
}

C_TEST(c020_the_outermost_absorbs,
       "given nested cancelled scopes, when the failure unwinds, then the outermost unshielded cancelled scope absorbs "
       "it and "
       "inner ones show caught=false",
       "trio test_cancel_scope_nesting; anyio test_cancelled_scope_based_checkpoint, "
       "test_cancelled_raises_beyond_origin_unshielded")
{
    sl_scope scopes[3] = {SL_SCOPE_INIT, SL_SCOPE_INIT, SL_SCOPE_INIT};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_scope_open(&scopes[i], NULL), 0);
    }
    sl_scope_cancel(&scopes[2], NULL);
    sl_scope_cancel(&scopes[0], NULL);
    int code = sl_sleep(LONG);
    CHECK_EQ(code, SL_ECANCELED);
    code = sl_scope_close(&scopes[2], code);
    CHECK_EQ(code, SL_ECANCELED);
    code = sl_scope_close(&scopes[1], code);
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scopes[0], code), 0);
    CHECK(sl_scope_cancel_caught(&scopes[0]) && !sl_scope_cancel_caught(&scopes[1]) &&
          !sl_scope_cancel_caught(&scopes[2]));
    return 0;
}

C_TEST(c021_after_an_absorbed_cancel,
       "given a scope that absorbed a cancel, when it has exited, then the task blocks normally and may be cancelled "
       "again by "
       "another scope",
       "anyio test_cancel_scope_cleared, test_cancel_twice; cpython test_cancellation_does_not_leak_out_of_tg")
{
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(scope);
        CHECK_EQ(sl_sleep(1), 0);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_close(&scope, sl_sleep(LONG)), 0);
        CHECK(sl_scope_cancel_caught(&scope));
        CHECK_EQ(sl_sleep(1), 0);
    }
    return 0;
}

static int cancel_it(void *arg)
{
    sl_scope_cancel(arg, "by a child");
    return 0;
}

C_TEST(c022_the_first_cause_is_kept,
       "given several causes, then the first is reported with source, text and canceller's task name, and later ones "
       "don't "
       "overwrite it",
       "trio test_cancelled.py test_cancel_reason, test_cancel_reason_not_overwritten*; anyio test_cancel_reason")
{
    SL_SCOPE(scope, .timeout = LONG);
    CHECK_EQ(sl_spawn(&scope, cancel_it, &scope, .name = "canceller"), 0);
    CHECK_EQ(sl_sleep(LONG), SL_ECANCELED);
    CHECK_EQ(sl_scope_set_deadline(&scope, sl_now()), 0);
    const struct sl_cancel_info *info = sl_cancel_cause();
    CHECK(info != NULL && info == sl_scope_cancel_info(&scope));
    CHECK_EQ(info->cause, SL_CAUSE_CALL);
    CHECK_STRING(info->text, "by a child");
    CHECK_STRING(info->task, "canceller");
    return sl_scope_close(&scope, SL_ECANCELED);
}

struct witness {
    enum sl_cause cause;
    char task[32], text[64];
    int code;
};

static int witness(void *arg)
{
    struct witness *self = arg;
    int code = sl_sleep(LONG);
    const struct sl_cancel_info *info = sl_cancel_cause();
    CHECK(info != NULL);
    self->cause = info->cause;
    self->code = sl_error_code(info->error);
    (void)snprintf(self->task, sizeof self->task, "%s", info->task);
    (void)snprintf(self->text, sizeof self->text, "%s", info->text);
    return code;
}

static int fail_soon(void *arg)
{
    (void)arg;
    SL_TRY(sl_sleep(SHORT));
    return sl_fail(SL_EPROTO, "checksum");
}

C_TEST(
    c023_siblings_see_who_failed,
    "given a failing child, then siblings see a reason naming that task and its error; if the body failed, the reason "
    "names the body's task",
    "trio test_cancelled.py test_cancel_reason_nursery*, test_nested_child_source")
{
    for (int body = 0; body < 2; body++) {
        struct witness seen = {.code = 1};
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, NULL), 0);
        CHECK_EQ(sl_spawn(&scope, witness, &seen), 0);
        SETTLE();
        if (body) {
            CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "checksum")), SL_EPROTO);
        } else {
            CHECK_EQ(sl_spawn(&scope, fail_soon, NULL, .name = "culprit"), 0);
            CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
        }
        CHECK_EQ(seen.cause, body ? SL_CAUSE_BODY : SL_CAUSE_CHILD);
        CHECK_STRING(seen.task, body ? "main" : "culprit");
        CHECK_STRING(seen.text, "checksum");
        CHECK_EQ(seen.code, SL_EPROTO);
    }
    return 0;
}

struct stubborn {
    sl_task *task;
    int aborts, parked, after;
};

static bool refuse(sl_task *task, void *object)
{
    (void)task;
    ((struct stubborn *)object)->aborts++;
    return false;
}

static int stubborn(void *arg)
{
    struct stubborn *self = arg;
    self->task = sl_current();
    SL_SCOPE(inner);
    self->parked = sl_park(refuse, self, "something slow");
    self->after = sl_checkpoint();
    return sl_scope_close(&inner, self->after);
}

C_TEST(
    c024_a_wait_that_cannot_be_undone,
    "given a wait that cannot be aborted, when cancelled by two scopes, then its abort hook runs once, the task stays "
    "blocked, and cancel shows at the first checkpoint after its normal wake-up",
    "trio test_failed_abort, test_slow_abort_edge_cases")
{
    struct stubborn stubborn_task = {.parked = -1};
    SL_SCOPE(outer);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, stubborn, &stubborn_task), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    sl_scope_cancel(&outer, NULL);
    (void)sl_checkpoint_shielded();
    CHECK_EQ(stubborn_task.aborts, 1);
    CHECK_EQ(sl_scope_children(&scope), 1);
    sl_unpark(stubborn_task.task, 5);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ECANCELED);
    CHECK_EQ(stubborn_task.parked, 5);
    CHECK_EQ(stubborn_task.after, SL_ECANCELED);
    CHECK_EQ(stubborn_task.aborts, 1);
    return sl_scope_close(&outer, SL_ECANCELED);
}

struct shielding {
    sl_scope *inner;
    sl_event open;
    int slept, closed;
};

static int shielded_late(void *arg)
{
    struct shielding *self = arg;
    SL_SCOPE(inner, .timeout = LONG);
    self->inner = &inner;
    sl_event_set(&self->open);
    self->slept = sl_sleep(LONG);
    self->closed = sl_scope_close(&inner, self->slept);
    return self->closed;
}

C_TEST(c025_a_shield_raised_too_late,
       "given a cancellation already in delivery, when a shield is raised meanwhile, then it is still delivered and "
       "absorbed "
       "by the right scope",
       "trio test_unshield_while_cancel_propagating, test_slow_abort_edge_cases")
{
    struct shielding shielding = {.slept = 1};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, shielded_late, &shielding), 0);
    CHECK_EQ(sl_event_wait(&shielding.open), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_set_shield(shielding.inner, true), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(shielding.slept, SL_ECANCELED);
    CHECK_EQ(shielding.closed, SL_ECANCELED);
    CHECK(sl_scope_cancel_caught(&scope));
    return 0;
}

#define DEEP 5000
static sl_scope deep[DEEP];

C_TEST(c026_thousands_of_nested_scopes,
       "given 5 000 nested scopes, when the outermost is cancelled, then propagation is iterative; reading 'am I "
       "cancelled' is "
       "O(1)",
       "trio test_very_deep_cancel_scope_nesting; trio#58, PR #958")
{
    memset(deep, 0, sizeof deep);
    for (int i = 0; i < DEEP; i++) {
        CHECK_EQ(sl_scope_open(&deep[i], NULL), 0);
    }
    CHECK(!sl_cancel_pending());
    sl_scope_cancel(&deep[0], NULL);
    CHECK(sl_cancel_pending());
    int code = sl_checkpoint();
    CHECK_EQ(code, SL_ECANCELED);
    for (int i = DEEP; i-- > 0;) {
        code = sl_scope_close(&deep[i], code);
        CHECK_EQ(code, i == 0 ? 0 : SL_ECANCELED);
    }
    return 0;
}

static int sleep_in_shield(void *arg)
{
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(10));
    *(int *)arg = sl_sleep(SL_MILLISECONDS(2));
    return sl_scope_close(&shield, 0);
}

C_TEST(c027_no_spinning_on_what_cannot_be_cancelled,
       "given a cancelled scope holding only finished, shielded or non-abortable tasks, then no re-delivery spins the "
       "loop",
       "anyio test_no_spin_on_done_task_in_cancel_scope, test_cancel_with_nested_task_groups, "
       "test_shielded_cancel_sleep_time")
{
    int slept = 1;
    struct sl_statistics before, after;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sleep_in_shield, &slept), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_statistics_get(&before), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_statistics_get(&after), 0);
    CHECK_EQ(slept, 0);
    CHECK(after.steps - before.steps <= 4); /* a loop that spins makes thousands */
    CHECK(after.polls - before.polls <= 50);
    return 0;
}

C_TEST(c028_an_outside_cancel_of_a_failing_group,
       "given an outside cancel arriving while a group is failing, then the group reports its errors and the outside "
       "cancel "
       "is still pending for the next checkpoint",
       "cpython test_error_and_cancel, test_nested_groups_both_cancelled; anyio TestUncancel")
{
    SL_SCOPE(outer);
    sl_scope inner = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&inner, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, fail_soon, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, sleep_long, NULL), 0);
    int code = sl_sleep(LONG);
    sl_scope_cancel(&outer, "outside");
    CHECK_EQ(sl_scope_close(&inner, code), SL_EPROTO);
    CHECK(sl_cancel_pending());
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    return sl_scope_close(&outer, SL_ECANCELED);
}

static int count_steps(void *arg)
{
    for (;;) {
        (*(int *)arg)++;
        SL_TRY(sl_checkpoint());
    }
}

C_TEST(c029_three_checkpoints,
       "full = may fail and yields; if-cancelled = yields only to fail; shielded = yields, never fails",
       "trio test_cancel_points; anyio test_lowlevel.py")
{
    int steps = 0;
    SL_SCOPE(others);
    CHECK_EQ(sl_spawn(&others, count_steps, &steps), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK(steps > 0);
    int before = steps;
    CHECK_EQ(sl_checkpoint_if_cancelled(), 0);
    CHECK_EQ(steps, before);
    CHECK_EQ(sl_checkpoint_shielded(), 0);
    CHECK(steps > before);
    {
        SL_SCOPE(scope);
        sl_scope_cancel(&scope, NULL);
        before = steps;
        CHECK_EQ(sl_checkpoint_shielded(), 0);
        CHECK(steps > before);
        CHECK_EQ(sl_checkpoint_if_cancelled(), SL_ECANCELED);
        CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    }
    sl_scope_cancel(&others, NULL);
    return sl_scope_wait(&others);
}

SL_TEST_MAIN(cmocka_unit_test(c015_cancelling_twice_changes_nothing), cmocka_unit_test(c016_cancellation_is_a_level),
             cmocka_unit_test(c017_cancelling_oneself), cmocka_unit_test(c018_past_at_entry),
             cmocka_unit_test(c019_left_without_a_checkpoint), cmocka_unit_test(c020_the_outermost_absorbs),
             cmocka_unit_test(c021_after_an_absorbed_cancel), cmocka_unit_test(c022_the_first_cause_is_kept),
             cmocka_unit_test(c023_siblings_see_who_failed), cmocka_unit_test(c024_a_wait_that_cannot_be_undone),
             cmocka_unit_test(c025_a_shield_raised_too_late), cmocka_unit_test(c026_thousands_of_nested_scopes),
             cmocka_unit_test(c027_no_spinning_on_what_cannot_be_cancelled),
             cmocka_unit_test(c028_an_outside_cancel_of_a_failing_group), cmocka_unit_test(c029_three_checkpoints))
