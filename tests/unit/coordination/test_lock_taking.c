/* SPDX-License-Identifier: MIT */
/* Locks: taking, waiting, keeping. Numbers of coordination 1.4. */
#include "lock_kit.h"

static int try_once(void *arg)
{
    struct kit_holder *holder = arg;
    holder->options.try_only = true;
    int code = kit_hold(holder);
    return code == SL_EBUSY ? 0 : code;
}

C_TEST_REAL_FEW(lock_b01_one_of_many_takes_it, "given a free key, when two clients race, then exactly one takes it",
                "coordination 1.4.1")
{
    SL_SCOPE(scope);
    sl_redis *redis[2] = {NULL, NULL};
    CHECK_EQ(kit_begin(&scope, &redis[0]), 0);
    CHECK_EQ(kit_client(&scope, kit_url, &redis[1]), 0);
    struct kit_holder holders[8];
    SL_SCOPE(tasks);
    for (int i = 0; i < 8; i++) {
        holders[i] = (struct kit_holder)KIT_HOLDER(redis[i % 2], .ttl = SL_SECONDS(5));
        CHECK_EQ(sl_spawn(&tasks, try_once, &holders[i]), 0);
    }
    int taken = 0, busy = 0;
    for (int i = 0; i < 8; i++) {
        KIT_UNTIL(holders[i].code <= 0); /* all have their answer before the first gives it back */
    }
    for (int i = 0; i < 8; i++) {
        taken += holders[i].code == 0;
        busy += holders[i].code == SL_EBUSY;
        sl_event_set(&holders[i].let_go);
    }
    CHECK_EQ(taken, 1);
    CHECK_EQ(busy, 7);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_NUMBER(redis[0], "EXISTS", KEY, 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b02_try_does_not_wait,
                "given a holder, when it is only tried, then it is busy at once and nothing "
                "is subscribed",
                "coordination 1.4.2")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY), 0);
    struct sl_redis_stats before, after;
    sl_redis_stats_get(redis, &before);
    {
        SL_SCOPE(other);
        CHECK_EQ(sl_redis_lock(&other, redis, KEY, .try_only = true), SL_EBUSY);
        CHECK_MESSAGE(KEY);
        CHECK_MESSAGE("someone else");
        sl_redis_stats_get(redis, &after);
    }
    CHECK_EQ(after.commands - before.commands, 2); /* SET, and the script that says why not */
    CHECK_EQ(after.connects, before.connects);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b03_wait_ends_in_time,
                "given a holder and a wait W, when W has passed, then the waiter times out, "
                "not before and not much after",
                "coordination 1.4.3")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY), 0);
    {
        SL_SCOPE(other);
        sl_time before = sl_now();
        CHECK_EQ(sl_redis_lock(&other, redis, KEY, .wait = SL_MILLISECONDS(250)), SL_ETIMEDOUT);
        CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(250), SL_MILLISECONDS(800));
        CHECK_MESSAGE("held by someone else");
    }
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b04_last_attempt_at_the_end,
                "given a wait shorter than the poll, when nobody tells of the release, then a last attempt takes it",
                "coordination 1.4.4, redis-py")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", KEY, "x", "PX", "60000"), 0);
    struct kit_holder waiter = KIT_HOLDER(redis, .wait = SL_MILLISECONDS(300));
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, kit_hold, &waiter), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(150)), 0);
    CHECK_EQ(waiter.code, 1);
    CHECK_EQ(sl_redis_do(redis, NULL, "DEL", KEY), 0); /* not published */
    KIT_UNTIL(waiter.code <= 0);
    CHECK_EQ(waiter.code, 0);
    sl_event_set(&waiter.let_go);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b05_a_release_wakes_the_waiter,
                "given a holder that gives it back, when a waiter listens, then it has it in a round trip",
                "coordination 1.4.5")
{
    SL_SCOPE(scope);
    sl_redis *redis[2] = {NULL, NULL};
    CHECK_EQ(kit_begin(&scope, &redis[0]), 0);
    CHECK_EQ(kit_client(&scope, kit_url, &redis[1]), 0);
    struct kit_holder first = KIT_HOLDER(redis[0], .ttl = SL_SECONDS(60));
    struct kit_holder second = KIT_HOLDER(redis[1], .ttl = SL_SECONDS(60));
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, kit_hold, &first), 0);
    KIT_UNTIL(first.code == 0);
    CHECK_EQ(sl_spawn(&tasks, kit_hold, &second), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0); /* it listens, and its timer is far away */
    CHECK_EQ(second.code, 1);
    sl_time released = sl_now();
    sl_event_set(&first.let_go);
    KIT_UNTIL(second.code <= 0);
    CHECK_BETWEEN(second.since - released, 0, SL_MILLISECONDS(400)); /* its timer: about a second */
    sl_event_set(&second.let_go);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b06_a_dead_holder_is_waited_out,
                "given a holder that is gone, when the TTL has passed, then a waiter has it soon", "coordination 1.4.6")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", KEY, "of-a-dead-process", "PX", "500"), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY), 0);
        CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(490), SL_MILLISECONDS(900));
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(
    lock_b07_without_renewal_it_ends_with_its_ttl,
    "given a lease, then nothing renews it, its work ends before the TTL does, and another takes it on time",
    "coordination 1.4.7")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_proxy proxy = {0};
    sl_redis *proxied = NULL;
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    sl_time before = sl_now();
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = SL_MILLISECONDS(1500), .no_renewal = true), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(1340), SL_MILLISECONDS(1500));
        CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK_EQ(proxy.counts[REDIS_PROXY_RENEW], 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b08_renewed_it_stays, "given a lock held for three times its TTL, then nobody else can take it",
                "coordination 1.4.8")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(900)), 0);
    while (sl_now() < before + SL_MILLISECONDS(2700)) {
        SL_SCOPE(other);
        CHECK_EQ(sl_redis_lock(&other, redis, KEY, .try_only = true), SL_EBUSY);
        CHECK_PTTL(redis, KEY, 1, 900);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    }
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b09_there_is_always_a_ttl, "given no TTL, then the key has the default one all the same",
                "coordination 1.4.9, redis-py #962")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock_with(&inner, redis, KEY, NULL), 0);
    CHECK_PTTL(redis, KEY, 9000, 10000);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b10_no_renewal_after_the_release,
                "given a release, then the delete is the last thing that is sent", "coordination 1.4.10")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {0};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    for (int way = 0; way < 2; way++) {
        SL_SCOPE(inner);
        sl_lock *lock = NULL;
        proxy.counts[REDIS_PROXY_RENEW] = 0;
        CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .ttl = SL_MILLISECONDS(450), .ret_lock = &lock), 0);
        KIT_UNTIL(proxy.counts[REDIS_PROXY_RENEW] >= 2);
        if (way == 0) {
            CHECK_EQ(sl_lock_release(lock), 0);
        } else {
            CHECK_EQ(sl_scope_wait(&inner), 0);
        }
        int renewed = proxy.counts[REDIS_PROXY_RENEW];
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(400)), 0);
        CHECK_EQ(proxy.counts[REDIS_PROXY_RENEW], renewed);
        CHECK_EQ(proxy.last, REDIS_PROXY_GIVE);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(lock_b12_cancelled_in_flight_it_is_given_back,
                "given an attempt whose reply never comes, when it is cancelled, then the key is free again, at once",
                "coordination 1.4.12, redsync: a release under the caller's cancelled context")
{
    static const enum redis_proxy_act acts[] = {REDIS_PROXY_MUTE, REDIS_PROXY_SWALLOW};
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL, *proxied = NULL;
        struct redis_proxy proxy = {.plan = {[REDIS_PROXY_TAKE] = {acts[i]}}};
        CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
        {
            SL_SCOPE(limit, .timeout = SL_MILLISECONDS(50));
            int code = sl_redis_lock(&limit, proxied, KEY, .ttl = SL_SECONDS(60), .try_only = true);
            CHECK_EQ(code, SL_ECANCELED);
            CHECK(proxy.counts[REDIS_PROXY_GIVE] >= 1); /* before the call returned */
            CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
        }
        CHECK_NUMBER(redis, "EXISTS", KEY, 0);
        CHECK_EQ(proxy.counts[REDIS_PROXY_RENEW], 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        redis_proxy_end(&proxy);
    }
    return 0;
}

