/* SPDX-License-Identifier: MIT */
/* When to try again, and when not to: pure functions. */
#include "sluice/retry.h"

#include <string.h>

#include "sluice/scope.h"
#include "sluice/supervisor.h"
#include "window.h"

#define NAME_LOOKUP_AGAIN (-3001) /* libuv's UV_EAI_AGAIN */
#define STEPS_MAX 1000000

bool sl_retryable_status(int status)
{
    switch (status) {
    case 408:
    case 425:
    case 429:
        return true;
    case 501:
    case 505:
        return false;
    default:
        return status >= 500 && status <= 599;
    }
}

bool sl_retryable_code(int code)
{
    switch (code) {
    case SL_ETIMEDOUT:
    case SL_ECONNRESET:
    case SL_EPIPE:
    case SL_EOF:
    case SL_EBROKEN:
    case SL_EAGAIN:
    case SL_ENOTREADY:
    case -ECONNREFUSED:
    case -ECONNABORTED:
    case -EHOSTUNREACH:
    case -EHOSTDOWN:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -ENETRESET:
    case -EADDRNOTAVAIL:
    case NAME_LOOKUP_AGAIN:
        return true;
    default:
        return false;
    }
}

bool sl_method_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i], method) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- budget ---- */

enum { CALLS, RETRIES };

int sl_retry_budget_init(sl_retry_budget *budget, const struct sl_retry_budget_policy *policy)
{
    struct sl_retry_budget_policy full = *policy;
    full.ratio = full.ratio == 0 ? 0.2 : (full.ratio < 0 ? 0 : full.ratio);
    full.reserve = full.reserve == 0 ? 10 : (full.reserve == SL_NO_RESERVE ? 0 : full.reserve);
    full.window = full.window == 0 ? SL_SECONDS(10) : full.window;
    full.token_gain = full.token_gain == 0 ? 0.1 : full.token_gain;
    const char *bad = !(full.ratio <= 10)                                            ? "ratio"
                      : full.window < SL_MILLISECONDS(1)                             ? "window"
                      : !(full.tokens >= 0 && full.tokens <= 1000)                   ? "tokens"
                      : !(full.token_gain > 0 && full.token_gain <= full.tokens + 1) ? "token_gain"
                                                                                     : NULL;
    if (bad != NULL) {
        return sl_fail(SL_EINVAL, "retry budget: %s is out of its range", bad);
    }
    *budget = (sl_retry_budget){.policy = full, .tokens = full.tokens};
    sl__window_init(&budget->window, full.window, false);
    return 0;
}

int sl_retry_budget_change(sl_retry_budget *budget, const struct sl_retry_budget_policy *policy)
{
    sl_retry_budget next;
    SL_TRY(sl_retry_budget_init(&next, policy));
    if (next.policy.window == budget->policy.window) {
        next.window = budget->window;
    }
    if (budget->policy.tokens > 0) { /* as full as it was */
        next.tokens = next.policy.tokens * budget->tokens / budget->policy.tokens;
    }
    *budget = next;
    return 0;
}

void sl_retry_budget_call(sl_retry_budget *budget, sl_time now)
{
    if (budget != NULL) {
        sl__window_add(&budget->window, CALLS, 1, now);
    }
}

void sl_retry_budget_result(sl_retry_budget *budget, bool failed)
{
    if (budget == NULL || budget->policy.tokens == 0) {
        return;
    }
    budget->tokens += failed ? -1 : budget->policy.token_gain;
    budget->tokens = budget->tokens < 0 ? 0 : budget->tokens;
    budget->tokens = budget->tokens > budget->policy.tokens ? budget->policy.tokens : budget->tokens;
}

bool sl_retry_budget_take(sl_retry_budget *budget, sl_time now)
{
    if (budget == NULL) {
        return true;
    }
    sl__window_advance(&budget->window, now);
    const uint64_t *sum = budget->window.sum;
    double allowed = budget->policy.ratio * (double)sum[CALLS] + budget->policy.reserve;
    bool throttled = budget->policy.tokens != 0 && budget->tokens <= budget->policy.tokens / 2;
    if (throttled || (double)(sum[RETRIES] + 1) > allowed) {
        return false;
    }
    sl__window_add(&budget->window, RETRIES, 1, now);
    return true;
}

