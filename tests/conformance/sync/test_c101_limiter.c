/* SPDX-License-Identifier: MIT */
/* Behaviours 101 to 103: the capacity limiter. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

/* A task that borrows a token for itself or for `borrower`, and returns it when told to. */
struct one {
    sl_capacity_limiter *limiter;
    const void *borrower;
    sl_event *leave; /* NULL: at once */
    sl_token token;
    int code;
    bool done;
    sl_task_ref task;
};

static int borrow_once(void *arg)
{
    struct one *one = arg;
    one->code = sl_capacity_limiter_acquire(one->limiter, one->borrower, &one->token);
    one->done = true;
    if (one->code == 0 && one->leave != NULL) {
        CHECK_EQ(sl_event_wait(one->leave), 0);
    }
    return one->code == 0 ? sl_capacity_limiter_release(one->limiter, one->borrower) : 0;
}

C_TEST(c101_tokens_belong_to_a_borrower,
       "Given a capacity limiter, then each token belongs to a task or to any other borrower; borrowing twice and "
       "returning what was not borrowed are misuse.",
       "trio test_sync.py test_CapacityLimiter")
{
    sl_capacity_limiter limiter;
    sl_token tokens[3];
    int key;
    int other;
    sl_capacity_limiter_init(&limiter, 3);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, NULL, &tokens[0]), 0);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, NULL, &tokens[1]), SL_EALREADY);
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, NULL, &tokens[1]), SL_EALREADY);
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, sl_current(), &tokens[1]), SL_EALREADY);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, &key, &tokens[1]), 0);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, &key, &tokens[2]), SL_EALREADY);
    CHECK_EQ(sl_capacity_limiter_release(&limiter, &other), SL_ENOTOWNER);
    CHECK_EQ(limiter.borrowed, 2);
    {
        SL_SCOPE(scope); /* another task is another borrower, and may return a key's token */
        struct one one = {.limiter = &limiter};
        SL_TRY(sl_spawn(&scope, borrow_once, &one));
        SL_TRY(sl_scope_wait(&scope));
        CHECK(one.done && one.code == 0);
    }
    CHECK_EQ(sl_capacity_limiter_release(&limiter, &key), 0);
    CHECK_EQ(sl_capacity_limiter_release(&limiter, &key), SL_ENOTOWNER);
    CHECK_EQ(sl_capacity_limiter_release(&limiter, NULL), 0);
    CHECK_EQ(sl_capacity_limiter_release(&limiter, NULL), SL_ENOTOWNER);
    CHECK_EQ(limiter.borrowed, 0);

    /* Two tasks wait with the same key: the second is told when the first has got it. */
    sl_capacity_limiter_resize(&limiter, 0);
    sl_event leave = SL_EVENT_INIT;
    SL_SCOPE(scope);
    struct one ones[2];
    for (int i = 0; i < 2; i++) {
        ones[i] = (struct one){.limiter = &limiter, .borrower = &key, .leave = &leave};
        SL_TRY(sl_spawn(&scope, borrow_once, &ones[i]));
        SETTLE();
    }
    sl_capacity_limiter_resize(&limiter, 5);
    SETTLE();
    CHECK(ones[0].done && ones[0].code == 0);
    CHECK(ones[1].done && ones[1].code == SL_EALREADY);
    CHECK_EQ(limiter.borrowed, 1);
    sl_event_set(&leave);
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(limiter.borrowed, 0);
    return 0;
}

C_TEST(c102_resizing,
       "Given those who wait, when the total is raised, then as many wake; when it is lowered below what is borrowed, "
       "then returns are waited for; 0 is legal and blocks all.",
       "trio test_sync.py test_CapacityLimiter_change_total_tokens, test_CapacityLimiter_zero_limit_tokens")
{
    enum { TASKS = 5 };
    sl_capacity_limiter limiter;
    sl_token token;
    sl_event leave[TASKS];
    struct one ones[TASKS];
    sl_capacity_limiter_init(&limiter, 0);
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, NULL, &token), SL_EAGAIN);
    SL_SCOPE(scope);
    for (int i = 0; i < TASKS; i++) {
        sl_event_init(&leave[i]);
        ones[i] = (struct one){.limiter = &limiter, .leave = &leave[i]};
        SL_TRY(sl_spawn(&scope, borrow_once, &ones[i]));
        SETTLE();
        CHECK(!ones[i].done);
    }
    sl_capacity_limiter_resize(&limiter, 3);
    SETTLE();
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(ones[i].done, i < 3);
    }
    sl_capacity_limiter_resize(&limiter, 1);
    for (int i = 0; i < 2; i++) { /* two returns bring it down to the new total */
        CHECK_EQ(limiter.borrowed, 3 - i);
        sl_event_set(&leave[i]);
        SETTLE();
        CHECK(!ones[3].done);
    }
    CHECK_EQ(limiter.borrowed, 1);
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, NULL, &token), SL_EAGAIN);
    sl_event_set(&leave[2]);
    SETTLE();
    CHECK(ones[3].done && !ones[4].done);
    sl_capacity_limiter_resize(&limiter, UINT64_MAX);
    SETTLE();
    CHECK(ones[4].done);
    for (int i = 3; i < TASKS; i++) {
        sl_event_set(&leave[i]);
    }
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(limiter.borrowed, 0);
    return 0;
}

C_TEST(
    c103_no_over_grant_and_nothing_left_behind,
    "Given a token that was returned while somebody waits, when a try call runs before the woken task does, then it "
    "gets none; cancelled waiters leave nothing behind.",
    "anyio test_synchronization.py test_nowait_acquire_after_release_does_not_oversubscribe, test_acquire_cancelled; "
    "trio test_CapacityLimiter_memleak_548")
{
    sl_capacity_limiter limiter;
    sl_token token;
    sl_token keyed;
    int key;
    sl_capacity_limiter_init(&limiter, 1);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, NULL, &token), 0);
    SL_SCOPE(scope);
    struct one ones[3];
    for (int i = 0; i < 3; i++) {
        ones[i] = (struct one){.limiter = &limiter};
        SL_TRY(sl_spawn(&scope, borrow_once, &ones[i], .ret_task = &ones[i].task));
        SETTLE();
    }
    CHECK_EQ(sl_task_cancel(ones[0].task, NULL), 0); /* cancelled first: passed over */
    CHECK_EQ(sl_capacity_limiter_release(&limiter, NULL), 0);
    CHECK_EQ(limiter.borrowed, 1);
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, &key, &keyed), SL_EAGAIN);
    CHECK_EQ(sl_task_cancel(ones[1].task, NULL), 0); /* served first: it has it */
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(ones[0].code, SL_ECANCELED);
    CHECK_EQ(ones[1].code, 0);
    CHECK_EQ(ones[2].code, 0);
    CHECK(limiter.borrowed == 0 && limiter.waiters.count == 0 && limiter.tokens == NULL);
    sl_scope cancelled = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&cancelled, NULL), 0);
    sl_scope_cancel(&cancelled, NULL);
    CHECK_EQ(sl_capacity_limiter_acquire(&limiter, NULL, &token), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&cancelled, SL_ECANCELED), 0);
    CHECK_EQ(limiter.borrowed, 0);
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, &key, &keyed), 0);
    return sl_capacity_limiter_release(&limiter, &key);
}

SL_TEST_MAIN(cmocka_unit_test(c101_tokens_belong_to_a_borrower), cmocka_unit_test(c102_resizing),
             cmocka_unit_test(c103_no_over_grant_and_nothing_left_behind))
