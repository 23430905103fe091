/* SPDX-License-Identifier: MIT */
/*
 * The JSON Schema (draft 2020-12) of a table, for editors and validators. YAML leaves the type of a plain text to its
 * reader, and any scalar may hold a ${VARIABLE}: so numbers may be texts too, of the right form or with a variable.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "sluice/json_write.h"

#define VARIABLE "\\$\\{|^(env|file):" /* or what stands behind !secret: the tag is not seen here */
#define PATTERN_BYTES_MAX 160

static int put_section(sl_json_writer *out, const struct sl_config_section *section, const char *const *kinds,
                       size_t kind_count, bool nullable, unsigned depth);
static int put_field(sl_json_writer *out, const struct sl_config_field *field, bool nullable, unsigned depth);

static void put_pair(sl_json_writer *out, const char *key, const char *text)
{
    if (text != NULL) {
        sl_json_put_key_text(out, key, text);
    }
}

/* `null` takes away what another file said. */
static void put_types(sl_json_writer *out, const struct sl_config_field *field, const char *type, bool nullable)
{
    sl_json_put_key(out, "type");
    sl_json_begin_array(out);
    sl_json_put_text(out, type);
    if (strcmp(type, "string") != 0 && sl__value_is_scalar(field->type)) {
        sl_json_put_text(out, "string");
    } else if (field->type == SL_CONFIG_STRING || field->type == SL_CONFIG_SECRET) {
        sl_json_put_text(out, "number"); /* plain 123 and true are texts for us */
        sl_json_put_text(out, "boolean");
    } else if (field->type == SL_CONFIG_DURATION || field->type == SL_CONFIG_SIZE) {
        sl_json_put_text(out, "integer"); /* 0 */
    }
    if (nullable) {
        sl_json_put_text(out, "null");
    }
    sl_json_end_array(out);
}

/* A bound of a number or a count. */
static void put_bound(sl_json_writer *out, const char *key, const char *text)
{
    if (text != NULL) {
        sl_json_put_key(out, key);
        sl_json_put_number(out, text, strlen(text));
    }
}

/* The forms below are short. */
static void put_pattern(sl_json_writer *out, const char *pattern)
{
    char text[PATTERN_BYTES_MAX];
    (void)snprintf(text, sizeof text, "%s|" VARIABLE, pattern);
    put_pair(out, "pattern", text);
}

static void put_scalar(sl_json_writer *out, const struct sl_config_field *field, bool nullable)
{
    switch (field->type) {
    case SL_CONFIG_BOOL:
        put_types(out, field, "boolean", nullable);
        put_pattern(out, "^(true|false)$");
        break;
    case SL_CONFIG_INT:
    case SL_CONFIG_UINT:
        put_types(out, field, "integer", nullable);
        put_bound(out, "minimum", field->min != NULL ? field->min : field->type == SL_CONFIG_UINT ? "0" : NULL);
        put_bound(out, "maximum", field->max);
        put_pattern(out, "^[+-]?[0-9]+$");
        break;
    case SL_CONFIG_DOUBLE:
        put_types(out, field, "number", nullable);
        put_bound(out, "minimum", field->min);
        put_bound(out, "maximum", field->max);
        put_pattern(out, "^[+-]?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?$");
        break;
    case SL_CONFIG_DURATION:
        put_types(out, field, "string", nullable);
        put_bound(out, "minimum", "0");
        put_bound(out, "maximum", "0");
        put_pattern(out, "^(0|([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d))+)$");
        break;
    case SL_CONFIG_SIZE:
        put_types(out, field, "string", nullable);
        put_bound(out, "minimum", "0");
        put_bound(out, "maximum", "0");
        put_pattern(out, "^(0|[0-9]+(\\.[0-9]+)?(B|[KMGT]iB|[kMGT]B))$");
        break;
    case SL_CONFIG_RATE:
        put_types(out, field, "string", nullable);
        put_pattern(out, "^[0-9]+/([0-9]+(\\.[0-9]+)?)?(ns|us|ms|s|m|h|d)([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d))*$");
        break;
    case SL_CONFIG_PERCENT:
        put_types(out, field, "string", nullable);
        put_pattern(out, "^[+]?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?%$");
        break;
    default:
        put_types(out, field, "string", nullable);
        if (field->type != SL_CONFIG_URL && field->min != NULL) {
            put_bound(out, "minLength", "1"); /* bytes are not characters */
        }
    }
}

