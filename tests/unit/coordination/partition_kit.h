/* SPDX-License-Identifier: MIT */
/* What the tests of partitions share: replicas in one process, and a sink that checks their tokens. */
#ifndef PARTITION_KIT_H
#define PARTITION_KIT_H

#include "lock_kit.h"
#include "sluice/partition.h"

#define COUNT 64
#define REPLICAS 3

/* What all replicas do, as seen from outside: a sink that checks tokens. */
struct world {
    int owners[COUNT]; /* how many run for it just now */
    int64_t fences[COUNT];
    sl_time ended[COUNT], gaps[COUNT];
    int taken[COUNT];
    int doubled, stale;
};

struct replica {
    struct world *world;
    sl_redis *redis;
    const char *name;
    enum sl_partitions_backend backend;
    uint32_t count;
    sl_time ttl, drain;
    sl_partitions *partitions;
    bool refuse_once; /* the first owner says that a sink has refused it */
    bool stubborn;    /* does not heed a stop */
    bool slow_one;    /* the next owner that is told to stop does not */
    bool brief;       /* returns at once, with 0 */
    int fail;
    int code; /* 1: it runs */
};

static inline int serve(void *arg, const struct sl_partition *partition)
{
    struct replica *replica = arg;
    struct world *world = replica->world;
    uint32_t i = partition->index;
    if (replica->fail < 0) {
        return sl_fail(replica->fail, "as told");
    }
    world->doubled += world->owners[i] != 0;
    world->stale += partition->fence <= world->fences[i];
    world->fences[i] = partition->fence;
    world->gaps[i] = sl_now() - world->ended[i];
    world->taken[i]++;
    if (replica->refuse_once) {
        replica->refuse_once = false;
        return sl_fail(SL_ELOCKLOST, "the sink has seen a newer token");
    }
    if (replica->brief) {
        return 0;
    }
    world->owners[i]++;
    int code = replica->stubborn ? sl_sleep(SL_SECONDS(60)) : sl_stop_wait();
    if (code == 0 && replica->slow_one) {
        replica->slow_one = false;
        code = sl_sleep(SL_SECONDS(60));
    }
    world->owners[i]--;
    world->ended[i] = sl_now();
    return code;
}

static inline int run(void *arg)
{
    struct replica *replica = arg;
    replica->code = sl_partitions_run(&(struct sl_partitions_options){.backend = replica->backend,
                                                                      .redis = replica->redis,
                                                                      .group = "test",
                                                                      .replica = replica->name,
                                                                      .count = replica->count,
                                                                      .ttl = replica->ttl,
                                                                      .drain = replica->drain,
                                                                      .on_owned = serve,
                                                                      .arg = replica,
                                                                      .ret_partitions = &replica->partitions});
    return replica->code;
}

static inline uint32_t owned(const struct replica *replica)
{
    struct sl_partitions_stats stats = {.owned = 0};
    if (replica->partitions != NULL) {
        sl_partitions_stats_get(replica->partitions, &stats);
    }
    return stats.owned;
}

/* A replica in a scope of its own, so that it can be stopped alone. */
struct host {
    struct replica replica;
    sl_scope *scope;
    sl_event go;
    bool cancel;
};

static inline int host(void *arg)
{
    struct host *self = arg;
    SL_SCOPE(scope);
    self->scope = &scope;
    int code = run(&self->replica);
    self->scope = NULL;
    return sl_scope_close(&scope, code);
}

#define HOST(world_, redis_, ...)                                                                                      \
    {                                                                                                                  \
        .replica = {                                                                                                   \
            .world = (world_),                                                                                         \
            .redis = (redis_),                                                                                         \
            .backend = (redis_) != NULL ? SL_PARTITIONS_REDIS : SL_PARTITIONS_LOCAL,                                   \
            .count = COUNT,                                                                                            \
            .ttl = SL_SECONDS(3),                                                                                      \
            .code = 1,                                                                                                 \
            .name = __VA_ARGS__                                                                                        \
        }                                                                                                              \
    }

#endif
