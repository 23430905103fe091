/* SPDX-License-Identifier: MIT */
/*
 * The Redis lock: SET NX PX with a random token, renewal and release by compare-and-act scripts. The
 * scope's cleanup is armed before the SET is sent: whatever becomes of the reply, the release is sent.
 */
#include "sluice/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/runtime.h"

#define TTL_MIN SL_MILLISECONDS(100)
#define TOKEN_BYTES 33
#define KEY_BYTES_MAX 512
#define POLL_MIN SL_MILLISECONDS(20)
#define POLL_MAX SL_MILLISECONDS(200)

static const char release_script[] =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
static const char renew_script[] = "if redis.call('get', KEYS[1]) == ARGV[1] then "
                                   "return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

struct lock {
    sl_scope *scope;
    sl_redis *redis;
    char key[KEY_BYTES_MAX];
    char token[TOKEN_BYTES];
    char ttl_ms[24];
    sl_time ttl;
    sl_time valid_until; /* by our clock; nothing may be done under the lock after it */
    bool asked;          /* a SET was sent: the key may be ours */
};

static int command(struct lock *lock, const char *const *arguments, bool idempotent, sl_redis_reply **ret_reply)
{
    const struct sl_redis_request request = {.texts = arguments, .idempotent = idempotent, .urgent = true};
    return sl_redis_send(lock->redis, &request, ret_reply);
}

static int give_back(struct lock *lock)
{
    const char *const arguments[] = {"EVAL", release_script, "1", lock->key, lock->token, NULL};
    return command(lock, arguments, true, NULL);
}

/* The scope's cleanup: shielded, within its budget. */
static int release(void *arg)
{
    struct lock *lock = arg;
    int code = lock->asked ? give_back(lock) : 0;
    sl_free(lock);
    return code;
}

/* For how long the lock may still be relied on, less a margin of a tenth for clocks and for unwinding. */
static sl_time time_left(const struct lock *lock)
{
    return lock->valid_until - lock->ttl / 10 - sl_now();
}

/* 1 when it is ours, 0 when it is someone else's. */
static int ask(struct lock *lock)
{
    const char *const arguments[] = {"SET", lock->key, lock->token, "NX", "PX", lock->ttl_ms, NULL};
    sl_auto(sl_redis_reply) *reply = NULL;
    sl_time before = sl_now();
    lock->asked = true;
    SL_TRY(command(lock, arguments, false, &reply));
    lock->valid_until = sl_time_add(before, lock->ttl);
    return sl_redis_reply_value(reply).type == SL_REDIS_STATUS;
}

static sl_time earlier(sl_time one, sl_time other)
{
    return one < other ? one : other;
}

/* 1 renewed, 0 it is not ours any more. An attempt takes a sixth of the TTL, and ends before the lock does. */
static int renew(struct lock *lock)
{
    const char *const arguments[] = {"EVAL", renew_script, "1", lock->key, lock->token, lock->ttl_ms, NULL};
    sl_auto(sl_redis_reply) *reply = NULL;
    sl_time before = sl_now();
    sl_time left = time_left(lock);
    if (left <= 0) {
        return SL_ETIMEDOUT;
    }
    const struct sl_redis_request request = {
        .texts = arguments, .idempotent = true, .urgent = true, .timeout = earlier(lock->ttl / 6, left)};
    SL_TRY(sl_redis_send(lock->redis, &request, &reply));
    if (sl_redis_reply_value(reply).integer != 1) {
        return 0;
    }
    lock->valid_until = sl_time_add(before, lock->ttl);
    return 1;
}

/* The daemon that keeps the lock; when it cannot, the scope that works under it is cancelled in time. */
static int keep(void *arg)
{
    struct lock *lock = arg;
    for (;;) {
        SL_TRY(sl_sleep_until(lock->valid_until - lock->ttl + lock->ttl / 3)); /* since the last request */
        int code = renew(lock);
        while (code < 0 && code != SL_ECANCELED && time_left(lock) > 0) {
            SL_TRY(sl_sleep(lock->ttl / 20));
            code = renew(lock);
        }
        if (code == SL_ECANCELED) {
            return code;
        }
        if (code <= 0) {
            sl_scope_cancel_for(lock->scope, SL_CAUSE_LOST,
                                code == 0 ? "the lock is someone else's" : "the lock could not be renewed in time");
            return sl_fail(SL_ELOCKLOST, "lock '%s' was lost", lock->key);
        }
    }
}

static int acquire(struct lock *lock, bool try_only)
{
    for (;;) {
        int code = ask(lock);
        if (code < 0 || (code > 0 && time_left(lock) > 0)) {
            return code < 0 ? code : 0;
        }
        if (code > 0) {
            SL_TRY(give_back(lock)); /* the answer came when it was no longer worth anything */
        }
        lock->asked = false; /* the answer is known: it is not ours */
        if (try_only) {
            return sl_fail(SL_EBUSY, "lock '%s' is held by someone else", lock->key);
        }
        SL_TRY(sl_sleep(POLL_MIN + (sl_time)(sl_random_unit() * (double)(POLL_MAX - POLL_MIN))));
    }
}

static int lock_new(sl_scope *scope, sl_redis *redis, const char *key, sl_time ttl, struct lock **ret_lock)
{
    struct lock *lock = sl_calloc(1, sizeof *lock);
    if (lock == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a lock");
    }
    lock->scope = scope;
    lock->redis = redis;
    lock->ttl = ttl;
    (void)snprintf(lock->key, sizeof lock->key, "%s", key);
    (void)snprintf(lock->token, sizeof lock->token, "%016" PRIx64 "%016" PRIx64, sl_random(), sl_random());
    (void)snprintf(lock->ttl_ms, sizeof lock->ttl_ms, "%lld", (long long)(ttl / 1000000));
    *ret_lock = lock;
    return 0;
}

int sl_redis_lock_with(sl_scope *scope, sl_redis *redis, const char *key, const struct sl_redis_lock_options *options)
{
    sl_time ttl = options == NULL || options->ttl == 0 ? SL_LOCK_TTL : options->ttl;
    if (ttl < TTL_MIN || strlen(key) >= KEY_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "a lock needs a ttl of 100 ms or more and a key below %d bytes", KEY_BYTES_MAX);
    }
    sl_cleanup *cleanup = NULL;
    SL_TRY(sl_cleanup_reserve(scope, &cleanup));
    struct lock *lock = NULL;
    int code = lock_new(scope, redis, key, ttl, &lock);
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
        return code;
    }
    SL_TRY(sl_cleanup_arm(cleanup, release, lock, SL_LOCK_RELEASE_BUDGET));
    code = acquire(lock, options != NULL && options->try_only);
    if (code == 0) {
        code = sl_spawn(scope, keep, lock, .name = "lock keeper", .daemon = true);
    }
    if (code < 0) {
        (void)sl_cleanup_run(cleanup); /* also when the outcome is unknown */
    }
    return code;
}
