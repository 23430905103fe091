/* SPDX-License-Identifier: MIT */
/*
 * Instruments: what a venue trades, under the venue's own symbol and under one normalised name for all venues.
 *
 * Names are BASE-QUOTE for spot ("BTC-USDT"), BASE-QUOTE-SETTLE for perpetuals ("BTC-USDT-USDT", inverse
 * "BTC-USD-BTC") and BASE-QUOTE-SETTLE-YYYYMMDD for futures, in upper case; base and quote are the assets' usual
 * codes (XBT is BTC). Two venues' instruments with one name are the same thing to trade.
 *
 * A table owns its instruments: each has a dense index (for arrays beside the table) and an address that stays
 * until the table is freed; nothing is ever removed, a delisted one changes its status. Events point to them.
 * One thread changes a table; the identity (venue, symbol, name, index) may be read by any thread.
 */
#ifndef SLUICE_MARKET_INSTRUMENT_H
#define SLUICE_MARKET_INSTRUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decimal.h"
#include "sluice/error.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest symbol, name and asset, each with its NUL. */
#define SL_SYMBOL_MAX 40
#define SL_INSTRUMENT_NAME_MAX 64
#define SL_ASSET_MAX 20

/* Instruments of one table: the default limit, and the largest that sl_instruments_new() takes. */
#define SL_INSTRUMENTS_DEFAULT 65536
#define SL_INSTRUMENTS_MAX 4194304

typedef enum sl_venue {
    SL_VENUE_NONE = 0,
    SL_VENUE_BINANCE_SPOT,
    SL_VENUE_BINANCE_USDM,
    SL_VENUE_BINANCE_COINM,
    SL_VENUE_COINBASE,
    SL_VENUE_KRAKEN,
    SL_VENUE_BYBIT_SPOT,
    SL_VENUE_BYBIT_LINEAR,
    SL_VENUE_BYBIT_INVERSE,
    SL_VENUE_OKX,
    SL_VENUE_BITSTAMP,
    SL_VENUE_EXTERNAL, /* none of these: what others send us; has no driver */
    SL_VENUE_COUNT,
} sl_venue;

typedef enum sl_instrument_type {
    SL_INSTRUMENT_UNKNOWN = 0,
    SL_INSTRUMENT_SPOT,
    SL_INSTRUMENT_PERPETUAL,
    SL_INSTRUMENT_FUTURE,
    SL_INSTRUMENT_TYPE_COUNT,
} sl_instrument_type;

typedef enum sl_instrument_status {
    SL_STATUS_UNKNOWN = 0,
    SL_STATUS_TRADING,
    SL_STATUS_HALTED,   /* listed, but not traded now: maintenance, auction only, cancel only, before the launch */
    SL_STATUS_DELISTED, /* gone from the venue's list, or said to be */
    SL_STATUS_COUNT,
} sl_instrument_status;

typedef struct sl_instrument {
    uint32_t index; /* in its table, from 0 */
    uint32_t list;  /* the last list that it was on: see sl_instruments_begin_list() */
    sl_venue venue;
    char symbol[SL_SYMBOL_MAX];        /* as the venue writes it in streams: "BTCUSDT", "BTC/USD" */
    char name[SL_INSTRUMENT_NAME_MAX]; /* normalised; the symbol in upper case where nothing more is known */
    char base[SL_ASSET_MAX], quote[SL_ASSET_MAX], settle[SL_ASSET_MAX]; /* "" where not known, or spot */
    sl_instrument_type type;
    sl_instrument_status status;
    int64_t expiry_ns;        /* futures: ns since 1970; otherwise 0 */
    sl_decimal tick;          /* smallest step of the price; 0: not known */
    sl_decimal lot;           /* smallest step of the quantity; 0: not known */
    sl_decimal contract_size; /* derivatives counted in contracts: what one is worth; 0: quantities are in base */
} sl_instrument;

typedef struct sl_instruments sl_instruments;

/* An empty table for up to `max` instruments (0: the default). 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_instruments_new(size_t max, sl_instruments **ret_table);
void sl_instruments_free(sl_instruments *table);
SL_AUTO_DECLARE(sl_instruments, sl_instruments_free)

/*
 * Adds an instrument, or updates what is known of the one with this venue and symbol: what the definition leaves
 * open (0, "", UNKNOWN) stays, and so do index, address and name. An empty name is made from base, quote, settle
 * and expiry, or from the symbol (which it is, too, where another one on the list has that name). 0 when it was there, 1 when it is new; SL_EINVAL (no venue, no symbol, spaces or
 * unprintable characters), SL_EMSGSIZE (over the limit), SL_ENOMEM. `ret_instrument` may be NULL.
 */
SL_MUST_CHECK int sl_instruments_add(sl_instruments *table, const sl_instrument *definition,
                                     const sl_instrument **ret_instrument);

/*
 * Around the whole list of a venue, which adds what is on it: what had been on one before and is not on this one is
 * delisted. How many those are. Lists of several venues may overlap.
 */
uint32_t sl_instruments_begin_list(sl_instruments *table);
size_t sl_instruments_end_list(sl_instruments *table, sl_venue venue, uint32_t list);

/*
 * How often an instrument came to a normalised name that another one of the venue's list has: a new one goes by its symbol
 * then. The last one of them in `ret_last`, if that is not NULL and there is one.
 */
size_t sl_instruments_clashes(const sl_instruments *table, const sl_instrument **ret_last);

/* Sets the status; the instrument must be of this table. */
void sl_instruments_set_status(sl_instruments *table, const sl_instrument *instrument, sl_instrument_status status);

/* The instrument of a symbol (exact), or of a normalised name (the listed one, if several had it); NULL. Constant time, no allocation. */
const sl_instrument *sl_instruments_find(const sl_instruments *table, sl_venue venue, const char *symbol,
                                         size_t size_bytes);
const sl_instrument *sl_instruments_find_name(const sl_instruments *table, sl_venue venue, const char *name);

/* A symbol will be looked for soon: where it would be found is fetched into the processor's cache. Changes nothing. */
void sl_instruments_prefetch(const sl_instruments *table, sl_venue venue, const char *symbol, size_t size_bytes);

/* How many there are, and the one with an index (NULL from sl_instruments_count() on). */
size_t sl_instruments_count(const sl_instruments *table);
const sl_instrument *sl_instruments_at(const sl_instruments *table, size_t index);

/*
 * Whether the instrument is meant by a pattern of a configuration: "BTC-USDT" (normalised) or the venue's symbol,
 * with '*' for any characters and '?' for one, letters of either case; a leading '!' excludes and is the caller's.
 */
bool sl_instrument_matches(const sl_instrument *instrument, const char *pattern);

/* The same for any text. */
bool sl_pattern_matches(const char *pattern, const char *text);

/* Names for people, files and databases ("binance-usdm", "perpetual", "trading"); never NULL, "?" when out of range. */
const char *sl_venue_name(sl_venue venue);
const char *sl_instrument_status_name(sl_instrument_status status);

/* The venue of a name, SL_VENUE_NONE if there is none. */
sl_venue sl_venue_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
