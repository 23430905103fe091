/* SPDX-License-Identifier: MIT */
/*
 * AMQP and the sink into RabbitMQ against a real server: confirms, returned and refused messages, consuming, a server
 * that is short of memory, one that dies and comes back. One server serves all parts: it takes seconds to start.
 */
#include "sl_conformance.h"

#include <string.h>

#include "event_reader.h"
#include "own_rabbitmq.h"
#include "sink_rig.h"
#include "sinks/rabbitmq.h"

static struct own_rabbitmq rabbitmq;
static struct sl_amqp_options here = {.url = rabbitmq.url, .name = "tests"};

#define BODIES 3000

static int publish_and_consume(void *arg)
{
    static char bodies[BODIES][32];
    static struct sl_amqp_message messages[BODIES];
    static enum sl_amqp_outcome outcomes[BODIES];
    (void)arg;
    SL_SCOPE(scope);
    sl_amqp *amqp = NULL;
    uint32_t waiting = 0;
    CHECK_EQ(sl_amqp_open(&scope, &here, &amqp), 0);
    CHECK_EQ(sl_amqp_declare_queue(amqp, &(struct sl_amqp_queue){.name = "work", .durable = true}, &waiting), 0);
    CHECK_EQ(waiting, 0);
    for (int at = 0; at < BODIES; at++) {
        int length = snprintf(bodies[at], sizeof(bodies[at]), "message %d", at);
        messages[at] = (struct sl_amqp_message){.key = "work",
                                                .message_id = bodies[at],
                                                .content_type = "text/plain",
                                                .persistent = at % 2 == 0,
                                                .mandatory = true,
                                                .body = bodies[at],
                                                .body_bytes = (size_t)length};
    }
    messages[7].key = "nobody"; /* comes back */
    messages[8].key = "nobody";
    messages[8].mandatory = false; /* is dropped in silence */
    CHECK_EQ(sl_amqp_publish(amqp, messages, BODIES, outcomes), 0);
    for (int at = 0; at < BODIES; at++) {
        CHECK_EQ(outcomes[at], at == 7 ? SL_AMQP_RETURNED : SL_AMQP_CONFIRMED);
    }
    struct sl_amqp_stats stats;
    sl_amqp_stats_get(amqp, &stats);
    CHECK_EQ(stats.published, BODIES);
    CHECK_EQ(stats.confirmed, BODIES - 1);
    CHECK_EQ(stats.returned, 1);
    CHECK_EQ(stats.unconfirmed, 0);
    CHECK_EQ(sl_amqp_consume(amqp, "work", 100), 0);
    for (int at = 0; at < BODIES; at++) {
        struct sl_amqp_delivery delivery;
        if (at == 7 || at == 8) {
            continue;
        }
        CHECK_EQ(sl_amqp_receive(amqp, &delivery), 0);
        CHECK_STRING(delivery.message_id, bodies[at]);
        CHECK_STRING(delivery.content_type, "text/plain");
        CHECK_STRING(delivery.key, "work");
        CHECK_EQ(delivery.body_bytes, strlen(bodies[at]));
        CHECK(memcmp(delivery.body, bodies[at], delivery.body_bytes) == 0 && !delivery.redelivered);
        if (at % 50 == 49) {
            CHECK_EQ(sl_amqp_ack(amqp, delivery.tag, true), 0);
        }
    }
    CHECK_EQ(sl_amqp_close(amqp), 0);
    CHECK_EQ(sl_amqp_publish(amqp, messages, 1, outcomes), SL_ECLOSED);
    CHECK_EQ(outcomes[0], SL_AMQP_UNKNOWN);
    return sl_scope_wait(&scope);
}

