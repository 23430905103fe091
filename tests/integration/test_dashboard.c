/* SPDX-License-Identifier: MIT */
/* The dashboard of `sluice demo` in a real browser: tests/browser/dashboard.js says what is looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sl_test.h"

/* Runs a program and gives its exit status; what it says goes where the test's own output goes. */
static int run(char *const arguments[])
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execvp(arguments[0], arguments);
        (void)fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void browse(const char *chosen)
{
    char *fetch[] = {SL_TEST_SOURCE_DIR "/scripts/fetch-npm", "browser", "tests/browser", NULL};
    assert_int_equal(run(fetch), 0);
    assert_int_equal(setenv("NODE_PATH", SL_TEST_SOURCE_DIR "/build/npm/browser/node_modules", 1), 0);
    char *node[] = {"node",
                    SL_TEST_SOURCE_DIR "/tests/browser/dashboard.js",
                    SL_TEST_BUILD_DIR "/sluice",
                    SL_TEST_BUILD_DIR "/screenshots",
                    (char *)chosen,
                    NULL};
    assert_int_equal(run(node), 0);
}

static void every_view_is_alive_wide_and_light(void **state)
{
    (void)state;
    browse("light");
}

static void every_view_is_alive_narrow_and_dark(void **state)
{
    (void)state;
    browse("dark");
}

static void actions_work(void **state)
{
    (void)state;
    browse("actions");
}

static void without_the_token_nothing_is_changed(void **state)
{
    (void)state;
    browse("token");
}

static void answers_are_as_the_schema_says(void **state)
{
    (void)state;
    browse("schema");
}

static void the_end_is_seen(void **state)
{
    (void)state;
    browse("end");
}

SL_TEST_MAIN(cmocka_unit_test(every_view_is_alive_wide_and_light),
             cmocka_unit_test(every_view_is_alive_narrow_and_dark), cmocka_unit_test(actions_work),
             cmocka_unit_test(without_the_token_nothing_is_changed), cmocka_unit_test(answers_are_as_the_schema_says),
             cmocka_unit_test(the_end_is_seen))
