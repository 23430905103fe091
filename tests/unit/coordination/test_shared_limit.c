/* SPDX-License-Identifier: MIT */
/* Limits that replicas share: the numbered behaviours of coordination 2.6 that need a server. */
#include <stdlib.h>

#include "limit_kit.h"

#define REPLICAS 16
#define LOG_MAX 131072

/* When calls were admitted, by one clock: a server that counts. */
struct log {
    size_t count, late;
    sl_time times[LOG_MAX];
};

struct caller {
    struct replica replica;
    struct log *log;
    sl_time until;
};

static int make(sl_scope *scope, const char *url, const struct sl_rate *rate, struct replica *replica)
{
    *replica = (struct replica){.options = {.max_wait = SL_SECONDS(5)}};
    return replica_make(scope, url, rate, 1, replica);
}

static int hammer(void *arg)
{
    struct caller *caller = arg;
    while (sl_now() < caller->until && caller->log->count < LOG_MAX) {
        SL_TRY(sl_limiter_acquire(caller->replica.limiter, 1, SL_PRIORITY_NORMAL, NULL));
        caller->log->times[caller->log->count++] = sl_now();
        caller->log->late += sl_now() > caller->until;
    }
    return 0;
}

/* The most in any window that begins with a call. */
static size_t most_in(const struct log *log, sl_time window)
{
    size_t most = 0;
    for (size_t first = 0, last = 0; first < log->count; first++) {
        while (last < log->count && log->times[last] < log->times[first] + window) {
            last++;
        }
        most = last - first > most ? last - first : most;
    }
    return most;
}

