/* SPDX-License-Identifier: MIT */
/*
 * Receiving. A whole frame that lies in the stream's buffer is given out as it lies there; what is larger,
 * fragmented or compressed is put together in a buffer of its own, which an idle connection does not keep.
 * Sources: RFC 6455, sections 5 to 8; RFC 7692, section 6.2.
 */
#include <stdio.h>
#include <string.h>

#include "sluice/scope.h"
#include "ws.h"

/* Frames up to this size wait in the stream's buffer until they are whole. */
#define IN_PLACE_BYTES_MAX SL_STREAM_READ_AHEAD_BYTES
/* Above this the system writes straight into the message. */
#define DIRECT_BYTES_MIN ((size_t)16 * 1024)

/* ---- the end ---- */

static int end_receiving(sl_ws *ws, int code)
{
    ws->plain = false;
    ws->ended = code;
    ws->begin = ws->at = ws->end = NULL;
    sl__ws_buffer_free(&ws->message);
    sl__inflater_free(ws->inflater);
    ws->inflater = NULL;
    sl_event_set(&ws->closed);
    return code;
}

/*
 * The last frame, and the end of the connection's sending when the server is here: it ends it first (RFC 6455, 7.1.1).
 * A peer that has gone need not hear it: only SL_ECANCELED is given back.
 */
static int say_farewell(sl_ws *ws, int close_code, const char *reason)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(
        &limit, &(struct sl_scope_options){.name = "close", .timeout = ws->options.close_timeout, .move_on = true}));
    int code = sl_ws_send_close(ws, close_code, reason);
    if (code == 0 && ws->server) {
        code = sl_stream_shutdown(ws->stream);
    }
    code = sl_scope_close(&limit, code == SL_ECANCELED ? code : 0);
    return code == SL_ECANCELED ? code : 0;
}

int sl__ws_refuse(sl_ws *ws, int close_code, int code, const char *what)
{
    (void)end_receiving(ws, code);
    (void)say_farewell(ws, close_code, what);
    return sl_fail(code, "WebSocket peer: %s", what);
}

static int break_off(sl_ws *ws, int code)
{
    if (code == SL_EOF || code == SL_ECONNRESET) {
        return sl_fail(end_receiving(ws, SL_ECONNRESET), "the connection ended without a close handshake");
    }
    return end_receiving(ws, code);
}

/* ---- waiting ---- */

/* What is waited for: bytes in the stream's buffer, or some in `buffer`. */
struct want {
    size_t min_bytes;
    char *buffer;
    size_t size_bytes;
    size_t got;
};

static int take_from_stream(sl_ws *ws, struct want *want)
{
    if (want->buffer != NULL) {
        return sl_stream_read(ws->stream, want->buffer, want->size_bytes, &want->got);
    }
    struct sl_view view = {NULL, 0};
    int code = sl_stream_peek(ws->stream, want->min_bytes, &view);
    if (code == 0) {
        ws->begin = ws->at = view.data;
        ws->end = view.data + view.size_bytes;
    }
    return code;
}

/* The same, for a while: 1 when it took longer, else as it ended. */
static int take_within(sl_ws *ws, struct want *want, sl_time timeout)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "silence", .timeout = timeout, .move_on = true}));
    int code = take_from_stream(ws, want);
    int closed = sl_scope_close(&limit, code == SL_ECANCELED ? code : 0);
    return code != SL_ECANCELED ? code : closed < 0 ? closed : 1;
}

/* Nothing came for as long as the peer may be silent: asks it, or gives it up. */
static int on_silence(sl_ws *ws)
{
    if (ws->pinged) {
        return sl_fail(end_receiving(ws, SL_ETIMEDOUT), "WebSocket peer: silent for %g s, and does not answer a ping",
                       (double)ws->silence / 1e9);
    }
    ws->pinged = true;
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(
        &limit, &(struct sl_scope_options){.name = "ping", .timeout = ws->options.pong_timeout, .move_on = true}));
    int code = sl__ws_send_control(ws, SL__WS_PING, NULL, 0);
    int closed = sl_scope_close(&limit, code == SL_ECANCELED ? code : 0);
    return closed < 0 ? closed : 0; /* if it could not be sent, there will be no answer */
}

