/* SPDX-License-Identifier: MIT */
/* Reads events from their JSON form (market/event_json.h), strictly: what is missing or unknown is an error. */
#ifndef EVENT_READER_H
#define EVENT_READER_H

#include "market/event_json.h"

struct event_reader; /* one for many events; allocates */

struct event_reader *event_reader_new(void);
void event_reader_free(struct event_reader *reader);

/*
 * One object. Levels and instrument are the reader's, until the next call and its end. `ret_stamp` is {0, 0} when there is none. 0, or a
 * code; event_reader_problem() tells more.
 */
int event_reader_read(struct event_reader *reader, const char *text, size_t size_bytes, sl_market_event *ret_event,
                      sl_stamp *ret_stamp);
const char *event_reader_problem(const struct event_reader *reader);

#endif
