/* SPDX-License-Identifier: MIT */
/* The Redis lock against a server of our own that keeps silent, hangs up or answers late, as it is told. */
#include <hiredis/hiredis.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/lock.h"
#include "sluice/net.h"

enum answer { OK, SILENT, HANG_UP, LATE, NOT_OURS, READ_ONLY };

#define PLAN_MAX 4
#define LATE_BY SL_MILLISECONDS(150)

/* What becomes of the first, second, ... command of a kind; the last entry is for all that follow. */
struct plan {
    enum answer answers[PLAN_MAX];
    int count; /* commands that came */
};

struct fake {
    sl_redis *redis;
    sl_listener *listener;
    char url[64];
    struct plan set, renew, release;
    int connections;
    char token[64]; /* of the last SET */
    bool other_token;
};

static int reply(sl_stream *stream, enum answer answer, const char *ok)
{
    static const char *const texts[] = {[NOT_OURS] = ":0\r\n", [READ_ONLY] = "-READONLY replica\r\n"};
    if (answer == LATE) {
        SL_TRY(sl_sleep(LATE_BY));
    }
    const char *text = answer == NOT_OURS || answer == READ_ONLY ? texts[answer] : ok;
    return answer == SILENT ? 0 : answer == HANG_UP ? SL_EOF : sl_stream_write(stream, text, strlen(text));
}

static enum answer next(struct plan *plan)
{
    int place = plan->count < PLAN_MAX ? plan->count : PLAN_MAX - 1;
    plan->count++;
    return plan->answers[place];
}

static int obey(struct fake *fake, sl_stream *stream, const redisReply *command)
{
    CHECK(command->type == REDIS_REPLY_ARRAY && command->elements >= 1);
    if (strcmp(command->element[0]->str, "HELLO") == 0) {
        return reply(stream, OK, "-ERR unknown command 'HELLO'\r\n");
    }
    if (strcmp(command->element[0]->str, "PING") == 0) {
        return reply(stream, OK, "+PONG\r\n");
    }
    CHECK(command->elements >= 5);
    if (strcmp(command->element[0]->str, "SET") == 0) {
        (void)snprintf(fake->token, sizeof fake->token, "%s", command->element[2]->str);
        return reply(stream, next(&fake->set), "+OK\r\n");
    }
    CHECK_STRING(command->element[0]->str, "EVAL");
    fake->other_token |= strcmp(command->element[4]->str, fake->token) != 0;
    bool renewal = strstr(command->element[1]->str, "pexpire") != NULL;
    return reply(stream, next(renewal ? &fake->renew : &fake->release), ":1\r\n");
}

struct connection {
    struct fake *fake;
    sl_stream *stream;
    redisReader *reader;
};

static int talk(void *arg)
{
    struct connection *connection = arg;
    char buffer[1024];
    for (;;) {
        size_t bytes = 0;
        int code = sl_stream_read(connection->stream, buffer, sizeof buffer, &bytes);
        if (code < 0) {
            return code == SL_ECANCELED ? code : 0;
        }
        (void)redisReaderFeed(connection->reader, buffer, bytes);
        void *command = NULL;
        while (redisReaderGetReply(connection->reader, &command) == REDIS_OK && command != NULL) {
            code = obey(connection->fake, connection->stream, command);
            freeReplyObject(command);
            if (code < 0) {
                return code == SL_ECANCELED || code == SL_CHECK_FAILED ? code : 0;
            }
        }
    }
}

static void hang_up(void *arg)
{
    struct connection *connection = arg;
    sl_stream_close(connection->stream);
    redisReaderFree(connection->reader);
    test_free(connection);
}

static int serve(void *arg)
{
    struct fake *fake = arg;
    SL_SCOPE(scope);
    for (;;) {
        sl_stream *stream = NULL;
        SL_TRY(sl_listener_accept(fake->listener, &stream));
        struct connection *connection = test_malloc(sizeof *connection);
        *connection = (struct connection){fake, stream, redisReaderCreate()};
        fake->connections++;
        SL_TRY(sl_spawn(&scope, talk, connection, .release = hang_up));
    }
}

static int begin(struct fake *fake, sl_scope *scope)
{
    SL_TRY(sl_listener_open("127.0.0.1", 0, &fake->listener));
    (void)snprintf(fake->url, sizeof fake->url, "redis://127.0.0.1:%d", sl_listener_port(fake->listener));
    SL_TRY(sl_spawn(scope, serve, fake, .daemon = true));
    const struct sl_redis_options options = {.url = fake->url, .drain_timeout = SL_MILLISECONDS(200)};
    return sl_redis_open(scope, &options, &fake->redis);
}

static int end(struct fake *fake, sl_scope *scope)
{
    int code = sl_scope_wait(scope);
    sl_listener_close(fake->listener);
    CHECK(!fake->other_token);
    return code;
}

