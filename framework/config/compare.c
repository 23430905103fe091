/* SPDX-License-Identifier: MIT */
/* What differs between two configurations, by their values, and what has to restart for it. */
#include <string.h>

#include "internal.h"

struct sl_config_changes {
    struct sl__arena arena;
    struct sl_config_change *items;
    size_t count, capacity, more;
    enum sl_config_reload strongest;
};

struct comparer {
    sl_config_changes *changes; /* NULL: only whether there is a difference */
    struct sl__text path;
    bool differs;
    int code;
};

static void compare_section(struct comparer *comparer, const struct sl_config_section *section, const void *before,
                            const void *after, enum sl_config_reload around);

static void note(struct comparer *comparer, enum sl_config_change_type type, enum sl_config_reload reload)
{
    sl_config_changes *changes = comparer->changes;
    comparer->differs = true;
    if (changes == NULL) {
        return;
    }
    changes->strongest = reload > changes->strongest ? reload : changes->strongest;
    if (changes->count == SL_CONFIG_CHANGES_MAX) {
        changes->more++;
        return;
    }
    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity == 0 ? 16 : changes->capacity * 2;
        struct sl_config_change *items = sl_realloc(changes->items, capacity * sizeof *items);
        if (items == NULL) {
            comparer->code = SL_ENOMEM;
            return;
        }
        changes->items = items;
        changes->capacity = capacity;
    }
    const char *path = sl__arena_copy(&changes->arena, sl__text_get(&comparer->path), comparer->path.size_bytes);
    if (path == NULL) {
        comparer->code = SL_ENOMEM;
        return;
    }
    changes->items[changes->count++] = (struct sl_config_change){path, type, reload};
}

static void compare_value(struct comparer *comparer, const struct sl_config_field *field, const void *before,
                          const void *after, enum sl_config_reload around);

/* A list changes as a whole: its items have no names. */
static bool same_list(struct comparer *comparer, const struct sl_config_field *field,
                      const struct sl_config_list *before, const struct sl_config_list *after)
{
    struct comparer quiet = {.differs = before->count != after->count};
    for (size_t i = 0; i < before->count && !quiet.differs; i++) {
        compare_value(&quiet, field->element, sl_config_list_at(before, i), sl_config_list_at(after, i),
                      SL_CONFIG_LIVE);
    }
    comparer->code = quiet.path.code != 0 ? quiet.path.code : comparer->code;
    sl__text_free(&quiet.path);
    return !quiet.differs;
}

static void compare_map(struct comparer *comparer, const struct sl_config_field *field,
                        const struct sl_config_map *before, const struct sl_config_map *after,
                        enum sl_config_reload around)
{
    size_t length = comparer->path.size_bytes;
    for (size_t i = 0; i < before->count; i++) {
        const void *found = sl_config_map_find(after, before->names[i]);
        sl__path_key(&comparer->path, before->names[i]);
        if (found != NULL) {
            compare_value(comparer, field->element, sl_config_map_at(before, i), found, around);
        } else {
            note(comparer, SL_CONFIG_REMOVED, around);
        }
        sl__text_cut(&comparer->path, length);
    }
    for (size_t i = 0; i < after->count; i++) {
        if (sl_config_map_find(before, after->names[i]) == NULL) {
            sl__path_key(&comparer->path, after->names[i]);
            note(comparer, SL_CONFIG_ADDED, around);
            sl__text_cut(&comparer->path, length);
        }
    }
}

static void compare_variant(struct comparer *comparer, const struct sl_config_variant *before,
                            const struct sl_config_variant *after, enum sl_config_reload around)
{
    if (before->kind != after->kind) {
        note(comparer,
             before->kind == NULL  ? SL_CONFIG_ADDED
             : after->kind == NULL ? SL_CONFIG_REMOVED
                                   : SL_CONFIG_CHANGED,
             around);
    } else if (before->kind != NULL) {
        compare_section(comparer, before->kind, before->value, after->value, around);
    }
}

