/* SPDX-License-Identifier: MIT */
/* Behaviours 1 to 9: a scope waits for its tasks, passes on their failures and cancels them. */
#include "scoped.h"

/* ---- c001 ---- */

struct chain {
    sl_scope *scope;
    sl_event *last; /* set by the last link */
    int left, ended;
    bool exited;
};

/* Adds the next link in its very last step, when it may be the only child left. */
static int chain(void *arg)
{
    struct chain *self = arg;
    SL_TRY(sl_sleep(SHORT));
    CHECK(!self->exited);
    self->ended++;
    if (self->left-- > 0) {
        return sl_spawn(self->scope, chain, self);
    }
    sl_event_set(self->last);
    return 0;
}

C_TEST(c001_exit_waits_for_all_children,
       "given children running, when the body ends, then exit blocks until all children, and children those add "
       "meanwhile, have ended",
       "trio test_nursery_closure; anyio test_start_soon_while_running; cpython test_taskgroup_24")
{
    for (int by_close = 0; by_close < 2; by_close++) {
        sl_event last = SL_EVENT_INIT;
        struct probe waiting = {.gate = &last, .result = 1};
        sl_scope scope = SL_SCOPE_INIT;
        struct chain links = {.scope = &scope, .last = &last, .left = 3};
        OPEN(scope);
        CHECK_EQ(sl_spawn(&scope, probe, &waiting), 0);
        CHECK_EQ(sl_spawn(&scope, chain, &links), 0);
        CHECK(!waiting.entered);
        CHECK_EQ(by_close ? sl_scope_close(&scope, 0) : sl_scope_wait(&scope), 0);
        links.exited = true;
        CHECK_EQ(links.ended, 4);
        CHECK(waiting.ended);
        CHECK_EQ(waiting.result, 0);
        CHECK(!sl_task_alive(waiting.self));
        struct sl_statistics statistics;
        CHECK_EQ(sl_statistics_get(&statistics), 0);
        CHECK_EQ(statistics.tasks, 1);
    }
    return 0;
}

/* ---- c002 ---- */

struct host {
    struct probe child;
    int result;
    bool ended;
};

static int host(void *arg)
{
    struct host *self = arg;
    SL_SCOPE(group);
    SL_TRY(sl_spawn(&group, probe, &self->child));
    self->result = sl_scope_wait(&group);
    CHECK(self->child.ended);
    self->ended = true;
    return self->result;
}

C_TEST(
    c002_a_failure_cancels_body_and_siblings,
    "given a blocked body and siblings, when one child fails, then body and siblings are cancelled, all are joined, "
    "and the failure is reported at exit",
    "trio test_child_crash_wakes_parent, test_task_crash_propagation; anyio test_exception_cancels_siblings; cpython "
    "test_cancel_children_on_child_error")
{
    struct undertaker end = {.left = false};
    SL_SCOPE(around);
    CHECK_EQ(sl_spawn(&around, undertaker, &end), 0);
    sl_event now = SL_EVENT_INIT;
    struct probe plain = {.result = 1}, slow = {.may_die = &end.may_die};
    struct probe bitter = {.failure = SL_EPIPE, .message = "second"};
    struct probe failing = {.gate = &now, .code = SL_EPROTO, .message = "first"};
    struct host nested = {.result = 1};
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope);
    CHECK_EQ(sl_spawn(&scope, probe, &plain), 0);
    CHECK_EQ(sl_spawn(&scope, probe, &slow), 0);
    CHECK_EQ(sl_spawn(&scope, probe, &bitter), 0);
    CHECK_EQ(sl_spawn(&scope, host, &nested), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, probe, &failing, .name = "culprit"), 0);
    sl_event_set(&now);
    CHECK_EQ(sl_sleep(FOREVER), SL_ECANCELED);
    CHECK(sl_cancel_pending());
    sl_event_set(&end.start);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), SL_EPROTO);
    end.left = true;
    CHECK(plain.ended && slow.ended && bitter.ended && nested.ended && failing.ended);
    CHECK(plain.result == SL_ECANCELED && slow.result == SL_ECANCELED && bitter.result == SL_ECANCELED);
    CHECK_EQ(nested.result, SL_ECANCELED);
    CHECK_EQ(nested.child.result, SL_ECANCELED);
    const sl_error *error = sl_error_last();
    CHECK_EQ(sl_error_code(error), SL_EPROTO);
    CHECK_EQ(sl_error_count(error), 2);
    CHECK_EQ(sl_error_code(sl_error_at(error, 0)), SL_EPROTO);
    CHECK_STRING(sl_error_message(sl_error_at(error, 0)), "first");
    CHECK_STRING(sl_error_task(sl_error_at(error, 0)), "main/culprit");
    CHECK_EQ(sl_error_code(sl_error_at(error, 1)), SL_EPIPE);
    CHECK_EQ(sl_checkpoint(), 0);
    /* A body that swallows the cancellation does not hide the failure; alone it is a collection of one. */
    OPEN(scope);
    CHECK_EQ(sl_spawn(&scope, probe, &failing), 0);
    CHECK_EQ(sl_sleep(FOREVER), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
    CHECK_EQ(sl_error_count(sl_error_last()), 1);
    CHECK_STRING(sl_error_message(sl_error_only(sl_error_last())), "first");
    return sl_scope_wait(&around);
}

