/* SPDX-License-Identifier: MIT */
/*
 * Seven sinks at once, each in front of a real server where it needs one (Kafka: librdkafka's own brokers), fed at a steady
 * rate. Each server in turn stands still, or is killed and comes back, and a client of the WebSocket server reads nothing.
 * The others do not wait: how far they are behind stays what it was. Memory stays under its bound. In the end
 * everything has arrived, once where identity is kept.
 *
 * SL_OUTAGE_SECONDS sets for how long a server is away (1, and none but Redis is killed); SL_OUTAGE_RATE events a second
 * (2000).
 */
#include "sl_conformance.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "own_postgresql.h"
#include "own_rabbitmq.h"
#include "sample_events.h"
#include "sinks/file.h"
#include "sinks/kafka.h"
#include "sinks/outlet.h"
#include "sinks/postgresql.h"
#include "sinks/rabbitmq.h"
#include "sinks/redis.h"
#include "sinks/sqlite.h"
#include "sinks/websocket.h"
#include "sluice/amqp.h"
#include "sluice/redis.h"
#include "sluice/runtime.h"
#include "sluice/ws.h"

static struct scratch_folder folder;

enum which { A_FILE, A_SQLITE, A_REDIS, A_RABBITMQ, A_KAFKA, A_POSTGRESQL, A_WEBSOCKET, SINKS };

static const char *const names[SINKS] = {"file", "sqlite", "redis", "rabbitmq", "kafka", "postgresql", "websocket"};

/* One that does not wait is never so far behind; on a machine that others use too, ten times the longest time for which
 * nobody here came to run is added. */
#if SL_TEST_SLOWER > 5 /* threads are watched: what comes is as much as it can take */
#define BEHIND_MAX SL_MILLISECONDS(15000)
#else
#define BEHIND_MAX SL_MILLISECONDS(1500)
#endif

/* Queue, batch and what is on its way to the disk; the ring holds at most its size, whatever comes. */
#define QUEUE_BYTES ((size_t)1 << 20)

struct world {
    struct own_server redis;
    struct redis_arguments redis_arguments;
    struct own_rabbitmq rabbitmq;
    struct own_postgresql postgresql;
    rd_kafka_t *kafka;
    rd_kafka_mock_cluster_t *brokers;
    char texts[SINKS][SCRATCH_PATH_MAX + 32], spools[SINKS][SCRATCH_PATH_MAX + 32];
    struct sl_redis_options redis_client;
    struct sl_amqp_options amqp_client;
    sl_outlet *outlets[SINKS];
    sl_sink *websocket;
    sl_fanout *fanout;
    uint64_t fed;
    int victim;            /* who is away, or SINKS */
    sl_time stalled;       /* the longest time between two looks */
    sl_time behind[SINKS]; /* the farthest that each was, of those that were not away */
    bool enough;
    sl_ws *deaf; /* a client that asks for everything and reads nothing */
};

/* ---- servers and sinks ---- */

