/* SPDX-License-Identifier: MIT */
/* What a work queue promises, whatever keeps it: each case runs with both backends. */
#include "sluice/channel.h"
#include "work_kit.h"

/* `steps` with a local queue, in both worlds; and with one in an empty Redis. */
#define BOTH(name, behaviour)                                                                                          \
    static int name##_steps(sl_work *work);                                                                            \
    C_TEST(name##_local, behaviour, "issue 5: work queue")                                                             \
    {                                                                                                                  \
        SL_SCOPE(scope);                                                                                               \
        sl_work *work = NULL;                                                                                          \
        CHECK_EQ(sl_work_open(&scope, WORK_OPTIONS(.jobs_max = 10), &work), 0);                                        \
        SL_TRY(name##_steps(work));                                                                                    \
        return sl_scope_wait(&scope);                                                                                  \
    }                                                                                                                  \
    C_TEST_REAL_FEW(name##_redis, behaviour, "issue 5: work queue")                                                    \
    {                                                                                                                  \
        SL_SCOPE(scope);                                                                                               \
        sl_redis *redis = NULL;                                                                                        \
        sl_work *work = NULL;                                                                                          \
        CHECK_EQ(kit_begin(&scope, &redis), 0);                                                                        \
        const struct sl_work_options *options =                                                                        \
            WORK_OPTIONS(.jobs_max = 10, .backend = SL_WORK_REDIS, .redis = redis);                                    \
        CHECK_EQ(sl_work_open(&scope, options, &work), 0);                                                             \
        SL_TRY(name##_steps(work));                                                                                    \
        return sl_scope_wait(&scope);                                                                                  \
    }                                                                                                                  \
    static int name##_steps(sl_work *work)

#define BOTH_OF(name) cmocka_unit_test(name##_local), cmocka_unit_test(name##_redis)

BOTH(jobs_are_done_in_order, "in the order they were added; each once; done ones are gone")
{
    CHECK_EQ(work_add(work, "a", "first"), 1);
    CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "b", .body = "\0x", .body_bytes = 2}, NULL), 0);
    CHECK_DEPTH(work, 2, 0, 0, 0);
    SL_SCOPE(scope);
    sl_job *job = NULL;
    size_t size_bytes = 0;
    CHECK_EQ(sl_work_take(work, &scope, &job), 0);
    CHECK_STRING(sl_job_key(job), "a");
    CHECK_STRING(sl_job_body(job, &size_bytes), "first");
    CHECK_EQ(size_bytes, 5);
    CHECK_STRING(sl_job_progress(job), "");
    CHECK_EQ(sl_job_failures(job), 0);
    CHECK(sl_job_left(job) > 0);
    CHECK_DEPTH(work, 1, 1, 0, 0);
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_EQ(sl_job_done(job), SL_EALREADY);
    CHECK_EQ(sl_job_checkpoint(job, "late"), SL_EALREADY);
    CHECK_EQ(sl_work_take(work, &scope, &job), 0);
    CHECK_STRING(sl_job_key(job), "b");
    CHECK(memcmp(sl_job_body(job, &size_bytes), "\0x", 3) == 0);
    CHECK_EQ(size_bytes, 2);
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_DEPTH(work, 0, 0, 0, 0);
    struct sl_work_stats stats;
    sl_work_stats_get(work, &stats);
    CHECK_EQ(stats.added, 2);
    CHECK_EQ(stats.taken, 2);
    CHECK_EQ(stats.done, 2);
    CHECK_EQ(stats.in_hand, 0);
    return sl_scope_wait(&scope);
}

BOTH(a_key_is_one_job, "added again while it waits, is in hand or is done, it has no effect")
{
    CHECK_EQ(work_add(work, "a", "1"), 1);
    CHECK_EQ(work_add(work, "a", "2"), 0);
    SL_SCOPE(scope);
    sl_job *job = NULL;
    CHECK_EQ(sl_work_take(work, &scope, &job), 0);
    CHECK_EQ(work_add(work, "a", "3"), 0);
    CHECK_STRING(sl_job_body(job, NULL), "1");
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_EQ(work_add(work, "a", "4"), 0);
    CHECK_DEPTH(work, 0, 0, 0, 0);
    return sl_scope_wait(&scope);
}

BOTH(it_is_bounded, "a full queue refuses; a job in hand and one for later count; then there is room again")
{
    char key[16];
    for (int i = 0; i < 9; i++) {
        (void)snprintf(key, sizeof key, "job %d", i);
        CHECK_EQ(work_add(work, key, NULL), 1);
    }
    CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "later", .delay = SL_SECONDS(100)}, NULL), 0);
    SL_SCOPE(scope);
    sl_job *job = NULL;
    CHECK_EQ(sl_work_take(work, &scope, &job), 0);
    CHECK_EQ(work_add(work, "one more", NULL), SL_EAGAIN);
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_EQ(work_add(work, "one more", NULL), 1);
    CHECK_DEPTH(work, 9, 0, 1, 0);
    static char large[SL_WORK_BODY_MAX + 1];
    CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "l", .body = large, .body_bytes = sizeof large}, NULL),
             SL_EMSGSIZE);
    CHECK_EQ(work_add(work, "", NULL), SL_EINVAL);
    return sl_scope_wait(&scope);
}

