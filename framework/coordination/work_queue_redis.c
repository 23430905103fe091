/* SPDX-License-Identifier: MIT */
/*
 * The work queue in Redis. Each job in hand is the one pending entry of a consumer of its own, whose name is the job's
 * token: so a script that is sent again after a lost answer finds what it did before, and a job that was taken unseen can
 * be given back. Times are the server's, read once a script.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/runtime.h"
#include "work_queue.h"

#define KEY_BYTES (SL_WORK_NAME_BYTES + 24)
#define DEAD_BATCH "50"

/* The backend's state: its keys, and where it goes on looking for silent workers. */
struct redis_work {
    char jobs[KEY_BYTES], later[KEY_BYTES], dead[KEY_BYTES], prefix[KEY_BYTES], channel[KEY_BYTES];
    char cursor[SL_REDIS_STREAM_ID_BYTES];
};

/* KEYS: jobs, later, dead. ARGV: prefix of what is known of each job, channel, then the script's own. */
#define BEGIN                                                                                                          \
    "local jobs, later, dead, pre = KEYS[1], KEYS[2], KEYS[3], ARGV[1] "                                               \
    "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "                                  \
    "local function hint() redis.call('PUBLISH', ARGV[2], '1') end "                                                   \
    "local function queue(key) redis.call('XADD', jobs, '*', 'job', key) hint() end "                                  \
    "local function key_of(id) local e = redis.call('XRANGE', jobs, id, id) return e[1] and e[1][2][2] end "           \
    "local function drop(id) redis.call('XACK', jobs, 'workers', id) redis.call('XDEL', jobs, id) end "                \
    "local function count() return redis.call('XLEN', jobs) + redis.call('ZCARD', later) end "                         \
    "local function bury(key, failures, reason, most, remember) "                                                      \
    "local f = redis.call('HMGET', pre .. key, 'body', 'progress') "                                                   \
    "redis.call('XADD', dead, 'MAXLEN', '~', most, '*', 'key', key, 'body', f[1] or '', 'progress', f[2] or '', "      \
    "'failures', failures, 'reason', reason) "                                                                         \
    "redis.call('HDEL', pre .. key, 'body', 'progress', 'owner') redis.call('PEXPIRE', pre .. key, remember) end "

/* key, body, delay in ms, most jobs, token of this call. 1: added; 0: known; -1: full. */
static const char add_script[] =
    BEGIN "local rec = pre .. ARGV[3] "
          "if redis.call('EXISTS', rec) == 1 then return redis.call('HGET', rec, 'by') == ARGV[7] and 1 or 0 end "
          "if count() >= tonumber(ARGV[6]) then return -1 end "
          "redis.call('HSET', rec, 'body', ARGV[4], 'takes', 0, 'failures', 0, 'by', ARGV[7]) "
          "if tonumber(ARGV[5]) > 0 then redis.call('ZADD', later, now + ARGV[5], ARGV[3]) hint() "
          "else queue(ARGV[3]) end return 1";

/*
 * token, lease in ms, attempts, most dead letters, how long to remember in ms, cursor. First what is ours already; then
 * what silent workers had, which costs it an attempt; then a new one. {1, taken over, cursor, key, body, progress,
 * takes, failures, entry}, or {0, ms until one is to be tried again or -1, cursor, jobs}.
 */
