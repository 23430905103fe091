/* SPDX-License-Identifier: MIT */
/* Streams of the simulated exchange: what clients subscribe to and are sent. */
#include <string.h>

#include "exchange/simulated_internal.h"
#include "sluice/runtime.h"

#define PREFIX sizeof(uint32_t)

/* ---- what a client is sent ---- */

static bool put(struct outbox *outbox, const char *text, size_t size_bytes)
{
    size_t needed = outbox->size_bytes + PREFIX + size_bytes;
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
    uint32_t length = (uint32_t)size_bytes;
    memcpy(outbox->data + outbox->size_bytes, &length, PREFIX);
    memcpy(outbox->data + outbox->size_bytes + PREFIX, text, size_bytes);
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

static void send_text(struct sl_venue_client *client, const char *text, size_t size_bytes)
{
    if (client->gone || client->mute) {
        return;
    }
    if (client->outbox.size_bytes > SL_SIMULATED_BACKLOG_BYTES || !put(&client->outbox, text, size_bytes)) {
        client->venue->exchange->stats.kicked++;
        sl__client_end(client, true, 0);
        return;
    }
    client->venue->exchange->stats.messages++;
    client->venue->exchange->stats.bytes += size_bytes;
    sl_event_set(&client->filled);
}

void sl__client_say(struct sl_venue_client *client, const struct sl_render *text)
{
    struct venue *venue = client->venue;
    if (text->failed == 0 && text->size_bytes > 0 && !sl__fault_holds(venue, SL_FAULT_DEAF)) {
        send_text(client, text->data, text->size_bytes);
    }
}

/* ---- subscriptions ---- */

static struct board *board_of(struct venue *venue, const sl_instrument *instrument)
{
    const sl_market_event *events = NULL;
    (void)venue->host.history(venue, instrument, 0, 0, &events); /* makes the board, if there was none */
    return instrument->index < venue->board_count ? &venue->boards[instrument->index] : NULL;
}

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
    struct board *board = board_of(venue, wish->what.instrument);
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
    venue->exchange->wishes--;
    sl__write_done(&wish->held);
    sl_free(wish);
}

static bool same_wish(const struct sl_wish *a, const struct sl_wish *b)
{
    return a->feed == b->feed && a->instrument == b->instrument;
}

int sl__client_wish(struct sl_venue_client *client, const struct sl_wish *what, bool off)
{
    struct venue *venue = client->venue;
    for (struct wish **at = &client->wishes; *at != NULL; at = &(*at)->next) {
        struct wish *wish = *at;
        if (same_wish(&wish->what, what)) {
            if (off) {
                *at = wish->next;
                free_wish(venue, wish);
            }
            return off;
        }
    }
    if (off) {
        return 0;
    }
    struct wish *wish = sl_calloc(1, sizeof *wish);
    if (wish == NULL) {
        return SL_ENOMEM;
    }
    *wish = (struct wish){.what = *what, .client = client, .next = client->wishes};
    int code = join_board(venue, wish);
    if (code < 0) {
        sl_free(wish);
        return code;
    }
    client->wishes = wish;
    venue->exchange->wishes++;
    if (what->feed == SL_FEED_DEPTH && venue->dialect->snapshot_first) {
        struct sl_render text = {0};
        venue->dialect->snapshot(&venue->host, what, &text);
        if (text.failed == 0) {
            send_text(client, text.data, text.size_bytes);
        }
        sl__write_done(&text);
    }
    sl_event_set(&venue->exchange->somebody);
    return 1;
}

/* ---- telling a step ---- */

static void hold(struct wish *wish, const struct sl_render *text)
{
    sl__write_begin(&wish->held);
    sl__write_bytes(&wish->held, text->data, text->size_bytes);
}

/* What comes before a message when something is wrong. */
static void disturb(struct venue *venue, struct sl_venue_client *client, const struct sl_render *text)
{
    if (sl__fault_take(venue, SL_FAULT_GARBAGE)) {
        send_text(client, text->data, text->size_bytes / 2);
    }
    if (sl__fault_take(venue, SL_FAULT_UNKNOWN)) {
        static const char unknown[] = "{\"e\":\"somethingNew\",\"type\":\"something_new\",\"event\":\"something_new\","
                                      "\"channel\":\"something_new\",\"topic\":\"something.new\",\"data\":[{\"x\":1}]}";
        send_text(client, unknown, sizeof unknown - 1);
    }
    if (sl__fault_take(venue, SL_FAULT_DUPLICATE)) {
        send_text(client, text->data, text->size_bytes);
    }
}

