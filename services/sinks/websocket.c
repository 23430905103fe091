/* SPDX-License-Identifier: MIT */
/* The WebSocket server as a sink: see websocket.h. A client is a task that receives and one that sends from its queue. */
#include "sinks/websocket.h"

#include <stdio.h>
#include <string.h>

#include "market/event_json.h"
#include "sinks/ring.h"
#include "sinks/slots.h"
#include "sluice/json.h"
#include "sluice/json_write.h"
#include "sluice/net.h"
#include "sluice/sync.h"
#include "sluice/ws.h"

#define CONTROL_MAX 65536
#define MESSAGE_BYTES ((size_t)32 * 1024) /* events are gathered up to this */
#define KNOWN 0x8000u                     /* in a client's mask of an instrument: it was computed */

typedef struct sl_websocket_sink sl_websocket_sink;

struct pattern {
    char text[SL_WEBSOCKET_PATTERN_MAX];
    char venue[SL_WEBSOCKET_PATTERN_MAX], instrument[SL_WEBSOCKET_PATTERN_MAX], kind[SL_WEBSOCKET_PATTERN_MAX];
};

struct client {
    sl_websocket_sink *sink;
    sl_ws *ws;
    sl_scope *scope; /* around its two tasks */
    struct sl__ring ring;
    sl_event work;
    struct pattern *patterns;
    size_t pattern_count;
    uint16_t *masks; /* by instrument's index: kinds that are wanted */
    size_t mask_count;
    char *text;
    size_t text_capacity;
    struct client *next, *previous;
};

struct sl_websocket_sink {
    sl_sink sink;
    sl_websocket_options options;
    char address[128], path[SL_WEBSOCKET_PATH_MAX];
    sl_listener *listener; /* while it is open */
    int port;
    sl_record_reader *reader; /* the clients' */
    struct client *clients;
    sl_websocket_stats stats;
};

/* ---- what a client wants ---- */

/* The kinds of an instrument's events that the client wants, as bits. */
static uint16_t compute_mask(const struct client *client, const sl_instrument *instrument)
{
    unsigned mask = KNOWN;
    for (size_t at = 0; at < client->pattern_count; at++) {
        const struct pattern *pattern = &client->patterns[at];
        if (!sl_pattern_matches(pattern->venue, sl_venue_name(instrument->venue)) ||
            !sl_instrument_matches(instrument, pattern->instrument)) {
            continue;
        }
        for (unsigned kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
            mask |= sl_pattern_matches(pattern->kind, sl_event_kind_name((sl_event_kind)kind)) ? 1u << kind : 0;
        }
    }
    return (uint16_t)mask;
}

/* Whether the client wants it; without memory for the answer, it is found anew each time. */
static bool wants(struct client *client, const sl_market_event *event)
{
    size_t index = event->instrument->index;
    if (client->pattern_count == 0) {
        return false;
    }
    if (index >= client->mask_count) {
        size_t count = (index + 64) * 2;
        uint16_t *masks = sl_realloc(client->masks, count * sizeof(*masks));
        if (masks == NULL) {
            return (compute_mask(client, event->instrument) >> event->kind & 1u) != 0;
        }
        memset(masks + client->mask_count, 0, (count - client->mask_count) * sizeof(*masks));
        client->masks = masks;
        client->mask_count = count;
    }
    if (client->masks[index] == 0) {
        client->masks[index] = compute_mask(client, event->instrument);
    }
    return (client->masks[index] >> event->kind & 1u) != 0;
}

static int parse_pattern(sl_json_text text, struct pattern *pattern)
{
    if (text.size_bytes >= SL_WEBSOCKET_PATTERN_MAX || memchr(text.data, '\0', text.size_bytes) != NULL) {
        return SL_EINVAL;
    }
    memcpy(pattern->text, text.data, text.size_bytes);
    pattern->text[text.size_bytes] = '\0';
    const char *first = strchr(pattern->text, ':');
    const char *last = strrchr(pattern->text, ':');
    if (first == NULL || first == last || first == pattern->text || last == first + 1 || last[1] == '\0') {
        return SL_EINVAL;
    }
    (void)snprintf(pattern->venue, sizeof(pattern->venue), "%.*s", (int)(first - pattern->text), pattern->text);
    (void)snprintf(pattern->instrument, sizeof(pattern->instrument), "%.*s", (int)(last - first - 1), first + 1);
    (void)snprintf(pattern->kind, sizeof(pattern->kind), "%s", last + 1);
    return 0;
}

