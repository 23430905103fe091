/* SPDX-License-Identifier: MIT */
/* The Redis client when things go wrong: cancelled commands, cut connections, silence, caps, memory. */
#include <string.h>

#include "redis_proxy.h"
#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/redis.h"

static char url[64];

static int begin(sl_scope *scope, struct redis_proxy *proxy, struct sl_redis_options options, sl_redis **ret_redis)
{
    int port = redis_server_port();
    CHECK(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    options.url = url;
    if (proxy != NULL) {
        CHECK_EQ(redis_proxy_begin(proxy, scope, port), 0);
        options.url = proxy->url;
    }
    options.backoff = (struct sl_backoff){.initial = SL_MILLISECONDS(5), .max = SL_MILLISECONDS(20)};
    CHECK_EQ(sl_redis_open(scope, &options, ret_redis), 0);
    return sl_redis_do(*ret_redis, NULL, "FLUSHALL");
}

static int end(sl_scope *scope, struct redis_proxy *proxy)
{
    int code = sl_scope_wait(scope);
    redis_proxy_end(proxy);
    return code;
}

static int echo(sl_redis *redis, int number)
{
    char text[16];
    sl_auto(sl_redis_reply) *reply = NULL;
    (void)snprintf(text, sizeof text, "%d", number);
    SL_TRY(sl_redis_do(redis, &reply, "ECHO", text));
    CHECK_STRING(sl_redis_reply_value(reply).text, text);
    return 0;
}

struct echoing {
    sl_redis *redis;
    int from, count, done;
};

static int echo_many(void *arg)
{
    struct echoing *echoing = arg;
    for (int i = 0; i < echoing->count; i++) {
        SL_TRY(echo(echoing->redis, echoing->from + i));
        echoing->done++;
    }
    return 0;
}

C_TEST_REAL_FEW(cancelled_commands_keep_the_step,
                "tasks are cancelled at random moments: everybody else gets exactly its "
                "own replies, over the same connection",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(begin(&scope, NULL, (struct sl_redis_options){0}, &redis), 0);
    struct echoing kept[8];
    SL_SCOPE(tasks);
    for (int i = 0; i < 8; i++) {
        kept[i] = (struct echoing){redis, i * 100000, 300, 0};
        CHECK_EQ(sl_spawn(&tasks, echo_many, &kept[i]), 0);
    }
    for (int round = 0; round < 200; round++) {
        struct echoing gone[4];
        SL_SCOPE(short_lived);
        for (int i = 0; i < 4; i++) {
            gone[i] = (struct echoing){redis, 5000000 + i * 1000, 1000, 0};
            CHECK_EQ(sl_spawn(&short_lived, echo_many, &gone[i]), 0);
        }
        for (uint64_t turns = sl_conformance_random() % 7; turns > 0; turns--) {
            CHECK_EQ(sl_checkpoint(), 0);
        }
        sl_scope_cancel(&short_lived, NULL);
        CHECK_EQ(sl_scope_wait(&short_lived), 0);
    }
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(kept[i].done, 300);
    }
    struct sl_redis_stats stats;
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.connects, 1);
    CHECK(stats.discarded > 0);
    CHECK_EQ(stats.in_flight, 0);
    CHECK_EQ(stats.waiting, 0);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(bytes_one_at_a_time, "replies that come byte by byte are whole", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_proxy proxy = {.split = true};
    CHECK_EQ(begin(&scope, &proxy, (struct sl_redis_options){0}, &redis), 0);
    for (int i = 0; i < 20; i++) {
        SL_TRY(echo(redis, i));
    }
    CHECK_EQ(sl_redis_do(redis, NULL, "RPUSH", "l", "a", "b", "c"), 0);
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_do(redis, &reply, "LRANGE", "l", "0", "-1"), 0);
    CHECK_EQ(sl_redis_reply_value(reply).count, 3);
    return end(&scope, &proxy);
}

C_TEST_REAL_FEW(a_cut_connection,
                "what was sent and may not be repeated fails; what may be is sent again; what comes "
                "later works",
                "")
{
    for (int idempotent = 0; idempotent < 2; idempotent++) {
        for (int after = 0; after < 2; after++) {
            SL_SCOPE(scope);
            sl_redis *redis = NULL;
            struct redis_proxy proxy = {0};
            int64_t value = 0;
            /* No time limit makes a connection of its own, however slow the machine is. */
            const struct sl_redis_options patient = {.timeout = SL_SECONDS(60), .connect_timeout = SL_SECONDS(60)};
            CHECK_EQ(begin(&scope, &proxy, patient, &redis), 0);
            for (int i = 0; i < 4; i++) {
                proxy.plan[REDIS_PROXY_OTHER][i] = REDIS_PROXY_PASS;
            }
            proxy.counts[REDIS_PROXY_OTHER] = 0;
            proxy.plan[REDIS_PROXY_OTHER][0] = after ? REDIS_PROXY_CUT_AFTER : REDIS_PROXY_CUT_BEFORE;
            const char *const incr[] = {"INCR", "n", NULL};
            const struct sl_redis_request request = {.texts = incr, .idempotent = idempotent};
            CHECK_EQ(sl_redis_send(redis, &request, NULL), idempotent ? 0 : SL_ECONNRESET);
            CHECK_EQ(sl_redis_do_int(redis, &value, "INCRBY", "n", "0"), 0);
            CHECK_EQ(value, (after ? 1 : 0) + (idempotent ? 1 : 0));
            struct sl_redis_stats stats;
            sl_redis_stats_get(redis, &stats);
            CHECK_EQ(stats.connects, 2);
            CHECK_EQ(stats.retried, idempotent);
            SL_TRY(end(&scope, &proxy));
        }
    }
    return 0;
}

