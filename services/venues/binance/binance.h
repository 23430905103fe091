/* SPDX-License-Identifier: MIT */
/*
 * Binance's spot, USD-M and COIN-M markets; what is shared between the files of this folder. Sources:
 * binance-spot-api-docs (web-socket-streams.md, rest-api.md), developers.binance.com (USD-M and COIN-M futures).
 *
 *   driver.c   the three drivers: facts and limits
 *   decode.c   messages of the streams
 *   plain.c    the form that nearly all of these have, read in one pass (plain_vector.c: by vectors)
 *   ahead.c    a look at the message behind the one that is decoded
 *   rest.c     paths of requests, what they cost, answers
 *   quotes.c   of them tickers, best prices and funding, of one instrument or of all
 *   control.c  names of streams, SUBSCRIBE and UNSUBSCRIBE
 */
#ifndef SLUICE_VENUES_BINANCE_H
#define SLUICE_VENUES_BINANCE_H

#include "venues/decode.h"

extern const sl_venue_driver sl__binance_spot;
extern const sl_venue_driver sl__binance_usdm;
extern const sl_venue_driver sl__binance_coinm;

static inline bool sl__binance_is_spot(const sl_venue_decoder *decoder)
{
    return decoder->options.venue == SL_VENUE_BINANCE_SPOT;
}

/* Fields of one object by slot: one-letter keys by their letter, those with longer names in the places between. */
enum {
    SL__BINANCE_PREVIOUS = 'Z' - 'A' + 1, /* "pu" */
    SL__BINANCE_LAST_UPDATE,              /* "lastUpdateId" */
    SL__BINANCE_SYMBOL,                   /* "symbol" */
    SL__BINANCE_CODE,                     /* "code" */
    SL__BINANCE_MSG,                      /* "msg" */
    SL__BINANCE_RESULT,                   /* "result" */
    SL__BINANCE_ID = 'z' - 'A' + 1,       /* "id" */
    SL__BINANCE_STATUS,                   /* "cs" */
    SL__BINANCE_SLOTS,
    SL__BINANCE_IGNORED = SL__BINANCE_SLOTS,
};
_Static_assert('a' - 'Z' - 1 == 6 && SL__BINANCE_SLOTS <= 64, "six places between, and presence is a bit of one word");

#define SL__BINANCE_LETTER(c) ((c) - 'A')

struct sl__binance_field {
    sl_json_text text;
    int type;            /* sl_json_type */
    bool whole, decimal; /* plain.c has read it already: */
    int8_t exponent;     /* of the decimal, */
    int64_t value;       /* its mantissa, or the integer that it is */
};

struct sl__binance_fields {
    uint64_t present;
    struct sl__binance_field fields[SL__BINANCE_SLOTS + 1]; /* and a place for what is ignored */
};

struct sl__binance {
    sl_venue_decoder base;
    struct sl__binance_fields outer; /* of the event's object, and of the envelope around it */
    struct sl__binance_fields inner; /* of "k" and "o" in it */
    sl_json_text stream;
    bool (*read_plain)(struct sl__binance *binance, const sl_venue_message *message, const sl_venue_output *output);
    const sl_venue_output *output; /* plain.c: of the message that is read */
    const char *expected_symbol;   /* plain.c: where the symbol stands that was looked up ahead, */
    const sl_instrument *expected; /* and what it led to */
};

/* Whether this processor does what plain_vector.c is compiled for. */
static inline bool sl__binance_has_avx2(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
#else
    return false;
#endif
}

static inline bool sl__binance_has(const struct sl__binance_fields *fields, int slot)
{
    return (fields->present >> slot & 1) != 0;
}

/* decode.c: the slot of a key; SL__BINANCE_IGNORED for those that tell nothing here. */
int sl__binance_slot(sl_json_text key);

/* decode.c: notes that a container of this sl_json_type stands in `slot`. */
void sl__binance_note(struct sl__binance_fields *fields, int slot, int type);

/*
 * plain.c: reads a message of the plain form as sl__binance_read() and sl_json_finish() would; false, with fields and
 * levels half read, for all others. The second one is for processors that have AVX2 (and BMI).
 */
bool sl__binance_read_plain(struct sl__binance *binance, const sl_venue_message *message,
                            const sl_venue_output *output);
bool sl__binance_read_plain_avx2(struct sl__binance *binance, const sl_venue_message *message,
                                 const sl_venue_output *output);

/* ahead.c: what the driver points to. */
void sl__binance_look_ahead(const sl_venue_decoder *decoder, const char *bytes, size_t size_bytes);

/* decode.c: reads the object under the cursor into `outer` (levels into the sides). 0 or an error. */
SL_MUST_CHECK int sl__binance_read(struct sl__binance *binance);

/* decode.c: the field in `slot` as integer, or time in ns (0 when absent and not needed). */
SL_MUST_CHECK int sl__binance_int(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot,
                                  const char *what, const char *name, int64_t *ret_value);
SL_MUST_CHECK int sl__binance_time(struct sl__binance *binance, const struct sl__binance_fields *fields, int slot,
                                   const char *what, const char *name, bool needed, int64_t *ret_ns);

/* decode.c: a count of milliseconds, or of microseconds when it is that large, since 1970. */
SL_MUST_CHECK int sl__binance_text_time(sl_venue_decoder *decoder, const char *what, const char *name,
                                        sl_json_text text, int64_t *ret_ns);

/* decode.c: a book as one whole: {"lastUpdateId":…,"bids":…,"asks":…} in `outer`. */
SL_MUST_CHECK int sl__binance_give_snapshot(struct sl__binance *binance, const sl_venue_message *message,
                                            const sl_venue_output *output, sl_feed feed,
                                            const sl_instrument *instrument, uint32_t depth);

/* decode.c: what the venue calls a status ("TRADING"). */
sl_instrument_status sl__binance_status(sl_json_text status);

/* control.c: an interval as Binance writes it ("1m"); NULL where it has none such. */
const char *sl__binance_interval(sl_venue venue, int64_t interval_ns);

/* quotes.c: the endpoint of such a request, NULL for others, or where the market has none; its cost; its answer. */
const char *sl__binance_quotes_endpoint(sl_venue venue, sl_venue_request_kind kind);
uint32_t sl__binance_quotes_cost(sl_venue venue, const sl_venue_request *request);
SL_MUST_CHECK int sl__binance_decode_quotes(struct sl__binance *binance, const sl_venue_request *request,
                                            const sl_venue_message *message, const sl_venue_output *output,
                                            sl_venue_answer *answer);

/* rest.c: what an error of the venue comes to. */
int sl__binance_refuse(struct sl__binance *binance, int64_t code, sl_json_text text, sl_venue_answer *answer);

/* What the drivers point to. */
int sl__binance_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);
int sl__binance_rest_path(sl_venue venue, const sl_venue_request *request, char *buffer, size_t size_bytes);
int sl__binance_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                            const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer);
uint32_t sl__binance_cost(sl_venue venue, const sl_venue_request *request);
int sl__binance_stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes);
bool sl__binance_together(const sl_subscription *a, const sl_subscription *b);
int sl__binance_subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id,
                          char *buffer, size_t size_bytes, size_t *ret_size_bytes);

#endif
