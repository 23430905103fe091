/* SPDX-License-Identifier: MIT */
/* The sink into SQLite. See sqlite.h. */
#include "sqlite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

/* PRAGMA application_id: "SLUI". */
#define APPLICATION_ID 0x534c5549

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    TRADE,
    BEST,
    GAP,
    STATEMENT_COUNT,
};

struct sl_sqlite {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    size_t batch_events;
    bool in_transaction;
    size_t new_rows; /* in the open transaction */
    size_t old_rows;
    sl_sqlite_stats stats;
    char problem[SL_SQLITE_PROBLEM_MAX];
};

/*
 * The tables are sorted by their identity (WITHOUT ROWID): there is no second index to keep. STRICT makes
 * SQLite refuse a value of the wrong type.
 */
static const char schema[] = "CREATE TABLE trades ("
                             " venue TEXT NOT NULL, instrument TEXT NOT NULL, channel TEXT NOT NULL,"
                             " trade_id INTEGER NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,"
                             " price TEXT NOT NULL, quantity TEXT NOT NULL, taker TEXT NOT NULL,"
                             " off_book INTEGER NOT NULL, venue_time_ns INTEGER NOT NULL,"
                             " receive_time_ns INTEGER NOT NULL,"
                             " PRIMARY KEY (venue, instrument, channel, trade_id)) STRICT, WITHOUT ROWID;"
                             "CREATE TABLE top_of_book ("
                             " venue TEXT NOT NULL, instrument TEXT NOT NULL, channel TEXT NOT NULL,"
                             " update_id INTEGER NOT NULL, bid_price TEXT NOT NULL, bid_quantity TEXT NOT NULL,"
                             " ask_price TEXT NOT NULL, ask_quantity TEXT NOT NULL, venue_time_ns INTEGER NOT NULL,"
                             " receive_time_ns INTEGER NOT NULL,"
                             " PRIMARY KEY (venue, instrument, channel, update_id)) STRICT, WITHOUT ROWID;"
                             "CREATE TABLE gaps ("
                             " venue TEXT NOT NULL, instrument TEXT NOT NULL, channel TEXT NOT NULL,"
                             " from_id INTEGER NOT NULL, to_id INTEGER NOT NULL, reason TEXT NOT NULL,"
                             " seen_time_ns INTEGER NOT NULL, healed_time_ns INTEGER, healed_id INTEGER,"
                             " PRIMARY KEY (venue, instrument, channel, from_id)) STRICT, WITHOUT ROWID;";

/* ON CONFLICT names the identity: INSERT OR IGNORE would also swallow values that are missing or of a wrong type. */
static const char *const texts[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [TRADE] = "INSERT INTO trades (venue, instrument, channel, trade_id, first_id, last_id, price, quantity, taker,"
              " off_book, venue_time_ns, receive_time_ns) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
              " ON CONFLICT (venue, instrument, channel, trade_id) DO NOTHING",
    [BEST] = "INSERT INTO top_of_book (venue, instrument, channel, update_id, bid_price, bid_quantity, ask_price,"
             " ask_quantity, venue_time_ns, receive_time_ns) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"
             " ON CONFLICT (venue, instrument, channel, update_id) DO NOTHING",
    /* A gap is written when it is seen and again when it is healed: the second adds to the first. */
    [GAP] = "INSERT INTO gaps (venue, instrument, channel, from_id, to_id, reason, seen_time_ns, healed_time_ns,"
            " healed_id) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"
            " ON CONFLICT (venue, instrument, channel, from_id) DO UPDATE SET"
            " to_id = CASE WHEN to_id = 0 THEN excluded.to_id ELSE to_id END,"
            " healed_time_ns = excluded.healed_time_ns, healed_id = excluded.healed_id"
            " WHERE healed_time_ns IS NULL AND excluded.healed_time_ns IS NOT NULL",
};

/* What the statements are for, in messages. */
static const char *const purposes[STATEMENT_COUNT] = {
    [BEGIN] = "cannot begin a transaction", [COMMIT] = "cannot commit",      [ROLLBACK] = "cannot roll back",
    [TRADE] = "cannot store a trade",       [BEST] = "cannot store the top", [GAP] = "cannot store a gap",
};