static void compare_optional(struct comparer *comparer, const struct sl_config_field *field, const void *before,
                             const void *after, enum sl_config_reload around)
{
    if (before != NULL && after != NULL) {
        compare_section(comparer, field->section, before, after, around);
    } else if (before != after) {
        note(comparer, before == NULL ? SL_CONFIG_ADDED : SL_CONFIG_REMOVED, around);
    }
}

static void compare_value(struct comparer *comparer, const struct sl_config_field *field, const void *before,
                          const void *after, enum sl_config_reload around)
{
    enum sl_config_reload reload = field->reload == SL_CONFIG_AS_AROUND ? around : field->reload;
    switch (field->type) {
    case SL_CONFIG_LIST:
        if (!same_list(comparer, field, before, after)) {
            note(comparer, SL_CONFIG_CHANGED, reload);
        }
        break;
    case SL_CONFIG_MAP:
        compare_map(comparer, field, before, after, reload);
        break;
    case SL_CONFIG_VARIANT:
        compare_variant(comparer, before, after, reload);
        break;
    case SL_CONFIG_SECTION:
        if (field->optional) {
            compare_optional(comparer, field, *(const void *const *)before, *(const void *const *)after, reload);
        } else {
            compare_section(comparer, field->section, before, after, reload);
        }
        break;
    default:
        if (!sl__value_equal(field, before, after)) {
            note(comparer, SL_CONFIG_CHANGED, reload);
        }
    }
}

static void compare_section(struct comparer *comparer, const struct sl_config_section *section, const void *before,
                            const void *after, enum sl_config_reload around)
{
    for (size_t i = 0; i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        size_t length = comparer->path.size_bytes;
        sl__path_key(&comparer->path, field->key);
        compare_value(comparer, field, (const char *)before + field->offset, (const char *)after + field->offset,
                      around);
        sl__text_cut(&comparer->path, length);
    }
}

int sl_config_compare(const sl_config *before, const sl_config *after, sl_config_changes **ret_changes)
{
    if (before->section != after->section) {
        return sl_fail(SL_EINVAL, "configurations of two different tables");
    }
    sl_config_changes *changes = sl_calloc(1, sizeof *changes);
    if (changes == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to compare configurations");
    }
    struct comparer comparer = {.changes = changes};
    compare_section(&comparer, before->section, before->root, after->root, SL_CONFIG_RESTART_PROCESS);
    int code = comparer.code == 0 ? comparer.path.code : comparer.code;
    sl__text_free(&comparer.path);
    if (code < 0) {
        sl_config_changes_free(changes);
        return sl_fail(SL_ENOMEM, "no memory to compare configurations");
    }
    *ret_changes = changes;
    return 0;
}

size_t sl_config_changes_count(const sl_config_changes *changes)
{
    return changes == NULL ? 0 : changes->count;
}

size_t sl_config_changes_more(const sl_config_changes *changes)
{
    return changes == NULL ? 0 : changes->more;
}

const struct sl_config_change *sl_config_changes_at(const sl_config_changes *changes, size_t index)
{
    return changes == NULL || index >= changes->count ? NULL : &changes->items[index];
}

/* Whether `inner` is `outer` or lies below it. */
static bool lies_in(const char *inner, const char *outer)
{
    size_t bytes = strlen(outer);
    return bytes == 0 ||
           (strncmp(inner, outer, bytes) == 0 && (inner[bytes] == '\0' || inner[bytes] == '.' || inner[bytes] == '['));
}

enum sl_config_reload sl_config_changes_under(const sl_config_changes *changes, const char *path)
{
    enum sl_config_reload strongest = SL_CONFIG_AS_AROUND;
    if (changes == NULL || changes->more > 0) {
        return changes == NULL ? strongest : changes->strongest;
    }
    for (size_t i = 0; i < changes->count; i++) {
        const struct sl_config_change *change = &changes->items[i];
        if (change->reload > strongest && (lies_in(change->path, path) || lies_in(path, change->path))) {
            strongest = change->reload;
        }
    }
    return strongest;
}

void sl_config_changes_free(sl_config_changes *changes)
{
    if (changes != NULL) {
        sl__arena_free(&changes->arena);
        sl_free(changes->items);
        sl_free(changes);
    }
}
