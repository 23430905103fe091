/* SPDX-License-Identifier: MIT */
/* Locks: giving back, losing, extending. Numbers of coordination 1.4. */
#include "lock_kit.h"

/* A lock that another has by now (`other`), or that has expired. */
static int take_away(sl_redis *redis, const char *other)
{
    return other != NULL ? sl_redis_do(redis, NULL, "SET", KEY, other, "PX", "60000")
                         : sl_redis_do(redis, NULL, "DEL", KEY);
}

C_TEST_REAL_FEW(lock_b15_anothers_lock_stays,
                "given an expired lock that is B's now, when A gives it back, then B's key "
                "is untouched and A is told",
                "coordination 1.4.15")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    CHECK_EQ(take_away(redis, "b"), 0);
    CHECK_EQ(sl_lock_release(lock), SL_ELOCKLOST);
    CHECK_MESSAGE("release:");
    CHECK_MESSAGE("is someone else's");
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_do(redis, &reply, "GET", KEY), 0);
    CHECK_STRING(sl_redis_reply_value(reply).text, "b");
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b16_an_expired_lock_is_told_apart,
                "given an expired and free key, when it is given back, then the "
                "error says so",
                "coordination 1.4.16, redsync #107: errors name the operation")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    CHECK_EQ(take_away(redis, NULL), 0);
    CHECK_EQ(sl_lock_release(lock), SL_ELOCKLOST);
    CHECK_MESSAGE("release:");
    CHECK_MESSAGE("had expired");
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b17_given_back_twice,
                "given a lock that was given back, when it is again, then it is an error and "
                "nothing is sent",
                "coordination 1.4.17")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    CHECK_EQ(sl_lock_release(lock), 0);
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(take_away(redis, "b"), 0);
    struct sl_redis_stats before, after;
    sl_redis_stats_get(redis, &before);
    CHECK_EQ(sl_lock_release(lock), SL_EALREADY);
    CHECK_EQ(sl_scope_wait(&inner), 0); /* nor by the scope */
    sl_redis_stats_get(redis, &after);
    CHECK_EQ(after.commands, before.commands);
    CHECK_NUMBER(redis, "EXISTS", KEY, 1);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b18_a_cancelled_release_can_be_repeated,
                "given a release that was cancelled midway, then the token "
                "is kept and it can be done again",
                "coordination 1.4.18, redis-py #3847")
{
    for (int way = 0; way < 2; way++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL, *proxied = NULL;
        struct redis_proxy proxy = {.plan = {[REDIS_PROXY_GIVE] = {REDIS_PROXY_SWALLOW}}};
        CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
        SL_SCOPE(inner);
        sl_lock *lock = NULL;
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ret_lock = &lock), 0);
        {
            SL_SCOPE(limit, .timeout = SL_MILLISECONDS(30));
            CHECK_EQ(sl_scope_close(&limit, sl_lock_release(lock)), SL_ETIMEDOUT);
        }
        CHECK_NUMBER(redis, "EXISTS", KEY, 1);
        if (way == 0) {
            CHECK_EQ(sl_lock_release(lock), 0);
            CHECK_NUMBER(redis, "EXISTS", KEY, 0);
        }
        CHECK_EQ(sl_scope_wait(&inner), 0); /* or the scope does */
        CHECK_NUMBER(redis, "EXISTS", KEY, 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        redis_proxy_end(&proxy);
    }
    return 0;
}