static int code_of(int status)
{
    switch (status & 0xff) {
    case SQLITE_NOMEM:
        return SL_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SL_EBUSY;
    case SQLITE_NOTADB:
        return SL_EEXIST;
    case SQLITE_CANTOPEN:
        return SL_ENOENT;
    default:
        return SL_EINTERNAL;
    }
}

/* Notes SQLite's own text for what has just failed. */
static int fail(sl_sqlite *sink, const char *what, int status)
{
    const char *text = sink->database != NULL ? sqlite3_errmsg(sink->database) : sqlite3_errstr(status);
    (void)snprintf(sink->problem, sizeof(sink->problem), "%s: %s (SQLite %d)", what, text, status);
    return code_of(status);
}

/* Runs a prepared statement that returns no rows. */
static int run(sl_sqlite *sink, enum statement index)
{
    sqlite3_stmt *statement = sink->statements[index];
    int status = sqlite3_step(statement);
    int code = status == SQLITE_DONE ? 0 : fail(sink, purposes[index], status);
    (void)sqlite3_reset(statement); /* repeats the status of the step */
    return code;
}

static int execute(sl_sqlite *sink, const char *sql)
{
    int status = sqlite3_exec(sink->database, sql, NULL, NULL, NULL);
    return status == SQLITE_OK ? 0 : fail(sink, "cannot set up the database", status);
}

/* The integer that a pragma has. */
static int read_pragma(sl_sqlite *sink, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(sink->database, sql, -1, &statement, NULL);
    if (status == SQLITE_OK) {
        status = sqlite3_step(statement);
    }
    int code = status == SQLITE_ROW ? 0 : fail(sink, "cannot read the database", status);
    *ret_value = code == 0 ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_finalize(statement);
    return code;
}

/* Looks whose file it is: 1 ours, 0 an empty one; SL_EEXIST for anything else. */
static int inspect(sl_sqlite *sink)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    SL_TRY(read_pragma(sink, "PRAGMA application_id", &application));
    SL_TRY(read_pragma(sink, "PRAGMA user_version", &version));
    SL_TRY(read_pragma(sink, "SELECT count(*) FROM sqlite_schema", &tables));
    if (application == 0 && version == 0 && tables == 0) {
        return 0;
    }
    if (application != APPLICATION_ID) {
        (void)snprintf(sink->problem, sizeof(sink->problem), "the file is a database of another program");
        return SL_EEXIST;
    }
    if (version != SL_SQLITE_SCHEMA) {
        (void)snprintf(sink->problem, sizeof(sink->problem), "the tables are of version %" PRId64 ", not %d", version,
                       SL_SQLITE_SCHEMA);
        return SL_EEXIST;
    }
    return 1;
}

/* Creates the tables in an empty file. */
static int ensure_schema(sl_sqlite *sink)
{
    char sql[96];
    SL_TRY(execute(sink, "BEGIN IMMEDIATE")); /* two processes may do this at once */
    int code = inspect(sink);
    if (code == 0) {
        (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID,
                       SL_SQLITE_SCHEMA);
        SL_TRY(execute(sink, schema));
        SL_TRY(execute(sink, sql));
    }
    SL_TRY(code);
    return execute(sink, "COMMIT");
}

static int prepare(sl_sqlite *sink, enum statement index)
{
    int status =
        sqlite3_prepare_v3(sink->database, texts[index], -1, SQLITE_PREPARE_PERSISTENT, &sink->statements[index], NULL);
    return status == SQLITE_OK ? 0 : fail(sink, "cannot prepare a statement", status);
}

