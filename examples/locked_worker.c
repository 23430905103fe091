/* SPDX-License-Identifier: MIT */
/*
 * One works, the others stand by: start it twice, kill the first, and the second takes over within the TTL. Redis is
 * where the first argument says (redis://127.0.0.1:6379), the second is a name for the output.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sluice/lock.h"
#include "sluice/runtime.h"

struct worker {
    const char *url, *name;
};

static int say(const struct worker *worker, const char *what, long long number)
{
    if (printf("%s: %s %lld\n", worker->name, what, number) < 0 || fflush(stdout) != 0) {
        return sl_fail(SL_EPIPE, "nobody listens");
    }
    return 0;
}

/* While the lock is held nobody else does this. Its loss cancels the scope: the sleep then fails. */
static int work(const struct worker *worker, sl_redis *redis)
{
    while (!sl_stop_requested()) {
        int64_t done = 0;
        SL_TRY(sl_redis_do_int(redis, &done, "INCR", "locked_worker:done"));
        SL_TRY(say(worker, "did", (long long)done));
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    }
    return 0;
}

static int run(void *arg)
{
    const struct worker *worker = arg;
    SL_SCOPE(scope, .name = "worker");
    sl_redis *redis = NULL;
    sl_lock *lock = NULL;
    SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = worker->url, .name = "locked_worker"}, &redis));
    SL_TRY(say(worker, "waits", 0));
    SL_TRY(sl_redis_lock(&scope, redis, "locked_worker", .ttl = SL_SECONDS(2), .fenced = true, .ret_lock = &lock));
    SL_TRY(say(worker, "works under the token", (long long)sl_lock_fence(lock)));
    SL_TRY(work(worker, redis));
    return sl_scope_wait(&scope); /* the next one has it at once */
}

int main(int argc, char **argv)
{
    struct worker worker = {argc > 1 ? argv[1] : "redis://127.0.0.1:6379", argc > 2 ? argv[2] : "worker"};
    return sl_main(run, &worker);
}
