/* SPDX-License-Identifier: MIT */
/* Filling gaps. See gap_fill.h. */
#include "ingest/gap_fill.h"

#include "sluice/log_record.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

/* A gap that is known by time alone is looked for from so much earlier: clocks differ. */
#define MARGIN SL_SECONDS(5)

/* A gap whose end is not known yet: the next event of its feed tells it. */
struct open_gap {
    const sl_instrument *instrument;
    sl_feed feed;
    sl_gap gap;
    int64_t from_time_ns;
};

struct sl_gap_fill {
    struct sl_history_worker worker;
    sl_work *work;
    struct open_gap open[SL_GAP_FILL_OPEN_MAX];
    size_t open_count;
    uint64_t queued, overflowed;
};

static int work(void *arg)
{
    sl_gap_fill *fill = arg;
    return sl_work_run(
        fill->work,
        &(struct sl_work_run){.on_job = sl_history_do, .arg = &fill->worker, .concurrency = SL_GAP_FILL_CONCURRENCY});
}

int sl_gap_fill_open(sl_scope *scope, struct sl_program_service *service, sl_gap_fill **ret_fill)
{
    sl_gap_fill *fill = sl_calloc(1, sizeof *fill);
    if (fill == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for filling gaps");
    }
    fill->worker.service = service;
    const struct sl_work_options options = {.name = service->name, .jobs_max = SL_GAP_FILL_JOBS_MAX, .remember = 1};
    int code = sl_work_open(scope, &options, &fill->work);
    code = code == 0 ? sl_spawn(scope, work, fill, .name = "gap filler", .daemon = true) : code;
    if (code < 0) {
        sl_free(fill);
        return code;
    }
    *ret_fill = fill;
    return 0;
}

void sl_gap_fill_free(sl_gap_fill *fill)
{
    sl_free(fill);
}

const struct sl_history_stats *sl_gap_fill_stats(const sl_gap_fill *fill)
{
    return &fill->worker.stats;
}

size_t sl_gap_fill_open_count(const sl_gap_fill *fill)
{
    uint64_t ended = fill->worker.stats.healed + fill->worker.stats.given_up;
    return fill->open_count + (size_t)(fill->queued > ended ? fill->queued - ended : 0);
}

static int queue(sl_gap_fill *fill, const struct open_gap *open)
{
    struct sl_history_job job = {.wish = {.feed = open->feed,
                                          .instrument = open->instrument,
                                          .from_id = open->gap.to_id > 0 ? open->gap.from_id : 0,
                                          .to_id = open->gap.to_id,
                                          .from_time_ns = open->from_time_ns,
                                          .to_time_ns = sl_now_wall() + MARGIN},
                                 .gap = open->gap};
    int code = sl_history_add(fill->work, &job);
    if (code == SL_EAGAIN || code == SL_EMSGSIZE) { /* it stays told as a gap */
        fill->overflowed++;
        sl_log_with(SL_LOG_WARNING, "a gap too many: it is not filled",
                    sl_field_text("service", fill->worker.service->name),
                    sl_field_text("instrument", open->instrument->symbol));
        return 0;
    }
    fill->queued += code == 0;
    return code;
}

static int see_gap(sl_gap_fill *fill, const sl_tracker *tracker, const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    sl_tracker_pulse pulse = sl_tracker_get_pulse(tracker, event->instrument, event->feed);
    sl_time ago = pulse.last == 0 ? 0 : sl_now() - pulse.last;
    struct open_gap open = {.instrument = event->instrument,
                            .feed = event->feed,
                            .gap = *gap,
                            .from_time_ns = sl_now_wall() - ago - MARGIN};
    if (gap->to_id > 0) {
        return queue(fill, &open);
    }
    if (fill->open_count == SL_GAP_FILL_OPEN_MAX) {
        fill->overflowed++;
        return 0;
    }
    fill->open[fill->open_count++] = open;
    return 0;
}

/* Something came behind gaps whose end was not known. */
static int see_trade(sl_gap_fill *fill, const sl_market_event *event)
{
    size_t kept = 0;
    int code = 0;
    for (size_t at = 0; at < fill->open_count; at++) {
        struct open_gap open = fill->open[at];
        bool ends = open.instrument == event->instrument && open.feed == event->feed && code == 0;
        if (!ends) {
            fill->open[kept++] = open;
            continue;
        }
        /* Where ids are no numbers the time has to do. */
        if (event->as.trade.id > open.gap.from_id && open.gap.from_id > 0) {
            open.gap.to_id = event->as.trade.id;
        }
        code = queue(fill, &open);
    }
    fill->open_count = kept;
    return code;
}

int sl_gap_fill_see(sl_gap_fill *fill, const sl_tracker *tracker, const sl_market_event *event)
{
    bool trades = event->feed == SL_FEED_TRADES || event->feed == SL_FEED_AGG_TRADES;
    if (!trades) {
        return 0;
    }
    if (event->kind == SL_EVENT_GAP && !event->as.gap.healed) {
        return see_gap(fill, tracker, event);
    }
    return event->kind == SL_EVENT_TRADE && fill->open_count > 0 ? see_trade(fill, event) : 0;
}
