/* SPDX-License-Identifier: MIT */
/* What came when, where ids do not tell: so that a loss that is found out late can say what it lies behind. */
#ifndef SLUICE_MARKET_TRACKER_MARKS_H
#define SLUICE_MARKET_TRACKER_MARKS_H

#include "tracker.h"

/* An event that was given out. */
struct sl__tracker_mark {
    sl_time at;
    int64_t id, venue_time_ns;
};

struct sl__tracker_marks {
    struct sl__tracker_mark last;                    /* the last one, */
    struct sl__tracker_mark marks[SL_TRACKER_MARKS]; /* and some before it, in a ring */
    uint32_t next, count;
};

static inline void sl__tracker_mark(struct sl__tracker_marks *marks, const sl_market_event *event, sl_time now)
{
    const struct sl__tracker_mark *before = &marks->marks[(marks->next + SL_TRACKER_MARKS - 1) % SL_TRACKER_MARKS];
    marks->last = (struct sl__tracker_mark){
        .at = now, .id = event->kind == SL_EVENT_TRADE ? event->as.trade.id : 0, .venue_time_ns = event->venue_time_ns};
    if (marks->count == 0 || now - before->at >= SL_TRACKER_MARK_EVERY) {
        marks->marks[marks->next] = marks->last;
        marks->next = (marks->next + 1) % SL_TRACKER_MARKS;
        marks->count += marks->count < SL_TRACKER_MARKS;
    }
}

/* The newest that is known to have been given out by then. So long ago that none is: its time, by that of the oldest. */
static inline struct sl__tracker_mark sl__tracker_mark_at(const struct sl__tracker_marks *marks, sl_time since)
{
    if (marks->last.at <= since) {
        return marks->last;
    }
    const struct sl__tracker_mark *oldest = &marks->last;
    for (uint32_t back = 1; back <= marks->count; back++) {
        oldest = &marks->marks[(marks->next + SL_TRACKER_MARKS - back) % SL_TRACKER_MARKS];
        if (oldest->at <= since) {
            return *oldest;
        }
    }
    bool told = oldest->venue_time_ns != 0;
    return (struct sl__tracker_mark){.at = since,
                                     .venue_time_ns = told ? oldest->venue_time_ns - (oldest->at - since) : 0};
}

#endif