/* ---- c003 ---- */

static int fail_early(void *arg)
{
    struct probe *child = arg;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, probe, child));
    SL_TRY(sl_quiescent_wait(0));
    SL_TRY(sl_fail(SL_EPROTO, "left early"));
    return sl_scope_wait(&scope);
}

C_TEST(
    c003_a_failing_body_cancels_children,
    "given sleeping children, when the body fails, then children are cancelled and joined before the body's error is "
    "returned",
    "anyio test_failing_host_task_cancels_children; cpython test_taskgroup_09, _10")
{
    for (int settled = 0; settled < 2; settled++) {
        struct undertaker end = {.left = false};
        SL_SCOPE(around);
        CHECK_EQ(sl_spawn(&around, undertaker, &end), 0);
        struct probe one = {.result = 1}, slow = {.may_die = &end.may_die};
        struct probe bitter = {.failure = SL_EPIPE};
        sl_scope scope = SL_SCOPE_INIT;
        OPEN(scope);
        CHECK_EQ(sl_spawn(&scope, probe, &one), 0);
        CHECK_EQ(sl_spawn(&scope, probe, &slow), 0);
        CHECK_EQ(sl_spawn(&scope, probe, &bitter), 0);
        if (settled) {
            SETTLE();
        }
        sl_event_set(&end.start);
        CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "body")), SL_EPROTO);
        end.left = true;
        CHECK(one.ended && slow.ended && bitter.ended);
        CHECK(one.result == SL_ECANCELED && slow.result == SL_ECANCELED);
        CHECK_EQ(sl_error_count(sl_error_last()), 2);
        CHECK_STRING(sl_error_message(sl_error_at(sl_error_last(), 0)), "body");
        CHECK_EQ(sl_error_code(sl_error_at(sl_error_last(), 1)), SL_EPIPE);
        CHECK_EQ(sl_scope_wait(&around), 0);
    }
    struct probe child = {.result = 1};
    CHECK_EQ(fail_early(&child), SL_EPROTO);
    CHECK(child.ended);
    CHECK_EQ(child.result, SL_ECANCELED);
    CHECK_EQ(sl_checkpoint(), 0);
    return 0;
}

/* ---- c004 ---- */

struct self_canceller {
    sl_scope *inner;
    int inside, closed, after;
    sl_event *go_on;
};

