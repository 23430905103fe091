/* SPDX-License-Identifier: MIT */
/*
 * What the files of framework/config share: an arena, growing texts, the tree of nodes, and one load.
 *
 * A load goes through stages: read -> parse (libyaml's events to nodes) -> layer -> expand (environment, secrets) ->
 * bind (tables to structs). Each reports what is wrong to the same report and goes on with the rest.
 */
#ifndef SLUICE_CONFIG_INTERNAL_H
#define SLUICE_CONFIG_INTERNAL_H

#include "sluice/config.h"

/* ---- memory ---- */

/* Blocks that are freed together. `code`: why an allocation failed, SL_ENOMEM or SL_EMSGSIZE (over the limit). */
struct sl__arena {
    struct sl__chunk *chunks;
    char *at;
    size_t left_bytes, total_bytes, limit_bytes;
    int code;
};

/* Zeroed, aligned for any type. */
void *sl__arena_alloc(struct sl__arena *arena, size_t size_bytes);
char *sl__arena_copy(struct sl__arena *arena, const char *text, size_t size_bytes); /* with a NUL behind it */
void sl__arena_free(struct sl__arena *arena);

/* A text that grows. The first failure stays in `code`. */
struct sl__text {
    char *data; /* NULL or NUL-terminated */
    size_t size_bytes, capacity_bytes;
    int code;
};

void sl__text_put(struct sl__text *text, const char *data, size_t size_bytes);
void sl__text_puts(struct sl__text *text, const char *data);
void sl__text_printf(struct sl__text *text, const char *format, ...) SL_PRINTF(2, 3);
void sl__text_cut(struct sl__text *text, size_t size_bytes); /* back to an earlier length */
const char *sl__text_get(const struct sl__text *text);       /* never NULL */
void sl__text_free(struct sl__text *text);

/* Appends ".key" or "[index]" to a path; undo by sl__text_cut(). */
void sl__path_key(struct sl__text *path, const char *key);
void sl__path_index(struct sl__text *path, size_t index);

/* ---- nodes ---- */

/* Where something stands: columns in characters. Line 0: nowhere in particular. */
struct sl__place {
    uint32_t line, column;
    uint16_t source;
};

#define SL__NO_SOURCE UINT16_MAX /* nowhere: what no file says */

enum sl__node_type { SL__NULL, SL__SCALAR, SL__LIST, SL__MAP, SL__BROKEN /* reported already */ };

struct sl__entry {
    const char *key;
    struct sl__node *value;
    struct sl__place place;
    bool merged; /* by `<<`: gives way to a key of its own */
};

struct sl__node {
    enum sl__node_type type;
    bool quoted;
    bool secret_tag; /* !secret: the text is a reference until it is expanded */
    bool from_env;   /* expanded */
    bool shown;      /* bound to a type that is no secret: may stand in errors */
    bool hidden;     /* bound to a secret */
    bool password;   /* a URL with a password in it */
    struct sl__place begin;
    uint32_t end_line, end_column;
    const char *text, *raw; /* of a scalar: its value, and as it was written */
    size_t text_bytes;
    struct sl__node *next_scalar; /* all scalars of a load, for the masks in errors */
    struct sl__node **items;      /* of a list */
    struct sl__entry *entries;    /* of a map, in the order of the file */
    uint32_t *order;              /* its entries by key */
    size_t count, capacity, sorted;
};

struct sl__load;

struct sl__node *sl__node_new(struct sl__load *load, enum sl__node_type type, struct sl__place begin);
int sl__list_add(struct sl__load *load, struct sl__node *list, struct sl__node *item);
int sl__map_add(struct sl__load *load, struct sl__node *map, const struct sl__entry *entry);

/* Sorts the keys of a map, so that they are found. Of equal ones the first stays; the others are reported, but for
 * those that `<<` brought. */
int sl__map_seal(struct sl__load *load, struct sl__node *map, struct sl__text *path);
struct sl__entry *sl__map_find(const struct sl__node *map, const char *key);

/* Copies a tree; each node counts. SL_EMSGSIZE: deeper than SL_CONFIG_DEPTH_MAX, or too many. */
int sl__node_copy(struct sl__load *load, const struct sl__node *node, unsigned depth, struct sl__node **ret_copy);

/* ---- one load ---- */

struct sl__source {
    const char *name;
    const char *text;
    size_t text_bytes;
    char *owned;
    uint32_t *lines; /* offsets of their beginnings */
    size_t line_count;
    unsigned set_number;  /* of --set, from 1 */
    bool unreadable;      /* not UTF-8: no line of it is shown */
    uint32_t broken_line; /* where reading had to end, 0: nowhere */
    const char *last_key; /* before that place */
};

struct sl__load {
    const struct sl_config_options *options;
    sl_config *config;
    struct sl__arena *arena;    /* the configuration's */
    struct sl__source *sources; /* files, then --set texts, then one for the default text that is read */
    size_t file_count, source_count;
    size_t node_count;
    struct sl__node *scalars;
    struct sl_config_report *report;
    bool partial; /* a file could not be read to its end: what is missing may be there */
    int code;     /* SL_ENOMEM, SL_EMISUSE; problems of the sources are only in the report */
};

