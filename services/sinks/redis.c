/* SPDX-License-Identifier: MIT */
/* The sink into Redis Streams: see redis.h. */
#include "sinks/redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "market/event_json.h"
#include "sinks/template.h"

/* One call of the script. */
#define CALL_EVENTS 500
#define CALL_STREAMS 64

/*
 * KEYS: the last number's, then streams. ARGV: MAXLEN ("" for none), the key's life in seconds, then for each event its
 * number, its stream's place among the keys, its JSON. An error in the middle keeps what was done before it noted.
 */
static const char script[] =
    "local last = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
    "local added, problem = 0, nil\n"
    "for i = 3, #ARGV, 3 do\n"
    "  local number = tonumber(ARGV[i])\n"
    "  if number > last then\n"
    "    local reply = redis.pcall('XADD', KEYS[tonumber(ARGV[i + 1])], '*', 'event', ARGV[i + 2])\n"
    "    if type(reply) == 'table' and reply.err then problem = reply break end\n"
    "    added = added + 1\n"
    "    last = number\n"
    "  end\n"
    "end\n"
    "if added > 0 then redis.call('SET', KEYS[1], string.format('%.0f', last), 'EX', ARGV[2]) end\n"
    "for i = 2, #KEYS do\n"
    "  if ARGV[1] ~= '' then redis.pcall('XTRIM', KEYS[i], 'MAXLEN', '~', ARGV[1]) end\n"
    "end\n"
    "return problem or added\n";

/* A text that was put together: where it lies, because the memory may still move. */
struct piece {
    size_t at, size_bytes;
};

struct call {
    size_t first, events; /* pieces, three an event */
    uint64_t run;
    struct piece streams[CALL_STREAMS];
    size_t stream_count;
};

typedef struct sl_redis_sink {
    sl_sink sink;
    sl_redis_sink_options options;
    char name[64];
    char stream[SL_TEMPLATE_MAX];
    char max_events[24], seen_seconds[16];
    sl_redis *redis; /* while the sink is open; belongs to the session's scope */
    char sha[48];
    char *text;
    size_t text_bytes, text_capacity;
    struct piece *pieces;
    size_t piece_count, piece_capacity;
    struct call *calls;
    size_t call_count, call_capacity;
} sl_redis_sink;

/* Room for one more element of an array that may grow. */
static int grow(void *array, size_t *capacity, size_t count, size_t element_bytes)
{
    void **memory = array;
    if (count < *capacity) {
        return 0;
    }
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    while (wanted <= count) {
        wanted *= 2;
    }
    void *bigger = sl_realloc(*memory, wanted * element_bytes);
    if (bigger == NULL) {
        return SL_ENOMEM;
    }
    *memory = bigger;
    *capacity = wanted;
    return 0;
}

/* Room for `size_bytes` of text: where it begins. */
static int reserve_text(sl_redis_sink *sink, size_t size_bytes, char **ret_text)
{
    SL_TRY(grow(&sink->text, &sink->text_capacity, sink->text_bytes + size_bytes, 1));
    *ret_text = sink->text + sink->text_bytes;
    return 0;
}

static int add_piece(sl_redis_sink *sink, size_t size_bytes)
{
    SL_TRY(grow(&sink->pieces, &sink->piece_capacity, sink->piece_count, sizeof(struct piece)));
    sink->pieces[sink->piece_count++] = (struct piece){sink->text_bytes, size_bytes};
    sink->text_bytes += size_bytes;
    return 0;
}

static int add_number(sl_redis_sink *sink, uint64_t number)
{
    char *text = NULL;
    SL_TRY(reserve_text(sink, 24, &text));
    return add_piece(sink, (size_t)snprintf(text, 24, "%" PRIu64, number));
}

