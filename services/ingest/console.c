/* SPDX-License-Identifier: MIT */
/* The admin endpoint of `sluice run`. See console.h. */
#include "ingest/console.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sluice/runtime.h"

struct sl_console {
    struct sl_console_options options;
    size_t memory_bytes; /* more in use and it is not ready; 0: no bound */
};

/* ---- writing JSON ---- */

static void put_uint(sl_json_writer *out, const char *key, uint64_t value)
{
    sl_json_put_key(out, key);
    sl_json_put_uint64(out, value);
}

static void put_text(sl_json_writer *out, const char *key, const char *value)
{
    sl_json_put_key(out, key);
    sl_json_put_text(out, sl_utf8_valid(value, strlen(value)) ? value : "(not UTF-8)");
}

static void put_seconds(sl_json_writer *out, const char *key, int64_t duration_ns)
{
    sl_json_put_key(out, key);
    sl_json_put_double(out, (double)duration_ns / 1e9);
}

static void begin_list(sl_json_writer *out, const char *key)
{
    sl_json_put_key(out, key);
    sl_json_begin_array(out);
}

/* ---- views ---- */

/* A service's state, and why it is not "ok". */
static const char *state_of(const struct sl_program_service *service, const struct sl_service_look *look,
                            const char **ret_reason)
{
    *ret_reason = look->reason == NULL ? "" : look->reason;
    if (service->life == NULL) {
        *ret_reason = service->problem;
        return service->problem[0] == '\0' ? "waiting" : "down";
    }
    if (service->last_event_at == 0 && look->quiet_for > 0) {
        *ret_reason = "no message yet";
        return "waiting";
    }
    if (!look->works) {
        return "down";
    }
    if (look->quiet_for > 0 && sl_now() - service->last_event_at > look->quiet_for) {
        *ret_reason = "no event for longer than usual";
        return "stale";
    }
    return look->degraded ? "degraded" : "ok";
}

static void put_channels(const struct sl_program_service *service, sl_json_writer *out)
{
    begin_list(out, "channels");
    if (sl_conf_service_kind(service->variant) == SL_CONF_BOOK) {
        sl_json_put_text(out, "book");
    } else if (sl_conf_service_kind(service->variant) == SL_CONF_POLL) {
        sl_json_put_text(out, sl_conf_channel_name(((const struct sl_conf_poll *)service->variant->value)->channel));
    } else if (sl_conf_service_kind(service->variant) == SL_CONF_STREAM) {
        const struct sl_conf_stream *stream = service->variant->value;
        for (size_t at = 0; at < stream->channels.count; at++) {
            sl_json_put_text(out, sl_conf_channel_name(((const int *)stream->channels.items)[at]));
        }
    }
    sl_json_end_array(out);
}

static void put_feed(struct sl_program_service *service, sl_json_writer *out)
{
    struct sl_service_look look;
    (void)sl_service_look(service, &look);
    const char *reason = "";
    const char *state = state_of(service, &look, &reason);
    char instruments[48];
    (void)snprintf(instruments, sizeof instruments, "%zu instruments", service->wanted);
    sl_json_begin_object(out);
    put_text(out, "id", service->name);
    put_text(out, "service", service->name);
    put_text(out, "venue", sl_service_venue_name(service));
    put_text(out, "instrument", instruments);
    put_channels(service, out);
    put_text(out, "state", state);
    put_text(out, "reason", reason);
    put_uint(out, "messages", look.messages);
    put_uint(out, "bytes", look.bytes);
    put_uint(out, "gaps", service->gaps);
    put_uint(out, "lost", service->missing);
    put_uint(out, "reconnects", look.reconnects);
    sl_json_put_key(out, "age_seconds");
    if (service->last_event_at == 0) {
        sl_json_put_null(out);
    } else {
        sl_json_put_double(out, (double)(sl_now() - service->last_event_at) / 1e9);
    }
    if (sl_histogram_count(&service->lag) > 0) {
        sl_json_put_key(out, "lag_seconds");
        sl_json_begin_object(out);
        put_seconds(out, "p50", sl_histogram_quantile(&service->lag, 0.5));
        put_seconds(out, "p99", sl_histogram_quantile(&service->lag, 0.99));
        put_seconds(out, "max", sl_histogram_quantile(&service->lag, 1));
        sl_json_end_object(out);
    }
    sl_json_end_object(out);
}