C_TEST_REAL_FEW(
    rate_b17_replicas_admit_what_one_would,
    "given 16 replicas that hammer one limit, then together they never exceed it in any window and use 97 % "
    "of it",
    "coordination 2.6.17, 2.6.3")
{
    const struct sl_rate rate = {.count = 1000, .period = SL_SECONDS(5), .burst = 16};
    const sl_time seconds = (sl_time)sl_test_number("SL_LIMIT_SECONDS", 6);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct log *log = sl_calloc(1, sizeof *log);
    struct caller callers[REPLICAS] = {0};
    SL_SCOPE(tasks);
    sl_time begin = sl_now();
    for (int i = 0; i < REPLICAS; i++) {
        CHECK_EQ(make(&scope, kit_url, &rate, &callers[i].replica), 0);
        callers[i].log = log;
        callers[i].until = begin + SL_SECONDS(seconds);
        CHECK_EQ(sl_spawn(&tasks, hammer, &callers[i]), 0);
    }
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    size_t most = most_in(log, rate.period);
    double used = (double)(log->count - log->late) / (double)(seconds * 200);
    uint64_t local = 0, asked = 0;
    for (int i = 0; i < REPLICAS; i++) {
        local += stats_of(&callers[i].replica).local;
        asked += stats_of(&callers[i].replica).asked;
        sl_limiter_free(callers[i].replica.limiter);
    }
    (void)fprintf(stderr, "most in a window: %zu of 1000; used: %.1f %%; %.1f questions a call\n", most, 100 * used,
                  (double)asked / (double)log->count);
    CHECK_EQ(local, 0);
    CHECK(most <= 1000);
    CHECK(used >= 0.97);
    sl_free(log);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b18_clients_clocks_do_not_matter,
                "given a limit, then what is stored is the server's time: no client sends its own",
                "coordination 2.6.18")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(100), .burst = 3, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &one), 0);
    CHECK_GOES(&one, true);
    int64_t stored = 0, now = 0;
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &stored), 0);
    CHECK_EQ(server_now(redis, &now), 0);
    CHECK_BETWEEN((stored - now) / 1000000, 8, 11); /* one interval of 10 s ahead; all digits are there */
    CHECK(stored % 1000 != 0 || stored % 10000 != 0);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b19_clock_goes_back,
                "given a stored time far ahead, as after a clock that was set back, then it blocks for a full burst at "
                "most, and is counted",
                "coordination 2.6.19")
{
    const struct sl_rate rate = {.count = 100, .period = SL_SECONDS(1), .burst = 5, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &one), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "sluice:{test}:limit:0", "9000000000000000"), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_limiter_acquire(one.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    CHECK(sl_now() - before < SL_SECONDS(1));
    CHECK(stats_of(&one).clock_regress >= 1);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b20_script_forgotten, "given a server that forgot the script, then it is sent again, charged once",
                "coordination 2.6.20")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(100), .burst = 3, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &one), 0);
    CHECK_GOES(&one, true);
    CHECK_EQ(sl_redis_do(redis, NULL, "SCRIPT", "FLUSH"), 0);
    CHECK_GOES(&one, true);
    CHECK_GOES(&one, true);
    CHECK_GOES(&one, false);
    CHECK_EQ(stats_of(&one).admitted, 3);
    CHECK_EQ(stats_of(&one).local, 0);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(
    rate_b22_b23_redis_away_and_back,
    "given Redis away, then the own share decides within the timeout and no call is lost; given it back, then "
    "what was admitted meanwhile counts: no second burst",
    "coordination 2.6.22, 2.6.23")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(100), .burst = 4, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {0};
    struct replica one, other;
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    CHECK_EQ(make(&scope, proxy.url, &rate, &one), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &other), 0);
    proxy.refuse = true;
    sl_time before = sl_now();
    CHECK_EQ(sl_limiter_acquire(one.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    CHECK_BETWEEN((sl_now() - before) / 1000000, 0, 400);
    CHECK(stats_of(&one).away);
    CHECK_GOES(&one, true); /* half of 4 */
    CHECK_GOES(&one, false);
    CHECK_EQ(stats_of(&one).local, 2);
    proxy.refuse = false;
    bool went = false;
    while (stats_of(&one).away) {
        CHECK_EQ(replica_goes(&one, 1, &went), 0);
    }
    int more = went;
    for (went = true; went; more += went) {
        CHECK_EQ(replica_goes(&other, 1, &went), 0); /* whose own count knows of nothing */
    }
    CHECK_BETWEEN(more, 1, 2); /* 4 in all */
    sl_limiter_free(one.limiter);
    sl_limiter_free(other.limiter);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(
    rate_b24_block_is_shared_and_told_again,
    "given a block told to one replica, then none goes; a Redis that lost its data is told again, and admits "
    "one burst more at most",
    "coordination 2.6.24")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(100), .burst = 4, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one, other;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &one), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &other), 0);
    CHECK_GOES(&other, true);
    sl_limiter_block(one.limiter, sl_now() + SL_MILLISECONDS(1500), "banned");
    int64_t there = 0;
    while (there == 0) {
        CHECK_EQ(kit_number(redis, "EXISTS", "sluice:{test}:block", &there), 0);
    }
    CHECK_GOES(&other, false);
    struct sl_limiter_info info;
    sl_limiter_info(other.limiter, &info);
    CHECK(info.blocked_until > 0);
    CHECK(strstr(info.reason, "another replica") != NULL);
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    for (there = 0; there == 0;) { /* before it ends: told again by the one who knows */
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        CHECK_EQ(kit_number(redis, "EXISTS", "sluice:{test}:block", &there), 0);
    }
    CHECK_PTTL(redis, "sluice:{test}:block", 1, 1500);
    KIT_UNTIL((sl_limiter_info(other.limiter, &info), info.blocked_until == 0));
    bool went = true;
    int more = 0;
    for (; went; more += went) {
        CHECK_EQ(replica_goes(&other, 1, &went), 0);
    }
    CHECK_BETWEEN(more, 3, 4); /* its own count of the first call stands, Redis' is gone */
    sl_limiter_free(one.limiter);
    sl_limiter_free(other.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b38_idle_key_goes, "given a limit at rest, then its key has gone after its own refill time",
                "coordination 2.6.38")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(1), .burst = 3, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(make(&scope, kit_url, &rate, &one), 0);
    CHECK_GOES(&one, true);
    CHECK_PTTL(redis, "sluice:{test}:limit:0", 1, 102);
    int64_t there = 1;
    while (there == 1) {
        CHECK_EQ(kit_number(redis, "EXISTS", "sluice:{test}:limit:0", &there), 0);
    }
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(shared_limit_errors, "given wrong options, then they are refused; a shared limiter is never tried",
                "issue 5: shared limits")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(1), .burst = 3, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct sl_shared_limit_options options = {.redis = redis, .name = "a{b", .rates = &rate, .rate_count = 1};
    sl_shared_limit *shared = NULL;
    CHECK_EQ(sl_shared_limit_open(&scope, &options, &shared), SL_EINVAL);
    options.name = "right";
    options.share = 1.5;
    CHECK_EQ(sl_shared_limit_open(&scope, &options, &shared), SL_EINVAL);
    options.share = 0;
    options.rate_count = 0;
    CHECK_EQ(sl_shared_limit_open(&scope, &options, &shared), SL_EINVAL);
    struct replica one;
    CHECK_EQ(make(&scope, kit_url, &rate, &one), 0);
    CHECK_EQ(sl_limiter_try_acquire(one.limiter, 1, NULL), SL_EAGAIN);
    sl_permit permit;
    CHECK_EQ(sl_limiter_acquire(one.limiter, 1, SL_PRIORITY_NORMAL, &permit), 0);
    CHECK(!sl_limiter_refund(one.limiter, &permit));
    CHECK_EQ(sl_limiter_acquire(one.limiter, 4, SL_PRIORITY_NORMAL, NULL), SL_EINVAL);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(rate_b17_replicas_admit_what_one_would),
             cmocka_unit_test(rate_b18_clients_clocks_do_not_matter), cmocka_unit_test(rate_b19_clock_goes_back),
             cmocka_unit_test(rate_b20_script_forgotten), cmocka_unit_test(rate_b22_b23_redis_away_and_back),
             cmocka_unit_test(rate_b24_block_is_shared_and_told_again), cmocka_unit_test(rate_b38_idle_key_goes),
             cmocka_unit_test(shared_limit_errors))
