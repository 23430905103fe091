/* SPDX-License-Identifier: MIT */
/*
 * Cancelling, or losing the connection, at every step of taking, holding, renewing and giving back: the key is free
 * afterwards (or expires within its TTL), and the client goes on working.
 */
#include <stdlib.h>

#include "lock_kit.h"
#include "sluice/runtime.h"

/* What one round does; `steps_left` counts steps of tasks down to the cancellation. */
struct round {
    sl_scope *scope;
    int64_t steps_left;
    int fenced, several;
};

static int count_step(void *context, sl_task_ref task)
{
    struct round *round = context;
    (void)task;
    if (round->scope != NULL && round->steps_left-- == 0) {
        sl_scope_cancel(round->scope, "at the n-th step");
    }
    return 0;
}

/* Long enough for a renewal; then an early release and a second lock that the scope gives back. */
static int use_lock(sl_redis *redis, sl_scope *scope, const struct round *round)
{
    static const char *const more[] = {"second", NULL};
    sl_lock *lock = NULL;
    SL_TRY(sl_redis_lock(scope, redis, KEY, .ttl = SL_SECONDS(5), .fenced = round->fenced == 1,
                         .and_keys = round->several == 1 ? more : NULL, .ret_lock = &lock));
    SL_TRY(sl_lock_extend(lock, SL_SECONDS(1)));
    SL_TRY(sl_lock_set_ttl(lock, SL_SECONDS(5)));
    SL_TRY(sl_lock_release(lock));
    SL_TRY(sl_redis_lock(scope, redis, KEY, .ttl = SL_SECONDS(5), .kind = SL_LOCK_EXCLUSIVE, .wait = SL_SECONDS(5)));
    return sl_checkpoint();
}

static int run_round(void *arg)
{
    struct round *round = arg;
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_client(&outer, kit_url, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    {
        SL_SCOPE(scope);
        round->scope = &scope;
        int code = use_lock(redis, &scope, round);
        round->scope = NULL;
        CHECK(code == 0 || code == SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&scope, code), 0);
    }
    CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    CHECK_NUMBER(redis, "EXISTS", "second", 0);
    struct sl_redis_stats stats;
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.timeouts, 0);
    CHECK_NUMBER(redis, "INCR", "works", 1);
    return sl_scope_wait(&outer);
}

/* The whole run's steps differ a little from run to run: a few more are tried. */
static void cancelled_at_each_step(void **state)
{
    (void)state;
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(kit_url, sizeof kit_url, "redis://127.0.0.1:%d", port);
    int64_t held = sl_memory_held();
    int finished = 0;
    int64_t n = 0;
    for (; finished < 3; n++) {
        struct round round = {.steps_left = n, .fenced = (int)(n % 2), .several = (int)(n % 3)};
        const struct sl_hooks hook = {.context = &round, .after_step = count_step};
        const struct sl_hooks *const hooks[] = {&hook, NULL};
        assert_int_equal(sl_run(&(struct sl_run_options){.instruments = hooks}, run_round, &round, NULL), 0);
        assert_int_equal(sl_memory_held(), held);
        finished += round.steps_left >= 0;
        assert_true(n < 1000);
    }
    print_message("cancelled at %lld steps\n", (long long)n);
    assert_true(n > 20);
}

/* ---- at each renewal, by time ---- */

C_TEST_REAL_FEW(cancelled_while_it_renews, "cancelled at random moments around its renewals, it is free at once", "")
{
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&outer, &redis), 0);
    for (int i = 0; i < 60; i++) {
        {
            SL_SCOPE(scope);
            CHECK_EQ(sl_redis_lock(&scope, redis, KEY, .ttl = SL_MILLISECONDS(300), .loss_is_no_error = true), 0);
            int code = sl_sleep(SL_MILLISECONDS(98) + SL_MICROSECONDS(sl_conformance_random() % 4000));
            CHECK(code == 0 || code == SL_ECANCELED);
            sl_scope_cancel(&scope, NULL);
            (void)sl_scope_close(&scope, SL_ECANCELED);
        }
        CHECK_NUMBER(redis, "EXISTS", KEY, 0);
    }
    return sl_scope_wait(&outer);
}

/* ---- with faults on the way ---- */

static const enum redis_proxy_act faults[] = {REDIS_PROXY_CUT_BEFORE, REDIS_PROXY_CUT_AFTER, REDIS_PROXY_MUTE,
                                              REDIS_PROXY_SWALLOW};
#define FAULTS (int)(sizeof faults / sizeof faults[0])

