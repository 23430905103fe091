/* SPDX-License-Identifier: MIT */
/* The sink into RabbitMQ: see rabbitmq.h. */
#include "rabbitmq.h"

#include <stdio.h>
#include <string.h>

#include "market/event_json.h"
#include "sinks/template.h"

/* One message's texts, as offsets: the memory may still move. */
struct place {
    size_t key, id, body, body_bytes;
};

typedef struct sl_rabbitmq_sink {
    sl_sink sink;
    sl_rabbitmq_options options;
    char exchange[SL_AMQP_NAME_MAX + 1], exchange_type[16], key[SL_TEMPLATE_MAX];
    sl_amqp *amqp; /* while the sink is open; belongs to the session's scope */
    char *text;
    size_t text_bytes, text_capacity;
    struct place *places;
    struct sl_amqp_message *messages;
    enum sl_amqp_outcome *outcomes;
    size_t count, capacity;
} sl_rabbitmq_sink;

static int reserve_text(sl_rabbitmq_sink *sink, size_t more)
{
    size_t needed = sink->text_bytes + more;
    if (needed > sink->text_capacity) {
        size_t capacity = needed * 2;
        char *text = sl_realloc(sink->text, capacity);
        if (text == NULL) {
            return SL_ENOMEM;
        }
        sink->text = text;
        sink->text_capacity = capacity;
    }
    return 0;
}

static int reserve_messages(sl_rabbitmq_sink *sink, size_t count)
{
    if (count <= sink->capacity) {
        return 0;
    }
    sl_free(sink->places);
    sl_free(sink->messages);
    sl_free(sink->outcomes);
    sink->places = sl_calloc(count, sizeof(*sink->places));
    sink->messages = sl_calloc(count, sizeof(*sink->messages));
    sink->outcomes = sl_calloc(count, sizeof(*sink->outcomes));
    sink->capacity = sink->places != NULL && sink->messages != NULL && sink->outcomes != NULL ? count : 0;
    return sink->capacity == 0 ? SL_ENOMEM : 0;
}

static int add_event(sl_rabbitmq_sink *sink, const sl_market_event *event, sl_stamp stamp)
{
    struct place *place = &sink->places[sink->count];
    SL_TRY(reserve_text(sink, SL_TEMPLATE_NAME_MAX + SL_EVENT_IDENTITY_MAX + sl_event_json_bound(event)));
    place->key = sink->text_bytes;
    sink->text_bytes += sl_template_expand(sink->key, event, sink->text + place->key) + 1;
    place->id = sink->text_bytes;
    sink->text_bytes += sl_event_identity(event, stamp, sink->text + place->id) + 1;
    place->body = sink->text_bytes;
    place->body_bytes = sl_event_json_write(event, &stamp, sink->text + place->body);
    sink->text_bytes += place->body_bytes;
    sink->count++;
    return 0;
}

static void make_messages(sl_rabbitmq_sink *sink)
{
    for (size_t at = 0; at < sink->count; at++) {
        const struct place *place = &sink->places[at];
        sink->messages[at] = (struct sl_amqp_message){.exchange = sink->exchange,
                                                      .key = sink->text + place->key,
                                                      .content_type = "application/json",
                                                      .message_id = sink->text + place->id,
                                                      .persistent = !sink->options.transient,
                                                      .mandatory = sink->options.mandatory,
                                                      .body = sink->text + place->body,
                                                      .body_bytes = place->body_bytes};
    }
}

/* A batch of which a queue did not take everything is published again: what it took has the same ids. */
static int take_outcomes(sl_rabbitmq_sink *sink, sl_sink_result *result)
{
    for (size_t at = 0; at < sink->count; at++) {
        switch (sink->outcomes[at]) {
        case SL_AMQP_CONFIRMED:
            result->written++;
            break;
        case SL_AMQP_RETURNED:
            result->refused++;
            (void)snprintf(sink->sink.problem, sizeof(sink->sink.problem),
                           "no queue wants '%.100s' of exchange '%.100s'", sink->messages[at].key, sink->exchange);
            break;
        default:
            return sl_fail(SL_ENOTREADY, "RabbitMQ: a queue did not take a message for '%s'", sink->messages[at].key);
        }
    }
    return 0;
}

static int rabbitmq_open(sl_sink *base, sl_scope *scope)
{
    sl_rabbitmq_sink *sink = (sl_rabbitmq_sink *)base;
    SL_TRY(sl_amqp_open(scope, sink->options.connection, &sink->amqp));
    if (sink->exchange_type[0] == '\0') {
        return 0;
    }
    return sl_amqp_declare_exchange(sink->amqp, sink->exchange, sink->exchange_type, true);
}

static int rabbitmq_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_rabbitmq_sink *sink = (sl_rabbitmq_sink *)base;
    sl_market_event event;
    sl_stamp stamp;
    sink->text_bytes = 0;
    sink->count = 0;
    SL_TRY(reserve_messages(sink, sl_sink_batch_count(batch)));
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            SL_TRY(code);
            break;
        }
        SL_TRY(add_event(sink, &event, stamp));
    }
    make_messages(sink);
    SL_TRY(sl_amqp_publish(sink->amqp, sink->messages, sink->count, sink->outcomes));
    return take_outcomes(sink, result);
}

static void rabbitmq_close(sl_sink *base)
{
    ((sl_rabbitmq_sink *)base)->amqp = NULL;
}

static void rabbitmq_free(sl_sink *base)
{
    sl_rabbitmq_sink *sink = (sl_rabbitmq_sink *)base;
    sl_free(sink->text);
    sl_free(sink->places);
    sl_free(sink->messages);
    sl_free(sink->outcomes);
    sl_free(sink);
}

static bool copy(char *to, size_t room, const char *from)
{
    return from == NULL || snprintf(to, room, "%s", from) < (int)room;
}

int sl_rabbitmq_sink_new(const sl_rabbitmq_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"rabbitmq",     false,          rabbitmq_open,
                                          rabbitmq_write, rabbitmq_close, rabbitmq_free};
    const char *key = options->key == NULL ? SL_RABBITMQ_KEY_DEFAULT : options->key;
    SL_TRY(sl_template_check(key));
    sl_rabbitmq_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    sink->options = *options;
    if (options->connection == NULL || !copy(sink->exchange, sizeof(sink->exchange), options->exchange) ||
        !copy(sink->exchange_type, sizeof(sink->exchange_type), options->exchange_type) ||
        !copy(sink->key, sizeof(sink->key), key)) {
        rabbitmq_free(&sink->sink);
        return sl_fail(SL_EINVAL, "sink rabbitmq: a connection is needed, and names that are not too long");
    }
    *ret_sink = &sink->sink;
    return 0;
}
