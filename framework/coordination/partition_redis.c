/* SPDX-License-Identifier: MIT */
/*
 * Partitions in Redis: members are a sorted set by when they expire, by the server's clock, read once a script; leases are
 * fenced locks. All keys of a group share a slot.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partition.h"
#include "sluice/memory.h"

/*
 * KEYS: members, owners. ARGV: replica, ttl in ms, channel, the largest token it knows, how many partitions, prefix of the
 * locks. Gives: when the group's data began, how long ago that is (ms), ms until another may be dead (-1: no other), the
 * largest token that any of them knows, the names. When the clock was set back, what ends by it ends as much sooner: members
 * and leases of those who died would stay for as long as it was set back. As much is told by the last beat, which was a
 * while before that: what lives is never cut short.
 */
static const char beat_script[] =
    "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local back = tonumber(redis.call('HGET', KEYS[2], 'now') or 0) - now "
    "redis.call('HSET', KEYS[2], 'now', string.format('%.0f', now)) "
    "if back > 0 then for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do "
    "redis.call('ZINCRBY', KEYS[1], -back, name) end "
    "for i = 0, ARGV[5] - 1 do local key = ARGV[6] .. string.format('%d', i) local left = redis.call('PTTL', key) "
    "if left > tonumber(ARGV[2]) then redis.call('PEXPIRE', key, left - back) end end end "
    "local gone = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now) "
    "local fresh = redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1]) "
    "redis.call('HSETNX', KEYS[2], 'born', string.format('%.0f', now)) local born = redis.call('HGET', KEYS[2], "
    "'born') "
    "for i = 1, 2 do if redis.call('PTTL', KEYS[i]) < ARGV[2] * 2 then redis.call('PEXPIRE', KEYS[i], ARGV[2] * 4) end "
    "end "
    "if gone + fresh > 0 then redis.call('PUBLISH', ARGV[3], ARGV[1]) end "
    "local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES') "
    "local top = math.max(tonumber(redis.call('HGET', KEYS[2], 'top') or 0), tonumber(ARGV[4])) "
    "redis.call('HSET', KEYS[2], 'top', string.format('%.0f', top)) local out = {tonumber(born), now - born, -1, top} "
    "for i = 1, #all, 2 do out[#out + 1] = all[i] "
    "if all[i] ~= ARGV[1] and out[3] == -1 then out[3] = tonumber(all[i + 1]) - now end end return out";

/* KEYS: members. ARGV: replica, channel. */
static const char leave_script[] = "if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then "
                                   "redis.call('PUBLISH', ARGV[2], ARGV[1]) end return 1";

/*
 * KEYS: owners. ARGV: how many, prefix of the locks. What a replica has written of itself holds if its token is
 * still the newest and the lock is held. The locks' keys are made here: they are in the group's slot.
 */
static const char owners_script[] =
    "local out = {} for i = 0, ARGV[1] - 1 do local key = ARGV[2] .. string.format('%d', i) "
    "local said = redis.call('HGET', KEYS[1], string.format('%d', i)) local fence = redis.call('GET', key .. ':fence') "
    "local held = redis.call('EXISTS', key) == 1 "
    "if held and said and fence and string.sub(said, 1, #fence + 1) == fence .. ' ' then out[i + 1] = said "
    "else out[i + 1] = '' end end return out";

#define BEAT_SHARE 3 /* of the TTL that a beat may take */

static int call(sl_partitions *partitions, const char *script, const char *key, const char *const *texts, size_t count,
                sl_redis_reply **ret_reply)
{
    const struct sl_bytes keys[] = {sl_redis_text(key), sl_redis_text(partitions->owners_key)};
    struct sl_bytes arguments[6];
    for (size_t i = 0; i < count; i++) {
        arguments[i] = sl_redis_text(texts[i]);
    }
    const struct sl_redis_eval eval = {.script = script,
                                       .keys = keys,
                                       .keys_count = 2,
                                       .arguments = arguments,
                                       .arguments_count = count,
                                       .timeout = partitions->options.ttl / BEAT_SHARE,
                                       .idempotent = true,
                                       .urgent = true};
    return sl_redis_eval(partitions->options.redis, &eval, ret_reply);
}

static int read_members(sl_partitions *partitions, const sl_redis_reply *reply, struct sl__members *members)
{
    struct sl_redis_value value = sl_redis_reply_value(reply), item;
    struct sl_redis_list list = sl_redis_value_list(&value);
    int64_t age = 0, next = 0, top = 0;
    if (!sl_redis_list_next(&list, &item) || sl_redis_value_int(&item, &members->born) < 0 ||
        !sl_redis_list_next(&list, &item) || sl_redis_value_int(&item, &age) < 0 || !sl_redis_list_next(&list, &item) ||
        sl_redis_value_int(&item, &next) < 0 || !sl_redis_list_next(&list, &item) ||
        sl_redis_value_int(&item, &top) < 0) {
        return sl_fail(SL_EPROTO, "Redis did not answer a beat of '%s' as it should", partitions->group);
    }
    members->age = SL_MILLISECONDS(age);
    members->next = next < 0 ? SL_NEVER : SL_MILLISECONDS(next + 2);
    partitions->top = top > partitions->top ? top : partitions->top;
    members->count = 0;
    while (sl_redis_list_next(&list, &item)) {
        if (members->count == SL_PARTITION_MEMBERS_MAX || item.size_bytes >= SL_PARTITION_NAME_BYTES) {
            return sl_fail(SL_EMSGSIZE, "the group '%s' has more than %d members, or one whose name is too long",
                           partitions->group, SL_PARTITION_MEMBERS_MAX);
        }
        memcpy(members->names[members->count], item.text, item.size_bytes);
        members->names[members->count++][item.size_bytes] = '\0';
    }
    return 0;
}

