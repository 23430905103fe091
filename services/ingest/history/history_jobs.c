/* SPDX-License-Identifier: MIT */
/* Pieces of history as jobs. See history_jobs.h. */
#include "ingest/history/history_jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/program/program.h"
#include "sluice/log_record.h"
#include "sluice/partition.h"
#include "sluice/runtime.h"

/* How often the place to go on is kept: the sinks' flush is waited for then. */
#define CHECKPOINT_EVERY SL_SECONDS(1)

#define BODY_BYTES (SL_SYMBOL_MAX + 256)

/* Of an address in a recording. */
#define RECORDED_BYTES 3072

/* The numbers of a job, in the order of its text. */
enum { FEED, INTERVAL, FROM_ID, TO_ID, FROM_TIME, TO_TIME, REASON, SEEN_TIME, NUMBERS };

int sl_history_open(sl_scope *scope, const struct sl_program_service *service, const char *what, bool redis,
                    const char *path, struct sl_work_options *options, sl_work **ret_work)
{
    const struct sl_conf_coordination *conf = &((const struct sl_conf *)sl_config_root(service->config))->coordination;
    char whole[256], name[SL_WORK_NAME_BYTES];
    int length = snprintf(whole, sizeof whole, "%s.%s.%s", conf->group == NULL ? "" : conf->group, what, service->name);
    if (length < (int)sizeof name) {
        memcpy(name, whole, (size_t)length + 1);
    } else { /* too long: still the same in each replica, and no other's */
        (void)snprintf(name, sizeof name, "%.40s.%016" PRIx64, whole, sl_partition_hash(whole, strlen(whole)));
    }
    options->name = name;
    options->path = redis ? NULL : path;
    if (redis) {
        options->backend = SL_WORK_REDIS;
        options->redis = sl_program_redis(service->parts);
        options->lease = conf->ttl < SL_WORK_LEASE_MIN ? SL_WORK_LEASE_MIN : conf->ttl;
    }
    return sl_work_open(scope, options, ret_work);
}

int sl_history_add(sl_work *work, const struct sl_history_job *job)
{
    char body[BODY_BYTES], key[SL_WORK_KEY_BYTES];
    const struct sl_history_wish *wish = &job->wish;
    const sl_instrument *instrument = wish->instrument;
    (void)snprintf(body, sizeof body, "%s %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d %" PRId64,
                   instrument->symbol, (int)wish->feed, wish->interval_ns, wish->from_id, wish->to_id,
                   wish->from_time_ns, wish->to_time_ns, (int)job->gap.reason, job->gap.seen_time_ns);
    int length = snprintf(key, sizeof key, "%s %s", sl_venue_name(instrument->venue), body);
    if (length >= (int)sizeof key) {
        return sl_fail(SL_EMSGSIZE, "a job for '%s' has too long a name", instrument->symbol);
    }
    return sl_work_add(work, &(struct sl_job_spec){.key = key, .body = body}, NULL);
}

static int read_job(const struct sl_program_service *service, const char *body, struct sl_history_job *ret_job)
{
    char text[BODY_BYTES];
    char *rest = text;
    int64_t numbers[NUMBERS] = {0};
    (void)snprintf(text, sizeof text, "%s", body);
    const char *symbol = strsep(&rest, " ");
    for (size_t i = 0; i < NUMBERS; i++) {
        const char *number = strsep(&rest, " ");
        char *end = NULL;
        numbers[i] = number == NULL ? 0 : strtoll(number, &end, 10);
        if (number == NULL || *number == '\0' || *end != '\0') {
            return sl_fail(SL_EPROTO, "a job for history that is none: \"%.100s\"", body);
        }
    }
    if (rest != NULL || numbers[FEED] <= 0 || numbers[FEED] >= SL_FEED_COUNT || numbers[REASON] < 0 ||
        numbers[REASON] >= SL_GAP_REASON_COUNT) {
        return sl_fail(SL_EPROTO, "a job for history that is none: \"%.100s\"", body);
    }
    sl_venue venue = sl_access_driver(service->access)->venue;
    const sl_instrument *instrument =
        sl_instruments_find(sl_program_instruments(service->parts), venue, symbol, strlen(symbol));
    if (instrument == NULL) {
        return sl_fail(SL_ENOENT, "'%s' is not listed at %s", symbol, sl_venue_name(venue));
    }
    *ret_job = (struct sl_history_job){.wish = {.feed = (sl_feed)numbers[FEED],
                                                .instrument = instrument,
                                                .interval_ns = numbers[INTERVAL],
                                                .from_id = numbers[FROM_ID],
                                                .to_id = numbers[TO_ID],
                                                .from_time_ns = numbers[FROM_TIME],
                                                .to_time_ns = numbers[TO_TIME]},
                                       .gap = {.reason = (sl_gap_reason)numbers[REASON],
                                               .from_id = numbers[FROM_ID],
                                               .to_id = numbers[TO_ID],
                                               .seen_time_ns = numbers[SEEN_TIME]}};
    return 0;
}

/* ---- doing one ---- */

struct doing {
    struct sl_history_worker *worker;
    sl_job *job;
    const struct sl_history_job *what;
    sl_time kept; /* when the last checkpoint was */
};

static int on_event(void *arg, const sl_market_event *event)
{
    const struct doing *doing = arg;
    doing->worker->stats.events++;
    doing->worker->service->last_event_at = sl_now();
    return sl__service_give(doing->worker->service, event);
}