/* Its inner scope is cancelled, by itself or (go_on) by somebody else; it goes on behind it. */
static int cancel_inner(void *arg)
{
    struct self_canceller *self = arg;
    SL_SCOPE(inner);
    self->inner = &inner;
    if (self->go_on == NULL) {
        sl_scope_cancel(&inner, NULL);
    }
    self->inside = sl_sleep(FOREVER);
    self->closed = sl_scope_close(&inner, self->inside);
    self->after = self->go_on == NULL ? sl_checkpoint() : sl_event_wait(self->go_on);
    return self->after;
}

static int make_up_a_cancellation(void *arg)
{
    (void)arg;
    return SL_ECANCELED;
}

static int cancelled_through_a_handle(void)
{
    sl_event gate = SL_EVENT_INIT;
    struct probe one = {.result = 1}, early = {.result = 1}, other = {.gate = &gate, .result = 1};
    struct probe later = {.gate = &gate, .result = 1};
    struct host nested = {.result = 1};
    sl_task_ref task, task_early, task_nested;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, probe, &one, .ret_task = &task), 0);
    CHECK_EQ(sl_spawn(&scope, probe, &other), 0);
    CHECK_EQ(sl_spawn(&scope, host, &nested, .ret_task = &task_nested), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, probe, &early, .ret_task = &task_early), 0);
    CHECK_EQ(sl_task_cancel(task_early, NULL), 0); /* has not run yet */
    CHECK_EQ(sl_task_cancel(task, "alone"), 0);
    CHECK_EQ(sl_task_cancel(task, "again"), 0);
    CHECK_EQ(sl_task_cancel(task_nested, NULL), 0);
    SETTLE();
    CHECK(one.ended && early.ended && nested.ended && !other.ended);
    CHECK(one.result == SL_ECANCELED && early.result == SL_ECANCELED);
    CHECK_EQ(nested.child.result, SL_ECANCELED);
    CHECK_EQ(one.cause, SL_CAUSE_CALL);
    CHECK_STRING(one.text, "alone");
    CHECK_STRING(one.by, "main");
    CHECK_EQ(sl_task_cancel(task, NULL), SL_ENOENT);
    CHECK(!sl_scope_cancel_called(&scope) && !sl_cancel_pending());
    CHECK_EQ(sl_scope_children(&scope), 1);
    CHECK_EQ(sl_spawn(&scope, probe, &later), 0);
    SETTLE();
    sl_event_set(&gate);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(other.result, 0);
    CHECK_EQ(later.result, 0);
    CHECK(!sl_scope_cancel_called(&scope) && !sl_scope_cancel_caught(&scope));
    CHECK(sl_error_last() == NULL);
    return 0;
}

C_TEST(
    c004_a_child_cancelled_alone_is_no_failure,
    "given one child cancelled through its own handle or scope, when it ends as cancelled, then the group carries on "
    "and reports no error",
    "cpython test_taskgroup_03; anyio test_cancel_scope_in_child_task; quattro test_bg_cancellation")
{
    SL_TRY(cancelled_through_a_handle());
    sl_event gate = SL_EVENT_INIT;
    struct self_canceller by_itself = {.inside = 1}, by_host = {.go_on = &gate, .inside = 1};
    struct probe other = {.gate = &gate, .result = 1};
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope);
    CHECK_EQ(sl_spawn(&scope, cancel_inner, &by_itself), 0);
    CHECK_EQ(sl_spawn(&scope, cancel_inner, &by_host), 0);
    CHECK_EQ(sl_spawn(&scope, probe, &other), 0);
    SETTLE();
    sl_scope_cancel(by_host.inner, NULL);
    SETTLE();
    CHECK(by_itself.inside == SL_ECANCELED && by_host.inside == SL_ECANCELED);
    sl_event_set(&gate);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(by_itself.closed == 0 && by_host.closed == 0 && by_itself.after == 0 && by_host.after == 0);
    CHECK_EQ(other.result, 0);
    CHECK(sl_error_last() == NULL);
    /* The code alone does not make a cancellation: nobody cancelled this one. */
    other = (struct probe){.result = 1};
    OPEN(scope);
    CHECK_EQ(sl_spawn(&scope, probe, &other), 0);
    CHECK_EQ(sl_spawn(&scope, make_up_a_cancellation, NULL), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ECANCELED);
    CHECK_EQ(sl_scope_cause(&scope), SL_CAUSE_CHILD);
    CHECK_EQ(sl_error_last_code(), SL_ECANCELED);
    CHECK_EQ(other.result, SL_ECANCELED);
    return 0;
}

