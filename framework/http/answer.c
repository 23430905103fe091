/* SPDX-License-Identifier: MIT */
/*
 * Writing answers. They are gathered in a bounded buffer, so that the answers to requests that came together go
 * out together; large bodies are not copied.
 */
#include <stdio.h>
#include <string.h>

#include "server.h"

#define CHUNK_HEAD_BYTES 20
#define HEAD_BYTES 256 /* of an answer, without its type and headers */

/* ---- small texts ---- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {{101, "Switching Protocols"},
                   {200, "OK"},
                   {201, "Created"},
                   {202, "Accepted"},
                   {204, "No Content"},
                   {206, "Partial Content"},
                   {301, "Moved Permanently"},
                   {302, "Found"},
                   {303, "See Other"},
                   {304, "Not Modified"},
                   {307, "Temporary Redirect"},
                   {308, "Permanent Redirect"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {418, "I'm a teapot"},
                   {422, "Unprocessable Content"},
                   {426, "Upgrade Required"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Other";
}

/* The first of January 1970 was a Thursday. */
static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* RFC 9110, 5.6.7. The calendar after Howard Hinnant's "chrono-compatible low-level date algorithms". */
static const char *date_text(struct sl__http_server *server)
{
    int64_t second = sl_now_wall() / 1000000000;
    if (second == server->date_second) {
        return server->date;
    }
    int64_t days = second / 86400;
    int clock = (int)(second % 86400);
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = (int)(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
    int month = (5 * day_of_year + 2) / 153; /* from March */
    int day = day_of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    int year = (int)(year_of_era + era * 400 + (month <= 2));
    char text[80];
    (void)snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", weekdays[days % 7], day, months[month - 1],
                   year, clock / 3600, clock / 60 % 60, clock % 60);
    memcpy(server->date, text, SL_HTTP_DATE_BYTES - 1);
    server->date_second = second;
    return server->date;
}

/* ---- the buffer ---- */

void sl__http_drop_out(struct sl__http_connection *connection)
{
    struct sl__http_server *server = connection->server;
    if (connection->out != NULL && server->outs_idle < SL_HTTP_OUT_IDLE_MAX) {
        server->outs[server->outs_idle++] = connection->out;
    } else {
        sl_free(connection->out);
    }
    connection->out = NULL;
    connection->out_bytes = 0;
}

/* What was gathered, then `data`, then `tail`. */
static int send_with(struct sl__http_connection *connection, struct sl_bytes data, struct sl_bytes tail)
{
    const struct sl_http_server_options *options = &connection->server->options;
    struct sl_bytes pieces[] = {{connection->out, connection->out_bytes}, data, tail};
    size_t bytes = connection->out_bytes + data.size_bytes + tail.size_bytes;
    if (connection->broken) {
        return sl_fail(SL_EPIPE, "an earlier write to this client failed");
    }
    if (bytes == 0) {
        return 0;
    }
    sl_scope limit = SL_SCOPE_INIT;
    sl_time allowed = (sl_time)(bytes / options->body_rate) * SL_SECONDS(1);
    SL_TRY(sl_scope_open(
        &limit, &(struct sl_scope_options){.name = "write", .timeout = sl_time_add(options->write_timeout, allowed)}));
    connection->out_bytes = 0; /* on their way: nobody else may send them */
    int code = sl__http_bounded(&limit, sl_stream_write_pieces(connection->stream, pieces, 3));
    if (code < 0) {
        connection->broken = true;
        connection->keep_alive = false;
        if (code == SL_ETIMEDOUT) {
            connection->server->counts->timeouts++;
            return sl_fail(SL_ETIMEDOUT, "the client took too long to read the answer");
        }
    }
    return code;
}

int sl__http_flush(struct sl__http_connection *connection)
{
    return connection->out_bytes == 0 ? 0
                                      : send_with(connection, (struct sl_bytes){NULL, 0}, (struct sl_bytes){NULL, 0});
}

void sl__http_flush_now(struct sl__http_connection *connection)
{
    size_t sent = 0;
    if (connection->stream == NULL || connection->broken || connection->out_bytes == 0) {
        return;
    }
    int code = sl_stream_write_now(connection->stream, connection->out, connection->out_bytes, &sent);
    connection->out_bytes -= sent;
    memmove(connection->out, connection->out + sent, connection->out_bytes);
    if (code < 0 && code != SL_EBUSY) {
        connection->broken = true;
        connection->keep_alive = false;
    }
}

/* Room for that many bytes, at most SL_HTTP_OUT_BYTES. */
static int reserve(struct sl__http_connection *connection, size_t size_bytes)
{
    struct sl__http_server *server = connection->server;
    if (connection->out == NULL) {
        connection->out = server->outs_idle > 0 ? server->outs[--server->outs_idle] : sl_malloc(SL_HTTP_OUT_BYTES);
        if (connection->out == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for an answer");
        }
    }
    return SL_HTTP_OUT_BYTES - connection->out_bytes < size_bytes ? sl__http_flush(connection) : 0;
}

