/* SPDX-License-Identifier: MIT */
/* YAML to nodes: libyaml's events, with every limit, anchor and key checked. Source: YAML 1.1 as libyaml reads it. */
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "internal.h"

struct anchor {
    const char *name;
    struct sl__node *node; /* NULL while it is being read */
};

struct parser {
    struct sl__load *load;
    uint16_t source;
    uint32_t first_column; /* of the text in its line: a --set begins behind the '=' */
    yaml_parser_t yaml;
    yaml_event_t event;
    struct sl__text path;
    const char *last_key;
    yaml_mark_t last_mark; /* the end of the last event: what is behind it is not known */
    struct anchor anchors[SL_CONFIG_ANCHORS_MAX];
    size_t anchor_count;
    bool failed; /* nothing more can be read */
};

static int read_node(struct parser *parser, unsigned depth, struct sl__node **ret_node);

static struct sl__place place_of(const struct parser *parser, yaml_mark_t mark)
{
    struct sl__place place = {(uint32_t)mark.line + 1, (uint32_t)mark.column + 1, parser->source};
    place.column += place.line == 1 ? parser->first_column : 0;
    return place;
}

/* What people are to do about libyaml's shorter messages. */
static const char *advice(const struct parser *parser, const char *problem, yaml_mark_t mark)
{
    const struct sl__source *source = &parser->load->sources[parser->source];
    if (mark.line >= source->line_count) {
        return "";
    }
    const char *at = source->text + source->lines[mark.line];
    const char *end = source->text + source->text_bytes;
    for (size_t column = 0; at < end && column < mark.column; at++) {
        column += at + 1 == end || ((unsigned char)at[1] & 0xc0) != 0x80;
    }
    if (at < end && *at == '\t') {
        return "; expected spaces: YAML does not indent with tabs";
    }
    if (at < end && *at == '{' && at > source->text && at[-1] == '$') {
        return "; expected quotes around ${...} between brackets or braces";
    }
    if (strstr(problem, "cannot start any token") != NULL) {
        return "; expected quotes around a text that begins like this";
    }
    return "";
}