static const char take_script[] = BEGIN
    "local token, most = ARGV[3], tonumber(ARGV[5]) local cursor, over, id, key = ARGV[8], 0, nil, nil "
    "local mine = redis.pcall('XPENDING', jobs, 'workers', '-', '+', 1, token) "
    "if mine.err then redis.call('XGROUP', 'CREATE', jobs, 'workers', '0', 'MKSTREAM') mine = {} end "
    "if mine[1] then id = mine[1][1] key = key_of(id) if not key then drop(id) id = nil end end "
    "local known = id ~= nil "
    "if not id then "
    "for _, k in ipairs(redis.call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, 100)) do "
    "redis.call('ZREM', later, k) queue(k) end "
    "for i = 1, 10 do "
    "local c = redis.call('XAUTOCLAIM', jobs, 'workers', token, ARGV[4], cursor, 'COUNT', 1) "
    "cursor = c[1] local e = c[2][1] "
    "if e then local rec = pre .. e[2][2] "
    "if redis.call('EXISTS', rec) == 0 then drop(e[1]) else "
    "local old = redis.call('HGET', rec, 'owner') "
    "if old and old ~= token then redis.call('XGROUP', 'DELCONSUMER', jobs, 'workers', old) end "
    "local failures = redis.call('HINCRBY', rec, 'failures', 1) "
    "if failures >= most then "
    "local why = redis.call('HGET', rec, 'reason') "
    "bury(e[2][2], failures, 'its worker fell silent' .. (why and '; before that: ' .. why or ''), ARGV[6], ARGV[7]) "
    "drop(e[1]) else id = e[1] key = e[2][2] over = 1 end end end "
    "if id or cursor == '0-0' then break end end "
    "for i = 1, 100 do if id then break end "
    "local r = redis.call('XREADGROUP', 'GROUP', 'workers', token, 'COUNT', 1, 'STREAMS', jobs, '>') "
    "if not r then break end local e = r[1][2][1] "
    "if redis.call('EXISTS', pre .. e[2][2]) == 1 then id = e[1] key = e[2][2] else drop(e[1]) end end end "
    "if not id then redis.call('XGROUP', 'DELCONSUMER', jobs, 'workers', token) "
    "local first = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES') "
    "return {0, first[2] and math.max(0, first[2] - now) or -1, cursor, count()} end "
    "local rec = pre .. key "
    "if not known then redis.call('HINCRBY', rec, 'takes', 1) redis.call('HSET', rec, 'owner', token) end "
    "local f = redis.call('HMGET', rec, 'body', 'progress', 'takes', 'failures') "
    "return {1, over, cursor, key, f[1] or '', f[2] or '', f[3], f[4], id}";

/* token, key, entry, whether there is progress, progress. What has gone is not made again. */
static const char keep_script[] =
    BEGIN "local rec = pre .. ARGV[4] if redis.call('HGET', rec, 'owner') ~= ARGV[3] then return 0 end "
          "local c = redis.pcall('XCLAIM', jobs, 'workers', ARGV[3], 0, ARGV[5], 'JUSTID') "
          "if c.err or not c[1] then return 0 end "
          "if ARGV[6] == '1' then redis.call('HSET', rec, 'progress', ARGV[7]) end return 1";

/*
 * token, how, delay in ms, reason, attempts, most dead letters, how long to remember, key if it is known.
 * 0: not ours; 1: settled; 2: put aside; 11, 12: the same by an earlier call of its owner.
 */
static const char settle_script[] =
    BEGIN "local token, how = ARGV[3], ARGV[4] "
          "local mine = redis.pcall('XPENDING', jobs, 'workers', '-', '+', 1, token) "
          "local id = not mine.err and mine[1] and mine[1][1] local key = id and key_of(id) "
          "if not key then if id then drop(id) end "
          "if not mine.err then redis.call('XGROUP', 'DELCONSUMER', jobs, 'workers', token) end "
          "local last = ARGV[10] ~= '' and redis.call('HGET', pre .. ARGV[10], 'last') "
          "return last == token .. '1' and 11 or last == token .. '2' and 12 or 0 end "
          "local rec = pre .. key drop(id) redis.call('XGROUP', 'DELCONSUMER', jobs, 'workers', token) "
          "redis.call('HDEL', rec, 'owner') redis.call('HSET', rec, 'last', token .. '1') "
          "if how == 'done' then redis.call('HDEL', rec, 'body', 'progress') redis.call('PEXPIRE', rec, ARGV[9]) "
          "return 1 end "
          "if how == 'back' then if tonumber(ARGV[5]) > 0 then redis.call('ZADD', later, now + ARGV[5], key) hint() "
          "else queue(key) end return 1 end "
          "local failures = redis.call('HINCRBY', rec, 'failures', 1) "
          "if how == 'bury' or failures >= tonumber(ARGV[7]) then redis.call('HSET', rec, 'last', token .. '2') "
          "bury(key, failures, ARGV[6], ARGV[8], ARGV[9]) return 2 end "
          "redis.call('HSET', rec, 'reason', ARGV[6]) redis.call('ZADD', later, now + ARGV[5], key) hint() return 1";

static const char depth_script[] =
    BEGIN "local p = redis.pcall('XPENDING', jobs, 'workers') local hand = not p.err and p[1] or 0 "
          "return {redis.call('XLEN', jobs) - hand, hand, redis.call('ZCARD', later), redis.call('XLEN', dead)}";

