/* SPDX-License-Identifier: MIT */
/* The sink into PostgreSQL: see postgresql.h. libpq is used without blocking, so that every wait has an end. */
#include "postgresql.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "sinks/postgresql_schema.h"
#include "sluice/thread.h"

#define SQL_MAX 2048
#define COPY_PIECE ((size_t)1 << 20)

/* A stop is seen after so long. */
#define LOOK_EVERY_MS 100

struct rows {
    char *data;
    size_t size_bytes, capacity_bytes;
    uint64_t count;
};

typedef struct sl_postgresql_sink {
    sl_sink sink;
    char target[SL_POSTGRESQL_TARGET_MAX];
    sl_time timeout;
    PGconn *connection;
    struct rows rows[SL_EVENT_KIND_COUNT];
} sl_postgresql_sink;

/* The first line of what libpq says; it names no passwords. */
static int fail(const sl_postgresql_sink *sink, int code, const char *what)
{
    const char *text = PQerrorMessage(sink->connection);
    return sl_fail(code, "PostgreSQL: %s: %.*s", what, (int)strcspn(text, "\n"), text);
}

/* Until the socket is ready: libpq, when it connects, believes that it is when it is called. */
static int wait_for(const sl_postgresql_sink *sink, short events, sl_time until)
{
    struct pollfd socket = {.fd = PQsocket(sink->connection), .events = events};
    if (socket.fd < 0) {
        return fail(sink, SL_ECONNRESET, "the connection is gone");
    }
    for (;;) {
        sl_time left = until - sl_now();
        if (left <= 0) {
            return sl_fail(SL_ETIMEDOUT, "PostgreSQL does not answer");
        }
        if (sl_offload_cancelled(NULL, 0) == SL_ECANCELED) {
            return SL_ECANCELED;
        }
        int64_t left_ms = left / 1000000 + 1;
        int count = poll(&socket, 1, left_ms > LOOK_EVERY_MS ? LOOK_EVERY_MS : (int)left_ms);
        if (count != 0) {
            return count < 0 && errno != EINTR ? -errno : 0;
        }
    }
}

/* Sends what libpq holds. */
static int flush(const sl_postgresql_sink *sink, sl_time until)
{
    for (;;) {
        int left = PQflush(sink->connection);
        if (left < 0) {
            return fail(sink, SL_ECONNRESET, "cannot send");
        }
        if (left == 0) {
            return 0;
        }
        SL_TRY(wait_for(sink, POLLIN | POLLOUT, until));
        if (PQconsumeInput(sink->connection) == 0) {
            return fail(sink, SL_ECONNRESET, "cannot receive");
        }
    }
}

/* The next result, NULL when there is none any more. */
static int next_result(const sl_postgresql_sink *sink, sl_time until, PGresult **ret_result)
{
    while (PQisBusy(sink->connection) != 0) {
        SL_TRY(wait_for(sink, POLLIN, until));
        if (PQconsumeInput(sink->connection) == 0) {
            return fail(sink, SL_ECONNRESET, "cannot receive");
        }
    }
    *ret_result = PQgetResult(sink->connection);
    return 0;
}

/* What a failed command's SQLSTATE means: data that is out of range, against a constraint or too large stays so. */
static int code_of(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool data =
        state != NULL && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "54", 2) == 0);
    return data ? SL_EINVAL : SL_EPROTO;
}

/* Takes all results of a command; `expected` is the last one's status. How many rows it changed. */
static int finish(const sl_postgresql_sink *sink, ExecStatusType expected, const char *what, uint64_t *ret_rows)
{
    sl_time until = sl_time_add(sl_now(), sink->timeout);
    int code = 0;
    SL_TRY(flush(sink, until));
    for (;;) {
        PGresult *result = NULL;
        SL_TRY(next_result(sink, until, &result));
        if (result == NULL) {
            return code;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status != expected) {
            code = fail(sink, code_of(result), what);
        } else if (ret_rows != NULL) {
            *ret_rows = 0;
            for (const char *digit = PQcmdTuples(result); *digit >= '0' && *digit <= '9'; digit++) {
                *ret_rows = *ret_rows * 10 + (uint64_t)(*digit - '0');
            }
        }
        PQclear(result);
        if (status == PGRES_COPY_IN) {
            return code; /* the rest comes when the data has been sent */
        }
    }
}

static int run(const sl_postgresql_sink *sink, const char *sql, uint64_t *ret_rows)
{
    if (PQsendQuery(sink->connection, sql) == 0) {
        return fail(sink, SL_ECONNRESET, "cannot send");
    }
    return finish(sink, PGRES_COMMAND_OK, "a command failed", ret_rows);
}

