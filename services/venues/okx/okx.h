/* SPDX-License-Identifier: MIT */
/* OKX v5: its driver, and what its files share. Source: www.okx.com/docs-v5/en. */
#ifndef SLUICE_OKX_H
#define SLUICE_OKX_H

#include "venues/rest.h"

extern const sl_venue_driver sl__okx;

struct sl__okx {
    sl_venue_decoder base;
    sl_json *inner; /* for a part that is read while its surroundings are not yet left */
};

/* What the "arg" says of the data. */
struct sl__okx_around {
    bool known; /* it was there */
    sl_feed feed;
    bool mark_price, snapshots;
    int64_t interval_ns;
    const sl_instrument *instrument; /* NULL: the data say it themselves, or it is not wanted */
    struct sl__excerpt channel;
    sl_json_text symbol; /* borrowed: for notices */
    bool update;
};

/* The array of data under the cursor. SL_ENOTSUP for a channel that is not known. */
SL_MUST_CHECK int sl__okx_read_data(sl__reading *reading, const struct sl__okx_around *around);

int sl__okx_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);
int sl__okx_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes);
int sl__okx_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                        const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer);

/*
 * The checksum of a book: CRC32 of "bidPx:bidSz:askPx:askSz:.." of the best 25 levels, as the venue wrote them; where
 * one side is shorter the other goes on. The venue stopped sending it on 2026-06-23 (0): for recordings.
 */
uint32_t sl__okx_checksum(const sl_book *book);

/* The feed of a channel ("books5": depth), the length of a candle's channel ("candle1m"); NONE where it is not known. */
sl_feed sl__okx_feed_of(sl_json_text channel, int64_t *ret_interval_ns);

/* The name of a candle's length in channels and queries ("1m", "6Hutc"); NULL when there is none. */
const char *sl__okx_bar(int64_t interval_ns);

/* "SWAP" of an instrument; an instrument's "state". */
const char *sl__okx_type(const sl_instrument *instrument);
sl_instrument_status sl__okx_status(sl_json_text state);

/* Fields of a trade and of an open interest, which streams and requests have in common, made an event and given out. */
SL_MUST_CHECK int sl__okx_read_trade(sl__reading *reading, sl_feed feed, sl_market_event *ret_event);
SL_MUST_CHECK int sl__okx_read_interest(sl__reading *reading, sl_market_event *ret_event);

#endif
