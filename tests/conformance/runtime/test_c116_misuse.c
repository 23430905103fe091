/* SPDX-License-Identifier: MIT */
/* Behaviours 116 to 120: misuse gives its own error, never a crash. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/signal.h"
#include "sluice/supervisor.h"
#include "sluice/sync.h"
#include "sluice/thread.h"

struct orphan {
    int code;
    bool cleaned;
    enum sl_cause cause;
};

static int orphan(void *arg)
{
    struct orphan *self = arg;
    self->code = sl_sleep(SL_SECONDS(100));
    self->cause = sl_cancel_cause() == NULL ? SL_CAUSE_NONE : sl_cancel_cause()->cause;
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    self->cleaned = true;
    CHECK_EQ(sl_scope_close(&shield, 0), 0);
    return self->code;
}

C_TEST(c116_closing_out_of_order,
       "given scopes closed in the wrong order, then misuse error; tasks left inside are cancelled with reason "
       "misnesting",
       "trio test_cancel_scope_misnesting_1, _2; anyio test_cancelscope_wrong_exit_order")
{
    struct orphan left = {.code = 1};
    sl_scope outer = SL_SCOPE_INIT;
    sl_scope inner = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&outer, NULL), 0);
    CHECK_EQ(sl_scope_open(&inner, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, orphan, &left), 0);
    SETTLE();
    CHECK_EQ(sl_scope_close(&outer, 0), SL_EMISUSE);
    CHECK(strstr(sl_error_message(sl_error_last()), "innermost") != NULL);
    CHECK(sl_scope_cancel_called(&inner) && !sl_scope_cancel_called(&outer));
    CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_MISNESTING);
    CHECK_EQ(sl_scope_close(&inner, 0), 0);
    CHECK_EQ(left.code, SL_ECANCELED);
    CHECK_EQ(left.cause, SL_CAUSE_MISNESTING);
    CHECK(left.cleaned);
    CHECK_EQ(sl_scope_close(&outer, 0), 0);
    return 0;
}

struct thief {
    sl_scope *scope;
    int close, wait, join;
};

static int thief(void *arg)
{
    struct thief *self = arg;
    self->close = sl_scope_close(self->scope, 0);
    self->wait = sl_scope_wait(self->scope);
    self->join = sl_scope_join(self->scope, SL_NEVER);
    return 0;
}

C_TEST(c117_closing_from_elsewhere_or_before_entry,
       "given a scope closed from another task, or before entry, then an error and no state change",
       "trio test_cancel_scope_misnesting_3; anyio test_cancelscope_exit_in_wrong_task, _exit_before_enter")
{
    sl_scope never = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_close(&never, 0), SL_EMISUSE);
    CHECK_EQ(sl_scope_wait(&never), SL_EMISUSE);
    CHECK_EQ(sl_scope_set_deadline(&never, 5), SL_EMISUSE);
    CHECK_EQ(sl_spawn(&never, orphan, NULL), SL_ECLOSED);
    sl_scope_cancel(&never, "nothing to cancel");
    CHECK(!sl_scope_cancel_called(&never));
    SL_SCOPE(scope);
    struct thief other = {.scope = &scope};
    CHECK_EQ(sl_spawn(&scope, thief, &other), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK_EQ(other.close, SL_ENOTOWNER);
    CHECK_EQ(other.wait, SL_ENOTOWNER);
    CHECK_EQ(other.join, SL_ENOTOWNER);
    CHECK(!sl_scope_cancel_called(&scope));
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return 0;
}

C_TEST(c118_opening_twice_and_closing_twice, "given a scope entered twice, then an error; closed twice, then an error",
       "trio test_cancel_unbound; anyio test_taskgroup_reentry; cpython test_timeout_already_entered, "
       "test_timeout_double_enter")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_scope_open(&scope, NULL), SL_EALREADY);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EALREADY);
    CHECK_EQ(sl_scope_wait(&scope), SL_EALREADY);
    CHECK_EQ(sl_scope_open(&scope, NULL), 0); /* closed storage may be used again */
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    return 0;
}

static int leaves_scopes_open(void *arg)
{
    sl_scope outer = SL_SCOPE_INIT;
    sl_scope inner = SL_SCOPE_INIT;
    char ballast[512];
    memset(ballast, 1, sizeof ballast);
    SL_TRY(sl_scope_open(&outer, &(struct sl_scope_options){.name = "outer"}));
    SL_TRY(sl_scope_open(&inner, &(struct sl_scope_options){.name = "inner"}));
    SL_TRY(sl_spawn(&outer, orphan, arg));
    SL_TRY(sl_spawn(&inner, orphan, (struct orphan *)arg + 1));
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    return ballast[3] - 1;
}

