/* SPDX-License-Identifier: MIT */
/*
 * Commands and locks a second against a redis-server that is running: bench_redis PORT FIGURE SECONDS prints one
 * line "figure rate". Figures: commands-1, commands-256 (GET from so many tasks), lock-1, lock-16 (lock and unlock).
 * The figure hand-over prints instead, in microseconds, how long after one gave a lock back another, who waited for it over
 * its own connection, had it: the median, 90 %, 99 %, the worst.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/lock.h"
#include "sluice/runtime.h"

struct bench {
    char url[64];
    const char *figure;
    sl_time end;
    sl_redis *redis;
    long long done;
    int next;
};

static int free_it(void *arg)
{
    sl_free(arg);
    return 0;
}

static int send_commands(void *arg)
{
    struct bench *bench = arg;
    while (sl_now() < bench->end) {
        sl_auto(sl_redis_reply) *reply = NULL;
        SL_TRY(sl_redis_do(bench->redis, &reply, "GET", "bench:key"));
        bench->done++;
    }
    return 0;
}

static int lock_and_unlock(void *arg)
{
    struct bench *bench = arg;
    char key[32];
    (void)snprintf(key, sizeof key, "bench:lock:%d", bench->next++);
    while (sl_now() < bench->end) {
        SL_SCOPE(scope);
        SL_TRY(sl_redis_lock(&scope, bench->redis, key, .ttl = SL_SECONDS(10)));
        SL_TRY(sl_scope_wait(&scope));
        bench->done++;
    }
    return 0;
}

/* ---- from one to the other ---- */

#define HAND_OVERS_MAX 65536

struct hand_over {
    struct bench *bench;
    sl_redis *redis[2];
    sl_time given, times[HAND_OVERS_MAX];
    size_t count;
};

struct side {
    struct hand_over *hand_over;
    int which;
};

/* Holds it until the other one is sure to listen, and gives it back. */
static int take_turns(void *arg)
{
    struct side *side = arg;
    struct hand_over *both = side->hand_over;
    while (sl_now() < both->bench->end && both->count < HAND_OVERS_MAX) {
        SL_SCOPE(scope);
        sl_lock *lock = NULL;
        SL_TRY(sl_redis_lock(&scope, both->redis[side->which], "bench:hand-over", .ttl = SL_SECONDS(10),
                             .ret_lock = &lock));
        if (both->given != 0) {
            both->times[both->count++] = sl_now() - both->given;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(2)));
        both->given = sl_now();
        SL_TRY(sl_lock_release(lock));
        SL_TRY(sl_scope_wait(&scope));
    }
    return 0;
}

static int by_size(const void *one, const void *other)
{
    sl_time a = *(const sl_time *)one, b = *(const sl_time *)other;
    return (a > b) - (a < b);
}

static int measure_hand_over(struct bench *bench)
{
    SL_SCOPE(scope);
    struct hand_over *both = sl_calloc(1, sizeof *both);
    SL_TRY(both == NULL ? SL_ENOMEM : sl_defer(&scope, free_it, both, SL_SECONDS(1)));
    both->bench = bench;
    bench->end = sl_time_add(sl_now(), bench->end);
    struct side sides[2] = {{both, 0}, {both, 1}};
    for (int i = 0; i < 2; i++) {
        SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = bench->url}, &both->redis[i]));
        SL_TRY(sl_redis_do(both->redis[i], NULL, "PING"));
    }
    {
        SL_SCOPE(workers);
        SL_TRY(sl_spawn(&workers, take_turns, &sides[0]));
        SL_TRY(sl_spawn(&workers, take_turns, &sides[1]));
        SL_TRY(sl_scope_wait(&workers));
    }
    qsort(both->times, both->count, sizeof both->times[0], by_size);
    size_t last = both->count - 1;
    (void)printf("hand-over\t%lld\t%lld\t%lld\t%lld\t%zu\n", (long long)(both->times[last / 2] / 1000),
                 (long long)(both->times[last * 9 / 10] / 1000), (long long)(both->times[last * 99 / 100] / 1000),
                 (long long)(both->times[last] / 1000), both->count);
    return sl_scope_wait(&scope);
}

static int run(void *arg)
{
    struct bench *bench = arg;
    if (strcmp(bench->figure, "hand-over") == 0) {
        return measure_hand_over(bench);
    }
    const char *dash = strrchr(bench->figure, '-');
    long tasks = dash == NULL ? 1 : strtoll(dash + 1, NULL, 10);
    SL_SCOPE(scope);
    SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = bench->url}, &bench->redis));
    SL_TRY(sl_redis_do(bench->redis, NULL, "SET", "bench:key", "xxx"));
    sl_time begin = sl_now();
    bench->end = sl_time_add(begin, bench->end);
    {
        SL_SCOPE(workers);
        for (long i = 0; i < tasks; i++) {
            SL_TRY(sl_spawn(&workers, strncmp(bench->figure, "lock", 4) == 0 ? lock_and_unlock : send_commands, bench));
        }
        SL_TRY(sl_scope_wait(&workers));
    }
    double seconds = (double)(sl_now() - begin) / 1e9;
    (void)printf("%s\t%.0f\n", bench->figure, (double)bench->done / seconds);
    return sl_scope_wait(&scope);
}

int main(int argc, char **argv)
{
    struct bench bench = {.next = 0};
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_redis PORT FIGURE SECONDS\n");
        return 2;
    }
    (void)snprintf(bench.url, sizeof bench.url, "redis://127.0.0.1:%s", argv[1]);
    bench.figure = argv[2];
    bench.end = SL_SECONDS(strtoll(argv[3], NULL, 10));
    return sl_main(run, &bench);
}
