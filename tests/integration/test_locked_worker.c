/* SPDX-License-Identifier: MIT */
/*
 * The examples locked_worker and shared_limit as two processes each: one works, the other takes over when the first is
 * killed, at whatever step, or stopped; a limit that both share.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer_process.h"
#include "redis_proxy.h"
#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/lock.h"

static int start(const char *name, struct peer_process *ret_process)
{
    char url[64], path[1024];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port());
    (void)snprintf(path, sizeof path, "%s/examples/locked_worker", SL_TEST_BUILD_DIR);
    const char *const arguments[] = {path, url, name, NULL};
    return peer_process_start(arguments, ret_process);
}

static long long number_in(const char *line)
{
    const char *space = strrchr(line, ' ');
    return space == NULL ? -1 : strtoll(space + 1, NULL, 10);
}

C_TEST_REAL_FEW(locked_worker_takes_over, "killed: within the TTL; stopped: at once; no number twice, tokens grow",
                "issue 5: examples/locked_worker")
{
    CHECK(redis_server_port() > 0);
    struct peer_process first = {0}, second = {0};
    char line[256];
    CHECK_EQ(start("first", &first), 0);
    CHECK_EQ(peer_process_expect(&first, "works under the token", line, sizeof line), 0);
    long long token = number_in(line);
    CHECK_EQ(start("second", &second), 0);
    CHECK_EQ(peer_process_expect(&second, "waits", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&first, "did", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&first, "did", line, sizeof line), 0);
    sl_time before = sl_now();
    peer_process_stop(&first); /* kill -9 */
    CHECK_EQ(peer_process_expect(&second, "works under the token", line, sizeof line), 0);
    sl_time killed = sl_now() - before;
    CHECK(killed < SL_MILLISECONDS(3500)); /* TTL 2 s */
    CHECK(number_in(line) > token);
    token = number_in(line);
    CHECK_EQ(start("third", &first), 0);
    CHECK_EQ(peer_process_expect(&first, "waits", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&second, "did", line, sizeof line), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0); /* it listens by now */
    before = sl_now();
    CHECK_EQ(kill(second.pid, SIGTERM), 0);
    CHECK_EQ(peer_process_expect(&first, "works under the token", line, sizeof line), 0);
    sl_time stopped = sl_now() - before;
    CHECK(number_in(line) > token);
    CHECK(stopped < SL_MILLISECONDS(1000));
    (void)fprintf(stderr, "taken over %lld ms after a kill, %lld ms after a stop\n", (long long)(killed / 1000000),
                  (long long)(stopped / 1000000));
    peer_process_stop(&first);
    peer_process_stop(&second);
    return 0;
}

/* ---- kill -9 at each step ---- */

struct step {
    enum redis_proxy_kind kind;
    enum redis_proxy_act act;
    int database; /* a worker's key is always the same: each has a database of its own */
    int code;     /* 1: not done yet */
};

