/* SPDX-License-Identifier: MIT */
/* The tables of the sinks: one struct and one table a kind, all with the same first fields. */
#include <string.h>

#include "ingest/config/internal.h"
#include "sinks/redis.h"
#include "sinks/template.h"

#define TEMPLATE_MARKS "<kind>, <feed>, <venue>, <instrument>, <symbol>"
#define TEMPLATE_MAX "127" /* SL_TEMPLATE_MAX with its NUL */

static const char *const when_full[] = {"block", "spool", "drop_oldest", "conflate"};
static const char *const compressions[] = {"none", "zstd"};
static const char *const exchange_types[] = {"topic", "fanout", "direct", "headers"};
static const char *const acks[] = {"all", "leader", "none"};
static const char *const kafka_compressions[] = {"none", "lz4", "zstd", "snappy", "gzip"};
static const char *const sasls[] = {"none", "plain", "scram-sha-256", "scram-sha-512"};
static const char *const redis_schemes[] = {
    "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix"};
static const char *const amqp_schemes[] = {"amqp", "amqps"};
static const char *const postgresql_schemes[] = {"postgresql", "postgres"};

static const struct sl_config_field broker = {.type = SL_CONFIG_STRING, .min = "1", .max = "256"};
static const struct sl_config_field property = {.type = SL_CONFIG_SECRET, .max = "4096"};

/* ---- what all have ---- */

static const struct sl_config_field spool_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_spool, path), .type = SL_CONFIG_STRING, .min = "1", .max = SL__CONF_TEXT_MAX,
     .help = "A folder of its own; else the sink's name below spool.path of the program."},
    {SL_CONFIG_KEY("max_size", struct sl_conf_spool, max_bytes), .type = SL_CONFIG_SIZE, .default_text = "4GiB",
     .min = "1MiB", .max = "1024TiB", .help = "On disk; then the queue fills, and what does not fit is dropped."},
    {SL_CONFIG_KEY("segment", struct sl_conf_spool, segment_bytes), .type = SL_CONFIG_SIZE, .default_text = "64MiB",
     .min = "64KiB", .max = "1GiB", .help = "Of one file, which is removed when all of it is sent."},
    {SL_CONFIG_AT(struct sl_conf_spool, sync), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "Survives a power cut; a killed process loses nothing in any case."},
};

static void check_spool(const void *value, sl_config_check *check)
{
    const struct sl_conf_spool *spool = value;
    if (spool->segment_bytes * 2 > spool->max_bytes) {
        sl_config_reject(check, "segment", "more than half of max_size; expected at least two segments in it");
    }
}

static const struct sl_config_section spool = {SL_CONFIG_TABLE("spool", struct sl_conf_spool, spool_fields),
                                               .check = check_spool,
                                               .help = "Where events wait on disk while the sink is away."};

#define COMMON_FIELDS(owner)                                                                                           \
    {SL_CONFIG_KEY("queue", owner, common.queue),                                                                      \
     .type = SL_CONFIG_UINT,                                                                                           \
     .default_text = "262144",                                                                                         \
     .min = "16",                                                                                                      \
     .max = "67108864",                                                                                                \
     .help = "Events that wait in memory."},                                                                           \
        {SL_CONFIG_KEY("queue_size", owner, common.queue_bytes),                                                       \
         .type = SL_CONFIG_SIZE,                                                                                       \
         .default_text = "16MiB",                                                                                      \
         .min = "4KiB",                                                                                                \
         .max = "4GiB",                                                                                                \
         .help = "And bytes of them."},                                                                                \
        {SL_CONFIG_KEY("when_full", owner, common.when_full), .type = SL_CONFIG_ENUM, SL__CHOICES(when_full),          \
         .default_text = "block",                                                                                      \
         .help = "block: the services wait; spool: events go to disk; drop_oldest; conflate: the newest of an "        \
                 "instrument and channel replaces the one that waits."},                                               \
        {SL_CONFIG_KEY("spool", owner, common.spool), .type = SL_CONFIG_SECTION, .section = &spool,                    \
         .help = "For when_full: spool."},                                                                             \
        {SL_CONFIG_KEY("batch", owner, common.batch),                                                                  \
         .type = SL_CONFIG_UINT,                                                                                       \
         .default_text = "5000",                                                                                       \
         .min = "1",                                                                                                   \
         .max = "1000000",                                                                                             \
         .help = "Events written together, at most."},                                                                 \
        {SL_CONFIG_KEY("batch_size", owner, common.batch_bytes),                                                       \
         .type = SL_CONFIG_SIZE,                                                                                       \
         .default_text = "1MiB",                                                                                       \
         .min = "1KiB",                                                                                                \
         .max = "256MiB",                                                                                              \
         .help = "And bytes of them."},                                                                                \
        {SL_CONFIG_KEY("flush", owner, common.flush),                                                                  \
         .type = SL_CONFIG_DURATION,                                                                                   \
         .default_text = "200ms",                                                                                      \
         .min = "1ms",                                                                                                 \
         .max = "5m",                                                                                                  \
         .help = "An event is written at the latest after this."},                                                     \
        {SL_CONFIG_KEY("timeout", owner, common.timeout), .type = SL_CONFIG_DURATION, .default_text = "30s",           \
         .max = "1h", .help = "Of connecting, and of writing a batch; then it is tried again; 0: none."},              \
        {SL_CONFIG_KEY("stop_within", owner, common.stop_within), .type = SL_CONFIG_DURATION, .default_text = "10s",   \
         .max = "10m",                                                                                                 \
         .help = "What waits is written so long after a stop; the rest is spooled, or counted as lost."},              \
        {SL_CONFIG_KEY("retry", owner, common.retry), .type = SL_CONFIG_STRING, .refers_to = "retry",                  \
         .help =                                                                                                       \
             "The waits before it connects or writes again (its initial, max, multiplier and jitter; a sink is tried " \
             "for ever); else of the entry default, else up to 30s."},                                                 \
    {                                                                                                                  \
        SL_CONFIG_KEY("only", owner, common.only), .type = SL_CONFIG_LIST, .element = &sl__conf_channel, .max = "10",  \
                                                   .help = "Channels that it takes; none: all."                        \
    }