/* The place of the event's stream among those of the call; CALL_STREAMS when there is no room for it. */
static int find_stream(sl_redis_sink *sink, struct call *call, const sl_market_event *event, size_t *ret_place)
{
    char *name = NULL;
    SL_TRY(reserve_text(sink, SL_TEMPLATE_NAME_MAX, &name));
    size_t size = sl_template_expand(sink->stream, event, name);
    for (size_t place = 0; place < call->stream_count; place++) {
        const struct piece *stream = &call->streams[place];
        if (stream->size_bytes == size && memcmp(sink->text + stream->at, name, size) == 0) {
            *ret_place = place;
            return 0;
        }
    }
    *ret_place = call->stream_count;
    if (call->stream_count < CALL_STREAMS) {
        call->streams[call->stream_count++] = (struct piece){sink->text_bytes, size};
        sink->text_bytes += size;
    }
    return 0;
}

/* A call that the next event may be part of. */
static int call_for(sl_redis_sink *sink, const sl_market_event *event, sl_stamp stamp, size_t *ret_place)
{
    SL_TRY(grow(&sink->calls, &sink->call_capacity, sink->call_count + 1, sizeof(struct call)));
    for (bool fresh = sink->call_count == 0;; fresh = true) {
        struct call *call = &sink->calls[sink->call_count - (fresh ? 0 : 1)];
        if (!fresh && call->events == CALL_EVENTS) {
            continue;
        }
        if (fresh) {
            *call = (struct call){.first = sink->piece_count, .run = stamp.run};
            sink->call_count++;
        }
        SL_TRY(find_stream(sink, call, event, ret_place));
        if (*ret_place < CALL_STREAMS) {
            call->events++;
            return 0;
        }
    }
}

static int add_event(sl_redis_sink *sink, const sl_market_event *event, sl_stamp stamp)
{
    size_t place = 0;
    char *text = NULL;
    SL_TRY(call_for(sink, event, stamp, &place));
    SL_TRY(add_number(sink, stamp.number));
    SL_TRY(add_number(sink, place + 2)); /* Lua counts from 1, and the first key is not a stream */
    SL_TRY(reserve_text(sink, sl_event_json_bound(event), &text));
    return add_piece(sink, sl_event_json_write(event, &stamp, text));
}

static struct sl_bytes bytes_of(const sl_redis_sink *sink, struct piece piece)
{
    return (struct sl_bytes){sink->text + piece.at, piece.size_bytes};
}

/* EVALSHA sha n keys... arguments...; how many pieces. */
static size_t fill_call(const sl_redis_sink *sink, const struct call *call, char seen[128], char keys[24],
                        struct sl_bytes *pieces)
{
    size_t literal = strcspn(sink->stream, "<");
    size_t count = 0;
    (void)snprintf(keys, 24, "%zu", call->stream_count + 1);
    (void)snprintf(seen, 128, "%.*ssluice:%s:%" PRIx64, (int)(literal < 40 ? literal : 40), sink->stream, sink->name,
                   call->run);
    pieces[count++] = sl_redis_text("EVALSHA");
    pieces[count++] = sl_redis_text(sink->sha);
    pieces[count++] = sl_redis_text(keys);
    pieces[count++] = sl_redis_text(seen);
    for (size_t at = 0; at < call->stream_count; at++) {
        pieces[count++] = bytes_of(sink, call->streams[at]);
    }
    pieces[count++] = sl_redis_text(sink->max_events);
    pieces[count++] = sl_redis_text(sink->seen_seconds);
    for (size_t at = 0; at < 3 * call->events; at++) {
        pieces[count++] = bytes_of(sink, sink->pieces[call->first + at]);
    }
    return count;
}

/* ---- the driver ---- */

static int redis_open(sl_sink *base, sl_scope *scope)
{
    sl_redis_sink *sink = (sl_redis_sink *)base;
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(sl_redis_open(scope, sink->options.client, &sink->redis));
    SL_TRY(sl_redis_do(sink->redis, &reply, "SCRIPT", "LOAD", script));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    (void)snprintf(sink->sha, sizeof(sink->sha), "%s", value.text == NULL ? "" : value.text);
    return 0;
}

static int take_reply(const sl_redis_reply *reply, const struct call *call, sl_sink_result *result)
{
    struct sl_redis_value value = sl_redis_reply_value(reply);
    int64_t added = 0;
    if (value.type == SL_REDIS_ERROR) {
        return sl_fail(SL_EREPLY, "Redis: %s", value.text);
    }
    SL_TRY(sl_redis_value_int(&value, &added));
    if (added < 0 || (uint64_t)added > call->events) {
        return sl_fail(SL_EPROTO, "Redis says that it added %" PRId64 " of %zu events", added, call->events);
    }
    result->written += (uint64_t)added;
    result->repeated += call->events - (uint64_t)added;
    return 0;
}

