/* SPDX-License-Identifier: MIT */
/* Tasks that wait for a limiter: the numbered behaviours of coordination 2.6 that concern who waits. */
#include <string.h>
#include <strings.h>

#include "sl_conformance.h"
#include "sluice/limiter.h"

#define CALLERS_MAX 200
#define MS SL_MILLISECONDS(1)

struct caller {
    sl_limiter *limiter;
    uint64_t cost;
    enum sl_priority priority;
    sl_time timeout;
    int code;
    int place; /* in the order in which calls ended */
    sl_time went;
    sl_task_ref task;
    int *counter;
};

static int call(void *arg)
{
    struct caller *caller = arg;
    SL_SCOPE(scope, .timeout = caller->timeout);
    caller->code = sl_limiter_acquire(caller->limiter, caller->cost, caller->priority, NULL);
    caller->went = sl_now();
    caller->place = ++*caller->counter;
    return 0;
}

/* A limiter of one bucket: `burst`, and one more each `interval`. */
static int make(uint64_t burst, sl_time interval, struct sl_limiter_options options, sl_limiter **ret_limiter)
{
    struct sl_rate rate = {.count = 1000, .period = interval * 1000, .burst = burst, .bucket = true};
    options.rates = &rate;
    options.rate_count = 1;
    return sl_limiter_create(&options, ret_limiter);
}

/* Starts a call and waits until it has taken its place. */
static int start(sl_scope *scope, struct caller *caller, sl_limiter *limiter, int *counter, uint64_t cost)
{
    *caller = (struct caller){.limiter = limiter,
                              .cost = cost,
                              .priority = caller->priority,
                              .timeout = caller->timeout,
                              .code = SL_CHECK_FAILED,
                              .counter = counter};
    SL_TRY(sl_spawn(scope, call, caller, .ret_task = &caller->task));
    return sl_quiescent_wait(0);
}

C_TEST_SIMULATED(limiter_refund_wakes_the_next, "given a permit given back, then who waits goes at once", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    sl_permit permit, other;
    int counter = 0;
    struct caller waiter = {.priority = SL_PRIORITY_NORMAL};
    CHECK_EQ(make(1, SL_SECONDS(10), (struct sl_limiter_options){0}, &limiter), 0);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, &permit), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&scope, &waiter, limiter, &counter, 1), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    sl_time now = sl_now();
    CHECK(sl_limiter_refund(limiter, &permit));
    CHECK(!sl_limiter_refund(limiter, &permit));
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(waiter.went, now);
    CHECK_EQ(sl_sleep(SL_SECONDS(20)), 0);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, &permit), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(20)), 0);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, &other), 0);
    CHECK(!sl_limiter_refund(limiter, &permit)); /* not the newest any more */
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.admitted, 3);
    CHECK_EQ(info.admitted_cost, 3);
    return 0;
}

C_TEST_SIMULATED(rate_b14_cancelled_waiter_uses_nothing, "", "")
{
    for (int victim = 0; victim < 5; victim++) {
        sl_auto(sl_limiter) *limiter = NULL;
        CHECK_EQ(make(1, SL_SECONDS(1), (struct sl_limiter_options){0}, &limiter), 0);
        CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
        SL_SCOPE(scope);
        struct caller callers[5] = {0};
        int counter = 0;
        sl_time began = sl_now();
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(start(&scope, &callers[i], limiter, &counter, 1), 0);
        }
        CHECK_EQ(sl_sleep(500 * MS), 0);
        CHECK_EQ(sl_task_cancel(callers[victim].task, "test"), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(callers[i].code, i == victim ? SL_ECANCELED : 0);
            int turn = i - (i > victim);
            CHECK_EQ(callers[i].went - began, i == victim ? 500 * MS : SL_SECONDS(turn + 1));
        }
        struct sl_limiter_info info;
        sl_limiter_info(limiter, &info);
        CHECK_EQ(info.admitted, 5);
        CHECK_EQ(info.delayed, 4);
        CHECK_EQ(info.waiting, 0);
    }
    return 0;
}

