/* SPDX-License-Identifier: MIT */
/*
 * One script books a call in all limits, or in none, and says how long to wait. Nothing is booked ahead: a waiter asks
 * again when its turn has come. Without an answer the own share decides until Redis is probed again.
 */
#include "shared_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/channel.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

/* Who waits asks again after this: a limit may have been raised, or Redis emptied. */
#define LOOK_AGAIN SL_SECONDS(1)

/* Once, again after the limits were told, and again should they have changed just then. */
#define ASKED_MAX 4

/*
 * KEYS: the block, the turn, the rates, then the limits. ARGV: our revision, how long we know of a block (us), the turn
 * that we were given; then for each limit its charge, step in us, burst, and what was admitted without the server. Gives: 1 (booked), us to
 * wait, us of the block, clocks that went back, our turn; or 2, the server's revision, and its rates.
 * The time is read once; numbers that become text are formatted, as Lua's own form has 14 digits. A time beyond a full
 * bucket means that the clock was set back.
 *
 * Who must wait is given a turn behind those who wait already, so that they do not all come back at once. Turns book
 * nothing: who comes first is served. They go no further ahead than the burst makes up for, if nobody comes.
 */
static const char book_script[] =
    "local text = redis.call('GET', KEYS[3]) local revision = tonumber(string.match(text or '0', '^%d+')) "
    "if revision ~= tonumber(ARGV[1]) then return {2, revision, text or ''} end "
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] local wait, back = 0, 0 local news = {} "
    "local function put(key, tat) if tat > now then "
    "redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1) end end "
    "local block = redis.call('PTTL', KEYS[1]) * 1000 if block < 0 then block = 0 end "
    "local known = tonumber(ARGV[2]) if known > block then "
    "redis.call('SET', KEYS[1], '1', 'PX', math.ceil(known / 1000)) block = known end local step, slack = 0, 0 "
    "for i = 4, #KEYS do local at = (i - 4) * 4 + 4 local charge = tonumber(ARGV[at]) * ARGV[at + 1] "
    "local full = ARGV[at + 2] * ARGV[at + 1] local debt = tonumber(ARGV[at + 3]) "
    "local tat = tonumber(redis.call('GET', KEYS[i]) or now) if tat < now then tat = now end "
    "if tat > now + full then tat = now + full back = back + 1 put(KEYS[i], tat) end "
    "if debt > 0 then tat = math.min(tat + debt * ARGV[at + 1], now + full) put(KEYS[i], tat) end "
    "news[i] = tat + charge local more = news[i] - full - now "
    "if more > wait then wait = more step = charge slack = full - charge end end "
    "if block > 0 then return {0, block, block, back, 0} end "
    "if wait == 0 then for i = 4, #KEYS do put(KEYS[i], news[i]) end return {1, 0, 0, back, 0} end "
    "local first, mine = now + wait, tonumber(ARGV[3]) if mine <= now then "
    "mine = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + step, first) "
    "if mine > first + slack then mine = first end put(KEYS[2], mine) end "
    "return {0, math.max(mine - now, wait), 0, back, mine}";

#define NUMBERS 4 /* of a limit */

/* What the own share has admitted and would not have had back by now. */
static uint64_t debt_of(const sl_shared_limit *shared, size_t index)
{
    const struct sl__limit *limit = &shared->own.limits[index];
    sl_time ahead = limit->arrival - sl_now();
    return shared->stats.away && ahead > 0 ? (uint64_t)((ahead + limit->interval - 1) / limit->interval) : 0;
}

