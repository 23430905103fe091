/* SPDX-License-Identifier: MIT */
/* From an entry of `sinks` to an outlet: the sink of its kind, and what is the same for all around it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/program/program.h"
#include "ingest/program/sink_watch.h"
#include "sinks/file.h"
#include "sinks/kafka.h"
#include "sinks/postgresql.h"
#include "sinks/rabbitmq.h"
#include "sinks/redis.h"
#include "sinks/sqlite.h"
#include "sinks/websocket.h"
#include "sluice/amqp.h"
#include "sluice/redis.h"
#include "sluice/tls.h"

#define PATH_BYTES 1024
#define URL_BYTES 2048

/* What a sink borrows as long as it lives: the configuration's texts, and options made of them. */
struct sl__sink_kit {
    sl_config *config;
    sl_tls_config *tls;
    struct sl_redis_options redis;
    struct sl_amqp_options amqp;
    struct sl_kafka_setting settings[SL_KAFKA_SETTINGS_MAX];
    size_t setting_count;
    char url[URL_BYTES];
};

/* A path with <sink> and <replica> in it; nothing else has a mark, as check has seen. */
static int make_path(const struct sl_conf *conf, const char *name, const char *text, char buffer[PATH_BYTES])
{
    char replica[128] = "0";
    if (conf->coordination.replica != NULL) {
        (void)snprintf(replica, sizeof replica, "%s", conf->coordination.replica);
    } else {
        (void)gethostname(replica, sizeof replica - 1);
    }
    size_t used = 0;
    while (*text != '\0') {
        const char *put = NULL;
        size_t length = 1;
        if (strncmp(text, "<sink>", 6) == 0) {
            put = name;
            length = 6;
        } else if (strncmp(text, "<replica>", 9) == 0) {
            put = replica;
            length = 9;
        }
        int size = put != NULL ? snprintf(buffer + used, PATH_BYTES - used, "%s", put)
                               : snprintf(buffer + used, PATH_BYTES - used, "%c", *text);
        if (size < 0 || (size_t)size >= PATH_BYTES - used) {
            return sl_fail(SL_EINVAL, "sinks.%s.path is too long", name);
        }
        used += (size_t)size;
        text += length;
    }
    return 0;
}

static int make_file(const struct sl_conf *conf, const char *name, const struct sl_conf_file *file, sl_sink **ret_sink)
{
    char path[PATH_BYTES];
    SL_TRY(make_path(conf, name, file->path, path));
    sl_file_options options = {.path = path,
                               .zstd = file->compression == SL_CONF_COMPRESSION_ZSTD,
                               .level = (int)file->level,
                               .rotate_bytes = file->rotate_bytes,
                               .rotate_age = file->rotate,
                               .sync = file->sync};
    return sl_file_sink_new(&options, ret_sink);
}

static int make_sqlite(const struct sl_conf *conf, const char *name, const struct sl_conf_sqlite *sqlite,
                       sl_sink **ret_sink)
{
    char path[PATH_BYTES];
    SL_TRY(make_path(conf, name, sqlite->path, path));
    sl_sqlite_options options = {
        .path = path, .busy_timeout_ms = (int)(sqlite->busy_timeout / SL_MILLISECONDS(1)), .sync_full = sqlite->sync};
    return sl_sqlite_sink_new(&options, ret_sink);
}

/* ---- sinks on servers ---- */

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '~';
}

/* The URL with a password that was given beside it, other characters as %XX; the user is as the URL has it. */
static int make_url(const char *name, const struct sl_config_url *url, const char *password, char buffer[URL_BYTES])
{
    const char *behind = strstr(url->text, "://");
    if (password == NULL || behind == NULL) {
        int size = snprintf(buffer, URL_BYTES, "%s", url->text);
        return size >= 0 && size < URL_BYTES ? 0 : sl_fail(SL_EINVAL, "sinks.%s.url is too long", name);
    }
    behind += 3;
    const char *at = memrchr(behind, '@', strcspn(behind, "/?#"));
    const char *host = at == NULL ? behind : at + 1;
    size_t user = at == NULL ? 0 : strcspn(behind, ":@");
    size_t used = (size_t)snprintf(buffer, URL_BYTES, "%.*s:", (int)(behind - url->text + (ptrdiff_t)user), url->text);
    for (; *password != '\0' && used + 3 < URL_BYTES; password++) {
        used += (size_t)snprintf(buffer + used, URL_BYTES - used, plain(*password) ? "%c" : "%%%02X",
                                 (unsigned char)*password);
    }
    int size = used < URL_BYTES ? snprintf(buffer + used, URL_BYTES - used, "@%s", host) : -1;
    return size >= 0 && (size_t)size < URL_BYTES - used ? 0 : sl_fail(SL_EINVAL, "sinks.%s.url is too long", name);
}