static void append(struct sl__http_connection *connection, const void *data, size_t size_bytes)
{
    memcpy(connection->out + connection->out_bytes, data, size_bytes);
    connection->out_bytes += size_bytes;
}

static void append_text(struct sl__http_connection *connection, const char *text)
{
    append(connection, text, strlen(text));
}

static void append_number(struct sl__http_connection *connection, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    append(connection, digits + at, sizeof digits - at);
}

int sl__http_put(struct sl__http_connection *connection, const void *data, size_t size_bytes)
{
    struct sl_bytes bytes = {data, size_bytes};
    if (size_bytes > SL_HTTP_OUT_BYTES / 2) {
        return send_with(connection, bytes, (struct sl_bytes){NULL, 0});
    }
    SL_TRY(reserve(connection, size_bytes));
    append(connection, data, size_bytes);
    return 0;
}

int sl__http_continue(struct sl__http_connection *connection)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    bool due = connection->turn.continue_due;
    connection->turn.continue_due = false;
    return due ? sl__http_put(connection, text, sizeof text - 1) : 0;
}

/* ---- heads ---- */

static int check_field(const char *name, const char *value)
{
    struct sl_bytes name_text = {name, strlen(name)};
    struct sl_bytes value_text = {value, strlen(value)};
    if (name_text.size_bytes == 0 || !sl__http_all(name_text, sl__http_is_token) ||
        !sl__http_all(value_text, sl__http_is_value)) {
        return sl_fail(SL_EINVAL, "a header of the answer has characters that none may have");
    }
    if (sl__http_same(name_text, "content-length") || sl__http_same(name_text, "transfer-encoding")) {
        return sl_fail(SL_EINVAL, "'%s' is the server's own to set", name);
    }
    return 0;
}

/* How large the head can become; checks it. */
static int measure(const struct sl_http_answer *answer, size_t *ret_bytes)
{
    *ret_bytes = HEAD_BYTES;
    if (answer->status < 200 || answer->status > 599) {
        return sl_fail(SL_EINVAL, "%d is no status of an answer", answer->status);
    }
    if (answer->content_type != NULL) {
        SL_TRY(check_field("Content-Type", answer->content_type));
        *ret_bytes += strlen(answer->content_type);
    }
    for (size_t i = 0; i < answer->header_count; i++) {
        SL_TRY(check_field(answer->headers[i].name, answer->headers[i].value));
        *ret_bytes += strlen(answer->headers[i].name) + strlen(answer->headers[i].value) + 4;
    }
    return *ret_bytes <= SL_HTTP_OUT_BYTES ? 0 : sl_fail(SL_EMSGSIZE, "the head of the answer is too large");
}

static void append_field(struct sl__http_connection *connection, const char *name, const char *value)
{
    append_text(connection, name);
    append(connection, ": ", 2);
    append_text(connection, value);
    append(connection, "\r\n", 2);
}

static void append_status(struct sl__http_connection *connection, int status)
{
    append(connection, "HTTP/1.1 ", 9);
    append_number(connection, (uint64_t)status);
    append(connection, " ", 1);
    append_text(connection, reason_of(status));
    append(connection, "\r\nDate: ", 8);
    append(connection, date_text(connection->server), SL_HTTP_DATE_BYTES - 1);
    append(connection, "\r\n", 2);
}

/* `framing` and `length` as they are told to the client. */
static int put_head(struct sl__http_connection *connection, const struct sl_http_answer *answer,
                    enum sl__http_framing framing, uint64_t length)
{
    size_t bytes;
    SL_TRY(measure(answer, &bytes));
    SL_TRY(reserve(connection, bytes));
    append_status(connection, answer->status);
    if (answer->content_type != NULL) {
        append_field(connection, "Content-Type", answer->content_type);
    }
    for (size_t i = 0; i < answer->header_count; i++) {
        append_field(connection, answer->headers[i].name, answer->headers[i].value);
    }
    if (framing == SL_HTTP_CHUNKED) {
        append_text(connection, "Transfer-Encoding: chunked\r\n");
    } else if (framing == SL_HTTP_BY_LENGTH) {
        append_text(connection, "Content-Length: ");
        append_number(connection, length);
        append(connection, "\r\n", 2);
    }
    if (!connection->keep_alive) {
        append_text(connection, "Connection: close\r\n");
    } else if (connection->request.parser.http_minor == 0) {
        append_text(connection, "Connection: keep-alive\r\n");
    }
    append(connection, "\r\n", 2);
    return 0;
}

static bool has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* What every answer begins with. */
static int begin(struct sl__http_connection *connection, const struct sl_http_answer *answer)
{
    if (connection->turn.begun) {
        return sl_fail(SL_EALREADY, "the request was answered already");
    }
    if (connection->stream == NULL) {
        return sl_fail(SL_EMISUSE, "the connection was taken over");
    }
    if (answer->close || connection->server->draining || connection->turn.watched) {
        connection->keep_alive = false;
    }
    return 0;
}

