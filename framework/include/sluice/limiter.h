/* SPDX-License-Identifier: MIT */
/*
 * A limiter that tasks wait on: a set of rate limits (rate_limit.h) shared by all tasks of a runtime, served
 * first come, first served with priorities.
 *
 *     sl_permit permit;
 *     SL_TRY(sl_limiter_acquire(limiter, 5, SL_PRIORITY_NORMAL, &permit));
 *     ... send the request, read the response ...
 *     sl_limiter_report(limiter, &permit, &(struct sl_response_facts){.status = 429, .header = find, .message = response});
 *
 * A waiter that is cancelled gives its place to the next and has used nothing. A call whose fate is unknown (timed
 * out, connection lost) stays charged: the server may have counted it.
 *
 * All calls are for the runtime's thread.
 */
#ifndef SLUICE_LIMITER_H
#define SLUICE_LIMITER_H

#include "sluice/rate_limit.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A priority is a head start, so that nobody starves: one step counts as SL_PRIORITY_HEAD_START of waiting. A call with
 * high priority goes before the normal ones that have waited less than that, and so on.
 */
enum sl_priority { SL_PRIORITY_LOW = -1, SL_PRIORITY_NORMAL = 0, SL_PRIORITY_HIGH = 1 };

#define SL_PRIORITY_HEAD_START SL_SECONDS(30)
#define SL_LIMITER_WAITING_MAX 65536
#define SL_LIMITER_REASON_BYTES 96

typedef struct sl_limiter sl_limiter;

/* What those who share a limit say to a call. */
struct sl_limiter_answer {
    sl_time wait;        /* 0: it may go, and is charged; else nothing is: ask again after this */
    sl_time blocked_for; /* nobody goes for so long; 0: no block */
    /* The limits in force. When their revision is newer than the limiter's it takes them over. */
    uint64_t revision;
    const struct sl_rate *rates; /* borrowed until the next call */
    size_t rate_count;
    enum sl_rates_carry carry;
};

/*
 * Where a limiter's limits are shared with others (shared_limit.h). `book` asks for one call, in the task of the one who
 * waits longest; a code ends that call. `block` hears of each block, `change` of each sl_limiter_change(), with the
 * limiter's new revision; they do not wait.
 */
struct sl_limiter_shared {
    int (*book)(void *arg, uint64_t cost, struct sl_limiter_answer *ret_answer);
    void (*block)(void *arg, sl_time until);
    int (*change)(void *arg, const struct sl_rate *rates, size_t count, enum sl_rates_carry carry, uint64_t revision);
    void *arg;
};

struct sl_limiter_options {
    const char *name; /* for messages; copied (31 bytes); NULL: "limiter" */
    const struct sl_rate *rates;
    size_t rate_count;                      /* 0 to SL_RATES_MAX; 0: only what the server says */
    const struct sl_limit_dialect *dialect; /* NULL: "standard" */
    sl_time max_wait;                /* a call that would wait longer fails; 0: no bound; its scopes bound it too */
    size_t max_waiting;              /* calls that may wait at once; 0: SL_LIMITER_WAITING_MAX */
    bool fixed;                      /* what servers say changes nothing: only the rates above count */
    bool shadow;                     /* decide and count, but let everybody pass */
    struct sl_limiter_shared shared; /* book NULL: the limits are this process' alone. Else sl_limiter_try_acquire()
                                        gives SL_EAGAIN, sl_limiter_refund() false, and shadow asks nobody */
};

/* 0; SL_EINVAL with the reason; SL_ENOMEM. Free it when nobody waits on it any more. */
SL_MUST_CHECK int sl_limiter_create(const struct sl_limiter_options *options, sl_limiter **ret_limiter);
void sl_limiter_free(sl_limiter *limiter);
SL_AUTO_DECLARE(sl_limiter, sl_limiter_free)

/*
 * Waits until a call of `cost` (1 or more) may go and charges it. `ret_permit` may be NULL. Cancellation point.
 * 0; SL_ELIMITED when it would take longer than max_wait, or when a block or ban lasts beyond the deadline
 * of the scopes around the call, or when the server has lowered a limit below the cost (the message says until when);
 * SL_EINVAL for a cost that can never pass; SL_EBUSY when max_waiting calls wait; SL_ECANCELED, SL_ENOTASK.
 */
SL_MUST_CHECK int sl_limiter_acquire(sl_limiter *limiter, uint64_t cost, enum sl_priority priority,
                                     sl_permit *ret_permit);

/* The same without waiting: SL_EAGAIN instead, also when others wait. May be called outside a task. */
SL_MUST_CHECK int sl_limiter_try_acquire(sl_limiter *limiter, uint64_t cost, sl_permit *ret_permit);

/*
 * Gives back a permit that was not used, if nothing was admitted or changed since: true, and the place is free again. Else
 * it stays charged.
 */
bool sl_limiter_refund(sl_limiter *limiter, const sl_permit *permit);

/* A response, as far as it concerns limits. */
struct sl_response_facts {
    int status;          /* HTTP's; 0: no response came, which says nothing */
    sl_header_fn header; /* NULL: none to look at */
    const void *message; /* handed to `header` */
    const char *body;    /* for limits that a server reports in the body of a success; NULL: not at hand */
    size_t body_bytes;
    bool cached; /* it is from a cache: says nothing */
};

/*
 * Tells the limiter of the response to the call that `permit` admitted (NULL: the newest). All who wait follow at
 * once. True when the response refuses the call for a limit: 429, a ban, or what the dialect knows of bodies. Does not
 * block.
 */
bool sl_limiter_report(sl_limiter *limiter, const sl_permit *permit, const struct sl_response_facts *facts);

/*
 * Nobody goes before `until`: for limits that a server reports in the body of a success, by a close frame and the
 * like. `reason` is copied and shown in messages; may be NULL. Only ever extends. Does not block.
 */
void sl_limiter_block(sl_limiter *limiter, sl_time until, const char *reason);

/*
 * As sl_rates_change(); those who wait are looked at anew, in both directions. Limits that are shared change for all who
 * share them, at the latest when each asks again; with `revision` 0 they get the next one. Does not block.
 */
SL_MUST_CHECK int sl_limiter_change(sl_limiter *limiter, const struct sl_rate *rates, size_t count,
                                    enum sl_rates_carry carry, uint64_t revision);

struct sl_limiter_info {
    const char *name;
    size_t waiting;
    uint64_t admitted, admitted_cost;
    uint64_t delayed;        /* admitted after a wait */
    uint64_t refused;        /* SL_ELIMITED, SL_EBUSY and SL_EAGAIN */
    uint64_t shadowed;       /* in shadow mode: would have waited */
    uint64_t near_limit;     /* admitted with more than 80 % of a limit used */
    uint64_t tightened;      /* responses that changed something */
    uint64_t ignored_fields; /* malformed ones in responses */
    sl_time blocked_until;   /* 0: not blocked */
    char reason[SL_LIMITER_REASON_BYTES];
};

/* `info->name` is borrowed from the limiter. */
void sl_limiter_info(const sl_limiter *limiter, struct sl_limiter_info *ret_info);

/* One of its limits as it stands; SL_EINVAL beyond the last. */
int sl_limiter_look(const sl_limiter *limiter, size_t index, struct sl_rate_state *ret_state);

#ifdef __cplusplus
}
#endif

#endif