/* ---- schedule ---- */

int sl_retry_begin(sl_retry *retry, const struct sl_retry_policy *policy, sl_retry_budget *budget, sl_time now)
{
    struct sl_retry_policy full = *policy;
    full.attempts = full.attempts == 0 ? 5 : full.attempts;
    full.initial = full.initial == 0 ? SL_MILLISECONDS(200) : full.initial;
    full.max = full.max == 0 ? SL_SECONDS(10) : full.max;
    full.max = full.max < full.initial ? full.initial : full.max;
    full.multiplier = full.multiplier == 0 ? 2 : full.multiplier;
    full.total = full.total == 0 ? SL_SECONDS(60) : full.total;
    full.attempt_timeout = full.attempt_timeout == 0 ? SL_SECONDS(10) : full.attempt_timeout;
    full.retry_after_max = full.retry_after_max == 0 ? SL_MINUTES(5) : full.retry_after_max;
    const char *bad = full.initial < 0                                     ? "initial"
                      : full.max > SL_SECONDS(86400)                       ? "max"
                      : !(full.multiplier >= 1 && full.multiplier <= 1000) ? "multiplier"
                      : (unsigned)full.jitter > SL_JITTER_NONE             ? "jitter"
                      : full.total < 0                                     ? "total"
                      : full.attempt_timeout < 0                           ? "attempt_timeout"
                      : full.retry_after_max < 0                           ? "retry_after_max"
                      : full.stable_after < 0                              ? "stable_after"
                                                                           : NULL;
    if (bad != NULL) {
        return sl_fail(SL_EINVAL, "retry: %s is out of its range", bad);
    }
    *retry = (sl_retry){.policy = full, .budget = budget, .attempt = 1, .began = now, .attempt_began = now};
    sl_retry_budget_call(budget, now);
    return 0;
}

static sl_time backoff_of(sl_retry *retry, double random)
{
    const struct sl_retry_policy *policy = &retry->policy;
    if (policy->jitter == SL_JITTER_DECORRELATED) {
        double from = (double)policy->initial;
        double to = 3 * (double)(retry->step == 0 || retry->delay < policy->initial ? policy->initial : retry->delay);
        double delay = from + (to - from) * random;
        return delay < (double)policy->max ? (sl_time)delay : policy->max;
    }
    static const double shares[] = {[SL_JITTER_FULL] = 1, [SL_JITTER_EQUAL] = 0.5, [SL_JITTER_NONE] = -1};
    struct sl_backoff backoff = {.initial = policy->initial,
                                 .max = policy->max,
                                 .multiplier = policy->multiplier,
                                 .jitter = shares[policy->jitter]};
    return sl_backoff_delay(&backoff, retry->step, random);
}

/* Whether it failed, and in a way that may go away. */
static bool is_failure(const struct sl_outcome *outcome)
{
    return outcome->code < 0 || outcome->status >= 400 || outcome->limited;
}

static bool may_repeat(const sl_retry *retry, const struct sl_outcome *outcome)
{
    int code = outcome->code;
    bool transient = code < 0 ? sl_retryable_code(code) : outcome->limited || sl_retryable_status(outcome->status);
    if (code == SL_EGAVEUP || code == SL_EBUDGET) {
        transient = retry->policy.retry_nested;
    }
    if (outcome->unsent) {
        return transient;
    }
    return transient && outcome->idempotent && !outcome->committed && !outcome->body_gone;
}

/* The delay before the next attempt. A server's wish stands in for the backoff, which then starts afresh. */
static enum sl_verdict choose_delay(sl_retry *retry, const struct sl_outcome *outcome, double random, sl_time now,
                                    sl_time *ret_delay)
{
    if (outcome->has_retry_after && outcome->retry_after < 0) {
        return SL_VERDICT_REFUSED;
    }
    const struct sl_retry_policy *policy = &retry->policy;
    if (outcome->has_retry_after && outcome->retry_after > policy->retry_after_max) {
        return SL_VERDICT_TOO_LATE;
    }
    sl_time delay = outcome->has_retry_after ? outcome->retry_after : backoff_of(retry, random);
    if (policy->total != SL_NEVER && delay >= policy->total - (now - retry->began)) {
        return SL_VERDICT_TOO_LATE;
    }
    *ret_delay = delay;
    return SL_VERDICT_AGAIN;
}

