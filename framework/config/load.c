/* SPDX-License-Identifier: MIT */
/* Loading: the stages in order, and the life of a configuration. */
#include <stdatomic.h>
#include <string.h>

#include "internal.h"

/* ---- the stages ---- */

static int layer_files(struct sl__load *load, struct sl__node **root)
{
    size_t total_bytes = 0;
    struct sl__text path = {NULL, 0, 0, 0};
    for (size_t i = 0; i < load->file_count; i++) {
        struct sl__node *tree = NULL;
        SL_TRY(sl__source_read(load, (uint16_t)i, &total_bytes));
        SL_TRY(sl__parse(load, (uint16_t)i, 0, &tree));
        if (tree != NULL && tree->type != SL__MAP && tree->type != SL__NULL && tree->type != SL__BROKEN) {
            sl__problem(load, tree->begin, NULL, "%s stands here; expected a map of sections",
                        tree->type == SL__LIST ? "a list" : "a text");
        } else if (tree != NULL && tree->type == SL__MAP) {
            *root = sl__layer(load, *root, tree, &path);
        }
    }
    sl__text_free(&path);
    return load->code;
}

static int run(struct sl__load *load)
{
    struct sl__node *root = NULL;
    SL_TRY(layer_files(load, &root));
    for (size_t i = 0; i < load->options->set_count && load->code == 0; i++) {
        sl__layer_set(load, (uint16_t)(load->file_count + i), &root);
    }
    if (load->code == 0 && root != NULL) {
        sl__expand(load, root);
    }
    return load->code == 0 ? sl__bind(load, root) : load->code;
}

static int prepare(struct sl__load *load)
{
    const struct sl_config_options *options = load->options;
    load->file_count = options->source_count;
    load->source_count = options->source_count + options->set_count;
    load->sources = sl_calloc(load->source_count + 1, sizeof *load->sources);
    load->config->names = sl__arena_alloc(load->arena, (load->source_count + 1) * sizeof *load->config->names);
    load->config->set_numbers = sl__arena_alloc(load->arena, (load->source_count + 1) * sizeof(unsigned));
    if (load->sources == NULL || load->config->names == NULL || load->config->set_numbers == NULL) {
        return SL_ENOMEM;
    }
    for (size_t i = 0; i < load->source_count; i++) {
        bool file = i < options->source_count;
        struct sl__source *source = &load->sources[i];
        const char *name = file ? options->sources[i].path : "--set";
        source->name = load->config->names[i] = sl__arena_copy(load->arena, name, strlen(name));
        if (source->name == NULL) {
            return SL_ENOMEM;
        }
        if (!file) {
            source->set_number = (unsigned)(i - options->source_count + 1);
            load->config->set_numbers[i] = source->set_number;
            source->text = options->sets[i - options->source_count];
            source->text_bytes = strlen(source->text);
        }
    }
    return 0;
}

static int load_all(struct sl__load *load)
{
    const struct sl_config_options *options = load->options;
    if (options->source_count > SL_CONFIG_SOURCES_MAX || options->set_count > SL_CONFIG_SETS_MAX) {
        sl__problem(load, (struct sl__place){0, 0, SL__NO_SOURCE}, NULL,
                    "%zu files and %zu texts by --set; expected at most %d and %d", options->source_count,
                    options->set_count, SL_CONFIG_SOURCES_MAX, SL_CONFIG_SETS_MAX);
    } else {
        int code = prepare(load);
        code = code == 0 ? run(load) : code;
        load->code = load->code == 0 ? code : load->code;
        if (load->code == SL_EMSGSIZE) {
            load->code = 0;
            sl__problem(load, (struct sl__place){0, 0, SL__NO_SOURCE}, NULL,
                        "the configuration is too large; expected one that takes at most %zu MiB of memory",
                        SL_CONFIG_MEMORY_BYTES_MAX >> 20);
        }
    }
    if (load->code != SL_ENOMEM) {
        int code = sl__report_finish(load);
        load->code = load->code == 0 ? code : load->code;
    }
    if (load->code == 0 && sl__report_errors(load->report) > 0) {
        load->code = SL_EINVAL;
    }
    return load->code;
}

static int tell(int code, const sl_config_report *report)
{
    const struct sl_config_problem *problem = NULL;
    for (size_t i = 0; i < sl_config_report_count(report) && (problem == NULL || problem->warning); i++) {
        problem = sl_config_report_at(report, i);
    }
    if (problem == NULL) {
        return sl_fail(code, "the configuration could not be loaded");
    }
    return sl_fail(code, "%zu problems in the configuration, the first: %s:%u:%u: %s%s%s", sl__report_errors(report),
                   problem->file, problem->line, problem->column, problem->path, *problem->path == '\0' ? "" : ": ",
                   problem->message);
}

int sl_config_load(const struct sl_config_options *options, sl_config **ret_config, sl_config_report **ret_report)
{
    struct sl__load load = {.options = options};
    *ret_config = NULL;
    if (ret_report != NULL) {
        *ret_report = NULL;
    }
    load.config = sl_calloc(1, sizeof *load.config);
    if (load.config == NULL || sl__report_new(&load.report) < 0) {
        sl_free(load.config);
        return sl_fail(SL_ENOMEM, "no memory to load a configuration");
    }
    atomic_init(&load.config->references, 1);
    load.config->section = options->root;
    load.config->arena.limit_bytes = SL_CONFIG_MEMORY_BYTES_MAX;
    load.arena = &load.config->arena;
    int code = load_all(&load);
    for (size_t i = 0; load.sources != NULL && i <= load.source_count; i++) {
        sl_free(load.sources[i].owned);
        sl_free(load.sources[i].lines);
    }
    sl_free(load.sources);
    if (code < 0) {
        sl_config_unref(load.config);
        code = tell(code, code == SL_ENOMEM ? NULL : load.report);
    } else {
        *ret_config = load.config;
    }
    if (ret_report != NULL && code != SL_ENOMEM && sl_config_report_count(load.report) > 0) {
        *ret_report = load.report;
    } else {
        sl_config_report_free(load.report);
    }
    return code;
}

/* ---- the configuration ---- */

sl_config *sl_config_ref(const sl_config *config)
{
    sl_config *shared = (sl_config *)config;
    if (shared != NULL) {
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    }
    return shared;
}

void sl_config_unref(sl_config *config)
{
    if (config != NULL && atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) == 1) {
        sl__arena_free(&config->arena);
        sl_free(config);
    }
}

const void *sl_config_root(const sl_config *config)
{
    return config->root;
}
