/* SPDX-License-Identifier: MIT */
/* Publish and subscribe, streams, and the client for commands that block; against a real server. */
#include <string.h>

#include "redis_proxy.h"
#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/redis_stream.h"

static char url[64];

static int begin(sl_scope *scope, int protocol, sl_redis **ret_redis)
{
    int port = redis_server_port();
    CHECK(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    CHECK_EQ(sl_redis_open(scope, &(struct sl_redis_options){.url = url, .protocol = protocol}, ret_redis), 0);
    return sl_redis_do(*ret_redis, NULL, "FLUSHALL");
}

static int expect(sl_redis_pubsub *pubsub, enum sl_redis_news kind, const char *channel, const char *text)
{
    struct sl_redis_message message;
    CHECK_EQ(sl_redis_pubsub_next(pubsub, &message), 0);
    CHECK_EQ(message.kind, kind);
    CHECK_STRING(message.channel, channel);
    CHECK_STRING(message.text, text);
    return 0;
}

C_TEST_REAL_FEW(messages, "channels and patterns in both protocols, in order, also with bytes of any kind", "")
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL;
        sl_redis_pubsub *pubsub = NULL;
        CHECK_EQ(begin(&scope, protocol, &redis), 0);
        CHECK_EQ(sl_redis_pubsub_open(&scope, redis, NULL, &pubsub), 0);
        CHECK_EQ(sl_redis_subscribe(pubsub, "one", false), 0);
        CHECK_EQ(sl_redis_subscribe(pubsub, "one", false), 0); /* again: no effect */
        SL_TRY(expect(pubsub, SL_REDIS_SUBSCRIBED, "one", ""));
        CHECK_EQ(sl_redis_subscribe(pubsub, "t*", true), 0);
        struct sl_redis_message message;
        CHECK_EQ(sl_redis_pubsub_next(pubsub, &message), 0);
        CHECK(message.kind == SL_REDIS_SUBSCRIBED && strcmp(message.pattern, "t*") == 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "PUBLISH", "one", "first"), 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "PUBLISH", "two", "second"), 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "PUBLISH", "other", "never"), 0);
        const struct sl_bytes bytes[] = {{"PUBLISH", 7}, {"one", 3}, {"a\0\r\nb", 5}};
        CHECK_EQ(sl_redis_send(redis, &(struct sl_redis_request){.arguments = bytes, .count = 3}, NULL), 0);
        SL_TRY(expect(pubsub, SL_REDIS_MESSAGE, "one", "first"));
        SL_TRY(expect(pubsub, SL_REDIS_MESSAGE, "two", "second"));
        CHECK_EQ(sl_redis_pubsub_next(pubsub, &message), 0);
        CHECK(message.size_bytes == 5 && memcmp(message.text, "a\0\r\nb", 5) == 0);
        CHECK_EQ(sl_redis_unsubscribe(pubsub, "one", false), 0);
        CHECK_EQ(sl_redis_subscribe(pubsub, "three", false), 0); /* its turn comes after the other's */
        SL_TRY(expect(pubsub, SL_REDIS_SUBSCRIBED, "three", ""));
        CHECK_EQ(sl_redis_do(redis, NULL, "PUBLISH", "one", "gone"), 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "PUBLISH", "two", "last"), 0);
        SL_TRY(expect(pubsub, SL_REDIS_MESSAGE, "two", "last"));
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(a_loss_is_told,
                "after a broken connection everything is subscribed again, behind a gap; so is a full "
                "queue a gap",
                "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    sl_redis_pubsub *pubsub = NULL;
    CHECK_EQ(begin(&scope, 0, &redis), 0);
    const struct sl_redis_pubsub_options three = {.messages_max = 3};
    CHECK_EQ(sl_redis_pubsub_open(&scope, redis, &three, &pubsub), 0);
    CHECK_EQ(sl_redis_subscribe(pubsub, "c", false), 0);
    SL_TRY(expect(pubsub, SL_REDIS_SUBSCRIBED, "c", ""));
    CHECK_EQ(sl_redis_do(redis, NULL, "CLIENT", "KILL", "TYPE", "pubsub"), 0);
    SL_TRY(expect(pubsub, SL_REDIS_GAP, "", ""));
    SL_TRY(expect(pubsub, SL_REDIS_SUBSCRIBED, "c", ""));
    for (int i = 0; i < 5; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        CHECK_EQ(sl_redis_do(redis, NULL, "PUBLISH", "c", text), 0);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    struct sl_redis_message message;
    CHECK_EQ(sl_redis_pubsub_next(pubsub, &message), 0);
    CHECK(message.kind == SL_REDIS_GAP && message.dropped == 2);
    SL_TRY(expect(pubsub, SL_REDIS_MESSAGE, "c", "2"));
    SL_TRY(expect(pubsub, SL_REDIS_MESSAGE, "c", "3"));
    SL_TRY(expect(pubsub, SL_REDIS_MESSAGE, "c", "4"));
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(blocking_commands, "they need a client of their own; cancelled, they take nothing", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *blocking = NULL;
    CHECK_EQ(begin(&scope, 0, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "BLPOP", "list", "0"), SL_EINVAL);
    CHECK_EQ(sl_redis_do(redis, NULL, "xread", "BLOCK", "0", "STREAMS", "s", "$"), SL_EINVAL);
    static const char *const refused[] = {"MULTI", "subscribe", "SELECT", "MONITOR", "AUTH", "WATCH", "RESET"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK_EQ(sl_redis_do(redis, NULL, refused[i], "x"), SL_EINVAL);
    }
    CHECK_EQ(sl_redis_do(redis, NULL, "CLIENT", "REPLY", "OFF"), SL_EINVAL);
    CHECK_EQ(sl_redis_open_blocking(&scope, redis, &blocking), 0);
    CHECK_EQ(sl_redis_do(blocking, NULL, "MULTI"), SL_EINVAL);
    for (int i = 0; i < 3; i++) {
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(50));
        CHECK_EQ(sl_scope_close(&limit, sl_redis_do(blocking, NULL, "BLPOP", "list", "0")), SL_ETIMEDOUT);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "RPUSH", "list", "item"), 0);
    int64_t left = 0;
    CHECK_EQ(sl_redis_do_int(redis, &left, "LLEN", "list"), 0);
    CHECK_EQ(left, 1); /* the cancelled ones are gone */
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_do(blocking, &reply, "BLPOP", "list", "0"), 0);
    struct sl_redis_value value = sl_redis_reply_value(reply);
    struct sl_redis_value item = sl_redis_value_at(&value, 1);
    CHECK(sl_redis_value_is(&item, "item"));
    return sl_scope_wait(&scope);
}

