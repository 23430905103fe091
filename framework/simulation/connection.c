/* SPDX-License-Identifier: MIT */
/* Simulated connections: what crosses them, when it arrives, and how they end. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void lane_due(struct sl__timer *timer);
static const struct sl_stream_ops simulated_ops;

static struct simulated_stream *self_of(sl_stream *stream)
{
    return (struct simulated_stream *)stream;
}

static struct lane *lane_out(const struct simulated_stream *end)
{
    return &end->connection->lanes[end->side];
}

static struct lane *lane_in(const struct simulated_stream *end)
{
    return &end->connection->lanes[!end->side];
}

static unsigned side_of(const struct lane *lane)
{
    return lane == &lane->connection->lanes[1];
}

static void wake(struct simulated_stream *end, enum sl__side side)
{
    if (end != NULL) {
        sl__waits_wake(&end->base.waits, side, 0);
    }
}

/* ---- making and freeing ---- */

static void connection_free(struct network *network, struct connection *connection)
{
    struct sl__timers *timers = &sl__runtime->timers;
    for (int i = 0; i < 2; i++) {
        sl__timer_disarm(timers, &connection->lanes[i].timer);
        sl_free(connection->lanes[i].ring);
    }
    sl__timer_disarm(timers, &connection->connect_timer);
    *(connection->prev == NULL ? &network->first : &connection->prev->next) = connection->next;
    *(connection->next == NULL ? &network->last : &connection->next->prev) = connection->prev;
    network->counts.open--;
    sl_free(connection);
}

static void connect_gave_up(struct sl__timer *timer)
{
    struct connection *connection = SL_CONTAINER(timer, struct connection, connect_timer);
    sl__connection_fail(connection->ends[0], SL_ETIMEDOUT);
}

