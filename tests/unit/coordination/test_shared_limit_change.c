/* SPDX-License-Identifier: MIT */
/* Shared limits that change while they are in use: coordination 2.6.25 to 2.6.29. */
#include "limit_kit.h"

#define WHOLE SL_SECONDS(10000) /* nothing comes back while a test runs */

static struct sl_rate bucket(uint64_t count)
{
    return (struct sl_rate){.count = count, .period = WHOLE, .burst = count, .bucket = true};
}

/* Two replicas of a limit of which `used` are used up. */
static int used_by_two(sl_scope *scope, const struct sl_rate *rate, uint64_t used, sl_redis **ret_redis,
                       struct replica two[2])
{
    bool went = false;
    SL_TRY(kit_begin(scope, ret_redis));
    SL_TRY(replica_make(scope, kit_url, rate, 1, &two[0]));
    SL_TRY(replica_make(scope, kit_url, rate, 1, &two[1]));
    SL_TRY(used == 0 ? 0 : replica_goes(&two[0], used, &went));
    CHECK(used == 0 || went);
    return 0;
}

static int close_two(sl_scope *scope, struct replica two[2])
{
    sl_limiter_free(two[0].limiter);
    sl_limiter_free(two[1].limiter);
    return sl_scope_wait(scope);
}

/* How many may go at once of a bucket of `count`, as Redis has it. */
static int left_of(sl_redis *redis, uint64_t count, int64_t *ret_left)
{
    int64_t stored = 0, now = 0;
    int64_t step = WHOLE / (int64_t)count / 1000 * 201 / 200;
    SL_TRY(stored_us(redis, LIMIT_KEY, &stored));
    SL_TRY(server_now(redis, &now));
    int64_t debt = stored > now ? stored - now : 0;
    *ret_left = ((int64_t)count * step - debt + step / 100) / step; /* what came back meanwhile is less than that */
    return 0;
}

/* Until Redis has been told. */
static int await_revision(sl_redis *redis, const char *revision)
{
    for (;;) {
        sl_auto(sl_redis_reply) *reply = NULL;
        SL_TRY(sl_redis_do(redis, &reply, "GET", "sluice:{test}:rates"));
        struct sl_redis_value value = sl_redis_reply_value(reply);
        size_t length = strlen(revision);
        if (strncmp(value.text, revision, length) == 0 && value.text[length] == ' ') {
            return 0;
        }
    }
}

static int carry_case(uint64_t count, enum sl_rates_carry carry, int64_t expected)
{
    const struct sl_rate before = bucket(100), after = bucket(count);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    CHECK_EQ(used_by_two(&scope, &before, 60, &redis, two), 0);
    CHECK_EQ(sl_limiter_change(two[0].limiter, &after, 1, carry, 7), 0);
    CHECK_EQ(await_revision(redis, "7"), 0);
    int64_t left = 0;
    CHECK_EQ(left_of(redis, count, &left), 0);
    CHECK_EQ(left, expected);
    /* The other one learns of it when it asks. */
    CHECK_COST_GOES(&two[1], 3, true);
    struct sl_rate_state state;
    CHECK_EQ(sl_limiter_look(two[1].limiter, 0, &state), 0);
    CHECK_EQ(state.rate.count, count);
    CHECK_EQ(state.rate.burst, count);
    CHECK(state.rate.bucket);
    CHECK_EQ(left_of(redis, count, &left), 0);
    CHECK_EQ(left, expected - 3);
    return close_two(&scope, two);
}

C_TEST_REAL_FEW(rate_b27_shared_proportional,
                "given 40 of 100 left in Redis, when the limit is 200, then 80 are; when it is 20, then 8",
                "coordination 2.6.27")
{
    CHECK_EQ(carry_case(200, SL_CARRY_PROPORTIONAL, 80), 0);
    return carry_case(20, SL_CARRY_PROPORTIONAL, 8);
}

C_TEST_REAL_FEW(rate_b28_shared_other_carries,
                "given 40 of 100 left in Redis, then they are carried over as it is said", "coordination 2.6.28")
{
    CHECK_EQ(carry_case(20, SL_CARRY_AS_IS, 20), 0);
    CHECK_EQ(carry_case(200, SL_CARRY_AS_IS, 40), 0);
    CHECK_EQ(carry_case(200, SL_CARRY_ADDITIVE, 140), 0);
    return carry_case(200, SL_CARRY_RESET, 200);
}

