/* SPDX-License-Identifier: MIT */
/*
 * The configuration: any file and any --set texts are loaded or refused with a report. What loads is dumped, the dump
 * loads again and dumps the same, and differs from the first only by what was masked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/config.h"
#include "sluice/json.h"

#define SETS_MAX 4
#define TEXT_BYTES_MAX 256
#define MARK "EnvMark77" /* what the environment says is in no report */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

struct inner {
    const char *text, *secret;
    sl_time time;
    struct sl_config_list numbers;
};
struct root {
    bool flag;
    int64_t number;
    uint64_t size;
    double real, share;
    int word;
    struct sl_config_rate rate;
    struct sl_config_url url;
    const char *name;
    struct inner inner;
    const struct inner *maybe;
    struct sl_config_map map, kinds;
    struct sl_config_list list;
};

static const char *const words[] = {"one", "two", "three"};
static const struct sl_config_field number = {.type = SL_CONFIG_INT, .min = "-5", .max = "5"};
static const struct sl_config_field inner_fields[] = {
    {SL_CONFIG_AT(struct inner, text), .type = SL_CONFIG_STRING, .default_text = "x", .max = "9"},
    {SL_CONFIG_AT(struct inner, secret), .type = SL_CONFIG_SECRET},
    {SL_CONFIG_AT(struct inner, time), .type = SL_CONFIG_DURATION, .default_text = "1s"},
    {SL_CONFIG_AT(struct inner, numbers), .type = SL_CONFIG_LIST, .element = &number, .default_text = "[1]"},
};
static const struct sl_config_section inner = {SL_CONFIG_TABLE("inner", struct inner, inner_fields)};
static const struct sl_config_section other = {SL_CONFIG_TABLE("other", struct inner, inner_fields)};
static const struct sl_config_section *const kinds[] = {&inner, &other};
static const struct sl_config_field section = {.type = SL_CONFIG_SECTION, .section = &inner};
static const struct sl_config_field kind = {.type = SL_CONFIG_VARIANT, .variants = kinds, .variant_count = 2};
static const struct sl_config_field root_fields[] = {
    {SL_CONFIG_AT(struct root, flag), .type = SL_CONFIG_BOOL},
    {SL_CONFIG_AT(struct root, number), .type = SL_CONFIG_INT, .min = "-100"},
    {SL_CONFIG_AT(struct root, size), .type = SL_CONFIG_SIZE},
    {SL_CONFIG_AT(struct root, real), .type = SL_CONFIG_DOUBLE},
    {SL_CONFIG_AT(struct root, share), .type = SL_CONFIG_PERCENT},
    {SL_CONFIG_AT(struct root, word), .type = SL_CONFIG_ENUM, .choices = words, .choice_count = 3},
    {SL_CONFIG_AT(struct root, rate), .type = SL_CONFIG_RATE, .default_text = "5/s"},
    {SL_CONFIG_AT(struct root, url), .type = SL_CONFIG_URL},
    {SL_CONFIG_AT(struct root, name), .type = SL_CONFIG_STRING, .refers_to = "map"},
    {SL_CONFIG_AT(struct root, inner), .type = SL_CONFIG_SECTION, .section = &inner},
    {SL_CONFIG_AT(struct root, maybe), .type = SL_CONFIG_SECTION, .section = &inner, .optional = true},
    {SL_CONFIG_AT(struct root, map), .type = SL_CONFIG_MAP, .element = &section},
    {SL_CONFIG_AT(struct root, kinds), .type = SL_CONFIG_MAP, .element = &kind},
    {SL_CONFIG_AT(struct root, list), .type = SL_CONFIG_LIST, .element = &section},
};
static const struct sl_config_section root = {SL_CONFIG_TABLE("root", struct root, root_fields)};

static const char *env(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "A") == 0 ? "1" : strcmp(name, "S") == 0 ? MARK : NULL;
}

static void require(bool good, const char *text)
{
    if (!good) {
        (void)fprintf(stderr, "%s\n", text);
        abort();
    }
}

