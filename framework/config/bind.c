/* SPDX-License-Identifier: MIT */
/* From the tree of nodes to the structs of the tables: types, ranges, defaults, unknown and missing keys. */
#include <stdarg.h>
#include <string.h>

#include "internal.h"

#define NAMES_SHOWN_MAX 12
#define KIND "kind"

/* A string that must name an entry of a map; looked up when all is bound. */
struct reference {
    struct reference *next;
    const struct sl_config_field *field;
    const struct sl__node *node;
    const char *path, *name;
};

struct sl_config_check {
    struct sl__load *load;
    struct sl__text path;
    struct sl__place around;     /* of the innermost node that is there: where missing keys are reported */
    const struct sl__node *node; /* of the section that is checked, or NULL */
    struct reference *references;
    unsigned depth;
    size_t problems; /* counted also when the report is full */
    bool in_default; /* the value comes from the table */
};

static int bind_value(sl_config_check *binder, const struct sl_config_field *field, struct sl__node *node, void *at);

/* ---- complaints ---- */

SL_PRINTF(3, 4)
static void complain(sl_config_check *binder, struct sl__place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    binder->problems++;
    sl__problem_list(binder->load, place, sl__text_get(&binder->path), false, format, arguments);
    va_end(arguments);
}

/* The table itself is wrong. */
static int misuse(sl_config_check *binder, const char *what)
{
    complain(binder, (struct sl__place){0, 0, SL__NO_SOURCE}, "the table: %s", what);
    return binder->load->code = SL_EMISUSE;
}

/* Reports a text that was put together, and frees it. */
static void finish(sl_config_check *binder, struct sl__place place, struct sl__text *message)
{
    complain(binder, place, "%s", sl__text_get(message));
    if (message->code != 0) {
        binder->load->code = message->code;
    }
    sl__text_free(message);
}

/* The same, with "; expected X" behind it. */
static void expected(sl_config_check *binder, struct sl__place place, struct sl__text *message,
                     const struct sl_config_field *field)
{
    sl__text_puts(message, "; expected ");
    sl__value_describe(field, message);
    finish(binder, place, message);
}

static const char *shape(const struct sl__node *node)
{
    return node->type == SL__MAP    ? "a map"
           : node->type == SL__LIST ? "a list"
           : node->type == SL__NULL ? "nothing"
                                    : "a text";
}

static void wrong_shape(sl_config_check *binder, const struct sl_config_field *field, const struct sl__node *node)
{
    struct sl__text message = {NULL, 0, 0, 0};
    if (node->type != SL__BROKEN) {
        sl__text_printf(&message, "%s stands here", shape(node));
        expected(binder, node->begin, &message, field);
    } else {
        binder->problems++; /* reported where it broke */
    }
}

/* ---- scalars ---- */

static void wrong_word(sl_config_check *binder, const struct sl_config_field *field, const struct sl__node *node)
{
    struct sl__text message = {NULL, 0, 0, 0};
    struct sl__suggestion suggestion = {node->text, NULL, 0};
    for (size_t i = 0; i < field->choice_count; i++) {
        sl__suggest(&suggestion, field->choices[i]);
    }
    sl__subject(&message, node);
    sl__text_puts(&message, " is not known; expected ");
    sl__value_describe(field, &message);
    if (suggestion.best != NULL && !node->hidden) {
        sl__text_printf(&message, "; did you mean \"%s\"?", suggestion.best);
    }
    finish(binder, node->begin, &message);
}

static void wrong_value(sl_config_check *binder, const struct sl_config_field *field, const struct sl__node *node,
                        int code, const char *why)
{
    struct sl__text message = {NULL, 0, 0, 0};
    if (field->type == SL_CONFIG_ENUM) {
        wrong_word(binder, field, node);
        return;
    }
    sl__subject(&message, node);
    if (why != NULL) {
        sl__text_printf(&message, " %s", why);
    } else if (code == SL_ERANGE) {
        sl__text_puts(&message, *node->text == '-' ? " is too small" : " is too large");
    } else {
        sl__text_printf(&message, " is not %s", sl__value_noun(field->type));
    }
    expected(binder, node->begin, &message, field);
}

