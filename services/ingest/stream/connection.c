/* SPDX-License-Identifier: MIT */
/* One connection to a venue's stream. See connection.h. */
#include "ingest/stream/connection.h"

#include <stdio.h>
#include <string.h>

#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"
#include "sluice/stream.h"
#include "sluice/supervisor.h"

/* What a path may have. */
#define PATH_BYTES 1024
#define URL_BYTES (PATH_BYTES + 512)
#define CONTROL_BYTES 16384

/* A connection is replaced before its venue cuts it: at this share of its greatest age. */
#define AGE_SHARE(age) ((age) / 24 * 23)

/* What one read brought came at one time: the clocks are asked once for so many messages of it at most. */
#define MESSAGES_OF_ONE_TIME 64

/* What is held of fewer instruments lies in the processor's caches anyway. */
#define LOOKS_AHEAD_INSTRUMENTS 2048

struct sl_connection {
    struct sl_connection_options options;
    sl_subscriptions *subscriptions;
    sl_venue_decoder *decoder;
    sl_venue_output output; /* what the decoder gets */
    sl_ws *ws;              /* while it is open */
    sl_event changed;       /* there may be something to send */
    sl_time ping_at;
    int64_t pings;
    bool running;
    bool busy;          /* a message is being dealt with, which may wait for a sink: nothing is read meanwhile */
    sl_time excused_at; /* it was silent because of us until then */
    bool awaited;       /* somebody waits for that to be done */
    sl_event idle;
    sl_scope *end_in; /* to be cancelled when that is done */
    const char *end_why;
    uint64_t heard;       /* bytes, when the clocks were asked */
    uint32_t of_one_time; /* messages since then */
    bool looks_ahead;     /* at the message behind the one that is decoded */
    int64_t wall_ns;      /* of the last message: no two are the same */
    sl_time quiet_since;  /* the last event, or 0: it cannot be known how long there was none */
    sl_time quiet_at;     /* when the longest silence of late was over */
    bool cut_quiet;       /* it was ended for its silence */
    struct sl_connection_stats stats;
    char control[CONTROL_BYTES];
    char path[PATH_BYTES];
};

/* ---- what the decoder gives ---- */

static void answer_ping(sl_connection *connection, sl_json_text text);

/* The longest silence of late, as far as it still counts. */
static sl_time longest_quiet(const sl_connection *connection, sl_time now)
{
    sl_time fades = (now - connection->quiet_at) / SL_CONNECTION_QUIET_FADES;
    return fades < 62 ? connection->stats.longest_quiet >> fades : 0;
}

/* An event came with the last message: how long had there been none? */
static void note_event(sl_connection *connection)
{
    struct sl_connection_stats *stats = &connection->stats;
    sl_time now = stats->last_message_at;
    stats->last_event_at = now;
    if (connection->quiet_since != 0 && now - connection->quiet_since > longest_quiet(connection, now)) {
        stats->longest_quiet = now - connection->quiet_since;
        connection->quiet_at = now;
    }
    connection->quiet_since = now;
}

static int on_event(void *arg, const sl_market_event *event)
{
    sl_connection *connection = arg;
    int64_t interval_ns = event->kind == SL_EVENT_CANDLE ? event->as.candle.interval_ns : 0;
    connection->stats.events++;
    if (connection->quiet_since != connection->stats.last_message_at) {
        note_event(connection);
    }
    sl_subscriptions_seen(connection->subscriptions, event->feed, event->instrument, interval_ns,
                          connection->stats.last_message_at);
    if (connection->options.compared) {
        sl_subscriptions_count_event(connection->subscriptions, event->feed, event->instrument, interval_ns,
                                     connection->stats.last_message_at);
    }
    return connection->options.output.event(connection->options.output.arg, event);
}

static void on_expected(void *arg, const sl_instrument *instrument, sl_feed feed)
{
    const sl_connection *connection = arg;
    connection->options.output.expect(connection->options.output.arg, instrument, feed);
}

/* What the venue says against us, for people. */
static void log_notice(const sl_connection *connection, const sl_venue_notice *notice)
{
    char text[160];
    (void)snprintf(text, sizeof text, "%.*s", (int)(notice->text.size_bytes < 150 ? notice->text.size_bytes : 150),
                   notice->text.data == NULL ? "" : notice->text.data);
    sl_log_with(SL_LOG_WARNING,
                notice->kind == SL_NOTICE_REFUSED        ? "the venue refused a subscription"
                : notice->kind == SL_NOTICE_RATE_LIMITED ? "the venue got too many of our messages"
                                                         : "the venue reports an error",
                sl_field_text("venue", sl_venue_name(connection->options.driver->venue)),
                sl_field_text("instrument", notice->instrument == NULL ? "" : notice->instrument->symbol),
                sl_field_int("code", notice->code), sl_field_text("text", text));
}

