/* SPDX-License-Identifier: MIT */
/* The sink into Kafka: see kafka.h. */
#include "kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "market/event_json.h"
#include "sinks/template.h"
#include "sluice/thread.h"

#define SERVERS_MAX 1024
#define POLL_MS 100

typedef struct sl_kafka_sink {
    sl_sink sink;
    sl_kafka_options options;
    char servers[SERVERS_MAX], topic[SL_TEMPLATE_MAX], key[SL_TEMPLATE_MAX];
    rd_kafka_t *producer; /* while the sink is open */
    rd_kafka_queue_t *events;
    char *text;
    size_t text_capacity;
    uint64_t waiting;                  /* messages whose report is still to come */
    uint64_t stored, failed;           /* of the batch */
    uint64_t bad;                      /* of the failed ones: never to be taken */
    char problem[SL_SINK_PROBLEM_MAX]; /* of a message */
    char cause[SL_SINK_PROBLEM_MAX];   /* of a connection, which says more than a message that timed out */
} sl_kafka_sink;

/* ---- opening ---- */

static int set(rd_kafka_conf_t *settings, const char *name, const char *value)
{
    char problem[200] = "";
    if (rd_kafka_conf_set(settings, name, value, problem, sizeof(problem)) != RD_KAFKA_CONF_OK) {
        return sl_fail(SL_EINVAL, "Kafka: %s", problem);
    }
    return 0;
}

static int set_all(const sl_kafka_sink *sink, rd_kafka_conf_t *settings)
{
    const sl_kafka_options *options = &sink->options;
    char timeout[24], linger[24], buffer[24];
    (void)snprintf(timeout, sizeof(timeout), "%" PRId64, options->timeout / SL_MILLISECONDS(1));
    (void)snprintf(linger, sizeof(linger), "%" PRId64, options->linger < 0 ? 0 : options->linger / SL_MILLISECONDS(1));
    (void)snprintf(buffer, sizeof(buffer), "%zu", options->buffer_bytes / 1024);
    SL_TRY(set(settings, "bootstrap.servers", sink->servers));
    SL_TRY(set(settings, "client.id", "sluice"));
    SL_TRY(set(settings, "delivery.timeout.ms", timeout));
    SL_TRY(set(settings, "queue.buffering.max.messages", "100000"));
    SL_TRY(set(settings, "queue.buffering.max.kbytes", buffer));
    SL_TRY(set(settings, "linger.ms", linger));
    SL_TRY(set(settings, "acks", options->acks == NULL ? "all" : options->acks));
    for (size_t at = 0; at < options->setting_count; at++) {
        SL_TRY(set(settings, options->settings[at].name, options->settings[at].value));
    }
    return set(settings, "enable.idempotence", options->repeats ? "false" : "true"); /* whatever else was asked for */
}

static int kafka_open(sl_sink *base, sl_scope *scope)
{
    sl_kafka_sink *sink = (sl_kafka_sink *)base;
    char problem[200] = "";
    (void)scope;
    if (sink->producer != NULL) {
        return 0;
    }
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    int code = set_all(sink, settings);
    if (code == 0) {
        rd_kafka_conf_set_log_cb(settings, NULL);
        rd_kafka_conf_set_events(settings, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
        sink->producer = rd_kafka_new(RD_KAFKA_PRODUCER, settings, problem, sizeof(problem));
    }
    if (sink->producer == NULL) {
        rd_kafka_conf_destroy(settings); /* the producer would have taken it */
        return code < 0 ? code : sl_fail(SL_EINTERNAL, "Kafka: %s", problem);
    }
    sink->events = rd_kafka_queue_get_main(sink->producer);
    sink->waiting = 0;
    return 0;
}

static void kafka_close(sl_sink *base)
{
    sl_kafka_sink *sink = (sl_kafka_sink *)base;
    if (sink->producer != NULL) {
        (void)rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_queue_destroy(sink->events);
        rd_kafka_destroy(sink->producer);
        sink->producer = NULL;
        sink->events = NULL;
    }
}

/* ---- batches ---- */

/* Whether a message that failed so will fail always. Brokers say it of all messages that were sent together. */
static bool is_bad(rd_kafka_resp_err_t status)
{
    return status == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || status == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           status == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE || status == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void take_report(sl_kafka_sink *sink, rd_kafka_event_t *event)
{
    for (const rd_kafka_message_t *message = rd_kafka_event_message_next(event); message != NULL;
         message = rd_kafka_event_message_next(event)) {
        sink->waiting--;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            sink->stored++;
        } else {
            sink->failed++;
            sink->bad += is_bad(message->err);
            (void)snprintf(sink->problem, sizeof(sink->problem), "%s", rd_kafka_err2str(message->err));
        }
    }
}

/* For people: it goes on trying by itself. That all brokers are down is no news behind why they are. */
static void take_error(sl_kafka_sink *sink, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || sink->cause[0] == '\0') {
        (void)snprintf(sink->cause, sizeof(sink->cause), "%s", rd_kafka_event_error_string(event));
    }
}

/* Takes what librdkafka has to say, waiting a little for it. */
static void take_events(sl_kafka_sink *sink, int wait_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(sink->events, wait_ms);
    while (event != NULL) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            take_report(sink, event);
        } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
            take_error(sink, event);
        }
        rd_kafka_event_destroy(event);
        event = rd_kafka_queue_poll(sink->events, 0);
    }
}

