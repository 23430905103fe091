/* SPDX-License-Identifier: MIT */
/*
 * Redis, first and small: one connection, one command at a time, RESP2 by hiredis's formatter and reader. A
 * command that is cancelled or fails on the wire closes the connection, so that no late reply can be
 * taken for another command's.
 */
#ifndef SLUICE_REDIS_H
#define SLUICE_REDIS_H

#include "sluice/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_redis sl_redis;

#define SL_REDIS_REPLY_BYTES_MAX ((size_t)1024 * 1024)
#define SL_REDIS_ARGUMENTS_MAX 64

enum sl_redis_type { SL_REDIS_NIL, SL_REDIS_STRING, SL_REDIS_STATUS, SL_REDIS_INTEGER, SL_REDIS_ARRAY };

/* Borrowed until the connection's next command. Errors of the server are not replies: see sl_redis_command(). */
struct sl_redis_reply {
    enum sl_redis_type type;
    int64_t integer;
    const char *text; /* STRING, STATUS; NUL behind it */
    size_t size_bytes;
    size_t elements; /* ARRAY */
};

/* "redis://127.0.0.1:6379". Waits. SL_EINVAL for another form of URL. */
SL_MUST_CHECK int sl_redis_connect(const char *url, sl_redis **ret_redis);
void sl_redis_free(sl_redis *redis);
SL_AUTO_DECLARE(sl_redis, sl_redis_free)

/*
 * Sends the NULL-terminated arguments and waits for the reply (`ret_reply` may be NULL). Tasks that share a
 * connection take turns. SL_EPROTO with the server's text for an error reply; SL_EPIPE once the
 * connection is closed; SL_ECANCELED; what the stream gives.
 */
SL_MUST_CHECK int sl_redis_command(sl_redis *redis, const char *const *arguments, struct sl_redis_reply *ret_reply);

#ifdef __cplusplus
}
#endif

#endif
