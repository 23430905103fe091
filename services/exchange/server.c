/* SPDX-License-Identifier: MIT */
/* The simulated exchange: a player, a cutter, and a task a connection. */
#include "exchange/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/channel.h"
#include "sluice/scope.h"
#include "sluice/sync.h"
#include "sluice/ws.h"

#define CLIENTS_MAX 64
#define CLIENT_QUEUE 1024
#define STREAM_BYTES 64
#define SUBSCRIBED_BYTES 2048
#define CLOSE_TIMEOUT SL_SECONDS(5)

/* Before the end is told: a client that came late may have its subscription on the way. */
#define SUBSCRIBE_PATIENCE SL_SECONDS(1)

/* At full speed and with nobody connected: this many messages, then a pause, so that a gap is a gap and not the end. */
#define UNHEARD_MESSAGES 25
#define UNHEARD_PAUSE SL_MILLISECONDS(1)
#define PACE_STEP SL_MILLISECONDS(1)

/* Others run after so many messages, though nobody is waited for. */
#define MESSAGES_AT_ONCE 25

/* A request for the book waits so long for a session that has begun but has not come to its snapshot. */
#define BOOK_PATIENCE SL_SECONDS(2)
#define BOOK_STEP SL_MILLISECONDS(10)

/* A message on its way to all clients. */
struct frame {
    size_t references;
    size_t size_bytes;
    char text[];
};

/* The streams whose last message is told at the end to who has not heard it: without it a hole before it would stay open. */
enum { TRADES, DIFFS, TOLD_AT_THE_END };

struct last {
    struct frame *frame;
    char stream[STREAM_BYTES];
};

struct client {
    sl_exchange *exchange;
    char streams[SUBSCRIBED_BYTES]; /* "a/b/c" */
    sl_event subscribed;            /* to any stream */
    bool heard[TOLD_AT_THE_END];
    sl_ws *ws;
    sl_sender *sender;
    sl_receiver *receiver;
    sl_scope *scope; /* cancelled to cut the connection */
    bool cut;
};

struct sl_exchange {
    struct sl_exchange_options options;
    sl_session *session;
    sl_session_message first; /* read ahead: it tells the instrument */
    int first_code;           /* 1 when there is one */
    sl_listener *listener;
    struct client *clients[CLIENTS_MAX];
    size_t client_count;
    size_t next; /* whom the player turns to next; moves when one before it goes */
    struct last last[TOLD_AT_THE_END];
    sl_event somebody; /* was connected once */
    struct sl_exchange_stats stats;
};

static void frame_unref(struct frame *frame)
{
    if (frame != NULL && --frame->references == 0) {
        sl_free(frame);
    }
}

static void drop_frame(void *item)
{
    frame_unref(*(struct frame **)item);
}

/* ---- the player ---- */

/* Whether the request's streams=a/b/c names the stream. */
static bool subscribed(const struct client *client, const char *stream, size_t stream_bytes)
{
    const char *at = client->streams;
    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, "/");
        if (length == stream_bytes && memcmp(at, stream, length) == 0) {
            return true;
        }
        at += length;
        at = *at == '/' ? at + 1 : NULL;
    }
    return false;
}

/* To one client; it may be gone by now. A slow one makes the player wait. */
static int give(struct client *client, struct frame *frame)
{
    if (frame != NULL) {
        frame->references++;
    }
    int code = sl_channel_send(client->sender, &frame);
    if (code < 0) {
        frame_unref(frame);
    }
    return code == SL_ECANCELED ? code : 0;
}

/* The place of a message's stream among those that are told at the end; TOLD_AT_THE_END for none. */
static size_t place_of(sl_event_kind kind)
{
    return kind == SL_EVENT_TRADE ? TRADES : kind == SL_EVENT_BOOK_DELTA ? DIFFS : TOLD_AT_THE_END;
}

static int broadcast(sl_exchange *exchange, const sl_session_message *message)
{
    struct frame *frame = sl_malloc(sizeof *frame + message->text.size_bytes);
    if (frame == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a message");
    }
    frame->references = 1;
    frame->size_bytes = message->text.size_bytes;
    memcpy(frame->text, message->text.data, message->text.size_bytes);
    sl_json_text stream = message->stream; /* the next message is read only after this one is given */
    size_t place = place_of(message->kind);
    if (place < TOLD_AT_THE_END) {
        struct last *last = &exchange->last[place];
        frame_unref(last->frame);
        last->frame = frame;
        frame->references++;
        (void)snprintf(last->stream, sizeof last->stream, "%.*s", (int)stream.size_bytes, stream.data);
    }
    int code = 0;
    for (exchange->next = 0; exchange->next < exchange->client_count && code == 0;) {
        struct client *client = exchange->clients[exchange->next++];
        if (subscribed(client, stream.data, stream.size_bytes)) {
            if (place < TOLD_AT_THE_END) {
                client->heard[place] = true;
            }
            code = give(client, frame);
        }
    }
    frame_unref(frame);
    return code;
}

