/* SPDX-License-Identifier: MIT */
/* The effective configuration as JSON: {"values": {...}, "origins": {path: "file:line:column"}}. */
#include <inttypes.h>
#include <string.h>

#include "internal.h"
#include "sluice/json_write.h"

#define OUTPUT_BYTES_MAX ((size_t)128 << 20)

struct json_dumper {
    const sl_config *config;
    sl_json_writer out;
    struct sl__text path, text;
    bool origins; /* the second pass */
};

static void put_value(struct json_dumper *dumper, const struct sl_config_field *field, const struct sl__node *node,
                      const void *at);

/* The largest unit of which it is a whole number: "90s", "250ms", "0". */
static void put_duration(struct sl__text *out, sl_time duration)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
                 {"ms", 1000000},       {"us", 1000},         {"ns", 1}};
    size_t i = 0;
    while (duration % units[i].ns != 0) {
        i++;
    }
    sl__text_printf(out, duration == 0 ? "0" : "%" PRId64 "%s", duration / units[i].ns, units[i].unit);
}

static void put_size(struct sl__text *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    for (; i < 4 && bytes > 0 && bytes % 1024 == 0; i++) {
        bytes /= 1024;
    }
    sl__text_printf(out, bytes == 0 ? "0" : "%" PRIu64 "%s", bytes, units[i]);
}

/* A value that is a text in JSON too. */
static void put_text(struct json_dumper *dumper, const struct sl_config_field *field, const void *at)
{
    struct sl__text *text = &dumper->text;
    const struct sl_config_rate *rate = at;
    const struct sl_config_url *url = at;
    size_t password_at = 0;
    size_t password_bytes;
    sl__text_cut(text, 0);
    switch (field->type) {
    case SL_CONFIG_DURATION:
        put_duration(text, *(const sl_time *)at);
        break;
    case SL_CONFIG_SIZE:
        put_size(text, *(const uint64_t *)at);
        break;
    case SL_CONFIG_RATE:
        sl__text_printf(text, "%" PRIu64 "/", rate->count);
        put_duration(text, rate->period);
        break;
    case SL_CONFIG_PERCENT:
        sl__text_printf(text, "%.15g%%", *(const double *)at * 100);
        break;
    default:
        password_bytes = sl__url_password(url->text, strlen(url->text), &password_at);
        sl__text_put(text, url->text, password_bytes > 0 ? password_at : strlen(url->text));
        if (password_bytes > 0) {
            sl__text_puts(text, "***");
            sl__text_puts(text, url->text + password_at + password_bytes);
        }
    }
    sl_json_put_string(&dumper->out, sl__text_get(text), text->size_bytes);
}

/* What a number, word or text of the struct is in JSON; what was not given is null. */
static void put_scalar(struct json_dumper *dumper, const struct sl_config_field *field, const struct sl__node *node,
                       const void *at)
{
    bool text = field->type == SL_CONFIG_STRING || field->type == SL_CONFIG_SECRET;
    bool absent = (text && *(const char *const *)at == NULL) ||
                  (field->type == SL_CONFIG_URL && ((const struct sl_config_url *)at)->text == NULL) ||
                  (field->type == SL_CONFIG_RATE && ((const struct sl_config_rate *)at)->count == 0);
    if (absent) {
        sl_json_put_null(&dumper->out);
    } else if (field->type == SL_CONFIG_SECRET || (node != NULL && node->secret_tag)) {
        sl_json_put_text(&dumper->out, "***");
    } else if (text) {
        sl_json_put_text(&dumper->out, *(const char *const *)at);
    } else if (field->type == SL_CONFIG_BOOL) {
        sl_json_put_bool(&dumper->out, *(const bool *)at);
    } else if (field->type == SL_CONFIG_INT) {
        sl_json_put_int64(&dumper->out, *(const int64_t *)at);
    } else if (field->type == SL_CONFIG_UINT) {
        sl_json_put_uint64(&dumper->out, *(const uint64_t *)at);
    } else if (field->type == SL_CONFIG_DOUBLE) {
        sl_json_put_double(&dumper->out, *(const double *)at);
    } else if (field->type == SL_CONFIG_ENUM) {
        int choice = *(const int *)at;
        sl_json_put_text(&dumper->out, (size_t)choice < field->choice_count ? field->choices[choice] : NULL);
    } else {
        put_text(dumper, field, at);
    }
}

static void put_origin(struct json_dumper *dumper, const struct sl__node *node)
{
    struct sl__text *text = &dumper->text;
    if (node == NULL || node->begin.line == 0) {
        return;
    }
    unsigned set_number = dumper->config->set_numbers[node->begin.source];
    sl__text_cut(text, 0);
    sl__text_printf(text, "%s:%u:%u", dumper->config->names[node->begin.source],
                    set_number > 0 ? set_number : (unsigned)node->begin.line, (unsigned)node->begin.column);
    sl_json_put_key(&dumper->out, sl__text_get(&dumper->path));
    sl_json_put_text(&dumper->out, sl__text_get(text));
}

