/* SPDX-License-Identifier: MIT */
/* What the files of the locks share. */
#ifndef SL_COORDINATION_LOCK_H
#define SL_COORDINATION_LOCK_H

#include "../runtime/internal.h"
#include "sluice/lock.h"
#include "sluice/sync.h"

/* ---- scripts ---- */

/* What the server said to an attempt. */
struct sl__lock_answer {
    bool taken;
    int64_t fence;
    sl_time wait;    /* not taken: until it may be free; 0: unknown */
    size_t busy_key; /* which one it was */
};

struct sl_lock {
    sl_scope *scope;
    sl_redis *redis;
    struct sl_redis_lock_options options;
    char *keys_text; /* one piece of memory */
    const char *keys[SL_LOCK_KEYS_MAX];
    size_t keys_count;
    char *fence_key;
    char token[SL_LOCK_TOKEN_BYTES];
    sl_time ttl;
    uint32_t asked; /* how often something was sent that may have taken it, since that was known */
    bool tried;     /* without a script */
    bool held;
    bool done;        /* given back, or known to be another's */
    bool ending;      /* it is being given back: no renewal any more */
    bool maybe_given; /* giving it back was tried, and nobody knows what came of it */
    const char *lost; /* why; NULL while it is not */
    int64_t fence;
    sl_time expiry,
        boot_expiry; /* not before then in the server; by sl_now(), and by the clock that goes on in a suspend */
    sl_time held_since;
    struct sl__timer deadline; /* cancels the scope at the same time by the runtime's clock */
    sl_event changed;          /* the TTL was, or it is being given back: for the keeper */
};

/* Each sends one script. 0 or what the client gives. */
int sl__lock_take(sl_lock *lock, struct sl__lock_answer *ret_answer);
/* `add`: to what is left there. */
int sl__lock_renew(sl_lock *lock, sl_time ttl, bool add, sl_time timeout, bool *ret_ours);

enum sl__lock_given { SL__LOCK_WAS_OURS, SL__LOCK_HAD_EXPIRED, SL__LOCK_IS_ANOTHERS };
int sl__lock_give(sl_lock *lock, sl_time timeout, enum sl__lock_given *ret_given);

/* ---- waiting ---- */

#define SL__LOCK_CHANNEL "sluice:wake:"

/* A task that waits for one key to be given back. */
struct sl__lock_waiter {
    struct sl_redis_ear ear;
    const char *key; /* what it listens for; NULL: nothing yet */
    char channel[sizeof SL__LOCK_CHANNEL + SL_LOCK_KEY_BYTES_MAX];
};

/* ---- time ---- */

/* Goes on in a suspend, unlike sl_now(). */
sl_time sl__lock_clock(void);

#endif
