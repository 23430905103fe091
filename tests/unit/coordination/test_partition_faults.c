/* SPDX-License-Identifier: MIT */
/* Partitions and what goes wrong around them: the fault list of coordination 4.6, by its numbers. */
#include <stdlib.h>
#include <string.h>

#include "partition_kit.h"

#define SHORT_TTL SL_MILLISECONDS(1200)

/* Two replicas of which the first is behind the proxy. */
struct two {
    struct redis_proxy proxy;
    struct world *world;
    struct host hosts[2];
    sl_redis *redis;
};

#define EACH_HAS_HALF(two)                                                                                             \
    (owned(&(two)->hosts[0].replica) == COUNT / 2 && owned(&(two)->hosts[1].replica) == COUNT / 2)

static int stop_both(struct host hosts[2])
{
    for (int i = 0; i < 2; i++) {
        SL_TRY(sl_scope_stop(hosts[i].scope, SL_SECONDS(2)));
    }
    KIT_UNTIL(hosts[0].replica.code != 1 && hosts[1].replica.code != 1);
    CHECK_EQ(hosts[0].replica.code, 0);
    CHECK_EQ(hosts[1].replica.code, 0);
    return 0;
}

/* Each has its half; what happens then; each has its half again, nobody had anything twice, and all is given back. */
static int with_two(int (*happens)(struct two *two))
{
    SL_SCOPE(scope);
    struct two two = {.world = sl_calloc(1, sizeof *two.world)};
    sl_redis *proxied = NULL;
    SL_SCOPE(tasks);
    CHECK_EQ(kit_begin_proxied(&scope, &two.proxy, &two.redis, &proxied), 0);
    two.hosts[0] = (struct host)HOST(two.world, proxied, "a");
    two.hosts[1] = (struct host)HOST(two.world, two.redis, "b");
    for (int i = 0; i < 2; i++) {
        two.hosts[i].replica.ttl = SHORT_TTL;
        CHECK_EQ(sl_spawn(&tasks, host, &two.hosts[i]), 0);
    }
    KIT_UNTIL(EACH_HAS_HALF(&two));
    CHECK_EQ(happens(&two), 0);
    KIT_UNTIL(EACH_HAS_HALF(&two));
    CHECK_EQ(two.world->doubled + two.world->stale, 0);
    CHECK_EQ(stop_both(two.hosts), 0);
    for (int i = 0; i < COUNT; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "sluice:{test}:p:%d", i);
        CHECK_NUMBER(two.redis, "EXISTS", key, 0);
    }
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&two.proxy);
    sl_free(two.world);
    return 0;
}

static int is_cut_off(struct two *two)
{
    sl_time before = sl_now();
    two->proxy.deaf = two->proxy.refuse = true;
    KIT_UNTIL(owned(&two->hosts[1].replica) == COUNT);
    CHECK_BETWEEN(sl_now() - before, SHORT_TTL / 2, SHORT_TTL + SL_SECONDS(1));
    CHECK_EQ(owned(&two->hosts[0].replica), 0);
    CHECK_EQ(two->world->doubled + two->world->stale, 0);
    two->proxy.deaf = two->proxy.refuse = false;
    return 0;
}

C_TEST_REAL_FEW(partition_f03_cut_off_from_redis,
                "given a replica that alone does not reach Redis, then it has stopped before another owns its "
                "partitions, and gets its share back afterwards",
                "coordination 4.6.3")
{
    return with_two(is_cut_off);
}

static int hears_nothing(struct two *two)
{
    two->proxy.mute = true;
    KIT_UNTIL(owned(&two->hosts[0].replica) == 0);
    CHECK_EQ(sl_sleep(SHORT_TTL), 0); /* takes whose outcome it cannot know */
    CHECK_EQ(two->world->doubled + two->world->stale, 0);
    two->proxy.mute = false;
    return 0;
}

C_TEST_REAL_FEW(partition_f04_one_way,
                "given a replica whose requests arrive but that gets no replies, then nobody else owns what it thinks "
                "it owns, and what it does not know it has taken is found by its token and given back",
                "coordination 4.6.4")
{
    return with_two(hears_nothing);
}