static int make_redis(struct sl__sink_kit *kit, const char *name, const struct sl_conf_redis *redis, sl_sink **ret_sink)
{
    SL_TRY(sl__client_tls(&redis->tls, &kit->tls));
    SL_TRY(make_url(name, &redis->url, redis->password, kit->url));
    kit->redis = (struct sl_redis_options){
        .url = kit->url, .name = "sluice", .tls = kit->tls, .connect_timeout = redis->common.timeout};
    sl_redis_sink_options options = {.client = &kit->redis,
                                     .name = name,
                                     .stream = redis->stream,
                                     .max_events = redis->max_length == 0 ? UINT64_MAX : redis->max_length};
    return sl_redis_sink_new(&options, ret_sink);
}

static int make_rabbitmq(struct sl__sink_kit *kit, const char *name, const struct sl_conf_rabbitmq *rabbitmq,
                         sl_sink **ret_sink)
{
    static const char *const types[] = {[SL_CONF_EXCHANGE_TOPIC] = "topic",
                                        [SL_CONF_EXCHANGE_FANOUT] = "fanout",
                                        [SL_CONF_EXCHANGE_DIRECT] = "direct",
                                        [SL_CONF_EXCHANGE_HEADERS] = "headers"};
    SL_TRY(sl__client_tls(&rabbitmq->tls, &kit->tls));
    SL_TRY(make_url(name, &rabbitmq->url, rabbitmq->password, kit->url));
    kit->amqp = (struct sl_amqp_options){.url = kit->url,
                                         .tls = kit->tls,
                                         .heartbeat = rabbitmq->heartbeat,
                                         .connect_timeout = rabbitmq->common.timeout,
                                         .window = (uint32_t)rabbitmq->window};
    sl_rabbitmq_options options = {.connection = &kit->amqp,
                                   .exchange = rabbitmq->exchange,
                                   .exchange_type = rabbitmq->declare ? types[rabbitmq->exchange_type] : NULL,
                                   .key = rabbitmq->routing_key,
                                   .transient = !rabbitmq->persistent,
                                   .mandatory = rabbitmq->mandatory};
    return sl_rabbitmq_sink_new(&options, ret_sink);
}

static void set(struct sl__sink_kit *kit, const char *setting, const char *value)
{
    if (value != NULL && kit->setting_count < SL_KAFKA_SETTINGS_MAX) {
        kit->settings[kit->setting_count++] = (struct sl_kafka_setting){setting, value};
    }
}

static int make_kafka(struct sl__sink_kit *kit, const char *name, const struct sl_conf_kafka *kafka, sl_sink **ret_sink)
{
    static const char *const codecs[] = {[SL_CONF_KAFKA_NONE] = "none",
                                         [SL_CONF_KAFKA_LZ4] = "lz4",
                                         [SL_CONF_KAFKA_ZSTD] = "zstd",
                                         [SL_CONF_KAFKA_SNAPPY] = "snappy",
                                         [SL_CONF_KAFKA_GZIP] = "gzip"};
    static const char *const mechanisms[] = {[SL_CONF_SASL_NONE] = NULL,
                                             [SL_CONF_SASL_PLAIN] = "PLAIN",
                                             [SL_CONF_SASL_SCRAM_256] = "SCRAM-SHA-256",
                                             [SL_CONF_SASL_SCRAM_512] = "SCRAM-SHA-512"};
    static const char *const acks[] = {
        [SL_CONF_ACKS_ALL] = "all", [SL_CONF_ACKS_LEADER] = "1", [SL_CONF_ACKS_NONE] = "0"};
    size_t used = 0;
    for (size_t at = 0; at < kafka->brokers.count && used < URL_BYTES; at++) {
        used += (size_t)snprintf(kit->url + used, URL_BYTES - used, "%s%s", at == 0 ? "" : ",",
                                 ((const char *const *)kafka->brokers.items)[at]);
    }
    if (used >= URL_BYTES) {
        return sl_fail(SL_EINVAL, "sinks.%s.brokers are too long", name);
    }
    bool sasl = mechanisms[kafka->sasl] != NULL;
    set(kit, "security.protocol",
        kafka->encrypted ? (sasl ? "sasl_ssl" : "ssl") : (sasl ? "sasl_plaintext" : "plaintext"));
    set(kit, "sasl.mechanisms", mechanisms[kafka->sasl]);
    set(kit, "sasl.username", kafka->user);
    set(kit, "sasl.password", kafka->password);
    set(kit, "ssl.ca.location", kafka->encrypted ? kafka->tls.ca : NULL);
    set(kit, "ssl.certificate.location", kafka->encrypted ? kafka->tls.certificate : NULL);
    set(kit, "ssl.key.location", kafka->encrypted ? kafka->tls.key : NULL);
    set(kit, "enable.ssl.certificate.verification", kafka->encrypted && !kafka->tls.verify ? "false" : NULL);
    set(kit, "compression.codec", codecs[kafka->compression]);
    for (size_t at = 0; at < kafka->properties.count; at++) {
        set(kit, kafka->properties.names[at], *(const char *const *)sl_config_map_at(&kafka->properties, at));
    }
    sl_kafka_options options = {.servers = kit->url,
                                .topic = kafka->topic,
                                .key = kafka->key,
                                .acks = acks[kafka->acks],
                                .repeats = !kafka->idempotent,
                                .linger = kafka->linger == 0 ? -1 : kafka->linger,
                                .buffer_bytes = kafka->buffer_bytes,
                                .timeout = kafka->message_timeout,
                                .settings = kit->settings,
                                .setting_count = kit->setting_count};
    return sl_kafka_sink_new(&options, ret_sink);
}

