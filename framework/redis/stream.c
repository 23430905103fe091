/* SPDX-License-Identifier: MIT */
/* Redis Streams, see redis_stream.h. */
#include "sluice/redis_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT 100
#define IDS_MAX 100
#define BLOCK_SLACK SL_SECONDS(5) /* beyond the block, before the server counts as gone */

struct number {
    char text[24];
};

static const char *number_text(struct number *number, uint64_t value)
{
    (void)snprintf(number->text, sizeof number->text, "%" PRIu64, value);
    return number->text;
}

static const char *milliseconds(struct number *number, sl_time time)
{
    return number_text(number, (uint64_t)(time + 999999) / 1000000);
}

/* Sends and turns the errors that have a meaning here into codes of their own. */
static int send(sl_redis *redis, struct sl_redis_request *request, sl_redis_reply **ret_reply)
{
    sl_redis_reply *reply = NULL;
    request->keep_errors = true;
    SL_TRY(sl_redis_send(redis, request, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    if (value.type != SL_REDIS_ERROR) {
        *ret_reply = reply;
        return 0;
    }
    enum sl_redis_problem problem = sl_redis_problem_of(&value);
    bool repeated = strstr(value.text, "equal or smaller than the target stream top item") != NULL;
    int code = problem == SL_REDIS_NOGROUP           ? SL_ENOENT
               : problem == SL_REDIS_BUSYGROUP       ? SL_EEXIST
               : repeated                            ? SL_EEXIST
               : problem == SL_REDIS_NOAUTH          ? -EACCES
               : sl_redis_problem_retryable(problem) ? SL_ENOTREADY
                                                     : SL_EREPLY;
    code = sl_fail(code, "Redis: %s", value.text);
    sl_redis_reply_free(reply);
    return code;
}

/* As the caller wants it: NULL when there is none. */
static int copy_id(const struct sl_redis_value *value, char *ret_id)
{
    if (value->type != SL_REDIS_STRING || value->size_bytes >= SL_REDIS_STREAM_ID_BYTES) {
        return sl_fail(SL_EPROTO, "Redis did not answer with the id of an entry");
    }
    memcpy(ret_id, value->text, value->size_bytes + 1);
    return 0;
}

int sl_redis_stream_add(sl_redis *redis, const struct sl_redis_stream_add *add, char *ret_id)
{
    struct sl_bytes pieces[8 + 2 * SL_REDIS_STREAM_FIELDS_MAX];
    struct number length;
    size_t count = 0;
    if (add->fields_count < 2 || add->fields_count % 2 != 0 ||
        add->fields_count > (size_t)2 * SL_REDIS_STREAM_FIELDS_MAX) {
        return sl_fail(SL_EINVAL, "an entry of a Redis stream has 1 to %d fields", SL_REDIS_STREAM_FIELDS_MAX);
    }
    pieces[count++] = sl_redis_text("XADD");
    pieces[count++] = sl_redis_text(add->stream);
    if (add->no_create) {
        pieces[count++] = sl_redis_text("NOMKSTREAM");
    }
    if (add->max_length > 0) {
        pieces[count++] = sl_redis_text("MAXLEN");
        pieces[count++] = sl_redis_text(add->exact ? "=" : "~");
        pieces[count++] = sl_redis_text(number_text(&length, add->max_length));
    }
    pieces[count++] = sl_redis_text(add->id == NULL ? "*" : add->id);
    memcpy(pieces + count, add->fields, add->fields_count * sizeof *pieces);
    struct sl_redis_request request = {.arguments = pieces, .count = count + add->fields_count};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(send(redis, &request, &reply));
    struct sl_redis_value id = sl_redis_reply_value(reply);
    if (id.type == SL_REDIS_NIL) {
        return sl_fail(SL_ENOENT, "there is no Redis stream '%s'", add->stream);
    }
    return ret_id == NULL ? 0 : copy_id(&id, ret_id);
}

int sl_redis_stream_group(sl_redis *redis, const char *stream, const char *group, const char *after)
{
    const char *const texts[] = {"XGROUP", "CREATE", stream, group, after, "MKSTREAM", NULL};
    struct sl_redis_request request = {.texts = texts, .idempotent = true};
    sl_redis_reply *reply = NULL;
    int code = send(redis, &request, &reply);
    sl_redis_reply_free(reply);
    return code == SL_EEXIST ? 0 : code;
}

int sl_redis_stream_read(sl_redis *redis, const struct sl_redis_stream_read *read, sl_redis_reply **ret_reply)
{
    struct number count, block;
    const char *texts[14] = {"XREADGROUP",   "GROUP", read->group,
                             read->consumer, "COUNT", number_text(&count, read->count == 0 ? COUNT : read->count)};
    size_t used = 6;
    if (read->block < 0 || read->block == SL_NEVER) {
        return sl_fail(SL_EINVAL, "a Redis stream is read with a block of 0 or more, and an end");
    }
    if (read->block > 0) {
        texts[used++] = "BLOCK";
        texts[used++] = milliseconds(&block, read->block);
    }
    texts[used++] = "STREAMS";
    texts[used++] = read->stream;
    texts[used++] = read->again ? "0" : ">";
    struct sl_redis_request request = {.texts = texts,
                                       .timeout = read->block > 0 ? sl_time_add(read->block, BLOCK_SLACK) : 0};
    return send(redis, &request, ret_reply);
}

int sl_redis_stream_claim(sl_redis *redis, const struct sl_redis_stream_claim *claim, char *cursor,
                          sl_redis_reply **ret_reply)
{
    struct number count, idle;
    const char *const texts[] = {"XAUTOCLAIM",
                                 claim->stream,
                                 claim->group,
                                 claim->consumer,
                                 milliseconds(&idle, claim->min_idle),
                                 cursor,
                                 "COUNT",
                                 number_text(&count, claim->count == 0 ? COUNT : claim->count),
                                 NULL};
    struct sl_redis_request request = {.texts = texts};
    sl_redis_reply *reply = NULL;
    SL_TRY(send(redis, &request, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    struct sl_redis_value next = sl_redis_value_at(&value, 0);
    int code = copy_id(&next, cursor);
    if (code < 0) {
        sl_redis_reply_free(reply);
        return code;
    }
    *ret_reply = reply;
    return 0;
}

int sl_redis_stream_ack(sl_redis *redis, const char *stream, const char *group, const char *const *ids)
{
    const char *texts[3 + IDS_MAX + 1] = {"XACK", stream, group};
    size_t count = 3;
    for (; *ids != NULL; ids++) {
        if (count == 3 + IDS_MAX) {
            return sl_fail(SL_EMSGSIZE, "more than %d entries of a Redis stream at once", IDS_MAX);
        }
        texts[count++] = *ids;
    }
    if (count == 3) {
        return 0;
    }
    struct sl_redis_request request = {.texts = texts, .idempotent = true};
    sl_redis_reply *reply = NULL;
    int code = send(redis, &request, &reply);
    sl_redis_reply_free(reply);
    return code;
}

int sl_redis_stream_trim(sl_redis *redis, const char *stream, uint64_t max_length, bool exact, int64_t *ret_removed)
{
    struct number length;
    const char *const texts[] = {"XTRIM", stream, "MAXLEN", exact ? "=" : "~", number_text(&length, max_length), NULL};
    struct sl_redis_request request = {.texts = texts, .idempotent = true};
    sl_auto(sl_redis_reply) *reply = NULL;
    int64_t removed = 0;
    SL_TRY(send(redis, &request, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    SL_TRY(sl_redis_value_int(&value, &removed));
    if (ret_removed != NULL) {
        *ret_removed = removed;
    }
    return 0;
}

/* Of read: [[stream, entries]], or a map of them; of claim: [cursor, entries, deleted]. */
struct sl_redis_list sl_redis_stream_entries(const sl_redis_reply *reply)
{
    struct sl_redis_value value = sl_redis_reply_value(reply);
    struct sl_redis_value first = sl_redis_value_at(&value, 0);
    struct sl_redis_value entries = sl_redis_value_at(&value, 1);
    if (value.type == SL_REDIS_ARRAY && first.type == SL_REDIS_ARRAY) {
        entries = sl_redis_value_at(&first, 1);
    }
    return sl_redis_value_list(&entries);
}

bool sl_redis_stream_next(struct sl_redis_list *entries, struct sl_redis_stream_entry *ret_entry)
{
    struct sl_redis_value entry;
    if (!sl_redis_list_next(entries, &entry)) {
        return false;
    }
    ret_entry->id = sl_redis_value_at(&entry, 0).text;
    ret_entry->fields = sl_redis_value_at(&entry, 1);
    return true;
}
