/* SPDX-License-Identifier: MIT */
/* Behaviours 48 to 56: the start handshake. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

struct server {
    sl_event *go; /* it ends (or fails) after this */
    int code;     /* how it ends */
    uint64_t parent_before, parent_after;
    sl_task_ref self;
    int started; /* what sl_started() returned */
    bool ended;
};

static int port = 8080;

static int serve(void *arg)
{
    struct server *server = arg;
    server->self = sl_task_self();
    server->parent_before = sl_task_parent_id(server->self);
    SL_TRY(sl_checkpoint());
    server->started = sl_started(&port);
    server->parent_after = sl_task_parent_id(server->self);
    int code = sl_event_wait(server->go);
    server->ended = true;
    return code < 0 ? code : server->code;
}

struct host {
    sl_scope *scope; /* set once it is open */
    sl_event open, leave;
    int result;
};

/* A task whose scope others start things in. */
static int host(void *arg)
{
    struct host *self = arg;
    SL_SCOPE(scope);
    self->scope = &scope;
    sl_event_set(&self->open);
    SL_TRY(sl_event_wait(&self->leave));
    self->result = sl_scope_wait(&scope);
    return 0;
}

C_TEST(c048_start_returns_the_value_and_hands_the_task_over,
       "given start(f), when f calls started(v), then start returns v and the target scope owns f until it ends; its "
       "parent changes to the host",
       "trio test_nursery_start, test_task_tree_introspection; anyio test_start_with_value, test_start_parent_id")
{
    struct host target = {.result = 1};
    SL_SCOPE(scope);
    sl_task_ref host_task;
    CHECK_EQ(sl_spawn(&scope, host, &target, .ret_task = &host_task), 0);
    CHECK_EQ(sl_event_wait(&target.open), 0);
    sl_event go = SL_EVENT_INIT;
    struct server server = {.go = &go, .started = 1};
    void *value = NULL;
    CHECK_EQ(sl_start(target.scope, serve, &value, &server), 0);
    CHECK(value == &port);
    CHECK_EQ(server.parent_before, sl_task_id(sl_task_self()));
    sl_event_set(&target.leave);
    SETTLE();
    CHECK_EQ(server.started, 0);
    CHECK_EQ(server.parent_after, sl_task_id(host_task));
    CHECK_EQ(target.result, 1); /* the host waits for the started task */
    CHECK_EQ(sl_scope_children(target.scope), 1);
    sl_event_set(&go);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(target.result, 0);
    CHECK(server.ended && !sl_task_alive(server.self));
    return 0;
}

static int fail_early(void *arg)
{
    (void)arg;
    SL_TRY(sl_checkpoint());
    return sl_fail(SL_EPROTO, "no such venue");
}

C_TEST(c049_failure_before_started_goes_to_the_caller_only,
       "given f fails before started, then start returns that error unwrapped and the scope is unharmed",
       "trio test_nursery_start, test_trio_run_strict_before_started; anyio test_start_crash_before_started_call")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_start(&scope, fail_early, NULL, NULL), SL_EPROTO);
    CHECK_STRING(sl_error_message(sl_error_last()), "no such venue");
    CHECK_EQ(sl_error_count(sl_error_last()), 0);
    CHECK(!sl_scope_cancel_called(&scope));
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return 0;
}

C_TEST(c050_failure_after_started_is_the_scopes,
       "given f fails after started, then the scope fails, start having succeeded",
       "trio test_nursery_start; anyio test_start_crash_after_started_call")
{
    sl_event go = SL_EVENT_INIT;
    struct server server = {.go = &go, .code = SL_EPROTO};
    SL_SCOPE(scope);
    CHECK_EQ(sl_start(&scope, serve, NULL, &server), 0);
    sl_event_set(&go);
    CHECK_EQ(sl_scope_wait(&scope), SL_EPROTO);
    CHECK_EQ(sl_error_count(sl_error_last()), 1);
    return 0;
}

static int never_starts(void *arg)
{
    (void)arg;
    return sl_checkpoint();
}

static int starts_twice(void *arg)
{
    int *second = arg;
    SL_TRY(sl_started(NULL));
    *second = sl_started(NULL);
    return 0;
}

static int starts_unasked(void *arg)
{
    *(int *)arg = sl_started(NULL);
    return 0;
}

C_TEST(c051_started_must_be_called_exactly_once,
       "given f returns without started, then start fails saying so; given started twice, then the second call is a "
       "misuse error",
       "anyio test_start_no_started_call, test_start_called_twice; trio test_nursery_start")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_start(&scope, never_starts, NULL, NULL), SL_ENOTSTARTED);
    CHECK(strstr(sl_error_message(sl_error_last()), "sl_started()") != NULL);
    int second = 1;
    CHECK_EQ(sl_start(&scope, starts_twice, NULL, &second), 0);
    int unasked = 1;
    CHECK_EQ(sl_spawn(&scope, starts_unasked, &unasked), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(second, SL_EALREADY);
    CHECK_EQ(unasked, SL_EMISUSE);
    return 0;
}

static int mark(void *arg)
{
    *(bool *)arg = true;
    return sl_started(NULL);
}

C_TEST(c052_start_in_a_closed_scope_runs_nothing, "given a closed scope, then start fails at once and f never runs",
       "trio test_nursery_start; anyio test_start_already_closed")
{
    bool ran = false;
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(sl_start(&scope, mark, NULL, &ran), SL_ECLOSED);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK(!ran);
    return 0;
}

struct slow {
    bool cleaned;
    int started;
};

/* Cleans up slowly when cancelled, then claims to have started. */
static int slow_starter(void *arg)
{
    struct slow *slow = arg;
    int code = sl_sleep(SL_SECONDS(100));
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    slow->cleaned = true;
    slow->started = sl_started(NULL);
    CHECK_EQ(sl_scope_close(&shield, 0), 0);
    return code;
}