static int redis_beat(sl_partitions *partitions, struct sl__members *ret_members)
{
    char ttl[24], top[24], count[16], prefix[SL__PARTITION_KEY_BYTES];
    (void)snprintf(ttl, sizeof ttl, "%" PRId64, partitions->options.ttl / 1000000);
    (void)snprintf(top, sizeof top, "%" PRId64, partitions->top);
    (void)snprintf(count, sizeof count, "%" PRIu32, partitions->options.count);
    (void)snprintf(prefix, sizeof prefix, "sluice:{%s}:p:", partitions->group);
    const char *const texts[] = {partitions->replica, ttl, partitions->channel, top, count, prefix};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(call(partitions, beat_script, partitions->members_key, texts, 6, &reply));
    return read_members(partitions, reply, ret_members);
}

static int redis_leave(sl_partitions *partitions)
{
    const char *const texts[] = {partitions->replica, partitions->channel};
    return call(partitions, leave_script, partitions->members_key, texts, 2, NULL);
}

/* For views only: nothing depends on it. */
static int tell(sl_partitions *partitions, uint32_t index, int64_t fence)
{
    char field[16], text[SL_PARTITION_NAME_BYTES + 24];
    (void)snprintf(field, sizeof field, "%" PRIu32, index);
    (void)snprintf(text, sizeof text, "%" PRId64 " %s", fence, partitions->replica);
    const char *const texts[] = {"HSET", partitions->owners_key, field, text, NULL};
    const struct sl_redis_request request = {
        .texts = texts, .idempotent = true, .urgent = true, .timeout = partitions->options.ttl / 6};
    int code = sl_redis_send(partitions->options.redis, &request, NULL);
    return code == SL_ECANCELED ? code : 0;
}

static int redis_take(sl_partitions *partitions, sl_scope *scope, uint32_t index, struct sl_partition *ret_partition)
{
    char key[SL__PARTITION_KEY_BYTES];
    sl_lock *lock = NULL;
    (void)snprintf(key, sizeof key, "sluice:{%s}:p:%" PRIu32, partitions->group, index);
    SL_TRY(sl_redis_lock(scope, partitions->options.redis, key, .ttl = partitions->options.ttl, .fenced = true,
                         .fence_above = partitions->top, .loss_is_no_error = true, .ret_lock = &lock));
    int64_t fence = sl_lock_fence(lock);
    partitions->top = fence > partitions->top ? fence : partitions->top;
    *ret_partition = (struct sl_partition){.index = index, .fence = fence, .lock = lock};
    return tell(partitions, index, ret_partition->fence);
}

static int redis_owners(sl_partitions *partitions, struct sl_partition_owner *ret_owners)
{
    char count[16], prefix[SL__PARTITION_KEY_BYTES];
    (void)snprintf(count, sizeof count, "%" PRIu32, partitions->options.count);
    (void)snprintf(prefix, sizeof prefix, "sluice:{%s}:p:", partitions->group);
    const char *const texts[] = {count, prefix};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(call(partitions, owners_script, partitions->owners_key, texts, 2, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply), item;
    struct sl_redis_list list = sl_redis_value_list(&value);
    for (uint32_t i = 0; i < partitions->options.count; i++) {
        if (!sl_redis_list_next(&list, &item) || item.type != SL_REDIS_STRING) {
            return sl_fail(SL_EPROTO, "Redis did not say who owns partition %" PRIu32 " as it should", i);
        }
        char *end = NULL;
        long long fence = strtoll(item.text, &end, 10);
        ret_owners[i] = (struct sl_partition_owner){.fence = fence};
        (void)snprintf(ret_owners[i].replica, sizeof ret_owners[i].replica, "%s", *end == ' ' ? end + 1 : "");
    }
    return 0;
}

static void redis_listen(sl_partitions *partitions)
{
    sl_redis_listen(partitions->options.redis, &partitions->ear, partitions->channel);
}

static void redis_unlisten(sl_partitions *partitions)
{
    sl_redis_unlisten(partitions->options.redis, &partitions->ear);
}

const struct sl__partition_backend sl__partitions_redis = {redis_beat,   redis_leave,  redis_take,
                                                           redis_owners, redis_listen, redis_unlisten};
