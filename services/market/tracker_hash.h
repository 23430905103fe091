/* SPDX-License-Identifier: MIT */
/* For the tracker: by what copies are known where ids are missing, or only can be compared. */
#ifndef SL_MARKET_TRACKER_HASH_H
#define SL_MARKET_TRACKER_HASH_H

#include "event.h"

/* Of a trade by its ids, of a liquidation by all that is told of it. */
uint64_t sl__tracker_identity(const sl_market_event *event);

/* What a state is compared by: its id and time, and its values; of a candle when it began, its volume, if it is closed. */
struct sl__tracker_last {
    int64_t id;
    int64_t time_ns;
    uint64_t hash;
};

/* Whether a state is newer than the last one (all 0: there was none); if so what is the last one then. */
bool sl__tracker_is_news(const struct sl__tracker_last *last, const sl_market_event *event,
                         struct sl__tracker_last *ret_news);

#endif