/* key, most jobs, token of this call. */
static const char revive_script[] =
    BEGIN "local rec = pre .. ARGV[3] if redis.call('HGET', rec, 'by') == ARGV[5] then return 1 end "
          "for _, e in ipairs(redis.call('XREVRANGE', dead, '+', '-')) do local f = e[2] if f[2] == ARGV[3] then "
          "if count() >= tonumber(ARGV[4]) then return -1 end "
          "redis.call('XDEL', dead, e[1]) redis.call('PERSIST', rec) "
          "redis.call('HSET', rec, 'body', f[4], 'progress', f[6], 'failures', 0, 'by', ARGV[5]) "
          "redis.call('HINCRBY', rec, 'takes', 0) queue(ARGV[3]) return 1 end end return 0";

struct number {
    char text[24];
};

static struct sl_bytes number_of(struct number *number, uint64_t value)
{
    int length = snprintf(number->text, sizeof number->text, "%" PRIu64, value);
    return (struct sl_bytes){number->text, (size_t)length};
}

static struct sl_bytes milliseconds(struct number *number, sl_time time)
{
    return number_of(number, (uint64_t)(time + 999999) / 1000000);
}

struct call {
    const char *script;
    const struct sl_bytes *arguments; /* behind prefix and channel */
    size_t count;
    sl_time timeout;
    uint32_t *ret_sent;
};

#define ARGUMENTS_MAX 8

static int run(sl_work *work, const struct call *call, sl_redis_reply **ret_reply)
{
    const struct redis_work *state = work->state;
    const struct sl_bytes keys[] = {sl_redis_text(state->jobs), sl_redis_text(state->later),
                                    sl_redis_text(state->dead)};
    struct sl_bytes arguments[2 + ARGUMENTS_MAX] = {sl_redis_text(state->prefix), sl_redis_text(state->channel)};
    for (size_t i = 0; i < call->count; i++) {
        arguments[2 + i] = call->arguments[i];
    }
    const struct sl_redis_eval eval = {.script = call->script,
                                       .keys = keys,
                                       .keys_count = 3,
                                       .arguments = arguments,
                                       .arguments_count = 2 + call->count,
                                       .timeout = call->timeout,
                                       .idempotent = true,
                                       .urgent = true,
                                       .ret_sent = call->ret_sent};
    return sl_redis_eval(work->options.redis, &eval, ret_reply);
}

