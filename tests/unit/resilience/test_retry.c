/* SPDX-License-Identifier: MIT */
/* Retry schedule and budget as pure functions: the numbered behaviours of coordination 3.4. */
#include <math.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/retry.h"

#define T0 SL_SECONDS(1000)
#define MS SL_MILLISECONDS(1)

static const struct sl_outcome reset = {.code = SL_ECONNRESET, .idempotent = true};
static const struct sl_outcome overloaded = {.status = 503, .idempotent = true};
static const struct sl_outcome refused = {.code = -ECONNREFUSED, .unsent = true};

static sl_retry begin(struct sl_retry_policy policy)
{
    sl_retry retry;
    assert_int_equal(sl_retry_begin(&retry, &policy, NULL, T0), 0);
    return retry;
}

static enum sl_verdict next_at(sl_retry *retry, const struct sl_outcome *outcome, sl_time now)
{
    sl_time delay;
    return sl_retry_next(retry, outcome, 0.5, now, &delay);
}

static uint64_t random_state = 1;

static double unit(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) * 0x1p-53;
}

static void retry_b01_attempts_count_the_first(void **state)
{
    (void)state;
    for (uint32_t attempts = 1; attempts <= 6; attempts++) {
        sl_retry retry = begin((struct sl_retry_policy){.attempts = attempts});
        for (uint32_t i = 1; i < attempts; i++) {
            assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN);
        }
        assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_EXHAUSTED);
    }
    sl_retry retry = begin((struct sl_retry_policy){.attempts = SL_ATTEMPTS_UNLIMITED, .total = SL_NEVER});
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN);
    }
}

static void retry_b02_full_jitter(void **state)
{
    (void)state;
    double sums[8] = {0};
    for (int round = 0; round < 4000; round++) {
        sl_retry retry = begin((struct sl_retry_policy){.attempts = 9, .total = SL_NEVER});
        for (int n = 0; n < 8; n++) {
            sl_time delay = -1, bound = (200 * MS) << n;
            bound = bound < SL_SECONDS(10) ? bound : SL_SECONDS(10);
            assert_int_equal(sl_retry_next(&retry, &reset, unit(), T0, &delay), SL_VERDICT_AGAIN);
            assert_in_range(delay, 0, bound);
            sums[n] += (double)delay / (double)bound;
        }
    }
    for (int n = 0; n < 8; n++) {
        assert_true(fabs(sums[n] / 4000 - 0.5) < 0.03);
    }
}

static void retry_b03_exponents_saturate(void **state)
{
    (void)state;
    for (int jitter = SL_JITTER_FULL; jitter <= SL_JITTER_NONE; jitter++) {
        sl_retry retry = begin((struct sl_retry_policy){.attempts = SL_ATTEMPTS_UNLIMITED,
                                                        .total = SL_NEVER,
                                                        .multiplier = 1000,
                                                        .jitter = (enum sl_jitter)jitter});
        retry.step = 999999; /* beyond any exponent */
        for (int i = 0; i < 5; i++) {
            sl_time delay = -1;
            assert_int_equal(sl_retry_next(&retry, &reset, 0, T0, &delay), SL_VERDICT_AGAIN);
            assert_in_range(delay, 200 * MS, SL_SECONDS(10));
        }
    }
}

static void retry_b04_never_above_the_cap(void **state)
{
    (void)state;
    for (int jitter = SL_JITTER_FULL; jitter <= SL_JITTER_NONE; jitter++) {
        sl_retry retry = begin((struct sl_retry_policy){.attempts = SL_ATTEMPTS_UNLIMITED,
                                                        .total = SL_NEVER,
                                                        .max = SL_SECONDS(3),
                                                        .jitter = (enum sl_jitter)jitter});
        sl_time last = 200 * MS;
        for (int i = 0; i < 2000; i++) {
            sl_time delay = -1;
            assert_int_equal(sl_retry_next(&retry, &reset, i % 3 == 0 ? 0x1.fffffffffffffp-1 : unit(), T0, &delay),
                             SL_VERDICT_AGAIN);
            sl_time bound = i < 4 ? (200 * MS) << i : SL_SECONDS(3);
            sl_time least = jitter == SL_JITTER_FULL ? 0 : (jitter == SL_JITTER_EQUAL ? bound / 2 : bound);
            if (jitter == SL_JITTER_DECORRELATED) {
                least = 200 * MS;
                bound = last * 3 < SL_SECONDS(3) ? last * 3 : SL_SECONDS(3);
            }
            assert_in_range(delay, least, bound);
            last = delay;
        }
    }
}

