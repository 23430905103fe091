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
    uint32_t connection; /* that brought it */
    uint32_t strays;     /* older ones in a row since then that are no copies */
};

/*
 * Whether a state is newer than the last one (all 0: there was none), or one too many that is older: the venue's clock was
 * set back, or its ids begin anew, and all that follows would be taken for repeats. If so what is the last one then; if not
 * older ones are counted. Another connection's copies may be behind a little; one's own messages are not.
 */
bool sl__tracker_is_news(struct sl__tracker_last *last, const sl_market_event *event,
                         struct sl__tracker_last *ret_news);

#endif
