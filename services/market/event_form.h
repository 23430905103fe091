/* SPDX-License-Identifier: MIT */
/* The members of the JSON form of events: names, types, which kinds have them. Shared by the files that read it. */
#ifndef SLUICE_MARKET_EVENT_FORM_H
#define SLUICE_MARKET_EVENT_FORM_H

#include "market/event.h"

enum type {
    T_TEXT,
    T_INT,  /* 64 bits */
    T_TIME, /* not negative */
    T_UNSIGNED /* 32 bits */,
    T_TRADE_ID, /* a number or a UUID */
    T_DECIMAL,
    T_QUANTITY, /* not negative */
    T_BOOL,
    T_LEVEL,
    T_LEVELS,
};

enum member {
    M_KIND,
    M_VENUE,
    M_INSTRUMENT,
    M_SYMBOL,
    M_FEED,
    M_VENUE_TIME,
    M_SENT_TIME,
    M_RECEIVE_TIME,
    M_CONNECTION,
    M_STAMP,
    M_TRADE_ID,
    M_FIRST_ID,
    M_LAST_ID,
    M_PREVIOUS_ID,
    M_PRICE,
    M_QUANTITY,
    M_TAKER,
    M_OFF_BOOK,
    M_CHECKSUM,
    M_DEPTH,
    M_BIDS,
    M_ASKS,
    M_UPDATE_ID,
    M_BID,
    M_ASK,
    M_LAST,
    M_OPEN,
    M_HIGH,
    M_LOW,
    M_CLOSE,
    M_VOLUME,
    M_QUOTE_VOLUME,
    M_OPEN_TIME,
    M_INTERVAL,
    M_TRADES,
    M_CLOSED,
    M_MARK_PRICE,
    M_INDEX_PRICE,
    M_RATE,
    M_NEXT_TIME,
    M_SIDE,
    M_VALUE,
    M_STATUS,
    M_REASON,
    M_FROM_ID,
    M_TO_ID,
    M_SEEN_TIME,
    M_HEALED,
    M_HEALED_ID,
    MEMBERS,
};

struct sl__event_member {
    const char *name;
    enum type type;
    unsigned may, must; /* bits of the kinds that may have it, and that must */
};
extern const struct sl__event_member sl__event_members[MEMBERS];

#endif
