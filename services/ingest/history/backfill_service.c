/* SPDX-License-Identifier: MIT */
/*
 * A service of the kind backfill: history between two times, cut into jobs of one instrument, channel and chunk of time
 * each. The queue knows what is done, so that a new life goes on where the last one stood; with Redis replicas share it.
 * When all is done it waits for new instruments.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/history/history_jobs.h"
#include "ingest/program/program.h"
#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"

/* How long what is done is remembered: adding the same job again within it has no effect. */
#define REMEMBER SL_MINUTES(60 * 24 * 90)

/* How often a full queue is tried again. */
#define FULL_RETRY SL_SECONDS(1)

/* How often the figures of the queue are brought up to date. */
#define DEPTH_EVERY SL_SECONDS(2)

/* service->life */
struct backfill {
    struct sl_history_worker worker;
    sl_work *work;
    struct sl_work_depth depth;
    bool *planned; /* instruments, by index, whose jobs were added in this life */
    size_t planned_count;
    sl_scope *jobs;   /* around the workers, while they run */
    uint64_t at_once; /* of them */
    uint64_t wished, added,
        measured;     /* jobs of this life: all, of which in the queue, of which when `depth` was asked for */
    uint64_t done;    /* of them, when `depth` was asked for */
    bool all_planned; /* nothing is still to be added */
    bool told;        /* that all is done */
    bool unreachable; /* the queue does not answer */
};

static const struct sl_conf_backfill *conf_of(const struct sl_program_service *service)
{
    return service->variant->value;
}

/* ---- planning ---- */

static int add_when_there_is_room(struct backfill *backfill, const struct sl_history_job *job)
{
    int code = sl_history_add(backfill->work, job);
    while (code == SL_EAGAIN) {
        SL_TRY(sl_sleep(FULL_RETRY));
        code = sl_history_add(backfill->work, job);
    }
    return code;
}

/* Chunks begin at whole multiples of their length: a later life finds the same ones. */
static int plan_feed(struct sl_program_service *service, const struct sl_history_wish *wish)
{
    int64_t chunk = conf_of(service)->chunk;
    struct backfill *backfill = service->life;
    if (wish->to_time_ns > wish->from_time_ns) {
        backfill->wished += (uint64_t)((wish->to_time_ns - 1) / chunk - wish->from_time_ns / chunk + 1);
    }
    for (int64_t from = wish->from_time_ns; from < wish->to_time_ns;) {
        int64_t end = from - from % chunk + chunk;
        struct sl_history_job job = {.wish = *wish};
        job.wish.from_time_ns = from;
        job.wish.to_time_ns = end < wish->to_time_ns ? end : wish->to_time_ns;
        SL_TRY(add_when_there_is_room(backfill, &job));
        backfill->added++;
        from = end;
    }
    return 0;
}

static int plan(struct sl_program_service *service, const sl_instrument *instrument)
{
    sl_auto(sl_config) *config = sl_config_ref(service->config); /* there may be another one before there is room */
    (void)config;
    const struct sl_conf_backfill *conf = conf_of(service);
    int64_t now = sl_now_wall(), from = 0, to = now;
    if (!sl_conf_time_parse(conf->from, now, &from) || (conf->to != NULL && !sl_conf_time_parse(conf->to, now, &to))) {
        return sl_fail(SL_EINVAL, "a time that is none"); /* the configuration's check lets none through */
    }
    struct sl_history_wish wish = {.instrument = instrument, .from_time_ns = from, .to_time_ns = to < now ? to : now};
    for (size_t at = 0; at < conf->channels.count; at++) {
        wish.feed = sl_conf_feed_of(((const int *)conf->channels.items)[at]);
        size_t lengths = wish.feed == SL_FEED_CANDLES ? conf->candles.count : 1;
        for (size_t length = 0; length < lengths; length++) {
            wish.interval_ns = wish.feed == SL_FEED_CANDLES ? ((const sl_time *)conf->candles.items)[length] : 0;
            SL_TRY(plan_feed(service, &wish));
        }
    }
    return 0;
}

static int follow(struct sl_program_service *service, const sl_instrument *instrument, bool wanted)
{
    struct backfill *backfill = service->life;
    backfill->all_planned = instrument == NULL;
    if (instrument == NULL && backfill->jobs != NULL && backfill->at_once != conf_of(service)->concurrency) {
        return sl_scope_stop(backfill->jobs, SL_NEVER); /* what is in hand goes on with the new number */
    }
    if (instrument == NULL || !wanted) {
        return 0;
    }
    if (instrument->index >= backfill->planned_count) {
        size_t count = (size_t)instrument->index * 2 + 64;
        bool *planned = sl_realloc(backfill->planned, count * sizeof *planned);
        if (planned == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
        }
        memset(planned + backfill->planned_count, 0, (count - backfill->planned_count) * sizeof *planned);
        backfill->planned = planned;
        backfill->planned_count = count;
    }
    if (!backfill->planned[instrument->index]) {
        backfill->told = false;
        SL_TRY(plan(service, instrument));
        backfill->planned[instrument->index] = true;
    }
    return 0;
}

/* ---- working ---- */

static int work_once(void *arg)
{
    struct backfill *backfill = arg;
    return sl_work_run(backfill->work, &(struct sl_work_run){.on_job = sl_history_do,
                                                             .arg = &backfill->worker,
                                                             .concurrency = (uint32_t)backfill->at_once});
}