static int large_and_empty(void *arg)
{
    (void)arg;
    SL_SCOPE(scope);
    sl_amqp *amqp = NULL;
    size_t size = (size_t)3 << 20;
    char *body = sl_malloc(size);
    CHECK(body != NULL);
    for (size_t at = 0; at < size; at++) {
        body[at] = (char)(at * 7);
    }
    CHECK_EQ(sl_amqp_open(&scope, &here, &amqp), 0);
    CHECK_EQ(sl_amqp_declare_exchange(amqp, "large", "topic", false), 0);
    CHECK_EQ(sl_amqp_declare_queue(amqp, &(struct sl_amqp_queue){.name = "large", .exclusive = true}, NULL), 0);
    CHECK_EQ(sl_amqp_bind_queue(amqp, "large", "large", "a.#"), 0);
    struct sl_amqp_message messages[2] = {{.exchange = "large", .key = "a.b.c", .body = body, .body_bytes = size},
                                          {.exchange = "large", .key = "a"}};
    enum sl_amqp_outcome outcomes[2];
    CHECK_EQ(sl_amqp_publish(amqp, messages, 2, outcomes), 0);
    CHECK_EQ(outcomes[0], SL_AMQP_CONFIRMED);
    CHECK_EQ(sl_amqp_consume(amqp, "large", 1), 0); /* one at a time */
    struct sl_amqp_delivery delivery;
    CHECK_EQ(sl_amqp_receive(amqp, &delivery), 0);
    CHECK_EQ(delivery.body_bytes, size);
    CHECK(memcmp(delivery.body, body, size) == 0);
    CHECK_EQ(sl_amqp_nack(amqp, delivery.tag, false, true), 0); /* once more */
    CHECK_EQ(sl_amqp_receive(amqp, &delivery), 0);
    CHECK(delivery.redelivered && delivery.body_bytes == size);
    CHECK_EQ(sl_amqp_ack(amqp, delivery.tag, false), 0);
    CHECK_EQ(sl_amqp_receive(amqp, &delivery), 0);
    CHECK_EQ(delivery.body_bytes, 0);
    CHECK_STRING(delivery.key, "a");
    CHECK_EQ(sl_amqp_delete_queue(amqp, "large"), 0);
    CHECK_EQ(sl_amqp_receive(amqp, &delivery), SL_EOF);
    sl_free(body);
    CHECK_EQ(sl_amqp_close(amqp), 0);
    return sl_scope_wait(&scope);
}

/* A queue that is full refuses; a channel that the server closes takes the scope with it, with its reason. */
static int refusals(void *arg)
{
    (void)arg;
    {
        SL_SCOPE(scope);
        sl_amqp *amqp = NULL;
        CHECK_EQ(sl_amqp_open(&scope, &here, &amqp), 0);
        struct sl_amqp_queue queue = {.name = "tiny", .durable = true, .max_length = 2, .reject_when_full = true};
        CHECK_EQ(sl_amqp_declare_queue(amqp, &queue, NULL), 0);
        struct sl_amqp_message messages[5];
        enum sl_amqp_outcome outcomes[5];
        for (int at = 0; at < 5; at++) {
            messages[at] = (struct sl_amqp_message){.key = "tiny", .body = "x", .body_bytes = 1};
        }
        CHECK_EQ(sl_amqp_publish(amqp, messages, 5, outcomes), 0);
        int nacked = 0;
        for (int at = 0; at < 5; at++) {
            nacked += outcomes[at] == SL_AMQP_NACKED ? 1 : 0;
        }
        CHECK(nacked >= 1 && nacked <= 3);
        char name[400];
        memset(name, 'n', sizeof(name));
        name[sizeof(name) - 1] = '\0';
        messages[0].key = name; /* refused before anything is sent */
        CHECK_EQ(sl_amqp_publish(amqp, messages, 1, outcomes), SL_EINVAL);
        messages[0].key = "tiny";
        messages[0].exchange = "none such";
        int published = sl_amqp_publish(amqp, messages, 1, outcomes); /* the reader's failure cancels the scope */
        CHECK(published == SL_EREPLY || published == SL_ECANCELED);
        CHECK_EQ(outcomes[0], SL_AMQP_UNKNOWN);
        int code = sl_scope_close(&scope, 0);
        CHECK_EQ(code, SL_EREPLY);
    }
    struct sl_amqp_options bad = here;
    char url[128];
    sl_amqp *amqp = NULL;
    SL_SCOPE(scope);
    (void)snprintf(url, sizeof(url), "amqp://guest:wrong@127.0.0.1:%d", rabbitmq.server.port);
    bad.url = url;
    CHECK_EQ(sl_amqp_open(&scope, &bad, &amqp), -EACCES);
    (void)snprintf(url, sizeof(url), "amqp://127.0.0.1:%d/none%%20such", rabbitmq.server.port);
    CHECK_EQ(sl_amqp_open(&scope, &bad, &amqp), -EACCES);
    bad.url = "amqp://127.0.0.1:1";
    CHECK_EQ(sl_amqp_open(&scope, &bad, &amqp), -ECONNREFUSED);
    return sl_scope_wait(&scope);
}