BOTH(it_is_given_back, "on every way out of its scope, at once, with its progress, and that is no failure")
{
    CHECK_EQ(work_add(work, "a", "body"), 1);
    for (int i = 0; i < 5; i++) { /* more often than it may fail */
        SL_SCOPE(scope);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        CHECK_EQ(sl_job_failures(job), 0);
        CHECK_EQ(sl_job_fence(job), i + 1);
        CHECK_STRING(sl_job_progress(job), i == 0 ? "" : "page 7");
        CHECK_EQ(sl_job_checkpoint(job, "page 7"), 0);
        if (i == 1) {
            CHECK_EQ(sl_job_give_back(job), 0);
        } else if (i == 2) {
            sl_scope_cancel(&scope, "enough");
        }
        (void)sl_scope_close(&scope, i == 3 ? SL_EPROTO : 0);
        CHECK_DEPTH(work, 1, 0, 0, 0);
    }
    return 0;
}

BOTH(it_fails_and_is_put_aside, "after its attempts, with reason and progress; it can be brought back")
{
    CHECK_EQ(work_add(work, "poison", "body"), 1);
    SL_SCOPE(scope);
    sl_job *job = NULL;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        CHECK_EQ(sl_job_failures(job), i);
        CHECK_EQ(sl_job_checkpoint(job, "half"), 0);
        CHECK_EQ(sl_job_fail(job, i == 2 ? "no such symbol" : "timeout"), 0);
    }
    CHECK_DEPTH(work, 0, 0, 0, 1);
    struct work_dead dead = {.count = 0};
    CHECK_EQ(sl_work_dead_list(work, work_note_dead, &dead), 0);
    CHECK_EQ(dead.count, 1);
    CHECK_STRING(dead.key, "poison");
    CHECK_STRING(dead.reason, "no such symbol");
    CHECK_STRING(dead.progress, "half");
    CHECK_EQ(dead.failures, 3);
    CHECK_EQ(work_add(work, "poison", "again"), 0);
    CHECK_EQ(sl_work_revive(work, "other"), SL_ENOENT);
    CHECK_EQ(sl_work_revive(work, "poison"), 0);
    CHECK_EQ(sl_work_revive(work, "poison"), SL_ENOENT);
    CHECK_EQ(sl_work_take(work, &scope, &job), 0);
    CHECK_STRING(sl_job_body(job, NULL), "body");
    CHECK_STRING(sl_job_progress(job), "half");
    CHECK_EQ(sl_job_failures(job), 0);
    CHECK_EQ(sl_job_fence(job), 4);
    CHECK_EQ(sl_job_bury(job, "hopeless"), 0);
    CHECK_DEPTH(work, 0, 0, 0, 1);
    struct sl_work_stats stats;
    sl_work_stats_get(work, &stats);
    CHECK_EQ(stats.failed, 3);
    CHECK_EQ(stats.buried, 2);
    return sl_scope_wait(&scope);
}