/* ---- c005 ---- */

struct guest {
    struct probe probe;
    int released, before_first_checkpoint;
};

static int guest(void *arg)
{
    struct guest *self = arg;
    sl_semaphore free_one;
    CHECK_EQ(sl_semaphore_init(&free_one, 1, 0), 0);
    self->before_first_checkpoint = sl_semaphore_try_acquire(&free_one);
    return probe(&self->probe);
}

static void count_release(void *arg)
{
    ((struct guest *)arg)->released++;
}

C_TEST(c005_a_task_in_a_cancelled_scope_is_entered,
       "given a group already cancelled, when a task is spawned in it, then its function is entered and fails at its "
       "first checkpoint, not before",
       "trio test_precancelled_task; anyio test_level_cancellation, TestCreateTask.test_cancel")
{
    enum { BY_ITSELF, BY_OUTER, BY_DEADLINE, BY_HANDLE, WAYS };
    for (int way = 0; way < WAYS; way++) {
        sl_event open = SL_EVENT_INIT;
        struct guest child = {.probe = {.gate = way % 2 == 0 ? NULL : &open, .result = 1},
                              .before_first_checkpoint = 1};
        sl_event_set(&open); /* even a wait that need not wait fails */
        sl_scope outer = SL_SCOPE_INIT, scope = SL_SCOPE_INIT;
        OPEN(outer);
        OPEN(scope, .deadline = way == BY_DEADLINE ? 1 : 0, .move_on = true);
        if (way == BY_ITSELF || way == BY_OUTER) {
            sl_scope_cancel(way == BY_OUTER ? &outer : &scope, NULL);
        }
        sl_task_ref task;
        CHECK_EQ(sl_spawn(&scope, guest, &child, .release = count_release, .ret_task = &task), 0);
        if (way == BY_HANDLE) {
            CHECK_EQ(sl_task_cancel(task, NULL), 0);
        }
        CHECK(!child.probe.entered);
        CHECK_EQ(sl_scope_wait(&scope), way == BY_OUTER ? SL_ECANCELED : 0);
        CHECK(child.probe.entered && child.probe.pending_at_entry);
        CHECK_EQ(child.before_first_checkpoint, 0);
        CHECK_EQ(child.probe.result, SL_ECANCELED);
        CHECK_EQ(child.released, 1);
        CHECK_EQ(sl_scope_close(&outer, way == BY_OUTER ? SL_ECANCELED : 0), 0);
    }
    return 0;
}

/* ---- c006 ---- */

struct canceller {
    struct undertaker end;
    struct probe *slow;
    sl_scope *scope;
};

/* Once its victim is blocked in the exit: cancels, twice, and sees that the exit goes on waiting. */
static int cancel_at_exit(void *arg)
{
    struct canceller *self = arg;
    SL_TRY(sl_quiescent_wait(0));
    sl_scope_cancel(self->scope, "in its exit");
    SL_TRY(sl_quiescent_wait(0));
    CHECK_EQ(self->slow->result, SL_ECANCELED);
    CHECK(!self->slow->ended);
    sl_scope_cancel(self->scope, "again");
    sl_event_set(&self->end.start);
    return undertaker(&self->end);
}