static size_t find_pattern(const struct client *client, const char *text)
{
    size_t at = 0;
    while (at < client->pattern_count && strcmp(client->patterns[at].text, text) != 0) {
        at++;
    }
    return at;
}

static int change(struct client *client, sl_json_text text, bool add, const char **ret_problem)
{
    struct pattern pattern;
    if (parse_pattern(text, &pattern) < 0) {
        *ret_problem = "a pattern is venue:instrument:kind";
        return SL_EINVAL;
    }
    size_t at = find_pattern(client, pattern.text);
    if (!add && at < client->pattern_count) {
        client->patterns[at] = client->patterns[--client->pattern_count];
    } else if (add && at == client->pattern_count) {
        if (at == SL_WEBSOCKET_PATTERNS_MAX) {
            *ret_problem = "too many patterns";
            return SL_EMSGSIZE;
        }
        client->patterns[client->pattern_count++] = pattern;
    }
    if (client->masks != NULL) {
        memset(client->masks, 0, client->mask_count * sizeof(*client->masks));
    }
    return 0;
}

static int take_control(struct client *client, sl_json *json, const struct sl_ws_message *message,
                        const char **ret_problem)
{
    sl_json_text key;
    sl_json_text text;
    int code = 0;
    *ret_problem = "expected {\"subscribe\":[...]} or {\"unsubscribe\":[...]}";
    SL_TRY(sl_json_open(json, message->data, message->size_bytes, 0));
    SL_TRY(sl_json_enter_object(json));
    while ((code = sl_json_next_field(json, &key)) > 0) {
        bool add = sl_json_is(key, "subscribe");
        if (!add && !sl_json_is(key, "unsubscribe")) {
            return SL_EPROTO;
        }
        SL_TRY(sl_json_enter_array(json));
        while ((code = sl_json_next_string(json, &text)) > 0) {
            SL_TRY(change(client, text, add, ret_problem));
        }
        SL_TRY(code);
    }
    SL_TRY(code);
    return sl_json_finish(json);
}

static int answer(struct client *client, const char *problem)
{
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init(&out, 0);
    sl_json_begin_object(&out);
    sl_json_put_key(&out, problem != NULL ? "error" : "subscribed");
    if (problem != NULL) {
        sl_json_put_text(&out, problem);
    } else {
        sl_json_begin_array(&out);
        for (size_t at = 0; at < client->pattern_count; at++) {
            sl_json_put_text(&out, client->patterns[at].text);
        }
        sl_json_end_array(&out);
    }
    sl_json_end_object(&out);
    int code = sl_json_writer_finish(&out, &text);
    code = code == 0 ? sl_ws_send(client->ws, SL_WS_TEXT, text.data, text.size_bytes) : code;
    sl_json_writer_free(&out);
    return code;
}

/* ---- a client's tasks ---- */

/* Writes the queue's next events as lines, up to a message's size; how long they are. */
static int gather(struct client *client, size_t *ret_size)
{
    const void *record = NULL;
    size_t size = 0;
    size_t length = 0;
    while (length < MESSAGE_BYTES && (record = sl__ring_peek(&client->ring, &size)) != NULL) {
        sl_market_event event;
        sl_stamp stamp;
        int code = sl_record_decode(client->sink->reader, record, size, &event, &stamp);
        if (code < 0) {
            return code;
        }
        size_t needed = length + sl_event_json_bound(&event) + 1;
        if (needed > client->text_capacity) {
            char *text = sl_realloc(client->text, needed * 2);
            if (text == NULL) {
                return SL_ENOMEM;
            }
            client->text = text;
            client->text_capacity = needed * 2;
        }
        if (length > 0) {
            client->text[length++] = '\n';
        }
        length += sl_event_json_write(&event, &stamp, client->text + length);
        sl__ring_drop(&client->ring);
        client->sink->stats.sent++;
    }
    *ret_size = length;
    return 0;
}

