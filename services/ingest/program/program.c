/* SPDX-License-Identifier: MIT */
/* The running program: sinks and services by the configuration, and their end in order. See program.h. */
#include "ingest/program/program_internal.h"
#include "ingest/program/sink_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

/* Between attempts to start a part for which there is no memory. */
#define START_AGAIN SL_SECONDS(1)

/* Between two lives of a service that failed. */
static const struct sl_backoff service_backoff = {.initial = SL_SECONDS(1), .max = SL_SECONDS(30)};

/* ---- sinks ---- */

static struct sl_program_sink *find_sink(const sl_program_parts *parts, const char *name)
{
    struct sl_program_sink *sink = parts->sinks;
    while (sink != NULL && strcmp(sink->name, name) != 0) {
        sink = sink->next;
    }
    return sink;
}

/* Whether a service's list of sinks has the name. */
static bool wants_sink(const struct sl_program_service *service, const char *name)
{
    const struct sl_config_list *names = &sl_conf_service(service->variant)->sinks;
    for (size_t at = 0; at < names->count; at++) {
        if (strcmp(((const char *const *)names->items)[at], name) == 0) {
            return true;
        }
    }
    return false;
}

int sl__program_attach(sl_program_parts *parts, struct sl_program_service *service)
{
    for (struct sl_program_sink *sink = parts->sinks; sink != NULL; sink = sink->next) {
        if (wants_sink(service, sink->name) && !sink->leaving) {
            int code = sl_fanout_attach(service->fanout, sink->outlet);
            SL_TRY(code == SL_EEXIST ? 0 : code);
        }
    }
    return 0;
}

static int run_sink(void *arg)
{
    struct sl_program_sink *sink = arg;
    SL_SCOPE(scope, .name = sink->name);
    int code = sl_spawn(&scope, sl_sink_watch, sink, .name = "watch", .daemon = true);
    return sl_scope_close(&scope, code == 0 ? sl_outlet_run(sink->outlet) : code);
}

void sl__program_add_outlet(struct sl_program_totals *totals, sl_outlet *outlet)
{
    const sl_outlet_stats *stats = sl_outlet_get_stats(outlet);
    totals->received += stats->received + stats->recovered;
    totals->written += stats->written;
    totals->repeated += stats->repeated;
    totals->dropped += sl_sink_lost(stats);
    totals->spooled += stats->spooled;
    totals->queued += stats->queued + stats->in_batch;
}

static void release_sink(void *arg)
{
    struct sl_program_sink *sink = arg;
    sl_program_parts *parts = sink->parts;
    for (struct sl_program_sink **at = &parts->sinks; *at != NULL; at = &(*at)->next) {
        if (*at == sink) {
            *at = sink->next;
            break;
        }
    }
    sl__program_add_outlet(&parts->gone, sink->outlet);
    sl_outlet_free(sink->outlet);
    sl__sink_kit_free(sink->kit);
    sl_free(sink);
}

static int prepare_sink(void *arg, const struct sl_reload_entry *entry, void **ret_prepared)
{
    sl_program_parts *parts = arg;
    if (entry->kind == SL_RELOAD_REMOVED || entry->kind == SL_RELOAD_LIVE) {
        return 0;
    }
    struct sl_program_sink *sink = sl_calloc(1, sizeof *sink);
    if (sink == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a sink");
    }
    sink->parts = parts;
    (void)snprintf(sink->name, sizeof sink->name, "%s", entry->name);
    int code = sl__sink_kit_new(entry->after, &sink->kit);
    code = code == 0 ? sl__make_outlet(sink->kit, entry->name, entry->new_value, sink, &sink->outlet) : code;
    if (code < 0) { /* whose certificate it was that is not there, say; the code alone tells nobody */
        const char *reason = sl_error_message(sl_error_last());
        sl_log_with(SL_LOG_ERROR, "a sink cannot be made", sl_field_text("sink", entry->name),
                    sl_field_text("reason", *reason == '\0' ? sl_strerror(code) : reason));
        sl__sink_kit_free(sink->kit);
        sl_free(sink);
        return code;
    }
    *ret_prepared = sink;
    return 0;
}