static int publish_one(void *arg)
{
    struct sl_amqp_message message = {.key = "work", .body = "late", .body_bytes = 4};
    enum sl_amqp_outcome outcome;
    return sl_amqp_publish(arg, &message, 1, &outcome);
}

/* A server short of memory makes publishers wait, and lets them go on. */
static int blocked(void *arg)
{
    (void)arg;
    SL_SCOPE(scope);
    sl_amqp *amqp = NULL;
    CHECK_EQ(sl_amqp_open(&scope, &here, &amqp), 0);
    CHECK_EQ(own_rabbitmq_control(&rabbitmq, "set_vm_memory_high_watermark 0"), 0);
    SL_SCOPE(publishing);
    CHECK_EQ(sl_spawn(&publishing, publish_one, amqp), 0);
    while (!sl_amqp_blocked(amqp)) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    }
    SL_SCOPE(second);
    CHECK_EQ(sl_spawn(&second, publish_one, amqp), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
    CHECK_EQ(sl_scope_children(&second), 1);
    CHECK_EQ(own_rabbitmq_control(&rabbitmq, "set_vm_memory_high_watermark 0.4"), 0);
    CHECK_EQ(sl_scope_wait(&second), 0);
    CHECK_EQ(sl_scope_wait(&publishing), 0);
    CHECK(!sl_amqp_blocked(amqp));
    CHECK_EQ(sl_amqp_close(amqp), 0);
    return sl_scope_wait(&scope);
}

/* Takes what is in the queue: every number that was fed is there; repeats have known ids. */
static int drain(struct sink_rig *rig, uint64_t *ret_distinct)
{
    static uint8_t seen[100000];
    memset(seen, 0, sizeof(seen));
    struct event_reader *reader = event_reader_new();
    SL_SCOPE(scope);
    sl_amqp *amqp = NULL;
    uint32_t waiting = 0;
    CHECK_EQ(sl_amqp_open(&scope, &here, &amqp), 0);
    CHECK_EQ(sl_amqp_declare_queue(amqp, &(struct sl_amqp_queue){.name = "events", .durable = true}, &waiting), 0);
    CHECK_EQ(sl_amqp_consume(amqp, "events", 1000), 0);
    *ret_distinct = 0;
    for (uint32_t at = 0; at < waiting; at++) {
        struct sl_amqp_delivery delivery;
        sl_market_event event;
        sl_stamp stamp;
        char id[SL_EVENT_IDENTITY_MAX];
        CHECK_EQ(sl_amqp_receive(amqp, &delivery), 0);
        CHECK_EQ(event_reader_read(reader, delivery.body, delivery.body_bytes, &event, &stamp), 0);
        sl_market_event expected = sink_rig_event(rig, stamp.number - 1);
        CHECK(sample_events_equal(&event, &expected));
        (void)sl_event_identity(&expected, stamp, id);
        CHECK_STRING(delivery.message_id, id);
        CHECK(stamp.number < sizeof(seen));
        *ret_distinct += seen[stamp.number] == 0 ? 1 : 0;
        seen[stamp.number] = 1;
        CHECK_EQ(sl_amqp_ack(amqp, delivery.tag, false), 0);
    }
    event_reader_free(reader);
    CHECK_EQ(sl_amqp_close(amqp), 0);
    return sl_scope_wait(&scope);
}

