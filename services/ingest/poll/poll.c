/* SPDX-License-Identifier: MIT */
/* Turns, requests, answers. See poll.h. */
#include "ingest/poll/poll.h"

#include <stdio.h>
#include <string.h>

#include "ingest/program/program.h"
#include "market/event_json.h"
#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define WORKERS_MAX 1000
#define HEADERS_MAX 32
#define URL_BYTES 2048
#define SWEEP SL_SECONDS(1)

/* A venue that refuses everything is asked again after this, when it does not say when. */
#define HELD SL_SECONDS(1)

/* So many turns in a row without an answer, and the service does not work. */
#define FAILURES_IN_A_ROW 16

/* So many times in a row the venue did not know an instrument: it is no more. */
#define UNKNOWN_MAX 3

/* An instrument is never stale before. */
#define STALE_MIN SL_SECONDS(10)

/* What is known of one instrument, by its index. */
struct known {
    bool wanted, stale;
    sl_time since, last_good_at;
    uint64_t good;
    uint64_t content[2]; /* hashes of what was given out last: of candles, of two neighbours */
};

/* service->life */
struct poll {
    struct sl_program_service *service;
    sl_config *config; /* that it began with, whose texts are in `headers` */
    const sl_venue_driver *driver;
    sl_poll_schedule *schedule;
    sl_http_client *http;
    sl_policy *policy;
    sl_scope *scope;
    sl_mutex turn; /* one worker at a time waits for what is due */
    sl_event news; /* the schedule has changed */
    struct known *known;
    size_t known_count;
    size_t workers;
    sl_time since;     /* it runs */
    uint32_t in_a_row; /* failures */
    struct sl_http_field headers[HEADERS_MAX];
    size_t header_count;
    struct sl_poll_stats stats;
};

struct worker {
    struct poll *poll;
    sl_venue_decoder *decoder;
    struct sl_poll_item *item;
    bool unknown; /* the venue does not know the instrument */
    size_t given; /* events of this page */
    int bad_row;  /* what was wrong with the last row of this page that could not be read; 0: nothing */
    int64_t received_ns;
    char *text; /* for hashes of events */
    size_t text_bytes;
    char url[URL_BYTES], recorded[URL_BYTES + SL_SYMBOL_MAX + 64];
};

static const struct sl_conf_poll *conf_of(const struct poll *poll)
{
    return poll->service->variant->value;
}

static struct known *known_of(const struct poll *poll, const sl_instrument *instrument)
{
    return instrument->index < poll->known_count ? &poll->known[instrument->index] : NULL;
}

/* ---- what is asked ---- */

static sl_venue_request request_of(const struct poll *poll, const sl_instrument *instrument)
{
    const struct sl_conf_poll *conf = conf_of(poll);
    sl_venue_request request = {.kind = (sl_venue_request_kind)sl_conf_poll_request(conf), .instrument = instrument};
    if (request.kind == SL_REQUEST_CANDLES) {
        request.interval_ns = conf->candle;
        request.limit = 2; /* the one that ended last, and that of now */
    } else if (request.kind == SL_REQUEST_SNAPSHOT) {
        request.limit = (uint32_t)conf->depth;
    }
    return request;
}

static uint32_t cost_of(const struct poll *poll, const sl_venue_request *request)
{
    const struct sl_conf_poll *conf = conf_of(poll);
    return conf->cost > 0 ? (uint32_t)conf->cost : sl_venue_cost(poll->driver, request);
}

static sl_time interval_of(const struct poll *poll, const sl_instrument *instrument)
{
    const struct sl_conf_poll *conf = conf_of(poll);
    for (size_t at = 0; at < conf->intervals.count; at++) {
        if (sl_instrument_matches(instrument, conf->intervals.names[at])) {
            return *(const sl_time *)sl_config_map_at(&conf->intervals, at);
        }
    }
    return conf->interval;
}

