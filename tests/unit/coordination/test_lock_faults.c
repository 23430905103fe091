/* SPDX-License-Identifier: MIT */
/*
 * Locks and what goes wrong around them: the fault list of coordination 4.6 by its numbers, and those of 1.4 that are
 * answered by design: one server and no quorum, wake-ups and no queue.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock_kit.h"

static struct redis_process own;

static void stop_own(void)
{
    redis_process_stop(&own);
}

static int start_own(sl_scope *scope, const char *const *arguments, sl_redis **ret_redis)
{
    static char url[64];
    redis_process_stop(&own);
    (void)atexit(stop_own);
    CHECK(redis_process_start(&own, arguments));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", own.port);
    return kit_client(scope, url, ret_redis);
}

C_TEST_REAL_FEW(
    lock_f08_redis_stalls,
    "given a Redis that is stopped, or paused, for longer than the TTL, then the holder has ended before the key "
    "can expire, and another has it afterwards with a larger token",
    "coordination 4.6.8")
{
    for (int way = 0; way < 2; way++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL;
        int64_t fence = 0;
        sl_lock *lock = NULL;
        CHECK_EQ(start_own(&scope, NULL, &redis), 0);
        {
            SL_SCOPE(inner);
            CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(900), .fenced = true, .ret_lock = &lock),
                     0);
            fence = sl_lock_fence(lock);
            sl_time before = sl_now();
            if (way == 0) {
                CHECK_EQ(kill(own.pid, SIGSTOP), 0);
            } else {
                CHECK_EQ(sl_redis_do(redis, NULL, "CLIENT", "PAUSE", "1500"), 0);
            }
            CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
            CHECK_BETWEEN(sl_now() - before, 0, SL_MILLISECONDS(890));
            CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
            if (way == 0) {
                CHECK_EQ(kill(own.pid, SIGCONT), 0);
            }
            CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
        }
        {
            SL_SCOPE(inner);
            CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .fenced = true, .wait = SL_SECONDS(10), .ret_lock = &lock), 0);
            CHECK(sl_lock_fence(lock) > fence);
            CHECK_EQ(sl_scope_wait(&inner), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
        redis_process_stop(&own);
    }
    return 0;
}

C_TEST_REAL_FEW(
    lock_f09_redis_clock_is_set,
    "given Redis' clock set forward by a minute, then the holder learns that it lost the lock, and the next has "
    "a larger token; set back, it stays held, for its TTL after a renewal, and tokens grow on",
    "coordination 4.6.9")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    int64_t fence = 0;
    sl_lock *lock = NULL;
    own.own_clock = true;
    CHECK_EQ(start_own(&scope, NULL, &redis), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(1500), .fenced = true, .ret_lock = &lock), 0);
        fence = sl_lock_fence(lock);
        *own.shift = 60;
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(1500), .fenced = true, .ret_lock = &lock), 0);
        CHECK(sl_lock_fence(lock) > fence);
        fence = sl_lock_fence(lock);
        *own.shift = 0; /* back by a minute */
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1200)), 0);
        CHECK_PTTL(redis, KEY, 1, 1500);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    {
        /* Lost data on top of it: who knows the newest token asks for one above it. */
        CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .fenced = true, .fence_above = fence, .ret_lock = &lock), 0);
        CHECK(sl_lock_fence(lock) > fence);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_process_stop(&own);
    own.own_clock = false;
    return 0;
}

/* ---- servers that have not seen the last lock ---- */

/* Takes the lock with its token, for a minute, and leaves it there as a holder would that is cut off with its server. */
static int take_and_leave(const char *url, int64_t *ret_fence)
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_lock *lock = NULL;
    CHECK_EQ(kit_client(&scope, url, &redis), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_SECONDS(60), .fenced = true, .ret_lock = &lock), 0);
        *ret_fence = sl_lock_fence(lock);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    return sl_scope_wait(&scope);
}

static struct redis_process replica;

static void stop_replica(void)
{
    redis_process_stop(&replica);
}