static int load(const char *text, size_t bytes, const char *const *sets, size_t set_count, sl_config **ret_config)
{
    sl_config_report *report = NULL;
    const struct sl_config_source source = {"/dev/null/f.yaml", text, bytes};
    const struct sl_config_options options = {
        .root = &root, .sources = &source, .source_count = 1, .sets = sets, .set_count = set_count, .get_env = env};
    int code = sl_config_load(&options, ret_config, &report);
    require(code == 0 || code == SL_EINVAL, sl_config_report_text(report));
    require((code == 0) == (*ret_config != NULL), "a configuration or an error");
    require(code == 0 || sl_config_report_count(report) > 0, "an error without a reason");
    bool given = memmem(text, bytes, MARK, strlen(MARK)) != NULL;
    for (size_t i = 0; i < set_count; i++) {
        given = given || strstr(sets[i], MARK) != NULL;
    }
    require(given || strstr(sl_config_report_text(report), MARK) == NULL, sl_config_report_text(report));
    for (const char *at = sl_config_report_text(report); *at != '\0'; at++) {
        require(*at == '\n' || (unsigned char)*at >= ' ', "a control character in a report");
    }
    sl_config_report_free(report);
    return code;
}

/* The dump without its comments, which name places; the table's texts have no " #". */
static char *dumped(const sl_config *config)
{
    char *text = NULL;
    require(sl_config_dump(config, &text) == 0, "no dump");
    return text;
}

/* The same as JSON: well-formed, and the same for what its YAML dump makes. */
static void check_json(const sl_config *config, const sl_config *again)
{
    char *one = NULL;
    char *two = NULL;
    sl_json *json = NULL;
    require(sl_config_dump_json(config, &one) == 0 && sl_config_dump_json(again, &two) == 0, "no JSON");
    require(sl_json_new(0, &json) == 0 && sl_json_open(json, one, strlen(one), 0) == 0 && sl_json_skip(json) == 0 &&
                sl_json_finish(json) == 0,
            one);
    const char *end_one = strstr(one, ",\"origins\":");
    const char *end_two = strstr(two, ",\"origins\":");
    require(end_one != NULL && end_two != NULL, one);
    bool same = end_one - one == end_two - two && memcmp(one, two, (size_t)(end_one - one)) == 0;
    require(same || strstr(one, "***") != NULL, two);
    sl_json_free(json);
    sl_free(one);
    sl_free(two);
}

static void check_loaded(const sl_config *config)
{
    char *first = dumped(config);
    sl_config *again = NULL;
    sl_config_changes *changes = NULL;
    require(load(first, strlen(first), NULL, 0, &again) == 0, first);
    char *second = dumped(again);
    sl_config *third = NULL;
    require(load(second, strlen(second), NULL, 0, &third) == 0, second);
    require(sl_config_compare(again, third, &changes) == 0 && sl_config_changes_count(changes) == 0, second);
    sl_config_changes_free(changes);
    check_json(config, again);
    require(sl_config_compare(config, again, &changes) == 0, "no comparison");
    for (size_t i = 0; i < sl_config_changes_count(changes); i++) {
        const char *path = sl_config_changes_at(changes, i)->path;
        bool masked = strstr(path, "secret") != NULL || strstr(first, "***") != NULL;
        require(masked, path);
    }
    sl_config_changes_free(changes);
    sl_config_unref(again);
    sl_config_unref(third);
    sl_free(first);
    sl_free(second);
}

/* The first lines that begin with "--set " are such texts, the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    char texts[SETS_MAX][TEXT_BYTES_MAX];
    const char *sets[SETS_MAX];
    size_t set_count = 0;
    const char *text = (const char *)data;
    while (set_count < SETS_MAX && size_bytes > 6 && memcmp(text, "--set ", 6) == 0) {
        const char *end = memchr(text, '\n', size_bytes);
        size_t bytes = end == NULL ? size_bytes : (size_t)(end - text);
        (void)snprintf(texts[set_count], TEXT_BYTES_MAX, "%.*s", (int)(bytes - 6), text + 6);
        sets[set_count] = texts[set_count];
        set_count++;
        text += bytes + (end != NULL);
        size_bytes -= bytes + (end != NULL);
    }
    sl_config *config = NULL;
    if (memmem(text, size_bytes, "file:", 5) == NULL && load(text, size_bytes, sets, set_count, &config) == 0) {
        check_loaded(config);
    }
    sl_config_unref(config);
    return 0;
}
