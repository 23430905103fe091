/* SPDX-License-Identifier: MIT */
/* SQLite: the connection, transactions, rows. See sqlite.h; the tables are in sqlite_schema.c. */
#include "sqlite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "market/event_json.h"
#include "sinks/sqlite_schema.h"
#include "sluice/thread.h"
#include "sluice/time.h"

/* PRAGMA application_id: "SLUI". */
#define APPLICATION_ID 0x534c5549

#define BUSY_PAUSE_MS 10

/* Decimals of one row, at most: a ticker's. */
#define NUMBERS_MAX 10

struct sl_sqlite {
    sqlite3 *database;
    sqlite3_stmt *statements[SL__SQLITE_STATEMENTS];
    size_t batch_events;
    bool in_transaction;
    int busy_ms;
    size_t new_rows; /* in the open transaction */
    size_t old_rows;
    sl_stamp stamp;        /* for events that come without one */
    sl_instruments *known; /* have a row, in what is committed or in the open transaction */
    sl_sqlite_stats stats;
    char problem[SL_SQLITE_PROBLEM_MAX];
    char numbers[NUMBERS_MAX][SL_DECIMAL_TEXT_MAX]; /* bound texts that live until the statement has run */
    size_t number_count;
    char *levels; /* likewise: two JSON arrays */
    size_t levels_capacity;
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
    case SQLITE_TOOBIG: /* the value, not the file: tried again it would be the same */
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return SL_EINVAL;
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
static int run(sl_sqlite *sink, enum sl__sqlite_statement index)
{
    sqlite3_stmt *statement = sink->statements[index];
    int status = sqlite3_step(statement);
    int code = status == SQLITE_DONE ? 0 : fail(sink, sl__sqlite_purposes[index], status);
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
        for (const char *const *table = sl__sqlite_schema; *table != NULL; table++) {
            SL_TRY(execute(sink, *table));
        }
        SL_TRY(execute(sink, sql));
    }
    SL_TRY(code);
    return execute(sink, "COMMIT");
}

static int prepare(sl_sqlite *sink, enum sl__sqlite_statement index)
{
    int status = sqlite3_prepare_v3(sink->database, sl__sqlite_texts[index], -1, SQLITE_PREPARE_PERSISTENT,
                                    &sink->statements[index], NULL);
    return status == SQLITE_OK ? 0 : fail(sink, "cannot prepare a statement", status);
}