/* ---- tables ---- */

/* The version that the tables have. */
static int check_version(const sl_postgresql_sink *sink)
{
    int code = 0;
    PGresult *result = NULL;
    sl_time until = sl_time_add(sl_now(), sink->timeout);
    if (PQsendQuery(sink->connection, "SELECT version FROM sluice_schema") == 0) {
        return fail(sink, SL_ECONNRESET, "cannot send");
    }
    SL_TRY(flush(sink, until));
    SL_TRY(next_result(sink, until, &result));
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        code = fail(sink, SL_EPROTO, "cannot read sluice_schema");
    } else if (PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 0), "1") != 0) {
        code = sl_fail(SL_EEXIST, "PostgreSQL: the tables are of another version than %d", SL_POSTGRESQL_SCHEMA);
    }
    while (result != NULL) {
        PQclear(result);
        result = NULL;
        SL_TRY(next_result(sink, until, &result));
    }
    return code;
}

static int set_up(const sl_postgresql_sink *sink)
{
    char sql[SQL_MAX];
    /* Two processes that make the tables at once take turns. DO gives no rows, unlike SELECT. */
    SL_TRY(run(sink, "SET client_min_messages = error", NULL));
    SL_TRY(run(sink, "BEGIN", NULL));
    SL_TRY(run(sink, "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1397506377); END $$", NULL));
    SL_TRY(run(sink, "CREATE TABLE IF NOT EXISTS sluice_schema (version int PRIMARY KEY)", NULL));
    SL_TRY(run(sink, "INSERT INTO sluice_schema SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM sluice_schema)", NULL));
    SL_TRY(check_version(sink));
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        const struct sl__postgresql_table *table = &sl__postgresql_tables[kind];
        (void)snprintf(sql, sizeof(sql), "CREATE TABLE IF NOT EXISTS %s (%s, %s, PRIMARY KEY (%s))", table->name,
                       sl__postgresql_head, table->columns, table->key);
        SL_TRY(run(sink, sql, NULL));
        (void)snprintf(sql, sizeof(sql), "CREATE TEMP TABLE stage_%s (%s, %s) ON COMMIT DELETE ROWS", table->name,
                       sl__postgresql_head, table->columns);
        SL_TRY(run(sink, sql, NULL));
    }
    return run(sink, "COMMIT", NULL);
}

static void postgresql_close(sl_sink *base)
{
    sl_postgresql_sink *sink = (sl_postgresql_sink *)base;
    PQfinish(sink->connection);
    sink->connection = NULL;
}

static int connect_in_time(sl_postgresql_sink *sink)
{
    sl_time until = sl_time_add(sl_now(), sink->timeout);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    sink->connection = PQconnectStart(sink->target);
    if (sink->connection == NULL) {
        return SL_ENOMEM;
    }
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || PQstatus(sink->connection) == CONNECTION_BAD) {
            return fail(sink, -ECONNREFUSED, "cannot connect");
        }
        SL_TRY(wait_for(sink, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until));
        state = PQconnectPoll(sink->connection);
    }
    return PQsetnonblocking(sink->connection, 1) == 0 ? 0 : fail(sink, SL_EINTERNAL, "cannot go on without blocking");
}

static int postgresql_open(sl_sink *base, sl_scope *scope)
{
    sl_postgresql_sink *sink = (sl_postgresql_sink *)base;
    (void)scope;
    if (sink->connection != NULL) {
        return 0;
    }
    int code = connect_in_time(sink);
    code = code == 0 ? set_up(sink) : code;
    if (code < 0) {
        postgresql_close(base);
    }
    return code;
}

/* ---- batches ---- */

static int add_row(sl_postgresql_sink *sink, const sl_market_event *event, sl_stamp stamp)
{
    struct rows *rows = &sink->rows[event->kind];
    size_t needed = rows->size_bytes + sl__postgresql_row_bound(event);
    if (needed > rows->capacity_bytes) {
        size_t capacity = needed < 65536 ? 65536 : needed * 2;
        char *data = sl_realloc(rows->data, capacity);
        if (data == NULL) {
            return SL_ENOMEM;
        }
        rows->data = data;
        rows->capacity_bytes = capacity;
    }
    rows->size_bytes += sl__postgresql_row_write(event, stamp, rows->data + rows->size_bytes);
    rows->count++;
    return 0;
}