static int bind_events(void)
{
    SL_SCOPE(scope);
    sl_amqp *amqp = NULL;
    CHECK_EQ(sl_amqp_open(&scope, &here, &amqp), 0);
    CHECK_EQ(sl_amqp_declare_exchange(amqp, "market", "topic", true), 0);
    CHECK_EQ(sl_amqp_declare_queue(amqp, &(struct sl_amqp_queue){.name = "events", .durable = true}, NULL), 0);
    CHECK_EQ(sl_amqp_bind_queue(amqp, "events", "market", "#"), 0);
    CHECK_EQ(sl_amqp_close(amqp), 0);
    return sl_scope_wait(&scope);
}

/* The sink, over deaths of the server: all that was fed is in the queue. */
static int sink_over_deaths(void *arg)
{
    struct sink_rig rig = {0};
    sl_sink *sink = NULL;
    uint64_t distinct = 0;
    sl_rabbitmq_options options = {
        .connection = &here, .exchange = "market", .exchange_type = "topic", .mandatory = true};
    (void)arg;
    CHECK_EQ(bind_events(), 0);
    CHECK_EQ(sl_rabbitmq_sink_new(&options, &sink), 0);
    CHECK_EQ(sink_rig_make(&rig, sink, (sl_outlet_options){.drain = SL_SECONDS(30)}), 0);
    SL_SCOPE(running);
    CHECK_EQ(sl_spawn(&running, sl_outlet_run, rig.outlet), 0);
    for (int round = 0; round < 2; round++) {
        for (int part = 0; part < 40; part++) {
            CHECK_EQ(sink_rig_feed(&rig, 50), 0);
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
        }
        own_rabbitmq_kill(&rabbitmq);
        CHECK_EQ(sink_rig_feed(&rig, 1000), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
        CHECK_EQ(own_rabbitmq_restart(&rabbitmq), 0);
    }
    CHECK_EQ(sink_rig_settle(&rig, SL_SECONDS(60)), 0);
    sl_outlet_end(rig.outlet);
    CHECK_EQ(sl_scope_wait(&running), 0);
    CHECK(sl_outlet_get_stats(rig.outlet)->failures >= 1);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->refused, 0);
    CHECK_EQ(drain(&rig, &distinct), 0);
    CHECK_EQ(distinct, rig.fed);
    sink_rig_free(&rig);
    return 0;
}

/* Nobody is bound: with `mandatory` that is told. */
static int nobody_wants_it(void *arg)
{
    struct sink_rig rig = {0};
    sl_sink *sink = NULL;
    sl_rabbitmq_options options = {
        .connection = &here, .exchange = "lonely", .exchange_type = "topic", .mandatory = true};
    (void)arg;
    CHECK_EQ(sl_rabbitmq_sink_new(&options, &sink), 0);
    CHECK_EQ(sink_rig_make(&rig, sink, (sl_outlet_options){.drain = SL_SECONDS(30)}), 0);
    SL_SCOPE(running);
    CHECK_EQ(sl_spawn(&running, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sink_rig_feed(&rig, 100), 0);
    sl_outlet_end(rig.outlet);
    CHECK_EQ(sl_scope_wait(&running), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->refused, 100);
    CHECK(strstr(sl_outlet_get_stats(rig.outlet)->problem, "no queue wants") != NULL);
    sink_rig_free(&rig);
    return 0;
}

static void with_a_real_server(void **state)
{
    static const sl_task_fn parts[] = {publish_and_consume, large_and_empty, refusals, blocked,
                                       nobody_wants_it,     sink_over_deaths};
    (void)state;
    assert_int_equal(own_rabbitmq_start(&rabbitmq), 0);
    for (size_t at = 0; at < sizeof(parts) / sizeof(parts[0]); at++) {
        int64_t held = sl_memory_held();
        int code = sl_run(NULL, parts[at], NULL, NULL);
        if (code != 0) {
            print_error("part %zu: %d\n", at, code);
        }
        assert_int_equal(code, 0);
        assert_int_equal(sl_memory_held(), held);
    }
    own_rabbitmq_end(&rabbitmq);
}

SL_TEST_MAIN(cmocka_unit_test(with_a_real_server))