static int start_servers(struct world *world)
{
    char problem[200];
    CHECK_EQ(own_rabbitmq_start(&world->rabbitmq), 0);
    CHECK_EQ(own_postgresql_start(&world->postgresql), 0);
    own_redis_prepare(&world->redis, &world->redis_arguments);
    CHECK_EQ(own_server_start(&world->redis), 0);
    world->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), problem, sizeof(problem));
    CHECK(world->kafka != NULL);
    world->brokers = rd_kafka_mock_cluster_new(world->kafka, 1);
    CHECK(world->brokers != NULL);
    CHECK_EQ(rd_kafka_mock_topic_create(world->brokers, "all", 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    return 0;
}

static int make_sink(struct world *world, int which, sl_sink **ret_sink)
{
    char *text = world->texts[which];
    (void)snprintf(text, sizeof(world->texts[which]), "%s/%s", folder.path, names[which]);
    switch (which) {
    case A_FILE:
        return sl_file_sink_new(&(sl_file_options){.path = text}, ret_sink);
    case A_SQLITE:
        return sl_sqlite_sink_new(&(sl_sqlite_options){.path = text}, ret_sink);
    case A_REDIS:
        (void)snprintf(text, sizeof(world->texts[which]), "redis://:%s@127.0.0.1:%d", OWN_REDIS_PASSWORD,
                       world->redis.port);
        world->redis_client = (struct sl_redis_options){.url = text, .connect_timeout = SL_SECONDS(2)};
        return sl_redis_sink_new(
            &(sl_redis_sink_options){.client = &world->redis_client, .name = "redis", .max_events = UINT64_MAX},
            ret_sink);
    case A_RABBITMQ:
        world->amqp_client = (struct sl_amqp_options){.url = world->rabbitmq.url, .connect_timeout = SL_SECONDS(2)};
        return sl_rabbitmq_sink_new(
            &(sl_rabbitmq_options){
                .connection = &world->amqp_client, .exchange = "outage", .exchange_type = "topic", .key = "<kind>"},
            ret_sink);
    case A_KAFKA:
        return sl_kafka_sink_new(&(sl_kafka_options){.servers = rd_kafka_mock_cluster_bootstraps(world->brokers),
                                                     .topic = "all",
                                                     .timeout = SL_SECONDS(2)},
                                 ret_sink);
    case A_POSTGRESQL:
        return sl_postgresql_sink_new(
            &(sl_postgresql_options){.target = world->postgresql.target, .timeout = SL_SECONDS(2)}, ret_sink);
    default:
        SL_TRY(sl_websocket_sink_new(&(sl_websocket_options){.clients_max = 4}, ret_sink));
        world->websocket = *ret_sink;
        return 0;
    }
}

static int make_outlets(struct world *world)
{
    CHECK_EQ(sl_fanout_new(&world->fanout), 0);
    for (int which = 0; which < SINKS; which++) {
        sl_sink *sink = NULL;
        CHECK_EQ(make_sink(world, which, &sink), 0);
        (void)snprintf(world->spools[which], sizeof(world->spools[which]), "%s/spool-%s", folder.path, names[which]);
        sl_outlet_options options = {
            .name = names[which],
            .queue_bytes = QUEUE_BYTES,
            .when_full = which == A_WEBSOCKET ? SL_FULL_DROP_OLDEST : SL_FULL_SPOOL,
            .batch_events = 500,
            .batch_bytes = 256 << 10,
            .batch_age = SL_MILLISECONDS(50),
            .write_timeout = SL_SECONDS(2),
            .retry = {.initial = SL_MILLISECONDS(50), .max = SL_MILLISECONDS(500)},
            .drain = SL_SECONDS(60),
            .spool = {.folder = world->spools[which], .segment_bytes = 1 << 20},
        };
        CHECK_EQ(sl_outlet_new(&options, sink, &world->outlets[which]), 0);
        CHECK_EQ(sl_fanout_attach(world->fanout, world->outlets[which]), 0);
    }
    return 0;
}

static void end_world(struct world *world)
{
    sl_fanout_free(world->fanout);
    for (int which = 0; which < SINKS; which++) {
        sl_outlet_free(world->outlets[which]);
    }
    rd_kafka_mock_cluster_destroy(world->brokers);
    rd_kafka_destroy(world->kafka);
    own_server_end(&world->redis);
    own_rabbitmq_end(&world->rabbitmq);
    own_postgresql_end(&world->postgresql);
    scratch_folder_remove(&folder);
}

/* ---- the feed, and who is how far behind ---- */

/* An outlet is behind by the age of the oldest event that it has not delivered. */
static sl_time behind_of(const struct world *world, int which)
{
    const sl_outlet_stats *stats = sl_outlet_get_stats(world->outlets[which]);
    bool waits = stats->queued + stats->in_batch + stats->spooled > 0;
    return waits && stats->last_receive_time_ns != 0 ? sl_now_wall() - stats->last_receive_time_ns : 0;
}

static int feed(void *arg)
{
    struct world *world = arg;
    uint64_t rate = sl_test_number("SL_OUTAGE_RATE", 2000);
    sl_time last = sl_now();
    sl_time fed_for = 0;
    while (!world->enough) {
        sl_time now = sl_now();
        fed_for += now - last < SL_MILLISECONDS(100) ? now - last : SL_MILLISECONDS(100); /* a server was started */
        world->stalled = now - last > world->stalled ? now - last : world->stalled;
        last = now;
        uint64_t due = (uint64_t)(fed_for / SL_MILLISECONDS(1)) * rate / 1000;
        for (int count = 0; world->fed < due && count < 200; count++) {
            sl_market_event event = sample_event(world->fed);
            event.receive_time_ns = sl_now_wall();
            SL_TRY(sl_fanout_write(world->fanout, &event));
            world->fed++;
        }
        for (int which = 0; which < SINKS; which++) {
            sl_time behind = which == world->victim ? 0 : behind_of(world, which);
            world->behind[which] = behind > world->behind[which] ? behind : world->behind[which];
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(2)));
    }
    return 0;
}

