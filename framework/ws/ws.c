/* SPDX-License-Identifier: MIT */
/* WebSocket messages over wslay's frames: RFC 6455, sections 5 to 8. */
#include "ws.h"

#include <stdio.h>
#include <string.h>
#include <wslay/wslay.h>

#include "sluice/json.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/sync.h"

#define IN_BYTES ((size_t)16 * 1024)
#define CONTROL_BYTES_MAX 125
#define CLOSE_TIMEOUT SL_SECONDS(2)

struct sl_ws {
    sl_stream *stream;
    bool server;
    bool close_sent;
    int close_code;
    wslay_frame_context_ptr frames;
    char in[IN_BYTES]; /* read and not yet parsed */
    size_t in_start, in_end;
    char *message; /* with SL_JSON_PADDING behind it */
    size_t message_bytes, message_capacity;
    enum sl_ws_kind kind; /* of the message being put together; 0: none */
    unsigned char control[CONTROL_BYTES_MAX];
    size_t control_bytes;
    uint64_t frame_left; /* of the frame being read */
    bool in_frame;
    sl_mutex sending;
    char *out;
    size_t out_bytes, out_capacity;
    int out_code;
};

/* ---- wslay's callbacks: memory only ---- */

static ssize_t on_take(uint8_t *buffer, size_t length, int flags, void *user)
{
    (void)flags;
    sl_ws *ws = user;
    size_t bytes = ws->in_end - ws->in_start;
    bytes = bytes < length ? bytes : length;
    if (bytes == 0) {
        return -1;
    }
    memcpy(buffer, ws->in + ws->in_start, bytes);
    ws->in_start += bytes;
    return (ssize_t)bytes;
}

static ssize_t on_give(const uint8_t *data, size_t length, int flags, void *user)
{
    (void)flags;
    sl_ws *ws = user;
    if (ws->out_bytes + length > ws->out_capacity) {
        size_t capacity = (ws->out_bytes + length) * 2;
        char *out = sl_realloc(ws->out, capacity);
        if (out == NULL) {
            ws->out_code = SL_ENOMEM;
            return -1;
        }
        ws->out = out;
        ws->out_capacity = capacity;
    }
    memcpy(ws->out + ws->out_bytes, data, length);
    ws->out_bytes += length;
    return (ssize_t)length;
}

static int on_mask(uint8_t *buffer, size_t length, void *user)
{
    (void)user;
    for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
        uint64_t random = sl_random();
        memcpy(buffer + i, &random, length - i < sizeof random ? length - i : sizeof random);
    }
    return 0;
}

int sl__ws_new(sl_stream *stream, bool server, struct sl_bytes leftover, sl_ws **ret_ws)
{
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = on_give, .recv_callback = on_take, .genmask_callback = on_mask};
    sl_ws *ws = sl_malloc(sizeof *ws);
    if (ws == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a WebSocket");
    }
    memset(ws, 0, sizeof *ws);
    if (leftover.size_bytes > sizeof ws->in || wslay_frame_context_init(&ws->frames, &callbacks, ws) != 0) {
        sl_free(ws);
        return sl_fail(SL_ENOMEM, "no memory for a WebSocket");
    }
    ws->stream = stream;
    ws->server = server;
    sl_mutex_init(&ws->sending);
    if (leftover.size_bytes > 0) {
        memcpy(ws->in, leftover.data, leftover.size_bytes);
        ws->in_end = leftover.size_bytes;
    }
    *ret_ws = ws;
    return 0;
}

static void release(sl_ws *ws, bool reset)
{
    if (ws == NULL) {
        return;
    }
    if (reset) {
        sl_stream_reset(ws->stream);
    } else {
        sl_stream_close(ws->stream);
    }
    wslay_frame_context_free(ws->frames);
    sl_free(ws->message);
    sl_free(ws->out);
    sl_free(ws);
}

void sl_ws_free(sl_ws *ws)
{
    release(ws, false);
}

void sl_ws_cut(sl_ws *ws)
{
    release(ws, true);
}

