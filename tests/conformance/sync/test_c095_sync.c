/* SPDX-License-Identifier: MIT */
/* Behaviours 95 to 100: event, mutex, condition, semaphore. (101 to 103: test_c101_limiter.c.) */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

/* A task that waits for one thing, keeps what came of it, and gives it back when told to. */
struct one {
    sl_event *event;
    sl_mutex *mutex;
    sl_condition *condition;
    sl_semaphore *semaphore;
    sl_event *leave; /* NULL: at once */
    int *order;      /* where it notes how many were served before it */
    int rank;
    int code;
    bool done;
    bool keeps; /* it ends without giving the mutex back */
    char message[96];
    sl_task_ref task;
};

static int wait_for_event(void *arg)
{
    struct one *one = arg;
    one->code = sl_event_wait(one->event);
    one->done = true;
    return 0;
}

static void note_served(struct one *one)
{
    one->done = true;
    one->rank = one->order == NULL ? 0 : (*one->order)++;
    const char *message = one->code == 0 ? "" : sl_error_message(sl_error_last());
    (void)snprintf(one->message, sizeof one->message, "%s", message);
}

static int lock_once(void *arg)
{
    struct one *one = arg;
    one->code = sl_mutex_lock(one->mutex);
    note_served(one);
    if (one->code == 0 && one->leave != NULL) {
        CHECK_EQ(sl_event_wait(one->leave), 0);
    }
    return one->code == 0 && !one->keeps ? sl_mutex_unlock(one->mutex) : 0;
}

static int acquire_once(void *arg)
{
    struct one *one = arg;
    one->code = sl_semaphore_acquire(one->semaphore);
    note_served(one);
    return one->code == 0 ? sl_semaphore_release(one->semaphore) : 0;
}

static int wait_on_condition(void *arg)
{
    struct one *one = arg;
    SL_TRY(sl_mutex_lock(one->mutex));
    one->code = sl_condition_wait(one->condition);
    note_served(one);
    return sl_mutex_unlock(one->mutex); /* fails the case unless it holds the mutex */
}

C_TEST(c095_event,
       "Given waiters, when the event is set, then all wake; waiting on a set event is still a checkpoint; a waiter "
       "released before a cancel in the same step succeeds, one cancelled first fails.",
       "trio test_sync.py test_Event; anyio test_event_wait_before_set_before_cancel, test_event_cancel")
{
    sl_event event = SL_EVENT_INIT;
    struct one ones[5];
    SL_SCOPE(scope);
    for (int i = 0; i < 5; i++) {
        ones[i] = (struct one){.event = &event};
        SL_TRY(sl_spawn(&scope, wait_for_event, &ones[i], .ret_task = &ones[i].task));
    }
    SETTLE();
    CHECK_EQ(sl_task_cancel(ones[0].task, NULL), 0);
    sl_event_set(&event);
    sl_event_set(&event);
    CHECK(sl_event_is_set(&event));
    CHECK_EQ(sl_task_cancel(ones[1].task, NULL), 0);
    sl_event_reset(&event); /* those already served are not affected */
    SETTLE();
    for (int i = 0; i < 5; i++) {
        CHECK(ones[i].done);
        CHECK_EQ(ones[i].code, i == 0 ? SL_ECANCELED : 0);
    }
    CHECK_EQ(event.waiters.count, 0);

    sl_event_set(&event);
    struct one other = {.event = &event};
    SL_TRY(sl_spawn(&scope, wait_for_event, &other));
    for (int i = 0; !other.done; i++) {
        CHECK(i < 1000); /* a set event lets the others run */
        CHECK_EQ(sl_event_wait(&event), 0);
    }
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_event_wait(&event), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    return 0;
}

