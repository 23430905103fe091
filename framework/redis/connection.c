/* SPDX-License-Identifier: MIT */
/*
 * One connection: a task that connects, greets and reads, one that writes what has gathered, and one that watches the
 * deadlines. Commands under way stand in a queue in the order of their replies; one that nobody waits for any more keeps
 * its place in it.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "sluice/channel.h"
#include "sluice/net.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define BUFFER_KEPT_BYTES ((size_t)256 * 1024)

/*
 * Commands are written when a quarter of those under way has gathered, in these bounds, or when the loop has its turn: the
 * server is at work on some while the tasks make the next. Measured: with 64 and with 256 tasks half as fast again, and
 * twice as fast, as one write a turn; smaller waves cost more calls of the system than they gain.
 */
#define WAVE_COMMANDS_MIN 4
#define WAVE_COMMANDS_MAX 32
#define WAVE_SHARE 4

/* ---- the queue ---- */

static bool room_for(const struct sl__redis_connection *connection, size_t commands, size_t bytes)
{
    const struct sl__redis_settings *settings = connection->settings;
    if (!connection->up) {
        return false;
    }
    if (connection->in_flight == 0) {
        return true;
    }
    return !connection->alone && connection->in_flight + commands <= settings->commands_max &&
           connection->in_flight_bytes + bytes <= settings->in_flight_bytes_max;
}

/* The first who waits may look again; when it has gone it wakes the next. */
static void wake_turn(struct sl__redis_connection *connection)
{
    struct sl__redis_turn *turn = connection->first_turn;
    if (turn != NULL && !turn->woken && room_for(connection, turn->commands, turn->bytes)) {
        turn->woken = true;
        sl_unpark(turn->task, 0);
    }
}

static void add_turn(struct sl__redis_connection *connection, struct sl__redis_turn *turn)
{
    turn->prev = connection->last_turn;
    if (turn->prev != NULL) {
        turn->prev->next = turn;
    } else {
        connection->first_turn = turn;
    }
    connection->last_turn = turn;
    connection->waiting++;
    connection->stats->waiting++;
}

static void remove_turn(struct sl__redis_connection *connection, struct sl__redis_turn *turn)
{
    *(turn->prev != NULL ? &turn->prev->next : &connection->first_turn) = turn->next;
    *(turn->next != NULL ? &turn->next->prev : &connection->last_turn) = turn->prev;
    connection->waiting--;
    connection->stats->waiting--;
}

static void fail_turns(struct sl__redis_connection *connection, int code)
{
    for (struct sl__redis_turn *turn = connection->first_turn; turn != NULL; turn = turn->next) {
        if (!turn->woken) {
            turn->woken = true;
            sl_unpark(turn->task, code);
        }
    }
}

static struct sl__redis_command *take_first(struct sl__redis_connection *connection)
{
    struct sl__redis_command *command = connection->first;
    connection->first = command->next;
    if (connection->first == NULL) {
        connection->last = NULL;
    }
    connection->in_flight--;
    connection->in_flight_bytes -= command->bytes;
    connection->stats->in_flight--;
    return command;
}

/* Gives the first command its result, and its record back. */
static void finish_first(struct sl__redis_connection *connection, int code, sl_redis_reply *reply)
{
    struct sl__redis_command *command = take_first(connection);
    struct sl__redis_wait *wait = command->wait;
    if (wait != NULL) {
        command->slot->code = code;
        command->slot->reply = reply;
        command->slot->unsent = command->number > connection->handed;
        command->slot->command = NULL;
        if (--wait->left == 0 && wait->task != NULL) {
            sl_unpark(wait->task, 0);
        }
    }
    command->next = connection->spare;
    connection->spare = command;
}

/* ---- performing ---- */

static bool forget_turn(sl_task *task, void *object)
{
    (void)task;
    struct sl__redis_turn *turn = object;
    turn->woken = true; /* nobody else may wake it */
    return true;
}

static int problem_of(const struct sl__redis_connection *connection, int code)
{
    return sl_fail(code, "Redis at %s: %s", connection->address.host[0] == '\0' ? "?" : connection->address.host,
                   connection->problem_text[0] == '\0' ? sl_strerror(code) : connection->problem_text);
}

static void tell_watch(struct sl__redis_connection *connection, sl_time deadline)
{
    if (deadline < connection->watching) {
        connection->watching = deadline;
        sl_event_set(&connection->news);
    }
}