C_TEST(c053_a_cancelled_starter_takes_the_task_with_it,
       "given the caller of start is cancelled first, then f is cancelled under the caller and joined, started becomes "
       "a no-op, the target scope is not cancelled",
       "trio test_nursery_start; anyio test_start_cancels_parent_scope; anyio#685, #710")
{
    struct slow slow = {.started = 1};
    SL_SCOPE(target);
    SL_SCOPE(limit, .timeout = SL_MILLISECONDS(2));
    int code = sl_start(&target, slow_starter, NULL, &slow);
    CHECK(slow.cleaned); /* joined before start returned */
    CHECK_EQ(slow.started, 0);
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
    CHECK(!sl_scope_cancel_called(&target));
    CHECK_EQ(sl_scope_children(&target), 0);
    CHECK_EQ(sl_scope_wait(&target), 0);
    return 0;
}

struct starting {
    sl_scope *target;
    int code;
    bool fail;
};

static int starts_late(void *arg)
{
    struct starting *starting = arg;
    SL_TRY(sl_sleep(SL_MILLISECONDS(2)));
    return starting->fail ? SL_EPROTO : sl_started(NULL);
}

static int starter(void *arg)
{
    struct starting *starting = arg;
    starting->code = sl_start(starting->target, starts_late, NULL, starting);
    return 0;
}

C_TEST(c054_a_pending_start_keeps_the_target_open,
       "given a pending start, then the target scope stays open for it, even if f then fails and never joins",
       "trio test_nursery_start_keeps_nursery_open")
{
    for (int fail = 0; fail < 2; fail++) {
        SL_SCOPE(outer);
        SL_SCOPE(target);
        struct starting starting = {.target = &target, .code = 1, .fail = fail != 0};
        sl_time before = sl_now();
        CHECK_EQ(sl_spawn(&outer, starter, &starting), 0);
        CHECK_EQ(sl_checkpoint(), 0);
        CHECK_EQ(sl_checkpoint(), 0); /* with any order of tasks the start is under way */
        SETTLE();
        CHECK_EQ(sl_scope_wait(&target), 0);
        CHECK(sl_now() - before >= SL_MILLISECONDS(2));
        CHECK_EQ(sl_scope_wait(&outer), 0);
        CHECK_EQ(starting.code, fail ? SL_EPROTO : 0);
    }
    return 0;
}

struct family {
    int grandchild;
    sl_event spawned, go;
};

static int grandchild(void *arg)
{
    struct family *family = arg;
    sl_event_set(&family->spawned);
    family->grandchild = sl_sleep(SL_SECONDS(100));
    return family->grandchild;
}

static int with_descendants(void *arg)
{
    struct family *family = arg;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, grandchild, family));
    SL_TRY(sl_event_wait(&family->spawned));
    SL_TRY(sl_started(NULL));
    return sl_scope_wait(&scope);
}

C_TEST(c055_descendants_feel_a_target_that_is_cancelled_already,
       "given f has sleeping descendants and the target is already cancelled at started, then those descendants are "
       "cancelled",
       "trio test_nursery_start_with_cancelled_nursery")
{
    struct family family = {.grandchild = 1};
    struct host target = {.result = 1};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, host, &target), 0);
    CHECK_EQ(sl_event_wait(&target.open), 0);
    sl_scope_cancel(target.scope, "gone");
    CHECK_EQ(sl_start(target.scope, with_descendants, NULL, &family), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(family.grandchild, SL_ECANCELED);
    return 0;
}

static int fail_soon(void *arg)
{
    (void)arg;
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    return SL_EPROTO;
}

static int start_forever(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(100));
}

static int start_shielded(void *arg)
{
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
    *(int *)arg = sl_sleep(SL_MILLISECONDS(3));
    return sl_scope_close(&shield, 0);
}

C_TEST(c056_a_failure_around_start_ends_it_promptly,
       "given a failure elsewhere in the caller's scope during start, then start ends promptly; given a shield inside "
       "f, then f is protected from it",
       "anyio test_start_cancel_after_error, test_cancel_shielding_start")
{
    sl_time before = sl_now();
    {
        SL_SCOPE(target);
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, fail_soon, NULL), 0);
        int code = sl_start(&target, start_forever, NULL, NULL);
        CHECK_EQ(code, SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&scope, code), SL_EPROTO);
        CHECK_EQ(sl_scope_wait(&target), 0);
    }
    CHECK(sl_now() - before < SL_SECONDS(50));
    int shielded = 1;
    SL_SCOPE(target);
    SL_SCOPE(limit, .timeout = SL_MILLISECONDS(1), .move_on = true);
    int code = sl_start(&target, start_shielded, NULL, &shielded);
    CHECK_EQ(shielded, 0);
    CHECK(code < 0);
    CHECK_EQ(sl_scope_close(&limit, SL_ECANCELED), 0);
    CHECK_EQ(sl_scope_wait(&target), 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c048_start_returns_the_value_and_hands_the_task_over),
             cmocka_unit_test(c049_failure_before_started_goes_to_the_caller_only),
             cmocka_unit_test(c050_failure_after_started_is_the_scopes),
             cmocka_unit_test(c051_started_must_be_called_exactly_once),
             cmocka_unit_test(c052_start_in_a_closed_scope_runs_nothing),
             cmocka_unit_test(c053_a_cancelled_starter_takes_the_task_with_it),
             cmocka_unit_test(c054_a_pending_start_keeps_the_target_open),
             cmocka_unit_test(c055_descendants_feel_a_target_that_is_cancelled_already),
             cmocka_unit_test(c056_a_failure_around_start_ends_it_promptly))
