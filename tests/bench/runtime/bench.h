/* SPDX-License-Identifier: MIT */
/*
 * What the programs of Sluice's side of the runtime benchmark share: timing, output, memory of the
 * process, main().
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"

#define BENCH_MINIMUM_NS 100000000.0 /* of one measurement, by doubling the number of operations */
#define BENCH_REPETITIONS 3
#define BENCH_LINE_BYTES 256
#define BENCH_HOUR SL_MINUTES(60)

/* Does n operations in the running task and gives the nanoseconds they took. */
typedef int (*bench_operation)(uint64_t n, double *ret_elapsed_ns);

/* One figure: its operation is measured and printed; or `task` (in a runtime) or `plain` (outside) does all itself. */
struct bench_figure {
    const char *name; /* NULL ends a table */
    bench_operation operation;
    const char *note;
    sl_task_fn task;
    int (*plain)(void);
};

/* The real clock, also while the runtime is held up. */
static inline double bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* name<TAB>value<TAB>unit[<TAB>note] on standard output; `note` may be NULL. */
static inline void bench_emit(const char *name, double value, const char *unit, const char *note)
{
    (void)printf("%s\t%.1f\t%s%s%s\n", name, value, unit, note == NULL ? "" : "\t", note == NULL ? "" : note);
    (void)fflush(stdout);
}

static inline int bench_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts `values` and gives the one in the middle; `count` > 0. */
static inline double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, bench_compare);
    return values[count / 2];
}

/* Measures an operation, repeated until the figure is stable, and prints the ns of one. */
static inline int bench_measure(const char *name, const char *note, bench_operation operation)
{
    uint64_t n = 1000;
    double elapsed_ns = 0, results[BENCH_REPETITIONS];
    for (;;) {
        SL_TRY(operation(n, &elapsed_ns));
        if (elapsed_ns >= BENCH_MINIMUM_NS) {
            break;
        }
        n *= 2;
    }
    for (size_t i = 0; i < BENCH_REPETITIONS; i++) {
        SL_TRY(operation(n, &elapsed_ns));
        results[i] = elapsed_ns / (double)n;
    }
    bench_emit(name, bench_median(results, BENCH_REPETITIONS), "ns", note);
    return 0;
}

/* The benchmark holds the loop on purpose; anything worse than the warning about that is shown. */
static inline void bench_log(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    if (level == SL_LOG_ERROR) {
        (void)fprintf(stderr, "bench_sluice: %s\n", text);
    }
}

/* Runs one task in a new runtime and prints why it failed. */
static inline int bench_run(sl_task_fn fn, void *arg)
{
    sl_error *error = NULL;
    int code = sl_run(&(struct sl_run_options){.log = bench_log}, fn, arg, &error);
    if (code < 0) {
        char text[1024] = "";
        if (sl_error_print(error, text, sizeof text) == 0) {
            (void)snprintf(text, sizeof text, "%s\n", sl_strerror(code));
        }
        (void)fprintf(stderr, "bench_sluice: %s", text);
    }
    sl_error_unref(error);
    return code;
}

/* splitmix64, as in the programs of the other runtimes. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Number `field` (from 0) after `label` at the start of a line of a file in /proc; 0 if there is none. */
static inline double bench_proc_number(const char *path, const char *label, int field)
{
    char line[BENCH_LINE_BYTES];
    double value = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, label, strlen(label)) == 0) {
            char *rest = line + strlen(label);
            for (int i = 0; i <= field; i++) {
                value = strtod(rest, &rest);
            }
            break;
        }
    }
    (void)fclose(file);
    return value;
}

/* Memory of this process that is resident, and that its page tables take (not part of the former). */
static inline double bench_resident_bytes(void)
{
    return bench_proc_number("/proc/self/statm", "", 1) * (double)sysconf(_SC_PAGESIZE);
}

static inline double bench_page_table_bytes(void)
{
    return bench_proc_number("/proc/self/status", "VmPTE:", 0) * 1024;
}

/* Blocks the thread, loop and all, until the real clock shows `end_ns`: waiting is not part of a figure. */
static inline void bench_hold_until(double end_ns)
{
    int64_t left_ns = (int64_t)(end_ns - bench_now_ns());
    while (left_ns > 0) {
        struct timespec rest = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
        (void)nanosleep(&rest, NULL);
        left_ns = (int64_t)(end_ns - bench_now_ns());
    }
}

/* A task that sleeps for an hour. */
static inline int bench_sleeper(void *arg)
{
    (void)arg;
    return sl_sleep(BENCH_HOUR);
}

static inline int bench_measure_in_task(void *arg)
{
    const struct bench_figure *figure = arg;
    return bench_measure(figure->name, figure->note, figure->operation);
}

static inline int bench_figure_run(const struct bench_figure *figure)
{
    if (figure->plain != NULL) {
        return figure->plain();
    }
    if (figure->task != NULL) {
        return bench_run(figure->task, NULL);
    }
    struct bench_figure copy = *figure;
    return bench_run(bench_measure_in_task, &copy);
}

/* main() of a program: runs the figures named, or lists all. Names of other programs' figures are ignored. */
static inline int bench_main(int argc, char **argv, const struct bench_figure *table)
{
    int status = 0;
    for (int i = 1; i < argc; i++) {
        for (const struct bench_figure *figure = table; figure->name != NULL; figure++) {
            if (strcmp(argv[i], "list") == 0) {
                (void)puts(figure->name);
            } else if (strcmp(argv[i], figure->name) == 0 && bench_figure_run(figure) < 0) {
                status = 1;
            }
        }
    }
    return status;
}

#endif
