/* SPDX-License-Identifier: MIT */
/* Retries and hedges in tasks, on the simulated clock: the numbered behaviours of coordination 3.4. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/memory.h"
#include "sluice/retry.h"

#define MS SL_MILLISECONDS(1)

/* A call that plays a script: how each attempt ends, and how long it takes. */
struct script {
    const int *results; /* codes; above 0: statuses; the last one repeats */
    int count;
    sl_time takes;
    sl_time cleanup; /* how long its cleanup takes */
    int attempts;
    int cleaned; /* attempts cleaned up */
    int overlap; /* attempts that began before the one before was cleaned up */
    uint32_t numbers[16];
    sl_time began[16];
};

static int clean(void *arg)
{
    struct script *script = arg;
    SL_TRY(sl_sleep(script->cleanup));
    script->cleaned++;
    return 0;
}

static int play(void *arg, struct sl_attempt *attempt)
{
    struct script *script = arg;
    int i = script->attempts++;
    script->overlap += script->cleaned != i;
    if (i < 16) {
        script->numbers[i] = attempt->number;
        script->began[i] = sl_now();
    }
    SL_SCOPE(scope);
    SL_TRY(sl_defer(&scope, clean, script, SL_SECONDS(100)));
    SL_TRY(sl_sleep(script->takes));
    int result = script->results[i < script->count ? i : script->count - 1];
    if (result > 0) {
        attempt->outcome.status = result;
        return sl_scope_wait(&scope);
    }
    return result < 0 ? sl_fail(result, "attempt %d", i + 1) : sl_scope_wait(&scope);
}

#define SCRIPT(...)                                                                                                    \
    {                                                                                                                  \
        .results = (const int[]){__VA_ARGS__}, .count = (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int))        \
    }

C_TEST_SIMULATED(retry_b06_attempts_do_not_overlap, "", "")
{
    struct script script = SCRIPT(0);
    script.takes = SL_SECONDS(100);
    script.cleanup = SL_SECONDS(3);
    struct sl_retry_policy policy = {.attempts = 3, .attempt_timeout = SL_SECONDS(5), .jitter = SL_JITTER_NONE};
    sl_time began = sl_now();
    CHECK_EQ(sl_retry_call(&policy, NULL, play, &script), SL_EGAVEUP);
    CHECK_EQ(script.attempts, 3);
    CHECK_EQ(script.cleaned, 3);
    CHECK_EQ(script.overlap, 0);
    CHECK_EQ(script.began[1] - began, SL_SECONDS(8) + 200 * MS);
    CHECK_EQ(script.began[2] - script.began[1], SL_SECONDS(8) + 400 * MS);
    CHECK(sl_error_has(sl_error_last(), SL_EGAVEUP));
    CHECK_EQ(sl_error_code(sl_error_cause(sl_error_last())), SL_ETIMEDOUT);
    return 0;
}

static int call_twice(void *arg)
{
    struct script *script = arg;
    struct sl_retry_policy policy = {
        .attempts = 100, .initial = SL_SECONDS(10), .max = SL_SECONDS(10), .jitter = SL_JITTER_NONE};
    return sl_retry_call(&policy, NULL, play, script);
}

C_TEST_SIMULATED(retry_b07_cancelled_while_sleeping, "", "")
{
    struct script script = SCRIPT(503);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, call_twice, &script), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(15)), 0);
    sl_time now = sl_now();
    sl_scope_cancel(&scope, "test");
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    CHECK_EQ(sl_now(), now);
    CHECK_EQ(script.attempts, 2);
    /* And in a scope that is cancelled already nothing begins. */
    SL_SCOPE(dead);
    sl_scope_cancel(&dead, "test");
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, NULL, play, &script), SL_ECANCELED);
    CHECK_EQ(script.attempts, 2);
    return 0;
}

C_TEST_SIMULATED(retry_b08_the_parents_deadline_is_the_parents, "", "")
{
    struct script script = SCRIPT(0);
    script.takes = SL_SECONDS(100);
    sl_time began = sl_now();
    SL_SCOPE(scope, .name = "parent", .timeout = SL_SECONDS(3));
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, NULL, play, &script), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - began, SL_SECONDS(3));
    CHECK_EQ(script.attempts, 1);
    /* The total deadline of its own. */
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){.total = SL_SECONDS(4)}, NULL, play, &script), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - began, SL_SECONDS(7));
    return 0;
}