/* ---- sending ---- */

static int send_frame(sl_ws *ws, uint8_t opcode, const void *data, size_t size_bytes)
{
    struct wslay_frame_iocb frame = {.fin = 1,
                                     .opcode = opcode,
                                     .mask = ws->server ? 0 : 1,
                                     .payload_length = size_bytes,
                                     .data = data,
                                     .data_length = size_bytes};
    SL_TRY(sl_mutex_lock(&ws->sending));
    ws->out_bytes = 0;
    ws->out_code = 0;
    int code = 0;
    do {
        ssize_t taken = wslay_frame_send(ws->frames, &frame);
        if (taken < 0) {
            code = ws->out_code != 0 ? ws->out_code : SL_EINTERNAL;
            break;
        }
        frame.data = (const uint8_t *)frame.data + taken;
        frame.data_length -= (size_t)taken;
    } while (frame.data_length > 0);
    code = code == 0 ? sl_stream_write(ws->stream, ws->out, ws->out_bytes) : sl_fail(code, "a frame could not be made");
    (void)sl_mutex_unlock(&ws->sending);
    return code;
}

int sl_ws_send(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes)
{
    if (ws->close_sent) {
        return sl_fail(SL_EPIPE, "the WebSocket is closing");
    }
    return send_frame(ws, (uint8_t)kind, data, size_bytes);
}

int sl_ws_send_close(sl_ws *ws, int code, const char *reason)
{
    unsigned char payload[CONTROL_BYTES_MAX];
    if (ws->close_sent) {
        return 0;
    }
    size_t length = strnlen(reason, sizeof payload - 2);
    payload[0] = (unsigned char)(code >> 8);
    payload[1] = (unsigned char)code;
    memcpy(payload + 2, reason, length);
    ws->close_sent = true;
    return send_frame(ws, WSLAY_CONNECTION_CLOSE, payload, code == 0 ? 0 : length + 2);
}

int sl_ws_close_code(const sl_ws *ws)
{
    return ws->close_code;
}

/* ---- receiving ---- */

/* Tells the peer what it did wrong and gives the error. */
static int refuse(sl_ws *ws, int close_code, int code, const char *what)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.timeout = CLOSE_TIMEOUT, .move_on = true}));
    (void)sl_scope_close(&limit, sl_ws_send_close(ws, close_code, what));
    return sl_fail(code, "WebSocket peer: %s", what);
}

static int fill(sl_ws *ws)
{
    if (ws->in_start == ws->in_end) {
        ws->in_start = ws->in_end = 0;
    }
    size_t bytes = 0;
    int code = sl_stream_read(ws->stream, ws->in + ws->in_end, sizeof ws->in - ws->in_end, &bytes);
    if (code == SL_EOF) {
        return sl_fail(SL_ECONNRESET, "the connection ended without a close handshake");
    }
    ws->in_end += bytes;
    return code;
}

static int append(sl_ws *ws, const struct wslay_frame_iocb *frame)
{
    if (frame->data_length > SL_WS_MESSAGE_BYTES_MAX - ws->message_bytes ||
        frame->payload_length > SL_WS_MESSAGE_BYTES_MAX) {
        return refuse(ws, 1009, SL_EMSGSIZE, "message over the limit");
    }
    size_t needed = ws->message_bytes + frame->data_length + SL_JSON_PADDING;
    if (needed > ws->message_capacity) {
        char *message = sl_realloc(ws->message, needed * 2);
        if (message == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a message");
        }
        ws->message = message;
        ws->message_capacity = needed * 2;
    }
    memcpy(ws->message + ws->message_bytes, frame->data, frame->data_length);
    ws->message_bytes += frame->data_length;
    return 0;
}

