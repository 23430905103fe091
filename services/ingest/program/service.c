/* SPDX-License-Identifier: MIT */
/* What services of all kinds have in common. See service.h. */
#include "ingest/program/service.h"

#include <stdio.h>
#include <string.h>

#include "ingest/program/program.h"
#include "ingest/replay.h"
#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"

const struct sl_service_kind *sl_service_kind_of(const struct sl_config_variant *variant)
{
    static const struct sl_service_kind *const kinds[SL_CONF_SERVICE_KINDS] = {
        [SL_CONF_STREAM] = &sl__market_kind,     [SL_CONF_BOOK] = &sl__market_kind,
        [SL_CONF_BACKFILL] = &sl__backfill_kind, [SL_CONF_POLL] = &sl__poll_kind,
        [SL_CONF_RECEIVE] = &sl__receive_kind,
    };
    return kinds[sl_conf_service_kind(variant)];
}

const char *sl_service_venue_name(const struct sl_program_service *service)
{
    const struct sl_conf_market *market = sl_conf_market(service->variant);
    return market != NULL ? sl_conf_venue_name(market->venue)
                          : sl_venue_name(sl_conf_receive_venue(service->variant->value));
}

bool sl_service_look(const struct sl_program_service *service, struct sl_service_look *ret_look)
{
    *ret_look = (struct sl_service_look){0};
    if (service->life == NULL) {
        return false;
    }
    service->kind->look(service, ret_look);
    return true;
}

/* ---- a life ---- */

void sl__service_describe(int code, char *text, size_t size_bytes)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    const char *message = error == NULL ? "" : sl_error_message(error);
    (void)snprintf(text, size_bytes, "%s", *message == '\0' ? sl_strerror(code) : message);
}

int sl__service_run(void *arg)
{
    struct sl_program_service *service = arg;
    SL_TRY(sl_fanout_new(&service->fanout));
    int code = sl__program_attach(service->parts, service);
    code = code == 0 ? service->kind->run(service) : code;
    if (code < 0 && code != SL_ECANCELED) { /* for people: the supervisor starts it again */
        sl__service_describe(code, service->problem, sizeof service->problem);
        sl_log_with(SL_LOG_WARNING, "a service failed; it is started again", sl_field_text("service", service->name),
                    sl_field_code("code", code), sl_field_text("problem", service->problem));
    }
    sl_fanout_free(service->fanout);
    service->fanout = NULL;
    return code;
}

/* ---- the venue and its instruments ---- */

static int list_instruments(struct sl_program_service *service)
{
    bool records = sl_program_recording(service->parts) != NULL;
    return sl_access_list(service->access,
                          &(struct sl_access_watcher){.arg = service,
                                                      .answer = records ? sl__service_record_answer : NULL,
                                                      .bad = sl__service_bad});
}

int sl__service_reach(struct sl_program_service *service)
{
    SL_TRY(sl__program_access(service->parts, service));
    int code = sl_access_get_stats(service->access)->lists > 0 ? 0 : list_instruments(service);
    return code < 0 ? code : 0;
}

static bool fits_one_of(const struct sl_config_list *patterns, const sl_instrument *instrument)
{
    for (size_t at = 0; at < patterns->count; at++) {
        const char *pattern = ((const char *const *)patterns->items)[at];
        if (sl_instrument_matches(instrument, pattern)) {
            return true;
        }
    }
    return false;
}

/* Whether what the configuration names is ready, which is done once for each configuration; false: there is no memory. */
static bool are_names_ready(struct sl_program_service *service, const struct sl_conf_market *market)
{
    if (service->named_of != service->made && sl_patterns_set(&service->named, &market->instruments) == 0 &&
        sl_patterns_set(&service->excluded, &market->exclude) == 0) {
        service->named_of = service->made;
    }
    return service->named_of == service->made;
}

static bool is_named(struct sl_program_service *service, const struct sl_conf_market *market,
                     const sl_instrument *instrument)
{
    return are_names_ready(service, market)
               ? sl_patterns_match(&service->named, instrument) && !sl_patterns_match(&service->excluded, instrument)
               : fits_one_of(&market->instruments, instrument) && !fits_one_of(&market->exclude, instrument);
}

