/* SPDX-License-Identifier: MIT */
/* The Redis client against a real server of our own. */
#include <string.h>

#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/redis.h"

static char url[64];

static int begin(sl_scope *scope, const struct sl_redis_options *extra, sl_redis **ret_redis)
{
    int port = redis_server_port();
    CHECK(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    struct sl_redis_options options = {0};
    if (extra != NULL) {
        options = *extra;
    }
    options.url = url;
    CHECK_EQ(sl_redis_open(scope, &options, ret_redis), 0);
    return sl_redis_do(*ret_redis, NULL, "FLUSHALL");
}

C_TEST_REAL_FEW(commands_and_replies, "replies of all types in both protocols; errors with the server's text", "")
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL;
        CHECK_EQ(begin(&scope, &(struct sl_redis_options){.protocol = protocol, .name = "tests"}, &redis), 0);
        sl_auto(sl_redis_reply) *pong = NULL;
        CHECK_EQ(sl_redis_do(redis, &pong, "PING"), 0);
        struct sl_redis_value value = sl_redis_reply_value(pong);
        CHECK(value.type == SL_REDIS_STATUS && sl_redis_value_is(&value, "PONG"));
        CHECK_EQ(sl_redis_do(redis, NULL, "NONSENSE"), SL_EREPLY);
        CHECK(strstr(sl_error_message(sl_error_last()), "NONSENSE") != NULL);
        int64_t number = 0;
        CHECK_EQ(sl_redis_do_int(redis, &number, "INCRBY", "n", "9007199254740993"), 0);
        CHECK(number == INT64_C(9007199254740993));
        CHECK_EQ(sl_redis_do_int(redis, &number, "GET", "n"), 0);
        CHECK(number == INT64_C(9007199254740993));
        CHECK_EQ(sl_redis_do(redis, NULL, "HSET", "h", "one", "1", "two", "2"), 0);
        sl_auto(sl_redis_reply) *hash = NULL;
        CHECK_EQ(sl_redis_do(redis, &hash, "HGETALL", "h"), 0);
        value = sl_redis_reply_value(hash);
        CHECK_EQ(value.type, protocol == 2 ? SL_REDIS_ARRAY : SL_REDIS_MAP);
        struct sl_redis_value two = sl_redis_value_find(&value, "two");
        CHECK(sl_redis_value_is(&two, "2"));
        two = sl_redis_value_at(&value, 2);
        CHECK(sl_redis_value_is(&two, "two"));
        two = sl_redis_value_at(&value, 4);
        CHECK_EQ(two.type, SL_REDIS_NIL);
        sl_auto(sl_redis_reply) *nothing = NULL;
        CHECK_EQ(sl_redis_do(redis, &nothing, "GET", "none"), 0);
        CHECK_EQ(sl_redis_reply_value(nothing).type, SL_REDIS_NIL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

static int count_up(void *arg)
{
    for (int i = 0; i < 50; i++) {
        int64_t number = 0;
        SL_TRY(sl_redis_do_int(arg, &number, "INCR", "n"));
    }
    return 0;
}

C_TEST_REAL_FEW(many_tasks_share_a_connection, "their commands go out together, each gets its own reply", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(begin(&scope, NULL, &redis), 0);
    {
        SL_SCOPE(tasks);
        for (int i = 0; i < 64; i++) {
            CHECK_EQ(sl_spawn(&tasks, count_up, redis), 0);
        }
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    int64_t number = 0;
    CHECK_EQ(sl_redis_do_int(redis, &number, "GET", "n"), 0);
    CHECK_EQ(number, 3200);
    struct sl_redis_stats stats;
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.commands, stats.replies);
    CHECK(stats.writes < stats.commands / 3);
    CHECK_EQ(stats.connects, 1);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(redis_f14_script_forgotten, "EVALSHA, and the script itself to a server that lost it",
                "coordination 4.6.14")
{
    static const char script[] = "return {KEYS[1], ARGV[1], #KEYS}";
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(begin(&scope, NULL, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SCRIPT", "FLUSH"), 0);
    const struct sl_bytes key = sl_redis_text("k"), argument = {"a\0b", 3};
    const struct sl_redis_eval eval = {
        .script = script, .keys = &key, .keys_count = 1, .arguments = &argument, .arguments_count = 1};
    for (int i = 0; i < 3; i++) {
        sl_auto(sl_redis_reply) *reply = NULL;
        CHECK_EQ(sl_redis_eval(redis, &eval, &reply), 0);
        struct sl_redis_value value = sl_redis_reply_value(reply);
        struct sl_redis_value second = sl_redis_value_at(&value, 1);
        CHECK(value.count == 3 && second.size_bytes == 3 && memcmp(second.text, "a\0b", 3) == 0);
        CHECK_EQ(sl_redis_value_at(&value, 2).integer, 1);
        if (i == 1) {
            CHECK_EQ(sl_redis_do(redis, NULL, "SCRIPT", "FLUSH"), 0);
        }
    }
    struct sl_redis_stats stats;
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.errors, 2); /* NOSCRIPT, each time once */
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(commands_and_replies), cmocka_unit_test(many_tasks_share_a_connection),
             cmocka_unit_test(redis_f14_script_forgotten))