C_TEST_REAL_FEW(
    lock_f07_promoted_before_it_knew,
    "given a replica that is promoted before it was told of the last lock, then the next lock there has a larger "
    "token all the same",
    "coordination 4.6.7")
{
    char port[16], url[64];
    int64_t first = 0, unseen = 0, next = 0, offset = 0;
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *second = NULL;
    static const char *const at_once[] = {"--repl-diskless-sync-delay", "0", NULL};
    CHECK_EQ(start_own(&scope, at_once, &redis), 0);
    (void)snprintf(port, sizeof port, "%d", own.port);
    const char *const arguments[] = {"--replicaof", "127.0.0.1", port, NULL};
    redis_process_stop(&replica);
    (void)atexit(stop_replica);
    CHECK(redis_process_start(&replica, arguments));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", own.port);
    CHECK_EQ(take_and_leave(url, &first), 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", replica.port);
    CHECK_EQ(kit_client(&scope, url, &second), 0);
    while (offset == 0) { /* until it has the first token */
        CHECK_EQ(kit_number(second, "EXISTS", "{" KEY "}:fence", &offset), 0);
    }
    CHECK_EQ(kill(replica.pid, SIGSTOP), 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", own.port);
    CHECK_EQ(take_and_leave(url, &unseen), 0);
    CHECK(unseen > first);
    redis_process_kill(&own);
    CHECK_EQ(kill(replica.pid, SIGCONT), 0);
    CHECK_EQ(sl_redis_do(second, NULL, "REPLICAOF", "NO", "ONE"), 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", replica.port);
    char seen[24]; /* whatever of it has arrived all the same */
    (void)snprintf(seen, sizeof seen, "%lld", (long long)first);
    CHECK_EQ(sl_redis_do(second, NULL, "SET", "{" KEY "}:fence", seen), 0);
    CHECK_EQ(take_and_leave(url, &next), 0);
    CHECK(next > unseen);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_process_stop(&replica);
    redis_process_stop(&own);
    return 0;
}

C_TEST_REAL_FEW(
    lock_f06_last_second_is_lost,
    "given a Redis that comes back without what was written last, then the holder learns of it and the next "
    "token is larger",
    "coordination 4.6.6")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_lock *lock = NULL;
    char url[64];
    int64_t first = 0, fence = 0;
    CHECK_EQ(start_own(&scope, NULL, &redis), 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", own.port);
    CHECK_EQ(take_and_leave(url, &first), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SAVE"), 0); /* what comes behind this is lost */
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_SECONDS(2), .fenced = true, .ret_lock = &lock), 0);
        fence = sl_lock_fence(lock);
        CHECK(fence > first);
        redis_process_kill(&own);
        CHECK(redis_process_restart(&own));
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .fenced = true, .ret_lock = &lock), 0);
    CHECK(sl_lock_fence(lock) > fence);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_process_stop(&own);
    return 0;
}

/* A server that refuses for now, in one way or the other, until it is told to go on. */
static const struct {
    const char *begin[5], *end[5];
} troubles[] = {
    {{"CONFIG", "SET", "maxmemory", "1", NULL}, {"CONFIG", "SET", "maxmemory", "0", NULL}}, /* OOM */
    {{"REPLICAOF", "127.0.0.1", "1", NULL}, {"REPLICAOF", "NO", "ONE", NULL}},              /* READONLY */
    {{"CONFIG", "SET", "min-replicas-to-write", "1", NULL}, {"CONFIG", "SET", "min-replicas-to-write", "0", NULL}},
};

C_TEST_REAL_FEW(
    lock_f15_refused_for_now,
    "given a server without memory, a replica, or without its replicas, then that is no 'busy' but to be tried "
    "again, and when it is over the same client locks",
    "coordination 4.6.15")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(start_own(&scope, NULL, &redis), 0);
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        CHECK_EQ(sl_redis_send_texts(redis, troubles[i].begin, NULL), 0);
        {
            SL_SCOPE(inner);
            CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .try_only = true), SL_ENOTREADY);
        }
        CHECK_EQ(sl_redis_send_texts(redis, troubles[i].end, NULL), 0);
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .try_only = true), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    static const char *const words[] = {"LOADING Redis is loading", "MASTERDOWN Link with MASTER is down",
                                        "CLUSTERDOWN The cluster is down", "OOM command not allowed",
                                        "READONLY You can't write"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char script[128];
        (void)snprintf(script, sizeof script, "return redis.error_reply(\"%s\")", words[i]);
        CHECK_EQ(sl_redis_do(redis, NULL, "EVAL", script, "0"), SL_ENOTREADY);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_process_stop(&own);
    return 0;
}