/* Waits until the connection is up and has room. Those who came before go first. */
static int wait_for_turn(struct sl__redis_connection *connection, size_t commands, size_t bytes, sl_time deadline)
{
    SL_TRY(sl_checkpoint_if_cancelled());
    if (connection->first_turn == NULL && room_for(connection, commands, bytes)) {
        return 0;
    }
    sl_time patience =
        connection->up || connection->patience == 0 ? SL_NEVER : sl_time_add(sl_now(), connection->patience);
    deadline = deadline < patience ? deadline : patience;
    struct sl__redis_turn turn = {.task = sl_current(), .commands = commands, .bytes = bytes, .deadline = deadline};
    add_turn(connection, &turn);
    int code = 0;
    while (code == 0 && !(connection->first_turn == &turn && room_for(connection, commands, bytes))) {
        code = connection->ended ? SL_ECLOSED : connection->up ? 0 : connection->refused;
        if (code == 0) {
            turn.woken = false;
            tell_watch(connection, deadline);
            code = sl_park(forget_turn, &turn, connection->up ? "room on the Redis connection" : "Redis connection");
        }
    }
    remove_turn(connection, &turn);
    if (code < 0) {
        wake_turn(connection);
    }
    if (code == SL_ETIMEDOUT && !connection->up && connection->problem < 0) {
        code = connection->problem;
    }
    return code == 0 || code == SL_ECANCELED ? code
           : code == SL_ECLOSED              ? sl_fail(code, "the Redis client's scope has ended")
           : code == SL_ETIMEDOUT            ? sl_fail(code, "no room on the connection to Redis in time")
                                             : problem_of(connection, code);
}

/* All the memory that the commands need, so that nothing can fail halfway. */
static int prepare(struct sl__redis_connection *connection, size_t count, size_t bytes)
{
    struct sl__redis_command *spare = connection->spare;
    size_t have = 0;
    for (; spare != NULL && have < count; spare = spare->next) {
        have++;
    }
    for (; have < count; have++) {
        struct sl__redis_command *command = sl_malloc(sizeof *command);
        if (command == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a Redis command");
        }
        command->next = connection->spare;
        connection->spare = command;
    }
    struct sl__redis_buffer *out = &connection->out;
    if (out->size_bytes + bytes > out->capacity) {
        size_t capacity = out->capacity == 0 ? 4096 : out->capacity;
        while (capacity < out->size_bytes + bytes) {
            capacity *= 2;
        }
        char *data = sl_realloc(out->data, capacity);
        if (data == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a Redis command");
        }
        out->data = data;
        out->capacity = capacity;
    }
    return 0;
}

static void enqueue(struct sl__redis_connection *connection, const struct sl_bytes *pieces, size_t count,
                    struct sl__redis_wait *wait, struct sl__redis_slot *slot, sl_time deadline)
{
    struct sl__redis_command *command = connection->spare;
    struct sl__redis_buffer *out = &connection->out;
    connection->spare = command->next;
    size_t before = out->size_bytes;
    out->size_bytes = (size_t)(sl__resp_command_put(out->data + before, pieces, count) - out->data);
    *command = (struct sl__redis_command){.wait = wait,
                                          .slot = slot,
                                          .deadline = deadline,
                                          .number = ++connection->numbered,
                                          .bytes = out->size_bytes - before};
    if (slot != NULL) {
        slot->command = command;
    }
    *(connection->last != NULL ? &connection->last->next : &connection->first) = command;
    connection->last = command;
    connection->in_flight++;
    connection->in_flight_bytes += command->bytes;
    connection->stats->in_flight++;
    connection->stats->commands++;
    if (connection->first == command) {
        tell_watch(connection, deadline);
    }
    sl_event_set(&connection->output);
}

int sl__redis_post(struct sl__redis_connection *connection, const struct sl_bytes *pieces, size_t count)
{
    if (!connection->up) {
        return 0;
    }
    SL_TRY(prepare(connection, 0, sl__resp_command_bytes(pieces, count)));
    struct sl__redis_buffer *out = &connection->out;
    out->size_bytes = (size_t)(sl__resp_command_put(out->data + out->size_bytes, pieces, count) - out->data);
    connection->stats->commands++;
    sl_event_set(&connection->output);
    return 0;
}