static int end_session(sl_exchange *exchange)
{
    exchange->stats.over = true;
    int code = 0;
    for (exchange->next = 0; exchange->next < exchange->client_count && code == 0;) {
        code = give(exchange->clients[exchange->next++], NULL);
    }
    return code;
}

/* Keeps the session's time line at the chosen speed; nobody may be there to wait for. */
static int pace(const sl_exchange *exchange, uint64_t played, sl_time start, int64_t session_ns)
{
    if (exchange->options.speed > 0) {
        sl_time due = start + (sl_time)((double)session_ns / exchange->options.speed);
        if (due > sl_now() + PACE_STEP) {
            return sl_sleep_until(due);
        }
    } else if (exchange->client_count == 0 && played % UNHEARD_MESSAGES == 0) {
        return sl_sleep(UNHEARD_PAUSE);
    }
    return played % MESSAGES_AT_ONCE == 0 ? sl_checkpoint() : 0;
}

static int play(void *arg)
{
    sl_exchange *exchange = arg;
    SL_TRY(sl_event_wait(&exchange->somebody));
    sl_time start = sl_now();
    sl_session_message message = exchange->first;
    int64_t first_ns = message.receive_time_ns;
    int code = exchange->first_code;
    for (uint64_t played = 0; code > 0; played++) {
        SL_TRY(pace(exchange, played, start, message.receive_time_ns - first_ns));
        SL_TRY(broadcast(exchange, &message));
        code = sl_session_next(exchange->session, &message);
    }
    SL_TRY(code);
    return end_session(exchange);
}

static int cut(void *arg)
{
    sl_exchange *exchange = arg;
    for (;;) {
        SL_TRY(sl_sleep(exchange->options.cut_every));
        for (size_t i = 0; i < exchange->client_count && !exchange->stats.over; i++) {
            exchange->clients[i]->cut = true;
            exchange->stats.cuts++;
            sl_scope_cancel(exchange->clients[i]->scope, "cut");
        }
    }
}

/* ---- connections ---- */

/* Adds a stream to those of the client. */
static int add_stream(struct client *client, sl_json_text stream)
{
    size_t length = strlen(client->streams);
    if (stream.size_bytes == 0 || length + stream.size_bytes + 2 > sizeof client->streams) {
        return SL_EMSGSIZE;
    }
    (void)snprintf(client->streams + length, sizeof client->streams - length, "%s%.*s", length == 0 ? "" : "/",
                   (int)stream.size_bytes, stream.data);
    return 0;
}

/* {"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}: the id, which is answered. */
static int read_subscribe(struct client *client, const struct sl_ws_message *message, sl_json *json, int64_t *ret_id)
{
    sl_json_text key;
    sl_json_text text;
    SL_TRY(sl_json_open(json, message->data, message->size_bytes, SL_JSON_PADDED));
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        if (sl_json_is(key, "params")) {
            code = sl_json_enter_array(json);
            while (code >= 0 && (code = sl_json_next_string(json, &text)) > 0) {
                SL_TRY(add_stream(client, text));
            }
        } else if (sl_json_is(key, "id")) {
            code = sl_json_get_int64(json, ret_id);
        }
    }
    return code;
}

static int answer_client(struct client *client, const char *text)
{
    struct frame *frame = sl_malloc(sizeof *frame + strlen(text));
    if (frame == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an answer");
    }
    frame->references = 1;
    frame->size_bytes = strlen(text);
    memcpy(frame->text, text, frame->size_bytes);
    int code = give(client, frame);
    frame_unref(frame);
    return code;
}

/* Reads what the client says: what it wants, its pongs and its close. */
static int listen_to(void *arg)
{
    struct client *client = arg;
    struct sl_ws_message message;
    sl_auto(sl_json) *json = NULL;
    int code = sl_json_new(SUBSCRIBED_BYTES, &json);
    while (code == 0 && (code = sl_ws_receive(client->ws, &message)) == 0) {
        char text[128] = "{\"error\":{\"code\":2,\"msg\":\"Invalid request\"}}";
        int64_t id = 0;
        if (read_subscribe(client, &message, json, &id) == 0) {
            (void)snprintf(text, sizeof text, "{\"result\":null,\"id\":%lld}", (long long)id);
            sl_event_set(&client->exchange->somebody);
            sl_event_set(&client->subscribed);
        }
        code = answer_client(client, text);
    }
    sl_scope_cancel(client->scope, "the client has closed");
    return code == SL_ECANCELED ? code : 0;
}

