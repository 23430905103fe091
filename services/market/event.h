/* SPDX-License-Identifier: MIT */
/*
 * What every venue's messages are turned into: one event a message, with who, what and when. An event is
 * copied by assignment; only the levels of book events point into the decoder that made them and are valid
 * until its next message.
 */
#ifndef SLUICE_MARKET_EVENT_H
#define SLUICE_MARKET_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decimal.h"
#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest name of an instrument, with its NUL; a longer one is SL_EMSGSIZE for decoders. */
#define SL_INSTRUMENT_MAX 32

/* A buffer for sl_event_describe(). */
#define SL_EVENT_TEXT_MAX 512

typedef enum sl_venue {
    SL_VENUE_NONE = 0,
    SL_VENUE_BINANCE_SPOT,
    SL_VENUE_BINANCE_USDM,
    SL_VENUE_BINANCE_COINM,
    SL_VENUE_COUNT,
} sl_venue;

/* What a venue's stream carries, and where an event came from. */
typedef enum sl_feed {
    SL_FEED_NONE = 0,
    SL_FEED_TRADES,     /* single trades */
    SL_FEED_AGG_TRADES, /* trades of one order at one price, added up; ids of their own */
    SL_FEED_DEPTH,      /* changes of the book */
    SL_FEED_BEST,       /* best bid and offer */
    SL_FEED_SNAPSHOT,   /* the book, asked for by REST */
    SL_FEED_COUNT,
} sl_feed;

typedef enum sl_event_kind {
    SL_EVENT_NONE = 0,
    SL_EVENT_TRADE,
    SL_EVENT_BOOK_DELTA,
    SL_EVENT_BOOK_SNAPSHOT,
    SL_EVENT_BEST,
    SL_EVENT_GAP,
    SL_EVENT_KIND_COUNT,
} sl_event_kind;

typedef enum sl_side {
    SL_SIDE_NONE = 0,
    SL_SIDE_BUY,
    SL_SIDE_SELL,
} sl_side;

/* A price and what is offered there: an absolute quantity, 0 removes the level. */
typedef struct sl_level {
    sl_decimal price;
    sl_decimal quantity;
} sl_level;

/* Levels of both sides, in the venue's order; borrowed. */
typedef struct sl_levels {
    const sl_level *bids;
    const sl_level *asks;
    size_t bid_count;
    size_t ask_count;
} sl_levels;

typedef struct sl_trade {
    int64_t id;       /* the venue's; consecutive for an instrument and feed at Binance */
    int64_t first_id; /* of an aggregate: the single trades in it; otherwise both are `id` */
    int64_t last_id;
    sl_decimal price;
    sl_decimal quantity;
    sl_side taker; /* the side of the order that caused the trade */
    bool off_book; /* not a match of two orders: insurance fund, auto-deleveraging, correction */
} sl_trade;

/* Changes of the book from first_id to last_id. */
typedef struct sl_book_delta {
    int64_t first_id;
    int64_t last_id;
    int64_t previous_id; /* last_id of the change before, where the venue says so (has_previous) */
    bool has_previous;
    sl_levels levels;
} sl_book_delta;

typedef struct sl_book_snapshot {
    int64_t last_id; /* -1: the book is empty and any change may follow (an instrument listed just now) */
    sl_levels levels;
} sl_book_snapshot;

typedef struct sl_best {
    int64_t update_id;
    sl_level bid;
    sl_level ask;
} sl_best;

/* Why messages are known to be missing. */
typedef enum sl_gap_reason {
    SL_GAP_NONE = 0,
    SL_GAP_SEQUENCE,     /* an id does not follow the one before */
    SL_GAP_DISCONNECTED, /* the connection was lost, or dropped by us */
    SL_GAP_REASON_COUNT,
} sl_gap_reason;

/* Messages are missing between two ids. One gap gives two events: when it is seen and when it is healed. */
typedef struct sl_gap {
    sl_gap_reason reason;
    int64_t from_id;   /* the last id that was received in order */
    int64_t to_id;     /* the first id after the hole; 0 while it is not known */
    bool healed;       /* nothing of it is missing any more (a new snapshot covers it) */
    int64_t healed_id; /* where the data is whole again; 0 while it is not */
} sl_gap;

typedef struct sl_market_event {
    sl_event_kind kind;
    sl_venue venue;
    sl_feed feed;
    uint32_t connection;                /* which of the worker's connections; numbered by the owner */
    int64_t venue_time_ns;              /* when it happened, by the venue's clock, ns since 1970; 0: not told */
    int64_t sent_time_ns;               /* when the venue sent it; 0: not told */
    int64_t receive_time_ns;            /* when we got it, by our clock */
    char instrument[SL_INSTRUMENT_MAX]; /* as the venue writes it */
    union {
        sl_trade trade;
        sl_book_delta delta;
        sl_book_snapshot snapshot;
        sl_best best;
        sl_gap gap;
    } as;
} sl_market_event;

/* Names for people, files and databases ("binance-usdm", "trades", "buy"); never NULL, "?" when out of range. */
const char *sl_venue_name(sl_venue venue);
const char *sl_feed_name(sl_feed feed);
const char *sl_event_kind_name(sl_event_kind kind);
const char *sl_side_name(sl_side side);
const char *sl_gap_reason_name(sl_gap_reason reason);

/* The venue of a name, SL_VENUE_NONE if there is none. */
sl_venue sl_venue_find(const char *name);

/* Sets the instrument: 0, or SL_EMSGSIZE when the name is empty or too long. */
SL_MUST_CHECK int sl_event_set_instrument(sl_market_event *event, const char *name, size_t size_bytes);

/*
 * Writes the event as one line of text for logs, NUL-terminated and cut off at SL_EVENT_TEXT_MAX; returns
 * its length. Levels are counted, not listed.
 */
size_t sl_event_describe(const sl_market_event *event, char buffer[SL_EVENT_TEXT_MAX]);

#ifdef __cplusplus
}
#endif

#endif