static int check_range(sl_config_check *binder, const struct sl_config_field *field, const struct sl__node *node,
                       const void *at, uint64_t count)
{
    int order = sl__value_range(field, at, count);
    if (order < -1) {
        return misuse(binder, "min or max cannot be read");
    }
    bool counted = field->type == SL_CONFIG_LIST || field->type == SL_CONFIG_MAP;
    if (order == 0 || (counted && binder->load->partial)) {
        return 0;
    }
    struct sl__text message = {NULL, 0, 0, 0};
    if (counted) {
        sl__text_printf(&message, "it has %llu %s", (unsigned long long)count,
                        field->type == SL_CONFIG_LIST ? "items" : "entries");
    } else if (field->type == SL_CONFIG_STRING || field->type == SL_CONFIG_SECRET) {
        sl__subject(&message, node);
        sl__text_printf(&message, " has %llu bytes", (unsigned long long)count);
    } else {
        sl__subject(&message, node);
        sl__text_printf(&message, " is too %s", order < 0 ? "small" : "large");
    }
    expected(binder, node->begin, &message, field);
    return 0;
}

static int remember(sl_config_check *binder, const struct sl_config_field *field, const struct sl__node *node)
{
    struct reference *reference = sl__arena_alloc(binder->load->arena, sizeof *reference);
    const char *path = sl__arena_copy(binder->load->arena, sl__text_get(&binder->path), binder->path.size_bytes);
    if (reference == NULL || path == NULL) {
        return sl__load_short(binder->load);
    }
    *reference = (struct reference){binder->references, field, node, path, node->text};
    binder->references = reference;
    return 0;
}

static int bind_scalar(sl_config_check *binder, const struct sl_config_field *field, struct sl__node *node, void *at)
{
    size_t password_at;
    node->hidden = node->hidden || field->type == SL_CONFIG_SECRET || node->secret_tag;
    node->password = sl__url_password(node->text, node->text_bytes, &password_at) > 0;
    node->shown = true;
    if (node->type != SL__SCALAR) {
        wrong_shape(binder, field, node);
        return 0;
    }
    const char *why;
    int code = sl__value_read(binder->load->arena, field, node->text, node->text_bytes, at, &why);
    if (code == SL_ENOMEM) {
        return sl__load_short(binder->load);
    }
    if (code == SL_EMISUSE) {
        return misuse(binder, "there is no such type");
    }
    if (code < 0) {
        wrong_value(binder, field, node, code, why);
        return 0;
    }
    return field->refers_to != NULL ? remember(binder, field, node)
                                    : check_range(binder, field, node, at, node->text_bytes);
}

/* ---- lists and maps ---- */

static int bind_list(sl_config_check *binder, const struct sl_config_field *field, struct sl__node *node,
                     struct sl_config_list *list)
{
    list->item_bytes = sl__value_bytes(field->element);
    list->count = node->count;
    char *items = sl__arena_alloc(binder->load->arena, node->count * list->item_bytes);
    if (items == NULL) {
        return sl__load_short(binder->load);
    }
    list->items = items;
    for (size_t i = 0; i < node->count; i++) {
        size_t length = binder->path.size_bytes;
        sl__path_index(&binder->path, i);
        SL_TRY(bind_value(binder, field->element, node->items[i], items + i * list->item_bytes));
        sl__text_cut(&binder->path, length);
    }
    return check_range(binder, field, node, NULL, list->count);
}

