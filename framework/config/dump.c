/* SPDX-License-Identifier: MIT */
/* The effective configuration as YAML that can be loaded again, secrets aside; behind each value its origin. */
#include <string.h>

#include "internal.h"

struct dumper {
    const sl_config *config;
    struct sl__text out;
    unsigned depth;
};

static void dump_section(struct dumper *dumper, const struct sl_config_section *section, const struct sl__node *node);

static void indent(struct dumper *dumper)
{
    sl__text_printf(&dumper->out, "%*s", (int)(2 * dumper->depth), "");
}

static void origin(struct dumper *dumper, const struct sl__node *node)
{
    if (node == NULL || node->begin.line == 0) {
        sl__text_puts(&dumper->out, " # default\n");
        return;
    }
    const char *name = dumper->config->names[node->begin.source];
    unsigned set_number = dumper->config->set_numbers[node->begin.source];
    sl__text_puts(&dumper->out, " # ");
    for (; *name != '\0'; name++) { /* a name with a line break must not end the comment */
        sl__text_put(&dumper->out, (unsigned char)*name < ' ' || *name == 0x7f ? "?" : name, 1);
    }
    sl__text_printf(&dumper->out, ":%u:%u\n", set_number > 0 ? set_number : (unsigned)node->begin.line,
                    (unsigned)node->begin.column);
}

/* Letters, digits and a few signs, as long as YAML takes them for a text. */
static bool is_plain(const char *text, size_t bytes)
{
    static const char *const words[] = {"null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/';
        bool later = c == '.' || c == '-' || c == '+' || c == '%' || (c == ':' && i + 1 < bytes && text[i + 1] != ' ');
        bool sign = c == '-' && bytes > 1 && text[1] >= '0' && text[1] <= '9';
        if (!word && !(i > 0 ? later : sign)) {
            return false;
        }
    }
    return bytes > 0;
}

