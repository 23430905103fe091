/* SPDX-License-Identifier: MIT */
/*
 * What locks do in the server. Every script is harmless when it is sent twice: it knows its holder by the token. Times
 * are the server's, read once a script. A number that is concatenated loses digits in Lua: string.format('%.0f').
 */
#include <string.h>

#include "lock.h"

/*
 * KEYS: the locks, then the fence's if ARGV[3] is 1. ARGV: token, ttl in ms, fenced, fence's ttl in ms, a fence
 * that is known, a random number. The new one is more than the last and than that, and no less than the time in
 * microseconds: so it grows also when a server comes back, or a replica is promoted, that has not seen the last ones. While the
 * time is behind what is known it jumps: two that know the same, of servers that do not know of each other, differ.
 */
#define NEXT_FENCE                                                                                                     \
    "local function next_fence(key, ttl, above, jump) local t = redis.call('TIME') above = tonumber(above) "           \
    "local f = math.max(tonumber(redis.call('GET', key) or 0) + 1, t[1] * 1000000 + t[2]) "                            \
    "if above >= f then f = above + 1 + jump end "                                                                     \
    "redis.call('SET', key, string.format('%.0f', f), 'PX', ttl) return f end "

static const char take_script[] =
    NEXT_FENCE "local fenced = ARGV[3] == '1' local n = #KEYS if fenced then n = n - 1 end "
               "for i = 1, n do local v = redis.call('GET', KEYS[i]) "
               "if v and v ~= ARGV[1] then return {0, i - 1, redis.call('PTTL', KEYS[i])} end end "
               "for i = 1, n do redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2]) end "
               "if fenced then return {1, next_fence(KEYS[n + 1], ARGV[4], ARGV[5], ARGV[6])} end return {1, 0}";

/* KEYS: the locks. ARGV: token, ttl in ms, whether it is added. A key that has gone is not made again. */
static const char renew_script[] = "for i = 1, #KEYS do if redis.call('GET', KEYS[i]) ~= ARGV[1] then return 0 end end "
                                   "for i = 1, #KEYS do local ttl = tonumber(ARGV[2]) "
                                   "if ARGV[3] == '1' then ttl = ttl + redis.call('PTTL', KEYS[i]) end "
                                   "redis.call('PEXPIRE', KEYS[i], ttl) end return 1";

/* KEYS: the locks. ARGV: token, the channels. 0: all were ours; 1: one had expired; 2: one is another's. */
static const char give_script[] =
    "local worst = 0 for i = 1, #KEYS do local v = redis.call('GET', KEYS[i]) if v == ARGV[1] then "
    "redis.call('DEL', KEYS[i]) redis.call('PUBLISH', ARGV[i + 1], '1') "
    "else worst = math.max(worst, v and 2 or 1) end end return worst";

/*
 * Locks that many hold are sorted sets: member = kind and token, score = when it expires. w: a writer, i: a writer that
 * waits (in front of readers that come later), r: a reader, s: a permit.
 */
#define SHARED_BEGIN                                                                                                   \
    "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "                                  \
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now) "

/* ARGV: token, ttl, fenced, fence's ttl, kind, permits, ttl of a waiting writer's mark (0: it does not wait), a fence,
 * a random number. */
static const char take_shared_script[] = NEXT_FENCE SHARED_BEGIN
    "local me = ARGV[5] .. ARGV[1] local ttl = tonumber(ARGV[2]) local busy = false "
    "if not redis.call('ZSCORE', KEYS[1], me) then "
    "if ARGV[5] == 's' then busy = redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[6]) else "
    "for _, m in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do local k = string.sub(m, 1, 1) "
    "if k == 'w' or (k == 'i' and ARGV[5] == 'r') or (k == 'r' and ARGV[5] == 'w') then busy = true end end end end "
    "local mark = tonumber(ARGV[7]) local keep = ttl "
    "if busy then local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES') "
    "if mark > 0 then redis.call('ZADD', KEYS[1], now + mark, 'i' .. ARGV[1]) keep = mark end "
    "if mark > 0 and redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end "
    "return {0, 0, tonumber(first[2]) - now} end "
    "redis.call('ZREM', KEYS[1], 'i' .. ARGV[1]) redis.call('ZADD', KEYS[1], now + ttl, me) "
    "if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end "
    "if ARGV[3] == '1' then return {1, next_fence(KEYS[2], ARGV[4], ARGV[8], ARGV[9])} end return {1, 0}";

/* ARGV: token, ttl, whether it is added, kind. */
static const char renew_shared_script[] = SHARED_BEGIN
    "local me = ARGV[4] .. ARGV[1] local old = redis.call('ZSCORE', KEYS[1], me) "
    "if not old then return 0 end local ttl = tonumber(ARGV[2]) "
    "if ARGV[3] == '1' then ttl = ttl + tonumber(old) - now end redis.call('ZADD', KEYS[1], now + ttl, me) "
    "if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end return 1";