static int pauses(struct two *two)
{
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_do(two->redis, NULL, "CLIENT", "PAUSE", "2000"), 0);
    KIT_UNTIL(owned(&two->hosts[0].replica) == 0 && owned(&two->hosts[1].replica) == 0);
    CHECK_BETWEEN(sl_now() - before, 0, SHORT_TTL);
    KIT_UNTIL(EACH_HAS_HALF(two));
    CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(1900), SL_MILLISECONDS(2000) + SHORT_TTL + SL_SECONDS(1));
    return 0;
}

C_TEST_REAL_FEW(
    partition_f08_redis_stalls,
    "given a Redis that stops for longer than the TTL, then all stop in time, and all is owned again when it "
    "goes on",
    "coordination 4.6.8")
{
    return with_two(pauses);
}

#define MANY 16
#define FEW 4

static int make_many(sl_scope *scope, sl_scope *tasks, struct world *world, struct host hosts[MANY])
{
    static char names[MANY][16];
    sl_redis *redis[FEW] = {NULL};
    CHECK_EQ(kit_begin(scope, &redis[0]), 0);
    for (int i = 1; i < FEW; i++) {
        CHECK_EQ(kit_client(scope, kit_url, &redis[i]), 0);
    }
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "r%d", i);
        hosts[i] = (struct host)HOST(world, redis[i % FEW], names[i]);
        CHECK_EQ(sl_spawn(tasks, host, &hosts[i]), 0);
    }
    return 0;
}

/* Whether all is owned, and nobody has more than its share. */
static bool is_spread(const struct host *hosts, int count, int running)
{
    uint32_t most = ((uint32_t)COUNT + (uint32_t)running - 1) / (uint32_t)running, sum = 0;
    for (int i = 0; i < count; i++) {
        sum += owned(&hosts[i].replica);
        most = owned(&hosts[i].replica) > most ? 0 : most;
    }
    return sum == COUNT && most > 0;
}

static int taken_by_all(const struct world *world)
{
    int sum = 0;
    for (int i = 0; i < COUNT; i++) {
        sum += world->taken[i];
    }
    return sum;
}

static int stop_some(struct host *hosts, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_EQ(sl_scope_stop(hosts[i].scope, SL_SECONDS(2)), 0);
    }
    for (int i = 0; i < count; i++) {
        KIT_UNTIL(hosts[i].replica.code != 1);
        CHECK_EQ(hosts[i].replica.code, 0);
    }
    return 0;
}

C_TEST_REAL_FEW(partition_f11_churn,
                "given 16 replicas that start together, twelve of which stop together, then all is owned and evenly; "
                "given four that come and go, then no more than half as much again moves as must",
                "coordination 4.6.11")
{
    static const int rounds = 12;
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    SL_SCOPE(tasks);
    struct host hosts[MANY];
    CHECK_EQ(make_many(&scope, &tasks, world, hosts), 0);
    KIT_UNTIL(is_spread(hosts, MANY, MANY));
    CHECK_EQ(stop_some(&hosts[FEW], MANY - FEW), 0);
    KIT_UNTIL(is_spread(hosts, MANY, FEW));
    int before = taken_by_all(world);
    for (int round = 0; round < rounds; round++) {
        struct host *leaver = &hosts[sl_conformance_random() % FEW];
        CHECK_EQ(stop_some(leaver, 1), 0);
        KIT_UNTIL(is_spread(hosts, FEW, FEW - 1));
        leaver->replica.code = 1;
        CHECK_EQ(sl_spawn(&tasks, host, leaver), 0);
        KIT_UNTIL(owned(&leaver->replica) > 0 && is_spread(hosts, FEW, FEW));
    }
    int moves = taken_by_all(world) - before;
    double ideal = rounds * 2.0 * COUNT / FEW; /* each time a quarter leaves, and a quarter comes back */
    (void)fprintf(stderr, "%d moves, %.2f of what must be\n", moves, moves / ideal);
    CHECK(moves <= (int)(1.5 * ideal));
    for (int i = 0; i < COUNT; i++) {
        CHECK(world->ended[i] == 0 || world->gaps[i] < SL_SECONDS(1));
    }
    CHECK_EQ(world->doubled + world->stale, 0);
    CHECK_EQ(stop_some(hosts, FEW), 0);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_NUMBER(hosts[0].replica.redis, "EXISTS", "sluice:{test}:members", 0);
    sl_free(world);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(partition_f13_no_news,
                "given a Redis whose messages do not arrive, then replicas agree all the same, by asking",
                "coordination 4.6.13")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    struct redis_proxy proxy = {.plan = {[REDIS_PROXY_SUBSCRIBE] = {REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW,
                                                                    REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW}}};
    sl_redis *redis = NULL, *proxied[2] = {NULL, NULL};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied[0]), 0);
    CHECK_EQ(kit_client(&scope, proxy.url, &proxied[1]), 0);
    struct host hosts[2] = {HOST(world, proxied[0], "a"), HOST(world, proxied[1], "b")};
    hosts[0].replica.ttl = hosts[1].replica.ttl = SHORT_TTL;
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[0]), 0);
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT);
    sl_time before = sl_now();
    CHECK_EQ(sl_spawn(&tasks, host, &hosts[1]), 0);
    KIT_UNTIL(owned(&hosts[0].replica) == COUNT / 2 && owned(&hosts[1].replica) == COUNT / 2);
    CHECK(sl_now() - before < SL_SECONDS(4)); /* a beat, and the second that a waiter sleeps at most */
    CHECK_EQ(proxy.counts[REDIS_PROXY_SUBSCRIBE] > 0, true);
    CHECK_EQ(world->doubled + world->stale, 0);
    CHECK_EQ(stop_both(hosts), 0);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    sl_free(world);
    return 0;
}

