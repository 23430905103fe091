/* SPDX-License-Identifier: MIT */
/* The tables of limits, retries, breakers and bulkheads, and the policies that come of them. */
#include "ingest/config/internal.h"

static const char *const costs[] = {"weight", "call"};
static const char *const adapts[] = {"headers", "none"};
static const char *const shares[] = {"local", "redis"};
static const char *const redis_errors[] = {"local", "deny", "allow"};
static const char *const jitters[] = {"full", "equal", "decorrelated", "none"};
static const char *const concurrencies[] = {"fixed", "aimd", "gradient"};

/* ---- limits ---- */

static const struct sl_config_field rate_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_rate, rate), .type = SL_CONFIG_RATE, .required = true,
     .help = "So much in any such period: 6000/1m."},
    {SL_CONFIG_AT(struct sl_conf_rate, burst), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1000000000",
     .help = "Of it at once after a rest; 0: a tenth."},
    {SL_CONFIG_AT(struct sl_conf_rate, cost), .type = SL_CONFIG_ENUM, SL__CHOICES(costs), .default_text = "weight",
     .help = "What counts: the weight of each call, or each call as one."},
    {SL_CONFIG_AT(struct sl_conf_rate, bucket), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "The burst comes on top of the rate, as in a token bucket; for venues that count so."},
};

static void check_rate(const void *value, sl_config_check *check)
{
    const struct sl_conf_rate *rate = value;
    if (rate->rate.count > SL_RATE_COUNT_MAX) {
        sl_config_reject(check, "rate", "too many; expected at most %llu in a period",
                         (unsigned long long)SL_RATE_COUNT_MAX);
    } else if (rate->rate.period < SL_RATE_PERIOD_MIN || rate->rate.period > SL_RATE_PERIOD_MAX) {
        sl_config_reject(check, "rate", "the period is out of range; expected 1ms to 366d");
    } else if (!rate->bucket && rate->burst > rate->rate.count) {
        sl_config_reject(check, "burst", "more than the rate allows; expected at most %llu, or bucket: true",
                         (unsigned long long)rate->rate.count);
    }
}

static const struct sl_config_section rate = {SL_CONFIG_TABLE("rate", struct sl_conf_rate, rate_fields),
                                              .check = check_rate, .help = "All rates of a limit hold at once."};
static const struct sl_config_field rate_element = {.type = SL_CONFIG_SECTION, .section = &rate};

static const struct sl_config_field limit_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_limit, rates), .type = SL_CONFIG_LIST, .element = &rate_element, .required = true,
     .min = "1", .max = "6", .help = "A call must pass all of them."},
    {SL_CONFIG_AT(struct sl_conf_limit, adapt), .type = SL_CONFIG_ENUM, SL__CHOICES(adapts), .default_text = "headers",
     .reload = SL_CONFIG_RESTART_TASK,
     .help = "headers: what the server says tightens it at once, and releases by itself."},
    {SL_CONFIG_AT(struct sl_conf_limit, dialect), .type = SL_CONFIG_STRING, .default_text = "standard", .min = "1",
     .max = "32", .reload = SL_CONFIG_RESTART_TASK,
     .help =
         "How the server tells of limits: standard, x-ratelimit, x-ratelimit-time, used-weight, bapi, error-list or "
         "error-code."},
    {SL_CONFIG_AT(struct sl_conf_limit, shared), .type = SL_CONFIG_ENUM, SL__CHOICES(shares), .default_text = "local",
     .reload = SL_CONFIG_RESTART_TASK, .help = "redis: all replicas together keep it."},
    {SL_CONFIG_AT(struct sl_conf_limit, on_redis_error), .type = SL_CONFIG_ENUM, SL__CHOICES(redis_errors),
     .default_text = "local", .help = "Without Redis: each replica its share, nobody, or everybody."},
    {SL_CONFIG_AT(struct sl_conf_limit, safety), .type = SL_CONFIG_PERCENT, .default_text = "80%", .min = "1%",
     .max = "100%", .help = "Of the limit that the replicas use together then."},
    {SL_CONFIG_AT(struct sl_conf_limit, max_wait), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "7d",
     .reload = SL_CONFIG_RESTART_TASK, .help = "A call that would wait longer fails; 0: none does."},
    {SL_CONFIG_AT(struct sl_conf_limit, max_waiting), .type = SL_CONFIG_UINT, .default_text = "65536", .min = "1",
     .max = "65536", .reload = SL_CONFIG_RESTART_TASK, .help = "Calls that may wait at once."},
    {SL_CONFIG_AT(struct sl_conf_limit, shadow), .type = SL_CONFIG_BOOL, .default_text = "false",
     .reload = SL_CONFIG_RESTART_TASK, .help = "Decide and count, but let everybody pass."},
};

