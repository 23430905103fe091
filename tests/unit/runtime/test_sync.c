/* SPDX-License-Identifier: MIT */
/* Sync primitives: what the numbered behaviours do not say. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

struct guarded {
    sl_mutex mutex;
    sl_condition conditions[2];
    sl_event leave;
    int served;
};

static void guarded_init(struct guarded *guarded)
{
    sl_mutex_init(&guarded->mutex);
    sl_event_init(&guarded->leave);
    for (int i = 0; i < 2; i++) {
        sl_condition_init(&guarded->conditions[i], &guarded->mutex);
    }
    guarded->served = 0;
}

struct waiting {
    struct guarded *guarded;
    int condition;
    int code, told;
    bool done;
    sl_task_ref task;
};

static int wait_on_condition(void *arg)
{
    struct waiting *waiting = arg;
    SL_TRY(sl_mutex_lock(&waiting->guarded->mutex));
    waiting->code = sl_condition_wait(&waiting->guarded->conditions[waiting->condition]);
    waiting->told = sl_error_last_code();
    waiting->done = true;
    waiting->guarded->served++;
    return waiting->code == SL_EBROKEN ? 0 : sl_mutex_unlock(&waiting->guarded->mutex);
}

static int lock_and_end(void *arg)
{
    struct guarded *guarded = arg;
    SL_TRY(sl_mutex_lock(&guarded->mutex));
    return sl_event_wait(&guarded->leave);
}

TASK_TEST(breaking_a_mutex_wakes_who_waits_on_its_conditions)
{
    struct guarded guarded;
    struct waiting waiting[4];
    guarded_init(&guarded);
    SL_SCOPE(scope);
    for (int i = 0; i < 4; i++) {
        waiting[i] = (struct waiting){.guarded = &guarded, .condition = i % 2};
        SL_TRY(sl_spawn(&scope, wait_on_condition, &waiting[i], .ret_task = &waiting[i].task));
    }
    SETTLE();
    SL_TRY(sl_spawn(&scope, lock_and_end, &guarded, .name = "holder"));
    SETTLE();
    CHECK_EQ(sl_task_cancel(waiting[0].task, NULL), 0); /* waits for the mutex now */
    SETTLE();
    CHECK(!waiting[0].done);
    sl_event_set(&guarded.leave);
    SL_TRY(sl_scope_wait(&scope));
    for (int i = 0; i < 4; i++) {
        CHECK(waiting[i].done);
        CHECK_EQ(waiting[i].code, SL_EBROKEN);
        CHECK_EQ(waiting[i].told, SL_EBROKEN);
    }
    CHECK_STRING(guarded.mutex.broken_by, "holder");
    CHECK(guarded.mutex.conditions == NULL);
    return 0;
}

TASK_TEST(a_mutex_forgets_conditions_on_which_nobody_waits)
{
    struct guarded guarded;
    struct waiting waiting[2];
    guarded_init(&guarded);
    SL_SCOPE(scope);
    for (int i = 0; i < 2; i++) {
        waiting[i] = (struct waiting){.guarded = &guarded, .condition = i};
        SL_TRY(sl_spawn(&scope, wait_on_condition, &waiting[i], .ret_task = &waiting[i].task));
        SETTLE();
        CHECK(guarded.mutex.conditions == &guarded.conditions[i]);
    }
    CHECK_EQ(sl_task_cancel(waiting[0].task, NULL), 0);
    SETTLE();
    CHECK(waiting[0].done && waiting[0].code == SL_ECANCELED);
    CHECK(guarded.mutex.conditions == &guarded.conditions[1] && guarded.conditions[1].next == NULL);
    CHECK_EQ(sl_mutex_lock(&guarded.mutex), 0);
    CHECK_EQ(sl_condition_notify(&guarded.conditions[1], 5), 0);
    CHECK_EQ(sl_mutex_unlock(&guarded.mutex), 0);
    SL_TRY(sl_scope_wait(&scope));
    CHECK(guarded.mutex.conditions == NULL);
    return 0;
}

/* A queue of one item between two tasks, the classic use. */
struct slot {
    sl_mutex mutex;
    sl_condition changed;
    int item; /* 0: empty */
    int sum;
};

enum { ITEMS = 100 };

static int put_items(void *arg)
{
    struct slot *slot = arg;
    for (int i = 1; i <= ITEMS; i++) {
        SL_TRY(sl_mutex_lock(&slot->mutex));
        while (slot->item != 0) {
            SL_TRY(sl_condition_wait(&slot->changed));
        }
        slot->item = i;
        SL_TRY(sl_condition_notify_all(&slot->changed));
        SL_TRY(sl_mutex_unlock(&slot->mutex));
    }
    return 0;
}

