/* SPDX-License-Identifier: MIT */
/* Loading texts in tests. Include it once a program. */
#ifndef CONFIG_SUPPORT_H
#define CONFIG_SUPPORT_H

#include "sl_test.h"

#include <stdlib.h>
#include <string.h>

#include "tables.h"

static inline int load_text(const char *text, size_t bytes, sl_config **config, sl_config_report **report)
{
    const struct sl_config_source source = {"a.yaml", text, bytes};
    return sl_config_load(&(struct sl_config_options){.root = &program_section, .sources = &source, .source_count = 1},
                          config, report);
}

/* A text that must load. */
static inline sl_config *loaded(const char *text)
{
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    int code = load_text(text, strlen(text), &config, &report);
    if (code != 0) {
        print_error("%s\n%s", text, sl_config_report_text(report));
    }
    assert_int_equal(code, 0);
    sl_config_report_free(report);
    return config;
}

/* A text that must not; the first problem's message must contain `part`. */
static inline void assert_refused_bytes(const char *text, size_t bytes, const char *part)
{
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    int code = load_text(text, bytes, &config, &report);
    if (code != SL_EINVAL) {
        print_error("%.2000s", sl_config_report_text(report));
    }
    assert_int_equal(code, SL_EINVAL);
    assert_null(config);
    if (strstr(sl_config_report_text(report), part) == NULL) {
        print_error("no \"%s\" in:\n%.2000s", part, sl_config_report_text(report));
    }
    assert_non_null(strstr(sl_config_report_text(report), part));
    sl_config_report_free(report);
}

static inline void assert_refused(const char *text, const char *part)
{
    assert_refused_bytes(text, strlen(text), part);
}

static inline const struct values *values_of(const sl_config *config)
{
    return &((const struct program *)sl_config_root(config))->values;
}

#endif
