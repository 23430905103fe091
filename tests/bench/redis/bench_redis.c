/* SPDX-License-Identifier: MIT */
/*
 * Commands and locks a second against a redis-server that is running: bench_redis PORT FIGURE SECONDS prints one
 * line "figure rate". Figures: commands-1, commands-256 (GET from so many tasks), lock-1, lock-16 (lock and unlock).
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

static int run(void *arg)
{
    struct bench *bench = arg;
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
