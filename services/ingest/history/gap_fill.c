/* SPDX-License-Identifier: MIT */
/* Filling gaps. See gap_fill.h. */
#include "ingest/history/gap_fill.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ingest/program/program.h"

#include "sluice/log_record.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

/* A gap that is known by time alone is looked for from so much earlier: clocks differ. */
#define MARGIN SL_SECONDS(5)

/* How often a queue that takes no job is tried again. */
#define ADD_RETRY SL_SECONDS(1)

struct sl_gap_fill {
    struct sl_history_worker worker;
    sl_work *work;
    struct sl_history_job ready[SL_GAP_FILL_READY_MAX]; /* to be queued */
    size_t ready_count;
    sl_event more; /* of them */
    uint64_t queued;
    bool overflowed; /* and that was told */
};

static int work(void *arg)
{
    sl_gap_fill *fill = arg;
    return sl_work_run(
        fill->work,
        &(struct sl_work_run){.on_job = sl_history_do, .arg = &fill->worker, .concurrency = SL_GAP_FILL_CONCURRENCY});
}

/* One that is not even queued; it stays told as a gap. */
static void overflow(sl_gap_fill *fill, const sl_instrument *instrument)
{
    fill->queued++;
    fill->worker.stats.given_up++;
    if (!fill->overflowed) {
        fill->overflowed = true;
        sl_log_with(SL_LOG_WARNING, "more gaps than can be remembered: some are not filled",
                    sl_field_text("service", fill->worker.service->name),
                    sl_field_text("instrument", instrument->symbol));
    }
}

/* The queue may be full, or its server away: the stream does not wait for that. */
static int add(void *arg)
{
    sl_gap_fill *fill = arg;
    for (;;) {
        SL_TRY(sl_event_wait(&fill->more));
        sl_event_reset(&fill->more);
        while (fill->ready_count > 0) {
            int code = sl_history_add(fill->work, &fill->ready[0]);
            if (code == SL_ECANCELED || code == SL_ENOMEM) {
                return code;
            }
            if (code < 0 && code != SL_EMSGSIZE && code != SL_EINVAL) {
                SL_TRY(sl_sleep(ADD_RETRY));
                continue;
            }
            fill->queued++;
            fill->worker.stats.given_up += code < 0; /* too long for a job */
            fill->ready_count--;
            memmove(&fill->ready[0], &fill->ready[1], fill->ready_count * sizeof fill->ready[0]);
        }
    }
}

static int open_in(sl_scope *scope, sl_gap_fill *fill)
{
    const struct sl_program_service *service = fill->worker.service;
    const struct sl_conf_coordination *conf = &((const struct sl_conf *)sl_config_root(service->config))->coordination;
    char path[1024];
    int length =
        snprintf(path, sizeof path, "%s.%s.gaps", conf->positions == NULL ? "" : conf->positions, service->name);
    struct sl_work_options options = {.jobs_max = SL_GAP_FILL_JOBS_MAX, .remember = SL_MINUTES(60)};
    bool keeps = conf->positions != NULL && length < (int)sizeof path;
    bool shared = sl_program_redis(service->parts) != NULL;
    int code = sl_history_open(scope, service, "gaps", shared, keeps ? path : NULL, &options, &fill->work);
    if (!shared && (code == -ENOSPC || code == -EDQUOT)) { /* the stream goes on all the same */
        sl_log_with(SL_LOG_WARNING, "gaps to be filled are kept in memory only",
                    sl_field_text("service", service->name),
                    sl_field_text("problem", sl_error_message(sl_error_last())));
        code = sl_history_open(scope, service, "gaps", shared, NULL, &options, &fill->work);
    }
    SL_TRY(code);
    SL_TRY(sl_spawn(scope, add, fill, .name = "gaps", .daemon = true));
    return sl_spawn(scope, work, fill, .name = "gap filler", .daemon = true);
}

/*
 * Nothing has come behind the gap: it ends where the feed began to be carried anew, of which nobody knows an id. A connection
 * that was there before proves nothing: it may be mute.
 */
