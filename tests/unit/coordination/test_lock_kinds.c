/* SPDX-License-Identifier: MIT */
/* Locks: several keys, fences, semaphores, readers and writers, many at once. Numbers of coordination 1.4. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock_kit.h"

C_TEST_REAL_FEW(lock_b31_all_keys_or_none, "given several keys of which one is held, then none is taken",
                "coordination 1.4.31")
{
    static const char *const more[] = {"b", "c", NULL};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "c", "another", "PX", "300"), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, "a", .and_keys = more, .try_only = true), SL_EBUSY);
        CHECK_MESSAGE("'c'");
        CHECK_NUMBER(redis, "EXISTS", "a", 0);
        CHECK_NUMBER(redis, "EXISTS", "b", 0);
        CHECK_EQ(sl_redis_lock(&inner, redis, "a", .and_keys = more), 0);
        CHECK_NUMBER(redis, "EXISTS", "a", 1);
        CHECK_NUMBER(redis, "EXISTS", "b", 1);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_NUMBER(redis, "DBSIZE", NULL, 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b32_all_keys_have_one_ttl,
                "given several keys, then they are renewed as one, and losing one loses "
                "all",
                "coordination 1.4.32")
{
    static const char *const more[] = {"b", NULL};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, "a", .and_keys = more, .ttl = SL_SECONDS(2)), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(2500)), 0);
        int64_t one = 0, other = 0;
        CHECK_EQ(kit_number(redis, "PTTL", "a", &one), 0);
        CHECK_EQ(kit_number(redis, "PTTL", "b", &other), 0);
        CHECK(one > 0 && other > 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "DEL", "b"), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    return sl_scope_wait(&scope);
}

static int swap_locks(void *arg)
{
    struct kit_holder *holder = arg;
    for (int i = 0; i < 25; i++) {
        SL_SCOPE(scope);
        SL_TRY(sl_redis_lock_with(&scope, holder->redis, holder->key, &holder->options));
        SL_TRY(sl_scope_wait(&scope));
    }
    return 0;
}

C_TEST_REAL_FEW(lock_keys_in_any_order,
                "given tasks that take the same keys in opposite orders, then they do not block "
                "each other for ever",
                "coordination 1.5, Redisson #467 #4050 #631")
{
    static const char *const b[] = {"b", NULL};
    static const char *const a[] = {"a", NULL};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct kit_holder one = {.redis = redis, .key = "a", .options = {.and_keys = b}};
    struct kit_holder other = {.redis = redis, .key = "b", .options = {.and_keys = a}};
    {
        SL_SCOPE(tasks, .timeout = SL_SECONDS(30));
        CHECK_EQ(sl_spawn(&tasks, swap_locks, &one), 0);
        CHECK_EQ(sl_spawn(&tasks, swap_locks, &other), 0);
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    return sl_scope_wait(&scope);
}

struct counting {
    sl_redis *redis;
    const struct sl_redis_lock_options *options;
    int inside, most, rounds;
};

static int count_inside(void *arg)
{
    struct counting *counting = arg;
    for (int i = 0; i < counting->rounds; i++) {
        SL_SCOPE(scope);
        SL_TRY(sl_redis_lock_with(&scope, counting->redis, KEY, counting->options));
        counting->inside++;
        counting->most = counting->inside > counting->most ? counting->inside : counting->most;
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        counting->inside--;
        SL_TRY(sl_scope_wait(&scope));
    }
    return 0;
}

C_TEST_REAL_FEW(lock_b33_options_are_shared,
                "given one set of options for many tasks, then each gets its turn, one at a "
                "time",
                "coordination 1.4.33, redis-py #3255")
{
    static const struct sl_redis_lock_options options = {.ttl = SL_SECONDS(20)};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct counting counting = {.redis = redis, .options = &options, .rounds = 5};
    {
        SL_SCOPE(tasks, .timeout = SL_SECONDS(50));
        for (int i = 0; i < 16; i++) {
            CHECK_EQ(sl_spawn(&tasks, count_inside, &counting), 0);
        }
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    CHECK_EQ(counting.most, 1);
    return sl_scope_wait(&scope);
}

static int fence_of(sl_redis *redis, sl_time ttl, bool let_expire, int64_t *ret_fence)
{
    SL_SCOPE(scope);
    sl_lock *lock = NULL;
    SL_TRY(sl_redis_lock(&scope, redis, KEY, .ttl = ttl, .fenced = true, .loss_is_no_error = true, .ret_lock = &lock));
    *ret_fence = sl_lock_fence(lock);
    if (let_expire) {
        SL_TRY(sl_redis_do(redis, NULL, "DEL", KEY));
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b37_fences_grow,
                "given a fenced lock taken again and again, then its tokens grow, also after it "
                "expired and after the server lost its data; a try that fails takes none",
                "coordination 1.4.37, RedissonFencedLock")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    int64_t last = 0;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    for (int i = 0; i < 8; i++) {
        int64_t fence = 0;
        CHECK_EQ(fence_of(redis, SL_SECONDS(2), i % 3 == 1, &fence), 0);
        CHECK(fence > last);
        last = fence;
        if (i == 4) {
            CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
            continue;
        }
        CHECK_EQ(sl_redis_do(redis, NULL, "SET", KEY, "another"), 0);
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .fenced = true, .try_only = true), SL_EBUSY);
        CHECK_EQ(sl_redis_do(redis, NULL, "DEL", KEY), 0);
        CHECK_NUMBER(redis, "GET", "{" KEY "}:fence", last);
    }
    CHECK_PTTL(redis, "{" KEY "}:fence", 1000, SL_LOCK_FENCE_TTL / 1000000);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_fenced_keeps_its_ttl, "given a fenced lock and a TTL, then the TTL counts",
                "coordination 1.5, Redisson lockAndGetToken()")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .fenced = true, .ttl = SL_SECONDS(77)), 0);
    CHECK_PTTL(redis, KEY, 76000, 77000);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

/* A sink that refuses who is older than the newest it has seen. */
static const char sink[] = "local seen = tonumber(redis.call('GET', KEYS[1]) or '0') local mine = tonumber(ARGV[1]) "
                           "if mine < seen then return 0 end redis.call('SET', KEYS[1], ARGV[1]) "
                           "redis.call('RPUSH', KEYS[2], ARGV[2]) return 1";

