/* SPDX-License-Identifier: MIT */
/*
 * Shared limits that change while they are in use: Redis keeps the newest of them with their revision. Who asks under an
 * older one is handed the newer; who knows a newer one tells Redis, where what is used is carried over.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/memory.h"
#include "sluice/runtime.h"

#include "shared_limit.h"

/* So long Redis remembers limits that nobody asks for. */
#define RATES_TTL_MS "86400000"

/* A part of each interval is left free: answers take time, and not all the same. */
#define MARGIN_SHARE 200

/* Numbers of a limit in the text. */
#define NUMBERS 6

int64_t sl__shared_step_us(const struct sl__limit *limit)
{
    return (limit->interval + limit->interval / MARGIN_SHARE + 999) / 1000;
}

/*
 * The text: revision, how what is left is carried over, how many; then for each limit: its period in us, whether it
 * counts calls, the step, the burst, the count, whether it is a bucket.
 */
static void put_text(const sl_shared_limit *shared, char text[SL__SHARED_TEXT_BYTES])
{
    size_t length = (size_t)snprintf(text, SL__SHARED_TEXT_BYTES, "%" PRIu64 " %d %zu", shared->revision,
                                     (int)shared->carry, shared->count);
    for (size_t i = 0; i < shared->count; i++) {
        const struct sl__limit *limit = &shared->whole.limits[i];
        length += (size_t)snprintf(text + length, SL__SHARED_TEXT_BYTES - length,
                                   " %" PRId64 " %d %" PRId64 " %" PRIu64 " %" PRIu64 " %d",
                                   (limit->rate.period + 999) / 1000, limit->rate.per_call, sl__shared_step_us(limit),
                                   limit->rate.burst, limit->rate.count, limit->rate.bucket);
    }
}

/*
 * KEYS: rates, turn, then one for each possible limit. ARGV: the new text, the text that the caller knows Redis had. A limit is carried over
 * from the one of the same period and unit, else from the one in its place if that has the same unit. Gives the text
 * in force.
 */
static const char change_script[] =
    "local function list(text) local out = {} "
    "for word in string.gmatch(text, '%S+') do out[#out + 1] = tonumber(word) end return out end "
    "local have = redis.call('GET', KEYS[1]) local old, new = list(have or ARGV[2]), list(ARGV[1]) "
    "if have and old[1] >= new[1] then return have end "
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] local tats = {} "
    "local function from(j) local period, unit = new[j * 6 - 2], new[j * 6 - 1] "
    "for i = 1, old[3] do if old[i * 6 - 2] == period and old[i * 6 - 1] == unit then return i end end "
    "if j <= old[3] and old[j * 6 - 1] == unit then return j end end "
    "for j = 1, new[3] do local i = from(j) local step, burst = new[j * 6], new[j * 6 + 1] local full = step * burst "
    "local debt = 0 if i then local before, most = old[i * 6], old[i * 6 + 1] "
    "debt = math.min(math.max(tonumber(redis.call('GET', KEYS[i + 2]) or now) - now, 0), before * most) "
    "local left = math.floor((before * most - debt) / before) "
    "if new[2] == 0 then debt = math.ceil(debt * full / (before * most)) else "
    "if new[2] == 2 then left = math.max(left + burst - most, 0) elseif new[2] == 3 then left = burst end "
    "debt = math.max(burst - left, 0) * step end end tats[j] = now + math.min(debt, full) end "
    "for j = 3, #KEYS do redis.call('DEL', KEYS[j]) end redis.call('DEL', KEYS[2]) "
    "for j = 1, new[3] do if tats[j] > now then redis.call('SET', KEYS[j + 2], string.format('%.0f', tats[j]), "
    "'PX', math.ceil((tats[j] - now) / 1000) + 1) end end "
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', " RATES_TTL_MS ") return ARGV[1]";

void sl__shared_limits_told(sl_shared_limit *shared)
{
    put_text(shared, shared->told);
}

