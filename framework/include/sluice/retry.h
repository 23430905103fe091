/* SPDX-License-Identifier: MIT */
/*
 * Trying again, and when not to: schedule, budget and hedging as pure functions of the time and of the
 * random number passed in; then the calls for tasks that sleep in between.
 *
 *     static int fetch(void *arg, struct sl_attempt *attempt)
 *     {
 *         ... one request; attempt->outcome.status and .retry_after from its response ...
 *     }
 *     SL_TRY(sl_retry_call(&policy, &budget, fetch, &request));
 *
 * Outer to inner: total deadline, retry and budget, breaker, limiter, bulkhead, attempt timeout. Only what is safe to
 * repeat is repeated: nothing was sent, or the call is idempotent and nothing of its answer was handed on. A
 * cancellation is never a failure and never tried again.
 * Sources: RFC 9110 9.2.2; AWS Architecture Blog, "Exponential backoff and jitter"; gRPC proposal A6 (pushback,
 * throttling); Finagle (retry budgets).
 */
#ifndef SLUICE_RETRY_H
#define SLUICE_RETRY_H

#include "sluice/rate_limit.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_jitter {
    SL_JITTER_FULL,         /* anything from 0 to the backoff */
    SL_JITTER_EQUAL,        /* from half of it */
    SL_JITTER_DECORRELATED, /* from `initial` to three times the last delay, at most `max` */
    SL_JITTER_NONE
};

#define SL_ATTEMPTS_UNLIMITED UINT32_MAX

/* All zero: the defaults, for fetching over HTTP. */
struct sl_retry_policy {
    uint32_t attempts; /* with the first; 0: 5; 1: no retry; SL_ATTEMPTS_UNLIMITED */
    sl_time initial;   /* backoff after the first attempt; 0: 200 ms */
    sl_time max;       /* no backoff is longer, jitter included; 0: 10 s, at least `initial` */
    double multiplier; /* 1 or more; 0: 2 */
    enum sl_jitter jitter;
    sl_time total;           /* all attempts and waits together; 0: 60 s; SL_NEVER: no bound */
    sl_time attempt_timeout; /* of sl_retry_call(); 0: 10 s; SL_NEVER: none */
    sl_time retry_after_max; /* a longer Retry-After ends it; 0: 5 min; SL_NEVER: none is too long */
    sl_time stable_after;    /* an attempt that lasted this long starts the schedule afresh; 0: none does */
    bool retry_nested;       /* try again also what an inner retry gave up */
};

/* How an attempt ended. All zero: a success that is not to be repeated. */
struct sl_outcome {
    int code;            /* negative: failed so; else see status */
    int status;          /* HTTP's; 0: none */
    sl_time retry_after; /* the server's wish; below 0: do not try again; only if has_retry_after */
    bool has_retry_after;
    bool idempotent; /* safe to repeat: by its method (sl_method_idempotent()) or an idempotency key */
    bool unsent;     /* no byte of it was written, or the server never looked at it */
    bool committed;  /* part of the answer was handed on */
    bool body_gone;  /* its body was streamed and cannot be sent again */
    bool limited;    /* refused for a limit, whatever the status: goes away by itself */
};

enum sl_verdict {
    SL_VERDICT_AGAIN,     /* after the delay */
    SL_VERDICT_DONE,      /* it succeeded */
    SL_VERDICT_FATAL,     /* trying again is useless or not safe */
    SL_VERDICT_EXHAUSTED, /* no attempts left */
    SL_VERDICT_TOO_LATE,  /* the delay would pass the total deadline, or the server's wish is too long */
    SL_VERDICT_REFUSED,   /* the server asks not to try again */
    SL_VERDICT_NO_BUDGET
};

/* Whether such a response or error may go away by itself. */
bool sl_retryable_status(int status); /* 408, 425, 429 and 5xx but 501 and 505 */
bool sl_retryable_code(int code);     /* of connections, name look-ups and timeouts; never SL_ECANCELED */

/* GET, HEAD, PUT, DELETE, OPTIONS and TRACE. */
bool sl_method_idempotent(const char *method);

/* ---- budget: retries are a share of calls ---- */

/* Zeros are the defaults. */
struct sl_retry_budget_policy {
    double ratio;      /* retries a call, in the window; 0: 0.2; negative: none but the reserve */
    uint32_t reserve;  /* ... and so many on top; 0: 10; SL_NO_RESERVE */
    sl_time window;    /* counted in tenths of it; 0: 10 s */
    double tokens;     /* gRPC's throttle beside it: this many; 0: none */
    double token_gain; /* a success gives back so much of the one that a failure takes; 0: 0.1 */
};

#define SL_NO_RESERVE UINT32_MAX

/* One for all calls to one origin. Private members. Made by sl_retry_budget_init(): 0, or SL_EINVAL naming the field. */
typedef struct sl_retry_budget {
    struct sl_retry_budget_policy policy;
    double tokens;
    struct sl__window window; /* calls, retries */
} sl_retry_budget;

SL_MUST_CHECK int sl_retry_budget_init(sl_retry_budget *budget, const struct sl_retry_budget_policy *policy);

/* New shares; what was counted stays, unless the window has another length. 0, or SL_EINVAL, nothing changed. */
SL_MUST_CHECK int sl_retry_budget_change(sl_retry_budget *budget, const struct sl_retry_budget_policy *policy);

