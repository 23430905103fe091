/* SPDX-License-Identifier: MIT */
/* An outlet around a sink in memory, and what its tests ask of it again and again. */
#ifndef OUTLET_RIG_H
#define OUTLET_RIG_H

#include "memory_sink.h"
#include "sample_events.h"
#include "scratch_folder.h"
#include "sinks/outlet.h"

struct outlet_rig {
    struct memory_sink *sink; /* the outlet's */
    sl_outlet *outlet;
    sl_fanout *fanout;
    uint64_t fed;
};

/* Made as the options say, with a name. */
int outlet_rig_make(struct outlet_rig *rig, bool blocking, sl_outlet_options options);
void outlet_rig_free(struct outlet_rig *rig);

/* The next `count` events. */
int outlet_rig_feed(struct outlet_rig *rig, uint64_t count);

/* Every event is in exactly one of the figures. */
int outlet_rig_check_sum(const struct outlet_rig *rig);

/* The end of the outlet, which runs in `scope`. */
int outlet_rig_end(struct outlet_rig *rig, sl_scope *scope);

/* All came, once, in order, as they were. */
int outlet_rig_check_all(const struct outlet_rig *rig);

#endif
