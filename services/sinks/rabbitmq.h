/* SPDX-License-Identifier: MIT */
/*
 * A sink into RabbitMQ: each event is a message with its JSON (docs/reference/events.md), published with confirms.
 *
 * Identity: the message id is the event's identity (market/record.h). A queue has no memory of what it had: after an
 * outage the batch that was under way is published again, and consumers that must not take an event twice leave out ids
 * that they know.
 *
 * With `mandatory`, an event that no queue wants is refused, counted and told; without, the server drops it in silence.
 */
#ifndef SLUICE_SINKS_RABBITMQ_H
#define SLUICE_SINKS_RABBITMQ_H

#include "sinks/sink.h"
#include "sluice/amqp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_RABBITMQ_KEY_DEFAULT "<venue>.<kind>.<instrument>"

typedef struct sl_rabbitmq_options {
    const struct sl_amqp_options *connection; /* borrowed as long as the sink lives */
    const char *exchange;                     /* "" or NULL: the default one: keys are queues' names */
    const char *exchange_type; /* the exchange is made so if it is not there ("topic"); NULL: it must be there */
    const char *key;           /* a template (template.h); NULL: SL_RABBITMQ_KEY_DEFAULT */
    bool transient;            /* messages need not survive a restart of the server */
    bool mandatory;
} sl_rabbitmq_options;

/* Makes the sink. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_rabbitmq_sink_new(const sl_rabbitmq_options *options, sl_sink **ret_sink);

#ifdef __cplusplus
}
#endif

#endif
