/* SPDX-License-Identifier: MIT */
/* What the files of the shared limits share. */
#ifndef SL_COORDINATION_SHARED_LIMIT_H
#define SL_COORDINATION_SHARED_LIMIT_H

#include "sluice/shared_limit.h"
#include "sluice/sync.h"

#define SL__SHARED_KEY_BYTES (SL_SHARED_LIMIT_NAME_BYTES + 40)

/* A set of limits with its revision as text, as Redis keeps it. */
#define SL__SHARED_TEXT_BYTES ((size_t)1024)

enum sl__shared_key { SL__SHARED_BLOCK, SL__SHARED_TURN, SL__SHARED_RATES, SL__SHARED_LIMITS };

struct sl_shared_limit {
    sl_redis *redis;
    sl_time timeout, probe;
    double share;
    sl_time retry_at; /* Redis is away until then */
    sl_time blocked_until;
    sl_event news; /* something that Redis is to be told: a block, or other limits */
    char keys[SL__SHARED_LIMITS + SL_RATES_MAX][SL__SHARED_KEY_BYTES];
    struct sl_rate rates[SL_RATES_MAX]; /* in force, like the four that follow */
    size_t count;
    uint64_t revision;
    enum sl_rates_carry carry;
    sl_rates whole;                   /* for the intervals */
    sl_rates own;                     /* the share */
    char told[SL__SHARED_TEXT_BYTES]; /* the limits as Redis knew them last */
    int64_t turn;                     /* the server's time, us, that it gave to the one who waits longest; 0: none */
    struct sl_shared_limit_stats stats;
};

/* So long one unit of cost takes in Redis, in us. */
int64_t sl__shared_step_us(const struct sl__limit *limit);

/* Makes these the limits in force. SL_EINVAL: nothing changed. */
int sl__shared_limits_set(sl_shared_limit *shared, const struct sl_rate *rates, size_t count, enum sl_rates_carry carry,
                          uint64_t revision);

/* The same from Redis' text. SL_EPROTO. */
int sl__shared_limits_adopt(sl_shared_limit *shared, const char *text, size_t text_bytes);

/* Tells Redis of the limits in force; when it knows newer ones, those are taken over. */
int sl__shared_limits_tell(sl_shared_limit *shared);

/* Notes what Redis knows, from when it was opened. */
void sl__shared_limits_told(sl_shared_limit *shared);

#endif