/* The caller is cancelled: what is under way keeps its place, and its reply is thrown away. */
static bool forget(sl_task *task, void *object)
{
    (void)task;
    struct sl__redis_wait *wait = object;
    struct sl__redis_connection *connection = wait->connection;
    sl_time deadline = sl_time_add(sl_now(), connection->settings->drain_timeout);
    for (size_t i = 0; i < wait->count; i++) {
        struct sl__redis_command *command = wait->slots[i].command;
        if (command != NULL) {
            command->wait = NULL;
            command->slot = NULL;
            command->deadline = deadline;
        }
    }
    connection->cut = connection->cut || connection->alone;
    tell_watch(connection, connection->alone ? INT64_MIN : deadline);
    return true;
}

/* The pieces of a request. */
struct pieces {
    const struct sl_bytes *list;
    size_t count;
    struct sl_bytes room[SL__REDIS_TEXTS_MAX];
};

/* `pieces` are those of the last request in the end. */
static int measure(const struct sl__redis_connection *connection, const struct sl_redis_request *requests, size_t count,
                   struct pieces *pieces, size_t *ret_bytes)
{
    *ret_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        SL_TRY(sl__redis_pieces(&requests[i], pieces->room, &pieces->list, &pieces->count));
        if (requests[i].texts != sl__redis_asking) {
            SL_TRY(sl__redis_allowed(pieces->list, pieces->count, connection->alone));
        }
        *ret_bytes += sl__resp_command_bytes(pieces->list, pieces->count);
    }
    return 0;
}

/* `pieces` are those of the only request, if there is one only. */
static void enqueue_all(struct sl__redis_wait *wait, const struct sl_redis_request *requests, struct pieces *pieces,
                        sl_time deadline)
{
    for (size_t i = 0; i < wait->count; i++) {
        if (wait->count > 1) {
            (void)sl__redis_pieces(&requests[i], pieces->room, &pieces->list, &pieces->count);
        }
        wait->slots[i] = (struct sl__redis_slot){0};
        enqueue(wait->connection, pieces->list, pieces->count, wait, &wait->slots[i], deadline);
        if (requests[i].ret_sent != NULL) {
            ++*requests[i].ret_sent;
        }
    }
}

/*
 * With many tasks the server should not wait for the last of them, nor they for it: what is there goes out now, as far as
 * the system takes it. The rest, and an error, are the writer's, which has been told that there is something.
 */
static void write_wave(struct sl__redis_connection *connection)
{
    struct sl__redis_buffer *out = &connection->out;
    uint64_t gathered = connection->numbered - connection->handed;
    size_t sent = 0;
    if (gathered < WAVE_COMMANDS_MIN ||
        (gathered < WAVE_COMMANDS_MAX && gathered * WAVE_SHARE < connection->in_flight)) {
        return;
    }
    if (sl_stream_write_now(connection->stream, out->data, out->size_bytes, &sent) == SL_EBUSY) {
        return;
    }
    connection->handed = connection->numbered; /* also what was not sent: over TLS some of it may be */
    connection->stats->writes++;
    connection->stats->written_bytes += sent;
    out->size_bytes -= sent;
    if (sent > 0 && out->size_bytes > 0) {
        memmove(out->data, out->data + sent, out->size_bytes);
    }
}

int sl__redis_perform(struct sl__redis_connection *connection, const struct sl_redis_request *requests, size_t count,
                      struct sl__redis_slot *slots, sl_time deadline)
{
    SL__UNCLEARED struct pieces pieces;
    size_t bytes = 0;
    SL_TRY(measure(connection, requests, count, &pieces, &bytes));
    SL_TRY(wait_for_turn(connection, count, bytes, deadline));
    int code = prepare(connection, count, bytes);
    if (code == 0) {
        struct sl__redis_wait wait = {
            .connection = connection, .task = sl_current(), .left = count, .count = count, .slots = slots};
        enqueue_all(&wait, requests, &pieces, deadline);
        write_wave(connection);
        wake_turn(connection);
        code = sl_park(forget, &wait, "Redis reply");
    } else {
        wake_turn(connection);
    }
    for (size_t i = 0; i < count && code == SL_ECANCELED; i++) {
        sl_redis_reply_free(slots[i].reply);
        slots[i].reply = NULL;
    }
    return code;
}

/* ---- reading ---- */

