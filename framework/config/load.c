/* SPDX-License-Identifier: MIT */
/* Loading: the stages in order, files and texts, and the life of a configuration. */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define READ_BYTES ((size_t)16 * 1024)

/* ---- sources ---- */

/* Reads on until the end or one byte too many. */
static int read_all(int descriptor, size_t max_bytes, size_t expected_bytes, char **ret_text, size_t *ret_bytes)
{
    size_t capacity = expected_bytes + 2 < READ_BYTES ? READ_BYTES : expected_bytes + 2;
    size_t size = 0;
    char *text = sl_malloc(capacity);
    while (text != NULL) {
        ssize_t got = read(descriptor, text + size, capacity - size - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        size += got > 0 ? (size_t)got : 0;
        if (got <= 0 || size > max_bytes) {
            text[size] = '\0';
            *ret_text = text;
            *ret_bytes = size;
            return got < 0 ? -errno : size > max_bytes ? SL_EMSGSIZE : 0;
        }
        if (size + 1 == capacity) {
            char *larger = sl_realloc(text, capacity * 2);
            if (larger == NULL) {
                break;
            }
            text = larger;
            capacity *= 2;
        }
    }
    sl_free(text);
    return SL_ENOMEM;
}

int sl__read_file(const char *path, size_t max_bytes, bool secret, char **ret_text, size_t *ret_bytes,
                  unsigned *ret_mode, const char **ret_why)
{
    struct stat status;
    *ret_text = NULL;
    *ret_why = NULL;
    /* A pipe without a writer is empty; it must not hold us. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (secret ? O_NONBLOCK : 0));
    if (descriptor < 0) {
        return -errno;
    }
    int code = fstat(descriptor, &status) < 0 ? -errno : 0;
    if (code == 0) {
        *ret_mode = (unsigned)status.st_mode;
        bool regular = S_ISREG(status.st_mode);
        if (S_ISDIR(status.st_mode) || (secret && !regular)) {
            *ret_why = S_ISDIR(status.st_mode) ? "it is a directory" : "it is no regular file";
            code = SL_EINVAL;
        } else if (regular && (uint64_t)status.st_size > max_bytes) {
            code = SL_EMSGSIZE;
        } else {
            code = read_all(descriptor, max_bytes, regular ? (size_t)status.st_size : 0, ret_text, ret_bytes);
        }
    }
    (void)close(descriptor);
    if (code < 0) {
        sl_free(*ret_text);
        *ret_text = NULL;
    }
    return code;
}

/* Bytes of the line break at `at`, as libyaml counts lines; 0: none. */
static size_t break_bytes(const char *at, const char *end)
{
    if (*at == '\n') {
        return 1;
    }
    if (*at == '\r') {
        return at + 1 < end && at[1] == '\n' ? 2 : 1;
    }
    if (end - at >= 2 && memcmp(at, "\xc2\x85", 2) == 0) {
        return 2;
    }
    return end - at >= 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0) ? 3 : 0;
}

int sl__source_index(struct sl__source *source)
{
    const char *end = source->text + source->text_bytes;
    source->line_count = 1;
    for (int pass = 0; pass < 2; pass++) {
        size_t line = 1;
        for (const char *at = source->text; at < end;) {
            size_t bytes = break_bytes(at, end);
            at += bytes == 0 ? 1 : bytes;
            if (bytes > 0) {
                if (pass == 1) {
                    source->lines[line] = (uint32_t)(at - source->text);
                }
                line++;
            }
        }
        if (pass == 0) {
            source->line_count = line;
            source->lines = sl_calloc(line, sizeof *source->lines);
            if (source->lines == NULL) {
                return SL_ENOMEM;
            }
        }
    }
    return 0;
}

/* One character: its bytes, 0 when it is not UTF-8 (RFC 3629). */
static size_t decode(const unsigned char *at, size_t left, uint32_t *ret_character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = *at < 0x80                  ? 1
                   : *at >= 0xc2 && *at < 0xe0 ? 2
                   : *at >= 0xe0 && *at < 0xf0 ? 3
                   : *at >= 0xf0 && *at < 0xf5 ? 4
                                               : 0;
    if (bytes == 0 || bytes > left) {
        return 0;
    }
    uint32_t character = bytes == 1 ? *at : *at & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        character = character << 6 | (at[i] & 0x3f);
    }
    *ret_character = character;
    return character < least[bytes] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000) ? 0 : bytes;
}

