/* SPDX-License-Identifier: MIT */
/* A configuration: tables say where each key goes and what it may be; all errors of a bad file come at once. */
#include <stdio.h>
#include <string.h>

#include "sluice/config.h"

struct retry {
    uint64_t attempts;
    sl_time max;
};
struct file_sink {
    const char *path;
};
struct redis_sink {
    struct sl_config_url url;
    const char *password;
};
struct program {
    struct retry retry;
    struct sl_config_map sinks; /* of struct sl_config_variant */
};

static const struct sl_config_field retry_fields[] = {
    {SL_CONFIG_AT(struct retry, attempts), .type = SL_CONFIG_UINT, .default_text = "5", .max = "100"},
    {SL_CONFIG_AT(struct retry, max), .type = SL_CONFIG_DURATION, .default_text = "10s", .min = "1ms", .max = "1h"}};
static const struct sl_config_section retry = {SL_CONFIG_TABLE("retry", struct retry, retry_fields)};
static const struct sl_config_field file_fields[] = {
    {SL_CONFIG_AT(struct file_sink, path), .type = SL_CONFIG_STRING, .required = true}};
static const struct sl_config_section file = {SL_CONFIG_TABLE("file", struct file_sink, file_fields)};
static const struct sl_config_field redis_fields[] = {
    {SL_CONFIG_AT(struct redis_sink, url), .type = SL_CONFIG_URL, .required = true},
    {SL_CONFIG_AT(struct redis_sink, password), .type = SL_CONFIG_SECRET}};
static const struct sl_config_section redis = {SL_CONFIG_TABLE("redis", struct redis_sink, redis_fields)};
static const struct sl_config_section *const kinds[] = {&file, &redis};
static const struct sl_config_field sink = {.type = SL_CONFIG_VARIANT, .variants = kinds, .variant_count = 2};
static const struct sl_config_field program_fields[] = {
    {SL_CONFIG_AT(struct program, retry), .type = SL_CONFIG_SECTION, .section = &retry, .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct program, sinks), .type = SL_CONFIG_MAP, .element = &sink, .reload = SL_CONFIG_RESTART_TASK}};
static const struct sl_config_section program = {SL_CONFIG_TABLE("program", struct program, program_fields)};

static int load(const char *text)
{
    sl_auto(sl_config) *config = NULL;
    sl_auto(sl_config_report) *report = NULL;
    const struct sl_config_source source = {"example.yaml", text, strlen(text)};
    const struct sl_config_options options = {.root = &program, .sources = &source, .source_count = 1};
    int code = sl_config_load(&options, &config, &report);
    const struct program *values = code == 0 ? sl_config_root(config) : NULL;
    printf("%s%d\n", sl_config_report_text(report), values == NULL ? code : (int)(values->retry.max / SL_SECONDS(1)));
    return code;
}

int main(void)
{
    SL_TRY(
        load("retry: { max: 1m30s }\nsinks: { bus: { kind: redis, url: 'redis://h', password: '${PW:-hunter2}' } }"));
    return load("retry: { atempts: 3, max: 2h }\nsinks: { bus: { kind: redi, password: hunter2 } }") == 0;
}

/* Output:
90
example.yaml:1:10: retry.atempts: unknown key; did you mean "attempts"?
    retry: { atempts: ***, max: 2h }
             ^
example.yaml:1:27: retry.max: "2h" is too large; expected a duration from 1ms to 1h
    retry: { atempts: ***, max: 2h }
                                ^
example.yaml:2:23: sinks.bus.kind: "redi" is not known; expected file or redis; did you mean "redis"?
    sinks: { bus: { kind: redi, password: *** } }
                          ^
-22
*/
