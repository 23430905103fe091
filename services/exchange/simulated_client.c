/* SPDX-License-Identifier: MIT */
/* Streams of the simulated exchange: what clients subscribe to and are sent. */
#include <stdio.h>
#include <string.h>

#include "exchange/simulated_internal.h"
#include "sluice/runtime.h"

/* How a text goes out. */
enum mode { WHOLE, FRAGMENTS, FRAGMENTS_AND_PING, PING };

/* Before each text in an outbox. */
struct prefix {
    uint32_t size_bytes;
    uint32_t mode;
};

/* So many messages come before a copy of an old one. */
#define COPY_AFTER 8

/* A client that does not answer a ping within so long is cut. */
#define PONG_WITHIN SL_SECONDS(10)

/* ---- what a client is sent ---- */

static bool put(struct outbox *outbox, const char *text, size_t size_bytes, enum mode mode)
{
    struct prefix prefix = {(uint32_t)size_bytes, (uint32_t)mode};
    size_t needed = outbox->size_bytes + sizeof prefix + size_bytes;
    if (needed > outbox->capacity) {
        size_t capacity = outbox->capacity == 0 ? 4096 : outbox->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *data = sl_realloc(outbox->data, capacity);
        if (data == NULL) {
            return false;
        }
        outbox->data = data;
        outbox->capacity = capacity;
    }
    memcpy(outbox->data + outbox->size_bytes, &prefix, sizeof prefix);
    if (size_bytes > 0) {
        memcpy(outbox->data + outbox->size_bytes + sizeof prefix, text, size_bytes);
    }
    outbox->size_bytes = needed;
    return true;
}

void sl__client_end(struct sl_venue_client *client, bool cut, int close_code)
{
    if (!client->gone) {
        client->gone = true;
        client->cut = cut;
        client->close_code = close_code;
        sl_event_set(&client->filled);
        if (cut && client->scope != NULL) {
            sl_scope_cancel(client->scope, "cut");
        }
    }
}

/* Those whose end was ordered for just now; a message that goes to itself is the last that it gets, as CUT is. */
static void cut_in_time(const struct sl_venue_client *client)
{
    const struct sl_simulated_options *options = &client->venue->exchange->options;
    for (size_t at = 0; at < options->cut_count; at++) {
        const struct sl_simulated_cut *cut = &options->cuts[at];
        if (cut->client != client->number || cut->told != client->sent) {
            continue;
        }
        for (struct sl_venue_client *one = client->venue->clients; one != NULL; one = one->next) {
            if (one->number == cut->cut) {
                client->venue->exchange->stats.faults[SL_FAULT_CUT]++;
                sl__client_end(one, true, 0);
            }
        }
    }
}

static void send_as(struct sl_venue_client *client, const char *text, size_t size_bytes, enum mode mode)
{
    if (client->gone || client->mute) {
        return;
    }
    if (client->outbox.size_bytes > SL_SIMULATED_BACKLOG_BYTES || !put(&client->outbox, text, size_bytes, mode)) {
        client->venue->exchange->stats.kicked++;
        sl__client_end(client, true, 0);
        return;
    }
    client->sent++;
    cut_in_time(client);
    client->venue->exchange->stats.messages++;
    client->venue->exchange->stats.bytes += size_bytes;
    sl_event_set(&client->filled);
}

void sl__client_send(struct sl_venue_client *client, const char *text, size_t size_bytes)
{
    send_as(client, text, size_bytes, WHOLE);
}

/* An answer: it may be lost, or wait. */
void sl__client_say(struct sl_venue_client *client, const struct sl_render *text)
{
    const struct venue *venue = client->venue;
    if (text->failed != 0 || text->size_bytes == 0 || client->unanswered ||
        sl__fault_holds(venue, SL_FAULT_DEAF, NULL)) {
        return;
    }
    if (!sl__fault_holds(venue, SL_FAULT_ACKS_LATE, NULL)) {
        sl__client_send(client, text->data, text->size_bytes);
    } else if (!put(&client->late, text->data, text->size_bytes, WHOLE)) {
        sl__client_end(client, true, 0);
    }
}

void sl__release_answers(struct venue *venue)
{
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        for (size_t at = 0; at < client->late.size_bytes;) {
            struct prefix prefix;
            memcpy(&prefix, client->late.data + at, sizeof prefix);
            at += sizeof prefix;
            sl__client_send(client, client->late.data + at, prefix.size_bytes);
            at += prefix.size_bytes;
        }
        client->late.size_bytes = 0;
    }
}

