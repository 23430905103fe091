/* SPDX-License-Identifier: MIT */
/* What comes from an AMQP server, frame by frame. Source: AMQP 0-9-1, 2.2.4, 4.2; RabbitMQ's extensions. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

void sl__amqp_content_free(struct sl__amqp_content *content)
{
    if (content != NULL) {
        sl_free(content->body);
        sl_free(content);
    }
}

static int bad(const char *what)
{
    return sl_fail(SL_EPROTO, "AMQP: %s", what);
}

/* A short answer of our own, out of turn. */
static int answer(sl_amqp *amqp, unsigned channel, enum sl__amqp_method method, int value)
{
    SL_TRY(sl_mutex_lock(&amqp->writing));
    sl__amqp_begin_method(&amqp->out, channel, method);
    if (value >= 0) {
        sl__amqp_put_u8(&amqp->out, (unsigned)value);
    }
    sl__amqp_end_frame(&amqp->out);
    int code = sl__amqp_flush(amqp);
    (void)sl_mutex_unlock(&amqp->writing);
    return code;
}

static int take_close(sl_amqp *amqp, uint32_t method, struct sl__amqp_in *in)
{
    struct sl__amqp_text text;
    char problem[320];
    unsigned reply = sl__amqp_get_u16(in);
    sl__amqp_get_short(in, &text);
    bool all = method == SL__CONNECTION_CLOSE;
    (void)snprintf(problem, sizeof problem, "the server closed the %s: %u %s", all ? "connection" : "channel", reply,
                   text.text);
    (void)sl__amqp_break(amqp, SL_EREPLY, problem);
    return answer(amqp, all ? 0 : 1, all ? SL__CONNECTION_CLOSE_OK : SL__CHANNEL_CLOSE_OK, -1);
}

static void take_blocked(sl_amqp *amqp, bool blocked)
{
    amqp->stats.blocked += blocked && !amqp->blocked ? 1 : 0;
    amqp->blocked = blocked;
    sl_event_set(&amqp->progress);
}

/* The announcement of a message: who it is for comes with it. */
static int begin_content(sl_amqp *amqp, uint32_t method, struct sl__amqp_in *in)
{
    struct sl__amqp_content *content = &amqp->incoming;
    struct sl__amqp_text unused;
    if (content->method != 0) {
        return bad("a message within a message");
    }
    content->has_header = false;
    if (method == SL__BASIC_DELIVER) {
        sl__amqp_get_short(in, &unused); /* the consumer's tag */
        content->tag = sl__amqp_get_u64(in);
        content->redelivered = sl__amqp_get_u8(in) != 0;
    } else {
        (void)sl__amqp_get_u16(in);
        sl__amqp_get_short(in, &unused); /* why */
    }
    sl__amqp_get_short(in, &content->exchange);
    sl__amqp_get_short(in, &content->key);
    content->method = method;
    return 0;
}

static int take_method(sl_amqp *amqp, struct sl__amqp_in *in)
{
    uint32_t method = sl__amqp_get_u32(in);
    struct sl__amqp_text text;
    uint64_t tag = 0;
    unsigned bits = 0;
    switch (method) {
    case SL__CONNECTION_CLOSE:
    case SL__CHANNEL_CLOSE:
        return take_close(amqp, method, in);
    case SL__CONNECTION_BLOCKED:
    case SL__CONNECTION_UNBLOCKED:
        take_blocked(amqp, method == SL__CONNECTION_BLOCKED);
        return 0;
    case SL__CHANNEL_FLOW:
        bits = sl__amqp_get_u8(in) & 1u;
        take_blocked(amqp, bits == 0);
        return answer(amqp, 1, SL__CHANNEL_FLOW_OK, (int)bits);
    case SL__BASIC_DELIVER:
    case SL__BASIC_RETURN:
        return begin_content(amqp, method, in);
    case SL__BASIC_ACK:
    case SL__BASIC_NACK:
        tag = sl__amqp_get_u64(in);
        bits = sl__amqp_get_u8(in);
        if (in->bad) {
            return 0; /* told below */
        }
        return sl__amqp_take_confirm(amqp, tag, (bits & 1u) != 0,
                                     method == SL__BASIC_ACK ? SL_AMQP_CONFIRMED : SL_AMQP_NACKED);
    case SL__BASIC_CANCEL:
        amqp->canceled = true;
        sl_event_set(&amqp->delivered);
        return 0;
    default:
        break;
    }
    if (amqp->expected == 0 || method != amqp->expected) {
        return sl_fail(SL_EPROTO, "AMQP: method %u.%u out of turn", (unsigned)(method >> 16),
                       (unsigned)(method & 0xffff));
    }
    if (method == SL__QUEUE_DECLARE_OK) {
        sl__amqp_get_short(in, &text);
        amqp->answer_count = sl__amqp_get_u32(in);
    }
    if (method == SL__CONNECTION_CLOSE_OK) {
        (void)sl__amqp_break(amqp, SL_ECLOSED, "the connection is closed");
    }
    amqp->expected = 0;
    sl_event_set(&amqp->answered);
    return 0;
}