bool sl__service_wants(struct sl_program_service *service, const sl_instrument *instrument)
{
    const struct sl_conf_market *market = sl_conf_market(service->variant);
    return instrument->venue == sl_access_venue(market->venue) && instrument->status != SL_STATUS_DELISTED &&
           sl__program_asks_for(service, instrument, is_named(service, market, instrument)) &&
           !sl__service_elsewhere(service, instrument);
}

bool sl__service_elsewhere(const struct sl_program_service *service, const sl_instrument *instrument)
{
    const struct sl_conf_market *market = sl_conf_market(service->variant);
    return market->partitioned && !sl_replicas_follows(sl_program_replicas(service->parts), instrument);
}

/* A name that the venue does not have, or no longer: its owner may wait for it for long. */
static void tell_unmatched(struct sl_program_service *service)
{
    const char *one = NULL;
    size_t unmatched = sl_patterns_unmatched(&service->named, &one);
    if (unmatched > 0 && unmatched != service->unmatched) {
        sl_log_with(SL_LOG_WARNING, "the venue lists no such instrument", sl_field_text("service", service->name),
                    sl_field_text("instrument", one), sl_field_uint("others", unmatched - 1));
    }
    service->unmatched = unmatched;
}

/* Instruments that are looked at before others run. */
#define CHOSEN_AT_ONCE 256

/* What is wanted is followed, what is not is left. */
static int choose(struct sl_program_service *service,
                  int (*follow)(struct sl_program_service *service, const sl_instrument *instrument, bool wanted))
{
    const sl_instruments *table = sl_program_instruments(service->parts);
    const struct sl_conf_market *market = sl_conf_market(service->variant);
    sl_venue venue = sl_access_venue(market->venue);
    bool ready = are_names_ready(service, market);
    size_t wanted = 0;
    uint64_t generation = sl_replicas_generation(sl_program_replicas(service->parts)), made = service->made;
    sl_patterns_unmark(&service->named);
    for (size_t at = 0; at < sl_instruments_count(table); at++) {
        const sl_instrument *instrument = sl_instruments_at(table, at);
        SL_TRY(at % CHOSEN_AT_ONCE == CHOSEN_AT_ONCE - 1 ? sl_checkpoint() : 0);
        if (instrument->venue == venue) {
            bool is = sl__service_wants(service, instrument);
            wanted += is;
            SL_TRY(follow(service, instrument, is));
        }
    }
    if (wanted != service->wanted) {
        sl_log_with(SL_LOG_INFO, "instruments chosen", sl_field_text("service", service->name),
                    sl_field_uint("instruments", wanted));
    }
    service->wanted = wanted;
    if (ready && service->made == made) { /* else news of it are there already */
        tell_unmatched(service);
    }
    SL_TRY(follow(service, NULL, true));
    service->chosen = generation;
    return 0;
}

/* Until the next look at the venue's list, or news of the configuration. */
static int wait_for_news(struct sl_program_service *service, bool *ret_list)
{
    struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &service->changed};
    int code = sl_select(&clause, 1, SL_ACCESS_REFRESH);
    *ret_list = code == SL_ETIMEDOUT;
    sl_event_reset(&service->changed);
    return code < 0 && code != SL_ETIMEDOUT ? code : 0;
}

/* A list that cannot be had is no reason to stop what runs by the old one. */
int sl__service_keep_choosing(struct sl_program_service *service,
                              int (*follow)(struct sl_program_service *service, const sl_instrument *instrument,
                                            bool wanted))
{
    for (;;) {
        SL_TRY(choose(service, follow));
        bool list = false;
        SL_TRY(wait_for_news(service, &list));
        int code = list ? list_instruments(service) : 0;
        if (code == SL_ECANCELED || code == SL_ENOMEM) {
            return code;
        }
        if (code < 0) {
            sl_log_with(SL_LOG_WARNING, "the venue's list of instruments could not be had",
                        sl_field_text("service", service->name), sl_field_code("code", code));
        }
    }
}

/* ---- events on their way to the sinks ---- */

