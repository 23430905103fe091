/* SPDX-License-Identifier: MIT */
/*
 * What one connection is subscribed to: each subscription's way from wanted to active, and the control messages
 * that take it there within the venue's limits. No I/O and no clock: the connection asks what to send, says what
 * came, and passes the time.
 *
 *     WANTED --message sent--> ASKED --acknowledged, or data came--> ACTIVE
 *        ^------ not answered in time, rate limited, refused for now ---'
 *     ASKED --refused for good--> REFUSED   (refused for now: asked again for ever, up to a minute apart)
 *     ACTIVE --removed--> LEAVING --message sent--> (gone)
 *     ACTIVE --renewed--> LEAVING, then WANTED anew: how a book without ids is healed
 */
#ifndef SL_INGEST_SUBSCRIPTIONS_H
#define SL_INGEST_SUBSCRIPTIONS_H

#include "venues/venue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Subscriptions of one connection, at most. */
#define SL_SUBSCRIPTIONS_MAX 65536

/* The first wait before a subscription is asked for again; it doubles. */
#define SL_SUBSCRIPTION_RETRY SL_SECONDS(1)
#define SL_SUBSCRIPTION_RETRY_MAX SL_SECONDS(60)

typedef enum sl_subscription_state {
    SL_SUBSCRIPTION_NONE = 0,
    SL_SUBSCRIPTION_WANTED,
    SL_SUBSCRIPTION_ASKED,
    SL_SUBSCRIPTION_ACTIVE,
    SL_SUBSCRIPTION_REFUSED,
    SL_SUBSCRIPTION_LEAVING,
    SL_SUBSCRIPTION_STATE_COUNT,
} sl_subscription_state;

typedef struct sl_subscriptions sl_subscriptions;

/* What they have come to. */
typedef struct sl_subscriptions_stats {
    size_t count[SL_SUBSCRIPTION_STATE_COUNT]; /* now, by state */
    uint64_t messages;                         /* control messages made */
    uint64_t acknowledged;
    uint64_t refused;      /* answers that refused one */
    uint64_t unanswered;   /* asked again because no answer came */
    uint64_t rate_limited; /* asked again because the venue said that there were too many */
} sl_subscriptions_stats;

/* For a connection to the driver's venue; its decoder is borrowed, for leave() of the driver. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_subscriptions_new(const sl_venue_driver *driver, const sl_venue_decoder *decoder,
                                       sl_subscriptions **ret_subscriptions);
void sl_subscriptions_free(sl_subscriptions *subscriptions);
SL_AUTO_DECLARE(sl_subscriptions, sl_subscriptions_free)

/* Adds one: 1, or 0 when it is there already (one that was leaving stays). SL_EMSGSIZE beyond the limit, SL_ENOMEM. */
SL_MUST_CHECK int sl_subscriptions_add(sl_subscriptions *subscriptions, const sl_subscription *what);

/* Leaves it; no effect when it is not there. */
void sl_subscriptions_remove(sl_subscriptions *subscriptions, const sl_subscription *what);

/* Leaves an instrument's feed (candles of all lengths) and subscribes to it again: 1, or 0 when none is active. */
int sl_subscriptions_renew(sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument);

/*
 * The connection is up, or (false) lost: all are WANTED, those leaving are gone. Those refused for good stay refused.
 */
void sl_subscriptions_connected(sl_subscriptions *subscriptions, bool connected, sl_time now);

/* Somebody wants those that were refused for good to be asked for once more. */
void sl_subscriptions_forgive(sl_subscriptions *subscriptions, sl_time now);

/*
 * The next control message to send, written to `buffer`: 1. Or 0 and, in `ret_when`, when to ask again (SL_NEVER:
 * when something has changed). What is written counts as sent. SL_EINVAL and SL_EMSGSIZE from the driver: the
 * subscription concerned counts as refused, and the call may be repeated.
 */
SL_MUST_CHECK int sl_subscriptions_next(sl_subscriptions *subscriptions, sl_time now, char *buffer, size_t capacity,
                                        size_t *ret_size_bytes, sl_time *ret_when);

/* A notice came: 1 when it concerned a subscription, else 0. */
int sl_subscriptions_notice(sl_subscriptions *subscriptions, const sl_venue_notice *notice, sl_time now);

/* Data came: proof of an answer that is missing. Cheap while none is. `interval_ns` is of candles; 0: any. */
void sl_subscriptions_seen(sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument,
                           int64_t interval_ns, sl_time now);

/* Events of a subscription whose times are remembered. */
#define SL_SUBSCRIPTION_LAST 3

/* What came of a subscription here, for whoever compares connections that carry the same. */
struct sl_subscription_heard {
    uint32_t events;                    /* since they were compared last */
    uint32_t missed;                    /* what others brought since the last one here */
    uint32_t renewals;                  /* since the last one here */
    bool told;                          /* that what others did not bring either since then is missing */
    sl_time last[SL_SUBSCRIPTION_LAST]; /* when the last ones came, the newest first; 0: never */
};

/* An event of an active one came: it is counted. */
void sl_subscriptions_count_event(sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument,
                                  int64_t interval_ns, sl_time now);

/* The counts of one, whatever its state, to be read and set until subscriptions change; NULL: there is none. */
struct sl_subscription_heard *sl_subscriptions_heard(const sl_subscriptions *subscriptions,
                                                     const sl_subscription *what);

/* Since when one is ACTIVE; SL_NEVER while it is not. */
sl_time sl_subscriptions_active_since(const sl_subscriptions *subscriptions, const sl_subscription *what);

/* Whether none is WANTED, ASKED or LEAVING any more. */
bool sl_subscriptions_settled(const sl_subscriptions *subscriptions);

/* All that are there, in no order: index from 0 to below the count. The state may be NULL. */
size_t sl_subscriptions_count(const sl_subscriptions *subscriptions);
const sl_subscription *sl_subscriptions_at(const sl_subscriptions *subscriptions, size_t index,
                                           sl_subscription_state *ret_state);

/* Whether it is there only until the venue has heard that it is left: nobody wants it any more. */
bool sl_subscriptions_leaves(const sl_subscriptions *subscriptions, size_t index);

const sl_subscriptions_stats *sl_subscriptions_get_stats(const sl_subscriptions *subscriptions);

#ifdef __cplusplus
}
#endif

#endif
