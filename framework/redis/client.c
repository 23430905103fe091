/* SPDX-License-Identifier: MIT */
/* The client: its connections, and commands that are tried again where that is safe. */
#include "sluice/redis.h"

#include <string.h>

#include "client.h"

#define TRIES_MAX 16
#define FREE_BUDGET SL_SECONDS(1)

/* ---- life ---- */

static void free_client(sl_redis *redis)
{
    if (redis->free_hub != NULL) {
        redis->free_hub(redis->hub);
    }
    sl__redis_connection_free(redis->main);
    sl__redis_connection_free(redis->urgent);
    sl__redis_store_drop(redis->store);
    if (redis->owner == redis && redis->settings != NULL) {
        sl__redis_settings_done(redis->settings);
        sl_free(redis->settings);
    }
    sl_free(redis);
}

/* The scope's cleanup: its daemons have ended. */
static int end_client(void *arg)
{
    free_client(arg);
    return 0;
}

int sl__redis_locate(void *context, struct sl__redis_address *ret_address)
{
    sl_redis *redis = context;
    *ret_address = redis->settings->hosts[0];
    return 0;
}

struct sl__redis_connection *sl__redis_connection_of(sl_redis *redis, const struct sl__redis_hooks *hooks)
{
    return sl__redis_connection_new(redis->settings, redis->store, &redis->stats, hooks);
}

static struct sl__redis_connection *new_connection(sl_redis *redis)
{
    const struct sl__redis_hooks hooks = {.locate = sl__redis_locate, .locate_context = redis};
    struct sl__redis_connection *connection = sl__redis_connection_of(redis, &hooks);
    if (connection != NULL) {
        connection->alone = redis->alone;
    }
    return connection;
}

static int start_client(sl_redis *redis, sl_scope *scope, sl_redis **ret_redis)
{
    sl_cleanup *cleanup = NULL;
    redis->scope = scope;
    redis->store = sl__redis_store_new();
    redis->main = redis->store == NULL ? NULL : new_connection(redis);
    int code = redis->main == NULL ? sl_fail(SL_ENOMEM, "no memory for a Redis client") : 0;
    code = code == 0 ? sl_cleanup_reserve(scope, &cleanup) : code;
    code = code == 0 ? sl__redis_connection_start(redis->main, scope) : code;
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
        free_client(redis);
        return code;
    }
    *ret_redis = redis;
    return sl_cleanup_arm(cleanup, end_client, redis, FREE_BUDGET);
}

int sl_redis_open(sl_scope *scope, const struct sl_redis_options *options, sl_redis **ret_redis)
{
    sl_redis *redis = sl_calloc(1, sizeof *redis);
    struct sl__redis_settings *settings = sl_calloc(1, sizeof *settings);
    if (redis == NULL || settings == NULL) {
        sl_free(redis);
        sl_free(settings);
        return sl_fail(SL_ENOMEM, "no memory for a Redis client");
    }
    redis->owner = redis;
    redis->settings = settings;
    int code = sl__redis_settings_init(settings, options);
    if (code < 0) {
        free_client(redis);
        return code;
    }
    return start_client(redis, scope, ret_redis);
}

int sl_redis_open_blocking(sl_scope *scope, sl_redis *redis, sl_redis **ret_redis)
{
    sl_redis *client = sl_calloc(1, sizeof *client);
    if (client == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis client");
    }
    client->owner = redis->owner;
    client->settings = redis->settings;
    client->alone = true;
    return start_client(client, scope, ret_redis);
}

void sl_redis_stats_get(const sl_redis *redis, struct sl_redis_stats *ret_stats)
{
    *ret_stats = redis->stats;
    ret_stats->connected = redis->main->up;
}

/* ---- sending ---- */

/* The connection for a request; urgent ones get theirs when the first one comes. */
static struct sl__redis_connection *choose(sl_redis *redis, const struct sl_redis_request *request)
{
    if (!request->urgent || redis->alone || redis->main->ended) {
        return redis->main;
    }
    if (redis->urgent == NULL) {
        struct sl__redis_connection *connection = new_connection(redis);
        if (connection == NULL || sl__redis_connection_start(connection, redis->scope) < 0) {
            sl__redis_connection_free(connection);
            return redis->main;
        }
        redis->urgent = connection;
    }
    return redis->urgent;
}

/* When the client's scope has ended its tasks, cleanups may still send: over a connection just for that. */
static int perform_detached(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                            struct sl__redis_slot *slots, sl_time timeout)
{
    struct sl__redis_connection *connection = new_connection(redis);
    if (connection == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis connection");
    }
    sl_scope scope = SL_SCOPE_INIT;
    int code = sl_scope_open(&scope, &(struct sl_scope_options){.name = "redis"});
    if (code == 0) {
        code = sl__redis_connection_start(connection, &scope);
        code = code == 0 ? sl__redis_perform(connection, requests, count, slots, timeout) : code;
        code = sl_scope_close(&scope, code);
    }
    sl__redis_connection_free(connection);
    return code;
}