static int cancel_at(void *arg)
{
    struct caller *caller = arg;
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    (void)sl_task_cancel(caller->task, "test"); /* unless it has ended */
    return 0;
}

/* In the very step in which its turn comes. */
C_TEST_SIMULATED(rate_b14_cancelled_when_its_turn_comes, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(1, SL_SECONDS(1), (struct sl_limiter_options){0}, &limiter), 0);
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    SL_SCOPE(scope);
    struct caller callers[2] = {0};
    int counter = 0;
    sl_time began = sl_now();
    CHECK_EQ(sl_spawn(&scope, cancel_at, &callers[0]), 0); /* its timer comes first */
    SETTLE();
    CHECK_EQ(start(&scope, &callers[0], limiter, &counter, 1), 0);
    CHECK_EQ(start(&scope, &callers[1], limiter, &counter, 1), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    bool served = callers[0].code == 0; /* some orders of tasks let it run before it is cancelled */
    CHECK(!served || sl_conformance_seed() != 0);
    CHECK_EQ(callers[0].code, served ? 0 : SL_ECANCELED);
    CHECK_EQ(callers[1].went - began, SL_SECONDS(served ? 2 : 1));
    return 0;
}

/* Woken by the one before it, and cancelled before it runs. */
C_TEST_SIMULATED(rate_b14_cancelled_when_woken, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(5, SL_SECONDS(10), (struct sl_limiter_options){0}, &limiter), 0);
    sl_limiter_block(limiter, sl_now() + SL_SECONDS(1), "test");
    SL_SCOPE(scope);
    struct caller callers[3] = {0};
    int counter = 0;
    CHECK_EQ(start(&scope, &callers[0], limiter, &counter, 1), 0);
    CHECK_EQ(sl_spawn(&scope, cancel_at, &callers[1]), 0);
    SETTLE();
    CHECK_EQ(start(&scope, &callers[1], limiter, &counter, 1), 0);
    CHECK_EQ(start(&scope, &callers[2], limiter, &counter, 1), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    bool served = callers[1].code == 0; /* some orders of tasks let it run before it is cancelled */
    CHECK(!served || sl_conformance_seed() != 0);
    CHECK_EQ(callers[2].code, 0);
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.admitted, served ? 3 : 2);
    return 0;
}

C_TEST_SIMULATED(rate_b15_first_come_first_served_and_large_heads, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(10, SL_SECONDS(1), (struct sl_limiter_options){0}, &limiter), 0);
    CHECK_EQ(sl_limiter_acquire(limiter, 10, SL_PRIORITY_NORMAL, NULL), 0);
    SL_SCOPE(scope);
    struct caller callers[20] = {0};
    int counter = 0;
    sl_time began = sl_now();
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(start(&scope, &callers[i], limiter, &counter, i == 0 ? 10 : 1), 0);
    }
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, NULL), SL_EAGAIN); /* not before those who wait */
    CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, NULL), SL_EAGAIN);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(callers[i].place, i + 1);
        CHECK_EQ(callers[i].went - began, SL_SECONDS(10 + i));
    }
    return 0;
}

C_TEST(rate_b16_try_does_not_sleep, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(1, SL_SECONDS(1000), (struct sl_limiter_options){.max_wait = 1}, &limiter), 0);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, NULL), 0);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, NULL), SL_EAGAIN);
    CHECK_EQ(sl_limiter_try_acquire(limiter, 2, NULL), SL_EINVAL);
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED);
    return 0;
}

C_TEST_SIMULATED(rate_b21_unknown_outcome_stays_charged, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(1, SL_SECONDS(10), (struct sl_limiter_options){0}, &limiter), 0);
    sl_time began = sl_now();
    {
        SL_SCOPE(scope, .timeout = SL_SECONDS(2), .move_on = true);
        CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED); /* the response never comes */
        CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    }
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    CHECK_EQ(sl_now() - began, SL_SECONDS(10));
    return 0;
}