static void abandon_sink(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)arg;
    (void)entry;
    struct sl_program_sink *sink = prepared;
    if (sink != NULL) {
        sl_outlet_free(sink->outlet);
        sl__sink_kit_free(sink->kit);
        sl_free(sink);
    }
}

static void detach_sink(const sl_program_parts *parts, const struct sl_program_sink *sink)
{
    for (const struct sl_program_service *service = parts->services; service != NULL; service = service->next) {
        if (service->fanout != NULL) {
            sl_fanout_detach(service->fanout, sink->outlet);
        }
    }
}

static void attach_sink(const sl_program_parts *parts, const struct sl_program_sink *sink)
{
    for (const struct sl_program_service *service = parts->services; service != NULL; service = service->next) {
        int code = 0;
        if (service->fanout != NULL && wants_sink(service, sink->name)) {
            code = sl_fanout_attach(service->fanout, sink->outlet);
        }
        if (code < 0) {
            sl_log_with(SL_LOG_ERROR, "a sink could not be attached", sl_field_text("sink", sink->name),
                        sl_field_code("code", code));
        }
    }
}

/* Nothing more comes to it; what it has is delivered, as far as its drain time allows. */
static void end_sink(sl_program_parts *parts, struct sl_program_sink *sink)
{
    sink->leaving = true;
    detach_sink(parts, sink);
    char name[SL_OUTLET_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s", sink->name);
    sl_outlet_end(sink->outlet);
    int code = 0;
    struct sl_child_info info;
    while (code == 0 && sl_child_find(parts->sinks_scope, name, &info) == 0 && info.state != SL_CHILD_STOPPED &&
           info.state != SL_CHILD_FAILED) {
        code = sl_sleep(SL_MILLISECONDS(5));
    }
    code = sl_child_stop(parts->sinks_scope, name);
    code = code == 0 ? sl_child_remove(parts->sinks_scope, name) : code; /* releases it */
    if (code < 0 && code != SL_ECANCELED) {
        sl_log_with(SL_LOG_WARNING, "a sink did not end in order", sl_field_text("sink", name),
                    sl_field_code("code", code));
    }
}

/* Without it the program would run on without a part that was asked for: what there is no memory for now is tried again. */
static int start_part(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    int code = sl_spawn_with(scope, fn, options);
    while (code == SL_ENOMEM) {
        sl_log_with(SL_LOG_WARNING, "no memory to start a part; it is tried again", sl_field_text("part", options->id));
        SL_TRY(sl_sleep(START_AGAIN));
        code = sl_spawn_with(scope, fn, options);
    }
    return code;
}

static void commit_sink(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    sl_program_parts *parts = arg;
    if (entry->kind == SL_RELOAD_LIVE) {
        return;
    }
    struct sl_program_sink *old = find_sink(parts, entry->name), *sink = prepared;
    if (sink != NULL) { /* before the old one goes: what comes until that has delivered waits in the new one's queue */
        sink->next = parts->sinks;
        parts->sinks = sink;
        attach_sink(parts, sink);
    }
    if (old != NULL) {
        end_sink(parts, old);
    }
    if (sink == NULL) {
        return;
    }
    const struct sl_spawn_options options = {
        .arg = sink, .name = sink->name, .id = sink->name, .restart = SL_ON_FAILURE, .release = release_sink};
    int code = start_part(parts->sinks_scope, run_sink, &options);
    if (code < 0) {
        sl_log_with(SL_LOG_ERROR, "a sink could not be started", sl_field_text("sink", sink->name),
                    sl_field_code("code", code));
        detach_sink(parts, sink);
        release_sink(sink);
    }
}

/* ---- services ---- */

void sl__program_set_members(sl_program_parts *parts, uint32_t members)
{
    for (size_t at = 0; at < SL_VENUE_COUNT; at++) {
        if (parts->accesses[at] != NULL) {
            sl_access_set_members(parts->accesses[at], members);
        }
    }
}

struct sl_program_service *sl__program_service(const sl_program_parts *parts, const char *name)
{
    struct sl_program_service *service = parts->services;
    while (service != NULL && strcmp(service->name, name) != 0) {
        service = service->next;
    }
    return service;
}

/* Ways to venues that were configured anew, and that no service uses any more. */
static void sweep_accesses(sl_program_parts *parts)
{
    for (struct old_access **at = &parts->old_accesses; *at != NULL;) {
        struct old_access *old = *at;
        const struct sl_program_service *service = parts->services;
        while (service != NULL && service->access != old->access) {
            service = service->next;
        }
        if (service != NULL) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        sl_access_close(old->access);
        sl_free(old);
    }
}

/* Where a newer configuration wants another way, the services that begin by it do not go by the old one. */
static int renew_access(sl_program_parts *parts, sl_venue venue, const struct sl_program_service *service)
{
    const struct sl_conf *conf = sl_config_root(service->config);
    sl_access **access = &parts->accesses[venue];
    if (*access == NULL || service->made <= parts->made_of[venue]) {
        return 0;
    }
    if (sl_access_fits(*access, conf, service->variant)) {
        SL_TRY(sl_access_change(*access, conf, service->variant));
    } else {
        struct old_access *old = sl_calloc(1, sizeof *old);
        if (old == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for another way to a venue");
        }
        *old = (struct old_access){*access, parts->old_accesses};
        parts->old_accesses = old;
        *access = NULL;
        sl_log_with(SL_LOG_INFO, "another way to a venue", sl_field_text("venue", sl_venue_name(venue)),
                    sl_field_text("service", service->name));
        sweep_accesses(parts);
    }
    parts->made_of[venue] = service->made;
    return 0;
}

int sl__program_access(sl_program_parts *parts, struct sl_program_service *service)
{
    sl_venue venue = sl_access_venue(sl_conf_market(service->variant)->venue);
    SL_TRY(renew_access(parts, venue, service));
    if (parts->accesses[venue] == NULL) {
        const struct sl_conf *conf = sl_config_root(service->config);
        parts->made_of[venue] = service->made;
        struct sl_access_sharing sharing = {.scope = parts->shared_scope,
                                            .redis = parts->redis,
                                            .group = conf->coordination.group,
                                            .members = sl_replicas_members(parts->replicas)};
        SL_TRY(sl_access_open(service->config, service->variant, parts->instruments,
                              parts->redis == NULL ? NULL : &sharing, &parts->accesses[venue]));
    }
    service->access = parts->accesses[venue];
    return 0;
}

static void release_service(void *arg)
{
    struct sl_program_service *service = arg;
    sl_program_parts *parts = service->parts;
    for (struct sl_program_service **at = &parts->services; *at != NULL; at = &(*at)->next) {
        if (*at == service) {
            *at = service->next;
            break;
        }
    }
    parts->gone.events += service->events;
    parts->gone.trades += service->trades;
    parts->gone.gaps += service->gaps;
    parts->gone.missing += service->missing;
    parts->gone.filled += service->filled;
    sl_config_unref(service->config);
    sl_patterns_clear(&service->named);
    sl_patterns_clear(&service->excluded);
    sl_free(service->words);
    sl_free(service->seen);
    sl_free(service);
    sweep_accesses(parts);
}

static int prepare_service(void *arg, const struct sl_reload_entry *entry, void **ret_prepared)
{
    sl_program_parts *parts = arg;
    if (entry->kind == SL_RELOAD_REMOVED || entry->kind == SL_RELOAD_LIVE) {
        return 0;
    }
    const struct sl_service_kind *kind = sl_service_kind_of(entry->new_value);
    if (kind == NULL) {
        return sl_fail(SL_ENOTSUP, "services.%s: this kind of service is not there yet", entry->name);
    }
    struct sl_program_service *service = sl_calloc(1, sizeof *service);
    if (service == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a service");
    }
    service->parts = parts;
    service->kind = kind;
    (void)snprintf(service->name, sizeof service->name, "%s", entry->name);
    service->config = sl_config_ref(entry->after);
    service->variant = entry->new_value;
    service->number = parts->last_service++ % SL_PROGRAM_PARTS_MAX;
    service->made = ++parts->last_made;
    service->began_ns = sl_now_wall();
    sl_event_init(&service->changed);
    *ret_prepared = service;
    return 0;
}

static void abandon_service(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)arg;
    (void)entry;
    struct sl_program_service *service = prepared;
    if (service != NULL) {
        sl_config_unref(service->config);
        sl_free(service);
    }
}