static int fenced_write(sl_redis *redis, int64_t fence, const char *text, bool *ret_accepted)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)fence);
    const struct sl_bytes keys[] = {sl_redis_text("sink:seen"), sl_redis_text("sink:rows")};
    const struct sl_bytes arguments[] = {sl_redis_text(number), sl_redis_text(text)};
    const struct sl_redis_eval eval = {
        .script = sink, .keys = keys, .keys_count = 2, .arguments = arguments, .arguments_count = 2};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(sl_redis_eval(redis, &eval, &reply));
    *ret_accepted = sl_redis_reply_value(reply).integer == 1;
    return 0;
}

C_TEST_REAL_FEW(lock_b38_a_sink_refuses_the_older,
                "given a sink that has seen a token, when an older one writes, then it "
                "is refused",
                "coordination 1.4.38")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    int64_t older = 0, newer = 0;
    bool accepted = false;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(fence_of(redis, 0, false, &older), 0);
    CHECK_EQ(fence_of(redis, 0, false, &newer), 0);
    CHECK_EQ(fenced_write(redis, older, "one", &accepted), 0);
    CHECK(accepted);
    CHECK_EQ(fenced_write(redis, newer, "two", &accepted), 0);
    CHECK(accepted);
    CHECK_EQ(fenced_write(redis, older, "late", &accepted), 0);
    CHECK(!accepted);
    CHECK_NUMBER(redis, "LLEN", "sink:rows", 2);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b39_not_reentrant, "given a task that holds it, when it takes it again, then it is busy",
                "coordination 1.4.39: by design")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY), 0);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .try_only = true), SL_EBUSY);
    CHECK_NUMBER(redis, "EXISTS", KEY, 1);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b42_readers_and_writers,
                "given readers, then they share, a writer waits for all of them and goes "
                "before readers that come later; one that died is waited out",
                "coordination 1.4.42")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct kit_holder readers[3];
    struct kit_holder writer = KIT_HOLDER(redis, .kind = SL_LOCK_WRITE);
    SL_SCOPE(tasks);
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct kit_holder)KIT_HOLDER(redis, .kind = SL_LOCK_READ);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_spawn(&tasks, kit_hold, &readers[i]), 0);
        KIT_UNTIL(readers[i].code == 0);
    }
    {
        SL_SCOPE(dead); /* dies without a word in 300 ms */
        sl_lock *lock = NULL;
        CHECK_EQ(sl_redis_lock(&dead, redis, KEY, .kind = SL_LOCK_READ, .ttl = SL_MILLISECONDS(300), .no_renewal = true,
                               .loss_is_no_error = true, .ret_lock = &lock),
                 0);
        CHECK_EQ(sl_spawn(&tasks, kit_hold, &writer), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
        CHECK_EQ(writer.code, 1);
        CHECK_EQ(sl_spawn(&tasks, kit_hold, &readers[2]), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
        CHECK_EQ(readers[2].code, 1); /* behind the writer */
        sl_event_set(&readers[0].let_go);
        sl_event_set(&readers[1].let_go);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
        CHECK_EQ(writer.code, 1); /* the dead one's lease runs */
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        (void)sl_scope_close(&dead, SL_ECANCELED);
    }
    KIT_UNTIL(writer.code <= 0);
    CHECK_EQ(writer.code, 0);
    CHECK_EQ(readers[2].code, 1);
    sl_event_set(&writer.let_go);
    KIT_UNTIL(readers[2].code <= 0);
    CHECK_EQ(readers[2].code, 0);
    CHECK(readers[2].since - writer.since < SL_MILLISECONDS(500));
    sl_event_set(&readers[2].let_go);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_NUMBER(redis, "DBSIZE", NULL, 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b42_a_writer_that_gives_up,
                "given a waiting writer that gives up, then readers need not wait for it", "coordination 1.4.42")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_READ), 0);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_WRITE, .wait = SL_MILLISECONDS(50)), SL_ETIMEDOUT);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_WRITE, .try_only = true), SL_EBUSY);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_READ, .try_only = true), 0);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b43_permits_come_back,
                "given a semaphore, then so many hold it at most, and a dead holder's permit "
                "comes back after its TTL",
                "coordination 1.4.43")
{
    static const struct sl_redis_lock_options three = {.kind = SL_LOCK_SEMAPHORE, .permits = 3};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct counting counting = {.redis = redis, .options = &three, .rounds = 4};
    {
        SL_SCOPE(tasks, .timeout = SL_SECONDS(50));
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(sl_spawn(&tasks, count_inside, &counting), 0);
        }
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    CHECK_EQ(counting.most, 3);
    CHECK_NUMBER(redis, "DBSIZE", NULL, 0);
    static const char dead[] = "local t = redis.call('TIME') redis.call('ZADD', KEYS[1], t[1] * 1000 + "
                               "math.floor(t[2] / 1000) + 300, 's-of-a-dead-process') return 1";
    const struct sl_bytes key = sl_redis_text(KEY);
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_eval(redis, &(struct sl_redis_eval){.script = dead, .keys = &key, .keys_count = 1}, NULL), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_SEMAPHORE, .permits = 1), 0);
        CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(290), SL_MILLISECONDS(900));
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b44_an_expired_permit,
                "given a permit that expired, when it is given back, then that is an error, "
                "and nobody else's permit goes",
                "coordination 1.4.44")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *one = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_SEMAPHORE, .permits = 2, .ret_lock = &one), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "DEL", KEY), 0);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .kind = SL_LOCK_SEMAPHORE, .permits = 2), 0);
    CHECK_EQ(sl_lock_release(one), SL_ELOCKLOST);
    CHECK_NUMBER(redis, "ZCARD", KEY, 1);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

