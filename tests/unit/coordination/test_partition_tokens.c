/* SPDX-License-Identifier: MIT */
/* Partitions: what their tokens withstand, and how soon replicas hear of each other. Numbers of coordination 4.6. */
#include <stdlib.h>

#include "partition_kit.h"

static struct redis_process own;

static void stop_own(void)
{
    redis_process_stop(&own);
}

/* A server whose clock can be set, and a client of it. */
static int start_own(sl_scope *scope, sl_redis **ret_redis)
{
    char url[64];
    own = (struct redis_process){.own_clock = true};
    (void)atexit(stop_own);
    CHECK(redis_process_start(&own, NULL));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", own.port);
    return kit_client(scope, url, ret_redis);
}

/* All end in order; no partition had two owners, and none an older token. */
static int end_all(sl_scope *scope, sl_scope *tasks, struct world *world, struct host *hosts, size_t count)
{
    CHECK_EQ(world->doubled + world->stale, 0);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(sl_scope_stop(hosts[i].scope, SL_SECONDS(2)), 0);
    }
    CHECK_EQ(sl_scope_wait(tasks), 0);
    sl_free(world);
    return sl_scope_wait(scope);
}

C_TEST_REAL_FEW(
    partition_f09_clock_and_data,
    "given an owner, when Redis' clock is set back and its data is lost, then the next tokens are larger all "
    "the same: the owner knows the last",
    "coordination 4.6.5, 4.6.9")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    struct sl_partitions_stats stats;
    sl_redis *redis = NULL;
    CHECK_EQ(start_own(&scope, &redis), 0);
    SL_SCOPE(tasks);
    struct host one = HOST(world, redis, "a");
    CHECK_EQ(sl_spawn(&tasks, host, &one), 0);
    KIT_UNTIL(owned(&one.replica) == COUNT);
    *own.shift = -3600;
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    KIT_UNTIL((sl_partitions_stats_get(one.replica.partitions, &stats), stats.lost >= COUNT) && stats.owned == COUNT);
    CHECK_EQ(end_all(&scope, &tasks, world, &one, 1), 0);
    stop_own();
    return 0;
}

C_TEST_REAL_FEW(
    partition_f09_clock_back_after_a_death,
    "given a member and an owner that are dead, when Redis' clock is set back before they expire, then they "
    "are gone as soon as without that",
    "coordination 4.6.9")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    sl_redis *redis = NULL;
    CHECK_EQ(start_own(&scope, &redis), 0);
    SL_SCOPE(tasks);
    struct host one = HOST(world, redis, "a");
    one.replica.ttl = SL_SECONDS(3);
    CHECK_EQ(sl_spawn(&tasks, host, &one), 0);
    KIT_UNTIL(owned(&one.replica) == COUNT);
    CHECK_EQ(
        sl_redis_do(redis, NULL, "EVAL",
                    "local t = redis.call('TIME') redis.call('ZADD', KEYS[1], t[1] * 1000 + 2900, 'dead') return 1",
                    "1", "sluice:{test}:members"),
        0);
    KIT_UNTIL(owned(&one.replica) < COUNT); /* some are the dead one's */
    CHECK_EQ(sl_redis_do(redis, NULL, "EVAL",
                         ("for i = 0, 63 do redis.call('SET', 'sluice:{test}:p:' .. i, 'dead', 'NX', 'PX', '2900') end "
                          "return 1"),
                         "1", "sluice:{test}:p:0"),
             0);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    sl_time since = sl_now();
    *own.shift = -3600;
    KIT_UNTIL(owned(&one.replica) == COUNT);
    /* 900 ms were left of the lease, and the last beat was up to a second ago. */
    CHECK(sl_now() - since < SL_MILLISECONDS(2800));
    CHECK_EQ(end_all(&scope, &tasks, world, &one, 1), 0);
    stop_own();
    return 0;
}

/* A sink that has seen tokens from a time 20 s ahead. */
struct ahead {
    struct replica replica;
    int64_t seen;
    int refused;
    bool accepted;
};

static int serve_ahead(void *arg, const struct sl_partition *partition)
{
    struct ahead *ahead = arg;
    if (partition->fence <= ahead->seen) {
        ahead->refused++;
        return sl_fail(SL_ELOCKLOST, "the sink has seen a newer token");
    }
    ahead->accepted = true;
    return sl_stop_wait();
}

static int run_ahead(void *arg)
{
    struct ahead *ahead = arg;
    return sl_partitions_run(&(struct sl_partitions_options){.backend = SL_PARTITIONS_REDIS,
                                                             .redis = ahead->replica.redis,
                                                             .group = "ahead",
                                                             .count = 1,
                                                             .on_owned = serve_ahead,
                                                             .arg = ahead});
}

