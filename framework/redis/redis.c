/* SPDX-License-Identifier: MIT */
/* One Redis connection over a stream of ours. hiredis formats and parses; it does no I/O here. */
#include "sluice/redis.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "sluice/net.h"
#include "sluice/sync.h"

#define READ_BYTES 4096

struct sl_redis {
    sl_stream *stream; /* NULL once it failed */
    redisReader *reader;
    redisReply *reply; /* of the last command */
    sl_mutex turn;
};

/* "redis://host:port", port 6379 when it is left out. */
static int parse_url(const char *url, char *host, size_t host_bytes, int *ret_port)
{
    static const char scheme[] = "redis://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0) {
        return sl_fail(SL_EINVAL, "a Redis URL begins with redis://");
    }
    const char *start = url + sizeof scheme - 1;
    size_t length = strcspn(start, ":/");
    long port = 6379;
    const char *rest = start + length;
    if (*rest == ':') {
        port = 0;
        for (rest++; *rest >= '0' && *rest <= '9' && port <= 65535; rest++) {
            port = port * 10 + (*rest - '0');
        }
    }
    if (length == 0 || length >= host_bytes || port < 1 || port > 65535 || strcmp(rest, *rest == '/' ? "/" : "") != 0) {
        return sl_fail(SL_EINVAL, "not a Redis URL of the form redis://ADDRESS:PORT");
    }
    memcpy(host, start, length);
    host[length] = '\0';
    *ret_port = (int)port;
    return 0;
}

int sl_redis_connect(const char *url, sl_redis **ret_redis)
{
    char host[256];
    int port = 0;
    SL_TRY(parse_url(url, host, sizeof host, &port));
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_connect(host, port, &stream));
    sl_redis *redis = sl_calloc(1, sizeof *redis);
    redisReader *reader = redisReaderCreate();
    if (redis == NULL || reader == NULL) {
        sl_free(redis);
        redisReaderFree(reader);
        return sl_fail(SL_ENOMEM, "no memory for a Redis connection");
    }
    redis->stream = stream;
    redis->reader = reader;
    sl_mutex_init(&redis->turn);
    stream = NULL;
    *ret_redis = redis;
    return 0;
}

static void drop(sl_redis *redis)
{
    sl_stream_close(redis->stream);
    redis->stream = NULL;
}

void sl_redis_free(sl_redis *redis)
{
    if (redis != NULL) {
        drop(redis);
        if (redis->reply != NULL) {
            freeReplyObject(redis->reply);
        }
        redisReaderFree(redis->reader);
        sl_free(redis);
    }
}

static int send_command(sl_redis *redis, const char *const *arguments)
{
    const char *list[SL_REDIS_ARGUMENTS_MAX];
    int count = 0;
    while (arguments[count] != NULL) {
        if (count == SL_REDIS_ARGUMENTS_MAX) {
            return sl_fail(SL_EMSGSIZE, "more than %d arguments", SL_REDIS_ARGUMENTS_MAX);
        }
        list[count] = arguments[count];
        count++;
    }
    char *text = NULL;
    int length = (int)redisFormatCommandArgv(&text, count, list, NULL);
    if (length < 0) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis command");
    }
    int code = sl_stream_write(redis->stream, text, (size_t)length);
    redisFreeCommand(text);
    return code;
}

static int read_reply(sl_redis *redis)
{
    char buffer[READ_BYTES];
    void *reply = NULL;
    size_t total = 0;
    for (;;) {
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            return sl_fail(SL_EPROTO, "Redis: %s", redis->reader->errstr);
        }
        if (reply != NULL) {
            redis->reply = reply;
            return 0;
        }
        size_t bytes = 0;
        SL_TRY(sl_stream_read(redis->stream, buffer, sizeof buffer, &bytes));
        total += bytes;
        if (total > SL_REDIS_REPLY_BYTES_MAX) {
            return sl_fail(SL_EMSGSIZE, "a Redis reply is over the limit");
        }
        if (redisReaderFeed(redis->reader, buffer, bytes) != REDIS_OK) {
            return sl_fail(SL_ENOMEM, "no memory for a Redis reply");
        }
    }
}

static void describe(const redisReply *reply, struct sl_redis_reply *ret_reply)
{
    static const enum sl_redis_type types[] = {[REDIS_REPLY_STRING] = SL_REDIS_STRING,
                                               [REDIS_REPLY_STATUS] = SL_REDIS_STATUS,
                                               [REDIS_REPLY_INTEGER] = SL_REDIS_INTEGER,
                                               [REDIS_REPLY_ARRAY] = SL_REDIS_ARRAY,
                                               [REDIS_REPLY_NIL] = SL_REDIS_NIL};
    bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    *ret_reply = (struct sl_redis_reply){.type = types[reply->type],
                                         .integer = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0,
                                         .text = text ? reply->str : "",
                                         .size_bytes = text ? (size_t)reply->len : 0,
                                         .elements = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0};
}

static int exchange(sl_redis *redis, const char *const *arguments)
{
    if (redis->stream == NULL) {
        return sl_fail(SL_EPIPE, "the Redis connection is closed");
    }
    if (redis->reply != NULL) {
        freeReplyObject(redis->reply);
        redis->reply = NULL;
    }
    int code = send_command(redis, arguments);
    code = code == 0 ? read_reply(redis) : code;
    if (code < 0 || redis->reply == NULL) {
        drop(redis);
        return code;
    }
    if (redis->reply->type == REDIS_REPLY_ERROR) {
        return sl_fail(SL_EPROTO, "Redis: %s", redis->reply->str);
    }
    return 0;
}

int sl_redis_command(sl_redis *redis, const char *const *arguments, struct sl_redis_reply *ret_reply)
{
    SL_TRY(sl_mutex_lock(&redis->turn));
    int code = exchange(redis, arguments);
    if (code == 0 && ret_reply != NULL) {
        describe(redis->reply, ret_reply);
    }
    (void)sl_mutex_unlock(&redis->turn);
    return code;
}
