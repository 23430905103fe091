/* SPDX-License-Identifier: MIT */
/*
 * Configuration: YAML files that become C structs, by one table a section.
 *
 * A table (struct sl_config_section and its fields) says for each key where its value goes, its type, range,
 * default and help, and what has to restart when it changes. That one table reads and checks the files, and
 * writes the effective configuration, the JSON Schema and the reference page. examples/config.c shows all of it.
 *
 * Several files and `a.b[0].c=value` texts are laid over each other in order: maps key by key, lists and scalars
 * as a whole; `null` removes what was there, so that the default is back; an index is one of those that the files
 * have, or the next.
 *
 * In scalars, after parsing (a value can never bring structure along): ${V} (an error when V is not set), ${V:-default}
 * and ${V:?message} (not set or empty), $$ for a dollar sign. `!secret file:PATH` (one newline at the end is cut; a
 * relative PATH begins at the folder of the file that has it) and `!secret env:NAME` bring in secrets. What a type
 * SL_CONFIG_SECRET, the tag !secret or the password of a URL says is shown by nothing here, nor is a value that no
 * table knows.
 *
 * All functions may be called on any thread, in tasks and outside; those that read files wait for the disk:
 * tasks call them through sl_offload(), as the reloader does.
 */
#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

#include <stdbool.h>

#include "sluice/memory.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits; what is over one of them is an error with its place. */
#define SL_CONFIG_SOURCES_MAX 64                      /* files */
#define SL_CONFIG_SETS_MAX 256                        /* `key=value` texts */
#define SL_CONFIG_FILE_BYTES_MAX ((size_t)4 << 20)    /* one file */
#define SL_CONFIG_TOTAL_BYTES_MAX ((size_t)8 << 20)   /* all of them */
#define SL_CONFIG_MEMORY_BYTES_MAX ((size_t)32 << 20) /* what a loaded configuration holds */
#define SL_CONFIG_DEPTH_MAX 24                        /* maps and lists inside each other */
#define SL_CONFIG_NODES_MAX 100000                    /* values of one load, each copy by an alias counted */
#define SL_CONFIG_ANCHORS_MAX 256                     /* anchors of one file */
#define SL_CONFIG_SCALAR_BYTES_MAX ((size_t)64 << 10) /* one value, also when expanded */
#define SL_CONFIG_KEY_BYTES_MAX ((size_t)256)         /* one key */
#define SL_CONFIG_SECRET_BYTES_MAX ((size_t)64 << 10) /* one secret's file */
#define SL_CONFIG_PROBLEMS_MAX 100                    /* kept of a load; the rest is counted */
#define SL_CONFIG_CHANGES_MAX 10000                   /* kept of a comparison; the rest is counted */

/* ---- tables ---- */

/* The type of a value; behind it what the struct's member is and what a file says. */
enum sl_config_type {
    SL_CONFIG_BOOL,     /* bool: true, false */
    SL_CONFIG_INT,      /* int64_t: -12 */
    SL_CONFIG_UINT,     /* uint64_t: 12 */
    SL_CONFIG_DOUBLE,   /* double, finite: 1.5 */
    SL_CONFIG_STRING,   /* const char *, UTF-8; min and max are its length in bytes */
    SL_CONFIG_DURATION, /* sl_time: 250ms, 1m30s, 1.5h, 0 (units ns us ms s m h d) */
    SL_CONFIG_SIZE,     /* uint64_t, bytes: 64KiB, 10MB, 512B, 0 (KiB MiB GiB TiB, kB MB GB TB) */
    SL_CONFIG_RATE,     /* struct sl_config_rate: 1200/1m, 5/s */
    SL_CONFIG_PERCENT,  /* double: 20% is 0.2; not negative */
    SL_CONFIG_ENUM,     /* int, the place of the word in `choices` */
    SL_CONFIG_URL,      /* struct sl_config_url; `choices`: its schemes */
    SL_CONFIG_SECRET,   /* const char *, as a string */
    SL_CONFIG_LIST,     /* struct sl_config_list of `element`; min and max count its items */
    SL_CONFIG_MAP,      /* struct sl_config_map: any names to `element`; min and max count them */
    SL_CONFIG_SECTION,  /* the struct of `section`, inside the other; when `optional` a pointer to it, or NULL */
    SL_CONFIG_VARIANT,  /* struct sl_config_variant: the key `kind` names which of `variants` the others are */
};

