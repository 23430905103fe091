/* SPDX-License-Identifier: MIT */
/*
 * The program's configuration: what its tables and checks let pass, the policies take, addresses and times can be read,
 * and every entry has its kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void require(bool good, const char *text)
{
    if (!good) {
        (void)fprintf(stderr, "%s\n", text);
        abort();
    }
}

static const char *no_env(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

static void try_policies(const struct sl_conf *conf)
{
    static sl_breaker breaker;
    for (size_t i = 0; i < conf->limits.count; i++) {
        struct sl_rate rates[SL_RATES_MAX];
        struct sl_limiter_options options;
        sl_limiter *limiter = NULL;
        sl_conf_limiter_options(conf->limits.names[i], sl_config_map_at(&conf->limits, i), rates, &options);
        require(sl_limiter_create(&options, &limiter) == 0, "a limit that check let pass is refused");
        sl_limiter_free(limiter);
    }
    for (size_t i = 0; i < conf->retry.count; i++) {
        struct sl_retry_policy policy;
        struct sl_retry_budget_policy budget_policy;
        sl_retry_budget budget;
        sl_retry retry;
        sl_conf_retry_policy(sl_config_map_at(&conf->retry, i), &policy);
        require(sl_retry_begin(&retry, &policy, NULL, 1) == 0, "a retry that check let pass is refused");
        require(!sl_conf_retry_budget(sl_config_map_at(&conf->retry, i), &budget_policy) ||
                    sl_retry_budget_init(&budget, &budget_policy) == 0,
                "a budget that check let pass is refused");
    }
    for (size_t i = 0; i < conf->breakers.count; i++) {
        struct sl_breaker_policy policy;
        sl_conf_breaker_policy(sl_config_map_at(&conf->breakers, i), &policy);
        require(sl_breaker_init(&breaker, &policy) == 0, "a breaker that check let pass is refused");
    }
    for (size_t i = 0; i < conf->bulkheads.count; i++) {
        struct sl_bulkhead_options options;
        sl_bulkhead bulkhead;
        sl_conf_bulkhead_options(sl_config_map_at(&conf->bulkheads, i), &options);
        require(sl_bulkhead_init(&bulkhead, &options) == 0, "a bulkhead that check let pass is refused");
    }
}

static void try_services(const struct sl_conf *conf)
{
    char host[SL_CONF_HOST_MAX];
    uint16_t port;
    for (size_t i = 0; i < conf->services.count; i++) {
        const struct sl_config_variant *service = sl_config_map_at(&conf->services, i);
        const struct sl_conf_backfill *backfill = service->value;
        const struct sl_conf_receive *receive = service->value;
        enum sl_conf_service_kind kind = sl_conf_service_kind(service);
        const char *limit = sl_conf_limit_of(conf, service);
        const char *retry = sl_conf_retry_of(conf, service);
        int64_t time;
        require(kind < SL_CONF_SERVICE_KINDS && sl_conf_service(service)->sinks.count > 0, "no kind, or no sinks");
        require(limit == NULL || sl_config_map_find(&conf->limits, limit) != NULL, "a limit that is not there");
        require(retry == NULL || sl_config_map_find(&conf->retry, retry) != NULL, "a retry that is not there");
        require(kind != SL_CONF_BACKFILL || sl_conf_time_parse(backfill->from, 1, &time), "no time");
        require(kind != SL_CONF_RECEIVE || sl_conf_listen_parse(receive->listen, host, &port), "no address");
        require(kind == SL_CONF_RECEIVE || sl_conf_venue_of(sl_conf_market(service)->venue) != SL_VENUE_NONE,
                "no venue");
    }
    for (size_t i = 0; i < conf->sinks.count; i++) {
        const struct sl_config_variant *sink = sl_config_map_at(&conf->sinks, i);
        require(sl_conf_sink_kind(sink) < SL_CONF_SINK_KINDS, "a sink without a kind");
        require(sl_conf_sink(sink)->batch <= sl_conf_sink(sink)->queue, "a batch that never fills");
    }
    require(sl_conf_listen_parse(conf->admin.listen, host, &port), "no address");
    require(!conf->admin.enabled || sl_conf_host_is_loopback(host) || conf->admin.token != NULL, "an open door");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    const struct sl_config_source source = {"/dev/null/f.yaml", (const char *)data, size_bytes};
    const struct sl_config_options options = {
        .root = &sl_conf_root, .sources = &source, .source_count = 1, .get_env = no_env};
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    if (memmem(data, size_bytes, "file:", 5) == NULL) {
        int code = sl_config_load(&options, &config, &report);
        require(code == 0 || code == SL_EINVAL, sl_config_report_text(report));
        if (code == 0) {
            try_policies(sl_config_root(config));
            try_services(sl_config_root(config));
        }
        sl_config_report_free(report);
        sl_config_unref(config);
    }
    return 0;
}
