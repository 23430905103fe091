/* SPDX-License-Identifier: MIT */
/*
 * Publishing. Messages are numbered from 1, as the server numbers them; what became of the last `window` of them is kept
 * in a ring. Source: RabbitMQ, "Publisher confirms"; AMQP 0-9-1, 1.8.3.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* Gathered bytes that are sent, wherever the batch stands. */
#define FLUSH_BYTES ((size_t)64 * 1024)

#define FLAG_CONTENT_TYPE 0x8000u
#define FLAG_DELIVERY_MODE 0x1000u
#define FLAG_CORRELATION_ID 0x0400u
#define FLAG_MESSAGE_ID 0x0080u

/* A bit beside the outcome: the confirm is still to come. A message that was returned keeps that through it. */
#define AWAITED 0x80u

static void settle(sl_amqp *amqp, uint8_t *place, enum sl_amqp_outcome outcome)
{
    if (*place == (SL_AMQP_RETURNED | AWAITED) && outcome == SL_AMQP_CONFIRMED) {
        outcome = SL_AMQP_RETURNED;
    }
    *place = (uint8_t)outcome;
    amqp->stats.returned += outcome == SL_AMQP_RETURNED ? 1 : 0;
    amqp->stats.confirmed += outcome == SL_AMQP_CONFIRMED ? 1 : 0;
    amqp->stats.nacked += outcome == SL_AMQP_NACKED ? 1 : 0;
}

int sl__amqp_take_confirm(sl_amqp *amqp, uint64_t tag, bool multiple, enum sl_amqp_outcome outcome)
{
    if (tag == 0 && multiple) {
        tag = amqp->published; /* all of them */
    }
    if (tag > amqp->published || (tag <= amqp->settled && !multiple)) {
        return sl_fail(SL_EPROTO, "AMQP: a confirm of message %" PRIu64 ", which does not wait for one", tag);
    }
    for (uint64_t at = multiple ? amqp->settled + 1 : tag; at <= tag; at++) {
        uint8_t *place = &amqp->outcomes[at % amqp->window];
        if ((*place & AWAITED) != 0) {
            settle(amqp, place, outcome);
        }
    }
    while (amqp->settled < amqp->published && (amqp->outcomes[(amqp->settled + 1) % amqp->window] & AWAITED) == 0) {
        amqp->settled++;
    }
    sl_event_set(&amqp->progress);
    return 0;
}

void sl__amqp_take_return(sl_amqp *amqp, uint64_t tag)
{
    if (tag > amqp->settled && tag <= amqp->published) {
        amqp->outcomes[tag % amqp->window] = SL_AMQP_RETURNED | AWAITED;
    }
}

static void put_properties(struct sl__amqp_out *out, const struct sl_amqp_message *message, uint64_t tag)
{
    char text[24];
    unsigned flags = FLAG_DELIVERY_MODE | FLAG_CORRELATION_ID;
    flags |= message->content_type != NULL ? FLAG_CONTENT_TYPE : 0;
    flags |= message->message_id != NULL ? FLAG_MESSAGE_ID : 0;
    sl__amqp_put_u16(out, 60);
    sl__amqp_put_u16(out, 0);
    sl__amqp_put_u64(out, message->body_bytes);
    sl__amqp_put_u16(out, flags);
    if (message->content_type != NULL) {
        sl__amqp_put_short(out, message->content_type);
    }
    sl__amqp_put_u8(out, message->persistent ? 2 : 1);
    (void)snprintf(text, sizeof text, "%" PRIu64, tag);
    sl__amqp_put_short(out, text);
    if (message->message_id != NULL) {
        sl__amqp_put_short(out, message->message_id);
    }
}

