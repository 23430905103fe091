/* SPDX-License-Identifier: MIT */
/*
 * A Redis lock that belongs to a scope: it is released on every way out of it, and the scope is cancelled
 * (SL_CAUSE_LOST) when it is lost. It is a lease in time: the holder stops before the key can expire,
 * counting from before the request was sent. Sources: redis.io on distributed locks; redis-py's and
 * Redisson's bugs (a token cleared before the release, a renewal that re-creates the key, a release
 * that is cancelled).
 */
#ifndef SLUICE_LOCK_H
#define SLUICE_LOCK_H

#include "sluice/redis.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_LOCK_TTL SL_SECONDS(10)
#define SL_LOCK_RELEASE_BUDGET SL_SECONDS(4)

struct sl_redis_lock_options {
    int reserved;  /* 0 */
    sl_time ttl;   /* at least 100 ms; 0: SL_LOCK_TTL. Renewed at a third of it. */
    bool try_only; /* SL_EBUSY at once when someone else holds it */
};

/*
 * Waits until the lock `key` is held (bound the wait by a scope around the call); then a daemon in `scope`
 * keeps it, over the client's connection for urgent commands. `key` is copied; the client's scope must be `scope` or
 * one around it. 0, SL_EBUSY, SL_ECANCELED (the lock was given back in case it had been
 * taken), what Redis or the connection gives. Cancellation point.
 */
SL_MUST_CHECK int sl_redis_lock_with(sl_scope *scope, sl_redis *redis, const char *key,
                                     const struct sl_redis_lock_options *options);

/* sl_redis_lock(&scope, redis, key, .ttl = SL_SECONDS(10)) */
#define sl_redis_lock(scope, redis, ...) SL__REDIS_LOCK(scope, redis, __VA_ARGS__, )
#define SL__REDIS_LOCK(scope, redis, key_text, ...)                                                                    \
    sl_redis_lock_with((scope), (redis), (key_text), &(const struct sl_redis_lock_options){.reserved = 0, __VA_ARGS__})

#ifdef __cplusplus
}
#endif

#endif