BOTH(it_is_postponed, "it comes again after its time, with its progress, and that is no failure")
{
    CHECK_EQ(work_add(work, "a", "body"), 1);
    sl_time begin = sl_now();
    for (int i = 0; i < 5; i++) { /* more often than it may fail */
        SL_SCOPE(scope);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        CHECK(sl_now() - begin >= SL_MILLISECONDS(50) * i);
        CHECK_EQ(sl_job_failures(job), 0);
        CHECK_STRING(sl_job_progress(job), i == 0 ? "" : "page 7");
        CHECK_EQ(sl_job_checkpoint(job, "page 7"), 0);
        CHECK_EQ(sl_job_postpone(job, 0), SL_EINVAL);
        CHECK_EQ(sl_job_postpone(job, SL_MILLISECONDS(50)), 0);
        CHECK_EQ(sl_job_done(job), SL_EALREADY);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_DEPTH(work, 0, 0, 1, 0);
    }
    return 0;
}

static int take_one(void *arg)
{
    sl_work *work = arg;
    SL_SCOPE(scope);
    sl_job *job = NULL;
    SL_TRY(sl_work_take(work, &scope, &job));
    SL_TRY(sl_job_done(job));
    return sl_scope_wait(&scope);
}

BOTH(who_waits_is_woken, "a job that is added, given back or due comes to who waits, and soon")
{
    sl_time begin = sl_now();
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, take_one, work), 0);
        CHECK_EQ(sl_spawn(&scope, take_one, work), 0);
        CHECK_EQ(sl_spawn(&scope, take_one, work), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
        CHECK_EQ(work_add(work, "a", NULL), 1);
        CHECK_EQ(work_add(work, "b", NULL), 1);
        CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "c", .delay = SL_MILLISECONDS(100)}, NULL), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_BETWEEN(sl_now() - begin, SL_MILLISECONDS(150), SL_MILLISECONDS(900));
    return 0;
}

struct doing {
    sl_work *work;
    int begun, done, at_once, most;
};

static int do_job(void *arg, sl_job *job)
{
    struct doing *doing = arg;
    doing->begun++;
    doing->most = ++doing->at_once > doing->most ? doing->at_once : doing->most;
    int code = sl_sleep(SL_MILLISECONDS(20));
    doing->at_once--;
    SL_TRY(code);
    if (strcmp(sl_job_key(job), "twice") == 0 && sl_job_failures(job) == 0) {
        return sl_fail(SL_EPROTO, "not at the first attempt");
    }
    if (strcmp(sl_job_key(job), "never") == 0) {
        return sl_fail(SL_EPROTO, "never: %s", "as always");
    }
    doing->done++;
    return 0;
}

BOTH(it_runs_them, "with so many at once as are wanted, until nothing is left, whatever fails")
{
    struct doing doing = {.work = work};
    static const char *const keys[] = {"a", "twice", "b", "never", "c", "d"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        CHECK_EQ(work_add(work, keys[i], NULL), 1);
    }
    const struct sl_work_run run = {.on_job = do_job, .arg = &doing, .concurrency = 3, .until_empty = true};
    CHECK_EQ(sl_work_run(work, &run), 0);
    CHECK_EQ(doing.done, 5);
    CHECK_EQ(doing.begun, 5 + 1 + 3);
    CHECK_EQ(doing.most, 3);
    struct work_dead dead = {.count = 0};
    CHECK_EQ(sl_work_dead_list(work, work_note_dead, &dead), 0);
    CHECK_EQ(dead.count, 1);
    CHECK_STRING(dead.reason, "never: as always");
    CHECK_DEPTH(work, 0, 0, 0, 1);
    CHECK_EQ(sl_work_run(work, &(struct sl_work_run){.on_job = NULL}), SL_EINVAL);
    return 0;
}

