/* SPDX-License-Identifier: MIT */
/* Behaviours 1 to 14: a scope as the owner of tasks. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/sync.h"

struct sleeper {
    sl_time lasts;
    int code, result;
    bool entered, ended;
    sl_task_ref self;
};

static int sleep_task(void *arg)
{
    struct sleeper *self = arg;
    self->entered = true;
    self->self = sl_task_self();
    self->result = sl_sleep(self->lasts);
    self->ended = true;
    return self->result < 0 ? self->result : self->code;
}

#define LONG SL_SECONDS(1000)
#define SHORT SL_MICROSECONDS(300)

static int spawn_more(void *arg)
{
    struct sleeper *late = arg;
    SL_TRY(sl_sleep(SHORT));
    return sl_spawn(sl_scope_current()->parent, sleep_task, late);
}

C_TEST(c001_exit_waits_for_all_children,
       "given children running, when the body ends, then exit blocks until all children, and children those add "
       "meanwhile, "
       "have ended",
       "trio test_nursery_closure; anyio test_start_soon_while_running; cpython test_taskgroup_24")
{
    struct sleeper one = {.lasts = SHORT};
    struct sleeper late = {.lasts = SHORT};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &one), 0);
    CHECK_EQ(sl_spawn(&scope, spawn_more, &late), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(one.ended && late.ended);
    CHECK(!sl_task_alive(late.self));
    return 0;
}

C_TEST(
    c002_a_failure_cancels_body_and_siblings,
    "given a blocked body and siblings, when one child fails, then body and siblings are cancelled, all are joined, "
    "and "
    "the failure is reported at exit",
    "trio test_child_crash_wakes_parent, test_task_crash_propagation; anyio test_exception_cancels_siblings; cpython "
    "test_cancel_children_on_child_error")
{
    struct sleeper sibling = {.lasts = LONG};
    struct sleeper failing = {.lasts = SHORT, .code = SL_EPROTO};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &sibling), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &failing), 0);
    int body = sl_sleep(LONG);
    CHECK_EQ(body, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, body), SL_EPROTO);
    CHECK_EQ(sibling.result, SL_ECANCELED);
    CHECK(sibling.ended);
    CHECK_EQ(sl_error_count(sl_error_last()), 1);
    return 0;
}

C_TEST(
    c003_a_failing_body_cancels_children,
    "given sleeping children, when the body fails, then children are cancelled and joined before the body's error is "
    "returned",
    "anyio test_failing_host_task_cancels_children; cpython test_taskgroup_09, _10")
{
    struct sleeper child = {.lasts = LONG};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &child), 0);
    SETTLE();
    CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "body")), SL_EPROTO);
    CHECK(child.ended);
    CHECK_EQ(child.result, SL_ECANCELED);
    return 0;
}

C_TEST(c004_a_child_cancelled_alone_is_no_failure,
       "given one child cancelled through its own handle or scope, when it ends as cancelled, then the group carries "
       "on and "
       "reports no error",
       "cpython test_taskgroup_03; anyio test_cancel_scope_in_child_task; quattro test_bg_cancellation")
{
    struct sleeper one = {.lasts = LONG};
    struct sleeper other = {.lasts = SHORT};
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &one, .ret_task = &task), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &other), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_task_cancel(task, "alone"), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(one.result, SL_ECANCELED);
    CHECK_EQ(other.result, 0);
    CHECK(!sl_scope_cancel_called(&scope));
    CHECK_EQ(sl_task_cancel(task, NULL), SL_ENOENT);
    return 0;
}

C_TEST(c005_a_task_in_a_cancelled_scope_is_entered,
       "given a group already cancelled, when a task is spawned in it, then its function is entered and fails at its "
       "first "
       "checkpoint, not before",
       "trio test_precancelled_task; anyio test_level_cancellation, TestCreateTask.test_cancel")
{
    struct sleeper child = {.lasts = LONG};
    SL_SCOPE(scope);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &child), 0);
    CHECK(!child.entered);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(child.entered);
    CHECK_EQ(child.result, SL_ECANCELED);
    return 0;
}

static int slow_to_die(void *arg)
{
    struct sleeper *self = arg;
    self->result = sl_sleep(LONG);
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_sleep(SHORT), 0);
    self->ended = true;
    CHECK_EQ(sl_scope_close(&shield, 0), 0);
    return self->result;
}

C_TEST(c006_exit_keeps_waiting_when_cancelled,
       "given a group blocked in exit, when it is cancelled, then children are cancelled and the exit keeps waiting "
       "for them",
       "anyio test_cancel_exiting_task_group; cpython test_cancellation")
{
    struct sleeper child = {.lasts = LONG};
    SL_SCOPE(outer, .timeout = SHORT, .move_on = true);
    sl_scope inner = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&inner, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, slow_to_die, &child), 0);
    CHECK_EQ(sl_scope_wait(&inner), SL_ECANCELED);
    CHECK(child.ended);
    CHECK_EQ(sl_scope_close(&outer, SL_ECANCELED), 0);
    return 0;
}

struct level {
    int depth;
    int *order;
    int *next;
    int result;
};

static int nest(void *arg)
{
    struct level *level = arg;
    SL_SCOPE(scope);
    struct level inner = {.depth = level->depth - 1, .order = level->order, .next = level->next};
    if (level->depth > 0) {
        SL_TRY(sl_spawn(&scope, nest, &inner));
    }
    int code = sl_sleep(LONG);
    level->result = code;
    code = sl_scope_close(&scope, code);
    level->order[(*level->next)++] = level->depth;
    return code;
}

C_TEST(c007_cancellation_reaches_every_leaf,
       "given nested groups, when the outer is cancelled, then every leaf is cancelled and each inner exit completes "
       "first",
       "trio test_cancel_inheritance; anyio test_cancel_cascade, test_cancel_propagation_with_inner_spawn")
{
    int order[6] = {-1, -1, -1, -1, -1, -1};
    int next = 0;
    struct level top = {.depth = 5, .order = order, .next = &next};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, nest, &top), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(next, 6);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(order[i], i);
    }
    CHECK_EQ(top.result, SL_ECANCELED);
    return 0;
}

static int set_flag(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

C_TEST(
    c008_an_empty_group_lets_others_run,
    "given an empty group, when it exits, then the scheduler runs other tasks at least once, and a pending cancel is "
    "not "
    "consumed or raised there",
    "trio test_trivial_yields; anyio test_empty_taskgroup_contains_yield_point, test_cancel_before_entering_task_group")
{
    bool ran = false;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, set_flag, &ran), 0);
    {
        SL_SCOPE(empty);
        CHECK_EQ(sl_scope_wait(&empty), 0);
    }
    CHECK(ran);
    sl_scope_cancel(&scope, NULL);
    {
        SL_SCOPE(empty);
        CHECK_EQ(sl_scope_wait(&empty), 0);
    }
    CHECK(sl_cancel_pending());
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    return sl_scope_wait(&scope);
}

C_TEST(
    c009_a_finished_group_takes_no_tasks,
    "given a finished group (also one that ended in error), when spawn is called, then a misuse error is returned and "
    "nothing runs",
    "trio test_nursery_closure; anyio test_already_closed, test_start_soon_after_error; cpython "
    "test_coro_closed_when_tg_closed")
{
    for (int fail = 0; fail < 2; fail++) {
        bool ran = false;
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, NULL), 0);
        int code = fail ? SL_EPROTO : 0;
        CHECK_EQ(sl_scope_close(&scope, code), code);
        CHECK_EQ(sl_spawn(&scope, set_flag, &ran), SL_ECLOSED);
        CHECK_EQ(sl_checkpoint(), 0);
        CHECK(!ran);
    }
    return 0;
}

static int cancel_group(void *arg)
{
    sl_scope_cancel(arg, "from its first step");
    return sl_checkpoint();
}

C_TEST(c010_a_task_registered_while_the_group_dies_is_cancelled,
       "given a child that fails while another is being registered, or that cancels the group before its first "
       "suspension, "
       "then the newly registered one is still cancelled and the group ends",
       "cpython test_cancels_task_if_created_during_creation; cpython#155418")
{
    struct sleeper first = {.lasts = 0, .code = SL_EPROTO};
    struct sleeper second = {.lasts = LONG};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &first), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &second), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
    CHECK(second.entered);
    CHECK_EQ(second.result, SL_ECANCELED);
    SL_SCOPE(other);
    CHECK_EQ(sl_spawn(&other, cancel_group, &other), 0);
    CHECK_EQ(sl_spawn(&other, sleep_task, &second), 0);
    CHECK_EQ(sl_scope_wait(&other), 0);
    CHECK_EQ(second.result, SL_ECANCELED);
    return 0;
}

struct spawner {
    sl_scope *scope;
    int spawned;
};

static int spawn_endlessly(void *arg)
{
    struct spawner *spawner = arg;
    spawner->spawned++;
    SL_TRY(sl_spawn(spawner->scope, spawn_endlessly, spawner));
    return sl_checkpoint();
}

C_TEST(c011_finished_children_leave_and_endless_spawners_end,
       "given a long-lived group, when children finish, then they leave its table at once; and given children that "
       "endlessly "
       "spawn, when a sibling fails, then the group still ends",
       "cpython test_taskgroup_23, _25")
{
    struct sleeper one = {.lasts = 0};
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, sleep_task, &one), 0);
        CHECK_EQ(sl_scope_children(&scope), 1);
        SETTLE();
        CHECK_EQ(sl_scope_children(&scope), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    struct spawner spawner = {.scope = &scope};
    struct sleeper failing = {.lasts = 0, .code = SL_EPROTO};
    CHECK_EQ(sl_spawn(&scope, spawn_endlessly, &spawner), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(sl_spawn(&scope, sleep_task, &failing), 0);
    for (int i = 0; i < 100 && !sl_cancel_pending(); i++) {
        (void)sl_checkpoint_shielded();
    }
    /* They spawn on although cancelled, as each enters its function: the last word is that nobody may. */
    spawner.scope = &(sl_scope)SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
    CHECK(spawner.spawned > 1);
    return 0;
}

