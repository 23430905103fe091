/* SPDX-License-Identifier: MIT */
/* Stopping in two phases: asked first, cancelled after the grace time; in order where that is wanted. */
#include <string.h>

#include "sl_conformance.h"

struct listener {
    sl_time linger; /* how long it takes to stop once asked; negative: it does not listen */
    int waited, slept;
    char *order;
    char letter;
    enum sl_cause cause;
};

static int listen_and_stop(void *arg)
{
    struct listener *self = arg;
    if (self->linger >= 0) {
        self->waited = sl_stop_wait();
        SL_TRY(self->waited);
        CHECK(sl_stop_requested());
        SL_TRY(sl_sleep(self->linger));
    } else {
        self->slept = sl_sleep(SL_SECONDS(1000));
        self->cause = sl_cancel_cause() == NULL ? SL_CAUSE_NONE : sl_cancel_cause()->cause;
        SL_TRY(self->slept);
    }
    if (self->order != NULL) {
        self->order[strlen(self->order)] = self->letter;
    }
    return 0;
}

C_TEST(stop_is_advice_that_ends_well, "asked to stop, tasks that listen end by themselves; nothing is cancelled", "")
{
    struct listener listeners[3] = {{.waited = 1}, {.waited = 1, .linger = SL_MILLISECONDS(1)}, {.waited = 1}};
    SL_SCOPE(scope);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_spawn(&scope, listen_and_stop, &listeners[i]), 0);
    }
    SETTLE();
    CHECK(!sl_stop_requested());
    CHECK_EQ(sl_scope_children(&scope), 3);
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(10)), 0);
    CHECK(sl_stop_requested());
    CHECK_EQ(sl_stop_wait(), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(!sl_scope_cancel_called(&scope));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(listeners[i].waited, 0);
    }
    CHECK(!sl_stop_requested());
    return 0;
}

C_TEST(stop_cancels_after_the_grace_time, "what has not ended after the grace time is cancelled for SL_CAUSE_STOP", "")
{
    struct listener deaf = {.linger = -1};
    struct listener good = {.linger = 0};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &deaf), 0);
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &good), 0);
    SETTLE();
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(10)), 0);
    CHECK_EQ(sl_scope_stop(&scope, SL_MILLISECONDS(2)), 0); /* the earlier limit wins */
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(20)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK(sl_now() - before >= SL_MILLISECONDS(2) && sl_now() - before < SL_SECONDS(5));
    CHECK_EQ(deaf.slept, SL_ECANCELED);
    CHECK_EQ(deaf.cause, SL_CAUSE_STOP);
    CHECK_EQ(sl_scope_cause(&scope), SL_CAUSE_STOP);
    CHECK(sl_scope_cancel_caught(&scope));
    return 0;
}

C_TEST(stop_with_no_grace_is_a_cancel, "a grace time of 0 cancels at once", "")
{
    struct listener deaf = {.linger = -1};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &deaf), 0);
    SETTLE();
    CHECK_EQ(sl_scope_stop(&scope, 0), 0);
    CHECK(sl_scope_cancel_called(&scope));
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(deaf.slept, SL_ECANCELED);
    return 0;
}

C_TEST(stop_in_order_asks_the_newest_first, "with ordered_stop each child is asked once the ones after it have ended",
       "")
{
    char order[8] = "";
    struct listener listeners[3] = {{.order = order, .letter = 'a'},
                                    {.order = order, .letter = 'b', .linger = SL_MILLISECONDS(2)},
                                    {.order = order, .letter = 'c', .linger = SL_MILLISECONDS(1)}};
    SL_SCOPE(scope, .ordered_stop = true);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_spawn(&scope, listen_and_stop, &listeners[i]), 0);
    }
    SETTLE();
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(10)), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_STRING(order, "cba");
    return 0;
}

C_TEST(stop_in_order_does_not_wait_for_daemons, "a daemon that does not listen holds up no child older than it", "")
{
    struct listener worker = {.waited = 1};
    struct listener deaf = {.linger = -1};
    struct listener listening = {.waited = 1};
    SL_SCOPE(scope, .ordered_stop = true);
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &worker), 0);
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &listening, .daemon = true), 0);
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &deaf, .daemon = true), 0);
    SETTLE();
    CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(worker.waited == 0 && listening.waited == 0);
    CHECK_EQ(deaf.slept, SL_ECANCELED);
    return 0;
}

static int stop_myself(void *arg)
{
    *(bool *)arg = sl_stop_requested();
    int code = sl_stop_wait();
    *(bool *)arg = sl_stop_requested();
    return code;
}

C_TEST(stop_of_one_task, "one task can be asked alone; a cancelled one leaves sl_stop_wait() with the cancellation", "")
{
    bool stopped = true;
    sl_task_ref task;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, stop_myself, &stopped, .ret_task = &task), 0);
    SETTLE();
    CHECK(!stopped);
    CHECK_EQ(sl_task_stop(task), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK(stopped && !sl_stop_requested());
    CHECK_EQ(sl_task_stop(task), SL_ENOENT);
    struct listener listener = {.waited = 1};
    CHECK_EQ(sl_spawn(&scope, listen_and_stop, &listener), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(listener.waited, SL_ECANCELED);
    return 0;
}

static int wait_cancelled_then_sleep(void *arg)
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_stop_wait(), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
    *(bool *)arg = sl_stop_requested();
    return 0;
}

C_TEST(stop_ends_no_other_wait, "a wait for the stop that was cancelled leaves nothing to the waits after it", "")
{
    bool stopped = false;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, wait_cancelled_then_sleep, &stopped), 0);
    SETTLE();
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(10)), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(stopped);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(stop_in_order_does_not_wait_for_daemons), cmocka_unit_test(stop_ends_no_other_wait),
             cmocka_unit_test(stop_is_advice_that_ends_well), cmocka_unit_test(stop_cancels_after_the_grace_time),
             cmocka_unit_test(stop_with_no_grace_is_a_cancel), cmocka_unit_test(stop_in_order_asks_the_newest_first),
             cmocka_unit_test(stop_of_one_task))