C_TEST_REAL_FEW(lock_b12_unknown_outcome,
                "given a connection that is cut between the attempt and its reply, then it is "
                "asked for again by its token, and is ours",
                "coordination 4.6.4")
{
    static const enum redis_proxy_act acts[] = {REDIS_PROXY_CUT_BEFORE, REDIS_PROXY_CUT_AFTER};
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL, *proxied = NULL;
        struct redis_proxy proxy = {.plan = {[REDIS_PROXY_TAKE] = {acts[i]}}};
        CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
        {
            SL_SCOPE(inner);
            CHECK_EQ(sl_redis_lock(&inner, proxied, KEY, .try_only = true), 0);
            /* Again; and when it finds the key, the script that knows it as ours. */
            CHECK_EQ(proxy.counts[REDIS_PROXY_TAKE], acts[i] == REDIS_PROXY_CUT_AFTER ? 3 : 2);
            CHECK_EQ(sl_scope_wait(&inner), 0);
        }
        CHECK_NUMBER(redis, "EXISTS", KEY, 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        redis_proxy_end(&proxy);
    }
    return 0;
}

C_TEST_REAL_FEW(lock_b13_a_server_that_forgot,
                "given a server that lost its data while it was held, then the holder "
                "learns of it, and a new lock of the same client is renewed",
                "coordination 1.4.13, Redisson #3194")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_SECONDS(3)), 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
        CHECK_EQ(sl_scope_close(&inner, 0), SL_ELOCKLOST);
    }
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(600)), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1100)), 0);
        CHECK_PTTL(redis, KEY, 1, 600);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b14_no_server_is_not_busy,
                "given a server that is away, then it is an error of the connection, in "
                "time",
                "coordination 1.4.14")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    const struct sl_redis_options options = {.url = "redis://127.0.0.1:1", .timeout = SL_MILLISECONDS(300)};
    CHECK_EQ(sl_redis_open(&scope, &options, &redis), 0);
    sl_time before = sl_now();
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .wait = SL_SECONDS(60)), -ECONNREFUSED);
    }
    CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(250), SL_SECONDS(2)); /* both: the attempt and the release */
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(lock_b01_one_of_many_takes_it), cmocka_unit_test(lock_b02_try_does_not_wait),
             cmocka_unit_test(lock_b03_wait_ends_in_time), cmocka_unit_test(lock_b04_last_attempt_at_the_end),
             cmocka_unit_test(lock_b05_a_release_wakes_the_waiter),
             cmocka_unit_test(lock_b06_a_dead_holder_is_waited_out),
             cmocka_unit_test(lock_b07_without_renewal_it_ends_with_its_ttl),
             cmocka_unit_test(lock_b08_renewed_it_stays), cmocka_unit_test(lock_b09_there_is_always_a_ttl),
             cmocka_unit_test(lock_b10_no_renewal_after_the_release),
             cmocka_unit_test(lock_b12_cancelled_in_flight_it_is_given_back),
             cmocka_unit_test(lock_b12_unknown_outcome), cmocka_unit_test(lock_b13_a_server_that_forgot),
             cmocka_unit_test(lock_b14_no_server_is_not_busy))