void sl__unmute(struct venue *venue)
{
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        for (struct wish *wish = client->wishes; wish != NULL; wish = wish->next) {
            wish->mute = false;
        }
    }
}

/* ---- subscriptions ---- */

static void leave_board(struct venue *venue, const struct wish *wish)
{
    struct board *board = &venue->boards[wish->what.instrument->index];
    for (size_t at = 0; at < board->count; at++) {
        if (board->wishes[at] == wish) {
            board->wishes[at] = board->wishes[--board->count];
            return;
        }
    }
}

static int join_board(struct venue *venue, struct wish *wish)
{
    struct board *board = sl__board_of(venue, wish->what.instrument);
    if (board == NULL) {
        return SL_ENOMEM;
    }
    if (board->count == board->capacity) {
        size_t capacity = board->capacity == 0 ? 4 : board->capacity * 2;
        struct wish **wishes = sl_realloc(board->wishes, capacity * sizeof *wishes);
        if (wishes == NULL) {
            return SL_ENOMEM;
        }
        board->wishes = wishes;
        board->capacity = capacity;
    }
    board->wishes[board->count++] = wish;
    return 0;
}

static void free_wish(struct venue *venue, struct wish *wish)
{
    leave_board(venue, wish);
    *wish->link = wish->next;
    if (wish->next != NULL) {
        wish->next->link = wish->link;
    }
    wish->client->wish_count--;
    wish->client->names_bytes -= strlen(wish->what.name);
    venue->exchange->wishes--;
    venue->candle_wishes -= wish->what.feed == SL_FEED_CANDLES;
    sl__write_done(&wish->held);
    sl__write_done(&wish->copy);
    sl_free(wish);
}

static void send_snapshot(struct sl_venue_client *client, const struct sl_wish *what)
{
    const struct venue *venue = client->venue;
    struct sl_render text = {0};
    if (venue->exchange->options.captured != NULL &&
        sl_captured_look(venue->exchange->options.captured, what->instrument).book == NULL) {
        return; /* the session's own snapshot comes */
    }
    venue->dialect->snapshot(&venue->host, what, &text);
    if (text.failed == 0) {
        sl__client_send(client, text.data, text.size_bytes);
    }
    sl__write_done(&text);
}

static bool same_wish(const struct sl_wish *a, const struct sl_wish *b)
{
    return a->feed == b->feed && a->instrument == b->instrument && a->interval_ns == b->interval_ns;
}

const char *sl__client_path(const struct sl_venue_client *client)
{
    return client->path;
}

const struct sl_wish *sl__client_wished(const struct sl_venue_client *client, const struct sl_wish *after)
{
    const struct wish *wish = after == NULL ? client->wishes : ((const struct wish *)(const void *)after)->next;
    return wish == NULL ? NULL : &wish->what;
}

/* One of a client that is there; NULL. Few are of one instrument, many of one client. */
static struct wish *find_wish(const struct sl_venue_client *client, const struct sl_wish *what)
{
    const struct venue *venue = client->venue;
    uint32_t index = what->instrument->index;
    for (size_t at = 0; index < venue->board_count && at < venue->boards[index].count; at++) {
        struct wish *wish = venue->boards[index].wishes[at];
        if (wish->client == client && same_wish(&wish->what, what)) {
            return wish;
        }
    }
    return NULL;
}

/* The venue's limits of one connection. */
static bool is_one_stream_too_many(const struct sl_venue_client *client, const struct sl_wish *what)
{
    const sl_dialect *dialect = client->venue->dialect;
    return (dialect->streams > 0 && client->wish_count >= dialect->streams) ||
           (dialect->names_bytes > 0 && client->names_bytes + strlen(what->name) > dialect->names_bytes);
}

