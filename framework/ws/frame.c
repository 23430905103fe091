/* SPDX-License-Identifier: MIT */
/* Heads, masks and close codes. Source: RFC 6455, sections 5.2, 5.3 and 7.4. */
#include "frame.h"

#include <string.h>

#include "sluice/error.h"

#define LENGTH_16 126
#define LENGTH_64 127

static uint64_t big_endian(const unsigned char *data, size_t size_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        value = value << 8 | data[i];
    }
    return value;
}

int sl__ws_head_parse(const void *data, size_t size_bytes, struct sl__ws_head *ret_head)
{
    const unsigned char *bytes = data;
    if (size_bytes < 2) {
        return 0;
    }
    unsigned short_length = bytes[1] & 0x7fu;
    size_t length_bytes = short_length == LENGTH_16 ? 2 : short_length == LENGTH_64 ? 8 : 0;
    bool masked = (bytes[1] & SL__WS_MASKED) != 0;
    size_t head_bytes = 2 + length_bytes + (masked ? SL__WS_KEY_BYTES : 0);
    if (size_bytes < head_bytes) {
        return 0;
    }
    uint64_t length = length_bytes == 0 ? short_length : big_endian(bytes + 2, length_bytes);
    bool minimal = length_bytes == 0 || (length_bytes == 2 ? length > 125 : length > UINT16_MAX);
    if (!minimal || length > INT64_MAX) {
        return SL_EPROTO;
    }
    *ret_head = (struct sl__ws_head){.payload_bytes = length,
                                     .opcode = bytes[0] & 0x0f,
                                     .rsv = bytes[0] & SL__WS_RSV,
                                     .fin = (bytes[0] & SL__WS_FIN) != 0,
                                     .masked = masked};
    if (masked) {
        memcpy(ret_head->key, bytes + head_bytes - SL__WS_KEY_BYTES, SL__WS_KEY_BYTES);
    }
    return (int)head_bytes;
}

size_t sl__ws_head_make(unsigned char head[SL__WS_HEAD_BYTES_MAX], uint8_t first, const uint8_t *key,
                        uint64_t payload_bytes)
{
    size_t length_bytes = payload_bytes <= SL__WS_CONTROL_BYTES_MAX ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;
    unsigned short_length = length_bytes == 0 ? (unsigned)payload_bytes : length_bytes == 2 ? LENGTH_16 : LENGTH_64;
    head[0] = first;
    head[1] = (unsigned char)(short_length | (key == NULL ? 0u : SL__WS_MASKED));
    for (size_t i = 0; i < length_bytes; i++) {
        head[2 + i] = (unsigned char)(payload_bytes >> (8 * (length_bytes - 1 - i)));
    }
    if (key != NULL) {
        memcpy(head + 2 + length_bytes, key, SL__WS_KEY_BYTES);
    }
    return 2 + length_bytes + (key == NULL ? 0 : SL__WS_KEY_BYTES);
}

typedef uint64_t words __attribute__((vector_size(16))); /* SSE2 and NEON have it */

void sl__ws_mask(void *to, const void *from, size_t size_bytes, const uint8_t key[SL__WS_KEY_BYTES], uint64_t offset)
{
    unsigned char turned[sizeof(words)];
    for (size_t i = 0; i < sizeof turned; i++) {
        turned[i] = key[(offset + i) % SL__WS_KEY_BYTES];
    }
    words mask;
    memcpy(&mask, turned, sizeof mask);
    unsigned char *out = to;
    const unsigned char *in = from;
    size_t at = 0;
    for (; size_bytes - at >= sizeof mask; at += sizeof mask) {
        words some;
        memcpy(&some, in + at, sizeof some);
        some ^= mask;
        memcpy(out + at, &some, sizeof some);
    }
    for (size_t i = 0; at + i < size_bytes; i++) {
        out[at + i] = in[at + i] ^ turned[i];
    }
}

/* 1004 to 1006 and 1015 are not for the wire; 1012 to 1014 are registered with IANA since. */
bool sl__ws_close_code_ok(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