static int on_notice(void *arg, const sl_venue_notice *notice)
{
    sl_connection *connection = arg;
    switch (notice->kind) {
    case SL_NOTICE_PONG:
    case SL_NOTICE_HEARTBEAT:
        return 0;
    case SL_NOTICE_PING:
        answer_ping(connection, notice->text);
        return 0;
    case SL_NOTICE_RECONNECT:
        connection->stats.replace = true;
        break;
    case SL_NOTICE_REFUSED:
    case SL_NOTICE_RATE_LIMITED:
    case SL_NOTICE_ERROR:
        log_notice(connection, notice);
        __attribute__((fallthrough));
    default:
        if (sl_subscriptions_notice(connection->subscriptions, notice, sl_now()) > 0) {
            sl_event_set(&connection->changed);
        }
    }
    return connection->options.output.notice == NULL
               ? 0
               : connection->options.output.notice(connection->options.output.arg, notice);
}

/* ---- made and freed ---- */

int sl_connection_new(const struct sl_connection_options *options, sl_connection **ret_connection)
{
    sl_auto(sl_connection) *connection = sl_calloc(1, sizeof *connection);
    if (connection == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a connection");
    }
    connection->options = *options;
    connection->output = (sl_venue_output){.arg = connection,
                                           .event = on_event,
                                           .notice = on_notice,
                                           .expect = options->output.expect == NULL ? NULL : on_expected};
    sl_event_init(&connection->changed);
    sl_event_init(&connection->idle);
    sl_venue_decoder_options decoder = {.venue = options->driver->venue,
                                        .instruments = options->instruments,
                                        .connection = options->number,
                                        .message_max_bytes = options->message_bytes_max};
    SL_TRY(sl_venue_decoder_new(&decoder, &connection->decoder));
    SL_TRY(sl_subscriptions_new(options->driver, connection->decoder, &connection->subscriptions));
    *ret_connection = connection;
    connection = NULL;
    return 0;
}

void sl_connection_free(sl_connection *connection)
{
    if (connection != NULL) {
        sl_subscriptions_free(connection->subscriptions);
        sl_venue_decoder_free(connection->decoder);
        sl_free(connection);
    }
}

/* ---- sending ---- */

static int send_text(sl_connection *connection, const char *text, size_t size_bytes)
{
    return sl_ws_send(connection->ws, SL_WS_TEXT, text, size_bytes);
}

/* The receiver answers; a venue that does not read is noticed by its own pings. */
static void answer_ping(sl_connection *connection, sl_json_text text)
{
    int code = send_text(connection, text.data, text.size_bytes);
    if (code < 0 && connection->stats.problem[0] == '\0') {
        (void)snprintf(connection->stats.problem, sizeof connection->stats.problem, "cannot answer a ping: %s",
                       sl_strerror(code));
    }
}

static int send_ping(sl_connection *connection, sl_time now)
{
    const sl_venue_driver *driver = connection->options.driver;
    connection->ping_at = sl_time_add(now, driver->limits.ping_every);
    char text[256];
    int size = driver->ping(++connection->pings, text, sizeof text);
    SL_TRY(size);
    return send_text(connection, text, (size_t)size);
}

static sl_time silence_limit(const sl_connection *connection)
{
    return connection->options.silence != 0 ? connection->options.silence : connection->options.driver->limits.silence;
}

/* Whether the peer has said nothing for too long; else when that would be. */
static int check_silence(const sl_connection *connection, sl_time now, sl_time *ret_when)
{
    sl_time limit = silence_limit(connection);
    if (limit == 0) {
        return 0;
    }
    sl_time last = connection->stats.last_message_at;
    sl_time since = last > connection->stats.opened_at ? last : connection->stats.opened_at;
    since = since > connection->excused_at ? since : connection->excused_at;
    sl_time ends = sl_time_add(since, limit);
    if (ends <= now) {
        return sl_fail(SL_ETIMEDOUT, "no message for %lld ms", (long long)(limit / SL_MILLISECONDS(1)));
    }
    *ret_when = ends < *ret_when ? ends : *ret_when;
    return 0;
}

/*
 * Whether it brings no data although it did; else when to look again: when that would be said, but soon enough to notice that
 * it has brought enough to be judged by, or that less is allowed because its longest silence has faded.
 */