C_TEST(
    c096_lock_is_fifo_and_knows_its_owner,
    "Given several who wait for a lock, then it is handed over strictly first come, first served; locking again by the "
    "owner and unlocking by another are misuse.",
    "trio test_sync.py test_Lock_and_StrictFIFOLock, test_generic_lock_fifo_fairness")
{
    enum { TASKS = 6 };
    sl_mutex mutex;
    struct one ones[TASKS];
    int order = 0;
    sl_mutex_init(&mutex);
    SL_SCOPE(scope);
    CHECK_EQ(sl_mutex_unlock(&mutex), SL_ENOTOWNER);
    CHECK_EQ(sl_mutex_lock(&mutex), 0);
    CHECK_EQ(sl_mutex_lock(&mutex), SL_EALREADY);
    CHECK_EQ(sl_mutex_try_lock(&mutex), SL_EALREADY);
    for (int i = 0; i < TASKS; i++) {
        ones[i] = (struct one){.mutex = &mutex, .order = &order};
        SL_TRY(sl_spawn(&scope, lock_once, &ones[i]));
        SETTLE();
        CHECK(!ones[i].done);
    }
    CHECK_EQ(sl_mutex_unlock(&mutex), 0);
    /* It belongs to the first waiter now, though that one has not run yet. */
    CHECK_EQ(sl_mutex_try_lock(&mutex), SL_EAGAIN);
    CHECK_EQ(sl_mutex_unlock(&mutex), SL_ENOTOWNER);
    CHECK_EQ(sl_mutex_lock(&mutex), 0); /* behind all the others */
    for (int i = 0; i < TASKS; i++) {
        CHECK(ones[i].done);
        CHECK_EQ(ones[i].rank, i);
    }
    CHECK_EQ(sl_mutex_unlock(&mutex), 0);
    CHECK_EQ(sl_mutex_unlock(&mutex), SL_ENOTOWNER);
    return sl_scope_wait(&scope);
}

C_TEST(c097_a_task_that_ends_holding_a_lock_breaks_it,
       "Given a task that ends while it holds a lock, then those who wait for it and all who come later fail, and are "
       "told who held it.",
       "trio test_sync.py test_lock_acquire_unowned_lock, test_lock_multiple_acquire")
{
    sl_mutex mutex;
    sl_mutex other;
    sl_event leave = SL_EVENT_INIT;
    sl_mutex_init(&mutex);
    sl_mutex_init(&other);
    SL_SCOPE(scope);
    struct one owner = {.mutex = &mutex, .leave = &leave, .keeps = true};
    SL_TRY(sl_spawn(&scope, lock_once, &owner, .name = "forgetful"));
    SETTLE();
    struct one ones[2];
    for (int i = 0; i < 2; i++) {
        ones[i] = (struct one){.mutex = &mutex};
        SL_TRY(sl_spawn(&scope, lock_once, &ones[i]));
    }
    SETTLE();
    CHECK(!ones[0].done && !ones[1].done);
    CHECK_EQ(sl_mutex_lock(&other), 0);
    sl_event_set(&leave);
    SETTLE();
    for (int i = 0; i < 2; i++) {
        CHECK(ones[i].done);
        CHECK_EQ(ones[i].code, SL_EBROKEN);
        CHECK(strstr(ones[i].message, "forgetful") != NULL);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_mutex_lock(&mutex), SL_EBROKEN);
        CHECK(strstr(sl_error_message(sl_error_last()), "forgetful") != NULL);
        CHECK_EQ(sl_mutex_try_lock(&mutex), SL_EBROKEN);
        CHECK_EQ(sl_mutex_unlock(&mutex), SL_ENOTOWNER);
    }
    CHECK_EQ(sl_mutex_unlock(&other), 0); /* the locks of others are not concerned */
    return sl_scope_wait(&scope);
}