static void check_limit(const void *value, sl_config_check *check)
{
    const struct sl_conf_limit *limit = value;
    if (sl_limit_dialect_find(limit->dialect) == NULL) {
        sl_config_reject(
            check, "dialect",
            "not known; expected standard, x-ratelimit, x-ratelimit-time, used-weight, bapi, error-list or "
            "error-code");
    }
}

const struct sl_config_section sl__conf_limit = {SL_CONFIG_TABLE("limit", struct sl_conf_limit, limit_fields),
                                                 .check = check_limit, .help = "A rate limit that services share."};

size_t sl_conf_limit_rates(const struct sl_conf_limit *limit, struct sl_rate rates[SL_RATES_MAX])
{
    size_t count = limit->rates.count < SL_RATES_MAX ? limit->rates.count : SL_RATES_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct sl_conf_rate *from = sl_config_list_at(&limit->rates, i);
        rates[i] = (struct sl_rate){.count = from->rate.count,
                                    .period = from->rate.period,
                                    .burst = from->burst,
                                    .bucket = from->bucket,
                                    .per_call = from->cost == SL_CONF_COST_CALL};
    }
    return count;
}

void sl_conf_limiter_options(const char *name, const struct sl_conf_limit *limit, struct sl_rate rates[SL_RATES_MAX],
                             struct sl_limiter_options *ret_options)
{
    *ret_options = (struct sl_limiter_options){.name = name,
                                               .rates = rates,
                                               .rate_count = sl_conf_limit_rates(limit, rates),
                                               .dialect = sl_limit_dialect_find(limit->dialect),
                                               .max_wait = limit->max_wait,
                                               .max_waiting = limit->max_waiting,
                                               .fixed = limit->adapt == SL_CONF_ADAPT_NONE,
                                               .shadow = limit->shadow};
}

/* ---- retries ---- */

static const struct sl_config_field budget_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_budget, ratio), .type = SL_CONFIG_PERCENT, .default_text = "20%", .max = "1000%",
     .help = "Retries a call, in the window."},
    {SL_CONFIG_AT(struct sl_conf_budget, reserve), .type = SL_CONFIG_UINT, .default_text = "10", .max = "1000000",
     .help = "And so many on top."},
    {SL_CONFIG_AT(struct sl_conf_budget, window), .type = SL_CONFIG_DURATION, .default_text = "10s", .min = "100ms",
     .max = "1h"},
};
static const struct sl_config_section budget = {SL_CONFIG_TABLE("budget", struct sl_conf_budget, budget_fields),
                                                .help = "Keeps retries a share of the calls."};

static const struct sl_config_field retry_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_retry, attempts), .type = SL_CONFIG_UINT, .default_text = "5", .max = "1000000",
     .help = "With the first; 1: no retry; 0: no bound."},
    {SL_CONFIG_AT(struct sl_conf_retry, initial), .type = SL_CONFIG_DURATION, .default_text = "200ms", .min = "1ms",
     .max = "1h", .help = "Backoff after the first attempt."},
    {SL_CONFIG_AT(struct sl_conf_retry, max), .type = SL_CONFIG_DURATION, .default_text = "10s", .min = "1ms",
     .max = "1d", .help = "No backoff is longer."},
    {SL_CONFIG_AT(struct sl_conf_retry, multiplier), .type = SL_CONFIG_DOUBLE, .default_text = "2", .min = "1",
     .max = "100", .help = "From one backoff to the next."},
    {SL_CONFIG_AT(struct sl_conf_retry, jitter), .type = SL_CONFIG_ENUM, SL__CHOICES(jitters), .default_text = "full",
     .help = "full: from 0; equal: from half; decorrelated: to three times the last."},
    {SL_CONFIG_AT(struct sl_conf_retry, total), .type = SL_CONFIG_DURATION, .default_text = "60s", .max = "31d",
     .help = "All attempts and waits together; 0: no bound."},
    {SL_CONFIG_AT(struct sl_conf_retry, attempt_timeout), .type = SL_CONFIG_DURATION, .default_text = "10s",
     .max = "1d", .help = "Of one attempt; 0: none."},
    {SL_CONFIG_AT(struct sl_conf_retry, retry_after_max), .type = SL_CONFIG_DURATION, .default_text = "5m",
     .max = "31d", .help = "A server that asks for a longer wait is given up; 0: never."},
    {SL_CONFIG_AT(struct sl_conf_retry, stable_after), .type = SL_CONFIG_DURATION, .default_text = "60s", .max = "31d",
     .help = "A connection that lasted this long begins the schedule afresh; 0: never."},
    {SL_CONFIG_AT(struct sl_conf_retry, budget), .type = SL_CONFIG_SECTION, .section = &budget, .optional = true,
     .help = "Of all calls with this entry together."},
};

