/* SPDX-License-Identifier: MIT */
/* What the endpoint of `sluice run` shows, and its metrics. Shapes: framework/admin/schema.json. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/console/console_internal.h"
#include "ingest/program/sink_watch.h"
#include "sluice/runtime.h"

/* ---- writing JSON ---- */

void sl__console_put_text(sl_json_writer *out, const char *key, const char *value)
{
    sl_json_put_key_text(out, key, sl_utf8_valid(value, strlen(value)) ? value : "(not UTF-8)");
}

void sl__console_put_seconds(sl_json_writer *out, const char *key, int64_t duration_ns)
{
    sl_json_put_key_double(out, key, (double)duration_ns / 1e9);
}

void sl__console_put_age(sl_json_writer *out, const char *key, sl_time at)
{
    sl_json_put_key(out, key);
    if (at == 0) {
        sl_json_put_null(out);
    } else {
        sl_json_put_double(out, (double)(sl_now() - at) / 1e9);
    }
}

static void begin_list(sl_json_writer *out, const char *key)
{
    sl_json_put_key(out, key);
    sl_json_begin_array(out);
}

/* ---- views ---- */

const char *sl__console_problem(const struct sl_program_service *service)
{
    struct sl_policy_info info = {.problem = ""};
    if (service->problem[0] == '\0' && service->life == NULL && service->access != NULL) {
        sl_policy_info(sl_access_policy(service->access), &info);
        return info.problem;
    }
    return service->problem;
}

