/* SPDX-License-Identifier: MIT */
/*
 * What comes from a venue over one or several connections, made into one stream: the first copy of each event wins,
 * later ones are dropped and counted; what is missing is told as a gap. No I/O and no clock. (Books: keeper.h.)
 *
 * Trades with consecutive ids (Binance, Coinbase, Kraken, OKX): an id that does not follow opens a hole. With several
 * connections the hole has `patience` to be filled by another one's copy; what is missing then is a gap. Trades with
 * other ids are recognised by their id among the last SL_TRACKER_RECENT. State (best, ticker, candle, funding, open
 * interest): what is not newer than what was given out, by id or by the venue's time, is a repeat.
 *
 * One thread at a time; never blocks; allocates when an instrument is seen for the first time.
 */
#ifndef SLUICE_MARKET_TRACKER_H
#define SLUICE_MARKET_TRACKER_H

#include "event.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How far behind the newest consecutive id a late copy is still recognised. */
#define SL_TRACKER_WINDOW 1024

/* So many ids in a row that are older than the newest by so much: the venue counts anew, and so does the tracker. */
#define SL_TRACKER_STRAYS 10
#define SL_TRACKER_FAR 1000000

/* Or so many ids in a row that are not newer, of trades that are later by more than this: no copy is. */
#define SL_TRACKER_LATER SL_SECONDS(1)

/* The same of states that have only the venue's time; of one's own connection any that is older counts. */
#define SL_TRACKER_FAR_TIME SL_SECONDS(60)

/* How many ids that are not consecutive are remembered for each instrument and feed. */
#define SL_TRACKER_RECENT 128

/* How far back it is known what came when, where ids are not consecutive: so many marks, at least so far apart. */
#define SL_TRACKER_MARKS 16
#define SL_TRACKER_MARK_EVERY SL_SECONDS(8)

/* Candles of so many lengths are told apart; those of further ones are compared with each other. */
#define SL_TRACKER_LENGTHS 16

/* Holes of one instrument that wait for another connection's copy; beyond that they are told at once. */
#define SL_TRACKER_HOLES_MAX 16

typedef struct sl_tracker sl_tracker;

typedef struct sl_tracker_options {
    bool consecutive_trades; /* the venue's: see sl_venue_driver */
    unsigned trade_ranges;   /* likewise */
    sl_time patience;        /* how long a hole may wait for another connection; 0: it is a gap at once */
    void *arg;
    /* What is given out. It may wait, while nobody else calls the tracker. Its error ends the call. */
    int (*event)(void *arg, const sl_market_event *event);
} sl_tracker_options;

typedef struct sl_tracker_stats {
    uint64_t events;   /* given out, gaps not counted */
    uint64_t repeated; /* copies that were dropped */
    uint64_t late;     /* trades that filled a hole */
    uint64_t missing;  /* trades told as missing */
    uint64_t gaps;     /* told */
} sl_tracker_stats;

/* When something was heard of a feed of an instrument; for watchdogs. 0: never. */
typedef struct sl_tracker_pulse {
    sl_time last;  /* when the last event came */
    sl_time usual; /* the usual time between two, smoothed */
    uint64_t events;
} sl_tracker_pulse;

/* 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_tracker_new(const sl_tracker_options *options, sl_tracker **ret_tracker);
void sl_tracker_free(sl_tracker *tracker);
SL_AUTO_DECLARE(sl_tracker, sl_tracker_free)

/* An event of the feed is about to come: what is known of it is fetched meanwhile. Changes nothing. */
void sl_tracker_prefetch(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed);

/*
 * An event came, of any kind but book deltas and snapshots (SL_EINVAL). 1: given out; 0: a repeat. SL_EINVAL for ids
 * that are negative, INT64_MAX or out of order, SL_ENOMEM, or what `event` returned; the event then counts as not seen.
 */
SL_MUST_CHECK int sl_tracker_event(sl_tracker *tracker, const sl_market_event *event, sl_time now);

/*
 * From `since` on (the time that events came with) something of this feed of the instrument may not have come. For trades whose
 * ids are not consecutive, and for liquidations, that is a gap, healed by nothing; consecutive ids tell by themselves. Often
 * that is found out later, when further ones were given out: the gap's from_id and venue_time_ns are those of one that was given
 * out before `since`; what is missing happened after it. 0, or what `event` returned.
 */
SL_MUST_CHECK int sl_tracker_lost(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, sl_time since,
                                  int64_t wall_ns);

/* A trade id that the venue said was its last (a heartbeat): if it is newer than ours, those between are missing. */
SL_MUST_CHECK int sl_tracker_last_trade(sl_tracker *tracker, const sl_instrument *instrument, int64_t id, sl_time now,
                                        int64_t wall_ns);

/*
 * How far the feed was when it was followed last (from a sink or a file); 0: nobody knows. What is missing from there to the first event
 * here is told as a gap (SL_GAP_RESTARTED), now or with that event. Where ids are not consecutive nobody knows whether anything
 * is: it is told unless `seamless` (whoever followed it has ended only after this one had begun). 0, what `event` returned, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_tracker_resume(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, int64_t id,
                                    bool seamless, int64_t wall_ns);

/* How far a feed that can lose something is: false when nothing came, nor is known of before. The last id before which none is waited for, 0 where there are none. */
bool sl_tracker_position(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, int64_t *ret_id);

/*
 * The feed is not followed any more: what follows its last event is told as missing, up to where nobody knows. With
 * `elsewhere` somebody else goes on with it, and only a restart is told whose first event has not come. What `event` returned.
 */
SL_MUST_CHECK int sl_tracker_left(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, bool elsewhere,
                                  int64_t wall_ns);

/* Forgets all of a feed (of candles: of those of this length): what comes next is its beginning. */
void sl_tracker_forget(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, int64_t interval_ns);

/* Tells the holes whose patience is over; `ret_when`: when to call again, SL_NEVER when there is none. */
SL_MUST_CHECK int sl_tracker_expire(sl_tracker *tracker, sl_time now, sl_time *ret_when);

/* The pulse of a feed of an instrument (of candles: of those of this length); all 0 when nothing came. */
sl_tracker_pulse sl_tracker_get_pulse(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed,
                                      int64_t interval_ns);

/* The last trade's id that was given out, 0: none yet. */
int64_t sl_tracker_last_id(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed);

const sl_tracker_stats *sl_tracker_get_stats(const sl_tracker *tracker);

#ifdef __cplusplus
}
#endif

#endif