C_TEST_REAL_FEW(unsent_commands_wait, "commands that come while there is no connection are sent when it is back", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_proxy proxy = {0};
    CHECK_EQ(begin(&scope, &proxy, (struct sl_redis_options){0}, &redis), 0);
    proxy.refuse = true;
    int code = sl_redis_do(redis, NULL, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no");
    CHECK(code == 0 || code == SL_ECONNRESET);
    struct sl_redis_stats stats = {0};
    while (stats.losses == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        sl_redis_stats_get(redis, &stats);
    }
    struct echoing later = {redis, 7, 3, 0};
    SL_SCOPE(tasks);
    CHECK_EQ(sl_spawn(&tasks, echo_many, &later), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(60)), 0);
    CHECK_EQ(later.done, 0);
    proxy.refuse = false;
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    CHECK_EQ(later.done, 3);
    return end(&scope, &proxy);
}

C_TEST_REAL_FEW(silence,
                "a server that does not answer: the client's timeout ends the connection, a request's own only "
                "its wait; forgotten replies that do not come end it too",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_proxy proxy = {0};
    const struct sl_redis_options options = {.timeout = SL_MILLISECONDS(300), .drain_timeout = SL_MILLISECONDS(60)};
    CHECK_EQ(begin(&scope, &proxy, options, &redis), 0);
    proxy.counts[REDIS_PROXY_OTHER] = 0;
    proxy.plan[REDIS_PROXY_OTHER][0] = REDIS_PROXY_MUTE;
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_do(redis, NULL, "PING"), SL_ETIMEDOUT);
    CHECK(sl_now() - before >= SL_MILLISECONDS(290));
    SL_TRY(echo(redis, 1)); /* over a new one */
    struct sl_redis_stats stats;
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.connects, 2);
    CHECK_EQ(stats.timeouts, 1);
    proxy.counts[REDIS_PROXY_OTHER] = 0;
    const char *const ping[] = {"PING", NULL};
    CHECK_EQ(sl_redis_send(redis, &(struct sl_redis_request){.texts = ping, .timeout = SL_MILLISECONDS(30)}, NULL),
             SL_ETIMEDOUT);
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.connects, 2);
    CHECK_EQ(stats.in_flight, 1);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.in_flight, 0); /* the drain timeout has cut it */
    SL_TRY(echo(redis, 2));
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.connects, 3);
    return end(&scope, &proxy);
}

C_TEST_REAL_FEW(idle_connections_are_tried, "an idle connection that died without a word is found by its ping", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_proxy proxy = {0};
    const struct sl_redis_options options = {.ping_every = SL_MILLISECONDS(50), .drain_timeout = SL_MILLISECONDS(150)};
    CHECK_EQ(begin(&scope, &proxy, options, &redis), 0);
    struct sl_redis_stats stats;
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(800)), 0);
    sl_redis_stats_get(redis, &stats);
    CHECK(stats.commands >= 3);
    CHECK_EQ(stats.connects, 1);
    proxy.counts[REDIS_PROXY_OTHER] = 0;
    proxy.plan[REDIS_PROXY_OTHER][0] = REDIS_PROXY_SWALLOW;
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(400)), 0);
    sl_redis_stats_get(redis, &stats);
    CHECK(stats.connects >= 2);
    SL_TRY(echo(redis, 1));
    return end(&scope, &proxy);
}