static int send_events(void *arg)
{
    struct client *client = arg;
    for (;;) {
        size_t size = 0;
        SL_TRY(gather(client, &size));
        if (size > 0) {
            SL_TRY(sl_ws_send(client->ws, SL_WS_TEXT, client->text, size));
        } else {
            sl_event_reset(&client->work);
            SL_TRY(sl_event_wait(&client->work));
        }
    }
}

static int receive_controls(struct client *client)
{
    struct sl_ws_message message;
    sl_auto(sl_json) *json = NULL;
    int code = sl_json_new(CONTROL_MAX, &json);
    while (code == 0 && (code = sl_ws_receive(client->ws, &message)) == 0) {
        const char *problem = NULL;
        int taken = take_control(client, json, &message, &problem);
        if (taken == SL_ENOMEM) {
            return taken;
        }
        code = answer(client, taken < 0 ? problem : NULL);
    }
    return code == SL_EOF ? 0 : code;
}

static void link_client(sl_websocket_sink *sink, struct client *client)
{
    client->next = sink->clients;
    if (sink->clients != NULL) {
        sink->clients->previous = client;
    }
    sink->clients = client;
    sink->stats.clients++;
    sink->stats.accepted++;
}

static void unlink_client(struct client *client)
{
    struct client **place = client->previous != NULL ? &client->previous->next : &client->sink->clients;
    *place = client->next;
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    client->sink->stats.clients--;
}

/* From its first word to its last. What goes wrong with one client harms no other: nothing of it is passed on. */
static void serve_client(struct client *client)
{
    sl_scope scope = SL_SCOPE_INIT;
    if (sl_scope_open(&scope, &(struct sl_scope_options){.name = "client"}) < 0) {
        return;
    }
    client->scope = &scope;
    link_client(client->sink, client);
    int code = sl_spawn(&scope, send_events, client, .name = "send", .daemon = true);
    code = code == 0 ? receive_controls(client) : code;
    unlink_client(client);
    if (code == 0) {
        sl_scope_cancel(&scope, "the client has left");
    }
    (void)(sl_scope_close(&scope, code) < 0);
}

static int make_client(sl_websocket_sink *sink, struct client **ret_client)
{
    struct client *client = sl_calloc(1, sizeof(*client));
    if (client == NULL) {
        return SL_ENOMEM;
    }
    client->sink = sink;
    sl_event_init(&client->work);
    client->patterns = sl_calloc(SL_WEBSOCKET_PATTERNS_MAX, sizeof(struct pattern));
    if (client->patterns == NULL || sl__ring_init(&client->ring, sink->options.queue_bytes,
                                                  sink->options.queue_bytes / 64, !sink->options.cut_slow) < 0) {
        sl_free(client->patterns);
        sl_free(client);
        return SL_ENOMEM;
    }
    *ret_client = client;
    return 0;
}

static int handle(void *arg, sl_http_exchange *exchange)
{
    sl_websocket_sink *sink = arg;
    struct client *client = NULL;
    struct sl_ws_options options = {.message_bytes_max = CONTROL_MAX, .deflate = {.on = sink->options.deflate}};
    if (sink->options.token != NULL && !sl_http_bearer_fits(exchange->request, sink->options.token)) {
        sink->stats.unauthorized++;
        return sl_http_respond(exchange, 401, "text/plain", "this needs the token\n", 21);
    }
    if (sink->stats.clients >= sink->options.clients_max) {
        sink->stats.refused++;
        return sl_http_respond(exchange, 503, "text/plain", "too many clients\n", 17);
    }
    SL_TRY(make_client(sink, &client));
    int code = sl_ws_accept_with(exchange, &options, &client->ws);
    if (code == 0) {
        serve_client(client);
    }
    sl_ws_free(client->ws);
    sl__ring_free(&client->ring);
    sl_free(client->patterns);
    sl_free(client->masks);
    sl_free(client->text);
    sl_free(client);
    return code;
}

/* ---- the driver ---- */