/* Three who wait for a lock or a permit; the first is cancelled before or after it is handed over. */
static int cancel_around_hand_over(sl_mutex *mutex, sl_semaphore *semaphore, bool cancel_first)
{
    struct one ones[3];
    int order = 0;
    SL_SCOPE(scope);
    CHECK_EQ(mutex != NULL ? sl_mutex_lock(mutex) : sl_semaphore_acquire(semaphore), 0);
    for (int i = 0; i < 3; i++) {
        ones[i] = (struct one){.mutex = mutex, .semaphore = semaphore, .order = &order};
        SL_TRY(sl_spawn(&scope, mutex != NULL ? lock_once : acquire_once, &ones[i], .ret_task = &ones[i].task));
        SETTLE();
    }
    if (cancel_first) {
        CHECK_EQ(sl_task_cancel(ones[0].task, NULL), 0);
    }
    CHECK_EQ(mutex != NULL ? sl_mutex_unlock(mutex) : sl_semaphore_release(semaphore), 0);
    if (!cancel_first) {
        CHECK_EQ(sl_task_cancel(ones[0].task, NULL), 0);
    }
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(ones[0].code, cancel_first ? SL_ECANCELED : 0);
    for (int i = 1; i < 3; i++) {
        CHECK(ones[i].done);
        CHECK_EQ(ones[i].code, 0);
    }
    CHECK(ones[1].rank < ones[2].rank);
    if (mutex != NULL) {
        CHECK_EQ(sl_mutex_try_lock(mutex), 0);
        return sl_mutex_unlock(mutex);
    }
    CHECK_EQ(semaphore->value, 1);
    CHECK_EQ(semaphore->waiters.count, 0);
    return 0;
}

C_TEST(c098_hand_over_to_a_cancelled_waiter_is_not_lost,
       "Given a lock or permit that is handed to a waiter, when that one is cancelled before it runs, then it has it, "
       "gives it back, and the next gets it; one that was cancelled first is passed over.",
       "anyio test_synchronization.py test_cancel_after_release, test_cancelled_after_acquire, "
       "test_cancel_during_acquire; anyio#1145")
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        sl_mutex mutex;
        sl_semaphore semaphore;
        sl_mutex_init(&mutex);
        CHECK_EQ(sl_semaphore_init(&semaphore, 1, 1), 0);
        SL_TRY(cancel_around_hand_over(&mutex, NULL, cancel_first == 1));
        SL_TRY(cancel_around_hand_over(NULL, &semaphore, cancel_first == 1));
    }
    return 0;
}

/* How many of them are through. */
static int count_done(const struct one *ones, int count)
{
    int done = 0;
    for (int i = 0; i < count; i++) {
        done += ones[i].done;
    }
    return done;
}