C_TEST_REAL_FEW(
    partition_f17_rollout,
    "given three replicas of which one stops, then what the others own goes on without a gap, and what moves "
    "has one of a few round trips",
    "coordination 4.6.17")
{
    SL_SCOPE(scope);
    struct world *world = sl_calloc(1, sizeof *world);
    sl_redis *redis[REPLICAS] = {NULL};
    CHECK_EQ(kit_begin(&scope, &redis[0]), 0);
    CHECK_EQ(kit_client(&scope, kit_url, &redis[1]), 0);
    CHECK_EQ(kit_client(&scope, kit_url, &redis[2]), 0);
    SL_SCOPE(tasks);
    struct host hosts[REPLICAS] = {HOST(world, redis[0], "a"), HOST(world, redis[1], "b"), HOST(world, redis[2], "c")};
    for (int i = 0; i < REPLICAS; i++) {
        CHECK_EQ(sl_spawn(&tasks, host, &hosts[i]), 0);
    }
    KIT_UNTIL(owned(&hosts[0].replica) >= 20 && owned(&hosts[1].replica) >= 20 && owned(&hosts[2].replica) >= 20 &&
              owned(&hosts[0].replica) + owned(&hosts[1].replica) + owned(&hosts[2].replica) == COUNT);
    int before[COUNT];
    bool moves[COUNT];
    for (int i = 0; i < COUNT; i++) {
        before[i] = world->taken[i];
        moves[i] = sl_partitions_owned(hosts[2].replica.partitions, (uint32_t)i, NULL);
    }
    CHECK_EQ(sl_scope_stop(hosts[2].scope, SL_SECONDS(2)), 0);
    KIT_UNTIL(owned(&hosts[0].replica) + owned(&hosts[1].replica) == COUNT);
    int moved = 0;
    for (int i = 0; i < COUNT; i++) {
        bool was_moved = world->taken[i] != before[i];
        CHECK(!moves[i] || was_moved);
        CHECK(!was_moved || world->gaps[i] < SL_MILLISECONDS(100));
        moved += was_moved;
    }
    CHECK_BETWEEN(moved, 20, 32); /* the leaver's, and what keeps the shares even */
    CHECK_EQ(world->doubled + world->stale, 0);
    CHECK_EQ(sl_scope_stop(hosts[0].scope, SL_SECONDS(2)), 0);
    CHECK_EQ(sl_scope_stop(hosts[1].scope, SL_SECONDS(2)), 0);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    sl_free(world);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(partition_f03_cut_off_from_redis), cmocka_unit_test(partition_f04_one_way),
             cmocka_unit_test(partition_f08_redis_stalls), cmocka_unit_test(partition_f11_churn),
             cmocka_unit_test(partition_f13_no_news), cmocka_unit_test(partition_f17_rollout))
