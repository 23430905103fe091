/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is: the instruments of a poll service, each with an interval of its own. Pure data: no clock, no I/O;
 * the order follows from the calls alone.
 *
 * An item becomes due once in each interval and has to be taken before the next one begins: of those that are due the
 * one goes first whose interval ends first. So short intervals go before long ones, and where the limit does not let
 * all of them keep theirs, nobody starves: who waits comes nearer to the front. With interval 0 an item is due again as
 * soon as it is given back, behind all the others: round and round.
 */
#ifndef SL_INGEST_POLL_SCHEDULE_H
#define SL_INGEST_POLL_SCHEDULE_H

#include "market/instrument.h"
#include "sluice/memory.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A request that fails again and again comes after its interval (or this) times 2, 4... but no later than this. */
#define SL_POLL_BACKOFF_STEP SL_SECONDS(1)
#define SL_POLL_BACKOFF_MAX SL_MINUTES(10)

typedef struct sl_poll_schedule sl_poll_schedule;

struct sl_poll_item {
    const sl_instrument *instrument; /* NULL: all of the venue at once */
    sl_time interval;
    sl_time added_at;
    sl_time last_taken_at;
    sl_time round;        /* between its last two turns; 0: there were no two */
    sl_time last_good_at; /* 0: never */
    uint64_t taken, good, failures;
    uint64_t late;         /* turns left out because the one before came so late */
    uint32_t failed_turns; /* in a row */
    int last_code;         /* of the last failure */
    uint32_t unknown;      /* the caller's: times in a row that the venue did not know it */
    /* private */
    sl_time due, deadline;
    uint64_t number; /* among equals: who came first */
    size_t place;    /* in its heap, from 1; 0: in none, it is taken */
    bool ready, gone;
};

/* 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_poll_schedule_new(sl_poll_schedule **ret_schedule);
void sl_poll_schedule_free(sl_poll_schedule *schedule);
SL_AUTO_DECLARE(sl_poll_schedule, sl_poll_schedule_free)

/*
 * Adds an instrument, first due at `first`; 1, or 0 when it is there (its interval is changed, its turn comes no later
 * than that). SL_ENOMEM.
 */
SL_MUST_CHECK int sl_poll_schedule_add(sl_poll_schedule *schedule, const sl_instrument *instrument, sl_time interval,
                                       sl_time first, sl_time now);
void sl_poll_schedule_remove(sl_poll_schedule *schedule, const sl_instrument *instrument);

/* The item of an instrument (NULL: all at once), or NULL. */
struct sl_poll_item *sl_poll_schedule_find(const sl_poll_schedule *schedule, const sl_instrument *instrument);

/*
 * Takes whose turn it is; it has to be given back. NULL: none is due, the next one is at `ret_when` (SL_NEVER: there is
 * none at all).
 */
struct sl_poll_item *sl_poll_schedule_take(sl_poll_schedule *schedule, sl_time now, sl_time *ret_when);

/*
 * Gives one back: 0 the answer was good, a negative code it was not. SL_EAGAIN: it was no turn at all, and it stays
 * where it was in the order. One that was removed meanwhile is freed.
 */
void sl_poll_schedule_give_back(sl_poll_schedule *schedule, struct sl_poll_item *item, int code, sl_time now);

size_t sl_poll_schedule_count(const sl_poll_schedule *schedule);
size_t sl_poll_schedule_ready(const sl_poll_schedule *schedule); /* due, and not taken */

/* Turns that were left out, of all items that there were. */
uint64_t sl_poll_schedule_late(const sl_poll_schedule *schedule);

/* All of them, by the instrument's index, those that are taken included. */
void sl_poll_schedule_each(const sl_poll_schedule *schedule, void (*look)(void *arg, struct sl_poll_item *item),
                           void *arg);

#ifdef __cplusplus
}
#endif

#endif
