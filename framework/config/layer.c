/* SPDX-License-Identifier: MIT */
/* Laying sources over each other: maps key by key, all else as a whole; and "a.b[0]=value" texts. */
#include <string.h>

#include "internal.h"

struct sl__node *sl__layer(struct sl__load *load, struct sl__node *base, struct sl__node *over, struct sl__text *path)
{
    if (base == NULL || base->type != SL__MAP || over->type != SL__MAP) {
        return over;
    }
    bool added = false;
    for (size_t i = 0; i < over->count && load->code == 0; i++) {
        struct sl__entry *entry = &over->entries[i];
        struct sl__entry *found = sl__map_find(base, entry->key);
        if (found == NULL) {
            added = true;
            (void)sl__map_add(load, base, entry);
            continue;
        }
        struct sl__node *result = sl__layer(load, found->value, entry->value, path);
        if (result != found->value) {
            found->value = result;
            found->place = entry->place;
        }
    }
    if (added && load->code == 0) {
        (void)sl__map_seal(load, base, path);
    }
    return base;
}

/* ---- --set ---- */

struct set {
    struct sl__load *load;
    const char *begin, *at, *end; /* the text: where it begins, what is not read yet */
    struct sl__place place;
    struct sl__text path;
};

static struct sl__place here(const struct set *set)
{
    struct sl__place place = set->place;
    for (const char *c = set->begin; c < set->at; c++) {
        place.column += ((unsigned char)*c & 0xc0) != 0x80;
    }
    return place;
}

static void reject(struct set *set)
{
    sl__problem(set->load, here(set), NULL,
                "not a path and a value; expected something like limits.rest.rates[0].cost=2");
}

/* A key, plain up to one of .[= or in double quotes; NULL when there is none. */
static const char *read_key(struct set *set)
{
    const char *from = set->at;
    if (from < set->end && *from == '"') {
        const char *close = memchr(from + 1, '"', (size_t)(set->end - from) - 1);
        if (close == NULL || close == from + 1 || close - from - 1 > (ptrdiff_t)SL_CONFIG_KEY_BYTES_MAX) {
            return NULL;
        }
        set->at = close + 1;
        return sl__arena_copy(set->load->arena, from + 1, (size_t)(close - from) - 1);
    }
    while (set->at < set->end && *set->at != '.' && *set->at != '[' && *set->at != '=') {
        set->at++;
    }
    if (set->at == from || set->at - from > (ptrdiff_t)SL_CONFIG_KEY_BYTES_MAX) {
        return NULL;
    }
    return sl__arena_copy(set->load->arena, from, (size_t)(set->at - from));
}

/* "[12]"; false when it is none. */
static bool read_index(struct set *set, size_t *ret_index)
{
    size_t index = 0;
    const char *from = ++set->at;
    while (set->at < set->end && *set->at >= '0' && *set->at <= '9' && index <= SL_CONFIG_NODES_MAX) {
        index = index * 10 + (size_t)(*set->at++ - '0');
    }
    *ret_index = index;
    return set->at > from && set->at < set->end && *set->at++ == ']';
}

/* The place of the node that a key names, made when it is not there. */
static struct sl__node **step_key(struct set *set, struct sl__node **at, struct sl__place place, const char *key)
{
    struct sl__load *load = set->load;
    if (*at == NULL || (*at)->type != SL__MAP) {
        *at = sl__node_new(load, SL__MAP, place);
        if (*at == NULL) {
            return NULL;
        }
    }
    struct sl__entry *found = sl__map_find(*at, key);
    if (found == NULL) {
        const struct sl__entry entry = {key, sl__node_new(load, SL__NULL, place), place, false};
        if (entry.value == NULL || sl__map_add(load, *at, &entry) < 0 || sl__map_seal(load, *at, &set->path) < 0) {
            return NULL;
        }
        found = sl__map_find(*at, key);
    }
    return &found->value;
}

static struct sl__node **step_index(struct set *set, struct sl__node **at, struct sl__place place, size_t index)
{
    struct sl__load *load = set->load;
    if (*at == NULL || (*at)->type == SL__NULL) {
        *at = sl__node_new(load, SL__LIST, place);
    }
    if (*at == NULL) {
        return NULL;
    }
    size_t count = (*at)->type == SL__LIST ? (*at)->count : 0;
    if ((*at)->type != SL__LIST) {
        sl__problem(load, place, &set->path, "no list stands here; expected one before an index");
        return NULL;
    }
    if (index > count) {
        sl__problem(load, place, &set->path, "the list ends before that; expected an index of at most %zu", count);
        return NULL;
    }
    if (index == count) {
        struct sl__node *item = sl__node_new(load, SL__NULL, place);
        if (item == NULL || sl__list_add(load, *at, item) < 0) {
            return NULL;
        }
    }
    return &(*at)->items[index];
}

