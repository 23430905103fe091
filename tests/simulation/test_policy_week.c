/* SPDX-License-Identifier: MIT */
/*
 * Two thousand fetchers behind one limiter against a simulated server whose limits change, that answers
 * 429, bans, fails and counts what others behind the same address use. However long it runs, the server never
 * sees a call beyond a limit that it had announced, nor one during a ban, and the fetchers use the most of what is
 * left. SL_POLICY_HOURS says how much virtual time passes: 3 in a run of the tests, 168 for a week.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "sl_conformance.h"
#include "sluice/breaker.h"
#include "sluice/limiter.h"
#include "sluice/retry.h"

#define FETCHERS 2000
#define HOURS 3
#define MINUTE SL_MINUTES(1)
#define LIMIT_MOST 120
#define LIMIT_LEAST 40

/* Counts calls in fixed windows, as venues do, and keeps those of the last minute for windows that slide. */
struct server {
    sl_time end;
    uint32_t limit;     /* calls in a minute that it allows now */
    uint32_t announced; /* the most that it has told the fetchers of, since it was last lower */
    sl_time window_began;
    uint32_t window_used, others;
    sl_time refuses_until; /* a refusal with a Retry-After, or a ban, that was answered at least once */
    bool banned;
    sl_time down_until;
    sl_time log[LIMIT_MOST + 1]; /* when the last calls came: a ring */
    uint32_t log_at;
    /* what happened */
    uint64_t calls, served, refused, bans, outages, changes;
    uint64_t broken_windows, broken_blocks, broken_quotas;
    /* what the newest answer that was heard left: no call beyond `quota_last` before `quota_until` */
    uint64_t heard_call, quota_last;
    sl_time quota_until;
};

struct answer {
    int status;
    uint64_t call; /* its number */
    uint32_t limit, left;
    int64_t wait_s;
    char retry_after[24], policy[48], state[48];
};

static struct server server;
static sl_limiter *limiter;
static sl_retry_budget budget;
static sl_breaker breaker;
static uint64_t done, gave_up;

static const char *answer_header(const void *message, const char *name)
{
    const struct answer *answer = message;
    const char *value = strcasecmp(name, "Retry-After") == 0        ? answer->retry_after
                        : strcasecmp(name, "RateLimit-Policy") == 0 ? answer->policy
                        : strcasecmp(name, "RateLimit") == 0        ? answer->state
                                                                    : "";
    return value[0] == '\0' ? NULL : value;
}

/* A call arrives: does it break what the fetchers had been told? */
static void judge(sl_time now)
{
    server.calls++;
    if (now < server.refuses_until) {
        server.broken_blocks++;
    }
    if (now < server.quota_until && server.calls > server.quota_last) {
        server.broken_quotas++;
    }
    /* Any window of a minute: the call that came `announced` calls ago must be a minute old. */
    sl_time then = server.log[(server.log_at + LIMIT_MOST + 1 - server.announced) % (LIMIT_MOST + 1)];
    if (then != 0 && now - then < MINUTE) {
        server.broken_windows++;
    }
    server.log[server.log_at] = now;
    server.log_at = (server.log_at + 1) % (LIMIT_MOST + 1);
}

static void turn_window(sl_time now)
{
    if (now - server.window_began >= MINUTE) {
        server.window_began = now - now % MINUTE;
        server.window_used = 0;
        server.others = 0;
    }
}

/* What the server decides, and what the answer says. */
static void serve(struct answer *answer)
{
    sl_time now = sl_now();
    turn_window(now);
    *answer = (struct answer){.status = 200, .call = server.calls};
    if (now < server.down_until) {
        answer->status = 503;
        return;
    }
    if (sl_random() % 200 == 0) {
        server.others += 1 + (uint32_t)(sl_random() % 8); /* somebody else behind our address */
    }
    server.window_used++;
    uint32_t used = server.window_used + server.others;
    sl_time reset = server.window_began + MINUTE - now;
    if (server.banned && now < server.refuses_until) {
        answer->status = 418;
    } else if (used > server.limit) {
        answer->status = 429;
        server.refused++;
    }
    int64_t wait_s = (reset + SL_SECONDS(1) - 1) / SL_SECONDS(1);
    if (sl_random() % 5000 == 0) { /* out of the blue */
        answer->status = sl_random() % 2 == 0 ? 418 : 429;
        wait_s = 1 + (int64_t)(sl_random() % 600);
        server.banned = answer->status == 418;
        server.bans += server.banned;
    }
    uint32_t left = used < server.limit ? server.limit - used : 0;
    answer->limit = server.limit;
    answer->left = left;
    answer->wait_s = wait_s;
    (void)snprintf(answer->policy, sizeof answer->policy, "\"m\";q=%" PRIu32 ";w=60", server.limit);
    (void)snprintf(answer->state, sizeof answer->state, "\"m\";r=%" PRIu32 ";t=%" PRId64, left, wait_s);
    if (answer->status != 200) {
        (void)snprintf(answer->retry_after, sizeof answer->retry_after, "%" PRId64, wait_s);
        return;
    }
    server.served++;
}

/* The answer has been heard: from now on its limits are announced. */
static void heard(const struct answer *answer)
{
    sl_time now = sl_now();
    if (answer->policy[0] != '\0' && answer->call > server.heard_call) { /* not one that was overtaken */
        server.heard_call = answer->call;
        server.announced = answer->limit;
        server.quota_last = answer->call + answer->left;
        server.quota_until = now + SL_SECONDS(answer->wait_s);
    }
    if (answer->retry_after[0] != '\0') {
        sl_time until = now + SL_SECONDS(answer->wait_s);
        server.refuses_until = until > server.refuses_until ? until : server.refuses_until;
    }
}

