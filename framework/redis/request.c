/* SPDX-License-Identifier: MIT */
/* Requests: their pieces, and which commands may go over a connection that many tasks share. */
#include <string.h>
#include <strings.h>

#include "client.h"

struct sl_bytes sl_redis_text(const char *text)
{
    return (struct sl_bytes){text == NULL ? "" : text, text == NULL ? 0 : strlen(text)};
}

int sl__redis_pieces(const struct sl_redis_request *request, struct sl_bytes room[SL__REDIS_TEXTS_MAX],
                     const struct sl_bytes **ret_pieces, size_t *ret_count)
{
    size_t count = request->count;
    const struct sl_bytes *pieces = request->arguments;
    if (count == 0 && request->texts != NULL) {
        for (pieces = room; request->texts[count] != NULL; count++) {
            if (count == SL__REDIS_TEXTS_MAX) {
                return sl_fail(SL_EMSGSIZE, "more than %d texts in a Redis command", SL__REDIS_TEXTS_MAX);
            }
            room[count] = sl_redis_text(request->texts[count]);
        }
    }
    if (count == 0 || pieces == NULL || pieces[0].size_bytes == 0) {
        return sl_fail(SL_EINVAL, "a Redis command without a name");
    }
    if (count > SL_REDIS_ARGUMENTS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d arguments in a Redis command", SL_REDIS_ARGUMENTS_MAX);
    }
    *ret_pieces = pieces;
    *ret_count = count;
    return 0;
}

static bool is(struct sl_bytes piece, const char *word)
{
    return strlen(word) == piece.size_bytes && strncasecmp(piece.data, word, piece.size_bytes) == 0;
}

static bool in_list(struct sl_bytes piece, const char *const *words)
{
    char first = (char)(piece.size_bytes == 0 ? 0 : *(const char *)piece.data & ~0x20);
    for (; *words != NULL; words++) {
        if (**words == first && is(piece, *words)) { /* most differ in their first letter */
            return true;
        }
    }
    return false;
}

/* They change what the connection means to all who share it, or do not answer each command once. */
static const char *const stateful[] = {
    "ASKING",       "AUTH", "DISCARD",     "EXEC",         "HELLO",   "MONITOR", "MULTI",      "PSUBSCRIBE",
    "PSYNC",        "QUIT", "READONLY",    "READWRITE",    "RESET",   "SELECT",  "SSUBSCRIBE", "SUBSCRIBE",
    "SUNSUBSCRIBE", "SYNC", "UNSUBSCRIBE", "PUNSUBSCRIBE", "UNWATCH", "WATCH",   NULL};
static const char *const blocking[] = {"BLMOVE",   "BLMPOP",   "BLPOP", "BRPOP",   "BRPOPLPUSH", "BZMPOP",
                                       "BZPOPMAX", "BZPOPMIN", "WAIT",  "WAITAOF", NULL};
static const char *const client_state[] = {"CACHING", "NO-EVICT", "NO-TOUCH", "REPLY", "SETNAME", "TRACKING", NULL};

static bool blocks(const struct sl_bytes *pieces, size_t count)
{
    bool reads = is(pieces[0], "XREAD") || is(pieces[0], "XREADGROUP");
    for (size_t i = 1; reads && i < count && !is(pieces[i], "STREAMS"); i++) {
        if (is(pieces[i], "BLOCK")) {
            return true;
        }
    }
    return in_list(pieces[0], blocking);
}

const char *const sl__redis_asking[] = {"ASKING", NULL};

int sl__redis_allowed(const struct sl_bytes *pieces, size_t count, bool alone)
{
    const char *first = pieces[0].data;
    /* Most commands begin with another letter. */
    if (memchr("ABCDEHMPQRSUWXabcdehmpqrsuwx", *first, 28) == NULL) {
        return 0;
    }
    if (in_list(pieces[0], stateful) || (count > 1 && is(pieces[0], "CLIENT") && in_list(pieces[1], client_state))) {
        return sl_fail(SL_EINVAL, "%.*s cannot be sent over a connection of the Redis client",
                       (int)pieces[0].size_bytes, first);
    }
    if (!alone && blocks(pieces, count)) {
        return sl_fail(SL_EINVAL, "%.*s blocks: it needs sl_redis_open_blocking()", (int)pieces[0].size_bytes, first);
    }
    return 0;
}