static int deliver(struct sl__redis_connection *connection, struct sl_view bytes)
{
    if (connection->hooks.all_pushed || *bytes.data == '>') {
        connection->stats->pushes++;
        if (connection->hooks.push != NULL) {
            connection->hooks.push(connection->hooks.context, sl__resp_value(bytes.data));
        }
        return 0;
    }
    if (connection->first == NULL) {
        return sl_fail(SL_EPROTO, "Redis sent a reply to no command");
    }
    if (connection->first->wait == NULL) {
        connection->stats->discarded++;
        finish_first(connection, 0, NULL);
    } else {
        sl_redis_reply *reply = sl__redis_reply_new(connection->store, bytes);
        connection->stats->replies++;
        finish_first(connection, reply == NULL ? SL_ENOMEM : 0, reply);
    }
    wake_turn(connection);
    return 0;
}

static int read_all(struct sl__redis_connection *connection)
{
    for (;;) {
        struct sl_view view;
        SL_TRY(sl_stream_peek(connection->stream, 1, &view));
        connection->last_reply = sl_now();
        connection->pinged = 0;
        connection->stats->reads++;
        connection->stats->read_bytes += view.size_bytes;
        size_t used = 0;
        while (used < view.size_bytes) {
            size_t taken = 0;
            struct sl_view reply;
            int code = sl__resp_feed(&connection->reader, view.data + used, view.size_bytes - used, &taken, &reply);
            SL_TRY(code);
            used += taken;
            if (code == 1) {
                SL_TRY(deliver(connection, reply));
            }
        }
        sl_stream_consume(connection->stream, view.size_bytes);
    }
}

int sl__redis_exchange(struct sl__redis_connection *connection, const char *const *texts,
                       struct sl_redis_value *ret_value)
{
    struct sl_bytes pieces[16];
    size_t count = 0;
    for (; texts[count] != NULL; count++) {
        pieces[count] = sl_redis_text(texts[count]);
    }
    char *text = sl_malloc(sl__resp_command_bytes(pieces, count));
    if (text == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis command");
    }
    size_t bytes = (size_t)(sl__resp_command_put(text, pieces, count) - text);
    int code = sl_stream_write(connection->stream, text, bytes);
    sl_free(text);
    SL_TRY(code);
    for (;;) {
        struct sl_view view, reply;
        size_t used = 0;
        SL_TRY(sl_stream_peek(connection->stream, 1, &view));
        code = sl__resp_feed(&connection->reader, view.data, view.size_bytes, &used, &reply);
        sl_stream_consume(connection->stream, used);
        SL_TRY(code);
        if (code == 1 && *reply.data != '>') {
            *ret_value = sl__resp_value(reply.data);
            return 0;
        }
    }
}

/* ---- writing ---- */

static int write_all(void *arg)
{
    struct sl__redis_connection *connection = arg;
    for (;;) {
        SL_TRY(sl_event_wait(&connection->output)); /* lets others add to it also when it is set */
        sl_event_reset(&connection->output);
        struct sl__redis_buffer writing = connection->out;
        connection->out = connection->writing;
        connection->writing = writing;
        connection->handed = connection->numbered;
        if (writing.size_bytes > 0) { /* else waves have taken all */
            connection->stats->writes++;
            connection->stats->written_bytes += writing.size_bytes;
            SL_TRY(sl_stream_write(connection->stream, writing.data, writing.size_bytes));
            connection->writing.size_bytes = 0;
        }
        if (writing.capacity > BUFFER_KEPT_BYTES) {
            sl_free(writing.data);
            connection->writing = (struct sl__redis_buffer){0};
        }
    }
}

/* ---- deadlines ---- */

/* A forgotten reply may hold up the others only for so long since the last one. */
static sl_time first_deadline(const struct sl__redis_connection *connection)
{
    const struct sl__redis_command *command = connection->first;
    if (command == NULL) {
        return SL_NEVER;
    }
    sl_time patience =
        command->wait != NULL ? INT64_MIN : sl_time_add(connection->last_reply, connection->settings->drain_timeout);
    return command->deadline > patience ? command->deadline : patience;
}

static sl_time next_ping(const struct sl__redis_connection *connection)
{
    return connection->up && connection->first == NULL && connection->pinged == 0
               ? sl_time_add(connection->last_reply, connection->settings->ping_every)
               : SL_NEVER;
}

/* A ping that nothing came after. */
static sl_time pong_deadline(const struct sl__redis_connection *connection)
{
    return connection->up && connection->pinged > 0
               ? sl_time_add(connection->pinged, connection->settings->drain_timeout)
               : SL_NEVER;
}