/* Waits for the peer. Only the time in which it is listened to counts as its silence. */
static int listen_to_peer(sl_ws *ws, struct want *want)
{
    for (;;) {
        if (ws->options.ping_interval == SL_NEVER) {
            return take_from_stream(ws, want);
        }
        uint64_t heard = sl_stream_counts_get(ws->stream).received_bytes;
        sl_time since = sl_now();
        sl_time limit = sl_time_add(ws->options.ping_interval, ws->pinged ? ws->options.pong_timeout : 0);
        int code = take_within(ws, want, limit > ws->silence ? limit - ws->silence : 1);
        if (sl_stream_counts_get(ws->stream).received_bytes != heard) {
            ws->silence = 0;
            ws->pinged = false;
        } else {
            ws->silence = sl_time_add(ws->silence, sl_now() - since);
            if (code == 1) {
                SL_TRY(on_silence(ws));
            }
        }
        if (code != 1) {
            return code;
        }
    }
}

static int hear(sl_ws *ws, struct want *want)
{
    if (ws->kind == 0 && ws->inflater != NULL && ws->agreed.on &&
        (ws->server ? ws->agreed.client_no_context_takeover : ws->agreed.server_no_context_takeover)) {
        sl__inflater_free(ws->inflater);
        ws->inflater = NULL;
    }
    if (ws->kind == 0) {
        sl__ws_buffer_free(&ws->message);
    }
    sl_stream_consume(ws->stream, (size_t)(ws->at - ws->begin));
    ws->begin = ws->at;
    ws->receiving = true;
    int code = listen_to_peer(ws, want);
    ws->receiving = false;
    if (code < 0) {
        struct sl_view view = sl_stream_buffered(ws->stream);
        ws->begin = ws->at = view.data;
        ws->end = view.data + view.size_bytes;
    }
    if (code == 0 || code == SL_ECANCELED || code == SL_ENOMEM || ws->ended != 0) {
        return code;
    }
    return break_off(ws, code);
}

/* Until `bytes` lie behind `at`. */
static int fill(sl_ws *ws, size_t bytes)
{
    if ((size_t)(ws->end - ws->at) >= bytes) {
        return 0;
    }
    return hear(ws, &(struct want){.min_bytes = bytes});
}

/* ---- control frames ---- */

static int on_close(sl_ws *ws, const char *payload, size_t size_bytes)
{
    const unsigned char *bytes = (const unsigned char *)payload;
    int code = size_bytes >= 2 ? bytes[0] << 8 | bytes[1] : 1005;
    if (size_bytes == 1 || (size_bytes >= 2 && !sl__ws_close_code_ok(code))) {
        return sl__ws_refuse(ws, 1002, SL_EPROTO, "bad code in a close frame");
    }
    if (size_bytes > 2 && !sl__utf8_whole(payload + 2, size_bytes - 2)) {
        return sl__ws_refuse(ws, 1007, SL_EPROTO, "the reason of a close frame is not UTF-8");
    }
    ws->close_code = code;
    ws->close_reason.size_bytes = (uint8_t)(size_bytes > 2 ? size_bytes - 2 : 0);
    memcpy(ws->close_reason.data, payload + 2, ws->close_reason.size_bytes);
    ws->close_reason.data[ws->close_reason.size_bytes] = '\0';
    (void)end_receiving(ws, SL_EOF);
    int cancelled = say_farewell(ws, code == 1005 ? 0 : code, NULL);
    return cancelled < 0 ? cancelled : SL_EOF;
}

static int on_control(sl_ws *ws)
{
    const struct sl__ws_head *head = &ws->frame.head;
    size_t size_bytes = (size_t)head->payload_bytes;
    SL_TRY(fill(ws, size_bytes));
    struct sl__ws_control control = {.size_bytes = (uint8_t)size_bytes};
    if (head->masked) {
        sl__ws_mask(control.data, ws->at, size_bytes, head->key, 0);
    } else if (size_bytes > 0) {
        memcpy(control.data, ws->at, size_bytes);
    }
    ws->at += size_bytes;
    ws->frame.open = false;
    ws->plain = ws->kind == 0;
    switch (head->opcode) {
    case SL__WS_CLOSE:
        return on_close(ws, control.data, size_bytes);
    case SL__WS_PING:
        return sl__ws_send_control(ws, SL__WS_PONG, control.data, size_bytes);
    default:
        ws->pongs++;
        ws->last_pong = control;
        return 0;
    }
}

/* ---- data frames ---- */

static int refuse_text(sl_ws *ws)
{
    return sl__ws_refuse(ws, 1007, SL_EPROTO, "text is not UTF-8");
}

