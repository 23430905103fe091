/* SPDX-License-Identifier: MIT */
/* Market events to fill queues and stores with: every kind, every shape, from a number. */
#ifndef SAMPLE_EVENTS_H
#define SAMPLE_EVENTS_H

#include "market/event.h"

/* Some instruments of several venues; lives until the process ends. */
#define SAMPLE_INSTRUMENTS 7
const sl_instrument *sample_instrument(size_t index);

/*
 * The event of a number: the same number gives the same event. Kinds take turns, SL_EVENT_TRADE first; of one kind
 * and instrument ids grow with the number. Levels are borrowed until the next call.
 */
sl_market_event sample_event(uint64_t number);

/* The same of one kind. */
sl_market_event sample_event_of(sl_event_kind kind, uint64_t number);

/* Whether they are the same in all that they say, the digits of numbers included. */
bool sample_events_equal(const sl_market_event *a, const sl_market_event *b);

#endif
