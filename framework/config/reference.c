/* SPDX-License-Identifier: MIT */
/* The reference page of a table, in Markdown: one heading a section, one row a key. */
#include <string.h>

#include "internal.h"

static int write_section(struct sl__text *out, const struct sl_config_section *section, const char *path,
                         enum sl_config_reload around, unsigned depth);

/* Text in a cell: a bar would end it. */
static void put_cell(struct sl__text *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            sl__text_puts(out, "\\");
        }
        sl__text_put(out, text, 1);
    }
}

static const char *reload_text(enum sl_config_reload reload)
{
    static const char *const texts[] = {"", "at once", "restarts the task", "restarts the process"};
    return texts[reload];
}

static const struct sl_config_field *innermost(const struct sl_config_field *field)
{
    while (field->element != NULL) {
        field = field->element;
    }
    return field;
}

/* "a list of durations" would want plurals: "a list; each: a duration ..." does not. */
static void put_type(struct sl__text *out, const struct sl_config_field *field)
{
    struct sl__text words = {NULL, 0, 0, 0};
    sl__value_describe(field, &words);
    for (const struct sl_config_field *inner = field->element; inner != NULL; inner = inner->element) {
        sl__text_puts(&words, "; each: ");
        sl__value_describe(inner, &words);
    }
    put_cell(out, sl__text_get(&words));
    out->code = out->code == 0 ? words.code : out->code;
    sl__text_free(&words);
}

static void write_row(struct sl__text *out, const struct sl_config_field *field, enum sl_config_reload reload)
{
    sl__text_printf(out, "| `%s` | ", field->key);
    put_type(out, field);
    sl__text_puts(out, " | ");
    if (field->required) {
        sl__text_puts(out, "required");
    } else if (field->default_text != NULL && *field->default_text != '\0') {
        sl__text_puts(out, "`");
        put_cell(out, field->default_text);
        sl__text_puts(out, "`");
    } else if (field->optional) {
        sl__text_puts(out, "absent");
    }
    sl__text_printf(out, " | %s | ", reload_text(reload));
    put_cell(out, field->help == NULL ? "" : field->help);
    sl__text_puts(out, " |\n");
}

/* The sections that a field leads to, each below its own heading. */
static int write_inner(struct sl__text *out, const struct sl_config_field *field, const char *path,
                       enum sl_config_reload reload, unsigned depth)
{
    struct sl__text inner = {NULL, 0, 0, 0};
    const struct sl_config_field *last = innermost(field);
    sl__text_printf(&inner, "%s%s%s", path, *path == '\0' ? "" : ".", field->key);
    for (const struct sl_config_field *at = field; at != last; at = at->element) {
        sl__text_puts(&inner, at->type == SL_CONFIG_LIST ? "[]" : ".NAME");
    }
    reload = last->reload == SL_CONFIG_AS_AROUND ? reload : last->reload;
    int code = 0;
    if (last->section != NULL) {
        code = write_section(out, last->section, sl__text_get(&inner), reload, depth + 1);
    }
    for (size_t i = 0; i < last->variant_count && code == 0; i++) {
        size_t length = inner.size_bytes;
        sl__text_printf(&inner, " (kind: %s)", last->variants[i]->name);
        code = write_section(out, last->variants[i], sl__text_get(&inner), reload, depth + 1);
        sl__text_cut(&inner, length);
    }
    code = code == 0 ? inner.code : code;
    sl__text_free(&inner);
    return code;
}

static int write_section(struct sl__text *out, const struct sl_config_section *section, const char *path,
                         enum sl_config_reload around, unsigned depth)
{
    if (depth > SL_CONFIG_DEPTH_MAX) {
        return SL_EMISUSE;
    }
    if (*path == '\0') {
        sl__text_printf(out, "# %s\n", section->name);
    } else {
        sl__text_printf(out, "\n## %s\n", path);
    }
    if (section->help != NULL) {
        sl__text_printf(out, "\n%s\n", section->help);
    }
    if (section->field_count > 0) {
        sl__text_puts(out, "\n| key | value | default | a change | |\n|---|---|---|---|---|\n");
    }
    for (size_t i = 0; i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        write_row(out, field, field->reload == SL_CONFIG_AS_AROUND ? around : field->reload);
    }
    for (size_t i = 0; i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        SL_TRY(write_inner(out, field, path, field->reload == SL_CONFIG_AS_AROUND ? around : field->reload, depth));
    }
    return 0;
}

int sl_config_reference(const struct sl_config_section *root, char **ret_text)
{
    struct sl__text out = {NULL, 0, 0, 0};
    int code = write_section(&out, root, "", SL_CONFIG_RESTART_PROCESS, 0);
    code = code == 0 ? out.code : code;
    if (code < 0) {
        sl__text_free(&out);
        return sl_fail(code, "the table of %s gives no reference page", root->name);
    }
    *ret_text = out.data;
    return 0;
}