/* One more "name=value" of a URL's query; a value of NULL is none. */
static int add_parameter(char url[URL_BYTES], const char *sink, const char *name, const char *value)
{
    size_t used = strlen(url);
    int size =
        value == NULL ? 0 : snprintf(url + used, URL_BYTES - used, "%c%s=", strchr(url, '?') == NULL ? '?' : '&', name);
    used += (size_t)size;
    for (; value != NULL && *value != '\0' && used + 4 < URL_BYTES; value++) {
        bool as_it_is = plain(*value) || *value == '/';
        used += (size_t)snprintf(url + used, URL_BYTES - used, as_it_is ? "%c" : "%%%02X", (unsigned char)*value);
    }
    return used + 4 < URL_BYTES ? 0 : sl_fail(SL_EINVAL, "sinks.%s.url is too long", sink);
}

static int make_postgresql(struct sl__sink_kit *kit, const char *name, const struct sl_conf_postgresql *postgresql,
                           sl_sink **ret_sink)
{
    const struct sl_conf_client_tls *tls = &postgresql->tls;
    SL_TRY(make_url(name, &postgresql->url, postgresql->password, kit->url));
    /* libpq does its own TLS; what nobody asked for stays as the address has it. */
    if (tls->ca != NULL || tls->certificate != NULL || !tls->verify) {
        SL_TRY(add_parameter(kit->url, name, "sslmode", tls->verify ? "verify-full" : "require"));
    }
    SL_TRY(add_parameter(kit->url, name, "sslrootcert", tls->ca));
    SL_TRY(add_parameter(kit->url, name, "sslcert", tls->certificate));
    SL_TRY(add_parameter(kit->url, name, "sslkey", tls->key));
    sl_time timeout = postgresql->common.timeout;
    sl_postgresql_options options = {.target = kit->url, .timeout = timeout == 0 ? SL_NEVER : timeout};
    return sl_postgresql_sink_new(&options, ret_sink);
}

static int make_websocket(struct sl__sink_kit *kit, const char *name, const struct sl_conf_websocket *websocket,
                          sl_sink **ret_sink)
{
    uint16_t port = 0;
    if (!sl_conf_listen_parse(websocket->listen, kit->url, &port)) {
        return sl_fail(SL_EINVAL, "sinks.%s.listen: '%s' is no address", name, websocket->listen);
    }
    if (websocket->tls != NULL) {
        SL_TRY(sl__server_tls(websocket->tls, &kit->tls));
    }
    sl_websocket_options options = {.address = kit->url,
                                    .port = port,
                                    .path = websocket->path,
                                    .tls = kit->tls,
                                    .token = websocket->token,
                                    .deflate = websocket->compression,
                                    .queue_bytes = websocket->client_queue_bytes,
                                    .clients_max = websocket->max_clients};
    return sl_websocket_sink_new(&options, ret_sink);
}

