/* SPDX-License-Identifier: MIT */
/* Hashes of events, for the tracker: by which copies are known where ids are missing, or only can be compared. */
#ifndef SL_MARKET_TRACKER_HASH_H
#define SL_MARKET_TRACKER_HASH_H

#include "event.h"

/* Of a trade by its ids, of a liquidation by all that is told of it. */
uint64_t sl__tracker_identity(const sl_market_event *event);

/* Of a state, by its values. */
uint64_t sl__tracker_state(const sl_market_event *event);

#endif