/* One message to one subscriber, with what is wrong just now. */
static void deliver(struct venue *venue, struct wish *wish, sl_event_kind kind, const struct sl_render *text)
{
    struct sl_venue_client *client = wish->client;
    if (sl__fault_take(venue, SL_FAULT_CUT)) {
        sl__client_end(client, true, 0);
        return;
    }
    if (sl__fault_take(venue, SL_FAULT_CLOSE)) {
        sl__client_end(client, false, 1008);
        return;
    }
    if (!client->mute && sl__fault_take(venue, SL_FAULT_HALF_OPEN)) {
        client->mute = true;
        return;
    }
    if (sl__fault_take(venue, kind == SL_EVENT_TRADE ? SL_FAULT_DROP_TRADE : SL_FAULT_DROP)) {
        return;
    }
    if (wish->held.size_bytes == 0 && sl__fault_take(venue, SL_FAULT_REORDER)) {
        hold(wish, text);
        return;
    }
    disturb(venue, client, text);
    send_text(client, text->data, text->size_bytes);
    if (wish->held.size_bytes > 0) {
        send_text(client, wish->held.data, wish->held.size_bytes);
        sl__write_begin(&wish->held);
    }
}

void sl__venue_publish(struct venue *venue, const sl_truth_change *change)
{
    const struct board *board = board_of(venue, change->event.instrument);
    bool silent = sl__fault_holds(venue, SL_FAULT_SILENT) || sl__fault_holds(venue, SL_FAULT_HEARTBEATS_ONLY);
    for (size_t at = 0; board != NULL && at < board->count && !silent; at++) {
        struct wish *wish = board->wishes[at];
        sl__write_begin(&venue->text);
        if (!wish->client->gone && !wish->client->mute &&
            venue->dialect->change(&venue->host, &wish->what, change, &venue->text) && venue->text.failed == 0) {
            deliver(venue, wish, change->event.kind, &venue->text);
        }
    }
}

void sl__venue_heartbeat(struct venue *venue, sl_time now)
{
    const sl_dialect *dialect = venue->dialect;
    if (dialect->heartbeat == NULL || now < venue->heartbeat_at || sl__fault_holds(venue, SL_FAULT_SILENT)) {
        return;
    }
    venue->heartbeat_at = sl_time_add(now, dialect->heartbeat_ns);
    venue->host.now_ns = sl_now_wall();
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        const struct wish *wish = client->wishes;
        if (wish == NULL) {
            continue;
        }
        sl__write_begin(&venue->text);
        if (dialect->heartbeat(&venue->host, NULL, &venue->text)) {
            send_text(client, venue->text.data, venue->text.size_bytes);
        }
        for (; wish != NULL; wish = wish->next) {
            sl__write_begin(&venue->text);
            if (dialect->heartbeat(&venue->host, &wish->what, &venue->text)) {
                send_text(client, venue->text.data, venue->text.size_bytes);
            }
        }
    }
}

/* ---- a client's life ---- */

static int listen_to(void *arg)
{
    struct sl_venue_client *client = arg;
    struct venue *venue = client->venue;
    struct sl_ws_message message;
    int code = 0;
    while ((code = sl_ws_receive(client->ws, &message)) == 0) {
        if (sl__fault_holds(venue, SL_FAULT_DEAF) || client->gone || client->mute) {
            continue;
        }
        size_t before = client->outbox.size_bytes;
        bool lost = sl__fault_take(venue, SL_FAULT_ACKS);
        venue->host.now_ns = sl_now_wall();
        venue->dialect->hear(&venue->host, client, message.data, message.size_bytes);
        if (lost && venue->dialect->snapshot_first == false) {
            client->outbox.size_bytes = before; /* done, but not answered */
        }
    }
    sl__client_end(client, false, 0);
    return code == SL_ECANCELED ? code : 0;
}

/* Sends what is in the outbox; a full swap each time, so that more can be put in meanwhile. */
static int flush(struct sl_venue_client *client, struct outbox *sending)
{
    struct outbox full = client->outbox;
    client->outbox = *sending;
    client->outbox.size_bytes = 0;
    *sending = full;
    for (size_t at = 0; at < sending->size_bytes;) {
        uint32_t length = 0;
        memcpy(&length, sending->data + at, PREFIX);
        SL_TRY(sl_ws_send(client->ws, SL_WS_TEXT, sending->data + at + PREFIX, length));
        at += PREFIX + length;
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
        struct wish *wish = client->wishes;
        client->wishes = wish->next;
        free_wish(venue, wish);
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

int sl__venue_stream(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *target)
{
    sl_simulated *exchange = venue->exchange;
    if (sl__fault_holds(venue, SL_FAULT_REFUSE) || exchange->client_count == SL_SIMULATED_CLIENTS_MAX) {
        exchange->stats.refused++;
        return sl_http_respond(request, 503, "text/plain", "not now\n", 8);
    }
    struct sl_venue_client client = {.venue = venue};
    sl_event_init(&client.filled);
    SL_TRY(sl_ws_accept_with(request, &(struct sl_ws_options){.deflate = {.on = true}}, &client.ws));
    client.next = venue->clients;
    venue->clients = &client;
    exchange->client_count++;
    exchange->stats.clients++;
    exchange->stats.connections++;
    venue->host.now_ns = sl_now_wall();
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
    return code;
}