static int get_items(void *arg)
{
    struct slot *slot = arg;
    for (int i = 1; i <= ITEMS; i++) {
        SL_TRY(sl_mutex_lock(&slot->mutex));
        while (slot->item == 0) {
            SL_TRY(sl_condition_wait(&slot->changed));
        }
        slot->sum += slot->item;
        slot->item = 0;
        SL_TRY(sl_condition_notify_all(&slot->changed));
        SL_TRY(sl_mutex_unlock(&slot->mutex));
    }
    return 0;
}

TASK_TEST(producers_and_consumers_on_a_condition)
{
    struct slot slot = {.item = 0};
    sl_mutex_init(&slot.mutex);
    sl_condition_init(&slot.changed, &slot.mutex);
    SL_SCOPE(scope);
    for (int i = 0; i < 3; i++) {
        SL_TRY(sl_spawn(&scope, put_items, &slot));
        SL_TRY(sl_spawn(&scope, get_items, &slot));
    }
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(slot.sum, 3 * ITEMS * (ITEMS + 1) / 2);
    return 0;
}

struct contended {
    sl_mutex mutex;
    sl_condition condition;
    bool taken;
};

static int take_and_tell(void *arg)
{
    struct contended *contended = arg;
    SL_TRY(sl_mutex_lock(&contended->mutex));
    contended->taken = true;
    return sl_mutex_unlock(&contended->mutex);
}

TASK_TEST(a_cancelled_wait_on_a_condition_keeps_the_mutex)
{
    struct contended contended = {.taken = false};
    sl_mutex_init(&contended.mutex);
    sl_condition_init(&contended.condition, &contended.mutex);
    SL_SCOPE(others);
    SL_TRY(sl_mutex_lock(&contended.mutex));
    SL_TRY(sl_spawn(&others, take_and_tell, &contended));
    CHECK_EQ(sl_quiescent_wait(0), 0);
    SL_SCOPE(scope);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_condition_wait(&contended.condition), SL_ECANCELED);
    CHECK(!contended.taken);
    CHECK_EQ(sl_mutex_unlock(&contended.mutex), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(sl_scope_wait(&others), 0);
    CHECK(contended.taken);
    return 0;
}

TASK_TEST(a_limiter_that_shrank_lends_nothing)
{
    int borrowers[4];
    sl_token tokens[4];
    sl_capacity_limiter limiter;
    sl_capacity_limiter_init(&limiter, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, &borrowers[i], &tokens[i]), 0);
    }
    sl_capacity_limiter_resize(&limiter, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, &borrowers[3], &tokens[3]), SL_EAGAIN);
        CHECK_EQ(sl_capacity_limiter_release(&limiter, &borrowers[i]), 0);
    }
    CHECK_EQ(sl_capacity_limiter_try_acquire(&limiter, &borrowers[3], &tokens[3]), 0);
    return sl_capacity_limiter_release(&limiter, &borrowers[3]);
}

static int hold_three(void *arg)
{
    sl_mutex *mutexes = arg;
    for (int i = 0; i < 3; i++) {
        SL_TRY(sl_mutex_lock(&mutexes[i]));
    }
    return sl_mutex_unlock(&mutexes[1]); /* and ends with the others */
}

TASK_TEST(all_mutexes_of_a_task_break)
{
    sl_mutex mutexes[3];
    for (int i = 0; i < 3; i++) {
        sl_mutex_init(&mutexes[i]);
    }
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, hold_three, mutexes));
    SL_TRY(sl_scope_wait(&scope));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_mutex_try_lock(&mutexes[i]), i == 1 ? 0 : SL_EBROKEN);
    }
    CHECK_STRING(mutexes[0].broken_by, "hold_three");
    CHECK_EQ(sl_mutex_try_lock(&mutexes[1]), SL_EALREADY);
    return sl_mutex_unlock(&mutexes[1]);
}

/* ---- the limiter's tree, against an array ---- */

enum { BORROWERS = 300, STEPS = 3000 };

TASK_TEST(the_limiter_finds_every_borrower)
{
    static sl_token tokens[BORROWERS];
    static bool has[BORROWERS];
    static char keys[BORROWERS * 16]; /* addresses at a regular distance, as those of tasks are */
    memset(has, 0, sizeof has);
    sl_capacity_limiter limiter;
    sl_capacity_limiter_init(&limiter, BORROWERS);
    uint64_t borrowed = 0;
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)(sl_conformance_random() % BORROWERS);
        if (sl_conformance_random() % 2 == 0) {
            int code = sl_capacity_limiter_try_acquire(&limiter, &keys[i * 16], &tokens[i]);
            CHECK_EQ(code, has[i] ? SL_EALREADY : 0);
            borrowed += !has[i];
            has[i] = true;
        } else {
            int code = sl_capacity_limiter_release(&limiter, &keys[i * 16]);
            CHECK_EQ(code, has[i] ? 0 : SL_ENOTOWNER);
            borrowed -= has[i];
            has[i] = false;
        }
        CHECK_EQ(limiter.borrowed, borrowed);
    }
    for (size_t i = 0; i < BORROWERS; i++) {
        CHECK_EQ(sl_capacity_limiter_release(&limiter, &keys[i * 16]), has[i] ? 0 : SL_ENOTOWNER);
    }
    CHECK(limiter.tokens == NULL);
    return 0;
}