/* ---- a loop that is held up ---- */

static void hold_up(sl_time time)
{
    sl_time until = sl_now() + time;
    while (sl_now() < until) {
    }
}

static int hold_up_the_loop(void *arg)
{
    hold_up(*(const sl_time *)arg);
    return 0;
}

C_TEST_REAL_FEW(
    lock_f16_loop_is_held_up,
    "given a task that holds up the loop for half the TTL, then the lock stays; for longer than it, then no "
    "command of the holder goes out any more",
    "coordination 4.6.16")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    for (int way = 0; way < 2; way++) {
        const sl_time ttl = SL_MILLISECONDS(900);
        sl_time stall = way == 0 ? ttl / 2 : ttl * 5 / 4;
        int64_t said = 0;
        {
            SL_SCOPE(inner);
            CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = ttl), 0);
            SL_SCOPE(tasks);
            CHECK_EQ(sl_spawn(&tasks, hold_up_the_loop, &stall), 0);
            int code = sl_sleep(SL_MILLISECONDS(1));
            code = code == 0 ? sl_redis_do(redis, NULL, "SET", "written", way == 0 ? "1" : "2") : code;
            CHECK_EQ(code, way == 0 ? 0 : SL_ECANCELED);
            CHECK_EQ(sl_scope_close(&tasks, code), way == 0 ? 0 : SL_ECANCELED);
            code = way == 0 ? sl_sleep(ttl) : SL_ECANCELED;
            CHECK_EQ(sl_scope_close(&inner, code), way == 0 ? 0 : SL_ELOCKLOST);
        }
        CHECK_EQ(sl_redis_do_int(redis, &said, "GET", "written"), 0);
        CHECK_EQ(said, 1);
    }
    return sl_scope_wait(&scope);
}

/* ---- by design ---- */

static int hold_and_exit(void *arg)
{
    int *ends = arg;
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    SL_TRY(kit_client(&scope, kit_url, &redis));
    SL_TRY(sl_redis_lock(&scope, redis, KEY, .ttl = SL_SECONDS(3)));
    (void)!write(ends[1], "x", 1);
    _exit(0); /* nothing is given back */
}

static int take_after_it(void *arg)
{
    SL_SCOPE(scope, .timeout = SL_SECONDS(20));
    sl_redis *redis = NULL;
    SL_TRY(kit_client(&scope, kit_url, &redis));
    CHECK_PTTL(redis, KEY, 1, 3000);
    SL_TRY(sl_redis_lock(&scope, redis, KEY));
    *(bool *)arg = true;
    return sl_scope_wait(&scope);
}

static void lock_b11_dropped_without_release(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    bool taken = false;
    assert_int_equal(pipe(ends), 0);
    (void)snprintf(kit_url, sizeof kit_url, "redis://127.0.0.1:%d", redis_server_port());
    pid_t child = fork();
    if (child == 0) {
        _exit(sl_run(NULL, hold_and_exit, ends, NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(sl_run(NULL, take_after_it, &taken, NULL), 0); /* nothing renews it */
    assert_true(taken);
}

C_TEST_REAL_FEW(
    lock_b30_unbounded_wait,
    "given no bound for the wait, then it lasts while the key is held and renewed, asks about once a second, and "
    "ends with its scope",
    "coordination 1.4.30: by design the scope is the bound")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    SL_SCOPE(inner);
    CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(450)), 0);
    struct sl_redis_stats before, after;
    {
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(1500), .move_on = true);
        sl_redis_stats_get(redis, &before);
        CHECK_EQ(sl_redis_lock(&limit, redis, KEY), SL_ECANCELED); /* more than three TTLs */
        sl_redis_stats_get(redis, &after);
        CHECK_EQ(sl_scope_close(&limit, SL_ECANCELED), 0);
    }
    CHECK(after.commands - before.commands < 40); /* ten renewals, and a question for each time it might expire */
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(
    lock_b34_one_node_counts,
    "given a client that waits for one server, then that others are down does not matter, and its own being down is an "
    "error after which nothing is left behind",
    "coordination 1.4.34: by design no quorum")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *direct = NULL;
    CHECK_EQ(kit_begin(&scope, &direct), 0);
    CHECK_EQ(start_own(&scope, NULL, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "PING"), 0);
    redis_process_kill(&own);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, direct, KEY, .try_only = true), 0);
        int code = 0;
        {
            SL_SCOPE(other);
            code = sl_redis_lock(&other, redis, KEY, .try_only = true);
        }
        CHECK(code < 0 && code != SL_EBUSY && code != SL_ELOCKLOST);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK(redis_process_restart(&own));
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_process_stop(&own);
    return 0;
}