struct sl_config {
    _Atomic int references;
    const struct sl_config_section *section;
    struct sl__arena arena;
    const void *root;
    const struct sl__node *tree;
    const char **names; /* of the sources; a --set has its number below */
    unsigned *set_numbers;
};

/* Reports a problem at a place. `path` may be NULL. */
void sl__problem(struct sl__load *load, struct sl__place place, const struct sl__text *path, const char *format, ...)
    SL_PRINTF(4, 5);
void sl__warning(struct sl__load *load, struct sl__place place, const struct sl__text *path, const char *format, ...)
    SL_PRINTF(4, 5);
void sl__problem_list(struct sl__load *load, struct sl__place place, const char *path, bool warning, const char *format,
                      va_list arguments) SL_PRINTF(5, 0);
bool sl__report_full(const struct sl__load *load);

/* Appends the text in quotes, cut to a bearable length, without control characters. */
void sl__quote(struct sl__text *out, const char *text, size_t text_bytes);

/* What messages call a scalar: in quotes, or "the secret" or "the value of ${X}". */
void sl__subject(struct sl__text *out, const struct sl__node *node);

/* Whether a key of this name, or nearly so, holds a secret anywhere in the table. */
bool sl__names_secret(const struct sl_config_section *section, const char *word, unsigned depth);

/* Remembers why there is no more memory, for the end of the load; returns a negative code. */
int sl__load_short(struct sl__load *load);

/* The whole report: excerpts, order, text. */
int sl__report_new(struct sl_config_report **ret_report);
int sl__report_finish(struct sl__load *load);
size_t sl__report_errors(const struct sl_config_report *report); /* without the warnings */

/* Reads a source and finds its lines; what cannot be read is reported, and empty. Adds to all bytes. 0 or SL_ENOMEM. */
int sl__source_read(struct sl__load *load, uint16_t index, size_t *total_bytes);

/* Offsets of the lines of a source, by libyaml's idea of line breaks. */
int sl__source_index(struct sl__source *source);

/* Whether the text is UTF-8 without control characters; reports the first place that is not. */
bool sl__source_check(struct sl__load *load, uint16_t source);

/* Bytes of the character at `at`, 0 when it is not UTF-8. */
size_t sl__utf8_bytes(const char *at, size_t left_bytes);

/* YAML to nodes. A file that breaks gives what was read before and sets load->partial. NULL in *ret_node: empty. */
int sl__parse(struct sl__load *load, uint16_t source, size_t offset, struct sl__node **ret_node);

/* The default text of a table. */
int sl__parse_default(struct sl__load *load, const char *text, struct sl__node **ret_node);

/* Lays `over` over `base` (NULL: nothing yet) and returns the result. */
struct sl__node *sl__layer(struct sl__load *load, struct sl__node *base, struct sl__node *over, struct sl__text *path);

/* One "a.b[0]=value". */
void sl__layer_set(struct sl__load *load, uint16_t source, struct sl__node **root);

/* Environment and secrets, in the whole tree. */
void sl__expand(struct sl__load *load, struct sl__node *root);

/* The structs. */
int sl__bind(struct sl__load *load, const struct sl__node *root);

/* Reads a file up to `max_bytes`; SL_EMSGSIZE beyond. *ret_why is a text when the code says too little. */
int sl__read_file(const char *path, size_t max_bytes, bool secret, char **ret_text, size_t *ret_bytes,
                  unsigned *ret_mode, const char **ret_why);

/* ---- values ---- */

/* Bytes of the member for this type; 0: the table is wrong. */
size_t sl__value_bytes(const struct sl_config_field *field);

/* Reads a scalar. 0; SL_EINVAL (*ret_why: "has no unit", or NULL: it is simply no such thing); SL_ERANGE (too large
 * for the type); SL_ENOMEM. */
int sl__value_read(struct sl__arena *arena, const struct sl_config_field *field, const char *text, size_t text_bytes,
                   void *at, const char **ret_why);

/* -1: below min, 1: above max, 0; SL_EMISUSE: the table's bounds cannot be read. */
int sl__value_range(const struct sl_config_field *field, const void *at, uint64_t count);

/* "is not a duration": the noun; and what is expected, with its range. */
const char *sl__value_noun(enum sl_config_type type);
void sl__value_describe(const struct sl_config_field *field, struct sl__text *out);
bool sl__value_is_scalar(enum sl_config_type type);
bool sl__value_equal(const struct sl_config_field *field, const void *left, const void *right);

/* The bytes between "://" and "@" that are a password: their offset and number, 0 when there is none. */
size_t sl__url_password(const char *text, size_t text_bytes, size_t *ret_offset);

int sl__url_read(struct sl__arena *arena, const struct sl_config_field *field, const char *text, size_t text_bytes,
                 struct sl_config_url *ret_url, const char **ret_why);

/* The candidate nearest to `word`, or NULL when none is near. */
struct sl__suggestion {
    const char *word, *best;
    unsigned distance;
};
void sl__suggest(struct sl__suggestion *suggestion, const char *candidate);

/* A section's field, or NULL. */
const struct sl_config_field *sl__section_field(const struct sl_config_section *section, const char *key);

#endif
