/* SPDX-License-Identifier: MIT */
/* Circuit breaker, concurrency limits and bulkhead: the numbered behaviours of coordination 2.6 and 3.4. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/breaker.h"
#include "sluice/bulkhead.h"

#define T0 SL_SECONDS(1000)
#define MS SL_MILLISECONDS(1)

static sl_breaker make(struct sl_breaker_policy policy)
{
    sl_breaker breaker;
    assert_int_equal(sl_breaker_init(&breaker, &policy), 0);
    return breaker;
}

static void call(sl_breaker *breaker, sl_time began, sl_time took, enum sl_breaker_outcome outcome)
{
    sl_breaker_pass pass;
    assert_int_equal(sl_breaker_admit(breaker, began, &pass, NULL), 0);
    sl_breaker_done(breaker, &pass, outcome, began + took);
}

static void calls(sl_breaker *breaker, int count, sl_time now, enum sl_breaker_outcome outcome)
{
    for (int i = 0; i < count; i++) {
        call(breaker, now, MS, outcome);
    }
}

static void retry_b22_closed_below_min_calls(void **state)
{
    (void)state;
    const uint32_t window_calls[] = {0, 100};
    for (int i = 0; i < 2; i++) {
        sl_breaker breaker = make((struct sl_breaker_policy){.window_calls = window_calls[i]});
        calls(&breaker, 19, T0, SL_CALL_FAILED);
        assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_CLOSED);
        calls(&breaker, 1, T0, SL_CALL_FAILED);
        assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_OPEN);
    }
}

static void retry_b23_opens_at_the_ratio(void **state)
{
    (void)state;
    sl_breaker breaker = make((struct sl_breaker_policy){.failure_ratio = 0.5});
    calls(&breaker, 11, T0, SL_CALL_SUCCEEDED);
    calls(&breaker, 10, T0, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, T0), SL_BREAKER_CLOSED);
    calls(&breaker, 1, T0, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_OPEN);
    sl_breaker_pass pass;
    sl_time probe_at = 0;
    assert_int_equal(sl_breaker_admit(&breaker, T0 + SL_SECONDS(2), &pass, &probe_at), SL_EBREAKER);
    assert_int_equal(probe_at, T0 + MS + SL_SECONDS(5));
    /* The last so many calls: what is pushed out does not count any more. */
    breaker = make((struct sl_breaker_policy){.window_calls = 10, .min_calls = 10, .failure_ratio = 0.6});
    calls(&breaker, 5, T0, SL_CALL_FAILED);
    calls(&breaker, 5, T0, SL_CALL_SUCCEEDED);
    calls(&breaker, 5, T0, SL_CALL_FAILED); /* in place of the first five */
    assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_CLOSED);
    calls(&breaker, 1, T0, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_OPEN);
    /* So many in a row. */
    breaker = make((struct sl_breaker_policy){.window_calls = 5, .failure_ratio = 1});
    for (int i = 0; i < 100; i++) {
        calls(&breaker, 1, T0, i % 5 == 4 ? SL_CALL_SUCCEEDED : SL_CALL_FAILED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_CLOSED);
    calls(&breaker, 5, T0, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, T0 + MS), SL_BREAKER_OPEN);
}

static sl_breaker opened(sl_time now)
{
    sl_breaker breaker = make((struct sl_breaker_policy){.open_for = SL_SECONDS(5), .open_max = SL_SECONDS(17)});
    calls(&breaker, 20, now - MS, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_OPEN);
    return breaker;
}

static void retry_b24_probes(void **state)
{
    (void)state;
    sl_breaker breaker = opened(T0);
    sl_breaker_pass passes[4];
    sl_time now = T0 + SL_SECONDS(5);
    assert_int_equal(sl_breaker_admit(&breaker, now - 1, &passes[0], NULL), SL_EBREAKER);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sl_breaker_admit(&breaker, now, &passes[i], NULL), 0);
    }
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_HALF_OPEN);
    sl_time probe_at = 0;
    assert_int_equal(sl_breaker_admit(&breaker, now, &passes[3], &probe_at), SL_EBREAKER);
    assert_int_equal(probe_at, now);
}