static sl_time earliest(const struct sl__redis_connection *connection)
{
    sl_time first = connection->up ? first_deadline(connection) : SL_NEVER;
    sl_time ping =
        connection->first == NULL ? next_ping(connection) : sl_time_add(sl_now(), connection->settings->ping_every);
    sl_time pong = pong_deadline(connection);
    first = ping < first ? ping : first;
    first = pong < first ? pong : first;
    for (const struct sl__redis_turn *turn = connection->first_turn; turn != NULL; turn = turn->next) {
        first = turn->deadline < first && !turn->woken ? turn->deadline : first;
    }
    return first;
}

static void ping(struct sl__redis_connection *connection, sl_time now)
{
    const struct sl_bytes pieces[] = {{"PING", 4}};
    connection->pinged = now;
    if (connection->hooks.all_pushed) {
        (void)sl__redis_post(connection, pieces, 1);
    } else if (prepare(connection, 1, sl__resp_command_bytes(pieces, 1)) == 0) {
        enqueue(connection, pieces, 1, NULL, NULL, sl_time_add(now, connection->settings->drain_timeout));
    }
}

static void expire(struct sl__redis_connection *connection)
{
    sl_time now = sl_now();
    for (struct sl__redis_turn *turn = connection->first_turn; turn != NULL; turn = turn->next) {
        if (turn->deadline <= now && !turn->woken) {
            turn->woken = true;
            sl_unpark(turn->task, SL_ETIMEDOUT);
        }
    }
    if (connection->cut) {
        sl__redis_connection_lose(connection, SL_ECANCELED, "a blocking command was cancelled");
    } else if (connection->up && (first_deadline(connection) <= now || pong_deadline(connection) <= now)) {
        connection->stats->timeouts++;
        sl__redis_connection_lose(connection, SL_ETIMEDOUT, "no reply in time");
    } else if (next_ping(connection) <= now) {
        ping(connection, now);
    }
}

static int watch(void *arg)
{
    struct sl__redis_connection *connection = arg;
    for (;;) {
        sl_time next = earliest(connection);
        sl_time now = sl_now();
        connection->watching = next;
        struct sl_select_clause news = {.kind = SL_SELECT_EVENT, .event = &connection->news};
        int code = sl_select(&news, 1, next == SL_NEVER ? SL_NEVER : next > now ? next - now : 0);
        if (code == SL_ECANCELED) {
            return code;
        }
        sl_event_reset(&connection->news);
        expire(connection);
        SL_TRY(sl_checkpoint());
    }
}

/* ---- life ---- */

void sl__redis_connection_lose(struct sl__redis_connection *connection, int code, const char *why)
{
    if (connection->serving != NULL && connection->lost == 0) {
        connection->lost = code;
        connection->up = false;
        (void)snprintf(connection->problem_text, sizeof connection->problem_text, "%s", why);
        sl_scope_cancel(connection->serving, why);
    }
}

static void note_problem(struct sl__redis_connection *connection, int code)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    connection->problem = code;
    (void)snprintf(connection->problem_text, sizeof connection->problem_text, "%s",
                   error == NULL || *sl_error_message(error) == '\0' ? sl_strerror(code) : sl_error_message(error));
}

static int connect_and_greet(struct sl__redis_connection *connection)
{
    const struct sl__redis_settings *settings = connection->settings;
    SL_TRY(connection->hooks.locate(connection->hooks.locate_context, &connection->address));
    const struct sl_connect_options options = {
        .address = connection->address.host, .port = connection->address.port, .tls = settings->tls};
    SL_TRY(sl_connect_with(&options, &connection->stream));
    SL_TRY(sl__redis_greet(connection));
    return settings->kind == SL__REDIS_SENTINEL ? sl__redis_check_role(connection) : 0;
}

/* Waiting is of no use when the server, or we, will not have it. */
static bool is_final(int code)
{
    return code == -EACCES || code == SL_EREPLY || code == SL_ECERTIFICATE || code == SL_EINVAL;
}