static void view_feeds(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    sl_json_begin_object(out);
    put_uint(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    begin_list(out, "feeds");
    for (struct sl_program_service *service = sl_program_services(console->options.parts); service != NULL;
         service = service->next) {
        put_feed(service, out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

static uint64_t dropped_of(const sl_outlet_stats *stats)
{
    return stats->dropped_full + stats->dropped_large + stats->dropped_spool + stats->dropped_damaged +
           stats->dropped_ended + stats->refused + stats->unreadable;
}

static void view_sinks(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    sl_json_begin_object(out);
    begin_list(out, "sinks");
    for (const struct sl_program_sink *sink = sl_program_sinks(console->options.parts); sink != NULL;
         sink = sink->next) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(sink->outlet);
        sl_json_begin_object(out);
        put_text(out, "id", sink->name);
        put_text(out, "kind", sl_outlet_kind(sink->outlet));
        put_text(out, "state", stats->away ? "down" : stats->spooling ? "degraded" : "ok");
        put_text(out, "reason", stats->away || stats->refused > 0 ? stats->problem : "");
        put_uint(out, "written", stats->written);
        put_uint(out, "repeated", stats->repeated);
        put_uint(out, "dropped", dropped_of(stats));
        put_uint(out, "queued", stats->queued + stats->in_batch);
        put_uint(out, "commits", stats->batches);
        put_uint(out, "retries", stats->failures);
        put_uint(out, "spool_events", stats->spooled);
        sl_json_end_object(out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

static void put_gap(const struct sl_program_gap *gap, sl_json_writer *out)
{
    sl_json_begin_object(out);
    put_text(out, "feed", gap->service);
    put_uint(out, "time_ms", (uint64_t)(gap->wall_ns / SL_MILLISECONDS(1)));
    put_text(out, "channel", sl_feed_name(gap->feed));
    sl_json_put_key(out, "from_id");
    sl_json_put_int64(out, gap->gap.from_id);
    sl_json_put_key(out, "to_id");
    sl_json_put_int64(out, gap->gap.to_id);
    sl_json_put_key(out, "healed");
    sl_json_put_text(out, gap->gap.healed ? "snapshot" : NULL);
    sl_json_end_object(out);
}

static void view_gaps(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    uint64_t total = 0;
    const struct sl_program_gap *gaps = sl_program_gaps(console->options.parts, &total);
    sl_json_begin_object(out);
    put_uint(out, "total", total);
    begin_list(out, "gaps");
    for (uint64_t at = 0; at < total && at < SL_PROGRAM_GAPS; at++) {
        put_gap(&gaps[(total - 1 - at) % SL_PROGRAM_GAPS], out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

/* Calls `put` for the way to each venue that services use, once. */
static void each_access(const struct sl_console *console, sl_json_writer *out,
                        void (*put)(sl_access *access, sl_json_writer *out))
{
    const struct sl_program_service *all = sl_program_services(console->options.parts);
    for (const struct sl_program_service *service = all; service != NULL; service = service->next) {
        bool seen = service->access == NULL;
        for (const struct sl_program_service *before = all; before != service && !seen; before = before->next) {
            seen = before->access == service->access;
        }
        if (!seen) {
            put(service->access, out);
        }
    }
}

static void put_limit(sl_access *access, sl_json_writer *out)
{
    struct sl_limiter_info info;
    struct sl_rate_state rate;
    double used = 0;
    sl_limiter_info(sl_access_limiter(access), &info);
    for (size_t at = 0; sl_limiter_look(sl_access_limiter(access), at, &rate) == 0; at++) {
        double share = rate.rate.count == 0 ? 0 : (double)rate.used / (double)rate.rate.count;
        used = share > used ? share : used;
    }
    bool banned = info.blocked_until > sl_now();
    sl_json_begin_object(out);
    put_text(out, "id", info.name);
    put_text(out, "state", banned ? "down" : info.waiting > 0 ? "degraded" : "ok");
    sl_json_put_key(out, "used");
    sl_json_put_double(out, used < 1 ? used : 1);
    put_uint(out, "waiting", info.waiting);
    put_uint(out, "granted", info.admitted);
    put_uint(out, "refused", info.refused);
    put_seconds(out, "banned_seconds", banned ? info.blocked_until - sl_now() : 0);
    put_text(out, "shared", "local");
    sl_json_end_object(out);
}

static void put_breaker(sl_access *access, sl_json_writer *out)
{
    static const char *const states[] = {
        [SL_BREAKER_CLOSED] = "closed", [SL_BREAKER_OPEN] = "open", [SL_BREAKER_HALF_OPEN] = "half-open"};
    struct sl_policy_info info;
    sl_policy_info(sl_access_policy(access), &info);
    sl_json_begin_object(out);
    put_text(out, "id", info.name);
    put_text(out, "state", states[info.breaker]);
    put_uint(out, "failures", info.failed);
    sl_json_end_object(out);
}

static void view_limits(void *arg, sl_json_writer *out)
{
    sl_json_begin_object(out);
    begin_list(out, "limits");
    each_access(arg, out, put_limit);
    sl_json_end_array(out);
    begin_list(out, "breakers");
    each_access(arg, out, put_breaker);
    sl_json_end_array(out);
    sl_json_end_object(out);
}

/* While the program does not run, nobody owns anything. */
static void view_partitions(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    sl_replicas *replicas = sl_program_replicas(console->options.parts);
    if (replicas != NULL) {
        sl_replicas_view(replicas, out);
        return;
    }
    sl_json_begin_object(out);
    put_text(out, "backend", "local");
    put_text(out, "replica", "");
    begin_list(out, "replicas");
    sl_json_end_array(out);
    begin_list(out, "partitions");
    sl_json_end_array(out);
    sl_json_end_object(out);
}

/* ---- metrics ---- */

static void collect_service(const struct sl_program_service *service, sl_scrape *scrape)
{
    struct sl_service_look look;
    (void)sl_service_look(service, &look);
    const struct sl_label *labels = SL_LABELS({"service", service->name}, {"venue", sl_service_venue_name(service)});
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        {"sluice_feed_messages_total", "Messages received.", look.messages},
        {"sluice_feed_received_bytes_total", "Bytes of the messages received.", look.bytes},
        {"sluice_feed_events_total", "Events given to the sinks.", service->events},
        {"sluice_feed_gaps_total", "Gaps told.", service->gaps},
        {"sluice_feed_lost_trades_total", "Trades that are known to be missing.", service->missing},
        {"sluice_feed_bad_messages_total", "Messages that could not be decoded.", look.bad},
        {"sluice_feed_unknown_messages_total", "Messages of a kind that is not known.", look.unknown},
        {"sluice_feed_reconnects_total", "Connections made anew after one ended.", look.reconnects},
        {"sluice_feed_rotations_total", "Connections replaced before they ended.", look.rotations},
    };
    for (size_t at = 0; at < sizeof counters / sizeof counters[0]; at++) {
        sl_scrape_counter(scrape, counters[at].name, counters[at].help, labels, counters[at].value);
    }
    sl_scrape_gauge(scrape, "sluice_feed_connections", "Connections open now.", labels, (double)look.live);
    sl_scrape_gauge(scrape, "sluice_feed_subscriptions", "Subscriptions now.", labels, (double)look.subscriptions);
    sl_scrape_gauge(scrape, "sluice_feed_stale", "Channels that are silent for longer than usual.", labels,
                    (double)look.stale);
    sl_scrape_histogram(scrape, "sluice_feed_lag_seconds", "From the venue's sending to our receiving.", labels,
                        &service->lag);
    if (service->life != NULL && service->kind->collect != NULL) {
        service->kind->collect(service, labels, scrape);
    }
}

static void collect_sink(const struct sl_program_sink *sink, sl_scrape *scrape)
{
    const sl_outlet_stats *stats = sl_outlet_get_stats(sink->outlet);
    const struct sl_label *labels = SL_LABELS({"sink", sink->name}, {"kind", sl_outlet_kind(sink->outlet)});
    sl_scrape_counter(scrape, "sluice_sink_received_events_total", "Events handed over.", labels, stats->received);
    sl_scrape_counter(scrape, "sluice_sink_written_events_total", "Events stored.", labels, stats->written);
    sl_scrape_counter(scrape, "sluice_sink_repeated_events_total", "Events that were there already.", labels,
                      stats->repeated);
    sl_scrape_counter(scrape, "sluice_sink_dropped_events_total", "Events that were lost.", labels, dropped_of(stats));
    sl_scrape_counter(scrape, "sluice_sink_failures_total", "Attempts to open or write that failed.", labels,
                      stats->failures);
    sl_scrape_gauge(scrape, "sluice_sink_queued_events", "Events that wait in memory.", labels,
                    (double)(stats->queued + stats->in_batch));
    sl_scrape_gauge(scrape, "sluice_sink_spooled_events", "Events that wait on disk.", labels, (double)stats->spooled);
}

static void collect(void *arg, sl_scrape *scrape)
{
    const struct sl_console *console = arg;
    for (const struct sl_program_service *service = sl_program_services(console->options.parts); service != NULL;
         service = service->next) {
        collect_service(service, scrape);
    }
    for (const struct sl_program_sink *sink = sl_program_sinks(console->options.parts); sink != NULL;
         sink = sink->next) {
        collect_sink(sink, scrape);
    }
}

/* ---- actions ---- */

static int act_reload(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)request;
    (void)out;
    return sl_reload_now(((struct sl_console *)arg)->options.reload);
}

static int act_drain(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)request;
    (void)out;
    struct sl_console *console = arg;
    sl_admin_drain(sl_board_admin(console->options.board));
    return sl_program_stop(console->options.parts);
}

/* {"feed": SERVICE, "instrument": SYMBOL or name} */
static int act_resync(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    const struct sl_console *console = arg;
    char name[64], symbol[SL_INSTRUMENT_NAME_MAX];
    SL_TRY(sl_admin_param(request, "feed", name, sizeof name));
    SL_TRY(sl_admin_param(request, "instrument", symbol, sizeof symbol));
    return sl_program_resync(console->options.parts, name, symbol);
}

static bool check_services(void *arg, char *reason, size_t reason_bytes)
{
    const struct sl_console *console = arg;
    for (struct sl_program_service *service = sl_program_services(console->options.parts); service != NULL;
         service = service->next) {
        struct sl_service_look look;
        if (!sl_service_look(service, &look) || !look.works) {
            (void)snprintf(reason, reason_bytes, "service %s: %s%s%s", service->name,
                           look.reason == NULL ? "it does not run" : look.reason,
                           service->problem[0] == '\0' ? "" : ": ", service->problem);
            return false;
        }
    }
    return true;
}

/* ---- the configuration's own sections ---- */

static bool wants_json(const struct sl_conf_log *log)
{
    return log->format == SL_CONF_LOG_JSON || (log->format == SL_CONF_LOG_AUTO && isatty(STDERR_FILENO) == 0);
}

static void commit_log(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)prepared;
    const struct sl_console *console = arg;
    const struct sl_conf_log *log = entry->new_value;
    if (log == NULL || entry->before == NULL) {
        return;
    }
    int code = sl_logger_change(sl_board_logger(console->options.board),
                                wants_json(log) ? SL_LOG_FORMAT_JSON : SL_LOG_FORMAT_TEXT,
                                (enum sl_log_level)log->level, log->merge == 0 ? -1 : log->merge);
    if (code < 0) {
        sl_log_with(SL_LOG_ERROR, "what is logged could not be changed", sl_field_code("code", code));
    }
}

static void commit_admin(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)prepared;
    const struct sl_console *console = arg;
    const struct sl_conf_admin *admin = entry->new_value;
    if (admin == NULL || entry->before == NULL) {
        return;
    }
    int code = sl_admin_set_token(sl_board_admin(console->options.board), admin->token);
    if (code < 0) {
        sl_log_with(SL_LOG_ERROR, "the token of the endpoint could not be changed", sl_field_code("code", code));
    }
}

/* What the process has in use, by the system's account. */
static size_t resident_bytes(void)
{
    unsigned long long pages = 0;
    char text[64] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        (void)!fgets(text, sizeof text, file);
        (void)fclose(file);
    }
    const char *at = strchr(text, ' ');
    for (at = at == NULL ? "" : at + 1; *at >= '0' && *at <= '9'; at++) {
        pages = pages * 10 + (unsigned long long)(*at - '0');
    }
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool check_memory(void *arg, char *reason, size_t reason_bytes)
{
    const struct sl_console *console = arg;
    size_t used = resident_bytes();
    if (console->memory_bytes == 0 || used <= console->memory_bytes) {
        return true;
    }
    (void)snprintf(reason, reason_bytes, "%zu MiB are in use, more than the %zu MiB of runtime.memory", used >> 20,
                   console->memory_bytes >> 20);
    return false;
}

static int register_sections(struct sl_console *console)
{
    sl_config *config = sl_reload_current(console->options.reload);
    console->memory_bytes = ((const struct sl_conf *)sl_config_root(config))->runtime.memory_bytes;
    sl_config_unref(config);
    const struct sl_reload_handler log = {.section = "log", .arg = console, .commit = commit_log};
    const struct sl_reload_handler admin = {.section = "admin", .arg = console, .commit = commit_admin};
    SL_TRY(sl_reload_register(console->options.reload, &log));
    return sl_reload_register(console->options.reload, &admin);
}

/* ---- the whole ---- */

static int fill(struct sl_console *console)
{
    sl_admin *admin = sl_board_admin(console->options.board);
    SL_TRY(sl_metrics_add(sl_board_metrics(console->options.board), collect, console));
    SL_TRY(sl_admin_add(admin, "/api/feeds", view_feeds, console));
    SL_TRY(sl_admin_add(admin, "/api/sinks", view_sinks, console));
    SL_TRY(sl_admin_add(admin, "/api/gaps", view_gaps, console));
    SL_TRY(sl_admin_add(admin, "/api/limits", view_limits, console));
    SL_TRY(sl_admin_add(admin, "/api/partitions", view_partitions, console));
    SL_TRY(sl_admin_add_action(admin, "/api/ctl/reload", act_reload, console));
    SL_TRY(sl_admin_add_action(admin, "/api/ctl/drain", act_drain, console));
    SL_TRY(sl_admin_add_action(admin, "/api/ctl/resync", act_resync, console));
    SL_TRY(sl_admin_add_check(admin, "services", check_services, console));
    SL_TRY(sl_admin_add_check(admin, "memory", check_memory, console));
    SL_TRY(register_sections(console));
    sl_admin_started(admin);
    return 0;
}

void sl_console_close(sl_console *console)
{
    static const char *const names[] = {"/api/feeds",      "/api/sinks",      "/api/gaps",      "/api/limits",
                                        "/api/partitions", "/api/ctl/reload", "/api/ctl/drain", "/api/ctl/resync",
                                        "services",        "memory"};
    if (console != NULL) {
        for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
            sl_admin_remove(sl_board_admin(console->options.board), names[at]);
        }
        sl_metrics_remove(sl_board_metrics(console->options.board), collect, console);
        sl_free(console);
    }
}

int sl_console_open(const struct sl_console_options *options, sl_console **ret_console)
{
    struct sl_console *console = sl_calloc(1, sizeof *console);
    if (console == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the views");
    }
    console->options = *options;
    int code = fill(console);
    if (code < 0) {
        sl_console_close(console);
        return code;
    }
    *ret_console = console;
    return 0;
}

int sl_console_board_options(const struct sl_conf *conf, char host[SL_CONF_HOST_MAX], sl_tls_config **ret_tls,
                             struct sl_board_options *ret_options)
{
    const struct sl_conf_log *log = &conf->log;
    uint16_t port = 0;
    *ret_tls = NULL;
    if (!sl_conf_listen_parse(conf->admin.listen, host, &port)) {
        return sl_fail(SL_EINVAL, "admin.listen: '%s' is no address", conf->admin.listen);
    }
    SL_TRY(conf->admin.enabled && conf->admin.tls != NULL ? sl__server_tls(conf->admin.tls, ret_tls) : 0);
    *ret_options =
        (struct sl_board_options){.log = {.format = wants_json(log) ? SL_LOG_FORMAT_JSON : SL_LOG_FORMAT_TEXT,
                                          .level = (enum sl_log_level)log->level,
                                          .merge = log->merge == 0 ? -1 : log->merge},
                                  .admin = {.address = host,
                                            .port = port,
                                            .token = conf->admin.token,
                                            .tls = *ret_tls,
                                            .connections_max = conf->admin.max_connections},
                                  .no_page = !conf->admin.dashboard,
                                  .no_admin = !conf->admin.enabled};
    return 0;
}