static void check_retry(const void *value, sl_config_check *check)
{
    const struct sl_conf_retry *retry = value;
    if (retry->max < retry->initial) {
        sl_config_reject(check, "max", "shorter than initial; expected at least that");
    }
    if (retry->total > 0 && retry->attempt_timeout > retry->total) {
        sl_config_reject(check, "attempt_timeout", "longer than total; expected at most that");
    }
}

const struct sl_config_section sl__conf_retry = {SL_CONFIG_TABLE("retry", struct sl_conf_retry, retry_fields),
                                                 .check = check_retry, .help = "How what failed is tried again."};

static sl_time or_never(sl_time duration)
{
    return duration == 0 ? SL_NEVER : duration;
}

void sl_conf_retry_policy(const struct sl_conf_retry *retry, struct sl_retry_policy *ret_policy)
{
    *ret_policy = (struct sl_retry_policy){0};
    if (retry != NULL) {
        *ret_policy = (struct sl_retry_policy){.attempts = retry->attempts == 0 ? SL_ATTEMPTS_UNLIMITED
                                                                                : (uint32_t)retry->attempts,
                                               .initial = retry->initial,
                                               .max = retry->max,
                                               .multiplier = retry->multiplier,
                                               .jitter = (enum sl_jitter)retry->jitter,
                                               .total = or_never(retry->total),
                                               .attempt_timeout = or_never(retry->attempt_timeout),
                                               .retry_after_max = or_never(retry->retry_after_max),
                                               .stable_after = retry->stable_after};
    }
}

struct sl_backoff sl_conf_backoff(const struct sl_conf_retry *retry)
{
    static const double jitters_of[] = {
        [SL_JITTER_FULL] = 1, [SL_JITTER_EQUAL] = 0.5, [SL_JITTER_DECORRELATED] = 1, [SL_JITTER_NONE] = -1};
    return (struct sl_backoff){.initial = retry->initial,
                               .max = retry->max,
                               .multiplier = retry->multiplier,
                               .jitter = jitters_of[retry->jitter]};
}

bool sl_conf_retry_budget(const struct sl_conf_retry *retry, struct sl_retry_budget_policy *ret_policy)
{
    *ret_policy = (struct sl_retry_budget_policy){0};
    if (retry == NULL || retry->budget == NULL) {
        return false;
    }
    ret_policy->ratio = retry->budget->ratio == 0 ? -1 : retry->budget->ratio;
    ret_policy->reserve = retry->budget->reserve == 0 ? SL_NO_RESERVE : (uint32_t)retry->budget->reserve;
    ret_policy->window = retry->budget->window;
    return true;
}

/* ---- breakers ---- */

static const struct sl_config_field breaker_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_breaker, failure_ratio), .type = SL_CONFIG_PERCENT, .default_text = "50%", .min = "1%",
     .max = "100%", .help = "It opens when so many of the calls failed."},
    {SL_CONFIG_AT(struct sl_conf_breaker, slow_ratio), .type = SL_CONFIG_PERCENT, .default_text = "80%", .min = "1%",
     .max = "100%", .help = "Or so many were slow."},
    {SL_CONFIG_AT(struct sl_conf_breaker, slow_call), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "1h",
     .help = "A call that took longer is slow; 0: none is."},
    {SL_CONFIG_AT(struct sl_conf_breaker, min_calls), .type = SL_CONFIG_UINT, .default_text = "20", .min = "1",
     .max = "100000", .help = "With fewer in the window it stays closed."},
    {SL_CONFIG_AT(struct sl_conf_breaker, window_calls), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1024",
     .help = "The last so many calls count; 0: those of the last window."},
    {SL_CONFIG_AT(struct sl_conf_breaker, window), .type = SL_CONFIG_DURATION, .default_text = "30s", .min = "100ms",
     .max = "1d", .help = "Calls of this time count, when window_calls is 0."},
    {SL_CONFIG_AT(struct sl_conf_breaker, open_for), .type = SL_CONFIG_DURATION, .default_text = "5s", .min = "1ms",
     .max = "1d", .help = "Nobody calls for so long; doubled each time the probes fail."},
    {SL_CONFIG_AT(struct sl_conf_breaker, open_max), .type = SL_CONFIG_DURATION, .default_text = "60s", .min = "1ms",
     .max = "1d", .help = "Up to this."},
    {SL_CONFIG_AT(struct sl_conf_breaker, half_open_calls), .type = SL_CONFIG_UINT, .default_text = "3", .min = "1",
     .max = "1000", .help = "Probes at once, and successes that close it."},
};