/* Adds a message to what is to be sent, or nothing. */
static int put_message(sl_amqp *amqp, const struct sl_amqp_message *message, uint64_t tag)
{
    struct sl__amqp_out *out = &amqp->out;
    size_t begun = out->size_bytes;
    size_t piece_max = amqp->frame_max - SL__AMQP_HEAD_BYTES - 1;
    if (message->body_bytes > SL_AMQP_BODY_BYTES_MAX) {
        return sl_fail(SL_EMSGSIZE, "AMQP: a message of %zu bytes", message->body_bytes);
    }
    sl__amqp_begin_method(out, 1, SL__BASIC_PUBLISH);
    sl__amqp_put_u16(out, 0);
    sl__amqp_put_short(out, message->exchange);
    sl__amqp_put_short(out, message->key);
    sl__amqp_put_u8(out, message->mandatory ? 1 : 0);
    sl__amqp_end_frame(out);
    sl__amqp_begin_frame(out, SL__AMQP_HEADER, 1);
    put_properties(out, message, tag);
    sl__amqp_end_frame(out);
    for (size_t at = 0; at < message->body_bytes;) {
        size_t piece = message->body_bytes - at < piece_max ? message->body_bytes - at : piece_max;
        sl__amqp_begin_frame(out, SL__AMQP_BODY, 1);
        sl__amqp_put(out, (const char *)message->body + at, piece);
        sl__amqp_end_frame(out);
        at += piece;
    }
    int code = out->code;
    if (code < 0) {
        out->size_bytes = begun;
        out->code = 0;
        return sl_fail(code, "AMQP: a name or id of a message is too long, or memory is short");
    }
    return 0;
}

static int flush_locked(sl_amqp *amqp)
{
    int code = sl__amqp_flush(amqp);
    (void)sl_mutex_unlock(&amqp->writing);
    return code;
}

/* Waits for the server's next word. */
static int wait_progress(sl_amqp *amqp)
{
    sl_event_reset(&amqp->progress);
    SL_TRY(sl_event_wait(&amqp->progress));
    return sl__amqp_check(amqp);
}

/* Copies the outcomes of what is settled since the last time. `first` is the tag of the batch's first message. */
static void take_outcomes(const sl_amqp *amqp, uint64_t first, size_t sent, enum sl_amqp_outcome *outcomes,
                          size_t *taken)
{
    while (*taken < sent && first + *taken <= amqp->settled) {
        if (outcomes != NULL) {
            outcomes[*taken] = (enum sl_amqp_outcome)amqp->outcomes[(first + *taken) % amqp->window];
        }
        (*taken)++;
    }
}

/* Sends message after message, as the window lets it, and waits for their outcomes. */
static int send_all(sl_amqp *amqp, const struct sl_amqp_message *messages, size_t count, size_t *ret_sent,
                    enum sl_amqp_outcome *outcomes, size_t *ret_taken)
{
    uint64_t first = amqp->published + 1;
    while (*ret_sent < count) {
        SL_TRY(sl__amqp_check(amqp));
        if (amqp->blocked || amqp->published - amqp->settled >= amqp->window) {
            SL_TRY(wait_progress(amqp));
            continue;
        }
        SL_TRY(sl_mutex_lock(&amqp->writing));
        take_outcomes(amqp, first, *ret_sent, outcomes, ret_taken); /* before their places are used again */
        while (*ret_sent < count && amqp->published - amqp->settled < amqp->window &&
               amqp->out.size_bytes < FLUSH_BYTES) {
            int code = put_message(amqp, &messages[*ret_sent], amqp->published + 1);
            if (code < 0) {
                (void)flush_locked(amqp);
                return code;
            }
            amqp->published++;
            amqp->outcomes[amqp->published % amqp->window] = SL_AMQP_UNKNOWN | AWAITED;
            (*ret_sent)++;
        }
        SL_TRY(flush_locked(amqp));
    }
    while (*ret_taken < *ret_sent) {
        SL_TRY(sl__amqp_check(amqp));
        take_outcomes(amqp, first, *ret_sent, outcomes, ret_taken);
        if (*ret_taken < *ret_sent) {
            SL_TRY(wait_progress(amqp));
        }
    }
    return 0;
}

int sl_amqp_publish(sl_amqp *amqp, const struct sl_amqp_message *messages, size_t count,
                    enum sl_amqp_outcome *ret_outcomes)
{
    size_t sent = 0;
    size_t taken = 0;
    for (size_t at = 0; ret_outcomes != NULL && at < count; at++) {
        ret_outcomes[at] = SL_AMQP_UNKNOWN;
    }
    SL_TRY(sl__amqp_check(amqp));
    SL_TRY(sl_mutex_lock(&amqp->publishing));
    int code = send_all(amqp, messages, count, &sent, ret_outcomes, &taken);
    amqp->stats.published += sent;
    (void)sl_mutex_unlock(&amqp->publishing);
    return code;
}
