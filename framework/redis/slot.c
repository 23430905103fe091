/* SPDX-License-Identifier: MIT */
/* Which slot of a cluster a command belongs to. Source: redis.io, "Redis cluster specification", key distribution. */
#include <string.h>
#include <strings.h>

#include "client.h"

/* CRC16-CCITT (XMODEM): polynomial 0x1021, four bits at a time. */
static unsigned crc16(const unsigned char *data, size_t size_bytes)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                       0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    unsigned crc = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        crc = ((crc << 4) & 0xffff) ^ table[((crc >> 12) ^ (data[i] >> 4)) & 15];
        crc = ((crc << 4) & 0xffff) ^ table[((crc >> 12) ^ data[i]) & 15];
    }
    return crc;
}

unsigned sl__redis_slot_of(struct sl_bytes key)
{
    const char *data = key.data;
    const char *open = key.size_bytes == 0 ? NULL : memchr(data, '{', key.size_bytes);
    if (open != NULL) {
        size_t rest = key.size_bytes - (size_t)(open + 1 - data);
        const char *close = rest == 0 ? NULL : memchr(open + 1, '}', rest);
        if (close != NULL && close > open + 1) {
            key = (struct sl_bytes){open + 1, (size_t)(close - open - 1)};
        }
    }
    return crc16(key.data, key.size_bytes) % SL__REDIS_SLOTS;
}

static bool is(struct sl_bytes piece, const char *word)
{
    return strlen(word) == piece.size_bytes && strncasecmp(piece.data, word, piece.size_bytes) == 0;
}

static const char *const no_key[] = {"ACL",     "CLIENT",   "CLUSTER", "COMMAND",  "CONFIG",    "DBSIZE", "DEBUG",
                                     "ECHO",    "FLUSHALL", "FLUSHDB", "FUNCTION", "INFO",      "KEYS",   "LASTSAVE",
                                     "LATENCY", "PING",     "PUBLISH", "PUBSUB",   "RANDOMKEY", "ROLE",   "SCAN",
                                     "SCRIPT",  "SLOWLOG",  "TIME",    "WAIT",     NULL};
static const char *const second[] = {"BITOP", "MEMORY", "OBJECT", "XGROUP", "XINFO", NULL};

static bool in_list(struct sl_bytes piece, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (is(piece, *words)) {
            return true;
        }
    }
    return false;
}

bool sl__redis_key_of(const struct sl_redis_request *request, const struct sl_bytes *pieces, size_t count,
                      struct sl_bytes *ret_key)
{
    size_t place = 1;
    if (request->key != 0) {
        place = request->key;
    } else if (is(pieces[0], "EVALSHA") || is(pieces[0], "EVAL") || is(pieces[0], "FCALL")) {
        place = count > 2 && !is(pieces[2], "0") ? 3 : count;
    } else if (is(pieces[0], "XREAD") || is(pieces[0], "XREADGROUP")) {
        while (place < count && !is(pieces[place], "STREAMS")) {
            place++;
        }
        place++;
    } else if (in_list(pieces[0], second)) {
        place = 2;
    } else if (in_list(pieces[0], no_key)) {
        place = count;
    }
    if (place >= count) {
        return false;
    }
    *ret_key = pieces[place];
    return true;
}
