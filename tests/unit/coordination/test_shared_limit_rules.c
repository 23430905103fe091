/* SPDX-License-Identifier: MIT */
/* The rules of limits, shared through a Redis: numbers of coordination 2.6 that test_shared_limit.c has not. */
#include <strings.h>

#include "limit_kit.h"

/* Slow enough that nothing comes back while a test runs. */
#define STILL(burst_)                                                                                                  \
    {                                                                                                                  \
        .count = 100, .period = SL_SECONDS(10000), .burst = (burst_), .bucket = true                                   \
    }

static int one_replica(sl_scope *scope, const struct sl_rate *rate, sl_redis **ret_redis, struct replica *one)
{
    SL_TRY(kit_begin(scope, ret_redis));
    return replica_make(scope, kit_url, rate, 1, one);
}

static int two_replicas(sl_scope *scope, const struct sl_rate *rate, sl_redis **ret_redis, struct replica two[2])
{
    SL_TRY(one_replica(scope, rate, ret_redis, &two[0]));
    return replica_make(scope, kit_url, rate, 1, &two[1]);
}

C_TEST_REAL_FEW(rate_b01_shared_burst_from_idle,
                "given a burst b at rest, then exactly b calls pass, from whichever replica", "coordination 2.6.1")
{
    const struct sl_rate rate = STILL(3);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    CHECK_EQ(two_replicas(&scope, &rate, &redis, two), 0);
    CHECK_GOES(&two[0], true);
    CHECK_GOES(&two[1], true);
    CHECK_GOES(&two[0], true);
    CHECK_GOES(&two[0], false);
    CHECK_GOES(&two[1], false);
    sl_limiter_free(two[0].limiter);
    sl_limiter_free(two[1].limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b02_shared_steady_load, "given one that always wants, then it gets b and one an interval",
                "coordination 2.6.2")
{
    const struct sl_rate rate = {.count = 100, .period = SL_SECONDS(1), .burst = 10, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &one), 0);
    sl_time begin = sl_now();
    int count = 0;
    while (sl_now() - begin < SL_SECONDS(2)) {
        CHECK_EQ(sl_limiter_acquire(one.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
        count++;
    }
    int due = 10 + (int)((sl_now() - begin) / SL_MICROSECONDS(10050)); /* half a percent is left free */
    CHECK_BETWEEN(count, due - 10, due + 1); /* what a stop of the machine takes away, the burst gives back */
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b04_shared_idle_time,
                "given a rest longer than the burst takes to come back, then b pass, no more", "coordination 2.6.4")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(2), .burst = 2, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &one), 0);
    for (int round = 0; round < 2; round++) {
        CHECK_GOES(&one, true);
        CHECK_GOES(&one, true);
        CHECK_GOES(&one, false);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1200)), 0); /* six intervals */
    }
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b05_b06_shared_denied_and_peeked,
                "given a question that is denied, or for nothing, then Redis has what it had",
                "coordination 2.6.5, 2.6.6")
{
    const struct sl_rate rate = STILL(2);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &one), 0);
    sl_time wait = -1;
    int64_t before = 0, after = 0;
    CHECK_EQ(replica_book(&one, 0, &wait), 0);
    CHECK_EQ(wait, 0);
    CHECK_NUMBER(redis, "EXISTS", LIMIT_KEY, 0);
    CHECK_GOES(&one, true);
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &before), 0);
    CHECK_EQ(replica_book(&one, 0, &wait), 0);
    CHECK_EQ(wait, 0);
    CHECK_EQ(replica_book(&one, 2, &wait), 0);
    CHECK(wait > 0);
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &after), 0);
    CHECK_EQ(after, before);
    CHECK_GOES(&one, true);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b07_b08_shared_costs,
                "given costs, then one of b passes only when all is there, more than b never, and the sum counts",
                "coordination 2.6.7, 2.6.8")
{
    const struct sl_rate rate = STILL(5);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    CHECK_EQ(two_replicas(&scope, &rate, &redis, two), 0);
    CHECK_EQ(sl_limiter_acquire(two[0].limiter, 6, SL_PRIORITY_NORMAL, NULL), SL_EINVAL);
    CHECK_COST_GOES(&two[0], 5, true);
    CHECK_COST_GOES(&two[1], 1, false);
    CHECK_EQ(sl_redis_do(redis, NULL, "DEL", LIMIT_KEY), 0);
    CHECK_COST_GOES(&two[1], 2, true);
    CHECK_COST_GOES(&two[1], 5, false);
    sl_time wait = 0;
    CHECK_EQ(replica_book(&two[0], 4, &wait), 0);
    CHECK(wait > 0);
    CHECK_EQ(replica_book(&two[0], 3, &wait), 0); /* 2 + 3 */
    CHECK_EQ(wait, 0);
    CHECK_EQ(replica_book(&two[0], 1, &wait), 0);
    CHECK(wait > 0);
    sl_limiter_free(two[0].limiter);
    sl_limiter_free(two[1].limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b09_shared_all_or_nothing, "given two limits of which one denies, then the other is not charged",
                "coordination 2.6.9")
{
    const struct sl_rate rates[] = {STILL(4), STILL(1)};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(replica_make(&scope, kit_url, rates, 2, &one), 0);
    sl_time wait = -1;
    int64_t before = 0, after = 0;
    CHECK_EQ(replica_book(&one, 1, &wait), 0);
    CHECK_EQ(wait, 0);
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &before), 0);
    CHECK_EQ(replica_book(&one, 1, &wait), 0);
    CHECK(wait > 0);
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &after), 0);
    CHECK_EQ(after, before);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b10_shared_wait_is_exact,
                "given a wait that Redis tells, then it ends when the call fits, to the microsecond",
                "coordination 2.6.10")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(5), .burst = 1, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &one), 0);
    sl_time wait = 0;
    int64_t free_at = 0, before = 0, after = 0;
    CHECK_EQ(replica_book(&one, 1, &wait), 0);
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &free_at), 0); /* with a burst of 1: when it is at rest */
    CHECK_EQ(server_now(redis, &before), 0);
    CHECK_EQ(replica_book(&one, 1, &wait), 0);
    CHECK_EQ(server_now(redis, &after), 0);
    CHECK_BETWEEN(wait / 1000, free_at - after, free_at - before);
    while (before < free_at) {
        CHECK_EQ(replica_book(&one, 0, &wait), 0);
        CHECK_EQ(server_now(redis, &before), 0);
    }
    CHECK_EQ(replica_book(&one, 1, &wait), 0);
    CHECK_EQ(wait, 0);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b11_shared_turns,
                "given replicas that must wait, then each is told its own interval, in the order they asked, and "
                "asking again keeps it",
                "coordination 2.6.11")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(4), .burst = 4, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica three[3] = {0};
    CHECK_EQ(two_replicas(&scope, &rate, &redis, three), 0);
    CHECK_EQ(replica_make(&scope, kit_url, &rate, 1, &three[2]), 0);
    sl_time wait = 0, told = 0;
    int64_t turns[3] = {0}, now = 0;
    CHECK_EQ(replica_book(&three[0], 4, &wait), 0);
    CHECK_EQ(wait, 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) { /* the third would come after more than a second */
            CHECK_EQ(server_now(redis, &now), 0);
            CHECK_EQ(replica_book(&three[i], 1, &told), 0);
            CHECK(told > 0);
            int64_t turn = now + told / 1000;
            CHECK(round == 0 || (turn - turns[i] < 20000 && turns[i] - turn < 20000));
            turns[i] = turn;
        }
        CHECK_BETWEEN(turns[1] - turns[0], 350000, 450000);
    }
    for (int i = 0; i < 3; i++) {
        sl_limiter_free(three[i].limiter);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b12_b16_shared_patience,
                "given a call that would wait longer than it may, then it is refused and books nothing; without "
                "patience it asks once",
                "coordination 2.6.12, 2.6.16")
{
    const struct sl_rate rate = STILL(1);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica patient = {.options = {.max_wait = SL_MILLISECONDS(50)}}, hasty = {.options = {.max_wait = 1}};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &patient), 0);
    CHECK_EQ(replica_make(&scope, kit_url, &rate, 1, &hasty), 0);
    CHECK_EQ(sl_limiter_acquire(hasty.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    int64_t before = 0, after = 0;
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &before), 0);
    sl_time began = sl_now();
    CHECK_EQ(sl_limiter_acquire(patient.limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED);
    CHECK_BETWEEN(sl_now() - began, SL_MILLISECONDS(50), SL_MILLISECONDS(800));
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", LIMIT_KEY, "0"), 0);
    CHECK_EQ(sl_limiter_acquire(patient.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    CHECK_EQ(sl_limiter_acquire(hasty.limiter, 1, SL_PRIORITY_NORMAL, NULL), SL_ELIMITED); /* by its own count */
    CHECK_EQ(stats_of(&hasty).asked, 1);
    CHECK_EQ(sl_limiter_try_acquire(patient.limiter, 1, NULL), SL_EAGAIN); /* shared ones are never tried */
    CHECK_EQ(stored_us(redis, LIMIT_KEY, &after), 0);
    CHECK(after - before < SL_SECONDS(5) / 1000);
    sl_limiter_free(patient.limiter);
    sl_limiter_free(hasty.limiter);
    return sl_scope_wait(&scope);
}

/* ---- tasks that wait ---- */

struct waiter {
    const struct replica *replica;
    uint64_t cost;
    int code; /* 1: it waits */
    sl_time ended;
};

static int wait_for_it(void *arg)
{
    struct waiter *waiter = arg;
    waiter->code = sl_limiter_acquire(waiter->replica->limiter, waiter->cost, SL_PRIORITY_NORMAL, NULL);
    waiter->ended = sl_now();
    return waiter->code == SL_ECANCELED ? 0 : waiter->code;
}

C_TEST_REAL_FEW(rate_b13_shared_turns_that_nobody_takes,
                "given waiters of which the first and the middle one are cancelled, then the last goes at its turn, "
                "and what they left goes after it",
                "coordination 2.6.13")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(2), .burst = 4, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica three[3] = {0};
    struct waiter waiters[3] = {{0}};
    CHECK_EQ(two_replicas(&scope, &rate, &redis, three), 0);
    CHECK_EQ(replica_make(&scope, kit_url, &rate, 1, &three[2]), 0);
    sl_time wait = 0, began = sl_now();
    CHECK_EQ(replica_book(&three[0], 4, &wait), 0);
    SL_SCOPE(tasks);
    sl_task_ref refs[3];
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){.replica = &three[i], .cost = 1, .code = 1};
        CHECK_EQ(sl_spawn(&tasks, wait_for_it, &waiters[i], .ret_task = &refs[i]), 0);
        KIT_UNTIL(stats_of(&three[i]).refused > 0);
    }
    CHECK_EQ(sl_task_cancel(refs[0], NULL), 0);
    CHECK_EQ(sl_task_cancel(refs[1], NULL), 0);
    KIT_UNTIL(waiters[2].code != 1);
    CHECK_EQ(waiters[0].code, SL_ECANCELED);
    CHECK_EQ(waiters[2].code, 0);
    CHECK_BETWEEN(waiters[2].ended - began, SL_MILLISECONDS(590), SL_MILLISECONDS(1500));
    CHECK_EQ(replica_book(&three[0], 2, &wait), 0); /* theirs */
    CHECK_EQ(wait, 0);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    for (int i = 0; i < 3; i++) {
        sl_limiter_free(three[i].limiter);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b14_b15_shared_queue,
                "given calls of one replica that wait, then they go in order, whatever they cost; one that is "
                "cancelled uses nothing",
                "coordination 2.6.14, 2.6.15")
{
    const struct sl_rate rate = {.count = 20, .period = SL_SECONDS(1), .burst = 4, .bucket = true};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica one = {0};
    struct waiter waiters[4] = {{0}};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &one), 0);
    CHECK_COST_GOES(&one, 4, true);
    SL_SCOPE(tasks);
    sl_task_ref refs[4];
    sl_time began = sl_now();
    for (int i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){.replica = &one, .cost = i == 1 ? 4 : 1, .code = 1};
        CHECK_EQ(sl_spawn(&tasks, wait_for_it, &waiters[i], .ret_task = &refs[i]), 0);
        SETTLE();
    }
    CHECK_EQ(sl_task_cancel(refs[0], NULL), 0);
    KIT_UNTIL(waiters[3].code != 1);
    CHECK_EQ(waiters[0].code, SL_ECANCELED);
    for (int i = 1; i < 4; i++) {
        CHECK_EQ(waiters[i].code, 0);
        CHECK(i == 1 || waiters[i].ended > waiters[i - 1].ended);
    }
    CHECK_BETWEEN(waiters[3].ended - began, SL_MILLISECONDS(280), SL_SECONDS(2)); /* 4 + 1 + 1 of 50 ms */
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