static int refuse_size(sl_ws *ws)
{
    char what[96];
    (void)snprintf(what, sizeof what, "a message over the limit of %zu bytes", ws->options.message_bytes_max);
    return sl__ws_refuse(ws, 1009, SL_EMSGSIZE, what);
}

/* The message is whole: it is given out, and the next one begins. */
static int give_out(sl_ws *ws, const char *data, size_t size_bytes, struct sl_ws_message *ret_message)
{
    if (ws->kind == SL_WS_TEXT && ws->utf8.count != 0) {
        return refuse_text(ws);
    }
    *ret_message = (struct sl_ws_message){ws->kind, data, size_bytes};
    ws->kind = (enum sl_ws_kind)0;
    ws->frame.open = false;
    ws->plain = true;
    return 1;
}

static int give_out_assembled(sl_ws *ws, struct sl_ws_message *ret_message)
{
    struct sl__ws_buffer *message = &ws->message;
    SL_TRY(sl__ws_buffer_grow(message, 1)); /* an empty message has an address, too */
    memset(message->data + message->size_bytes, 0, SL_JSON_PADDING);
    return give_out(ws, message->data, message->size_bytes, ret_message);
}

/* What has come of the frame is unmasked and checked; at the end the frame itself is the message. */
static int receive_in_place(sl_ws *ws, struct sl_ws_message *ret_message)
{
    struct sl__ws_frame *frame = &ws->frame;
    size_t size_bytes = (size_t)frame->head.payload_bytes;
    for (;;) {
        size_t have = (size_t)(ws->end - ws->at);
        size_t now = have < size_bytes ? have : size_bytes;
        size_t seen = (size_t)frame->seen;
        if (now > seen) {
            char *fresh = ws->at + seen;
            if (frame->head.masked) {
                sl__ws_mask(fresh, fresh, now - seen, frame->head.key, seen);
            }
            frame->seen = now;
            if (ws->kind == SL_WS_TEXT && !sl__utf8_feed(&ws->utf8, fresh, now - seen)) {
                return refuse_text(ws);
            }
        }
        if (now == size_bytes) {
            char *data = ws->at;
            ws->at += size_bytes;
            return give_out(ws, data, size_bytes, ret_message);
        }
        SL_TRY(fill(ws, ws->kind == SL_WS_TEXT ? have + 1 : size_bytes));
    }
}

/* Bytes of the message have been appended: text is checked as it comes. */
static int check_appended(sl_ws *ws, size_t before)
{
    struct sl__ws_buffer *message = &ws->message;
    if (ws->kind == SL_WS_TEXT && !sl__utf8_feed(&ws->utf8, message->data + before, message->size_bytes - before)) {
        return refuse_text(ws);
    }
    return 0;
}

/* The failures of inflating: what was taken cannot be taken again, so short memory is final, too. */
static int inflated(sl_ws *ws, int code, size_t before)
{
    if (code == SL_EMSGSIZE) {
        return refuse_size(ws);
    }
    if (code == SL_ENOMEM) {
        return sl__ws_refuse(ws, 1011, SL_ENOMEM, "no memory to inflate a message");
    }
    if (code < 0) {
        return sl__ws_refuse(ws, 1007, SL_EPROTO, "bad compressed data");
    }
    return check_appended(ws, before);
}

static int open_inflater(sl_ws *ws)
{
    if (ws->inflater != NULL) {
        return 0;
    }
    const struct sl__ws_agreed *agreed = &ws->agreed;
    return ws->server
               ? sl__inflater_new(agreed->client_max_window_bits, !agreed->client_no_context_takeover, &ws->inflater)
               : sl__inflater_new(agreed->server_max_window_bits, !agreed->server_no_context_takeover, &ws->inflater);
}

/* What lies in the stream's buffer of the frame. */
static int append_buffered(sl_ws *ws, size_t size_bytes)
{
    struct sl__ws_frame *frame = &ws->frame;
    struct sl__ws_buffer *message = &ws->message;
    if (ws->compressed) {
        SL_TRY(open_inflater(ws));
    } else {
        SL_TRY(sl__ws_buffer_grow(message, size_bytes));
        size_t room = message->capacity - message->size_bytes;
        size_bytes = size_bytes < room ? size_bytes : room;
    }
    char *data = ws->at;
    if (frame->head.masked) {
        sl__ws_mask(data, data, size_bytes, frame->head.key, frame->seen);
    }
    ws->at += size_bytes;
    frame->seen += size_bytes;
    size_t before = message->size_bytes;
    if (ws->compressed) {
        return inflated(ws, sl__inflate(ws->inflater, data, size_bytes, message, ws->options.message_bytes_max),
                        before);
    }
    memcpy(message->data + message->size_bytes, data, size_bytes);
    message->size_bytes += size_bytes;
    return check_appended(ws, before);
}