static void check_breaker(const void *value, sl_config_check *check)
{
    const struct sl_conf_breaker *breaker = value;
    if (breaker->open_max < breaker->open_for) {
        sl_config_reject(check, "open_max", "shorter than open_for; expected at least that");
    }
    if (breaker->window_calls > 0 && breaker->min_calls > breaker->window_calls) {
        sl_config_reject(check, "min_calls", "more than window_calls; expected at most %llu",
                         (unsigned long long)breaker->window_calls);
    }
}

const struct sl_config_section sl__conf_breaker = {SL_CONFIG_TABLE("breaker", struct sl_conf_breaker, breaker_fields),
                                                   .check = check_breaker,
                                                   .help = "After too many failures nobody calls for a while."};

void sl_conf_breaker_policy(const struct sl_conf_breaker *breaker, struct sl_breaker_policy *ret_policy)
{
    *ret_policy = (struct sl_breaker_policy){0};
    if (breaker != NULL) {
        *ret_policy = (struct sl_breaker_policy){.failure_ratio = breaker->failure_ratio,
                                                 .slow_ratio = breaker->slow_ratio,
                                                 .slow_call = breaker->slow_call,
                                                 .min_calls = (uint32_t)breaker->min_calls,
                                                 .window_calls = (uint32_t)breaker->window_calls,
                                                 .window = breaker->window,
                                                 .open_for = breaker->open_for,
                                                 .open_max = breaker->open_max,
                                                 .half_open_calls = (uint32_t)breaker->half_open_calls};
    }
}

/* ---- bulkheads ---- */

static const struct sl_config_field bulkhead_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_bulkhead, adapt), .type = SL_CONFIG_ENUM, SL__CHOICES(concurrencies),
     .default_text = "fixed",
     .help = "fixed: initial; aimd: down when calls are dropped or slow; gradient: by latency."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, initial), .type = SL_CONFIG_UINT, .default_text = "20", .min = "1",
     .max = "1000000", .help = "Calls at once."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, min), .type = SL_CONFIG_UINT, .default_text = "1", .min = "1",
     .max = "1000000", .help = "Of an adaptive one."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, max), .type = SL_CONFIG_UINT, .default_text = "200", .min = "1",
     .max = "1000000", .help = "Of an adaptive one."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, backoff), .type = SL_CONFIG_DOUBLE, .default_text = "0.9", .min = "0.5",
     .max = "0.99", .help = "aimd: the limit times this after a drop."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, slow_call), .type = SL_CONFIG_DURATION, .default_text = "5s", .min = "1ms",
     .max = "1h", .help = "aimd: a call that took longer counts as dropped."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, tolerance), .type = SL_CONFIG_DOUBLE, .default_text = "1.5", .min = "1",
     .max = "100", .help = "gradient: so much slower than usual is fine."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, max_wait), .type = SL_CONFIG_DURATION, .default_text = "30s", .max = "1d",
     .help = "For a place; 0: it is refused at once."},
    {SL_CONFIG_AT(struct sl_conf_bulkhead, max_waiting), .type = SL_CONFIG_UINT, .default_text = "65536", .min = "1",
     .max = "65536", .help = "Calls that may wait at once."},
};

static void check_bulkhead(const void *value, sl_config_check *check)
{
    const struct sl_conf_bulkhead *bulkhead = value;
    if (bulkhead->adapt == SL_CONCURRENCY_FIXED) {
        return;
    }
    if (bulkhead->initial < bulkhead->min) {
        sl_config_reject(check, "initial", "less than min; expected at least %llu", (unsigned long long)bulkhead->min);
    } else if (bulkhead->initial > bulkhead->max) {
        sl_config_reject(check, "initial", "more than max; expected at most %llu", (unsigned long long)bulkhead->max);
    }
}

const struct sl_config_section sl__conf_bulkhead = {
    SL_CONFIG_TABLE("bulkhead", struct sl_conf_bulkhead, bulkhead_fields), .check = check_bulkhead,
    .help = "How many calls may be under way at once."};

void sl_conf_bulkhead_options(const struct sl_conf_bulkhead *bulkhead, struct sl_bulkhead_options *ret_options)
{
    *ret_options = (struct sl_bulkhead_options){0};
    if (bulkhead != NULL) {
        bool adaptive = bulkhead->adapt != SL_CONCURRENCY_FIXED;
        *ret_options = (struct sl_bulkhead_options){.concurrency = {.kind = (enum sl_concurrency_kind)bulkhead->adapt,
                                                                    .initial = (uint32_t)bulkhead->initial,
                                                                    .min = adaptive ? (uint32_t)bulkhead->min : 0,
                                                                    .max = adaptive ? (uint32_t)bulkhead->max : 0,
                                                                    .backoff = bulkhead->backoff,
                                                                    .slow_call = bulkhead->slow_call,
                                                                    .tolerance = bulkhead->tolerance},
                                                    .max_wait = bulkhead->max_wait,
                                                    .max_waiting = (uint32_t)bulkhead->max_waiting};
    }
}
