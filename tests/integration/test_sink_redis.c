/* SPDX-License-Identifier: MIT */
/* The sink into Redis Streams against a real server: what is in the streams, repeats, a server that dies and comes back. */
#include "sl_conformance.h"

#include <signal.h>
#include <string.h>

#include "event_reader.h"
#include "own_server.h"
#include "sink_rig.h"
#include "sinks/redis.h"
#include "sinks/slots.h"

struct setting {
    struct own_server server;
    struct redis_arguments arguments;
    char url[128];
    struct sl_redis_options client;
    struct sink_rig rig;
};

static int begin(struct setting *setting, sl_redis_sink_options options)
{
    memset(setting, 0, sizeof(*setting));
    own_redis_prepare(&setting->server, &setting->arguments);
    CHECK_EQ(own_server_start(&setting->server), 0);
    (void)snprintf(setting->url, sizeof(setting->url), "redis://:%s@127.0.0.1:%d", OWN_REDIS_PASSWORD,
                   setting->server.port);
    setting->client = (struct sl_redis_options){.url = setting->url};
    options.client = &setting->client;
    options.name = "bus";
    sl_sink *sink = NULL;
    CHECK_EQ(sl_redis_sink_new(&options, &sink), 0);
    return sink_rig_make(&setting->rig, sink, (sl_outlet_options){.drain = SL_SECONDS(20)});
}

static void end(struct setting *setting)
{
    sink_rig_free(&setting->rig);
    own_server_end(&setting->server);
}

/* Whether the entries are the fed events, each once, in order: all of them with a number from `first` in steps. */
static int check_stream(struct setting *setting, const char *stream, uint64_t first, uint64_t step, uint64_t *ret_count)
{
    struct event_reader *reader = event_reader_new();
    uint64_t number = first;
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(sl_redis_open(&scope, &setting->client, &redis), 0);
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_do(redis, &reply, "XRANGE", stream, "-", "+"), 0);
    struct sl_redis_value entries = sl_redis_reply_value(reply);
    struct sl_redis_list list = sl_redis_value_list(&entries);
    struct sl_redis_value entry;
    for (; sl_redis_list_next(&list, &entry); number += step) {
        struct sl_redis_value fields = sl_redis_value_at(&entry, 1);
        struct sl_redis_value json = sl_redis_value_find(&fields, "event");
        sl_market_event event;
        sl_stamp stamp;
        CHECK_EQ(event_reader_read(reader, json.text, json.size_bytes, &event, &stamp), 0);
        sl_market_event expected = sink_rig_event(&setting->rig, number);
        CHECK_EQ(stamp.number, number + 1);
        CHECK(sample_events_equal(&event, &expected));
    }
    event_reader_free(reader);
    *ret_count = entries.count;
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(entries_are_the_events_by_kind, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_redis_sink_options){0}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 1100), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->written, 1100);
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        char stream[64];
        uint64_t count = 0;
        (void)snprintf(stream, sizeof(stream), "market:%s", sl_event_kind_name((sl_event_kind)kind));
        CHECK_EQ(check_stream(&setting, stream, (uint64_t)kind - 1, SL_EVENT_KIND_COUNT - 1, &count), 0);
        CHECK_EQ(count, 100);
    }
    end(&setting);
    return 0;
}