/* A long rest of the frame, straight from the system. */
static int append_direct(sl_ws *ws, size_t left)
{
    struct sl__ws_frame *frame = &ws->frame;
    struct sl__ws_buffer *message = &ws->message;
    SL_TRY(sl__ws_buffer_grow(message, left));
    size_t room = message->capacity - message->size_bytes;
    struct want want = {.buffer = message->data + message->size_bytes, .size_bytes = left < room ? left : room};
    SL_TRY(hear(ws, &want));
    size_t before = message->size_bytes;
    if (frame->head.masked) {
        sl__ws_mask(want.buffer, want.buffer, want.got, frame->head.key, frame->seen);
    }
    frame->seen += want.got;
    message->size_bytes += want.got;
    return check_appended(ws, before);
}

/* 1 with a message, 0 when the frame was not its last. */
static int receive_assembled(sl_ws *ws, struct sl_ws_message *ret_message)
{
    struct sl__ws_frame *frame = &ws->frame;
    while (frame->seen < frame->head.payload_bytes) {
        uint64_t left = frame->head.payload_bytes - frame->seen;
        size_t have = (size_t)(ws->end - ws->at);
        if (have > 0) {
            SL_TRY(append_buffered(ws, have < left ? have : (size_t)left));
        } else if (!ws->compressed && left >= DIRECT_BYTES_MIN) {
            SL_TRY(append_direct(ws, (size_t)left));
        } else {
            SL_TRY(fill(ws, 1));
        }
    }
    if (!frame->head.fin) {
        frame->open = false;
        return 0;
    }
    if (ws->compressed) {
        SL_TRY(open_inflater(ws));
        size_t before = ws->message.size_bytes;
        ws->compressed = false; /* once */
        SL_TRY(inflated(ws, sl__inflate_end(ws->inflater, &ws->message, ws->options.message_bytes_max), before));
    }
    return give_out_assembled(ws, ret_message);
}

/* ---- heads ---- */

/* What is wrong with the first two bytes of a frame, or NULL. */
static const char *problem_of(const sl_ws *ws, const unsigned char *bytes)
{
    unsigned opcode = bytes[0] & 0x0fu;
    bool control = opcode >= SL__WS_CLOSE;
    unsigned reserved = bytes[0] & SL__WS_RSV;
    if ((bytes[1] & SL__WS_MASKED) != ws->masked) {
        return ws->server ? "a frame that is not masked" : "a masked frame";
    }
    if (opcode > SL__WS_PONG || (opcode > SL__WS_BINARY && !control)) {
        return "an unknown opcode";
    }
    if (reserved != 0 && (reserved != SL__WS_RSV1 || !ws->agreed.on || control || opcode == SL__WS_CONTINUATION)) {
        return "a reserved bit";
    }
    if (control && (bytes[0] & SL__WS_FIN) == 0) {
        return "a fragmented control frame";
    }
    if (control && (bytes[1] & 0x7fu) > SL__WS_CONTROL_BYTES_MAX) {
        return "a long control frame";
    }
    if (!control && (opcode == SL__WS_CONTINUATION) != (ws->kind != 0)) {
        return opcode == SL__WS_CONTINUATION ? "a continuation of nothing" : "a new message within another";
    }
    return NULL;
}

static int begin_data_frame(sl_ws *ws)
{
    const struct sl__ws_head *head = &ws->frame.head;
    if (head->opcode != SL__WS_CONTINUATION) {
        ws->kind = (enum sl_ws_kind)head->opcode;
        ws->compressed = head->rsv != 0;
        ws->fragments = 0;
        ws->message.size_bytes = 0;
    }
    if (++ws->fragments > ws->options.fragments_max) {
        return sl__ws_refuse(ws, 1009, SL_EMSGSIZE, "a message of too many fragments");
    }
    if (head->payload_bytes > ws->options.frame_bytes_max) {
        char what[96]; /* a reason of a close frame has up to 123 bytes */
        (void)snprintf(what, sizeof what, "a frame of %llu bytes, over the limit of %zu",
                       (unsigned long long)head->payload_bytes, ws->options.frame_bytes_max);
        return sl__ws_refuse(ws, 1009, SL_EMSGSIZE, what);
    }
    if (!ws->compressed && head->payload_bytes > ws->options.message_bytes_max - ws->message.size_bytes) {
        return refuse_size(ws);
    }
    return 0;
}