/* Sends all calls in one go and takes their replies. */
static int send_calls(sl_redis_sink *sink, sl_sink_result *result)
{
    int code = SL_ENOMEM;
    size_t count = sink->call_count;
    struct sl_redis_request *requests = sl_calloc(count, sizeof(*requests));
    sl_redis_reply **replies = sl_calloc(count, sizeof(*replies));
    struct sl_bytes *pieces = sl_calloc(count * (6 + CALL_STREAMS) + sink->piece_count, sizeof(*pieces));
    struct {
        char seen[128], keys[24];
    } *texts = sl_calloc(count, sizeof(*texts));
    if (requests != NULL && replies != NULL && pieces != NULL && texts != NULL) {
        struct sl_bytes *at = pieces;
        for (size_t index = 0; index < count; index++) {
            requests[index].arguments = at;
            requests[index].count = fill_call(sink, &sink->calls[index], texts[index].seen, texts[index].keys, at);
            requests[index].keep_errors = true;
            requests[index].timeout = SL_NEVER; /* the outlet's bounds the whole batch */
            at += requests[index].count;
        }
        code = sl_redis_send_all(sink->redis, requests, count, replies);
        for (size_t index = 0; index < count && code == 0; index++) {
            code = take_reply(replies[index], &sink->calls[index], result);
        }
    }
    for (size_t index = 0; replies != NULL && index < count; index++) {
        sl_redis_reply_free(replies[index]);
    }
    sl_free(texts);
    sl_free(pieces);
    sl_free(replies);
    sl_free(requests);
    return code;
}

static int redis_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_redis_sink *sink = (sl_redis_sink *)base;
    sl_market_event event;
    sl_stamp stamp;
    struct sl_redis_stats stats;
    sl_redis_stats_get(sink->redis, &stats);
    if (!stats.connected) { /* why there is no server is known sooner than the batch's time is over */
        SL_TRY(sl_redis_do(sink->redis, NULL, "PING"));
    }
    sink->text_bytes = 0;
    sink->piece_count = 0;
    sink->call_count = 0;
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            SL_TRY(code);
            break;
        }
        SL_TRY(add_event(sink, &event, stamp));
    }
    return sink->call_count == 0 ? 0 : send_calls(sink, result);
}

static void redis_close(sl_sink *base)
{
    ((sl_redis_sink *)base)->redis = NULL;
}

static void redis_free(sl_sink *base)
{
    sl_redis_sink *sink = (sl_redis_sink *)base;
    sl_free(sink->text);
    sl_free(sink->pieces);
    sl_free(sink->calls);
    sl_free(sink);
}

int sl_redis_sink_new(const sl_redis_sink_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"redis", false, redis_open, redis_write, redis_close, redis_free};
    const char *stream = options->stream == NULL ? SL_REDIS_STREAM_DEFAULT : options->stream;
    SL_TRY(sl_template_check(stream));
    if (options->client == NULL || options->name == NULL || options->name[0] == '\0' || strlen(options->name) >= 64) {
        return sl_fail(SL_EINVAL, "sink redis: a client's options and a name of less than 64 bytes are needed");
    }
    sl_redis_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    sink->options = *options;
    memcpy(sink->name, options->name, strlen(options->name) + 1);
    memcpy(sink->stream, stream, strlen(stream) + 1);
    uint64_t most = options->max_events == 0 ? SL_REDIS_STREAM_EVENTS_DEFAULT : options->max_events;
    if (most != UINT64_MAX) {
        (void)snprintf(sink->max_events, sizeof(sink->max_events), "%" PRIu64, most);
    }
    (void)snprintf(sink->seen_seconds, sizeof(sink->seen_seconds), "%" PRIu32,
                   options->seen_seconds == 0 ? SL_REDIS_SEEN_SECONDS_DEFAULT : options->seen_seconds);
    *ret_sink = &sink->sink;
    return 0;
}
