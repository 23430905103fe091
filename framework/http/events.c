/* SPDX-License-Identifier: MIT */
/* Answers that last: noticing that the client has gone, and server-sent events (WHATWG HTML, section 9.2). */
#include <stdio.h>
#include <string.h>

#include "server.h"

/* ---- watching the client ---- */

static int watch_client(void *arg)
{
    struct sl__http_connection *connection = arg;
    struct sl_view view = sl_stream_buffered(connection->stream);
    int code = 0;
    while (code == 0 && view.size_bytes < SL_STREAM_READ_AHEAD_BYTES) { /* what it sends meanwhile is not for us */
        code = sl_stream_peek(connection->stream, view.size_bytes + 1, &view);
    }
    if (code < 0 && code != SL_ECANCELED) {
        connection->turn.gone = true;
        sl_scope_cancel_for(connection->turn.scope, SL_CAUSE_LOST, "the client hung up");
        return 0;
    }
    return code;
}

int sl_http_watch(sl_http_exchange *exchange)
{
    struct sl__http_connection *connection = exchange->connection;
    struct sl__http_turn *turn = &connection->turn;
    if (turn->watched) {
        return sl_fail(SL_EALREADY, "the client is watched already");
    }
    SL_TRY(sl__http_message_keep(&connection->request)); /* reading ahead moves what lies in the buffer */
    SL_TRY(sl_spawn(turn->scope, watch_client, connection, .name = "client", .daemon = true));
    turn->watched = true;
    connection->keep_alive = false;
    return 0;
}

/* ---- events ---- */

int sl_http_events_begin(sl_http_exchange *exchange)
{
    static const struct sl_http_field headers[] = {{"Cache-Control", "no-store"}};
    SL_TRY(sl_http_watch(exchange));
    SL_TRY(sl_http_begin(
        exchange, &(struct sl_http_answer){
                      .status = 200, .content_type = "text/event-stream", .headers = headers, .header_count = 1}));
    return sl_http_flush(exchange);
}

static int write_text(sl_http_exchange *exchange, const char *text)
{
    return sl_http_write(exchange, text, strlen(text));
}

static int write_line(sl_http_exchange *exchange, const char *name, struct sl_bytes value)
{
    SL_TRY(write_text(exchange, name));
    SL_TRY(sl_http_write(exchange, value.data, value.size_bytes));
    return sl_http_write(exchange, "\n", 1);
}

static int check_line(const char *text)
{
    return text == NULL || text[strcspn(text, "\r\n")] == '\0'
               ? 0
               : sl_fail(SL_EINVAL, "an event's type and id have no line breaks");
}

/* Each line of the data is a field; CR, LF and CR LF end a line. */
static int write_lines(sl_http_exchange *exchange, const char *name, const char *data, size_t size_bytes)
{
    const char *end = data + size_bytes;
    do {
        const char *stop = data;
        while (stop < end && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        SL_TRY(write_line(exchange, name, (struct sl_bytes){data, (size_t)(stop - data)}));
        bool pair = end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n';
        data = stop + 1 + pair;
    } while (data < end);
    return 0;
}

int sl_http_events_send(sl_http_exchange *exchange, const struct sl_http_event *event)
{
    SL_TRY(check_line(event->event));
    SL_TRY(check_line(event->id));
    if (event->event != NULL) {
        SL_TRY(write_line(exchange, "event: ", (struct sl_bytes){event->event, strlen(event->event)}));
    }
    if (event->id != NULL) {
        SL_TRY(write_line(exchange, "id: ", (struct sl_bytes){event->id, strlen(event->id)}));
    }
    if (event->retry > 0) {
        char text[32];
        int length = snprintf(text, sizeof text, "%lld", (long long)(event->retry / SL_MILLISECONDS(1)));
        SL_TRY(write_line(exchange, "retry: ", (struct sl_bytes){text, (size_t)length}));
    }
    if (event->data != NULL) {
        SL_TRY(write_lines(exchange, "data: ", event->data, event->data_bytes));
    }
    SL_TRY(write_text(exchange, "\n"));
    return sl_http_flush(exchange);
}

int sl_http_events_comment(sl_http_exchange *exchange, const char *text)
{
    SL_TRY(write_lines(exchange, ": ", text, strlen(text)));
    SL_TRY(write_text(exchange, "\n"));
    return sl_http_flush(exchange);
}