C_TEST_REAL_FEW(rate_b29_shared_revisions,
                "given revisions, then the newest holds for all; an older one is refused, or given up; a Redis that "
                "forgot is told again",
                "coordination 2.6.29")
{
    const struct sl_rate first = bucket(100), second = bucket(50), third = bucket(10);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    struct sl_rate_state state;
    CHECK_EQ(used_by_two(&scope, &first, 0, &redis, two), 0);
    CHECK_EQ(sl_limiter_change(two[0].limiter, &second, 1, SL_CARRY_PROPORTIONAL, 5), 0);
    CHECK_EQ(await_revision(redis, "5"), 0);
    CHECK_EQ(sl_limiter_change(two[0].limiter, &third, 1, SL_CARRY_PROPORTIONAL, 5), SL_EALREADY);
    /* The other does not know of it yet, and has an older one: Redis' wins. */
    CHECK_EQ(sl_limiter_change(two[1].limiter, &third, 1, SL_CARRY_PROPORTIONAL, 4), 0);
    CHECK_GOES(&two[1], true);
    CHECK_EQ(sl_limiter_look(two[1].limiter, 0, &state), 0);
    CHECK_EQ(state.rate.count, 50);
    /* Without a number it is the next one. */
    CHECK_EQ(sl_limiter_change(two[1].limiter, &third, 1, SL_CARRY_PROPORTIONAL, 0), 0);
    CHECK_EQ(await_revision(redis, "6"), 0);
    CHECK_GOES(&two[0], true);
    CHECK_EQ(sl_limiter_look(two[0].limiter, 0, &state), 0);
    CHECK_EQ(state.rate.count, 10);
    CHECK_EQ(sl_limiter_change(two[0].limiter, NULL, 0, SL_CARRY_PROPORTIONAL, 0), SL_EINVAL);
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    CHECK_GOES(&two[0], true);
    CHECK_EQ(await_revision(redis, "6"), 0);
    /* A replica that starts with the limits of old takes the newer ones over. */
    struct replica late = {0};
    CHECK_EQ(replica_make(&scope, kit_url, &first, 1, &late), 0);
    CHECK_GOES(&late, true);
    CHECK_EQ(sl_limiter_look(late.limiter, 0, &state), 0);
    CHECK_EQ(state.rate.count, 10);
    CHECK_EQ(stats_of(&late).local + stats_of(&two[0]).local + stats_of(&two[1]).local, 0);
    /* What stands there and is no such thing is an error, after which the own share goes on. */
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "sluice:{test}:rates", "9 0 1 5 nonsense"), 0);
    CHECK_GOES(&late, true);
    CHECK_EQ(stats_of(&late).local, 1);
    sl_limiter_free(late.limiter);
    return close_two(&scope, two);
}

C_TEST_REAL_FEW(
    rate_b29_two_tell_at_once,
    "given two replicas with newer limits, when the one with the older of them comes second, then Redis keeps "
    "the newest, and the second takes it over",
    "coordination 2.6.29")
{
    const struct sl_rate first = bucket(100), second = bucket(50), third = bucket(10);
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {.delay = SL_MILLISECONDS(700)};
    struct replica two[2] = {{0}, {.timeout = SL_SECONDS(10)}};
    struct sl_rate_state state;
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    CHECK_EQ(replica_make(&scope, kit_url, &first, 1, &two[0]), 0);
    CHECK_EQ(replica_make(&scope, proxy.url, &first, 1, &two[1]), 0);
    CHECK_GOES(&two[0], true);
    CHECK_GOES(&two[1], true);
    proxy.counts[REDIS_PROXY_OTHER] = 0;
    proxy.plan[REDIS_PROXY_OTHER][0] = REDIS_PROXY_DELAY; /* that Redis has the first still, and then it has not */
    CHECK_EQ(sl_limiter_change(two[1].limiter, &third, 1, SL_CARRY_PROPORTIONAL, 4), 0);
    KIT_UNTIL(proxy.counts[REDIS_PROXY_OTHER] == 1);
    CHECK_EQ(sl_limiter_change(two[0].limiter, &second, 1, SL_CARRY_PROPORTIONAL, 5), 0);
    CHECK_EQ(await_revision(redis, "5"), 0);
    KIT_UNTIL(proxy.counts[REDIS_PROXY_OTHER] >= 2); /* it tells Redis of the older */
    CHECK_GOES(&two[1], true);
    CHECK_EQ(sl_limiter_look(two[1].limiter, 0, &state), 0);
    CHECK_EQ(state.rate.count, 50);
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_do(redis, &reply, "GET", "sluice:{test}:rates"), 0);
    CHECK(strncmp(sl_redis_reply_value(reply).text, "5 ", 2) == 0);
    CHECK_EQ(close_two(&scope, two), 0);
    redis_proxy_end(&proxy);
    return 0;
}

struct waiter {
    const struct replica *replica;
    int code; /* 1: it waits */
    sl_time ended;
};

static int wait_for_it(void *arg)
{
    struct waiter *waiter = arg;
    waiter->code = sl_limiter_acquire(waiter->replica->limiter, 1, SL_PRIORITY_NORMAL, NULL);
    waiter->ended = sl_now();
    return waiter->code == SL_ECANCELED ? 0 : waiter->code;
}

