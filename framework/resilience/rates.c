/* SPDX-License-Identifier: MIT */
/*
 * The generic cell rate algorithm over a set of limits. `arrival` is the theoretical arrival time: the
 * moment at which everything admitted so far would have been due at the steady rate. A call of cost c may
 * go at `arrival + c * interval - tolerance`. In any half-open stretch of length w that admits less than
 * burst + w / interval; with interval = period / (count - burst + 1) that is at most `count` in a period.
 * Source: ITU-T I.371 annex A.
 */
#include "rates.h"

#include <string.h>

static int check_rate(const struct sl_rate *rate, size_t index)
{
    if (rate->count == 0 || rate->count > SL_RATE_COUNT_MAX) {
        return sl_fail(SL_EINVAL, "limit %zu: a count of %llu is not within 1 and %llu", index,
                       (unsigned long long)rate->count, (unsigned long long)SL_RATE_COUNT_MAX);
    }
    if (rate->period < SL_RATE_PERIOD_MIN || rate->period > SL_RATE_PERIOD_MAX) {
        return sl_fail(SL_EINVAL, "limit %zu: a period of %lld ns is not within 1 ms and 366 days", index,
                       (long long)rate->period);
    }
    uint64_t most = rate->bucket ? SL_RATE_COUNT_MAX : rate->count;
    if (rate->burst > most) {
        return sl_fail(SL_EINVAL, "limit %zu: a burst of %llu is more than %llu", index,
                       (unsigned long long)rate->burst, (unsigned long long)most);
    }
    return 0;
}

/* burst * interval must leave room for all times to come. */
#define TOLERANCE_MAX (INT64_MAX / 4)

int sl__limit_init(struct sl__limit *limit, const struct sl_rate *rate, size_t index)
{
    SL_TRY(check_rate(rate, index));
    struct sl_rate full = *rate;
    if (full.burst == 0) {
        full.burst = full.count < 10 ? 1 : full.count / 10;
    }
    sl_time steady = (sl_time)(full.bucket ? full.count : full.count - full.burst + 1);
    sl_time interval = full.period / steady + (full.period % steady != 0);
    if ((sl_time)full.burst > TOLERANCE_MAX / interval) {
        return sl_fail(SL_EINVAL, "limit %zu: a burst of %llu takes centuries to come back", index,
                       (unsigned long long)full.burst);
    }
    *limit = (struct sl__limit){
        .rate = full, .configured = full, .interval = interval, .tolerance = (sl_time)full.burst * interval};
    sl__window_init(&limit->used, full.period, true);
    return 0;
}

int sl_rates_init(sl_rates *rates, const struct sl_rate *limits, size_t count)
{
    if (count > SL_RATES_MAX) {
        return sl_fail(SL_EINVAL, "%zu limits are more than %d", count, SL_RATES_MAX);
    }
    memset(rates, 0, sizeof *rates);
    for (size_t i = 0; i < count; i++) {
        SL_TRY(sl__limit_init(&rates->limits[i], &limits[i], i));
    }
    rates->count = count;
    return 0;
}

/* What a call of `cost` takes from this limit. */
static inline uint64_t charge_of(const struct sl__limit *limit, uint64_t cost)
{
    return limit->rate.per_call && cost > 0 ? 1 : cost;
}

static inline sl_time later(sl_time a, sl_time b)
{
    return a > b ? a : b;
}

/* `when`, or the end of a cap that leaves too little. */
static inline sl_time capped_until(const struct sl__cap *cap, uint64_t charge, sl_time now, sl_time when)
{
    return cap->until > now && charge > cap->left ? later(when, cap->until) : when;
}

sl_time sl_rates_when(const sl_rates *rates, uint64_t cost, sl_time now)
{
    sl_time when = later(now, later(rates->blocked_until, rates->booked_until));
    if (cost == 0) {
        return when;
    }
    when = capped_until(&rates->told, 1, now, when);
    for (size_t i = 0; i < rates->count; i++) {
        const struct sl__limit *limit = &rates->limits[i];
        uint64_t charge = charge_of(limit, cost);
        if (charge > limit->rate.burst) {
            return SL_NEVER;
        }
        when = later(when, limit->arrival + (sl_time)charge * limit->interval - limit->tolerance);
        when = capped_until(&limit->told, charge, now, when);
        when = capped_until(&limit->guard, charge, now, when);
    }
    return when;
}

static inline void take_from(struct sl__cap *cap, uint64_t charge, sl_time when)
{
    if (when < cap->until) {
        cap->left -= charge;
    }
}

static inline void give_back(struct sl__cap *cap, uint64_t charge, sl_time when)
{
    if (when < cap->until) {
        cap->left += charge;
    }
}

