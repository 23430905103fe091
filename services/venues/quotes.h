/* SPDX-License-Identifier: MIT */
/*
 * Rows that tell of an instrument's last price, best prices, funding and open interest at once, as many venues answer: a
 * venue gives the names of its fields, and a row becomes the one event that was asked for.
 */
#ifndef SLUICE_VENUES_QUOTES_H
#define SLUICE_VENUES_QUOTES_H

#include "rest.h"

/* What a row may tell, in the order of a venue's names. */
enum sl__quote {
    SL__QUOTE_SYMBOL,
    SL__QUOTE_TIME,
    SL__QUOTE_LAST,
    SL__QUOTE_OPEN,
    SL__QUOTE_HIGH,
    SL__QUOTE_LOW,
    SL__QUOTE_VOLUME,
    SL__QUOTE_QUOTE_VOLUME,
    SL__QUOTE_BID,
    SL__QUOTE_BID_SIZE,
    SL__QUOTE_ASK,
    SL__QUOTE_ASK_SIZE,
    SL__QUOTE_MARK,
    SL__QUOTE_INDEX,
    SL__QUOTE_RATE,
    SL__QUOTE_NEXT,
    SL__QUOTE_INTEREST,
    SL__QUOTE_VALUE,
    SL__QUOTES,
};

/* What a venue does not tell. */
#define SL__NO_NAME SL__NAME("", NONE)

/*
 * The rows of the array under the cursor, for a request of the kinds TICKER, BEST, FUNDING and OPEN_INTEREST. Times are
 * counts of `unit_ns`. A row that cannot be read harms no other: the last one's code is returned in the end.
 */
SL_MUST_CHECK int sl__quote_rows(sl__rest *rest, const sl__name names[SL__QUOTES], int64_t unit_ns);

/* Whether a request is answered by such rows. */
static inline bool sl__is_quote(sl_venue_request_kind kind)
{
    return kind == SL_REQUEST_TICKER || kind == SL_REQUEST_BEST || kind == SL_REQUEST_FUNDING;
}

#endif