static int release_it(void *arg)
{
    return sl_lock_release(arg);
}

C_TEST_REAL_FEW(lock_b45_handed_over,
                "given a lock handed to another task, or its token to another client, then that one "
                "can give it back",
                "coordination 1.4.45")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    sl_lock *lock = NULL;
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock), 0);
    {
        SL_SCOPE(tasks);
        CHECK_EQ(sl_spawn(&tasks, release_it, lock), 0);
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ret_lock = &lock, .loss_is_no_error = true), 0);
    CHECK_EQ(sl_redis_unlock(redis, KEY, "0123"), SL_ELOCKLOST);
    CHECK_MESSAGE("unlock:");
    CHECK_NUMBER(redis, "EXISTS", KEY, 1);
    CHECK_EQ(sl_redis_unlock(redis, KEY, sl_lock_token(lock)), 0);
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b46_b47_forced,
                "given a lock that is forced open, then a waiter has it at once, and nothing is left "
                "behind",
                "coordination 1.4.46, 1.4.47")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", KEY, "forgotten"), 0); /* without a TTL */
    struct kit_holder waiter = KIT_HOLDER(redis, .ttl = SL_SECONDS(5));
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, kit_hold, &waiter), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_unlock(redis, KEY, NULL), 0);
    KIT_UNTIL(waiter.code <= 0);
    CHECK_BETWEEN(waiter.since - before, 0, SL_MILLISECONDS(400));
    sl_event_set(&waiter.let_go);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_EQ(sl_redis_unlock(redis, KEY, NULL), SL_ELOCKLOST);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    CHECK_NUMBER(redis, "DBSIZE", NULL, 0);
    sl_auto(sl_redis_reply) *channels = NULL;
    CHECK_EQ(sl_redis_do(redis, &channels, "PUBSUB", "CHANNELS"), 0);
    CHECK_EQ(sl_redis_reply_value(channels).count, 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_b48_ttls, "given odd TTLs and options, then they are refused or rounded as it says",
                "coordination 1.4.48")
{
    static const struct sl_redis_lock_options bad[] = {
        {.ttl = -1},
        {.ttl = SL_MILLISECONDS(99)},
        {.ttl = SL_NEVER},
        {.ttl = SL_LOCK_TTL_MAX + 1},
        {.wait = -1},
        {.max_hold = -1},
        {.try_only = true, .wait = 1},
        {.kind = SL_LOCK_SEMAPHORE},
        {.permits = 1},
        {.kind = SL_LOCK_SEMAPHORE, .permits = SL_LOCK_PERMITS_MAX + 1},
        {.kind = (enum sl_lock_kind)9},
    };
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQ(sl_redis_lock_with(&inner, redis, KEY, &bad[i]), SL_EINVAL);
    }
    CHECK_EQ(sl_redis_lock(&inner, redis, ""), SL_EINVAL);
    char long_key[SL_LOCK_KEY_BYTES_MAX + 1];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    CHECK_EQ(sl_redis_lock(&inner, redis, long_key), SL_EINVAL);
    long_key[sizeof long_key - 2] = '\0';
    CHECK_EQ(sl_redis_lock(&inner, redis, long_key, .fenced = true), 0);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MICROSECONDS(5000001)), 0);
    CHECK_PTTL(redis, KEY, 4900, 5001);
    CHECK_EQ(sl_redis_lock(&inner, redis, "wrong", .try_only = true, .kind = SL_LOCK_READ), 0);
    CHECK_EQ(sl_redis_lock(&inner, redis, "wrong", .try_only = true), SL_EREPLY); /* another kind */
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_max_hold, "given a longest hold, then it is not renewed beyond it, and the work ends",
                "coordination 1.5, RedLock.net #68, python-redis-lock #114")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    {
        SL_SCOPE(inner);
        sl_time before = sl_now();
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(900), .max_hold = SL_MILLISECONDS(1200)), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_BETWEEN(sl_now() - before, SL_MILLISECONDS(1190), SL_MILLISECONDS(1600));
        CHECK_STRING(sl_scope_cancel_info(&inner)->text, "the lock was held for as long as it may be");
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    return sl_scope_wait(&scope);
}

