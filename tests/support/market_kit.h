/* SPDX-License-Identifier: MIT */
/*
 * For tests of venues and of what follows them: a decoder with a table of instruments that keeps what the last
 * message gave. Texts are decoded from heap blocks with no byte to spare, unless they are said to be padded.
 */
#ifndef MARKET_KIT_H
#define MARKET_KIT_H

#include "venues/venue.h"

#define MARKET_KIT_EVENTS 4096
#define MARKET_KIT_NOTICES 64

struct market_kit {
    sl_instruments *instruments;
    sl_venue_decoder *decoder;
    size_t event_count;
    size_t notice_count;
    sl_venue_answer answer; /* of the last request */
    sl_market_event events[MARKET_KIT_EVENTS];
    sl_venue_notice notices[MARKET_KIT_NOTICES];
};

/* `symbols` are separated by spaces; connection 3. Asserts that all goes well. */
struct market_kit *market_kit_open(sl_venue venue, const char *symbols);
void market_kit_close(struct market_kit *kit);

/* The instrument of a symbol of the kit's venue. */
const sl_instrument *market_kit_instrument(const struct market_kit *kit, const char *symbol);

/* Decodes one message of the stream, received at 42 ns; the decoder's code. */
int market_kit_decode(struct market_kit *kit, const char *text);

/* As market_kit_decode() for any message. */
int market_kit_decode_message(struct market_kit *kit, const sl_venue_message *message);

/* Decodes an answer; definitions go into kit->instruments. */
int market_kit_rest(struct market_kit *kit, const sl_venue_request *request, const char *text);
int market_kit_rest_message(struct market_kit *kit, const sl_venue_request *request, const sl_venue_message *message);

/*
 * Binance: a line of a session, a message of the stream or a REST snapshot (of the first instrument), padded as
 * for SL_JSON_PADDED; the one event that it gives. Asserts that all goes well.
 */
const sl_market_event *market_kit_line(struct market_kit *kit, const char *text, size_t size_bytes);

/* The decimal's text is that. */
void market_kit_assert_decimal(sl_decimal decimal, const char *expected);
void market_kit_assert_level(const sl_level *level, const char *price, const char *quantity);

#endif
