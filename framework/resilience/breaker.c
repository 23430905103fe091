/* SPDX-License-Identifier: MIT */
/* The circuit breaker: a state, a window of counts and a generation that makes late results harmless. */
#include "sluice/breaker.h"

#include <inttypes.h>
#include <string.h>

#include "chain.h"
#include "window.h"

enum { CALLS, FAILURES, SLOW };

static bool is_ratio(double value)
{
    return value > 0 && value <= 1;
}

static int fill_in(const struct sl_breaker_policy *policy, struct sl_breaker_policy *ret_full)
{
    struct sl_breaker_policy full = *policy;
    full.failure_ratio = full.failure_ratio == 0 ? 0.5 : full.failure_ratio;
    full.slow_ratio = full.slow_ratio == 0 ? 0.8 : full.slow_ratio;
    full.window = full.window == 0 ? SL_SECONDS(30) : full.window;
    full.open_for = full.open_for == 0 ? SL_SECONDS(5) : full.open_for;
    full.open_max = full.open_max == 0 ? SL_SECONDS(60) : full.open_max;
    full.open_max = full.open_max < full.open_for ? full.open_for : full.open_max;
    full.half_open_calls = full.half_open_calls == 0 ? 3 : full.half_open_calls;
    full.min_calls = full.min_calls == 0 ? 20 : full.min_calls;
    if (full.window_calls != 0 && full.min_calls > full.window_calls) {
        full.min_calls = full.window_calls;
    }
    const char *bad = !is_ratio(full.failure_ratio)                            ? "failure_ratio"
                      : !is_ratio(full.slow_ratio)                             ? "slow_ratio"
                      : full.window < SL_MILLISECONDS(1)                       ? "window"
                      : full.window_calls > SL_BREAKER_CALLS_MAX               ? "window_calls"
                      : full.open_for < 0 || full.open_max > SL_SECONDS(86400) ? "open_for"
                      : full.slow_call < 0                                     ? "slow_call"
                                                                               : NULL;
    if (bad != NULL) {
        return sl_fail(SL_EINVAL, "circuit breaker: %s is out of its range", bad);
    }
    *ret_full = full;
    return 0;
}

int sl_breaker_init(sl_breaker *breaker, const struct sl_breaker_policy *policy)
{
    struct sl_breaker_policy full;
    SL_TRY(fill_in(policy, &full));
    memset(breaker, 0, sizeof *breaker);
    breaker->policy = full;
    breaker->open_for = full.open_for;
    sl__window_init(&breaker->window, full.window, false);
    return 0;
}

static void enter(sl_breaker *breaker, enum sl_breaker_state state)
{
    breaker->state = state;
    breaker->generation++;
    breaker->probes = 0;
    breaker->probed = 0;
}

static void open_it(sl_breaker *breaker, sl_time now)
{
    enter(breaker, SL_BREAKER_OPEN);
    breaker->open_until = sl_time_add(now, breaker->open_for);
}

static void forget(sl_breaker *breaker)
{
    sl__window_init(&breaker->window, breaker->policy.window, false);
    breaker->at = breaker->held = breaker->failures = breaker->slow = 0;
}

static void close_it(sl_breaker *breaker)
{
    enter(breaker, SL_BREAKER_CLOSED);
    breaker->open_for = breaker->policy.open_for;
    forget(breaker);
}

int sl_breaker_change(sl_breaker *breaker, const struct sl_breaker_policy *policy)
{
    struct sl_breaker_policy old = breaker->policy;
    SL_TRY(fill_in(policy, &breaker->policy));
    const struct sl_breaker_policy *full = &breaker->policy;
    if (full->window != old.window || full->window_calls != old.window_calls) {
        forget(breaker);
    }
    if (breaker->state == SL_BREAKER_CLOSED || breaker->open_for < full->open_for) {
        breaker->open_for = full->open_for;
    }
    breaker->open_for = breaker->open_for > full->open_max ? full->open_max : breaker->open_for;
    if (breaker->state == SL_BREAKER_HALF_OPEN && breaker->probed >= full->half_open_calls) {
        close_it(breaker); /* fewer probes decide now, and they have gone well: no other would be let through */
    }
    return 0;
}

enum sl_breaker_state sl_breaker_look(const sl_breaker *breaker, sl_time now)
{
    bool over = breaker->state == SL_BREAKER_OPEN && now >= breaker->open_until;
    return over ? SL_BREAKER_HALF_OPEN : breaker->state;
}

