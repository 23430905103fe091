/* SPDX-License-Identifier: MIT */
/* sluice new worker NAME [DIR]: writes a project that builds against libsluice. Its files are services/ingest/scaffold/. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/commands.h"
#include "sluice/memory.h"

#define NAME_LETTERS_MAX 40
#define PATH_BYTES_MAX 4096

/* One file of the project, in the program by cmake/SluiceEmbed.cmake. */
struct new_file {
    const char *name;
    const unsigned char *data;
    const size_t *bytes;
    mode_t mode;
};

#define TEMPLATES(X)                                                                                                   \
    X("worker.c", sl__new_worker_c, 0666)                                                                              \
    X("settings.h", sl__new_settings_h, 0666)                                                                          \
    X("worker.yaml", sl__new_worker_yaml, 0666)                                                                        \
    X("CMakeLists.txt", sl__new_cmake, 0666)                                                                           \
    X("test.sh", sl__new_test, 0777)                                                                                   \
    X("Dockerfile", sl__new_dockerfile, 0666)                                                                          \
    X("README.md", sl__new_readme, 0666)                                                                               \
    X(".gitignore", sl__new_gitignore, 0666)                                                                           \
    X(".dockerignore", sl__new_dockerignore, 0666)

#define TEMPLATE_DECLARE(file, symbol, mode)                                                                           \
    extern const unsigned char symbol[];                                                                               \
    extern const size_t symbol##_bytes;
TEMPLATES(TEMPLATE_DECLARE)

#define TEMPLATE_ROW(file, symbol, mode) {file, symbol, &symbol##_bytes, mode},
static const struct new_file templates[] = {TEMPLATES(TEMPLATE_ROW)};
#define TEMPLATE_COUNT (sizeof templates / sizeof templates[0])

/* What is put into the files. */
struct project {
    const char *name, *folder;
};

/* A name of programs, images and targets alike: small letters, digits, hyphens, a letter first. */
static bool good_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= NAME_LETTERS_MAX && name[length] == '\0' && name[0] >= 'a' &&
           name[length - 1] != '-';
}

/* The text of the word at `at`, when one of ours stands there, and its length there. */
static const char *word_at(const struct project *project, const unsigned char *at, size_t left, size_t *ret_length)
{
    static const char name[] = "@NAME@", version[] = "@VERSION@";
    if (left >= sizeof name - 1 && memcmp(at, name, sizeof name - 1) == 0) {
        *ret_length = sizeof name - 1;
        return project->name;
    }
    if (left >= sizeof version - 1 && memcmp(at, version, sizeof version - 1) == 0) {
        *ret_length = sizeof version - 1;
        return sl_program.version;
    }
    return NULL;
}

static bool write_text(FILE *file, const struct project *project, const struct new_file *from)
{
    size_t begin = 0;
    for (size_t at = 0; at < *from->bytes; at++) {
        size_t length = 0;
        const char *word = from->data[at] == '@' ? word_at(project, from->data + at, *from->bytes - at, &length) : NULL;
        if (word != NULL) {
            if (fwrite(from->data + begin, 1, at - begin, file) != at - begin || fputs(word, file) < 0) {
                return false;
            }
            begin = at + length;
            at = begin - 1;
        }
    }
    return fwrite(from->data + begin, 1, *from->bytes - begin, file) == *from->bytes - begin;
}

static bool path_of(const struct project *project, const struct new_file *from, char path[PATH_BYTES_MAX])
{
    int length = snprintf(path, PATH_BYTES_MAX, "%s/%s", project->folder, from->name);
    return length > 0 && length < PATH_BYTES_MAX;
}

/* Nothing that is there is written over, whatever it is. */
static bool write_file(const struct project *project, const struct new_file *from)
{
    char path[PATH_BYTES_MAX];
    if (!path_of(project, from, path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, from->mode);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (file == NULL) {
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return false;
    }
    bool written = write_text(file, project, from);
    return fclose(file) == 0 && written;
}

/* The first file that is there already, or NULL. */
static const char *in_the_way(const struct project *project)
{
    for (size_t i = 0; i < TEMPLATE_COUNT; i++) {
        char path[PATH_BYTES_MAX];
        struct stat info;
        if (path_of(project, &templates[i], path) && lstat(path, &info) == 0) {
            return templates[i].name;
        }
    }
    return NULL;
}

static int make(const struct project *project)
{
    if (mkdir(project->folder, 0777) < 0 && errno != EEXIST) {
        (void)fprintf(stderr, "sluice: '%s' cannot be made: %s\n", project->folder, strerror(errno));
        return SL_EXIT_FAILED;
    }
    const char *there = in_the_way(project);
    if (there != NULL) {
        (void)fprintf(stderr, "sluice: '%s/%s' is there already; nothing was written\n", project->folder, there);
        return SL_EXIT_FAILED;
    }
    for (size_t i = 0; i < TEMPLATE_COUNT; i++) {
        if (!write_file(project, &templates[i])) {
            (void)fprintf(stderr, "sluice: '%s/%s' cannot be written: %s\n", project->folder, templates[i].name,
                          strerror(errno));
            return SL_EXIT_FAILED;
        }
    }
    printf("%s is in %s. Next:\n\n"
           "  cd %s && cmake -B build && cmake --build build && ctest --test-dir build\n"
           "  sluice exchange --venue binance --instruments 1 --port 9100 &\n"
           "  build/%s worker.yaml\n",
           project->name, project->folder, project->folder, project->name);
    return SL_EXIT_DONE;
}

static int run_new_worker(const struct sl_cli_arguments *arguments)
{
    struct project project = {.name = arguments->operands[0],
                              .folder = arguments->operands[arguments->operand_count - 1]};
    if (!good_name(project.name)) {
        (void)fprintf(stderr,
                      "sluice: '%s' is no name for a worker; expected small letters, digits and hyphens, a letter "
                      "first, at most %d\n",
                      project.name, NAME_LETTERS_MAX);
        return SL_EXIT_USAGE;
    }
    if (*project.folder == '\0') {
        (void)fprintf(stderr, "sluice: the folder has no name\n");
        return SL_EXIT_USAGE;
    }
    return make(&project);
}

const struct sl_cli_command sl__command_new_worker = {
    .name = "new worker",
    .summary = "write a project: a worker in C that builds and runs at once",
    .description =
        "Source, configuration, CMakeLists.txt, Dockerfile and test of a worker by libsluice, into the folder\n"
        "DIR (its name, if not given). It follows the simulated exchange until it is told otherwise. What is\n"
        "there already is never written over.",
    .operands = "NAME [DIR]",
    .operand_min = 1,
    .operand_max = 2,
    .run = run_new_worker};
