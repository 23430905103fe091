/* SPDX-License-Identifier: MIT */
/* Loading texts as the program's configuration. Include it once a program. */
#ifndef CONF_SUPPORT_H
#define CONF_SUPPORT_H

#include "sl_test.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/config.h"

/* What every configuration needs. */
#define CONF_SINKS "sinks: {db: {kind: sqlite, path: a.db}}\n"
#define CONF_SERVICES "services: {s: {kind: stream, venue: binance, instruments: [BTC-USDT], sinks: [db]}}\n"
#define CONF_LEAST CONF_SERVICES CONF_SINKS

static inline int conf_load(const char *text, const char *const *sets, size_t set_count, sl_config **config,
                            sl_config_report **report)
{
    const struct sl_config_source source = {"a.yaml", text, strlen(text)};
    return sl_config_load(
        &(struct sl_config_options){
            .root = &sl_conf_root, .sources = &source, .source_count = 1, .sets = sets, .set_count = set_count},
        config, report);
}

/* A text that must load. */
static inline sl_config *conf_loaded(const char *text)
{
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    int code = conf_load(text, NULL, 0, &config, &report);
    if (code != 0) {
        print_error("%s\n%s", text, sl_config_report_text(report));
    }
    assert_int_equal(code, 0);
    sl_config_report_free(report);
    return config;
}

static inline const struct sl_conf *conf_of(const sl_config *config)
{
    return sl_config_root(config);
}

#endif
