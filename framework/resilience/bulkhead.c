/* SPDX-License-Identifier: MIT */
/* Limits of concurrency, and the bulkhead that tasks wait at. */
#include "sluice/bulkhead.h"

#include "sluice/scope.h"

#define GRADIENT_SMOOTHING 0.2
#define GRADIENT_QUEUE 4.0 /* calls that may queue up at the server */
#define GRADIENT_LONG_SAMPLES 600
#define GRADIENT_WARM_UP 10
#define GRADIENT_RECOVERY 0.95 /* the long-term mean sinks faster once load has gone */

int sl_concurrency_init(sl_concurrency *concurrency, const struct sl_concurrency_policy *policy)
{
    struct sl_concurrency_policy full = *policy;
    full.initial = full.initial == 0 ? 20 : full.initial;
    if (full.min == 0) {
        full.min = full.initial < 20 ? full.initial : 20;
    }
    if (full.max == 0) {
        full.max = full.initial > 200 ? full.initial : 200;
    }
    full.backoff = full.backoff == 0 ? 0.9 : full.backoff;
    full.slow_call = full.slow_call == 0 ? SL_SECONDS(5) : full.slow_call;
    full.tolerance = full.tolerance == 0 ? 1.5 : full.tolerance;
    const char *bad = full.initial > SL_CONCURRENCY_MAX                          ? "initial"
                      : full.min > full.initial                                  ? "min"
                      : full.max < full.initial || full.max > SL_CONCURRENCY_MAX ? "max"
                      : !(full.backoff >= 0.5 && full.backoff < 1)               ? "backoff"
                      : full.slow_call < 0                                       ? "slow_call"
                      : !(full.tolerance >= 1 && full.tolerance <= 100)          ? "tolerance"
                                                                                 : NULL;
    if (bad != NULL) {
        return sl_fail(SL_EINVAL, "concurrency limit: %s is out of its range", bad);
    }
    *concurrency = (sl_concurrency){.policy = full, .limit = full.initial};
    return 0;
}

uint32_t sl_concurrency_limit(const sl_concurrency *concurrency)
{
    return (uint32_t)concurrency->limit;
}

static void gradient(sl_concurrency *concurrency, double took_ns, uint32_t in_flight)
{
    uint32_t samples = concurrency->samples < GRADIENT_LONG_SAMPLES ? ++concurrency->samples : GRADIENT_LONG_SAMPLES;
    double weight = samples <= GRADIENT_WARM_UP ? 1.0 / samples : 2.0 / (GRADIENT_LONG_SAMPLES + 1);
    concurrency->usual_ns += (took_ns - concurrency->usual_ns) * weight;
    if (concurrency->usual_ns > 2 * took_ns) {
        concurrency->usual_ns *= GRADIENT_RECOVERY;
    }
    if (in_flight < concurrency->limit / 2) {
        return; /* the limit is not what holds calls back */
    }
    double slope = concurrency->policy.tolerance * concurrency->usual_ns / took_ns;
    slope = slope < 0.5 ? 0.5 : (slope > 1 ? 1 : slope);
    double wanted = concurrency->limit * slope + GRADIENT_QUEUE;
    concurrency->limit += (wanted - concurrency->limit) * GRADIENT_SMOOTHING;
}

void sl_concurrency_done(sl_concurrency *concurrency, sl_time took, uint32_t in_flight, bool dropped)
{
    const struct sl_concurrency_policy *policy = &concurrency->policy;
    if (policy->kind == SL_CONCURRENCY_FIXED) {
        return;
    }
    if (dropped || (policy->kind == SL_CONCURRENCY_AIMD && took > policy->slow_call)) {
        concurrency->limit *= policy->backoff;
    } else if (policy->kind == SL_CONCURRENCY_GRADIENT) {
        gradient(concurrency, took > 0 ? (double)took : 1, in_flight);
    } else if ((double)in_flight * 2 >= concurrency->limit) {
        concurrency->limit += 1;
    }
    concurrency->limit = concurrency->limit < policy->min ? policy->min : concurrency->limit;
    concurrency->limit = concurrency->limit > policy->max ? policy->max : concurrency->limit;
}

/* ---- the bulkhead ---- */

