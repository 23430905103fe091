/* SPDX-License-Identifier: MIT */
/*
 * Bybit v5: its drivers (spot, linear, inverse), and what their files share.
 * Source: bybit-exchange.github.io/docs/v5 (websocket/public, market).
 */
#ifndef SLUICE_BYBIT_H
#define SLUICE_BYBIT_H

#include "venues/rest.h"

extern const sl_venue_driver sl__bybit_spot, sl__bybit_linear, sl__bybit_inverse;

/* What is known of an instrument's ticker: messages tell only what has changed. */
struct sl__bybit_ticker {
    sl_ticker ticker;
    sl_funding funding;
    sl_open_interest interest;
    sl_best best;
};

struct sl__bybit {
    sl_venue_decoder base;
    struct sl__beside tickers; /* pointers to struct sl__bybit_ticker, NULL before the first message */
};

/* The data of a message, and what was said around them. */
struct sl__bybit_around {
    sl_feed feed;
    const sl_instrument *instrument; /* NULL: not wanted */
    int64_t interval_ns;             /* of candles */
    bool snapshot;
    bool has_book; /* levels are read: to be given out when the rest of the message is known, too */
    int64_t update_id;
    int64_t book_time; /* "cts"; 0: not told */
};

/*
 * The data under the cursor: an object, or an array of them. A book is kept: to be given out by the second function
 * when the rest of the message is known, too.
 */
SL_MUST_CHECK int sl__bybit_read_data(sl__reading *reading, struct sl__bybit_around *around);
SL_MUST_CHECK int sl__bybit_give_book(sl__reading *reading, const struct sl__bybit_around *around);

int sl__bybit_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);
int sl__bybit_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                          const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer);

/* "spot", "linear", "inverse". */
const char *sl__bybit_category(sl_venue venue);

/* The name of a candle's length ("1", "D") and back; NULL and 0 when it is none. */
const char *sl__bybit_interval_name(int64_t interval_ns);
int64_t sl__bybit_interval_of(sl_json_text name);

/* What a topic like "orderbook.50.BTCUSDT" names. */
typedef struct sl__bybit_topic {
    sl_feed feed; /* NONE: a kind that is not known */
    sl_json_text parameter;
    sl_json_text symbol;
} sl__bybit_topic;
sl__bybit_topic sl__bybit_topic_of(sl_json_text text);

/* A trade's id: a number (spot), or a UUID with or without dashes. */
SL_MUST_CHECK int sl__bybit_trade_id(sl__reading *reading, sl_json_text text, sl_trade *trade);

int sl__bybit_rest_path_of(sl_venue venue, const sl_venue_request *request, char *buffer, size_t size_bytes);

#endif