static int fetch(void *arg, struct sl_attempt *attempt)
{
    (void)arg;
    sl_permit permit;
    SL_TRY(sl_limiter_acquire(limiter, 1, attempt->number > 1 ? SL_PRIORITY_HIGH : SL_PRIORITY_NORMAL, &permit));
    sl_breaker_pass pass;
    if (sl_breaker_admit(&breaker, sl_now(), &pass, NULL) < 0) {
        return SL_EBREAKER; /* asked after the wait: what queued up before an outage is not to meet it */
    }
    judge(sl_now());
    struct answer answer;
    serve(&answer);
    int code = sl_sleep(SL_MILLISECONDS(1 + (sl_time)(sl_random() % 300))); /* answers overtake each other */
    if (code < 0 || sl_random() % 1000 == 0) {
        sl_breaker_done(&breaker, &pass, code < 0 ? SL_CALL_CANCELLED : SL_CALL_FAILED, sl_now());
        return code < 0 ? code : SL_ECONNRESET; /* it counted, but nobody heard the answer */
    }
    heard(&answer);
    sl_limiter_report(
        limiter, &permit,
        &(struct sl_response_facts){.status = answer.status, .header = answer_header, .message = &answer});
    bool failed = answer.status == 503;
    sl_breaker_done(&breaker, &pass, failed ? SL_CALL_FAILED : SL_CALL_SUCCEEDED, sl_now());
    attempt->outcome.status = answer.status;
    return 0;
}

static int fetcher(void *arg)
{
    (void)arg;
    static const struct sl_retry_policy policy = {.attempts = 3, .total = SL_NEVER, .attempt_timeout = SL_NEVER};
    while (sl_now() < server.end) {
        SL_TRY(sl_sleep(MINUTE * (sl_time)(5 + sl_random() % 20)));
        int code = sl_retry_call(&policy, &budget, fetch, NULL);
        if (code != 0 && code != SL_EGAVEUP && code != SL_EBUDGET && code != SL_EBREAKER) {
            return code;
        }
        done += code == 0;
        gave_up += code != 0;
    }
    return 0;
}

/* The server's moods: limits that change and outages. */
static int moods(void *arg)
{
    (void)arg;
    while (sl_now() < server.end) {
        SL_TRY(sl_sleep(MINUTE * (sl_time)(1 + sl_random() % 30)));
        if (sl_random() % 4 == 0) {
            server.down_until = sl_now() + SL_SECONDS((sl_time)(sl_random() % 300));
            server.outages++;
        } else {
            server.limit = LIMIT_LEAST + (uint32_t)(sl_random() % (LIMIT_MOST - LIMIT_LEAST + 1));
            server.changes++;
        }
    }
    return 0;
}

static int run_server(void *arg)
{
    const sl_time *hours = arg;
    const struct sl_rate rate = {.count = LIMIT_MOST, .period = MINUTE, .per_call = true};
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter));
    SL_TRY(sl_retry_budget_init(&budget, &(struct sl_retry_budget_policy){0}));
    SL_TRY(sl_breaker_init(&breaker, &(struct sl_breaker_policy){0}));
    server = (struct server){.limit = LIMIT_MOST, .announced = LIMIT_MOST, .end = sl_now() + *hours * SL_MINUTES(60)};
    {
        SL_SCOPE(scope, .fail_first = true);
        SL_TRY(sl_spawn(&scope, moods, NULL));
        for (int i = 0; i < FETCHERS; i++) {
            SL_TRY(sl_spawn(&scope, fetcher, NULL));
        }
        SL_TRY(sl_scope_wait(&scope));
    }
    struct sl_limiter_info info;
    sl_limiter_info(limiter, &info);
    sl_limiter_free(limiter);
    CHECK_EQ(info.waiting, 0);
    return 0;
}

static void fetchers_never_break_an_announced_limit(void **state)
{
    (void)state;
    sl_time hours = (sl_time)sl_test_number("SL_POLICY_HOURS", HOURS);
    struct sl_simulation_options simulation = {.seed = sl_test_number("SL_POLICY_SEED", 1)};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER};
    struct timespec began, ended;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began); /* a busy machine is not to fail it */
    int code = sl_run(&options, run_server, &hours, NULL);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    double took = (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
    print_message("%d h, seed %" PRIu64 ", %.2f s of CPU: %" PRIu64 " calls, %" PRIu64 " served, %" PRIu64
                  " refused, %" PRIu64 " bans, %" PRIu64 " outages, %" PRIu64 " changes; %" PRIu64 " done, %" PRIu64
                  " given up\n",
                  (int)hours, simulation.seed, took, server.calls, server.served, server.refused, server.bans,
                  server.outages, server.changes, done, gave_up);
    assert_int_equal(code, 0);
    assert_int_equal(server.broken_windows, 0);
    assert_int_equal(server.broken_blocks, 0);
    assert_int_equal(server.broken_quotas, 0);
    assert_true(server.changes > 0 && server.outages > 0);
    assert_true(server.served > (uint64_t)hours * 60 * LIMIT_LEAST * 3 / 4);
    assert_true(took < 60);
}

SL_TEST_MAIN(cmocka_unit_test(fetchers_never_break_an_announced_limit))