C_TEST_REAL_FEW(acquire_cancelled_in_flight,
                "the SET was sent, its answer never came: the release goes out all the same", "coordination 1.4.12")
{
    struct fake fake = {.set = {{SILENT}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(50));
        int code = sl_redis_lock(&limit, fake.redis, "key", .ttl = SL_SECONDS(10));
        CHECK_EQ(code, SL_ECANCELED);
        CHECK_EQ(fake.release.count, 1); /* before the call returned */
        CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
    }
    CHECK_EQ(fake.set.count, 1);
    CHECK_EQ(fake.release.count, 1);
    return end(&fake, &scope);
}

C_TEST_REAL_FEW(acquire_with_unknown_outcome,
                "the server hangs up over the SET: the error comes back, the release goes out", "coordination 1.4.12")
{
    struct fake fake = {.set = {{HANG_UP}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(inner);
        int code = sl_redis_lock(&inner, fake.redis, "key", .ttl = SL_SECONDS(10));
        CHECK_EQ(code, SL_ECONNRESET);
        CHECK_EQ(fake.release.count, 1);
    }
    CHECK_EQ(fake.release.count, 1);
    return end(&fake, &scope);
}

C_TEST_REAL_FEW(refused_by_the_server, "an error answer is the call's error, with the server's text", "")
{
    struct fake fake = {.set = {{READ_ONLY}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, fake.redis, "key", .ttl = SL_SECONDS(10)), SL_ENOTREADY);
        CHECK(strstr(sl_error_message(sl_error_last()), "READONLY") != NULL);
    }
    return end(&fake, &scope);
}

C_TEST_REAL_FEW(late_answer_is_no_lock, "an OK that comes after the TTL is given back, and the lock is asked for again",
                "coordination 1.4.35")
{
    struct fake fake = {.set = {{LATE, OK}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, fake.redis, "key", .ttl = SL_MILLISECONDS(100)), 0);
        CHECK_EQ(fake.set.count, 2);
        CHECK_EQ(fake.release.count, 1);
        CHECK_EQ(sl_scope_close(&inner, 0), 0);
    }
    CHECK_EQ(fake.release.count, 2);
    return end(&fake, &scope);
}

C_TEST_REAL_FEW(silent_redis_ends_the_work_in_time,
                "no renewal is answered: the scope is cancelled before the key expires", "coordination 1.3")
{
    const sl_time ttl = SL_SECONDS(1);
    struct fake fake = {.renew = {{SILENT, HANG_UP, SILENT, SILENT}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(inner);
        sl_time before = sl_now();
        CHECK_EQ(sl_redis_lock(&inner, fake.redis, "key", .ttl = ttl), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK(sl_now() < before + ttl);
        CHECK_EQ(sl_scope_cause(&inner), SL_CAUSE_LOST);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK(fake.renew.count > 1);
    CHECK(fake.release.count >= 1); /* again after a connection that had owed replies */
    return end(&fake, &scope);
}

C_TEST_REAL_FEW(renewal_survives_a_broken_connection,
                "a renewal that fails on the wire is tried again on a new connection", "coordination 1.5 Redisson #775")
{
    struct fake fake = {.renew = {{HANG_UP, READ_ONLY, OK, OK}, 0}, .release = {{HANG_UP, OK}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(inner);
        sl_time before = sl_now();
        CHECK_EQ(sl_redis_lock(&inner, fake.redis, "key", .ttl = SL_MILLISECONDS(500)), 0);
        while (sl_now() < before + SL_MILLISECONDS(1200)) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
        }
        CHECK(fake.renew.count >= 4);
        CHECK_EQ(sl_scope_close(&inner, 0), 0);
    }
    CHECK_EQ(fake.release.count, 2); /* the first release met a dead connection */
    return end(&fake, &scope);
}

C_TEST_REAL_FEW(not_ours_is_final, "a renewal that says so ends the work at once, and renews no more",
                "coordination 1.4.28")
{
    struct fake fake = {.renew = {{OK, NOT_OURS, OK, OK}, 0}};
    SL_SCOPE(scope);
    CHECK_EQ(begin(&fake, &scope), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, fake.redis, "key", .ttl = SL_MILLISECONDS(300)), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(60)), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&inner, SL_ECANCELED), SL_ELOCKLOST);
    }
    CHECK_EQ(fake.renew.count, 2);
    return end(&fake, &scope);
}

SL_TEST_MAIN(cmocka_unit_test(acquire_cancelled_in_flight), cmocka_unit_test(acquire_with_unknown_outcome),
             cmocka_unit_test(refused_by_the_server), cmocka_unit_test(late_answer_is_no_lock),
             cmocka_unit_test(silent_redis_ends_the_work_in_time),
             cmocka_unit_test(renewal_survives_a_broken_connection), cmocka_unit_test(not_ours_is_final))