static void end_service(sl_program_parts *parts, const struct sl_program_service *service)
{
    char name[sizeof service->name];
    (void)snprintf(name, sizeof name, "%s", service->name);
    int code = sl_child_stop(parts->services_scope, name);
    code = code == 0 ? sl_child_remove(parts->services_scope, name) : code; /* releases it */
    if (code < 0 && code != SL_ECANCELED) {
        sl_log_with(SL_LOG_WARNING, "a service did not end in order", sl_field_text("service", name),
                    sl_field_code("code", code));
    }
}

/* The new values hold: instruments are added and left by the service itself. */
static void change_service(sl_program_parts *parts, struct sl_program_service *service,
                           const struct sl_reload_entry *entry)
{
    sl_config *before = service->config;
    service->made = ++parts->last_made;
    service->config = sl_config_ref(entry->after);
    service->variant = entry->new_value;
    sl_config_unref(before);
    sl_event_set(&service->changed);
}

static void commit_service(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    sl_program_parts *parts = arg;
    struct sl_program_service *old = sl__program_service(parts, entry->name), *service = prepared;
    if (entry->kind == SL_RELOAD_LIVE) {
        if (old != NULL) {
            change_service(parts, old, entry);
        }
        return;
    }
    if (old != NULL) {
        end_service(parts, old);
    }
    if (service == NULL) {
        return;
    }
    service->next = parts->services;
    parts->services = service;
    const struct sl_spawn_options options = {.arg = service,
                                             .name = service->name,
                                             .id = service->name,
                                             .restart = SL_ALWAYS,
                                             .backoff = service_backoff,
                                             .healthy_after = SL_SECONDS(60),
                                             .release = release_service};
    int code = start_part(parts->services_scope, sl__service_run, &options);
    if (code < 0) {
        sl_log_with(SL_LOG_ERROR, "a service could not be started", sl_field_text("service", service->name),
                    sl_field_code("code", code));
        release_service(service);
    }
}

