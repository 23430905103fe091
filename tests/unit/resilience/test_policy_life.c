/* SPDX-License-Identifier: MIT */
/* Policies over their life: two requests that race, values that change while fetches go on, and every way out. */
#include "cancel_steps.h"
#include "policy_support.h"

/* ---- hedging ---- */

static const struct sl_policy_options two_at_most = {.hedge = {.delay = SL_MILLISECONDS(20)},
                                                     .retry = {.attempts = 2, .initial = MS, .max = MS}};

C_TEST(policy_hedge_second_wins, "given a slow first request, when the second is answered, then the first is cut", "")
{
    struct kit kit;
    CHECK_EQ(kit_open(&kit, &two_at_most, 0), 0);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(1000), .body = "slow"}, {.body = "quick"});
    sl_auto(sl_response) *response = NULL;
    CHECK_EQ(sl_fetch(kit.client, &(sl_request){.url = kit.server.url}, &response), 0);
    CHECK_STRING(sl_response_body(response, NULL), "quick");
    CHECK_EQ(kit.server.seen, 2);
    struct sl_policy_info info = kit_info(&kit);
    CHECK_EQ(info.hedges, 1);
    CHECK_EQ(info.hedges_won, 1);
    CHECK_EQ(info.attempts, 2);
    CHECK_EQ(info.taken, 0);
    while (kit.server.cancelled == 0) { /* its connection has ended */
        CHECK_EQ(sl_sleep(MS), 0);
    }
    CHECK_EQ(sl_http_client_counts_get(kit.client).busy, 0);
    return kit_close(&kit);
}

/* In the real world a machine that pauses makes any answer a slow one. */
C_TEST_SIMULATED(policy_hedge_first_wins, "given a quick answer, then there is no second request; nor for POST", "")
{
    struct kit kit;
    CHECK_EQ(kit_open(&kit, &two_at_most, 0), 0);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    SCRIPT(&kit.server, {.delay = 60 * MS});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.method = "POST"}), 200);
    CHECK_EQ(kit_info(&kit).hedges, 0);
    CHECK_EQ(kit.server.seen, 1);
    return kit_close(&kit);
}

static int one_part(void *context, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    int *left = context;
    memset(buffer, 'x', *ret_bytes = size_bytes < 10 ? size_bytes : 10);
    return (*left)-- > 0 ? 0 : SL_EOF;
}

C_TEST(policy_hedge_needs_the_body, "given a body that comes in parts, once, then there is no second request", "")
{
    struct kit kit;
    int parts = 1;
    CHECK_EQ(kit_open(&kit, &two_at_most, 0), 0);
    SCRIPT(&kit.server, {.delay = 60 * MS});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.method = "PUT", .body_next = one_part, .body_context = &parts}), 200);
    CHECK_EQ(kit.server.seen, 1);
    return kit_close(&kit);
}

C_TEST(policy_hedge_failures, "given a first failure, then the second goes at once; when both fail, then the retry", "")
{
    struct kit kit;
    struct sl_policy_options options = two_at_most;
    options.hedge.delay = SL_SECONDS(1000);
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 503}, {.status = 200});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    CHECK_EQ(kit_info(&kit).retries, 0);
    SCRIPT(&kit.server, {.status = 503}, {.cut = true}, {.status = 404});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 404);
    CHECK_EQ(kit_info(&kit).retries, 1);
    SCRIPT(&kit.server, {.cut = true});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit.server.seen, 4);
    const sl_error *cause = sl_error_cause(sl_error_last());
    CHECK_EQ(sl_error_code(cause), SL_ECONNRESET);
    CHECK(sl_error_message(cause)[0] != '\0'); /* what its task had to say */
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_hedge_within_limits, "given no permit for a second request, then the first is not harmed", "")
{
    struct kit kit;
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 1, .period = SL_SECONDS(100)};
    struct sl_limiter_options limits = {.rates = &rate, .rate_count = 1, .max_wait = MS};
    CHECK_EQ(sl_limiter_create(&limits, &limiter), 0);
    struct sl_policy_options options = two_at_most;
    options.limiters[0] = limiter;
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(2)});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    CHECK_EQ(kit.server.seen, 1);
    CHECK_EQ(kit_info(&kit).hedges_won, 0);
    CHECK_EQ(kit_info(&kit).refused_limiter, 1);
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_hedges_are_few, "given a server where all is slow, then hedges are a share of the calls", "")
{
    struct kit kit;
    struct sl_policy_options options = two_at_most;
    options.budget =
        (struct sl_retry_budget_policy){.ratio = 0.2, .reserve = SL_NO_RESERVE, .window = SL_SECONDS(1000)};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.delay = 100 * MS});
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    }
    CHECK_EQ(kit_info(&kit).hedges, 20); /* a call counts once, though retries and hedges share the budget */
    return kit_close(&kit);
}

/* ---- changes ---- */