static int copy_rows(const sl_postgresql_sink *sink, const char *name, const struct rows *rows)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "COPY stage_%s FROM STDIN", name);
    if (PQsendQuery(sink->connection, sql) == 0) {
        return fail(sink, SL_ECONNRESET, "cannot send");
    }
    SL_TRY(finish(sink, PGRES_COPY_IN, "cannot begin to copy", NULL));
    for (size_t at = 0; at < rows->size_bytes;) {
        size_t piece = rows->size_bytes - at < COPY_PIECE ? rows->size_bytes - at : COPY_PIECE;
        int sent = PQputCopyData(sink->connection, rows->data + at, (int)piece);
        if (sent < 0) {
            return fail(sink, SL_ECONNRESET, "cannot copy");
        }
        at += sent > 0 ? piece : 0;
        SL_TRY(flush(sink, sl_time_add(sl_now(), sink->timeout)));
    }
    while (true) {
        int sent = PQputCopyEnd(sink->connection, NULL);
        if (sent < 0) {
            return fail(sink, SL_ECONNRESET, "cannot end the copy");
        }
        if (sent > 0) {
            return finish(sink, PGRES_COMMAND_OK, "cannot copy", NULL);
        }
        SL_TRY(flush(sink, sl_time_add(sl_now(), sink->timeout)));
    }
}

static int store_kind(const sl_postgresql_sink *sink, const struct sl__postgresql_table *table, const struct rows *rows,
                      sl_sink_result *result)
{
    char sql[SQL_MAX];
    uint64_t stored = 0;
    SL_TRY(copy_rows(sink, table->name, rows));
    if (table->order == NULL) {
        (void)snprintf(sql, sizeof(sql), "INSERT INTO %s SELECT * FROM stage_%s ON CONFLICT (%s) %s", table->name,
                       table->name, table->key, table->conflict);
    } else {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO %s SELECT DISTINCT ON (%s) * FROM stage_%s s WHERE %s IS NULL ORDER BY %s"
                       " ON CONFLICT (%s) %s",
                       table->name, table->same == NULL ? table->key : table->same, table->name,
                       table->known == NULL ? "NULL" : table->known, table->order, table->key, table->conflict);
    }
    SL_TRY(run(sink, sql, &stored));
    stored = stored < rows->count ? stored : rows->count;
    result->written += stored;
    result->repeated += rows->count - stored;
    return 0;
}

static int store_all(const sl_postgresql_sink *sink, sl_sink_result *result)
{
    SL_TRY(run(sink, "BEGIN", NULL));
    for (int kind = SL_EVENT_TRADE; kind < SL_EVENT_KIND_COUNT; kind++) {
        if (sink->rows[kind].count > 0) {
            SL_TRY(store_kind(sink, &sl__postgresql_tables[kind], &sink->rows[kind], result));
        }
    }
    return run(sink, "COMMIT", NULL);
}

static int postgresql_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_postgresql_sink *sink = (sl_postgresql_sink *)base;
    sl_market_event event;
    sl_stamp stamp;
    for (int kind = 0; kind < SL_EVENT_KIND_COUNT; kind++) {
        sink->rows[kind].size_bytes = 0;
        sink->rows[kind].count = 0;
    }
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            SL_TRY(code);
            break;
        }
        SL_TRY(add_row(sink, &event, stamp));
    }
    int code = store_all(sink, result);
    if (code == SL_EINVAL) { /* the session goes on; what was said stays the last word */
        SL_TRY(run(sink, "ROLLBACK", NULL));
    }
    return code;
}

static void postgresql_free(sl_sink *base)
{
    sl_postgresql_sink *sink = (sl_postgresql_sink *)base;
    postgresql_close(base);
    for (int kind = 0; kind < SL_EVENT_KIND_COUNT; kind++) {
        sl_free(sink->rows[kind].data);
    }
    explicit_bzero(sink->target, sizeof(sink->target));
    sl_free(sink);
}

int sl_postgresql_sink_new(const sl_postgresql_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"postgresql",     true,           postgresql_open, postgresql_write,
                                          postgresql_close, postgresql_free};
    if (options->target == NULL || strlen(options->target) >= SL_POSTGRESQL_TARGET_MAX || options->timeout < 0) {
        return sl_fail(SL_EINVAL, "sink postgresql: the target or the timeout is out of range");
    }
    sl_postgresql_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    sink->timeout = options->timeout == 0 ? SL_POSTGRESQL_TIMEOUT : options->timeout;
    memcpy(sink->target, options->target, strlen(options->target) + 1);
    *ret_sink = &sink->sink;
    return 0;
}
