/* SPDX-License-Identifier: MIT */
/* The client: its connections, and commands that are tried again where that is safe. */
#include "sluice/redis.h"

#include <string.h>

#include "client.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define TRIES_MAX 16
#define FREE_BUDGET SL_SECONDS(1)

/* ---- life ---- */

static void free_client(sl_redis *redis)
{
    sl_free(redis->hub);
    sl__redis_cluster_free(redis->cluster);
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
    const struct sl__redis_settings *settings = redis->settings;
    if (settings->kind == SL__REDIS_SENTINEL) {
        return sl__redis_ask_sentinels(settings, ret_address);
    }
    *ret_address = settings->hosts[redis->located++ % settings->hosts_count];
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
    if (code == 0 && redis->settings->kind == SL__REDIS_CLUSTER && !redis->alone) {
        code = sl__redis_cluster_open(redis);
    }
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
}

/* ---- sending ---- */

/* The connection for a request; urgent ones get theirs when the first one comes. */
static int choose(sl_redis *redis, const struct sl_redis_request *request, struct sl__redis_connection **ret_connection)
{
    if (redis->cluster != NULL) {
        return sl__redis_cluster_route(redis, request, ret_connection);
    }
    *ret_connection = redis->main;
    if (!request->urgent || redis->alone || redis->main->ended) {
        return 0;
    }
    if (redis->urgent == NULL) {
        struct sl__redis_connection *connection = new_connection(redis);
        if (connection == NULL || sl__redis_connection_start(connection, redis->scope) < 0) {
            sl__redis_connection_free(connection);
            return 0;
        }
        redis->urgent = connection;
    }
    *ret_connection = redis->urgent;
    return 0;
}

/* When the client's scope has ended its tasks, cleanups may still send: over a connection just for that. */
static int perform_detached(const struct sl__redis_connection *old, const struct sl_redis_request *requests,
                            size_t count, struct sl__redis_slot *slots, sl_time deadline)
{
    struct sl__redis_connection *connection =
        sl__redis_connection_new(old->settings, old->store, old->stats, &old->hooks);
    if (connection == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis connection");
    }
    connection->alone = old->alone;
    sl_scope scope = SL_SCOPE_INIT;
    int code = sl_scope_open(&scope, &(struct sl_scope_options){.name = "redis"});
    if (code == 0) {
        code = sl__redis_connection_start(connection, &scope);
        code = code == 0 ? sl__redis_perform(connection, requests, count, slots, deadline) : code;
        code = sl_scope_close(&scope, code);
    }
    sl__redis_connection_free(connection);
    return code;
}