C_TEST_SIMULATED(policy_change_retry, "given a call under way, when the retry changes, then only later calls follow",
                 "")
{
    struct kit kit;
    struct sl_policy_options options = {.retry = {.attempts = 3, .initial = SL_SECONDS(1), .max = SL_SECONDS(1)}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 503});
    struct caller caller = {.kit = &kit};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, caller_run, &caller), 0);
    while (kit.server.seen == 0) {
        CHECK_EQ(sl_sleep(MS), 0);
    }
    options.retry.attempts = 1;
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(kit.server.seen, 3);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit.server.seen, 4);
    options.retry.multiplier = 0.1;
    options.no_breaker = true;
    CHECK_EQ(sl_policy_change(kit.policy, &options), SL_EINVAL);
    CHECK(SAYS("multiplier"));
    CHECK_EQ(kit_info(&kit).attempts, 4);
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_overload_takes_places, "a 503 says that the server has too much to do, a 500 does not", "")
{
    static const struct sl_policy_options options = {
        .bulkhead = {.concurrency = {.kind = SL_CONCURRENCY_AIMD, .initial = 10, .min = 1, .backoff = 0.5}},
        .retry = {.attempts = 1}};
    struct kit kit;
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 500}, {.status = 503});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit_info(&kit).places, 10);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit_info(&kit).places, 5);
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_change_places, "given callers that wait for a place, when there are more, then they go at once",
                 "")
{
    struct kit kit;
    struct sl_policy_options options = {.bulkhead = {.concurrency = {.initial = 1}, .max_wait = SL_NEVER}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(5)});
    struct caller callers[6];
    SL_SCOPE(scope);
    for (size_t i = 0; i < 6; i++) {
        callers[i] = (struct caller){.kit = &kit};
        CHECK_EQ(sl_spawn(&scope, caller_run, &callers[i]), 0);
    }
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(kit.server.seen, 1);
    CHECK_EQ(kit_info(&kit).waiting, 5);
    options.bulkhead.concurrency.initial = 3;
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(kit.server.seen, 3);
    options.bulkhead.concurrency.initial = 1; /* those under way stay */
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(8)), 0);
    CHECK_EQ(kit_info(&kit).taken, 1);
    options.no_bulkhead = true; /* who waits still gets the place that it asked for */
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ(callers[i].result, 200);
    }
    CHECK_EQ(kit.server.most_under_way, 3);
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_change_breaker,
                 "given an open breaker, when its values change, then it stays open as long as it was to", "")
{
    struct kit kit;
    struct sl_policy_options options = {.retry = {.attempts = 1},
                                        .breaker = {.min_calls = 2, .open_for = SL_SECONDS(9)}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 500});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    options.breaker.min_calls = 3; /* what was counted stays */
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit_info(&kit).breaker, SL_BREAKER_CLOSED);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit_info(&kit).breaker, SL_BREAKER_OPEN);
    sl_time until = kit_info(&kit).breaker_until;
    options.breaker.open_for = SL_SECONDS(30);
    options.breaker.half_open_calls = 1;
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    CHECK_EQ(kit_info(&kit).breaker_until, until);
    CHECK_EQ(sl_sleep(SL_SECONDS(9)), 0);
    CHECK_EQ(kit_info(&kit).breaker, SL_BREAKER_HALF_OPEN);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(kit_info(&kit).breaker_until, sl_now() + SL_SECONDS(60)); /* twice the new one */
    options.no_breaker = true;
    CHECK_EQ(sl_policy_change(kit.policy, &options), 0);
    SCRIPT(&kit.server, {.status = 200});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    return kit_close(&kit);
}

/* The budget's window and throttle, the adaptive bulkhead: what was learned is kept. */
static void changes_keep_what_was_learned(void **state)
{
    (void)state;
    sl_retry_budget budget;
    assert_int_equal(sl_retry_budget_init(&budget, &(struct sl_retry_budget_policy){.reserve = 5, .tokens = 10}), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(sl_retry_budget_take(&budget, SL_SECONDS(1)));
    }
    sl_retry_budget_result(&budget, true);
    assert_int_equal(sl_retry_budget_change(&budget, &(struct sl_retry_budget_policy){.reserve = 6, .tokens = 100}), 0);
    assert_true(budget.tokens > 89.9 && budget.tokens < 90.1);
    assert_true(sl_retry_budget_take(&budget, SL_SECONDS(1)));
    assert_false(sl_retry_budget_take(&budget, SL_SECONDS(1)));
    assert_int_equal(sl_retry_budget_change(&budget, &(struct sl_retry_budget_policy){.ratio = 99}), SL_EINVAL);
    assert_false(sl_retry_budget_take(&budget, SL_SECONDS(1)));

    sl_bulkhead bulkhead;
    struct sl_bulkhead_options options = {.concurrency = {.kind = SL_CONCURRENCY_AIMD, .initial = 50, .min = 10}};
    assert_int_equal(sl_bulkhead_init(&bulkhead, &options), 0);
    for (int i = 0; i < 5; i++) {
        sl_concurrency_done(&bulkhead.concurrency, 1, 50, true);
    }
    assert_int_equal(sl_concurrency_limit(&bulkhead.concurrency), 29);
    options.concurrency.initial = 100;
    assert_int_equal(sl_bulkhead_change(&bulkhead, &options), 0);
    assert_int_equal(bulkhead.places.total, 29);
    options.concurrency.min = 40;
    assert_int_equal(sl_bulkhead_change(&bulkhead, &options), 0);
    assert_int_equal(bulkhead.places.total, 40);
    options.concurrency = (struct sl_concurrency_policy){.initial = 7};
    assert_int_equal(sl_bulkhead_change(&bulkhead, &options), 0);
    assert_int_equal(bulkhead.places.total, 7);
    options.max_wait = -1;
    assert_int_equal(sl_bulkhead_change(&bulkhead, &options), SL_EINVAL);

    sl_breaker breaker;
    sl_breaker_pass pass;
    assert_int_equal(sl_breaker_init(&breaker, &(struct sl_breaker_policy){.min_calls = 2, .window_calls = 10}), 0);
    assert_int_equal(sl_breaker_admit(&breaker, 1, &pass, NULL), 0);
    sl_breaker_done(&breaker, &pass, SL_CALL_FAILED, 1);
    assert_int_equal(sl_breaker_change(&breaker, &(struct sl_breaker_policy){.failure_ratio = 2}), SL_EINVAL);
    assert_int_equal(sl_breaker_change(&breaker, &(struct sl_breaker_policy){.min_calls = 2, .window_calls = 20}), 0);
    assert_int_equal(sl_breaker_admit(&breaker, 1, &pass, NULL), 0); /* another window: begun afresh */
    sl_breaker_done(&breaker, &pass, SL_CALL_FAILED, 1);
    assert_int_equal(sl_breaker_look(&breaker, 1), SL_BREAKER_CLOSED);
}