/* A service's state, and why it is not "ok". */
static const char *state_of(const struct sl_program_service *service, const struct sl_service_look *look,
                            const char **ret_reason)
{
    *ret_reason = look->reason == NULL ? "" : look->reason;
    if (service->paused) {
        *ret_reason = "by hand";
        return "paused";
    }
    if (service->life == NULL) {
        bool begins = service->problem[0] == '\0';
        const char *problem = sl__console_problem(service);
        *ret_reason = begins && service->access != NULL && problem[0] == '\0'
                          ? "the venue's list of instruments is awaited"
                          : problem;
        return begins ? "waiting" : "down";
    }
    if (service->last_event_at == 0 && look->quiet_for > 0 && look->refused == 0) {
        *ret_reason = look->works || look->reason == NULL ? "no message yet" : look->reason;
        return "waiting";
    }
    if (!look->works) {
        return "down";
    }
    if (look->quiet_for > 0 && service->last_event_at != 0 && sl_now() - service->last_event_at > look->quiet_for) {
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

/* The quantiles of the last second; nothing of what was never measured. */
static void put_recent(sl_json_writer *out, const char *key, struct sl_service_recent *recent,
                       const struct sl_histogram *now)
{
    if (sl_histogram_count(now) == 0) {
        return;
    }
    if (recent->since == 0 || sl_now() - recent->since >= SL_SECONDS(1)) {
        struct sl_histogram last;
        sl_histogram_since(now, &recent->before, &last);
        if (sl_histogram_count(&last) > 0) { /* else what was last is still the last */
            recent->p50 = sl_histogram_quantile(&last, 0.5);
            recent->p99 = sl_histogram_quantile(&last, 0.99);
            recent->max = sl_histogram_quantile(&last, 1);
        }
        recent->before = *now;
        recent->since = sl_now();
    }
    sl_json_put_key(out, key);
    sl_json_begin_object(out);
    sl__console_put_seconds(out, "p50", recent->p50);
    sl__console_put_seconds(out, "p99", recent->p99);
    sl__console_put_seconds(out, "max", recent->max);
    sl_json_end_object(out);
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
    sl__console_put_text(out, "id", service->name);
    sl__console_put_text(out, "service", service->name);
    sl__console_put_text(out, "venue", sl_service_venue_name(service));
    sl__console_put_text(out, "instrument", instruments);
    put_channels(service, out);
    sl__console_put_text(out, "state", state);
    sl__console_put_text(out, "reason", reason);
    sl_json_put_key_uint64(out, "messages", look.messages);
    sl_json_put_key_uint64(out, "bytes", look.bytes);
    sl_json_put_key_uint64(out, "gaps", service->gaps);
    sl_json_put_key_uint64(out, "lost", service->missing > service->filled ? service->missing - service->filled : 0);
    sl_json_put_key_uint64(out, "reconnects", look.reconnects);
    sl_json_put_key_uint64(out, "resyncs", look.resyncs);
    sl_json_put_key_uint64(out, "instruments", service->wanted);
    sl_json_put_key_uint64(out, "connections", look.live);
    sl_json_put_key_uint64(out, "stale_channels", look.stale);
    if (look.books > 0) {
        sl_json_put_key_uint64(out, "books", look.books);
        sl_json_put_key_uint64(out, "stale_books", look.stale_books);
    }
    if (look.jobs > 0) {
        sl_json_put_key_uint64(out, "jobs", look.jobs);
        sl_json_put_key_uint64(out, "jobs_left", look.jobs_left);
        sl_json_put_key_double(out, "progress", (double)(look.jobs - look.jobs_left) / (double)look.jobs);
    }
    sl__console_put_age(out, "age_seconds", service->last_event_at);
    put_recent(out, "lag_seconds", &service->lag_recent, &service->lag);
    sl_json_end_object(out);
}

void sl__console_feeds(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    begin_list(out, "feeds");
    for (struct sl_program_service *service = sl_program_services(console->options.parts); service != NULL;
         service = service->next) {
        put_feed(service, out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

void sl__console_sinks(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    begin_list(out, "sinks");
    for (struct sl_program_sink *sink = sl_program_sinks(console->options.parts); sink != NULL; sink = sink->next) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(sink->outlet);
        sl_json_begin_object(out);
        sl__console_put_text(out, "id", sink->name);
        sl__console_put_text(out, "kind", sl_outlet_kind(sink->outlet));
        sl__console_put_text(out, "state", stats->away ? "down" : stats->spooling ? "degraded" : "ok");
        sl__console_put_text(out, "reason",
                             stats->disk_failing                 ? stats->disk_problem
                             : stats->away || stats->refused > 0 ? stats->problem
                                                                 : "");
        sl_json_put_key_uint64(out, "written", stats->written);
        sl_json_put_key_uint64(out, "repeated", stats->repeated);
        sl_json_put_key_uint64(out, "dropped", sl_sink_lost(stats));
        sl_json_put_key_uint64(out, "queued", stats->queued + stats->in_batch);
        sl_json_put_key_uint64(out, "commits", stats->batches);
        sl_json_put_key_uint64(out, "retries", stats->failures);
        sl_json_put_key_uint64(out, "queue_capacity", sl_outlet_queue_events(sink->outlet));
        sl_json_put_key_uint64(out, "spool_events", stats->spooled);
        sl_json_put_key_uint64(out, "spool_bytes", stats->spool.bytes);
        put_recent(out, "latency_seconds", &sink->latency_recent, sl_outlet_latency(sink->outlet));
        sl_json_end_object(out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

static void put_gap(const struct sl_program_gap *gap, sl_json_writer *out)
{
    sl_json_begin_object(out);
    sl__console_put_text(out, "feed", gap->service);
    sl_json_put_key_uint64(out, "time_ms", (uint64_t)(gap->wall_ns / SL_MILLISECONDS(1)));
    sl__console_put_text(out, "channel", sl_feed_name(gap->feed));
    sl_json_put_key(out, "from_id");
    sl_json_put_int64(out, gap->gap.from_id);
    sl_json_put_key(out, "to_id");
    sl_json_put_int64(out, gap->gap.to_id);
    sl_json_put_key_text(out, "healed", gap->gap.healed ? "snapshot" : NULL);
    sl_json_end_object(out);
}

void sl__console_gaps(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    uint64_t total = 0;
    const struct sl_program_gap *gaps = sl_program_gaps(console->options.parts, &total);
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "total", total);
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
    sl__console_put_text(out, "id", info.name);
    sl__console_put_text(out, "state", banned ? "down" : info.waiting > 0 ? "degraded" : "ok");
    sl_json_put_key_double(out, "used", used < 1 ? used : 1);
    sl_json_put_key_uint64(out, "waiting", info.waiting);
    sl_json_put_key_uint64(out, "granted", info.admitted);
    sl_json_put_key_uint64(out, "refused", info.refused);
    sl__console_put_seconds(out, "banned_seconds", banned ? info.blocked_until - sl_now() : 0);
    bool away = false;
    bool shared = sl_access_shared(access, &away);
    sl__console_put_text(out, "shared", !shared ? "local" : away ? "fallback" : "redis");
    sl_json_end_object(out);
}

static void put_breaker(sl_access *access, sl_json_writer *out)
{
    static const char *const states[] = {
        [SL_BREAKER_CLOSED] = "closed", [SL_BREAKER_OPEN] = "open", [SL_BREAKER_HALF_OPEN] = "half-open"};
    struct sl_policy_info info;
    sl_policy_info(sl_access_policy(access), &info);
    sl_json_begin_object(out);
    sl__console_put_text(out, "id", info.name);
    sl__console_put_text(out, "state", states[info.breaker]);
    sl_json_put_key_uint64(out, "failures", info.failed);
    sl_json_end_object(out);
}

void sl__console_limits(void *arg, sl_json_writer *out)
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
void sl__console_partitions(void *arg, sl_json_writer *out)
{
    const struct sl_console *console = arg;
    sl_replicas *replicas = sl_program_replicas(console->options.parts);
    if (replicas != NULL) {
        sl_replicas_view(replicas, out);
        return;
    }
    sl_json_begin_object(out);
    sl__console_put_text(out, "backend", "local");
    sl__console_put_text(out, "replica", "");
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
        {"sluice_feed_lost_trades_total", "Trades that were told to be missing.", service->missing},
        {"sluice_feed_filled_trades_total", "Of these, trades that came later.", service->filled},
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
    sl_scrape_gauge(scrape, "sluice_feed_refused_subscriptions", "Of them, those that the venue will not have.", labels,
                    (double)look.refused);
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
    struct sl_sink_loss losses[SL_SINK_LOSSES];
    sl_sink_losses(stats, losses);
    for (size_t at = 0; at < SL_SINK_LOSSES; at++) {
        sl_scrape_counter(
            scrape, "sluice_sink_dropped_events_total", "Events that were lost, and why.",
            SL_LABELS({"sink", sink->name}, {"kind", sl_outlet_kind(sink->outlet)}, {"reason", losses[at].reason}),
            losses[at].events);
    }
    sl_scrape_counter(scrape, "sluice_sink_conflated_events_total",
                      "States that were left out, because a later one of the same kind waited behind them.", labels,
                      stats->conflated);
    sl_scrape_counter(scrape, "sluice_sink_failures_total", "Attempts to open or write that failed.", labels,
                      stats->failures);
    sl_scrape_gauge(scrape, "sluice_sink_up", "1: the last attempt to open or write worked.", labels,
                    stats->away ? 0 : 1);
    sl_scrape_counter(scrape, "sluice_sink_spool_failures_total", "Attempts to write its spool that failed.", labels,
                      stats->disk_failures);
    sl_scrape_gauge(scrape, "sluice_sink_queued_events", "Events that wait in memory.", labels,
                    (double)(stats->queued + stats->in_batch));
    sl_scrape_histogram(scrape, "sluice_sink_latency_seconds", "From receiving an event to the sink's having it.",
                        labels, sl_outlet_latency(sink->outlet));
    sl_scrape_gauge(scrape, "sluice_sink_spooled_events", "Events that wait on disk.", labels, (double)stats->spooled);
}

static void collect_dead_letters(const sl_dead_letters *letters, sl_scrape *scrape)
{
    const struct sl_dead_letter_stats *stats = sl_dead_letters_get_stats(letters);
    sl_scrape_counter(scrape, "sluice_dead_letters_written_total", "Messages kept in the file of dead letters.", NULL,
                      stats->written);
    sl_scrape_counter(scrape, "sluice_dead_letters_dropped_total", "Those for which it had no room, or its disk none.",
                      NULL, stats->dropped);
}

void sl__console_collect(void *arg, sl_scrape *scrape)
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
    if (sl_program_dead_letters(console->options.parts) != NULL) {
        collect_dead_letters(sl_program_dead_letters(console->options.parts), scrape);
    }
    if (sl_program_replicas(console->options.parts) != NULL) {
        sl_replicas_collect(sl_program_replicas(console->options.parts), scrape);
    }
}