/* What happens to the first command of which kind, and whether its lock's user has a deadline. */
struct fault {
    sl_redis *redis; /* another's, that nothing happens to */
    int kind, act;
    bool deadline;
};

static int meet_fault(void *arg)
{
    const struct fault *fault = arg;
    struct redis_proxy proxy = {0};
    char key[32];
    (void)snprintf(key, sizeof key, KEY ":%d:%d:%d", fault->kind, fault->act, fault->deadline);
    SL_SCOPE(scope);
    sl_redis *proxied = NULL;
    CHECK_EQ(redis_proxy_begin(&proxy, &scope, redis_server_port()), 0);
    CHECK_EQ(kit_client(&scope, proxy.url, &proxied), 0);
    proxy.plan[fault->kind][0] = faults[fault->act];
    {
        SL_SCOPE(inner, .timeout = fault->deadline ? SL_MILLISECONDS(400) : 0, .move_on = true);
        int code = sl_redis_lock(&inner, proxied, key, .ttl = SL_SECONDS(1),
                                 .loss_is_no_error = fault->kind != REDIS_PROXY_GIVE);
        code = code == 0 ? sl_sleep(SL_MILLISECONDS(500)) : code;
        code = sl_scope_close(&inner, code);
        CHECK(fault->kind != REDIS_PROXY_GIVE || code == 0); /* what was given back twice is not lost */
    }
    int64_t left = 0;
    CHECK_EQ(kit_number(fault->redis, "PTTL", key, &left), 0);
    CHECK_BETWEEN(left, -2, 1000);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    redis_proxy_end(&proxy);
    SL_SCOPE(next);
    CHECK_EQ(sl_redis_lock(&next, fault->redis, key, .wait = SL_SECONDS(2)), 0);
    return sl_scope_wait(&next);
}

C_TEST_REAL_FEW(faults_at_each_command,
                "whatever happens to the first command of each kind, cancelled or not, nobody is locked out",
                "coordination 4.6.1, 4.6.4")
{
    struct fault all[REDIS_PROXY_KINDS * FAULTS * 2];
    size_t count = 0;
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&outer, &redis), 0);
    SL_SCOPE(together);
    for (int kind = REDIS_PROXY_TAKE; kind < REDIS_PROXY_KINDS; kind++) {
        for (int act = 0; act < FAULTS; act++) {
            for (int way = 0; way < 2; way++) {
                all[count] = (struct fault){redis, kind, act, way == 0};
                CHECK_EQ(sl_spawn(&together, meet_fault, &all[count++]), 0);
            }
        }
    }
    CHECK_EQ(sl_scope_wait(&together), 0);
    return sl_scope_wait(&outer);
}

/* ---- renewals do not stand in line behind other work ---- */

struct flood {
    sl_redis *redis;
    bool stop;
};

static int flood(void *arg)
{
    struct flood *flood = arg;
    static char large[4096];
    memset(large, 'x', sizeof large - 1);
    while (!flood->stop) {
        SL_TRY(sl_redis_do(flood->redis, NULL, "SET", "bulk", large));
    }
    return 0;
}

C_TEST_REAL_FEW(renewals_go_past_bulk_work,
                "the connection of everybody is held up for longer than the TTL: the lock "
                "stays",
                "coordination 1.5, Redisson #5698")
{
    SL_SCOPE(outer);
    sl_redis *redis = NULL, *proxied = NULL;
    struct redis_proxy proxy = {.delay = SL_MILLISECONDS(1200)};
    CHECK_EQ(kit_begin_proxied(&outer, &proxy, &redis, &proxied), 0);
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_redis_do(proxied, NULL, "PING"), 0);
        CHECK_EQ(sl_redis_lock(&scope, proxied, KEY, .ttl = SL_MILLISECONDS(900)), 0);
        struct flood flooding = {.redis = proxied};
        proxy.counts[REDIS_PROXY_OTHER] = 0;
        proxy.plan[REDIS_PROXY_OTHER][0] = REDIS_PROXY_DELAY;
        SL_SCOPE(tasks);
        for (int i = 0; i < 16; i++) {
            CHECK_EQ(sl_spawn(&tasks, flood, &flooding), 0);
        }
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1500)), 0);
        CHECK_PTTL(redis, KEY, 1, 900);
        flooding.stop = true;
        CHECK_EQ(sl_scope_wait(&tasks), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(sl_scope_wait(&outer), 0);
    redis_proxy_end(&proxy);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(cancelled_at_each_step), cmocka_unit_test(cancelled_while_it_renews),
             cmocka_unit_test(faults_at_each_command), cmocka_unit_test(renewals_go_past_bulk_work))