static int perform_on(struct sl__redis_connection *connection, const struct sl_redis_request *requests, size_t count,
                      struct sl__redis_slot *slots, sl_time deadline)
{
    int code = SL_ECLOSED;
    if (!connection->ended) {
        code = sl__redis_perform(connection, requests, count, slots, deadline);
    }
    return code == SL_ECLOSED ? perform_detached(connection, requests, count, slots, deadline) : code;
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

static int lost(int code)
{
    return sl_fail(code, code == SL_ETIMEDOUT ? "no reply from Redis in time"
                                              : "the connection to Redis was lost before the reply");
}

/* All replies, or a code; tries again while that is safe and there is time. `connection` NULL: the one for the first. */
static int perform_until(sl_redis *redis, struct sl__redis_connection *connection,
                         const struct sl_redis_request *requests, size_t count, struct sl__redis_slot *slots,
                         sl_time deadline)
{
    for (int tries = 1;; tries++) {
        struct sl__redis_connection *chosen = connection;
        if (chosen == NULL) {
            SL_TRY(choose(redis, requests, &chosen));
        }
        int code = perform_on(chosen, requests, count, slots, deadline);
        bool elsewhere = redis->cluster != NULL && connection == NULL && !chosen->up && code != SL_ECANCELED;
        if (code < 0 && elsewhere && tries < TRIES_MAX && sl_now() < deadline) {
            continue; /* nothing was sent: by now another node may serve it */
        }
        SL_TRY(code);
        code = first_failure(slots, count);
        if (code == 0) {
            return 0;
        }
        bool again = may_repeat(requests, count, slots) && tries < TRIES_MAX && sl_now() < deadline;
        free_replies(slots, count);
        if (!again) {
            return lost(code);
        }
        redis->stats.retried += count;
    }
}

/* ---- redirects ---- */

/* The command again, at the node that asked for it, with the word that lets us in. */
static int ask_there(sl_redis *redis, struct sl__redis_connection *connection, const struct sl_redis_request *request,
                     struct sl__redis_slot *slot, sl_time deadline)
{
    const struct sl_redis_request pair[2] = {{.texts = sl__redis_asking, .idempotent = true}, *request};
    struct sl__redis_slot slots[2] = {{0}, {0}};
    SL_TRY(perform_until(redis, connection, pair, 2, slots, deadline));
    sl_redis_reply_free(slots[0].reply);
    *slot = slots[1];
    return 0;
}

/* Follows what a node of a cluster answered until another serves the command, or there is no more time. */
static int settle(sl_redis *redis, const struct sl_redis_request *request, struct sl__redis_slot *slot,
                  sl_time deadline)
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        struct sl_redis_value value = sl_redis_reply_value(slot->reply);
        enum sl_redis_problem problem = value.type == SL_REDIS_ERROR ? sl_redis_problem_of(&value) : SL_REDIS_OTHER;
        bool moved = problem == SL_REDIS_MOVED || problem == SL_REDIS_ASK;
        bool later = problem == SL_REDIS_TRYAGAIN || problem == SL_REDIS_CLUSTERDOWN;
        struct sl__redis_connection *connection = NULL;
        if ((!moved && !later) || sl_now() >= deadline) {
            return 0;
        }
        int code = moved ? sl__redis_cluster_follow(redis, &value, request->urgent, &connection)
                         : sl_sleep(sl_backoff_delay(&redis->settings->backoff, (uint32_t)tries, sl_random_unit()));
        sl_redis_reply_free(slot->reply);
        slot->reply = NULL;
        SL_TRY(code);
        redis->stats.redirects += moved;
        redis->stats.retried += later;
        SL_TRY(problem == SL_REDIS_ASK ? ask_there(redis, connection, request, slot, deadline)
                                       : perform_until(redis, connection, request, 1, slot, deadline));
    }
    return 0;
}

/* A cluster's commands go node by node, as long as the next one is for the same. */
static int perform_in_cluster(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                              struct sl__redis_slot *slots, sl_time deadline)
{
    size_t done = 0;
    int code = 0;
    while (code == 0 && done < count) {
        struct sl__redis_connection *connection = NULL, *next = NULL;
        size_t run = 1;
        code = choose(redis, &requests[done], &connection);
        for (; code == 0 && done + run < count; run++) {
            code = choose(redis, &requests[done + run], &next);
            if (code < 0 || next != connection) {
                break;
            }
        }
        code = code == 0
                   ? perform_until(redis, run == 1 ? NULL : connection, &requests[done], run, &slots[done], deadline)
                   : code;
        done += code == 0 ? run : 0;
    }
    for (size_t i = 0; i < count && code == 0; i++) {
        code = settle(redis, &requests[i], &slots[i], deadline);
    }
    if (code < 0) {
        free_replies(slots, count);
    }
    return code;
}

static int perform_all(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                       struct sl__redis_slot *slots, sl_time timeout)
{
    sl_time deadline = timeout == SL_NEVER ? SL_NEVER : sl_time_add(sl_now(), timeout);
    return redis->cluster != NULL ? perform_in_cluster(redis, requests, count, slots, deadline)
                                  : perform_until(redis, NULL, requests, count, slots, deadline);
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
        return perform_all(redis, requests, count, slots, timeout == 0 ? usual : timeout);
    }
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "redis", .timeout = timeout}));
    int code = perform_all(redis, requests, count, slots, timeout > usual ? timeout : usual);
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
    struct sl_redis_value error;
    if (sl__redis_reply_is_error(slot.reply, &error)) {
        enum sl_redis_problem problem = sl_redis_problem_of(&error);
        redis->stats.errors++;
        if (problem == SL_REDIS_READONLY && redis->settings->kind == SL__REDIS_SENTINEL) {
            sl__redis_connection_lose(request->urgent && redis->urgent != NULL ? redis->urgent : redis->main,
                                      SL_ECONNRESET, "it is no master any more");
        }
        if (!request->keep_errors) {
            code = sl_fail(sl__redis_problem_code(problem), "Redis: %s", error.text);
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
        struct sl_redis_value error;
        redis->stats.errors += sl__redis_reply_is_error(slots[i].reply, &error);
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