static const char key;

struct looker {
    char name[32];
    void *local;
    uint64_t parent;
};

static int look(void *arg)
{
    struct looker *looker = arg;
    (void)snprintf(looker->name, sizeof looker->name, "%s", sl_task_name(sl_task_self()));
    looker->local = sl_local_get(&key);
    looker->parent = sl_task_parent_id(sl_task_self());
    SL_TRY(sl_local_set(&key, looker));
    return sl_checkpoint();
}

struct indirect {
    sl_scope *scope;
    struct looker *looker;
};

static int spawn_for_other(void *arg)
{
    struct indirect *indirect = arg;
    return sl_spawn(indirect->scope, look, indirect->looker, .name = "given");
}

C_TEST(
    c012_names_parents_and_locals,
    "given no name, then the function's name is used; a given name wins; parent id is the group's host whoever called "
    "spawn; task-local values are copied at spawn and later changes don't cross tasks",
    "trio test_spawn_name, test_contextvar_multitask; anyio test_task_name_*, test_start_soon_parent_id; cpython "
    "test_taskgroup_task_context")
{
    struct looker plain = {.parent = 99};
    struct looker given = {.parent = 99};
    int first, second;
    SL_SCOPE(scope);
    CHECK_EQ(sl_local_set(&key, &first), 0);
    CHECK_EQ(sl_spawn(&scope, look, &plain), 0);
    CHECK_EQ(sl_local_set(&key, &second), 0);
    struct indirect indirect = {&scope, &given};
    CHECK_EQ(sl_spawn(&scope, spawn_for_other, &indirect), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_STRING(plain.name, "look");
    CHECK_STRING(given.name, "given");
    CHECK(plain.local == &first && given.local == &second);
    CHECK(sl_local_get(&key) == &second);
    CHECK(sl_local_get(&given) == NULL);
    CHECK_EQ(given.parent, sl_task_id(sl_task_self()));
    return 0;
}

C_TEST(c013_daemons_end_with_the_others,
       "given daemon children, when body and ordinary children are done, then daemons are cancelled and joined; a "
       "daemon's "
       "failure fails the group; daemons don't count against a concurrency limit",
       "quattro test_tasks_are_stopped, test_errors_interrupt, test_concurrency_limit*; curio test_task_group_daemon*")
{
    struct sleeper daemon = {.lasts = LONG};
    struct sleeper child = {.lasts = SHORT};
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, sleep_task, &daemon, .daemon = true), 0);
        CHECK_EQ(sl_spawn(&scope, sleep_task, &child), 0);
        CHECK_EQ(sl_scope_children(&scope), 1); /* what a limit on children would count */
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK(daemon.ended && child.ended);
        CHECK_EQ(daemon.result, SL_ECANCELED);
        CHECK_EQ(child.result, 0);
    }
    struct sleeper failing = {.lasts = SHORT, .code = SL_EPROTO};
    struct sleeper victim = {.lasts = LONG};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &failing, .daemon = true), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_task, &victim), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
    CHECK_EQ(victim.result, SL_ECANCELED);
    return 0;
}

