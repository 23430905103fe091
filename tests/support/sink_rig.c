/* SPDX-License-Identifier: MIT */
/* See sink_rig.h. */
#include "sink_rig.h"

#include <stdio.h>

int sink_rig_make(struct sink_rig *rig, sl_sink *sink, sl_outlet_options options)
{
    rig->folder = scratch_folder_make();
    (void)snprintf(rig->spool, sizeof(rig->spool), "%s/spool", rig->folder.path);
    options.name = "test";
    options.when_full = SL_FULL_SPOOL;
    options.spool.folder = rig->spool;
    options.batch_events = options.batch_events == 0 ? 200 : options.batch_events;
    options.batch_age = options.batch_age == 0 ? SL_MILLISECONDS(20) : options.batch_age;
    options.retry = (struct sl_backoff){.initial = SL_MILLISECONDS(50), .max = SL_MILLISECONDS(200)};
    SL_TRY(sl_outlet_new(&options, sink, &rig->outlet));
    SL_TRY(sl_fanout_new(&rig->fanout));
    return sl_fanout_attach(rig->fanout, rig->outlet);
}

void sink_rig_free(struct sink_rig *rig)
{
    sl_fanout_free(rig->fanout);
    sl_outlet_free(rig->outlet);
    scratch_folder_remove(&rig->folder);
}

sl_market_event sink_rig_event(const struct sink_rig *rig, uint64_t number)
{
    return rig->kind == SL_EVENT_NONE ? sample_event(number) : sample_event_of(rig->kind, number);
}

int sink_rig_feed(struct sink_rig *rig, uint64_t count)
{
    for (; count > 0; count--) {
        sl_market_event event = sink_rig_event(rig, rig->fed);
        SL_TRY(sl_fanout_write(rig->fanout, &event));
        rig->fed++;
    }
    return 0;
}

int sink_rig_settle(struct sink_rig *rig, sl_time timeout)
{
    sl_time until = sl_time_add(sl_now(), timeout);
    for (;;) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(rig->outlet);
        if (stats->written + stats->repeated + stats->skipped + stats->refused >= rig->fed) {
            return 0;
        }
        if (sl_now() >= until) {
            (void)fprintf(stderr, "not delivered in time: %s\n", stats->problem);
            return SL_ETIMEDOUT;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(5)));
    }
}