/* ---- policies: they change in place ---- */

static void commit_policy(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)prepared;
    sl_program_parts *parts = arg;
    if (entry->before == NULL || entry->after == NULL) {
        return;
    }
    const struct sl_conf *conf = sl_config_root(entry->after);
    for (struct sl_program_sink *sink = parts->sinks; sink != NULL; sink = sink->next) {
        const struct sl_config_variant *variant = sl_conf_sink_find(conf, sink->name);
        const struct sl_conf_retry *retry = variant == NULL ? NULL : sl__sink_retry(conf, variant);
        if (retry != NULL) {
            struct sl_backoff backoff = sl_conf_backoff(retry);
            sl_outlet_set_retry(sink->outlet, &backoff);
        }
    }
    for (const struct sl_program_service *service = parts->services; service != NULL; service = service->next) {
        const struct sl_config_variant *variant = sl_conf_service_find(conf, service->name);
        bool market = variant != NULL && sl_conf_market(variant) != NULL;
        if (service->access == NULL || !market || !sl_access_fits(service->access, conf, variant)) {
            continue; /* what does not fit is left with its services, which begin anew */
        }
        int code = sl_access_change(service->access, conf, variant);
        if (code < 0) {
            sl_log_with(SL_LOG_ERROR, "new limits were not taken", sl_field_text("service", service->name),
                        sl_field_code("code", code));
        }
    }
}

