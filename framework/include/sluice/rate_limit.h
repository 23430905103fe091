/* SPDX-License-Identifier: MIT */
/*
 * Rate limits as pure functions of the time passed in: no clock, no I/O, no waiting (limiter.h waits).
 * The generic cell rate algorithm, several limits at once, all or nothing. A limit of `count` a
 * `period` with a `burst` is never exceeded in any period, wherever it begins: what may come at once is
 * taken from the steady rate, which is (count - burst + 1) a period. What a server says about its limits tightens
 * them at once and releases by itself when the time the server named has passed.
 *
 * Objects live in the caller's storage, need no destruction and belong to one thread; only the table of keys allocates.
 * `now` is sl_now()'s time, not before that of the call before. Every decision takes constant time.
 * Sources: ITU-T I.371 (GCRA), RFC 9110 10.2.3 (Retry-After), draft-ietf-httpapi-ratelimit-headers.
 */
#ifndef SLUICE_RATE_LIMIT_H
#define SLUICE_RATE_LIMIT_H

#include <stdbool.h>

#include "sluice/memory.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_RATES_MAX 8 /* limits in one set, with those learned from the server */
#define SL_RATE_COUNT_MAX ((uint64_t)1000000000)
#define SL_RATE_PERIOD_MIN SL_MILLISECONDS(1)
#define SL_RATE_PERIOD_MAX SL_SECONDS(366 * 86400)

/* One limit. All zero but for count and period is a good start. */
struct sl_rate {
    uint64_t count; /* so much cost, 1 to SL_RATE_COUNT_MAX ... */
    sl_time period; /* ... in any such period, SL_RATE_PERIOD_MIN to SL_RATE_PERIOD_MAX */
    uint64_t burst; /* of which so much at once after a rest, 1 to count; 0: a tenth of count, at least 1 */
    bool bucket;    /* a token bucket instead: `count` a period, and `burst` (any size) on top of it */
    bool per_call;  /* counts calls, whatever they cost */
};

#define SL__WINDOW_SLOTS 10

/* Private: counts of three kinds in the last window, in slots. */
struct sl__window {
    sl_time slot_ns;
    sl_time end; /* of the newest slot; 0: nothing counted yet */
    uint32_t at;
    uint64_t sum[3];
    uint32_t slots[SL__WINDOW_SLOTS][3];
};

/* Private: no more than `left` before `until`. */
struct sl__cap {
    uint64_t left;
    sl_time until;
};

/* Private: one limit and how far it is used. */
struct sl__limit {
    struct sl_rate rate;       /* in force */
    struct sl_rate configured; /* what it may rise to; count 0: learned from the server */
    sl_time interval;          /* time that one unit of cost takes */
    sl_time tolerance;         /* burst * interval */
    sl_time arrival;           /* theoretical arrival time of the next unit */
    struct sl__cap told;       /* the server's word */
    struct sl__cap guard;      /* after a change: for windows that began before it */
    struct sl__window used;
};

/* A set of limits that a call must pass all at once. Members are private: read them through sl_rates_look(). */
typedef struct sl_rates {
    size_t count;
    struct sl__limit limits[SL_RATES_MAX];
    struct sl__cap told; /* the server's word in calls that belongs to no known limit */
    sl_time blocked_until;
    sl_time blocked_at; /* when the block was ordered */
    sl_time booked_until;
    uint64_t operation; /* number of the newest admission, reservation or change */
    uint64_t calls, cost;
    uint64_t news_operation; /* the newest request whose response was heeded */
    uint64_t revision;
    uint64_t near_limit;
    uint32_t strikes;
} sl_rates;

/* An admission: when it holds, and what a later report or refund needs. Private but for `when`. */
typedef struct sl_permit {
    sl_time when; /* not before this */
    uint64_t operation, calls, cost;
    uint64_t weight;
    sl_time booked_before;
    sl_time arrivals[SL_RATES_MAX];
} sl_permit;

/* `count` limits, 0 to SL_RATES_MAX; copied. 0, or SL_EINVAL with a message that says which and why. */
SL_MUST_CHECK int sl_rates_init(sl_rates *rates, const struct sl_rate *limits, size_t count);

/*
 * The earliest time at which a call of `cost` may go, if no other goes before: `now` or later. SL_NEVER when the cost
 * is larger than a burst and so can never pass. Changes nothing; cost 0 asks only for blocks and reservations.
 */