static int perform(sl_redis *redis, const struct sl_redis_request *requests, size_t count, struct sl__redis_slot *slots,
                   sl_time timeout)
{
    struct sl__redis_connection *connection = choose(redis, requests);
    int code = SL_ECLOSED;
    if (!connection->ended) {
        code = sl__redis_perform(connection, requests, count, slots, timeout);
    }
    return code == SL_ECLOSED ? perform_detached(redis, requests, count, slots, timeout) : code;
}

/* Whether all that failed may be sent again. */
static bool may_repeat(const struct sl_redis_request *requests, size_t count, const struct sl__redis_slot *slots)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (slots[i].code == SL_ENOMEM) {
            return false;
        }
        any = any || slots[i].code < 0;
        bool repeatable = requests[i].idempotent || (slots[i].code < 0 && slots[i].unsent);
        if (!repeatable) {
            return false;
        }
    }
    return any;
}

static int first_failure(const struct sl__redis_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slots[i].code < 0) {
            return slots[i].code;
        }
    }
    return 0;
}

static void free_replies(struct sl__redis_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sl_redis_reply_free(slots[i].reply);
        slots[i].reply = NULL;
    }
}

/* All replies, or a code; tries again while that is safe and there is time. */
static int perform_until(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                         struct sl__redis_slot *slots, sl_time timeout)
{
    sl_time deadline = timeout == SL_NEVER ? SL_NEVER : sl_time_add(sl_now(), timeout);
    for (int tries = 1;; tries++) {
        sl_time left = deadline == SL_NEVER ? SL_NEVER : deadline - sl_now();
        SL_TRY(perform(redis, requests, count, slots, left < 0 ? 0 : left));
        int code = first_failure(slots, count);
        if (code == 0) {
            return 0;
        }
        bool again = may_repeat(requests, count, slots) && tries < TRIES_MAX && sl_now() < deadline;
        free_replies(slots, count);
        if (!again) {
            return sl_fail(code, code == SL_ETIMEDOUT ? "no reply from Redis in time"
                                                      : "the connection to Redis was lost before the reply");
        }
        redis->stats.retried += count;
    }
}

/* A request's own timeout is a scope of its own: then only its caller gives up. */
static int perform_within(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                          struct sl__redis_slot *slots)
{
    sl_time timeout = requests->timeout;
    sl_time usual = redis->alone ? SL_NEVER : redis->settings->timeout;
    if (timeout < 0) {
        return sl_fail(SL_EINVAL, "a negative timeout of a Redis command");
    }
    if (timeout == 0 || timeout == SL_NEVER) {
        return perform_until(redis, requests, count, slots, timeout == 0 ? usual : timeout);
    }
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "redis", .timeout = timeout}));
    int code = perform_until(redis, requests, count, slots, timeout > usual ? timeout : usual);
    bool gone = code == SL_ECANCELED;
    code = sl_scope_close(&limit, code);
    if (code == SL_ETIMEDOUT && gone) {
        return sl_fail(code, "no reply from Redis within %lld ms", (long long)(timeout / 1000000));
    }
    return code;
}

int sl_redis_send(sl_redis *redis, const struct sl_redis_request *request, sl_redis_reply **ret_reply)
{
    struct sl__redis_slot slot = {0};
    SL_TRY(perform_within(redis, request, 1, &slot));
    int code = 0;
    struct sl_redis_value value = sl_redis_reply_value(slot.reply);
    if (value.type == SL_REDIS_ERROR) {
        redis->stats.errors++;
        if (!request->keep_errors) {
            code = sl_fail(sl__redis_problem_code(sl_redis_problem_of(&value)), "Redis: %s", value.text);
        }
    }
    if (code < 0 || ret_reply == NULL) {
        sl_redis_reply_free(slot.reply);
    } else {
        *ret_reply = slot.reply;
    }
    return code;
}

int sl_redis_send_all(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                      sl_redis_reply **ret_replies)
{
    if (count == 0 || count > SL_REDIS_COMMANDS_MAX / 2) {
        return count == 0 ? 0 : sl_fail(SL_EINVAL, "more than %d Redis commands at once", SL_REDIS_COMMANDS_MAX / 2);
    }
    struct sl__redis_slot *slots = sl_calloc(count, sizeof *slots);
    if (slots == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for Redis commands");
    }
    for (size_t i = 0; i < count && ret_replies != NULL; i++) {
        ret_replies[i] = NULL;
    }
    int code = perform_within(redis, requests, count, slots);
    for (size_t i = 0; i < count && code == 0; i++) {
        struct sl_redis_value value = sl_redis_reply_value(slots[i].reply);
        redis->stats.errors += value.type == SL_REDIS_ERROR;
        if (ret_replies != NULL) {
            ret_replies[i] = slots[i].reply;
        } else {
            sl_redis_reply_free(slots[i].reply);
        }
    }
    sl_free(slots);
    return code;
}

int sl_redis_send_texts(sl_redis *redis, const char *const *texts, sl_redis_reply **ret_reply)
{
    return sl_redis_send(redis, &(const struct sl_redis_request){.texts = texts}, ret_reply);
}

int sl_redis_send_int(sl_redis *redis, const char *const *texts, int64_t *ret_integer)
{
    sl_redis_reply *reply = NULL;
    SL_TRY(sl_redis_send_texts(redis, texts, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    int code = sl_redis_value_int(&value, ret_integer);
    sl_redis_reply_free(reply);
    return code;
}
