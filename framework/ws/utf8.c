/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 in pieces: simdjson checks the bulk, and only what is cut at the end of a piece is looked at byte by
 * byte. Source: RFC 3629, section 4; RFC 6455, section 8.1.
 */
#include <string.h>

#include "frame.h"
#include "sluice/json.h"

/* Bytes of the sequence that `lead` begins; 0 when none begins with it. */
static size_t sequence_bytes(unsigned char lead)
{
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2) {
        return 0;
    }
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/* The second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
static bool second_ok(unsigned char lead, unsigned char second)
{
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

static bool next_ok(const struct sl__utf8 *text, unsigned char byte)
{
    return text->count == 1 ? second_ok(text->begun[0], byte) : (byte & 0xc0) == 0x80;
}

/* How many bytes at the end begin a sequence that goes on behind it; -1 when nothing could go on that way. */
static int cut_at_end(const unsigned char *data, size_t size_bytes)
{
    for (size_t back = 1; back <= 3 && back <= size_bytes; back++) {
        unsigned char byte = data[size_bytes - back];
        if ((byte & 0xc0) == 0x80) {
            continue;
        }
        size_t needed = sequence_bytes(byte);
        if (needed == 0) {
            return -1;
        }
        if (needed <= back) {
            return 0;
        }
        return back == 1 || second_ok(byte, data[size_bytes - back + 1]) ? (int)back : -1;
    }
    return 0;
}

bool sl__utf8_feed(struct sl__utf8 *text, const void *data, size_t size_bytes)
{
    const unsigned char *bytes = data;
    while (text->count > 0 && size_bytes > 0) {
        if (!next_ok(text, *bytes)) {
            return false;
        }
        text->begun[text->count++] = *bytes++;
        size_bytes--;
        if (text->count == sequence_bytes(text->begun[0])) {
            text->count = 0;
        }
    }
    int cut = cut_at_end(bytes, size_bytes);
    if (cut < 0 || !sl__utf8_whole(bytes, size_bytes - (size_t)cut)) {
        return false;
    }
    if (cut > 0) {
        memcpy(text->begun, bytes + size_bytes - cut, (size_t)cut);
        text->count = (uint8_t)cut;
    }
    return true;
}

typedef uint64_t words __attribute__((vector_size(16))); /* SSE2 and NEON have it */

static words words_at(const char *data)
{
    words some;
    memcpy(&some, data, sizeof some);
    return some;
}

#define SHORT_BYTES_MAX 1024

/* Short ASCII, of which most market data consists, is seen quicker than the call of simdjson's validator takes. */
static bool is_short_ascii(const char *data, size_t size_bytes)
{
    if (size_bytes < sizeof(words) || size_bytes > SHORT_BYTES_MAX) {
        return false;
    }
    words all = words_at(data + size_bytes - sizeof(words));
    size_t at = 0;
    for (; at + 4 * sizeof(words) <= size_bytes; at += 4 * sizeof(words)) {
        all |= (words_at(data + at) | words_at(data + at + sizeof(words))) |
               (words_at(data + at + 2 * sizeof(words)) | words_at(data + at + 3 * sizeof(words)));
    }
    for (; at + sizeof(words) <= size_bytes; at += sizeof(words)) {
        all |= words_at(data + at);
    }
    return ((all[0] | all[1]) & 0x8080808080808080u) == 0;
}

bool sl__utf8_whole(const void *data, size_t size_bytes)
{
    return is_short_ascii(data, size_bytes) || sl_utf8_valid(data, size_bytes);
}
