/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON objects by a table of names, for drivers whose messages are objects with named fields in any order.
 *
 *     enum { SYMBOL, PRICE, COUNT };
 *     static const sl__name names[COUNT] = {[SYMBOL] = SL__NAME("symbol", STRING), [PRICE] = SL__NAME("price", NUMBER)};
 *     SL_TRY(sl__fields_read(reading, &fields, names, COUNT));      // the object under the cursor
 *     SL_TRY(sl__field_decimal(reading, &fields, PRICE, &price));
 *
 * Every failure has written the decoder's problem: the kind of message, the field, what it held. Texts are foreign,
 * and borrowed until the next document is opened (sl__reading_again() opens one).
 */
#ifndef SLUICE_VENUES_FIELDS_H
#define SLUICE_VENUES_FIELDS_H

#include "decode.h"

/* A message on its way through a driver. */
typedef struct sl__reading {
    sl_venue_decoder *decoder;
    const sl_venue_message *message;
    const sl_venue_output *output;
    const char *what;  /* the kind of message, for texts */
    size_t origin;     /* where in the message the document that is open begins */
    int64_t sent_time; /* ns, put into the events; 0: not told */
} sl__reading;

/* Opens the message; the cursor stands on its root value. */
SL_MUST_CHECK int sl__reading_begin(sl__reading *reading, sl_venue_decoder *decoder, const sl_venue_message *message,
                                    const sl_venue_output *output);

/* Checks that the document ends here. */
SL_MUST_CHECK int sl__reading_finish(sl__reading *reading);

/*
 * Opens a part of the message as a document of its own, for forms that say behind their data what it is. What was
 * borrowed before is gone. sl__field_again() opens a field whose place was kept, also one of such a document.
 */
SL_MUST_CHECK int sl__reading_again(sl__reading *reading, size_t from, size_t to);

/* Notes what is wrong, behind the kind of message, and returns the code; for what the cursor refused, the second. */
int sl__bad(sl__reading *reading, int code, const char *format, ...) SL_PRINTF(3, 4);
int sl__bad_json(sl__reading *reading, int code);

/* A name, and the type that its value must have. null always counts as absent; NONE takes any other type. */
typedef struct sl__name {
    const char *text;
    unsigned char size_bytes;
    unsigned char type; /* sl_json_type */
} sl__name;

#define SL__NAME(text, type)                                                                                           \
    {                                                                                                                  \
        text, sizeof(text) - 1, SL_JSON_##type                                                                         \
    }

/* Names in one table. */
#define SL__NAMES_MAX 28

/* The fields of an object that were seen; of containers the place only. */
typedef struct sl__fields {
    const sl__name *names;
    unsigned count;
    unsigned next; /* the name to try first: fields mostly come in the order of the table */
    uint32_t present;
    struct {
        sl_json_text text;
        size_t from, to;
    } values[SL__NAMES_MAX];
} sl__fields;

/*
 * Goes into the object under the cursor; then to its next known field that is a container: its number + 1 with the
 * cursor on it, or 0 at the object's end. Scalars on the way are kept.
 */
SL_MUST_CHECK int sl__fields_enter(sl__reading *reading, sl__fields *fields, const sl__name *names, unsigned count);
SL_MUST_CHECK int sl__fields_next(sl__reading *reading, sl__fields *fields);

/* Skips the container that sl__fields_next() found and keeps its place. */
SL_MUST_CHECK int sl__fields_keep(sl__reading *reading, sl__fields *fields, unsigned field);

/* Opens a container that was kept as a document of its own; SL_EPROTO when the field is missing or no container. */
SL_MUST_CHECK int sl__field_again(sl__reading *reading, const sl__fields *fields, unsigned field);

/* The whole object under the cursor; containers are skipped, their places kept. */
SL_MUST_CHECK int sl__fields_read(sl__reading *reading, sl__fields *fields, const sl__name *names, unsigned count);

static inline bool sl__field_has(const sl__fields *fields, unsigned field)
{
    return (fields->present >> field & 1) != 0;
}

/* Whether a field is there with a text in it: several venues write "" where they know nothing. */
static inline bool sl__field_told(const sl__fields *fields, unsigned field)
{
    return sl__field_has(fields, field) && fields->values[field].text.size_bytes > 0;
}

static inline bool sl__field_is(const sl__fields *fields, unsigned field, const char *text)
{
    return sl__field_has(fields, field) && sl_json_is(fields->values[field].text, text);
}

/* The text, "" when it is absent. */
static inline sl_json_text sl__field_or_empty(const sl__fields *fields, unsigned field)
{
    static const sl_json_text empty = {"", 0};
    return sl__field_has(fields, field) ? fields->values[field].text : empty;
}

/* Fields that have to be there: SL_EPROTO without them. A quantity is not negative. */
SL_MUST_CHECK int sl__field_text(sl__reading *reading, const sl__fields *fields, unsigned field,
                                 sl_json_text *ret_text);
