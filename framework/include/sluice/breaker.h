/* SPDX-License-Identifier: MIT */
/*
 * Circuit breaker: after too many failures nobody calls for a while, then a few probes decide. Pure
 * functions of the time passed in, constant memory, constant time; no allocation. sl_breaker_call() is
 * the same for tasks. Only what the caller reports as a failure counts: a cancelled call, a rate limit waited for
 * and an open breaker further in are none. Sources: M. Nygard, "Release It!"; resilience4j's window and half-open rules.
 */
#ifndef SLUICE_BREAKER_H
#define SLUICE_BREAKER_H

#include "sluice/rate_limit.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_BREAKER_CALLS_MAX 1024

/* All zero: the defaults, for HTTP. */
struct sl_breaker_policy {
    double failure_ratio;     /* opens from this share of failures on, above 0 to 1; 0: 0.5 */
    double slow_ratio;        /* ... or this share of slow calls; 0: 0.8 */
    sl_time slow_call;        /* a call that took longer is slow, also when it succeeded; 0: none is */
    uint32_t min_calls;       /* with fewer in the window it stays closed; 0: 20, at most window_calls */
    uint32_t window_calls;    /* the last so many calls count, up to SL_BREAKER_CALLS_MAX; 0: those of the last ... */
    sl_time window;           /* ... counted in tenths of it; 0: 30 s */
    sl_time open_for;         /* 0: 5 s; doubled each time the probes fail ... */
    sl_time open_max;         /* ... up to this; 0: 60 s, at least open_for */
    uint32_t half_open_calls; /* probes at once, and successes that close it; 0: 3 */
};

enum sl_breaker_state { SL_BREAKER_CLOSED, SL_BREAKER_OPEN, SL_BREAKER_HALF_OPEN };
enum sl_breaker_outcome { SL_CALL_SUCCEEDED, SL_CALL_FAILED, SL_CALL_CANCELLED };

/* Private members. */
typedef struct sl_breaker {
    struct sl_breaker_policy policy;
    enum sl_breaker_state state;
    uint32_t generation; /* results of calls that began in an earlier one are ignored */
    uint32_t probes, probed;
    sl_time open_for, open_until;
    struct sl__window window; /* calls, failures, slow calls */
    uint32_t at, held;        /* of the last calls */
    uint32_t failures, slow;
    uint64_t failed_bits[SL_BREAKER_CALLS_MAX / 64];
    uint64_t slow_bits[SL_BREAKER_CALLS_MAX / 64];
} sl_breaker;

/*
 * A call that may go; its result is due exactly once. Who waits for a rate limit in between sets `began` again, so that
 * the wait does not make the call slow.
 */
typedef struct sl_breaker_pass {
    uint32_t generation;
    sl_time began;
} sl_breaker_pass;

/* Copies the policy. 0, or SL_EINVAL with a message that names the field. */
SL_MUST_CHECK int sl_breaker_init(sl_breaker *breaker, const struct sl_breaker_policy *policy);

/*
 * A new policy in place of the old: the state stays, and what was counted, unless the window has another length. An
 * open breaker keeps the time of its next probe. 0, or SL_EINVAL as above, nothing changed.
 */
SL_MUST_CHECK int sl_breaker_change(sl_breaker *breaker, const struct sl_breaker_policy *policy);

/*
 * May a call go? 0, and then sl_breaker_done() is due for `ret_pass`; SL_EBREAKER: no, and `ret_probe_at` (may be
 * NULL) gets the time of the next probe (`now` while all probes are under way). Records no error story.
 */
SL_MUST_CHECK int sl_breaker_admit(sl_breaker *breaker, sl_time now, sl_breaker_pass *ret_pass, sl_time *ret_probe_at);

/* The call has ended. A cancelled one counts for nothing and gives back its place among the probes. */
void sl_breaker_done(sl_breaker *breaker, const sl_breaker_pass *pass, enum sl_breaker_outcome outcome, sl_time now);

/* As it would answer a call now; OPEN turns HALF_OPEN when its time is over. */
enum sl_breaker_state sl_breaker_look(const sl_breaker *breaker, sl_time now);

/*
 * Runs fn(arg) in the running task behind the breaker: SL_EBREAKER, with a message that says when it may be tried
 * again, or fn's result. `is_failure` says which results are failures; NULL: all negative ones but SL_ECANCELED,
 * SL_ELIMITED, SL_EBREAKER, SL_EBUSY, SL_EMISUSE, SL_EINVAL and SL_ENOMEM. Waits as fn does.
 */
SL_MUST_CHECK int sl_breaker_call(sl_breaker *breaker, sl_task_fn fn, void *arg, bool (*is_failure)(int code));

/* May one more of `hosts` be left out, when `ejected` are? At most `percent` of them, but at least one. */
bool sl_outlier_may_eject(size_t hosts, size_t ejected, unsigned percent);

#ifdef __cplusplus
}
#endif

#endif
