/* SPDX-License-Identifier: MIT */
/*
 * What every venue's messages are turned into: who, what and when. An event is copied by assignment; only the
 * levels of book events point into the decoder that made them and are valid until its next message. The
 * instrument is borrowed from its table, which outlives all events.
 */
#ifndef SLUICE_MARKET_EVENT_H
#define SLUICE_MARKET_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decimal.h"
#include "instrument.h"
#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A buffer for sl_event_describe(). */
#define SL_EVENT_TEXT_MAX 512

/* A buffer for sl_trade_id_format(). */
#define SL_TRADE_ID_MAX 40

/* What a venue's stream carries, and where an event came from. */
typedef enum sl_feed {
    SL_FEED_NONE = 0,
    SL_FEED_TRADES,        /* single trades */
    SL_FEED_AGG_TRADES,    /* trades of one order at one price, added up; ids of their own */
    SL_FEED_DEPTH,         /* the book and its changes */
    SL_FEED_BEST,          /* best bid and offer */
    SL_FEED_TICKER,        /* statistics of the last 24 hours */
    SL_FEED_CANDLES,       /* open, high, low, close of an interval */
    SL_FEED_FUNDING,       /* mark price, index price and funding rate */
    SL_FEED_LIQUIDATIONS,  /* forced orders */
    SL_FEED_OPEN_INTEREST, /* contracts that are open */
    SL_FEED_STATUS,        /* instruments listed, halted, delisted */
    SL_FEED_SNAPSHOT,      /* the book, asked for by REST */
    SL_FEED_COUNT,
} sl_feed;

#define SL_FEED_BIT(feed) (1u << (feed))