/* Ten wait at one a second; after 2.5 s the pace becomes one each `interval`. */
static int change_pace(sl_time interval, sl_time *ret_third, sl_time *ret_last)
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(1, SL_SECONDS(1), (struct sl_limiter_options){0}, &limiter), 0);
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    SL_SCOPE(scope);
    struct caller callers[10] = {0};
    int counter = 0;
    sl_time began = sl_now();
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(start(&scope, &callers[i], limiter, &counter, 1), 0);
    }
    CHECK_EQ(sl_sleep(2500 * MS), 0);
    CHECK_EQ(counter, 2);
    struct sl_rate rate = {.count = 1000, .period = interval * 1000, .burst = 1, .bucket = true};
    CHECK_EQ(sl_limiter_change(limiter, &rate, 1, SL_CARRY_PROPORTIONAL, 1), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    *ret_third = callers[2].went - began;
    *ret_last = callers[9].went - began;
    for (int i = 3; i < 10; i++) {
        CHECK_EQ(callers[i].went - callers[i - 1].went, interval);
    }
    return 0;
}

C_TEST_SIMULATED(rate_b25_lowered_while_waiting, "", "")
{
    sl_time third, last;
    CHECK_EQ(change_pace(SL_SECONDS(1000), &third, &last), 0);
    CHECK_EQ(third, 2500 * MS + SL_SECONDS(500)); /* half of its wait was left */
    return 0;
}

C_TEST_SIMULATED(rate_b26_raised_while_waiting, "", "")
{
    sl_time third, last;
    CHECK_EQ(change_pace(100 * MS, &third, &last), 0);
    CHECK(third <= 2600 * MS);
    CHECK_EQ(last, third + 700 * MS);
    return 0;
}

struct header {
    const char *name, *value;
};

static const char *find(const void *message, const char *name)
{
    const struct header *header = message;
    return strcasecmp(header->name, name) == 0 ? header->value : NULL;
}

C_TEST_SIMULATED(rate_b30_a_ban_stops_every_caller, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(5, SL_SECONDS(1), (struct sl_limiter_options){.name = "venue"}, &limiter), 0);
    SL_SCOPE(scope);
    struct caller callers[40] = {0};
    int counter = 0;
    sl_permit permit;
    sl_time began = sl_now();
    CHECK_EQ(sl_limiter_acquire(limiter, 5, SL_PRIORITY_NORMAL, &permit), 0);
    for (int i = 0; i < 40; i++) {
        callers[i].timeout = i % 2 == 0 ? SL_SECONDS(120) : 0; /* half of them cannot wait so long */
        CHECK_EQ(start(&scope, &callers[i], limiter, &counter, 1), 0);
    }
    CHECK_EQ(sl_sleep(10 * MS), 0);
    const struct header header = {"Retry-After", "300"};
    sl_limiter_report(limiter, &permit, &(struct sl_response_facts){.status = 418, .header = find, .message = &header});
    SETTLE();
    CHECK_EQ(counter, 20); /* at once */
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_HIGH, NULL), 0);
    CHECK_EQ(sl_now() - began, 10 * MS + SL_SECONDS(300)); /* the first of the others by its head start */
    struct sl_limiter_info info;
    CHECK_EQ(sl_scope_wait(&scope), 0);
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.blocked_until, 0);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(callers[i].code, i % 2 == 0 ? SL_ELIMITED : 0);
        CHECK(i % 2 == 0 || callers[i].went - began >= 10 * MS + SL_SECONDS(300));
    }
    return 0;
}

C_TEST_SIMULATED(a_block_says_until_when_and_why, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(5, SL_SECONDS(1), (struct sl_limiter_options){.name = "kraken"}, &limiter), 0);
    sl_limiter_block(limiter, sl_now() + SL_SECONDS(90), "EGeneral:Too many requests");
    sl_limiter_block(limiter, sl_now() + SL_SECONDS(30), "shorter");
    SL_SCOPE(scope, .timeout = SL_SECONDS(60));
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED);
    CHECK_STRING(sl_error_message(sl_error_last()), "kraken: blocked for another 90000 ms: EGeneral:Too many requests");
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.blocked_until, sl_now() + SL_SECONDS(90));
    CHECK_EQ(info.refused, 1);
    struct sl_rate_state look;
    CHECK_EQ(sl_limiter_look(limiter, 0, &look), 0);
    CHECK_EQ(look.remaining, 0);
    sl_limiter_block(limiter, SL_NEVER, NULL); /* for ever, and no deadline: it is said, too */
    SL_SCOPE(patient, .shield = true, .timeout = SL_SECONDS(100000));
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED);
    CHECK(strstr(sl_error_message(sl_error_last()), "kraken: blocked for another") != NULL);
    return 0;
}

