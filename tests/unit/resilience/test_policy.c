/* SPDX-License-Identifier: MIT */
/* sl_fetch() with a policy: what is repeated and what is not, timeouts, breaker, places, and what errors tell. */
#include "policy_support.h"
#include "sluice/json.h"
#include "sluice/log.h"

#define QUICK .retry = {.initial = MS, .max = MS}

C_TEST(policy_repeats_until_an_answer, "given 503 and a cut answer, when fetched, then the third attempt's answer", "")
{
    struct kit kit;
    CHECK_EQ(kit_open(&kit, &(struct sl_policy_options){QUICK}, 0), 0);
    SCRIPT(&kit.server, {.status = 503}, {.cut = true}, {.body = "here"});
    sl_auto(sl_response) *response = NULL;
    CHECK_EQ(sl_fetch(kit.client, &(sl_request){.url = kit.server.url}, &response), 0);
    CHECK_EQ(sl_response_status(response), 200);
    CHECK_STRING(sl_response_body(response, NULL), "here");
    CHECK_EQ(kit.server.seen, 3);
    struct sl_policy_info info = kit_info(&kit);
    CHECK_EQ(info.calls, 1);
    CHECK_EQ(info.answered, 1);
    CHECK_EQ(info.attempts, 3);
    CHECK_EQ(info.retries, 2);
    SCRIPT(&kit.server, {.status = 404}, {.status = 200}); /* an answer like others */
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 404);
    CHECK_EQ(kit.server.seen, 1);
    return kit_close(&kit);
}

C_TEST(policy_tells_the_story, "given a server that fails, when attempts are used up, then the error tells all of them",
       "")
{
    struct kit kit;
    char url[128];
    CHECK_EQ(kit_open(&kit, &(struct sl_policy_options){QUICK}, 0), 0);
    SCRIPT(&kit.server, {.status = 503}, {.cut = true}, {.status = 500});
    (void)snprintf(url, sizeof url, "%sdepth?signature=hunter2", kit.server.url);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.url = url}), SL_EGAVEUP);
    CHECK(SAYS("GET http://127.0.0.1:"));
    CHECK(SAYS("/depth: no attempts left after 5 attempts in "));
    CHECK(SAYS(": 503, SL_ECONNRESET, 500, 500, 500"));
    CHECK(!SAYS("hunter2"));
    CHECK(sl_error_cause(sl_error_last()) == NULL); /* the last was an answer */
    SCRIPT(&kit.server, {.status = 503}, {.cut = true});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(sl_error_code(sl_error_cause(sl_error_last())), SL_ECONNRESET);
    struct sl_policy_info info = kit_info(&kit);
    CHECK_EQ(info.gave_up, 2);
    CHECK_EQ(info.failed, 2);
    return kit_close(&kit);
}

static int two_parts(void *context, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    int *left = context;
    if (*left == 0) {
        return SL_EOF;
    }
    --*left;
    memset(buffer, 'x', *ret_bytes = size_bytes < 10 ? size_bytes : 10);
    return 0;
}

/* Lines of the log with a text. */
static int lines_with(sl_logger *logger, const char *text)
{
    static char kept[64 * 1024];
    sl_json_writer out;
    sl_json_text found;
    int count = 0;
    sl_json_writer_init_in(&out, kept, sizeof kept);
    sl_logger_recent(logger, 0, SL_LOG_WARNING, 1000, &out);
    CHECK_EQ(sl_json_writer_finish(&out, &found), 0);
    for (const char *at = kept; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

C_TEST_SIMULATED(
    policy_tells_of_what_fails_for_long,
    "given attempts without end, when all fail, then why is told after 10 s, and each time it took twice as long", "")
{
    struct kit kit;
    sl_auto(sl_logger) *logger = NULL;
    struct sl_policy_options options = {.retry = {.attempts = SL_ATTEMPTS_UNLIMITED,
                                                  .total = SL_SECONDS(100),
                                                  .initial = SL_SECONDS(1),
                                                  .max = SL_SECONDS(1),
                                                  .jitter = SL_JITTER_NONE},
                                        .no_budget = true,
                                        .no_breaker = true};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    CHECK_EQ(
        sl_logger_open(&(struct sl_logger_options){.level = SL_LOG_ERROR, .recent_level = SL_LOG_WARNING}, &logger), 0);
    CHECK_EQ(sl_logger_attach(logger), 0);
    SCRIPT(&kit.server, {.status = 503}, {.status = 200});
    CHECK_STRING(kit_info(&kit).problem, "");
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    CHECK_STRING(kit_info(&kit).problem, "");
    CHECK_EQ(lines_with(logger, "fails again"), 0);
    SCRIPT(&kit.server, {.status = 503});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_STRING(kit_info(&kit).problem, "HTTP status 503");
    CHECK_EQ(lines_with(logger, "a request fails again and again"), 4); /* after some 10, 20, 40 and 80 s */
    CHECK_EQ(lines_with(logger, "\"problem\":\"HTTP status 503\""), 4);
    sl_listener_close(kit.server.listener);
    kit.server.listener = NULL;
    sl_http_client_free(kit.client); /* and its idle connections */
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.policy = kit.policy}, &kit.client), 0);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK(strstr(kit_info(&kit).problem, "refused") != NULL);
    CHECK_EQ(lines_with(logger, "a request fails again and again"), 8);
    return kit_close(&kit);
}