static int bind_map(sl_config_check *binder, const struct sl_config_field *field, struct sl__node *node,
                    struct sl_config_map *map)
{
    map->item_bytes = sl__value_bytes(field->element);
    const char **names = sl__arena_alloc(binder->load->arena, node->count * sizeof *names);
    char *items = sl__arena_alloc(binder->load->arena, node->count * map->item_bytes);
    uint32_t *order = sl__arena_alloc(binder->load->arena, node->count * sizeof *order);
    uint32_t *place_of = sl__arena_alloc(binder->load->arena, node->count * sizeof *place_of);
    if (names == NULL || items == NULL || order == NULL || place_of == NULL) {
        return sl__load_short(binder->load);
    }
    map->names = names;
    map->items = items;
    map->order = order;
    for (size_t i = 0; i < node->count; i++) {
        const struct sl__entry *entry = &node->entries[i];
        if (entry->value->type == SL__NULL) {
            continue; /* taken away */
        }
        size_t length = binder->path.size_bytes;
        sl__path_key(&binder->path, entry->key);
        SL_TRY(bind_value(binder, field->element, entry->value, items + map->count * map->item_bytes));
        sl__text_cut(&binder->path, length);
        place_of[i] = (uint32_t)map->count;
        names[map->count++] = entry->key;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (node->entries[node->order[i]].value->type != SL__NULL) {
            *order++ = place_of[node->order[i]];
        }
    }
    return check_range(binder, field, node, NULL, map->count);
}

/* ---- sections ---- */

const struct sl_config_field *sl__section_field(const struct sl_config_section *section, const char *key)
{
    for (size_t i = 0; i < section->field_count; i++) {
        if (strcmp(section->fields[i].key, key) == 0) {
            return &section->fields[i];
        }
    }
    return NULL;
}

static void unknown_key(sl_config_check *binder, const struct sl_config_section *section, const struct sl__entry *entry,
                        bool variant)
{
    struct sl__suggestion suggestion = {entry->key, NULL, 0};
    struct sl__text known = {NULL, 0, 0, 0};
    if (variant) {
        sl__suggest(&suggestion, KIND);
    }
    for (size_t i = 0; i < section->field_count && !sl__report_full(binder->load); i++) {
        sl__suggest(&suggestion, section->fields[i].key);
        if (i < NAMES_SHOWN_MAX) {
            sl__text_printf(&known, "%s%s", i == 0 ? "" : ", ", section->fields[i].key);
        }
    }
    if (section->field_count > NAMES_SHOWN_MAX) {
        sl__text_printf(&known, " and %zu more", section->field_count - NAMES_SHOWN_MAX);
    }
    size_t length = binder->path.size_bytes;
    sl__path_key(&binder->path, entry->key);
    if (suggestion.best != NULL) {
        complain(binder, entry->place, "unknown key; did you mean \"%s\"?", suggestion.best);
    } else if (section->field_count == 0) {
        complain(binder, entry->place, "unknown key; expected none here");
    } else {
        complain(binder, entry->place, "unknown key; expected %s", sl__text_get(&known));
    }
    sl__text_cut(&binder->path, length);
    if (known.code != 0) {
        binder->load->code = known.code;
    }
    sl__text_free(&known);
}

static int bind_default(sl_config_check *binder, const struct sl_config_field *field, void *at)
{
    struct sl__node *node = NULL;
    struct sl__place nowhere = {0, 0, (uint16_t)binder->load->source_count};
    bool outer = binder->in_default;
    binder->in_default = true;
    if (sl__value_is_scalar(field->type)) {
        node = sl__node_new(binder->load, SL__SCALAR, nowhere);
        if (node == NULL) {
            return binder->load->code;
        }
        node->text = node->raw = field->default_text;
        node->text_bytes = strlen(field->default_text);
    } else {
        SL_TRY(sl__parse_default(binder->load, field->default_text, &node));
    }
    if (node == NULL) {
        return misuse(binder, "the default is empty");
    }
    int code = bind_value(binder, field, node, at);
    binder->in_default = outer;
    return code == 0 ? binder->load->code : code;
}

