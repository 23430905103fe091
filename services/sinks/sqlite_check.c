/* SPDX-License-Identifier: MIT */
/* Questions to a database of the SQLite sink. See sqlite_check.h. */
#include "sinks/sqlite_check.h"

#include <sqlite3.h>

#include "sluice/memory.h"

#define OF_ONE " FROM trades WHERE venue = ?1 AND instrument = ?2 AND trade_id BETWEEN ?3 AND ?4"

static const char counted[] = "SELECT count(*), coalesce(min(trade_id), 0), coalesce(max(trade_id), 0)" OF_ONE;

/* A gap may have been filled in part: what is missing in it is told of all the same. */
static const char holes[] =
    "SELECT count(*) FROM (SELECT trade_id, lag(trade_id) OVER (ORDER BY trade_id) AS before" OF_ONE
    ") WHERE trade_id <> before + 1 AND NOT EXISTS (SELECT 1 FROM gaps WHERE venue = ?1 AND instrument = ?2"
    " AND channel = 'trades' AND from_id <= before AND to_id >= trade_id)";

struct sl_sqlite_check {
    sqlite3 *db;
};

static int fail(sl_sqlite_check *check)
{
    return sl_fail(SL_EINTERNAL, "the database cannot be read: %s", sqlite3_errmsg(check->db));
}

int sl_sqlite_check_open(const char *path, sl_sqlite_check **ret_check)
{
    sl_auto(sl_sqlite_check) *check = sl_calloc(1, sizeof *check);
    if (check == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to read a database");
    }
    /* Not read-only: what an earlier process left in the write-ahead log has to be taken in. */
    if (sqlite3_open_v2(path, &check->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        return fail(check);
    }
    *ret_check = check;
    check = NULL;
    return 0;
}

void sl_sqlite_check_close(sl_sqlite_check *check)
{
    if (check != NULL) {
        (void)sqlite3_close(check->db);
        sl_free(check);
    }
}

/* The numbers of one row. */
static int ask(sl_sqlite_check *check, const char *sql, const sl_instrument *instrument, const int64_t range[2],
               int64_t *numbers, int count)
{
    sqlite3_stmt *statement = NULL;
    const char *venue = sl_venue_name(instrument->venue);
    bool good = sqlite3_prepare_v2(check->db, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_bind_text(statement, 1, venue, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_text(statement, 2, instrument->symbol, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 3, range[0]) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 4, range[1]) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
    for (int at = 0; at < count && good; at++) {
        numbers[at] = sqlite3_column_int64(statement, at);
    }
    int code = good ? 0 : fail(check);
    (void)sqlite3_finalize(statement);
    return code;
}

int sl_sqlite_check_trades(sl_sqlite_check *check, const sl_instrument *instrument, int64_t first_id, int64_t last_id,
                           sl_sqlite_trades *ret_trades)
{
    const int64_t range[2] = {first_id, last_id};
    int64_t found[3] = {0}, untold = 0;
    SL_TRY(ask(check, counted, instrument, range, found, 3));
    SL_TRY(ask(check, holes, instrument, range, &untold, 1));
    *ret_trades = (sl_sqlite_trades){
        .first_id = found[1], .last_id = found[2], .count = (uint64_t)found[0], .untold = (uint64_t)untold};
    return 0;
}