/* The answer does not come, or its connection breaks: then it is not asked again, as that would charge it twice. */
static int unknown_outcome(enum redis_proxy_act act)
{
    const struct sl_rate rate = STILL(3);
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {0};
    struct replica one = {0}, other = {0};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &redis, &proxied), 0);
    CHECK_EQ(replica_make(&scope, proxy.url, &rate, 1, &one), 0);
    CHECK_EQ(replica_make(&scope, kit_url, &rate, 1, &other), 0);
    CHECK_GOES(&one, true);
    proxy.counts[REDIS_PROXY_OTHER] = 0;
    proxy.plan[REDIS_PROXY_OTHER][0] = act;                                    /* what comes after it passes */
    CHECK_EQ(sl_limiter_acquire(one.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0); /* by the own share */
    CHECK_EQ(stats_of(&one).unknown, 1);
    CHECK_GOES(&other, true);
    CHECK_GOES(&other, false); /* the lost one stands in Redis */
    sl_limiter_free(one.limiter);
    sl_limiter_free(other.limiter);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    return 0;
}

C_TEST_REAL_FEW(rate_b21_shared_unknown_outcome,
                "given a question whose answer is lost, then it counts as charged, once", "coordination 2.6.21")
{
    CHECK_EQ(unknown_outcome(REDIS_PROXY_MUTE), 0);
    return unknown_outcome(REDIS_PROXY_CUT_AFTER);
}