/* ---- the whole ---- */

int sl_program_open(sl_reload *reload, sl_program_parts **ret_parts)
{
    sl_auto(sl_program_parts) *parts = sl_calloc(1, sizeof *parts);
    if (parts == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for the program");
    }
    parts->reload = reload;
    sl_event_init(&parts->stopped);
    SL_TRY(sl_instruments_new(0, &parts->instruments));
    const struct sl_reload_handler handlers[] = {
        {.section = "limits", .arg = parts, .commit = commit_policy},
        {.section = "retry", .arg = parts, .commit = commit_policy},
        {.section = "breakers", .arg = parts, .commit = commit_policy},
        {.section = "bulkheads", .arg = parts, .commit = commit_policy},
        {.section = "sinks", .arg = parts, .prepare = prepare_sink, .commit = commit_sink, .abandon = abandon_sink},
        {.section = "services",
         .arg = parts,
         .prepare = prepare_service,
         .commit = commit_service,
         .abandon = abandon_service},
    };
    for (size_t at = 0; at < sizeof handlers / sizeof *handlers; at++) {
        SL_TRY(sl_reload_register(reload, &handlers[at]));
    }
    *ret_parts = parts;
    parts = NULL;
    return 0;
}

static void close_accesses(sl_program_parts *parts)
{
    for (size_t at = 0; at < SL_VENUE_COUNT; at++) {
        sl_access_close(parts->accesses[at]);
        parts->accesses[at] = NULL;
    }
    sweep_accesses(parts); /* no service is left */
}

void sl_program_close(sl_program_parts *parts)
{
    if (parts != NULL) {
        close_accesses(parts);
        sl_dead_letters_close(parts->dead_letters);
        sl_instruments_free(parts->instruments);
        sl_free(parts);
    }
}

/* Longer than that nobody waits for other replicas to take over. */
static sl_time hand_over_limit(const sl_program_parts *parts)
{
    sl_config *config = sl_reload_current(parts->reload);
    sl_time drain = ((const struct sl_conf *)sl_config_root(config))->coordination.drain;
    sl_config_unref(config);
    return 2 * drain + SL_REPLICAS_MARGIN;
}

/* Until it is asked to stop; then others take over what they can, while the services still run. */
static int run_until_stopped(sl_program_parts *parts)
{
    SL_SCOPE(scope, .name = "replicas", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED,
             .max_start_failures = SL_UNLIMITED);
    int code = sl_spawn(&scope, sl_replicas_run, parts->replicas, .name = "replicas", .restart = SL_ON_FAILURE,
                        .backoff = service_backoff);
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_STOP}, {.kind = SL_SELECT_EVENT, .event = &parts->stopped}};
    code = code == 0 ? sl_select(clauses, 2, SL_NEVER) : code;
    if (code >= 0) {
        (void)sl_scope_stop(&scope, hand_over_limit(parts));
    }
    return sl_scope_close(&scope, code < 0 ? code : 0);
}

/* What the reload could not end for want of memory for its plan: nobody waits for ever for what nobody stops. */
static void end_what_is_left(sl_program_parts *parts)
{
    for (struct sl_program_service *service = parts->services, *next = NULL; service != NULL; service = next) {
        next = service->next;
        end_service(parts, service);
    }
    for (struct sl_program_sink *sink = parts->sinks, *next = NULL; sink != NULL; sink = next) {
        next = sink->next;
        end_sink(parts, sink);
    }
}

/* Runs until it is asked to stop; then services go, and sinks deliver what they have. */
static int run_reload(sl_program_parts *parts)
{
    SL_TRY(sl_reload_start(parts->reload));
    SL_SCOPE(scope, .name = "reload");
    int code = sl_spawn(&scope, sl_reload_run, parts->reload, .daemon = true, .name = "reload");
    code = code == 0 ? run_until_stopped(parts) : code;
    code = sl_scope_close(&scope, code);
    sl_reload_stop(parts->reload);
    end_what_is_left(parts);
    return code;
}