static int add(sl_redis *redis, const char *value, char *ret_id)
{
    const struct sl_bytes fields[] = {{"job", 3}, sl_redis_text(value)};
    const struct sl_redis_stream_add entry = {
        .stream = "jobs", .fields = fields, .fields_count = 2, .max_length = 5, .exact = true};
    return sl_redis_stream_add(redis, &entry, ret_id);
}

/* c and d go to "one", which acknowledges c. */
static int read_in_a_group(sl_redis *redis)
{
    sl_redis_reply *reply = NULL;
    struct sl_redis_stream_read read = {.stream = "jobs", .group = "g", .consumer = "one", .count = 2};
    CHECK_EQ(sl_redis_stream_read(redis, &read, &reply), 0);
    struct sl_redis_list list = sl_redis_stream_entries(reply);
    struct sl_redis_stream_entry entry;
    CHECK(sl_redis_stream_next(&list, &entry));
    struct sl_redis_value job = sl_redis_value_find(&entry.fields, "job");
    CHECK(sl_redis_value_is(&job, "c"));
    const char *const done[] = {entry.id, NULL};
    CHECK_EQ(sl_redis_stream_ack(redis, "jobs", "g", done), 0);
    CHECK(sl_redis_stream_next(&list, &entry));
    CHECK(!sl_redis_stream_next(&list, &entry));
    sl_redis_reply_free(reply);
    return 0;
}