int sl__client_wish(struct sl_venue_client *client, const struct sl_wish *what, bool off)
{
    struct venue *venue = client->venue;
    struct wish *known = find_wish(client, what);
    if (known != NULL && off) {
        free_wish(venue, known);
    }
    if (known != NULL || off) {
        return known != NULL && off;
    }
    if (is_one_stream_too_many(client, what)) {
        venue->exchange->stats.limited++;
        sl__client_end(client, false, 1008);
        return SL_EBUSY;
    }
    struct wish *wish = sl_calloc(1, sizeof *wish);
    if (wish == NULL) {
        return SL_ENOMEM;
    }
    *wish = (struct wish){.what = *what, .client = client, .next = client->wishes, .link = &client->wishes};
    int code = join_board(venue, wish);
    if (code < 0) {
        sl_free(wish);
        return code;
    }
    if (wish->next != NULL) {
        wish->next->link = &wish->next;
    }
    client->wishes = wish;
    client->wish_count++;
    client->names_bytes += strlen(what->name);
    venue->exchange->wishes++;
    if (what->feed == SL_FEED_DEPTH && venue->dialect->snapshot_first) {
        send_snapshot(client, what);
    }
    if (what->feed == SL_FEED_CANDLES) {
        venue->candle_wishes++;
        sl__candle_subscribed(venue, wish);
    }
    sl_event_set(&venue->exchange->somebody);
    return 1;
}

/* ---- telling a step ---- */

static void keep_text(struct sl_render *kept, const struct sl_render *text)
{
    sl__write_begin(kept);
    sl__write_bytes(kept, text->data, text->size_bytes);
}

void sl__client_deliver(struct venue *venue, struct wish *wish, sl_event_kind kind, const struct sl_render *text)
{
    struct sl_venue_client *client = wish->client;
    const sl_instrument *one = wish->what.instrument;
    if (wish->mute) { /* nothing comes that could bring another fault */
        return;
    }
    if (sl__fault_take(venue, SL_FAULT_CUT, one)) {
        sl__client_end(client, true, 0);
        return;
    }
    if (sl__fault_take(venue, SL_FAULT_CLOSE, one)) {
        sl__client_end(client, false, 1008);
        return;
    }
    if (!client->mute && sl__fault_take(venue, SL_FAULT_HALF_OPEN, one)) {
        client->mute = true;
        return;
    }
    wish->mute = sl__fault_take(venue, SL_FAULT_MUTE, one);
    if (wish->mute) {
        return;
    }
    if (sl__fault_take(venue, kind == SL_EVENT_TRADE ? SL_FAULT_DROP_TRADE : SL_FAULT_DROP, one)) {
        return;
    }
    if (wish->held.size_bytes == 0 && sl__fault_take(venue, SL_FAULT_REORDER, one)) {
        keep_text(&wish->held, text);
        return;
    }
    const struct sl_render *message = sl__disturb(venue, client, one, text);
    enum mode mode = sl__fault_take(venue, SL_FAULT_PING_INSIDE, one) ? FRAGMENTS_AND_PING
                     : sl__fault_take(venue, SL_FAULT_FRAGMENT, one)  ? FRAGMENTS
                                                                      : WHOLE;
    send_as(client, message->data, message->size_bytes, mode);
    if (wish->held.size_bytes > 0) {
        sl__client_send(client, wish->held.data, wish->held.size_bytes);
        sl__write_begin(&wish->held);
    }
    if (wish->copy_in > 0 && --wish->copy_in == 0) {
        sl__client_send(client, wish->copy.data, wish->copy.size_bytes);
    } else if (wish->copy_in == 0 && sl__fault_take(venue, SL_FAULT_LATE_COPY, one)) {
        keep_text(&wish->copy, text);
        wish->copy_in = COPY_AFTER;
    }
    bool book = wish->what.feed == SL_FEED_DEPTH && venue->dialect->snapshot_first;
    if (book && sl__fault_take(venue, SL_FAULT_SNAPSHOT_AGAIN, one)) {
        send_snapshot(client, &wish->what);
    }
}

void sl__venue_publish(struct venue *venue, const sl_truth_change *change)
{
    const struct board *board = sl__board_of(venue, change->event.instrument);
    const sl_instrument *one = change->event.instrument;
    bool silent = sl__fault_holds(venue, SL_FAULT_SILENT, one) || sl__fault_holds(venue, SL_FAULT_HEARTBEATS_ONLY, one);
    for (size_t at = 0; board != NULL && at < board->count && !silent; at++) {
        struct wish *wish = board->wishes[at];
        if (wish->what.feed == SL_FEED_CANDLES) {
            if (change->event.kind == SL_EVENT_TRADE) {
                sl__candle_trade(venue, wish, &change->event);
            }
            continue;
        }
        sl__write_begin(&venue->text);
        venue->host.bad_link = wish->what.feed == SL_FEED_DEPTH && change->event.kind == SL_EVENT_BOOK_DELTA &&
                               sl__fault_take(venue, SL_FAULT_BAD_LINK, one);
        if (!wish->client->gone && !wish->client->mute &&
            venue->dialect->change(&venue->host, &wish->what, change, &venue->text) && venue->text.failed == 0) {
            sl__client_deliver(venue, wish, change->event.kind, &venue->text);
        }
        venue->host.bad_link = false;
    }
}

