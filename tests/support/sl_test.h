/* SPDX-License-Identifier: MIT */
/*
 * The test kit: cmocka, a main function that can list and pick cases, and the folder of captured data.
 *
 *     #include "sl_test.h"
 *     static void opens_and_closes(void **state) { (void)state; assert_int_equal(1, 1); }
 *     SL_TEST_MAIN(cmocka_unit_test(opens_and_closes))
 *
 * The program made of it takes:  --list         print the names of its cases
 *                                PATTERN ...    run the cases whose name matches one of these (* and ? as in a shell)
 *                                (nothing)      the pattern in SL_TEST_FILTER, or all cases
 * One case runs in the process itself, several run in a child process each, so that a crash ends only one.
 * Exit status: 0 passed, 1 something failed, 2 no such case, 77 the only case was skipped.
 *
 * A failed assertion prints its message and aborts. It may therefore be used inside a task (cmocka alone
 * would jump from the task's stack to the main one); what the case holds is then not cleaned up.
 */
#ifndef SL_TEST_H
#define SL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* How much slower the sanitizers make the code, for limits of time; 1: none of them, so that memory counts too. */
#if defined(__SANITIZE_THREAD__)
#define SL_TEST_SLOWER 20
#elif defined(__SANITIZE_ADDRESS__)
#define SL_TEST_SLOWER 5
#else
#define SL_TEST_SLOWER 1
#endif

/* The main function of a test program; its arguments are cmocka_unit_test...() entries. No semicolon behind it. */
#define SL_TEST_MAIN(...)                                                                                              \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        static const struct CMUnitTest sl_test_cases[] = {__VA_ARGS__};                                                \
        return sl_test_main(sl_test_cases, sizeof sl_test_cases / sizeof sl_test_cases[0], argc, argv);                \
    }

/* What SL_TEST_MAIN calls; for programs that build their list of cases at run time. Returns the exit status. */
int sl_test_main(const struct CMUnitTest *cases, size_t count, int argc, char **argv);

/* Ends the running case as skipped, with the reason printed. Works on any stack; runs no teardown. */
void sl_test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#undef skip
#define skip() sl_test_skip("%s:%d", __FILE__, __LINE__)

/* A whole number that the environment sets, such as a seed or how often; `otherwise` where it does not, or to 0. */
uint64_t sl_test_number(const char *name, uint64_t otherwise);

/*
 * The path of a file of captured data ("hftbacktest/usdm-btcusdt_20240808.gz"), in the folder SLUICE_DATA or
 * ../shared/data beside the project. Skips the case when the file is missing. Valid until the next call.
 */
const char *sl_test_data_path(const char *name);

/* The same, opened for reading; the caller closes it. */
FILE *sl_test_data(const char *name);

#endif
