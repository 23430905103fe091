/* SPDX-License-Identifier: MIT */
/*
 * A service of the kind poll: what the venue answers about each of its instruments, asked for again and again, at up to
 * the full rate that the venue's limit permits. Whose turn it is says poll_schedule.h; the limiter of the venue, which
 * all of its services share, says when a request may go. Where the venue answers for all instruments at once and that
 * costs less, it is asked that.
 */
#ifndef SL_INGEST_POLL_H
#define SL_INGEST_POLL_H

#include "ingest/poll/poll_schedule.h"
#include "ingest/program/service.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Attempts of one turn where the retry policy names no number: the next turn comes anyway. */
#define SL_POLL_ATTEMPTS 3

/* Pages of one answer, at most. */
#define SL_POLL_PAGES_MAX 100

/* Why turns brought nothing. */
typedef enum sl_poll_failure {
    SL_POLL_FAILED_NETWORK = 0, /* no answer: connecting, timeouts, cut connections, after all attempts */
    SL_POLL_FAILED_STATUS,      /* an HTTP status that is no success */
    SL_POLL_FAILED_VENUE,       /* an error in the venue's own form */
    SL_POLL_FAILED_BODY,        /* a body that could not be decoded, wholly or in part: a dead letter */
    SL_POLL_FAILED_REQUEST,     /* the venue cannot be asked so */
    SL_POLL_FAILURES,
} sl_poll_failure;

struct sl_poll_stats {
    uint64_t requests; /* turns that were taken; one with several pages counts each */
    uint64_t answers, bytes;
    uint64_t failures[SL_POLL_FAILURES];
    uint64_t held;             /* turns put off by a ban or an open breaker */
    uint64_t late;             /* turns left out because the limit was too low for the intervals */
    uint64_t unchanged;        /* events dropped by only_changed */
    size_t wanted, stale, due; /* instruments, now */
    bool bulk;                 /* all of them in one request */
    sl_time round;             /* between the last two turns of an instrument, the newest one */
};

/* What it has come to; false between two lives. */
bool sl_poll_get_stats(const struct sl_program_service *service, struct sl_poll_stats *ret_stats);

/* Of one instrument: how often it was answered, how often not, when last (sl_now(); 0: never). False: not followed. */
struct sl_poll_instrument_stats {
    uint64_t good, failures;
    sl_time last_good_at;
    int last_code;
};
bool sl_poll_instrument(const struct sl_program_service *service, const sl_instrument *instrument,
                        struct sl_poll_instrument_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
