/* SPDX-License-Identifier: MIT */
/* Bad configurations and their exact reports. */
#include "bad_config.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 4
#define TEXT_BYTES_MAX ((size_t)1 << 20)

struct bad {
    char *name;
    const char *names[FILES_MAX], *sets[FILES_MAX], *variables[FILES_MAX];
    struct sl_config_source sources[FILES_MAX];
    char buffers[FILES_MAX][16384];
    size_t file_count, set_count, variable_count;
    char expected[16384];
};

static char *text_of(const char *path)
{
    char *text = calloc(1, TEXT_BYTES_MAX);
    FILE *file = fopen(path, "r");
    if (file == NULL || text == NULL) {
        print_error("no %s\n", path);
        abort();
    }
    assert_true(fread(text, 1, TEXT_BYTES_MAX, file) < TEXT_BYTES_MAX);
    assert_int_equal(fclose(file), 0);
    return text;
}

static const char *find_variable(void *arg, const char *name)
{
    const struct bad *bad = arg;
    for (size_t i = 0; i < bad->variable_count; i++) {
        size_t length = strlen(name);
        if (strncmp(bad->variables[i], name, length) == 0 && bad->variables[i][length] == '=') {
            return bad->variables[i] + length + 1;
        }
    }
    return NULL;
}

static int hex(char c)
{
    const char *at = strchr("0123456789abcdef", c);
    return at == NULL || c == '\0' ? -1 : (int)(at - "0123456789abcdef");
}

/* Adds a line to a file, with its escapes. */
static void add_line(char *buffer, size_t *size, const char *line)
{
    for (; *line != '\0'; line++) {
        if (strncmp(line, "\\x", 2) == 0 && hex(line[2]) >= 0 && hex(line[3]) >= 0) {
            buffer[(*size)++] = (char)(hex(line[2]) * 16 + hex(line[3]));
            line += 3;
        } else if (strcmp(line, "\\c") == 0) {
            return;
        } else {
            buffer[(*size)++] = *line;
        }
    }
    buffer[(*size)++] = '\n';
}

/* Runs the case; true when the report is as expected. `written` gets the report that came. */
static bool run_case(const struct sl_config_section *root, struct bad *bad, FILE *written)
{
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    const struct sl_config_options options = {.root = root,
                                              .sources = bad->sources,
                                              .source_count = bad->file_count,
                                              .sets = bad->sets,
                                              .set_count = bad->set_count,
                                              .get_env = find_variable,
                                              .env_arg = bad};
    int code = sl_config_load(&options, &config, &report);
    const char *text = sl_config_report_text(report);
    bool good = code == SL_EINVAL && strcmp(text, bad->expected) == 0;
    if (written != NULL) {
        (void)fputs(text, written);
        good = code == SL_EINVAL;
    }
    if (!good) {
        print_error("case %s: %s\n---- expected:\n%s---- got:\n%s\n", bad->name, sl_error_name(code), bad->expected,
                    text);
    }
    sl_config_unref(config);
    sl_config_report_free(report);
    return good;
}

void bad_config_run(const struct sl_config_section *root, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/unit/%s.txt", SL_TEST_SOURCE_DIR, name);
    char *text = text_of(path);
    char *rest = text;
    FILE *out = getenv("SL_CONFIG_BAD_WRITE") != NULL ? fopen(path, "w") : NULL;
    struct bad *bad = calloc(1, sizeof *bad);
    enum { NOTHING, IN_FILE, IN_REPORT } state = NOTHING;
    size_t failures = 0;
    size_t count = 0;
    for (char *line; bad != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        bool end = rest == NULL;
        if ((end || strncmp(line, "### case ", 9) == 0) && bad->name != NULL) {
            failures += !run_case(root, bad, out);
            count++;
        }
        if (end) {
            break;
        }
        if (out != NULL && (state != IN_REPORT || strncmp(line, "### ", 4) == 0)) {
            (void)fprintf(out, "%s\n", line);
        }
        if (strncmp(line, "### case ", 9) == 0) {
            memset(bad, 0, sizeof *bad);
            bad->name = line + 9;
            state = NOTHING;
        } else if (strncmp(line, "### env ", 8) == 0) {
            bad->variables[bad->variable_count++] = line + 8;
        } else if (strncmp(line, "### set ", 8) == 0) {
            bad->sets[bad->set_count++] = line + 8;
        } else if (strncmp(line, "### file ", 9) == 0) {
            bad->sources[bad->file_count] = (struct sl_config_source){line + 9, bad->buffers[bad->file_count], 0};
            bad->file_count++;
            state = IN_FILE;
        } else if (strcmp(line, "### report") == 0) {
            state = IN_REPORT;
        } else if (state == IN_FILE) {
            add_line(bad->buffers[bad->file_count - 1], &bad->sources[bad->file_count - 1].text_bytes, line);
        } else if (state == IN_REPORT) {
            size_t length = strlen(bad->expected);
            (void)snprintf(bad->expected + length, sizeof bad->expected - length, "%s\n", line);
        }
    }
    if (out != NULL) {
        assert_int_equal(fclose(out), 0);
    }
    print_message("%s: %zu cases\n", name, count);
    free(bad);
    free(text);
    assert_int_equal(failures, 0);
    assert_true(count > 0);
}