/* ---- ways out ---- */

/* Refusals, failures, a hedge, waits for limits and places: all that a call can be doing. */
static int play(void *arg)
{
    static const struct scripted_answer script[] = {
        {.status = 503},   {.delay = SL_SECONDS(2)},
        {.cut = true},     {.status = 429, .headers = {{"Retry-After", "1"}}},
        {.body = "hello"}, {.body = "{\"retCode\":10006}"},
        {.status = 200},
    };
    int *unknown = arg;
    struct kit kit = {.policy = NULL};
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 10, .period = SL_SECONDS(1), .burst = 2};
    struct sl_limiter_options limits = {.rates = &rate, .rate_count = 1, .dialect = sl_limit_dialect_find("bapi")};
    SL_TRY(sl_limiter_create(&limits, &limiter));
    struct sl_policy_options options = {.limiters = {limiter},
                                        .hedge = {.delay = SL_SECONDS(1)},
                                        .retry = {.attempts = 6},
                                        .bulkhead = {.concurrency = {.initial = 2}, .max_wait = SL_NEVER}};
    int code = kit_open(&kit, &options, 0);
    struct caller callers[4];
    if (code == 0) {
        scripted_server_script(&kit.server, script, sizeof script / sizeof script[0]);
        SL_SCOPE(scope);
        for (size_t i = 0; i < 4 && code == 0; i++) {
            callers[i] = (struct caller){.kit = &kit};
            code = sl_spawn(&scope, caller_run, &callers[i]);
        }
        code = sl_scope_close(&scope, code);
        for (size_t i = 0; i < 4 && code == 0; i++) {
            int result = callers[i].result;
            bool known = result >= 0 || result == SL_ECANCELED || result == SL_ENOMEM || result == SL_EGAVEUP;
            *unknown = known ? *unknown : result;
        }
    }
    int closed = kit_close(&kit);
    return code < 0 && code != SL_ECANCELED ? code : closed; /* a server that failed has cancelled us */
}

C_TEST_RUNS(policy_cancelled_anywhere, "cancelled after the n-th step, for every n: all is given back", "")
{
    int unknown = 0;
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    int64_t steps = cancel_at_each_step(options, play, &unknown);
    CHECK(steps > 100);
    CHECK_EQ(unknown, 0);
    return 0;
}

C_TEST_RUNS(policy_memory_may_fail, "the n-th allocation fails, for every n: nothing is left", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        int unknown = 0;
        sl_memory_fail_after(n);
        int code = sl_run(options, play, &unknown, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK_EQ(sl_memory_held(), held);
        CHECK_EQ(code == SL_ENOMEM ? 0 : code, 0);
        CHECK_EQ(unknown, 0);
        if (!failed) {
            CHECK(n > 100);
            return code;
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(policy_hedge_second_wins), cmocka_unit_test(policy_hedge_first_wins),
             cmocka_unit_test(policy_hedge_needs_the_body), cmocka_unit_test(policy_hedge_failures),
             cmocka_unit_test(policy_hedge_within_limits), cmocka_unit_test(policy_hedges_are_few),
             cmocka_unit_test(policy_change_retry), cmocka_unit_test(policy_overload_takes_places),
             cmocka_unit_test(policy_change_places), cmocka_unit_test(policy_change_breaker),
             cmocka_unit_test(changes_keep_what_was_learned), cmocka_unit_test(policy_cancelled_anywhere),
             cmocka_unit_test(policy_memory_may_fail))