#define PASSWORD_FIELD(owner)                                                                                          \
    {                                                                                                                  \
        SL_CONFIG_AT(owner, password), .type = SL_CONFIG_SECRET, .max = "1024",                                        \
                                       .help = "In place of one in the address."                                       \
    }

#define TLS_FIELD(owner)                                                                                               \
    {                                                                                                                  \
        SL_CONFIG_AT(owner, tls), .type = SL_CONFIG_SECTION, .section = &sl__conf_client_tls,                          \
                                  .help = "Whom to trust, and who we are."                                             \
    }

static void check_template(sl_config_check *check, const char *key, const char *text)
{
    if (sl_template_check(text) < 0) {
        sl_config_reject(check, key, "a < that begins nothing known; expected %s", TEMPLATE_MARKS);
    }
}

static void check_common(sl_config_check *check, const struct sl_conf_sink *sink)
{
    if (sink->batch > sink->queue) {
        sl_config_reject(check, "batch", "more than queue; expected at most %llu", (unsigned long long)sink->queue);
    }
}

/* ---- file ---- */

static const struct sl_config_field file_fields[] = {
    COMMON_FIELDS(struct sl_conf_file),
    {SL_CONFIG_AT(struct sl_conf_file, path), .type = SL_CONFIG_STRING, .required = true, .min = "1", .max = "1000",
     .help = "Folder, which must be there, and the beginning of the files' names; with <sink>, <replica>."},
    {SL_CONFIG_AT(struct sl_conf_file, compression), .type = SL_CONFIG_ENUM, SL__CHOICES(compressions),
     .default_text = "none", .help = "NDJSON as it is, or packed."},
    {SL_CONFIG_AT(struct sl_conf_file, level), .type = SL_CONFIG_INT, .default_text = "3", .min = "1", .max = "19",
     .help = "Of zstd."},
    {SL_CONFIG_KEY("rotate_size", struct sl_conf_file, rotate_bytes), .type = SL_CONFIG_SIZE, .default_text = "1GiB",
     .max = "1024TiB", .help = "A new file after so much; 0: not by size."},
    {SL_CONFIG_AT(struct sl_conf_file, rotate), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "31d",
     .help = "A new file after so long; 0: not by time."},
    {SL_CONFIG_AT(struct sl_conf_file, sync), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "Each batch is forced to the disk: survives a power cut."},
};

static void check_file(const void *value, sl_config_check *check)
{
    const struct sl_conf_file *file = value;
    check_common(check, &file->common);
    sl__conf_check_template(check, "path", file->path, "<sink>, <replica>");
    if (file->rotate_bytes > 0 && file->rotate_bytes < ((uint64_t)64 << 10)) {
        sl_config_reject(check, "rotate_size", "too small; expected 0 or at least 64KiB");
    }
    if (file->rotate > 0 && file->rotate < SL_SECONDS(1)) {
        sl_config_reject(check, "rotate", "too short; expected 0 or at least 1s");
    }
}

