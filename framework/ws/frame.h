/* SPDX-License-Identifier: MIT */
/* The bytes of a frame: heads, masks and text. No I/O, no memory. Source: RFC 6455, sections 5 and 8.1. */
#ifndef SL_WS_FRAME_H
#define SL_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL__WS_FIN 0x80
#define SL__WS_RSV1 0x40
#define SL__WS_RSV 0x70
#define SL__WS_MASKED 0x80
#define SL__WS_CONTROL_BYTES_MAX 125
#define SL__WS_HEAD_BYTES_MAX 14
#define SL__WS_KEY_BYTES 4

enum sl__ws_opcode {
    SL__WS_CONTINUATION = 0,
    SL__WS_TEXT = 1,
    SL__WS_BINARY = 2,
    SL__WS_CLOSE = 8,
    SL__WS_PING = 9,
    SL__WS_PONG = 10
};

struct sl__ws_head {
    uint64_t payload_bytes;
    uint8_t opcode;
    uint8_t rsv; /* as they stand in the first byte */
    bool fin;
    bool masked;
    uint8_t key[SL__WS_KEY_BYTES];
};

/* Reads the head of a frame: its size, 0 when more bytes are needed, SL_EPROTO for a length in a form it must not have. */
int sl__ws_head_parse(const void *data, size_t size_bytes, struct sl__ws_head *ret_head);

/* Writes a head (`first` is its first byte, `key` NULL: not masked) and gives its size. */
size_t sl__ws_head_make(unsigned char head[SL__WS_HEAD_BYTES_MAX], uint8_t first, const uint8_t *key,
                        uint64_t payload_bytes);

/* Copies with the mask on or off; `to` may be `from`. `offset`: how far into the payload `from` is. */
void sl__ws_mask(void *to, const void *from, size_t size_bytes, const uint8_t key[SL__WS_KEY_BYTES], uint64_t offset);

/* UTF-8 that comes in pieces. All bytes zero: nothing yet. */
struct sl__utf8 {
    unsigned char begun[4]; /* a sequence whose end has not come */
    uint8_t count;          /* 0: the text may end here */
};

/* The next piece. False as soon as no continuation could make the text valid. */
bool sl__utf8_feed(struct sl__utf8 *text, const void *data, size_t size_bytes);

/* Whether a whole text is valid; quick for short ASCII. */
bool sl__utf8_whole(const void *data, size_t size_bytes);

/* Whether a peer may say this code in a close frame. */
bool sl__ws_close_code_ok(int code);

#endif