C_TEST(c006_exit_keeps_waiting_when_cancelled,
       "given a group blocked in exit, when it is cancelled, then children are cancelled and the exit keeps waiting "
       "for them",
       "anyio test_cancel_exiting_task_group; cpython test_cancellation")
{
    for (int from_outside = 0; from_outside < 2; from_outside++) {
        SL_SCOPE(around);
        sl_scope outer = SL_SCOPE_INIT, group = SL_SCOPE_INIT;
        struct canceller canceller = {.scope = from_outside ? &outer : &group};
        struct probe plain = {.result = 1}, slow = {.may_die = &canceller.end.may_die, .result = 1};
        canceller.slow = &slow;
        OPEN(outer);
        OPEN(group);
        CHECK_EQ(sl_spawn(&group, probe, &plain), 0);
        CHECK_EQ(sl_spawn(&group, probe, &slow), 0);
        CHECK_EQ(sl_spawn(&around, cancel_at_exit, &canceller), 0);
        CHECK_EQ(sl_scope_wait(&group), from_outside ? SL_ECANCELED : 0);
        canceller.end.left = true;
        CHECK(plain.ended && slow.ended);
        CHECK_EQ(plain.result, SL_ECANCELED);
        CHECK_EQ(sl_scope_cancel_caught(&group), !from_outside);
        CHECK_EQ(sl_cancel_pending(), from_outside);
        CHECK_EQ(sl_scope_close(&outer, from_outside ? SL_ECANCELED : 0), 0);
        CHECK_EQ(sl_scope_wait(&around), 0);
    }
    return 0;
}

/* ---- c007 ---- */

struct tree {
    int up, cancelled;
};

struct node {
    struct tree *tree;
    int depth;
    bool ended;
};

#define FAN_OUT 3
#define NODES (1 + 3 + 9 + 27)

/* Every second level is cancelled while it waits in its exit, the others in their bodies. */
static int node(void *arg)
{
    struct node *self = arg;
    struct node below[FAN_OUT];
    SL_SCOPE(group);
    for (int i = 0; i < FAN_OUT; i++) {
        below[i] = (struct node){.tree = self->tree, .depth = self->depth - 1, .ended = self->depth == 0};
        if (self->depth > 0) {
            SL_TRY(sl_spawn(&group, node, &below[i]));
        }
    }
    self->tree->up++;
    int code = self->depth % 2 == 1 ? sl_scope_wait(&group) : sl_scope_close(&group, sl_sleep(FOREVER));
    CHECK_EQ(code, SL_ECANCELED);
    for (int i = 0; i < FAN_OUT; i++) {
        CHECK(below[i].ended);
    }
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED); /* still: its own root is inside the cancelled scope */
    self->tree->cancelled++;
    self->ended = true;
    return code;
}

C_TEST(c007_cancellation_reaches_every_leaf,
       "given nested groups, when the outer is cancelled, then every leaf is cancelled and each inner exit completes "
       "first",
       "trio test_cancel_inheritance; anyio test_cancel_cascade, test_cancel_propagation_with_inner_spawn")
{
    struct tree tree = {.up = 0};
    struct node top = {.tree = &tree, .depth = 3};
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope);
    CHECK_EQ(sl_spawn(&scope, node, &top), 0);
    SETTLE();
    CHECK_EQ(tree.up, NODES);
    CHECK_EQ(tree.cancelled, 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(top.ended && sl_scope_cancel_caught(&scope));
    CHECK_EQ(tree.cancelled, NODES);
    return 0;
}

/* ---- c008 ---- */

static int count_steps(void *arg)
{
    for (;;) {
        (*(int *)arg)++;
        SL_TRY(sl_checkpoint());
    }
}

C_TEST(
    c008_an_empty_group_lets_others_run,
    "given an empty group, when it exits, then the scheduler runs other tasks at least once, and a pending cancel is "
    "not consumed or raised there",
    "trio test_trivial_yields; anyio test_empty_taskgroup_contains_yield_point, "
    "test_cancel_before_entering_task_group")
{
    int steps = 0;
    SL_SCOPE(others);
    CHECK_EQ(sl_spawn(&others, count_steps, &steps), 0);
    SL_SCOPE(scope);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        for (int i = 0; i < 3; i++) {
            int before = steps;
            SL_SCOPE(empty);
            CHECK_EQ(sl_scope_wait(&empty), 0);
            CHECK(steps > before);
            CHECK(!sl_scope_cancel_called(&empty) && !sl_scope_cancel_caught(&empty));
            CHECK_EQ(sl_cancel_pending(), cancelled);
        }
        sl_scope_cancel(&scope, NULL);
    }
    CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    CHECK(sl_scope_cancel_caught(&scope));
    sl_scope_cancel(&others, NULL);
    return sl_scope_wait(&others);
}