static int resolve_quiet(const struct sl_history_worker *worker, struct sl_history_job *job)
{
    struct sl_history_wish *wish = &job->wish;
    const sl_subscription what = {.feed = wish->feed, .instrument = wish->instrument};
    sl_time seen = sl_now() - (sl_now_wall() - job->gap.seen_time_ns);
    sl_time since = sl_stream_carried_since(worker->stream, &what, seen);
    sl_time quiet = since == SL_NEVER ? 0 : sl_now() - since;
    if (quiet < SL_GAP_FILL_SETTLED) {
        return 0;
    }
    wish->to_id = wish->from_id > 0 ? SL_HISTORY_NEWEST : 0;
    wish->to_time_ns = sl_now_wall() - quiet + MARGIN;
    return 1;
}

/* Something has come behind the gap: where ids are no numbers the time has to do. Nothing comes of what was left. */
static int resolve(const struct sl_history_worker *worker, struct sl_history_job *job)
{
    struct sl_history_wish *wish = &job->wish;
    if (!sl__service_wants(worker->service, wish->instrument)) {
        return sl__service_elsewhere(worker->service, wish->instrument)
                   ? 0
                   : sl_fail(SL_ENOENT, "%s is not followed any more", wish->instrument->symbol);
    }
    const sl_tracker *tracker = sl_stream_tracker(worker->stream);
    sl_tracker_pulse pulse = sl_tracker_get_pulse(tracker, wish->instrument, wish->feed, 0);
    int64_t last = sl_tracker_last_id(tracker, wish->instrument, wish->feed);
    int64_t last_at = sl_now_wall() - (sl_now() - pulse.last);
    if (pulse.last == 0 || last_at <= job->gap.seen_time_ns || (wish->from_id > 0 && last <= wish->from_id)) {
        return resolve_quiet(worker, job);
    }
    wish->to_id = wish->from_id > 0 ? last : 0;
    job->gap.to_id = wish->to_id;
    wish->to_time_ns = last_at + MARGIN;
    return 1;
}

int sl_gap_fill_open(sl_scope *scope, struct sl_program_service *service, const sl_stream_service *stream,
                     sl_gap_fill **ret_fill)
{
    sl_gap_fill *fill = sl_calloc(1, sizeof *fill);
    if (fill == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for filling gaps");
    }
    fill->worker.service = service;
    fill->worker.stream = stream;
    fill->worker.resolve = resolve;
    fill->worker.priority = sl_conf_service(service->variant)->priority - SL_CONF_PRIORITY_NORMAL;
    sl_event_init(&fill->more);
    *ret_fill = fill; /* also after a failure: its tasks may have begun */
    return open_in(scope, fill);
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
    return fill->ready_count + (size_t)(fill->queued > ended ? fill->queued - ended : 0);
}

void sl_gap_fill_see(sl_gap_fill *fill, const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    bool trades = event->feed == SL_FEED_TRADES || event->feed == SL_FEED_AGG_TRADES;
    if (!trades || event->kind != SL_EVENT_GAP || gap->healed ||
        !sl__service_wants(fill->worker.service, event->instrument)) { /* what is left is nobody's to fill */
        return;
    }
    if (fill->ready_count == SL_GAP_FILL_READY_MAX) {
        overflow(fill, event->instrument);
        return;
    }
    sl_tracker_pulse pulse =
        sl_tracker_get_pulse(sl_stream_tracker(fill->worker.stream), event->instrument, event->feed, 0);
    sl_time ago = pulse.last == 0 ? 0 : sl_now() - pulse.last;
    /* One that was seen late lies before what came last. */
    int64_t from_ns = event->venue_time_ns != 0 ? event->venue_time_ns : sl_now_wall() - ago;
    fill->ready[fill->ready_count++] = (struct sl_history_job){.wish = {.feed = event->feed,
                                                                        .instrument = event->instrument,
                                                                        .from_id = gap->from_id,
                                                                        .to_id = gap->to_id,
                                                                        .from_time_ns = from_ns - MARGIN},
                                                               .gap = *gap};
    sl_event_set(&fill->more);
}