static int bind_section(sl_config_check *binder, const struct sl_config_section *section, const struct sl__node *node,
                        void *at, bool variant);

/* A key that no file has. */
static int bind_absent(sl_config_check *binder, const struct sl_config_field *field, void *at)
{
    if (field->default_text != NULL && field->type != SL_CONFIG_VARIANT) {
        return bind_default(binder, field, at);
    }
    if (field->required) {
        struct sl__text message = {NULL, 0, 0, 0};
        if (!binder->load->partial) {
            sl__text_puts(&message, "missing");
            expected(binder, binder->around, &message, field);
        }
        binder->problems++;
        return 0;
    }
    if (field->type == SL_CONFIG_SECTION && !field->optional) {
        return bind_section(binder, field->section, NULL, at, false);
    }
    return 0;
}

static int bind_field(sl_config_check *binder, const struct sl_config_field *field, const struct sl__node *node,
                      void *base)
{
    void *at = (char *)base + field->offset;
    size_t length = binder->path.size_bytes;
    sl__path_key(&binder->path, field->key);
    size_t bytes = sl__value_bytes(field);
    if (bytes == 0 || bytes != field->size_bytes) {
        return misuse(binder, "the member has not the size of its type");
    }
    if ((field->type == SL_CONFIG_LIST || field->type == SL_CONFIG_MAP) &&
        (field->element == NULL || sl__value_bytes(field->element) == 0)) {
        return misuse(binder, "the element is missing");
    }
    struct sl__entry *entry = node == NULL ? NULL : sl__map_find(node, field->key);
    struct sl__place around = binder->around;
    if (entry != NULL && entry->value->type == SL__NULL && field->required) {
        binder->around = entry->place;
    }
    int code = entry == NULL || entry->value->type == SL__NULL ? bind_absent(binder, field, at)
                                                               : bind_value(binder, field, entry->value, at);
    binder->around = around;
    sl__text_cut(&binder->path, length);
    return code;
}

static int bind_section(sl_config_check *binder, const struct sl_config_section *section, const struct sl__node *node,
                        void *at, bool variant)
{
    if (binder->depth >= SL_CONFIG_DEPTH_MAX) {
        return misuse(binder, "the sections are nested too deeply");
    }
    struct sl__place around = binder->around;
    const struct sl__node *outer = binder->node;
    size_t problems = binder->problems;
    binder->depth++;
    if (node != NULL && node->begin.line > 0) {
        binder->around = node->begin;
    }
    for (size_t i = 0; i < section->field_count; i++) {
        SL_TRY(bind_field(binder, &section->fields[i], node, at));
    }
    for (size_t i = 0; node != NULL && i < node->count; i++) {
        if (sl__section_field(section, node->entries[i].key) == NULL &&
            !(variant && strcmp(node->entries[i].key, KIND) == 0)) {
            unknown_key(binder, section, &node->entries[i], variant);
        }
    }
    if (section->check != NULL && problems == binder->problems && !binder->load->partial) {
        binder->node = node;
        section->check(at, binder);
    }
    binder->node = outer;
    binder->around = around;
    binder->depth--;
    return 0;
}

/* Reports at the innermost of the keys that is there, under the path of all of them. */
SL_PRINTF(4, 0)
static void reject(sl_config_check *check, const char *const *keys, size_t key_count, const char *format,
                   va_list arguments)
{
    const struct sl__node *node = check->node;
    struct sl__place place = check->around;
    size_t length = check->path.size_bytes;
    for (size_t i = 0; i < key_count; i++) {
        const struct sl__entry *entry = node == NULL || node->type != SL__MAP ? NULL : sl__map_find(node, keys[i]);
        node = entry == NULL ? NULL : entry->value;
        place = node == NULL ? place : node->begin;
        sl__path_key(&check->path, keys[i]);
    }
    check->problems++;
    sl__problem_list(check->load, place, sl__text_get(&check->path), false, format, arguments);
    sl__text_cut(&check->path, length);
}