static int make_sink(struct sl__sink_kit *kit, const char *name, const struct sl_config_variant *variant,
                     sl_sink **ret_sink)
{
    const struct sl_conf *conf = sl_config_root(kit->config);
    switch (sl_conf_sink_kind(variant)) {
    case SL_CONF_FILE:
        return make_file(conf, name, variant->value, ret_sink);
    case SL_CONF_SQLITE:
        return make_sqlite(conf, name, variant->value, ret_sink);
    case SL_CONF_REDIS:
        return make_redis(kit, name, variant->value, ret_sink);
    case SL_CONF_RABBITMQ:
        return make_rabbitmq(kit, name, variant->value, ret_sink);
    case SL_CONF_KAFKA:
        return make_kafka(kit, name, variant->value, ret_sink);
    case SL_CONF_POSTGRESQL:
        return make_postgresql(kit, name, variant->value, ret_sink);
    case SL_CONF_WEBSOCKET:
        return make_websocket(kit, name, variant->value, ret_sink);
    default:
        return sl_fail(SL_ENOTSUP, "sinks.%s: no such kind of sink", name);
    }
}

void sl__sink_kit_free(struct sl__sink_kit *kit)
{
    if (kit != NULL) {
        sl_tls_config_free(kit->tls);
        sl_config_unref(kit->config);
        sl_free(kit);
    }
}

int sl__sink_kit_new(const sl_config *config, struct sl__sink_kit **ret_kit)
{
    struct sl__sink_kit *kit = sl_calloc(1, sizeof *kit);
    if (kit == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a sink");
    }
    kit->config = sl_config_ref(config);
    *ret_kit = kit;
    return 0;
}

const struct sl_conf_retry *sl__sink_retry(const struct sl_conf *conf, const struct sl_config_variant *variant)
{
    const char *name = sl_conf_sink(variant)->retry;
    return sl_config_map_find(&conf->retry, name == NULL ? "default" : name);
}

int sl__make_outlet(struct sl__sink_kit *kit, const char *name, const struct sl_config_variant *variant,
                    struct sl_program_sink *told, sl_outlet **ret_outlet)
{
    const struct sl_conf *conf = sl_config_root(kit->config);
    static const sl_when_full policies[] = {[SL_CONF_FULL_BLOCK] = SL_FULL_BLOCK,
                                            [SL_CONF_FULL_SPOOL] = SL_FULL_SPOOL,
                                            [SL_CONF_FULL_DROP_OLDEST] = SL_FULL_DROP_OLDEST,
                                            [SL_CONF_FULL_CONFLATE] = SL_FULL_CONFLATE};
    const struct sl_conf_sink *common = sl_conf_sink(variant);
    const struct sl_conf_retry *retry = sl__sink_retry(conf, variant);
    char folder[PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s", common->spool.path == NULL ? "" : common->spool.path);
    if (common->spool.path == NULL) {
        const char *spools = conf->spool.path == NULL ? "spool" : conf->spool.path;
        if (common->when_full == SL_CONF_FULL_SPOOL && mkdir(spools, 0700) < 0 && errno != EEXIST) {
            return sl_fail(-errno, "sinks.%s: the folder of spools %s cannot be made: %s", name, spools,
                           strerror(errno));
        }
        (void)snprintf(folder, sizeof folder, "%s/%s", spools, name);
    }
    sl_sink *sink = NULL;
    SL_TRY(make_sink(kit, name, variant, &sink));
    sl_outlet_options options = {.name = name,
                                 .queue_bytes = common->queue_bytes,
                                 .queue_events = common->queue,
                                 .when_full = policies[common->when_full],
                                 .batch_events = common->batch,
                                 .batch_bytes = common->batch_bytes,
                                 .batch_age = common->flush,
                                 .write_timeout = common->timeout == 0 ? SL_NEVER : common->timeout,
                                 .drain = common->stop_within == 0 ? 1 : common->stop_within,
                                 .spool = {.folder = folder,
                                           .max_bytes = common->spool.max_bytes,
                                           .segment_bytes = common->spool.segment_bytes,
                                           .sync = common->spool.sync}};
    options.refused = told == NULL ? NULL : sl_sink_refused;
    options.refused_arg = told;
    if (retry != NULL) {
        options.retry = sl_conf_backoff(retry);
    }
    for (size_t at = 0; at < common->only.count; at++) {
        options.feeds |= SL_FEED_BIT(sl_conf_feed_of(*(const int *)sl_config_list_at(&common->only, at)));
    }
    return sl_outlet_new(&options, sink, ret_outlet);
}