#define MANY 100

C_TEST_REAL_FEW(lock_b50_one_of_many_is_lost,
                "given 100 locks that are renewed together, when one is lost, then only "
                "its scope is cancelled",
                "coordination 1.4.50")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    static char keys[MANY][16];
    static struct kit_holder holders[MANY];
    SL_SCOPE(tasks, .strategy = SL_ISOLATE);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        holders[i] = (struct kit_holder)KIT_HOLDER(redis, .ttl = SL_MILLISECONDS(1200));
        holders[i].key = keys[i];
        CHECK_EQ(sl_spawn(&tasks, kit_hold, &holders[i]), 0);
    }
    for (int i = 0; i < MANY; i++) {
        KIT_UNTIL(holders[i].code == 0);
    }
    CHECK_EQ(sl_redis_do(redis, NULL, "DEL", "k42"), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1500)), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(holders[i].ended, i == 42 ? SL_ECANCELED : 1);
        sl_event_set(&holders[i].let_go);
    }
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_NUMBER(redis, "DBSIZE", NULL, 0);
    return sl_scope_wait(&scope);
}

/* ---- a process that is frozen ---- */

struct frozen {
    int port;
    int out;
};

/* Writes its fence into the sink every millisecond, and on its pipe what became of it. */
static int work_until_lost(void *arg)
{
    struct frozen *frozen = arg;
    char url[64];
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", frozen->port);
    SL_TRY(kit_client(&outer, url, &redis));
    SL_SCOPE(scope);
    sl_lock *lock = NULL;
    SL_TRY(sl_redis_lock(&scope, redis, KEY, .ttl = SL_MILLISECONDS(1500), .fenced = true, .ret_lock = &lock));
    (void)!write(frozen->out, "h", 1);
    int code = 0;
    while (code == 0) {
        bool accepted = true;
        code = sl_sleep(SL_MILLISECONDS(1));
        code = code == 0 ? fenced_write(redis, sl_lock_fence(lock), "old", &accepted) : code;
        if (!accepted) {
            (void)!write(frozen->out, "r", 1); /* the sink had to refuse it */
        }
    }
    (void)!write(frozen->out, sl_scope_cause(&scope) == SL_CAUSE_LOST ? "l" : "?", 1);
    return sl_scope_close(&scope, code);
}

