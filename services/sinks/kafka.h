/* SPDX-License-Identifier: MIT */
/*
 * A sink into Kafka through librdkafka: each event is a message with its JSON (docs/reference/events.md), keyed by venue
 * and instrument, so that what belongs to an instrument stays in order in one partition.
 *
 * Identity: the producer is idempotent (unless told otherwise), so the client's own repeats are harmless to the log. After a session broke, or in
 * the next life of the program, the batch that was under way is produced again: the header "sluice-id" has the event's
 * identity (market/record.h) for consumers that must not take an event twice.
 *
 * A batch is written when the brokers have acknowledged all of it (acks=all, unless told otherwise). librdkafka does its I/O in threads of its
 * own; its calls are made on a worker thread.
 */
#ifndef SLUICE_SINKS_KAFKA_H
#define SLUICE_SINKS_KAFKA_H

#include "sinks/sink.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_KAFKA_TOPIC_DEFAULT "market.<kind>"
#define SL_KAFKA_KEY_DEFAULT "<venue>:<symbol>"
#define SL_KAFKA_TIMEOUT SL_SECONDS(30)
#define SL_KAFKA_LINGER SL_MILLISECONDS(5)
#define SL_KAFKA_BUFFER_BYTES ((size_t)64 << 20)
#define SL_KAFKA_HEADER "sluice-id"
#define SL_KAFKA_SETTINGS_MAX 32

/* A setting of librdkafka's (CONFIGURATION.md): "security.protocol", "sasl.password"... */
struct sl_kafka_setting {
    const char *name, *value;
};

typedef struct sl_kafka_options {
    const char *servers; /* "host:port,host:port" */
    const char *topic;   /* a template (template.h) of letters, digits and . _ -; NULL: SL_KAFKA_TOPIC_DEFAULT */
    const char *key;     /* a template: one key, one partition, one order; NULL: SL_KAFKA_KEY_DEFAULT */
    const char *acks;    /* "all", "1" or "0"; NULL: "all" */
    bool repeats;        /* not idempotent: needed when acks is not "all" */
    sl_time linger;      /* for a batch to fill; 0: SL_KAFKA_LINGER; negative: none */
    size_t buffer_bytes; /* librdkafka's own queue; 0: SL_KAFKA_BUFFER_BYTES */
    sl_time timeout;     /* for the brokers to acknowledge a batch, 1 s at least; 0: SL_KAFKA_TIMEOUT */
    const struct sl_kafka_setting
        *settings;        /* more of them, which go before ours; borrowed as long as the sink lives */
    size_t setting_count; /* up to SL_KAFKA_SETTINGS_MAX */
} sl_kafka_options;

/* Makes the sink. 0, SL_EINVAL (also for a setting that librdkafka does not take, when it is opened), SL_ENOMEM. */
SL_MUST_CHECK int sl_kafka_sink_new(const sl_kafka_options *options, sl_sink **ret_sink);

#ifdef __cplusplus
}
#endif

#endif