static void retry_b05_no_sleep_beyond_the_deadline(void **state)
{
    (void)state;
    struct sl_retry_policy policy = {.jitter = SL_JITTER_NONE, .initial = SL_SECONDS(2), .total = SL_SECONDS(10)};
    sl_retry retry = begin(policy);
    assert_int_equal(next_at(&retry, &reset, T0 + SL_SECONDS(8)), SL_VERDICT_TOO_LATE);
    retry = begin(policy);
    assert_int_equal(next_at(&retry, &reset, T0 + SL_SECONDS(8) - 1), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &reset, T0 + SL_SECONDS(10)), SL_VERDICT_TOO_LATE);
    assert_int_equal(next_at(&retry, &reset, T0 + SL_SECONDS(1000)), SL_VERDICT_TOO_LATE);
}

static void retry_b09_what_is_not_tried_again(void **state)
{
    (void)state;
    const struct sl_outcome fatal[] = {
        {.status = 400, .idempotent = true},      {.status = 404, .idempotent = true},
        {.status = 418, .idempotent = true},      {.status = 501, .idempotent = true},
        {.status = 505, .idempotent = true},      {.code = SL_ECANCELED, .idempotent = true},
        {.code = SL_EPROTO, .idempotent = true},  {.code = SL_ENOMEM, .idempotent = true},
        {.code = SL_EINVAL, .unsent = true},      {.code = SL_EBREAKER, .idempotent = true},
        {.code = SL_ELIMITED, .idempotent = true}};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        sl_retry retry = begin((struct sl_retry_policy){0});
        assert_int_equal(next_at(&retry, &fatal[i], T0), SL_VERDICT_FATAL);
    }
    const int statuses[] = {408, 425, 429, 500, 502, 503, 504, 520, 599};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        sl_retry retry = begin((struct sl_retry_policy){0});
        struct sl_outcome outcome = {.status = statuses[i], .idempotent = true};
        assert_int_equal(next_at(&retry, &outcome, T0), SL_VERDICT_AGAIN);
    }
    const int codes[] = {SL_ETIMEDOUT,  SL_ECONNRESET, SL_EPIPE,     SL_EOF,
                         -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -3001};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        sl_retry retry = begin((struct sl_retry_policy){0});
        struct sl_outcome outcome = {.code = codes[i], .idempotent = true};
        assert_int_equal(next_at(&retry, &outcome, T0), SL_VERDICT_AGAIN);
    }
    sl_retry retry = begin((struct sl_retry_policy){0});
    assert_int_equal(next_at(&retry, &(struct sl_outcome){.status = 200}, T0), SL_VERDICT_DONE);
    assert_int_equal(next_at(&retry, &(struct sl_outcome){.status = 304}, T0), SL_VERDICT_DONE);
    assert_int_equal(next_at(&retry, &(struct sl_outcome){.code = 17}, T0), SL_VERDICT_DONE);
}

static struct sl_outcome told(int status, sl_time retry_after)
{
    return (struct sl_outcome){
        .status = status, .idempotent = true, .has_retry_after = true, .retry_after = retry_after};
}