static int kill_at_step(void *arg)
{
    struct step *step = arg;
    struct redis_proxy proxy = {0};
    proxy.plan[step->kind][0] = step->act;
    struct peer_process worker = {0};
    char url[96], line[256], path[1024];
    SL_SCOPE(scope);
    CHECK_EQ(redis_proxy_begin(&proxy, &scope, redis_server_port()), 0);
    (void)snprintf(url, sizeof url, "%s/%d", proxy.url, step->database);
    (void)snprintf(path, sizeof path, "%s/examples/locked_worker", SL_TEST_BUILD_DIR);
    const char *const arguments[] = {path, url, "victim", NULL};
    CHECK_EQ(peer_process_start(arguments, &worker), 0);
    proxy.kill = worker.pid;
    if (step->kind == REDIS_PROXY_GIVE) {
        CHECK_EQ(peer_process_expect(&worker, "did", line, sizeof line), 0);
        CHECK_EQ(kill(worker.pid, SIGTERM), 0);
    }
    while (proxy.kill > 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    sl_time died = sl_now();
    sl_redis *redis = NULL;
    sl_lock *lock = NULL;
    int64_t before = 0;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/%d", redis_server_port(), step->database);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url}, &redis), 0);
    if (step->kind != REDIS_PROXY_TAKE) {
        CHECK_EQ(sl_redis_do_int(redis, &before, "GET", "{locked_worker}:fence"), 0);
    }
    CHECK_EQ(sl_redis_lock(&scope, redis, "locked_worker", .fenced = true, .ret_lock = &lock), 0);
    CHECK(sl_lock_fence(lock) > before);
    CHECK(sl_now() - died < SL_MILLISECONDS(3500)); /* TTL 2 s */
    peer_process_stop(&worker);
    sl_scope_cancel(&scope, "done");
    (void)sl_scope_close(&scope, SL_ECANCELED);
    redis_proxy_end(&proxy);
    step->code = 0;
    return 0;
}

C_TEST_REAL_FEW(
    lock_f01_killed_at_each_step,
    "given a holder that is killed just before or after the server takes its claim, a renewal or a release, then the "
    "next one has it within the TTL, with a larger token",
    "coordination 4.6.1")
{
    static const enum redis_proxy_kind kinds[] = {REDIS_PROXY_TAKE, REDIS_PROXY_RENEW, REDIS_PROXY_GIVE};
    struct step steps[6];
    CHECK(redis_server_port() > 0);
    SL_SCOPE(scope);
    for (int i = 0; i < 6; i++) {
        steps[i] = (struct step){.kind = kinds[i / 2],
                                 .act = i % 2 == 0 ? REDIS_PROXY_CUT_BEFORE : REDIS_PROXY_CUT_AFTER,
                                 .database = i + 1,
                                 .code = 1};
        CHECK_EQ(sl_spawn(&scope, kill_at_step, &steps[i]), 0);
    }
    CHECK_EQ(sl_scope_join(&scope, SL_SECONDS(60)), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(steps[i].code, 0);
    }
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(lock_f10_workers_clock_is_set,
                "given a worker whose wall clock is set forward and back by hours, then it goes on under its token",
                "coordination 4.6.10")
{
    static const int64_t shifts[] = {7200, -7200, 0};
    char path[1024], url[64], clock[64] = "/tmp/sluice-clock-XXXXXX", from[128], line[256];
    int64_t *shift = NULL, fence = 0, again = 0;
    struct peer_process worker = {0};
    int file = mkstemp(clock);
    CHECK(file >= 0);
    (void)close(file);
    CHECK(clock_shift_make(clock, &shift));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port());
    (void)snprintf(path, sizeof path, "%s/examples/locked_worker", SL_TEST_BUILD_DIR);
    (void)snprintf(from, sizeof from, "SL_CLOCK_SHIFT=%s", clock);
    static const char preload[] = "LD_PRELOAD=" CLOCK_SHIFT_PRELOAD;
    static const char sanitizer[] = "ASAN_OPTIONS=verify_asan_link_order=0";
    const char *const arguments[] = {"env", preload, sanitizer, from, path, url, "only", NULL};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url}, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "FLUSHALL"), 0);
    CHECK_EQ(peer_process_start(arguments, &worker), 0);
    CHECK_EQ(peer_process_expect(&worker, "works under the token", line, sizeof line), 0);
    fence = number_in(line);
    for (size_t i = 0; i < sizeof shifts / sizeof shifts[0]; i++) {
        *shift = shifts[i];
        for (int n = 0; n < 5; n++) { /* a second: a renewal and more */
            CHECK_EQ(peer_process_expect(&worker, "did", line, sizeof line), 0);
        }
        int64_t left = 0;
        CHECK_EQ(sl_redis_do_int(redis, &left, "PTTL", "locked_worker"), 0);
        CHECK(left > 0 && left <= 2000);
        CHECK_EQ(sl_redis_do_int(redis, &again, "GET", "{locked_worker}:fence"), 0);
        CHECK_EQ(again, fence);
    }
    peer_process_stop(&worker);
    (void)munmap(shift, sizeof *shift);
    (void)unlink(clock);
    return sl_scope_wait(&scope);
}

/* ---- the other example ---- */

C_TEST_REAL_FEW(shared_limit_two_copies, "given two copies of it, then together they make five calls a second",
                "issue 5: examples/shared_limit")
{
    struct peer_process copies[2] = {{0}, {0}};
    char path[1024], url[64], line[256];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/9", redis_server_port());
    (void)snprintf(path, sizeof path, "%s/examples/shared_limit", SL_TEST_BUILD_DIR);
    for (int i = 0; i < 2; i++) {
        const char *const arguments[] = {path, url, i == 0 ? "one" : "other", NULL};
        CHECK_EQ(peer_process_start(arguments, &copies[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(peer_process_expect(&copies[i], "call 1", line, sizeof line), 0);
    }
    sl_time begin = sl_now();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(peer_process_expect(&copies[i], "call 8", line, sizeof line), 0);
    }
    /* 14 more calls, at five a second; who had more of them by chance has it shorter. */
    CHECK(sl_now() - begin >= SL_MILLISECONDS(1300));
    CHECK(sl_now() - begin < SL_SECONDS(20));
    peer_process_stop(&copies[0]);
    peer_process_stop(&copies[1]);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(locked_worker_takes_over), cmocka_unit_test(lock_f01_killed_at_each_step),
             cmocka_unit_test(lock_f10_workers_clock_is_set), cmocka_unit_test(shared_limit_two_copies))
