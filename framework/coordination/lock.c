/* SPDX-License-Identifier: MIT */
/*
 * The lock's life: a slot for the release is armed before anything is sent, so that whatever becomes of the reply the
 * release goes out; then it is kept by a task, watched by a timer, and given back by the scope's cleanup.
 */
#include "sluice/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lock.h"
#include "sluice/channel.h"
#include "sluice/runtime.h"

/* The longest a waiter sleeps without having heard anything, and by how much its sleep varies. */
#define POLL_MAX SL_SECONDS(1)
#define POLL_JITTER SL_MILLISECONDS(20)

/* The part of the TTL that is not relied on: for clocks that differ, and for unwinding. */
#define MARGIN_SHARE 10

#define FENCE_MAX ((int64_t)1 << 53) /* Lua's numbers are exact up to it */

/* How often a scope's end tries to give it back, within its budget. */
#define RELEASE_TRIES 3

sl_time sl__lock_clock(void)
{
    struct timespec now;
    if (sl__runtime == NULL || sl__runtime->world != &sl__world_real || clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
        return sl_now();
    }
    return SL_SECONDS(now.tv_sec) + now.tv_nsec;
}

static void free_lock(sl_lock *lock)
{
    sl_free(lock->keys_text);
    sl_free(lock->fence_key);
    sl_free(lock);
}

/* ---- losing it ---- */

static void lose(sl_lock *lock, const char *why)
{
    if (lock->held && lock->lost == NULL && !lock->ending) {
        lock->lost = why;
        sl_scope_cancel_for(lock->scope, SL_CAUSE_LOST, why);
    }
}

static sl_time max_hold_end(const sl_lock *lock)
{
    return lock->options.max_hold == 0 ? SL_NEVER : sl_time_add(lock->held_since, lock->options.max_hold);
}

/* The timer's: at once, not when a task comes to it: nothing must be done under the lock any more. */
static void on_deadline(struct sl__timer *timer)
{
    sl_lock *lock = (sl_lock *)((char *)timer - offsetof(sl_lock, deadline));
    lose(lock, sl_now() >= max_hold_end(lock) ? "the lock was held for as long as it may be"
                                              : "the lock could not be renewed in time");
}

sl_time sl_lock_left(const sl_lock *lock)
{
    sl_time left = lock->boot_expiry - lock->ttl / MARGIN_SHARE - sl__lock_clock();
    return lock->held && lock->lost == NULL && left > 0 ? left : 0;
}

/* It expires no earlier than `ttl` after these moments, which were before the request. */
static void set_expiry(sl_lock *lock, sl_time before, sl_time boot_before, sl_time ttl)
{
    lock->expiry = sl_time_add(before, ttl);
    lock->boot_expiry = sl_time_add(boot_before, ttl);
    sl_time until = lock->expiry - lock->ttl / MARGIN_SHARE;
    sl_time end = max_hold_end(lock);
    sl__timer_arm(&sl__runtime->timers, &lock->deadline, until < end ? until : end);
}

/* ---- giving it back ---- */

/*
 * The token stays until the server has answered: the call can be repeated. When an earlier request may have done it, while
 * the lock was surely ours, that it is gone is no loss.
 */
static int give_back(sl_lock *lock, sl_time timeout)
{
    enum sl__lock_given given = SL__LOCK_WAS_OURS;
    bool surely_ours = lock->maybe_given || sl_lock_left(lock) > 0;
    lock->ending = true;
    sl_event_set(&lock->changed);
    int code = sl__lock_give(lock, timeout, &given);
    if (code < 0) {
        lock->maybe_given = lock->maybe_given && surely_ours;
        return code;
    }
    if (lock->maybe_given && surely_ours) {
        given = SL__LOCK_WAS_OURS;
    }
    bool held = lock->held;
    lock->done = true;
    lock->held = false;
    sl__timer_disarm(&sl__runtime->timers, &lock->deadline);
    if (!held || given == SL__LOCK_WAS_OURS) {
        return 0;
    }
    return sl_fail(SL_ELOCKLOST, "release: lock '%s' %s", lock->keys[0],
                   given == SL__LOCK_HAD_EXPIRED ? "had expired" : "is someone else's");
}

int sl_lock_release(sl_lock *lock)
{
    if (lock->done) {
        return sl_fail(SL_EALREADY, "release: lock '%s' was given back or lost before", lock->keys[0]);
    }
    return give_back(lock, 0);
}