int sl_breaker_admit(sl_breaker *breaker, sl_time now, sl_breaker_pass *ret_pass, sl_time *ret_probe_at)
{
    if (breaker->state == SL_BREAKER_OPEN && now >= breaker->open_until) {
        enter(breaker, SL_BREAKER_HALF_OPEN);
    }
    bool full = breaker->state == SL_BREAKER_HALF_OPEN && breaker->probes >= breaker->policy.half_open_calls;
    if (breaker->state == SL_BREAKER_OPEN || full) {
        if (ret_probe_at != NULL) {
            *ret_probe_at = full ? now : breaker->open_until;
        }
        return SL_EBREAKER;
    }
    breaker->probes += breaker->state == SL_BREAKER_HALF_OPEN;
    *ret_pass = (sl_breaker_pass){.generation = breaker->generation, .began = now};
    return 0;
}

/* Puts one bit in place of the oldest; the change of the count of set bits. */
static uint32_t put_bit(uint64_t *bits, uint32_t at, bool held, bool value)
{
    uint64_t mask = UINT64_C(1) << (at % 64);
    bool old = held && (bits[at / 64] & mask) != 0;
    bits[at / 64] = (bits[at / 64] & ~mask) | (value ? mask : 0);
    return (uint32_t)value - (uint32_t)old;
}

static bool count_call(sl_breaker *breaker, bool failed, bool slow, sl_time now)
{
    const struct sl_breaker_policy *policy = &breaker->policy;
    uint64_t calls, failures, slow_calls;
    if (policy->window_calls != 0) {
        bool full = breaker->held == policy->window_calls;
        breaker->failures += put_bit(breaker->failed_bits, breaker->at, full, failed);
        breaker->slow += put_bit(breaker->slow_bits, breaker->at, full, slow);
        breaker->held += !full;
        breaker->at = breaker->at + 1 == policy->window_calls ? 0 : breaker->at + 1;
        calls = breaker->held;
        failures = breaker->failures;
        slow_calls = breaker->slow;
    } else {
        sl__window_add(&breaker->window, CALLS, 1, now);
        sl__window_add(&breaker->window, FAILURES, failed, now);
        sl__window_add(&breaker->window, SLOW, slow, now);
        calls = breaker->window.sum[CALLS];
        failures = breaker->window.sum[FAILURES];
        slow_calls = breaker->window.sum[SLOW];
    }
    return calls >= policy->min_calls && ((double)failures >= policy->failure_ratio * (double)calls ||
                                          (double)slow_calls >= policy->slow_ratio * (double)calls);
}

void sl_breaker_done(sl_breaker *breaker, const sl_breaker_pass *pass, enum sl_breaker_outcome outcome, sl_time now)
{
    if (pass->generation != breaker->generation) {
        return;
    }
    const struct sl_breaker_policy *policy = &breaker->policy;
    bool failed = outcome == SL_CALL_FAILED;
    bool slow = policy->slow_call != 0 && now - pass->began > policy->slow_call;
    if (outcome == SL_CALL_CANCELLED) {
        breaker->probes -= breaker->state == SL_BREAKER_HALF_OPEN;
    } else if (breaker->state == SL_BREAKER_CLOSED) {
        if (count_call(breaker, failed, slow, now)) {
            open_it(breaker, now);
        }
    } else if (failed || slow) {
        sl_time twice = breaker->open_for > policy->open_max / 2 ? policy->open_max : breaker->open_for * 2;
        breaker->open_for = twice;
        open_it(breaker, now);
    } else if (++breaker->probed >= policy->half_open_calls) {
        close_it(breaker);
    }
}

bool sl__call_failed(int code)
{
    switch (code) {
    case SL_ENOMEM:
    case SL_ECANCELED:
    case SL_ELIMITED:
    case SL_EBREAKER:
    case SL_EBUSY:
    case SL_EMISUSE:
    case SL_EINVAL:
        return false;
    default:
        return code < 0;
    }
}

int sl_breaker_call(sl_breaker *breaker, sl_task_fn fn, void *arg, bool (*is_failure)(int code))
{
    sl_breaker_pass pass;
    sl_time probe_at;
    sl_time now = sl_now();
    if (sl_breaker_admit(breaker, now, &pass, &probe_at) < 0) {
        return sl_fail(SL_EBREAKER, "the circuit breaker is open for another %" PRId64 " ms",
                       (probe_at - now) / SL_MILLISECONDS(1));
    }
    int code = fn(arg);
    bool failed = is_failure != NULL ? code != SL_ECANCELED && is_failure(code) : sl__call_failed(code);
    bool undecided = code == SL_ECANCELED || (is_failure == NULL && code < 0 && !failed);
    enum sl_breaker_outcome outcome = failed ? SL_CALL_FAILED : (undecided ? SL_CALL_CANCELLED : SL_CALL_SUCCEEDED);
    sl_breaker_done(breaker, &pass, outcome, sl_now());
    return code;
}

bool sl_outlier_may_eject(size_t hosts, size_t ejected, unsigned percent)
{
    return hosts > ejected && (ejected == 0 || (ejected + 1) * 100 <= hosts * (size_t)percent);
}