/* ARGV: token, channel, kind. */
static const char give_shared_script[] =
    SHARED_BEGIN "local marked = redis.call('ZREM', KEYS[1], 'i' .. ARGV[1]) "
                 "local ours = redis.call('ZREM', KEYS[1], ARGV[3] .. ARGV[1]) "
                 "if ours + marked > 0 then redis.call('PUBLISH', ARGV[2], '1') end return 1 - ours";

#define MARK_TTL SL_SECONDS(3)
#define JUMP_MAX ((uint64_t)1 << 20) /* a second, if a fence were a time */

static char kind_letter(const sl_lock *lock)
{
    return "?srw"[lock->options.kind];
}

static bool is_shared(const sl_lock *lock)
{
    return lock->options.kind != SL_LOCK_EXCLUSIVE;
}

struct number {
    char text[24];
};

/* Without printf, which would be a fifth of what a lock costs us. */
static struct sl_bytes decimal(struct number *number, uint64_t value)
{
    char *end = number->text + sizeof number->text, *at = end;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return (struct sl_bytes){at, (size_t)(end - at)};
}

static struct sl_bytes milliseconds(struct number *number, sl_time time)
{
    return decimal(number, (uint64_t)(time + 999999) / 1000000);
}

static size_t fill_keys(const sl_lock *lock, struct sl_bytes *keys)
{
    for (size_t i = 0; i < lock->keys_count; i++) {
        keys[i] = sl_redis_text(lock->keys[i]);
    }
    return lock->keys_count;
}

static int evaluate(sl_lock *lock, struct sl_redis_eval *eval, sl_redis_reply **ret_reply)
{
    eval->idempotent = true;
    eval->urgent = true;
    return sl_redis_eval(lock->redis, eval, ret_reply);
}

/*
 * The first attempt at a plain lock needs no script, which takes the server longer. When it finds the key, the script
 * follows: it tells how long to wait, and knows the key as ours if only our reply was lost.
 */
static int take_plainly(sl_lock *lock, struct sl__lock_answer *ret_answer)
{
    struct number ttl;
    const struct sl_bytes pieces[] = {{"SET", 3}, sl_redis_text(lock->keys[0]), sl_redis_text(lock->token), {"NX", 2},
                                      {"PX", 2},  milliseconds(&ttl, lock->ttl)};
    const struct sl_redis_request request = {
        .arguments = pieces, .count = 6, .idempotent = true, .urgent = true, .ret_sent = &lock->asked};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(sl_redis_send(lock->redis, &request, &reply));
    *ret_answer = (struct sl__lock_answer){.taken = sl_redis_reply_value(reply).type == SL_REDIS_STATUS};
    return 0;
}