/* ---- fairness: locking without ever waiting ---- */

struct busy {
    sl_mutex mutex;
    sl_semaphore semaphore;
    sl_capacity_limiter limiter;
    bool stop;
    int rounds;
};

static int lock_in_a_loop(void *arg)
{
    struct busy *busy = arg;
    sl_token token;
    while (!busy->stop) {
        CHECK(++busy->rounds < 1000000);
        SL_TRY(sl_mutex_lock(&busy->mutex));
        SL_TRY(sl_mutex_unlock(&busy->mutex));
        SL_TRY(sl_semaphore_acquire(&busy->semaphore));
        SL_TRY(sl_semaphore_release(&busy->semaphore));
        SL_TRY(sl_capacity_limiter_acquire(&busy->limiter, NULL, &token));
        SL_TRY(sl_capacity_limiter_release(&busy->limiter, NULL));
    }
    return 0;
}

TASK_TEST(a_task_that_never_waits_starves_nobody)
{
    struct busy busy = {.stop = false};
    sl_mutex_init(&busy.mutex);
    SL_TRY(sl_semaphore_init(&busy.semaphore, 1, 1));
    sl_capacity_limiter_init(&busy.limiter, 1);
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, lock_in_a_loop, &busy));
    for (int i = 0; busy.rounds == 0; i++) {
        CHECK(i < 1000);
        SL_TRY(sl_checkpoint());
    }
    for (int i = 0; i < 20; i++) { /* again and again */
        SL_TRY(sl_checkpoint());
    }
    /* It lets others run only while it holds nothing. */
    CHECK(sl_mutex_try_lock(&busy.mutex) == 0 && sl_mutex_unlock(&busy.mutex) == 0);
    CHECK(busy.semaphore.value == 1 && busy.limiter.borrowed == 0);
    busy.stop = true;
    return sl_scope_wait(&scope);
}

static void outside_a_task(void **state)
{
    (void)state;
    sl_event event = SL_EVENT_INIT;
    sl_mutex mutex;
    sl_condition condition;
    sl_semaphore semaphore;
    sl_capacity_limiter limiter;
    sl_token token;
    sl_mutex_init(&mutex);
    sl_condition_init(&condition, &mutex);
    sl_capacity_limiter_init(&limiter, 2);
    assert_int_equal(sl_semaphore_init(&semaphore, 1, 0), 0);
    assert_int_equal(sl_event_wait(&event), SL_ENOTASK);
    assert_int_equal(sl_mutex_lock(&mutex), SL_ENOTASK);
    assert_int_equal(sl_mutex_try_lock(&mutex), SL_ENOTASK);
    assert_int_equal(sl_mutex_unlock(&mutex), SL_ENOTOWNER);
    assert_int_equal(sl_condition_wait(&condition), SL_ENOTASK);
    assert_int_equal(sl_condition_notify(&condition, 1), SL_ENOTOWNER);
    assert_int_equal(sl_semaphore_acquire(&semaphore), SL_ENOTASK);
    assert_int_equal(sl_semaphore_try_acquire(&semaphore), 0);
    assert_int_equal(sl_semaphore_try_acquire(&semaphore), SL_EAGAIN);
    assert_int_equal(sl_semaphore_release(&semaphore), 0);
    assert_int_equal(sl_capacity_limiter_acquire(&limiter, &event, &token), SL_ENOTASK);
    assert_int_equal(sl_capacity_limiter_try_acquire(&limiter, NULL, &token), SL_ENOTASK);
    assert_int_equal(sl_capacity_limiter_release(&limiter, NULL), SL_ENOTASK);
    assert_int_equal(sl_capacity_limiter_try_acquire(&limiter, &event, &token), 0);
    assert_int_equal(sl_capacity_limiter_release(&limiter, &event), 0);
    semaphore.value = UINT64_MAX;
    assert_int_equal(sl_semaphore_release(&semaphore), SL_EMISUSE);
}

SL_TEST_MAIN(cmocka_unit_test(a_cancelled_wait_on_a_condition_keeps_the_mutex),
             cmocka_unit_test(a_limiter_that_shrank_lends_nothing),
             cmocka_unit_test(breaking_a_mutex_wakes_who_waits_on_its_conditions),
             cmocka_unit_test(a_mutex_forgets_conditions_on_which_nobody_waits),
             cmocka_unit_test(producers_and_consumers_on_a_condition), cmocka_unit_test(all_mutexes_of_a_task_break),
             cmocka_unit_test(the_limiter_finds_every_borrower),
             cmocka_unit_test(a_task_that_never_waits_starves_nobody), cmocka_unit_test(outside_a_task))
