/* SPDX-License-Identifier: MIT */
/*
 * What all venues' drivers need once: their decoder's beginning and end, fields of JSON as exact values, levels,
 * giving out events and notices, texts of what was wrong, and writing paths and control messages.
 *
 * A driver's decode() opens the message with sl__decode_open(), walks it with the JSON cursor, and gives what it
 * finds to sl__give_event() and sl__give_notice(). Functions that fail have written decoder->problem.
 */
#ifndef SLUICE_VENUES_DECODE_H
#define SLUICE_VENUES_DECODE_H

#include <string.h>

#include "venues/venue.h"

/* A decoder of `size_bytes` (its first member is the sl_venue_decoder), with JSON cursor. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl__decoder_new(const sl_venue_driver *driver, const sl_venue_decoder_options *options,
                                  size_t size_bytes, sl_venue_decoder **ret_decoder);
void sl__decoder_free(sl_venue_decoder *decoder);

/* Puts the cursor on the message's root value. 0 or as sl_json_open(). */
SL_MUST_CHECK int sl__decode_open(sl_venue_decoder *decoder, const sl_venue_message *message);

/* ---- what is wrong ---- */

/* Notes what is wrong and returns the code. */
int sl__refuse(sl_venue_decoder *decoder, int code, const char *format, ...) SL_PRINTF(3, 4);

/* As sl__refuse(), for what the JSON cursor refused: "WHERE: not an array at byte 7". */
int sl__refuse_json(sl_venue_decoder *decoder, int code, const char *where);

/* A piece of foreign text for an error message: short, and without control characters. */
struct sl__excerpt {
    char text[41];
};
struct sl__excerpt sl__excerpt(sl_json_text text);

/* ---- values; `what` and `name` say which in the problem: depthUpdate: "pu" is no integer … ---- */

SL_MUST_CHECK int sl__text_decimal(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                                   sl_decimal *ret_value);
SL_MUST_CHECK int sl__text_int(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                               int64_t *ret_value);

/* A count of `unit_ns` since 1970 as ns. */
SL_MUST_CHECK int sl__text_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                                int64_t unit_ns, int64_t *ret_ns);

/* "2022-03-01T12:34:56.123456Z" (RFC 3339, UTC, any fraction up to ns) as ns since 1970. */
SL_MUST_CHECK int sl__text_iso_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                                    int64_t *ret_ns);

/*
 * The scalars of the object under the cursor, by name: strings' contents, numbers' texts, "true" and "false"; of
 * those that are absent, null or containers `data` is NULL. The object is left. `count` up to 64.
 */
SL_MUST_CHECK int sl__read_object(sl_venue_decoder *decoder, const char *what, const char *const *names, size_t count,
                                  sl_json_text *ret_values);

/* Likewise of an array, by position: up to `count`, the rest is skipped; *ret_count is how many there were. */
SL_MUST_CHECK int sl__read_row(sl_venue_decoder *decoder, const char *what, size_t count, sl_json_text *ret_values,
                               size_t *ret_count);

/* As sl__text_decimal() and the others, for a value that must be there: "trade: "p" is missing". */
SL_MUST_CHECK int sl__need_decimal(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                                   sl_decimal *ret_value);
SL_MUST_CHECK int sl__need_int(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                               int64_t *ret_value);
SL_MUST_CHECK int sl__need_time(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                                int64_t unit_ns, int64_t *ret_ns);

/* Copies a text into an array with its NUL; one that does not fit is SL_EMSGSIZE. */
SL_MUST_CHECK int sl__text_copy(sl_venue_decoder *decoder, const char *what, const char *name, sl_json_text text,
                                char *buffer, size_t size_bytes);

/* ---- levels ---- */

/* Empties both sides; to be called before the levels of a message or an event are read. */
static inline void sl__levels_clear(sl_venue_decoder *decoder)
{
    decoder->bids.count = 0;
    decoder->asks.count = 0;
}