/* What has to happen for a changed value to count, weakest first. */
enum sl_config_reload {
    SL_CONFIG_AS_AROUND,       /* as what is around it; at the top: the process restarts */
    SL_CONFIG_LIVE,            /* takes effect in place */
    SL_CONFIG_RESTART_TASK,    /* the tasks it configures restart */
    SL_CONFIG_RESTART_PROCESS, /* the process restarts */
};

struct sl_config_rate {
    uint64_t count; /* at least 1 */
    sl_time period; /* > 0 */
};

/* Texts are NULL when the URL was not set; user and password are decoded, "" when it has none. */
struct sl_config_url {
    const char *text; /* whole, with the password */
    const char *scheme;
    const char *user, *password;
    const char *host; /* without the brackets of IPv6 */
    const char *path; /* with the query, "" when there is none */
    uint16_t port;    /* 0: not given */
};

struct sl_config_list {
    const void *items; /* an array of the element's type */
    size_t count, item_bytes;
};

struct sl_config_map {
    const char *const *names; /* in the files' order */
    const void *items;
    size_t count, item_bytes;
    const uint32_t *order; /* private: the items by name */
};

struct sl_config_variant {
    const struct sl_config_section *kind; /* one of `variants`; NULL: not set */
    const void *value;                    /* its struct */
};

/* One key of a section, or the element of a list or map. What is not said is 0 or NULL. */
struct sl_config_field {
    const char *key; /* NULL in an element */
    size_t offset, size_bytes;
    enum sl_config_type type;
    enum sl_config_reload reload;
    bool required;            /* no default: must be given */
    bool optional;            /* a section that may be absent: the member is a pointer */
    const char *default_text; /* as in a file; lists and maps in flow style; none: 0, NULL or empty */
    const char *min, *max;    /* as in a file, both included */
    const char *const *choices;
    size_t choice_count;
    const char *refers_to; /* of a string: it must be a name in the map at this path from the root ("sinks") */
    const struct sl_config_field *element;
    const struct sl_config_section *section;
    const struct sl_config_section *const *variants; /* their names are the kinds; default_text is one of them */
    size_t variant_count;
    const char *help; /* a sentence: for the schema and the reference page */
};

typedef struct sl_config_check sl_config_check;

/* One section: the members of a struct. */
struct sl_config_section {
    const char *name; /* of the section, or the kind of a variant */
    const char *help;
    size_t size_bytes; /* of the struct */
    const struct sl_config_field *fields;
    size_t field_count;
    /* What no single key can tell: called with the finished struct when its keys are in order; complains by
     * sl_config_reject(). NULL: nothing to check. */
    void (*check)(const void *value, sl_config_check *check);
};

/* The first members of a field: {SL_CONFIG_AT(struct retry, attempts), .type = SL_CONFIG_UINT, ...}; the key has
 * the member's name, or that of SL_CONFIG_KEY(). */
#define SL_CONFIG_AT(struct_type, member) SL_CONFIG_KEY(#member, struct_type, member)
#define SL_CONFIG_KEY(name, struct_type, member)                                                                       \
    .key = (name), .offset = offsetof(struct_type, member), .size_bytes = sizeof(((struct_type *)0)->member)

/* The first members of a section: {SL_CONFIG_TABLE("retry", struct retry, retry_fields), .help = "..."}. */
#define SL_CONFIG_TABLE(text, struct_type, field_array)                                                                \
    .name = (text), .size_bytes = sizeof(struct_type), .fields = (field_array),                                        \
    .field_count = SL_CONFIG_COUNT(field_array)
#define SL_CONFIG_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reports, from a section's check, that the value of `key` (NULL: the section) does not fit; "max: must not be below
 * min; expected ..." is the style. Do not put secrets there. */
void sl_config_reject(sl_config_check *check, const char *key, const char *format, ...) SL_PRINTF(3, 4);

