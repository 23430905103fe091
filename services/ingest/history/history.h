/* SPDX-License-Identifier: MIT */
/*
 * History of one instrument, page by page through the venue's limits: past trades between two ids or two times, past
 * candles between two times. How far it has come is a short text, from which it goes on. What comes out are events
 * like those of streams, with the same identity, so that a repeat is harmless.
 *
 * Ways into the past that venues have: by id (Binance's aggregates, Coinbase, OKX), by time and then by what the answer
 * says (Kraken, Binance's aggregates), the last day (Bitstamp), only the latest ones (Bybit, Binance's single trades,
 * for which a key would be needed). Where an id is needed for a time it is looked for by halving.
 */
#ifndef SL_INGEST_HISTORY_H
#define SL_INGEST_HISTORY_H

#include "sluice/fetch.h"
#include "sluice/scope.h"
#include "venues/venue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest text of how far it has come, with its NUL. */
#define SL_HISTORY_PROGRESS_MAX (SL_VENUE_CURSOR_MAX + 8)

/* Pages of one walk, at most. */
#define SL_HISTORY_PAGES_MAX 100000

/* Candles that are asked for at once, and of how much time: what every venue gives (Binance's COIN-M no more days). */
#define SL_HISTORY_CANDLES 100
#define SL_HISTORY_SPAN (200 * SL_MINUTES(24 * 60))

/* As `to_id`: to the newest that there is. */
#define SL_HISTORY_NEWEST INT64_MAX

struct sl_history_wish {
    sl_feed feed; /* TRADES, AGG_TRADES or CANDLES */
    const sl_instrument *instrument;
    int64_t interval_ns;              /* CANDLES */
    int64_t from_id, to_id;           /* trades between these, without them; 0, 0: by time. to_id > from_id */
    int64_t from_time_ns, to_time_ns; /* from <= time < to; ns since 1970 */
};

struct sl_history_options {
    const sl_venue_driver *driver;
    const sl_instruments *instruments;
    sl_http_client *http; /* with the venue's limits */
    const char *rest_origin;
    int priority; /* at the limits */
    void *arg;
    int (*event)(void *arg, const sl_market_event *event);    /* what lies within the wish; may wait */
    int (*checkpoint)(void *arg, const char *progress);       /* all before it was given out; may wait */
    void (*asked)(void *arg, size_t rows, size_t size_bytes); /* an answer came; for figures; may be NULL */
    /* An answer whose rows may be given out, before they are: for recordings. May wait; may be NULL. */
    int (*answer)(void *arg, const sl_venue_request *request, const char *url, const sl_venue_message *message);
    /* A body that was none of the venue's; may be NULL. */
    void (*bad)(void *arg, const sl_venue_message *message, int code, const char *problem);
};

/* Whether an event is one of those that are wished for. */
bool sl_history_wishes(const struct sl_history_wish *wish, const sl_market_event *event);

/*
 * Walks from where `progress` ("": the beginning) says. 0: all of the wish was given out; 1: it was asked to stop, and
 * goes on from the last checkpoint; SL_ENOTSUP: the venue has no such history; SL_ERANGE: what it has does not reach
 * back so far (the rest was given out); SL_EAGAIN: it does not reach to the wished id yet (what there is was given out);
 * SL_ENOENT: it does not know the instrument; SL_EINVAL; codes of fetching and
 * decoding, and of the functions. Cancellation point.
 */
SL_MUST_CHECK int sl_history_walk(const struct sl_history_options *options, const struct sl_history_wish *wish,
                                  const char *progress);

#ifdef __cplusplus
}
#endif

#endif