/* NULL: there is no memory for it; then it is not counted. */
static struct sl_service_seen *seen_of(struct sl_program_service *service, uint32_t index)
{
    if (index >= service->seen_count) {
        size_t count = service->seen_count == 0 ? 64 : service->seen_count;
        while (count <= index) {
            count *= 2;
        }
        struct sl_service_seen *seen = sl_realloc(service->seen, count * sizeof *seen);
        if (seen == NULL) {
            return NULL;
        }
        memset(seen + service->seen_count, 0, (count - service->seen_count) * sizeof *seen);
        service->seen = seen;
        service->seen_count = count;
    }
    return &service->seen[index];
}

void sl__service_saw(struct sl_program_service *service, const sl_market_event *event)
{
    struct sl_service_seen *seen = seen_of(service, event->instrument->index);
    sl_time now = sl_now();
    int64_t lag = event->sent_time_ns == 0 ? -1 : event->receive_time_ns - event->sent_time_ns;
    service->last_event_at = now;
    if (lag > 0) {
        sl_histogram_record(&service->lag, lag);
    }
    if (seen != NULL) {
        seen->events++;
        seen->last_at = now;
        seen->lag_ns = lag > 0 ? lag : seen->lag_ns;
        seen->gaps += event->kind == SL_EVENT_GAP && !event->as.gap.healed;
    }
}

/* How many trades the ids around a gap say are missing; 0 where ids do not follow each other, or one is not known. */
static uint64_t count_between(const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    const sl_venue_driver *driver = sl_venue_driver_of(event->instrument->venue);
    if (event->feed == SL_FEED_DEPTH || driver == NULL || !driver->consecutive_trades || gap->from_id <= 0 ||
        gap->to_id <= gap->from_id) {
        return 0;
    }
    return (uint64_t)(gap->to_id - gap->from_id - 1);
}

static void count_gap(struct sl_program_service *service, const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    sl__program_note_gap(service->parts, service->name, event);
    if (!gap->healed) {
        service->gaps++;
        service->missing += count_between(event);
    } else if (gap->seen_time_ns >= service->began_ns) { /* else another life, or process, has counted them */
        service->filled += count_between(event);
    }
}

int sl__service_give(struct sl_program_service *service, const sl_market_event *event)
{
    service->events++;
    service->trades += event->kind == SL_EVENT_TRADE;
    if (event->kind == SL_EVENT_GAP) {
        count_gap(service, event);
    }
    sl_tap_pass(sl_program_tap(service->parts), event);
    int code = sl_fanout_write(service->fanout, event);
    if (code == SL_EMSGSIZE) {
        sl_log_with(SL_LOG_ERROR, "an event is too large for the sinks", sl_field_text("service", service->name),
                    sl_field_text("instrument", event->instrument->symbol));
        return 0;
    }
    return code;
}

int sl__service_record(const struct sl_program_service *service, uint32_t connection, sl_capture_line *line)
{
    sl_recording *recording = sl_program_recording(service->parts);
    if (recording == NULL) {
        return 0;
    }
    line->venue = sl_access_driver(service->access)->venue;
    line->connection = service->number << SL_REPLAY_SERVICE_SHIFT | (connection & SL_REPLAY_CONNECTION_MASK);
    return sl_recording_add(recording, line);
}

int sl__service_record_answer(void *arg, const char *url, const char *text, size_t size_bytes, int64_t receive_time_ns)
{
    sl_capture_line line = {.kind = SL_CAPTURE_RESPONSE,
                            .text = text,
                            .size_bytes = size_bytes,
                            .receive_time_ns = receive_time_ns,
                            .status = 200,
                            .url = url,
                            .url_bytes = strlen(url)};
    return sl__service_record(arg, 0, &line);
}

void sl__service_bad(void *arg, const struct sl_bad_message *message)
{
    struct sl_program_service *service = arg;
    const struct sl_conf_market *market = sl_conf_market(service->variant);
    (void)snprintf(service->problem, sizeof service->problem, "%s", message->problem);
    sl_venue venue = market == NULL ? SL_VENUE_NONE : sl_access_venue(market->venue);
    if (sl_dead_letters_put(sl_program_dead_letters(service->parts), service->name, venue, message)) {
        sl_log_with(SL_LOG_WARNING,
                    message->code == SL_ENOTSUP ? "a message of an unknown kind; others like it are only counted"
                                                : "a message that is none; others like it are only counted",
                    sl_field_text("service", service->name), sl_field_text("problem", message->problem));
    }
}
