/* SPDX-License-Identifier: MIT */
/*
 * One script books a call in all limits, or in none, and says how long to wait. Nothing is booked ahead: a waiter asks
 * again when its time has come. Without an answer the own share decides until Redis is probed again.
 */
#include "sluice/shared_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/channel.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

#define KEY_BYTES (SL_SHARED_LIMIT_NAME_BYTES + 40)

/*
 * KEYS: the block, then the limits. ARGV: how long we know of a block (us), then for each limit its charge, interval in
 * us, burst, and what was admitted without the server. Gives: 1 or 0, us to wait, us of the block, clocks that went back.
 * The time is read once; numbers that become text are formatted, as Lua's own form has 14 digits. A time beyond a full
 * bucket means that the clock was set back.
 */
static const char book_script[] =
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] local wait = 0 local back = 0 local news = {} "
    "local function put(key, tat) if tat > now then "
    "redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1) end end "
    "local block = redis.call('PTTL', KEYS[1]) * 1000 if block < 0 then block = 0 end "
    "local known = tonumber(ARGV[1]) if known > block then "
    "redis.call('SET', KEYS[1], '1', 'PX', math.ceil(known / 1000)) block = known end "
    "for i = 2, #KEYS do local at = (i - 2) * 4 + 2 local step = tonumber(ARGV[at + 1]) "
    "local full = tonumber(ARGV[at + 2]) * step local debt = tonumber(ARGV[at + 3]) "
    "local tat = tonumber(redis.call('GET', KEYS[i]) or now) if tat < now then tat = now end "
    "if tat > now + full then tat = now + full back = back + 1 put(KEYS[i], tat) end "
    "if debt > 0 then tat = math.min(tat + debt * step, now + full) put(KEYS[i], tat) end "
    "news[i] = tat + tonumber(ARGV[at]) * step wait = math.max(wait, news[i] - full - now) end "
    "if block > 0 then return {0, block, block, back} end if wait > 0 then return {0, wait, 0, back} end "
    "for i = 2, #KEYS do put(KEYS[i], news[i]) end return {1, 0, 0, back}";

struct sl_shared_limit {
    sl_redis *redis;
    sl_time timeout, probe;
    sl_time retry_at; /* Redis is away until then */
    sl_time blocked_until;
    sl_event blocked;
    char keys[SL_RATES_MAX + 1][KEY_BYTES];
    size_t count;
    sl_rates whole; /* for the intervals */
    sl_rates own;   /* the share */
    struct sl_shared_limit_stats stats;
};

/* What the own share has admitted and would not have had back by now. */
static uint64_t debt_of(const sl_shared_limit *shared, size_t index)
{
    const struct sl__limit *limit = &shared->own.limits[index];
    sl_time ahead = limit->arrival - sl_now();
    return shared->stats.away && ahead > 0 ? (uint64_t)((ahead + limit->interval - 1) / limit->interval) : 0;
}

static int ask(sl_shared_limit *shared, uint64_t cost, sl_redis_reply **ret_reply)
{
    char numbers[1 + SL_RATES_MAX * 4][24];
    struct sl_bytes keys[SL_RATES_MAX + 1], arguments[1 + SL_RATES_MAX * 4];
    size_t count = 1;
    sl_time blocked_for = shared->blocked_until - sl_now();
    (void)snprintf(numbers[0], sizeof numbers[0], "%" PRId64, blocked_for > 0 ? (blocked_for + 999) / 1000 : 0);
    keys[0] = sl_redis_text(shared->keys[0]);
    for (size_t i = 0; i < shared->count; i++) {
        const struct sl__limit *limit = &shared->whole.limits[i];
        keys[i + 1] = sl_redis_text(shared->keys[i + 1]);
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, limit->rate.per_call && cost > 0 ? 1 : cost);
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRId64, (limit->interval + 999) / 1000);
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, limit->rate.burst);
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, debt_of(shared, i));
    }
    for (size_t i = 0; i < count; i++) {
        arguments[i] = sl_redis_text(numbers[i]);
    }
    const struct sl_redis_eval eval = {.script = book_script,
                                       .keys = keys,
                                       .keys_count = shared->count + 1,
                                       .arguments = arguments,
                                       .arguments_count = count,
                                       .timeout = shared->timeout,
                                       .urgent = true};
    shared->stats.asked++;
    return sl_redis_eval(shared->redis, &eval, ret_reply);
}

static int64_t number_at(const struct sl_redis_value *value, size_t index)
{
    struct sl_redis_value item = sl_redis_value_at(value, index);
    return item.type == SL_REDIS_INTEGER && item.integer > 0 ? item.integer : 0;
}

/* Redis is away: the own share. */
static int decide_alone(sl_shared_limit *shared, uint64_t cost, struct sl_limiter_answer *ret_answer)
{
    sl_time now = sl_now();
    sl_time when = sl_rates_when(&shared->own, cost, now);
    if (when == SL_NEVER) {
        when = shared->retry_at; /* more than the share's burst: only Redis can admit it */
    }
    ret_answer->wait = when > now ? when - now : 0;
    if (ret_answer->wait == 0) {
        SL_TRY(sl_rates_try(&shared->own, cost, now, NULL));
        shared->stats.local++;
    }
    return 0;
}

/* The debt has been paid with this answer. */
static void came_back(sl_shared_limit *shared)
{
    for (size_t i = 0; shared->stats.away && i < shared->count; i++) {
        shared->own.limits[i].arrival = 0;
    }
    shared->stats.away = false;
}