/* ---- c009 ---- */

static int spawn_into(void *arg)
{
    struct guest never = {.released = 0};
    CHECK_EQ(sl_spawn((sl_scope *)arg, guest, &never, .release = count_release), SL_ECLOSED);
    CHECK_EQ(sl_error_last_code(), SL_ECLOSED);
    CHECK_EQ(sl_start((sl_scope *)arg, guest, NULL, &never, .release = count_release), SL_ECLOSED);
    CHECK_EQ(sl_checkpoint_shielded(), 0);
    CHECK_EQ(sl_checkpoint_shielded(), 0);
    CHECK(!never.probe.entered && never.released == 0);
    return 0;
}

C_TEST(c009_a_finished_group_takes_no_tasks,
       "given a finished group (also one that ended in error), when spawn is called, then a misuse error is returned "
       "and nothing runs",
       "trio test_nursery_closure; anyio test_already_closed, test_start_soon_after_error; cpython "
       "test_coro_closed_when_tg_closed")
{
    enum { WELL, BODY_FAILED, CHILD_FAILED, CANCELLED, TIMED_OUT, WAYS };
    static const int codes[] = {0, SL_EPIPE, SL_EPROTO, 0, SL_ETIMEDOUT};
    sl_event now = SL_EVENT_INIT;
    sl_event_set(&now);
    for (int way = 0; way < WAYS; way++) {
        struct probe child = {.gate = way == WELL || way == CHILD_FAILED ? &now : NULL,
                              .code = way == CHILD_FAILED ? SL_EPROTO : 0};
        sl_scope scope = SL_SCOPE_INIT;
        OPEN(scope, .timeout = way == TIMED_OUT ? SHORT : 0);
        CHECK_EQ(sl_defer(&scope, spawn_into, &scope, SL_SECONDS(1)), 0); /* nor while its cleanups run */
        CHECK_EQ(sl_spawn(&scope, probe, &child), 0);
        if (way == CANCELLED) {
            sl_scope_cancel(&scope, NULL);
        }
        CHECK_EQ(sl_scope_close(&scope, way == BODY_FAILED ? SL_EPIPE : 0), codes[way]);
        struct sl_statistics before, after;
        CHECK_EQ(sl_statistics_get(&before), 0);
        CHECK_EQ(spawn_into(&scope), 0);
        SL_SCOPE(other);
        CHECK_EQ(sl_spawn(&other, spawn_into, &scope), 0);
        CHECK_EQ(sl_scope_wait(&other), 0);
        SETTLE();
        CHECK_EQ(sl_statistics_get(&after), 0);
        CHECK_EQ(after.spawned - before.spawned, 1);
        CHECK_EQ(after.tasks, 1);
    }
    sl_scope never_opened = SL_SCOPE_INIT;
    return spawn_into(&never_opened);
}

SL_TEST_MAIN(cmocka_unit_test(c001_exit_waits_for_all_children),
             cmocka_unit_test(c002_a_failure_cancels_body_and_siblings),
             cmocka_unit_test(c003_a_failing_body_cancels_children),
             cmocka_unit_test(c004_a_child_cancelled_alone_is_no_failure),
             cmocka_unit_test(c005_a_task_in_a_cancelled_scope_is_entered),
             cmocka_unit_test(c006_exit_keeps_waiting_when_cancelled),
             cmocka_unit_test(c007_cancellation_reaches_every_leaf),
             cmocka_unit_test(c008_an_empty_group_lets_others_run),
             cmocka_unit_test(c009_a_finished_group_takes_no_tasks))