static int settle(struct world *world)
{
    for (int which = 0; which < SINKS; which++) {
        sl_time until = sl_now() + SL_SECONDS(120);
        while (behind_of(world, which) > SL_SECONDS(1) || sl_outlet_get_stats(world->outlets[which])->spooling) {
            if (sl_now() > until) {
                (void)fprintf(stderr, "%s does not catch up: %s\n", names[which],
                              sl_outlet_get_stats(world->outlets[which])->problem);
                return SL_ETIMEDOUT;
            }
            SL_TRY(sl_sleep(SL_MILLISECONDS(50)));
        }
    }
    return 0;
}

/* ---- outages ---- */

static void stop_group(const struct own_server *server, int signal)
{
    (void)kill(server->group ? -server->pid : server->pid, signal);
}

static void set_brokers(const struct world *world, bool up)
{
    if (up) {
        (void)rd_kafka_mock_broker_set_up(world->brokers, 1);
    } else {
        (void)rd_kafka_mock_broker_set_down(world->brokers, 1);
    }
}

/* Away, and back; standing still, or dead. */
static int begin_outage(struct world *world, int which, bool dead)
{
    switch (which) {
    case A_REDIS:
        dead ? own_server_stop(&world->redis, SIGKILL) : stop_group(&world->redis, SIGSTOP);
        return 0;
    case A_RABBITMQ:
        dead ? own_rabbitmq_kill(&world->rabbitmq) : stop_group(&world->rabbitmq.server, SIGSTOP);
        return 0;
    case A_POSTGRESQL:
        dead ? own_server_stop(&world->postgresql.server, SIGQUIT) : own_postgresql_signal(&world->postgresql, SIGSTOP);
        return 0;
    case A_KAFKA:
        if (dead) {
            set_brokers(world, false);
        } else {
            (void)rd_kafka_mock_broker_set_rtt(world->brokers, 1, 1000000); /* it answers, in a quarter of an hour */
        }
        return 0;
    default:
        return 0; /* the deaf client was there all the time */
    }
}

/* Blocks the loop while a server starts: one that a worker thread started would end with that. */
static int end_outage(struct world *world, int which, bool dead)
{
    switch (which) {
    case A_REDIS:
        if (dead) {
            return own_server_start(&world->redis);
        }
        stop_group(&world->redis, SIGCONT);
        return 0;
    case A_RABBITMQ:
        if (dead) {
            return own_rabbitmq_restart(&world->rabbitmq);
        }
        stop_group(&world->rabbitmq.server, SIGCONT);
        return 0;
    case A_POSTGRESQL:
        if (dead) {
            return own_server_start(&world->postgresql.server);
        }
        own_postgresql_signal(&world->postgresql, SIGCONT);
        return 0;
    case A_KAFKA:
        (void)rd_kafka_mock_broker_set_rtt(world->brokers, 1, 0);
        set_brokers(world, true);
        return 0;
    default:
        return 0;
    }
}

/* One server away while the rest goes on. */
static int outage(struct world *world, int which, bool dead)
{
    sl_time away = SL_SECONDS(sl_test_number("SL_OUTAGE_SECONDS", 1));
    uint64_t had = sl_outlet_get_stats(world->outlets[which])->spooled_total;
    memset(world->behind, 0, sizeof(world->behind));
    world->stalled = 0;
    world->victim = which;
    CHECK_EQ(begin_outage(world, which, dead), 0);
    CHECK_EQ(sl_sleep(away), 0);
    if (away < SL_SECONDS(5)) { /* until it was noticed */
        while (which != A_WEBSOCKET && !sl_outlet_get_stats(world->outlets[which])->away) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
        }
    }
    sl_time behind[SINKS]; /* what it takes to catch up afterwards is not waiting */
    memcpy(behind, world->behind, sizeof(behind));
    sl_time most = BEHIND_MAX + 10 * world->stalled;
    CHECK_EQ(end_outage(world, which, dead), 0);
    CHECK_EQ(settle(world), 0);
    world->victim = SINKS;
    const sl_outlet_stats *stats = sl_outlet_get_stats(world->outlets[which]);
    CHECK(which == A_WEBSOCKET || stats->spooled_total > had);
    print_message("%-10s %s: %llu events over the disk; behind, in ms:", names[which],
                  dead ? "killed      " : "stands still", (unsigned long long)(stats->spooled_total - had));
    for (int other = 0; other < SINKS; other++) {
        if (other != which) {
            print_message(" %s %lld", names[other], (long long)(behind[other] / 1000000));
        }
    }
    print_message(" (longest stall %lld)\n", (long long)(world->stalled / 1000000));
    for (int other = 0; other < SINKS; other++) {
        CHECK(other == which || behind[other] < most);
        CHECK(sl_outlet_get_stats(world->outlets[other])->queued_bytes_max <= QUEUE_BYTES);
    }
    return 0;
}

