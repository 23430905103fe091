/* SPDX-License-Identifier: MIT */
/* The sink into Kafka against librdkafka's own mock cluster: all arrives, in order a key, whatever the brokers say. */
#include "sl_conformance.h"

#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "event_reader.h"
#include "sink_rig.h"
#include "sinks/kafka.h"
#include "sinks/template.h"

#define NUMBERS_MAX 100000

struct setting {
    rd_kafka_t *owner; /* the mock cluster lives in it */
    rd_kafka_mock_cluster_t *cluster;
    struct sink_rig rig;
};

/* What the next sink is told besides; all zero: nothing. */
static sl_kafka_options more;

static int begin(struct setting *setting, const char *topic, sl_time timeout)
{
    char problem[200];
    memset(setting, 0, sizeof(*setting));
    setting->owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), problem, sizeof(problem));
    CHECK(setting->owner != NULL);
    setting->cluster = rd_kafka_mock_cluster_new(setting->owner, 3);
    CHECK(setting->cluster != NULL);
    sl_kafka_options options = more;
    options.servers = rd_kafka_mock_cluster_bootstraps(setting->cluster);
    options.topic = topic;
    options.timeout = timeout;
    sl_sink *sink = NULL;
    CHECK_EQ(sl_kafka_sink_new(&options, &sink), 0);
    return sink_rig_make(&setting->rig, sink, (sl_outlet_options){.drain = SL_SECONDS(30)});
}

static void end(struct setting *setting)
{
    sink_rig_free(&setting->rig);
    rd_kafka_mock_cluster_destroy(setting->cluster);
    rd_kafka_destroy(setting->owner);
}

/* Counts what is in a topic; repeats have ids that were seen. */
struct found {
    uint64_t messages, distinct, disorder;
};

