/* SPDX-License-Identifier: MIT */
/*
 * Redis replies: the same bytes whole, one at a time and in pieces must give the same replies and the same end; every
 * value of an accepted reply can be walked, and lies within it.
 */
#include <stdlib.h>
#include <string.h>

#include "redis/resp.h"

#define BYTES_MAX ((size_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static uint64_t mix(uint64_t hash, const char *data, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void walk(const struct sl_redis_value *value, const struct sl_view *reply, int depth)
{
    struct sl_redis_list list = sl_redis_value_list(value);
    struct sl_redis_value item;
    int64_t number = 0;
    size_t count = 0;
    if (depth > SL_REDIS_DEPTH_MAX ||
        (value->size_bytes > 0 &&
         (value->text < reply->data || value->text + value->size_bytes >= reply->data + reply->size_bytes))) {
        abort();
    }
    if (value->text[value->size_bytes] != '\0') {
        abort();
    }
    if (sl_redis_value_int(value, &number) == 0 && value->type == SL_REDIS_INTEGER && number != value->integer) {
        abort();
    }
    (void)sl_redis_problem_of(value);
    while (sl_redis_list_next(&list, &item)) {
        walk(&item, reply, depth + 1);
        count++;
    }
    if (count != value->count) {
        abort();
    }
}

/* A hash of all replies and of how it ended. */
static uint64_t read_all(const uint8_t *data, size_t size_bytes, size_t step)
{
    struct sl__resp_reader reader;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int code = 0;
    sl__resp_init(&reader, BYTES_MAX);
    char *copy = malloc(size_bytes + 1); /* NOLINT: the fuzzer's own */
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, size_bytes);
    for (size_t at = 0; at < size_bytes && code >= 0;) {
        struct sl_view reply;
        size_t used = 0;
        size_t bytes = step < size_bytes - at ? step : size_bytes - at;
        code = sl__resp_feed(&reader, copy + at, bytes, &used, &reply);
        if (code < 0) {
            hash = mix(hash, (const char *)&code, sizeof code);
            break;
        }
        if (used > bytes || (code == 0 && used != bytes)) {
            abort();
        }
        at += used;
        if (code == 1) {
            hash = mix(hash, reply.data, reply.size_bytes);
            struct sl_redis_value value = sl__resp_value(reply.data);
            if (sl__resp_skip(reply.data) > reply.data + reply.size_bytes) {
                abort();
            }
            walk(&value, &reply, 0);
        }
    }
    free(copy); /* NOLINT */
    sl__resp_done(&reader);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes > BYTES_MAX / 2) {
        return 0;
    }
    uint64_t whole = read_all(data, size_bytes, SIZE_MAX);
    if (read_all(data, size_bytes, 1) != whole || read_all(data, size_bytes, 7) != whole) {
        abort();
    }
    return 0;
}
