/* SPDX-License-Identifier: MIT */
/*
 * A limit of five calls a second that all copies of this program share: start it twice, and together they make five.
 * Redis is where the first argument says (redis://127.0.0.1:6379), the second is a name for the output.
 */
#include <stdio.h>

#include "sluice/runtime.h"
#include "sluice/shared_limit.h"

struct caller {
    const char *url, *name;
};

static int call(const struct caller *caller, sl_limiter *limiter)
{
    for (int i = 1; i <= 20 && !sl_stop_requested(); i++) {
        SL_TRY(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, NULL));
        if (printf("%s: call %d\n", caller->name, i) < 0 || fflush(stdout) != 0) {
            return sl_fail(SL_EPIPE, "nobody listens");
        }
    }
    return 0;
}

static int run(void *arg)
{
    const struct caller *caller = arg;
    const struct sl_rate rate = {.count = 5, .period = SL_SECONDS(1), .burst = 1};
    SL_SCOPE(scope, .name = "caller");
    sl_redis *redis = NULL;
    sl_shared_limit *shared = NULL;
    SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = caller->url, .name = "shared_limit"}, &redis));
    const struct sl_shared_limit_options options = {
        .redis = redis, .name = "example", .rates = &rate, .rate_count = 1, .share = 0.5};
    SL_TRY(sl_shared_limit_open(&scope, &options, &shared));
    struct sl_limiter_options limits = {.name = "venue", .rates = &rate, .rate_count = 1};
    sl_shared_limit_use(shared, &limits);
    sl_auto(sl_limiter) *limiter = NULL;
    SL_TRY(sl_limiter_create(&limits, &limiter));
    SL_TRY(call(caller, limiter));
    return sl_scope_wait(&scope);
}

int main(int argc, char **argv)
{
    struct caller caller = {argc > 1 ? argv[1] : "redis://127.0.0.1:6379", argc > 2 ? argv[2] : "caller"};
    return sl_main(run, &caller);
}
