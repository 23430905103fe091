/* SPDX-License-Identifier: MIT */
/* What the tests of shared limits share: replicas, each with a client, a limiter and its booking. */
#ifndef LIMIT_KIT_H
#define LIMIT_KIT_H

#include "lock_kit.h"
#include "sluice/shared_limit.h"

#define LIMIT_KEY "sluice:{test}:limit:0"

struct replica {
    sl_redis *redis;
    sl_shared_limit *shared;
    struct sl_limiter_options options; /* of the limiter; `shared` is how it asks */
    sl_limiter *limiter;
    sl_time timeout; /* 0: 200 ms */
};

static inline int replica_make(sl_scope *scope, const char *url, const struct sl_rate *rates, size_t rate_count,
                               struct replica *replica)
{
    SL_TRY(kit_client(scope, url, &replica->redis));
    SL_TRY(sl_shared_limit_open(
        scope,
        &(struct sl_shared_limit_options){.redis = replica->redis,
                                          .name = "test",
                                          .rates = rates,
                                          .rate_count = rate_count,
                                          .share = 0.5,
                                          .timeout = replica->timeout != 0 ? replica->timeout : SL_MILLISECONDS(200),
                                          .probe = SL_MILLISECONDS(100)},
        &replica->shared));
    replica->options.rates = rates;
    replica->options.rate_count = rate_count;
    replica->options.max_wait = replica->options.max_wait != 0 ? replica->options.max_wait : SL_SECONDS(60);
    sl_shared_limit_use(replica->shared, &replica->options);
    return sl_limiter_create(&replica->options, &replica->limiter);
}

static inline struct sl_shared_limit_stats stats_of(const struct replica *replica)
{
    struct sl_shared_limit_stats stats;
    sl_shared_limit_stats_get(replica->shared, &stats);
    return stats;
}

/* Asks Redis once, past the limiter. */
static inline int replica_book(const struct replica *replica, uint64_t cost, sl_time *ret_wait)
{
    struct sl_limiter_answer answer;
    int code = replica->options.shared.book(replica->options.shared.arg, cost, &answer);
    *ret_wait = answer.wait;
    return code;
}

/* Whether it goes within this time. */
static inline int replica_goes_within(const struct replica *replica, uint64_t cost, sl_time patience, bool *ret_went)
{
    SL_SCOPE(scope, .timeout = patience, .move_on = true);
    int code = sl_limiter_acquire(replica->limiter, cost, SL_PRIORITY_NORMAL, NULL);
    *ret_went = code == 0;
    return sl_scope_close(&scope, code == SL_ELIMITED ? 0 : code);
}

static inline int replica_goes(const struct replica *replica, uint64_t cost, bool *ret_went)
{
    return replica_goes_within(replica, cost, SL_MILLISECONDS(100), ret_went);
}

/* What is expected to go may be held up by a busy machine. */
#define CHECK_COST_GOES(replica, cost, expected)                                                                       \
    do {                                                                                                               \
        bool went = !(expected);                                                                                       \
        CHECK_EQ(replica_goes_within((replica), (cost), (expected) ? SL_SECONDS(1) : SL_MILLISECONDS(30), &went), 0);  \
        CHECK_EQ(went, (expected));                                                                                    \
    } while (0)

#define CHECK_GOES(replica, expected) CHECK_COST_GOES(replica, 1, expected)

/* The server's clock, in us. */
static inline int server_now(sl_redis *redis, int64_t *ret_us)
{
    sl_auto(sl_redis_reply) *reply = NULL;
    int64_t seconds = 0, rest = 0;
    SL_TRY(sl_redis_do(redis, &reply, "TIME"));
    struct sl_redis_value time = sl_redis_reply_value(reply), part = sl_redis_value_at(&time, 0);
    SL_TRY(sl_redis_value_int(&part, &seconds));
    part = sl_redis_value_at(&time, 1);
    SL_TRY(sl_redis_value_int(&part, &rest));
    *ret_us = seconds * 1000000 + rest;
    return 0;
}

/* What Redis has stored of a limit: a time in us; 0: it is at rest. */
static inline int stored_us(sl_redis *redis, const char *key, int64_t *ret_us)
{
    sl_auto(sl_redis_reply) *reply = NULL;
    const char *const texts[] = {"GET", key, NULL};
    SL_TRY(sl_redis_send_texts(redis, texts, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    *ret_us = 0;
    return value.type == SL_REDIS_NIL ? 0 : sl_redis_value_int(&value, ret_us);
}

#endif