C_TEST_SIMULATED(retry_b09_final_errors_are_passed_on, "", "")
{
    struct script script = SCRIPT(SL_EPROTO);
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, NULL, play, &script), SL_EPROTO);
    CHECK_EQ(script.attempts, 1);
    CHECK(sl_error_has(sl_error_last(), SL_EPROTO));
    CHECK(!sl_error_has(sl_error_last(), SL_EGAVEUP));
    struct script not_found = SCRIPT(404);
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, NULL, play, &not_found), 0);
    CHECK_EQ(not_found.attempts, 1);
    return 0;
}

C_TEST_SIMULATED(retry_b10_the_error_tells_the_story, "", "")
{
    struct script script = SCRIPT(503, SL_ECONNRESET, 429, SL_ECONNRESET);
    struct sl_retry_policy policy = {.attempts = 4, .jitter = SL_JITTER_NONE};
    script.takes = SL_SECONDS(1);
    CHECK_EQ(sl_retry_call(&policy, NULL, play, &script), SL_EGAVEUP);
    CHECK_STRING(
        sl_error_message(sl_error_last()),
        "no attempts left after 4 attempts in 5400 ms, 1400 of them waiting: 503, SL_ECONNRESET, 429, SL_ECONNRESET");
    CHECK(sl_error_has(sl_error_cause(sl_error_last()), SL_ECONNRESET));
    struct script long_one = SCRIPT(503, 503, 503, 503, 503, 503, 503, 503, 503, 500);
    policy.attempts = 10;
    policy.max = SL_SECONDS(1);
    CHECK_EQ(sl_retry_call(&policy, NULL, play, &long_one), SL_EGAVEUP);
    CHECK(strstr(sl_error_message(sl_error_last()), "503, 503, ..., 500") != NULL);
    return 0;
}

C_TEST_SIMULATED(retry_b19_budget_exhausted, "", "")
{
    sl_retry_budget budget;
    struct sl_retry_budget_policy policy = {.ratio = -1, .reserve = 1};
    CHECK_EQ(sl_retry_budget_init(&budget, &policy), 0);
    struct script script = SCRIPT(SL_ECONNRESET);
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, &budget, play, &script), SL_EBUDGET);
    CHECK_EQ(script.attempts, 2);
    CHECK(sl_error_has(sl_error_cause(sl_error_last()), SL_ECONNRESET));
    return 0;
}

C_TEST_SIMULATED(retry_b37_attempts_know_their_number, "", "")
{
    struct script script = SCRIPT(500, 503, SL_EOF, 200);
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, NULL, play, &script), 0);
    CHECK_EQ(script.attempts, 4);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQ(script.numbers[i], i + 1);
    }
    return 0;
}

C_TEST_SIMULATED(retry_b39_schedules_come_from_the_seed, "", "")
{
    struct script first = SCRIPT(503, 503, 503, 200);
    sl_time began = sl_now();
    CHECK_EQ(sl_retry_call(&(struct sl_retry_policy){0}, NULL, play, &first), 0);
    CHECK(sl_now() - began < 1400 * MS);
    return 0;
}

/* ---- hedging ---- */

struct hedged {
    const sl_time *takes;
    const int *results;
    uint32_t began, ended, cancelled;
    sl_time starts[SL_HEDGE_ATTEMPTS_MAX];
};

static int request(void *arg, uint32_t number)
{
    struct hedged *hedged = arg;
    hedged->starts[hedged->began++] = sl_now();
    int code = sl_sleep(hedged->takes[number - 1]);
    hedged->ended++;
    if (code < 0) {
        hedged->cancelled++;
        return code;
    }
    return hedged->results[number - 1];
}

static bool protocol_errors_are_fatal(int code)
{
    return code == SL_EPROTO;
}

static int hedge(struct hedged *hedged, uint32_t most, uint32_t *ret_winner)
{
    struct sl_hedge_policy policy = {.delay = SL_SECONDS(1), .max_attempts = most};
    return sl_hedge_call(&policy, NULL, request, hedged, protocol_errors_are_fatal, ret_winner);
}

C_TEST_SIMULATED(retry_b33_first_good_answer_wins, "", "")
{
    uint32_t winner = 0;
    sl_time began = sl_now();
    struct hedged quick = {.takes = (const sl_time[]){900 * MS}, .results = (const int[]){7}};
    CHECK_EQ(hedge(&quick, 2, &winner), 7);
    CHECK_EQ(quick.began, 1); /* it was done in time */
    CHECK_EQ(winner, 1);
    CHECK_EQ(sl_now() - began, 900 * MS);
    began = sl_now();
    struct hedged slow = {.takes = (const sl_time[]){SL_SECONDS(60), SL_SECONDS(2), SL_SECONDS(60)},
                          .results = (const int[]){1, 2, 3}};
    CHECK_EQ(hedge(&slow, 3, &winner), 2);
    CHECK_EQ(winner, 2);
    CHECK_EQ(slow.began, 3);
    CHECK_EQ(slow.ended, 3); /* the others were waited for */
    CHECK_EQ(slow.cancelled, 2);
    CHECK_EQ(slow.starts[2] - began, SL_SECONDS(2));
    CHECK_EQ(sl_now() - began, SL_SECONDS(3));
    return 0;
}