/* Begins again when the configuration has another number of jobs at once. */
static int work(void *arg)
{
    const struct sl_program_service *service = arg;
    struct backfill *backfill = service->life;
    while (!sl_stop_requested()) {
        SL_SCOPE(scope, .name = "jobs");
        backfill->jobs = &scope;
        backfill->at_once = conf_of(service)->concurrency;
        int code = sl_scope_close(&scope, sl_spawn(&scope, work_once, backfill));
        backfill->jobs = NULL;
        SL_TRY(code);
    }
    return 0;
}

/* `planned`: all was before the figures were asked for. Who owns no instrument yet has nothing to say. */
static void tell_when_done(struct backfill *backfill, bool planned)
{
    const struct sl_work_depth *depth = &backfill->depth;
    if (planned && backfill->added > 0 && !backfill->told && !backfill->unreachable &&
        depth->waiting + depth->in_hand + depth->later == 0) {
        backfill->told = true;
        sl_log_with(SL_LOG_INFO, "all history is there", sl_field_text("service", backfill->worker.service->name),
                    sl_field_uint("jobs_done_here", backfill->worker.stats.done),
                    sl_field_uint("put_aside", depth->dead));
    }
}

/* A daemon: the queue's figures for views, which do not wait. */
static int measure(void *arg)
{
    struct backfill *backfill = arg;
    for (;;) {
        uint64_t added = backfill->added, done = backfill->worker.stats.done;
        bool planned = backfill->all_planned;
        int code = sl_work_depth(backfill->work, &backfill->depth);
        if (code == SL_ECANCELED) {
            return code;
        }
        backfill->measured = code < 0 ? backfill->measured : added;
        backfill->done = code < 0 ? backfill->done : done;
        backfill->unreachable = code < 0;
        tell_when_done(backfill, planned && backfill->all_planned && added == backfill->added);
        SL_TRY(sl_sleep(DEPTH_EVERY));
    }
}

static int run_in(sl_scope *scope, struct sl_program_service *service, struct backfill *backfill)
{
    struct sl_work_options options = {.remember = REMEMBER};
    SL_TRY(sl_history_open(scope, service, "backfill", conf_of(service)->queue == SL_CONF_QUEUE_REDIS,
                           conf_of(service)->state, &options, &backfill->work));
    service->life = backfill;
    SL_TRY(sl_spawn(scope, measure, backfill, .name = "figures", .daemon = true));
    SL_TRY(sl_spawn(scope, work, service, .name = "jobs"));
    return sl__service_keep_choosing(service, follow);
}

static int run(void *arg)
{
    struct sl_program_service *service = arg;
    struct backfill backfill = {
        .worker = {.service = service,
                   .priority = sl_conf_service(service->variant)->priority - SL_CONF_PRIORITY_NORMAL}};
    SL_TRY(sl__service_reach(service));
    SL_SCOPE(scope, .name = service->name);
    int code = sl_scope_close(&scope, run_in(&scope, service, &backfill));
    sl__program_life_gone(service);
    service->life = NULL;
    sl_free(backfill.planned);
    return code;
}

/* ---- views ---- */

/* Replicas share a queue, and nobody knows how much of it the others have done: then at least what is left is right. */
static void look_at_jobs(const struct backfill *backfill, struct sl_service_look *look)
{
    const struct sl_work_depth *depth = &backfill->depth;
    uint64_t left = depth->waiting + depth->in_hand + depth->later;
    uint64_t since = backfill->worker.stats.done - backfill->done; /* the depth is a little old */
    look->jobs_left = (left > since ? left - since : 0) + backfill->wished - backfill->measured;
    uint64_t known = look->jobs_left + backfill->worker.stats.done;
    look->jobs = backfill->wished > known ? backfill->wished : known;
}

static void look(const struct sl_program_service *service, struct sl_service_look *ret_look)
{
    const struct backfill *backfill = service->life;
    const struct sl_history_stats *stats = &backfill->worker.stats;
    *ret_look = (struct sl_service_look){.works = !backfill->unreachable,
                                         .reason = backfill->unreachable ? "the queue of jobs does not answer" : NULL,
                                         .messages = stats->requests,
                                         .bytes = stats->bytes};
    look_at_jobs(backfill, ret_look);
    if (ret_look->works && backfill->depth.dead > 0) {
        ret_look->degraded = true;
        ret_look->reason =
            backfill->worker.problem[0] != '\0' ? backfill->worker.problem : "some history could not be had";
    }
}

static void collect(const struct sl_program_service *service, const struct sl_label *labels, sl_scrape *scrape)
{
    const struct backfill *backfill = service->life;
    const struct sl_history_stats *stats = &backfill->worker.stats;
    sl_scrape_gauge(scrape, "sluice_backfill_jobs_waiting", "Pieces of history that wait, also to be tried again.",
                    labels, (double)(backfill->depth.waiting + backfill->depth.later));
    sl_scrape_gauge(scrape, "sluice_backfill_jobs_in_hand", "Pieces that are being fetched, by all replicas.", labels,
                    (double)backfill->depth.in_hand);
    sl_scrape_gauge(scrape, "sluice_backfill_jobs_put_aside", "Pieces that could not be had.", labels,
                    (double)backfill->depth.dead);
    sl_scrape_counter(scrape, "sluice_backfill_jobs_done_total", "Pieces fetched by this process.", labels,
                      stats->done);
    sl_scrape_counter(scrape, "sluice_backfill_rows_total", "Rows of history received.", labels, stats->rows);
}

const struct sl_service_kind sl__backfill_kind = {.run = run, .look = look, .collect = collect};