/* The scope's cleanup: shielded, within its budget. */
static int end(void *arg)
{
    sl_lock *lock = arg;
    int code = 0;
    for (int tries = 0; tries < RELEASE_TRIES && lock->asked > 0 && !lock->done && code != SL_ECANCELED; tries++) {
        code = give_back(lock, SL_LOCK_RELEASE_BUDGET / (RELEASE_TRIES + 1));
    }
    sl__timer_disarm(&sl__runtime->timers, &lock->deadline);
    if (lock->lost != NULL && !lock->options.loss_is_no_error) {
        code = sl_fail(SL_ELOCKLOST, "lock '%s' was lost: %s", lock->keys[0], lock->lost);
    } else if (code == SL_ELOCKLOST && lock->options.loss_is_no_error) {
        sl_log(SL_LOG_WARNING, "lock '%s' had expired when it was given back", lock->keys[0]);
        code = 0;
    }
    free_lock(lock);
    return code;
}

/* ---- keeping it ---- */

static sl_time earlier(sl_time one, sl_time other)
{
    return one < other ? one : other;
}

/* Tries until the answer is known or nothing can be relied on any more. 0 or SL_ECANCELED. */
static int renew(sl_lock *lock)
{
    sl_time left = sl_lock_left(lock);
    for (; left > 0 && !lock->ending; left = sl_lock_left(lock)) {
        sl_time before = sl_now();
        sl_time boot_before = sl__lock_clock();
        bool ours = false;
        int code = sl__lock_renew(lock, lock->ttl, false, earlier(lock->ttl / 6, left), &ours);
        if (code == SL_ECANCELED || lock->ending) {
            return code == SL_ECANCELED ? code : 0;
        }
        if (code == 0 && !ours) {
            lock->done = true;
            lose(lock, "the lock expired, or is someone else's");
            return 0;
        }
        if (code == 0) {
            set_expiry(lock, before, boot_before, lock->ttl);
            return 0;
        }
        SL_TRY(sl_sleep(lock->ttl / 20));
    }
    lose(lock, "the lock could not be renewed in time");
    return 0;
}

/* The daemon: each third of the TTL, however the last renewal went. */
static int keep(void *arg)
{
    sl_lock *lock = arg;
    while (!lock->ending && lock->lost == NULL) {
        sl_time wait = lock->expiry - lock->ttl / 3 * 2 - sl_now();
        struct sl_select_clause changed = {.kind = SL_SELECT_EVENT, .event = &lock->changed};
        int code = sl_select(&changed, 1, wait > 0 ? wait : 0);
        if (code == SL_ECANCELED) {
            return code;
        }
        sl_event_reset(&lock->changed);
        if (code < 0) {
            SL_TRY(renew(lock));
        }
    }
    return 0;
}

/* ---- extending it ---- */

static int change_ttl(sl_lock *lock, sl_time ttl, bool add)
{
    sl_time before = sl_now();
    sl_time boot_before = sl__lock_clock();
    bool ours = false;
    if (!lock->held || lock->ending) {
        return sl_fail(SL_EALREADY, "extend: lock '%s' is not held any more", lock->keys[0]);
    }
    if (lock->lost != NULL) {
        return sl_fail(SL_ELOCKLOST, "extend: lock '%s' was lost: %s", lock->keys[0], lock->lost);
    }
    sl_time left = lock->expiry > before ? lock->expiry - before : 0;
    sl_time whole = add ? sl_time_add(left, ttl) : ttl;
    if (ttl <= 0 || whole < SL_LOCK_TTL_MIN || whole > SL_LOCK_TTL_MAX) {
        return sl_fail(SL_EINVAL, "extend: a lock's TTL is 100 ms to 24 h");
    }
    SL_TRY(sl__lock_renew(lock, ttl, add, 0, &ours));
    if (!ours) {
        lock->done = true;
        lose(lock, "the lock expired, or is someone else's");
        return sl_fail(SL_ELOCKLOST, "extend: lock '%s' expired, or is someone else's", lock->keys[0]);
    }
    if (!add) {
        lock->ttl = ttl;
    }
    set_expiry(lock, before, boot_before, whole);
    sl_event_set(&lock->changed);
    return 0;
}

int sl_lock_extend(sl_lock *lock, sl_time add)
{
    return change_ttl(lock, add, true);
}

int sl_lock_set_ttl(sl_lock *lock, sl_time ttl)
{
    return change_ttl(lock, ttl, false);
}

int64_t sl_lock_fence(const sl_lock *lock)
{
    return lock->fence;
}

const char *sl_lock_token(const sl_lock *lock)
{
    return lock->token;
}

/* ---- taking it ---- */

