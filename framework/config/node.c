/* SPDX-License-Identifier: MIT */
/* The tree of nodes: scalars, lists, and maps whose keys are found by binary search. */
#include <string.h>

#include "internal.h"

struct sl__node *sl__node_new(struct sl__load *load, enum sl__node_type type, struct sl__place begin)
{
    struct sl__node *node = sl__arena_alloc(load->arena, sizeof *node);
    if (node == NULL) {
        (void)sl__load_short(load);
        return NULL;
    }
    node->type = type;
    node->begin = begin;
    node->end_line = begin.line;
    node->end_column = begin.column;
    node->text = node->raw = "";
    load->node_count++;
    if (type == SL__SCALAR || type == SL__NULL || type == SL__BROKEN) {
        node->next_scalar = load->scalars;
        load->scalars = node;
    }
    return node;
}

/* A larger array with the same content, `capacity` doubled. */
static void *grown(struct sl__load *load, const void *items, size_t *capacity, size_t count, size_t item_bytes)
{
    size_t wanted = *capacity == 0 ? 4 : *capacity * 2;
    void *larger = sl__arena_alloc(load->arena, wanted * item_bytes);
    if (larger == NULL) {
        (void)sl__load_short(load);
        return NULL;
    }
    if (count > 0) {
        memcpy(larger, items, count * item_bytes);
    }
    *capacity = wanted;
    return larger;
}

int sl__list_add(struct sl__load *load, struct sl__node *list, struct sl__node *item)
{
    if (list->count == list->capacity) {
        struct sl__node **items = grown(load, list->items, &list->capacity, list->count, sizeof *items);
        if (items == NULL) {
            return load->code;
        }
        list->items = items;
    }
    list->items[list->count++] = item;
    return 0;
}

int sl__map_add(struct sl__load *load, struct sl__node *map, const struct sl__entry *entry)
{
    if (map->count == map->capacity) {
        struct sl__entry *entries = grown(load, map->entries, &map->capacity, map->count, sizeof *entries);
        if (entries == NULL) {
            return load->code;
        }
        map->entries = entries;
    }
    map->entries[map->count++] = *entry;
    return 0;
}

/* By key; equal ones: those of `<<` behind, then by place. */
static bool before(const struct sl__node *map, uint32_t left, uint32_t right)
{
    int order = strcmp(map->entries[left].key, map->entries[right].key);
    if (order == 0 && map->entries[left].merged != map->entries[right].merged) {
        return map->entries[right].merged;
    }
    return order < 0 || (order == 0 && left < right);
}

static void sift(const struct sl__node *map, uint32_t *order, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && before(map, order[child], order[child + 1])) {
            child++;
        }
        if (!before(map, order[root], order[child])) {
            return;
        }
        uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
        root = child;
    }
}

/* Heap sort: no memory, no bad case. */
static void sort(const struct sl__node *map, uint32_t *order, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(map, order, i, count);
    }
    for (size_t i = count; i-- > 1;) {
        uint32_t swap = order[0];
        order[0] = order[i];
        order[i] = swap;
        sift(map, order, 0, i);
    }
}

/* Takes the entries whose value is NULL out. */
static void compact(struct sl__node *map)
{
    size_t kept = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (map->entries[i].value != NULL) {
            map->entries[kept++] = map->entries[i];
        }
    }
    map->count = kept;
}

int sl__map_seal(struct sl__load *load, struct sl__node *map, struct sl__text *path)
{
    map->order = sl__arena_alloc(load->arena, (map->count + 1) * sizeof *map->order);
    if (map->order == NULL) {
        return sl__load_short(load);
    }
    for (size_t i = 0; i < map->count; i++) {
        map->order[i] = (uint32_t)i;
    }
    sort(map, map->order, map->count);
    bool doubled = false;
    for (size_t i = 1, first = 0; i < map->count; i++) {
        const struct sl__entry *kept = &map->entries[map->order[first]];
        struct sl__entry *entry = &map->entries[map->order[i]];
        if (strcmp(kept->key, entry->key) != 0) {
            first = i;
            continue;
        }
        if (!entry->merged) {
            size_t length = path->size_bytes;
            sl__path_key(path, entry->key);
            sl__problem(load, entry->place, path, "the key stands here again, first in line %u; expected each key once",
                        (unsigned)kept->place.line);
            sl__text_cut(path, length);
        }
        entry->value = NULL;
        doubled = true;
    }
    if (doubled) {
        compact(map);
        for (size_t i = 0; i < map->count; i++) {
            map->order[i] = (uint32_t)i;
        }
        sort(map, map->order, map->count);
    }
    map->sorted = map->count;
    return 0;
}

struct sl__entry *sl__map_find(const struct sl__node *map, const char *key)
{
    size_t low = 0;
    size_t high = map->sorted;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct sl__entry *entry = &map->entries[map->order[middle]];
        int order = strcmp(key, entry->key);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

int sl__node_copy(struct sl__load *load, const struct sl__node *node, unsigned depth, struct sl__node **ret_copy)
{
    bool inner = node->type == SL__LIST || node->type == SL__MAP;
    if ((inner && depth >= SL_CONFIG_DEPTH_MAX) || load->node_count >= SL_CONFIG_NODES_MAX) {
        return SL_EMSGSIZE;
    }
    struct sl__node *copy = sl__node_new(load, node->type, node->begin);
    if (copy == NULL) {
        return load->code;
    }
    struct sl__node *next = copy->next_scalar;
    *copy = *node;
    copy->next_scalar = next;
    copy->items = NULL;
    copy->entries = NULL;
    copy->count = copy->capacity = 0;
    for (size_t i = 0; i < node->count; i++) {
        struct sl__node *child = NULL;
        if (node->type == SL__LIST) {
            SL_TRY(sl__node_copy(load, node->items[i], depth + 1, &child));
            SL_TRY(sl__list_add(load, copy, child));
        } else {
            struct sl__entry entry = node->entries[i];
            SL_TRY(sl__node_copy(load, entry.value, depth + 1, &child));
            entry.value = child;
            SL_TRY(sl__map_add(load, copy, &entry));
        }
    }
    *ret_copy = copy; /* a map shares its order: the entries are the same */
    return 0;
}