C_TEST_REAL_FEW(lock_b19_a_failed_release_can_be_repeated,
                "given a release that met a broken connection, then the token "
                "is kept",
                "coordination 1.4.19")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {.plan = {[REDIS_PROXY_GIVE] = {REDIS_PROXY_CUT_BEFORE}}};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ret_lock = &lock), 0);
    proxy.refuse = true;
    int code = sl_lock_release(lock);
    CHECK(code < 0 && code != SL_ELOCKLOST && code != SL_EALREADY);
    CHECK_NUMBER(redis, "EXISTS", KEY, 1);
    proxy.refuse = false;
    CHECK_EQ(sl_lock_release(lock), 0);
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b20_not_ours_is_the_end,
                "given a release that was told it is another's, then nothing is left to "
                "give back",
                "coordination 1.4.20")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    CHECK_EQ(take_away(redis, "b"), 0);
    CHECK_EQ(sl_lock_release(lock), SL_ELOCKLOST);
    CHECK_EQ(sl_lock_release(lock), SL_EALREADY);
    CHECK_EQ(sl_lock_left(lock), 0);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b21_the_bodys_error_goes_first,
                "given a body that failed and a release that fails too, then the "
                "body's error is the scope's, with the other beside it",
                "coordination 1.4.21")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY), 0);
        CHECK_EQ(take_away(redis, "b"), 0);
        CHECK_EQ(sl_scope_close(&inner, sl_fail(SL_ERANGE, "the body")), SL_ERANGE);
        CHECK(sl_error_has(sl_error_last(), SL_ERANGE));
        CHECK(sl_error_has(sl_error_last(), SL_ELOCKLOST));
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b22_loss_shows_at_the_end,
                "given a lock lost and a body that finished well, then the scope's end "
                "says so, unless it is told not to",
                "coordination 1.4.22, Redisson #2292")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    for (int way = 0; way < 2; way++) {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .loss_is_no_error = way == 1), 0);
        CHECK_EQ(take_away(redis, NULL), 0);
        CHECK_EQ(sl_scope_close(&inner, 0), way == 1 ? 0 : SL_ELOCKLOST);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b23_extending_what_is_not_held,
                "given a lock that is not held, when it is extended, then that is "
                "refused here",
                "coordination 1.4.23")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    CHECK_EQ(sl_lock_extend(lock, 0), SL_EINVAL);
    CHECK_EQ(sl_lock_extend(lock, -1), SL_EINVAL);
    CHECK_EQ(sl_lock_extend(lock, SL_NEVER), SL_EINVAL);
    CHECK_EQ(sl_lock_set_ttl(lock, SL_MILLISECONDS(99)), SL_EINVAL);
    CHECK_EQ(sl_lock_release(lock), 0);
    struct sl_redis_stats before, after;
    sl_redis_stats_get(redis, &before);
    CHECK_EQ(sl_lock_extend(lock, SL_SECONDS(1)), SL_EALREADY);
    CHECK_MESSAGE("extend:");
    sl_redis_stats_get(redis, &after);
    CHECK_EQ(after.commands, before.commands);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b24_adding_and_setting, "given an extension, then the TTL is old + n, or n", "coordination 1.4.24")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_SECONDS(10), .ret_lock = &lock), 0);
    CHECK_EQ(sl_lock_extend(lock, SL_SECONDS(20)), 0);
    CHECK_PTTL(redis, KEY, 29000, 30000);
    CHECK_BETWEEN(sl_lock_left(lock), SL_SECONDS(28), SL_SECONDS(29));
    CHECK_EQ(sl_lock_set_ttl(lock, SL_SECONDS(7)), 0);
    CHECK_PTTL(redis, KEY, 6500, 7000);
    CHECK_BETWEEN(sl_lock_left(lock), SL_SECONDS(6), SL_MILLISECONDS(6300));
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b25_extending_anothers,
                "given a key that is another's, when it is extended, then that fails and "
                "its TTL stays",
                "coordination 1.4.25")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    CHECK_EQ(take_away(redis, "b"), 0);
    CHECK_EQ(sl_lock_set_ttl(lock, SL_SECONDS(1)), SL_ELOCKLOST);
    CHECK_MESSAGE("extend:");
    CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
    CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    CHECK_PTTL(redis, KEY, 59000, 60000);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b26_a_renewal_is_tried_again,
                "given renewals that fail on the wire, then a later one keeps the lock",
                "coordination 1.4.26, Redisson #775")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {
        .plan = {[REDIS_PROXY_RENEW] = {REDIS_PROXY_CUT_BEFORE, REDIS_PROXY_MUTE, REDIS_PROXY_CUT_AFTER}}};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    {
        SL_SCOPE(inner);
        sl_lock *lock = NULL;
        sl_time before = sl_now();
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = SL_MILLISECONDS(1200), .ret_lock = &lock), 0);
        while (sl_now() < before + SL_MILLISECONDS(2500)) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
        }
        CHECK(proxy.counts[REDIS_PROXY_RENEW] >= 5);
        CHECK(sl_lock_left(lock) > 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b27_the_last_failure_shows,
                "given an extension that the wire never lets through, then its error is "
                "the wire's",
                "coordination 1.4.27")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {.plan = {[REDIS_PROXY_RENEW] = {REDIS_PROXY_CUT_BEFORE}}};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = SL_SECONDS(60), .ret_lock = &lock), 0);
    proxy.refuse = true;
    int code = sl_lock_extend(lock, SL_SECONDS(1));
    CHECK(code == SL_ECONNRESET || code == SL_EOF || code == SL_ETIMEDOUT);
    proxy.refuse = false;
    CHECK_EQ(sl_scope_wait(&inner), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b28_not_ours_ends_it_at_once,
                "given a renewal that is told it is another's, then the work ends at "
                "once, nothing is renewed again, and the key stays as it is",
                "coordination 1.4.28, redlock-rb #36: a renewal never makes the key again")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {0};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = SL_MILLISECONDS(1500)), 0);
        KIT_UNTIL(proxy.counts[REDIS_PROXY_RENEW] == 1);
        sl_time before = sl_now();
        CHECK_EQ(take_away(redis, NULL), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK(sl_now() - before < SL_MILLISECONDS(1000)); /* the next renewal, not the deadline */
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK_EQ(proxy.counts[REDIS_PROXY_RENEW], 2);
    CHECK_EQ(proxy.counts[REDIS_PROXY_GIVE], 0);
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b29_the_callers_deadline,
                "given a deadline of the caller's while it waits, then the code is the "
                "deadline's, and the story says what for",
                "coordination 1.4.29")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY), 0);
    {
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(60));
        int code = sl_redis_lock(&limit, redis, KEY);
        CHECK_EQ(code, SL_ECANCELED);
        CHECK_MESSAGE("waiting for lock '" KEY "'");
        CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
    }
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_silent_server_ends_the_work_in_time,
                "given renewals that nobody answers, then the scope is "
                "cancelled before the key expires",
                "coordination 1.3, 4.6.3")
{
    const sl_time ttl = SL_MILLISECONDS(1500);
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {.plan = {[REDIS_PROXY_RENEW] = {REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW,
                                                                REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW}}};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    {
        SL_SCOPE(inner);
        sl_time before = sl_now();
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = ttl), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_BETWEEN(sl_now() - before, ttl / 10 * 8, ttl);
        CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK(proxy.counts[REDIS_PROXY_RENEW] > 1);
    CHECK(proxy.counts[REDIS_PROXY_GIVE] >= 1);
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b35_late_answer_is_no_lock,
                "given an answer that comes when the TTL is over, then it is given back and "
                "asked for again",
                "coordination 1.4.35")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {.plan = {[REDIS_PROXY_TAKE] = {REDIS_PROXY_DELAY}}, .delay = SL_MILLISECONDS(400)};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = SL_MILLISECONDS(300)), 0);
        CHECK_EQ(proxy.counts[REDIS_PROXY_TAKE], 2);
        CHECK_EQ(proxy.counts[REDIS_PROXY_GIVE], 1);
        CHECK_EQ(sl_scope_close(&inner, 0), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(lock_b15_anothers_lock_stays), cmocka_unit_test(lock_b16_an_expired_lock_is_told_apart),
             cmocka_unit_test(lock_b17_given_back_twice),
             cmocka_unit_test(lock_b18_a_cancelled_release_can_be_repeated),
             cmocka_unit_test(lock_b19_a_failed_release_can_be_repeated),
             cmocka_unit_test(lock_b20_not_ours_is_the_end), cmocka_unit_test(lock_b21_the_bodys_error_goes_first),
             cmocka_unit_test(lock_b22_loss_shows_at_the_end), cmocka_unit_test(lock_b23_extending_what_is_not_held),
             cmocka_unit_test(lock_b24_adding_and_setting), cmocka_unit_test(lock_b25_extending_anothers),
             cmocka_unit_test(lock_b26_a_renewal_is_tried_again), cmocka_unit_test(lock_b27_the_last_failure_shows),
             cmocka_unit_test(lock_b28_not_ours_ends_it_at_once), cmocka_unit_test(lock_b29_the_callers_deadline),
             cmocka_unit_test(lock_silent_server_ends_the_work_in_time),
             cmocka_unit_test(lock_b35_late_answer_is_no_lock))