static int take_over(void *arg)
{
    struct frozen *frozen = arg;
    char url[64];
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", frozen->port);
    SL_TRY(kit_client(&outer, url, &redis));
    SL_SCOPE(scope, .timeout = SL_SECONDS(20));
    sl_lock *lock = NULL;
    bool accepted = false;
    SL_TRY(sl_redis_lock(&scope, redis, KEY, .fenced = true, .ret_lock = &lock));
    SL_TRY(fenced_write(redis, sl_lock_fence(lock), "new", &accepted));
    CHECK(accepted);
    SL_TRY(sl_scope_wait(&scope));
    return sl_redis_do(redis, NULL, "RPUSH", "sink:rows", "end");
}

/* Nothing old lies behind the new in the sink. */
static int look_at_rows(void *arg)
{
    struct frozen *frozen = arg;
    char url[64];
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_auto(sl_redis_reply) *reply = NULL;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", frozen->port);
    SL_TRY(kit_client(&scope, url, &redis));
    SL_TRY(sl_redis_do(redis, &reply, "LRANGE", "sink:rows", "-2", "-1"));
    struct sl_redis_value rows = sl_redis_reply_value(reply);
    struct sl_redis_value row = sl_redis_value_at(&rows, 0);
    CHECK_STRING(row.text, "new");
    row = sl_redis_value_at(&rows, 1);
    CHECK_STRING(row.text, "end");
    return sl_scope_wait(&scope);
}

static void lock_b49_f02_a_frozen_holder(void **state)
{
    (void)state;
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    struct frozen frozen = {.port = redis_server_port(), .out = ends[1]};
    assert_true(frozen.port > 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(sl_run(NULL, work_until_lost, &frozen, NULL) == SL_ELOCKLOST ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'h');
    (void)usleep(100000);
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(sl_run(NULL, take_over, &frozen, NULL), 0); /* after the TTL */
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    /* A write that was on its way when it froze may still arrive: then the sink has refused it. */
    if (byte == 'r') {
        assert_int_equal(read(ends[0], &byte, 1), 1);
    }
    assert_int_equal(byte, 'l');
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(sl_run(NULL, look_at_rows, &frozen, NULL), 0);
}

SL_TEST_MAIN(cmocka_unit_test(lock_b31_all_keys_or_none), cmocka_unit_test(lock_b32_all_keys_have_one_ttl),
             cmocka_unit_test(lock_keys_in_any_order), cmocka_unit_test(lock_b33_options_are_shared),
             cmocka_unit_test(lock_b37_fences_grow), cmocka_unit_test(lock_fenced_keeps_its_ttl),
             cmocka_unit_test(lock_b38_a_sink_refuses_the_older), cmocka_unit_test(lock_b39_not_reentrant),
             cmocka_unit_test(lock_b42_readers_and_writers), cmocka_unit_test(lock_b42_a_writer_that_gives_up),
             cmocka_unit_test(lock_b43_permits_come_back), cmocka_unit_test(lock_b44_an_expired_permit),
             cmocka_unit_test(lock_b45_handed_over), cmocka_unit_test(lock_b46_b47_forced),
             cmocka_unit_test(lock_b48_ttls), cmocka_unit_test(lock_max_hold),
             cmocka_unit_test(lock_b50_one_of_many_is_lost), cmocka_unit_test(lock_b49_f02_a_frozen_holder))