/* ---- what has arrived ---- */

static uint64_t count_lines(const struct world *world)
{
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s-00000001.ndjson", world->texts[A_FILE]);
    FILE *file = fopen(path, "r");
    uint64_t lines = 0;
    for (int byte = 0; file != NULL && (byte = fgetc(file)) != EOF;) {
        lines += byte == '\n';
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return lines;
}

static int count_entries(struct world *world, uint64_t *ret_count)
{
    *ret_count = 0;
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(sl_redis_open(&scope, &world->redis_client, &redis), 0);
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        char key[64];
        int64_t count = 0;
        sl_auto(sl_redis_reply) *reply = NULL;
        (void)snprintf(key, sizeof(key), "market:%s", sl_event_kind_name((sl_event_kind)kind));
        CHECK_EQ(sl_redis_do(redis, &reply, "XLEN", key), 0);
        struct sl_redis_value value = sl_redis_reply_value(reply);
        CHECK_EQ(sl_redis_value_int(&value, &count), 0);
        *ret_count += (uint64_t)count;
    }
    sl_scope_cancel(&scope, "counted");
    return 0;
}

static int check_all(struct world *world)
{
    uint64_t entries = 0;
    char expected[32];
    for (int which = 0; which < SINKS; which++) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(world->outlets[which]);
        uint64_t dropped = stats->dropped_full + stats->dropped_large + stats->dropped_spool + stats->dropped_damaged +
                           stats->dropped_ended + stats->refused + stats->unreadable;
        CHECK_EQ(stats->received, world->fed);
        CHECK_EQ(dropped, 0);
        CHECK_EQ(stats->written + stats->repeated, world->fed);
        CHECK_EQ(stats->queued + stats->in_batch + stats->spooled, 0);
    }
    CHECK_EQ(count_lines(world), world->fed);
    CHECK_EQ(count_entries(world, &entries), 0);
    CHECK_EQ(entries, world->fed);
    (void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)((world->fed + 10) / 11));
    CHECK_STRING(own_postgresql_ask(&world->postgresql, "SELECT count(DISTINCT number) FROM trades"), expected);
    CHECK_STRING(own_postgresql_ask(&world->postgresql, "SELECT count(*) FROM trades"), expected);
    return 0;
}

/* ---- all together ---- */

static int join_deaf(struct world *world, sl_scope *scope)
{
    static const char everything[] = "{\"subscribe\":[\"*:*:*\"]}";
    char url[64];
    (void)scope;
    while (sl_websocket_sink_port(world->websocket) == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%d/stream", sl_websocket_sink_port(world->websocket));
    CHECK_EQ(sl_ws_connect(url, &world->deaf), 0);
    CHECK_EQ(sl_ws_send(world->deaf, SL_WS_TEXT, everything, sizeof(everything) - 1), 0);
    return 0;
}

static int live(void *arg)
{
    struct world *world = arg;
    folder = scratch_folder_make();
    CHECK_EQ(start_servers(world), 0);
    CHECK_EQ(make_outlets(world), 0);
    SL_SCOPE(scope);
    for (int which = 0; which < SINKS; which++) {
        CHECK_EQ(sl_spawn(&scope, sl_outlet_run, world->outlets[which], .name = names[which]), 0);
    }
    CHECK_EQ(join_deaf(world, &scope), 0);
    SL_SCOPE(feeding);
    world->victim = SINKS;
    CHECK_EQ(sl_spawn(&feeding, feed, world, .name = "feed"), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    for (int which = A_REDIS; which <= A_POSTGRESQL; which++) {
        CHECK_EQ(outage(world, which, false), 0);
        if (which == A_REDIS || getenv("SL_OUTAGE_SECONDS") != NULL) {
            CHECK_EQ(outage(world, which, true), 0);
        }
    }
    world->enough = true;
    CHECK_EQ(sl_scope_wait(&feeding), 0);
    for (int which = 0; which < SINKS; which++) {
        sl_outlet_end(world->outlets[which]);
    }
    sl_ws_free(world->deaf);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(check_all(world), 0);
    print_message("%llu events\n", (unsigned long long)world->fed);
    end_world(world);
    return 0;
}

static void no_sink_waits_for_another(void **state)
{
    static struct world world;
    (void)state;
    assert_int_equal(sl_run(NULL, live, &world, NULL), 0);
}

SL_TEST_MAIN(cmocka_unit_test(no_sink_waits_for_another))
