/* SPDX-License-Identifier: MIT */
/*
 * Policies: what sl_fetch() does besides fetching. A client with a policy retries what is safe to repeat, waits
 * for rate limits, asks a circuit breaker and bounds what is under way, all in the one call:
 *
 *     SL_TRY(sl_policy_create(&(struct sl_policy_options){.name = "venue", .limiters = {limiter}}, &policy));
 *     SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.policy = policy}, &client));
 *     SL_TRY(sl_fetch(client, &(sl_request){.url = url, .cost = 5}, &response));
 *
 * Outer to inner: total deadline, retry and budget, hedging, breaker, limiters, bulkhead, attempt timeout.
 *   - Only what is safe to repeat is repeated: idempotent methods, requests that say so, and those of which no byte
 *     was sent. What was refused for a limit is tried again with a higher priority.
 *   - Waiting for limits and for a place is no failure, and no part of the attempt timeout; the total bounds it.
 *     The breaker is asked before it and again after it: what queued up before an outage is not to meet it.
 *   - No request waits for its place with a permit in hand, which would let them go in a burst later: it gives the permit back,
 *     and asks again when it has a place. A client should have at least as many connections to an origin as its
 *     policy has places.
 *   - A server's wish to wait (Retry-After) goes before the schedule. Limits that responses tell of (rate_limit.h) hold
 *     for all who share the limiter, and a ban ends their calls with SL_ELIMITED and the time until when.
 *   - Failures for the breaker are 5xx and what breaks in or before an answer; 429 and bans are none.
 *   - An answer that may be tried again ends in an error when no attempt is left (SL_EGAVEUP, SL_EBUDGET); others
 *     are answers. Errors after more than one attempt tell how many, how long, how each ended; the cause is
 *     the last one's error.
 *   - A call that has been failing for 10 s is told of in the log, and again each time it took twice as long.
 *   - With a streamed body an attempt ends with the head; limits told of in bodies go unseen then.
 *
 * All calls are for the runtime's thread.
 */
#ifndef SLUICE_POLICY_H
#define SLUICE_POLICY_H

#include "sluice/breaker.h"
#include "sluice/bulkhead.h"
#include "sluice/fetch.h"
#include "sluice/limiter.h"
#include "sluice/retry.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_POLICY_LIMITERS_MAX 4

/* All zero: the defaults of each part, and no limiter. */
struct sl_policy_options {
    const char *name;             /* for messages; copied (31 bytes); NULL: "policy" */
    struct sl_retry_policy retry; /* `total` and `attempt_timeout` too; attempts 1: no retry */
    struct sl_retry_budget_policy budget;
    bool no_budget;
    struct sl_hedge_policy hedge; /* delay 0: none */
    struct sl_breaker_policy breaker;
    bool no_breaker;
    sl_limiter
        *limiters[SL_POLICY_LIMITERS_MAX]; /* asked in this order; borrowed, may be shared; the first NULL ends them */
    /* Requests under way; concurrency.initial 0: SL_HTTP_CLIENT_CONNECTIONS, waited for as long as the fetch may take. */
    struct sl_bulkhead_options bulkhead;
    bool no_bulkhead;
};

/*
 * One for all requests to one origin, of any number of clients and tasks. 0; SL_EINVAL with a message that names the
 * field; SL_ENOMEM. Free it when no fetch uses it any more; the limiters stay the caller's.
 */
SL_MUST_CHECK int sl_policy_create(const struct sl_policy_options *options, sl_policy **ret_policy);
void sl_policy_free(sl_policy *policy);
SL_AUTO_DECLARE(sl_policy, sl_policy_free)

/*
 * New values in place of the old, all at once, while fetches go on: what has been counted stays (the breaker's window, if
 * its length does), calls under way end by the schedule they began with, those that wait for a place see the new number of
 * them. The name stays. Limiters that left the list must outlive the fetches that wait for them. Does not wait. 0;
 * SL_EINVAL as above, nothing changed then.
 */
SL_MUST_CHECK int sl_policy_change(sl_policy *policy, const struct sl_policy_options *options);

/* What a policy has done, and how it stands. */
struct sl_policy_info {
    const char *name;                     /* borrowed */
    const char *problem;                  /* borrowed: why an attempt failed, until a call is answered; "": none did */
    uint64_t calls;                       /* requests asked for; each redirect is one */
    uint64_t answered, failed, cancelled; /* how they ended; the rest is under way */
    uint64_t attempts;                    /* requests made */
    uint64_t retries;                     /* attempts that followed a failed one */
    uint64_t hedges, hedges_won;          /* second requests, and how many of them were first */
    uint64_t limited;                     /* answers that refused for a limit */
    uint64_t gave_up;                     /* calls without an attempt or time left */
    uint64_t no_budget;                   /* calls that the budget ended */
    uint64_t refused_breaker, refused_limiter, refused_bulkhead;
    sl_time limited_ns;              /* all waits for limiters and places together */
    sl_time retry_ns;                /* all waits between attempts */
    enum sl_breaker_state breaker;   /* SL_BREAKER_CLOSED when there is none */
    sl_time breaker_until;           /* when an open one lets a probe through; else 0 */
    uint32_t places, taken, waiting; /* of the bulkhead; 0 when there is none */
};
void sl_policy_info(const sl_policy *policy, struct sl_policy_info *ret_info);

#ifdef __cplusplus
}
#endif

#endif