int sl__lock_take(sl_lock *lock, struct sl__lock_answer *ret_answer)
{
    if (lock->options.kind == SL_LOCK_EXCLUSIVE && lock->keys_count == 1 && !lock->options.fenced && !lock->tried) {
        lock->tried = true;
        SL_TRY(take_plainly(lock, ret_answer));
        if (ret_answer->taken) {
            return 0;
        }
    }
    struct sl_bytes keys[SL_LOCK_KEYS_MAX + 1];
    struct number ttl, fence_ttl, permits, mark, above, jump;
    char letter = kind_letter(lock);
    bool waits = lock->options.kind == SL_LOCK_WRITE && !lock->options.try_only;
    size_t count = fill_keys(lock, keys);
    if (lock->options.fenced) {
        keys[count++] = sl_redis_text(lock->fence_key);
    }
    struct sl_bytes known = decimal(&above, (uint64_t)lock->options.fence_above);
    struct sl_bytes far = decimal(&jump, known.size_bytes > 1 ? sl_random() % JUMP_MAX : 0);
    const struct sl_bytes arguments[] = {sl_redis_text(lock->token),
                                         milliseconds(&ttl, lock->ttl),
                                         sl_redis_text(lock->options.fenced ? "1" : "0"),
                                         milliseconds(&fence_ttl, SL_LOCK_FENCE_TTL),
                                         is_shared(lock) ? (struct sl_bytes){&letter, 1} : known,
                                         is_shared(lock) ? decimal(&permits, lock->options.permits) : far,
                                         milliseconds(&mark, waits ? MARK_TTL : 0),
                                         known,
                                         far};
    struct sl_redis_eval eval = {.script = is_shared(lock) ? take_shared_script : take_script,
                                 .keys = keys,
                                 .keys_count = count,
                                 .arguments = arguments,
                                 .arguments_count = is_shared(lock) ? 9 : 6,
                                 .ret_sent = &lock->asked};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(evaluate(lock, &eval, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    struct sl_redis_value taken = sl_redis_value_at(&value, 0);
    struct sl_redis_value second = sl_redis_value_at(&value, 1);
    struct sl_redis_value third = sl_redis_value_at(&value, 2);
    if (taken.type != SL_REDIS_INTEGER || second.type != SL_REDIS_INTEGER ||
        (taken.integer != 1 && third.type != SL_REDIS_INTEGER)) {
        return sl_fail(SL_EPROTO, "Redis did not answer a lock's script as it should");
    }
    *ret_answer = (struct sl__lock_answer){.taken = taken.integer == 1};
    if (taken.integer == 1) {
        ret_answer->fence = second.integer;
    } else {
        ret_answer->busy_key =
            second.integer >= 0 && (size_t)second.integer < lock->keys_count ? (size_t)second.integer : 0;
        /* 0: it expires within this millisecond; negative: it never does. */
        ret_answer->wait = third.integer >= 0 && third.integer < INT32_MAX ? SL_MILLISECONDS(third.integer + 1) : 0;
    }
    return 0;
}

int sl__lock_renew(sl_lock *lock, sl_time ttl, bool add, sl_time timeout, bool *ret_ours)
{
    struct sl_bytes keys[SL_LOCK_KEYS_MAX];
    struct number number;
    char letter = kind_letter(lock);
    const struct sl_bytes arguments[] = {
        sl_redis_text(lock->token), milliseconds(&number, ttl), sl_redis_text(add ? "1" : "0"), {&letter, 1}};
    struct sl_redis_eval eval = {.script = is_shared(lock) ? renew_shared_script : renew_script,
                                 .keys = keys,
                                 .keys_count = fill_keys(lock, keys),
                                 .arguments = arguments,
                                 .arguments_count = is_shared(lock) ? 4 : 3,
                                 .timeout = timeout};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(evaluate(lock, &eval, &reply));
    *ret_ours = sl_redis_reply_value(reply).integer == 1;
    return 0;
}

/* `out` has room for it. */
static size_t channel_name(char *out, const char *key)
{
    size_t length = strlen(key);
    memcpy(out, SL__LOCK_CHANNEL, sizeof SL__LOCK_CHANNEL - 1);
    memcpy(out + sizeof SL__LOCK_CHANNEL - 1, key, length + 1);
    return sizeof SL__LOCK_CHANNEL - 1 + length;
}

/* The channels' names, on the heap: keys may be long, stacks are small. */
static int make_channels(const sl_lock *lock, struct sl_bytes *channels, char **ret_memory)
{
    size_t bytes = 0;
    for (size_t i = 0; i < lock->keys_count; i++) {
        bytes += sizeof SL__LOCK_CHANNEL + strlen(lock->keys[i]);
    }
    char *memory = sl_malloc(bytes);
    if (memory == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to give back a lock");
    }
    char *at = memory;
    for (size_t i = 0; i < lock->keys_count; i++) {
        size_t length = channel_name(at, lock->keys[i]);
        channels[i] = (struct sl_bytes){at, length};
        at += length + 1;
    }
    *ret_memory = memory;
    return 0;
}

int sl__lock_give(sl_lock *lock, sl_time timeout, enum sl__lock_given *ret_given)
{
    struct sl_bytes keys[SL_LOCK_KEYS_MAX];
    struct sl_bytes arguments[SL_LOCK_KEYS_MAX + 2];
    char letter = kind_letter(lock);
    uint32_t sent = 0;
    char *memory = NULL;
    SL_TRY(make_channels(lock, arguments + 1, &memory));
    arguments[0] = sl_redis_text(lock->token);
    arguments[1 + lock->keys_count] = (struct sl_bytes){&letter, 1};
    struct sl_redis_eval eval = {.script = is_shared(lock) ? give_shared_script : give_script,
                                 .keys = keys,
                                 .keys_count = fill_keys(lock, keys),
                                 .arguments = arguments,
                                 .arguments_count = lock->keys_count + (is_shared(lock) ? 2 : 1),
                                 .timeout = timeout,
                                 .ret_sent = &sent};
    sl_redis_reply *reply = NULL;
    int code = evaluate(lock, &eval, &reply);
    lock->maybe_given = lock->maybe_given || sent > 1 || (sent == 1 && code < 0);
    sl_free(memory);
    if (code == 0) {
        int64_t given = sl_redis_reply_value(reply).integer;
        *ret_given = given == 0 ? SL__LOCK_WAS_OURS : given == 1 ? SL__LOCK_HAD_EXPIRED : SL__LOCK_IS_ANOTHERS;
    }
    sl_redis_reply_free(reply);
    return code;
}

int sl_redis_unlock(sl_redis *redis, const char *key, const char *token)
{
    static const char force_script[] =
        "local n = redis.call('DEL', KEYS[1]) redis.call('PUBLISH', ARGV[2], '1') return 1 - n";
    char channel[sizeof SL__LOCK_CHANNEL + SL_LOCK_KEY_BYTES_MAX];
    if (strlen(key) >= SL_LOCK_KEY_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "the key of a lock is longer than %d bytes", SL_LOCK_KEY_BYTES_MAX - 1);
    }
    const struct sl_bytes name = sl_redis_text(key);
    const struct sl_bytes arguments[] = {sl_redis_text(token), {channel, channel_name(channel, key)}};
    const struct sl_redis_eval eval = {.script = token == NULL ? force_script : give_script,
                                       .keys = &name,
                                       .keys_count = 1,
                                       .arguments = arguments,
                                       .arguments_count = 2,
                                       .idempotent = true,
                                       .urgent = true};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(sl_redis_eval(redis, &eval, &reply));
    return sl_redis_reply_value(reply).integer == 0
               ? 0
               : sl_fail(SL_ELOCKLOST, "unlock: '%s' is free or someone else's", key);
}