C_TEST(
    c119_a_task_ending_with_open_scopes,
    "given a task that ends with an open scope, then a 'scope still open' error naming it; its orphans are cancelled "
    "and still clean up",
    "trio test_nursery_misnest, test_asyncexitstack_nursery_misnest_cleanup; trio#3298")
{
    struct orphan left[2] = {{.code = 1}, {.code = 1}};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, leaves_scopes_open, left), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EMISUSE);
    const char *text = sl_error_message(sl_error_only(sl_error_last()));
    CHECK(strstr(text, "leaves_scopes_open") != NULL && strstr(text, "inner") != NULL);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(left[i].code, SL_ECANCELED);
        CHECK(left[i].cleaned);
    }
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int call_everything_outside(void)
{
    sl_scope scope = SL_SCOPE_INIT;
    sl_event event = SL_EVENT_INIT;
    sl_mutex mutex;
    sl_mutex_init(&mutex);
    sl_condition condition;
    sl_condition_init(&condition, &mutex);
    sl_semaphore semaphore;
    CHECK_EQ(sl_semaphore_init(&semaphore, 1, 1), 0);
    sl_capacity_limiter limiter;
    sl_capacity_limiter_init(&limiter, 1);
    sl_token token;
    sl_signals *signals = NULL;
    CHECK(sl_current() == NULL);
    CHECK_EQ(sl_sleep(0), SL_ENOTASK);
    CHECK_EQ(sl_sleep(5), SL_ENOTASK);
    CHECK_EQ(sl_checkpoint(), SL_ENOTASK);
    CHECK_EQ(sl_checkpoint_if_cancelled(), SL_ENOTASK);
    CHECK_EQ(sl_checkpoint_shielded(), SL_ENOTASK);
    CHECK_EQ(sl_park(NULL, NULL, "nothing"), SL_ENOTASK);
    CHECK_EQ(sl_stop_wait(), SL_ENOTASK);
    CHECK_EQ(sl_quiescent_wait(0), SL_ENOTASK);
    CHECK_EQ(sl_started(NULL), SL_ENOTASK);
    CHECK_EQ(sl_healthy(), SL_ENOTASK);
    CHECK_EQ(sl_local_set(&scope, NULL), SL_ENOTASK);
    CHECK(sl_local_get(&scope) == NULL);
    CHECK_EQ(sl_task_rename("x"), SL_ENOTASK);
    CHECK_EQ(sl_task_cancel(sl_task_self(), NULL), SL_ENOENT);
    CHECK_EQ(sl_scope_open(&scope, NULL), SL_ENOTASK);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ENOTASK);
    CHECK_EQ(sl_spawn(&scope, nothing, NULL), SL_ENOTASK);
    CHECK_EQ(sl_start(&scope, nothing, NULL, NULL), SL_ENOTASK);
    CHECK_EQ(sl_defer(&scope, nothing, NULL, 1), SL_ENOTASK);
    CHECK_EQ(sl_event_wait(&event), SL_ENOTASK);
    CHECK_EQ(sl_mutex_lock(&mutex), SL_ENOTASK);
    CHECK_EQ(sl_condition_wait(&condition), SL_ENOTASK);
    CHECK_EQ(sl_semaphore_acquire(&semaphore), SL_ENOTASK);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, NULL, &token), SL_ENOTASK);
    CHECK_EQ(sl_offload(nothing, NULL), SL_ENOTASK);
    CHECK_EQ(sl_signals_open((int[]){1}, 1, &signals), SL_ENOTASK);
    CHECK_EQ(sl_select(NULL, 0, SL_NEVER), SL_ENOTASK);
    CHECK(!sl_cancel_pending() && !sl_stop_requested());
    CHECK(sl_cancel_cause() == NULL && sl_scope_current() == NULL);
    CHECK(sl_tree_text() == NULL && sl_loop_ref_new() == NULL);
    CHECK_EQ(sl_clock_jump(1), SL_ENOTSUP);
    CHECK(sl_now() > 0);
    CHECK_EQ(sl_effective_deadline(), SL_NEVER);
    return 0;
}

static int nested_run(void *arg)
{
    (void)arg;
    CHECK_EQ(sl_run(NULL, nothing, NULL, NULL), SL_EMISUSE);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_sleep(-1), SL_EINVAL);
    CHECK_EQ(sl_quiescent_wait(-1), SL_EINVAL);
    SL_SCOPE(scope);
    CHECK_EQ(sl_scope_stop(&scope, -1), SL_EINVAL);
    CHECK_EQ(sl_scope_join(&scope, -1), SL_EINVAL);
    CHECK_EQ(sl_scope_set_shield(&scope, true), SL_EINVAL);
    CHECK_EQ(sl_spawn(&scope, NULL, NULL), SL_EINVAL);
    CHECK_EQ(sl_spawn(&scope, nothing, NULL, .stack_bytes = 100), SL_EINVAL);
    CHECK_EQ(sl_defer(&scope, nothing, NULL, 0), SL_EINVAL);
    CHECK_EQ(sl_defer(&scope, nothing, NULL, SL_NEVER), SL_EINVAL);
    static const struct sl_scope_options bad[] = {{.timeout = -1},
                                                  {.timeout = 1, .deadline = 1},
                                                  {.shield = true},
                                                  {.window = -1},
                                                  {.strategy = (enum sl_strategy)99}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_scope wrong = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&wrong, &bad[i]), SL_EINVAL);
        CHECK_EQ(sl_checkpoint(), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&wrong, 0), SL_EINVAL);
    }
    return 0;
}

C_TEST_RUNS(c120_calls_in_the_wrong_place,
            "nested run, calls outside the runtime, two tasks on a single-waiter object: distinct errors, no crash",
            "trio test_run_nesting, test_out_of_context; trio test_open_signal_receiver_conflict; libdill#215")
{
    int code = call_everything_outside();
    return code < 0 ? code : sl_run(options, nested_run, NULL, NULL);
}

SL_TEST_MAIN(cmocka_unit_test(c116_closing_out_of_order), cmocka_unit_test(c117_closing_from_elsewhere_or_before_entry),
             cmocka_unit_test(c118_opening_twice_and_closing_twice),
             cmocka_unit_test(c119_a_task_ending_with_open_scopes), cmocka_unit_test(c120_calls_in_the_wrong_place))