/* d is left with "one", which has died. */
static int take_over(sl_redis *redis)
{
    char cursor[SL_REDIS_STREAM_ID_BYTES] = "0-0";
    sl_redis_reply *reply = NULL;
    const struct sl_redis_stream_claim claim = {.stream = "jobs", .group = "g", .consumer = "two"};
    CHECK_EQ(sl_redis_stream_claim(redis, &claim, cursor, &reply), 0);
    struct sl_redis_list list = sl_redis_stream_entries(reply);
    struct sl_redis_stream_entry entry;
    CHECK(sl_redis_stream_next(&list, &entry));
    struct sl_redis_value job = sl_redis_value_find(&entry.fields, "job");
    CHECK(sl_redis_value_is(&job, "d"));
    CHECK(!sl_redis_stream_next(&list, &entry));
    CHECK_STRING(cursor, "0-0");
    sl_redis_reply_free(reply);
    return 0;
}

static int read_so_many(sl_redis *redis, const struct sl_redis_stream_read *read, size_t count)
{
    sl_redis_reply *reply = NULL;
    CHECK_EQ(sl_redis_stream_read(redis, read, &reply), 0);
    CHECK_EQ(sl_redis_stream_entries(reply).left, count);
    sl_redis_reply_free(reply);
    return 0;
}

/* `id` is the newest entry's. */
static int bad_entries(sl_redis *redis, const char *id)
{
    const struct sl_bytes fields[] = {{"job", 3}, {"x", 1}};
    const struct sl_redis_stream_add there = {.stream = "jobs", .fields = fields, .fields_count = 2, .id = id};
    const struct sl_redis_stream_add none = {.stream = "none", .fields = fields, .fields_count = 2, .no_create = true};
    const struct sl_redis_stream_add odd = {.stream = "none", .fields = fields, .fields_count = 1};
    CHECK_EQ(sl_redis_stream_add(redis, &there, NULL), SL_EEXIST);
    CHECK_EQ(sl_redis_stream_add(redis, &none, NULL), SL_ENOENT);
    CHECK_EQ(sl_redis_stream_add(redis, &odd, NULL), SL_EINVAL);
    return 0;
}

C_TEST_REAL_FEW(streams, "adding with a limit, reading in a group, taking over, acknowledging, trimming", "")
{
    static const char *const jobs[] = {"a", "b", "c", "d", "e", "f", "g"};
    const struct sl_redis_stream_read again = {.stream = "jobs", .group = "g", .consumer = "two", .again = true};
    const struct sl_redis_stream_read wait = {
        .stream = "jobs", .group = "g", .consumer = "two", .block = SL_MILLISECONDS(30)};
    for (int protocol = 2; protocol <= 3; protocol++) {
        SL_SCOPE(scope);
        sl_redis *redis = NULL, *blocking = NULL;
        sl_redis_reply *reply = NULL;
        char id[SL_REDIS_STREAM_ID_BYTES];
        int64_t length = 0;
        CHECK_EQ(begin(&scope, protocol, &redis), 0);
        CHECK_EQ(sl_redis_open_blocking(&scope, redis, &blocking), 0);
        CHECK_EQ(sl_redis_stream_read(redis, &again, &reply), SL_ENOENT);
        CHECK_EQ(sl_redis_stream_group(redis, "jobs", "g", "0"), 0);
        CHECK_EQ(sl_redis_stream_group(redis, "jobs", "g", "0"), 0);
        for (size_t i = 0; i < 7; i++) {
            CHECK_EQ(add(redis, jobs[i], id), 0);
        }
        CHECK_EQ(sl_redis_do_int(redis, &length, "XLEN", "jobs"), 0);
        CHECK_EQ(length, 5); /* c to g */
        SL_TRY(read_in_a_group(redis));
        SL_TRY(take_over(redis));
        SL_TRY(read_so_many(redis, &again, 1));
        SL_TRY(read_so_many(blocking, &wait, 3));
        SL_TRY(read_so_many(blocking, &wait, 0));
        SL_TRY(bad_entries(redis, id));
        CHECK_EQ(sl_redis_stream_trim(redis, "jobs", 2, true, &length), 0);
        CHECK_EQ(length, 3);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(messages), cmocka_unit_test(a_loss_is_told), cmocka_unit_test(blocking_commands),
             cmocka_unit_test(streams))
