/* SPDX-License-Identifier: MIT */
/* The table of event_form.h; docs/reference/events.md says the same for people. */
#include "event_form.h"

#define ALL ((1u << SL_EVENT_KIND_COUNT) - 2)
#define TRADE (1u << SL_EVENT_TRADE)
#define DELTA (1u << SL_EVENT_BOOK_DELTA)
#define SNAPSHOT (1u << SL_EVENT_BOOK_SNAPSHOT)
#define BOOK (DELTA | SNAPSHOT)
#define BEST (1u << SL_EVENT_BEST)
#define TICKER (1u << SL_EVENT_TICKER)
#define CANDLE (1u << SL_EVENT_CANDLE)
#define FUNDING (1u << SL_EVENT_FUNDING)
#define LIQUIDATION (1u << SL_EVENT_LIQUIDATION)
#define INTEREST (1u << SL_EVENT_OPEN_INTEREST)
#define STATUS (1u << SL_EVENT_STATUS)
#define GAP_KIND (1u << SL_EVENT_GAP)

const struct sl__event_member sl__event_members[MEMBERS] = {
    [M_KIND] = {"kind", T_TEXT, ALL, ALL},
    [M_VENUE] = {"venue", T_TEXT, ALL, 0},
    [M_INSTRUMENT] = {"instrument", T_TEXT, ALL, ALL},
    [M_SYMBOL] = {"symbol", T_TEXT, ALL, 0},
    [M_FEED] = {"feed", T_TEXT, ALL, 0},
    [M_VENUE_TIME] = {"venue_time_ns", T_TIME, ALL, 0},
    [M_SENT_TIME] = {"sent_time_ns", T_TIME, ALL, 0},
    [M_RECEIVE_TIME] = {"receive_time_ns", T_TIME, ALL, 0},
    [M_CONNECTION] = {"connection", T_UNSIGNED, ALL, 0},
    [M_STAMP] = {"stamp", T_TEXT, ALL, 0},
    [M_TRADE_ID] = {"id", T_TRADE_ID, TRADE, TRADE},
    [M_FIRST_ID] = {"first_id", T_INT, TRADE | DELTA, DELTA},
    [M_LAST_ID] = {"last_id", T_INT, TRADE | BOOK, BOOK},
    [M_PREVIOUS_ID] = {"previous_id", T_INT, DELTA, 0},
    [M_PRICE] = {"price", T_DECIMAL, TRADE | LIQUIDATION, TRADE | LIQUIDATION},
    [M_QUANTITY] = {"quantity", T_QUANTITY, TRADE | LIQUIDATION | INTEREST, TRADE | LIQUIDATION | INTEREST},
    [M_TAKER] = {"taker", T_TEXT, TRADE, TRADE},
    [M_OFF_BOOK] = {"off_book", T_BOOL, TRADE, 0},
    [M_CHECKSUM] = {"checksum", T_UNSIGNED, BOOK, 0},
    [M_DEPTH] = {"depth", T_UNSIGNED, BOOK, 0},
    [M_BIDS] = {"bids", T_LEVELS, BOOK, BOOK},
    [M_ASKS] = {"asks", T_LEVELS, BOOK, BOOK},
    [M_UPDATE_ID] = {"update_id", T_INT, BEST, 0},
    [M_BID] = {"bid", T_LEVEL, BEST | TICKER, BEST},
    [M_ASK] = {"ask", T_LEVEL, BEST | TICKER, BEST},
    [M_LAST] = {"last", T_DECIMAL, TICKER, TICKER},
    [M_OPEN] = {"open", T_DECIMAL, TICKER | CANDLE, CANDLE},
    [M_HIGH] = {"high", T_DECIMAL, TICKER | CANDLE, CANDLE},
    [M_LOW] = {"low", T_DECIMAL, TICKER | CANDLE, CANDLE},
    [M_CLOSE] = {"close", T_DECIMAL, CANDLE, CANDLE},
    [M_VOLUME] = {"volume", T_QUANTITY, TICKER | CANDLE, CANDLE},
    [M_QUOTE_VOLUME] = {"quote_volume", T_QUANTITY, TICKER, 0},
    [M_OPEN_TIME] = {"open_time_ns", T_TIME, CANDLE, CANDLE},
    [M_INTERVAL] = {"interval_ns", T_TIME, CANDLE, CANDLE},
    [M_TRADES] = {"trades", T_TIME, CANDLE, 0},
    [M_CLOSED] = {"closed", T_BOOL, CANDLE, CANDLE},
    [M_MARK_PRICE] = {"mark_price", T_DECIMAL, FUNDING, 0},
    [M_INDEX_PRICE] = {"index_price", T_DECIMAL, FUNDING, 0},
    [M_RATE] = {"rate", T_DECIMAL, FUNDING, 0},
    [M_NEXT_TIME] = {"next_time_ns", T_TIME, FUNDING, 0},
    [M_SIDE] = {"side", T_TEXT, LIQUIDATION, LIQUIDATION},
    [M_VALUE] = {"value", T_QUANTITY, INTEREST, 0},
    [M_STATUS] = {"status", T_TEXT, STATUS, STATUS},
    [M_REASON] = {"reason", T_TEXT, GAP_KIND, GAP_KIND},
    [M_FROM_ID] = {"from_id", T_INT, GAP_KIND, GAP_KIND},
    [M_TO_ID] = {"to_id", T_INT, GAP_KIND, GAP_KIND},
    [M_SEEN_TIME] = {"seen_time_ns", T_TIME, GAP_KIND, 0},
    [M_HEALED] = {"healed", T_BOOL, GAP_KIND, GAP_KIND},
    [M_HEALED_ID] = {"healed_id", T_INT, GAP_KIND, 0},
};
_Static_assert(MEMBERS <= 64, "presence is a bit of one word");