static bool starts_with(const char *text, size_t size_bytes, const char *start)
{
    return size_bytes >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

/* A captured message in the frame that the client asked for: Binance has one with the stream's name, and none. */
static void frame(const struct venue *venue, const struct sl_wish *wish, const struct sl_captured_message *message,
                  struct sl_render *out)
{
    static const char data[] = "\"data\":";
    bool framed = starts_with(message->text, message->size_bytes, "{\"stream\":");
    const char *inner = framed ? memmem(message->text, message->size_bytes, data, sizeof data - 1) : NULL;
    sl__write_begin(out);
    if (!venue->dialect->frames || framed == (wish->name[0] != '\0') || (framed && inner == NULL)) {
        sl__write_bytes(out, message->text, message->size_bytes);
    } else if (framed) {
        inner += sizeof data - 1;
        sl__write_bytes(out, inner, message->size_bytes - (size_t)(inner - message->text) - 1);
    } else {
        sl__write_format(out, "{\"stream\":\"%s\",\"data\":", wish->name);
        sl__write_bytes(out, message->text, message->size_bytes);
        sl__write_text(out, "}");
    }
}

static void forward_one(struct venue *venue, const struct sl_captured_about *about,
                        const struct sl_captured_message *message)
{
    const struct board *board = sl__board_of(venue, about->instrument);
    uint64_t number = venue->exchange->stats.steps + 1;
    bool silent = sl__fault_holds(venue, SL_FAULT_SILENT, about->instrument) ||
                  sl__fault_holds(venue, SL_FAULT_HEARTBEATS_ONLY, about->instrument);
    for (size_t at = 0; board != NULL && at < board->count && !silent; at++) {
        struct wish *wish = board->wishes[at];
        struct sl_venue_client *client = wish->client;
        if (wish->what.feed == about->feed && !client->gone && !client->mute && client->told != number) {
            client->told = number;
            frame(venue, &wish->what, message, &venue->text);
            if (venue->text.failed == 0) {
                sl__client_deliver(venue, wish, about->kind, &venue->text);
            }
        }
    }
}

void sl__venue_forward(struct venue *venue, const struct sl_captured_message *message)
{
    for (size_t at = 0; at < message->about_count; at++) {
        forward_one(venue, &message->about[at], message);
    }
}

/* Who has not answered the last ping is cut; pings where the venue sends them by itself, or was told to. */
static void ping(struct venue *venue, struct sl_venue_client *client, sl_time now)
{
    if (client->gone || client->mute || client->ws == NULL) {
        return;
    }
    if (client->pinged_at != 0 && sl_ws_pongs(client->ws, NULL) > client->pongs) {
        client->pinged_at = 0;
    }
    if (client->pinged_at != 0 && now - client->pinged_at > PONG_WITHIN) {
        venue->exchange->stats.kicked++;
        sl__client_end(client, true, 0);
        return;
    }
    bool due = venue->dialect->ping_every_ns > 0 && now >= client->ping_at;
    if (client->pinged_at == 0 && (due || sl__fault_take(venue, SL_FAULT_PING, NULL))) {
        client->ping_at = sl_time_add(now, venue->dialect->ping_every_ns);
        client->pinged_at = now;
        client->pongs = sl_ws_pongs(client->ws, NULL);
        send_as(client, "alive?", 6, PING);
    }
}

void sl__venue_ping(struct venue *venue, sl_time now)
{
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        ping(venue, client, now);
    }
}

void sl__venue_heartbeat(struct venue *venue, sl_time now)
{
    const sl_dialect *dialect = venue->dialect;
    if (dialect->heartbeat == NULL || now < venue->heartbeat_at || sl__fault_holds(venue, SL_FAULT_SILENT, NULL)) {
        return;
    }
    venue->heartbeat_at = sl_time_add(now, dialect->heartbeat_ns);
    venue->host.now_ns = sl__venue_wall(venue);
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        const struct wish *wish = client->wishes;
        if (wish == NULL) {
            continue;
        }
        sl__write_begin(&venue->text);
        if (dialect->heartbeat(&venue->host, NULL, &venue->text)) {
            sl__client_send(client, venue->text.data, venue->text.size_bytes);
        }
        for (; wish != NULL; wish = wish->next) {
            sl__write_begin(&venue->text);
            if (dialect->heartbeat(&venue->host, &wish->what, &venue->text)) {
                sl__client_send(client, venue->text.data, venue->text.size_bytes);
            }
        }
    }
}