static int run_services(sl_program_parts *parts)
{
    SL_SCOPE(scope, .name = "services", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED,
             .max_start_failures = SL_UNLIMITED);
    parts->services_scope = &scope;
    int code = run_reload(parts);
    code = sl_scope_close(&scope, code);
    parts->services_scope = NULL;
    return code;
}

/* As the configuration had it at the start: another file wants another start. */
static int open_dead_letters(sl_program_parts *parts)
{
    if (parts->dead_letters != NULL) {
        return 0;
    }
    sl_config *config = sl_reload_current(parts->reload);
    const struct sl_conf_dead_letter *conf = &((const struct sl_conf *)sl_config_root(config))->dead_letter;
    int code = sl_dead_letters_open(conf->path, conf->max_bytes, &parts->dead_letters);
    sl_config_unref(config);
    return code;
}

static int run_with_dead_letters(sl_program_parts *parts)
{
    SL_TRY(open_dead_letters(parts));
    SL_SCOPE(scope, .name = "dead letters");
    int code = sl_spawn(&scope, sl_dead_letters_run, parts->dead_letters, .daemon = true, .name = "dead letters");
    code = code == 0 ? run_services(parts) : code;
    return sl_scope_close(&scope, code);
}

static int run_sinks(sl_program_parts *parts)
{
    SL_SCOPE(scope, .name = "sinks", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED,
             .max_start_failures = SL_UNLIMITED);
    parts->sinks_scope = &scope;
    int code = run_with_dead_letters(parts);
    code = sl_scope_close(&scope, code);
    parts->sinks_scope = NULL;
    return code;
}

/* ---- replicas ---- */

static int open_redis(sl_program_parts *parts, const struct sl_conf_coordination *conf, sl_tls_config **ret_tls)
{
    if (conf->backend != SL_CONF_BACKEND_REDIS) {
        return 0;
    }
    SL_TRY(sl__client_tls(&conf->tls, ret_tls));
    struct sl_redis_options options = {
        .url = conf->url.text, .password = conf->password, .name = "sluice", .tls = *ret_tls};
    return sl_redis_open(parts->shared_scope, &options, &parts->redis);
}

/* What is shared with others outlives all that uses it. */
static int run_shared(sl_program_parts *parts, const struct sl_conf *conf)
{
    sl_auto(sl_tls_config) *tls = NULL;
    SL_SCOPE(scope, .name = "shared");
    parts->shared_scope = &scope;
    int code = open_redis(parts, &conf->coordination, &tls);
    code = code == 0 ? sl_replicas_open(parts, conf, parts->redis, &parts->replicas) : code;
    if (code == 0) {
        code = run_sinks(parts);
        sl_replicas_end(parts->replicas);
    }
    close_accesses(parts);
    sl_replicas_close(parts->replicas);
    parts->replicas = NULL;
    parts->redis = NULL;
    parts->shared_scope = NULL;
    return sl_scope_close(&scope, code);
}

int sl_program_run(void *arg)
{
    sl_program_parts *parts = arg;
    sl_config *config = sl_reload_current(parts->reload); /* the section changes only with a new process */
    int code = run_shared(parts, sl_config_root(config));
    sl_config_unref(config);
    sl_reload_end(parts->reload); /* sinks have delivered what they had: it would have been lost */
    return code;
}

sl_replicas *sl_program_replicas(const sl_program_parts *parts)
{
    return parts->replicas;
}

sl_redis *sl_program_redis(const sl_program_parts *parts)
{
    return parts->redis;
}

sl_instruments *sl_program_instruments(sl_program_parts *parts)
{
    return parts->instruments;
}

struct sl_program_sink *sl_program_sinks(const sl_program_parts *parts)
{
    return parts->sinks;
}

void sl_program_record(sl_program_parts *parts, sl_recording *recording)
{
    parts->recording = recording;
}