/* The same further down: {"limits", "rest", "rates"}. For what only a section around several others can tell. */
void sl_config_reject_below(sl_config_check *check, const char *const *keys, size_t key_count, const char *format, ...)
    SL_PRINTF(4, 5);

/* ---- loading ---- */

typedef struct sl_config sl_config;
typedef struct sl_config_report sl_config_report;

/* A file, or a text that stands for one. */
struct sl_config_source {
    const char *path; /* shown in errors; read when `text` is NULL */
    const char *text;
    size_t text_bytes;
};

/* All of it is borrowed, for the call. */
struct sl_config_options {
    const struct sl_config_section *root; /* static: the configuration keeps it */
    const struct sl_config_source *sources;
    size_t source_count;     /* 0 is fine: all defaults */
    const char *const *sets; /* "limits.rest.rates[0].cost=2", "retry.on=[reset, timeout]" */
    size_t set_count;
    const char *(*get_env)(void *arg, const char *name); /* NULL: the environment; the text must last for the call */
    void *env_arg;
};

/*
 * Reads, lays over each other, checks and fills in. 0 and a configuration (release it with sl_config_unref());
 * SL_EINVAL when anything is wrong in the sources, all of it in the report; SL_EMISUSE when the table is (the
 * report names its key); SL_ENOMEM. *ret_report is set in every case: NULL when there is nothing to say, else free
 * it; after success it holds warnings. May be NULL. Never waits for anything but the files.
 */
SL_MUST_CHECK int sl_config_load(const struct sl_config_options *options, sl_config **ret_config,
                                 sl_config_report **ret_report);

/* References may be taken and given back on any thread, so that tasks can keep a configuration over a reload; the
 * last one frees all. NULL is fine. */
sl_config *sl_config_ref(const sl_config *config);
void sl_config_unref(sl_config *config);
SL_AUTO_DECLARE(sl_config, sl_config_unref)

/* The root section's struct; it and all it points to never change and live as long as the configuration. */
const void *sl_config_root(const sl_config *config);

/* Item `index` of a list or map, which must be below its count; the item of that name, or NULL. */
const void *sl_config_list_at(const struct sl_config_list *list, size_t index);
const void *sl_config_map_at(const struct sl_config_map *map, size_t index);
const void *sl_config_map_find(const struct sl_config_map *map, const char *name);

/* ---- what is wrong ---- */

/* One problem; borrowed from its report. */
struct sl_config_problem {
    bool warning;
    const char *file;      /* "--set" for texts laid over the files, "" for what belongs to no file */
    unsigned line, column; /* from 1, columns in characters; of "--set" the number of the text; 0: the whole file */
    const char *path;      /* limits.rest.rates[0].cost, or "" */
    const char *message;   /* what is wrong; what was expected */
    const char *excerpt;   /* the source line and a caret below it, secrets masked, or "" */
};

/* The problems are sorted by file, line and column. `at`: NULL beyond the last; `more`: how many were not kept. */
size_t sl_config_report_count(const sl_config_report *report);
size_t sl_config_report_more(const sl_config_report *report);
const struct sl_config_problem *sl_config_report_at(const sl_config_report *report, size_t index);

/* The whole report as people read it: "file:line:column: path: message", then the line and its caret. Never NULL. */
const char *sl_config_report_text(const sl_config_report *report);
void sl_config_report_free(sl_config_report *report);
SL_AUTO_DECLARE(sl_config_report, sl_config_report_free)

/* ---- what a configuration and a table can tell; the texts are to be freed with sl_free() ---- */

/* The effective configuration as YAML, behind each value where it comes from; secrets are "***". 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_config_dump(const sl_config *config, char **ret_text);

/* The same as JSON: {"values": {...}, "origins": {"limits.rest.rates[0].cost": "a.yaml:3:5"}}; what has no origin is a
 * default. 0, SL_ENOMEM, SL_EMSGSIZE (over 128 MiB). */
SL_MUST_CHECK int sl_config_dump_json(const sl_config *config, char **ret_text);