static void retry_b25_half_open_decides(void **state)
{
    (void)state;
    sl_breaker breaker = opened(T0);
    sl_time now = T0, waits[] = {5, 10, 17, 17};
    for (int i = 0; i < 4; i++) {
        sl_breaker_pass pass;
        assert_int_equal(sl_breaker_admit(&breaker, now + SL_SECONDS(waits[i]) - 1, &pass, NULL), SL_EBREAKER);
        now += SL_SECONDS(waits[i]);
        call(&breaker, now, 0, SL_CALL_FAILED);
        assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_OPEN);
    }
    now += SL_SECONDS(17);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_HALF_OPEN);
        call(&breaker, now, MS, SL_CALL_SUCCEEDED);
    }
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_CLOSED);
    calls(&breaker, 19, now, SL_CALL_FAILED); /* the window was cleared */
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_CLOSED);
    calls(&breaker, 1, now, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, now + MS + SL_SECONDS(5)),
                     SL_BREAKER_HALF_OPEN); /* not doubled any more */
}

static void retry_b25_closing_clears_the_last_calls_too(void **state)
{
    (void)state;
    sl_breaker breaker = make((struct sl_breaker_policy){.window_calls = 10, .min_calls = 10});
    for (sl_time now = T0; now < T0 + SL_SECONDS(100); now += SL_SECONDS(10)) {
        calls(&breaker, 9, now, SL_CALL_FAILED);
        assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_CLOSED);
        calls(&breaker, 1, now, SL_CALL_FAILED);
        assert_int_equal(sl_breaker_look(&breaker, now + MS), SL_BREAKER_OPEN);
        calls(&breaker, 3, now + SL_SECONDS(6), SL_CALL_SUCCEEDED);
        assert_int_equal(sl_breaker_look(&breaker, now + SL_SECONDS(6)), SL_BREAKER_CLOSED);
    }
}

static void retry_b26_cancelled_probe_gives_its_place_back(void **state)
{
    (void)state;
    sl_breaker breaker = opened(T0);
    for (int i = 0; i < 100; i++) {
        call(&breaker, T0 + SL_SECONDS(5), MS, SL_CALL_CANCELLED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(5)), SL_BREAKER_HALF_OPEN);
    calls(&breaker, 3, T0 + SL_SECONDS(5), SL_CALL_SUCCEEDED);
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(5)), SL_BREAKER_CLOSED);
}

static void a_breaker_that_wants_fewer_probes_is_not_stuck(void **state)
{
    (void)state;
    struct sl_breaker_policy policy = {.half_open_calls = 1};
    for (int done = 0; done < 2; done++) {
        sl_breaker breaker = opened(T0);
        sl_breaker_pass pass;
        sl_time now = T0 + SL_SECONDS(5);
        assert_int_equal(sl_breaker_admit(&breaker, now, &pass, NULL), 0);
        if (done == 1) {
            sl_breaker_done(&breaker, &pass, SL_CALL_SUCCEEDED, now);
        }
        assert_int_equal(sl_breaker_change(&breaker, &policy), 0);
        assert_int_equal(sl_breaker_look(&breaker, now), done == 1 ? SL_BREAKER_CLOSED : SL_BREAKER_HALF_OPEN);
        if (done == 0) {
            sl_breaker_done(&breaker, &pass, SL_CALL_SUCCEEDED, now);
        }
        assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_CLOSED);
        calls(&breaker, 1, now, SL_CALL_SUCCEEDED);
    }
}

static void retry_b27_slow_calls(void **state)
{
    (void)state;
    struct sl_breaker_policy policy = {.slow_call = SL_SECONDS(5), .slow_ratio = 0.8, .min_calls = 10};
    sl_breaker breaker = make(policy);
    for (int i = 0; i < 9; i++) {
        call(&breaker, T0, i < 2 ? SL_SECONDS(5) : SL_SECONDS(5) + 1, SL_CALL_SUCCEEDED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0), SL_BREAKER_CLOSED);
    call(&breaker, T0, SL_SECONDS(6), SL_CALL_SUCCEEDED);
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(6)), SL_BREAKER_OPEN);
    call(&breaker, T0 + SL_SECONDS(11), SL_SECONDS(6), SL_CALL_SUCCEEDED); /* a slow probe fails */
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(17)), SL_BREAKER_OPEN);
    policy.window_calls = 10;
    breaker = make(policy);
    for (int i = 0; i < 10; i++) {
        call(&breaker, T0, i < 2 ? 0 : SL_SECONDS(6), SL_CALL_SUCCEEDED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(6)), SL_BREAKER_OPEN);
}