static int wait_for_subscription(struct client *client)
{
    SL_SCOPE(scope, .name = "subscription", .timeout = SUBSCRIBE_PATIENCE, .move_on = true);
    return sl_scope_close(&scope, sl_event_wait(&client->subscribed));
}

/* What is queued when the session is over: the answer to a late subscription. */
static int send_queued(struct client *client)
{
    struct frame *frame = NULL;
    while (sl_channel_try_receive(client->receiver, &frame) == 0) {
        if (frame != NULL) {
            int code = sl_ws_send(client->ws, SL_WS_TEXT, frame->text, frame->size_bytes);
            frame_unref(frame);
            SL_TRY(code);
        }
    }
    return 0;
}

static int say_goodbye(struct client *client)
{
    SL_TRY(wait_for_subscription(client));
    SL_TRY(send_queued(client));
    for (size_t i = 0; i < TOLD_AT_THE_END; i++) {
        const struct last *last = &client->exchange->last[i];
        if (!client->heard[i] && last->frame != NULL && subscribed(client, last->stream, strlen(last->stream))) {
            SL_TRY(sl_ws_send(client->ws, SL_WS_TEXT, last->frame->text, last->frame->size_bytes));
        }
    }
    SL_TRY(sl_ws_send_close(client->ws, 1000, "end of session"));
    return sl_sleep(CLOSE_TIMEOUT); /* the client's answer ends it */
}

static int feed(struct client *client)
{
    bool late = client->exchange->stats.over;
    struct frame *frame = NULL;
    while (!late) {
        SL_TRY(sl_channel_receive(client->receiver, &frame));
        if (frame == NULL) {
            break;
        }
        int code = sl_ws_send(client->ws, SL_WS_TEXT, frame->text, frame->size_bytes);
        frame_unref(frame);
        SL_TRY(code);
    }
    return say_goodbye(client);
}

static void forget(struct client *client)
{
    sl_exchange *exchange = client->exchange;
    size_t place = 0;
    while (exchange->clients[place] != client) {
        place++;
    }
    exchange->client_count--;
    for (size_t i = place; i < exchange->client_count; i++) {
        exchange->clients[i] = exchange->clients[i + 1];
    }
    exchange->next -= place < exchange->next;
    sl_receiver_close(client->receiver); /* a player that waits for it goes on */
    sl_sender_close(client->sender);
}

static int serve_client(struct client *client)
{
    sl_exchange *exchange = client->exchange;
    if (exchange->client_count == CLIENTS_MAX) {
        return SL_EBUSY; /* others came while the handshake was answered */
    }
    SL_SCOPE(scope, .name = "client");
    client->scope = &scope;
    exchange->clients[exchange->client_count++] = client;
    exchange->stats.connections++;
    int code = sl_spawn(&scope, listen_to, client, .daemon = true);
    code = code == 0 ? feed(client) : code;
    forget(client);
    return sl_scope_close(&scope, code);
}

static int open_queue(struct client *client)
{
    static const struct sl_channel_options options = {
        .capacity = CLIENT_QUEUE, .item_bytes = sizeof(struct frame *), .drop = drop_frame, .name = "client"};
    return sl_channel_open(&options, &client->sender, &client->receiver);
}

/* The value of a parameter in the target's query; empty when it is not there. */
static sl_json_text parameter(const char *target, const char *name)
{
    size_t length = strlen(name);
    const char *at = strchr(target, '?');
    while (at != NULL) {
        at++;
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            at += length + 1;
            return (sl_json_text){at, strcspn(at, "&")};
        }
        at = strchr(at, '&');
    }
    return (sl_json_text){"", 0};
}

static int accept_client(sl_exchange *exchange, sl_http_exchange *request, const char *target)
{
    if (exchange->client_count == CLIENTS_MAX) {
        return sl_http_respond(request, 503, "text/plain", "too many clients\n", 17);
    }
    struct client client = {.exchange = exchange};
    sl_json_text streams = parameter(target, "streams");
    if (streams.size_bytes > 0) {
        SL_TRY(add_stream(&client, streams));
        sl_event_set(&client.subscribed);
    }
    SL_TRY(sl_ws_accept(request, &client.ws));
    if (streams.size_bytes > 0) {
        sl_event_set(&exchange->somebody);
    }
    int code = open_queue(&client);
    code = code == 0 ? serve_client(&client) : code;
    if (client.cut) {
        sl_ws_cut(client.ws);
    } else {
        sl_ws_free(client.ws);
    }
    (void)sl_sender_free(client.sender);
    (void)sl_receiver_free(client.receiver);
    return code;
}

