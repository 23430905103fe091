/* SPDX-License-Identifier: MIT */
/* What the files of the WebSocket share. */
#ifndef SL_WS_WS_H
#define SL_WS_WS_H

#include "deflate.h"
#include "frame.h"
#include "sluice/json.h"
#include "sluice/sync.h"
#include "sluice/ws.h"

/* A control frame's payload, with a NUL behind it. */
struct sl__ws_control {
    uint8_t size_bytes;
    char data[SL__WS_CONTROL_BYTES_MAX + 1];
};

/* The frame whose payload is being received. */
struct sl__ws_frame {
    struct sl__ws_head head;
    bool open;
    uint64_t seen; /* payload bytes that were unmasked and checked */
};

struct sl_ws {
    sl_stream *stream;
    bool server;
    uint8_t masked; /* the mask bit that the peer's frames must have: 0x80 or 0 */

    /* receiving: the stream's buffer from its first unread byte on; `at` is the first one not taken yet */
    bool plain; /* no message is begun, nothing has ended: whole frames may go the quick way */
    bool receiving;
    uint16_t quick_bytes_max;
    char *begin, *at, *end;
    struct sl__ws_frame frame;
    enum sl_ws_kind kind; /* of the message being put together; 0: none */
    bool compressed;
    uint32_t fragments;
    struct sl__utf8 utf8;
    struct sl__ws_buffer message;
    sl_inflater *inflater;
    int ended; /* what receiving ended with, for ever; 0: not yet */

    /* the watchdog */
    sl_time silence; /* how long the peer was listened to in vain */
    bool pinged;

    /* sending */
    sl_mutex sending; /* one message at a time */
    sl_mutex writing; /* one frame at a time */
    bool message_begun, message_compressed, message_text;
    uint8_t message_first;     /* opcode and RSV1 of its next frame */
    struct sl__utf8 sent_text; /* what the parts so far end with */
    bool broken;               /* a message could not be finished */
    bool close_sent;
    bool pong_waits, ping_waits; /* for whoever writes now */
    struct sl__ws_control pong;
    sl_deflater *deflater;

    int close_code;
    struct sl__ws_control close_reason;
    sl_event closed; /* receiving has ended */
    uint64_t pongs;
    struct sl__ws_control last_pong;

    struct sl_ws_options options; /* its texts are not ours */
    struct sl__ws_agreed agreed;
    char subprotocol[]; /* the one agreed on */
};

/* Takes the stream over once it returns 0. `options` and `agreed` may be NULL; "" for no subprotocol. */
int sl__ws_new(sl_stream *stream, bool server, const struct sl_ws_options *options, const struct sl__ws_agreed *agreed,
               const char *subprotocol, sl_ws **ret_ws);
int sl__ws_check_options(const struct sl_ws_options *options);

/* receive.c: ends receiving for ever, tells the peer by a close frame, and gives `code`. */
int sl__ws_refuse(sl_ws *ws, int close_code, int code, const char *what);

/* send.c. Control frames: a pong or ping that finds another task writing is left to it. */
int sl__ws_send_control(sl_ws *ws, uint8_t opcode, const void *data, size_t size_bytes);

#endif