int sl__connection_new(struct network *network, struct link *link, struct connection **ret_connection)
{
    size_t bytes = link->options.buffer_bytes;
    bytes = bytes == 0 ? SL_NETWORK_BUFFER_BYTES : bytes;
    struct connection *connection = sl_calloc(1, sizeof *connection);
    char *there = sl_malloc(bytes);
    char *back = sl_malloc(bytes);
    struct simulated_stream *one = sl_calloc(1, sizeof *one);
    struct simulated_stream *other = sl_calloc(1, sizeof *other);
    if (connection == NULL || there == NULL || back == NULL || one == NULL || other == NULL) {
        sl_free(connection);
        sl_free(there);
        sl_free(back);
        sl_free(one);
        sl_free(other);
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    *connection = (struct connection){
        .id = ++network->connection_ids,
        .link = link,
        .ends = {one, other},
        .capacity = bytes,
        .connect_timer.fire = connect_gave_up,
        .prev = network->last,
        .lanes = {{.connection = connection, .ring = there, .patience = SL_NEVER, .timer.fire = lane_due},
                  {.connection = connection, .ring = back, .patience = SL_NEVER, .timer.fire = lane_due}},
    };
    for (unsigned i = 0; i < 2; i++) {
        sl__stream_init(&connection->ends[i]->base, &simulated_ops, false);
        connection->ends[i]->connection = connection;
        connection->ends[i]->side = i;
    }
    *(network->last == NULL ? &network->first : &network->last->next) = connection;
    network->last = connection;
    network->counts.open++;
    *ret_connection = connection;
    return 0;
}

/* ---- segments ---- */

static struct segment *segment_at(struct lane *lane, uint32_t index)
{
    return &lane->segments[(lane->first + index) % SEGMENTS_MAX];
}

static bool blocked(const struct connection *connection)
{
    return connection->silent || sl__link_cut_off(connection->link);
}

/* Whether the writer waits for an answer that cannot come. */
static bool is_stuck(const struct lane *lane)
{
    const struct simulated_stream *from = lane->connection->ends[side_of(lane)];
    return from != NULL && from->error == 0 && (lane->unacked > 0 || (lane->end_sent && !lane->ended));
}

/* The timer of a lane stands for its first segment; while nothing passes, for the end of the writer's patience. */
static void arm(struct lane *lane)
{
    struct sl__timers *timers = &sl__runtime->timers;
    bool stuck = blocked(lane->connection) && is_stuck(lane);
    if (!stuck) {
        lane->patience = SL_NEVER;
    } else if (lane->patience == SL_NEVER) {
        lane->patience = sl_time_add(sl_now(), SL_NETWORK_GIVE_UP);
    }
    if (stuck) {
        sl__timer_arm(timers, &lane->timer, lane->patience);
    } else if (lane->count > 0 && !blocked(lane->connection)) {
        sl__timer_arm(timers, &lane->timer, segment_at(lane, 0)->when);
    } else {
        sl__timer_disarm(timers, &lane->timer);
    }
}

/* When something that leaves now arrives. */
static sl_time arrival(struct lane *lane, size_t bytes)
{
    struct network *network = sl__network_of_run();
    struct connection *connection = lane->connection;
    struct link *link = connection->link;
    const struct sl_link_options *options = &link->options;
    sl_time when = sl_now();
    if (options->bytes_per_second > 0 && bytes > 0) {
        /* A host's link to itself has one direction. */
        struct host *from = side_of(lane) == 0 ? connection->from : connection->asked;
        sl_time *busy = &link->busy_until[from == link->other];
        double seconds = (double)bytes / (double)options->bytes_per_second;
        *busy = sl_time_add(*busy > when ? *busy : when, (sl_time)(seconds * 1e9) + 1);
        when = *busy;
    }
    when = sl_time_add(when, options->latency + link->extra_latency);
    if (options->jitter > 0) {
        when = sl_time_add(when, (sl_time)sl__network_random(network, (uint64_t)options->jitter + 1));
    }
    return when;
}

/* Behind all that is under way; joins the last segment when it arrives with it, or when there are too many. */
static void push(struct lane *lane, struct segment segment)
{
    if (lane->count > 0) {
        struct segment *last = segment_at(lane, lane->count - 1);
        segment.when = segment.when > last->when ? segment.when : last->when;
        if (segment.when == last->when || lane->count == SEGMENTS_MAX) {
            last->when = segment.when;
            last->bytes += segment.bytes;
            last->acks += segment.acks;
            last->flags |= segment.flags;
            arm(lane);
            return;
        }
    }
    lane->count++;
    *segment_at(lane, lane->count - 1) = segment;
    arm(lane);
}

void sl__connection_send(struct connection *connection, unsigned side, uint32_t flags, sl_time delay)
{
    struct lane *lane = &connection->lanes[side];
    if ((flags & SEGMENT_END) != 0) {
        lane->end_sent = true;
    }
    push(lane, (struct segment){.when = sl_time_add(arrival(lane, 0), delay), .flags = flags});
}

/* Forgets what is under way, and with it the bytes. */
static void clear(struct lane *lane)
{
    lane->count = 0;
    lane->flying = 0;
    arm(lane);
}

/* ---- the ways to end ---- */

void sl__connection_fail(struct simulated_stream *end, int code)
{
    if (end == NULL || end->error != 0) {
        return;
    }
    end->error = code;
    sl__timer_disarm(&sl__runtime->timers, &end->connection->connect_timer);
    clear(lane_out(end));
    struct lane *in = lane_in(end);
    in->head = (in->head + in->arrived) % end->connection->capacity;
    in->arrived = 0;
    sl__network_note(sl__network_of_run(), end->connection->id << 1 | end->side, (uint64_t)-code);
    wake(end, SL_READABLE);
    wake(end, SL_WRITABLE);
}

void sl__connection_cut(struct network *network, struct connection *connection, enum sl_cut how)
{
    if (how == SL_CUT_ANY) {
        how = SL_CUT_RESET + (enum sl_cut)sl__network_random(network, 3);
    }
    sl__network_note(network, connection->id, how);
    switch (how) {
    case SL_CUT_ANY:
    case SL_CUT_RESET:
        network->counts.cut_reset++;
        sl__connection_fail(connection->ends[0], SL_ECONNRESET);
        sl__connection_fail(connection->ends[1], SL_ECONNRESET);
        return;
    case SL_CUT_END:
        network->counts.cut_ended++;
        for (unsigned side = 0; side < 2; side++) {
            struct lane *lane = &connection->lanes[side];
            bool unread = lane->unacked > 0;
            clear(lane);
            lane->cut = true;
            /* A writer whose bytes nobody took finds out, as with a peer that closed. */
            sl__connection_send(connection, side, SEGMENT_END | (unread ? SEGMENT_LOST : 0), 0);
        }
        return;
    case SL_CUT_SILENT:
        network->counts.cut_silent += !connection->silent;
        connection->silent = true;
        sl__connection_blocked(connection);
    }
}

/* Nothing passes any more, for a while or for ever. */
void sl__connection_blocked(struct connection *connection)
{
    arm(&connection->lanes[0]);
    arm(&connection->lanes[1]);
}

/* The partition is over: what waited is sent again. */
void sl__connection_healed(struct connection *connection)
{
    for (unsigned side = 0; side < 2; side++) {
        struct lane *lane = &connection->lanes[side];
        sl_time soonest = arrival(lane, 0);
        for (uint32_t i = 0; i < lane->count; i++) {
            struct segment *segment = segment_at(lane, i);
            segment->when = segment->when > soonest ? segment->when : soonest;
        }
        arm(lane);
    }
}

/* ---- arriving ---- */

static void note_bytes(struct network *network, const struct lane *lane, size_t bytes)
{
    size_t at = (lane->head + lane->arrived) % lane->connection->capacity;
    uint64_t hash = bytes;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ (unsigned char)lane->ring[at]) * UINT64_C(0x100000001b3);
        at = at + 1 == lane->connection->capacity ? 0 : at + 1;
    }
    sl__network_note(network, lane->connection->id << 1 | side_of(lane), hash);
}