/* A first attempt, and the end of any. NULL budgets are fine, here and below. */
void sl_retry_budget_call(sl_retry_budget *budget, sl_time now);
void sl_retry_budget_result(sl_retry_budget *budget, bool failed);

/* Takes one retry (or hedge) from the budget if there is one. */
bool sl_retry_budget_take(sl_retry_budget *budget, sl_time now);

/* ---- schedule ---- */

#define SL_RETRY_HISTORY 8

/* One call and its attempts. It keeps its own copy of the policy: a reload does not change it midway. */
typedef struct sl_retry {
    struct sl_retry_policy policy;
    sl_retry_budget *budget;
    uint32_t attempt; /* number of the attempt under way: 1, 2, ... */
    uint32_t step;    /* of the backoff */
    bool free_used;   /* one attempt that never left is not counted */
    sl_time began, attempt_began;
    sl_time delay; /* the last */
    sl_time waited;
    uint32_t history_count;
    int history[SL_RETRY_HISTORY]; /* statuses and codes of the first attempts and, in the last place, the last */
} sl_retry;

/* 0, or SL_EINVAL with a message that names the field. `budget` is borrowed, may be NULL. The first attempt begins. */
SL_MUST_CHECK int sl_retry_begin(sl_retry *retry, const struct sl_retry_policy *policy, sl_retry_budget *budget,
                                 sl_time now);

/*
 * The attempt has ended: what now? `random` in [0, 1). AGAIN sets `ret_delay` and counts the next attempt as begun
 * after it. Any other verdict ends the call.
 */
enum sl_verdict sl_retry_next(sl_retry *retry, const struct sl_outcome *outcome, double random, sl_time now,
                              sl_time *ret_delay);

/* ---- hedging: a second request when the first is slow ---- */

struct sl_hedge_policy {
    sl_time delay;         /* the next request goes when none has answered for so long; 0: 1 s */
    uint32_t max_attempts; /* with the first, up to SL_HEDGE_ATTEMPTS_MAX; 0: 2 */
    bool nested;           /* inside a retry, which tells the budget of the call and how it ended */
};

#define SL_HEDGE_ATTEMPTS_MAX 8

typedef struct sl_hedge {
    struct sl_hedge_policy policy;
    sl_retry_budget *budget;
    uint32_t sent, failed;
    sl_time next; /* when the next request goes if none has answered; SL_NEVER: none does */
} sl_hedge;

/* The first request goes now; no second one unless `idempotent`. `budget` is borrowed, may be NULL. 0, SL_EINVAL. */
SL_MUST_CHECK int sl_hedge_begin(sl_hedge *hedge, const struct sl_hedge_policy *policy, sl_retry_budget *budget,
                                 bool idempotent, sl_time now);

/* Whether another request goes now; counts it and takes it from the budget. */
bool sl_hedge_send(sl_hedge *hedge, sl_time now);

/* A request failed. `fatal`: the answer would be the same again: no more requests. True when the whole call has failed. */
bool sl_hedge_failed(sl_hedge *hedge, bool fatal, sl_time now);

/* ---- for tasks ---- */

struct sl_attempt {
    uint32_t number;           /* 1, 2, ...: to be shown in a header or log from 2 on */
    struct sl_outcome outcome; /* filled by the attempt; idempotent unless it says otherwise */
};

/*
 * One attempt: 0 or a negative code, which goes before outcome.code. With 0 and a status in the outcome that can be
 * tried again, it is.
 */
typedef int (*sl_attempt_fn)(void *arg, struct sl_attempt *attempt);

/*
 * Calls fn(arg) until it succeeds, each time within a scope of attempt_timeout, all within one of `total`; sleeps in
 * between. An attempt is cleaned up before the next begins. Returns
 *   - fn's result when it succeeded, or failed in a way that is not tried again (as it is);
 *   - SL_EGAVEUP when attempts or time are used up, SL_EBUDGET when the budget is: the message tells how many attempts,
 *     how long, how each ended; the cause is the last error. An outer retry takes them as final;
 *   - SL_ETIMEDOUT when `total` passed during an attempt; SL_ECANCELED, SL_ENOTASK, SL_EINVAL.
 * With a last status that could have been tried again, fn returned 0 and has the response: SL_EGAVEUP all the same.
 * Cancellation point.
 */
SL_MUST_CHECK int sl_retry_call(const struct sl_retry_policy *policy, sl_retry_budget *budget, sl_attempt_fn fn,
                                void *arg);

/*
 * Sends fn(arg, number) as sl_hedge_policy says, each in a task of its own; the first to return 0 or more wins, the
 * others are cancelled and waited for. `ret_winner` (may be NULL) gets the number of the winner, from 1. A failed
 * request is followed by the next at once, if `is_fatal` (NULL: none is) does not say that it is final. The result is
 * the winner's or the last failure. Cancellation point.
 */
typedef int (*sl_hedge_fn)(void *arg, uint32_t number);
SL_MUST_CHECK int sl_hedge_call(const struct sl_hedge_policy *policy, sl_retry_budget *budget, sl_hedge_fn fn,
                                void *arg, bool (*is_fatal)(int code), uint32_t *ret_winner);

#ifdef __cplusplus
}
#endif

#endif