C_TEST_REAL_FEW(rate_b25_shared_lowered_while_waiting,
                "given one that waits, when another replica lowers the limit, then it does not go before its new time",
                "coordination 2.6.25")
{
    const struct sl_rate before = {.count = 10, .period = SL_SECONDS(5), .burst = 1, .bucket = true};
    const struct sl_rate after = {.count = 10, .period = SL_SECONDS(20), .burst = 1, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    CHECK_EQ(used_by_two(&scope, &before, 1, &redis, two), 0);
    SL_SCOPE(tasks);
    struct waiter waiter = {.replica = &two[1], .code = 1};
    sl_time began = sl_now();
    CHECK_EQ(sl_spawn(&tasks, wait_for_it, &waiter), 0);
    KIT_UNTIL(stats_of(&two[1]).refused > 0);
    CHECK_EQ(sl_limiter_change(two[0].limiter, &after, 1, SL_CARRY_AS_IS, 1), 0);
    KIT_UNTIL(waiter.code != 1);
    CHECK_EQ(waiter.code, 0);
    CHECK_BETWEEN(waiter.ended - began, SL_MILLISECONDS(1990), SL_SECONDS(4));
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    return close_two(&scope, two);
}

C_TEST_REAL_FEW(rate_b26_shared_raised_while_waiting,
                "given one that waits long, when another replica raises the limit, then it goes soon",
                "coordination 2.6.26")
{
    const struct sl_rate before = {.count = 10, .period = SL_SECONDS(500), .burst = 1, .bucket = true};
    const struct sl_rate after = {.count = 10, .period = SL_SECONDS(1), .burst = 1, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    CHECK_EQ(used_by_two(&scope, &before, 1, &redis, two), 0);
    SL_SCOPE(tasks);
    struct waiter waiter = {.replica = &two[1], .code = 1};
    CHECK_EQ(sl_spawn(&tasks, wait_for_it, &waiter), 0);
    KIT_UNTIL(stats_of(&two[1]).refused > 0);
    sl_time changed = sl_now();
    CHECK_EQ(sl_limiter_change(two[0].limiter, &after, 1, SL_CARRY_PROPORTIONAL, 1), 0);
    KIT_UNTIL(waiter.code != 1);
    CHECK_EQ(waiter.code, 0);
    CHECK_BETWEEN(waiter.ended - changed, 0, SL_MILLISECONDS(2500)); /* it looks again after a second */
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    return close_two(&scope, two);
}

C_TEST_REAL_FEW(shared_limits_several_change,
                "given several limits, then each is carried over from that of its period, wherever it stands, and one "
                "that is gone leaves nothing",
                "coordination 2.4")
{
    struct sl_rate before[] = {bucket(100),
                               {.count = 50, .period = WHOLE / 2, .burst = 50, .bucket = true, .per_call = true}};
    struct sl_rate after[] = {before[1], bucket(200), {.count = 9, .period = WHOLE / 3, .burst = 9, .bucket = true}};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(replica_make(&scope, kit_url, before, 2, &one), 0);
    CHECK_COST_GOES(&one, 60, true);
    CHECK_EQ(sl_limiter_change(one.limiter, after, 3, SL_CARRY_PROPORTIONAL, 1), 0);
    CHECK_EQ(await_revision(redis, "1"), 0);
    int64_t calls = 0, weight = 0, fresh = 0, now = 0;
    CHECK_EQ(stored_us(redis, "sluice:{test}:limit:0", &calls), 0);
    CHECK_EQ(stored_us(redis, "sluice:{test}:limit:1", &weight), 0);
    CHECK_EQ(stored_us(redis, "sluice:{test}:limit:2", &fresh), 0);
    CHECK_EQ(server_now(redis, &now), 0);
    CHECK_BETWEEN((calls - now) / 1000000, 99, 101);     /* one of 50 in 5000 s */
    CHECK_BETWEEN((weight - now) / 1000000, 6027, 6031); /* 120 of 200 in 10000 s, and half a percent */
    CHECK_EQ(fresh, 0);
    CHECK_EQ(sl_limiter_change(one.limiter, &after[1], 1, SL_CARRY_PROPORTIONAL, 2), 0);
    CHECK_EQ(await_revision(redis, "2"), 0);
    CHECK_NUMBER(redis, "EXISTS", "sluice:{test}:limit:1", 0);
    CHECK_EQ(stored_us(redis, "sluice:{test}:limit:0", &weight), 0);
    CHECK_BETWEEN((weight - now) / 1000000, 6027, 6032);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(rate_b25_shared_lowered_while_waiting),
             cmocka_unit_test(rate_b26_shared_raised_while_waiting), cmocka_unit_test(rate_b27_shared_proportional),
             cmocka_unit_test(rate_b28_shared_other_carries), cmocka_unit_test(rate_b29_shared_revisions),
             cmocka_unit_test(rate_b29_two_tell_at_once), cmocka_unit_test(shared_limits_several_change))