/* ---- answers ---- */

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *text, size_t size_bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t at = 0; at < size_bytes; at++) {
        hash = (hash ^ (unsigned char)text[at]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Whether an event says what the one before said, but for its times: 1 or 0. */
static int is_unchanged(struct worker *worker, struct known *known, const sl_market_event *event)
{
    sl_market_event bare = *event;
    bare.venue_time_ns = bare.sent_time_ns = bare.receive_time_ns = 0;
    size_t bound = sl_event_json_bound(&bare);
    if (bound > worker->text_bytes) {
        char *text = sl_realloc(worker->text, bound);
        if (text == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for an event");
        }
        worker->text = text;
        worker->text_bytes = bound;
    }
    uint64_t content = hash_text(worker->text, sl_event_json_write(&bare, NULL, worker->text));
    size_t place = event->kind == SL_EVENT_CANDLE && event->as.candle.interval_ns > 0
                       ? (size_t)(event->as.candle.open_time_ns / event->as.candle.interval_ns & 1)
                       : 0;
    bool same = known->content[place] == content;
    known->content[place] = content;
    return same;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct worker *worker = arg;
    struct poll *poll = worker->poll;
    struct known *known = known_of(poll, event->instrument);
    if (known == NULL || !known->wanted) { /* of all at once, one that nobody asked for; or it has just been left */
        return 0;
    }
    worker->given++;
    known->last_good_at = sl_now();
    known->good++;
    sl__service_saw(poll->service, event);
    if (conf_of(poll)->only_changed) {
        int same = is_unchanged(worker, known, event);
        SL_TRY(same);
        if (same > 0) {
            poll->stats.unchanged++;
            return 0;
        }
    }
    return sl__service_give(poll->service, event);
}

static int failed(struct poll *poll, sl_poll_failure failure, int code)
{
    poll->stats.failures[failure]++;
    sl__service_describe(code, poll->service->problem, sizeof poll->service->problem);
    return code;
}

static void put_aside(struct worker *worker, const char *text, size_t size_bytes, int code)
{
    sl__service_bad(worker->poll->service, &(struct sl_bad_message){.text = text,
                                                                    .size_bytes = size_bytes,
                                                                    .receive_time_ns = worker->received_ns,
                                                                    .code = code,
                                                                    .problem = sl_venue_problem(worker->decoder)});
}

static void on_bad_row(void *arg, const char *text, size_t size_bytes, int code)
{
    struct worker *worker = arg;
    worker->bad_row = code;
    put_aside(worker, text, size_bytes, code);
}

/* A body that is no answer of the venue's: 0 when it was no failure of the body after all. */
static int judge(struct worker *worker, const sl_response *response, const sl_venue_message *message, int code,
                 const sl_venue_answer *answer)
{
    struct poll *poll = worker->poll;
    int status = sl_response_status(response);
    const char *of = worker->item->instrument == NULL ? "all" : worker->item->instrument->symbol;
    if (worker->decoder->output_code < 0 || code == SL_ENOMEM) {
        return code; /* not the venue's fault */
    }
    if (code < 0 && (answer->error_code != 0 || answer->rate_limited || answer->no_symbol)) {
        return failed(poll, SL_POLL_FAILED_VENUE, sl_fail(code, "%s: %s", of, sl_venue_problem(worker->decoder)));
    }
    if (status < 200 || status > 299) {
        return failed(poll, SL_POLL_FAILED_STATUS, sl_fail(SL_EPROTO, "%s: HTTP status %d", of, status));
    }
    if (code < 0) {
        put_aside(worker, message->text, message->size_bytes, code);
    }
    if (code < 0 || worker->bad_row < 0) {
        code = code < 0 ? code : worker->bad_row;
        code = failed(poll, SL_POLL_FAILED_BODY, sl_fail(code, "%s: %s", of, sl_venue_problem(worker->decoder)));
        return worker->given > 0 ? 0 : code; /* one bad row among many is no reason to come later */
    }
    return 0;
}

static int make_url(struct worker *worker, const sl_venue_request *request)
{
    const struct poll *poll = worker->poll;
    int used = snprintf(worker->url, sizeof worker->url, "%s", sl_access_rest_origin(poll->service->access));
    if (used < 0 || (size_t)used >= sizeof worker->url) {
        return sl_fail(SL_EMSGSIZE, "an address of more than %zu bytes", sizeof worker->url);
    }
    int code = poll->driver->rest_path(request, worker->url + used, sizeof worker->url - (size_t)used);
    return code < 0 ? sl_fail(code, "%s gives no such thing", poll->driver->title) : 0;
}

static int record(struct worker *worker, const sl_venue_request *request, const sl_response *response,
                  const sl_venue_message *message)
{
    const struct sl_program_service *service = worker->poll->service;
    if (sl_program_recording(service->parts) == NULL) {
        return 0;
    }
    SL_TRY(sl_recording_poll_url(worker->url, request, worker->recorded, sizeof worker->recorded));
    sl_capture_line line = {.kind = SL_CAPTURE_RESPONSE,
                            .text = message->text,
                            .size_bytes = message->size_bytes,
                            .receive_time_ns = message->receive_time_ns,
                            .status = sl_response_status(response),
                            .url = worker->recorded,
                            .url_bytes = strlen(worker->recorded)};
    return sl__service_record(service, 0, &line);
}

/*
 * Whether it was not asked at all. Where the breaker has refused only what was to be asked once more, because that had failed,
 * the error has a cause.
 */
static bool was_put_off(int code)
{
    if (code != SL_EBREAKER) {
        return code == SL_ELIMITED || code == SL_EBUSY;
    }
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    return sl_error_cause(error) == NULL;
}

/* One page. */
static int ask_page(struct worker *worker, const sl_venue_request *request, sl_venue_answer *ret_answer)
{
    struct poll *poll = worker->poll;
    *ret_answer = (sl_venue_answer){0};
    int code = make_url(worker, request);
    if (code < 0) {
        return failed(poll, SL_POLL_FAILED_REQUEST, code);
    }
    sl_request get = {.url = worker->url,
                      .headers = poll->headers,
                      .header_count = poll->header_count,
                      .total_timeout = SL_NEVER,
                      .cost = cost_of(poll, request),
                      .priority = (int)conf_of(poll)->common.priority - SL_CONF_PRIORITY_NORMAL};
    sl_auto(sl_response) *response = NULL;
    poll->stats.requests++;
    code = sl_fetch(poll->http, &get, &response);
    if (was_put_off(code)) {
        poll->stats.requests--;
        return SL_EAGAIN; /* was not asked at all */
    }
    if (code < 0) {
        return code == SL_ECANCELED || code == SL_ENOMEM ? code : failed(poll, SL_POLL_FAILED_NETWORK, code);
    }
    sl_venue_message message = {.receive_time_ns = sl_now_wall()};
    message.text = sl_response_body(response, &message.size_bytes);
    poll->stats.answers++;
    poll->stats.bytes += message.size_bytes;
    code = record(worker, request, response, &message);
    if (code < 0) {
        worker->decoder->output_code = code;
        return code;
    }
    sl_venue_output output = {.arg = worker, .event = on_event, .bad_row = on_bad_row};
    worker->given = 0;
    worker->bad_row = 0;
    worker->received_ns = message.receive_time_ns;
    code = sl_venue_decode_rest(worker->decoder, request, &message, &output, NULL, ret_answer);
    worker->unknown = ret_answer->no_symbol && request->instrument != NULL;
    return judge(worker, response, &message, code, ret_answer);
}

static int ask(struct worker *worker)
{
    sl_venue_request request = request_of(worker->poll, worker->item->instrument);
    sl_venue_answer answer = {.more = true};
    int code = 0;
    for (int page = 0; page < SL_POLL_PAGES_MAX && answer.more && code == 0; page++) {
        code = ask_page(worker, &request, &answer);
        memcpy(request.cursor, answer.cursor, sizeof request.cursor);
        answer.more = answer.more && answer.cursor[0] != '\0'; /* candles have more, but only the last are wanted */
    }
    if (code == 0 && answer.more) {
        return failed(worker->poll, SL_POLL_FAILED_BODY,
                      sl_fail(SL_EMSGSIZE, "an answer of more than %d pages", SL_POLL_PAGES_MAX));
    }
    return code;
}

/*
 * An instrument that the venue says again and again it does not know is no more: the table says so to all services. The
 * next list may bring it back.
 */
static void bury(struct worker *worker)
{
    struct sl_program_service *service = worker->poll->service;
    struct sl_poll_item *item = worker->item;
    item->unknown = worker->unknown ? item->unknown + 1 : 0;
    if (item->unknown == UNKNOWN_MAX && !item->gone) {
        sl_log_with(SL_LOG_INFO, "the venue knows the instrument no more", sl_field_text("service", service->name),
                    sl_field_text("instrument", item->instrument->symbol));
        sl_instruments_set_status(sl_program_instruments(service->parts), item->instrument, SL_STATUS_DELISTED);
        sl_event_set(&service->changed);
    }
}

/* ---- workers ---- */

static int wait_for_turn(struct worker *worker)
{
    struct poll *poll = worker->poll;
    for (;;) {
        sl_time when = SL_NEVER;
        sl_event_reset(&poll->news);
        worker->item = sl_poll_schedule_take(poll->schedule, sl_now(), &when);
        if (worker->item != NULL) {
            return 0;
        }
        struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &poll->news};
        int code = sl_select(&clause, 1, when == SL_NEVER ? SL_NEVER : when - sl_now());
        SL_TRY(code == SL_ETIMEDOUT ? 0 : code);
    }
}

/* A ban holds for all: nobody takes a turn before it is over. */
static int hold(struct poll *poll)
{
    struct sl_limiter_info info;
    sl_limiter_info(sl_access_limiter(poll->service->access), &info);
    sl_time now = sl_now();
    poll->stats.held++;
    return sl_sleep(info.blocked_until > now ? info.blocked_until - now : HELD);
}

static int take_turn(struct worker *worker)
{
    struct poll *poll = worker->poll;
    SL_TRY(sl_mutex_lock(&poll->turn));
    int code = wait_for_turn(worker);
    (void)sl_mutex_unlock(&poll->turn);
    SL_TRY(code);
    struct sl_poll_item *item = worker->item;
    poll->stats.round = item->round > 0 ? item->round : poll->stats.round;
    worker->unknown = false;
    code = ask(worker);
    bury(worker);
    bool ours = code == SL_ECANCELED || code == SL_ENOMEM || worker->decoder->output_code < 0;
    if (code == 0) {
        poll->in_a_row = 0;
    } else if (code != SL_EAGAIN && !ours) {
        poll->in_a_row += poll->in_a_row < UINT32_MAX;
    }
    sl_poll_schedule_give_back(poll->schedule, item, ours ? SL_EAGAIN : code, sl_now());
    poll->stats.late = sl_poll_schedule_late(poll->schedule);
    sl_event_set(&poll->news);
    if (code == SL_EAGAIN) {
        return hold(poll);
    }
    return ours ? code : 0;
}

static int run_worker(void *arg)
{
    struct poll *poll = arg;
    struct worker *worker = sl_calloc(1, sizeof *worker);
    if (worker == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a worker");
    }
    worker->poll = poll;
    sl_venue_decoder_options options = {.venue = poll->driver->venue,
                                        .instruments = sl_program_instruments(poll->service->parts)};
    int code = sl_venue_decoder_new(&options, &worker->decoder);
    while (code == 0 && poll->workers <= conf_of(poll)->concurrency) {
        code = take_turn(worker);
    }
    poll->workers--;
    sl_venue_decoder_free(worker->decoder);
    sl_free(worker->text);
    sl_free(worker);
    return code;
}

/* ---- which instruments ---- */

static int know(struct poll *poll, const sl_instrument *instrument)
{
    if (instrument->index >= poll->known_count) {
        size_t count = poll->known_count == 0 ? 64 : poll->known_count;
        while (count <= instrument->index) {
            count *= 2;
        }
        struct known *known = sl_realloc(poll->known, count * sizeof *known);
        if (known == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
        }
        memset(known + poll->known_count, 0, (count - poll->known_count) * sizeof *known);
        poll->known = known;
        poll->known_count = count;
    }
    return 0;
}

static bool wants_bulk(const struct poll *poll)
{
    const struct sl_conf_poll *conf = conf_of(poll);
    sl_venue_request one = request_of(poll, NULL), all = one;
    if (poll->stats.wanted == 0 || (poll->driver->bulk >> one.kind & 1) == 0 || conf->bulk == SL_CONF_BULK_NEVER) {
        return false;
    }
    const sl_instruments *table = sl_program_instruments(poll->service->parts);
    one.instrument = sl_instruments_at(table, 0);
    uint64_t single = (uint64_t)cost_of(poll, &one) * poll->stats.wanted;
    return conf->bulk == SL_CONF_BULK_ALWAYS || single > cost_of(poll, &all);
}

/* The shortest interval that any of them has: then all are asked for. */
static sl_time bulk_interval(const struct poll *poll)
{
    const sl_instruments *table = sl_program_instruments(poll->service->parts);
    sl_time least = SL_NEVER;
    for (size_t at = 0; at < poll->known_count; at++) {
        if (poll->known[at].wanted) {
            sl_time interval = interval_of(poll, sl_instruments_at(table, at));
            least = interval < least ? interval : least;
        }
    }
    return least == SL_NEVER ? conf_of(poll)->interval : least;
}

/* Those that are new begin one after the other, so that they stay apart. */
static int schedule_each(struct poll *poll)
{
    const sl_instruments *table = sl_program_instruments(poll->service->parts);
    const struct sl_conf_poll *conf = conf_of(poll);
    sl_time now = sl_now();
    size_t fresh = 0, at_fresh = 0;
    for (size_t at = 0; at < poll->known_count; at++) {
        fresh += poll->known[at].wanted && sl_poll_schedule_find(poll->schedule, sl_instruments_at(table, at)) == NULL;
    }
    for (size_t at = 0; at < poll->known_count; at++) {
        if (poll->known[at].wanted) {
            const sl_instrument *instrument = sl_instruments_at(table, at);
            sl_time interval = interval_of(poll, instrument);
            sl_time share =
                conf->spread && fresh > 0 ? (sl_time)((double)interval * (double)at_fresh / (double)fresh) : 0;
            int code = sl_poll_schedule_add(poll->schedule, instrument, interval, sl_time_add(now, share), now);
            SL_TRY(code);
            at_fresh += (size_t)code;
        }
    }
    return 0;
}

static void forget_each(struct poll *poll)
{
    const sl_instruments *table = sl_program_instruments(poll->service->parts);
    for (size_t at = 0; at < poll->known_count; at++) {
        if (poll->known[at].wanted) {
            sl_poll_schedule_remove(poll->schedule, sl_instruments_at(table, at));
        }
    }
}

static int add_workers(struct poll *poll)
{
    while (poll->workers < conf_of(poll)->concurrency && poll->workers < WORKERS_MAX) {
        SL_TRY(sl_spawn(poll->scope, run_worker, poll, .name = "poll"));
        poll->workers++;
    }
    return 0;
}

/* The retry's number of attempts is bounded, and a turn waits for the limit as long as it takes. */
static void own_policy(const struct poll *poll, struct sl_policy_options *options)
{
    const struct sl_program_service *service = poll->service;
    sl_access_policy_options(service->access, sl_config_root(service->config), service->variant, options);
    options->name = service->name;
    options->no_bulkhead = sl_conf_bulkhead_of(sl_config_root(service->config), service->variant) == NULL;
    if (options->retry.attempts == 0 || options->retry.attempts == SL_ATTEMPTS_UNLIMITED) {
        options->retry.attempts = SL_POLL_ATTEMPTS;
    }
    options->retry.total = SL_NEVER;
    options->retry.attempt_timeout = conf_of(poll)->timeout;
}

/* All instruments were told of: they are asked for one by one, or all at once. */
static int settle(struct poll *poll)
{
    struct sl_policy_options policy;
    own_policy(poll, &policy);
    SL_TRY(sl_policy_change(poll->policy, &policy));
    poll->stats.bulk = wants_bulk(poll);
    if (poll->stats.bulk) {
        forget_each(poll);
        SL_TRY(sl_poll_schedule_add(poll->schedule, NULL, bulk_interval(poll), sl_now(), sl_now()));
    } else {
        sl_poll_schedule_remove(poll->schedule, NULL);
        SL_TRY(schedule_each(poll));
    }
    sl_event_set(&poll->news);
    return add_workers(poll);
}

static int follow(struct sl_program_service *service, const sl_instrument *instrument, bool wanted)
{
    struct poll *poll = service->life;
    if (instrument == NULL) {
        return settle(poll);
    }
    SL_TRY(know(poll, instrument));
    struct known *known = known_of(poll, instrument);
    if (known->wanted != wanted) {
        *known = (struct known){.wanted = wanted, .since = sl_now(), .good = known->good};
        poll->stats.wanted += wanted ? 1 : (size_t)-1;
    }
    if (!wanted) {
        sl_poll_schedule_remove(poll->schedule, instrument);
    }
    return 0;
}

/* ---- staleness ---- */

/* How long a round takes: as measured, or as it looks so far. */
static sl_time round_of(const struct poll *poll)
{
    sl_time so_far = sl_now() - poll->since;
    double rounds = poll->stats.wanted == 0 ? 1 : (double)poll->stats.answers / (double)poll->stats.wanted;
    sl_time expected = rounds > 0 && !poll->stats.bulk ? (sl_time)((double)so_far / rounds) : 0;
    return poll->stats.round > expected ? poll->stats.round : expected;
}

static sl_time stale_after(const struct poll *poll, const sl_instrument *instrument)
{
    const struct sl_conf_poll *conf = conf_of(poll);
    sl_time interval = interval_of(poll, instrument);
    sl_time after = conf->stale_after > 0 ? conf->stale_after : 3 * (interval > 0 ? interval : round_of(poll));
    return after > STALE_MIN || conf->stale_after > 0 ? after : STALE_MIN;
}

static void look_for_stale(struct poll *poll)
{
    const sl_instruments *table = sl_program_instruments(poll->service->parts);
    size_t stale = 0;
    sl_time now = sl_now();
    for (size_t at = 0; at < poll->known_count; at++) {
        struct known *known = &poll->known[at];
        if (known->wanted) {
            sl_time last = known->last_good_at > known->since ? known->last_good_at : known->since;
            known->stale = now - last > stale_after(poll, sl_instruments_at(table, at));
            stale += known->stale;
        }
    }
    if ((stale > 0) != (poll->stats.stale > 0)) {
        sl_log_with(stale > 0 ? SL_LOG_WARNING : SL_LOG_INFO,
                    stale > 0 ? "instruments without an answer for long" : "all instruments are answered again",
                    sl_field_text("service", poll->service->name), sl_field_uint("instruments", stale),
                    sl_field_text("problem", stale > 0 ? poll->service->problem : ""));
    }
    poll->stats.stale = stale;
}

static int watch(void *arg)
{
    for (;;) {
        SL_TRY(sl_sleep(SWEEP));
        look_for_stale(arg);
    }
}

/* ---- its life ---- */

static void take_headers(struct poll *poll)
{
    const struct sl_config_map *headers = &conf_of(poll)->headers;
    for (size_t at = 0; at < headers->count && at < HEADERS_MAX; at++) {
        poll->headers[at] =
            (struct sl_http_field){headers->names[at], *(const char *const *)sl_config_map_at(headers, at)};
        poll->header_count = at + 1;
    }
}

static int open_all(struct poll *poll)
{
    sl_access *access = poll->service->access;
    struct sl_policy_options policy;
    own_policy(poll, &policy);
    SL_TRY(sl_policy_create(&policy, &poll->policy));
    struct sl_http_client_options http = {.tls = sl_access_tls(access),
                                          .policy = poll->policy,
                                          .local_address = sl_access_local_address(access),
                                          .proxy = sl_access_proxy(access),
                                          .connections_per_origin = WORKERS_MAX,
                                          .idle_max = WORKERS_MAX};
    SL_TRY(sl_http_client_open(&http, &poll->http));
    take_headers(poll);
    return sl_poll_schedule_new(&poll->schedule);
}

static int run_poll(struct poll *poll)
{
    struct sl_program_service *service = poll->service;
    SL_TRY(sl__service_reach(service));
    poll->driver = sl_access_driver(service->access);
    SL_TRY(open_all(poll));
    service->life = poll;
    SL_SCOPE(scope, .name = service->name);
    poll->scope = &scope;
    int code = sl_spawn(&scope, watch, poll, .name = "stale");
    code = code == 0 ? sl__service_keep_choosing(service, follow) : code;
    return sl_scope_close(&scope, code);
}

static int run(void *arg)
{
    struct sl_program_service *service = arg;
    struct poll *poll = sl_calloc(1, sizeof *poll);
    if (poll == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a service");
    }
    poll->service = service;
    poll->config = sl_config_ref(service->config);
    poll->since = sl_now();
    sl_mutex_init(&poll->turn);
    sl_event_init(&poll->news);
    int code = run_poll(poll);
    sl__program_life_gone(service);
    service->life = NULL;
    sl_http_client_free(poll->http);
    sl_policy_free(poll->policy);
    sl_poll_schedule_free(poll->schedule);
    sl_free(poll->known);
    sl_config_unref(poll->config);
    sl_free(poll);
    return code;
}

/* ---- looking ---- */

bool sl_poll_get_stats(const struct sl_program_service *service, struct sl_poll_stats *ret_stats)
{
    const struct poll *poll = service->kind == &sl__poll_kind ? service->life : NULL;
    if (poll == NULL) {
        return false;
    }
    *ret_stats = poll->stats;
    ret_stats->due = sl_poll_schedule_ready(poll->schedule);
    return true;
}

bool sl_poll_instrument(const struct sl_program_service *service, const sl_instrument *instrument,
                        struct sl_poll_instrument_stats *ret_stats)
{
    const struct poll *poll = service->kind == &sl__poll_kind ? service->life : NULL;
    const struct known *known = poll == NULL ? NULL : known_of(poll, instrument);
    if (known == NULL || !known->wanted) {
        return false;
    }
    const struct sl_poll_item *item = sl_poll_schedule_find(poll->schedule, poll->stats.bulk ? NULL : instrument);
    *ret_stats = (struct sl_poll_instrument_stats){.good = known->good,
                                                   .failures = item == NULL ? 0 : item->failures,
                                                   .last_good_at = known->last_good_at,
                                                   .last_code = item == NULL ? 0 : item->last_code};
    return true;
}

static void look(const struct sl_program_service *service, struct sl_service_look *ret_look)
{
    const struct poll *poll = service->life;
    const struct sl_conf_poll *conf = conf_of(poll);
    struct sl_http_client_counts counts = sl_http_client_counts_get(poll->http);
    sl_time usual = conf->interval > poll->stats.round ? conf->interval : poll->stats.round;
    *ret_look = (struct sl_service_look){
        .works = poll->stats.answers > 0 && poll->in_a_row<FAILURES_IN_A_ROW, .degraded = poll->stats.stale> 0,
        .quiet_for = conf->only_changed      ? 0
                     : 3 * usual > STALE_MIN ? 3 * usual
                                             : STALE_MIN,
        .messages = poll->stats.answers,
        .bytes = poll->stats.bytes,
        .bad = poll->stats.failures[SL_POLL_FAILED_BODY],
        .connections = counts.busy + counts.idle,
        .live = counts.busy + counts.idle,
        .subscriptions = poll->stats.wanted,
        .stale = poll->stats.stale,
    };
    ret_look->reason = poll->stats.answers == 0 ? "no answer yet"
                       : !ret_look->works       ? "requests are not answered"
                       : ret_look->degraded     ? "instruments are without an answer for long"
                                                : NULL;
}

static void collect(const struct sl_program_service *service, const struct sl_label *labels, sl_scrape *scrape)
{
    static const char *const reasons[SL_POLL_FAILURES] = {[SL_POLL_FAILED_NETWORK] = "network",
                                                          [SL_POLL_FAILED_STATUS] = "status",
                                                          [SL_POLL_FAILED_VENUE] = "venue",
                                                          [SL_POLL_FAILED_BODY] = "body",
                                                          [SL_POLL_FAILED_REQUEST] = "request"};
    struct sl_poll_stats stats;
    if (!sl_poll_get_stats(service, &stats)) {
        return;
    }
    sl_scrape_counter(scrape, "sluice_poll_requests_total", "Requests made.", labels, stats.requests);
    for (int at = 0; at < SL_POLL_FAILURES; at++) {
        sl_scrape_counter(scrape, "sluice_poll_failures_total", "Turns that brought nothing.",
                          SL_LABELS({"service", service->name}, {"reason", reasons[at]}), stats.failures[at]);
    }
    sl_scrape_counter(scrape, "sluice_poll_late_turns_total",
                      "Turns left out: the limit was too low for the intervals.", labels, stats.late);
    sl_scrape_gauge(scrape, "sluice_poll_due_instruments", "Instruments whose turn it is.", labels, (double)stats.due);
    sl_scrape_gauge(scrape, "sluice_poll_round_seconds", "Between two turns of one instrument, the last measured.",
                    labels, (double)stats.round / 1e9);
}

const struct sl_service_kind sl__poll_kind = {.run = run, .look = look, .collect = collect};