static void retry_b28_window_forgets(void **state)
{
    (void)state;
    sl_breaker breaker = make((struct sl_breaker_policy){.window = SL_SECONDS(30)});
    calls(&breaker, 19, T0, SL_CALL_FAILED);
    calls(&breaker, 1, T0 + SL_SECONDS(31), SL_CALL_FAILED); /* no traffic in between */
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(31)), SL_BREAKER_CLOSED);
    breaker = make((struct sl_breaker_policy){.window = SL_SECONDS(30)});
    for (int i = 0; i < 1000; i++) { /* one every two seconds: never twenty within thirty seconds */
        calls(&breaker, 1, T0 + SL_SECONDS(2 * i), SL_CALL_FAILED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(2000)), SL_BREAKER_CLOSED);
    breaker = make((struct sl_breaker_policy){.window = SL_SECONDS(30)});
    for (int i = 0; i < 20; i++) { /* one a second are */
        calls(&breaker, 1, T0 + SL_SECONDS(i), SL_CALL_FAILED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0 + SL_SECONDS(20)), SL_BREAKER_OPEN);
}

/* Nothing in a policy object reads a clock: jumps of the wall's cannot reach it, and one that stands still or steps back harms none. */
static void retry_b29_only_the_time_passed_in(void **state)
{
    (void)state;
    sl_breaker breaker = make((struct sl_breaker_policy){0});
    for (int i = 0; i < 19; i++) {
        call(&breaker, T0 - SL_SECONDS(i), 0, SL_CALL_FAILED);
    }
    assert_int_equal(sl_breaker_look(&breaker, T0), SL_BREAKER_CLOSED);
    call(&breaker, T0 - SL_SECONDS(500), 0, SL_CALL_FAILED);
    assert_int_equal(sl_breaker_look(&breaker, T0 - SL_SECONDS(500)), SL_BREAKER_OPEN);
}

static void retry_b30_late_results(void **state)
{
    (void)state;
    sl_breaker breaker = make((struct sl_breaker_policy){0});
    sl_breaker_pass late[2];
    assert_int_equal(sl_breaker_admit(&breaker, T0, &late[0], NULL), 0);
    assert_int_equal(sl_breaker_admit(&breaker, T0, &late[1], NULL), 0);
    calls(&breaker, 20, T0, SL_CALL_FAILED);
    sl_time now = T0 + MS + SL_SECONDS(5);
    calls(&breaker, 2, now, SL_CALL_SUCCEEDED);
    sl_breaker_done(&breaker, &late[0], SL_CALL_FAILED, now);
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_HALF_OPEN);
    sl_breaker_done(&breaker, &late[1], SL_CALL_SUCCEEDED, now);
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_HALF_OPEN);
    calls(&breaker, 1, now, SL_CALL_SUCCEEDED);
    assert_int_equal(sl_breaker_look(&breaker, now), SL_BREAKER_CLOSED);
}

static void retry_b36_outliers(void **state)
{
    (void)state;
    assert_true(sl_outlier_may_eject(3, 0, 10)); /* at least one */
    assert_false(sl_outlier_may_eject(3, 1, 10));
    assert_true(sl_outlier_may_eject(10, 4, 50));
    assert_false(sl_outlier_may_eject(10, 5, 50));
    assert_false(sl_outlier_may_eject(0, 0, 50));
    assert_false(sl_outlier_may_eject(1, 1, 100));
}