static const struct sl_config_section file = {SL_CONFIG_TABLE("file", struct sl_conf_file, file_fields),
                                              .check = check_file, .help = "NDJSON files."};

/* ---- sqlite ---- */

static const struct sl_config_field sqlite_fields[] = {
    COMMON_FIELDS(struct sl_conf_sqlite),
    {SL_CONFIG_AT(struct sl_conf_sqlite, path), .type = SL_CONFIG_STRING, .required = true, .min = "1",
     .max = SL__CONF_TEXT_MAX, .help = "Of the database; made when it is not there."},
    {SL_CONFIG_AT(struct sl_conf_sqlite, sync), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "Survives a power cut, not only a crash."},
    {SL_CONFIG_AT(struct sl_conf_sqlite, busy_timeout), .type = SL_CONFIG_DURATION, .default_text = "5s", .max = "10m",
     .help = "Wait so long for another process that holds the file."},
};

static void check_sqlite(const void *value, sl_config_check *check)
{
    check_common(check, value);
}

static const struct sl_config_section sqlite = {SL_CONFIG_TABLE("sqlite", struct sl_conf_sqlite, sqlite_fields),
                                                .check = check_sqlite, .help = "An SQLite database."};

/* ---- redis ---- */

static const struct sl_config_field redis_fields[] = {
    COMMON_FIELDS(struct sl_conf_redis),
    {SL_CONFIG_AT(struct sl_conf_redis, url), .type = SL_CONFIG_URL, SL__CHOICES(redis_schemes), .required = true,
     .help = "Address, with user and database: redis://user@host:6379/0."},
    PASSWORD_FIELD(struct sl_conf_redis),
    {SL_CONFIG_AT(struct sl_conf_redis, stream), .type = SL_CONFIG_STRING, .default_text = SL_REDIS_STREAM_DEFAULT,
     .min = "1", .max = TEMPLATE_MAX, .help = "Key, with " TEMPLATE_MARKS "."},
    {SL_CONFIG_AT(struct sl_conf_redis, max_length), .type = SL_CONFIG_UINT, .default_text = "1000000",
     .max = "1000000000", .help = "Entries that a stream keeps, about; 0: all."},
    TLS_FIELD(struct sl_conf_redis),
};

static void check_redis(const void *value, sl_config_check *check)
{
    const struct sl_conf_redis *redis = value;
    check_common(check, &redis->common);
    check_template(check, "stream", redis->stream);
    sl__conf_check_tls(check, &redis->tls, sl__conf_scheme_is(&redis->url, "rediss"), "an address of rediss");
    sl__conf_check_password(check, &redis->url, redis->password);
}

static const struct sl_config_section redis = {SL_CONFIG_TABLE("redis", struct sl_conf_redis, redis_fields),
                                               .check = check_redis, .help = "Redis streams."};

/* ---- rabbitmq ---- */

static const struct sl_config_field rabbitmq_fields[] = {
    COMMON_FIELDS(struct sl_conf_rabbitmq),
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, url), .type = SL_CONFIG_URL, SL__CHOICES(amqp_schemes), .required = true,
     .help = "Address, with user and virtual host: amqp://user@host/vhost."},
    PASSWORD_FIELD(struct sl_conf_rabbitmq),
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, exchange), .type = SL_CONFIG_STRING, .required = true, .min = "1",
     .max = "255", .help = "Messages are published there."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, exchange_type), .type = SL_CONFIG_ENUM, SL__CHOICES(exchange_types),
     .default_text = "topic", .help = "For declare."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, declare), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "The exchange is made, durable, when it is not there."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, routing_key), .type = SL_CONFIG_STRING,
     .default_text = "<venue>.<instrument>.<kind>", .min = "1", .max = TEMPLATE_MAX,
     .help = "With " TEMPLATE_MARKS "."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, confirm), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "The broker confirms each message; there is no delivery without."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, mandatory), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "A message that no queue gets comes back and counts as refused."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, persistent), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "Messages survive a restart of the broker."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, window), .type = SL_CONFIG_UINT, .default_text = "1024", .min = "1",
     .max = "65535", .help = "Messages that wait for their confirmation."},
    {SL_CONFIG_AT(struct sl_conf_rabbitmq, heartbeat), .type = SL_CONFIG_DURATION, .default_text = "15s", .min = "1s",
     .max = "10m", .help = "Asked of the broker; two missed end the connection."},
    TLS_FIELD(struct sl_conf_rabbitmq),
};