int sl_bulkhead_init(sl_bulkhead *bulkhead, const struct sl_bulkhead_options *options)
{
    if (options->max_wait < 0) {
        return sl_fail(SL_EINVAL, "bulkhead: max_wait is negative");
    }
    SL_TRY(sl_concurrency_init(&bulkhead->concurrency, &options->concurrency));
    sl_capacity_limiter_init(&bulkhead->places, sl_concurrency_limit(&bulkhead->concurrency));
    bulkhead->max_wait = options->max_wait;
    bulkhead->max_waiting = options->max_waiting == 0 ? SL_BULKHEAD_WAITING_MAX : options->max_waiting;
    bulkhead->waiting = 0;
    return 0;
}

int sl_bulkhead_change(sl_bulkhead *bulkhead, const struct sl_bulkhead_options *options)
{
    sl_concurrency next;
    if (options->max_wait < 0) {
        return sl_fail(SL_EINVAL, "bulkhead: max_wait is negative");
    }
    SL_TRY(sl_concurrency_init(&next, &options->concurrency));
    const sl_concurrency *old = &bulkhead->concurrency;
    if (next.policy.kind != SL_CONCURRENCY_FIXED && next.policy.kind == old->policy.kind) {
        double limit = old->limit < next.policy.min ? next.policy.min : old->limit;
        next.limit = limit > next.policy.max ? next.policy.max : limit;
        next.usual_ns = old->usual_ns;
        next.samples = old->samples;
    }
    bulkhead->concurrency = next;
    bulkhead->max_wait = options->max_wait;
    bulkhead->max_waiting = options->max_waiting == 0 ? SL_BULKHEAD_WAITING_MAX : options->max_waiting;
    sl_capacity_limiter_resize(&bulkhead->places, sl_concurrency_limit(&next));
    return 0;
}

int sl_bulkhead_try_enter(sl_bulkhead *bulkhead, sl_bulkhead_place *place)
{
    int code = sl_capacity_limiter_try_acquire(&bulkhead->places, place, &place->token);
    place->began = sl_now();
    return code;
}

static int wait_for_place(sl_bulkhead *bulkhead, sl_bulkhead_place *place)
{
    if (bulkhead->max_wait == SL_NEVER) {
        return sl_capacity_limiter_acquire(&bulkhead->places, place, &place->token);
    }
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "bulkhead", .timeout = bulkhead->max_wait}));
    int code = sl_capacity_limiter_acquire(&bulkhead->places, place, &place->token);
    bool entered = code == 0;
    code = sl_scope_close(&scope, code);
    if (entered) {
        return 0; /* served in the same step: it has its place */
    }
    return code == SL_ETIMEDOUT ? SL_EAGAIN : code;
}

int sl_bulkhead_enter(sl_bulkhead *bulkhead, sl_bulkhead_place *place)
{
    SL_TRY(sl_checkpoint_if_cancelled());
    int code = sl_capacity_limiter_try_acquire(&bulkhead->places, place, &place->token);
    if (code == SL_EAGAIN && bulkhead->max_wait > 0 && bulkhead->waiting < bulkhead->max_waiting) {
        bulkhead->waiting++;
        code = wait_for_place(bulkhead, place);
        bulkhead->waiting--;
    }
    if (code == SL_EAGAIN) {
        return sl_fail(SL_EBUSY, "bulkhead: %u calls are under way, %u wait", (unsigned)bulkhead->places.borrowed,
                       (unsigned)bulkhead->waiting);
    }
    place->began = sl_now();
    return code;
}

void sl_bulkhead_leave(sl_bulkhead *bulkhead, sl_bulkhead_place *place, int code)
{
    uint32_t in_flight = (uint32_t)bulkhead->places.borrowed;
    if (sl_capacity_limiter_release(&bulkhead->places, place) < 0 || code == SL_ECANCELED) {
        return;
    }
    sl_concurrency_done(&bulkhead->concurrency, sl_now() - place->began, in_flight, code == SL_ETIMEDOUT);
    uint32_t limit = sl_concurrency_limit(&bulkhead->concurrency);
    if (limit != bulkhead->places.total) {
        sl_capacity_limiter_resize(&bulkhead->places, limit);
    }
}

int sl_bulkhead_call(sl_bulkhead *bulkhead, sl_task_fn fn, void *arg)
{
    sl_bulkhead_place place;
    SL_TRY(sl_bulkhead_enter(bulkhead, &place));
    int code = fn(arg);
    sl_bulkhead_leave(bulkhead, &place, code);
    return code;
}