static int serve(void *arg)
{
    sl_websocket_sink *sink = arg;
    struct sl_http_route route = {.method = "GET", .pattern = sink->path, .handler = handle, .arg = sink};
    struct sl_http_server_options options = {.routes = &route,
                                             .route_count = 1,
                                             .tls = sink->options.tls,
                                             .connections_max = sink->options.clients_max + 16,
                                             .stop_grace = SL_SECONDS(1)};
    return sl_http_serve_with(sink->listener, &options);
}

static int websocket_open(sl_sink *base, sl_scope *scope)
{
    sl_websocket_sink *sink = (sl_websocket_sink *)base;
    SL_TRY(sl_listener_open(sink->address, sink->port != 0 ? sink->port : sink->options.port, &sink->listener));
    sink->port = sl_listener_port(sink->listener); /* it stays, whatever becomes of this session */
    return sl_spawn(scope, serve, sink, .name = "websocket", .daemon = true);
}

static void give(struct client *client, const uint8_t *record, size_t size)
{
    if (sl__ring_add(&client->ring, record, size) == NULL) {
        size_t conflated = client->ring.states == NULL ? 0 : sl__ring_conflate(&client->ring);
        client->sink->stats.conflated += conflated;
        if (conflated == 0 || sl__ring_add(&client->ring, record, size) == NULL) {
            client->sink->stats.cut++;
            sl_scope_cancel(client->scope, "too slow");
            return;
        }
    }
    sl_event_set(&client->work);
}

static int websocket_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_websocket_sink *sink = (sl_websocket_sink *)base;
    const uint8_t *record = NULL;
    size_t size = 0;
    while ((record = sl__slots_next(batch->slots, &batch->at, &size)) != NULL) {
        sl_market_event event;
        sl_stamp stamp;
        int code = sl_record_decode(batch->reader, record, size, &event, &stamp);
        if (code == SL_ENOMEM) {
            return code;
        }
        if (code < 0) {
            batch->unreadable++;
            continue;
        }
        for (struct client *client = sink->clients; client != NULL; client = client->next) {
            if (!sl_scope_cancel_called(client->scope) && wants(client, &event)) {
                give(client, record, size);
            }
        }
        result->written++;
    }
    return 0;
}

static void websocket_close(sl_sink *base)
{
    sl_websocket_sink *sink = (sl_websocket_sink *)base;
    sl_listener_close(sink->listener);
    sink->listener = NULL;
}

static void websocket_free(sl_sink *base)
{
    sl_record_reader_free(((sl_websocket_sink *)base)->reader);
    sl_free(base);
}

int sl_websocket_sink_port(const sl_sink *sink)
{
    const sl_websocket_sink *own = (const sl_websocket_sink *)sink;
    return own->listener == NULL ? 0 : own->port;
}

const sl_websocket_stats *sl_websocket_sink_stats(const sl_sink *sink)
{
    return &((const sl_websocket_sink *)sink)->stats;
}

int sl_websocket_sink_new(const sl_websocket_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"websocket",     false,           websocket_open,
                                          websocket_write, websocket_close, websocket_free};
    const char *address = options->address == NULL ? "127.0.0.1" : options->address;
    const char *path = options->path == NULL ? "/stream" : options->path;
    if (strlen(address) >= 128 || path[0] != '/' || strlen(path) >= SL_WEBSOCKET_PATH_MAX || options->port < 0 ||
        options->port > 65535 || (options->queue_bytes != 0 && options->queue_bytes < 4096)) {
        return sl_fail(SL_EINVAL, "sink websocket: the address, port, path or queue is out of range");
    }
    sl_websocket_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    sink->options = *options;
    sink->options.clients_max = options->clients_max == 0 ? SL_WEBSOCKET_CLIENTS : options->clients_max;
    sink->options.queue_bytes = options->queue_bytes == 0 ? SL_WEBSOCKET_QUEUE_BYTES : options->queue_bytes;
    memcpy(sink->address, address, strlen(address) + 1);
    memcpy(sink->path, path, strlen(path) + 1);
    int code = sl_record_reader_new(&sink->reader);
    if (code < 0) {
        websocket_free(&sink->sink);
        return code;
    }
    *ret_sink = &sink->sink;
    return 0;
}