static int check_quiet(sl_connection *connection, sl_time now, sl_time *ret_when)
{
    const struct sl_connection_stats *stats = &connection->stats;
    sl_time again = sl_time_add(now, SL_CONNECTION_QUIET_MIN);
    if (stats->events >= SL_CONNECTION_QUIET_EVENTS) {
        sl_time limit = longest_quiet(connection, now) * SL_CONNECTION_QUIET_FACTOR;
        limit = limit < SL_CONNECTION_QUIET_MIN ? SL_CONNECTION_QUIET_MIN : limit;
        sl_time since = connection->quiet_since > stats->opened_at ? connection->quiet_since : stats->opened_at;
        since = since > connection->excused_at ? since : connection->excused_at;
        sl_time ends = sl_time_add(since, limit);
        if (ends <= now) {
            connection->cut_quiet = true;
            return sl_fail(SL_ETIMEDOUT, "no data for %lld ms on an open connection",
                           (long long)(limit / SL_MILLISECONDS(1)));
        }
        again = ends < again ? ends : again;
    }
    *ret_when = again < *ret_when ? again : *ret_when;
    return 0;
}

static void update_state(sl_connection *connection)
{
    connection->stats.state =
        sl_subscriptions_settled(connection->subscriptions) ? SL_CONNECTION_LIVE : SL_CONNECTION_SUBSCRIBING;
}

/* The age at which it is to be replaced; 0: at none. */
static sl_time replace_age(const struct sl_connection *connection)
{
    sl_time venue = AGE_SHARE(connection->options.driver->limits.max_age);
    sl_time own = connection->options.max_age;
    return own > 0 && (venue == 0 || own < venue) ? own : venue;
}

/* Sends what is due and finds out when the next thing is. */
static int send_due(sl_connection *connection, sl_time *ret_when)
{
    const sl_venue_driver *driver = connection->options.driver;
    for (;;) {
        size_t size_bytes = 0;
        int code = sl_subscriptions_next(connection->subscriptions, sl_now(), connection->control, CONTROL_BYTES,
                                         &size_bytes, ret_when);
        if (code == 0) {
            break;
        }
        if (code > 0) {
            SL_TRY(send_text(connection, connection->control, size_bytes));
        }
    }
    update_state(connection);
    sl_time now = sl_now();
    if (driver->ping != NULL && driver->limits.ping_every > 0) {
        if (connection->ping_at <= now) {
            SL_TRY(send_ping(connection, now));
        }
        *ret_when = connection->ping_at < *ret_when ? connection->ping_at : *ret_when;
    }
    sl_time age = replace_age(connection);
    if (age > 0) {
        sl_time old = sl_time_add(connection->stats.opened_at, age);
        connection->stats.replace = connection->stats.replace || old <= now;
        *ret_when = old > now && old < *ret_when ? old : *ret_when;
    }
    connection->excused_at = connection->busy ? now : connection->excused_at;
    SL_TRY(check_quiet(connection, now, ret_when));
    return check_silence(connection, now, ret_when);
}

/* What fails here ends the receiver, but not amid a message. */
static int fail_between_messages(sl_connection *connection, int code)
{
    while (connection->busy) {
        connection->awaited = true;
        sl_event_reset(&connection->idle);
        SL_TRY(sl_event_wait(&connection->idle));
    }
    return code;
}

/* A task beside the receiver: control messages, pings, and whether anybody is there. */
static int tend(void *arg)
{
    sl_connection *connection = arg;
    for (;;) {
        sl_event_reset(&connection->changed);
        sl_time when = SL_NEVER;
        int due = send_due(connection, &when);
        if (due < 0) {
            return due == SL_ECANCELED ? due : fail_between_messages(connection, due);
        }
        struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &connection->changed};
        sl_time now = sl_now();
        int code = sl_select(&clause, 1, when == SL_NEVER ? SL_NEVER : when > now ? when - now : 1);
        if (code < 0 && code != SL_ETIMEDOUT) {
            return code;
        }
    }
}

/* ---- receiving ---- */

static int on_bad(sl_connection *connection, const struct sl_ws_message *message, int64_t time_ns, int code)
{
    struct sl_connection_stats *stats = &connection->stats;
    stats->bad += code != SL_ENOTSUP;
    stats->unknown += code == SL_ENOTSUP;
    if (connection->options.bad == NULL) {
        return 0;
    }
    struct sl_bad_message bad = {.connection = connection,
                                 .text = message->data,
                                 .size_bytes = message->size_bytes,
                                 .receive_time_ns = time_ns,
                                 .code = code,
                                 .problem = sl_venue_problem(connection->decoder)};
    return connection->options.bad(connection->options.output.arg, &bad);
}