static void begin(struct json_dumper *dumper, bool object)
{
    if (!dumper->origins) {
        (object ? sl_json_begin_object : sl_json_begin_array)(&dumper->out);
    }
}

static void end(struct json_dumper *dumper, bool object)
{
    if (!dumper->origins) {
        (object ? sl_json_end_object : sl_json_end_array)(&dumper->out);
    }
}

static const struct sl__node *child(const struct sl__node *node, const char *key)
{
    const struct sl__entry *entry = node == NULL ? NULL : sl__map_find(node, key);
    return entry == NULL || entry->value->type == SL__NULL ? NULL : entry->value;
}

/* One entry of an object. */
static void put_entry(struct json_dumper *dumper, const char *key, const struct sl_config_field *field,
                      const struct sl__node *node, const void *at)
{
    size_t length = dumper->path.size_bytes;
    if (!dumper->origins) {
        sl_json_put_key(&dumper->out, key);
    }
    sl__path_key(&dumper->path, key);
    put_value(dumper, field, node, at);
    sl__text_cut(&dumper->path, length);
}

static void put_fields(struct json_dumper *dumper, const struct sl_config_section *section, const struct sl__node *node,
                       const void *base)
{
    for (size_t i = 0; i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        put_entry(dumper, field->key, field, child(node, field->key), (const char *)base + field->offset);
    }
}

static void put_list(struct json_dumper *dumper, const struct sl_config_field *field, const struct sl__node *node,
                     const struct sl_config_list *list)
{
    begin(dumper, false);
    for (size_t i = 0; i < list->count; i++) {
        size_t length = dumper->path.size_bytes;
        sl__path_index(&dumper->path, i);
        put_value(dumper, field->element, node == NULL || i >= node->count ? NULL : node->items[i],
                  sl_config_list_at(list, i));
        sl__text_cut(&dumper->path, length);
    }
    end(dumper, false);
}

static void put_variant(struct json_dumper *dumper, const struct sl__node *node,
                        const struct sl_config_variant *variant)
{
    static const struct sl_config_field kind = {.type = SL_CONFIG_STRING};
    begin(dumper, true);
    put_entry(dumper, "kind", &kind, child(node, "kind"), &variant->kind->name);
    put_fields(dumper, variant->kind, node, variant->value);
    end(dumper, true);
}

static void put_value(struct json_dumper *dumper, const struct sl_config_field *field, const struct sl__node *node,
                      const void *at)
{
    const struct sl_config_map *map = at;
    const struct sl_config_variant *variant = at;
    bool absent = (field->type == SL_CONFIG_VARIANT && variant->kind == NULL) ||
                  (field->optional && *(const void *const *)at == NULL);
    if (absent && !dumper->origins) {
        sl_json_put_null(&dumper->out);
    } else if (sl__value_is_scalar(field->type) && dumper->origins) {
        put_origin(dumper, node);
    } else if (sl__value_is_scalar(field->type)) {
        put_scalar(dumper, field, node, at);
    } else if (!absent && field->type == SL_CONFIG_LIST) {
        put_list(dumper, field, node, at);
    } else if (!absent && field->type == SL_CONFIG_VARIANT) {
        put_variant(dumper, node, variant);
    } else if (!absent && field->type == SL_CONFIG_MAP) {
        begin(dumper, true);
        for (size_t i = 0; i < map->count; i++) {
            put_entry(dumper, map->names[i], field->element, child(node, map->names[i]), sl_config_map_at(map, i));
        }
        end(dumper, true);
    } else if (!absent) {
        begin(dumper, true);
        put_fields(dumper, field->section, node, field->optional ? *(const void *const *)at : at);
        end(dumper, true);
    }
}

int sl_config_dump_json(const sl_config *config, char **ret_text)
{
    struct json_dumper dumper = {.config = config};
    sl_json_text json = {0};
    sl_json_writer_init(&dumper.out, OUTPUT_BYTES_MAX);
    sl_json_begin_object(&dumper.out);
    for (int pass = 0; pass < 2; pass++) {
        dumper.origins = pass == 1;
        sl_json_put_key(&dumper.out, dumper.origins ? "origins" : "values");
        sl_json_begin_object(&dumper.out);
        put_fields(&dumper, config->section, config->tree, config->root);
        sl_json_end_object(&dumper.out);
    }
    sl_json_end_object(&dumper.out);
    int code = sl_json_writer_finish(&dumper.out, &json);
    code = dumper.path.code != 0 ? dumper.path.code : dumper.text.code != 0 ? dumper.text.code : code;
    struct sl__text text = {NULL, 0, 0, 0};
    if (code == 0) {
        sl__text_put(&text, json.data, json.size_bytes);
        sl__text_puts(&text, "\n");
        code = text.code;
    }
    sl_json_writer_free(&dumper.out);
    sl__text_free(&dumper.path);
    sl__text_free(&dumper.text);
    if (code < 0) {
        sl__text_free(&text);
        return sl_fail(code, "the configuration could not be written as JSON");
    }
    *ret_text = text.data;
    return 0;
}