static void check_rabbitmq(const void *value, sl_config_check *check)
{
    const struct sl_conf_rabbitmq *rabbitmq = value;
    check_common(check, &rabbitmq->common);
    check_template(check, "routing_key", rabbitmq->routing_key);
    if (!rabbitmq->confirm) {
        sl_config_reject(check, "confirm", "unconfirmed messages may be lost without a trace; only true is possible");
    }
    sl__conf_check_tls(check, &rabbitmq->tls, sl__conf_scheme_is(&rabbitmq->url, "amqps"), "an address of amqps");
    sl__conf_check_password(check, &rabbitmq->url, rabbitmq->password);
}

static const struct sl_config_section rabbitmq = {SL_CONFIG_TABLE("rabbitmq", struct sl_conf_rabbitmq, rabbitmq_fields),
                                                  .check = check_rabbitmq, .help = "A RabbitMQ exchange."};

/* ---- kafka ---- */

static const struct sl_config_field kafka_fields[] = {
    COMMON_FIELDS(struct sl_conf_kafka),
    {SL_CONFIG_AT(struct sl_conf_kafka, brokers), .type = SL_CONFIG_LIST, .element = &broker, .required = true,
     .min = "1", .max = "64", .help = "To begin with: [host:9092]."},
    {SL_CONFIG_AT(struct sl_conf_kafka, topic), .type = SL_CONFIG_STRING, .default_text = "market.<kind>", .min = "1",
     .max = TEMPLATE_MAX, .help = "With " TEMPLATE_MARKS "."},
    {SL_CONFIG_AT(struct sl_conf_kafka, key), .type = SL_CONFIG_STRING, .default_text = "<venue>:<instrument>",
     .min = "1", .max = TEMPLATE_MAX, .help = "Of each message: one key, one partition, one order."},
    {SL_CONFIG_AT(struct sl_conf_kafka, acks), .type = SL_CONFIG_ENUM, SL__CHOICES(acks), .default_text = "all",
     .help = "Who must have a message before it is delivered."},
    {SL_CONFIG_AT(struct sl_conf_kafka, idempotent), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "The broker drops repeats and keeps the order."},
    {SL_CONFIG_AT(struct sl_conf_kafka, compression), .type = SL_CONFIG_ENUM, SL__CHOICES(kafka_compressions),
     .default_text = "lz4", .help = "Of batches."},
    {SL_CONFIG_AT(struct sl_conf_kafka, linger), .type = SL_CONFIG_DURATION, .default_text = "5ms", .max = "1s",
     .help = "Wait so long for a batch to fill."},
    {SL_CONFIG_AT(struct sl_conf_kafka, message_timeout), .type = SL_CONFIG_DURATION, .default_text = "30s",
     .min = "1s", .max = "1d",
     .help = "Takes the place of timeout: then a batch counts as not delivered and is tried again."},
    {SL_CONFIG_KEY("buffer", struct sl_conf_kafka, buffer_bytes), .type = SL_CONFIG_SIZE, .default_text = "64MiB",
     .min = "1MiB", .max = "2GiB", .help = "The client's own queue."},
    {SL_CONFIG_AT(struct sl_conf_kafka, sasl), .type = SL_CONFIG_ENUM, SL__CHOICES(sasls), .default_text = "none",
     .help = "How to log in."},
    {SL_CONFIG_AT(struct sl_conf_kafka, user), .type = SL_CONFIG_STRING, .max = "256", .help = "For sasl."},
    {SL_CONFIG_AT(struct sl_conf_kafka, password), .type = SL_CONFIG_SECRET, .max = "1024", .help = "For sasl."},
    {SL_CONFIG_AT(struct sl_conf_kafka, encrypted), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "TLS to the brokers."},
    TLS_FIELD(struct sl_conf_kafka),
    {SL_CONFIG_AT(struct sl_conf_kafka, properties), .type = SL_CONFIG_MAP, .element = &property, .max = "16",
     .help = "Of librdkafka, as they are; never shown."},
};

