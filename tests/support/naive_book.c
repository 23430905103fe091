/* SPDX-License-Identifier: MIT */
/* The naive book; see naive_book.h. Quantities of 0 stay in the table and count as no level. */
#include "naive_book.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sl_test.h"

#define LINE_BYTES (1 << 20)

struct naive_book {
    sqlite3 *db;
    sqlite3_stmt *put[2]; /* bids, asks */
    sqlite3_stmt *number, *keep;
    bool begun;
    int64_t last_id;
};

static sqlite3_stmt *prepare(const struct naive_book *naive, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(naive->db, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

static void run(sqlite3_stmt *statement)
{
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_reset(statement), SQLITE_OK);
}

struct naive_book *naive_book_open(void)
{
    static const char tables[] =
        "CREATE TABLE book(side, price TEXT, quantity TEXT, changed INTEGER, PRIMARY KEY(side, price)) WITHOUT ROWID;"
        "CREATE TABLE waiting(message TEXT);"
        "BEGIN";
    struct naive_book *naive = test_calloc(1, sizeof *naive);
    assert_int_equal(sqlite3_open(":memory:", &naive->db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(naive->db, tables, NULL, NULL, NULL), SQLITE_OK);
    for (int side = 0; side < 2; side++) {
        char sql[512];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO book SELECT %d, json_extract(value, '$[0]'), json_extract(value, '$[1]'), ?3"
                       " FROM json_each(?1, ?2 || '%s') WHERE true"
                       " ON CONFLICT DO UPDATE SET quantity = excluded.quantity, changed = excluded.changed",
                       side, side == 0 ? "b" : "a");
        naive->put[side] = prepare(naive, sql);
    }
    naive->number = prepare(naive, "SELECT json_extract(?1, ?2)");
    naive->keep = prepare(naive, "INSERT INTO waiting VALUES(?1)");
    return naive;
}

void naive_book_close(struct naive_book *naive)
{
    (void)sqlite3_finalize(naive->put[0]);
    (void)sqlite3_finalize(naive->put[1]);
    (void)sqlite3_finalize(naive->number);
    (void)sqlite3_finalize(naive->keep);
    assert_int_equal(sqlite3_close(naive->db), SQLITE_OK);
    test_free(naive);
}

static int64_t number(const struct naive_book *naive, const char *message, const char *path)
{
    (void)sqlite3_bind_text(naive->number, 1, message, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(naive->number, 2, path, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(naive->number), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(naive->number, 0);
    assert_int_equal(sqlite3_reset(naive->number), SQLITE_OK);
    return value;
}

/* `bids` and `asks` are the beginnings of the two paths, to which the statements add a letter. */
static void put(struct naive_book *naive, const char *message, const char *bids, const char *asks, int64_t id)
{
    for (int side = 0; side < 2; side++) {
        (void)sqlite3_bind_text(naive->put[side], 1, message, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(naive->put[side], 2, side == 0 ? bids : asks, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(naive->put[side], 3, id);
        run(naive->put[side]);
    }
    naive->last_id = id;
}

static void apply(struct naive_book *naive, const char *message)
{
    int64_t id = number(naive, message, "$.data.u");
    if (id > naive->last_id) {
        put(naive, message, "$.data.", "$.data.", id);
    }
}

/* The REST answer spells its sides out: {"lastUpdateId":…,"bids":[…],"asks":[…]}. */
static void begin(struct naive_book *naive, const char *message)
{
    char *renamed = strdup(message);
    assert_non_null(renamed);
    memcpy(strstr(renamed, "\"bids\""), "\"b\"   ", 6);
    memcpy(strstr(renamed, "\"asks\""), "\"a\"   ", 6);
    put(naive, renamed, "$.", "$.", number(naive, message, "$.lastUpdateId"));
    free(renamed);
    naive->begun = true;
    sqlite3_stmt *waiting = prepare(naive, "SELECT message FROM waiting ORDER BY rowid");
    while (sqlite3_step(waiting) == SQLITE_ROW) {
        apply(naive, (const char *)sqlite3_column_text(waiting, 0));
    }
    (void)sqlite3_finalize(waiting);
}

void naive_book_feed(struct naive_book *naive, const char *message)
{
    if (strstr(message, "\"lastUpdateId\"") != NULL) {
        if (!naive->begun) {
            begin(naive, message);
        }
    } else if (strstr(message, "\"depthUpdate\"") != NULL && naive->begun) {
        apply(naive, message);
    } else if (strstr(message, "\"depthUpdate\"") != NULL) {
        (void)sqlite3_bind_text(naive->keep, 1, message, -1, SQLITE_STATIC);
        run(naive->keep);
    }
}

void naive_book_feed_file(struct naive_book *naive, const char *path)
{
    char command[1100];
    assert_true(snprintf(command, sizeof command, "gzip -dc '%s'", path) < (int)sizeof command);
    FILE *file = popen(command, "r");
    assert_non_null(file);
    char *line = test_malloc(LINE_BYTES);
    while (fgets(line, LINE_BYTES, file) != NULL) {
        const char *message = strchr(line, ' ');
        assert_non_null(message);
        naive_book_feed(naive, message + 1);
    }
    test_free(line);
    assert_int_equal(pclose(file), 0);
}

int64_t naive_book_last_id(const struct naive_book *naive)
{
    return naive->last_id;
}

/* Every level of the book is in the table with the same quantity. */
static void check_levels(const struct naive_book *naive, const sl_book *book, int side)
{
    sqlite3_stmt *find = prepare(naive, "SELECT quantity FROM book WHERE side = ?1 AND price = ?2");
    sl_book_cursor cursor = sl_book_first(book, side == 0 ? SL_SIDE_BUY : SL_SIDE_SELL);
    const sl_level *level;
    while ((level = sl_book_next(&cursor)) != NULL) {
        char price[SL_DECIMAL_TEXT_MAX];
        char quantity[SL_DECIMAL_TEXT_MAX];
        (void)sl_decimal_format(level->price, SL_DECIMAL_SCALED, price);
        (void)sl_decimal_format(level->quantity, SL_DECIMAL_SCALED, quantity);
        (void)sqlite3_bind_int(find, 1, side);
        (void)sqlite3_bind_text(find, 2, price, -1, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(find), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(find, 0), quantity);
        (void)sqlite3_reset(find);
    }
    (void)sqlite3_finalize(find);
}

/* What a query lists is in the book. */
static void check_listed(const struct naive_book *naive, const sl_book *book, const char *sql, int64_t limit)
{
    sqlite3_stmt *list = prepare(naive, sql);
    (void)sqlite3_bind_int64(list, 1, limit);
    while (sqlite3_step(list) == SQLITE_ROW) {
        sl_decimal price;
        const char *text = (const char *)sqlite3_column_text(list, 1);
        assert_int_equal(sl_decimal_parse(text, strlen(text), &price), 0);
        assert_non_null(sl_book_find(book, sqlite3_column_int(list, 0) == 0 ? SL_SIDE_BUY : SL_SIDE_SELL, price));
    }
    (void)sqlite3_finalize(list);
}

void naive_book_check(struct naive_book *naive, const sl_book *book, int64_t joined_id, int depth)
{
    assert_true(naive->begun);
    check_levels(naive, book, 0);
    check_levels(naive, book, 1);
    check_listed(naive, book, "SELECT side, price FROM book WHERE changed > ?1 AND CAST(quantity AS REAL) > 0",
                 joined_id);
    check_listed(naive, book,
                 "SELECT side, price FROM book WHERE side = 0 AND CAST(quantity AS REAL) > 0"
                 " ORDER BY CAST(price AS REAL) DESC LIMIT ?1",
                 depth);
    check_listed(naive, book,
                 "SELECT side, price FROM book WHERE side = 1 AND CAST(quantity AS REAL) > 0"
                 " ORDER BY CAST(price AS REAL) LIMIT ?1",
                 depth);
}
