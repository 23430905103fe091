/* SPDX-License-Identifier: MIT */
/* What the tests of locks share: clients of a server of their own, directly and through the proxy. */
#ifndef LOCK_KIT_H
#define LOCK_KIT_H

#include <string.h>

#include "redis_proxy.h"
#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/lock.h"
#include "sluice/sync.h"

#define KEY "feed:btcusdt"

static char kit_url[64];

static inline int kit_client(sl_scope *scope, const char *url, sl_redis **ret_redis)
{
    const struct sl_redis_options options = {.url = url,
                                             .drain_timeout = SL_MILLISECONDS(100),
                                             .timeout = SL_SECONDS(2),
                                             .backoff = {.initial = SL_MILLISECONDS(10), .max = SL_MILLISECONDS(50)}};
    return sl_redis_open(scope, &options, ret_redis);
}

/* A client of an empty server that knows the locks' scripts. */
static inline int kit_begin(sl_scope *scope, sl_redis **ret_redis)
{
    int port = redis_server_port();
    CHECK(port > 0);
    (void)snprintf(kit_url, sizeof kit_url, "redis://127.0.0.1:%d", port);
    SL_TRY(kit_client(scope, kit_url, ret_redis));
    {
        SL_SCOPE(warm);
        sl_lock *lock = NULL;
        CHECK_EQ(sl_redis_lock(&warm, *ret_redis, "warm", .fenced = true, .ret_lock = &lock), 0);
        CHECK_EQ(sl_lock_extend(lock, SL_SECONDS(1)), 0);
        CHECK_EQ(sl_scope_wait(&warm), 0);
    }
    return sl_redis_do(*ret_redis, NULL, "FLUSHALL");
}

/* The same with the proxy in between for a second client. */
static inline int kit_begin_proxied(sl_scope *scope, struct redis_proxy *proxy, sl_redis **ret_direct,
                                    sl_redis **ret_proxied)
{
    SL_TRY(kit_begin(scope, ret_direct));
    SL_TRY(redis_proxy_begin(proxy, scope, redis_server_port()));
    return kit_client(scope, proxy->url, ret_proxied);
}

static inline int kit_number(sl_redis *redis, const char *command, const char *key, int64_t *ret_number)
{
    const char *const texts[] = {command, key, NULL};
    return sl_redis_send_int(redis, texts, ret_number);
}

#define CHECK_NUMBER(redis, command, key, expected)                                                                    \
    do {                                                                                                               \
        int64_t kit_value = -99;                                                                                       \
        CHECK_EQ(kit_number(redis, command, key, &kit_value), 0);                                                      \
        CHECK_EQ(kit_value, expected);                                                                                 \
    } while (0)

#define CHECK_BETWEEN(value, low, high)                                                                                \
    do {                                                                                                               \
        long long kit_measured = (long long)(value);                                                                   \
        if (kit_measured < (long long)(low) || kit_measured > (long long)(high)) {                                     \
            sl_check_failed_numbers(__FILE__, __LINE__, #value " in " #low " to " #high, kit_measured,                 \
                                    (long long)(low));                                                                 \
            return SL_CHECK_FAILED;                                                                                    \
        }                                                                                                              \
    } while (0)

#define CHECK_PTTL(redis, key, low, high)                                                                              \
    do {                                                                                                               \
        int64_t kit_pttl = -99;                                                                                        \
        CHECK_EQ(kit_number(redis, "PTTL", key, &kit_pttl), 0);                                                        \
        CHECK_BETWEEN(kit_pttl, low, high);                                                                            \
    } while (0)

#define CHECK_MESSAGE(part) CHECK(strstr(sl_error_message(sl_error_last()), part) != NULL)

/* A task that takes the lock, says when, and holds it until it is told not to. */
struct kit_holder {
    sl_redis *redis;
    const char *key;
    struct sl_redis_lock_options options;
    int code; /* 1: not known yet */
    int ended;
    sl_time since;
    int64_t fence;
    sl_event let_go;
    sl_event *held;
};

static inline int kit_hold(void *arg)
{
    struct kit_holder *holder = arg;
    SL_SCOPE(scope);
    sl_lock *lock = NULL;
    holder->options.ret_lock = &lock;
    holder->code = sl_redis_lock_with(&scope, holder->redis, holder->key, &holder->options);
    SL_TRY(holder->code);
    holder->since = sl_now();
    holder->fence = sl_lock_fence(lock);
    if (holder->held != NULL) {
        sl_event_set(holder->held);
    }
    holder->ended = sl_event_wait(&holder->let_go);
    return sl_scope_close(&scope, holder->ended);
}

#define KIT_HOLDER(client, ...)                                                                                        \
    {                                                                                                                  \
        .redis = (client), .key = KEY, .options = {__VA_ARGS__}, .code = 1, .ended = 1, .let_go = SL_EVENT_INIT        \
    }

/* Waits, by the clock, until a condition of another task holds; the case's time bounds it. */
#define KIT_UNTIL(condition)                                                                                           \
    while (!(condition)) {                                                                                             \
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);                                                                     \
    }

#endif