C_TEST(c099_condition,
       "Given a condition, then waiting and notifying need its lock; after a cancelled wait the lock is held again; a "
       "notification that a cancelled waiter would have got goes to the next.",
       "trio test_sync.py test_Condition; anyio test_notification_handover_on_cancel")
{
    enum { TASKS = 6 };
    sl_mutex mutex;
    sl_condition condition;
    struct one ones[TASKS];
    sl_mutex_init(&mutex);
    sl_condition_init(&condition, &mutex);
    CHECK_EQ(sl_condition_wait(&condition), SL_ENOTOWNER);
    CHECK_EQ(sl_condition_notify(&condition, 1), SL_ENOTOWNER);
    CHECK_EQ(sl_condition_notify_all(&condition), SL_ENOTOWNER);
    SL_SCOPE(scope);
    for (int i = 0; i < TASKS; i++) {
        ones[i] = (struct one){.mutex = &mutex, .condition = &condition};
        SL_TRY(sl_spawn(&scope, wait_on_condition, &ones[i], .ret_task = &ones[i].task));
        SETTLE();
    }
    CHECK_EQ(sl_mutex_lock(&mutex), 0);
    CHECK_EQ(sl_condition_notify(&condition, 1), 0);
    SETTLE();
    CHECK_EQ(count_done(ones, TASKS), 0); /* the notifier holds the lock */
    CHECK_EQ(sl_mutex_unlock(&mutex), 0);
    SETTLE();
    CHECK(ones[0].done && ones[0].code == 0 && count_done(ones, TASKS) == 1);
    /* Cancelled first: the next one gets the notification. */
    CHECK_EQ(sl_mutex_lock(&mutex), 0);
    CHECK_EQ(sl_task_cancel(ones[1].task, NULL), 0);
    CHECK_EQ(sl_condition_notify(&condition, 1), 0);
    SETTLE();
    CHECK(!ones[1].done); /* it waits for the lock, though it is cancelled */
    CHECK_EQ(sl_mutex_unlock(&mutex), 0);
    SETTLE();
    CHECK(ones[1].done && ones[1].code == SL_ECANCELED);
    CHECK(ones[2].done && ones[2].code == 0 && count_done(ones, TASKS) == 3);
    /* Notified first: it keeps the notification. */
    CHECK_EQ(sl_mutex_lock(&mutex), 0);
    CHECK_EQ(sl_condition_notify(&condition, 1), 0);
    CHECK_EQ(sl_task_cancel(ones[3].task, NULL), 0);
    CHECK_EQ(sl_mutex_unlock(&mutex), 0);
    SETTLE();
    CHECK(ones[3].done && ones[3].code == 0 && count_done(ones, TASKS) == 4);
    CHECK_EQ(sl_mutex_lock(&mutex), 0);
    CHECK_EQ(sl_condition_notify_all(&condition), 0);
    CHECK_EQ(sl_mutex_unlock(&mutex), 0);
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(count_done(ones, TASKS), TASKS);
    CHECK_EQ(sl_mutex_try_lock(&mutex), 0);
    /* In a cancelled scope it does not even let go of the lock. */
    sl_scope cancelled = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&cancelled, NULL), 0);
    sl_scope_cancel(&cancelled, NULL);
    CHECK_EQ(sl_condition_wait(&condition), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&cancelled, SL_ECANCELED), 0);
    return sl_mutex_unlock(&mutex);
}

C_TEST(
    c100_semaphore,
    "Given a semaphore with a maximum, when more is returned than there is, then that is misuse; nobody goes before a "
    "task that waits.",
    "trio test_sync.py test_Semaphore, test_Semaphore_bounded")
{
    sl_semaphore semaphore;
    CHECK_EQ(sl_semaphore_init(&semaphore, 2, 1), SL_EINVAL);
    CHECK_EQ(sl_semaphore_init(&semaphore, 1, 1), 0);
    CHECK_EQ(sl_semaphore_release(&semaphore), SL_EMISUSE);
    CHECK_EQ(semaphore.value, 1);
    CHECK_EQ(sl_semaphore_acquire(&semaphore), 0);
    CHECK_EQ(sl_semaphore_try_acquire(&semaphore), SL_EAGAIN);
    SL_SCOPE(scope);
    struct one ones[3];
    int order = 0;
    for (int i = 0; i < 3; i++) {
        ones[i] = (struct one){.semaphore = &semaphore, .order = &order};
        SL_TRY(sl_spawn(&scope, acquire_once, &ones[i]));
        SETTLE();
    }
    CHECK_EQ(sl_semaphore_release(&semaphore), 0);
    CHECK_EQ(sl_semaphore_try_acquire(&semaphore), SL_EAGAIN);
    CHECK_EQ(sl_semaphore_acquire(&semaphore), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(ones[i].rank, i);
    }
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(sl_semaphore_release(&semaphore), 0);
    CHECK_EQ(sl_semaphore_release(&semaphore), SL_EMISUSE);

    CHECK_EQ(sl_semaphore_init(&semaphore, 0, 0), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(sl_semaphore_release(&semaphore), 0);
    }
    CHECK_EQ(semaphore.value, 10);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c095_event), cmocka_unit_test(c096_lock_is_fifo_and_knows_its_owner),
             cmocka_unit_test(c097_a_task_that_ends_holding_a_lock_breaks_it),
             cmocka_unit_test(c098_hand_over_to_a_cancelled_waiter_is_not_lost), cmocka_unit_test(c099_condition),
             cmocka_unit_test(c100_semaphore))