/* Follows the path and leaves set->at behind the '='; NULL when it was reported. Without `at` it only looks whether
 * this is a path at all: what is none must not become a key. */
static struct sl__node **walk(struct set *set, struct sl__node **at)
{
    static struct sl__node *nothing;
    bool apply = at != NULL;
    for (unsigned depth = 0;; depth++) {
        struct sl__place place = here(set);
        size_t index = 0;
        bool is_index = set->at < set->end && *set->at == '[' && depth > 0;
        const char *key = NULL;
        if (is_index ? !read_index(set, &index) : (key = read_key(set)) == NULL) {
            reject(set);
            return NULL;
        }
        if (depth >= SL_CONFIG_DEPTH_MAX) {
            sl__problem(set->load, place, NULL, "nested too deeply; expected at most %d levels", SL_CONFIG_DEPTH_MAX);
            return NULL;
        }
        if (apply) {
            at = is_index ? step_index(set, at, place, index) : step_key(set, at, place, key);
        }
        if (apply && at == NULL) {
            return NULL;
        }
        if (is_index) {
            sl__path_index(&set->path, index);
        } else {
            sl__path_key(&set->path, key);
        }
        char separator = set->at < set->end ? *set->at : '\0';
        if (separator == '=' || separator == '.') {
            set->at++;
        }
        if (separator == '=') {
            return apply ? at : &nothing;
        }
        if (separator != '.' && separator != '[') {
            reject(set);
            return NULL;
        }
    }
}

/* Lists, maps, quoted texts and !secret are YAML; null and ~ reset; anything else is a text as it stands. */
static struct sl__node *read_value(struct set *set)
{
    struct sl__load *load = set->load;
    size_t bytes = (size_t)(set->end - set->at);
    struct sl__node *value = NULL;
    bool yaml = bytes > 0 && (memchr("[{\"'", *set->at, 4) != NULL || strncmp(set->at, "!secret ", 8) == 0);
    if (yaml) {
        (void)sl__parse(load, set->place.source, (size_t)(set->at - set->begin), &value);
        return value;
    }
    bool null = strcmp(set->at, "null") == 0 || strcmp(set->at, "~") == 0;
    value = sl__node_new(load, null ? SL__NULL : SL__SCALAR, here(set));
    if (value != NULL) {
        value->text = value->raw = sl__arena_copy(load->arena, set->at, bytes);
        value->text_bytes = bytes;
        value->end_column = UINT32_MAX;
        if (value->text == NULL) {
            (void)sl__load_short(load);
        }
        if (bytes > SL_CONFIG_SCALAR_BYTES_MAX) {
            sl__problem(load, value->begin, &set->path, "a text of %zu bytes; expected at most %zu", bytes,
                        SL_CONFIG_SCALAR_BYTES_MAX);
            value->type = SL__BROKEN;
        }
    }
    return value;
}

void sl__layer_set(struct sl__load *load, uint16_t source, struct sl__node **root)
{
    struct sl__source *from = &load->sources[source];
    struct set set = {.load = load, .begin = from->text, .at = from->text, .place = {1, 1, source}};
    set.end = from->text + from->text_bytes;
    if (from->text_bytes > SL_CONFIG_FILE_BYTES_MAX) {
        sl__problem(load, set.place, NULL, "too large; expected at most %zu MiB", SL_CONFIG_FILE_BYTES_MAX >> 20);
        from->unreadable = true;
        return;
    }
    if (!sl__source_check(load, source)) {
        return;
    }
    if (sl__source_index(from) < 0) {
        load->code = SL_ENOMEM;
        return;
    }
    const char *equals = memchr(from->text, '=', from->text_bytes);
    from->unreadable = equals == NULL; /* no telling what that is */
    struct sl__node **at = walk(&set, NULL);
    sl__text_cut(&set.path, 0);
    set.at = set.begin;
    at = at == NULL ? NULL : walk(&set, root);
    if (at != NULL) {
        struct sl__node *value = read_value(&set);
        if (value != NULL) {
            *at = sl__layer(load, *at, value, &set.path);
        }
    } else if (equals != NULL) { /* the value was not read: not to be shown */
        set.at = equals + 1;
        struct sl__node *value = sl__node_new(load, SL__BROKEN, here(&set));
        if (value != NULL) {
            value->end_column = UINT32_MAX;
        }
    }
    load->code = load->code == 0 ? set.path.code : load->code;
    sl__text_free(&set.path);
}
