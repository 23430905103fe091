/* SPDX-License-Identifier: MIT */
/*
 * Cases that run inside a runtime: in the real world, in the simulated one, and there with the order of
 * ready tasks drawn from 100 seeds. A case that fails prints the world and the seed.
 *
 *     C_TEST(c083_capacity_zero_is_a_rendezvous, "given ..., when ..., then ...", "trio test_channel.py test_unbuffered")
 *     {
 *         CHECK_EQ(sl_sleep(0), 0);
 *         return 0;
 *     }
 *     SL_TEST_MAIN(cmocka_unit_test(c083_capacity_zero_is_a_rendezvous))
 *
 * The body is the main task of each run, a sl_task_fn. cmocka's own assertions jump out of the test and
 * must not be used in tasks; CHECK() records the failure and returns SL_CHECK_FAILED from the function
 * it stands in, which must return int. A task that fails this way takes its scope with it, so that a
 * failed case ends instead of hanging. A case also fails when its main task returns a negative code,
 * when memory is left over, and after SL_CONFORMANCE_SECONDS.
 *
 * scripts make docs/reference/conformance.md from these macros: keep name, behaviour and anchor literals.
 */
#ifndef SL_CONFORMANCE_H
#define SL_CONFORMANCE_H

#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#define SL_CHECK_FAILED (-9999)

/* Shuffled runs of a case; the environment's SL_CONFORMANCE_SEEDS overrides it, SL_CONFORMANCE_SEED=n runs only seed n. */
#define SL_CONFORMANCE_SEEDS 100
/* A case that takes longer hangs. */
#define SL_CONFORMANCE_SECONDS 300

enum sl_conformance_worlds {
    SL_WORLD_REAL = 1,
    SL_WORLD_SIMULATED = 2,
    SL_WORLD_BOTH = 3,
    SL_WORLD_FEW = 4, /* two seeds */
    SL_WORLD_REAL_FEW = 5,
    SL_WORLD_BOTH_FEW = 7
};

struct sl_conformance {
    const char *name;
    const char *behaviour;
    const char *anchor;
    sl_task_fn body;                                    /* the main task of each run, or NULL and: */
    int (*outer)(const struct sl_run_options *options); /* called outside a runtime, makes its own runs */
    enum sl_conformance_worlds worlds;
};

/* Runs the case in all its worlds and fails the cmocka case if one of them failed. */
void sl_conformance_run(const struct sl_conformance *conformance);

/* Records the first failure of the run; any thread. */
void sl_check_failed(const char *file, int line, const char *text);
void sl_check_failed_numbers(const char *file, int line, const char *text, long long left, long long right);

/* The seed of the current run (0: first in, first out), whether it is simulated, and what the runtime logged in it. */
uint64_t sl_conformance_seed(void);
bool sl_conformance_simulated(void);
uint64_t sl_conformance_random(void); /* numbers that depend on the seed alone, in the real world too */
const char *sl_conformance_log(void);

#define SL__CASE(case_name, case_behaviour, case_anchor, case_body, case_outer, case_worlds)                           \
    static const struct sl_conformance case_name##_case = {#case_name, case_behaviour, case_anchor,                    \
                                                           case_body,  case_outer,     case_worlds};                   \
    static void case_name(void **state)                                                                                \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        sl_conformance_run(&case_name##_case);                                                                         \
    }

#define SL__TASK_CASE(case_name, behaviour, anchor, worlds)                                                            \
    static int case_name##_body(void *sl__arg);                                                                        \
    SL__CASE(case_name, behaviour, anchor, case_name##_body, NULL, worlds)                                             \
    static int case_name##_body(void *sl__arg __attribute__((unused)))

/* In both worlds: real and simulated first in, first out; simulated with the seeds. */
#define C_TEST(name, behaviour, anchor) SL__TASK_CASE(name, behaviour, anchor, SL_WORLD_BOTH)
/* The same with two seeds: cases with much data, to which the order of tasks matters little. */
#define C_TEST_FEW(name, behaviour, anchor) SL__TASK_CASE(name, behaviour, anchor, SL_WORLD_BOTH_FEW)
/* Only in the simulated world: cases that let much time pass. */
#define C_TEST_SIMULATED(name, behaviour, anchor) SL__TASK_CASE(name, behaviour, anchor, SL_WORLD_SIMULATED)
/* Only in the real world, there with the seeds too: threads, signals, sockets. */
#define C_TEST_REAL(name, behaviour, anchor) SL__TASK_CASE(name, behaviour, anchor, SL_WORLD_REAL)
/* The same with two seeds: cases that take real time. */
#define C_TEST_REAL_FEW(name, behaviour, anchor) SL__TASK_CASE(name, behaviour, anchor, SL_WORLD_REAL_FEW)
/* The body gets `const struct sl_run_options *options` and calls sl_run() itself, as often as it likes. */
#define C_TEST_RUNS(name, behaviour, anchor) SL__RUNS_CASE(name, behaviour, anchor, SL_WORLD_BOTH)
/* The same with two seeds: cases that go through every step of a run themselves. */
#define C_TEST_RUNS_FEW(name, behaviour, anchor) SL__RUNS_CASE(name, behaviour, anchor, SL_WORLD_BOTH_FEW)
#define SL__RUNS_CASE(name, behaviour, anchor, in_worlds)                                                              \
    static int name##_outer(const struct sl_run_options *options);                                                     \
    SL__CASE(name, behaviour, anchor, NULL, name##_outer, in_worlds)                                                   \
    static int name##_outer(const struct sl_run_options *options __attribute__((unused)))

/* A case like C_TEST that stands for no numbered behaviour. */
#define TASK_TEST(name) SL__TASK_CASE(name, "", "", SL_WORLD_BOTH)

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            sl_check_failed(__FILE__, __LINE__, #condition);                                                           \
            return SL_CHECK_FAILED;                                                                                    \
        }                                                                                                              \
    } while (0)

/* Two integers; both are printed, negative ones with the name of the code. */
#define CHECK_EQ(left, right)                                                                                          \
    do {                                                                                                               \
        long long sl__left = (long long)(left);                                                                        \
        long long sl__right = (long long)(right);                                                                      \
        if (sl__left != sl__right) {                                                                                   \
            sl_check_failed_numbers(__FILE__, __LINE__, #left " == " #right, sl__left, sl__right);                     \
            return SL_CHECK_FAILED;                                                                                    \
        }                                                                                                              \
    } while (0)

#define CHECK_STRING(left, right) CHECK(strcmp((left), (right)) == 0)

/* For functions that do not return int (cleanup, release, drop): records the failure and goes on. */
#define EXPECT(condition) ((condition) ? (void)0 : sl_check_failed(__FILE__, __LINE__, #condition))

/* Lets the other tasks run until all of them are blocked. */
#define SETTLE() CHECK_EQ(sl_quiescent_wait(0), 0)

#endif