static int connect_in_time(struct sl__redis_connection *connection)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(
        &limit, &(struct sl_scope_options){.name = "connect", .timeout = connection->settings->connect_timeout}));
    sl__resp_init(&connection->reader, connection->settings->reply_bytes_max);
    connection->lost = 0;
    int code = sl_scope_close(&limit, connect_and_greet(connection));
    if (code == SL_ETIMEDOUT) {
        code =
            sl_fail(code, "no connection within %lld ms", (long long)(connection->settings->connect_timeout / 1000000));
    }
    if (code == 0) {
        connection->problem = connection->refused = 0;
        connection->problem_text[0] = '\0';
        connection->stats->connects++;
    } else if (code != SL_ECANCELED) {
        connection->stats->connect_failures++;
        note_problem(connection, code);
        connection->refused = is_final(code) ? code : 0;
        if (connection->refused < 0) {
            fail_turns(connection, code);
        }
    }
    return code;
}

/* Until it breaks. */
static int serve(struct sl__redis_connection *connection)
{
    sl_scope serving = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&serving, &(struct sl_scope_options){.name = "serve"}));
    connection->cut = false;
    int code = sl_spawn(&serving, write_all, connection, .name = "writer", .daemon = true);
    if (code == 0) {
        connection->serving = &serving;
        connection->up = true;
        connection->stats->connected = true;
        connection->last_reply = sl_now();
        connection->pinged = 0;
        sl_event_set(&connection->news); /* pings */
        if (connection->hooks.up != NULL) {
            connection->hooks.up(connection->hooks.context);
        }
        wake_turn(connection);
        code = read_all(connection);
    }
    connection->up = false;
    connection->serving = NULL;
    code = sl_scope_close(&serving, code);
    return connection->lost < 0 ? connection->lost : code;
}

/* What was under way has no reply any more. */
static void drop(struct sl__redis_connection *connection, int code)
{
    bool lost = code != SL_ECANCELED || connection->lost < 0;
    connection->stats->connected = false;
    connection->stats->losses += lost;
    sl_stream_close(connection->stream);
    connection->stream = NULL;
    sl__resp_done(&connection->reader);
    connection->out.size_bytes = connection->writing.size_bytes = 0;
    sl_event_reset(&connection->output);
    bool first = true;
    while (connection->first != NULL) {
        finish_first(connection, first && connection->lost == SL_ETIMEDOUT ? SL_ETIMEDOUT : SL_ECONNRESET, NULL);
        first = false;
    }
}

static int live_once(struct sl__redis_connection *connection, uint32_t *failures)
{
    int code = connect_in_time(connection);
    if (code == 0) {
        *failures = 0;
        code = serve(connection);
        if (connection->lost == 0 && code < 0) {
            note_problem(connection, code);
        }
        connection->problem = connection->lost < 0 ? SL_ECONNRESET : code;
        drop(connection, code);
        if (connection->hooks.down != NULL) {
            connection->hooks.down(connection->hooks.context);
        }
    } else {
        drop(connection, SL_ECANCELED);
    }
    return sl_checkpoint_if_cancelled();
}

static int keep_alive(struct sl__redis_connection *connection)
{
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, watch, connection, .name = "watch", .daemon = true));
    uint32_t failures = 0;
    for (;;) {
        SL_TRY(live_once(connection, &failures));
        sl_time delay = sl_backoff_delay(&connection->settings->backoff, failures, sl_random_unit());
        SL_TRY(sl_sleep(delay));
        failures++;
    }
}

static int run(void *arg)
{
    struct sl__redis_connection *connection = arg;
    int code = keep_alive(connection);
    connection->ended = true;
    fail_turns(connection, SL_ECLOSED);
    if (connection->hooks.down != NULL) {
        connection->hooks.down(connection->hooks.context);
    }
    return code;
}

struct sl__redis_connection *sl__redis_connection_new(const struct sl__redis_settings *settings,
                                                      struct sl__redis_store *store, struct sl_redis_stats *stats,
                                                      const struct sl__redis_hooks *hooks)
{
    struct sl__redis_connection *connection = sl_calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->settings = settings;
        connection->store = store;
        connection->stats = stats;
        connection->hooks = *hooks;
        connection->watching = SL_NEVER;
        sl_event_init(&connection->output);
        sl_event_init(&connection->news);
    }
    return connection;
}

int sl__redis_connection_start(struct sl__redis_connection *connection, sl_scope *scope)
{
    return sl_spawn(scope, run, connection, .name = "redis", .daemon = true);
}

void sl__redis_connection_free(struct sl__redis_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    while (connection->spare != NULL) {
        struct sl__redis_command *command = connection->spare;
        connection->spare = command->next;
        sl_free(command);
    }
    sl_free(connection->out.data);
    sl_free(connection->writing.data);
    sl_free(connection);
}
