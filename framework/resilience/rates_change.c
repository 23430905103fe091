/* SPDX-License-Identifier: MIT */
/* Limits that change: by the operator's word, or by the server's. */
#include "rates.h"

#define STRIKE_PENALTY SL_SECONDS(1) /* for a 429 that says nothing; doubled for each one in a row */
#define STRIKES_MAX 7
#define SAME_RESET SL_SECONDS(1) /* servers round their resets to seconds */

__extension__ typedef __int128 wide;

/* a * b / c, rounded up, without overflow; all >= 0, c > 0. */
static sl_time scale(sl_time a, sl_time b, sl_time c)
{
    return (sl_time)(((wide)a * b + c - 1) / c);
}

static void set_cap(struct sl__cap *cap, uint64_t left, sl_time until, sl_time now)
{
    sl_time apart = until > cap->until ? until - cap->until : cap->until - until;
    if (cap->until > now && apart <= SAME_RESET) { /* the same window: only ever less */
        left = left < cap->left ? left : cap->left;
        until = until > cap->until ? until : cap->until;
    }
    *cap = (struct sl__cap){left, until};
}

void sl__limit_carry(struct sl__limit *to, const struct sl__limit *from, enum sl_rates_carry carry, sl_time now)
{
    sl_time debt = from->arrival > now ? from->arrival - now : 0;
    sl_time left = debt < from->tolerance ? from->tolerance - debt : 0;
    sl_time kept = left / from->interval * to->interval; /* whole tokens: 40 stay 40 */
    switch (carry) {
    case SL_CARRY_PROPORTIONAL:
        debt = scale(debt, to->tolerance, from->tolerance);
        break;
    case SL_CARRY_ADDITIVE:
        kept += (sl_time)(to->rate.burst - from->rate.burst) * to->interval; /* may be less than nothing */
        debt = kept < to->tolerance ? to->tolerance - (kept > 0 ? kept : 0) : 0;
        break;
    case SL_CARRY_AS_IS:
        debt = kept < to->tolerance ? to->tolerance - kept : 0;
        break;
    case SL_CARRY_RESET:
        debt = 0;
        break;
    }
    to->arrival = now + debt;
    struct sl__window used_before = from->used;
    sl__window_advance(&used_before, now);
    if (to->rate.period == from->rate.period) {
        to->used = used_before;
    } else { /* all of it just now: never too low */
        uint64_t sum = used_before.sum[0];
        sl__window_add(&to->used, 0, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX, now);
    }
    to->told = from->told;
    to->guard = from->guard;
    bool same = to->rate.count == from->rate.count && to->rate.burst == from->rate.burst;
    if (to->rate.bucket || (same && carry == SL_CARRY_PROPORTIONAL)) {
        return;
    }
    /* Windows that began before now end before now + period: they hold what was used and what the cap leaves. */
    uint64_t used = to->used.sum[0];
    uint64_t room = to->rate.count > used ? to->rate.count - used : 0;
    to->guard = (struct sl__cap){room, now + to->rate.period};
}

/* The server says that the limit is `count` a period. It may rise to what is configured, not above. */
static bool announce(struct sl__limit *limit, uint64_t count, sl_time now)
{
    struct sl_rate wanted = limit->configured;
    if (wanted.count == 0) { /* learned */
        wanted = limit->rate;
        wanted.count = count;
        wanted.burst = 0;
    } else if (count < wanted.count) {
        uint64_t half = count < 2 ? 1 : count / 2; /* the steady rate must not starve for the burst */
        wanted.count = count;
        wanted.burst = wanted.burst < half ? wanted.burst : half;
        wanted.bucket = false;
    }
    struct sl__limit next;
    if (wanted.count == limit->rate.count || sl__limit_init(&next, &wanted, 0) < 0) {
        return false;
    }
    next.configured = limit->configured;
    sl__limit_carry(&next, limit, SL_CARRY_PROPORTIONAL, now);
    *limit = next;
    return true;
}

static struct sl__limit *find_same(sl_rates *rates, const struct sl_rate *rate)
{
    for (size_t i = 0; i < rates->count; i++) {
        const struct sl_rate *other = &rates->limits[i].configured;
        other = other->count == 0 ? &rates->limits[i].rate : other;
        if (other->period == rate->period && other->per_call == rate->per_call) {
            return &rates->limits[i];
        }
    }
    return NULL;
}

int sl_rates_change(sl_rates *rates, const struct sl_rate *limits, size_t count, enum sl_rates_carry carry,
                    uint64_t revision, sl_time now)
{
    if (revision != 0 && revision <= rates->revision) {
        return sl_fail(SL_EALREADY, "limits of revision %llu are not newer than %llu", (unsigned long long)revision,
                       (unsigned long long)rates->revision);
    }
    sl_rates next;
    SL_TRY(sl_rates_init(&next, limits, count));
    for (size_t i = 0; i < count; i++) {
        const struct sl__limit *old = find_same(rates, &next.limits[i].rate);
        if (old == NULL && i < rates->count && rates->limits[i].rate.per_call == limits[i].per_call) {
            old = &rates->limits[i]; /* the same limit told for another period */
        }
        if (old == NULL) {
            continue;
        }
        sl__limit_carry(&next.limits[i], old, carry, now);
        bool same_period = old->rate.period == limits[i].period;
        if (same_period && (old->configured.count == 0 || old->rate.count < old->configured.count)) {
            (void)announce(&next.limits[i], old->rate.count, now);
        }
    }
    for (size_t i = 0; i < rates->count && next.count < SL_RATES_MAX; i++) { /* learned ones stay */
        if (rates->limits[i].configured.count == 0 && find_same(&next, &rates->limits[i].rate) == NULL) {
            next.limits[next.count++] = rates->limits[i];
        }
    }
    rates->count = next.count;
    for (size_t i = 0; i < next.count; i++) {
        rates->limits[i] = next.limits[i];
    }
    rates->revision = revision != 0 ? revision : rates->revision;
    rates->operation++; /* older reservations are not the newest any more */
    return 0;
}