static void retry_b11_retry_after_wins_once(void **state)
{
    (void)state;
    sl_retry retry = begin((struct sl_retry_policy){.jitter = SL_JITTER_NONE, .attempts = 10});
    sl_time delay = 0;
    const struct sl_outcome wish = told(429, SL_SECONDS(7));
    const struct {
        const struct sl_outcome *outcome;
        sl_time delay;
    } steps[] = {{&overloaded, 200 * MS},
                 {&overloaded, 400 * MS},
                 {&wish, SL_SECONDS(7)},
                 {&overloaded, 200 * MS},
                 {&overloaded, 400 * MS}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(sl_retry_next(&retry, steps[i].outcome, 0.9, T0, &delay), SL_VERDICT_AGAIN);
        assert_int_equal(delay, steps[i].delay);
    }
}

static void retry_b12_retry_after_too_long(void **state)
{
    (void)state;
    const struct sl_outcome five_minutes = told(503, SL_MINUTES(5)), more = told(503, SL_MINUTES(5) + 1);
    sl_retry retry = begin((struct sl_retry_policy){.total = SL_NEVER});
    assert_int_equal(next_at(&retry, &five_minutes, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &more, T0), SL_VERDICT_TOO_LATE);
    retry = begin((struct sl_retry_policy){.total = SL_NEVER, .retry_after_max = SL_NEVER});
    assert_int_equal(next_at(&retry, &more, T0), SL_VERDICT_AGAIN);
    retry = begin((struct sl_retry_policy){0}); /* never beyond the deadline of 60 s */
    assert_int_equal(next_at(&retry, &five_minutes, T0), SL_VERDICT_TOO_LATE);
}

static void retry_b13_negative_pushback(void **state)
{
    (void)state;
    sl_retry retry = begin((struct sl_retry_policy){0});
    const struct sl_outcome never = told(503, -1);
    assert_int_equal(next_at(&retry, &never, T0), SL_VERDICT_REFUSED);
}

static void retry_b14_post_only_if_nothing_was_sent(void **state)
{
    (void)state;
    assert_false(sl_method_idempotent("POST"));
    assert_false(sl_method_idempotent("PATCH"));
    assert_false(sl_method_idempotent("get"));
    assert_true(sl_method_idempotent("GET"));
    assert_true(sl_method_idempotent("PUT"));
    assert_true(sl_method_idempotent("DELETE"));
    sl_retry retry = begin((struct sl_retry_policy){0});
    assert_int_equal(next_at(&retry, &(struct sl_outcome){.code = SL_ECONNRESET}, T0), SL_VERDICT_FATAL);
    assert_int_equal(next_at(&retry, &(struct sl_outcome){.status = 503}, T0), SL_VERDICT_FATAL);
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN); /* with an idempotency key */
}

static void retry_b15_unsent_is_free_once(void **state)
{
    (void)state;
    sl_retry retry = begin((struct sl_retry_policy){.attempts = 2});
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_AGAIN); /* not counted */
    assert_int_equal(retry.attempt, 1);
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_AGAIN); /* counted */
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_EXHAUSTED);
    retry = begin((struct sl_retry_policy){.attempts = 1});
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &refused, T0), SL_VERDICT_EXHAUSTED);
}

static void retry_b16_committed_answers(void **state)
{
    (void)state;
    sl_retry retry = begin((struct sl_retry_policy){0});
    struct sl_outcome outcome = {.code = SL_ECONNRESET, .idempotent = true, .committed = true};
    assert_int_equal(next_at(&retry, &outcome, T0), SL_VERDICT_FATAL);
}

static void retry_b17_streamed_bodies(void **state)
{
    (void)state;
    sl_retry retry = begin((struct sl_retry_policy){0});
    struct sl_outcome outcome = {.code = SL_ECONNRESET, .idempotent = true, .body_gone = true};
    assert_int_equal(next_at(&retry, &outcome, T0), SL_VERDICT_FATAL);
    outcome.unsent = true; /* no byte of it had gone */
    assert_int_equal(next_at(&retry, &outcome, T0), SL_VERDICT_AGAIN);
}

