/* SPDX-License-Identifier: MIT */
/* See outlet_rig.h. */
#include "outlet_rig.h"

#include "sl_conformance.h"

void outlet_rig_free(struct outlet_rig *rig)
{
    sl_fanout_free(rig->fanout);
    sl_outlet_free(rig->outlet);
}

/* Made as the options say, with a name. */
int outlet_rig_make(struct outlet_rig *rig, bool blocking, sl_outlet_options options)
{
    *rig = (struct outlet_rig){.sink = memory_sink_new(blocking)};
    if (rig->sink == NULL) {
        return SL_ENOMEM;
    }
    rig->sink->checks = true;
    options.name = "test";
    SL_TRY(sl_outlet_new(&options, &rig->sink->sink, &rig->outlet));
    SL_TRY(sl_fanout_new(&rig->fanout));
    return sl_fanout_attach(rig->fanout, rig->outlet);
}

/* The next `count` events. */
int outlet_rig_feed(struct outlet_rig *rig, uint64_t count)
{
    for (uint64_t index = 0; index < count; index++) {
        sl_market_event event = sample_event(rig->fed);
        SL_TRY(sl_fanout_write(rig->fanout, &event));
        rig->fed++;
    }
    return 0;
}

/* Every event is in exactly one of the figures. */
int outlet_rig_check_sum(const struct outlet_rig *rig)
{
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig->outlet);
    uint64_t gone = stats->written + stats->repeated + stats->skipped + stats->refused + stats->unreadable;
    uint64_t dropped = stats->dropped_full + stats->dropped_large + stats->dropped_spool + stats->dropped_damaged +
                       stats->dropped_ended + stats->conflated;
    CHECK_EQ(stats->received + stats->recovered, gone + dropped + stats->queued + stats->in_batch + stats->spooled);
    return 0;
}

int outlet_rig_end(struct outlet_rig *rig, sl_scope *scope)
{
    sl_outlet_end(rig->outlet);
    CHECK_EQ(sl_scope_join(scope, SL_NEVER), 0);
    return outlet_rig_check_sum(rig);
}

/* All came, once, in order, as they were. */
int outlet_rig_check_all(const struct outlet_rig *rig)
{
    CHECK_EQ(memory_sink_once(rig->sink, rig->fed), rig->fed);
    CHECK_EQ(rig->sink->disorder, 0);
    CHECK_EQ(rig->sink->wrong, 0);
    return 0;
}