int sl__shared_limits_tell(sl_shared_limit *shared)
{
    char text[SL__SHARED_TEXT_BYTES];
    struct sl_bytes keys[2 + SL_RATES_MAX];
    put_text(shared, text);
    keys[0] = sl_redis_text(shared->keys[SL__SHARED_RATES]);
    keys[1] = sl_redis_text(shared->keys[SL__SHARED_TURN]);
    for (size_t i = 0; i < SL_RATES_MAX; i++) {
        keys[2 + i] = sl_redis_text(shared->keys[SL__SHARED_LIMITS + i]);
    }
    const struct sl_bytes arguments[] = {sl_redis_text(text), sl_redis_text(shared->told)};
    const struct sl_redis_eval eval = {.script = change_script,
                                       .keys = keys,
                                       .keys_count = 2 + SL_RATES_MAX,
                                       .arguments = arguments,
                                       .arguments_count = 2,
                                       .timeout = shared->timeout,
                                       .idempotent = true,
                                       .urgent = true};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(sl_redis_eval(shared->redis, &eval, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    return sl__shared_limits_adopt(shared, value.text, value.size_bytes);
}

/* The replica's own share of the limits. */
static void make_share(const sl_shared_limit *shared, const struct sl_rate *rates, size_t count,
                       struct sl_rate *ret_own)
{
    for (size_t i = 0; i < count; i++) {
        ret_own[i] = rates[i];
        ret_own[i].count = (uint64_t)((double)rates[i].count * shared->share);
        ret_own[i].burst = (uint64_t)((double)rates[i].burst * shared->share);
        ret_own[i].count = ret_own[i].count > 0 ? ret_own[i].count : 1;
        ret_own[i].burst = ret_own[i].burst > 0 ? ret_own[i].burst : 1;
    }
}

int sl__shared_limits_set(sl_shared_limit *shared, const struct sl_rate *rates, size_t count, enum sl_rates_carry carry,
                          uint64_t revision)
{
    sl_rates whole;
    struct sl_rate full[SL_RATES_MAX], own[SL_RATES_MAX];
    if (count == 0) {
        return sl_fail(SL_EINVAL, "a shared limit has 1 to %d limits", SL_RATES_MAX);
    }
    SL_TRY(sl_rates_init(&whole, rates, count));
    for (size_t i = 0; i < count; i++) {
        full[i] = whole.limits[i].rate; /* with the burst that was left out */
    }
    make_share(shared, full, count, own);
    SL_TRY(sl_rates_change(&shared->own, own, count, carry, 0, sl_now()));
    memcpy(shared->rates, full, count * sizeof full[0]);
    shared->whole = whole;
    shared->count = count;
    shared->carry = carry;
    shared->revision = revision;
    return 0;
}

static bool next_number(const char **at, uint64_t most, uint64_t *ret_number)
{
    char *end = NULL;
    *ret_number = strtoull(*at, &end, 10);
    bool valid = end != *at && *ret_number <= most;
    *at = end;
    return valid;
}

int sl__shared_limits_adopt(sl_shared_limit *shared, const char *text, size_t text_bytes)
{
    struct sl_rate rates[SL_RATES_MAX];
    uint64_t revision = 0, carry = 0, count = 0, number[NUMBERS];
    const char *at = text;
    bool valid = next_number(&at, UINT64_MAX, &revision) && next_number(&at, SL_CARRY_RESET, &carry) &&
                 next_number(&at, SL_RATES_MAX, &count);
    for (uint64_t i = 0; valid && i < count; i++) {
        for (int k = 0; k < NUMBERS; k++) {
            valid = valid && next_number(&at, INT64_MAX / 1000, &number[k]);
        }
        rates[i] = (struct sl_rate){.period = (sl_time)number[0] * 1000,
                                    .per_call = number[1] != 0,
                                    .burst = number[3],
                                    .count = number[4],
                                    .bucket = number[5] != 0};
    }
    valid = valid && text_bytes < sizeof shared->told && at == text + text_bytes;
    if (valid && revision > shared->revision) {
        valid = sl__shared_limits_set(shared, rates, count, (enum sl_rates_carry)carry, revision) == 0;
    }
    if (!valid) {
        return sl_fail(SL_EPROTO, "Redis does not know the limits '%s' as it should", shared->keys[SL__SHARED_RATES]);
    }
    memcpy(shared->told, text, text_bytes + 1);
    return 0;
}