/* Whether the outlet was told to stop: what the brokers have not acknowledged by then is not waited for. */
static bool is_stopped(void)
{
    return sl_offload_cancelled(NULL, 0) == SL_ECANCELED;
}

static const char *why(const sl_kafka_sink *sink)
{
    return sink->bad == 0 && sink->cause[0] != '\0' ? sink->cause : sink->problem;
}

static int produce(sl_kafka_sink *sink, const sl_market_event *event, sl_stamp stamp, sl_time until)
{
    char topic[SL_TEMPLATE_NAME_MAX];
    char key[SL_TEMPLATE_NAME_MAX];
    char id[SL_EVENT_IDENTITY_MAX];
    size_t bound = sl_event_json_bound(event);
    if (bound > sink->text_capacity) {
        char *text = sl_realloc(sink->text, bound);
        if (text == NULL) {
            return SL_ENOMEM;
        }
        sink->text = text;
        sink->text_capacity = bound;
    }
    size_t length = sl_event_json_write(event, &stamp, sink->text);
    size_t id_length = sl_event_identity(event, stamp, id);
    (void)sl_template_expand(sink->topic, event, topic);
    size_t key_length = sl_template_expand(sink->key, event, key);
    const rd_kafka_vu_t message[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = key, .size = key_length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = sink->text, .size = length}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {.name = SL_KAFKA_HEADER, .val = id, .size = (ssize_t)id_length}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    };
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_produceva(sink->producer, message, sizeof message / sizeof message[0]);
        rd_kafka_resp_err_t status = error == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
        if (error != NULL) {
            rd_kafka_error_destroy(error);
        }
        if (status == RD_KAFKA_RESP_ERR_NO_ERROR) {
            sink->waiting++;
            return 0;
        }
        if (is_bad(status)) {
            sink->failed++;
            sink->bad++;
            (void)snprintf(sink->problem, sizeof(sink->problem), "%s", rd_kafka_err2str(status));
            return 0;
        }
        if (status != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return sl_fail(SL_ENOTREADY, "Kafka: topic '%s': %s", topic, rd_kafka_err2str(status));
        }
        take_events(sink, POLL_MS);
        if (is_stopped()) {
            return SL_ECANCELED;
        }
        if (sl_now() >= until) {
            return sl_fail(SL_ETIMEDOUT, "Kafka: the brokers do not take what is produced: %s", why(sink));
        }
    }
}

static int produce_all(sl_kafka_sink *sink, sl_sink_batch *batch, sl_time until)
{
    sl_market_event event;
    sl_stamp stamp;
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            return code;
        }
        SL_TRY(produce(sink, &event, stamp, until));
    }
}

static int kafka_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_kafka_sink *sink = (sl_kafka_sink *)base;
    sl_time until = sl_time_add(sl_now(), sl_time_add(sink->options.timeout, SL_SECONDS(5)));
    sink->stored = 0;
    sink->failed = 0;
    sink->bad = 0;
    sink->problem[0] = '\0';
    sink->cause[0] = '\0';
    SL_TRY(produce_all(sink, batch, until));
    while (sink->waiting > 0 && sl_now() < until) {
        take_events(sink, POLL_MS);
        if (sink->waiting > 0 && is_stopped()) {
            return SL_ECANCELED;
        }
    }
    if (sink->waiting > 0 || sink->failed > 0) {
        bool bad = sink->waiting == 0 && sink->failed == sink->bad;
        return sl_fail(bad ? SL_EINVAL : SL_ENOTREADY, "Kafka: %" PRIu64 " messages were not acknowledged: %s",
                       sink->waiting + sink->failed, why(sink));
    }
    result->written = sink->stored;
    return 0;
}

static void kafka_free(sl_sink *base)
{
    sl_kafka_sink *sink = (sl_kafka_sink *)base;
    kafka_close(base);
    sl_free(sink->text);
    sl_free(sink);
}

int sl_kafka_sink_new(const sl_kafka_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"kafka", true, kafka_open, kafka_write, kafka_close, kafka_free};
    const char *topic = options->topic == NULL ? SL_KAFKA_TOPIC_DEFAULT : options->topic;
    const char *key = options->key == NULL ? SL_KAFKA_KEY_DEFAULT : options->key;
    SL_TRY(sl_template_check(topic));
    SL_TRY(sl_template_check(key));
    if (options->servers == NULL || options->servers[0] == '\0' || strlen(options->servers) >= SERVERS_MAX ||
        options->setting_count > SL_KAFKA_SETTINGS_MAX || (options->timeout != 0 && options->timeout < SL_SECONDS(1))) {
        return sl_fail(SL_EINVAL, "sink kafka: servers are needed, and a timeout of a second or more");
    }
    sl_kafka_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    sink->options = *options;
    sink->options.timeout = options->timeout == 0 ? SL_KAFKA_TIMEOUT : options->timeout;
    sink->options.linger = options->linger == 0 ? SL_KAFKA_LINGER : options->linger;
    sink->options.buffer_bytes = options->buffer_bytes == 0 ? SL_KAFKA_BUFFER_BYTES : options->buffer_bytes;
    memcpy(sink->servers, options->servers, strlen(options->servers) + 1);
    memcpy(sink->topic, topic, strlen(topic) + 1);
    memcpy(sink->key, key, strlen(key) + 1);
    *ret_sink = &sink->sink;
    return 0;
}
