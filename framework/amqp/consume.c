/* SPDX-License-Identifier: MIT */
/* Consuming, and the names of things. Source: AMQP 0-9-1, 1.5, 1.7, 1.8. */
#include "internal.h"

/* ---- names ---- */

static void put_queue(sl_amqp *amqp, const void *arg)
{
    const struct sl_amqp_queue *queue = arg;
    struct sl__amqp_out *out = &amqp->out;
    sl__amqp_begin_method(out, 1, SL__QUEUE_DECLARE);
    sl__amqp_put_u16(out, 0);
    sl__amqp_put_short(out, queue->name);
    sl__amqp_put_u8(out, (queue->durable ? 2u : 0) | (queue->exclusive ? 4u : 0) | (queue->auto_delete ? 8u : 0));
    size_t table = sl__amqp_begin_table(out);
    if (queue->quorum) {
        sl__amqp_put_field_text(out, "x-queue-type", "quorum");
    }
    if (queue->dead_letter != NULL) {
        sl__amqp_put_field_text(out, "x-dead-letter-exchange", queue->dead_letter);
    }
    if (queue->delivery_limit != 0) {
        sl__amqp_put_field_int(out, "x-delivery-limit", queue->delivery_limit);
    }
    if (queue->single_active) {
        sl__amqp_put_field_bool(out, "x-single-active-consumer", true);
    }
    if (queue->max_length != 0) {
        sl__amqp_put_field_int(out, "x-max-length", queue->max_length);
    }
    if (queue->reject_when_full) {
        sl__amqp_put_field_text(out, "x-overflow", "reject-publish");
    }
    sl__amqp_end_table(out, table);
    sl__amqp_end_frame(out);
}

int sl_amqp_declare_queue(sl_amqp *amqp, const struct sl_amqp_queue *queue, uint32_t *ret_messages)
{
    SL_TRY(sl__amqp_call(amqp, put_queue, queue, SL__QUEUE_DECLARE_OK));
    if (ret_messages != NULL) {
        *ret_messages = amqp->answer_count;
    }
    return 0;
}

struct names {
    const char *one, *other, *third;
    bool durable;
};