static int ask_once(sl_shared_limit *shared, uint64_t cost, sl_redis_reply **ret_reply)
{
    char numbers[3 + SL_RATES_MAX * NUMBERS][24];
    struct sl_bytes keys[SL__SHARED_LIMITS + SL_RATES_MAX], arguments[3 + SL_RATES_MAX * NUMBERS];
    size_t count = 0;
    sl_time blocked_for = shared->blocked_until - sl_now();
    (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, shared->revision);
    (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRId64, blocked_for > 0 ? (blocked_for + 999) / 1000 : 0);
    (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRId64, shared->turn);
    for (size_t i = 0; i < shared->count; i++) {
        const struct sl__limit *limit = &shared->whole.limits[i];
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, limit->rate.per_call && cost > 0 ? 1 : cost);
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRId64, sl__shared_step_us(limit));
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, limit->rate.burst);
        (void)snprintf(numbers[count++], sizeof numbers[0], "%" PRIu64, debt_of(shared, i));
    }
    for (size_t i = 0; i < count; i++) {
        arguments[i] = sl_redis_text(numbers[i]);
    }
    for (size_t i = 0; i < SL__SHARED_LIMITS + shared->count; i++) {
        keys[i] = sl_redis_text(shared->keys[i]);
    }
    const struct sl_redis_eval eval = {.script = book_script,
                                       .keys = keys,
                                       .keys_count = SL__SHARED_LIMITS + shared->count,
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

/* Until both sides know the same limits. */
static int ask(sl_shared_limit *shared, uint64_t cost, sl_redis_reply **ret_reply)
{
    for (int tries = 0; tries < ASKED_MAX; tries++) {
        sl_redis_reply *reply = NULL;
        SL_TRY(ask_once(shared, cost, &reply));
        struct sl_redis_value value = sl_redis_reply_value(reply);
        if (number_at(&value, 0) != 2) {
            *ret_reply = reply;
            return 0;
        }
        struct sl_redis_value text = sl_redis_value_at(&value, 2);
        bool newer = number_at(&value, 1) > (int64_t)shared->revision;
        int code = newer ? sl__shared_limits_adopt(shared, text.text, text.size_bytes) : sl__shared_limits_tell(shared);
        sl_redis_reply_free(reply);
        SL_TRY(code);
    }
    return sl_fail(SL_EPROTO, "Redis and this replica do not agree on the limits '%s'", shared->keys[SL__SHARED_RATES]);
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
    *ret_answer = (struct sl_limiter_answer){.rates = shared->rates};
    sl_auto(sl_redis_reply) *reply = NULL;
    int code = sl_now() < shared->retry_at ? 1 : ask(shared, cost, &reply);
    ret_answer->revision = shared->revision;
    ret_answer->rate_count = shared->count;
    ret_answer->carry = shared->carry;
    if (code == 1) {
        return decide_alone(shared, cost, ret_answer);
    }
    if (code == SL_ECANCELED) {
        return code;
    }
    if (code < 0) {
        if (!shared->stats.away) {
            sl_log(SL_LOG_WARNING, "shared limit '%s': Redis is away, the own share is used: %s",
                   shared->keys[SL__SHARED_RATES], sl_error_message(sl_error_last()));
        }
        shared->stats.unknown++;
        shared->stats.away = true;
        shared->retry_at = sl_time_add(sl_now(), shared->probe);
        return decide_alone(shared, cost, ret_answer);
    }
    came_back(shared);
    struct sl_redis_value value = sl_redis_reply_value(reply);
    bool taken = number_at(&value, 0) == 1;
    sl_time wait = taken ? 0 : number_at(&value, 1) * 1000;
    shared->turn = number_at(&value, 4);
    ret_answer->wait = wait < LOOK_AGAIN ? wait : LOOK_AGAIN;
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
        sl_event_set(&shared->news);
    }
}

/* ---- other limits ---- */

static int change(void *arg, const struct sl_rate *rates, size_t count, enum sl_rates_carry carry, uint64_t revision)
{
    sl_shared_limit *shared = arg;
    SL_TRY(sl__shared_limits_set(shared, rates, count, carry, revision));
    sl_event_set(&shared->news);
    return 0;
}

/* The daemon: tells of a block or of other limits, and of a block again while it lasts, in case the server has lost it. */
static int keep_told(void *arg)
{
    sl_shared_limit *shared = arg;
    for (;;) {
        SL_TRY(sl_event_wait(&shared->news));
        do {
            sl_auto(sl_redis_reply) *reply = NULL;
            sl_event_reset(&shared->news);
            int code = ask(shared, 0, &reply);
            if (code == SL_ECANCELED) {
                return code;
            }
            sl_time left = code < 0 ? shared->probe : shared->blocked_until - sl_now();
            struct sl_select_clause again = {.kind = SL_SELECT_EVENT, .event = &shared->news};
            if (left > 0 && sl_select(&again, 1, left < shared->probe ? left : shared->probe) == SL_ECANCELED) {
                return SL_ECANCELED;
            }
            if (code < 0) {
                sl_event_set(&shared->news);
            }
        } while (shared->blocked_until > sl_now());
    }
}

static int release(void *arg)
{
    sl_free(arg);
    return 0;
}

static int set_up(sl_shared_limit *shared, const struct sl_shared_limit_options *options)
{
    static const char *const names[] = {"block", "turn", "rates"};
    for (size_t i = 0; i < SL__SHARED_LIMITS; i++) {
        (void)snprintf(shared->keys[i], sizeof shared->keys[i], "sluice:{%s}:%s", options->name, names[i]);
    }
    for (size_t i = 0; i < SL_RATES_MAX; i++) {
        (void)snprintf(shared->keys[SL__SHARED_LIMITS + i], sizeof shared->keys[0], "sluice:{%s}:limit:%zu",
                       options->name, i);
    }
    shared->redis = options->redis;
    shared->share = options->share != 0 ? options->share : SL_SHARED_LIMIT_SHARE;
    shared->timeout = options->timeout != 0 ? options->timeout : SL_SHARED_LIMIT_TIMEOUT;
    shared->probe = options->probe != 0 ? options->probe : SL_SHARED_LIMIT_PROBE;
    SL_TRY(
        sl__shared_limits_set(shared, options->rates, options->rate_count, SL_CARRY_PROPORTIONAL, options->revision));
    sl__shared_limits_told(shared);
    return 0;
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
    SL_TRY(sl_spawn(scope, keep_told, shared, .name = "shared limit", .daemon = true));
    *ret_shared = shared;
    return 0;
}

void sl_shared_limit_use(sl_shared_limit *shared, struct sl_limiter_options *options)
{
    options->shared = (struct sl_limiter_shared){.book = book, .block = block, .change = change, .arg = shared};
}

void sl_shared_limit_set_share(sl_shared_limit *shared, double share)
{
    double before = shared->share;
    if (share <= 0 || share > 1 || share == before) {
        return;
    }
    shared->share = share;
    if (sl__shared_limits_set(shared, shared->rates, shared->count, shared->carry, shared->revision) < 0) {
        shared->share = before; /* rates that were good a moment ago */
    }
}

void sl_shared_limit_stats_get(const sl_shared_limit *shared, struct sl_shared_limit_stats *ret_stats)
{
    *ret_stats = shared->stats;
}