static int run_all(void *arg)
{
    struct doing *doing = arg;
    return sl_work_run(doing->work, &(struct sl_work_run){.on_job = do_job, .arg = doing, .concurrency = 2});
}

BOTH(it_stops, "asked to stop it ends what is in hand and takes no more; cancelled it gives back at once")
{
    struct doing doing = {.work = work};
    for (int i = 0; i < 6; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(work_add(work, key, NULL), 1);
    }
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, run_all, &doing), 0);
        KIT_UNTIL(doing.at_once == 2);
        CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(10)), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(doing.done, 2);
    CHECK_DEPTH(work, 4, 0, 0, 0);
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, run_all, &doing), 0);
        KIT_UNTIL(doing.at_once == 2);
        sl_scope_cancel(&scope, "enough");
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(doing.done, 2);
    CHECK_DEPTH(work, 4, 0, 0, 0);
    return 0;
}

C_TEST_SIMULATED(failed_ones_back_off, "the next attempt comes after the backoff, which grows", "issue 5: work queue")
{
    SL_SCOPE(scope);
    sl_work *work = NULL;
    const struct sl_work_options options = {.backoff = {.initial = SL_SECONDS(10), .jitter = -1}, .attempts = 4};
    CHECK_EQ(sl_work_open(&scope, &options, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    sl_time begin = sl_now();
    for (int i = 0; i < 4; i++) {
        SL_SCOPE(inner);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &inner, &job), 0);
        CHECK_BETWEEN(sl_now() - begin, SL_SECONDS(10) * ((1 << i) - 1),
                      SL_SECONDS(10) * ((1 << i) - 1) + SL_SECONDS(1));
        CHECK_EQ(sl_job_fail(job, NULL), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_DEPTH(work, 0, 0, 0, 1);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(keys_are_forgotten, "a key that was done may come again after its time", "issue 5: work queue")
{
    SL_SCOPE(scope);
    sl_work *work = NULL;
    CHECK_EQ(sl_work_open(&scope, &(struct sl_work_options){.remember = SL_SECONDS(60)}, &work), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    {
        SL_SCOPE(inner);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &inner, &job), 0);
        CHECK_EQ(sl_job_done(job), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_EQ(sl_sleep(SL_SECONDS(59)), 0);
    CHECK_EQ(work_add(work, "a", NULL), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK_EQ(work_add(work, "a", NULL), 1);
    return sl_scope_wait(&scope);
}

TASK_TEST(bad_options_are_refused)
{
    SL_SCOPE(scope);
    sl_work *work = NULL;
    CHECK_EQ(sl_work_open(&scope, &(struct sl_work_options){.backend = SL_WORK_REDIS}, &work), SL_EINVAL);
    CHECK_EQ(sl_work_open(&scope, &(struct sl_work_options){.name = "a{b}"}, &work), SL_EINVAL);
    CHECK_EQ(sl_work_open(&scope, &(struct sl_work_options){.lease = 1}, &work), SL_EINVAL);
    CHECK_EQ(sl_work_open(&scope, &(struct sl_work_options){.remember = -1}, &work), SL_EINVAL);
    CHECK(work == NULL);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(BOTH_OF(jobs_are_done_in_order), BOTH_OF(a_key_is_one_job), BOTH_OF(it_is_bounded),
             BOTH_OF(it_is_given_back), BOTH_OF(it_fails_and_is_put_aside), BOTH_OF(it_is_postponed),
             BOTH_OF(who_waits_is_woken), BOTH_OF(it_runs_them), BOTH_OF(it_stops),
             cmocka_unit_test(failed_ones_back_off), cmocka_unit_test(keys_are_forgotten),
             cmocka_unit_test(bad_options_are_refused))