static void check_kafka(const void *value, sl_config_check *check)
{
    const struct sl_conf_kafka *kafka = value;
    check_common(check, &kafka->common);
    check_template(check, "topic", kafka->topic);
    check_template(check, "key", kafka->key);
    sl__conf_check_tls(check, &kafka->tls, kafka->encrypted, "encrypted: true");
    for (size_t i = 0; i < kafka->brokers.count; i++) {
        char host[SL_CONF_HOST_MAX];
        uint16_t port;
        if (!sl_conf_listen_parse(*(const char *const *)sl_config_list_at(&kafka->brokers, i), host, &port) ||
            port == 0) {
            sl_config_reject(check, "brokers", "item %zu is no address; expected host:port", i + 1);
            break;
        }
    }
    if (kafka->idempotent && kafka->acks != SL_CONF_ACKS_ALL) {
        sl_config_reject(check, "acks", "too few for idempotent; expected all, or idempotent: false");
    }
    if (kafka->sasl == SL_CONF_SASL_NONE && (kafka->user != NULL || kafka->password != NULL)) {
        sl_config_reject(check, "sasl", "none, but there is a user or password; expected how to log in");
    } else if (kafka->sasl != SL_CONF_SASL_NONE && (kafka->user == NULL || kafka->password == NULL)) {
        sl_config_reject(check, "sasl", "a login without its user or password; expected both");
    }
}

static const struct sl_config_section kafka = {SL_CONFIG_TABLE("kafka", struct sl_conf_kafka, kafka_fields),
                                               .check = check_kafka, .help = "Kafka topics."};

/* ---- postgresql ---- */

static const struct sl_config_field postgresql_fields[] = {
    COMMON_FIELDS(struct sl_conf_postgresql),
    {SL_CONFIG_AT(struct sl_conf_postgresql, url), .type = SL_CONFIG_URL, SL__CHOICES(postgresql_schemes),
     .required = true, .help = "Address, with user and database: postgresql://user@host/database."},
    PASSWORD_FIELD(struct sl_conf_postgresql),
    TLS_FIELD(struct sl_conf_postgresql),
};

static void check_postgresql(const void *value, sl_config_check *check)
{
    const struct sl_conf_postgresql *postgresql = value;
    check_common(check, &postgresql->common);
    sl__conf_check_password(check, &postgresql->url, postgresql->password);
}

static const struct sl_config_section postgresql = {
    SL_CONFIG_TABLE("postgresql", struct sl_conf_postgresql, postgresql_fields), .check = check_postgresql,
    .help = "Tables of PostgreSQL, by COPY."};

/* ---- websocket ---- */

static const struct sl_config_field websocket_fields[] = {
    COMMON_FIELDS(struct sl_conf_websocket),
    {SL_CONFIG_AT(struct sl_conf_websocket, listen), .type = SL_CONFIG_STRING, .required = true, .max = "256",
     .help = "Address and port: 127.0.0.1:9001."},
    {SL_CONFIG_AT(struct sl_conf_websocket, path), .type = SL_CONFIG_STRING, .default_text = "/events", .min = "1",
     .max = "256", .help = "Clients connect there, and name what they want."},
    {SL_CONFIG_AT(struct sl_conf_websocket, token), .type = SL_CONFIG_SECRET, .min = "16",
     .help = "Asked for as Authorization: Bearer."},
    {SL_CONFIG_AT(struct sl_conf_websocket, tls), .type = SL_CONFIG_SECTION, .section = &sl__conf_server_tls,
     .optional = true, .help = "Serves wss."},
    {SL_CONFIG_AT(struct sl_conf_websocket, max_clients), .type = SL_CONFIG_UINT, .default_text = "1000", .min = "1",
     .max = "100000", .help = "At once; others are refused."},
    {SL_CONFIG_KEY("client_queue", struct sl_conf_websocket, client_queue_bytes), .type = SL_CONFIG_SIZE,
     .default_text = "1MiB", .min = "16KiB", .max = "1GiB",
     .help = "Of events that wait for one client; a slower one gets only the latest states, then it is cut."},
    {SL_CONFIG_AT(struct sl_conf_websocket, compression), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "permessage-deflate, for clients that offer it."},
};

static void check_websocket(const void *value, sl_config_check *check)
{
    const struct sl_conf_websocket *websocket = value;
    check_common(check, &websocket->common);
    sl__conf_check_listen(check, "listen", websocket->listen);
    sl__conf_check_guard(check, websocket->listen, websocket->token != NULL, "token");
    if (websocket->path[0] != '/') {
        sl_config_reject(check, "path", "no path; expected / at its beginning");
    }
}

static const struct sl_config_section websocket = {
    SL_CONFIG_TABLE("websocket", struct sl_conf_websocket, websocket_fields), .check = check_websocket,
    .help = "Serves events to WebSocket clients."};

const struct sl_config_section *const sl__conf_sinks[SL_CONF_SINK_KINDS] = {&file,  &sqlite,     &redis,    &rabbitmq,
                                                                            &kafka, &postgresql, &websocket};
