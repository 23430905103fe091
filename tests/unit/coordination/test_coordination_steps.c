/* SPDX-License-Identifier: MIT */
/*
 * Partitions and shared limits cancelled at each step of a task, and with each allocation failing: nothing is left held,
 * no memory is left over, and the server can be used as before.
 */
#include "lock_kit.h"
#include "sluice/partition.h"
#include "sluice/runtime.h"
#include "sluice/shared_limit.h"

#define PARTS 3

/* ---- what is done ---- */

struct work {
    sl_redis *redis;
    int owned;
};

static int serve_briefly(void *arg, const struct sl_partition *partition)
{
    struct work *work = arg;
    (void)partition;
    work->owned++;
    return sl_stop_wait();
}

static int run_partitions(void *arg)
{
    struct work *work = arg;
    return sl_partitions_run(&(struct sl_partitions_options){.backend = SL_PARTITIONS_REDIS,
                                                             .redis = work->redis,
                                                             .group = "steps",
                                                             .replica = "one",
                                                             .count = PARTS,
                                                             .ttl = SL_SECONDS(2),
                                                             .on_owned = serve_briefly,
                                                             .arg = work});
}

/* Owns all partitions, then is asked to stop. */
static int use_partitions(struct work *work)
{
    work->owned = 0;
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, NULL));
    int code = sl_spawn(&scope, run_partitions, work);
    while (code == 0 && work->owned < PARTS && sl_scope_children(&scope) > 0) {
        code = sl_sleep(SL_MICROSECONDS(200));
    }
    code = code == 0 ? sl_scope_stop(&scope, SL_SECONDS(1)) : code;
    return sl_scope_close(&scope, code);
}

/* Calls that pass, one that waits, a block, and a change of the limits. */
static int use_limit(struct work *work)
{
    const struct sl_rate rate = {.count = 100, .period = SL_SECONDS(1), .burst = 2, .bucket = true};
    const struct sl_rate other = {.count = 200, .period = SL_SECONDS(1), .burst = 3, .bucket = true};
    sl_auto(sl_limiter) *limiter = NULL;
    SL_SCOPE(scope);
    sl_shared_limit *shared = NULL;
    SL_TRY(sl_shared_limit_open(
        &scope,
        &(struct sl_shared_limit_options){.redis = work->redis, .name = "steps", .rates = &rate, .rate_count = 1},
        &shared));
    struct sl_limiter_options options = {.rates = &rate, .rate_count = 1};
    sl_shared_limit_use(shared, &options);
    SL_TRY(sl_limiter_create(&options, &limiter));
    for (int i = 0; i < 4; i++) {
        SL_TRY(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL));
    }
    sl_limiter_block(limiter, sl_now() + SL_MILLISECONDS(3), "a little");
    SL_TRY(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL));
    SL_TRY(sl_limiter_change(limiter, &other, 1, SL_CARRY_PROPORTIONAL, 0));
    SL_TRY(sl_limiter_acquire(limiter, 2, SL_PRIORITY_NORMAL, NULL));
    return sl_scope_wait(&scope);
}

/* ---- cancelled ---- */

struct round {
    int (*use)(struct work *work);
    sl_scope *scope;
    int64_t steps_left;
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

/* Nothing is locked, no member is left, and the client has not lost step. */
static int check_clean(sl_redis *redis)
{
    for (int i = 0; i < PARTS; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "sluice:{steps}:p:%d", i);
        CHECK_NUMBER(redis, "EXISTS", key, 0);
    }
    CHECK_NUMBER(redis, "EXISTS", "sluice:{steps}:members", 0);
    CHECK_NUMBER(redis, "INCR", "works", 1);
    return 0;
}