static int take_message(struct event_reader *reader, const struct sink_rig *rig, const rd_kafka_message_t *message,
                        struct found *found)
{
    static uint8_t seen[NUMBERS_MAX];
    static uint64_t last[SAMPLE_INSTRUMENTS];
    sl_market_event event;
    sl_stamp stamp;
    rd_kafka_headers_t *headers = NULL;
    const void *id = NULL;
    size_t id_bytes = 0;
    char expected_id[SL_EVENT_IDENTITY_MAX];
    if (found->messages == 0) {
        memset(seen, 0, sizeof(seen));
        memset(last, 0, sizeof(last));
    }
    CHECK_EQ(event_reader_read(reader, message->payload, message->len, &event, &stamp), 0);
    CHECK(stamp.number < NUMBERS_MAX);
    sl_market_event expected = sink_rig_event(rig, stamp.number - 1);
    CHECK(sample_events_equal(&event, &expected));
    CHECK_EQ(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_EQ(rd_kafka_header_get_last(headers, SL_KAFKA_HEADER, &id, &id_bytes), RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_EQ(sl_event_identity(&expected, stamp, expected_id), id_bytes);
    CHECK(memcmp(id, expected_id, id_bytes) == 0);
    char key[SL_TEMPLATE_NAME_MAX];
    size_t key_bytes = sl_template_expand(more.key == NULL ? SL_KAFKA_KEY_DEFAULT : more.key, &expected, key);
    CHECK(message->key_len == key_bytes && memcmp(message->key, key, key_bytes) == 0);
    found->messages++;
    if (seen[stamp.number] == 0) {
        found->distinct++;
        found->disorder += stamp.number < last[expected.instrument->index] ? 1 : 0;
        last[expected.instrument->index] = stamp.number;
    }
    seen[stamp.number] = 1;
    return 0;
}

static int look(struct setting *setting, const char *topic, uint64_t expected, struct found *found)
{
    char problem[200];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    struct event_reader *reader = event_reader_new();
    *found = (struct found){0};
    (void)rd_kafka_conf_set(settings, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(setting->cluster), problem,
                            sizeof(problem));
    (void)rd_kafka_conf_set(settings, "group.id", "test", problem, sizeof(problem));
    (void)rd_kafka_conf_set(settings, "auto.offset.reset", "earliest", problem, sizeof(problem));
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, settings, problem, sizeof(problem));
    CHECK(consumer != NULL);
    (void)rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    CHECK_EQ(rd_kafka_subscribe(consumer, topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    int quiet = 0;
    while (quiet < 3 || (found->distinct < expected && quiet < 60)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 300);
        quiet = message == NULL ? quiet + 1 : 0;
        int code = message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR
                       ? take_message(reader, &setting->rig, message, found)
                       : 0;
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
        SL_TRY(code);
    }
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    event_reader_free(reader);
    return 0;
}

static int all_arrives(void *arg)
{
    struct setting setting;
    struct found found;
    (void)arg;
    CHECK_EQ(begin(&setting, "all", SL_SECONDS(20)), 0);
    CHECK_EQ(rd_kafka_mock_topic_create(setting.cluster, "all", 4, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 2000), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->written, 2000);
    CHECK_EQ(look(&setting, "all", 2000, &found), 0);
    CHECK_EQ(found.messages, 2000);
    CHECK_EQ(found.distinct, 2000);
    CHECK_EQ(found.disorder, 0);
    end(&setting);
    return 0;
}

/* Errors that the client repeats by itself: the log has every event once. */
static int errors_that_pass(void *arg)
{
    struct setting setting;
    struct found found;
    (void)arg;
    CHECK_EQ(begin(&setting, "all", SL_SECONDS(20)), 0);
    CHECK_EQ(rd_kafka_mock_topic_create(setting.cluster, "all", 4, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_mock_push_request_errors(setting.cluster, 0 /* Produce */, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 1000), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(look(&setting, "all", 1000, &found), 0);
    CHECK_EQ(found.distinct, 1000);
    CHECK_EQ(found.messages, 1000);
    CHECK_EQ(found.disorder, 0);
    end(&setting);
    return 0;
}

/* All brokers away for longer than a batch may take: it goes over the disk, and arrives. */
static int brokers_away(void *arg)
{
    struct setting setting;
    struct found found;
    (void)arg;
    CHECK_EQ(begin(&setting, "all", SL_SECONDS(1)), 0);
    CHECK_EQ(rd_kafka_mock_topic_create(setting.cluster, "all", 4, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 1000), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    for (int broker = 1; broker <= 3; broker++) {
        CHECK_EQ(rd_kafka_mock_broker_set_down(setting.cluster, broker), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    CHECK_EQ(sink_rig_feed(&setting.rig, 1000), 0);
    while (sl_outlet_get_stats(setting.rig.outlet)->failures == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    }
    for (int broker = 1; broker <= 3; broker++) {
        CHECK_EQ(rd_kafka_mock_broker_set_up(setting.cluster, broker), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(60)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(sl_outlet_get_stats(setting.rig.outlet)->spooled_total >= 1000);
    CHECK_EQ(look(&setting, "all", 2000, &found), 0);
    CHECK_EQ(found.distinct, 2000);
    end(&setting);
    return 0;
}

/* How long it takes until 20 events count as written, with brokers that answer after 700 ms. */
static int time_of_writing(sl_kafka_options options, sl_time *ret_time)
{
    struct setting setting;
    more = options;
    CHECK_EQ(begin(&setting, "all", SL_SECONDS(20)), 0);
    more = (sl_kafka_options){0};
    CHECK_EQ(rd_kafka_mock_topic_create(setting.cluster, "all", 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 20), 0); /* it knows the brokers then */
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    for (int broker = 1; broker <= 3; broker++) {
        (void)rd_kafka_mock_broker_set_rtt(setting.cluster, broker, 700);
    }
    sl_time began = sl_now();
    CHECK_EQ(sink_rig_feed(&setting.rig, 20), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(30)), 0);
    *ret_time = sl_now() - began;
    for (int broker = 1; broker <= 3; broker++) {
        (void)rd_kafka_mock_broker_set_rtt(setting.cluster, broker, 0);
    }
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    end(&setting);
    return 0;
}

/* acks decides whether an answer is waited for, linger how long a batch waits to be filled. */
static int waits_that_are_asked_for(void *arg)
{
    sl_time all = 0, none = 0, lingering = 0;
    (void)arg;
    CHECK_EQ(time_of_writing((sl_kafka_options){.linger = -1}, &all), 0);
    CHECK_EQ(time_of_writing((sl_kafka_options){.linger = -1, .acks = "0", .repeats = true}, &none), 0);
    CHECK_EQ(time_of_writing((sl_kafka_options){.linger = SL_SECONDS(1), .acks = "0", .repeats = true}, &lingering), 0);
    CHECK(all >= SL_MILLISECONDS(700));
    CHECK(none < SL_MILLISECONDS(700));
    CHECK(lingering >= SL_SECONDS(1));
    return 0;
}

/* A message too large for the client or the brokers is left out, told and counted; all others arrive. */
static int too_large_for_kafka(void *arg)
{
    static const struct sl_kafka_setting small[] = {{"message.max.bytes", "1000"}};
    struct setting setting;
    struct found found;
    (void)arg;
    more = (sl_kafka_options){.settings = small, .setting_count = 1};
    int code = begin(&setting, "all", SL_SECONDS(20));
    CHECK_EQ(code, 0);
    more = (sl_kafka_options){0};
    CHECK_EQ(rd_kafka_mock_topic_create(setting.cluster, "all", 4, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 600), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(60)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(setting.rig.outlet);
    CHECK(stats->refused > 0 && stats->refused < 200);
    CHECK_EQ(stats->written + stats->refused, 600);
    CHECK_EQ(stats->failures, 0);
    CHECK(strstr(stats->problem, "Message size too large") != NULL);
    CHECK_EQ(look(&setting, "all", stats->written, &found), 0);
    CHECK_EQ(found.distinct, stats->written);
    end(&setting);
    return 0;
}

/* The brokers say it: of a whole batch, though only one message of it is meant. */
static int refused_by_brokers(void *arg)
{
    struct setting setting;
    struct found found;
    (void)arg;
    CHECK_EQ(begin(&setting, "all", SL_SECONDS(20)), 0);
    CHECK_EQ(rd_kafka_mock_topic_create(setting.cluster, "all", 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_mock_push_request_errors(setting.cluster, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, setting.rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 200), 0);
    CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(60)), 0);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(setting.rig.outlet);
    CHECK_EQ(stats->written, 200); /* in smaller batches they were small enough */
    CHECK_EQ(stats->failures, 0);
    CHECK_EQ(look(&setting, "all", 200, &found), 0);
    CHECK_EQ(found.distinct, 200);
    end(&setting);
    return 0;
}

/* A stop does not wait for brokers that never answer: what they have not got is in the spool. */
static int stop_without_brokers(void *arg)
{
    struct sink_rig rig = {.kind = SL_EVENT_NONE};
    sl_sink *sink = NULL;
    (void)arg;
    sl_kafka_options options = {.servers = "127.0.0.1:1", .timeout = SL_SECONDS(300)};
    CHECK_EQ(sl_kafka_sink_new(&options, &sink), 0);
    CHECK_EQ(sink_rig_make(&rig, sink, (sl_outlet_options){.drain = SL_MILLISECONDS(300)}), 0);
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
        CHECK_EQ(sink_rig_feed(&rig, 500), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0);
        sl_time began = sl_now();
        sl_outlet_end(rig.outlet);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK(sl_now() - began < SL_SECONDS(10));
    }
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->spooled, 500);
    sink_rig_free(&rig);
    return 0;
}

static int bad_settings(void *arg)
{
    static const struct sl_kafka_setting unknown[] = {{"no.such.setting", "1"}};
    sl_sink *sink = NULL;
    (void)arg;
    CHECK_EQ(sl_kafka_sink_new(&(sl_kafka_options){.servers = ""}, &sink), SL_EINVAL);
    CHECK_EQ(sl_kafka_sink_new(&(sl_kafka_options){.servers = "a", .topic = "<x>"}, &sink), SL_EINVAL);
    CHECK_EQ(sl_kafka_sink_new(&(sl_kafka_options){.servers = "a", .timeout = 1}, &sink), SL_EINVAL);
    CHECK_EQ(sl_kafka_sink_new(&(sl_kafka_options){.servers = "a", .key = "<x>"}, &sink), SL_EINVAL);
    CHECK_EQ(sl_kafka_sink_new(&(sl_kafka_options){.servers = "127.0.0.1:1", .acks = "1"}, &sink), 0);
    CHECK(sink->driver->open(sink, NULL) < 0); /* few acknowledgements, but no repeats either: not to be had */
    sl_sink_free(sink);
    sl_kafka_options options = {.servers = "127.0.0.1:1", .settings = unknown, .setting_count = 1};
    CHECK_EQ(sl_kafka_sink_new(&options, &sink), 0);
    CHECK_EQ(sink->driver->open(sink, NULL), SL_EINVAL);
    CHECK(strstr(sl_error_message(sl_error_last()), "no.such.setting") != NULL);
    sl_sink_free(sink);
    return 0;
}

/* Keys, acknowledgements, waiting and the client's memory as somebody wants them. */
static int all_arrives_otherwise(void *arg)
{
    more = (sl_kafka_options){
        .key = "<instrument>", .acks = "1", .repeats = true, .linger = -1, .buffer_bytes = (size_t)1 << 20};
    int code = all_arrives(arg);
    more = (sl_kafka_options){0};
    return code;
}

#define REAL_RUN(name)                                                                                                 \
    static void name##_case(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        assert_int_equal(sl_run(NULL, name, NULL, NULL), 0);                                                           \
    }

REAL_RUN(all_arrives)
REAL_RUN(all_arrives_otherwise)
REAL_RUN(errors_that_pass)
REAL_RUN(brokers_away)
REAL_RUN(waits_that_are_asked_for)
REAL_RUN(too_large_for_kafka)
REAL_RUN(refused_by_brokers)
REAL_RUN(stop_without_brokers)
REAL_RUN(bad_settings)

SL_TEST_MAIN(cmocka_unit_test(all_arrives_case), cmocka_unit_test(all_arrives_otherwise_case),
             cmocka_unit_test(errors_that_pass_case), cmocka_unit_test(brokers_away_case),
             cmocka_unit_test(waits_that_are_asked_for_case), cmocka_unit_test(too_large_for_kafka_case),
             cmocka_unit_test(refused_by_brokers_case), cmocka_unit_test(stop_without_brokers_case),
             cmocka_unit_test(bad_settings_case))
