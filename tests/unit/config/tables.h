/* SPDX-License-Identifier: MIT */
/* The table that the tests of the configuration share: every type, and the shapes of a real configuration. */
#ifndef CONFIG_TABLES_H
#define CONFIG_TABLES_H

#include "sluice/config.h"

struct values {
    bool flag;
    int64_t offset;
    uint64_t count;
    double factor;
    const char *name, *label;
    sl_time wait;
    uint64_t room;
    struct sl_config_rate rate;
    double share;
    int mode;
    struct sl_config_url url, link;
    const char *token;
    struct sl_config_list ports, on; /* of uint64_t, int */
    struct sl_config_map delays;     /* of sl_time */
};

struct tls {
    const char *certificate, *key;
    bool verify;
};

struct rate {
    struct sl_config_rate rate;
    uint64_t cost;
};

struct limit {
    struct sl_config_list rates; /* of struct rate */
    sl_time min_wait, max_wait;
};

struct file_sink {
    const char *path;
    uint64_t segment;
};

struct redis_sink {
    struct sl_config_url url;
    const char *password;
};

struct service {
    struct sl_config_list sinks; /* of const char * */
    const char *limit;
    uint64_t connections;
    const struct tls *tls;
};

struct program {
    struct values values;
    struct sl_config_map limits, sinks, services; /* of struct limit, struct sl_config_variant, struct service */
    const struct tls *tls;
};

static const char *const modes[] = {"none", "full", "equal"};
static const char *const schemes[] = {"https", "wss"};
static const char *const causes[] = {"connect", "reset", "timeout"};

static const struct sl_config_field port = {.type = SL_CONFIG_UINT, .min = "1", .max = "65535"};
static const struct sl_config_field cause = {.type = SL_CONFIG_ENUM, .choices = causes, .choice_count = 3};
static const struct sl_config_field delay = {.type = SL_CONFIG_DURATION};

static const struct sl_config_field values_fields[] = {
    {SL_CONFIG_AT(struct values, flag), .type = SL_CONFIG_BOOL, .default_text = "true", .help = "Whether."},
    {SL_CONFIG_AT(struct values, offset), .type = SL_CONFIG_INT, .default_text = "-1", .min = "-10", .max = "10"},
    {SL_CONFIG_AT(struct values, count), .type = SL_CONFIG_UINT, .default_text = "5", .max = "100"},
    {SL_CONFIG_AT(struct values, factor), .type = SL_CONFIG_DOUBLE, .default_text = "1.5", .min = "1"},
    {SL_CONFIG_AT(struct values, name), .type = SL_CONFIG_STRING, .default_text = "sluice", .min = "1", .max = "8"},
    {SL_CONFIG_AT(struct values, label), .type = SL_CONFIG_STRING, .help = "A | in a cell."},
    {SL_CONFIG_AT(struct values, wait), .type = SL_CONFIG_DURATION, .default_text = "250ms", .min = "1ms", .max = "1h"},
    {SL_CONFIG_AT(struct values, room), .type = SL_CONFIG_SIZE, .default_text = "64KiB", .max = "1GiB"},
    {SL_CONFIG_AT(struct values, rate), .type = SL_CONFIG_RATE, .default_text = "1200/1m"},
    {SL_CONFIG_AT(struct values, share), .type = SL_CONFIG_PERCENT, .default_text = "20%", .max = "100%"},
    {SL_CONFIG_AT(struct values, mode), .type = SL_CONFIG_ENUM, .default_text = "full", .choices = modes,
     .choice_count = 3, .reload = SL_CONFIG_RESTART_TASK},
    {SL_CONFIG_AT(struct values, url), .type = SL_CONFIG_URL, .default_text = "https://example.org", .choices = schemes,
     .choice_count = 2},
    {SL_CONFIG_AT(struct values, link), .type = SL_CONFIG_URL},
    {SL_CONFIG_AT(struct values, token), .type = SL_CONFIG_SECRET, .min = "4"},
    {SL_CONFIG_AT(struct values, ports), .type = SL_CONFIG_LIST, .element = &port, .default_text = "[80, 443]",
     .min = "1", .max = "3"},
    {SL_CONFIG_AT(struct values, on), .type = SL_CONFIG_LIST, .element = &cause},
    {SL_CONFIG_AT(struct values, delays), .type = SL_CONFIG_MAP, .element = &delay, .max = "2"},
};
static const struct sl_config_section values_section = {SL_CONFIG_TABLE("values", struct values, values_fields),
                                                        .help = "One of each."};

static const struct sl_config_field tls_fields[] = {
    {SL_CONFIG_AT(struct tls, certificate), .type = SL_CONFIG_STRING, .required = true},
    {SL_CONFIG_AT(struct tls, key), .type = SL_CONFIG_SECRET, .required = true},
    {SL_CONFIG_AT(struct tls, verify), .type = SL_CONFIG_BOOL, .default_text = "true", .reload = SL_CONFIG_LIVE},
};
static const struct sl_config_section tls_section = {SL_CONFIG_TABLE("tls", struct tls, tls_fields)};

