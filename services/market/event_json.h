/* SPDX-License-Identifier: MIT */
/*
 * The one JSON form of market events, as files, queues and WebSocket clients get it; docs/reference/events.md
 * describes it field by field. Prices and quantities are strings with the venue's own digits, times are integers of
 * nanoseconds since 1970, ids are integers or strings.
 */
#ifndef SLUICE_MARKET_EVENT_JSON_H
#define SLUICE_MARKET_EVENT_JSON_H

#include "market/record.h"
#include "sluice/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Enough for the text of this event, levels included. */
size_t sl_event_json_bound(const sl_market_event *event);

/*
 * Writes the event as one JSON object, without white space and without an end, into sl_event_json_bound() bytes; the
 * length. With a stamp it has the member "stamp" (its two numbers, hexadecimal and decimal: "18a5c7d2-17"); NULL: it
 * has none. Allocates nothing, cannot fail.
 */
size_t sl_event_json_write(const sl_market_event *event, const sl_stamp *stamp, char *buffer);

/* One side of a book by itself, [["price","quantity"],...]: the room it needs, and writing it. */
size_t sl_levels_json_bound(size_t count);
size_t sl_levels_json_write(const sl_level *levels, size_t count, char *buffer);

/* "18a5c7d2-17": 0, SL_EPROTO. */
SL_MUST_CHECK int sl_stamp_parse(const char *text, size_t size_bytes, sl_stamp *ret_stamp);

#define SL_STAMP_TEXT_MAX 40
/* Writes it with its NUL; the length. */
size_t sl_stamp_format(sl_stamp stamp, char buffer[SL_STAMP_TEXT_MAX]);

#ifdef __cplusplus
}
#endif

#endif