/* When a message came; on the wall clock a nanosecond later than the one before it, where they came together. */
static int64_t note_time(sl_connection *connection)
{
    uint64_t heard = sl_stream_counts_get(sl_ws_stream(connection->ws)).received_bytes;
    if (heard == connection->heard && ++connection->of_one_time < MESSAGES_OF_ONE_TIME) {
        return ++connection->wall_ns;
    }
    connection->heard = heard;
    connection->of_one_time = 0;
    connection->stats.last_message_at = sl_now();
    connection->wall_ns = sl_now_wall();
    connection->looks_ahead = connection->options.driver->look_ahead != NULL &&
                              sl_instruments_count(connection->options.instruments) >= LOOKS_AHEAD_INSTRUMENTS;
    return connection->wall_ns;
}

static int on_message(sl_connection *connection, const struct sl_ws_message *message)
{
    struct sl_connection_stats *stats = &connection->stats;
    stats->messages++;
    stats->bytes += message->size_bytes;
    int64_t time_ns = note_time(connection);
    if (connection->options.frame != NULL) {
        SL_TRY(connection->options.frame(connection->options.output.arg, connection, message->data, message->size_bytes,
                                         time_ns));
    }
    if (connection->looks_ahead) {
        struct sl_view ahead = sl_ws_ahead(connection->ws);
        connection->options.driver->look_ahead(connection->decoder, ahead.data, ahead.size_bytes);
    }
    sl_venue_message raw = {message->data, message->size_bytes, SL_JSON_PADDED, time_ns};
    int code = sl_venue_decode(connection->decoder, &raw, &connection->output);
    switch (code) {
    case SL_EPROTO:
    case SL_ENOTSUP:
    case SL_ERANGE:
    case SL_EMSGSIZE:
        return on_bad(connection, message, time_ns, code);
    default:
        return code;
    }
}

/* One message, wholly: sinks may make us wait amid it. */
static int deal_with(sl_connection *connection, const struct sl_ws_message *message)
{
    connection->busy = true;
    int code = on_message(connection, message);
    connection->busy = false;
    if (connection->awaited) {
        sl_event_set(&connection->idle);
    }
    if (code == 0 && connection->end_in != NULL) {
        sl_scope_cancel(connection->end_in, connection->end_why);
    }
    return code;
}

static int receive_all(sl_connection *connection)
{
    struct sl_ws_message message;
    for (bool healthy = connection->options.not_healthy_at_once;; healthy = true) {
        SL_TRY(sl_ws_receive(connection->ws, &message));
        SL_TRY(deal_with(connection, &message));
        if (connection->stats.state != SL_CONNECTION_LIVE) {
            update_state(connection);
        }
        if (!healthy) {
            int code = sl_healthy();
            (void)code; /* nobody supervises it: nobody counts its failures */
        }
    }
}

/* ---- connecting ---- */

/* One of the subscriptions says which of a venue's paths it is: all of them go by the same. */
static int make_path(sl_connection *connection)
{
    bool any = sl_subscriptions_count(connection->subscriptions) > 0;
    const sl_subscription *one = any ? sl_subscriptions_at(connection->subscriptions, 0, NULL) : NULL;
    int size = connection->options.driver->stream_path(one, any ? 1 : 0, connection->path, sizeof connection->path);
    return size < 0 ? size : 0;
}

static int connect(sl_connection *connection)
{
    const struct sl_connection_options *options = &connection->options;
    SL_TRY(make_path(connection));
    char url[URL_BYTES];
    const char *origin = options->origin != NULL ? options->origin : options->driver->stream_origin;
    int size = snprintf(url, sizeof url, "%s%s", origin, connection->path);
    if (size < 0 || (size_t)size >= sizeof url) {
        return sl_fail(SL_EMSGSIZE, "the URL of '%s' is too long", origin);
    }
    struct sl_ws_options ws = {.url = url,
                               .tls = options->tls,
                               .local_address = options->local_address,
                               .proxy = options->proxy,
                               .deflate = {.on = options->deflate},
                               .message_bytes_max = options->message_bytes_max != 0 ? options->message_bytes_max
                                                                                    : SL_VENUE_MESSAGE_DEFAULT_BYTES,
                               .handshake_timeout = options->timeout != 0 ? options->timeout : SL_CONNECTION_TIMEOUT};
    return sl_ws_connect_with(&ws, &connection->ws);
}