static const struct sl_config_field rate_fields[] = {
    {SL_CONFIG_AT(struct rate, rate), .type = SL_CONFIG_RATE, .required = true},
    {SL_CONFIG_AT(struct rate, cost), .type = SL_CONFIG_UINT, .default_text = "1", .min = "1"},
};
static const struct sl_config_section rate_section = {SL_CONFIG_TABLE("rate", struct rate, rate_fields)};
static const struct sl_config_field rate_element = {.type = SL_CONFIG_SECTION, .section = &rate_section};

static const struct sl_config_field limit_fields[] = {
    {SL_CONFIG_AT(struct limit, rates), .type = SL_CONFIG_LIST, .element = &rate_element, .required = true, .min = "1"},
    {SL_CONFIG_AT(struct limit, min_wait), .type = SL_CONFIG_DURATION, .default_text = "0"},
    {SL_CONFIG_AT(struct limit, max_wait), .type = SL_CONFIG_DURATION, .default_text = "30s"},
};

static void check_limit(const void *value, sl_config_check *check)
{
    const struct limit *limit = value;
    if (limit->min_wait > limit->max_wait) {
        sl_config_reject(check, "max_wait", "shorter than min_wait; expected at least that");
    }
}

static const struct sl_config_section limit_section = {.name = "limit",
                                                       .help = "What a venue allows.",
                                                       .size_bytes = sizeof(struct limit),
                                                       .fields = limit_fields,
                                                       .field_count = SL_CONFIG_COUNT(limit_fields),
                                                       .check = check_limit};
static const struct sl_config_field limit_element = {.type = SL_CONFIG_SECTION, .section = &limit_section};

static const struct sl_config_field file_fields[] = {
    {SL_CONFIG_AT(struct file_sink, path), .type = SL_CONFIG_STRING, .required = true, .min = "1"},
    {SL_CONFIG_AT(struct file_sink, segment), .type = SL_CONFIG_SIZE, .default_text = "64MiB", .min = "1MiB"},
};
static const struct sl_config_section file_kind = {SL_CONFIG_TABLE("file", struct file_sink, file_fields),
                                                   .help = "Appends to files."};
static const char *const redis_schemes[] = {"redis", "rediss"};
static const struct sl_config_field redis_fields[] = {
    {SL_CONFIG_AT(struct redis_sink, url), .type = SL_CONFIG_URL, .required = true, .choices = redis_schemes,
     .choice_count = 2},
    {SL_CONFIG_AT(struct redis_sink, password), .type = SL_CONFIG_SECRET},
};
static const struct sl_config_section redis_kind = {SL_CONFIG_TABLE("redis", struct redis_sink, redis_fields)};
static const struct sl_config_section *const sink_kinds[] = {&file_kind, &redis_kind};
static const struct sl_config_field sink_element = {
    .type = SL_CONFIG_VARIANT, .variants = sink_kinds, .variant_count = 2};

static const struct sl_config_field sink_name = {.type = SL_CONFIG_STRING, .refers_to = "sinks"};
static const struct sl_config_field service_fields[] = {
    {SL_CONFIG_AT(struct service, sinks), .type = SL_CONFIG_LIST, .element = &sink_name},
    {SL_CONFIG_AT(struct service, limit), .type = SL_CONFIG_STRING, .refers_to = "limits"},
    {SL_CONFIG_AT(struct service, connections), .type = SL_CONFIG_UINT, .default_text = "1", .min = "1", .max = "8",
     .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct service, tls), .type = SL_CONFIG_SECTION, .section = &tls_section, .optional = true},
};
static const struct sl_config_section service_section = {SL_CONFIG_TABLE("service", struct service, service_fields)};
static const struct sl_config_field service_element = {.type = SL_CONFIG_SECTION, .section = &service_section};

static const struct sl_config_field program_fields[] = {
    {SL_CONFIG_AT(struct program, values), .type = SL_CONFIG_SECTION, .section = &values_section,
     .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct program, limits), .type = SL_CONFIG_MAP, .element = &limit_element, .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct program, sinks), .type = SL_CONFIG_MAP, .element = &sink_element,
     .reload = SL_CONFIG_RESTART_TASK},
    {SL_CONFIG_AT(struct program, services), .type = SL_CONFIG_MAP, .element = &service_element,
     .reload = SL_CONFIG_RESTART_TASK},
    {SL_CONFIG_AT(struct program, tls), .type = SL_CONFIG_SECTION, .section = &tls_section, .optional = true},
};
static const struct sl_config_section program_section = {
    SL_CONFIG_TABLE("Test configuration", struct program, program_fields), .help = "For the tests."};

#endif