C_TEST(policy_repeats_only_what_is_safe,
       "given POST, when it may have been done, then once; when it cannot have, again", "")
{
    struct kit kit;
    sl_request post = {.method = "POST", .body = "order", .body_bytes = 5};
    CHECK_EQ(kit_open(&kit, &(struct sl_policy_options){.retry = {.attempts = 3, .initial = MS, .max = MS}}, 0), 0);
    SCRIPT(&kit.server, {.status = 503});
    CHECK_EQ(kit_fetch(&kit, &post), 503); /* an answer, as it came */
    CHECK_EQ(kit.server.seen, 1);
    SCRIPT(&kit.server, {.cut = true}, {.status = 200});
    CHECK_EQ(kit_fetch(&kit, &post), SL_ECONNRESET); /* unwrapped: it was the only one */
    CHECK(!SAYS("attempt"));
    CHECK_EQ(kit.server.seen, 1);
    post.idempotent = true;
    SCRIPT(&kit.server, {.cut = true}, {.status = 503}, {.status = 200});
    CHECK_EQ(kit_fetch(&kit, &post), 200);
    CHECK_STRING(kit.server.last_method, "POST");
    int parts = 2;
    sl_request streamed = {.method = "PUT", .body_next = two_parts, .body_context = &parts};
    SCRIPT(&kit.server, {.status = 503}, {.status = 200});
    CHECK_EQ(kit_fetch(&kit, &streamed), 503);
    CHECK_EQ(kit.server.seen, 1);
    /* Nobody listens: nothing was sent, so that it is safe. One such attempt is not counted. */
    post.idempotent = false;
    sl_listener_close(kit.server.listener);
    kit.server.listener = NULL;
    sl_http_client_free(kit.client); /* and its idle connections */
    CHECK_EQ(sl_http_client_open(&(struct sl_http_client_options){.policy = kit.policy}, &kit.client), 0);
    uint64_t before = kit_info(&kit).attempts;
    CHECK_EQ(kit_fetch(&kit, &post), SL_EGAVEUP);
    CHECK_EQ(kit_info(&kit).attempts - before, 4);
    CHECK_EQ(sl_error_code(sl_error_cause(sl_error_last())), -ECONNREFUSED);
    return kit_close(&kit);
}

C_TEST(policy_attempt_timeout, "given a server that hangs once, when an attempt's time is over, then the next begins",
       "")
{
    struct kit kit;
    struct sl_policy_options options = {.retry = {.attempts = 2, .initial = MS, .max = MS, .attempt_timeout = 20 * MS}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(1000)}, {.status = 200});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(1000)});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK(SAYS(": SL_ETIMEDOUT, SL_ETIMEDOUT"));
    const sl_error *cause = sl_error_cause(sl_error_last());
    CHECK_EQ(sl_error_code(cause), SL_ETIMEDOUT);
    CHECK(strstr(sl_error_message(cause), "an attempt took longer than 20 ms") != NULL);
    return kit_close(&kit);
}