static void put_exchange(sl_amqp *amqp, const void *arg)
{
    const struct names *names = arg;
    sl__amqp_begin_method(&amqp->out, 1, SL__EXCHANGE_DECLARE);
    sl__amqp_put_u16(&amqp->out, 0);
    sl__amqp_put_short(&amqp->out, names->one);
    sl__amqp_put_short(&amqp->out, names->other);
    sl__amqp_put_u8(&amqp->out, names->durable ? 2 : 0);
    sl__amqp_put_u32(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
}

int sl_amqp_declare_exchange(sl_amqp *amqp, const char *name, const char *type, bool durable)
{
    return sl__amqp_call(amqp, put_exchange, &(struct names){name, type, NULL, durable}, SL__EXCHANGE_DECLARE_OK);
}

static void put_bind(sl_amqp *amqp, const void *arg)
{
    const struct names *names = arg;
    sl__amqp_begin_method(&amqp->out, 1, SL__QUEUE_BIND);
    sl__amqp_put_u16(&amqp->out, 0);
    sl__amqp_put_short(&amqp->out, names->one);
    sl__amqp_put_short(&amqp->out, names->other);
    sl__amqp_put_short(&amqp->out, names->third);
    sl__amqp_put_u8(&amqp->out, 0);
    sl__amqp_put_u32(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
}

int sl_amqp_bind_queue(sl_amqp *amqp, const char *queue, const char *exchange, const char *key)
{
    return sl__amqp_call(amqp, put_bind, &(struct names){queue, exchange, key, false}, SL__QUEUE_BIND_OK);
}

static void put_delete(sl_amqp *amqp, const void *arg)
{
    sl__amqp_begin_method(&amqp->out, 1, SL__QUEUE_DELETE);
    sl__amqp_put_u16(&amqp->out, 0);
    sl__amqp_put_short(&amqp->out, arg);
    sl__amqp_put_u8(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
}

int sl_amqp_delete_queue(sl_amqp *amqp, const char *queue)
{
    return sl__amqp_call(amqp, put_delete, queue, SL__QUEUE_DELETE_OK);
}

/* ---- consuming ---- */

static void put_qos(sl_amqp *amqp, const void *arg)
{
    sl__amqp_begin_method(&amqp->out, 1, SL__BASIC_QOS);
    sl__amqp_put_u32(&amqp->out, 0);
    sl__amqp_put_u16(&amqp->out, *(const uint16_t *)arg);
    sl__amqp_put_u8(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
}

static void put_consume(sl_amqp *amqp, const void *arg)
{
    sl__amqp_begin_method(&amqp->out, 1, SL__BASIC_CONSUME);
    sl__amqp_put_u16(&amqp->out, 0);
    sl__amqp_put_short(&amqp->out, arg);
    sl__amqp_put_short(&amqp->out, "");
    sl__amqp_put_u8(&amqp->out, 0);
    sl__amqp_put_u32(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
}

int sl_amqp_consume(sl_amqp *amqp, const char *queue, uint16_t prefetch)
{
    if (prefetch == 0 || amqp->prefetch != 0) {
        return sl_fail(SL_EINVAL, "AMQP: a prefetch of 1 or more, once for a connection");
    }
    SL_TRY(sl__amqp_call(amqp, put_qos, &prefetch, SL__BASIC_QOS_OK));
    amqp->prefetch = prefetch;
    return sl__amqp_call(amqp, put_consume, queue, SL__BASIC_CONSUME_OK);
}

int sl_amqp_receive(sl_amqp *amqp, struct sl_amqp_delivery *ret_delivery)
{
    while (amqp->first == NULL) {
        SL_TRY(sl__amqp_check(amqp));
        if (amqp->canceled) {
            return SL_EOF;
        }
        sl_event_reset(&amqp->delivered);
        SL_TRY(sl_event_wait(&amqp->delivered));
    }
    SL_TRY(sl_checkpoint_cheap());
    struct sl__amqp_content *content = amqp->first;
    amqp->first = content->next;
    amqp->last = amqp->first == NULL ? NULL : amqp->last;
    amqp->queued--;
    sl__amqp_content_free(amqp->taken);
    amqp->taken = content;
    *ret_delivery = (struct sl_amqp_delivery){.tag = content->tag,
                                              .redelivered = content->redelivered,
                                              .exchange = content->exchange.text,
                                              .key = content->key.text,
                                              .message_id = content->properties.message_id.text,
                                              .content_type = content->properties.content_type.text,
                                              .body = content->body,
                                              .body_bytes = content->body_bytes};
    return 0;
}

struct verdict {
    uint64_t tag;
    bool multiple, requeue, taken;
};

static void put_verdict(sl_amqp *amqp, const void *arg)
{
    const struct verdict *verdict = arg;
    sl__amqp_begin_method(&amqp->out, 1, verdict->taken ? SL__BASIC_ACK : SL__BASIC_NACK);
    sl__amqp_put_u64(&amqp->out, verdict->tag);
    sl__amqp_put_u8(&amqp->out, (verdict->multiple ? 1u : 0) | (verdict->requeue ? 2u : 0));
    sl__amqp_end_frame(&amqp->out);
}

int sl_amqp_ack(sl_amqp *amqp, uint64_t tag, bool multiple)
{
    return sl__amqp_call(amqp, put_verdict, &(struct verdict){tag, multiple, false, true}, 0);
}

int sl_amqp_nack(sl_amqp *amqp, uint64_t tag, bool multiple, bool requeue)
{
    return sl__amqp_call(amqp, put_verdict, &(struct verdict){tag, multiple, requeue, false}, 0);
}