static int check_header(sl_ws *ws, const struct wslay_frame_iocb *frame)
{
    bool control = (frame->opcode & 8) != 0;
    bool known = frame->opcode <= 2 || (frame->opcode >= 8 && frame->opcode <= 10);
    if (frame->rsv != 0 || !known || (frame->mask != 0) != ws->server) {
        return refuse(ws, 1002, SL_EPROTO, "reserved bit, unknown opcode or wrong masking");
    }
    if (control && (!frame->fin || frame->payload_length > CONTROL_BYTES_MAX)) {
        return refuse(ws, 1002, SL_EPROTO, "fragmented or long control frame");
    }
    if (!control && (frame->opcode == 0) != (ws->kind != 0)) {
        return refuse(ws, 1002, SL_EPROTO, "fragments out of order");
    }
    if (!control && frame->opcode != 0) {
        ws->kind = (enum sl_ws_kind)frame->opcode;
        ws->message_bytes = 0;
    }
    ws->control_bytes = 0;
    return 0;
}

static bool close_code_ok(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static int on_close(sl_ws *ws)
{
    int code = ws->control_bytes >= 2 ? ws->control[0] << 8 | ws->control[1] : 1005;
    if (ws->control_bytes == 1 || (code != 1005 && !close_code_ok(code))) {
        return refuse(ws, 1002, SL_EPROTO, "bad close frame");
    }
    if (ws->control_bytes > 2 && !sl_utf8_valid(ws->control + 2, ws->control_bytes - 2)) {
        return refuse(ws, 1007, SL_EPROTO, "close reason is not UTF-8");
    }
    ws->close_code = code;
    int answered = sl_ws_send_close(ws, code == 1005 ? 0 : code, "");
    return answered < 0 && answered != SL_EPIPE && answered != SL_ECONNRESET ? answered : SL_EOF;
}

/* A frame has come whole. 1 when it completes a message, 0 to go on. */
static int frame_done(sl_ws *ws, const struct wslay_frame_iocb *frame)
{
    switch (frame->opcode) {
    case WSLAY_CONNECTION_CLOSE:
        return on_close(ws);
    case WSLAY_PING:
        return ws->close_sent ? 0 : send_frame(ws, WSLAY_PONG, ws->control, ws->control_bytes);
    case WSLAY_PONG:
        return 0;
    default:
        break;
    }
    if (!frame->fin) {
        return 0;
    }
    if (ws->kind == SL_WS_TEXT && !sl_utf8_valid(ws->message, ws->message_bytes)) {
        return refuse(ws, 1007, SL_EPROTO, "text is not UTF-8");
    }
    return 1;
}

static int take_frame_part(sl_ws *ws, const struct wslay_frame_iocb *frame)
{
    if (!ws->in_frame) {
        ws->in_frame = true;
        ws->frame_left = frame->payload_length;
        SL_TRY(check_header(ws, frame));
    }
    if ((frame->opcode & 8) != 0) {
        memcpy(ws->control + ws->control_bytes, frame->data, frame->data_length);
        ws->control_bytes += frame->data_length;
    } else {
        SL_TRY(append(ws, frame));
    }
    ws->frame_left -= frame->data_length;
    if (ws->frame_left > 0) {
        return 0;
    }
    ws->in_frame = false;
    return frame_done(ws, frame);
}

int sl_ws_receive(sl_ws *ws, struct sl_ws_message *ret_message)
{
    if (ws->close_code != 0) {
        return SL_EOF;
    }
    int code = 0;
    while (code == 0) {
        struct wslay_frame_iocb frame = {0};
        ssize_t bytes = wslay_frame_recv(ws->frames, &frame);
        if (bytes == WSLAY_ERR_WANT_READ) {
            code = fill(ws);
        } else if (bytes < 0) {
            code = refuse(ws, 1002, SL_EPROTO, "malformed frame");
        } else {
            code = take_frame_part(ws, &frame);
        }
    }
    if (code < 0) {
        return code;
    }
    memset(ws->message + ws->message_bytes, 0, SL_JSON_PADDING);
    *ret_message = (struct sl_ws_message){ws->kind, ws->message, ws->message_bytes};
    ws->kind = (enum sl_ws_kind)0;
    return 0;
}