sl_time sl_rates_when(const sl_rates *rates, uint64_t cost, sl_time now);

/*
 * Admits the call and charges all limits, or none. `ret_permit` may be NULL. 0; SL_EAGAIN when it would have to wait
 * (sl_rates_when() says until when); SL_EINVAL when the cost is larger than a burst. Cost 0 charges nothing.
 */
SL_MUST_CHECK int sl_rates_try(sl_rates *rates, uint64_t cost, sl_time now, sl_permit *ret_permit);

#define SL_RESERVE_MAX SL_RATE_PERIOD_MAX

/*
 * Books the call's place: it may go at ret_permit->when, not before, and later calls come after it. SL_EAGAIN, with
 * nothing booked, when that is more than `max_wait` (at most SL_RESERVE_MAX) away; SL_EINVAL as above.
 */
SL_MUST_CHECK int sl_rates_reserve(sl_rates *rates, uint64_t cost, sl_time max_wait, sl_time now,
                                   sl_permit *ret_permit);

/*
 * Gives back a reservation that was not used. True when it was the newest, whose place is free again, and then the
 * one before it is the newest; else the place stays booked, unused, and false is returned.
 */
bool sl_rates_refund(sl_rates *rates, const sl_permit *permit);

/* What happens to the tokens that are left when a limit changes. */
enum sl_rates_carry {
    SL_CARRY_PROPORTIONAL, /* 40 of 100 become 80 of 200 */
    SL_CARRY_AS_IS,        /* 40 of 100 become 40 of 200, 20 of 20 */
    SL_CARRY_ADDITIVE,     /* 40 of 100 become 140 of 200: what the burst gained */
    SL_CARRY_RESET         /* all of the new burst */
};

/*
 * New limits in place of the old. A limit is carried over from the old one of the same period and unit, else from
 * the one in its place if that has the same unit, so that no window holds more than the new count from now on. What the server said since stays in force. `revision` 0: no
 * numbering; else one that is not newer than the last is ignored with SL_EALREADY. 0, SL_EINVAL (nothing changed).
 */
SL_MUST_CHECK int sl_rates_change(sl_rates *rates, const struct sl_rate *limits, size_t count,
                                  enum sl_rates_carry carry, uint64_t revision, sl_time now);

/* Nobody goes before `until`, if that is later than what holds already. */
void sl_rates_block(sl_rates *rates, sl_time until, sl_time now);

/* A limit as it stands; SL_EINVAL beyond the last one. */
struct sl_rate_state {
    struct sl_rate rate;  /* in force: the configured one, or less by the server's word */
    uint64_t remaining;   /* may go at once now */
    sl_time reset_after;  /* until all of the burst may */
    uint64_t used;        /* in the last period, counted in tenths of it: never too low */
    sl_time interval;     /* that one unit takes in the steady state */
    sl_time server_until; /* until when the server's count binds; 0: it does not */
};
int sl_rates_look(const sl_rates *rates, size_t index, sl_time now, struct sl_rate_state *ret_state);

/* ---- what responses say ---- */

#define SL_QUOTAS_MAX 8
#define SL_RETRY_AFTER_MAX SL_SECONDS(7 * 86400) /* longer ones count as this */
#define SL_UNKNOWN (-1)

#define SL_LIMIT_CODES_MAX 4
#define SL_LIMIT_BODY_BYTES_MAX ((size_t)4096)
#define SL_LIMIT_REASON_BYTES 48

/* How a server writes its limits: one row of a small table. */
struct sl_limit_dialect {
    const char *name;
    /*
     * Refusals in the JSON body of any answer: the value (number or text) of this key of the outermost object is one of
     * these; of a list, an item that begins with one of these, and may end in ": SECONDS", the time since 1970 when it
     * ends.
     */
    const char *body_key; /* NULL: none */
    const char *body_codes[SL_LIMIT_CODES_MAX];
    const char *limit; /* header names; NULL: none */
    const char *remaining;
    const char *reset;
    sl_time reset_unit;       /* of the reset header's number: seconds or milliseconds */
    bool reset_is_time;       /* since 1970, not from now */
    bool per_call;            /* these count calls */
    sl_time period;           /* that the trio stands for; 0: not known */
    const char *used;         /* prefix of headers that end in a period: "X-MBX-USED-WEIGHT-" for ...-1M */
    bool used_aligned;        /* their periods begin with the wall clock's */
    sl_time ban_403, ban_418; /* when the status comes without a Retry-After; 0: it is no ban */
};