/* The JSON Schema (draft 2020-12) of files for this table; `id` is its $id, or NULL. 0, SL_EMISUSE (the table), SL_ENOMEM. */
SL_MUST_CHECK int sl_config_schema(const struct sl_config_section *root, const char *id, char **ret_text);

/* The reference page, in Markdown. Same codes. */
SL_MUST_CHECK int sl_config_reference(const struct sl_config_section *root, char **ret_text);

/* ---- changes ---- */

enum sl_config_change_type { SL_CONFIG_CHANGED, SL_CONFIG_ADDED, SL_CONFIG_REMOVED };

struct sl_config_change {
    const char *path; /* of the smallest thing that changed: a value, a list, an entry of a map, a variant */
    enum sl_config_change_type type;
    enum sl_config_reload reload; /* never SL_CONFIG_AS_AROUND */
};

typedef struct sl_config_changes sl_config_changes;

/* What differs between two configurations of one table, in its order; values count, not how they are written.
 * 0, SL_EINVAL (two tables), SL_ENOMEM. Free it. */
SL_MUST_CHECK int sl_config_compare(const sl_config *before, const sl_config *after, sl_config_changes **ret_changes);
size_t sl_config_changes_count(const sl_config_changes *changes);
size_t sl_config_changes_more(const sl_config_changes *changes);
const struct sl_config_change *sl_config_changes_at(const sl_config_changes *changes, size_t index);

/* The strongest class of what changed at `path` ("services.books"), below or around it ("" is everything); 0: nothing
 * did. When not all changes could be kept, it is the strongest of all. */
enum sl_config_reload sl_config_changes_under(const sl_config_changes *changes, const char *path);
void sl_config_changes_free(sl_config_changes *changes);
SL_AUTO_DECLARE(sl_config_changes, sl_config_changes_free)

/* ---- reloading ---- */

/*
 * A reloader keeps the current configuration and replaces it. Each reload builds the new one whole beside the old,
 * on a worker thread, compares, and hands it to `apply` on the loop; when the files are bad, or `apply` refuses,
 * nothing has changed and `refused` is told why.
 */
typedef struct sl_config_reloader sl_config_reloader;

struct sl_config_reloader_options {
    struct sl_config_options load; /* everything it points to must outlive the reloader; get_env is called on workers */
    /* In the task of sl_config_reloader_run(), which may wait; not called when nothing changed. 0: `after` is the
     * current one now. A negative code: the old one stays. */
    int (*apply)(void *arg, const sl_config *before, const sl_config *after, const sl_config_changes *changes);
    /* Same task. `report` is NULL when the reason is no problem of the files; may be NULL. */
    void (*refused)(void *arg, int code, const sl_config_report *report);
    /* Same task, in place of apply: what was read is what is in force. May be NULL. */
    void (*unchanged)(void *arg);
    void *arg;
};

/* Begins with a configuration that was loaded before (a reference is taken). 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_config_reloader_new(const struct sl_config_reloader_options *options, sl_config *current,
                                         sl_config_reloader **ret_reloader);

/* The task that does the work: sl_spawn(&scope, sl_config_reloader_run, reloader). One at a time (SL_EBUSY). Runs
 * until it is cancelled. */
int sl_config_reloader_run(void *reloader);

/* Asks for a reload, of the loop's thread; does not wait. What is asked before the reload begins is one reload. */
void sl_config_reloader_request(sl_config_reloader *reloader);

/* Asks, and waits for the end of a reload that began after the call: 0 (applied, or nothing changed), the code of
 * loading or `apply`, SL_ECLOSED when no task runs the reloader (any more), SL_ECANCELED, SL_ENOTASK. Cancellation point. */
SL_MUST_CHECK int sl_config_reload(sl_config_reloader *reloader);

/* A reference to the current configuration; give it back with sl_config_unref(). */
sl_config *sl_config_reloader_current(const sl_config_reloader *reloader);

/* How many reloads were applied. */
uint64_t sl_config_reloader_generation(const sl_config_reloader *reloader);

/* No task may run it or wait for it. NULL is fine. */
void sl_config_reloader_free(sl_config_reloader *reloader);

#ifdef __cplusplus
}
#endif

#endif