size_t sl__utf8_bytes(const char *at, size_t left_bytes)
{
    uint32_t character;
    return decode((const unsigned char *)at, left_bytes, &character);
}

/* Source: YAML 1.1, 5.1 (what may stand in a stream). */
static bool printable(uint32_t c)
{
    return c == 0x09 || c == 0x0a || c == 0x0d || (c >= 0x20 && c <= 0x7e) || c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || c >= 0x10000;
}

bool sl__source_check(struct sl__load *load, uint16_t index)
{
    struct sl__source *source = &load->sources[index];
    const unsigned char *text = (const unsigned char *)source->text;
    struct sl__place place = {1, 1, index};
    for (size_t i = 0; i < source->text_bytes;) {
        uint32_t character = 0;
        size_t bytes = decode(text + i, source->text_bytes - i, &character);
        if (bytes == 0 || !printable(character)) {
            source->unreadable = true;
            load->partial = true;
            if (bytes == 0) {
                sl__problem(load, place, NULL, "byte 0x%02x at offset %zu is not UTF-8; expected a UTF-8 text", text[i],
                            i);
            } else {
                sl__problem(load, place, NULL,
                            "the control character U+%04X; expected a text without it (quoted: \"\\x..\")",
                            (unsigned)character);
            }
            return false;
        }
        size_t line_break = break_bytes(source->text + i, source->text + source->text_bytes);
        place.line += line_break > 0;
        place.column = line_break > 0 ? 1 : place.column + 1;
        i += line_break > 0 ? line_break : bytes;
    }
    return true;
}

static void strip_mark(struct sl__source *source)
{
    if (source->text_bytes >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0) {
        source->text += 3;
        source->text_bytes -= 3;
    }
}

static int read_source(struct sl__load *load, uint16_t index, size_t *total_bytes)
{
    struct sl__source *source = &load->sources[index];
    const struct sl_config_source *wanted = &load->options->sources[index];
    struct sl__place whole = {0, 0, index};
    unsigned mode;
    const char *why = NULL;
    int code = 0;
    if (wanted->text != NULL) {
        source->text = wanted->text;
        source->text_bytes = wanted->text_bytes;
        code = wanted->text_bytes > SL_CONFIG_FILE_BYTES_MAX ? SL_EMSGSIZE : 0;
    } else {
        code = sl__read_file(wanted->path, SL_CONFIG_FILE_BYTES_MAX, false, &source->owned, &source->text_bytes, &mode,
                             &why);
        source->text = source->owned;
    }
    if (code == SL_ENOMEM) {
        return load->code = code;
    }
    *total_bytes += code == 0 ? source->text_bytes : 0;
    if (code == SL_EMSGSIZE || (code == 0 && *total_bytes > SL_CONFIG_TOTAL_BYTES_MAX)) {
        sl__problem(load, whole, NULL, "too large; expected at most %zu MiB a file and %zu MiB in all",
                    SL_CONFIG_FILE_BYTES_MAX >> 20, SL_CONFIG_TOTAL_BYTES_MAX >> 20);
        code = SL_EMSGSIZE;
    } else if (code < 0) {
        sl__problem(load, whole, NULL, "cannot be read: %s; expected a YAML file",
                    why != NULL ? why : sl_strerror(code));
    }
    if (code < 0) {
        load->partial = true;
        source->text = "";
        source->text_bytes = 0;
    }
    strip_mark(source);
    if (!sl__source_check(load, index)) {
        source->text_bytes = 0;
    }
    code = sl__source_index(source);
    load->code = load->code == 0 ? code : load->code;
    return load->code;
}

/* ---- the stages ---- */

int sl__load_short(struct sl__load *load)
{
    if (load->code == 0) {
        load->code = load->arena->code;
    }
    return load->code;
}

static int layer_files(struct sl__load *load, struct sl__node **root)
{
    size_t total_bytes = 0;
    struct sl__text path = {NULL, 0, 0, 0};
    for (size_t i = 0; i < load->file_count; i++) {
        struct sl__node *tree = NULL;
        SL_TRY(read_source(load, (uint16_t)i, &total_bytes));
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