/* A message is whole: to the consumer, or to the publisher that it came back to. */
static int finish_content(sl_amqp *amqp)
{
    struct sl__amqp_content *content = &amqp->incoming;
    uint32_t method = content->method;
    content->method = 0;
    if (method == SL__BASIC_RETURN) {
        uint64_t tag = 0;
        for (const char *digit = content->properties.correlation_id.text; *digit >= '0' && *digit <= '9'; digit++) {
            tag = tag * 10 + (uint64_t)(*digit - '0');
        }
        sl_free(content->body);
        content->body = NULL;
        sl__amqp_take_return(amqp, tag);
        return 0;
    }
    if (amqp->queued >= amqp->prefetch) {
        return bad("more messages than were asked for");
    }
    struct sl__amqp_content *copy = sl_malloc(sizeof *copy);
    if (copy == NULL) {
        return SL_ENOMEM;
    }
    *copy = *content;
    copy->next = NULL;
    content->body = NULL;
    if (amqp->last != NULL) {
        amqp->last->next = copy;
    } else {
        amqp->first = copy;
    }
    amqp->last = copy;
    amqp->queued++;
    amqp->stats.delivered++;
    sl_event_set(&amqp->delivered);
    return 0;
}

static int take_header(sl_amqp *amqp, struct sl__amqp_in *in)
{
    struct sl__amqp_content *content = &amqp->incoming;
    if (content->method == 0 || content->has_header) {
        return bad("a header out of turn");
    }
    sl__amqp_get_properties(in, &content->properties);
    if (in->bad || content->properties.body_bytes > SL_AMQP_BODY_BYTES_MAX) {
        return bad("a bad header, or a message that is too large");
    }
    content->has_header = true;
    content->body_bytes = 0;
    sl_free(content->body);
    content->body = sl_malloc((size_t)content->properties.body_bytes + 1);
    if (content->body == NULL) {
        return SL_ENOMEM;
    }
    content->body[0] = '\0';
    return content->properties.body_bytes == 0 ? finish_content(amqp) : 0;
}

static int take_body(sl_amqp *amqp, struct sl__amqp_in *in)
{
    struct sl__amqp_content *content = &amqp->incoming;
    size_t size = (size_t)(in->end - in->at);
    if (content->method == 0 || !content->has_header || size > content->properties.body_bytes - content->body_bytes) {
        return bad("a body out of turn");
    }
    memcpy(content->body + content->body_bytes, in->at, size);
    content->body_bytes += size;
    content->body[content->body_bytes] = '\0';
    in->at = in->end;
    return content->body_bytes == content->properties.body_bytes ? finish_content(amqp) : 0;
}

int sl__amqp_take_frame(sl_amqp *amqp, unsigned type, unsigned channel, struct sl__amqp_in *in)
{
    int code = 0;
    if (channel > 1) {
        return bad("a frame for a channel that is not open");
    }
    switch (type) {
    case SL__AMQP_METHOD:
        code = take_method(amqp, in);
        break;
    case SL__AMQP_HEADER:
        code = take_header(amqp, in);
        break;
    case SL__AMQP_BODY:
        code = take_body(amqp, in);
        break;
    case SL__AMQP_HEARTBEAT:
        break;
    default:
        return bad("a frame of an unknown type");
    }
    SL_TRY(code);
    return in->bad ? bad("a frame that ends early") : 0;
}
