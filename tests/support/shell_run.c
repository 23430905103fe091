/* SPDX-License-Identifier: MIT */
/* Lines of the shell. See shell_run.h. */
#include "shell_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "sl_test.h"

int shell_run(const char *line, const char **ret_output)
{
    static char output[SHELL_OUTPUT_BYTES];
    assert_int_equal(setenv("SLUICE", SL_TEST_BUILD_DIR "/sluice", 1), 0);
    assert_int_equal(setenv("SOURCE", SL_TEST_SOURCE_DIR, 1), 0);
    assert_int_equal(setenv("BUILD", SL_TEST_BUILD_DIR, 1), 0);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t bytes = fread(output, 1, sizeof output - 1, pipe);
    output[bytes] = '\0';
    while (fgetc(pipe) != EOF) {
    }
    int status = pclose(pipe);
    *ret_output = output;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *shell_expect(const char *line, int status, const char *part)
{
    const char *output;
    int got = shell_run(line, &output);
    if (got != status || strstr(output, part) == NULL) {
        print_error("%s\nexit status %d, expected %d with \"%s\":\n%s\n", line, got, status, part, output);
    }
    assert_int_equal(got, status);
    assert_non_null(strstr(output, part));
    return output;
}