/*
 * "standard" (the IETF draft, its predecessors, 418 as a ban), "x-ratelimit" (seconds), "x-ratelimit-time" (seconds
 * since 1970), "used-weight" (Binance; code -1003), "bapi" (Bybit; retCode 10006, 403 bans for ten minutes), "error-list"
 * (Kraken; its list `error`), "error-code" (OKX; code 50011). Coinbase and Bitstamp need no more than "standard". NULL: no
 * such name. The IETF fields and Retry-After are understood in every dialect.
 */
const struct sl_limit_dialect *sl_limit_dialect_find(const char *name);

/* One limit in a response. Numbers are SL_UNKNOWN where the response does not say. */
struct sl_quota {
    sl_time period; /* 0: not said */
    int64_t limit, used, remaining;
    sl_time reset; /* from now */
    bool per_call;
    bool policy; /* the limit itself was announced, not only its state */
};

/* What one response says about limits. */
struct sl_limit_news {
    int status;
    sl_time retry_after; /* 0 or more; SL_UNKNOWN: not said */
    sl_time ban;         /* the dialect's for this status; 0: none */
    size_t quota_count;
    struct sl_quota quotas[SL_QUOTAS_MAX];
    uint32_t ignored; /* fields that made no sense */
    bool refused;     /* the body says that a limit was exceeded, with this code or text: */
    char reason[SL_LIMIT_REASON_BYTES];
};

/* The value of the header of that name, whatever its case; NULL: there is none. */
typedef const char *(*sl_header_fn)(const void *message, const char *name);

/*
 * Reads a response. `header` may be NULL; `wall` is sl_now_wall(), for dates. A response from a cache (Age above 0)
 * says nothing. Malformed fields are ignored and counted.
 */
void sl_limit_news_read(const struct sl_limit_dialect *dialect, int status, sl_header_fn header, const void *message,
                        sl_time wall, struct sl_limit_news *ret_news);

/*
 * Adds what the body says, after the above. Bodies over SL_LIMIT_BODY_BYTES_MAX, or that are no JSON objects, say nothing;
 * NULL is fine.
 */
void sl_limit_news_read_body(const struct sl_limit_dialect *dialect, const char *body, size_t body_bytes, sl_time wall,
                             struct sl_limit_news *news);

/*
 * Heeds the news of the response to the call that `permit` admitted: tightens or blocks. A response to an older call
 * than one heeded before can only block. `permit` NULL: as if the call had been admitted last. True when anything changed.
 */
bool sl_rates_heed(sl_rates *rates, const struct sl_limit_news *news, const sl_permit *permit, sl_time now);

/*
 * Retry-After: seconds, or an HTTP date in any of the three forms of RFC 9110 5.6.7 against `wall` (ns since 1970);
 * past dates give 0. SL_UNKNOWN for anything else.
 */
sl_time sl_retry_after_parse(const char *text, sl_time wall);

/* ---- many keys under the same limits ---- */

#define SL_TABLE_RATES_MAX 4

/*
 * Limits for each of up to `max_keys` keys (an address, an API key). All memory is allocated at once: 13 + 13 *
 * `count` bytes a key. A key that is back at rest is forgotten, which nobody can notice. Keys are told apart by 64
 * bits of their hash; two that share them share their limits.
 */
typedef struct sl_rate_table sl_rate_table;

/* `seed`: any random number. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_rate_table_create(const struct sl_rate *limits, size_t count, size_t max_keys, uint64_t seed,
                                       sl_rate_table **ret_table);
void sl_rate_table_free(sl_rate_table *table);
SL_AUTO_DECLARE(sl_rate_table, sl_rate_table_free)

/*
 * As sl_rates_try() for one key. `ret_when` (may be NULL) gets the earliest time when the code is SL_EAGAIN. That is
 * also the answer to a new key that finds no room, until one that stands in its way is at rest.
 */
SL_MUST_CHECK int sl_rate_table_try(sl_rate_table *table, const void *key, size_t key_bytes, uint64_t cost, sl_time now,
                                    sl_time *ret_when);

/* Bytes allocated for it all. */
size_t sl_rate_table_bytes(const sl_rate_table *table);

#ifdef __cplusplus
}
#endif

#endif