sl_recording *sl_program_recording(const sl_program_parts *parts)
{
    return parts->recording;
}

sl_dead_letters *sl_program_dead_letters(const sl_program_parts *parts)
{
    return parts->dead_letters;
}

void sl__program_note_gap(sl_program_parts *parts, const char *service, const sl_market_event *event)
{
    struct sl_program_gap *gap = &parts->gaps[parts->gap_count++ % SL_PROGRAM_GAPS];
    (void)snprintf(gap->service, sizeof gap->service, "%s", service);
    gap->feed = event->feed;
    gap->wall_ns = event->receive_time_ns;
    gap->gap = event->as.gap;
}

const struct sl_program_gap *sl_program_gaps(const sl_program_parts *parts, uint64_t *ret_total)
{
    *ret_total = parts->gap_count;
    return parts->gaps;
}

sl_tap *sl_program_tap(sl_program_parts *parts)
{
    return &parts->tap;
}

struct sl_program_service *sl_program_services(const sl_program_parts *parts)
{
    return parts->services;
}

struct sl_program_totals sl_program_get_totals(const sl_program_parts *parts)
{
    struct sl_program_totals totals = parts->gone;
    for (struct sl_program_sink *sink = parts->sinks; sink != NULL; sink = sink->next) {
        totals.sinks++;
        sl__program_add_outlet(&totals, sink->outlet);
    }
    for (const struct sl_program_service *service = parts->services; service != NULL; service = service->next) {
        totals.services++;
        totals.events += service->events;
        totals.trades += service->trades;
        totals.gaps += service->gaps;
        totals.missing += service->missing;
        totals.filled += service->filled;
        struct sl_service_look look;
        if (!sl_service_look(service, &look)) {
            continue;
        }
        totals.messages += look.messages;
        totals.bytes += look.bytes;
        totals.reconnects += look.reconnects;
        totals.rotations += look.rotations;
        totals.connections += look.connections;
        totals.live += look.live;
        totals.subscriptions += look.subscriptions;
        totals.books += look.books;
        totals.stale_books += look.stale_books;
    }
    return totals;
}

void sl__program_life_gone(const struct sl_program_service *service)
{
    struct sl_service_look look;
    if (sl_service_look(service, &look)) {
        struct sl_program_totals *gone = &service->parts->gone;
        gone->messages += look.messages;
        gone->bytes += look.bytes;
        gone->reconnects += look.reconnects;
        gone->rotations += look.rotations;
    }
}

void sl_program_report(const sl_program_parts *parts, FILE *out)
{
    struct sl_program_totals totals = sl_program_get_totals(parts);
    (void)fprintf(out, "received   %" PRIu64 " messages, %" PRIu64 " bytes\n", totals.messages, totals.bytes);
    (void)fprintf(out,
                  "events     %" PRIu64 ", of them %" PRIu64 " gaps with %" PRIu64 " trades, of which %" PRIu64
                  " came later\n",
                  totals.events, totals.gaps, totals.missing, totals.filled);
    if (parts->dead_letters != NULL) {
        const struct sl_dead_letter_stats *letters = sl_dead_letters_get_stats(parts->dead_letters);
        (void)fprintf(out,
                      "not used   %" PRIu64 " bad messages, %" PRIu64 " of unknown kinds; %" PRIu64 " dead letters\n",
                      letters->bad, letters->unknown, letters->written);
    }
    (void)fprintf(out, "reconnects %" PRIu64 ", %" PRIu64 " connections replaced in time\n", totals.reconnects,
                  totals.rotations);
    (void)fprintf(out, "written    %" PRIu64 " to sinks, %" PRIu64 " repeats ignored, %" PRIu64 " in spools\n",
                  totals.written, totals.repeated, totals.spooled);
    (void)fprintf(out, "lost       %" PRIu64 " dropped by sinks, %" PRIu64 " not delivered\n", totals.dropped,
                  totals.queued);
}
