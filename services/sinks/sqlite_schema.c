/* SPDX-License-Identifier: MIT */
/*
 * SQLite's tables. They are sorted by their identity (WITHOUT ROWID): there is no second index to keep. STRICT makes
 * SQLite refuse a value of the wrong type. Where the identity is the stamp, rows only ever come at the end.
 */
#include "sqlite_schema.h"

/*
 * What tables begin with, and what the stamps' tables end with. Where a column may be NULL, those of the key come first: of
 * others PRAGMA integrity_check of SQLite 3.40 says that NOT NULL columns are NULL, which are not.
 */
#define HEAD                                                                                                           \
    " venue TEXT NOT NULL, instrument TEXT NOT NULL, channel TEXT NOT NULL, venue_time_ns INTEGER NOT NULL,"           \
    " receive_time_ns INTEGER NOT NULL, run INTEGER NOT NULL, number INTEGER NOT NULL,"
#define STAMPED                                                                                                        \
    " run INTEGER NOT NULL, number INTEGER NOT NULL, venue TEXT NOT NULL, instrument TEXT NOT NULL,"                   \
    " channel TEXT NOT NULL, venue_time_ns INTEGER NOT NULL, receive_time_ns INTEGER NOT NULL,"
#define BY_STAMP " PRIMARY KEY (run, number)) STRICT, WITHOUT ROWID;"

const char *const sl__sqlite_schema[] = {
    "CREATE TABLE instruments (venue TEXT NOT NULL, instrument TEXT NOT NULL, name TEXT NOT NULL,"
    " PRIMARY KEY (venue, instrument)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE trades (" HEAD " trade_id ANY NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,"
    " price TEXT NOT NULL, quantity TEXT NOT NULL, taker TEXT NOT NULL, off_book INTEGER NOT NULL,"
    " PRIMARY KEY (venue, instrument, channel, trade_id)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE top_of_book (" HEAD " update_id INTEGER NOT NULL, bid_price TEXT NOT NULL,"
    " bid_quantity TEXT NOT NULL, ask_price TEXT NOT NULL, ask_quantity TEXT NOT NULL,"
    " PRIMARY KEY (venue, instrument, channel, update_id, run, number)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE book_deltas (" STAMPED " first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, previous_id INTEGER,"
    " checksum INTEGER, depth INTEGER NOT NULL, bids TEXT NOT NULL, asks TEXT NOT NULL," BY_STAMP,
    "CREATE TABLE book_snapshots (" STAMPED " last_id INTEGER NOT NULL, checksum INTEGER, depth INTEGER NOT NULL,"
    " bids TEXT NOT NULL, asks TEXT NOT NULL," BY_STAMP,
    "CREATE TABLE tickers (" STAMPED
    " last TEXT NOT NULL, open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, volume TEXT NOT NULL,"
    " quote_volume TEXT NOT NULL, bid_price TEXT NOT NULL, bid_quantity TEXT NOT NULL, ask_price TEXT NOT NULL,"
    " ask_quantity TEXT NOT NULL," BY_STAMP,
    "CREATE TABLE candles (" HEAD
    " interval_ns INTEGER NOT NULL, open_time_ns INTEGER NOT NULL, open TEXT NOT NULL, high TEXT NOT NULL,"
    " low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL, trades INTEGER NOT NULL, closed INTEGER NOT NULL,"
    " PRIMARY KEY (venue, instrument, interval_ns, open_time_ns)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE funding (" STAMPED " mark_price TEXT, index_price TEXT, rate TEXT, next_time_ns INTEGER," BY_STAMP,
    "CREATE TABLE liquidations (" STAMPED " side TEXT NOT NULL, price TEXT NOT NULL, quantity TEXT NOT NULL," BY_STAMP,
    "CREATE TABLE open_interest (" STAMPED " quantity TEXT NOT NULL, value TEXT NOT NULL," BY_STAMP,
    "CREATE TABLE instrument_status (" STAMPED " status TEXT NOT NULL," BY_STAMP,
    "CREATE TABLE gaps (venue TEXT NOT NULL, instrument TEXT NOT NULL, channel TEXT NOT NULL,"
    " from_id INTEGER NOT NULL, incident INTEGER NOT NULL, to_id INTEGER NOT NULL, reason TEXT NOT NULL,"
    " seen_time_ns INTEGER NOT NULL, healed_time_ns INTEGER, healed_id INTEGER,"
    " PRIMARY KEY (venue, instrument, channel, from_id, incident)) STRICT, WITHOUT ROWID;",
    NULL};

/* ON CONFLICT names the identity: INSERT OR IGNORE would also swallow values that are missing or of a wrong type. */
#define INTO(table, columns)                                                                                           \
    "INSERT INTO " table " (venue, instrument, channel, venue_time_ns, receive_time_ns, run, number, " columns         \
    ") VALUES "
#define ONCE " ON CONFLICT (run, number) DO NOTHING"

