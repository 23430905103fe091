/* SPDX-License-Identifier: MIT */
/* Limits that replicas share, and what happens to them without Redis. See access_shared.h. */
#include "ingest/program/access_shared.h"

#include <stdio.h>

#include "sluice/runtime.h"

/* While Redis is away the shared limit has decided by the own share: the configuration may want it otherwise. */
static int book(void *arg, uint64_t cost, struct sl_limiter_answer *ret_answer)
{
    const struct sl__access_shared *shared = arg;
    SL_TRY(shared->ask.book(shared->ask.arg, cost, ret_answer));
    struct sl_shared_limit_stats stats;
    sl_shared_limit_stats_get(shared->limit, &stats);
    if (stats.away && shared->on_redis_error == SL_CONF_REDIS_ERROR_DENY) {
        ret_answer->wait = SL_SHARED_LIMIT_PROBE;
    } else if (stats.away && shared->on_redis_error == SL_CONF_REDIS_ERROR_ALLOW) {
        ret_answer->wait = 0;
    }
    return 0;
}

static void block(void *arg, sl_time until)
{
    const struct sl__access_shared *shared = arg;
    shared->ask.block(shared->ask.arg, until);
}

static int change(void *arg, const struct sl_rate *rates, size_t count, enum sl_rates_carry carry, uint64_t revision)
{
    const struct sl__access_shared *shared = arg;
    return shared->ask.change(shared->ask.arg, rates, count, carry, revision);
}

int sl__access_share(struct sl__access_shared *shared, const struct sl_access_sharing *sharing,
                     const struct sl_conf_limit *limit, struct sl_limiter_options *options)
{
    char name[SL_SHARED_LIMIT_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s:%s", sharing->group, options->name);
    shared->on_redis_error = limit->on_redis_error;
    shared->safety = limit->safety;
    struct sl_shared_limit_options shared_options = {
        .redis = sharing->redis,
        .name = name,
        .rates = options->rates,
        .rate_count = options->rate_count,
        .revision = (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)), /* the file that was read last holds for all */
        .share = limit->safety / (sharing->members == 0 ? 1 : sharing->members)};
    SL_TRY(sl_shared_limit_open(sharing->scope, &shared_options, &shared->limit));
    sl_shared_limit_use(shared->limit, options);
    shared->ask = options->shared;
    options->shared = (struct sl_limiter_shared){.book = book, .block = block, .change = change, .arg = shared};
    return 0;
}
