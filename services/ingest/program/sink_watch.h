/* SPDX-License-Identifier: MIT */
/* What people are told of a sink: that it is away and back again, what was lost and why, what it will never take. */
#ifndef SL_INGEST_SINK_WATCH_H
#define SL_INGEST_SINK_WATCH_H

#include "ingest/program/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reasons for which an outlet loses events. */
#define SL_SINK_LOSSES 7
#define SL_SINK_LOSS_SPOOL 2 /* the one whose reason is the spool's disk */

struct sl_sink_loss {
    const char *reason; /* a label of figures */
    uint64_t events;
};

/* All of them, in one order; and their sum. */
void sl_sink_losses(const sl_outlet_stats *stats, struct sl_sink_loss ret_losses[SL_SINK_LOSSES]);
uint64_t sl_sink_lost(const sl_outlet_stats *stats);

/* A task's body (argument: the struct sl_program_sink): looks each second and logs what has changed, until it is cancelled. */
SL_MUST_CHECK int sl_sink_watch(void *sink);

/* For sl_outlet_options.refused (argument: the struct sl_program_sink): logs the event and keeps it as a dead letter. */
void sl_sink_refused(void *sink, const sl_market_event *event, sl_stamp stamp, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