static uint32_t retries_of_failing_calls(sl_retry_budget *budget, uint32_t calls, sl_time length)
{
    uint32_t retries = 0;
    for (uint32_t i = 0; i < calls; i++) {
        sl_time now = T0 + length * i / calls;
        sl_retry retry;
        assert_int_equal(sl_retry_begin(&retry, &(struct sl_retry_policy){.attempts = 5}, budget, now), 0);
        while (next_at(&retry, &reset, now) == SL_VERDICT_AGAIN) {
            retries++;
        }
    }
    return retries;
}

static void retry_b18_a_share_of_calls(void **state)
{
    (void)state;
    sl_retry_budget budget;
    assert_int_equal(sl_retry_budget_init(&budget, &(struct sl_retry_budget_policy){0}), 0);
    uint32_t retries = retries_of_failing_calls(&budget, 1000, SL_SECONDS(10) - 1);
    assert_in_range(retries, 200, 210);
}

static void retry_b19_empty_budget_fails_at_once(void **state)
{
    (void)state;
    sl_retry_budget budget;
    struct sl_retry_budget_policy policy = {.ratio = -1, .reserve = 2};
    assert_int_equal(sl_retry_budget_init(&budget, &policy), 0);
    sl_retry retry;
    assert_int_equal(sl_retry_begin(&retry, &(struct sl_retry_policy){0}, &budget, T0), 0);
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_NO_BUDGET);
    policy.reserve = SL_NO_RESERVE;
    assert_int_equal(sl_retry_budget_init(&budget, &policy), 0);
    assert_false(sl_retry_budget_take(&budget, T0));
}

static void retry_b20_deposits_expire(void **state)
{
    (void)state;
    sl_retry_budget budget;
    struct sl_retry_budget_policy policy = {.reserve = 3};
    assert_int_equal(sl_retry_budget_init(&budget, &policy), 0);
    for (int i = 0; i < 1000; i++) {
        sl_retry_budget_call(&budget, T0);
    }
    sl_time now = T0 + SL_SECONDS(10);
    int taken = 0;
    while (sl_retry_budget_take(&budget, now)) {
        taken++;
    }
    assert_int_equal(taken, 3); /* the deposits are gone, the reserve is left */
    assert_false(sl_retry_budget_take(&budget, now + SL_SECONDS(5)));
    assert_true(sl_retry_budget_take(&budget, now + SL_SECONDS(10))); /* and comes back */
}

static void retry_b21_throttle(void **state)
{
    (void)state;
    sl_retry_budget budget;
    struct sl_retry_budget_policy policy = {.ratio = 10, .reserve = 1000, .tokens = 10, .token_gain = 0.5};
    assert_int_equal(sl_retry_budget_init(&budget, &policy), 0);
    for (int i = 0; i < 4; i++) {
        sl_retry_budget_result(&budget, true);
        assert_true(sl_retry_budget_take(&budget, T0));
    }
    sl_retry_budget_result(&budget, true); /* half of the tokens */
    assert_false(sl_retry_budget_take(&budget, T0));
    sl_retry_budget_result(&budget, false);
    assert_true(sl_retry_budget_take(&budget, T0));
    for (int i = 0; i < 100; i++) {
        sl_retry_budget_result(&budget, true);
    }
    for (int i = 0; i < 10; i++) {
        assert_false(sl_retry_budget_take(&budget, T0));
        sl_retry_budget_result(&budget, false);
    }
    sl_retry_budget_result(&budget, false);
    assert_true(sl_retry_budget_take(&budget, T0));
}