C_TEST(policy_total_deadline,
       "given attempts that fail, when the total passes, then the error says so and what was done", "")
{
    struct kit kit;
    struct sl_policy_options options = {.retry = {.initial = MS, .max = MS, .total = 40 * MS}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 503}, {.status = 502}, {.delay = SL_SECONDS(1000)});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_ETIMEDOUT);
    CHECK(SAYS("longer than it may in all; 2 attempts in "));
    CHECK(SAYS(": 503, 502"));
    /* The request's own word, and a scope further out, which has its own name for it. */
    SCRIPT(&kit.server, {.status = 503}, {.delay = SL_SECONDS(1000)});
    sl_time before = sl_now();
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.total_timeout = 10 * MS}), SL_ETIMEDOUT);
    CHECK(sl_now() - before < 40 * MS || !sl_conformance_simulated());
    SL_SCOPE(scope, .timeout = 10 * MS);
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), SL_ETIMEDOUT);
    struct sl_policy_info info = kit_info(&kit);
    CHECK_EQ(info.cancelled, 3);
    /* A wait that would pass the deadline is not begun. */
    SCRIPT(&kit.server, {.status = 503, .headers = {{"Retry-After", "7"}}});
    before = sl_now();
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK(SAYS("would come too late after 1 attempt in "));
    CHECK(SAYS("; the server asks to wait for 7000 ms"));
    CHECK(sl_now() - before < SL_SECONDS(5));
    return kit_close(&kit);
}