/* Reads the head of the next frame. */
static int begin_frame(sl_ws *ws)
{
    for (;;) {
        size_t have = (size_t)(ws->end - ws->at);
        const char *problem = have < 2 ? NULL : problem_of(ws, (const unsigned char *)ws->at);
        if (problem != NULL) {
            return sl__ws_refuse(ws, 1002, SL_EPROTO, problem);
        }
        int head_bytes = sl__ws_head_parse(ws->at, have, &ws->frame.head);
        if (head_bytes < 0) {
            return sl__ws_refuse(ws, 1002, SL_EPROTO, "a length in a form it must not have");
        }
        if (head_bytes > 0) {
            ws->at += head_bytes;
            ws->frame.open = true;
            ws->frame.seen = 0;
            ws->plain = false;
            return ws->frame.head.opcode >= SL__WS_CLOSE ? 0 : begin_data_frame(ws);
        }
        SL_TRY(fill(ws, have + 1));
    }
}

/* ---- receiving ---- */

static int receive_by_steps(sl_ws *ws, struct sl_ws_message *ret_message)
{
    int code = 0;
    while (code == 0) {
        if (ws->ended != 0) {
            return ws->ended;
        }
        const struct sl__ws_head *head = &ws->frame.head;
        if (!ws->frame.open) {
            code = begin_frame(ws);
        } else if (head->opcode >= SL__WS_CLOSE) {
            code = on_control(ws);
        } else if (head->fin && head->opcode != SL__WS_CONTINUATION && head->rsv == 0 &&
                   head->payload_bytes <= IN_PLACE_BYTES_MAX) {
            code = receive_in_place(ws, ret_message);
        } else {
            code = receive_assembled(ws, ret_message);
        }
    }
    return code < 0 ? code : 0;
}

/* A whole message in one short frame that lies in the buffer: no copy, no call of the stream's. False: step by step. */
static inline bool receive_quickly(sl_ws *ws, struct sl_ws_message *ret_message)
{
    const unsigned char *bytes = (const unsigned char *)ws->at;
    size_t have = (size_t)(ws->end - ws->at);
    if (have < 4 || (bytes[0] != (SL__WS_FIN | SL__WS_TEXT) && bytes[0] != (SL__WS_FIN | SL__WS_BINARY)) ||
        (bytes[1] & SL__WS_MASKED) != ws->masked) {
        return false;
    }
    size_t length = bytes[1] & 0x7fu;
    size_t head_bytes = 2;
    if (length > SL__WS_CONTROL_BYTES_MAX) {
        length = length == 126 ? (size_t)bytes[2] << 8 | bytes[3] : 0;
        head_bytes = 4;
        if (length <= SL__WS_CONTROL_BYTES_MAX) {
            return false;
        }
    }
    head_bytes += ws->masked == 0 ? 0 : SL__WS_KEY_BYTES;
    if (have < head_bytes + length || length > ws->quick_bytes_max) {
        return false;
    }
    char *data = ws->at + head_bytes;
    enum sl_ws_kind kind = (enum sl_ws_kind)(bytes[0] & 0x0fu);
    if (ws->masked != 0) {
        sl__ws_mask(data, data, length, bytes + head_bytes - SL__WS_KEY_BYTES, 0);
    }
    if (kind == SL_WS_TEXT && !sl__utf8_whole(data, length)) {
        if (ws->masked != 0) { /* as it was */
            sl__ws_mask(data, data, length, bytes + head_bytes - SL__WS_KEY_BYTES, 0);
        }
        return false;
    }
    ws->at = data + length;
    *ret_message = (struct sl_ws_message){kind, data, length};
    return true;
}

int sl_ws_receive(sl_ws *ws, struct sl_ws_message *ret_message)
{
    SL_TRY(sl_checkpoint_cheap());
    if (ws->receiving) {
        return sl_fail(SL_EBUSY, "another task receives from this WebSocket");
    }
    if (ws->plain && receive_quickly(ws, ret_message)) {
        return 0;
    }
    return receive_by_steps(ws, ret_message);
}