C_TEST_REAL_FEW(caps,
                "beyond the cap of commands or bytes callers wait, first come first served; a larger one goes alone",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    const struct sl_redis_options options = {.commands_max = 4, .in_flight_bytes_max = 200};
    CHECK_EQ(begin(&scope, NULL, options, &redis), 0);
    struct echoing many[32];
    static char large[1000];
    memset(large, 'x', sizeof large - 1);
    {
        SL_SCOPE(tasks);
        for (int i = 0; i < 32; i++) {
            many[i] = (struct echoing){redis, i * 1000, 20, 0};
            CHECK_EQ(sl_spawn(&tasks, echo_many, &many[i]), 0);
        }
        for (int i = 0; i < 5; i++) {
            struct sl_redis_stats stats;
            CHECK_EQ(sl_redis_do(redis, NULL, "SET", "k", large), 0);
            sl_redis_stats_get(redis, &stats);
            CHECK(stats.in_flight <= 4);
        }
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    struct sl_redis_request requests[6];
    const char *const ping[] = {"PING", NULL};
    for (int i = 0; i < 6; i++) {
        requests[i] = (struct sl_redis_request){.texts = ping};
    }
    CHECK_EQ(sl_redis_send_all(redis, requests, 6, NULL), 0); /* more than the cap: alone */
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(large_replies, "replies larger than any buffer; one over the limit ends the connection, not the client",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    const size_t size = (size_t)300 * 1024;
    CHECK_EQ(begin(&scope, NULL, (struct sl_redis_options){.reply_bytes_max = (size_t)1024 * 1024}, &redis), 0);
    char *data = sl_malloc(size);
    CHECK(data != NULL);
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(i * 7);
    }
    const struct sl_bytes set[] = {{"SET", 3}, {"big", 3}, {data, size}};
    int code = sl_redis_send(redis, &(struct sl_redis_request){.arguments = set, .count = 3}, NULL);
    {
        sl_auto(sl_redis_reply) *reply = NULL;
        code = code == 0 ? sl_redis_do(redis, &reply, "GET", "big") : code;
        struct sl_redis_value value = sl_redis_reply_value(reply);
        code = code == 0 && (value.size_bytes != size || memcmp(value.text, data, size) != 0) ? SL_EPROTO : code;
    }
    sl_free(data);
    CHECK_EQ(code, 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "MGET", "big", "big", "big", "big"), SL_ECONNRESET);
    SL_TRY(echo(redis, 1));
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(cleanups_may_still_send, "a cleanup of the client's own scope sends, after its connection has ended",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(begin(&scope, NULL, (struct sl_redis_options){0}, &redis), 0);
    struct echoing last = {redis, 3, 2, 0};
    CHECK_EQ(sl_defer(&scope, echo_many, &last, SL_SECONDS(5)), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_redis_do(redis, NULL, "PING"), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    CHECK_EQ(last.done, 2);
    return 0;
}

/* All that a client does, so that it can be done again with the n-th allocation failing. */
static int everything(sl_redis *redis)
{
    static const char script[] = "return ARGV[1]";
    const struct sl_bytes argument = {"x", 1};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(sl_redis_do(redis, NULL, "SET", "k", "v"));
    SL_TRY(sl_redis_eval(redis, &(struct sl_redis_eval){.script = script, .arguments = &argument, .arguments_count = 1},
                         &reply));
    struct sl_redis_request requests[3];
    sl_redis_reply *replies[3];
    const char *const get[] = {"GET", "k", NULL};
    for (int i = 0; i < 3; i++) {
        requests[i] = (struct sl_redis_request){.texts = get, .urgent = true};
    }
    SL_TRY(sl_redis_send_all(redis, requests, 3, replies));
    for (int i = 0; i < 3; i++) {
        sl_redis_reply_free(replies[i]);
    }
    return 0;
}

C_TEST_REAL_FEW(memory_fails, "whichever allocation fails, the client says so or tries again, and works afterwards", "")
{
    for (int64_t n = 0; n < 400; n++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL;
        sl_redis_pubsub *pubsub = NULL;
        int64_t held = sl_memory_held();
        (void)held;
        sl_memory_fail_after(n);
        int port = redis_server_port();
        (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
        const struct sl_redis_options options = {.url = url,
                                                 .backoff = {.initial = SL_MILLISECONDS(1), .max = SL_MILLISECONDS(1)}};
        int code = sl_redis_open(&scope, &options, &redis);
        code = code == 0 ? sl_redis_pubsub_open(&scope, redis, NULL, &pubsub) : code;
        code = code == 0 ? sl_redis_subscribe(pubsub, "c", false) : code;
        code = code == 0 ? everything(redis) : code;
        bool failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK(code == 0 || code == SL_ENOMEM || code == SL_ECONNRESET);
        CHECK(failed || code == 0);
        if (redis != NULL) {
            CHECK_EQ(everything(redis), 0);
        }
        CHECK_EQ(sl_scope_wait(&scope), 0);
        if (!failed) {
            CHECK(n > 20);
            return 0;
        }
    }
    return SL_CHECK_FAILED;
}

SL_TEST_MAIN(cmocka_unit_test(cancelled_commands_keep_the_step), cmocka_unit_test(bytes_one_at_a_time),
             cmocka_unit_test(a_cut_connection), cmocka_unit_test(unsent_commands_wait), cmocka_unit_test(silence),
             cmocka_unit_test(idle_connections_are_tried), cmocka_unit_test(caps), cmocka_unit_test(large_replies),
             cmocka_unit_test(cleanups_may_still_send), cmocka_unit_test(memory_fails))