static void retry_b33_when_the_hedge_goes(void **state)
{
    (void)state;
    sl_hedge hedge;
    struct sl_hedge_policy policy = {.delay = SL_SECONDS(1), .max_attempts = 3};
    assert_int_equal(sl_hedge_begin(&hedge, &policy, NULL, true, T0), 0);
    assert_false(sl_hedge_send(&hedge, T0 + SL_SECONDS(1) - 1));
    assert_true(sl_hedge_send(&hedge, T0 + SL_SECONDS(1)));
    assert_int_equal(hedge.next, T0 + SL_SECONDS(2));
    assert_true(sl_hedge_send(&hedge, T0 + SL_SECONDS(2)));
    assert_int_equal(hedge.next, SL_NEVER);
    assert_false(sl_hedge_send(&hedge, T0 + SL_SECONDS(100)));
}

static void retry_b34_failures_and_hedges(void **state)
{
    (void)state;
    sl_hedge hedge;
    assert_int_equal(sl_hedge_begin(&hedge, &(struct sl_hedge_policy){0}, NULL, true, T0), 0);
    assert_false(sl_hedge_failed(&hedge, false, T0 + 5));
    assert_int_equal(hedge.next, T0 + 5); /* the next at once */
    assert_true(sl_hedge_send(&hedge, T0 + 5));
    assert_true(sl_hedge_failed(&hedge, false, T0 + 6)); /* that was the last */
    assert_int_equal(sl_hedge_begin(&hedge, &(struct sl_hedge_policy){0}, NULL, true, T0), 0);
    assert_true(sl_hedge_failed(&hedge, true, T0));
    assert_false(sl_hedge_send(&hedge, T0 + SL_SECONDS(10)));
}

static void retry_b35_hedges_need_budget_and_idempotence(void **state)
{
    (void)state;
    sl_hedge hedge;
    assert_int_equal(sl_hedge_begin(&hedge, &(struct sl_hedge_policy){0}, NULL, false, T0), 0);
    assert_false(sl_hedge_send(&hedge, T0 + SL_SECONDS(10)));
    sl_retry_budget budget;
    struct sl_retry_budget_policy policy = {.ratio = -1, .reserve = 1};
    assert_int_equal(sl_retry_budget_init(&budget, &policy), 0);
    assert_true(sl_retry_budget_take(&budget, T0));
    assert_int_equal(sl_hedge_begin(&hedge, &(struct sl_hedge_policy){0}, &budget, true, T0), 0);
    assert_false(sl_hedge_send(&hedge, T0 + SL_SECONDS(1)));
    assert_int_equal(sl_hedge_begin(&hedge, &(struct sl_hedge_policy){.max_attempts = 9}, NULL, true, T0), SL_EINVAL);
    assert_int_equal(sl_hedge_begin(&hedge, &(struct sl_hedge_policy){.delay = -1}, NULL, true, T0), SL_EINVAL);
}

static void retry_b38_nested_loops_do_not_multiply(void **state)
{
    (void)state;
    const struct sl_outcome inner[] = {{.code = SL_EGAVEUP, .idempotent = true},
                                       {.code = SL_EBUDGET, .idempotent = true}};
    for (int i = 0; i < 2; i++) {
        sl_retry retry = begin((struct sl_retry_policy){0});
        assert_int_equal(next_at(&retry, &inner[i], T0), SL_VERDICT_FATAL);
        retry = begin((struct sl_retry_policy){.retry_nested = true});
        assert_int_equal(next_at(&retry, &inner[i], T0), SL_VERDICT_AGAIN);
    }
}

static void retry_b39_deterministic(void **state)
{
    (void)state;
    sl_time delays[2][50];
    for (int run = 0; run < 2; run++) {
        random_state = 99;
        sl_retry retry = begin((struct sl_retry_policy){
            .attempts = SL_ATTEMPTS_UNLIMITED, .total = SL_NEVER, .jitter = SL_JITTER_DECORRELATED});
        for (int i = 0; i < 50; i++) {
            assert_int_equal(sl_retry_next(&retry, &reset, unit(), T0, &delays[run][i]), SL_VERDICT_AGAIN);
        }
    }
    assert_memory_equal(delays[0], delays[1], sizeof delays[0]);
}