static int book(void *arg, uint64_t cost, struct sl_limiter_answer *ret_answer)
{
    sl_shared_limit *shared = arg;
    *ret_answer = (struct sl_limiter_answer){.wait = 0};
    if (sl_now() < shared->retry_at) {
        return decide_alone(shared, cost, ret_answer);
    }
    sl_auto(sl_redis_reply) *reply = NULL;
    int code = ask(shared, cost, &reply);
    if (code == SL_ECANCELED) {
        return code;
    }
    if (code < 0) {
        if (!shared->stats.away) {
            sl_log(SL_LOG_WARNING, "shared limit '%s': Redis is away, the own share is used: %s", shared->keys[0],
                   sl_error_message(sl_error_last()));
        }
        shared->stats.unknown++;
        shared->stats.away = true;
        shared->retry_at = sl_time_add(sl_now(), shared->probe);
        return decide_alone(shared, cost, ret_answer);
    }
    came_back(shared);
    struct sl_redis_value value = sl_redis_reply_value(reply);
    bool taken = number_at(&value, 0) == 1;
    ret_answer->wait = taken ? 0 : number_at(&value, 1) * 1000;
    ret_answer->blocked_for = number_at(&value, 2) * 1000;
    shared->stats.clock_regress += (uint64_t)number_at(&value, 3);
    *(taken ? &shared->stats.admitted : &shared->stats.refused) += 1;
    if (!taken && ret_answer->wait == 0) {
        return sl_fail(SL_EPROTO, "Redis did not answer a shared limit's script as it should");
    }
    return 0;
}

/* ---- blocks ---- */

static void block(void *arg, sl_time until)
{
    sl_shared_limit *shared = arg;
    if (until > shared->blocked_until) {
        shared->blocked_until = until;
        sl_event_set(&shared->blocked);
    }
}

/* The daemon: tells of a block, and tells again while it lasts, in case the server has lost it. */
static int keep_block(void *arg)
{
    sl_shared_limit *shared = arg;
    for (;;) {
        SL_TRY(sl_event_wait(&shared->blocked));
        sl_event_reset(&shared->blocked);
        while (shared->blocked_until > sl_now()) {
            if (ask(shared, 0, NULL) == SL_ECANCELED) {
                return SL_ECANCELED;
            }
            sl_time left = shared->blocked_until - sl_now();
            struct sl_select_clause again = {.kind = SL_SELECT_EVENT, .event = &shared->blocked};
            if (left > 0 && sl_select(&again, 1, left < shared->probe ? left : shared->probe) == SL_ECANCELED) {
                return SL_ECANCELED;
            }
            sl_event_reset(&shared->blocked);
        }
    }
}

static int release(void *arg)
{
    sl_free(arg);
    return 0;
}

static int set_up(sl_shared_limit *shared, const struct sl_shared_limit_options *options)
{
    struct sl_rate rates[SL_RATES_MAX];
    double share = options->share != 0 ? options->share : SL_SHARED_LIMIT_SHARE;
    SL_TRY(sl_rates_init(&shared->whole, options->rates, options->rate_count));
    for (size_t i = 0; i < options->rate_count; i++) {
        rates[i] = shared->whole.limits[i].rate;
        rates[i].count = (uint64_t)((double)rates[i].count * share);
        rates[i].burst = (uint64_t)((double)rates[i].burst * share);
        rates[i].count = rates[i].count > 0 ? rates[i].count : 1;
        rates[i].burst = rates[i].burst > 0 ? rates[i].burst : 1;
        (void)snprintf(shared->keys[i + 1], KEY_BYTES, "sluice:{%s}:limit:%zu", options->name, i);
    }
    (void)snprintf(shared->keys[0], KEY_BYTES, "sluice:{%s}:block", options->name);
    shared->redis = options->redis;
    shared->count = options->rate_count;
    shared->timeout = options->timeout != 0 ? options->timeout : SL_SHARED_LIMIT_TIMEOUT;
    shared->probe = options->probe != 0 ? options->probe : SL_SHARED_LIMIT_PROBE;
    return sl_rates_init(&shared->own, rates, options->rate_count);
}

int sl_shared_limit_open(sl_scope *scope, const struct sl_shared_limit_options *options, sl_shared_limit **ret_shared)
{
    if (options->redis == NULL || options->name == NULL || options->name[0] == '\0' ||
        strlen(options->name) >= SL_SHARED_LIMIT_NAME_BYTES || strpbrk(options->name, "{}") != NULL) {
        return sl_fail(SL_EINVAL, "a shared limit has a client, and a name of 1 to %d bytes without braces",
                       SL_SHARED_LIMIT_NAME_BYTES - 1);
    }
    if (options->share < 0 || options->share > 1 || options->timeout < 0 || options->probe < 0 ||
        options->rate_count == 0 || options->rate_count > SL_RATES_MAX) {
        return sl_fail(SL_EINVAL, "shared limit '%s': 1 to %d limits, a share of up to 1, no negative times",
                       options->name, SL_RATES_MAX);
    }
    sl_shared_limit *shared = sl_calloc(1, sizeof *shared);
    int code = shared == NULL ? sl_fail(SL_ENOMEM, "no memory for a shared limit") : set_up(shared, options);
    if (code == 0) {
        code = sl_defer(scope, release, shared, SL_SECONDS(1));
    }
    if (code < 0) {
        sl_free(shared);
        return code;
    }
    SL_TRY(sl_spawn(scope, keep_block, shared, .name = "shared limit", .daemon = true));
    *ret_shared = shared;
    return 0;
}

void sl_shared_limit_use(sl_shared_limit *shared, struct sl_limiter_options *options)
{
    options->shared = (struct sl_limiter_shared){.book = book, .block = block, .arg = shared};
}

void sl_shared_limit_stats_get(const sl_shared_limit *shared, struct sl_shared_limit_stats *ret_stats)
{
    *ret_stats = shared->stats;
}
