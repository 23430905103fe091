/* SPDX-License-Identifier: MIT */
/* What drivers share for REST answers and for composing messages and paths; reading is in fields.h. */
#ifndef SLUICE_VENUES_REST_H
#define SLUICE_VENUES_REST_H

#include "fields.h"

/* An answer on its way through a driver. */
typedef struct sl__rest {
    sl__reading reading;
    const sl_venue_request *request;
    sl_instruments *instruments; /* of INSTRUMENTS */
    sl_venue_answer *answer;
    int64_t oldest_id; /* of the trades so far; 0: none */
} sl__rest;

/*
 * Opens the answer to a request. SL_EINVAL when the request lacks its instrument, or the call its table. A body that
 * is no JSON and speaks of too many requests is a limit's answer: SL_EAGAIN.
 */
SL_MUST_CHECK int sl__rest_begin(sl__rest *rest, sl_venue_decoder *decoder, const sl_venue_request *request,
                                 const sl_venue_message *message, const sl_venue_output *output,
                                 sl_instruments *instruments, sl_venue_answer *ret_answer);

/*
 * What the venue's own error comes to: notes it, sets the answer's flags and returns SL_EAGAIN for what may be asked
 * again, SL_EPROTO for the rest.
 */
enum sl__rest_fault { SL__FAULT_OTHER, SL__FAULT_AGAIN, SL__FAULT_RATE, SL__FAULT_SYMBOL };
int sl__rest_fault(sl__rest *rest, enum sl__rest_fault fault, int64_t code, sl_json_text text);

/* A definition whose venue is set here. One that the table cannot take is counted as an unknown symbol. */
SL_MUST_CHECK int sl__rest_add(sl__rest *rest, sl_instrument *definition);
SL_MUST_CHECK int sl__define(sl_venue_decoder *decoder, sl_instruments *instruments, sl_instrument *definition,
                             sl_venue_answer *answer);

/*
 * A field of a definition: false, and the whole definition counted as unknown, when it is absent or too long; names
 * of assets become upper case, XBT becomes BTC and XDG becomes DOGE.
 */
bool sl__define_symbol(const sl__fields *fields, unsigned field, sl_instrument *definition);
bool sl__define_asset(sl_json_text text, char asset[SL_ASSET_MAX]);

/* "BTC/USD" or "BTC-USD" as base and quote, as sl__define_asset(). */
bool sl__define_pair(sl_json_text text, char separator, sl_instrument *definition);

/* The array under the cursor, row by row. One that cannot be read harms no other: sl__rows. */
SL_MUST_CHECK int sl__rest_rows(sl__rest *rest, int (*read)(sl__rest *rest));

/* The places of a candle's values in a row. */
typedef struct sl__candle_columns {
    unsigned char time, open, high, low, close, volume, count;
    int64_t unit_ns;
} sl__candle_columns;

/* A candle of a row of texts, given out; closed when it had ended as the message was received, or by `closed`. */
SL_MUST_CHECK int sl__give_candle(sl__reading *reading, const sl__candle_columns *columns, const sl_json_text *texts,
                                  const sl_instrument *instrument, int64_t interval_ns, const bool *closed);

/* Counts a trade: the answer's last_id is the largest id, rest->oldest_id the smallest. */
void sl__rest_saw_trade(sl__rest *rest, int64_t id);

/* Tells that there is a further page, and its cursor. */
void sl__rest_more(sl__rest *rest, int64_t cursor);

/* The number of an interval in a table of seconds that a venue offers, -1 when it is not there. */
int sl__interval_find(int64_t interval_ns, const uint32_t *seconds, size_t count);

/* What a driver's subscribe() is asked, and its venue's limits of one message. */
typedef struct sl__batch {
    const sl_subscription *subscriptions;
    size_t count;
    bool off;
    int64_t request_id;
    size_t most;          /* subscriptions in a message */
    size_t message_bytes; /* 0: only the buffer limits it */
} sl__batch;

/*
 * Writes one control message for as many of the first subscriptions as fit. `put` writes it for exactly `count` of
 * them: 0 or SL_EINVAL. As subscribe() of a driver.
 */
typedef int (*sl__put_fn)(struct sl__writer *writer, const sl_subscription *subscriptions, size_t count, bool off,
                          int64_t request_id);
SL_MUST_CHECK int sl__compose(sl__put_fn put, const sl__batch *batch, char *buffer, size_t size_bytes,
                              size_t *ret_size_bytes);

/* One text as the whole of a path or message; its length or SL_EMSGSIZE. */
int sl__compose_text(const char *text, char *buffer, size_t size_bytes);

/* Memory beside each instrument that a decoder has to remember something of. */
struct sl__beside {
    char *items;
    size_t count;
};

/* The item of an instrument, zeroed when it is new; NULL: out of memory. Free with sl_free(beside->items). */
void *sl__beside(struct sl__beside *beside, const sl_instrument *instrument, size_t item_bytes);

/* The instrument of a symbol for a notice; not counted when unknown. */
const sl_instrument *sl__find(const sl__reading *reading, sl_json_text symbol);

/* The text from behind `before` up to the next of the characters in `ends`, or to the end; empty without `before`. */
sl_json_text sl__between(sl_json_text text, const char *before, const char *ends);

#endif
