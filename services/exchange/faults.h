/* SPDX-License-Identifier: MIT */
/* What may go wrong at a simulated venue, by name: for scenario files, tests and people. */
#ifndef SLUICE_EXCHANGE_FAULTS_H
#define SLUICE_EXCHANGE_FAULTS_H

#include "market/instrument.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Names and meanings are in faults.c. "Count" and "duration" are those of the order. */
typedef enum sl_fault {
    SL_FAULT_NONE = 0,
    SL_FAULT_DROP,
    SL_FAULT_DROP_TRADE,
    SL_FAULT_DUPLICATE,
    SL_FAULT_REORDER,
    SL_FAULT_LATE_COPY,
    SL_FAULT_BAD_LINK,
    SL_FAULT_RENUMBER,
    SL_FAULT_SNAPSHOT_AGAIN,
    SL_FAULT_CUT,
    SL_FAULT_CUT_ALL,
    SL_FAULT_CLOSE,
    SL_FAULT_LEAVE,
    SL_FAULT_HALF_OPEN,
    SL_FAULT_MUTE,
    SL_FAULT_SILENT,
    SL_FAULT_HEARTBEATS_ONLY,
    SL_FAULT_DEAF,
    SL_FAULT_ACKS,
    SL_FAULT_ACKS_LATE,
    SL_FAULT_REFUSE_SUBSCRIPTION,
    SL_FAULT_MESSAGE_LIMIT,
    SL_FAULT_GARBAGE,
    SL_FAULT_HOSTILE,
    SL_FAULT_UNKNOWN,
    SL_FAULT_EXTRA_FIELD,
    SL_FAULT_OTHER_SYMBOL,
    SL_FAULT_FRAGMENT,
    SL_FAULT_PING_INSIDE,
    SL_FAULT_PING,
    SL_FAULT_NOTICE,
    SL_FAULT_CLOCK_AHEAD,
    SL_FAULT_CLOCK_BEHIND,
    SL_FAULT_SNAPSHOT_OLD,
    SL_FAULT_SNAPSHOT_NEVER,
    SL_FAULT_SNAPSHOT_SLOW,
    SL_FAULT_HTTP_429,
    SL_FAULT_HTTP_429_AFTER,
    SL_FAULT_HTTP_418,
    SL_FAULT_HTTP_403,
    SL_FAULT_HTTP_500,
    SL_FAULT_HTTP_GARBAGE,
    SL_FAULT_BODY_LIMIT,
    SL_FAULT_WEIGHT,
    SL_FAULT_REFUSE,
    SL_FAULT_LIST,
    SL_FAULT_HALT,
    SL_FAULT_DELIST,
    SL_FAULT_COUNT,
} sl_fault;

/* What an order's count and duration are to a fault. */
typedef enum sl_fault_way {
    SL_FAULT_COUNTED, /* so many times, each with what comes next */
    SL_FAULT_LASTING, /* for so long */
    SL_FAULT_AT_ONCE, /* now; see its help */
} sl_fault_way;

struct sl_fault_order {
    sl_fault fault;
    sl_venue venue;         /* SL_VENUE_NONE: all */
    const char *instrument; /* a pattern as in configurations ("BTC-*"); NULL: any. Copied */
    uint64_t count;         /* 0: 1 */
    sl_time duration;       /* 0: a second */
};

/* "drop", "cut-all"; "?" when out of range. */
const char *sl_fault_name(sl_fault fault);
sl_fault_way sl_fault_way_of(sl_fault fault);
const char *sl_fault_help(sl_fault fault); /* a phrase */

/* All names, by their fault; [SL_FAULT_NONE] is "none". */
extern const char *const sl_fault_names[SL_FAULT_COUNT];

#ifdef __cplusplus
}
#endif

#endif