/* What was given out is in the sinks before it is said to be done. Pages in between are asked for again after a crash. */
static int on_checkpoint(void *arg, const char *progress)
{
    struct doing *doing = arg;
    if (sl_now() - doing->kept < CHECKPOINT_EVERY && !sl_stop_requested()) {
        return 0;
    }
    SL_TRY(sl_fanout_settle(doing->worker->service->fanout));
    doing->kept = sl_now();
    return sl_job_checkpoint(doing->job, progress);
}

static void on_asked(void *arg, size_t rows, size_t size_bytes)
{
    const struct doing *doing = arg;
    struct sl_history_stats *stats = &doing->worker->stats;
    stats->requests++;
    stats->rows += rows;
    stats->bytes += size_bytes;
}

/* Into the recording, with what is wished for: `recorded` is longer than any address. */
static int on_answer(void *arg, const sl_venue_request *request, const char *url, const sl_venue_message *message)
{
    const struct doing *doing = arg;
    char recorded[RECORDED_BYTES];
    SL_TRY(sl_recording_history_url(url, request, &doing->what->wish, recorded, sizeof recorded));
    return sl__service_record_answer(doing->worker->service, recorded, message->text, message->size_bytes,
                                     message->receive_time_ns);
}

static void on_bad(void *arg, const sl_venue_message *message, int code, const char *problem)
{
    const struct doing *doing = arg;
    struct sl_bad_message bad = {.text = message->text,
                                 .size_bytes = message->size_bytes,
                                 .receive_time_ns = message->receive_time_ns,
                                 .code = code,
                                 .problem = problem};
    sl__service_bad(doing->worker->service, &bad);
}

static int record_healed(struct sl_program_service *service, const sl_market_event *gap)
{
    char recorded[RECORDED_BYTES];
    if (sl_program_recording(service->parts) == NULL) {
        return 0;
    }
    SL_TRY(sl_recording_healed_url(gap, recorded, sizeof recorded));
    return sl__service_record_answer(service, recorded, "", 0, gap->receive_time_ns);
}

/* Nothing of the gap is missing any more: the sinks know it by its first id and time. */
static int tell_healed(struct sl_history_worker *worker, const struct sl_history_job *job)
{
    sl_market_event event = {.kind = SL_EVENT_GAP,
                             .feed = job->wish.feed,
                             .instrument = job->wish.instrument,
                             .receive_time_ns = sl_now_wall()};
    event.as.gap = job->gap;
    event.as.gap.healed = true;
    event.as.gap.healed_id = job->gap.to_id;
    SL_TRY(record_healed(worker->service, &event));
    SL_TRY(sl__service_give(worker->service, &event));
    worker->stats.healed++;
    return 0;
}

/* No second attempt can do better. */
static bool is_hopeless(int code)
{
    return code == SL_ENOTSUP || code == SL_ERANGE || code == SL_ENOENT || code == SL_EINVAL;
}

static int give_up(struct sl_history_worker *worker, sl_job *job, int code)
{
    sl__service_describe(code, worker->problem, sizeof worker->problem);
    worker->stats.given_up++;
    sl_log_with(SL_LOG_WARNING, "a piece of history cannot be had", sl_field_text("service", worker->service->name),
                sl_field_text("job", sl_job_key(job)), sl_field_text("problem", worker->problem));
    return sl_job_bury(job, worker->problem);
}

int sl_history_do(void *arg, sl_job *job)
{
    struct sl_history_worker *worker = arg;
    struct sl_program_service *service = worker->service;
    struct sl_history_job what;
    struct doing doing = {worker, job, &what, sl_now()};
    bool records = sl_program_recording(service->parts) != NULL;
    const struct sl_history_options options = {.driver = sl_access_driver(service->access),
                                               .instruments = sl_program_instruments(service->parts),
                                               .http = sl_access_http(service->access),
                                               .rest_origin = sl_access_rest_origin(service->access),
                                               .priority = worker->priority,
                                               .arg = &doing,
                                               .event = on_event,
                                               .checkpoint = on_checkpoint,
                                               .asked = on_asked,
                                               .answer = records ? on_answer : NULL,
                                               .bad = on_bad};
    int code = read_job(service, sl_job_body(job, NULL), &what);
    if (code == SL_EPROTO) {
        return give_up(worker, job, code);
    }
    bool open = code == 0 && what.wish.to_id == 0 && what.wish.to_time_ns == 0;
    int resolved = !open ? 1 : worker->resolve == NULL ? 0 : worker->resolve(worker, &what);
    if (resolved == 0) {
        return sl_job_postpone(job, SL_HISTORY_RESOLVE_EVERY);
    }
    code = resolved < 0 ? resolved : code;
    code = code < 0 ? code : sl_history_walk(&options, &what.wish, sl_job_progress(job));
    if (is_hopeless(code)) {
        return give_up(worker, job, code);
    }
    if (code == 1) {
        return sl_job_give_back(job);
    }
    if (code == 0 && what.gap.reason == SL_GAP_RESTARTED && what.gap.from_id == 0) { /* it may be longer than that */
        return give_up(worker, job, sl_fail(SL_ERANGE, "nobody knows where it began: only its end could be fetched"));
    }
    if (code == 0 && what.gap.reason != SL_GAP_NONE) {
        code = tell_healed(worker, &what);
    }
    code = code == 0 ? sl_fanout_settle(service->fanout) : code;
    worker->stats.done += code == 0;
    worker->stats.failed += code < 0 && code != SL_ECANCELED;
    return code;
}
