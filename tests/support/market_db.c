/* SPDX-License-Identifier: MIT */
/* See market_db.h. */
#include "market_db.h"

#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

#define BUSY_MS 5000
#define PAUSE_US 20000

long long market_db_number(const char *folder, const char *sql)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/market.db", folder);
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    long long value = -1;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, BUSY_MS);
        if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
            value = sqlite3_column_int64(statement, 0);
        }
        (void)sqlite3_finalize(statement);
    }
    (void)sqlite3_close(db);
    return value;
}

void market_db_wait(const char *folder, const char *sql, long long least)
{
    while (market_db_number(folder, sql) < least) {
        (void)usleep(PAUSE_US);
    }
}