static int run_round(void *arg)
{
    struct round *round = arg;
    struct work work = {0};
    SL_SCOPE(outer);
    CHECK_EQ(kit_client(&outer, kit_url, &work.redis), 0);
    CHECK_EQ(sl_redis_do(work.redis, NULL, "FLUSHALL"), 0);
    {
        SL_SCOPE(scope);
        round->scope = &scope;
        int code = round->use(&work);
        round->scope = NULL;
        CHECK(code == 0 || code == SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&scope, code), 0);
    }
    CHECK_EQ(check_clean(work.redis), 0);
    return sl_scope_wait(&outer);
}

static void cancel_at_each(int (*use)(struct work *work))
{
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(kit_url, sizeof kit_url, "redis://127.0.0.1:%d", port);
    int64_t held = sl_memory_held(), n = 0;
    for (int finished = 0; finished < 3; n++) {
        struct round round = {.use = use, .steps_left = n};
        const struct sl_hooks hook = {.context = &round, .after_step = count_step};
        const struct sl_hooks *const hooks[] = {&hook, NULL};
        assert_int_equal(sl_run(&(struct sl_run_options){.instruments = hooks}, run_round, &round, NULL), 0);
        assert_int_equal(sl_memory_held(), held);
        finished += round.steps_left >= 0;
        assert_true(n < 2000);
    }
    print_message("cancelled at %lld steps\n", (long long)n);
    assert_true(n > 20);
}

static void partitions_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel_at_each(use_partitions);
}

static void shared_limit_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel_at_each(use_limit);
}

/* ---- without memory ---- */

static int fail_each(int (*use)(struct work *work))
{
    SL_SCOPE(scope);
    struct work work = {0};
    CHECK_EQ(kit_begin(&scope, &work.redis), 0);
    CHECK_EQ(use(&work), 0);
    for (int64_t n = 0; n < 1000; n++) {
        CHECK_EQ(sl_redis_do(work.redis, NULL, "FLUSHALL"), 0);
        sl_memory_fail_after(n);
        int code = use(&work);
        bool failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK(code == 0 || code == SL_ENOMEM || code == SL_ECONNRESET);
        CHECK(failed || code == 0);
        CHECK_EQ(check_clean(work.redis), 0);
        if (!failed) {
            CHECK(n > 3);
            return sl_scope_wait(&scope);
        }
    }
    return SL_CHECK_FAILED;
}

C_TEST_REAL_FEW(partitions_without_memory,
                "whichever allocation fails, partitions say so or try again, and leave nothing behind", "")
{
    return fail_each(use_partitions);
}

C_TEST_REAL_FEW(shared_limit_without_memory, "whichever allocation fails, a shared limit says so or goes on", "")
{
    return fail_each(use_limit);
}

/* A keeper that dies unnoticed would let the lock expire under its holder. */
C_TEST_REAL_FEW(
    lock_kept_without_memory,
    "whichever allocation of a renewal fails, the lock is kept by the next, or its scope learns that it is not",
    "coordination 1.5: a renewal that dies unnoticed")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    for (int64_t n = 0; n < 6; n++) {
        SL_SCOPE(inner);
        sl_lock *lock = NULL;
        CHECK_EQ(sl_redis_lock(&inner, redis, KEY, .ttl = SL_MILLISECONDS(600), .ret_lock = &lock), 0);
        sl_memory_fail_after(n);
        int code = sl_sleep(SL_MILLISECONDS(900));
        sl_memory_fail_after(-1);
        CHECK_EQ(code, sl_scope_cause(&inner) == SL_CAUSE_LOST ? SL_ECANCELED : 0);
        CHECK(code != 0 || sl_lock_left(lock) > 0);
        int64_t there = 0;
        CHECK(code != 0 || (kit_number(redis, "EXISTS", KEY, &there) == 0 && there == 1));
        code = sl_scope_close(&inner, code);
        CHECK(code == 0 || code == SL_ELOCKLOST);
    }
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(partitions_cancelled_at_each_step), cmocka_unit_test(shared_limit_cancelled_at_each_step),
             cmocka_unit_test(partitions_without_memory), cmocka_unit_test(shared_limit_without_memory),
             cmocka_unit_test(lock_kept_without_memory))