int sl__http_answer(struct sl__http_connection *connection, const struct sl_http_answer *answer)
{
    struct sl__http_turn *turn = &connection->turn;
    SL_TRY(begin(connection, answer));
    connection->keep_alive &= sl__http_skip_body(connection);
    bool none = has_no_body(answer->status);
    SL_TRY(put_head(connection, answer, none ? SL_HTTP_NO_BODY : SL_HTTP_BY_LENGTH, answer->body_bytes));
    turn->begun = turn->ended = true;
    if (none || turn->head_only || answer->body_bytes == 0) {
        return 0;
    }
    if (SL_HTTP_OUT_BYTES - connection->out_bytes >= answer->body_bytes) {
        append(connection, answer->body, answer->body_bytes);
        return 0;
    }
    return send_with(connection, (struct sl_bytes){answer->body, answer->body_bytes}, (struct sl_bytes){NULL, 0});
}

/* ---- for handlers ---- */

int sl_http_respond_with(sl_http_exchange *exchange, const struct sl_http_answer *answer)
{
    int code = sl__http_answer(exchange->connection, answer);
    exchange->answered = exchange->connection->turn.begun;
    return code;
}

int sl_http_respond(sl_http_exchange *exchange, int status, const char *content_type, const void *body,
                    size_t body_bytes)
{
    return sl_http_respond_with(
        exchange, &(struct sl_http_answer){
                      .status = status, .content_type = content_type, .body = body, .body_bytes = body_bytes});
}

int sl_http_begin(sl_http_exchange *exchange, const struct sl_http_answer *answer)
{
    struct sl__http_connection *connection = exchange->connection;
    struct sl__http_turn *turn = &connection->turn;
    SL_TRY(begin(connection, answer));
    SL_TRY(sl__http_continue(connection)); /* the handler may still want the body, and later would be too late to ask */
    enum sl__http_framing framing = SL_HTTP_CHUNKED;
    if (has_no_body(answer->status)) {
        framing = SL_HTTP_NO_BODY;
    } else if (answer->body_bytes > 0) {
        framing = SL_HTTP_BY_LENGTH;
    } else if (connection->request.parser.http_minor == 0) {
        framing = SL_HTTP_UNTIL_END;
        connection->keep_alive = false;
    }
    SL_TRY(put_head(connection, answer, framing, answer->body_bytes));
    turn->framing = framing;
    turn->left = answer->body_bytes;
    turn->begun = true;
    exchange->answered = true;
    return 0;
}

static int write_chunk(struct sl__http_connection *connection, const void *data, size_t size_bytes)
{
    char head[CHUNK_HEAD_BYTES];
    int length = snprintf(head, sizeof head, "%zx\r\n", size_bytes);
    struct sl_bytes tail = {"\r\n", 2};
    bool large = size_bytes > SL_HTTP_OUT_BYTES / 2;
    SL_TRY(reserve(connection, (size_t)length + (large ? 0 : size_bytes + 2)));
    append(connection, head, (size_t)length);
    if (large) {
        return send_with(connection, (struct sl_bytes){data, size_bytes}, tail);
    }
    append(connection, data, size_bytes);
    append(connection, tail.data, tail.size_bytes);
    return 0;
}

int sl_http_write(sl_http_exchange *exchange, const void *data, size_t size_bytes)
{
    struct sl__http_connection *connection = exchange->connection;
    struct sl__http_turn *turn = &connection->turn;
    if (!turn->begun || turn->ended) {
        return sl_fail(SL_EMISUSE, "sl_http_write(): not between begin and end");
    }
    if (turn->framing == SL_HTTP_NO_BODY || (turn->framing == SL_HTTP_BY_LENGTH && size_bytes > turn->left)) {
        return sl_fail(SL_EMISUSE, "sl_http_write(): more bytes than the answer was to have");
    }
    turn->left -= turn->framing == SL_HTTP_BY_LENGTH ? size_bytes : 0;
    if (turn->head_only || size_bytes == 0) {
        return 0;
    }
    return turn->framing == SL_HTTP_CHUNKED ? write_chunk(connection, data, size_bytes)
                                            : sl__http_put(connection, data, size_bytes);
}

int sl__http_finish_answer(struct sl__http_connection *connection)
{
    struct sl__http_turn *turn = &connection->turn;
    if (!turn->begun || turn->ended) {
        return sl_fail(SL_EMISUSE, "sl_http_end(): no answer was begun, or it has ended");
    }
    if (turn->framing == SL_HTTP_BY_LENGTH && turn->left > 0 && !turn->head_only) {
        connection->keep_alive = false;
        return sl_fail(SL_EMISUSE, "the answer is %llu bytes shorter than it said", (unsigned long long)turn->left);
    }
    turn->ended = true;
    return turn->framing == SL_HTTP_CHUNKED && !turn->head_only ? sl__http_put(connection, "0\r\n\r\n", 5) : 0;
}

int sl_http_end(sl_http_exchange *exchange)
{
    return sl__http_finish_answer(exchange->connection);
}

int sl_http_flush(sl_http_exchange *exchange)
{
    return sl__http_flush(exchange->connection);
}