/* Charges all limits for a call that goes at `when`. */
static void charge_all(sl_rates *rates, uint64_t cost, sl_time when)
{
    bool near = false;
    for (size_t i = 0; i < rates->count; i++) {
        struct sl__limit *limit = &rates->limits[i];
        uint64_t charge = charge_of(limit, cost);
        limit->arrival = later(limit->arrival, when) + (sl_time)charge * limit->interval;
        take_from(&limit->told, charge, when);
        take_from(&limit->guard, charge, when);
        sl__window_add(&limit->used, 0, (uint32_t)charge, when);
        near = near || limit->used.sum[0] * 5 > limit->rate.count * 4;
    }
    take_from(&rates->told, 1, when);
    rates->near_limit += near;
    rates->calls++;
    rates->cost += cost;
}

static void fill_permit(const sl_rates *rates, uint64_t cost, sl_time when, sl_permit *permit)
{
    permit->when = when;
    permit->weight = cost;
    permit->booked_before = rates->booked_until;
    for (size_t i = 0; i < rates->count; i++) {
        permit->arrivals[i] = rates->limits[i].arrival;
    }
}

static int too_costly(const sl_rates *rates, uint64_t cost)
{
    for (size_t i = 0; i < rates->count; i++) {
        const struct sl__limit *limit = &rates->limits[i];
        if (charge_of(limit, cost) > limit->rate.burst) {
            return sl_fail(SL_EINVAL, "a cost of %llu can never pass limit %zu, whose burst is %llu",
                           (unsigned long long)cost, i, (unsigned long long)limit->rate.burst);
        }
    }
    return sl_fail(SL_EINVAL, "a cost of %llu can never pass", (unsigned long long)cost);
}

static int admit(sl_rates *rates, uint64_t cost, sl_time max_wait, sl_time now, sl_permit *ret_permit)
{
    sl_time when = sl_rates_when(rates, cost, now);
    if (when == SL_NEVER && rates->blocked_until != SL_NEVER) {
        return too_costly(rates, cost);
    }
    if (when - now > (max_wait < SL_RESERVE_MAX ? max_wait : SL_RESERVE_MAX)) {
        return SL_EAGAIN;
    }
    if (ret_permit != NULL) {
        fill_permit(rates, cost, when, ret_permit);
    }
    if (cost > 0) {
        charge_all(rates, cost, when);
        rates->operation++;
    }
    if (ret_permit != NULL) {
        ret_permit->operation = rates->operation;
        ret_permit->calls = rates->calls;
        ret_permit->cost = rates->cost;
    }
    return 0;
}

int sl_rates_try(sl_rates *rates, uint64_t cost, sl_time now, sl_permit *ret_permit)
{
    return admit(rates, cost, 0, now, ret_permit);
}

int sl_rates_reserve(sl_rates *rates, uint64_t cost, sl_time max_wait, sl_time now, sl_permit *ret_permit)
{
    SL_TRY(admit(rates, cost, max_wait, now, ret_permit));
    rates->booked_until = later(rates->booked_until, ret_permit->when);
    return 0;
}

bool sl_rates_refund(sl_rates *rates, const sl_permit *permit)
{
    if (permit->operation != rates->operation || permit->weight == 0) {
        return false;
    }
    for (size_t i = 0; i < rates->count; i++) {
        struct sl__limit *limit = &rates->limits[i];
        limit->arrival = permit->arrivals[i];
        give_back(&limit->told, charge_of(limit, permit->weight), permit->when);
        give_back(&limit->guard, charge_of(limit, permit->weight), permit->when);
    }
    give_back(&rates->told, 1, permit->when);
    rates->booked_until = permit->booked_before;
    rates->operation--;
    return true;
}

void sl_rates_block(sl_rates *rates, sl_time until, sl_time now)
{
    if (until > now && until > rates->blocked_until) {
        rates->blocked_until = until;
        rates->blocked_at = now;
    }
}

int sl_rates_look(const sl_rates *rates, size_t index, sl_time now, struct sl_rate_state *ret_state)
{
    if (index >= rates->count) {
        return SL_EINVAL;
    }
    const struct sl__limit *limit = &rates->limits[index];
    struct sl__window used = limit->used;
    sl__window_advance(&used, now);
    sl_time debt = limit->arrival > now ? limit->arrival - now : 0;
    uint64_t remaining = debt < limit->tolerance ? (uint64_t)((limit->tolerance - debt) / limit->interval) : 0;
    const struct sl__cap *caps[] = {&limit->told, &limit->guard};
    for (int i = 0; i < 2; i++) {
        remaining = caps[i]->until > now && caps[i]->left < remaining ? caps[i]->left : remaining;
    }
    *ret_state = (struct sl_rate_state){.rate = limit->rate,
                                        .remaining = rates->blocked_until > now ? 0 : remaining,
                                        .reset_after = debt,
                                        .used = used.sum[0],
                                        .interval = limit->interval,
                                        .server_until = limit->told.until > now ? limit->told.until : 0};
    return 0;
}
