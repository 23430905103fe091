/* SPDX-License-Identifier: MIT */
/*
 * What a table writes: its JSON Schema and its reference page, compared with schema.json and reference.md beside this
 * file. With SL_CONFIG_WRITE set these are written as they are now: read every line of the difference then.
 */
#include "config_support.h"

#include "sluice/json.h"

static void compare_with(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/unit/config/%s", SL_TEST_SOURCE_DIR, name);
    if (getenv("SL_CONFIG_WRITE") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs(text, file);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *expected = calloc(1, 1 << 20);
    assert_non_null(expected);
    assert_true(fread(expected, 1, (1 << 20) - 1, file) > 0);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, expected);
    free(expected);
}

/* A line break behind each object's brace and comma, so that differences can be read. */
static char *spread(const char *json)
{
    char *out = calloc(2, strlen(json) + 1);
    assert_non_null(out);
    size_t length = 0;
    bool quoted = false;
    for (; *json != '\0'; json++) {
        out[length++] = *json;
        if (*json == '\\') {
            out[length++] = *++json;
        } else if (*json == '"') {
            quoted = !quoted;
        } else if (!quoted && (*json == '{' || (*json == ',' && json[-1] == '}'))) {
            out[length++] = '\n';
        }
    }
    out[length++] = '\n';
    return out;
}

static void schema_is_as_it_was(void **state)
{
    (void)state;
    char *text = NULL;
    sl_json *json = NULL;
    assert_int_equal(sl_config_schema(&program_section, "https://example.org/schema.json", &text), 0);
    assert_int_equal(sl_json_new(0, &json), 0);
    assert_int_equal(sl_json_open(json, text, strlen(text), 0), 0);
    assert_int_equal(sl_json_skip(json), 0);
    assert_int_equal(sl_json_finish(json), 0);
    sl_json_free(json);
    char *lines = spread(text);
    compare_with("schema.json", lines);
    free(lines);
    sl_free(text);
}

static void reference_is_as_it_was(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(sl_config_reference(&program_section, &text), 0);
    compare_with("reference.md", text);
    sl_free(text);
}

/* A section inside itself has no end. */
static void endless_tables_are_misuse(void **state)
{
    (void)state;
    static struct sl_config_section endless;
    static struct sl_config_field fields[1];
    char *text = NULL;
    fields[0] = (struct sl_config_field){.key = "again", .type = SL_CONFIG_SECTION, .section = &endless};
    endless = (struct sl_config_section){.name = "endless", .size_bytes = 8, .fields = fields, .field_count = 1};
    fields[0].size_bytes = 8;
    assert_int_equal(sl_config_schema(&endless, NULL, &text), SL_EMISUSE);
    assert_int_equal(sl_config_reference(&endless, &text), SL_EMISUSE);
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    assert_int_equal(sl_config_load(&(struct sl_config_options){.root = &endless}, &config, &report), SL_EMISUSE);
    assert_non_null(strstr(sl_config_report_text(report), "nested too deeply"));
    sl_config_report_free(report);
}

SL_TEST_MAIN(cmocka_unit_test(schema_is_as_it_was), cmocka_unit_test(reference_is_as_it_was),
             cmocka_unit_test(endless_tables_are_misuse))
