/* SPDX-License-Identifier: MIT */
/*
 * Kraken spot: its driver, and what its files share. WebSocket v2 is spoken; v1 is understood, for recordings.
 * Source: docs.kraken.com (spot WebSocket v2 and v1, REST).
 */
#ifndef SLUICE_KRAKEN_H
#define SLUICE_KRAKEN_H

#include "venues/rest.h"

extern const sl_venue_driver sl__kraken;

struct sl__kraken {
    sl_venue_decoder base;
    struct sl__beside depths; /* uint32_t: how many levels the subscription of an instrument has; 0: not known */
};

int sl__kraken_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);
int sl__kraken_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes);
int sl__kraken_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                           const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer);

/* The data under the cursor, of a channel of v2. SL_ENOTSUP for a channel that is not known. */
SL_MUST_CHECK int sl__kraken_read_data(sl__reading *reading, sl_json_text channel, bool snapshot);

/*
 * A message of v1: an array of data, or an object with an "event". The reading has begun and stands on the root.
 */
int sl__kraken_read_v1_data(sl__reading *reading);
int sl__kraken_read_v1_event(sl__reading *reading);

/*
 * The checksum of a book: CRC32 of the digits of the ten best asks, then bids, prices and quantities without point
 * and leading zeros. The digits are those that the venue wrote: levels keep their scale.
 */
uint32_t sl__kraken_checksum(const sl_book *book);

/* "XBT/USD" of v1 and REST as the "BTC/USD" of v2; false when it is no pair or too long. */
bool sl__kraken_symbol(sl_json_text name, char symbol[SL_SYMBOL_MAX]);

/* Remembers the depth of a subscription; looks it up, guessing from a snapshot's levels where none is known. */
SL_MUST_CHECK int sl__kraken_set_depth(sl__reading *reading, const sl_instrument *instrument, uint32_t depth);
SL_MUST_CHECK int sl__kraken_get_depth(sl__reading *reading, const sl_instrument *instrument, bool snapshot,
                                       uint32_t *ret_depth);

/* A pair's "status". */
sl_instrument_status sl__kraken_status(sl_json_text status);

/* Lengths of candles in seconds. */
#define SL__KRAKEN_INTERVALS 9
#define SL__KRAKEN_MINUTES_MAX 21600 /* of the longest */
extern const uint32_t sl__kraken_intervals[SL__KRAKEN_INTERVALS];

#endif