SL_MUST_CHECK int sl__field_int(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t *ret_value);
SL_MUST_CHECK int sl__field_decimal(sl__reading *reading, const sl__fields *fields, unsigned field,
                                    sl_decimal *ret_value);
SL_MUST_CHECK int sl__field_quantity(sl__reading *reading, const sl__fields *fields, unsigned field,
                                     sl_decimal *ret_value);

/* "buy", "Buy", "b" and "sell", "Sell", "s". */
SL_MUST_CHECK int sl__field_side(sl__reading *reading, const sl__fields *fields, unsigned field, sl_side *ret_side);
SL_MUST_CHECK int sl__text_side(sl__reading *reading, const char *name, sl_json_text text, sl_side *ret_side);

/* A time since 1970 as a whole number of `unit_ns`; RFC 3339 with SL__ISO; seconds with a fraction with SL__SECONDS. */
#define SL__ISO 0
#define SL__SECONDS (-1)
#define SL__MS INT64_C(1000000)
#define SL__US INT64_C(1000)
#define SL__S INT64_C(1000000000)
SL_MUST_CHECK int sl__field_time(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t unit_ns,
                                 int64_t *ret_ns);
SL_MUST_CHECK int sl__text_when(sl__reading *reading, const char *name, sl_json_text text, int64_t unit_ns,
                                int64_t *ret_ns);

/* As those, but a field that is absent or empty leaves the value as it is. */
SL_MUST_CHECK int sl__field_int_if(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t *ret_value);
SL_MUST_CHECK int sl__field_decimal_if(sl__reading *reading, const sl__fields *fields, unsigned field,
                                       sl_decimal *ret_value);
/*
 * Likewise, and one with more digits than can be represented leaves the value as it is, too: for figures that the venue
 * derives from others, which are not worth the message.
 */
SL_MUST_CHECK int sl__field_derived_if(sl__reading *reading, const sl__fields *fields, unsigned field,
                                       sl_decimal *ret_value);
SL_MUST_CHECK int sl__field_time_if(sl__reading *reading, const sl__fields *fields, unsigned field, int64_t unit_ns,
                                    int64_t *ret_ns);

/* Into an array of an instrument's definition, with NUL. */
SL_MUST_CHECK int sl__field_copy(sl__reading *reading, const sl__fields *fields, unsigned field, char *buffer,
                                 size_t size_bytes);

/*
 * The scalars of the array under the cursor, at least `min` and at most `max` of them; what it has beyond is skipped.
 * Objects and arrays in it are empty texts.
 */
SL_MUST_CHECK int sl__row_read(sl__reading *reading, sl_json_text *ret_texts, unsigned min, unsigned max);

/* The next element of the array the cursor is in: 1, or 0 at its end; and the array itself. */
SL_MUST_CHECK int sl__array_enter(sl__reading *reading);
SL_MUST_CHECK int sl__array_next(sl__reading *reading);

/*
 * Rows of a list, of which one that cannot be read harms no other:
 *
 *     int code = sl__rows_enter(&rows, reading);                 // the array under the cursor
 *     while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
 *         code = sl__rows_take(&rows, read_one(...));            // 0 also when the row was left out
 *     }
 *     return sl__rows_end(&rows, code);                          // why the last one was, where nobody is told (bad_row)
 */
typedef struct sl__rows {
    sl__reading *reading;
    unsigned depth; /* inside the array */
    size_t from;    /* where the row begins */
    int worst;
} sl__rows;

SL_MUST_CHECK int sl__rows_enter(sl__rows *rows, sl__reading *reading);
SL_MUST_CHECK int sl__rows_next(sl__rows *rows);
SL_MUST_CHECK int sl__rows_take(sl__rows *rows, int code);
static inline int sl__rows_end(const sl__rows *rows, int code)
{
    return code < 0 ? code : rows->worst;
}

/* An event with what the message says of all its events. */
static inline sl_market_event sl__event_of(const sl__reading *reading, sl_event_kind kind, sl_feed feed,
                                           const sl_instrument *instrument)
{
    sl_market_event event = sl__event(reading->decoder, reading->message, kind, feed, instrument);
    event.sent_time_ns = reading->sent_time;
    return event;
}

/* Gives out an event, a notice, and a notice of a kind and a text only. */
static inline int sl__give(sl__reading *reading, const sl_market_event *event)
{
    return sl__give_event(reading->decoder, reading->output, event);
}

static inline int sl__notify(sl__reading *reading, const sl_venue_notice *notice)
{
    return sl__give_notice(reading->decoder, reading->output, notice);
}

static inline int sl__notify_text(sl__reading *reading, sl_notice_kind kind, sl_json_text text)
{
    sl_venue_notice notice = {.kind = kind, .text = text};
    return sl__notify(reading, &notice);
}

/* Whether a text contains a word, letters of either case. */
bool sl__contains(sl_json_text text, const char *word);

#endif