static int put_schemes(sl_json_writer *out, const struct sl_config_field *field, bool nullable)
{
    struct sl__text pattern = {NULL, 0, 0, 0};
    put_types(out, field, "string", nullable);
    for (size_t i = 0; i < field->choice_count; i++) {
        sl__text_puts(&pattern, i == 0 ? "^(" : "|");
        for (const char *at = field->choices[i]; *at != '\0'; at++) { /* schemes may have signs: "redis+cluster" */
            sl__text_printf(&pattern, *at == '+' || *at == '.' ? "\\%c" : "%c", *at);
        }
    }
    sl__text_puts(&pattern, field->type == SL_CONFIG_URL ? ")://|" VARIABLE : ")$|" VARIABLE);
    put_pair(out, "pattern", field->choice_count > 0 ? sl__text_get(&pattern) : NULL);
    int code = pattern.code;
    sl__text_free(&pattern);
    return code;
}

/* One of the words, which editors offer; or a variable. */
static void put_words(sl_json_writer *out, const struct sl_config_field *field, bool nullable)
{
    sl_json_put_key(out, "anyOf");
    sl_json_begin_array(out);
    sl_json_begin_object(out);
    sl_json_put_key(out, "enum");
    sl_json_begin_array(out);
    for (size_t i = 0; i < field->choice_count; i++) {
        sl_json_put_text(out, field->choices[i]);
    }
    if (nullable) {
        sl_json_put_null(out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
    sl_json_begin_object(out);
    put_pair(out, "type", "string");
    put_pair(out, "pattern", VARIABLE);
    sl_json_end_object(out);
    sl_json_end_array(out);
}

static void put_default(sl_json_writer *out, const struct sl_config_field *field)
{
    const char *text = field->type == SL_CONFIG_SECRET ? NULL : field->default_text;
    if (text != NULL && field->type == SL_CONFIG_BOOL) {
        sl_json_put_key_bool(out, "default", strcmp(text, "true") == 0);
    } else if (field->type == SL_CONFIG_INT || field->type == SL_CONFIG_UINT || field->type == SL_CONFIG_DOUBLE) {
        put_bound(out, "default", text);
    } else {
        put_pair(out, "default", text);
    }
}

/* One of several sections, told apart by `kind`: its names first, then a rule a kind. */
static int put_variant(sl_json_writer *out, const struct sl_config_field *field, bool nullable, unsigned depth)
{
    put_types(out, field, "object", nullable);
    if (field->default_text == NULL) {
        sl_json_put_key(out, "required");
        sl_json_begin_array(out);
        sl_json_put_text(out, "kind");
        sl_json_end_array(out);
    }
    sl_json_put_key(out, "properties");
    sl_json_begin_object(out);
    sl_json_put_key(out, "kind");
    sl_json_begin_object(out);
    sl_json_put_key(out, "enum");
    sl_json_begin_array(out);
    for (size_t i = 0; i < field->variant_count; i++) {
        sl_json_put_text(out, field->variants[i]->name);
    }
    sl_json_end_array(out);
    put_pair(out, "default", field->default_text);
    sl_json_end_object(out);
    sl_json_end_object(out);
    sl_json_put_key(out, "allOf");
    sl_json_begin_array(out);
    for (size_t i = 0; i < field->variant_count; i++) {
        const char *name = field->variants[i]->name;
        bool chosen = field->default_text != NULL && strcmp(field->default_text, name) == 0;
        sl_json_begin_object(out);
        sl_json_put_key(out, "if");
        sl_json_begin_object(out);
        sl_json_put_key(out, "type"); /* null is no kind at all */
        sl_json_put_text(out, "object");
        sl_json_put_key(out, "properties");
        sl_json_begin_object(out);
        sl_json_put_key(out, "kind");
        sl_json_begin_object(out);
        put_pair(out, "const", name);
        sl_json_end_object(out);
        sl_json_end_object(out);
        if (!chosen) {
            sl_json_put_key(out, "required");
            sl_json_begin_array(out);
            sl_json_put_text(out, "kind");
            sl_json_end_array(out);
        }
        sl_json_end_object(out);
        sl_json_put_key(out, "then");
        SL_TRY(put_section(out, field->variants[i], &name, 1, false, depth + 1));
        sl_json_end_object(out);
    }
    sl_json_end_array(out);
    return 0;
}

static int put_inner(sl_json_writer *out, const struct sl_config_field *field, bool nullable, unsigned depth)
{
    bool list = field->type == SL_CONFIG_LIST;
    put_types(out, field, list ? "array" : "object", nullable);
    put_bound(out, list ? "minItems" : "minProperties", field->min);
    put_bound(out, list ? "maxItems" : "maxProperties", field->max);
    sl_json_put_key(out, list ? "items" : "additionalProperties");
    return put_field(out, field->element, !list, depth + 1);
}

static int put_field(sl_json_writer *out, const struct sl_config_field *field, bool nullable, unsigned depth)
{
    if (field->type == SL_CONFIG_SECTION) {
        return put_section(out, field->section, NULL, 0, nullable, depth + 1);
    }
    sl_json_begin_object(out);
    put_pair(out, "description", field->help);
    int code = 0;
    if (field->type == SL_CONFIG_VARIANT) {
        code = put_variant(out, field, nullable, depth);
    } else if (!sl__value_is_scalar(field->type)) {
        code = put_inner(out, field, nullable, depth);
    } else {
        if (field->type == SL_CONFIG_URL) {
            code = put_schemes(out, field, nullable);
        } else if (field->type == SL_CONFIG_ENUM) {
            put_words(out, field, nullable);
        } else {
            put_scalar(out, field, nullable);
        }
        put_default(out, field);
    }
    sl_json_end_object(out);
    return code;
}

static int put_members(sl_json_writer *out, const struct sl_config_section *section, const char *const *kinds,
                       size_t kind_count, unsigned depth)
{
    size_t required = 0;
    sl_json_put_key_bool(out, "additionalProperties", false);
    sl_json_put_key(out, "properties");
    sl_json_begin_object(out);
    if (kind_count > 0) {
        sl_json_put_key(out, "kind");
        sl_json_begin_object(out);
        put_pair(out, "const", kinds[0]);
        sl_json_end_object(out);
    }
    for (size_t i = 0; i < section->field_count; i++) {
        sl_json_put_key(out, section->fields[i].key);
        SL_TRY(put_field(out, &section->fields[i], !section->fields[i].required, depth));
        required += section->fields[i].required;
    }
    sl_json_end_object(out);
    if (required > 0) {
        sl_json_put_key(out, "required");
        sl_json_begin_array(out);
        for (size_t i = 0; i < section->field_count; i++) {
            if (section->fields[i].required) {
                sl_json_put_text(out, section->fields[i].key);
            }
        }
        sl_json_end_array(out);
    }
    return 0;
}

static int put_section(sl_json_writer *out, const struct sl_config_section *section, const char *const *kinds,
                       size_t kind_count, bool nullable, unsigned depth)
{
    if (section == NULL || depth > SL_CONFIG_DEPTH_MAX) {
        return SL_EMISUSE;
    }
    sl_json_begin_object(out);
    put_pair(out, "description", section->help);
    sl_json_put_key(out, "type");
    sl_json_begin_array(out);
    sl_json_put_text(out, "object");
    if (nullable) {
        sl_json_put_text(out, "null");
    }
    sl_json_end_array(out);
    SL_TRY(put_members(out, section, kinds, kind_count, depth));
    sl_json_end_object(out);
    return 0;
}

int sl_config_schema(const struct sl_config_section *root, const char *id, char **ret_text)
{
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init(&out, 0);
    sl_json_begin_object(&out);
    put_pair(&out, "$schema", "https://json-schema.org/draft/2020-12/schema");
    put_pair(&out, "$id", id);
    put_pair(&out, "title", root->name);
    put_pair(&out, "description", root->help);
    sl_json_put_key_text(&out, "type", "object");
    int code = put_members(&out, root, NULL, 0, 0);
    sl_json_end_object(&out);
    int written = sl_json_writer_finish(&out, &text);
    code = code == 0 ? written : code;
    *ret_text = code == 0 ? sl_strndup(text.data, text.size_bytes) : NULL;
    sl_json_writer_free(&out);
    if (code == 0 && *ret_text == NULL) {
        code = SL_ENOMEM;
    }
    return code == 0 ? 0
                     : sl_fail(code == SL_ENOMEM ? code : SL_EMISUSE, "the table of %s gives no schema", root->name);
}
