/* SPDX-License-Identifier: MIT */
/* Behaviours 10 to 14: late arrivals, endless spawners, names, daemons, waiting for any. */
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

SL_TEST_MAIN(cmocka_unit_test(c010_a_task_registered_while_the_group_dies_is_cancelled),
             cmocka_unit_test(c011_finished_children_leave_and_endless_spawners_end),
             cmocka_unit_test(c012_names_parents_and_locals), cmocka_unit_test(c013_daemons_end_with_the_others),
             cmocka_unit_test(c014_wait_any_and_wait_with_deadline))