C_TEST_REAL_FEW(partition_sink_is_outbid,
                "given a sink that has seen far larger tokens, when it refuses, then the next are larger by more each "
                "time, until it accepts, long before the clock gets there",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct ahead ahead = {.replica = {.redis = redis}, .seen = sl_now_wall() / 1000 + 20000000};
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, run_ahead, &ahead), 0);
    sl_time before = sl_now();
    KIT_UNTIL(ahead.accepted);
    CHECK(sl_now() - before < SL_SECONDS(15));
    CHECK_BETWEEN(ahead.refused, 2, 8); /* 1, 2, 4, 8, 16 seconds above the last */
    CHECK_EQ(sl_scope_stop(&tasks, SL_SECONDS(2)), 0);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(
    partition_newcomer_is_heard,
    "given replicas whose beats are far apart, when one joins, then it has its share long before the next beat", "")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    sl_redis *redis[2] = {NULL, NULL};
    CHECK_EQ(kit_begin(&scope, &redis[0]), 0);
    CHECK_EQ(kit_client(&scope, kit_url, &redis[1]), 0);
    SL_SCOPE(tasks);
    struct host hosts[2] = {HOST(world, redis[0], "a"), HOST(world, redis[1], "b")};
    hosts[0].replica.ttl = hosts[1].replica.ttl = SL_SECONDS(60); /* a beat each 20 s */
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[0]), 0);
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0); /* it listens */
    sl_time before = sl_now();
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[1]), 0);
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT / 2 && owned(&hosts[1].replica) == COUNT / 2);
    CHECK(sl_now() - before < SL_SECONDS(10));
    return end_all(&scope, &tasks, world, hosts, 2);
}

C_TEST_REAL_FEW(partition_f05_others_have_time_to_come_back,
                "given two owners, when Redis loses its data and one of them is slow to find it again, then the other "
                "does not take its share meanwhile",
                "coordination 4.6.5")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {0};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    SL_SCOPE(tasks);
    struct host hosts[2] = {HOST(world, redis, "a"), HOST(world, proxied, "b")};
    hosts[0].replica.ttl = hosts[1].replica.ttl = SL_SECONDS(6);
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[0]), 0);
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[1]), 0);
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT / 2 && owned(&hosts[1].replica) == COUNT / 2);
    struct sl_partitions_stats before, after;
    sl_partitions_stats_get(hosts[0].replica.partitions, &before);
    proxy.mute = true; /* b hears nothing any more, not even that something is new */
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    /* a beats each 2 s, and loses its leases at the next renewals: it takes its share again, and no more. */
    KIT_UNTIL((sl_partitions_stats_get(hosts[0].replica.partitions, &after), after.beats > before.beats));
    CHECK(owned(&hosts[0].replica) <= COUNT / 2);
    sl_time end = sl_now() + SL_MILLISECONDS(500);
    while (sl_now() < end) {
        CHECK(owned(&hosts[0].replica) <= COUNT / 2);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    sl_partitions_stats_get(hosts[0].replica.partitions, &after);
    CHECK_EQ(after.wanted, COUNT / 2);
    proxy.mute = false;
    CHECK_EQ(sl_redis_do(redis, NULL, "CLIENT", "KILL", "TYPE", "normal"), 0); /* b hears again */
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT / 2 && owned(&hosts[1].replica) == COUNT / 2);
    CHECK_EQ(end_all(&scope, &tasks, world, hosts, 2), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(partition_f17_one_slow_owner,
                "given a replica that stops, when one of its owners takes long to end, then the others have its other "
                "partitions meanwhile",
                "coordination 4.6.17")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    sl_redis *redis[2] = {NULL, NULL};
    CHECK_EQ(kit_begin(&scope, &redis[0]), 0);
    CHECK_EQ(kit_client(&scope, kit_url, &redis[1]), 0);
    SL_SCOPE(tasks);
    struct host hosts[2] = {HOST(world, redis[0], "a"), HOST(world, redis[1], "b")};
    hosts[0].replica.drain = SL_SECONDS(3);
    hosts[0].replica.ttl = hosts[1].replica.ttl = SL_SECONDS(60);
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[0]), 0);
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[1]), 0);
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT / 2 && owned(&hosts[1].replica) == COUNT / 2);
    sl_time before = sl_now();
    hosts[0].replica.slow_one = true;
    CHECK_EQ(sl_scope_stop(hosts[0].scope, SL_SECONDS(20)), 0);
    KIT_UNTIL(owned(&hosts[1].replica) >= COUNT - 1);
    CHECK(sl_now() - before < SL_SECONDS(2));
    KIT_UNTIL(owned(&hosts[1].replica) == COUNT);
    CHECK(sl_now() - before >= SL_MILLISECONDS(2900));
    return end_all(&scope, &tasks, world, hosts + 1, 1);
}

SL_TEST_MAIN(cmocka_unit_test(partition_f17_one_slow_owner), cmocka_unit_test(partition_f09_clock_and_data),
             cmocka_unit_test(partition_f09_clock_back_after_a_death), cmocka_unit_test(partition_sink_is_outbid),
             cmocka_unit_test(partition_newcomer_is_heard),
             cmocka_unit_test(partition_f05_others_have_time_to_come_back))