C_TEST_SIMULATED(rate_b36_shadow_mode, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(2, SL_SECONDS(10), (struct sl_limiter_options){.shadow = true}, &limiter), 0);
    sl_time began = sl_now();
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    }
    CHECK_EQ(sl_now(), began);
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.admitted, 5);
    CHECK_EQ(info.shadowed, 3);
    return 0;
}

C_TEST_SIMULATED(rate_b40_shutdown_ends_all_waiters, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(1, SL_SECONDS(10), (struct sl_limiter_options){0}, &limiter), 0);
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    SL_SCOPE(scope);
    static struct caller callers[CALLERS_MAX];
    int counter = 0;
    for (int i = 0; i < CALLERS_MAX; i++) {
        callers[i] = (struct caller){.priority = i % 3 - 1};
        CHECK_EQ(start(&scope, &callers[i], limiter, &counter, 1), 0);
    }
    sl_time now = sl_now();
    sl_scope_cancel(&scope, "shutdown");
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    CHECK_EQ(sl_now(), now);
    for (int i = 0; i < CALLERS_MAX; i++) {
        CHECK_EQ(callers[i].code, SL_ECANCELED);
    }
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.waiting, 0);
    CHECK_EQ(info.admitted, 1);
    return 0;
}

C_TEST_SIMULATED(priorities_are_head_starts, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(make(1, SL_SECONDS(10), (struct sl_limiter_options){0}, &limiter), 0);
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    SL_SCOPE(scope);
    struct caller low = {.priority = SL_PRIORITY_LOW}, normal = {0}, high[20];
    int counter = 0;
    CHECK_EQ(start(&scope, &low, limiter, &counter, 1), 0);
    CHECK_EQ(start(&scope, &normal, limiter, &counter, 1), 0);
    sl_time began = sl_now();
    for (int i = 0; i < 20; i++) { /* more than can go: without an end to head starts the others would starve */
        high[i] = (struct caller){.priority = SL_PRIORITY_HIGH};
        CHECK_EQ(start(&scope, &high[i], limiter, &counter, 1), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(high[0].place, 1);
    CHECK_EQ(high[0].went - began, SL_SECONDS(10));
    /* Of those of high priority, only the ones that came in the 30 s (60 s) after them went before. */
    CHECK_EQ(normal.place, 8);
    CHECK_EQ(low.place, 15);
    for (int i = 1; i < 20; i++) {
        CHECK(high[i].place > high[i - 1].place);
    }
    return 0;
}

C_TEST_SIMULATED(bounds_of_waiting, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_limiter_options options = {.max_wait = SL_SECONDS(3), .max_waiting = 5};
    CHECK_EQ(make(1, SL_SECONDS(2), options, &limiter), 0);
    SL_SCOPE(scope);
    struct caller callers[7] = {0};
    int counter = 0;
    sl_time began = sl_now();
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(start(&scope, &callers[i], limiter, &counter, 1), 0);
    }
    CHECK_EQ(callers[6].code, SL_EBUSY);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(callers[0].code, 0);
    CHECK_EQ(callers[1].code, 0);
    CHECK_EQ(callers[1].went - began, SL_SECONDS(2));
    for (int i = 2; i < 6; i++) {
        CHECK_EQ(callers[i].code, SL_ELIMITED);
        CHECK_EQ(callers[i].went - began, SL_SECONDS(3));
    }
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    sl_limiter_block(limiter, SL_NEVER, NULL);
    CHECK_EQ(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED);
    CHECK_EQ(sl_limiter_acquire(limiter, 0, SL_PRIORITY_NORMAL, NULL), SL_EINVAL);
    CHECK_EQ(sl_limiter_acquire(limiter, 2, SL_PRIORITY_NORMAL, NULL), SL_EINVAL);
    return 0;
}

C_TEST_SIMULATED(a_limit_announced_below_the_cost, "", "")
{
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 100, .period = SL_SECONDS(60), .burst = 20};
    CHECK_EQ(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter), 0);
    struct header header = {"RateLimit-Policy", "d;q=10;w=60"};
    struct sl_response_facts facts = {.status = 200, .header = find, .message = &header};
    sl_limiter_report(limiter, NULL,
                      &(struct sl_response_facts){.status = 200, .header = find, .message = &header, .cached = true});
    CHECK_EQ(sl_limiter_acquire(limiter, 20, SL_PRIORITY_NORMAL, NULL), 0);
    sl_limiter_report(limiter, NULL, &facts);
    CHECK_EQ(sl_limiter_acquire(limiter, 20, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED);
    header.value = "nonsense;;";
    sl_limiter_report(limiter, NULL, &facts);
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.tightened, 1);
    CHECK_EQ(info.ignored_fields, 1);
    header.value = "d;q=100;w=60";
    sl_limiter_report(limiter, NULL, &facts);
    CHECK_EQ(sl_limiter_acquire(limiter, 20, SL_PRIORITY_NORMAL, NULL), 0);
    return 0;
}