typedef enum sl_event_kind {
    SL_EVENT_NONE = 0,
    SL_EVENT_TRADE,
    SL_EVENT_BOOK_DELTA,
    SL_EVENT_BOOK_SNAPSHOT,
    SL_EVENT_BEST,
    SL_EVENT_TICKER,
    SL_EVENT_CANDLE,
    SL_EVENT_FUNDING,
    SL_EVENT_LIQUIDATION,
    SL_EVENT_OPEN_INTEREST,
    SL_EVENT_STATUS,
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

/* Where trades have UUIDs instead of numbers (Bybit's derivatives): the 128 bits, not both 0; `id` is 0 then. */
typedef struct sl_uuid {
    uint64_t high, low;
} sl_uuid;

typedef struct sl_trade {
    int64_t id; /* the venue's, consecutive at Binance, Coinbase, Kraken, OKX; 0: it gives none (Kraken before v2) */
    int64_t first_id; /* of an aggregate: the single trades in it; otherwise both are `id` */
    int64_t last_id;
    sl_uuid uuid;
    sl_decimal price;
    sl_decimal quantity;
    sl_side taker; /* the side of the order that caused the trade */
    bool off_book; /* not a match of two orders: insurance fund, auto-deleveraging, block trade, correction */
} sl_trade;

/* A checksum that the book must have after a message (Kraken, OKX's recordings). */
typedef struct sl_book_checksum {
    bool given;
    uint32_t value; /* of a signed one: its bits */
} sl_book_checksum;

/* Changes of the book from first_id to last_id; ids are 0 where the venue numbers nothing. */
typedef struct sl_book_delta {
    int64_t first_id;
    int64_t last_id;
    int64_t previous_id; /* last_id of the change before, where the venue says so (has_previous) */
    bool has_previous;
    sl_book_checksum checksum;
    uint32_t depth; /* levels a side that the venue keeps: cut the book to it after each message; 0: all */
    sl_levels levels;
} sl_book_delta;

typedef struct sl_book_snapshot {
    int64_t last_id; /* -1: the book is empty and any change may follow (an instrument listed just now) */
    sl_book_checksum checksum;
    uint32_t depth; /* as in sl_book_delta */
    sl_levels levels;
} sl_book_snapshot;

typedef struct sl_best {
    int64_t update_id;
    sl_level bid; /* a quantity of 0: the side is empty */
    sl_level ask;
} sl_best;

/* Each 0 with exponent 0 where the venue does not tell it. */
typedef struct sl_ticker {
    sl_decimal last, open, high, low;
    sl_decimal volume;       /* in base, or contracts */
    sl_decimal quote_volume; /* in quote */
    sl_level bid, ask;
} sl_ticker;

typedef struct sl_candle {
    int64_t open_time_ns;
    int64_t interval_ns;
    sl_decimal open, high, low, close, volume;
    uint64_t trades; /* 0: not told */
    bool closed;     /* it will not change any more */
} sl_candle;

typedef struct sl_funding {
    sl_decimal mark_price, index_price;
    sl_decimal rate;
    int64_t next_time_ns; /* when it is paid; 0: not told */
    bool has_mark, has_index, has_rate;
} sl_funding;

typedef struct sl_liquidation {
    sl_side side; /* of the forced order */
    sl_decimal price, quantity;
} sl_liquidation;

typedef struct sl_open_interest {
    sl_decimal quantity; /* contracts or base, as the venue counts */
    sl_decimal value;    /* in quote; 0 with exponent 0: not told */
} sl_open_interest;

/* Why messages are known to be missing. */
typedef enum sl_gap_reason {
    SL_GAP_NONE = 0,
    SL_GAP_SEQUENCE,     /* an id does not follow the one before */
    SL_GAP_CHECKSUM,     /* the book has not the checksum that the venue told */
    SL_GAP_CROSSED,      /* the book's best bid is not below its best ask */
    SL_GAP_DISCONNECTED, /* the connection was lost, or dropped by us */
    SL_GAP_RESTARTED,    /* the worker was not there: from what was stored last to what came first */
    SL_GAP_DIFFERENT,    /* the book is another than the one that the venue gave when it was asked */
    SL_GAP_REASON_COUNT,
} sl_gap_reason;

/*
 * Messages are missing between two ids. One gap gives two events: when it is seen and when it is healed. Where ids do not follow
 * each other (to_id is 0) the event's venue_time_ns is the time of from_id: what is missing happened after that, and before the
 * gap was seen. With two connections it may be seen late, behind later messages: order by these times, not by arrival.
 */
typedef struct sl_gap {
    sl_gap_reason reason;
    int64_t from_id;      /* the last id that was received in order */
    int64_t to_id;        /* the first id after the hole; 0 while it is not known */
    bool healed;          /* nothing of it is missing any more (a new snapshot or a backfill covers it) */
    int64_t healed_id;    /* where the data is whole again; 0 while it is not */
    int64_t seen_time_ns; /* when it was seen, in both events: with from_id its identity; 0 where from_id is enough */
} sl_gap;

typedef struct sl_market_event {
    sl_event_kind kind;
    sl_feed feed;
    uint32_t connection;             /* which of the worker's connections; numbered by the owner */
    const sl_instrument *instrument; /* never NULL in an event that a decoder gives out; its venue is the event's */
    int64_t venue_time_ns;   /* when it happened, by the venue's clock, ns since 1970; 0: not told. See also sl_gap */
    int64_t sent_time_ns;    /* when the venue sent it; 0: not told */
    int64_t receive_time_ns; /* when we got it, by our clock */
    union {
        sl_trade trade;
        sl_book_delta delta;
        sl_book_snapshot snapshot;
        sl_best best;
        sl_ticker ticker;
        sl_candle candle;
        sl_funding funding;
        sl_liquidation liquidation;
        sl_open_interest open_interest;
        sl_instrument_status status;
        sl_gap gap;
    } as;
} sl_market_event;

/* Names for people, files and databases ("trades", "book_delta", "buy"); never NULL, "?" when out of range. */
const char *sl_feed_name(sl_feed feed);
const char *sl_event_kind_name(sl_event_kind kind);
const char *sl_side_name(sl_side side);
const char *sl_gap_reason_name(sl_gap_reason reason);

/* The feed of a name ("trades"), SL_FEED_NONE if there is none. */
sl_feed sl_feed_find(const char *name);

/* Writes a trade's id, number or UUID in its usual form, NUL-terminated; returns the length. */
size_t sl_trade_id_format(const sl_trade *trade, char buffer[SL_TRADE_ID_MAX]);

/*
 * Writes the event as one line of text for logs, NUL-terminated and cut off at SL_EVENT_TEXT_MAX; returns
 * its length. Levels are counted, not listed.
 */
size_t sl_event_describe(const sl_market_event *event, char buffer[SL_EVENT_TEXT_MAX]);

#ifdef __cplusplus
}
#endif

#endif