/* Adds room for one more level, the caller fills it. SL_EMSGSIZE over the limit, SL_ENOMEM. */
SL_MUST_CHECK int sl__levels_grow(sl_venue_decoder *decoder, struct sl__venue_side *side);
static inline int sl__levels_add(sl_venue_decoder *decoder, struct sl__venue_side *side, sl_level **ret_level)
{
    if (side->count == side->capacity) {
        SL_TRY(sl__levels_grow(decoder, side));
    }
    *ret_level = &side->levels[side->count++];
    return 0;
}

/*
 * The array of levels under the cursor, [["price","quantity",...],...], appended to the side, or as all of the bids or
 * asks. Numbers are strings; what an element has beyond these two is skipped.
 */
SL_MUST_CHECK int sl__read_levels(sl_venue_decoder *decoder, struct sl__venue_side *side);
SL_MUST_CHECK int sl__read_side(sl_venue_decoder *decoder, bool bids);

/* What the sides hold, for an event. */
static inline sl_levels sl__levels(const sl_venue_decoder *decoder)
{
    sl_levels levels = {decoder->bids.levels, decoder->asks.levels, decoder->bids.count, decoder->asks.count};
    return levels;
}

/* ---- giving out ---- */

/*
 * The instrument of a symbol; NULL where the table has none: counted, the event is to be left out, and the message
 * counts as decoded all the same.
 */
const sl_instrument *sl__instrument(sl_venue_decoder *decoder, sl_json_text symbol);

/* For an event that sl__event_begin() clears: it need not be cleared twice (-ftrivial-auto-var-init). */
#define SL_UNINITIALIZED __attribute__((uninitialized))

/* An event's head, everything else 0. */
static inline void sl__event_begin(const sl_venue_decoder *decoder, const sl_venue_message *message, sl_event_kind kind,
                                   sl_feed feed, const sl_instrument *instrument, sl_market_event *ret_event)
{
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->kind = kind;
    ret_event->feed = feed;
    ret_event->connection = decoder->options.connection;
    ret_event->instrument = instrument;
    ret_event->receive_time_ns = message->receive_time_ns;
}

static inline sl_market_event sl__event(const sl_venue_decoder *decoder, const sl_venue_message *message,
                                        sl_event_kind kind, sl_feed feed, const sl_instrument *instrument)
{
    sl_market_event event;
    sl__event_begin(decoder, message, kind, feed, instrument, &event);
    return event;
}

/* Give to the output; what it returns. */
SL_MUST_CHECK int sl__give_event(sl_venue_decoder *decoder, const sl_venue_output *output,
                                 const sl_market_event *event);
SL_MUST_CHECK int sl__give_notice(sl_venue_decoder *decoder, const sl_venue_output *output,
                                  const sl_venue_notice *notice);

/* ---- writing ---- */

/* Text that is being written into a buffer, always NUL-terminated; `full` once something did not fit. */
struct sl__writer {
    char *buffer;
    size_t size_bytes;
    size_t length;
    bool full;
};

static inline struct sl__writer sl__writer(char *buffer, size_t size_bytes)
{
    struct sl__writer writer = {buffer, size_bytes, 0, size_bytes == 0};
    if (size_bytes > 0) {
        buffer[0] = '\0';
    }
    return writer;
}

void sl__put(struct sl__writer *writer, const char *text);
void sl__put_bytes(struct sl__writer *writer, const char *text, size_t size_bytes);
void sl__put_int(struct sl__writer *writer, int64_t value);

/* How a symbol's letters are written. */
enum sl__case { SL__AS_IS, SL__LOWER, SL__UPPER };

/* A symbol as it goes into a URL: letters, digits, '-', '_' and '.' as they are, the rest percent-encoded. */
void sl__put_url(struct sl__writer *writer, const char *text, enum sl__case letters);

/* A text as the inside of a JSON string. */
void sl__put_json(struct sl__writer *writer, const char *text, enum sl__case letters);

/* The length, or SL_EMSGSIZE when not all fitted. */
static inline int sl__written(const struct sl__writer *writer)
{
    return writer->full ? SL_EMSGSIZE : (int)writer->length;
}

#endif