void sl_config_reject(sl_config_check *check, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reject(check, &key, key != NULL, format, arguments);
    va_end(arguments);
}

void sl_config_reject_below(sl_config_check *check, const char *const *keys, size_t key_count, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reject(check, keys, key_count, format, arguments);
    va_end(arguments);
}

/* ---- variants ---- */

static void wrong_kind(sl_config_check *binder, const struct sl_config_field *field, struct sl__place place,
                       const struct sl__node *kind)
{
    struct sl__text message = {NULL, 0, 0, 0};
    struct sl__suggestion suggestion = {kind == NULL ? "" : kind->text, NULL, 0};
    if (kind == NULL) {
        sl__text_puts(&message, "missing");
    } else if (kind->type == SL__SCALAR) {
        sl__subject(&message, kind);
        sl__text_puts(&message, " is not known");
    } else {
        sl__text_printf(&message, "%s stands here", shape(kind));
    }
    sl__text_puts(&message, "; expected");
    for (size_t i = 0; i < field->variant_count; i++) {
        sl__suggest(&suggestion, field->variants[i]->name);
        sl__text_printf(&message, "%s%s",
                        i == 0                          ? " "
                        : i + 1 == field->variant_count ? " or "
                                                        : ", ",
                        field->variants[i]->name);
    }
    if (suggestion.best != NULL && kind != NULL && !kind->hidden) {
        sl__text_printf(&message, "; did you mean \"%s\"?", suggestion.best);
    }
    size_t length = binder->path.size_bytes;
    sl__path_key(&binder->path, KIND);
    finish(binder, place, &message);
    sl__text_cut(&binder->path, length);
}

static int bind_variant(sl_config_check *binder, const struct sl_config_field *field, struct sl__node *node,
                        struct sl_config_variant *variant)
{
    struct sl__entry *entry = sl__map_find(node, KIND);
    struct sl__node *kind = entry == NULL || entry->value->type == SL__NULL ? NULL : entry->value;
    const char *name = kind != NULL && kind->type == SL__SCALAR ? kind->text
                       : kind == NULL                           ? field->default_text
                                                                : NULL;
    if (kind != NULL) {
        kind->shown = true;
        kind->hidden = kind->hidden || kind->secret_tag;
    }
    if (kind != NULL && kind->type == SL__BROKEN) {
        return 0;
    }
    for (size_t i = 0; name != NULL && i < field->variant_count; i++) {
        if (strcmp(field->variants[i]->name, name) == 0) {
            void *value = sl__arena_alloc(binder->load->arena, field->variants[i]->size_bytes);
            if (value == NULL) {
                return sl__load_short(binder->load);
            }
            *variant = (struct sl_config_variant){field->variants[i], value};
            return bind_section(binder, field->variants[i], node, value, true);
        }
    }
    if (kind != NULL || !binder->load->partial) {
        wrong_kind(binder, field, kind == NULL ? node->begin : kind->begin, kind);
    }
    return 0;
}

/* ---- any ---- */

static int bind_value(sl_config_check *binder, const struct sl_config_field *field, struct sl__node *node, void *at)
{
    if (sl__value_is_scalar(field->type)) {
        return bind_scalar(binder, field, node, at);
    }
    if (node->type != (field->type == SL_CONFIG_LIST ? SL__LIST : SL__MAP)) {
        node->shown = true;
        node->hidden = node->hidden || node->secret_tag;
        wrong_shape(binder, field, node);
        return 0;
    }
    switch (field->type) {
    case SL_CONFIG_LIST:
        return bind_list(binder, field, node, at);
    case SL_CONFIG_MAP:
        return bind_map(binder, field, node, at);
    case SL_CONFIG_VARIANT:
        return bind_variant(binder, field, node, at);
    default:
        break;
    }
    if (field->optional) {
        void *value = sl__arena_alloc(binder->load->arena, field->section->size_bytes);
        if (value == NULL) {
            return sl__load_short(binder->load);
        }
        *(void **)at = value;
        at = value;
    }
    return bind_section(binder, field->section, node, at, false);
}