static void remember(sl_retry *retry, const struct sl_outcome *outcome)
{
    uint32_t place = retry->history_count < SL_RETRY_HISTORY ? retry->history_count : SL_RETRY_HISTORY - 1;
    retry->history[place] = outcome->code < 0 ? outcome->code : outcome->status;
    retry->history_count += retry->history_count < UINT32_MAX;
}

enum sl_verdict sl_retry_next(sl_retry *retry, const struct sl_outcome *outcome, double random, sl_time now,
                              sl_time *ret_delay)
{
    const struct sl_retry_policy *policy = &retry->policy;
    bool failed = is_failure(outcome);
    if (outcome->code != SL_ECANCELED) {
        sl_retry_budget_result(retry->budget, failed);
    }
    remember(retry, outcome);
    if (!failed) {
        return SL_VERDICT_DONE;
    }
    if (!may_repeat(retry, outcome)) {
        return SL_VERDICT_FATAL;
    }
    if (policy->stable_after != 0 && now - retry->attempt_began >= policy->stable_after) {
        retry->step = 0;
        retry->attempt = 1;
    }
    bool uncounted = outcome->unsent && outcome->code < 0 && !retry->free_used;
    if (!uncounted && policy->attempts != SL_ATTEMPTS_UNLIMITED && retry->attempt >= policy->attempts) {
        return SL_VERDICT_EXHAUSTED;
    }
    sl_time delay = 0;
    enum sl_verdict verdict = choose_delay(retry, outcome, random, now, &delay);
    if (verdict != SL_VERDICT_AGAIN) {
        return verdict;
    }
    if (!sl_retry_budget_take(retry->budget, now)) {
        return SL_VERDICT_NO_BUDGET;
    }
    retry->step = outcome->has_retry_after ? 0 : retry->step + (retry->step < STEPS_MAX);
    retry->free_used = retry->free_used || uncounted;
    retry->attempt += !uncounted && retry->attempt < UINT32_MAX - 1;
    retry->delay = delay;
    retry->waited = sl_time_add(retry->waited, delay);
    retry->attempt_began = sl_time_add(now, delay);
    *ret_delay = delay;
    return SL_VERDICT_AGAIN;
}

/* ---- hedging ---- */

int sl_hedge_begin(sl_hedge *hedge, const struct sl_hedge_policy *policy, sl_retry_budget *budget, bool idempotent,
                   sl_time now)
{
    struct sl_hedge_policy full = *policy;
    full.delay = full.delay == 0 ? SL_SECONDS(1) : full.delay;
    full.max_attempts = full.max_attempts == 0 ? 2 : full.max_attempts;
    full.max_attempts = idempotent ? full.max_attempts : 1;
    if (full.delay < 0 || full.max_attempts > SL_HEDGE_ATTEMPTS_MAX) {
        return sl_fail(SL_EINVAL, "hedging: %s is out of its range", full.delay < 0 ? "delay" : "max_attempts");
    }
    *hedge = (sl_hedge){.policy = full, .budget = budget, .sent = 1};
    hedge->next = full.max_attempts > 1 ? sl_time_add(now, full.delay) : SL_NEVER;
    sl_retry_budget_call(full.nested ? NULL : budget, now);
    return 0;
}

bool sl_hedge_send(sl_hedge *hedge, sl_time now)
{
    if (now < hedge->next) {
        return false;
    }
    if (!sl_retry_budget_take(hedge->budget, now)) {
        hedge->next = SL_NEVER;
        return false;
    }
    hedge->sent++;
    hedge->next = hedge->sent < hedge->policy.max_attempts ? sl_time_add(now, hedge->policy.delay) : SL_NEVER;
    return true;
}

bool sl_hedge_failed(sl_hedge *hedge, bool fatal, sl_time now)
{
    hedge->failed++;
    sl_retry_budget_result(hedge->policy.nested ? NULL : hedge->budget, true);
    if (fatal) {
        hedge->next = SL_NEVER;
        return true;
    }
    if (hedge->next != SL_NEVER) {
        hedge->next = now;
    }
    return hedge->failed == hedge->sent && hedge->next == SL_NEVER;
}