/* Somebody else has the file: another try after a little while, until the time is over or a stop wants us back. */
static int wait_while_busy(void *arg, int tries)
{
    const sl_sqlite *sink = arg;
    bool again = tries < sink->busy_ms / BUSY_PAUSE_MS && sl_offload_cancelled(NULL, 0) != SL_ECANCELED;
    if (again) {
        (void)sqlite3_sleep(BUSY_PAUSE_MS);
    }
    return again;
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
    sink->busy_ms = options->busy_timeout_ms == 0 ? SL_SQLITE_BUSY_DEFAULT_MS : options->busy_timeout_ms;
    (void)sqlite3_busy_handler(sink->database, wait_while_busy, sink);
    SL_TRY(inspect(sink)); /* before anything in the file is changed */
    SL_TRY(execute(sink, "PRAGMA journal_mode = WAL"));
    SL_TRY(execute(sink, "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8192"));
    SL_TRY(execute(sink, options->sync_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
    SL_TRY(ensure_schema(sink));
    for (enum sl__sqlite_statement index = 0; index < SL__SQLITE_STATEMENTS; index++) {
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
    sink->stamp.run = (uint64_t)sl_now_wall() & INT64_MAX;
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
    for (size_t index = 0; index < SL__SQLITE_STATEMENTS; index++) {
        (void)sqlite3_finalize(sink->statements[index]);
    }
    sl_instruments_free(sink->known);
    sl_free(sink->levels);
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

/* An optional one. */
static void bind_int_if(sqlite3_stmt *statement, int index, int64_t value, bool given)
{
    if (given) {
        bind_int(statement, index, value);
    } else {
        (void)sqlite3_bind_null(statement, index);
    }
}

static void bind_decimal(sl_sqlite *sink, sqlite3_stmt *statement, int index, sl_decimal decimal)
{
    char *text = sink->numbers[sink->number_count++];
    size_t length = sl_decimal_format(decimal, SL_DECIMAL_SCALED, text);
    (void)sqlite3_bind_text(statement, index, text, (int)length, SQLITE_STATIC);
}

static void bind_decimal_if(sl_sqlite *sink, sqlite3_stmt *statement, int index, sl_decimal decimal, bool given)
{
    if (given) {
        bind_decimal(sink, statement, index, decimal);
    } else {
        (void)sqlite3_bind_null(statement, index);
    }
}

/* Places 1 to 7: whose, when, which. */
static void bind_head(sqlite3_stmt *statement, const sl_market_event *event, sl_stamp stamp)
{
    bind_text(statement, 1, sl_venue_name(event->instrument->venue));
    bind_text(statement, 2, event->instrument->symbol);
    bind_text(statement, 3, sl_feed_name(event->feed));
    bind_int(statement, 4, event->venue_time_ns);
    bind_int(statement, 5, event->receive_time_ns);
    bind_int(statement, 6, (int64_t)stamp.run);
    bind_int(statement, 7, (int64_t)stamp.number);
}

static void bind_trade(sl_sqlite *sink, sqlite3_stmt *statement, const sl_market_event *event, sl_stamp stamp)
{
    const sl_trade *trade = &event->as.trade;
    bool uuid = trade->uuid.high != 0 || trade->uuid.low != 0;
    if (!uuid && trade->id != 0) {
        bind_int(statement, 8, trade->id);
    } else {
        char text[SL_STAMP_TEXT_MAX > SL_TRADE_ID_MAX ? SL_STAMP_TEXT_MAX : SL_TRADE_ID_MAX];
        size_t length = uuid ? sl_trade_id_format(trade, text) : sl_stamp_format(stamp, text);
        (void)sqlite3_bind_text(statement, 8, text, (int)length, SQLITE_TRANSIENT);
    }
    bind_int(statement, 9, trade->first_id);
    bind_int(statement, 10, trade->last_id);
    bind_decimal(sink, statement, 11, trade->price);
    bind_decimal(sink, statement, 12, trade->quantity);
    bind_text(statement, 13, sl_side_name(trade->taker));
    bind_int(statement, 14, trade->off_book);
}

static void bind_best(sl_sqlite *sink, sqlite3_stmt *statement, const sl_best *best)
{
    if (best->update_id != 0) { /* the venue's number is identity enough */
        bind_int(statement, 6, 0);
        bind_int(statement, 7, 0);
    }
    bind_int(statement, 8, best->update_id);
    bind_decimal(sink, statement, 9, best->bid.price);
    bind_decimal(sink, statement, 10, best->bid.quantity);
    bind_decimal(sink, statement, 11, best->ask.price);
    bind_decimal(sink, statement, 12, best->ask.quantity);
}

/* Both sides as JSON, [["price","quantity"],...]. */
static int bind_levels(sl_sqlite *sink, sqlite3_stmt *statement, int index, const sl_levels *levels)
{
    size_t room = sl_levels_json_bound(levels->bid_count) + sl_levels_json_bound(levels->ask_count);
    if (room > sink->levels_capacity) {
        char *bigger = sl_realloc(sink->levels, room);
        if (bigger == NULL) {
            return SL_ENOMEM;
        }
        sink->levels = bigger;
        sink->levels_capacity = room;
    }
    size_t bids = sl_levels_json_write(levels->bids, levels->bid_count, sink->levels);
    size_t asks = sl_levels_json_write(levels->asks, levels->ask_count, sink->levels + bids);
    (void)sqlite3_bind_text(statement, index, sink->levels, (int)bids, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, index + 1, sink->levels + bids, (int)asks, SQLITE_STATIC);
    return 0;
}

static int bind_delta(sl_sqlite *sink, sqlite3_stmt *statement, const sl_book_delta *delta)
{
    bind_int(statement, 8, delta->first_id);
    bind_int(statement, 9, delta->last_id);
    bind_int_if(statement, 10, delta->previous_id, delta->has_previous);
    bind_int_if(statement, 11, delta->checksum.value, delta->checksum.given);
    bind_int(statement, 12, delta->depth);
    return bind_levels(sink, statement, 13, &delta->levels);
}

static int bind_snapshot(sl_sqlite *sink, sqlite3_stmt *statement, const sl_book_snapshot *snapshot)
{
    bind_int(statement, 8, snapshot->last_id);
    bind_int_if(statement, 9, snapshot->checksum.value, snapshot->checksum.given);
    bind_int(statement, 10, snapshot->depth);
    return bind_levels(sink, statement, 11, &snapshot->levels);
}

static void bind_ticker(sl_sqlite *sink, sqlite3_stmt *statement, const sl_ticker *ticker)
{
    const sl_decimal numbers[NUMBERS_MAX] = {
        ticker->last,         ticker->open,      ticker->high,         ticker->low,       ticker->volume,
        ticker->quote_volume, ticker->bid.price, ticker->bid.quantity, ticker->ask.price, ticker->ask.quantity};
    for (int at = 0; at < NUMBERS_MAX; at++) {
        bind_decimal(sink, statement, 8 + at, numbers[at]);
    }
}

static void bind_candle(sl_sqlite *sink, sqlite3_stmt *statement, const sl_candle *candle)
{
    bind_int(statement, 8, candle->interval_ns);
    bind_int(statement, 9, candle->open_time_ns);
    bind_decimal(sink, statement, 10, candle->open);
    bind_decimal(sink, statement, 11, candle->high);
    bind_decimal(sink, statement, 12, candle->low);
    bind_decimal(sink, statement, 13, candle->close);
    bind_decimal(sink, statement, 14, candle->volume);
    bind_int(statement, 15, (int64_t)candle->trades);
    bind_int(statement, 16, candle->closed);
}

static void bind_funding(sl_sqlite *sink, sqlite3_stmt *statement, const sl_funding *funding)
{
    bind_decimal_if(sink, statement, 8, funding->mark_price, funding->has_mark);
    bind_decimal_if(sink, statement, 9, funding->index_price, funding->has_index);
    bind_decimal_if(sink, statement, 10, funding->rate, funding->has_rate);
    bind_int_if(statement, 11, funding->next_time_ns, funding->next_time_ns != 0);
}

static void bind_gap(sqlite3_stmt *statement, const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    bind_int(statement, 8, gap->from_id);
    bind_int(statement, 9, gap->to_id);
    bind_text(statement, 10, sl_gap_reason_name(gap->reason));
    bind_int_if(statement, 11, event->receive_time_ns, gap->healed);
    bind_int_if(statement, 12, gap->healed_id, gap->healed);
    bind_int(statement, 13, gap->seen_time_ns);
}

static int bind(sl_sqlite *sink, const sl_market_event *event, sl_stamp stamp)
{
    sqlite3_stmt *statement = sink->statements[SL__SQLITE_KINDS + event->kind];
    sink->number_count = 0;
    bind_head(statement, event, stamp);
    switch (event->kind) {
    case SL_EVENT_TRADE:
        bind_trade(sink, statement, event, stamp);
        return 0;
    case SL_EVENT_BOOK_DELTA:
        return bind_delta(sink, statement, &event->as.delta);
    case SL_EVENT_BOOK_SNAPSHOT:
        return bind_snapshot(sink, statement, &event->as.snapshot);
    case SL_EVENT_BEST:
        bind_best(sink, statement, &event->as.best);
        return 0;
    case SL_EVENT_TICKER:
        bind_ticker(sink, statement, &event->as.ticker);
        return 0;
    case SL_EVENT_CANDLE:
        bind_candle(sink, statement, &event->as.candle);
        return 0;
    case SL_EVENT_FUNDING:
        bind_funding(sink, statement, &event->as.funding);
        return 0;
    case SL_EVENT_LIQUIDATION:
        bind_text(statement, 8, sl_side_name(event->as.liquidation.side));
        bind_decimal(sink, statement, 9, event->as.liquidation.price);
        bind_decimal(sink, statement, 10, event->as.liquidation.quantity);
        return 0;
    case SL_EVENT_OPEN_INTEREST:
        bind_decimal(sink, statement, 8, event->as.open_interest.quantity);
        bind_decimal(sink, statement, 9, event->as.open_interest.value);
        return 0;
    case SL_EVENT_STATUS:
        bind_text(statement, 8, sl_instrument_status_name(event->as.status));
        return 0;
    default:
        bind_gap(statement, event);
        return 0;
    }
}

/* The instrument's row, once. */
static int note_instrument(sl_sqlite *sink, const sl_instrument *instrument)
{
    const sl_instrument *known =
        sl_instruments_find(sink->known, instrument->venue, instrument->symbol, strlen(instrument->symbol));
    if (known != NULL) {
        return 0;
    }
    sqlite3_stmt *statement = sink->statements[SL__SQLITE_INSTRUMENT];
    bind_text(statement, 1, sl_venue_name(instrument->venue));
    bind_text(statement, 2, instrument->symbol);
    bind_text(statement, 3, instrument->name);
    SL_TRY(run(sink, SL__SQLITE_INSTRUMENT));
    int code = sl_instruments_add(sink->known, instrument, &known);
    if (code < 0) {
        (void)snprintf(sink->problem, sizeof(sink->problem), "cannot note an instrument: %s", sl_strerror(code));
    }
    return code < 0 ? code : 0;
}

/* Gives the transaction up after an error. SQLite may have done so itself. */
static void undo(sl_sqlite *sink)
{
    char problem[SL_SQLITE_PROBLEM_MAX];
    memcpy(problem, sink->problem, sizeof(problem)); /* the first cause is the one to tell */
    if (sqlite3_get_autocommit(sink->database) == 0) {
        (void)(run(sink, SL__SQLITE_ROLLBACK) < 0);
    }
    memcpy(sink->problem, problem, sizeof(problem));
    sink->stats.undone += sl_sqlite_pending(sink);
    sink->new_rows = 0;
    sink->old_rows = 0;
    sink->in_transaction = false;
    sl_instruments_free(sink->known); /* their rows may be gone, too; without a table the next write fails */
    sink->known = NULL;
}

static int write_one(sl_sqlite *sink, const sl_market_event *event, sl_stamp stamp)
{
    if (event->instrument == NULL) {
        (void)snprintf(sink->problem, sizeof(sink->problem), "an event without an instrument");
        return SL_EINVAL;
    }
    if (event->kind <= SL_EVENT_NONE || event->kind >= SL_EVENT_KIND_COUNT) {
        sink->stats.skipped++;
        return 0;
    }
    if (sink->known == NULL) {
        SL_TRY(sl_instruments_new(SL_INSTRUMENTS_MAX, &sink->known));
    }
    if (!sink->in_transaction) {
        SL_TRY(run(sink, SL__SQLITE_BEGIN));
        sink->in_transaction = true;
    }
    SL_TRY(note_instrument(sink, event->instrument));
    SL_TRY(bind(sink, event, stamp));
    SL_TRY(run(sink, SL__SQLITE_KINDS + event->kind));
    if (sqlite3_changes(sink->database) > 0) {
        sink->new_rows++;
    } else {
        sink->old_rows++;
    }
    return sl_sqlite_pending(sink) >= sink->batch_events ? sl_sqlite_flush(sink) : 0;
}

int sl_sqlite_write_stamped(sl_sqlite *sink, const sl_market_event *event, sl_stamp stamp)
{
    int code = write_one(sink, event, stamp);
    if (code < 0) {
        undo(sink);
    }
    return code;
}

int sl_sqlite_write(sl_sqlite *sink, const sl_market_event *events, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        sink->stamp.number++;
        SL_TRY(sl_sqlite_write_stamped(sink, &events[at], sink->stamp));
    }
    return 0;
}

int sl_sqlite_flush(sl_sqlite *sink)
{
    if (!sink->in_transaction) {
        return 0;
    }
    int code = run(sink, SL__SQLITE_COMMIT);
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