/* ---- requests ---- */

static int refuse(sl_http_exchange *request, int status, const char *text)
{
    return sl_http_respond(request, status, "application/json", text, strlen(text));
}

/* Codes and texts: developers.binance.com, USD-M futures, "Error Codes". */
static int answer_depth(sl_exchange *exchange, sl_http_exchange *request, const char *target)
{
    sl_json_text symbol = parameter(target, "symbol");
    sl_json_text limit = parameter(target, "limit");
    if (symbol.size_bytes == 0) {
        return refuse(request, 400,
                      "{\"code\":-1102,\"msg\":\"Mandatory parameter 'symbol' was not sent, was empty/null, or"
                      " malformed.\"}");
    }
    if (!sl_json_is(symbol, sl_session_instrument(exchange->session))) {
        return refuse(request, 400, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}");
    }
    uint64_t levels = 0;
    if (limit.size_bytes > 0 && (sl_json_text_uint64(limit, &levels) < 0 || levels > SL_SESSION_LIMIT_MAX)) {
        return refuse(request, 400, "{\"code\":-4021,\"msg\":\"Invalid depth limit.\"}");
    }
    for (sl_time waited = 0; waited < BOOK_PATIENCE && sl_event_is_set(&exchange->somebody) && !exchange->stats.over &&
                             !sl_session_ready(exchange->session);
         waited += BOOK_STEP) {
        SL_TRY(sl_sleep(BOOK_STEP));
    }
    sl_json_text text = {NULL, 0};
    int code = sl_session_snapshot(exchange->session, levels, &text);
    if (code == SL_EAGAIN) {
        return refuse(request, 503, "{\"code\":-1000,\"msg\":\"the book is not known yet\"}");
    }
    SL_TRY(code);
    return sl_http_respond(request, 200, "application/json", text.data, text.size_bytes);
}

static int handle(void *arg, sl_http_exchange *request)
{
    sl_exchange *exchange = arg;
    const char *target = sl_http_target(request->request);
    if (strncmp(target, "/fapi/v1/depth?", 15) == 0) {
        return answer_depth(exchange, request, target);
    }
    if (strncmp(target, "/public/stream", 14) == 0) {
        return accept_client(exchange, request, target);
    }
    return 0;
}

/* ---- the whole ---- */

int sl_exchange_open(const struct sl_exchange_options *options, sl_exchange **ret_exchange)
{
    sl_exchange *exchange = sl_calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for an exchange");
    }
    exchange->options = *options;
    int code = sl_session_open(&options->session, &exchange->session);
    exchange->first_code = code = code == 0 ? sl_session_next(exchange->session, &exchange->first) : code;
    code = code >= 0 ? sl_listener_open("127.0.0.1", options->port, &exchange->listener) : code;
    if (code < 0) {
        sl_exchange_close(exchange);
        return code;
    }
    *ret_exchange = exchange;
    return 0;
}

void sl_exchange_close(sl_exchange *exchange)
{
    if (exchange != NULL) {
        for (size_t i = 0; i < TOLD_AT_THE_END; i++) {
            frame_unref(exchange->last[i].frame);
        }
        sl_listener_close(exchange->listener);
        sl_session_close(exchange->session);
        sl_free(exchange);
    }
}

int sl_exchange_port(const sl_exchange *exchange)
{
    return sl_listener_port(exchange->listener);
}

const sl_session *sl_exchange_session(const sl_exchange *exchange)
{
    return exchange->session;
}

struct sl_exchange_stats sl_exchange_get_stats(const sl_exchange *exchange)
{
    return exchange->stats;
}

static int serve(void *arg)
{
    return sl_http_serve(((sl_exchange *)arg)->listener, handle, arg);
}

int sl_exchange_run(void *arg)
{
    sl_exchange *exchange = arg;
    SL_SCOPE(scope, .name = "exchange");
    SL_TRY(sl_spawn(&scope, serve, exchange));
    SL_TRY(sl_spawn(&scope, play, exchange));
    if (exchange->options.cut_every > 0) {
        SL_TRY(sl_spawn(&scope, cut, exchange, .daemon = true));
    }
    return sl_scope_wait(&scope);
}