static int set_up(sl_sqlite *sink, const sl_sqlite_options *options)
{
    /* One thread at a time is the contract, so that SQLite need not lock. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int status = sqlite3_open_v2(options->path, &sink->database, flags, NULL);
    if (status != SQLITE_OK) {
        return fail(sink, "cannot open the file", status);
    }
    (void)sqlite3_extended_result_codes(sink->database, 1);
    int busy_ms = options->busy_timeout_ms == 0 ? SL_SQLITE_BUSY_DEFAULT_MS : options->busy_timeout_ms;
    (void)sqlite3_busy_timeout(sink->database, busy_ms);
    SL_TRY(inspect(sink)); /* before anything in the file is changed */
    SL_TRY(execute(sink, "PRAGMA journal_mode = WAL"));
    SL_TRY(execute(sink, options->sync_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
    SL_TRY(ensure_schema(sink));
    for (enum statement index = 0; index < STATEMENT_COUNT; index++) {
        SL_TRY(prepare(sink, index));
    }
    return 0;
}

int sl_sqlite_open(const sl_sqlite_options *options, sl_sqlite **ret_sink, char reterr_problem[SL_SQLITE_PROBLEM_MAX])
{
    if (options->path == NULL || options->batch_events > SL_SQLITE_BATCH_MAX || options->busy_timeout_ms < 0 ||
        options->busy_timeout_ms > SL_SQLITE_BUSY_MAX_MS) {
        if (reterr_problem != NULL) {
            (void)snprintf(reterr_problem, SL_SQLITE_PROBLEM_MAX, "an option is out of range");
        }
        return SL_EINVAL;
    }
    sl_sqlite *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        if (reterr_problem != NULL) {
            (void)snprintf(reterr_problem, SL_SQLITE_PROBLEM_MAX, "out of memory");
        }
        return SL_ENOMEM;
    }
    sink->batch_events = options->batch_events == 0 ? SL_SQLITE_BATCH_DEFAULT : options->batch_events;
    int code = set_up(sink, options);
    if (code < 0) {
        if (reterr_problem != NULL) {
            memcpy(reterr_problem, sink->problem, SL_SQLITE_PROBLEM_MAX);
        }
        sl_sqlite_close(sink);
        return code;
    }
    *ret_sink = sink;
    return 0;
}

void sl_sqlite_close(sl_sqlite *sink)
{
    if (sink == NULL) {
        return;
    }
    for (size_t index = 0; index < STATEMENT_COUNT; index++) {
        (void)sqlite3_finalize(sink->statements[index]);
    }
    (void)sqlite3_close(sink->database); /* rolls back; cannot fail with all statements finalized */
    sl_free(sink);
}

/* Binds a NUL-terminated text that lives until the statement has run. */
static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

/* A failed bind leaves NULL, which NOT NULL then refuses: the results need no look. */
static void bind_int(sqlite3_stmt *statement, int index, int64_t value)
{
    (void)sqlite3_bind_int64(statement, index, value);
}

static void bind_decimal(sqlite3_stmt *statement, int index, sl_decimal decimal)
{
    char text[SL_DECIMAL_TEXT_MAX];
    size_t length = sl_decimal_format(decimal, SL_DECIMAL_SCALED, text);
    (void)sqlite3_bind_text(statement, index, text, (int)length, SQLITE_TRANSIENT);
}

static void bind_trade(sqlite3_stmt *statement, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    bind_int(statement, 4, trade->id);
    bind_int(statement, 5, trade->first_id);
    bind_int(statement, 6, trade->last_id);
    bind_decimal(statement, 7, trade->price);
    bind_decimal(statement, 8, trade->quantity);
    bind_text(statement, 9, sl_side_name(trade->taker));
    bind_int(statement, 10, trade->off_book);
    bind_int(statement, 11, event->venue_time_ns);
    bind_int(statement, 12, event->receive_time_ns);
}

static void bind_best(sqlite3_stmt *statement, const sl_market_event *event)
{
    const sl_best *best = &event->as.best;
    bind_int(statement, 4, best->update_id);
    bind_decimal(statement, 5, best->bid.price);
    bind_decimal(statement, 6, best->bid.quantity);
    bind_decimal(statement, 7, best->ask.price);
    bind_decimal(statement, 8, best->ask.quantity);
    bind_int(statement, 9, event->venue_time_ns);
    bind_int(statement, 10, event->receive_time_ns);
}

static void bind_gap(sqlite3_stmt *statement, const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    bind_int(statement, 4, gap->from_id);
    bind_int(statement, 5, gap->to_id);
    bind_text(statement, 6, sl_gap_reason_name(gap->reason));
    bind_int(statement, 7, event->receive_time_ns);
    if (gap->healed) {
        bind_int(statement, 8, event->receive_time_ns);
        bind_int(statement, 9, gap->healed_id);
    } else {
        (void)sqlite3_bind_null(statement, 8);
        (void)sqlite3_bind_null(statement, 9);
    }
}

/* The statement that stores such an event; STATEMENT_COUNT when there is no table for it. */
static enum statement statement_for(sl_event_kind kind)
{
    switch (kind) {
    case SL_EVENT_TRADE:
        return TRADE;
    case SL_EVENT_BEST:
        return BEST;
    case SL_EVENT_GAP:
        return GAP;
    default:
        return STATEMENT_COUNT;
    }
}

static void bind(sl_sqlite *sink, enum statement index, const sl_market_event *event)
{
    sqlite3_stmt *statement = sink->statements[index];
    bind_text(statement, 1, sl_venue_name(event->instrument->venue));
    bind_text(statement, 2, event->instrument->symbol);
    bind_text(statement, 3, sl_feed_name(event->feed));
    if (index == TRADE) {
        bind_trade(statement, event);
    } else if (index == BEST) {
        bind_best(statement, event);
    } else {
        bind_gap(statement, event);
    }
}

/* Gives the transaction up after an error. SQLite may have done so itself. */
static void undo(sl_sqlite *sink)
{
    char problem[SL_SQLITE_PROBLEM_MAX];
    memcpy(problem, sink->problem, sizeof(problem)); /* the first cause is the one to tell */
    if (sqlite3_get_autocommit(sink->database) == 0) {
        (void)(run(sink, ROLLBACK) < 0);
    }
    memcpy(sink->problem, problem, sizeof(problem));
    sink->stats.undone += sl_sqlite_pending(sink);
    sink->new_rows = 0;
    sink->old_rows = 0;
    sink->in_transaction = false;
}

static int write_one(sl_sqlite *sink, const sl_market_event *event)
{
    if (event->instrument == NULL) {
        (void)snprintf(sink->problem, sizeof(sink->problem), "an event without an instrument");
        return SL_EINVAL;
    }
    enum statement index = statement_for(event->kind);
    if (index == STATEMENT_COUNT) {
        sink->stats.skipped++;
        return 0;
    }
    if (!sink->in_transaction) {
        SL_TRY(run(sink, BEGIN));
        sink->in_transaction = true;
    }
    bind(sink, index, event);
    SL_TRY(run(sink, index));
    if (sqlite3_changes(sink->database) > 0) {
        sink->new_rows++;
    } else {
        sink->old_rows++;
    }
    return sl_sqlite_pending(sink) >= sink->batch_events ? sl_sqlite_flush(sink) : 0;
}

int sl_sqlite_write(sl_sqlite *sink, const sl_market_event *events, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        int code = write_one(sink, &events[at]);
        if (code < 0) {
            undo(sink);
            return code;
        }
    }
    return 0;
}

int sl_sqlite_flush(sl_sqlite *sink)
{
    if (!sink->in_transaction) {
        return 0;
    }
    int code = run(sink, COMMIT);
    if (code < 0) {
        undo(sink);
        return code;
    }
    sink->stats.written += sink->new_rows;
    sink->stats.repeated += sink->old_rows;
    sink->stats.commits++;
    sink->new_rows = 0;
    sink->old_rows = 0;
    sink->in_transaction = false;
    return 0;
}

size_t sl_sqlite_pending(const sl_sqlite *sink)
{
    return sink->new_rows + sink->old_rows;
}

const sl_sqlite_stats *sl_sqlite_get_stats(const sl_sqlite *sink)
{
    return &sink->stats;
}

const char *sl_sqlite_problem(const sl_sqlite *sink)
{
    return sink->problem;
}
