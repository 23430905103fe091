/* SPDX-License-Identifier: MIT */
/*
 * Locks in Redis that belong to a scope: given back on every way out of it, and the scope is cancelled
 * (SL_CAUSE_LOST; its result is SL_ELOCKLOST) when the lock is lost, or cannot be known to be held any more.
 *
 *     SL_SCOPE(scope);
 *     SL_TRY(sl_redis_lock(&scope, redis, "feed:btcusdt", .ttl = SL_SECONDS(10)));
 *     ... work; nobody else does ...
 *     return sl_scope_wait(&scope);
 *
 * The holder stops before the key can expire: time counts from before the request was sent, on a clock that goes on
 * while the system sleeps, less a tenth. A lock is renewed each third of its TTL by a task of its own, over the client's
 * connection for urgent commands. Mutual exclusion ends where clocks do (a holder that is frozen for longer than the TTL
 * and then writes on): what must be right in spite of that takes the fencing token (`fenced`) and has it checked where
 * it writes: a sink that has seen token 34 refuses 33.
 *
 * Not Redlock (a quorum of independent servers): one server, a master with Sentinel, or a cluster's slot.
 * Keys: KEY is the lock; KEY:fence counts tokens (kept SL_LOCK_FENCE_TTL after its last use); waiters listen on the
 * channel sluice:wake:KEY. For a cluster KEY:fence is {KEY}:fence unless KEY has a hash tag of its own.
 * Sources: redis.io, "Distributed locks"; Kleppmann, "How to do distributed locking"; the bugs of Redisson, redis-py,
 * python-redis-lock and redsync.
 */
#ifndef SLUICE_LOCK_H
#define SLUICE_LOCK_H

#include "sluice/redis.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_lock sl_lock;

#define SL_LOCK_TTL SL_SECONDS(10)
#define SL_LOCK_TTL_MIN SL_MILLISECONDS(100)
#define SL_LOCK_TTL_MAX SL_MINUTES(1440)
#define SL_LOCK_RELEASE_BUDGET SL_SECONDS(4)
#define SL_LOCK_FENCE_TTL SL_MINUTES(10080)
#define SL_LOCK_KEYS_MAX 16
#define SL_LOCK_KEY_BYTES_MAX 512
#define SL_LOCK_TOKEN_BYTES 33 /* with the NUL */
#define SL_LOCK_PERMITS_MAX 4096

enum sl_lock_kind {
    SL_LOCK_EXCLUSIVE,
    SL_LOCK_SEMAPHORE, /* up to `permits` holders */
    SL_LOCK_READ,      /* with other readers */
    SL_LOCK_WRITE      /* alone; readers that come while a writer waits come after it */
};

struct sl_redis_lock_options {
    int reserved;           /* 0 */
    sl_time ttl;            /* SL_LOCK_TTL_MIN to SL_LOCK_TTL_MAX, rounded up to a millisecond; 0: SL_LOCK_TTL */
    bool try_only;          /* SL_EBUSY at once when someone else holds it */
    sl_time wait;           /* SL_ETIMEDOUT when it was not free within this, after a last attempt; 0: no limit */
    bool no_renewal;        /* a lease for its TTL: then the scope is cancelled */
    sl_time max_hold;       /* renewed no longer than this: then the scope is cancelled; 0: no limit */
    bool fenced;            /* with a fencing token; see sl_lock_fence(). Costs a key */
    int64_t fence_above;    /* fenced: the token is larger than this one too, for a server that lost its data and whose
                               clock was set back; below 2^53 */
    bool loss_is_no_error;  /* the scope is cancelled all the same, but its result is not SL_ELOCKLOST */
    enum sl_lock_kind kind; /* all users of a key must use the same kinds: READ and WRITE, or one of the others */
    uint32_t permits;       /* SEMAPHORE: 1 to SL_LOCK_PERMITS_MAX, the same for all */
    const char *const
        *and_keys;      /* EXCLUSIVE: these too, all or none; NULL-terminated; at most SL_LOCK_KEYS_MAX with the
                                   first; in a cluster all in one slot */
    sl_lock **ret_lock; /* the lock, valid until the scope has closed; may be NULL */
};

/*
 * Waits until the lock `key` is held; a daemon of `scope` then keeps it. Texts are copied. `scope` may be the
 * client's or one within it. 0; SL_EBUSY; SL_ETIMEDOUT; SL_ECANCELED (the key was given back in case it was taken);
 * SL_EINVAL; SL_EREPLY when the key holds something that is no lock; what the client gives: a server that is away is an
 * error, never "busy". Cancellation point.
 */
SL_MUST_CHECK int sl_redis_lock_with(sl_scope *scope, sl_redis *redis, const char *key,
                                     const struct sl_redis_lock_options *options);

/* sl_redis_lock(&scope, redis, key, .ttl = SL_SECONDS(10)) */
#define sl_redis_lock(scope, redis, ...) SL__REDIS_LOCK(scope, redis, __VA_ARGS__, )
#define SL__REDIS_LOCK(scope, redis, key_text, ...)                                                                    \
    sl_redis_lock_with((scope), (redis), (key_text), &(const struct sl_redis_lock_options){.reserved = 0, __VA_ARGS__})

/*
 * Gives the lock back before its scope ends; any task of the runtime may. 0; SL_ELOCKLOST: it had expired, or is someone
 * else's (whose it stays); SL_EALREADY: done before. After any other code (cancelled, the server away) nobody knows: it
 * may be called again, and the scope's end does. Cancellation point.
 */
SL_MUST_CHECK int sl_lock_release(sl_lock *lock);

/* Adds to the time left, or sets it (`ttl` from now on). 0; SL_ELOCKLOST; SL_EINVAL beyond SL_LOCK_TTL_MAX; SL_EALREADY. */
SL_MUST_CHECK int sl_lock_extend(sl_lock *lock, sl_time add);
SL_MUST_CHECK int sl_lock_set_ttl(sl_lock *lock, sl_time ttl);

/* For how long it may still be relied on, by our clocks; 0: no longer. Never waits. */
sl_time sl_lock_left(const sl_lock *lock);

/* The fencing token: larger than all before it for this key; 0 unless `fenced`. */
int64_t sl_lock_fence(const sl_lock *lock);

/* The secret that says whose it is, for handing it over: see sl_redis_unlock(). */
const char *sl_lock_token(const sl_lock *lock);

/*
 * Gives back an EXCLUSIVE lock that another task or process took, by its token, or (`token` NULL) whoever holds it.
 * Waiters wake. 0; SL_ELOCKLOST: it is free, or someone else's.
 */
SL_MUST_CHECK int sl_redis_unlock(sl_redis *redis, const char *key, const char *token);

#ifdef __cplusplus
}
#endif

#endif