/* Whether nothing but white space stands behind the mark. */
static bool at_end(const struct parser *parser, yaml_mark_t mark)
{
    const struct sl__source *source = &parser->load->sources[parser->source];
    for (size_t i = mark.line < source->line_count ? source->lines[mark.line] : source->text_bytes;
         i < source->text_bytes; i++) {
        if (strchr(" \r\n\t", source->text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static void broken(struct parser *parser)
{
    struct sl__source *source = &parser->load->sources[parser->source];
    parser->failed = true;
    parser->load->partial = true;
    source->broken_line = (uint32_t)parser->last_mark.line + 1;
    source->last_key = parser->last_key;
}

/* libyaml's own error. Of an unfinished text its beginning says more than the end of the file. */
static void report_syntax(struct parser *parser)
{
    const yaml_parser_t *yaml = &parser->yaml;
    broken(parser);
    if (yaml->error == YAML_MEMORY_ERROR) {
        parser->load->code = SL_ENOMEM;
        return;
    }
    const char *problem = yaml->problem == NULL ? "it cannot be read" : yaml->problem;
    if (yaml->context == NULL) {
        sl__problem(parser->load, place_of(parser, yaml->problem_mark), NULL, "not YAML: %s%s", problem,
                    advice(parser, problem, yaml->problem_mark));
        return;
    }
    bool unfinished = at_end(parser, yaml->problem_mark) || strstr(problem, "unexpected end of stream") != NULL;
    yaml_mark_t mark = unfinished ? yaml->context_mark : yaml->problem_mark;
    char where[48] = "";
    if (mark.line != yaml->context_mark.line) {
        (void)snprintf(where, sizeof where, " that begins in line %u", (unsigned)yaml->context_mark.line + 1);
    }
    sl__problem(parser->load, place_of(parser, mark), NULL, "not YAML: %s, %s%s%s", problem, yaml->context, where,
                advice(parser, problem, mark));
}

static bool next(struct parser *parser)
{
    parser->last_mark = parser->event.end_mark;
    yaml_event_delete(&parser->event);
    if (!parser->failed && yaml_parser_parse(&parser->yaml, &parser->event) == 0) {
        report_syntax(parser);
    }
    return !parser->failed;
}

/* Reports what ends the reading of this file. */
SL_PRINTF(3, 4)
static void give_up(struct parser *parser, struct sl__place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl__problem_list(parser->load, place, sl__text_get(&parser->path), false, format, arguments);
    va_end(arguments);
    broken(parser);
}

static bool is_null(const char *text, size_t bytes)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == bytes && memcmp(words[i], text, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* The tag !secret; any other is refused: types are in the tables, not in the files. */
static bool read_tag(struct parser *parser, const yaml_char_t *tag, struct sl__place place, struct sl__node *node)
{
    if (tag == NULL) {
        return true;
    }
    if (strcmp((const char *)tag, "!secret") == 0 && node->type == SL__SCALAR) {
        node->secret_tag = true;
        return true;
    }
    sl__problem(parser->load, place, &parser->path,
                "the tag \"%.64s\" cannot stand here; expected none, or !secret before a text", (const char *)tag);
    return false;
}

static int add_anchor(struct parser *parser, const yaml_char_t *name, struct sl__place place, size_t *ret_index)
{
    *ret_index = SL_CONFIG_ANCHORS_MAX;
    if (name == NULL) {
        return 0;
    }
    if (parser->anchor_count == SL_CONFIG_ANCHORS_MAX) {
        give_up(parser, place, "too many anchors; expected at most %d in a file", SL_CONFIG_ANCHORS_MAX);
        return 0;
    }
    char *copy = sl__arena_copy(parser->load->arena, (const char *)name, strlen((const char *)name));
    if (copy == NULL) {
        return sl__load_short(parser->load);
    }
    *ret_index = parser->anchor_count;
    parser->anchors[parser->anchor_count++] = (struct anchor){copy, NULL};
    return 0;
}

static void close_anchor(struct parser *parser, size_t index, struct sl__node *node)
{
    if (index < SL_CONFIG_ANCHORS_MAX) {
        parser->anchors[index].node = node;
    }
}

static int read_alias(struct parser *parser, unsigned depth, struct sl__place place, struct sl__node **ret_node)
{
    const char *name = (const char *)parser->event.data.alias.anchor;
    struct sl__suggestion suggestion = {name, NULL, 0};
    for (size_t i = parser->anchor_count; i-- > 0;) {
        const struct anchor *anchor = &parser->anchors[i];
        sl__suggest(&suggestion, anchor->name);
        if (strcmp(anchor->name, name) != 0) {
            continue;
        }
        if (anchor->node == NULL) {
            sl__problem(parser->load, place, &parser->path,
                        "the alias *%.64s stands inside what it names; expected no cycle", name);
            *ret_node = sl__node_new(parser->load, SL__BROKEN, place);
            return *ret_node == NULL ? parser->load->code : 0;
        }
        int code = sl__node_copy(parser->load, anchor->node, depth, ret_node);
        if (code == SL_EMSGSIZE && parser->load->code == 0) {
            give_up(parser, place,
                    "with what the alias *%.64s brings the file is too large; expected at most %d values and %d levels",
                    name, SL_CONFIG_NODES_MAX, SL_CONFIG_DEPTH_MAX);
            return 0;
        }
        return code;
    }
    if (suggestion.best != NULL) {
        sl__problem(parser->load, place, &parser->path, "there is no anchor &%.64s before; did you mean *%s?", name,
                    suggestion.best);
    } else {
        sl__problem(parser->load, place, &parser->path, "there is no anchor &%.64s before; expected one", name);
    }
    *ret_node = sl__node_new(parser->load, SL__BROKEN, place);
    return *ret_node == NULL ? parser->load->code : 0;
}

static int read_scalar(struct parser *parser, struct sl__place place, struct sl__node **ret_node)
{
    struct sl__load *load = parser->load;
    const char *text = (const char *)parser->event.data.scalar.value;
    size_t bytes = parser->event.data.scalar.length;
    bool plain = parser->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool tagged = parser->event.data.scalar.tag != NULL;
    size_t anchor;
    struct sl__node *node = sl__node_new(load, plain && !tagged && is_null(text, bytes) ? SL__NULL : SL__SCALAR, place);
    if (node == NULL) {
        return load->code;
    }
    *ret_node = node;
    struct sl__place end = place_of(parser, parser->event.end_mark);
    node->end_line = end.line;
    node->end_column = end.column;
    node->quoted = !plain;
    SL_TRY(add_anchor(parser, parser->event.data.scalar.anchor, place, &anchor));
    if (!read_tag(parser, parser->event.data.scalar.tag, place, node)) {
        node->type = SL__BROKEN;
    } else if (bytes > SL_CONFIG_SCALAR_BYTES_MAX) {
        sl__problem(load, place, &parser->path, "a text of %zu bytes; expected at most %zu", bytes,
                    SL_CONFIG_SCALAR_BYTES_MAX);
        node->type = SL__BROKEN;
    } else if (memchr(text, '\0', bytes) != NULL) {
        sl__problem(load, place, &parser->path, "a NUL character in a text; expected none");
        node->type = SL__BROKEN;
    } else {
        node->text = node->raw = sl__arena_copy(load->arena, text, bytes);
        node->text_bytes = bytes;
        if (node->text == NULL) {
            return sl__load_short(load);
        }
    }
    close_anchor(parser, anchor, node);
    return 0;
}

static int read_list(struct parser *parser, unsigned depth, struct sl__node *list)
{
    for (;;) {
        if (!next(parser) || parser->event.type == YAML_SEQUENCE_END_EVENT) {
            return 0;
        }
        struct sl__node *item = NULL;
        size_t length = parser->path.size_bytes;
        sl__path_index(&parser->path, list->count);
        SL_TRY(read_node(parser, depth + 1, &item));
        sl__text_cut(&parser->path, length);
        if (item != NULL) {
            SL_TRY(sl__list_add(parser->load, list, item));
        }
        if (parser->failed) {
            return 0;
        }
    }
}

/* A key of its own in *entry; false when it is none (the value is still to be read). */
static int read_key(struct parser *parser, unsigned depth, struct sl__entry *entry, bool *ret_good)
{
    struct sl__load *load = parser->load;
    *entry = (struct sl__entry){"", NULL, place_of(parser, parser->event.start_mark), false};
    *ret_good = false;
    if (parser->event.type != YAML_SCALAR_EVENT) {
        struct sl__node *ignored = NULL;
        bool alias = parser->event.type == YAML_ALIAS_EVENT;
        sl__problem(load, entry->place, &parser->path, "%s stands as a key; expected a plain text",
                    alias                                             ? "an alias"
                    : parser->event.type == YAML_SEQUENCE_START_EVENT ? "a list"
                                                                      : "a map");
        return alias ? 0 : read_node(parser, depth + 1, &ignored);
    }
    const char *text = (const char *)parser->event.data.scalar.value;
    size_t bytes = parser->event.data.scalar.length;
    if (bytes == 0 || bytes > SL_CONFIG_KEY_BYTES_MAX || memchr(text, '\0', bytes) != NULL) {
        sl__problem(load, entry->place, &parser->path, "this cannot be a key; expected a text of 1 to %zu bytes",
                    SL_CONFIG_KEY_BYTES_MAX);
        return 0;
    }
    entry->key = parser->last_key = sl__arena_copy(load->arena, text, bytes);
    entry->merged = parser->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0;
    *ret_good = true;
    return entry->key == NULL ? sl__load_short(load) : 0;
}

/* The keys of a map that `<<` names. */
static int merge_map(struct parser *parser, struct sl__node *map, const struct sl__node *value)
{
    if (value->type != SL__MAP) {
        if (value->type != SL__BROKEN) {
            sl__problem(parser->load, value->begin, &parser->path,
                        "<< does not name a map; expected an alias of a map, or a list of these");
        }
        return 0;
    }
    for (size_t i = 0; i < value->count; i++) {
        struct sl__entry entry = value->entries[i];
        entry.merged = true;
        SL_TRY(sl__map_add(parser->load, map, &entry));
    }
    return 0;
}

static int add_entry(struct parser *parser, struct sl__node *map, const struct sl__entry *entry)
{
    if (!entry->merged) {
        return sl__map_add(parser->load, map, entry);
    }
    if (entry->value->type != SL__LIST) {
        return merge_map(parser, map, entry->value);
    }
    for (size_t i = 0; i < entry->value->count; i++) {
        SL_TRY(merge_map(parser, map, entry->value->items[i]));
    }
    return 0;
}

static int read_map(struct parser *parser, unsigned depth, struct sl__node *map)
{
    while (next(parser) && parser->event.type != YAML_MAPPING_END_EVENT) {
        struct sl__entry entry;
        bool good;
        size_t length = parser->path.size_bytes;
        SL_TRY(read_key(parser, depth, &entry, &good));
        if (parser->failed || !next(parser)) {
            break;
        }
        sl__path_key(&parser->path, entry.key);
        SL_TRY(read_node(parser, depth + 1, &entry.value));
        sl__text_cut(&parser->path, length);
        if (good && entry.value != NULL) {
            SL_TRY(add_entry(parser, map, &entry));
        }
        if (parser->failed) {
            break;
        }
    }
    return sl__map_seal(parser->load, map, &parser->path);
}

static int read_inner(struct parser *parser, unsigned depth, struct sl__place place, struct sl__node **ret_node)
{
    bool list = parser->event.type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *anchor_name =
        list ? parser->event.data.sequence_start.anchor : parser->event.data.mapping_start.anchor;
    const yaml_char_t *tag = list ? parser->event.data.sequence_start.tag : parser->event.data.mapping_start.tag;
    size_t anchor;
    if (depth >= SL_CONFIG_DEPTH_MAX) {
        give_up(parser, place, "nested too deeply; expected at most %d levels", SL_CONFIG_DEPTH_MAX);
        return 0;
    }
    struct sl__node *node = sl__node_new(parser->load, list ? SL__LIST : SL__MAP, place);
    if (node == NULL) {
        return parser->load->code;
    }
    *ret_node = node;
    bool good = read_tag(parser, tag, place, node);
    SL_TRY(add_anchor(parser, anchor_name, place, &anchor));
    SL_TRY(list ? read_list(parser, depth, node) : read_map(parser, depth, node));
    if (!good) {
        node->type = SL__BROKEN;
    }
    close_anchor(parser, anchor, node);
    return 0;
}

/* The node that begins with the event at hand. NULL in *ret_node when reading ended there. */
static int read_node(struct parser *parser, unsigned depth, struct sl__node **ret_node)
{
    struct sl__place place = place_of(parser, parser->event.start_mark);
    bool counts = parser->source < parser->load->source_count; /* the defaults of a table do not */
    if (counts && parser->load->node_count >= SL_CONFIG_NODES_MAX) {
        give_up(parser, place, "too many values; expected at most %d", SL_CONFIG_NODES_MAX);
        return 0;
    }
    switch (parser->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(parser, place, ret_node);
    case YAML_ALIAS_EVENT:
        return read_alias(parser, depth, place, ret_node);
    default:
        return read_inner(parser, depth, place, ret_node);
    }
}

/* Stream start, at most one document, stream end. */
static int read_stream(struct parser *parser, struct sl__node **ret_node)
{
    for (unsigned skipped = 0; skipped < 3; skipped++) { /* stream start, document start, the node's first */
        if (!next(parser) || parser->event.type == YAML_STREAM_END_EVENT) {
            return parser->load->code;
        }
    }
    SL_TRY(read_node(parser, 0, ret_node));
    bool more = !parser->failed && next(parser); /* document end */
    if (more && next(parser) && parser->event.type != YAML_STREAM_END_EVENT) {
        give_up(parser, place_of(parser, parser->event.start_mark), "a second document begins; expected one in a file");
    }
    return parser->load->code;
}

static int parse_text(struct sl__load *load, uint16_t source, const char *text, size_t bytes, uint32_t first_column,
                      struct sl__node **ret_node)
{
    *ret_node = NULL;
    struct parser *parser = sl_calloc(1, sizeof *parser);
    if (parser == NULL) {
        return load->code = SL_ENOMEM;
    }
    parser->load = load;
    parser->source = source;
    parser->first_column = first_column;
    int code = SL_ENOMEM;
    if (yaml_parser_initialize(&parser->yaml) != 0) {
        yaml_parser_set_encoding(&parser->yaml, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser->yaml, (const unsigned char *)text, bytes);
        code = read_stream(parser, ret_node);
        yaml_event_delete(&parser->event);
        yaml_parser_delete(&parser->yaml);
    }
    code = code == 0 ? parser->path.code : code;
    sl__text_free(&parser->path);
    sl_free(parser);
    if (code != 0 && load->code == 0) {
        load->code = code;
    }
    return code;
}

int sl__parse(struct sl__load *load, uint16_t source, size_t offset, struct sl__node **ret_node)
{
    const struct sl__source *from = &load->sources[source];
    uint32_t first_column = 0;
    for (size_t i = 0; i < offset; i++) {
        first_column += ((unsigned char)from->text[i] & 0xc0) != 0x80;
    }
    return parse_text(load, source, from->text + offset, from->text_bytes - offset, first_column, ret_node);
}

int sl__parse_default(struct sl__load *load, const char *text, struct sl__node **ret_node)
{
    load->sources[load->source_count].text = text;
    load->sources[load->source_count].text_bytes = strlen(text);
    return parse_text(load, (uint16_t)load->source_count, text, strlen(text), 0, ret_node);
}