/* ---- references ---- */

/* The map at a dotted path, or NULL. */
static const struct sl__node *find_map(const struct sl__node *root, const char *path)
{
    char key[SL_CONFIG_KEY_BYTES_MAX + 1];
    for (const struct sl__node *node = root; node != NULL && node->type == SL__MAP;) {
        size_t bytes = strcspn(path, ".");
        if (bytes >= sizeof key) {
            return NULL;
        }
        memcpy(key, path, bytes);
        key[bytes] = '\0';
        const struct sl__entry *entry = sl__map_find(node, key);
        node = entry == NULL ? NULL : entry->value;
        if (path[bytes] == '\0') {
            return node != NULL && node->type == SL__MAP ? node : NULL;
        }
        path += bytes + 1;
    }
    return NULL;
}

static void check_reference(struct sl__load *load, const struct sl__node *root, const struct reference *reference)
{
    const struct sl__node *map = find_map(root, reference->field->refers_to);
    const struct sl__entry *entry = map == NULL ? NULL : sl__map_find(map, reference->name);
    if (entry != NULL && entry->value->type != SL__NULL) {
        return;
    }
    struct sl__text path = {(char *)reference->path, strlen(reference->path), 0, 0};
    struct sl__text subject = {NULL, 0, 0, 0};
    struct sl__suggestion suggestion = {reference->name, NULL, 0};
    for (size_t i = 0; map != NULL && i < map->count && !sl__report_full(load); i++) {
        if (map->entries[i].value->type != SL__NULL) {
            sl__suggest(&suggestion, map->entries[i].key);
        }
    }
    sl__subject(&subject, reference->node);
    if (suggestion.best != NULL && !reference->node->hidden) {
        sl__problem(load, reference->node->begin, &path, "%s is not in %s; did you mean \"%s\"?",
                    sl__text_get(&subject), reference->field->refers_to, suggestion.best);
    } else {
        sl__problem(load, reference->node->begin, &path, "%s is not in %s; expected the name of an entry of it",
                    sl__text_get(&subject), reference->field->refers_to);
    }
    if (subject.code != 0) {
        load->code = subject.code;
    }
    sl__text_free(&subject);
}

int sl__bind(struct sl__load *load, const struct sl__node *root)
{
    const struct sl_config_section *section = load->options->root;
    sl_config_check binder = {.load = load, .around = {load->file_count > 0, 1, 0}};
    if (load->file_count == 0) {
        binder.around = (struct sl__place){0, 0, SL__NO_SOURCE};
    }
    void *value = sl__arena_alloc(load->arena, section->size_bytes);
    if (value == NULL) {
        return sl__load_short(load);
    }
    if (root != NULL && root->type != SL__MAP) {
        root = NULL;
    }
    int code = bind_section(&binder, section, root, value, false);
    for (const struct reference *reference = binder.references; reference != NULL && code == 0 && !load->partial;
         reference = reference->next) {
        check_reference(load, root, reference);
    }
    load->config->root = value;
    load->config->tree = root;
    code = code == 0 ? binder.path.code : code;
    sl__text_free(&binder.path);
    return code;
}

/* ---- reading the values ---- */

const void *sl_config_list_at(const struct sl_config_list *list, size_t index)
{
    return (const char *)list->items + index * list->item_bytes;
}

const void *sl_config_map_at(const struct sl_config_map *map, size_t index)
{
    return (const char *)map->items + index * map->item_bytes;
}

const void *sl_config_map_find(const struct sl_config_map *map, const char *name)
{
    size_t low = 0;
    size_t high = map->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, map->names[map->order[middle]]);
        if (order == 0) {
            return sl_config_map_at(map, map->order[middle]);
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