static void bad_policies_are_refused(void **state)
{
    (void)state;
    const struct sl_breaker_policy bad[] = {{.failure_ratio = 1.1},
                                            {.failure_ratio = -1},
                                            {.slow_ratio = 2},
                                            {.window = -1},
                                            {.open_for = -1},
                                            {.slow_call = -1},
                                            {.window_calls = SL_BREAKER_CALLS_MAX + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_breaker breaker;
        assert_int_equal(sl_breaker_init(&breaker, &bad[i]), SL_EINVAL);
    }
    const struct sl_concurrency_policy limits[] = {{.initial = SL_CONCURRENCY_MAX + 1},
                                                   {.initial = 5, .min = 6},
                                                   {.initial = 5, .max = 4},
                                                   {.backoff = 1},
                                                   {.backoff = 0.4},
                                                   {.slow_call = -1},
                                                   {.tolerance = 0.5},
                                                   {.max = SL_CONCURRENCY_MAX + 1}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        sl_concurrency concurrency;
        assert_int_equal(sl_concurrency_init(&concurrency, &limits[i]), SL_EINVAL);
    }
    sl_bulkhead bulkhead;
    assert_int_equal(sl_bulkhead_init(&bulkhead, &(struct sl_bulkhead_options){.max_wait = -1}), SL_EINVAL);
}

/* ---- concurrency ---- */

static void rate_b39_aimd(void **state)
{
    (void)state;
    sl_concurrency limit;
    struct sl_concurrency_policy policy = {.kind = SL_CONCURRENCY_AIMD, .initial = 100, .min = 20, .max = 110};
    assert_int_equal(sl_concurrency_init(&limit, &policy), 0);
    sl_concurrency_done(&limit, MS, 100, true);
    assert_int_equal(sl_concurrency_limit(&limit), 90);
    sl_concurrency_done(&limit, MS, 44, false); /* less than half of it in use: no growth */
    assert_int_equal(sl_concurrency_limit(&limit), 90);
    sl_concurrency_done(&limit, MS, 45, false);
    assert_int_equal(sl_concurrency_limit(&limit), 91);
    sl_concurrency_done(&limit, SL_SECONDS(5) + 1, 91, false); /* slow is dropped */
    assert_int_equal(sl_concurrency_limit(&limit), 81);
    for (int i = 0; i < 100; i++) {
        sl_concurrency_done(&limit, MS, 200, true);
    }
    assert_int_equal(sl_concurrency_limit(&limit), 20);
    for (int i = 0; i < 200; i++) {
        sl_concurrency_done(&limit, MS, 200, false);
    }
    assert_int_equal(sl_concurrency_limit(&limit), 110);
}

static void gradient_follows_latency(void **state)
{
    (void)state;
    sl_concurrency limit;
    struct sl_concurrency_policy policy = {.kind = SL_CONCURRENCY_GRADIENT, .initial = 50};
    assert_int_equal(sl_concurrency_init(&limit, &policy), 0);
    for (int i = 0; i < 50; i++) {
        sl_concurrency_done(&limit, 10 * MS, sl_concurrency_limit(&limit), false);
    }
    uint32_t usual = sl_concurrency_limit(&limit);
    assert_true(usual > 50);
    for (int i = 0; i < 20; i++) {
        sl_concurrency_done(&limit, 50 * MS, sl_concurrency_limit(&limit), false); /* five times as slow */
    }
    uint32_t loaded = sl_concurrency_limit(&limit);
    assert_true(loaded < usual / 2);
    for (int i = 0; i < 20; i++) {
        sl_concurrency_done(&limit, 10 * MS, 1, false); /* idle calls do not raise it */
    }
    assert_int_equal(sl_concurrency_limit(&limit), loaded);
    for (int i = 0; i < 1000; i++) {
        sl_concurrency_done(&limit, 10 * MS, sl_concurrency_limit(&limit), false);
    }
    assert_int_equal(sl_concurrency_limit(&limit), 200);
    sl_concurrency_done(&limit, 0, 200, true);
    assert_int_equal(sl_concurrency_limit(&limit), 180);
    /* A fixed one stays. */
    assert_int_equal(sl_concurrency_init(&limit, &(struct sl_concurrency_policy){.initial = 7}), 0);
    sl_concurrency_done(&limit, SL_SECONDS(100), 7, true);
    assert_int_equal(sl_concurrency_limit(&limit), 7);
}

/* ---- for tasks ---- */

struct visitor {
    sl_bulkhead *bulkhead;
    sl_time stay;
    int result; /* of the call */
    int code;
    sl_time entered, ended;
    sl_task_ref task;
};

static int stay(void *arg)
{
    struct visitor *visitor = arg;
    visitor->entered = sl_now();
    SL_TRY(sl_sleep(visitor->stay));
    return visitor->result;
}

static int visit(void *arg)
{
    struct visitor *visitor = arg;
    visitor->code = sl_bulkhead_call(visitor->bulkhead, stay, visitor);
    visitor->ended = sl_now();
    return 0;
}

C_TEST_SIMULATED(retry_b31_bulkhead_rejects_or_queues, "", "")
{
    sl_bulkhead bulkhead;
    struct sl_bulkhead_options options = {.concurrency = {.initial = 2}};
    CHECK_EQ(sl_bulkhead_init(&bulkhead, &options), 0);
    sl_time began = sl_now();
    {
        SL_SCOPE(scope);
        struct visitor visitors[3] = {0};
        for (int i = 0; i < 3; i++) {
            visitors[i] = (struct visitor){.bulkhead = &bulkhead, .stay = SL_SECONDS(10)};
            CHECK_EQ(sl_spawn(&scope, visit, &visitors[i]), 0);
            SETTLE();
        }
        CHECK_EQ(visitors[2].code, SL_EBUSY);
        CHECK_EQ(visitors[2].ended, began);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    options.max_wait = SL_SECONDS(15);
    options.max_waiting = 5;
    CHECK_EQ(sl_bulkhead_init(&bulkhead, &options), 0);
    SL_SCOPE(scope);
    struct visitor visitors[8] = {0};
    began = sl_now();
    for (int i = 0; i < 8; i++) {
        visitors[i] = (struct visitor){.bulkhead = &bulkhead, .stay = SL_SECONDS(10)};
        CHECK_EQ(sl_spawn(&scope, visit, &visitors[i]), 0);
        SETTLE();
    }
    CHECK_EQ(visitors[7].code, SL_EBUSY); /* five wait already */
    CHECK_EQ(sl_scope_wait(&scope), 0);
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(visitors[i].code, i < 4 ? 0 : SL_EBUSY);
        CHECK_EQ(visitors[i].ended - began, i < 2 ? SL_SECONDS(10) : (i < 4 ? SL_SECONDS(20) : SL_SECONDS(15)));
    }
    CHECK_EQ(bulkhead.places.borrowed, 0);
    return 0;
}

C_TEST_SIMULATED(retry_b32_bulkhead_place_always_comes_back, "", "")
{
    sl_bulkhead bulkhead;
    struct sl_bulkhead_options options = {.concurrency = {.initial = 1}, .max_wait = SL_NEVER};
    CHECK_EQ(sl_bulkhead_init(&bulkhead, &options), 0);
    SL_SCOPE(scope, .strategy = SL_ISOLATE);
    struct visitor visitors[6] = {0};
    for (int i = 0; i < 6; i++) {
        visitors[i] =
            (struct visitor){.bulkhead = &bulkhead, .stay = SL_SECONDS(10), .result = i % 2 == 1 ? SL_ECONNRESET : 0};
        CHECK_EQ(sl_spawn(&scope, visit, &visitors[i], .ret_task = &visitors[i].task), 0);
        SETTLE();
    }
    CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
    CHECK_EQ(sl_task_cancel(visitors[0].task, "inside"), 0);
    CHECK_EQ(sl_task_cancel(visitors[2].task, "waiting"), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(visitors[0].code, SL_ECANCELED);
    CHECK_EQ(visitors[2].code, SL_ECANCELED);
    CHECK_EQ(visitors[2].entered, 0);
    CHECK_EQ(visitors[5].code, SL_ECONNRESET);
    CHECK_EQ(bulkhead.places.borrowed, 0);
    CHECK_EQ(bulkhead.waiting, 0);
    return 0;
}

C_TEST_SIMULATED(an_adaptive_bulkhead_grows_and_shrinks, "", "")
{
    sl_bulkhead bulkhead;
    struct sl_bulkhead_options options = {
        .concurrency = {.kind = SL_CONCURRENCY_AIMD, .initial = 10, .min = 2, .max = 12}, .max_wait = SL_NEVER};
    CHECK_EQ(sl_bulkhead_init(&bulkhead, &options), 0);
    for (int round = 0; round < 2; round++) {
        SL_SCOPE(scope);
        struct visitor visitors[20] = {0};
        for (int i = 0; i < 20; i++) {
            visitors[i] =
                (struct visitor){.bulkhead = &bulkhead, .stay = SL_SECONDS(1), .result = round == 1 ? SL_ETIMEDOUT : 0};
            CHECK_EQ(sl_spawn(&scope, visit, &visitors[i]), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(bulkhead.places.total, round == 0 ? 12 : 2);
    }
    sl_bulkhead_place places[2];
    CHECK_EQ(sl_bulkhead_enter(&bulkhead, &places[0]), 0);
    CHECK_EQ(sl_bulkhead_enter(&bulkhead, &places[1]), 0);
    sl_bulkhead_leave(&bulkhead, &places[0], SL_ECANCELED); /* says nothing about the server */
    CHECK_EQ(bulkhead.places.total, 2);
    CHECK_EQ(sl_bulkhead_enter(&bulkhead, &places[0]), 0);
    sl_bulkhead_leave(&bulkhead, &places[0], 0);
    CHECK_EQ(bulkhead.places.total, 3);
    sl_bulkhead_leave(&bulkhead, &places[1], SL_ECANCELED);
    return 0;
}

static int give(void *arg)
{
    return *(int *)arg;
}

C_TEST_SIMULATED(breaker_call_counts_failures_only, "", "")
{
    sl_breaker breaker;
    CHECK_EQ(sl_breaker_init(&breaker, &(struct sl_breaker_policy){.min_calls = 4}), 0);
    int harmless[] = {SL_ELIMITED, SL_EBUSY, SL_EBREAKER, SL_EINVAL, SL_ECANCELED, SL_EMISUSE};
    for (int i = 0; i < 60; i++) {
        CHECK_EQ(sl_breaker_call(&breaker, give, &harmless[i % 6], NULL), harmless[i % 6]);
    }
    int reset = SL_ECONNRESET, fine = 5;
    CHECK_EQ(sl_breaker_call(&breaker, give, &fine, NULL), 5);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_breaker_call(&breaker, give, &reset, NULL), SL_ECONNRESET);
    }
    CHECK_EQ(sl_breaker_call(&breaker, give, &fine, NULL), SL_EBREAKER);
    CHECK_STRING(sl_error_message(sl_error_last()), "the circuit breaker is open for another 5000 ms");
    CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_breaker_call(&breaker, give, &fine, NULL), 5);
    }
    CHECK_EQ(sl_breaker_look(&breaker, sl_now()), SL_BREAKER_CLOSED);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(retry_b22_closed_below_min_calls), cmocka_unit_test(retry_b23_opens_at_the_ratio),
             cmocka_unit_test(retry_b24_probes), cmocka_unit_test(retry_b25_half_open_decides),
             cmocka_unit_test(retry_b25_closing_clears_the_last_calls_too),
             cmocka_unit_test(retry_b26_cancelled_probe_gives_its_place_back),
             cmocka_unit_test(a_breaker_that_wants_fewer_probes_is_not_stuck), cmocka_unit_test(retry_b27_slow_calls),
             cmocka_unit_test(retry_b28_window_forgets), cmocka_unit_test(retry_b29_only_the_time_passed_in),
             cmocka_unit_test(retry_b30_late_results), cmocka_unit_test(retry_b36_outliers),
             cmocka_unit_test(bad_policies_are_refused), cmocka_unit_test(rate_b39_aimd),
             cmocka_unit_test(gradient_follows_latency), cmocka_unit_test(retry_b31_bulkhead_rejects_or_queues),
             cmocka_unit_test(retry_b32_bulkhead_place_always_comes_back),
             cmocka_unit_test(an_adaptive_bulkhead_grows_and_shrinks),
             cmocka_unit_test(breaker_call_counts_failures_only))