/* The limit that a quota speaks of, or NULL. */
static struct sl__limit *limit_of(sl_rates *rates, const struct sl_quota *quota)
{
    struct sl__limit *found = NULL;
    size_t candidates = 0;
    for (size_t i = 0; i < rates->count; i++) {
        struct sl__limit *limit = &rates->limits[i];
        bool period_fits = quota->period == 0 || limit->rate.period == quota->period;
        if (!period_fits) {
            continue;
        }
        if (limit->rate.per_call == quota->per_call && quota->period != 0) {
            return limit;
        }
        found = limit;
        candidates++;
    }
    return candidates == 1 ? found : NULL;
}

static struct sl__limit *learn(sl_rates *rates, const struct sl_quota *quota)
{
    struct sl_rate rate = {.count = (uint64_t)quota->limit, .period = quota->period, .per_call = true};
    if (rates->count == SL_RATES_MAX || !quota->per_call || quota->period < SL_RATE_PERIOD_MIN ||
        quota->period > SL_RATE_PERIOD_MAX) {
        return NULL;
    }
    struct sl__limit *limit = &rates->limits[rates->count];
    if (sl__limit_init(limit, &rate, rates->count) < 0) {
        return NULL;
    }
    limit->configured.count = 0;
    rates->count++;
    return limit;
}

static bool heed_quota(sl_rates *rates, const struct sl_quota *quota, const sl_permit *permit, sl_time now)
{
    struct sl__limit *limit = limit_of(rates, quota);
    bool changed = false;
    if (quota->policy && quota->limit > 0 && (uint64_t)quota->limit <= SL_RATE_COUNT_MAX) {
        if (limit != NULL) {
            changed = announce(limit, (uint64_t)quota->limit, now);
        } else {
            limit = learn(rates, quota);
            changed = limit != NULL;
        }
    }
    int64_t remaining = quota->remaining;
    if (remaining < 0 && quota->used >= 0 && (limit != NULL || quota->limit > 0)) {
        int64_t all = quota->limit > 0 ? quota->limit : (int64_t)limit->rate.count;
        remaining = quota->used < all ? all - quota->used : 0;
    }
    sl_time lasts = quota->reset >= 0 ? quota->reset : quota->period;
    if (remaining < 0 || lasts <= 0) {
        return changed;
    }
    /* What went after that call, the server had not counted yet. */
    bool calls = limit == NULL || limit->rate.per_call;
    uint64_t since = calls ? rates->calls - permit->calls : rates->cost - permit->cost;
    uint64_t left = (uint64_t)remaining > since ? (uint64_t)remaining - since : 0;
    set_cap(limit == NULL ? &rates->told : &limit->told, left, sl_time_add(now, lasts), now);
    return true;
}

/* How long a refusal without a Retry-After holds. */
static sl_time penalty(sl_rates *rates, const struct sl_limit_news *news, const sl_permit *permit)
{
    for (size_t i = 0; i < news->quota_count; i++) {
        if (news->quotas[i].remaining == 0 && news->quotas[i].reset > 0) {
            return news->quotas[i].reset;
        }
    }
    if (rates->blocked_at != 0 && permit->when <= rates->blocked_at) {
        return 0; /* it went out before the block: nothing new */
    }
    rates->strikes += rates->strikes < STRIKES_MAX;
    sl_time wait = STRIKE_PENALTY << (rates->strikes - 1);
    return wait < SL_SECONDS(60) ? wait : SL_SECONDS(60);
}

static bool heed_refusal(sl_rates *rates, const struct sl_limit_news *news, const sl_permit *permit, sl_time now)
{
    int status = news->status;
    bool refusal = status == 413 || status == 429 || status == 503 || news->ban > 0 || news->refused;
    if (!refusal) {
        if (status >= 200 && status < 400 && permit->when >= rates->blocked_until) {
            rates->strikes = 0;
        }
        return false;
    }
    sl_time wait = news->retry_after;
    if (wait < 0) {
        wait = news->ban > 0 ? news->ban : (status == 429 || news->refused ? penalty(rates, news, permit) : 0);
    }
    sl_time before = rates->blocked_until;
    sl_rates_block(rates, sl_time_add(now, wait), now);
    return rates->blocked_until != before;
}

bool sl_rates_heed(sl_rates *rates, const struct sl_limit_news *news, const sl_permit *permit, sl_time now)
{
    sl_permit newest = {.when = now, .operation = rates->operation, .calls = rates->calls, .cost = rates->cost};
    permit = permit == NULL ? &newest : permit;
    bool changed = heed_refusal(rates, news, permit, now);
    if (news->quota_count > 0 && permit->operation >= rates->news_operation) {
        rates->news_operation = permit->operation;
        for (size_t i = 0; i < news->quota_count; i++) {
            changed = heed_quota(rates, &news->quotas[i], permit, now) || changed;
        }
    }
    rates->operation += changed; /* caps changed: reservations cannot be undone any more */
    return changed;
}