C_TEST_SIMULATED(
    policy_limiter_waits_are_no_failures,
    "given a limiter of one a second and attempts of 100 ms, when ten fetch at once, then all are answered", "")
{
    struct kit kit;
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 1, .period = SL_SECONDS(1)};
    CHECK_EQ(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter), 0);
    struct sl_policy_options options = {.retry = {.attempts = 1, .attempt_timeout = 100 * MS},
                                        .limiters = {limiter},
                                        .breaker = {.min_calls = 1, .failure_ratio = 0.01, .slow_call = 50 * MS}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    struct caller callers[10];
    {
        SL_SCOPE(scope);
        for (size_t i = 0; i < 10; i++) {
            callers[i] = (struct caller){.kit = &kit};
            CHECK_EQ(sl_spawn(&scope, caller_run, &callers[i]), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    for (size_t i = 0; i < 10; i++) {
        CHECK_EQ(callers[i].result, 200);
    }
    CHECK_EQ(scripted_server_most_within(&kit.server, SL_SECONDS(1)), 1);
    struct sl_policy_info info = kit_info(&kit);
    CHECK_EQ(info.breaker, SL_BREAKER_CLOSED);
    CHECK(info.limited_ns >= SL_SECONDS(1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9));
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_breaker_is_asked_again,
                 "given calls that wait for a limit, when the server breaks down, then those behind do not meet it", "")
{
    struct kit kit;
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 1, .period = SL_SECONDS(1)};
    CHECK_EQ(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter), 0);
    struct sl_policy_options options = {.name = "venue",
                                        .retry = {.attempts = 1, .total = SL_SECONDS(1000)},
                                        .limiters = {limiter},
                                        .breaker = {.min_calls = 5, .open_for = SL_SECONDS(500)}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 500});
    struct caller callers[30];
    {
        SL_SCOPE(scope);
        for (size_t i = 0; i < 30; i++) {
            callers[i] = (struct caller){.kit = &kit};
            CHECK_EQ(sl_spawn(&scope, caller_run, &callers[i]), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(kit.server.seen, 5);
    int refused = 0;
    for (size_t i = 0; i < 30; i++) {
        CHECK(callers[i].result == SL_EGAVEUP || callers[i].result == SL_EBREAKER);
        refused += callers[i].result == SL_EBREAKER;
        CHECK(callers[i].result == SL_EGAVEUP ||
              strstr(callers[i].message, "venue: the circuit breaker is open for another ") != NULL);
    }
    CHECK_EQ(refused, 25);
    /* At once, and without a permit: those that were refused after their wait gave theirs back, too. */
    sl_time before = sl_now();
    struct sl_limiter_info info;
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EBREAKER);
    CHECK_EQ(sl_now(), before);
    sl_limiter_info(limiter, &info);
    CHECK_EQ(info.admitted, 5);
    /* Probes decide: three successes close it. */
    SCRIPT(&kit.server, {.status = 200});
    CHECK_EQ(kit_info(&kit).breaker, SL_BREAKER_OPEN);
    CHECK_EQ(sl_sleep(SL_SECONDS(500)), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(kit_info(&kit).breaker, SL_BREAKER_HALF_OPEN);
        CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), 200);
    }
    CHECK_EQ(kit_info(&kit).breaker, SL_BREAKER_CLOSED);
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_breaker_within_a_retry,
                 "given a breaker that opens between attempts, then the error tells both", "")
{
    struct kit kit;
    struct sl_policy_options options = {.breaker = {.min_calls = 2}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.status = 500});
    CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 1}), SL_EBREAKER);
    CHECK(SAYS("after 2 attempts in "));
    CHECK(SAYS(": 500, 500"));
    CHECK_EQ(sl_error_code(sl_error_cause(sl_error_last())), SL_EBREAKER);
    CHECK_EQ(kit.server.seen, 2);
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_stall_ends_without_a_burst,
                 "given a server that stalls, when it goes on, then what queued up meanwhile keeps to the limit", "")
{
    struct kit kit;
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 10, .period = SL_SECONDS(1), .burst = 1};
    CHECK_EQ(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter), 0);
    struct sl_policy_options options = {.retry = {.total = SL_SECONDS(1000)},
                                        .limiters = {limiter},
                                        .bulkhead = {.concurrency = {.initial = 4}, .max_wait = SL_NEVER}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(9)}, {.delay = SL_SECONDS(9)}, {.delay = SL_SECONDS(9)},
           {.delay = SL_SECONDS(9)}, {.status = 200});
    static struct caller callers[200];
    {
        SL_SCOPE(scope);
        for (size_t i = 0; i < 200; i++) {
            callers[i] = (struct caller){.kit = &kit};
            CHECK_EQ(sl_spawn(&scope, caller_run, &callers[i]), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(kit.server.seen, 200);
    CHECK_EQ(kit.server.most_under_way, 4);
    CHECK(scripted_server_most_within(&kit.server, SL_SECONDS(1)) <= 10);
    sl_time took = kit.server.times[199] - kit.server.times[0];
    CHECK(took < SL_SECONDS(9 + 20 + 1)); /* and it uses the limit */
    return kit_close(&kit);
}

C_TEST_SIMULATED(policy_places, "given two places, when full, then others wait in order, no longer than they may", "")
{
    struct kit kit;
    struct sl_policy_options options = {.retry = {.attempts = 1},
                                        .bulkhead = {.concurrency = {.initial = 2}, .max_wait = SL_SECONDS(3)}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    SCRIPT(&kit.server, {.delay = SL_SECONDS(2)});
    struct caller callers[6];
    {
        SL_SCOPE(scope);
        for (size_t i = 0; i < 6; i++) {
            callers[i] = (struct caller){.kit = &kit};
            CHECK_EQ(sl_spawn(&scope, caller_run, &callers[i]), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    int busy = 0;
    for (size_t i = 0; i < 6; i++) {
        busy += callers[i].result == SL_EBUSY;
        CHECK(callers[i].result == SL_EBUSY || callers[i].result == 200);
    }
    CHECK_EQ(busy, 2);
    CHECK_EQ(kit.server.most_under_way, 2);
    CHECK_EQ(kit_info(&kit).refused_bulkhead, 2);
    CHECK_EQ(kit_info(&kit).taken, 0);
    return kit_close(&kit);
}

C_TEST(policy_options_are_checked, "given a value out of range, then the message names it and nothing is made", "")
{
    static const struct {
        struct sl_policy_options options;
        const char *says;
    } rows[] = {
        {{.retry = {.multiplier = 0.5}}, "multiplier"},
        {{.retry = {.total = -1}}, "total"},
        {{.budget = {.ratio = 11}}, "ratio"},
        {{.hedge = {.delay = 1, .max_attempts = 9}}, "max_attempts"},
        {{.breaker = {.failure_ratio = 2}}, "failure_ratio"},
        {{.bulkhead = {.concurrency = {.initial = 5, .min = 6}}}, "min"},
        {{.bulkhead = {.max_wait = -1}}, "max_wait"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sl_policy *policy = NULL;
        CHECK_EQ(sl_policy_create(&rows[i].options, &policy), SL_EINVAL);
        CHECK(SAYS(rows[i].says));
        CHECK(policy == NULL);
    }
    sl_policy_free(NULL);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(policy_repeats_until_an_answer), cmocka_unit_test(policy_tells_the_story),
             cmocka_unit_test(policy_tells_of_what_fails_for_long), cmocka_unit_test(policy_repeats_only_what_is_safe),
             cmocka_unit_test(policy_attempt_timeout), cmocka_unit_test(policy_total_deadline),
             cmocka_unit_test(policy_limiter_waits_are_no_failures), cmocka_unit_test(policy_breaker_is_asked_again),
             cmocka_unit_test(policy_breaker_within_a_retry), cmocka_unit_test(policy_stall_ends_without_a_burst),
             cmocka_unit_test(policy_places), cmocka_unit_test(policy_options_are_checked))