/* One attempt. 1 when it is ours, and worth something. */
static int attempt(sl_lock *lock, struct sl__lock_answer *ret_answer)
{
    sl_time before = sl_now();
    sl_time boot_before = sl__lock_clock();
    SL_TRY(sl__lock_take(lock, ret_answer));
    if (ret_answer->taken) {
        lock->held = true;
        lock->held_since = before;
        lock->fence = ret_answer->fence;
        set_expiry(lock, before, boot_before, lock->ttl);
        if (sl_lock_left(lock) > 0 && lock->lost == NULL) {
            return 1;
        }
        /* The answer came when it was no longer worth anything. */
        enum sl__lock_given given;
        lock->held = false;
        sl__timer_disarm(&sl__runtime->timers, &lock->deadline);
        SL_TRY(sl__lock_give(lock, 0, &given));
        ret_answer->wait = 0;
    }
    lock->asked = lock->options.kind == SL_LOCK_WRITE; /* which leaves a mark; else the answer is known: not ours */
    return 0;
}

/* Until it is given back, or may have expired, or it is time to look anyway. */
static int await_change(struct sl__lock_waiter *waiter, const struct sl__lock_answer *answer, sl_time give_up)
{
    sl_time wait = answer->wait == 0 || answer->wait > POLL_MAX ? POLL_MAX : answer->wait;
    wait += (sl_time)(sl_random_unit() * (double)POLL_JITTER) - (wait == POLL_MAX ? POLL_JITTER : 0);
    sl_time now = sl_now();
    wait = give_up == SL_NEVER ? wait : earlier(wait, give_up - now);
    struct sl_select_clause woken = {.kind = SL_SELECT_EVENT, .event = &waiter->ear.heard};
    int code = sl_select(&woken, 1, wait > 0 ? wait : 0);
    sl_event_reset(&waiter->ear.heard);
    return code == SL_ECANCELED ? code : 0;
}

static void listen_for(sl_lock *lock, struct sl__lock_waiter *waiter, const char *key)
{
    if (waiter->key != key) {
        sl_redis_unlisten(lock->redis, &waiter->ear);
        waiter->key = key;
        (void)snprintf(waiter->channel, sizeof waiter->channel, SL__LOCK_CHANNEL "%s", key);
        sl_redis_listen(lock->redis, &waiter->ear, waiter->channel);
    }
}

static int wait_and_take(sl_lock *lock, struct sl__lock_waiter *waiter, sl_time give_up)
{
    for (;;) {
        struct sl__lock_answer answer;
        int code = attempt(lock, &answer);
        if (code != 0) {
            return code < 0 ? code : 0;
        }
        const char *key = lock->keys[answer.busy_key];
        if (lock->options.try_only) {
            return sl_fail(SL_EBUSY, "lock '%s' is held by someone else", key);
        }
        if (sl_now() >= give_up) {
            return sl_fail(SL_ETIMEDOUT, "lock '%s' was held by someone else for all of %" PRId64 " ms", key,
                           lock->options.wait / 1000000);
        }
        listen_for(lock, waiter, key);
        if (await_change(waiter, &answer, give_up) < 0) {
            return sl_fail(SL_ECANCELED, "waiting for lock '%s', which someone else holds", key);
        }
    }
}

static int acquire(sl_lock *lock)
{
    struct sl__lock_waiter waiter = {.key = NULL};
    sl_event_init(&waiter.ear.heard);
    sl_time give_up = lock->options.wait == 0 ? SL_NEVER : sl_time_add(sl_now(), lock->options.wait);
    int code = wait_and_take(lock, &waiter, give_up);
    sl_redis_unlisten(lock->redis, &waiter.ear);
    if (code == 0 && !lock->options.no_renewal) {
        code = sl_spawn(lock->scope, keep, lock, .name = "lock keeper", .daemon = true);
    }
    return code;
}

/* ---- making it ---- */

static int check(const char *key, const struct sl_redis_lock_options *options)
{
    if (options->ttl != 0 && (options->ttl < SL_LOCK_TTL_MIN || options->ttl > SL_LOCK_TTL_MAX)) {
        return sl_fail(SL_EINVAL, "a lock's TTL is 100 ms to 24 h");
    }
    if (options->wait < 0 || options->max_hold < 0 || (options->try_only && options->wait > 0)) {
        return sl_fail(SL_EINVAL, "a lock's wait and max_hold are not negative, and try_only does not wait");
    }
    if (key == NULL || *key == '\0' || strlen(key) >= SL_LOCK_KEY_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "a lock's key has 1 to %d bytes", SL_LOCK_KEY_BYTES_MAX - 1);
    }
    if (options->fence_above < 0 || options->fence_above >= FENCE_MAX ||
        (options->fence_above > 0 && !options->fenced)) {
        return sl_fail(SL_EINVAL, "fence_above is for fenced locks, 0 to 2^53 - 1");
    }
    bool semaphore = options->kind == SL_LOCK_SEMAPHORE;
    if ((unsigned)options->kind > SL_LOCK_WRITE || (semaphore && options->permits == 0) ||
        (!semaphore && options->permits != 0) || options->permits > SL_LOCK_PERMITS_MAX) {
        return sl_fail(SL_EINVAL, "a semaphore, and no other lock, has 1 to %d permits", SL_LOCK_PERMITS_MAX);
    }
    if (options->and_keys != NULL && options->kind != SL_LOCK_EXCLUSIVE) {
        return sl_fail(SL_EINVAL, "only an exclusive lock may have several keys");
    }
    return 0;
}

