/* SPDX-License-Identifier: MIT */
/* See sink_watch.h. */
#include "ingest/program/sink_watch.h"

#include <string.h>

#include "market/event_json.h"
#include "sluice/log_record.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

#define LOOK_EVERY SL_SECONDS(1)

/* Between two words on events that are being lost. */
#define LOSS_EVERY SL_SECONDS(10)

struct watch {
    const struct sl_program_sink *sink;
    sl_time away_since; /* 0: it is not */
    bool disk_failing;  /* its spool's, and that was told */
    uint64_t failures;  /* until then */
    sl_time told_at;    /* of what was lost, last; 0: nothing yet */
    uint64_t told[SL_SINK_LOSSES];
};

void sl_sink_losses(const sl_outlet_stats *stats, struct sl_sink_loss ret_losses[SL_SINK_LOSSES])
{
    const struct sl_sink_loss losses[SL_SINK_LOSSES] = {
        {"queue_full", stats->dropped_full},     {"too_large", stats->dropped_large},
        {"spool_full", stats->dropped_spool},    {"spool_damaged", stats->dropped_damaged + stats->damaged_before},
        {"after_the_end", stats->dropped_ended}, {"refused", stats->refused},
        {"unreadable", stats->unreadable},
    };
    memcpy(ret_losses, losses, sizeof losses);
}

uint64_t sl_sink_lost(const sl_outlet_stats *stats)
{
    struct sl_sink_loss losses[SL_SINK_LOSSES];
    uint64_t sum = 0;
    sl_sink_losses(stats, losses);
    for (size_t at = 0; at < SL_SINK_LOSSES; at++) {
        sum += losses[at].events;
    }
    return sum;
}

static void look_whether_away(struct watch *watch, const sl_outlet_stats *stats)
{
    struct sl_log_field name = sl_field_text("sink", watch->sink->name);
    if (stats->away && watch->away_since == 0) {
        watch->away_since = sl_now();
        sl_log_with(SL_LOG_WARNING, "a sink is away", name, sl_field_text("reason", stats->problem),
                    sl_field_uint("waiting", stats->queued + stats->in_batch + stats->spooled));
    } else if (!stats->away && watch->away_since != 0) {
        sl_log_with(SL_LOG_INFO, "a sink is back", name, sl_field_duration("after", sl_now() - watch->away_since),
                    sl_field_uint("attempts", stats->failures - watch->failures),
                    sl_field_uint("waiting", stats->queued + stats->in_batch + stats->spooled));
        watch->away_since = 0;
    }
    watch->failures = stats->away ? watch->failures : stats->failures;
}

static void look_whether_disk_fails(struct watch *watch, const sl_outlet_stats *stats)
{
    struct sl_log_field name = sl_field_text("sink", watch->sink->name);
    if (stats->disk_failing && !watch->disk_failing) {
        sl_log_with(SL_LOG_WARNING, "a spool cannot be written", name, sl_field_text("reason", stats->disk_problem),
                    sl_field_uint("waiting", stats->queued + stats->in_batch));
    } else if (!stats->disk_failing && watch->disk_failing) {
        sl_log_with(SL_LOG_INFO, "a spool can be written again", name, sl_field_uint("dropped", stats->dropped_spool));
    }
    watch->disk_failing = stats->disk_failing;
}

/* The first loss is told at once, further ones together. */
static void look_what_is_lost(struct watch *watch, const sl_outlet_stats *stats)
{
    struct sl_sink_loss losses[SL_SINK_LOSSES];
    if (watch->told_at != 0 && sl_now() - watch->told_at < LOSS_EVERY) {
        return;
    }
    sl_sink_losses(stats, losses);
    for (size_t at = 0; at < SL_SINK_LOSSES; at++) {
        if (losses[at].events > watch->told[at]) {
            sl_log_with(SL_LOG_WARNING, "a sink has lost events", sl_field_text("sink", watch->sink->name),
                        sl_field_text("reason", losses[at].reason),
                        sl_field_uint("events", losses[at].events - watch->told[at]),
                        sl_field_uint("in_all", losses[at].events),
                        sl_field_text("problem", at == SL_SINK_LOSS_SPOOL ? stats->disk_problem : stats->problem));
            watch->told[at] = losses[at].events;
            watch->told_at = sl_now();
        }
    }
}

int sl_sink_watch(void *sink)
{
    struct watch watch = {.sink = sink};
    for (;;) {
        SL_TRY(sl_sleep(LOOK_EVERY));
        const sl_outlet_stats *stats = sl_outlet_get_stats(watch.sink->outlet);
        look_whether_away(&watch, stats);
        look_whether_disk_fails(&watch, stats);
        look_what_is_lost(&watch, stats);
    }
}

void sl_sink_refused(void *arg, const sl_market_event *event, sl_stamp stamp, const char *reason)
{
    struct sl_program_sink *sink = arg;
    char identity[SL_EVENT_IDENTITY_MAX];
    (void)sl_event_identity(event, stamp, identity);
    sl_log_with(SL_LOG_WARNING, "a sink refuses an event", sl_field_text("sink", sink->name),
                sl_field_text("reason", reason), sl_field_text("event", identity));
    char *text = sl_malloc(sl_event_json_bound(event));
    if (text != NULL) {
        struct sl_bad_message message = {.text = text,
                                         .size_bytes = sl_event_json_write(event, &stamp, text),
                                         .receive_time_ns = event->receive_time_ns,
                                         .code = SL_EINVAL,
                                         .problem = reason};
        (void)sl_dead_letters_put(sl_program_dead_letters(sink->parts), sink->name, event->instrument->venue, &message);
        sl_free(text);
    }
}