C_TEST(
    c014_wait_any_and_wait_with_deadline,
    "given wait-any, when the first child ends, then the rest are cancelled and joined; given wait-with-deadline that "
    "expires, then timeout is returned and children stay alive until closed",
    "curio test_task_any_cancel; libdill bundle.c hndl13")
{
    struct sleeper fast = {.lasts = SHORT, .code = 7};
    struct sleeper slow = {.lasts = LONG};
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, sleep_task, &slow), 0);
        CHECK_EQ(sl_spawn(&scope, sleep_task, &fast), 0);
        int code = 0;
        CHECK_EQ(sl_scope_wait_any(&scope, &code), 0);
        CHECK_EQ(code, 7);
        CHECK_EQ(slow.result, SL_ECANCELED);
    }
    SL_SCOPE(scope);
    slow = (struct sleeper){.lasts = LONG};
    CHECK_EQ(sl_spawn(&scope, sleep_task, &slow), 0);
    CHECK_EQ(sl_scope_join(&scope, SHORT), SL_ETIMEDOUT);
    CHECK_EQ(sl_scope_join(&scope, 0), SL_ETIMEDOUT);
    CHECK(sl_task_alive(slow.self));
    CHECK(!sl_cancel_pending());
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(!sl_task_alive(slow.self));
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c001_exit_waits_for_all_children),
             cmocka_unit_test(c002_a_failure_cancels_body_and_siblings),
             cmocka_unit_test(c003_a_failing_body_cancels_children),
             cmocka_unit_test(c004_a_child_cancelled_alone_is_no_failure),
             cmocka_unit_test(c005_a_task_in_a_cancelled_scope_is_entered),
             cmocka_unit_test(c006_exit_keeps_waiting_when_cancelled),
             cmocka_unit_test(c007_cancellation_reaches_every_leaf),
             cmocka_unit_test(c008_an_empty_group_lets_others_run),
             cmocka_unit_test(c009_a_finished_group_takes_no_tasks),
             cmocka_unit_test(c010_a_task_registered_while_the_group_dies_is_cancelled),
             cmocka_unit_test(c011_finished_children_leave_and_endless_spawners_end),
             cmocka_unit_test(c012_names_parents_and_locals), cmocka_unit_test(c013_daemons_end_with_the_others),
             cmocka_unit_test(c014_wait_any_and_wait_with_deadline))
