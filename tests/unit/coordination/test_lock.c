/* SPDX-License-Identifier: MIT */
/* Redis and its lock against a real server, started here on loopback and stopped by pid. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/lock.h"

#define KEY "feed:btcusdt"

static char url[64];

static int open_client(sl_scope *scope, sl_redis **ret_redis)
{
    return sl_redis_open(scope, &(const struct sl_redis_options){.url = url}, ret_redis);
}

static int run_command(const char *const *texts, char *text, size_t text_bytes)
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(open_client(&scope, &redis));
    SL_TRY(sl_redis_send_texts(redis, texts, &reply));
    (void)snprintf(text, text_bytes, "%s", sl_redis_reply_value(reply).text);
    return sl_scope_wait(&scope);
}

/* "" when the key is free. */
static int holder(char *text, size_t text_bytes)
{
    const char *const get[] = {"GET", KEY, NULL};
    return run_command(get, text, text_bytes);
}

#define CHECK_FREE()                                                                                                   \
    do {                                                                                                               \
        char held[64];                                                                                                 \
        CHECK_EQ(holder(held, sizeof held), 0);                                                                        \
        CHECK_STRING(held, "");                                                                                        \
    } while (0)

#define CHECK_HELD()                                                                                                   \
    do {                                                                                                               \
        char held[64];                                                                                                 \
        CHECK_EQ(holder(held, sizeof held), 0);                                                                        \
        CHECK_EQ(strlen(held), 32);                                                                                    \
    } while (0)

static int server(void)
{
    int port = redis_server_port();
    CHECK(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    char text[8];
    const char *const flush[] = {"FLUSHALL", NULL};
    return run_command(flush, text, sizeof text);
}

struct worker {
    int code, ended;
    bool working;
    enum sl_cause cause;
};

static int work_under_lock(void *arg)
{
    struct worker *worker = arg;
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    SL_TRY(open_client(&scope, &redis));
    worker->code = sl_redis_lock(&scope, redis, KEY, .ttl = SL_MILLISECONDS(900));
    SL_TRY(worker->code);
    worker->working = true;
    worker->ended = sl_sleep(SL_SECONDS(60));
    worker->cause = sl_scope_cause(&scope);
    SL_TRY(worker->ended);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_is_released_on_every_way_out,
                "early return, cancellation, a failing sibling: the key is free at once", "")
{
    SL_TRY(server());
    for (int way = 0; way < 3; way++) {
        struct worker worker = {.code = 1};
        SL_SCOPE(scope, .move_on = true, .timeout = way == 0 ? SL_MILLISECONDS(100) : SL_SECONDS(50));
        CHECK_EQ(sl_spawn(&scope, work_under_lock, &worker), 0);
        while (!worker.working) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        }
        CHECK_HELD();
        if (way == 1) {
            sl_scope_cancel(&scope, NULL);
        }
        if (way == 2) {
            CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "sibling")), SL_EPROTO);
        } else {
            CHECK_EQ(sl_scope_wait(&scope), 0);
        }
        CHECK_EQ(worker.ended, SL_ECANCELED);
        CHECK_FREE();
    }
    return 0;
}

C_TEST_REAL_FEW(lock_is_exclusive_and_renewed,
                "a second one waits or gets busy; held for longer than its TTL it stays held", "")
{
    SL_TRY(server());
    struct worker first = {.code = 1};
    struct worker second = {.code = 1};
    SL_SCOPE(scope);
    sl_task_ref task;
    CHECK_EQ(sl_spawn(&scope, work_under_lock, &first, .ret_task = &task), 0);
    while (!first.working) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(sl_spawn(&scope, work_under_lock, &second), 0);
    {
        SL_SCOPE(other);
        sl_redis *redis = NULL;
        CHECK_EQ(open_client(&other, &redis), 0);
        CHECK_EQ(sl_redis_lock(&other, redis, KEY, .ttl = SL_SECONDS(1), .try_only = true), SL_EBUSY);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(2000)), 0); /* beyond the TTL */
    CHECK(!second.working);
    CHECK_HELD();
    CHECK_EQ(sl_task_cancel(task, NULL), 0);
    while (!second.working) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(first.ended, SL_ECANCELED);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_FREE();
    return 0;
}

C_TEST_REAL_FEW(lock_lost_cancels_the_scope,
                "a key taken by someone else ends the work; the other's key is not touched", "")
{
    SL_TRY(server());
    struct worker worker = {.code = 1};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, work_under_lock, &worker), 0);
    while (!worker.working) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    char text[64];
    const char *const steal[] = {"SET", KEY, "somebody", NULL};
    CHECK_EQ(run_command(steal, text, sizeof text), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ELOCKLOST);
    CHECK_EQ(worker.ended, SL_ECANCELED);
    CHECK_EQ(worker.cause, SL_CAUSE_LOST);
    CHECK_EQ(holder(text, sizeof text), 0);
    CHECK_STRING(text, "somebody");
    return 0;
}

static int hold_and_die(void *arg)
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    SL_TRY(open_client(&scope, &redis));
    SL_TRY(sl_redis_lock(&scope, redis, KEY, .ttl = SL_MILLISECONDS(900)));
    (void)!write(*(int *)arg, "x", 1);
    return sl_sleep(SL_SECONDS(60));
}

static int take_over(void *arg)
{
    (void)arg;
    SL_SCOPE(scope, .timeout = SL_SECONDS(20));
    sl_redis *redis = NULL;
    SL_TRY(open_client(&scope, &redis));
    SL_TRY(sl_redis_lock(&scope, redis, KEY, .ttl = SL_MILLISECONDS(900)));
    return sl_scope_wait(&scope);
}

static void a_killed_holders_lock_is_free_after_its_ttl(void **state)
{
    (void)state;
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(sl_run(NULL, hold_and_die, &ends[1], NULL) == 0 ? 0 : 1);
    }
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(sl_run(NULL, take_over, NULL, NULL), 0); /* well before the scope's 20 s, which are its limit */
}

SL_TEST_MAIN(cmocka_unit_test(lock_is_released_on_every_way_out), cmocka_unit_test(lock_is_exclusive_and_renewed),
             cmocka_unit_test(lock_lost_cancels_the_scope),
             cmocka_unit_test(a_killed_holders_lock_is_free_after_its_ttl))
