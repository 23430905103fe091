/* SPDX-License-Identifier: MIT */
/*
 * Bulkhead: no more than so many calls at once, fixed or adaptive. The adaptive limit is a pure object:
 * AIMD backs off when calls are dropped or slow; the gradient follows how much slower calls have become.
 * The bulkhead lets tasks wait in a sl_capacity_limiter whose size follows it.
 * Sources: Netflix concurrency-limits (AIMDLimit, Gradient2Limit).
 */
#ifndef SLUICE_BULKHEAD_H
#define SLUICE_BULKHEAD_H

#include "sluice/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_concurrency_kind { SL_CONCURRENCY_FIXED, SL_CONCURRENCY_AIMD, SL_CONCURRENCY_GRADIENT };

#define SL_CONCURRENCY_MAX 1000000

/* Zeros are the defaults. */
struct sl_concurrency_policy {
    enum sl_concurrency_kind kind;
    uint32_t initial;  /* 0: 20 */
    uint32_t min, max; /* of an adaptive one; 0: 20 (at most `initial`) and 200 (at least `initial`) */
    double backoff;    /* AIMD: the limit times this after a drop, 0.5 to below 1; 0: 0.9 */
    sl_time slow_call; /* AIMD: a call that took longer counts as dropped; 0: 5 s */
    double tolerance;  /* gradient: so much slower than usual is fine, 1 or more; 0: 1.5 */
};

/* Private members. */
typedef struct sl_concurrency {
    struct sl_concurrency_policy policy;
    double limit;
    double usual_ns; /* long-term mean of the time a call takes */
    uint32_t samples;
} sl_concurrency;

/* 0, or SL_EINVAL with a message that names the field. */
SL_MUST_CHECK int sl_concurrency_init(sl_concurrency *concurrency, const struct sl_concurrency_policy *policy);

/* Calls that may be under way now. */
uint32_t sl_concurrency_limit(const sl_concurrency *concurrency);

/*
 * A call has ended: how long it took, how many were under way with it, whether it was dropped (refused for overload,
 * timed out). Cancelled calls are not to be reported.
 */
void sl_concurrency_done(sl_concurrency *concurrency, sl_time took, uint32_t in_flight, bool dropped);

/* ---- for tasks ---- */

#define SL_BULKHEAD_WAITING_MAX 65536

struct sl_bulkhead_options {
    struct sl_concurrency_policy concurrency;
    sl_time max_wait;     /* 0: do not wait; SL_NEVER: as long as the scopes around the call last */
    uint32_t max_waiting; /* calls that may wait at once; 0: SL_BULKHEAD_WAITING_MAX */
};

/* Lives in the caller's storage; private members. */
typedef struct sl_bulkhead {
    sl_capacity_limiter places;
    sl_concurrency concurrency;
    sl_time max_wait;
    uint32_t max_waiting, waiting;
} sl_bulkhead;

/* One call's place, in the caller's storage until it has left. */
typedef struct sl_bulkhead_place {
    sl_token token;
    sl_time began;
} sl_bulkhead_place;

/* No destruction needed. 0, SL_EINVAL. */
SL_MUST_CHECK int sl_bulkhead_init(sl_bulkhead *bulkhead, const struct sl_bulkhead_options *options);

/*
 * New limits in place of the old, in both directions; an adaptive limit goes on from where it is, within the new bounds.
 * Calls that are under way stay. Does not block. 0, SL_EINVAL, nothing changed.
 */
SL_MUST_CHECK int sl_bulkhead_change(sl_bulkhead *bulkhead, const struct sl_bulkhead_options *options);

/* Takes a place if there is one and nobody waits: 0, SL_EAGAIN. */
SL_MUST_CHECK int sl_bulkhead_try_enter(sl_bulkhead *bulkhead, sl_bulkhead_place *place);

/*
 * Waits for a place, first come, first served. 0, and then sl_bulkhead_leave() is due; SL_EBUSY when it is full and
 * max_wait is over or max_waiting wait; SL_ECANCELED, SL_ENOTASK. Cancellation point.
 */
SL_MUST_CHECK int sl_bulkhead_enter(sl_bulkhead *bulkhead, sl_bulkhead_place *place);

/* Gives the place back. `code`: the call's result; SL_ETIMEDOUT counts as dropped, SL_ECANCELED is not counted. Does not block. */
void sl_bulkhead_leave(sl_bulkhead *bulkhead, sl_bulkhead_place *place, int code);

/* Runs fn(arg) in a place: the result of entering or fn's. Waits as both do. */
SL_MUST_CHECK int sl_bulkhead_call(sl_bulkhead *bulkhead, sl_task_fn fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