static void retry_b40_a_loop_keeps_its_policy(void **state)
{
    (void)state;
    struct sl_retry_policy policy = {.attempts = 3};
    sl_retry retry;
    assert_int_equal(sl_retry_begin(&retry, &policy, NULL, T0), 0);
    policy.attempts = 1;
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_AGAIN);
    assert_int_equal(next_at(&retry, &reset, T0), SL_VERDICT_EXHAUSTED);
}

/* Accept-then-close servers: the backoff starts afresh only after an attempt that held. */
static void stable_attempts_start_afresh(void **state)
{
    (void)state;
    struct sl_retry_policy policy = {
        .attempts = 4, .total = SL_NEVER, .jitter = SL_JITTER_NONE, .stable_after = SL_SECONDS(60)};
    sl_retry retry = begin(policy);
    sl_time now = T0, delay = 0;
    for (int i = 0; i < 3; i++) {
        now += SL_SECONDS(59);
        assert_int_equal(sl_retry_next(&retry, &reset, 0, now, &delay), SL_VERDICT_AGAIN);
        assert_int_equal(delay, (200 * MS) << i);
        now += delay;
    }
    now += SL_SECONDS(60);
    assert_int_equal(sl_retry_next(&retry, &reset, 0, now, &delay), SL_VERDICT_AGAIN);
    assert_int_equal(delay, 200 * MS);
}

static void bad_policies_are_refused(void **state)
{
    (void)state;
    const struct sl_retry_policy bad[] = {{.initial = -1},
                                          {.max = SL_SECONDS(86401)},
                                          {.multiplier = 0.5},
                                          {.multiplier = 1001},
                                          {.total = -1},
                                          {.attempt_timeout = -1},
                                          {.retry_after_max = -1},
                                          {.stable_after = -1},
                                          {.jitter = (enum sl_jitter)9}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_retry retry;
        assert_int_equal(sl_retry_begin(&retry, &bad[i], NULL, T0), SL_EINVAL);
    }
    const struct sl_retry_budget_policy budgets[] = {
        {.ratio = 11}, {.window = -1}, {.tokens = -1}, {.tokens = 1001}, {.token_gain = -1}};
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        sl_retry_budget budget;
        assert_int_equal(sl_retry_budget_init(&budget, &budgets[i]), SL_EINVAL);
    }
}

SL_TEST_MAIN(cmocka_unit_test(retry_b01_attempts_count_the_first), cmocka_unit_test(retry_b02_full_jitter),
             cmocka_unit_test(retry_b03_exponents_saturate), cmocka_unit_test(retry_b04_never_above_the_cap),
             cmocka_unit_test(retry_b05_no_sleep_beyond_the_deadline),
             cmocka_unit_test(retry_b09_what_is_not_tried_again), cmocka_unit_test(retry_b11_retry_after_wins_once),
             cmocka_unit_test(retry_b12_retry_after_too_long), cmocka_unit_test(retry_b13_negative_pushback),
             cmocka_unit_test(retry_b14_post_only_if_nothing_was_sent), cmocka_unit_test(retry_b15_unsent_is_free_once),
             cmocka_unit_test(retry_b16_committed_answers), cmocka_unit_test(retry_b17_streamed_bodies),
             cmocka_unit_test(retry_b18_a_share_of_calls), cmocka_unit_test(retry_b19_empty_budget_fails_at_once),
             cmocka_unit_test(retry_b20_deposits_expire), cmocka_unit_test(retry_b21_throttle),
             cmocka_unit_test(retry_b33_when_the_hedge_goes), cmocka_unit_test(retry_b34_failures_and_hedges),
             cmocka_unit_test(retry_b35_hedges_need_budget_and_idempotence),
             cmocka_unit_test(retry_b38_nested_loops_do_not_multiply), cmocka_unit_test(retry_b39_deterministic),
             cmocka_unit_test(retry_b40_a_loop_keeps_its_policy), cmocka_unit_test(stable_attempts_start_afresh),
             cmocka_unit_test(bad_policies_are_refused))