C_TEST_REAL_FEW(lock_b36_losers_hold_nothing,
                "given several keys of which one is another's, then a waiter holds none of them meanwhile",
                "coordination 1.4.36")
{
    static const char *const more[] = {"second", "third", NULL};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "third", "another", "PX", "60000"), 0);
    struct kit_holder waiter = KIT_HOLDER(redis, .and_keys = more);
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, kit_hold, &waiter), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
        CHECK_NUMBER(redis, "EXISTS", KEY, 0);
        CHECK_NUMBER(redis, "EXISTS", "second", 0);
    }
    CHECK_EQ(sl_redis_unlock(redis, "third", NULL), 0);
    KIT_UNTIL(waiter.code <= 0);
    CHECK_EQ(waiter.code, 0);
    sl_event_set(&waiter.let_go);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    return sl_scope_wait(&scope);
}

#define WAITERS 8

C_TEST_REAL_FEW(lock_b40_b41_waiters,
                "given waiters, then there is no queue, but each gets it, one after the other and at once; one that "
                "was cancelled, or "
                "has lost its patience, holds up nobody",
                "coordination 1.4.40, 1.4.41: by design not fair")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    struct kit_holder holders[WAITERS];
    sl_task_ref refs[WAITERS];
    SL_SCOPE(tasks, .strategy = SL_ISOLATE);
    for (int i = 0; i < WAITERS; i++) {
        holders[i] =
            (struct kit_holder)KIT_HOLDER(redis, .ttl = SL_SECONDS(60), .wait = i == 1 ? SL_MILLISECONDS(50) : 0);
        CHECK_EQ(sl_spawn(&tasks, kit_hold, &holders[i], .ret_task = &refs[i]), 0);
        KIT_UNTIL(i > 0 || holders[0].code == 0);
    }
    KIT_UNTIL(holders[1].code != 1);
    CHECK_EQ(holders[1].code, SL_ETIMEDOUT);
    CHECK_EQ(sl_task_cancel(refs[2], NULL), 0);
    int had = 1;
    sl_event_set(&holders[0].let_go);
    while (had < WAITERS - 2) {
        int now = -1;
        for (int i = 3; i < WAITERS && now < 0; i++) {
            now = holders[i].code == 0 && holders[i].ended == 1 && !sl_event_is_set(&holders[i].let_go) ? i : -1;
        }
        if (now >= 0) {
            had++;
            sl_event_set(&holders[now].let_go);
        }
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(lock_f06_last_second_is_lost), cmocka_unit_test(lock_f07_promoted_before_it_knew),
             cmocka_unit_test(lock_f08_redis_stalls), cmocka_unit_test(lock_f09_redis_clock_is_set),
             cmocka_unit_test(lock_f15_refused_for_now), cmocka_unit_test(lock_f16_loop_is_held_up),
             cmocka_unit_test(lock_b11_dropped_without_release), cmocka_unit_test(lock_b30_unbounded_wait),
             cmocka_unit_test(lock_b34_one_node_counts), cmocka_unit_test(lock_b36_losers_hold_nothing),
             cmocka_unit_test(lock_b40_b41_waiters))