/* Somebody sends to an end that is no more: its system resets. */
static void send_back_reset(struct lane *lane)
{
    struct connection *connection = lane->connection;
    unsigned back = !side_of(lane);
    if (connection->ends[!back] != NULL && connection->ends[!back]->error == 0) {
        sl__connection_send(connection, back, SEGMENT_RESET, 0);
    }
}

static void bytes_arrived(struct network *network, struct lane *lane, size_t bytes)
{
    struct connection *connection = lane->connection;
    struct simulated_stream *to = connection->ends[!side_of(lane)];
    note_bytes(network, lane, bytes);
    lane->flying -= bytes;
    connection->carried += bytes;
    network->counts.bytes += bytes;
    if (to == NULL || to->error != 0) {
        lane->head = (lane->head + bytes) % connection->capacity;
        send_back_reset(lane);
        return;
    }
    lane->arrived += bytes;
    wake(to, SL_READABLE);
}

/* Whether the connection is cut at this segment, and what of it arrives after all. */
static bool is_cut(struct network *network, struct connection *connection, uint32_t *bytes)
{
    const struct sl_link_options *options = &connection->link->options;
    if (*bytes == 0 || connection->silent || connection->lanes[0].cut) {
        return false;
    }
    if (options->cut_after_bytes > 0 && connection->carried + *bytes >= options->cut_after_bytes) {
        bool over = connection->carried >= options->cut_after_bytes;
        *bytes = over ? 0 : (uint32_t)(options->cut_after_bytes - connection->carried);
        return true;
    }
    return sl__network_chance(network, options->cut);
}

static void arrive(struct network *network, struct lane *lane, struct segment segment)
{
    struct connection *connection = lane->connection;
    unsigned side = side_of(lane);
    struct simulated_stream *to = connection->ends[!side];
    uint32_t bytes = segment.bytes;
    bool cut = is_cut(network, connection, &bytes);
    if (bytes < segment.bytes) {
        segment.flags = 0; /* came behind what is lost */
    }
    network->counts.segments++;
    sl__network_note(network, connection->id << 1 | side, (uint64_t)segment.flags << 32 | segment.acks);
    if ((segment.flags & SEGMENT_SYN) != 0) {
        sl__connection_asked(network, connection);
    }
    if ((segment.flags & SEGMENT_ACCEPT) != 0 && to != NULL && to->error == 0) {
        to->connected = true;
        wake(to, SL_WRITABLE);
    }
    connection->lanes[!side].unacked -= segment.acks;
    if (bytes > 0) {
        bytes_arrived(network, lane, bytes);
    }
    if ((segment.flags & SEGMENT_END) != 0) {
        lane->ended = true;
        wake(to, SL_READABLE);
    }
    if ((segment.flags & SEGMENT_LOST) != 0) {
        send_back_reset(lane);
    }
    if ((segment.flags & SEGMENT_RESET) != 0 && to != NULL) {
        sl__connection_fail(to, to->connected ? SL_ECONNRESET : -ECONNREFUSED);
    }
    if (segment.acks > 0) {
        wake(to, SL_WRITABLE);
    }
    if (cut) {
        sl__connection_cut(network, connection, connection->link->options.cut_how);
    }
}

static void lane_due(struct sl__timer *timer)
{
    struct lane *lane = SL_CONTAINER(timer, struct lane, timer);
    struct network *network = sl__network_of_run();
    struct simulated_stream *from = lane->connection->ends[side_of(lane)];
    sl_time now = sl_now();
    if (now >= lane->patience) {
        sl__connection_fail(from, SL_ETIMEDOUT);
        return;
    }
    if (lane->count == SEGMENTS_MAX) {
        wake(from, SL_WRITABLE);
    }
    while (lane->count > 0 && segment_at(lane, 0)->when <= now && !blocked(lane->connection)) {
        struct segment segment = *segment_at(lane, 0);
        lane->first = (lane->first + 1) % SEGMENTS_MAX;
        lane->count--;
        arrive(network, lane, segment);
    }
    arm(lane);
}

/* ---- the stream ---- */