const char *const sl__sqlite_texts[SL__SQLITE_STATEMENTS] = {
    [SL__SQLITE_BEGIN] = "BEGIN IMMEDIATE",
    [SL__SQLITE_COMMIT] = "COMMIT",
    [SL__SQLITE_ROLLBACK] = "ROLLBACK",
    [SL__SQLITE_INSTRUMENT] = "INSERT INTO instruments (venue, instrument, name) VALUES (?1,?2,?3)"
                              " ON CONFLICT (venue, instrument) DO UPDATE SET name = excluded.name",
    [SL__SQLITE_KINDS + SL_EVENT_NONE] = "SELECT 1",
    [SL__SQLITE_KINDS + SL_EVENT_TRADE] = INTO("trades", "trade_id, first_id, last_id, price, quantity, taker, "
                                                         "off_book") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)"
                                                                     " ON CONFLICT (venue, instrument, channel, "
                                                                     "trade_id) DO NOTHING",
    [SL__SQLITE_KINDS + SL_EVENT_BOOK_DELTA] = INTO(
        "book_deltas", "first_id, last_id, previous_id, checksum, depth, bids, asks") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
                                                                                      "?11,?12,?13,?14)" ONCE,
    [SL__SQLITE_KINDS + SL_EVENT_BOOK_SNAPSHOT] =
        INTO("book_snapshots", "last_id, checksum, depth, bids, asks") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)" ONCE,
    [SL__SQLITE_KINDS + SL_EVENT_BEST] =
        INTO("top_of_book",
             "update_id, bid_price, bid_quantity, ask_price, ask_quantity") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
                                                                            " ON CONFLICT (venue, instrument, channel, "
                                                                            "update_id, run, number) DO NOTHING",
    [SL__SQLITE_KINDS + SL_EVENT_TICKER] =
        INTO("tickers", "last, open, high, low, volume, quote_volume, bid_price, bid_quantity, ask_price, "
                        "ask_quantity") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)" ONCE,
    /* A candle grows until it is closed; what came later is what it is. */
    [SL__SQLITE_KINDS + SL_EVENT_CANDLE] =
        INTO("candles", "interval_ns, open_time_ns, open, high, low, close, volume, trades, "
                        "closed") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)"
                                  " ON CONFLICT (venue, instrument, interval_ns, open_time_ns) "
                                  "DO UPDATE SET"
                                  " channel = excluded.channel, venue_time_ns = "
                                  "excluded.venue_time_ns,"
                                  " receive_time_ns = excluded.receive_time_ns, run = "
                                  "excluded.run, number = excluded.number,"
                                  " open = excluded.open, high = excluded.high, low = "
                                  "excluded.low, close = excluded.close,"
                                  " volume = excluded.volume, trades = excluded.trades, closed "
                                  "= excluded.closed"
                                  " WHERE (excluded.closed, excluded.receive_time_ns, "
                                  "excluded.run, excluded.number)"
                                  " > (closed, receive_time_ns, run, number)",
    [SL__SQLITE_KINDS + SL_EVENT_FUNDING] =
        INTO("funding", "mark_price, index_price, rate, next_time_ns") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)" ONCE,
    [SL__SQLITE_KINDS + SL_EVENT_LIQUIDATION] =
        INTO("liquidations", "side, price, quantity") "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)" ONCE,
    [SL__SQLITE_KINDS + SL_EVENT_OPEN_INTEREST] =
        INTO("open_interest", "quantity, value") "(?1,?2,?3,?4,?5,?6,?7,?8,?9)" ONCE,
    [SL__SQLITE_KINDS + SL_EVENT_STATUS] = INTO("instrument_status", "status") "(?1,?2,?3,?4,?5,?6,?7,?8)" ONCE,
    /* A gap is written when it is seen and again when it is healed: the second adds to the first. The incident is the
     * time it was seen: where the venue has no ids all of an instrument's gaps have the same. */
    [SL__SQLITE_KINDS + SL_EVENT_GAP] =
        "INSERT INTO gaps (venue, instrument, channel, seen_time_ns, from_id, to_id, reason, healed_time_ns,"
        " healed_id, incident) VALUES (?1,?2,?3,?5,?8,?9,?10,?11,?12,?13)"
        " ON CONFLICT (venue, instrument, channel, from_id, incident) DO UPDATE SET"
        " to_id = CASE WHEN to_id = 0 THEN excluded.to_id ELSE to_id END,"
        " healed_time_ns = excluded.healed_time_ns, healed_id = excluded.healed_id"
        " WHERE healed_time_ns IS NULL AND excluded.healed_time_ns IS NOT NULL",
};

const char *const sl__sqlite_purposes[SL__SQLITE_STATEMENTS] = {
    [SL__SQLITE_BEGIN] = "cannot begin a transaction",
    [SL__SQLITE_COMMIT] = "cannot commit",
    [SL__SQLITE_ROLLBACK] = "cannot roll back",
    [SL__SQLITE_INSTRUMENT] = "cannot store an instrument",
    [SL__SQLITE_KINDS + SL_EVENT_NONE] = "",
    [SL__SQLITE_KINDS + SL_EVENT_TRADE] = "cannot store a trade",
    [SL__SQLITE_KINDS + SL_EVENT_BOOK_DELTA] = "cannot store a change of a book",
    [SL__SQLITE_KINDS + SL_EVENT_BOOK_SNAPSHOT] = "cannot store a book",
    [SL__SQLITE_KINDS + SL_EVENT_BEST] = "cannot store the top",
    [SL__SQLITE_KINDS + SL_EVENT_TICKER] = "cannot store a ticker",
    [SL__SQLITE_KINDS + SL_EVENT_CANDLE] = "cannot store a candle",
    [SL__SQLITE_KINDS + SL_EVENT_FUNDING] = "cannot store a funding rate",
    [SL__SQLITE_KINDS + SL_EVENT_LIQUIDATION] = "cannot store a liquidation",
    [SL__SQLITE_KINDS + SL_EVENT_OPEN_INTEREST] = "cannot store an open interest",
    [SL__SQLITE_KINDS + SL_EVENT_STATUS] = "cannot store a status",
    [SL__SQLITE_KINDS + SL_EVENT_GAP] = "cannot store a gap",
};