/* The open connection, to its end. */
static int follow(sl_connection *connection)
{
    struct sl_connection_stats *stats = &connection->stats;
    stats->opened++;
    stats->opened_at = sl_now();
    stats->opened_wall_ns = sl_now_wall();
    stats->replace = false;
    connection->heard = 0;
    connection->quiet_since = connection->cut_quiet ? connection->quiet_since : 0;
    connection->cut_quiet = false;
    connection->ping_at = sl_time_add(stats->opened_at, connection->options.driver->limits.ping_every);
    sl_subscriptions_connected(connection->subscriptions, true, stats->opened_at);
    update_state(connection);
    SL_SCOPE(scope, .name = "connection");
    int code = sl_spawn(&scope, tend, connection, .daemon = true, .name = "tend");
    code = code == 0 ? receive_all(connection) : code;
    return sl_scope_close(&scope, code);
}

static void note_end(sl_connection *connection, int code)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    const char *text = error == NULL ? "" : sl_error_message(error);
    int close_code = connection->ws == NULL ? 0 : sl_ws_close_code(connection->ws);
    if (close_code != 0) {
        (void)snprintf(connection->stats.problem, sizeof connection->stats.problem, "closed by the venue: %d %s",
                       close_code, sl_ws_close_reason(connection->ws));
    } else {
        (void)snprintf(connection->stats.problem, sizeof connection->stats.problem, "%s",
                       *text == '\0' ? sl_strerror(code) : text);
    }
}

static int run(sl_connection *connection)
{
    if (connection->options.connects != NULL) {
        connection->stats.state = SL_CONNECTION_WAITING;
        SL_TRY(sl_limiter_acquire(connection->options.connects, 1, SL_PRIORITY_NORMAL, NULL));
    }
    connection->stats.state = SL_CONNECTION_CONNECTING;
    SL_TRY(connect(connection));
    return follow(connection);
}

int sl_connection_run(void *arg)
{
    sl_connection *connection = arg;
    if (connection->running) {
        return sl_fail(SL_EBUSY, "the connection runs already");
    }
    connection->running = true;
    connection->busy = connection->awaited = false;
    connection->end_in = NULL;
    connection->stats.runs++;
    int code = run(connection);
    if (code != SL_ECANCELED) {
        note_end(connection, code);
    }
    if (code == SL_EOF) { /* an end in order has no story of its own */
        (void)sl_fail(code, "%s", connection->stats.problem);
    }
    sl_ws_free(connection->ws);
    connection->ws = NULL;
    sl_subscriptions_connected(connection->subscriptions, false, sl_now());
    connection->stats.state = SL_CONNECTION_IDLE;
    connection->running = false;
    return code;
}

void sl_connection_end(sl_connection *connection, sl_scope *scope, const char *why)
{
    if (connection->busy) {
        connection->end_in = scope;
        connection->end_why = why;
    } else {
        sl_scope_cancel(scope, why);
    }
}

/* ---- changes, and looking ---- */

int sl_connection_add(sl_connection *connection, const sl_subscription *what)
{
    int code = sl_subscriptions_add(connection->subscriptions, what);
    sl_event_set(&connection->changed);
    return code;
}

void sl_connection_remove(sl_connection *connection, const sl_subscription *what)
{
    sl_subscriptions_remove(connection->subscriptions, what);
    sl_event_set(&connection->changed);
}

int sl_connection_renew(sl_connection *connection, sl_feed feed, const sl_instrument *instrument)
{
    int code = sl_subscriptions_renew(connection->subscriptions, feed, instrument);
    sl_event_set(&connection->changed);
    return code;
}

void sl_connection_forgive(sl_connection *connection)
{
    sl_subscriptions_forgive(connection->subscriptions, sl_now());
    sl_event_set(&connection->changed);
}

struct sl_subscription_heard *sl_connection_heard(const sl_connection *connection, const sl_subscription *what)
{
    return sl_subscriptions_heard(connection->subscriptions, what);
}

const sl_subscriptions *sl_connection_subscriptions(const sl_connection *connection)
{
    return connection->subscriptions;
}

const struct sl_connection_stats *sl_connection_get_stats(const sl_connection *connection)
{
    return &connection->stats;
}

uint32_t sl_connection_number(const sl_connection *connection)
{
    return connection->options.number;
}

int64_t sl_connection_message_time(const sl_connection *connection)
{
    return connection->wall_ns;
}