/* ---- a client's life ---- */

static bool has(const struct sl_ws_message *message, const char *lower, const char *upper)
{
    return memmem(message->data, message->size_bytes, lower, strlen(lower)) != NULL ||
           memmem(message->data, message->size_bytes, upper, strlen(upper)) != NULL;
}

/* Whether the client says more than the venue allows, or is held to. Signs of life (texts) do not count. */
static bool is_one_too_many(struct sl_venue_client *client, bool subscribes)
{
    struct venue *venue = client->venue;
    const sl_dialect *dialect = venue->dialect;
    sl_time now = sl_now();
    if (!subscribes) {
        return false;
    }
    if (client->said == 0 || now - client->said_from >= dialect->messages_ns) {
        client->said_from = now;
        client->said = 0;
    }
    client->said++;
    return sl__fault_take(venue, SL_FAULT_MESSAGE_LIMIT, NULL) ||
           (dialect->messages > 0 && client->said > dialect->messages);
}

static void refuse_message(struct sl_venue_client *client)
{
    const sl_dialect *dialect = client->venue->dialect;
    struct sl_render text = {0};
    client->venue->exchange->stats.limited++;
    if (dialect->too_many == NULL) {
        sl__client_end(client, false, 1008);
        return;
    }
    dialect->too_many(&text);
    sl__client_say(client, &text);
    sl__write_done(&text);
}

static void hear(struct sl_venue_client *client, const struct sl_ws_message *message)
{
    struct venue *venue = client->venue;
    bool about = has(message, "subscribe", "SUBSCRIBE");
    bool begins = about && !has(message, "unsubscribe", "UNSUBSCRIBE");
    venue->host.now_ns = sl__venue_wall(venue);
    if (venue->dialect->message_bytes > 0 && message->size_bytes > venue->dialect->message_bytes) {
        venue->exchange->stats.limited++;
        sl__client_end(client, false, 1009);
        return;
    }
    venue->host.limit = is_one_too_many(client, about);
    if (venue->host.limit && !(venue->dialect->parts_limited && begins)) {
        refuse_message(client);
    } else {
        venue->host.refuse = begins && sl__fault_take(venue, SL_FAULT_REFUSE_SUBSCRIPTION, NULL);
        client->unanswered = begins && sl__fault_take(venue, SL_FAULT_ACKS, NULL);
        venue->dialect->hear(&venue->host, client, message->data, message->size_bytes);
        client->unanswered = false;
        venue->host.refuse = false;
    }
    venue->host.limit = false;
}

static int listen_to(void *arg)
{
    struct sl_venue_client *client = arg;
    struct sl_ws_message message;
    int code = 0;
    while ((code = sl_ws_receive(client->ws, &message)) == 0) {
        if (!sl__fault_holds(client->venue, SL_FAULT_DEAF, NULL) && !client->gone && !client->mute) {
            hear(client, &message);
        }
    }
    sl__client_end(client, false, 0);
    return code == SL_ECANCELED ? code : 0;
}

/* In three parts, with a ping behind the first one or not. */
static int send_parts(sl_ws *ws, const char *text, size_t size_bytes, bool with_ping)
{
    size_t part = size_bytes / 3;
    SL_TRY(sl_ws_send_part(ws, SL_WS_TEXT, text, part, false));
    if (with_ping) {
        SL_TRY(sl_ws_ping(ws, "inside", 6));
    }
    SL_TRY(sl_ws_send_part(ws, SL_WS_TEXT, text + part, part, false));
    return sl_ws_send_part(ws, SL_WS_TEXT, text + 2 * part, size_bytes - 2 * part, true);
}

static int send_one(sl_ws *ws, const char *text, const struct prefix *prefix)
{
    switch ((enum mode)prefix->mode) {
    case PING:
        return sl_ws_ping(ws, text, prefix->size_bytes);
    case FRAGMENTS:
    case FRAGMENTS_AND_PING:
        return send_parts(ws, text, prefix->size_bytes, prefix->mode == FRAGMENTS_AND_PING);
    default:
        return sl_ws_send(ws, SL_WS_TEXT, text, prefix->size_bytes);
    }
}