static void creating_fails_cleanly(void **state)
{
    (void)state;
    sl_limiter *limiter = NULL;
    sl_memory_fail_after(0);
    assert_int_equal(make(1, SL_SECONDS(1), (struct sl_limiter_options){0}, &limiter), SL_ENOMEM);
    sl_memory_fail_after(-1);
    int64_t held = sl_memory_held();
    struct sl_rate bad = {.count = 0};
    assert_int_equal(sl_limiter_create(&(struct sl_limiter_options){.rates = &bad, .rate_count = 1}, &limiter),
                     SL_EINVAL);
    assert_int_equal(sl_limiter_create(&(struct sl_limiter_options){.max_wait = -1}, &limiter), SL_EINVAL);
    assert_int_equal(sl_memory_held(), held);
    assert_null(limiter);
    assert_int_equal(make(1, SL_SECONDS(1), (struct sl_limiter_options){0}, &limiter), 0);
    assert_int_equal(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ENOTASK);
    sl_limiter_free(limiter);
    sl_limiter_free(NULL);
}

TASK_TEST(rate_fixed_limits_heed_no_server)
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(1), .burst = 5};
    const struct header header = {"Retry-After", "300"};
    sl_auto(sl_limiter) *limiter = NULL;
    CHECK_EQ(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1, .fixed = true}, &limiter),
             0);
    CHECK(sl_limiter_report(
        limiter, NULL, &(struct sl_response_facts){.status = 429, .header = find, .message = &header})); /* it is one */
    CHECK_EQ(sl_limiter_try_acquire(limiter, 1, NULL), 0); /* but nobody waits for it */
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(rate_fixed_limits_heed_no_server), cmocka_unit_test(limiter_refund_wakes_the_next),
             cmocka_unit_test(rate_b14_cancelled_waiter_uses_nothing),
             cmocka_unit_test(rate_b14_cancelled_when_its_turn_comes), cmocka_unit_test(rate_b14_cancelled_when_woken),
             cmocka_unit_test(rate_b15_first_come_first_served_and_large_heads),
             cmocka_unit_test(rate_b16_try_does_not_sleep), cmocka_unit_test(rate_b21_unknown_outcome_stays_charged),
             cmocka_unit_test(rate_b25_lowered_while_waiting), cmocka_unit_test(rate_b26_raised_while_waiting),
             cmocka_unit_test(rate_b30_a_ban_stops_every_caller), cmocka_unit_test(a_block_says_until_when_and_why),
             cmocka_unit_test(rate_b36_shadow_mode), cmocka_unit_test(rate_b40_shutdown_ends_all_waiters),
             cmocka_unit_test(priorities_are_head_starts), cmocka_unit_test(bounds_of_waiting),
             cmocka_unit_test(a_limit_announced_below_the_cost), cmocka_unit_test(creating_fails_cleanly))