static int copy_keys(sl_lock *lock, const char *key)
{
    const char *const *more = lock->options.and_keys;
    size_t bytes = strlen(key) + 1;
    lock->keys_count = 1;
    for (; more != NULL && *more != NULL; more++) {
        if (lock->keys_count == SL_LOCK_KEYS_MAX || check(*more, &lock->options) < 0) {
            return sl_fail(SL_EINVAL, "a lock has up to %d keys, each of 1 to %d bytes", SL_LOCK_KEYS_MAX,
                           SL_LOCK_KEY_BYTES_MAX - 1);
        }
        lock->keys[lock->keys_count++] = *more;
        bytes += strlen(*more) + 1;
    }
    lock->keys[0] = key;
    lock->keys_text = sl_malloc(bytes);
    if (lock->keys_text == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a lock");
    }
    char *at = lock->keys_text;
    for (size_t i = 0; i < lock->keys_count; i++) {
        size_t length = strlen(lock->keys[i]) + 1;
        memcpy(at, lock->keys[i], length);
        lock->keys[i] = at;
        at += length;
    }
    return 0;
}

/* In a cluster it must lie in the lock's slot. */
static int make_fence_key(sl_lock *lock)
{
    const char *key = lock->keys[0];
    const char *open = strchr(key, '{');
    const char *close = open == NULL ? NULL : strchr(open, '}');
    bool tagged = close != NULL && close > open + 1;
    size_t bytes = strlen(key) + sizeof "{}:fence";
    lock->fence_key = sl_malloc(bytes);
    if (lock->fence_key == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a lock");
    }
    (void)snprintf(lock->fence_key, bytes, tagged ? "%s:fence" : "{%s}:fence", key);
    return 0;
}

static void make_token(char token[SL_LOCK_TOKEN_BYTES])
{
    uint64_t bits = 0;
    for (size_t i = 0; i < SL_LOCK_TOKEN_BYTES - 1; i++, bits >>= 4) {
        bits = i % 16 == 0 ? sl_random() : bits;
        token[i] = "0123456789abcdef"[bits & 15];
    }
    token[SL_LOCK_TOKEN_BYTES - 1] = '\0';
}

static int lock_new(sl_scope *scope, sl_redis *redis, const char *key, const struct sl_redis_lock_options *options,
                    sl_lock **ret_lock)
{
    sl_lock *lock = sl_calloc(1, sizeof *lock);
    if (lock == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a lock");
    }
    lock->scope = scope;
    lock->redis = redis;
    lock->options = *options;
    lock->ttl = options->ttl == 0 ? SL_LOCK_TTL : (options->ttl + 999999) / 1000000 * 1000000;
    lock->deadline.fire = on_deadline;
    sl_event_init(&lock->changed);
    make_token(lock->token);
    int code = copy_keys(lock, key);
    code = code == 0 && options->fenced ? make_fence_key(lock) : code;
    if (code < 0) {
        free_lock(lock);
        return code;
    }
    *ret_lock = lock;
    return 0;
}

int sl_redis_lock_with(sl_scope *scope, sl_redis *redis, const char *key, const struct sl_redis_lock_options *options)
{
    static const struct sl_redis_lock_options defaults = {0};
    sl_cleanup *cleanup = NULL;
    sl_lock *lock = NULL;
    options = options == NULL ? &defaults : options;
    SL_TRY(check(key, options));
    SL_TRY(sl_cleanup_reserve(scope, &cleanup));
    int code = lock_new(scope, redis, key, options, &lock);
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
        return code;
    }
    SL_TRY(sl_cleanup_arm(cleanup, end, lock, SL_LOCK_RELEASE_BUDGET));
    code = acquire(lock);
    if (code < 0) {
        lock->held = false;            /* what is said then is `code` */
        (void)sl_cleanup_run(cleanup); /* also when the outcome is unknown */
    } else if (options->ret_lock != NULL) {
        *options->ret_lock = lock;
    }
    return code;
}
