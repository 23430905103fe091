/* SPDX-License-Identifier: MIT */
/* Each example is run as a program; it must print exactly what its last comment says, and exit with 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_test.h"

#define TEXT_BYTES 16384

static size_t read_all(FILE *file, char *text)
{
    size_t length = fread(text, 1, TEXT_BYTES - 1, file);
    text[length] = '\0';
    assert_true(length < TEXT_BYTES - 1);
    return length;
}

static void prints_what_it_says(const char *name)
{
    static char source[TEXT_BYTES];
    static char output[TEXT_BYTES];
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/examples/%s.c", SL_TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    (void)read_all(file, source);
    assert_int_equal(fclose(file), 0);
    size_t lines = 0;
    char *expected = strstr(source, "/* Output:\n");
    assert_non_null(expected);
    for (const char *at = source; at < expected; at++) {
        lines += *at == '\n';
    }
    assert_true(expected - source > 100);
    expected += strlen("/* Output:\n");
    char *end = strstr(expected, "*/");
    assert_non_null(end);
    *end = '\0';

    (void)snprintf(path, sizeof path, "%s/examples/%s", SL_TEST_BUILD_DIR, name);
    file = popen(path, "r");
    assert_non_null(file);
    (void)read_all(file, output);
    assert_int_equal(pclose(file), 0);
    assert_string_equal(output, expected);
    assert_true(lines <= 60);
}

#define EXAMPLE(name)                                                                                                  \
    static void example_##name(void **state)                                                                           \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        prints_what_it_says(#name);                                                                                    \
    }

EXAMPLE(two_tasks)
EXAMPLE(deadline)
EXAMPLE(cleanup)
EXAMPLE(supervisor)
EXAMPLE(pipeline)
EXAMPLE(config)
EXAMPLE(rate_limited)
EXAMPLE(fetch_policy)
EXAMPLE(poll_many)
EXAMPLE(work_queue)

SL_TEST_MAIN(cmocka_unit_test(example_two_tasks), cmocka_unit_test(example_deadline), cmocka_unit_test(example_cleanup),
             cmocka_unit_test(example_supervisor), cmocka_unit_test(example_pipeline), cmocka_unit_test(example_config),
             cmocka_unit_test(example_rate_limited), cmocka_unit_test(example_fetch_policy),
             cmocka_unit_test(example_poll_many), cmocka_unit_test(example_work_queue))