/* Double quotes: whatever else YAML makes of the text, it comes back as it was; dollar signs too, in values. */
static void put_text(struct sl__text *out, const char *text, size_t bytes, bool value)
{
    if (is_plain(text, bytes)) {
        sl__text_put(out, text, bytes);
        return;
    }
    sl__text_puts(out, "\"");
    for (size_t i = 0; i < bytes;) {
        unsigned char c = (unsigned char)text[i];
        size_t used = sl__utf8_bytes(text + i, bytes - i);
        if (c == '"' || c == '\\') {
            sl__text_printf(out, "\\%c", c);
        } else if (c == '\n') {
            sl__text_puts(out, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            sl__text_printf(out, "\\x%02x", c);
        } else if (c == '$' && value) {
            sl__text_puts(out, "$$");
        } else if (used == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0) {
            sl__text_printf(out, "\\x%02x", (unsigned char)text[i + 1]);
        } else if (used == 3 && memcmp(text + i, "\xef\xbb\xbf", 3) == 0) {
            sl__text_puts(out, "\\uFEFF");
        } else if (used == 3 &&
                   (memcmp(text + i, "\xe2\x80\xa8", 3) == 0 || memcmp(text + i, "\xe2\x80\xa9", 3) == 0)) {
            sl__text_puts(out, text[i + 2] == (char)0xa8 ? "\\L" : "\\P");
        } else if (used == 3 && memcmp(text + i, "\xef\xbf", 2) == 0 && (unsigned char)text[i + 2] >= 0xbe) {
            sl__text_printf(out, "\\u%s", (unsigned char)text[i + 2] == 0xbe ? "FFFE" : "FFFF");
        } else {
            sl__text_put(out, text + i, used == 0 ? 1 : used);
        }
        i += used == 0 ? 1 : used;
    }
    sl__text_puts(out, "\"");
}

static void put_url(struct sl__text *out, const char *text, size_t bytes, size_t password_at, size_t password_bytes)
{
    struct sl__text masked = {NULL, 0, 0, 0};
    sl__text_put(&masked, text, password_at);
    sl__text_puts(&masked, "***");
    sl__text_put(&masked, text + password_at + password_bytes, bytes - password_at - password_bytes);
    put_text(out, sl__text_get(&masked), masked.size_bytes, true);
    out->code = out->code == 0 ? masked.code : out->code;
    sl__text_free(&masked);
}

static void dump_scalar(struct dumper *dumper, const struct sl_config_field *field, const struct sl__node *node)
{
    const char *text = node != NULL ? node->text : field->default_text;
    size_t bytes = node != NULL ? node->text_bytes : text == NULL ? 0 : strlen(text);
    size_t password_at;
    size_t password_bytes = text == NULL ? 0 : sl__url_password(text, bytes, &password_at);
    bool secret = field->type == SL_CONFIG_SECRET || (node != NULL && node->secret_tag);
    if (text == NULL) {
        sl__text_puts(&dumper->out, "null");
    } else if (secret && bytes > 0) {
        sl__text_puts(&dumper->out, "\"***\"");
    } else if (password_bytes > 0) {
        put_url(&dumper->out, text, bytes, password_at, password_bytes);
    } else {
        put_text(&dumper->out, text, bytes, true);
    }
    origin(dumper, node);
}

static void dump_value(struct dumper *dumper, const struct sl_config_field *field, const struct sl__node *node);

static void dump_items(struct dumper *dumper, const struct sl_config_field *field, const struct sl__node *node)
{
    size_t shown = 0;
    for (size_t i = 0; i < node->count; i++) {
        bool map = node->type == SL__MAP;
        const struct sl__node *item = map ? node->entries[i].value : node->items[i];
        if (map && item->type == SL__NULL) {
            continue;
        }
        sl__text_puts(&dumper->out, shown++ == 0 ? "\n" : "");
        indent(dumper);
        if (map) {
            put_text(&dumper->out, node->entries[i].key, strlen(node->entries[i].key), false);
        }
        sl__text_puts(&dumper->out, map ? ":" : "-");
        dump_value(dumper, field->element, item);
    }
    if (shown == 0) {
        sl__text_puts(&dumper->out, node->type == SL__MAP ? " {}" : " []");
        origin(dumper, node);
    }
}

static void dump_variant(struct dumper *dumper, const struct sl_config_field *field, const struct sl__node *node)
{
    const struct sl__entry *entry = sl__map_find(node, "kind");
    const struct sl__node *kind = entry == NULL || entry->value->type == SL__NULL ? NULL : entry->value;
    const char *name = kind != NULL ? kind->text : field->default_text;
    sl__text_puts(&dumper->out, "\n");
    indent(dumper);
    sl__text_puts(&dumper->out, "kind: ");
    put_text(&dumper->out, name, strlen(name), true);
    origin(dumper, kind);
    for (size_t i = 0; i < field->variant_count; i++) {
        if (strcmp(field->variants[i]->name, name) == 0) {
            dump_section(dumper, field->variants[i], node);
        }
    }
}

/* What stands behind "key:" or "-". */
static void dump_value(struct dumper *dumper, const struct sl_config_field *field, const struct sl__node *node)
{
    if (sl__value_is_scalar(field->type)) {
        sl__text_puts(&dumper->out, " ");
        dump_scalar(dumper, field, node);
        return;
    }
    dumper->depth++;
    if (node == NULL && field->type != SL_CONFIG_SECTION) {
        /* The text of a default is YAML already. */
        const char *none = field->type == SL_CONFIG_LIST ? "[]" : field->type == SL_CONFIG_MAP ? "{}" : "null";
        bool text = field->default_text != NULL && field->type != SL_CONFIG_VARIANT;
        sl__text_printf(&dumper->out, " %s # default\n", text ? field->default_text : none);
    } else if (node == NULL && field->optional) {
        sl__text_puts(&dumper->out, " null # default\n");
    } else if (field->type == SL_CONFIG_LIST || field->type == SL_CONFIG_MAP) {
        dump_items(dumper, field, node);
    } else if (field->type == SL_CONFIG_VARIANT) {
        dump_variant(dumper, field, node);
    } else if (field->section->field_count == 0) {
        sl__text_puts(&dumper->out, " {}\n");
    } else {
        sl__text_puts(&dumper->out, "\n");
        dump_section(dumper, field->section, node);
    }
    dumper->depth--;
}

static void dump_section(struct dumper *dumper, const struct sl_config_section *section, const struct sl__node *node)
{
    for (size_t i = 0; i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        const struct sl__entry *entry = node == NULL ? NULL : sl__map_find(node, field->key);
        indent(dumper);
        sl__text_printf(&dumper->out, "%s:", field->key);
        dump_value(dumper, field, entry == NULL || entry->value->type == SL__NULL ? NULL : entry->value);
    }
}

int sl_config_dump(const sl_config *config, char **ret_text)
{
    struct dumper dumper = {.config = config};
    sl__text_puts(&dumper.out, "");
    dump_section(&dumper, config->section, config->tree);
    if (dumper.out.code != 0) {
        sl__text_free(&dumper.out);
        return sl_fail(SL_ENOMEM, "no memory to write the configuration");
    }
    *ret_text = dumper.out.data;
    return 0;
}
