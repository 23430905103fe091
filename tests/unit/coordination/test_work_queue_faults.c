/* SPDX-License-Identifier: MIT */
/* A work queue in Redis when things go wrong: silence, cuts, cancellation at each step, restarts of the server. */
#include "work_kit.h"

#include "sluice/runtime.h"

static int open_work(sl_scope *scope, sl_redis *redis, sl_work **ret_work)
{
    return sl_work_open(scope, WORK_OPTIONS(.backend = SL_WORK_REDIS, .redis = redis), ret_work);
}

/* The server knows all scripts, so that each step is one command. */
static int warm(sl_redis *redis)
{
    SL_SCOPE(scope);
    sl_work *work = NULL;
    sl_job *job = NULL;
    CHECK_EQ(open_work(&scope, redis, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    CHECK_EQ(sl_work_take(work, &scope, &job), 0);
    CHECK_EQ(sl_job_checkpoint(job, "half"), 0);
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return sl_redis_do(redis, NULL, "FLUSHALL");
}

/* ---- silence ---- */

struct holding {
    sl_work *work;
    bool held;
    int code;
    enum sl_cause cause;
    sl_time ended;
};

static int hold(void *arg)
{
    struct holding *holding = arg;
    SL_SCOPE(scope);
    sl_job *job = NULL;
    CHECK_EQ(sl_work_take(holding->work, &scope, &job), 0);
    CHECK_EQ(sl_job_checkpoint(job, "half"), 0);
    holding->held = true;
    holding->code = sl_sleep(SL_SECONDS(20));
    holding->ended = sl_now();
    holding->cause = sl_scope_cause(&scope);
    return sl_scope_close(&scope, holding->code) == SL_ELOCKLOST ? 0 : SL_CHECK_FAILED;
}

C_TEST_REAL_FEW(a_silent_worker_is_followed,
                "whose renewals do not arrive stops before another one takes over; that one goes on from its "
                "checkpoint; the silence counts as a failure",
                "issue 5: work queue")
{
    SL_SCOPE(scope);
    struct redis_proxy proxy = {
        .plan = {
            [REDIS_PROXY_RENEW] = {REDIS_PROXY_PASS, REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW},
            [REDIS_PROXY_GIVE] = {REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW, REDIS_PROXY_SWALLOW}}};
    sl_redis *direct = NULL, *proxied = NULL;
    sl_work *work = NULL;
    struct holding holding = {.code = 1};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &direct, &proxied), 0);
    CHECK_EQ(warm(direct), 0);
    CHECK_EQ(open_work(&scope, direct, &work), 0);
    CHECK_EQ(open_work(&scope, proxied, &holding.work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    CHECK_EQ(sl_spawn(&scope, hold, &holding), 0);
    KIT_UNTIL(holding.held);
    sl_time begin = sl_now();
    {
        SL_SCOPE(inner);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &inner, &job), 0);
        sl_time taken = sl_now();
        CHECK_BETWEEN(taken - begin, SL_MILLISECONDS(400), SL_MILLISECONDS(2200));
        CHECK_EQ(holding.code, SL_ECANCELED);
        CHECK_EQ(holding.cause, SL_CAUSE_LOST);
        CHECK(holding.ended <= taken);
        CHECK_STRING(sl_job_progress(job), "half");
        CHECK_EQ(sl_job_failures(job), 1);
        CHECK_EQ(sl_job_fence(job), 2);
        CHECK_EQ(sl_job_done(job), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_DEPTH(work, 0, 0, 0, 0);
    struct sl_work_stats stats;
    sl_work_stats_get(work, &stats);
    CHECK_EQ(stats.taken_over, 1);
    sl_work_stats_get(holding.work, &stats);
    CHECK_EQ(stats.lost, 1);
    int code = sl_scope_wait(&scope);
    redis_proxy_end(&proxy);
    return code;
}

C_TEST_REAL_FEW(it_is_kept_for_long, "work that takes longer than the lease keeps its job", "issue 5: work queue")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_work *work = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(open_work(&scope, redis, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    SL_SCOPE(inner);
    sl_job *job = NULL;
    CHECK_EQ(sl_work_take(work, &inner, &job), 0);
    for (int i = 0; i < 15; i++) {
        SL_SCOPE(thief, .timeout = SL_MILLISECONDS(100), .move_on = true);
        sl_job *other = NULL;
        CHECK_EQ(sl_work_take(work, &thief, &other), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&thief, SL_ECANCELED), 0);
    }
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    struct sl_work_stats stats;
    sl_work_stats_get(work, &stats);
    CHECK(stats.renewals >= 4);
    CHECK_EQ(stats.taken, 1);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(who_comes_too_late_is_told,
                "a worker whose job was taken over meanwhile changes nothing of it, and its scope is cancelled",
                "issue 5: work queue")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_work *work = NULL;
    sl_job *job = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(open_work(&scope, redis, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    SL_SCOPE(inner);
    CHECK_EQ(sl_work_take(work, &inner, &job), 0);
    CHECK_EQ(sl_job_checkpoint(job, "mine"), 0);
    /* What taking it over does. */
    CHECK_EQ(sl_redis_do(redis, NULL, "XAUTOCLAIM", "sluice:{work}:jobs", "workers", "another", "0", "0-0"), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "HSET", "sluice:{work}:job:a", "owner", "another"), 0);
    CHECK_EQ(sl_job_checkpoint(job, "late"), SL_ELOCKLOST);
    CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
    CHECK_EQ(sl_job_done(job), SL_ELOCKLOST);
    CHECK_EQ(sl_scope_close(&inner, 0), SL_ELOCKLOST);
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_do(redis, &reply, "HGET", "sluice:{work}:job:a", "progress"), 0);
    struct sl_redis_value progress = sl_redis_reply_value(reply);
    CHECK(sl_redis_value_is(&progress, "mine"));
    CHECK_DEPTH(work, 0, 1, 0, 0); /* the other's */
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(whoever_kills_its_worker_is_put_aside, "a job whose workers fall silent ends as a dead letter",
                "issue 5: work queue")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_work *work = NULL;
    CHECK_EQ(kit_begin(&scope, &redis), 0);
    CHECK_EQ(open_work(&scope, redis, &work), 0);
    CHECK_EQ(work_add(work, "poison", NULL), 1);
    /* Workers of which nothing is left but what the server knows: the scripts' own steps, without the renewals. */
    CHECK_DEPTH(work, 1, 0, 0, 0);
    for (int i = 0; i < 3; i++) {
        int64_t made = 0;
        char consumer[24];
        (void)snprintf(consumer, sizeof consumer, "dead %d", i);
        CHECK_EQ(sl_redis_do(redis, NULL, "XGROUP", "CREATE", "sluice:{work}:jobs", "workers", "0") == 0 || i > 0, 1);
        const char *const read[] = {"XREADGROUP",         "GROUP", "workers", consumer, "STREAMS",
                                    "sluice:{work}:jobs", ">",     NULL};
        CHECK_EQ(sl_redis_send(redis, &(struct sl_redis_request){.texts = read}, NULL), 0);
        CHECK_EQ(sl_redis_do_int(redis, &made, "HSET", "sluice:{work}:job:poison", "owner", consumer), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(650)), 0);
        SL_SCOPE(inner, .timeout = SL_MILLISECONDS(200), .move_on = true);
        sl_job *job = NULL;
        int code = sl_work_take(work, &inner, &job);
        CHECK_EQ(code, i < 2 ? 0 : SL_ECANCELED);
        if (code == 0) {
            CHECK_EQ(sl_job_failures(job), i + 1);
        }
        (void)sl_scope_close(&inner, code);
    }
    CHECK_DEPTH(work, 0, 0, 0, 1);
    struct work_dead dead = {.count = 0};
    CHECK_EQ(sl_work_dead_list(work, work_note_dead, &dead), 0);
    CHECK_STRING(dead.reason, "its worker fell silent");
    CHECK_EQ(dead.failures, 3);
    return sl_scope_wait(&scope);
}

/* ---- cuts ---- */

static int do_quickly(void *arg, sl_job *job)
{
    int *done = arg;
    SL_TRY(sl_job_checkpoint(job, "half"));
    done[*sl_job_key(job) - '0']++;
    return 0;
}

C_TEST_REAL_FEW(cut_between_command_and_reply,
                "whatever happens to a command of any kind, or its reply, every job is done, once as far as the "
                "queue knows, and none is left",
                "issue 5: work queue")
{
    static const enum redis_proxy_act acts[] = {REDIS_PROXY_CUT_BEFORE, REDIS_PROXY_CUT_AFTER, REDIS_PROXY_MUTE};
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    CHECK_EQ(kit_begin(&outer, &redis), 0);
    CHECK_EQ(warm(redis), 0);
    for (unsigned at = 0; at < 3 * 3 * 3; at++) {
        SL_SCOPE(scope);
        struct redis_proxy proxy = {.server_port = 0};
        proxy.plan[1 + at % 3][at / 3 % 3] = acts[at / 9];
        sl_redis *proxied = NULL;
        sl_work *work = NULL;
        int done[4] = {0};
        CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
        CHECK_EQ(redis_proxy_begin(&proxy, &scope, redis_server_port()), 0);
        const struct sl_redis_options client = {.url = proxy.url,
                                                .timeout = SL_MILLISECONDS(250),
                                                .drain_timeout = SL_MILLISECONDS(100),
                                                .backoff = {.initial = SL_MILLISECONDS(10)}};
        CHECK_EQ(sl_redis_open(&scope, &client, &proxied), 0);
        CHECK_EQ(open_work(&scope, proxied, &work), 0);
        for (int i = 0; i < 4; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%d", i);
            CHECK_EQ(work_add(work, key, NULL), 1);
        }
        CHECK_EQ(sl_work_run(work, &(struct sl_work_run){.on_job = do_quickly, .arg = done, .until_empty = true}), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_BETWEEN(done[i], 1, 2);
        }
        CHECK_DEPTH(work, 0, 0, 0, 0);
        struct sl_work_stats stats;
        sl_work_stats_get(work, &stats);
        CHECK_EQ(stats.done, 4);
        CHECK_EQ(stats.lost, 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        redis_proxy_end(&proxy);
    }
    return sl_scope_wait(&outer);
}

C_TEST_REAL_FEW(an_add_that_was_cut_is_added_once, "sent again after its reply was lost, it says that it was added",
                "issue 5: work queue")
{
    SL_SCOPE(scope);
    sl_redis *direct = NULL, *proxied = NULL;
    sl_work *work = NULL;
    struct redis_proxy proxy = {.plan = {{REDIS_PROXY_PASS}}};
    CHECK_EQ(kit_begin_proxied(&scope, &proxy, &direct, &proxied), 0);
    CHECK_EQ(warm(direct), 0);
    CHECK_EQ(open_work(&scope, proxied, &work), 0);
    CHECK_EQ(work_add(work, "warm", NULL), 1);
    proxy.counts[REDIS_PROXY_OTHER] = 0;
    proxy.plan[REDIS_PROXY_OTHER][0] = REDIS_PROXY_CUT_AFTER;
    CHECK_EQ(work_add(work, "a", NULL), 1);
    CHECK(proxy.connections > 1);
    CHECK_DEPTH(work, 2, 0, 0, 0);
    int code = sl_scope_wait(&scope);
    redis_proxy_end(&proxy);
    return code;
}

/* ---- cancelled, or without memory, at each step ---- */

struct round {
    sl_scope *scope;
    int64_t steps_left;
    bool memory; /* the n-th allocation fails instead */
    bool failed;
};

static int count_step(void *context, sl_task_ref task)
{
    struct round *round = context;
    (void)task;
    if (round->scope != NULL && !round->memory && round->steps_left-- == 0) {
        sl_scope_cancel(round->scope, "at the n-th step");
    }
    return 0;
}

static int use_work(sl_work *work, sl_scope *scope)
{
    sl_job *job = NULL;
    SL_TRY(sl_work_take(work, scope, &job));
    SL_TRY(sl_job_checkpoint(job, "half"));
    SL_TRY(sl_job_fail(job, "on purpose"));
    SL_TRY(sl_work_take(work, scope, &job));
    SL_TRY(sl_job_done(job));
    SL_TRY(sl_work_take(work, scope, &job)); /* the first one again: for the scope to give back */
    return sl_checkpoint();
}

static int run_round(void *arg)
{
    struct round *round = arg;
    SL_SCOPE(outer);
    sl_redis *redis = NULL;
    sl_work *work = NULL;
    CHECK_EQ(kit_client(&outer, kit_url, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    CHECK_EQ(open_work(&outer, redis, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    CHECK_EQ(work_add(work, "b", NULL), 1);
    {
        SL_SCOPE(scope);
        round->scope = &scope;
        if (round->memory) {
            sl_memory_fail_after(round->steps_left);
        }
        int code = use_work(work, &scope);
        round->failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        round->scope = NULL;
        CHECK(code == 0 || code == (round->memory ? SL_ENOMEM : SL_ECANCELED));
        code = sl_scope_close(&scope, code == SL_ECANCELED ? code : 0);
        CHECK(code == 0 || code == SL_ENOMEM);
    }
    struct sl_work_depth depth;
    struct sl_work_stats stats;
    CHECK_EQ(sl_work_depth(work, &depth), 0);
    sl_work_stats_get(work, &stats);
    CHECK_EQ(depth.in_hand, 0);
    CHECK_EQ(stats.in_hand, 0);
    CHECK_EQ(stats.lost, 0);
    CHECK(depth.waiting + depth.later == 2 || (depth.waiting + depth.later == 1 && stats.taken >= 2));
    CHECK_EQ(work_add(work, "a", NULL), 0);
    CHECK_EQ(work_add(work, "b", NULL), 0);
    return sl_scope_wait(&outer);
}

static void at_each_step(bool memory)
{
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(kit_url, sizeof kit_url, "redis://127.0.0.1:%d", port);
    int64_t held = sl_memory_held();
    int64_t n = 0;
    for (int finished = 0; finished < 3; n++) {
        struct round round = {.steps_left = n, .memory = memory};
        const struct sl_hooks hook = {.context = &round, .after_step = count_step};
        const struct sl_hooks *const hooks[] = {&hook, NULL};
        assert_int_equal(sl_run(&(struct sl_run_options){.instruments = hooks}, run_round, &round, NULL), 0);
        assert_int_equal(sl_memory_held(), held);
        finished += memory ? !round.failed : round.steps_left >= 0;
        assert_true(n < 1000);
    }
    print_message("%s at %lld steps\n", memory ? "without memory" : "cancelled", (long long)n);
    assert_true(n > 10);
}

static void cancelled_at_each_step(void **state)
{
    (void)state;
    at_each_step(false);
}

static void without_memory_at_each_step(void **state)
{
    (void)state;
    at_each_step(true);
}

/* ---- the server goes ---- */

C_TEST_REAL_FEW(redis_comes_back_with_its_data,
                "a job in hand is kept through a restart of the server; nothing is lost", "issue 5: work queue")
{
    static const char *const arguments[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    SL_SCOPE(scope);
    struct redis_process server = {0};
    CHECK(redis_process_start(&server, arguments));
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    sl_redis *redis = NULL;
    sl_work *work = NULL;
    CHECK_EQ(kit_client(&scope, url, &redis), 0);
    const struct sl_work_options options = {.backend = SL_WORK_REDIS, .redis = redis, .lease = SL_SECONDS(20)};
    CHECK_EQ(sl_work_open(&scope, &options, &work), 0);
    CHECK_EQ(work_add(work, "a", "body"), 1);
    CHECK_EQ(work_add(work, "b", "body"), 1);
    SL_SCOPE(inner);
    sl_job *job = NULL;
    CHECK_EQ(sl_work_take(work, &inner, &job), 0);
    redis_process_kill(&server);
    CHECK(redis_process_restart(&server));
    CHECK_EQ(sl_job_checkpoint(job, "half"), 0);
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_DEPTH(work, 1, 0, 0, 0);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    int code = sl_scope_wait(&scope);
    redis_process_stop(&server);
    return code;
}

C_TEST_REAL_FEW(redis_comes_back_empty, "a job in hand is lost and its scope cancelled; the queue works on",
                "issue 5: work queue")
{
    SL_SCOPE(scope);
    struct redis_process server = {0};
    CHECK(redis_process_start(&server, NULL));
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    sl_redis *redis = NULL;
    sl_work *work = NULL;
    CHECK_EQ(kit_client(&scope, url, &redis), 0);
    CHECK_EQ(open_work(&scope, redis, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    {
        SL_SCOPE(inner);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &inner, &job), 0);
        redis_process_kill(&server);
        CHECK(redis_process_restart(&server));
        CHECK_EQ(sl_sleep(SL_SECONDS(20)), SL_ECANCELED);
        CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
        CHECK_EQ(sl_job_checkpoint(job, "late"), SL_ELOCKLOST);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK_EQ(work_add(work, "a", NULL), 1);
    {
        SL_SCOPE(inner);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &inner, &job), 0);
        CHECK_EQ(sl_job_done(job), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    int code = sl_scope_wait(&scope);
    redis_process_stop(&server);
    return code;
}

SL_TEST_MAIN(cmocka_unit_test(a_silent_worker_is_followed), cmocka_unit_test(it_is_kept_for_long),
             cmocka_unit_test(who_comes_too_late_is_told), cmocka_unit_test(whoever_kills_its_worker_is_put_aside),
             cmocka_unit_test(cut_between_command_and_reply), cmocka_unit_test(an_add_that_was_cut_is_added_once),
             cmocka_unit_test(cancelled_at_each_step), cmocka_unit_test(without_memory_at_each_step),
             cmocka_unit_test(redis_comes_back_with_its_data), cmocka_unit_test(redis_comes_back_empty))