C_TEST_REAL_FEW(streams_are_trimmed_and_many, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_redis_sink_options){.stream = "{md}:<venue>:<symbol>:<kind>", .max_events = 500}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 3000), 0); /* 77 streams: more than one call takes */
    setting.rig.kind = SL_EVENT_TRADE;
    CHECK_EQ(sink_rig_feed(&setting.rig, 20000), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    SL_SCOPE(asking);
    sl_redis *redis = NULL;
    int64_t length = 0;
    int64_t life = 0;
    char seen[128];
    CHECK_EQ(sl_redis_open(&asking, &setting.client, &redis), 0);
    CHECK_EQ(sl_redis_do_int(redis, &length, "XLEN", "{md}:binance:BTCUSDT:trade"), 0);
    CHECK(length >= 500 && length < 1000);
    CHECK_EQ(sl_redis_do_int(redis, &length, "DBSIZE"), 0);
    CHECK_EQ(length, 77 + 1);
    sl_auto(sl_redis_reply) *keys = NULL;
    CHECK_EQ(sl_redis_do(redis, &keys, "KEYS", "{md}:sluice:bus:*"), 0);
    struct sl_redis_value list = sl_redis_reply_value(keys);
    struct sl_redis_value key = sl_redis_value_at(&list, 0);
    (void)snprintf(seen, sizeof(seen), "%s", key.text);
    CHECK_EQ(sl_redis_do_int(redis, &length, "GET", seen), 0);
    CHECK_EQ(length, 23000);
    CHECK_EQ(sl_redis_do_int(redis, &life, "TTL", seen), 0);
    CHECK(life > SL_REDIS_SEEN_SECONDS_DEFAULT - 100 && life <= SL_REDIS_SEEN_SECONDS_DEFAULT);
    CHECK_EQ(sl_scope_wait(&asking), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    end(&setting);
    return 0;
}

/* Killed in the middle of the work, again and again: every event is there once, in order. */
C_TEST_REAL_FEW(a_server_that_is_killed_and_comes_back, "", "")
{
    struct setting setting;
    uint64_t count = 0;
    CHECK_EQ(begin(&setting, (sl_redis_sink_options){.stream = "all"}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    for (int round = 0; round < 5; round++) {
        for (int part = 0; part < 40 + round * 3; part++) {
            CHECK_EQ(sink_rig_feed(&setting.rig, 50), 0);
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        }
        own_server_stop(&setting.server, SIGKILL);
        CHECK_EQ(sink_rig_feed(&setting.rig, 2000), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
        CHECK_EQ(own_server_start(&setting.server), 0);
    }
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(sl_outlet_get_stats(setting.rig.outlet)->failures >= 1);
    CHECK(sl_outlet_get_stats(setting.rig.outlet)->spooled_total > 0);
    CHECK_EQ(check_stream(&setting, "all", 0, 1, &count), 0);
    CHECK_EQ(count, setting.rig.fed);
    end(&setting);
    return 0;
}

/* A server that stands still: the write is given up, and was carried out all the same. */
C_TEST_REAL_FEW(an_answer_that_never_came, "", "")
{
    struct setting setting;
    uint64_t count = 0;
    CHECK_EQ(begin(&setting, (sl_redis_sink_options){.stream = "all"}), 0);
    sl_auto(sl_sink) *sink = NULL;
    sl_redis_sink_options options = {.client = &setting.client, .name = "bus", .stream = "all"};
    CHECK_EQ(sl_redis_sink_new(&options, &sink), 0);
    struct sl__slots slots = {0};
    sl_sink_batch batch = {.slots = &slots};
    uint8_t record[8192];
    CHECK_EQ(sl_record_reader_new(&batch.reader), 0);
    CHECK_EQ(sl__slots_reserve(&slots, 1 << 20), 0);
    for (uint64_t number = 0; number < 100; number++) {
        sl_market_event event = sample_event(number);
        size_t size = sl_record_encode(&event, record);
        sl_record_set_stamp(record, (sl_stamp){7, number + 1});
        sl__slots_add(&slots, record, size);
    }
    for (int attempt = 0; attempt < 3; attempt++) {
        SL_SCOPE(session);
        sl_sink_result result = {0};
        sl_sink_batch_rewind(&batch);
        CHECK_EQ(sink->driver->open(sink, &session), 0);
        if (attempt == 0) {
            CHECK_EQ(kill(setting.server.pid, SIGSTOP), 0);
            SL_SCOPE(limit, .timeout = SL_MILLISECONDS(100));
            int code = sink->driver->write(sink, &batch, &result);
            CHECK_EQ(sl_scope_close(&limit, code), SL_ETIMEDOUT);
            CHECK_EQ(kill(setting.server.pid, SIGCONT), 0);
        } else {
            CHECK_EQ(sink->driver->write(sink, &batch, &result), 0);
            CHECK_EQ(result.written + result.repeated, 100);
            CHECK(attempt == 1 || result.repeated == 100);
        }
        sl_scope_cancel(&session, "done");
        CHECK_EQ(sl_scope_close(&session, 0), 0);
        sink->driver->close(sink);
    }
    CHECK_EQ(check_stream(&setting, "all", 0, 1, &count), 0);
    CHECK_EQ(count, 100);
    sl_record_reader_free(batch.reader);
    sl__slots_free(&slots);
    end(&setting);
    return 0;
}

C_TEST_REAL_FEW(a_key_of_another_type_is_a_problem_that_is_told, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_redis_sink_options){.stream = "all"}), 0);
    {
        SL_SCOPE(asking);
        sl_redis *redis = NULL;
        CHECK_EQ(sl_redis_open(&asking, &setting.client, &redis), 0);
        CHECK_EQ(sl_redis_do(redis, NULL, "SET", "all", "text"), 0);
        CHECK_EQ(sl_scope_wait(&asking), 0);
    }
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 10), 0);
    while (!sl_outlet_get_stats(setting.rig.outlet)->away) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    CHECK(strstr(sl_outlet_get_stats(setting.rig.outlet)->problem, "WRONGTYPE") != NULL);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->spooled, 10);
    end(&setting);
    return 0;
}

/* That nobody listens any more is known long before a batch has had its time, and said. */
C_TEST_REAL_FEW(a_server_that_is_gone_is_told_soon, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_redis_sink_options){.stream = "all"}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 10), 0);
    while (sl_outlet_get_stats(setting.rig.outlet)->written < 10) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    own_server_stop(&setting.server, SIGKILL);
    sl_time gone = sl_now();
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 10), 0);
    while (!sl_outlet_get_stats(setting.rig.outlet)->away) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    }
    CHECK(sl_now() - gone < SL_SECONDS(20));
    CHECK(strstr(sl_outlet_get_stats(setting.rig.outlet)->problem, "refused") != NULL);
    CHECK_EQ(own_server_start(&setting.server), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    end(&setting);
    return 0;
}

TASK_TEST(bad_options_are_refused)
{
    sl_sink *sink = NULL;
    struct sl_redis_options client = {.url = "redis://127.0.0.1:1"};
    CHECK_EQ(sl_redis_sink_new(&(sl_redis_sink_options){.name = "a"}, &sink), SL_EINVAL);
    CHECK_EQ(sl_redis_sink_new(&(sl_redis_sink_options){.client = &client}, &sink), SL_EINVAL);
    CHECK_EQ(sl_redis_sink_new(&(sl_redis_sink_options){.client = &client, .name = "a", .stream = "<k>"}, &sink),
             SL_EINVAL);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(entries_are_the_events_by_kind), cmocka_unit_test(streams_are_trimmed_and_many),
             cmocka_unit_test(a_server_that_is_killed_and_comes_back), cmocka_unit_test(an_answer_that_never_came),
             cmocka_unit_test(a_key_of_another_type_is_a_problem_that_is_told),
             cmocka_unit_test(a_server_that_is_gone_is_told_soon), cmocka_unit_test(bad_options_are_refused))
