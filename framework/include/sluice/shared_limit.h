/* SPDX-License-Identifier: MIT */
/*
 * Limits that replicas share: a limiter (limiter.h) whose every admission is also booked in Redis, by one script for all
 * its limits. Together the replicas admit what one would.
 *
 *     sl_shared_limit *shared;
 *     SL_TRY(sl_shared_limit_open(&scope, &(struct sl_shared_limit_options){
 *         .redis = redis, .name = "binance:weight", .rates = &rate, .rate_count = 1, .share = 0.25}, &shared));
 *     struct sl_limiter_options options = {.rates = &rate, .rate_count = 1};
 *     sl_shared_limit_use(shared, &options);
 *     SL_TRY(sl_limiter_create(&options, &limiter));
 *
 * An answer takes time, and not always the same: half a percent of each period is left free for that. sl_limiter_change()
 * in one replica changes the limits of all: each takes over what has the highest revision when it next asks, within a
 * second when it waits. Replicas that are told of the same change one after the other leave the revision to it (0).
 *
 * While Redis is away each replica goes on with its own share of the limits. A block (a ban, a Retry-After) that one
 * replica is told of stops them all, and is told anew to a Redis that lost it.
 *
 * The clock is the server's alone, in microseconds; a call whose fate is unknown counts as charged.
 * Keys: sluice:{NAME}:limit:N, which expire when the limit is at rest; sluice:{NAME}:block; sluice:{NAME}:turn, when the
 * newest of those who wait shall ask again; sluice:{NAME}:rates, limits that were changed, kept for a day.
 * Source: ITU-T I.371 (GCRA); redis-cell.
 */
#ifndef SLUICE_SHARED_LIMIT_H
#define SLUICE_SHARED_LIMIT_H

#include "sluice/limiter.h"
#include "sluice/redis.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_SHARED_LIMIT_NAME_BYTES 128
#define SL_SHARED_LIMIT_TIMEOUT SL_MILLISECONDS(250)
#define SL_SHARED_LIMIT_SHARE 0.25
#define SL_SHARED_LIMIT_PROBE SL_SECONDS(1)

typedef struct sl_shared_limit sl_shared_limit;

struct sl_shared_limit_options {
    sl_redis *redis;  /* borrowed */
    const char *name; /* the same in all replicas; no braces; copied */
    const struct sl_rate *rates;
    size_t rate_count; /* 1 to SL_RATES_MAX; as in the limiter's options */
    uint64_t revision; /* of these limits: newer ones that Redis knows take their place, older ones give way; below
                          2^53; 0: older than all */
    double share;      /* of the limits, while Redis is away, above 0 to 1; 0: SL_SHARED_LIMIT_SHARE */
    sl_time timeout;   /* Redis is away when it does not answer so long; 0: SL_SHARED_LIMIT_TIMEOUT */
    sl_time probe;     /* so long after that it is asked again; 0: SL_SHARED_LIMIT_PROBE */
};

/* Belongs to `scope`, which must outlive the limiters that use it. 0; SL_EINVAL with the reason; SL_ENOMEM; SL_ECLOSED. */
SL_MUST_CHECK int sl_shared_limit_open(sl_scope *scope, const struct sl_shared_limit_options *options,
                                       sl_shared_limit **ret_shared);

/* Makes a limiter of these options share: fills in `shared`. */
void sl_shared_limit_use(sl_shared_limit *shared, struct sl_limiter_options *options);

/* From now on its part of the limits while Redis is away, above 0 to 1: when replicas come or go. Does not wait. */
void sl_shared_limit_set_share(sl_shared_limit *shared, double share);

struct sl_shared_limit_stats {
    uint64_t asked;         /* scripts sent */
    uint64_t admitted;      /* by Redis */
    uint64_t refused;       /* by Redis: not yet */
    uint64_t local;         /* admitted by the own share, while Redis was away */
    uint64_t unknown;       /* answers that did not come: counted as charged */
    uint64_t clock_regress; /* the server's clock has gone back */
    bool away;              /* Redis is */
};
void sl_shared_limit_stats_get(const sl_shared_limit *shared, struct sl_shared_limit_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