C_TEST_SIMULATED(retry_b34_a_failure_sends_the_next_at_once, "", "")
{
    uint32_t winner = 0;
    sl_time began = sl_now();
    struct hedged failing = {.takes = (const sl_time[]){100 * MS, 100 * MS},
                             .results = (const int[]){SL_ECONNRESET, 5}};
    CHECK_EQ(hedge(&failing, 2, &winner), 5);
    CHECK_EQ(winner, 2);
    CHECK_EQ(sl_now() - began, 200 * MS);
    struct hedged fatal = {.takes = (const sl_time[]){1500 * MS, SL_SECONDS(60)},
                           .results = (const int[]){SL_EPROTO, 5}};
    CHECK_EQ(hedge(&fatal, 2, NULL), SL_EPROTO);
    CHECK_EQ(fatal.cancelled, 1);
    struct hedged all = {.takes = (const sl_time[]){100 * MS, 100 * MS, 100 * MS},
                         .results = (const int[]){SL_ECONNRESET, SL_EOF, SL_EPIPE}};
    CHECK_EQ(hedge(&all, 3, NULL), SL_EPIPE);
    CHECK_EQ(all.began, 3);
    /* From outside. */
    struct hedged never = {.takes = (const sl_time[]){SL_SECONDS(60), SL_SECONDS(60)}, .results = (const int[]){0, 0}};
    SL_SCOPE(scope, .timeout = SL_SECONDS(5));
    CHECK_EQ(hedge(&never, 2, NULL), SL_ECANCELED);
    CHECK_EQ(never.ended, 2);
    return 0;
}

C_TEST_SIMULATED(retry_b35_no_budget_no_hedge, "", "")
{
    sl_retry_budget budget;
    struct sl_retry_budget_policy policy = {.ratio = -1, .reserve = SL_NO_RESERVE};
    CHECK_EQ(sl_retry_budget_init(&budget, &policy), 0);
    struct hedged slow = {.takes = (const sl_time[]){SL_SECONDS(5)}, .results = (const int[]){1}};
    CHECK_EQ(sl_hedge_call(&(struct sl_hedge_policy){0}, &budget, request, &slow, NULL, NULL), 1);
    CHECK_EQ(slow.began, 1);
    struct hedged failing = {.takes = (const sl_time[]){100 * MS}, .results = (const int[]){SL_EOF}};
    CHECK_EQ(sl_hedge_call(&(struct sl_hedge_policy){0}, &budget, request, &failing, NULL, NULL), SL_EOF);
    return 0;
}

/* Whatever allocation fails: a result or SL_ENOMEM, and nothing is left over (the case's own check). */
C_TEST_SIMULATED(no_memory_at_any_point, "", "")
{
    for (int64_t n = 0;; n++) {
        struct hedged slow = {.takes = (const sl_time[]){SL_SECONDS(60), SL_SECONDS(2)},
                              .results = (const int[]){1, 2}};
        struct script script = SCRIPT(503, SL_ECONNRESET);
        struct sl_retry_policy policy = {.attempts = 2};
        sl_memory_fail_after(n);
        int code = hedge(&slow, 2, NULL);
        CHECK(code == 2 || code == SL_ENOMEM);
        CHECK_EQ(slow.ended, slow.began);
        code = sl_retry_call(&policy, NULL, play, &script);
        CHECK(code == SL_EGAVEUP || code == SL_ENOMEM);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        if (failed == 0) {
            CHECK_EQ(code, SL_EGAVEUP);
            return n > 3 ? 0 : SL_CHECK_FAILED;
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(retry_b06_attempts_do_not_overlap), cmocka_unit_test(retry_b07_cancelled_while_sleeping),
             cmocka_unit_test(retry_b08_the_parents_deadline_is_the_parents),
             cmocka_unit_test(retry_b09_final_errors_are_passed_on),
             cmocka_unit_test(retry_b10_the_error_tells_the_story), cmocka_unit_test(retry_b19_budget_exhausted),
             cmocka_unit_test(retry_b37_attempts_know_their_number),
             cmocka_unit_test(retry_b39_schedules_come_from_the_seed),
             cmocka_unit_test(retry_b33_first_good_answer_wins),
             cmocka_unit_test(retry_b34_a_failure_sends_the_next_at_once),
             cmocka_unit_test(retry_b35_no_budget_no_hedge), cmocka_unit_test(no_memory_at_any_point))
