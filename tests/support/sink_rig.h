/* SPDX-License-Identifier: MIT */
/* An outlet with its sink, fed with sample events: what the tests of sinks with servers share. */
#ifndef SINK_RIG_H
#define SINK_RIG_H

#include "sample_events.h"
#include "scratch_folder.h"
#include "sinks/outlet.h"

struct sink_rig {
    struct scratch_folder folder; /* of the spool */
    char spool[SCRATCH_PATH_MAX + 16];
    sl_outlet *outlet;
    sl_fanout *fanout;
    sl_event_kind kind; /* SL_EVENT_NONE: all kinds in turn */
    uint64_t fed;
};

/* With the policy SL_FULL_SPOOL, small batches and short pauses, where the options say nothing. Takes the sink. */
int sink_rig_make(struct sink_rig *rig, sl_sink *sink, sl_outlet_options options);
void sink_rig_free(struct sink_rig *rig);

/* The event that is fed as the n-th, from 0; its stamp has the number n + 1. */
sl_market_event sink_rig_event(const struct sink_rig *rig, uint64_t number);

/* Feeds `count` more. */
int sink_rig_feed(struct sink_rig *rig, uint64_t count);

/* Waits until all that was fed is delivered. 0 or SL_ETIMEDOUT. */
int sink_rig_settle(struct sink_rig *rig, sl_time timeout);

#endif
