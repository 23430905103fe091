/* SPDX-License-Identifier: MIT */
/*
 * Events from their JSON form (event_json.h, docs/reference/events.md), as strangers send it: each member is checked, and
 * what is wrong is said exactly, with the place. Whatever one item is, it harms no other.
 *
 * A text is one event, an array of events, or several events one after another on lines of their own (NDJSON). Members of
 * the sender's own processing (receive_time_ns, connection) are checked and replaced; its stamp is given out beside the
 * event. Unknown members are refused: most are misspelt.
 */
#ifndef SLUICE_MARKET_EVENT_READ_H
#define SLUICE_MARKET_EVENT_READ_H

#include "market/event.h"
#include "market/record.h"
#include "sluice/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Instruments that one reader comes to know; and levels a side. */
#define SL_EVENT_READ_INSTRUMENTS 65536
#define SL_EVENT_READ_LEVELS 50000

/* What is wrong with an item. */
struct sl_event_problem {
    size_t item;         /* its number, from 0 */
    size_t offset_bytes; /* in the whole text: where the item begins, or where the JSON breaks */
    char path[64];       /* "bids[2][0]"; "": the item as a whole */
    char text[192];      /* what is wrong, and what was expected */
};

typedef struct sl_event_reader sl_event_reader;

/*
 * For texts up to `text_max` bytes; events that name no venue are of `otherwise` (SL_VENUE_NONE: they have to). 0, SL_EINVAL,
 * SL_ENOMEM.
 */
SL_MUST_CHECK int sl_event_reader_new(size_t text_max, sl_venue otherwise, sl_event_reader **ret_reader);
void sl_event_reader_free(sl_event_reader *reader);
SL_AUTO_DECLARE(sl_event_reader, sl_event_reader_free)

/* Begins a text, which must stay as it is until its last item. Does not fail: what is wrong is the first item's problem. */
void sl_event_reader_open(sl_event_reader *reader, const char *text, size_t size_bytes, int64_t receive_time_ns);

/*
 * The next item: 1 and its event, which lives until the next call (its instrument as long as the reader); 0 at the end of
 * the text; SL_EPROTO with the problem: the next call goes on with the next item, or, where the text is no JSON from
 * there on, gives 0. SL_ENOMEM: nothing was taken. `ret_stamp`: the sender's; both numbers 0: it gave none.
 */
SL_MUST_CHECK int sl_event_reader_next(sl_event_reader *reader, sl_market_event *ret_event, sl_stamp *ret_stamp);

/* How many it has come to know, at most SL_EVENT_READ_INSTRUMENTS. */
size_t sl_event_reader_instruments(const sl_event_reader *reader);

/* Of the last item that was refused. */
const struct sl_event_problem *sl_event_reader_problem(const sl_event_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