static size_t draw_chunk(const struct connection *connection, size_t bytes)
{
    size_t chunk = connection->link->options.chunk_bytes;
    if (chunk == 0) {
        return bytes;
    }
    size_t drawn = 1 + (size_t)sl__network_random(sl__network_of_run(), chunk);
    return bytes < drawn ? bytes : drawn;
}

static int simulated_receive(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct simulated_stream *self = self_of(stream);
    struct connection *connection = self->connection;
    struct lane *in = lane_in(self);
    if (in->arrived == 0) {
        if (self->error != 0) {
            return sl_fail(self->error, "read: %s", sl_strerror(self->error));
        }
        return in->ended ? SL_EOF : SL_EAGAIN;
    }
    size_t bytes = draw_chunk(connection, size_bytes < in->arrived ? size_bytes : in->arrived);
    size_t first = bytes < connection->capacity - in->head ? bytes : connection->capacity - in->head;
    memcpy(buffer, in->ring + in->head, first);
    memcpy((char *)buffer + first, in->ring, bytes - first);
    in->head = (in->head + bytes) % connection->capacity;
    in->arrived -= bytes;
    if (connection->ends[!self->side] != NULL) {
        struct lane *out = lane_out(self);
        push(out, (struct segment){.when = arrival(out, 0), .acks = (uint32_t)bytes});
    }
    *ret_bytes = bytes;
    return 0;
}

static void into_ring(struct lane *lane, const char *data, size_t bytes)
{
    size_t capacity = lane->connection->capacity;
    size_t tail = (lane->head + lane->arrived + lane->flying) % capacity;
    size_t first = bytes < capacity - tail ? bytes : capacity - tail;
    memcpy(lane->ring + tail, data, first);
    memcpy(lane->ring, data + first, bytes - first);
    lane->flying += bytes;
}

static int simulated_send(sl_stream *stream, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes)
{
    struct simulated_stream *self = self_of(stream);
    struct connection *connection = self->connection;
    struct lane *out = lane_out(self);
    if (self->error != 0) {
        return sl_fail(self->error, "write: %s", sl_strerror(self->error));
    }
    size_t room = connection->capacity - out->unacked;
    bool paced = connection->link->options.bytes_per_second > 0;
    room = paced && room > MSS_BYTES ? MSS_BYTES : room;
    if (room == 0 || out->count == SEGMENTS_MAX) {
        return SL_EAGAIN;
    }
    room = draw_chunk(connection, room);
    size_t sent = 0;
    for (size_t i = 0; i < count && sent < room; i++) {
        size_t bytes = pieces[i].size_bytes < room - sent ? pieces[i].size_bytes : room - sent;
        if (!out->cut && bytes > 0) {
            into_ring(out, pieces[i].data, bytes);
        }
        sent += bytes;
    }
    out->unacked += sent;
    push(out, (struct segment){.when = arrival(out, sent),
                               .bytes = out->cut ? 0 : (uint32_t)sent,
                               .flags = out->cut ? SEGMENT_LOST : 0});
    *ret_bytes = sent;
    return 0;
}

static int simulated_shutdown(sl_stream *stream)
{
    struct simulated_stream *self = self_of(stream);
    if (self->error == 0 && !lane_out(self)->end_sent) {
        sl__connection_send(self->connection, self->side, SEGMENT_END, 0);
    }
    return 0;
}

static void simulated_close(sl_stream *stream, bool reset)
{
    struct simulated_stream *self = self_of(stream);
    struct connection *connection = self->connection;
    struct simulated_stream *other = connection->ends[!self->side];
    if (self->error == 0 && other != NULL) {
        if (reset || lane_in(self)->arrived > 0) {
            sl__connection_send(connection, self->side, SEGMENT_RESET, 0);
        } else {
            (void)simulated_shutdown(stream);
        }
    }
    struct lane *in = lane_in(self);
    in->head = (in->head + in->arrived) % connection->capacity;
    in->arrived = 0;
    connection->ends[self->side] = NULL;
    self->connection = NULL;
    sl__timer_disarm(&sl__runtime->timers, &connection->connect_timer);
    (void)sl__waits_drop(&stream->waits);
    if (other == NULL) {
        connection_free(sl__network_of_run(), connection);
    } else if (!connection->released) {
        sl_stream_close(&other->base); /* nobody will accept it */
    }
}

static void simulated_describe(const sl_stream *stream, bool peer, char *text, size_t text_bytes)
{
    const struct simulated_stream *self = (const struct simulated_stream *)stream;
    sl__address_text(&self->connection->addresses[self->side != peer], text, text_bytes);
}

static const struct sl_stream_ops simulated_ops = {.receive = simulated_receive,
                                                   .send = simulated_send,
                                                   .shutdown = simulated_shutdown,
                                                   .close = simulated_close,
                                                   .describe = simulated_describe};