static int run_for_int(sl_work *work, const struct call *call, int64_t *ret_integer)
{
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(run(work, call, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    return sl_redis_value_int(&value, ret_integer);
}

static void make_token(char token[SL__WORK_TOKEN_BYTES])
{
    (void)snprintf(token, SL__WORK_TOKEN_BYTES, "%016" PRIx64 "%016" PRIx64, sl_random(), sl_random());
}

/* ---- steps ---- */

static int redis_add(sl_work *work, const struct sl_job_spec *spec, bool *ret_added)
{
    struct number delay, most;
    char token[SL__WORK_TOKEN_BYTES];
    int64_t answer = 0;
    make_token(token);
    const struct sl_bytes arguments[] = {sl_redis_text(spec->key),
                                         {spec->body, spec->body_bytes},
                                         milliseconds(&delay, spec->delay),
                                         number_of(&most, work->options.jobs_max),
                                         sl_redis_text(token)};
    SL_TRY(run_for_int(work, &(struct call){.script = add_script, .arguments = arguments, .count = 5}, &answer));
    if (answer < 0) {
        return sl_fail(SL_EAGAIN, "the work queue '%s' is full (%zu jobs)", work->name, work->options.jobs_max);
    }
    *ret_added = answer == 1;
    return 0;
}

static struct sl_bytes bytes_of(const struct sl_redis_value *value)
{
    return (struct sl_bytes){value->text, value->size_bytes};
}

static int bad_answer(const sl_work *work)
{
    return sl_fail(SL_EPROTO, "Redis did not answer the work queue '%s' as it should", work->name);
}

static int read_job(const sl_work *work, sl_job *job, const struct sl_redis_value *reply)
{
    struct sl_redis_value key = sl_redis_value_at(reply, 3), body = sl_redis_value_at(reply, 4),
                          progress = sl_redis_value_at(reply, 5), takes = sl_redis_value_at(reply, 6),
                          failures = sl_redis_value_at(reply, 7), entry = sl_redis_value_at(reply, 8);
    int64_t failed = 0;
    if (sl_redis_value_int(&takes, &job->fence) < 0 || sl_redis_value_int(&failures, &failed) < 0 ||
        entry.type != SL_REDIS_STRING || entry.size_bytes >= sizeof job->entry) {
        return bad_answer(work);
    }
    job->failures = (uint32_t)failed;
    memcpy(job->entry, entry.text, entry.size_bytes + 1);
    return sl__work_fill(job, bytes_of(&key), bytes_of(&body), bytes_of(&progress));
}

static int read_answer(sl_work *work, sl_job *job, const sl_redis_reply *reply, struct sl__work_answer *ret_answer)
{
    struct redis_work *state = work->state;
    struct sl_redis_value value = sl_redis_reply_value(reply), taken = sl_redis_value_at(&value, 0),
                          second = sl_redis_value_at(&value, 1), cursor = sl_redis_value_at(&value, 2);
    if (taken.type != SL_REDIS_INTEGER || second.type != SL_REDIS_INTEGER || cursor.type != SL_REDIS_STRING ||
        cursor.size_bytes >= sizeof state->cursor) {
        return bad_answer(work);
    }
    memcpy(state->cursor, cursor.text, cursor.size_bytes + 1);
    if (taken.integer == 0) {
        ret_answer->wait = second.integer < 0 ? SL_NEVER : SL_MILLISECONDS(second.integer + 1);
        ret_answer->empty = sl_redis_value_at(&value, 3).integer == 0;
        return 0;
    }
    ret_answer->taken = true;
    ret_answer->taken_over = second.integer != 0;
    return read_job(work, job, &value);
}

static int redis_take(sl_work *work, sl_job *job, struct sl__work_answer *ret_answer)
{
    const struct redis_work *state = work->state;
    const struct sl_work_options *options = &work->options;
    struct number lease, attempts, dead, remember;
    const struct sl_bytes arguments[] = {sl_redis_text(job->token),
                                         milliseconds(&lease, options->lease),
                                         number_of(&attempts, options->attempts),
                                         number_of(&dead, options->dead_max),
                                         milliseconds(&remember, options->remember),
                                         sl_redis_text(state->cursor)};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(run(work, &(struct call){.script = take_script, .arguments = arguments, .count = 6, .ret_sent = &job->asked},
               &reply));
    return read_answer(work, job, reply, ret_answer);
}

static int redis_keep(sl_work *work, sl_job *job, const char *progress, sl_time timeout, bool *ret_ours)
{
    const struct sl_bytes arguments[] = {sl_redis_text(job->token), sl_redis_text(job->key), sl_redis_text(job->entry),
                                         sl_redis_text(progress == NULL ? "0" : "1"),
                                         sl_redis_text(progress == NULL ? "" : progress)};
    int64_t answer = 0;
    SL_TRY(run_for_int(
        work, &(struct call){.script = keep_script, .arguments = arguments, .count = 5, .timeout = timeout}, &answer));
    *ret_ours = answer == 1;
    return 0;
}

static int redis_settle(sl_work *work, sl_job *job, enum sl__work_how how, const char *reason,
                        struct sl__work_settled *ret_settled)
{
    static const char *const hows[] = {"done", "back", "fail", "bury"};
    const struct sl_work_options *options = &work->options;
    struct number delay, attempts, dead, remember;
    const struct sl_bytes arguments[] = {
        sl_redis_text(job->token),
        sl_redis_text(hows[how]),
        milliseconds(&delay, how == SL__WORK_BACK ? job->postpone : sl__work_delay(work, job->failures)),
        {reason, strnlen(reason, SL_WORK_REASON_BYTES - 1)},
        number_of(&attempts, options->attempts),
        number_of(&dead, options->dead_max),
        milliseconds(&remember, options->remember),
        sl_redis_text(job->key == NULL ? "" : job->key)};
    int64_t answer = 0;
    const struct call call = {
        .script = settle_script, .arguments = arguments, .count = 8, .timeout = options->lease / SL__WORK_TRY_SHARE};
    SL_TRY(run_for_int(work, &call, &answer));
    *ret_settled = (struct sl__work_settled){.ours = answer > 0, .buried = answer % 10 == 2, .before = answer > 10};
    return 0;
}

/* ---- views ---- */

static int redis_depth(sl_work *work, struct sl_work_depth *ret_depth)
{
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(run(work, &(struct call){.script = depth_script}, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    if (value.count != 4) {
        return bad_answer(work);
    }
    *ret_depth = (struct sl_work_depth){.waiting = (uint64_t)sl_redis_value_at(&value, 0).integer,
                                        .in_hand = (uint64_t)sl_redis_value_at(&value, 1).integer,
                                        .later = (uint64_t)sl_redis_value_at(&value, 2).integer,
                                        .dead = (uint64_t)sl_redis_value_at(&value, 3).integer};
    return 0;
}

static int tell_dead(const struct sl_redis_stream_entry *entry, sl_work_dead_fn fn, void *arg)
{
    struct sl_redis_value key = sl_redis_value_find(&entry->fields, "key"),
                          body = sl_redis_value_find(&entry->fields, "body"),
                          progress = sl_redis_value_find(&entry->fields, "progress"),
                          failures = sl_redis_value_find(&entry->fields, "failures"),
                          reason = sl_redis_value_find(&entry->fields, "reason");
    int64_t failed = 0, when = 0;
    struct sl_redis_value id = {.type = SL_REDIS_STRING, .text = entry->id, .size_bytes = strcspn(entry->id, "-")};
    if (key.type != SL_REDIS_STRING || reason.type != SL_REDIS_STRING || sl_redis_value_int(&failures, &failed) < 0 ||
        sl_redis_value_int(&id, &when) < 0) {
        return sl_fail(SL_EPROTO, "a dead letter in Redis is not as it should be");
    }
    const struct sl_work_dead dead = {.key = key.text,
                                      .body = body.text,
                                      .reason = reason.text,
                                      .progress = progress.text,
                                      .body_bytes = body.size_bytes,
                                      .failures = (uint32_t)failed,
                                      .time_ns = when * 1000000};
    return fn(arg, &dead);
}

static int redis_dead_list(sl_work *work, sl_work_dead_fn fn, void *arg)
{
    const struct redis_work *state = work->state;
    char from[SL_REDIS_STREAM_ID_BYTES + 1] = "-";
    for (size_t told = 0; told < work->options.dead_max;) {
        sl_auto(sl_redis_reply) *reply = NULL;
        SL_TRY(sl_redis_do(work->options.redis, &reply, "XRANGE", state->dead, from, "+", "COUNT", DEAD_BATCH));
        struct sl_redis_value value = sl_redis_reply_value(reply);
        struct sl_redis_list list = sl_redis_value_list(&value);
        struct sl_redis_stream_entry entry;
        if (value.count == 0) {
            return 0;
        }
        while (told < work->options.dead_max && sl_redis_stream_next(&list, &entry)) {
            int code = tell_dead(&entry, fn, arg);
            if (code != 0) {
                return code;
            }
            told++;
            (void)snprintf(from, sizeof from, "(%s", entry.id);
        }
    }
    return 0;
}

static int redis_revive(sl_work *work, const char *key)
{
    struct number most;
    char token[SL__WORK_TOKEN_BYTES];
    int64_t answer = 0;
    make_token(token);
    const struct sl_bytes arguments[] = {sl_redis_text(key), number_of(&most, work->options.jobs_max),
                                         sl_redis_text(token)};
    SL_TRY(run_for_int(work, &(struct call){.script = revive_script, .arguments = arguments, .count = 3}, &answer));
    if (answer < 0) {
        return sl_fail(SL_EAGAIN, "the work queue '%s' is full (%zu jobs)", work->name, work->options.jobs_max);
    }
    return answer == 1 ? 0 : sl_fail(SL_ENOENT, "there is no dead job '%s'", key);
}

/* ---- its life ---- */

static int redis_open(sl_work *work)
{
    struct redis_work *state = sl_calloc(1, sizeof *state);
    if (state == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a work queue");
    }
    (void)snprintf(state->jobs, sizeof state->jobs, "sluice:{%s}:jobs", work->name);
    (void)snprintf(state->later, sizeof state->later, "sluice:{%s}:later", work->name);
    (void)snprintf(state->dead, sizeof state->dead, "sluice:{%s}:dead", work->name);
    (void)snprintf(state->prefix, sizeof state->prefix, "sluice:{%s}:job:", work->name);
    (void)snprintf(state->channel, sizeof state->channel, "sluice:{%s}:work", work->name);
    (void)snprintf(state->cursor, sizeof state->cursor, "0-0");
    work->state = state;
    return 0;
}

static void redis_close(sl_work *work)
{
    sl_free(work->state);
}

const struct sl__work_backend sl__work_redis = {.add = redis_add,
                                                .take = redis_take,
                                                .keep = redis_keep,
                                                .settle = redis_settle,
                                                .depth = redis_depth,
                                                .dead_list = redis_dead_list,
                                                .revive = redis_revive,
                                                .open = redis_open,
                                                .close = redis_close};