/* ---- what servers say ---- */

struct header {
    const char *name, *value;
};

static const char *find(const void *message, const char *name)
{
    const struct header *header = message;
    return strcasecmp(header->name, name) == 0 ? header->value : NULL;
}

static bool report(struct replica *replica, int status, struct header header, bool cached)
{
    return sl_limiter_report(
        replica->limiter, NULL,
        &(struct sl_response_facts){.status = status, .header = find, .message = &header, .cached = cached});
}

C_TEST_REAL_FEW(rate_b30_b31_shared_server_words,
                "given a server that has nothing left for one replica, or sends it away, then none goes meanwhile; "
                "Retry-After wins",
                "coordination 2.6.30, 2.6.31")
{
    const struct sl_rate rate = {.count = 100, .period = SL_SECONDS(10), .burst = 50, .bucket = true};
    static const struct header said[] = {{"RateLimit", "\"d\";r=0;t=30"}, {"Retry-After", "40"}};
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL;
        struct replica two[2] = {0};
        CHECK_EQ(two_replicas(&scope, &rate, &redis, two), 0);
        CHECK_GOES(&two[0], true);
        CHECK_GOES(&two[1], true);
        CHECK_EQ(report(&two[0], i == 0 ? 200 : 429, said[i], false), i == 1);
        int64_t there = 0;
        while (there == 0) {
            CHECK_EQ(kit_number(redis, "EXISTS", "sluice:{test}:block", &there), 0);
        }
        CHECK_PTTL(redis, "sluice:{test}:block", i == 0 ? 20000 : 30000, i == 0 ? 30001 : 40001);
        CHECK_GOES(&two[1], false);
        CHECK_GOES(&two[0], false);
        sl_limiter_free(two[0].limiter);
        sl_limiter_free(two[1].limiter);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(rate_b32_b33_b34_b35_shared_words_that_say_nothing,
                "given a date that is past, nonsense, a cached or an older response, then Redis hears of nothing",
                "coordination 2.6.32, 2.6.33, 2.6.34, 2.6.35")
{
    const struct sl_rate rate = STILL(50);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    CHECK_EQ(two_replicas(&scope, &rate, &redis, two), 0);
    CHECK_GOES(&two[0], true);
    (void)report(&two[0], 503, (struct header){"Retry-After", "Mon, 01 Jan 2024 00:00:00 GMT"}, false);
    (void)report(&two[0], 503, (struct header){"Retry-After", "soon"}, false);
    (void)report(&two[0], 200, (struct header){"RateLimit", "\"d\";r=none;t=30"}, false);
    (void)report(&two[0], 429, (struct header){"Retry-After", "30"}, true);
    sl_permit older, newer;
    CHECK_EQ(sl_limiter_acquire(two[0].limiter, 1, SL_PRIORITY_NORMAL, &older), 0);
    CHECK_EQ(sl_limiter_acquire(two[0].limiter, 1, SL_PRIORITY_NORMAL, &newer), 0);
    struct header header = {"RateLimit", "\"d\";r=40;t=30"};
    struct sl_response_facts facts = {.status = 200, .header = find, .message = &header};
    (void)sl_limiter_report(two[0].limiter, &newer, &facts);
    header.value = "\"d\";r=0;t=30";
    (void)sl_limiter_report(two[0].limiter, &older, &facts);
    CHECK_GOES(&two[0], true);
    CHECK_GOES(&two[1], true);
    CHECK_NUMBER(redis, "EXISTS", "sluice:{test}:block", 0);
    sl_limiter_free(two[0].limiter);
    sl_limiter_free(two[1].limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(
    rate_b36_b37_shared_counters,
    "given shadow mode, then nobody is asked or held up; given calls that use most of it, then they are counted",
    "coordination 2.6.36, 2.6.37")
{
    const struct sl_rate rate = {.count = 10, .period = SL_SECONDS(1000), .burst = 10};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica shadow = {.options = {.shadow = true}}, one = {0};
    CHECK_EQ(one_replica(&scope, &rate, &redis, &shadow), 0);
    CHECK_EQ(replica_make(&scope, kit_url, &rate, 1, &one), 0);
    struct sl_limiter_info info;
    for (int i = 0; i < 13; i++) {
        CHECK_EQ(sl_limiter_acquire(shadow.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    }
    sl_limiter_info(shadow.limiter, &info);
    CHECK_EQ(info.shadowed, 3);
    CHECK_EQ(stats_of(&shadow).asked, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(sl_limiter_acquire(one.limiter, 1, SL_PRIORITY_NORMAL, NULL), 0);
    }
    sl_limiter_info(one.limiter, &info);
    CHECK_EQ(info.near_limit, 2);
    sl_limiter_free(shadow.limiter);
    sl_limiter_free(one.limiter);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(rate_b40_shared_shutdown,
                "given waiters, when their scope is cancelled, then all end at once, also while Redis is asked",
                "coordination 2.6.40")
{
    const struct sl_rate rate = STILL(1);
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct replica two[2] = {0};
    struct waiter waiters[32] = {{0}};
    CHECK_EQ(two_replicas(&scope, &rate, &redis, two), 0);
    CHECK_GOES(&two[0], true);
    CHECK_EQ(sl_redis_do(redis, NULL, "CLIENT", "PAUSE", "60"), 0); /* the other's question is not answered yet */
    SL_SCOPE(tasks);
    for (int i = 0; i < 32; i++) {
        waiters[i] = (struct waiter){.replica = &two[i % 2], .cost = 1, .code = 1};
        CHECK_EQ(sl_spawn(&tasks, wait_for_it, &waiters[i]), 0);
    }
    SETTLE();
    sl_scope_cancel(&tasks, "shutdown");
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    for (int i = 0; i < 32; i++) {
        CHECK_EQ(waiters[i].code, SL_ECANCELED);
    }
    CHECK_EQ(sl_redis_do(redis, NULL, "CLIENT", "UNPAUSE"), 0);
    sl_limiter_free(two[0].limiter);
    sl_limiter_free(two[1].limiter);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(rate_b01_shared_burst_from_idle), cmocka_unit_test(rate_b02_shared_steady_load),
             cmocka_unit_test(rate_b04_shared_idle_time), cmocka_unit_test(rate_b05_b06_shared_denied_and_peeked),
             cmocka_unit_test(rate_b07_b08_shared_costs), cmocka_unit_test(rate_b09_shared_all_or_nothing),
             cmocka_unit_test(rate_b10_shared_wait_is_exact), cmocka_unit_test(rate_b11_shared_turns),
             cmocka_unit_test(rate_b12_b16_shared_patience), cmocka_unit_test(rate_b13_shared_turns_that_nobody_takes),
             cmocka_unit_test(rate_b14_b15_shared_queue), cmocka_unit_test(rate_b21_shared_unknown_outcome),
             cmocka_unit_test(rate_b30_b31_shared_server_words),
             cmocka_unit_test(rate_b32_b33_b34_b35_shared_words_that_say_nothing),
             cmocka_unit_test(rate_b36_b37_shared_counters), cmocka_unit_test(rate_b40_shared_shutdown))