/* Sends what is in the outbox; a full swap each time, so that more can be put in meanwhile. */
static int flush(struct sl_venue_client *client, struct outbox *sending)
{
    struct outbox full = client->outbox;
    client->outbox = *sending;
    client->outbox.size_bytes = 0;
    *sending = full;
    for (size_t at = 0; at < sending->size_bytes;) {
        struct prefix prefix;
        memcpy(&prefix, sending->data + at, sizeof prefix);
        at += sizeof prefix;
        SL_TRY(send_one(client->ws, sending->data + at, &prefix));
        at += prefix.size_bytes;
    }
    sl_event_set(&client->venue->exchange->drained);
    return 0;
}

static int talk(struct sl_venue_client *client, struct outbox *sending)
{
    while (!client->gone || (!client->cut && client->outbox.size_bytes > 0)) {
        sl_event_reset(&client->filled);
        if (client->outbox.size_bytes == 0) {
            SL_TRY(sl_event_wait(&client->filled));
        }
        SL_TRY(flush(client, sending));
    }
    return client->close_code == 0 ? 0 : sl_ws_close(client->ws, client->close_code, "policy violation");
}

static void forget(struct sl_venue_client *client)
{
    struct venue *venue = client->venue;
    for (struct sl_venue_client **at = &venue->clients; *at != NULL; at = &(*at)->next) {
        if (*at == client) {
            *at = client->next;
            break;
        }
    }
    while (client->wishes != NULL) {
        free_wish(venue, client->wishes);
    }
    venue->exchange->client_count--;
    venue->exchange->stats.clients--;
    sl_event_set(&venue->exchange->drained);
}

static int serve_client(struct sl_venue_client *client)
{
    struct outbox sending = {0};
    SL_SCOPE(scope, .name = "client");
    client->scope = &scope;
    int code = sl_spawn(&scope, listen_to, client, .daemon = true, .name = "listen");
    code = code == 0 ? talk(client, &sending) : code;
    client->gone = true;
    client->scope = NULL;
    forget(client);
    sl_free(sending.data);
    code = sl_scope_close(&scope, code);
    return code == SL_EPIPE || code == SL_ECONNRESET || code == SL_EOF || code == SL_ETIMEDOUT ? 0 : code;
}

/* Whether the venue takes no more new connections just now. */
static bool is_one_connection_too_many(struct venue *venue)
{
    const sl_dialect *dialect = venue->dialect;
    sl_time now = sl_now();
    if (venue->connects == 0 || now - venue->connects_from >= dialect->connects_ns) {
        venue->connects_from = now;
        venue->connects = 0;
    }
    venue->connects++;
    return venue->exchange->options.strict && dialect->connects > 0 && venue->connects > dialect->connects;
}

int sl__venue_stream(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *target)
{
    sl_simulated *exchange = venue->exchange;
    if (sl__fault_holds(venue, SL_FAULT_REFUSE, NULL) || exchange->client_count == SL_SIMULATED_CLIENTS_MAX) {
        exchange->stats.refused++;
        return sl_http_respond(request, 503, "text/plain", "not now\n", 8);
    }
    if (is_one_connection_too_many(venue)) {
        exchange->stats.limited++;
        return sl_http_respond(request, 429, "text/plain", "too many connections\n", 21);
    }
    struct sl_venue_client client = {.venue = venue};
    sl_event_init(&client.filled);
    SL_TRY(sl_ws_accept_with(request, &(struct sl_ws_options){.deflate = {.on = true}}, &client.ws));
    (void)snprintf(client.path, sizeof client.path, "%s", target->path);
    client.next = venue->clients;
    venue->clients = &client;
    exchange->client_count++;
    exchange->stats.clients++;
    client.number = ++exchange->stats.connections;
    venue->host.now_ns = sl__venue_wall(venue);
    client.ping_at = sl_time_add(sl_now(), venue->dialect->ping_every_ns);
    if (!venue->dialect->open(&venue->host, &client, target)) {
        sl__client_end(&client, false, 1008);
    }
    int code = serve_client(&client);
    if (client.cut) {
        sl_ws_cut(client.ws);
    } else {
        sl_ws_free(client.ws);
    }
    sl_free(client.outbox.data);
    sl_free(client.late.data);
    return code;
}
