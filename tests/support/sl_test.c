/* SPDX-License-Identifier: MIT */
/* The test kit: picks cases, runs each in a process of its own, finds captured data. */
#include "sl_test.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NO_CASE 2
#define EXIT_SKIPPED 77

/* The signals that cmocka takes over while a case runs. */
static const int taken_signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
enum { TAKEN_SIGNALS = sizeof taken_signals / sizeof taken_signals[0] };

static struct sigaction found_actions[TAKEN_SIGNALS];
static const struct CMUnitTest *running_case;
static pid_t running_process;

/* Gives the crash signals back to the sanitizers, or to the system: their reports say more than cmocka's. */
static void run_with_found_signals(void **state)
{
    for (size_t i = 0; i < TAKEN_SIGNALS; i++) {
        (void)sigaction(taken_signals[i], &found_actions[i], NULL);
    }
    running_case->test_func(state);
}

/* A case that calls exit() has not passed, whatever the status. */
static void check_ended(void)
{
    if (running_case != NULL && running_process == getpid()) {
        (void)fprintf(stderr, "%s ended the process\n", running_case->name);
        (void)fflush(NULL);
        _exit(EXIT_FAILURE);
    }
}

/* Runs one case in this process; returns 0 or 1. */
static int run_here(const struct CMUnitTest *test)
{
    for (size_t i = 0; i < TAKEN_SIGNALS; i++) {
        (void)sigaction(taken_signals[i], NULL, &found_actions[i]);
    }
    running_case = test;
    running_process = getpid();
    (void)atexit(check_ended);
    struct CMUnitTest wrapped = *test;
    wrapped.test_func = run_with_found_signals;
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    cmocka_set_message_output(CM_OUTPUT_SUBUNIT);
    int failures = _cmocka_run_group_tests(test->name, &wrapped, 1, NULL, NULL);
    running_case = NULL;
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Runs one case in a child process; returns its exit status, or 128 and the signal that ended it. */
static int run_in_child(const struct CMUnitTest *test)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return EXIT_FAILURE;
    }
    if (child == 0) {
        exit(run_here(test)); /* runs the leak check */
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            perror("waitpid");
            return EXIT_FAILURE;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool is_picked(const char *name, int argc, char **argv)
{
    if (argc <= 1) {
        const char *filter = getenv("SL_TEST_FILTER");
        return filter == NULL || fnmatch(filter, name, 0) == 0;
    }
    for (int i = 1; i < argc; i++) {
        if (fnmatch(argv[i], name, 0) == 0) {
            return true;
        }
    }
    return false;
}

int sl_test_main(const struct CMUnitTest *cases, size_t count, int argc, char **argv)
{
    bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
    const struct CMUnitTest *only = NULL;
    size_t picked = 0;
    for (size_t i = 0; i < count; i++) {
        if (list) {
            (void)puts(cases[i].name);
        } else if (is_picked(cases[i].name, argc, argv)) {
            picked++;
            only = &cases[i];
        }
    }
    if (list) {
        return EXIT_SUCCESS;
    }
    if (picked == 0) {
        (void)fprintf(stderr, "%s: no such case; --list shows all\n", argv[0]);
        return EXIT_NO_CASE;
    }
    if (picked == 1) {
        return run_here(only);
    }
    size_t failed = 0;
    size_t skipped = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_picked(cases[i].name, argc, argv)) {
            continue;
        }
        int status = run_in_child(&cases[i]);
        if (status == EXIT_SKIPPED) {
            skipped++;
        } else if (status != EXIT_SUCCESS) {
            failed++;
            (void)fprintf(stderr, "\nFAILED %s (exit status %d)\n", cases[i].name, status);
        }
    }
    (void)printf("%zu passed, %zu failed, %zu skipped\n", picked - failed - skipped, failed, skipped);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void sl_test_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("SKIPPED: ", stdout);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
    (void)fflush(NULL);
    _exit(EXIT_SKIPPED); /* at once: other stacks may hold memory that a leak check would report */
}

uint64_t sl_test_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number = text == NULL ? 0 : strtoull(text, NULL, 10);
    return number == 0 ? otherwise : number;
}

const char *sl_test_data_path(const char *name)
{
    static char path[PATH_MAX];
    const char *folder = getenv("SLUICE_DATA");
    if (folder == NULL || folder[0] == '\0') {
        folder = SL_TEST_SOURCE_DIR "/../shared/data";
    }
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        sl_test_skip("the path of captured data is too long: %s", name);
    }
    if (access(path, R_OK) != 0) {
        sl_test_skip("no captured data at %s", path);
    }
    return path;
}

FILE *sl_test_data(const char *name)
{
    const char *path = sl_test_data_path(name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        sl_test_skip("%s: %s", path, strerror(errno));
    }
    return file;
}
